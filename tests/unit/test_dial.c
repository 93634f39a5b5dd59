/* Dialling real sockets on loopback, with a nameserver of the test. */
#include "proxy/dial.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "proxy/health.h"
#include "proxy/log.h"
#include "proxy/resolve.h"
#include "tests/unit/fake_dns.h"
#include "tests/unit/unit.h"

#define PATIENT     20 /* seconds; nothing here takes one */
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define SERVERS_MAX 3
#define QUEUE_MAX   16

struct world {
	struct event_base *base;
	struct fake_dns *dns;
	struct config config;
	struct resolver_settings names;
	struct dialer_settings settings;
	struct dialer *dialer;
	struct endpoint endpoint;
	struct server servers[SERVERS_MAX];
	struct server_health *health;
	char dir[64], log[96], nofile[96];
	double now;
};

/* What became of one dial. */
struct caller {
	unsigned called;
	struct dial *dial;
	bool cancels; /* in its own callback */
	struct dial_result result;
};

static double
world_clock(void *arg)
{
	const struct world *w = arg;

	return w->now;
}

static void
world_init(struct world *w)
{
	static char name[] = "orders";
	struct err err;

	memset(w, 0, sizeof(*w));
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/test_dial.XXXXXX");
	if (mkdtemp(w->dir) == NULL)
		abort();
	(void)snprintf(w->log, sizeof(w->log), "%s/log", w->dir);
	(void)snprintf(w->nofile, sizeof(w->nofile), "%s/none", w->dir);
	w->base = event_base_new();
	w->dns = fake_dns_new(w->base);
	w->now = 1000;
	w->config.generation = 1;
	w->config.log.to = w->log;
	w->config.dns.max_ttl = 30;
	w->config.dns.negative_ttl = 1;
	w->config.dns.timeout = 5;
	w->config.dns.attempts = 3;
	w->names.hosts = w->nofile;
	w->names.resolv_conf = w->nofile;
	w->names.nameserver = fake_dns_address(w->dns);
	w->names.clock = world_clock;
	w->names.clock_arg = w;
	w->settings.names = &w->names;
	w->endpoint.name = name;
	w->endpoint.servers = w->servers;
	w->endpoint.retry_after = 5;
	w->endpoint.timeouts.connect = 10;
	if (log_setup(&w->config, &err) == -1)
		abort();
	w->dialer = dialer_new_with(w->base, &w->config, &w->settings, &err);
	if (w->dialer == NULL)
		abort();
}

static void
world_fini(struct world *w)
{
	struct config usual = { .generation = 1 };
	static char to[] = "stderr";
	struct err err;
	size_t i;

	dialer_free(w->dialer);
	fake_dns_free(w->dns);
	event_base_free(w->base);
	server_health_free(w->health);
	for (i = 0; i < w->endpoint.nservers; i++) {
		free(w->servers[i].text);
		free(w->servers[i].host);
	}
	usual.log.to = to;
	usual.log.level = LEVEL_ERR;
	if (log_setup(&usual, &err) == -1)
		abort();
	(void)unlink(w->log);
	(void)rmdir(w->dir);
}

/* One that gives up on a silent address soon. */
static void
world_impatient(struct world *w)
{
	struct err err;

	dialer_free(w->dialer);
	w->settings.attempt_seconds = 0.1;
	w->dialer = dialer_new_with(w->base, &w->config, &w->settings, &err);
	if (w->dialer == NULL)
		abort();
}

static void
inet_address(struct address *a, const char *host, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	memset(a, 0, sizeof(*a));
	sin.sin_port = htons(port);
	if (inet_pton(AF_INET, host, &sin.sin_addr) != 1)
		abort();
	memcpy(&a->sa, &sin, sizeof(sin));
	a->len = sizeof(sin);
}

static void
add_server(struct world *w, const char *host, uint16_t port)
{
	struct server *s = &w->servers[w->endpoint.nservers++];

	if (asprintf(&s->text, "%s:%u", host, (unsigned)port) == -1)
		abort();
	s->host = strdup(host);
	s->port = port;
	if (host[0] >= '0' && host[0] <= '9')
		inet_address(&s->fixed, host, port);
	server_health_free(w->health);
	w->health = server_health_new(&w->endpoint);
}

static void
add_unix_server(struct world *w, const char *path)
{
	struct server *s = &w->servers[w->endpoint.nservers++];
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (asprintf(&s->text, "unix:%s", path) == -1)
		abort();
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	memcpy(&s->fixed.sa, &sun, sizeof(sun));
	s->fixed.len = sizeof(sun);
}

static int
listen_on(const char *host, uint16_t *port, int backlog)
{
	struct address a;
	struct sockaddr_in sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	inet_address(&a, host, *port);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd == -1 || bind(fd, (struct sockaddr *)&a.sa, a.len) == -1 ||
	    listen(fd, backlog) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a.sa, &a.len) == -1)
		abort();
	memcpy(&sin, &a.sa, sizeof(sin));
	*port = ntohs(sin.sin_port);
	return fd;
}

