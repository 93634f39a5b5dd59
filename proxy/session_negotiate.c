#include "proxy/session_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/members.h"
#include "proxy/times.h"

/* A cancel for an unknown session goes to at most so many addresses. */
#define FAN_OUT_MAX 8
/* How many verdicts are carried out before others have their turn: who sends
 * one unit after another that wakes the negotiator could go on for long. */
#define TURN_VERDICTS 64

#define MSEC_PER_SEC 1000.0

static void negotiating_readable(struct leg *leg, void *arg);
static void negotiating_flushed(struct leg *leg, void *arg);
static void negotiating_failed(struct leg *leg, void *arg);

const struct leg_events session_negotiating = {
	.readable = negotiating_readable,
	.flushed = negotiating_flushed,
	.failed = negotiating_failed,
};

/* What it writes to: both, or none if memory is short. */
static bool
take_buffers(struct negotiation *neg)
{
	size_t i, cap = NEG_OUT_CAP(neg->n.ops);
	struct wr *out = neg->n.out;

	for (i = 0; i < LEG_COUNT; i++) {
		if (out[i].base == NULL && (out[i].base = malloc(cap)) == NULL)
			return false;
		out[i].cap = cap;
	}
	return true;
}

/* ... which is empty and wiped whenever it does not write. */
static void
give_buffers(struct negotiation *neg)
{
	size_t i;

	for (i = 0; i < LEG_COUNT; i++) {
		queue_fini(&neg->unread[i]);
		free(neg->n.out[i].base);
		neg->n.out[i] = (struct wr){ .cap = 0 };
	}
}

struct negotiation *
negotiation_new(const struct proxy *p, const struct arrival *a)
{
	const struct endpoint *e = a->endpoint;
	struct negotiation *neg;
	size_t i;

	if ((neg = calloc(1, sizeof(*neg))) == NULL)
		return NULL;
	neg->policy = endpoint_policy(e);
	neg->n.ops = e->ops;
	neg->n.policy = &neg->policy;
	neg->n.options = e->options;
	if (p->services != NULL)
		neg->n.services = p->services[e->index];
	neg->n.members = members_lend(p->members[e->index]);
	neg->n.member = a->listen;
	/* One recv() may bring more than the negotiator wants. */
	for (i = 0; i < LEG_COUNT; i++)
		queue_init(&neg->unread[i],
		    e->ops->window + LEG_HEADROOM + LEG_PLAIN_MAX);
	/* a protocol may have no state, and calloc() no answer to that */
	if ((neg->n.state = calloc(1, e->ops->state_size + 1)) == NULL ||
	    !take_buffers(neg))
		goto fail;
	return neg;
fail:
	negotiation_free(neg);
	return NULL;
}

void
negotiation_free(struct negotiation *neg)
{
	if (neg == NULL)
		return;
	dial_cancel(neg->dial);
	give_buffers(neg);
	if (neg->n.state != NULL)
		explicit_bzero(neg->n.state, neg->n.ops->state_size);
	free(neg->n.state);
	explicit_bzero(neg, sizeof(*neg));
	free(neg);
}

const char *
session_where(const struct session *s)
{
	switch (s->state) {
	case SESSION_NEW:
		return "waiting for the client's first byte";
	case SESSION_ANNOUNCING:
		return "waiting for the PROXY header";
	case SESSION_DELAYING:
		return "waiting to see whether the client stays";
	case SESSION_CONNECTING:
		return "connecting to the server";
	case SESSION_SECURING:
		return s->neg->securing == LEG_CLIENT
		    ? "in the client's TLS handshake"
		    : "in the server's TLS handshake";
	case SESSION_NEGOTIATING:
	case SESSION_REFUSING:
		return s->endpoint->ops->where(&s->neg->n);
	case SESSION_DELIVERING:
		return "delivering a cancel request";
	case SESSION_RELAYING:
	case SESSION_CLOSING:
	case SESSION_ENDED:
		break;
	}
	return "ending";
}

/* A cancel's client owes us nothing more: it may leave before it is served. */
static bool
client_may_leave(const struct session *s)
{
	return s->neg->n.route.cancel.left > 0;
}

