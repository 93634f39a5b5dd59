/* moves.c - servers that want TLS anew, or another server to be asked */
#include "tests/loop/suites.h"

#include <stdio.h>
#include <string.h>

#include <CUnit/Basic.h>

#include "tests/loop/scenario.h"
#include "tests/loop/toy.h"

#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))
#define SIZE(message) (sizeof(message) - 1)
#define IDENTITY                           \
	"identity = { cert = \"" CERTS_DIR \
	"/client.chain.pem\"; key = \"" CERTS_DIR "/client.key\"; }; "
/* Its configuration has no options, so that the toy's own can stand there. */
#define OF_TOY(how, certificate)                                   \
	.engine = "tls", .settings = (how), .cert = (certificate), \
	.ops = &toy_that_moves

#define LETS_IN  SEND(TOY_HELLO), RECEIVE(SIZE(TOY_LOGIN)), SEND("o")
#define SEES_OFF DRAIN, BYE
#define IS_IN    RECEIVE(SIZE(TOY_HELLO)), SEND(TOY_LOGIN), RECEIVE(1)
#define LEAVES   BYE, DRAIN

/*
 * TLS anew.
 */

static int
believe_all(int fits, X509_STORE_CTX *ctx)
{
	(void)fits;
	(void)ctx;
	return 1;
}

/* Whatever comes first on the socket must be a ClientHello, of one that has not
 * been here: an alert of the old session would be in its way. */
static bool
again_as(struct actor *a, const char *certificate, const char *sni,
    bool identity)
{
	SSL_CTX *ctx = server_context(certificate);
	const char *got;
	bool good;

	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, believe_all);
	SSL_free(a->ssl);
	a->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (a->ssl == NULL || SSL_set_fd(a->ssl, a->fd) != 1)
		return false;
	if (SSL_accept(a->ssl) != 1) {
		a->ending = ENDING_FAILED;
		return false;
	}
	got = SSL_get_servername(a->ssl, TLSEXT_NAMETYPE_host_name);
	good = SSL_session_reused(a->ssl) == 0 && got != NULL &&
	    strcmp(got, sni) == 0 &&
	    (SSL_get0_peer_certificate(a->ssl) != NULL) == identity;
	CU_ASSERT_TRUE(good);
	return good;
}

static bool
again(struct actor *a)
{
	return again_as(a, "good", TOY_SNI, false);
}

static bool
again_and_asks_who(struct actor *a)
{
	return again_as(a, "good", TOY_SNI, true);
}

static bool
again_as_many(struct actor *a)
{
	return again_as(a, "many", TOY_SNI, false);
}

static bool
again_as_other(struct actor *a)
{
	return again_as(a, "other", TOY_SNI, false);
}

static bool
again_as_unknown(struct actor *a)
{
	return again_as(a, "unknown", TOY_SNI, false);
}

static bool
again_as_expired(struct actor *a)
{
	return again_as(a, "expired", TOY_SNI, false);
}

#define AGAIN(as) TLS, SEND(TOY_AGAIN), CALL(as)
/* As on the first handshake, nothing of the client's comes to such a server. */
#define NOT_AGAIN(what, as, why)                                        \
	{                                                               \
		.name = (what), OF_TOY(MODE_FULL, "good"),              \
		.server = { AGAIN(as), LETS_IN, SEES_OFF },             \
		.client = { DRAIN }, GETS(TOY_REFUSAL), .never = "hoy", \
		TURNED_AWAY(why)                                        \
	}

static const struct scenario anews[] = {
	{
	    .name = "again",
	    OF_TOY(MODE_FULL, "good"),
	    .server = { AGAIN(again), LETS_IN, SEES_OFF },
	    .client = { IS_IN, LEAVES },
	    SEES(TOY_LOGIN),
	    GETS(TOY_HELLO "o"),
	    CLOSED("client_closed"),
	},
	{
	    .name = "again_in_12",
	    OF_TOY(MODE_FULL, "good"),
	    .max_version = TLS1_2_VERSION,
	    .server = { AGAIN(again), LETS_IN, SEES_OFF },
	    .client = { IS_IN, LEAVES },
	    SEES(TOY_LOGIN),
	    GETS(TOY_HELLO "o"),
	    CLOSED("client_closed"),
	},
	{
	    .name = "again_and_again",
	    OF_TOY(MODE_FULL IDENTITY, "good"),
	    .server = { AGAIN(again_and_asks_who), SEND(TOY_AGAIN),
		CALL(again_and_asks_who), LETS_IN, SEES_OFF },
	    .client = { IS_IN, LEAVES },
	    SEES(TOY_LOGIN),
	    GETS(TOY_HELLO "o"),
	    CLOSED("client_closed"),
	},
	/* It has to be the same certificate, not only one as good. */
	NOT_AGAIN("again_as_many", again_as_many, "pin_mismatch"),
	NOT_AGAIN("again_as_other", again_as_other, "name_mismatch"),
	NOT_AGAIN("again_as_unknown", again_as_unknown, "untrusted"),
	NOT_AGAIN("again_as_expired", again_as_expired, "expired"),
	/* Still in the session that it said it would give up. */
	{
	    .name = "again_and_not",
	    OF_TOY(MODE_FULL, "good"),
	    .server = { TLS, SEND(TOY_AGAIN), RECEIVE(1) },
	    .client = { DRAIN },
	    GETS(TOY_REFUSAL),
	    TURNED_AWAY("handshake"),
	},
	/* Nothing more was to come of what it begins anew; whether that is seen
	 * before or in the handshake is the network's affair. */
	{
	    .name = "again_after_its_end",
	    OF_TOY(MODE_FULL, "good"),
	    .server = { TLS, SEND(TOY_AGAIN), BYE, DRAIN },
	    .client = { DRAIN },
	    GETS(TOY_REFUSAL),
	    .event = "session.refused",
	    .reason = "",
	},
};

