#include "proxy/session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/session_private.h"
#include "proxy/times.h"

/* How long a client that is turned away may take to let us say why. */
#define REFUSE_SECONDS 5.0
/* A probe is gone by then; whoever waits for a server's greeting is not. */
#define DOUBT_SECONDS 1.0
/* How long the last words may take to be read. */
#define CLOSE_SECONDS 2.0
/* The same where a peer that read slowly is owed a long rest of the stream. */
#define ABORT_MS 30000
/* How often to look whether a peer has acknowledged the last of it. */
#define ABORT_POLL_SECONDS 0.02
#define MSEC_PER_SEC       1000.0

/* So that a deadline that is set for the rest of a time does not fire just
 * before it. */
#define DEADLINE_SLACK 0.01

#define MOVE(state) (1u << (state))

/* From each state, where to. */
static const unsigned legal_moves[SESSION_STATES] = {
	[SESSION_NEW] = MOVE(SESSION_ANNOUNCING) | MOVE(SESSION_NEGOTIATING) |
	    MOVE(SESSION_REFUSING) | MOVE(SESSION_CLOSING),
	[SESSION_ANNOUNCING] = MOVE(SESSION_NEW) | MOVE(SESSION_CLOSING),
	[SESSION_NEGOTIATING] = MOVE(SESSION_DELAYING) |
	    MOVE(SESSION_CONNECTING) | MOVE(SESSION_SECURING) |
	    MOVE(SESSION_RELAYING) | MOVE(SESSION_DELIVERING) |
	    MOVE(SESSION_REFUSING) | MOVE(SESSION_CLOSING),
	[SESSION_DELAYING] = MOVE(SESSION_NEGOTIATING) |
	    MOVE(SESSION_CONNECTING) | MOVE(SESSION_REFUSING) |
	    MOVE(SESSION_CLOSING),
	[SESSION_CONNECTING] = MOVE(SESSION_NEGOTIATING) |
	    MOVE(SESSION_REFUSING) | MOVE(SESSION_CLOSING),
	[SESSION_SECURING] = MOVE(SESSION_NEGOTIATING) |
	    MOVE(SESSION_REFUSING) | MOVE(SESSION_CLOSING),
	[SESSION_RELAYING] = MOVE(SESSION_NEGOTIATING) | MOVE(SESSION_CLOSING),
	[SESSION_DELIVERING] = MOVE(SESSION_NEGOTIATING) |
	    MOVE(SESSION_REFUSING) | MOVE(SESSION_CLOSING),
	[SESSION_REFUSING] = MOVE(SESSION_SECURING) | MOVE(SESSION_CLOSING),
	[SESSION_CLOSING] = MOVE(SESSION_ENDED),
	[SESSION_ENDED] = 0,
};

static void session_on_deadline(evutil_socket_t fd, short what, void *arg);
static void closing_readable(struct leg *leg, void *arg);
static void closing_flushed(struct leg *leg, void *arg);
static void closing_failed(struct leg *leg, void *arg);

static const struct leg_events session_closing = {
	.readable = closing_readable,
	.flushed = closing_flushed,
	.failed = closing_failed,
};

/* Is the deadline that of the drain, whatever else an opened session does? */
static bool
session_drain_counts(const struct session *s)
{
	return s->draining && s->endpoint->timeouts.drain > 0;
}

/* Where it must begin with TLS it does, whatever its protocol is. */
static bool
client_speaks_first(const struct endpoint *e)
{
	return e->ops->client_first ||
	    (e->client_rule == CLIENT_TLS_REQUIRE && !e->ops->client_chooses);
}

/* A load balancer may send its header with the client's first bytes.  Whoever
 * is turned away afterwards is not waited for as long. */
static double
session_header_seconds(const struct session *s)
{
	if (s->front->admitted != REASON_NONE)
		return REFUSE_SECONDS;
	return client_speaks_first(s->endpoint)
	    ? s->endpoint->timeouts.first_byte
	    : s->endpoint->timeouts.handshake;
}