static void
client_left(struct session *s)
{
	if (s->state == SESSION_NEW)
		session_close(s, REASON_CLIENT_CLOSED, NULL);
	else if (!client_may_leave(s))
		session_close(s, REASON_CLIENT_CLOSED, session_where(s));
}

static void
server_left(struct session *s)
{
	const char *text = "the database server closed the connection";

	if (s->state == SESSION_SECURING)
		text = "the database server closed the connection in the "
		       "middle of the TLS handshake";
	else if (!neg_rule_met(&s->neg->n, LEG_SERVER))
		text = "the database server closed the connection before TLS "
		       "began";
	session_refuse(s, s->opened ? REASON_SERVER_CLOSED : REASON_CONNECT,
	    LEG_SERVER, text, "the server's own log may say why", NULL);
}

/* Whether there is room for more of a leg's bytes, also behind it: a relay
 * that was woken may have filled the other leg. */
static void
update_interest(struct session *s)
{
	struct negotiation *neg = s->neg;
	size_t i, window = s->endpoint->ops->window;

	for (i = 0; i < LEG_COUNT; i++)
		leg_want_read(&s->leg[i],
		    !neg->ended[i] && neg->unread[i].len < window &&
			!leg_blocked(&s->leg[leg_other((enum leg_id)i)]));
}

/* Nothing more will come of a leg that is waited for? */
static void
check_waiting(struct session *s)
{
	struct negotiation *neg = s->neg;
	size_t window = s->endpoint->ops->window;

	if ((neg->waiting & FROM_CLIENT) && neg->ended[LEG_CLIENT])
		session_close(s, REASON_CLIENT_CLOSED, session_where(s));
	else if ((neg->waiting & FROM_SERVER) && neg->ended[LEG_SERVER])
		server_left(s);
	else if ((neg->waiting & FROM_CLIENT) &&
	    neg->unread[LEG_CLIENT].len >= window)
		session_refuse(s, REASON_PROTOCOL, LEG_CLIENT,
		    "the client sent a message that is too long", NULL, NULL);
	else if ((neg->waiting & FROM_SERVER) &&
	    neg->unread[LEG_SERVER].len >= window)
		session_refuse(s, REASON_PROTOCOL, LEG_SERVER,
		    "the database server sent a message that is too long", NULL,
		    NULL);
	else
		update_interest(s);
}

static struct rd
unread_rd(const struct queue *q, size_t max)
{
	size_t len = q->len < max ? q->len : max;

	return (struct rd){ .at = len > 0 ? queue_data(q) : NULL, .left = len };
}

/* To its queue; nothing of it stays where others read. */
static bool
take_bytes(struct session *s, enum leg_id id, struct rd bytes)
{
	bool taken = queue_append(&s->neg->unread[id], bytes.at, bytes.left);

	leg_forget(&s->leg[id], bytes);
	if (id == LEG_CLIENT && bytes.left > 0)
		s->heard = true;
	return taken;
}

/*
 * The server takes no more.  It may have said why before it left: that is
 * still there to be read, and an error or an alert tells more than a reset.
 * True: there is something for the negotiator.
 */
static bool
hear_last_words(struct session *s)
{
	struct queue *unread = &s->neg->unread[LEG_SERVER];
	struct leg *leg = &s->leg[LEG_SERVER];
	size_t window = s->endpoint->ops->window, had = unread->len;
	int error = leg->error;
	enum leg_result r;
	struct rd bytes;
	bool more;

	leg->error = 0;
	do
		r = leg_receive(leg, window, &bytes, &more);
	while (take_bytes(s, LEG_SERVER, bytes) && r == LEG_OK &&
	    unread->len < window);
	leg_want_read(leg, false);
	if (unread->len > had) {
		leg->error = 0;
		s->neg->ended[LEG_SERVER] = true;
		s->neg->unseen |= FROM_SERVER;
		return true;
	}
	if (r != LEG_FAILED || leg->error != 0)
		leg->error = error; /* TLS has nothing to say about it */
	session_leg_failed(s, LEG_SERVER);
	return false;
}

static bool
send_failed(struct session *s, enum leg_id id)
{
	if (id == LEG_SERVER && s->leg[id].state != LEG_SECURING)
		return hear_last_words(s);
	session_leg_failed(s, id);
	return false;
}

/* Bytes for one leg are units of the other's, where those are to be told
 * apart. */
