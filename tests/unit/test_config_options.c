/*
 * Settings of engines, of every kind, on an engine that has them all.  This
 * file has functions of the names of those in protocols/registry.c, which the
 * linker takes in their place.
 */
#include <sys/stat.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "conf/config.h"
#include "conf/rsakey.h"
#include "tests/unit/unit.h"

#define TEXT_LEN   2048
#define FILE_LEN   4096
#define COUNT_MAX  60000
#define A_MEGABYTE ((size_t)1024 * 1024)

static char scratch[] = "/tmp/dbtls-options-XXXXXX";

/*
 * Engine `demo`, its sister, which has the same settings, and one with none.
 */

struct demo {
	char before;
	int word;
	bool flag;
	unsigned count;
	struct neg_file secrets;
	struct neg_file public;
	struct rsakey *key;
	struct neg_hosts hosts;
	char after;
};

/* Lines of one word. */
static const char *
check_lines(struct rd content, unsigned *line)
{
	for (*line = 1; content.left > 0; rd_skip(&content, 1)) {
		if (*content.at == ' ')
			return "has two words; leave one";
		*line += *content.at == '\n';
	}
	return NULL;
}

static const char *const words[] = { "one", "two", "three", NULL };
static const char *const aliases[] = { "model", NULL };

static const struct neg_option demo_options[] = {
	{ .name = "word",
	    .kind = NEG_OPTION_CHOICE,
	    .offset = offsetof(struct demo, word),
	    .choices = words,
	    .help = "a word" },
	{ .name = "flag",
	    .kind = NEG_OPTION_BOOL,
	    .offset = offsetof(struct demo, flag),
	    .help = "a flag" },
	{ .name = "count",
	    .kind = NEG_OPTION_COUNT,
	    .offset = offsetof(struct demo, count),
	    .max = COUNT_MAX,
	    .help = "a count" },
	{ .name = "secrets",
	    .kind = NEG_OPTION_SECRETS,
	    .offset = offsetof(struct demo, secrets),
	    .check = check_lines,
	    .help = "words" },
	{ .name = "public",
	    .kind = NEG_OPTION_RSA_PUBLIC,
	    .offset = offsetof(struct demo, public),
	    .help = "theirs" },
	{ .name = "key",
	    .kind = NEG_OPTION_RSA_PRIVATE,
	    .offset = offsetof(struct demo, key),
	    .help = "ours" },
	{ .name = "hosts",
	    .kind = NEG_OPTION_HOSTS,
	    .offset = offsetof(struct demo, hosts),
	    .help = "places" },
	{ .name = NULL },
};

static const struct neg_ops demo = {
	.name = "demo",
	.aliases = aliases,
	.default_port = 1,
	.options = demo_options,
	.options_size = sizeof(struct demo),
	.client_chooses = true,
};

static const struct neg_ops sister = {
	.name = "sister",
	.default_port = 1,
	.options = demo_options,
	.options_size = sizeof(struct demo),
	.options_group = "demo",
};

static const struct neg_ops bare = { .name = "bare", .default_port = 1 };

static const struct neg_ops *const engines[] = { &demo, &sister, &bare };
#define ENGINES (sizeof(engines) / sizeof(engines[0]))

const struct neg_ops *
protocol_nth(size_t n)
{
	return n < ENGINES ? engines[n] : NULL;
}

const struct neg_ops *
protocol_find(const char *name)
{
	size_t i;

	for (i = 0; i < ENGINES; i++) {
		if (strcmp(engines[i]->name, name) == 0)
			return engines[i];
	}
	return strcmp(name, aliases[0]) == 0 ? &demo : NULL;
}

const char *
protocol_group(const struct neg_ops *ops)
{
	return ops->options_group == NULL ? ops->name : ops->options_group;
}

/*
 * Configurations in scratch, where their files are.
 */

static int
sh(const char *command)
{
	char line[TEXT_LEN];

	(void)snprintf(line, sizeof(line),
	    "cd %s && umask 077 && { %s; } 2>/dev/null", scratch, command);
	return system(line);
}

