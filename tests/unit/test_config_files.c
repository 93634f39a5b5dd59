/*
 * Configurations that are files: what they include, what paths in them mean,
 * what becomes of each setting, the examples, and how long many take.
 */
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <CUnit/CUnit.h>
#include <libconfig.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "conf/certfile.h"
#include "conf/config.h"
#include "conf/config_cpus.h"
#include "conf/trust.h"
#include "tests/unit/unit.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))
#define PATH_LEN       512
#define ENDPOINT(name, port)                                      \
	"{ name = \"" name "\"; engine = \"postgres\"; "          \
	"listen = \"127.0.0.1:" port "\"; server = \"db.test\"; " \
	"ssl_mode = \"require\"; }"

static char scratch[] = "/tmp/dbtls-config-XXXXXX";

static const char *
in_scratch(const char *name, char path[PATH_LEN])
{
	(void)snprintf(path, PATH_LEN, "%s/%s", scratch, name);
	return path;
}

static void
write_bytes(const char *name, const void *bytes, size_t len)
{
	char path[PATH_LEN];
	FILE *f = fopen(in_scratch(name, path), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, len, f), len);
	(void)fclose(f);
}

static void
write_text(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

static struct config *
load(const char *name, struct problems *p)
{
	char path[PATH_LEN];

	*p = (struct problems){ 0 };
	return config_load(in_scratch(name, path), p);
}

/* One that must be good. */
static struct config *
load_good(const char *name)
{
	struct problems p;
	struct config *c = load(name, &p);

	if (c == NULL)
		problems_print(&p, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	problems_fini(&p);
	return c;
}

/* One that must not, and what is said of it: FILE:LINE: words. */
static void
load_bad(const char *name, const char *file, unsigned line, const char *says)
{
	struct problems p;
	struct config *c = load(name, &p);
	bool said = false;
	char path[PATH_LEN];
	size_t i;

	(void)in_scratch(file, path);
	for (i = 0; i < p.n; i++) {
		if (!p.list[i].warning && p.list[i].line == line &&
		    strcmp(p.list[i].file, path) == 0 &&
		    strstr(p.list[i].text, says) != NULL)
			said = true;
	}
	if (!said) {
		(void)fprintf(stderr, "\n%s:%u: %s\n", path, line, says);
		problems_print(&p, stderr);
	}
	CU_ASSERT_PTR_NULL(c);
	CU_ASSERT_TRUE(said);
	config_release(c);
	problems_fini(&p);
}

static void
includes_are_relative_to_their_file(void)
{
	struct config *c;
	char path[PATH_LEN];

	CU_ASSERT_EQUAL(mkdir(in_scratch("d", path), 0700), 0);
	write_text("main.conf",
	    "include = [ \"d/*.conf\", \"one.conf\" ];\n"
	    "endpoints = ( " ENDPOINT("main", "1") " );");
	write_text("d/b.conf", "endpoints = ( " ENDPOINT("b", "3") " );");
	write_text("d/a.conf", "endpoints = ( " ENDPOINT("a", "2") " );");
	write_text("d/c.other", "nonsense");
	write_text("one.conf", "endpoints = ( " ENDPOINT("one", "4") " );");
	c = load_good("main.conf");
	CU_ASSERT_EQUAL_FATAL(c->nendpoints, 4);
	CU_ASSERT_STRING_EQUAL(c->endpoints[0]->name, "main");
	CU_ASSERT_STRING_EQUAL(c->endpoints[1]->name, "a");
	CU_ASSERT_STRING_EQUAL(c->endpoints[2]->name, "b");
	CU_ASSERT_STRING_EQUAL(c->endpoints[3]->name, "one");
	CU_ASSERT_STRING_EQUAL(c->endpoints[1]->file,
	    in_scratch("d/a.conf", path));
	CU_ASSERT_EQUAL(c->endpoints[3]->index, 3);
	CU_ASSERT_PTR_EQUAL(config_endpoint(c, "b"), c->endpoints[2]);
	CU_ASSERT_PTR_NULL(config_endpoint(c, "nobody"));
	config_release(c);
}

static void
what_is_for_all_stands_in_the_main_file(void)
{
	write_text("main.conf", "include = \"inc.conf\";");
	write_text("inc.conf",
	    "endpoints = ( " ENDPOINT("a",
		"2") " );\n"
		     "threads = 1;\n"
		     "policy = { min_mode = \"none\"; };\n"
		     "include = \"more.conf\";\n"
		     "max_sessions = 4;\n"
		     "thread = 4;\n");
	load_bad("main.conf", "inc.conf", 2, "may stand in the main file only");
	load_bad("main.conf", "inc.conf", 3, "may stand in the main file only");
	load_bad("main.conf", "inc.conf", 4, "may stand in the main file only");
	load_bad("main.conf", "inc.conf", 5, "may stand in the main file only");
	load_bad("main.conf", "inc.conf", 6, "is unknown");
}

static void
names_and_addresses_are_unique_across_files(void)
{
	write_text("main.conf",
	    "include = \"inc.conf\";\n\n"
	    "endpoints = ( " ENDPOINT("a", "2") " );\n");
	write_text("inc.conf", "\nendpoints = ( " ENDPOINT("a", "2") " );\n");
	load_bad("main.conf", "inc.conf", 2, "\"a\" is used twice; the first");
	load_bad("main.conf", "inc.conf", 2,
	    "\"127.0.0.1:2\" is used twice; the first");
	load_bad("main.conf", "inc.conf", 2, "main.conf:3");
}

static void
a_policy_binds_included_files(void)
{
	write_text("main.conf",
	    "include = \"inc.conf\";\n"
	    "policy = {\n  min_mode = \"verify-full\"; };\n");
	write_text("inc.conf", "\nendpoints = ( " ENDPOINT("a", "2") " );\n");
	load_bad("main.conf", "inc.conf", 2, "main.conf:3");
}

static void
missing_and_repeated_includes_are_errors(void)
{
	char path[PATH_LEN];

	write_text("one.conf", "endpoints = ( " ENDPOINT("one", "4") " );");
	write_text("main.conf", "include = [ \"one.conf\",\n\"none.conf\" ];");
	load_bad("main.conf", "main.conf", 2, "there is no file");
	write_text("main.conf", "include = [ \"one.conf\",\n\"o*.conf\" ];");
	load_bad("main.conf", "main.conf", 2, "is included twice");
	write_text("main.conf", "include = [ \"one.conf\", \"main.conf\" ];");
	load_bad("main.conf", "main.conf", 1, "is included twice");
	write_text("main.conf", "include = \"nofolder/*.conf\";");
	load_bad("main.conf", "main.conf", 1, "cannot be read");
	CU_ASSERT_TRUE(
	    mkdir(in_scratch("folder", path), 0700) == 0 || errno == EEXIST);
	write_text("main.conf", "include = \"folder\";");
	load_bad("main.conf", "main.conf", 1, "is a folder");
	write_text("main.conf",
	    "include = [ \"nothing*.conf\" ]; endpoints = "
	    "( " ENDPOINT("a", "1") " );");
	config_release(load_good("main.conf"));
}

static void
files_that_are_no_text_are_refused(void)
{
	static const char nul[] = "threads = 1;\n\n\0endpoints = ();";
	const size_t huge = (size_t)16 * 1024 * 1024 + 1;
	char *bytes = malloc(huge);

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	write_bytes("main.conf", nul, sizeof(nul));
	load_bad("main.conf", "main.conf", 3, "holds a NUL byte");
	memset(bytes, ' ', huge);
	write_bytes("main.conf", bytes, huge);
	load_bad("main.conf", "main.conf", 0, "is larger than 16 MiB");
	free(bytes);
	load_bad("nowhere.conf", "nowhere.conf", 0, "cannot be opened");
	load_bad(".", ".", 0, "is a folder");
}

static void
line_ends_of_windows_are_taken(void)
{
	struct config *c;

	write_text("main.conf",
	    "threads = 3;\r\n# x\r\nendpoints = ( " ENDPOINT("a",
		"1") " );\r\n");
	c = load_good("main.conf");
	CU_ASSERT_EQUAL(c->threads, 3);
	CU_ASSERT_EQUAL(c->endpoints[0]->line, 3);
	config_release(c);
}

static void
certificates_are_relative_to_their_file(void)
{
	struct config *c;
	char path[PATH_LEN];

	(void)unlink(in_scratch("certs", path));
	CU_ASSERT_EQUAL(symlink(CERTS_DIR, path), 0);
	CU_ASSERT_TRUE(
	    mkdir(in_scratch("d", path), 0700) == 0 || errno == EEXIST);
	write_text("main.conf",
	    "include = \"d/x.conf\"; "
	    "log = { to = \"a/dbtls.log\"; };");
	write_text("d/x.conf",
	    "endpoints = ( { name = \"a\"; "
	    "engine = \"postgres\"; listen = \"127.0.0.1:1\"; "
	    "server = \"db.test\"; ca = \"../certs/ca.crt\"; "
	    "client_tls = { mode = \"allow\"; "
	    "cert = \"../certs/good.crt\"; key = \"../certs/good.key\"; }; "
	    "} );");
	c = load_good("main.conf");
	CU_ASSERT_EQUAL(sk_X509_num(c->endpoints[0]->trust->anchors->certs), 1);
	CU_ASSERT_PTR_NOT_NULL(c->endpoints[0]->client_keypair);
	CU_ASSERT_STRING_EQUAL(c->log.to, in_scratch("a/dbtls.log", path));
	config_release(c);
}

static void
keys_that_others_may_read_are_refused(void)
{
	char path[PATH_LEN];

	write_text("main.conf",
	    "endpoints = ( { name = \"a\"; "
	    "engine = \"postgres\"; listen = \"127.0.0.1:1\"; "
	    "server = \"db.test\"; ssl_mode = \"require\"; "
	    "client_tls = { mode = \"allow\";\n"
	    "cert = \"certs/good.crt\"; key = \"copy.key\"; }; } );");
	write_text("copy.key", "x");
	CU_ASSERT_EQUAL(chmod(in_scratch("copy.key", path), 0644), 0);
	load_bad("main.conf", "main.conf", 2, "copy.key");
}

/* Nothing here is at its default. */
static const char everything[] =
    "threads = 7; max_sessions = 9; log = { level = \"warn\"; "
    "format = \"json\"; to = \"syslog\"; identity = false; }; "
    "dns = { min_ttl = 2; max_ttl = 3.5; negative_ttl = 4; "
    "timeout = 5; attempts = 6; };\n"
    "endpoints = ( { name = \"a\"; engine = \"aurora-postgresql\"; "
    "listen = [ \"127.0.0.1:1\", \"unix:/tmp/x\" ]; "
    "server = ( \"DB.test.:77\", { address = \"[::1]\"; "
    "server_name = [ \"b.test\", \"10.0.0.9\" ]; pin = \"sha256//"
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI=\"; } ); "
    "server_order = \"random\"; retry_after = 1.5; "
    "ssl_mode = \"require\"; tls = { min = \"1.1\"; max = \"1.2\"; "
    "ciphers = \"AES128-SHA\"; ciphersuites = "
    "\"TLS_AES_128_GCM_SHA256\"; groups = \"P-256\"; seclevel = 0; "
    "direct = true; resume = false; ktls = \"auto\"; }; "
    "allow = \"10.0.0.0/8\"; deny = [ \"::1\" ]; "
    "timeouts = { connect = 1; first_byte = 2; handshake = 3; "
    "idle = 4; drain = 5.5; }; keepalive = { idle = 6; "
    "interval = 7; count = 8; }; user_timeout = 9; "
    "accept = \"reuseport\"; labels = { b = \"c\"; d = \"e f\"; }; "
    "max_sessions = 10; max_sessions_per_client = 11; "
    "mode_policy = \"dms\"; cleartext_server = true; "
    "busy_poll_us = 12; source = \"::2\"; } );";

static struct config *
load_words(const char *text)
{
	struct problems p = { 0 };
	struct config *c = config_load_text(text, "words", &p);

	if (c == NULL)
		problems_print(&p, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	problems_fini(&p);
	return c;
}

static void
settings_reach_the_configuration(void)
{
	struct config *c = load_words(everything);

	CU_ASSERT_EQUAL(c->generation, 1);
	CU_ASSERT_STRING_EQUAL(c->file, "words");
	CU_ASSERT_EQUAL(c->threads, 7);
	CU_ASSERT_EQUAL(c->max_sessions, 9);
	CU_ASSERT_EQUAL(c->log.level, LEVEL_WARN);
	CU_ASSERT_EQUAL(c->log.format, LOG_JSON);
	CU_ASSERT_STRING_EQUAL(c->log.to, "syslog");
	CU_ASSERT_FALSE(c->log.identity);
	CU_ASSERT_DOUBLE_EQUAL(c->dns.min_ttl, 2, 0);
	CU_ASSERT_DOUBLE_EQUAL(c->dns.max_ttl, 3.5, 0);
	CU_ASSERT_DOUBLE_EQUAL(c->dns.negative_ttl, 4, 0);
	CU_ASSERT_DOUBLE_EQUAL(c->dns.timeout, 5, 0);
	CU_ASSERT_EQUAL(c->dns.attempts, 6);
	config_release(c);
}

static void
settings_reach_the_servers(void)
{
	struct config *c = load_words(everything);
	const struct endpoint *e = c->endpoints[0];
	const struct server *s = e->servers;
	char at[ADDRESS_TEXT_MAX];

	CU_ASSERT_EQUAL_FATAL(e->nservers, 2);
	CU_ASSERT_STRING_EQUAL(s[0].text, "DB.test.:77");
	CU_ASSERT_STRING_EQUAL(s[0].host, "DB.test.");
	CU_ASSERT_EQUAL(s[0].port, 77);
	CU_ASSERT_EQUAL(s[0].fixed.len, 0);
	CU_ASSERT_STRING_EQUAL(s[0].sni, "DB.test");
	CU_ASSERT_EQUAL_FATAL(s[0].target.nnames, 1);
	CU_ASSERT_STRING_EQUAL(s[0].target.names[0], "DB.test");
	CU_ASSERT_EQUAL(s[0].target.npins, 0);
	CU_ASSERT_STRING_EQUAL(s[1].host, "::1");
	CU_ASSERT_EQUAL(s[1].port, 5432);
	CU_ASSERT_STRING_EQUAL(address_format(&s[1].fixed, at, sizeof(at)),
	    "[::1]:5432");
	CU_ASSERT_EQUAL_FATAL(s[1].target.nnames, 2);
	CU_ASSERT_STRING_EQUAL(s[1].target.names[1], "10.0.0.9");
	CU_ASSERT_STRING_EQUAL(s[1].sni, "b.test");
	CU_ASSERT_EQUAL_FATAL(s[1].target.npins, 1);
	CU_ASSERT_EQUAL(s[1].target.pins[0][0], 1);
	CU_ASSERT_EQUAL(s[1].target.pins[0][31], 2);
	CU_ASSERT_EQUAL(e->server_order, SERVER_ORDER_RANDOM);
	CU_ASSERT_DOUBLE_EQUAL(e->retry_after, 1.5, 0);
	CU_ASSERT_EQUAL(e->source.sa.ss_family, AF_INET6);
	config_release(c);
}

static void
settings_reach_tls(void)
{
	struct config *c = load_words(everything);
	const struct endpoint *e = c->endpoints[0];

	CU_ASSERT_EQUAL(e->mode, SSL_MODE_REQUIRE);
	CU_ASSERT_EQUAL(e->tls.min, 0x0302);
	CU_ASSERT_EQUAL(e->tls.max, 0x0303);
	CU_ASSERT_STRING_EQUAL(e->tls.ciphers, "AES128-SHA");
	CU_ASSERT_STRING_EQUAL(e->tls.ciphersuites, "TLS_AES_128_GCM_SHA256");
	CU_ASSERT_STRING_EQUAL(e->tls.groups, "P-256");
	CU_ASSERT_EQUAL(e->tls.seclevel, 0);
	CU_ASSERT_TRUE(e->tls.direct);
	CU_ASSERT_EQUAL(e->trust->seclevel, 0);
	CU_ASSERT_PTR_NULL(e->trust->anchors);
	CU_ASSERT_TRUE(e->mode_policy_dms);
	CU_ASSERT_TRUE(e->cleartext_server);
	config_release(c);
}

static void
settings_reach_the_endpoint(void)
{
	struct config *c = load_words(everything);
	const struct endpoint *e = c->endpoints[0];
	char at[ADDRESS_TEXT_MAX];

	CU_ASSERT_STRING_EQUAL(e->name, "a");
	CU_ASSERT_STRING_EQUAL(e->ops->name, "postgres");
	CU_ASSERT_EQUAL_FATAL(e->nlistens, 2);
	CU_ASSERT_STRING_EQUAL(address_format(&e->listens[1], at, sizeof(at)),
	    "unix:/tmp/x");
	CU_ASSERT_EQUAL(e->allow.n, 1);
	CU_ASSERT_EQUAL(e->deny.n, 1);
	CU_ASSERT_DOUBLE_EQUAL(e->timeouts.connect, 1, 0);
	CU_ASSERT_DOUBLE_EQUAL(e->timeouts.first_byte, 2, 0);
	CU_ASSERT_DOUBLE_EQUAL(e->timeouts.handshake, 3, 0);
	CU_ASSERT_DOUBLE_EQUAL(e->timeouts.idle, 4, 0);
	CU_ASSERT_DOUBLE_EQUAL(e->timeouts.drain, 5.5, 0);
	CU_ASSERT_EQUAL(e->keepalive.idle, 6);
	CU_ASSERT_EQUAL(e->keepalive.interval, 7);
	CU_ASSERT_EQUAL(e->keepalive.count, 8);
	CU_ASSERT_DOUBLE_EQUAL(e->user_timeout, 9, 0);
	CU_ASSERT_EQUAL(e->accept, ACCEPT_REUSEPORT);
	CU_ASSERT_EQUAL_FATAL(e->nlabels, 2);
	CU_ASSERT_STRING_EQUAL(e->labels[1].name, "d");
	CU_ASSERT_STRING_EQUAL(e->labels[1].value, "e f");
	CU_ASSERT_EQUAL(e->max_sessions, 10);
	CU_ASSERT_EQUAL(e->busy_poll_us, 12);
	CU_ASSERT_EQUAL(e->max_sessions_per_client, 11);
	config_release(c);
}

static void
count_changed(const char *name, const char *value, void *arg)
{
	size_t *n = arg;

	(void)name;
	(void)value;
	++*n;
}

static void
defaults_are_those_of_the_table(void)
{
	static const char text[] = "endpoints = ( { name = \"a\"; "
				   "engine = \"postgres\"; "
				   "listen = \"127.0.0.1:1\"; "
				   "server = \"db.test\"; "
				   "ca = \"" CERTS_DIR "/ca.crt\"; } );";
	struct config *c = load_words(text);
	const struct endpoint *e = c->endpoints[0];
	size_t changed = 0;

	CU_ASSERT_EQUAL(e->mode, SSL_MODE_VERIFY_FULL);
	CU_ASSERT_EQUAL(e->tls.min, 0x0303);
	CU_ASSERT_EQUAL(e->tls.max, 0x0304);
	CU_ASSERT_EQUAL(e->tls.seclevel, 2);
	CU_ASSERT_EQUAL(e->client_tls.min, 0x0303);
	CU_ASSERT_EQUAL(e->client_tls.seclevel, 2);
	CU_ASSERT_EQUAL(e->client_rule, CLIENT_TLS_OFF);
	CU_ASSERT_EQUAL(e->trust->mode, SSL_MODE_VERIFY_FULL);
	CU_ASSERT_TRUE(e->trust->allow_cn);
	CU_ASSERT_FALSE(e->trust->crl_expired_warns);
	CU_ASSERT_FALSE(e->trust->client);
	CU_ASSERT_EQUAL(e->trust->profile, X509_PROFILE_DEFAULT);
	CU_ASSERT_DOUBLE_EQUAL(e->timeouts.first_byte, 60, 0);
	CU_ASSERT_EQUAL(e->keepalive.count, 6);
	CU_ASSERT_EQUAL(c->log.level, LEVEL_INFO);
	CU_ASSERT_STRING_EQUAL(c->log.to, "stderr");
	CU_ASSERT_TRUE(c->log.identity);
	CU_ASSERT_EQUAL(c->threads, config_cpus());
	CU_ASSERT_TRUE(c->threads >= 1);
	endpoint_each_changed(e, count_changed, &changed);
	CU_ASSERT_EQUAL(changed, 0);
	config_release(c);

	c = load_words(everything);
	endpoint_each_changed(c->endpoints[0], count_changed, &changed);
	CU_ASSERT_EQUAL(changed, 20);
	config_release(c);
}

/* One set of anchors for all who name the same files, however they do. */
static void
equal_anchors_are_shared(void)
{
	static const char text[] =
	    "endpoints = ( { name = \"a\"; engine = \"postgres\"; "
	    "listen = \"127.0.0.1:1\"; server = \"db.test\"; "
	    "ca = \"" CERTS_DIR "/ca.crt\"; }, "
	    "{ name = \"b\"; engine = \"postgres\"; "
	    "listen = \"127.0.0.1:2\"; server = \"db.test\"; "
	    "ca = [ \"" CERTS_DIR "/ca.crt\" ]; }, "
	    "{ name = \"c\"; engine = \"postgres\"; "
	    "listen = \"127.0.0.1:3\"; server = \"db.test\"; "
	    "ca = \"" CERTS_DIR "/ca2.crt\"; }, "
	    "{ name = \"d\"; engine = \"postgres\"; "
	    "listen = \"127.0.0.1:4\"; server = \"db.test\"; "
	    "ca = \"" CERTS_DIR "/ca.crt\"; "
	    "crl = \"" CERTS_DIR "/crl.pem\"; } );";
	struct config *c = load_words(text);
	struct anchors *a = c->endpoints[0]->trust->anchors;

	CU_ASSERT_PTR_EQUAL(c->endpoints[1]->trust->anchors, a);
	CU_ASSERT_PTR_NOT_EQUAL(c->endpoints[2]->trust->anchors, a);
	CU_ASSERT_PTR_NOT_EQUAL(c->endpoints[3]->trust->anchors, a);
	config_release(c);
}

static void
the_last_release_frees(void)
{
	struct config *c = load_words(everything);

	CU_ASSERT_PTR_EQUAL(config_retain(c), c);
	config_release(c);
	CU_ASSERT_STRING_EQUAL(c->endpoints[0]->name, "a");
	config_release(c);
	config_release(NULL);
}

static void
the_hash_is_that_of_the_file(void)
{
	static const char text[] = "endpoints = ( " ENDPOINT("a", "1") " );\n";
	uint8_t digest[EVP_MAX_MD_SIZE];
	char hex[3];
	struct config *c;
	unsigned n, i;

	write_text("main.conf", text);
	c = load_good("main.conf");
	CU_ASSERT_EQUAL(
	    EVP_Digest(text, sizeof(text) - 1, digest, &n, EVP_sha256(), NULL),
	    1);
	CU_ASSERT_EQUAL(strlen(c->sha256), (size_t)n * 2);
	for (i = 0; i < n; i++) {
		(void)snprintf(hex, sizeof(hex), "%02x", digest[i]);
		CU_ASSERT_EQUAL(memcmp(c->sha256 + (size_t)i * 2, hex, 2), 0);
	}
	config_release(c);
}

/*
 * The examples.
 */

static char *
read_example(const char *name)
{
	char path[PATH_LEN], *text = calloc(1, 65536);
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", EXAMPLES_DIR, name);
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_TRUE(fread(text, 1, 65535, f) > 0);
	(void)fclose(f);
	return text;
}

/* With the certificates of the tests in place of those of the reader. */
static void
take_our_certificates(char *text)
{
	char *at, *end, with[PATH_LEN];
	size_t len;

	while ((at = strstr(text, "ca = \"/etc")) != NULL) {
		end = strchr(at, ';');
		len = (size_t)snprintf(with, sizeof(with),
		    "ca = \"certs/ca.crt\"");
		memmove(at + len, end, strlen(end) + 1);
		memcpy(at, with, len);
	}
}

static void
examples_are_good(void)
{
	static const char *const names[] = { "dbtls.conf", "postgres.conf",
		"redshift.conf", "mysql.conf", "mariadb.conf", "aurora.conf",
		"sqlserver.conf", "oracle.conf", "sybase.conf", "mongodb.conf",
		"tls.conf", "bridge.conf" };
	struct problems p;
	struct config *c;
	size_t i;
	char *text;

	for (i = 0; i < COUNT_OF(names); i++) {
		text = read_example(names[i]);
		take_our_certificates(text);
		write_text("example.conf", text);
		c = load("example.conf", &p);
		if (c == NULL)
			problems_print(&p, stderr);
		CU_ASSERT_PTR_NOT_NULL(c);
		config_release(c);
		problems_fini(&p);
		free(text);
	}
}

/* "#name = value;" is a setting, "# name" is prose. */
static void
uncomment(char *text)
{
	char *line, *at;

	for (line = text; line != NULL && *line != '\0';) {
		at = line + strspn(line, "\t ");
		if (at[0] == '#' && at[1] != ' ' && at[1] != '\n')
			*at = ' ';
		line = strchr(line, '\n');
		line = line == NULL ? NULL : line + 1;
	}
}

static void
value_words(const config_setting_t *s, char *words, size_t size)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
		(void)snprintf(words, size, "%d", config_setting_get_int(s));
		return;
	case CONFIG_TYPE_BOOL:
		(void)snprintf(words, size, "%s",
		    config_setting_get_bool(s) ? "true" : "false");
		return;
	case CONFIG_TYPE_STRING:
		(void)snprintf(words, size, "%s", config_setting_get_string(s));
		return;
	default:
		words[0] = '\0';
		return;
	}
}

/* One line of config_print_options(): is it in the example, as it is? */
static void
find_option(const config_t *example, char *line)
{
	char *path = strtok_r(line, "\t", &line), words[256];
	const char *type = strtok_r(NULL, "\t", &line);
	const char *usual = strtok_r(NULL, "\t", &line);
	const char *prefix = "endpoints[].";
	const config_setting_t *s, *endpoint;

	CU_ASSERT_PTR_NOT_NULL_FATAL(usual);
	CU_ASSERT_PTR_NOT_NULL_FATAL(type);
	if (strncmp(path, "endpoints[].server[]", 20) == 0)
		return; /* is told of in words */
	endpoint =
	    config_setting_get_elem(config_lookup(example, "endpoints"), 0);
	if (strncmp(path, prefix, strlen(prefix)) == 0)
		s = config_setting_lookup(
		    (config_setting_t *)(uintptr_t)endpoint,
		    path + strlen(prefix));
	else
		s = config_lookup(example, path);
	if (s == NULL)
		(void)fprintf(stderr, "\nmissing: %s\n", path);
	CU_ASSERT_PTR_NOT_NULL(s);
	if (s == NULL || usual[0] == '(')
		return;
	value_words(s, words, sizeof(words));
	if (strcmp(words, usual) != 0)
		(void)fprintf(stderr,
		    "\n%s: \"%s\", and the default is "
		    "\"%s\"\n",
		    path, words, usual);
	CU_ASSERT_STRING_EQUAL(words, usual);
}

static void
the_example_has_every_setting(void)
{
	char *text = read_example("dbtls.conf"), *options = NULL, *line, *rest;
	size_t len, n = 0;
	FILE *to = open_memstream(&options, &len);
	config_t example;

	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	config_print_options(to);
	(void)fclose(to);
	uncomment(text);
	config_init(&example);
	CU_ASSERT_EQUAL_FATAL(config_read_string(&example, text), CONFIG_TRUE);
	for (line = strtok_r(options, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		find_option(&example, line);
		n++;
	}
	CU_ASSERT_TRUE(n > 70);
	config_destroy(&example);
	free(options);
	free(text);
}

/* And the other way round: all that it has is a setting. */
static void
the_example_has_nothing_else(void)
{
	char *text = read_example("dbtls.conf");
	struct problems p = { 0 };
	size_t i;

	uncomment(text);
	config_release(config_load_text(text, "dbtls.conf", &p));
	for (i = 0; i < p.n; i++) {
		CU_ASSERT_PTR_NULL(strstr(p.list[i].text, "is unknown"));
		CU_ASSERT_PTR_NULL(strstr(p.list[i].text, "must be"));
	}
	problems_fini(&p);
	free(text);
}

/*
 * Many endpoints with a large bundle.
 */

#define MANY_ENDPOINTS 200
#define MANY_CERTS     150
#define MANY_SECONDS   2.0
#define MANY_KIB       (256L * 1024)

/* A root with a key and a name of its own. */
static X509 *
make_root(int serial)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	char cn[32];

	(void)snprintf(cn, sizeof(cn), "root %d", serial);
	CU_ASSERT_EQUAL(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
			    (unsigned char *)cn, -1, -1, 0),
	    1);
	(void)X509_set_version(cert, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	(void)X509_set_issuer_name(cert, name);
	(void)X509_set_pubkey(cert, key);
	CU_ASSERT_TRUE(X509_sign(cert, key, EVP_sha256()) > 0);
	EVP_PKEY_free(key);
	return cert;
}

static void
write_bundle(void)
{
	char path[PATH_LEN];
	FILE *f = fopen(in_scratch("bundle.pem", path), "w");
	X509 *cert;
	int i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	for (i = 1; i <= MANY_CERTS; i++) {
		cert = make_root(i);
		CU_ASSERT_EQUAL(PEM_write_X509(f, cert), 1);
		X509_free(cert);
	}
	(void)fclose(f);
}

static void
write_many(void)
{
	char path[PATH_LEN];
	FILE *f = fopen(in_scratch("many.conf", path), "w");
	int i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	(void)fputs("endpoints = (\n", f);
	for (i = 0; i < MANY_ENDPOINTS; i++)
		(void)fprintf(f,
		    "%s{ name = \"e%d\"; engine = \"postgres\"; "
		    "listen = \"127.0.0.1:%d\"; server = \"db%d.test\"; "
		    "ca = \"bundle.pem\"; }\n",
		    i == 0 ? "" : ",", i, i + 1, i);
	(void)fputs(");\n", f);
	(void)fclose(f);
}

static void
many_endpoints_load_fast_and_small(void)
{
	struct timespec from, to;
	struct rusage before, after;
	struct config *c;
	double seconds;

	write_bundle();
	write_many();
	(void)getrusage(RUSAGE_SELF, &before);
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	c = load_good("many.conf");
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	(void)getrusage(RUSAGE_SELF, &after);
	CU_ASSERT_EQUAL(c->nendpoints, MANY_ENDPOINTS);
	CU_ASSERT_EQUAL(
	    sk_X509_num(
		c->endpoints[MANY_ENDPOINTS - 1]->trust->anchors->certs),
	    MANY_CERTS);
	seconds = (double)(to.tv_sec - from.tv_sec) +
	    (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	(void)printf("(%d endpoints, %d anchors: %.3f s, %ld KiB) ",
	    MANY_ENDPOINTS, MANY_CERTS, seconds,
	    after.ru_maxrss - before.ru_maxrss);
	CU_ASSERT_TRUE(seconds < MANY_SECONDS);
	CU_ASSERT_TRUE(after.ru_maxrss < MANY_KIB);
	config_release(c);
}

static CU_TestInfo tests[] = {
	{ "includes_are_relative_to_their_file",
	    includes_are_relative_to_their_file },
	{ "what_is_for_all_stands_in_the_main_file",
	    what_is_for_all_stands_in_the_main_file },
	{ "names_and_addresses_are_unique_across_files",
	    names_and_addresses_are_unique_across_files },
	{ "a_policy_binds_included_files", a_policy_binds_included_files },
	{ "missing_and_repeated_includes_are_errors",
	    missing_and_repeated_includes_are_errors },
	{ "files_that_are_no_text_are_refused",
	    files_that_are_no_text_are_refused },
	{ "line_ends_of_windows_are_taken", line_ends_of_windows_are_taken },
	{ "certificates_are_relative_to_their_file",
	    certificates_are_relative_to_their_file },
	{ "keys_that_others_may_read_are_refused",
	    keys_that_others_may_read_are_refused },
	{ "settings_reach_the_configuration",
	    settings_reach_the_configuration },
	{ "settings_reach_the_servers", settings_reach_the_servers },
	{ "settings_reach_tls", settings_reach_tls },
	{ "settings_reach_the_endpoint", settings_reach_the_endpoint },
	{ "defaults_are_those_of_the_table", defaults_are_those_of_the_table },
	{ "equal_anchors_are_shared", equal_anchors_are_shared },
	{ "the_last_release_frees", the_last_release_frees },
	{ "the_hash_is_that_of_the_file", the_hash_is_that_of_the_file },
	{ "examples_are_good", examples_are_good },
	{ "the_example_has_every_setting", the_example_has_every_setting },
	{ "the_example_has_nothing_else", the_example_has_nothing_else },
	{ "many_endpoints_load_fast_and_small",
	    many_endpoints_load_fast_and_small },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "config_files", .pTests = tests },
	CU_SUITE_INFO_NULL,
};

static void
scratch_remove(void)
{
	static const char *const names[] = { "d/a.conf", "d/b.conf",
		"d/c.other", "d/x.conf", "main.conf", "one.conf", "inc.conf",
		"example.conf", "many.conf", "bundle.pem", "copy.key",
		"certs" };
	char path[PATH_LEN];
	size_t i;

	for (i = 0; i < COUNT_OF(names); i++)
		(void)unlink(in_scratch(names[i], path));
	(void)rmdir(in_scratch("d", path));
	(void)rmdir(in_scratch("folder", path));
	if (rmdir(scratch) == -1)
		(void)fprintf(stderr, "something is left in %s\n", scratch);
}

int
main(void)
{
	int status;

	if (mkdtemp(scratch) == NULL)
		return 1;
	status = unit_run(suites);
	scratch_remove();
	return status;
}
