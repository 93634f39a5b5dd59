/* Workers and what they share.  The sessions are made up here: they hold their
 * descriptor until they are told to end. */
#include <sys/socket.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "proxy/limits.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/session.h"
#include "tests/unit/unit.h"

#define WORKERS    4
#define CLIENTS    40
#define PATIENT_MS 20000 /* nothing here takes so long */

struct session {
	TAILQ_ENTRY(session) link;
	struct worker *worker;
	const struct endpoint *endpoint;
	struct address client;
	enum reason admitted;
	pthread_t thread; /* that made it */
	int fd;
};

static atomic_uint strangers; /* calls on a thread that is not the worker's */
static atomic_uint drained;
static atomic_uint turned_away;
static atomic_uint made;

void
session_new(struct worker *w, const struct arrival *a)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	*s = (struct session){
		.worker = w,
		.endpoint = a->endpoint,
		.client = a->client,
		.admitted = a->admitted,
		.thread = pthread_self(),
		.fd = a->fd,
	};
	if (!TAILQ_EMPTY(&w->sessions) &&
	    !pthread_equal(TAILQ_FIRST(&w->sessions)->thread, s->thread))
		(void)atomic_fetch_add(&strangers, 1);
	TAILQ_INSERT_TAIL(&w->sessions, s, link);
	(void)atomic_fetch_add(&made, 1);
	if (a->admitted == REASON_NONE)
		return;
	(void)atomic_fetch_add(&turned_away, 1);
	session_end(s, a->admitted, NULL);
}

void
session_end(struct session *s, enum reason reason, const char *text)
{
	struct worker *w = s->worker;

	(void)reason;
	(void)text;
	TAILQ_REMOVE(&w->sessions, s, link);
	TAILQ_INSERT_TAIL(&w->ended, s, link);
	event_active(w->reap, 0, 0);
}

void
session_reap(struct worker *w)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&w->ended)) != NULL) {
		TAILQ_REMOVE(&w->ended, s, link);
		(void)close(s->fd);
		if (s->admitted == REASON_NONE)
			limits_leave(w->proxy->limits, s->endpoint, &s->client);
		free(s);
		worker_released(w);
	}
}

void
session_drain_all(struct worker *w)
{
	struct session *s;

	TAILQ_FOREACH(s, &w->sessions, link)
		(void)atomic_fetch_add(&drained, 1);
}

void
session_end_all(struct worker *w, enum reason reason, const char *text)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&w->sessions)) != NULL)
		session_end(s, reason, text);
}

/*
 * The world.
 */

static char folder[] = "/tmp/test_worker.XXXXXX";
static char tcp[] = "127.0.0.1:0";
static char unix_socket[64];

