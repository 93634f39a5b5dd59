#include "tests/unit/wallets.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/objects.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>

#define OID_DATA      "1.2.840.113549.1.7.1"
#define OID_ENCRYPTED "1.2.840.113549.1.7.6"
#define OID_X509      "1.2.840.113549.1.9.22.1"
#define OID_SHA1      "1.3.14.3.2.26"
#define BAG_KEY       "1.2.840.113549.1.12.10.1.1"
#define BAG_SHROUDED  "1.2.840.113549.1.12.10.1.2"
#define BAG_CERT      "1.2.840.113549.1.12.10.1.3"
#define BAG_SECRET    "1.2.840.113549.1.12.10.1.5"
#define BAG_SAFES     "1.2.840.113549.1.12.10.1.6"
#define OID_LOGIN     "1.2.840.113549.1.16.12.12"

#define TAG_OCTETS        0x04
#define TAG_SEQUENCE      0x30
#define TAG_CONTEXT       0xa0
#define TAG_IMPLICIT      0x80
#define SHA1_LEN          20
#define ROUNDS_WORTHWHILE 1000000
#define AES_KEY           16
#define DES_KEY           8

static unsigned char salt[] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* --- pieces --------------------------------------------------------------- */

struct kept {
	struct kept *next;
	uint8_t bytes[];
};
static struct kept *kept;

static uint8_t *
keep(size_t len)
{
	struct kept *k = malloc(sizeof(*k) + len + 1);

	assert(k != NULL);
	k->next = kept;
	kept = k;
	return k->bytes;
}

void
pieces_free(void)
{
	struct kept *next;

	for (; kept != NULL; kept = next) {
		next = kept->next;
		free(kept);
	}
}

struct piece
piece(const void *bytes, size_t len)
{
	uint8_t *at = keep(len);

	if (len > 0)
		memcpy(at, bytes, len);
	return (struct piece){ .at = at, .len = len };
}

struct piece
join(size_t n, const struct piece *parts)
{
	size_t i, len = 0;
	uint8_t *at;

	for (i = 0; i < n; i++)
		len += parts[i].len;
	at = keep(len);
	for (i = 0, len = 0; i < n; i++) {
		memcpy(at + len, parts[i].at, parts[i].len);
		len += parts[i].len;
	}
	return (struct piece){ .at = at, .len = len };
}

struct piece
der(uint8_t tag, struct piece inside)
{
	uint8_t head[5] = { tag, 0x83, (uint8_t)(inside.len >> 16),
		(uint8_t)(inside.len >> 8), (uint8_t)inside.len };
	struct piece short_head = piece((uint8_t[]){ tag, head[4] }, 2);

	/* As short as it can be, which DER demands. */
	if (inside.len < 0x80)
		return JOIN(short_head, inside);
	if (inside.len > UINT16_MAX)
		return JOIN(piece(head, sizeof(head)), inside);
	if (inside.len > UINT8_MAX) {
		uint8_t two[] = { tag, 0x82, head[3], head[4] };

		return JOIN(piece(two, sizeof(two)), inside);
	}
	return JOIN(piece((uint8_t[]){ tag, 0x81, head[4] }, 3), inside);
}

/* What OpenSSL has made becomes a piece. */
static struct piece
adopt(unsigned char *bytes, int len)
{
	struct piece p;

	assert(len > 0);
	p = piece(bytes, (size_t)len);
	OPENSSL_free(bytes);
	return p;
}

struct piece
der_number(long n)
{
	ASN1_INTEGER *a = ASN1_INTEGER_new();
	unsigned char *bytes = NULL;
	int len;

	(void)ASN1_INTEGER_set_int64(a, n);
	len = i2d_ASN1_INTEGER(a, &bytes);
	ASN1_INTEGER_free(a);
	return adopt(bytes, len);
}

struct piece
der_oid(const char *dotted)
{
	ASN1_OBJECT *o = OBJ_txt2obj(dotted, 1);
	unsigned char *bytes = NULL;
	int len = i2d_ASN1_OBJECT(o, &bytes);

	ASN1_OBJECT_free(o);
	return adopt(bytes, len);
}

static struct piece
der_octets(struct piece inside)
{
	return der(TAG_OCTETS, inside);
}

/* --- bags ----------------------------------------------------------------- */

static struct piece
bag(const char *oid, struct piece value)
{
	return SEQUENCE(der_oid(oid), der(TAG_CONTEXT, value));
}

