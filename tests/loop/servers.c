/* servers.c - servers that misbehave, before a client that does not */
#include "tests/loop/suites.h"

#include <sys/socket.h>

#include <string.h>

#include <openssl/ssl.h>

#include "tests/loop/scenario.h"

#define ASK_AND_DRAIN                \
	{                            \
		SEND(STARTUP), DRAIN \
	}
#define TIMEOUTS(s) "timeouts = { " s "; }; "
#define HASTY       TIMEOUTS("handshake = 0.3; connect = 0.25")

/* Certificates that are refused, in a mode that looks at them. */
#define CERTIFICATE(what, mode, cert_name, why, text)                \
	{                                                            \
		.name = what, .settings = mode, .cert = cert_name,   \
		.server = { MESSAGE, SEND("S"), TLS, DRAIN },        \
		.client = ASK_AND_DRAIN, REFUSED("28000", why, text) \
	}

/* Those that pass: the server sees the startup, and the client its answer. */
#define ACCEPTED(what, mode, cert_name)                                       \
	{                                                                     \
		.name = what, .settings = mode, .cert = cert_name,            \
		.server = { MESSAGE, SEND("S"), TLS, MESSAGE, SEND(WELCOME),  \
			ECHO, BYE },                                          \
		.client = { SEND(STARTUP), RECEIVE(sizeof(WELCOME) - 1),      \
			SEND(QUERY TERMINATE),                                \
			RECEIVE(sizeof(QUERY TERMINATE) - 1), FIN, DRAIN },   \
		SEES(STARTUP QUERY TERMINATE), GETS(WELCOME QUERY TERMINATE), \
		.ends = ENDING_FIN, CLOSED("client_closed")                   \
	}

/* What a server says where it should say S or N. */
#define ANSWERS(what, words, why, text)                               \
	{                                                             \
		.name = what, .settings = MODE_FULL, .cert = "good",  \
		.server = { MESSAGE, SEND(words), DRAIN },            \
		.client = ASK_AND_DRAIN, REFUSED("28000", why, text), \
		.never = "server-words"                               \
	}

/* Where a server goes away. */
#define LEAVES(what, how, ...)                                          \
	{                                                               \
		.name = what, .settings = MODE_FULL, .cert = "good",    \
		.server = { __VA_ARGS__ }, .client = ASK_AND_DRAIN, how \
	}

/*
 * A welcome that is longer than the negotiator's window: a notice that nearly
 * fills it, and then one record that brings the end of that notice, another
 * one and the rest.  Nothing more comes to wake anybody.
 */
#define LONG_WELCOME 76384
#define LONG_NOTICE  61000
#define LONG_RECORD  16384 /* the last; before it comes less than a window */

static void
put_notice(uint8_t *at, uint32_t len)
{
	at[0] = 'N';
	at[1] = 0;
	at[2] = (uint8_t)((len - 1) >> 16);
	at[3] = (uint8_t)((len - 1) >> 8);
	at[4] = (uint8_t)(len - 1);
}

static bool
send_long_welcome(struct actor *a)
{
	static const char end[] = KEY READY;
	static uint8_t bytes[LONG_WELCOME];
	size_t at = sizeof(AUTH_OK) - 1, tail = sizeof(bytes) - LONG_RECORD;

	memcpy(bytes, AUTH_OK, at);
	put_notice(bytes + at, LONG_NOTICE);
	at += LONG_NOTICE;
	put_notice(bytes + at,
	    (uint32_t)(sizeof(bytes) - at - sizeof(end) + 1));
	memcpy(bytes + sizeof(bytes) - sizeof(end) + 1, end, sizeof(end) - 1);
	return actor_send(a, bytes, tail) &&
	    actor_send(a, bytes + tail, LONG_RECORD);
}

static bool
receive_long_welcome(struct actor *a)
{
	static uint8_t bytes[LONG_WELCOME];
	size_t n, got = 0;

	while (got < sizeof(bytes) &&
	    (n = actor_receive(a, bytes + got, sizeof(bytes) - got)) > 0)
		got += n;
	return got == sizeof(bytes);
}

