#include "protocols/negotiator.h"

#include <string.h>

/* The versions of TLS, as its records have them. */
#define TLS_MAJOR         3u
#define TLS_MINOR_HIGHEST 4u

/*
 * The policy.
 */

bool
neg_rule_met(const struct negotiator *n, enum leg_id leg)
{
	bool demanded = leg == LEG_CLIENT
	    ? n->policy->client == CLIENT_TLS_REQUIRE
	    : n->policy->server != SERVER_TLS_NEVER;

	return !demanded || n->leg[leg].tls_up;
}

static bool
both_rules_met(const struct negotiator *n)
{
	return neg_rule_met(n, LEG_CLIENT) && neg_rule_met(n, LEG_SERVER);
}

/* Was more read or written than there was, or than was allowed? */
static const char *
check_cursors(const struct negotiator *n)
{
	if (n->in[LEG_CLIENT].cut || n->in[LEG_SERVER].cut)
		return "internal fault: consumed what had not arrived";
	if (n->out[LEG_CLIENT].full || n->out[LEG_SERVER].full)
		return "internal fault: wrote too much, or too early";
	return NULL;
}

/*
 * A preamble is what may be said in clear to ask for TLS.  Where TLS is not
 * asked for it may still have to be said, while the client's leg is not what it
 * must be: after the ClientHello where that comes first, and to a server that
 * is to have no TLS.
 */
static bool
preamble_is_due(const struct negotiator *n)
{
	switch (n->policy->server) {
	case SERVER_TLS_NEVER:
		return true;
	case SERVER_TLS_REQUIRED:
		return !n->leg[LEG_SERVER].tls_up;
	case SERVER_TLS_FIRST:
		return n->leg[LEG_SERVER].tls_up;
	}
	return false;
}

static bool
is_preamble(const struct negotiator *n, struct rd out)
{
	return preamble_is_due(n) && n->ops->preamble != NULL &&
	    n->ops->preamble(n, out);
}

static const char *
check_output(const struct negotiator *n, const struct verdict *v)
{
	struct rd out = wr_written(&n->out[LEG_SERVER]);

	if (out.left == 0)
		return NULL;
	if (!n->connected)
		return "internal fault: wrote to no server";
	if (both_rules_met(n) || is_preamble(n, out))
		return NULL;
	if (v->kind == V_DELIVER)
		return NULL; /* check_delivery() has the say */
	return "internal fault: wrote to the server before TLS";
}

static const char *
check_read(const struct negotiator *n, unsigned from)
{
	if (from == 0 || (from & ~(FROM_CLIENT | FROM_SERVER)) != 0)
		return "internal fault: waited for nobody";
	if ((from & FROM_SERVER) != 0 && !n->connected)
		return "internal fault: waited for no server";
	return NULL;
}

/* To another server, by a server's word. */
static const char *
check_redirect(const struct negotiator *n)
{
	const struct rd *host = &n->route.redirect_host;

	if (n->ops->redirects == NULL || host->left == 0 || host->cut ||
	    host->left > NEG_HOST_MAX || n->route.redirect_port == 0)
		return "internal fault: connected twice";
	if (n->in[LEG_SERVER].left > 0)
		return "internal fault: sent on with something left behind";
	return NULL;
}

static const char *
check_connect(const struct negotiator *n)
{
	if (n->connected)
		return check_redirect(n);
	if (n->route.redirect_host.left > 0)
		return "internal fault: sent on by nobody";
	if (n->route.cancel.cut || n->route.cancel.left > NEG_CANCEL_MAX)
		return "internal fault: a cancel that cannot be one";
	return NULL;
}

static bool
never_tls(const struct negotiator *n, enum leg_id leg)
{
	return leg == LEG_CLIENT ? n->policy->client == CLIENT_TLS_OFF
				 : n->policy->server == SERVER_TLS_NEVER;
}

static const char *
check_tls(const struct negotiator *n, const struct verdict *v)
{
	if (v->leg != LEG_CLIENT && v->leg != LEG_SERVER)
		return "internal fault: TLS on no leg";
	if (v->leg == LEG_SERVER && !n->connected)
		return "internal fault: TLS with no server";
	if (never_tls(n, v->leg))
		return "internal fault: TLS where there is to be none";
	if (v->tls == NULL ||
	    (v->tls->alpn == NULL) != (v->tls->alpn_rule == NEG_ALPN_NONE))
		return "internal fault: TLS without its terms";
	if (n->leg[v->leg].tls_up != v->tls->anew)
		return "internal fault: TLS twice on one leg";
	if (v->tls->anew &&
	    (v->leg != LEG_SERVER || n->in[LEG_SERVER].left > 0))
		return "internal fault: TLS begun anew with some of it unread";
	if (v->tls->wrap != NULL &&
	    (v->tls->wrap->head == 0 || v->tls->wrap->head > NEG_HEAD_MAX))
		return "internal fault: a wrapping that is none";
	return NULL;
}