void
session_enter(struct session *s, enum session_state state)
{
	assert(legal_moves[s->state] & MOVE(state));
	if (s->state == SESSION_DELAYING)
		(void)event_del(&s->neg->delay);
	s->state = state;
	switch (state) {
	case SESSION_NEGOTIATING:
		/* Woken; before its relay one deadline is for all it does. */
		if (s->opened && !session_drain_counts(s))
			session_set_deadline(s,
			    s->endpoint->timeouts.handshake);
		break;
	case SESSION_RELAYING:
		if (!session_drain_counts(s))
			session_set_deadline(s,
			    s->draining ? 0 : s->endpoint->timeouts.idle);
		break;
	case SESSION_ANNOUNCING:
		session_set_deadline(s, session_header_seconds(s));
		break;
	case SESSION_REFUSING:
		session_set_deadline(s, REFUSE_SECONDS);
		break;
	case SESSION_ENDED:
		session_set_deadline(s, 0);
		break;
	case SESSION_NEW:
	case SESSION_DELAYING:
	case SESSION_CONNECTING:
	case SESSION_SECURING:
	case SESSION_DELIVERING:
	case SESSION_CLOSING:
		break; /* the deadline goes on, or is set by who enters */
	}
}

void
session_set_deadline(struct session *s, double seconds)
{
	struct timeval tv = times_interval(seconds);
	struct worker *w = s->worker;

	s->late = false;
	if (seconds <= 0) {
		if (s->deadline != NULL)
			event_free(s->deadline);
		s->deadline = NULL;
		return;
	}
	if (s->deadline == NULL)
		s->deadline = event_new(w->base, -1, 0, session_on_deadline, s);
	if (s->deadline != NULL && event_add(s->deadline, &tv) == 0)
		return;
	s->late = w->late = true;
	event_active(w->reap, 0, 0);
}

bool
session_keep_address(struct kept_address **kept, const struct address *a)
{
	free(*kept);
	*kept = NULL;
	if (a->len == 0)
		return true;
	if ((*kept = malloc(sizeof(**kept) + a->len)) == NULL)
		return false;
	(*kept)->len = a->len;
	memcpy((*kept)->bytes, &a->sa, a->len);
	return true;
}

struct address
session_address(const struct kept_address *kept)
{
	struct address a = { .len = 0 };

	if (kept == NULL)
		return a;
	a.len = kept->len;
	memcpy(&a.sa, kept->bytes, kept->len);
	return a;
}

/* Birth */

/* In words for the client. */
static const char *
turned_away(enum reason reason)
{
	if (reason == REASON_DRAINING)
		return "the proxy is shutting down";
	if (reason == REASON_NO_ENDPOINT)
		return "no endpoint of the proxy has that destination";
	if (reason == REASON_LOOP)
		return "the destination is the proxy itself";
	return "too many connections to this endpoint";
}

void
session_begin(struct session *s, enum reason admitted, const char *detail)
{
	const struct endpoint *e = s->endpoint;

	if (admitted == REASON_NONE && atomic_load(&s->worker->proxy->draining))
		admitted = REASON_DRAINING;
	if (admitted != REASON_NONE) {
		session_refuse(s, admitted, LEG_CLIENT, turned_away(admitted),
		    s->astray ? NULL : "try again later", detail);
		return;
	}
	leg_want_read(&s->leg[LEG_CLIENT], true);
	if (client_speaks_first(e)) {
		session_set_deadline(s, e->timeouts.first_byte);
		return;
	}
	session_set_deadline(s, e->timeouts.handshake);
	session_enter(s, SESSION_NEGOTIATING);
	session_advance(s);
}

