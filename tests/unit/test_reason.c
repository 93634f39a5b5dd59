/* The vocabulary is that of the outside, word for word. */
#include "protocols/reason.h"
#include "tests/unit/unit.h"

#include <stddef.h>
#include <string.h>

#include <CUnit/CUnit.h>

static const char *const closes[] = { "client_closed", "server_closed",
	"client_reset", "server_reset", "client_truncated", "server_truncated",
	"keepalive", "idle", "drain", "killed", "tls_error", "internal", NULL };

static const char *const refuses[] = { "not_allowed", "limit", "overload",
	"draining", "no_endpoint", "loop", "resolve", "connect", "timeout",
	"tls_refused", "downgrade", "protocol", "handshake", "client_tls",
	"client_certificate", "untrusted", "name_mismatch", "expired",
	"not_yet_valid", "weak", "wrong_usage", "revoked", "crl_expired",
	"pin_mismatch", "identity", "redirect", "auth", "internal", NULL };

static const char *const temporary[] = { "resolve", "connect", "timeout",
	"draining", "overload", NULL };

static bool
has(const char *const *words, const char *word)
{
	for (; *words != NULL; words++) {
		if (strcmp(*words, word) == 0)
			return true;
	}
	return false;
}

static size_t
count(const char *const *words)
{
	size_t n = 0;

	while (words[n] != NULL)
		n++;
	return n;
}

static void
every_reason_has_a_word_of_the_contract(void)
{
	size_t i;

	for (i = REASON_NONE + 1; i < REASON_COUNT; i++) {
		const char *name = reason_name((enum reason)i);

		CU_ASSERT_PTR_NOT_NULL_FATAL(name);
		CU_ASSERT_TRUE(has(closes, name) || has(refuses, name));
	}
	/* `internal` is in both lists, and `none` in neither. */
	CU_ASSERT_EQUAL(count(closes) + count(refuses) - 1, REASON_COUNT - 1);
	CU_ASSERT_STRING_EQUAL(reason_name(REASON_NONE), "none");
}

static void
no_word_is_used_twice(void)
{
	size_t i, j;

	for (i = 0; i < REASON_COUNT; i++) {
		for (j = 0; j < i; j++)
			CU_ASSERT_STRING_NOT_EQUAL(reason_name((enum reason)i),
			    reason_name((enum reason)j));
	}
}

static void
refusals_are_those_of_the_contract(void)
{
	size_t i;

	for (i = 0; i < REASON_COUNT; i++)
		CU_ASSERT_EQUAL(reason_is_refusal((enum reason)i),
		    has(refuses, reason_name((enum reason)i)));
}

static void
refusals_are_temporary_only_where_the_contract_says_so(void)
{
	size_t i;

	for (i = 0; i < REASON_COUNT; i++) {
		enum reason reason = (enum reason)i;
		enum reason_class class = REASON_CLASS_PERMANENT;

		if (!reason_is_refusal(reason))
			continue;
		if (has(temporary, reason_name(reason)))
			class = REASON_CLASS_TEMPORARY;
		if (reason == REASON_LIMIT)
			class = REASON_CLASS_LIMIT;
		CU_ASSERT_EQUAL(reason_class(reason), class);
	}
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		{ "every_reason_has_a_word_of_the_contract",
		    every_reason_has_a_word_of_the_contract },
		{ "no_word_is_used_twice", no_word_is_used_twice },
		{ "refusals_are_those_of_the_contract",
		    refusals_are_those_of_the_contract },
		{ "refusals_are_temporary_only_where_the_contract_says_so",
		    refusals_are_temporary_only_where_the_contract_says_so },
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "reason", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
