#include "tests/loop/toy.h"

#include <string.h>

#define HEAD   2
#define PEEK   3
#define WINDOW 256
#define HOUR   (3600 * 1000)

enum message_type {
	HELLO = 'H',
	ASK_TLS = 'T',
	LOGIN = 'L',
	WAKE = 'W',
	WOKEN = 'w',
	NUDGE = 'N',
	NUDGED = 'n',
	MEMBERS = 'M',
	TOLD = 'm',
	WHERE = 'P',
	HERE = 'p',
	REFUSED = 'E',
	AGAIN = 'A',
	MOVE = TOY_MOVE,
};
#define ANSWER_YES 'Y'
#define ANSWER_NO  'N'

enum toy_state {
	TOY_CONNECTS = 0,
	TOY_MOVES,
	TOY_GREETS,
	TOY_LOGS_IN,
	TOY_IS_IN,
	TOY_IS_ANSWERED,
};

struct toy_state_of {
	enum toy_state state;
	uint8_t host[NEG_HOST_MAX];
};

atomic_uint toy_dials;

static const struct neg_tls toy_tls = { .alpn_rule = NEG_ALPN_NONE };

static const struct neg_tls toy_tls_anew = { .alpn_rule = NEG_ALPN_NONE,
	.anew = true };

static uint64_t
toy_length(struct rd head)
{
	return rd_be16(&head);
}

static enum unit_act
toy_judge(struct rd before, struct rd peek)
{
	uint8_t type;

	(void)before;
	rd_skip(&peek, HEAD);
	type = rd_u8(&peek);
	return type == WAKE || type == NUDGE ? UNIT_WAKE : UNIT_PASS;
}

static const struct neg_units toy_units = { .head = HEAD,
	.peek = PEEK,
	.length = toy_length,
	.judge = toy_judge };

static enum unit_act
toy_judge_server(struct rd before, struct rd peek)
{
	uint8_t type;

	(void)before;
	rd_skip(&peek, HEAD);
	type = rd_u8(&peek);
	return type == MEMBERS || type == WHERE ? UNIT_TAKE : UNIT_PASS;
}

static bool
toy_rewrite(const struct negotiator *n, struct rd unit, struct wr *out)
{
	const struct neg_members *m = n->members;
	const struct neg_member *own = &m->list[n->member];
	uint8_t type;

	rd_skip(&unit, HEAD);
	type = rd_u8(&unit);
	if (type == WHERE) {
		wr_be16(out,
		    (uint16_t)(PEEK + strlen(own->listen) + 2 +
			strlen(own->host)));
		wr_u8(out, HERE);
		wr_string(out, own->listen);
		wr_be16(out, own->port);
		wr_string(out, own->host);
		return true;
	}
	wr_be16(out, (uint16_t)(PEEK + unit.left + 2));
	wr_u8(out, TOLD);
	wr_bytes(out, unit.at, unit.left);
	wr_u8(out, (uint8_t)('0' + n->member));
	wr_u8(out, (uint8_t)('0' + m->n));
	return true;
}

static const struct neg_units toy_units_of_members = { .head = HEAD,
	.peek = PEEK,
	.length = toy_length,
	.judge = toy_judge_server,
	.rewrite = toy_rewrite };

struct message {
	size_t len;
	uint8_t type;
	struct rd body;
};

/* The next one, if all of it is there. */
static bool
see_message(const struct negotiator *n, enum leg_id leg, struct message *m)
{
	struct rd r = n->in[leg];

	m->len = rd_be16(&r);
	m->type = rd_u8(&r);
	m->body = rd_take(&r, m->len - PEEK);
	return !r.cut;
}

static void
send_message(struct negotiator *n, enum leg_id to, uint8_t type, struct rd body)
{
	struct wr *out = &n->out[to];

	wr_be16(out, (uint16_t)(PEEK + body.left));
	wr_u8(out, type);
	wr_bytes(out, body.at, body.left);
}

