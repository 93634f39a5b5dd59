/*
 * The policy, by a negotiator that does as it is told: every act that is
 * forbidden is tried, and everything that looks like it and is allowed.
 */
#include "protocols/negotiator.h"
#include "tests/unit/unit.h"

#include <string.h>

#include <CUnit/CUnit.h>

#define WINDOW 64
#define ROOM   4096

static const uint8_t preamble[] = { 'm', 'a', 'y', ' ', 'I', '?' };
static const struct neg_tls plain_terms = { .alpn_rule = NEG_ALPN_NONE };
static const struct neg_tls alpn_terms = { .alpn = "test",
	.alpn_rule = NEG_ALPN_REQUIRED };

/* What the next calls do. */
struct script {
	struct verdict (*act)(struct negotiator *n);
	unsigned calls;
};

static struct verdict
scripted(struct negotiator *n)
{
	struct script *s = n->state;

	s->calls++;
	return s->act(n);
}

static bool
is_preamble(const struct negotiator *n, struct rd out)
{
	(void)n;
	return rd_equals(out, preamble, sizeof(preamble));
}

static bool
is_cancel(struct rd out)
{
	return rd_equals_string(out, "cancel");
}

static const struct neg_hosts *
follows(const void *options)
{
	static const struct neg_hosts nowhere = { .n = 0 };

	(void)options;
	return &nowhere;
}

static const struct neg_ops scripted_ops = {
	.name = "scripted",
	.redirects = follows,
	.window = WINDOW,
	.state_size = sizeof(struct script),
	.step = scripted,
	.refuse = scripted,
	.preamble = is_preamble,
	.unprotected = is_cancel,
};

/* One that has no exceptions to make. */
static const struct neg_ops strict_ops = {
	.name = "strict",
	.window = WINDOW,
	.state_size = sizeof(struct script),
	.step = scripted,
	.refuse = scripted,
};

/* Where a session can be: what was carried out so far. */
enum so_far {
	NOTHING = 0,
	CONNECTED = 1,
	CLIENT_TLS = 2,
	SERVER_TLS = 4,
};
#define ALL (CONNECTED | CLIENT_TLS | SERVER_TLS)

struct world {
	struct neg_policy policy;
	struct script script;
	uint8_t room[LEG_COUNT][ROOM];
	struct negotiator n;
};

static void
world_init(struct world *w, struct neg_policy policy, unsigned so_far,
    struct verdict (*act)(struct negotiator *n))
{
	size_t i;

	_Static_assert(ROOM > WINDOW + 2048, "NEG_OUT_CAP()");
	memset(w, 0, sizeof(*w));
	w->policy = policy;
	w->script.act = act;
	w->n.ops = &scripted_ops;
	w->n.policy = &w->policy;
	w->n.state = &w->script;
	w->n.connected = (so_far & CONNECTED) != 0;
	w->n.leg[LEG_CLIENT].tls_up = (so_far & CLIENT_TLS) != 0;
	w->n.leg[LEG_SERVER].tls_up = (so_far & SERVER_TLS) != 0;
	for (i = 0; i < LEG_COUNT; i++) {
		w->n.in[i] = (struct rd){ (const uint8_t *)"said", 4, false };
		w->n.out[i].base = w->room[i];
		w->n.out[i].cap = NEG_OUT_CAP(w->n.ops);
	}
	if (!w->n.connected)
		w->n.in[LEG_SERVER] = (struct rd){ .at = NULL };
}

/* The acts. */

static struct verdict
reads_client(struct negotiator *n)
{
	(void)n;
	return neg_read(FROM_CLIENT);
}

static struct verdict
reads_server(struct negotiator *n)
{
	(void)n;
	return neg_read(FROM_SERVER);
}

static struct verdict
reads_both(struct negotiator *n)
{
	(void)n;
	return neg_read(FROM_CLIENT | FROM_SERVER);
}

static struct verdict
reads_nobody(struct negotiator *n)
{
	(void)n;
	return neg_read(0);
}

static struct verdict
reads_strangers(struct negotiator *n)
{
	(void)n;
	return neg_read(FROM_CLIENT | 4u);
}

static struct verdict
never_ends(struct negotiator *n)
{
	(void)n;
	return neg_next();
}

static struct verdict
connects(struct negotiator *n)
{
	(void)n;
	return neg_connect();
}

static struct verdict
connects_for_too_much(struct negotiator *n)
{
	static const uint8_t message[NEG_CANCEL_MAX + 1];

	n->route.cancel = (struct rd){ message, sizeof(message), false };
	return neg_connect();
}

/* All that the server has said was read. */
static struct verdict
sends_on_to(struct negotiator *n, size_t len, uint16_t port)
{
	static const uint8_t host[NEG_HOST_MAX + 1] = { 'h' };

	n->in[LEG_SERVER].left = 0;
	n->route.redirect_host = (struct rd){ host, len, false };
	n->route.redirect_port = port;
	return neg_connect();
}

static struct verdict
sends_on(struct negotiator *n)
{
	return sends_on_to(n, NEG_HOST_MAX, 1);
}

static struct verdict
sends_on_to_no_port(struct negotiator *n)
{
	return sends_on_to(n, 1, 0);
}

static struct verdict
sends_on_too_far(struct negotiator *n)
{
	return sends_on_to(n, NEG_HOST_MAX + 1, 1);
}

static struct verdict
sends_on_to_what_was_not_there(struct negotiator *n)
{
	struct verdict v = sends_on(n);

	n->route.redirect_host.cut = true;
	return v;
}

