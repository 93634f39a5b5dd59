#include <stdlib.h>
#include <string.h>

#include "proxy/commands/bridge.h"

#define IP_BYTES     16
#define BYTE_BITS    8
#define COMMENT_MAX  100 /* of the 128 bytes that nft takes */
#define LOCAL        true
#define FROM_OUTSIDE false

/*
 * What there is to be done.
 */

bool
bridge_is_name(const struct server *s)
{
	return s->host != NULL && !s->is_network && s->fixed.len == 0;
}

static bool
listen_equal(const struct address *a, const struct address *b)
{
	return a->sa.ss_family == b->sa.ss_family &&
	    address_port(a) == address_port(b) && address_same_ip(a, b);
}

static bool
listens_there(const struct bridge_group *g, const struct endpoint *e)
{
	size_t i;

	if (e->transparent != g->how)
		return false;
	for (i = 0; i < e->nlistens; i++) {
		if (listen_equal(&e->listens[i], g->listen))
			return true;
	}
	return false;
}

void
bridge_each_server(const struct bridge *b, const struct bridge_group *g,
    bridge_server_cb cb, void *arg)
{
	const struct endpoint *e;
	size_t i, j;

	for (i = 0; i < b->config->nendpoints; i++) {
		e = b->config->endpoints[i];
		if (!listens_there(g, e))
			continue;
		for (j = 0; j < e->nservers; j++)
			cb(g, e, &e->servers[j], arg);
	}
}

static bool
group_known(const struct bridge *b, const struct bridge_group *g)
{
	size_t i;

	for (i = 0; i < b->ngroups; i++) {
		if (b->groups[i].how == g->how &&
		    listen_equal(b->groups[i].listen, g->listen))
			return true;
	}
	return false;
}

/* By family and port, as people would; addresses with the same port are told
 * apart by a number, which stays while the configuration does. */
static void
group_name(const struct bridge *b, struct bridge_group *g)
{
	unsigned port = address_port(g->listen), same = 1;
	size_t i;

	for (i = 0; i < b->ngroups; i++) {
		if (b->groups[i].v4 == g->v4 &&
		    address_port(b->groups[i].listen) == port)
			same++;
	}
	if (same == 1)
		(void)snprintf(g->name, sizeof(g->name), "%u_%u",
		    g->v4 ? 4U : 6U, port);
	else
		(void)snprintf(g->name, sizeof(g->name), "%u_%u_%u",
		    g->v4 ? 4U : 6U, port, same);
}

/* Only a router's own interfaces can be redirected to; what goes to loopback
 * from outside the kernel drops, and rightly. */
static int
group_check(const struct bridge_group *g, const struct endpoint *e,
    struct err *err)
{
	char text[ADDRESS_TEXT_MAX];

	(void)address_format(g->listen, text, sizeof(text));
	if (address_port(g->listen) == 0)
		return err_set(err,
		    "bridge: %s: listen %s: no rule can name the port that the "
		    "kernel will choose; write one",
		    e->name, text);
	if (g->how == TRANSPARENT_REDIRECT && address_is_loopback(g->listen))
		return err_set(err,
		    "bridge: %s: listen %s: a connection from elsewhere cannot "
		    "be redirected to loopback; listen on %s:%u, or use "
		    "transparent = \"tproxy\"",
		    e->name, text, g->v4 ? "0.0.0.0" : "[::]",
		    address_port(g->listen));
	return 0;
}

static int
group_add(struct bridge *b, const struct endpoint *e, size_t listen,
    struct err *err)
{
	struct bridge_group g = {
		.listen = &e->listens[listen],
		.how = e->transparent,
	};
	struct bridge_group *groups;

	if (address_is_unix(g.listen) || group_known(b, &g))
		return 0;
	g.v4 = g.listen->sa.ss_family == AF_INET;
	if (group_check(&g, e, err) == -1)
		return -1;
	group_name(b, &g);
	groups = reallocarray(b->groups, b->ngroups + 1, sizeof(*groups));
	if (groups == NULL)
		return err_set(err, "bridge: out of memory");
	b->groups = groups;
	b->groups[b->ngroups++] = g;
	if (g.how == TRANSPARENT_TPROXY)
		b->marks[g.v4] = true;
	return 0;
}

