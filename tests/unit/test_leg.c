/*
 * What a leg does with TLS that is not bare records from its first byte to its
 * last: handshakes in a protocol's messages, TLS that stops, and whole units,
 * each a record of its own.  Over real sockets, by a loop's events, against
 * OpenSSL.
 */
#include "proxy/leg.h"

#include <sys/socket.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocols/tds_packet.h"
#include "proxy/relay.h"
#include "tests/unit/tls_world.h"

#define HEARD_MAX (8 * 1024 * 1024)
#define TAKEN_MAX (256 * 1024)
#define ALL       SIZE_MAX
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

/* A record's head. */
#define RECORD_HEAD 5u
#define RECORD_DATA 23u

/* A leg of ours, and OpenSSL at the other end of its socket. */
struct scene {
	struct endpoint *endpoint;
	struct wire wire; /* its `tls` is the leg's */
	struct event_base *base;
	struct relay_buffers *buffers;
	struct leg leg;
	enum leg_result result; /* of what was done last */
	int fd;                 /* the peer's end */
	size_t slice;           /* so much of the peer's words comes at once */
	size_t packet;          /* so long are its packets */
	uint8_t type;           /* ... and of this type */
	size_t stop_at;         /* after so many bytes its TLS stops */
	unsigned messages;      /* of ours */
	uint8_t *taken;         /* what the leg has given us */
	size_t ntaken;
	uint8_t *heard; /* what the peer's socket has given it */
	size_t nheard;
};

static const struct neg_tls bare_terms = { .alpn_rule = NEG_ALPN_NONE };
static const struct neg_tls wrapped_terms = { .alpn_rule = NEG_ALPN_NONE,
	.wrap = &tds_wrap };
static const struct neg_tls stopping_terms = { .alpn_rule = NEG_ALPN_NONE,
	.may_stop = true };
static const struct neg_tls login_terms = { .alpn_rule = NEG_ALPN_NONE,
	.wrap = &tds_wrap,
	.may_stop = true };

static void
take(struct scene *s, struct rd bytes)
{
	CU_ASSERT_FATAL(s->ntaken + bytes.left <= TAKEN_MAX);
	if (bytes.left > 0)
		memcpy(s->taken + s->ntaken, bytes.at, bytes.left);
	s->ntaken += bytes.left;
}

static void
on_readable(struct leg *leg, void *arg)
{
	struct scene *s = arg;
	struct rd bytes;
	bool more;

	if (leg->state == LEG_SECURING) {
		s->result = leg_handshake(leg);
		/* What came behind it has no event of its own. */
		if (s->result == LEG_OK && leg->early.len > 0)
			leg_remind(leg);
	} else {
		s->result = leg_receive(leg, LEG_RAW_MAX, &bytes, &more);
		take(s, bytes);
	}
	if (s->result != LEG_OK && s->result != LEG_WAIT)
		leg_want_read(leg, false);
	if (s->ntaken == s->stop_at && leg->state == LEG_SECURED)
		leg_stop_tls(leg);
}

static void
on_flushed(struct leg *leg, void *arg)
{
	(void)leg;
	(void)arg;
}

static const struct leg_events events = { on_readable, on_flushed, on_flushed };

static void
run(struct scene *s)
{
	unsigned i;

	/* One round for the socket, one for what came early, and one more. */
	for (i = 0; i < 3; i++)
		(void)event_base_loop(s->base, EVLOOP_NONBLOCK);
}