static struct verdict
sends_on_early(struct negotiator *n)
{
	size_t left = n->in[LEG_SERVER].left;
	struct verdict v = sends_on(n);

	n->in[LEG_SERVER].left = left;
	return v;
}

static struct verdict
speaks_and_sends_on(struct negotiator *n)
{
	wr_string(&n->out[LEG_SERVER], "secret");
	return sends_on(n);
}

static const struct neg_tls anew_terms = { .alpn_rule = NEG_ALPN_NONE,
	.anew = true };

static struct verdict
secures_anew(struct negotiator *n)
{
	n->in[LEG_SERVER].left = 0;
	return neg_start_tls(LEG_SERVER, &anew_terms);
}

static struct verdict
secures_anew_early(struct negotiator *n)
{
	(void)n;
	return neg_start_tls(LEG_SERVER, &anew_terms);
}

static struct verdict
secures_client_anew(struct negotiator *n)
{
	n->in[LEG_CLIENT].left = n->in[LEG_SERVER].left = 0;
	return neg_start_tls(LEG_CLIENT, &anew_terms);
}

static struct verdict
secures_client(struct negotiator *n)
{
	(void)n;
	return neg_start_tls(LEG_CLIENT, &plain_terms);
}

static struct verdict
secures_server(struct negotiator *n)
{
	(void)n;
	return neg_start_tls(LEG_SERVER, &alpn_terms);
}

static struct verdict
secures_without_terms(struct negotiator *n)
{
	(void)n;
	return neg_start_tls(LEG_SERVER, NULL);
}

static struct verdict
secures_with_half_terms(struct negotiator *n)
{
	static const struct neg_tls half = { .alpn_rule = NEG_ALPN_REQUIRED };

	(void)n;
	return neg_start_tls(LEG_SERVER, &half);
}

static struct verdict
secures_a_third_leg(struct negotiator *n)
{
	(void)n;
	return neg_start_tls((enum leg_id)LEG_COUNT, &plain_terms);
}

static struct verdict
relays(struct negotiator *n)
{
	(void)n;
	return neg_relay();
}

static struct verdict
relays_with_long_key(struct negotiator *n)
{
	n->key.len = sizeof(n->key.bytes) + 1;
	return neg_relay();
}

static struct verdict
writes_to_client(struct negotiator *n)
{
	wr_string(&n->out[LEG_CLIENT], "N");
	return neg_read(FROM_CLIENT);
}

static struct verdict
writes_to_server(struct negotiator *n)
{
	wr_string(&n->out[LEG_SERVER], "secret");
	return neg_read(FROM_CLIENT);
}

static struct verdict
writes_preamble(struct negotiator *n)
{
	wr_bytes(&n->out[LEG_SERVER], preamble, sizeof(preamble));
	return neg_read(FROM_SERVER);
}

static struct verdict
writes_preamble_and_more(struct negotiator *n)
{
	wr_bytes(&n->out[LEG_SERVER], preamble, sizeof(preamble));
	wr_u8(&n->out[LEG_SERVER], '!');
	return neg_read(FROM_SERVER);
}

static struct verdict
writes_and_secures(struct negotiator *n)
{
	wr_string(&n->out[LEG_SERVER], "secret");
	return neg_start_tls(LEG_SERVER, &alpn_terms);
}

static struct verdict
writes_too_much(struct negotiator *n)
{
	while (!n->out[LEG_CLIENT].full)
		wr_string(&n->out[LEG_CLIENT], "more and more ");
	return neg_read(FROM_CLIENT);
}

static struct verdict
writes_and_ends(struct negotiator *n)
{
	wr_string(&n->out[LEG_CLIENT], "sorry");
	wr_string(&n->out[LEG_SERVER], "secret");
	return neg_end(n, REASON_PROTOCOL, LEG_CLIENT, "what", NULL);
}

static struct verdict
forwards(struct negotiator *n)
{
	neg_forward(n, LEG_CLIENT, n->in[LEG_CLIENT].left);
	return neg_read(FROM_CLIENT);
}

static struct verdict
forwards_to_client(struct negotiator *n)
{
	neg_forward(n, LEG_SERVER, n->in[LEG_SERVER].left);
	return neg_read(FROM_SERVER);
}

static struct verdict
forwards_too_much(struct negotiator *n)
{
	neg_forward(n, LEG_CLIENT, n->in[LEG_CLIENT].left + 1);
	return neg_read(FROM_CLIENT);
}

static struct verdict
consumes_too_much(struct negotiator *n)
{
	rd_skip(&n->in[LEG_CLIENT], n->in[LEG_CLIENT].left + 1);
	return neg_read(FROM_CLIENT);
}

static struct verdict
delivers_cancel(struct negotiator *n)
{
	wr_string(&n->out[LEG_SERVER], "cancel");
	return neg_deliver();
}

static struct verdict
delivers_query(struct negotiator *n)
{
	wr_string(&n->out[LEG_SERVER], "query");
	return neg_deliver();
}

static struct verdict
delivers_nothing(struct negotiator *n)
{
	(void)n;
	return neg_deliver();
}

static struct verdict
ends(struct negotiator *n)
{
	return neg_end(n, REASON_AUTH, LEG_CLIENT, "why", "what to do");
}

static struct verdict
ends_without_reason(struct negotiator *n)
{
	(void)n;
	return (struct verdict){ .kind = V_END };
}

static struct verdict
ends_as_if_relayed(struct negotiator *n)
{
	return neg_end(n, REASON_IDLE, LEG_CLIENT, "why", NULL);
}

