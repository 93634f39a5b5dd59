/*
 * Who is let through by a handshake, and what the others are told: in memory,
 * against OpenSSL itself.
 */
#include "proxy/tls.h"

#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>
#include <openssl/err.h>

#include "tests/unit/tls_world.h"

static const size_t slices[] = { 1, 7, SIZE_MAX };
static const struct neg_tls offered = { .alpn = "postgresql",
	.alpn_rule = NEG_ALPN_IF_OFFERED };
static const struct neg_tls demanded = { .alpn = "postgresql",
	.alpn_rule = NEG_ALPN_REQUIRED };

/*
 * Handshakes
 */

static void
handshake_server_leg(const struct keypair *k, int version, size_t slice)
{
	struct endpoint *e = world_full();
	SSL_CTX *peer = world_peer(true, k);
	uint8_t leaf[32], want[32];
	struct wire w;

	world_peer_versions(peer, version, version);
	wire_open(&w, e, LEG_SERVER, &offered, peer);
	w.slice = slice;
	wire_shake(&w);
	CU_ASSERT_EQUAL_FATAL(w.result, TLS_DONE);
	CU_ASSERT_EQUAL(w.peer_result, 1);
	CU_ASSERT(tls_verdict(w.tls)->accepted);
	CU_ASSERT_EQUAL(tls_verdict(w.tls)->verified, VERIFIED_FULL);
	CU_ASSERT_STRING_EQUAL(tls_verdict(w.tls)->name, WORLD_NAME);
	CU_ASSERT_STRING_EQUAL(tls_version(w.tls),
	    version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
	CU_ASSERT_STRING_NOT_EQUAL(tls_cipher(w.tls), "");
	CU_ASSERT_STRING_EQUAL(tls_group(w.tls), "x25519");
	cert_fingerprint(k->leaf, want);
	CU_ASSERT(tls_leaf(w.tls, leaf) && memcmp(leaf, want, 32) == 0);
	expect_exchange(&w);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
handshake_client_leg(const struct keypair *k, int version, size_t slice)
{
	struct endpoint *e = world_full();
	SSL_CTX *peer = world_peer(false, NULL);
	uint8_t leaf[32], want[32];
	struct wire w;

	world_client_leg(e, k, CLIENT_VERIFY_NONE, NULL);
	world_peer_versions(peer, version, version);
	wire_open(&w, e, LEG_CLIENT, &offered, peer);
	w.slice = slice;
	CU_ASSERT_EQUAL(SSL_set_tlsext_host_name(w.peer, (char[]){ "a.b" }), 1);
	wire_shake(&w);
	CU_ASSERT_EQUAL_FATAL(w.result, TLS_DONE);
	CU_ASSERT_EQUAL(w.peer_result, 1);
	CU_ASSERT_FALSE(tls_verdict(w.tls)->accepted);
	CU_ASSERT_EQUAL(tls_verdict(w.tls)->reason, REASON_NONE);
	CU_ASSERT_STRING_EQUAL(tls_sni(w.tls), "a.b");
	cert_fingerprint(k->leaf, want);
	CU_ASSERT(tls_leaf(w.tls, leaf) && memcmp(leaf, want, 32) == 0);
	expect_exchange(&w);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
handshake_every_key_version_and_slice(void)
{
	size_t i, j;
	int version;

	for (i = 0; i < WORLD_KEYS; i++)
		for (j = 0; j < 3; j++)
			for (version = TLS1_2_VERSION;
			     version <= TLS1_3_VERSION; version++) {
				handshake_server_leg(world.good[i], version,
				    slices[j]);
				handshake_client_leg(world.good[i], version,
				    slices[j]);
			}
}

static void
sni_is_sent_in_every_mode(void)
{
	static const enum ssl_mode modes[] = { SSL_MODE_REQUIRE,
		SSL_MODE_VERIFY_CA, SSL_MODE_VERIFY_FULL };
	struct endpoint *e;
	struct wire w;
	size_t i;

	for (i = 0; i < 3; i++) {
		e = world_endpoint(modes[i], world.ca, WORLD_NAME);
		wire_open_good(&w, e);
		CU_ASSERT_STRING_EQUAL(tls_sni(w.tls), WORLD_NAME);
		CU_ASSERT_STRING_EQUAL(
		    SSL_get_servername(w.peer, TLSEXT_NAMETYPE_host_name),
		    WORLD_NAME);
		wire_close(&w);
		world_endpoint_free(e);
	}
}

static void
sni_is_not_sent_without_a_name(void)
{
	struct endpoint *e = world_full();
	struct wire w;

	free(e->servers->sni);
	e->servers->sni = NULL;
	wire_open_good(&w, e);
	CU_ASSERT_STRING_EQUAL(tls_sni(w.tls), "");
	CU_ASSERT_PTR_NULL(
	    SSL_get_servername(w.peer, TLSEXT_NAMETYPE_host_name));
	wire_close(&w);
	world_endpoint_free(e);
}

/*
 * Verification
 */

static void
verdict_case(enum ssl_mode mode, const struct keypair *k, enum reason reason,
    const char *alert)
{
	int version;

	for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct endpoint *e = world_endpoint(mode, world.ca, WORLD_NAME);
		SSL_CTX *peer = world_peer(true, k);
		struct wire w;

		world_peer_versions(peer, version, version);
		wire_open(&w, e, LEG_SERVER, NULL, peer);
		wire_shake(&w);
		CU_ASSERT_EQUAL(tls_verdict(w.tls)->accepted,
		    reason == REASON_NONE);
		if (reason == REASON_NONE) {
			CU_ASSERT_EQUAL(w.result, TLS_DONE);
			CU_ASSERT_EQUAL(w.peer_result, 1);
		} else {
			expect_failure(&w, reason, "server certificate", NULL);
			CU_ASSERT_STRING_EQUAL(w.peer_error, alert);
		}
		wire_close(&w);
		world_endpoint_free(e);
	}
}

static void
verdict_by_mode_and_certificate(void)
{
	static const enum ssl_mode ca = SSL_MODE_VERIFY_CA,
				   fu = SSL_MODE_VERIFY_FULL,
				   re = SSL_MODE_REQUIRE;
	static const char unknown[] = "tlsv1 alert unknown ca",
			  bad[] = "sslv3 alert bad certificate",
			  old[] = "sslv3 alert certificate expired";

	verdict_case(re, world.good[0], REASON_NONE, NULL);
	verdict_case(re, world.wrong_name, REASON_NONE, NULL);
	verdict_case(re, world.expired, REASON_NONE, NULL);
	verdict_case(re, world.stranger, REASON_NONE, NULL);
	verdict_case(re, world.weak, REASON_NONE, NULL);
	verdict_case(ca, world.good[0], REASON_NONE, NULL);
	verdict_case(ca, world.wrong_name, REASON_NONE, NULL);
	verdict_case(ca, world.expired, REASON_EXPIRED, old);
	verdict_case(ca, world.stranger, REASON_UNTRUSTED, unknown);
	verdict_case(ca, world.weak, REASON_WEAK, bad);
	verdict_case(fu, world.good[0], REASON_NONE, NULL);
	verdict_case(fu, world.wrong_name, REASON_NAME_MISMATCH, bad);
	verdict_case(fu, world.expired, REASON_EXPIRED, old);
	verdict_case(fu, world.stranger, REASON_UNTRUSTED, unknown);
	verdict_case(fu, world.weak, REASON_WEAK, bad);
}

static void
require_checks_the_pin_and_nothing_else(void)
{
	struct endpoint *e = world_endpoint(SSL_MODE_REQUIRE, NULL, WORLD_NAME);
	struct target *target = &e->servers->target;
	struct wire w;

	target->pins = calloc(1, sizeof(*target->pins));
	target->npins = 1;
	cert_spki_digest(world.stranger->leaf, target->pins[0]);
	wire_open(&w, e, LEG_SERVER, NULL, world_peer(true, world.stranger));
	wire_shake(&w);
	CU_ASSERT_EQUAL(w.result, TLS_DONE);
	CU_ASSERT_EQUAL(tls_verdict(w.tls)->verified, VERIFIED_PIN);
	wire_close(&w);

	wire_open(&w, e, LEG_SERVER, NULL, world_peer(true, world.good[0]));
	wire_shake(&w);
	expect_failure(&w, REASON_PIN_MISMATCH, "not pinned", "pin = ");
	CU_ASSERT_STRING_NOT_EQUAL(w.peer_error, "");
	wire_close(&w);
	world_endpoint_free(e);
}

static void
begin_anew(struct wire *w, const struct endpoint *e, const struct keypair *own)
{
	static const struct neg_tls anew = { .anew = true,
		.not_same = "take the same wallet" };
	struct tls *first = w->tls;

	w->tls = NULL;
	CU_ASSERT_EQUAL(SSL_CTX_use_cert_and_key(SSL_get_SSL_CTX(w->peer),
			    own->leaf, own->key, own->chain, 1),
	    1);
	wire_again(w, &anew, e->servers, NULL);
	tls_same_leaf(w->tls, first);
	tls_free(first);
	wire_shake(w);
}

/* However good another one is; what is wrong with it comes first. */
static void
second_handshake_shows_the_same_certificate(void)
{
	static const enum ssl_mode modes[] = { SSL_MODE_REQUIRE,
		SSL_MODE_VERIFY_CA, SSL_MODE_VERIFY_FULL };
	struct endpoint *e;
	struct wire w;
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		e = world_endpoint(modes[i], world.ca, WORLD_NAME);
		wire_open(&w, e, LEG_SERVER, NULL,
		    world_peer(true, world.good[1]));
		wire_shake(&w);
		CU_ASSERT_EQUAL(w.result, TLS_DONE);
		begin_anew(&w, e, world.good[1]);
		CU_ASSERT_EQUAL(w.result, TLS_DONE);
		begin_anew(&w, e, world.good[0]);
		expect_failure(&w, REASON_PIN_MISMATCH, "another certificate",
		    "same wallet");
		CU_ASSERT_EQUAL(tls_verdict(w.tls)->verified, VERIFIED_NONE);
		CU_ASSERT_STRING_NOT_EQUAL(w.peer_error, "");
		wire_close(&w);
		world_endpoint_free(e);
	}
	e = world_full();
	wire_open(&w, e, LEG_SERVER, NULL, world_peer(true, world.good[0]));
	wire_shake(&w);
	begin_anew(&w, e, world.stranger);
	expect_failure(&w, REASON_UNTRUSTED, "server certificate", NULL);
	wire_close(&w);
	world_endpoint_free(e);
}

/* What a refused server gets to see is an alert, and nothing of the data. */
static void
refused_server_gets_no_data(void)
{
	struct endpoint *e = world_full();
	struct wire w;
	uint8_t got[16];
	size_t len;

	wire_open(&w, e, LEG_SERVER, NULL, world_peer(true, world.stranger));
	wire_shake(&w);
	CU_ASSERT_EQUAL(w.result, TLS_FAILED);
	CU_ASSERT_EQUAL(wire_write(&w, "secret", 6), TLS_FAILED);
	CU_ASSERT_EQUAL(BIO_pending(w.to_peer), 0);
	CU_ASSERT_EQUAL(wire_read(&w, got, sizeof(got), &len), TLS_FAILED);
	wire_shake(&w);
	CU_ASSERT_EQUAL(w.result, TLS_FAILED);
	expect_failure(&w, REASON_UNTRUSTED, "server certificate", NULL);
	wire_close(&w);
	world_endpoint_free(e);
}

/* At level 0 OpenSSL would take a suite without any certificate, in which
 * case it never asks whether the certificate is good. */
static void
anonymous_server_is_refused(void)
{
	char ciphers[] = "ALL:aNULL:@SECLEVEL=0";
	struct endpoint *e = world_full();
	SSL_CTX *peer = world_peer(true, NULL);
	struct tls_effective eff;
	struct wire w;

	world_peer_versions(peer, TLS1_2_VERSION, TLS1_2_VERSION);
	CU_ASSERT_EQUAL(SSL_CTX_set_cipher_list(peer, "aNULL:@SECLEVEL=0"), 1);
	e->tls.seclevel = 0;
	e->tls.ciphers = ciphers;
	e->trust->seclevel = 0;
	wire_open(&w, e, LEG_SERVER, NULL, peer);
	wire_shake(&w);
	expect_failure(&w, REASON_HANDSHAKE, "handshake failure", NULL);
	tls_context_effective(w.context, &eff);
	CU_ASSERT_PTR_NULL(strstr(eff.ciphers, "ADH"));
	CU_ASSERT_PTR_NULL(strstr(eff.ciphers, "AECDH"));
	CU_ASSERT_PTR_NULL(strstr(eff.ciphers, "PSK"));
	wire_close(&w);
	world_endpoint_free(e);
}

static void
chain_is_kept_only_on_demand(void)
{
	struct endpoint *e = world_full();
	struct wire w;
	char *pem;

	wire_open_good(&w, e);
	CU_ASSERT_PTR_NULL(tls_chain_pem(w.tls));
	wire_close(&w);

	/* also of a server that was refused */
	wire_open(&w, e, LEG_SERVER, NULL, world_peer(true, world.stranger));
	tls_context_keep_chain(w.context);
	wire_shake(&w);
	CU_ASSERT_EQUAL(w.result, TLS_FAILED);
	pem = tls_chain_pem(w.tls);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pem);
	CU_ASSERT_EQUAL(strncmp(pem, "-----BEGIN CERTIFICATE-----", 27), 0);
	free(pem);
	wire_close(&w);
	world_endpoint_free(e);
}

