/* Where units begin in a stream, however it is sliced. */
#include <stdio.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "proxy/units.h"
#include "tests/unit/unit.h"

#define STREAM_MAX 4096
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

/* As MySQL has it: what a packet holds is counted in three bytes, the fourth
 * is its number, and the fifth says what it is. */
static uint64_t
packet_length(struct rd head)
{
	return 4 + (uint64_t)rd_le24(&head);
}

static enum unit_act
packet_judge(struct rd before, struct rd peek)
{
	uint32_t len = rd_le24(&peek);
	uint8_t number = rd_u8(&peek), what = rd_u8(&peek);

	(void)before;
	return len > 0 && number == 0 && what == '!' ? UNIT_WAKE : UNIT_PASS;
}

static const struct neg_units packets = { .head = 4,
	.peek = 5,
	.length = packet_length,
	.judge = packet_judge };

/* The length of the whole in a byte, and what it is. */
static uint64_t
short_length(struct rd head)
{
	return rd_u8(&head);
}

static enum unit_act
short_judge(struct rd before, struct rd peek)
{
	(void)before;
	rd_skip(&peek, 1);
	return rd_u8(&peek) == '!' ? UNIT_WAKE : UNIT_PASS;
}

static const struct neg_units shorts = { .head = 1,
	.peek = NEG_HEAD_MAX,
	.length = short_length,
	.judge = short_judge };

/* A length in eight bytes, as large as it can be. */
static uint64_t
huge_length(struct rd head)
{
	uint64_t high = rd_be32(&head);

	return high << 32 | rd_be32(&head);
}

static enum unit_act
always_wake(struct rd before, struct rd peek)
{
	(void)before;
	(void)peek;
	return UNIT_WAKE;
}

static enum unit_act
always_pass(struct rd before, struct rd peek)
{
	(void)before;
	(void)peek;
	return UNIT_PASS;
}

static const struct neg_units huge = { .head = 8,
	.peek = 8,
	.length = huge_length,
	.judge = always_pass };
static const struct neg_units alarm_units = { .head = 1,
	.peek = 1,
	.length = short_length,
	.judge = always_wake };

/* Nothing of a unit passes before all of it is there. */
static const struct neg_units wholes = { .head = 1,
	.peek = 2,
	.length = short_length,
	.judge = short_judge,
	.whole_max = 20 };

/* Wakes at '!', unless what came before was one byte longer. */
static enum unit_act
after_judge(struct rd before, struct rd peek)
{
	uint8_t len = rd_u8(&peek), len_before = rd_u8(&before);

	return rd_u8(&peek) == '!' && (before.cut || len_before != len + 1)
	    ? UNIT_WAKE
	    : UNIT_PASS;
}

static const struct neg_units after = { .head = 1,
	.peek = 2,
	.length = short_length,
	.judge = after_judge };

/* Takes, passes, or would wake. */
static enum unit_act
taking_judge(struct rd before, struct rd peek)
{
	(void)before;
	rd_skip(&peek, 1);
	switch (rd_u8(&peek)) {
	case 't':
		return UNIT_TAKE;
	case '!':
		return UNIT_WAKE;
	}
	return UNIT_PASS;
}

static bool
never_called(const struct negotiator *n, struct rd unit, struct wr *out)
{
	(void)n;
	(void)unit;
	(void)out;
	return false;
}

static const struct neg_units takes = { .head = 1,
	.peek = 3,
	.length = short_length,
	.judge = taking_judge,
	.rewrite = never_called };
static const struct neg_units takes_for_nothing = { .head = 1,
	.peek = 3,
	.length = short_length,
	.judge = taking_judge };

static uint64_t
long_length(struct rd head)
{
	return rd_be32(&head);
}

static enum unit_act
always_take(struct rd before, struct rd peek)
{
	(void)before;
	(void)peek;
	return UNIT_TAKE;
}

static const struct neg_units takes_all = { .head = 4,
	.peek = 4,
	.length = long_length,
	.judge = always_take,
	.rewrite = never_called };

#define BYTES(s) (s), sizeof(s) - 1

