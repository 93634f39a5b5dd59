/* clients.c - clients that misbehave, before a server that does not */
#include "tests/loop/suites.h"

#include "tests/loop/scenario.h"

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define TIMEOUTS(s) "timeouts = { " s "; }; "

/* A server that is as it should be, in each mode. */
#define SECURED_SERVER                                                     \
	{                                                                  \
		MESSAGE, SEND("S"), TLS, MESSAGE, SEND(WELCOME), ECHO, BYE \
	}
#define PLAIN_SERVER                              \
	{                                         \
		MESSAGE, SEND(WELCOME), ECHO, BYE \
	}

/* How a client goes on that has said what it has to say. */
#define AND_LOGS_IN                                                            \
	RECEIVE(sizeof(WELCOME) - 1), SEND(QUERY), RECEIVE(sizeof(QUERY) - 1), \
	    BYE, DRAIN
#define SERVED(bytes_sent) \
	SEES(bytes_sent QUERY), GETS(WELCOME QUERY), CLOSED("client_closed")

/* Clients that are served all the same. */
#define SERVES(what, how, ...)                                           \
	{                                                                \
		.name = what, .settings = MODE_FULL how, .cert = "good", \
		.server = SECURED_SERVER,                                \
		.client = { __VA_ARGS__, AND_LOGS_IN }, SERVED(STARTUP)  \
	}

/* And those who are not, and get no answer that makes sense. */
#define IGNORES(what, how, why, ...)                                        \
	{                                                                   \
		.name = what, .settings = MODE_FULL how, .cert = "good",    \
		.server = SECURED_SERVER, .client = { __VA_ARGS__, DRAIN }, \
		TURNED_AWAY(why)                                            \
	}
#define REFUSES(what, how, code, why, text, ...)                            \
	{                                                                   \
		.name = what, .settings = MODE_FULL how, .cert = "good",    \
		.server = SECURED_SERVER, .client = { __VA_ARGS__, DRAIN }, \
		REFUSED(code, why, text)                                    \
	}
/* Those who leave by themselves. */
#define LEAVES(what, how, ending, ...)                                      \
	{                                                                   \
		.name = what, .settings = MODE_FULL how, .cert = "good",    \
		.server = SECURED_SERVER, .client = { __VA_ARGS__ }, ending \
	}

static const struct scenario openings[] = {
	SERVES("byte_by_byte", "", DRIBBLE(STARTUP)),
	SERVES("asks_for_tls", "", SEND(SSL_REQUEST), ANSWER("N"),
	    SEND(STARTUP)),
	SERVES("asks_for_tls_and_does_not_wait", "", SEND(SSL_REQUEST STARTUP),
	    ANSWER("N")),
	SERVES("asks_for_gss_and_tls", "", SEND(GSS_REQUEST), ANSWER("N"),
	    SEND(SSL_REQUEST), ANSWER("N"), SEND(STARTUP)),
	SERVES("asks_for_all_at_once", "",
	    SEND(GSS_REQUEST SSL_REQUEST STARTUP), ANSWER("N"), ANSWER("N")),
	SERVES("asks_byte_by_byte", "", DRIBBLE(SSL_REQUEST), ANSWER("N"),
	    DRIBBLE(STARTUP)),
	{
	    .name = "startup_and_more_at_once",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = SECURED_SERVER,
	    .client = { SEND(STARTUP QUERY QUERY),
		RECEIVE(sizeof(WELCOME QUERY QUERY) - 1), FIN, DRAIN },
	    SEES(STARTUP QUERY QUERY),
	    GETS(WELCOME QUERY QUERY),
	    .ends = ENDING_FIN,
	    .server_ends = ENDING_BYE,
	    CLOSED("client_closed"),
	},
	IGNORES("speaks_http", "", "protocol", SEND("GET / HTTP/1.0\r\n\r\n")),
	IGNORES("speaks_nothing", "", "protocol", SEND("\0\0\0\0\0\0\0\0")),
	IGNORES("startup_too_long", "", "protocol",
	    SEND("\0\0\x40\0"
		 "\0\3\0\0")),
	IGNORES("ssl_request_too_long", "", "protocol",
	    SEND("\0\0\0\x09\x04\xd2\x16\x2f"
		 "x")),
	IGNORES("tls_at_once_where_there_is_none", "", "client_tls",
	    SEND("\x16\x03\x01\x00\x10"
		 "0123456789abcdef")),
	REFUSES("asks_for_tls_twice", "", "0A000", "protocol", "twice",
	    SEND(SSL_REQUEST), ANSWER("N"), SEND(SSL_REQUEST)),
	IGNORES("says_nothing", TIMEOUTS("first_byte = 0.2"), "timeout",
	    { .act = DO_DRAIN }),
	IGNORES("stops_in_the_startup", TIMEOUTS("handshake = 0.2"), "timeout",
	    SEND("\0\0\0\x20"
		 "\0\3")),
	LEAVES("leaves_without_a_word", "", CLOSED("client_closed"),
	    { .act = DO_END }),
	LEAVES("resets_without_a_word", "", CLOSED("client_reset"), RESET),
	LEAVES("leaves_in_the_startup", "", CLOSED("client_closed"),
	    SEND("\0\0\0\x20"
		 "\0\3")),
	LEAVES("resets_in_the_startup", "", CLOSED("client_"),
	    SEND("\0\0\0\x20"
		 "\0\3"),
	    RESET),
	{
	    .name = "is_not_allowed",
	    .settings = MODE_FULL "allow = [ \"192.0.2.0/24\" ]; ",
	    .cert = "good",
	    .server = SECURED_SERVER,
	    .client = { SEND(STARTUP), DRAIN },
	    TURNED_AWAY("not_allowed"),
	},
	{
	    .name = "is_denied",
	    .settings = MODE_FULL "deny = [ \"127.0.0.0/8\" ]; ",
	    .cert = "good",
	    .server = SECURED_SERVER,
	    .client = { SEND(STARTUP), DRAIN },
	    TURNED_AWAY("not_allowed"),
	},
};

