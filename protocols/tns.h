/*
 * tns.h - the packets that Oracle Net connects with, and its descriptors
 *
 * All numbers are big-endian.  Until a server has accepted, a packet is
 *
 *	length, with these 8 bytes | checksum | type | flags | checksum
 *	    16 bits                   16        8      8       16
 *
 * and what comes after that is nobody's business here.  Names are those of
 * the thin drivers' sources and of Oracle's network trace.
 */
#ifndef PROTOCOLS_TNS_H
#define PROTOCOLS_TNS_H

#include "protocols/bytes.h"

#define TNS_HEAD       8u
#define TNS_PACKET_MAX 65535u

enum tns_type {
	TNS_CONNECT = 1,
	TNS_ACCEPT = 2,
	TNS_REFUSE = 4,
	TNS_REDIRECT = 5,
	TNS_DATA = 6,
	TNS_RESEND = 11,
};

/* Flags of a packet's head. */
#define TNS_HAS_CONNECT_DATA 0x02u /* REDIRECT: behind the address, and a NUL */
#define TNS_WAS_REDIRECTED   0x04u /* CONNECT */
#define TNS_TLS_ANEW         0x08u /* RESEND: in a session of TLS of its own */

struct tns_packet {
	bool head_seen; /* type and flags count */
	uint8_t type;
	uint8_t flags;
	struct rd all; /* of it, head included; empty if it is not whole */
};

enum tns_arrival {
	TNS_PART = 0,
	TNS_WHOLE,
	TNS_BAD, /* what came is no packet */
};

enum tns_arrival tns_look(struct rd r, struct tns_packet *p);

/* The payload of a DATA packet. */
struct rd tns_data(struct rd packet);

/*
 * CONNECT: a head, the longest known is of 74 bytes, and the data: either all
 * of it, or none, and then it comes in DATA packets.
 */
#define TNS_CONNECT_HEAD_MAX 256u
#define TNS_CONNECT_DATA_MAX 65535u
/* As a client may send it, in packets of a size that everybody takes. */
#define TNS_CONNECT_MAX (TNS_CONNECT_HEAD_MAX + TNS_CONNECT_DATA_MAX + 1536u)

struct tns_connect {
	struct rd head; /* that of the packet included */
	struct rd data;
	bool in_packet; /* the data */
};

/* From a whole packet: `missing` bytes of data are still to come.  False if it
 * makes no sense. */
bool tns_read_connect(struct rd packet, struct tns_connect *c, size_t *missing);

/* Does the client offer native network encryption, which is no TLS, or insist
 * on it? */
bool tns_offers_native(struct rd head);

/* With these flags besides, and never with the promise to understand urgent
 * bytes of TCP: no TLS has them, and through a proxy none arrives. */
void tns_write_connect(struct wr *out, const struct tns_connect *c,
    uint8_t flags);

/* May data of this length be in the packet itself? */
bool tns_fits_connect(size_t len);

/* The same of an answer.  False, and nothing is written, if it is none. */
bool tns_write_accept(struct wr *out, struct rd packet);

/* REDIRECT: an address, and maybe the data of the next CONNECT, of which only
 * so much is in the packet itself. */
struct tns_redirect {
	struct rd begin;
	size_t len; /* of all of it */
};
bool tns_read_redirect(struct rd packet, struct tns_redirect *r);

/* REFUSE: without a word of ours, which drivers fail to parse.  Of somebody
 * else's: the number of its error; false if there is none. */
void tns_write_refuse(struct wr *out, uint32_t number);
bool tns_read_refuse(struct rd packet, uint32_t *number);

/*
 * Descriptors: (NAME=VALUE), where a value may be more of these.
 */

/* The value of the first (NAME=value) that stands directly in the first
 * (PARENT=...); empty if there is none.  Names are ASCII, in any case. */
struct rd tns_value(struct rd descriptor, const char *parent, const char *name);

enum tns_transport {
	TNS_OVER_OTHER = 0,
	TNS_OVER_TCP,
	TNS_OVER_TCPS,
};

struct tns_address {
	struct rd host; /* not longer than a name may be, and printable */
	uint16_t port;
	enum tns_transport transport;
};

/* The first ADDRESS; false if it has no host and port that could be such. */
bool tns_read_address(struct rd descriptor, struct tns_address *a);

/* What a server of version 23 and later wants to find as SNI, to do with one
 * handshake: NUL-ended.  False if there is no service name, or one that cannot
 * be part of a host's. */
#define TNS_SNI_MAX 255u
bool tns_write_sni(struct wr *out, struct rd connect_head, struct rd data);

#endif /* PROTOCOLS_TNS_H */
