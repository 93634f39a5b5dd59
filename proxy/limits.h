/*
 * limits.h - who may come in: allow and deny lists, and how many at once
 *
 * Decided before a byte is read.  Counts are shared by all threads: of the
 * process and of each endpoint as atomics, of each client address (where an
 * endpoint limits those) in a table under a mutex.
 */
#ifndef PROXY_LIMITS_H
#define PROXY_LIMITS_H

#include "conf/config.h"

struct limits;

/* `max_sessions`: of the process, resolved from the descriptor limit. */
struct limits *limits_new(const struct config *c, unsigned max_sessions);
void limits_free(struct limits *l);

/* REASON_NONE: admitted, and counted until limits_leave().  Otherwise
 * not_allowed (close without a word), limit or overload (tell the client). */
enum reason limits_enter(struct limits *l, const struct endpoint *e,
    const struct address *client);
void limits_leave(struct limits *l, const struct endpoint *e,
    const struct address *client);

/* By allow and deny alone. */
bool limits_allow(const struct endpoint *e, const struct address *client);

/* Client addresses that are being counted, for each endpoint that does. */
size_t limits_clients(struct limits *l);

#endif /* PROXY_LIMITS_H */
