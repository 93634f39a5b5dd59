/*
 * What a leg does whose records are the kernel's, with a kernel that is played
 * here: it says what the test wants, and writes down what it is told.  What a
 * real one does is shown by the real tests.
 */
#include "proxy/leg.h"

#include <sys/socket.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/ktls.h"
#include "proxy/relay.h"
#include "tests/unit/tls_world.h"

#define HANDSHAKE 22
#define ALERT     21
#define SCRIPT    8
#define REKEY     100

/* What the kernel has for us, one after the other. */
struct news {
	uint8_t type;
	const char *bytes;
	size_t len;
	int error; /* not 0: this instead */
};

static struct kernel {
	enum ktls_result arms;
	struct news news[SCRIPT];
	size_t nnews, at;
	unsigned full; /* so many records are not taken at first */
	size_t room;   /* for data */
	bool held;     /* it has what TCP has not */
	uint64_t sealed;
	char said[512]; /* what it was told */
} kernel;

static void
note(const char *what)
{
	size_t len = strlen(kernel.said);

	(void)snprintf(kernel.said + len, sizeof(kernel.said) - len, "%s%s",
	    len == 0 ? "" : " ", what);
}

/* In the place of ktls.c. */

enum ktls_result
ktls_arm(struct ktls *k, int fd, const struct records_kernel_key *receive,
    const struct records_kernel_key *send)
{
	(void)receive;
	(void)send;
	k->fd = fd;
	note("arm");
	return kernel.arms;
}

bool
ktls_receive_key(const struct ktls *k, const struct records_kernel_key *key)
{
	(void)k;
	CU_ASSERT_EQUAL(key->sequence, 0);
	note("receive-key");
	return true;
}

bool
ktls_send_key(struct ktls *k, const struct records_kernel_key *key)
{
	(void)k;
	CU_ASSERT_EQUAL(key->sequence, 0);
	kernel.sealed = 0;
	note("send-key");
	return true;
}

ssize_t
ktls_send(struct ktls *k, const uint8_t *bytes, size_t len)
{
	char words[32];

	(void)k;
	(void)bytes;
	if (kernel.room == 0) {
		errno = EAGAIN;
		return -1;
	}
	len = len < kernel.room ? len : kernel.room;
	kernel.room -= len;
	kernel.sealed++;
	(void)snprintf(words, sizeof(words), "data:%zu", len);
	note(words);
	return (ssize_t)len;
}

int
ktls_send_record(struct ktls *k, uint8_t type, const uint8_t *bytes, size_t len)
{
	char words[64];
	size_t i, at;

	(void)k;
	if (kernel.full > 0) {
		kernel.full--;
		errno = EAGAIN;
		return -1;
	}
	at = (size_t)snprintf(words, sizeof(words), "%u:", type);
	for (i = 0; i < len && at + 3 < sizeof(words); i++, at += 2)
		(void)snprintf(words + at, 3, "%02x", bytes[i]);
	note(words);
	return 0;
}

ssize_t
ktls_receive(const struct ktls *k, uint8_t *bytes, size_t cap, uint8_t *type)
{
	struct news *n = &kernel.news[kernel.at];
	size_t len;

	(void)k;
	if (kernel.at == kernel.nnews || n->error != 0) {
		errno = kernel.at == kernel.nnews ? EAGAIN : n->error;
		kernel.at += kernel.at < kernel.nnews;
		return -1;
	}
	len = n->len < cap ? n->len : cap;
	memcpy(bytes, n->bytes, len);
	*type = n->type;
	n->bytes += len;
	n->len -= len;
	kernel.at += n->len == 0;
	return (ssize_t)len;
}

void
ktls_forgive(const struct ktls *k)
{
	(void)k;
	note("forgive");
}

bool
ktls_sealed(const struct ktls *k, uint64_t *records)
{
	(void)k;
	*records = kernel.sealed;
	return true;
}

bool
ktls_flushed(const struct ktls *k)
{
	(void)k;
	return !kernel.held;
}

/* A server's leg, and OpenSSL at the other end of its socket. */
struct scene {
	struct endpoint *endpoint;
	struct wire wire;
	struct event_base *base;
	struct relay_buffers *buffers;
	struct leg leg;
	int fd;
	enum leg_result result;
	unsigned flushed, failed;
	char taken[256];
	size_t ntaken;
};

