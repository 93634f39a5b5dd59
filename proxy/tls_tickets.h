/*
 * tls_tickets.h - tickets by which clients resume their sessions
 *
 * Sealed under the endpoint's own keys (ticket_keys.h), so one is good on each
 * thread of that endpoint and nowhere else, and not for longer than its key.
 * Where clients show certificates a ticket says until when the verdict on this
 * one holds, and is not taken after that: the handshake is a full one then.
 * No early data, ever.
 *
 * None is given where a protocol says so (neg_tls.no_resume), where a handshake
 * is carried in messages, or where TLS may stop.
 */
#ifndef PROXY_TLS_TICKETS_H
#define PROXY_TLS_TICKETS_H

#include <stdbool.h>

#include <openssl/ssl.h>

struct tls;
struct tls_context;
struct tls_tickets; /* of a context */

void tls_tickets_free(struct tls_tickets *k); /* accepts NULL; wipes */

/* Of a new connection with a client: whether it is given any. */
void tls_tickets_begin(struct tls *t);
/* When OpenSSL has done the handshake: takes over the verdict on the client's
 * certificate if it was a resumption.  False if that is not to be had. */
bool tls_tickets_check(struct tls *t) __attribute__((warn_unused_result));

#endif /* PROXY_TLS_TICKETS_H */
