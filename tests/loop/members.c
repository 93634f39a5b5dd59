/* members.c - listen addresses that stand for servers, and units that say so */
#include "tests/loop/suites.h"

#include <stdio.h>
#include <string.h>

#include <CUnit/Basic.h>

#include "tests/loop/scenario.h"
#include "tests/loop/toy.h"

#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))
#define SIZE(message) (sizeof(message) - 1)
#define TLS_ALLOW     CLIENT_TLS("allow")

/* A client that is in, and a server that has let it in. */
#define GREETED RECEIVE(SIZE(TOY_HELLO))
#define LOGS_IN SEND(TOY_LOGIN), RECEIVE(SIZE(TOY_IN))
#define LETS_IN SEND(TOY_HELLO), RECEIVE(SIZE(TOY_LOGIN)), SEND(TOY_IN)

#define LEAVES           BYE, DRAIN
#define SEES_OFF         DRAIN, BYE
#define BYTES(to_client) " bytes_to_server=0 bytes_to_client=" #to_client
#define ENDS(why, text) \
	.event = "session.close", .reason = (why), .detail = (text)

#define SAID  TOY_QUERY TOY_MEMBERS TOY_MEMBERS TOY_QUERY
#define HEARD TOY_QUERY TOY_TOLD TOY_TOLD TOY_QUERY

#define TELLS(what, how, certificate, ...)                            \
	{                                                             \
		.name = what, .settings = how, .cert = certificate,   \
		.ops = &toy_of_members, __VA_ARGS__, SEES(TOY_LOGIN), \
		GETS(HEARD), ENDS("client_closed", BYTES(25))         \
	}
#define TELLING SEND(SAID), SEES_OFF
#define HEARING RECEIVE(SIZE(HEARD)), LEAVES

static const struct scenario legs[] = {
	TELLS("plain", MODE_NONE, NULL, .plain = true,
	    .server = { LETS_IN, TELLING },
	    .client = { GREETED, LOGS_IN, HEARING }),
	TELLS("secured", MODE_FULL, "good", .server = { TLS, LETS_IN, TELLING },
	    .client = { GREETED, LOGS_IN, HEARING }),
	TELLS("secured_client", MODE_NONE TLS_ALLOW, NULL, .plain = true,
	    .server = { LETS_IN, TELLING },
	    .client = { GREETED, SEND(TOY_ASK_TLS), TLS, LOGS_IN, HEARING }),
	TELLS("twice_secured", MODE_FULL TLS_ALLOW, "good",
	    .server = { TLS, LETS_IN, TELLING },
	    .client = { GREETED, SEND(TOY_ASK_TLS), TLS, LOGS_IN, HEARING }),
};

void
units_are_told_in_other_words_on_all_legs(void)
{
	scenarios_play(legs, COUNT(legs));
}

/* Between a client in the clear and a server in TLS. */
#define COMES(what, gets, how, ...)                                       \
	{                                                                 \
		.name = what, .settings = MODE_FULL, .cert = "good",      \
		.ops = &toy_of_members, SEES(TOY_LOGIN), GETS(gets), how, \
		__VA_ARGS__                                               \
	}

static const struct scenario ways[] = {
	COMES("dribbled", TOY_TOLD TOY_QUERY TOY_TOLD,
	    ENDS("client_closed", BYTES(20)),
	    .server = { TLS, LETS_IN,
		DRIBBLE(TOY_MEMBERS TOY_QUERY TOY_MEMBERS), SEES_OFF },
	    .client = { GREETED, LOGS_IN,
		RECEIVE(SIZE(TOY_TOLD TOY_QUERY TOY_TOLD)), LEAVES }),
	COMES("before_the_relay", TOY_TOLD TOY_QUERY TOY_IN TOY_TOLD,
	    ENDS("client_closed", BYTES(20)),
	    .server = { TLS, SEND(TOY_HELLO TOY_MEMBERS TOY_QUERY "\0"),
		RECEIVE(SIZE(TOY_LOGIN)), SEND("\3O" TOY_MEMBERS), SEES_OFF },
	    .client = { GREETED, SEND(TOY_LOGIN),
		RECEIVE(SIZE(TOY_TOLD TOY_QUERY TOY_IN TOY_TOLD)), LEAVES }),
	/* What never becomes whole is passed as it is. */
	COMES("half_a_unit_and_an_end", TOY_TOLD "\0\6Mab",
	    ENDS("server_closed", BYTES(14)),
	    .server = { TLS, LETS_IN, SEND(TOY_MEMBERS "\0\6Mab"), BYE, DRAIN },
	    .client = { GREETED, LOGS_IN, DRAIN, BYE }),
	/* Unlike being woken it goes on with half a conversation. */
	COMES("after_the_clients_end", TOY_TOLD TOY_QUERY,
	    ENDS("client_closed", BYTES(14)),
	    .server = { TLS, LETS_IN, DRAIN, SEND(TOY_MEMBERS TOY_QUERY), BYE },
	    .client = { GREETED, LOGS_IN, BYE, DRAIN }),
	COMES("after_an_end_with_the_login", TOY_IN TOY_TOLD,
	    ENDS("client_closed", BYTES(9)),
	    .server = { TLS, LETS_IN, DRAIN, SEND(TOY_MEMBERS), BYE },
	    .client = { GREETED, SEND(TOY_LOGIN), BYE, DRAIN }),
	COMES("of_an_impossible_length", TOY_TOLD, ENDS("protocol", BYTES(9)),
	    .server = { TLS, LETS_IN, SEND(TOY_MEMBERS "\0\1M"), DRAIN },
	    .client = { GREETED, LOGS_IN, DRAIN }),
};