static bool
send_written(struct session *s, enum leg_id id, struct rd bytes)
{
	const struct neg_units *units = s->neg->n.units[leg_other(id)];
	struct leg *leg = &s->leg[id];

	if (units != NULL && units->whole_max > 0 && leg->state == LEG_SECURED)
		return leg_send_units(leg, units, bytes);
	return leg_send(leg, bytes.at, bytes.left);
}

/* What the negotiator wrote goes out before its verdict is carried out. */
static bool
send_out(struct session *s, enum leg_id id)
{
	struct wr *out = &s->neg->n.out[id];
	struct leg *leg = &s->leg[id];
	bool ok = true;

	if (out->len > 0 && leg->state != LEG_CLOSED)
		ok = send_written(s, id, wr_written(out));
	if (s->opened)
		s->bytes[id] += out->len;
	explicit_bzero(out->base, out->len);
	out->len = 0;
	return ok || send_failed(s, id);
}

static struct verdict
step(struct session *s)
{
	struct negotiation *neg = s->neg;
	struct negotiator *n = &neg->n;
	struct verdict v;
	size_t had[LEG_COUNT], i;

	neg->unseen = 0;
	for (i = 0; i < LEG_COUNT; i++) {
		n->in[i] = unread_rd(&neg->unread[i], n->ops->window);
		had[i] = n->in[i].left;
		n->out[i].len = 0;
		n->out[i].full = false;
	}
	v = neg->refusing ? neg_refuse(n) : neg_step(n);
	for (i = 0; i < LEG_COUNT; i++) {
		assert(n->in[i].left <= had[i]);
		/* What the window hid comes into view as it moves on. */
		if (had[i] < neg->unread[i].len && n->in[i].left < had[i])
			neg->unseen |= 1u << i;
		queue_consume(&neg->unread[i], had[i] - n->in[i].left);
		n->in[i] = (struct rd){ .left = 0 };
	}
	return v;
}

/* V_CONNECT */

static const char *
dial_text(enum reason reason)
{
	if (reason == REASON_RESOLVE)
		return "the database server's name could not be resolved";
	if (reason == REASON_TIMEOUT)
		return "the database server did not answer in time";
	return "could not connect to the database server";
}

static void
dial_failed(struct session *s, const struct dial_result *r)
{
	if (r->reason == REASON_REDIRECT)
		session_refuse_redirect(s, r->text);
	else
		session_refuse(s, r->reason, LEG_SERVER, dial_text(r->reason),
		    "see the log of the proxy", r->text);
}

static void start_dial(struct session *s);

static void
dialled(const struct dial_result *r, void *arg)
{
	struct session *s = arg;
	struct negotiation *neg = s->neg;

	neg->dial = NULL;
	if (r->fd == -1 && neg->fan_out && !(r->exhausted && neg->nth == 0)) {
		if (r->exhausted || ++neg->nth >= FAN_OUT_MAX)
			session_close(s, REASON_SERVER_CLOSED, NULL);
		else
			start_dial(s);
		return;
	}
	if (r->fd == -1) {
		dial_failed(s, r);
		return;
	}
	session_answered(s);
	s->outgoing = r->outgoing;
	if (!session_keep_address(&s->address, &r->address)) {
		(void)close(r->fd);
		session_refuse(s, REASON_INTERNAL, LEG_SERVER,
		    "the proxy is out of memory", NULL, NULL);
		return;
	}
	if (s->redirect == NULL)
		s->server = (unsigned)(r->server - s->endpoint->servers);
	leg_open(&s->leg[LEG_SERVER], r->fd, s->worker->base,
	    relay_leg_buffers(s->worker->buffers), &session_negotiating, s);
	s->leg[LEG_SERVER].busy_poll_us = (uint16_t)s->endpoint->busy_poll_us;
	neg->n.connected = true;
	neg->n.leg[LEG_SERVER].local = address_is_unix(&r->address);
	neg->n.server_host = server_called(&s->endpoint->servers[s->server]);
	if (!session_send_header(s)) {
		session_leg_failed(s, LEG_SERVER);
		return;
	}
	session_enter(s, SESSION_NEGOTIATING);
	session_advance(s);
}