/*
 * ALPN
 */

/* A server that picks what it likes, offered or not. */
static int
pick_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
    const unsigned char *in, unsigned int in_len, void *arg)
{
	const char *name = arg;

	(void)ssl;
	(void)in;
	(void)in_len;
	*out = (const unsigned char *)name;
	*len = (unsigned char)strlen(name);
	return SSL_TLSEXT_ERR_OK;
}

static void
alpn_server_case(const struct neg_tls *how, char *picks, const char *selected,
    const char *error)
{
	struct endpoint *e = world_full();
	SSL_CTX *peer = world_peer(true, world.good[0]);
	struct wire w;

	if (picks != NULL)
		SSL_CTX_set_alpn_select_cb(peer, pick_alpn, picks);
	wire_open(&w, e, LEG_SERVER, how, peer);
	wire_shake(&w);
	if (error == NULL) {
		CU_ASSERT_EQUAL(w.result, TLS_DONE);
		CU_ASSERT_STRING_EQUAL(tls_alpn(w.tls), selected);
	} else {
		expect_failure(&w, REASON_HANDSHAKE, error, NULL);
	}
	wire_close(&w);
	world_endpoint_free(e);
}

static void
alpn_of_servers(void)
{
	char pg[] = "postgresql", http[] = "http/1.1";

	alpn_server_case(&offered, NULL, "", NULL);
	alpn_server_case(&offered, pg, pg, NULL);
	alpn_server_case(&offered, http, NULL, "not offered");
	alpn_server_case(&demanded, pg, pg, NULL);
	alpn_server_case(&demanded, NULL, NULL, "did not agree");
	alpn_server_case(&demanded, http, NULL, "not offered");
}

