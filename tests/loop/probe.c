/*
 * probe.c - `dbtls test` against servers of every kind, good and bad
 *
 * What is promised of each: the step at which it fails, the reason, a remedy,
 * and that not one byte of a login ever reached the server.  What a listener of
 * Oracle's is asked for is no login yet.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>
#include <openssl/x509.h>

#include "proxy/commands/test_probe.h"
#include "tests/loop/fake.h"
#include "tests/loop/toy.h"

#define PATIENCE "timeouts = { connect = 5; handshake = 1; }; "
#define FULL     "ssl_mode = \"verify-full\"; server_name = \"db.test\"; "
#define REQUIRE  "ssl_mode = \"require\"; "
#define NONE     "ssl_mode = \"none\"; "
#define CA       "ca = \"" CERTS_DIR "/ca.crt\"; "
#define CA2      "ca = \"" CERTS_DIR "/ca2.crt\"; "
#define CLIENT_KEYPAIR                                       \
	"identity = { cert = \"" CERTS_DIR "/client.crt\"; " \
	"key = \"" CERTS_DIR "/client.key\"; }; "

/* An SSLRequest is all that a server without TLS ever gets. */
static const uint8_t ssl_request[] = { 0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f };

static const struct step agrees[] = { MESSAGE, SEND("S"), TLS, DRAIN, BYE,
	{ .act = DO_END } };
static const struct step at_once[] = { TLS, DRAIN, BYE, { .act = DO_END } };
static const struct step declines[] = { MESSAGE, SEND("N"), DRAIN,
	{ .act = DO_END } };
static const struct step complains[] = { MESSAGE,
	SEND("E\0\0\0\x1dSECRET-OF-THE-SERVER\0\0\0"), { .act = DO_END } };
static const struct step babbles[] = { MESSAGE, SEND("SHTTP/1.1 400"), DRAIN,
	{ .act = DO_END } };
static const struct step is_silent[] = { MESSAGE, DRAIN, { .act = DO_END } };
static const struct step hangs_up[] = { MESSAGE, { .act = DO_END } };
static const struct step hangs_up_in_tls[] = { MESSAGE, SEND("S"), LISTEN, FIN,
	DRAIN, { .act = DO_END } };
static const struct step agrees_and_leaves[] = { MESSAGE, SEND("S"), FIN, DRAIN,
	{ .act = DO_END } };
static const struct step leaves[] = { FIN, DRAIN, { .act = DO_END } };
static const struct step resets[] = { MESSAGE, RESET, { .act = DO_END } };
static const struct step waits[] = { DRAIN, { .act = DO_END } };

/* What a MySQL server says first; `low` is half of its capabilities. */
#define GREETING(low)               \
	SEND("\x4a\0\0\0"           \
	     "\x0a"                 \
	     "8.0.36\0"             \
	     "\1\0\0\0"             \
	     "abcdefgh"             \
	     "\0" low "\xff\2\0"    \
	     "\xff\xdf\x15"         \
	     "\0\0\0\0\0\0\0\0\0\0" \
	     "ijklmnopqrst\0"       \
	     "caching_sha2_password\0")
#define WITH_TLS    "\xff\xff"
#define WITHOUT_TLS "\xff\xf7"
#define MYSQL_ASKS  36         /* bytes of its SSLRequest */
#define ER_BLOCKED  "\x69\x04" /* 1129 */

static const struct step greets[] = { GREETING(WITH_TLS), RECEIVE(MYSQL_ASKS),
	TLS, DRAIN, BYE, { .act = DO_END } };
static const struct step greets_plain[] = { GREETING(WITHOUT_TLS), DRAIN,
	{ .act = DO_END } };
static const struct step greets_and_waits[] = { GREETING(WITH_TLS), DRAIN,
	{ .act = DO_END } };
static const struct step blocks[] = { SEND("\x19\0\0\0\xff" ER_BLOCKED
					   "SECRET-HOST is blocked"),
	DRAIN, { .act = DO_END } };

