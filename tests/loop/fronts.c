/* fronts.c - load balancers in front, and servers that are told for whom */
#include "tests/loop/suites.h"

#include <sys/socket.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include "tests/loop/scenario.h"

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define TIMEOUTS(s) "timeouts = { " s "; }; "

#define ACCEPT    "proxy_protocol = { accept = \"127.0.0.0/8\"; }; "
#define STRANGERS "proxy_protocol = { accept = \"10.0.0.0/8\"; }; "
#define BOTH                                          \
	"proxy_protocol = { accept = \"127.0.0.1\"; " \
	"send = \"v2\"; }; "

#define LINE      "PROXY TCP4 192.0.2.1 198.51.100.2 1234 5432\r\n"
#define LINE_6    "PROXY TCP6 2001:db8::1 2001:db8::2 1234 5432\r\n"
#define UNKNOWN   "PROXY UNKNOWN\r\n"
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define ADDRESSES "\xc0\0\x02\x01\xc6\x33\x64\x02\x04\xd2\x15\x38"
#define BINARY    SIGNATURE "\x21\x11\0\x0c" ADDRESSES
#define LOCAL     SIGNATURE "\x20\0\0\0"
#define UDP       SIGNATURE "\x21\x12\0\x0c" ADDRESSES
/* What is said of TLS: its version, and that no certificate was shown. */
#define BINARY_TLS                                            \
	SIGNATURE "\x21\x11\0\x21" ADDRESSES "\x20\0\x12\x01" \
		  "\0\0\0\x01\x21\0\x0aTLSv1.3-LB"
#define SENT_TLS                                              \
	SIGNATURE "\x21\x11\0\x1e" ADDRESSES "\x20\0\x0f\x01" \
		  "\0\0\0\x01\x21\0\x07TLSv1.3"

#define SECURED_SERVER                                                     \
	{                                                                  \
		MESSAGE, SEND("S"), TLS, MESSAGE, SEND(WELCOME), ECHO, BYE \
	}
/* The same behind a header. */
#define TOLD_SERVER(header)                                                    \
	{                                                                      \
		RECEIVE(sizeof(header) - 1), MESSAGE, SEND("S"), TLS, MESSAGE, \
		    SEND(WELCOME), ECHO, BYE                                   \
	}
#define AND_LOGS_IN                                                            \
	RECEIVE(sizeof(WELCOME) - 1), SEND(QUERY), RECEIVE(sizeof(QUERY) - 1), \
	    BYE, DRAIN
#define SERVED SEES(STARTUP QUERY), GETS(WELCOME QUERY), CLOSED("client_closed")

#define FROM_THE_HEADER " client=192.0.2.1:1234 via=127."
#define FROM_THE_SOCKET " client=127."

#define SERVES(what, how, where, ...)                                    \
	{                                                                \
		.name = what, .settings = MODE_FULL how, .cert = "good", \
		.server = SECURED_SERVER,                                \
		.client = { __VA_ARGS__, AND_LOGS_IN }, SERVED,          \
		.detail = where                                          \
	}
/* Without a word, and nobody is dialled. */
#define DROPS(what, how, why, text, ...)                                 \
	{                                                                \
		.name = what, .settings = MODE_FULL how, .cert = "good", \
		.server = SECURED_SERVER, .client = { __VA_ARGS__ },     \
		.nobody = true, TURNED_AWAY(why), .detail = text         \
	}

