#include "proxy/commands/test_probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "conf/redirect.h"
#include "protocols/negotiator.h"
#include "proxy/dial.h"
#include "proxy/leg.h"
#include "proxy/proxy_protocol.h"
#include "proxy/resolve.h"

#define NSEC_PER_SEC 1e9
#define USEC_PER_SEC 1e6
#define MSEC_PER_SEC 1e3
/* How long a server may take to reject our certificate, or to hang up. */
#define LAST_WORD_SECONDS 2.0
/* Of the words for an answer. */
#define ANSWER_MAX 256
/* Of one resolution, whatever the configuration says of its parts. */
#define RESOLVE_SECONDS 30.0

/* What a probe needs while it runs. */
struct run {
	struct probe *p;
	struct endpoint endpoint; /* with the one server that is examined */
	struct event_base *base;
	struct event *deadline;
	enum probe_step step; /* that the deadline is for */
	double began;         /* the step */

	struct resolver *resolver;
	struct resolution *resolution;
	struct dialer *dialer;
	struct dial *dial;

	struct tls_stores *stores;
	struct tls_context *context;
	struct leg leg;
	struct leg_buffers *buffers;
	struct neg_policy policy;
	struct negotiator n;
	struct rd hello; /* what the client has still to say */
	bool greeted;    /* it may speak: where the server does so first, it
	                  * has been told what that said */
	bool spoke;      /* it has said what it has to say */
	struct queue unread;
	unsigned said; /* messages, to this server since the last handshake */
	struct redirect redirect;
	unsigned redirects; /* how often that was */
	bool waits_for_last_word;
};

static void advance(struct run *r);
static void identity_held(struct run *r);
static void on_readable(struct leg *leg, void *arg);
static void on_flushed(struct leg *leg, void *arg);
static void on_failed(struct leg *leg, void *arg);

static const struct leg_events probe_events = {
	.readable = on_readable,
	.flushed = on_flushed,
	.failed = on_failed,
};

static double
now(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / NSEC_PER_SEC;
}

static void __attribute__((format(printf, 4, 0))) set_text(struct probe *p,
    enum probe_step step, enum probe_status status, const char *fmt, va_list ap)
{
	struct probe_result *s = &p->steps[step];

	s->status = status;
	(void)vsnprintf(s->text, sizeof(s->text), fmt, ap);
}

void
probe_set(struct probe *p, enum probe_step step, enum probe_status status,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(p, step, status, fmt, ap);
	va_end(ap);
}

void
probe_fail(struct probe *p, enum probe_step step, enum reason reason,
    const char *remedy, const char *fmt, ...)
{
	struct probe_result *s = &p->steps[step];
	va_list ap;

	va_start(ap, fmt);
	set_text(p, step, PROBE_FAILED, fmt, ap);
	va_end(ap);
	(void)snprintf(s->remedy, sizeof(s->remedy), "%s",
	    remedy == NULL ? "" : remedy);
	if (p->reason == REASON_NONE)
		p->reason = reason;
}

void
probe_fini(struct probe *p)
{
	free(p->pem);
	p->pem = NULL;
}

static void
run_over(struct run *r)
{
	if (r->base != NULL)
		(void)event_base_loopbreak(r->base);
}

static void
run_deadline(struct run *r, double seconds)
{
	struct timeval tv;

	(void)event_del(r->deadline);
	if (seconds <= 0)
		return;
	tv.tv_sec = (time_t)seconds;
	tv.tv_usec =
	    (suseconds_t)((seconds - (double)tv.tv_sec) * USEC_PER_SEC);
	(void)event_add(r->deadline, &tv);
}

static void
step_begin(struct run *r, enum probe_step step)
{
	r->step = step;
	r->began = now();
}

static void __attribute__((format(printf, 2, 3)))
step_adds(struct run *r, const char *fmt, ...)
{
	struct probe_result *s = &r->p->steps[r->step];
	size_t len = strlen(s->text);
	va_list ap;

	s->status = PROBE_OK;
	if (len > 0 && len < sizeof(s->text) - 1)
		len += (size_t)snprintf(s->text + len, sizeof(s->text) - len,
		    "; ");
	if (len >= sizeof(s->text) - 1)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(s->text + len, sizeof(s->text) - len, fmt, ap);
	va_end(ap);
}

