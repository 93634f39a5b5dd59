/* Sessions of servers: what is resumed, and what must not be. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "proxy/tls_private.h"
#include "tests/unit/tls_world.h"

#define SHORT_LIFE  3 /* seconds: of a certificate or a CRL that ends here */
#define SILENCE     6 /* seconds: of a server, and too long */
#define TICKET_LONG 16400
#define SHY_STEP    300.0
#define SHY_FIRST   600.0

#define TICKETS_BEARABLE 1500
#define TICKETS_TOO_MANY 2000

/* What times_now() says here: the linker puts this in its place (--wrap). */
static double now = 1000;
double set_now(void) __asm__("__wrap_times_now");

double
set_now(void)
{
	return now;
}

static const struct neg_tls plain = { .alpn = NULL };
static struct address here, there;

static void
addresses_set_up(void)
{
	CU_ASSERT_TRUE_FATAL(address_parse_ip("127.0.0.1", 5432, &here));
	CU_ASSERT_TRUE_FATAL(address_parse_ip("127.0.0.2", 5432, &there));
}

/* How one connection is begun. */
struct
try {
	const struct neg_tls *how;
	const struct server *server;
	const struct address *address; /* NULL: tls_resume() is not called */
	const char *sni;               /* in the place of the server's */
};

static struct endpoint *
resuming_endpoint(const struct keypair *ca)
{
	struct endpoint *e =
	    world_endpoint(SSL_MODE_VERIFY_FULL, ca, WORLD_NAME);

	e->tls.resume = true;
	return e;
}

/* A wire whose first connection was made only to be thrown away. */
static void
open_with(struct wire *w, const struct endpoint *e, const struct keypair *own,
    int version)
{
	SSL_CTX *peer = world_peer(true, own);

	addresses_set_up();
	world_peer_versions(peer, version, version);
	wire_open(w, e, LEG_SERVER, NULL, peer);
}

static void
read_data(struct wire *w)
{
	uint8_t got[16];
	size_t len;

	wire_peer_write(w, "x", 1);
	(void)wire_read(w, got, sizeof(got), &len);
	CU_ASSERT_EQUAL(len, 1);
}

/* Through, and with all tickets read. */
static void
finish(struct wire *w)
{
	wire_shake(w);
	if (w->result != TLS_DONE)
		return;
	read_data(w);
	w->result = TLS_DONE; /* of the handshake */
}

static bool
try_it(struct wire *w, const struct try *c)
{
	wire_again(w, c->how, c->server, NULL);
	if (c->sni != NULL)
		CU_ASSERT_TRUE(tls_set_sni(w->tls, c->sni));
	if (c->address != NULL)
		tls_resume(w->tls, c->address);
	finish(w);
	if (w->result != TLS_DONE)
		return false;
	CU_ASSERT_EQUAL(tls_resumed(w->tls), SSL_session_reused(w->peer) == 1);
	return tls_resumed(w->tls);
}