struct piece
bag_cert(X509 *cert)
{
	unsigned char *bytes = NULL;
	int len = i2d_X509(cert, &bytes);

	return bag(BAG_CERT,
	    SEQUENCE(der_oid(OID_X509),
		der(TAG_CONTEXT, der_octets(adopt(bytes, len)))));
}

struct piece
bag_key(EVP_PKEY *key)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	unsigned char *bytes = NULL;
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &bytes);

	PKCS8_PRIV_KEY_INFO_free(info);
	return bag(BAG_KEY, adopt(bytes, len));
}

struct piece
bag_other(void)
{
	return bag(BAG_SECRET,
	    SEQUENCE(der_oid(OID_LOGIN),
		der(TAG_CONTEXT, der_octets(piece("tiger", 5)))));
}

struct piece
bag_of_bags(struct piece bags)
{
	return bag(BAG_SAFES, der(TAG_SEQUENCE, bags));
}

/* --- seals ---------------------------------------------------------------- */

/* More rounds than anybody would wait for are only said. */
static int
rounds_made(int rounds)
{
	return rounds > 0 && rounds < ROUNDS_WORTHWHILE ? rounds : 1;
}

static X509_ALGOR *
algorithm_new(int nid, int rounds)
{
	X509_ALGOR *how;

	how = nid == NID_aes_256_cbc
	    ? PKCS5_pbe2_set(EVP_aes_256_cbc(), rounds, salt, sizeof(salt))
	    : PKCS5_pbe_set(nid, rounds, salt, sizeof(salt));
	assert(how != NULL);
	return how;
}

/* AlgorithmIdentifier and what it makes of `plain`.  RC2 needs the legacy
 * provider, in a context of its own. */
static struct piece
seal(struct piece plain, int nid, int rounds, struct secret password,
    struct piece *sealed)
{
	OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
	OSSL_PROVIDER *usual = OSSL_PROVIDER_load(library, "default");
	OSSL_PROVIDER *legacy = OSSL_PROVIDER_load(library, "legacy");
	X509_ALGOR *how = algorithm_new(nid, rounds_made(rounds));
	unsigned char *bytes = NULL;
	struct piece algorithm;
	int len = 0;

	if (PKCS12_pbe_crypt_ex(how, (const char *)password.at,
		(int)password.len, plain.at, (int)plain.len, &bytes, &len, 1,
		library, NULL) == NULL)
		abort();
	*sealed = adopt(bytes, len);
	/* Each has an IV of its own, so only one that lies is made anew. */
	if (rounds_made(rounds) != rounds) {
		X509_ALGOR_free(how);
		how = algorithm_new(nid, rounds);
	}
	bytes = NULL;
	len = i2d_X509_ALGOR(how, &bytes);
	algorithm = adopt(bytes, len);
	X509_ALGOR_free(how);
	(void)OSSL_PROVIDER_unload(usual);
	if (legacy != NULL)
		(void)OSSL_PROVIDER_unload(legacy);
	OSSL_LIB_CTX_free(library);
	return algorithm;
}

struct piece
bag_shrouded(EVP_PKEY *key, int nid, int rounds, struct secret password)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	unsigned char *bytes = NULL;
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &bytes);
	struct piece plain, algorithm, sealed;

	PKCS8_PRIV_KEY_INFO_free(info);
	plain = adopt(bytes, len);
	algorithm = seal(plain, nid, rounds, password, &sealed);
	return bag(BAG_SHROUDED, SEQUENCE(algorithm, der_octets(sealed)));
}

struct piece
safe_plain(struct piece bags)
{
	return SEQUENCE(der_oid(OID_DATA),
	    der(TAG_CONTEXT, der_octets(der(TAG_SEQUENCE, bags))));
}

struct piece
safe_sealed(struct piece bags, int nid, int rounds, struct secret password)
{
	struct piece sealed, algorithm;

	algorithm =
	    seal(der(TAG_SEQUENCE, bags), nid, rounds, password, &sealed);
	return SEQUENCE(der_oid(OID_ENCRYPTED),
	    der(TAG_CONTEXT,
		SEQUENCE(der_number(0),
		    SEQUENCE(der_oid(OID_DATA), algorithm,
			der(TAG_IMPLICIT, sealed)))));
}

