/*
 * oracle.c - engine `oracle`: Oracle Net, with TLS (TCPS) or without
 *
 *	client             here                      server
 *	 TLS, or not   <->
 *	 CONNECT        -> held; connect
 *	                   TLS                   <->
 *	                   CONNECT                ->
 *	                                         <-  RESEND
 *	                   TLS anew, if it says so <->
 *	                   CONNECT                ->
 *	                                         <-  REDIRECT
 *	                   connect there, TLS ... <->
 *	                   CONNECT                ->
 *	                <- ACCEPT or REFUSE      <-  ACCEPT or REFUSE
 *	                   relay
 *
 * A listener hands a connection to another process, which cannot take over
 * its TLS: RESEND asks for a handshake from the start, on the same socket.  No
 * relay of bytes can have that, as the client's TLS is not the server's.  So
 * the client sees none of it: RESEND and REDIRECT are answered here, whichever
 * leg has TLS, and all that came with a wish of the server's is demanded again:
 * the rule of the endpoint holds for each handshake and for each server.
 *
 * What CONNECT says is kept until the server accepts.  All that follows goes by
 * unread.
 */
#include "protocols/oracle_private.h"

#include <string.h>

static const struct neg_tls oracle_tls = { .alpn_rule = NEG_ALPN_NONE };

static const struct neg_option oracle_options[] = {
	{ .name = "redirect_allow",
	    .kind = NEG_OPTION_HOSTS,
	    .offset = offsetof(struct oracle_options, redirect_allow),
	    .help = "where a server may send sessions on to, besides its own "
		    "domain and addresses" },
	{ .name = "sni",
	    .kind = NEG_OPTION_BOOL,
	    .offset = offsetof(struct oracle_options, sni),
	    .help = "name the service in SNI: servers of version 23 and later "
		    "then need but one handshake" },
	{ .name = NULL },
};

/*
 * What both sides need.
 */

struct rd
oracle_data(const struct oracle *s)
{
	return (struct rd){ .at = s->data, .left = s->data_len };
}

struct rd
oracle_head(const struct oracle *s)
{
	return (struct rd){ .at = s->head, .left = s->head_len };
}

bool
oracle_append(uint8_t *to, size_t cap, size_t *len, struct rd bytes)
{
	struct wr w = { .base = to, .len = *len, .cap = cap };

	wr_bytes(&w, bytes.at, bytes.left);
	*len = w.len;
	return !w.full;
}

void
oracle_forget(struct oracle *s, size_t keep)
{
	neg_wipe(s->data + keep, s->data_len - keep);
	s->data_len = keep;
}

enum tns_arrival
oracle_collect(struct negotiator *n, enum leg_id from, uint8_t *to, size_t cap,
    size_t *len)
{
	struct oracle *s = n->state;
	struct tns_packet p;
	const enum tns_arrival a = tns_look(n->in[from], &p);
	struct rd data = tns_data(p.all);

	if (a == TNS_BAD || (p.head_seen && p.type != TNS_DATA))
		return TNS_BAD;
	if (a == TNS_PART)
		return TNS_PART;
	if (data.left == 0 || data.left > s->missing ||
	    !oracle_append(to, cap, len, data))
		return TNS_BAD;
	s->missing -= data.left;
	rd_skip(&n->in[from], p.all.left);
	return TNS_WHOLE;
}

/*
 * The client: its TLS, and CONNECT.
 */

enum opening {
	OPENING_PART = 0,
	OPENING_TLS,
	OPENING_CONNECT, /* whole */
	OPENING_OTHER,
};

static enum opening
look(struct rd r, struct tns_packet *p)
{
	bool part;

	if (neg_begins_record(r, NEG_RECORD_HANDSHAKE, &part))
		return OPENING_TLS;
	if (part)
		return OPENING_PART;
	switch (tns_look(r, p)) {
	case TNS_PART:
		return p->head_seen && p->type != TNS_CONNECT ? OPENING_OTHER
							      : OPENING_PART;
	case TNS_WHOLE:
		return p->type == TNS_CONNECT ? OPENING_CONNECT : OPENING_OTHER;
	case TNS_BAD:
		break;
	}
	return OPENING_OTHER;
}

static struct verdict
garbled(struct negotiator *n, enum reason reason, const char *text,
    const char *hint)
{
	struct oracle *s = n->state;

	s->at = AT_GARBLED;
	return neg_end(n, reason, LEG_CLIENT, text, hint);
}

static struct verdict
step_client_hello(struct negotiator *n)
{
	struct oracle *s = n->state;

	if (n->leg[LEG_CLIENT].tls_up)
		return garbled(n, REASON_PROTOCOL,
		    "client began with TLS inside TLS", NULL);
	if (n->policy->client == CLIENT_TLS_OFF)
		return garbled(n, REASON_CLIENT_TLS,
		    "client began with TLS, which this listener does not offer",
		    "give its endpoint a client_tls group, or let the client "
		    "use PROTOCOL=tcp");
	s->at = AT_CLIENT_TLS;
	return neg_start_tls(LEG_CLIENT, &oracle_tls);
}

struct verdict
oracle_step_client_tls(struct negotiator *n)
{
	struct oracle *s = n->state;

	s->at = AT_CONNECT;
	return neg_next();
}