/* It came to the proxy itself: does it say anything, or stay? */
static void
session_doubt(struct session *s, const struct arrival *a)
{
	s->neg->doubt = (struct doubt){ .reason = a->admitted,
		.mute = a->mute,
		.detail = a->detail };
	leg_want_read(&s->leg[LEG_CLIENT], true);
	session_set_deadline(s, DOUBT_SECONDS);
}

bool
session_doubt_over(struct session *s)
{
	struct doubt doubt = s->neg->doubt;

	if (doubt.reason == REASON_NONE)
		return false;
	s->neg->doubt.reason = REASON_NONE;
	if (doubt.mute)
		session_drop(s, doubt.reason, doubt.detail);
	else
		session_begin(s, doubt.reason, doubt.detail);
	return true;
}

/* What is nobody's is not waited for. */
static bool
is_announced(const struct arrival *a)
{
	return a->endpoint->proxy_accept.n > 0 && !a->astray;
}

void
session_new(struct worker *w, const struct arrival *a)
{
	const struct endpoint *e = a->endpoint;
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL || !session_keep_address(&s->client, &a->client) ||
	    !session_keep_address(&s->address, &a->destination) ||
	    (s->neg = negotiation_new(w->proxy, a)) == NULL) {
		if (s != NULL) {
			free(s->client);
			free(s->address);
		}
		free(s);
		(void)close(a->fd);
		if (a->admitted == REASON_NONE)
			limits_turn_back(w->proxy->limits, e, &a->client);
		worker_released(w);
		return;
	}
	s->worker = w;
	s->endpoint = e;
	s->id = atomic_fetch_add(&w->proxy->next_session, 1);
	s->counted = a->admitted == REASON_NONE;
	s->named = s->counted && !is_announced(a);
	s->server = (unsigned)a->server;
	s->astray = a->astray;
	s->neg->n.leg[LEG_CLIENT].local = address_is_unix(&a->client);
	s->started = times_now();
	leg_init(&s->leg[LEG_SERVER]);
	leg_init(&s->leg[LEG_CLIENT]);
	dial_tune_socket(a->fd, e);
	leg_open(&s->leg[LEG_CLIENT], a->fd, w->base,
	    relay_leg_buffers(w->buffers), &session_negotiating, s);
	s->leg[LEG_CLIENT].busy_poll_us = (uint16_t)e->busy_poll_us;
	TAILQ_INSERT_TAIL(&w->sessions, s, link);
	if (a->doubtful)
		session_doubt(s, a);
	else if (!is_announced(a))
		session_begin(s, a->admitted, a->detail);
	else if (!session_announce(s, a))
		session_drop(s, REASON_INTERNAL, "out of memory");
}

/* Ends */

static void
session_bury(struct session *s)
{
	struct worker *w = s->worker;
	struct address client = session_address(s->client);
	struct address server = session_address(s->address);

	session_enter(s, SESSION_ENDED);
	leg_close(&s->leg[LEG_CLIENT]);
	leg_close(&s->leg[LEG_SERVER]);
	negotiation_free(s->neg);
	s->neg = NULL;
	session_answered(s);
	free(s->redirect);
	s->redirect = NULL;
	free(s->front);
	s->front = NULL;
	if (s->key != NULL) {
		cancels_remove(w->proxy->cancels, s->endpoint, s->key, &server);
		explicit_bzero(s->key, sizeof(*s->key));
		free(s->key);
		s->key = NULL;
	}
	if (s->counted)
		limits_leave(w->proxy->limits, s->endpoint,
		    s->named ? &client : NULL);
	s->counted = false;
	TAILQ_REMOVE(&w->sessions, s, link);
	TAILQ_INSERT_TAIL(&w->ended, s, link);
	event_active(w->reap, 0, 0);
}

/* Whose deadline could not be set.  Each may leave the list. */
static void
session_pass_deadlines(struct worker *w)
{
	struct session *s, *next;

	w->late = false;
	for (s = TAILQ_FIRST(&w->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->late)
			session_on_deadline(-1, EV_TIMEOUT, s);
	}
}

