/* The listener alone: the worker that it hands connections to is made up
 * here, and only notes what it was given. */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <CUnit/CUnit.h>
#include <event2/event.h>

#include "proxy/limits.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "tests/unit/unit.h"

#define WORKERS      4
#define GIVEN_MAX    64
#define RACERS       6
#define RACES        20
#define RACES_UNIX   120   /* its window is narrow */
#define PATIENT_MS   20000 /* nothing here takes so long */
#define PAUSED_MS    400
#define LOG_READ_MAX 65536

static char name[] = "orders";
static char folder[] = "/tmp/test_listener.XXXXXX";
static char log_path[64];
static char unix_socket[64];

/* What the listener handed on. */
static struct given {
	size_t listen;
	int fd;
	enum reason admitted;
} given[GIVEN_MAX];
static size_t ngiven;

void
worker_adopt(struct worker *w, const struct arrival *a)
{
	(void)w;
	if (ngiven == GIVEN_MAX)
		abort();
	given[ngiven++] = (struct given){ .listen = a->listen,
		.fd = a->fd,
		.admitted = a->admitted };
}

struct worker *
worker_least_loaded(struct worker *w)
{
	return w;
}

static struct address
tcp4(in_addr_t ip, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct address a = { .len = sizeof(sin) };

	sin.sin_addr.s_addr = htonl(ip);
	sin.sin_port = htons(port);
	memcpy(&a.sa, &sin, sizeof(sin));
	return a;
}

static struct address
tcp6(const struct in6_addr *ip, uint16_t port)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct address a = { .len = sizeof(sin6) };

	sin6.sin6_addr = *ip;
	sin6.sin6_port = htons(port);
	memcpy(&a.sa, &sin6, sizeof(sin6));
	return a;
}

static struct address
unix_at(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct address a = { .len = sizeof(sun) };

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	memcpy(&a.sa, &sun, sizeof(sun));
	return a;
}

/* A process, a loop, one endpoint and its listeners. */
struct world {
	struct address listens[2]; /* nobody listens on the first */
	struct endpoint endpoint;
	struct endpoint *endpoints[1];
	struct config config;
	struct proxy proxy;
	struct worker worker;
	struct worker *workers[1];
	struct listener_set *set;
	struct listener *listeners[WORKERS];
};

