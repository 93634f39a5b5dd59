/* wallet.c - PKCS#12, bag by bag */
#include "conf/wallet.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>

/* More than any wallet has; less than anybody would wait for. */
#define BAGS_MAX  4096
#define DEPTH_MAX 4 /* of bags in bags */

#define DER_SEQUENCE 0x30

/*
 * What is needed while one is read.  Old algorithms (RC2 of 40 bits) are in
 * OpenSSL's legacy provider.  That is loaded into a library context that lives
 * as long as this, so that nothing else in the program ever finds them.
 */
struct opener {
	struct wallet *wallet;
	const char *path;
	const char *password;
	const char *other_password; /* auto_login_local; as long */
	int password_len;
	OSSL_LIB_CTX *library;
	OSSL_PROVIDER *usual;
	OSSL_PROVIDER *legacy; /* NULL: there is none */
	long rounds;
	unsigned bags;
	struct err *err;
};

bool
wallet_recognise(const uint8_t *bytes, size_t len)
{
	/* SEQUENCE { INTEGER 3, ...: a certificate has a SEQUENCE there. */
	static const uint8_t version[] = { 0x02, 0x01, 0x03 };
	size_t skip;

	if (wallet_head_recognise(bytes, len))
		return true;
	if (len < 2 || bytes[0] != DER_SEQUENCE)
		return false;
	skip = 2 + (bytes[1] > 0x80 ? bytes[1] & 0x7fu : 0u);
	return len >= skip + sizeof(version) &&
	    memcmp(bytes + skip, version, sizeof(version)) == 0;
}

bool
wallet_wants_password(const uint8_t *bytes, size_t len)
{
	return !wallet_head_recognise(bytes, len);
}

static int
fail(const struct opener *o, const char *why)
{
	return err_set(o->err, "%s: %s", o->path, why);
}

static int
out_of_memory(const struct opener *o)
{
	return fail(o, "out of memory");
}

static int
damaged(const struct opener *o)
{
	return fail(o, "is damaged; copy it again");
}

/* --- how much work it asks for -------------------------------------------- */

static int
spend(struct opener *o, long rounds)
{
	if (rounds > WALLET_ROUNDS_MAX - o->rounds)
		return fail(o,
		    "derives its keys as no wallet does, or in more rounds "
		    "than any has; make it anew");
	o->rounds += rounds;
	return 0;
}

/* The cipher's name, once. */
static void
note_cipher(struct opener *o, const X509_ALGOR *a)
{
	char *to = o->wallet->ciphers;
	PBE2PARAM *pbe2 = NULL;
	const char *name;
	size_t used = strlen(to);
	int nid = OBJ_obj2nid(a->algorithm);

	if (nid == NID_pbes2) {
		pbe2 = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM),
		    a->parameter);
		if (pbe2 != NULL)
			nid = OBJ_obj2nid(pbe2->encryption->algorithm);
		PBE2PARAM_free(pbe2);
	}
	name = OBJ_nid2ln(nid);
	if (name == NULL || strstr(to, name) != NULL)
		return;
	(void)snprintf(to + used, sizeof(o->wallet->ciphers) - used, "%s%s",
	    used > 0 ? ", " : "", name);
}

/* Other libraries mean other things by the same number. */
static bool
is_unsupported(unsigned long e)
{
	return ERR_GET_LIB(e) == ERR_LIB_EVP &&
	    (ERR_GET_REASON(e) == ERR_R_UNSUPPORTED ||
		ERR_GET_REASON(e) == EVP_R_UNSUPPORTED_ALGORITHM);
}

