/* Tickets for clients: on each thread of an endpoint, and nowhere else. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "proxy/ticket_keys.h"
#include "proxy/tls_private.h"
#include "tests/unit/tls_world.h"

#define SHORT_LIFE 3 /* seconds: of a client's certificate */

static const struct neg_tls plain = { .alpn = NULL };

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
#define EACH_VERSION(i) \
	for ((i) = 0; (i) < sizeof(versions) / sizeof(versions[0]); (i)++)

static struct endpoint *
endpoint_for(enum client_verify verify)
{
	struct endpoint *e = world_full();

	world_client_leg(e, world.good[0], verify, world.ca);
	return e;
}

/* One thread of the endpoint, and a client; nothing has been said yet. */
static void
open_thread(struct wire *w, const struct endpoint *e, struct ticket_keys *keys,
    const struct keypair *client, int version)
{
	SSL_CTX *peer = world_peer(false, client);

	world_peer_versions(peer, version, version);
	(void)SSL_CTX_set_session_cache_mode(peer, SSL_SESS_CACHE_CLIENT);
	wire_open(w, e, LEG_CLIENT, NULL, peer);
	if (keys != NULL)
		CU_ASSERT_TRUE_FATAL(tls_context_tickets(w->context, keys));
}

/* A connection with this session (NULL: none); what it was given instead, or
 * NULL.  *resumed is what both say of it. */
static SSL_SESSION *
connect_with(struct wire *w, const struct neg_tls *how, SSL_SESSION *session,
    bool *resumed)
{
	SSL_SESSION *given, *copy;
	uint8_t got[16];
	size_t len;

	/* OpenSSL strikes out what it has used. */
	copy = session == NULL ? NULL : SSL_SESSION_dup(session);
	wire_again(w, how, NULL, copy);
	SSL_SESSION_free(copy);
	wire_shake(w);
	*resumed = w->result == TLS_DONE && tls_resumed(w->tls);
	CU_ASSERT_EQUAL(tls_resumed(w->tls), SSL_session_reused(w->peer) == 1);
	if (w->result != TLS_DONE)
		return NULL;
	CU_ASSERT_EQUAL(wire_write(w, "x", 1), TLS_DONE);
	(void)wire_peer_read(w, got, sizeof(got), &len);
	CU_ASSERT_EQUAL(len, 1);
	given = SSL_get1_session(w->peer);
	if (SSL_SESSION_is_resumable(given) == 1 &&
	    SSL_SESSION_has_ticket(given) == 1)
		return given;
	SSL_SESSION_free(given);
	return NULL;
}

static SSL_SESSION *
first_ticket(struct wire *w)
{
	SSL_SESSION *session;
	bool resumed;

	session = connect_with(w, &plain, NULL, &resumed);
	CU_ASSERT_FALSE(resumed);
	CU_ASSERT_PTR_NOT_NULL_FATAL(session);
	CU_ASSERT_EQUAL(SSL_SESSION_get_max_early_data(session), 0);
	return session;
}

/* True if it was; and no failure either way. */
static bool
resumes(struct wire *w, SSL_SESSION *session)
{
	bool resumed;

	SSL_SESSION_free(connect_with(w, &plain, session, &resumed));
	CU_ASSERT_EQUAL(w->result, TLS_DONE);
	return resumed;
}

static void
tickets_are_good_on_each_thread(void)
{
	struct endpoint *e = endpoint_for(CLIENT_VERIFY_NONE);
	struct ticket_keys *keys = ticket_keys_new();
	struct wire one, other;
	SSL_SESSION *session;
	size_t i;

	EACH_VERSION(i)
	{
		open_thread(&one, e, keys, NULL, versions[i]);
		open_thread(&other, e, keys, NULL, versions[i]);
		session = first_ticket(&one);
		CU_ASSERT_TRUE(resumes(&other, session));
		CU_ASSERT_TRUE(resumes(&one, session));
		expect_exchange(&one);
		SSL_SESSION_free(session);
		wire_close(&one);
		wire_close(&other);
	}
	ticket_keys_free(keys);
	world_endpoint_free(e);
}

