/*
 * routes.h - which endpoint a connection is for, by where it was going
 *
 * A transparent listener serves many endpoints.  A destination is the one's
 * whose server has it with the longest prefix, at that port; an address alone
 * and an address of a name are as long as there is.  What a name has is told
 * by whoever asks for it (routes_learn()): the last answer counts, and what has
 * left it counts for ROUTE_LINGER_SECONDS more, but never against what somebody
 * has at present.  What two endpoints have alike is nobody's: it is refused,
 * as is what none has.  Pure: no clock, no lookups.
 */
#ifndef CONF_ROUTES_H
#define CONF_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/address.h"
#include "conf/endpoint.h"

#define ROUTE_LINGER_SECONDS 300.0
/* Of a name, at most: those in its last answer, then those that have left. */
#define ROUTE_ADDRESSES_MAX 256

struct routes;

/* Of those of the list that are transparent and listen there.  NULL
 * if memory is short. */
struct routes *routes_new(struct endpoint *const *list, size_t n,
    const struct address *at);
void routes_free(struct routes *r); /* accepts NULL */

/* The names to be asked for, by number, each once. */
size_t routes_names(const struct routes *r);
const char *routes_name(const struct routes *r, size_t name);

/* The addresses that it has now, whatever their ports; never what is said of a
 * name that could not be resolved.  -1 if memory is short: it has what it had
 * before. */
int routes_learn(struct routes *r, size_t name, const struct address *list,
    size_t n, double now) __attribute__((warn_unused_result));

enum route_match {
	ROUTE_NONE = 0,
	ROUTE_ONE,
	ROUTE_SEVERAL, /* `endpoint` and `other` have it alike */
};

struct route {
	const struct endpoint *endpoint;
	size_t listen; /* which of its listen addresses that is */
	size_t server; /* which of its servers has that destination */
	const struct endpoint *other;
};
enum route_match routes_find(const struct routes *r, const struct address *to,
    double now, struct route *out);

/* The nth of the endpoints that may be chosen here; NULL: there are no more. */
const struct endpoint *routes_endpoint(const struct routes *r, size_t nth);

#endif /* CONF_ROUTES_H */
