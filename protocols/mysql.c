/*
 * mysql.c - engines `mysql` (Aurora) and `mariadb`
 *
 * Capabilities about TLS are each leg's own.  A client that asks for it is
 * given it by us; the server is asked with the head of the client's own log-in,
 * because it believes what it was told there and not what comes later.
 */
#include "protocols/mysql.h"

#include "protocols/mysql_proof.h"

/* No client waits longer for a greeting. */
#define PROBE_MAX 60000u

static const struct neg_tls mysql_tls = { .alpn_rule = NEG_ALPN_NONE };

const struct mysql_options *
mysql_options_of(const struct negotiator *n)
{
	static const struct mysql_options none;

	return n->options != NULL ? n->options : &none;
}

struct verdict
mysql_protocol_error(struct negotiator *n, enum leg_id leg, const char *text)
{
	return neg_end(n, REASON_PROTOCOL, leg, text, NULL);
}

static struct verdict
internal_error(struct negotiator *n)
{
	return neg_past_end(n);
}

/*
 * The client's log-in.
 */

/* Before the log-in a server has nothing to say, unless it gives up; and what
 * it says before TLS is nothing to believe. */
static struct verdict
await_client(struct negotiator *n)
{
	if (n->in[LEG_SERVER].left == 0)
		return neg_read(FROM_CLIENT | FROM_SERVER);
	return neg_end(n, REASON_PROTOCOL, LEG_SERVER,
	    "server spoke again before the client had logged in",
	    "it may have tired of waiting: see its connect_timeout");
}

static struct verdict
garbled(struct negotiator *n, enum reason reason, const char *text,
    const char *hint)
{
	struct mysql *my = n->state;

	my->at = MYSQL_AT_GARBLED;
	return neg_end(n, reason, LEG_CLIENT, text, hint);
}

static struct verdict
first_is_ssl_request(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	struct rd r = p->payload;
	struct mysql_head h;

	if (n->policy->client == CLIENT_TLS_OFF)
		return garbled(n, REASON_CLIENT_TLS,
		    "client asked for TLS, which this listener does not offer",
		    "give the endpoint a client_tls group");
	if (r.left > MYSQL_LOGIN_HEAD_LEN)
		return garbled(n, REASON_PROTOCOL,
		    "client asked for TLS and went on in the same packet",
		    NULL);
	if (mysql_id_heard(my, LEG_CLIENT, p->id) != 1)
		return garbled(n, REASON_PROTOCOL,
		    "client sent packets out of order", NULL);
	mysql_head_read(&r, &h);
	my->caps = h.caps & ~my->withheld;
	my->more = h.more;
	my->more_known = !r.cut;
	rd_skip(&n->in[LEG_CLIENT], mysql_packet_len(p));
	my->at = MYSQL_AT_CLIENT_TLS;
	return neg_start_tls(LEG_CLIENT, &mysql_tls);
}

struct verdict
mysql_first(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	struct rd r = p->payload;
	uint32_t caps = rd_le32(&r);

	if (r.cut)
		return garbled(n, REASON_PROTOCOL,
		    "client does not speak MySQL: its first packet is no "
		    "log-in",
		    NULL);
	if ((caps & MYSQL_PROTOCOL_41) == 0) {
		my->old_client = true;
		(void)mysql_id_heard(my, LEG_CLIENT, p->id);
		my->at = MYSQL_AT_LOGGED_IN;
		return mysql_protocol_error(n, LEG_CLIENT,
		    "client is older than MySQL 4.1, which has no log-in that "
		    "could be passed on");
	}
	if (caps & MYSQL_SSL)
		return first_is_ssl_request(n, p);
	my->caps = caps & ~my->withheld;
	my->at = MYSQL_AT_LOGIN;
	return neg_next();
}

struct verdict
mysql_too_long(struct negotiator *n, enum leg_id leg)
{
	return mysql_protocol_error(n, leg,
	    leg == LEG_CLIENT
		? "client sent a packet that is too long for a log-in"
		: "server sent a packet that is too long for a log-in");
}

static struct verdict
step_client(struct negotiator *n,
    struct verdict (*heard)(struct negotiator *n, const struct mysql_packet *p))
{
	struct mysql_packet p;

	switch (mysql_packet_look(n->in[LEG_CLIENT], &p)) {
	case MYSQL_ARRIVAL_PART:
		return await_client(n);
	case MYSQL_ARRIVAL_TOO_LONG:
		return mysql_too_long(n, LEG_CLIENT);
	case MYSQL_ARRIVAL_WHOLE:
		break;
	}
	return heard(n, &p);
}