static bool
has_kind(const struct bridge *b, enum transparent how)
{
	size_t i;

	for (i = 0; i < b->ngroups; i++) {
		if (b->groups[i].how == how)
			return true;
	}
	return false;
}

/* A server's answers to an address that is a client's have to come here, also
 * where the endpoint itself is not transparent. */
static void
mark_answers(struct bridge *b, const struct endpoint *e)
{
	if (e->source_client)
		b->marks[0] = b->marks[1] = true;
}

static bool
server_network(const struct server *s, struct cidr *network)
{
	if (s->is_network)
		*network = s->network;
	else if (s->fixed.len == 0 || !cidr_of_address(&s->fixed, network))
		return false;
	return true;
}

/* Does `a` have all that `b` has? */
static bool
covers(const struct cidr *a, const struct cidr *b)
{
	unsigned bytes = a->bits / BYTE_BITS, rest = a->bits % BYTE_BITS;
	unsigned mask = (0xffU << (BYTE_BITS - rest)) & 0xffU;

	if (a->bits > b->bits || memcmp(a->bytes, b->bytes, bytes) != 0)
		return false;
	return rest == 0 || bytes == IP_BYTES ||
	    ((a->bytes[bytes] ^ b->bytes[bytes]) & mask) == 0;
}

/* A destination that two listen addresses have: the rule of the first would
 * take it, whichever endpoint says it more closely. */
struct clash {
	const struct bridge *b;
	const struct endpoint *endpoint;
	const struct server *server;
	struct err *err;
	bool found;
};

static void
look_for_clash(const struct bridge_group *g, const struct endpoint *e,
    const struct server *s, void *arg)
{
	struct clash *k = arg;
	struct cidr a, b;

	if (k->found || e == k->endpoint || s->port != k->server->port ||
	    !server_network(s, &a) || !server_network(k->server, &b) ||
	    cidr_is_v4(&a) != g->v4 || cidr_is_v4(&b) != g->v4 ||
	    (!covers(&a, &b) && !covers(&b, &a)))
		return;
	k->found = true;
	(void)err_set(k->err,
	    "bridge: %s of %s is also in %s of %s, at another listen address; "
	    "let both listen at the same one, where the closest wins",
	    k->server->text, k->endpoint->name, s->text, e->name);
}

static void
look_in_later_groups(const struct bridge_group *g, const struct endpoint *e,
    const struct server *s, void *arg)
{
	struct clash *k = arg;
	const struct bridge_group *other;

	k->endpoint = e;
	k->server = s;
	for (other = g + 1; other < k->b->groups + k->b->ngroups; other++) {
		if (other->v4 == g->v4)
			bridge_each_server(k->b, other, look_for_clash, k);
	}
}

static int
check_clashes(const struct bridge *b, struct err *err)
{
	struct clash k = { .b = b, .err = err };
	size_t i;

	for (i = 0; i < b->ngroups && !k.found; i++)
		bridge_each_server(b, &b->groups[i], look_in_later_groups, &k);
	return k.found ? -1 : 0;
}

static int
check_whole(const struct bridge *b, struct err *err)
{
	if (b->options->local != NULL && !has_kind(b, TRANSPARENT_REDIRECT))
		return err_set(err,
		    "bridge: --local: no endpoint has transparent = "
		    "\"redirect\", and tproxy cannot catch what begins on "
		    "this host; remove it");
	if (b->ngroups == 0 && !b->marks[0])
		return err_set(err,
		    "bridge: no endpoint is transparent, so nothing has to be "
		    "brought to one; set transparent = \"redirect\"");
	return check_clashes(b, err);
}

int
bridge_init(struct bridge *b, const struct config *c,
    const struct bridge_options *o, struct err *err)
{
	const struct endpoint *e;
	size_t i, j;

	*b = (struct bridge){ .config = c, .options = o };
	for (i = 0; i < c->nendpoints; i++) {
		e = c->endpoints[i];
		mark_answers(b, e);
		for (j = 0;
		     e->transparent != TRANSPARENT_OFF && j < e->nlistens;
		     j++) {
			if (group_add(b, e, j, err) == -1)
				goto fail;
		}
	}
	if (check_whole(b, err) == 0)
		return 0;
fail:
	bridge_fini(b);
	return -1;
}