static bool
again(struct wire *w, const struct endpoint *e)
{
	const struct try usual = { &plain, e->servers, &here, NULL };

	return try_it(w, &usual);
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
#define EACH_VERSION(i) \
	for ((i) = 0; (i) < sizeof(versions) / sizeof(versions[0]); (i)++)

static bool
same_verdict(const struct cert_verdict *a, const struct cert_verdict *b)
{
	return a->accepted == b->accepted && a->reason == b->reason &&
	    a->x509_error == b->x509_error && a->depth == b->depth &&
	    strcmp(a->text, b->text) == 0 && strcmp(a->hint, b->hint) == 0 &&
	    a->verified == b->verified && strcmp(a->name, b->name) == 0 &&
	    memcmp(a->leaf, b->leaf, sizeof(a->leaf)) == 0 &&
	    memcmp(a->anchor, b->anchor, sizeof(a->anchor)) == 0 &&
	    a->legacy == b->legacy && strcmp(a->warning, b->warning) == 0 &&
	    a->until == b->until;
}

static void
sessions_are_resumed_with_their_verdict(void)
{
	struct endpoint *e = resuming_endpoint(world.ca);
	struct cert_verdict before;
	struct wire w;
	size_t i, n;

	EACH_VERSION(i)
	{
		open_with(&w, e, world.good[0], versions[i]);
		CU_ASSERT_FALSE(again(&w, e));
		before = *tls_verdict(w.tls);
		CU_ASSERT_EQUAL(before.verified, VERIFIED_FULL);
		for (n = 0; n < 5; n++) {
			uint8_t leaf[32];

			CU_ASSERT_TRUE(again(&w, e));
			CU_ASSERT_TRUE(
			    same_verdict(&before, tls_verdict(w.tls)));
			CU_ASSERT_TRUE(tls_leaf(w.tls, leaf));
			CU_ASSERT_EQUAL(memcmp(leaf, before.leaf, sizeof(leaf)),
			    0);
			expect_exchange(&w);
		}
		wire_close(&w);
	}
	world_endpoint_free(e);
}

/* Two tickets, three at once: the last is for all that come. */
static void
the_last_ticket_serves_until_there_is_another(void)
{
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;
	size_t n;

	open_with(&w, e, world.good[0], TLS1_3_VERSION);
	(void)SSL_CTX_set_num_tickets(SSL_get_SSL_CTX(w.peer), 1);
	CU_ASSERT_FALSE(again(&w, e));
	(void)SSL_CTX_set_num_tickets(SSL_get_SSL_CTX(w.peer), 0);
	for (n = 0; n < 4; n++)
		CU_ASSERT_TRUE(again(&w, e));
	wire_close(&w);
	world_endpoint_free(e);
}

static void
nothing_is_resumed_unasked(void)
{
	static const struct neg_tls never = { .no_resume = true };
	static const struct neg_tls anew = { .anew = true };
	static const struct neg_tls may_stop = { .may_stop = true };
	const struct neg_tls *const hows[] = { &never, &anew, &may_stop };
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;
	size_t i, n;

	EACH_VERSION(i)
	{
		open_with(&w, e, world.good[0], versions[i]);
		for (n = 0; n < sizeof(hows) / sizeof(hows[0]); n++) {
			const struct try c = { hows[n], e->servers, &here,
				NULL };

			CU_ASSERT_FALSE(try_it(&w, &c));
			CU_ASSERT_FALSE(try_it(&w, &c));
			CU_ASSERT_FALSE(tls_resume_wants(w.tls));
		}
		/* and not what an ordinary connection was given, either */
		CU_ASSERT_FALSE(again(&w, e));
		for (n = 0; n < sizeof(hows) / sizeof(hows[0]); n++) {
			const struct try c = { hows[n], e->servers, &here,
				NULL };

			CU_ASSERT_FALSE(try_it(&w, &c));
		}
		CU_ASSERT_FALSE(try_it(&w,
		    &(struct try){ &plain, e->servers, NULL, NULL }));
		wire_close(&w);
	}
	world_endpoint_free(e);
}

static void
nothing_is_resumed_where_it_is_off(void)
{
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;
	size_t i;

	for (i = 0; i < 2; i++) {
		e->tls.resume = i == 1;
		e->ops = i == 1 ? &neg_redshift : &neg_postgres;
		open_with(&w, e, world.good[0], TLS1_2_VERSION);
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_FALSE(again(&w, e));
		wire_close(&w);
	}
	world_endpoint_free(e);
}

static void
another_connection_is_not_resumed(void)
{
	static const struct neg_tls named = { .alpn = "postgresql",
		.alpn_rule = NEG_ALPN_IF_OFFERED };
	struct endpoint *e = resuming_endpoint(world.ca);
	struct server twin = e->servers[0];
	struct address port = here;
	struct wire w;
	size_t i, n;

	EACH_VERSION(i)
	{
		open_with(&w, e, world.good[0], versions[i]);
		CU_ASSERT_TRUE(address_parse_ip("127.0.0.1", 5433, &port));
		const struct try others[] = {
			{ &plain, e->servers, &there, NULL },
			{ &plain, e->servers, &port, NULL },
			{ &plain, e->servers, &here, "else.test" },
			{ &plain, &twin, &here, NULL },
			{ &named, e->servers, &here, NULL },
		};

		CU_ASSERT_FALSE(again(&w, e));
		for (n = 0; n < sizeof(others) / sizeof(others[0]); n++) {
			CU_ASSERT_FALSE(try_it(&w, &others[n]));
			CU_ASSERT_TRUE(try_it(&w, &others[n]));
		}
		CU_ASSERT_TRUE(again(&w, e));
		wire_close(&w);
	}
	world_endpoint_free(e);
}

static void
await_time(time_t at)
{
	while (time(NULL) < at)
		(void)poll(NULL, 0, 50);
}

static time_t
short_life(struct keypair **own)
{
	*own = world_issue(&(struct wish){ .san = WORLD_SAN,
	    .issuer = world.ca,
	    .to = SHORT_LIFE });
	return time(NULL) + SHORT_LIFE;
}

static void
expired_certificate_is_not_resumed(void)
{
	struct endpoint *e = resuming_endpoint(world.ca);
	struct keypair *own;
	struct wire w;
	time_t end;
	size_t i;

	EACH_VERSION(i)
	{
		end = short_life(&own);
		open_with(&w, e, own, versions[i]);
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_TRUE(again(&w, e));
		await_time(end + 1);
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_EQUAL(tls_error(w.tls).reason, REASON_EXPIRED);
		wire_close(&w);
		keypair_release(own);
	}
	world_endpoint_free(e);
}

/* One of the CA itself, which no chain here needs: it counts all the same. */
static void
add_crl(struct anchors *a, const struct keypair *ca, long seconds)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = X509_gmtime_adj(NULL, -DAY);

	CU_ASSERT_PTR_NOT_NULL_FATAL(crl);
	(void)X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	(void)X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->leaf));
	(void)X509_CRL_set1_lastUpdate(crl, t);
	(void)X509_gmtime_adj(t, seconds);
	(void)X509_CRL_set1_nextUpdate(crl, t);
	ASN1_TIME_free(t);
	CU_ASSERT_TRUE(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0);
	CU_ASSERT_TRUE(sk_X509_CRL_push(a->crls, crl) > 0);
}

