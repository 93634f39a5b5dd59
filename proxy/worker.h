/*
 * worker.h - a thread, its event loop, and everything below it
 *
 * What a worker owns is never touched by another thread, so nothing below it
 * has a lock.  Threads share the configuration, which never changes, and the
 * few counted things of struct proxy.
 */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include <sys/queue.h>

#include <stdatomic.h>

#include <event2/event.h>

#include "conf/config.h"
#include "conf/err.h"
#include "proxy/cancels.h"
#include "proxy/dial.h"
#include "proxy/ktls.h"
#include "proxy/limits.h"
#include "proxy/outgoing.h"
#include "proxy/tls.h"

struct listener_set;
struct members;
struct relay_buffers;
struct secrets;
struct session;
struct ticket_keys;
struct worker;
TAILQ_HEAD(session_list, session);

/* What all threads share. */
struct proxy {
	const struct config *config;
	struct cancels *cancels;
	struct limits *limits;
	struct outgoing *outgoing;     /* NULL: no listener is transparent */
	struct server_health **health; /* by endpoint index */
	struct ticket_keys **tickets;  /* the same; NULL: clients have no TLS */
	struct secrets *secrets;
	/* What the kernel can do, if any endpoint asks for it; else nothing. */
	struct ktls_support ktls;
	/* Of the above, by endpoint index; none is NULL. */
	const struct neg_services *const *services;
	/* By endpoint index; NULL where there are no endpoint_pairs(). */
	struct members **members;
	atomic_ullong next_session; /* ids, from 1 */
	atomic_uint sessions;       /* adopted by any worker, not released */
	atomic_llong trimmed;       /* seconds, of times_now(); see below */
	atomic_bool draining;       /* new connections are turned away */
	atomic_uint undrained; /* workers that have yet to stop accepting */
	unsigned max_sessions; /* configured, or what descriptors allow */
	struct listener_set **sets;
	size_t nsets;
	struct worker **workers;
	size_t nworkers;
};

/* Clients that are being told why they are turned away have descriptors too:
 * beyond this many of them are not told. */
#define PROXY_REFUSALS_MAX 256

struct worker {
	struct proxy *proxy;
	struct event_base *base;
	struct dialer *dialer;
	struct relay_buffers *buffers; /* shared by its sessions; relay.h */
	struct tls_stores *stores;
	struct tls_context **contexts[LEG_COUNT]; /* by endpoint index */
	struct session_list sessions;
	struct session_list ended; /* freed when the loop comes round */
	struct event *reap;        /* activated to do that */
	struct event *trim;        /* of the heap, some time after */
	unsigned handshakes;       /* ... so many, or 0 */
	bool late; /* so that it passes deadlines that could not be set */
	atomic_uint load; /* adopted, not released; for accept = "balance" */
	struct worker_private *private; /* worker_private.h */
};

/* All workers, their contexts and listeners, not running yet; every error of
 * listening or of OpenSSL shows here.  NULL with `err`. */
struct proxy *proxy_new(const struct config *c, struct err *err);
int proxy_start(struct proxy *p, struct err *err); /* starts the threads */
/* Stops accepting; sessions go on for at most their endpoint's drain. */
void proxy_drain(struct proxy *p);
void proxy_stop(struct proxy *p);       /* ends the sessions still open, now */
bool proxy_idle(const struct proxy *p); /* no session left */
void proxy_free(struct proxy *p);       /* joins the threads, frees all */

/* A connection that was accepted. */
struct arrival {
	const struct endpoint *endpoint;
	size_t listen; /* which of its listen addresses it came by */
	int fd;
	struct address client;
	/* By a transparent listener: where it was going, and which of the
	 * endpoint's servers has that; else len 0. */
	struct address destination;
	size_t server;
	/* It is nobody's: the endpoint only lends its protocol, to say so. */
	bool astray;
	/* ... it may be a probe, which leaves before it has said anything; and
	 * if it is none, the protocol is lent for its limits of time only. */
	bool doubtful;
	bool mute;
	const char *detail;   /* more about `admitted`; a literal, or NULL */
	enum reason admitted; /* what limits_enter() said: REASON_NONE, or why
	                       * the client is to be turned away */
};

/* For the listener, from any thread: it is for this worker, and counts from now
 * on.  session_new() follows, on the worker's own thread. */
void worker_adopt(struct worker *w, const struct arrival *a);
/* `w` itself, unless another has fewer sessions. */
struct worker *worker_least_loaded(struct worker *w);

/* For the session: a handshake has ended well.  It took many times what is left
 * of it, and what it gave back lies in between: the system has that back in a
 * while, if there were enough of them.  That goes through the heap of every
 * thread, and nobody is served meanwhile: it is done once a minute at most. */
#define WORKER_TRIM_HANDSHAKES 128
#define WORKER_TRIM_SECONDS    2
#define WORKER_TRIM_EVERY      60
static inline void
worker_secured(struct worker *w)
{
	static const struct timeval later = { .tv_sec = WORKER_TRIM_SECONDS };

	if (++w->handshakes == WORKER_TRIM_HANDSHAKES &&
	    event_add(w->trim, &later) == -1)
		w->handshakes = 0; /* another time */
}
/* For the session, once it is freed: takes back what worker_adopt() counted,
 * in the worker's load and in the proxy's sessions. */
static inline void
worker_released(struct worker *w)
{
	(void)atomic_fetch_sub(&w->load, 1);
	(void)atomic_fetch_sub(&w->proxy->sessions, 1);
}

#endif /* PROXY_WORKER_H */