static const struct config *
config_of(const char *accept, const char *listen)
{
	struct problems problems = { 0 };
	const struct config *c;
	char text[512];

	(void)snprintf(text, sizeof(text),
	    "threads = %d; endpoints = ( { name = \"a\"; engine = \"postgres\""
	    "; listen = \"%s\"; server = \"127.0.0.1:1\"; "
	    "ssl_mode = \"none\"; accept = \"%s\"; max_sessions = %d; } );",
	    WORKERS, listen, accept, CLIENTS);
	c = config_load_text(text, "test", &problems);
	problems_print(&problems, stdout);
	problems_fini(&problems);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

static struct proxy *
proxy_of(const char *accept, const char *listen)
{
	const struct config *c = config_of(accept, listen);
	struct err err = { "" };
	struct proxy *p = proxy_new(c, &err);

	config_release(c);
	atomic_store(&strangers, 0);
	atomic_store(&drained, 0);
	atomic_store(&turned_away, 0);
	atomic_store(&made, 0);
	if (p == NULL)
		(void)printf("%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL_FATAL(proxy_start(p, &err), 0);
	return p;
}

static int64_t
now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
wait_until(const struct proxy *p, bool (*holds)(const struct proxy *p))
{
	int64_t until = now_ms() + PATIENT_MS;

	while (!holds(p) && now_ms() < until)
		(void)poll(NULL, 0, 1);
	return holds(p);
}

static bool
all_have_come(const struct proxy *p)
{
	return atomic_load(&made) >= CLIENTS &&
	    atomic_load(&p->sessions) == CLIENTS;
}

static bool
none_is_left(const struct proxy *p)
{
	return atomic_load(&p->sessions) == 0;
}

static bool
one_was_turned_away(const struct proxy *p)
{
	(void)p;
	return atomic_load(&turned_away) == 1;
}

static bool
all_have_drained(const struct proxy *p)
{
	return atomic_load(&p->undrained) == 0;
}

static int
connect_one(const struct proxy *p)
{
	const struct address *a = listener_set_address(p->sets[0]);
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)&a->sa, a->len) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static void
connect_all(const struct proxy *p, int fd[CLIENTS])
{
	size_t i;

	for (i = 0; i < CLIENTS; i++) {
		fd[i] = connect_one(p);
		CU_ASSERT_TRUE_FATAL(fd[i] != -1);
	}
	CU_ASSERT_TRUE(wait_until(p, all_have_come));
}

static void
close_all(const int fd[CLIENTS])
{
	size_t i;

	for (i = 0; i < CLIENTS; i++)
		(void)close(fd[i]);
}

static size_t
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

/*
 * Promises.
 */

/* One worker accepts all that come by a unix socket. */
static void
balance_gives_to_whom_has_least(void)
{
	struct proxy *p = proxy_of("balance", unix_socket);
	int fd[CLIENTS];
	size_t i;

	connect_all(p, fd);
	for (i = 0; i < WORKERS; i++)
		CU_ASSERT_EQUAL(atomic_load(&p->workers[i]->load),
		    CLIENTS / WORKERS);
	proxy_free(p);
	close_all(fd);
	CU_ASSERT_EQUAL(atomic_load(&strangers), 0);
}

static void
reuseport_keeps_what_the_kernel_chose(void)
{
	struct proxy *p = proxy_of("reuseport", tcp);
	unsigned sum = 0;
	int fd[CLIENTS];
	size_t i;

	connect_all(p, fd);
	for (i = 0; i < WORKERS; i++)
		sum += atomic_load(&p->workers[i]->load);
	CU_ASSERT_EQUAL(sum, CLIENTS);
	proxy_free(p);
	close_all(fd);
	CU_ASSERT_EQUAL(atomic_load(&strangers), 0);
}

static void
drain_lets_sessions_be_and_stop_ends_them(void)
{
	struct proxy *p = proxy_of("balance", tcp);
	int fd[CLIENTS];

	connect_all(p, fd);
	CU_ASSERT_FALSE(proxy_idle(p));
	proxy_drain(p);
	CU_ASSERT_TRUE(wait_until(p, all_have_drained));
	CU_ASSERT_EQUAL(atomic_load(&drained), CLIENTS);
	CU_ASSERT_EQUAL(connect_one(p), -1);
	CU_ASSERT_EQUAL(errno, ECONNREFUSED);
	CU_ASSERT_FALSE(proxy_idle(p));
	CU_ASSERT_EQUAL(atomic_load(&p->sessions), CLIENTS);
	proxy_stop(p);
	CU_ASSERT_TRUE(wait_until(p, proxy_idle));
	proxy_free(p);
	close_all(fd);
}

static void
drain_of_nothing_is_soon_idle(void)
{
	struct proxy *p = proxy_of("balance", tcp);

	proxy_drain(p);
	CU_ASSERT_TRUE(wait_until(p, proxy_idle));
	proxy_free(p);
}

/* The connection counts as a session for as long as it has a descriptor, but
 * takes nobody's place. */
static void
one_too_many_is_turned_away(void)
{
	struct proxy *p = proxy_of("balance", tcp);
	int fd[CLIENTS], more;

	connect_all(p, fd);
	more = connect_one(p);
	CU_ASSERT_TRUE(wait_until(p, one_was_turned_away));
	CU_ASSERT_TRUE(wait_until(p, all_have_come));
	proxy_stop(p);
	CU_ASSERT_TRUE(wait_until(p, none_is_left));
	proxy_free(p);
	close_all(fd);
	(void)close(more);
}

static void
address_in_use_shows_before_the_start(void)
{
	struct proxy *p = proxy_of("balance", tcp);
	char where[ADDRESS_TEXT_MAX];
	const struct config *c;
	struct err err = { "" };

	c = config_of("balance",
	    address_format(listener_set_address(p->sets[0]), where,
		sizeof(where)));
	CU_ASSERT_PTR_NULL(proxy_new(c, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "another endpoint"));
	config_release(c);
	proxy_free(p);
}

/* Posted before there was a loop to take it, and there never is one. */
static void
arrival_that_nobody_takes_is_closed(void)
{
	const struct config *c = config_of("balance", tcp);
	struct arrival a = { .endpoint = c->endpoints[0],
		.client = { .len = sizeof(sa_family_t) },
		.admitted = REASON_DRAINING };
	struct err err;
	struct proxy *p;
	int pair[2];
	char byte;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p = proxy_new(c, &err));
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	a.fd = pair[0];
	worker_adopt(p->workers[0], &a);
	CU_ASSERT_EQUAL(atomic_load(&p->sessions), 1);
	proxy_free(p);
	CU_ASSERT_EQUAL(read(pair[1], &byte, 1), 0);
	(void)close(pair[1]);
	config_release(c);
}

static void
nothing_is_left_open(void)
{
	size_t before = count_descriptors();

	drain_lets_sessions_be_and_stop_ends_them();
	address_in_use_shows_before_the_start();
	CU_ASSERT_EQUAL(count_descriptors(), before);
}

static CU_TestInfo tests[] = {
	{ "balance_gives_to_whom_has_least", balance_gives_to_whom_has_least },
	{ "reuseport_keeps_what_the_kernel_chose",
	    reuseport_keeps_what_the_kernel_chose },
	{ "drain_lets_sessions_be_and_stop_ends_them",
	    drain_lets_sessions_be_and_stop_ends_them },
	{ "drain_of_nothing_is_soon_idle", drain_of_nothing_is_soon_idle },
	{ "one_too_many_is_turned_away", one_too_many_is_turned_away },
	{ "address_in_use_shows_before_the_start",
	    address_in_use_shows_before_the_start },
	{ "arrival_that_nobody_takes_is_closed",
	    arrival_that_nobody_takes_is_closed },
	{ "nothing_is_left_open", nothing_is_left_open },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "worker", NULL, NULL, NULL, NULL, tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	int status;

	(void)signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	(void)snprintf(unix_socket, sizeof(unix_socket), "unix:%s/socket",
	    folder);
	status = unit_run(suites);
	(void)rmdir(folder);
	return status;
}