/* A record of the right form that nobody has sealed. */
static bool
send_broken_record(struct actor *a)
{
	static const char record[] = "\x17\x03\x03\x00\x20"
				     "0123456789abcdef0123456789abcdef";

	return send(a->fd, record, sizeof(record) - 1, MSG_NOSIGNAL) ==
	    (ssize_t)(sizeof(record) - 1);
}

static const struct scenario answers[] = {
	ACCEPTED("good", MODE_FULL, "good"),
	{
	    .name = "long_welcome",
	    .settings = MODE_FULL TIMEOUTS("handshake = 3.0"),
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE,
		CALL(send_long_welcome), DRAIN, BYE },
	    .client = { SEND(STARTUP), CALL(receive_long_welcome), FIN, DRAIN },
	    SEES(STARTUP),
	    GETS(KEY READY),
	    .ends = ENDING_FIN,
	    CLOSED("client_closed"),
	},
	ANSWERS("stuffed_after_s", "S" SECRET_ERROR, "handshake", ""),
	ANSWERS("stuffed_records_after_s", "S" FATAL_ALERT, "handshake", ""),
	ANSWERS("no", "N", "tls_refused", "does not offer TLS"),
	ANSWERS("stuffed_after_n", "N" SECRET_ERROR, "tls_refused",
	    "does not offer TLS"),
	ANSWERS("error", SECRET_ERROR, "tls_refused", "answered with an error"),
	ANSWERS("garbage", "HTTP/1.1 400 Bad Request\r\n", "protocol",
	    "does not speak PostgreSQL"),
	ANSWERS("zero", "\0", "protocol", "does not speak PostgreSQL"),
	ANSWERS("welcome_without_tls", WELCOME, "protocol",
	    "does not speak PostgreSQL"),
	ANSWERS("half_a_server_hello_then_garbage",
	    "S" HALF_SERVER_HELLO
	    "garbage garbage garbage garbage garbage garbage garbage "
	    "garbage garbage garbage garbage garbage garbage garbage ",
	    "handshake", ""),
	ANSWERS("not_a_record", "Sgarbage", "handshake", ""),
};

static const struct scenario leaves[] = {
	LEAVES("at_once", REFUSED("57P03", "connect", "connection"),
	    { .act = DO_END }),
	LEAVES("resets_at_once", REFUSED("57P03", "connect", "connect"), RESET),
	LEAVES("after_the_request",
	    REFUSED("57P03", "connect", "before TLS began"), MESSAGE),
	LEAVES("resets_after_the_request",
	    REFUSED("57P03", "connect", "was lost"), MESSAGE, RESET),
	LEAVES("after_s", REFUSED("57P03", "connect", "TLS handshake"), MESSAGE,
	    SEND("S"), LISTEN),
	LEAVES("in_the_handshake", REFUSED("57P03", "connect", "TLS handshake"),
	    MESSAGE, SEND("S"), LISTEN, SEND(HALF_SERVER_HELLO)),
	LEAVES("resets_in_the_handshake",
	    REFUSED("57P03", "connect", "was lost"), MESSAGE, SEND("S"), LISTEN,
	    RESET),
	LEAVES("with_an_alert", REFUSED("28000", "handshake", ""), MESSAGE,
	    SEND("S" FATAL_ALERT)),
	LEAVES("after_the_handshake", REFUSED("57P03", "connect", "connection"),
	    MESSAGE, SEND("S"), TLS),
	{
	    .name = "after_the_startup",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE, BYE },
	    .client = ASK_AND_DRAIN,
	    SEES(STARTUP),
	    REFUSED("57P03", "connect", "closed the connection"),
	},
	{
	    .name = "in_the_middle_of_a_message",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE, SEND("R\0\0\0"),
		BYE },
	    .client = ASK_AND_DRAIN,
	    SEES(STARTUP),
	    REFUSED("57P03", "connect", "closed the connection"),
	},
	{
	    .name = "breaks_tls_in_the_login",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE,
		CALL(send_broken_record), DRAIN },
	    .client = ASK_AND_DRAIN,
	    SEES(STARTUP),
	    REFUSED("28000", "handshake", ""),
	},
	{
	    .name = "in_the_relay_without_a_bye",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE, SEND(WELCOME) },
	    .client = ASK_AND_DRAIN,
	    SEES(STARTUP),
	    GETS(WELCOME),
	    .ends = ENDING_RESET,
	    CLOSED("server_truncated"),
	},
	{
	    .name = "in_the_relay_with_a_reset",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE, SEND(WELCOME),
		RECEIVE(1), RESET },
	    .client = { SEND(STARTUP), RECEIVE(sizeof(WELCOME) - 1), SEND("x"),
		DRAIN },
	    SEES(STARTUP),
	    GETS(WELCOME),
	    .ends = ENDING_RESET,
	    CLOSED("server_reset"),
	},
	{
	    .name = "in_the_relay_in_order",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE, SEND(WELCOME), BYE,
		DRAIN },
	    .client = { SEND(STARTUP), DRAIN, FIN },
	    SEES(STARTUP),
	    GETS(WELCOME),
	    .ends = ENDING_FIN,
	    CLOSED("server_closed"),
	},
};

