/*
 * load.h - the generator: clients and a database in one epoll loop
 *
 * `front` ends are opened to the proxy, `back` ends are taken from it.  One of
 * them may have TLS, as client or as server; that is OpenSSL's, and stays on
 * after the handshake where bytes are verified or trips are counted.  In bulk
 * it is out of the way: what is received is dropped as it came, and what is
 * sent was encrypted before the clock started, so that the other processor
 * does nothing but copy.
 *
 *	bulk.c		as much as goes, in one direction
 *	trips.c		64 bytes there and back; idle connections
 *	handshakes.c	connections that are opened and closed
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "bench/usage.h"

#define MESSAGE 64u /* bytes of a question, and of its answer */

enum tls_at {
	TLS_NONE,
	TLS_FRONT,
	TLS_BACK
};

/* From the command line, NAME=VALUE each. */
struct options {
	unsigned port;   /* of the proxy */
	unsigned listen; /* ours, to which the proxy goes */
	pid_t pid;       /* of the proxy; 0: nobody's time */
	pid_t ours;      /* of what started us, and the proxy */
	size_t connections;
	size_t bytes;
	size_t record; /* at most so much in one record that we send */
	double seconds;
	bool up;     /* bulk: from front to back */
	bool verify; /* every byte is looked at, none is encrypted before */
	bool resume; /* tickets are handed out */
	enum tls_at tls;
	const char *cert, *key; /* of the end with TLS, if that is back */
	const char *ca;         /* of its peer, if it is front */
	const char *suite;
};

/* One end of one connection. */
struct end {
	int fd;
	SSL *ssl; /* NULL: in clear */
	bool front;
	bool secured; /* at once, if in clear */
	bool dead;
	size_t number; /* of those on its side, in order */
	size_t done;   /* bytes, as the mode counts them */
	struct end *next;
	/* Bulk: what was encrypted before; verified: whose bytes come. */
	uint8_t *sealed;
	size_t sealed_len;
	size_t sender;
	/* Trips: the message as far as it has come, and when it was sent. */
	uint8_t message[MESSAGE];
	double sent_at;
};

struct load;

/* A mode.  Both return false when the run has failed: load_fail() said why. */
struct mode {
	bool (*secured)(struct load *l, struct end *e);
	bool (*ready)(struct load *l, struct end *e, uint32_t events);
};

struct load {
	const struct options *o;
	const struct mode *mode;
	int epoll;
	int listener;
	SSL_CTX *context;
	struct end *ends; /* all of them */
	size_t fronts, backs, secured;
	size_t live_fronts;
	size_t dead;
	size_t resumed;
	void *of_mode;
	char why[128];
};

bool load_begin(struct load *l, const struct options *o,
    const struct mode *mode) __attribute__((warn_unused_result));
void load_end(struct load *l);

/* False, and the reason is kept; the first one counts. */
bool load_fail(struct load *l, const char *why);

/* One more front end, on its way. */
bool load_open(struct load *l) __attribute__((warn_unused_result));
/* So many connections, all of them secured at their back. */
bool load_open_all(struct load *l, size_t n)
    __attribute__((warn_unused_result));
/* What there is to do, or after so many milliseconds nothing. */
bool load_turn(struct load *l, int milliseconds)
    __attribute__((warn_unused_result));
bool load_want(struct load *l, struct end *e, uint32_t events)
    __attribute__((warn_unused_result));
void load_close(struct load *l, struct end *e);

/* Bytes; 0: not now; -1: the end, or a failure. */
ssize_t end_read(struct end *e, void *to, size_t len);
ssize_t end_write(struct end *e, const void *from, size_t len);

/* Prints what the proxy and others took between the two. */
void load_print(const struct usage *from, const struct usage *to);

bool run_bulk(const struct options *o) __attribute__((warn_unused_result));
bool run_trips(const struct options *o) __attribute__((warn_unused_result));
bool run_idle(const struct options *o) __attribute__((warn_unused_result));
bool run_handshakes(const struct options *o)
    __attribute__((warn_unused_result));
/* The limit: AES, and handshakes of OpenSSL's client in memory. */
bool run_limits(const struct options *o) __attribute__((warn_unused_result));

#endif
