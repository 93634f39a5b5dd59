#include "tests/unit/duel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/x509.h>

#define DAY       (24 * 60 * 60)
#define TAG       16
#define HEAD      5
#define LABEL_MAX 64

const uint16_t duel_suites[DUEL_SUITES] = { RECORDS_AES_128_GCM_SHA256,
	RECORDS_AES_256_GCM_SHA384, RECORDS_CHACHA20_POLY1305_SHA256 };

static const struct suite {
	const char *name;
	const char *cipher;
	const char *hash;
	size_t key_len;
	size_t hash_len;
} suites[DUEL_SUITES] = {
	{ "TLS_AES_128_GCM_SHA256", "AES-128-GCM", "SHA256", 16, 32 },
	{ "TLS_AES_256_GCM_SHA384", "AES-256-GCM", "SHA384", 32, 48 },
	{ "TLS_CHACHA20_POLY1305_SHA256", "ChaCha20-Poly1305", "SHA256", 32,
	    32 },
};

/* What all duels share. */
static struct {
	EVP_PKEY *key;
	X509 *cert;
	SSL_CTX *client;
	SSL_CTX *server;
	struct records_kit *kit;
} shared;

/* What a handshake was seen to agree on. */
struct secrets {
	uint8_t client[RECORDS_SECRET_MAX];
	uint8_t server[RECORDS_SECRET_MAX];
};

static const struct suite *
suite_of(uint16_t suite)
{
	return &suites[suite - RECORDS_AES_128_GCM_SHA256];
}

/*
 * The forger
 */

/* OpenSSL's HKDF, where the code that is tested has its own. */
static void
expand(const struct forger *f, const char *label, uint8_t *out, size_t len)
{
	const struct suite *s = suite_of(f->suite);
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	uint8_t info[LABEL_MAX], secret[RECORDS_SECRET_MAX];
	char hash[16];
	int n;
	OSSL_PARAM params[5];

	memcpy(secret, f->secret, sizeof(secret));
	(void)snprintf(hash, sizeof(hash), "%s", s->hash);
	n = snprintf((char *)info + 2, sizeof(info) - 2, "%ctls13 %s",
	    (char)(6 + strlen(label)), label);
	info[0] = 0;
	info[1] = (uint8_t)len;
	params[0] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	params[1] =
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0);
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
	    secret, s->hash_len);
	/* with the empty context's length behind it */
	params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info,
	    (size_t)n + 3);
	params[4] = OSSL_PARAM_construct_end();
	assert(ctx != NULL && EVP_KDF_derive(ctx, out, len, params) == 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

static void
forger_arm(struct forger *f)
{
	const struct suite *s = suite_of(f->suite);
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, s->cipher, NULL);
	uint8_t key[32];

	expand(f, "key", key, s->key_len);
	expand(f, "iv", f->iv, sizeof(f->iv));
	EVP_CIPHER_CTX_free(f->cipher);
	f->cipher = EVP_CIPHER_CTX_new();
	assert(EVP_EncryptInit_ex(f->cipher, cipher, NULL, key, NULL) == 1);
	EVP_CIPHER_free(cipher);
	f->sequence = 0;
}

void
forger_update(struct forger *f)
{
	uint8_t next[RECORDS_SECRET_MAX];

	expand(f, "traffic upd", next, suite_of(f->suite)->hash_len);
	memcpy(f->secret, next, sizeof(next));
	forger_arm(f);
}

size_t
forge(struct forger *f, uint8_t type, const void *content, size_t len,
    size_t padding, uint8_t *out)
{
	size_t inner = len + (type == 0 ? 0 : 1) + padding, i;
	uint8_t *plain = calloc(1, inner + 1), nonce[sizeof(f->iv)];
	int n;

	assert(plain != NULL);
	if (len > 0)
		memcpy(plain, content, len);
	plain[len] = type;
	memcpy(nonce, f->iv, sizeof(nonce));
	for (i = 0; i < 8; i++)
		nonce[sizeof(nonce) - 1 - i] ^= (uint8_t)(f->sequence >> 8 * i);
	f->sequence++;
	out[0] = RECORD_TYPED;
	out[1] = out[2] = 3;
	out[3] = (uint8_t)((inner + TAG) >> 8);
	out[4] = (uint8_t)(inner + TAG);
	assert(EVP_EncryptInit_ex(f->cipher, NULL, NULL, NULL, nonce) == 1);
	assert(EVP_EncryptUpdate(f->cipher, NULL, &n, out, HEAD) == 1);
	assert(inner == 0 ||
	    EVP_EncryptUpdate(f->cipher, out + HEAD, &n, plain, (int)inner) ==
		1);
	assert(EVP_EncryptFinal_ex(f->cipher, out + HEAD + inner, &n) == 1);
	assert(EVP_CIPHER_CTX_ctrl(f->cipher, EVP_CTRL_AEAD_GET_TAG, TAG,
		   out + HEAD + inner) == 1);
	free(plain);
	return HEAD + inner + TAG;
}

