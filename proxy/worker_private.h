/*
 * worker_private.h - what one worker's file and that of all of them share
 *
 *	worker.c       one thread: its loop, its contexts, its mailbox
 *	worker_pool.c  all of them, what they share, start and end
 */
#ifndef PROXY_WORKER_PRIVATE_H
#define PROXY_WORKER_PRIVATE_H

#include <pthread.h>

#include "proxy/worker.h"

struct listener;

/* What other threads may ask of a worker, as bits. */
enum worker_order {
	WORKER_DRAIN = 1,
	WORKER_STOP = 2, /* its sessions end */
	WORKER_QUIT = 4, /* its thread ends */
};

/* What another thread has accepted. */
struct posted {
	STAILQ_ENTRY(posted) link;
	struct arrival arrival;
};
STAILQ_HEAD(posted_list, posted);

struct worker_private {
	pthread_t thread;
	bool running;      /* to be joined */
	atomic_ulong self; /* pthread_self() of its loop; 0: none yet */
	struct listener **listeners;
	size_t nlisteners;
	struct event *tidy;
	struct event *mail; /* `bell` was rung */
	int bell;           /* an eventfd */

	pthread_mutex_t lock; /* of what follows */
	struct posted_list arrivals;
	unsigned orders;
};

/* With all its contexts, not running; may be called from any thread.  NULL
 * with `err`. */
struct worker *worker_new(struct proxy *p, struct err *err);
void worker_free(struct worker *w); /* not running; accepts NULL */
int worker_start(struct worker *w, size_t number, struct err *err)
    __attribute__((warn_unused_result));
void worker_join(struct worker *w); /* after WORKER_QUIT */
void worker_order(struct worker *w, enum worker_order order);
int worker_listen(struct worker *w, struct listener_set *s, struct err *err)
    __attribute__((warn_unused_result));

#endif /* PROXY_WORKER_PRIVATE_H */