static void
expired_list_is_not_resumed(void)
{
	struct endpoint *e;
	struct wire w;
	time_t end;
	size_t i;

	for (i = 0; i < 2; i++) {
		e = resuming_endpoint(world.ca);
		e->trust->crl_expired_warns = i == 1;
		add_crl(e->trust->anchors, world.ca, SHORT_LIFE);
		end = time(NULL) + SHORT_LIFE;
		open_with(&w, e, world.good[0], TLS1_3_VERSION);
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_TRUE(again(&w, e));
		await_time(end + 1);
		/* refused, or looked at again and let pass */
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_EQUAL(w.result, i == 1 ? TLS_DONE : TLS_FAILED);
		CU_ASSERT_EQUAL(again(&w, e), i == 1);
		wire_close(&w);
		world_endpoint_free(e);
	}
}

/* The same server, by its tickets' keys, with another certificate. */
static void
change_certificate(struct wire *w, const struct keypair *own)
{
	CU_ASSERT_EQUAL(SSL_CTX_use_cert_and_key(SSL_get_SSL_CTX(w->peer),
			    own->leaf, own->key, own->chain, 1),
	    1);
}

static void
nothing_is_resumed_after_a_refusal(void)
{
	const struct try fresh = { &plain, NULL, NULL, NULL };
	struct endpoint *e = resuming_endpoint(world.ca);
	struct try c = fresh;
	struct wire w;
	size_t i;

	EACH_VERSION(i)
	{
		open_with(&w, e, world.stranger, versions[i]);
		c.server = e->servers;
		c.address = &here;
		CU_ASSERT_FALSE(try_it(&w, &c));
		CU_ASSERT_EQUAL(w.result, TLS_FAILED);
		CU_ASSERT_FALSE(try_it(&w, &c));
		CU_ASSERT_EQUAL(w.result, TLS_FAILED);
		change_certificate(&w, world.good[0]);
		CU_ASSERT_FALSE(try_it(&w, &c));
		CU_ASSERT_EQUAL(w.result, TLS_DONE);
		CU_ASSERT_TRUE(try_it(&w, &c));
		wire_close(&w);
	}
	world_endpoint_free(e);
}

