/*
 * mongodb.c - engine `mongodb`: MongoDB and DocumentDB
 *
 *	client                 here                      server
 *	 TLS, or not
 *	 a message's head     -> connect
 *	                         TLS                    ->
 *	                      -> relay, that message first
 *
 * There is nothing to negotiate: a port has TLS from the first byte, or none.
 * A server that insists on TLS only closes, or answers in it, when it is spoken
 * to in clear; so where it is to have none its first bytes are awaited, and a
 * client that gets no answer is told why.
 * A client that comes without is told apart by what it begins with, and a
 * client that is turned away is told why in the answer to its first message,
 * which it cannot do without: so it is awaited, and no more of it than its
 * head.
 *
 * What drivers do next is to ask the server, with hello, where the members of
 * its replica set are, and to go there, which is past us.  With hosts =
 * "rewrite" each listen address stands for one member, and every answer to
 * hello tells those instead.  They come at any time: drivers go on asking, some
 * once for many answers.  What is longer than any hello passes unheld.
 */
#include "protocols/mongodb_hello.h"

/* Drivers try again for the one, and report the other. */
#define CODE_NOT_NOW  91u /* ShutdownInProgress */
#define CODE_REJECTED 18u /* AuthenticationFailed */

#define MESSAGE_MAX 48000000u   /* maxMessageSizeBytes */
#define LENGTH_MAX  0x7fffffffu /* it is signed */

/* Nothing has to be seen whole; but a client that leaves while the server is
 * being dialled is only noticed as long as there is room to read. */
#define WINDOW 4096

/* What `dbtls test` says: OP_MSG { ismaster: 1, $db: "admin" }. */
#define HELLO_LEN      55
#define HELLO_DOCUMENT 34
static const uint8_t hello[] = { HELLO_LEN, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
	0xdd, 0x07, 0, 0, 0, 0, 0, 0, 0, HELLO_DOCUMENT, 0, 0, 0, 0x10, 'i',
	's', 'm', 'a', 's', 't', 'e', 'r', '\0', 1, 0, 0, 0, 0x02, '$', 'd',
	'b', '\0', 6, 0, 0, 0, 'a', 'd', 'm', 'i', 'n', '\0', '\0' };
_Static_assert(sizeof(hello) == HELLO_LEN, "the length that it says it has");

static const struct neg_tls mongodb_tls = { .alpn_rule = NEG_ALPN_NONE };

enum at {
	AT_OPENING = 0, /* the client's first bytes, or first within TLS */
	AT_CLIENT_TLS,
	AT_GARBLED, /* it made no sense to us, nor would we to it */
	AT_CONNECTING,
	AT_SERVER_TLS,
	AT_ASKED, /* a server without TLS; it has not answered yet */
	AT_TOLD,  /* the client has been told why not */
};

struct mongodb {
	enum at at;
	struct mongodb_head first; /* what the client began with */
	size_t unsaid;             /* of it, to a server that is asked by it */
};

enum hosts {
	HOSTS_PASS = 0,
	HOSTS_REWRITE,
};

struct mongodb_options {
	int hosts; /* enum hosts */
};

static struct verdict
go_to(struct negotiator *n, enum at at)
{
	struct mongodb *m = n->state;

	m->at = at;
	return neg_next();
}

static struct verdict
start_tls(struct negotiator *n, enum leg_id leg, enum at at)
{
	struct mongodb *m = n->state;

	m->at = at;
	return neg_start_tls(leg, &mongodb_tls);
}

/*
 * What the client begins with.
 */

enum opening {
	OPENING_PART = 0,
	OPENING_TLS,
	OPENING_MESSAGE,
	OPENING_ALIEN,
};

/* What begins so could be a message, too: one of 66 kB or more, which nobody
 * begins with. */
static enum opening
look_for_tls(struct rd r, uint8_t type)
{
	bool part;

	if (neg_begins_record(r, type, &part))
		return OPENING_TLS;
	return part || r.left == 0 ? OPENING_PART : OPENING_MESSAGE;
}

static bool
is_request(const struct mongodb_head *h)
{
	return h->length >= MONGODB_HEAD && h->length <= MESSAGE_MAX &&
	    (h->opcode == MONGODB_MSG || h->opcode == MONGODB_QUERY ||
		h->opcode == MONGODB_COMPRESSED);
}

static enum opening
look_at_opening(const struct negotiator *n, struct mongodb_head *h)
{
	struct rd r = n->in[LEG_CLIENT];
	enum opening opening = OPENING_MESSAGE;

	if (!n->leg[LEG_CLIENT].tls_up)
		opening = look_for_tls(r, NEG_RECORD_HANDSHAKE);
	if (opening != OPENING_MESSAGE)
		return opening;
	if (!mongodb_read_head(&r, h))
		return OPENING_PART;
	return is_request(h) ? OPENING_MESSAGE : OPENING_ALIEN;
}

