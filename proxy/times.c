#include "proxy/times.h"

#include <time.h>

#define NSEC_PER_SEC 1e9
#define USEC_PER_SEC 1e6

double
times_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / NSEC_PER_SEC;
}

struct timeval
times_interval(double seconds)
{
	struct timeval tv = { .tv_sec = 0 };

	if (seconds <= 0)
		return tv;
	tv.tv_sec = (time_t)seconds;
	tv.tv_usec =
	    (suseconds_t)((seconds - (double)tv.tv_sec) * USEC_PER_SEC);
	return tv;
}