static struct verdict
answers_nonsense(struct negotiator *n)
{
	(void)n;
	return (struct verdict){ .kind = (enum verdict_kind)77 };
}

/* The tables: who must be refused what, where. */

struct trial {
	const char *name;
	enum neg_client_rule client;
	enum neg_server_rule server;
	unsigned so_far;
	struct verdict (*act)(struct negotiator *n);
};

#define OFF      CLIENT_TLS_OFF
#define ALLOW    CLIENT_TLS_ALLOW
#define REQUIRE  CLIENT_TLS_REQUIRE
#define NEVER    SERVER_TLS_NEVER
#define REQUIRED SERVER_TLS_REQUIRED
#define FIRST    SERVER_TLS_FIRST

static const struct trial forbidden[] = {
	/* before the server is connected */
	{ "reads no server", OFF, NEVER, NOTHING, reads_server },
	{ "reads both, one is not there", OFF, NEVER, NOTHING, reads_both },
	{ "writes to no server", OFF, NEVER, NOTHING, writes_to_server },
	{ "asks no server", OFF, REQUIRED, NOTHING, writes_preamble },
	{ "forwards to no server", OFF, NEVER, NOTHING, forwards },
	{ "secures no server", OFF, REQUIRED, NOTHING, secures_server },
	{ "relays to no server", OFF, NEVER, NOTHING, relays },
	{ "delivers to no server", OFF, NEVER, NOTHING, delivers_cancel },

	/* before the server's TLS */
	{ "writes in clear", OFF, REQUIRED, CONNECTED, writes_to_server },
	{ "forwards in clear", OFF, REQUIRED, CONNECTED, forwards },
	{ "adds to the preamble", OFF, REQUIRED, CONNECTED,
	    writes_preamble_and_more },
	{ "writes, then secures", OFF, REQUIRED, CONNECTED,
	    writes_and_secures },
	{ "writes ahead of TLS first", OFF, FIRST, CONNECTED,
	    writes_to_server },
	{ "asks ahead of TLS first", OFF, FIRST, CONNECTED, writes_preamble },
	{ "adds to the preamble, no TLS wanted", REQUIRE, NEVER, CONNECTED,
	    writes_preamble_and_more },
	{ "asks a server that is secure", REQUIRE, REQUIRED,
	    CONNECTED | SERVER_TLS, writes_preamble },
	{ "relays in clear", OFF, REQUIRED, CONNECTED, relays },
	{ "relays in clear, client secure", REQUIRE, REQUIRED,
	    CONNECTED | CLIENT_TLS, relays },
	{ "relays in clear, TLS first", OFF, FIRST, CONNECTED, relays },
	{ "delivers in clear", OFF, REQUIRED, CONNECTED, delivers_cancel },

	/* before the client's TLS */
	{ "lets a client in clear relay", REQUIRE, NEVER, CONNECTED, relays },
	{ "lets it, server secure", REQUIRE, REQUIRED, CONNECTED | SERVER_TLS,
	    relays },
	{ "forwards for it", REQUIRE, REQUIRED, CONNECTED | SERVER_TLS,
	    forwards },
	{ "speaks for it", REQUIRE, REQUIRED, CONNECTED | SERVER_TLS,
	    writes_to_server },
	{ "delivers what is no cancel", REQUIRE, NEVER, CONNECTED,
	    delivers_query },

	/* TLS where there is to be none, or is already */
	{ "secures a client that is off", OFF, NEVER, NOTHING, secures_client },
	{ "secures a server that is never", OFF, NEVER, CONNECTED,
	    secures_server },
	{ "secures the client twice", REQUIRE, NEVER, CLIENT_TLS,
	    secures_client },
	{ "secures the server twice", OFF, REQUIRED, CONNECTED | SERVER_TLS,
	    secures_server },
	{ "secures anew what is not secure", OFF, REQUIRED, CONNECTED,
	    secures_anew },
	{ "secures anew with some of it unread", OFF, REQUIRED, ALL,
	    secures_anew_early },
	{ "secures the client anew", REQUIRE, REQUIRED, ALL,
	    secures_client_anew },
	{ "secures anew where there is to be none", OFF, NEVER,
	    CONNECTED | SERVER_TLS, secures_anew },
	{ "secures without terms", OFF, REQUIRED, CONNECTED,
	    secures_without_terms },
	{ "secures with half terms", OFF, REQUIRED, CONNECTED,
	    secures_with_half_terms },
	{ "secures a third leg", REQUIRE, REQUIRED, CONNECTED,
	    secures_a_third_leg },

	/* at any time */
	{ "connects twice", OFF, NEVER, CONNECTED, connects },
	{ "is sent on by nobody", OFF, NEVER, NOTHING, sends_on },
	{ "is sent on to no port", OFF, NEVER, CONNECTED, sends_on_to_no_port },
	{ "is sent on too far", OFF, NEVER, CONNECTED, sends_on_too_far },
	{ "is sent on by what was not there", OFF, NEVER, CONNECTED,
	    sends_on_to_what_was_not_there },
	{ "is sent on with something unread", OFF, NEVER, CONNECTED,
	    sends_on_early },
	{ "is sent on with something unsaid before TLS", OFF, REQUIRED,
	    CONNECTED, speaks_and_sends_on },
	{ "connects for too much", OFF, NEVER, NOTHING, connects_for_too_much },
	{ "reads nobody", OFF, NEVER, CONNECTED, reads_nobody },
	{ "reads strangers", OFF, NEVER, CONNECTED, reads_strangers },
	{ "never ends", OFF, NEVER, CONNECTED, never_ends },
	{ "writes too much", OFF, NEVER, CONNECTED, writes_too_much },
	{ "forwards too much", OFF, NEVER, CONNECTED, forwards_too_much },
	{ "consumes too much", OFF, NEVER, CONNECTED, consumes_too_much },
	{ "delivers nothing", OFF, NEVER, CONNECTED, delivers_nothing },
	{ "relays with a long key", OFF, NEVER, CONNECTED,
	    relays_with_long_key },
	{ "ends without a reason", OFF, NEVER, NOTHING, ends_without_reason },
	{ "ends as if relayed", OFF, NEVER, NOTHING, ends_as_if_relayed },
	{ "answers nonsense", OFF, NEVER, CONNECTED, answers_nonsense },
};

