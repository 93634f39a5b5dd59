/*
 * members.h - which listen address stands for which server, in words
 *
 * Where an engine's settings make pairs of the two, its negotiators tell
 * clients the one in the place of the other.  Made once, at start, and constant
 * from then on.
 */
#ifndef PROXY_MEMBERS_H
#define PROXY_MEMBERS_H

#include "conf/endpoint.h"

struct members;

/* Of an endpoint with endpoint_pairs(), which must outlive it.  NULL if memory
 * is short. */
struct members *members_new(const struct endpoint *e);
void members_free(struct members *m); /* accepts NULL */

/* What its negotiators are lent; NULL for NULL. */
const struct neg_members *members_lend(const struct members *m);

#endif /* PROXY_MEMBERS_H */
