/* Who may come in, and how many: exactly. */
#include "proxy/limits.h"
#include "proxy/rate.h"
#include "tests/unit/unit.h"

#include <sys/un.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <CUnit/CUnit.h>

#define THREADS 8
#define ROUNDS  20000
#define ROOM    5 /* fewer than threads, so that some are refused */
#define SECOND  UINT64_C(1000000000)

struct world {
	struct endpoint endpoints[2];
	struct endpoint *list[2];
	struct config config;
	struct cidr cidrs[3][4];
};

static void
world_init(struct world *w)
{
	size_t i;

	memset(w, 0, sizeof(*w));
	for (i = 0; i < 2; i++) {
		w->endpoints[i].index = i;
		w->list[i] = &w->endpoints[i];
	}
	w->config.endpoints = w->list;
	w->config.nendpoints = 2;
	w->endpoints[0].allow.list = w->cidrs[0];
	w->endpoints[0].deny.list = w->cidrs[1];
	w->endpoints[0].proxy_accept.list = w->cidrs[2];
}

static void
put(struct cidr_list *l, const char *text)
{
	if (!cidr_parse(text, &l->list[l->n++]))
		abort();
}

static struct address
client(const char *text)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct address a;

	memset(&a, 0, sizeof(a));
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		memcpy(&a.sa, &v4, sizeof(v4));
		a.len = sizeof(v4);
	} else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
		memcpy(&a.sa, &v6, sizeof(v6));
		a.len = sizeof(v6);
	} else {
		a.sa.ss_family = AF_UNIX;
		a.len = sizeof(sa_family_t);
	}
	return a;
}

static enum reason
enter(struct limits *l, const struct world *w, size_t i, const char *text)
{
	struct address a = client(text);
	const char *why;

	return limits_enter(l, &w->endpoints[i], &a, &why);
}

static void
leave(struct limits *l, const struct world *w, size_t i, const char *text)
{
	struct address a = client(text);

	limits_leave(l, &w->endpoints[i], &a);
}

static void
deny_wins_and_allow_refuses_the_rest(void)
{
	static const struct {
		const char *who;
		enum reason reason;
	} cases[] = {
		{ "192.0.2.1", REASON_NONE },
		{ "192.0.2.9", REASON_NOT_ALLOWED }, /* denied */
		{ "192.0.3.1", REASON_NOT_ALLOWED }, /* not allowed */
		{ "2001:db8::1", REASON_NONE },
		{ "2001:db8:f::1", REASON_NOT_ALLOWED },
		{ "::1", REASON_NOT_ALLOWED },
		{ "unix", REASON_NONE },
	};
	struct limits *l;
	struct world w;
	size_t i;

	world_init(&w);
	put(&w.endpoints[0].allow, "192.0.2.0/24");
	put(&w.endpoints[0].allow, "2001:db8::/32");
	put(&w.endpoints[0].deny, "192.0.2.8/30");
	put(&w.endpoints[0].deny, "2001:db8:f::/48");
	l = limits_new(&w.config, 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_EQUAL(enter(l, &w, 0, cases[i].who), cases[i].reason);
	/* Without a list of who is allowed, all are but those denied. */
	w.endpoints[0].allow.n = 0;
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.3.1"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.9"), REASON_NOT_ALLOWED);
	limits_free(l);
}

static void
process_endpoint_and_client_have_their_own_limits(void)
{
	struct limits *l;
	struct world w;

	world_init(&w);
	w.endpoints[0].max_sessions = 3;
	w.endpoints[0].max_sessions_per_client = 2;
	l = limits_new(&w.config, 4);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.1"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.1"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.1"), REASON_LIMIT);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "::ffff:192.0.2.1"), REASON_LIMIT);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.2"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.3"), REASON_LIMIT);
	CU_ASSERT_EQUAL(enter(l, &w, 1, "192.0.2.1"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 1, "192.0.2.1"), REASON_OVERLOAD);
	/* What was refused took no place; who leaves gives one. */
	CU_ASSERT_EQUAL(limits_clients(l), 2);
	leave(l, &w, 1, "192.0.2.1");
	leave(l, &w, 0, "192.0.2.1");
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.1"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 1, "192.0.2.1"), REASON_NONE);
	limits_free(l);
}

/* They cannot be told apart. */
static void
clients_on_a_unix_socket_are_not_counted_as_one(void)
{
	struct limits *l;
	struct world w;

	world_init(&w);
	w.endpoints[0].max_sessions_per_client = 1;
	l = limits_new(&w.config, 10);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "unix"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "unix"), REASON_NONE);
	leave(l, &w, 0, "unix");
	leave(l, &w, 0, "unix");
	limits_free(l);
	limits_free(NULL);
}