static void
tickets_are_not_for_other_endpoints(void)
{
	struct endpoint *e = endpoint_for(CLIENT_VERIFY_NONE);
	struct ticket_keys *keys = ticket_keys_new(),
			   *others = ticket_keys_new();
	struct wire one, other, without;
	SSL_SESSION *session;
	size_t i;

	EACH_VERSION(i)
	{
		open_thread(&one, e, keys, NULL, versions[i]);
		open_thread(&other, e, others, NULL, versions[i]);
		open_thread(&without, e, NULL, NULL, versions[i]);
		session = first_ticket(&one);
		CU_ASSERT_FALSE(resumes(&other, session));
		CU_ASSERT_FALSE(resumes(&without, session));
		SSL_SESSION_free(session);
		wire_close(&one);
		wire_close(&other);
		wire_close(&without);
	}
	ticket_keys_free(keys);
	ticket_keys_free(others);
	world_endpoint_free(e);
}

/* As another thread would find it whose clock is so far ahead. */
static void
pass_time(struct ticket_keys *keys, time_t seconds)
{
	struct ticket_key_ring ring = { 0 };

	CU_ASSERT_TRUE(ticket_keys_copy(keys, &ring, time(NULL) + seconds));
}

static void
tickets_end_with_their_key(void)
{
	struct endpoint *e = endpoint_for(CLIENT_VERIFY_NONE);
	struct ticket_keys *keys;
	SSL_SESSION *session;
	struct wire w;
	size_t i;

	EACH_VERSION(i)
	{
		keys = ticket_keys_new();
		open_thread(&w, e, keys, NULL, versions[i]);
		session = first_ticket(&w);
		CU_ASSERT_TRUE(resumes(&w, session));
		pass_time(keys, 2 * TICKET_KEY_SECONDS);
		CU_ASSERT_FALSE(resumes(&w, session));
		SSL_SESSION_free(session);
		wire_close(&w);
		ticket_keys_free(keys);
	}
	world_endpoint_free(e);
}

static void
none_where_a_protocol_says_so(void)
{
	static const struct neg_tls never = { .no_resume = true };
	static const struct neg_tls may_stop = { .may_stop = true };
	const struct neg_tls *const hows[] = { &never, &may_stop };
	struct endpoint *e = endpoint_for(CLIENT_VERIFY_NONE);
	struct ticket_keys *keys = ticket_keys_new();
	SSL_SESSION *session;
	struct wire w;
	bool resumed;
	size_t i, n;

	EACH_VERSION(i)
	{
		open_thread(&w, e, keys, NULL, versions[i]);
		session = first_ticket(&w);
		for (n = 0; n < sizeof(hows) / sizeof(hows[0]); n++)
			CU_ASSERT_PTR_NULL(
			    connect_with(&w, hows[n], NULL, &resumed));
		SSL_SESSION_free(session);
		wire_close(&w);
	}
	ticket_keys_free(keys);
	world_endpoint_free(e);
}

static void
resumed_client_has_shown_its_certificate(void)
{
	struct endpoint *e = endpoint_for(CLIENT_VERIFY_REQUIRE);
	struct ticket_keys *keys = ticket_keys_new();
	SSL_SESSION *session;
	struct wire w;
	size_t i;

	EACH_VERSION(i)
	{
		open_thread(&w, e, keys, world.client, versions[i]);
		session = first_ticket(&w);
		CU_ASSERT_TRUE(resumes(&w, session));
		CU_ASSERT_TRUE(tls_verdict(w.tls)->accepted);
		CU_ASSERT_EQUAL(tls_verdict(w.tls)->verified, VERIFIED_CA);
		SSL_SESSION_free(session);
		wire_close(&w);
	}
	ticket_keys_free(keys);
	world_endpoint_free(e);
}

/* One from before certificates were asked for says that none was judged. */
static void
client_without_a_certificate_is_not_let_in_by_a_ticket(void)
{
	struct endpoint *lax = endpoint_for(CLIENT_VERIFY_OPTIONAL);
	struct endpoint *strict = endpoint_for(CLIENT_VERIFY_REQUIRE);
	struct ticket_keys *keys = ticket_keys_new();
	struct wire one, other;
	SSL_SESSION *session;
	bool resumed;
	size_t i;

	EACH_VERSION(i)
	{
		open_thread(&one, lax, keys, NULL, versions[i]);
		open_thread(&other, strict, keys, NULL, versions[i]);
		session = first_ticket(&one);
		SSL_SESSION_free(
		    connect_with(&other, &plain, session, &resumed));
		CU_ASSERT_EQUAL(other.result, TLS_FAILED);
		SSL_SESSION_free(session);
		wire_close(&one);
		wire_close(&other);
	}
	ticket_keys_free(keys);
	world_endpoint_free(lax);
	world_endpoint_free(strict);
}

static void
await_time(time_t at)
{
	while (time(NULL) < at)
		(void)poll(NULL, 0, 50);
}