/* A port of 127.0.0.1 on which nobody listens. */
static uint16_t
refusing_port(void)
{
	uint16_t port = 0;

	(void)close(listen_on("127.0.0.1", &port, 1));
	return port;
}

/* A listener whose queue is full: who connects to it hears nothing. */
struct silence {
	int fds[1 + QUEUE_MAX];
	size_t n;
	uint16_t port;
};

static void
silence_init(struct silence *s, const char *host)
{
	struct address a;
	int fd;

	s->port = 0;
	s->fds[0] = listen_on(host, &s->port, 0);
	inet_address(&a, host, s->port);
	for (s->n = 1; s->n < COUNT(s->fds); s->n++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    0);
		(void)connect(fd, (struct sockaddr *)&a.sa, a.len);
		s->fds[s->n] = fd;
	}
}

static void
silence_fini(struct silence *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		(void)close(s->fds[i]);
}

static void
on_dialled(const struct dial_result *r, void *arg)
{
	struct caller *c = arg;

	c->called++;
	c->result = *r;
	if (c->cancels)
		dial_cancel(c->dial);
	c->dial = NULL;
}

static void
begin(struct world *w, struct caller *c, const struct dial_choice *choice)
{
	static const struct dial_choice any;

	memset(&c->result, 0, sizeof(c->result));
	c->called = 0;
	c->dial = dial_start(w->dialer, &w->endpoint, w->health,
	    choice != NULL ? choice : &any, on_dialled, c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->dial);
	CU_ASSERT_EQUAL(c->called, 0);
}

static void
lost_patience(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fprintf(stderr, "nothing happened for %d seconds\n", PATIENT);
	abort();
}

static void
await(struct world *w, struct caller *c)
{
	struct timeval tv = { PATIENT, 0 };
	struct event *guard = event_new(w->base, -1, 0, lost_patience, NULL);

	event_add(guard, &tv);
	while (c->called == 0)
		event_base_loop(w->base, EVLOOP_ONCE);
	CU_ASSERT_EQUAL(c->called, 1);
	event_free(guard);
}

/* Dials, and closes what came of it.  `text` is what a failure says, or, with
 * REASON_NONE, the address it came to. */
static void
check(struct world *w, const struct dial_choice *choice, enum reason reason,
    const char *text)
{
	char got[ADDRESS_TEXT_MAX];
	const char *says = got;
	struct caller c = { 0 };

	begin(w, &c, choice);
	await(w, &c);
	CU_ASSERT_EQUAL(c.result.reason, reason);
	if (reason != REASON_NONE) {
		CU_ASSERT_EQUAL(c.result.fd, -1);
		says = c.result.text;
	} else {
		CU_ASSERT_TRUE(c.result.fd >= 0);
		CU_ASSERT_PTR_NOT_NULL(c.result.server);
		(void)address_format(&c.result.address, got, sizeof(got));
	}
	if (c.result.fd >= 0)
		(void)close(c.result.fd);
	CU_ASSERT_STRING_EQUAL(says, text);
	if (strcmp(says, text) != 0)
		fprintf(stderr, "\"%s\", not \"%s\"\n", c.result.text, text);
}

static const char *format(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

static const char *
format(const char *fmt, ...)
{
	static char text[4][500];
	static unsigned next;
	char *to = text[next++ % COUNT(text)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(to, sizeof(text[0]), fmt, ap);
	va_end(ap);
	return to;
}

/* How many lines of the log tell of this event. */
static unsigned
logged(const struct world *w, const char *event)
{
	char line[LOG_LINE_MAX];
	FILE *f = fopen(w->log, "re");
	unsigned n = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, format("event=%s ", event)) != NULL;
	if (f != NULL)
		(void)fclose(f);
	return n;
}

static unsigned
descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

static void
fixed_server_is_reached(void)
{
	struct caller c = { .cancels = true };
	struct world w;
	uint16_t port = 0;
	socklen_t len = sizeof(int);
	int fd, on;

	world_init(&w);
	fd = listen_on("127.0.0.1", &port, 8);
	add_server(&w, "127.0.0.1", port);
	w.endpoint.keepalive.idle = 61;
	w.endpoint.keepalive.interval = 11;
	w.endpoint.keepalive.count = 7;
	w.endpoint.user_timeout = 1.5;
	begin(&w, &c, NULL);
	await(&w, &c);
	CU_ASSERT_EQUAL_FATAL(c.result.reason, REASON_NONE);
	CU_ASSERT_PTR_EQUAL(c.result.server, &w.servers[0]);
	CU_ASSERT_EQUAL(fcntl(c.result.fd, F_GETFD), FD_CLOEXEC);
	CU_ASSERT_TRUE(fcntl(c.result.fd, F_GETFL) & O_NONBLOCK);
#define OPTION(level, name, value)                                           \
	CU_ASSERT_EQUAL(getsockopt(c.result.fd, level, name, &on, &len), 0); \
	CU_ASSERT_EQUAL(on, value)
	OPTION(IPPROTO_TCP, TCP_NODELAY, 1);
	OPTION(SOL_SOCKET, SO_KEEPALIVE, 1);
	OPTION(IPPROTO_TCP, TCP_KEEPIDLE, 61);
	OPTION(IPPROTO_TCP, TCP_KEEPINTVL, 11);
	OPTION(IPPROTO_TCP, TCP_KEEPCNT, 7);
	OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT, 1500);
#undef OPTION
	(void)close(c.result.fd);
	(void)close(fd);
	world_fini(&w);
}

