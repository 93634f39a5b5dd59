/* wakes.c - relays that come back to their negotiator */
#include "tests/loop/suites.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <CUnit/Basic.h>

#include "proxy/relay.h"
#include "tests/loop/scenario.h"
#include "tests/loop/toy.h"

#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))
#define SIZE(message) (sizeof(message) - 1)
#define TIMEOUTS(s)   "timeouts = { " s "; }; "
#define TLS_ALLOW     CLIENT_TLS("allow")

/* A client that is in, and a server that has let it in. */
#define IS_IN RECEIVE(SIZE(TOY_HELLO)), SEND(TOY_LOGIN), ANSWER("o")
#define IS_IN_TLS                                                          \
	RECEIVE(SIZE(TOY_HELLO)), SEND(TOY_ASK_TLS), TLS, SEND(TOY_LOGIN), \
	    ANSWER("o")
#define LETS_IN     SEND(TOY_HELLO), RECEIVE(SIZE(TOY_LOGIN)), SEND("o")
#define LETS_IN_TLS TLS, LETS_IN

#define GETS_MESSAGE(m) RECEIVE(SIZE(m))
#define LEAVES          BYE, DRAIN
#define SEES_OFF        DRAIN, BYE
#define BYTES(to_server, to_client) \
	" bytes_to_server=" #to_server " bytes_to_client=" #to_client
#define ENDS(why, text) \
	.event = "session.close", .reason = (why), .detail = (text)
#define TOLD(text, why, how) GETS(TOY_REFUSAL text), ENDS(why, how)

/* Twice: behind a query, and before one. */
#define WAKES_ON(what, how, certificate, ...)                            \
	{                                                                \
		.name = what, .settings = how, .cert = certificate,      \
		.ops = &toy, __VA_ARGS__,                                \
		SEES(TOY_LOGIN TOY_QUERY TOY_WOKEN TOY_WOKEN TOY_QUERY), \
		GETS("ryyr"), ENDS("client_closed", BYTES(22, 5))        \
	}
#define WAKES                                                           \
	SEND(TOY_QUERY TOY_WAKE), RECEIVE(2), SEND(TOY_WAKE TOY_QUERY), \
	    RECEIVE(2), LEAVES
#define ANSWERS                                                          \
	GETS_MESSAGE(TOY_QUERY TOY_WOKEN), SEND("rY"),                   \
	    GETS_MESSAGE(TOY_WOKEN), SEND("Y"), GETS_MESSAGE(TOY_QUERY), \
	    SEND("r"), SEES_OFF

static const struct scenario legs[] = {
	WAKES_ON("plain", MODE_NONE, NULL, .plain = true,
	    .server = { LETS_IN, ANSWERS }, .client = { IS_IN, WAKES }),
	WAKES_ON("secured", MODE_FULL, "good",
	    .server = { LETS_IN_TLS, ANSWERS }, .client = { IS_IN, WAKES }),
	WAKES_ON("secured_client", MODE_NONE TLS_ALLOW, NULL, .plain = true,
	    .server = { LETS_IN, ANSWERS }, .client = { IS_IN_TLS, WAKES }),
	WAKES_ON("twice_secured", MODE_FULL TLS_ALLOW, "good",
	    .server = { LETS_IN_TLS, ANSWERS }, .client = { IS_IN_TLS, WAKES }),
};

void
units_wake_on_all_legs(void)
{
	scenarios_play(legs, COUNT(legs));
}

#define TEN(m) m m m m m m m m m m
#define HUNDRED(m) \
	TEN(m) TEN(m) TEN(m) TEN(m) TEN(m) TEN(m) TEN(m) TEN(m) TEN(m) TEN(m)
#define MANY(m) HUNDRED(m) HUNDRED(m) HUNDRED(m)

/* Between a client in the clear and a server in TLS. */
#define COMES(what, sees, gets, how, ...)                            \
	{                                                            \
		.name = what, .settings = MODE_FULL, .cert = "good", \
		.ops = &toy, SEES(TOY_LOGIN sees), GETS(gets), how,  \
		__VA_ARGS__                                          \
	}

