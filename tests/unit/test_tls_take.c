/*
 * When our own record layer takes a connection over, when it does not, and
 * what becomes of what was under way.
 */
#include "proxy/tls.h"

#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>

#include "proxy/tls_private.h"
#include "tests/unit/tls_world.h"

#define RECORD_MAX 1024

static struct endpoint *
direct_endpoint(void)
{
	struct endpoint *e = world_full();

	e->tls.records = RECORDS_DIRECT;
	return e;
}

/* Through, and not settled. */
static void
open_unsettled(struct wire *w, const struct endpoint *e,
    const struct neg_tls *how, SSL_CTX *peer)
{
	wire_open(w, e, LEG_SERVER, how, peer);
	wire_shake(w);
	CU_ASSERT_EQUAL_FATAL(w->result, TLS_DONE);
}

static size_t
sealed_by_peer(struct wire *w, uint8_t record[RECORD_MAX])
{
	int n = BIO_read(w->from_peer, record, RECORD_MAX);

	return n < 0 ? 0 : (size_t)n;
}

/* Wherever OpenSSL stands in a record: it is done with that first. */
static void
half_a_record_is_openssls(void)
{
	struct endpoint *e = direct_endpoint();
	uint8_t record[RECORD_MAX], got[64];
	size_t n, cut, len, more;
	struct wire w;

	for (cut = 0; cut < 30; cut++) {
		open_unsettled(&w, e, NULL, world_peer(true, world.good[0]));
		(void)wire_read(&w, got, sizeof(got), &len);
		wire_peer_write(&w, "one", 3);
		wire_peer_write(&w, "two", 3);
		n = sealed_by_peer(&w, record);
		CU_ASSERT_FATAL(n > cut);
		wire_inject(&w, record, cut);
		(void)wire_read(&w, got, sizeof(got), &len);
		tls_settle(w.tls, false);
		CU_ASSERT_EQUAL(w.tls->taken != NULL, cut == 0 || cut == n / 2);
		wire_inject(&w, record + cut, n - cut);
		CU_ASSERT_EQUAL(
		    wire_read(&w, got + len, sizeof(got) - len, &more),
		    TLS_MORE);
		CU_ASSERT(len + more == 6 && memcmp(got, "onetwo", 6) == 0);
		CU_ASSERT_TRUE(w.tls->taken != NULL && w.tls->ssl == NULL);
		expect_exchange(&w);
		wire_close(&w);
	}
	world_endpoint_free(e);
}

