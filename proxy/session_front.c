/*
 * Who stands in front: load balancers that say for whom they connect, before
 * anything else, and servers that are told so by us.  It is the session's doing
 * and no negotiator's: what a protocol reads begins behind the header, and what
 * it writes is looked at by its policy as ever.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/proxy_protocol.h"
#include "proxy/session_private.h"

static void front_readable(struct leg *leg, void *arg);
static void front_flushed(struct leg *leg, void *arg);
static void front_failed(struct leg *leg, void *arg);

static const struct leg_events session_announcing = {
	.readable = front_readable,
	.flushed = front_flushed,
	.failed = front_failed,
};

bool
session_announce(struct session *s, const struct arrival *a)
{
	struct leg *leg = &s->leg[LEG_CLIENT];

	if ((s->front = calloc(1, sizeof(*s->front))) == NULL)
		return false;
	s->front->via = a->client;
	s->front->admitted = a->admitted;
	s->front->detail = a->detail;
	leg->events = &session_announcing;
	session_enter(s, SESSION_ANNOUNCING);
	leg_want_read(leg, true);
	return true;
}

/* What has come, and what it is; *ended: nothing more will. */
static struct proxy_answer
front_read(struct session *s, struct proxy_header *h, bool *ended)
{
	struct queue *unread = &s->neg->unread[LEG_CLIENT];
	struct leg *leg = &s->leg[LEG_CLIENT];
	enum leg_result r = LEG_OK;
	struct proxy_answer answer;
	struct rd bytes = { .left = 0 };
	bool more, kept = true;

	for (;;) {
		bytes.at = unread->len > 0 ? queue_data(unread) : NULL;
		bytes.left = unread->len;
		answer = proxy_header_read(bytes, h);
		if (answer.result != PROXY_MORE || r != LEG_OK || !kept)
			break;
		r = leg_receive(leg, answer.more, &bytes, &more);
		if (r == LEG_OK)
			kept = queue_append(unread, bytes.at, bytes.left);
	}
	*ended = (r != LEG_OK && r != LEG_WAIT) || !kept;
	return answer;
}

static void
copy_text(char to[FRONT_TEXT_MAX], struct rd text)
{
	size_t n = text.left < FRONT_TEXT_MAX ? text.left : FRONT_TEXT_MAX - 1;

	if (n > 0)
		memcpy(to, text.at, n);
	to[n] = '\0';
}

/* Its client is who the header says, or whoever it came from.  False if memory
 * is short. */
static bool
front_take(struct session *s, const struct proxy_header *h)
{
	struct front *front = s->front;

	copy_text(front->tls, h->tls_version);
	queue_fini(&s->neg->unread[LEG_CLIENT]);
	if (h->source.len == 0)
		return true;
	front->meant = h->destination;
	s->neg->n.leg[LEG_CLIENT].local = false;
	return session_keep_address(&s->client, &h->source);
}

/* The client may now be judged as on any other endpoint. */
static void
front_whole(struct session *s, const struct proxy_header *h)
{
	struct limits *limits = s->worker->proxy->limits;
	enum reason reason = s->front->admitted;
	const char *detail = s->front->detail;
	struct address client;

	if (!front_take(s, h)) {
		session_drop(s, REASON_INTERNAL, "out of memory");
		return;
	}
	client = session_address(s->client);
	if (reason == REASON_NONE) {
		reason =
		    limits_announced(limits, s->endpoint, &client, &detail);
		s->named = reason == REASON_NONE;
	}
	if (reason == REASON_NOT_ALLOWED) {
		session_drop(s, reason,
		    h->source.len > 0
			? "the address in the PROXY header is denied, or not "
			  "allowed"
			: "the PROXY header names nobody, and the load "
			  "balancer's own address is denied, or not allowed");
		return;
	}
	s->leg[LEG_CLIENT].events = &session_negotiating;
	leg_want_read(&s->leg[LEG_CLIENT], false);
	session_enter(s, SESSION_NEW);
	session_begin(s, reason, reason == REASON_NONE ? NULL : detail);
}

/* A probe that connects and leaves is none of the log's business. */
static void
front_ended(struct session *s)
{
	if (s->leg[LEG_CLIENT].error != 0)
		session_drop(s, REASON_CLIENT_RESET,
		    strerror(s->leg[LEG_CLIENT].error));
	else if (s->neg->unread[LEG_CLIENT].len == 0)
		session_drop(s, REASON_CLIENT_CLOSED, NULL);
	else
		session_drop(s, REASON_PROTOCOL,
		    "the connection ended within its PROXY header");
}

static void
front_bad(struct session *s, const char *why)
{
	char detail[FRONT_DETAIL_MAX];

	(void)snprintf(detail, sizeof(detail),
	    "the connection came from a load balancer, and %s; see "
	    "proxy_protocol.accept",
	    why);
	session_drop(s, REASON_PROTOCOL, detail);
}

static void
front_readable(struct leg *leg, void *arg)
{
	struct session *s = arg;
	struct proxy_header h;
	struct proxy_answer answer;
	bool ended;

	(void)leg;
	answer = front_read(s, &h, &ended);
	switch (answer.result) {
	case PROXY_WHOLE:
		front_whole(s, &h);
		return;
	case PROXY_MORE:
		if (ended)
			front_ended(s);
		return;
	case PROXY_BAD:
		break;
	}
	front_bad(s, answer.why);
}

/* Nothing is sent by then. */
static void
front_flushed(struct leg *leg, void *arg)
{
	(void)leg;
	(void)arg;
}

static void
front_failed(struct leg *leg, void *arg)
{
	(void)leg;
	front_ended(arg);
}

/* Where the client was going, as far as anybody knows. */
static const struct address *
client_meant(const struct session *s, struct address *to)
{
	if (s->front != NULL && s->front->meant.len > 0)
		return &s->front->meant;
	if (s->endpoint->transparent != TRANSPARENT_OFF) {
		*to = session_address(s->address);
		return to;
	}
	return leg_local_address(&s->leg[LEG_CLIENT], to) ? to : NULL;
}

static void
tell_tls(struct proxy_facts *f, const struct leg *client)
{
	const struct cert_verdict *v;

	if (client->state != LEG_SECURED)
		return;
	v = tls_verdict(client->tls);
	f->tls_version = tls_version(client->tls);
	f->alpn = tls_alpn(client->tls);
	f->authority = tls_sni(client->tls);
	f->verified = v->accepted && v->verified >= VERIFIED_CA;
	f->resumed = tls_resumed(client->tls);
}

bool
session_send_header(struct session *s)
{
	uint8_t bytes[PROXY_HEADER_OUT_MAX];
	struct wr w = { .base = bytes, .cap = sizeof(bytes) };
	struct address client = session_address(s->client), to;
	struct proxy_facts facts = { .source = &client };

	if (s->endpoint->proxy_send == PROXY_SEND_OFF)
		return true;
	facts.destination = client_meant(s, &to);
	tell_tls(&facts, &s->leg[LEG_CLIENT]);
	proxy_header_write(&w, &facts);
	return leg_send(&s->leg[LEG_SERVER], bytes, w.len);
}
