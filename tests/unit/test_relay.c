/* The relay over real sockets, without TLS: what goes in comes out, whoever is
 * slow, and an end is passed on as what it was. */
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/CUnit.h>
#include <event2/event.h>

#include "proxy/relay.h"
#include "tests/unit/unit.h"

#define CHUNK    (192 * 1024)
#define BULK     (96u * 1024 * 1024)
#define PATIENT  60 /* seconds; nothing here takes one */
#define REST_MAX (64 * 1024)

struct world {
	struct event_base *base;
	struct relay_buffers *buffers;
	struct leg leg[LEG_COUNT];
	int outside[LEG_COUNT]; /* what client and server hold */
	struct relay relay;
	const struct neg_units *units[LEG_COUNT];
	struct negotiator negotiator;
	bool deaf;
	bool over;
	unsigned halves;
	bool woken;
	enum leg_id by;
	uint8_t rest[LEG_COUNT][REST_MAX];
	size_t rest_len[LEG_COUNT];
};

static void
socket_pair(int fds[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener == -1 ||
	    bind(listener, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(listener, 1) == -1 ||
	    getsockname(listener, (struct sockaddr *)&sin, &len) == -1)
		abort();
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fds[0], (struct sockaddr *)&sin, len) == -1)
		abort();
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fds[1] == -1)
		abort();
	(void)close(listener);
}

static void
on_half(struct relay *r, void *arg)
{
	struct world *w = arg;

	(void)r;
	w->halves++;
}

static void
on_over(struct relay *r, void *arg)
{
	struct world *w = arg;

	(void)r;
	w->over = true;
	(void)event_base_loopbreak(w->base);
}

static void
keep_rest(struct world *w, const struct rd rest[LEG_COUNT])
{
	size_t i;

	w->woken = true;
	for (i = 0; i < LEG_COUNT; i++) {
		CU_ASSERT_FATAL(rest[i].left <= sizeof(w->rest[i]));
		if (rest[i].left > 0)
			memcpy(w->rest[i], rest[i].at, rest[i].left);
		w->rest_len[i] = rest[i].left;
	}
}

static void
on_woken(struct relay *r, enum leg_id from, const struct rd rest[LEG_COUNT],
    void *arg)
{
	struct world *w = arg;

	(void)r;
	w->by = from;
	keep_rest(w, rest);
}

static const struct relay_events events = { on_half, on_over, on_woken };

static struct rd
rd_of(const char *text)
{
	return (struct rd){ .at = (const uint8_t *)text,
		.left = text == NULL ? 0 : strlen(text) };
}

static void
world_init(struct world *w)
{
	int fds[2], i;

	memset(w, 0, sizeof(*w));
	w->base = event_base_new();
	w->buffers = relay_buffers_new();
	for (i = 0; i < LEG_COUNT; i++) {
		socket_pair(fds);
		w->outside[i] = fds[0];
		leg_init(&w->leg[i]);
		leg_open(&w->leg[i], fds[1], w->base,
		    relay_leg_buffers(w->buffers), NULL, NULL);
	}
}

/* With what each has said before. */
static void
world_relay(struct world *w, const char *client, const char *server)
{
	struct rd unread[LEG_COUNT] = { rd_of(client), rd_of(server) };
	struct relay_setup setup = {
		.leg = { &w->leg[LEG_CLIENT], &w->leg[LEG_SERVER] },
		.units = { w->units[LEG_CLIENT], w->units[LEG_SERVER] },
		.negotiator = &w->negotiator,
		.deaf = w->deaf,
		.buffers = w->buffers,
		.events = &events,
		.arg = w,
	};

	if (relay_start(&w->relay, &setup, unread))
		relay_run(&w->relay);
	else
		keep_rest(w, unread);
}

static void
world_start(struct world *w, const char *unread)
{
	world_init(w);
	world_relay(w, unread, NULL);
}

static void
world_stop(struct world *w)
{
	int i;

	relay_stop(&w->relay);
	for (i = 0; i < LEG_COUNT; i++) {
		leg_close(&w->leg[i]);
		if (w->outside[i] != -1)
			(void)close(w->outside[i]);
	}
	relay_buffers_free(w->buffers);
	event_base_free(w->base);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)event_base_loopbreak(arg);
}

/* Runs until the relay is over; false if it never is. */
static bool
run_to_end(struct world *w)
{
	struct timeval late = { .tv_sec = PATIENT };
	struct event *timer = evtimer_new(w->base, on_late, w->base);

	(void)event_add(timer, &late);
	while (!w->over &&
	    event_base_get_num_events(w->base, EVENT_BASE_COUNT_ADDED) > 1 &&
	    event_base_loop(w->base, EVLOOP_ONCE) == 0 &&
	    event_pending(timer, EV_TIMEOUT, NULL))
		;
	event_free(timer);
	return w->over;
}

/* Byte i of a stream that no shift or repetition leaves the same. */
static uint8_t
pattern(uint64_t i)
{
	return (uint8_t)((i * 2654435761u) >> 13);
}

struct stream {
	int fd;
	uint64_t total;
	bool slow; /* a little at a time */
	uint64_t seen;
	bool right;
};

static void *
write_stream(void *arg)
{
	struct stream *st = arg;
	uint8_t *buf = malloc(CHUNK);
	uint64_t at = 0;
	size_t n, i;
	ssize_t w;

	while (at < st->total) {
		n = st->total - at < CHUNK ? st->total - at : CHUNK;
		for (i = 0; i < n; i++)
			buf[i] = pattern(at + i);
		for (i = 0; i < n; i += (size_t)w)
			if ((w = send(st->fd, buf + i, n - i, MSG_NOSIGNAL)) <=
			    0)
				goto out;
		at += n;
	}
	(void)shutdown(st->fd, SHUT_WR);
out:
	free(buf);
	return NULL;
}

static void *
read_stream(void *arg)
{
	struct stream *st = arg;
	size_t cap = st->slow ? 4096 : CHUNK, i;
	uint8_t *buf = malloc(cap);
	ssize_t n;

	st->right = true;
	while ((n = recv(st->fd, buf, cap, 0)) > 0)
		for (i = 0; i < (size_t)n; i++)
			if (buf[i] != pattern(st->seen++))
				st->right = false;
	free(buf);
	return NULL;
}