/* The first time in these words, and then in fewer. */
static void
step_means(struct run *r, const char *words)
{
	const bool told = strstr(r->p->steps[r->step].text, words) != NULL;

	step_adds(r, "%s", told ? "and once more" : words);
}

static void
step_took(struct run *r)
{
	r->p->steps[r->step].timed = true;
	r->p->steps[r->step].seconds = now() - r->began;
}

static void
step_failed(struct run *r, enum reason reason, const char *text,
    const char *remedy)
{
	char before[sizeof(r->p->steps[0].text)];

	/* What had come of it until then. */
	(void)snprintf(before, sizeof(before), "%s", r->p->steps[r->step].text);
	probe_fail(r->p, r->step, reason, remedy, "%s%s%s", before,
	    before[0] == '\0' ? "" : "; ", text);
	step_took(r);
	run_over(r);
}

static const struct neg_words *
words_of(const struct run *r)
{
	static const struct neg_words none = {
		.again = "it had to be told again",
		.anew = "it wants TLS anew",
		.moved = "it sends its clients on",
	};

	return r->n.ops->words != NULL ? r->n.ops->words : &none;
}

/* Is it asked for a service, and in clear, as the ssl mode has it? */
static bool
asks_in_clear(const struct run *r)
{
	return r->p->hello_len > 0 && r->policy.server == SERVER_TLS_NEVER;
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	(void)fd;
	(void)what;
	if (r->waits_for_last_word)
		identity_held(r);
	else if (r->step == PROBE_RESOLVE)
		step_failed(r, REASON_RESOLVE, "no answer in time",
		    "are the nameservers of /etc/resolv.conf reachable?");
	else if (r->step == PROBE_NEGOTIATE || r->step == PROBE_ANSWER)
		step_failed(r, REASON_TIMEOUT,
		    "the server did not answer in time",
		    "does it speak the protocol of this engine?");
	else
		step_failed(r, REASON_TIMEOUT,
		    "the server did not finish the handshake in time",
		    "does it speak the protocol of this engine?");
}

/*
 * The handshake, and what may come after it.
 */

static void
keep_tls_facts(struct run *r)
{
	struct probe *p = r->p;
	const struct tls *t = r->leg.tls;

	p->secured = r->leg.state == LEG_SECURED;
	(void)snprintf(p->version, sizeof(p->version), "%s", tls_version(t));
	(void)snprintf(p->cipher, sizeof(p->cipher), "%s", tls_cipher(t));
	(void)snprintf(p->group, sizeof(p->group), "%s", tls_group(t));
	(void)snprintf(p->alpn, sizeof(p->alpn), "%s", tls_alpn(t));
}

static const char *
or_none(const char *text)
{
	return text[0] == '\0' ? "none" : text;
}

/* Whether it is the first handshake, another, or that of another server. */
static void
tell_handshake(struct run *r, const char *end)
{
	struct probe *p = r->p;

	step_adds(r, "%s, %s, group %s, SNI %s, ALPN %s%s", p->version,
	    p->cipher, or_none(p->group), or_none(tls_sni(r->leg.tls)),
	    or_none(p->alpn), end);
	step_took(r);
}

/* A certificate that was refused ends a handshake that was all right. */
static bool
refused_by_verdict(const struct run *r)
{
	const struct cert_verdict *v = tls_verdict(r->leg.tls);

	return !v->accepted && v->reason != REASON_NONE;
}

static void
handshake_failed(struct run *r)
{
	struct leg_failure f = leg_failure(&r->leg);

	keep_tls_facts(r);
	if (f.error != 0) {
		step_failed(r, REASON_HANDSHAKE, strerror(f.error),
		    "the server's own log may say more");
	} else if (refused_by_verdict(r)) {
		tell_handshake(r, "; ended by us, because of the certificate");
		probe_judge(r->p, r->leg.tls);
		run_over(r);
	} else {
		step_failed(r, f.tls.reason, f.tls.text, f.tls.hint);
		probe_judge(r->p, r->leg.tls);
	}
}

/*
 * In TLS 1.3 a server says only after the handshake whether it takes the
 * certificate that it asked for.  Our end of the stream makes it say
 * something: an alert, or its own end.
 */

static void
identity_held(struct run *r)
{
	probe_set(r->p, PROBE_IDENTITY, PROBE_OK,
	    r->p->endpoint->identity != NULL
		? "the server asked for a client certificate and got ours"
		: "the server asked for a client certificate, has none of "
		  "ours, and went on");
	run_over(r);
}

