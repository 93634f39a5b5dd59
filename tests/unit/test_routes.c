/* Which endpoint a connection is for, by where it was going. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "conf/routes.h"
#include "tests/unit/unit.h"

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define SERVERS_MAX 4
#define LISTEN      "0.0.0.0"
#define PORT        15432

/* A configuration in small: each endpoint has one listener and some servers,
 * as "10.0.0.0/8", "10.0.0.1" or a name; all at one port. */
struct spot {
	struct endpoint e;
	struct address listen;
	struct server servers[SERVERS_MAX];
	char hosts[SERVERS_MAX][HOST_MAX];
};

struct world {
	struct spot spots[4];
	struct endpoint *list[4];
	size_t n;
	struct routes *routes;
};

static struct address
ip(const char *text, uint16_t port)
{
	struct address a;

	CU_ASSERT_TRUE_FATAL(address_parse_ip(text, port, &a));
	return a;
}

static struct server
server(char host[HOST_MAX], const char *text)
{
	struct server s = { .text = host, .port = 5432 };

	(void)snprintf(host, HOST_MAX, "%s", text);
	if (strchr(text, '/') != NULL)
		s.is_network = cidr_parse(text, &s.network);
	else
		s.host = host;
	if (!s.is_network)
		(void)address_parse_ip(text, s.port, &s.fixed);
	return s;
}

static void
add(struct world *w, const char *a, const char *b)
{
	const char *texts[] = { a, b };
	struct spot *s = &w->spots[w->n];
	size_t i;

	s->listen = ip(LISTEN, PORT);
	s->e.index = w->n;
	s->e.transparent = TRANSPARENT_REDIRECT;
	s->e.listens = &s->listen;
	s->e.nlistens = 1;
	s->e.servers = s->servers;
	for (i = 0; i < COUNT(texts) && texts[i] != NULL; i++)
		s->servers[s->e.nservers++] = server(s->hosts[i], texts[i]);
	w->list[w->n++] = &s->e;
}

static void
ready(struct world *w)
{
	struct address at = ip(LISTEN, PORT);

	routes_free(w->routes);
	w->routes = routes_new(w->list, w->n, &at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w->routes);
}

/* The endpoint's number, -1 for none, -2 for more than one. */
static int
find_at(const struct world *w, const char *to, uint16_t port, double now,
    struct route *r)
{
	struct address a = ip(to, port);

	switch (routes_find(w->routes, &a, now, r)) {
	case ROUTE_NONE:
		return -1;
	case ROUTE_SEVERAL:
		return -2;
	case ROUTE_ONE:
		return (int)r->endpoint->index;
	}
	return -3;
}

static int
find(const struct world *w, const char *to, double now)
{
	struct route r;

	return find_at(w, to, 5432, now, &r);
}

static void
learn(struct world *w, const char *name, double now, const char *a,
    const char *b)
{
	struct address list[2];
	size_t i, n = 0;

	if (a != NULL)
		list[n++] = ip(a, 0);
	if (b != NULL)
		list[n++] = ip(b, 0);
	for (i = 0; i < routes_names(w->routes); i++) {
		if (strcmp(routes_name(w->routes, i), name) != 0)
			continue;
		CU_ASSERT_EQUAL(routes_learn(w->routes, i, list, n, now), 0);
		return;
	}
	CU_FAIL("no such name");
}

static void
the_longest_prefix_wins(void)
{
	struct world w = { .n = 0 };

	add(&w, "10.0.0.0/8", "2001:db8::/32");
	add(&w, "10.1.0.0/16", "2001:db8:1::/48");
	add(&w, "10.1.2.3", "2001:db8:1::1");
	ready(&w);
	CU_ASSERT_EQUAL(find(&w, "10.2.0.1", 0), 0);
	CU_ASSERT_EQUAL(find(&w, "10.1.0.1", 0), 1);
	CU_ASSERT_EQUAL(find(&w, "10.1.2.3", 0), 2);
	CU_ASSERT_EQUAL(find(&w, "2001:db8:2::1", 0), 0);
	CU_ASSERT_EQUAL(find(&w, "2001:db8:1::2", 0), 1);
	CU_ASSERT_EQUAL(find(&w, "2001:db8:1::1", 0), 2);
	routes_free(w.routes);
}

