/*
 * postgres.c - engines `postgres` and `redshift`
 *
 *	client            here                              server
 *	 GSSENCRequest ->  N
 *	 SSLRequest    ->  S, TLS (or N)
 *	 Startup       ->  held; connect    -> SSLRequest
 *	                                     <- S, TLS
 *	                   the startup      ->
 *	                   <- authentication, in turns ->
 *	                                     <- BackendKeyData
 *	                   relay
 *
 * The client speaks first, and the server is not dialled before the client has
 * said what it wants: a startup, or a cancel request, which is a connection of
 * its own and gets no answer.  Log-in is followed, not taken part in, for two
 * reasons: the list of mechanisms may have to lose those that bind to the
 * server's TLS channel, which is not the client's; and the key that a later
 * cancel request will carry is only told at its end.
 *
 * Numbers and names are those of the manual's chapter "Frontend/Backend
 * Protocol".  Redshift is PostgreSQL 8 at heart: no TLS without SSLRequest, no
 * SCRAM, two authentication codes of its own, which pass as any other does.
 */
#include <string.h>

#include "protocols/negotiator.h"
#include "protocols/postgres_binding.h"

/* Every message before and with the startup: length, which counts itself,
 * and code. */
#define HEAD_LEN    8u
#define STARTUP_MAX 10004u /* MAX_STARTUP_PACKET_LENGTH, and the length */
#define CANCEL_MIN  13u    /* a key of one byte */
#define CANCEL_MAX  268u   /* of 256 */
_Static_assert(CANCEL_MAX == NEG_CANCEL_MAX, "a cancel request must fit");

enum code {
	CODE_CANCEL = 80877102, /* 1234.5678 */
	CODE_SSL = 80877103,
	CODE_GSSENC = 80877104,
};

/* Anything else is a version of the protocol, and the message a startup. */
#define MAJOR(version) ((version) >> 16)
#define MAJOR_TYPED    3u /* the first whose messages have type and length */

/* After the startup: type, length, which counts itself only, and a body. */
#define TYPED_LEN_MIN 4u
#define TYPED_LEN_MAX 65535u
#define TYPED_MAX     (1u + TYPED_LEN_MAX)
_Static_assert(TYPED_MAX >= STARTUP_MAX, "a startup must fit the window");

#define KEY_PID_LEN 4u

/* Messages from the server ... */
#define MSG_AUTHENTICATION   'R'
#define MSG_BACKEND_KEY_DATA 'K'
#define MSG_ERROR_RESPONSE   'E'
#define MSG_READY_FOR_QUERY  'Z'
/* ... and the client; it has this type in every method. */
#define MSG_SASL_INITIAL_RESPONSE 'p'

enum auth {
	AUTH_OK = 0,
	AUTH_SASL = 10,
	AUTH_SASL_FINAL = 12,
};

/* Answers to SSLRequest and GSSENCRequest. */
#define ANSWER_YES 'S'
#define ANSWER_NO  'N'

/* Fields of an ErrorResponse. */
#define FIELD_SEVERITY     "S"
#define FIELD_SEVERITY_RAW "V"
#define FIELD_SQLSTATE     "C"
#define FIELD_MESSAGE      "M"
#define FIELD_HINT         "H"

#define SQLSTATE_REJECTED      "28000" /* invalid_authorization_specification */
#define SQLSTATE_NOT_NOW       "57P03" /* cannot_connect_now */
#define SQLSTATE_TOO_MANY      "53300" /* too_many_connections */
#define SQLSTATE_NOT_SUPPORTED "0A000" /* feature_not_supported */

static const uint8_t ssl_request[] = { 0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f };

/* The user never gets to know of it: `dbtls test` does not log in. */
static const uint8_t hello[] = { 0, 0, 0, 20, 0, 3, 0, 0, 'u', 's', 'e', 'r',
	'\0', 'd', 'b', 't', 'l', 's', '\0', '\0' };