/* Deciphering failed: for want of the algorithm, or of the password? */
static int
cannot_decipher(struct opener *o)
{
	unsigned long e;

	do {
		e = ERR_get_error();
	} while (e != 0 && !is_unsupported(e));
	if (e == 0)
		return fail(o,
		    "is damaged: a part of it does not open with "
		    "the password that fits the whole; copy it "
		    "again");
	if (o->legacy != NULL)
		return err_set(o->err,
		    "%s: is sealed with %s, which OpenSSL does not have; make "
		    "it anew with AES",
		    o->path, o->wallet->ciphers);
	return err_set(o->err,
	    "%s: is sealed with %s, which OpenSSL has only in its legacy "
	    "provider, and that cannot be loaded; install it (legacy.so), or "
	    "make the wallet anew with AES",
	    o->path, o->wallet->ciphers);
}

/* --- bags ----------------------------------------------------------------- */

/* What came out of a library context of its own moves into everybody's. */
static int
take_cert(struct opener *o, const PKCS12_SAFEBAG *bag)
{
	X509 *foreign = PKCS12_SAFEBAG_get1_cert(bag), *cert;
	const unsigned char *at;
	unsigned char *der = NULL;
	int len;

	if (foreign == NULL)
		return fail(o,
		    "a certificate in it cannot be read; make it "
		    "anew");
	len = i2d_X509(foreign, &der);
	X509_free(foreign);
	if (len <= 0)
		return out_of_memory(o);
	at = der;
	cert = d2i_X509(NULL, &at, len);
	OPENSSL_free(der);
	if (cert == NULL || sk_X509_push(o->wallet->certs, cert) <= 0) {
		X509_free(cert);
		return out_of_memory(o);
	}
	/* Parses the extensions now, while only one thread sees it. */
	(void)X509_check_purpose(cert, -1, 0);
	return 0;
}

static int
take_key(struct opener *o, const PKCS8_PRIV_KEY_INFO *info)
{
	if (o->wallet->key != NULL)
		return fail(o,
		    "holds two private keys, and which of them is "
		    "meant cannot be told; export one");
	if (wallet_key_fits(info))
		o->wallet->key = EVP_PKCS82PKEY(info);
	if (o->wallet->key == NULL)
		return fail(o,
		    "the private key in it is of a kind that "
		    "cannot be used");
	return 0;
}

static int
take_shrouded(struct opener *o, const PKCS12_SAFEBAG *bag)
{
	const X509_ALGOR *how;
	PKCS8_PRIV_KEY_INFO *info;
	int rc;

	X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(bag), &how, NULL);
	note_cipher(o, how);
	if (spend(o, wallet_rounds(how)) == -1)
		return -1;
	info = PKCS12_decrypt_skey_ex(bag, o->password, o->password_len,
	    o->library, NULL);
	rc = info == NULL ? cannot_decipher(o) : take_key(o, info);
	PKCS8_PRIV_KEY_INFO_free(info);
	return rc;
}

static int take_bags(struct opener *o, const STACK_OF(PKCS12_SAFEBAG) *bags,
    unsigned depth);

static int
take_bag(struct opener *o, const PKCS12_SAFEBAG *bag, unsigned depth)
{
	switch (PKCS12_SAFEBAG_get_nid(bag)) {
	case NID_certBag:
		if (PKCS12_SAFEBAG_get_bag_nid(bag) == NID_x509Certificate)
			return take_cert(o, bag);
		break;
	case NID_keyBag:
		return take_key(o, PKCS12_SAFEBAG_get0_p8inf(bag));
	case NID_pkcs8ShroudedKeyBag:
		return take_shrouded(o, bag);
	case NID_safeContentsBag:
		return take_bags(o, PKCS12_SAFEBAG_get0_safes(bag), depth + 1);
	default: /* any number of a file's */
		break;
	}
	o->wallet->passed_over++;
	return 0;
}

static int
take_bags(struct opener *o, const STACK_OF(PKCS12_SAFEBAG) *bags,
    unsigned depth)
{
	int i;

	if (depth > DEPTH_MAX)
		return fail(o, "has bags in bags in bags; make it anew");
	for (i = 0; i < sk_PKCS12_SAFEBAG_num(bags); i++) {
		if (++o->bags > BAGS_MAX)
			return fail(o,
			    "holds more than any wallet does; make "
			    "it anew");
		if (take_bag(o, sk_PKCS12_SAFEBAG_value(bags, i), depth) == -1)
			return -1;
	}
	return 0;
}

