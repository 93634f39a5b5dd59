/* cases.c - what takes more than one client, or more than one server */
#include "tests/loop/suites.h"

#include <sys/socket.h>

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include "tests/loop/scenario.h"

#define EACH_FULL  "ssl_mode = \"verify-full\"; " CA("ca.crt")
#define CANCEL_LEN (sizeof(CANCEL) - 1)
#define QUEUE_MAX  8

/* Serves a startup, and notes a cancel request: both come in the first
 * message. */
static bool
serve_or_cancel(struct actor *a)
{
	const struct bytes *got = a->ssl != NULL ? &a->sealed : &a->clear;

	if (got->len == CANCEL_LEN && memcmp(got->at, CANCEL, CANCEL_LEN) == 0)
		return false;
	return actor_send(a, WELCOME, sizeof(WELCOME) - 1);
}

static const struct step secured_server[] = { MESSAGE, SEND("S"), TLS, MESSAGE,
	CALL(serve_or_cancel), ECHO, BYE, { .act = DO_END } };

/* Two servers in order, each with the name that MODE_FULL has for one. */
static unsigned
add_two(struct world *w, unsigned first, unsigned second, const char *settings)
{
	char servers[256];

	(void)snprintf(servers, sizeof(servers),
	    "( { address = \"127.0.0.1:%u\"; " NAMED "}, "
	    "{ address = \"127.0.0.1:%u\"; " NAMED "} )",
	    first, second);
	return world_add_server(w, "postgres", "two", servers, settings);
}

static void
begin(struct actor *a, const struct world *w, unsigned endpoint,
    const char *bytes, size_t len)
{
	memset(a, 0, sizeof(*a));
	a->fd = world_connect(w, endpoint);
	(void)actor_send(a, bytes, len);
}

static void
drain(struct actor *a)
{
	uint8_t bytes[1024];

	while (actor_receive(a, bytes, sizeof(bytes)) > 0)
		;
	(void)close(a->fd);
}

static void
receive_welcome(struct actor *a)
{
	uint8_t bytes[sizeof(WELCOME) - 1];
	size_t n, got = 0;

	while (got < sizeof(bytes) &&
	    (n = actor_receive(a, bytes + got, sizeof(bytes) - got)) > 0)
		got += n;
	CU_ASSERT_EQUAL(got, sizeof(bytes));
}

static void
leave(struct actor *a)
{
	(void)shutdown(a->fd, SHUT_WR);
	drain(a);
	CU_ASSERT_EQUAL(a->ending, ENDING_FIN);
	actor_fini(a);
}

/* It notes what came once the connection is closed, and that is after we have
 * seen that. */
static bool
has_cancel(const void *arg)
{
	struct fake *f = (struct fake *)(uintptr_t)arg;
	bool has;

	(void)pthread_mutex_lock(&f->lock);
	has = bytes_have(&f->sealed, CANCEL, CANCEL_LEN);
	(void)pthread_mutex_unlock(&f->lock);
	return has;
}

static bool
is_done(const void *arg)
{
	return fake_idle((struct fake *)(uintptr_t)arg);
}

/* The session is at the second of two servers, because the first was away. */
void
cancel_reaches_the_server_of_its_session(void)
{
	struct actor session, cancel;
	struct fake fakes[2];
	unsigned endpoint, i;
	struct world w;

	world_init(&w);
	for (i = 0; i < 2; i++)
		fake_init(&fakes[i], secured_server, server_context("good"));
	fake_hide(&fakes[0]);
	fake_start(&fakes[1], 2);
	endpoint = add_two(&w, fakes[0].port, fakes[1].port,
	    EACH_FULL CLIENT_TLS("allow") "retry_after = 0; ");
	world_start(&w);
	begin(&session, &w, endpoint, STARTUP, sizeof(STARTUP) - 1);
	receive_welcome(&session);
	fake_show(&fakes[0]);
	fake_start(&fakes[0], 1);
	w.descriptors++;
	begin(&cancel, &w, endpoint, CANCEL, CANCEL_LEN);
	drain(&cancel);
	CU_ASSERT_EQUAL(cancel.clear.len, 0);
	CU_ASSERT_EQUAL(cancel.ending, ENDING_FIN);
	CU_ASSERT_TRUE(wait_until(has_cancel, &fakes[1]));
	CU_ASSERT_EQUAL(fakes[0].begun, 0);
	leave(&session);
	CU_ASSERT_TRUE(world_settles(&w));
	/* Now nobody has that key: it goes to both. */
	begin(&cancel, &w, endpoint, CANCEL, CANCEL_LEN);
	drain(&cancel);
	CU_ASSERT_TRUE(wait_until(is_done, &fakes[0]));
	CU_ASSERT_TRUE(wait_until(has_cancel, &fakes[0]));
	CU_ASSERT_TRUE(world_settles(&w));
	world_fini(&w);
	for (i = 0; i < 2; i++)
		fake_fini(&fakes[i]);
}

