/*
 * resolve.h - from a name to its addresses, without waiting
 *
 * A resolver belongs to a worker and runs on its loop.  In this order: what
 * is an address already; localhost, which is loopback whatever anybody says;
 * the hosts file; the nameservers of resolv.conf.  Both files are read again
 * when they have changed.  Answers are kept for their TTL within the
 * configuration's bounds, failures for negative_ttl; a name is asked for once
 * however many wait for it.  The cache is bounded: the name that was not used
 * for the longest time goes.
 */
#ifndef PROXY_RESOLVE_H
#define PROXY_RESOLVE_H

#include <event2/event.h>

#include "conf/config.h"
#include "conf/err.h"

/* Counted and constant; belongs to one thread, as everything here. */
struct answer {
	unsigned references;
	double expires;  /* by the resolver's clock */
	const char *why; /* if n is 0: "no such name (NXDOMAIN)" */
	size_t n;
	struct address list[]; /* IPv6 and IPv4 in turn; ports are 0 */
};
struct answer *answer_retain(struct answer *a);
void answer_release(struct answer *a); /* accepts NULL */

/* All zero is how the program runs; tests give their own. */
struct resolver_settings {
	const char *hosts;                /* NULL: /etc/hosts */
	const char *resolv_conf;          /* NULL: /etc/resolv.conf */
	const struct address *nameserver; /* with its port, instead of those in
	                                   * resolv.conf */
	size_t names_max;                 /* 0: RESOLVE_NAMES_MAX */
	double (*clock)(void *arg);       /* seconds; NULL: monotonic time */
	void *clock_arg;
};
#define RESOLVE_NAMES_MAX 1024

struct resolver;
/* Keeps what it needs of both. */
struct resolver *resolver_new(struct event_base *base, const struct config *c,
    const struct resolver_settings *settings, struct err *err);
/* After every resolution has ended; what is still asked for is dropped. */
void resolver_free(struct resolver *r);
double resolver_now(const struct resolver *r);
size_t resolver_names(const struct resolver *r); /* in the cache */

/* The callback comes exactly once, from the loop and never from within
 * resolve_start(), unless resolve_cancel() comes first.  The answer is the
 * callback's to retain.  NULL if memory is short. */
struct resolution;
typedef void (*resolve_cb)(struct answer *a, void *arg);
struct resolution *resolve_start(struct resolver *r, const char *host,
    resolve_cb cb, void *arg);
void resolve_cancel(struct resolution *w); /* accepts NULL */

#endif /* PROXY_RESOLVE_H */
