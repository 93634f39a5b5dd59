/*
 * What is said of an endpoint because of its engine: of MySQL, MariaDB and the
 * X protocol where their two legs differ, and of what DMS itself could do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "conf/config.h"
#include "conf/config_dms.h"
#include "tests/unit/unit.h"

#define TEXT_LEN 2048

/* Short for what rows are made of.  No file has a path: all are in scratch. */
#define NONE    "ssl_mode = \"none\"; "
#define REQUIRE "ssl_mode = \"require\"; "
#define FAR     "server = \"db.test\"; "
#define NEAR    "server = \"127.0.0.1\"; "
#define SOCKET  "server = \"unix:/run/db\"; "
#define TWO     "server = ( \"a.test\", \"b.test\" ); "
#define BRIDGED                                  \
	"transparent = \"redirect\"; allow = "   \
	"\"10.0.0.0/8\"; client_tls = { mode = " \
	"\"off\"; }; server = ( "                \
	"\"10.0.0.1\", \"10.0.0.2\", \"10.0.1.0/24\" ); "
#define CLIENT(m) "client_tls = { mode = \"" m "\"; cert = \"cert.pem\"; }; "
#define MYSQL(s)  "mysql = { " s "; }; "
#define MEANT     "cleartext_server = true; "

static char scratch[] = "/tmp/dbtls-engines-XXXXXX";

struct row {
	const char *engine;
	const char *settings;
	const char *path; /* NULL: nothing is said */
	const char *says;
};

static const struct row rows[] = {
	/* Several servers. */
	{ "mysql", REQUIRE TWO, "server", "lists 2 servers, and a position" },
	{ "aurora", REQUIRE TWO, "server", "lists 2 servers" },
	{ "mariadb", REQUIRE TWO, "server", "lists 2 servers" },
	{ "mysqlx", REQUIRE TWO, NULL, NULL },
	{ "postgres", REQUIRE TWO, NULL, NULL },
	{ "mysql", REQUIRE BRIDGED, NULL, NULL },
	{ "mariadb", REQUIRE BRIDGED, NULL, NULL },
	{ "mysql", REQUIRE FAR, NULL, NULL },

	/* A server in clear, and clients that are not. */
	{ "mysql", NONE NEAR CLIENT("allow"), "mysql.server_public_key",
	    "is not set, and \"127.0.0.1\" is reached without TLS" },
	{ "mysql", NONE NEAR CLIENT("require"), "mysql.server_public_key",
	    "is not set" },
	{ "mysql", NONE NEAR CLIENT("allow") MYSQL("probe = 5"),
	    "mysql.server_public_key", "is not set" },
	{ "mysql",
	    NONE NEAR CLIENT("allow") MYSQL("get_server_public_key = false"),
	    "mysql.server_public_key", "is not set" },
	{ "mysql", NONE NEAR, NULL, NULL },
	{ "mysql", NONE FAR, NULL, NULL },
	{ "mysql", NONE SOCKET CLIENT("allow"), NULL, NULL },
	{ "mysql", REQUIRE FAR CLIENT("allow"), NULL, NULL },
	{ "mariadb", NONE NEAR CLIENT("allow"), NULL, NULL },
	{ "postgres", NONE NEAR CLIENT("allow"), NULL, NULL },
	{ "mysql",
	    NONE NEAR CLIENT("allow") MYSQL("server_public_key = \"pub.pem\""),
	    NULL, NULL },
	{ "mysql",
	    NONE NEAR CLIENT("allow") MYSQL("get_server_public_key = true"),
	    NULL, NULL },
	{ "mysql",
	    NONE FAR MEANT CLIENT("allow")
		MYSQL("get_server_public_key = true"),
	    "mysql.get_server_public_key",
	    "whatever key comes from \"db.test\" in clear" },

	/* What could never matter. */
	{ "mysql", REQUIRE FAR MYSQL("server_public_key = \"pub.pem\""),
	    "mysql.server_public_key", "has no effect" },
	{ "mysql", NONE FAR MYSQL("server_public_key = \"pub.pem\""),
	    "mysql.server_public_key", "has no effect" },
	{ "mariadb",
	    REQUIRE FAR CLIENT("allow") MYSQL("get_server_public_key = true"),
	    "mysql.get_server_public_key", "has no effect" },
	{ "mysql",
	    NONE NEAR CLIENT("allow") MYSQL("server_public_key = \"pub.pem\"; "
					    "get_server_public_key = true"),
	    "mysql.get_server_public_key",
	    "has no effect beside server_public_key" },
	{ "mysql", REQUIRE FAR CLIENT("require") MYSQL("rsa_key = \"key.pem\""),
	    "mysql.rsa_key", "has no effect" },
	{ "mariadb",
	    REQUIRE FAR CLIENT("require") MYSQL("rsa_key = \"key.pem\""),
	    "mysql.rsa_key", "has no effect" },
	{ "mysql", NONE NEAR MYSQL("rsa_key = \"key.pem\""), "mysql.rsa_key",
	    "has no effect" },
	{ "mysql", NONE SOCKET MYSQL("rsa_key = \"key.pem\""), NULL, NULL },
	{ "mysql", REQUIRE FAR MYSQL("rsa_key = \"key.pem\""), NULL, NULL },
	{ "mysql", REQUIRE FAR CLIENT("allow") MYSQL("rsa_key = \"key.pem\""),
	    NULL, NULL },
	{ "mariadb", REQUIRE FAR MYSQL("certificate_proof = \"proof\""),
	    "mysql.certificate_proof", "has no effect without client_tls" },
	{ "mariadb",
	    REQUIRE FAR CLIENT("allow") MYSQL("certificate_proof = \"proof\""),
	    NULL, NULL },

	/* X protocol. */
	{ "mysqlx", NONE NEAR CLIENT("allow"), "ssl_mode",
	    "a client with TLS logs in by PLAIN" },
	{ "mysqlx", NONE SOCKET CLIENT("allow"), NULL, NULL },
	{ "mysqlx", NONE NEAR, NULL, NULL },
	{ "mysqlx", REQUIRE FAR CLIENT("require"), NULL, NULL },

	/* DMS. */
	{ "mysql", NONE FAR "mode_policy = \"dms\"; ", NULL, NULL },
	{ "mysql", "ca = \"crt\"; " FAR "mode_policy = \"dms\"; ", NULL, NULL },
};

