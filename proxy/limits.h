/*
 * limits.h - who may come in: allow and deny lists, and how many at once
 *
 * Decided before a byte is read.  Counts are shared by all threads: of the
 * process and of each endpoint as atomics, of each client address (where an
 * endpoint limits those) in a table under a mutex.
 *
 * Behind load balancers that speak the PROXY protocol it takes two steps: the
 * peer of the socket is let in if it may say for whom it speaks, and has a
 * place from then on; its client is judged, and counted, once it has said so.
 */
#ifndef PROXY_LIMITS_H
#define PROXY_LIMITS_H

#include "conf/config.h"

struct limits;

/* `max_sessions`: of the process, resolved from the descriptor limit. */
struct limits *limits_new(const struct config *c, unsigned max_sessions);
void limits_free(struct limits *l);

/* REASON_NONE: admitted, and counted until limits_leave().  Otherwise
 * not_allowed (close without a word), limit or overload (tell the client); of
 * these two *why is which limit it was. */
enum reason limits_enter(struct limits *l, const struct endpoint *e,
    const struct address *peer, const char **why);
/* The second step, where the endpoint has proxy_accept: the same answers, of
 * the client; the place is there until limits_leave(), whatever they are. */
enum reason limits_announced(struct limits *l, const struct endpoint *e,
    const struct address *client, const char **why);
/* `client` is NULL if the second step has not been taken, or has refused. */
void limits_leave(struct limits *l, const struct endpoint *e,
    const struct address *client);
/* What limits_enter() has counted, and nothing else. */
void limits_turn_back(struct limits *l, const struct endpoint *e,
    const struct address *peer);

/* By allow and deny alone. */
bool limits_allow(const struct endpoint *e, const struct address *client);

/* Client addresses that are being counted, for each endpoint that does. */
size_t limits_clients(struct limits *l);

#endif /* PROXY_LIMITS_H */