static const char *
in_scratch(const char *name)
{
	static char path[TEXT_LEN];

	(void)snprintf(path, sizeof(path), "%s/%s", scratch, name);
	return path;
}

static bool
save(const char *name, const char *text, size_t len, mode_t mode)
{
	FILE *f = fopen(in_scratch(name), "w");
	bool good;

	if (f == NULL)
		return false;
	good = fwrite(text, 1, len, f) == len && fchmod(fileno(f), mode) == 0;
	return fclose(f) == 0 && good;
}

static void
save_main(const char *text)
{
	CU_ASSERT_TRUE_FATAL(
	    save("main.conf", text, strlen(text), S_IRUSR | S_IWUSR));
}

static struct config *
load(struct problems *p, const char *engine, const char *group)
{
	char text[TEXT_LEN];

	(void)snprintf(text, sizeof(text),
	    "endpoints = ( {\n"
	    "  name = \"a\"; engine = \"%s\"; ssl_mode = \"require\";\n"
	    "  listen = \"127.0.0.1:1\"; server = \"db.test\";\n"
	    "  %s\n"
	    "} );\n",
	    engine, group);
	save_main(text);
	return config_load(in_scratch("main.conf"), p);
}

static const struct demo *
options_of(const struct config *c)
{
	return c->endpoints[0]->options;
}