static struct dial_choice
choose(struct session *s)
{
	struct negotiation *neg = s->neg;
	const struct endpoint *e = s->endpoint;
	struct dial_choice c = { .where = DIAL_ANY };

	if (s->redirect != NULL) {
		c.where = DIAL_REDIRECT;
		c.server = s->server;
		c.redirect = s->redirect;
		return c;
	}
	if (e->transparent != TRANSPARENT_OFF) {
		c.where = DIAL_EXACT; /* a cancel goes where its session went */
		c.server = s->server;
		c.address = session_address(s->address);
		return c;
	}
	if (neg->n.members != NULL) {
		c.where = DIAL_SERVER;
		c.server = neg->n.member;
		return c;
	}
	if (neg->n.route.cancel.left == 0)
		return c;
	if (neg->fan_out) {
		c.where = DIAL_NTH;
		c.nth = neg->nth;
	} else if (cancels_find(s->worker->proxy->cancels, e,
		       neg->n.route.cancel, &c.address, &c.server)) {
		c.where = DIAL_EXACT;
	} else if (e->nservers > 1 || e->servers[0].fixed.len == 0) {
		neg->fan_out = true;
		c.where = DIAL_NTH;
	}
	return c;
}

static void
start_dial(struct session *s)
{
	const struct endpoint *e = s->endpoint;
	struct worker *w = s->worker;
	struct dial_choice c = choose(s);

	c.client = session_address(s->client);
	s->neg->dial = dial_start(w->dialer, e, w->proxy->health[e->index], &c,
	    dialled, s);
	if (s->neg->dial == NULL)
		session_refuse(s, REASON_INTERNAL, LEG_SERVER,
		    "the proxy is out of memory", NULL, NULL);
}

static void pump(struct session *s, enum leg_id id);

/*
 * A server that is dialled for nobody may hold it against us (MySQL's 1129),
 * so look whether the client is still there.  True: it has spoken, and may
 * have to be refused for that: the negotiator is to be asked before the dial.
 */
static bool
last_look(struct session *s)
{
	struct negotiation *neg = s->neg;
	enum session_state state = s->state;

	pump(s, LEG_CLIENT);
	if (s->state != state)
		return false; /* it has failed, and ended all */
	if (s->heard)
		return true;
	if (neg->ended[LEG_CLIENT]) {
		client_left(s);
		return false;
	}
	session_enter(s, SESSION_CONNECTING);
	start_dial(s);
	return false;
}

/* The client has spoken while it was waited for. */
static void
delay_is_over(struct session *s)
{
	session_enter(s, SESSION_NEGOTIATING);
	session_advance(s);
}

static void
delay_passed(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	(void)fd;
	(void)what;
	if (last_look(s))
		delay_is_over(s);
}

static void
start_delay(struct session *s, unsigned ms)
{
	struct timeval tv = times_interval(ms / MSEC_PER_SEC);
	struct event *delay = &s->neg->delay;

	session_enter(s, SESSION_DELAYING);
	(void)evtimer_assign(delay, s->worker->base, delay_passed, s);
	(void)event_add(delay, &tv);
}

/* There is none again, and nothing of the one there was. */
static void
forget_server(struct session *s)
{
	struct negotiation *neg = s->neg;

	session_answered(s);
	leg_close(&s->leg[LEG_SERVER]);
	queue_fini(&neg->unread[LEG_SERVER]);
	neg->ended[LEG_SERVER] = false;
	neg->n.connected = false;
	neg->n.leg[LEG_SERVER] = (struct neg_facts){ .tls_up = false };
}

/* From one server to the other: whoever is its client has been heard. */
static void
follow_redirect(struct session *s)
{
	if (!session_follow(s))
		return;
	forget_server(s);
	update_interest(s);
	session_enter(s, SESSION_CONNECTING);
	start_dial(s);
}

/* A client that has said something is there, and not waited for.  True: the
 * negotiator may be asked again. */
static bool
connect_server(struct session *s)
{
	struct negotiation *neg = s->neg;

	neg->waiting = 0;
	if (neg->n.connected) {
		follow_redirect(s);
		return false;
	}
	update_interest(s);
	if (!s->heard && neg->n.route.delay_ms > 0) {
		start_delay(s, neg->n.route.delay_ms);
		return false;
	}
	if (!s->heard)
		return last_look(s);
	session_enter(s, SESSION_CONNECTING);
	start_dial(s);
	return false;
}