/* After an SSLRequest a peer may be older than ALPN (it came with version
 * 17); a peer that starts TLS at once is not, and must agree to it, or
 * another protocol's bytes could be played to us (ALPACA). */
static const struct neg_tls tls_asked = { .alpn = "postgresql",
	.alpn_rule = NEG_ALPN_IF_OFFERED };
static const struct neg_tls tls_at_once = { .alpn = "postgresql",
	.alpn_rule = NEG_ALPN_REQUIRED };

enum at {
	AT_OPENING = 0, /* the client asks for this and that */
	AT_CLIENT_TLS,
	AT_GARBLED,     /* it made no sense to us, nor would we to it */
	AT_UNSUPPORTED, /* it asked for what is not to be had */
	AT_OPENED,      /* it has said what it wants */
	AT_CONNECTING,
	AT_ASKED, /* the server, for TLS */
	AT_SERVER_TLS,
	AT_LOGIN_SERVER,    /* the server's turn */
	AT_LOGIN_MECHANISM, /* the client's, to choose a mechanism */
	AT_LOGIN_EITHER,    /* either's, by a method we need not know */
	AT_TOLD,            /* the client has been told why not */
};

struct postgres {
	enum at at;
	bool ssl_asked;
	bool gss_asked;
	bool plus_offered;  /* the server offered to bind */
	bool plus_stripped; /* ... and the client was not told */

	/* What the client wants: a startup, which stays unread until it may be
	 * passed on, or a cancel request.  All zero until it has said so. */
	uint32_t version;
	size_t startup_len;
	size_t cancel_len;
	uint8_t cancel[CANCEL_MAX];
};

struct postgres_options {
	int channel_binding;
};

/* In the order of channel_binding_choices. */
enum channel_binding {
	CHANNEL_BINDING_AUTO = 0,
	CHANNEL_BINDING_PASS,
	CHANNEL_BINDING_STRIP,
};

static struct verdict
protocol_error(struct negotiator *n, enum leg_id leg, const char *text)
{
	return neg_end(n, REASON_PROTOCOL, leg, text, NULL);
}

/*
 * The client's leg.
 */

/* Bytes that begin no message leave nobody there to read an answer. */
static struct verdict
garbled(struct negotiator *n, const char *text)
{
	struct postgres *pg = n->state;

	pg->at = AT_GARBLED;
	return protocol_error(n, LEG_CLIENT, text);
}

static struct verdict
unsupported(struct negotiator *n, const char *text)
{
	struct postgres *pg = n->state;

	pg->at = AT_UNSUPPORTED;
	return protocol_error(n, LEG_CLIENT, text);
}

static struct verdict
start_client_tls(struct negotiator *n, const struct neg_tls *tls)
{
	struct postgres *pg = n->state;

	pg->at = AT_CLIENT_TLS;
	return neg_start_tls(LEG_CLIENT, tls);
}

/* A startup's length can never begin with this byte. */
static bool
starts_tls_at_once(const struct negotiator *n)
{
	struct rd r = n->in[LEG_CLIENT];

	return !n->leg[LEG_CLIENT].tls_up && rd_u8(&r) == NEG_RECORD_HANDSHAKE;
}

static struct verdict
opening_tls_at_once(struct negotiator *n)
{
	struct postgres *pg = n->state;

	if (n->ops->server_start != NEG_START_EITHER)
		return garbled(n,
		    "client began with TLS at once, which this engine does "
		    "not know");
	if (n->policy->client != CLIENT_TLS_OFF)
		return start_client_tls(n, &tls_at_once);
	pg->at = AT_GARBLED;
	return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT,
	    "client began with TLS at once, which this listener does not offer",
	    "give the endpoint a client_tls group, or connect with "
	    "sslmode=disable");
}