void
tls_begins_anew(void)
{
	scenarios_play(anews, COUNT(anews));
}

/*
 * Another server.
 */

struct move {
	const char *name;
	const char *settings;
	const char *server; /* the host that is configured */
	const char *to;     /* the host that it names; NULL: lets in itself */
	const char *cert;   /* of the one that is there; NULL: it has no TLS */
	bool on;            /* that one sends on to itself */
	unsigned visits;    /* that it gets */
	const char *event;
	const char *reason;
	const char *detail;

	struct fake first, second;
	unsigned endpoint;
};

static bool
sends_on(struct actor *a)
{
	const struct move *m = a->arg;
	unsigned port = m->second.port;
	char message[128];
	size_t len = 5 + strlen(m->to);

	(void)snprintf(message, sizeof(message), "..%c..%s", TOY_MOVE, m->to);
	message[0] = 0;
	message[1] = (char)len;
	message[3] = (char)(port >> 8);
	message[4] = (char)(port & 0xff);
	return actor_send(a, message, len);
}

static bool
lets_in_or_sends_on(struct actor *a)
{
	const struct move *m = a->arg;

	return m->on ? sends_on(a) : actor_send(a, TOY_HELLO, SIZE(TOY_HELLO));
}

static const struct step first_steps[] = { TLS, CALL(sends_on), SEES_OFF,
	{ .act = DO_END } };
static const struct step second_steps[] = { TLS, CALL(lets_in_or_sends_on),
	RECEIVE(SIZE(TOY_LOGIN)), SEND("o"), SEES_OFF, { .act = DO_END } };
static const struct step plain_steps[] = { CALL(lets_in_or_sends_on), SEES_OFF,
	{ .act = DO_END } };
static const struct step client_steps[] = { IS_IN, LEAVES, { .act = DO_END } };

#define OWN "127.0.0.1"
#define FOLLOWED(what, how, from, where, certificate)                \
	{                                                            \
		.name = (what), .settings = (how), .server = (from), \
		.to = (where), .cert = (certificate), .visits = 1,   \
		.event = "session.close", .reason = "client_closed"  \
	}
#define NOT_FOLLOWED(what, from, where, text)                              \
	{                                                                  \
		.name = (what), .settings = MODE_FULL, .server = (from),   \
		.to = (where), .cert = "good", .event = "session.refused", \
		.reason = "redirect", .detail = (text)                     \
	}
#define IN_VAIN(what, how, where, certificate, why)                \
	{                                                          \
		.name = (what), .settings = (how), .server = OWN,  \
		.to = (where), .cert = (certificate), .visits = 1, \
		.event = "session.refused", .reason = (why)        \
	}

static struct move moves[] = {
	FOLLOWED("own_address", MODE_FULL, OWN, OWN, "good"),
	FOLLOWED("own_address_mapped", MODE_FULL, OWN, "::ffff:127.0.0.1",
	    "good"),
	FOLLOWED("listed_name", MODE_FULL, OWN, "LocalHost", "proxy"),
	FOLLOWED("resolved_address", MODE_FULL, "localhost", OWN, "good"),
	FOLLOWED("only_required", MODE_REQUIRE, OWN, OWN, "unknown"),
	NOT_FOLLOWED("another_address", OWN, "127.0.0.2",
	    "toy_that_moves.follow = [ \\\"127.0.0.2\\\" ]"),
	NOT_FOLLOWED("another_name", OWN, "db.test", "redirects to db.test:"),
	NOT_FOLLOWED("no_host", OWN, "db test", "what is no host"),
	NOT_FOLLOWED("not_resolved_address", "localhost", "127.0.0.2",
	    "is no address of localhost"),
	NOT_FOLLOWED("any_address", OWN, "0.0.0.0", "redirects to 0.0.0.0:"),
	IN_VAIN("own_address_of_other", MODE_FULL, OWN, "other",
	    "name_mismatch"),
	IN_VAIN("own_address_of_unknown", MODE_FULL, OWN, "unknown",
	    "untrusted"),
	IN_VAIN("own_address_in_clear", MODE_FULL, OWN, NULL, "handshake"),
	IN_VAIN("own_address_in_clear_required", MODE_REQUIRE, OWN, NULL,
	    "handshake"),
	/* The name it was allowed for, and no longer the first one's. */
	IN_VAIN("listed_name_of_another", MODE_FULL, "localhost", "good",
	    "name_mismatch"),
	{
	    .name = "in_a_circle",
	    .settings = MODE_FULL,
	    .server = OWN,
	    .to = OWN,
	    .cert = "good",
	    .on = true,
	    .visits = 3,
	    .event = "session.refused",
	    .reason = "redirect",
	    .detail = "redirects again",
	},
};