static const struct trial allowed[] = {
	{ "reads the client", OFF, NEVER, NOTHING, reads_client },
	{ "reads the server", OFF, NEVER, CONNECTED, reads_server },
	{ "reads both", OFF, NEVER, CONNECTED, reads_both },
	{ "answers the client", REQUIRE, REQUIRED, NOTHING, writes_to_client },
	{ "connects", OFF, REQUIRED, NOTHING, connects },
	{ "secures the client", REQUIRE, REQUIRED, NOTHING, secures_client },
	{ "secures if asked", ALLOW, REQUIRED, NOTHING, secures_client },
	{ "secures the server", OFF, REQUIRED, CONNECTED, secures_server },
	{ "secures it first", OFF, FIRST, CONNECTED, secures_server },
	{ "asks the server", OFF, REQUIRED, CONNECTED, writes_preamble },
	{ "asks for a client in clear", REQUIRE, REQUIRED, CONNECTED,
	    writes_preamble },
	{ "asks for it, no TLS wanted", REQUIRE, NEVER, CONNECTED,
	    writes_preamble },
	{ "asks for it inside TLS that was first", REQUIRE, FIRST,
	    CONNECTED | SERVER_TLS, writes_preamble },
	{ "forwards to the client", OFF, REQUIRED, CONNECTED,
	    forwards_to_client },
	{ "forwards, no TLS wanted", OFF, NEVER, CONNECTED, forwards },
	{ "forwards, all secure", REQUIRE, REQUIRED, ALL, forwards },
	{ "forwards, client may be plain", ALLOW, FIRST, CONNECTED | SERVER_TLS,
	    forwards },
	{ "relays, no TLS wanted", OFF, NEVER, CONNECTED, relays },
	{ "relays, all secure", REQUIRE, REQUIRED, ALL, relays },
	{ "relays, client may be plain", ALLOW, REQUIRED,
	    CONNECTED | SERVER_TLS, relays },
	{ "delivers for a client in clear", REQUIRE, REQUIRED,
	    CONNECTED | SERVER_TLS, delivers_cancel },
	{ "delivers anything, all secure", REQUIRE, REQUIRED, ALL,
	    delivers_query },
	{ "is sent on", OFF, NEVER, CONNECTED, sends_on },
	{ "is sent on, all secure", REQUIRE, REQUIRED, ALL, sends_on },
	{ "speaks and is sent on", REQUIRE, REQUIRED, ALL,
	    speaks_and_sends_on },
	{ "secures the server anew", REQUIRE, REQUIRED, ALL, secures_anew },
	{ "secures it anew, TLS first", OFF, FIRST, CONNECTED | SERVER_TLS,
	    secures_anew },
	{ "ends", OFF, NEVER, NOTHING, ends },
};

/* While refusing, on top of what is forbidden anyway. */
static const struct trial forbidden_refusing[] = {
	{ "connects", OFF, NEVER, NOTHING, connects },
	{ "is sent on", OFF, NEVER, CONNECTED, sends_on },
	{ "secures the server anew", REQUIRE, REQUIRED, ALL, secures_anew },
	{ "reads the server", OFF, NEVER, CONNECTED, reads_server },
	{ "reads both", OFF, NEVER, CONNECTED, reads_both },
	{ "reads nobody", OFF, NEVER, CONNECTED, reads_nobody },
	{ "relays", REQUIRE, REQUIRED, ALL, relays },
	{ "delivers", REQUIRE, REQUIRED, ALL, delivers_cancel },
	{ "writes to the server", REQUIRE, REQUIRED, ALL, writes_to_server },
	{ "writes and ends", REQUIRE, REQUIRED, ALL, writes_and_ends },
	{ "asks the server", OFF, REQUIRED, CONNECTED, writes_preamble },
	{ "secures the server", OFF, REQUIRED, CONNECTED, secures_server },
	{ "secures a client that is off", OFF, NEVER, NOTHING, secures_client },
	{ "secures the client twice", REQUIRE, NEVER, CLIENT_TLS,
	    secures_client },
	{ "never ends", OFF, NEVER, CONNECTED, never_ends },
	{ "writes too much", OFF, NEVER, CONNECTED, writes_too_much },
	{ "answers nonsense", OFF, NEVER, CONNECTED, answers_nonsense },
};