static struct verdict
step_client_tls(struct negotiator *n)
{
	struct mysql *my = n->state;

	my->at = MYSQL_AT_LOGIN;
	return neg_next();
}

static void
note_names(struct neg_names *names, const struct mysql_login *l)
{
	neg_name_set(names->user, l->user);
	neg_name_set(names->database, l->database);
	neg_name_set(names->program,
	    mysql_attribute(l->attributes, "program_name"));
}

/* The only packet that goes to a server without TLS where TLS is demanded. */
static struct verdict
ask_for_tls(struct negotiator *n, const struct mysql_head *h)
{
	struct mysql *my = n->state;
	struct mysql_head ours = *h;

	ours.caps = my->caps | MYSQL_SSL;
	ours.more = my->server_caps & MYSQL_LONG_PASSWORD ? 0 : my->more;
	mysql_ssl_request_write(&n->out[LEG_SERVER],
	    mysql_id_next(my, LEG_SERVER, 1), &ours);
	my->at = MYSQL_AT_SERVER_TLS;
	return neg_start_tls(LEG_SERVER, &mysql_tls);
}

static struct verdict
logged_in(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	struct rd r = p->payload;
	struct mysql_login l;
	struct mysql_head h;

	my->held_shift = mysql_id_heard(my, LEG_CLIENT, p->id);
	my->at = MYSQL_AT_LOGGED_IN;
	mysql_head_read(&r, &h);
	if (!my->more_known)
		my->more = h.more;
	if (!mysql_login_read(p->payload, my->caps, my->server_caps, &l))
		return mysql_protocol_error(n, LEG_CLIENT,
		    "client sent a log-in that is malformed");
	note_names(&n->names, &l);
	if (!neg_rule_met(n, LEG_CLIENT))
		return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT,
		    "client does not use TLS, which this listener demands",
		    "connect with --ssl-mode=REQUIRED or stricter");
	my->held = true;
	if (n->policy->server == SERVER_TLS_NEVER)
		return neg_next();
	return ask_for_tls(n, &h);
}

static struct verdict
step_server_tls(struct negotiator *n)
{
	struct mysql *my = n->state;

	my->at = MYSQL_AT_LOGGED_IN;
	return neg_next();
}

static struct verdict
mysql_step(struct negotiator *n)
{
	const struct mysql *my = n->state;

	switch (my->at) {
	case MYSQL_AT_OPENING:
		return mysql_step_opening(n);
	case MYSQL_AT_CONNECTING:
		return mysql_step_connecting(n);
	case MYSQL_AT_GREETING:
		return mysql_step_greeting(n);
	case MYSQL_AT_FIRST:
		return step_client(n, mysql_first);
	case MYSQL_AT_CLIENT_TLS:
		return step_client_tls(n);
	case MYSQL_AT_LOGIN:
		return step_client(n, logged_in);
	case MYSQL_AT_SERVER_TLS:
		return step_server_tls(n);
	case MYSQL_AT_LOGGED_IN:
		return mysql_auth_begin(n);
	case MYSQL_AT_AUTH:
		return mysql_auth_step(n);
	case MYSQL_AT_KEY:
		return mysql_bridge_key(n);
	case MYSQL_AT_SEALED:
		return mysql_bridge_sealed(n);
	case MYSQL_AT_RELAYED:
		return mysql_step_relayed(n);
	case MYSQL_AT_WOKEN:
		return mysql_step_woken(n);
	case MYSQL_AT_CHANGED:
		return mysql_step_changed(n);
	case MYSQL_AT_GARBLED:
	case MYSQL_AT_TOLD:
		break;
	}
	return internal_error(n);
}

static bool
mysql_preamble(const struct negotiator *n, struct rd out)
{
	const struct mysql *my = n->state;
	bool mariadb = (my->server_caps & MYSQL_LONG_PASSWORD) == 0;

	return mysql_ssl_request_is(out, mariadb);
}

