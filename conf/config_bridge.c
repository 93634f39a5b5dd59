#include "conf/config_bridge.h"

#include <string.h>
#include <strings.h>

struct bridge {
	const struct draft *d;
	const struct endpoint *e;
	struct problems *problems;
};

static bool
is_name(const struct server *s)
{
	return s->host != NULL && s->fixed.len == 0;
}

static void
listen_problem(struct bridge *b, size_t i, const char *why)
{
	const struct text *at = &draft_value(b->d, SETTING_LISTEN)->texts[i];
	char path[DRAFT_PATH_MAX];

	draft_path(b->d, "listen", path);
	problem_add(b->problems, false, b->d->file, at->line, path, "\"%s\" %s",
	    at->s, why);
}

static void
check_listens(struct bridge *b)
{
	size_t i;

	if (!draft_sound(b->d, SETTING_LISTEN))
		return;
	for (i = 0; i < b->e->nlistens; i++) {
		const struct address *a = &b->e->listens[i];

		if (address_is_unix(a))
			listen_problem(b, i,
			    "is a unix socket, to which the kernel redirects "
			    "nothing; a transparent endpoint listens at an "
			    "address and a port");
		else if (address_port(a) == 0)
			listen_problem(b, i,
			    "has no port of its own, which the rule that "
			    "brings connections must name; write one");
	}
}

/* The server's own setting, or the endpoint's. */
static bool
names_something(const struct bridge *b, const struct draft *server)
{
	return draft_given(server, SETTING_SERVER_OWN_NAME) ||
	    draft_given(server, SETTING_SERVER_OWN_DN) ||
	    draft_given(b->d, SETTING_SERVER_NAME) ||
	    draft_given(b->d, SETTING_SERVER_DN);
}

/* Is there a listen address that its clients can come by? */
static bool
can_be_chosen(const struct bridge *b, const struct server *s)
{
	bool v4 = s->is_network ? cidr_is_v4(&s->network)
				: s->fixed.sa.ss_family == AF_INET;
	size_t i;

	for (i = 0; i < b->e->nlistens; i++) {
		if (is_name(s) ||
		    (b->e->listens[i].sa.ss_family == AF_INET) == v4)
			return true;
	}
	return b->e->nlistens == 0;
}

static void
check_name(struct bridge *b, const struct server *s, const struct draft *d)
{
	if (draft_value(b->d, SETTING_SSL_MODE)->spoilt ||
	    b->e->mode >= SSL_MODE_VERIFY_CA)
		return;
	draft_problem(d, SETTING_SERVER_ADDRESS, false, b->problems,
	    "\"%s\" is a name, by which whoever answers for it would choose "
	    "what is relayed and where: with ssl_mode = \"%s\" nothing shows "
	    "that it is the database; write its address or network, or "
	    "ssl_mode = \"verify-full\"",
	    s->text, ssl_mode_name(b->e->mode));
}

static void
check_server(struct bridge *b, const struct server *s, const struct draft *d)
{
	if (s->text == NULL) /* that has been said */
		return;
	if (s->fixed.len != 0 && address_is_unix(&s->fixed)) {
		draft_problem(d, SETTING_SERVER_ADDRESS, false, b->problems,
		    "\"%s\" is a unix socket, where no client of a "
		    "transparent endpoint was going; write \"HOST:PORT\"",
		    s->text);
		return;
	}
	if (is_name(s))
		check_name(b, s, d);
	if (s->is_network && b->e->mode == SSL_MODE_VERIFY_FULL &&
	    !names_something(b, d))
		draft_problem(d, SETTING_SERVER_ADDRESS, false, b->problems,
		    "\"%s\" is a network, and no address in it says what the "
		    "certificate must: ssl_mode = \"verify-full\" needs "
		    "server_name or server_dn beside it",
		    s->text);
	if (!can_be_chosen(b, s))
		draft_problem(d, SETTING_SERVER_ADDRESS, true, b->problems,
		    "\"%s\" is never chosen: no listen address is of its "
		    "family",
		    s->text);
}

/* One place that clients go to? */
static bool
same_destination(const struct server *a, const struct server *b)
{
	struct cidr left, right;

	if (a->text == NULL || b->text == NULL || a->port != b->port)
		return false;
	if (is_name(a) || is_name(b))
		return is_name(a) && is_name(b) &&
		    strcasecmp(a->host, b->host) == 0;
	left = a->network;
	right = b->network;
	if ((!a->is_network && !cidr_of_address(&a->fixed, &left)) ||
	    (!b->is_network && !cidr_of_address(&b->fixed, &right)))
		return false;
	return cidr_equal(&left, &right);
}