#define TLS_ALLOWED  CLIENT_TLS("allow")
#define TLS_REQUIRED CLIENT_TLS("require")
#define TLS_WITH_CERTIFICATE                                        \
	"client_tls = { mode = \"require\"; verify = \"require\"; " \
	"cert = \"" CERTS_DIR "/proxy.chain.pem\"; "                \
	"key = \"" CERTS_DIR "/proxy.key\"; " CA("clients.crt") "}; "

static const struct scenario secured[] = {
	SERVES("tls", TLS_REQUIRED, SEND(SSL_REQUEST), ANSWER("S"), TLS,
	    SEND(STARTUP)),
	SERVES("tls_if_it_likes", TLS_ALLOWED, SEND(SSL_REQUEST), ANSWER("S"),
	    TLS, SEND(STARTUP)),
	SERVES("no_tls_if_it_likes", TLS_ALLOWED, SEND(STARTUP)),
	SERVES("tls_after_gss", TLS_REQUIRED, SEND(GSS_REQUEST), ANSWER("N"),
	    SEND(SSL_REQUEST), ANSWER("S"), TLS, DRIBBLE(STARTUP)),
	REFUSES("no_tls", TLS_REQUIRED, "28000", "client_tls",
	    "does not use TLS", SEND(STARTUP)),
	IGNORES("stuffed_after_the_request", TLS_REQUIRED, "client_tls",
	    SEND(SSL_REQUEST STARTUP), ANSWER("S")),
	IGNORES("stuffed_where_it_may_choose", TLS_ALLOWED, "client_tls",
	    SEND(SSL_REQUEST STARTUP), ANSWER("S")),
	IGNORES("plain_after_s", TLS_REQUIRED, "client_tls", SEND(SSL_REQUEST),
	    ANSWER("S"), SEND(STARTUP)),
	REFUSES("asks_again_in_tls", TLS_REQUIRED, "0A000", "protocol", "twice",
	    SEND(SSL_REQUEST), ANSWER("S"), TLS, SEND(SSL_REQUEST)),
	LEAVES("leaves_after_s", TLS_REQUIRED, TURNED_AWAY("client_tls"),
	    SEND(SSL_REQUEST), ANSWER("S")),
	{
	    .name = "tls_at_once",
	    .settings = MODE_FULL TLS_REQUIRED,
	    .alpn = "postgresql",
	    .cert = "good",
	    .server = SECURED_SERVER,
	    .client = { TLS, SEND(STARTUP), AND_LOGS_IN },
	    .ends = ENDING_BYE,
	    SERVED(STARTUP),
	},
	IGNORES("tls_at_once_without_alpn", TLS_REQUIRED, "client_tls", TLS,
	    SEND(STARTUP)),
	{
	    .name = "tls_at_once_with_another_alpn",
	    .settings = MODE_FULL TLS_REQUIRED,
	    .alpn = "h2",
	    .cert = "good",
	    .server = SECURED_SERVER,
	    .client = { TLS, SEND(STARTUP), DRAIN },
	    TURNED_AWAY("client_tls"),
	},
	{
	    .name = "certificate",
	    .settings = MODE_FULL TLS_WITH_CERTIFICATE,
	    .client_cert = "client",
	    .cert = "good",
	    .server = SECURED_SERVER,
	    .client = { SEND(SSL_REQUEST), ANSWER("S"), TLS, SEND(STARTUP),
		AND_LOGS_IN },
	    SERVED(STARTUP),
	},
	IGNORES("no_certificate", TLS_WITH_CERTIFICATE, "client_certificate",
	    SEND(SSL_REQUEST), ANSWER("S"), TLS, SEND(STARTUP)),
	{
	    .name = "wrong_certificate",
	    .settings = MODE_FULL TLS_WITH_CERTIFICATE,
	    .client_cert = "client-bad",
	    .cert = "good",
	    .server = SECURED_SERVER,
	    .client = { SEND(SSL_REQUEST), ANSWER("S"), TLS, SEND(STARTUP),
		DRAIN },
	    TURNED_AWAY("client_certificate"),
	},
	/* Told in TLS, because it asked for that. */
	{
	    .name = "tls_and_then_the_server_is_wrong",
	    .settings = MODE_FULL TLS_REQUIRED,
	    .cert = "other",
	    .server = SECURED_SERVER,
	    .client = { SEND(SSL_REQUEST), ANSWER("S"), TLS, SEND(STARTUP),
		DRAIN },
	    .ends = ENDING_BYE,
	    REFUSED("28000", "name_mismatch", ""),
	},
};

