/*
 * rsakey.h - RSA keys that passwords are sealed under, as MySQL has it
 *
 * Where a client's leg has no TLS and the server's has, caching_sha2_password
 * and sha256_password would have the client seal its password under the
 * server's key, which it cannot reach: it gets ours.  That key is of no
 * certificate, ever: what opens passwords must not also sign handshakes.
 *
 * All of it is RSA-OAEP with SHA-1, MGF1-SHA-1 and no label.  What fails says
 * that it failed and nothing else.  Shows no OpenSSL.
 */
#ifndef CONF_RSAKEY_H
#define CONF_RSAKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"
#include "protocols/bytes.h"

struct keypair;
struct rsakey; /* a private key; counted, and never changes */

#define RSAKEY_BITS_MIN   2048
#define RSAKEY_BITS_MAX   8192
#define RSAKEY_DIGEST_LEN 32

/* Of RSAKEY_BITS_MIN.  NULL with `err`. */
struct rsakey *rsakey_make(struct err *err);
/* From a file in PEM or DER, without a password; one that others may read is
 * refused.  NULL with `err`, which names the file. */
struct rsakey *rsakey_load(const char *path, struct err *err);
struct rsakey *rsakey_retain(struct rsakey *k);
void rsakey_release(struct rsakey *k); /* accepts NULL */

/* NULL: it was made. */
const char *rsakey_path(const struct rsakey *k);
/* PEM, "PUBLIC KEY". */
struct rd rsakey_public(const struct rsakey *k);
/* SHA-256 of the public key (SubjectPublicKeyInfo), as pins have it. */
const uint8_t *rsakey_sha256(const struct rsakey *k);
bool rsakey_is_of(const struct rsakey *k, const struct keypair *pair);

/* Opens what was sealed under it; false, and nothing written, if it cannot be
 * opened or there is no room. */
bool rsakey_open(const struct rsakey *k, struct rd sealed, struct wr *plain)
    __attribute__((warn_unused_result));

/* The same the other way, under anybody's public key in PEM. */
bool rsakey_seal(struct rd pem, struct rd plain, struct wr *sealed)
    __attribute__((warn_unused_result));

/*
 * Public keys in files: "PUBLIC KEY" or "RSA PUBLIC KEY", one, and no private
 * one beside it.
 */

/* As PEM, "PUBLIC KEY", with nothing around it; to be freed.  NULL with `err`,
 * which names the file. */
char *rsakey_read_public(const char *path, size_t *len, struct err *err);
/* False, and zeroes, if it is no such key. */
bool rsakey_public_sha256(struct rd pem, uint8_t digest[RSAKEY_DIGEST_LEN]);

#endif /* CONF_RSAKEY_H */