static unsigned
toy_delay(const struct negotiator *n)
{
	if (n->ops == &toy_that_waits)
		return TOY_WAITS_MS;
	return n->ops == &toy_that_waits_long ? HOUR : 0;
}

static struct verdict
toy_relay(struct negotiator *n)
{
	if (n->ops->pairs != NULL)
		n->units[LEG_SERVER] = &toy_units_of_members;
	else
		n->units[LEG_CLIENT] = &toy_units;
	return neg_relay();
}

static struct verdict
toy_connects(struct negotiator *n, struct toy_state_of *t)
{
	if (n->in[LEG_CLIENT].left > 0)
		return neg_end(n, REASON_PROTOCOL, LEG_CLIENT,
		    "the client spoke out of turn", NULL);
	n->route.delay_ms = toy_delay(n);
	(void)atomic_fetch_add(&toy_dials, 1);
	if (!n->connected)
		return neg_connect();
	if (!neg_rule_met(n, LEG_SERVER))
		return neg_start_tls(LEG_SERVER, &toy_tls);
	t->state = TOY_GREETS;
	return neg_next();
}

/* Connected to the one that it was sent to. */
static struct verdict
toy_moves(struct negotiator *n, struct toy_state_of *t)
{
	t->state = TOY_GREETS;
	return neg_rule_met(n, LEG_SERVER)
	    ? neg_next()
	    : neg_start_tls(LEG_SERVER, &toy_tls);
}

static struct verdict
toy_is_sent_on(struct negotiator *n, struct toy_state_of *t, struct rd where)
{
	struct wr host = { .base = t->host, .cap = sizeof(t->host) };

	n->route.redirect_port = rd_be16(&where);
	wr_bytes(&host, where.at, where.left);
	n->route.redirect_host = wr_written(&host);
	t->state = TOY_MOVES;
	return neg_connect();
}

static struct verdict
toy_begins_again(struct negotiator *n)
{
	n->sni = TOY_SNI;
	return neg_start_tls(LEG_SERVER, &toy_tls_anew);
}

static struct verdict
toy_greets(struct negotiator *n, struct toy_state_of *t)
{
	struct message m;

	if (!see_message(n, LEG_SERVER, &m))
		return neg_read(FROM_SERVER);
	if (n->ops->redirects != NULL && (m.type == AGAIN || m.type == MOVE)) {
		rd_skip(&n->in[LEG_SERVER], m.len);
		return m.type == AGAIN ? toy_begins_again(n)
				       : toy_is_sent_on(n, t, m.body);
	}
	neg_forward(n, LEG_SERVER, m.len);
	t->state = TOY_LOGS_IN;
	return neg_next();
}

static struct verdict
toy_logs_in(struct negotiator *n, struct toy_state_of *t)
{
	struct message m;

	if (!see_message(n, LEG_CLIENT, &m))
		return neg_read(FROM_CLIENT);
	if (m.type == ASK_TLS) {
		rd_skip(&n->in[LEG_CLIENT], m.len);
		return neg_start_tls(LEG_CLIENT, &toy_tls);
	}
	neg_forward(n, LEG_CLIENT, m.len);
	t->state = TOY_IS_IN;
	return toy_relay(n);
}

static struct verdict
toy_is_in(struct negotiator *n, struct toy_state_of *t)
{
	struct message m;

	if (!see_message(n, LEG_CLIENT, &m))
		return neg_read(FROM_CLIENT);
	rd_skip(&n->in[LEG_CLIENT], m.len);
	send_message(n, LEG_SERVER, m.type == WAKE ? WOKEN : NUDGED, m.body);
	if (m.type == NUDGE)
		return toy_relay(n);
	t->state = TOY_IS_ANSWERED;
	return neg_next();
}

/* The server may be in the middle of something: bytes of its that are no
 * answer pass. */