/* The server waits for the end of the query's direction, and answers then. */
#define PATIENT_SERVER(...)                                                  \
	{                                                                    \
		MESSAGE, SEND("S"), TLS, MESSAGE, SEND(WELCOME), __VA_ARGS__ \
	}
#define LOGGED_IN SEND(STARTUP), RECEIVE(sizeof(WELCOME) - 1)
#define LOGGED_IN_TLS                                       \
	SEND(SSL_REQUEST), ANSWER("S"), TLS, SEND(STARTUP), \
	    RECEIVE(sizeof(WELCOME) - 1)

static const struct scenario endings[] = {
	{
	    .name = "half_close_is_passed_on",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = PATIENT_SERVER(DRAIN, SEND("late answer"), BYE),
	    .client = { LOGGED_IN, SEND(QUERY), FIN, DRAIN },
	    SEES(STARTUP QUERY),
	    GETS(WELCOME "late answer"),
	    .ends = ENDING_FIN,
	    .server_ends = ENDING_BYE,
	    CLOSED("client_closed"),
	},
	{
	    .name = "half_close_in_tls_is_passed_on",
	    .settings = MODE_FULL TLS_REQUIRED,
	    .cert = "good",
	    .server = PATIENT_SERVER(DRAIN, SEND("late answer"), BYE),
	    .client = { LOGGED_IN_TLS, SEND(QUERY), BYE, DRAIN },
	    SEES(STARTUP QUERY),
	    GETS(WELCOME "late answer"),
	    .ends = ENDING_BYE,
	    .server_ends = ENDING_BYE,
	    CLOSED("client_closed"),
	},
	{
	    .name = "half_close_in_the_clear_is_passed_on",
	    .settings = MODE_NONE,
	    .plain = true,
	    .server = { MESSAGE, SEND(WELCOME), DRAIN, SEND("late answer"),
		BYE },
	    .client = { LOGGED_IN, SEND(QUERY), FIN, DRAIN },
	    SEES(STARTUP QUERY),
	    GETS(WELCOME "late answer"),
	    .ends = ENDING_FIN,
	    .server_ends = ENDING_FIN,
	    CLOSED("client_closed"),
	},
	{
	    .name = "reset_is_no_end_in_order",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = PATIENT_SERVER(DRAIN),
	    .client = { LOGGED_IN, SEND(QUERY), RESET },
	    SEES(STARTUP),
	    GETS(WELCOME),
	    .server_ends = ENDING_FIN, /* and no close_notify */
	    CLOSED("client_reset"),
	},
	{
	    .name = "reset_in_the_clear_is_no_end_in_order",
	    .settings = MODE_NONE,
	    .plain = true,
	    .server = { MESSAGE, SEND(WELCOME), DRAIN },
	    .client = { LOGGED_IN, SEND(QUERY), RESET },
	    SEES(STARTUP),
	    GETS(WELCOME),
	    .server_ends = ENDING_RESET,
	    CLOSED("client_reset"),
	},
	{
	    .name = "tls_cut_off_is_no_end_in_order",
	    .settings = MODE_FULL TLS_REQUIRED,
	    .cert = "good",
	    .server = PATIENT_SERVER(DRAIN),
	    .client = { LOGGED_IN_TLS, SEND(QUERY), FIN, DRAIN },
	    SEES(STARTUP),
	    GETS(WELCOME),
	    .server_ends = ENDING_FIN,
	    CLOSED("client_truncated"),
	},
	{
	    .name = "idle_session_is_cut",
	    .settings = MODE_FULL TIMEOUTS("idle = 0.3"),
	    .cert = "good",
	    .server = PATIENT_SERVER(DRAIN),
	    .client = { LOGGED_IN, DRAIN },
	    SEES(STARTUP),
	    GETS(WELCOME),
	    .ends = ENDING_RESET,
	    .server_ends = ENDING_FIN,
	    CLOSED("idle"),
	},
	/* Long before any timeout, or this would hang. */
	{
	    .name = "vanishes_while_the_server_is_asked",
	    .settings = MODE_FULL TIMEOUTS("handshake = 0"),
	    .cert = "good",
	    .server = { MESSAGE, DRAIN },
	    .client = { SEND(STARTUP) },
	    CLOSED("client_closed"),
	},
	{
	    .name = "vanishes_in_the_servers_handshake",
	    .settings = MODE_FULL TIMEOUTS("handshake = 0"),
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), DRAIN },
	    .client = { SEND(STARTUP) },
	    CLOSED("client_closed"),
	},
	{
	    .name = "vanishes_during_the_log_in",
	    .settings = MODE_FULL TIMEOUTS("handshake = 0"),
	    .cert = "good",
	    .server = { MESSAGE, SEND("S"), TLS, MESSAGE, SEND(ASK_PASSWORD),
		DRAIN },
	    .client = { SEND(STARTUP), RECEIVE(sizeof(ASK_PASSWORD) - 1) },
	    SEES(STARTUP),
	    CLOSED("client_closed"),
	},
};