/* V_START_TLS */

static void
note_secured(struct session *s, enum leg_id id)
{
	struct neg_facts *facts = &s->neg->n.leg[id];

	facts->tls_up = true;
	if (id == LEG_CLIENT)
		s->heard = true;
	facts->leaf_known = tls_leaf(s->leg[id].tls, facts->leaf);
	session_enter(s,
	    s->neg->refusing ? SESSION_REFUSING : SESSION_NEGOTIATING);
	/* What came sealed behind the handshake has no event to announce it. */
	if (s->leg[id].early.len > 0)
		pump(s, id);
}

/* True: the negotiator may be asked again. */
static bool
handshake(struct session *s)
{
	enum leg_id id = s->neg->securing;
	struct leg *leg = &s->leg[id];

	switch (leg_handshake(leg)) {
	case LEG_OK:
		worker_secured(s->worker);
		note_secured(s, id);
		return true;
	case LEG_WAIT:
		leg_want_read(leg, true);
		return false;
	case LEG_ENDED:
	case LEG_TRUNCATED:
		if (id == LEG_CLIENT)
			session_refuse(s, REASON_CLIENT_TLS, id,
			    "the client left in the middle of its TLS "
			    "handshake",
			    NULL, NULL);
		else
			server_left(s);
		return false;
	case LEG_FAILED:
		break;
	}
	session_leg_failed(s, id);
	return false;
}

/* Whose certificate it is to be. */
static const struct server *
server_of(const struct session *s)
{
	return s->redirect != NULL ? &s->redirect->server
				   : &s->endpoint->servers[s->server];
}

/* Whoever a server has sent us on to is not known well enough to have a session
 * of it resumed later. */
static void
may_resume(const struct session *s, struct tls *tls, enum leg_id leg)
{
	struct address server = session_address(s->address);

	if (leg == LEG_SERVER && s->redirect == NULL)
		tls_resume(tls, &server);
}

/* NULL if memory is short, or the negotiator's SNI cannot be one. */
static struct tls *
new_tls(const struct session *s, const struct verdict *v)
{
	struct tls_context *c = s->worker->contexts[v->leg][s->endpoint->index];
	const char *sni = v->leg == LEG_SERVER ? s->neg->n.sni : NULL;
	struct tls *tls;

	tls = tls_new(c, v->tls, v->leg == LEG_SERVER ? server_of(s) : NULL);
	if (tls == NULL)
		return NULL;
	tls_of_session(tls, s->id);
	if (sni != NULL && !tls_set_sni(tls, sni)) {
		tls_free(tls);
		return NULL;
	}
	may_resume(s, tls, v->leg);
	return tls;
}

/* What has come of the old one and not been looked at must not count for the
 * new one, and neither may be lost. */
static bool
renew_tls(struct session *s, struct tls *tls)
{
	struct negotiation *neg = s->neg;
	bool rests = leg_renew_tls(&s->leg[LEG_SERVER], tls);

	neg->n.leg[LEG_SERVER].tls_up = false;
	neg->n.leg[LEG_SERVER].leaf_known = false;
	if (rests && neg->unread[LEG_SERVER].len == 0 &&
	    !neg->ended[LEG_SERVER])
		return true;
	session_refuse(s, REASON_PROTOCOL, LEG_SERVER,
	    "the database server asked for another TLS handshake, and did not "
	    "wait for it",
	    NULL, NULL);
	return false;
}

static bool
start_tls(struct session *s, const struct verdict *v)
{
	struct negotiation *neg = s->neg;
	struct queue *unread = &neg->unread[v->leg];
	struct tls *tls;

	neg->securing = v->leg;
	neg->waiting = 0;
	session_enter(s, SESSION_SECURING);
	update_interest(s);
	tls = new_tls(s, v);
	if (tls != NULL && v->tls->anew)
		return renew_tls(s, tls) && handshake(s);
	if (tls == NULL ||
	    !leg_start_tls(&s->leg[v->leg], tls,
		unread_rd(unread, unread->len))) {
		session_refuse(s, REASON_INTERNAL, v->leg,
		    "the proxy is out of memory", NULL, NULL);
		return false;
	}
	queue_fini(unread);
	return handshake(s);
}

/* V_STOP_TLS */