/* The same of both sides, and what is known of them stays so. */
static void
what_was_agreed_is_still_known(void)
{
	struct endpoint *e = direct_endpoint();
	char cipher[64], group[64];
	uint8_t leaf[32], same[32];
	struct wire w;

	open_unsettled(&w, e, NULL, world_peer(true, world.good[0]));
	(void)snprintf(cipher, sizeof(cipher), "%s", tls_cipher(w.tls));
	(void)snprintf(group, sizeof(group), "%s", tls_group(w.tls));
	CU_ASSERT_TRUE(tls_leaf(w.tls, leaf));
	CU_ASSERT_TRUE(tls_verdict(w.tls)->accepted);
	tls_settle(w.tls, false);
	CU_ASSERT_PTR_NOT_NULL(w.tls->taken);
	CU_ASSERT_STRING_EQUAL(tls_version(w.tls), "TLSv1.3");
	CU_ASSERT_STRING_EQUAL(tls_cipher(w.tls), cipher);
	CU_ASSERT_STRING_EQUAL(tls_group(w.tls), group);
	CU_ASSERT_TRUE(tls_leaf(w.tls, same));
	CU_ASSERT_EQUAL(memcmp(leaf, same, sizeof(leaf)), 0);
	/* What was only for the log is gone, and says nothing good. */
	CU_ASSERT_FALSE(tls_verdict(w.tls)->accepted);
	CU_ASSERT_STRING_EQUAL(tls_sni(w.tls), "");
	CU_ASSERT_PTR_NULL(w.tls->secrets);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
clients_are_taken_over_too(void)
{
	struct endpoint *e = direct_endpoint();
	struct wire w;

	world_client_leg(e, world.good[0], CLIENT_VERIFY_NONE, NULL);
	wire_open(&w, e, LEG_CLIENT, NULL, world_peer(false, NULL));
	wire_shake(&w);
	CU_ASSERT_EQUAL_FATAL(w.result, TLS_DONE);
	tls_settle(w.tls, false);
	CU_ASSERT_PTR_NOT_NULL(w.tls->taken);
	expect_exchange(&w);
	(void)SSL_key_update(w.peer, SSL_KEY_UPDATE_REQUESTED);
	expect_exchange(&w);
	expect_exchange(&w);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
expect_left_alone(struct wire *w)
{
	tls_settle(w->tls, false);
	expect_exchange(w);
	CU_ASSERT_PTR_NULL(w->tls->taken);
	CU_ASSERT_PTR_NULL(w->tls->secrets);
	wire_close(w);
}

/* Whoever did not ask for it, TLS 1.2, another suite, TLS that may stop, a
 * server that may renegotiate. */
static void
others_stay_with_openssl(void)
{
	static const struct neg_tls may_stop = { .may_stop = true };
	struct endpoint *e = direct_endpoint();
	SSL_CTX *peer = world_peer(true, world.good[0]);
	struct wire w;

	world_peer_versions(peer, TLS1_2_VERSION, TLS1_2_VERSION);
	open_unsettled(&w, e, NULL, peer);
	expect_left_alone(&w);

	open_unsettled(&w, e, &may_stop, world_peer(true, world.good[0]));
	expect_left_alone(&w);

	e->ops = &neg_redshift;
	open_unsettled(&w, e, NULL, world_peer(true, world.good[0]));
	expect_left_alone(&w);

	e->ops = &neg_postgres;
	e->tls.ciphersuites = strdup("TLS_AES_128_CCM_SHA256");
	peer = world_peer(true, world.good[0]);
	(void)SSL_CTX_set_ciphersuites(peer, "TLS_AES_128_CCM_SHA256");
	open_unsettled(&w, e, NULL, peer);
	expect_left_alone(&w);
	free(e->tls.ciphersuites);
	e->tls.ciphersuites = NULL;

	e->tls.records = RECORDS_OPENSSL;
	open_unsettled(&w, e, NULL, world_peer(true, world.good[0]));
	expect_left_alone(&w);
	world_endpoint_free(e);
}

/* Of keys that came later nothing is known. */
static void
key_update_before_leaves_it_to_openssl(void)
{
	struct endpoint *e = direct_endpoint();
	struct wire w;

	open_unsettled(&w, e, NULL, world_peer(true, world.good[0]));
	(void)SSL_key_update(w.peer, SSL_KEY_UPDATE_REQUESTED);
	expect_exchange(&w);
	expect_left_alone(&w);
	world_endpoint_free(e);
}

static void
ended_connections_are_left_alone(void)
{
	struct endpoint *e = direct_endpoint();
	uint8_t got[16];
	struct wire w;
	size_t len;

	open_unsettled(&w, e, NULL, world_peer(true, world.good[0]));
	(void)SSL_shutdown(w.peer);
	CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len), TLS_ENDED);
	tls_settle(w.tls, false);
	CU_ASSERT_PTR_NULL(w.tls->taken);
	CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len), TLS_ENDED);
	wire_close(&w);

	open_unsettled(&w, e, NULL, world_peer(true, world.good[0]));
	wire_shutdown(&w);
	tls_settle(w.tls, false);
	CU_ASSERT_PTR_NULL(w.tls->taken);
	wire_peer_write(&w, "late", 4);
	CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len), TLS_MORE);
	CU_ASSERT_EQUAL(len, 4);
	wire_close(&w);
	world_endpoint_free(e);
}

/* Records of ours fail as those of OpenSSL do, in the same words. */
static void
failures_are_told_alike(void)
{
	struct endpoint *e = direct_endpoint();
	uint8_t record[RECORD_MAX], got[16];
	struct wire w;
	size_t len, n;

	wire_open_good(&w, e);
	CU_ASSERT_PTR_NOT_NULL(w.tls->taken);
	wire_peer_write(&w, "evil", 4);
	n = sealed_by_peer(&w, record);
	record[n - 1] ^= 1;
	wire_inject(&w, record, n);
	(void)wire_read(&w, got, sizeof(got), &len);
	expect_failure(&w, REASON_TLS_ERROR,
	    "the server sent a record that was damaged or forged", NULL);
	CU_ASSERT_EQUAL(wire_write(&w, "x", 1), TLS_FAILED);
	wire_close(&w);
	world_endpoint_free(e);
}

/*
 * Tickets
 */

static const struct address at = { .len = sizeof(struct sockaddr_in),
	.sa = { .ss_family = AF_INET } };

static SSL_CTX *
peer_with_tickets(void)
{
	static const unsigned char id[] = "take";
	SSL_CTX *peer = world_peer(true, world.good[0]);

	(void)SSL_CTX_set_session_id_context(peer, id, sizeof(id));
	(void)SSL_CTX_set_num_tickets(peer, 2);
	return peer;
}

/* They come when records are ours already: OpenSSL is told of them, and goes
 * when data has come. */
