/* Cursors: what is there is read, what is not stops everything after it. */
#include "protocols/bytes.h"
#include "tests/unit/unit.h"

#include <string.h>

#include <CUnit/CUnit.h>

static struct rd
reads(const void *bytes, size_t n)
{
	return (struct rd){ .at = bytes, .left = n };
}

static void
numbers_are_big_endian(void)
{
	struct rd r = reads("\x01\x02\x03\xfe\xff\xff\xfd", 7);

	CU_ASSERT_EQUAL(rd_u8(&r), 1);
	CU_ASSERT_EQUAL(rd_be16(&r), 0x0203);
	CU_ASSERT_EQUAL(rd_be32(&r), 0xfefffffdu);
	CU_ASSERT_EQUAL(r.left, 0);
	CU_ASSERT_FALSE(r.cut);
}

static void
some_numbers_are_little_endian(void)
{
	struct rd r = reads("\x01\x02\x03\x04\xf5\x06\x07\x08\xf9", 9);

	CU_ASSERT_EQUAL(rd_le16(&r), 0x0201);
	CU_ASSERT_EQUAL(rd_le24(&r), 0xf50403);
	CU_ASSERT_EQUAL(rd_le32(&r), 0xf9080706u);
	CU_ASSERT_FALSE(r.cut);
	r = reads("\x01\x02", 2);
	CU_ASSERT_EQUAL(rd_le24(&r), 0);
	CU_ASSERT_TRUE(r.cut);
	CU_ASSERT_EQUAL(r.left, 2);
}

/* Once cut, the bytes that are still there do not count either: a parser that
 * asks at its end must not have been given any of them. */
static void
a_read_past_the_end_is_remembered(void)
{
	struct rd r = reads("\x01\x02\x03", 3);

	CU_ASSERT_EQUAL(rd_be32(&r), 0);
	CU_ASSERT_TRUE(r.cut);
	CU_ASSERT_EQUAL(rd_u8(&r), 0);
	CU_ASSERT_EQUAL(rd_be16(&r), 0);
	rd_skip(&r, 1);
	CU_ASSERT_EQUAL(r.left, 3);
	CU_ASSERT_TRUE(rd_take(&r, 1).cut);
	CU_ASSERT_TRUE(rd_cstring(&r).cut);
}

static void
each_read_can_be_the_one_too_many(void)
{
	struct rd r = reads(NULL, 0);

	(void)rd_u8(&r);
	CU_ASSERT_TRUE(r.cut);
	r = reads("\x01", 1);
	(void)rd_be16(&r);
	CU_ASSERT_TRUE(r.cut);
	r = reads("\x01", 1);
	rd_skip(&r, 2);
	CU_ASSERT_TRUE(r.cut);
	r = reads("\x01", 1);
	rd_skip(&r, SIZE_MAX);
	CU_ASSERT_TRUE(r.cut);
}

static void
taking_gives_a_cursor_of_its_own(void)
{
	struct rd r = reads("abcdef", 6), taken = rd_take(&r, 4);

	CU_ASSERT_TRUE(rd_equals(taken, "abcd", 4));
	CU_ASSERT_TRUE(rd_equals(r, "ef", 2));
	(void)rd_be32(&taken);
	(void)rd_u8(&taken);
	CU_ASSERT_TRUE(taken.cut);
	CU_ASSERT_FALSE(r.cut);
}

static void
taking_what_is_not_there_gives_nothing(void)
{
	struct rd r = reads("abc", 3), taken = rd_take(&r, 4);

	CU_ASSERT_TRUE(taken.cut);
	CU_ASSERT_EQUAL(taken.left, 0);
	CU_ASSERT_TRUE(r.cut);
}

static void
taking_nothing_from_nothing_is_fine(void)
{
	struct rd r = reads(NULL, 0), taken = rd_take(&r, 0);

	rd_skip(&r, 0);
	CU_ASSERT_FALSE(taken.cut);
	CU_ASSERT_FALSE(r.cut);
	CU_ASSERT_TRUE(rd_equals(taken, NULL, 0));
}

static void
a_string_ends_at_its_nul(void)
{
	struct rd r = reads("user\0\0rest", 10);

	CU_ASSERT_TRUE(rd_equals_string(rd_cstring(&r), "user"));
	CU_ASSERT_TRUE(rd_equals_string(rd_cstring(&r), ""));
	CU_ASSERT_FALSE(r.cut);
	CU_ASSERT_TRUE(rd_cstring(&r).cut);
	CU_ASSERT_TRUE(r.cut);
}

static void
a_copy_looks_ahead(void)
{
	struct rd r = reads("ab", 2), ahead = r;

	(void)rd_be32(&ahead);
	CU_ASSERT_TRUE(ahead.cut);
	CU_ASSERT_FALSE(r.cut);
	CU_ASSERT_EQUAL(r.left, 2);
}

static void
what_was_cut_equals_nothing(void)
{
	struct rd r = reads("ab", 2);

	CU_ASSERT_TRUE(rd_equals(r, "ab", 2));
	CU_ASSERT_FALSE(rd_equals(r, "ab", 1));
	CU_ASSERT_FALSE(rd_equals(r, "abc", 3));
	CU_ASSERT_FALSE(rd_equals(r, "ax", 2));
	r.cut = true;
	CU_ASSERT_FALSE(rd_equals(r, "ab", 2));
}