static void
zero_is_no_limit(void)
{
	struct limits *l;
	struct world w;
	int i;

	world_init(&w);
	l = limits_new(&w.config, 0);
	for (i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.1"), REASON_NONE);
	limits_free(l);
}

static enum reason
announced(struct limits *l, const struct world *w, const char *text)
{
	struct address a = client(text);
	const char *why;

	return limits_announced(l, &w->endpoints[0], &a, &why);
}

/* Of two steps the first asks who speaks, the second for whom. */
static void
load_balancers_let_their_clients_be_judged(void)
{
	struct limits *l;
	struct world w;

	world_init(&w);
	put(&w.endpoints[0].proxy_accept, "10.0.0.1");
	put(&w.endpoints[0].allow, "192.0.2.0/24");
	put(&w.endpoints[0].deny, "192.0.2.9");
	w.endpoints[0].max_sessions_per_client = 1;
	l = limits_new(&w.config, 0);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "10.0.0.1"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "10.0.0.1"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "unix"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "10.0.0.2"), REASON_NOT_ALLOWED);
	/* Whom allow has may not come by itself. */
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.1"), REASON_NOT_ALLOWED);
	CU_ASSERT_EQUAL(announced(l, &w, "192.0.2.1"), REASON_NONE);
	CU_ASSERT_EQUAL(announced(l, &w, "192.0.2.1"), REASON_LIMIT);
	CU_ASSERT_EQUAL(announced(l, &w, "192.0.2.2"), REASON_NONE);
	CU_ASSERT_EQUAL(announced(l, &w, "192.0.2.9"), REASON_NOT_ALLOWED);
	CU_ASSERT_EQUAL(announced(l, &w, "10.0.0.1"), REASON_NOT_ALLOWED);
	CU_ASSERT_EQUAL(limits_clients(l), 2);
	leave(l, &w, 0, "192.0.2.1");
	CU_ASSERT_EQUAL(announced(l, &w, "192.0.2.1"), REASON_NONE);
	limits_free(l);
}

/* A place is taken by the first step alone, and is given back as it was. */
static void
places_are_given_back_without_a_client(void)
{
	struct address lb = client("10.0.0.1");
	struct limits *l;
	struct world w;

	world_init(&w);
	put(&w.endpoints[0].proxy_accept, "10.0.0.0/8");
	w.endpoints[0].max_sessions = 2;
	w.endpoints[0].max_sessions_per_client = 1;
	l = limits_new(&w.config, 0);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "10.0.0.1"), REASON_NONE);
	CU_ASSERT_EQUAL(announced(l, &w, "10.0.0.1"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "10.0.0.1"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "10.0.0.1"), REASON_LIMIT);
	limits_turn_back(l, &w.endpoints[0], &lb);
	CU_ASSERT_EQUAL(limits_clients(l), 1);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "10.0.0.1"), REASON_NONE);
	CU_ASSERT_EQUAL(announced(l, &w, "10.0.0.1"), REASON_LIMIT);
	limits_leave(l, &w.endpoints[0], NULL);
	CU_ASSERT_EQUAL(limits_clients(l), 1);
	leave(l, &w, 0, "10.0.0.1");
	CU_ASSERT_EQUAL(limits_clients(l), 0);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "10.0.0.1"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "10.0.0.1"), REASON_NONE);
	limits_free(l);
}

/* How many of `tries` come in at once. */
static unsigned
taken(struct rate *r, unsigned per_second, uint64_t now, unsigned tries)
{
	unsigned n = 0;

	while (tries-- > 0)
		n += rate_take(r, per_second, now);
	return n;
}

static void
rates_let_so_many_a_second_in(void)
{
	static const unsigned rates[] = { 1, 2, 3, 7, 1000, 1000000 };
	uint64_t t = 100 * SECOND;
	struct rate r;
	unsigned n;
	size_t i, ms;

	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		rate_init(&r);
		CU_ASSERT_EQUAL(taken(&r, rates[i], t, 2 * rates[i]), rates[i]);
		CU_ASSERT_EQUAL(taken(&r, rates[i], t, 2), 0);
		/* A second later as many again, however long it rested. */
		CU_ASSERT_EQUAL(taken(&r, rates[i], t + SECOND, 2 * rates[i]),
		    rates[i]);
		CU_ASSERT_EQUAL(
		    taken(&r, rates[i], t + 60 * SECOND, 2 * rates[i]),
		    rates[i]);
	}
	/* Under steady pressure, what was saved up and then the rate. */
	rate_init(&r);
	for (n = 0, ms = 0; ms < 10000; ms++)
		n += taken(&r, 50, t + ms * (SECOND / 1000), 5);
	CU_ASSERT(n >= 50 + 499 && n <= 50 + 500);
	CU_ASSERT_EQUAL(taken(&r, 0, t, 1000), 1000);
}