/* What it was is told when the session is logged as open. */
static bool
stop_tls(struct session *s, enum leg_id id)
{
	const struct tls *tls = s->leg[id].tls;

	if (id == LEG_CLIENT) {
		s->neg->login_tls = tls_version(tls);
		s->neg->login_cipher = tls_cipher(tls);
	}
	s->neg->n.leg[id].tls_up = false;
	leg_stop_tls(&s->leg[id]);
	return true;
}

/* V_RELAY */

static void
remember_key(struct session *s)
{
	const struct neg_key *key = &s->neg->n.key;
	struct address server = session_address(s->address);

	if (key->len == 0 || (s->key = malloc(sizeof(*s->key))) == NULL)
		return;
	*s->key = *key;
	cancels_add(s->worker->proxy->cancels, s->endpoint, key, &server,
	    s->server);
}

static void
relay_half_ended(struct relay *r, void *arg)
{
	struct session *s = arg;

	if (r->flow[LEG_SERVER].ended && !s->draining)
		session_set_deadline(s, SESSION_LINGER_SECONDS);
}

static void
relay_ended(struct relay *r, void *arg)
{
	struct session *s = arg;

	if (r->flow[LEG_CLIENT].ended && r->flow[LEG_SERVER].ended)
		session_close(s, r->reason, NULL);
	else
		session_abort(s, r->reason, r->detail);
}

/* What it has passed on belongs to the session from now on. */
static void
count_relayed(struct session *s)
{
	size_t i;

	for (i = 0; i < LEG_COUNT; i++) {
		s->bytes[leg_other((enum leg_id)i)] += s->relay.flow[i].bytes;
		s->relay.flow[i].bytes = 0;
	}
}

/* Whoever negotiates may read a password. */
static void
cleanse(struct session *s, bool on)
{
	size_t i;

	for (i = 0; i < LEG_COUNT; i++)
		if (s->leg[i].tls != NULL)
			tls_cleanse(s->leg[i].tls, on);
}

/* From here on no protocol changes anything in their TLS.  The kernel makes
 * records as it likes: not for whom each unit must be one. */
static void
settle(struct session *s)
{
	const struct neg_units *units;
	size_t i;

	for (i = 0; i < LEG_COUNT; i++) {
		units = s->neg->n.units[leg_other((enum leg_id)i)];
		leg_settle(&s->leg[i], units == NULL || units->whole_max == 0);
	}
}

/* The negotiator has the legs again. */
static void
wake(struct session *s)
{
	size_t i;

	count_relayed(s);
	cleanse(s, true);
	s->neg->waiting = 0;
	for (i = 0; i < LEG_COUNT; i++) {
		s->leg[i].events = &session_negotiating;
		s->leg[i].arg = s;
	}
	session_enter(s, SESSION_NEGOTIATING);
}

static void
relay_woken(struct relay *r, enum leg_id from, const struct rd rest[LEG_COUNT],
    void *arg)
{
	struct session *s = arg;
	bool taken = take_buffers(s->neg);
	size_t i;

	(void)r;
	for (i = 0; i < LEG_COUNT && taken; i++)
		taken =
		    queue_append(&s->neg->unread[i], rest[i].at, rest[i].left);
	leg_forget(&s->leg[from], rest[from]);
	if (!taken) {
		session_abort(s, REASON_INTERNAL, "out of memory");
		return;
	}
	wake(s);
	session_advance(s);
}

static const struct relay_events relay_events = {
	.half_ended = relay_half_ended,
	.over = relay_ended,
	.woken = relay_woken,
};

static bool
is_judged(const struct neg_units *units)
{
	return units != NULL && units->judge != NULL;
}

/* With half a conversation nothing can be negotiated any more. */
static bool
may_wake(const struct negotiation *neg)
{
	return (is_judged(neg->n.units[LEG_CLIENT]) ||
		   is_judged(neg->n.units[LEG_SERVER])) &&
	    !neg->ended[LEG_CLIENT] && !neg->ended[LEG_SERVER];
}

/* Does what it relays ask for the negotiator until the end? */
static bool
may_rewrite(const struct negotiation *neg)
{
	size_t i;

	for (i = 0; i < LEG_COUNT; i++) {
		if (neg->n.units[i] != NULL && neg->n.units[i]->rewrite != NULL)
			return true;
	}
	return false;
}

