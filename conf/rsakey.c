#include "conf/rsakey.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "conf/certfile.h"
#include "conf/filebytes.h"

#define BYTES_MAX   (RSAKEY_BITS_MAX / 8)
#define FILE_MIB    1
#define KEY_LABEL   "PRIVATE KEY" /* and whatever stands before it */
#define PROBE_BYTES 32            /* what a key is tried with */

_Static_assert(RSAKEY_DIGEST_LEN == CERT_DIGEST_LEN, "a digest is a digest");

struct rsakey {
	EVP_PKEY *key;
	char *path; /* NULL: it was made */
	char *pem;  /* of the public half */
	size_t pem_len;
	uint8_t sha256[RSAKEY_DIGEST_LEN];
	_Atomic unsigned references;
};

/*
 * Sealing and opening.
 */

static bool
is_rsa(const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	return EVP_PKEY_is_a(key, "RSA") == 1 && bits >= RSAKEY_BITS_MIN &&
	    bits <= RSAKEY_BITS_MAX;
}

static bool
set_oaep(EVP_PKEY_CTX *c)
{
	return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha1()) == 1 &&
	    EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha1()) == 1;
}

static bool
open_into(EVP_PKEY *key, struct rd sealed, uint8_t plain[BYTES_MAX],
    size_t *len)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	bool good;

	*len = BYTES_MAX;
	good = c != NULL && EVP_PKEY_decrypt_init(c) == 1 && set_oaep(c) &&
	    EVP_PKEY_decrypt(c, plain, len, sealed.at, sealed.left) == 1;
	EVP_PKEY_CTX_free(c);
	/* It says in which way the padding was wrong: nobody is to know. */
	ERR_clear_error();
	return good;
}

static bool
seal_into(EVP_PKEY *key, struct rd plain, uint8_t sealed[BYTES_MAX],
    size_t *len)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	bool good;

	*len = BYTES_MAX;
	good = c != NULL && EVP_PKEY_encrypt_init(c) == 1 && set_oaep(c) &&
	    EVP_PKEY_encrypt(c, sealed, len, plain.at, plain.left) == 1;
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return good;
}

bool
rsakey_open(const struct rsakey *k, struct rd sealed, struct wr *plain)
{
	uint8_t bytes[BYTES_MAX];
	size_t len = 0;
	bool good;

	if (sealed.left != (size_t)EVP_PKEY_get_size(k->key))
		return false;
	good = open_into(k->key, sealed, bytes, &len) &&
	    len <= plain->cap - plain->len && !plain->full;
	if (good)
		wr_bytes(plain, bytes, len);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return good;
}

/*
 * Public keys.
 */

/* One block of a PEM text.  1: it is a public key, or another has been found
 * before; 0: something else; -1 with `why`. */
static int
take_block(const char *name, const uint8_t *der, long len, EVP_PKEY **key,
    const char **why)
{
	const uint8_t *at = der;
	size_t n = strlen(name), label = strlen(KEY_LABEL);
	bool spki = strcmp(name, PEM_STRING_PUBLIC) == 0;

	*why = "there is a private key in it; give the public half alone";
	if (n >= label && strcmp(name + n - label, KEY_LABEL) == 0)
		return -1;
	if (!spki && strcmp(name, PEM_STRING_RSA_PUBLIC) != 0)
		return 0;
	*why = "there is more than one public key in it; leave one";
	if (*key != NULL)
		return -1;
	*why = "the public key in it cannot be read; copy it again";
	*key = spki ? d2i_PUBKEY(NULL, &at, len)
		    : d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, len);
	return *key != NULL && at == der + len ? 1 : -1;
}

static int
take_blocks(BIO *from, EVP_PKEY **key, const char **why)
{
	char *name, *header;
	uint8_t *der;
	long len;
	int got = 0;

	while (got != -1 && PEM_read_bio(from, &name, &header, &der, &len)) {
		got = take_block(name, der, len, key, why);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
	}
	return got == -1 ? -1 : 0;
}

/* NULL with `why`. */
static EVP_PKEY *
read_public(struct rd pem, const char **why)
{
	EVP_PKEY *key = NULL;
	BIO *from;

	*why = "out of memory";
	if (pem.left > INT_MAX ||
	    (from = BIO_new_mem_buf(pem.at, (int)pem.left)) == NULL)
		return NULL;
	if (take_blocks(from, &key, why) == -1) {
		EVP_PKEY_free(key);
		key = NULL;
	} else if (key == NULL) {
		*why = "there is no public key in it; give one in PEM, as "
		       "\"BEGIN PUBLIC KEY\"";
	} else if (!is_rsa(key)) {
		EVP_PKEY_free(key);
		key = NULL;
		*why = "the public key in it is no RSA key of 2048 to 8192 "
		       "bits";
	}
	BIO_free(from);
	ERR_clear_error();
	return key;
}

/* The public half as PEM; NULL if memory is short. */
static char *
write_public(const EVP_PKEY *key, size_t *len)
{
	BIO *to = BIO_new(BIO_s_mem());
	char *text, *copy = NULL;
	long n;

	if (to == NULL)
		return NULL;
	if (PEM_write_bio_PUBKEY(to, key) == 1 &&
	    (n = BIO_get_mem_data(to, &text)) > 0 &&
	    (copy = strndup(text, (size_t)n)) != NULL)
		*len = (size_t)n;
	BIO_free(to);
	ERR_clear_error();
	return copy;
}