static const struct scenario silences[] = {
	LEAVES("silent", REFUSED("57P03", "timeout", "not ready in time"),
	    DRAIN),
	LEAVES("silent_after_the_request",
	    REFUSED("57P03", "timeout", "not ready in time"), MESSAGE, DRAIN),
	LEAVES("silent_after_s",
	    REFUSED("57P03", "timeout", "not ready in time"), MESSAGE,
	    SEND("S"), DRAIN),
	LEAVES("silent_in_the_handshake",
	    REFUSED("57P03", "timeout", "not ready in time"), MESSAGE,
	    SEND("S"), SEND(HALF_SERVER_HELLO), DRAIN),
	{
	    .name = "silent_after_the_startup",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE, DRAIN },
	    .client = ASK_AND_DRAIN,
	    SEES(STARTUP),
	    REFUSED("57P03", "timeout", "not ready in time"),
	},
	{
	    .name = "silent_in_a_message",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE, SEND("R\0\0\0"),
		DRAIN },
	    .client = ASK_AND_DRAIN,
	    SEES(STARTUP),
	    REFUSED("57P03", "timeout", "not ready in time"),
	},
};

static const struct scenario certificates[] = {
	CERTIFICATE("wrong_name", MODE_FULL, "other", "name_mismatch", ""),
	CERTIFICATE("no_name", MODE_FULL, "noname", "name_mismatch", ""),
	CERTIFICATE("address", MODE_FULL, "ip", "name_mismatch", ""),
	CERTIFICATE("deep_wildcard", MODE_FULL, "wildcard-deep",
	    "name_mismatch", ""),
	CERTIFICATE("nul_in_name", MODE_FULL, "nul", "name_mismatch", ""),
	CERTIFICATE("unknown_ca", MODE_FULL, "unknown", "untrusted", ""),
	CERTIFICATE("impostor", MODE_FULL, "impostor", "untrusted", ""),
	CERTIFICATE("self_signed", MODE_FULL, "selfsigned", "untrusted", ""),
	CERTIFICATE("issued_by_a_leaf", MODE_FULL, "notca", "wrong_usage", ""),
	CERTIFICATE("expired", MODE_FULL, "expired", "expired", ""),
	CERTIFICATE("not_yet_valid", MODE_FULL, "notyet", "not_yet_valid", ""),
	CERTIFICATE("for_clients", MODE_FULL, "eku", "wrong_usage", ""),
	CERTIFICATE("weak", MODE_FULL, "weak", "weak", ""),
	CERTIFICATE("revoked", MODE_FULL "crl = \"" CERTS_DIR "/crl.pem\"; ",
	    "revoked", "revoked", ""),
	CERTIFICATE("unknown_ca_in_verify_ca", MODE_CA, "unknown", "untrusted",
	    ""),
	CERTIFICATE("wrong_pin",
	    MODE_REQUIRE "pin = \"sha256//"
			 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"; ",
	    "good", "pin_mismatch", ""),
	ACCEPTED("wildcard", MODE_FULL, "wildcard"),
	ACCEPTED("through_an_intermediate", MODE_FULL, "inter-leaf"),
	ACCEPTED("wrong_name_in_verify_ca", MODE_CA, "other"),
	ACCEPTED("unknown_ca_in_require", MODE_REQUIRE, "unknown"),
	ACCEPTED("expired_in_require", MODE_REQUIRE, "expired"),
	ACCEPTED("wrong_name_in_require", MODE_REQUIRE, "other"),
};

