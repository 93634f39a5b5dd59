/*
 * relay.h - from here on bytes are only passed on
 *
 * Nothing is parsed and nothing copied that need not be.  All records of one
 * recv() are decrypted and sent by one send(), in full records where the other
 * leg has TLS; where neither has, a stream that keeps the buffer full moves by
 * splice() through a pipe.  A side that falls behind stops the other: what
 * waits for it is at most one recv().  An end of one direction is passed on in
 * order and the other goes on; an end without TLS's close_notify is passed on
 * as what it is, never as an orderly one.
 */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include "proxy/leg.h"

/* What the sessions of one thread share. */
struct relay_buffers;
struct relay_buffers *relay_buffers_new(void);
void relay_buffers_free(struct relay_buffers *b); /* accepts NULL */
struct leg_buffers *relay_leg_buffers(struct relay_buffers *b);

/* One direction. */
struct relay_flow {
	struct leg *from;
	struct leg *to;
	uint64_t bytes;          /* passed on, as plaintext */
	unsigned full_reads;     /* in a row; many make it splice */
	bool ended;              /* `from` has ended, and `to` was told */
	struct relay_pipe *pipe; /* NULL: copying */
	size_t piped;            /* bytes in the pipe */
};

struct relay_events;
struct relay {
	struct relay_flow flow[LEG_COUNT]; /* by the leg that it reads */
	struct relay_buffers *buffers;
	int64_t last_ms;    /* when something last moved, CLOCK_MONOTONIC */
	enum reason reason; /* set by the first direction that ends */
	const char *detail; /* why a leg failed; lives as long as the legs */
	const struct relay_events *events;
	void *arg;
};

/* Told to the session. */
struct relay_events {
	/* One direction ended in order, the other goes on. */
	void (*half_ended)(struct relay *r, void *arg);
	/* It is over, and `reason` is final.  In order if both flows ended;
	 * otherwise neither leg may be left to look complete. */
	void (*over)(struct relay *r, void *arg);
};

/* Takes over both legs, which are plain or secured, until relay_stop().
 * `unread` came before and is passed on first.  Events may come before this
 * returns. */
void relay_start(struct relay *r, struct leg *client, struct leg *server,
    const struct rd unread[LEG_COUNT], struct relay_buffers *buffers,
    const struct relay_events *events, void *arg);
/* Gives back what is borrowed; the legs are the caller's again. */
void relay_stop(struct relay *r);

/* How long nothing has moved, in seconds. */
double relay_silent(const struct relay *r);

/* The server has ended, and the client has taken all it said and not ended
 * itself: it may be gone without a word. */
bool relay_client_lingers(const struct relay *r);

int64_t relay_now_ms(void);

#endif /* PROXY_RELAY_H */
