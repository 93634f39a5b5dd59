#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "proxy/commands/bridge.h"
#include "proxy/resolve.h"

/* A server of a group that is known by its name, and what it has now. */
struct wanted {
	struct names *all;
	const struct bridge_group *group;
	const struct endpoint *endpoint;
	const struct server *server;
	struct answer *answer; /* NULL: there is none yet */
};

struct names {
	struct event_base *base;
	struct resolver *resolver;
	struct wanted *list;
	size_t n;
	size_t waiting;
	bool failed; /* memory is short */
};

static void
add_name(const struct bridge_group *g, const struct endpoint *e,
    const struct server *s, void *arg)
{
	struct names *all = arg;
	struct wanted *list;

	if (!bridge_is_name(s) || all->failed)
		return;
	list = reallocarray(all->list, all->n + 1, sizeof(*list));
	if (list == NULL) {
		all->failed = true;
		return;
	}
	all->list = list;
	all->list[all->n++] = (struct wanted){ .all = all,
		.group = g,
		.endpoint = e,
		.server = s };
}

static void
on_answer(struct answer *a, void *arg)
{
	struct wanted *w = arg;

	w->answer = answer_retain(a);
	if (--w->all->waiting == 0)
		(void)event_base_loopbreak(w->all->base);
}

static void
names_fini(struct names *all)
{
	size_t i;

	for (i = 0; i < all->n; i++)
		answer_release(all->list[i].answer);
	free(all->list);
	if (all->resolver != NULL)
		resolver_free(all->resolver);
	if (all->base != NULL)
		event_base_free(all->base);
}

static int
names_init(struct names *all, const struct bridge *b, struct err *err)
{
	const struct resolver_settings settings = { 0 };
	size_t i;

	*all = (struct names){ .base = event_base_new() };
	if (all->base == NULL)
		return err_set(err, "bridge: out of memory");
	for (i = 0; i < b->ngroups; i++)
		bridge_each_server(b, &b->groups[i], add_name, all);
	if (all->failed)
		return err_set(err, "bridge: out of memory");
	all->resolver = resolver_new(all->base, b->config, &settings, err);
	return all->resolver == NULL ? -1 : 0;
}

/* Each is answered, if only by a failure: the resolver has its own limits. */
static int
names_resolve(struct names *all, struct err *err)
{
	struct wanted *w;
	size_t i;

	for (i = 0; i < all->n; i++) {
		w = &all->list[i];
		if (resolve_start(all->resolver, w->server->host, on_answer,
			w) == NULL)
			return err_set(err, "bridge: out of memory");
		all->waiting++;
	}
	if (all->waiting > 0 && event_base_dispatch(all->base) == -1)
		return err_set(err, "bridge: the event loop has failed");
	return 0;
}

/* An element that is there keeps its old time unless it is taken out first, and
 * what is not there cannot be taken out: so it is put in, taken out and put in,
 * which to everybody else is one step. */
static void
print_element(const struct wanted *w, const struct address *a, FILE *to)
{
	char text[CIDR_TEXT_MAX];
	struct cidr one;

	if (!cidr_of_address(a, &one) || cidr_is_v4(&one) != w->group->v4)
		return;
	(void)bridge_network_format(&one, text, sizeof(text));
	(void)fprintf(to,
	    "add element inet %s named_%s { %s . %u }\n"
	    "delete element inet %s named_%s { %s . %u }\n"
	    "add element inet %s named_%s { %s . %u timeout %us comment "
	    "\"%.100s\" }\n",
	    BRIDGE_TABLE, w->group->name, text, w->server->port, BRIDGE_TABLE,
	    w->group->name, text, w->server->port, BRIDGE_TABLE, w->group->name,
	    text, w->server->port, BRIDGE_NAME_SECONDS, w->endpoint->name);
}

static void
print_answer(const struct wanted *w, FILE *to)
{
	size_t i;

	(void)fprintf(to, "# %s:%u of %s\n", w->server->host, w->server->port,
	    w->endpoint->name);
	for (i = 0; i < w->answer->n; i++)
		print_element(w, &w->answer->list[i], to);
}

/* A server that is in several groups is missing once.  How many are. */
static size_t
tell_missing(const struct names *all, size_t n)
{
	const struct wanted *w = &all->list[n];
	size_t i;

	for (i = 0; i < n; i++) {
		if (all->list[i].server == w->server)
			return 0;
	}
	(void)fprintf(stderr, "dbtls: bridge: %s: %s: %s\n", w->endpoint->name,
	    w->server->host,
	    w->answer == NULL || w->answer->why == NULL ? "no answer"
							: w->answer->why);
	return 1;
}

int
bridge_print_names(const struct bridge *b, FILE *to, size_t *missing,
    struct err *err)
{
	const struct wanted *w;
	struct names all;
	int status = -1;
	size_t i;

	*missing = 0;
	if (names_init(&all, b, err) == 0 && names_resolve(&all, err) == 0) {
		(void)fputs("#!/bin/sh\nset -eu\n\nnft -f - <<'RULES'\n", to);
		for (i = 0; i < all.n; i++) {
			w = &all.list[i];
			if (w->answer != NULL && w->answer->n > 0)
				print_answer(w, to);
			else
				*missing += tell_missing(&all, i);
		}
		(void)fputs("RULES\n", to);
		status = 0;
	}
	names_fini(&all);
	return status;
}