static const struct neg_tls terms = { .alpn_rule = NEG_ALPN_NONE };

static void
on_readable(struct leg *leg, void *arg)
{
	(void)leg;
	(void)arg;
}

static void
on_flushed(struct leg *leg, void *arg)
{
	struct scene *s = arg;

	(void)leg;
	s->flushed++;
}

static void
on_failed(struct leg *leg, void *arg)
{
	struct scene *s = arg;

	(void)leg;
	s->failed++;
}

static const struct leg_events events = { on_readable, on_flushed, on_failed };

static void
run(struct scene *s)
{
	unsigned i;

	for (i = 0; i < 3; i++)
		(void)event_base_loop(s->base, EVLOOP_NONBLOCK);
}

static void
receive(struct scene *s, size_t max)
{
	struct rd bytes;
	bool more;

	s->result = leg_receive(&s->leg, max, &bytes, &more);
	CU_ASSERT_FATAL(s->ntaken + bytes.left < sizeof(s->taken));
	if (bytes.left > 0)
		memcpy(s->taken + s->ntaken, bytes.at, bytes.left);
	s->ntaken += bytes.left;
	s->taken[s->ntaken] = '\0';
}

/* What the peer's OpenSSL has to say, but for so many bytes at its end. */
static size_t
peer_says(struct scene *s, size_t but)
{
	uint8_t bytes[16384];
	int n = BIO_read(s->wire.from_peer, bytes, sizeof(bytes));
	size_t len = n > 0 ? (size_t)n : 0;

	assert(len >= but);
	CU_ASSERT_EQUAL(send(s->fd, bytes, len - but, MSG_NOSIGNAL),
	    (ssize_t)(len - but));
	if (but > 0)
		(void)BIO_write(s->wire.from_peer, bytes + len - but, (int)but);
	return len;
}

static void
peer_hears(struct scene *s)
{
	uint8_t bytes[16384];
	ssize_t n = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n > 0)
		(void)BIO_write(s->wire.to_peer, bytes, (int)n);
}

static void
shake(struct scene *s)
{
	unsigned rounds;
	int done = 0;

	s->result = leg_handshake(&s->leg);
	for (rounds = 0; rounds < 4 && s->result != LEG_OK; rounds++) {
		peer_hears(s);
		(void)SSL_do_handshake(s->wire.peer);
		(void)peer_says(s, 0);
		s->result = leg_handshake(&s->leg);
	}
	peer_hears(s);
	done = SSL_do_handshake(s->wire.peer);
	CU_ASSERT_EQUAL_FATAL(done, 1);
	CU_ASSERT_EQUAL_FATAL(s->leg.state, LEG_SECURED);
}

/* Secured, and not settled. */
static void
scene_open(struct scene *s)
{
	struct rd nothing = { .left = 0 };
	SSL_CTX *peer = world_peer(true, world.good[0]);
	int fds[2];

	memset(s, 0, sizeof(*s));
	memset(&kernel, 0, sizeof(kernel));
	kernel.room = SIZE_MAX;
	s->base = event_base_new();
	s->buffers = relay_buffers_new();
	assert(s->base != NULL && s->buffers != NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1)
		abort();
	s->fd = fds[0];
	s->endpoint = world_full();
	s->endpoint->rekey_records = REKEY;
	/* Tickets are for other tests. */
	(void)SSL_CTX_set_num_tickets(peer, 0);
	wire_open(&s->wire, s->endpoint, LEG_SERVER, &terms, peer);
	tls_context_kernel(s->wire.context, ~0u);
	leg_init(&s->leg);
	leg_open(&s->leg, fds[1], s->base, relay_leg_buffers(s->buffers),
	    &events, s);
	CU_ASSERT_TRUE_FATAL(leg_start_tls(&s->leg, s->wire.tls, nothing));
	s->wire.tls = NULL;
	shake(s);
}

static void
scene_settled(struct scene *s)
{
	scene_open(s);
	leg_settle(&s->leg, true);
	CU_ASSERT_TRUE_FATAL(leg_in_kernel(&s->leg));
	CU_ASSERT_STRING_EQUAL(kernel.said, "arm");
	kernel.said[0] = '\0';
}

