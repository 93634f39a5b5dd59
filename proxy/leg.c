#include "proxy/leg.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

/* What may wait for a peer that does not read: one recv() of the other leg,
 * sealed, twice over.  The relay stops reading long before. */
#define LEG_UNSENT_MAX (2 * LEG_SEALED_MAX)

static void leg_on_readable(evutil_socket_t fd, short what, void *arg);
static void leg_on_writable(evutil_socket_t fd, short what, void *arg);

void
leg_init(struct leg *leg)
{
	memset(leg, 0, sizeof(*leg));
	leg->fd = -1;
}

void
leg_open(struct leg *leg, int fd, struct event_base *base,
    struct leg_buffers *buffers, const struct leg_events *events, void *arg)
{
	assert(leg->state == LEG_CLOSED);
	leg_init(leg);
	leg->state = LEG_PLAIN;
	leg->fd = fd;
	leg->base = base;
	leg->buffers = buffers;
	leg->events = events;
	leg->arg = arg;
	queue_init(&leg->early, LEG_RAW_MAX);
	queue_init(&leg->unsent, LEG_UNSENT_MAX);
	(void)event_assign(&leg->on_readable, base, fd, EV_READ | EV_PERSIST,
	    leg_on_readable, leg);
	(void)event_assign(&leg->on_writable, base, fd, EV_WRITE | EV_PERSIST,
	    leg_on_writable, leg);
}

void
leg_close(struct leg *leg)
{
	if (leg->state == LEG_CLOSED)
		return;
	(void)event_del(&leg->on_readable);
	(void)event_del(&leg->on_writable);
	(void)close(leg->fd);
	tls_free(leg->tls);
	queue_fini(&leg->early);
	queue_fini(&leg->unsent);
	leg_init(leg);
}

void
leg_reset(struct leg *leg)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (leg->state == LEG_CLOSED)
		return;
	(void)setsockopt(leg->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	leg_close(leg);
}

void
leg_want_read(struct leg *leg, bool want)
{
	if (leg->state == LEG_CLOSED || leg->reading == want)
		return;
	leg->reading = want;
	if (want)
		(void)event_add(&leg->on_readable, NULL);
	else
		(void)event_del(&leg->on_readable);
}

void
leg_remind(struct leg *leg)
{
	if (leg->state != LEG_CLOSED)
		event_active(&leg->on_readable, EV_READ, 0);
}

void
leg_want_write(struct leg *leg, bool want)
{
	if (leg->state == LEG_CLOSED || leg->writing == want)
		return;
	leg->writing = want;
	if (want)
		(void)event_add(&leg->on_writable, NULL);
	else
		(void)event_del(&leg->on_writable);
}

static void
leg_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct leg *leg = arg;

	(void)fd;
	(void)what;
	leg->events->readable(leg, leg->arg);
}

static bool
leg_fail(struct leg *leg, int error)
{
	leg->error = error;
	leg_want_write(leg, false);
	return false;
}