/* Both ways at once, to the end of both. */
static void
both_ways(bool slow, uint64_t total)
{
	struct world w;
	struct stream out[LEG_COUNT], in[LEG_COUNT];
	pthread_t writer[LEG_COUNT], reader[LEG_COUNT];
	int i;

	world_start(&w, NULL);
	for (i = 0; i < LEG_COUNT; i++) {
		out[i] = (struct stream){ .fd = w.outside[i], .total = total };
		in[i] = (struct stream){ .fd = w.outside[i], .slow = slow };
		(void)pthread_create(&writer[i], NULL, write_stream, &out[i]);
		(void)pthread_create(&reader[i], NULL, read_stream, &in[i]);
	}
	CU_ASSERT_TRUE(run_to_end(&w));
	for (i = 0; i < LEG_COUNT; i++) {
		CU_ASSERT_EQUAL(w.relay.flow[i].bytes, total);
		CU_ASSERT_TRUE(w.relay.flow[i].ended);
		leg_close(&w.leg[i]);
	}
	for (i = 0; i < LEG_COUNT; i++) {
		(void)pthread_join(writer[i], NULL);
		(void)pthread_join(reader[i], NULL);
		CU_ASSERT_EQUAL(in[i].seen, total);
		CU_ASSERT_TRUE(in[i].right);
	}
	world_stop(&w);
}

static void
bulk_arrives_unchanged(void)
{
	both_ways(false, BULK);
}

static void
slow_readers_lose_nothing(void)
{
	both_ways(true, BULK / 4);
}

static void
nothing_is_an_orderly_stream_too(void)
{
	both_ways(false, 0);
}

static size_t
read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (
	    len < size - 1 && (n = recv(fd, text + len, size - 1 - len, 0)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return len;
}

static void
unread_bytes_go_first(void)
{
	struct world w;
	char text[64];

	world_start(&w, "first, ");
	CU_ASSERT_EQUAL(send(w.outside[LEG_CLIENT], "second", 6, 0), 6);
	(void)shutdown(w.outside[LEG_CLIENT], SHUT_WR);
	(void)shutdown(w.outside[LEG_SERVER], SHUT_WR);
	CU_ASSERT_TRUE(run_to_end(&w));
	leg_close(&w.leg[LEG_SERVER]);
	(void)read_all(w.outside[LEG_SERVER], text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "first, second");
	CU_ASSERT_EQUAL(w.relay.flow[LEG_CLIENT].bytes, 13);
	world_stop(&w);
}

static void
half_close_leaves_the_other_half(void)
{
	struct world w;
	char text[64];

	world_start(&w, NULL);
	(void)shutdown(w.outside[LEG_CLIENT], SHUT_WR);
	while (w.halves == 0)
		(void)event_base_loop(w.base, EVLOOP_ONCE);
	CU_ASSERT_FALSE(w.over);
	CU_ASSERT_EQUAL(read_all(w.outside[LEG_SERVER], text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(send(w.outside[LEG_SERVER], "late", 4, 0), 4);
	(void)shutdown(w.outside[LEG_SERVER], SHUT_WR);
	CU_ASSERT_TRUE(run_to_end(&w));
	CU_ASSERT_EQUAL(w.relay.reason, REASON_CLIENT_CLOSED);
	leg_close(&w.leg[LEG_CLIENT]);
	(void)read_all(w.outside[LEG_CLIENT], text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "late");
	world_stop(&w);
}

static void
reset_is_told_by_its_side(void)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct world w;
	int i;

	for (i = 0; i < LEG_COUNT; i++) {
		world_start(&w, NULL);
		(void)setsockopt(w.outside[i], SOL_SOCKET, SO_LINGER, &now,
		    sizeof(now));
		(void)close(w.outside[i]);
		w.outside[i] = -1;
		CU_ASSERT_TRUE(run_to_end(&w));
		CU_ASSERT_EQUAL(w.relay.reason,
		    i == LEG_CLIENT ? REASON_CLIENT_RESET
				    : REASON_SERVER_RESET);
		CU_ASSERT_FALSE(w.relay.flow[i].ended);
		world_stop(&w);
	}
}

static void
short_memory_is_nobodys_reset(void)
{
	struct world w;

	world_start(&w, NULL);
	w.leg[LEG_SERVER].error = ENOMEM;
	w.leg[LEG_SERVER].events->failed(&w.leg[LEG_SERVER], &w.relay);
	CU_ASSERT_EQUAL(w.relay.reason, REASON_INTERNAL);
	CU_ASSERT_STRING_EQUAL(w.relay.detail, strerror(ENOMEM));
	world_stop(&w);
}

/* A server often says why and closes before it has read all that was sent. */
static void
last_words_of_a_reset_server_arrive(void)
{
	struct world w;
	char text[64];
	unsigned i;

	world_start(&w, NULL);
	CU_ASSERT_EQUAL(send(w.outside[LEG_CLIENT], "unread", 6, 0), 6);
	(void)event_base_loop(w.base, EVLOOP_ONCE);
	/* Unread bytes make close() a reset; the words go before it. */
	CU_ASSERT_EQUAL(send(w.outside[LEG_SERVER], "why", 3, 0), 3);
	(void)close(w.outside[LEG_SERVER]);
	w.outside[LEG_SERVER] = -1;
	for (i = 0; i < 3; i++)
		(void)send(w.outside[LEG_CLIENT], "more", 4, MSG_NOSIGNAL);
	CU_ASSERT_TRUE(run_to_end(&w));
	CU_ASSERT_EQUAL(w.relay.reason, REASON_SERVER_RESET);
	leg_close(&w.leg[LEG_CLIENT]);
	(void)read_all(w.outside[LEG_CLIENT], text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "why");
	world_stop(&w);
}

/* Whoever resets first: nothing overtakes what was said before the relay. */
static void
unread_bytes_of_a_reset_side_go_first(void)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct world w;
	char text[64];
	int i, other;

	for (i = 0; i < LEG_COUNT; i++) {
		other = i == LEG_CLIENT ? LEG_SERVER : LEG_CLIENT;
		world_init(&w);
		CU_ASSERT_EQUAL(send(w.outside[i], "second", 6, 0), 6);
		(void)setsockopt(w.outside[i], SOL_SOCKET, SO_LINGER, &now,
		    sizeof(now));
		(void)close(w.outside[i]);
		w.outside[i] = -1;
		world_relay(&w, "first, ", "first, ");
		CU_ASSERT_TRUE(run_to_end(&w));
		leg_close(&w.leg[other]);
		(void)read_all(w.outside[other], text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, "first, second");
		CU_ASSERT_EQUAL(w.relay.flow[i].bytes, strlen(text));
		world_stop(&w);
	}
}

/* Nobody waits for a peer to take what it cannot take any more. */
static void
nothing_is_in_flight_to_a_reset_peer(void)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct pollfd gone = { .events = POLLIN };
	static const uint8_t zeros[CHUNK];
	struct world w;
	int small = 4096;

	world_init(&w);
	gone.fd = w.leg[LEG_CLIENT].fd;
	(void)setsockopt(w.outside[LEG_CLIENT], SOL_SOCKET, SO_RCVBUF, &small,
	    sizeof(small));
	CU_ASSERT_TRUE(leg_send(&w.leg[LEG_CLIENT], zeros, sizeof(zeros)));
	CU_ASSERT_TRUE(leg_in_flight(&w.leg[LEG_CLIENT]) > 0);
	(void)setsockopt(w.outside[LEG_CLIENT], SOL_SOCKET, SO_LINGER, &now,
	    sizeof(now));
	(void)close(w.outside[LEG_CLIENT]);
	w.outside[LEG_CLIENT] = -1;
	CU_ASSERT_EQUAL(poll(&gone, 1, PATIENT * 1000), 1);
	CU_ASSERT_EQUAL(leg_in_flight(&w.leg[LEG_CLIENT]), 0);
	world_stop(&w);
}