static void
expired_client_is_not_resumed(void)
{
	struct endpoint *e = endpoint_for(CLIENT_VERIFY_REQUIRE);
	struct ticket_keys *keys = ticket_keys_new();
	struct keypair *client;
	SSL_SESSION *session;
	struct wire w;
	bool resumed;
	size_t i;

	EACH_VERSION(i)
	{
		client = world_issue(&(struct wish){ .cn = "client",
		    .issuer = world.ca,
		    .to = SHORT_LIFE });
		open_thread(&w, e, keys, client, versions[i]);
		session = first_ticket(&w);
		CU_ASSERT_TRUE(resumes(&w, session));
		/* what it gave then hands on the same end */
		SSL_SESSION_free(session);
		session = SSL_get1_session(w.peer);
		await_time(time(NULL) + SHORT_LIFE + 1);
		SSL_SESSION_free(connect_with(&w, &plain, session, &resumed));
		CU_ASSERT_EQUAL(w.result, TLS_FAILED);
		CU_ASSERT_FALSE(resumed);
		SSL_SESSION_free(session);
		wire_close(&w);
		keypair_release(client);
	}
	ticket_keys_free(keys);
	world_endpoint_free(e);
}

/* A client that sends data with its hello, as if it had been allowed to. */
static void
early_data_is_not_taken(void)
{
	struct endpoint *e = endpoint_for(CLIENT_VERIFY_NONE);
	struct ticket_keys *keys = ticket_keys_new();
	SSL_SESSION *session;
	struct wire w;
	uint8_t got[64];
	size_t len;

	open_thread(&w, e, keys, NULL, TLS1_3_VERSION);
	session = first_ticket(&w);
	CU_ASSERT_EQUAL(SSL_SESSION_set_max_early_data(session, 100), 1);
	wire_again(&w, &plain, NULL, session);
	CU_ASSERT_EQUAL(SSL_write_early_data(w.peer, "early", 5, &len), 1);
	wire_shake(&w);
	CU_ASSERT_NOT_EQUAL(SSL_get_early_data_status(w.peer),
	    SSL_EARLY_DATA_ACCEPTED);
	if (w.result == TLS_DONE) {
		wire_peer_write(&w, "late", 4);
		(void)wire_read(&w, got, sizeof(got), &len);
		CU_ASSERT_EQUAL(len, 4);
		CU_ASSERT_EQUAL(memcmp(got, "late", 4), 0);
	}
	SSL_SESSION_free(session);
	wire_close(&w);
	ticket_keys_free(keys);
	world_endpoint_free(e);
}

/* Cut, changed, or not ours: a full handshake, and nothing worse. */
static void
spoilt_ticket_is_no_ticket(void)
{
	struct endpoint *e = endpoint_for(CLIENT_VERIFY_NONE);
	struct ticket_keys *keys = ticket_keys_new();
	SSL_SESSION *session, *spoilt;
	unsigned char *der, *at, *ticket;
	const unsigned char *ours, *from;
	struct wire w;
	size_t len, i;
	int der_len;

	EACH_VERSION(i)
	{
		open_thread(&w, e, keys, NULL, versions[i]);
		session = first_ticket(&w);
		SSL_SESSION_get0_ticket(session, &ours, &len);
		der_len = i2d_SSL_SESSION(session, NULL);
		der = at = malloc((size_t)der_len);
		CU_ASSERT_EQUAL(i2d_SSL_SESSION(session, &at), der_len);
		ticket = memmem(der, (size_t)der_len, ours, len);
		CU_ASSERT_PTR_NOT_NULL_FATAL(ticket);
		ticket[len / 2] ^= 1;
		from = der;
		spoilt = d2i_SSL_SESSION(NULL, &from, der_len);
		CU_ASSERT_FALSE(resumes(&w, spoilt));
		SSL_SESSION_free(spoilt);
		free(der);
		SSL_SESSION_free(session);
		wire_close(&w);
	}
	ticket_keys_free(keys);
	world_endpoint_free(e);
}

static CU_TestInfo tests[] = {
	TEST(tickets_are_good_on_each_thread),
	TEST(tickets_are_not_for_other_endpoints),
	TEST(tickets_end_with_their_key),
	TEST(none_where_a_protocol_says_so),
	TEST(resumed_client_has_shown_its_certificate),
	TEST(client_without_a_certificate_is_not_let_in_by_a_ticket),
	TEST(expired_client_is_not_resumed),
	TEST(early_data_is_not_taken),
	TEST(spoilt_ticket_is_no_ticket),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return world_main("tls_tickets", tests);
}