/* How much of this the socket takes now; -1 if it failed. */
static ssize_t
leg_put(struct leg *leg, const uint8_t *bytes, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = send(leg->fd, bytes + done, len - done, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			break;
		if (n == -1)
			return -1;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* FIN, as soon as nothing waits any more. */
static void
leg_finish(struct leg *leg)
{
	/* TLS may have taken bytes that it cannot send yet. */
	if (!leg->shut || leg->finished || leg_blocked(leg) ||
	    (leg->tls != NULL && tls_holds(leg->tls)))
		return;
	leg->finished = true;
	(void)shutdown(leg->fd, SHUT_WR);
}

static bool
leg_transmit(struct leg *leg, const uint8_t *bytes, size_t len)
{
	ssize_t n = 0;

	if (!leg_blocked(leg) && (n = leg_put(leg, bytes, len)) == -1)
		return leg_fail(leg, errno);
	if ((size_t)n == len)
		return true;
	if (!queue_append(&leg->unsent, bytes + n, len - (size_t)n))
		return leg_fail(leg, ENOBUFS);
	leg_want_write(leg, true);
	return true;
}

static void
leg_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct leg *leg = arg;
	ssize_t n;

	(void)fd;
	(void)what;
	if (leg_blocked(leg)) {
		n = leg_put(leg, queue_data(&leg->unsent), leg->unsent.len);
		if (n == -1) {
			(void)leg_fail(leg, errno);
			leg->events->failed(leg, leg->arg);
			return;
		}
		queue_consume(&leg->unsent, (size_t)n);
		if (leg_blocked(leg))
			return;
	}
	leg_want_write(leg, false);
	leg_finish(leg);
	leg->events->flushed(leg, leg->arg);
}

static struct tls_io
leg_io(struct leg *leg, const uint8_t *in, size_t in_len)
{
	return (struct tls_io){ .in = in,
		.in_len = in_len,
		.out = leg->buffers->sealed,
		.out_cap = sizeof(leg->buffers->sealed) };
}

bool
leg_start_tls(struct leg *leg, struct tls *tls, struct rd unread)
{
	assert(leg->state == LEG_PLAIN);
	leg->tls = tls;
	leg->state = LEG_SECURING;
	return queue_append(&leg->early, unread.at, unread.left);
}

/* Where leg_receive() puts plaintext. */
static uint8_t *
leg_place(struct leg *leg)
{
	struct leg_buffers *b = leg->buffers;

	return (leg->state == LEG_PLAIN ? b->raw : b->plain) + LEG_HEADROOM;
}

/*
 * Ciphertext or plaintext as it comes: first what came early, then the socket.
 * LEG_OK: some; LEG_WAIT: none now; LEG_ENDED: the socket's end.
 */
static enum leg_result
leg_take(struct leg *leg, size_t max, struct rd *out, bool *more)
{
	uint8_t *raw = leg->buffers->raw + LEG_HEADROOM;
	ssize_t n;

	*more = leg->early.len > 0;
	if (leg->early.len > 0) {
		/* queue_consume() gives its memory back, so this moves first */
		n = (ssize_t)leg->early.len;
		memcpy(raw, queue_data(&leg->early), (size_t)n);
		queue_consume(&leg->early, (size_t)n);
	} else {
		if (max > LEG_RAW_MAX)
			max = LEG_RAW_MAX;
		do
			n = recv(leg->fd, raw, max, 0);
		while (n == -1 && errno == EINTR);
		if (n == -1 && errno == EAGAIN)
			return LEG_WAIT;
		if (n == -1) {
			(void)leg_fail(leg, errno);
			return LEG_FAILED;
		}
		*more = (size_t)n == max;
	}
	*out = (struct rd){ .at = raw, .left = (size_t)n };
	return n == 0 ? LEG_ENDED : LEG_OK;
}

/* One read's worth of handshake; LEG_WAIT: that was not enough. */
static enum leg_result
leg_handshake_once(struct leg *leg, struct rd cipher)
{
	struct tls_io io = leg_io(leg, cipher.at, cipher.left);
	enum tls_result r = tls_handshake(leg->tls, &io);

	if (!leg_transmit(leg, io.out, io.out_len) && r != TLS_FAILED)
		return LEG_FAILED;
	if (r == TLS_FAILED || r == TLS_ENDED) {
		leg->error = 0; /* why TLS failed says more than EPIPE */
		return LEG_FAILED;
	}
	if (r == TLS_MORE)
		return LEG_WAIT;
	leg->state = LEG_SECURED;
	/* What came behind the handshake waits for leg_receive(). */
	if (!queue_append(&leg->early, io.in, io.in_len)) {
		(void)leg_fail(leg, ENOBUFS);
		return LEG_FAILED;
	}
	return LEG_OK;
}

enum leg_result
leg_handshake(struct leg *leg)
{
	enum leg_result r;
	struct rd cipher = { .left = 0 };
	bool more = false;

	assert(leg->state == LEG_SECURING);
	/* A client's first flight needs nothing to have come. */
	r = leg_take(leg, LEG_RAW_MAX, &cipher, &more);
	if (r == LEG_FAILED)
		return r;
	if (r == LEG_ENDED)
		return LEG_TRUNCATED;
	return leg_handshake_once(leg, cipher);
}

static enum leg_result
leg_decrypt(struct leg *leg, struct rd cipher, struct rd *out)
{
	struct tls_io io = leg_io(leg, cipher.at, cipher.left);
	enum tls_result r;
	size_t len = 0;

	r = tls_read(leg->tls, &io, leg_place(leg), LEG_PLAIN_MAX, &len);
	*out = (struct rd){ .at = leg_place(leg), .left = len };
	/* A KeyUpdate asks for an answer, and what was held may go now. */
	if (io.out_len > 0 && !leg->finished &&
	    !leg_transmit(leg, io.out, io.out_len) && r != TLS_FAILED)
		return LEG_FAILED;
	leg_finish(leg);
	switch (r) {
	case TLS_FAILED:
		leg->error = 0; /* why TLS failed says more than EPIPE */
		return LEG_FAILED;
	case TLS_ENDED:
		leg->ended = true;
		return LEG_ENDED;
	case TLS_DONE:
	case TLS_MORE:
		break;
	}
	/* `plain` holds more than all that can have been in `cipher`. */
	assert(io.in_len == 0);
	return LEG_OK;
}

enum leg_result
leg_receive(struct leg *leg, size_t max, struct rd *out, bool *more)
{
	struct rd cipher;
	enum leg_result r;

	*out = (struct rd){ .left = 0 };
	/* What follows a close_notify is no part of the stream. */
	if (leg->ended)
		return LEG_ENDED;
	if (leg->state == LEG_PLAIN)
		return leg_take(leg, max, out, more);
	assert(leg->state == LEG_SECURED);
	r = leg_take(leg, max, &cipher, more);
	if (r == LEG_ENDED)
		return LEG_TRUNCATED;
	if (r != LEG_OK)
		return r;
	return leg_decrypt(leg, cipher, out);
}

struct rd
leg_prepend(struct leg *leg, const uint8_t *bytes, size_t len,
    struct rd received)
{
	uint8_t *at = leg_place(leg) - len;

	assert(len <= LEG_HEADROOM);
	assert(received.left == 0 || received.at == leg_place(leg));
	memcpy(at, bytes, len);
	return (struct rd){ .at = at, .left = len + received.left };
}

void
leg_forget(struct leg *leg, struct rd received)
{
	uint8_t *place = leg_place(leg) - LEG_HEADROOM;

	if (received.left > 0)
		explicit_bzero(place + (received.at - place), received.left);
}

static bool
leg_seal(struct leg *leg, const uint8_t *bytes, size_t len)
{
	struct tls_io io = leg_io(leg, NULL, 0);

	if (tls_write(leg->tls, &io, bytes, len) != TLS_DONE)
		return leg_fail(leg, 0);
	return leg_transmit(leg, io.out, io.out_len);
}

bool
leg_send(struct leg *leg, const uint8_t *bytes, size_t len)
{
	size_t part;

	assert(!leg->shut);
	if (leg->state == LEG_PLAIN)
		return leg_transmit(leg, bytes, len);
	assert(leg->state == LEG_SECURED);
	for (; len > 0; bytes += part, len -= part) {
		part = len < LEG_PLAIN_MAX ? len : LEG_PLAIN_MAX;
		if (!leg_seal(leg, bytes, part))
			return false;
	}
	return true;
}

bool
leg_shutdown(struct leg *leg)
{
	struct tls_io io = leg_io(leg, NULL, 0);

	if (leg->state == LEG_CLOSED || leg->shut)
		return true;
	if (leg->state == LEG_SECURED) {
		tls_close(leg->tls, &io);
		if (!leg_transmit(leg, io.out, io.out_len))
			return false;
	}
	leg->shut = true;
	leg_finish(leg);
	return true;
}

/* After a reset the kernel still counts what was never acknowledged. */
static bool
leg_is_dead(const struct leg *leg)
{
	struct tcp_info info = { .tcpi_state = TCP_ESTABLISHED };
	socklen_t len = sizeof(info);

	return getsockopt(leg->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	    info.tcpi_state == TCP_CLOSE;
}

size_t
leg_in_flight(const struct leg *leg)
{
	int n = 0;

	if (leg->state == LEG_CLOSED || ioctl(leg->fd, SIOCOUTQ, &n) == -1)
		return 0;
	return n == 0 || leg_is_dead(leg) ? 0 : (size_t)n;
}

struct leg_failure
leg_failure(const struct leg *leg)
{
	struct leg_failure f = { .error = leg->error };

	if (leg->error == 0 && leg->tls != NULL)
		f.tls = tls_error(leg->tls);
	return f;
}