static void
addresses_are_tried_in_turn(void)
{
	static const struct fake_record zone[] = {
		{ "db.test", FAKE_A, "127.0.0.2", 9 },
		{ "db.test", FAKE_A, "127.0.0.3", 9 },
		{ "db.test", FAKE_A, "127.0.0.1", 9 },
		{ "db.test", FAKE_A, "127.0.0.4", 9 },
	};
	struct world w;
	uint16_t port = 0;
	int fd;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	fd = listen_on("127.0.0.1", &port, 8);
	add_server(&w, "db.test", port);
	check(&w, NULL, REASON_NONE, format("127.0.0.1:%u", port));
	(void)close(fd);
	check(&w, NULL, REASON_CONNECT,
	    format("cannot connect to db.test:%u: 127.0.0.2 connection "
		   "refused, 127.0.0.3 connection refused, 127.0.0.1 "
		   "connection refused, 127.0.0.4 connection refused",
		port));
	world_fini(&w);
}

static void
long_list_of_failures_is_cut(void)
{
	struct fake_record zone[40];
	char values[40][16];
	struct caller c = { 0 };
	struct world w;
	size_t i;

	world_init(&w);
	for (i = 0; i < COUNT(zone); i++) {
		(void)snprintf(values[i], sizeof(values[i]), "127.0.1.%zu", i);
		zone[i] =
		    (struct fake_record){ "db.test", FAKE_A, values[i], 9 };
	}
	fake_dns_set(w.dns, zone, COUNT(zone));
	add_server(&w, "db.test", refusing_port());
	begin(&w, &c, NULL);
	await(&w, &c);
	CU_ASSERT_EQUAL(strlen(c.result.text), sizeof(c.result.text) - 1);
	CU_ASSERT_STRING_EQUAL(
	    c.result.text + sizeof(c.result.text) - sizeof("..."), "...");
	world_fini(&w);
}

