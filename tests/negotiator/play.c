#include "tests/negotiator/play.h"

#include <stdlib.h>
#include <string.h>

#include "tests/negotiator/notation.h"

/* Bytes in a row, however many. */
struct row {
	uint8_t *at;
	size_t len;
	size_t room;
};

enum play_state {
	PLAY_NEGOTIATING = 0,
	PLAY_RELAYING,
	PLAY_DELIVERING,
	PLAY_REFUSING,
	PLAY_CLOSED,
};

struct play {
	struct play_setup setup;
	struct negotiator n;
	FILE *log;
	enum play_state state;
	unsigned waiting;
	bool broken;

	struct row arriving[LEG_COUNT]; /* not received yet */
	struct row unread[LEG_COUNT];
	struct row said[LEG_COUNT]; /* sent to a leg and not written down yet */
	size_t records[LEG_COUNT];  /* the same, of what TLS was left */
	bool may_stop[LEG_COUNT];   /* its TLS */
	char *text, *hint;          /* of play_refuse() */
	bool asked;                 /* the server was sent a preamble */
	bool spoken;                /* the client has said something */
	bool dialling;              /* and it had not before */
	uint64_t passing[LEG_COUNT];             /* of a unit that is watched */
	uint8_t before[LEG_COUNT][NEG_HEAD_MAX]; /* its head */
	size_t nbefore[LEG_COUNT];
	size_t taking[LEG_COUNT]; /* of a unit that is to be rewritten */
	struct neg_member list[PLAY_MEMBERS_MAX];
	struct neg_members members;
};

static const char *const leg_names[LEG_COUNT] = { "client", "server" };

