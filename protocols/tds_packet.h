/*
 * tds_packet.h - what messages of TDS travel in
 *
 * A message is one or more packets of the same type, the last of which says
 * that it is.  Numbers and names are those of MS-TDS, sections 2.2.3 and
 * 2.2.1; all are big-endian here, and little-endian nearly everywhere else.
 *
 *	type | status | length, with these 8 bytes | SPID | packet id | window
 */
#ifndef PROTOCOLS_TDS_PACKET_H
#define PROTOCOLS_TDS_PACKET_H

#include "protocols/negotiator.h"

#define TDS_HEAD 8u
/* Before a size has been agreed on at the end of log-in; a server hangs up on
 * a longer one. */
#define TDS_PACKET_FIRST 4096u
#define TDS_PACKET_MAX   65535u

/* Of a packet that is the last of its message. */
#define TDS_EOM 0x01u

enum tds_type {
	TDS_LOGIN_OLD = 0x02, /* before version 7, and Sybase */
	TDS_REPLY = 0x04,
	TDS_LOGIN7 = 0x10,
	TDS_PRELOGIN = 0x12,
};

struct tds_packet {
	uint8_t type;
	bool last; /* of its message */
	struct rd payload;
	size_t len; /* of all of it */
};

enum tds_arrival {
	TDS_PART = 0,
	TDS_WHOLE,
	TDS_BAD, /* what came is no packet */
};

/* Is that a type of packets?  The rest are records of TLS, SMP, or nothing. */
bool tds_packet_is_one(uint8_t type);

enum tds_arrival tds_look_at_packet(struct rd r, struct tds_packet *p);

/* A whole message: its packets' payloads go to `body`, one behind the other.
 * Bad if they are not all of `type`, or too long for `body`. */
enum tds_arrival tds_look_at_message(struct rd r, uint8_t type, size_t *len,
    struct wr *body);

/* In packets of at most `max` bytes, heads included; TDS_PACKET_FIRST. */
void tds_write_packets(struct wr *out, uint8_t type, size_t max,
    struct rd body);
void tds_write_message(struct wr *out, uint8_t type, struct rd body);

/* A handshake of version 7: each flight is one message like PRELOGIN. */
extern const struct neg_wrap tds_wrap;

/* What a client says in a session; a packet of MARS' own (SMP) holds one of
 * TDS.  A server drops who spreads one over two records, or seals two as
 * one. */
extern const struct neg_units tds_units;
/* The same, where the first may be an alert: that one wakes, whatever it is. */
extern const struct neg_units tds_units_after_tls;

#endif /* PROTOCOLS_TDS_PACKET_H */