static const struct scenario ways[] = {
	COMES("dribbled", TOY_QUERY TOY_WOKEN TOY_QUERY, "yr",
	    ENDS("client_closed", BYTES(16, 3)),
	    .server = { LETS_IN_TLS, GETS_MESSAGE(TOY_QUERY TOY_WOKEN),
		SEND("Y"), GETS_MESSAGE(TOY_QUERY), SEND("r"), SEES_OFF },
	    .client = { IS_IN, DRIBBLE(TOY_QUERY TOY_WAKE TOY_QUERY),
		RECEIVE(2), LEAVES }),
	COMES("at_once_after_the_login", TOY_NUDGED TOY_QUERY TOY_WOKEN, "oy",
	    ENDS("client_closed", BYTES(15, 2)),
	    .server = { LETS_IN_TLS, GETS_MESSAGE(TOY_NUDGED TOY_QUERY),
		GETS_MESSAGE(TOY_WOKEN), SEND("Y"), SEES_OFF },
	    .client = { GETS_MESSAGE(TOY_HELLO),
		SEND(TOY_LOGIN TOY_NUDGE TOY_QUERY TOY_WAKE), RECEIVE(2),
		LEAVES }),
	COMES("one_upon_the_other", TOY_WOKEN TOY_WOKEN TOY_WOKEN, "yyy",
	    ENDS("client_closed", BYTES(18, 4)),
	    .server = { LETS_IN_TLS, GETS_MESSAGE(TOY_WOKEN), SEND("Y"),
		GETS_MESSAGE(TOY_WOKEN), SEND("Y"), GETS_MESSAGE(TOY_WOKEN),
		SEND("Y"), SEES_OFF },
	    .client = { IS_IN, SEND(TOY_WAKE TOY_WAKE TOY_WAKE), RECEIVE(3),
		LEAVES }),
	COMES("hundreds_at_once", MANY(TOY_NUDGED), "r",
	    ENDS("client_closed", BYTES(1200, 2)),
	    .server = { LETS_IN_TLS, RECEIVE(300 * SIZE(TOY_NUDGED)), SEND("r"),
		SEES_OFF },
	    .client = { IS_IN, SEND(MANY(TOY_NUDGE)), RECEIVE(1), LEAVES }),
	COMES("hundreds_between_others", MANY(TOY_NUDGED TOY_QUERY), "r",
	    ENDS("client_closed", BYTES(2700, 2)),
	    .server = { LETS_IN_TLS, RECEIVE(300 * SIZE(TOY_NUDGED TOY_QUERY)),
		SEND("r"), SEES_OFF },
	    .client = { IS_IN, SEND(MANY(TOY_NUDGE TOY_QUERY)), RECEIVE(1),
		LEAVES }),
	COMES("half_a_head_and_an_end", TOY_QUERY "\0", "o",
	    ENDS("client_closed", BYTES(6, 1)),
	    .server = { LETS_IN_TLS, DRAIN, BYE },
	    .client = { GETS_MESSAGE(TOY_HELLO), SEND(TOY_LOGIN TOY_QUERY "\0"),
		LEAVES }),
	/* Where one side has ended nothing is negotiated any more. */
	COMES("after_the_servers_end", TOY_WAKE, "oend",
	    ENDS("server_closed", BYTES(6, 4)),
	    .server = { LETS_IN_TLS, SEND("end"), BYE, GETS_MESSAGE(TOY_WAKE),
		DRAIN },
	    .client = { GETS_MESSAGE(TOY_HELLO), SEND(TOY_LOGIN), DRAIN,
		SEND(TOY_WAKE), BYE }),
};

void
units_wake_however_they_come(void)
{
	scenarios_play(ways, COUNT(ways));
}

/* A server that does so when it has seen what woke us. */
#define SERVER_THAT(...)                                                 \
	.server = { LETS_IN_TLS, GETS_MESSAGE(TOY_WOKEN), __VA_ARGS__ }, \
	.client = { IS_IN, SEND(TOY_WAKE), DRAIN }
#define SERVER_OF(...) \
	.server = { LETS_IN_TLS, DRAIN }, .client = { IS_IN, __VA_ARGS__ }