static struct verdict
opening_ssl(struct negotiator *n, size_t len)
{
	struct postgres *pg = n->state;

	if (len != HEAD_LEN)
		return garbled(n,
		    "client sent an SSLRequest of a wrong length");
	if (pg->ssl_asked || n->leg[LEG_CLIENT].tls_up)
		return unsupported(n,
		    "unsupported frontend protocol 1234.5679: TLS was asked "
		    "for twice");
	rd_skip(&n->in[LEG_CLIENT], len);
	pg->ssl_asked = true;
	if (n->policy->client == CLIENT_TLS_OFF) {
		wr_u8(&n->out[LEG_CLIENT], ANSWER_NO);
		return neg_next();
	}
	wr_u8(&n->out[LEG_CLIENT], ANSWER_YES);
	return start_client_tls(n, &tls_asked);
}

/* A server might say yes: the question is never passed on. */
static struct verdict
opening_gssenc(struct negotiator *n, size_t len)
{
	struct postgres *pg = n->state;

	if (len != HEAD_LEN)
		return garbled(n,
		    "client sent a GSSENCRequest of a wrong length");
	if (pg->gss_asked)
		return unsupported(n,
		    "unsupported frontend protocol 1234.5680: GSS "
		    "encryption was asked for twice");
	rd_skip(&n->in[LEG_CLIENT], len);
	pg->gss_asked = true;
	wr_u8(&n->out[LEG_CLIENT], ANSWER_NO);
	return neg_next();
}

static struct verdict
opening_cancel(struct negotiator *n, size_t len)
{
	struct postgres *pg = n->state;
	struct wr kept = { .base = pg->cancel, .cap = sizeof(pg->cancel) };
	struct rd message;

	if (len < CANCEL_MIN || len > CANCEL_MAX)
		return garbled(n,
		    "client sent a CancelRequest of a wrong length");
	message = rd_take(&n->in[LEG_CLIENT], len);
	wr_bytes(&kept, message.at, message.left);
	pg->cancel_len = kept.len;
	n->route.cancel = wr_written(&kept);
	pg->at = AT_OPENED;
	return neg_next();
}

/* Names and values; whether they are well formed is the server's to judge. */
static void
note_names(struct neg_names *names, struct rd parameters)
{
	struct rd name, value;

	for (;;) {
		name = rd_cstring(&parameters);
		value = rd_cstring(&parameters);
		if (parameters.cut)
			return;
		if (rd_equals_string(name, "user"))
			neg_name_set(names->user, value);
		else if (rd_equals_string(name, "database"))
			neg_name_set(names->database, value);
		else if (rd_equals_string(name, "application_name"))
			neg_name_set(names->program, value);
	}
}

/* Of any version, also of one that does not exist: the server answers that in
 * its own way. */
static struct verdict
opening_startup(struct negotiator *n, uint32_t version, struct rd body)
{
	struct postgres *pg = n->state;

	pg->version = version;
	pg->startup_len = HEAD_LEN + body.left;
	if (MAJOR(version) == MAJOR_TYPED)
		note_names(&n->names, body);
	pg->at = AT_OPENED;
	return neg_next();
}

static struct verdict
step_opening(struct negotiator *n)
{
	struct rd r = n->in[LEG_CLIENT], body;
	uint32_t len, code;

	if (starts_tls_at_once(n))
		return opening_tls_at_once(n);
	len = rd_be32(&r);
	if (r.cut)
		return neg_read(FROM_CLIENT);
	if (len < HEAD_LEN || len > STARTUP_MAX)
		return garbled(n,
		    "client does not speak PostgreSQL: its first bytes are "
		    "the length of no startup");
	code = rd_be32(&r);
	body = rd_take(&r, len - HEAD_LEN);
	if (r.cut)
		return neg_read(FROM_CLIENT);
	switch (code) {
	case CODE_SSL:
		return opening_ssl(n, len);
	case CODE_GSSENC:
		return opening_gssenc(n, len);
	case CODE_CANCEL:
		return opening_cancel(n, len);
	}
	return opening_startup(n, code, body);
}