/* The leg before its handshake.  `peer` is taken. */
static void
scene_open(struct scene *s, enum leg_id leg, const struct neg_tls *how,
    const struct keypair *own, SSL_CTX *peer)
{
	struct rd nothing = { .left = 0 };
	int fds[2];

	memset(s, 0, sizeof(*s));
	s->slice = ALL;
	s->packet = TDS_PACKET_FIRST;
	s->type = TDS_PRELOGIN;
	s->stop_at = ALL;
	s->taken = malloc(TAKEN_MAX);
	s->heard = malloc(HEARD_MAX);
	s->base = event_base_new();
	s->buffers = relay_buffers_new();
	assert(s->taken != NULL && s->heard != NULL && s->base != NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1)
		abort();
	s->fd = fds[0];
	s->endpoint = world_full();
	if (leg == LEG_CLIENT)
		world_client_leg(s->endpoint, own, CLIENT_VERIFY_NONE, NULL);
	wire_open(&s->wire, s->endpoint, leg, how, peer);
	leg_init(&s->leg);
	leg_open(&s->leg, fds[1], s->base, relay_leg_buffers(s->buffers),
	    &events, s);
	CU_ASSERT_TRUE_FATAL(leg_start_tls(&s->leg, s->wire.tls, nothing));
	s->wire.tls = NULL;
	leg_want_read(&s->leg, true);
}

static void
scene_close(struct scene *s)
{
	leg_close(&s->leg);
	if (s->fd != -1)
		(void)close(s->fd);
	wire_close(&s->wire);
	world_endpoint_free(s->endpoint);
	relay_buffers_free(s->buffers);
	event_base_free(s->base);
	free(s->taken);
	free(s->heard);
}

/* As the peer. */

static void
say(struct scene *s, const uint8_t *bytes, size_t len)
{
	size_t at, n;

	for (at = 0; at < len; at += n) {
		n = len - at < s->slice ? len - at : s->slice;
		n = n < 65536 ? n : 65536;
		CU_ASSERT_EQUAL_FATAL(send(s->fd, bytes + at, n, MSG_NOSIGNAL),
		    (ssize_t)n);
		run(s);
	}
}

/* All that its OpenSSL has to say: so much of it in packets, the rest bare. */
static void
say_records(struct scene *s, size_t wrapped)
{
	static uint8_t records[256 * 1024], said[1024 * 1024];
	struct wr out = { .base = said, .cap = sizeof(said) };
	struct rd bare = { .at = records }, body;
	int n;

	n = BIO_read(s->wire.from_peer, records, sizeof(records));
	bare.left = n > 0 ? (size_t)n : 0;
	body = rd_take(&bare, wrapped < bare.left ? wrapped : bare.left);
	if (body.left > 0)
		tds_write_packets(&out, s->type, s->packet, body);
	wr_bytes(&out, bare.at, bare.left);
	CU_ASSERT_FALSE_FATAL(out.full);
	say(s, out.base, out.len);
}

static size_t
hear(struct scene *s)
{
	ssize_t n;

	s->nheard = 0;
	while (s->nheard < HEARD_MAX &&
	    (n = recv(s->fd, s->heard + s->nheard, HEARD_MAX - s->nheard, 0)) >
		0) {
		s->nheard += (size_t)n;
		run(s);
	}
	return s->nheard;
}

/* A flight of ours must be one message: full packets, and one last. */
static void
hear_message(struct scene *s)
{
	struct rd r = { .at = s->heard, .left = hear(s) };
	struct tds_packet p = { .last = false };

	if (r.left == 0)
		return;
	s->messages++;
	while (r.left > 0) {
		CU_ASSERT_FALSE(p.last);
		CU_ASSERT_EQUAL_FATAL(tds_look_at_packet(r, &p), TDS_WHOLE);
		CU_ASSERT_EQUAL(p.type, TDS_PRELOGIN);
		CU_ASSERT_TRUE(p.len <= TDS_PACKET_FIRST);
		CU_ASSERT_TRUE(p.last || p.len == TDS_PACKET_FIRST);
		(void)BIO_write(s->wire.to_peer, p.payload.at,
		    (int)p.payload.left);
		rd_skip(&r, p.len);
	}
	CU_ASSERT_TRUE(p.last);
}

