/*
 * times.h - seconds, as durations and deadlines are counted here
 */
#ifndef PROXY_TIMES_H
#define PROXY_TIMES_H

#include <sys/time.h>

/* CLOCK_MONOTONIC, in seconds. */
double times_now(void);

/* For libevent; a time that is over is no time at all. */
struct timeval times_interval(double seconds);

#endif /* PROXY_TIMES_H */
