/*
 * The packets of MySQL, and what may go to a server in clear; the rest of the
 * protocol is in tests/negotiator/transcripts/mysql.
 */
#include "protocols/mysql_greeting.h"
#include "protocols/mysql_login.h"
#include "protocols/mysql_packet.h"
#include "protocols/negotiator.h"
#include "tests/unit/unit.h"

#include <string.h>

#define ROOM 70000

static struct rd
bytes(const void *at, size_t len)
{
	return (struct rd){ at, len, false };
}

/* Packets. */

static void
a_packet_is_whole_or_in_part(void)
{
	static const uint8_t three[] = { 3, 0, 0, 7, 'a', 'b', 'c', 'd' };
	struct mysql_packet p;
	size_t i;

	for (i = 0; i < 7; i++)
		CU_ASSERT_EQUAL(mysql_packet_look(bytes(three, i), &p),
		    MYSQL_ARRIVAL_PART);
	CU_ASSERT_EQUAL(mysql_packet_look(bytes(three, 8), &p),
	    MYSQL_ARRIVAL_WHOLE);
	CU_ASSERT_EQUAL(p.id, 7);
	CU_ASSERT_TRUE(rd_equals_string(p.payload, "abc"));
	CU_ASSERT_EQUAL(mysql_packet_len(&p), 7);
}

static void
a_packet_of_64_kb_is_the_longest(void)
{
	static uint8_t longest[MYSQL_HEAD_LEN + MYSQL_PAYLOAD_MAX] = { 0, 0, 1,
		5 };
	static const uint8_t longer[] = { 1, 0, 1, 5 };
	struct mysql_packet p;

	CU_ASSERT_EQUAL(mysql_packet_look(bytes(longest, sizeof(longest)), &p),
	    MYSQL_ARRIVAL_WHOLE);
	CU_ASSERT_EQUAL(p.payload.left, MYSQL_PAYLOAD_MAX);
	CU_ASSERT_EQUAL(mysql_packet_look(bytes(longer, sizeof(longer)), &p),
	    MYSQL_ARRIVAL_TOO_LONG);
	CU_ASSERT_EQUAL(p.id, 5);
	/* Not before its id is known, so that it can be answered. */
	CU_ASSERT_EQUAL(mysql_packet_look(bytes(longer, 3), &p),
	    MYSQL_ARRIVAL_PART);
}

static const struct number {
	uint64_t value;
	uint8_t bytes[9];
	size_t len;
	bool ours; /* we write no longer ones */
} numbers[] = {
	{ 0, { 0 }, 1, true },
	{ 250, { 0xfa }, 1, true },
	{ 251, { 0xfc, 251, 0 }, 3, true },
	{ 0xffff, { 0xfc, 0xff, 0xff }, 3, true },
	{ 0x10000, { 0xfd, 0, 0, 1 }, 4, true },
	{ 0xffffff, { 0xfd, 0xff, 0xff, 0xff }, 4, true },
	{ 0x0102030405060708, { 0xfe, 8, 7, 6, 5, 4, 3, 2, 1 }, 9, false },
};
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static void
numbers_say_how_long_they_are(void)
{
	size_t i, cut;

	for (i = 0; i < NUMBERS; i++) {
		const struct number *n = &numbers[i];
		uint8_t room[16];
		struct wr w = { .base = room, .cap = sizeof(room) };
		struct rd r = bytes(n->bytes, n->len);

		CU_ASSERT_EQUAL(mysql_read_lenenc(&r), n->value);
		CU_ASSERT_EQUAL(r.left, 0);
		CU_ASSERT_FALSE(r.cut);
		for (cut = 0; cut < n->len; cut++) {
			r = bytes(n->bytes, cut);
			(void)mysql_read_lenenc(&r);
			CU_ASSERT_TRUE(r.cut);
		}
		if (!n->ours)
			continue;
		mysql_write_lenenc(&w, (size_t)n->value);
		CU_ASSERT_EQUAL(mysql_lenenc_len((size_t)n->value), n->len);
		CU_ASSERT_TRUE(rd_equals(wr_written(&w), n->bytes, n->len));
	}
}

