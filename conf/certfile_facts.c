#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "conf/certfile.h"

bool
cert_fingerprint(const X509 *cert, uint8_t digest[CERT_DIGEST_LEN])
{
	if (X509_digest(cert, EVP_sha256(), digest, NULL) == 1)
		return true;
	memset(digest, 0, CERT_DIGEST_LEN);
	return false;
}

bool
cert_spki_digest(const X509 *cert, uint8_t digest[CERT_DIGEST_LEN])
{
	X509_PUBKEY *key = X509_get_X509_PUBKEY(cert);
	uint8_t *der = NULL;
	bool done;
	int len;

	len = key == NULL ? -1 : i2d_X509_PUBKEY(key, &der);
	done = len > 0 &&
	    EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL) == 1;
	if (!done)
		memset(digest, 0, CERT_DIGEST_LEN);
	OPENSSL_free(der);
	return done;
}

size_t
cert_text_escape(const void *bytes, size_t len, char *text, size_t size)
{
	const uint8_t *from = bytes;
	char one[8];
	size_t i, n, used = 0;

	for (i = 0; i < len; i++) {
		if (from[i] > ' ' - 1 && from[i] < 0x7f && from[i] != '\\')
			n = (size_t)snprintf(one, sizeof(one), "%c", from[i]);
		else
			n = (size_t)snprintf(one, sizeof(one), "\\x%02x",
			    from[i]);
		if (used + n >= size)
			break;
		memcpy(text + used, one, n);
		used += n;
	}
	if (size > 0)
		text[used] = '\0';
	return used;
}

void
cert_name_text(const X509_NAME *name, char *text, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *from = NULL;
	long len = 0;

	if (size > 0)
		text[0] = '\0';
	if (bio != NULL && name != NULL &&
	    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
		len = BIO_get_mem_data(bio, &from);
	if (len > 0 && size > 0) {
		/* RFC 2253 has escaped what is not printable. */
		len = (size_t)len < size ? len : (long)size - 1;
		memcpy(text, from, (size_t)len);
		text[len] = '\0';
	}
	BIO_free(bio);
}

void
cert_time_text(const ASN1_TIME *at, char text[CERT_TIME_MAX])
{
	struct tm tm;

	text[0] = '\0';
	if (at != NULL && ASN1_TIME_to_tm(at, &tm) == 1)
		(void)strftime(text, CERT_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void
cert_pin_text(const X509 *cert, char text[CERT_PIN_MAX])
{
	uint8_t digest[CERT_DIGEST_LEN];

	(void)cert_spki_digest(cert, digest);
	memcpy(text, CERT_PIN_PREFIX, sizeof(CERT_PIN_PREFIX));
	(void)EVP_EncodeBlock((unsigned char *)text + strlen(text), digest,
	    sizeof(digest));
}

void
cert_key_text(const EVP_PKEY *key, char text[CERT_KEY_MAX])
{
	const size_t size = CERT_KEY_MAX;
	char group[32];
	size_t len;

	if (key == NULL)
		(void)snprintf(text, size, "unreadable");
	else if (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1)
		(void)snprintf(text, size, "%s %s",
		    EVP_PKEY_get0_type_name(key), group);
	else
		(void)snprintf(text, size, "%s %d",
		    EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
}

void
cert_facts(X509 *cert, struct cert_facts *f)
{
	cert_name_text(X509_get_subject_name(cert), f->subject,
	    sizeof(f->subject));
	cert_name_text(X509_get_issuer_name(cert), f->issuer,
	    sizeof(f->issuer));
	cert_names_text(cert, f->names, sizeof(f->names));
	cert_time_text(X509_get0_notBefore(cert), f->not_before);
	cert_time_text(X509_get0_notAfter(cert), f->not_after);
	cert_key_text(X509_get0_pubkey(cert), f->key);
	(void)cert_fingerprint(cert, f->sha256);
	cert_pin_text(cert, f->pin);
}