static void
hear_records(struct scene *s, bool wrapped)
{
	if (wrapped)
		hear_message(s);
	else if (hear(s) > 0)
		(void)BIO_write(s->wire.to_peer, s->heard, (int)s->nheard);
}

/* Until the peer is through, or nothing moves: the last words of a server are
 * left to be said. */
static void
shake(struct scene *s, const struct neg_tls *how)
{
	bool wrapped = how->wrap != NULL;
	int done = 0, rounds;

	s->result = leg_handshake(&s->leg); /* a client's first flight */
	for (rounds = 0; rounds < 4 && done != 1; rounds++) {
		hear_records(s, wrapped);
		done = SSL_do_handshake(s->wire.peer);
		if (done != 1 || SSL_is_server(s->wire.peer) == 0)
			say_records(s, wrapped ? ALL : 0);
	}
	s->wire.peer_result = done;
}

static void
shake_all(struct scene *s, const struct neg_tls *how)
{
	shake(s, how);
	say_records(s, how->wrap != NULL ? ALL : 0);
	CU_ASSERT_EQUAL_FATAL(s->wire.peer_result, 1);
	CU_ASSERT_EQUAL_FATAL(s->leg.state, LEG_SECURED);
}

static void
expect_taken(struct scene *s, const char *text, size_t len)
{
	CU_ASSERT_EQUAL(s->ntaken, len);
	CU_ASSERT_EQUAL(memcmp(s->taken, text, len), 0);
	s->ntaken = 0;
}

static void
expect_nothing_kept(const struct scene *s)
{
	CU_ASSERT_PTR_NULL(s->leg.early.base);
	CU_ASSERT_PTR_NULL(s->leg.unsent.base);
}

/* Both ways, in records that are in no message. */
static void
exchange(struct scene *s)
{
	char got[16] = "";

	CU_ASSERT_EQUAL(SSL_write(s->wire.peer, "question", 8), 8);
	say_records(s, 0);
	expect_taken(s, "question", 8);
	CU_ASSERT_TRUE(leg_send(&s->leg, (const uint8_t *)"answer", 6));
	hear_records(s, false);
	CU_ASSERT_EQUAL(SSL_read(s->wire.peer, got, sizeof(got)), 6);
	CU_ASSERT_STRING_EQUAL(got, "answer");
	expect_nothing_kept(s);
}

/* A certificate of so many names that it takes several packets. */
static struct keypair *
long_chain(void)
{
	static char san[12000];
	struct wish wish = { .key = "EC", .cn = WORLD_NAME, .san = san };
	size_t len = 0;
	unsigned i;

	len += (size_t)snprintf(san, sizeof(san), "%s", WORLD_SAN);
	for (i = 0; i < 200; i++)
		len += (size_t)snprintf(san + len, sizeof(san) - len,
		    ",DNS:one-of-many-names-%u.of-a-server.test", i);
	wish.issuer = world.ca;
	return world_issue(&wish);
}

/* The peer of a leg, whose chain is `own` if it has one. */
static SSL_CTX *
peer_of(enum leg_id leg, const struct keypair *own)
{
	return world_peer(leg == LEG_SERVER, leg == LEG_SERVER ? own : NULL);
}

