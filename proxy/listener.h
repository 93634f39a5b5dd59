/*
 * listener.h - listening sockets, and the accept that knows when to stop
 *
 * Every worker has a listening socket of its own for each TCP address
 * (SO_REUSEPORT).  With accept = "balance" the accepted descriptor goes to the
 * worker with the fewest sessions.  When descriptors run out accepting pauses,
 * instead of spinning.  An address that another process serves is refused,
 * with its pid.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include "proxy/worker.h"

/* The sockets of one listen address of one endpoint, one per worker. */
struct listener_set;
struct listener_set *listener_set_new(const struct endpoint *e,
    const struct address *a, size_t nworkers, struct err *err);
void listener_set_free(struct listener_set *s);

/* One worker's share; runs on its loop. */
struct listener *listener_new(struct worker *w, struct listener_set *s,
    struct err *err);
/* Accepts what is queued already, then closes. */
void listener_stop(struct listener *l);
void listener_free(struct listener *l);

#endif /* PROXY_LISTENER_H */