static struct config *
load_good(const char *engine, const char *group)
{
	struct problems p = { 0 };
	struct config *c = load(&p, engine, group);

	problems_print(&p, stderr);
	CU_ASSERT_EQUAL(p.n, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	problems_fini(&p);
	return c;
}

/* One problem, at that path of line 4, which says that. */
static void
expect_bad(const char *engine, const char *group, const char *path,
    const char *says)
{
	struct problems p = { 0 };
	struct config *c = load(&p, engine, group);
	bool good = c == NULL && p.errors == 1 && p.list[0].line == 4 &&
	    p.list[0].path != NULL && strcmp(p.list[0].path, path) == 0 &&
	    strstr(p.list[0].text, says) != NULL;

	if (!good) {
		(void)fprintf(stderr, "\n%s\n  should say: %s: %s\n", group,
		    path, says);
		problems_print(&p, stderr);
	}
	CU_ASSERT_TRUE(good);
	config_release(c);
	problems_fini(&p);
}

static void
what_is_not_written_is_zero(void)
{
	struct config *c = load_good("demo", "");
	const struct demo *o = options_of(c);

	CU_ASSERT_EQUAL(o->word, 0);
	CU_ASSERT_FALSE(o->flag);
	CU_ASSERT_EQUAL(o->count, 0);
	CU_ASSERT_PTR_NULL(o->secrets.path);
	CU_ASSERT_PTR_NULL(o->secrets.bytes);
	CU_ASSERT_PTR_NULL(o->public.path);
	CU_ASSERT_PTR_NULL(o->key);
	CU_ASSERT_PTR_NULL(o->hosts.list);
	CU_ASSERT_EQUAL(o->hosts.n, 0);
	config_release(c);
	c = load_good("bare", "");
	CU_ASSERT_PTR_NULL(options_of(c));
	config_release(c);
}

static void
all_kinds_are_stored(void)
{
	struct config *c = load_good("demo",
	    "demo = { word = \"three\"; flag = true; count = 60000; "
	    "secrets = \"secrets\"; public = \"pub.pem\"; "
	    "key = \"key.pem\"; "
	    "hosts = [ \"n1.test\", \"*.b.test\", \"10.1.0.0/16\" ]; };");
	const struct demo *o = options_of(c);
	struct rd public = { .at = o->public.bytes, .left = o->public.len };

	CU_ASSERT_EQUAL(o->before, 0);
	CU_ASSERT_EQUAL(o->word, 2);
	CU_ASSERT_TRUE(o->flag);
	CU_ASSERT_EQUAL(o->count, COUNT_MAX);
	/* Relative to the file they are named in. */
	CU_ASSERT_STRING_EQUAL(o->secrets.path, in_scratch("secrets"));
	CU_ASSERT_EQUAL(o->secrets.len, strlen("first\nsecond\n"));
	CU_ASSERT_EQUAL(memcmp(o->secrets.bytes, "first\nsecond\n",
			    strlen("first\nsecond\n")),
	    0);
	CU_ASSERT_STRING_EQUAL(o->public.path, in_scratch("pub.pem"));
	CU_ASSERT_STRING_EQUAL(rsakey_path(o->key), in_scratch("key.pem"));
	CU_ASSERT_TRUE(rd_equals(public, rsakey_public(o->key).at,
	    rsakey_public(o->key).left));
	CU_ASSERT_EQUAL_FATAL(o->hosts.n, 3);
	CU_ASSERT_STRING_EQUAL(o->hosts.list[0], "n1.test");
	CU_ASSERT_STRING_EQUAL(o->hosts.list[1], "*.b.test");
	CU_ASSERT_STRING_EQUAL(o->hosts.list[2], "10.1.0.0/16");
	CU_ASSERT_EQUAL(o->after, 0);
	config_release(c);
	c = load_good("demo", "demo = { hosts = \"n1\"; };");
	CU_ASSERT_EQUAL_FATAL(options_of(c)->hosts.n, 1);
	CU_ASSERT_STRING_EQUAL(options_of(c)->hosts.list[0], "n1");
	config_release(c);
}

static void
a_group_may_be_shared(void)
{
	struct config *c = load_good("sister", "demo = { count = 7; };");

	CU_ASSERT_EQUAL(options_of(c)->count, 7);
	config_release(c);
	c = load_good("model", "demo = { count = 8; };");
	CU_ASSERT_EQUAL(options_of(c)->count, 8);
	config_release(c);
	expect_bad("sister", "sister = { count = 7; };", "endpoints[0].sister",
	    "the group of this engine is called \"demo\"");
	expect_bad("model", "model = { count = 7; };", "endpoints[0].model",
	    "the group of this engine is called \"demo\"");
	expect_bad("bare", "demo = { count = 7; };", "endpoints[0].demo",
	    "is a group of engine demo, and this endpoint's is bare");
	expect_bad("bare", "bare = { count = 7; };", "endpoints[0].bare",
	    "has no settings of its own");
	expect_bad("sister", "dem = { count = 7; };", "endpoints[0].dem",
	    "did you mean \"demo\"?");
	expect_bad("sister", "demo = { cuont = 7; };",
	    "endpoints[0].demo.cuont", "did you mean \"count\"?");
}

static void
types_and_ranges_are_kept(void)
{
	static const struct {
		const char *group;
		const char *name;
		const char *says;
	} rows[] = {
		{ "word = \"four\"", "word",
		    "is none of \"one\", \"two\" or \"three\"" },
		{ "word = 1", "word",
		    "is a whole number, and must be \"one\"" },
		{ "flag = 1", "flag", "must be true or false" },
		{ "flag = \"true\"", "flag", "is a string" },
		{ "count = 60001", "count",
		    "60001 is out of range; it takes a whole number from 0 to "
		    "60000" },
		{ "count = -1", "count", "out of range" },
		{ "count = 1.5", "count", "is a number with a fraction" },
		{ "count = \"1\"", "count", "is a string" },
		{ "secrets = true", "secrets", "is a boolean" },
		{ "secrets = \"\"", "secrets", "is empty" },
		{ "secrets = [ \"secrets\" ]", "secrets", "is a list" },
		{ "public = { }", "public", "is a group" },
		{ "key = 5", "key", "must be one string" },
		{ "hosts = 5", "hosts", "must be a string, or several" },
		{ "hosts = [ ]", "hosts", "is an empty list" },
		{ "hosts = \"*.com\"", "hosts", "everybody's hosts" },
		{ "hosts = [ \"n1\", \"n1:1521\" ]", "hosts[1]",
		    "without a port" },
		{ "other = 5", "other",
		    "is unknown; in this group of engine demo there may be "
		    "\"word\", \"flag\", \"count\", \"secrets\", "
		    "\"public\", \"key\" or \"hosts\"" },
	};
	char group[TEXT_LEN], path[TEXT_LEN];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(group, sizeof(group), "demo = { %s; };",
		    rows[i].group);
		(void)snprintf(path, sizeof(path), "endpoints[0].demo.%s",
		    rows[i].name);
		expect_bad("demo", group, path, rows[i].says);
	}
}