/* A server that asks for certificates and was never told whose sessions it
 * has: OpenSSL's ends the handshake. */
static void
server_that_cannot_is_not_asked_again(void)
{
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;
	size_t i;

	EACH_VERSION(i)
	{
		open_with(&w, e, world.good[0], versions[i]);
		CU_ASSERT_FALSE(again(&w, e));
		SSL_CTX_set_verify(SSL_get_SSL_CTX(w.peer), SSL_VERIFY_PEER,
		    NULL);
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_EQUAL(w.result, TLS_FAILED);
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_EQUAL(w.result, TLS_DONE);
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_EQUAL(w.result, TLS_DONE);
		wire_close(&w);
	}
	world_endpoint_free(e);
}

/* One that is offered a session, and is then given up. */
static void
leave_one(struct wire *w, const struct endpoint *e)
{
	struct tls_io io = { .out = w->out, .out_cap = w->room };

	wire_again(w, &plain, e->servers, NULL);
	tls_resume(w->tls, &here);
	CU_ASSERT_EQUAL(tls_handshake(w->tls, &io), TLS_MORE);
	CU_ASSERT_TRUE(w->tls->resuming.offered);
}

/* Nor does our own time that is up, if the client took it. */
static void
clients_that_leave_change_nothing(void)
{
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;
	size_t i, n;

	EACH_VERSION(i)
	{
		open_with(&w, e, world.good[0], versions[i]);
		CU_ASSERT_FALSE(again(&w, e));
		for (n = 0; n < 20; n++)
			leave_one(&w, e);
		CU_ASSERT_TRUE(again(&w, e));
		wire_close(&w);
	}
	world_endpoint_free(e);
}

enum fault {
	SERVER_LEFT,
	SERVER_SILENT
};

static void
leave_by(struct wire *w, const struct endpoint *e, enum fault fault)
{
	leave_one(w, e);
	switch (fault) {
	case SERVER_LEFT:
		tls_peer_left(w->tls);
		break;
	case SERVER_SILENT:
		w->tls->resuming.since -= SILENCE;
		break;
	}
}

/* Once may be chance. */
static void
server_that_leaves_is_not_asked_again(void)
{
	static const enum fault faults[] = { SERVER_LEFT, SERVER_SILENT };
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;
	size_t i, n;

	EACH_VERSION(i)
	{
		for (n = 0; n < sizeof(faults) / sizeof(faults[0]); n++) {
			open_with(&w, e, world.good[0], versions[i]);
			CU_ASSERT_FALSE(again(&w, e));
			leave_by(&w, e, faults[n]);
			CU_ASSERT_TRUE(again(&w, e));
			leave_by(&w, e, faults[n]);
			leave_one(&w, e);
			leave_by(&w, e, faults[n]);
			CU_ASSERT_FALSE(again(&w, e));
			CU_ASSERT_EQUAL(w.result, TLS_DONE);
			wire_close(&w);
		}
	}
	world_endpoint_free(e);
}

static double
until_it_is_asked(struct wire *w, const struct endpoint *e)
{
	for (;;) {
		wire_again(w, &plain, e->servers, NULL);
		tls_resume(w->tls, &here);
		if (w->tls->resuming.offered)
			return now;
		CU_ASSERT_FALSE(again(w, e));
		now += SHY_STEP;
	}
}

