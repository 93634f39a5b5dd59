/*
 * load_trips.c - 64 bytes there and back, on all connections at once; and
 * connections that had one such trip and are idle
 */
#include <sys/epoll.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load.h"

#define SAMPLES  ((size_t)1 << 20) /* trips whose time is kept */
#define MICRO    1e6
#define LATE     0.99
#define WARM     16u /* connections that came and went before */
#define SETTLING 100 /* milliseconds between two looks at the memory */
#define LOOKS    50u
#define RESTING  30u /* such times until connections count as idle */

struct trips {
	double *took;
	size_t count;
	bool again; /* what has come back is sent once more */
};

static bool
ask(struct load *l, struct end *e)
{
	e->done = 0;
	e->sent_at = clock_now();
	memset(e->message, (int)(e->number & 0xff), MESSAGE);
	return end_write(e, e->message, MESSAGE) == (ssize_t)MESSAGE ||
	    load_fail(l, "a message was not taken whole");
}

static bool
answered(struct load *l, struct end *e)
{
	struct trips *t = l->of_mode;

	if (!e->front)
		return end_write(e, e->message, MESSAGE) == (ssize_t)MESSAGE ||
		    load_fail(l, "an answer was not taken whole");
	if (t->took != NULL)
		t->took[t->count % SAMPLES] = clock_now() - e->sent_at;
	t->count++;
	return !t->again || ask(l, e);
}

static bool
trips_secured(struct load *l, struct end *e)
{
	(void)l;
	(void)e;
	return true;
}

static bool
trips_ready(struct load *l, struct end *e, uint32_t events)
{
	ssize_t n;

	(void)events;
	while ((n = end_read(e, e->message + e->done, MESSAGE - e->done)) > 0) {
		e->done += (size_t)n;
		if (e->done < MESSAGE)
			continue;
		e->done = 0;
		if (!answered(l, e))
			return false;
	}
	return n == 0 || load_fail(l, "the proxy closes");
}

static const struct mode trips_mode = { trips_secured, trips_ready };

static bool
ask_all(struct load *l)
{
	struct end *e;

	for (e = l->ends; e != NULL; e = e->next) {
		if (e->front && !ask(l, e))
			return false;
	}
	return true;
}

/* Until the last of them is back. */
static bool
wait_all(struct load *l, size_t count)
{
	const struct trips *t = l->of_mode;

	while (t->count < count) {
		if (!load_turn(l, SETTLING))
			return false;
	}
	return true;
}

static int
by_size(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void
print_trips(struct trips *t)
{
	size_t n = t->count < SAMPLES ? t->count : SAMPLES;

	if (n == 0)
		return;
	qsort(t->took, n, sizeof(*t->took), by_size);
	printf("trips=%zu p50=%.2f p99=%.2f", t->count, t->took[n / 2] * MICRO,
	    t->took[(size_t)((double)n * LATE)] * MICRO);
}

static bool
trips_measure(struct load *l, struct trips *t)
{
	struct usage from, to;

	/* Once around first: what is done once per session is behind then. */
	if (!ask_all(l) || !wait_all(l, l->o->connections))
		return false;
	t->count = 0;
	t->again = true;
	usage_read(&from, l->o->pid, l->o->ours);
	if (!ask_all(l))
		return false;
	while (clock_now() < from.at + l->o->seconds) {
		if (!load_turn(l, 0))
			return false;
	}
	usage_read(&to, l->o->pid, l->o->ours);
	print_trips(t);
	load_print(&from, &to);
	return true;
}

bool
run_trips(const struct options *o)
{
	struct trips t = { .took = malloc(SAMPLES * sizeof(double)) };
	struct load l;
	bool ok;

	ok = load_begin(&l, o, &trips_mode);
	l.of_mode = &t;
	ok = ok && t.took != NULL && load_open_all(&l, o->connections) &&
	    trips_measure(&l, &t);
	load_end(&l);
	free(t.took);
	return ok;
}

/* --- idle */

/* Idle is who has been for a while. */
static bool
rest(struct load *l)
{
	unsigned i;

	for (i = 0; i < RESTING; i++) {
		if (!load_turn(l, SETTLING))
			return false;
	}
	return true;
}

/* What it is when it has stopped changing, or at least has been waited for. */
static bool
settled_memory(struct load *l, long *kib)
{
	long before;
	unsigned i;

	*kib = usage_memory(l->o->pid);
	for (i = 0; i < LOOKS; i++) {
		before = *kib;
		if (!load_turn(l, SETTLING))
			return false;
		*kib = usage_memory(l->o->pid);
		if (*kib == before)
			return true;
	}
	return true;
}

/* Some connections that end again, by whose first use nobody is charged. */
static bool
warm_up(const struct options *o)
{
	struct options few = *o;
	struct trips t = { .count = 0 };
	struct load l;
	bool ok;

	few.connections = WARM;
	ok = load_begin(&l, &few, &trips_mode);
	l.of_mode = &t;
	ok = ok && load_open_all(&l, WARM) && ask_all(&l) && wait_all(&l, WARM);
	load_end(&l);
	return ok;
}

bool
run_idle(const struct options *o)
{
	struct trips t = { .count = 0 };
	long before = 0, after = 0;
	struct load l;
	bool ok;

	if (!warm_up(o))
		return false;
	ok = load_begin(&l, o, &trips_mode);
	l.of_mode = &t;
	ok = ok && settled_memory(&l, &before) &&
	    load_open_all(&l, o->connections) && ask_all(&l) &&
	    wait_all(&l, o->connections) && rest(&l) &&
	    settled_memory(&l, &after);
	load_end(&l);
	if (ok)
		printf("connections=%zu base_kib=%ld grown_kib=%ld\n",
		    o->connections, before, after - before);
	return ok;
}