static void
shake_wrapped(enum leg_id leg, const struct keypair *own, size_t slice,
    size_t packet, uint8_t type)
{
	SSL_CTX *peer = peer_of(leg, own);
	struct scene s;

	(void)SSL_CTX_clear_options(peer, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_session_cache_mode(peer, SSL_SESS_CACHE_BOTH);
	scene_open(&s, leg, &wrapped_terms, own, peer);
	s.slice = slice;
	s.packet = packet;
	s.type = type;
	shake_all(&s, &wrapped_terms);
	CU_ASSERT_EQUAL(s.messages, 2);
	CU_ASSERT_STRING_EQUAL(SSL_get_version(s.wire.peer), "TLSv1.2");
	CU_ASSERT_FALSE(SSL_SESSION_has_ticket(SSL_get_session(s.wire.peer)));
	exchange(&s);
	scene_close(&s);
}

/* However short the peer's packets are, and however they come; of ours each
 * flight is one message, and the last flight has no ticket in it. */
static void
flights_are_messages(void)
{
	static const size_t slices[] = { 1, 1000, ALL };
	static const size_t packets[] = { TDS_HEAD + 1, 100, TDS_PACKET_FIRST,
		TDS_PACKET_MAX };
	struct keypair *own = long_chain();
	enum leg_id leg;
	size_t i, j;

	for (leg = LEG_CLIENT; leg < LEG_COUNT; leg++)
		for (i = 0; i < COUNT(slices); i++)
			for (j = 0; j < COUNT(packets); j++)
				shake_wrapped(leg, own, slices[i], packets[j],
				    j % 2 ? TDS_REPLY : TDS_PRELOGIN);
	keypair_release(own);
}

/* A leg whose peer, a server, has only its last flight to say. */
static size_t
scene_open_last(struct scene *s)
{
	scene_open(s, LEG_SERVER, &wrapped_terms, NULL,
	    peer_of(LEG_SERVER, world.good[0]));
	shake(s, &wrapped_terms);
	CU_ASSERT_EQUAL_FATAL(s->wire.peer_result, 1);
	return (size_t)BIO_pending(s->wire.from_peer);
}

static void
bare_records_follow_the_last_packet(void)
{
	static const size_t slices[] = { 1, 7, ALL };
	size_t i, flight;
	struct scene s;

	for (i = 0; i < COUNT(slices); i++) {
		flight = scene_open_last(&s);
		s.slice = slices[i];
		CU_ASSERT_EQUAL(SSL_write(s.wire.peer, "early", 5), 5);
		say_records(&s, flight);
		expect_taken(&s, "early", 5);
		exchange(&s);
		scene_close(&s);
	}
}

/* What stands in the last packet behind the handshake has no business there,
 * and what is clear text behind that packet is taken for a record. */
static void
nothing_else_ends_a_handshake(void)
{
	static const size_t wraps[] = { 0, 5, ALL / 2 };
	size_t i, flight;
	struct scene s;

	for (i = 0; i < COUNT(wraps); i++) {
		flight = scene_open_last(&s);
		if (i == COUNT(wraps) - 1)
			(void)SSL_write(s.wire.peer, "early", 5);
		else
			wire_inject(&s.wire, "GET / HTTP/1.0\r\n\r\n", 18);
		say_records(&s, flight + wraps[i]);
		CU_ASSERT_EQUAL(s.result, LEG_FAILED);
		CU_ASSERT_EQUAL(s.ntaken, 0);
		scene_close(&s);
	}
}

static void
no_other_version_is_wrapped(void)
{
	struct leg_failure f;
	enum leg_id leg;
	struct scene s;
	SSL_CTX *peer;

	for (leg = LEG_CLIENT; leg < LEG_COUNT; leg++) {
		peer = peer_of(leg, world.good[0]);
		world_peer_versions(peer, TLS1_3_VERSION, TLS1_3_VERSION);
		scene_open(&s, leg, &wrapped_terms, world.good[0], peer);
		shake(&s, &wrapped_terms);
		CU_ASSERT_NOT_EQUAL(s.wire.peer_result, 1);
		CU_ASSERT_EQUAL(s.result, LEG_FAILED);
		f = leg_failure(&s.leg);
		CU_ASSERT_EQUAL(f.error, 0);
		CU_ASSERT_PTR_NOT_NULL(f.tls.text);
		scene_close(&s);
	}
}

/* A peer that says what is no handshake: refused at once, or waited for with
 * no more kept of it than one packet. */
static void
no_packets_are_refused(void)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
#define ROW(s) { (s), sizeof(s) - 1 }
		ROW("GET / HTTP/1.0\r\n\r\n"),
		ROW("\x12\1\0\0\0\0\0\0"), /* shorter than its head */
		ROW("\x12\1\0\7\0\0\0\0"),
		ROW("\x10\1\0\x10\0\0\0\0\x16\3\1\0\1\1\0\0"), /* its type */
		ROW("\x12\1\0\x10\0\0\1\0garbage!"),
		/* A message of sixteen megabytes. */
		ROW("\x12\1\0\x11\0\0\1\0\x16\3\1\1\0\1\xff\xff\xff"),
#undef ROW
	};
	static const uint8_t zeros[264] = { 0x12, 1, 1, 8 };
	struct scene s;
	size_t i;

	for (i = 0; i < 2 * COUNT(rows); i++) {
		scene_open(&s, i % 2 == 0 ? LEG_CLIENT : LEG_SERVER,
		    &wrapped_terms, world.good[0],
		    peer_of(i % 2 == 0 ? LEG_CLIENT : LEG_SERVER,
			world.good[0]));
		say(&s, (const uint8_t *)rows[i / 2].bytes, rows[i / 2].len);
		/* Nobody has to have all of it to see that. */
		if (i / 2 == COUNT(rows) - 1)
			say(&s, zeros, sizeof(zeros));
		CU_ASSERT_EQUAL(s.result, LEG_FAILED);
		CU_ASSERT_EQUAL(leg_failure(&s.leg).error, 0);
		scene_close(&s);
	}
}