static void
identity_refused(struct run *r)
{
	struct leg_failure f = leg_failure(&r->leg);

	if (f.error == 0 && f.tls.reason == REASON_IDENTITY)
		step_failed(r, f.tls.reason, f.tls.text, f.tls.hint);
	else
		step_failed(r, REASON_IDENTITY,
		    "the server asked for a client certificate, and hung up",
		    "the server's own log may say why");
}

static void
hear_last_word(struct run *r)
{
	struct rd bytes;
	bool more;

	switch (leg_receive(&r->leg, LEG_RAW_MAX, &bytes, &more)) {
	case LEG_OK:
	case LEG_WAIT:
		return;
	case LEG_ENDED:
	case LEG_TRUNCATED:
		identity_held(r);
		return;
	case LEG_FAILED:
		break;
	}
	/* A reset in answer to our end is no more than impolite. */
	if (leg_failure(&r->leg).error != 0)
		identity_held(r);
	else
		identity_refused(r);
}

/* The server was gone before we said anything: its alert may still be here,
 * to be read. */
static void
hear_what_is_left(struct run *r)
{
	struct rd bytes;
	bool more;

	r->leg.error = 0;
	(void)leg_receive(&r->leg, LEG_RAW_MAX, &bytes, &more);
	identity_refused(r);
}

/* All has been seen. */
static void
finish(struct run *r)
{
	bool ended = leg_shutdown(&r->leg);

	if (r->leg.tls == NULL || !tls_identity_asked(r->leg.tls)) {
		run_over(r);
		return;
	}
	step_begin(r, PROBE_IDENTITY);
	if (!ended) {
		hear_what_is_left(r);
		return;
	}
	r->waits_for_last_word = true;
	run_deadline(r, LAST_WORD_SECONDS);
	leg_want_read(&r->leg, true);
}

/* Is there more to be seen than what the server shows?  It then says what it
 * has to say to somebody who asks for nothing but an answer. */
static bool
is_to_be_asked(const struct run *r)
{
	return r->n.ops->redirects != NULL;
}

/* True: the negotiator may be asked again. */
static bool
secured(struct run *r)
{
	struct neg_facts *facts = &r->n.leg[LEG_SERVER];

	keep_tls_facts(r);
	tell_handshake(r, "");
	probe_judge(r->p, r->leg.tls);
	if (!is_to_be_asked(r)) {
		finish(r);
		return false;
	}
	facts->tls_up = true;
	facts->leaf_known = tls_leaf(r->leg.tls, facts->leaf);
	r->said = 0;
	step_begin(r, PROBE_ANSWER);
	run_deadline(r, r->endpoint.timeouts.handshake);
	return true;
}

/* The same. */
static bool
handshake(struct run *r)
{
	switch (leg_handshake(&r->leg)) {
	case LEG_OK:
		return secured(r);
	case LEG_WAIT:
		leg_want_read(&r->leg, true);
		return false;
	case LEG_ENDED:
	case LEG_TRUNCATED:
		keep_tls_facts(r);
		step_failed(r, REASON_HANDSHAKE,
		    "the server closed the connection in the middle of the "
		    "handshake",
		    "the server's own log may say why");
		return false;
	case LEG_FAILED:
		break;
	}
	handshake_failed(r);
	return false;
}

static struct rd
unread_rd(const struct run *r, size_t max)
{
	struct rd unread = { .left = 0 };

	if (r->unread.len == 0)
		return unread;
	unread.at = queue_data(&r->unread);
	unread.left = r->unread.len < max ? r->unread.len : max;
	return unread;
}

/* What it is called, the first time, the second, and elsewhere. */
static void
begin_handshake(struct run *r, const struct neg_tls *how)
{
	if (how->anew) {
		step_begin(r, PROBE_AGAIN);
		step_means(r, words_of(r)->anew);
	} else if (r->redirects == 0) {
		probe_set(r->p, PROBE_NEGOTIATE, PROBE_OK,
		    r->policy.server == SERVER_TLS_FIRST
			? "TLS begins at once"
			: "the server agreed to TLS");
		step_took(r);
		step_begin(r, PROBE_HANDSHAKE);
	}
}