/* A server that wants to see certificates of the CA for clients. */
static SSL_CTX *
demanding(int version)
{
	SSL_CTX *ctx = server_context("good");

	CU_ASSERT_EQUAL_FATAL(
	    SSL_CTX_load_verify_file(ctx, CERTS_DIR "/clients.crt"), 1);
	SSL_CTX_set_verify(ctx,
	    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	(void)SSL_CTX_set_min_proto_version(ctx, version);
	(void)SSL_CTX_set_max_proto_version(ctx, version);
	return ctx;
}

static const struct config *
configure(const char *engine, unsigned port, const char *settings)
{
	struct problems problems = { 0 };
	const struct config *c;
	char text[2048];

	(void)snprintf(text, sizeof(text),
	    "endpoints = ( { name = \"t\"; engine = \"%s\"; "
	    "listen = \"127.0.0.1:0\"; server = \"127.0.0.1:%u\"; " PATIENCE
	    "%s} );",
	    engine, port, settings);
	c = config_load_text(text, "test", &problems);
	problems_print(&problems, stderr);
	problems_fini(&problems);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

/* Probes one server; the caller has the report to look at and to free. */
static void
probe(struct probe *p, struct fake *f, const char *engine, const char *settings)
{
	const struct config *c = configure(engine, f->port, settings);

	memset(p, 0, sizeof(*p));
	fake_start(f, 1);
	probe_run(p, c, c->endpoints[0], 0);
	config_release(c);
}

/* After fake_fini() of its threads, what came is what has come. */
static void
expect_no_login(struct fake *f, bool asked)
{
	(void)pthread_mutex_lock(&f->lock);
	CU_ASSERT_EQUAL(f->sealed.len, 0);
	CU_ASSERT_EQUAL(f->clear.len, asked ? sizeof(ssl_request) : 0);
	if (asked && f->clear.len == sizeof(ssl_request))
		CU_ASSERT_EQUAL(
		    memcmp(f->clear.at, ssl_request, sizeof(ssl_request)), 0);
	(void)pthread_mutex_unlock(&f->lock);
}

/* That server's last connection has been put down. */
static void
let_it_finish(struct fake *f)
{
	while (!fake_idle(f))
		(void)sched_yield();
}

struct expected {
	const char *what;
	const struct step *steps;
	const char *cert; /* of the server; NULL: it has no TLS */
	const char *engine;
	const char *settings;
	enum reason reason;
	enum probe_step fails; /* unless the reason is none */
	const char *text;      /* of that step, in part; NULL: any */
	const char *remedy;    /* the same; NULL: any, "": none */
	size_t ncerts;
};

static const struct expected table[] = {
	{ "good", agrees, "good", "postgres", FULL CA, REASON_NONE, 0, NULL,
	    NULL, 1 },
	{ "direct", at_once, "good", "tls", FULL CA, REASON_NONE, 0, NULL, NULL,
	    1 },
	{ "intermediate", agrees, "inter-leaf", "postgres", FULL CA,
	    REASON_NONE, 0, NULL, NULL, 2 },
	{ "wrong name", agrees, "other", "postgres", FULL CA,
	    REASON_NAME_MISMATCH, PROBE_NAMES, "other.test, not db.test",
	    "server_name = \"other.test\"", 1 },
	{ "unknown CA", agrees, "good", "postgres", FULL CA2, REASON_UNTRUSTED,
	    PROBE_CHAIN, "CN=ca", "certificate of \"CN=ca", 1 },
	{ "expired", agrees, "expired", "postgres", FULL CA, REASON_EXPIRED,
	    PROBE_EXPIRY, "expired", "renew", 1 },
	{ "not yet", agrees, "notyet", "postgres", FULL CA,
	    REASON_NOT_YET_VALID, PROBE_EXPIRY, NULL, "clock", 1 },
	{ "required only", agrees, "expired", "postgres", REQUIRE, REASON_NONE,
	    0, NULL, NULL, 1 },
	{ "no TLS", declines, NULL, "postgres", REQUIRE, REASON_TLS_REFUSED,
	    PROBE_NEGOTIATE, NULL, "turn on TLS", 0 },
	{ "error", complains, NULL, "postgres", REQUIRE, REASON_TLS_REFUSED,
	    PROBE_NEGOTIATE, NULL, "log", 0 },
	{ "garbage", babbles, NULL, "postgres", REQUIRE, REASON_HANDSHAKE,
	    PROBE_HANDSHAKE, "not TLS", "port", 0 },
	{ "silence", is_silent, NULL, "postgres", REQUIRE, REASON_TIMEOUT,
	    PROBE_NEGOTIATE, "in time", NULL, 0 },
	{ "hang-up", hangs_up, NULL, "postgres", REQUIRE, REASON_CONNECT,
	    PROBE_NEGOTIATE, "closed", "log", 0 },
	{ "hang-up in TLS", hangs_up_in_tls, NULL, "postgres", REQUIRE,
	    REASON_HANDSHAKE, PROBE_HANDSHAKE, "middle", "log", 0 },
	{ "hang-up before TLS", agrees_and_leaves, NULL, "postgres", REQUIRE,
	    REASON_HANDSHAKE, PROBE_HANDSHAKE, "closed", "log", 0 },
	{ "hang-up at once", leaves, NULL, "tls", REQUIRE, REASON_HANDSHAKE,
	    PROBE_HANDSHAKE, "closed", "log", 0 },
	{ "reset", resets, NULL, "postgres", REQUIRE, REASON_CONNECT,
	    PROBE_NEGOTIATE, NULL, NULL, 0 },
};

static void
expect(const struct expected *x, const struct probe *p)
{
	const struct probe_result *s = &p->steps[x->fails];

	CU_ASSERT_EQUAL(p->reason, x->reason);
	CU_ASSERT_EQUAL(p->ncerts, x->ncerts);
	CU_ASSERT_EQUAL(p->pem != NULL, x->ncerts > 0);
	if (p->reason != x->reason)
		fprintf(stderr, "%s: %s\n", x->what, reason_name(p->reason));
	if (x->reason == REASON_NONE)
		return;
	CU_ASSERT_EQUAL(s->status, PROBE_FAILED);
	if (x->text != NULL)
		CU_ASSERT_PTR_NOT_NULL(strstr(s->text, x->text));
	if (x->remedy != NULL)
		CU_ASSERT_PTR_NOT_NULL(strstr(s->remedy, x->remedy));
	CU_ASSERT_PTR_NULL(strstr(s->text, "SECRET"));
}

static void
every_server_is_told_apart_and_none_gets_a_login(void)
{
	const struct expected *x = table;
	struct probe p;
	struct fake f;

	for (; x < table + sizeof(table) / sizeof(table[0]); x++) {
		fake_init(&f, x->steps,
		    x->cert == NULL ? NULL : server_context(x->cert));
		probe(&p, &f, x->engine, x->settings);
		expect(x, &p);
		let_it_finish(&f);
		/* What is TLS to us was bytes in the clear to this one. */
		if (x->cert != NULL || x->reason != REASON_HANDSHAKE)
			expect_no_login(&f, strcmp(x->engine, "tls") != 0);
		probe_fini(&p);
		fake_fini(&f);
	}
}

/* A server that waits for a PROXY header is told that it is for nobody. */
static void
header_comes_before_all_else(void)
{
	static const uint8_t local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
	static const struct step told[] = { RECEIVE(sizeof(local) - 1), MESSAGE,
		SEND("S"), TLS, DRAIN, BYE, { .act = DO_END } };
	const size_t len = sizeof(local) - 1;
	struct probe p;
	struct fake f;

	fake_init(&f, told, server_context("good"));
	probe(&p, &f, "postgres",
	    FULL CA "proxy_protocol = { send = \"v2\"; }; ");
	CU_ASSERT_EQUAL(p.reason, REASON_NONE);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(p.steps[PROBE_CONNECT].text, "PROXY header"));
	let_it_finish(&f);
	CU_ASSERT_EQUAL(f.clear.len, len + sizeof(ssl_request));
	CU_ASSERT(f.clear.len >= len && memcmp(f.clear.at, local, len) == 0);
	CU_ASSERT_EQUAL(f.sealed.len, 0);
	probe_fini(&p);
	fake_fini(&f);
}

/* The steps that were not the matter are told as they are. */
static void
one_failure_hides_no_other_fact(void)
{
	struct probe p;
	struct fake f;

	fake_init(&f, agrees, server_context("other"));
	probe(&p, &f, "postgres", FULL CA2);
	CU_ASSERT_EQUAL(p.reason, REASON_UNTRUSTED);
	CU_ASSERT_EQUAL(p.steps[PROBE_HANDSHAKE].status, PROBE_OK);
	CU_ASSERT_EQUAL(p.steps[PROBE_CHAIN].status, PROBE_FAILED);
	CU_ASSERT_EQUAL(p.steps[PROBE_NAMES].status, PROBE_FAILED);
	CU_ASSERT_EQUAL(p.steps[PROBE_EXPIRY].status, PROBE_OK);
	CU_ASSERT_STRING_EQUAL(p.certs[0].names, "other.test");
	CU_ASSERT_STRING_EQUAL(p.version, "TLSv1.3");
	CU_ASSERT_FALSE(p.secured);
	probe_fini(&p);
	fake_fini(&f);

	fake_init(&f, agrees, server_context("expired"));
	probe(&p, &f, "postgres", FULL CA2);
	CU_ASSERT_EQUAL(p.steps[PROBE_CHAIN].status, PROBE_FAILED);
	CU_ASSERT_EQUAL(p.steps[PROBE_NAMES].status, PROBE_OK);
	CU_ASSERT_EQUAL(p.steps[PROBE_EXPIRY].status, PROBE_UNCHECKED);
	probe_fini(&p);
	fake_fini(&f);
}

static void
mode_none_says_nothing_to_the_server(void)
{
	struct probe p;
	struct fake f;

	fake_init(&f, waits, NULL);
	probe(&p, &f, "postgres", NONE);
	CU_ASSERT_EQUAL(p.reason, REASON_NONE);
	CU_ASSERT_EQUAL(p.steps[PROBE_NEGOTIATE].status, PROBE_OK);
	CU_ASSERT_EQUAL(p.steps[PROBE_HANDSHAKE].status, PROBE_SKIPPED);
	let_it_finish(&f);
	expect_no_login(&f, false);
	probe_fini(&p);
	fake_fini(&f);
}

/* Where the server speaks first: how many bytes of ours it gets in clear. */
static const struct {
	struct expected expected;
	size_t clear;
} first_words[] = {
	{ { "mysql", greets, "good", "mysql", FULL CA, REASON_NONE, 0, NULL,
	      NULL, 1 },
	    MYSQL_ASKS },
	{ { "mariadb", greets, "good", "mariadb", FULL CA, REASON_NONE, 0, NULL,
	      NULL, 1 },
	    MYSQL_ASKS },
	{ { "mysql, wrong name", greets, "other", "mysql", FULL CA,
	      REASON_NAME_MISMATCH, PROBE_NAMES, "other.test", NULL, 1 },
	    MYSQL_ASKS },
	{ { "mysql without TLS", greets_plain, NULL, "mysql", REQUIRE,
	      REASON_TLS_REFUSED, PROBE_NEGOTIATE, NULL, "turn on TLS", 0 },
	    0 },
	{ { "mysql that blocks us", blocks, NULL, "mysql", REQUIRE,
	      REASON_CONNECT, PROBE_NEGOTIATE, "blocks", NULL, 0 },
	    0 },
	{ { "mysql that blocks us, in clear", blocks, NULL, "mysql", NONE,
	      REASON_CONNECT, PROBE_NEGOTIATE, "server blocks",
	      "max_connect_errors", 0 },
	    0 },
	{ { "mysql in clear", greets_and_waits, NULL, "mysql", NONE,
	      REASON_NONE, 0, NULL, NULL, 0 },
	    0 },
	{ { "mysql without TLS in clear", greets_plain, NULL, "mysql", NONE,
	      REASON_NONE, 0, NULL, NULL, 0 },
	    0 },
	{ { "mysql that is silent", waits, NULL, "mysql", NONE, REASON_TIMEOUT,
	      PROBE_NEGOTIATE, "in time", NULL, 0 },
	    0 },
};

static void
who_speaks_first_gets_no_login_either(void)
{
	const struct expected *x;
	struct probe p;
	struct fake f;
	size_t i;

	for (i = 0; i < sizeof(first_words) / sizeof(first_words[0]); i++) {
		x = &first_words[i].expected;
		fake_init(&f, x->steps,
		    x->cert == NULL ? NULL : server_context(x->cert));
		probe(&p, &f, x->engine, x->settings);
		expect(x, &p);
		let_it_finish(&f);
		CU_ASSERT_EQUAL(f.sealed.len, 0);
		CU_ASSERT_EQUAL(f.clear.len, first_words[i].clear);
		probe_fini(&p);
		fake_fini(&f);
	}
}

static void
identity_case(int version, const char *settings, enum reason reason)
{
	bool early = version == TLS1_2_VERSION && reason != REASON_NONE;
	enum probe_step step = early ? PROBE_HANDSHAKE : PROBE_IDENTITY;
	struct probe p;
	struct fake f;

	fake_init(&f, agrees, demanding(version));
	probe(&p, &f, "postgres", settings);
	CU_ASSERT_EQUAL(p.reason, reason);
	CU_ASSERT_EQUAL(p.steps[step].status,
	    reason == REASON_NONE ? PROBE_OK : PROBE_FAILED);
	if (reason != REASON_NONE)
		CU_ASSERT_PTR_NOT_NULL(
		    strstr(p.steps[step].text, "client certificate"));
	probe_fini(&p);
	fake_fini(&f);
}

static void
identity_is_tried(void)
{
	identity_case(TLS1_2_VERSION, FULL CA, REASON_IDENTITY);
	identity_case(TLS1_3_VERSION, FULL CA, REASON_IDENTITY);
	identity_case(TLS1_2_VERSION, FULL CA CLIENT_KEYPAIR, REASON_NONE);
	identity_case(TLS1_3_VERSION, FULL CA CLIENT_KEYPAIR, REASON_NONE);
}

static void
nobody_there(void)
{
	const struct config *c = configure("postgres", 1, REQUIRE);
	struct probe p = { 0 };

	probe_run(&p, c, c->endpoints[0], 0);
	CU_ASSERT_EQUAL(p.reason, REASON_CONNECT);
	CU_ASSERT_EQUAL(p.steps[PROBE_CONNECT].status, PROBE_FAILED);
	CU_ASSERT_STRING_NOT_EQUAL(p.steps[PROBE_CONNECT].remedy, "");
	probe_fini(&p);
	config_release(c);
}

/*
 * Servers that want to be asked more than once.
 */

struct asked {
	const char *what;
	bool on;          /* by another server: of the first's domain */
	const char *to;   /* where the first sends on to */
	const char *cert; /* of the last handshake */
	enum reason reason;
	enum probe_step step; /* that tells of it: */
	const char *text;
	const char *remedy;
	unsigned short port; /* of the second */
	SSL_CTX *again;
};

static bool
sends_on(struct actor *a)
{
	const struct asked *x = a->arg;
	size_t len = strlen(x->to);
	char message[64] = { 0 };

	message[1] = (char)(5 + len);
	message[2] = TOY_MOVE;
	message[3] = (char)(x->port >> 8);
	message[4] = (char)(x->port & 0xff);
	memcpy(message + 5, x->to, len);
	return actor_send(a, message, 5 + len);
}

static bool
is_another(struct actor *a)
{
	const struct asked *x = a->arg;

	a->ctx = x->again;
	return true;
}

static const struct step asks_again[] = { TLS, SEND(TOY_AGAIN),
	CALL(is_another), TLS, SEND(TOY_HELLO), DRAIN, BYE, { .act = DO_END } };
static const struct step sends[] = { TLS, CALL(sends_on), DRAIN,
	{ .act = DO_END } };
static const struct step is_found[] = { TLS, SEND(TOY_HELLO), DRAIN, BYE,
	{ .act = DO_END } };

static const struct asked asked[] = {
	{ "again", false, NULL, "good", REASON_NONE, PROBE_AGAIN,
	    "SNI " TOY_SNI, NULL, 0, NULL },
	{ "again as another", false, NULL, "unknown", REASON_UNTRUSTED,
	    PROBE_AGAIN, "ended by us", NULL, 0, NULL },
	{ "sent on", true, "127.0.0.1", "good", REASON_NONE, PROBE_REDIRECT,
	    ", its own host; 127.0.0.1:", NULL, 0, NULL },
	{ "sent on to another", true, "127.0.0.1", "other",
	    REASON_NAME_MISMATCH, PROBE_REDIRECT, "ended by us", NULL, 0,
	    NULL },
	{ "sent on by a list", true, "localhost", "proxy", REASON_NONE,
	    PROBE_REDIRECT, ", which is listed; 127.0.0.1:", NULL, 0, NULL },
	{ "sent on too far", true, "127.0.0.2", "good", REASON_REDIRECT,
	    PROBE_REDIRECT, "neither its own host", "[ \"127.0.0.2\" ]", 0,
	    NULL },
};

static void
expect_asked(const struct asked *x, const struct probe *p)
{
	const struct probe_result *s = &p->steps[x->step];
	bool good = p->reason == x->reason &&
	    strstr(s->text, x->text) != NULL &&
	    (x->remedy == NULL || strstr(s->remedy, x->remedy) != NULL) &&
	    (p->steps[PROBE_ANSWER].status == PROBE_OK) ==
		(x->reason == REASON_NONE);

	CU_ASSERT_TRUE(good);
	if (!good)
		fprintf(stderr, "%s: %s, \"%s\"\n", x->what,
		    reason_name(p->reason), s->text);
}

static void
ask(struct asked x)
{
	struct fake first, second;
	struct probe p = { .reason = REASON_NONE };
	const struct config *c;

	fake_init(&first, x.on ? sends : asks_again, server_context("good"));
	fake_init(&second, is_found, server_context(x.cert));
	x.port = second.port;
	x.again = second.ctx;
	first.arg = &x;
	fake_start(&first, 1);
	fake_start(&second, 1);
	c = configure("tls", first.port, FULL CA);
	c->endpoints[0]->ops = &toy_that_moves;
	probe_run(&p, c, c->endpoints[0], 0);
	config_release(c);
	expect_asked(&x, &p);
	let_it_finish(&first);
	let_it_finish(&second);
	CU_ASSERT_EQUAL(first.sealed.len + second.sealed.len, 0);
	probe_fini(&p);
	fake_fini(&first);
	fake_fini(&second);
}

static void
who_is_asked_more_than_once_is_told_of(void)
{
	size_t i;

	for (i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		ask(asked[i]);
}

/*
 * A listener of Oracle's, asked for a service or pinged.
 */

#define RESEND SEND("\0\x08\0\0\x0b\0\0\0")
#define ACCEPT                            \
	SEND("\0\x18\0\0\x02\0\0\0"       \
	     "\1\x36\0\0\x20\0\x20\0\0\1" \
	     "\0\0\0\0\0\0")
#define REFUSE                      \
	SEND("\0\x25\0\0\x04\0\0\0" \
	     "\x04\0\0\x19"         \
	     "(DESCRIPTION=(ERR=12514))")
#define LEAVES                \
	DRAIN, BYE,           \
	{                     \
		.act = DO_END \
	}
#define PING_SIZE 117

static const struct step accepts[] = { TLS, LISTEN, RESEND, LISTEN, ACCEPT,
	LEAVES };
static const struct step refuses[] = { TLS, LISTEN, REFUSE, LEAVES };
static const struct step refuses_in_clear[] = { LISTEN, RESEND, LISTEN, REFUSE,
	DRAIN, { .act = DO_END } };
static const struct step goes[] = { LISTEN, { .act = DO_END } };

struct listening {
	const char *what;
	const struct step *steps;
	const char *settings;
	const char *service; /* NULL: a ping */
	enum reason reason;
	enum probe_status answer;
	const char *text; /* of the answer, in part */
	const char *remedy;
	unsigned said; /* how often it was told what is wanted */
};

static const struct listening listeners[] = {
	{ "a service", accepts, FULL CA, "shop", REASON_NONE, PROBE_OK,
	    "socket and in the same TLS if there is any; ACCEPT", "", 2 },
	{ "pinged twice", accepts, FULL CA, NULL, REASON_NONE, PROBE_OK,
	    "RESEND: ", "", 2 },
	{ "no such service", refuses, FULL CA, "shop", REASON_CONNECT,
	    PROBE_FAILED, "REFUSE, TNS-12514", "lsnrctl", 1 },
	{ "a ping that is refused", refuses, FULL CA, NULL, REASON_NONE,
	    PROBE_OK, "REFUSE, TNS-12514", "lsnrctl", 1 },
	{ "a service, in clear", refuses_in_clear, NONE, "shop", REASON_CONNECT,
	    PROBE_FAILED, "RESEND: ", "lsnrctl", 2 },
	{ "no ping in clear", waits, NONE, NULL, REASON_NONE, PROBE_SKIPPED, "",
	    "", 0 },
	{ "no answer", goes, NONE, "shop", REASON_CONNECT, PROBE_FAILED,
	    "closed the connection and did not answer", "log", 1 },
};

static void
listen_to(const struct listening *x)
{
	const struct probe_service wanted = { .service = x->service };
	struct probe p = { .reason = REASON_NONE };
	const struct probe_result *s = &p.steps[PROBE_ANSWER];
	const struct config *c;
	struct err err;
	struct fake f;
	bool good;

	fake_init(&f, x->steps,
	    x->steps[0].act == DO_TLS ? server_context("good") : NULL);
	c = configure("oracle", f.port, x->settings);
	fake_start(&f, 1);
	CU_ASSERT_EQUAL(x->service == NULL
		? 0
		: probe_ask(&p, &wanted, c->endpoints[0], 0, &err),
	    0);
	probe_run(&p, c, c->endpoints[0], 0);
	let_it_finish(&f);
	good = p.reason == x->reason && s->status == x->answer &&
	    strstr(s->text, x->text) != NULL &&
	    strstr(s->remedy, x->remedy) != NULL &&
	    f.sealed.len + f.clear.len ==
		x->said * (x->service == NULL ? PING_SIZE : p.hello_len);
	CU_ASSERT_TRUE(good);
	if (!good)
		fprintf(stderr, "%s: %s, \"%s\", \"%s\"\n", x->what,
		    reason_name(p.reason), s->text, s->remedy);
	config_release(c);
	probe_fini(&p);
	fake_fini(&f);
}

static void
listener_is_asked_for_a_service(void)
{
	size_t i;

	for (i = 0; i < sizeof(listeners) / sizeof(listeners[0]); i++)
		listen_to(&listeners[i]);
}

static CU_TestInfo tests[] = {
	{ "every_server_is_told_apart_and_none_gets_a_login",
	    every_server_is_told_apart_and_none_gets_a_login },
	{ "one_failure_hides_no_other_fact", one_failure_hides_no_other_fact },
	{ "mode_none_says_nothing_to_the_server",
	    mode_none_says_nothing_to_the_server },
	{ "who_speaks_first_gets_no_login_either",
	    who_speaks_first_gets_no_login_either },
	{ "identity_is_tried", identity_is_tried },
	{ "header_comes_before_all_else", header_comes_before_all_else },
	{ "nobody_there", nobody_there },
	{ "who_is_asked_more_than_once_is_told_of",
	    who_is_asked_more_than_once_is_told_of },
	{ "listener_is_asked_for_a_service", listener_is_asked_for_a_service },
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	CU_SuiteInfo suites[] = {
		{ "probe", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};
	unsigned failures;

	(void)signal(SIGPIPE, SIG_IGN);
	if (CU_initialize_registry() != CUE_SUCCESS ||
	    CU_register_suites(suites) != CUE_SUCCESS)
		return EXIT_FAILURE;
	CU_basic_set_mode(CU_BRM_NORMAL);
	(void)CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
