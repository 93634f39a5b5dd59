/* bulk.c - megabytes, and readers that pause */
#include "tests/loop/suites.h"

#include <sys/socket.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>

#include "tests/loop/scenario.h"

/* More than all the buffers on the way can hold. */
#define TOTAL (48u * 1024 * 1024)
#define CHUNK 65536u
/* What two workers may keep after sessions one by one: a pipe of two ends for
 * each direction. */
#define PIPES_KEPT (2u * 2 * LEG_COUNT)
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

/* A stream whose every byte depends on where it is. */
static void
fill(uint8_t *bytes, size_t at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++, at++)
		bytes[i] = (uint8_t)(at ^ at >> 8 ^ at >> 16 ^ at >> 20);
}

static bool
send_all(struct actor *a)
{
	static _Thread_local uint8_t bytes[CHUNK];
	size_t at;

	for (at = 0; at < TOTAL; at += CHUNK) {
		fill(bytes, at, CHUNK);
		if (!actor_send(a, bytes, CHUNK))
			return false;
	}
	return true;
}

/* What is kept would be the whole stream: only its end is looked at. */
static void
forget(struct actor *a)
{
	a->clear.len = 0;
	a->sealed.len = 0;
}

static bool
receive_all(struct actor *a)
{
	static _Thread_local uint8_t got[CHUNK], wanted[CHUNK];
	size_t at = 0, n;

	while (at < TOTAL) {
		n = TOTAL - at < CHUNK ? TOTAL - at : CHUNK;
		if ((n = actor_receive(a, got, n)) == 0)
			return false;
		fill(wanted, at, n);
		if (memcmp(got, wanted, n) != 0)
			return false;
		at += n;
		forget(a);
	}
	return true;
}

struct meeting {
	atomic_size_t *client_sent;
	atomic_size_t *server_sent;
};

static bool
client_pauses(struct actor *a)
{
	struct meeting *m = a->arg;

	/* ... and not because it was done. */
	return wait_for_standstill(m->server_sent) < TOTAL;
}

static bool
server_pauses(struct actor *a)
{
	struct meeting *m = a->arg;

	return wait_for_standstill(m->client_sent) < TOTAL;
}

/* The legs, and who sends. */
struct bulk {
	const char *name;
	const char *settings;
	const char *cert;
	struct step server[STEPS_MAX];
	struct step client[STEPS_MAX];
};

#define PLAIN_LOG_IN  MESSAGE, SEND(WELCOME)
#define TLS_LOG_IN    MESSAGE, SEND("S"), TLS, MESSAGE, SEND(WELCOME)
#define PLAIN_STARTUP SEND(STARTUP), RECEIVE(sizeof(WELCOME) - 1)
#define TLS_STARTUP                                         \
	SEND(SSL_REQUEST), ANSWER("S"), TLS, SEND(STARTUP), \
	    RECEIVE(sizeof(WELCOME) - 1)
#define DONE     SEND("done"), BYE, DRAIN
#define SEE_DONE RECEIVE(4), DRAIN, BYE

#define DOWNLOAD(log_in, startup)                                    \
	.server = { log_in, CALL(send_all), DONE },                  \
	.client = { startup, CALL(client_pauses), CALL(receive_all), \
		SEE_DONE }
#define UPLOAD(log_in, startup)                                     \
	.server = { log_in, CALL(server_pauses), CALL(receive_all), \
		SEE_DONE },                                         \
	.client = { startup, CALL(send_all), DONE }

static const struct bulk bulks[] = {
	{ "plain_download", MODE_NONE, NULL,
	    DOWNLOAD(PLAIN_LOG_IN, PLAIN_STARTUP) },
	{ "plain_upload", MODE_NONE, NULL,
	    UPLOAD(PLAIN_LOG_IN, PLAIN_STARTUP) },
	{ "secured_download", MODE_FULL, "good",
	    DOWNLOAD(TLS_LOG_IN, PLAIN_STARTUP) },
	{ "secured_upload", MODE_FULL, "good",
	    UPLOAD(TLS_LOG_IN, PLAIN_STARTUP) },
	{ "twice_secured_download", MODE_FULL CLIENT_TLS("require"), "good",
	    DOWNLOAD(TLS_LOG_IN, TLS_STARTUP) },
	{ "twice_secured_upload", MODE_FULL CLIENT_TLS("require"), "good",
	    UPLOAD(TLS_LOG_IN, TLS_STARTUP) },
};

static size_t
count_steps(const struct step *steps)
{
	size_t n = 0;

	while (steps[n].act != DO_END)
		n++;
	return n;
}

static void
check_steps(const char *name, const char *who, const struct step *steps,
    size_t done)
{
	CU_ASSERT_EQUAL(done, count_steps(steps));
	if (done != count_steps(steps))
		fprintf(stderr, "\n  %s: the %s came to step %zu of %zu\n",
		    name, who, done, count_steps(steps));
}

static bool
server_is_done(const void *arg)
{
	return fake_idle((struct fake *)(uintptr_t)arg);
}

static void
play(struct world *w, const struct bulk *b, struct fake *f, unsigned endpoint)
{
	atomic_size_t sent = 0;
	struct meeting meeting = { &sent, &f->sent };
	struct actor client = {
		.fd = world_connect(w, endpoint),
		.ctx = client_context(NULL),
		.sent = &sent,
		.arg = &meeting,
	};

	f->arg = &meeting;
	fake_start(f, 1);
	actor_play(&client, b->client);
	CU_ASSERT_TRUE(wait_until(server_is_done, f));
	check_steps(b->name, "client", b->client, client.done);
	check_steps(b->name, "server", b->server, f->done);
	CU_ASSERT_TRUE(world_settles(w));
	SSL_CTX_free(client.ctx);
	actor_fini(&client);
}

void
bulk_outlasts_a_paused_reader(void)
{
	struct fake fakes[COUNT(bulks)];
	unsigned endpoints[COUNT(bulks)];
	unsigned pipes = pipes_now();
	struct world w;
	size_t i;

	world_init(&w);
	for (i = 0; i < COUNT(bulks); i++) {
		fake_init(&fakes[i], bulks[i].server,
		    bulks[i].cert != NULL ? server_context(bulks[i].cert)
					  : NULL);
		endpoints[i] =
		    world_add(&w, bulks[i].name, &fakes[i], bulks[i].settings);
	}
	world_start(&w);
	for (i = 0; i < COUNT(bulks); i++)
		play(&w, &bulks[i], &fakes[i], endpoints[i]);
	CU_ASSERT_TRUE(pipes_now() - pipes <= PIPES_KEPT);
	world_fini(&w);
	for (i = 0; i < COUNT(bulks); i++)
		fake_fini(&fakes[i]);
}
