/*
 * mysql_open.c - connecting, and the server's greeting
 *
 * The server speaks first, so it is dialled before anything is known of the
 * client.  Whoever only knocks costs the server a connection that comes to
 * nothing, of which it counts so many for our address and then locks us out;
 * hence the setting `probe`, which waits whether the client stays.
 */
#include "protocols/mysql.h"

#include <string.h>

/* Errors that a server may greet a client with; any other is ER_UNKNOWN. */
#define ER_CON_COUNT        1040u
#define ER_UNKNOWN          1105u
#define ER_HOST_IS_BLOCKED  1129u
#define ER_HOST_NOT_ALLOWED 1130u

#define ABOUT_TLS (MYSQL_SSL | MYSQL_SSL_VERIFY)

/* Nobody who speaks MySQL does. */
static struct verdict
refuse_early_client(struct negotiator *n)
{
	return mysql_protocol_error(n, LEG_CLIENT,
	    "client spoke before the server's greeting, which no MySQL client "
	    "does");
}

struct verdict
mysql_step_opening(struct negotiator *n)
{
	struct mysql *my = n->state;

	if (n->in[LEG_CLIENT].left > 0)
		return refuse_early_client(n);
	n->route.delay_ms = mysql_options_of(n)->probe;
	my->at = MYSQL_AT_CONNECTING;
	return neg_connect();
}

/* Asked before it was dialled: the client did not wait. */
struct verdict
mysql_step_connecting(struct negotiator *n)
{
	struct mysql *my = n->state;

	if (n->in[LEG_CLIENT].left > 0)
		return refuse_early_client(n);
	if (!n->connected)
		return neg_connect();
	if (n->policy->server == SERVER_TLS_FIRST)
		return neg_end(n, REASON_INTERNAL, LEG_SERVER,
		    "internal fault: MySQL does not begin with TLS", NULL);
	my->at = MYSQL_AT_GREETING;
	return neg_next();
}

static uint16_t
known_error(uint16_t number)
{
	switch (number) {
	case ER_CON_COUNT:
	case ER_HOST_IS_BLOCKED:
	case ER_HOST_NOT_ALLOWED:
		return number;
	}
	return ER_UNKNOWN;
}

#define UNVERIFIED "unverified: "

static const char *
words_for_error(uint16_t number)
{
	switch (number) {
	case ER_CON_COUNT:
		return UNVERIFIED "server has too many connections";
	case ER_HOST_IS_BLOCKED:
		return UNVERIFIED "server blocks the proxy's address because "
				  "of many connection errors";
	case ER_HOST_NOT_ALLOWED:
		return UNVERIFIED "server does not allow the proxy's address "
				  "to connect";
	}
	return UNVERIFIED "server answered with an error instead of a "
			  "greeting; its words came unprotected and are not "
			  "repeated";
}

/* Where nobody expects better the client has the server's own words, and these
 * are for the log. */
static const char *
words_in_clear(uint16_t number)
{
	if (number != ER_UNKNOWN)
		return words_for_error(number) + strlen(UNVERIFIED);
	return "server answered with an error instead of a greeting, which the "
	       "client was given as it was";
}

static const char *
remedy_for_error(uint16_t number)
{
	switch (number) {
	case ER_CON_COUNT:
		return "raise max_connections of the server, or come back "
		       "later";
	case ER_HOST_IS_BLOCKED:
		return "unblock it there (FLUSH HOSTS, or TRUNCATE TABLE "
		       "performance_schema.host_cache), raise "
		       "max_connect_errors, and set probe for health checks";
	case ER_HOST_NOT_ALLOWED:
		return "grant access to the proxy's address on the server";
	}
	return "see the server's log";
}

/* Anyone on the way could have written it: where TLS is demanded it is passed
 * on as a number alone. */
