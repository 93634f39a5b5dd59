/* Connections of our own that nobody has answered yet. */
#include <pthread.h>
#include <stdio.h>

#include <CUnit/CUnit.h>

#include "proxy/outgoing.h"
#include "tests/unit/unit.h"

#define THREADS 4
#define ROUNDS  2000

static struct address
at(const char *ip, unsigned port)
{
	struct address a;

	CU_ASSERT_TRUE_FATAL(address_parse_ip(ip, (uint16_t)port, &a));
	return a;
}

static struct outgoing_entry *
enter(struct outgoing *o, const struct address *from, const struct address *to,
    bool borrowed)
{
	outgoing_begin(o);
	return outgoing_end(o, from, to, borrowed);
}

static void
own_sockets_are_known(void)
{
	struct address from = at("10.0.0.1", 40000), to = at("10.0.0.2", 5432);
	struct address six = at("fd00::1", 40000), other;
	struct outgoing *o = outgoing_new(16);
	struct outgoing_entry *e, *f;

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_FALSE(outgoing_has(o, &from, &to));
	e = enter(o, &from, &to, false);
	f = enter(o, &six, &to, false);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_TRUE(outgoing_has(o, &from, &to));
	CU_ASSERT_TRUE(outgoing_has(o, &six, &to));
	/* Wherever it was brought. */
	other = at("10.0.0.3", 1);
	CU_ASSERT_TRUE(outgoing_has(o, &from, &other));
	other = at("10.0.0.1", 40001);
	CU_ASSERT_FALSE(outgoing_has(o, &other, &to));
	other = at("10.0.0.9", 40000);
	CU_ASSERT_FALSE(outgoing_has(o, &other, &to));
	outgoing_remove(e);
	CU_ASSERT_FALSE(outgoing_has(o, &from, &to));
	CU_ASSERT_TRUE(outgoing_has(o, &six, &to));
	outgoing_remove(f);
	outgoing_remove(NULL);
	outgoing_free(o);
}

/* A client may use its port for several destinations. */
static void
a_client_stays_free_to_go_elsewhere(void)
{
	struct address from = at("10.0.0.1", 40000), to = at("10.0.0.2", 5432);
	struct address other = at("10.0.0.3", 5432);
	struct outgoing *o = outgoing_new(16);
	struct outgoing_entry *e;

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	e = enter(o, &from, &to, true);
	CU_ASSERT_TRUE(outgoing_has(o, &from, &to));
	CU_ASSERT_FALSE(outgoing_has(o, &from, &other));
	outgoing_remove(e);
	outgoing_free(o);
}

static void
what_cannot_be_entered_is_told(void)
{
	struct address from = at("10.0.0.1", 40000), to = at("10.0.0.2", 5432);
	struct address local = { .len = sizeof(local.sa) };
	struct outgoing *o = outgoing_new(16);

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	local.sa.ss_family = AF_UNIX;
	CU_ASSERT_PTR_NULL(enter(o, NULL, &to, false));
	CU_ASSERT_PTR_NULL(enter(o, &local, &to, false));
	CU_ASSERT_FALSE(outgoing_has(o, &local, &to));
	CU_ASSERT_FALSE(outgoing_has(o, &from, &to));
	outgoing_free(o);
}

struct user {
	struct outgoing *o;
	unsigned number;
	bool good;
};

static void *
use(void *arg)
{
	struct user *u = arg;
	struct address to = at("10.0.0.2", 5432);
	unsigned i;

	u->good = true;
	for (i = 0; i < ROUNDS; i++) {
		struct address from = at("10.0.0.1", u->number * ROUNDS + i);
		struct outgoing_entry *e = enter(u->o, &from, &to, false);

		u->good &= e != NULL && outgoing_has(u->o, &from, &to);
		outgoing_remove(e);
		u->good &= !outgoing_has(u->o, &from, &to);
	}
	return NULL;
}

static void
threads_share_it(void)
{
	struct outgoing *o = outgoing_new(16);
	struct user users[THREADS];
	pthread_t threads[THREADS];
	unsigned i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	for (i = 0; i < THREADS; i++) {
		users[i] = (struct user){ .o = o, .number = i + 1 };
		CU_ASSERT_EQUAL_FATAL(
		    pthread_create(&threads[i], NULL, use, &users[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		(void)pthread_join(threads[i], NULL);
		CU_ASSERT_TRUE(users[i].good);
	}
	outgoing_free(o);
}

static CU_TestInfo tests[] = {
	{ "own_sockets_are_known", own_sockets_are_known },
	{ "a_client_stays_free_to_go_elsewhere",
	    a_client_stays_free_to_go_elsewhere },
	{ "what_cannot_be_entered_is_told", what_cannot_be_entered_is_told },
	{ "threads_share_it", threads_share_it },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "outgoing", .pTests = tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
