#include "tests/loop/scenario.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#define SSL_REQUEST_LEN  (sizeof(SSL_REQUEST) - 1)
#define RECORD_ALERT     0x15
#define RECORD_HANDSHAKE 0x16

/* A scenario as it is played. */
struct play {
	const struct scenario *s;
	struct world *world;
	struct fake fake;
	unsigned endpoint;
	struct actor client;
	unsigned failures;
};

static void
expect(struct play *p, bool held, const char *what, const char *detail)
{
	CU_ASSERT_TRUE(held);
	if (held)
		return;
	if (p->failures++ == 0)
		fprintf(stderr, "\n  %s:\n", p->s->name);
	fprintf(stderr, "    %s%s%s\n", what, detail != NULL ? ": " : "",
	    detail != NULL ? detail : "");
}

static size_t
message_len(const uint8_t *at)
{
	return (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 |
	    at[4];
}

const char *
error_field(const struct bytes *got, char field)
{
	const uint8_t *at = got->at, *end = got->at + got->len;
	const char *f;
	size_t len;

	for (; end - at > 5; at += 1 + len) {
		len = message_len(at);
		if (len < 4 || (size_t)(end - at) < 1 + len)
			return NULL;
		if (at[0] != 'E')
			continue;
		for (f = (const char *)at + 5; *f != '\0'; f += strlen(f) + 1) {
			if (*f == field)
				return f + 1;
		}
	}
	return NULL;
}

static const struct bytes *
client_got(const struct play *p)
{
	return p->client.sealed.len > 0 ? &p->client.sealed : &p->client.clear;
}

static const char *
ending_name(enum ending ending)
{
	switch (ending) {
	case ENDING_NONE:
		return "by itself";
	case ENDING_FIN:
		return "with a FIN";
	case ENDING_BYE:
		return "with close_notify";
	case ENDING_RESET:
		return "with a reset";
	case ENDING_FAILED:
		return "with a failure of TLS";
	case ENDING_HUNG:
		return "not at all";
	}
	return "?";
}

static void
check_client(struct play *p)
{
	const struct scenario *s = p->s;
	const struct bytes *got = client_got(p);
	const char *state = error_field(got, 'C');
	const char *text = error_field(got, 'M');

	if (s->sqlstate == NULL && s->gets == NULL)
		expect(p, state == NULL, "the client got an error", text);
	else if (s->sqlstate != NULL && state == NULL)
		expect(p, false, "the client got no error", NULL);
	else if (s->sqlstate != NULL)
		expect(p, strcmp(state, s->sqlstate) == 0,
		    "the client got another SQLSTATE", state);
	if (s->says != NULL && text != NULL)
		expect(p, strstr(text, s->says) != NULL,
		    "the client was told something else", text);
	if (s->gets != NULL)
		expect(p, bytes_have(got, s->gets, s->gets_len),
		    "the client did not get what it should", NULL);
	if (s->never != NULL)
		expect(p, !bytes_have(got, s->never, strlen(s->never)),
		    "the client got what it never should", s->never);
	expect(p, p->client.ending != ENDING_HUNG, "the client hung", NULL);
	if (s->ends != ENDING_NONE)
		expect(p, p->client.ending == s->ends,
		    "the client's connection ended otherwise",
		    ending_name(p->client.ending));
}

/* TLS records or nothing, after nothing or an SSLRequest, to the letter. */
static void
check_clear(struct play *p, const struct bytes *clear)
{
	const uint8_t *at = clear->at;
	size_t left = clear->len, front = p->s->front_len;
	bool told =
	    front > 0 && left >= front && memcmp(at, p->s->front, front) == 0;

	expect(p, !bytes_have(clear, CANARY, strlen(CANARY)),
	    "the server saw the canary in the clear", NULL);
	if (front > 0) {
		expect(p, told, "the server was not told for whom", NULL);
		at += told ? front : 0;
		left -= told ? front : 0;
	}
	if (left >= SSL_REQUEST_LEN &&
	    memcmp(at, SSL_REQUEST, SSL_REQUEST_LEN) == 0) {
		at += SSL_REQUEST_LEN;
		left -= SSL_REQUEST_LEN;
	}
	expect(p, left == 0 || *at == RECORD_HANDSHAKE || *at == RECORD_ALERT,
	    "the server saw what is neither an SSLRequest nor TLS", NULL);
}

static void
check_server(struct play *p)
{
	const struct scenario *s = p->s;
	struct fake *f = &p->fake;
	const struct bytes *seen = s->plain ? &f->clear : &f->sealed;

	if (!s->plain)
		check_clear(p, &f->clear);
	if (s->sees == NULL && (!s->plain || s->sqlstate != NULL))
		expect(p, seen->len == 0, "the server saw bytes in TLS", NULL);
	if (s->sees != NULL)
		expect(p, bytes_have(seen, s->sees, s->sees_len),
		    "the server did not see what it should", NULL);
	expect(p, f->ending != ENDING_HUNG, "the server hung", NULL);
	if (s->nobody)
		expect(p, world_visitors(f) == 0, "somebody came to the server",
		    NULL);
	if (s->server_ends != ENDING_NONE)
		expect(p, f->ending == s->server_ends,
		    "the server's connection ended otherwise",
		    ending_name(f->ending));
}

static void
check_log(struct play *p)
{
	const struct scenario *s = p->s;
	char endpoint[80], event[64] = "", reason[64];
	const char *any[] = { endpoint, event, NULL };
	const char *wanted[] = { endpoint, event, reason, s->detail, NULL };
	unsigned ends;

	(void)snprintf(endpoint, sizeof(endpoint), " endpoint=%s ", s->name);
	if (s->event != NULL) {
		(void)snprintf(event, sizeof(event), "event=%s ", s->event);
		(void)snprintf(reason, sizeof(reason), " reason=%s", s->reason);
		if (!world_logged(p->world, wanted)) {
			expect(p, false, "not in the log",
			    s->detail != NULL ? s->detail : s->reason);
			world_print_log(p->world, endpoint);
		}
	}
	(void)snprintf(event, sizeof(event), "event=session.refused ");
	ends = world_count_logged(p->world, any);
	(void)snprintf(event, sizeof(event), "event=session.close ");
	ends += world_count_logged(p->world, any);
	expect(p, ends == (s->event != NULL),
	    "not as many sessions ended as there were", NULL);
	(void)snprintf(event, sizeof(event), "event=session.open ");
	expect(p, world_count_logged(p->world, any) <= 1,
	    "a session was opened more than once", NULL);
}

static bool
fake_is_idle(const void *arg)
{
	/* The lock in it is not part of what it is. */
	return fake_idle((struct fake *)(uintptr_t)arg);
}

static void
play(struct play *p)
{
	p->client.fd = world_connect(p->world, p->endpoint);
	p->client.ctx = client_context(p->s->client_cert);
	p->client.alpn = p->s->alpn;
	p->client.arg = p;
	actor_play(&p->client, p->s->client);
	check_log(p);
	expect(p, world_settles(p->world), "something is left", NULL);
	expect(p, wait_until(fake_is_idle, &p->fake),
	    "the server's connection did not end", NULL);
	check_client(p);
	check_server(p);
	SSL_CTX_free(p->client.ctx);
	actor_fini(&p->client);
}

static void
prepare(struct play *p, struct world *w, const struct scenario *s)
{
	SSL_CTX *ctx = s->cert != NULL ? server_context(s->cert) : NULL;
	char server[32];

	if (s->max_version != 0)
		SSL_CTX_set_max_proto_version(ctx, s->max_version);
	p->s = s;
	p->world = w;
	fake_init(&p->fake, s->server, ctx);
	p->fake.arg = p;
	(void)snprintf(server, sizeof(server), "\"127.0.0.1:%u\"",
	    (unsigned)p->fake.port);
	p->endpoint =
	    world_add_server(w, s->engine != NULL ? s->engine : "postgres",
		s->name, server, s->settings);
	w->ops[p->endpoint] = s->ops;
}

void
scenarios_play(const struct scenario *list, size_t n)
{
	struct play *plays = calloc(n, sizeof(*plays));
	struct world w;
	size_t i;

	assert(plays != NULL);
	world_init(&w);
	for (i = 0; i < n; i++) {
		prepare(&plays[i], &w, &list[i]);
		fake_start(&plays[i].fake, 1);
	}
	world_start(&w);
	for (i = 0; i < n; i++)
		play(&plays[i]);
	world_fini(&w);
	for (i = 0; i < n; i++)
		fake_fini(&plays[i].fake);
	free(plays);
}