/* In plaintext to a listener that demands TLS of all else; in TLS, all the
 * same, to the server. */
void
cancel_in_plaintext_passes_where_tls_is_required(void)
{
	struct actor cancel;
	struct fake fake;
	unsigned endpoint;
	struct world w;

	world_init(&w);
	fake_init(&fake, secured_server, server_context("good"));
	fake_start(&fake, 1);
	endpoint =
	    world_add(&w, "strict", &fake, MODE_FULL CLIENT_TLS("require"));
	world_start(&w);
	begin(&cancel, &w, endpoint, CANCEL, CANCEL_LEN);
	drain(&cancel);
	CU_ASSERT_EQUAL(cancel.clear.len, 0);
	CU_ASSERT_TRUE(wait_until(has_cancel, &fake));
	CU_ASSERT_TRUE(world_settles(&w));
	world_fini(&w);
	fake_fini(&fake);
}

/* A certificate that is refused keeps a cancel's key from the server too. */
void
cancel_is_kept_from_a_server_that_is_not_verified(void)
{
	struct actor cancel;
	struct fake fake;
	unsigned endpoint;
	struct world w;

	world_init(&w);
	fake_init(&fake, secured_server, server_context("other"));
	fake_start(&fake, 1);
	endpoint = world_add(&w, "wrong", &fake, MODE_FULL);
	world_start(&w);
	begin(&cancel, &w, endpoint, CANCEL, CANCEL_LEN);
	drain(&cancel);
	CU_ASSERT_TRUE(wait_until(is_done, &fake));
	CU_ASSERT_EQUAL(fake.sealed.len, 0);
	CU_ASSERT_TRUE(world_settles(&w));
	world_fini(&w);
	fake_fini(&fake);
}

static void
check_refused(struct actor *a, const char *sqlstate)
{
	const char *state;

	drain(a);
	state = error_field(&a->clear, 'C');
	CU_ASSERT_PTR_NOT_NULL_FATAL(state);
	CU_ASSERT_STRING_EQUAL(state, sqlstate);
	actor_fini(a);
}

void
more_sessions_than_allowed_are_told(void)
{
	const char *refused[] = { "event=session.refused ", " reason=limit",
		NULL };
	struct actor first, second;
	unsigned endpoints[2], i;
	struct fake fake;
	struct world w;

	world_init(&w);
	fake_init(&fake, secured_server, server_context("good"));
	fake_start(&fake, 2);
	endpoints[0] =
	    world_add(&w, "all", &fake, MODE_FULL "max_sessions = 1; ");
	endpoints[1] = world_add(&w, "each", &fake,
	    MODE_FULL "max_sessions_per_client = 1; ");
	world_start(&w);
	for (i = 0; i < 2; i++) {
		begin(&first, &w, endpoints[i], STARTUP, sizeof(STARTUP) - 1);
		receive_welcome(&first);
		begin(&second, &w, endpoints[i], STARTUP, sizeof(STARTUP) - 1);
		check_refused(&second, "53300");
		leave(&first);
		CU_ASSERT_TRUE(world_settles(&w));
		begin(&first, &w, endpoints[i], STARTUP, sizeof(STARTUP) - 1);
		receive_welcome(&first);
		leave(&first);
	}
	CU_ASSERT_EQUAL(world_count_logged(&w, refused), 2);
	CU_ASSERT_TRUE(world_settles(&w));
	world_fini(&w);
	fake_fini(&fake);
}

static uint16_t
refusing_port(void)
{
	struct fake f;

	fake_init(&f, secured_server, NULL);
	fake_fini(&f);
	return f.port;
}

