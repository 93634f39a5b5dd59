#include "proxy/tls_records_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "protocols/bytes.h"

struct records_suite_facts {
	uint16_t suite;
	size_t index; /* in the kit */
	const char *cipher;
	const char *hash;
	size_t key_len;
	size_t hash_len;   /* of a secret too */
	size_t hash_block; /* as HMAC has it */
};

#define HASH_BLOCK_MAX 128
#define KEY_MAX        32

static const struct records_suite_facts records_suites[] = {
	{ RECORDS_AES_128_GCM_SHA256, 0, "AES-128-GCM", "SHA256", 16, 32, 64 },
	{ RECORDS_AES_256_GCM_SHA384, 1, "AES-256-GCM", "SHA384", 32, 48, 128 },
	{ RECORDS_CHACHA20_POLY1305_SHA256, 2, "ChaCha20-Poly1305", "SHA256",
	    32, 32, 64 },
};
#define SUITES (sizeof(records_suites) / sizeof(records_suites[0]))

const struct records_suite_facts *
records_suite_find(uint16_t suite)
{
	size_t i;

	for (i = 0; i < SUITES; i++)
		if (records_suites[i].suite == suite)
			return &records_suites[i];
	return NULL;
}

bool
records_knows(uint16_t suite)
{
	return records_suite_find(suite) != NULL;
}

size_t
records_secret_len(uint16_t suite)
{
	const struct records_suite_facts *s = records_suite_find(suite);

	return s == NULL ? 0 : s->hash_len;
}

struct records_kit *
records_kit_new(void)
{
	struct records_kit *k;
	size_t i;

	if ((k = calloc(1, sizeof(*k))) == NULL)
		return NULL;
	_Static_assert(SUITES == sizeof(k->cipher) / sizeof(k->cipher[0]),
	    "one for each suite");
	for (i = 0; i < SUITES; i++) {
		k->cipher[i] =
		    EVP_CIPHER_fetch(NULL, records_suites[i].cipher, NULL);
		k->hash[i] = EVP_MD_fetch(NULL, records_suites[i].hash, NULL);
	}
	ERR_clear_error();
	return k;
}

void
records_kit_free(struct records_kit *k)
{
	size_t i;

	if (k == NULL)
		return;
	for (i = 0; i < SUITES; i++) {
		EVP_CIPHER_free(k->cipher[i]);
		EVP_MD_free(k->hash[i]);
	}
	free(k);
}

/* One half of HMAC (RFC 2104): the key in a block, and then what it is for. */
static bool
hmac_half(const struct records *r, uint8_t pad, const uint8_t *secret,
    const uint8_t *bytes, size_t len, uint8_t out[EVP_MAX_MD_SIZE])
{
	uint8_t block[HASH_BLOCK_MAX];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t i;
	bool ok;

	if (r->kit->hash[r->suite->index] == NULL) {
		EVP_MD_CTX_free(ctx);
		return false;
	}
	for (i = 0; i < r->suite->hash_block; i++)
		block[i] = pad ^ (i < r->suite->hash_len ? secret[i] : 0);
	ok = ctx != NULL &&
	    EVP_DigestInit_ex2(ctx, r->kit->hash[r->suite->index], NULL) == 1 &&
	    EVP_DigestUpdate(ctx, block, r->suite->hash_block) == 1 &&
	    EVP_DigestUpdate(ctx, bytes, len) == 1 &&
	    EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_cleanse(block, sizeof(block));
	return ok;
}

/* HMAC by hand: OpenSSL's own looks its hash up again each time. */
static bool
hmac(const struct records *r, const uint8_t *secret, const uint8_t *bytes,
    size_t len, uint8_t out[EVP_MAX_MD_SIZE])
{
	static const uint8_t inner = 0x36, outer = 0x5c;
	uint8_t half[EVP_MAX_MD_SIZE];
	bool ok;

	ok = hmac_half(r, inner, secret, bytes, len, half) &&
	    hmac_half(r, outer, secret, half, r->suite->hash_len, out);
	OPENSSL_cleanse(half, sizeof(half));
	return ok;
}

