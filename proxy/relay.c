#include "proxy/relay.h"

#include <sys/queue.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How many full reads one callback may do before others have their turn. */
#define RELAY_TURNS 4
/* Units cost by their number, and there may be many in one recv(): with so many
 * the next takes less, so that others have their turn. */
#define RELAY_UNITS_MANY     256
#define RELAY_APPETITE_LEAST ((size_t)4 * 1024)
#define RELAY_APPETITE_FIRST ((size_t)16 * 1024)
/* So many large reads in a row, and a stream is worth a pipe; so many small
 * ones, and it is not: a pipe costs two calls more than it saves bytes. */
#define RELAY_SPLICE_AFTER 3
#define RELAY_SPLICE_LEAST ((size_t)64 * 1024)
#define RELAY_PIPE_SIZE    (1024 * 1024)
/* Pipes cost descriptors: a thread has at most this many.  One is lent for as
 * long as there are bytes in it, so few are needed. */
#define RELAY_PIPES_MAX 64

struct relay_pipe {
	SLIST_ENTRY(relay_pipe) link;
	int in;
	int out;
};

struct relay_buffers {
	struct leg_buffers leg;
	uint8_t rewritten[NEG_REWRITE_MAX];
	SLIST_HEAD(, relay_pipe) spare;
	unsigned pipes;    /* that exist, lent or spare */
	struct units none; /* of every stream that is not watched */
};

static void relay_readable(struct leg *leg, void *arg);
static void relay_flushed(struct leg *leg, void *arg);
static void relay_failed(struct leg *leg, void *arg);

static const struct leg_events relay_events = {
	.readable = relay_readable,
	.flushed = relay_flushed,
	.failed = relay_failed,
};

struct relay_buffers *
relay_buffers_new(void)
{
	/* Large, mostly untouched: the kernel gives pages as they are used */
	struct relay_buffers *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	SLIST_INIT(&b->spare);
	units_init(&b->none, NULL);
	return b;
}

static void
relay_pipe_free(struct relay_buffers *b, struct relay_pipe *p)
{
	(void)close(p->in);
	(void)close(p->out);
	free(p);
	b->pipes--;
}

void
relay_buffers_free(struct relay_buffers *b)
{
	struct relay_pipe *p;

	if (b == NULL)
		return;
	while ((p = SLIST_FIRST(&b->spare)) != NULL) {
		SLIST_REMOVE_HEAD(&b->spare, link);
		relay_pipe_free(b, p);
	}
	explicit_bzero(&b->leg, sizeof(b->leg));
	explicit_bzero(b->rewritten, sizeof(b->rewritten));
	free(b);
}

struct leg_buffers *
relay_leg_buffers(struct relay_buffers *b)
{
	return &b->leg;
}

/* An empty pipe is for the next one; one with bytes in it is for nobody. */
static void
relay_pipe_put(struct relay *r, struct relay_flow *f)
{
	if (f->pipe == NULL)
		return;
	if (f->piped == 0)
		SLIST_INSERT_HEAD(&r->buffers->spare, f->pipe, link);
	else
		relay_pipe_free(r->buffers, f->pipe);
	f->pipe = NULL;
	f->piped = 0;
}

static struct relay_pipe *
relay_pipe_new(struct relay_buffers *b)
{
	struct relay_pipe *p;
	int fds[2];

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) == -1) {
		free(p);
		return NULL;
	}
	/* Less than this is allowed to us now and then; it only costs speed. */
	(void)fcntl(fds[1], F_SETPIPE_SZ, RELAY_PIPE_SIZE);
	p->out = fds[0];
	p->in = fds[1];
	b->pipes++;
	return p;
}

/* False: none is to be had, and copying does as well. */
static bool
relay_pipe_get(struct relay *r, struct relay_flow *f)
{
	struct relay_buffers *b = r->buffers;

	if (f->pipe != NULL)
		return true;
	if ((f->pipe = SLIST_FIRST(&b->spare)) != NULL)
		SLIST_REMOVE_HEAD(&b->spare, link);
	else if (b->pipes < RELAY_PIPES_MAX)
		f->pipe = relay_pipe_new(b);
	return f->pipe != NULL;
}