static struct verdict
step_client_tls(struct negotiator *n)
{
	struct postgres *pg = n->state;

	pg->at = AT_OPENING;
	return neg_next();
}

/* A cancel request may come in plaintext to where TLS is demanded: libpq's
 * PQcancel() and pgjdbc know no other way.  It carries nothing but a key. */
static struct verdict
step_opened(struct negotiator *n)
{
	struct postgres *pg = n->state;

	if (pg->cancel_len == 0 && !neg_rule_met(n, LEG_CLIENT))
		return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT,
		    "client does not use TLS, which this listener demands",
		    "connect with sslmode=require or stricter");
	pg->at = AT_CONNECTING;
	return neg_connect();
}

/*
 * The server's leg.
 */

static struct verdict
start_server_tls(struct negotiator *n, const struct neg_tls *tls)
{
	struct postgres *pg = n->state;

	pg->at = AT_SERVER_TLS;
	return neg_start_tls(LEG_SERVER, tls);
}

static struct verdict
ask_for_tls(struct negotiator *n)
{
	struct postgres *pg = n->state;

	wr_bytes(&n->out[LEG_SERVER], ssl_request, sizeof(ssl_request));
	pg->at = AT_ASKED;
	return neg_next();
}

/* One byte, and no more: what follows it belongs to TLS.  After an 'E' comes
 * a text, which anyone on the way could have written: it is left unread. */
static struct verdict
step_asked(struct negotiator *n)
{
	struct rd r = n->in[LEG_SERVER];
	uint8_t answer = rd_u8(&r);

	if (r.cut)
		return neg_read(FROM_SERVER);
	n->in[LEG_SERVER] = r;
	switch (answer) {
	case ANSWER_YES:
		return start_server_tls(n, &tls_asked);
	case ANSWER_NO:
		return neg_end(n, REASON_TLS_REFUSED, LEG_SERVER,
		    "server does not offer TLS",
		    "turn on TLS at the server, or correct its address");
	case MSG_ERROR_RESPONSE:
		return neg_end(n, REASON_TLS_REFUSED, LEG_SERVER,
		    "server answered with an error when asked for TLS; its "
		    "words came unprotected and are not repeated",
		    "see the server's log");
	}
	return protocol_error(n, LEG_SERVER,
	    "server does not speak PostgreSQL: asked for TLS, it said neither "
	    "yes nor no");
}

static struct verdict
deliver_cancel(struct negotiator *n)
{
	const struct postgres *pg = n->state;

	wr_bytes(&n->out[LEG_SERVER], pg->cancel, pg->cancel_len);
	return neg_deliver();
}

/* Where there are no typed messages, there is nothing for us to follow. */
static struct verdict
step_secured(struct negotiator *n)
{
	struct postgres *pg = n->state;

	if (pg->cancel_len > 0)
		return deliver_cancel(n);
	neg_forward(n, LEG_CLIENT, pg->startup_len);
	if (MAJOR(pg->version) != MAJOR_TYPED)
		return neg_relay();
	pg->at = AT_LOGIN_SERVER;
	return neg_next();
}

static struct verdict
step_connected(struct negotiator *n)
{
	switch (n->policy->server) {
	case SERVER_TLS_NEVER:
		return step_secured(n);
	case SERVER_TLS_REQUIRED:
		return ask_for_tls(n);
	case SERVER_TLS_FIRST:
		return start_server_tls(n, &tls_at_once);
	}
	return neg_end(n, REASON_INTERNAL, LEG_SERVER,
	    "internal fault: a rule that is none", NULL);
}

/*
 * Log-in.
 */

struct message {
	uint8_t type;
	struct rd body;
	size_t len; /* of all of it */
};

enum arrival {
	ARRIVAL_PART = 0,
	ARRIVAL_WHOLE,
	ARRIVAL_BAD,
};