/* Any protocol that begins with TLS: the server may well speak first. */
static const struct scenario any_protocol[] = {
	{
	    .name = "server_speaks_first",
	    .engine = "tls",
	    .settings = MODE_FULL,
	    .cert = "good",
	    .server = { TLS, SEND("hello"), ECHO, BYE },
	    .client = { RECEIVE(5), SEND("ping"), RECEIVE(4), FIN, DRAIN },
	    SEES("ping"),
	    GETS("helloping"),
	    .ends = ENDING_FIN,
	    CLOSED("client_closed"),
	},
	{
	    .name = "tls_on_both_legs",
	    .engine = "tls",
	    .settings = MODE_FULL TLS_REQUIRED,
	    .cert = "good",
	    .server = { TLS, SEND("hello"), ECHO, BYE },
	    .client = { TLS, RECEIVE(5), SEND("ping"), RECEIVE(4), BYE, DRAIN },
	    SEES("ping"),
	    GETS("helloping"),
	    .ends = ENDING_BYE,
	    CLOSED("client_closed"),
	},
	{
	    .name = "leaves_before_its_tls",
	    .engine = "tls",
	    .settings = MODE_FULL TLS_REQUIRED,
	    .client = { FIN, DRAIN },
	    .ends = ENDING_FIN,
	    CLOSED("client_closed"),
	    .detail = " level=debug ",
	},
	{
	    .name = "never_begins_its_tls",
	    .engine = "tls",
	    .settings =
		MODE_FULL TLS_REQUIRED "timeouts = { first_byte = 0.2; }; ",
	    .client = { DRAIN },
	    .ends = ENDING_FIN,
	    TURNED_AWAY("timeout"),
	    .detail = "first byte",
	},
	{
	    .name = "wrong_name_gets_no_byte",
	    .engine = "tls",
	    .settings = MODE_FULL,
	    .cert = "other",
	    .server = { TLS, SEND("hello"), ECHO, BYE },
	    .client = { SEND(CANARY), DRAIN },
	    TURNED_AWAY("name_mismatch"),
	    .never = "hello",
	},
};

void
clients_that_open_oddly(void)
{
	scenarios_play(openings, COUNT(openings));
}

void
clients_with_tls(void)
{
	scenarios_play(secured, COUNT(secured));
}

void
clients_that_end_oddly(void)
{
	scenarios_play(endings, COUNT(endings));
}

void
clients_of_any_protocol(void)
{
	scenarios_play(any_protocol, COUNT(any_protocol));
}
