/*
 * session.h - one client, one server, and what becomes of them
 *
 * A session has two legs, the same struct twice.  Its state is one enum, moved
 * by one function, checked against a table.  It is the only caller of
 * neg_step(), and the only one that ends anything: session_end() may be called
 * anywhere, any number of times; the first reason counts, one line is logged,
 * and memory is freed when the loop comes round, never in its own callback.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include "conf/endpoint.h"
#include "protocols/reason.h"

struct arrival; /* worker.h */
struct session;
struct worker;

/* Takes its descriptor.  A client that was not admitted is turned away in its
 * own protocol. */
void session_new(struct worker *w, const struct arrival *a);

/* Ends it now, whatever still waits to be sent, for a reason of ours:
 * REASON_DRAIN, REASON_KILLED.  Text may be NULL. */
void session_end(struct session *s, enum reason reason, const char *text);

/* When draining: a session that has not come to its relay is refused now, one
 * that relays is given its endpoint's `drain`. */
void session_drain(struct session *s);

/* Both for every session of a worker, on its thread. */
void session_drain_all(struct worker *w);
void session_end_all(struct worker *w, enum reason reason, const char *text);

/* Frees what has ended; the worker calls it from its loop. */
void session_reap(struct worker *w);

#endif /* PROXY_SESSION_H */
