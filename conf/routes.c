#include "conf/routes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NO_NAME SIZE_MAX

/* How well a destination is met: two for each bit of the prefix, so that what
 * has left a name's answer stands just below what is there. */
#define RANK_BIT    2u
#define RANK_LEFT   1u
#define ADDRESS_LEN 128u /* bits of a prefix that is an address */

/* An address that a name has, or had. */
struct known {
	struct cidr address;
	bool has_left;
	double left; /* when it did */
};

struct name {
	const char *host;
	struct known *known;
	size_t n;
};

/* One server of one endpoint. */
struct entry {
	const struct endpoint *endpoint;
	size_t listen;
	size_t server;
	uint16_t port;
	struct cidr network; /* unless there is a name: */
	size_t name;
};

struct routes {
	struct name *names;
	size_t nnames;
	struct entry *entries;
	size_t n;
	const struct endpoint **endpoints;
	size_t nendpoints;
};

/* Which of its listen addresses that is; false if none. */
static bool
listens_at(const struct endpoint *e, const struct address *at, size_t *listen)
{
	size_t i;

	for (i = 0; i < e->nlistens; i++) {
		if (address_equal(&e->listens[i], at)) {
			*listen = i;
			return true;
		}
	}
	return false;
}

/* Its number; there is room for one more. */
static size_t
name_number(struct routes *r, const char *host)
{
	size_t i;

	for (i = 0; i < r->nnames; i++) {
		if (strcasecmp(r->names[i].host, host) == 0)
			return i;
	}
	r->names[r->nnames] = (struct name){ .host = host };
	return r->nnames++;
}

/* False for what no destination is: a unix socket. */
static bool
entry_set(struct routes *r, struct entry *n, const struct server *s)
{
	n->port = s->port;
	n->name = NO_NAME;
	n->network = s->network;
	if (s->is_network)
		return true;
	if (s->fixed.len != 0)
		return cidr_of_address(&s->fixed, &n->network);
	n->name = name_number(r, s->host);
	return true;
}

static void
add_endpoint(struct routes *r, const struct endpoint *e, size_t listen)
{
	struct entry n = { .endpoint = e, .listen = listen };

	r->endpoints[r->nendpoints++] = e;
	for (n.server = 0; n.server < e->nservers; n.server++) {
		if (entry_set(r, &n, &e->servers[n.server]))
			r->entries[r->n++] = n;
	}
}

struct routes *
routes_new(struct endpoint *const *list, size_t n, const struct address *at)
{
	struct routes *r;
	size_t i, listen, most = 0;

	for (i = 0; i < n; i++)
		most += list[i]->nservers;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->names = calloc(most + 1, sizeof(*r->names));
	r->entries = calloc(most + 1, sizeof(*r->entries));
	r->endpoints = calloc(n + 1, sizeof(struct endpoint *));
	if (r->names == NULL || r->entries == NULL || r->endpoints == NULL) {
		routes_free(r);
		return NULL;
	}
	for (i = 0; i < n; i++) {
		if (list[i]->transparent != TRANSPARENT_OFF &&
		    listens_at(list[i], at, &listen))
			add_endpoint(r, list[i], listen);
	}
	return r;
}

void
routes_free(struct routes *r)
{
	size_t i;

	if (r == NULL)
		return;
	for (i = 0; i < r->nnames; i++)
		free(r->names[i].known);
	free(r->names);
	free(r->entries);
	free(r->endpoints);
	free(r);
}

size_t
routes_names(const struct routes *r)
{
	return r->nnames;
}

const char *
routes_name(const struct routes *r, size_t name)
{
	return r->names[name].host;
}

const struct endpoint *
routes_endpoint(const struct routes *r, size_t nth)
{
	return nth < r->nendpoints ? r->endpoints[nth] : NULL;
}

static bool
is_among(const struct known *list, size_t n, const struct cidr *address)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (cidr_equal(&list[i].address, address))
			return true;
	}
	return false;
}

static bool
counts(const struct known *k, double now)
{
	return !k->has_left || now - k->left <= ROUTE_LINGER_SECONDS;
}

/* What it had before and has no more, for as long as that counts. */
static size_t
keep_left(struct known *list, size_t n, const struct name *before, double now)
{
	size_t i;

	for (i = 0; i < before->n && n < ROUTE_ADDRESSES_MAX; i++) {
		struct known k = before->known[i];

		if (!k.has_left)
			k.left = now;
		k.has_left = true;
		if (counts(&k, now) && !is_among(list, n, &k.address))
			list[n++] = k;
	}
	return n;
}

int
routes_learn(struct routes *r, size_t name, const struct address *list,
    size_t n, double now)
{
	struct name *of = &r->names[name];
	struct known k = { .has_left = false }, *known;
	size_t i, have = 0, room = n + of->n;

	if (room > ROUTE_ADDRESSES_MAX)
		room = ROUTE_ADDRESSES_MAX;
	if ((known = calloc(room + 1, sizeof(*known))) == NULL)
		return -1;
	for (i = 0; i < n && have < ROUTE_ADDRESSES_MAX; i++) {
		if (cidr_of_address(&list[i], &k.address) &&
		    !is_among(known, have, &k.address))
			known[have++] = k;
	}
	have = keep_left(known, have, of, now);
	free(of->known);
	of->known = known;
	of->n = have;
	return 0;
}

/* 0: it has no such address. */
static unsigned
name_rank(const struct name *name, const struct cidr *to, double now)
{
	size_t i;

	for (i = 0; i < name->n; i++) {
		const struct known *k = &name->known[i];

		if (cidr_equal(&k->address, to) && counts(k, now))
			return ADDRESS_LEN * RANK_BIT -
			    (k->has_left ? RANK_LEFT : 0);
	}
	return 0;
}

/* 0: not at all; a network of no bits is none (check_server()). */
static unsigned
entry_rank(const struct routes *r, const struct entry *n,
    const struct address *to, const struct cidr *exact, double now)
{
	if (n->port != address_port(to))
		return 0;
	if (n->name != NO_NAME)
		return name_rank(&r->names[n->name], exact, now);
	return cidr_has(&n->network, to) ? n->network.bits * RANK_BIT : 0;
}

enum route_match
routes_find(const struct routes *r, const struct address *to, double now,
    struct route *out)
{
	unsigned best = 0, rank;
	struct cidr exact;
	size_t i;

	*out = (struct route){ .endpoint = NULL };
	if (!cidr_of_address(to, &exact))
		return ROUTE_NONE;
	for (i = 0; i < r->n; i++) {
		const struct entry *n = &r->entries[i];

		rank = entry_rank(r, n, to, &exact, now);
		if (rank == 0 || rank < best)
			continue;
		if (rank > best)
			*out = (struct route){ .endpoint = n->endpoint,
				.listen = n->listen,
				.server = n->server };
		else if (n->endpoint != out->endpoint)
			out->other = n->endpoint;
		best = rank;
	}
	if (out->endpoint == NULL)
		return ROUTE_NONE;
	return out->other == NULL ? ROUTE_ONE : ROUTE_SEVERAL;
}
