/*
 * reason.h - the one vocabulary for how a session ended
 *
 * Negotiators, sessions, the log and the codes that clients see all use these
 * words and no others.  A reason either closes a session that was relaying or
 * refuses one that never came so far; reason_is_refusal() tells them apart.
 * A session that has been opened is closed, also for the reasons of a refusal:
 * where its relay comes back to the negotiator, or breaks a rule, these are
 * the words for it.
 */
#ifndef PROTOCOLS_REASON_H
#define PROTOCOLS_REASON_H

#include <stdbool.h>

enum reason {
	REASON_NONE = 0,

	/* A relay ended: event session.close. */
	REASON_CLIENT_CLOSED,
	REASON_SERVER_CLOSED,
	REASON_CLIENT_RESET,
	REASON_SERVER_RESET,
	REASON_CLIENT_TRUNCATED, /* TLS ended without close_notify */
	REASON_SERVER_TRUNCATED,
	REASON_KEEPALIVE,
	REASON_IDLE,
	REASON_DRAIN,
	REASON_KILLED,
	REASON_TLS_ERROR,

	/* No relay ever began: event session.refused. */
	REASON_NOT_ALLOWED,
	REASON_LIMIT,
	REASON_OVERLOAD,
	REASON_DRAINING,
	REASON_NO_ENDPOINT,
	REASON_LOOP,
	REASON_RESOLVE,
	REASON_CONNECT,
	REASON_TIMEOUT,
	REASON_TLS_REFUSED, /* the server said that it has no TLS */
	REASON_DOWNGRADE,   /* it answered against what was demanded */
	REASON_PROTOCOL,    /* a peer broke the rules of its own protocol */
	REASON_HANDSHAKE,
	REASON_CLIENT_TLS, /* the client's leg lacks the TLS it must have */
	REASON_CLIENT_CERTIFICATE,
	REASON_UNTRUSTED,
	REASON_NAME_MISMATCH,
	REASON_EXPIRED,
	REASON_NOT_YET_VALID,
	REASON_WEAK,
	REASON_WRONG_USAGE,
	REASON_REVOKED,
	REASON_CRL_EXPIRED,
	REASON_PIN_MISMATCH,
	REASON_IDENTITY, /* the server rejected our own certificate */
	REASON_REDIRECT,
	REASON_AUTH,

	/* Either: what happened is a fault of ours. */
	REASON_INTERNAL,
};
#define REASON_COUNT (REASON_INTERNAL + 1)

/* Whether trying again may help: decides the code that the client is given,
 * because drivers retry or give up by that code. */
enum reason_class {
	REASON_CLASS_TEMPORARY = 0,
	REASON_CLASS_LIMIT, /* too many sessions: temporary, by its own code */
	REASON_CLASS_PERMANENT,
};

/* The word of CONTRACT.md, as it appears in the log: "name_mismatch". */
const char *reason_name(enum reason reason);
enum reason_class reason_class(enum reason reason);

/* May this reason refuse a session before its relay began? */
bool reason_is_refusal(enum reason reason);

#endif /* PROTOCOLS_REASON_H */
