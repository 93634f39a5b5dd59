/*
 * config_rows.h - configurations: the wrong, with what is said of each, and
 * the good
 */
#ifndef TESTS_UNIT_CONFIG_ROWS_H
#define TESTS_UNIT_CONFIG_ROWS_H

#include <stddef.h>

#define CERT(name) "\"" CERTS_DIR "/" name "\""
#define PIN        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define WORDS      "words" /* what the text is called in messages */

/* One endpoint that is good, and what a row adds to it. */
#define NAMED(name, rest) \
	"{ name = \"" name "\"; engine = \"postgres\"; " rest "}"
#define AT(listen)    "listen = \"" listen "\"; server = \"db.test\"; "
#define LOCAL         AT("127.0.0.1:5432")
#define ONE(rest)     "endpoints = ( " NAMED("a", rest) " );"
#define MODE(mode)    "ssl_mode = \"" mode "\"; "
#define TRUSTED       "ca = " CERT("ca.crt") "; "
#define REQUIRE(rest) ONE(LOCAL MODE("require") rest)
#define NONE(rest)    ONE(LOCAL MODE("none") rest)
#define CA(rest)      ONE(LOCAL MODE("verify-ca") TRUSTED rest)
#define FULL(rest)    ONE(LOCAL TRUSTED rest)
#define TOP(first)    first " " REQUIRE("")
#define OPEN(rest)    ONE(AT("0.0.0.0:5432") MODE("require") rest)
#define ENGINE(engine, rest)                               \
	"endpoints = ( { name = \"a\"; engine = \"" engine \
	"\"; ssl_mode = \"require\"; " rest "} );"
/* Where each listen address stands for a server. */
#define PAIRS(listen, server, rest)                \
	ENGINE("mongodb",                          \
	    "mongodb = { hosts = \"rewrite\"; }; " \
	    "listen = " listen ";\nserver = " server "; " rest)
#define SERVER(server, rest) \
	ONE("listen = \"127.0.0.1:1\"; server = " server "; " rest)
#define SHOWN "cert = " CERT("good.chain.pem") "; key = " CERT("good.key") "; "
/* clang-format off */
#define IDENTITY \
	"identity = { cert = " CERT("client.crt") \
	"; key = " CERT("client.key") "; }; "
/* clang-format on */

/* Transparent endpoints, at one listen address or more. */
#define ENDPOINTS(list) "endpoints = ( " list " );"
#define BRIDGED(how, name, listen, server, rest)     \
	NAMED(name,                                  \
	    "transparent = \"" how "\"; allow = "    \
	    "\"10.0.0.0/8\"; client_tls = { mode = " \
	    "\"off\"; }; listen = " listen "; server = " server "; " rest)
#define BRIDGE(name, server, rest) \
	BRIDGED("redirect", name, "\"0.0.0.0:15432\"", server, rest)

struct row {
	const char *text;
	const char *path; /* NULL: whatever it is */
	const char *says;
};

extern const struct row syntax_rows[];
extern const size_t nsyntax_rows;
extern const struct row types_rows[];
extern const size_t ntypes_rows;
extern const struct row words_rows[];
extern const size_t nwords_rows;
extern const struct row values_rows[];
extern const size_t nvalues_rows;
extern const struct row together_rows[];
extern const size_t ntogether_rows;
extern const struct row bridge_rows[];
extern const size_t nbridge_rows;
extern const struct row material_rows[];
extern const size_t nmaterial_rows;

/* These load, and nothing is said about them. */
extern const char *const good_texts[];
extern const size_t ngood_texts;

#endif /* TESTS_UNIT_CONFIG_ROWS_H */
