/*
 * sybase.c - engine `sybase`: SAP ASE, version 5.0 of TDS and older ones
 *
 *	client             here                      server
 *	 TLS, or not   <->
 *	 its login      -> held; connect
 *	                   TLS                   <->
 *	                   relay, the login first
 *
 * A listener of ASE has TLS from the first byte or never, and the two legs need
 * not agree.  A client speaks first and always begins with its login: what that
 * calls the user and the program goes to our log, and nothing is dialled for
 * whoever says something else.  Its password, the encrypted exchange of one and
 * all that follows go by unread.
 *
 * Names and numbers are those of SAP's "TDS 5.0 Functional Specification".
 */
#include <string.h>

#include "protocols/negotiator.h"
#include "protocols/tds_packet.h"

/* Clients send their login in packets of 512 bytes, and take what answers it in
 * no larger ones: none has agreed on a size yet. */
#define PACKET    512u
#define LOGIN_MAX 16384u
#define WINDOW    TDS_PACKET_FIRST

/* Where a login has what is of interest here, all of it in its first packet: a
 * name has this much room, then one byte with its length. */
#define NAME_ROOM      30u
#define USER_AT        31u
#define INT2_AT        124u
#define PROGRAM_AT     140u
#define VERSION_AT     458u
#define INT2_LOW_FIRST 3u /* TDS_INT2_LSB_LO: the order of bytes it wants */
#define VERSION_5      5u

static const struct neg_tls sybase_tls = { .alpn_rule = NEG_ALPN_NONE };

/* What `dbtls test` says: the head of a login, which it does not send on. */
static const uint8_t sybase_hello[TDS_HEAD] = { TDS_LOGIN_OLD, TDS_EOM, 0,
	TDS_HEAD };

static const char *const sybase_aliases[] = { "ase", NULL };

enum sybase_at {
	AT_LOGIN = 0, /* the client's first packet, or its TLS */
	AT_CLIENT_TLS,
	AT_GARBLED, /* it makes no sense to us, nor would we to it */
	AT_CONNECTING,
	AT_SERVER_TLS,
	AT_TOLD, /* the client has been told why not */
};

struct sybase {
	enum sybase_at at;
	bool refusing; /* the client is only to be told why not */
	size_t heard;  /* of a login that is to be refused, in bytes */
	/* As the login says. */
	bool low_first;
	uint8_t version;
};

/*
 * The client's login.
 */

enum opening {
	OPENING_PART = 0,
	OPENING_TLS,
	OPENING_PACKET, /* of a login, whole */
	OPENING_OTHER,
};

static enum opening
look(struct rd r, struct tds_packet *p)
{
	struct rd ahead = r;
	const uint8_t type = rd_u8(&ahead);

	if (ahead.cut)
		return OPENING_PART;
	if (type == NEG_RECORD_HANDSHAKE)
		return OPENING_TLS;
	if (type != TDS_LOGIN_OLD)
		return OPENING_OTHER;
	switch (tds_look_at_packet(r, p)) {
	case TDS_PART:
		return p->len <= WINDOW ? OPENING_PART : OPENING_OTHER;
	case TDS_WHOLE:
		return OPENING_PACKET;
	case TDS_BAD:
		break;
	}
	return OPENING_OTHER;
}

static uint8_t
byte_at(struct rd login, size_t at)
{
	rd_skip(&login, at);
	return rd_u8(&login);
}

static void
read_name(char name[NEG_NAME_MAX + 1], struct rd login, size_t at)
{
	struct rd room;
	size_t len;

	rd_skip(&login, at);
	room = rd_take(&login, NAME_ROOM);
	len = rd_u8(&login);
	neg_name_set(name, rd_take(&room, len < NAME_ROOM ? len : NAME_ROOM));
}

static void
read_login(struct negotiator *n, struct rd login)
{
	struct sybase *s = n->state;

	s->low_first = byte_at(login, INT2_AT) == INT2_LOW_FIRST;
	s->version = byte_at(login, VERSION_AT);
	read_name(n->names.user, login, USER_AT);
	read_name(n->names.program, login, PROGRAM_AT);
}

/*
 * To the relay.
 */

static struct verdict
garbled(struct negotiator *n, enum reason reason, const char *text,
    const char *hint)
{
	struct sybase *s = n->state;

	s->at = AT_GARBLED;
	return neg_end(n, reason, LEG_CLIENT, text, hint);
}

static struct verdict
step_client_hello(struct negotiator *n)
{
	struct sybase *s = n->state;

	if (n->leg[LEG_CLIENT].tls_up)
		return garbled(n, REASON_PROTOCOL,
		    "client began with TLS inside TLS", NULL);
	if (n->policy->client == CLIENT_TLS_OFF)
		return garbled(n, REASON_CLIENT_TLS,
		    "client began with TLS, which this listener does not offer",
		    "give its endpoint a client_tls group, or connect without");
	s->at = AT_CLIENT_TLS;
	return neg_start_tls(LEG_CLIENT, &sybase_tls);
}

