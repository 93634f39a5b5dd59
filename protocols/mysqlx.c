/*
 * mysqlx.c - engine `mysqlx`: MySQL's X protocol, on a port of its own
 *
 *	client                 here                      server
 *	 CapabilitiesSet tls  -> OK, TLS (or ERROR)
 *	 CapabilitiesGet      -> held; connect
 *	                                                 <- NOTICE, perhaps
 *	                         CapabilitiesSet tls    ->
 *	                                                 <- OK, TLS
 *	                         what was held          ->
 *	                      <- Capabilities, with our own tls
 *	 AuthenticateStart    -> relay
 *
 * Before log-in a client asks for capabilities and sets them, one message and
 * one answer at a time; whatever else it says begins the relay.  A server says
 * something first, a NOTICE of four bytes, but not if it is old or told not to
 * (mysqlx_enable_hello_notice): no client can be waiting for it.  So here the
 * client speaks first, and nothing is dialled for one that says nothing.
 *
 * Clients set other capabilities too, before they ask for TLS or in the same
 * message, and some give up when they may not.  The client is told OK and what
 * it sets is held until TLS is up, and set then.  It came in clear, and an
 * attacker may have said it: as it is without us, and nothing but capabilities
 * gets through that way.  Should the server object the session ends, since the
 * client believes otherwise.
 *
 * Two things that TLS on only one leg breaks cannot be mended here.  A server
 * takes PLAIN only within TLS, SHA256_MEMORY only of whom it has seen the
 * password since it started, and MYSQL41 only of mysql_native_password, which
 * is gone from MySQL 9: a client with TLS picks PLAIN, which a server without
 * TLS refuses as invalid; and a client without TLS, of a server with, has to be
 * told to use PLAIN.  TLS on both legs works always, on none as well as it does
 * without us.
 */
#include "protocols/mysqlx_message.h"
#include "protocols/negotiator.h"

/* The codes of a server. */
#define CODE_TOO_MANY       1040 /* ER_CON_COUNT_ERROR */
#define CODE_REJECTED       1045 /* ER_ACCESS_DENIED_ERROR */
#define CODE_NOT_NOW        1053 /* ER_SERVER_SHUTDOWN */
#define CODE_TLS_DEMANDED   3159 /* ER_SECURE_TRANSPORT_REQUIRED */
#define CODE_PREPARE_FAILED 5001 /* ER_X_CAPABILITIES_PREPARE_FAILED */

#define SQLSTATE_TOO_MANY "08004"
#define SQLSTATE_REJECTED "28000"
#define SQLSTATE_NOT_NOW  "08S01"
#define SQLSTATE_NONE     "HY000"

/* How a ClientHello begins, read as the length of a frame. */
#define TLS_RECORD      0x0316u
#define TLS_RECORD_MASK 0xffffu

/* What `dbtls test` says: CapabilitiesGet. */
static const uint8_t hello[] = { 0x01, 0x00, 0x00, 0x00,
	MYSQLX_CAPABILITIES_GET };

/* One step may answer all that has come, and pass it on, so there has to be an
 * end to what either says before the relay; what fits the window then fits what
 * is made of it. */
#define QUESTIONS_MAX 64
#define SAID_MAX      32768u /* bytes, by each */
#define ANSWER_MAX    192u   /* the longest of our own */
#define WINDOW        (SAID_MAX + MYSQLX_FRAME_MAX + QUESTIONS_MAX * ANSWER_MAX)

static const struct neg_tls tls_asked = { .alpn_rule = NEG_ALPN_NONE };

enum at {
	AT_CLIENT = 0, /* its turn */
	AT_CLIENT_TLS,
	AT_GARBLED, /* it made no sense to us, nor would we to it */
	AT_CONNECTING,
	AT_ASKED, /* the server, for TLS */
	AT_SERVER_TLS,
	AT_HELD,    /* the server's word on what was held */
	AT_SETTING, /* ... and on what was not */
	AT_GETTING, /* the server's capabilities */
	AT_TOLD,    /* the client has been told why not */
};

struct mysqlx {
	enum at at;
	unsigned questions; /* of the client's */
	size_t said[LEG_COUNT];
	/* Frames that set capabilities, for the server to see when TLS is up,
	 * so many of which it has not answered. */
	unsigned held;
	size_t held_len;
	uint8_t held_bytes[MYSQLX_FRAME_MAX];
};

static struct verdict
protocol_error(struct negotiator *n, enum leg_id leg, const char *text)
{
	return neg_end(n, REASON_PROTOCOL, leg, text, NULL);
}

