/*
 * scenario.h - one conversation: a client, a server, and what must come of it
 *
 * Whatever a scenario says, these hold for all: the server never sees a byte
 * of the client's outside TLS, nor inside it before the server was verified
 * (but where the mode is none); the log has one line about the end of each
 * session; and no session and no descriptor is left.
 */
#ifndef TESTS_LOOP_SCENARIO_H
#define TESTS_LOOP_SCENARIO_H

#include "tests/loop/world.h"

/* Messages of PostgreSQL's protocol.  The user's name is what must never be
 * seen where it does not belong. */
#define CANARY      "canary"
#define SSL_REQUEST "\0\0\0\x08\x04\xd2\x16\x2f"
#define GSS_REQUEST "\0\0\0\x08\x04\xd2\x16\x30"
#define STARTUP              \
	"\0\0\0\x20"         \
	"\0\3\0\0"           \
	"user\0" CANARY "\0" \
	"database\0"         \
	"d\0"                \
	"\0"
#define ASK_PASSWORD "R\0\0\0\x08\0\0\0\3"
#define AUTH_OK      "R\0\0\0\x08\0\0\0\0"
#define KEY_BODY     \
	"\0\0\0\x07" \
	"SECR"
#define KEY "K\0\0\0\x0c" KEY_BODY
#define READY         \
	"Z\0\0\0\x05" \
	"I"
#define WELCOME AUTH_OK KEY READY
#define QUERY         \
	"Q\0\0\0\x0d" \
	"select 1\0"
#define TERMINATE "X\0\0\0\x04"
#define CANCEL    "\0\0\0\x10\x04\xd2\x16\x2e" KEY_BODY
#define SECRET_ERROR      \
	"E\0\0\0\x22"     \
	"SFATAL\0"        \
	"C28P01\0"        \
	"Mserver-words\0" \
	"\0\0"
/* What the first record of a handshake may look like. */
#define HALF_SERVER_HELLO "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03half"
#define FATAL_ALERT       "\x15\x03\x03\x00\x02\x02\x28"

/* Settings of endpoints. */
#define CA(name)     "ca = \"" CERTS_DIR "/" name "\"; "
#define NAMED        "server_name = \"db.test\"; "
#define MODE_FULL    "ssl_mode = \"verify-full\"; " CA("ca.crt") NAMED
#define MODE_CA      "ssl_mode = \"verify-ca\"; " CA("ca.crt")
#define MODE_REQUIRE "ssl_mode = \"require\"; "
#define MODE_NONE    "ssl_mode = \"none\"; "
#define CLIENT_TLS(mode)                                          \
	"client_tls = { mode = \"" mode "\"; cert = \"" CERTS_DIR \
	"/proxy.chain.pem\"; key = \"" CERTS_DIR "/proxy.key\"; }; "

struct scenario {
	const char *name; /* also of its endpoint */
	const char *settings;
	const char *cert; /* the server's, of certs.sh; NULL: it has no TLS */
	struct step server[STEPS_MAX];
	struct step client[STEPS_MAX];

	/* What comes of it, as far as it is looked at. */
	const char *sqlstate; /* of the error that the client gets; NULL: none
	                       * may come */
	const char *says;     /* is in that error's text */
	const char *never;    /* is in nothing that the client gets */
	const char *gets;     /* is in what the client gets */
	size_t gets_len;
	enum ending ends; /* of the client's connection; 0: any */
	const char *sees; /* what the server gets to see, in TLS; NULL:
	                     * nothing at all of the client's */
	size_t sees_len;
	const char *event; /* "session.refused", "session.close"; NULL: no line
	                     * about an end */
	const char *reason;
	const char *detail;        /* is in that line */
	int max_version;           /* of the server's TLS; 0: any */
	const char *alpn;          /* that the client offers */
	const char *client_cert;   /* that it shows */
	enum ending server_ends;   /* of the server's connection; 0: any */
	const char *engine;        /* NULL: postgres */
	const struct neg_ops *ops; /* instead of the engine's; NULL: those */
	const char *front; /* what the server sees before anything else */
	size_t front_len;
	bool nobody; /* no connection comes to the server */
	bool plain;  /* the mode is none: `sees` is in the clear */
};
#define GETS(s)  .gets = (s), .gets_len = sizeof(s) - 1
#define FRONT(s) .front = (s), .front_len = sizeof(s) - 1
#define SEES(s)  .sees = (s), .sees_len = sizeof(s) - 1
#define REFUSED(code, why, text)                                         \
	.sqlstate = (code), .event = "session.refused", .reason = (why), \
	.says = (text)
#define TURNED_AWAY(why) .event = "session.refused", .reason = (why)
#define CLOSED(why)      .event = "session.close", .reason = (why)

/* Plays them all, one after the other, against one proxy. */
void scenarios_play(const struct scenario *list, size_t n);

/* What an ErrorResponse among these messages has in one of its fields; NULL if
 * there is none. */
const char *error_field(const struct bytes *got, char field);

#endif /* TESTS_LOOP_SCENARIO_H */