static enum arrival
look_at_message(struct rd r, struct message *m)
{
	uint32_t len;

	m->type = rd_u8(&r);
	len = rd_be32(&r);
	if (r.cut)
		return ARRIVAL_PART;
	if (len < TYPED_LEN_MIN || len > TYPED_LEN_MAX)
		return ARRIVAL_BAD;
	m->body = rd_take(&r, len - TYPED_LEN_MIN);
	m->len = sizeof(m->type) + len;
	return r.cut ? ARRIVAL_PART : ARRIVAL_WHOLE;
}

static struct verdict
forward(struct negotiator *n, enum leg_id from, const struct message *m)
{
	neg_forward(n, from, m->len);
	return neg_next();
}

static enum channel_binding
channel_binding_setting(const struct negotiator *n)
{
	const struct postgres_options *options = n->options;

	return options == NULL ? CHANNEL_BINDING_AUTO
			       : (enum channel_binding)options->channel_binding;
}

/* A client without TLS cannot bind, and libpq takes the offer for an attack.
 * A client with TLS is helped by nothing less than the server's certificate;
 * without the offer it would say that it saw none, which is refused as well. */
static bool
must_strip(const struct negotiator *n)
{
	switch (channel_binding_setting(n)) {
	case CHANNEL_BINDING_AUTO:
		return !n->leg[LEG_CLIENT].tls_up;
	case CHANNEL_BINDING_PASS:
		return false;
	case CHANNEL_BINDING_STRIP:
		return true;
	}
	return false;
}

static struct verdict
strip_plus(struct negotiator *n, const struct message *m, struct rd list)
{
	struct postgres *pg = n->state;
	struct wr *out = &n->out[LEG_CLIENT];
	size_t start;

	pg->plus_stripped = true;
	rd_skip(&n->in[LEG_SERVER], m->len);
	wr_u8(out, MSG_AUTHENTICATION);
	start = out->len;
	wr_be32(out, 0); /* the length, known below */
	wr_be32(out, AUTH_SASL);
	binding_write_without_plus(out, list);
	wr_patch_be32(out, start, (uint32_t)(out->len - start));
	return neg_next();
}

static struct verdict
login_offer(struct negotiator *n, const struct message *m, struct rd list)
{
	struct postgres *pg = n->state;
	struct binding_offer offer;

	if (!binding_read_offer(list, &offer))
		return protocol_error(n, LEG_SERVER,
		    "server sent a list of mechanisms that has no end");
	pg->at = AT_LOGIN_MECHANISM;
	pg->plus_offered = offer.plus;
	if (!offer.plus || !must_strip(n))
		return forward(n, LEG_SERVER, m);
	if (offer.others)
		return strip_plus(n, m, list);
	return neg_end(n, REASON_AUTH, LEG_SERVER,
	    "server accepts only log-ins that are bound to its own TLS channel",
	    "let the server also offer SCRAM-SHA-256 without channel binding");
}

static bool
same_leaf(const struct neg_facts *a, const struct neg_facts *b)
{
	return a->leaf_known && b->leaf_known &&
	    memcmp(a->leaf, b->leaf, sizeof(a->leaf)) == 0;
}

static struct verdict
refuse_binding(struct negotiator *n)
{
	return neg_end(n, REASON_AUTH, LEG_CLIENT,
	    "client binds its log-in to TLS, and its TLS ends here, not at the "
	    "server",
	    "set channel_binding=disable in the client (PGCHANNELBINDING for "
	    "libpq, channelBinding for pgjdbc, Channel Binding for Npgsql), or "
	    "let client_tls have the server's own certificate and key");
}

static struct verdict
refuse_regret(struct negotiator *n)
{
	const struct postgres *pg = n->state;

	return neg_end(n, REASON_AUTH, LEG_CLIENT,
	    "client would have bound its log-in to TLS had the server offered "
	    "it; the server did, and would take this for an attack",
	    pg->plus_stripped
		? "set channel_binding = \"pass\" in the endpoint's postgres "
		  "group, and channel binding to disable in the client"
		: "set channel_binding=disable in the client");
}