void
session_reap(struct worker *w)
{
	struct session *s;

	if (w->late)
		session_pass_deadlines(w);
	while ((s = TAILQ_FIRST(&w->ended)) != NULL) {
		TAILQ_REMOVE(&w->ended, s, link);
		free(s->client);
		free(s->address);
		free(s);
		worker_released(w);
	}
}

/* Common to all ends: the first reason counts, and one line is logged.  False
 * if the session is ending already. */
static bool
session_conclude(struct session *s, enum reason reason, const char *detail)
{
	if (s->state == SESSION_CLOSING || s->state == SESSION_ENDED)
		return false;
	if (s->reason == REASON_NONE) {
		s->reason = reason;
		session_log_end(s, detail);
	}
	if (s->state == SESSION_RELAYING)
		relay_stop(&s->relay);
	if (s->neg != NULL) {
		dial_cancel(s->neg->dial);
		s->neg->dial = NULL;
	}
	session_enter(s, SESSION_CLOSING);
	s->give_up_ms = relay_now_ms() + ABORT_MS;
	return true;
}

static void
session_closing_leg(struct session *s, struct leg *leg)
{
	leg->events = &session_closing;
	leg->arg = s;
}

void
session_close(struct session *s, enum reason reason, const char *detail)
{
	struct leg *client = &s->leg[LEG_CLIENT];

	if (!session_conclude(s, reason, detail))
		return;
	leg_close(&s->leg[LEG_SERVER]);
	if (client->state == LEG_CLOSED || !leg_shutdown(client)) {
		session_bury(s);
		return;
	}
	if (client->ended && !leg_blocked(client)) {
		session_bury(s);
		return;
	}
	/* Closing while the client still sends would destroy what we said
	 * last: wait until it has ended too, but not for ever. */
	session_closing_leg(s, client);
	leg_want_read(client, true);
	session_set_deadline(s, CLOSE_SECONDS);
}

void
session_drop(struct session *s, enum reason reason, const char *detail)
{
	if (session_conclude(s, reason, detail))
		session_bury(s);
}

/* Whoever is left gets what it is owed; then it must see that the end came
 * out of order. */
static bool
session_abort_leg(struct session *s, struct leg *leg)
{
	if (leg->state == LEG_CLOSED)
		return true;
	if (leg->error == 0 && (leg_blocked(leg) || leg_in_flight(leg) > 0)) {
		session_closing_leg(s, leg);
		leg_want_read(leg, false);
		return false;
	}
	/* Without TLS only a reset tells the difference. */
	if (leg->state == LEG_PLAIN)
		leg_reset(leg);
	else
		leg_close(leg);
	return true;
}

static void
session_abort_go_on(struct session *s)
{
	bool client = session_abort_leg(s, &s->leg[LEG_CLIENT]);
	bool server = session_abort_leg(s, &s->leg[LEG_SERVER]);

	if (client && server)
		session_bury(s);
	else
		session_set_deadline(s, ABORT_POLL_SECONDS);
}

void
session_abort(struct session *s, enum reason reason, const char *detail)
{
	if (!session_conclude(s, reason, detail))
		return;
	s->aborting = true;
	session_abort_go_on(s);
}

static void
session_copy_text(char to[NEG_TEXT_MAX + 1], const char *from)
{
	(void)snprintf(to, NEG_TEXT_MAX + 1, "%s", from != NULL ? from : "");
}

