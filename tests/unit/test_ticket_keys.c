/* Keys of session tickets: changed in time, shared, and gone in time. */
#include <pthread.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "proxy/ticket_keys.h"
#include "tests/unit/unit.h"

#define BEGIN   ((time_t)1000000)
#define HOUR    TICKET_KEY_SECONDS
#define THREADS 4

static bool
same(const struct ticket_key *a, const struct ticket_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool
blank(const struct ticket_key *k)
{
	static const struct ticket_key none;

	return same(k, &none);
}

static void
threads_have_the_same_and_endpoints_have_not(void)
{
	struct ticket_keys *k = ticket_keys_new(), *other = ticket_keys_new();
	struct ticket_key_ring a = { 0 }, b = { 0 }, c = { 0 };

	CU_ASSERT_TRUE(ticket_keys_copy(k, &a, BEGIN));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &b, BEGIN + 1));
	CU_ASSERT_TRUE(ticket_keys_copy(other, &c, BEGIN));
	CU_ASSERT_TRUE(same(&a.now, &b.now));
	CU_ASSERT_FALSE(same(&a.now, &c.now));
	CU_ASSERT_FALSE(blank(&a.now));
	CU_ASSERT_TRUE(blank(&a.before));
	ticket_keys_free(k);
	ticket_keys_free(other);
}

static void
key_seals_for_an_hour_and_opens_for_another(void)
{
	struct ticket_keys *k = ticket_keys_new();
	struct ticket_key_ring first = { 0 }, r = { 0 };

	CU_ASSERT_TRUE(ticket_keys_copy(k, &first, BEGIN));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN + HOUR - 1));
	CU_ASSERT_TRUE(same(&r.now, &first.now));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN + HOUR));
	CU_ASSERT_FALSE(same(&r.now, &first.now));
	CU_ASSERT_TRUE(same(&r.before, &first.now));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN + 2 * HOUR - 1));
	CU_ASSERT_TRUE(same(&r.before, &first.now));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN + 2 * HOUR));
	CU_ASSERT_FALSE(same(&r.before, &first.now));
	ticket_keys_free(k);
}

/* Changed late, for nobody came: the old one is not good for any longer. */
static void
old_key_is_wiped_in_time(void)
{
	struct ticket_keys *k = ticket_keys_new();
	struct ticket_key_ring r = { 0 };

	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN + HOUR + HOUR / 2));
	CU_ASSERT_FALSE(blank(&r.before));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN + 2 * HOUR));
	CU_ASSERT_TRUE(blank(&r.before));
	CU_ASSERT_EQUAL(r.over, 0);
	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN + 5 * HOUR));
	CU_ASSERT_TRUE(blank(&r.before));
	ticket_keys_free(k);
}

static void
clock_set_back_makes_no_key_last_longer(void)
{
	struct ticket_keys *k = ticket_keys_new();
	struct ticket_key_ring first = { 0 }, r = { 0 };

	CU_ASSERT_TRUE(ticket_keys_copy(k, &first, BEGIN));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN - 1));
	CU_ASSERT_TRUE(same(&r.now, &first.now));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN - 24 * HOUR));
	CU_ASSERT_FALSE(same(&r.now, &first.now));
	CU_ASSERT_TRUE(blank(&r.before));
	ticket_keys_free(k);
}

/* Where nobody comes any more: in the copies and what they are of. */
static void
what_nobody_uses_is_wiped_too(void)
{
	struct ticket_keys *k = ticket_keys_new();
	struct ticket_key_ring first, r = { 0 }, other = { 0 };

	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN + HOUR));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &other, BEGIN + HOUR));
	first = r;
	ticket_keys_tidy(k, &r, BEGIN + 2 * HOUR - 1);
	CU_ASSERT_TRUE(same(&r.now, &first.now));
	CU_ASSERT_TRUE(same(&r.before, &first.before));
	ticket_keys_tidy(k, &r, BEGIN + 3 * HOUR - 1);
	CU_ASSERT_TRUE(same(&r.now, &first.now));
	CU_ASSERT_TRUE(blank(&r.before));
	ticket_keys_tidy(k, &r, BEGIN + 3 * HOUR);
	CU_ASSERT_TRUE(blank(&r.now));
	CU_ASSERT_EQUAL(r.generation, 0);
	/* It is not there again if the clock goes back, and no other is taken
	 * for it. */
	CU_ASSERT_TRUE(ticket_keys_copy(k, &r, BEGIN + HOUR));
	CU_ASSERT_FALSE(same(&r.now, &first.now));
	CU_ASSERT_TRUE(blank(&r.before));
	CU_ASSERT_TRUE(ticket_keys_copy(k, &other, BEGIN + HOUR));
	CU_ASSERT_TRUE(same(&r.now, &other.now));
	ticket_keys_tidy(k, &r, BEGIN - 2 * HOUR);
	CU_ASSERT_TRUE(blank(&r.now));
	ticket_keys_free(k);
}

struct user {
	struct ticket_keys *keys;
	struct ticket_key_ring ring;
	bool ok;
};

static void *
use(void *arg)
{
	struct user *u = arg;
	time_t t;

	u->ok = true;
	for (t = BEGIN; t < BEGIN + 4 * HOUR; t += HOUR / 1000)
		u->ok = ticket_keys_copy(u->keys, &u->ring, t) && u->ok;
	return NULL;
}

/* Each has its own idea of the time here, which is more than can happen. */
static void
many_threads_at_once(void)
{
	struct user users[THREADS] = { 0 };
	struct ticket_keys *k = ticket_keys_new();
	pthread_t threads[THREADS];
	size_t i;

	for (i = 0; i < THREADS; i++) {
		users[i].keys = k;
		CU_ASSERT_EQUAL(
		    pthread_create(&threads[i], NULL, use, &users[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		(void)pthread_join(threads[i], NULL);
		CU_ASSERT_TRUE(users[i].ok);
	}
	for (i = 0; i < THREADS; i++) {
		CU_ASSERT_TRUE(
		    ticket_keys_copy(k, &users[i].ring, BEGIN + 4 * HOUR));
		CU_ASSERT_TRUE(same(&users[i].ring.now, &users[0].ring.now));
	}
	ticket_keys_free(k);
}

static CU_TestInfo tests[] = {
	{ "threads_have_the_same_and_endpoints_have_not",
	    threads_have_the_same_and_endpoints_have_not },
	{ "key_seals_for_an_hour_and_opens_for_another",
	    key_seals_for_an_hour_and_opens_for_another },
	{ "old_key_is_wiped_in_time", old_key_is_wiped_in_time },
	{ "what_nobody_uses_is_wiped_too", what_nobody_uses_is_wiped_too },
	{ "clock_set_back_makes_no_key_last_longer",
	    clock_set_back_makes_no_key_last_longer },
	{ "many_threads_at_once", many_threads_at_once },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "ticket_keys", .pTests = tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
