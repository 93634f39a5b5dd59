/*
 * What is refused and in which words, what is warned of, and what is taken: a
 * table of configurations, and of what must be said about each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "conf/config.h"
#include "tests/unit/config_rows.h"
#include "tests/unit/unit.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* Is this said, at this place, with this weight? */
static bool
is_said(const struct problems *p, const struct row *row, bool warning)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct problem *one = &p->list[i];

		if (one->warning == warning &&
		    strstr(one->text, row->says) != NULL &&
		    (row->path == NULL ||
			(one->path != NULL &&
			    strcmp(one->path, row->path) == 0)))
			return true;
	}
	return false;
}

static void
explain(const struct row *row, const struct problems *p)
{
	(void)fprintf(stderr, "\n%s\n  should say: %s: %s\n  and says:\n",
	    row->text, row->path == NULL ? "" : row->path, row->says);
	problems_print(p, stderr);
}

static void
expect(const struct row *row, bool refused)
{
	struct problems p = { 0 };
	struct config *c = config_load_text(row->text, WORDS, &p);
	bool good = (c == NULL) == refused && is_said(&p, row, !refused);

	if (!good)
		explain(row, &p);
	CU_ASSERT_TRUE(good);
	CU_ASSERT_EQUAL(p.errors > 0, refused);
	config_release(c);
	problems_fini(&p);
}

static void
expect_refused(const struct row *rows, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		expect(&rows[i], true);
}

static void
syntax_is_explained(void)
{
	expect_refused(syntax_rows, nsyntax_rows);
}

static void
types_and_ranges_are_kept(void)
{
	expect_refused(types_rows, ntypes_rows);
}

static void
unknown_words_are_refused(void)
{
	expect_refused(words_rows, nwords_rows);
}

static void
values_are_checked(void)
{
	expect_refused(values_rows, nvalues_rows);
}

static void
contradictions_are_refused(void)
{
	expect_refused(together_rows, ntogether_rows);
}

static void
bridges_have_no_two_meanings(void)
{
	expect_refused(bridge_rows, nbridge_rows);
}

static void
bad_files_are_refused(void)
{
	expect_refused(material_rows, nmaterial_rows);
}

/* Whatever there is to say about these, they are taken. */
static void
suspicions_are_warnings(void)
{
	static const struct row rows[] = {
		{ REQUIRE(TRUSTED), "endpoints[0].ca", "is not used" },
		{ REQUIRE("user_timeout = 30; "), "endpoints[0].user_timeout",
		    "pauses longer than 30 s is cut" },
		{ ONE(LOCAL
		      "ca = [ " CERT("ca.crt") ", " CERT("old.crt") " ]; "),
		    "endpoints[0].ca", "expired at" },
		{ FULL("crl = " CERT("crl-expired.pem") "; "),
		    "endpoints[0].crl", "fetch a newer one" },
		{ FULL("crl_expired = \"warn\"; "), "endpoints[0].crl_expired",
		    "has no effect without crl" },
		{ CA("allow_cn = false; "), "endpoints[0].allow_cn",
		    "has no effect" },
		{ NONE("sni = \"db.test\"; "), "endpoints[0].sni",
		    "has no effect with ssl_mode = \"none\"" },
		{ REQUIRE("x509_profile = \"webpki\"; "),
		    "endpoints[0].x509_profile", "has no effect" },
		{ REQUIRE("cleartext_server = true; "),
		    "endpoints[0].cleartext_server", "has no effect" },
		{ REQUIRE("tls = { min = \"1.0\"; }; "), "endpoints[0].tls.min",
		    "has no effect at tls.seclevel = 2" },
		{ REQUIRE("client_tls = { mode = \"off\"; " SHOWN "}; "),
		    "endpoints[0].client_tls.cert", "has no effect" },
		{ REQUIRE("client_tls = { mode = \"allow\"; " SHOWN
			  "min = \"1.0\"; }; "),
		    "endpoints[0].client_tls.min", "no longer safe" },
		{ OPEN("allow = \"0.0.0.0/0\"; client_tls = { mode = "
		       "\"off\"; }; "),
		    "endpoints[0].allow", "lets everyone in" },
		{ SERVER("( \"a\", \"A:5432\" )", MODE("require")),
		    "endpoints[0].server[1].address", "is listed twice" },
		{ REQUIRE("client_tls = { mode = \"allow\"; cert = " CERT(
		      "expired.crt") "; key = " CERT("expired.key") "; }; "),
		    "endpoints[0].client_tls.cert", "expired at" },
		{ ENDPOINTS(BRIDGE("a", "\"10.0.0.1\"",
		      MODE("require") "retry_after = 1; ")),
		    "endpoints[0].retry_after",
		    "has no effect with transparent" },
		{ ENDPOINTS(BRIDGE("a", "( \"10.0.0.1\", \"2001:db8::/32\" )",
		      MODE("require"))),
		    "endpoints[0].server[1].address",
		    "is never chosen: no listen address is of its family" },
		{ PAIRS("[ \"127.0.0.1:1\", \"127.0.0.1:2\" ]",
		      "( \"a\", \"b\" )", "server_order = \"random\"; "),
		    "endpoints[0].server_order",
		    "has no effect: as the settings in mongodb are, the "
		    "address that a client comes by decides the server" },
	};
	size_t i;

	for (i = 0; i < COUNT_OF(rows); i++)
		expect(&rows[i], false);
}

