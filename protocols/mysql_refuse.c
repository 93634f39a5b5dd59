/*
 * mysql_refuse.c - turning a client away in the words of MySQL
 *
 * Before the greeting an error has no sqlstate, and takes the greeting's place.
 * After it a client listens for one only when it has logged in, and inside TLS
 * if it asked for that: so it is heard that far.
 */
#include "protocols/mysql.h"

#define ER_CON_COUNT        1040u
#define ER_HANDSHAKE        1043u
#define ER_ACCESS_DENIED    1045u
#define ER_SERVER_SHUTDOWN  1053u
#define ER_UNKNOWN          1105u
#define ER_SECURE_TRANSPORT 3159u /* .._REQUIRED */

/* A client of MariaDB understands only numbers of servers here. */
static uint16_t
number_before_greeting(const struct negotiator *n)
{
	const struct mysql *my = n->state;

	if (my->server_error != 0)
		return my->server_error;
	switch (reason_class(n->error.reason)) {
	case REASON_CLASS_TEMPORARY:
		return ER_UNKNOWN;
	case REASON_CLASS_LIMIT:
		return ER_CON_COUNT;
	case REASON_CLASS_PERMANENT:
		break;
	}
	return ER_HANDSHAKE;
}

static void
set_number(const struct negotiator *n, struct mysql_error *e)
{
	if (n->error.reason == REASON_CLIENT_TLS) {
		e->number = ER_SECURE_TRANSPORT;
		e->sqlstate = "HY000";
		return;
	}
	switch (reason_class(n->error.reason)) {
	case REASON_CLASS_TEMPORARY:
		e->number = ER_SERVER_SHUTDOWN;
		e->sqlstate = "08S01";
		return;
	case REASON_CLASS_LIMIT:
		e->number = ER_CON_COUNT;
		e->sqlstate = "08004";
		return;
	case REASON_CLASS_PERMANENT:
		break;
	}
	e->number = ER_ACCESS_DENIED;
	e->sqlstate = "28000";
}

static struct verdict
tell_instead_of_greeting(struct negotiator *n)
{
	struct mysql *my = n->state;
	const struct mysql_error e = { .number = number_before_greeting(n),
		.text = n->error.text,
		.hint = n->error.hint };

	mysql_write_error(&n->out[LEG_CLIENT], 0, &e);
	my->at = MYSQL_AT_TOLD;
	return neg_refused();
}

static struct verdict
tell(struct negotiator *n)
{
	struct mysql *my = n->state;
	struct mysql_error e = { .text = n->error.text, .hint = n->error.hint };

	set_number(n, &e);
	if (my->old_client)
		e.sqlstate = NULL;
	mysql_write_error(&n->out[LEG_CLIENT], mysql_id_next(my, LEG_CLIENT, 1),
	    &e);
	my->at = MYSQL_AT_TOLD;
	return neg_refused();
}

/* Will all of the packet that `r` begins with be seen, with what is unread
 * before it? */
static bool
fits(const struct negotiator *n, struct rd r)
{
	size_t before = n->in[LEG_CLIENT].left - r.left;

	return before + MYSQL_HEAD_LEN + rd_le24(&r) <= n->ops->window;
}

/* When it is the client's turn to speak, it will not hear us before it has. */
static struct verdict
tell_after(struct negotiator *n, struct rd r)
{
	struct mysql_packet p = { .id = 0 };

	if (mysql_packet_look(r, &p) == MYSQL_ARRIVAL_PART &&
	    (r.left < MYSQL_HEAD_LEN || fits(n, r))) {
		if (n->error.reason == REASON_TIMEOUT)
			return neg_refused();
		return neg_read(FROM_CLIENT);
	}
	(void)mysql_id_heard(n->state, LEG_CLIENT, p.id);
	return tell(n);
}

static struct verdict
refuse_first(struct negotiator *n)
{
	const struct mysql *my = n->state;
	const struct neg_error why = n->error;
	struct mysql_packet p;
	struct verdict v;

	if (mysql_packet_look(n->in[LEG_CLIENT], &p) != MYSQL_ARRIVAL_WHOLE)
		return tell_after(n, n->in[LEG_CLIENT]);
	v = mysql_first(n, &p);
	n->error = why; /* its own faults come too late */
	if (v.kind != V_END)
		return v;
	return my->at == MYSQL_AT_GARBLED ? neg_refused() : tell(n);
}

/* If TLS has failed, nothing that we could say would be understood. */
static struct verdict
refuse_client_tls(struct negotiator *n)
{
	struct mysql *my = n->state;

	if (!n->leg[LEG_CLIENT].tls_up)
		return neg_refused();
	my->at = MYSQL_AT_LOGIN;
	return neg_next();
}

static struct verdict
refuse_auth(struct negotiator *n)
{
	const struct mysql *my = n->state;

	return my->owed > 0 ? tell_after(n, n->in[LEG_CLIENT]) : tell(n);
}

struct verdict
mysql_refuse(struct negotiator *n)
{
	const struct mysql *my = n->state;

	switch (my->at) {
	case MYSQL_AT_OPENING:
	case MYSQL_AT_CONNECTING:
	case MYSQL_AT_GREETING:
		return tell_instead_of_greeting(n);
	case MYSQL_AT_FIRST:
		return refuse_first(n);
	case MYSQL_AT_CLIENT_TLS:
		return refuse_client_tls(n);
	case MYSQL_AT_LOGIN:
	case MYSQL_AT_WOKEN:
		return tell_after(n, n->in[LEG_CLIENT]);
	case MYSQL_AT_SERVER_TLS:
	case MYSQL_AT_LOGGED_IN:
	case MYSQL_AT_KEY:
	case MYSQL_AT_CHANGED:
		return tell(n);
	case MYSQL_AT_AUTH:
		return refuse_auth(n);
	case MYSQL_AT_SEALED:
		return tell_after(n, mysql_after_held(n));
	case MYSQL_AT_RELAYED:
	case MYSQL_AT_GARBLED:
	case MYSQL_AT_TOLD:
		break;
	}
	return neg_refused();
}
