/*
 * secrets.h - what a negotiator borrows that needs a key or cryptography
 *
 * One struct neg_services for each endpoint.  Where its engine gives clients
 * an RSA key of ours (a setting of the kind NEG_OPTION_RSA_PRIVATE) that is
 * the configured one, or else one that is made here, once, and is the same
 * for all endpoints that have none of their own.  Nothing changes after that:
 * threads share it without a lock.
 */
#ifndef PROXY_SECRETS_H
#define PROXY_SECRETS_H

#include <stddef.h>
#include <stdint.h>

#include "conf/endpoint.h"
#include "conf/err.h"

struct secrets;

/* May take a moment, if a key is to be made.  NULL with `err`.  `list` must
 * outlive what is returned. */
struct secrets *secrets_new(const struct endpoint *const *list, size_t n,
    struct err *err);
void secrets_free(struct secrets *s); /* accepts NULL */

/* By endpoint index; none is NULL. */
const struct neg_services *const *secrets_services(const struct secrets *s);

/* SHA-256 of the public key (SubjectPublicKeyInfo) that clients of this
 * endpoint may be given; NULL if its engine has no use for one. */
const uint8_t *secrets_rsa_sha256(const struct secrets *s, size_t endpoint);

#endif /* PROXY_SECRETS_H */