static const struct row refused[] = {
	{ "mysql", REQUIRE FAR "mode_policy = \"dms\"; ", "ssl_mode",
	    "\"require\" is no mode that DMS has for engine mysql" },
	{ "aurora", REQUIRE FAR "mode_policy = \"dms\"; ", "ssl_mode",
	    "no mode that DMS has" },
	{ "mariadb", REQUIRE FAR "mode_policy = \"dms\"; ", "ssl_mode",
	    "no mode that DMS has for engine mariadb" },
	{ "mysqlx", REQUIRE FAR "mode_policy = \"dms\"; ", "mode_policy",
	    "DMS has nothing of the kind of engine mysqlx" },
	{ "mysql", REQUIRE FAR "tls = { direct = true; }; ", "tls.direct",
	    "engine mysql has no direct TLS" },
	{ "mysqlx", REQUIRE FAR "tls = { direct = true; }; ", "tls.direct",
	    "engine mysqlx has no direct TLS" },
	{ "mysql", REQUIRE SOCKET, "server.address", "is a unix socket" },
	{ "mysqlx", REQUIRE FAR "mysql = { probe = 1; }; ", "mysql",
	    "is a group of engine mysql, and this endpoint's is mysqlx" },
	{ "mariadb", REQUIRE FAR "mariadb = { probe = 1; }; ", "mariadb",
	    "the group of this engine is called \"mysql\"" },
	{ "mysql", REQUIRE FAR MYSQL("probe = 60001"), "mysql.probe",
	    "60001 is out of range; it takes a whole number from 0 to 60000" },
	{ "mysql", REQUIRE FAR CLIENT("allow") MYSQL("rsa_key = \"cert.pem\""),
	    "mysql.rsa_key", "is the key of a certificate too" },
	{ "mariadb",
	    REQUIRE FAR CLIENT("allow") MYSQL("certificate_proof = \"bad\""),
	    "mysql.certificate_proof", "/bad:2: " },
};