static void
silent_address_gives_way_after_its_time(void)
{
	static const struct fake_record zone[] = {
		{ "db.test", FAKE_A, "127.0.0.2", 9 },
		{ "db.test", FAKE_A, "127.0.0.1", 9 },
	};
	struct silence silence;
	struct world w;
	int fd;

	world_init(&w);
	world_impatient(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	silence_init(&silence, "127.0.0.2");
	fd = listen_on("127.0.0.1", &silence.port, 8);
	add_server(&w, "db.test", silence.port);
	check(&w, NULL, REASON_NONE, format("127.0.0.1:%u", silence.port));
	(void)close(fd);
	check(&w, NULL, REASON_CONNECT,
	    format("cannot connect to db.test:%u: 127.0.0.2 timed out, "
		   "127.0.0.1 connection refused",
		silence.port));
	silence_fini(&silence);
	world_fini(&w);
}

static void
connect_timeout_covers_everything(void)
{
	struct silence silence;
	struct world w;

	world_init(&w);
	silence_init(&silence, "127.0.0.1");
	add_server(&w, "127.0.0.1", silence.port);
	add_server(&w, "127.0.0.1", silence.port);
	w.endpoint.timeouts.connect = 0.15;
	check(&w, NULL, REASON_TIMEOUT,
	    format("cannot connect to 127.0.0.1:%u: timed out", silence.port));
	CU_ASSERT_EQUAL(logged(&w, "server.down"), 1);
	/* Without it each address still has its own. */
	world_impatient(&w);
	w.endpoint.timeouts.connect = 0;
	w.endpoint.nservers = 1;
	check(&w, NULL, REASON_TIMEOUT,
	    format("cannot connect to 127.0.0.1:%u: timed out", silence.port));
	w.endpoint.nservers = 2;
	silence_fini(&silence);
	world_fini(&w);
}

static void
connect_timeout_covers_names_too(void)
{
	struct world w;

	world_init(&w);
	fake_dns_behave(w.dns, FAKE_A, FAKE_SILENT);
	add_server(&w, "db.test", 1);
	w.endpoint.timeouts.connect = 0.1;
	check(&w, NULL, REASON_TIMEOUT,
	    "cannot resolve db.test:1: the nameserver did not answer in time");
	world_fini(&w);
}

static void
next_server_when_one_is_not_to_be_had(void)
{
	static const struct fake_record zone[] = {
		{ "two.test", FAKE_A, "127.0.0.2", 9 },
		{ "three.test", FAKE_A, "127.0.0.1", 9 },
	};
	struct world w;
	uint16_t port = 0;
	int fd;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	fd = listen_on("127.0.0.1", &port, 8);
	add_server(&w, "one.test", port);
	add_server(&w, "two.test", port);
	add_server(&w, "three.test", port);
	check(&w, NULL, REASON_NONE, format("127.0.0.1:%u", port));
	CU_ASSERT_EQUAL(logged(&w, "server.down"), 2);
	(void)close(fd);
	w.now += 10;
	check(&w, NULL, REASON_CONNECT,
	    format("cannot resolve one.test:%u: no such name (NXDOMAIN); "
		   "cannot connect to two.test:%u: 127.0.0.2 connection "
		   "refused; cannot connect to three.test:%u: 127.0.0.1 "
		   "connection refused",
		port, port, port));
	w.endpoint.nservers = 1;
	check(&w, NULL, REASON_RESOLVE,
	    format("cannot resolve one.test:%u: no such name (NXDOMAIN)",
		port));
	w.endpoint.nservers = 3;
	world_fini(&w);
}

/* The first fails, is passed over, comes back, and is tried again in time. */
static void
failed_server_is_passed_over_for_a_while(void)
{
	uint16_t first = 0, second = 0;
	struct world w;
	int fds[2];

	world_init(&w);
	fds[0] = listen_on("127.0.0.1", &first, 8);
	fds[1] = listen_on("127.0.0.1", &second, 8);
	add_server(&w, "127.0.0.1", first);
	add_server(&w, "127.0.0.1", second);
	check(&w, NULL, REASON_NONE, format("127.0.0.1:%u", first));
	(void)close(fds[0]);
	check(&w, NULL, REASON_NONE, format("127.0.0.1:%u", second));
	CU_ASSERT_EQUAL(logged(&w, "server.down"), 1);
	CU_ASSERT_EQUAL(logged(&w, "server.changed"), 1);
	fds[0] = listen_on("127.0.0.1", &first, 8);
	w.now += 4.9;
	check(&w, NULL, REASON_NONE, format("127.0.0.1:%u", second));
	CU_ASSERT_EQUAL(logged(&w, "server.up"), 0);
	w.now += 0.2;
	check(&w, NULL, REASON_NONE, format("127.0.0.1:%u", first));
	CU_ASSERT_EQUAL(logged(&w, "server.down"), 1);
	CU_ASSERT_EQUAL(logged(&w, "server.up"), 1);
	CU_ASSERT_EQUAL(logged(&w, "server.changed"), 2);
	(void)close(fds[0]);
	(void)close(fds[1]);
	world_fini(&w);
}

static void
all_down_are_tried_anyway(void)
{
	uint16_t first = refusing_port(), second = refusing_port();
	struct world w;
	int fd;

	world_init(&w);
	add_server(&w, "127.0.0.1", first);
	add_server(&w, "127.0.0.1", second);
	check(&w, NULL, REASON_CONNECT,
	    format("cannot connect to 127.0.0.1:%u: connection refused; "
		   "cannot connect to 127.0.0.1:%u: connection refused",
		first, second));
	CU_ASSERT_EQUAL(logged(&w, "server.down"), 2);
	fd = listen_on("127.0.0.1", &second, 8);
	check(&w, NULL, REASON_NONE, format("127.0.0.1:%u", second));
	CU_ASSERT_EQUAL(logged(&w, "server.down"), 2);
	CU_ASSERT_EQUAL(logged(&w, "server.up"), 1);
	(void)close(fd);
	world_fini(&w);
}

static void
random_order_comes_to_all(void)
{
	uint16_t ports[2] = { 0, 0 };
	unsigned came[2] = { 0, 0 }, i;
	struct caller c = { 0 };
	struct world w;
	int fds[2];

	world_init(&w);
	for (i = 0; i < 2; i++) {
		fds[i] = listen_on("127.0.0.1", &ports[i], 128);
		add_server(&w, "127.0.0.1", ports[i]);
	}
	w.endpoint.server_order = SERVER_ORDER_RANDOM;
	for (i = 0; i < 60; i++) {
		begin(&w, &c, NULL);
		await(&w, &c);
		came[c.result.server == &w.servers[1]]++;
		(void)close(c.result.fd);
	}
	/* That one is never chosen happens once in 2^59 times. */
	CU_ASSERT_TRUE(came[0] > 0);
	CU_ASSERT_TRUE(came[1] > 0);
	CU_ASSERT_EQUAL(logged(&w, "server.changed"), 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
	world_fini(&w);
}

static void
exact_address_is_the_only_one(void)
{
	struct dial_choice choice = { .where = DIAL_EXACT, .server = 1 };
	struct caller c = { 0 };
	struct world w;
	uint16_t port = 0;
	int fd;

	world_init(&w);
	fd = listen_on("127.0.0.1", &port, 8);
	add_server(&w, "one.test", 1);
	add_server(&w, "two.test", 2);
	inet_address(&choice.address, "127.0.0.1", port);
	begin(&w, &c, &choice);
	await(&w, &c);
	CU_ASSERT_EQUAL(c.result.reason, REASON_NONE);
	CU_ASSERT_PTR_EQUAL(c.result.server, &w.servers[1]);
	(void)close(c.result.fd);
	(void)close(fd);
	check(&w, &choice, REASON_CONNECT,
	    "cannot connect to two.test:2: 127.0.0.1 connection refused");
	CU_ASSERT_EQUAL(fake_dns_asked(w.dns), 0);
	CU_ASSERT_EQUAL(logged(&w, "server.down"), 0);
	world_fini(&w);
}

/* A redirect of the first server's to that host. */
static void
redirect_to(const struct world *w, struct dial_choice *choice,
    struct redirect *r, const char *listed, const char *host, uint16_t port)
{
	char one[64], *list[] = { one };
	const struct neg_hosts hosts = { .list = list, .n = 1 };
	struct rd words = { .at = (const uint8_t *)host, .left = strlen(host) };

	(void)snprintf(one, sizeof(one), "%s", listed);
	redirect_judge(r, &w->servers[0], &hosts, words, port);
	CU_ASSERT_NOT_EQUAL(r->way, REDIRECT_REFUSED);
	*choice = (struct dial_choice){ .where = DIAL_REDIRECT, .redirect = r };
}

static void
redirect_is_reached_where_it_leads(void)
{
	static const struct fake_record zone[] = {
		{ "db.one.test", FAKE_A, "127.0.0.2", 9 },
		{ "db.one.test", FAKE_A, "127.0.0.1", 9 },
		{ "n1.one.test", FAKE_A, "127.0.0.1", 9 },
	};
	struct dial_choice choice;
	struct redirect r;
	struct world w;
	uint16_t port = 0;
	int fd;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	fd = listen_on("127.0.0.1", &port, 8);
	add_server(&w, "db.one.test", 1);
	redirect_to(&w, &choice, &r, "x", "n1.one.test", port);
	check(&w, &choice, REASON_NONE, format("127.0.0.1:%u", port));
	redirect_to(&w, &choice, &r, "x", "n2.one.test", port);
	check(&w, &choice, REASON_RESOLVE,
	    format("cannot resolve n2.one.test:%u: no such name (NXDOMAIN)",
		port));
	/* Of the configured name, as it is now. */
	redirect_to(&w, &choice, &r, "x", "127.0.0.1", port);
	check(&w, &choice, REASON_NONE, format("127.0.0.1:%u", port));
	redirect_to(&w, &choice, &r, "x", "127.0.0.3", port);
	check(&w, &choice, REASON_REDIRECT,
	    format("127.0.0.3:%u is no address of db.one.test:1", port));
	redirect_to(&w, &choice, &r, "127.0.0.0/8", "127.0.0.3", port);
	check(&w, &choice, REASON_CONNECT,
	    format("cannot connect to 127.0.0.3:%u: connection refused", port));
	/* Whatever becomes of it says nothing of the configured server. */
	CU_ASSERT_EQUAL(logged(&w, "server."), 0);
	(void)close(fd);
	world_fini(&w);
}

/* A name that cannot be looked up has no address. */
static void
redirect_to_an_address_must_be_proven(void)
{
	struct dial_choice choice;
	struct redirect r;
	struct world w;
	uint16_t port = 0;
	int fd;

	world_init(&w);
	fd = listen_on("127.0.0.1", &port, 8);
	add_server(&w, "db.one.test", 1);
	redirect_to(&w, &choice, &r, "x", "127.0.0.1", port);
	check(&w, &choice, REASON_REDIRECT,
	    format("127.0.0.1:%u is no address of db.one.test:1: no such name "
		   "(NXDOMAIN)",
		port));
	(void)close(fd);
	world_fini(&w);
}

static const struct neg_hosts *
redirects_nowhere(const void *options)
{
	(void)options;
	return NULL;
}

/* It would be sent on again, and again, until no descriptor is left. */
static void
redirect_to_ourselves_is_not_followed(void)
{
	static const struct neg_ops ops = { .redirects = redirects_nowhere };
	static const char *const listens[] = { "127.0.0.1", "0.0.0.0" };
	struct endpoint own = { .ops = &ops, .nlistens = 1 };
	struct endpoint *endpoints[] = { &own };
	struct dial_choice choice;
	struct address listen;
	struct redirect r;
	struct world w;
	uint16_t port = 0;
	size_t i;
	int fd;

	world_init(&w);
	fd = listen_on("127.0.0.1", &port, 8);
	add_server(&w, "127.0.0.1", 1);
	own.listens = &listen;
	w.config.endpoints = endpoints;
	w.config.nendpoints = COUNT(endpoints);
	for (i = 0; i < COUNT(listens); i++) {
		inet_address(&listen, listens[i], port);
		redirect_to(&w, &choice, &r, "x", "127.0.0.1", port);
		check(&w, &choice, REASON_CONNECT,
		    format("cannot connect to 127.0.0.1:%u: is a listener of "
			   "this proxy itself",
			port));
	}
	inet_address(&listen, "127.0.0.2", port);
	redirect_to(&w, &choice, &r, "x", "127.0.0.1", port);
	check(&w, &choice, REASON_NONE, format("127.0.0.1:%u", port));
	(void)close(fd);
	world_fini(&w);
}

/* Whatever its name is in the configuration. */
static void
own_listener_is_no_server(void)
{
	static const struct fake_record zone[] = {
		{ "db.one.test", FAKE_A, "127.0.0.1", 9 },
	};
	struct endpoint *endpoints[1];
	struct address listen;
	struct world w;
	uint16_t port = 0;
	int fd;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	fd = listen_on("127.0.0.1", &port, 8);
	add_server(&w, "db.one.test", port);
	endpoints[0] = &w.endpoint;
	w.endpoint.listens = &listen;
	w.endpoint.nlistens = 1;
	w.config.endpoints = endpoints;
	w.config.nendpoints = COUNT(endpoints);
	inet_address(&listen, "0.0.0.0", port);
	check(&w, NULL, REASON_CONNECT,
	    format("cannot connect to db.one.test:%u: 127.0.0.1 is a listener "
		   "of this proxy itself",
		port));
	inet_address(&listen, "127.0.0.2", port);
	check(&w, NULL, REASON_NONE, format("127.0.0.1:%u", port));
	(void)close(fd);
	world_fini(&w);
}

static bool
always_pairs(const void *options)
{
	(void)options;
	return true;
}

/* All its addresses, whether it is known to be down or not, and no other's. */
static void
one_server_is_not_exchanged_for_another(void)
{
	static const struct neg_ops ops = { .pairs = always_pairs };
	static const struct fake_record zone[] = {
		{ "one.test", FAKE_A, "127.0.0.1", 9 },
		{ "two.test", FAKE_A, "127.0.0.2", 9 },
		{ "two.test", FAKE_A, "127.0.0.3", 9 },
	};
	struct dial_choice choice = { .where = DIAL_SERVER, .server = 1 };
	struct world w;
	uint16_t port = 0;
	const char *refused;
	int one, two;

	world_init(&w);
	w.endpoint.ops = &ops;
	fake_dns_set(w.dns, zone, COUNT(zone));
	one = listen_on("127.0.0.1", &port, 8);
	add_server(&w, "one.test", port);
	add_server(&w, "two.test", port);
	refused = format("cannot connect to two.test:%u: 127.0.0.2 connection "
			 "refused, 127.0.0.3 connection refused",
	    port);
	check(&w, &choice, REASON_CONNECT, refused);
	check(&w, &choice, REASON_CONNECT, refused);
	CU_ASSERT_EQUAL(logged(&w, "server.down"), 1);
	two = listen_on("127.0.0.3", &port, 8);
	check(&w, &choice, REASON_NONE, format("127.0.0.3:%u", port));
	CU_ASSERT_EQUAL(logged(&w, "server.up"), 1);
	choice.server = 0;
	check(&w, &choice, REASON_NONE, format("127.0.0.1:%u", port));
	CU_ASSERT_EQUAL(logged(&w, "server.changed"), 0);
	(void)close(one);
	(void)close(two);
	world_fini(&w);
}

static void
nth_of_all_addresses(void)
{
	static const struct fake_record zone[] = {
		{ "one.test", FAKE_A, "127.0.0.2", 9 },
		{ "one.test", FAKE_A, "127.0.0.1", 9 },
		{ "three.test", FAKE_A, "127.0.0.1", 9 },
	};
	struct dial_choice choice = { .where = DIAL_NTH };
	struct caller c = { 0 };
	struct world w;
	uint16_t port = 0;
	int fd;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	fd = listen_on("127.0.0.1", &port, 8);
	add_server(&w, "one.test", port);
	add_server(&w, "two.test", port);
	add_server(&w, "three.test", port);
	check(&w, &choice, REASON_CONNECT,
	    format("cannot connect to one.test:%u: 127.0.0.2 connection "
		   "refused",
		port));
	choice.nth = 1;
	check(&w, &choice, REASON_NONE, format("127.0.0.1:%u", port));
	choice.nth = 2;
	begin(&w, &c, &choice);
	await(&w, &c);
	CU_ASSERT_EQUAL(c.result.reason, REASON_NONE);
	CU_ASSERT_FALSE(c.result.exhausted);
	CU_ASSERT_PTR_EQUAL(c.result.server, &w.servers[2]);
	(void)close(c.result.fd);
	choice.nth = 3;
	begin(&w, &c, &choice);
	await(&w, &c);
	CU_ASSERT_EQUAL(c.result.fd, -1);
	CU_ASSERT_TRUE(c.result.exhausted);
	CU_ASSERT_EQUAL(logged(&w, "server.down"), 0);
	(void)close(fd);
	world_fini(&w);
}

static void
unix_server_is_reached(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct world w;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	world_init(&w);
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", w.nofile);
	add_unix_server(&w, sun.sun_path);
	check(&w, NULL, REASON_CONNECT,
	    format("cannot connect to unix:%s: no such file or directory",
		sun.sun_path));
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 8) == -1)
		abort();
	check(&w, NULL, REASON_NONE, format("unix:%s", sun.sun_path));
	(void)close(fd);
	check(&w, NULL, REASON_CONNECT,
	    format("cannot connect to unix:%s: connection refused",
		sun.sun_path));
	(void)unlink(sun.sun_path);
	world_fini(&w);
}