static void
endless_messages_are_not_kept(void)
{
	static uint8_t empty[8000 * TDS_HEAD], part[TDS_PACKET_MAX - 1];
	struct scene s;
	size_t i;

	for (i = 0; i < sizeof(empty); i += TDS_HEAD)
		memcpy(empty + i, "\x12\0\0\x08\0\0\1\0", TDS_HEAD);
	memcpy(part, "\x12\0\xff\xff\0\0\1\0", TDS_HEAD);
	scene_open(&s, LEG_CLIENT, &wrapped_terms, world.good[0],
	    peer_of(LEG_CLIENT, NULL));
	for (i = 0; i < 10; i++) {
		say(&s, empty, sizeof(empty));
		CU_ASSERT_EQUAL(s.result, LEG_WAIT);
		expect_nothing_kept(&s);
	}
	say(&s, part, sizeof(part));
	CU_ASSERT_EQUAL(s.result, LEG_WAIT);
	CU_ASSERT_EQUAL(s.leg.early.len, sizeof(part));
	/* ... and it leaves. */
	(void)close(s.fd);
	s.fd = -1;
	run(&s);
	CU_ASSERT_EQUAL(s.result, LEG_TRUNCATED);
	scene_close(&s);
}

/*
 * TLS that stops.
 */

#define CLEAR_TEXT "\x17\x03\x03\0\5hello, and all of it in clear"

static void
stop(const struct neg_tls *how, int version, size_t slice)
{
	const size_t clear = sizeof(CLEAR_TEXT) - 1;
	SSL_CTX *peer = peer_of(LEG_CLIENT, NULL);
	struct scene s;

	world_peer_versions(peer, version, version);
	scene_open(&s, LEG_CLIENT, how, world.good[0], peer);
	shake_all(&s, how);
	(void)hear(&s);
	s.slice = slice;
	s.stop_at = 6;
	CU_ASSERT_EQUAL(SSL_write(s.wire.peer, "log", 3), 3);
	CU_ASSERT_EQUAL(SSL_write(s.wire.peer, "-in", 3), 3);
	wire_inject(&s.wire, CLEAR_TEXT, 3);
	say_records(&s, 0);
	CU_ASSERT_EQUAL(s.leg.state, LEG_PLAIN);
	CU_ASSERT_PTR_NULL(s.leg.tls);
	expect_taken(&s, "log-in\x17\x03\x03", 6 + 3);
	say(&s, (const uint8_t *)&CLEAR_TEXT[3], clear - 3);
	expect_taken(&s, &CLEAR_TEXT[3], clear - 3);
	expect_nothing_kept(&s);
	CU_ASSERT_TRUE(leg_send(&s.leg, (const uint8_t *)"welcome", 7));
	CU_ASSERT_EQUAL(hear(&s), 7);
	CU_ASSERT_EQUAL(memcmp(s.heard, "welcome", 7), 0);
	scene_close(&s);
}