/* NULL, and said so, if it cannot be. */
static struct tls *
new_tls(struct run *r, const struct neg_tls *how)
{
	const struct server *server =
	    r->redirects > 0 ? &r->redirect.server : r->p->server;
	struct tls *tls = NULL;
	struct err err;

	(void)err_set(&err, "out of memory");
	if (r->context == NULL)
		r->context =
		    tls_context_new(&r->endpoint, LEG_SERVER, r->stores, &err);
	if (r->context != NULL) {
		tls_context_keep_chain(r->context);
		tls = tls_new(r->context, how, server);
	}
	if (tls != NULL && r->n.sni != NULL && !tls_set_sni(tls, r->n.sni)) {
		(void)err_set(&err, "the SNI of the engine's is too long");
		tls_free(tls);
		tls = NULL;
	}
	if (tls == NULL)
		step_failed(r, REASON_INTERNAL, err.text, NULL);
	return tls;
}

/* True: the negotiator may be asked again. */
static bool
start_tls(struct run *r, const struct neg_tls *how)
{
	struct rd unread = unread_rd(r, r->unread.len);
	struct tls *tls;

	begin_handshake(r, how);
	if ((tls = new_tls(r, how)) == NULL)
		return false;
	if (how->anew && (!leg_renew_tls(&r->leg, tls) || unread.left > 0)) {
		step_failed(r, REASON_PROTOCOL,
		    "the server asked for another handshake, and did not wait "
		    "for it",
		    "the server's own log may say why");
		return false;
	}
	if (!how->anew && !leg_start_tls(&r->leg, tls, unread)) {
		step_failed(r, REASON_INTERNAL, "out of memory", NULL);
		return false;
	}
	r->n.leg[LEG_SERVER] = (struct neg_facts){ .tls_up = false };
	queue_fini(&r->unread);
	return handshake(r);
}

/*
 * The negotiation: the client is a script of one message.
 */

static void
redirect_refused(struct run *r, const char *why)
{
	char remedy[REDIRECT_REMEDY_MAX];

	redirect_remedy(&r->redirect, r->n.ops, remedy);
	step_failed(r, REASON_REDIRECT, why, remedy);
}

static void
dial_failed(struct run *r, const struct dial_result *d)
{
	if (d->reason == REASON_REDIRECT)
		redirect_refused(r, d->text);
	else
		step_failed(r, d->reason, d->text,
		    "is the address right, the server running, and no "
		    "firewall between?");
}

/* We come for nobody, and say so where the server waits for it.  False: the
 * leg has failed. */
static bool
announce(struct run *r)
{
	const struct proxy_facts nobody = { .source = NULL };
	uint8_t bytes[PROXY_HEADER_OUT_MAX];
	struct wr w = { .base = bytes, .cap = sizeof(bytes) };

	if (r->endpoint.proxy_send == PROXY_SEND_OFF)
		return true;
	proxy_header_write(&w, &nobody);
	step_adds(r, "told by a PROXY header that it is for nobody");
	return leg_send(&r->leg, bytes, w.len);
}

static void
connected(const struct dial_result *d, void *arg)
{
	struct run *r = arg;
	struct probe *p = r->p;

	r->dial = NULL;
	if (d->fd == -1) {
		dial_failed(r, d);
		return;
	}
	(void)address_format(&d->address, p->address, sizeof(p->address));
	step_adds(r, "%s", p->address);
	if (r->endpoint.source_client)
		step_adds(r,
		    "from an address of this machine, as there is no client "
		    "whose own it could be");
	p->steps[r->step].timed = true;
	p->steps[r->step].seconds = d->connect_seconds;
	leg_open(&r->leg, d->fd, r->base, r->buffers, &probe_events, r);
	r->n.connected = true;
	r->n.leg[LEG_SERVER].local = address_is_unix(&d->address);
	if (!announce(r)) {
		on_failed(&r->leg, r);
		return;
	}
	step_begin(r, r->redirects > 0 ? PROBE_REDIRECT : PROBE_NEGOTIATE);
	run_deadline(r, r->endpoint.timeouts.handshake);
	advance(r);
}