static struct verdict
go_to(struct negotiator *n, enum at at)
{
	struct mysqlx *x = n->state;

	x->at = at;
	return neg_next();
}

static bool
offers_tls(const struct negotiator *n)
{
	return n->policy->client != CLIENT_TLS_OFF;
}

/* Of whatever is dealt with, and so may have been answered or passed on. */
static void
count(struct negotiator *n, enum leg_id leg, const struct mysqlx_frame *f)
{
	struct mysqlx *x = n->state;

	x->said[leg] += f->len;
	if (leg == LEG_CLIENT)
		x->questions++;
}

static void
skip(struct negotiator *n, enum leg_id leg, const struct mysqlx_frame *f)
{
	count(n, leg, f);
	rd_skip(&n->in[leg], f->len);
}

static void
pass(struct negotiator *n, enum leg_id leg, const struct mysqlx_frame *f)
{
	count(n, leg, f);
	neg_forward(n, leg, f->len);
}

static bool
has_said_enough(const struct negotiator *n, enum leg_id leg)
{
	const struct mysqlx *x = n->state;

	return x->said[leg] > SAID_MAX ||
	    (leg == LEG_CLIENT && x->questions == QUESTIONS_MAX);
}

/*
 * The server's leg.
 */

static struct verdict
not_x(struct negotiator *n)
{
	return neg_end(n, REASON_PROTOCOL, LEG_SERVER,
	    "server does not speak the X protocol: what it answered is no "
	    "answer to what it was asked",
	    "the X protocol has a port of its own, 33060 if not configured "
	    "otherwise; what listens on 3306 is for engine mysql");
}

static struct verdict
server_goes_on(struct negotiator *n)
{
	return protocol_error(n, LEG_SERVER,
	    "server says more before log-in than there is to say");
}

static struct verdict
start_server_tls(struct negotiator *n)
{
	struct mysqlx *x = n->state;

	x->at = AT_SERVER_TLS;
	return neg_start_tls(LEG_SERVER, &tls_asked);
}

static struct verdict
step_connecting(struct negotiator *n)
{
	struct wr *out = &n->out[LEG_SERVER];

	switch (n->policy->server) {
	case SERVER_TLS_NEVER:
		return go_to(n, AT_CLIENT);
	case SERVER_TLS_REQUIRED:
		wr_bytes(out, mysqlx_set_tls.at, mysqlx_set_tls.left);
		return go_to(n, AT_ASKED);
	case SERVER_TLS_FIRST:
		return start_server_tls(n);
	}
	return neg_end(n, REASON_INTERNAL, LEG_SERVER,
	    "internal fault: a rule that is none", NULL);
}

/* Before TLS a notice may be from anyone; only the one that says nothing is
 * passed on. */
static struct verdict
asked_notice(struct negotiator *n, const struct mysqlx_frame *f)
{
	const struct rd greeting = mysqlx_server_hello;
	struct rd r = n->in[LEG_SERVER];

	if (rd_equals(rd_take(&r, f->len), greeting.at, greeting.left))
		pass(n, LEG_SERVER, f);
	else
		skip(n, LEG_SERVER, f);
	return neg_next();
}

/* What the server says while it is waited for. */
static struct verdict
step_server(struct negotiator *n,
    struct verdict (*heard)(struct negotiator *n, const struct mysqlx_frame *f))
{
	struct mysqlx_frame f;

	switch (mysqlx_look(n->in[LEG_SERVER], &f)) {
	case MYSQLX_PART:
	case MYSQLX_HEAD:
		return neg_read(FROM_SERVER);
	case MYSQLX_BAD:
		return not_x(n);
	case MYSQLX_WHOLE:
		break;
	}
	if (has_said_enough(n, LEG_SERVER))
		return server_goes_on(n);
	return heard(n, &f);
}

/* The answer, and not a byte more: what follows it belongs to TLS. */
static struct verdict
asked(struct negotiator *n, const struct mysqlx_frame *f)
{
	switch (f->type) {
	case MYSQLX_NOTICE:
		return asked_notice(n, f);
	case MYSQLX_OK:
		skip(n, LEG_SERVER, f);
		return start_server_tls(n);
	case MYSQLX_ERROR:
		return neg_end(n, REASON_TLS_REFUSED, LEG_SERVER,
		    "server answered with an error when asked for TLS; its "
		    "words came unprotected and are not repeated",
		    "turn on TLS at the server (mysqlx_ssl_cert, ssl_cert), or "
		    "correct its address");
	}
	return not_x(n);
}

/*
 * Answers of the server, one to each question.
 */