static void
scene_close(struct scene *s)
{
	leg_close(&s->leg);
	(void)close(s->fd);
	wire_close(&s->wire);
	world_endpoint_free(s->endpoint);
	relay_buffers_free(s->buffers);
	event_base_free(s->base);
}

static void
news(uint8_t type, const char *bytes, size_t len)
{
	kernel.news[kernel.nnews++] = (struct news){ type, bytes, len, 0 };
}

#define UPDATE           "\x18\0\0\1\0"
#define UPDATE_REQUESTED "\x18\0\0\1\1"
#define ANSWER           "22:1800000100 send-key"

static void
peer_writes(struct scene *s, const char *words)
{
	size_t done;

	CU_ASSERT_EQUAL(SSL_write_ex(s->wire.peer, words, strlen(words), &done),
	    1);
}

/* Both ways through OpenSSL's peer: nothing is lost, or out of order. */
static void
expect_user_space(struct scene *s)
{
	char heard[16];
	size_t n = 0;

	CU_ASSERT_FALSE(leg_in_kernel(&s->leg));
	peer_writes(s, "question");
	(void)peer_says(s, 0);
	receive(s, LEG_RAW_MAX);
	CU_ASSERT_EQUAL(s->result, LEG_OK);
	CU_ASSERT_STRING_EQUAL(s->taken, "question");
	CU_ASSERT_TRUE(leg_send(&s->leg, (const uint8_t *)"answer", 6));
	peer_hears(s);
	CU_ASSERT_EQUAL(SSL_read_ex(s->wire.peer, heard, sizeof(heard), &n), 1);
	CU_ASSERT_EQUAL(n, 6);
	CU_ASSERT_NSTRING_EQUAL(heard, "answer", 6);
}

static void
a_kernel_that_refuses_is_done_without(void)
{
	struct scene s;

	scene_open(&s);
	kernel.arms = KTLS_UNCHANGED;
	leg_settle(&s.leg, true);
	CU_ASSERT_STRING_EQUAL(kernel.said, "arm");
	expect_user_space(&s);
	CU_ASSERT_STRING_EQUAL(kernel.said, "arm");
	scene_close(&s);
}

static void
a_leg_that_may_not_is_not_given(void)
{
	struct scene s;

	scene_open(&s);
	leg_settle(&s.leg, false);
	expect_user_space(&s);
	CU_ASSERT_STRING_EQUAL(kernel.said, "");
	scene_close(&s);
}

static void
one_direction_alone_ends_it(void)
{
	struct scene s;

	scene_open(&s);
	kernel.arms = KTLS_BROKEN;
	leg_settle(&s.leg, true);
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_EQUAL(s.result, LEG_FAILED);
	CU_ASSERT_EQUAL(leg_failure(&s.leg).tls.reason, REASON_INTERNAL);
	scene_close(&s);
}

static void
half_a_record_is_waited_for(void)
{
	struct scene s;

	scene_open(&s);
	peer_writes(&s, "whole");
	(void)peer_says(&s, 7);
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_EQUAL(s.ntaken, 0);
	leg_settle(&s.leg, true);
	CU_ASSERT_FALSE(leg_in_kernel(&s.leg));
	/* No byte of the next is taken with it. */
	peer_writes(&s, "next");
	(void)peer_says(&s, 0);
	receive(&s, LEG_RAW_MAX); /* what waits of it */
	CU_ASSERT_FALSE(leg_in_kernel(&s.leg));
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_STRING_EQUAL(s.taken, "whole");
	CU_ASSERT_TRUE(leg_in_kernel(&s.leg));
	scene_close(&s);
}

static void
what_waits_to_be_sent_goes_first(void)
{
	static uint8_t much[4 * 1024 * 1024], sink[65536];
	struct scene s;

	scene_open(&s);
	while (!leg_blocked(&s.leg))
		CU_ASSERT_TRUE_FATAL(leg_send(&s.leg, much, 65536));
	leg_settle(&s.leg, true);
	CU_ASSERT_STRING_EQUAL(kernel.said, "");
	while (leg_blocked(&s.leg)) {
		while (recv(s.fd, sink, sizeof(sink), 0) > 0)
			continue;
		run(&s);
	}
	CU_ASSERT_STRING_EQUAL(kernel.said, "arm");
	scene_close(&s);
}