static void
alpn_client_case(const struct neg_tls *how, const char *offers,
    const char *selected, const char *error, const char *alert)
{
	struct endpoint *e = world_full();
	struct wire w;

	world_client_leg(e, world.good[0], CLIENT_VERIFY_NONE, NULL);
	wire_open(&w, e, LEG_CLIENT, how, world_peer(false, NULL));
	if (offers != NULL)
		CU_ASSERT_EQUAL(SSL_set_alpn_protos(w.peer,
				    (const unsigned char *)offers,
				    (unsigned)strlen(offers)),
		    0);
	wire_shake(&w);
	if (error == NULL) {
		CU_ASSERT_EQUAL(w.result, TLS_DONE);
		CU_ASSERT_STRING_EQUAL(tls_alpn(w.tls), selected);
	} else {
		expect_failure(&w, REASON_CLIENT_TLS, error, NULL);
	}
	if (alert != NULL)
		CU_ASSERT_STRING_EQUAL(w.peer_error, alert);
	wire_close(&w);
	world_endpoint_free(e);
}

static void
alpn_of_clients(void)
{
	static const struct neg_tls none = { .alpn = NULL };
	static const char pg[] = "\012postgresql", http[] = "\010http/1.1",
			  both[] = "\010http/1.1\012postgresql",
			  alert[] = "tlsv1 alert no application protocol";

	alpn_client_case(&none, http, "", NULL, NULL);
	alpn_client_case(&offered, NULL, "", NULL, NULL);
	alpn_client_case(&offered, pg, "postgresql", NULL, NULL);
	alpn_client_case(&offered, both, "postgresql", NULL, NULL);
	alpn_client_case(&offered, http, NULL, "only other", alert);
	alpn_client_case(&demanded, both, "postgresql", NULL, NULL);
	alpn_client_case(&demanded, NULL, NULL, "did not name", NULL);
	alpn_client_case(&demanded, http, NULL, "only other", alert);
}

