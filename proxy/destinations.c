#include "proxy/destinations.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "proxy/log.h"
#include "proxy/resolve.h"
#include "proxy/times.h"

/* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST; the kernel's own headers for them
 * do not go together with those of the C library. */
#define ORIGINAL_DST 80

/* However short-lived an answer is. */
#define ASK_SECONDS_MIN 1.0

/* A name, and when it is asked for again. */
struct watch {
	struct destinations *of;
	size_t name;
	struct resolution *asked; /* NULL: it waits for its time */
	struct event again;
	bool heard;  /* asked for once, whatever came of it */
	bool failed; /* the last time; that has been told */
};

struct destinations {
	struct event_base *base;
	struct resolver *resolver;
	struct destinations_how how;
	struct routes *routes;
	struct watch *watches; /* by the names' numbers */
	size_t nwatches;
	size_t unheard;
};

static void ask(struct watch *w);

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ask(arg);
}

static void
ask_again(struct watch *w, double seconds)
{
	struct timeval tv;

	if (seconds < ASK_SECONDS_MIN)
		seconds = ASK_SECONDS_MIN;
	tv = times_interval(seconds);
	(void)event_add(&w->again, &tv);
}

static void
heard(struct watch *w)
{
	struct destinations *d = w->of;

	if (w->heard)
		return;
	w->heard = true;
	if (--d->unheard == 0)
		d->how.ready(d->how.arg);
}

static void
tell(struct watch *w, const char *why)
{
	const struct destinations *d = w->of;
	bool failed = why != NULL;

	if (failed == w->failed)
		return;
	w->failed = failed;
	if (!d->how.tells)
		return;
	if (failed)
		log_event(LEVEL_WARN, "server.unresolved", NULL,
		    "%s: %s; connections to the addresses that it had before "
		    "are still taken",
		    routes_name(d->routes, w->name), why);
	else
		log_event(LEVEL_NOTICE, "server.resolved", NULL,
		    "%s can be resolved again",
		    routes_name(d->routes, w->name));
}

static void
resolved(struct answer *a, void *arg)
{
	struct watch *w = arg;
	struct destinations *d = w->of;
	double left = a->expires - resolver_now(d->resolver);

	w->asked = NULL;
	if (a->n > 0 &&
	    routes_learn(d->routes, w->name, a->list, a->n, times_now()) == -1)
		left = 0; /* memory is short: it has what it had */
	tell(w, a->n > 0 ? NULL : a->why);
	ask_again(w, left);
	heard(w);
}

static void
ask(struct watch *w)
{
	struct destinations *d = w->of;

	w->asked = resolve_start(d->resolver, routes_name(d->routes, w->name),
	    resolved, w);
	if (w->asked == NULL)
		ask_again(w, 0);
}

static void
watch_names(struct destinations *d)
{
	size_t i;

	d->nwatches = d->unheard = routes_names(d->routes);
	for (i = 0; i < d->nwatches; i++) {
		struct watch *w = &d->watches[i];

		w->of = d;
		w->name = i;
		(void)evtimer_assign(&w->again, d->base, on_again, w);
		ask(w);
	}
}

struct destinations *
destinations_new(struct event_base *base, const struct config *c,
    struct dialer *dialer, const struct destinations_how *how)
{
	struct destinations *d;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	d->base = base;
	d->resolver = dialer_resolver(dialer);
	d->how = *how;
	d->routes = routes_new(c->endpoints, c->nendpoints, how->listen);
	if (d->routes == NULL)
		goto fail;
	d->watches = calloc(routes_names(d->routes) + 1, sizeof(*d->watches));
	if (d->watches == NULL)
		goto fail;
	watch_names(d);
	return d;
fail:
	destinations_free(d);
	return NULL;
}

void
destinations_free(struct destinations *d)
{
	size_t i;

	if (d == NULL)
		return;
	for (i = 0; i < d->nwatches; i++) {
		resolve_cancel(d->watches[i].asked);
		(void)event_del(&d->watches[i].again);
	}
	routes_free(d->routes);
	free(d->watches);
	free(d);
}

bool
destinations_ready(const struct destinations *d)
{
	return d->unheard == 0;
}

enum route_match
destinations_find(const struct destinations *d, const struct address *to,
    struct route *out)
{
	return routes_find(d->routes, to, times_now(), out);
}

const struct endpoint *
destinations_endpoint(const struct destinations *d, size_t nth)
{
	return routes_endpoint(d->routes, nth);
}

static bool
own_address(int fd, struct address *a)
{
	*a = (struct address){ .len = sizeof(a->sa) };
	return getsockname(fd, (struct sockaddr *)&a->sa, &a->len) == 0;
}

bool
destination_of(int fd, enum transparent how, struct address *to)
{
	int level;

	if (!own_address(fd, to))
		return false;
	if (how != TRANSPARENT_REDIRECT)
		return true;
	level = to->sa.ss_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
	to->len = sizeof(to->sa);
	if (getsockopt(fd, level, ORIGINAL_DST, &to->sa, &to->len) == 0)
		return true;
	/* Nothing has rewritten it, or the kernel does not keep what was. */
	return own_address(fd, to);
}

/* Only a connection to one's own address leaves from that very address. */
bool
destination_is_local(const struct address *to)
{
	struct address from;
	bool local = true;
	int fd;

	fd = socket(to->sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return true;
	if (connect(fd, (const struct sockaddr *)&to->sa, to->len) == -1)
		local = false; /* it is nowhere at all */
	else if (own_address(fd, &from))
		local = address_same_ip(&from, to);
	(void)close(fd);
	return local;
}