static const struct trial allowed_refusing[] = {
	{ "reads the client", OFF, NEVER, NOTHING, reads_client },
	{ "answers the client", OFF, NEVER, NOTHING, writes_to_client },
	{ "secures the client", REQUIRE, REQUIRED, NOTHING, secures_client },
	{ "ends", OFF, NEVER, NOTHING, ends_without_reason },
	{ "ends for another reason", OFF, NEVER, NOTHING, ends },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct neg_error limit = { REASON_LIMIT, LEG_CLIENT,
	"too many sessions", NULL };

static struct verdict
try(const struct trial *t, struct world *w, bool refusing)
{
	struct neg_policy policy = { t->client, t->server };

	world_init(w, policy, t->so_far, t->act);
	if (!refusing)
		return neg_step(&w->n);
	w->n.error = limit;
	return neg_refuse(&w->n);
}

static void
check(bool holds, const struct trial *t, unsigned line)
{
	(void)CU_assertImplementation(holds, line, t->name, __FILE__, "",
	    false);
}

static void
check_forbidden(const struct trial *t, bool refusing)
{
	static const uint8_t nothing[ROOM];
	struct world w;
	struct verdict v = try(t, &w, refusing);

	check(v.kind == V_END, t, __LINE__);
	check(w.n.error.reason == REASON_INTERNAL, t, __LINE__);
	check(w.n.out[LEG_SERVER].len == 0, t, __LINE__);
	check(w.n.out[LEG_CLIENT].len == 0, t, __LINE__);
	check(!w.n.out[LEG_SERVER].full && !w.n.out[LEG_CLIENT].full, t,
	    __LINE__);
	check(memcmp(w.room[LEG_SERVER], nothing, sizeof(nothing)) == 0, t,
	    __LINE__);
}

static void
check_allowed(const struct trial *t, bool refusing)
{
	struct world w;
	struct verdict v = try(t, &w, refusing), same;
	struct world twin;

	/* What it says is what comes out. */
	world_init(&twin, (struct neg_policy){ t->client, t->server },
	    t->so_far, t->act);
	same = t->act(&twin.n);
	check(v.kind == same.kind, t, __LINE__);
	check(v.from == same.from, t, __LINE__);
	check(v.leg == same.leg, t, __LINE__);
	check(v.tls == same.tls, t, __LINE__);
	check(w.n.error.reason != REASON_INTERNAL, t, __LINE__);
	check(w.n.out[LEG_SERVER].len == twin.n.out[LEG_SERVER].len, t,
	    __LINE__);
	check(w.n.out[LEG_CLIENT].len == twin.n.out[LEG_CLIENT].len, t,
	    __LINE__);
}

static void
what_is_forbidden_ends_the_session(void)
{
	size_t i;

	for (i = 0; i < COUNT(forbidden); i++)
		check_forbidden(&forbidden[i], false);
}

static void
what_is_allowed_passes_unchanged(void)
{
	size_t i;

	for (i = 0; i < COUNT(allowed); i++)
		check_allowed(&allowed[i], false);
}

static void
refusing_is_for_the_clients_ears_only(void)
{
	size_t i;

	for (i = 0; i < COUNT(forbidden_refusing); i++)
		check_forbidden(&forbidden_refusing[i], true);
}

static void
what_a_refusal_needs_passes_unchanged(void)
{
	size_t i;

	for (i = 0; i < COUNT(allowed_refusing); i++)
		check_allowed(&allowed_refusing[i], true);
}

static void
a_refusal_keeps_its_first_reason(void)
{
	struct world w;

	world_init(&w, (struct neg_policy){ OFF, NEVER }, NOTHING, ends);
	w.n.error = limit;
	(void)neg_refuse(&w.n);
	CU_ASSERT_EQUAL(w.n.error.reason, REASON_LIMIT);
	CU_ASSERT_STRING_EQUAL(w.n.error.text, "too many sessions");
}

/* A protocol that names no exceptions has none. */
static void
without_exceptions_there_are_none(void)
{
	struct neg_policy policy = { REQUIRE, REQUIRED };
	struct world w;

	world_init(&w, policy, CONNECTED, writes_preamble);
	w.n.ops = &strict_ops;
	CU_ASSERT_EQUAL(neg_step(&w.n).kind, V_END);
	CU_ASSERT_EQUAL(w.n.error.reason, REASON_INTERNAL);
	world_init(&w, policy, CONNECTED | SERVER_TLS, delivers_cancel);
	w.n.ops = &strict_ops;
	CU_ASSERT_EQUAL(neg_step(&w.n).kind, V_END);
	CU_ASSERT_EQUAL(w.n.error.reason, REASON_INTERNAL);
}

static void
a_step_that_ends_leaves_the_server_nothing(void)
{
	struct world w;

	world_init(&w, (struct neg_policy){ OFF, NEVER }, CONNECTED,
	    writes_and_ends);
	CU_ASSERT_EQUAL(neg_step(&w.n).kind, V_END);
	CU_ASSERT_EQUAL(w.n.error.reason, REASON_PROTOCOL);
	CU_ASSERT_EQUAL(w.n.out[LEG_SERVER].len, 0);
	CU_ASSERT_TRUE(
	    rd_equals_string(wr_written(&w.n.out[LEG_CLIENT]), "sorry"));
}

static struct verdict
takes_a_byte(struct negotiator *n)
{
	if (n->in[LEG_CLIENT].left == 0)
		return neg_read(FROM_CLIENT);
	rd_skip(&n->in[LEG_CLIENT], 1);
	return neg_next();
}

static void
rounds_are_as_many_as_there_are_bytes(void)
{
	static const uint8_t many[WINDOW];
	struct world w;

	world_init(&w, (struct neg_policy){ OFF, NEVER }, NOTHING,
	    takes_a_byte);
	w.n.in[LEG_CLIENT] = (struct rd){ many, sizeof(many), false };
	CU_ASSERT_EQUAL(neg_step(&w.n).kind, V_READ);
	CU_ASSERT_EQUAL(w.script.calls, WINDOW + 1);
	world_init(&w, (struct neg_policy){ OFF, NEVER }, NOTHING, never_ends);
	(void)neg_step(&w.n);
	CU_ASSERT_TRUE(w.script.calls < WINDOW);
}

/* neg_step() would have the last word, but there is nothing for it to say. */
static void
forwarding_too_early_finds_no_room(void)
{
	struct world w;

	world_init(&w, (struct neg_policy){ OFF, REQUIRED }, CONNECTED, ends);
	neg_forward(&w.n, LEG_CLIENT, 4);
	CU_ASSERT_EQUAL(w.n.out[LEG_SERVER].len, 0);
	CU_ASSERT_TRUE(w.n.out[LEG_SERVER].full);
	world_init(&w, (struct neg_policy){ REQUIRE, NEVER }, CONNECTED, ends);
	neg_forward(&w.n, LEG_CLIENT, 4);
	CU_ASSERT_EQUAL(w.n.out[LEG_SERVER].len, 0);
	CU_ASSERT_TRUE(w.n.out[LEG_SERVER].full);
	world_init(&w, (struct neg_policy){ REQUIRE, REQUIRED }, ALL, ends);
	neg_forward(&w.n, LEG_CLIENT, 4);
	CU_ASSERT_EQUAL(w.n.out[LEG_SERVER].len, 4);
	CU_ASSERT_FALSE(w.n.out[LEG_SERVER].full);
	neg_forward(&w.n, LEG_CLIENT, 1);
	CU_ASSERT_TRUE(w.n.out[LEG_SERVER].full);
}

static void
rules_are_met_by_tls_alone(void)
{
	struct world w;

	world_init(&w, (struct neg_policy){ REQUIRE, FIRST }, CONNECTED, ends);
	CU_ASSERT_FALSE(neg_rule_met(&w.n, LEG_CLIENT));
	CU_ASSERT_FALSE(neg_rule_met(&w.n, LEG_SERVER));
	w.policy.server = REQUIRED;
	CU_ASSERT_FALSE(neg_rule_met(&w.n, LEG_SERVER));
	w.n.leg[LEG_CLIENT].tls_up = w.n.leg[LEG_SERVER].tls_up = true;
	CU_ASSERT_TRUE(neg_rule_met(&w.n, LEG_CLIENT));
	CU_ASSERT_TRUE(neg_rule_met(&w.n, LEG_SERVER));
	world_init(&w, (struct neg_policy){ ALLOW, NEVER }, CONNECTED, ends);
	CU_ASSERT_TRUE(neg_rule_met(&w.n, LEG_CLIENT));
	CU_ASSERT_TRUE(neg_rule_met(&w.n, LEG_SERVER));
}

static void
names_are_cut_and_stop_at_a_nul(void)
{
	char name[NEG_NAME_MAX + 1];
	uint8_t long_name[2 * NEG_NAME_MAX];

	memset(long_name, 'x', sizeof(long_name));
	neg_name_set(name, (struct rd){ long_name, sizeof(long_name), false });
	CU_ASSERT_EQUAL(strlen(name), NEG_NAME_MAX);
	neg_name_set(name, (struct rd){ long_name, NEG_NAME_MAX, false });
	CU_ASSERT_EQUAL(strlen(name), NEG_NAME_MAX);
	neg_name_set(name, (struct rd){ (const uint8_t *)"ab\0cd", 5, false });
	CU_ASSERT_STRING_EQUAL(name, "ab");
	neg_name_set(name, (struct rd){ .at = NULL });
	CU_ASSERT_STRING_EQUAL(name, "");
}

/* The registry. */

static void
protocols_are_found_by_name_and_alias(void)
{
	CU_ASSERT_PTR_EQUAL(protocol_find("postgres"), &neg_postgres);
	CU_ASSERT_PTR_EQUAL(protocol_find("postgresql"), &neg_postgres);
	CU_ASSERT_PTR_EQUAL(protocol_find("aurora-postgresql"), &neg_postgres);
	CU_ASSERT_PTR_EQUAL(protocol_find("redshift"), &neg_redshift);
	CU_ASSERT_PTR_EQUAL(protocol_find("sqlserver"), &neg_sqlserver);
	CU_ASSERT_PTR_EQUAL(protocol_find("mssql"), &neg_sqlserver);
	CU_ASSERT_PTR_EQUAL(protocol_find("azuredb"), &neg_sqlserver);
	CU_ASSERT_PTR_EQUAL(protocol_find("babelfish"), &neg_sqlserver);
	CU_ASSERT_PTR_EQUAL(protocol_find("sybase"), &neg_sybase);
	CU_ASSERT_PTR_EQUAL(protocol_find("ase"), &neg_sybase);
	CU_ASSERT_PTR_EQUAL(protocol_find("mongodb"), &neg_mongodb);
	CU_ASSERT_PTR_EQUAL(protocol_find("docdb"), &neg_mongodb);
	CU_ASSERT_PTR_EQUAL(protocol_find("tls"), &neg_direct);
	CU_ASSERT_PTR_EQUAL(protocol_find("mysql"), &neg_mysql);
	CU_ASSERT_PTR_EQUAL(protocol_find("aurora"), &neg_mysql);
	CU_ASSERT_PTR_EQUAL(protocol_find("mariadb"), &neg_mariadb);
	CU_ASSERT_PTR_EQUAL(protocol_find("mysqlx"), &neg_mysqlx);
	CU_ASSERT_STRING_EQUAL(protocol_group(&neg_mysql), "mysql");
	CU_ASSERT_STRING_EQUAL(protocol_group(&neg_mariadb), "mysql");
	CU_ASSERT_STRING_EQUAL(protocol_group(&neg_mysqlx), "mysqlx");
	CU_ASSERT_PTR_NULL(protocol_find("maria"));
	CU_ASSERT_PTR_NULL(protocol_find("Postgres"));
	CU_ASSERT_PTR_NULL(protocol_find(""));
}

static void
every_protocol_is_complete(void)
{
	const struct neg_ops *ops;
	size_t i;

	for (i = 0; (ops = protocol_nth(i)) != NULL; i++) {
		CU_ASSERT_PTR_EQUAL(protocol_find(ops->name), ops);
		CU_ASSERT_PTR_NOT_NULL(ops->step);
		CU_ASSERT_PTR_NOT_NULL(ops->refuse);
		CU_ASSERT_PTR_NOT_NULL(ops->where);
		CU_ASSERT_TRUE(ops->window > 0);
		CU_ASSERT_TRUE(ops->window >= ops->hello.left);
		CU_ASSERT_EQUAL(ops->options == NULL, ops->options_size == 0);
	}
	CU_ASSERT_EQUAL(i, 10);
	CU_ASSERT_PTR_NULL(protocol_nth(i + 1));
}

static void
engines_are_told_apart(void)
{
	const struct neg_option *o = neg_postgres.options;

	CU_ASSERT_EQUAL(neg_postgres.server_start, NEG_START_EITHER);
	CU_ASSERT_EQUAL(neg_redshift.server_start, NEG_START_ASKED);
	CU_ASSERT_EQUAL(neg_direct.server_start, NEG_START_FIRST);
	CU_ASSERT_EQUAL(neg_sybase.server_start, NEG_START_FIRST);
	CU_ASSERT_TRUE(neg_sybase.client_first);
	CU_ASSERT_TRUE(neg_sybase.client_chooses);
	CU_ASSERT_TRUE(neg_sybase.no_close_notify);
	CU_ASSERT_EQUAL(neg_sybase.default_port, 5000);
	CU_ASSERT_PTR_NULL(neg_sybase.preamble);
	CU_ASSERT_FALSE(neg_postgres.renegotiates);
	CU_ASSERT_TRUE(neg_redshift.renegotiates);
	CU_ASSERT_TRUE(neg_postgres.client_chooses);
	CU_ASSERT_TRUE(neg_redshift.client_chooses);
	CU_ASSERT_FALSE(neg_direct.client_chooses);
	CU_ASSERT_TRUE(neg_postgres.client_first);
	CU_ASSERT_TRUE(neg_redshift.client_first);
	CU_ASSERT_FALSE(neg_direct.client_first);
	CU_ASSERT_EQUAL(neg_postgres.default_port, 5432);
	CU_ASSERT_EQUAL(neg_redshift.default_port, 5439);
	CU_ASSERT_PTR_NULL(neg_redshift.options);
	CU_ASSERT_STRING_EQUAL(o->name, "channel_binding");
	CU_ASSERT_STRING_EQUAL(o->choices[0], "auto");
	CU_ASSERT_STRING_EQUAL(o->choices[1], "pass");
	CU_ASSERT_STRING_EQUAL(o->choices[2], "strip");
	CU_ASSERT_PTR_NULL(o->choices[3]);
	CU_ASSERT_PTR_NULL(o[1].name);
}

/* What PostgreSQL may send in clear is eight bytes, and one cancel request. */
static void
postgres_preamble_is_one_request(void)
{
	static const uint8_t request[] = { 0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f, 0 };
	uint8_t other[8];
	size_t i;

	CU_ASSERT_TRUE(
	    neg_postgres.preamble(NULL, (struct rd){ request, 8, false }));
	CU_ASSERT_FALSE(
	    neg_postgres.preamble(NULL, (struct rd){ request, 9, false }));
	CU_ASSERT_FALSE(
	    neg_postgres.preamble(NULL, (struct rd){ request, 7, false }));
	for (i = 0; i < sizeof(other); i++) {
		memcpy(other, request, sizeof(other));
		other[i] ^= 1;
		CU_ASSERT_FALSE(neg_postgres.preamble(NULL,
		    (struct rd){ other, sizeof(other), false }));
	}
}

static bool
is_unprotected(uint32_t len, uint32_t code, size_t sent)
{
	uint8_t room[300] = { 0 };
	struct wr w = { .base = room, .cap = sizeof(room) };

	wr_be32(&w, len);
	wr_be32(&w, code);
	return neg_postgres.unprotected((struct rd){ room, sent, false });
}

static void
postgres_unprotected_is_one_cancel(void)
{
	CU_ASSERT_TRUE(is_unprotected(16, 80877102, 16));
	CU_ASSERT_TRUE(is_unprotected(13, 80877102, 13));
	CU_ASSERT_TRUE(is_unprotected(268, 80877102, 268));
	CU_ASSERT_FALSE(is_unprotected(12, 80877102, 12));
	CU_ASSERT_FALSE(is_unprotected(269, 80877102, 269));
	CU_ASSERT_FALSE(is_unprotected(16, 80877103, 16));
	CU_ASSERT_FALSE(is_unprotected(16, 80877102, 17));
	CU_ASSERT_FALSE(is_unprotected(17, 80877102, 16));
	CU_ASSERT_FALSE(is_unprotected(16, 196608, 16));
}

/* `dbtls test` says this, and never sends it. */
static void
postgres_hello_is_a_startup(void)
{
	struct rd r = neg_postgres.hello;

	CU_ASSERT_EQUAL(rd_be32(&r), neg_postgres.hello.left);
	CU_ASSERT_EQUAL(rd_be32(&r), 0x00030000);
	CU_ASSERT_TRUE(rd_equals_string(rd_cstring(&r), "user"));
	CU_ASSERT_TRUE(rd_equals_string(rd_cstring(&r), "dbtls"));
	CU_ASSERT_TRUE(rd_equals(r, "", 1));
}

static void
who_follows_nobody_connects_once(void)
{
	const struct neg_policy policy = { OFF, NEVER };
	struct world w;
	struct verdict v;

	world_init(&w, policy, CONNECTED, sends_on);
	w.n.ops = &strict_ops;
	v = neg_step(&w.n);
	CU_ASSERT_EQUAL(v.kind, V_END);
	CU_ASSERT_EQUAL(w.n.error.reason, REASON_INTERNAL);
}

static uint64_t
unit_length(struct rd head)
{
	return rd_u8(&head);
}

static enum unit_act
unit_judge(struct rd before, struct rd peek)
{
	(void)before;
	(void)peek;
	return UNIT_PASS;
}

static bool
unit_rewrite(const struct negotiator *n, struct rd unit, struct wr *out)
{
	(void)n;
	(void)unit;
	(void)out;
	return false;
}

#define UNITS(its_head, its_peek, its_max, its_rewrite)        \
	{                                                      \
		.head = (its_head), .peek = (its_peek),        \
		.whole_max = (its_max), .length = unit_length, \
		.judge = unit_judge, .rewrite = (its_rewrite)  \
	}

static void
units_of_a_relay_must_make_sense(void)
{
	static const struct {
		struct neg_units units;
		bool good;
	} rows[] = {
		{ UNITS(1, 1, 0, NULL), true },
		{ UNITS(1, NEG_HEAD_MAX, NEG_UNIT_MAX, NULL), true },
		{ UNITS(1, 1, 0, unit_rewrite), true },
		{ UNITS(0, 1, 0, NULL), false },
		{ UNITS(2, 1, 0, NULL), false },
		{ UNITS(1, NEG_HEAD_MAX + 1, 0, NULL), false },
		{ UNITS(1, 1, NEG_UNIT_MAX + 1, NULL), false },
		/* Whole as they came, or in other words: not both. */
		{ UNITS(1, 1, 1, unit_rewrite), false },
		{ { .head = 1, .peek = 1, .judge = unit_judge }, false },
		{ { .head = 1, .peek = 1, .length = unit_length }, false },
		{ { .head = 1,
		      .peek = 1,
		      .whole_max = 1,
		      .length = unit_length },
		    true },
	};
	const struct neg_policy policy = { .client = CLIENT_TLS_OFF,
		.server = SERVER_TLS_NEVER };
	struct verdict v;
	struct world w;
	size_t i, leg;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (leg = 0; leg < LEG_COUNT; leg++) {
			world_init(&w, policy, CONNECTED, relays);
			w.n.units[leg] = &rows[i].units;
			v = neg_step(&w.n);
			CU_ASSERT_EQUAL(v.kind, rows[i].good ? V_RELAY : V_END);
			if (!rows[i].good)
				CU_ASSERT_EQUAL(w.n.error.reason,
				    REASON_INTERNAL);
		}
	}
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		{ "what_is_forbidden_ends_the_session",
		    what_is_forbidden_ends_the_session },
		{ "what_is_allowed_passes_unchanged",
		    what_is_allowed_passes_unchanged },
		{ "refusing_is_for_the_clients_ears_only",
		    refusing_is_for_the_clients_ears_only },
		{ "what_a_refusal_needs_passes_unchanged",
		    what_a_refusal_needs_passes_unchanged },
		{ "a_refusal_keeps_its_first_reason",
		    a_refusal_keeps_its_first_reason },
		{ "without_exceptions_there_are_none",
		    without_exceptions_there_are_none },
		{ "who_follows_nobody_connects_once",
		    who_follows_nobody_connects_once },
		{ "a_step_that_ends_leaves_the_server_nothing",
		    a_step_that_ends_leaves_the_server_nothing },
		{ "rounds_are_as_many_as_there_are_bytes",
		    rounds_are_as_many_as_there_are_bytes },
		{ "forwarding_too_early_finds_no_room",
		    forwarding_too_early_finds_no_room },
		{ "rules_are_met_by_tls_alone", rules_are_met_by_tls_alone },
		{ "names_are_cut_and_stop_at_a_nul",
		    names_are_cut_and_stop_at_a_nul },
		{ "protocols_are_found_by_name_and_alias",
		    protocols_are_found_by_name_and_alias },
		{ "every_protocol_is_complete", every_protocol_is_complete },
		{ "engines_are_told_apart", engines_are_told_apart },
		{ "postgres_preamble_is_one_request",
		    postgres_preamble_is_one_request },
		{ "postgres_unprotected_is_one_cancel",
		    postgres_unprotected_is_one_cancel },
		{ "postgres_hello_is_a_startup", postgres_hello_is_a_startup },
		{ "units_of_a_relay_must_make_sense",
		    units_of_a_relay_must_make_sense },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "negotiator", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
