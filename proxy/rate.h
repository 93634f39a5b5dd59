/*
 * rate.h - so many a second, and no more at once than in a second
 *
 * One number that all threads share: when the next would be due if they came
 * evenly.  No clock of its own and no lock.
 */
#ifndef PROXY_RATE_H
#define PROXY_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rate {
	atomic_uint_fast64_t due; /* nanoseconds of the caller's clock */
};

void rate_init(struct rate *r);

/* May one more come now?  `now` is in nanoseconds and never goes back by more
 * than threads differ; 0 a second: any number may. */
bool rate_take(struct rate *r, unsigned per_second, uint64_t now);

#endif /* PROXY_RATE_H */
