/* waits.c - whether there is anybody to dial for */
#include "tests/loop/suites.h"

#include <sys/socket.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include "tests/loop/scenario.h"
#include "tests/loop/toy.h"

#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))
#define SIZE(message) (sizeof(message) - 1)
#define TIMEOUTS(s)   "timeouts = { " s "; }; "
#define OF(protocol)  .settings = MODE_FULL, .cert = "good", .ops = &(protocol)

static const struct scenario waits[] = {
	{
	    .name = "stays",
	    OF(toy_that_waits),
	    .server = { TLS, SEND(TOY_HELLO), RECEIVE(SIZE(TOY_LOGIN)),
		SEND("o"), DRAIN, BYE },
	    .client = { RECEIVE(SIZE(TOY_HELLO)), SEND(TOY_LOGIN), RECEIVE(1),
		BYE, DRAIN },
	    SEES(TOY_LOGIN),
	    GETS(TOY_HELLO "o"),
	    CLOSED("client_closed"),
	    .detail = " level=info ",
	},
	{
	    .name = "leaves",
	    OF(toy_that_waits_long),
	    .client = { BYE, DRAIN },
	    .nobody = true,
	    CLOSED("client_closed"),
	    .detail = " level=debug ",
	},
	{
	    .name = "leaves_by_a_reset",
	    OF(toy_that_waits_long),
	    .client = { RESET },
	    .nobody = true,
	    CLOSED("client_reset"),
	    .detail = " level=debug ",
	},
	{
	    .name = "speaks",
	    OF(toy_that_waits_long),
	    .client = { SEND(TOY_LOGIN), DRAIN },
	    .nobody = true,
	    GETS(TOY_REFUSAL "the client spoke out of turn"),
	    TURNED_AWAY("protocol"),
	    .detail = " level=notice ",
	},
	{
	    .name = "stays_too_long",
	    .settings = MODE_FULL TIMEOUTS("handshake = 0.2"),
	    .cert = "good",
	    .ops = &toy_that_waits_long,
	    .client = { DRAIN },
	    .nobody = true,
	    GETS(TOY_REFUSAL "the connection was not ready in time"),
	    TURNED_AWAY("timeout"),
	    .detail = "waiting to see whether the client stays",
	},
	/* The greeting was seen, and nothing ever said. */
	{
	    .name = "leaves_when_greeted",
	    OF(toy),
	    .server = { TLS, SEND(TOY_HELLO), DRAIN },
	    .client = { RECEIVE(SIZE(TOY_HELLO)), BYE, DRAIN },
	    GETS(TOY_HELLO),
	    CLOSED("client_closed"),
	    .detail = " level=debug ",
	},
	{
	    .name = "leaves_having_spoken",
	    OF(toy),
	    .server = { TLS, SEND(TOY_HELLO), DRAIN },
	    .client = { RECEIVE(SIZE(TOY_HELLO)), SEND("\0"), BYE, DRAIN },
	    GETS(TOY_HELLO),
	    CLOSED("client_closed"),
	    .detail = " level=info ",
	},
};

void
dial_waits_for_a_client_that_stays(void)
{
	scenarios_play(waits, COUNT(waits));
}

/* A proxy whose first client comes before it accepts any. */
struct early {
	struct world w;
	struct fake fake;
	struct actor client;
};

static void
early_init(struct early *e, const struct neg_ops *ops,
    const struct step *server)
{
	unsigned endpoint;

	memset(e, 0, sizeof(*e));
	world_init(&e->w);
	fake_init(&e->fake, server, server_context("good"));
	fake_start(&e->fake, 1);
	endpoint = world_add(&e->w, "early", &e->fake, MODE_FULL);
	e->w.ops[endpoint] = ops;
	world_listen(&e->w);
	e->client.fd = world_connect(&e->w, endpoint);
}

static void
early_fini(struct early *e, const char *event, const char *reason,
    const char *level)
{
	const char *words[] = { event, reason, level, NULL };

	CU_ASSERT_TRUE(world_logged(&e->w, words));
	CU_ASSERT_TRUE(world_settles(&e->w));
	CU_ASSERT_EQUAL(world_visitors(&e->fake), 0);
	actor_fini(&e->client);
	world_fini(&e->w);
	fake_fini(&e->fake);
}

static const struct step patient_server[] = { TLS, DRAIN, { .act = DO_END } };

void
client_that_left_at_once_is_not_dialled_for(void)
{
	static const struct step leaves[] = { { .act = DO_END } };
	struct early e;

	early_init(&e, &toy, patient_server);
	actor_play(&e.client, leaves);
	world_accept(&e.w);
	early_fini(&e, "event=session.close ", " reason=client_closed",
	    " level=debug ");
}

void
client_that_spoke_at_once_is_refused_before_the_dial(void)
{
	static const struct step drains[] = { DRAIN, { .act = DO_END } };
	struct early e;

	early_init(&e, &toy, patient_server);
	CU_ASSERT_TRUE(actor_send(&e.client, TOY_LOGIN, SIZE(TOY_LOGIN)));
	world_accept(&e.w);
	actor_play(&e.client, drains);
	CU_ASSERT_TRUE(
	    bytes_have(&e.client.clear, "out of turn", strlen("out of turn")));
	CU_ASSERT_EQUAL(e.client.ending, ENDING_FIN);
	early_fini(&e, "event=session.refused ", " reason=protocol",
	    " level=notice ");
}

static bool
has_asked(const void *arg)
{
	return atomic_load(&toy_dials) > *(const unsigned *)arg;
}

static bool
is_idle(const void *arg)
{
	return proxy_idle(arg);
}

/* An hour is not waited for, neither by a drain nor by an end. */
void
drain_does_not_wait_for_a_dial(void)
{
	static const struct step drains[] = { DRAIN, { .act = DO_END } };
	struct early e;
	unsigned i, before;

	for (i = 0; i < 2; i++) {
		before = atomic_load(&toy_dials);
		early_init(&e, &toy_that_waits_long, patient_server);
		world_accept(&e.w);
		CU_ASSERT_TRUE(wait_until(has_asked, &before));
		if (i == 0)
			proxy_drain(e.w.proxy);
		else
			proxy_stop(e.w.proxy);
		actor_play(&e.client, drains);
		CU_ASSERT_TRUE(i > 0 ||
		    bytes_have(&e.client.clear, "shutting down",
			strlen("shutting down")));
		CU_ASSERT_TRUE(wait_until(is_idle, e.w.proxy));
		CU_ASSERT_EQUAL(world_visitors(&e.fake), 0);
		actor_fini(&e.client);
		world_fini(&e.w);
		fake_fini(&e.fake);
	}
}
