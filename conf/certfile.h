/*
 * certfile.h - certificates, CRLs and keys out of files
 *
 * PEM (with text around the blocks, bag attributes, CRLF, any order,
 * duplicates) and DER.  Every error names the file and, where there are
 * several, the block.  Files are opened at load and never again.
 */
#ifndef CONF_CERTFILE_H
#define CONF_CERTFILE_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "conf/err.h"

/* Appends the certificates of a file to `to`, duplicates left out.  A private
 * key in it is an error: a `ca` file is read by many.  0, or -1 with `err`. */
int certfile_read_certs(const char *path, STACK_OF(X509) *to, struct err *err);
int certfile_read_crls(const char *path, STACK_OF(X509_CRL) *to,
    struct err *err);

/* A certificate with its key and the chain to be sent. */
struct keypair {
	X509 *leaf;
	STACK_OF(X509) *chain; /* without the leaf */
	EVP_PKEY *key;
	_Atomic unsigned references;
};

/* `key_path` NULL: the key is in `cert_path` too.  `password_file` NULL: the
 * key has none.  A key or password file that others may read is refused
 * (links are followed); one that does not belong to the certificate is too. */
struct keypair *keypair_load(const char *cert_path, const char *key_path,
    const char *password_file, struct err *err);
struct keypair *keypair_retain(struct keypair *k);
void keypair_release(struct keypair *k);

#define CERT_DIGEST_LEN 32

/* SHA-256 of the whole certificate, and of its public key (what pins name). */
void cert_fingerprint(const X509 *cert, uint8_t digest[32]);
void cert_spki_digest(const X509 *cert, uint8_t digest[32]);

/* A name as one line of printable ASCII, in the manner of RFC 2253. */
void cert_name_text(const X509_NAME *name, char *text, size_t size);
/* Any bytes as printable ASCII, what is not as \xHH; never half an escape.
 * Returns the length; `size` counts the NUL. */
size_t cert_text_escape(const void *bytes, size_t len, char *text, size_t size);

#endif /* CONF_CERTFILE_H */