/*
 * The handshake
 */

static void
keep_secret(const SSL *ssl, const char *line)
{
	struct secrets *s = SSL_get_app_data(ssl);
	uint8_t *to = NULL;

	if (s == NULL)
		return;
	if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
		to = s->client;
	if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
		to = s->server;
	if (to == NULL)
		return;
	assert(OPENSSL_hexstr2buf_ex(to, RECORDS_SECRET_MAX, NULL,
		   strrchr(line, ' ') + 1, '\0') == 1);
}

void
duel_set_up(void)
{
	X509_NAME *name;

	shared.key = EVP_EC_gen("P-256");
	shared.cert = X509_new();
	assert(shared.key != NULL && shared.cert != NULL);
	name = X509_get_subject_name(shared.cert);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	    (const unsigned char *)"duel", -1, -1, 0);
	(void)X509_set_issuer_name(shared.cert, name);
	(void)X509_set_version(shared.cert, X509_VERSION_3);
	(void)X509_gmtime_adj(X509_getm_notBefore(shared.cert), -DAY);
	(void)X509_gmtime_adj(X509_getm_notAfter(shared.cert), DAY);
	(void)X509_set_pubkey(shared.cert, shared.key);
	assert(X509_sign(shared.cert, shared.key, EVP_sha256()) > 0);
	shared.client = SSL_CTX_new(TLS_client_method());
	shared.server = SSL_CTX_new(TLS_server_method());
	assert(shared.client != NULL && shared.server != NULL);
	assert(SSL_CTX_use_cert_and_key(shared.server, shared.cert, shared.key,
		   NULL, 1) == 1);
	(void)SSL_CTX_set_min_proto_version(shared.client, TLS1_3_VERSION);
	SSL_CTX_set_keylog_callback(shared.client, keep_secret);
	shared.kit = records_kit_new();
	assert(shared.kit != NULL);
}

void
duel_tear_down(void)
{
	records_kit_free(shared.kit);
	SSL_CTX_free(shared.client);
	SSL_CTX_free(shared.server);
	X509_free(shared.cert);
	EVP_PKEY_free(shared.key);
}

static BIO *
memory(void)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert(bio != NULL);
	(void)BIO_set_mem_eof_return(bio, -1);
	return bio;
}

static void
shake(SSL *client, SSL *server)
{
	int i, done = 0;

	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (i = 0; i < 10 && done < 2; i++)
		done = (SSL_do_handshake(client) == 1) +
		    (SSL_do_handshake(server) == 1);
	assert(done == 2);
	ERR_clear_error();
}

static struct records *
duel_records(const struct duel *d, const struct secrets *s)
{
	struct records_setup setup = { .suite = d->forger.suite,
		.client = d->client,
		.rekey = d->rekey };

	memcpy(setup.receive.secret, d->client ? s->server : s->client,
	    RECORDS_SECRET_MAX);
	memcpy(setup.send.secret, d->client ? s->client : s->server,
	    RECORDS_SECRET_MAX);
	return records_new(d->kit, &setup);
}

static void
duel_arm(struct duel *d, const struct secrets *s)
{
	memcpy(d->forger.secret, d->client ? s->server : s->client,
	    RECORDS_SECRET_MAX);
	forger_arm(&d->forger);
	d->records = duel_records(d, s);
	assert(d->records != NULL);
}