#define OVER(what, how, sees, ...)                                       \
	{                                                                \
		.name = what, .settings = MODE_FULL how, .cert = "good", \
		.ops = &toy, SEES(TOY_LOGIN sees), __VA_ARGS__           \
	}

/* Longer than the toy's window, and whole to no-one. */
#define TOO_LONG "\1\54W" MANY("z")

static const struct scenario ends[] = {
	OVER("answered_by_no", "", TOY_WOKEN,
	    TOLD("the server said no", "auth", "the server said no"),
	    SERVER_THAT(SEND("N"), DRAIN)),
	OVER("never_answered", TIMEOUTS("handshake = 0.3"), TOY_WOKEN,
	    TOLD("the connection was not ready in time", "timeout",
		"waiting for the toy's answer"),
	    SERVER_THAT(DRAIN)),
	OVER("answered_by_an_end", "", TOY_WOKEN,
	    TOLD("the database server closed the connection", "server_closed",
		BYTES(6, 1)),
	    SERVER_THAT(BYE, DRAIN)),
	OVER("answered_by_a_reset", "", TOY_WOKEN,
	    TOLD("the connection to the database server was lost",
		"server_reset", BYTES(6, 1)),
	    SERVER_THAT(RESET)),
	OVER("left_by_the_client", TIMEOUTS("handshake = 0"), TOY_WOKEN,
	    ENDS("client_closed", "waiting for the toy's answer"),
	    .server_ends = ENDING_FIN, SERVER_OF(SEND(TOY_WAKE))),
	OVER("of_no_length", "", TOY_QUERY,
	    ENDS("protocol", "a message of an impossible length"),
	    .ends = ENDING_RESET, .server_ends = ENDING_FIN,
	    SERVER_OF(SEND(TOY_QUERY "\0\1x"), DRAIN)),
	OVER("longer_than_may_be", "", "",
	    TOLD("the client sent a message that is too long", "protocol",
		"a message that is too long"),
	    SERVER_OF(SEND(TOO_LONG), DRAIN)),
	/* The relay has its own deadline again. */
	OVER("idle_after_it", TIMEOUTS("handshake = 0.2; idle = 0.6"),
	    TOY_WOKEN, ENDS("idle", BYTES(6, 2)), .ends = ENDING_RESET,
	    SERVER_THAT(SEND("Y"), DRAIN)),
};

void
woken_sessions_end(void)
{
	scenarios_play(ends, COUNT(ends));
}

/* More than all the buffers on the way can hold, in messages or as a stream;
 * no byte of it is an answer. */
#define UNIT  60000u
#define UNITS 400u
#define TOTAL ((size_t)UNIT * UNITS)

static void
fill(uint8_t *unit, unsigned i)
{
	memset(unit, 'a' + (int)(i % 26), UNIT);
	unit[0] = (uint8_t)(UNIT >> 8);
	unit[1] = (uint8_t)UNIT;
}

static bool
send_much(struct actor *a)
{
	uint8_t unit[UNIT];
	unsigned i;

	for (i = 0; i < UNITS; i++) {
		fill(unit, i);
		if (!actor_send(a, unit, UNIT))
			return false;
	}
	return true;
}

/* Only its end is kept. */
static bool
receive_exactly(struct actor *a, uint8_t *bytes, size_t len)
{
	size_t n, got;

	for (got = 0; got < len; got += n) {
		if ((n = actor_receive(a, bytes + got, len - got)) == 0)
			return false;
		a->clear.len = 0;
		a->sealed.len = 0;
	}
	return true;
}

static bool
receive_much(struct actor *a)
{
	static _Thread_local uint8_t got[UNIT], wanted[UNIT];
	unsigned i;

	for (i = 0; i < UNITS; i++) {
		fill(wanted, i);
		if (!receive_exactly(a, got, UNIT) ||
		    memcmp(got, wanted, UNIT) != 0)
			return false;
	}
	return true;
}

struct meeting {
	atomic_size_t client;
	atomic_size_t *server;
};

static bool
client_pauses(struct actor *a)
{
	struct meeting *m = a->arg;

	return wait_for_standstill(m->server) < TOTAL;
}