static void
world_init(struct world *w, const struct address *a)
{
	struct err err = { "" };
	size_t i;

	memset(w, 0, sizeof(*w));
	ngiven = 0;
	w->listens[1] = *a;
	w->endpoint.name = name;
	w->endpoint.listens = w->listens;
	w->endpoint.nlistens = 2;
	w->endpoints[0] = &w->endpoint;
	w->config.endpoints = w->endpoints;
	w->config.nendpoints = 1;
	w->proxy.config = &w->config;
	w->proxy.max_sessions = 1000;
	w->proxy.limits = limits_new(&w->config, 1000);
	w->proxy.workers = w->workers;
	w->proxy.nworkers = 1;
	w->workers[0] = &w->worker;
	w->worker.proxy = &w->proxy;
	w->worker.base = event_base_new();
	w->set = listener_set_new(&w->endpoint, 1, WORKERS, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w->set);
	for (i = 0; i < listener_set_sockets(w->set); i++) {
		w->listeners[i] = listener_new(&w->worker, w->set, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(w->listeners[i]);
	}
}

static void
world_fini(struct world *w)
{
	size_t i;

	for (i = 0; i < ngiven; i++)
		(void)close(given[i].fd);
	for (i = 0; i < WORKERS; i++)
		listener_free(w->listeners[i]);
	listener_set_free(w->set);
	limits_free(w->proxy.limits);
	event_base_free(w->worker.base);
}

static int64_t
now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Runs the loop until so many were handed on. */
static void
wait_given(struct world *w, size_t n)
{
	const struct timeval tick = { .tv_usec = 100000 };
	int64_t until = now_ms() + PATIENT_MS;

	while (ngiven < n && now_ms() < until) {
		(void)event_base_loopexit(w->worker.base, &tick);
		(void)event_base_loop(w->worker.base, EVLOOP_ONCE);
	}
}

static int
connect_to(const struct address *a)
{
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_TRUE_FATAL(fd != -1);
	CU_ASSERT_EQUAL_FATAL(
	    connect(fd, (const struct sockaddr *)&a->sa, a->len), 0);
	return fd;
}

static uint16_t
port_of(const struct address *a)
{
	struct sockaddr_in sin;

	memcpy(&sin, &a->sa, sizeof(sin)); /* the same place in both families */
	return ntohs(sin.sin_port);
}

/*
 * Who serves an address.
 */

/* So that nothing is left when a test fails. */
static void
die_with_parent(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* A process of that name that listens at `a`; told where. */
static pid_t
other_process(const char *called, const struct address *a,
    struct address *where)
{
	struct address at = *a;
	struct endpoint e = { .name = name, .listens = &at, .nlistens = 1 };
	struct listener_set *set;
	struct err err;
	int ends[2];
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	if ((pid = fork()) == 0) {
		die_with_parent();
		(void)prctl(PR_SET_NAME, called);
		set = listener_set_new(&e, 0, WORKERS, &err);
		if (set == NULL ||
		    write(ends[1], listener_set_address(set), sizeof(*where)) ==
			-1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	CU_ASSERT_TRUE_FATAL(pid != -1);
	CU_ASSERT_EQUAL_FATAL(read(ends[0], where, sizeof(*where)),
	    (ssize_t)sizeof(*where));
	(void)close(ends[0]);
	(void)close(ends[1]);
	return pid;
}

static void
end_process(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static void
is_refused(const struct address *a, const char *why)
{
	struct address at = *a;
	struct endpoint e = { .name = name, .listens = &at, .nlistens = 1 };
	struct err err = { "" };
	struct listener_set *set = listener_set_new(&e, 0, WORKERS, &err);

	CU_ASSERT_PTR_NULL(set);
	if (strstr(err.text, why) == NULL)
		(void)printf("\"%s\" is not in \"%s\"\n", why, err.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, why));
	listener_set_free(set);
}

static void
address_of_another_dbtls_is_refused_with_its_pid(void)
{
	struct address any = tcp4(INADDR_LOOPBACK, 0), where;
	pid_t pid = other_process("dbtls", &any, &where);
	char why[64];

	(void)snprintf(why, sizeof(why), "served by pid %ld (dbtls); ",
	    (long)pid);
	is_refused(&where, why);
	where = tcp4(INADDR_ANY, port_of(&where));
	is_refused(&where, why);
	end_process(pid);

	any = tcp6(&in6addr_loopback, 0);
	pid = other_process("dbtls", &any, &where);
	(void)snprintf(why, sizeof(why), "served by pid %ld (dbtls); ",
	    (long)pid);
	is_refused(&where, why);
	end_process(pid);
}

static void
address_of_another_program_is_refused_with_its_name(void)
{
	struct address any = tcp4(INADDR_LOOPBACK, 0), where;
	pid_t pid = other_process("pg\nbouncer", &any, &where);
	char why[64];

	(void)snprintf(why, sizeof(why), "in use by pid %ld (pg", (long)pid);
	is_refused(&where, why);
	end_process(pid);
}

static void
address_of_our_own_is_refused(void)
{
	struct address any = tcp4(INADDR_LOOPBACK, 0);
	struct world w;

	world_init(&w, &any);
	is_refused(listener_set_address(w.set), "another endpoint");
	world_fini(&w);
}

/* One of those that begin to listen at the same moment; 0 if it may. */
static int
race(int start, const struct address *a)
{
	struct address at = *a;
	struct endpoint e = { .name = name, .listens = &at, .nlistens = 1 };
	struct err err;
	char go;

	if (read(start, &go, 1) != 0) /* the other end is closed */
		return 2;
	if (listener_set_new(&e, 0, WORKERS, &err) == NULL)
		return 1;
	(void)pause();
	return 0;
}

/* How many of them got the address: those that did not leave.  More than one
 * would leave us waiting: the alarm ends that. */
static size_t
run_race(const struct address *a)
{
	size_t i, left = 0;
	pid_t pid[RACERS];
	int start[2], status;

	CU_ASSERT_EQUAL_FATAL(pipe(start), 0);
	for (i = 0; i < RACERS; i++) {
		if ((pid[i] = fork()) == 0) {
			die_with_parent();
			(void)close(start[1]);
			_exit(race(start[0], a));
		}
	}
	(void)close(start[0]);
	(void)close(start[1]);
	(void)alarm(PATIENT_MS / 1000);
	for (i = 0; i + 1 < RACERS; i++) {
		CU_ASSERT_TRUE(wait(&status) > 0);
		CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
		left++;
	}
	for (i = 0; i < RACERS; i++)
		(void)kill(pid[i], SIGKILL);
	while (wait(&status) > 0)
		left += WIFEXITED(status);
	(void)alarm(0);
	return RACERS - left;
}

static void
one_process_only_gets_an_address(void)
{
	struct address a = tcp4(INADDR_LOOPBACK, 0);
	struct world w;
	int i;

	world_init(&w, &a); /* finds a port that is free */
	a = *listener_set_address(w.set);
	world_fini(&w);
	for (i = 0; i < RACES; i++)
		CU_ASSERT_EQUAL(run_race(&a), 1);
	a = unix_at(unix_socket);
	for (i = 0; i < RACES_UNIX; i++)
		CU_ASSERT_EQUAL(run_race(&a), 1);
	(void)unlink(unix_socket);
}

static void
families_do_not_share(void)
{
	struct address four = tcp4(INADDR_ANY, 0), six;
	struct endpoint e = { .name = name, .listens = &six, .nlistens = 1 };
	struct listener_set *set;
	struct world w;
	struct err err;

	world_init(&w, &four);
	six = tcp6(&in6addr_any, port_of(listener_set_address(w.set)));
	set = listener_set_new(&e, 0, WORKERS, &err);
	CU_ASSERT_PTR_NOT_NULL(set);
	listener_set_free(set);
	world_fini(&w);
}

/*
 * Unix sockets.
 */

static void
unix_socket_is_for_owner_and_group(void)
{
	struct address a = unix_at(unix_socket);
	mode_t before = umask(077);
	struct stat st;
	struct world w;

	world_init(&w, &a);
	(void)umask(before);
	CU_ASSERT_EQUAL_FATAL(stat(unix_socket, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0660);
	CU_ASSERT_EQUAL(listener_set_sockets(w.set), 1);
	world_fini(&w);
	CU_ASSERT_EQUAL(access(unix_socket, F_OK), -1);
}

static void
unix_socket_that_is_served_is_refused(void)
{
	struct address a = unix_at(unix_socket), where;
	pid_t pid = other_process("dbtls", &a, &where);
	char why[64];

	(void)snprintf(why, sizeof(why), "served by pid %ld (dbtls); ",
	    (long)pid);
	is_refused(&a, why);
	end_process(pid);
	CU_ASSERT_EQUAL(access(unix_socket, F_OK), 0); /* stale from now on */
}

static void
unix_socket_that_is_stale_is_replaced(void)
{
	struct address a = unix_at(unix_socket);
	struct world w;
	int fd;

	CU_ASSERT_EQUAL_FATAL(access(unix_socket, F_OK), 0);
	world_init(&w, &a);
	fd = connect_to(&a);
	wait_given(&w, 1);
	CU_ASSERT_EQUAL(ngiven, 1);
	(void)close(fd);
	world_fini(&w);
}

static void
file_that_is_no_socket_is_left_alone(void)
{
	struct address a = unix_at(log_path);

	is_refused(&a, "no socket");
	CU_ASSERT_EQUAL(access(log_path, F_OK), 0);
}

static void
unix_socket_of_another_is_not_removed(void)
{
	struct address a = unix_at(unix_socket);
	struct world w;
	int fd;

	world_init(&w, &a);
	(void)unlink(unix_socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&a.sa, a.len), 0);
	world_fini(&w);
	CU_ASSERT_EQUAL(access(unix_socket, F_OK), 0);
	(void)unlink(unix_socket);
	(void)close(fd);
}

/*
 * Accepting.
 */

static void
every_socket_of_a_set_accepts(void)
{
	struct address a = tcp4(INADDR_LOOPBACK, 0);
	struct world w;
	int fd[GIVEN_MAX];
	size_t i;

	world_init(&w, &a);
	CU_ASSERT_EQUAL(listener_set_sockets(w.set), WORKERS);
	for (i = 0; i < GIVEN_MAX; i++)
		fd[i] = connect_to(listener_set_address(w.set));
	wait_given(&w, GIVEN_MAX);
	CU_ASSERT_EQUAL(ngiven, GIVEN_MAX);
	for (i = 0; i < GIVEN_MAX; i++) {
		CU_ASSERT_EQUAL(given[i].admitted, REASON_NONE);
		CU_ASSERT_EQUAL(given[i].listen, 1);
		CU_ASSERT_TRUE(fcntl(given[i].fd, F_GETFL) & O_NONBLOCK);
		CU_ASSERT_TRUE(fcntl(given[i].fd, F_GETFD) & FD_CLOEXEC);
		(void)close(fd[i]);
	}
	world_fini(&w);
}

/* Waits for the other side to close without having said anything. */
static bool
is_closed_silently(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&p, 1, PATIENT_MS) == 1 && read(fd, &byte, 1) <= 0;
}

static void
client_that_is_not_allowed_is_closed_at_once(void)
{
	struct address a = tcp4(INADDR_LOOPBACK, 0);
	struct cidr denied;
	struct world w;
	int fd;

	world_init(&w, &a);
	CU_ASSERT_TRUE_FATAL(cidr_parse("127.0.0.0/8", &denied));
	w.endpoint.deny = (struct cidr_list){ .list = &denied, .n = 1 };
	fd = connect_to(listener_set_address(w.set));
	(void)event_base_loop(w.worker.base, EVLOOP_ONCE);
	CU_ASSERT_TRUE(is_closed_silently(fd));
	CU_ASSERT_EQUAL(ngiven, 0);
	(void)close(fd);
	world_fini(&w);
}

static void
client_beyond_a_limit_is_handed_on_to_be_told(void)
{
	struct address a = tcp4(INADDR_LOOPBACK, 0);
	struct world w;
	int fd[2];

	world_init(&w, &a);
	w.endpoint.max_sessions = 1;
	fd[0] = connect_to(listener_set_address(w.set));
	wait_given(&w, 1);
	fd[1] = connect_to(listener_set_address(w.set));
	wait_given(&w, 2);
	CU_ASSERT_EQUAL_FATAL(ngiven, 2);
	CU_ASSERT_EQUAL(given[0].admitted, REASON_NONE);
	CU_ASSERT_EQUAL(given[1].admitted, REASON_LIMIT);
	(void)close(fd[0]);
	(void)close(fd[1]);
	world_fini(&w);
}

static void
too_many_that_are_turned_away_are_not_told(void)
{
	struct address a = tcp4(INADDR_LOOPBACK, 0);
	struct world w;
	int fd[2];

	world_init(&w, &a);
	w.endpoint.max_sessions = 1;
	fd[0] = connect_to(listener_set_address(w.set));
	wait_given(&w, 1);
	atomic_store(&w.proxy.sessions,
	    w.proxy.max_sessions + PROXY_REFUSALS_MAX);
	fd[1] = connect_to(listener_set_address(w.set));
	(void)event_base_loop(w.worker.base, EVLOOP_ONCE);
	CU_ASSERT_TRUE(is_closed_silently(fd[1]));
	CU_ASSERT_EQUAL(ngiven, 1);
	(void)close(fd[0]);
	(void)close(fd[1]);
	world_fini(&w);
}

static void
stopping_accepts_what_is_queued(void)
{
	struct address a = tcp4(INADDR_LOOPBACK, 0), where;
	struct world w;
	int fd[8], late;
	size_t i;

	world_init(&w, &a);
	where = *listener_set_address(w.set);
	for (i = 0; i < 8; i++)
		fd[i] = connect_to(&where);
	atomic_store(&w.proxy.draining, true);
	for (i = 0; i < WORKERS; i++)
		listener_stop(w.listeners[i]);
	CU_ASSERT_EQUAL(ngiven, 8);
	for (i = 0; i < ngiven; i++)
		CU_ASSERT_EQUAL(given[i].admitted, REASON_DRAINING);
	late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(connect(late, (struct sockaddr *)&where.sa, where.len),
	    -1);
	CU_ASSERT_EQUAL(errno, ECONNREFUSED);
	(void)close(late);
	for (i = 0; i < 8; i++)
		(void)close(fd[i]);
	world_fini(&w);
}

/* Lets `more` descriptors be opened beyond what is open now. */
static struct rlimit
limit_descriptors(rlim_t more)
{
	struct rlimit before, limit;
	int next = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)next + more;
	(void)close(next);
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

static size_t
count_in_log(const char *word)
{
	static char buf[LOG_READ_MAX];
	const char *at = buf;
	size_t count = 0;
	ssize_t n;
	int fd;

	fd = open(log_path, O_RDONLY | O_CLOEXEC);
	n = read(fd, buf, sizeof(buf) - 1);
	(void)close(fd);
	buf[n > 0 ? n : 0] = '\0';
	for (; (at = strstr(at, word)) != NULL; at++)
		count++;
	return count;
}

/* How often the loop comes round in PAUSED_MS. */
static unsigned
count_turns(struct world *w)
{
	const struct timeval tick = { .tv_usec = PAUSED_MS * 1000 / 10 };
	int64_t until = now_ms() + PAUSED_MS;
	unsigned turns = 0;

	while (now_ms() < until) {
		(void)event_base_loopexit(w->worker.base, &tick);
		(void)event_base_loop(w->worker.base, EVLOOP_ONCE);
		turns++;
	}
	return turns;
}

static void
accepting_pauses_without_descriptors(void)
{
	struct address a = tcp4(INADDR_LOOPBACK, 0);
	struct rlimit before;
	struct world w;
	size_t i, logged;
	int fd[8];

	world_init(&w, &a);
	for (i = 0; i < 8; i++)
		fd[i] = connect_to(listener_set_address(w.set));
	before = limit_descriptors(3);
	wait_given(&w, 3);
	CU_ASSERT_TRUE(count_turns(&w) < 100);
	CU_ASSERT_EQUAL(ngiven, 3);
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &before), 0);
	logged = count_in_log("event=listener.paused");
	CU_ASSERT_TRUE(logged >= 1 && logged <= WORKERS);
	wait_given(&w, 8);
	CU_ASSERT_EQUAL(ngiven, 8);
	for (i = 0; i < 8; i++)
		(void)close(fd[i]);
	world_fini(&w);
}

static CU_TestInfo tests[] = {
	{ "address_of_another_dbtls_is_refused_with_its_pid",
	    address_of_another_dbtls_is_refused_with_its_pid },
	{ "address_of_another_program_is_refused_with_its_name",
	    address_of_another_program_is_refused_with_its_name },
	{ "address_of_our_own_is_refused", address_of_our_own_is_refused },
	{ "one_process_only_gets_an_address",
	    one_process_only_gets_an_address },
	{ "families_do_not_share", families_do_not_share },
	{ "unix_socket_is_for_owner_and_group",
	    unix_socket_is_for_owner_and_group },
	{ "unix_socket_that_is_served_is_refused",
	    unix_socket_that_is_served_is_refused },
	{ "unix_socket_that_is_stale_is_replaced",
	    unix_socket_that_is_stale_is_replaced },
	{ "file_that_is_no_socket_is_left_alone",
	    file_that_is_no_socket_is_left_alone },
	{ "unix_socket_of_another_is_not_removed",
	    unix_socket_of_another_is_not_removed },
	{ "every_socket_of_a_set_accepts", every_socket_of_a_set_accepts },
	{ "client_that_is_not_allowed_is_closed_at_once",
	    client_that_is_not_allowed_is_closed_at_once },
	{ "client_beyond_a_limit_is_handed_on_to_be_told",
	    client_beyond_a_limit_is_handed_on_to_be_told },
	{ "too_many_that_are_turned_away_are_not_told",
	    too_many_that_are_turned_away_are_not_told },
	{ "stopping_accepts_what_is_queued", stopping_accepts_what_is_queued },
	{ "accepting_pauses_without_descriptors",
	    accepting_pauses_without_descriptors },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "listener", NULL, NULL, NULL, NULL, tests },
	CU_SUITE_INFO_NULL,
};

static int
log_to_file(void)
{
	struct config c = { 0 };
	struct err err;

	c.log.to = log_path;
	return log_setup(&c, &err);
}

int
main(void)
{
	int status;

	(void)signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	(void)snprintf(log_path, sizeof(log_path), "%s/log", folder);
	(void)snprintf(unix_socket, sizeof(unix_socket), "%s/socket", folder);
	if (log_to_file() == -1)
		return EXIT_FAILURE;
	status = unit_run(suites);
	(void)unlink(log_path);
	(void)rmdir(folder);
	return status;
}