/* --- safes ---------------------------------------------------------------- */

static int
take_encrypted(struct opener *o, PKCS7 *safe)
{
	const X509_ALGOR *how;
	STACK_OF(PKCS12_SAFEBAG) *bags;
	int rc;

	/* A PKCS#7 may say what it is and then hold nothing, and not every
	 * OpenSSL looks (CVE-2024-0727, CVE-2025-69421). */
	if (safe->d.encrypted == NULL ||
	    safe->d.encrypted->enc_data->enc_data == NULL)
		return damaged(o);
	how = safe->d.encrypted->enc_data->algorithm;
	note_cipher(o, how);
	if (spend(o, wallet_rounds(how)) == -1)
		return -1;
	bags = PKCS12_unpack_p7encdata(safe, o->password, o->password_len);
	if (bags == NULL)
		return cannot_decipher(o);
	rc = take_bags(o, bags, 0);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return rc;
}

static int
take_safe(struct opener *o, PKCS7 *safe)
{
	STACK_OF(PKCS12_SAFEBAG) *bags;
	int rc;

	if (PKCS7_type_is_encrypted(safe))
		return take_encrypted(o, safe);
	if (!PKCS7_type_is_data(safe))
		return fail(o,
		    "holds a part that is sealed for a public key, "
		    "which no password opens");
	if (safe->d.data == NULL || (bags = PKCS12_unpack_p7data(safe)) == NULL)
		return damaged(o);
	rc = take_bags(o, bags, 0);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return rc;
}

static int
take_safes(struct opener *o, const PKCS12 *p12)
{
	STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(p12);
	int i, rc = 0;

	if (safes == NULL)
		return damaged(o);
	for (i = 0; i < sk_PKCS7_num(safes) && rc == 0; i++)
		rc = take_safe(o, sk_PKCS7_value(safes, i));
	sk_PKCS7_pop_free(safes, PKCS7_free);
	return rc;
}

/* --- the whole ------------------------------------------------------------ */

static int
wrong_password(const struct opener *o, const struct wallet_words *words)
{
	switch (o->wallet->kind) {
	case WALLET_P12:
		break;
	case WALLET_SSO:
		return fail(o,
		    "is damaged: the password in its header does "
		    "not open it; copy it again");
	case WALLET_SSO_LOCAL:
		return fail(o,
		    "was made on another host or by another user, "
		    "and opens only there; set wallet_host and "
		    "wallet_user to theirs, or make an auto_login "
		    "wallet");
	}
	if (words->password_file == NULL)
		return fail(o,
		    "needs a password; name a file that has it as its first "
		    "line (wallet_password_file; --password-file)");
	return err_set(o->err,
	    "%s: does not open with the password in %s; it must be that "
	    "file's first line",
	    o->path, words->password_file);
}

/* PBMAC1 derives its key in a way of its own, with rounds that stand elsewhere;
 * and where OpenSSL does not know it the password would be blamed. */
static int
spend_mac(struct opener *o, const PKCS12 *p12)
{
	const ASN1_INTEGER *rounds = NULL;
	const ASN1_OBJECT *digest = NULL;
	const X509_ALGOR *how = NULL;
	char name[64];

	PKCS12_get0_mac(NULL, &how, NULL, &rounds, p12);
	X509_ALGOR_get0(&digest, NULL, NULL, how);
	if (EVP_get_digestbyobj(digest) != NULL)
		return spend(o, wallet_rounds_of_integer(rounds));
	(void)OBJ_obj2txt(name, sizeof(name), digest, 0);
	return err_set(o->err,
	    "%s: its check sum is made by %s, which is not known here; make it "
	    "anew with SHA-256 (openssl pkcs12 -export -macalg sha256)",
	    o->path, name);
}