static const struct {
	const char *name;
	const struct neg_units *ops;
	const char *bytes;
	size_t len;
	size_t passes; /* so many of them, once all have come */
	enum units_result result;
} rows[] = {
	{ "nothing", &packets, BYTES(""), 0, UNITS_PASS },
	{ "one unit", &packets, BYTES("\3\0\0\0abc"), 7, UNITS_PASS },
	{ "several", &packets, BYTES("\3\0\0\0abc\1\0\0\1x\2\0\0\2yz"), 18,
	    UNITS_PASS },
	{ "the first wakes", &packets, BYTES("\3\0\0\0!bc"), 0, UNITS_WAKE },
	{ "one in the middle wakes", &packets,
	    BYTES("\3\0\0\0abc\1\0\0\0!\2\0\0\0yz"), 7, UNITS_WAKE },
	{ "the last wakes, before it is whole", &packets,
	    BYTES("\3\0\0\0abc\377\377\377\0!"), 7, UNITS_WAKE },
	{ "not by its number", &packets, BYTES("\3\0\0\1!bc\1\0\0\2!"), 12,
	    UNITS_PASS },
	{ "not by what it holds", &packets,
	    BYTES("\14\0\0\0a\3\0\0\0!bc\3\0\0\0"), 16, UNITS_PASS },
	{ "empty units are shorter than what is judged", &packets,
	    BYTES("\0\0\0\0\0\0\0\0\0\0\0\1"), 12, UNITS_PASS },
	{ "one wakes behind an empty one", &packets, BYTES("\0\0\0\0\1\0\0\0!"),
	    4, UNITS_WAKE },
	{ "a head that is not whole is held", &packets,
	    BYTES("\3\0\0\0abc\3\0\0"), 7, UNITS_PASS },
	{ "one that cannot be judged yet is held", &packets,
	    BYTES("\3\0\0\0abc\3\0\0\0"), 7, UNITS_PASS },
	{ "a beginning goes on at once", &packets, BYTES("\377\377\377\0a"), 5,
	    UNITS_PASS },
	{ "judged by all there may be", &shorts,
	    BYTES("\20abcdefghijklmno\4abc\1\2!rest"), 21, UNITS_WAKE },
	{ "held until that is there", &shorts, BYTES("\50abcdefghijklmn"), 0,
	    UNITS_PASS },
	{ "nothing is before the first", &after, BYTES("\2!"), 0, UNITS_WAKE },
	{ "judged by what is before it", &after, BYTES("\3ab\2!\4abc\2!"), 9,
	    UNITS_WAKE },
	{ "by the last that passed, alone", &after, BYTES("\3ab\4abc\2!"), 7,
	    UNITS_WAKE },
	{ "no length at all", &shorts, BYTES("\2a\0\2b"), 2, UNITS_BROKEN },
	{ "less than its head", &huge, BYTES("\0\0\0\0\0\0\0\7abcdefghijklmn"),
	    0, UNITS_BROKEN },
	{ "as long as its head", &huge,
	    BYTES("\0\0\0\0\0\0\0\10\0\0\0\0\0\0\0\11x\0\0\0"), 17,
	    UNITS_PASS },
	{ "more than four bytes can count", &huge,
	    BYTES("\0\0\0\1\0\0\0\11abc"), 11, UNITS_PASS },
	{ "a whole one", &wholes, BYTES("\4abc"), 4, UNITS_PASS },
	{ "one that is not whole is held", &wholes, BYTES("\4abc\4ab"), 4,
	    UNITS_PASS },
	{ "a whole one that wakes", &wholes, BYTES("\4abc\4!bc\2a"), 4,
	    UNITS_WAKE },
	{ "one that is longer than any may be", &wholes, BYTES("\2a\25abc"), 2,
	    UNITS_BROKEN },
	{ "one as long as it may be", &wholes,
	    BYTES("\24abcdefghijklmnopqrs\2"), 20, UNITS_PASS },
	{ "without end", &huge,
	    BYTES("\377\377\377\377\377\377\377\377and so on and on"), 24,
	    UNITS_PASS },
};

/* What a relay does with it, and what came of that. */
struct played {
	uint8_t passed[STREAM_MAX];
	size_t npassed;
	uint8_t rest[STREAM_MAX]; /* with what was not fed any more */
	size_t nrest;
	size_t most_held;
	enum units_result result;
};

static void add(uint8_t *to, size_t *len, const uint8_t *bytes, size_t n);