static void
accept_one(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)close(accept(*(int *)arg, NULL, NULL));
}

/* Its queue is full for now: that is no failure. */
static void
busy_unix_server_is_waited_for(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval soon = { 0, 50000 };
	struct caller c[3] = { 0 };
	struct world w;
	unsigned i;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	world_init(&w);
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", w.nofile);
	add_unix_server(&w, sun.sun_path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, 0) == -1)
		abort();
	for (i = 0; i < 2; i++)
		begin(&w, &c[i], NULL);
	await(&w, &c[0]);
	event_base_loop(w.base, EVLOOP_ONCE);
	CU_ASSERT_EQUAL(c[1].called, 0);
	event_base_once(w.base, -1, EV_TIMEOUT, accept_one, &fd, &soon);
	await(&w, &c[1]);
	CU_ASSERT_EQUAL(c[1].result.reason, REASON_NONE);
	CU_ASSERT_TRUE(c[1].result.connect_seconds > 0.01);
	w.endpoint.timeouts.connect = 0.1;
	check(&w, NULL, REASON_TIMEOUT,
	    format("cannot connect to unix:%s: timed out", sun.sun_path));
	begin(&w, &c[2], NULL);
	for (i = 0; i < 3; i++)
		event_base_loop(w.base, EVLOOP_ONCE);
	dial_cancel(c[2].dial);
	for (i = 0; i < 2; i++)
		(void)close(c[i].result.fd);
	(void)close(fd);
	(void)unlink(sun.sun_path);
	world_fini(&w);
}