static bool
server_pauses(struct actor *a)
{
	struct meeting *m = a->arg;

	return wait_for_standstill(&m->client) < TOTAL;
}

static bool
client_wakes(struct actor *a)
{
	return actor_send(a, TOY_WAKE, SIZE(TOY_WAKE)) && client_pauses(a);
}

/* A reader that pauses, on either side, while a unit wakes us.  What it is to
 * see is in order: all that, and then what came of the wake. */
struct patience {
	const char *name;
	const char *settings;
	const char *cert;
	struct step server[STEPS_MAX];
	struct step client[STEPS_MAX];
};

#define SERVER_PAUSES(lets_in, is_in)                                    \
	.server = { lets_in, CALL(server_pauses), CALL(receive_much),    \
		GETS_MESSAGE(TOY_WOKEN), SEND("Y"), DRAIN, BYE },        \
	.client = { is_in, CALL(send_much), SEND(TOY_WAKE), ANSWER("y"), \
		LEAVES }
#define CLIENT_PAUSES(lets_in, is_in)                                  \
	.server = { lets_in, CALL(send_much), GETS_MESSAGE(TOY_WOKEN), \
		SEND("Y"), DRAIN, BYE },                               \
	.client = { is_in, CALL(client_pauses), CALL(client_wakes),    \
		CALL(receive_much), ANSWER("y"), LEAVES }

static const struct patience patient[] = {
	{ "plain_server", MODE_NONE, NULL, SERVER_PAUSES(LETS_IN, IS_IN) },
	{ "plain_client", MODE_NONE, NULL, CLIENT_PAUSES(LETS_IN, IS_IN) },
	{ "secured_server", MODE_FULL TLS_ALLOW, "good",
	    SERVER_PAUSES(LETS_IN_TLS, IS_IN_TLS) },
	{ "secured_client", MODE_FULL TLS_ALLOW, "good",
	    CLIENT_PAUSES(LETS_IN_TLS, IS_IN_TLS) },
};

static bool
is_idle(const void *arg)
{
	return fake_idle((struct fake *)(uintptr_t)arg);
}

static size_t
count_steps(const struct step *steps)
{
	size_t n = 0;

	while (steps[n].act != DO_END)
		n++;
	return n;
}

static bool
is_in_buffers(const struct world *w, const char *secret)
{
	const struct leg_buffers *b;
	bool found = false;
	size_t i;

	for (i = 0; i < w->proxy->nworkers; i++) {
		b = relay_leg_buffers(w->proxy->workers[i]->buffers);
		found = found ||
		    memmem(b, sizeof(*b), secret, strlen(secret)) != NULL;
	}
	return found;
}

static void
play_patience(const struct patience *p)
{
	struct fake fake;
	struct meeting meeting = { .server = &fake.sent };
	struct actor client = { .sent = &meeting.client, .arg = &meeting };
	struct world w;
	unsigned endpoint;

	world_init(&w);
	fake_init(&fake, p->server,
	    p->cert != NULL ? server_context(p->cert) : NULL);
	fake.arg = &meeting;
	endpoint = world_add(&w, p->name, &fake, p->settings);
	w.ops[endpoint] = &toy;
	world_start(&w);
	fake_start(&fake, 1);
	client.fd = world_connect(&w, endpoint);
	client.ctx = client_context(NULL);
	actor_play(&client, p->client);
	CU_ASSERT_TRUE(wait_until(is_idle, &fake));
	CU_ASSERT_EQUAL(client.done, count_steps(p->client));
	CU_ASSERT_EQUAL(fake.done, count_steps(p->server));
	CU_ASSERT_TRUE(world_settles(&w));
	CU_ASSERT_FALSE(is_in_buffers(&w, CANARY));
	if (client.done != count_steps(p->client))
		world_print_log(&w, "event=session.");
	SSL_CTX_free(client.ctx);
	actor_fini(&client);
	world_fini(&w);
	fake_fini(&fake);
}

void
wake_waits_for_no_reader(void)
{
	size_t i;

	for (i = 0; i < COUNT(patient); i++)
		play_patience(&patient[i]);
}

