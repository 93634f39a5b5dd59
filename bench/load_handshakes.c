/*
 * load_handshakes.c - connections that are opened, have one trip and are
 * closed, so many at a time
 */
#include <sys/epoll.h>

#include <stdio.h>
#include <string.h>

#include "bench/load.h"

#define AT_ONCE  8u
#define PATIENCE 5  /* seconds for the last ones */
#define SHORT    10 /* milliseconds */

struct handshakes {
	size_t done;
	bool stop;
};

static bool
handshakes_secured(struct load *l, struct end *e)
{
	static const uint8_t question[MESSAGE];

	if (!e->front)
		return true;
	return end_write(e, question, MESSAGE) == (ssize_t)MESSAGE ||
	    load_fail(l, "a message was not taken whole");
}

/* The client has its answer: it goes, and another one comes. */
static bool
next_client(struct load *l, struct end *e)
{
	struct handshakes *h = l->of_mode;

	load_close(l, e);
	h->done++;
	return h->stop || load_open(l);
}

static bool
handshakes_ready(struct load *l, struct end *e, uint32_t events)
{
	ssize_t n = end_read(e, e->message + e->done, MESSAGE - e->done);

	(void)events;
	if (n < 0 && e->front)
		return load_fail(l, "the proxy closes");
	if (n < 0)
		load_close(l, e);
	if (n > 0)
		e->done += (size_t)n;
	if (n <= 0 || e->done < MESSAGE)
		return true;
	e->done = 0;
	if (e->front)
		return next_client(l, e);
	return end_write(e, e->message, MESSAGE) == (ssize_t)MESSAGE ||
	    load_fail(l, "an answer was not taken whole");
}

static const struct mode handshakes_mode = { handshakes_secured,
	handshakes_ready };

static bool
run_for(struct load *l, double until)
{
	while (clock_now() < until) {
		if (!load_turn(l, 0))
			return false;
	}
	return true;
}

/* A first while, of which nothing is kept, in which tickets are collected. */
static bool
handshakes_measure(struct load *l, struct handshakes *h)
{
	struct usage from, to;
	size_t done, secured, resumed;
	unsigned i;

	for (i = 0; i < AT_ONCE; i++) {
		if (!load_open(l))
			return false;
	}
	while (h->done < (size_t)AT_ONCE * 4) {
		if (!load_turn(l, 0))
			return false;
	}
	done = h->done;
	secured = l->secured;
	resumed = l->resumed;
	usage_read(&from, l->o->pid, l->o->ours);
	if (!run_for(l, from.at + l->o->seconds))
		return false;
	usage_read(&to, l->o->pid, l->o->ours);
	printf("handshakes=%zu secured=%zu resumed=%zu", h->done - done,
	    l->secured - secured, l->resumed - resumed);
	load_print(&from, &to);
	/* Nobody is cut off: a proxy may remember that against the server. */
	h->stop = true;
	while (l->live_fronts > 0 && clock_now() < to.at + PATIENCE) {
		if (!load_turn(l, SHORT))
			return false;
	}
	return true;
}

bool
run_handshakes(const struct options *o)
{
	struct handshakes h = { .done = 0 };
	struct load l;
	bool ok;

	ok = load_begin(&l, o, &handshakes_mode);
	l.of_mode = &h;
	ok = ok && handshakes_measure(&l, &h);
	load_end(&l);
	return ok;
}