void
units_are_told_in_other_words_however_they_come(void)
{
	scenarios_play(ways, COUNT(ways));
}

/*
 * Who may wait for a reader: units as long as the toy can count, every other
 * of them in other words.
 */

#define MANY     800u
#define UNIT_LEN 60000u
#define TOLD_LEN (UNIT_LEN + 2)

/* Unit `i`, as it is sent or as it is told; its length. */
static size_t
make_unit(uint8_t *unit, unsigned i, bool told)
{
	bool taken = i % 2 == 0;
	size_t len = taken && told ? TOLD_LEN : UNIT_LEN;

	unit[0] = (uint8_t)(len >> 8);
	unit[1] = (uint8_t)len;
	unit[2] = taken ? (told ? 'm' : 'M') : 'Q';
	memset(unit + 3, 'a' + (int)(i % 26), len - 3);
	if (len == TOLD_LEN)
		memcpy(unit + UNIT_LEN, "01", 2);
	return len;
}

static bool
send_units(struct actor *a)
{
	static _Thread_local uint8_t unit[TOLD_LEN];
	unsigned i;

	for (i = 0; i < MANY; i++) {
		if (!actor_send(a, unit, make_unit(unit, i, false)))
			return false;
	}
	return true;
}

static bool
receive_unit(struct actor *a, unsigned i)
{
	static _Thread_local uint8_t wanted[TOLD_LEN], got[TOLD_LEN];
	size_t n, at, len = make_unit(wanted, i, true);

	for (at = 0; at < len; at += n) {
		if ((n = actor_receive(a, got + at, len - at)) == 0)
			return false;
	}
	a->clear.len = 0;
	a->sealed.len = 0;
	return memcmp(got, wanted, len) == 0;
}

static bool
receive_units(struct actor *a)
{
	unsigned i;

	for (i = 0; i < MANY; i++) {
		if (!receive_unit(a, i))
			return false;
	}
	return true;
}

static bool
client_pauses(struct actor *a)
{
	struct fake *f = a->arg;

	/* ... and not because it was done. */
	return wait_for_standstill(&f->sent) < (size_t)MANY * UNIT_LEN;
}

static const struct step bulk_server[] = { TLS, LETS_IN, CALL(send_units), BYE,
	DRAIN, { .act = DO_END } };
static const struct step bulk_client[] = { GREETED, SEND(TOY_ASK_TLS), TLS,
	LOGS_IN, CALL(client_pauses), CALL(receive_units), DRAIN, BYE,
	{ .act = DO_END } };

void
rewritten_units_outlast_a_paused_reader(void)
{
	const char *words[] = { "event=session.close ", " reason=server_closed",
		" bytes_to_client=48000803", NULL };
	struct actor client = { .ctx = client_context(NULL) };
	struct fake fake;
	struct world w;
	unsigned endpoint;

	_Static_assert(MANY * UNIT_LEN + MANY / 2 * 2 + SIZE(TOY_IN) ==
		48000803,
	    "what the log says");
	world_init(&w);
	fake_init(&fake, bulk_server, server_context("good"));
	fake_start(&fake, 1);
	endpoint = world_add(&w, "bulk", &fake, MODE_FULL TLS_ALLOW);
	w.ops[endpoint] = &toy_of_members;
	world_start(&w);
	client.arg = &fake;
	client.fd = world_connect(&w, endpoint);
	actor_play(&client, bulk_client);
	CU_ASSERT_EQUAL(client.done, COUNT(bulk_client) - 1);
	CU_ASSERT_EQUAL(client.ending, ENDING_BYE);
	CU_ASSERT_TRUE(world_logged(&w, words));
	CU_ASSERT_TRUE(world_settles(&w));
	SSL_CTX_free(client.ctx);
	actor_fini(&client);
	world_fini(&w);
	fake_fini(&fake);
}

/*
 * Who goes where.
 */