static struct verdict
opening_tls(struct negotiator *n)
{
	struct mongodb *m = n->state;

	if (n->policy->client != CLIENT_TLS_OFF)
		return start_tls(n, LEG_CLIENT, AT_CLIENT_TLS);
	m->at = AT_GARBLED;
	return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT,
	    "client began with TLS, which this listener does not offer",
	    "give the endpoint a client_tls group, or connect without "
	    "(tls=false)");
}

static struct verdict
opening_alien(struct negotiator *n)
{
	struct mongodb *m = n->state;

	m->at = AT_GARBLED;
	return neg_end(n, REASON_PROTOCOL, LEG_CLIENT,
	    "client does not speak MongoDB's protocol: it began with neither "
	    "a message nor TLS",
	    NULL);
}

static struct verdict
opening_message(struct negotiator *n, const struct mongodb_head *h)
{
	struct mongodb *m = n->state;

	if (!neg_rule_met(n, LEG_CLIENT))
		return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT,
		    "client does not use TLS, which this listener demands",
		    "connect with tls=true");
	m->at = AT_CONNECTING;
	m->first = *h;
	m->unsaid = h->length;
	return neg_connect();
}

static struct verdict
step_opening(struct negotiator *n)
{
	struct mongodb_head h;

	switch (look_at_opening(n, &h)) {
	case OPENING_PART:
		return neg_read(FROM_CLIENT);
	case OPENING_TLS:
		return opening_tls(n);
	case OPENING_MESSAGE:
		return opening_message(n, &h);
	case OPENING_ALIEN:
		break;
	}
	return opening_alien(n);
}

/*
 * The relay.
 */

static bool
mongodb_pairs(const void *options)
{
	const struct mongodb_options *o = options;

	return o->hosts == HOSTS_REWRITE;
}

static uint64_t
reply_length(struct rd head)
{
	const uint32_t len = rd_le32(&head);

	return len > LENGTH_MAX ? 0 : len;
}

static enum unit_act
reply_judge(struct rd before, struct rd peek)
{
	struct mongodb_head h;

	(void)before;
	if (!mongodb_read_head(&peek, &h) || h.length > NEG_UNIT_MAX)
		return UNIT_PASS;
	return h.opcode == MONGODB_MSG || h.opcode == MONGODB_REPLY ? UNIT_TAKE
								    : UNIT_PASS;
}

static bool
reply_rewrite(const struct negotiator *n, struct rd unit, struct wr *out)
{
	return n->members != NULL && n->member < n->members->n &&
	    mongodb_hello_rewrite(unit, n->members, n->member, out);
}

static const struct neg_units mongodb_replies = {
	.head = MONGODB_HEAD,
	.peek = MONGODB_HEAD,
	.length = reply_length,
	.judge = reply_judge,
	.rewrite = reply_rewrite,
};

static struct verdict
relay(struct negotiator *n)
{
	if (mongodb_pairs(n->options))
		n->units[LEG_SERVER] = &mongodb_replies;
	return neg_relay();
}

static struct verdict
step_connected(struct negotiator *n)
{
	if (!neg_rule_met(n, LEG_SERVER))
		return start_tls(n, LEG_SERVER, AT_SERVER_TLS);
	return go_to(n, AT_ASKED);
}

/* The client's first message; no more is said before it has an answer. */
static bool
say_first(struct negotiator *n)
{
	struct mongodb *m = n->state;
	const size_t come = n->in[LEG_CLIENT].left;
	const size_t len = come < m->unsaid ? come : m->unsaid;

	neg_forward(n, LEG_CLIENT, len);
	m->unsaid -= len;
	return m->unsaid == 0;
}

/* A client that leaves meanwhile is noticed, while there is room to read. */
static struct verdict
await_answer(const struct negotiator *n)
{
	return neg_read(n->in[LEG_CLIENT].left < WINDOW
		? FROM_CLIENT | FROM_SERVER
		: FROM_SERVER);
}

/* Its end is the session's to see, which then has the client refused. */
static struct verdict
step_asked(struct negotiator *n)
{
	if (!say_first(n))
		return neg_read(FROM_CLIENT);
	switch (look_for_tls(n->in[LEG_SERVER], NEG_RECORD_ALERT)) {
	case OPENING_PART:
		return await_answer(n);
	case OPENING_TLS:
		return neg_end(n, REASON_TLS_REFUSED, LEG_SERVER,
		    "server insists on TLS, and ssl_mode is none",
		    "set ssl_mode = \"verify-full\" and the server's ca");
	case OPENING_MESSAGE:
	case OPENING_ALIEN:
		break;
	}
	return relay(n);
}