static void
key_updates_are_answered(void)
{
	struct scene s;

	scene_settled(&s);
	news(HANDSHAKE, UPDATE, 5);
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_STRING_EQUAL(kernel.said, "receive-key");
	kernel.said[0] = '\0';
	news(KTLS_DATA, "one", 3);
	news(HANDSHAKE, UPDATE_REQUESTED, 5);
	news(KTLS_DATA, "two", 3);
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_EQUAL(s.result, LEG_OK);
	CU_ASSERT_STRING_EQUAL(kernel.said, "receive-key " ANSWER);
	CU_ASSERT_STRING_EQUAL(s.taken, "onetwo");
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_EQUAL(s.result, LEG_WAIT);
	scene_close(&s);
}

/* The kernel opened it, and does not say that it is there. */
static void
a_key_update_is_read_where_room_is_short(void)
{
	struct scene s;

	scene_settled(&s);
	news(KTLS_DATA, "123456", 6);
	news(HANDSHAKE, UPDATE, 5);
	receive(&s, 7);
	CU_ASSERT_STRING_EQUAL(s.taken, "123456");
	CU_ASSERT_STRING_EQUAL(kernel.said, "receive-key");
	scene_close(&s);
}

/* Half an alert would be none. */
static void
an_end_is_read_where_room_is_short(void)
{
	struct scene s;

	scene_settled(&s);
	news(KTLS_DATA, "123456", 6);
	news(ALERT, "\1\0", 2);
	receive(&s, 7);
	CU_ASSERT_EQUAL(s.result, LEG_ENDED);
	CU_ASSERT_STRING_EQUAL(s.taken, "123456");
	CU_ASSERT_STRING_EQUAL(kernel.said, "");
	scene_close(&s);
}

static void
an_answer_waits_and_data_behind_it(void)
{
	struct scene s;

	scene_settled(&s);
	kernel.full = 1;
	news(HANDSHAKE, UPDATE_REQUESTED, 5);
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_STRING_EQUAL(kernel.said, "receive-key");
	CU_ASSERT_TRUE(leg_blocked(&s.leg));
	CU_ASSERT_TRUE(leg_send(&s.leg, (const uint8_t *)"data", 4));
	CU_ASSERT_STRING_EQUAL(kernel.said, "receive-key");
	run(&s);
	CU_ASSERT_STRING_EQUAL(kernel.said, "receive-key " ANSWER " data:4");
	CU_ASSERT_FALSE(leg_blocked(&s.leg));
	CU_ASSERT_EQUAL(s.flushed, 1);
	scene_close(&s);
}

static void
who_asks_for_keys_and_takes_none_is_ended(void)
{
	struct scene s;
	unsigned i;

	scene_settled(&s);
	kernel.full = 100;
	for (i = 0; i < 5; i++)
		news(HANDSHAKE, UPDATE_REQUESTED, 5);
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_EQUAL(s.result, LEG_FAILED);
	scene_close(&s);
}

static void
our_own_key_comes_in_time(void)
{
	struct scene s;
	unsigned sent = 0;

	scene_settled(&s);
	while (strstr(kernel.said, "send-key") == NULL && sent < REKEY) {
		kernel.said[0] = '\0';
		CU_ASSERT_TRUE_FATAL(leg_send(&s.leg, (const uint8_t *)"x", 1));
		sent++;
	}
	CU_ASSERT_TRUE(sent < REKEY);
	CU_ASSERT_STRING_EQUAL(kernel.said, "data:1 " ANSWER);
	scene_close(&s);
}

static void
the_end_comes_behind_all(void)
{
	struct scene s;
	char byte;

	scene_settled(&s);
	kernel.room = 2;
	CU_ASSERT_TRUE(leg_send(&s.leg, (const uint8_t *)"data", 4));
	CU_ASSERT_TRUE(leg_shutdown(&s.leg));
	CU_ASSERT_STRING_EQUAL(kernel.said, "data:2");
	CU_ASSERT_TRUE(leg_blocked(&s.leg));
	kernel.room = 2;
	kernel.held = true;
	run(&s);
	CU_ASSERT_STRING_EQUAL(kernel.said, "data:2 data:2 21:0100");
	/* What it has sealed is not with TCP yet: no FIN. */
	CU_ASSERT_TRUE(leg_blocked(&s.leg));
	CU_ASSERT_EQUAL(leg_in_flight(&s.leg), 1);
	CU_ASSERT_EQUAL(recv(s.fd, &byte, 1, 0), -1);
	kernel.held = false;
	while (!s.leg.finished)
		(void)event_base_loop(s.base, EVLOOP_ONCE);
	CU_ASSERT_EQUAL(recv(s.fd, &byte, 1, 0), 0);
	CU_ASSERT_FALSE(leg_blocked(&s.leg));
	CU_ASSERT_EQUAL(s.flushed, 1);
	/* A request behind it gets no answer. */
	news(HANDSHAKE, UPDATE_REQUESTED, 5);
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_STRING_EQUAL(kernel.said,
	    "data:2 data:2 21:0100 receive-key");
	scene_close(&s);
}

