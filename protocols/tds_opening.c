#include "protocols/tds_prelogin.h"
#include "protocols/tds_private.h"

const uint8_t tds_own_prelogin[TDS_OWN_PRELOGIN_LEN] = { TDS_PRELOGIN, 1, 0,
	TDS_OWN_PRELOGIN_LEN, 0, 0, 1, 0,
	/* VERSION, ENCRYPTION: token, offset, length */
	0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff,
	/* 9.0, that of 2005 */
	9, 0, 0, 0, 0, 0, TDS_ENCRYPT_NOT_SUP };

/* For a client that is only to hear why not: it would not listen before its
 * LOGIN7, nor send that without. */
static const uint8_t own_answer[] = { TDS_REPLY, 1, 0, 43, 0, 0, 1, 0,
	/* VERSION, ENCRYPTION, INSTOPT, THREADID, MARS */
	0, 0, 26, 0, 6, 1, 0, 32, 0, 1, 2, 0, 33, 0, 1, 3, 0, 34, 0, 0, 4, 0,
	34, 0, 1, 0xff,
	/* 15.0, that of 2019; the instance is right; no MARS */
	15, 0, 7, 0xd0, 0, 0, TDS_ENCRYPT_NOT_SUP, 0, 0 };

/* A record of TLS 1.2 with a fatal alert, handshake_failure. */
static const uint8_t no_handshake[] = { NEG_RECORD_ALERT, 3, 3, 0, 2, 2, 40 };

/* Peers of 8.0 may be older than its ALPN. */
/* FreeTDS with GnuTLS takes a session ticket for an error. */
static const struct neg_tls tls_strict = { .alpn = "tds/8.0",
	.alpn_rule = NEG_ALPN_IF_OFFERED,
	.no_resume = true };
static const struct neg_tls tls_wrapped = { .wrap = &tds_wrap };
static const struct neg_tls tls_login_only = { .wrap = &tds_wrap,
	.may_stop = true };

static struct rd
as_read(const uint8_t *bytes, size_t n)
{
	return (struct rd){ .at = bytes, .left = n };
}

static struct verdict
start_tls(struct negotiator *n, enum leg_id leg, const struct neg_tls *tls,
    enum tds_at at)
{
	struct tds *tds = n->state;

	if (leg == LEG_SERVER)
		n->units[LEG_CLIENT] = &tds_units;
	tds->at = at;
	return neg_start_tls(leg, tls);
}

/* A PRELOGIN, or the answer to one, is a single packet of a modest size, and
 * takes nothing along. */
static enum tds_arrival
look_at_opening(struct rd r, uint8_t type, struct tds_packet *packet)
{
	enum tds_arrival a = tds_look_at_packet(r, packet);

	if (r.left >= TDS_HEAD && packet->len > TDS_PACKET_FIRST)
		return TDS_BAD;
	return r.left > 0 && packet->type != type ? TDS_BAD : a;
}

/*
 * The client's opening.
 */

#define NO_ANSWER TDS_ENCRYPTIONS

/* What a client is told of TLS, by what the listener has and what it wants. */
static const uint8_t answers[][TDS_ENCRYPTIONS] = {
	[CLIENT_TLS_OFF] = {
		[TDS_ENCRYPT_OFF] = TDS_ENCRYPT_NOT_SUP,
		[TDS_ENCRYPT_ON] = NO_ANSWER,
		[TDS_ENCRYPT_NOT_SUP] = TDS_ENCRYPT_NOT_SUP,
		[TDS_ENCRYPT_REQ] = NO_ANSWER,
	},
	[CLIENT_TLS_ALLOW] = {
		[TDS_ENCRYPT_OFF] = TDS_ENCRYPT_OFF,
		[TDS_ENCRYPT_ON] = TDS_ENCRYPT_ON,
		[TDS_ENCRYPT_NOT_SUP] = TDS_ENCRYPT_NOT_SUP,
		[TDS_ENCRYPT_REQ] = TDS_ENCRYPT_ON,
	},
	[CLIENT_TLS_REQUIRE] = {
		[TDS_ENCRYPT_OFF] = TDS_ENCRYPT_REQ,
		[TDS_ENCRYPT_ON] = TDS_ENCRYPT_ON,
		[TDS_ENCRYPT_NOT_SUP] = TDS_ENCRYPT_REQ,
		[TDS_ENCRYPT_REQ] = TDS_ENCRYPT_ON,
	},
};

