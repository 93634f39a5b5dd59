#include "tests/unit/tls_world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "tests/unit/unit.h"

#define WIRE_MAX (16 * 1024 * 1024)
#define WIRE_OUT (512 * 1024)

bool
world_direct(void)
{
	const char *records = getenv("DBTLS_TEST_RECORDS");

	return records != NULL && strcmp(records, "direct") == 0;
}

static EVP_PKEY *
world_key(const char *type)
{
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *key = NULL;

	if (strcmp(type, "EC") == 0)
		return EVP_EC_gen("P-256");
	if (strcmp(type, "RSA") == 0)
		return EVP_RSA_gen(2048);
	if (strcmp(type, "RSA-1024") == 0)
		return EVP_RSA_gen(1024);
	ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	assert(ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1);
	assert(EVP_PKEY_generate(ctx, &key) == 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static void
world_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert(ext != NULL && X509_add_ext(cert, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

static void
world_fill(X509 *cert, const struct wish *w, X509 *issuer)
{
	static long serial = 1;
	X509_NAME *name = X509_get_subject_name(cert);

	(void)X509_set_version(cert, X509_VERSION_3);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert),
	    w->from == 0 ? -DAY : w->from);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert),
	    w->to == 0 ? 30 * DAY : w->to);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	    (const unsigned char *)(w->cn == NULL ? "nobody" : w->cn), -1, -1,
	    0);
	(void)X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	world_extend(cert, issuer, NID_basic_constraints,
	    w->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	world_extend(cert, issuer, NID_key_usage,
	    w->ca ? "critical,keyCertSign,cRLSign" : "digitalSignature");
	if (w->san != NULL)
		world_extend(cert, issuer, NID_subject_alt_name, w->san);
}

struct keypair *
world_issue(const struct wish *w)
{
	struct keypair *k = calloc(1, sizeof(*k));
	const EVP_MD *md = EVP_sha256();
	X509 *issuer;
	EVP_PKEY *with;

	assert(k != NULL);
	k->references = 1;
	k->key = world_key(w->key == NULL ? "EC" : w->key);
	k->leaf = X509_new();
	k->chain = sk_X509_new_null();
	assert(k->key != NULL && k->leaf != NULL && k->chain != NULL);
	issuer = w->issuer == NULL ? k->leaf : w->issuer->leaf;
	with = w->issuer == NULL ? k->key : w->issuer->key;
	(void)X509_set_pubkey(k->leaf, k->key);
	world_fill(k->leaf, w, issuer);
	if (w->digest != NULL)
		md = EVP_get_digestbyname(w->digest);
	if (EVP_PKEY_is_a(with, "ED25519"))
		md = NULL;
	assert(X509_sign(k->leaf, with, md) > 0);
	return k;
}

struct anchors *
world_anchors(const struct keypair *k)
{
	struct anchors *a = anchors_new();

	assert(a != NULL && X509_up_ref(k->leaf) == 1);
	assert(sk_X509_push(a->certs, k->leaf) > 0);
	return a;
}

static struct trust *
world_trust(enum ssl_mode mode, const struct keypair *ca, bool client)
{
	struct trust *t = calloc(1, sizeof(*t));

	assert(t != NULL);
	*t = (struct trust){ .mode = mode,
		.allow_cn = true,
		.client = client,
		.seclevel = 2 };
	if (mode > SSL_MODE_REQUIRE)
		t->anchors = world_anchors(ca);
	return t;
}

struct endpoint *
world_endpoint(enum ssl_mode mode, const struct keypair *ca, const char *name)
{
	struct endpoint *e = calloc(1, sizeof(*e));
	struct server *s = calloc(1, sizeof(*s));
	char **names = calloc(1, sizeof(*names));

	assert(e != NULL && s != NULL && names != NULL);
	e->name = strdup("test");
	e->ops = &neg_postgres;
	e->mode = mode;
	e->trust = world_trust(mode, ca, false);
	/* as conf/ has them */
	e->tls = (struct tls_settings){ .min = TLS1_2_VERSION,
		.max = TLS1_3_VERSION,
		.seclevel = 2 };
	e->tls.records = world_direct() ? RECORDS_DIRECT : RECORDS_OPENSSL;
	e->client_tls = e->tls;
	e->servers = s;
	e->nservers = 1;
	names[0] = strdup(name);
	s->target.names = names;
	s->target.nnames = 1;
	s->sni = strdup(name);
	return e;
}

void
world_client_leg(struct endpoint *e, const struct keypair *own,
    enum client_verify verify, const struct keypair *ca)
{
	struct keypair *k = calloc(1, sizeof(*k));

