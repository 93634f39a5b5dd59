/*
 * listener_route.h - whose an accepted connection is, on a transparent listener
 */
#ifndef PROXY_LISTENER_ROUTE_H
#define PROXY_LISTENER_ROUTE_H

#include "proxy/destinations.h"
#include "proxy/worker.h"

/*
 * Fills in what the arrival's descriptor and client say: the destination, and
 * the endpoint and server that are meant by it.  Where none is meant `admitted`
 * says why, `astray` is set, and the endpoint is one that lends its protocol to
 * tell the client; NULL: it cannot, or must not, be told.  Where a client that
 * must not may be a probe, the endpoint lends its limits of time, and `mute` is
 * set.
 */
void listener_route(const struct destinations *d, const struct proxy *p,
    struct arrival *a);

#endif /* PROXY_LISTENER_ROUTE_H */