/*
 * Client certificates, on both legs
 */

static void
client_case(enum client_verify verify, const struct keypair *shows,
    bool accepted, const char *error)
{
	int version;

	for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct endpoint *e = world_full();
		SSL_CTX *peer = world_peer(false, shows);
		struct wire w;

		world_client_leg(e, world.good[0], verify, world.ca);
		world_peer_versions(peer, version, version);
		wire_open(&w, e, LEG_CLIENT, NULL, peer);
		wire_shake(&w);
		CU_ASSERT_EQUAL(tls_verdict(w.tls)->accepted, accepted);
		if (error == NULL) {
			CU_ASSERT_EQUAL(w.result, TLS_DONE);
		} else {
			expect_failure(&w, REASON_CLIENT_CERTIFICATE, error,
			    NULL);
		}
		wire_close(&w);
		world_endpoint_free(e);
	}
}

/* A client that was asked in vain is told so by an alert. */
static void
client_without_a_certificate_is_told(void)
{
	struct endpoint *e = world_full();
	SSL_CTX *peer = world_peer(false, NULL);
	struct wire w;

	world_client_leg(e, world.good[0], CLIENT_VERIFY_REQUIRE, world.ca);
	world_peer_versions(peer, TLS1_2_VERSION, TLS1_2_VERSION);
	wire_open(&w, e, LEG_CLIENT, NULL, peer);
	wire_shake(&w);
	CU_ASSERT_STRING_EQUAL(w.peer_error, "sslv3 alert handshake failure");
	wire_close(&w);
	world_endpoint_free(e);
}