int64_t
relay_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct relay_flow *
relay_flow_from(struct relay *r, const struct leg *leg)
{
	return r->flow[LEG_CLIENT].from == leg ? &r->flow[LEG_CLIENT]
					       : &r->flow[LEG_SERVER];
}

static bool
relay_is_client(const struct relay *r, const struct leg *leg)
{
	return r->flow[LEG_CLIENT].from == leg;
}

static void
relay_over(struct relay *r, enum reason reason)
{
	if (r->reason == REASON_NONE)
		r->reason = reason;
	r->events->over(r, r->arg);
}

/* A leg failed: by reset, by silence, or in its TLS. */
static void
relay_leg_failed(struct relay *r, struct leg *leg)
{
	bool client = relay_is_client(r, leg);
	struct leg_failure f = leg_failure(leg);

	r->detail = f.error == 0 ? f.tls.text : strerror(f.error);
	if (f.error == ETIMEDOUT)
		relay_over(r, REASON_KEEPALIVE);
	else if (f.error == ENOMEM) /* ours: nobody has reset anything */
		relay_over(r, REASON_INTERNAL);
	else if (f.error == 0)
		relay_over(r, f.tls.reason);
	else
		relay_over(r,
		    client ? REASON_CLIENT_RESET : REASON_SERVER_RESET);
}

/* One recv(), and in front of it what its units held back. */
static enum leg_result
relay_receive(struct relay_flow *f, struct rd *bytes, bool *more)
{
	enum leg_result result;
	struct units *u = f->units;

	result = leg_receive(f->from, f->appetite, bytes, more);
	if (u->held.len == 0 || result == LEG_WAIT)
		return result;
	*bytes =
	    leg_prepend(f->from, queue_data(&u->held), u->held.len, *bytes);
	queue_consume(&u->held, u->held.len);
	return result;
}

/* Whole units, if they are to be told apart.  False: `to` has failed. */
static bool
relay_put(struct relay *r, struct relay_flow *f, struct rd bytes)
{
	const struct neg_units *ops = f->units->ops;

	if (bytes.left == 0)
		return true;
	r->last_ms = relay_now_ms();
	f->bytes += bytes.left;
	if (ops != NULL && ops->whole_max > 0)
		return leg_send_units(f->to, ops, bytes);
	return leg_send(f->to, bytes.at, bytes.left);
}

/* What goes on in the place of a unit that was taken; false: it does itself. */
static bool
relay_rewrite(struct relay *r, const struct relay_flow *f, struct rd unit,
    struct rd *written)
{
	struct wr out = { .base = r->buffers->rewritten,
		.cap = sizeof(r->buffers->rewritten) };

	if (!f->units->ops->rewrite(r->negotiator, unit, &out) || out.full)
		return false;
	*written = wr_written(&out);
	return true;
}

/*
 * Sends `bytes` as far as their units let them go on, and leaves the rest
 * there.  What goes on as it came is sent in one piece, whatever was taken of
 * it for nothing.  False: `to` has failed.
 */
static bool
relay_follow(struct relay *r, struct relay_flow *f, struct rd *bytes,
    enum units_result *result)
{
	struct rd rest = *bytes, unit, written;
	size_t ready = 0, pass = rest.left, taken = 0;

	*result = UNITS_PASS;
	while (f->units->ops != NULL &&
	    (*result = units_follow(f->units, rest, &pass)) == UNITS_TAKE) {
		rd_skip(&rest, pass);
		unit = rd_take(&rest, f->units->taken);
		ready += pass;
		taken += f->units->begun + 1;
		if (!relay_rewrite(r, f, unit, &written)) {
			ready += unit.left;
			continue;
		}
		if (!relay_put(r, f, rd_take(bytes, ready)) ||
		    !relay_put(r, f, written))
			return false;
		rd_skip(bytes, unit.left);
		ready = 0;
	}
	f->units->begun += taken;
	return relay_put(r, f, rd_take(bytes, ready + pass));
}