/* Through one time of not asking: how long it takes. */
static double
be_shy(struct wire *w, const struct endpoint *e)
{
	double from = now;

	leave_by(w, e, SERVER_LEFT);
	leave_by(w, e, SERVER_LEFT);
	return until_it_is_asked(w, e) - from;
}

static void
server_that_cannot_is_asked_more_and_more_rarely(void)
{
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;

	open_with(&w, e, world.good[0], TLS1_3_VERSION);
	CU_ASSERT_FALSE(again(&w, e));
	CU_ASSERT_EQUAL(be_shy(&w, e), SHY_FIRST);
	CU_ASSERT_EQUAL(be_shy(&w, e), 2 * SHY_FIRST);
	CU_ASSERT_EQUAL(be_shy(&w, e), 4 * SHY_FIRST);
	CU_ASSERT_TRUE(again(&w, e));
	CU_ASSERT_EQUAL(be_shy(&w, e), SHY_FIRST);
	wire_close(&w);
	world_endpoint_free(e);
}

/* However many were on their way when it left, it left once. */
static void
leaving_many_is_leaving_once(void)
{
	enum {
		TOGETHER = 16
	};
	struct endpoint *e = resuming_endpoint(world.ca);
	struct tls *all[TOGETHER];
	double from = now;
	struct wire w;
	size_t i;

	open_with(&w, e, world.good[0], TLS1_3_VERSION);
	CU_ASSERT_FALSE(again(&w, e));
	for (i = 0; i < TOGETHER; i++) {
		leave_one(&w, e);
		all[i] = w.tls;
		w.tls = NULL;
	}
	for (i = 0; i < TOGETHER; i++) {
		tls_peer_left(all[i]);
		tls_free(all[i]);
	}
	CU_ASSERT_EQUAL(until_it_is_asked(&w, e) - from, SHY_FIRST);
	wire_close(&w);
	world_endpoint_free(e);
}

/* Restarted: its tickets' keys are others, and what it gave is forgotten. */
static void
server_that_has_forgotten_gets_a_full_handshake(void)
{
	uint8_t keys[80] = { 1 };
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;
	size_t i;

	EACH_VERSION(i)
	{
		open_with(&w, e, world.good[0], versions[i]);
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_TRUE(again(&w, e));
		CU_ASSERT_EQUAL(
		    SSL_CTX_set_tlsext_ticket_keys(SSL_get_SSL_CTX(w.peer),
			keys, sizeof(keys)),
		    1);
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_EQUAL(w.result, TLS_DONE);
		CU_ASSERT_TRUE(again(&w, e));
		wire_close(&w);
	}
	world_endpoint_free(e);
}

static void
what_is_kept_is_bounded(void)
{
	struct endpoint *e = resuming_endpoint(world.ca);
	struct address a;
	struct try c = { &plain, e->servers, &a, NULL };
	struct wire w;
	uint16_t n;

	open_with(&w, e, world.good[0], TLS1_3_VERSION);
	(void)SSL_CTX_set_num_tickets(SSL_get_SSL_CTX(w.peer), 20);
	for (n = 0; n < 65; n++) {
		CU_ASSERT_TRUE(
		    address_parse_ip("127.0.0.1", (uint16_t)(n + 1), &a));
		CU_ASSERT_FALSE(try_it(&w, &c));
		CU_ASSERT_FALSE(tls_resume_wants(w.tls));
	}
	/* No more are sent, and eight serve for ever after. */
	(void)SSL_CTX_set_num_tickets(SSL_get_SSL_CTX(w.peer), 0);
	for (n = 0; n < 10; n++)
		CU_ASSERT_TRUE(try_it(&w, &c));
	CU_ASSERT_TRUE(address_parse_ip("127.0.0.1", 1, &a));
	CU_ASSERT_FALSE(try_it(&w, &c));
	wire_close(&w);
	world_endpoint_free(e);
}