void
next_server_is_taken_when_one_refuses(void)
{
	const char *down[] = { "event=server.down ", NULL };
	char alone[64];
	unsigned two, one;
	uint16_t nobody;
	struct actor client;
	struct fake fake;
	struct world w;

	world_init(&w);
	fake_init(&fake, secured_server, server_context("good"));
	fake_start(&fake, 1);
	nobody = refusing_port();
	(void)snprintf(alone, sizeof(alone), "\"127.0.0.1:%u\"",
	    (unsigned)nobody);
	two = add_two(&w, nobody, fake.port, EACH_FULL);
	one = world_add_server(&w, "postgres", "one", alone, MODE_FULL);
	world_start(&w);
	begin(&client, &w, two, STARTUP, sizeof(STARTUP) - 1);
	receive_welcome(&client);
	leave(&client);
	CU_ASSERT_EQUAL(world_count_logged(&w, down), 1);
	begin(&client, &w, one, STARTUP, sizeof(STARTUP) - 1);
	check_refused(&client, "57P03");
	CU_ASSERT_TRUE(world_settles(&w));
	world_fini(&w);
	fake_fini(&fake);
}

/* A certificate that is wrong is not made good by another server. */
void
next_server_is_not_taken_when_one_is_wrong(void)
{
	struct actor client;
	struct fake wrong, right;
	unsigned endpoint;
	struct world w;

	world_init(&w);
	fake_init(&wrong, secured_server, server_context("other"));
	fake_init(&right, secured_server, server_context("good"));
	fake_start(&wrong, 1);
	fake_start(&right, 1);
	endpoint = add_two(&w, wrong.port, right.port, EACH_FULL);
	world_start(&w);
	begin(&client, &w, endpoint, STARTUP, sizeof(STARTUP) - 1);
	check_refused(&client, "28000");
	CU_ASSERT_EQUAL(right.begun, 0);
	CU_ASSERT_TRUE(world_settles(&w));
	world_fini(&w);
	fake_fini(&wrong);
	fake_fini(&right);
}

/* A listener whose queue is full, so that nobody ever connects to it. */
static void
fill_queue(const struct fake *f, int fds[QUEUE_MAX])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	size_t i;

	if (listen(f->listener, 0) == -1)
		assert(!"no listener");
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(f->port);
	for (i = 0; i < QUEUE_MAX; i++) {
		fds[i] = socket(AF_INET,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(fds[i], (struct sockaddr *)&sin, sizeof(sin));
	}
}

/* Long before the connect timeout of ten seconds. */
void
client_that_vanishes_ends_the_dial(void)
{
	const char *closed[] = { "event=session.close ",
		" reason=client_closed", "connecting to the server", NULL };
	double begun = seconds_now();
	int queue[QUEUE_MAX];
	struct actor client;
	struct fake fake;
	unsigned endpoint, i;
	struct world w;

	world_init(&w);
	fake_init(&fake, secured_server, NULL);
	fill_queue(&fake, queue);
	endpoint = world_add(&w, "silent", &fake, MODE_FULL);
	world_start(&w);
	begin(&client, &w, endpoint, STARTUP, sizeof(STARTUP) - 1);
	(void)close(client.fd);
	CU_ASSERT_TRUE(world_logged(&w, closed));
	CU_ASSERT_TRUE(world_settles(&w));
	CU_ASSERT_TRUE(seconds_now() - begun < 5);
	world_fini(&w);
	for (i = 0; i < QUEUE_MAX; i++)
		(void)close(queue[i]);
	fake_fini(&fake);
}

void
connect_timeout_is_told(void)
{
	int queue[QUEUE_MAX];
	struct actor client;
	struct fake fake;
	unsigned endpoint, i;
	struct world w;

	world_init(&w);
	fake_init(&fake, secured_server, NULL);
	fill_queue(&fake, queue);
	endpoint = world_add(&w, "silent", &fake,
	    MODE_FULL "timeouts = { connect = 0.2; }; ");
	world_start(&w);
	begin(&client, &w, endpoint, STARTUP, sizeof(STARTUP) - 1);
	check_refused(&client, "57P03");
	CU_ASSERT_TRUE(world_settles(&w));
	world_fini(&w);
	for (i = 0; i < QUEUE_MAX; i++)
		(void)close(queue[i]);
	fake_fini(&fake);
}