static struct verdict
greeted_by_error(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	struct rd r = p->payload;

	rd_skip(&r, 1);
	my->server_error = known_error(rd_le16(&r));
	if (n->policy->server == SERVER_TLS_NEVER) {
		mysql_forward(n, LEG_SERVER, p);
		my->at = MYSQL_AT_TOLD;
		return neg_end(n, REASON_CONNECT, LEG_SERVER,
		    words_in_clear(my->server_error),
		    remedy_for_error(my->server_error));
	}
	return neg_end(n, REASON_CONNECT, LEG_SERVER,
	    words_for_error(my->server_error),
	    remedy_for_error(my->server_error));
}

/* A client with TLS that changes its user may send a password as it is.  Where
 * the server's leg has no TLS we must see that, so nothing may be compressed:
 * mysql_change.c cannot look into it. */
static bool
must_see_all(const struct negotiator *n)
{
	return n->policy->client != CLIENT_TLS_OFF &&
	    n->policy->server == SERVER_TLS_NEVER && !n->leg[LEG_SERVER].local;
}

static struct verdict
pass_greeting(struct negotiator *n, const struct mysql_packet *p,
    const struct mysql_greeting *g)
{
	struct mysql *my = n->state;
	struct wr *out = &n->out[LEG_CLIENT];
	uint32_t caps;

	if (must_see_all(n))
		my->withheld = MYSQL_COMPRESSION;
	my->server_caps = g->caps & ~my->withheld;
	caps = n->policy->client == CLIENT_TLS_OFF
	    ? my->server_caps & ~(uint32_t)ABOUT_TLS
	    : my->server_caps | MYSQL_SSL;
	my->nonce_known = true;
	memcpy(my->nonce, g->nonce, sizeof(my->nonce));
	memcpy(my->proof_nonce, g->nonce, sizeof(my->proof_nonce));
	mysql_write_head(out, p->payload.left, p->id);
	mysql_greeting_write(out, p->payload, g, caps);
	rd_skip(&n->in[LEG_SERVER], mysql_packet_len(p));
	my->at = MYSQL_AT_FIRST;
	return neg_next();
}

static struct verdict
greeted(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql_greeting g;

	switch (mysql_greeting_read(p->payload, &g)) {
	case MYSQL_GREETING_FOREIGN:
		return mysql_protocol_error(n, LEG_SERVER,
		    "server does not speak MySQL: it began with no greeting");
	case MYSQL_GREETING_X:
		return neg_end(n, REASON_PROTOCOL, LEG_SERVER,
		    "server speaks the X protocol, not the classic one",
		    "use the server's port 3306, or engine mysqlx");
	case MYSQL_GREETING_OLD:
		return mysql_protocol_error(n, LEG_SERVER,
		    "server is older than MySQL 4.1, which has no log-in that "
		    "could be passed on");
	case MYSQL_GREETING_GOOD:
		break;
	}
	if (n->policy->server == SERVER_TLS_NEVER || (g.caps & MYSQL_SSL) != 0)
		return pass_greeting(n, p, &g);
	return neg_end(n, REASON_TLS_REFUSED, LEG_SERVER,
	    "server does not offer TLS",
	    "turn on TLS at the server, or correct its address");
}

struct verdict
mysql_step_greeting(struct negotiator *n)
{
	struct mysql_packet p;
	struct rd type;

	if (n->in[LEG_CLIENT].left > 0)
		return refuse_early_client(n);
	switch (mysql_packet_look(n->in[LEG_SERVER], &p)) {
	case MYSQL_ARRIVAL_PART:
		return neg_read(FROM_CLIENT | FROM_SERVER);
	case MYSQL_ARRIVAL_TOO_LONG:
		return mysql_protocol_error(n, LEG_SERVER,
		    "server does not speak MySQL: its first bytes are the "
		    "length of no greeting");
	case MYSQL_ARRIVAL_WHOLE:
		break;
	}
	if (p.id != 0)
		return mysql_protocol_error(n, LEG_SERVER,
		    "server does not speak MySQL: its first packet is not its "
		    "first");
	type = p.payload;
	if (rd_u8(&type) == MYSQL_ERR)
		return greeted_by_error(n, &p);
	return greeted(n, &p);
}
