/*
 * certfile.h - certificates, CRLs and keys out of files
 *
 * PEM (with text around the blocks, bag attributes, CRLF, any order,
 * duplicates) and DER; where it says so, wallets and the folders that they are
 * in.  Every error names the file and, where there are several, the block.
 * Files are opened at load and never again.
 */
#ifndef CONF_CERTFILE_H
#define CONF_CERTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "conf/err.h"
#include "conf/wallet_access.h"

/* Appends the certificates of a file to `to`, duplicates left out.  A private
 * key in it is an error: a `ca` file is read by many.  0, or -1 with `err`. */
int certfile_read_certs(const char *path, STACK_OF(X509) *to, struct err *err);
int certfile_read_crls(const char *path, STACK_OF(X509_CRL) *to,
    struct err *err);

/* As certfile_read_certs(); of a wallet, or a folder with one, all certificates
 * but those of its own key. */
int certfile_read_anchors(const char *path, const struct wallet_access *access,
    STACK_OF(X509) *to, struct err *err);

/* `path`, or where it is a folder, the wallet in it; to be freed. */
char *certfile_locate(const char *path, struct err *err);

/* A private key.  `password_file` NULL: it has none.  A key or password file
 * that others may read is refused (links are followed).  NULL with `err`. */
EVP_PKEY *certfile_read_key(const char *path, const char *password_file,
    struct err *err);

/* A certificate with its key and the chain to be sent. */
struct keypair {
	X509 *leaf;
	STACK_OF(X509) *chain; /* without the leaf */
	EVP_PKEY *key;
	_Atomic unsigned references;
};

/* `key_path` NULL: the key is in `cert_path` too, as it is in a wallet.  Files
 * as above; a key that does not belong to the certificate is refused too.
 * `access` may be NULL. */
struct keypair *keypair_load(const char *cert_path, const char *key_path,
    const struct wallet_access *access, struct err *err);
struct keypair *keypair_retain(struct keypair *k);
void keypair_release(struct keypair *k);

/*
 * certfile_facts.c: what is in a certificate, in words of printable ASCII.
 */

#define CERT_DIGEST_LEN 32

/* SHA-256 of the whole certificate, and of its public key (what pins name).
 * False, and zeroes, if memory is short. */
bool cert_fingerprint(const X509 *cert, uint8_t digest[CERT_DIGEST_LEN]);
bool cert_spki_digest(const X509 *cert, uint8_t digest[CERT_DIGEST_LEN]);

/* A name as one line, in the manner of RFC 2253. */
void cert_name_text(const X509_NAME *name, char *text, size_t size);
/* Any bytes, what is not printable as \xHH; never half an escape.  Returns the
 * length; `size` counts the NUL. */
size_t cert_text_escape(const void *bytes, size_t len, char *text, size_t size);

/* "2026-01-31T12:00:00Z"; "" if it is no date. */
#define CERT_TIME_MAX 32
void cert_time_text(const ASN1_TIME *at, char text[CERT_TIME_MAX]);

/* As the setting `pin` has it. */
#define CERT_PIN_PREFIX "sha256//"
#define CERT_PIN_MAX    (sizeof(CERT_PIN_PREFIX) + 44)
void cert_pin_text(const X509 *cert, char text[CERT_PIN_MAX]);

/* The names that a certificate carries, ", " between; "" if none (names.c). */
void cert_names_text(X509 *cert, char *text, size_t size);

/* "EC prime256v1", "RSA 2048". */
#define CERT_KEY_MAX 64
void cert_key_text(const EVP_PKEY *key, char text[CERT_KEY_MAX]);

/* One certificate, for people to read. */
struct cert_facts {
	char subject[256];
	char issuer[256];
	char names[512];
	char not_before[CERT_TIME_MAX];
	char not_after[CERT_TIME_MAX];
	char key[CERT_KEY_MAX];
	char pin[CERT_PIN_MAX];
	uint8_t sha256[CERT_DIGEST_LEN];
};
void cert_facts(X509 *cert, struct cert_facts *f);

#endif /* CONF_CERTFILE_H */
