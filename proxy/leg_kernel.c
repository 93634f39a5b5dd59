#include "proxy/leg_kernel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/ktls.h"

/* The kernel is asked for its count whenever so many records may have been
 * sealed since; what it may be short by then is added. */
#define KERNEL_ASK_RECORDS 32
#define KERNEL_ASK_MARGIN  (2 * KERNEL_ASK_RECORDS)
/* A peer that asks for our keys faster than it takes what we say. */
#define KERNEL_WAITING_MAX 4
/* So many records without data in a row, and others have their turn. */
#define KERNEL_CONTROL_TURNS 8
/* How long the kernel is given to pass on what it has sealed, at first and at
 * most. */
#define KERNEL_FLUSH_USEC     1000
#define KERNEL_FLUSH_USEC_MAX 64000

/* A record that the socket did not take, and what key follows it. */
struct kernel_waiting {
	struct records_orders orders;
	struct records_kernel_key key;
};

struct leg_kernel {
	struct ktls ktls;
	bool broken; /* only one direction could be given */
	bool closed; /* close_notify is among what waits, or was sent */
	/* Records that may have been sealed since the kernel was asked. */
	unsigned unseen;
	uint64_t told; /* of the present key's, to struct tls */
	size_t nwaiting;
	struct kernel_waiting waiting[KERNEL_WAITING_MAX];
	struct event again; /* whether all has been passed on to TCP */
	long again_usec;
};

static void
kernel_on_again(evutil_socket_t fd, short what, void *arg)
{
	struct leg *leg = arg;

	(void)fd;
	(void)what;
	(void)leg_finish(leg);
	if (leg->finished)
		leg->events->flushed(leg, leg->arg);
}

/*
 * Becoming one.
 */

static bool
kernel_is_due(const struct leg *leg)
{
	return leg->kernel_wanted && leg->kernel == NULL &&
	    leg->state == LEG_SECURED && !leg->shut && !leg->ended &&
	    leg->early.len == 0 && leg->unsent.len == 0 &&
	    tls_kernel_wanted(leg->tls) && tls_rests(leg->tls);
}

static enum ktls_result
kernel_arm(struct leg *leg, struct leg_kernel *k)
{
	struct records_kernel_key receive, send;
	enum ktls_result r = KTLS_UNCHANGED;

	if (tls_kernel_key(leg->tls, false, &receive) &&
	    tls_kernel_key(leg->tls, true, &send))
		r = ktls_arm(&k->ktls, leg->fd, &receive, &send);
	explicit_bzero(&receive, sizeof(receive));
	explicit_bzero(&send, sizeof(send));
	return r;
}

void
leg_kernel_try(struct leg *leg)
{
	struct leg_kernel *k;
	enum ktls_result r = KTLS_UNCHANGED;

	if (!kernel_is_due(leg))
		return;
	leg->kernel_wanted = false;
	if ((k = calloc(1, sizeof(*k))) == NULL ||
	    (r = kernel_arm(leg, k)) == KTLS_UNCHANGED) {
		free(k);
		return;
	}
	/* Whoever reads next is told so. */
	k->broken = r == KTLS_BROKEN;
	k->again_usec = KERNEL_FLUSH_USEC;
	(void)event_assign(&k->again, leg->base, -1, 0, kernel_on_again, leg);
	tls_kernel(leg->tls);
	leg->kernel = k;
	if (k->broken && leg->reading)
		leg_remind(leg);
}

size_t
leg_kernel_appetite(const struct leg *leg, size_t max)
{
	size_t lacks;

	if (!leg->kernel_wanted || leg->early.len > 0 || leg->unsent.len > 0 ||
	    !tls_kernel_wanted(leg->tls))
		return max;
	lacks = tls_lacks(leg->tls);
	return lacks > 0 && lacks < max ? lacks : max;
}

void
leg_kernel_free(struct leg *leg)
{
	struct leg_kernel *k = leg->kernel;

	leg->kernel = NULL;
	if (k == NULL)
		return;
	(void)event_del(&k->again);
	explicit_bzero(k, sizeof(*k));
	free(k);
}

/*
 * Orders of struct tls.
 */

static bool
kernel_fail(struct leg *leg, int error)
{
	struct records_orders last;

	(void)tls_kernel_failed(leg->tls, error, &last);
	/* If it can still be said. */
	ktls_forgive(&leg->kernel->ktls);
	if (last.type != 0 && leg->kernel->nwaiting == 0)
		(void)ktls_send_record(&leg->kernel->ktls, last.type,
		    last.bytes, last.len);
	return leg_fail(leg, 0); /* why TLS failed says more than errno */
}