struct piece
pfx(struct piece safes, int rounds, struct secret password)
{
	struct piece content = der(TAG_SEQUENCE, safes);
	uint8_t key[SHA1_LEN], mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (PKCS12_key_gen_utf8((const char *)password.at, (int)password.len,
		salt, sizeof(salt), PKCS12_MAC_ID, rounds_made(rounds),
		sizeof(key), key, EVP_sha1()) != 1 ||
	    HMAC(EVP_sha1(), key, sizeof(key), content.at, content.len, mac,
		&len) == NULL)
		abort();
	return SEQUENCE(der_number(3),
	    SEQUENCE(der_oid(OID_DATA), der(TAG_CONTEXT, der_octets(content))),
	    SEQUENCE(SEQUENCE(SEQUENCE(der_oid(OID_SHA1),
				  piece((uint8_t[]){ 5, 0 }, 2)),
			 der_octets(piece(mac, len))),
		der_octets(piece(salt, sizeof(salt))), der_number(rounds)));
}

/* --- headers -------------------------------------------------------------- */

/* As ssoDecrypt by tejado has it, and go-ora but for 0x7f. */
static void
derive(struct head *h)
{
	char who[512];
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned len;
	size_t i;
	int n;

	memcpy(h->password, h->hidden, sizeof(h->password));
	if (h->kind != '8')
		return;
	n = snprintf(who, sizeof(who), "%s%s", h->host, h->user);
	assert(n > 0 && (size_t)n < sizeof(who));
	(void)HMAC(EVP_sha1(), who, n, h->hidden, sizeof(h->hidden), mac, &len);
	for (i = 0; i < sizeof(h->password); i++) {
		h->password[i] = (uint8_t)(mac[i] % 128 + 1);
		if (h->password[i] == 128 && !h->top_is_128)
			h->password[i] = 1;
	}
}

static struct piece
encipher(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *iv,
    bool padded, struct piece plain)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t out[64];
	int some = 0, rest = 0;

	(void)EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv);
	(void)EVP_CIPHER_CTX_set_padding(ctx, padded);
	(void)EVP_EncryptUpdate(ctx, out, &some, plain.at, (int)plain.len);
	(void)EVP_EncryptFinal_ex(ctx, out + some, &rest);
	EVP_CIPHER_CTX_free(ctx);
	return piece(out, (size_t)some + (size_t)rest);
}

static struct piece
hex(struct piece from)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *at = keep(from.len * 2);
	size_t i;

	for (i = 0; i < from.len; i++) {
		at[i * 2] = (uint8_t)digits[from.at[i] >> 4];
		at[i * 2 + 1] = (uint8_t)digits[from.at[i] & 0x0f];
	}
	return (struct piece){ .at = at, .len = from.len * 2 };
}

struct piece
head_make(struct head *h)
{
	static const uint8_t iv[] = { 0xc0, 0x34, 0xd8, 0x31, 0x1c, 0x02, 0xce,
		0xf8, 0x51, 0xf0, 0x14, 0x4b, 0x81, 0xed, 0x4b, 0xf2 };
	static const uint8_t zero[DES_KEY];
	uint8_t key[3 * DES_KEY] = "0123456701234567";
	struct piece plain = piece(h->hidden, sizeof(h->hidden));
	uint8_t fixed[] = { 0xa1, 0xf8, 0x4e, (uint8_t)h->kind, 0, 0, 0, 6, 0,
		0, 0, h->des ? 65 : 33, h->des ? 0x35 : 0x06 };

	derive(h);
	memcpy(key + 2 * DES_KEY, key, DES_KEY);
	if (!h->des)
		return JOIN(piece(fixed, sizeof(fixed)), piece(key, AES_KEY),
		    encipher(EVP_aes_128_cbc(), key, iv, false, plain));
	return JOIN(piece(fixed, sizeof(fixed)), hex(piece(key, DES_KEY)),
	    hex(encipher(EVP_des_ede3_cbc(), key, zero, true, plain)));
}

struct secret
head_secret(const struct head *h)
{
	return (struct secret){ .at = h->password, .len = sizeof(h->password) };
}

/* --- certificates --------------------------------------------------------- */

EVP_PKEY *
key_new(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	assert(key != NULL);
	return key;
}

X509 *
cert_new(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *by)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	(void)X509_set_version(cert, X509_VERSION_3);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	(void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0);
	(void)X509_set_issuer_name(cert,
	    issuer == NULL ? subject : X509_get_subject_name(issuer));
	(void)X509_set_pubkey(cert, key);
	if (X509_sign(cert, by == NULL ? key : by, EVP_sha256()) == 0)
		abort();
	return cert;
}