static void
what_is_written_is_read_back(void)
{
	uint8_t room[16];
	struct wr w = { .base = room, .cap = sizeof(room) };

	wr_u8(&w, 0x7f);
	wr_be16(&w, 0x0102);
	wr_be32(&w, 0xfeedfaceu);
	wr_bytes(&w, "xyz", 3);
	wr_bytes(&w, NULL, 0);
	wr_string(&w, "ab");
	CU_ASSERT_FALSE(w.full);
	CU_ASSERT_TRUE(
	    rd_equals(wr_written(&w), "\x7f\x01\x02\xfe\xed\xfa\xcexyzab", 12));
}

static void
little_endian_is_written_so(void)
{
	uint8_t room[9];
	struct wr w = { .base = room, .cap = sizeof(room) };

	wr_le16(&w, 0x0201);
	wr_le24(&w, 0xaaf50403u);
	wr_le32(&w, 0xf9080706u);
	CU_ASSERT_FALSE(w.full);
	CU_ASSERT_EQUAL(memcmp(room, "\x01\x02\x03\x04\xf5\x06\x07\x08\xf9", 9),
	    0);
	w.len = 7;
	wr_le24(&w, 1);
	CU_ASSERT_TRUE(w.full);
	CU_ASSERT_EQUAL(w.len, 7);
}

/* Half a value is never written, and nothing after it that would fit. */
static void
a_write_past_the_end_is_remembered(void)
{
	uint8_t room[4] = { 0 };
	struct wr w = { .base = room, .cap = 3 };

	wr_be32(&w, 0xffffffffu);
	CU_ASSERT_TRUE(w.full);
	CU_ASSERT_EQUAL(w.len, 0);
	wr_u8(&w, 1);
	wr_be16(&w, 1);
	wr_bytes(&w, "a", 1);
	wr_patch_be32(&w, 0, 1);
	CU_ASSERT_EQUAL(w.len, 0);
	CU_ASSERT_EQUAL(memcmp(room, "\0\0\0\0", sizeof(room)), 0);
}

static void
each_write_can_be_the_one_too_many(void)
{
	uint8_t room[2];
	struct wr w = { .base = room, .cap = 0 };

	wr_u8(&w, 1);
	CU_ASSERT_TRUE(w.full);
	w = (struct wr){ .base = room, .cap = 1 };
	wr_be16(&w, 1);
	CU_ASSERT_TRUE(w.full);
	w = (struct wr){ .base = room, .cap = 2 };
	wr_string(&w, "abc");
	CU_ASSERT_TRUE(w.full);
	w = (struct wr){ .base = room, .cap = 2 };
	wr_string(&w, "ab");
	CU_ASSERT_FALSE(w.full);
	wr_bytes(&w, "c", SIZE_MAX);
	CU_ASSERT_TRUE(w.full);
}

static void
a_patch_stays_within_what_was_written(void)
{
	uint8_t room[8];
	struct wr w = { .base = room, .cap = sizeof(room) };

	wr_u8(&w, 'x');
	wr_be32(&w, 0);
	wr_patch_be32(&w, 1, 0x01020304);
	CU_ASSERT_FALSE(w.full);
	CU_ASSERT_TRUE(rd_equals(wr_written(&w), "x\x01\x02\x03\x04", 5));
	wr_patch_be32(&w, 2, 0);
	CU_ASSERT_TRUE(w.full);
	w.full = false;
	wr_patch_be32(&w, SIZE_MAX, 0);
	CU_ASSERT_TRUE(w.full);
	CU_ASSERT_TRUE(rd_equals(wr_written(&w), "x\x01\x02\x03\x04", 5));
	wr_patch_le32(&w, 1, 0);
	CU_ASSERT_TRUE(rd_equals(wr_written(&w), "x\x01\x02\x03\x04", 5));
	w.full = false;
	wr_patch_le32(&w, 1, 0x01020304);
	CU_ASSERT_FALSE(w.full);
	CU_ASSERT_TRUE(rd_equals(wr_written(&w), "x\x04\x03\x02\x01", 5));
	wr_patch_le32(&w, 2, 0);
	CU_ASSERT_TRUE(w.full);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		{ "numbers_are_big_endian", numbers_are_big_endian },
		{ "some_numbers_are_little_endian",
		    some_numbers_are_little_endian },
		{ "little_endian_is_written_so", little_endian_is_written_so },
		{ "a_read_past_the_end_is_remembered",
		    a_read_past_the_end_is_remembered },
		{ "each_read_can_be_the_one_too_many",
		    each_read_can_be_the_one_too_many },
		{ "taking_gives_a_cursor_of_its_own",
		    taking_gives_a_cursor_of_its_own },
		{ "taking_what_is_not_there_gives_nothing",
		    taking_what_is_not_there_gives_nothing },
		{ "taking_nothing_from_nothing_is_fine",
		    taking_nothing_from_nothing_is_fine },
		{ "a_string_ends_at_its_nul", a_string_ends_at_its_nul },
		{ "a_copy_looks_ahead", a_copy_looks_ahead },
		{ "what_was_cut_equals_nothing", what_was_cut_equals_nothing },
		{ "what_is_written_is_read_back",
		    what_is_written_is_read_back },
		{ "a_write_past_the_end_is_remembered",
		    a_write_past_the_end_is_remembered },
		{ "each_write_can_be_the_one_too_many",
		    each_write_can_be_the_one_too_many },
		{ "a_patch_stays_within_what_was_written",
		    a_patch_stays_within_what_was_written },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "bytes", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
