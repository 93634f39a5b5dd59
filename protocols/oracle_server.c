#include "protocols/oracle_private.h"

#include <string.h>

#define RESENDS_MAX 4u /* for each server */

#define NOT_TLS                                                           \
	"is this a port of its listener that has PROTOCOL=tcps?  Native " \
	"network encryption (SQLNET.ENCRYPTION_SERVER) is no TLS"

/* A listener hands most connections on to a process that begins anew: what its
 * own session would save is little. */
static const struct neg_tls oracle_tls = {
	.alpn_rule = NEG_ALPN_NONE,
	.not_tls = NOT_TLS,
	.no_resume = true,
};
static const struct neg_tls oracle_tls_anew = {
	.alpn_rule = NEG_ALPN_NONE,
	.not_tls = NOT_TLS,
	.anew = true,
	.not_same = "give the listener and the server processes that it hands "
		    "connections to the same wallet",
};

static struct verdict
say_connect(struct negotiator *n)
{
	struct oracle *s = n->state;
	const struct tns_connect c = {
		.head = oracle_head(s),
		.data = oracle_data(s),
		.in_packet = s->in_packet,
	};
	struct wr *out = &n->out[LEG_SERVER];
	const size_t before = out->len;

	tns_write_connect(out, &c, s->redirects > 0 ? TNS_WAS_REDIRECTED : 0);
	s->said_once = out->len - before;
	s->said += s->said_once;
	s->at = AT_ANSWER;
	return neg_next();
}

static struct verdict
start_server_tls(struct negotiator *n, const struct neg_tls *tls)
{
	const struct oracle_options *o = n->options;
	struct oracle *s = n->state;
	struct wr w = { .base = (uint8_t *)s->sni, .cap = sizeof(s->sni) };

	s->said = 0;
	n->sni = NULL;
	if (o->sni && tns_write_sni(&w, oracle_head(s), oracle_data(s)))
		n->sni = s->sni;
	s->at = AT_SERVER_TLS;
	return neg_start_tls(LEG_SERVER, tls);
}

struct verdict
oracle_step_connecting(struct negotiator *n)
{
	if (!n->connected)
		return neg_connect();
	if (neg_rule_met(n, LEG_SERVER))
		return say_connect(n);
	return start_server_tls(n, &oracle_tls);
}

struct verdict
oracle_step_server_tls(struct negotiator *n)
{
	return say_connect(n);
}

static struct verdict
bad_answer(struct negotiator *n)
{
	return neg_end(n, REASON_PROTOCOL, LEG_SERVER,
	    "server does not speak Oracle Net: it answered CONNECT with "
	    "something else",
	    "is this the port of a listener of Oracle's?");
}

static struct verdict
insists_on_tls(struct negotiator *n)
{
	return neg_end(n, REASON_PROTOCOL, LEG_SERVER,
	    "server answered in TLS, and ssl_mode is none",
	    "set ssl_mode to require or more, or use the port of its listener "
	    "that has PROTOCOL=tcp");
}

/* As if nothing had left yet: it may not have. */
static bool
has_room_for_connect(const struct oracle *s)
{
	return s->said + s->said_once <= NEG_OUT_CAP(&neg_oracle);
}

/* Bytes behind the one that asks for TLS would be of a session that is to be
 * forgotten, or nobody's. */
static struct verdict
step_resend(struct negotiator *n, const struct tns_packet *p)
{
	struct oracle *s = n->state;
	const bool anew =
	    (p->flags & TNS_TLS_ANEW) != 0 && n->leg[LEG_SERVER].tls_up;

	rd_skip(&n->in[LEG_SERVER], p->all.left);
	if (++s->resends > RESENDS_MAX || (!anew && !has_room_for_connect(s)))
		return neg_end(n, REASON_PROTOCOL, LEG_SERVER,
		    "server asked for CONNECT over and over", NULL);
	if (!anew)
		return say_connect(n);
	if (n->in[LEG_SERVER].left > 0)
		return neg_end(n, REASON_PROTOCOL, LEG_SERVER,
		    "server went on after it had asked for TLS anew",
		    "somebody may be tampering with the connection");
	return start_server_tls(n, &oracle_tls_anew);
}

static struct verdict
bad_redirect(struct negotiator *n)
{
	return neg_end(n, REASON_PROTOCOL, LEG_SERVER,
	    "server sent a REDIRECT packet that makes no sense", NULL);
}

static struct verdict
not_followed(struct negotiator *n, const char *text, const char *hint)
{
	return neg_end(n, REASON_REDIRECT, LEG_SERVER, text, hint);
}

/* What a rule demands of the first server it demands of all. */
static const char *
transport_problem(const struct negotiator *n, enum tns_transport transport)
{
	const bool never = n->policy->server == SERVER_TLS_NEVER;

	switch (transport) {
	case TNS_OVER_TCP:
		return never ? NULL
			     : "server sends us on to a place without "
			       "TLS, which ssl_mode demands";
	case TNS_OVER_TCPS:
		return never ? "server sends us on to a place with TLS, and "
			       "ssl_mode is none"
			     : NULL;
	case TNS_OVER_OTHER:
		break;
	}
	return "server sends us on to a place that is not reached by TCP";
}