static void
what_begins_no_number_is_none(void)
{
	static const uint8_t null[] = { 0xfb, 0, 0 }, error[] = { 0xff, 0, 0 };
	struct rd r = bytes(null, sizeof(null));

	(void)mysql_read_lenenc(&r);
	CU_ASSERT_TRUE(r.cut);
	r = bytes(error, sizeof(error));
	(void)mysql_read_lenenc(&r);
	CU_ASSERT_TRUE(r.cut);
}

/* A length of 2^64 - 1 must not come round. */
static void
counted_bytes_have_to_be_there(void)
{
	static const uint8_t huge[] = { 0xfe, 255, 255, 255, 255, 255, 255, 255,
		255, 'x' };
	static const uint8_t two[] = { 2, 'a', 'b', 'c' };
	struct rd r = bytes(huge, sizeof(huge));

	CU_ASSERT_TRUE(mysql_read_counted(&r).cut);
	CU_ASSERT_TRUE(r.cut);
	r = bytes(two, sizeof(two));
	CU_ASSERT_TRUE(rd_equals_string(mysql_read_counted(&r), "ab"));
	CU_ASSERT_EQUAL(r.left, 1);
	r = bytes(two, 2);
	CU_ASSERT_TRUE(mysql_read_counted(&r).cut);
}

/* Errors. */

static struct rd
error_text(size_t text, size_t hint, uint8_t *room)
{
	static char texts[2][1000];
	struct wr w = { .base = room, .cap = ROOM };
	struct mysql_error e = { .number = 1045, .sqlstate = "28000" };
	struct mysql_packet p;

	memset(texts[0], 't', text);
	texts[0][text] = '\0';
	memset(texts[1], 'h', hint);
	texts[1][hint] = '\0';
	e.text = texts[0];
	e.hint = hint > 0 ? texts[1] : NULL;
	mysql_write_error(&w, 9, &e);
	CU_ASSERT_EQUAL(mysql_packet_look(wr_written(&w), &p),
	    MYSQL_ARRIVAL_WHOLE);
	CU_ASSERT_EQUAL(mysql_packet_len(&p), w.len);
	CU_ASSERT_EQUAL(p.id, 9);
	CU_ASSERT_EQUAL(rd_u8(&p.payload), MYSQL_ERR);
	CU_ASSERT_EQUAL(rd_le16(&p.payload), 1045);
	CU_ASSERT_TRUE(rd_equals_string(rd_take(&p.payload, 6), "#28000"));
	CU_ASSERT_TRUE(rd_equals_string(rd_take(&p.payload, 7), "dbtls: "));
	return p.payload;
}

static void
an_error_has_room_for_512_bytes(void)
{
	static uint8_t room[ROOM];
	static const size_t left = MYSQL_ERROR_TEXT_MAX - 7;

	CU_ASSERT_EQUAL(error_text(10, 0, room).left, 10);
	CU_ASSERT_EQUAL(error_text(10, 10, room).left, 22);
	CU_ASSERT_EQUAL(error_text(left, 0, room).left, left);
	CU_ASSERT_EQUAL(error_text(left + 1, 0, room).left, left);
	CU_ASSERT_EQUAL(error_text(400, 103, room).left, left);
	CU_ASSERT_EQUAL(error_text(400, 104, room).left, left);
	CU_ASSERT_EQUAL(error_text(left - 2, 10, room).left, left - 2);
	CU_ASSERT_EQUAL(error_text(left - 3, 10, room).left, left);
}

/* What may go to a server in clear. */

#define CAPS (MYSQL_PROTOCOL_41 | MYSQL_SSL)

static struct rd
request(uint8_t *room, uint32_t caps, uint8_t id, uint32_t more)
{
	struct wr w = { .base = room, .cap = MYSQL_SSL_REQUEST_LEN };
	const struct mysql_head h = { caps, 1 << 24, 33, more };

	mysql_ssl_request_write(&w, id, &h);
	CU_ASSERT_FALSE(w.full);
	return wr_written(&w);
}

static void
an_ssl_request_is_of_36_bytes(void)
{
	uint8_t room[MYSQL_SSL_REQUEST_LEN + 1] = { 0 };
	size_t i;

	(void)request(room, CAPS, 1, 0);
	for (i = 0; i <= sizeof(room); i++)
		CU_ASSERT_EQUAL(mysql_ssl_request_is(bytes(room, i), false),
		    i == MYSQL_SSL_REQUEST_LEN);
}