static struct verdict
toy_is_answered(struct negotiator *n, struct toy_state_of *t)
{
	struct rd look = n->in[LEG_SERVER];
	size_t before = 0;
	uint8_t byte = 0;

	while (look.left > 0) {
		byte = rd_u8(&look);
		if (byte == ANSWER_YES || byte == ANSWER_NO)
			break;
		before++;
	}
	if (before > 0) {
		neg_forward(n, LEG_SERVER, before);
		return neg_next();
	}
	if (n->in[LEG_SERVER].left == 0)
		return neg_read(FROM_SERVER);
	rd_skip(&n->in[LEG_SERVER], 1);
	if (byte == ANSWER_NO)
		return neg_end(n, REASON_AUTH, LEG_CLIENT, "the server said no",
		    NULL);
	wr_u8(&n->out[LEG_CLIENT], 'y');
	t->state = TOY_IS_IN;
	return toy_relay(n);
}

static struct verdict
toy_step(struct negotiator *n)
{
	struct toy_state_of *t = n->state;

	switch (t->state) {
	case TOY_CONNECTS:
		return toy_connects(n, t);
	case TOY_MOVES:
		return toy_moves(n, t);
	case TOY_GREETS:
		return toy_greets(n, t);
	case TOY_LOGS_IN:
		return toy_logs_in(n, t);
	case TOY_IS_IN:
		return toy_is_in(n, t);
	case TOY_IS_ANSWERED:
		return toy_is_answered(n, t);
	}
	return neg_read(FROM_CLIENT);
}

static struct verdict
toy_refuse(struct negotiator *n)
{
	struct rd text = { .at = (const uint8_t *)n->error.text,
		.left = strlen(n->error.text) };

	send_message(n, LEG_CLIENT, REFUSED, text);
	return (struct verdict){ .kind = V_END };
}

static const char *
toy_where(const struct negotiator *n)
{
	const struct toy_state_of *t = n->state;

	switch (t->state) {
	case TOY_CONNECTS:
		return "connecting the toy";
	case TOY_MOVES:
	case TOY_GREETS:
		return "waiting for the toy's greeting";
	case TOY_LOGS_IN:
		return "waiting for the toy's login";
	case TOY_IS_IN:
		return "woken";
	case TOY_IS_ANSWERED:
		return "waiting for the toy's answer";
	}
	return "?";
}

struct toy_options {
	struct neg_hosts follow;
};
static const struct neg_option toy_options[] = {
	{ .name = "follow",
	    .kind = NEG_OPTION_HOSTS,
	    .offset = offsetof(struct toy_options, follow) },
	{ .name = NULL },
};

/* The same, whatever the configuration says: that was of another engine. */
static const struct neg_hosts *
toy_redirects(const void *options)
{
	static char name[] = "localhost", address[] = "127.0.0.3";
	static char *list[] = { name, address };
	static const struct neg_hosts hosts = { list, 2 };

	(void)options;
	return &hosts;
}

static bool
toy_pairs(const void *options)
{
	(void)options;
	return true;
}

#define TOY(its_name, leaves_so, pairs_so)                                 \
	{                                                                  \
		.name = (its_name), .window = WINDOW,                      \
		.state_size = sizeof(struct toy_state_of),                 \
		.server_start = NEG_START_FIRST, .client_chooses = true,   \
		.no_close_notify = (leaves_so), .pairs = (pairs_so),       \
		.step = toy_step, .refuse = toy_refuse, .where = toy_where \
	}

const struct neg_ops toy = TOY("toy", false, NULL);
const struct neg_ops toy_without_goodbye =
    TOY("toy_without_goodbye", true, NULL);
const struct neg_ops toy_that_waits = TOY("toy_that_waits", false, NULL);
const struct neg_ops toy_that_waits_long =
    TOY("toy_that_waits_long", false, NULL);
const struct neg_ops toy_of_members = TOY("toy_of_members", false, toy_pairs);
const struct neg_ops toy_that_moves = {
	.name = "toy_that_moves",
	.window = WINDOW,
	.state_size = sizeof(struct toy_state_of),
	.server_start = NEG_START_FIRST,
	.client_chooses = true,
	.options = toy_options,
	.options_size = sizeof(struct toy_options),
	.redirects = toy_redirects,
	.step = toy_step,
	.refuse = toy_refuse,
	.where = toy_where,
};