static void
good_ones_load_in_silence(void)
{
	struct problems p = { 0 };
	struct config *c;
	size_t i;

	for (i = 0; i < ngood_texts; i++) {
		c = config_load_text(good_texts[i], WORDS, &p);
		if (c == NULL || p.n > 0) {
			(void)fprintf(stderr, "\n%s\n", good_texts[i]);
			problems_print(&p, stderr);
		}
		CU_ASSERT_PTR_NOT_NULL(c);
		CU_ASSERT_EQUAL(p.n, 0);
		config_release(c);
		problems_fini(&p);
	}
}

/* Each mistake is at the line where it stands, in the order of the lines, and
 * none hides another. */
static void
all_errors_have_their_lines(void)
{
	static const char text[] = "threads = -3000000000;\n"
				   "nonsense = 1;\n"
				   "log = {\n"
				   "\tlevel = \"x\"; };\n"
				   "include = [ \"/nowhere/x\", ];\n"
				   "endpoints = (\n"
				   "  { name = \"a\"; engine = \"postgres\";\n"
				   "    listen = \"x\";\n"
				   "    server = (\n"
				   "      \"a:b\" );\n"
				   "    tls = { min = 1;\n"
				   "      resumed = true; };\n"
				   "  } );\n";
	static const unsigned lines[] = { 1, 2, 4, 5, 5, 7, 8, 10, 11, 12 };
	struct problems p = { 0 };
	size_t i;

	CU_ASSERT_PTR_NULL(config_load_text(text, WORDS, &p));
	CU_ASSERT_EQUAL(p.n, COUNT_OF(lines));
	CU_ASSERT_EQUAL(p.errors, COUNT_OF(lines));
	for (i = 0; i < p.n && i < COUNT_OF(lines); i++)
		CU_ASSERT_EQUAL(p.list[i].line, lines[i]);
	if (p.n != COUNT_OF(lines))
		problems_print(&p, stderr);
	problems_fini(&p);
}

static void
an_error_is_one_line(void)
{
	static const char wanted[] =
	    "dbtls: words:1: threads: is a boolean, and must be a whole "
	    "number from 0 to 1024\n";
	struct problems p = { 0 };
	char *printed = NULL;
	size_t len;
	FILE *to = open_memstream(&printed, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	CU_ASSERT_PTR_NULL(config_load_text(TOP("threads = true;"), WORDS, &p));
	problems_print(&p, to);
	(void)fclose(to);
	CU_ASSERT_STRING_EQUAL(printed, wanted);
	free(printed);
	problems_fini(&p);
}

static CU_TestInfo tests[] = {
	{ "syntax_is_explained", syntax_is_explained },
	{ "types_and_ranges_are_kept", types_and_ranges_are_kept },
	{ "unknown_words_are_refused", unknown_words_are_refused },
	{ "values_are_checked", values_are_checked },
	{ "contradictions_are_refused", contradictions_are_refused },
	{ "bridges_have_no_two_meanings", bridges_have_no_two_meanings },
	{ "bad_files_are_refused", bad_files_are_refused },
	{ "suspicions_are_warnings", suspicions_are_warnings },
	{ "good_ones_load_in_silence", good_ones_load_in_silence },
	{ "all_errors_have_their_lines", all_errors_have_their_lines },
	{ "an_error_is_one_line", an_error_is_one_line },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "config", .pTests = tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
