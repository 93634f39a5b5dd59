#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "conf/config.h"
#include "conf/words.h"
#include "proxy/commands/options.h"
#include "tests/unit/unit.h"

#define ARGUMENTS_MAX 12

struct parsed {
	const char *path;
	bool json;
	struct words ca;
	const char *operand;
};

/* Parses words that have a blank between; argv[0] is "test". */
static int
parse(const char *words, bool operand, struct parsed *p, struct err *err)
{
	const struct option table[] = {
		{ "config", 'c', OPTION_ONE, &p->path },
		{ "json", 0, OPTION_FLAG, &p->json },
		{ "ca", 0, OPTION_MANY, &p->ca },
		{ NULL, 0, OPTION_FLAG, NULL },
	};
	static char copy[256], command[] = "test";
	char *argv[ARGUMENTS_MAX] = { command }, *rest = copy;
	int argc = 1;

	memset(p, 0, sizeof(*p));
	err->text[0] = '\0';
	(void)snprintf(copy, sizeof(copy), "%s", words);
	while (*words != '\0' && (argv[argc] = strsep(&rest, " ")) != NULL)
		argc++;
	return options_parse(table, argc, argv, operand ? &p->operand : NULL,
	    err);
}

static void
every_way_to_write_an_option(void)
{
	struct parsed p;
	struct err err;

	CU_ASSERT_EQUAL(parse("--config x --json", false, &p, &err), 0);
	CU_ASSERT_STRING_EQUAL(p.path, "x");
	CU_ASSERT_TRUE(p.json);
	CU_ASSERT_EQUAL(parse("--config=x=y", false, &p, &err), 0);
	CU_ASSERT_STRING_EQUAL(p.path, "x=y");
	CU_ASSERT_EQUAL(parse("-c --json", false, &p, &err), 0);
	CU_ASSERT_STRING_EQUAL(p.path, "--json");
	CU_ASSERT_FALSE(p.json);
	CU_ASSERT_EQUAL(parse("-cx name", true, &p, &err), 0);
	CU_ASSERT_STRING_EQUAL(p.path, "x");
	CU_ASSERT_STRING_EQUAL(p.operand, "name");
	CU_ASSERT_EQUAL(parse("-- --json", true, &p, &err), 0);
	CU_ASSERT_STRING_EQUAL(p.operand, "--json");
	CU_ASSERT_EQUAL(parse("-", true, &p, &err), 0);
	CU_ASSERT_STRING_EQUAL(p.operand, "-");
	CU_ASSERT_EQUAL(parse("--ca a --ca b", false, &p, &err), 0);
	CU_ASSERT_EQUAL_FATAL(p.ca.n, 2);
	CU_ASSERT_STRING_EQUAL(p.ca.list[0], "a");
	CU_ASSERT_STRING_EQUAL(p.ca.list[1], "b");
	words_fini(&p.ca);
}

static const struct {
	const char *words;
	bool operand;
	const char *error;
} mistakes[] = {
	{ "--jsn", false, "--jsn: unknown option; did you mean --json?" },
	{ "--confg=x", false,
	    "--confg=x: unknown option; did you mean --config?" },
	{ "--conf x", false, "--conf: unknown option; did you mean --config?" },
	{ "--zebra", false, "--zebra: unknown option; see `dbtls help test`" },
	{ "-x", false, "-x: unknown option; see `dbtls help test`" },
	{ "--config", false, "--config: needs a value; see `dbtls help test`" },
	{ "--config=", false,
	    "--config: needs a value; see `dbtls help test`" },
	{ "-c", false, "--config: needs a value; see `dbtls help test`" },
	{ "-c a -c b", false, "--config: given twice; give it once" },
	{ "--json=yes", false, "--json: takes no value; leave it out" },
	{ "a", false, "a: test takes options only; see `dbtls help test`" },
	{ "a b", true, "b: one too many, after a; see `dbtls help test`" },
};

static void
mistakes_are_told_with_their_remedy(void)
{
	struct parsed p;
	struct err err;
	size_t i;

	for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		CU_ASSERT_EQUAL(
		    parse(mistakes[i].words, mistakes[i].operand, &p, &err),
		    -1);
		CU_ASSERT_STRING_EQUAL(err.text, mistakes[i].error);
		words_fini(&p.ca);
	}
}

static void
nearest_word_is_near(void)
{
	static const char *const list[] = { "run", "check", "test", NULL };
	static const char *const brief[] = { "a", NULL };
	char longest[1000];

	CU_ASSERT_STRING_EQUAL(word_suggest("chekc", list), "check");
	CU_ASSERT_STRING_EQUAL(word_suggest("rnu", list), "run");
	CU_ASSERT_STRING_EQUAL(word_suggest("tests", list), "test");
	CU_ASSERT_PTR_NULL(word_suggest("", list));
	CU_ASSERT_PTR_NULL(word_suggest("zebra", list));
	CU_ASSERT_PTR_NULL(word_suggest("b", brief));
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	CU_ASSERT_PTR_NULL(word_suggest(longest, list));
}