static void
what_stands_behind_the_last_record_is_clear(void)
{
	static const size_t slices[] = { 1, 2, 5, 64, ALL };
	size_t i;

	for (i = 0; i < COUNT(slices); i++) {
		stop(&stopping_terms, TLS1_2_VERSION, slices[i]);
		stop(&stopping_terms, TLS1_3_VERSION, slices[i]);
		stop(&login_terms, TLS1_2_VERSION, slices[i]);
	}
}

/* Whoever does not want to read now is not told, and finds it all later. */
static void
early_bytes_wait_for_who_wants_them(void)
{
	struct scene s;

	scene_open(&s, LEG_CLIENT, &stopping_terms, world.good[0],
	    peer_of(LEG_CLIENT, NULL));
	shake_all(&s, &stopping_terms);
	CU_ASSERT_EQUAL(SSL_write(s.wire.peer, "log", 3), 3);
	CU_ASSERT_EQUAL(SSL_write(s.wire.peer, "-in", 3), 3);
	leg_want_read(&s.leg, false);
	wire_inject(&s.wire, CLEAR_TEXT, sizeof(CLEAR_TEXT) - 1);
	say_records(&s, 0);
	CU_ASSERT_EQUAL(s.ntaken, 0);
	on_readable(&s.leg, &s);
	run(&s);
	expect_taken(&s, "log", 3);
	CU_ASSERT_TRUE(s.leg.early.len > 0);
	leg_want_read(&s.leg, true);
	s.stop_at = 3;
	run(&s);
	CU_ASSERT_EQUAL(s.leg.state, LEG_PLAIN);
	expect_taken(&s, "-in" CLEAR_TEXT, 3 + sizeof(CLEAR_TEXT) - 1);
	scene_close(&s);
}

/*
 * Whole units.
 */

/* A unit begins with which of these is its length. */
static const size_t lengths[] = { 1, 2, 5, 100, 16383, 16384, 16385, 32768,
	32769, 65535, NEG_UNIT_MAX };

static uint64_t
unit_length(struct rd head)
{
	uint8_t which = rd_u8(&head);

	return which < COUNT(lengths) ? lengths[which] : 0;
}

static enum unit_act
unit_judge(struct rd before, struct rd peek)
{
	(void)before;
	(void)peek;
	return UNIT_PASS;
}

static const struct neg_units units = { .head = 1,
	.peek = 1,
	.whole_max = NEG_UNIT_MAX,
	.length = unit_length,
	.judge = unit_judge };

static void
add_unit(uint8_t *bytes, size_t *len, size_t which)
{
	memset(bytes + *len, 'a' + (int)(*len % 26), lengths[which]);
	bytes[*len] = (uint8_t)which;
	*len += lengths[which];
}

/* The next record that the peer was sent, opened; its plaintext's length. */
static size_t
next_record(struct scene *s, size_t *at, uint8_t *plain, size_t max)
{
	struct rd r = { .at = s->heard + *at, .left = s->nheard - *at };
	size_t len;
	int n;

	CU_ASSERT_EQUAL(rd_u8(&r), RECORD_DATA);
	rd_skip(&r, 2);
	len = RECORD_HEAD + rd_be16(&r);
	CU_ASSERT_FALSE_FATAL(r.cut || *at + len > s->nheard);
	(void)BIO_write(s->wire.to_peer, s->heard + *at, (int)len);
	*at += len;
	n = SSL_read(s->wire.peer, plain, (int)max);
	CU_ASSERT_TRUE_FATAL(n > 0);
	CU_ASSERT_EQUAL(SSL_pending(s->wire.peer), 0);
	return (size_t)n;
}

