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

#include "proxy/leg_kernel.h"

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
}

void
leg_close(struct leg *leg)
{
	if (leg->state == LEG_CLOSED)
		return;
	(void)event_del(&leg->on_readable);
	(void)leg_want_write(leg, false);
	(void)close(leg->fd);
	leg_kernel_free(leg);
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
leg_remind(struct leg *leg)
{
	if (leg->state != LEG_CLOSED)
		event_active(&leg->on_readable, EV_READ, 0);
}

/* What came early has no event of the socket's to announce it. */
static void
leg_announce_early(struct leg *leg)
{
	if (leg->early.len > 0 && leg->reading)
		leg_remind(leg);
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
	leg_announce_early(leg);
}

/* Few legs ever need that event, so it is there only while it is wanted. */
bool
leg_want_write(struct leg *leg, bool want)
{
	if (leg->state == LEG_CLOSED || (leg->on_writable != NULL) == want)
		return true;
	if (!want) {
		event_free(leg->on_writable);
		leg->on_writable = NULL;
		return true;
	}
	leg->on_writable = event_new(leg->base, leg->fd, EV_WRITE | EV_PERSIST,
	    leg_on_writable, leg);
	return leg->on_writable != NULL &&
	    event_add(leg->on_writable, NULL) == 0;
}

static void
leg_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct leg *leg = arg;

	(void)fd;
	(void)what;
	if (leg->busy_poll_us > leg->buffers->busy_poll_us)
		leg->buffers->busy_poll_us = leg->busy_poll_us;
	leg->events->readable(leg, leg->arg);
}

bool
leg_fail(struct leg *leg, int error)
{
	leg->error = error;
	(void)leg_want_write(leg, false);
	return false;
}