static struct verdict
step_packet(struct negotiator *n, struct rd login)
{
	struct sybase *s = n->state;

	read_login(n, login);
	if (!neg_rule_met(n, LEG_CLIENT))
		return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT,
		    "client does not use TLS, which this listener demands",
		    "let it use TLS (\"ssl\" behind host and port in the "
		    "interfaces file, ENABLE_SSL=true in jConnect)");
	s->at = AT_CONNECTING;
	return neg_connect();
}

static struct verdict
step_login(struct negotiator *n)
{
	struct tds_packet p;

	switch (look(n->in[LEG_CLIENT], &p)) {
	case OPENING_PART:
		return neg_read(FROM_CLIENT);
	case OPENING_TLS:
		return step_client_hello(n);
	case OPENING_PACKET:
		return step_packet(n, p.payload);
	case OPENING_OTHER:
		break;
	}
	return garbled(n, REASON_PROTOCOL,
	    "client does not speak TDS 5.0: it began with something else than "
	    "a login",
	    "is it a client of SAP ASE?  Those of SQL Server need engine "
	    "sqlserver");
}

static struct verdict
step_client_tls(struct negotiator *n)
{
	struct sybase *s = n->state;

	s->at = AT_LOGIN;
	return neg_next();
}

static struct verdict
step_connecting(struct negotiator *n)
{
	struct sybase *s = n->state;

	if (!n->connected)
		return neg_connect();
	if (neg_rule_met(n, LEG_SERVER))
		return neg_relay();
	s->at = AT_SERVER_TLS;
	return neg_start_tls(LEG_SERVER, &sybase_tls);
}