static void
leave_negotiation(struct session *s)
{
	struct negotiation *neg = s->neg;

	if (may_wake(neg) || may_rewrite(neg)) {
		give_buffers(neg);
		return;
	}
	s->neg = NULL;
	negotiation_free(neg);
}

static void
open_session(struct session *s)
{
	if (s->opened)
		return;
	s->opened = true;
	remember_key(s);
	session_log_open(s, &s->neg->n.names);
}

/* True: a unit among what is unread wakes the negotiator at once. */
static bool
start_relay(struct session *s)
{
	struct negotiation *neg = s->neg;
	struct relay_setup setup = { .buffers = s->worker->buffers,
		.events = &relay_events,
		.negotiator = &neg->n,
		.deaf = !may_wake(neg),
		.no_close_notify = s->endpoint->ops->no_close_notify,
		.arg = s };
	struct rd unread[LEG_COUNT];
	size_t i;

	open_session(s);
	session_enter(s, SESSION_RELAYING);
	for (i = 0; i < LEG_COUNT; i++) {
		setup.leg[i] = &s->leg[i];
		setup.units[i] = neg->n.units[i];
		unread[i] = unread_rd(&neg->unread[i], neg->unread[i].len);
	}
	if (relay_start(&s->relay, &setup, unread)) {
		cleanse(s, false);
		settle(s);
		leave_negotiation(s);
		relay_run(&s->relay);
		return false;
	}
	for (i = 0; i < LEG_COUNT; i++)
		queue_consume(&neg->unread[i],
		    neg->unread[i].len - unread[i].left);
	wake(s);
	return true;
}

/* V_DELIVER */

/* A new negotiator is to play the same message to the next address; false if
 * that cannot be. */
static bool
deliver_again(struct session *s)
{
	struct negotiation *neg = s->neg;
	struct negotiator *n = &neg->n;
	uint8_t message[NEG_CANCEL_MAX];
	size_t len = n->route.cancel.left;
	bool again;

	assert(len <= sizeof(message));
	memcpy(message, n->route.cancel.at, len);
	forget_server(s);
	queue_fini(&neg->unread[LEG_CLIENT]);
	explicit_bzero(n->state, n->ops->state_size);
	n->route = (struct neg_route){ .cancel = { .left = 0 } };
	neg->nth++;
	session_enter(s, SESSION_NEGOTIATING);
	again = queue_append(&neg->unread[LEG_CLIENT], message, len);
	explicit_bzero(message, sizeof(message));
	if (!again)
		session_refuse(s, REASON_INTERNAL, LEG_CLIENT,
		    "the proxy is out of memory", NULL, NULL);
	return again;
}

/* The server has done with the request: whatever else it said is not for the
 * client, who waits for the end of the connection only.  True: the negotiator
 * is to be asked, about the next address. */
static bool
delivered(struct session *s)
{
	if (s->neg->fan_out && s->neg->nth + 1 < FAN_OUT_MAX)
		return deliver_again(s);
	session_close(s, REASON_SERVER_CLOSED, NULL);
	return false;
}

static bool
start_delivery(struct session *s)
{
	s->neg->waiting = 0;
	session_enter(s, SESSION_DELIVERING);
	leg_want_read(&s->leg[LEG_SERVER], true);
	return s->neg->ended[LEG_SERVER] && delivered(s);
}

/* Carries out one verdict; true: the negotiator is to be asked again. */
static bool
carry_out(struct session *s, const struct verdict *v)
{
	switch (v->kind) {
	case V_READ:
		if (v->from & s->neg->unseen)
			return true;
		s->neg->waiting = v->from;
		check_waiting(s);
		return false;
	case V_CONNECT:
		return connect_server(s);
	case V_START_TLS:
		return start_tls(s, v);
	case V_STOP_TLS:
		return stop_tls(s, v->leg);
	case V_RELAY:
		return start_relay(s);
	case V_DELIVER:
		return start_delivery(s);
	case V_END:
		if (s->neg->refusing)
			session_close(s, s->reason, NULL);
		else
			session_refuse(s, s->neg->n.error.reason,
			    s->neg->n.error.leg, s->neg->n.error.text,
			    s->neg->n.error.hint, NULL);
		return false;
	case V_NEXT:
		break;
	}
	assert(v->kind != V_NEXT); /* neg_step() never answers that */
	return false;
}