static void
client_certificates_by_rule(void)
{
	client_case(CLIENT_VERIFY_NONE, NULL, false, NULL);
	client_case(CLIENT_VERIFY_NONE, world.strange_client, false, NULL);
	client_case(CLIENT_VERIFY_OPTIONAL, NULL, false, NULL);
	client_case(CLIENT_VERIFY_OPTIONAL, world.client, true, NULL);
	client_case(CLIENT_VERIFY_OPTIONAL, world.strange_client, false,
	    "client certificate");
	client_case(CLIENT_VERIFY_REQUIRE, world.client, true, NULL);
	client_case(CLIENT_VERIFY_REQUIRE, NULL, false, "no certificate");
	client_case(CLIENT_VERIFY_REQUIRE, world.strange_client, false,
	    "client certificate");
}

static SSL_CTX *
demanding_peer(int version)
{
	SSL_CTX *peer = world_peer(true, world.good[0]);
	X509_STORE *store = SSL_CTX_get_cert_store(peer);

	CU_ASSERT_EQUAL(X509_STORE_add_cert(store, world.ca->leaf), 1);
	SSL_CTX_set_verify(peer,
	    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	world_peer_versions(peer, version, version);
	return peer;
}

/* In TLS 1.3 the server's answer comes after our handshake is done. */
static void
identity_case(struct keypair *identity, const char *error, const char *hint)
{
	uint8_t got[16];
	size_t len;
	int version;

	for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct endpoint *e = world_full();
		struct wire w;

		e->identity = identity;
		wire_open(&w, e, LEG_SERVER, NULL, demanding_peer(version));
		wire_shake(&w);
		if (w.result == TLS_DONE)
			(void)wire_read(&w, got, sizeof(got), &len);
		if (error == NULL) {
			CU_ASSERT_EQUAL(w.result, TLS_MORE);
			expect_exchange(&w);
		} else {
			expect_failure(&w, REASON_IDENTITY, error, hint);
		}
		wire_close(&w);
		world_endpoint_free(e);
	}
}

static void
identity_is_shown_and_its_refusal_explained(void)
{
	identity_case(world.client, NULL, NULL);
	identity_case(NULL, "demands a client certificate", "identity = ");
	identity_case(world.strange_client, "rejected our client certificate",
	    "must trust the CA");
}

/*
 * Versions, ciphers, groups
 */

