/*
 * trust_expiry.h - until when the certificates of endpoints are good
 *
 * For those who log it and do not see OpenSSL.
 */
#ifndef CONF_TRUST_EXPIRY_H
#define CONF_TRUST_EXPIRY_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "conf/endpoint.h"

struct expiry {
	const struct endpoint *endpoint; /* the first that uses it */
	const char *what;  /* "ca", "identity", "client_tls", "client_tls.ca" */
	char subject[256]; /* printable ASCII */
	uint8_t sha256[32];
	time_t at;
};

/* Every certificate that ends at `before` or earlier, or has ended; those that
 * several endpoints share are told once. */
void endpoints_each_expiry(struct endpoint *const *list, size_t n,
    time_t before, void (*tell)(const struct expiry *x, void *arg), void *arg);

#endif /* CONF_TRUST_EXPIRY_H */