/* A direction ends: from now on nobody is woken. */
static void
relay_deafen(struct relay *r)
{
	units_deafen(r->flow[LEG_CLIENT].units);
	units_deafen(r->flow[LEG_SERVER].units);
}

/* Nothing more comes of a unit: what there is of it goes on as it is. */
static bool
relay_put_held(struct relay_flow *f)
{
	struct queue *held = &f->units->held;
	bool ok;

	if (held->len == 0)
		return true;
	f->bytes += held->len;
	ok = leg_send(f->to, queue_data(held), held->len);
	queue_consume(held, held->len);
	return ok;
}

/*
 * `leg` takes no more bytes.  Servers often say why and close before they have
 * read all that was sent to them: what they said is still there to be read,
 * and the other side must get it.
 */
static void
relay_send_failed(struct relay *r, struct leg *leg)
{
	struct relay_flow *f = relay_flow_from(r, leg);
	enum leg_result result = LEG_OK;
	int error = leg->error;
	bool dead = error == EPIPE || error == ECONNRESET;
	enum units_result units;
	struct rd bytes;
	bool more;

	/* ... unless it would overtake what is in the pipe. */
	dead = dead && f->piped == 0;
	relay_deafen(r);
	while (dead && result == LEG_OK && !f->ended && !leg_blocked(f->to)) {
		result = relay_receive(f, &bytes, &more);
		if (result == LEG_WAIT)
			break; /* what is held stays so */
		dead =
		    relay_follow(r, f, &bytes, &units) && units == UNITS_PASS;
	}
	if (dead)
		(void)relay_put_held(f); /* it is over, whatever `to` says */
	leg->error = error;
	relay_leg_failed(r, leg);
}

/* Both directions have ended, and nothing waits: the end.  True: it is over. */
static bool
relay_check_end(struct relay *r)
{
	if (!r->flow[LEG_CLIENT].ended || !r->flow[LEG_SERVER].ended)
		return false;
	if (leg_blocked(r->flow[LEG_CLIENT].to) ||
	    leg_blocked(r->flow[LEG_SERVER].to))
		return false;
	relay_over(r, r->reason);
	return true;
}

/* The orderly end of one direction. */
static void
relay_end_flow(struct relay *r, struct relay_flow *f)
{
	if (r->reason == REASON_NONE)
		r->reason = relay_is_client(r, f->from) ? REASON_CLIENT_CLOSED
							: REASON_SERVER_CLOSED;
	f->ended = true;
	relay_pipe_put(r, f);
	leg_want_read(f->from, false);
	if (!leg_shutdown(f->to)) {
		relay_leg_failed(r, f->to);
		return;
	}
	if (!relay_check_end(r))
		r->events->half_ended(r, r->arg);
}

/* A stream that stopped without close_notify: what came of it is passed on,
 * but it must not look complete.  FIN on a leg without TLS would say that it
 * was, so that leg is reset; one with TLS ends without close_notify. */
static void
relay_truncated(struct relay *r, struct relay_flow *f)
{
	if (r->no_close_notify) {
		relay_end_flow(r, f);
		return;
	}
	relay_over(r,
	    relay_is_client(r, f->from) ? REASON_CLIENT_TRUNCATED
					: REASON_SERVER_TRUNCATED);
}

/* Its length is less than that of its head: nobody could tell where the next
 * one begins. */
static void
relay_broken(struct relay *r, struct relay_flow *f)
{
	r->detail = relay_is_client(r, f->from)
	    ? "the client sent a message of an impossible length"
	    : "the database server sent a message of an impossible length";
	relay_over(r, REASON_PROTOCOL);
}

static void
relay_starved(struct relay *r)
{
	r->detail = "out of memory";
	relay_over(r, REASON_INTERNAL);
}

static void
relay_wake(struct relay *r, struct relay_flow *f, struct rd bytes)
{
	enum leg_id from =
	    relay_is_client(r, f->from) ? LEG_CLIENT : LEG_SERVER;
	struct units *units = r->flow[leg_other(from)].units;
	struct units other = *units;
	struct rd rest[LEG_COUNT];

	/* `r` may be another relay by the time that all have read it. */
	units_init(units, NULL);
	relay_stop(r);
	rest[from] = bytes;
	rest[leg_other(from)] = (struct rd){ .at = queue_data(&other.held),
		.left = other.held.len };
	r->events->woken(r, from, rest, r->arg);
	units_fini(&other);
}