static void
an_ssl_request_asks_for_tls(void)
{
	uint8_t room[MYSQL_SSL_REQUEST_LEN];

	CU_ASSERT_TRUE(mysql_ssl_request_is(request(room, CAPS, 1, 0), false));
	CU_ASSERT_FALSE(mysql_ssl_request_is(
	    request(room, MYSQL_PROTOCOL_41, 1, 0), false));
	CU_ASSERT_FALSE(mysql_ssl_request_is(request(room, CAPS, 2, 0), false));
	CU_ASSERT_FALSE(
	    mysql_ssl_request_is(request(room, CAPS, 1, 0x1d), false));
	CU_ASSERT_TRUE(
	    mysql_ssl_request_is(request(room, CAPS, 1, 0x1d), true));
}

/* Of 36 bytes nine are the client's, and with MariaDB four more. */
static void
an_ssl_request_says_nothing_else(void)
{
	uint8_t room[MYSQL_SSL_REQUEST_LEN];
	size_t i;

	for (i = 0; i < sizeof(room); i++) {
		struct rd r = request(room, CAPS, 1, 0);
		bool theirs = i >= 4 && i < 13, mariadbs = i >= 32;

		room[i] ^= 1;
		CU_ASSERT_EQUAL(mysql_ssl_request_is(r, false), theirs);
		CU_ASSERT_EQUAL(mysql_ssl_request_is(r, true),
		    theirs || mariadbs);
	}
}

/* The same, as the session asks: of a server that has greeted nobody all may
 * be MariaDB's. */
static void
the_preamble_is_an_ssl_request(void)
{
	static uint8_t state[8192];
	const struct negotiator n = { .ops = &neg_mysql, .state = state };
	uint8_t room[MYSQL_SSL_REQUEST_LEN];

	CU_ASSERT_FATAL(neg_mysql.state_size <= sizeof(state));
	CU_ASSERT_TRUE(neg_mysql.preamble(&n, request(room, CAPS, 1, 0)));
	CU_ASSERT_FALSE(neg_mysql.preamble(&n, request(room, CAPS, 0, 0)));
	CU_ASSERT_PTR_EQUAL(neg_mariadb.preamble, neg_mysql.preamble);
	CU_ASSERT_PTR_NULL(neg_mysql.unprotected);
}

/* Log-ins. */

static void
hello_is_a_log_in(void)
{
	struct mysql_packet p;
	struct mysql_login l;
	struct mysql_head h;
	struct rd r;

	CU_ASSERT_EQUAL(mysql_packet_look(neg_mysql.hello, &p),
	    MYSQL_ARRIVAL_WHOLE);
	CU_ASSERT_EQUAL(mysql_packet_len(&p), neg_mysql.hello.left);
	CU_ASSERT_EQUAL(p.id, 1);
	r = p.payload;
	mysql_head_read(&r, &h);
	CU_ASSERT_EQUAL(h.caps, MYSQL_PROTOCOL_41 | MYSQL_SECURE_CONNECTION);
	CU_ASSERT_EQUAL(h.more, 0);
	CU_ASSERT_TRUE(mysql_login_read(p.payload, h.caps, h.caps, &l));
	CU_ASSERT_TRUE(rd_equals_string(l.user, "dbtls"));
	CU_ASSERT_EQUAL(l.answer.left, 0);
	CU_ASSERT_EQUAL(l.rest_at, p.payload.left);
	CU_ASSERT_PTR_EQUAL(neg_mariadb.hello.at, neg_mysql.hello.at);
}

static void
attributes_are_found_by_name(void)
{
	static const uint8_t all[] = { 1, 'a', 1, '1', 2, 'a', 'b', 2, '1', '2',
		1, 'a', 1, '3', 1, 'c', 0, 1, 'd' };

	CU_ASSERT_TRUE(rd_equals_string(
	    mysql_attribute(bytes(all, sizeof(all)), "a"), "1"));
	CU_ASSERT_TRUE(rd_equals_string(
	    mysql_attribute(bytes(all, sizeof(all)), "ab"), "12"));
	CU_ASSERT_TRUE(rd_equals_string(
	    mysql_attribute(bytes(all, sizeof(all)), "c"), ""));
	CU_ASSERT_EQUAL(mysql_attribute(bytes(all, sizeof(all)), "d").left, 0);
	CU_ASSERT_EQUAL(mysql_attribute(bytes(all, sizeof(all)), "e").left, 0);
	CU_ASSERT_EQUAL(mysql_attribute(bytes(NULL, 0), "a").left, 0);
}