static uint64_t
clock_now(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Whoever is refused for another reason does not use it up. */
static void
rates_count_sessions_only(void)
{
	uint64_t start = clock_now();
	enum reason third;
	struct limits *l;
	struct world w;

	world_init(&w);
	put(&w.endpoints[0].deny, "192.0.2.9");
	w.endpoints[0].max_session_rate = 2;
	w.endpoints[0].max_sessions_per_client = 1;
	l = limits_new(&w.config, 0);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.9"), REASON_NOT_ALLOWED);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.9"), REASON_NOT_ALLOWED);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.1"), REASON_NONE);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.1"), REASON_LIMIT);
	CU_ASSERT_EQUAL(enter(l, &w, 0, "192.0.2.2"), REASON_NONE);
	third = enter(l, &w, 0, "192.0.2.3");
	if (clock_now() - start < SECOND / 2) {
		CU_ASSERT_EQUAL(third, REASON_LIMIT);
		CU_ASSERT_EQUAL(limits_clients(l), 2);
	}
	CU_ASSERT_EQUAL(enter(l, &w, 1, "192.0.2.3"), REASON_NONE);
	limits_free(l);
}

struct job {
	struct limits *l;
	const struct world *w;
	atomic_uint *inside;
	atomic_uint *most;
	unsigned entered;
	char who[16];
};

static void *
come_and_go(void *arg)
{
	struct job *job = arg;
	struct address a = client(job->who);
	const struct endpoint *e = &job->w->endpoints[0];
	unsigned i, n, most;
	const char *why;

	for (i = 0; i < ROUNDS; i++) {
		if (limits_enter(job->l, e, &a, &why) != REASON_NONE)
			continue;
		job->entered++;
		n = atomic_fetch_add(job->inside, 1) + 1;
		most = atomic_load(job->most);
		while (n > most &&
		    !atomic_compare_exchange_weak(job->most, &most, n))
			;
		atomic_fetch_sub(job->inside, 1);
		limits_leave(job->l, e, &a);
	}
	return NULL;
}

/* Eight threads press through doors of five: never are more inside, and in the
 * end there is room for exactly five again. */
static void
press(struct world *w, unsigned process, const char *who)
{
	struct limits *l = limits_new(&w->config, process);
	pthread_t threads[THREADS];
	struct job jobs[THREADS];
	atomic_uint inside, most;
	unsigned i, entered = 0;

	atomic_init(&inside, 0);
	atomic_init(&most, 0);
	for (i = 0; i < THREADS; i++) {
		jobs[i] = (struct job){ l, w, &inside, &most, 0, "" };
		(void)snprintf(jobs[i].who, sizeof(jobs[i].who), "%s", who);
		if (pthread_create(&threads[i], NULL, come_and_go, &jobs[i]) !=
		    0)
			abort();
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		entered += jobs[i].entered;
	}
	CU_ASSERT_TRUE(entered > 0);
	CU_ASSERT_TRUE(atomic_load(&most) <= ROOM);
	for (i = 0; i < ROOM; i++)
		CU_ASSERT_EQUAL(enter(l, w, 0, who), REASON_NONE);
	CU_ASSERT_NOT_EQUAL(enter(l, w, 0, who), REASON_NONE);
	for (i = 0; i < ROOM; i++)
		leave(l, w, 0, who);
	CU_ASSERT_EQUAL(limits_clients(l), 0);
	limits_free(l);
}

static void
threads_are_counted_exactly(void)
{
	struct world w;

	world_init(&w);
	press(&w, ROOM, "192.0.2.1");
	w.endpoints[0].max_sessions = ROOM;
	press(&w, 0, "192.0.2.1");
	w.endpoints[0].max_sessions = 0;
	w.endpoints[0].max_sessions_per_client = ROOM;
	press(&w, 0, "2001:db8::1");
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		{ "deny_wins_and_allow_refuses_the_rest",
		    deny_wins_and_allow_refuses_the_rest },
		{ "process_endpoint_and_client_have_their_own_limits",
		    process_endpoint_and_client_have_their_own_limits },
		{ "clients_on_a_unix_socket_are_not_counted_as_one",
		    clients_on_a_unix_socket_are_not_counted_as_one },
		{ "zero_is_no_limit", zero_is_no_limit },
		{ "load_balancers_let_their_clients_be_judged",
		    load_balancers_let_their_clients_be_judged },
		{ "places_are_given_back_without_a_client",
		    places_are_given_back_without_a_client },
		{ "rates_let_so_many_a_second_in",
		    rates_let_so_many_a_second_in },
		{ "rates_count_sessions_only", rates_count_sessions_only },
		{ "threads_are_counted_exactly", threads_are_counted_exactly },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "limits", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