/* What a negotiator read may be a password: the buffers that all sessions of a
 * thread share keep nothing of it, in whatever state that came. */
#define LONG         "and so on and so on and so on and so on and so on "
#define SECRET_LOGIN "\0\73L" LONG CANARY
#define SECRET_WAKE  "\0\73W" LONG CANARY
#define SECRET_WOKEN "\0\73w" LONG CANARY

/* What comes later is shorter, and overwrites no secret in the same place. */
#define KEEPS_NOTHING(what, how, certificate, tls, ask_tls)                   \
	{ what "_login", how, certificate,                                    \
		{ tls SEND(TOY_HELLO), GETS_MESSAGE(SECRET_LOGIN), SEND("o"), \
		    DRAIN, BYE },                                             \
		{ GETS_MESSAGE(TOY_HELLO), ask_tls SEND(SECRET_LOGIN),        \
		    ANSWER("o"), LEAVES } },                                  \
	{                                                                     \
		what "_wake", how, certificate,                               \
		    { tls LETS_IN, GETS_MESSAGE(SECRET_WOKEN), SEND("Y"),     \
			    DRAIN, BYE },                                     \
		{                                                             \
			GETS_MESSAGE(TOY_HELLO), ask_tls SEND(TOY_LOGIN),     \
			    ANSWER("o"), SEND(SECRET_WAKE), ANSWER("y"),      \
			    LEAVES                                            \
		}                                                             \
	}
#define NOTHING
#define AND_TLS TLS,
#define ASK_TLS SEND(TOY_ASK_TLS), TLS,

static const struct patience secretive[] = {
	KEEPS_NOTHING("plain", MODE_NONE, NULL, NOTHING, NOTHING),
	KEEPS_NOTHING("secured", MODE_FULL, "good", AND_TLS, NOTHING),
	KEEPS_NOTHING("twice", MODE_FULL TLS_ALLOW, "good", AND_TLS, ASK_TLS),
};

void
nothing_of_a_login_stays_in_shared_buffers(void)
{
	size_t i;

	for (i = 0; i < COUNT(secretive); i++)
		play_patience(&secretive[i]);
}

/* The proxy drains while one is woken, before its answer comes. */
struct drained {
	struct world w;
	struct fake fake;
	atomic_bool asked;
	atomic_bool draining;
};

static bool
is_set(const void *arg)
{
	return atomic_load((const atomic_bool *)arg);
}

static bool
server_waits_for_the_drain(struct actor *a)
{
	struct drained *d = a->arg;

	atomic_store(&d->asked, true);
	return wait_until(is_set, &d->draining);
}

static bool
client_drains_the_proxy(struct actor *a)
{
	struct drained *d = a->arg;
	bool asked = wait_until(is_set, &d->asked);

	proxy_drain(d->w.proxy);
	/* Each worker hears of it in its own time. */
	while (atomic_load(&d->w.proxy->undrained) > 0)
		(void)sched_yield();
	atomic_store(&d->draining, true);
	return asked;
}

static const struct {
	const char *timeouts;
	struct step server[STEPS_MAX];
	struct step client[STEPS_MAX];
	enum ending ends;
	const char *reason;
	const char *gets;
} drains[] = {
	{ "drain = 0.5",
	    { LETS_IN_TLS, GETS_MESSAGE(TOY_WOKEN),
		CALL(server_waits_for_the_drain), SEND("Y"), DRAIN },
	    { IS_IN, SEND(TOY_WAKE), CALL(client_drains_the_proxy), DRAIN },
	    ENDING_RESET, " reason=drain ", "y" },
	{ "drain = 0.5",
	    { LETS_IN_TLS, GETS_MESSAGE(TOY_WOKEN),
		CALL(server_waits_for_the_drain), DRAIN },
	    { IS_IN, SEND(TOY_WAKE), CALL(client_drains_the_proxy), DRAIN },
	    ENDING_RESET, " reason=drain ", "" },
	{ "drain = 0; handshake = 0.5",
	    { LETS_IN_TLS, GETS_MESSAGE(TOY_WOKEN),
		CALL(server_waits_for_the_drain), DRAIN },
	    { IS_IN, SEND(TOY_WAKE), CALL(client_drains_the_proxy), DRAIN },
	    ENDING_FIN, " reason=timeout ", "not ready in time" },
	{ "drain = 0; handshake = 0.5",
	    { LETS_IN_TLS, GETS_MESSAGE(TOY_WOKEN),
		CALL(server_waits_for_the_drain), SEND("Y"), DRAIN, BYE },
	    { IS_IN, SEND(TOY_WAKE), CALL(client_drains_the_proxy), ANSWER("y"),
		LEAVES },
	    ENDING_FIN, " reason=client_closed ", "" },
};