static void
tickets_are_wanted_until_data_comes(void)
{
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;

	open_with(&w, e, world.good[0], TLS1_3_VERSION);
	wire_again(&w, &plain, e->servers, NULL);
	tls_resume(w.tls, &here);
	wire_shake(&w);
	CU_ASSERT_EQUAL(w.result, TLS_DONE);
	CU_ASSERT_TRUE(tls_resume_wants(w.tls));
	read_data(&w);
	CU_ASSERT_FALSE(tls_resume_wants(w.tls));
	wire_close(&w);
	world_endpoint_free(e);
}

/* A ticket that comes later, where the records are our own. */
static void
give_ticket(struct wire *w, const struct endpoint *e, uint32_t lifetime,
    size_t ticket_len)
{
	static const uint8_t ticket[TICKET_LONG] = { 7 };
	uint8_t bytes[TICKET_LONG + 32];
	struct wr m = { .base = bytes, .cap = sizeof(bytes) };
	const size_t body = 4 + 4 + 1 + 1 + 2 + ticket_len + 2;

	wire_again(w, &plain, e->servers, NULL);
	tls_resume(w->tls, &here);
	wire_shake(w);
	CU_ASSERT_EQUAL(w->result, TLS_DONE);
	tls_settle(w->tls, false);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w->tls->taken);
	wr_u8(&m, SSL3_MT_NEWSESSION_TICKET);
	wr_u8(&m, (uint8_t)(body >> 16));
	wr_be16(&m, (uint16_t)body);
	wr_be32(&m, lifetime);
	wr_be32(&m, 1); /* what is added to its age */
	wr_u8(&m, 1);
	wr_u8(&m, 0); /* its nonce */
	wr_be16(&m, (uint16_t)ticket_len);
	wr_bytes(&m, ticket, ticket_len);
	wr_be16(&m, 0);
	CU_ASSERT_FALSE_FATAL(m.full);
	tls_take_ticket(w->tls, m.base, m.len);
}

static void
tickets_that_cannot_be_used_are_not_kept(void)
{
	static const struct {
		uint32_t lifetime;
		size_t len;
		bool kept;
	} tickets[] = {
		{ 0, 200, false },
		{ 1000, 200, true },
		{ UINT32_MAX, 200, true },
		{ 1000, 16384, true },
		{ 1000, 16385, false },
	};
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;
	size_t i;

	e->tls.records = RECORDS_DIRECT;
	for (i = 0; i < sizeof(tickets) / sizeof(tickets[0]); i++) {
		open_with(&w, e, world.good[0], TLS1_3_VERSION);
		(void)SSL_CTX_set_num_tickets(SSL_get_SSL_CTX(w.peer), 0);
		give_ticket(&w, e, tickets[i].lifetime, tickets[i].len);
		wire_again(&w, &plain, e->servers, NULL);
		tls_resume(w.tls, &here);
		CU_ASSERT_EQUAL(w.tls->resuming.offered, tickets[i].kept);
		wire_close(&w);
	}
	world_endpoint_free(e);
}

static void
give_tickets(struct wire *w, size_t n)
{
	while (n-- > 0) {
		CU_ASSERT_EQUAL(SSL_new_session_ticket(w->peer), 1);
		CU_ASSERT_EQUAL(SSL_do_handshake(w->peer), 1);
	}
}