/* True: it may be dialled. */
static bool
follow(struct run *r)
{
	const struct neg_ops *ops = r->n.ops;
	struct redirect *to = &r->redirect;

	step_begin(r, PROBE_REDIRECT);
	step_means(r, words_of(r)->moved);
	if (++r->redirects > NEG_REDIRECTS_MAX) {
		step_failed(r, REASON_REDIRECT, "and on, over and over",
		    "do its listeners point to each other?");
		return false;
	}
	redirect_judge(to, r->p->server, ops->redirects(r->n.options),
	    r->n.route.redirect_host, r->n.route.redirect_port);
	if (to->text[0] == '\0') {
		step_failed(r, REASON_REDIRECT, "to what is no host", NULL);
		return false;
	}
	step_adds(r, "to %s, %s", to->text, redirect_words(to->way));
	if (to->way == REDIRECT_REFUSED) {
		redirect_refused(r, "not followed");
		return false;
	}
	r->p->target = &to->server.target;
	leg_close(&r->leg);
	queue_fini(&r->unread);
	r->n.connected = false;
	r->n.leg[LEG_SERVER] = (struct neg_facts){ .tls_up = false };
	r->said = 0;
	return true;
}

static void
connect_server(struct run *r)
{
	struct dial_choice c = { .where = DIAL_ANY };

	if (r->n.connected) {
		if (!follow(r))
			return;
		c.where = DIAL_REDIRECT;
		c.redirect = &r->redirect;
	} else {
		step_begin(r, PROBE_CONNECT);
	}
	run_deadline(r, 0);
	r->dial = dial_start(r->dialer, &r->endpoint, NULL, &c, connected, r);
	if (r->dial == NULL)
		step_failed(r, REASON_INTERNAL, "out of memory", NULL);
}

/* All there is without TLS; what comes next would be the login. */
static void
stay_in_clear(struct run *r)
{
	if (r->policy.server != SERVER_TLS_NEVER) {
		step_failed(r, REASON_INTERNAL,
		    "the engine asked for no TLS where it must", NULL);
		return;
	}
	probe_set(r->p, PROBE_NEGOTIATE, PROBE_OK,
	    "no TLS is asked for (ssl_mode none); whether the server insists "
	    "on it shows only at the login");
	run_over(r);
}

/* Not by TLS, then; only a service that was asked for has a server hear
 * anything without. */
static void
begin_in_clear(struct run *r)
{
	if (r->step == PROBE_NEGOTIATE)
		probe_set(r->p, PROBE_NEGOTIATE, PROBE_OK,
		    "no TLS is asked for (ssl_mode none)");
	step_took(r);
	step_begin(r, PROBE_ANSWER);
}

/* What it has told the client, in our words. */
static void
tell_answer(struct run *r)
{
	const struct neg_words *words = words_of(r);
	struct probe_result *s = &r->p->steps[r->step];
	uint8_t room[ANSWER_MAX];
	struct neg_told told = { .words = { .base = room,
				     .cap = sizeof(room) } };

	if (words->answer != NULL)
		words->answer(wr_written(&r->n.out[LEG_CLIENT]), &told);
	else
		wr_string(&told.words, "it answers");
	step_adds(r, "%.*s", (int)told.words.len, (const char *)room);
	if (told.remedy != NULL)
		(void)snprintf(s->remedy, sizeof(s->remedy), "%s", told.remedy);
	if (!told.refused || r->p->hello_len == 0)
		return;
	s->status = PROBE_FAILED;
	if (r->p->reason == REASON_NONE)
		r->p->reason = REASON_CONNECT;
}

/* What comes now would be the client's, who would log in. */
static void
answered(struct run *r)
{
	if (r->leg.state != LEG_SECURED && !asks_in_clear(r)) {
		stay_in_clear(r);
		return;
	}
	r->step = PROBE_ANSWER;
	tell_answer(r);
	step_took(r);
	finish(r);
}

static struct verdict
step(struct run *r)
{
	static const struct rd silence = { .left = 0 };
	struct negotiator *n = &r->n;
	size_t had;
	struct verdict v;

	r->spoke = r->greeted;
	n->in[LEG_CLIENT] = r->greeted ? r->hello : silence;
	n->in[LEG_SERVER] = unread_rd(r, n->ops->window);
	n->out[LEG_CLIENT].len = n->out[LEG_SERVER].len = 0;
	had = n->in[LEG_SERVER].left;
	v = neg_step(n);
	if (r->greeted)
		r->hello = n->in[LEG_CLIENT];
	if (n->out[LEG_CLIENT].len > 0)
		r->greeted = true;
	queue_consume(&r->unread, had - n->in[LEG_SERVER].left);
	return v;
}

/* What came behind a handshake has no event to announce it. */
static void
wait_for_server(struct run *r)
{
	leg_want_read(&r->leg, true);
	if (r->leg.early.len > 0)
		leg_remind(&r->leg);
}