/* One unit, in as few records as hold it and with nothing else in them. */
static void
expect_unit(struct scene *s, size_t *at, const uint8_t *unit, size_t len)
{
	static uint8_t plain[TLS_RECORD_MAX];
	size_t n, part;

	for (; len > 0; unit += part, len -= part) {
		part = len < TLS_RECORD_MAX ? len : TLS_RECORD_MAX;
		n = next_record(s, at, plain, sizeof(plain));
		CU_ASSERT_EQUAL_FATAL(n, part);
		CU_ASSERT_EQUAL(memcmp(plain, unit, part), 0);
	}
}

static void
send_units(const struct neg_tls *how, int version)
{
	static uint8_t bytes[2 * 1024 * 1024];
	SSL_CTX *peer = peer_of(LEG_SERVER, world.good[0]);
	struct rd all = { .at = bytes };
	size_t i, len, at = 0, unit;
	bool blocked = false;
	struct scene s;

	for (i = 0; i < 40 * COUNT(lengths) && all.left < 600 * 1024; i++)
		add_unit(bytes, &all.left, (i * 7 + i / 11) % COUNT(lengths));
	world_peer_versions(peer, version, version);
	scene_open(&s, LEG_SERVER, how, NULL, peer);
	shake_all(&s, how);
	(void)hear(&s);
	CU_ASSERT_TRUE(leg_send_units(&s.leg, &units, all));
	blocked = leg_blocked(&s.leg);
	CU_ASSERT_TRUE(blocked); /* the peer has not read yet */
	(void)hear(&s);
	CU_ASSERT_FALSE(leg_blocked(&s.leg));
	for (unit = 0; unit < all.left; unit += len) {
		len = lengths[bytes[unit]];
		expect_unit(&s, &at, bytes + unit, len);
	}
	CU_ASSERT_EQUAL(at, s.nheard);
	expect_nothing_kept(&s);
	scene_close(&s);
}

static void
each_unit_has_records_of_its_own(void)
{
	send_units(&bare_terms, TLS1_2_VERSION);
	send_units(&bare_terms, TLS1_3_VERSION);
	send_units(&wrapped_terms, TLS1_2_VERSION);
}

/* What is none, or not whole, is not sent at all. */
static void
no_units_are_not_sent(void)
{
	static const struct {
		uint8_t first;
		size_t len;
	} rows[] = { { COUNT(lengths), 10 }, { 3, 99 }, { 10, 65536 } };
	static uint8_t bytes[NEG_UNIT_MAX];
	struct rd all = { .at = bytes };
	struct scene s;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		scene_open(&s, LEG_SERVER, &bare_terms, NULL,
		    peer_of(LEG_SERVER, world.good[0]));
		shake_all(&s, &bare_terms);
		(void)hear(&s);
		bytes[0] = rows[i].first;
		all.left = rows[i].len;
		CU_ASSERT_FALSE(leg_send_units(&s.leg, &units, all));
		CU_ASSERT_EQUAL(leg_failure(&s.leg).error, EPROTO);
		CU_ASSERT_EQUAL(hear(&s), 0);
		scene_close(&s);
	}
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		TEST(flights_are_messages),
		TEST(bare_records_follow_the_last_packet),
		TEST(nothing_else_ends_a_handshake),
		TEST(no_other_version_is_wrapped),
		TEST(no_packets_are_refused),
		TEST(endless_messages_are_not_kept),
		TEST(what_stands_behind_the_last_record_is_clear),
		TEST(early_bytes_wait_for_who_wants_them),
		TEST(each_unit_has_records_of_its_own),
		TEST(no_units_are_not_sent),
		CU_TEST_INFO_NULL,
	};

	return world_main("leg", tests);
}