static void
play_drain(size_t i)
{
	const char *closed[] = { "event=session.close ", drains[i].reason,
		NULL };
	const char *refused[] = { "event=session.refused ", NULL };
	struct drained d = { .asked = false };
	struct actor client = { .arg = &d };
	char settings[512];
	unsigned endpoint;

	world_init(&d.w);
	fake_init(&d.fake, drains[i].server, server_context("good"));
	d.fake.arg = &d;
	(void)snprintf(settings, sizeof(settings),
	    MODE_FULL "timeouts = { %s; }; ", drains[i].timeouts);
	endpoint = world_add(&d.w, "drained", &d.fake, settings);
	d.w.ops[endpoint] = &toy;
	world_start(&d.w);
	fake_start(&d.fake, 1);
	client.fd = world_connect(&d.w, endpoint);
	actor_play(&client, drains[i].client);
	CU_ASSERT_EQUAL(client.ending, drains[i].ends);
	CU_ASSERT_TRUE(
	    bytes_have(&client.clear, drains[i].gets, strlen(drains[i].gets)));
	CU_ASSERT_TRUE(world_logged(&d.w, closed));
	CU_ASSERT_EQUAL(world_count_logged(&d.w, refused), 0);
	CU_ASSERT_TRUE(wait_until(is_idle, &d.fake));
	actor_fini(&client);
	world_fini(&d.w);
	fake_fini(&d.fake);
}

/* The same end, and what the protocol makes of it. */
#define CUT(what, its_ops, ...)                                                \
	{                                                                      \
		.name = what, .settings = MODE_FULL TLS_ALLOW, .cert = "good", \
		.ops = &its_ops, __VA_ARGS__                                   \
	}
#define CUTS_SERVER                                       \
	.server = { LETS_IN_TLS, SEND("r"), FIN, DRAIN }, \
	.client = { IS_IN, RECEIVE(1), DRAIN }, SEES(TOY_LOGIN), GETS("r")
#define CUTS_CLIENT                                                \
	.server = { LETS_IN_TLS, GETS_MESSAGE(TOY_QUERY), DRAIN }, \
	.client = { IS_IN_TLS, SEND(TOY_QUERY), FIN, DRAIN },      \
	SEES(TOY_LOGIN TOY_QUERY)

static const struct scenario cuts[] = {
	CUT("server_cut_off", toy, CUTS_SERVER, .ends = ENDING_RESET,
	    ENDS("server_truncated", BYTES(0, 2))),
	CUT("server_left", toy_without_goodbye, CUTS_SERVER, .ends = ENDING_FIN,
	    ENDS("server_closed", BYTES(0, 2))),
	CUT("client_cut_off", toy, CUTS_CLIENT,
	    ENDS("client_truncated", BYTES(5, 1))),
	CUT("client_left", toy_without_goodbye,
	    .server = { LETS_IN_TLS, GETS_MESSAGE(TOY_QUERY), SEES_OFF },
	    .client = { IS_IN_TLS, SEND(TOY_QUERY), FIN, DRAIN },
	    SEES(TOY_LOGIN TOY_QUERY), ENDS("client_closed", BYTES(5, 1))),
};

void
end_without_close_notify_is_what_its_protocol_says(void)
{
	scenarios_play(cuts, COUNT(cuts));
}

void
drain_of_the_woken(void)
{
	size_t i;

	for (i = 0; i < COUNT(drains); i++)
		play_drain(i);
}