/* False: it is over, or was woken. */
static bool
relay_pass(struct relay *r, struct relay_flow *f, struct rd bytes)
{
	enum units_result result;

	if (!relay_follow(r, f, &bytes, &result)) {
		relay_send_failed(r, f->to);
		return false;
	}
	switch (result) {
	case UNITS_WAKE:
		relay_wake(r, f, bytes);
		return false;
	case UNITS_BROKEN:
		relay_broken(r, f);
		return false;
	case UNITS_MEMORY:
		relay_starved(r);
		return false;
	case UNITS_TAKE: /* those have gone on */
	case UNITS_PASS:
		break;
	}
	return true;
}

/* The last that comes of it; the same. */
static bool
relay_pass_last(struct relay *r, struct relay_flow *f, struct rd bytes)
{
	relay_deafen(r);
	if (!relay_pass(r, f, bytes))
		return false;
	if (relay_put_held(f))
		return true;
	relay_send_failed(r, f->to);
	return false;
}

/* With units to be watched a pipe would be in the way of waking. */
static bool
relay_may_splice(const struct relay *r, const struct relay_flow *f)
{
	return f->from->state == LEG_PLAIN && f->to->state == LEG_PLAIN &&
	    r->flow[LEG_CLIENT].units->ops == NULL &&
	    r->flow[LEG_SERVER].units->ops == NULL;
}

enum relay_next {
	RELAY_AGAIN = 0, /* there may be more to read */
	RELAY_REST,      /* not before an event says so */
	RELAY_OVER,      /* the relay, or this direction: touch nothing */
};

/* For now, or for good. */
static enum relay_next
relay_splice_stops(struct relay *r, struct relay_flow *f, int error)
{
	if (error == EAGAIN && leg_want_write(f->to, true)) {
		leg_want_read(f->from, false);
		return RELAY_REST;
	}
	f->to->error = error == EAGAIN ? ENOMEM : error;
	relay_send_failed(r, f->to);
	return RELAY_OVER;
}