/* What is taken comes in brackets. */
static void
follow(struct units *u, struct played *p, struct rd *given)
{
	struct rd taken;
	size_t pass;

	do {
		p->result = units_follow(u, *given, &pass);
		CU_ASSERT_FATAL(pass <= given->left);
		add(p->passed, &p->npassed, given->at, pass);
		rd_skip(given, pass);
		if (p->result == UNITS_TAKE) {
			CU_ASSERT_EQUAL(u->held.len, 0);
			taken = rd_take(given, u->taken);
			CU_ASSERT_FALSE_FATAL(given->cut);
			add(p->passed, &p->npassed, (const uint8_t *)"<", 1);
			add(p->passed, &p->npassed, taken.at, taken.left);
			add(p->passed, &p->npassed, (const uint8_t *)">", 1);
		}
	} while (p->result == UNITS_TAKE);
}

static void
add(uint8_t *to, size_t *len, const uint8_t *bytes, size_t n)
{
	CU_ASSERT_FATAL(*len + n <= STREAM_MAX);
	if (n > 0)
		memcpy(to + *len, bytes, n);
	*len += n;
}

/* One receive, behind what is held. */
static void
receive(struct units *u, struct played *p, const uint8_t *bytes, size_t len)
{
	uint8_t all[STREAM_MAX];
	struct rd given = { .at = all };

	add(all, &given.left, queue_data(&u->held), u->held.len);
	queue_consume(&u->held, u->held.len);
	add(all, &given.left, bytes, len);
	follow(u, p, &given);
	if (p->result == UNITS_PASS) {
		CU_ASSERT_EQUAL(u->held.len, given.left);
		CU_ASSERT_TRUE(u->held.len == 0 ||
		    memcmp(queue_data(&u->held), given.at, u->held.len) == 0);
	} else {
		CU_ASSERT_EQUAL(u->held.len, 0);
		add(p->rest, &p->nrest, given.at, given.left);
	}
	if (u->held.len > p->most_held)
		p->most_held = u->held.len;
}

/* The first part is `first` long, the others `slice`. */
static void
play(const struct neg_units *ops, const uint8_t *bytes, size_t len,
    size_t first, size_t slice, struct played *p)
{
	struct units u;
	size_t n = first, at = 0;

	memset(p, 0, sizeof(*p));
	units_init(&u, ops);
	while (at < len && p->result == UNITS_PASS) {
		n = n < len - at ? n : len - at;
		receive(&u, p, bytes + at, n);
		at += n;
		n = slice;
	}
	add(p->rest, &p->nrest, queue_data(&u.held), u.held.len);
	add(p->rest, &p->nrest, bytes + at, len - at);
	units_fini(&u);
}

static size_t
most_held(const struct neg_units *ops)
{
	return ops->whole_max > ops->peek ? ops->whole_max : ops->peek;
}

static void
check_row(size_t i, size_t first, size_t slice)
{
	const uint8_t *bytes = (const uint8_t *)rows[i].bytes;
	size_t passes = rows[i].passes, len = rows[i].len;
	static struct played p;
	bool right;

	play(rows[i].ops, bytes, len, first, slice, &p);
	right = p.result == rows[i].result && p.npassed == passes &&
	    memcmp(p.passed, bytes, passes) == 0 && p.nrest == len - passes &&
	    memcmp(p.rest, bytes + passes, len - passes) == 0 &&
	    p.most_held < most_held(rows[i].ops);
	CU_ASSERT_TRUE(right);
	if (!right)
		fprintf(stderr, "\n  %s, by %zu and %zu: %d, %zu pass\n",
		    rows[i].name, first, slice, (int)p.result, p.npassed);
}

static void
slices_change_nothing(void)
{
	static const size_t slices[] = { 1, 2, 3, 7, STREAM_MAX };
	size_t i, j, first;

	for (i = 0; i < COUNT(rows); i++)
		for (j = 0; j < COUNT(slices); j++)
			for (first = 1; first <= rows[i].len + 1; first++)
				check_row(i, first, slices[j]);
}