static void
source_address_is_kept(void)
{
	static const struct fake_record zone[] = {
		{ "db.test", FAKE_AAAA, "::1", 9 },
	};
	struct address peer = { .len = sizeof(peer.sa) };
	char text[ADDRESS_TEXT_MAX];
	struct world w;
	uint16_t port = 0;
	int fd, accepted;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	inet_address(&w.endpoint.source, "127.0.0.5", 0);
	fd = listen_on("127.0.0.1", &port, 8);
	add_server(&w, "127.0.0.1", port);
	check(&w, NULL, REASON_NONE, format("127.0.0.1:%u", port));
	accepted = accept(fd, (struct sockaddr *)&peer.sa, &peer.len);
	(void)address_format(&peer, text, sizeof(text));
	CU_ASSERT_EQUAL(strncmp(text, "127.0.0.5:", 10), 0);
	(void)close(accepted);
	(void)close(fd);
	add_server(&w, "db.test", 1);
	w.endpoint.servers++;
	w.endpoint.nservers = 1;
	check(&w, NULL, REASON_CONNECT,
	    "cannot connect to db.test:1: [::1] is not of the family of the "
	    "source address");
	w.endpoint.servers--;
	w.endpoint.nservers = 2;
	world_fini(&w);
}

static void
connection_with_oneself_is_none(void)
{
	uint16_t port = refusing_port();
	struct world w;

	world_init(&w);
	add_server(&w, "127.0.0.1", port);
	/* The kernel would have to be lucky: give it the port. */
	inet_address(&w.endpoint.source, "127.0.0.1", port);
	check(&w, NULL, REASON_CONNECT,
	    format("cannot connect to 127.0.0.1:%u: connection refused (it "
		   "came back to itself)",
		port));
	world_fini(&w);
}