#define SERVERS 3

struct set {
	struct world w;
	struct fake fakes[SERVERS];
	unsigned endpoint;
};

/* Each tells its number, and asks to be told where it is. */
#define MEMBER(number)                                                    \
	{                                                                 \
		TLS, LETS_IN, SEND("\0\4M" number TOY_WHERE), BYE, DRAIN, \
		{                                                         \
			.act = DO_END                                     \
		}                                                         \
	}
static const struct step members[SERVERS][STEPS_MAX] = { MEMBER("0"),
	MEMBER("1"), MEMBER("2") };

static void
set_init(struct set *s, const char *settings)
{
	char servers[128];
	unsigned i;

	memset(s, 0, sizeof(*s));
	world_init(&s->w);
	for (i = 0; i < SERVERS; i++)
		fake_init(&s->fakes[i], members[i], server_context("good"));
	(void)snprintf(servers, sizeof(servers),
	    "( \"127.0.0.1:%u\", \"127.0.0.1:%u\", \"127.0.0.1:%u\" )",
	    (unsigned)s->fakes[0].port, (unsigned)s->fakes[1].port,
	    (unsigned)s->fakes[2].port);
	s->endpoint =
	    world_add_listens(&s->w, "set", SERVERS, servers, settings);
	s->w.ops[s->endpoint] = &toy_of_members;
	world_start(&s->w);
}

static void
set_fini(struct set *s)
{
	unsigned i;

	CU_ASSERT_TRUE(world_settles(&s->w));
	world_fini(&s->w);
	for (i = 0; i < SERVERS; i++)
		fake_fini(&s->fakes[i]);
}

/* By one of the addresses; `what` is what a client must get. */
static bool
client_gets(struct set *s, unsigned listen, const void *what, size_t len)
{
	static const struct step steps[] = { GREETED, LOGS_IN, DRAIN, BYE,
		{ .act = DO_END } };
	struct actor a = { .fd = world_connect_by(&s->w, s->endpoint, listen) };
	bool gets;

	actor_play(&a, steps);
	gets = bytes_have(&a.clear, what, len);
	actor_fini(&a);
	return gets;
}

/* It was told in the words of the server of the same number. */
static bool
comes_to_its_server(struct set *s, unsigned listen)
{
	static const char host[] = "127.0.0.1";
	const char *text = world_listen_text(s->endpoint, listen);
	unsigned port = s->fakes[listen].port;
	size_t len = 3 + strlen(text) + 2 + SIZE(host);
	char told[64];
	int n;

	n = snprintf(told, sizeof(told), "%c%cm%u%u%u%c%cp%s%c%c%s", 0, 6,
	    listen, listen, SERVERS, 0, (int)len, text, (int)(port >> 8),
	    (int)(port & 0xff), host);
	return client_gets(s, listen, told, (size_t)n);
}

static bool
is_refused(struct set *s, unsigned listen)
{
	static const char why[] =
	    TOY_REFUSAL "could not connect to the database server";

	return client_gets(s, listen, why, SIZE(why));
}

/* Whoever else there is, and however long a server that failed is passed over
 * where there are others. */
void
session_goes_to_the_server_of_its_address(void)
{
	const char *refused[] = { "event=session.refused ", " reason=connect ",
		NULL };
	const char *down[] = { "event=server.down ", NULL };
	const char *up[] = { "event=server.up ", NULL };
	const char *changed[] = { "event=server.changed ", NULL };
	struct set s;
	unsigned i;

	set_init(&s, MODE_CA "retry_after = 3600; ");
	fake_hide(&s.fakes[1]);
	fake_start(&s.fakes[0], 1);
	fake_start(&s.fakes[2], 1);
	for (i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(comes_to_its_server(&s, 0));
		CU_ASSERT_TRUE(is_refused(&s, 1));
		CU_ASSERT_TRUE(comes_to_its_server(&s, 2));
	}
	fake_show(&s.fakes[1]);
	fake_start(&s.fakes[1], 1);
	for (i = 0; i < 2 * SERVERS; i++)
		CU_ASSERT_TRUE(comes_to_its_server(&s, i % SERVERS));
	CU_ASSERT_EQUAL(world_count_logged(&s.w, refused), 2);
	CU_ASSERT_EQUAL(world_count_logged(&s.w, down), 1);
	CU_ASSERT_EQUAL(world_count_logged(&s.w, up), 1);
	CU_ASSERT_EQUAL(world_count_logged(&s.w, changed), 0);
	CU_ASSERT_EQUAL(fake_visits(&s.fakes[0]), 4);
	CU_ASSERT_EQUAL(fake_visits(&s.fakes[1]), 2);
	CU_ASSERT_EQUAL(fake_visits(&s.fakes[2]), 4);
	set_fini(&s);
}