static void
files_are_checked(void)
{
	static const struct {
		const char *group;
		const char *name;
		const char *says;
	} rows[] = {
		{ "secrets = \"nowhere\"", "secrets",
		    "/nowhere: No such file" },
		{ "secrets = \"open\"", "secrets",
		    "/open: holds a secret, but its mode 0644" },
		{ "secrets = \"empty\"", "secrets", "/empty: is empty" },
		{ "secrets = \"huge\"", "secrets", "/huge: larger than 1 MiB" },
		{ "secrets = \".\"", "secrets", "Is a directory" },
		{ "secrets = \"bad\"", "secrets",
		    "/bad:3: has two words; leave one" },
		{ "public = \"key.pem\"", "public",
		    "there is a private key in it" },
		{ "public = \"secrets\"", "public",
		    "there is no public key in it" },
		{ "key = \"pub.pem\"", "key", "there is no private key in it" },
		{ "key = \"open.pem\"", "key", "lets others at it" },
	};
	char group[TEXT_LEN], path[TEXT_LEN];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(group, sizeof(group), "demo = { %s; };",
		    rows[i].group);
		(void)snprintf(path, sizeof(path), "endpoints[0].demo.%s",
		    rows[i].name);
		expect_bad("demo", group, path, rows[i].says);
	}
}

/* What stands there is a secret, wrong or not. */
static void
a_bad_secret_is_not_repeated(void)
{
	struct problems p = { 0 };
	size_t i;

	CU_ASSERT_PTR_NULL(load(&p, "demo", "demo = { secrets = \"bad\"; };"));
	CU_ASSERT_EQUAL(p.n, 1);
	for (i = 0; i < p.n; i++)
		CU_ASSERT_PTR_NULL(strstr(p.list[i].text, "hush"));
	problems_fini(&p);
}

static void
a_certificates_key_is_refused(void)
{
	expect_bad("demo",
	    "client_tls = { mode = \"allow\"; cert = \"cert.pem\"; "
	    "key = \"key.pem\"; }; demo = { key = \"same.der\"; };",
	    "endpoints[0].demo.key",
	    "/same.der: is the key of a certificate too");
	expect_bad("demo",
	    "identity = { cert = \"cert.pem\"; key = \"key.pem\"; }; "
	    "demo = { key = \"key.pem\"; };",
	    "endpoints[0].demo.key", "is the key of a certificate too");
}

/* Of another endpoint: it is the same machine that has both. */
static void
another_endpoints_key_is_refused(void)
{
	static const char text[] =
	    "endpoints = ( { name = \"a\"; engine = \"demo\"; "
	    "ssl_mode = \"require\"; listen = \"127.0.0.1:1\"; "
	    "server = \"db.test\"; demo = { key = \"key.pem\"; }; },\n"
	    "{ name = \"b\"; engine = \"bare\"; "
	    "ssl_mode = \"require\"; listen = \"127.0.0.1:2\"; "
	    "server = \"db.test\"; identity = { cert = \"cert.pem\"; "
	    "key = \"key.pem\"; }; } );";
	struct problems p = { 0 };

	save_main(text);
	CU_ASSERT_PTR_NULL(config_load(in_scratch("main.conf"), &p));
	CU_ASSERT_EQUAL_FATAL(p.n, 1);
	CU_ASSERT_STRING_EQUAL(p.list[0].path, "endpoints[0].demo.key");
	CU_ASSERT_PTR_NOT_NULL(strstr(p.list[0].text, "certificate too"));
	problems_fini(&p);
}

