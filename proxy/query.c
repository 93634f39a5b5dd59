/* query.c - one question to the nameservers, until one of them answers */
#include "proxy/query.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <event2/util.h>

#include "proxy/times.h"

/* We ask without EDNS, so no UDP answer has a right to be longer than 512;
 * those that are all the same are read. */
#define UDP_MAX    4096
#define TCP_PREFIX 2 /* RFC 1035, section 4.2.2: the length before it */
#define TCP_MAX    (TCP_PREFIX + UINT16_MAX)

struct query {
	struct event_base *base;
	struct nameservers servers;
	size_t server; /* being asked */
	double timeout;
	unsigned attempts; /* that are left */

	struct dns_name name;
	enum dns_type type;
	uint16_t id;

	int fd;
	struct event io;
	struct event timer;
	uint8_t *stream; /* what TCP brought; NULL over UDP */
	size_t stream_len;

	query_cb cb;
	void *arg;
};

static void
query_close(struct query *q)
{
	if (q->fd != -1) {
		event_del(&q->io);
		(void)close(q->fd);
		q->fd = -1;
	}
	free(q->stream);
	q->stream = NULL;
	q->stream_len = 0;
}

static void
query_set_timer(struct query *q, double seconds)
{
	struct timeval tv = times_interval(seconds);

	event_add(&q->timer, &tv);
}

void
query_cancel(struct query *q)
{
	if (q == NULL)
		return;
	query_close(q);
	event_del(&q->timer);
	free(q);
}

static void
query_finish(struct query *q, const struct dns_answer *a)
{
	query_cb cb = q->cb;
	void *arg = q->arg;
	size_t server = q->server;

	query_cancel(q);
	cb(a, server, arg);
}

/* This attempt came to nothing: the next, if there is one, when the loop comes
 * round. */
static void
query_fail(struct query *q, enum dns_status trouble)
{
	struct dns_answer none = { .status = trouble, .type = q->type };

	query_close(q);
	if (q->attempts > 0) {
		q->server = (q->server + 1) % q->servers.n;
		query_set_timer(q, 0);
		return;
	}
	query_finish(q, &none);
}

/* Non-blocking and connected, so that only the nameserver is heard and its
 * absence is noticed.  Watches for `what`. */
static bool
query_open(struct query *q, int type, short what, event_callback_fn cb)
{
	const struct address *a = &q->servers.list[q->server];

	q->fd = socket(a->sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (q->fd == -1)
		return false;
	event_assign(&q->io, q->base, q->fd, (short)(what | EV_PERSIST), cb, q);
	if (connect(q->fd, (const struct sockaddr *)&a->sa, a->len) == -1 &&
	    errno != EINPROGRESS)
		return false;
	return event_add(&q->io, NULL) == 0;
}

static void
stream_readable(evutil_socket_t fd, short what, void *arg)
{
	struct query *q = arg;
	struct rd r = { .at = q->stream };
	struct dns_answer a;
	size_t len;
	ssize_t n;

	(void)what;
	n = recv(fd, q->stream + q->stream_len, TCP_MAX - q->stream_len, 0);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		query_fail(q, DNS_UNREACHABLE);
		return;
	}
	q->stream_len += (size_t)n;
	r.left = q->stream_len;
	len = rd_be16(&r);
	r = rd_take(&r, len);
	if (r.cut)
		return;
	dns_answer_read(&a, r, q->id, &q->name, q->type);
	if (a.status == DNS_NOT_OURS || a.status == DNS_TRUNCATED)
		a.status = DNS_BROKEN;
	if (a.status == DNS_FAILED || a.status == DNS_BROKEN)
		query_fail(q, a.status);
	else
		query_finish(q, &a);
}

static void
stream_connected(evutil_socket_t fd, short what, void *arg)
{
	uint8_t bytes[TCP_PREFIX + DNS_QUESTION_MAX];
	struct wr w = { .base = bytes, .cap = sizeof(bytes) };
	struct query *q = arg;

	(void)what;
	wr_be16(&w, (uint16_t)(DNS_HEAD_LEN + q->name.len + DNS_TAIL_LEN));
	dns_question_write(&w, q->id, &q->name, q->type);
	/* A new socket has room for that; one that failed has not. */
	if (w.full || send(fd, bytes, w.len, MSG_NOSIGNAL) != (ssize_t)w.len) {
		query_fail(q, DNS_UNREACHABLE);
		return;
	}
	event_del(&q->io);
	event_assign(&q->io, q->base, fd, EV_READ | EV_PERSIST, stream_readable,
	    q);
	event_add(&q->io, NULL);
}

static void
query_ask_stream(struct query *q)
{
	query_close(q);
	if ((q->stream = malloc(TCP_MAX)) == NULL ||
	    !query_open(q, SOCK_STREAM, EV_WRITE, stream_connected)) {
		query_fail(q, DNS_UNREACHABLE);
		return;
	}
	query_set_timer(q, q->timeout);
}

static void
datagram_readable(evutil_socket_t fd, short what, void *arg)
{
	uint8_t bytes[UDP_MAX];
	struct query *q = arg;
	struct dns_answer a;
	ssize_t n;

	(void)what;
	n = recv(fd, bytes, sizeof(bytes), 0);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n == -1) {
		query_fail(q, DNS_UNREACHABLE);
		return;
	}
	dns_answer_read(&a, (struct rd){ .at = bytes, .left = (size_t)n },
	    q->id, &q->name, q->type);
	/* Somebody may be guessing: what is not ours changes nothing. */
	if (a.status == DNS_NOT_OURS)
		return;
	if (a.status == DNS_TRUNCATED)
		query_ask_stream(q);
	else if (a.status == DNS_FAILED || a.status == DNS_BROKEN)
		query_fail(q, a.status);
	else
		query_finish(q, &a);
}

static void
query_ask_datagram(struct query *q)
{
	uint8_t bytes[DNS_QUESTION_MAX];
	struct wr w = { .base = bytes, .cap = sizeof(bytes) };

	dns_question_write(&w, q->id, &q->name, q->type);
	if (!query_open(q, SOCK_DGRAM, EV_READ, datagram_readable) ||
	    send(q->fd, bytes, w.len, 0) != (ssize_t)w.len) {
		query_fail(q, DNS_UNREACHABLE);
		return;
	}
	query_set_timer(q, q->timeout);
}

static void
query_timer(evutil_socket_t fd, short what, void *arg)
{
	struct query *q = arg;

	(void)fd;
	(void)what;
	if (q->fd != -1) {
		query_fail(q, DNS_TIMED_OUT);
		return;
	}
	q->attempts--;
	evutil_secure_rng_get_bytes(&q->id, sizeof(q->id));
	if (q->servers.tcp_only)
		query_ask_stream(q);
	else
		query_ask_datagram(q);
}

struct query *
query_start(struct event_base *base, const struct query_plan *plan,
    const struct dns_name *name, enum dns_type type, query_cb cb, void *arg)
{
	struct query *q;

	if ((q = calloc(1, sizeof(*q))) == NULL)
		return NULL;
	q->base = base;
	q->servers = *plan->servers;
	q->server = plan->first % plan->servers->n;
	q->timeout = plan->timeout;
	q->attempts = plan->attempts > 0 ? plan->attempts : 1;
	q->name = *name;
	q->type = type;
	q->fd = -1;
	q->cb = cb;
	q->arg = arg;
	event_assign(&q->timer, base, -1, 0, query_timer, q);
	query_set_timer(q, 0);
	return q;
}