static void
what_nobody_has_is_nobodys(void)
{
	struct world w = { .n = 0 };
	struct route r;

	add(&w, "10.0.0.0/8", NULL);
	ready(&w);
	CU_ASSERT_EQUAL(find(&w, "11.0.0.1", 0), -1);
	CU_ASSERT_EQUAL(find(&w, "2001:db8::1", 0), -1);
	CU_ASSERT_EQUAL(find_at(&w, "10.0.0.1", 5433, 0, &r), -1);
	CU_ASSERT_PTR_NULL(r.endpoint);
	routes_free(w.routes);
}

/* "::/1" begins like every IPv4 address as IPv6 writes it. */
static void
a_network_is_of_one_family(void)
{
	struct world w = { .n = 0 };

	add(&w, "::/1", NULL);
	ready(&w);
	CU_ASSERT_EQUAL(find(&w, "::5", 0), 0);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 0), -1);
	routes_free(w.routes);
}

static void
each_server_is_found(void)
{
	struct world w = { .n = 0 };
	struct route r;

	add(&w, "10.0.0.1", "10.0.0.2");
	ready(&w);
	CU_ASSERT_EQUAL(find_at(&w, "10.0.0.2", 5432, 0, &r), 0);
	CU_ASSERT_EQUAL(r.server, 1);
	CU_ASSERT_EQUAL(find_at(&w, "10.0.0.1", 5432, 0, &r), 0);
	CU_ASSERT_EQUAL(r.server, 0);
	routes_free(w.routes);
}

static void
two_alike_are_refused(void)
{
	struct world w = { .n = 0 };
	struct route r;

	add(&w, "a.test", NULL);
	add(&w, "b.test", NULL);
	add(&w, "10.0.0.9", NULL);
	ready(&w);
	learn(&w, "a.test", 0, "10.0.0.1", "10.0.0.2");
	learn(&w, "b.test", 0, "10.0.0.1", "10.0.0.9");
	CU_ASSERT_EQUAL(find_at(&w, "10.0.0.1", 5432, 0, &r), -2);
	CU_ASSERT_PTR_EQUAL(r.endpoint, w.list[0]);
	CU_ASSERT_PTR_EQUAL(r.other, w.list[1]);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.2", 0), 0);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.9", 0), -2);
	routes_free(w.routes);
}

/* Writer and reader of a cluster with one member. */
static void
two_names_of_one_endpoint_may_meet(void)
{
	struct world w = { .n = 0 };
	struct route r;

	add(&w, "writer.test", "reader.test");
	ready(&w);
	learn(&w, "writer.test", 0, "10.0.0.1", NULL);
	learn(&w, "reader.test", 0, "10.0.0.1", NULL);
	CU_ASSERT_EQUAL(find_at(&w, "10.0.0.1", 5432, 0, &r), 0);
	CU_ASSERT_EQUAL(r.server, 0);
	routes_free(w.routes);
}

static void
a_name_has_nothing_before_its_first_answer(void)
{
	struct world w = { .n = 0 };

	add(&w, "a.test", "A.test");
	ready(&w);
	CU_ASSERT_EQUAL(routes_names(w.routes), 1);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 0), -1);
	learn(&w, "a.test", 0, "10.0.0.1", NULL);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 1e9), 0);
	routes_free(w.routes);
}