/* The old data make place for what stands behind the address. */
static void
keep_rest(struct oracle *s, struct rd rest)
{
	if (rest.left > 0)
		memmove(s->data, rest.at, rest.left);
	oracle_forget(s, rest.left);
	s->in_packet = tns_fits_connect(rest.left);
}

static struct verdict
follow(struct negotiator *n)
{
	struct oracle *s = n->state;
	struct rd r = { .at = s->address, .left = s->address_len };
	struct rd rest = { .left = 0 };
	struct tns_address a;
	const char *problem;

	if (s->both) {
		rest = oracle_data(s);
		r = rd_cstring(&rest);
	}
	if (!tns_read_address(r, &a))
		return not_followed(n,
		    "server sends us on, but does not say where to",
		    "is the address in its listener's configuration whole?");
	if ((problem = transport_problem(n, a.transport)) != NULL)
		return not_followed(n, problem,
		    "let the listener have the same PROTOCOL wherever it "
		    "sends sessions on to");
	memcpy(s->host, a.host.at, a.host.left);
	n->route.redirect_host =
	    (struct rd){ .at = (uint8_t *)s->host, .left = a.host.left };
	n->route.redirect_port = a.port;
	if (s->both)
		keep_rest(s, rest);
	s->resends = 0;
	s->said = 0;
	s->at = AT_CONNECTING;
	rd_skip(&n->in[LEG_SERVER], n->in[LEG_SERVER].left);
	return neg_connect();
}

/* Where the data of a REDIRECT go. */
static bool
append_redirect(struct oracle *s, struct rd bytes)
{
	if (s->both)
		return oracle_append(s->data, sizeof(s->data), &s->data_len,
		    bytes);
	return oracle_append(s->address, sizeof(s->address), &s->address_len,
	    bytes);
}

static struct verdict
step_redirect(struct negotiator *n, const struct tns_packet *p)
{
	struct oracle *s = n->state;
	struct tns_redirect r;

	if (++s->redirects > NEG_REDIRECTS_MAX)
		return not_followed(n, "server sends us on over and over",
		    NULL);
	if (!tns_read_redirect(p->all, &r))
		return bad_redirect(n);
	s->both = (p->flags & TNS_HAS_CONNECT_DATA) != 0;
	if (s->both)
		oracle_forget(s, 0);
	s->address_len = 0;
	if (!append_redirect(s, r.begin))
		return bad_redirect(n);
	s->missing = r.len - r.begin.left;
	rd_skip(&n->in[LEG_SERVER], p->all.left);
	if (s->missing == 0)
		return follow(n);
	s->at = AT_REDIRECT_DATA;
	return neg_next();
}

struct verdict
oracle_step_redirect_data(struct negotiator *n)
{
	struct oracle *s = n->state;
	const enum tns_arrival a = s->both
	    ? oracle_collect(n, LEG_SERVER, s->data, sizeof(s->data),
		  &s->data_len)
	    : oracle_collect(n, LEG_SERVER, s->address, sizeof(s->address),
		  &s->address_len);

	switch (a) {
	case TNS_PART:
		return neg_read(FROM_SERVER);
	case TNS_WHOLE:
		return s->missing == 0 ? follow(n) : neg_next();
	case TNS_BAD:
		break;
	}
	return bad_redirect(n);
}

static struct verdict
step_accept(struct negotiator *n, const struct tns_packet *p)
{
	if (!tns_write_accept(&n->out[LEG_CLIENT], p->all))
		return bad_answer(n);
	rd_skip(&n->in[LEG_SERVER], p->all.left);
	oracle_forget(n->state, 0);
	return neg_relay();
}

/* Its text may go on in packets behind it: they are relayed. */
static struct verdict
step_refuse(struct negotiator *n, const struct tns_packet *p)
{
	neg_forward(n, LEG_SERVER, p->all.left);
	oracle_forget(n->state, 0);
	return neg_relay();
}

static bool
is_answer(uint8_t type)
{
	return type == TNS_ACCEPT || type == TNS_REFUSE ||
	    type == TNS_REDIRECT || type == TNS_RESEND;
}

static struct verdict
step_answer_whole(struct negotiator *n, const struct tns_packet *p)
{
	switch (p->type) {
	case TNS_ACCEPT:
		return step_accept(n, p);
	case TNS_REFUSE:
		return step_refuse(n, p);
	case TNS_REDIRECT:
		return step_redirect(n, p);
	case TNS_RESEND:
		return step_resend(n, p);
	}
	return bad_answer(n);
}

struct verdict
oracle_step_answer(struct negotiator *n)
{
	struct tns_packet p;
	bool part;

	if (!n->leg[LEG_SERVER].tls_up &&
	    neg_begins_record(n->in[LEG_SERVER], NEG_RECORD_ALERT, &part))
		return insists_on_tls(n);
	switch (tns_look(n->in[LEG_SERVER], &p)) {
	case TNS_PART:
		return p.head_seen && !is_answer(p.type)
		    ? bad_answer(n)
		    : neg_read(FROM_SERVER);
	case TNS_WHOLE:
		return step_answer_whole(n, &p);
	case TNS_BAD:
		break;
	}
	return bad_answer(n);
}
