#include "tests/loop/world.h"

#include <sys/socket.h>

#include <assert.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/log.h"

#define LISTEN_PORT     5432
#define POLL_NSEC       1000000
#define STANDSTILL_NSEC 150000000
#define WORDS_MAX       8

/* Addresses that no other run of these tests has at the same time. */
static unsigned
listen_host(unsigned endpoint)
{
	unsigned pid = (unsigned)getpid();

	return 127u << 24 | (64 + (pid >> 8) % 128) << 16 | (pid & 0xff) << 8 |
	    (endpoint + 1);
}

static void text_add(struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
text_add(struct world *w, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	w->text = realloc(w->text, w->text_len + (size_t)n + 1);
	assert(w->text != NULL);
	memcpy(w->text + w->text_len, text, (size_t)n + 1);
	w->text_len += (size_t)n;
	free(text);
}

void
world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/dbtls-loop.XXXXXX");
	if (mkdtemp(w->dir) == NULL)
		assert(!"no folder");
	(void)snprintf(w->log, sizeof(w->log), "%s/log", w->dir);
	text_add(w,
	    "threads = 2;\n"
	    "log = { level = \"debug\"; to = \"%s\"; };\n"
	    "endpoints = (",
	    w->log);
}

const char *
world_listen_text(unsigned endpoint, unsigned listen)
{
	static _Thread_local char text[sizeof("255.255.255.255:65535")];
	unsigned host = listen_host(endpoint);

	(void)snprintf(text, sizeof(text), "%u.%u.%u.%u:%u", host >> 24,
	    host >> 16 & 0xff, host >> 8 & 0xff, host & 0xff,
	    LISTEN_PORT + listen);
	return text;
}

static unsigned
add_endpoint(struct world *w, const char *engine, const char *name,
    unsigned nlistens, const char *servers, const char *settings)
{
	unsigned i;

	assert(w->nendpoints < ENDPOINTS_MAX);
	text_add(w, "%s\n{ name = \"%s\"; engine = \"%s\";\n  listen = [ ",
	    w->nendpoints > 0 ? "," : "", name, engine);
	for (i = 0; i < nlistens; i++)
		text_add(w, "%s\"%s\"", i > 0 ? ", " : "",
		    world_listen_text(w->nendpoints, i));
	text_add(w, " ]; server = %s;\n  %s }", servers, settings);
	return w->nendpoints++;
}

unsigned
world_add_server(struct world *w, const char *engine, const char *name,
    const char *server, const char *settings)
{
	return add_endpoint(w, engine, name, 1, server, settings);
}

unsigned
world_add_listens(struct world *w, const char *name, unsigned nlistens,
    const char *servers, const char *settings)
{
	return add_endpoint(w, "postgres", name, nlistens, servers, settings);
}

unsigned
world_add(struct world *w, const char *name, const struct fake *fake,
    const char *settings)
{
	char server[32];

	(void)snprintf(server, sizeof(server), "\"127.0.0.1:%u\"",
	    (unsigned)fake->port);
	return world_add_server(w, "postgres", name, server, settings);
}

static void
fail_to_start(const struct err *err)
{
	fprintf(stderr, "%s\n", err->text);
	exit(1);
}

static void
use_other_protocols(struct world *w)
{
	size_t i;

	for (i = 0; i < w->nendpoints; i++)
		if (w->ops[i] != NULL)
			w->config->endpoints[i]->ops = w->ops[i];
}

/* What the environment asks for (DBTLS_TEST_RECORDS); both ways are run. */
static void
use_own_records(const struct world *w)
{
	const char *records = getenv("DBTLS_TEST_RECORDS");
	size_t i;

	if (records == NULL || strcmp(records, "direct") != 0)
		return;
	for (i = 0; i < w->config->nendpoints; i++)
		w->config->endpoints[i]->tls.records = RECORDS_DIRECT;
}

void
world_listen(struct world *w)
{
	struct problems problems = { .list = NULL };
	struct err err;

	text_add(w, " );\n");
	w->config = config_load_text(w->text, "loop", &problems);
	if (w->config == NULL) {
		problems_print(&problems, stderr);
		fprintf(stderr, "%s", w->text);
		exit(1);
	}
	problems_fini(&problems);
	use_other_protocols(w);
	use_own_records(w);
	if (log_setup(w->config, &err) == -1 ||
	    (w->proxy = proxy_new(w->config, &err)) == NULL)
		fail_to_start(&err);
	w->descriptors = descriptors_now();
}