/* The client's own question comes back with our answer in it, or, if there is
 * no server to give one, one of ours. */
static struct verdict
answer_client(struct negotiator *n, struct rd reply)
{
	struct tds *tds = n->state;

	tds_prelogin_write(&n->out[LEG_CLIENT], reply, tds->answer);
	tds->at = tds->answer == TDS_ENCRYPT_NOT_SUP ? AT_LOGIN : AT_ANSWERED;
	return neg_next();
}

struct verdict
tds_answer_alone(struct negotiator *n)
{
	return answer_client(n, as_read(own_answer, sizeof(own_answer)));
}

/* Told that there is no TLS, some drivers go on in clear although they were to
 * insist, and the next thing that they say has the password in it.  So it is
 * told that there is, and its handshake fails. */
static struct verdict
opening_insists(struct negotiator *n)
{
	struct tds *tds = n->state;

	tds_prelogin_write(&n->out[LEG_CLIENT],
	    as_read(own_answer, sizeof(own_answer)), TDS_ENCRYPT_ON);
	tds->at = AT_INSISTED;
	return neg_next();
}

static struct verdict
not_offered(struct negotiator *n)
{
	struct tds *tds = n->state;

	tds->at = AT_GARBLED;
	return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT,
	    "client insists on TLS, which this listener does not offer",
	    "give the endpoint a client_tls group, or turn off encryption in "
	    "the client (Encrypt=optional, encrypt=false)");
}

/* The alert has to come where the ClientHello has been read, or a reset would
 * overtake it. */
struct verdict
tds_step_insisted(struct negotiator *n)
{
	struct tds_packet packet;

	switch (look_at_opening(n->in[LEG_CLIENT], TDS_PRELOGIN, &packet)) {
	case TDS_PART:
		return neg_read(FROM_CLIENT);
	case TDS_BAD:
		return not_offered(n); /* in clear, or nothing to us */
	case TDS_WHOLE:
		break;
	}
	rd_skip(&n->in[LEG_CLIENT], packet.len);
	if (!packet.last)
		return neg_next();
	tds_write_message(&n->out[LEG_CLIENT], TDS_PRELOGIN,
	    as_read(no_handshake, sizeof(no_handshake)));
	return not_offered(n);
}

static struct verdict
opening_heard(struct negotiator *n, uint8_t wanted)
{
	struct tds *tds = n->state;

	tds->answer = n->leg[LEG_CLIENT].tls_up
	    ? TDS_ENCRYPT_NOT_SUP
	    : answers[n->policy->client][wanted];
	if (tds->answer == NO_ANSWER)
		return opening_insists(n);
	return tds->refusing ? tds_answer_alone(n) : tds_connect(n);
}

/* What it wants besides is not passed on: byte 01 is ours to the last bit. */
static bool
read_wish(struct rd packet, uint8_t *wanted)
{
	struct tds_prelogin p;

	if (!tds_prelogin_read(packet, &p))
		return false;
	*wanted = p.encryption & (uint8_t)~TDS_ENCRYPT_CLIENT_CERT;
	return *wanted < TDS_ENCRYPTIONS &&
	    p.encryption != (TDS_ENCRYPT_NOT_SUP | TDS_ENCRYPT_CLIENT_CERT);
}

static struct verdict
opening_prelogin(struct negotiator *n)
{
	struct tds *tds = n->state;
	struct wr kept = { .base = tds->prelogin,
		.cap = sizeof(tds->prelogin) };
	struct tds_packet packet;
	struct rd bytes;
	uint8_t wanted;

	switch (look_at_opening(n->in[LEG_CLIENT], TDS_PRELOGIN, &packet)) {
	case TDS_PART:
		return neg_read(FROM_CLIENT);
	case TDS_BAD:
		return tds_garbled(n,
		    "client sent a PRELOGIN of an impossible length");
	case TDS_WHOLE:
		break;
	}
	bytes = rd_take(&n->in[LEG_CLIENT], packet.len);
	if (!read_wish(bytes, &wanted))
		return tds_garbled(n,
		    "client sent a PRELOGIN that is not well formed");
	wr_bytes(&kept, bytes.at, bytes.left);
	tds->prelogin_len = kept.len;
	return opening_heard(n, wanted);
}

