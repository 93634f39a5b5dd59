/*
 * cancels.h - which session is at which address, by the key its cancels carry
 *
 * A cancel request comes on a connection of its own, to any thread, and must
 * reach the address where its session is, however the name resolves by then.
 * The table is bounded (the oldest entry gives way) and guarded by a mutex.
 */
#ifndef PROXY_CANCELS_H
#define PROXY_CANCELS_H

#include "conf/endpoint.h"
#include "protocols/negotiator.h"

struct cancels;

struct cancels *cancels_new(size_t max);
void cancels_free(struct cancels *c);

void cancels_add(struct cancels *c, const struct endpoint *e,
    const struct neg_key *key, const struct address *address, size_t server);
/* Only the entry with this address goes: a key may have come anew. */
void cancels_remove(struct cancels *c, const struct endpoint *e,
    const struct neg_key *key, const struct address *address);
bool cancels_find(struct cancels *c, const struct endpoint *e, struct rd key,
    struct address *address, size_t *server);

#endif /* PROXY_CANCELS_H */
