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

/* The sockets of one of an endpoint's listen addresses, `listen` by number: one
 * per worker, or one in all for a unix socket.  They listen from the beginning,
 * so connections wait from then on. */
struct listener_set;
struct listener_set *listener_set_new(const struct endpoint *e, size_t listen,
    size_t nworkers, struct err *err);
/* After its listeners.  Removes a unix socket's file if it is still ours. */
void listener_set_free(struct listener_set *s); /* accepts NULL */

size_t listener_set_sockets(const struct listener_set *s);
/* The file of a unix socket is theirs from now on. */
int listener_set_give(const struct listener_set *s, uid_t uid, gid_t gid,
    struct err *err) __attribute__((warn_unused_result));
const struct endpoint *listener_set_endpoint(const struct listener_set *s);
/* With the port that the kernel chose, if the one configured is 0. */
const struct address *listener_set_address(const struct listener_set *s);

/* One worker's share, the next socket of the set that nobody has; runs on the
 * worker's loop. */
struct listener *listener_new(struct worker *w, struct listener_set *s,
    struct err *err);
/* Accepts what is queued already, then closes. */
void listener_stop(struct listener *l);
void listener_free(struct listener *l); /* accepts NULL */

#endif /* PROXY_LISTENER_H */