void
session_refuse(struct session *s, enum reason reason, enum leg_id leg,
    const char *text, const char *hint, const char *detail)
{
	struct negotiation *neg = s->neg;
	bool midway;

	if (s->reason != REASON_NONE || neg == NULL ||
	    s->state == SESSION_RELAYING) {
		session_close(s, reason, detail);
		return;
	}
	s->reason = reason;
	/* text may be the leg's own, which is about to go */
	session_copy_text(neg->text, text);
	session_copy_text(neg->hint, hint);
	session_log_end(s, detail != NULL ? detail : neg->text);
	dial_cancel(neg->dial);
	neg->dial = NULL;
	leg_close(&s->leg[LEG_SERVER]);
	neg->n.error = (struct neg_error){ .reason = reason,
		.leg = leg,
		.text = neg->text,
		.hint = neg->hint[0] != '\0' ? neg->hint : NULL };
	/* In the middle of its handshake a client understands alerts only. */
	midway = s->leg[LEG_CLIENT].state == LEG_SECURING;
	if (midway || s->leg[LEG_CLIENT].state == LEG_CLOSED ||
	    s->state == SESSION_DELIVERING) {
		session_close(s, reason, NULL);
		return;
	}
	neg->refusing = true;
	neg->waiting = 0;
	session_enter(s, SESSION_REFUSING);
	session_advance(s);
}

/* To TLS a secured connection is one that is in use; to the client it is none
 * before its relay began. */
static enum reason
session_tls_reason(const struct session *s, enum reason reason, enum leg_id leg)
{
	if (reason_is_refusal(reason) || s->opened)
		return reason;
	return leg == LEG_CLIENT ? REASON_CLIENT_TLS : REASON_HANDSHAKE;
}

/* The same of a server that was lost. */
static enum reason
session_lost_reason(const struct session *s, int error)
{
	if (!s->opened)
		return REASON_CONNECT;
	return error == ETIMEDOUT ? REASON_KEEPALIVE : REASON_SERVER_RESET;
}

void
session_leg_failed(struct session *s, enum leg_id leg)
{
	struct leg_failure f = leg_failure(&s->leg[leg]);

	if (f.error == 0)
		session_refuse(s, session_tls_reason(s, f.tls.reason, leg), leg,
		    f.tls.text, f.tls.hint, NULL);
	else if (leg == LEG_CLIENT)
		session_close(s, REASON_CLIENT_RESET, strerror(f.error));
	else
		session_refuse(s, session_lost_reason(s, f.error), leg,
		    "the connection to the database server was lost",
		    "the server's own log may say why", strerror(f.error));
}

void
session_end(struct session *s, enum reason reason, const char *text)
{
	if (s->state == SESSION_ENDED)
		return;
	if (s->state != SESSION_CLOSING)
		(void)session_conclude(s, reason, text);
	if (s->leg[LEG_CLIENT].state == LEG_PLAIN)
		leg_reset(&s->leg[LEG_CLIENT]);
	if (s->leg[LEG_SERVER].state == LEG_PLAIN)
		leg_reset(&s->leg[LEG_SERVER]);
	session_bury(s);
}

/* The last moments of a session take no longer than a drain. */
static void
session_drain_closing(struct session *s)
{
	int64_t ms = (int64_t)(s->endpoint->timeouts.drain * MSEC_PER_SEC);
	int64_t now = relay_now_ms();

	if (ms > 0 && s->give_up_ms > now + ms)
		s->give_up_ms = now + ms;
}

/* Its relay may go on for the drain's time.  One that was woken has a deadline
 * besides, which is kept where the drain has no end. */
static void
session_drain_opened(struct session *s)
{
	double drain = s->endpoint->timeouts.drain;

	if (drain > 0 || s->state == SESSION_RELAYING)
		session_set_deadline(s, drain);
}

static void
session_drain_negotiating(struct session *s)
{
	if (s->opened)
		session_drain_opened(s);
	else
		session_refuse(s, REASON_DRAINING, LEG_CLIENT,
		    "the proxy is shutting down", "try again later", NULL);
}