/* HKDF-Expand-Label (RFC 8446, 7.1) with an empty context, of at most as many
 * bytes as the hash has: there is but one round of HKDF-Expand then. */
#define LABEL_PREFIX "tls13 "
#define LABEL_MAX    64
static bool
expand_label(const struct records *r, const uint8_t *secret, const char *label,
    uint8_t *out, size_t len)
{
	uint8_t info[LABEL_MAX], full[EVP_MAX_MD_SIZE];
	struct wr w = { .base = info, .cap = sizeof(info) };
	bool ok;

	assert(len <= r->suite->hash_len);
	wr_be16(&w, (uint16_t)len);
	wr_u8(&w, (uint8_t)(sizeof(LABEL_PREFIX) - 1 + strlen(label)));
	wr_string(&w, LABEL_PREFIX);
	wr_string(&w, label);
	wr_u8(&w, 0); /* the context's length */
	wr_u8(&w, 1); /* HKDF's round */
	assert(!w.full);
	if ((ok = hmac(r, secret, info, w.len, full)))
		memcpy(out, full, len);
	OPENSSL_cleanse(full, sizeof(full));
	return ok;
}

/* RFC 8446, 7.3 */
static bool
expand_key(const struct records *r, const struct records_direction *d,
    uint8_t *key, uint8_t *iv)
{
	return expand_label(r, d->secret, "key", key, r->suite->key_len) &&
	    expand_label(r, d->secret, "iv", iv, RECORDS_IV);
}

static bool
init_cipher(const struct records *r, struct records_direction *d, bool sending,
    const uint8_t *key)
{
	EVP_CIPHER_CTX *ctx = d->cipher;
	/* One that has its cipher keeps it: there is less to be done. */
	const EVP_CIPHER *cipher =
	    ctx == NULL ? r->kit->cipher[r->suite->index] : NULL;

	if (ctx == NULL && cipher == NULL)
		return false; /* OpenSSL, or its provider, has none */
	if (ctx == NULL && (d->cipher = ctx = EVP_CIPHER_CTX_new()) == NULL)
		return false;
	return EVP_CipherInit_ex2(ctx, cipher, key, NULL, sending ? 1 : 0,
		   NULL) == 1;
}

bool
records_arm(const struct records *r, struct records_direction *d, bool sending)
{
	uint8_t key[KEY_MAX];
	bool ok;

	ok = expand_key(r, d, key, d->iv) && init_cipher(r, d, sending, key);
	OPENSSL_cleanse(key, sizeof(key));
	return ok;
}

void
records_disarm(struct records_direction *d)
{
	EVP_CIPHER_CTX_free(d->cipher);
	d->cipher = NULL;
	OPENSSL_cleanse(d->iv, sizeof(d->iv));
}

bool
records_update(struct records *r, bool sending)
{
	struct records_direction *d = sending ? &r->send : &r->receive;
	uint8_t next[RECORDS_SECRET_MAX];
	bool ok;

	ok =
	    expand_label(r, d->secret, "traffic upd", next, r->suite->hash_len);
	if (ok)
		memcpy(d->secret, next, r->suite->hash_len);
	OPENSSL_cleanse(next, sizeof(next));
	ok = ok && (r->kernel || records_arm(r, d, sending));
	/* Without the next key there is no next number either: the first ones
	 * of the former key are used. */
	d->sequence = ok ? 0 : UINT64_MAX;
	d->records = 0;
	return ok;
}

bool
records_kernel_key(const struct records *r, bool sending,
    struct records_kernel_key *out)
{
	const struct records_direction *d = sending ? &r->send : &r->receive;

	_Static_assert(sizeof(out->key) >= KEY_MAX &&
		sizeof(out->iv) == RECORDS_IV,
	    "any suite's");
	memset(out, 0, sizeof(*out));
	out->suite = r->suite->suite;
	out->key_len = r->suite->key_len;
	out->sequence = d->sequence;
	return expand_key(r, d, out->key, out->iv);
}