static void
read_names(struct negotiator *n)
{
	const struct rd data = oracle_data(n->state);
	struct rd database = tns_value(data, "CONNECT_DATA", "SERVICE_NAME");

	if (database.left == 0)
		database = tns_value(data, "CONNECT_DATA", "SID");
	neg_name_set(n->names.database, database);
	neg_name_set(n->names.program, tns_value(data, "CID", "PROGRAM"));
}

static struct verdict
lacks_tls(struct negotiator *n)
{
	const char *text =
	    "client does not use TLS, which this listener demands";

	if (tns_offers_native(oracle_head(n->state)))
		return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT, text,
		    "let it use PROTOCOL=tcps; native network encryption "
		    "(SQLNET.ENCRYPTION_CLIENT), which it offers, is no TLS");
	return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT, text,
	    "let it use PROTOCOL=tcps");
}

/* All of CONNECT is here. */
static struct verdict
step_connect_whole(struct negotiator *n)
{
	struct oracle *s = n->state;

	read_names(n);
	s->at = AT_CONNECTING;
	if (s->refusing)
		return oracle_tell(n);
	if (!neg_rule_met(n, LEG_CLIENT))
		return lacks_tls(n);
	return neg_connect();
}

static struct verdict
bad_connect(struct negotiator *n)
{
	return garbled(n, REASON_PROTOCOL,
	    "client sent a CONNECT packet that makes no sense", NULL);
}

static struct verdict
step_connect_packet(struct negotiator *n, struct rd packet)
{
	struct oracle *s = n->state;
	struct tns_connect c;

	if (!tns_read_connect(packet, &c, &s->missing) ||
	    !oracle_append(s->head, sizeof(s->head), &s->head_len, c.head) ||
	    !oracle_append(s->data, sizeof(s->data), &s->data_len, c.data))
		return bad_connect(n);
	s->in_packet = c.in_packet;
	rd_skip(&n->in[LEG_CLIENT], packet.left);
	if (s->missing == 0)
		return step_connect_whole(n);
	s->at = AT_CONNECT_DATA;
	return neg_next();
}

struct verdict
oracle_step_connect(struct negotiator *n)
{
	struct tns_packet p;

	switch (look(n->in[LEG_CLIENT], &p)) {
	case OPENING_PART:
		return neg_read(FROM_CLIENT);
	case OPENING_TLS:
		return step_client_hello(n);
	case OPENING_CONNECT:
		return step_connect_packet(n, p.all);
	case OPENING_OTHER:
		break;
	}
	return garbled(n, REASON_PROTOCOL,
	    "client does not speak Oracle Net: it began with something else "
	    "than CONNECT",
	    "is it a client of Oracle's database?");
}

struct verdict
oracle_step_connect_data(struct negotiator *n)
{
	struct oracle *s = n->state;

	switch (oracle_collect(n, LEG_CLIENT, s->data, sizeof(s->data),
	    &s->data_len)) {
	case TNS_PART:
		return neg_read(FROM_CLIENT);
	case TNS_WHOLE:
		return s->missing == 0 ? step_connect_whole(n) : neg_next();
	case TNS_BAD:
		break;
	}
	return bad_connect(n);
}

static struct verdict
oracle_step(struct negotiator *n)
{
	const struct oracle *s = n->state;

	switch (s->at) {
	case AT_CONNECT:
		return oracle_step_connect(n);
	case AT_CLIENT_TLS:
		return oracle_step_client_tls(n);
	case AT_CONNECT_DATA:
		return oracle_step_connect_data(n);
	case AT_CONNECTING:
		return oracle_step_connecting(n);
	case AT_SERVER_TLS:
		return oracle_step_server_tls(n);
	case AT_ANSWER:
		return oracle_step_answer(n);
	case AT_REDIRECT_DATA:
		return oracle_step_redirect_data(n);
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return neg_past_end(n);
}

static const char *
oracle_where(const struct negotiator *n)
{
	const struct oracle *s = n->state;

	switch (s->at) {
	case AT_CONNECT:
	case AT_CONNECT_DATA:
		return "awaiting the client's CONNECT";
	case AT_CLIENT_TLS:
		return "securing the client's leg";
	case AT_CONNECTING:
		return "connecting to the server";
	case AT_SERVER_TLS:
		return "securing the server's leg";
	case AT_ANSWER:
		return "awaiting the server's answer to CONNECT";
	case AT_REDIRECT_DATA:
		return "awaiting where the server sends us on to";
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return "refusing the client";
}

static const struct neg_hosts *
oracle_redirects(const void *options)
{
	const struct oracle_options *o = options;

	return &o->redirect_allow;
}

const struct neg_ops neg_oracle = {
	.name = "oracle",
	.default_port = 1521,
	.window = ORACLE_WINDOW,
	.state_size = sizeof(struct oracle),
	.options = oracle_options,
	.options_size = sizeof(struct oracle_options),
	.server_start = NEG_START_FIRST,
	.client_first = true,
	.client_chooses = true,
	.no_close_notify = true,
	.redirects = oracle_redirects,
	.hello = { .at = oracle_ping, .left = ORACLE_PING_LEN },
	.ask = oracle_ask,
	.words = &oracle_words,
	.step = oracle_step,
	.refuse = oracle_refuse,
	.where = oracle_where,
};
