/* drain.c - the end of the proxy, with sessions in every state */
#include "tests/loop/suites.h"

#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include "tests/loop/scenario.h"

static const struct step good_server[] = { MESSAGE, SEND("S"), TLS, MESSAGE,
	SEND(WELCOME), ECHO, BYE, { .act = DO_END } };
static bool
send_for_ever(struct actor *a)
{
	static const uint8_t bytes[64 * 1024];

	while (actor_send(a, bytes, sizeof(bytes)))
		;
	return false;
}

static const struct step flooding_server[] = { MESSAGE, SEND("S"), TLS, MESSAGE,
	SEND(WELCOME), CALL(send_for_ever), { .act = DO_END } };
static const struct step silent_server[] = { MESSAGE, DRAIN,
	{ .act = DO_END } };
struct drain {
	struct world w;
	struct fake good, silent;
	unsigned relaying, connecting;
};

static void
drain_init(struct drain *d, const char *timeouts)
{
	char settings[1024];

	fake_init(&d->good, good_server, server_context("good"));
	fake_init(&d->silent, silent_server, NULL);
	fake_start(&d->good, 4);
	fake_start(&d->silent, 4);
	world_init(&d->w);
	(void)snprintf(settings, sizeof(settings), "%s timeouts = { %s }; ",
	    MODE_FULL, timeouts);
	d->relaying = world_add(&d->w, "relaying", &d->good, settings);
	d->connecting = world_add(&d->w, "connecting", &d->silent, settings);
	world_start(&d->w);
}

static void
drain_fini(struct drain *d)
{
	world_fini(&d->w);
	fake_fini(&d->good);
	fake_fini(&d->silent);
}

/* A client that has said something and goes on later. */
static void
client_begin(struct drain *d, struct actor *a, unsigned endpoint,
    const char *bytes, size_t len)
{
	memset(a, 0, sizeof(*a));
	a->fd = world_connect(&d->w, endpoint);
	CU_ASSERT_TRUE(actor_send(a, bytes, len));
}

static void
client_log_in(struct drain *d, struct actor *a)
{
	uint8_t bytes[sizeof(WELCOME) - 1];
	size_t n, got = 0;

	client_begin(d, a, d->relaying, STARTUP, sizeof(STARTUP) - 1);
	while (got < sizeof(bytes) &&
	    (n = actor_receive(a, bytes + got, sizeof(bytes) - got)) > 0)
		got += n;
	CU_ASSERT_EQUAL(got, sizeof(bytes));
	a->clear.len = 0;
}

static void
client_drain(struct actor *a)
{
	uint8_t bytes[1024];

	while (actor_receive(a, bytes, sizeof(bytes)) > 0)
		;
	(void)close(a->fd);
}

static void
check_error(struct actor *a, const char *sqlstate, const char *text)
{
	const char *state = error_field(&a->clear, 'C');
	const char *says = error_field(&a->clear, 'M');

	CU_ASSERT_PTR_NOT_NULL_FATAL(state);
	CU_ASSERT_STRING_EQUAL(state, sqlstate);
	CU_ASSERT_PTR_NOT_NULL(strstr(says, text));
	actor_fini(a);
}

static void
check_logged(struct drain *d, const char *event, const char *reason, unsigned n)
{
	const char *words[] = { event, reason, NULL };
	unsigned logged = world_count_logged(&d->w, words);

	CU_ASSERT_EQUAL(logged, n);
	if (logged != n)
		world_print_log(&d->w, "event=session.");
}

static bool
is_idle(const void *arg)
{
	return proxy_idle(arg);
}

static bool
has_begun(const void *arg)
{
	struct fake *f = (struct fake *)(uintptr_t)arg;
	bool begun;

	(void)pthread_mutex_lock(&f->lock);
	begun = f->clear.len > 0 || f->begun > 0;
	(void)pthread_mutex_unlock(&f->lock);
	return begun;
}