/* The client takes for granted that this has been set. */
static struct verdict
held_answer(struct negotiator *n, const struct mysqlx_frame *f)
{
	struct mysqlx *x = n->state;

	if (f->type == MYSQLX_ERROR)
		return neg_end(n, REASON_PROTOCOL, LEG_SERVER,
		    "server does not take a capability that the client set "
		    "before TLS was up",
		    "let the client set nothing but tls (@mysql/xdevapi: "
		    "connectionAttributes: false)");
	if (f->type != MYSQLX_OK)
		return not_x(n);
	skip(n, LEG_SERVER, f);
	if (--x->held == 0)
		x->at = AT_CLIENT;
	return neg_next();
}

/* What the server says of TLS is about its own leg. */
static struct verdict
get_answer(struct negotiator *n, const struct mysqlx_frame *f)
{
	struct mysqlx_list list;
	enum mysqlx_tls tls = MYSQLX_TLS_NONE;

	if (!mysqlx_read_capabilities(f->body, &list))
		return not_x(n);
	if (offers_tls(n))
		tls = n->leg[LEG_CLIENT].tls_up ? MYSQLX_TLS_ACTIVE
						: MYSQLX_TLS_INACTIVE;
	mysqlx_write_capabilities(&n->out[LEG_CLIENT], &list, tls);
	skip(n, LEG_SERVER, f);
	return go_to(n, AT_CLIENT);
}

static struct verdict
pass_answer(struct negotiator *n, const struct mysqlx_frame *f)
{
	pass(n, LEG_SERVER, f);
	return go_to(n, AT_CLIENT);
}

static struct verdict
answer(struct negotiator *n, const struct mysqlx_frame *f)
{
	const struct mysqlx *x = n->state;

	if (x->at == AT_HELD)
		return held_answer(n, f);
	if (f->type == MYSQLX_ERROR)
		return pass_answer(n, f);
	if (x->at == AT_GETTING && f->type == MYSQLX_CAPABILITIES)
		return get_answer(n, f);
	if (x->at == AT_SETTING && f->type == MYSQLX_OK)
		return pass_answer(n, f);
	return not_x(n);
}

static struct verdict
answer_or_notice(struct negotiator *n, const struct mysqlx_frame *f)
{
	if (f->type != MYSQLX_NOTICE)
		return answer(n, f);
	pass(n, LEG_SERVER, f);
	return neg_next();
}

/*
 * The client's leg.
 */

/* The server is dialled, and told what was held, once there is something that
 * it is needed for.  True: it is ready for that. */
static bool
server_is_ready(struct negotiator *n, struct verdict *v)
{
	struct mysqlx *x = n->state;

	if (!n->connected) {
		x->at = AT_CONNECTING;
		*v = neg_connect();
		return false;
	}
	if (x->held == 0)
		return true;
	wr_bytes(&n->out[LEG_SERVER], x->held_bytes, x->held_len);
	x->held_len = 0;
	*v = go_to(n, AT_HELD);
	return false;
}

static struct verdict
pass_question(struct negotiator *n, const struct mysqlx_frame *f, enum at at)
{
	struct verdict v;

	if (!server_is_ready(n, &v))
		return v;
	pass(n, LEG_CLIENT, f);
	return go_to(n, at);
}

/* Until the client's leg is what it must be nothing of it goes to the server,
 * so it is we who say that there is TLS.  A client that were told of no way to
 * log in would give up with words of its own; one that tries is told ours. */
static struct verdict
client_get(struct negotiator *n, const struct mysqlx_frame *f)
{
	if (neg_rule_met(n, LEG_CLIENT))
		return pass_question(n, f, AT_GETTING);
	skip(n, LEG_CLIENT, f);
	mysqlx_write_capabilities(&n->out[LEG_CLIENT], &mysqlx_mechanisms,
	    MYSQLX_TLS_INACTIVE);
	return neg_next();
}

/* As a server says it, which goes on; clients read the name between the
 * quotes, and some then do without. */
static struct verdict
deny_tls(struct negotiator *n, const struct mysqlx_frame *f, const char *why)
{
	const struct mysqlx_error e = {
		.code = CODE_PREPARE_FAILED,
		.sql_state = SQLSTATE_NONE,
		.parts = { "Capability prepare failed for 'tls': dbtls: ",
		    why },
	};

	skip(n, LEG_CLIENT, f);
	mysqlx_write_error(&n->out[LEG_CLIENT], &e);
	return neg_next();
}

