#include "proxy/listener_route.h"

#include <errno.h>
#include <string.h>

#include "proxy/listener.h"
#include "proxy/log.h"

static void
go_astray(struct arrival *a, enum reason reason, const char *detail)
{
	a->astray = true;
	a->admitted = reason;
	a->detail = detail;
}

/* Is that one of our listeners, whichever of this machine's addresses it was
 * reached by? */
static bool
is_listener(const struct proxy *p, const struct address *to)
{
	const struct address *at;
	size_t i;

	for (i = 0; i < p->nsets; i++) {
		at = listener_set_address(p->sets[i]);
		if (at->sa.ss_family != to->sa.ss_family ||
		    address_port(at) != address_port(to))
			continue;
		if (address_same_ip(at, to) ||
		    (address_is_wildcard(at) && destination_is_local(to)))
			return true;
	}
	return false;
}

/* Two names, or a name and an address: which no configuration shows. */
static void
tell_several(const struct address *to, const struct route *r)
{
	char text[ADDRESS_TEXT_MAX];

	log_event(LEVEL_WARN, "route.ambiguous", NULL,
	    "%s is as much %s's as %s's: nobody is let through to it; write "
	    "its address in one of them, or give them different ports or "
	    "listen addresses",
	    address_format(to, text, sizeof(text)), r->endpoint->name,
	    r->other->name);
}

static void
choose(const struct destinations *d, struct arrival *a)
{
	struct route r;

	switch (destinations_find(d, &a->destination, &r)) {
	case ROUTE_NONE:
		go_astray(a, REASON_NO_ENDPOINT,
		    "no endpoint has this destination");
		return;
	case ROUTE_SEVERAL:
		tell_several(&a->destination, &r);
		go_astray(a, REASON_NO_ENDPOINT,
		    "two endpoints have this destination");
		return;
	case ROUTE_ONE:
		a->endpoint = r.endpoint;
		a->listen = r.listen;
		a->server = r.server;
		return;
	}
}

/*
 * Who may not connect to any of them is told nothing, nor who speaks for
 * others; nor can be told, where they are of different engines.
 */
static const struct endpoint *
spokesman(const struct destinations *d, const struct address *client)
{
	const struct endpoint *e, *found = NULL;
	size_t i;

	for (i = 0; (e = destinations_endpoint(d, i)) != NULL; i++) {
		if (e->ops != destinations_endpoint(d, 0)->ops)
			return NULL;
		if (found == NULL && e->proxy_accept.n == 0 &&
		    limits_allow(e, client))
			found = e;
	}
	return found;
}

/* Might that client have been one of theirs, by itself or for others? */
static const struct endpoint *
acquaintance(const struct destinations *d, const struct address *client)
{
	const struct endpoint *e;
	size_t i;

	for (i = 0; (e = destinations_endpoint(d, i)) != NULL; i++) {
		if (e->proxy_accept.n > 0
			? cidr_list_has(&e->proxy_accept, client)
			: limits_allow(e, client))
			return e;
	}
	return NULL;
}

/*
 * It came to the listener itself, as those do that look whether somebody is
 * there, all day long: connect, and leave.  One that stays, or says something,
 * is refused and told of; which strangers are at once.
 */
static void
doubt(const struct destinations *d, struct arrival *a)
{
	go_astray(a, REASON_LOOP,
	    "the destination is a listener of this proxy itself: "
	    "no rule of the kernel has brought this connection");
	a->endpoint = spokesman(d, &a->client);
	a->mute = a->endpoint == NULL;
	if (a->mute)
		a->endpoint = acquaintance(d, &a->client);
	a->doubtful = a->endpoint != NULL;
}

void
listener_route(const struct destinations *d, const struct proxy *p,
    struct arrival *a)
{
	enum transparent how = a->endpoint->transparent;

	if (!destination_of(a->fd, how, &a->destination)) {
		a->destination.len = 0;
		a->endpoint = NULL;
		go_astray(a, REASON_NO_ENDPOINT, strerror(errno));
		return;
	}
	/* It is ourselves: there is nobody to be told. */
	if (outgoing_has(p->outgoing, &a->client, &a->destination)) {
		a->endpoint = NULL;
		go_astray(a, REASON_LOOP,
		    "it is a connection of this proxy itself: a rule of the "
		    "kernel brings back what it sends");
		return;
	}
	if (is_listener(p, &a->destination)) {
		doubt(d, a);
		return;
	}
	choose(d, a);
	if (a->astray)
		a->endpoint = spokesman(d, &a->client);
}
