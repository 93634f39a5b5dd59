/* JSON, and the sentences of struct err. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "conf/err.h"
#include "conf/json.h"
#include "tests/unit/unit.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

static char *
document(void (*write)(struct json *j))
{
	char *text = NULL;
	struct json j;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	json_begin(&j, to);
	write(&j);
	json_finish(&j);
	(void)fclose(to);
	return text;
}

static void
write_everything(struct json *j)
{
	static const uint8_t bytes[] = { 0x00, 0xab };

	json_object(j, NULL);
	json_string(j, "text", "a");
	json_string(j, "nothing", NULL);
	json_array(j, "list");
	json_int(j, NULL, INT64_MIN);
	json_int(j, NULL, INT64_MAX);
	json_end_array(j);
	json_array(j, "empty");
	json_end_array(j);
	json_object(j, "group");
	json_bool(j, "yes", true);
	json_bool(j, "no", false);
	json_hex(j, "hex", bytes, sizeof(bytes));
	json_end_object(j);
	json_object(j, "void");
	json_end_object(j);
	json_number(j, "n", 2.5);
	json_number(j, "inf", HUGE_VAL);
	json_null(j, "null");
	json_end_object(j);
}

static void
commas_and_lines_are_right(void)
{
	char *text = document(write_everything);

	CU_ASSERT_STRING_EQUAL(text,
	    "{\n  \"text\": \"a\",\n  \"nothing\": null,\n  \"list\": [\n"
	    "    -9223372036854775808,\n    9223372036854775807\n  ],\n"
	    "  \"empty\": [],\n  \"group\": {\n    \"yes\": true,\n"
	    "    \"no\": false,\n    \"hex\": \"00ab\"\n  },\n"
	    "  \"void\": {},\n  \"n\": 2.5,\n  \"inf\": null,\n"
	    "  \"null\": null\n}\n");
	free(text);
}

static void
write_string(struct json *j)
{
	json_string(j, NULL, "\"\\\n\x01");
}

static void
a_string_alone_is_a_document(void)
{
	char *text = document(write_string);

	CU_ASSERT_STRING_EQUAL(text, "\"\\\"\\\\\\n\\u0001\"\n");
	free(text);
}

static void
what_is_no_utf8_is_replaced(void)
{
	static const struct {
		const char *bytes, *escaped;
	} rows[] = {
		{ "a\tb", "a\\tb" },
		{ "\x7f", "\\u007f" },
		{ "\xc2\x85", "\\u0085" },
		{ "\xc3\xa9", "\xc3\xa9" },
		{ "\xe2\x82\xac", "\xe2\x82\xac" },
		{ "\xf0\x9f\x94\x92", "\xf0\x9f\x94\x92" },
		{ "\xff", "\\ufffd" },
		{ "\x80", "\\ufffd" },
		{ "\xc3", "\\ufffd" },
		{ "\xc3(", "\\ufffd(" },
		{ "\xc0\xaf", "\\ufffd\\ufffd" },            /* overlong */
		{ "\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd" }, /* overlong */
		{ "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" }, /* surrogate */
		{ "\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" },
		{ "\xf8\x88\x80\x80\x80",
		    "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd" },
	};
	char text[64];
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++) {
		CU_ASSERT_EQUAL(json_escape(rows[i].bytes,
				    strlen(rows[i].bytes), text, sizeof(text)),
		    strlen(rows[i].escaped));
		CU_ASSERT_STRING_EQUAL(text, rows[i].escaped);
	}
	CU_ASSERT_EQUAL(json_escape("\0x", 2, text, sizeof(text)), 7);
	CU_ASSERT_STRING_EQUAL(text, "\\u0000x");
}

static void
no_escape_is_cut_in_half(void)
{
	static const char bytes[] = "ab\n\x01";
	static const struct {
		size_t size;
		const char *text;
	} rows[] = {
		{ 1, "" },
		{ 2, "a" },
		{ 3, "ab" },
		{ 4, "ab" },
		{ 5, "ab\\n" },
		{ 10, "ab\\n" },
		{ 11, "ab\\n\\u0001" },
	};
	char text[16];
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++) {
		memset(text, 'x', sizeof(text));
		CU_ASSERT_EQUAL(
		    json_escape(bytes, strlen(bytes), text, rows[i].size),
		    strlen(rows[i].text));
		CU_ASSERT_STRING_EQUAL(text, rows[i].text);
		CU_ASSERT_EQUAL(text[rows[i].size], 'x');
	}
	CU_ASSERT_EQUAL(json_escape(bytes, strlen(bytes), text, 0), 0);
}

static void
an_error_may_quote_itself(void)
{
	char big[2 * sizeof(((struct err *)0)->text)];
	struct err err;

	CU_ASSERT_EQUAL(err_set(&err, "%s: %d", "why", 4), -1);
	CU_ASSERT_EQUAL(err_set(&err, "what: %s", err.text), -1);
	CU_ASSERT_STRING_EQUAL(err.text, "what: why: 4");
	errno = ENOENT;
	CU_ASSERT_EQUAL(err_set_errno(&err, "%s", "/x"), -1);
	CU_ASSERT_STRING_EQUAL(err.text, "/x: No such file or directory");
	CU_ASSERT_EQUAL(errno, ENOENT);
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)err_set_errno(&err, "%s", big);
	CU_ASSERT_EQUAL(strlen(err.text), sizeof(err.text) - 1);
}

static CU_TestInfo tests[] = {
	{ "commas_and_lines_are_right", commas_and_lines_are_right },
	{ "a_string_alone_is_a_document", a_string_alone_is_a_document },
	{ "what_is_no_utf8_is_replaced", what_is_no_utf8_is_replaced },
	{ "no_escape_is_cut_in_half", no_escape_is_cut_in_half },
	{ "an_error_may_quote_itself", an_error_may_quote_itself },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "json", .pTests = tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