void
bridge_fini(struct bridge *b)
{
	free(b->groups);
	b->groups = NULL;
	b->ngroups = 0;
}

/*
 * Sets.
 */

/* The networks that belong to a group; intervals of a set must not overlap,
 * so what another one covers is left out of it. */
struct fixed_set {
	const struct bridge *b;
	FILE *to;
	const struct server *one; /* while looking for what covers it */
	struct cidr network;      /* of that one */
	bool covered, met;
	size_t n; /* written */
};

/* A host without the prefix that says so. */
const char *
bridge_network_format(const struct cidr *c, char *text, size_t size)
{
	char *slash;

	(void)cidr_format(c, text, size);
	slash = strchr(text, '/');
	if (slash != NULL && c->bits == IP_BYTES * BYTE_BITS)
		*slash = '\0';
	return text;
}

/* Of two that are equal the first stays. */
static void
look_for_cover(const struct bridge_group *g, const struct endpoint *e,
    const struct server *s, void *arg)
{
	struct fixed_set *f = arg;
	struct cidr network;

	(void)e;
	if (s == f->one) {
		f->met = true;
		return;
	}
	if (s->port != f->one->port || !server_network(s, &network) ||
	    cidr_is_v4(&network) != g->v4 || !covers(&network, &f->network))
		return;
	if (network.bits < f->network.bits || !f->met)
		f->covered = true;
}

static void
print_fixed(const struct bridge_group *g, const struct endpoint *e,
    const struct server *s, void *arg)
{
	struct fixed_set *f = arg;
	struct fixed_set look = { .b = f->b, .one = s };
	char text[CIDR_TEXT_MAX];

	if (!server_network(s, &look.network) ||
	    cidr_is_v4(&look.network) != g->v4)
		return;
	(void)bridge_network_format(&look.network, text, sizeof(text));
	bridge_each_server(f->b, g, look_for_cover, &look);
	if (look.covered) {
		(void)fprintf(f->to,
		    "\t\t\t# %s . %u of %s is within another\n", text, s->port,
		    e->name);
		return;
	}
	(void)fprintf(f->to, "\t\t\t%s . %u comment \"%.*s\",\n", text, s->port,
	    COMMENT_MAX, e->name);
}

static void
print_named(const struct bridge_group *g, const struct endpoint *e,
    const struct server *s, void *arg)
{
	(void)g;
	if (bridge_is_name(s))
		(void)fprintf(arg, "\t\t# %s:%u of %s\n", s->host, s->port,
		    e->name);
}

static void
print_name_port(const struct bridge_group *g, const struct endpoint *e,
    const struct server *s, void *arg)
{
	struct fixed_set *f = arg;

	(void)g;
	(void)e;
	if (bridge_is_name(s))
		(void)fprintf(f->to, "%s%u", f->n++ == 0 ? "" : ", ", s->port);
}

static void
print_ports(const struct bridge *b, const struct bridge_group *g, FILE *to)
{
	struct fixed_set f = { .b = b, .to = to };

	(void)fprintf(to,
	    "\tset ports_%s {\n"
	    "\t\ttype inet_service; flags interval; auto-merge\n"
	    "\t\t# where a name is: any address may be its next\n",
	    g->name);
	(void)fprintf(to, "\t\telements = { ");
	bridge_each_server(b, g, print_name_port, &f);
	(void)fprintf(to, " }\n\t}\n");
}

/* The two sets of a group: what is an address, and what has to be resolved. */
enum set_kind {
	SET_FIXED = 0,
	SET_NAMED,
};
#define SET_KINDS 2

static const char *
set_kind_name(enum set_kind kind)
{
	return kind == SET_FIXED ? "fixed" : "named";
}

static void
count_members(const struct bridge_group *g, const struct endpoint *e,
    const struct server *s, void *arg)
{
	size_t *n = arg;
	struct cidr network;

	(void)e;
	if (bridge_is_name(s))
		n[SET_NAMED]++;
	else if (server_network(s, &network) && cidr_is_v4(&network) == g->v4)
		n[SET_FIXED]++;
}

