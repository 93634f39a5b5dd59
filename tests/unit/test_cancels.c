/* The table of cancel keys. */
#include "proxy/cancels.h"
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#define THREADS 8
#define ROUNDS  5000

static struct endpoint
endpoint(char *name)
{
	struct endpoint e;

	memset(&e, 0, sizeof(e));
	e.name = name;
	return e;
}

static struct neg_key
key_of(unsigned n)
{
	struct neg_key key;

	memset(&key, 0, sizeof(key));
	key.len = 16;
	memcpy(key.bytes, &n, sizeof(n));
	return key;
}

static struct address
address_of(unsigned n)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct address a;

	memset(&a, 0, sizeof(a));
	sin.sin_addr.s_addr = htonl(n);
	memcpy(&a.sa, &sin, sizeof(sin));
	a.len = sizeof(sin);
	return a;
}

/* Where the key leads; 0: nowhere. */
static unsigned
find(struct cancels *c, const struct endpoint *e, unsigned n, size_t *server)
{
	struct neg_key key = key_of(n);
	struct rd r = { .at = key.bytes, .left = key.len };
	struct sockaddr_in sin;
	struct address a;

	if (!cancels_find(c, e, r, &a, server))
		return 0;
	memcpy(&sin, &a.sa, sizeof(sin));
	return ntohl(sin.sin_addr.s_addr);
}

static void
add(struct cancels *c, const struct endpoint *e, unsigned n, unsigned to)
{
	struct neg_key key = key_of(n);
	struct address a = address_of(to);

	cancels_add(c, e, &key, &a, to % 7);
}

static void
drop(struct cancels *c, const struct endpoint *e, unsigned n, unsigned to)
{
	struct neg_key key = key_of(n);
	struct address a = address_of(to);

	cancels_remove(c, e, &key, &a);
}

static void
key_is_found_for_its_endpoint_alone(void)
{
	char names[3][4] = { "one", "two", "one" };
	struct endpoint one = endpoint(names[0]), two = endpoint(names[1]);
	struct endpoint later = endpoint(names[2]);
	struct cancels *c = cancels_new(10);
	struct neg_key shorter = key_of(5);
	size_t server = 99;
	struct address a;

	add(c, &one, 5, 105);
	CU_ASSERT_EQUAL(find(c, &one, 5, &server), 105);
	CU_ASSERT_EQUAL(server, 0);
	CU_ASSERT_EQUAL(find(c, &later, 5, &server), 105);
	CU_ASSERT_EQUAL(find(c, &two, 5, &server), 0);
	CU_ASSERT_EQUAL(find(c, &one, 6, &server), 0);
	shorter.len = 15;
	CU_ASSERT_FALSE(cancels_find(c, &one,
	    (struct rd){ .at = shorter.bytes, .left = shorter.len }, &a,
	    &server));
	CU_ASSERT_FALSE(
	    cancels_find(c, &one, (struct rd){ .left = 0 }, &a, &server));
	cancels_free(c);
}

static void
key_that_came_anew_stays_when_the_old_session_goes(void)
{
	char name[] = "one";
	struct endpoint e = endpoint(name);
	struct cancels *c = cancels_new(10);
	size_t server;

	add(c, &e, 5, 101);
	add(c, &e, 5, 102);
	CU_ASSERT_EQUAL(find(c, &e, 5, &server), 102);
	drop(c, &e, 5, 101);
	CU_ASSERT_EQUAL(find(c, &e, 5, &server), 102);
	drop(c, &e, 5, 102);
	CU_ASSERT_EQUAL(find(c, &e, 5, &server), 0);
	drop(c, &e, 5, 102);
	cancels_free(c);
}

static void
oldest_gives_way(void)
{
	char name[] = "one";
	struct endpoint e = endpoint(name);
	struct cancels *c = cancels_new(3);
	size_t server;
	unsigned n;

	for (n = 1; n <= 3; n++)
		add(c, &e, n, 100 + n);
	add(c, &e, 1, 111); /* the youngest now */
	add(c, &e, 4, 104);
	CU_ASSERT_EQUAL(find(c, &e, 1, &server), 111);
	CU_ASSERT_EQUAL(find(c, &e, 2, &server), 0);
	CU_ASSERT_EQUAL(find(c, &e, 3, &server), 103);
	CU_ASSERT_EQUAL(find(c, &e, 4, &server), 104);
	for (n = 10; n < 10000; n++)
		add(c, &e, n, n);
	CU_ASSERT_EQUAL(find(c, &e, 9999, &server), 9999);
	CU_ASSERT_EQUAL(find(c, &e, 9997, &server), 9997);
	CU_ASSERT_EQUAL(find(c, &e, 9996, &server), 0);
	cancels_free(c);
}

static void
session_without_a_key_is_not_kept(void)
{
	char name[] = "one";
	struct endpoint e = endpoint(name);
	struct cancels *c = cancels_new(3);
	struct neg_key none = { .len = 0 };
	struct address a = address_of(1);
	size_t server;

	cancels_add(c, &e, &none, &a, 0);
	CU_ASSERT_FALSE(
	    cancels_find(c, &e, (struct rd){ .left = 0 }, &a, &server));
	cancels_remove(c, &e, &none, &a);
	cancels_free(c);
	cancels_free(NULL);
}

struct job {
	struct cancels *c;
	const struct endpoint *e;
	unsigned first;
	unsigned wrong;
};

/* Each thread has keys of its own, and as many as there is room for. */
static void *
work(void *arg)
{
	struct job *job = arg;
	unsigned i, n;
	size_t server;

	for (i = 0; i < ROUNDS; i++) {
		n = job->first + i % 100;
		add(job->c, job->e, n, n + 1);
		if (find(job->c, job->e, n, &server) != n + 1)
			job->wrong++;
		drop(job->c, job->e, n, n + 1);
		if (find(job->c, job->e, n, &server) != 0)
			job->wrong++;
	}
	return NULL;
}

static void
threads_find_what_they_put_there(void)
{
	char name[] = "one";
	struct endpoint e = endpoint(name);
	struct cancels *c = cancels_new(THREADS);
	struct job jobs[THREADS];
	pthread_t threads[THREADS];
	unsigned i;

	for (i = 0; i < THREADS; i++) {
		jobs[i] = (struct job){ c, &e, 1 + i * 1000, 0 };
		if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0)
			abort();
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(jobs[i].wrong, 0);
	}
	cancels_free(c);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		{ "key_is_found_for_its_endpoint_alone",
		    key_is_found_for_its_endpoint_alone },
		{ "key_that_came_anew_stays_when_the_old_session_goes",
		    key_that_came_anew_stays_when_the_old_session_goes },
		{ "oldest_gives_way", oldest_gives_way },
		{ "session_without_a_key_is_not_kept",
		    session_without_a_key_is_not_kept },
		{ "threads_find_what_they_put_there",
		    threads_find_what_they_put_there },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "cancels", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
