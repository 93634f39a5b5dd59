/*
 * mysql_packet.h - what everything in the MySQL protocol is made of
 *
 * A packet is a length of three bytes, the lowest first, a number, and so much
 * payload.  Both sides count: each packet's number is that of the one before,
 * whoever sent it, and 1.  A command begins again at 0.
 *
 * Names are those of MySQL's source, where the documentation gives none.
 * Everything here is pure: cursors in, bytes out.
 */
#ifndef PROTOCOLS_MYSQL_PACKET_H
#define PROTOCOLS_MYSQL_PACKET_H

#include "protocols/bytes.h"

#define MYSQL_HEAD_LEN 4u

/* Nothing in a log-in is longer: what may be is the client's attributes, to
 * which its own library sets this limit. */
#define MYSQL_PAYLOAD_MAX 65536u

/* Capabilities: what each side says that it can, and the other takes up. */
enum mysql_capability {
	MYSQL_LONG_PASSWORD = 1 << 0, /* not of MariaDB: see its greeting */
	MYSQL_CONNECT_WITH_DB = 1 << 3,
	MYSQL_COMPRESS = 1 << 5,
	MYSQL_PROTOCOL_41 = 1 << 9,
	MYSQL_SSL = 1 << 11,
	MYSQL_SECURE_CONNECTION = 1 << 15,
	MYSQL_PLUGIN_AUTH = 1 << 19,
	MYSQL_CONNECT_ATTRS = 1 << 20,
	MYSQL_LENENC_AUTH = 1 << 21, /* .._PLUGIN_AUTH_LENENC_CLIENT_DATA */
	MYSQL_ZSTD = 1 << 26,
	MYSQL_SSL_VERIFY = 1 << 30, /* means nothing on the wire */
};
#define MYSQL_COMPRESSION ((uint32_t)(MYSQL_COMPRESS | MYSQL_ZSTD))

/* The first byte of what a server says during log-in. */
enum mysql_type {
	MYSQL_OK = 0x00,
	MYSQL_AUTH_MORE_DATA = 0x01,
	MYSQL_AUTH_NEXT_FACTOR = 0x02,
	MYSQL_AUTH_SWITCH = 0xfe,
	MYSQL_ERR = 0xff,
};

struct mysql_packet {
	uint8_t id;
	struct rd payload;
};

enum mysql_arrival {
	MYSQL_ARRIVAL_PART = 0,
	MYSQL_ARRIVAL_WHOLE,
	MYSQL_ARRIVAL_TOO_LONG, /* `id` is set */
};

/* Looks at the packet that the bytes begin with. */
enum mysql_arrival mysql_packet_look(struct rd r, struct mysql_packet *p);

/* How many bytes of the stream it is. */
size_t mysql_packet_len(const struct mysql_packet *p);

/* The head of a packet whose payload follows. */
void mysql_write_head(struct wr *w, size_t len, uint8_t id);

/* A number that says by its first byte how long it is; one that no number
 * begins with cuts the cursor. */
#define MYSQL_LENENC_ONE_MAX 0xfau /* as far as one byte goes */
uint64_t mysql_read_lenenc(struct rd *r);
void mysql_write_lenenc(struct wr *w, size_t v);
size_t mysql_lenenc_len(size_t v);

/* What such a number counts. */
struct rd mysql_read_counted(struct rd *r);

/* An error of ours.  Before a greeting there is no sqlstate (NULL). */
struct mysql_error {
	uint16_t number;
	const char *sqlstate;
	const char *text;
	const char *hint; /* NULL: none */
};
#define MYSQL_ERROR_TEXT_MAX 512u /* clients have no room for more */

void mysql_write_error(struct wr *w, uint8_t id, const struct mysql_error *e);

#endif /* PROTOCOLS_MYSQL_PACKET_H */