static const char *
mysql_where(const struct negotiator *n)
{
	const struct mysql *my = n->state;

	switch (my->at) {
	case MYSQL_AT_OPENING:
	case MYSQL_AT_CONNECTING:
		return "connecting to the server";
	case MYSQL_AT_GREETING:
		return "awaiting the server's greeting";
	case MYSQL_AT_FIRST:
	case MYSQL_AT_LOGIN:
		return "awaiting the client's log-in";
	case MYSQL_AT_CLIENT_TLS:
		return "securing the client's leg";
	case MYSQL_AT_SERVER_TLS:
		return "securing the server's leg";
	case MYSQL_AT_LOGGED_IN:
	case MYSQL_AT_KEY:
		return "awaiting the server during log-in";
	case MYSQL_AT_AUTH:
		return my->owed > 0 ? "awaiting the client during log-in"
				    : "awaiting the server during log-in";
	case MYSQL_AT_SEALED:
		return "awaiting the client during log-in";
	case MYSQL_AT_RELAYED:
	case MYSQL_AT_WOKEN:
		return "awaiting the client's change of user";
	case MYSQL_AT_CHANGED:
		return "awaiting the server during a change of user";
	case MYSQL_AT_GARBLED:
	case MYSQL_AT_TOLD:
		break;
	}
	return "refusing the client";
}

/*
 * Settings and names.
 */

static const struct neg_option mysql_options[] = {
	{ .name = "probe",
	    .kind = NEG_OPTION_COUNT,
	    .offset = offsetof(struct mysql_options, probe),
	    .max = PROBE_MAX,
	    .help =
		"milliseconds for which a client must have stayed before the "
		"server is dialled, so that health checks cost it nothing" },
	{ .name = "rsa_key",
	    .kind = NEG_OPTION_RSA_PRIVATE,
	    .offset = offsetof(struct mysql_options, rsa_key),
	    .help = "private key under which clients without TLS send their "
		    "password; by default one is made at every start" },
	{ .name = "server_public_key",
	    .kind = NEG_OPTION_RSA_PUBLIC,
	    .offset = offsetof(struct mysql_options, server_public_key),
	    .help =
		"the server's public key, to encrypt a password where its leg "
		"has no TLS" },
	{ .name = "get_server_public_key",
	    .kind = NEG_OPTION_BOOL,
	    .offset = offsetof(struct mysql_options, get_server_public_key),
	    .help =
		"whether to believe the public key that a server without TLS "
		"sends, if none is given" },
	{ .name = "certificate_proof",
	    .kind = NEG_OPTION_SECRETS,
	    .offset = offsetof(struct mysql_options, certificate_proof),
	    .check = mysql_proof_check,
	    .help =
		"users' password hashes, to prove our certificate to MariaDB "
		"clients that know no CA" },
	{ .name = NULL },
};

/* `dbtls test` says this after the greeting: nobody's log-in, with neither
 * plugin nor password. */
#define HELLO_LEN 39u
static const uint8_t hello[] = { HELLO_LEN, 0, 0, 1,
	/* capabilities: version 4.1, a length before the answer */
	0x00, 0x82, 0, 0,
	/* 16 MB, utf8, and the filler */
	0, 0, 0, 1, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0,
	/* the user, and no answer */
	'd', 'b', 't', 'l', 's', '\0', 0 };
_Static_assert(sizeof(hello) == MYSQL_HEAD_LEN + HELLO_LEN,
    "it must be as long as it says");

static const char *const mysql_aliases[] = { "aurora", NULL };

const struct neg_ops neg_mysql = {
	.name = "mysql",
	.aliases = mysql_aliases,
	.default_port = 3306,
	.window = MYSQL_HEAD_LEN + MYSQL_PAYLOAD_MAX,
	.state_size = sizeof(struct mysql),
	.options = mysql_options,
	.options_size = sizeof(struct mysql_options),
	.server_start = NEG_START_ASKED,
	.client_chooses = true,
	.no_close_notify = true,
	.hello = { .at = hello, .left = sizeof(hello) },
	.step = mysql_step,
	.refuse = mysql_refuse,
	.preamble = mysql_preamble,
	.where = mysql_where,
};

const struct neg_ops neg_mariadb = {
	.name = "mariadb",
	.default_port = 3306,
	.window = MYSQL_HEAD_LEN + MYSQL_PAYLOAD_MAX,
	.state_size = sizeof(struct mysql),
	.options = mysql_options,
	.options_size = sizeof(struct mysql_options),
	.options_group = "mysql",
	.server_start = NEG_START_ASKED,
	.client_chooses = true,
	.no_close_notify = true,
	.hello = { .at = hello, .left = sizeof(hello) },
	.step = mysql_step,
	.refuse = mysql_refuse,
	.preamble = mysql_preamble,
	.where = mysql_where,
};