/* It says nothing about the server that we have no descriptor for it. */
static void
lack_of_ours_is_not_held_against_the_server(void)
{
	struct rlimit before, none;
	struct caller c = { 0 };
	struct world w;
	int fd;

	world_init(&w);
	add_server(&w, "127.0.0.1", 1);
	begin(&w, &c, NULL);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)close(fd);
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = (rlim_t)fd;
	setrlimit(RLIMIT_NOFILE, &none);
	await(&w, &c);
	setrlimit(RLIMIT_NOFILE, &before);
	CU_ASSERT_EQUAL(c.result.reason, REASON_CONNECT);
	CU_ASSERT_STRING_EQUAL(c.result.text,
	    "cannot connect to 127.0.0.1:1: too many open files");
	CU_ASSERT_EQUAL(logged(&w, "server.down"), 0);
	world_fini(&w);
}

static void
tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* Wherever it has come to, nothing is left of it and nobody is called. */
static void
cancel_leaves_nothing(void)
{
	static const struct fake_record zone[] = {
		{ "db.test", FAKE_A, "127.0.0.1", 9 },
	};
	struct timeval soon = { 0, 2000 };
	struct silence silence;
	struct caller c = { 0 };
	struct event *ticks;
	struct world w;
	unsigned before, steps, i;
	int events;

	world_init(&w);
	fake_dns_set(w.dns, zone, COUNT(zone));
	silence_init(&silence, "127.0.0.1");
	add_server(&w, "db.test", silence.port);
	w.config.dns.max_ttl = 0; /* asks anew each time */
	dialer_free(w.dialer);
	/* So that a round of the loop ends where the dial just waits. */
	ticks = event_new(w.base, -1, EV_PERSIST, tick, NULL);
	event_add(ticks, &soon);
	for (steps = 0; steps < 8; steps++) {
		struct err err;

		before = descriptors();
		events =
		    event_base_get_num_events(w.base, EVENT_BASE_COUNT_ADDED);
		w.dialer =
		    dialer_new_with(w.base, &w.config, &w.settings, &err);
		begin(&w, &c, NULL);
		for (i = 0; i < steps; i++)
			event_base_loop(w.base, EVLOOP_ONCE);
		dial_cancel(c.dial);
		dialer_free(w.dialer);
		/* What the nameserver still has to read. */
		event_base_loop(w.base, EVLOOP_NONBLOCK);
		CU_ASSERT_EQUAL(descriptors(), before);
		CU_ASSERT_EQUAL(
		    event_base_get_num_events(w.base, EVENT_BASE_COUNT_ADDED),
		    events);
		CU_ASSERT_EQUAL(c.called, 0);
		if (steps == 0)
			dial_cancel(NULL);
	}
	w.dialer = NULL;
	event_free(ticks);
	silence_fini(&silence);
	world_fini(&w);
}