static void
check_servers(struct bridge *b)
{
	const struct endpoint *e = b->e;
	size_t i, k;

	for (i = 0; i < e->nservers; i++) {
		check_server(b, &e->servers[i], b->d->children[i]);
		for (k = 0; k < i; k++) {
			if (!same_destination(&e->servers[k], &e->servers[i]))
				continue;
			draft_problem(b->d->children[i], SETTING_SERVER_ADDRESS,
			    false, b->problems,
			    "\"%s\" is listed twice, the first time as \"%s\"",
			    e->servers[i].text, e->servers[k].text);
			break;
		}
	}
}

/* What chooses among servers, where the client has chosen. */
static void
check_idle(struct bridge *b)
{
	static const enum setting_id idle[] = { SETTING_SERVER_ORDER,
		SETTING_RETRY_AFTER };
	size_t i;

	for (i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
		if (draft_given(b->d, idle[i]))
			draft_problem(b->d, idle[i], true, b->problems,
			    "has no effect with transparent: a session goes "
			    "where its client was going, and nowhere else");
	}
}

static void
check_networks(struct bridge *b)
{
	size_t i;

	for (i = 0; i < b->e->nservers; i++) {
		if (b->e->servers[i].is_network)
			draft_problem(b->d->children[i], SETTING_SERVER_ADDRESS,
			    false, b->problems,
			    "\"%s\" is a network, and nobody says which of "
			    "its addresses is the server; write one address, "
			    "or transparent = \"redirect\" or \"tproxy\" for "
			    "a bridge, where the client says it",
			    b->e->servers[i].text);
	}
}

/* A client on a unix socket has no address to go on with. */
static void
check_source(struct bridge *b)
{
	size_t i;

	if (!b->e->source_client)
		return;
	for (i = 0; i < b->e->nlistens; i++) {
		if (!address_is_unix(&b->e->listens[i]))
			continue;
		draft_problem(b->d, SETTING_SOURCE, false, b->problems,
		    "\"client\" cannot be kept for clients of a unix socket, "
		    "which have no address; remove it, or that listen "
		    "address");
		return;
	}
}

void
rules_check_bridge(const struct draft *d, const struct endpoint *e,
    struct problems *p)
{
	struct bridge b = { .d = d, .e = e, .problems = p };

	check_source(&b);
	if (draft_value(d, SETTING_TRANSPARENT)->spoilt)
		return;
	if (e->transparent == TRANSPARENT_OFF) {
		check_networks(&b);
		return;
	}
	check_listens(&b);
	check_servers(&b);
	check_idle(&b);
	if (endpoint_pairs(e))
		draft_problem(d, SETTING_TRANSPARENT, false, p,
		    "is for clients that go to the servers' own addresses, "
		    "and as the settings in %s are they are told others; "
		    "remove the one or the other",
		    protocol_group(e->ops));
}

bool
rules_may_share(const struct endpoint *a, const struct address *at,
    const struct endpoint *b, const struct address *other)
{
	return a != b && a->transparent != TRANSPARENT_OFF &&
	    a->transparent == b->transparent && address_equal(at, other);
}

/* Where both listen; NULL: nowhere. */
static const struct address *
shared_listen(const struct endpoint *const e[2])
{
	size_t i, k;

	for (i = 0; i < e[0]->nlistens; i++) {
		for (k = 0; k < e[1]->nlistens; k++) {
			if (rules_may_share(e[0], &e[0]->listens[i], e[1],
				&e[1]->listens[k]))
				return &e[1]->listens[k];
		}
	}
	return NULL;
}

static bool
check_destination(const struct draft *const d[2],
    const struct endpoint *const e[2], size_t mine, const char *at,
    struct problems *p)
{
	const struct server *s = &e[1]->servers[mine];
	const struct draft *first;
	size_t i;

	for (i = 0; i < e[0]->nservers; i++) {
		if (!same_destination(&e[0]->servers[i], s))
			continue;
		first = d[0]->children[i];
		draft_problem(d[1]->children[mine], SETTING_SERVER_ADDRESS,
		    false, p,
		    "\"%s\" is also what endpoint \"%s\" has in %s:%u, and "
		    "both listen at %s: which of them is meant cannot be "
		    "told; give one a longer prefix, another port or another "
		    "listen address",
		    s->text, e[0]->name != NULL ? e[0]->name : "?", first->file,
		    draft_line(first, SETTING_SERVER_ADDRESS), at);
		return true;
	}
	return false;
}

void
rules_check_destinations(const struct draft *const d[2],
    const struct endpoint *const e[2], struct problems *p)
{
	const struct address *shared = shared_listen(e);
	char at[ADDRESS_TEXT_MAX];
	size_t i;

	if (shared == NULL)
		return;
	(void)address_format(shared, at, sizeof(at));
	for (i = 0; i < e[1]->nservers; i++)
		(void)check_destination(d, e, i, at, p);
}