/* As after SIGTERM. */
void
drain_lets_relays_end(void)
{
	struct actor relaying, leaving, opening, connecting;
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	struct drain d;
	int fd;

	drain_init(&d, "drain = 0.5;");
	client_log_in(&d, &relaying);
	client_log_in(&d, &leaving);
	client_begin(&d, &opening, d.relaying, STARTUP, 3);
	client_begin(&d, &connecting, d.connecting, STARTUP,
	    sizeof(STARTUP) - 1);
	CU_ASSERT_TRUE(wait_until(has_begun, &d.silent));
	(void)getpeername(relaying.fd, (struct sockaddr *)&sin, &len);

	proxy_drain(d.w.proxy);
	client_drain(&connecting);
	check_error(&connecting, "57P03", "shutting down");
	CU_ASSERT_TRUE(
	    actor_send(&opening, &STARTUP[3], sizeof(STARTUP) - 1 - 3));
	client_drain(&opening);
	check_error(&opening, "57P03", "shutting down");

	/* Nobody new, but who is in is still served. */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&sin, len), -1);
	CU_ASSERT_EQUAL(errno, ECONNREFUSED);
	(void)close(fd);
	CU_ASSERT_FALSE(proxy_idle(d.w.proxy));
	CU_ASSERT_TRUE(actor_send(&leaving, "ping", 4));
	(void)shutdown(leaving.fd, SHUT_WR);
	client_drain(&leaving);
	CU_ASSERT_TRUE(bytes_have(&leaving.clear, "ping", 4));
	CU_ASSERT_EQUAL(leaving.ending, ENDING_FIN);
	actor_fini(&leaving);

	/* Until its time is over. */
	client_drain(&relaying);
	CU_ASSERT_EQUAL(relaying.ending, ENDING_RESET);
	actor_fini(&relaying);
	CU_ASSERT_TRUE(wait_until(is_idle, d.w.proxy));
	check_logged(&d, "event=session.refused ", " reason=draining", 2);
	check_logged(&d, "event=session.close ", " reason=drain", 1);
	check_logged(&d, "event=session.close ", " reason=client_closed", 1);
	drain_fini(&d);
}

/* Whoever does not take what it is owed does not put the end off. */
void
drain_waits_for_no_reader(void)
{
	struct actor a = { .fd = -1 };
	struct fake flooding;
	struct world w;
	unsigned endpoint;
	uint8_t byte;

	fake_init(&flooding, flooding_server, server_context("good"));
	fake_start(&flooding, 1);
	world_init(&w);
	endpoint = world_add(&w, "flooding", &flooding,
	    MODE_FULL "timeouts = { drain = 0.3; }; ");
	world_start(&w);
	a.fd = world_connect(&w, endpoint);
	CU_ASSERT_TRUE(actor_send(&a, STARTUP, sizeof(STARTUP) - 1));
	CU_ASSERT_EQUAL(actor_receive(&a, &byte, 1), 1);
	proxy_drain(w.proxy);
	CU_ASSERT_TRUE(wait_until(is_idle, w.proxy));
	(void)close(a.fd);
	actor_fini(&a);
	world_fini(&w);
	fake_fini(&flooding);
}

/* As after the second SIGTERM. */
void
stop_ends_everything(void)
{
	struct actor relaying, connecting;
	struct drain d;

	drain_init(&d, "drain = 0; handshake = 0;");
	client_log_in(&d, &relaying);
	client_begin(&d, &connecting, d.connecting, STARTUP,
	    sizeof(STARTUP) - 1);
	CU_ASSERT_TRUE(wait_until(has_begun, &d.silent));
	proxy_stop(d.w.proxy);
	CU_ASSERT_TRUE(wait_until(is_idle, d.w.proxy));
	client_drain(&relaying);
	CU_ASSERT_EQUAL(relaying.ending, ENDING_RESET);
	actor_fini(&relaying);
	client_drain(&connecting);
	actor_fini(&connecting);
	check_logged(&d, "event=session.close ", " reason=drain", 1);
	drain_fini(&d);
}

void
drain_of_nobody_is_idle_at_once(void)
{
	struct drain d;

	drain_init(&d, "drain = 0;");
	CU_ASSERT_TRUE(proxy_idle(d.w.proxy));
	proxy_drain(d.w.proxy);
	CU_ASSERT_TRUE(wait_until(is_idle, d.w.proxy));
	drain_fini(&d);
}