/* The other password that it may be under: some programs that are given none
 * write two bytes of it, some none. */
static bool
try_other(struct opener *o)
{
	switch (o->wallet->kind) {
	case WALLET_P12:
		if (o->password_len > 0)
			return false;
		o->password = NULL;
		return true;
	case WALLET_SSO:
		return false;
	case WALLET_SSO_LOCAL:
		o->password = o->other_password;
		return true;
	}
	return false;
}

static int
check_mac(struct opener *o, PKCS12 *p12, const struct wallet_words *words)
{
	unsigned tries = 0;

	if (PKCS12_mac_present(p12) != 1)
		return fail(o,
		    "has no check sum under its password; make it "
		    "anew");
	do {
		if (spend_mac(o, p12) == -1)
			return -1;
		if (PKCS12_verify_mac(p12, o->password, o->password_len) == 1)
			return 0;
	} while (++tries < 2 && try_other(o));
	return wrong_password(o, words);
}

static int
open_p12(struct opener *o, const uint8_t *bytes, size_t len,
    const struct wallet_words *words)
{
	PKCS12 *p12 = PKCS12_init_ex(NID_pkcs7_data, o->library, NULL);
	const unsigned char *at = bytes;
	int rc;

	if (p12 == NULL)
		return out_of_memory(o);
	if (d2i_PKCS12(&p12, &at, (long)len) == NULL)
		return fail(o,
		    "the PKCS#12 in it cannot be read; copy it "
		    "again");
	if (at != bytes + len)
		rc = fail(o, "has bytes behind its end; copy it again");
	else if ((rc = check_mac(o, p12, words)) == 0)
		rc = take_safes(o, p12);
	PKCS12_free(p12);
	return rc;
}

static int
opener_start(struct opener *o)
{
	o->wallet->certs = sk_X509_new_null();
	o->library = OSSL_LIB_CTX_new();
	if (o->wallet->certs == NULL || o->library == NULL)
		return out_of_memory(o);
	o->usual = OSSL_PROVIDER_load(o->library, "default");
	if (o->usual == NULL)
		return out_of_memory(o);
	o->legacy = OSSL_PROVIDER_load(o->library, "legacy");
	ERR_clear_error();
	return 0;
}

static void
opener_end(struct opener *o)
{
	if (o->legacy != NULL)
		(void)OSSL_PROVIDER_unload(o->legacy);
	if (o->usual != NULL)
		(void)OSSL_PROVIDER_unload(o->usual);
	OSSL_LIB_CTX_free(o->library);
	ERR_clear_error();
}

int
wallet_read(struct wallet *w, const char *path, const uint8_t *bytes,
    size_t len, const struct wallet_words *words, struct err *err)
{
	struct opener o = { .wallet = w, .path = path, .err = err };
	struct wallet_head head = { .seal = "" };
	int rc = 0;

	*w = (struct wallet){ .seal = "" };
	o.password = words->password != NULL ? words->password : "";
	o.password_len = (int)words->password_len;
	if (wallet_head_recognise(bytes, len)) {
		rc = wallet_head_read(&head, path, bytes, len, words, err);
		w->kind = head.kind;
		w->seal = head.seal;
		o.password = (const char *)head.password;
		o.other_password = (const char *)head.other_password;
		o.password_len = WALLET_PASSWORD_LEN;
	}
	if (rc == 0)
		rc = opener_start(&o);
	if (rc == 0)
		rc =
		    open_p12(&o, bytes + head.length, len - head.length, words);
	opener_end(&o);
	OPENSSL_cleanse(&head, sizeof(head));
	if (rc == -1)
		wallet_fini(w);
	return rc;
}

void
wallet_fini(struct wallet *w)
{
	sk_X509_pop_free(w->certs, X509_free);
	EVP_PKEY_free(w->key);
	*w = (struct wallet){ .seal = "" };
}
