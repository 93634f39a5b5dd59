/*
 * fake.h - a database server that behaves as its script says
 *
 * A listening socket on loopback and threads that accept from it; each
 * connection plays the same script.  What connections got is put together.
 */
#ifndef TESTS_LOOP_FAKE_H
#define TESTS_LOOP_FAKE_H

#include <pthread.h>

#include "tests/loop/actor.h"

#define FAKE_THREADS_MAX 16

struct fake {
	const struct step *steps;
	SSL_CTX *ctx; /* NULL: it has no TLS */
	bool keep;    /* what was got, and not only how much */
	int listener;
	unsigned short port;
	size_t nthreads;
	pthread_t threads[FAKE_THREADS_MAX];
	void *arg; /* of its actors */
	atomic_size_t sent;

	pthread_mutex_t lock; /* of what follows */
	unsigned begun;
	unsigned ended;
	struct bytes clear;
	struct bytes sealed;
	size_t done;        /* steps, of the last connection */
	enum ending ending; /* of the last connection */
};

/* Listens, and accepts once it was started.  Takes `ctx`. */
void fake_init(struct fake *f, const struct step *steps, SSL_CTX *ctx);
/* Is not there; is there again, at the port that it had. */
void fake_hide(struct fake *f);
void fake_show(struct fake *f);
void fake_start(struct fake *f, size_t nthreads);
void fake_fini(struct fake *f);
/* All connections that were begun have come to their end. */
bool fake_idle(struct fake *f);
unsigned fake_visits(struct fake *f); /* connections that were begun */

#endif /* TESTS_LOOP_FAKE_H */