/* Units of all lengths, one after the other, and one that wakes at the end. */
static size_t
make_stream(uint8_t *stream, unsigned seed)
{
	size_t len = 0, n, i;

	while (len < STREAM_MAX - 300) {
		seed = seed * 1103515245 + 12345;
		n = seed >> 16 & 0x3f;
		n = n > 40 ? n * 4 : n % 6;
		stream[len] = (uint8_t)n;
		stream[len + 1] = 0;
		stream[len + 2] = 0;
		stream[len + 3] = (uint8_t)(seed >> 24 & 1);
		for (i = 0; i < n; i++)
			stream[len + 4 + i] = stream[len + 3] ? '!' : 'a';
		len += 4 + n;
	}
	memcpy(stream + len, "\1\0\0\0!", 5);
	return len;
}

static void
long_streams_keep_in_step(void)
{
	static uint8_t stream[STREAM_MAX];
	static struct played p;
	unsigned seed;
	size_t len;

	for (seed = 1; seed <= 200; seed++) {
		len = make_stream(stream, seed);
		play(&packets, stream, len + 5, 1 + seed % 11, 1 + seed % 97,
		    &p);
		CU_ASSERT_EQUAL(p.result, UNITS_WAKE);
		CU_ASSERT_EQUAL(p.npassed, len);
		CU_ASSERT_EQUAL(memcmp(p.passed, stream, len), 0);
		CU_ASSERT_EQUAL(p.nrest, 5);
		CU_ASSERT_EQUAL(memcmp(p.rest, stream + len, 5), 0);
	}
}

/* Sixteen megabytes are two numbers. */
static void
large_units_are_only_counted(void)
{
	static const uint8_t head[] = "\377\377\377\0aaa";
	static uint8_t some[64 * 1024];
	struct rd bytes = { .at = some, .left = sizeof(some) };
	const uint64_t whole = 0xffffff + 4;
	struct units u;
	uint64_t at;
	size_t pass;

	memset(some, '!', sizeof(some));
	memcpy(some, head, sizeof(head) - 1);
	units_init(&u, &packets);
	for (at = 0; whole - at > sizeof(some); at += sizeof(some)) {
		CU_ASSERT_EQUAL(units_follow(&u, bytes, &pass), UNITS_PASS);
		CU_ASSERT_EQUAL(pass, sizeof(some));
		memset(some, '!', sizeof(head));
	}
	CU_ASSERT_EQUAL(u.left, whole - at);
	/* ... and where it ends the next one is seen. */
	memcpy(some + (whole - at), "\1\0\0\0!", 5);
	CU_ASSERT_EQUAL(units_follow(&u, bytes, &pass), UNITS_WAKE);
	CU_ASSERT_EQUAL(pass, whole - at);
}

static void
first_byte_may_wake(void)
{
	const uint8_t byte = 1;
	struct rd bytes = { .at = &byte, .left = 1 };
	struct units u;
	size_t pass = 1;

	units_init(&u, &alarm_units);
	CU_ASSERT_EQUAL(units_follow(&u, bytes, &pass), UNITS_WAKE);
	CU_ASSERT_EQUAL(pass, 0);
}

static const struct {
	const char *name;
	const struct neg_units *ops;
	const char *bytes;
	size_t len;
	const char *passes; /* in brackets what is taken */
	const char *held;
} taking[] = {
	{ "one", &takes, BYTES("\5tabc"), "<\5tabc>", "" },
	{ "several, between others", &takes, BYTES("\2a\3tb\3tc\4def\2t\2g"),
	    "\2a<\3tb><\3tc>\4def<\2t>\2g", "" },
	{ "the first of many, not whole", &takes, BYTES("\2a\5tb"), "\2a",
	    "\5tb" },
	{ "only the last is held", &takes, BYTES("\3ta\3bc\3t"), "<\3ta>\3bc",
	    "\3t" },
	{ "shorter than what is judged", &takes, BYTES("\2t\1\2t"),
	    "<\2t>\1<\2t>", "" },
	{ "others pass at once", &takes, BYTES("\377abc"), "\377abc", "" },
	{ "where some are taken none wakes", &takes, BYTES("\3!a\3tb\3!c"),
	    "\3!a<\3tb>\3!c", "" },
	{ "taken by nobody", &takes_for_nothing, BYTES("\3ta\5tb"), "\3ta\5tb",
	    "" },
};