/* Two endpoints that name one key have it once. */
static void
a_key_is_shared(void)
{
	static const char text[] =
	    "endpoints = ( { name = \"a\"; engine = \"demo\"; "
	    "ssl_mode = \"require\"; listen = \"127.0.0.1:1\"; "
	    "server = \"db.test\"; demo = { key = \"key.pem\"; }; },\n"
	    "{ name = \"b\"; engine = \"sister\"; "
	    "ssl_mode = \"require\"; listen = \"127.0.0.1:2\"; "
	    "server = \"db.test\"; demo = { key = \"key.pem\"; }; } );";
	struct problems p = { 0 };
	struct config *c;
	const struct demo *a, *b;

	save_main(text);
	c = config_load(in_scratch("main.conf"), &p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	a = c->endpoints[0]->options;
	b = c->endpoints[1]->options;
	CU_ASSERT_PTR_NOT_NULL(a->key);
	CU_ASSERT_PTR_EQUAL(a->key, b->key);
	config_release(c);
	problems_fini(&p);
}

/* With its type, default, range and help; a shared group once. */
static void
the_table_is_printed(void)
{
	static const char want[] =
	    "endpoints[].demo.word\tchoice\tone\ta word\n"
	    "endpoints[].demo.flag\tboolean\tfalse\ta flag\n"
	    "endpoints[].demo.count\tcount\t0\ta count (0 to 60000)\n"
	    "endpoints[].demo.secrets\tstring\t(none)\twords\n"
	    "endpoints[].demo.public\tstring\t(none)\ttheirs\n"
	    "endpoints[].demo.key\tstring\t(none)\tours\n"
	    "endpoints[].demo.hosts\tlist\t(none)\tplaces\n";
	char *printed = NULL, *at;
	size_t len;
	FILE *to = open_memstream(&printed, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	config_print_options(to);
	(void)fclose(to);
	at = strstr(printed, "endpoints[].demo.");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_STRING_EQUAL(at, want);
	free(printed);
}

static int
make_files(void)
{
	static const char good[] = "first\nsecond\n";
	static const char bad[] = "first\nsecond\nhush hush\n";
	char *huge = calloc(1, A_MEGABYTE + 1);

	if (huge == NULL || mkdtemp(scratch) == NULL ||
	    !save("secrets", good, strlen(good), S_IRUSR | S_IWUSR) ||
	    !save("bad", bad, strlen(bad), S_IRUSR | S_IWUSR) ||
	    !save("open", good, strlen(good), 0644) ||
	    !save("empty", "", 0, S_IRUSR | S_IWUSR) ||
	    !save("huge", huge, A_MEGABYTE + 1, S_IRUSR | S_IWUSR)) {
		free(huge);
		return -1;
	}
	free(huge);
	return sh("openssl genrsa -out key.pem 2048 && "
		  "openssl pkey -in key.pem -pubout -out pub.pem && "
		  "openssl pkey -in key.pem -outform DER -out same.der && "
		  "cp key.pem open.pem && chmod 0644 open.pem && "
		  "openssl req -x509 -key key.pem -subj /CN=a -out cert.pem");
}

static int
remove_files(void)
{
	return sh("rm -r \"$PWD\"");
}

static CU_TestInfo tests[] = {
	{ "what_is_not_written_is_zero", what_is_not_written_is_zero },
	{ "all_kinds_are_stored", all_kinds_are_stored },
	{ "a_group_may_be_shared", a_group_may_be_shared },
	{ "types_and_ranges_are_kept", types_and_ranges_are_kept },
	{ "files_are_checked", files_are_checked },
	{ "a_bad_secret_is_not_repeated", a_bad_secret_is_not_repeated },
	{ "a_certificates_key_is_refused", a_certificates_key_is_refused },
	{ "another_endpoints_key_is_refused",
	    another_endpoints_key_is_refused },
	{ "a_key_is_shared", a_key_is_shared },
	{ "the_table_is_printed", the_table_is_printed },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "config_options",
	    .pInitFunc = make_files,
	    .pCleanupFunc = remove_files,
	    .pTests = tests },
	CU_SUITE_INFO_NULL,
};

int
main(void)
{
	return unit_run(suites);
}