	assert(k != NULL);
	*k = (struct keypair){ .references = 1,
		.leaf = own->leaf,
		.key = own->key,
		.chain = sk_X509_new_null() };
	(void)X509_up_ref(k->leaf);
	(void)EVP_PKEY_up_ref(k->key);
	e->client_rule = CLIENT_TLS_REQUIRE;
	e->client_keypair = k;
	e->client_verify = verify;
	if (verify != CLIENT_VERIFY_NONE)
		e->client_trust = world_trust(SSL_MODE_VERIFY_CA, ca, true);
}

void
world_endpoint_free(struct endpoint *e)
{
	trust_free(e->trust);
	trust_free(e->client_trust);
	keypair_release(e->client_keypair);
	free(e->servers->target.pins);
	free(e->servers->target.names[0]);
	free(e->servers->target.names);
	free(e->servers->sni);
	free(e->servers);
	free(e->name);
	free(e);
}

SSL_CTX *
world_peer(bool server, const struct keypair *own)
{
	char groups[] = "X25519:P-256:P-384:ffdhe2048";
	char sigalgs[] = "ECDSA+SHA256:ed25519:rsa_pss_pss_sha256:"
			 "rsa_pss_rsae_sha256:RSA+SHA256:ECDSA+SHA1:RSA+SHA1";
	SSL_CTX *ctx =
	    SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	assert(ctx != NULL);
	/* All that a hostile openssl.cnf may have set: it is for us, not for
	 * the peer. */
	(void)SSL_CTX_clear_options(ctx, ~(uint64_t)0);
	assert(SSL_CTX_set1_groups_list(ctx, groups) == 1);
	assert(SSL_CTX_set1_sigalgs_list(ctx, sigalgs) == 1);
	(void)SSL_CTX_set_min_proto_version(ctx, 0);
	(void)SSL_CTX_set_max_proto_version(ctx, 0);
	assert(SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0") == 1);
	(void)SSL_CTX_set_dh_auto(ctx, 1);
	(void)SSL_CTX_set_ciphersuites(ctx, OSSL_default_ciphersuites());
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (own != NULL)
		assert(SSL_CTX_use_cert_and_key(ctx, own->leaf, own->key,
			   own->chain, 1) == 1);
	return ctx;
}

void
world_peer_versions(SSL_CTX *ctx, int min, int max)
{
	assert(SSL_CTX_set_min_proto_version(ctx, min) == 1);
	assert(SSL_CTX_set_max_proto_version(ctx, max) == 1);
}

static SSL *
wire_peer_new(struct wire *w, SSL_CTX *ctx, enum leg_id leg)
{
	SSL *peer = SSL_new(ctx);

	assert(peer != NULL);
	w->to_peer = BIO_new(BIO_s_mem());
	w->from_peer = BIO_new(BIO_s_mem());
	(void)BIO_set_mem_eof_return(w->to_peer, -1);
	SSL_set_bio(peer, w->to_peer, w->from_peer);
	if (leg == LEG_SERVER)
		SSL_set_accept_state(peer);
	else
		SSL_set_connect_state(peer);
	return peer;
}

void
wire_open(struct wire *w, const struct endpoint *e, enum leg_id leg,
    const struct neg_tls *how, SSL_CTX *peer)
{
	static const struct neg_tls plain = { .alpn = NULL };
	struct err err;

	memset(w, 0, sizeof(*w));
	w->slice = WIRE_MAX;
	w->room = WIRE_OUT;
	w->stores = tls_stores_new();
	assert(w->stores != NULL);
	w->context = tls_context_new(e, leg, w->stores, &err);
	assert(w->context != NULL);
	w->tls = tls_new(w->context, how == NULL ? &plain : how,
	    leg == LEG_SERVER ? e->servers : NULL);
	w->peer = wire_peer_new(w, peer, leg);
	w->in = malloc(WIRE_MAX);
	w->out = malloc(WIRE_OUT);
	assert(w->tls != NULL && w->peer != NULL);
	assert(w->in != NULL && w->out != NULL);
	SSL_CTX_free(peer);
}

void
wire_again(struct wire *w, const struct neg_tls *how,
    const struct server *server, SSL_SESSION *session)
{
	static const struct neg_tls plain = { .alpn = NULL };
	SSL *peer = wire_peer_new(w, SSL_get_SSL_CTX(w->peer),
	    server != NULL ? LEG_SERVER : LEG_CLIENT);

	tls_free(w->tls);
	SSL_set_shutdown(w->peer, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(w->peer);
	w->peer = peer;
	w->in_len = 0;
	w->peer_result = 0;
	w->peer_error[0] = '\0';
	w->tls = tls_new(w->context, how == NULL ? &plain : how, server);
	assert(w->tls != NULL);
	if (session != NULL)
		assert(SSL_set_session(peer, session) == 1);
}

void
wire_close(struct wire *w)
{
	tls_free(w->tls);
	tls_context_free(w->context);
	tls_stores_free(w->stores);
	SSL_free(w->peer);
	free(w->in);
	free(w->out);
	ERR_clear_error();
}

/* One slice of what the peer has sent; false: nothing was left. */
static bool
wire_fetch(struct wire *w)
{
	size_t n = w->slice;
	int got;

	if (n > WIRE_MAX - w->in_len)
		n = WIRE_MAX - w->in_len;
	got = n == 0 ? 0 : BIO_read(w->from_peer, w->in + w->in_len, (int)n);
	if (got <= 0)
		return false;
	w->in_len += (size_t)got;
	return true;
}

/* Calls with the wire's bytes, and takes what it says. */
static void
wire_call(struct wire *w,
    enum tls_result (*call)(struct wire *w, struct tls_io *io, void *arg),
    void *arg)
{
	struct tls_io io = { .in = w->in,
		.in_len = w->in_len,
		.out = w->out,
		.out_cap = w->room };

	w->result = call(w, &io, arg);
	memmove(w->in, io.in, io.in_len);
	w->in_len = io.in_len;
	if (io.out_len > 0)
		(void)BIO_write(w->to_peer, w->out, (int)io.out_len);
}

static enum tls_result
wire_do_handshake(struct wire *w, struct tls_io *io, void *arg)
{
	(void)arg;
	return tls_handshake(w->tls, io);
}

static void
wire_peer_shake(struct wire *w)
{
	unsigned long e;

	if (w->peer_result == 1 || w->peer_error[0] != '\0')
		return;
	ERR_clear_error();
	w->peer_result = SSL_do_handshake(w->peer);
	if (w->peer_result == 1 ||
	    SSL_get_error(w->peer, w->peer_result) == SSL_ERROR_WANT_READ)
		return;
	e = ERR_peek_error();
	(void)snprintf(w->peer_error, sizeof(w->peer_error), "%s",
	    e == 0 ? "unknown" : ERR_reason_error_string(e));
}

void
wire_shake(struct wire *w)
{
	bool moved = true;

	w->result = TLS_MORE;
	while (moved) {
		moved = false;
		if (w->result == TLS_MORE)
			wire_call(w, wire_do_handshake, NULL);
		wire_peer_shake(w);
		while (w->result == TLS_MORE && wire_fetch(w)) {
			wire_call(w, wire_do_handshake, NULL);
			moved = true;
		}
	}
	wire_peer_shake(w);
}

struct wire_plain {
	uint8_t *bytes;
	size_t cap;
	size_t len;
};

static enum tls_result
wire_do_read(struct wire *w, struct tls_io *io, void *arg)
{
	struct wire_plain *p = arg;
	enum tls_result result;
	size_t n;

	result = tls_read(w->tls, io, p->bytes + p->len, p->cap - p->len, &n);
	p->len += n;
	return result;
}

enum tls_result
wire_read(struct wire *w, uint8_t *plain, size_t cap, size_t *len)
{
	struct wire_plain p = { .bytes = plain, .cap = cap };

	wire_call(w, wire_do_read, &p);
	while (w->result == TLS_MORE && wire_fetch(w))
		wire_call(w, wire_do_read, &p);
	*len = p.len;
	return w->result;
}

static enum tls_result
wire_do_write(struct wire *w, struct tls_io *io, void *arg)
{
	struct wire_plain *p = arg;

	return tls_write(w->tls, io, p->bytes, p->len);
}

enum tls_result
wire_write(struct wire *w, const void *plain, size_t len)
{
	struct wire_plain p = { .len = len };

	p.bytes = malloc(len + 1);
	assert(p.bytes != NULL);
	memcpy(p.bytes, plain, len);
	wire_call(w, wire_do_write, &p);
	free(p.bytes);
	return w->result;
}

static enum tls_result
wire_do_close(struct wire *w, struct tls_io *io, void *arg)
{
	(void)arg;
	tls_close(w->tls, io);
	return TLS_DONE;
}

void
wire_shutdown(struct wire *w)
{
	wire_call(w, wire_do_close, NULL);
}

int
wire_peer_read(struct wire *w, uint8_t *plain, size_t cap, size_t *len)
{
	size_t n;

	*len = 0;
	ERR_clear_error();
	while (*len < cap &&
	    SSL_read_ex(w->peer, plain + *len, cap - *len, &n) == 1)
		*len += n;
	return *len == cap ? SSL_ERROR_NONE : SSL_get_error(w->peer, 0);
}

void
wire_peer_write(struct wire *w, const void *plain, size_t len)
{
	size_t done;

	assert(SSL_write_ex(w->peer, plain, len, &done) == 1 && done == len);
}

void
wire_inject(struct wire *w, const void *bytes, size_t len)
{
	assert(BIO_write(w->from_peer, bytes, (int)len) == (int)len);
}

/*
 * What the tests share
 */

const char *const world_keys[WORLD_KEYS] = { "EC", "ED25519", "RSA",
	"RSA-PSS" };

struct world world;

int
world_set_up(void)
{
	size_t i;

	world.ca = world_issue(&(struct wish){ .cn = "Test CA", .ca = true });
	world.other_ca =
	    world_issue(&(struct wish){ .cn = "Other CA", .ca = true });
	for (i = 0; i < WORLD_KEYS; i++)
		world.good[i] =
		    world_issue(&(struct wish){ .key = world_keys[i],
			.san = WORLD_SAN,
			.issuer = world.ca });
	world.wrong_name = world_issue(
	    &(struct wish){ .san = "DNS:other.test", .issuer = world.ca });
	world.expired = world_issue(&(struct wish){ .san = WORLD_SAN,
	    .from = -3 * DAY,
	    .to = -DAY,
	    .issuer = world.ca });
	world.stranger = world_issue(
	    &(struct wish){ .san = WORLD_SAN, .issuer = world.other_ca });
	world.weak = world_issue(&(struct wish){ .key = "RSA-1024",
	    .san = WORLD_SAN,
	    .issuer = world.ca });
	world.client =
	    world_issue(&(struct wish){ .cn = "client", .issuer = world.ca });
	world.strange_client = world_issue(
	    &(struct wish){ .cn = "client", .issuer = world.other_ca });
	return 0;
}

int
world_tear_down(void)
{
	size_t i;

	for (i = 0; i < WORLD_KEYS; i++)
		keypair_release(world.good[i]);
	keypair_release(world.ca);
	keypair_release(world.other_ca);
	keypair_release(world.wrong_name);
	keypair_release(world.expired);
	keypair_release(world.stranger);
	keypair_release(world.weak);
	keypair_release(world.client);
	keypair_release(world.strange_client);
	return 0;
}

struct endpoint *
world_full(void)
{
	return world_endpoint(SSL_MODE_VERIFY_FULL, world.ca, WORLD_NAME);
}

/* A server leg that is through, with nothing special about it. */
void
wire_open_good(struct wire *w, const struct endpoint *e)
{
	wire_open(w, e, LEG_SERVER, NULL, world_peer(true, world.good[0]));
	wire_shake(w);
	CU_ASSERT_EQUAL_FATAL(w->result, TLS_DONE);
	CU_ASSERT_EQUAL(w->peer_result, 1);
	tls_settle(w->tls, false);
}

void
wire_open_good_version(struct wire *w, const struct endpoint *e, int version)
{
	SSL_CTX *peer = world_peer(true, world.good[0]);

	world_peer_versions(peer, version, version);
	wire_open(w, e, LEG_SERVER, NULL, peer);
	wire_shake(w);
	CU_ASSERT_EQUAL_FATAL(w->result, TLS_DONE);
	tls_settle(w->tls, false);
}

void
expect_failure(const struct wire *w, enum reason reason, const char *text,
    const char *hint)
{
	struct tls_failure f = tls_error(w->tls);

	CU_ASSERT_EQUAL_FATAL(w->result, TLS_FAILED);
	CU_ASSERT_EQUAL(f.reason, reason);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, text));
	if (f.reason != reason || strstr(f.text, text) == NULL)
		fprintf(stderr, "got %s: %s\n", reason_name(f.reason), f.text);
	if (hint == NULL)
		return;
	CU_ASSERT_PTR_NOT_NULL_FATAL(f.hint);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.hint, hint));
	if (strstr(f.hint, hint) == NULL)
		fprintf(stderr, "got hint %s\n", f.hint);
}

void
expect_exchange(struct wire *w)
{
	uint8_t got[64];
	size_t len;

	CU_ASSERT_EQUAL(wire_write(w, "question", 8), TLS_DONE);
	(void)wire_peer_read(w, got, sizeof(got), &len);
	CU_ASSERT(len == 8 && memcmp(got, "question", 8) == 0);
	wire_peer_write(w, "answer", 6);
	CU_ASSERT_EQUAL(wire_read(w, got, sizeof(got), &len), TLS_MORE);
	CU_ASSERT(len == 6 && memcmp(got, "answer", 6) == 0);
}

int
world_main(const char *name, CU_TestInfo *tests)
{
	CU_SuiteInfo suites[] = {
		{ name, world_set_up, world_tear_down, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