/* Each would cost a thread some microseconds, for ever. */
static void
tickets_without_end_end_the_connection(void)
{
	struct endpoint *e = resuming_endpoint(world.ca);
	uint8_t got[16];
	struct wire w;
	size_t i, len;

	for (i = 0; i < 2; i++) {
		e->tls.resume = i == 1;
		e->tls.records = RECORDS_OPENSSL;
		open_with(&w, e, world.good[0], TLS1_3_VERSION);
		CU_ASSERT_FALSE(again(&w, e));
		give_tickets(&w, TICKETS_BEARABLE);
		wire_peer_write(&w, "x", 1);
		CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len),
		    TLS_MORE);
		CU_ASSERT_EQUAL(len, 1);
		give_tickets(&w, TICKETS_TOO_MANY);
		(void)wire_read(&w, got, sizeof(got), &len);
		expect_failure(&w, REASON_TLS_ERROR, "tickets for no data",
		    NULL);
		CU_ASSERT_TRUE(w.in_len > 0); /* and nothing more is read */
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_EQUAL(w.result, TLS_DONE);
		wire_close(&w);
	}
	world_endpoint_free(e);
}

/*
 * Servers that lie.
 */

#define HELLO_SESSION 43 /* of our hello: record, message, version, random */

struct lie {
	uint8_t bytes[256];
	struct wr w;
};

static void
lie_begin(struct lie *l, const uint8_t *hello, uint8_t suite_high,
    uint8_t suite_low)
{
	static const uint8_t head[] = { 22, 3, 3, 0, 0, 2, 0, 0, 0, 3, 3 };
	static const uint8_t random[32] = { 7 };

	l->w = (struct wr){ .base = l->bytes, .cap = sizeof(l->bytes) };
	wr_bytes(&l->w, head, sizeof(head));
	wr_bytes(&l->w, random, sizeof(random));
	wr_bytes(&l->w, hello + HELLO_SESSION, hello[HELLO_SESSION] + 1u);
	wr_u8(&l->w, suite_high);
	wr_u8(&l->w, suite_low);
	wr_u8(&l->w, 0);
}

static void
lie_send(struct lie *l, struct wire *w)
{
	size_t len = l->w.len;

	CU_ASSERT_FALSE(l->w.full);
	l->bytes[4] = (uint8_t)(len - 5);
	l->bytes[8] = (uint8_t)(len - 9);
	wire_inject(w, l->bytes, len);
}

/* Our hello, and then what `tell` makes of it. */
static void
expect_disbelief(struct wire *w,
    void (*tell)(struct lie *l, const uint8_t *hello))
{
	struct tls_io io = { .out = w->out, .out_cap = w->room };
	struct lie l;

	CU_ASSERT_EQUAL(tls_handshake(w->tls, &io), TLS_MORE);
	tell(&l, w->out);
	lie_send(&l, w);
	wire_shake(w);
	CU_ASSERT_EQUAL(w->result, TLS_FAILED);
	CU_ASSERT_FALSE(tls_resumed(w->tls));
}

/* supported_versions, key_share (X25519), pre_shared_key: the first. */
static void
tell_of_a_session(struct lie *l, const uint8_t *hello)
{
	static const uint8_t head[] = { 0, 52, 0, 43, 0, 2, 3, 4, 0, 51, 0, 36,
		0, 29, 0, 32 };
	static const uint8_t share[32] = { 9 };
	static const uint8_t psk[] = { 0, 41, 0, 2, 0, 0 };

	lie_begin(l, hello, 0x13, 0x01);
	wr_bytes(&l->w, head, sizeof(head));
	wr_bytes(&l->w, share, sizeof(share));
	wr_bytes(&l->w, psk, sizeof(psk));
}

static void
session_that_was_not_offered_is_refused(void)
{
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;

	open_with(&w, e, world.good[0], TLS1_3_VERSION);
	wire_again(&w, &plain, e->servers, NULL);
	tls_resume(w.tls, &here);
	expect_disbelief(&w, tell_of_a_session);
	wire_close(&w);
	world_endpoint_free(e);
}

/* It echoes the session of TLS 1.2, and names another suite than its own. */
static void
tell_of_another_suite(struct lie *l, const uint8_t *hello)
{
	static const uint8_t extensions[] = { 0, 4, 0, 23, 0, 0 };

	CU_ASSERT_EQUAL(hello[HELLO_SESSION], 32);
	lie_begin(l, hello, 0xc0, 0x2c);
	wr_bytes(&l->w, extensions, sizeof(extensions));
}