/* A test that cannot have its memory has no result. */
static void *
must(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

static void
row_append(struct row *r, const void *bytes, size_t n)
{
	if (n == 0)
		return;
	if (r->len + n > r->room) {
		r->room = 2 * (r->len + n);
		r->at = must(realloc(r->at, r->room));
	}
	memcpy(r->at + r->len, bytes, n);
	r->len += n;
}

static void
row_drop(struct row *r, size_t n)
{
	if (n == 0)
		return;
	r->len -= n;
	memmove(r->at, r->at + n, r->len);
}

static void
row_empty(struct row *r)
{
	free(r->at);
	*r = (struct row){ .at = NULL };
}

static void
promise(struct play *p, bool kept, const char *what)
{
	if (kept)
		return;
	p->broken = true;
	fprintf(p->log, "BROKEN: %s\n", what);
}

static void
log_bytes(struct play *p, const char *event, const uint8_t *bytes, size_t n)
{
	fprintf(p->log, "%s ", event);
	notation_write(p->log, bytes, n);
	fputc('\n', p->log);
}

/* What was sent comes before the event that follows it, and to the server
 * first, as a session does it. */
static void
log_said(struct play *p)
{
	if (p->said[LEG_SERVER].len > 0)
		log_bytes(p, "to server", p->said[LEG_SERVER].at,
		    p->said[LEG_SERVER].len);
	if (p->said[LEG_CLIENT].len > 0)
		log_bytes(p, "to client", p->said[LEG_CLIENT].at,
		    p->said[LEG_CLIENT].len);
	row_empty(&p->said[LEG_CLIENT]);
	row_empty(&p->said[LEG_SERVER]);
}

static void
log_records(struct play *p)
{
	size_t i;

	for (i = 0; i < LEG_COUNT; i++) {
		if (p->records[i] > 0)
			fprintf(p->log, "records %s %zu\n", leg_names[i],
			    p->records[i]);
		p->records[i] = 0;
	}
}

static void
log_waiting(struct play *p)
{
	static const char *const whom[] = {
		[0] = "nobody",
		[FROM_CLIENT] = "client",
		[FROM_SERVER] = "server",
		[FROM_CLIENT | FROM_SERVER] = "both",
	};

	if (p->state == PLAY_NEGOTIATING || p->state == PLAY_REFUSING)
		fprintf(p->log, "reads %s\n", whom[p->waiting]);
}

/* The end of all that follows from one event. */
static void
log_rest(struct play *p)
{
	log_said(p);
	log_records(p);
	log_waiting(p);
}

/* The only bytes that may ever go to a server in clear where TLS is demanded,
 * written down a second time on purpose: PostgreSQL's ... */
static bool
is_postgres_request(const uint8_t *bytes, size_t n)
{
	return n == 8 && memcmp(bytes, "\0\0\0\x08\x04\xd2\x16\x2f", n) == 0;
}

/* ... and of TDS one packet, a PRELOGIN that demands encryption. */
static bool
is_prelogin(const uint8_t *bytes, size_t n)
{
	const uint8_t *body = bytes + 8, *o;

	if (n < 9 || n > 4096 || bytes[0] != 0x12 || bytes[1] != 1 ||
	    n != (size_t)(bytes[2] << 8 | bytes[3]))
		return false;
	for (o = body; o + 5 < bytes + n && *o != 0xff; o += 5) {
		size_t at = (size_t)(o[1] << 8 | o[2]);

		if (*o == 1 && at < n - 8)
			return body[at] == 1;
	}
	return false;
}

/* Of what it says besides, nothing can be more than the client's head. */
static bool
is_mysql_request(const uint8_t *bytes, size_t n)
{
	static const uint8_t zero[19];

	return n == 36 && memcmp(bytes, "\x20\0\0\x01", 4) == 0 &&
	    (bytes[5] & 0x08) != 0 && memcmp(bytes + 13, zero, 19) == 0;
}

static bool
is_x_request(const uint8_t *bytes, size_t n)
{
	return n == 24 &&
	    memcmp(bytes,
		"\x14\0\0\0\x02\x0a\x11\x0a\x0f\x0a\x03tls\x12\x08\x08"
		"\x01\x12\x04\x08\x07\x40\x01",
		n) == 0;
}

static bool
is_preamble(const struct play *p, const uint8_t *bytes, size_t n)
{
	const struct neg_ops *ops = p->setup.ops;

	if (ops == &neg_mysql || ops == &neg_mariadb)
		return is_mysql_request(bytes, n);
	if (ops == &neg_mysqlx)
		return is_x_request(bytes, n);
	if (ops == &neg_sqlserver)
		return is_prelogin(bytes, n);
	return is_postgres_request(bytes, n);
}

static void
watch_server_output(struct play *p, const uint8_t *bytes, size_t n)
{
	if (n == 0)
		return;
	promise(p, p->n.connected, "wrote to no server");
	promise(p, p->state == PLAY_NEGOTIATING, "wrote while refusing");
	if (p->setup.policy.server == SERVER_TLS_NEVER ||
	    p->n.leg[LEG_SERVER].tls_up)
		return;
	promise(p, p->setup.policy.server == SERVER_TLS_REQUIRED,
	    "wrote before the ClientHello");
	promise(p, is_preamble(p, bytes, n), "wrote more than the preamble");
	promise(p, !p->asked, "wrote the preamble twice");
	p->asked = true;
}

static void
send_out(struct play *p)
{
	size_t i;

	watch_server_output(p, p->n.out[LEG_SERVER].base,
	    p->n.out[LEG_SERVER].len);
	for (i = 0; i < LEG_COUNT; i++) {
		struct wr *out = &p->n.out[i];

		row_append(&p->said[i], out->base, out->len);
		promise(p, !out->full, "wrote more than there was room for");
		out->len = 0;
	}
}

/* Each step has its bytes in memory of their own, to the byte, so that a
 * sanitizer sees what a larger buffer would hide.  For the few messages that
 * are longer than this it would take longer than it is worth. */
#define EXACT_MAX 16384

static uint8_t *
exact_copy(const struct row *r)
{
	uint8_t *copy;

	if (r->len == 0 || r->len > EXACT_MAX)
		return NULL;
	copy = must(malloc(r->len));
	memcpy(copy, r->at, r->len);
	return copy;
}

static struct verdict
step(struct play *p)
{
	uint8_t *copies[LEG_COUNT];
	size_t had[LEG_COUNT], i;
	struct verdict v;

	for (i = 0; i < LEG_COUNT; i++) {
		const struct row *unread = &p->unread[i];

		copies[i] = exact_copy(unread);
		had[i] = unread->len;
		p->n.in[i] = (struct rd){
			.at = copies[i] != NULL ? copies[i] : unread->at,
			.left = had[i],
		};
	}
	v = p->state == PLAY_REFUSING ? neg_refuse(&p->n) : neg_step(&p->n);
	send_out(p);
	for (i = 0; i < LEG_COUNT; i++) {
		promise(p, p->n.in[i].left <= had[i], "unread grew");
		row_drop(&p->unread[i], had[i] - p->n.in[i].left);
		free(copies[i]);
		p->n.in[i] = (struct rd){ .at = NULL };
	}
	promise(p, p->n.ops->where(&p->n) != NULL, "is nowhere");
	return v;
}

/* Nothing of the old server's is left, nor does it count for the new one. */
static bool
carry_out_redirect(struct play *p)
{
	const struct neg_route *route = &p->n.route;

	fprintf(p->log, "connect to %.*s:%u\n", (int)route->redirect_host.left,
	    (const char *)route->redirect_host.at, route->redirect_port);
	promise(p, p->n.ops->redirects != NULL, "follows a server");
	row_empty(&p->unread[LEG_SERVER]);
	row_empty(&p->arriving[LEG_SERVER]);
	p->n.leg[LEG_SERVER] = (struct neg_facts){
		.local = p->setup.local[LEG_SERVER],
	};
	p->asked = false;
	p->n.connected = p->setup.fails != PLAY_FAILS_REDIRECT;
	return p->n.connected;
}

static bool
carry_out_connect(struct play *p)
{
	const struct rd *cancel = &p->n.route.cancel;

	if (p->n.connected && p->n.route.redirect_host.left > 0)
		return carry_out_redirect(p);
	if (cancel->left > 0)
		log_bytes(p, "connect for", cancel->at, cancel->left);
	else if (p->n.route.delay_ms > 0)
		fprintf(p->log, "connect after %u\n", p->n.route.delay_ms);
	else
		fputs("connect\n", p->log);
	promise(p, !p->n.connected, "connected twice");
	p->dialling = p->setup.fails == PLAY_FAILS_CONNECT && !p->spoken;
	p->n.connected = p->setup.fails != PLAY_FAILS_CONNECT;
	if (p->n.connected && p->setup.host[0] != '\0')
		p->n.server_host = p->setup.host;
	return p->n.connected;
}

static void
log_tls(struct play *p, const struct verdict *v)
{
	static const char *const rules[] = {
		[NEG_ALPN_NONE] = "",
		[NEG_ALPN_IF_OFFERED] = " if-offered",
		[NEG_ALPN_REQUIRED] = " required",
	};

	fprintf(p->log, "tls %s%s%s%s%s%s%s", leg_names[v->leg],
	    v->tls->alpn == NULL ? "" : " ",
	    v->tls->alpn == NULL ? "" : v->tls->alpn, rules[v->tls->alpn_rule],
	    v->tls->wrap != NULL ? " wrapped" : "",
	    v->tls->may_stop ? " may-stop" : "", v->tls->anew ? " anew" : "");
	if (v->leg == LEG_SERVER && p->n.sni != NULL)
		fprintf(p->log, " sni %s", p->n.sni);
	fputc('\n', p->log);
}

static bool
tls_fails(const struct play *p, const struct verdict *v)
{
	if (v->tls->anew)
		return p->setup.fails == PLAY_FAILS_ANEW;
	return p->setup.fails ==
	    (v->leg == LEG_CLIENT ? PLAY_FAILS_CLIENT_TLS
				  : PLAY_FAILS_SERVER_TLS);
}

/* All that has come of the leg so far is taken for TLS records, and a play has
 * no TLS: they are gone. */
static bool
carry_out_tls(struct play *p, const struct verdict *v)
{
	static const uint8_t unknown[NEG_DIGEST_LEN];
	struct neg_facts *facts = &p->n.leg[v->leg];

	log_tls(p, v);
	promise(p, facts->tls_up == v->tls->anew, "TLS twice");
	promise(p, v->leg == LEG_CLIENT || p->state == PLAY_NEGOTIATING,
	    "TLS with a server while refusing");
	p->records[v->leg] += p->unread[v->leg].len + p->arriving[v->leg].len;
	row_empty(&p->unread[v->leg]);
	row_empty(&p->arriving[v->leg]);
	if (tls_fails(p, v))
		return false;
	facts->tls_up = true;
	p->may_stop[v->leg] = v->tls->may_stop;
	memcpy(facts->leaf, p->setup.leaf[v->leg], sizeof(facts->leaf));
	facts->leaf_known = memcmp(facts->leaf, unknown, sizeof(unknown)) != 0;
	return true;
}

static void
watch_relay(struct play *p)
{
	const struct neg_policy *policy = &p->setup.policy;

	promise(p, p->n.connected, "a relay to nobody");
	promise(p,
	    policy->client != CLIENT_TLS_REQUIRE || p->n.leg[LEG_CLIENT].tls_up,
	    "a relay with a client without TLS");
	promise(p,
	    policy->server == SERVER_TLS_NEVER || p->n.leg[LEG_SERVER].tls_up,
	    "a relay with a server without TLS");
}

static void
carry_out_relay(struct play *p)
{
	const struct neg_key *key = &p->n.key;

	watch_relay(p);
	if (key->len > 0)
		log_bytes(p, "relay, key", key->bytes, key->len);
	else if (p->n.units[LEG_CLIENT] != NULL)
		fputs("relay, watching client\n", p->log);
	else if (p->n.units[LEG_SERVER] != NULL)
		fputs("relay, watching server\n", p->log);
	else
		fputs("relay\n", p->log);
	promise(p,
	    p->n.units[LEG_CLIENT] == NULL || p->n.units[LEG_SERVER] == NULL,
	    "watches both");
	p->passing[LEG_CLIENT] = p->passing[LEG_SERVER] = 0;
	p->taking[LEG_CLIENT] = p->taking[LEG_SERVER] = 0;
	p->nbefore[LEG_CLIENT] = p->nbefore[LEG_SERVER] = 0;
	p->state = PLAY_RELAYING;
}

static void
watch_delivery(struct play *p)
{
	promise(p,
	    p->setup.policy.server == SERVER_TLS_NEVER ||
		p->n.leg[LEG_SERVER].tls_up,
	    "a delivery to a server without TLS");
	promise(p, p->n.route.cancel.left > 0, "a delivery of no cancel");
}

static void
carry_out_end(struct play *p)
{
	const struct neg_error *error = &p->n.error;

	if (p->state == PLAY_REFUSING) {
		fputs("closed\n", p->log);
		p->state = PLAY_CLOSED;
		return;
	}
	fprintf(p->log, "end %s %s: %s%s%s\n", reason_name(error->reason),
	    leg_names[error->leg], error->text, error->hint ? "; " : "",
	    error->hint ? error->hint : "");
	promise(p, error->reason != REASON_INTERNAL, "is at fault");
	p->state = PLAY_REFUSING;
}

/* What a session says where TLS is to begin anew and something of the old is
 * still to come.  It is what the negotiator says who has it all before him: the
 * same happens, however the bytes were sliced. */
static void
spoil_renewal(struct play *p, struct verdict *v)
{
	if (v->kind != V_START_TLS || !v->tls->anew ||
	    p->arriving[v->leg].len == 0)
		return;
	*v = neg_end(&p->n, REASON_PROTOCOL, LEG_SERVER,
	    "server went on after it had asked for TLS anew",
	    "somebody may be tampering with the connection");
}

/* True: it is to be asked again. */
static bool
carry_out(struct play *p, struct verdict *v)
{
	p->waiting = v->kind == V_READ ? v->from : 0;
	if (v->kind == V_READ)
		return false;
	spoil_renewal(p, v);
	/* What was on its way to the server when it ends may have been held
	 * back, if it came in the same slice as what ended it. */
	if (v->kind == V_END)
		row_empty(&p->said[LEG_SERVER]);
	log_said(p);
	switch (v->kind) {
	case V_READ:
	case V_NEXT:
		abort();
	case V_CONNECT:
		return carry_out_connect(p);
	case V_START_TLS:
		return carry_out_tls(p, v);
	case V_STOP_TLS:
		fprintf(p->log, "clear %s\n", leg_names[v->leg]);
		p->n.leg[v->leg].tls_up = false;
		p->may_stop[v->leg] = false;
		return true;
	case V_RELAY:
		carry_out_relay(p);
		return false;
	case V_DELIVER:
		watch_delivery(p);
		fputs("deliver\n", p->log);
		p->state = PLAY_DELIVERING;
		return false;
	case V_END:
		carry_out_end(p);
		return p->state == PLAY_REFUSING;
	}
	abort();
}

static void
advance(struct play *p)
{
	struct verdict v;

	do {
		v = step(p);
	} while (carry_out(p, &v));
}

static size_t
least(uint64_t a, size_t b)
{
	return a < b ? (size_t)a : b;
}

static void
relay_bytes(struct play *p, enum leg_id from, size_t n)
{
	row_append(&p->said[leg_other(from)], p->unread[from].at, n);
	row_drop(&p->unread[from], n);
}

static void
begin_unit(struct play *p, enum leg_id from, enum unit_act act, uint64_t len)
{
	const struct neg_units *u = p->n.units[from];

	memcpy(p->before[from], p->unread[from].at, u->head);
	p->nbefore[from] = u->head;
	if (act == UNIT_PASS) {
		p->passing[from] = len;
		return;
	}
	promise(p, u->rewrite != NULL, "takes what it does not rewrite");
	promise(p, len <= NEG_UNIT_MAX, "takes a unit that is too long");
	p->taking[from] = (size_t)len;
}

/* In memory of their own, to the byte, both what it reads and what it may
 * write. */
static void
rewrite_unit(struct play *p, enum leg_id from, size_t len)
{
	struct wr out = { .cap = NEG_REWRITE_MAX };
	struct rd unit = { .left = len };
	uint8_t *copy = must(malloc(len));

	out.base = must(malloc(out.cap));
	memcpy(copy, p->unread[from].at, len);
	unit.at = copy;
	if (p->n.units[from]->rewrite(&p->n, unit, &out)) {
		promise(p, !out.full, "rewrote more than there was room for");
		row_append(&p->said[leg_other(from)], out.base, out.len);
		row_drop(&p->unread[from], len);
	} else {
		relay_bytes(p, from, len);
	}
	free(copy);
	free(out.base);
}

/* False if it is not there whole. */
static bool
take_unit(struct play *p, enum leg_id from)
{
	const size_t len = p->taking[from];

	if (p->unread[from].len < len)
		return false;
	p->taking[from] = 0;
	rewrite_unit(p, from, len);
	return true;
}

static enum unit_act
judged(const struct neg_units *u, struct rd before, struct rd look)
{
	return u->judge == NULL ? UNIT_PASS : u->judge(before, look);
}

/* The unit that the unread bytes begin with; false if it cannot be judged, or
 * neither passes nor is rewritten. */
static bool
judge_unit(struct play *p, enum leg_id from)
{
	enum unit_act act = UNIT_WAKE;
	const struct neg_units *u = p->n.units[from];
	const struct row *r = &p->unread[from];
	struct rd look = { .at = r->at, .left = r->len };
	struct rd before = { .at = p->before[from], .left = p->nbefore[from] };
	uint64_t len;

	if (r->len < u->head)
		return false;
	look.left = u->head;
	len = u->length(look);
	look.left = least(len, u->peek);
	if (len >= u->head && r->len < look.left)
		return false;
	if (len >= u->head && (act = judged(u, before, look)) != UNIT_WAKE) {
		begin_unit(p, from, act, len);
		return true;
	}
	log_said(p);
	fprintf(p->log, "%s by %s\n", len < u->head ? "broken" : "woken",
	    leg_names[from]);
	p->state = len < u->head ? PLAY_CLOSED : PLAY_NEGOTIATING;
	return false;
}

/* As much of what is unread as may pass. */
static void
relay_units(struct play *p, enum leg_id from)
{
	struct row *r = &p->unread[from];

	while (r->len > 0) {
		size_t n = least(p->passing[from], r->len);
		bool taking = p->taking[from] > 0;

		if (taking && !take_unit(p, from))
			return;
		if (!taking && n == 0 && !judge_unit(p, from))
			return;
		relay_bytes(p, from, n);
		p->passing[from] -= n;
	}
}

static bool receive(struct play *p, enum leg_id from);

/* True: something came, and it can go on. */
static bool
relay_leg(struct play *p, enum leg_id from)
{
	struct row *arriving = &p->arriving[from];

	if (p->n.units[from] == NULL) {
		row_append(&p->unread[from], arriving->at, arriving->len);
		row_empty(arriving);
		relay_bytes(p, from, p->unread[from].len);
		return false;
	}
	relay_units(p, from);
	return p->state == PLAY_RELAYING && receive(p, from);
}

/* Whoever is not watched first: what it has said goes on, whatever the bytes of
 * the other turn out to be.  True: it was woken, and is to be asked again. */
static bool
relay_all(struct play *p)
{
	const enum leg_id watched =
	    p->n.units[LEG_SERVER] != NULL ? LEG_SERVER : LEG_CLIENT;
	bool more = true;

	while (more && p->state == PLAY_RELAYING) {
		more = relay_leg(p, leg_other(watched));
		if (p->state == PLAY_RELAYING)
			more |= relay_leg(p, watched);
	}
	return p->state == PLAY_NEGOTIATING;
}

static void
pass_on(struct play *p, enum leg_id from)
{
	switch (p->state) {
	case PLAY_DELIVERING:
	case PLAY_CLOSED:
		row_empty(&p->unread[from]);
		row_empty(&p->arriving[from]);
		return;
	case PLAY_RELAYING:
	case PLAY_NEGOTIATING:
	case PLAY_REFUSING:
		break;
	}
	if (p->state == PLAY_REFUSING && from == LEG_SERVER)
		row_empty(&p->arriving[from]); /* there is no server any more */
}

/* A unit that is held may be longer than the window. */
static size_t
room_for(const struct play *p, enum leg_id from)
{
	const size_t window = p->n.ops->window, taking = p->taking[from];

	return (taking > window ? taking : window) - p->unread[from].len;
}

/* One slice of what is on its way; false if there is no more, or no room.
 * Where TLS may stop each byte is a record of its own. */
static bool
receive(struct play *p, enum leg_id from)
{
	struct row *arriving = &p->arriving[from];
	size_t n = room_for(p, from);

	if (p->setup.slice > 0 && n > p->setup.slice)
		n = p->setup.slice;
	if (p->may_stop[from] && n > 1)
		n = 1;
	if (n > arriving->len)
		n = arriving->len;
	if (n == 0)
		return false;
	row_append(&p->unread[from], arriving->at, n);
	row_drop(arriving, n);
	p->spoken |= from == LEG_CLIENT;
	return true;
}

static bool
is_listening(const struct play *p)
{
	return p->state == PLAY_NEGOTIATING || p->state == PLAY_REFUSING;
}

/* Only its first bytes are news. */
static bool
spoke_while_dialling(struct play *p)
{
	bool news = p->dialling && p->spoken;

	p->dialling = p->dialling && !news;
	return news;
}

static void
receive_all(struct play *p)
{
	size_t i;
	bool more;

	do {
		more = false;
		for (i = 0; i < LEG_COUNT && is_listening(p); i++) {
			if (!receive(p, (enum leg_id)i))
				continue;
			more = true;
			if (p->waiting & 1u << i || spoke_while_dialling(p))
				advance(p);
		}
		if (p->state == PLAY_RELAYING && relay_all(p)) {
			advance(p);
			more = true;
		}
		pass_on(p, LEG_CLIENT);
		pass_on(p, LEG_SERVER);
	} while (more && p->state != PLAY_CLOSED);
}

/* A window that is full, and it still waits for more. */
static void
watch_window(struct play *p)
{
	size_t i;

	if (!is_listening(p))
		return;
	for (i = 0; i < LEG_COUNT; i++)
		promise(p,
		    !(p->waiting & 1u << i) ||
			p->unread[i].len < p->n.ops->window,
		    "a message longer than the window");
}

static void
set_members(struct play *p)
{
	const struct play_setup *setup = &p->setup;
	size_t i;

	for (i = 0; i < setup->nmembers; i++)
		p->list[i] = (struct neg_member){
			.host = setup->members[i].host,
			.port = setup->members[i].port,
			.listen = setup->members[i].listen,
		};
	p->members = (struct neg_members){ .list = p->list, .n = i };
	p->n.members = i > 0 ? &p->members : NULL;
	p->n.member = setup->own;
}

struct play *
play_new(const struct play_setup *setup, FILE *log)
{
	struct play *p = must(calloc(1, sizeof(*p)));
	size_t i;

	p->setup = *setup;
	p->log = log;
	p->n.ops = setup->ops;
	p->n.policy = &p->setup.policy;
	if (setup->ops->options != NULL)
		p->n.options = &p->setup.options;
	p->n.services = setup->no_services ? NULL : &play_services;
	p->n.state = must(calloc(1, setup->ops->state_size + 1));
	set_members(p);
	p->n.leg[LEG_CLIENT].local = setup->local[LEG_CLIENT];
	p->n.leg[LEG_SERVER].local = setup->local[LEG_SERVER];
	for (i = 0; i < LEG_COUNT; i++) {
		p->n.out[i].cap = NEG_OUT_CAP(setup->ops);
		p->n.out[i].base = must(malloc(p->n.out[i].cap));
	}
	return p;
}

void
play_free(struct play *p)
{
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < LEG_COUNT; i++) {
		free(p->n.out[i].base);
		row_empty(&p->arriving[i]);
		row_empty(&p->unread[i]);
		row_empty(&p->said[i]);
	}
	free(p->text);
	free(p->hint);
	free(p->n.state);
	free(p);
}