/* True: go on. */
static bool
carry_out(struct run *r, const struct verdict *v)
{
	const struct neg_error *e = &r->n.error;

	switch (v->kind) {
	case V_READ:
		if ((v->from & FROM_CLIENT) != 0 && r->greeted && !r->spoke)
			return true;
		/* The client has said all it will say. */
		if ((v->from & FROM_SERVER) == 0)
			answered(r);
		else
			wait_for_server(r);
		return false;
	case V_CONNECT:
		connect_server(r);
		return false;
	case V_START_TLS:
		return start_tls(r, v->tls);
	case V_STOP_TLS: /* of a client's leg, which there is none of here */
		return true;
	case V_RELAY:
	case V_DELIVER:
		answered(r);
		return false;
	case V_END:
		step_failed(r, e->reason, e->text, e->hint);
		return false;
	case V_NEXT:
		break;
	}
	return true;
}

/* False: the leg has failed. */
static bool
speak(struct run *r)
{
	const struct wr *out = &r->n.out[LEG_SERVER];

	if (out->len == 0)
		return true;
	if (++r->said == 1 && asks_in_clear(r))
		begin_in_clear(r);
	else if (r->said > 1 && r->step == PROBE_ANSWER)
		step_means(r, words_of(r)->again);
	return leg_send(&r->leg, out->base, out->len);
}

static void
advance(struct run *r)
{
	const struct wr *out = &r->n.out[LEG_SERVER];
	struct verdict v;
	bool again = true;

	while (again) {
		v = step(r);
		if (out->len > 0 && r->policy.server == SERVER_TLS_NEVER &&
		    !asks_in_clear(r)) {
			stay_in_clear(r);
			return;
		}
		if (!speak(r)) {
			on_failed(&r->leg, r);
			return;
		}
		again = carry_out(r, &v);
	}
}

static void
hear(struct run *r)
{
	struct rd bytes;
	bool more;

	switch (leg_receive(&r->leg, r->n.ops->window, &bytes, &more)) {
	case LEG_OK:
		if (queue_append(&r->unread, bytes.at, bytes.left))
			advance(r);
		else
			step_failed(r, REASON_INTERNAL, "out of memory", NULL);
		return;
	case LEG_WAIT:
		return;
	case LEG_ENDED:
	case LEG_TRUNCATED:
		step_failed(r, REASON_CONNECT,
		    r->step == PROBE_ANSWER
			? "the server closed the connection and did not answer"
			: "the server closed the connection before TLS began",
		    "the server's own log may say why");
		return;
	case LEG_FAILED:
		break;
	}
	on_failed(&r->leg, r);
}

static void
on_readable(struct leg *leg, void *arg)
{
	struct run *r = arg;

	if (r->waits_for_last_word)
		hear_last_word(r);
	else if (leg->state != LEG_SECURING)
		hear(r);
	else if (handshake(r))
		advance(r);
}

static void
on_flushed(struct leg *leg, void *arg)
{
	(void)leg; /* nobody waits for this */
	(void)arg;
}

static void
on_failed(struct leg *leg, void *arg)
{
	struct run *r = arg;
	int error = leg_failure(leg).error;

	if (r->waits_for_last_word)
		hear_what_is_left(r);
	else
		step_failed(r, REASON_CONNECT,
		    error == 0 ? "out of memory" : strerror(error),
		    "the server's own log may say why");
}

/*
 * The name.
 */

/* An address alone: without its port, which is none, and its brackets. */
static void
add_ip(char *list, size_t size, const struct address *a)
{
	char text[ADDRESS_TEXT_MAX], *ip = text;
	size_t len = strlen(list);

	(void)address_format(a, text, sizeof(text));
	ip[strcspn(ip, "]") < strlen(ip) ? strcspn(ip, "]")
					 : strcspn(ip, ":")] = '\0';
	ip += *ip == '[';
	(void)snprintf(list + len, size - len, "%s%s", len == 0 ? "" : ", ",
	    ip);
}

static void
resolved(struct answer *a, void *arg)
{
	struct run *r = arg;
	struct probe *p = r->p;
	char list[512] = "";
	size_t i;

	r->resolution = NULL;
	if (a->n == 0) {
		step_failed(r, REASON_RESOLVE, a->why,
		    "is the name right, and known to the nameservers of "
		    "/etc/resolv.conf?");
		return;
	}
	for (i = 0; i < a->n; i++)
		add_ip(list, sizeof(list), &a->list[i]);
	probe_set(p, PROBE_RESOLVE, PROBE_OK, "%s -> %s", p->server->host,
	    list);
	step_took(r);
	run_deadline(r, 0);
	advance(r);
}