static const struct scenario in_front[] = {
	SERVES("line", ACCEPT, FROM_THE_HEADER, SEND(LINE), SEND(STARTUP)),
	SERVES("line_of_ipv6", ACCEPT, " client=[2001:db8::1]:1234 via=127.",
	    SEND(LINE_6 STARTUP)),
	SERVES("line_byte_by_byte", ACCEPT, FROM_THE_HEADER,
	    DRIBBLE(LINE STARTUP)),
	SERVES("binary", ACCEPT, FROM_THE_HEADER, SEND(BINARY), SEND(STARTUP)),
	SERVES("binary_and_more_at_once", ACCEPT, FROM_THE_HEADER,
	    SEND(BINARY STARTUP)),
	SERVES("binary_byte_by_byte", ACCEPT, FROM_THE_HEADER,
	    DRIBBLE(BINARY STARTUP)),
	SERVES("binary_with_tls", ACCEPT, FROM_THE_HEADER, SEND(BINARY_TLS),
	    SEND(STARTUP)),
	SERVES("unknown", ACCEPT, FROM_THE_SOCKET, SEND(UNKNOWN STARTUP)),
	SERVES("local", ACCEPT, FROM_THE_SOCKET, SEND(LOCAL STARTUP)),
	SERVES("client_tls_behind_it", ACCEPT CLIENT_TLS("require"),
	    FROM_THE_HEADER, SEND(BINARY SSL_REQUEST), ANSWER("S"), TLS,
	    SEND(STARTUP)),
	SERVES("allowed_by_header", ACCEPT "allow = \"192.0.2.0/24\"; ",
	    FROM_THE_HEADER, SEND(LINE STARTUP)),
	DROPS("denied_by_header", ACCEPT "deny = \"192.0.2.1\"; ",
	    "not_allowed", "in the PROXY header is denied", SEND(BINARY),
	    DRAIN),
	DROPS("not_allowed_by_header", ACCEPT "allow = \"127.0.0.0/8\"; ",
	    "not_allowed", FROM_THE_HEADER, SEND(BINARY STARTUP), DRAIN),
	DROPS("local_is_not_allowed", ACCEPT "allow = \"192.0.2.0/24\"; ",
	    "not_allowed", "the load balancer's own address", SEND(LOCAL),
	    DRAIN),
	DROPS("stranger", STRANGERS, "not_allowed",
	    "is not in proxy_protocol.accept", DRAIN),
	DROPS("no_header", ACCEPT, "protocol",
	    "did not begin with a PROXY header", SEND(STARTUP), DRAIN),
	DROPS("no_header_but_tls", ACCEPT CLIENT_TLS("require"), "protocol",
	    "did not begin with a PROXY header",
	    SEND("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"), DRAIN),
	DROPS("udp", ACCEPT, "protocol", "no TCP connection", SEND(UDP), DRAIN),
	DROPS("no_port", ACCEPT, "protocol", "a port that is none",
	    SEND("PROXY TCP4 192.0.2.1 198.51.100.2 1234\r\n"), DRAIN),
	DROPS("no_end", ACCEPT, "protocol", "has no end",
	    SEND("PROXY TCP4 "
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	    DRAIN),
	DROPS("too_long", ACCEPT, "protocol", "is too long",
	    SEND(SIGNATURE "\x21\x11\xff\xff"), DRAIN),
	DROPS("ends_within", ACCEPT, "protocol",
	    "ended within its PROXY header", SEND("PROXY TCP4 192.0."), FIN,
	    DRAIN),
	DROPS("slow", ACCEPT TIMEOUTS("first_byte = 0.2"), "timeout",
	    "waiting for the PROXY header", SEND("PROXY TCP4 192.0."), DRAIN),
	DROPS("never", ACCEPT TIMEOUTS("first_byte = 0.2"), "timeout",
	    "waiting for the PROXY header", DRAIN),
	DROPS("silent_behind_it", ACCEPT TIMEOUTS("first_byte = 0.2"),
	    "timeout", "waiting for the client's first byte", SEND(BINARY),
	    DRAIN),
	{
	    .name = "looks_in",
	    .settings = MODE_FULL ACCEPT,
	    .client = { FIN, DRAIN },
	    .nobody = true,
	    CLOSED("client_closed"),
	    .detail = " level=debug ",
	},
	{
	    .name = "health_check",
	    .settings = MODE_FULL ACCEPT,
	    .client = { SEND(LOCAL), FIN, DRAIN },
	    .nobody = true,
	    CLOSED("client_closed"),
	    .detail = " level=debug ",
	},
};

/* Whatever the server is told comes before the engine's preamble, which is as
 * it ever was: that is looked at in all scenarios. */
static const struct scenario behind[] = {
	{
	    .name = "told",
	    .settings = MODE_FULL BOTH,
	    .cert = "good",
	    .server = TOLD_SERVER(BINARY),
	    .client = { SEND(LINE STARTUP), AND_LOGS_IN },
	    SERVED,
	    FRONT(BINARY),
	},
	{
	    .name = "told_of_tls",
	    .settings = MODE_FULL BOTH CLIENT_TLS("require"),
	    .cert = "good",
	    .server = TOLD_SERVER(SENT_TLS),
	    .client = { SEND(LINE SSL_REQUEST), ANSWER("S"), TLS, SEND(STARTUP),
		AND_LOGS_IN },
	    SERVED,
	    FRONT(SENT_TLS),
	},
	{
	    .name = "told_and_refuses_tls",
	    .settings = MODE_FULL BOTH,
	    .server = { RECEIVE(sizeof(BINARY) - 1), MESSAGE, SEND("N"),
		DRAIN },
	    .client = { SEND(LINE STARTUP), DRAIN },
	    REFUSED("28000", "tls_refused", "TLS"),
	    FRONT(BINARY),
	},
	{
	    .name = "told_and_untrusted",
	    .settings = MODE_FULL BOTH,
	    .cert = "other",
	    .server = TOLD_SERVER(BINARY),
	    .client = { SEND(LINE STARTUP), DRAIN },
	    REFUSED("28000", "name_mismatch", "other.test"),
	    FRONT(BINARY),
	},
	{
	    .name = "told_in_clear",
	    .settings = MODE_NONE BOTH,
	    .server = { RECEIVE(sizeof(BINARY) - 1), MESSAGE, SEND(WELCOME),
		ECHO, BYE },
	    .client = { SEND(LINE STARTUP), AND_LOGS_IN },
	    .plain = true,
	    SEES(BINARY STARTUP QUERY),
	    GETS(WELCOME QUERY),
	    CLOSED("client_closed"),
	},
};

void
load_balancers_say_for_whom(void)
{
	scenarios_play(in_front, COUNT(in_front));
}

void
servers_are_told_for_whom(void)
{
	scenarios_play(behind, COUNT(behind));
}

static const struct step secured_server[] = { MESSAGE, SEND("S"), TLS, MESSAGE,
	SEND(WELCOME), ECHO, BYE, { .act = DO_END } };

static void
begin(struct actor *a, const struct world *w, unsigned endpoint,
    const char *bytes, size_t len)
{
	memset(a, 0, sizeof(*a));
	a->fd = world_connect(w, endpoint);
	(void)actor_send(a, bytes, len);
}
#define BEGIN(a, w, endpoint, text) \
	begin(a, w, endpoint, text, sizeof(text) - 1)

static void
receive_welcome(struct actor *a)
{
	uint8_t bytes[sizeof(WELCOME) - 1];
	size_t n, got = 0;

	while (got < sizeof(bytes) &&
	    (n = actor_receive(a, bytes + got, sizeof(bytes) - got)) > 0)
		got += n;
	CU_ASSERT_EQUAL(got, sizeof(bytes));
}

static void
drain(struct actor *a)
{
	uint8_t bytes[1024];

	while (actor_receive(a, bytes, sizeof(bytes)) > 0)
		;
	(void)close(a->fd);
}

static void
leave(struct actor *a)
{
	(void)shutdown(a->fd, SHUT_WR);
	drain(a);
	actor_fini(a);
}

/* In words of its own protocol, which begins behind the header. */
static void
check_refused(struct actor *a)
{
	const char *state;

	drain(a);
	state = error_field(&a->clear, 'C');
	CU_ASSERT_PTR_NOT_NULL(state);
	CU_ASSERT(state != NULL && strcmp(state, "53300") == 0);
	actor_fini(a);
}

static void
three_visits(const struct world *w, unsigned endpoint)
{
	struct actor first, second, third;

	BEGIN(&first, w, endpoint, LINE STARTUP);
	receive_welcome(&first);
	BEGIN(&second, w, endpoint, LINE STARTUP);
	check_refused(&second);
	BEGIN(&third, w, endpoint, LINE_6 STARTUP);
	receive_welcome(&third);
	leave(&third);
	leave(&first);
}

/* By the address in the header, not by that of the load balancer; what it says
 * while a connection has no place is heard before it is told so. */
void
clients_are_counted_by_their_header(void)
{
	const char *each_is[] = { "event=session.refused ", FROM_THE_HEADER,
		" reason=limit", "max_sessions_per_client is reached", NULL };
	const char *all_is[] = { "event=session.refused ", FROM_THE_HEADER,
		" reason=limit", "max_sessions of the endpoint", NULL };
	struct actor first, second;
	unsigned each, all;
	struct fake fake;
	struct world w;

	world_init(&w);
	fake_init(&fake, secured_server, server_context("good"));
	fake_start(&fake, 2);
	each = world_add(&w, "each", &fake,
	    MODE_FULL ACCEPT "max_sessions_per_client = 1; ");
	all =
	    world_add(&w, "all", &fake, MODE_FULL ACCEPT "max_sessions = 1; ");
	world_start(&w);
	three_visits(&w, each);
	CU_ASSERT_TRUE(world_settles(&w));
	three_visits(&w, each); /* nothing was left of them */
	BEGIN(&first, &w, all, BINARY STARTUP);
	receive_welcome(&first);
	BEGIN(&second, &w, all, LINE STARTUP);
	check_refused(&second);
	leave(&first);
	CU_ASSERT_TRUE(world_settles(&w));
	CU_ASSERT_EQUAL(world_count_logged(&w, each_is), 2);
	CU_ASSERT_EQUAL(world_count_logged(&w, all_is), 1);
	world_fini(&w);
	fake_fini(&fake);
}

static bool
a_second_has_passed(const void *arg)
{
	const double *start = arg;

	return seconds_now() - *start > 1.05;
}

void
sessions_come_at_their_rate(void)
{
	const char *refusals[] = { "event=session.refused ", " reason=limit",
		"max_session_rate is reached", NULL };
	double start;
	uint8_t first = 0;
	struct actor a;
	unsigned endpoint;
	bool refused;
	struct fake fake;
	struct world w;

	world_init(&w);
	fake_init(&fake, secured_server, server_context("good"));
	fake_start(&fake, 2);
	endpoint =
	    world_add(&w, "rate", &fake, MODE_FULL "max_session_rate = 1; ");
	world_start(&w);
	start = seconds_now();
	BEGIN(&a, &w, endpoint, STARTUP);
	receive_welcome(&a);
	leave(&a);
	BEGIN(&a, &w, endpoint, STARTUP);
	(void)actor_receive(&a, &first, 1);
	refused = first == 'E';
	CU_ASSERT(refused || seconds_now() - start >= 1);
	leave(&a);
	CU_ASSERT_TRUE(wait_until(a_second_has_passed, &start));
	BEGIN(&a, &w, endpoint, STARTUP);
	receive_welcome(&a);
	leave(&a);
	CU_ASSERT_TRUE(world_settles(&w));
	CU_ASSERT_EQUAL(world_count_logged(&w, refusals), refused);
	world_fini(&w);
	fake_fini(&fake);
}