static struct verdict
opening_strict(struct negotiator *n)
{
	if (n->policy->client != CLIENT_TLS_OFF)
		return start_tls(n, LEG_CLIENT, &tls_strict, AT_STRICT_TLS);
	return not_offered(n);
}

/* Before 7.1 there was no PRELOGIN, and who wants no TLS may still leave it
 * out. */
static struct verdict
opening_login(struct negotiator *n)
{
	struct tds *tds = n->state;

	tds->at = neg_rule_met(n, LEG_CLIENT) ? AT_LOGIN : AT_LOGIN_UNASKED;
	return neg_next();
}

struct verdict
tds_step_opening(struct negotiator *n)
{
	struct rd r = n->in[LEG_CLIENT];
	uint8_t type = rd_u8(&r);

	if (r.cut)
		return neg_read(FROM_CLIENT);
	switch (type) {
	case TDS_PRELOGIN:
		return opening_prelogin(n);
	case TDS_LOGIN7:
		return opening_login(n);
	case NEG_RECORD_HANDSHAKE:
		if (!n->leg[LEG_CLIENT].tls_up)
			return opening_strict(n);
		break;
	case TDS_LOGIN_OLD:
		return tds_garbled(n,
		    "client speaks TDS 5.0 or older, as to a Sybase server");
	}
	return tds_garbled(n,
	    "client does not speak TDS: it began with neither PRELOGIN nor "
	    "LOGIN7");
}

struct verdict
tds_step_strict_tls(struct negotiator *n)
{
	struct tds *tds = n->state;

	tds->at = AT_OPENING;
	return neg_next();
}

/*
 * The server's.
 */

static uint8_t
server_is_asked_for(const struct negotiator *n)
{
	return n->policy->server == SERVER_TLS_REQUIRED ? TDS_ENCRYPT_ON
							: TDS_ENCRYPT_NOT_SUP;
}

static struct rd
question(const struct tds *tds)
{
	return tds->prelogin_len > 0
	    ? as_read(tds->prelogin, tds->prelogin_len)
	    : as_read(tds_own_prelogin, sizeof(tds_own_prelogin));
}

static struct verdict
ask_server(struct negotiator *n)
{
	struct tds *tds = n->state;

	tds_prelogin_write(&n->out[LEG_SERVER], question(tds),
	    server_is_asked_for(n));
	tds->at = AT_ASKED;
	return neg_next();
}

struct verdict
tds_step_connected(struct negotiator *n)
{
	const struct tds *tds = n->state;

	switch (n->policy->server) {
	case SERVER_TLS_NEVER:
		return tds->prelogin_len > 0 ? ask_server(n)
					     : tds_send_login(n);
	case SERVER_TLS_REQUIRED:
		return ask_server(n);
	case SERVER_TLS_FIRST:
		return start_tls(n, LEG_SERVER, &tls_strict, AT_SERVER_STRICT);
	}
	return neg_end(n, REASON_INTERNAL, LEG_SERVER,
	    "internal fault: a rule that is none", NULL);
}

/* Who began with a LOGIN7 awaits no answer but to that. */
static struct verdict
server_opened(struct negotiator *n)
{
	const struct tds *tds = n->state;
	if (tds->prelogin_len == 0)
		return tds_send_login(n);
	return answer_client(n, as_read(tds->reply, tds->reply_len));
}

struct verdict
tds_step_server_strict(struct negotiator *n)
{
	return ask_server(n);
}

static struct verdict
asked_for_none(struct negotiator *n, uint8_t answer)
{
	if (answer == TDS_ENCRYPT_NOT_SUP)
		return server_opened(n);
	if (answer != TDS_ENCRYPT_REQ)
		return tds_protocol_error(n, LEG_SERVER,
		    "server wants encryption that it was told there is not");
	return neg_end(n, REASON_TLS_REFUSED, LEG_SERVER,
	    "server forces encryption, and ssl_mode is none",
	    "set ssl_mode = \"verify-full\" and the server's ca");
}