/* How much of this the socket takes now; -1 if it failed. */
static ssize_t
leg_put(struct leg *leg, const uint8_t *bytes, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		if (leg->kernel != NULL)
			n = leg_kernel_send(leg, bytes + done, len - done);
		else
			n = send(leg->fd, bytes + done, len - done,
			    MSG_NOSIGNAL);
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

/* The same of one whose records are the kernel's. */
static bool
leg_finish_kernel(struct leg *leg)
{
	enum leg_kernel_end end = LEG_KERNEL_LATER;

	if (leg->unsent.len == 0)
		end = leg_kernel_close(leg);
	leg->owes = end == LEG_KERNEL_LATER;
	leg->finished = !leg->owes;
	/* Where close_notify could not be said, this looks like what it is. */
	if (leg->finished)
		(void)shutdown(leg->fd, SHUT_WR);
	return end != LEG_KERNEL_FAILED;
}

/* FIN, as soon as nothing waits any more. */
bool
leg_finish(struct leg *leg)
{
	if (!leg->shut || leg->finished)
		return true;
	if (leg->kernel != NULL)
		return leg_finish_kernel(leg);
	/* TLS may have taken bytes that it cannot send yet. */
	if (leg_blocked(leg) || (leg->tls != NULL && tls_holds(leg->tls)))
		return true;
	leg->finished = true;
	(void)shutdown(leg->fd, SHUT_WR);
	return true;
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
	return leg_want_write(leg, true) || leg_fail(leg, ENOMEM);
}

/* What waits; false: the leg failed. */
static bool
leg_flush(struct leg *leg)
{
	ssize_t n;

	if (leg->kernel != NULL) {
		if (!leg_kernel_flush(leg))
			return false;
		if (leg->owes)
			return true;
	}
	if (leg->unsent.len == 0)
		return true;
	n = leg_put(leg, queue_data(&leg->unsent), leg->unsent.len);
	if (n == -1)
		return leg_fail(leg, errno);
	queue_consume(&leg->unsent, (size_t)n);
	return true;
}

static void
leg_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct leg *leg = arg;

	(void)fd;
	(void)what;
	if (!leg_flush(leg)) {
		leg->events->failed(leg, leg->arg);
		return;
	}
	if (leg_blocked(leg))
		return;
	(void)leg_want_write(leg, false);
	(void)leg_finish(leg);
	leg_kernel_try(leg);
	if (!leg_blocked(leg))
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

bool
leg_renew_tls(struct leg *leg, struct tls *tls)
{
	bool rests = tls_rests(leg->tls);

	assert(leg->state == LEG_SECURED && !leg->shut && !leg->kernel);
	tls_same_leaf(tls, leg->tls);
	tls_free(leg->tls);
	leg->tls = tls;
	leg->state = LEG_SECURING;
	/* After a close_notify of the old one nothing more was to come. */
	return rests && !leg->ended;
}

void
leg_settle(struct leg *leg, bool kernel)
{
	if (leg->state != LEG_SECURED)
		return;
	tls_settle(leg->tls, kernel);
	leg->kernel_wanted = kernel && leg->kernel == NULL;
	leg_kernel_try(leg);
}

void
leg_stop_tls(struct leg *leg)
{
	assert(leg->state == LEG_SECURED && tls_how(leg->tls)->may_stop);
	tls_free(leg->tls);
	leg->tls = NULL;
	leg->state = LEG_PLAIN;
	leg_announce_early(leg);
}

/* Where leg_receive() puts plaintext. */
static uint8_t *
leg_place(struct leg *leg)
{
	struct leg_buffers *b = leg->buffers;

	return (leg->state == LEG_PLAIN ? b->raw : b->plain) + LEG_HEADROOM;
}

/* LEG_OK: some; LEG_WAIT: none now; LEG_ENDED: the socket's end. */
static enum leg_result
leg_recv(struct leg *leg, size_t max, struct rd *out, bool *more)
{
	uint8_t *raw = leg->buffers->raw + LEG_HEADROOM;
	ssize_t n;

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
	*out = (struct rd){ .at = raw, .left = (size_t)n };
	return n == 0 ? LEG_ENDED : LEG_OK;
}

/* The first so many of the early bytes, in the shared buffer:
 * queue_consume() may give their memory back. */
static struct rd
leg_take_early(struct leg *leg, size_t n)
{
	uint8_t *raw = leg->buffers->raw + LEG_HEADROOM;

	memcpy(raw, queue_data(&leg->early), n);
	queue_consume(&leg->early, n);
	return (struct rd){ .at = raw, .left = n };
}

/* Ciphertext or plaintext as it comes: first what came early, then the
 * socket. */
static enum leg_result
leg_take(struct leg *leg, size_t max, struct rd *out, bool *more)
{
	*more = leg->early.len > 0;
	if (leg->early.len == 0)
		return leg_recv(leg, max, out, more);
	*out = leg_take_early(leg, leg->early.len);
	return LEG_OK;
}

/* Puts one more read behind what came early, for those who take it piece by
 * piece. */
static enum leg_result
leg_gather(struct leg *leg)
{
	size_t room = leg->early.max - leg->early.len;
	enum leg_result r = LEG_OK;
	struct rd bytes;
	bool more, kept;

	if (room == 0)
		return LEG_OK;
	if ((r = leg_recv(leg, room, &bytes, &more)) != LEG_OK)
		return r;
	kept = queue_append(&leg->early, bytes.at, bytes.left);
	/* Behind a record there may be a log-in in clear. */
	explicit_bzero(leg->buffers->raw + LEG_HEADROOM, bytes.left);
	if (kept)
		return LEG_OK;
	(void)leg_fail(leg, ENOBUFS);
	return LEG_FAILED;
}

/* A flight of ours, in messages of the protocol's if it wants that. */
static bool
leg_send_flight(struct leg *leg, const uint8_t *flight, size_t len)
{
	const struct neg_wrap *wrap = tls_how(leg->tls)->wrap;
	struct wr out = { .base = leg->buffers->plain,
		.cap = sizeof(leg->buffers->plain) };

	if (len == 0 || wrap == NULL)
		return leg_transmit(leg, flight, len);
	wrap->wrap((struct rd){ .at = flight, .left = len }, &out);
	assert(!out.full);
	return leg_transmit(leg, out.base, out.len);
}

/* One read's worth of handshake; LEG_WAIT: that was not enough. */
static enum leg_result
leg_handshake_once(struct leg *leg, struct rd cipher)
{
	struct tls_io io = leg_io(leg, cipher.at, cipher.left);
	enum tls_result r = tls_handshake(leg->tls, &io);

	if (!leg_send_flight(leg, io.out, io.out_len) && r != TLS_FAILED)
		return LEG_FAILED;
	if (r == TLS_FAILED || r == TLS_ENDED) {
		leg->error = 0; /* why TLS failed says more than EPIPE */
		return LEG_FAILED;
	}
	if (r == TLS_MORE)
		return LEG_WAIT;
	leg->state = LEG_SECURED;
	if (tls_how(leg->tls)->wrap != NULL) {
		/* Nothing is in a packet of the handshake but the handshake. */
		if (io.in_len == 0)
			return LEG_OK;
		(void)leg_fail(leg, EPROTO);
		return LEG_FAILED;
	}
	/* What came behind the handshake waits for leg_receive(). */
	if (!queue_append(&leg->early, io.in, io.in_len)) {
		(void)leg_fail(leg, ENOBUFS);
		return LEG_FAILED;
	}
	return LEG_OK;
}

/* The payload of the next packet, if it has come whole; false: it has not.
 * What is no packet is shown as it is: TLS will say what is wrong with it. */
static bool
leg_unwrap(struct leg *leg, const struct neg_wrap *wrap, struct rd *payload)
{
	struct rd head = { .at = queue_data(&leg->early), .left = wrap->head };
	size_t len;

	if (leg->early.len < wrap->head)
		return false;
	if ((len = wrap->length(head)) < wrap->head) {
		*payload = leg_take_early(leg, leg->early.len);
		return true;
	}
	if (leg->early.len < len)
		return false;
	*payload = leg_take_early(leg, len);
	rd_skip(payload, wrap->head);
	return true;
}

/* Packet by packet: what stands behind the last of the handshake is bare
 * records, and for leg_receive(). */
static enum leg_result
leg_handshake_wrapped(struct leg *leg, const struct neg_wrap *wrap)
{
	struct rd payload = { .left = 0 };
	enum leg_result r = leg_gather(leg);

	if (r == LEG_FAILED)
		return r;
	if (r == LEG_ENDED)
		return LEG_TRUNCATED;
	/* A client's first flight needs nothing to have come. */
	r = leg_handshake_once(leg, payload);
	while (r == LEG_WAIT && leg_unwrap(leg, wrap, &payload))
		r = leg_handshake_once(leg, payload);
	return r;
}

static enum leg_result
leg_handshake_bare(struct leg *leg)
{
	enum leg_result r;
	struct rd cipher = { .left = 0 };
	bool more = false;

	/* A client's first flight needs nothing to have come. */
	r = leg_take(leg, LEG_RAW_MAX, &cipher, &more);
	if (r == LEG_FAILED)
		return r;
	if (r == LEG_ENDED)
		return LEG_TRUNCATED;
	return leg_handshake_once(leg, cipher);
}

enum leg_result
leg_handshake(struct leg *leg)
{
	const struct neg_wrap *wrap = tls_how(leg->tls)->wrap;
	enum leg_result r;

	assert(leg->state == LEG_SECURING);
	r = wrap != NULL ? leg_handshake_wrapped(leg, wrap)
			 : leg_handshake_bare(leg);
	if (r == LEG_FAILED || r == LEG_TRUNCATED)
		tls_peer_left(leg->tls);
	return r;
}

/* A record's head: type, version, length. */
#define RECORD_HEAD 5u

static size_t
leg_early_record(const struct leg *leg)
{
	struct rd early = { .at = queue_data(&leg->early),
		.left = leg->early.len };
	size_t len;

	rd_skip(&early, RECORD_HEAD - sizeof(uint16_t));
	len = RECORD_HEAD + rd_be16(&early);
	return early.cut || len > leg->early.len ? 0 : len;
}

/* One record, and no byte that stands behind it: that may be in clear. */
static enum leg_result
leg_take_record(struct leg *leg, struct rd *out, bool *more)
{
	enum leg_result r = LEG_OK;
	size_t len;

	*more = false;
	if ((len = leg_early_record(leg)) == 0) {
		r = leg_gather(leg);
		len = leg_early_record(leg);
	}
	if (len == 0)
		return r;
	*out = leg_take_early(leg, len);
	if (leg_early_record(leg) > 0)
		leg_announce_early(leg);
	return LEG_OK;
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
	(void)leg_finish(leg);
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
	if (leg->kernel != NULL)
		return leg_kernel_receive(leg, max, out, more);
	cipher = *out;
	if (tls_by_record(leg->tls))
		r = leg_take_record(leg, &cipher, more);
	else
		r = leg_take(leg, leg_kernel_appetite(leg, max), &cipher, more);
	if (r == LEG_ENDED)
		return LEG_TRUNCATED;
	if (r != LEG_OK)
		return r;
	r = leg_decrypt(leg, cipher, out);
	leg_kernel_try(leg);
	return r;
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
	if (leg->kernel != NULL)
		return leg_transmit(leg, bytes, len) && leg_kernel_sent(leg);
	for (; len > 0; bytes += part, len -= part) {
		part = len < LEG_PLAIN_MAX ? len : LEG_PLAIN_MAX;
		if (!leg_seal(leg, bytes, part))
			return false;
	}
	return true;
}

/* Seals as many as there is room for in one go. */
static bool
leg_seal_units(struct leg *leg, const struct neg_units *units, struct rd *bytes)
{
	struct tls_io io = leg_io(leg, NULL, 0);
	struct rd head, unit;
	size_t len;

	while (bytes->left > 0) {
		head = *bytes;
		len = (size_t)units->length(rd_take(&head, units->head));
		if (len == 0 || len > units->whole_max || len > bytes->left)
			return leg_fail(leg, EPROTO); /* not ours to send */
		if (io.out_cap - io.out_len < TLS_SEALED_MAX(len))
			break;
		unit = rd_take(bytes, len);
		if (tls_write(leg->tls, &io, unit.at, unit.left) != TLS_DONE)
			return leg_fail(leg, 0);
	}
	return leg_transmit(leg, io.out, io.out_len);
}

bool
leg_send_units(struct leg *leg, const struct neg_units *units, struct rd bytes)
{
	assert(!leg->shut);
	if (leg->state == LEG_PLAIN)
		return leg_transmit(leg, bytes.at, bytes.left);
	assert(leg->state == LEG_SECURED && units->whole_max <= NEG_UNIT_MAX);
	assert(leg->kernel == NULL); /* which makes records as it likes */
	while (bytes.left > 0) {
		if (!leg_seal_units(leg, units, &bytes))
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
	if (leg->state == LEG_SECURED && leg->kernel == NULL) {
		tls_close(leg->tls, &io);
		if (!leg_transmit(leg, io.out, io.out_len))
			return false;
	}
	leg->shut = true;
	return leg_finish(leg);
}

/* After a reset the kernel still counts what was never acknowledged. */
bool
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
	if (n == 0 && leg->kernel != NULL && leg_kernel_holds(leg))
		return 1;
	return n == 0 || leg_is_dead(leg) ? 0 : (size_t)n;
}

bool
leg_local_address(const struct leg *leg, struct address *local)
{
	*local = (struct address){ .len = sizeof(local->sa) };
	return leg->fd != -1 &&
	    getsockname(leg->fd, (struct sockaddr *)&local->sa, &local->len) ==
	    0;
}

struct leg_failure
leg_failure(const struct leg *leg)
{
	struct leg_failure f = { .error = leg->error };

	if (leg->error == 0 && leg->tls != NULL)
		f.tls = tls_error(leg->tls);
	return f;
}
