/*
 * wallet_write.c - an auto-login wallet, as Oracle's own tool writes it
 *
 * With 3DES and SHA-1, which every Oracle client opens, however old; nothing
 * is lost by that: whoever has the file has its password as well.
 */
#include <limits.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>

#include "conf/wallet.h"

#define ROUNDS 10000
#define CIPHER NID_pbe_WithSHA1And3_Key_TripleDES_CBC

/* Certificates and a key each in a safe of their own; a key is shrouded, the
 * certificates are enciphered as a whole. */
static bool
add_certs(STACK_OF(PKCS7) **safes, STACK_OF(X509) *certs, EVP_PKEY *key,
    const char *password)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	PKCS12_SAFEBAG *bag;
	unsigned char id[] = { 1 };
	bool ok = true;
	int i;

	for (i = 0; i < sk_X509_num(certs) && ok; i++) {
		X509 *cert = sk_X509_value(certs, i);

		bag = PKCS12_add_cert(&bags, cert);
		ok = bag != NULL;
		if (ok && key != NULL && X509_check_private_key(cert, key) == 1)
			ok = PKCS12_add_localkeyid(bag, id, sizeof(id)) == 1;
	}
	ok = ok && PKCS12_add_safe(safes, bags, CIPHER, ROUNDS, password) == 1;
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return ok;
}

static bool
add_key(STACK_OF(PKCS7) **safes, EVP_PKEY *key, const char *password)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	PKCS12_SAFEBAG *bag;
	unsigned char id[] = { 1 };
	bool ok;

	bag = PKCS12_add_key(&bags, key, 0, ROUNDS, CIPHER, password);
	ok = bag != NULL && PKCS12_add_localkeyid(bag, id, sizeof(id)) == 1 &&
	    PKCS12_add_safe(safes, bags, -1, 0, NULL) == 1;
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return ok;
}

static PKCS12 *
make_p12(STACK_OF(X509) *certs, EVP_PKEY *key, const char *password)
{
	STACK_OF(PKCS7) *safes = NULL;
	PKCS12 *p12 = NULL;

	if (add_certs(&safes, certs, key, password) &&
	    (key == NULL || add_key(&safes, key, password)))
		p12 = PKCS12_add_safes(safes, 0);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	if (p12 != NULL &&
	    PKCS12_set_mac(p12, password, -1, NULL, 0, ROUNDS, EVP_sha1()) !=
		1) {
		PKCS12_free(p12);
		p12 = NULL;
	}
	return p12;
}

uint8_t *
wallet_make(STACK_OF(X509) *certs, EVP_PKEY *key, size_t *len, struct err *err)
{
	char password[WALLET_PASSWORD_LEN + 1] = "";
	uint8_t head[WALLET_HEAD_LEN], *whole = NULL;
	unsigned char *at;
	struct wallet_head h;
	PKCS12 *p12 = NULL;
	int n = 0;

	if (wallet_head_make(&h, head, err) == -1)
		return NULL;
	memcpy(password, h.password, WALLET_PASSWORD_LEN);
	p12 = make_p12(certs, key, password);
	if (p12 != NULL)
		n = i2d_PKCS12(p12, NULL);
	if (n > 0 &&
	    (whole = OPENSSL_malloc(sizeof(head) + (size_t)n)) != NULL) {
		memcpy(whole, head, sizeof(head));
		at = whole + sizeof(head);
		(void)i2d_PKCS12(p12, &at);
		*len = sizeof(head) + (size_t)n;
	}
	if (whole == NULL)
		(void)err_set(err, "the wallet could not be made: %s",
		    ERR_peek_error() == 0
			? "out of memory"
			: ERR_reason_error_string(ERR_peek_error()));
	ERR_clear_error();
	PKCS12_free(p12);
	OPENSSL_cleanse(&h, sizeof(h));
	OPENSSL_cleanse(head, sizeof(head));
	OPENSSL_cleanse(password, sizeof(password));
	return whole;
}
