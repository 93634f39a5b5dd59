/* keys.c - sessions that outlive a key of their TLS */
#include "tests/loop/suites.h"

#include <stdio.h>
#include <string.h>

#include <CUnit/Basic.h>

#include "tests/loop/scenario.h"

/* By endpoints whose keys seal 100 records: this is many keys. */
#define QUESTIONS 1000
#define REKEY     "rekey_records = 100; "
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

/* Each is a record, or several, and is awaited before the next. */
static bool
ask_and_compare(struct actor *a)
{
	char question[64], answer[64];
	size_t have, n;
	int i, len;

	for (i = 0; i < QUESTIONS; i++) {
		len = snprintf(question, sizeof(question), "question %d", i);
		if (!actor_send(a, question, (size_t)len))
			return false;
		for (have = 0; have < (size_t)len; have += n) {
			n = actor_receive(a, answer + have, (size_t)len - have);
			if (n == 0)
				return false;
		}
		if (memcmp(question, answer, (size_t)len) != 0)
			return false;
	}
	return true;
}

#define SERVER MESSAGE, SEND("S"), TLS, MESSAGE, SEND(WELCOME), ECHO, BYE
#define CLIENT                                              \
	SEND(SSL_REQUEST), ANSWER("S"), TLS, SEND(STARTUP), \
	    RECEIVE(sizeof(WELCOME) - 1), CALL(ask_and_compare), BYE, DRAIN

static const struct scenario keys[] = {
	{
	    .name = "by_openssl",
	    .settings = MODE_FULL CLIENT_TLS("require") REKEY
	    "tls = { records = \"openssl\"; }; ",
	    .cert = "good",
	    .server = { SERVER },
	    .client = { CLIENT },
	    SEES(STARTUP),
	    GETS("question 999"),
	    .ends = ENDING_BYE,
	    CLOSED("client_closed"),
	},
	{
	    .name = "direct",
	    .settings = MODE_FULL CLIENT_TLS("require") REKEY
	    "tls = { records = \"direct\"; }; ",
	    .cert = "good",
	    .server = { SERVER },
	    .client = { CLIENT },
	    SEES(STARTUP),
	    GETS("question 999"),
	    .ends = ENDING_BYE,
	    CLOSED("client_closed"),
	},
	{
	    .name = "direct_by_chacha",
	    .settings = MODE_FULL CLIENT_TLS("require") REKEY
	    "tls = { records = \"direct\"; "
	    "ciphersuites = \"TLS_CHACHA20_POLY1305_SHA256\"; }; ",
	    .cert = "good",
	    .server = { SERVER },
	    .client = { CLIENT },
	    SEES(STARTUP),
	    GETS("question 999"),
	    .ends = ENDING_BYE,
	    CLOSED("client_closed"),
	},
};

void
keys_are_changed_on_both_legs(void)
{
	scenarios_play(keys, COUNT(keys));
}

static bool
is_idle(const void *arg)
{
	return fake_idle((struct fake *)(uintptr_t)arg);
}

/* TLS 1.2 cannot: the session goes on, and says so once for each leg. */
void
key_that_cannot_be_changed_is_logged(void)
{
	static const struct step server[] = { SERVER, { .act = DO_END } };
	static const struct step from[] = { CLIENT, { .act = DO_END } };
	const char *const each[] = { " event=tls.key_limit ",
		" rekey_records=100 ", NULL };
	const char *const one[] = { " event=tls.key_limit ",
		" session=", " endpoint=old", " leg=server ", " tls=TLSv1.2 ",
		NULL };
	struct actor client = { .fd = -1 };
	struct fake fake;
	struct world w;
	unsigned endpoint;

	world_init(&w);
	fake_init(&fake, server, server_context("good"));
	(void)SSL_CTX_set_max_proto_version(fake.ctx, TLS1_2_VERSION);
	endpoint = world_add(&w, "old", &fake,
	    MODE_FULL CLIENT_TLS("require") REKEY
	    "tls = { records = \"direct\"; max = \"1.2\"; }; ");
	world_start(&w);
	fake_start(&fake, 1);
	client.fd = world_connect(&w, endpoint);
	client.ctx = client_context(NULL);
	(void)SSL_CTX_set_max_proto_version(client.ctx, TLS1_2_VERSION);
	actor_play(&client, from);
	CU_ASSERT_TRUE(wait_until(is_idle, &fake));
	CU_ASSERT_EQUAL(client.done, COUNT(from) - 1);
	CU_ASSERT_TRUE(world_settles(&w));
	CU_ASSERT_TRUE(world_logged(&w, one));
	CU_ASSERT_EQUAL(world_count_logged(&w, each), LEG_COUNT);
	SSL_CTX_free(client.ctx);
	actor_fini(&client);
	world_fini(&w);
	fake_fini(&fake);
}