void
session_drain(struct session *s)
{
	double drain = s->endpoint->timeouts.drain;

	s->draining = true;
	switch (s->state) {
	case SESSION_NEW: /* who has said nothing need not be told why */
	case SESSION_ANNOUNCING:
		session_close(s, REASON_DRAINING, session_where(s));
		break;
	case SESSION_NEGOTIATING:
	case SESSION_DELAYING:
	case SESSION_CONNECTING:
	case SESSION_SECURING:
		session_drain_negotiating(s);
		break;
	case SESSION_RELAYING:
		session_drain_opened(s);
		break;
	case SESSION_DELIVERING:
		if (drain > 0)
			session_set_deadline(s, drain);
		break;
	case SESSION_CLOSING:
		session_drain_closing(s);
		break;
	case SESSION_REFUSING: /* this ends soon by itself */
	case SESSION_ENDED:
		break;
	}
}

/* Deadlines */

/* The idle time starts anew whenever something moves; rather than touch a
 * timer for each read, look when it fires how long it has really been. */
static void
session_idle(struct session *s)
{
	double idle = s->endpoint->timeouts.idle;
	double silent = relay_silent(&s->relay);

	if (relay_client_lingers(&s->relay) && silent >= SESSION_LINGER_SECONDS)
		session_close(s, s->relay.reason, NULL);
	else if (s->relay.flow[LEG_SERVER].ended)
		session_set_deadline(s, SESSION_LINGER_SECONDS);
	else if (silent < idle)
		session_set_deadline(s, idle - silent + DEADLINE_SLACK);
	else
		session_abort(s, REASON_IDLE, NULL);
}

static void
session_late(struct session *s)
{
	if (s->opened && session_drain_counts(s))
		session_end(s, REASON_DRAIN, NULL);
	else
		session_refuse(s, REASON_TIMEOUT, LEG_CLIENT,
		    "the connection was not ready in time", NULL,
		    session_where(s));
}

static void
session_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	(void)fd;
	(void)what;
	switch (s->state) {
	case SESSION_NEW:
	case SESSION_ANNOUNCING:
		if (!session_doubt_over(s))
			session_close(s, REASON_TIMEOUT, session_where(s));
		break;
	case SESSION_NEGOTIATING:
	case SESSION_DELAYING:
	case SESSION_CONNECTING:
	case SESSION_SECURING:
		session_late(s);
		break;
	case SESSION_DELIVERING:
	case SESSION_REFUSING:
		session_close(s, REASON_TIMEOUT, session_where(s));
		break;
	case SESSION_RELAYING:
		/* Also one whose peer does not read: this is a promise. */
		if (s->draining)
			session_end(s, REASON_DRAIN, NULL);
		else
			session_idle(s);
		break;
	case SESSION_CLOSING:
		if (s->aborting && relay_now_ms() < s->give_up_ms)
			session_abort_go_on(s);
		else
			session_bury(s);
		break;
	case SESSION_ENDED:
		break;
	}
}

/* The last moments: what still comes is of no interest, but must be read, or
 * closing would reset the connection and destroy what was said last. */

static void
closing_readable(struct leg *leg, void *arg)
{
	struct session *s = arg;
	enum leg_result result;
	struct rd bytes;
	bool more;

	if (leg->state == LEG_SECURING) {
		session_bury(s);
		return;
	}
	result = leg_receive(leg, LEG_RAW_MAX, &bytes, &more);
	leg_forget(leg, bytes);
	switch (result) {
	case LEG_OK:
	case LEG_WAIT:
		return;
	case LEG_ENDED:
	case LEG_TRUNCATED:
	case LEG_FAILED:
		break;
	}
	if (leg_blocked(leg))
		leg_want_read(leg, false); /* half-closed: it may yet read */
	else
		session_bury(s);
}

static void
closing_flushed(struct leg *leg, void *arg)
{
	struct session *s = arg;

	(void)leg;
	if (s->aborting)
		session_abort_go_on(s);
}

static void
closing_failed(struct leg *leg, void *arg)
{
	struct session *s = arg;

	if (s->aborting)
		leg_close(leg);
	if (s->aborting)
		session_abort_go_on(s);
	else
		session_bury(s);
}