static const struct scenario protocols[] = {
	{
	    .name = "tls_of_yesterday",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .max_version = TLS1_1_VERSION,
	    .server = { MESSAGE, SEND("S"), TLS, DRAIN },
	    .client = ASK_AND_DRAIN,
	    REFUSED("28000", "weak", "no version of TLS"),
	},
	{
	    .name = "tls_1_2",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .max_version = TLS1_2_VERSION,
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE, SEND(WELCOME), ECHO,
		BYE },
	    .client = { SEND(STARTUP QUERY), RECEIVE(sizeof(WELCOME QUERY) - 1),
		FIN, DRAIN },
	    SEES(STARTUP QUERY),
	    GETS(WELCOME QUERY),
	    CLOSED("client_closed"),
	},
	{
	    .name = "tls_then_garbage",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE,
		SEND("\xff\xff\xff\xff\xff garbage"), DRAIN },
	    .client = ASK_AND_DRAIN,
	    SEES(STARTUP),
	    REFUSED("28000", "protocol", "impossible length"),
	},
	{
	    .name = "refuses_in_tls",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE, SEND(SECRET_ERROR),
		BYE, DRAIN },
	    .client = { SEND(STARTUP), DRAIN, FIN },
	    SEES(STARTUP),
	    GETS(SECRET_ERROR),
	    .sqlstate = "28P01",
	    CLOSED("server_closed"),
	},
	{
	    .name = "direct",
	    .settings = MODE_FULL "tls = { direct = true; }; ",
	    .cert = "good",
	    .server = { TLS, MESSAGE, SEND(WELCOME), ECHO, BYE },
	    .client = { SEND(STARTUP), RECEIVE(sizeof(WELCOME) - 1), FIN,
		DRAIN },
	    SEES(STARTUP),
	    GETS(WELCOME),
	    CLOSED("client_closed"),
	},
	{
	    .name = "direct_is_not_spoken",
	    .settings = MODE_FULL "tls = { direct = true; }; ",
	    .server = { RECEIVE(8), SEND(SECRET_ERROR), DRAIN },
	    .client = ASK_AND_DRAIN,
	    .never = "server-words",
	    REFUSED("28000", "handshake", ""),
	},
	{
	    .name = "none_in_the_clear",
	    .settings = MODE_NONE,
	    .plain = true,
	    .server = { MESSAGE, SEND(WELCOME), ECHO, BYE },
	    .client = { SEND(STARTUP QUERY), RECEIVE(sizeof(WELCOME QUERY) - 1),
		FIN, DRAIN },
	    SEES(STARTUP QUERY),
	    GETS(WELCOME QUERY),
	    .ends = ENDING_FIN,
	    CLOSED("client_closed"),
	},
	{
	    .name = "none_and_garbage",
	    .settings = MODE_NONE,
	    .plain = true,
	    .server = { MESSAGE, SEND("\xff\xff\xff\xff\xff garbage"), DRAIN },
	    .client = ASK_AND_DRAIN,
	    SEES(STARTUP),
	    REFUSED("28000", "protocol", "impossible length"),
	},
	{
	    .name = "none_and_a_reset",
	    .settings = MODE_NONE,
	    .plain = true,
	    .server = { MESSAGE, SEND(WELCOME), RECEIVE(1), RESET },
	    .client = { SEND(STARTUP), RECEIVE(sizeof(WELCOME) - 1), SEND("x"),
		DRAIN },
	    SEES(STARTUP),
	    GETS(WELCOME),
	    .ends = ENDING_RESET,
	    CLOSED("server_reset"),
	},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void
servers_that_answer_wrongly(void)
{
	scenarios_play(answers, COUNT(answers));
}

void
servers_that_leave(void)
{
	scenarios_play(leaves, COUNT(leaves));
}

void
servers_that_keep_silent(void)
{
	struct scenario hasty[COUNT(silences)];
	size_t i;

	for (i = 0; i < COUNT(silences); i++) {
		hasty[i] = silences[i];
		hasty[i].settings = MODE_FULL HASTY;
	}
	scenarios_play(hasty, COUNT(hasty));
}

void
servers_with_certificates(void)
{
	scenarios_play(certificates, COUNT(certificates));
}

void
servers_of_other_ways(void)
{
	scenarios_play(protocols, COUNT(protocols));
}