static bool
has_set(const struct bridge *b, const struct bridge_group *g,
    enum set_kind kind)
{
	size_t n[SET_KINDS] = { 0 };

	bridge_each_server(b, g, count_members, n);
	return n[kind] > 0;
}

static void
print_set_fixed(const struct bridge *b, const struct bridge_group *g, FILE *to)
{
	struct fixed_set f = { .b = b, .to = to };

	(void)fprintf(to,
	    "\tset fixed_%s {\n\t\ttype %s . inet_service; flags interval\n"
	    "\t\telements = {\n",
	    g->name, g->v4 ? "ipv4_addr" : "ipv6_addr");
	bridge_each_server(b, g, print_fixed, &f);
	(void)fprintf(to, "\t\t}\n\t}\n");
}

/* `dbtls bridge rules --names` fills it. */
static void
print_set_named(const struct bridge *b, const struct bridge_group *g, FILE *to)
{
	(void)fprintf(to,
	    "\tset named_%s {\n\t\ttype %s . inet_service; flags timeout; "
	    "timeout %us\n",
	    g->name, g->v4 ? "ipv4_addr" : "ipv6_addr", BRIDGE_NAME_SECONDS);
	bridge_each_server(b, g, print_named, to);
	(void)fprintf(to, "\t}\n");
	print_ports(b, g, to);
}

static void
print_sets(const struct bridge *b, const struct bridge_group *g, FILE *to)
{
	if (has_set(b, g, SET_FIXED))
		print_set_fixed(b, g, to);
	if (has_set(b, g, SET_NAMED))
		print_set_named(b, g, to);
}

static size_t
pass_count(const struct bridge *b, bool v4)
{
	struct cidr cidr;
	size_t i, n = 0;

	for (i = 0; i < b->options->pass.n; i++) {
		if (cidr_parse(b->options->pass.list[i], &cidr) &&
		    cidr_is_v4(&cidr) == v4)
			n++;
	}
	return n;
}

static void
print_pass(const struct bridge *b, bool v4, FILE *to)
{
	char text[CIDR_TEXT_MAX];
	struct cidr cidr;
	size_t i, n = 0;

	if (pass_count(b, v4) == 0)
		return;
	(void)fprintf(to,
	    "\tset pass_%u {\n\t\ttype %s; flags interval; auto-merge\n"
	    "\t\telements = { ",
	    v4 ? 4U : 6U, v4 ? "ipv4_addr" : "ipv6_addr");
	for (i = 0; i < b->options->pass.n; i++) {
		if (cidr_parse(b->options->pass.list[i], &cidr) &&
		    cidr_is_v4(&cidr) == v4)
			(void)fprintf(to, "%s%s", n++ == 0 ? "" : ", ",
			    cidr_format(&cidr, text, sizeof(text)));
	}
	(void)fprintf(to, " }\n\t}\n");
}

/*
 * Chains.
 */

/* Whose packets a rule is about. */
static void
print_whose(const struct bridge *b, bool local, FILE *to)
{
	const struct words *w = &b->options->interfaces;
	size_t i;

	(void)fputs("\t\t", to);
	if (local) {
		(void)fprintf(to, "meta skuid != %s ", b->options->local);
		return;
	}
	for (i = 0; i < w->n; i++)
		(void)fprintf(to, "%s\"%s\"%s", i == 0 ? "iifname { " : ", ",
		    w->list[i], i + 1 == w->n ? " } " : "");
}

static void
print_target(const struct bridge *b, const struct bridge_group *g, FILE *to)
{
	const char *family = g->v4 ? "ip" : "ip6";
	char text[ADDRESS_TEXT_MAX];

	(void)address_format(g->listen, text, sizeof(text));
	if (address_is_wildcard(g->listen))
		(void)snprintf(text, sizeof(text), ":%u",
		    address_port(g->listen));
	if (g->how == TRANSPARENT_TPROXY)
		(void)fprintf(to, "tproxy %s to %s meta mark set %u accept\n",
		    family, text, b->options->mark);
	else if (address_is_wildcard(g->listen))
		(void)fprintf(to, "redirect to %s\n", text);
	else
		(void)fprintf(to, "dnat %s to %s\n", family, text);
}