static void
duel_open_rekey(struct duel *d, uint16_t suite, bool client, int tickets,
    uint64_t rekey)
{
	struct secrets s;
	SSL *c, *v;

	memset(d, 0, sizeof(*d));
	d->kit = shared.kit;
	d->client = client;
	d->slice = SIZE_MAX;
	d->rekey = rekey;
	d->forger.suite = suite;
	d->plain = malloc(DUEL_MAX);
	d->out = malloc(DUEL_MAX);
	d->ours = SSL_new(client ? shared.client : shared.server);
	d->peer = SSL_new(client ? shared.server : shared.client);
	assert(d->plain != NULL && d->out != NULL);
	c = client ? d->ours : d->peer;
	v = client ? d->peer : d->ours;
	assert(c != NULL && v != NULL);
	assert(SSL_set_ciphersuites(c, suite_of(suite)->name) == 1);
	(void)SSL_set_num_tickets(v, (size_t)tickets);
	(void)SSL_set_app_data(c, &s);
	d->to_peer = memory();
	d->from_peer = memory();
	d->to_ours = d->from_peer;
	SSL_set_bio(d->peer, d->to_peer, d->from_peer);
	(void)BIO_up_ref(d->to_peer);
	(void)BIO_up_ref(d->from_peer);
	SSL_set_bio(d->ours, d->from_peer, d->to_peer);
	shake(c, v);
	(void)SSL_set_app_data(c, NULL);
	/* From now on each reads what is meant for it alone. */
	d->to_ours = memory();
	SSL_set_bio(d->ours, d->to_ours, memory());
	duel_arm(d, &s);
}

void
duel_open(struct duel *d, uint16_t suite, bool client, int tickets)
{
	duel_open_rekey(d, suite, client, tickets, UINT64_MAX);
}

void
duel_open_with(struct duel *d, uint16_t suite, bool client, uint64_t rekey)
{
	duel_open_rekey(d, suite, client, 0, rekey);
}

void
duel_close(struct duel *d)
{
	records_free(d->records);
	EVP_CIPHER_CTX_free(d->forger.cipher);
	SSL_free(d->ours);
	SSL_free(d->peer);
	free(d->plain);
	free(d->out);
	ERR_clear_error();
}

/*
 * Bytes
 */

static void
duel_call(struct duel *d, struct records_io *io)
{
	io->plain = d->plain;
	io->plain_len = d->plain_len;
	io->plain_cap = DUEL_MAX;
	io->out = d->out;
	io->out_len = d->out_len;
	io->out_cap = DUEL_MAX;
	d->calls++;
	d->result = records_open(d->records, io);
	d->plain_len = io->plain_len;
	d->out_len = io->out_len;
	d->tickets += d->result == RECORDS_TICKET;
}

enum records_result
duel_give(struct duel *d, const uint8_t *bytes, size_t len)
{
	struct records_io io = { .in = bytes };
	size_t n;

	do {
		n = len < d->slice ? len : d->slice;
		io.in_len = n;
		do
			duel_call(d, &io);
		while (d->result == RECORDS_TICKET);
		len -= n;
	} while (len > 0 && d->result == RECORDS_MORE);
	return d->result;
}

enum records_result
duel_forge(struct duel *d, uint8_t type, const void *content, size_t len,
    size_t padding)
{
	uint8_t *record = malloc(len + padding + 64);
	size_t n;

	assert(record != NULL);
	n = forge(&d->forger, type, content, len, padding, record);
	(void)duel_give(d, record, n);
	free(record);
	return d->result;
}

enum records_result
duel_pump(struct duel *d)
{
	char *bytes;
	long n = BIO_get_mem_data(d->from_peer, &bytes);

	if (n > 0)
		(void)duel_give(d, (const uint8_t *)bytes, (size_t)n);
	(void)BIO_reset(d->from_peer);
	return d->result;
}

void
duel_seal(struct duel *d, const void *plain, size_t len)
{
	struct records_io io = { .out = d->out,
		.out_len = d->out_len,
		.out_cap = DUEL_MAX };

	assert(records_seal(d->records, &io, plain, len));
	d->out_len = io.out_len;
}

int
duel_peer_read(struct duel *d, uint8_t *plain, size_t cap, size_t *len)
{
	size_t n;

	if (d->out_len > 0)
		assert(BIO_write(d->to_peer, d->out, (int)d->out_len) > 0);
	d->out_len = 0;
	*len = 0;
	ERR_clear_error();
	while (*len < cap &&
	    SSL_read_ex(d->peer, plain + *len, cap - *len, &n) == 1)
		*len += n;
	return *len == cap ? SSL_ERROR_NONE : SSL_get_error(d->peer, 0);
}