static bool
digest_public(const EVP_PKEY *key, uint8_t digest[RSAKEY_DIGEST_LEN])
{
	uint8_t *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	bool good;

	good = len > 0 &&
	    EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL) == 1;
	if (!good)
		memset(digest, 0, RSAKEY_DIGEST_LEN);
	OPENSSL_free(der);
	ERR_clear_error();
	return good;
}

bool
rsakey_seal(struct rd pem, struct rd plain, struct wr *sealed)
{
	uint8_t bytes[BYTES_MAX];
	const char *why;
	EVP_PKEY *key = read_public(pem, &why);
	size_t len = 0;
	bool good;

	if (key == NULL)
		return false;
	good = seal_into(key, plain, bytes, &len) &&
	    len <= sealed->cap - sealed->len && !sealed->full;
	if (good)
		wr_bytes(sealed, bytes, len);
	EVP_PKEY_free(key);
	return good;
}

char *
rsakey_read_public(const char *path, size_t *len, struct err *err)
{
	struct filebytes f;
	EVP_PKEY *key;
	const char *why;
	char *pem = NULL;

	if (filebytes_read(&f, path, false, FILE_MIB, err) == -1)
		return NULL;
	key = read_public((struct rd){ .at = f.bytes, .left = f.len }, &why);
	if (key == NULL)
		(void)err_set(err, "%s: %s", path, why);
	else if ((pem = write_public(key, len)) == NULL)
		(void)err_set(err, "%s: out of memory", path);
	EVP_PKEY_free(key);
	filebytes_fini(&f);
	return pem;
}

bool
rsakey_public_sha256(struct rd pem, uint8_t digest[RSAKEY_DIGEST_LEN])
{
	const char *why;
	EVP_PKEY *key = read_public(pem, &why);
	bool good;

	memset(digest, 0, RSAKEY_DIGEST_LEN);
	good = key != NULL && digest_public(key, digest);
	EVP_PKEY_free(key);
	return good;
}

/*
 * Private keys.
 */

/* Half a key, or one of two that were mixed up, would fail at every login. */
static bool
opens_what_it_seals(const struct rsakey *k)
{
	static const uint8_t probe[PROBE_BYTES] = "what is sealed is opened";
	const struct rd pem = rsakey_public(k);
	const struct rd plain = { .at = probe, .left = sizeof(probe) };
	uint8_t sealed[BYTES_MAX], opened[BYTES_MAX];
	struct wr to = { .base = sealed, .cap = sizeof(sealed) };
	struct wr back = { .base = opened, .cap = sizeof(opened) };

	return rsakey_seal(pem, plain, &to) &&
	    rsakey_open(k, wr_written(&to), &back) &&
	    rd_equals(wr_written(&back), probe, sizeof(probe));
}

static void
destroy(struct rsakey *k)
{
	EVP_PKEY_free(k->key);
	free(k->path);
	free(k->pem);
	free(k);
}

/* Takes the key over; NULL if memory is short. */
static struct rsakey *
wrap(EVP_PKEY *key, const char *path)
{
	struct rsakey *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		EVP_PKEY_free(key);
		return NULL;
	}
	k->references = 1;
	k->key = key;
	if ((path != NULL && (k->path = strdup(path)) == NULL) ||
	    (k->pem = write_public(key, &k->pem_len)) == NULL ||
	    !digest_public(key, k->sha256)) {
		destroy(k);
		return NULL;
	}
	return k;
}

struct rsakey *
rsakey_make(struct err *err)
{
	EVP_PKEY *key = NULL;
	struct rsakey *k = NULL;

	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1 &&
	    (key = EVP_RSA_gen(RSAKEY_BITS_MIN)) != NULL)
		k = wrap(key, NULL);
	ERR_clear_error();
	if (k == NULL)
		(void)err_set(err, "an RSA key of %d bits cannot be made",
		    RSAKEY_BITS_MIN);
	return k;
}

struct rsakey *
rsakey_load(const char *path, struct err *err)
{
	EVP_PKEY *key = certfile_read_key(path, NULL, err);
	struct rsakey *k;

	if (key == NULL)
		return NULL;
	if (!is_rsa(key)) {
		EVP_PKEY_free(key);
		(void)err_set(err,
		    "%s: the key in it is no RSA key of %d to %d bits; make "
		    "one with `openssl genrsa -out FILE %d`",
		    path, RSAKEY_BITS_MIN, RSAKEY_BITS_MAX, RSAKEY_BITS_MIN);
		return NULL;
	}
	if ((k = wrap(key, path)) == NULL) {
		(void)err_set(err, "%s: out of memory", path);
		return NULL;
	}
	if (opens_what_it_seals(k))
		return k;
	rsakey_release(k);
	(void)err_set(err,
	    "%s: the key in it does not open what was sealed under it; copy "
	    "it again",
	    path);
	return NULL;
}

struct rsakey *
rsakey_retain(struct rsakey *k)
{
	k->references++;
	return k;
}

void
rsakey_release(struct rsakey *k)
{
	if (k != NULL && --k->references == 0)
		destroy(k);
}

const char *
rsakey_path(const struct rsakey *k)
{
	return k->path;
}

struct rd
rsakey_public(const struct rsakey *k)
{
	return (struct rd){ .at = (const uint8_t *)k->pem, .left = k->pem_len };
}

const uint8_t *
rsakey_sha256(const struct rsakey *k)
{
	return k->sha256;
}

bool
rsakey_is_of(const struct rsakey *k, const struct keypair *pair)
{
	bool same = EVP_PKEY_eq(k->key, pair->key) == 1;

	ERR_clear_error();
	return same;
}