/* What would come next out of its records is not what comes next in clear: none
 * of it may be left. */
static const char *
check_stop(const struct negotiator *n, const struct verdict *v)
{
	if (v->leg != LEG_CLIENT || !n->leg[LEG_CLIENT].tls_up)
		return "internal fault: stopped TLS where there is none";
	if (n->policy->client == CLIENT_TLS_REQUIRE)
		return "internal fault: stopped TLS that is required";
	if (n->in[LEG_CLIENT].left > 0)
		return "internal fault: stopped TLS with some of it unread";
	return NULL;
}

/* The relay relies on it: a head is held in a place of that size. */
static bool
units_make_sense(const struct neg_units *u)
{
	return u == NULL ||
	    (u->head > 0 && u->head <= u->peek && u->peek <= NEG_HEAD_MAX &&
		u->whole_max <= NEG_UNIT_MAX && u->length != NULL &&
		(u->judge != NULL || u->whole_max > 0) &&
		/* sealed as it came, or not as it came: not both */
		(u->whole_max == 0 || u->rewrite == NULL));
}

static const char *
check_relay(const struct negotiator *n)
{
	if (!n->connected)
		return "internal fault: a relay with no server";
	if (!both_rules_met(n))
		return "internal fault: a relay without TLS";
	if (n->key.len > sizeof(n->key.bytes))
		return "internal fault: a key that is too long";
	if (!units_make_sense(n->units[LEG_CLIENT]) ||
	    !units_make_sense(n->units[LEG_SERVER]))
		return "internal fault: units that are none";
	return NULL;
}

static const char *
check_delivery(const struct negotiator *n)
{
	struct rd out = wr_written(&n->out[LEG_SERVER]);

	if (!n->connected || out.left == 0)
		return "internal fault: nothing to deliver, or to nobody";
	if (!neg_rule_met(n, LEG_SERVER))
		return "internal fault: a delivery without TLS";
	if (!neg_rule_met(n, LEG_CLIENT) &&
	    (n->ops->unprotected == NULL || !n->ops->unprotected(out)))
		return "internal fault: a delivery for a client without TLS";
	return NULL;
}

static const char *
check_end(const struct negotiator *n)
{
	if (!reason_is_refusal(n->error.reason) || n->error.text == NULL)
		return "internal fault: ended without a reason";
	return NULL;
}

static const char *
check_verdict(const struct negotiator *n, const struct verdict *v)
{
	switch (v->kind) {
	case V_READ:
		return check_read(n, v->from);
	case V_NEXT:
		return "internal fault: went on without end";
	case V_CONNECT:
		return check_connect(n);
	case V_START_TLS:
		return check_tls(n, v);
	case V_STOP_TLS:
		return check_stop(n, v);
	case V_RELAY:
		return check_relay(n);
	case V_DELIVER:
		return check_delivery(n);
	case V_END:
		return check_end(n);
	}
	return "internal fault: a verdict that is none";
}

/* While a client is turned away there is no server. */
static const char *
check_refusal(const struct negotiator *n, const struct verdict *v)
{
	if (n->out[LEG_SERVER].len > 0)
		return "internal fault: wrote to the server while refusing";
	if (v->kind == V_END)
		return NULL;
	if (v->kind == V_READ && v->from == FROM_CLIENT)
		return NULL;
	if (v->kind == V_START_TLS && v->leg == LEG_CLIENT)
		return check_tls(n, v);
	if (v->kind == V_STOP_TLS)
		return check_stop(n, v);
	return "internal fault: did not refuse";
}

/* What was to be sent may be a secret, and now is nobody's. */
static void
unsay(struct wr *out)
{
	neg_wipe(out->base, out->len);
	out->len = 0;
	out->full = false;
}

/* Nothing that a faulty step has said is sent, to anyone. */
static struct verdict
neg_fault(struct negotiator *n, const char *text)
{
	unsay(&n->out[LEG_CLIENT]);
	unsay(&n->out[LEG_SERVER]);
	return neg_end(n, REASON_INTERNAL, LEG_CLIENT, text,
	    "please report this as a bug of dbtls");
}