static void
print_catch(const struct bridge *b, enum transparent how, bool local, FILE *to)
{
	const struct bridge_group *g;
	unsigned kind;
	size_t i;

	for (i = 0; i < b->ngroups; i++) {
		g = &b->groups[i];
		for (kind = 0; g->how == how && kind < SET_KINDS; kind++) {
			if (!has_set(b, g, kind))
				continue;
			print_whose(b, local, to);
			(void)fprintf(to,
			    "meta l4proto tcp %s daddr . tcp dport @%s_%s ",
			    g->v4 ? "ip" : "ip6", set_kind_name(kind), g->name);
			print_target(b, g, to);
		}
	}
}

static void
print_passing(const struct bridge *b, FILE *to)
{
	if (pass_count(b, true) > 0)
		(void)fputs("\t\tip daddr @pass_4 accept\n", to);
	if (pass_count(b, false) > 0)
		(void)fputs("\t\tip6 daddr @pass_6 accept\n", to);
}

static void
print_redirects(const struct bridge *b, FILE *to)
{
	if (!has_kind(b, TRANSPARENT_REDIRECT))
		return;
	(void)fputs("\tchain catch {\n\t\ttype nat hook prerouting priority "
		    "dstnat; policy accept;\n",
	    to);
	print_passing(b, to);
	print_catch(b, TRANSPARENT_REDIRECT, FROM_OUTSIDE, to);
	(void)fputs("\t}\n", to);
	if (b->options->local == NULL)
		return;
	(void)fputs("\tchain catch_local {\n\t\ttype nat hook output "
		    "priority -100; policy accept;\n",
	    to);
	print_passing(b, to);
	print_catch(b, TRANSPARENT_REDIRECT, LOCAL, to);
	(void)fputs("\t}\n", to);
}

/* First what belongs to a connection already: a client's, or a server's answer
 * to the address of a client.  A listener of ours on all addresses is not meant
 * by that: strangers' packets to its port number would be its own. */
static void
print_tproxies(const struct bridge *b, FILE *to)
{
	if (!b->marks[0] && !b->marks[1])
		return;
	(void)fprintf(to,
	    "\tchain deliver {\n\t\ttype filter hook prerouting priority "
	    "mangle; policy accept;\n"
	    "\t\tmeta l4proto tcp socket wildcard 0 socket transparent 1 "
	    "meta mark set %u accept\n",
	    b->options->mark);
	print_passing(b, to);
	print_catch(b, TRANSPARENT_TPROXY, FROM_OUTSIDE, to);
	(void)fputs("\t}\n", to);
}

static void
print_refusal(const struct bridge *b, const struct bridge_group *g, bool local,
    FILE *to)
{
	unsigned kind;

	for (kind = 0; kind < SET_KINDS; kind++) {
		if (!has_set(b, g, kind))
			continue;
		print_whose(b, local, to);
		(void)fprintf(to,
		    "%s daddr . tcp dport @%s_%s counter reject with tcp "
		    "reset\n",
		    g->v4 ? "ip" : "ip6", set_kind_name(kind), g->name);
	}
	if (!has_set(b, g, SET_NAMED))
		return;
	/* Of either family: a name may have addresses of both. */
	print_whose(b, local, to);
	(void)fprintf(to, "tcp dport @ports_%s counter reject with tcp reset\n",
	    g->name);
}

static void
print_refusals(const struct bridge *b, bool local, FILE *to)
{
	size_t i;

	print_passing(b, to);
	for (i = 0; i < b->ngroups; i++)
		print_refusal(b, &b->groups[i], local, to);
}

static void
print_guards(const struct bridge *b, FILE *to)
{
	if (b->ngroups == 0)
		return;
	(void)fputs(
	    "\t# Whatever should have come to dbtls and did not: it must not\n"
	    "\t# go on in clear.\n"
	    "\tchain guard {\n\t\ttype filter hook forward priority filter - "
	    "5; policy accept;\n",
	    to);
	print_refusals(b, FROM_OUTSIDE, to);
	(void)fputs("\t}\n", to);
	if (b->options->local == NULL || !has_kind(b, TRANSPARENT_REDIRECT))
		return;
	(void)fputs("\tchain guard_local {\n\t\ttype filter hook output "
		    "priority filter - 5; policy accept;\n",
	    to);
	/* What was redirected has come to a listener, whose port may be that of
	 * a server; and what stays here crosses nothing. */
	(void)fputs("\t\tfib daddr type local accept\n", to);
	print_refusals(b, LOCAL, to);
	(void)fputs("\t}\n", to);
}

