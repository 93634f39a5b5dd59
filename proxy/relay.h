/*
 * relay.h - from here on bytes are only passed on
 *
 * Nothing is parsed and nothing copied that need not be.  All records of one
 * recv() are decrypted and sent by one send(), in full records where the other
 * leg has TLS; where neither has, a stream that comes in large pieces moves by
 * splice() through a pipe, for as long as it does.  A side that falls behind
 * stops the other: what waits for it is at most one recv().  An end of one
 * direction is passed on in order and the other goes on; an end without TLS's
 * close_notify is passed on as what it is, never as an orderly one.
 *
 * A direction may have units (units.h) that are to be watched for one that
 * wakes the negotiator.  Once either direction has ended nobody is woken any
 * more: with half a conversation there is nothing to be negotiated.  Where
 * units are taken, to be put in other words, that goes on to the end: only
 * what there is of a unit that never became whole passes as it is.
 */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include "proxy/leg.h"
#include "proxy/units.h"

/* What the sessions of one thread share. */
struct relay_buffers;
struct relay_buffers *relay_buffers_new(void);
void relay_buffers_free(struct relay_buffers *b); /* accepts NULL */
struct leg_buffers *relay_leg_buffers(struct relay_buffers *b);

/* One direction. */
struct relay_flow {
	struct leg *from;
	struct leg *to;
	uint64_t bytes;          /* sent on, as plaintext */
	uint8_t large_reads;     /* in a row; so many make it splice */
	bool splices;            /* through a pipe, where one is to be had */
	bool ended;              /* `from` has ended, and `to` was told */
	size_t appetite;         /* the most that is received at once */
	struct relay_pipe *pipe; /* lent while there are bytes in it */
	size_t piped;            /* bytes in the pipe */
	struct units *units;     /* shared by all that are not watched */
};

/* Between whom, and who is told. */
struct relay_events;
struct relay_setup {
	struct leg *leg[LEG_COUNT];               /* plain or secured */
	const struct neg_units *units[LEG_COUNT]; /* NULL: not watched */
	/* Whose units they are; must live as long as the relay if any are
	 * taken. */
	const struct negotiator *negotiator;
	bool deaf;            /* no unit wakes us */
	bool no_close_notify; /* see struct neg_ops */
	struct relay_buffers *buffers;
	const struct relay_events *events;
	void *arg;
};

struct relay {
	struct relay_flow flow[LEG_COUNT]; /* by the leg that it reads */
	struct relay_buffers *buffers;
	const struct negotiator *negotiator;
	bool no_close_notify;      /* an end without one is in order */
	bool running;              /* between relay_run() and relay_stop() */
	bool starved;              /* ... relay_start(), of memory */
	enum reason reason;        /* set by the first direction that ends */
	struct leg *failed;        /* what relay_start() met, for relay_run() */
	struct relay_flow *broken; /* ... by its units */
	int64_t last_ms;    /* when something last moved, CLOCK_MONOTONIC */
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
	/* A unit woke it, and it has been stopped.  All before that unit is on
	 * its way; rest[] is what was read and is not: of `from`, whose unit it
	 * is, from that unit on; of the other at most a unit's beginning.  The
	 * first is in the leg's buffers, to be forgotten there. */
	void (*woken)(struct relay *r, enum leg_id from,
	    const struct rd rest[LEG_COUNT], void *arg);
};

/*
 * Passes `unread` on, which came before.  False: a unit in it has woken us,
 * and `unread` is what remains, as rest[] is in relay_events.woken; there is
 * no relay.  True: relay_run() is next.  No events come from here.
 */
bool relay_start(struct relay *r, const struct relay_setup *setup,
    struct rd unread[LEG_COUNT]) __attribute__((warn_unused_result));
/* Takes over both legs until relay_stop().  Events may come before this
 * returns. */
void relay_run(struct relay *r);
/* Gives back what is borrowed; the legs are the caller's again. */
void relay_stop(struct relay *r);

/* How long nothing has moved, in seconds. */
double relay_silent(const struct relay *r);

/* The server has ended, and the client has taken all it said and not ended
 * itself: it may be gone without a word. */
bool relay_client_lingers(const struct relay *r);

int64_t relay_now_ms(void);

#endif /* PROXY_RELAY_H */