static void
old_server_case(int version, int min, const char *error, const char *hint)
{
	struct endpoint *e = world_full();
	SSL_CTX *peer = world_peer(true, world.good[2]);
	struct wire w;

	world_peer_versions(peer, version, version);
	if (min != 0) {
		e->tls.min = min;
		e->tls.seclevel = 0;
	}
	wire_open(&w, e, LEG_SERVER, NULL, peer);
	wire_shake(&w);
	if (error == NULL) {
		CU_ASSERT_EQUAL(w.result, TLS_DONE);
		expect_exchange(&w);
	} else {
		expect_failure(&w, REASON_WEAK, error, hint);
		CU_ASSERT_STRING_NOT_EQUAL(w.peer_error, "");
	}
	wire_close(&w);
	world_endpoint_free(e);
}

static void
old_servers_are_refused_with_the_remedy(void)
{
	old_server_case(TLS1_VERSION, 0, "no version of TLS that is allowed",
	    "tls = { min = \"1.0\"; seclevel = 0; };");
	old_server_case(TLS1_1_VERSION, 0, "no version of TLS that is allowed",
	    "seclevel = 0; };");
	/* and the remedy is one */
	old_server_case(TLS1_VERSION, TLS1_VERSION, NULL, NULL);
	old_server_case(TLS1_1_VERSION, TLS1_1_VERSION, NULL, NULL);
	old_server_case(TLS1_VERSION, TLS1_1_VERSION,
	    "no version of TLS that is allowed", NULL);
}

/* A server too old to know the extension answers with its own version, which
 * an OpenSSL of today cannot be made to do: these are its bytes. */
static void
hello_of_an_old_server_names_its_version(void)
{
	static const uint8_t hello[] = { 22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1, 1,
		2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
		20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0, 0, 47,
		0 };
	struct endpoint *e = world_full();
	struct wire w;

	wire_open(&w, e, LEG_SERVER, NULL, world_peer(true, world.good[0]));
	wire_inject(&w, hello, sizeof(hello));
	wire_shake(&w);
	expect_failure(&w, REASON_WEAK, "the server speaks only TLS 1.0",
	    "tls = { min = \"1.0\"; seclevel = 0; };");
	wire_close(&w);
	world_endpoint_free(e);
}

static void
server_newer_than_our_maximum(void)
{
	struct endpoint *e = world_full();
	SSL_CTX *peer = world_peer(true, world.good[0]);
	struct wire w;

	e->tls.max = TLS1_2_VERSION;
	world_peer_versions(peer, TLS1_3_VERSION, TLS1_3_VERSION);
	wire_open(&w, e, LEG_SERVER, NULL, peer);
	wire_shake(&w);
	expect_failure(&w, REASON_HANDSHAKE, "no version", "tls.max");
	wire_close(&w);
	world_endpoint_free(e);
}

static void
server_without_a_cipher_in_common(void)
{
	char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256";
	struct endpoint *e = world_full();
	SSL_CTX *peer = world_peer(true, world.good[0]);
	struct wire w;

	world_peer_versions(peer, TLS1_2_VERSION, TLS1_2_VERSION);
	CU_ASSERT_EQUAL(SSL_CTX_set_cipher_list(peer, "AES256-SHA256"), 1);
	e->tls.ciphers = ciphers;
	wire_open(&w, e, LEG_SERVER, NULL, peer);
	wire_shake(&w);
	expect_failure(&w, REASON_HANDSHAKE, "accepts none of the versions",
	    "seclevel = 0");
	wire_close(&w);
	world_endpoint_free(e);
}