static struct verdict
mongodb_step(struct negotiator *n)
{
	const struct mongodb *m = n->state;

	switch (m->at) {
	case AT_OPENING:
		return step_opening(n);
	case AT_CLIENT_TLS:
		return go_to(n, AT_OPENING);
	case AT_CONNECTING:
		return step_connected(n);
	case AT_SERVER_TLS:
		return relay(n);
	case AT_ASKED:
		return step_asked(n);
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return neg_past_end(n);
}

/*
 * Refusing.
 */

static void
choose_code(const struct negotiator *n, struct mongodb_error *e)
{
	switch (reason_class(n->error.reason)) {
	case REASON_CLASS_TEMPORARY:
	case REASON_CLASS_LIMIT:
		e->code = CODE_NOT_NOW;
		e->code_name = "ShutdownInProgress";
		return;
	case REASON_CLASS_PERMANENT:
		break;
	}
	e->code = CODE_REJECTED;
	e->code_name = "AuthenticationFailed";
}

static struct verdict
tell(struct negotiator *n, const struct mongodb_head *request)
{
	const bool hinted = n->error.hint != NULL;
	struct mongodb_error e = {
		.parts = { "dbtls: ", n->error.text, hinted ? "; " : NULL,
		    n->error.hint },
	};
	struct mongodb *m = n->state;

	choose_code(n, &e);
	mongodb_write_error(&n->out[LEG_CLIENT], request, &e);
	m->at = AT_TOLD;
	return neg_refused();
}

/* An error is an answer, and waits for the question.  A client that has run out
 * of time has had its chance. */
static struct verdict
refuse_opening(struct negotiator *n)
{
	struct mongodb_head h;

	switch (look_at_opening(n, &h)) {
	case OPENING_PART:
		return n->error.reason == REASON_TIMEOUT
		    ? neg_refused()
		    : neg_read(FROM_CLIENT);
	case OPENING_TLS:
		return n->policy->client == CLIENT_TLS_OFF
		    ? neg_refused()
		    : start_tls(n, LEG_CLIENT, AT_CLIENT_TLS);
	case OPENING_MESSAGE:
		return tell(n, &h);
	case OPENING_ALIEN:
		break;
	}
	return neg_refused();
}

/* If TLS has failed, nothing that we could say would be understood. */
static struct verdict
refuse_client_tls(struct negotiator *n)
{
	return n->leg[LEG_CLIENT].tls_up ? go_to(n, AT_OPENING) : neg_refused();
}

static struct verdict
mongodb_refuse(struct negotiator *n)
{
	const struct mongodb *m = n->state;

	switch (m->at) {
	case AT_OPENING:
		return refuse_opening(n);
	case AT_CLIENT_TLS:
		return refuse_client_tls(n);
	case AT_CONNECTING:
	case AT_SERVER_TLS:
	case AT_ASKED:
		return tell(n, &m->first);
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return neg_refused();
}

static const char *
mongodb_where(const struct negotiator *n)
{
	const struct mongodb *m = n->state;

	switch (m->at) {
	case AT_OPENING:
		return "awaiting the client's first message";
	case AT_CLIENT_TLS:
		return "securing the client's leg";
	case AT_CONNECTING:
		return "connecting to the server";
	case AT_SERVER_TLS:
		return "securing the server's leg";
	case AT_ASKED:
		return "awaiting the server's first answer";
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return "refusing the client";
}

static const char *const mongodb_aliases[] = { "docdb", NULL };
static const char *const mongodb_hosts[] = { "pass", "rewrite", NULL };

static const struct neg_option mongodb_options[] = {
	{ .name = "hosts",
	    .kind = NEG_OPTION_CHOICE,
	    .offset = offsetof(struct mongodb_options, hosts),
	    .choices = mongodb_hosts,
	    .help = "what clients are told of where a replica set's members "
		    "are: as it is, or the listen address of each" },
	{ .name = NULL },
};

const struct neg_ops neg_mongodb = {
	.name = "mongodb",
	.aliases = mongodb_aliases,
	.default_port = 27017,
	.window = WINDOW,
	.state_size = sizeof(struct mongodb),
	.options = mongodb_options,
	.options_size = sizeof(struct mongodb_options),
	.server_start = NEG_START_FIRST,
	.client_first = true,
	.client_chooses = true,
	.no_close_notify = true,
	.pairs = mongodb_pairs,
	.hello = { .at = hello, .left = sizeof(hello) },
	.step = mongodb_step,
	.refuse = mongodb_refuse,
	.where = mongodb_where,
};