/* What must fail is answered in our own words: the server's would blame the
 * password, or an attack.  With the server's own certificate on both legs and
 * its list as it was, nothing must. */
static struct verdict
login_mechanism(struct negotiator *n, const struct message *m)
{
	struct postgres *pg = n->state;
	bool same = same_leaf(&n->leg[LEG_CLIENT], &n->leg[LEG_SERVER]);
	enum binding_flag flag = m->type == MSG_SASL_INITIAL_RESPONSE
	    ? binding_read_flag(m->body)
	    : BINDING_NOT_SCRAM;

	if (pg->plus_offered && flag == BINDING_USED && !same)
		return refuse_binding(n);
	if (pg->plus_offered && flag == BINDING_REGRETTED &&
	    (pg->plus_stripped || !same))
		return refuse_regret(n);
	pg->at = AT_LOGIN_EITHER;
	return forward(n, LEG_CLIENT, m);
}

static struct verdict
login_authentication(struct negotiator *n, const struct message *m)
{
	struct postgres *pg = n->state;
	struct rd body = m->body;
	uint32_t code = rd_be32(&body);

	if (body.cut)
		return protocol_error(n, LEG_SERVER,
		    "server sent an authentication request without a code");
	switch (code) {
	case AUTH_SASL:
		return login_offer(n, m, body);
	case AUTH_OK:
	case AUTH_SASL_FINAL:
		pg->at = AT_LOGIN_SERVER;
		break;
	default:
		pg->at = AT_LOGIN_EITHER;
		break;
	}
	return forward(n, LEG_SERVER, m);
}

/* The whole cancel request that this key will come back in.  A key that none
 * could carry is the client's to wonder about. */
static void
learn_key(struct neg_key *key, struct rd body)
{
	struct wr w = { .base = key->bytes, .cap = sizeof(key->bytes) };
	const size_t len = HEAD_LEN + body.left;

	if (len < CANCEL_MIN || len > CANCEL_MAX)
		return;
	wr_be32(&w, (uint32_t)len);
	wr_be32(&w, CODE_CANCEL);
	wr_bytes(&w, body.at, body.left);
	key->len = w.len;
}

/* An error ends log-in, and so does its success; either is left unread, for
 * the relay to pass on. */
static struct verdict
login_server(struct negotiator *n)
{
	struct rd r = n->in[LEG_SERVER];
	struct message m;
	uint8_t type = rd_u8(&r);

	if (type == MSG_ERROR_RESPONSE || type == MSG_READY_FOR_QUERY)
		return neg_relay();
	switch (look_at_message(n->in[LEG_SERVER], &m)) {
	case ARRIVAL_PART:
		return neg_read(FROM_SERVER);
	case ARRIVAL_BAD:
		return protocol_error(n, LEG_SERVER,
		    "server sent a message of an impossible length during "
		    "log-in");
	case ARRIVAL_WHOLE:
		break;
	}
	if (m.type == MSG_AUTHENTICATION)
		return login_authentication(n, &m);
	if (m.type != MSG_BACKEND_KEY_DATA)
		return forward(n, LEG_SERVER, &m);
	learn_key(&n->key, m.body);
	return neg_relay();
}

static struct verdict
login_client(struct negotiator *n)
{
	const struct postgres *pg = n->state;
	struct message m;

	switch (look_at_message(n->in[LEG_CLIENT], &m)) {
	case ARRIVAL_PART:
		return neg_read(FROM_CLIENT);
	case ARRIVAL_BAD:
		return protocol_error(n, LEG_CLIENT,
		    "client sent a message of an impossible length during "
		    "log-in");
	case ARRIVAL_WHOLE:
		break;
	}
	if (pg->at == AT_LOGIN_MECHANISM)
		return login_mechanism(n, &m);
	return forward(n, LEG_CLIENT, &m);
}

/* It is the client's turn, but the server may go on, or give up.  Were it
 * asked first, it would depend on how much of it has come whether a client that
 * had spoken too early is heard. */