static void
begin(struct run *r)
{
	const struct server *s = r->p->server;

	if (s->is_network) {
		probe_set(r->p, PROBE_RESOLVE, PROBE_UNCHECKED,
		    "%s is a network, and not tested: which of its addresses "
		    "is meant only a client says; name one with --to ADDRESS",
		    s->text);
		run_over(r);
		return;
	}
	if (s->fixed.len > 0) {
		probe_set(r->p, PROBE_RESOLVE, PROBE_UNCHECKED,
		    "%s is an address", s->text);
		advance(r);
		return;
	}
	step_begin(r, PROBE_RESOLVE);
	run_deadline(r, RESOLVE_SECONDS);
	r->resolution = resolve_start(r->resolver, s->host, resolved, r);
	if (r->resolution == NULL)
		step_failed(r, REASON_INTERNAL, "out of memory", NULL);
}

static void
on_start(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin(arg);
}

/*
 * What it needs.
 */

static bool
make_negotiator(struct run *r)
{
	struct negotiator *n = &r->n;
	size_t i, cap;

	n->ops = r->endpoint.ops;
	n->policy = &r->policy;
	n->options = r->endpoint.options;
	cap = NEG_OUT_CAP(n->ops);
	r->hello = r->p->hello_len > 0
	    ? (struct rd){ .at = r->p->hello, .left = r->p->hello_len }
	    : n->ops->hello;
	r->greeted = n->ops->client_first;
	queue_init(&r->unread, n->ops->window + LEG_RAW_MAX);
	if ((n->state = calloc(1, n->ops->state_size + 1)) == NULL)
		return false;
	for (i = 0; i < LEG_COUNT; i++) {
		if ((n->out[i].base = malloc(cap)) == NULL)
			return false;
		n->out[i].cap = cap;
	}
	return true;
}

static bool
run_make(struct run *r, const struct config *c, struct err *err)
{
	(void)err_set(err, "out of memory");
	leg_init(&r->leg);
	r->buffers = calloc(1, sizeof(*r->buffers));
	r->stores = tls_stores_new();
	r->base = event_base_new();
	if (r->buffers == NULL || r->stores == NULL || r->base == NULL ||
	    !make_negotiator(r))
		return false;
	r->deadline = event_new(r->base, -1, 0, on_deadline, r);
	if (r->deadline == NULL)
		return false;
	r->resolver = resolver_new(r->base, c, NULL, err);
	if (r->resolver == NULL)
		return false;
	return (r->dialer = dialer_new(r->base, c, err)) != NULL;
}

static void
run_fini(struct run *r)
{
	resolve_cancel(r->resolution);
	dial_cancel(r->dial);
	leg_close(&r->leg);
	if (r->dialer != NULL)
		dialer_free(r->dialer);
	if (r->resolver != NULL)
		resolver_free(r->resolver);
	tls_context_free(r->context);
	tls_stores_free(r->stores);
	queue_fini(&r->unread);
	free(r->n.state);
	free(r->n.out[LEG_CLIENT].base);
	free(r->n.out[LEG_SERVER].base);
	if (r->deadline != NULL)
		event_free(r->deadline);
	if (r->base != NULL)
		event_base_free(r->base);
	free(r->buffers);
}

void
probe_run(struct probe *p, const struct config *c, const struct endpoint *e,
    size_t server)
{
	static const struct timeval at_once = { 0 };
	struct run r = { .p = p, .endpoint = *e };
	struct err err;

	p->endpoint = e;
	p->server = &e->servers[server];
	p->target = &p->server->target;
	r.endpoint.servers = &e->servers[server];
	r.endpoint.nservers = 1;
	r.policy = endpoint_policy(e);
	r.policy.client = CLIENT_TLS_OFF; /* we are the client ourselves */
	if (!run_make(&r, c, &err))
		step_failed(&r, REASON_INTERNAL, err.text, NULL);
	else if (event_base_once(r.base, -1, EV_TIMEOUT, on_start, &r,
		     &at_once) == -1 ||
	    event_base_dispatch(r.base) == -1)
		step_failed(&r, REASON_INTERNAL, "the event loop failed", NULL);
	p->target = &p->server->target;
	run_fini(&r);
}