/* Sends the pattern until nothing more is taken, not even by the relay. */
static void
write_until_full(struct world *w)
{
	const int room = 8 * CHUNK;
	static uint8_t buf[CHUNK];
	uint64_t at = 0, before;
	ssize_t n;
	size_t i;

	/* Only reads that fill the buffer are worth a pipe. */
	if (setsockopt(w->leg[LEG_SERVER].fd, SOL_SOCKET, SO_RCVBUFFORCE, &room,
		sizeof(room)) == -1)
		(void)setsockopt(w->leg[LEG_SERVER].fd, SOL_SOCKET, SO_RCVBUF,
		    &room, sizeof(room));
	do {
		before = at;
		do {
			for (i = 0; i < CHUNK; i++)
				buf[i] = pattern(at + i);
			n = send(w->outside[LEG_SERVER], buf, CHUNK,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
			at += n > 0 ? (uint64_t)n : 0;
		} while (n > 0);
		(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
	} while (at > before);
}

/* All that has been given to the client or waits for it is one stream. */
static void
check_stream(struct world *w)
{
	const struct queue *unsent = &w->leg[LEG_CLIENT].unsent;
	static uint8_t buf[CHUNK];
	bool right = true, flowing = true;
	uint64_t at = 0;
	ssize_t n;
	size_t i;

	while (flowing) {
		flowing = leg_in_flight(&w->leg[LEG_CLIENT]) > 0;
		while ((n = recv(w->outside[LEG_CLIENT], buf, CHUNK,
			    MSG_DONTWAIT)) > 0)
			for (i = 0; i < (size_t)n; i++)
				right = right && buf[i] == pattern(at++);
	}
	for (i = 0; i < unsent->len; i++)
		right = right && queue_data(unsent)[i] == pattern(at++);
	CU_ASSERT_TRUE(right);
	CU_ASSERT_TRUE(at > CHUNK);
}

/* What is read of it at the end must not overtake what is in the pipe. */
static void
reset_leaves_no_hole_in_the_stream(void)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct world w;

	world_start(&w, NULL);
	write_until_full(&w);
	CU_ASSERT_PTR_NOT_NULL(w.relay.flow[LEG_SERVER].pipe);
	CU_ASSERT_TRUE(w.relay.flow[LEG_SERVER].piped > 0);
	(void)setsockopt(w.outside[LEG_SERVER], SOL_SOCKET, SO_LINGER, &now,
	    sizeof(now));
	(void)close(w.outside[LEG_SERVER]);
	w.outside[LEG_SERVER] = -1;
	CU_ASSERT_EQUAL(send(w.outside[LEG_CLIENT], "more", 4, 0), 4);
	CU_ASSERT_TRUE(run_to_end(&w));
	CU_ASSERT_EQUAL(w.relay.reason, REASON_SERVER_RESET);
	check_stream(&w);
	world_stop(&w);
}

/* The server says so many bytes, and the client has taken them all. */
static bool
server_says(struct world *w, size_t len)
{
	static uint8_t buf[CHUNK];
	size_t sent = 0, seen = 0;
	ssize_t n = 0;

	while (seen < len && (n >= 0 || errno == EAGAIN)) {
		n = send(w->outside[LEG_SERVER], buf, len - sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
		n = recv(w->outside[LEG_CLIENT], buf, CHUNK, MSG_DONTWAIT);
		seen += n > 0 ? (size_t)n : 0;
	}
	return seen == len;
}

/* Large pieces, until they go by a pipe. */
static bool
server_floods(struct world *w)
{
	const int room = 8 * CHUNK;
	const struct relay_flow *f = &w->relay.flow[LEG_SERVER];
	bool ok = true;
	size_t i;

	(void)setsockopt(w->leg[LEG_SERVER].fd, SOL_SOCKET, SO_RCVBUF, &room,
	    sizeof(room));
	for (i = 0; ok && i < REST_MAX && !f->splices; i++)
		ok = server_says(w, CHUNK);
	return ok && f->splices && f->pipe == NULL;
}

static void
small_pieces_are_copied_again(void)
{
	struct world w;

	world_start(&w, NULL);
	CU_ASSERT_TRUE(server_floods(&w));
	CU_ASSERT_TRUE(server_says(&w, 1));
	CU_ASSERT_TRUE(w.relay.flow[LEG_SERVER].splices);
	CU_ASSERT_TRUE(server_says(&w, 1) && server_says(&w, 1));
	CU_ASSERT_FALSE(w.relay.flow[LEG_SERVER].splices);
	CU_ASSERT_TRUE(server_floods(&w));
	world_stop(&w);
}

/* One pipe is enough for any number of streams that are at rest. */
#define STREAMS 70
static void
streams_at_rest_hold_no_pipe(void)
{
	static struct world w[STREAMS];
	struct relay_buffers *own[STREAMS];
	size_t i, id;

	for (i = 0; i < STREAMS; i++) {
		world_init(&w[i]);
		own[i] = w[i].buffers;
		w[i].buffers = own[0];
		for (id = 0; id < LEG_COUNT; id++)
			w[i].leg[id].buffers = relay_leg_buffers(own[0]);
		world_relay(&w[i], NULL, NULL);
		CU_ASSERT_TRUE(server_floods(&w[i]));
	}
	for (i = 0; i < STREAMS; i++)
		CU_ASSERT_TRUE(server_says(&w[i], CHUNK) &&
		    w[i].relay.flow[LEG_SERVER].pipe == NULL);
	for (i = STREAMS; i-- > 0;) {
		relay_stop(&w[i].relay);
		w[i].buffers = own[i];
	}
	for (i = STREAMS; i-- > 0;)
		world_stop(&w[i]);
}

/* What was decrypted before there was a relay has no event of its own, nor has
 * it one when the other side takes bytes again. */
static void
early_bytes_follow_a_reader_that_was_waited_for(void)
{
	static char bulk[2 * CHUNK + 1];
	const size_t all = sizeof(bulk) - 1 + strlen("tail");
	struct world w;
	size_t len = 0;
	ssize_t n = 0;
	int small = 32768;

	memset(bulk, 'a', sizeof(bulk) - 1);
	world_init(&w);
	(void)setsockopt(w.outside[LEG_CLIENT], SOL_SOCKET, SO_RCVBUF, &small,
	    sizeof(small));
	(void)setsockopt(w.leg[LEG_CLIENT].fd, SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small));
	CU_ASSERT_TRUE(queue_append(&w.leg[LEG_SERVER].early,
	    (const uint8_t *)"tail", strlen("tail")));
	world_relay(&w, NULL, bulk);
	CU_ASSERT_TRUE(leg_blocked(&w.leg[LEG_CLIENT]));
	while (len < all && (n >= 0 || errno == EAGAIN)) {
		(void)event_base_loop(w.base, EVLOOP_NONBLOCK);
		n = recv(w.outside[LEG_CLIENT], bulk, CHUNK, MSG_DONTWAIT);
		len += n > 0 ? (size_t)n : 0;
	}
	CU_ASSERT_EQUAL(len, all);
	world_stop(&w);
}

/* Units of up to nine bytes: how long, and what; a bang wakes. */
static uint64_t
unit_length(struct rd head)
{
	rd_skip(&head, 1);
	return (uint64_t)rd_u8(&head) - '0';
}

static enum unit_act
unit_judge(struct rd before, struct rd peek)
{
	(void)before;
	rd_skip(&peek, 2);
	return rd_u8(&peek) == '!' ? UNIT_WAKE : UNIT_PASS;
}

static const struct neg_units units = { .head = 2,
	.peek = 3,
	.length = unit_length,
	.judge = unit_judge };

static void
world_watch(struct world *w, const char *client, const char *server)
{
	world_init(w);
	w->units[LEG_CLIENT] = &units;
	w->units[LEG_SERVER] = &units;
	world_relay(w, client, server);
}

static void
say(struct world *w, enum leg_id who, const char *text)
{
	ssize_t n = send(w->outside[who], text, strlen(text), MSG_NOSIGNAL);

	CU_ASSERT_EQUAL(n, (ssize_t)strlen(text));
}

/* Lets the relay do what there is to do until `who` has heard this. */
static void
expect_heard(struct world *w, enum leg_id who, const char *text)
{
	size_t len = 0, want = strlen(text);
	char got[64];
	ssize_t n = 0;

	CU_ASSERT_FATAL(want < sizeof(got));
	while (len < want && n >= 0) {
		(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
		n = recv(w->outside[who], got + len, want - len, MSG_DONTWAIT);
		if (n > 0)
			len += (size_t)n;
		else if (n == -1 && errno == EAGAIN)
			n = 0;
	}
	got[len] = '\0';
	CU_ASSERT_STRING_EQUAL(got, text);
}

static void
run_until_woken(struct world *w)
{
	while (!w->woken && !w->over)
		(void)event_base_loop(w->base, EVLOOP_ONCE);
	CU_ASSERT_TRUE(w->woken);
	CU_ASSERT_FALSE(w->over);
}

static void
check_rest(const struct world *w, enum leg_id who, const char *text)
{
	CU_ASSERT_EQUAL(w->rest_len[who], strlen(text));
	CU_ASSERT_EQUAL(memcmp(w->rest[who], text, w->rest_len[who]), 0);
}

static void
unit_wakes_after_all_before_it(void)
{
	enum leg_id i, other;
	struct world w;

	for (i = LEG_CLIENT; i < LEG_COUNT; i++) {
		other = leg_other(i);
		world_watch(&w, NULL, NULL);
		say(&w, other, "_4xx_");
		expect_heard(&w, i, "_4xx");
		say(&w, i, "_3a_2_5!bc_3d");
		run_until_woken(&w);
		CU_ASSERT_EQUAL(w.by, i);
		check_rest(&w, i, "_5!bc_3d");
		/* Of the other what was held back of its next one. */
		check_rest(&w, other, "_");
		expect_heard(&w, other, "_3a_2");
		CU_ASSERT_EQUAL(w.relay.flow[i].bytes, 5);
		CU_ASSERT_EQUAL(w.relay.flow[other].bytes, 4);
		world_stop(&w);
	}
}

static void
head_is_held_until_it_can_be_judged(void)
{
	struct world w;

	world_watch(&w, NULL, NULL);
	say(&w, LEG_CLIENT, "_2_");
	expect_heard(&w, LEG_SERVER, "_2");
	say(&w, LEG_CLIENT, "4");
	say(&w, LEG_SERVER, "_2");
	expect_heard(&w, LEG_CLIENT, "_2");
	CU_ASSERT_EQUAL(w.relay.flow[LEG_CLIENT].bytes, 2);
	say(&w, LEG_CLIENT, "a");
	expect_heard(&w, LEG_SERVER, "_4a");
	say(&w, LEG_CLIENT, "!_");
	expect_heard(&w, LEG_SERVER, "!");
	say(&w, LEG_CLIENT, "3!");
	run_until_woken(&w);
	check_rest(&w, LEG_CLIENT, "_3!");
	CU_ASSERT_EQUAL(w.relay.flow[LEG_CLIENT].bytes, 6);
	world_stop(&w);
}

/* An end is the end of that too. */
static void
held_bytes_go_before_an_end(void)
{
	enum leg_id i;
	struct world w;
	char text[64];

	for (i = LEG_CLIENT; i < LEG_COUNT; i++) {
		world_watch(&w, "_3a_3", "_3a_3");
		expect_heard(&w, leg_other(i), "_3a");
		(void)shutdown(w.outside[i], SHUT_WR);
		while (w.halves == 0)
			(void)event_base_loop(w.base, EVLOOP_ONCE);
		(void)read_all(w.outside[leg_other(i)], text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, "_3");
		world_stop(&w);
	}
}

/* With half a conversation there is nothing to be negotiated. */
static void
nothing_wakes_after_an_end(void)
{
	enum leg_id i, other;
	struct world w;
	char text[64];

	for (i = LEG_CLIENT; i < LEG_COUNT; i++) {
		other = leg_other(i);
		world_watch(&w, "_", "_");
		(void)shutdown(w.outside[other], SHUT_WR);
		while (w.halves == 0)
			(void)event_base_loop(w.base, EVLOOP_ONCE);
		say(&w, i, "5!bc");
		(void)shutdown(w.outside[i], SHUT_WR);
		CU_ASSERT_TRUE(run_to_end(&w));
		CU_ASSERT_FALSE(w.woken);
		leg_close(&w.leg[other]);
		(void)read_all(w.outside[other], text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, "_5!bc");
		world_stop(&w);
	}
}

/* Nor where one was over before there was a relay. */
static void
nothing_wakes_a_deaf_relay(void)
{
	struct world w;

	world_init(&w);
	w.units[LEG_CLIENT] = &units;
	w.deaf = true;
	world_relay(&w, "_3!_", NULL);
	CU_ASSERT_FALSE_FATAL(w.woken);
	say(&w, LEG_CLIENT, "4!b_1");
	expect_heard(&w, LEG_SERVER, "_3!_4!b_1");
	CU_ASSERT_FALSE(w.woken);
	CU_ASSERT_FALSE(w.over);
	world_stop(&w);
}

static void
unread_unit_wakes_at_once(void)
{
	struct world w;

	world_watch(&w, "_3a_3!_2", "_4bb_");
	CU_ASSERT_TRUE(w.woken);
	check_rest(&w, LEG_CLIENT, "_3!_2");
	check_rest(&w, LEG_SERVER, "_");
	expect_heard(&w, LEG_SERVER, "_3a");
	expect_heard(&w, LEG_CLIENT, "_4bb");
	CU_ASSERT_EQUAL(w.relay.flow[LEG_CLIENT].bytes, 3);
	CU_ASSERT_EQUAL(w.relay.flow[LEG_SERVER].bytes, 4);
	/* It goes on from where it was woken, by whatever was made of that. */
	w.woken = false;
	world_relay(&w, "_2", "_");
	CU_ASSERT_FALSE(w.woken);
	say(&w, LEG_SERVER, "3b");
	expect_heard(&w, LEG_SERVER, "_2");
	expect_heard(&w, LEG_CLIENT, "_3b");
	world_stop(&w);
}

static void
impossible_length_is_the_end(void)
{
	static const char *const early[] = { NULL, "_3a_1!" };
	enum leg_id i, j;
	struct world w;

	for (i = LEG_CLIENT; i < LEG_COUNT; i++) {
		for (j = 0; j < 2; j++) {
			world_watch(&w, i == LEG_CLIENT ? early[j] : NULL,
			    i == LEG_SERVER ? early[j] : NULL);
			if (early[j] == NULL)
				say(&w, i, "_3a_1!");
			CU_ASSERT_TRUE(w.over || run_to_end(&w));
			CU_ASSERT_EQUAL(w.relay.reason, REASON_PROTOCOL);
			CU_ASSERT_PTR_NOT_NULL(w.relay.detail);
			expect_heard(&w, leg_other(i), "_3a");
			CU_ASSERT_EQUAL(w.relay.flow[i].bytes, 3);
			world_stop(&w);
		}
	}
}

/* A pipe would have to be emptied first. */
static void
watched_streams_use_no_pipe(void)
{
	struct world w;

	world_init(&w);
	w.units[LEG_CLIENT] = &units;
	world_relay(&w, NULL, NULL);
	write_until_full(&w);
	CU_ASSERT_PTR_NULL(w.relay.flow[LEG_SERVER].pipe);
	check_stream(&w);
	say(&w, LEG_CLIENT, "_2_5!");
	run_until_woken(&w);
	expect_heard(&w, LEG_SERVER, "_2");
	world_stop(&w);
}

/*
 * Units that are held until they are whole, as long as they may be.
 */

static uint64_t
long_length(struct rd head)
{
	return rd_be32(&head);
}

static enum unit_act
always_pass(struct rd before, struct rd peek)
{
	(void)before;
	(void)peek;
	return UNIT_PASS;
}

static const struct neg_units longest = { .head = 4,
	.peek = 4,
	.whole_max = NEG_UNIT_MAX,
	.length = long_length,
	.judge = always_pass };

#define LONGEST 6
static uint8_t longest_units[LONGEST * NEG_UNIT_MAX];

/* Sends on until so much has come out, or come in and been held. */
static void
pump_longest(struct world *w, size_t *sent, size_t upto, size_t *heard,
    size_t out)
{
	static uint8_t got[CHUNK];
	struct units *u = w->relay.flow[LEG_CLIENT].units;
	ssize_t n;

	while (*sent < upto || *heard < out || u->held.len != *sent - out) {
		n = send(w->outside[LEG_CLIENT], longest_units + *sent,
		    upto - *sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		*sent += n > 0 ? (size_t)n : 0;
		(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
		n = recv(w->outside[LEG_SERVER], got, sizeof(got),
		    MSG_DONTWAIT);
		if (n <= 0)
			continue;
		CU_ASSERT_EQUAL_FATAL(
		    memcmp(got, longest_units + *heard, (size_t)n), 0);
		*heard += (size_t)n;
		CU_ASSERT_TRUE_FATAL(*heard <= out);
	}
}

static void
longest_units_are_held_until_they_are_whole(void)
{
	struct units *u;
	struct world w;
	size_t i, sent = 0, heard = 0;
	int room = 8 * CHUNK;

	for (i = 0; i < sizeof(longest_units); i++)
		longest_units[i] = pattern(i);
	for (i = 0; i < LONGEST; i++) /* NEG_UNIT_MAX */
		memcpy(longest_units + i * NEG_UNIT_MAX, "\0\1\0\20", 4);
	world_init(&w);
	(void)setsockopt(w.leg[LEG_CLIENT].fd, SOL_SOCKET, SO_RCVBUFFORCE,
	    &room, sizeof(room));
	w.units[LEG_CLIENT] = &longest;
	world_relay(&w, NULL, NULL);
	u = w.relay.flow[LEG_CLIENT].units;
	pump_longest(&w, &sent, NEG_UNIT_MAX - 1, &heard, 0);
	CU_ASSERT_EQUAL(u->held.len, NEG_UNIT_MAX - 1);
	/* In front of all that one receive can bring. */
	pump_longest(&w, &sent, LONGEST * NEG_UNIT_MAX - 1, &heard,
	    (LONGEST - 1) * NEG_UNIT_MAX);
	CU_ASSERT_EQUAL(u->held.len, NEG_UNIT_MAX - 1);
	pump_longest(&w, &sent, LONGEST * NEG_UNIT_MAX, &heard,
	    LONGEST * NEG_UNIT_MAX);
	CU_ASSERT_PTR_NULL(u->held.base);
	CU_ASSERT_PTR_NULL(w.leg[LEG_SERVER].unsent.base);
	CU_ASSERT_EQUAL(w.relay.flow[LEG_CLIENT].bytes, sizeof(longest_units));
	world_stop(&w);
}

/*
 * Units that are taken.
 */

/* Of the first kind: t is taken and comes out as one of the negotiator's, u is
 * taken for nothing, f would be more than there is room for. */
static enum unit_act
taking_judge(struct rd before, struct rd peek)
{
	uint8_t what;

	(void)before;
	rd_skip(&peek, 2);
	what = rd_u8(&peek);
	if (what == '!')
		return UNIT_WAKE;
	return what == 't' || what == 'u' || what == 'f' ? UNIT_TAKE
							 : UNIT_PASS;
}

static bool
rewrite(const struct negotiator *n, struct rd unit, struct wr *out)
{
	uint8_t what;

	rd_skip(&unit, 2);
	what = rd_u8(&unit);
	CU_ASSERT_EQUAL(out->len, 0);
	CU_ASSERT_EQUAL(out->cap, NEG_REWRITE_MAX);
	wr_string(out, "<");
	wr_string(out, n->server_host);
	wr_bytes(out, unit.at, unit.left);
	wr_string(out, ">");
	while (what == 'f' && !out->full)
		wr_string(out, "more");
	return what != 'u';
}

static const struct neg_units taking = { .head = 2,
	.peek = 3,
	.length = unit_length,
	.judge = taking_judge,
	.rewrite = rewrite };

static void
world_take(struct world *w, enum leg_id from, const char *client,
    const char *server)
{
	world_init(w);
	w->units[from] = &taking;
	w->negotiator.server_host = "N";
	world_relay(w, client, server);
}

#define TAKEN   "_3a_4tb_3u_5tcd_3f_3t_3z_3e"
#define WRITTEN "_3a<Nb>_3u<Ncd>_3f<N>_3z_3e"

static void
taken_units_go_on_in_other_words(void)
{
	const char *at;
	enum leg_id i;
	struct world w;

	for (i = LEG_CLIENT; i < LEG_COUNT; i++) {
		world_take(&w, i, NULL, NULL);
		say(&w, i, TAKEN);
		expect_heard(&w, leg_other(i), WRITTEN);
		for (at = TAKEN; *at != '\0'; at++) {
			say(&w, i, (char[]){ *at, '\0' });
			(void)event_base_loop(w.base, EVLOOP_NONBLOCK);
		}
		expect_heard(&w, leg_other(i), WRITTEN);
		say(&w, leg_other(i), TAKEN);
		expect_heard(&w, i, TAKEN);
		CU_ASSERT_EQUAL(w.relay.flow[i].bytes, 2 * strlen(WRITTEN));
		CU_ASSERT_EQUAL(w.relay.flow[leg_other(i)].bytes,
		    strlen(TAKEN));
		CU_ASSERT_EQUAL(w.relay.flow[i].units->held.len, 0);
		world_stop(&w);
	}
}

static void
units_that_came_before_are_taken_too(void)
{
	struct world w;

	world_take(&w, LEG_SERVER, "_3t", TAKEN "_4t");
	expect_heard(&w, LEG_SERVER, "_3t");
	expect_heard(&w, LEG_CLIENT, WRITTEN);
	say(&w, LEG_SERVER, "x_3t");
	expect_heard(&w, LEG_CLIENT, "<Nx><N>");
	world_stop(&w);
}

/* What never became a unit is passed as it is. */
static void
half_a_taken_unit_goes_before_an_end(void)
{
	enum leg_id i;
	struct world w;
	char text[64];

	for (i = LEG_CLIENT; i < LEG_COUNT; i++) {
		world_take(&w, i, NULL, NULL);
		say(&w, i, "_4tb_9tcd");
		(void)shutdown(w.outside[i], SHUT_WR);
		while (w.halves == 0)
			(void)event_base_loop(w.base, EVLOOP_ONCE);
		(void)read_all(w.outside[leg_other(i)], text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, "<Nb>_9tcd");
		CU_ASSERT_EQUAL(w.relay.flow[i].bytes, strlen(text));
		world_stop(&w);
	}
}

/* Whichever side has ended: before the relay, or in it. */
static void
taking_outlasts_the_other_end(void)
{
	struct world w;
	char text[64];
	unsigned i;

	for (i = 0; i < 2; i++) {
		world_init(&w);
		w.units[LEG_SERVER] = &taking;
		w.negotiator.server_host = "N";
		w.deaf = i == 1;
		(void)shutdown(w.outside[LEG_CLIENT], SHUT_WR);
		world_relay(&w, NULL, "_4");
		while (w.halves == 0)
			(void)event_base_loop(w.base, EVLOOP_ONCE);
		say(&w, LEG_SERVER, "tx_3!_4ty_3");
		(void)shutdown(w.outside[LEG_SERVER], SHUT_WR);
		CU_ASSERT_TRUE(run_to_end(&w));
		CU_ASSERT_FALSE(w.woken);
		leg_close(&w.leg[LEG_CLIENT]);
		(void)read_all(w.outside[LEG_CLIENT], text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, "<Nx>_3!<Ny>_3");
		world_stop(&w);
	}
}

/* The last words are a server's words like all others. */
static void
last_words_are_taken_too(void)
{
	struct world w;
	char text[64];
	unsigned i;

	world_take(&w, LEG_SERVER, NULL, NULL);
	say(&w, LEG_CLIENT, "unread");
	(void)event_base_loop(w.base, EVLOOP_ONCE);
	say(&w, LEG_SERVER, "_4tx_3");
	/* Unread bytes make close() a reset. */
	(void)close(w.outside[LEG_SERVER]);
	w.outside[LEG_SERVER] = -1;
	for (i = 0; i < 3; i++)
		(void)send(w.outside[LEG_CLIENT], "more", 4, MSG_NOSIGNAL);
	CU_ASSERT_TRUE(run_to_end(&w));
	CU_ASSERT_EQUAL(w.relay.reason, REASON_SERVER_RESET);
	leg_close(&w.leg[LEG_CLIENT]);
	(void)read_all(w.outside[LEG_CLIENT], text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "<Nx>_3");
	CU_ASSERT_EQUAL(w.relay.flow[LEG_SERVER].bytes, strlen(text));
	world_stop(&w);
}

static void
broken_units_of_a_taking_side_are_the_end(void)
{
	struct world w;

	world_take(&w, LEG_SERVER, NULL, NULL);
	say(&w, LEG_SERVER, "_4tx_1t");
	CU_ASSERT_TRUE(run_to_end(&w));
	CU_ASSERT_EQUAL(w.relay.reason, REASON_PROTOCOL);
	expect_heard(&w, LEG_CLIENT, "<Nx>");
	world_stop(&w);
}

#define ROUNDS 60000

/* Nine bytes, of which the last five count, come out as nine of ours. */
static void
rewritten_units_wait_for_a_slow_reader(void)
{
	char unit[16], got[16];
	struct world w;
	size_t at = 0, sent = 0, heard = 0, len = 0;
	int small = 32768;
	bool right = true, blocked = false;
	ssize_t n;

	world_init(&w);
	w.units[LEG_SERVER] = &taking;
	w.negotiator.server_host = "N";
	(void)setsockopt(w.outside[LEG_CLIENT], SOL_SOCKET, SO_RCVBUF, &small,
	    sizeof(small));
	(void)setsockopt(w.leg[LEG_CLIENT].fd, SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small));
	world_relay(&w, NULL, NULL);
	while (heard < ROUNDS && !w.over) {
		/* As much as is taken, and then one message is read. */
		while (sent < ROUNDS) {
			(void)snprintf(unit, sizeof(unit), "_9%c%06zu",
			    sent % 3 ? 't' : 'x', sent);
			n = send(w.outside[LEG_SERVER], unit + at, 9 - at,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n <= 0)
				break;
			at = (at + (size_t)n) % 9;
			sent += at == 0;
		}
		(void)event_base_loop(w.base, EVLOOP_NONBLOCK);
		blocked = blocked || leg_blocked(&w.leg[LEG_CLIENT]);
		n = recv(w.outside[LEG_CLIENT], got + len, 9 - len,
		    MSG_DONTWAIT);
		len += n > 0 ? (size_t)n : 0;
		if (len < 9)
			continue;
		len = 0;
		(void)snprintf(unit, sizeof(unit),
		    heard % 3 ? "<N%06zu>" : "_9x%06zu", heard);
		right = right && memcmp(got, unit, 9) == 0;
		heard++;
	}
	CU_ASSERT_EQUAL(heard, ROUNDS);
	CU_ASSERT_TRUE(right);
	CU_ASSERT_TRUE(blocked);
	CU_ASSERT_EQUAL(w.relay.flow[LEG_SERVER].bytes, ROUNDS * 9);
	world_stop(&w);
}

/* Those who share the thread are not to wait for a row of the smallest. */
#define SMALL_MOST ((uint64_t)16 * 1024) /* at once, in bytes */

static void
expect_small_portions(const struct neg_units *ops, const char *unit,
    const char *written)
{
	static char row[120 * 1024], got[sizeof(row)];
	uint64_t before, most = 0, *bytes;
	size_t len = 0, i, all = sizeof(row) / strlen(unit) * strlen(unit);
	struct world w;
	ssize_t n;

	for (i = 0; i < all; i++)
		row[i] = unit[i % strlen(unit)];
	world_init(&w);
	w.units[LEG_CLIENT] = ops;
	w.negotiator.server_host = "N";
	world_relay(&w, NULL, NULL);
	bytes = &w.relay.flow[LEG_CLIENT].bytes;
	n = send(w.outside[LEG_CLIENT], row, all, MSG_NOSIGNAL);
	CU_ASSERT_EQUAL_FATAL(n, (ssize_t)all);
	while (len < all && !w.over) {
		before = *bytes;
		(void)event_base_loop(w.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		if (*bytes - before > most)
			most = *bytes - before;
		n = recv(w.outside[LEG_SERVER], got + len, sizeof(got) - len,
		    MSG_DONTWAIT);
		len += n > 0 ? (size_t)n : 0;
	}
	CU_ASSERT_EQUAL(len, all);
	for (i = 0; i < all; i++)
		row[i] = written[i % strlen(unit)];
	CU_ASSERT_EQUAL(memcmp(got, row, all), 0);
	CU_ASSERT_TRUE(most <= SMALL_MOST);
	world_stop(&w);
}

static void
many_small_units_let_others_in_between(void)
{
	expect_small_portions(&units, "_2", "_2");
}

/* What is put in other words costs more than what passes. */
static void
many_taken_units_let_others_in_between(void)
{
	expect_small_portions(&taking, "_4tb", "<Nb>");
}

static uint64_t
whole_length(struct rd head)
{
	return rd_u8(&head);
}

static const struct neg_units whole = { .head = 1,
	.peek = 1,
	.whole_max = UINT8_MAX,
	.length = whole_length };

/* Who takes no more has not ended for that: over a unix socket it may stop to
 * read, and go on to write. */
static void
half_a_unit_goes_when_its_side_reads_no_more(void)
{
	struct world w;
	char text[16];
	int fds[2];

	world_init(&w);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX,
				  SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
				  fds),
	    0);
	leg_close(&w.leg[LEG_CLIENT]);
	(void)close(w.outside[LEG_CLIENT]);
	w.outside[LEG_CLIENT] = fds[0];
	leg_open(&w.leg[LEG_CLIENT], fds[1], w.base,
	    relay_leg_buffers(w.buffers), NULL, NULL);
	w.units[LEG_CLIENT] = &whole;
	world_relay(&w, NULL, NULL);
	say(&w, LEG_CLIENT, "half");
	while (w.relay.flow[LEG_CLIENT].units->held.len < 4)
		(void)event_base_loop(w.base, EVLOOP_ONCE);
	(void)shutdown(fds[0], SHUT_RD);
	say(&w, LEG_SERVER, "unwanted");
	CU_ASSERT_TRUE(run_to_end(&w));
	CU_ASSERT_EQUAL(w.relay.reason, REASON_CLIENT_RESET);
	leg_close(&w.leg[LEG_SERVER]);
	(void)read_all(w.outside[LEG_SERVER], text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "half");
	world_stop(&w);
}

/* Nor does it use a pipe when the other side has ended. */

static void
taking_streams_use_no_pipe(void)
{
	struct world w;

	world_init(&w);
	w.units[LEG_CLIENT] = &taking;
	w.deaf = true;
	world_relay(&w, NULL, NULL);
	write_until_full(&w);
	CU_ASSERT_PTR_NULL(w.relay.flow[LEG_SERVER].pipe);
	check_stream(&w);
	world_stop(&w);
}

static void
queue_keeps_order_and_maximum(void)
{
	static const uint8_t abc[] = "abcdefgh";
	struct queue q;
	unsigned i;

	queue_init(&q, 4000);
	for (i = 0; i < 400; i++)
		CU_ASSERT_TRUE(queue_append(&q, abc, 8));
	CU_ASSERT_TRUE(queue_append(&q, abc, 8));
	queue_consume(&q, 8 * 400);
	CU_ASSERT_EQUAL(memcmp(queue_data(&q), abc, 8), 0);
	for (i = 0; i < 499; i++)
		CU_ASSERT_TRUE(queue_append(&q, abc, 8));
	CU_ASSERT_FALSE(queue_append(&q, abc, 1));
	CU_ASSERT_EQUAL(q.len, 4000);
	queue_consume(&q, 4000);
	CU_ASSERT_PTR_NULL(q.base);
	queue_fini(&q);
}

static CU_TestInfo tests[] = {
	{ "queue_keeps_order_and_maximum", queue_keeps_order_and_maximum },
	{ "bulk_arrives_unchanged", bulk_arrives_unchanged },
	{ "slow_readers_lose_nothing", slow_readers_lose_nothing },
	{ "nothing_is_an_orderly_stream_too",
	    nothing_is_an_orderly_stream_too },
	{ "unread_bytes_go_first", unread_bytes_go_first },
	{ "half_close_leaves_the_other_half",
	    half_close_leaves_the_other_half },
	{ "reset_is_told_by_its_side", reset_is_told_by_its_side },
	{ "short_memory_is_nobodys_reset", short_memory_is_nobodys_reset },
	{ "last_words_of_a_reset_server_arrive",
	    last_words_of_a_reset_server_arrive },
	{ "unread_bytes_of_a_reset_side_go_first",
	    unread_bytes_of_a_reset_side_go_first },
	{ "nothing_is_in_flight_to_a_reset_peer",
	    nothing_is_in_flight_to_a_reset_peer },
	{ "reset_leaves_no_hole_in_the_stream",
	    reset_leaves_no_hole_in_the_stream },
	{ "early_bytes_follow_a_reader_that_was_waited_for",
	    early_bytes_follow_a_reader_that_was_waited_for },
	{ "unit_wakes_after_all_before_it", unit_wakes_after_all_before_it },
	{ "head_is_held_until_it_can_be_judged",
	    head_is_held_until_it_can_be_judged },
	{ "held_bytes_go_before_an_end", held_bytes_go_before_an_end },
	{ "nothing_wakes_after_an_end", nothing_wakes_after_an_end },
	{ "nothing_wakes_a_deaf_relay", nothing_wakes_a_deaf_relay },
	{ "unread_unit_wakes_at_once", unread_unit_wakes_at_once },
	{ "impossible_length_is_the_end", impossible_length_is_the_end },
	{ "small_pieces_are_copied_again", small_pieces_are_copied_again },
	{ "streams_at_rest_hold_no_pipe", streams_at_rest_hold_no_pipe },
	{ "watched_streams_use_no_pipe", watched_streams_use_no_pipe },
	{ "longest_units_are_held_until_they_are_whole",
	    longest_units_are_held_until_they_are_whole },
	{ "taken_units_go_on_in_other_words",
	    taken_units_go_on_in_other_words },
	{ "units_that_came_before_are_taken_too",
	    units_that_came_before_are_taken_too },
	{ "half_a_taken_unit_goes_before_an_end",
	    half_a_taken_unit_goes_before_an_end },
	{ "taking_outlasts_the_other_end", taking_outlasts_the_other_end },
	{ "last_words_are_taken_too", last_words_are_taken_too },
	{ "broken_units_of_a_taking_side_are_the_end",
	    broken_units_of_a_taking_side_are_the_end },
	{ "rewritten_units_wait_for_a_slow_reader",
	    rewritten_units_wait_for_a_slow_reader },
	{ "many_small_units_let_others_in_between",
	    many_small_units_let_others_in_between },
	{ "many_taken_units_let_others_in_between",
	    many_taken_units_let_others_in_between },
	{ "half_a_unit_goes_when_its_side_reads_no_more",
	    half_a_unit_goes_when_its_side_reads_no_more },
	{ "taking_streams_use_no_pipe", taking_streams_use_no_pipe },
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	static CU_SuiteInfo suites[] = {
		{ "relay", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