/* False if it would be too much. */
static bool
hold(struct mysqlx *x, const struct mysqlx_list *list)
{
	struct wr w = { .base = x->held_bytes, .cap = sizeof(x->held_bytes) };

	w.len = x->held_len;
	mysqlx_write_rest(&w, list);
	x->held_len = w.len;
	x->held++;
	return !w.full;
}

static struct verdict
held_too_much(struct negotiator *n)
{
	return protocol_error(n, LEG_CLIENT,
	    "client sets more capabilities before TLS than can be held for "
	    "it");
}

static struct verdict
start_client_tls(struct negotiator *n, const struct mysqlx_frame *f,
    const struct mysqlx_list *list)
{
	struct mysqlx *x = n->state;

	if (list->rest_len > 0 && !hold(x, list))
		return held_too_much(n);
	skip(n, LEG_CLIENT, f);
	mysqlx_write_ok(&n->out[LEG_CLIENT]);
	x->at = AT_CLIENT_TLS;
	return neg_start_tls(LEG_CLIENT, &tls_asked);
}

static struct verdict
client_set_tls(struct negotiator *n, const struct mysqlx_frame *f,
    const struct mysqlx_list *list)
{
	if (!offers_tls(n))
		return deny_tls(n, f,
		    "this listener does not offer TLS; give its endpoint a "
		    "client_tls group, or connect without");
	if (n->leg[LEG_CLIENT].tls_up)
		return deny_tls(n, f, "TLS is up already");
	if (!list->tls_true)
		return deny_tls(n, f, "its value can only be true");
	return start_client_tls(n, f, list);
}

static struct verdict
client_set(struct negotiator *n, const struct mysqlx_frame *f)
{
	struct mysqlx *x = n->state;
	struct mysqlx_list list;

	if (!mysqlx_read_set(f->body, &list))
		return protocol_error(n, LEG_CLIENT,
		    "client sent a CapabilitiesSet that cannot be read");
	if (list.tls)
		return client_set_tls(n, f, &list);
	if (neg_rule_met(n, LEG_CLIENT))
		return pass_question(n, f, AT_SETTING);
	if (!hold(x, &list))
		return held_too_much(n);
	skip(n, LEG_CLIENT, f);
	mysqlx_write_ok(&n->out[LEG_CLIENT]);
	return neg_next();
}

static struct verdict
client_goes_on(struct negotiator *n)
{
	struct verdict v;

	if (!neg_rule_met(n, LEG_CLIENT))
		return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT,
		    "client does not use TLS, which this listener demands",
		    "connect with ssl-mode=REQUIRED or stricter");
	if (!server_is_ready(n, &v))
		return v;
	return neg_relay();
}

/* Bytes that begin no frame leave nobody there to read an answer. */
static struct verdict
garbled(struct negotiator *n)
{
	struct mysqlx *x = n->state;
	struct rd r = n->in[LEG_CLIENT];

	x->at = AT_GARBLED;
	if ((rd_le32(&r) & TLS_RECORD_MASK) == TLS_RECORD)
		return protocol_error(n, LEG_CLIENT,
		    "client began with TLS at once, which the X protocol does "
		    "not know");
	return protocol_error(n, LEG_CLIENT,
	    "client does not speak the X protocol: its bytes are the length of "
	    "no frame");
}

/* What a server says when nothing was asked of it, a notice or that it gives
 * up, waits for the next question: else it would depend on how much of either
 * has come who is heard first. */
static struct verdict
step_client(struct negotiator *n)
{
	struct mysqlx_frame f;
	const enum mysqlx_arrival arrival = mysqlx_look(n->in[LEG_CLIENT], &f);

	switch (arrival) {
	case MYSQLX_PART:
		return neg_read(FROM_CLIENT);
	case MYSQLX_BAD:
		return garbled(n);
	case MYSQLX_HEAD:
	case MYSQLX_WHOLE:
		break;
	}
	if (f.type != MYSQLX_CAPABILITIES_GET &&
	    f.type != MYSQLX_CAPABILITIES_SET)
		return client_goes_on(n);
	if (arrival == MYSQLX_HEAD)
		return neg_read(FROM_CLIENT);
	if (has_said_enough(n, LEG_CLIENT))
		return protocol_error(n, LEG_CLIENT,
		    "client asks for and sets more capabilities than there "
		    "are");
	return f.type == MYSQLX_CAPABILITIES_GET ? client_get(n, &f)
						 : client_set(n, &f);
}