void
play_early(struct play *p, const void *bytes, size_t n)
{
	row_append(&p->unread[LEG_CLIENT], bytes, n);
	p->spoken = true;
}

void
play_start(struct play *p)
{
	advance(p);
	receive_all(p);
	log_rest(p);
}

void
play_bytes(struct play *p, enum leg_id from, const void *bytes, size_t n)
{
	row_append(&p->arriving[from], bytes, n);
	receive_all(p);
	watch_window(p);
	log_rest(p);
}

void
play_refuse(struct play *p, const struct neg_error *why)
{
	if (p->state != PLAY_NEGOTIATING)
		return;
	p->text = must(strdup(why->text));
	p->hint = why->hint != NULL ? must(strdup(why->hint)) : NULL;
	p->n.error = *why;
	p->n.error.text = p->text;
	p->n.error.hint = p->hint;
	p->state = PLAY_REFUSING;
	advance(p);
	receive_all(p);
	log_rest(p);
}

void
play_replay(struct play *p)
{
	struct row message = { .at = NULL };

	if (p->state != PLAY_DELIVERING)
		return;
	row_append(&message, p->n.route.cancel.at, p->n.route.cancel.left);
	memset(p->n.state, 0, p->n.ops->state_size);
	p->n.connected = false;
	p->n.leg[LEG_SERVER] = (struct neg_facts){
		.local = p->setup.local[LEG_SERVER],
	};
	p->n.route = (struct neg_route){ .cancel = { .left = 0 } };
	p->asked = false;
	p->state = PLAY_NEGOTIATING;
	row_append(&p->unread[LEG_CLIENT], message.at, message.len);
	row_empty(&message);
	advance(p);
	log_rest(p);
}

bool
play_holds(const struct play *p, struct rd bytes)
{
	return memmem(p->n.state, p->n.ops->state_size, bytes.at, bytes.left) !=
	    NULL;
}

const struct neg_names *
play_names(const struct play *p)
{
	return &p->n.names;
}

const char *
play_where(const struct play *p)
{
	return p->n.ops->where(&p->n);
}

bool
play_is_broken(const struct play *p)
{
	return p->broken;
}