static int
sh(const char *command)
{
	char line[TEXT_LEN];

	(void)snprintf(line, sizeof(line),
	    "cd %s && umask 077 && { %s; } 2>/dev/null", scratch, command);
	return system(line);
}

static struct config *
load(const struct row *row, struct problems *p)
{
	char path[TEXT_LEN];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/main.conf", scratch);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	(void)fprintf(f,
	    "endpoints = ( { name = \"a\"; engine = \"%s\"; "
	    "listen = \"127.0.0.1:1\"; %s } );\n",
	    row->engine, row->settings);
	CU_ASSERT_EQUAL(fclose(f), 0);
	return config_load(path, p);
}

static bool
is_of(const struct problem *p, const struct row *row)
{
	static const char prefix[] = "endpoints[0].";
	const char *path = p->path + strlen(prefix);

	/* "server[0].address" is a server's own. */
	if (strncmp(path, "server[0].", strlen("server[0].")) == 0)
		path = "server.address";
	return strcmp(path, row->path) == 0 &&
	    strstr(p->text, row->says) != NULL;
}

/* That, and nothing else. */
static void
expect(const struct row *row, bool taken)
{
	struct problems p = { 0 };
	struct config *c = load(row, &p);
	bool good = (c != NULL) == taken;

	if (row->path == NULL)
		good = good && p.n == 0;
	else
		good = good && p.n == 1 && is_of(&p.list[0], row);
	if (!good) {
		(void)fprintf(stderr, "\n%s: %s\n", row->engine, row->settings);
		problems_print(&p, stderr);
	}
	CU_ASSERT_TRUE(good);
	config_release(c);
	problems_fini(&p);
}

static void
warnings_are_in_place(void)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i], true);
}

static void
what_cannot_be_is_refused(void)
{
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		expect(&refused[i], false);
}

/* As AWS documents it. */
static void
dms_has_these_modes(void)
{
	static const struct {
		const char *engine;
		bool modes[SSL_MODE_VERIFY_FULL + 1];
	} table[] = {
		{ "mysql", { true, false, true, true } },
		{ "aurora", { true, false, true, true } },
		{ "mariadb", { true, false, true, true } },
		{ "postgres", { true, true, true, true } },
		{ "aurora-postgresql", { true, true, true, true } },
		{ "redshift", { true, false, false, false } },
		{ "ase", { true, false, false, true } },
	};
	const struct dms_support *dms;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		dms = dms_support(protocol_find(table[i].engine));
		CU_ASSERT_PTR_NOT_NULL_FATAL(dms);
		CU_ASSERT_EQUAL(
		    memcmp(dms->modes, table[i].modes, sizeof(dms->modes)), 0);
	}
	CU_ASSERT_PTR_NULL(dms_support(protocol_find("mysqlx")));
	CU_ASSERT_PTR_NULL(dms_support(protocol_find("tls")));
}

static int
make_files(void)
{
	if (mkdtemp(scratch) == NULL)
		return -1;
	return sh("openssl genrsa -out key.pem 2048 && "
		  "openssl pkey -in key.pem -pubout -out pub.pem && "
		  "openssl req -x509 -newkey rsa:2048 -nodes -keyout cert.pem "
		  "-subj /CN=a -days 3650 -out crt && cat crt >>cert.pem && "
		  "echo 'app *0123456789ABCDEF0123456789ABCDEF01234567' "
		  ">proof && { cat proof; echo 'app nonsense'; } >bad");
}

static int
remove_files(void)
{
	return sh("rm -r \"$PWD\"");
}

static CU_TestInfo tests[] = {
	{ "warnings_are_in_place", warnings_are_in_place },
	{ "what_cannot_be_is_refused", what_cannot_be_is_refused },
	{ "dms_has_these_modes", dms_has_these_modes },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ .pName = "config_engines",
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