static void
ends_are_told_apart(void)
{
	struct scene s;

	scene_settled(&s);
	news(KTLS_DATA, "last", 4);
	news(ALERT, "\1\0", 2);
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_EQUAL(s.result, LEG_ENDED);
	CU_ASSERT_STRING_EQUAL(s.taken, "last");
	scene_close(&s);

	scene_settled(&s);
	news(KTLS_DATA, "last", 4);
	news(KTLS_EOF, "", 0);
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_EQUAL(s.result, LEG_TRUNCATED);
	CU_ASSERT_STRING_EQUAL(s.taken, "last");
	scene_close(&s);
	/* A record of nothing is no end. */
	scene_settled(&s);
	news(KTLS_DATA, "", 0);
	news(KTLS_DATA, "on", 2);
	receive(&s, LEG_RAW_MAX);
	CU_ASSERT_EQUAL(s.result, LEG_OK);
	CU_ASSERT_STRING_EQUAL(s.taken, "on");
	scene_close(&s);
}

/* The peer is told with an alert of its own; an alert of the peer's with
 * none. */
static void
what_is_wrong_ends_it(void)
{
	static const struct {
		struct news news;
		const char *said;
	} rows[] = {
		{ { .error = EBADMSG }, "forgive 21:0214" },
		{ { .error = EMSGSIZE }, "forgive 21:0216" },
		{ { .error = EINVAL }, "forgive 21:0232" },
		{ { .error = EKEYEXPIRED }, "forgive 21:0250" },
		{ { ALERT, "\2\x28", 2, 0 }, "" },
		{ { ALERT, "\2", 1, 0 }, "21:02" },
		{ { 99, "x", 1, 0 }, "21:020a" },
		{ { HANDSHAKE, "\1\0\0\0", 4, 0 }, "21:020a" },
		{ { HANDSHAKE, "\x18\0\0\1\2", 5, 0 }, "21:022f" },
		{ { HANDSHAKE, UPDATE "\x18", 6, 0 }, "21:020a" },
	};
	struct scene s;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scene_settled(&s);
		kernel.news[kernel.nnews++] = rows[i].news;
		receive(&s, LEG_RAW_MAX);
		CU_ASSERT_EQUAL(s.result, LEG_FAILED);
		CU_ASSERT_EQUAL(leg_failure(&s.leg).error, 0);
		CU_ASSERT_PTR_NOT_NULL(leg_failure(&s.leg).tls.text);
		if (strncmp(kernel.said, rows[i].said, strlen(rows[i].said)) !=
		    0) {
			(void)printf("row %zu: %s\n", i, kernel.said);
			CU_FAIL("it was told otherwise");
		}
		scene_close(&s);
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		TEST(a_kernel_that_refuses_is_done_without),
		TEST(a_leg_that_may_not_is_not_given),
		TEST(one_direction_alone_ends_it),
		TEST(half_a_record_is_waited_for),
		TEST(what_waits_to_be_sent_goes_first),
		TEST(key_updates_are_answered),
		TEST(a_key_update_is_read_where_room_is_short),
		TEST(an_end_is_read_where_room_is_short),
		TEST(an_answer_waits_and_data_behind_it),
		TEST(who_asks_for_keys_and_takes_none_is_ended),
		TEST(our_own_key_comes_in_time),
		TEST(the_end_comes_behind_all),
		TEST(ends_are_told_apart),
		TEST(what_is_wrong_ends_it),
		CU_TEST_INFO_NULL,
	};

	return world_main("leg_kernel", tests);
}
