/*
 * usage.h - who used the processors, and for how long
 *
 * A process is measured with its children and all their threads, to the
 * nanosecond while they live; of children that ended it is to the kernel's
 * ticks.  What the machine did for others is what it was busy with less what
 * ours took, in ticks.
 */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include <sys/types.h>

struct usage {
	double at;       /* seconds of a clock that never goes back */
	double measured; /* seconds of processor of the process */
	double ours;     /* the same of everything that is ours */
	double busy;     /* the same of the whole machine */
};

double clock_now(void);

/* `measured` and its children; `ours` is another such tree, that holds it. */
void usage_read(struct usage *u, pid_t measured, pid_t ours);

/* KiB of memory that the process and its children have for themselves. */
long usage_memory(pid_t pid);

/* Of a machine's processor, what others took between the two: 0.2 is a fifth
 * of one. */
double usage_others(const struct usage *from, const struct usage *to);

#endif