static void
prepare_move(struct move *m, struct world *w)
{
	char server[64];

	fake_init(&m->first, first_steps, server_context("good"));
	fake_init(&m->second, m->cert == NULL ? plain_steps : second_steps,
	    m->cert == NULL ? NULL : server_context(m->cert));
	m->first.arg = m->second.arg = m;
	fake_start(&m->first, 1);
	fake_start(&m->second, 1);
	(void)snprintf(server, sizeof(server), "\"%s:%u\"", m->server,
	    (unsigned)m->first.port);
	m->endpoint = world_add_server(w, "tls", m->name, server, m->settings);
	w->ops[m->endpoint] = &toy_that_moves;
}

static void
expect(const struct move *m, bool held, const char *what)
{
	CU_ASSERT_TRUE(held);
	if (!held)
		fprintf(stderr, "\n  %s: %s\n", m->name, what);
}

/* Where it was reached in the end is what its lines say. */
static bool
tells_where(const struct move *m, const struct world *w)
{
	char endpoint[80], server[64];
	const char *words[] = { "event=session.open ", endpoint, server, NULL };

	(void)snprintf(endpoint, sizeof(endpoint), " endpoint=%s ", m->name);
	(void)snprintf(server, sizeof(server), "127.0.0.1%s:%u ",
	    strchr(m->to, ':') == NULL ? "" : "]", (unsigned)m->second.port);
	return world_logged(w, words);
}

static bool
both_are_idle(const void *arg)
{
	struct move *m = (struct move *)(uintptr_t)arg;

	return fake_idle(&m->first) && fake_idle(&m->second);
}

static void
play_move(struct move *m, struct world *w)
{
	bool followed = strcmp(m->event, "session.close") == 0;
	char endpoint[80], event[64], reason[64];
	const char *words[] = { endpoint, event, reason, m->detail, NULL };
	struct actor client = { .fd = world_connect(w, m->endpoint) };

	actor_play(&client, client_steps);
	(void)snprintf(endpoint, sizeof(endpoint), " endpoint=%s ", m->name);
	(void)snprintf(event, sizeof(event), "event=%s ", m->event);
	(void)snprintf(reason, sizeof(reason), " reason=%s", m->reason);
	if (!world_logged(w, words)) {
		expect(m, false, "not in the log");
		world_print_log(w, endpoint);
	}
	expect(m, world_settles(w), "something is left");
	expect(m, world_visitors(&m->first) == 1, "the first was not asked");
	expect(m, world_visitors(&m->second) == m->visits,
	    "the second was asked otherwise");
	expect(m, wait_until(both_are_idle, m), "a server is still busy");
	expect(m, !followed || tells_where(m, w), "the log names another");
	expect(m,
	    bytes_have(&client.clear, TOY_HELLO "o", SIZE(TOY_HELLO "o")) ==
		followed,
	    "the client got something else");
	expect(m,
	    bytes_have(&m->second.sealed, TOY_LOGIN, SIZE(TOY_LOGIN)) ==
		followed,
	    "the second saw something else");
	expect(m,
	    !bytes_have(&m->first.sealed, CANARY, strlen(CANARY)) &&
		!bytes_have(&m->first.clear, CANARY, strlen(CANARY)) &&
		!bytes_have(&m->second.clear, CANARY, strlen(CANARY)),
	    "the canary was seen");
	actor_fini(&client);
}

void
redirects_are_followed_where_they_may(void)
{
	struct world w;
	size_t i;

	world_init(&w);
	for (i = 0; i < COUNT(moves); i++)
		prepare_move(&moves[i], &w);
	world_start(&w);
	for (i = 0; i < COUNT(moves); i++)
		play_move(&moves[i], &w);
	world_fini(&w);
	for (i = 0; i < COUNT(moves); i++) {
		fake_fini(&moves[i].first);
		fake_fini(&moves[i].second);
	}
}