static struct verdict
mysqlx_step(struct negotiator *n)
{
	const struct mysqlx *x = n->state;

	switch (x->at) {
	case AT_CLIENT:
		return step_client(n);
	case AT_CONNECTING:
		return step_connecting(n);
	case AT_ASKED:
		return step_server(n, asked);
	case AT_CLIENT_TLS:
	case AT_SERVER_TLS:
		return go_to(n, AT_CLIENT);
	case AT_HELD:
	case AT_SETTING:
	case AT_GETTING:
		return step_server(n, answer_or_notice);
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return neg_past_end(n);
}

/*
 * Refusing.
 */

/* Some clients take 1045 for a log-in that failed, and try another way. */
static void
choose_code(const struct negotiator *n, struct mysqlx_error *e)
{
	e->code = CODE_REJECTED;
	e->sql_state = SQLSTATE_REJECTED;
	if (n->error.reason == REASON_CLIENT_TLS) {
		e->code = CODE_TLS_DEMANDED;
		e->sql_state = SQLSTATE_NONE;
		return;
	}
	switch (reason_class(n->error.reason)) {
	case REASON_CLASS_TEMPORARY:
		e->code = CODE_NOT_NOW;
		e->sql_state = SQLSTATE_NOT_NOW;
		break;
	case REASON_CLASS_LIMIT:
		e->code = CODE_TOO_MANY;
		e->sql_state = SQLSTATE_TOO_MANY;
		break;
	case REASON_CLASS_PERMANENT:
		break;
	}
}

static struct verdict
tell(struct negotiator *n)
{
	const bool hinted = n->error.hint != NULL;
	struct mysqlx_error e = {
		.fatal = true,
		.parts = { "dbtls: ", n->error.text, hinted ? "; " : NULL,
		    n->error.hint },
	};
	struct mysqlx *x = n->state;

	choose_code(n, &e);
	mysqlx_write_error(&n->out[LEG_CLIENT], &e);
	x->at = AT_TOLD;
	return neg_refused();
}

/* An error is an answer: it waits for the question, whatever that is, even for
 * TLS.  A client that has run out of time has had its chance. */
static struct verdict
refuse_client(struct negotiator *n)
{
	struct mysqlx_frame f;

	if (n->error.reason == REASON_TIMEOUT)
		return neg_refused();
	switch (mysqlx_look(n->in[LEG_CLIENT], &f)) {
	case MYSQLX_PART:
	case MYSQLX_HEAD:
		return neg_read(FROM_CLIENT);
	case MYSQLX_BAD:
		return neg_refused();
	case MYSQLX_WHOLE:
		break;
	}
	rd_skip(&n->in[LEG_CLIENT], f.len);
	return tell(n);
}

/* If TLS has failed, nothing that we could say would be understood. */
static struct verdict
refuse_client_tls(struct negotiator *n)
{
	return n->leg[LEG_CLIENT].tls_up ? go_to(n, AT_CLIENT) : neg_refused();
}

static struct verdict
mysqlx_refuse(struct negotiator *n)
{
	const struct mysqlx *x = n->state;

	switch (x->at) {
	case AT_CLIENT:
		return refuse_client(n);
	case AT_CLIENT_TLS:
		return refuse_client_tls(n);
	case AT_CONNECTING:
	case AT_ASKED:
	case AT_SERVER_TLS:
	case AT_HELD:
	case AT_SETTING:
	case AT_GETTING:
		return tell(n);
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return neg_refused();
}

static bool
mysqlx_preamble(const struct negotiator *n, struct rd out)
{
	(void)n;
	return rd_equals(out, mysqlx_set_tls.at, mysqlx_set_tls.left);
}

static const char *
mysqlx_where(const struct negotiator *n)
{
	const struct mysqlx *x = n->state;

	switch (x->at) {
	case AT_CLIENT:
		return "awaiting the client's next message";
	case AT_CLIENT_TLS:
		return "securing the client's leg";
	case AT_CONNECTING:
		return "connecting to the server";
	case AT_ASKED:
		return "awaiting the server's answer to CapabilitiesSet tls";
	case AT_SERVER_TLS:
		return "securing the server's leg";
	case AT_HELD:
	case AT_SETTING:
	case AT_GETTING:
		return "awaiting the server's word on capabilities";
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return "refusing the client";
}

const struct neg_ops neg_mysqlx = {
	.name = "mysqlx",
	.default_port = 33060,
	.window = WINDOW,
	.state_size = sizeof(struct mysqlx),
	.server_start = NEG_START_ASKED,
	.client_first = true,
	.client_chooses = true,
	.no_close_notify = true,
	.hello = { .at = hello, .left = sizeof(hello) },
	.step = mysqlx_step,
	.refuse = mysqlx_refuse,
	.preamble = mysqlx_preamble,
	.where = mysqlx_where,
};