static struct verdict
step_login_client(struct negotiator *n)
{
	struct verdict v = login_client(n);

	if (v.kind == V_READ)
		v = login_server(n);
	if (v.kind == V_READ)
		v = neg_read(FROM_CLIENT | FROM_SERVER);
	return v;
}

static struct verdict
postgres_step(struct negotiator *n)
{
	const struct postgres *pg = n->state;

	switch (pg->at) {
	case AT_OPENING:
		return step_opening(n);
	case AT_CLIENT_TLS:
		return step_client_tls(n);
	case AT_OPENED:
		return step_opened(n);
	case AT_CONNECTING:
		return step_connected(n);
	case AT_ASKED:
		return step_asked(n);
	case AT_SERVER_TLS:
		return step_secured(n);
	case AT_LOGIN_SERVER:
		return login_server(n);
	case AT_LOGIN_MECHANISM:
	case AT_LOGIN_EITHER:
		return step_login_client(n);
	case AT_GARBLED:
	case AT_UNSUPPORTED:
	case AT_TOLD:
		break;
	}
	return neg_past_end(n);
}

/*
 * Refusing.
 */

static const char *
sqlstate(const struct negotiator *n)
{
	const struct postgres *pg = n->state;

	if (pg->at == AT_UNSUPPORTED)
		return SQLSTATE_NOT_SUPPORTED;
	switch (reason_class(n->error.reason)) {
	case REASON_CLASS_TEMPORARY:
		return SQLSTATE_NOT_NOW;
	case REASON_CLASS_LIMIT:
		return SQLSTATE_TOO_MANY;
	case REASON_CLASS_PERMANENT:
		break;
	}
	return SQLSTATE_REJECTED;
}

static void
write_field(struct wr *out, const char *field, const char *value)
{
	wr_string(out, field);
	wr_string(out, value);
	wr_u8(out, '\0');
}

static void
write_error(struct negotiator *n)
{
	struct wr *out = &n->out[LEG_CLIENT];
	size_t start;

	wr_u8(out, MSG_ERROR_RESPONSE);
	start = out->len;
	wr_be32(out, 0); /* the length, known below */
	write_field(out, FIELD_SEVERITY, "FATAL");
	write_field(out, FIELD_SEVERITY_RAW, "FATAL");
	write_field(out, FIELD_SQLSTATE, sqlstate(n));
	write_field(out, FIELD_MESSAGE "dbtls: ", n->error.text);
	if (n->error.hint != NULL)
		write_field(out, FIELD_HINT, n->error.hint);
	wr_u8(out, '\0');
	wr_patch_be32(out, start, (uint32_t)(out->len - start));
}

/* As version 2 had it: a text and nothing else. */
static void
write_old_error(struct negotiator *n)
{
	struct wr *out = &n->out[LEG_CLIENT];

	wr_u8(out, MSG_ERROR_RESPONSE);
	wr_string(out, "FATAL:  dbtls: ");
	wr_string(out, n->error.text);
	wr_u8(out, '\n');
	wr_u8(out, '\0');
}

/* A cancel request is never answered. */
static struct verdict
tell(struct negotiator *n)
{
	struct postgres *pg = n->state;

	if (pg->cancel_len > 0)
		return neg_refused();
	if (pg->startup_len > 0 && MAJOR(pg->version) < MAJOR_TYPED)
		write_old_error(n);
	else
		write_error(n);
	pg->at = AT_TOLD;
	return neg_refused();
}

/* A client listens for an error only after its startup, and wants it in TLS if
 * it asked for that: so its opening is heard to the end.  One that has run out
 * of time has had its chance. */
static struct verdict
refuse_opening(struct negotiator *n)
{
	if (n->error.reason == REASON_TIMEOUT)
		return neg_refused();
	return step_opening(n);
}

