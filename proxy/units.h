/*
 * units.h - where the units of a stream that is passed on begin
 *
 * Follows one direction of a relay as a protocol's struct neg_units asks: it
 * is shown the bytes of each receive, and says how many of them may pass.
 * Only the beginning of a unit is ever looked at, and only that is held back
 * while less of it has come than is to be judged; the rest of a unit is a
 * number that is counted down, so a large one costs nothing by its size.  A
 * unit that is taken is held back until it is whole: those are short.
 */
#ifndef PROXY_UNITS_H
#define PROXY_UNITS_H

#include "protocols/negotiator.h"
#include "proxy/queue.h"

struct units {
	const struct neg_units *ops;  /* NULL: all passes */
	uint64_t left;                /* of the unit that is passing */
	uint8_t before[NEG_HEAD_MAX]; /* the head of the last that passed */
	size_t nbefore;               /* ops->head, or 0: none has yet */
	size_t begun;                 /* units, in the last bytes that came */
	size_t taken;                 /* with UNITS_TAKE: how long it is */
	bool deaf;                    /* see units_deafen() */
	/* A unit's beginning, before it could be judged, or was whole. */
	struct queue held;
};

enum units_result {
	UNITS_PASS = 0,
	UNITS_TAKE,   /* the bytes that may not pass begin with that unit, of
	               * u->taken bytes; what follows it is given next */
	UNITS_WAKE,   /* ... with that unit */
	UNITS_BROKEN, /* ... with what cannot be one */
	UNITS_MEMORY, /* ... and cannot be held, for want of it */
};

/* From now on, at the beginning of a unit; `ops` may be NULL. */
void units_init(struct units *u, const struct neg_units *ops);
void units_fini(struct units *u);
/* From now on none of them wakes.  Those that are neither taken nor to be told
 * apart by whom they go to are then of no interest: all passes. */
void units_deafen(struct units *u);

/*
 * `bytes` has come, of which the first *pass may go on.  With UNITS_PASS the
 * few others, if any, are now in `held`: the next bytes are given with those
 * in front of them, and nothing is held by then.  Otherwise nothing is held,
 * and, unless a unit was taken, this is over.
 */
enum units_result units_follow(struct units *u, struct rd bytes, size_t *pass)
    __attribute__((warn_unused_result));

#endif /* PROXY_UNITS_H */