static bool
may_step(const struct session *s)
{
	return s->state == SESSION_NEGOTIATING || s->state == SESSION_REFUSING;
}

/* It was interrupted, to let others have theirs. */
static bool
turn_is_owed(const struct session *s)
{
	return may_step(s) && s->neg->waiting == 0;
}

void
session_advance(struct session *s)
{
	struct verdict v;
	bool again = may_step(s);
	unsigned turn;

	for (turn = 0; again && turn < TURN_VERDICTS; turn++) {
		v = step(s);
		/* The client hears of it only after the server does. */
		if (!send_out(s, LEG_SERVER) || !send_out(s, LEG_CLIENT))
			return;
		again = carry_out(s, &v) && may_step(s);
	}
	if (!again)
		return;
	s->neg->waiting = 0;
	leg_remind(&s->leg[LEG_CLIENT]);
}

/* Events */

/* What has come of a leg goes to its queue. */
static void
pump(struct session *s, enum leg_id id)
{
	struct negotiation *neg = s->neg;
	struct leg *leg = &s->leg[id];
	enum leg_result r;
	struct rd bytes;
	size_t window = s->endpoint->ops->window, len = neg->unread[id].len;
	bool more;

	if (len >= window) {
		leg_want_read(leg, false);
		return;
	}
	r = leg_receive(leg, window - len, &bytes, &more);
	if (!take_bytes(s, id, bytes)) {
		session_refuse(s, REASON_INTERNAL, id,
		    "the proxy is out of memory", NULL, NULL);
		return;
	}
	if (r == LEG_ENDED || r == LEG_TRUNCATED) {
		neg->ended[id] = true;
		leg_want_read(leg, false);
	} else if (r == LEG_FAILED) {
		session_leg_failed(s, id);
	}
}

static void
delivering_readable(struct session *s, enum leg_id id)
{
	struct rd bytes;
	bool more;

	switch (leg_receive(&s->leg[id], LEG_RAW_MAX, &bytes, &more)) {
	case LEG_OK:
	case LEG_WAIT:
		return;
	case LEG_ENDED:
	case LEG_TRUNCATED:
	case LEG_FAILED:
		break;
	}
	if (id == LEG_CLIENT)
		leg_want_read(&s->leg[id], false);
	else if (delivered(s))
		session_advance(s);
}

static void
negotiating_readable(struct leg *leg, void *arg)
{
	struct session *s = arg;
	enum leg_id id = session_leg_id(s, leg);
	struct negotiation *neg = s->neg;

	if (s->state == SESSION_DELIVERING) {
		delivering_readable(s, id);
		return;
	}
	if (id == LEG_SERVER && s->outgoing != NULL)
		session_answered(s);
	if (s->state == SESSION_SECURING && neg->securing == id) {
		if (handshake(s))
			session_advance(s);
		return;
	}
	pump(s, id);
	if (s->state == SESSION_CLOSING || s->state == SESSION_ENDED)
		return;
	if (s->state == SESSION_NEW && neg->unread[id].len > 0) {
		if (session_doubt_over(s))
			return;
		session_enter(s, SESSION_NEGOTIATING);
		session_set_deadline(s, s->endpoint->timeouts.handshake);
	}
	if (s->state == SESSION_DELAYING && s->heard)
		delay_is_over(s);
	else if (turn_is_owed(s) ||
	    (may_step(s) && (neg->waiting & (1u << id))))
		session_advance(s);
	else if (id == LEG_CLIENT && neg->ended[LEG_CLIENT])
		client_left(s);
}

static void
negotiating_flushed(struct leg *leg, void *arg)
{
	struct session *s = arg;

	(void)leg;
	if (turn_is_owed(s))
		session_advance(s);
	else if (s->state != SESSION_DELIVERING)
		update_interest(s);
}

static void
negotiating_failed(struct leg *leg, void *arg)
{
	struct session *s = arg;
	enum leg_id id = session_leg_id(s, leg);

	/* A delivery has nobody to hear what the server says. */
	if (s->state == SESSION_DELIVERING)
		session_leg_failed(s, id);
	else if (send_failed(s, id))
		session_advance(s);
}
