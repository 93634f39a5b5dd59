/*
 * play.h - a session without sockets, for negotiators under test
 *
 * Bytes of either side are played to a negotiator in slices of a chosen size;
 * its verdicts are carried out at once and always succeed; and what happens is
 * written down, a line an event.  However the bytes were sliced, the same must
 * be written.
 *
 *	to client WORDS      what the client was sent since the last event
 *	to server WORDS
 *	connect              or: connect for WORDS, if it is for a cancel;
 *	                     connect after 250, if the client is to stay first;
 *	                     connect to db2:1521, where a server sends us on to
 *	tls client postgresql if-offered
 *	tls client wrapped may-stop
 *	tls server anew sni S4.shop.V3.319
 *	clear client         its TLS was stopped
 *	records client 12    so many of the bytes played are left to TLS
 *	deliver
 *	relay                or: relay, key WORDS; relay, watching client, or
 *	                     server
 *	woken by client      by one of the units that were watched
 *	broken by client     what cannot be a unit: the session would end
 *	end REASON client: TEXT; HINT
 *	reads client         what it waits for in the end; or server, or both
 *	closed               nothing is left to be said to the client
 *
 * A verdict that is to fail is written down and then not carried out, until
 * play_refuse() says what came of it.  A client that speaks for the first time
 * while a connect is on its way is heard, as a session does.
 *
 * Besides it keeps an eye on what no negotiator may do, by rules of its own
 * that share no code with neg_step(): an event that begins with BROKEN.
 */
#ifndef TESTS_NEGOTIATOR_PLAY_H
#define TESTS_NEGOTIATOR_PLAY_H

#include <stddef.h>
#include <stdio.h>

#include "protocols/negotiator.h"

#define PLAY_OPTIONS_MAX 256 /* bytes */
#define PLAY_MEMBERS_MAX 4
#define PLAY_NAME_MAX    64

/* Room for the struct of whatever engine. */
union play_options {
	max_align_t aligned;
	uint8_t bytes[PLAY_OPTIONS_MAX];
};

enum play_failure {
	PLAY_FAILS_NOTHING = 0,
	PLAY_FAILS_CONNECT,
	PLAY_FAILS_CLIENT_TLS,
	PLAY_FAILS_SERVER_TLS,
	PLAY_FAILS_ANEW,     /* the server's TLS, when it is begun anew */
	PLAY_FAILS_REDIRECT, /* to connect to where it sends us on to */
};

/* A server, and the listen address that stands for it. */
struct play_member {
	char listen[PLAY_NAME_MAX];
	char host[PLAY_NAME_MAX];
	uint16_t port;
};

struct play_setup {
	const struct neg_ops *ops;
	struct neg_policy policy;
	union play_options options; /* as ops->options describes */

	/* The certificate that TLS will show on each leg; all zero: none is
	 * known. */
	uint8_t leaf[LEG_COUNT][NEG_DIGEST_LEN];
	bool local[LEG_COUNT]; /* a unix socket */
	bool no_services;      /* none are lent, as where nobody logs in */
	enum play_failure fails;
	char host[PLAY_NAME_MAX]; /* of the server; empty: it has none */
	/* And which of them the session is of; none: nothing of the kind. */
	struct play_member members[PLAY_MEMBERS_MAX];
	size_t nmembers;
	size_t own;
	size_t slice; /* bytes that arrive at once; 0: all of them */
};

/*
 * What a session lends, with the secrets of a child: what is sealed under a key
 * that is called "theirs" is "<theirs>" and the message, which may be of
 * PLAY_SEALED_MAX bytes; our own key is called "ours".  SHA-256 is what it is.
 */
#define PLAY_SEALED_MAX 64
#define PLAY_KEY(name)                           \
	"-----BEGIN PUBLIC KEY-----\n" name "\n" \
	"-----END PUBLIC KEY-----\n"
extern const struct neg_services play_services;

struct play;

/* Events go to `log`.  NULL if memory is short. */
struct play *play_new(const struct play_setup *setup, FILE *log);
void play_free(struct play *p);

/* What the client has said already when all begins. */
void play_early(struct play *p, const void *bytes, size_t n);

void play_start(struct play *p); /* before anything else */
void play_bytes(struct play *p, enum leg_id from, const void *bytes, size_t n);

/* The session ends for a reason that is not the negotiator's. */
void play_refuse(struct play *p, const struct neg_error *why);

/* The server has ended after a delivery: the same message is played to a fresh
 * negotiator, with the client's TLS as it is.  Nothing but after `deliver`. */
void play_replay(struct play *p);

/* Does the negotiator remember these bytes? */
bool play_holds(const struct play *p, struct rd bytes);

const struct neg_names *play_names(const struct play *p);
const char *play_where(const struct play *p);
bool play_is_broken(const struct play *p);

#endif /* TESTS_NEGOTIATOR_PLAY_H */