/* A group of 1536 bits: too small for level 2, and not for level 1. */
static EVP_PKEY *
small_dh(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	char group[] = "modp_1536";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string("group", group, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY *dh = NULL;

	CU_ASSERT_EQUAL(EVP_PKEY_paramgen_init(ctx), 1);
	CU_ASSERT_EQUAL(EVP_PKEY_CTX_set_params(ctx, params), 1);
	CU_ASSERT_EQUAL_FATAL(EVP_PKEY_paramgen(ctx, &dh), 1);
	EVP_PKEY_CTX_free(ctx);
	return dh;
}

static void
server_with_small_dh_parameters(void)
{
	static const char suite[] = "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0";
	struct wire w;
	int level;

	/* refused at level 2, and the remedy is one */
	for (level = 2; level >= 1; level--) {
		struct endpoint *e = world_full();
		SSL_CTX *peer = world_peer(true, world.good[2]);

		e->tls.seclevel = level;
		(void)SSL_CTX_set_dh_auto(peer, 0);
		CU_ASSERT_EQUAL(SSL_CTX_set0_tmp_dh_pkey(peer, small_dh()), 1);
		world_peer_versions(peer, TLS1_2_VERSION, TLS1_2_VERSION);
		CU_ASSERT_EQUAL(SSL_CTX_set_cipher_list(peer, suite), 1);
		wire_open(&w, e, LEG_SERVER, NULL, peer);
		wire_shake(&w);
		if (level == 2) {
			expect_failure(&w, REASON_WEAK, "Diffie-Hellman",
			    "seclevel = 1");
		} else {
			CU_ASSERT_EQUAL(w.result, TLS_DONE);
		}
		wire_close(&w);
		world_endpoint_free(e);
	}
}

static void
old_client_is_refused(void)
{
	struct endpoint *e = world_full();
	SSL_CTX *peer = world_peer(false, NULL);
	struct wire w;

	world_client_leg(e, world.good[0], CLIENT_VERIFY_NONE, NULL);
	world_peer_versions(peer, TLS1_VERSION, TLS1_1_VERSION);
	wire_open(&w, e, LEG_CLIENT, NULL, peer);
	wire_shake(&w);
	expect_failure(&w, REASON_CLIENT_TLS, "the client speaks only TLS 1.1",
	    "TLS 1.2 or later");
	CU_ASSERT_STRING_EQUAL(w.peer_error, "tlsv1 alert protocol version");
	wire_close(&w);
	world_endpoint_free(e);
}

static void
client_that_distrusts_us(void)
{
	struct endpoint *e = world_full();
	SSL_CTX *peer = world_peer(false, NULL);
	struct wire w;

	world_client_leg(e, world.good[0], CLIENT_VERIFY_NONE, NULL);
	SSL_CTX_set_verify(peer, SSL_VERIFY_PEER, NULL);
	wire_open(&w, e, LEG_CLIENT, NULL, peer);
	wire_shake(&w);
	expect_failure(&w, REASON_CLIENT_TLS, "unknown CA", "client_tls.cert");
	wire_close(&w);
	world_endpoint_free(e);
}

/*
 * Resumption
 */

static void
nothing_is_resumed(void)
{
	struct endpoint *e = world_full();
	SSL_SESSION *session;
	uint8_t got[64];
	struct wire w;
	size_t len;
	int version;

	world_client_leg(e, world.good[0], CLIENT_VERIFY_NONE, NULL);
	for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *peer = world_peer(false, NULL);

		world_peer_versions(peer, version, version);
		wire_open(&w, e, LEG_CLIENT, NULL, peer);
		wire_shake(&w);
		CU_ASSERT_EQUAL(wire_write(&w, "x", 1), TLS_DONE);
		(void)wire_peer_read(&w, got, sizeof(got), &len);
		CU_ASSERT_EQUAL(len, 1);
		session = SSL_get0_session(w.peer);
		CU_ASSERT_FALSE(SSL_SESSION_is_resumable(session));
		wire_close(&w);
	}
	world_endpoint_free(e);
}

static CU_TestInfo tests[] = {
	TEST(handshake_every_key_version_and_slice),
	TEST(sni_is_sent_in_every_mode),
	TEST(sni_is_not_sent_without_a_name),
	TEST(verdict_by_mode_and_certificate),
	TEST(require_checks_the_pin_and_nothing_else),
	TEST(second_handshake_shows_the_same_certificate),
	TEST(refused_server_gets_no_data),
	TEST(anonymous_server_is_refused),
	TEST(chain_is_kept_only_on_demand),
	TEST(alpn_of_servers),
	TEST(alpn_of_clients),
	TEST(client_without_a_certificate_is_told),
	TEST(client_certificates_by_rule),
	TEST(identity_is_shown_and_its_refusal_explained),
	TEST(old_servers_are_refused_with_the_remedy),
	TEST(hello_of_an_old_server_names_its_version),
	TEST(server_newer_than_our_maximum),
	TEST(server_without_a_cipher_in_common),
	TEST(server_with_small_dh_parameters),
	TEST(old_client_is_refused),
	TEST(client_that_distrusts_us),
	TEST(nothing_is_resumed),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return world_main("tls", tests);
}