static void
what_left_a_name_counts_for_a_while(void)
{
	struct world w = { .n = 0 };

	add(&w, "a.test", NULL);
	ready(&w);
	learn(&w, "a.test", 0, "10.0.0.1", NULL);
	learn(&w, "a.test", 100, "10.0.0.2", NULL);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.2", 100), 0);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 400), 0);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 401), -1);
	/* A later answer without it does not begin its time anew. */
	learn(&w, "a.test", 200, "10.0.0.2", NULL);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 400), 0);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 401), -1);
	/* It comes back. */
	learn(&w, "a.test", 300, "10.0.0.1", NULL);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 9999), 0);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.2", 600), 0);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.2", 601), -1);
	/* An answer without any address is an answer. */
	learn(&w, "a.test", 1000, NULL, NULL);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 1300), 0);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 1301), -1);
	routes_free(w.routes);
}

/* A name moves to an address that was another's: whoever has it now. */
static void
what_is_there_wins_over_what_has_left(void)
{
	struct world w = { .n = 0 };

	add(&w, "writer.test", NULL);
	add(&w, "reader.test", NULL);
	add(&w, "10.0.0.3", "10.0.0.0/24");
	ready(&w);
	learn(&w, "writer.test", 0, "10.0.0.1", NULL);
	learn(&w, "reader.test", 0, "10.0.0.2", "10.0.0.3");
	learn(&w, "writer.test", 10, "10.0.0.2", NULL);
	learn(&w, "reader.test", 10, "10.0.0.1", NULL);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 10), 1);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.2", 10), 0);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.3", 10), 2);
	/* But it wins over any network. */
	learn(&w, "reader.test", 20, "10.0.0.7", NULL);
	learn(&w, "reader.test", 30, "10.0.0.8", NULL);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.7", 40), 1);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.9", 40), 2);
	routes_free(w.routes);
}

static void
a_name_has_no_end_of_addresses(void)
{
	struct address list[ROUTE_ADDRESSES_MAX + 8];
	struct world w = { .n = 0 };
	char text[32];
	size_t i;

	add(&w, "a.test", NULL);
	ready(&w);
	learn(&w, "a.test", 0, "10.9.9.9", NULL);
	for (i = 0; i < COUNT(list); i++) {
		(void)snprintf(text, sizeof(text), "10.1.%zu.%zu", i / 256,
		    i % 256);
		list[i] = ip(text, 0);
	}
	CU_ASSERT_EQUAL(routes_learn(w.routes, 0, list, COUNT(list), 1), 0);
	CU_ASSERT_EQUAL(find(&w, "10.1.0.255", 1), 0);
	CU_ASSERT_EQUAL(find(&w, "10.1.1.7", 1), -1);
	CU_ASSERT_EQUAL(find(&w, "10.9.9.9", 1), -1);
	routes_free(w.routes);
}

static void
only_who_listens_there_is_chosen(void)
{
	struct world w = { .n = 0 };

	add(&w, "10.0.0.1", NULL);
	add(&w, "10.0.0.2", NULL);
	add(&w, "10.0.0.3", NULL);
	w.spots[0].listen = ip(LISTEN, PORT + 1);
	w.spots[1].e.transparent = TRANSPARENT_OFF;
	ready(&w);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.1", 0), -1);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.2", 0), -1);
	CU_ASSERT_EQUAL(find(&w, "10.0.0.3", 0), 2);
	CU_ASSERT_PTR_EQUAL(routes_endpoint(w.routes, 0), w.list[2]);
	CU_ASSERT_PTR_NULL(routes_endpoint(w.routes, 1));
	routes_free(w.routes);
}

#define TEST(name)          \
	{                   \
#name, name \
	}
static CU_TestInfo tests[] = {
	TEST(the_longest_prefix_wins),
	TEST(what_nobody_has_is_nobodys),
	TEST(a_network_is_of_one_family),
	TEST(each_server_is_found),
	TEST(two_alike_are_refused),
	TEST(two_names_of_one_endpoint_may_meet),
	TEST(a_name_has_nothing_before_its_first_answer),
	TEST(what_left_a_name_counts_for_a_while),
	TEST(what_is_there_wins_over_what_has_left),
	TEST(a_name_has_no_end_of_addresses),
	TEST(only_who_listens_there_is_chosen),
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "routes", .pTests = tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