enum kernel_sent {
	KERNEL_SENT = 0,
	KERNEL_LATER,
	KERNEL_FAILED, /* the leg has */
};

/* The key follows at once: nothing comes between it and its KeyUpdate. */
static enum kernel_sent
kernel_send_waiting(struct leg *leg, const struct kernel_waiting *w)
{
	struct ktls *k = &leg->kernel->ktls;

	if (ktls_send_record(k, w->orders.type, w->orders.bytes,
		w->orders.len) == -1) {
		if (errno == EAGAIN)
			return KERNEL_LATER;
		(void)leg_fail(leg, errno);
		return KERNEL_FAILED;
	}
	if (!w->orders.new_send_key)
		return KERNEL_SENT;
	leg->kernel->told = 0;
	if (ktls_send_key(k, &w->key))
		return KERNEL_SENT;
	(void)kernel_fail(leg, errno);
	return KERNEL_FAILED;
}

bool
leg_kernel_flush(struct leg *leg)
{
	struct leg_kernel *k = leg->kernel;
	enum kernel_sent sent = KERNEL_SENT;
	size_t done = 0;

	while (done < k->nwaiting && sent == KERNEL_SENT) {
		sent = kernel_send_waiting(leg, &k->waiting[done]);
		done += sent == KERNEL_SENT;
	}
	k->nwaiting -= done;
	memmove(k->waiting, k->waiting + done,
	    k->nwaiting * sizeof(*k->waiting));
	explicit_bzero(k->waiting + k->nwaiting, done * sizeof(*k->waiting));
	leg->owes = sent == KERNEL_LATER;
	if (leg->owes && !leg_want_write(leg, true))
		return kernel_fail(leg, ENOMEM);
	return sent != KERNEL_FAILED;
}

static bool
kernel_wait(struct leg *leg, const struct records_orders *orders)
{
	struct leg_kernel *k = leg->kernel;
	struct kernel_waiting *w;

	if (k->nwaiting == KERNEL_WAITING_MAX)
		return leg_fail(leg, ENOBUFS);
	w = &k->waiting[k->nwaiting];
	w->orders = *orders;
	/* By the time it is sent, the next but one may be known. */
	if (orders->new_send_key && !tls_kernel_key(leg->tls, true, &w->key))
		return kernel_fail(leg, ENOMEM);
	k->nwaiting++;
	return leg_kernel_flush(leg);
}

static bool
kernel_take_receive_key(struct leg *leg)
{
	struct records_kernel_key key;
	bool taken;
	int error;

	taken = tls_kernel_key(leg->tls, false, &key) &&
	    ktls_receive_key(&leg->kernel->ktls, &key);
	error = errno;
	explicit_bzero(&key, sizeof(key));
	return taken || kernel_fail(leg, error);
}

static bool
kernel_obey(struct leg *leg, const struct records_orders *orders)
{
	if (orders->new_receive_key && !kernel_take_receive_key(leg))
		return false;
	/* After close_notify there is nothing more to be said. */
	if (orders->type == 0 || leg->kernel->closed)
		return true;
	return kernel_wait(leg, orders);
}

/*
 * Receiving.
 */

/* LEG_OK: go on. */
static enum leg_result
kernel_control(struct leg *leg, uint8_t type, const uint8_t *bytes, size_t len)
{
	struct records_orders orders;
	enum tls_result r;
	bool obeyed;

	r = tls_kernel_control(leg->tls, type, bytes, len, &orders);
	obeyed = kernel_obey(leg, &orders);
	switch (r) {
	case TLS_ENDED:
		leg->ended = true;
		return LEG_ENDED;
	case TLS_FAILED:
		leg->error = 0;
		return LEG_FAILED;
	case TLS_DONE:
	case TLS_MORE:
		break;
	}
	return obeyed ? LEG_OK : LEG_FAILED;
}

static enum leg_result
kernel_receive_failed(struct leg *leg)
{
	switch (errno) {
	case EAGAIN:
		return LEG_WAIT;
	case EBADMSG:
	case EMSGSIZE:
	case EINVAL:
	case EKEYEXPIRED:
	case EIO:
		(void)kernel_fail(leg, errno);
		return LEG_FAILED;
	}
	(void)leg_fail(leg, errno);
	return LEG_FAILED;
}

/* One record that is no data, or as much data as is there.  LEG_OK: `*n` bytes
 * of data, if any. */