/* A round takes at least a byte in, or is one of the few that only move from
 * one state to the next; without this bound a mistake would stop the thread. */
#define ROUNDS_BESIDES 16

static struct verdict
play_rounds(struct negotiator *n, struct verdict (*play)(struct negotiator *n))
{
	size_t rounds =
	    ROUNDS_BESIDES + n->in[LEG_CLIENT].left + n->in[LEG_SERVER].left;
	struct verdict v;

	do {
		v = play(n);
	} while (v.kind == V_NEXT && --rounds > 0);
	return v;
}

struct verdict
neg_step(struct negotiator *n)
{
	struct verdict v = play_rounds(n, n->ops->step);
	const char *fault;

	if (v.kind == V_END)
		unsay(&n->out[LEG_SERVER]);
	if ((fault = check_cursors(n)) != NULL ||
	    (fault = check_output(n, &v)) != NULL ||
	    (fault = check_verdict(n, &v)) != NULL)
		return neg_fault(n, fault);
	return v;
}

struct verdict
neg_refuse(struct negotiator *n)
{
	/* What the client says by now does not change why it is refused. */
	const struct neg_error why = n->error;
	struct verdict v = play_rounds(n, n->ops->refuse);
	const char *fault;

	if ((fault = check_cursors(n)) != NULL ||
	    (fault = check_refusal(n, &v)) != NULL)
		return neg_fault(n, fault);
	n->error = why;
	return v;
}

/*
 * For negotiators.
 */

/* What may not be passed on finds no room: neg_step() sees that, and ends the
 * session. */
void
neg_forward(struct negotiator *n, enum leg_id from, size_t len)
{
	struct wr *out = &n->out[leg_other(from)];
	struct rd bytes = rd_take(&n->in[from], len);

	if (bytes.cut || (from == LEG_CLIENT && !both_rules_met(n)))
		out->full = true;
	wr_bytes(out, bytes.at, bytes.left);
}

bool
neg_begins_record(struct rd r, uint8_t type, bool *part)
{
	const bool alike =
	    rd_u8(&r) == type && (r.left == 0 || rd_u8(&r) == TLS_MAJOR);
	const uint8_t minor = rd_u8(&r);

	*part = alike && r.cut;
	return alike && !r.cut && minor > 0 && minor <= TLS_MINOR_HIGHEST;
}

void
neg_wipe(void *bytes, size_t n)
{
	volatile uint8_t *at = bytes;

	while (n > 0)
		at[--n] = 0;
}

void
neg_name_set(char name[NEG_NAME_MAX + 1], struct rd from)
{
	size_t i;

	/* Past its end a cursor answers NUL. */
	for (i = 0; i < NEG_NAME_MAX; i++) {
		name[i] = (char)rd_u8(&from);
		if (name[i] == '\0')
			break;
	}
	name[i] = '\0';
}

struct verdict
neg_read(unsigned from)
{
	return (struct verdict){ .kind = V_READ, .from = from };
}

struct verdict
neg_next(void)
{
	return (struct verdict){ .kind = V_NEXT };
}

struct verdict
neg_connect(void)
{
	return (struct verdict){ .kind = V_CONNECT };
}

struct verdict
neg_start_tls(enum leg_id leg, const struct neg_tls *tls)
{
	return (struct verdict){ .kind = V_START_TLS, .leg = leg, .tls = tls };
}

struct verdict
neg_stop_tls(enum leg_id leg)
{
	return (struct verdict){ .kind = V_STOP_TLS, .leg = leg };
}

struct verdict
neg_relay(void)
{
	return (struct verdict){ .kind = V_RELAY };
}

struct verdict
neg_deliver(void)
{
	return (struct verdict){ .kind = V_DELIVER };
}

struct verdict
neg_end(struct negotiator *n, enum reason reason, enum leg_id leg,
    const char *text, const char *hint)
{
	n->error = (struct neg_error){
		.reason = reason,
		.leg = leg,
		.text = text,
		.hint = hint,
	};
	return (struct verdict){ .kind = V_END };
}

struct verdict
neg_refused(void)
{
	return (struct verdict){ .kind = V_END };
}

struct verdict
neg_past_end(struct negotiator *n)
{
	return neg_end(n, REASON_INTERNAL, LEG_CLIENT,
	    "internal fault: went on after the end", NULL);
}