/*
 * All of it.
 */

static const char *
family_option(bool v4)
{
	return v4 ? "-4" : "-6";
}

static void
print_route_down(const struct bridge_options *o, bool v4, FILE *to)
{
	const char *f = family_option(v4);

	(void)fprintf(to,
	    "while ip %s rule del pref %u fwmark %#x lookup %u 2>/dev/null; "
	    "do :; done\n"
	    "ip %s route del local default dev lo table %u 2>/dev/null || :\n",
	    f, o->table, o->mark, o->table, f, o->table);
}

/* A route to this host for what is marked, so that it is delivered and not
 * forwarded, whomever it is addressed to.  The table may have a name, which is
 * what the rule is then shown with. */
static void
print_route_up(const struct bridge_options *o, bool v4, FILE *to)
{
	const char *f = family_option(v4);

	(void)fprintf(to,
	    "ip %s route replace local default dev lo table %u\n"
	    "ip %s rule show pref %u | grep -q 'fwmark %#x lookup ' ||\n"
	    "\tip %s rule add pref %u fwmark %#x lookup %u\n",
	    f, o->table, f, o->table, o->mark, f, o->table, o->mark, o->table);
}

/* A server's words are the file's own; only those that cannot end a comment. */
static void
print_words(const char *text, FILE *to)
{
	(void)fputc(' ', to);
	for (; *text != '\0'; text++)
		(void)fputc(*text > ' ' && *text <= '~' ? *text : '?', to);
}

static void
print_endpoints(const struct bridge *b, FILE *to)
{
	const struct endpoint *e;
	size_t i, j;

	for (i = 0; i < b->config->nendpoints; i++) {
		e = b->config->endpoints[i];
		if (e->transparent == TRANSPARENT_OFF && !e->source_client)
			continue;
		(void)fprintf(to, "# %s (%s, %s):", e->name, e->ops->name,
		    ssl_mode_name(e->mode));
		for (j = 0; j < e->nservers; j++)
			print_words(e->servers[j].text, to);
		(void)fputs("\n", to);
	}
}

void
bridge_print_up(const struct bridge *b, FILE *to)
{
	size_t i;

	(void)fprintf(to,
	    "#!/bin/sh\n# What brings connections to dbtls, for the "
	    "configuration with the SHA-256\n# %s.\n",
	    b->config->sha256);
	print_endpoints(b, to);
	(void)fputs("set -eu\n\n", to);
	for (i = 0; i < 2; i++) {
		if (b->marks[i])
			print_route_up(b->options, i == 1, to);
	}
	(void)fprintf(to,
	    "\nnft -f - <<'RULES'\n# All at once: there is no moment without "
	    "rules.\ntable inet %s\ndelete table inet %s\ntable inet %s {\n",
	    BRIDGE_TABLE, BRIDGE_TABLE, BRIDGE_TABLE);
	print_pass(b, true, to);
	print_pass(b, false, to);
	for (i = 0; i < b->ngroups; i++)
		print_sets(b, &b->groups[i], to);
	print_redirects(b, to);
	print_tproxies(b, to);
	print_guards(b, to);
	(void)fputs("}\nRULES\n", to);
	for (i = 0; i < 2; i++) {
		if (!b->marks[i])
			print_route_down(b->options, i == 1, to);
	}
}

void
bridge_print_down(const struct bridge_options *o, FILE *to)
{
	(void)fprintf(to,
	    "#!/bin/sh\n# Takes away what `dbtls bridge rules` brings, whether "
	    "it is there or not.\nset -eu\n\n");
	/* First, and also where there is no nft: what is marked and nobody
	 * takes any more is refused by the rules, and not let by. */
	print_route_down(o, true, to);
	print_route_down(o, false, to);
	(void)fprintf(to,
	    "nft -f - <<'RULES'\ntable inet %s\ndelete table inet %s\nRULES\n",
	    BRIDGE_TABLE, BRIDGE_TABLE);
}