static struct verdict
sybase_step(struct negotiator *n)
{
	const struct sybase *s = n->state;

	switch (s->at) {
	case AT_LOGIN:
		return step_login(n);
	case AT_CLIENT_TLS:
		return step_client_tls(n);
	case AT_CONNECTING:
		return step_connecting(n);
	case AT_SERVER_TLS:
		return neg_relay();
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return neg_past_end(n);
}

/*
 * Refusing: what a server says to a login that fails, in the version and the
 * order of bytes that the client has asked for.
 */

enum token {
	TOKEN_ERROR = 0xaa, /* before version 5 */
	TOKEN_LOGINACK = 0xad,
	TOKEN_EED = 0xe5,
	TOKEN_DONE = 0xfd,
};

#define LOGINACK_FAILED 6u          /* TDS_LOG_FAIL */
#define ACK_VERSION     0x05000000u /* 5.0.0.0 */
#define DONE_ERROR      0x02u       /* TDS_DONE_ERROR */
#define STATE           1u
#define EED_ALONE       0u /* TDS_NO_EED: no parameters behind it */

/* Severities: of a lack of resources, and of a login that fails. */
#define CLASS_RESOURCES 17u
#define CLASS_REJECTED  14u

#define NAME      "dbtls" /* of the server that says it */
#define NAME_LEN  (sizeof(NAME) - 1)
#define PREFIX    "dbtls: "
#define REPLY_MAX 1024u
_Static_assert(2 * NEG_TEXT_MAX + 128 < REPLY_MAX, "a text and its hint fit");

struct complaint {
	uint32_t number;
	uint8_t severity;
	const char *sql_state;
};

/* "Login failed", as ASE has it. */
static const struct complaint rejected = { 4002, CLASS_REJECTED, "28000" };
/* "There are not enough 'user connections' available". */
static const struct complaint too_many = { 1601, CLASS_RESOURCES, "08004" };
/* SQL Server's "not currently available": ASE has none for a while only. */
static const struct complaint not_now = { 40613, CLASS_RESOURCES, "08001" };

static const struct complaint *
choose_complaint(enum reason reason)
{
	switch (reason_class(reason)) {
	case REASON_CLASS_TEMPORARY:
		return &not_now;
	case REASON_CLASS_LIMIT:
		return &too_many;
	case REASON_CLASS_PERMANENT:
		break;
	}
	return &rejected;
}

static void
write_16(const struct sybase *s, struct wr *w, size_t v)
{
	if (s->low_first)
		wr_le16(w, (uint16_t)v);
	else
		wr_be16(w, (uint16_t)v);
}

static void
write_32(const struct sybase *s, struct wr *w, uint32_t v)
{
	if (s->low_first)
		wr_le32(w, v);
	else
		wr_be32(w, v);
}

/* There is but one text: the remedy is its second half. */
static void
write_text(struct wr *w, const struct neg_error *why)
{
	wr_string(w, PREFIX);
	wr_string(w, why->text);
	if (why->hint != NULL) {
		wr_string(w, "; ");
		wr_string(w, why->hint);
	}
}

static void
write_complaint(const struct sybase *s, struct wr *w,
    const struct neg_error *why)
{
	const struct complaint *c = choose_complaint(why->reason);
	uint8_t bytes[REPLY_MAX];
	struct wr text = { .base = bytes, .cap = sizeof(bytes) };

	write_text(&text, why);
	write_32(s, w, c->number);
	wr_u8(w, STATE);
	wr_u8(w, c->severity);
	if (s->version >= VERSION_5) {
		wr_u8(w, (uint8_t)strlen(c->sql_state));
		wr_string(w, c->sql_state);
		wr_u8(w, EED_ALONE);
		write_16(s, w, 0); /* in no transaction */
	}
	write_16(s, w, text.len);
	wr_bytes(w, text.base, text.len);
	wr_u8(w, NAME_LEN);
	wr_string(w, NAME);
	wr_u8(w, 0);       /* of no procedure */
	write_16(s, w, 0); /* in no line */
}

static void
write_ack(struct wr *w)
{
	wr_u8(w, LOGINACK_FAILED);
	wr_be32(w, ACK_VERSION);
	wr_u8(w, NAME_LEN);
	wr_string(w, NAME);
	wr_be32(w, 0); /* of no version */
}

static void
write_token(const struct sybase *s, struct wr *w, enum token token,
    const struct wr *body)
{
	wr_u8(w, (uint8_t)token);
	write_16(s, w, body->len);
	wr_bytes(w, body->base, body->len);
}

static void
write_done(const struct sybase *s, struct wr *w)
{
	wr_u8(w, TOKEN_DONE);
	write_16(s, w, DONE_ERROR);
	write_16(s, w, 0); /* of no transaction */
	write_32(s, w, 0); /* no rows */
}

/* The complaint comes before the acknowledgement: jTDS has words of its own for
 * that, and shows what was first. */
static void
write_refusal(const struct sybase *s, struct wr *out,
    const struct neg_error *why)
{
	const bool is_5 = s->version >= VERSION_5;
	uint8_t bytes[REPLY_MAX], body[REPLY_MAX];
	struct wr tokens = { .base = bytes, .cap = sizeof(bytes) };
	struct wr w = { .base = body, .cap = sizeof(body) };

	write_complaint(s, &w, why);
	write_token(s, &tokens, is_5 ? TOKEN_EED : TOKEN_ERROR, &w);
	if (is_5) {
		w.len = 0;
		write_ack(&w);
		write_token(s, &tokens, TOKEN_LOGINACK, &w);
	}
	write_done(s, &tokens);
	tds_write_packets(out, TDS_REPLY, PACKET, wr_written(&tokens));
}

/* The answer waits for the whole login: a socket that is closed with something
 * unread takes back what was sent. */
static struct verdict
refuse_login(struct negotiator *n)
{
	struct sybase *s = n->state;
	struct tds_packet p;

	if (look(n->in[LEG_CLIENT], &p) == OPENING_PART)
		return neg_read(FROM_CLIENT);
	if (look(n->in[LEG_CLIENT], &p) != OPENING_PACKET ||
	    s->heard + p.len > LOGIN_MAX)
		return neg_refused();
	if (s->heard == 0)
		read_login(n, p.payload);
	s->heard += p.len;
	rd_skip(&n->in[LEG_CLIENT], p.len);
	if (!p.last)
		return neg_next();
	write_refusal(s, &n->out[LEG_CLIENT], &n->error);
	s->at = AT_TOLD;
	return neg_refused();
}

/* An error is an answer: it waits for the question, in TLS or not.  A client
 * that has run out of time has had its chance. */
static struct verdict
refuse_client(struct negotiator *n, bool begins)
{
	const struct sybase *s = n->state;
	struct tds_packet p;

	if (begins && n->error.reason == REASON_TIMEOUT)
		return neg_refused();
	if (s->heard == 0 && look(n->in[LEG_CLIENT], &p) == OPENING_TLS)
		return step_client_hello(n);
	return refuse_login(n);
}

/* If TLS has failed, nothing that we could say would be understood. */
static struct verdict
refuse_client_tls(struct negotiator *n)
{
	return n->leg[LEG_CLIENT].tls_up ? step_client_tls(n) : neg_refused();
}

static struct verdict
sybase_refuse(struct negotiator *n)
{
	struct sybase *s = n->state;
	const bool begins = !s->refusing;

	s->refusing = true;
	switch (s->at) {
	case AT_LOGIN:
		return refuse_client(n, begins);
	case AT_CLIENT_TLS:
		return refuse_client_tls(n);
	case AT_CONNECTING:
	case AT_SERVER_TLS:
		return refuse_login(n);
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return neg_refused();
}

static const char *
sybase_where(const struct negotiator *n)
{
	const struct sybase *s = n->state;

	switch (s->at) {
	case AT_LOGIN:
		return "awaiting the client's login";
	case AT_CLIENT_TLS:
		return "securing the client's leg";
	case AT_CONNECTING:
		return "connecting to the server";
	case AT_SERVER_TLS:
		return "securing the server's leg";
	case AT_GARBLED:
	case AT_TOLD:
		break;
	}
	return "refusing the client";
}

const struct neg_ops neg_sybase = {
	.name = "sybase",
	.aliases = sybase_aliases,
	.default_port = 5000,
	.window = WINDOW,
	.state_size = sizeof(struct sybase),
	.server_start = NEG_START_FIRST,
	.client_first = true,
	.client_chooses = true,
	.no_close_notify = true,
	.hello = { .at = sybase_hello, .left = sizeof(sybase_hello) },
	.step = sybase_step,
	.refuse = sybase_refuse,
	.where = sybase_where,
};