static struct verdict
asked_for_tls(struct negotiator *n, uint8_t answer)
{
	switch (answer) {
	case TDS_ENCRYPT_ON:
	case TDS_ENCRYPT_REQ:
		return start_tls(n, LEG_SERVER, &tls_wrapped, AT_SERVER_TLS);
	case TDS_ENCRYPT_OFF:
		return neg_end(n, REASON_DOWNGRADE, LEG_SERVER,
		    "server would encrypt the log-in only, and was asked for "
		    "all",
		    "look for what stands between here and the server");
	case TDS_ENCRYPT_NOT_SUP:
		return neg_end(n, REASON_DOWNGRADE, LEG_SERVER,
		    "server does not offer TLS",
		    "turn on TLS at the server, or correct its address");
	}
	return tds_protocol_error(n, LEG_SERVER,
	    "server wants encryption of a kind that there is not");
}

static struct verdict
server_answered(struct negotiator *n, uint8_t answer)
{
	switch (n->policy->server) {
	case SERVER_TLS_NEVER:
		return asked_for_none(n, answer);
	case SERVER_TLS_REQUIRED:
		return asked_for_tls(n, answer);
	case SERVER_TLS_FIRST:
		return server_opened(n); /* it has TLS, and no say in it */
	}
	return neg_end(n, REASON_INTERNAL, LEG_SERVER,
	    "internal fault: a rule that is none", NULL);
}

static struct verdict
server_is_no_tds(struct negotiator *n)
{
	struct rd r = n->in[LEG_SERVER];

	if (rd_u8(&r) == NEG_RECORD_ALERT)
		return neg_end(n, REASON_PROTOCOL, LEG_SERVER,
		    "server answers PRELOGIN in TLS: it may know TDS 8.0 only",
		    "set tls = { direct = true; } in the endpoint");
	return tds_protocol_error(n, LEG_SERVER,
	    "server does not speak TDS 7: it answers PRELOGIN with something "
	    "else");
}

struct verdict
tds_step_asked(struct negotiator *n)
{
	struct tds *tds = n->state;
	struct wr kept = { .base = tds->reply, .cap = sizeof(tds->reply) };
	struct tds_packet packet;
	struct tds_prelogin p;
	struct rd bytes;

	switch (look_at_opening(n->in[LEG_SERVER], TDS_REPLY, &packet)) {
	case TDS_PART:
		return neg_read(FROM_SERVER);
	case TDS_BAD:
		return server_is_no_tds(n);
	case TDS_WHOLE:
		break;
	}
	bytes = rd_take(&n->in[LEG_SERVER], packet.len);
	if (!tds_prelogin_read(bytes, &p))
		return tds_protocol_error(n, LEG_SERVER,
		    "server sent an answer to PRELOGIN that is not well "
		    "formed");
	wr_bytes(&kept, bytes.at, bytes.left);
	tds->reply_len = kept.len;
	return server_answered(n, p.encryption);
}

struct verdict
tds_step_server_tls(struct negotiator *n)
{
	return server_opened(n);
}

/*
 * The client's TLS, once it has been answered.
 */

static const struct neg_tls *
client_tls(const struct tds *tds)
{
	return tds->answer == TDS_ENCRYPT_OFF ? &tls_login_only : &tls_wrapped;
}

struct verdict
tds_step_answered(struct negotiator *n)
{
	struct tds *tds = n->state;
	struct rd r = n->in[LEG_CLIENT];
	uint8_t type = rd_u8(&r);

	if (r.cut)
		return neg_read(FROM_CLIENT);
	if (type == TDS_PRELOGIN)
		return start_tls(n, LEG_CLIENT, client_tls(tds), AT_CLIENT_TLS);
	if (type != TDS_LOGIN7)
		return tds_garbled(n,
		    "client sent neither TLS nor LOGIN7 after PRELOGIN");
	tds->at = AT_LOGIN_UNASKED;
	return neg_next();
}

struct verdict
tds_step_client_tls(struct negotiator *n)
{
	struct tds *tds = n->state;

	tds->at = tds->answer == TDS_ENCRYPT_OFF ? AT_LOGIN_SEALED : AT_LOGIN;
	return neg_next();
}

/*
 * What may be said in clear.
 */

/* The client's PRELOGIN, or ours, with our word on TLS and no other. */
bool
tds_preamble(const struct negotiator *n, struct rd out)
{
	const struct tds *tds = n->state;
	struct rd r = out;

	return rd_u8(&r) == TDS_PRELOGIN &&
	    tds_prelogin_is_copy(out, question(tds), server_is_asked_for(n));
}
