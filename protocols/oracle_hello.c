/*
 * What `dbtls test` says in a client's place: a ping, or CONNECT for a service
 * as thin drivers say it, up to where they would log in.
 */
#include "protocols/oracle_private.h"

#include <string.h>

/* As Oracle's own tnsping does: it is of no service, and a listener answers it
 * by itself. */
#define PING     "(DESCRIPTION=(CONNECT_DATA=(COMMAND=ping)))"
#define PING_LEN (sizeof(PING) - 1)
#define PING_AT  74u
/* What the bytes below say of the data's length, and of the packet's. */
#define PING_SAYS_DATA   0x2bu
#define PING_SAYS_PACKET 0x75u
const uint8_t oracle_ping[ORACLE_PING_LEN + 1] =
    "\0\x75\0\0\x01\0\0\0"                 /* CONNECT */
    "\x01\x3f\x01\x2c\0\x01\x20\0\xff\xff" /* versions, options, sizes */
    "\x4f\x98\0\0\0\x01\0\x2b\0\x4a"       /* data */
    "\0\0\0\0\x84\x84"                     /* no native encryption */
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "\0\0\x20\0\0\0\xff\xff\0\0\0\0\0\0\0\0" PING;
_Static_assert(PING_LEN == PING_SAYS_DATA &&
	PING_AT + PING_LEN == PING_SAYS_PACKET &&
	PING_SAYS_PACKET == ORACLE_PING_LEN,
    "its lengths are what it says they are");

#define PROGRAM  "dbtls"
#define NAME_MAX 255u /* of a service */
#define DATA_MAX 1024u
/* They have a meaning in a descriptor, or to those who read it. */
#define SIGNS "()=,\"'\\"

static bool
is_plain(uint8_t c)
{
	return c > ' ' && c <= '~' && memchr(SIGNS, c, strlen(SIGNS)) == NULL;
}

static const char *
name_problem(const char *name)
{
	const size_t len = strlen(name);
	size_t i;

	if (len == 0)
		return "is empty; give the name of one";
	if (len > NAME_MAX)
		return "is longer than 255 bytes, as none is";
	for (i = 0; i < len; i++) {
		if (!is_plain((uint8_t)name[i]))
			return "has a blank, a control character, one of ()=,"
			       "\"'\\ or what is not ASCII in it; give the "
			       "name alone, as it stands behind SERVICE_NAME "
			       "or SID";
	}
	return NULL;
}

/* What this machine and its user are called is nobody's fault. */
static void
write_value(struct wr *w, const char *name, const char *value)
{
	wr_u8(w, '(');
	wr_string(w, name);
	wr_u8(w, '=');
	for (; *value != '\0'; value++) {
		const uint8_t c = (uint8_t)*value;

		wr_u8(w, is_plain(c) ? c : '?');
	}
	wr_u8(w, ')');
}

static void
write_port(struct wr *w, uint16_t port)
{
	char digits[sizeof("65535")] = "";
	size_t at = sizeof(digits) - 1;

	do {
		digits[--at] = (char)('0' + port % 10);
		port /= 10;
	} while (port > 0);
	write_value(w, "PORT", digits + at);
}

static void
write_address(struct wr *w, const struct neg_ask *a)
{
	if (a->host == NULL)
		return;
	wr_string(w, "(ADDRESS=");
	write_value(w, "PROTOCOL", a->tls ? "tcps" : "tcp");
	write_value(w, "HOST", a->host);
	write_port(w, a->port);
	wr_u8(w, ')');
}

static void
write_description(struct wr *w, const struct neg_ask *a)
{
	wr_string(w, "(DESCRIPTION=");
	write_address(w, a);
	wr_string(w, "(CONNECT_DATA=");
	if (a->service != NULL)
		write_value(w, "SERVICE_NAME", a->service);
	else
		write_value(w, "SID", a->sid);
	wr_string(w, "(CID=");
	write_value(w, "PROGRAM", PROGRAM);
	write_value(w, "HOST", a->machine);
	write_value(w, "USER", a->user);
	wr_string(w, ")))");
}

const char *
oracle_ask(const struct neg_ask *a, struct wr *hello)
{
	uint8_t room[DATA_MAX];
	struct wr data = { .base = room, .cap = sizeof(room) };
	struct tns_connect c = {
		.head = { .at = oracle_ping, .left = PING_AT },
	};
	const char *problem =
	    name_problem(a->service != NULL ? a->service : a->sid);

	if (problem != NULL)
		return problem;
	write_description(&data, a);
	c.data = wr_written(&data);
	c.in_packet = tns_fits_connect(c.data.left);
	tns_write_connect(hello, &c, 0);
	return data.full || hello->full
	    ? "does not fit with the rest of what a client says"
	    : NULL;
}
