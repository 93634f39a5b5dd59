/*
 * query.h - one question to the nameservers, until one of them answers
 *
 * Over UDP from a fresh port, over TCP when the answer was cut; each attempt
 * goes to the next nameserver.  The callback comes once, from the loop and
 * never from within query_start(), unless query_cancel() comes first; both
 * free everything.
 */
#ifndef PROXY_QUERY_H
#define PROXY_QUERY_H

#include <event2/event.h>

#include "conf/endpoint.h"
#include "proxy/dns.h"

#define NAMESERVERS_MAX 3 /* as in every resolv.conf's manual */
struct nameservers {
	struct address list[NAMESERVERS_MAX];
	size_t n;      /* at least one */
	bool tcp_only; /* "options use-vc" */
};

struct query_plan {
	const struct nameservers *servers; /* copied */
	size_t first;                      /* the one to begin with */
	double timeout;                    /* of one attempt, in seconds */
	unsigned attempts;
};

struct query;
/* `server` is the nameserver that answered, if the status is an answer. */
typedef void (*query_cb)(const struct dns_answer *a, size_t server, void *arg);

/* NULL if memory is short. */
struct query *query_start(struct event_base *base,
    const struct query_plan *plan, const struct dns_name *name,
    enum dns_type type, query_cb cb, void *arg);
void query_cancel(struct query *q); /* accepts NULL */

#endif /* PROXY_QUERY_H */
