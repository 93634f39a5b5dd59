/*
 * tds_private.h - what the parts of engine `sqlserver` share
 *
 * tds.c says where a session is, tds_opening.c brings it to where both legs
 * have the TLS that they are to have, and tds_following.c from the client's
 * LOGIN7 to where they may be joined.
 */
#ifndef PROTOCOLS_TDS_PRIVATE_H
#define PROTOCOLS_TDS_PRIVATE_H

#include "protocols/tds_login.h"
#include "protocols/tds_packet.h"

/* A whole LOGIN7, or a whole reply to it. */
#define TDS_WINDOW (132u * 1024)
_Static_assert(TDS_LOGIN_MAX + TDS_LOGIN_GROWS +
	    TDS_HEAD * (TDS_LOGIN_MAX / (TDS_PACKET_FIRST - TDS_HEAD) + 2) <=
	TDS_WINDOW,
    "a LOGIN7 must fit the window, in packets");

enum tds_at {
	AT_OPENING = 0, /* the client's PRELOGIN, or LOGIN7 */
	AT_INSISTED,    /* on TLS that there is not: its ClientHello */
	AT_STRICT_TLS,  /* the client's, from its first byte */
	AT_GARBLED,     /* it makes no sense to us, nor would we to it */
	AT_CONNECTING,
	AT_SERVER_STRICT, /* the server's TLS, from its first byte */
	AT_ASKED,         /* the server, by a PRELOGIN */
	AT_SERVER_TLS,
	AT_ANSWERED, /* the client, and its TLS is to follow */
	AT_CLIENT_TLS,
	AT_LOGIN,
	AT_LOGIN_UNASKED,  /* in clear, against what was agreed on */
	AT_LOGIN_SEALED,   /* its first packet, which alone has TLS */
	AT_LOGIN_UNSEALED, /* that is in, and TLS gone */
	AT_REPLY,          /* the server's turn */
	AT_REPLIED,        /* the client's, to go on with its log-in */
	AT_RELAYED,        /* first words of one whose TLS has stopped */
	AT_TOLD,           /* the client has been told why not */
};

struct tds {
	enum tds_at at;
	bool refusing; /* the client is only to be told why not */

	/* What the client began with; empty for one that has no PRELOGIN. */
	size_t prelogin_len;
	uint8_t prelogin[TDS_PACKET_FIRST];
	uint8_t answer; /* what it is told of TLS */
	bool stopped;   /* its TLS is over, and it may yet send an alert */

	/* What the server answered to that. */
	size_t reply_len;
	uint8_t reply[TDS_PACKET_FIRST];

	/* A LOGIN7 without its packets' heads, and then a reply to it. */
	bool login_heard;
	bool decided; /* the server has said yes or no */
	uint32_t version;
	size_t body_len;
	uint8_t body[TDS_WINDOW];
};

struct tds_options {
	int rewrite_server_name;
};

/* In the order of its choices in tds.c. */
enum tds_rewrite {
	TDS_REWRITE_AUTO = 0,
	TDS_REWRITE_OFF,
	TDS_REWRITE_ON,
};

struct verdict tds_protocol_error(struct negotiator *n, enum leg_id leg,
    const char *text);
/* Bytes that begin no message leave nobody there to read an answer. */
struct verdict tds_garbled(struct negotiator *n, const char *text);
/* The end of a refusal. */
struct verdict tds_tell(struct negotiator *n);
void tds_wipe_body(struct tds *tds);
struct verdict tds_connect(struct negotiator *n);

/* Steps, by where the session is. */
struct verdict tds_step_opening(struct negotiator *n);
struct verdict tds_step_insisted(struct negotiator *n);
struct verdict tds_step_strict_tls(struct negotiator *n);
struct verdict tds_step_connected(struct negotiator *n);
struct verdict tds_step_server_strict(struct negotiator *n);
struct verdict tds_step_asked(struct negotiator *n);
struct verdict tds_step_server_tls(struct negotiator *n);
struct verdict tds_step_answered(struct negotiator *n);
struct verdict tds_step_client_tls(struct negotiator *n);
struct verdict tds_step_login(struct negotiator *n);
struct verdict tds_step_login_sealed(struct negotiator *n);
struct verdict tds_step_login_unsealed(struct negotiator *n);
struct verdict tds_step_reply(struct negotiator *n);
struct verdict tds_step_replied(struct negotiator *n);
struct verdict tds_step_relayed(struct negotiator *n);

/* Answers the client's PRELOGIN without a server. */
struct verdict tds_answer_alone(struct negotiator *n);
/* The server has what it must have: the client's LOGIN7 goes there. */
struct verdict tds_send_login(struct negotiator *n);

bool tds_preamble(const struct negotiator *n, struct rd out);
/* Of ours, for who has none to pass on: the shortest there is. */
#define TDS_OWN_PRELOGIN_LEN 26u
extern const uint8_t tds_own_prelogin[TDS_OWN_PRELOGIN_LEN];

#endif /* PROTOCOLS_TDS_PRIVATE_H */