static void
tickets_that_come_later_are_kept(void)
{
	struct endpoint *e = direct_endpoint();
	struct tls *first;
	uint8_t got[16];
	struct wire w;
	size_t len;

	e->tls.resume = true;
	wire_open(&w, e, LEG_SERVER, NULL, peer_with_tickets());
	tls_resume(w.tls, &at);
	wire_shake(&w);
	CU_ASSERT_EQUAL_FATAL(w.result, TLS_DONE);
	tls_settle(w.tls, false);
	CU_ASSERT_TRUE(w.tls->taken != NULL && w.tls->ssl != NULL);
	CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len), TLS_MORE);
	CU_ASSERT_EQUAL(len, 0);
	expect_exchange(&w);
	CU_ASSERT_PTR_NULL(w.tls->ssl);
	CU_ASSERT_FALSE(tls_resumed(w.tls));

	/* And one of them is good for the next connection. */
	first = w.tls;
	w.tls = tls_new(w.context, tls_how(first), e->servers);
	tls_free(first);
	tls_resume(w.tls, &at);
	CU_ASSERT_TRUE(w.tls->resuming.offered);
	wire_close(&w);
	world_endpoint_free(e);
}

/* Nothing that OpenSSL would say with those keys leaves us. */
static void
openssl_is_mute_once_taken_over(void)
{
	struct endpoint *e = direct_endpoint();
	struct tls_io io;
	uint8_t out[1024];
	struct wire w;
	size_t n;

	e->tls.resume = true;
	wire_open(&w, e, LEG_SERVER, NULL, peer_with_tickets());
	tls_resume(w.tls, &at);
	wire_shake(&w);
	tls_settle(w.tls, false);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w.tls->ssl);
	io = (struct tls_io){ .out = out, .out_cap = sizeof(out) };
	tls_io_begin(w.tls, &io);
	CU_ASSERT_EQUAL(SSL_write_ex(w.tls->ssl, "x", 1, &n), 1);
	tls_io_end(w.tls);
	CU_ASSERT(io.out_len == 0 && w.tls->spill.len == 0);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
open_another(struct wire *w, const struct endpoint *e)
{
	wire_again(w, NULL, e->servers, NULL);
	tls_resume(w->tls, &at);
	wire_shake(w);
	CU_ASSERT_EQUAL_FATAL(w->result, TLS_DONE);
	tls_settle(w->tls, false);
	CU_ASSERT_PTR_NOT_NULL(w->tls->taken);
}

/* Of many that are opened at once only some keep an SSL object for a ticket;
 * one that has ended, has got one, or has waited long makes room for
 * another. */
static void
few_wait_for_tickets(void)
{
	enum {
		WAITING_MOST = 32,
		GIVEN = 7,
		LONG = 9
	};
	struct endpoint *e = direct_endpoint();
	struct tls *kept[WAITING_MOST];
	struct wire w;
	size_t i;

	e->tls.resume = true;
	wire_open(&w, e, LEG_SERVER, NULL, peer_with_tickets());
	for (i = 0; i < WAITING_MOST; i++) {
		open_another(&w, e);
		CU_ASSERT_PTR_NOT_NULL(w.tls->ssl);
		kept[i] = w.tls;
		w.tls = NULL;
	}
	open_another(&w, e);
	CU_ASSERT_PTR_NULL(w.tls->ssl);

	tls_free(kept[0]);
	open_another(&w, e);
	CU_ASSERT_PTR_NOT_NULL(w.tls->ssl);
	kept[0] = w.tls;
	w.tls = NULL;

	kept[GIVEN]->resuming.given = true;
	open_another(&w, e);
	CU_ASSERT(w.tls->ssl != NULL && kept[GIVEN]->ssl == NULL);
	open_another(&w, e); /* in the place of that one */
	CU_ASSERT_PTR_NOT_NULL(w.tls->ssl);
	tls_free(kept[GIVEN]);
	kept[GIVEN] = w.tls;
	w.tls = NULL;
	open_another(&w, e);
	CU_ASSERT_PTR_NULL(w.tls->ssl);

	kept[LONG]->resuming.since -= 60;
	open_another(&w, e);
	CU_ASSERT(w.tls->ssl != NULL && kept[LONG]->ssl == NULL);
	for (i = 0; i < WAITING_MOST; i++)
		tls_free(kept[i]);
	wire_close(&w);
	world_endpoint_free(e);
}

static CU_TestInfo tests[] = {
	TEST(half_a_record_is_openssls),
	TEST(what_was_agreed_is_still_known),
	TEST(clients_are_taken_over_too),
	TEST(others_stay_with_openssl),
	TEST(key_update_before_leaves_it_to_openssl),
	TEST(ended_connections_are_left_alone),
	TEST(failures_are_told_alike),
	TEST(tickets_that_come_later_are_kept),
	TEST(openssl_is_mute_once_taken_over),
	TEST(few_wait_for_tickets),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return world_main("tls_take", tests);
}