void
world_accept(struct world *w)
{
	struct err err;

	if (proxy_start(w->proxy, &err) == -1)
		fail_to_start(&err);
}

void
world_start(struct world *w)
{
	world_listen(w);
	world_accept(w);
}

void
world_fini(struct world *w)
{
	if (w->proxy != NULL)
		proxy_stop(w->proxy);
	proxy_free(w->proxy);
	config_release(w->config);
	(void)unlink(w->log);
	(void)rmdir(w->dir);
	free(w->text);
}

int
world_connect(const struct world *w, unsigned endpoint)
{
	return world_connect_by(w, endpoint, 0);
}

int
world_connect_by(const struct world *w, unsigned endpoint, unsigned listen)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)w;
	sin.sin_addr.s_addr = htonl(listen_host(endpoint));
	sin.sin_port = htons((unsigned short)(LISTEN_PORT + listen));
	if (fd == -1 ||
	    connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1) {
		perror("connect to the proxy");
		exit(1);
	}
	return fd;
}

double
seconds_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

bool
wait_until(bool (*is)(const void *), const void *arg)
{
	struct timespec poll = { 0, POLL_NSEC };
	double end = seconds_now() + PATIENCE_SECONDS;

	while (!is(arg)) {
		if (seconds_now() > end)
			return false;
		(void)nanosleep(&poll, NULL);
	}
	return true;
}

unsigned
world_visitors(struct fake *f)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(f->port);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		assert(!"nobody listens");
	/* Whatever it is to do, it does not go on without us. */
	(void)shutdown(fd, SHUT_WR);
	while (recv(fd, &byte, 1, 0) > 0)
		;
	(void)close(fd);
	return fake_visits(f) - 1;
}

size_t
wait_for_standstill(atomic_size_t *sent)
{
	struct timespec while_ = { 0, STANDSTILL_NSEC };
	size_t before, now = 0;

	do {
		before = now;
		(void)nanosleep(&while_, NULL);
		now = atomic_load(sent);
	} while (now != before || now == 0);
	return now;
}

/* Of those that are, or are not, pipes. */
static unsigned
count_descriptors(bool pipes)
{
	static const char pipe[] = "pipe:";
	DIR *dir = opendir("/proc/self/fd");
	char target[64];
	struct dirent *e;
	unsigned n = 0;
	ssize_t len;

	assert(dir != NULL);
	while ((e = readdir(dir)) != NULL) {
		len = readlinkat(dirfd(dir), e->d_name, target, sizeof(target));
		if (len >= (ssize_t)strlen(pipe) &&
		    memcmp(target, pipe, strlen(pipe)) == 0)
			n += pipes;
		else
			n += !pipes;
	}
	(void)closedir(dir);
	return n;
}

unsigned
descriptors_now(void)
{
	return count_descriptors(false);
}

unsigned
pipes_now(void)
{
	return count_descriptors(true);
}

static bool
is_settled(const void *arg)
{
	const struct world *w = arg;

	return atomic_load(&w->proxy->sessions) == 0 &&
	    descriptors_now() == w->descriptors;
}

bool
world_settles(struct world *w)
{
	if (wait_until(is_settled, w))
		return true;
	fprintf(stderr, "%u sessions are left, %u descriptors instead of %u\n",
	    atomic_load(&w->proxy->sessions), descriptors_now(),
	    w->descriptors);
	return false;
}

struct search {
	const struct world *world;
	const char *const *words;
};

static bool
line_has(const char *line, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (strstr(line, *words) == NULL)
			return false;
	}
	return true;
}

unsigned
world_count_logged(const struct world *w, const char *const *words)
{
	char line[LOG_LINE_MAX + 1];
	FILE *f = fopen(w->log, "re");
	unsigned n = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		n += line_has(line, words);
	if (f != NULL)
		(void)fclose(f);
	return n;
}

static bool
is_logged(const void *arg)
{
	const struct search *s = arg;

	return world_count_logged(s->world, s->words) > 0;
}

bool
world_logged(const struct world *w, const char *const *words)
{
	struct search s = { w, words };

	return wait_until(is_logged, &s);
}

void
world_print_log(const struct world *w, const char *word)
{
	char line[LOG_LINE_MAX + 1];
	FILE *f = fopen(w->log, "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strstr(line, word) != NULL)
			fprintf(stderr, "    %s", line);
	}
	if (f != NULL)
		(void)fclose(f);
}