/* Out of the pipe, as far as `to` takes it. */
static enum relay_next
relay_splice_out(struct relay *r, struct relay_flow *f)
{
	ssize_t n;

	while (f->piped > 0) {
		n = splice(f->pipe->out, NULL, f->to->fd, NULL, f->piped,
		    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return relay_splice_stops(r, f, n == 0 ? EPIPE : errno);
		f->piped -= (size_t)n;
		f->bytes += (size_t)n;
	}
	return RELAY_AGAIN;
}

/* Large ones count up to where it goes through a pipe, small ones down from
 * there to where it does not; before, they must come in a row. */
static void
relay_judge_read(struct relay_flow *f, size_t n)
{
	if (n >= RELAY_SPLICE_LEAST && f->large_reads < RELAY_SPLICE_AFTER)
		f->large_reads++;
	else if (n < RELAY_SPLICE_LEAST && !f->splices)
		f->large_reads = 0;
	else if (n < RELAY_SPLICE_LEAST)
		f->large_reads--;
	if (f->large_reads == RELAY_SPLICE_AFTER)
		f->splices = true;
	else if (f->large_reads == 0)
		f->splices = false;
}

static enum relay_next
relay_splice_in(struct relay *r, struct relay_flow *f)
{
	enum relay_next next;
	ssize_t n;

	n = splice(f->from->fd, NULL, f->pipe->in, NULL, RELAY_PIPE_SIZE,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n == -1 && errno == EINTR)
		return RELAY_AGAIN;
	if (n == -1 && errno == EAGAIN)
		return RELAY_REST;
	if (n == -1) {
		f->from->error = errno;
		relay_leg_failed(r, f->from);
		return RELAY_OVER;
	}
	if (n == 0) {
		relay_end_flow(r, f);
		return RELAY_OVER;
	}
	r->last_ms = relay_now_ms();
	f->piped += (size_t)n;
	relay_judge_read(f, (size_t)n);
	next = relay_splice_out(r, f);
	/* There is hardly more by now, and to ask would be one call more. */
	return next == RELAY_AGAIN && (size_t)n < RELAY_SPLICE_LEAST
	    ? RELAY_REST
	    : next;
}

static enum relay_next
relay_splice(struct relay *r, struct relay_flow *f)
{
	enum relay_next next = relay_splice_in(r, f);

	if (next != RELAY_OVER && f->piped == 0)
		relay_pipe_put(r, f);
	return next;
}

static void
relay_adapt(struct relay_flow *f)
{
	if (f->units->ops == NULL)
		f->appetite = LEG_RAW_MAX;
	else if (f->units->begun > RELAY_UNITS_MANY)
		f->appetite = RELAY_APPETITE_LEAST;
	else if (f->appetite < LEG_RAW_MAX)
		f->appetite *= 2;
}

/* One recv() passed on. */
static enum relay_next
relay_copy(struct relay *r, struct relay_flow *f)
{
	enum leg_result result;
	struct rd bytes;
	bool more = false, passed;
	size_t received;

	result = relay_receive(f, &bytes, &more);
	received = bytes.left;
	if (result == LEG_WAIT)
		return RELAY_REST;
	passed = result == LEG_OK ? relay_pass(r, f, bytes)
				  : relay_pass_last(r, f, bytes);
	if (!passed)
		return RELAY_OVER;
	switch (result) {
	case LEG_ENDED:
		relay_end_flow(r, f);
		return RELAY_OVER;
	case LEG_TRUNCATED:
		relay_truncated(r, f);
		return RELAY_OVER;
	case LEG_FAILED:
		relay_leg_failed(r, f->from);
		return RELAY_OVER;
	case LEG_OK:
	case LEG_WAIT:
		break;
	}
	relay_adapt(f);
	relay_judge_read(f, received);
	return more && f->appetite > RELAY_APPETITE_LEAST ? RELAY_AGAIN
							  : RELAY_REST;
}

static enum relay_next
relay_turn(struct relay *r, struct relay_flow *f)
{
	if (leg_blocked(f->to)) {
		leg_want_read(f->from, false);
		return RELAY_REST;
	}
	if (f->splices && relay_may_splice(r, f) && relay_pipe_get(r, f))
		return relay_splice(r, f);
	return relay_copy(r, f);
}

static void
relay_readable(struct leg *leg, void *arg)
{
	struct relay *r = arg;
	struct relay_flow *f = relay_flow_from(r, leg);
	enum relay_next next = RELAY_AGAIN;
	unsigned turn;

	for (turn = 0; turn < RELAY_TURNS && next == RELAY_AGAIN; turn++)
		next = relay_turn(r, f);
	/* Bytes wait for `to`: the next turn finds out too late. */
	if (next != RELAY_OVER && leg_blocked(f->to))
		leg_want_read(f->from, false);
}

/* What came sealed behind a handshake, or ended before we were here, has no
 * event to announce it. */
static void
relay_read_early(struct relay *r, struct relay_flow *f)
{
	if (f->from->early.len > 0 || f->from->ended)
		relay_readable(f->from, r);
}

/* `leg` takes bytes again: whoever sends to it may go on. */
static void
relay_flushed(struct leg *leg, void *arg)
{
	struct relay *r = arg;
	struct relay_flow *f = relay_flow_from(r, leg);

	f = f == &r->flow[LEG_CLIENT] ? &r->flow[LEG_SERVER]
				      : &r->flow[LEG_CLIENT];
	r->last_ms = relay_now_ms();
	if (relay_check_end(r))
		return;
	if (f->piped > 0) {
		if (relay_splice_out(r, f) != RELAY_AGAIN)
			return;
		relay_pipe_put(r, f);
	}
	if (f->ended)
		return;
	leg_want_read(f->from, true);
	relay_read_early(r, f);
}

static void
relay_failed(struct leg *leg, void *arg)
{
	relay_send_failed(arg, leg);
}

static void
relay_take_leg(struct relay *r, struct leg *leg)
{
	leg->events = &relay_events;
	leg->arg = r;
}

/* False: a unit woke us.  What else may happen is for relay_run(). */
static bool
relay_pass_unread(struct relay *r, struct relay_flow *f, struct rd *unread)
{
	enum units_result result;

	if (!relay_follow(r, f, unread, &result))
		r->failed = f->to;
	else if (result == UNITS_BROKEN || result == UNITS_MEMORY)
		r->broken = f;
	return result != UNITS_WAKE;
}

/* False: memory is short, which is for relay_run() to tell. */
static bool
relay_make_units(struct relay *r, struct relay_flow *f,
    const struct neg_units *ops)
{
	f->units = &r->buffers->none;
	if (r->starved || ops == NULL)
		return !r->starved;
	if ((f->units = malloc(sizeof(*f->units))) == NULL) {
		f->units = &r->buffers->none;
		r->starved = true;
		return false;
	}
	units_init(f->units, ops);
	return true;
}

/* There are none, either, of a relay that was never started. */
static void
relay_free_units(struct relay *r, struct relay_flow *f)
{
	if (f->units == NULL || f->units == &r->buffers->none)
		return;
	units_fini(f->units);
	free(f->units);
	f->units = &r->buffers->none;
}

bool
relay_start(struct relay *r, const struct relay_setup *setup,
    struct rd unread[LEG_COUNT])
{
	bool awake = false;
	size_t i;

	*r = (struct relay){
		.buffers = setup->buffers,
		.events = setup->events,
		.arg = setup->arg,
		.negotiator = setup->negotiator,
		.no_close_notify = setup->no_close_notify,
		.last_ms = relay_now_ms(),
	};
	/* Both directions before anything else: where one side takes no more
	 * bytes, what it said earlier must be ahead of what is still to be
	 * read of it. */
	for (i = 0; i < LEG_COUNT; i++) {
		r->flow[i].from = setup->leg[i];
		r->flow[i].to = setup->leg[leg_other((enum leg_id)i)];
		r->flow[i].appetite = RELAY_APPETITE_FIRST;
		if (!relay_make_units(r, &r->flow[i], setup->units[i]))
			continue;
		if (setup->deaf)
			units_deafen(r->flow[i].units);
		if (!relay_pass_unread(r, &r->flow[i], &unread[i]))
			awake = true;
	}
	if (!awake || r->failed != NULL || r->broken != NULL)
		return true;
	relay_stop(r); /* what is held is in `unread` as well */
	return false;
}

void
relay_run(struct relay *r)
{
	size_t i;

	r->running = true;
	for (i = 0; i < LEG_COUNT; i++)
		relay_take_leg(r, r->flow[i].from);
	if (r->starved) {
		relay_starved(r);
		return;
	}
	if (r->failed != NULL) {
		relay_send_failed(r, r->failed);
		return;
	}
	if (r->broken != NULL) {
		relay_broken(r, r->broken);
		return;
	}
	for (i = 0; i < LEG_COUNT; i++)
		leg_want_read(r->flow[i].from, !leg_blocked(r->flow[i].to));
	for (i = 0; i < LEG_COUNT && r->running; i++)
		relay_read_early(r, &r->flow[i]);
}

void
relay_stop(struct relay *r)
{
	r->running = false;
	relay_pipe_put(r, &r->flow[LEG_CLIENT]);
	relay_pipe_put(r, &r->flow[LEG_SERVER]);
	relay_free_units(r, &r->flow[LEG_CLIENT]);
	relay_free_units(r, &r->flow[LEG_SERVER]);
}

double
relay_silent(const struct relay *r)
{
	return (double)(relay_now_ms() - r->last_ms) / 1000;
}

bool
relay_client_lingers(const struct relay *r)
{
	const struct leg *client = r->flow[LEG_CLIENT].from;

	return r->flow[LEG_SERVER].ended && !r->flow[LEG_CLIENT].ended &&
	    !leg_blocked(client) && leg_in_flight(client) == 0;
}