static void
check_taking(size_t i, size_t first, size_t slice)
{
	const uint8_t *bytes = (const uint8_t *)taking[i].bytes;
	size_t passes = strlen(taking[i].passes), holds;
	static struct played p;
	bool right;

	holds = strlen(taking[i].held);
	play(taking[i].ops, bytes, taking[i].len, first, slice, &p);
	right = p.result == UNITS_PASS && p.npassed == passes &&
	    memcmp(p.passed, taking[i].passes, passes) == 0 &&
	    p.nrest == holds && memcmp(p.rest, taking[i].held, holds) == 0;
	CU_ASSERT_TRUE(right);
	if (!right)
		fprintf(stderr, "\n  %s, by %zu and %zu: %d, %.*s\n",
		    taking[i].name, first, slice, (int)p.result, (int)p.npassed,
		    (const char *)p.passed);
}

static void
taken_units_are_held_until_they_are_whole(void)
{
	static const size_t slices[] = { 1, 2, 3, 7, STREAM_MAX };
	size_t i, j, first;

	for (i = 0; i < COUNT(taking); i++)
		for (j = 0; j < COUNT(slices); j++)
			for (first = 1; first <= taking[i].len + 1; first++)
				check_taking(i, first, slices[j]);
}

/* As long as any that is held may be, and one byte longer. */
static void
units_too_long_to_be_taken_pass(void)
{
	static uint8_t unit[NEG_UNIT_MAX + 1];
	struct rd some = { .at = unit, .left = NEG_UNIT_MAX - 1 };
	struct units u;
	size_t pass;

	units_init(&u, &takes_all);
	memcpy(unit, "\0\1\0\20", 4); /* NEG_UNIT_MAX */
	CU_ASSERT_EQUAL(units_follow(&u, some, &pass), UNITS_PASS);
	CU_ASSERT_EQUAL(pass, 0);
	CU_ASSERT_EQUAL(u.held.len, NEG_UNIT_MAX - 1);
	queue_consume(&u.held, u.held.len);
	CU_ASSERT_PTR_NULL(u.held.base);
	some.left = NEG_UNIT_MAX;
	CU_ASSERT_EQUAL(units_follow(&u, some, &pass), UNITS_TAKE);
	CU_ASSERT_EQUAL(u.taken, NEG_UNIT_MAX);
	CU_ASSERT_EQUAL(pass, 0);
	unit[3]++;
	some.left = 10;
	CU_ASSERT_EQUAL(units_follow(&u, some, &pass), UNITS_PASS);
	CU_ASSERT_EQUAL(pass, 10);
	CU_ASSERT_EQUAL(u.held.len, 0);
	CU_ASSERT_EQUAL(u.left, NEG_UNIT_MAX + 1 - 10);
	units_fini(&u);
}

static void
deaf_units_do_what_is_left_to_do(void)
{
	static const struct {
		const struct neg_units *ops;
		const char *bytes, *passes, *held;
	} deaf[] = {
		{ NULL, "\3!a", "\3!a", "" },
		{ &shorts, "\20!a\1", "\20!a\1", "" },
		{ &wholes, "\3!a\4!b", "\3!a", "\4!b" },
		{ &takes, "\3!a\3tb\3t", "\3!a<\3tb>", "\3t" },
	};
	static struct played p;
	struct units u;
	size_t i;

	for (i = 0; i < COUNT(deaf); i++) {
		memset(&p, 0, sizeof(p));
		units_init(&u, deaf[i].ops);
		units_deafen(&u);
		if (u.ops == NULL) {
			CU_ASSERT_TRUE(i < 2);
			continue;
		}
		receive(&u, &p, (const uint8_t *)deaf[i].bytes,
		    strlen(deaf[i].bytes));
		CU_ASSERT_EQUAL(p.result, UNITS_PASS);
		CU_ASSERT_STRING_EQUAL(p.passed, deaf[i].passes);
		CU_ASSERT_EQUAL(u.held.len, strlen(deaf[i].held));
		units_fini(&u);
	}
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		{ "slices_change_nothing", slices_change_nothing },
		{ "long_streams_keep_in_step", long_streams_keep_in_step },
		{ "large_units_are_only_counted",
		    large_units_are_only_counted },
		{ "first_byte_may_wake", first_byte_may_wake },
		{ "taken_units_are_held_until_they_are_whole",
		    taken_units_are_held_until_they_are_whole },
		{ "units_too_long_to_be_taken_pass",
		    units_too_long_to_be_taken_pass },
		{ "deaf_units_do_what_is_left_to_do",
		    deaf_units_do_what_is_left_to_do },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "units", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
