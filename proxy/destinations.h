/*
 * destinations.h - where the clients of a transparent listener were going, and
 * which endpoint that is
 *
 * One listener's, on one thread.  Names of servers are asked for again when
 * their answers expire, in the background: nobody waits for one but the
 * listener, which accepts nobody before each has been asked for once.  What
 * could not be resolved changes nothing.
 */
#ifndef PROXY_DESTINATIONS_H
#define PROXY_DESTINATIONS_H

#include <stdbool.h>

#include <event2/event.h>

#include "conf/config.h"
#include "conf/routes.h"
#include "proxy/dial.h"

struct destinations;

struct destinations_how {
	const struct address *listen;
	bool tells; /* in the log, of names that cannot be resolved */
	void (*ready)(void *arg); /* once, from the loop; not if it is ready
	                           * from the beginning */
	void *arg;
};

/* Asks by the dialer's resolver.  NULL if memory is short. */
struct destinations *destinations_new(struct event_base *base,
    const struct config *c, struct dialer *dialer,
    const struct destinations_how *how);
void destinations_free(struct destinations *d); /* accepts NULL */

/* Has each name been asked for? */
bool destinations_ready(const struct destinations *d);

enum route_match destinations_find(const struct destinations *d,
    const struct address *to, struct route *out);
/* As routes_endpoint(). */
const struct endpoint *destinations_endpoint(const struct destinations *d,
    size_t nth);

/* Where an accepted connection was going.  One that no rule has brought was
 * going to the listener itself.  False, with errno. */
bool destination_of(int fd, enum transparent how, struct address *to)
    __attribute__((warn_unused_result));

/* Is that an address of this machine?  True also if it cannot be known. */
bool destination_is_local(const struct address *to);

#endif /* PROXY_DESTINATIONS_H */