static enum leg_result
kernel_receive_one(struct leg *leg, uint8_t *place, size_t cap, size_t *n)
{
	enum leg_result r;
	uint8_t type;
	ssize_t got;

	*n = 0;
	if ((got = ktls_receive(&leg->kernel->ktls, place, cap, &type)) == -1)
		return kernel_receive_failed(leg);
	if (type == KTLS_EOF)
		return LEG_TRUNCATED;
	if (type == KTLS_DATA) {
		*n = (size_t)got;
		return LEG_OK;
	}
	r = kernel_control(leg, type, place, (size_t)got);
	explicit_bzero(place, (size_t)got); /* a ticket */
	return r;
}

/* What is no data is to come whole, however little more of that is wanted: half
 * an alert is none, and half a KeyUpdate may be followed by another. */
static size_t
kernel_room(size_t wanted)
{
	_Static_assert(LEG_RAW_MAX + TLS_RECORD_MAX <= LEG_PLAIN_MAX,
	    "it fits, whatever was wanted");
	return wanted > TLS_RECORD_MAX ? wanted : TLS_RECORD_MAX;
}

/*
 * Until nothing more is there, for that has to be seen: a KeyUpdate behind data
 * is opened together with it, and the kernel does not say that it is there.
 * Behind a record without data nothing has been opened.
 */
enum leg_result
leg_kernel_receive(struct leg *leg, size_t max, struct rd *out, bool *more)
{
	uint8_t *place = leg->buffers->plain + LEG_HEADROOM;
	enum leg_result r = LEG_OK;
	size_t len = 0, n = 0;
	unsigned records = 0;

	if (leg->kernel->broken) {
		(void)kernel_fail(leg, ENOMEM);
		return LEG_FAILED;
	}
	if (max > LEG_RAW_MAX)
		max = LEG_RAW_MAX;
	while (r == LEG_OK && len < max &&
	    (records < KERNEL_CONTROL_TURNS || !tls_rests(leg->tls))) {
		r = kernel_receive_one(leg, place + len, kernel_room(max - len),
		    &n);
		len += n;
		records += n == 0;
	}
	*more = r == LEG_OK;
	*out = (struct rd){ .at = place, .left = len };
	return r == LEG_WAIT && len > 0 ? LEG_OK : r;
}

/*
 * Sending.
 */

ssize_t
leg_kernel_send(struct leg *leg, const uint8_t *bytes, size_t len)
{
	ssize_t n = ktls_send(&leg->kernel->ktls, bytes, len);

	if (n > 0)
		leg->kernel->unseen += (unsigned)(n / TLS_RECORD_MAX) + 1;
	return n;
}

bool
leg_kernel_sent(struct leg *leg)
{
	struct leg_kernel *k = leg->kernel;
	struct records_orders orders;
	uint64_t sealed, news;

	if (k->unseen < KERNEL_ASK_RECORDS || k->nwaiting > 0)
		return true;
	k->unseen = 0;
	if (!ktls_sealed(&k->ktls, &sealed))
		return kernel_fail(leg, errno);
	/* What will be sealed before it is asked again is counted by now. */
	news = sealed + KERNEL_ASK_MARGIN - k->told;
	k->told += news;
	if (tls_kernel_sealed(leg->tls, news, &orders) == TLS_FAILED)
		return leg_fail(leg, 0);
	return kernel_obey(leg, &orders);
}

bool
leg_kernel_holds(const struct leg *leg)
{
	return !ktls_flushed(&leg->kernel->ktls) && !leg_is_dead(leg);
}

/* Whether the kernel has gone on is not announced, so it is asked again. */
static void
kernel_ask_again(struct leg *leg)
{
	struct leg_kernel *k = leg->kernel;
	const struct timeval in = { .tv_usec = k->again_usec };

	if (k->again_usec < KERNEL_FLUSH_USEC_MAX)
		k->again_usec *= 2;
	(void)event_add(&k->again, &in);
}

enum leg_kernel_end
leg_kernel_close(struct leg *leg)
{
	struct leg_kernel *k = leg->kernel;
	struct records_orders orders;

	if (!k->closed) {
		tls_kernel_close(leg->tls, &orders);
		if (orders.type != 0 && !kernel_wait(leg, &orders))
			return LEG_KERNEL_FAILED;
		k->closed = true;
	}
	if (k->nwaiting > 0)
		return LEG_KERNEL_LATER;
	if (!leg_kernel_holds(leg))
		return LEG_KERNEL_CLOSED;
	kernel_ask_again(leg);
	return LEG_KERNEL_LATER;
}