/* An endpoint by flags with this server; NULL if it is refused. */
static const struct config *
load(const char *server, struct words *ca, struct problems *problems)
{
	const struct endpoint_flags f = {
		.engine = "postgres",
		.listen = "127.0.0.1:0",
		.server = server,
		.ssl_mode = ca->n > 0 ? "verify-full" : "none",
		.ca = *ca,
	};
	const struct config *c;
	char *text;

	CU_ASSERT_TRUE(endpoint_flags_given(&f));
	text = endpoint_flags_text(&f);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	c = config_load_text(text, FLAGS_FILE, problems);
	free(text);
	return c;
}

static void
flags_become_an_endpoint(void)
{
	struct problems problems = { 0 };
	struct words none = { 0 };
	const struct config *c = load("127.0.0.1:5433", &none, &problems);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL_FATAL(c->nendpoints, 1);
	CU_ASSERT_STRING_EQUAL(c->endpoints[0]->name, FLAGS_ENDPOINT);
	CU_ASSERT_STRING_EQUAL(c->endpoints[0]->servers[0].text,
	    "127.0.0.1:5433");
	CU_ASSERT_EQUAL(c->endpoints[0]->mode, SSL_MODE_NONE);
	config_release(c);
	problems_fini(&problems);
}

/* What would be more than a value, were it not quoted, is nothing but an odd
 * value: the only complaint is about the setting that it is in. */
static const char *const injections[] = {
	"a\"; ssl_mode = \"none",
	"a\\\"; x = \"b",
	"a\\",
	"a\n@include \"/etc/passwd\"\n",
	"a\" \"b",
	"\"",
	"/* a",
	"a\x01\x7f\xff",
	"# a",
};

static void
values_cannot_become_settings(void)
{
	static const char path[] = "endpoints[0].ca";
	struct problems problems;
	struct words ca = { 0 };
	size_t i;

	ca.list = calloc(1, sizeof(*ca.list));
	CU_ASSERT_PTR_NOT_NULL_FATAL(ca.list);
	ca.n = 1;
	for (i = 0; i < sizeof(injections) / sizeof(injections[0]); i++) {
		problems = (struct problems){ 0 };
		ca.list[0] = injections[i];
		CU_ASSERT_PTR_NULL(load("db.example:5432", &ca, &problems));
		CU_ASSERT_EQUAL_FATAL(problems.errors, 1);
		CU_ASSERT_EQUAL(
		    strncmp(problems.list[0].path, path, sizeof(path) - 1), 0);
		CU_ASSERT_TRUE(
		    strstr(problems.list[0].text, "No such file") != NULL ||
		    strstr(problems.list[0].text, "control char") != NULL);
		problems_fini(&problems);
	}
	words_fini(&ca);
}

static void
allow_says_that_the_client_leg_is_in_clear(void)
{
	static const char cidr[] = "10.0.0.0/8";
	struct problems problems = { 0 };
	struct endpoint_flags f = {
		.engine = "postgres",
		.listen = "0.0.0.0:0",
		.server = "127.0.0.1:5433",
		.ssl_mode = "none",
	};
	const char *list[] = { cidr };
	const struct config *c;
	char *text;

	text = endpoint_flags_text(&f);
	CU_ASSERT_PTR_NULL(config_load_text(text, FLAGS_FILE, &problems));
	free(text);
	problems_fini(&problems);
	problems = (struct problems){ 0 };
	f.allow.list = list;
	f.allow.n = 1;
	text = endpoint_flags_text(&f);
	c = config_load_text(text, FLAGS_FILE, &problems);
	free(text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(c->endpoints[0]->allow.n, 1);
	CU_ASSERT_EQUAL(c->endpoints[0]->client_rule, CLIENT_TLS_OFF);
	config_release(c);
	problems_fini(&problems);
}

static CU_TestInfo tests[] = {
	{ "every_way_to_write_an_option", every_way_to_write_an_option },
	{ "mistakes_are_told_with_their_remedy",
	    mistakes_are_told_with_their_remedy },
	{ "nearest_word_is_near", nearest_word_is_near },
	{ "flags_become_an_endpoint", flags_become_an_endpoint },
	{ "values_cannot_become_settings", values_cannot_become_settings },
	{ "allow_says_that_the_client_leg_is_in_clear",
	    allow_says_that_the_client_leg_is_in_clear },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "options", NULL, NULL, NULL, NULL, tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