/* Its own suite, and without the extended master secret that it had. */
static void
tell_of_a_weaker_secret(struct lie *l, const uint8_t *hello)
{
	static const uint8_t extensions[] = { 0, 0 };

	lie_begin(l, hello, 0xc0, 0x2b);
	wr_bytes(&l->w, extensions, sizeof(extensions));
}

static void
session_with_other_parameters_is_refused(void)
{
	void (*const tells[])(struct lie * l, const uint8_t *hello) = {
		tell_of_another_suite,
		tell_of_a_weaker_secret,
	};
	struct endpoint *e = resuming_endpoint(world.ca);
	struct wire w;
	size_t i;

	for (i = 0; i < sizeof(tells) / sizeof(tells[0]); i++) {
		open_with(&w, e, world.good[0], TLS1_2_VERSION);
		CU_ASSERT_FALSE(again(&w, e));
		CU_ASSERT_STRING_EQUAL(tls_cipher(w.tls),
		    "ECDHE-ECDSA-AES128-GCM-SHA256");
		CU_ASSERT_TRUE(again(&w, e));
		wire_again(&w, &plain, e->servers, NULL);
		tls_resume(w.tls, &here);
		expect_disbelief(&w, tells[i]);
		wire_close(&w);
	}
	world_endpoint_free(e);
}

/* One that was not offered may choose what it likes by ALPN: it is refused as
 * in a full handshake. */
static int
choose_other_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
    const unsigned char *in, unsigned int in_len, void *arg)
{
	(void)ssl;
	(void)in;
	(void)in_len;
	(void)arg;
	*out = (const unsigned char *)"other";
	*len = 5;
	return SSL_TLSEXT_ERR_OK;
}

static void
resumed_session_keeps_the_alpn_rule(void)
{
	static const struct neg_tls named = { .alpn = "postgresql",
		.alpn_rule = NEG_ALPN_IF_OFFERED };
	struct endpoint *e = resuming_endpoint(world.ca);
	const struct try c = { &named, e->servers, &here, NULL };
	struct wire w;

	open_with(&w, e, world.good[0], TLS1_3_VERSION);
	CU_ASSERT_FALSE(try_it(&w, &c));
	CU_ASSERT_TRUE(try_it(&w, &c));
	SSL_CTX_set_alpn_select_cb(SSL_get_SSL_CTX(w.peer), choose_other_alpn,
	    NULL);
	CU_ASSERT_FALSE(try_it(&w, &c));
	CU_ASSERT_EQUAL(w.result, TLS_FAILED);
	wire_close(&w);
	world_endpoint_free(e);
}

static CU_TestInfo tests[] = {
	TEST(sessions_are_resumed_with_their_verdict),
	TEST(the_last_ticket_serves_until_there_is_another),
	TEST(nothing_is_resumed_unasked),
	TEST(nothing_is_resumed_where_it_is_off),
	TEST(another_connection_is_not_resumed),
	TEST(expired_certificate_is_not_resumed),
	TEST(expired_list_is_not_resumed),
	TEST(nothing_is_resumed_after_a_refusal),
	TEST(server_that_cannot_is_not_asked_again),
	TEST(clients_that_leave_change_nothing),
	TEST(server_that_leaves_is_not_asked_again),
	TEST(server_that_cannot_is_asked_more_and_more_rarely),
	TEST(leaving_many_is_leaving_once),
	TEST(server_that_has_forgotten_gets_a_full_handshake),
	TEST(what_is_kept_is_bounded),
	TEST(tickets_are_wanted_until_data_comes),
	TEST(tickets_that_cannot_be_used_are_not_kept),
	TEST(tickets_without_end_end_the_connection),
	TEST(session_that_was_not_offered_is_refused),
	TEST(session_with_other_parameters_is_refused),
	TEST(resumed_session_keeps_the_alpn_rule),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return world_main("tls_resume", tests);
}