static void
an_answer_has_a_form(void)
{
	static const uint8_t many[300] = { 1 };
	struct mysql_login l = { .form = MYSQL_ANSWER_BYTE };

	CU_ASSERT_EQUAL(mysql_answer_len(&l, bytes(many, 255)), 256);
	CU_ASSERT_EQUAL(mysql_answer_len(&l, bytes(many, 256)), 0);
	l.form = MYSQL_ANSWER_LENENC;
	CU_ASSERT_EQUAL(mysql_answer_len(&l, bytes(many, 250)), 251);
	CU_ASSERT_EQUAL(mysql_answer_len(&l, bytes(many, 300)), 303);
	l.form = MYSQL_ANSWER_NUL;
	CU_ASSERT_EQUAL(mysql_answer_len(&l, bytes(many, 1)), 2);
	CU_ASSERT_EQUAL(mysql_answer_len(&l, bytes(many, 0)), 1);
	CU_ASSERT_EQUAL(mysql_answer_len(&l, bytes(many, 2)), 0);
}

static void
what_is_written_can_be_read(void)
{
	static uint8_t room[ROOM], many[300];
	static const enum mysql_answer_form forms[] = { MYSQL_ANSWER_NUL,
		MYSQL_ANSWER_BYTE, MYSQL_ANSWER_LENENC };
	static const uint32_t caps[] = { 0, MYSQL_SECURE_CONNECTION,
		MYSQL_SECURE_CONNECTION | MYSQL_LENENC_AUTH };
	size_t i;

	memset(many, 'x', sizeof(many));
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct wr w = { .base = room, .cap = sizeof(room) };
		struct mysql_login l = { .form = forms[i] };
		struct rd answer =
		    bytes(many, forms[i] == MYSQL_ANSWER_BYTE ? 255 : 300);

		memset(room, 0, MYSQL_LOGIN_HEAD_LEN);
		w.len = MYSQL_LOGIN_HEAD_LEN;
		wr_bytes(&w, "u", 2);
		mysql_answer_write(&w, &l, answer);
		CU_ASSERT_EQUAL(w.len - MYSQL_LOGIN_HEAD_LEN - 2,
		    mysql_answer_len(&l, answer));
		CU_ASSERT_TRUE(
		    mysql_login_read(wr_written(&w), caps[i], caps[i], &l));
		CU_ASSERT_EQUAL(l.form, forms[i]);
		CU_ASSERT_TRUE(rd_equals(l.answer, many, answer.left));
		CU_ASSERT_EQUAL(l.answer_at, MYSQL_LOGIN_HEAD_LEN + 2);
		CU_ASSERT_EQUAL(l.rest_at, w.len);
	}
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		{ "a_packet_is_whole_or_in_part",
		    a_packet_is_whole_or_in_part },
		{ "a_packet_of_64_kb_is_the_longest",
		    a_packet_of_64_kb_is_the_longest },
		{ "numbers_say_how_long_they_are",
		    numbers_say_how_long_they_are },
		{ "what_begins_no_number_is_none",
		    what_begins_no_number_is_none },
		{ "counted_bytes_have_to_be_there",
		    counted_bytes_have_to_be_there },
		{ "an_error_has_room_for_512_bytes",
		    an_error_has_room_for_512_bytes },
		{ "an_ssl_request_is_of_36_bytes",
		    an_ssl_request_is_of_36_bytes },
		{ "an_ssl_request_asks_for_tls", an_ssl_request_asks_for_tls },
		{ "an_ssl_request_says_nothing_else",
		    an_ssl_request_says_nothing_else },
		{ "the_preamble_is_an_ssl_request",
		    the_preamble_is_an_ssl_request },
		{ "hello_is_a_log_in", hello_is_a_log_in },
		{ "attributes_are_found_by_name",
		    attributes_are_found_by_name },
		{ "an_answer_has_a_form", an_answer_has_a_form },
		{ "what_is_written_can_be_read", what_is_written_can_be_read },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "mysql", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