/* If TLS has failed, nothing that we could say would be understood. */
static struct verdict
refuse_client_tls(struct negotiator *n)
{
	return n->leg[LEG_CLIENT].tls_up ? step_client_tls(n) : neg_refused();
}

static struct verdict
postgres_refuse(struct negotiator *n)
{
	const struct postgres *pg = n->state;

	switch (pg->at) {
	case AT_OPENING:
		return refuse_opening(n);
	case AT_CLIENT_TLS:
		return refuse_client_tls(n);
	case AT_UNSUPPORTED:
	case AT_OPENED:
	case AT_CONNECTING:
	case AT_ASKED:
	case AT_SERVER_TLS:
	case AT_LOGIN_SERVER:
	case AT_LOGIN_MECHANISM:
	case AT_LOGIN_EITHER:
		return tell(n);
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return neg_refused();
}

/*
 * What may be sent without TLS.
 */

static bool
postgres_preamble(const struct negotiator *n, struct rd out)
{
	(void)n;
	return rd_equals(out, ssl_request, sizeof(ssl_request));
}

static bool
postgres_unprotected(struct rd out)
{
	const size_t len = out.left;
	struct rd r = out;

	return len >= CANCEL_MIN && len <= CANCEL_MAX && rd_be32(&r) == len &&
	    rd_be32(&r) == CODE_CANCEL;
}

static const char *
postgres_where(const struct negotiator *n)
{
	const struct postgres *pg = n->state;

	switch (pg->at) {
	case AT_OPENING:
		return "awaiting the client's startup";
	case AT_CLIENT_TLS:
		return "securing the client's leg";
	case AT_OPENED:
	case AT_CONNECTING:
		return "connecting to the server";
	case AT_ASKED:
		return "awaiting the server's answer to SSLRequest";
	case AT_SERVER_TLS:
		return "securing the server's leg";
	case AT_LOGIN_SERVER:
		return "awaiting the server during log-in";
	case AT_LOGIN_MECHANISM:
	case AT_LOGIN_EITHER:
		return "awaiting the client during log-in";
	case AT_GARBLED:
	case AT_UNSUPPORTED:
	case AT_TOLD:
		break;
	}
	return "refusing the client";
}

static const char *const postgres_aliases[] = { "postgresql",
	"aurora-postgresql", NULL };

static const char *const channel_binding_choices[] = { "auto", "pass", "strip",
	NULL };

static const struct neg_option postgres_options[] = {
	{ .name = "channel_binding",
	    .kind = NEG_OPTION_CHOICE,
	    .offset = offsetof(struct postgres_options, channel_binding),
	    .choices = channel_binding_choices,
	    .help =
		"what becomes of SCRAM-SHA-256-PLUS in the server's offer: "
		"auto takes it out for clients without TLS, pass never, strip "
		"always" },
	{ .name = NULL },
};

const struct neg_ops neg_postgres = {
	.name = "postgres",
	.aliases = postgres_aliases,
	.default_port = 5432,
	.window = TYPED_MAX,
	.state_size = sizeof(struct postgres),
	.options = postgres_options,
	.options_size = sizeof(struct postgres_options),
	.server_start = NEG_START_EITHER,
	.client_first = true,
	.client_chooses = true,
	.hello = { .at = hello, .left = sizeof(hello) },
	.step = postgres_step,
	.refuse = postgres_refuse,
	.preamble = postgres_preamble,
	.unprotected = postgres_unprotected,
	.where = postgres_where,
};

const struct neg_ops neg_redshift = {
	.name = "redshift",
	.default_port = 5439,
	.window = TYPED_MAX,
	.state_size = sizeof(struct postgres),
	.server_start = NEG_START_ASKED,
	.client_first = true,
	.client_chooses = true,
	.renegotiates = true,
	.hello = { .at = hello, .left = sizeof(hello) },
	.step = postgres_step,
	.refuse = postgres_refuse,
	.preamble = postgres_preamble,
	.unprotected = postgres_unprotected,
	.where = postgres_where,
};
