/*
 * health.h - which servers of an endpoint are down, known to all threads
 *
 * A server that failed is passed over for retry_after seconds.  Then one dial
 * tries it again while the others still pass over it, so that a server which
 * is gone delays one session at a time and not all of them.  Whoever changes
 * what is known logs it: server.down, server.up, server.changed.
 */
#ifndef PROXY_HEALTH_H
#define PROXY_HEALTH_H

#include "proxy/dial.h"

/* May a dial try this server now?  True also for the one dial that tries it
 * again.  `now` is seconds of any clock that does not go back.  `h` NULL, here
 * and below: nobody keeps a record. */
bool server_health_may_try(struct server_health *h, size_t server, double now);

void server_health_failed(struct server_health *h, size_t server, double now,
    const char *why);
void server_health_reached(struct server_health *h, size_t server);

#endif /* PROXY_HEALTH_H */
