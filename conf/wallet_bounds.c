/*
 * wallet_bounds.c - how much work a sealed key or wallet asks for
 */
#include <openssl/asn1t.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "conf/wallet.h"

#define KEY_MAX (64 * 1024) /* RSA of 16384 bits has 10000 bytes */

long
wallet_rounds_of_integer(const ASN1_INTEGER *n)
{
	int64_t value;

	if (n == NULL)
		return 1;
	if (ASN1_INTEGER_get_int64(&value, n) != 1 || value < 0 ||
	    value > WALLET_ROUNDS_MAX)
		return WALLET_ROUNDS_MAX + 1;
	return (long)value;
}

static long
rounds_of_pbkdf2(const ASN1_TYPE *parameter)
{
	PBKDF2PARAM *kdf;
	long rounds = WALLET_ROUNDS_MAX + 1;

	kdf = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), parameter);
	if (kdf != NULL)
		rounds = wallet_rounds_of_integer(kdf->iter);
	PBKDF2PARAM_free(kdf);
	return rounds;
}

/* Of OpenSSL's own limit on its memory nothing follows for its time. */
static long
rounds_of_scrypt(const ASN1_TYPE *parameter)
{
	SCRYPT_PARAMS *kdf;
	long rounds = 1, n[3];
	size_t i;

	kdf =
	    ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), parameter);
	if (kdf == NULL)
		return WALLET_ROUNDS_MAX + 1;
	n[0] = wallet_rounds_of_integer(kdf->costParameter);
	n[1] = wallet_rounds_of_integer(kdf->blockSize);
	n[2] = wallet_rounds_of_integer(kdf->parallelizationParameter);
	SCRYPT_PARAMS_free(kdf);
	for (i = 0; i < 3; i++) {
		if (n[i] > WALLET_ROUNDS_MAX / rounds)
			return WALLET_ROUNDS_MAX + 1;
		rounds *= n[i] > 0 ? n[i] : 1;
	}
	return rounds;
}

static long
rounds_of_pbes2(const ASN1_TYPE *parameter)
{
	PBE2PARAM *pbe2;
	long rounds = WALLET_ROUNDS_MAX + 1;

	pbe2 = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), parameter);
	if (pbe2 == NULL)
		return rounds;
	if (OBJ_obj2nid(pbe2->keyfunc->algorithm) == NID_id_pbkdf2)
		rounds = rounds_of_pbkdf2(pbe2->keyfunc->parameter);
	else if (OBJ_obj2nid(pbe2->keyfunc->algorithm) == NID_id_scrypt)
		rounds = rounds_of_scrypt(pbe2->keyfunc->parameter);
	PBE2PARAM_free(pbe2);
	return rounds;
}

long
wallet_rounds(const X509_ALGOR *a)
{
	PBEPARAM *pbe;
	long rounds;

	if (OBJ_obj2nid(a->algorithm) == NID_pbes2)
		return rounds_of_pbes2(a->parameter);
	pbe = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), a->parameter);
	rounds = pbe == NULL ? WALLET_ROUNDS_MAX + 1
			     : wallet_rounds_of_integer(pbe->iter);
	PBEPARAM_free(pbe);
	return rounds;
}

/* Of a DSA or DH key OpenSSL computes the public half as it reads it, with
 * numbers of whatever size: hours, for a file of some kilobytes.  No TLS of
 * today has a use for them. */
bool
wallet_key_fits(const PKCS8_PRIV_KEY_INFO *info)
{
	const ASN1_OBJECT *kind = NULL;
	const unsigned char *bytes;
	int len = 0;

	if (PKCS8_pkey_get0(&kind, &bytes, &len, NULL, info) != 1 ||
	    len > KEY_MAX)
		return false;
	switch (OBJ_obj2nid(kind)) {
	case NID_rsaEncryption:
	case NID_rsassaPss:
	case NID_X9_62_id_ecPublicKey:
	case NID_ED25519:
	case NID_ED448:
		return true;
	default: /* any number of a file's */
		return false;
	}
}
