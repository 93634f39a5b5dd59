#include "bench/usage.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NANO     1e9
#define PATH_LEN 64
#define TEXT_LEN 65536
#define DECIMAL  10
#define DEPTH    8 /* children of children of ... */

/* Fields of /proc/PID/stat after the name, counted from 0. */
#define STAT_CUTIME 13u
#define STAT_CSTIME 14u

/* The first fields of /proc/stat: user nice system idle iowait irq softirq. */
#define BUSY_FIELDS 7u
#define BUSY_IDLE   3u
#define BUSY_IOWAIT 4u

typedef double visit_fn(pid_t pid);

static double
seconds_of(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) != 0)
		return 0;
	return (double)t.tv_sec + (double)t.tv_nsec / NANO;
}

double
clock_now(void)
{
	return seconds_of(CLOCK_MONOTONIC);
}

/* Empty if there is no such file, or no such process any more. */
static void
read_text(char text[TEXT_LEN], const char *path)
{
	FILE *f = fopen(path, "re");
	size_t n = 0;

	if (f != NULL) {
		n = fread(text, 1, TEXT_LEN - 1, f);
		(void)fclose(f);
	}
	text[n] = '\0';
}

static double
in_seconds(double ticks)
{
	return ticks / (double)sysconf(_SC_CLK_TCK);
}

/* What its children took that have ended. */
static double
ended_children(pid_t pid)
{
	char path[PATH_LEN], text[TEXT_LEN], *at;
	double ticks = 0;
	unsigned field;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	read_text(text, path);
	at = strrchr(text, ')');
	for (field = 0; at != NULL && field <= STAT_CSTIME; field++) {
		at = strchr(at + 1, ' ');
		if (at != NULL && field >= STAT_CUTIME)
			ticks += strtod(at, NULL);
	}
	return in_seconds(ticks);
}

static double
processor(pid_t pid)
{
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0)
		return 0;
	return seconds_of(clock) + ended_children(pid);
}

/* Of a process, and of all that it and its children have made and still have.
 */
static double
sum_of_tree(pid_t pid, visit_fn *visit, unsigned depth)
{
	char path[PATH_LEN], text[TEXT_LEN], *at = text, *end;
	double sum = visit(pid);
	long child;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
	    (int)pid, (int)pid);
	read_text(text, path);
	for (; depth > 0; at = end) {
		child = strtol(at, &end, DECIMAL);
		if (end == at)
			break;
		sum += sum_of_tree((pid_t)child, visit, depth - 1);
	}
	return sum;
}

static double
machine_busy(void)
{
	char text[TEXT_LEN], *at;
	double ticks = 0;
	unsigned i;

	read_text(text, "/proc/stat");
	at = strchr(text, ' ');
	for (i = 0; at != NULL && i < BUSY_FIELDS; i++) {
		double field = strtod(at, &at);

		if (i != BUSY_IDLE && i != BUSY_IOWAIT)
			ticks += field;
	}
	return in_seconds(ticks);
}

void
usage_read(struct usage *u, pid_t measured, pid_t ours)
{
	u->ours = sum_of_tree(ours, processor, DEPTH);
	u->busy = machine_busy();
	u->measured = sum_of_tree(measured, processor, DEPTH);
	u->at = clock_now();
}

double
usage_others(const struct usage *from, const struct usage *to)
{
	double took = to->at - from->at;
	double others = to->busy - from->busy - (to->ours - from->ours);

	return took > 0 && others > 0 ? others / took : 0;
}

/* Shared pages count in parts, so that children count once. */
static double
memory(pid_t pid)
{
	char path[PATH_LEN], text[TEXT_LEN];
	const char *at;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	read_text(text, path);
	at = strstr(text, "\nPss:");
	return at == NULL ? 0 : strtod(at + strlen("\nPss:"), NULL);
}

long
usage_memory(pid_t pid)
{
	return (long)sum_of_tree(pid, memory, DEPTH);
}