struct chance {
	struct world *w;
	unsigned tried;
};

static void *
ask_for_a_try(void *arg)
{
	struct chance *chance = arg;
	int i;

	for (i = 0; i < 1000; i++)
		chance->tried +=
		    server_health_may_try(chance->w->health, 0, chance->w->now);
	return NULL;
}

static void
one_of_many_threads_tries_again(void)
{
	struct chance chances[8];
	pthread_t threads[8];
	unsigned i, tried = 0;
	struct world w;

	world_init(&w);
	add_server(&w, "127.0.0.1", 1);
	for (i = 0; i < 3; i++)
		server_health_failed(w.health, 0, w.now, "for a test");
	CU_ASSERT_EQUAL(logged(&w, "server.down"), 1);
	CU_ASSERT_FALSE(server_health_may_try(w.health, 0, w.now + 4.9));
	w.now += 5.1;
	for (i = 0; i < COUNT(threads); i++) {
		chances[i] = (struct chance){ &w, 0 };
		if (pthread_create(&threads[i], NULL, ask_for_a_try,
			&chances[i]) != 0)
			abort();
	}
	for (i = 0; i < COUNT(threads); i++) {
		pthread_join(threads[i], NULL);
		tried += chances[i].tried;
	}
	CU_ASSERT_EQUAL(tried, 1);
	server_health_reached(w.health, 0);
	server_health_reached(w.health, 0);
	CU_ASSERT_EQUAL(logged(&w, "server.up"), 1);
	CU_ASSERT_TRUE(server_health_may_try(w.health, 0, w.now));
	world_fini(&w);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
#define TEST(name) { #name, name }
		TEST(fixed_server_is_reached),
		TEST(addresses_are_tried_in_turn),
		TEST(long_list_of_failures_is_cut),
		TEST(silent_address_gives_way_after_its_time),
		TEST(connect_timeout_covers_everything),
		TEST(connect_timeout_covers_names_too),
		TEST(next_server_when_one_is_not_to_be_had),
		TEST(failed_server_is_passed_over_for_a_while),
		TEST(all_down_are_tried_anyway),
		TEST(random_order_comes_to_all),
		TEST(exact_address_is_the_only_one),
		TEST(redirect_is_reached_where_it_leads),
		TEST(redirect_to_an_address_must_be_proven),
		TEST(redirect_to_ourselves_is_not_followed),
		TEST(own_listener_is_no_server),
		TEST(one_server_is_not_exchanged_for_another),
		TEST(nth_of_all_addresses),
		TEST(unix_server_is_reached),
		TEST(busy_unix_server_is_waited_for),
		TEST(source_address_is_kept),
		TEST(connection_with_oneself_is_none),
		TEST(lack_of_ours_is_not_held_against_the_server),
		TEST(cancel_leaves_nothing),
		TEST(one_of_many_threads_tries_again),
#undef TEST
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "dial", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
