#include <string.h>

#include "protocols/tds_private.h"
#include "protocols/tds_reply.h"

/* Who hosts many servers behind one address tells them apart by the name that
 * the client dialled, and it dialled ours. */
#define ROUTES_BY_NAME ".database.windows.net"

/*
 * LOGIN7.
 */

static struct verdict
login_unasked(struct negotiator *n)
{
	if (neg_rule_met(n, LEG_CLIENT))
		return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT,
		    "client agreed to TLS and logs in without",
		    "look for what stands between here and the client");
	return neg_end(n, REASON_CLIENT_TLS, LEG_CLIENT,
	    "client does not use TLS, which this listener demands",
	    "turn on encryption in the client (Encrypt=mandatory, "
	    "encrypt=true, ssl=require)");
}

static struct verdict
login_heard(struct negotiator *n)
{
	struct tds *tds = n->state;
	struct rd login = { .at = tds->body, .left = tds->body_len };

	tds->login_heard = true;
	tds->version = tds_login_version(login);
	tds_login_names(login, &n->names);
	if (tds->refusing)
		return tds_tell(n);
	if (tds->at == AT_LOGIN_UNASKED)
		return login_unasked(n);
	return n->connected ? tds_send_login(n) : tds_connect(n);
}

/* A client whose TLS was for its log-in may still end it in due form. */
static bool
alert_has_begun(const struct negotiator *n)
{
	const struct tds *tds = n->state;
	struct rd r = n->in[LEG_CLIENT];

	return tds->stopped && rd_u8(&r) == NEG_RECORD_ALERT;
}

/* False if it is not there, or not all of it.  There is but one. */
static bool
take_alert(struct negotiator *n)
{
	struct tds *tds = n->state;
	struct rd r = n->in[LEG_CLIENT];

	rd_skip(&r, sizeof(uint8_t) + sizeof(uint16_t)); /* type, version */
	rd_skip(&r, rd_be16(&r));
	if (!alert_has_begun(n) || r.cut)
		return false;
	n->in[LEG_CLIENT] = r;
	tds->stopped = false;
	return true;
}

static bool
keep_login(struct tds *tds, struct rd payload)
{
	struct wr body = { .base = tds->body,
		.len = tds->body_len,
		.cap = TDS_LOGIN_MAX };

	wr_bytes(&body, payload.at, payload.left);
	tds->body_len = body.len;
	return !body.full;
}

static enum tds_arrival
look_at_login(struct rd r, struct tds_packet *packet)
{
	enum tds_arrival a = tds_look_at_packet(r, packet);

	return r.left > 0 && packet->type != TDS_LOGIN7 ? TDS_BAD : a;
}

struct verdict
tds_step_login(struct negotiator *n)
{
	struct tds *tds = n->state;
	struct tds_packet packet;

	if (alert_has_begun(n))
		return take_alert(n) ? neg_next() : neg_read(FROM_CLIENT);
	switch (look_at_login(n->in[LEG_CLIENT], &packet)) {
	case TDS_PART:
		return neg_read(FROM_CLIENT);
	case TDS_BAD:
		return tds_garbled(n, "client sent something else than LOGIN7");
	case TDS_WHOLE:
		break;
	}
	if (!keep_login(tds, packet.payload))
		return tds_garbled(n, "client sent a LOGIN7 that is too long");
	rd_skip(&n->in[LEG_CLIENT], packet.len);
	return packet.last ? login_heard(n) : neg_next();
}

/* The head and the payload are taken as they come: under TLS that stops, the
 * next record is not opened before all of the last has been. */
static void
take_sealed(struct negotiator *n, size_t upto)
{
	struct tds *tds = n->state;
	struct rd *in = &n->in[LEG_CLIENT];
	size_t missing = upto - tds->body_len;
	struct rd bytes = rd_take(in, missing < in->left ? missing : in->left);
	struct wr body = { .base = tds->body,
		.len = tds->body_len,
		.cap = sizeof(tds->body) };

	wr_bytes(&body, bytes.at, bytes.left);
	tds->body_len = body.len;
}

struct verdict
tds_step_login_sealed(struct negotiator *n)
{
	struct tds *tds = n->state;
	struct rd body = { .at = tds->body, .left = tds->body_len };
	struct tds_packet packet;

	switch (look_at_login(body, &packet)) {
	case TDS_PART:
		if (n->in[LEG_CLIENT].left == 0)
			return neg_read(FROM_CLIENT);
		take_sealed(n, body.left < TDS_HEAD ? TDS_HEAD : packet.len);
		return neg_next();
	case TDS_BAD:
		return tds_garbled(n, "client sent something else than LOGIN7");
	case TDS_WHOLE:
		break;
	}
	if (n->in[LEG_CLIENT].left > 0)
		return tds_garbled(n,
		    "client sealed more than the first packet of its LOGIN7, "
		    "having asked for TLS for that only");
	tds->at = AT_LOGIN_UNSEALED;
	return neg_stop_tls(LEG_CLIENT);
}

/* The first packet, without its head, is the beginning of the LOGIN7. */
struct verdict
tds_step_login_unsealed(struct negotiator *n)
{
	struct tds *tds = n->state;
	struct rd body = { .at = tds->body, .left = tds->body_len };
	struct tds_packet packet;

	(void)tds_look_at_packet(body, &packet);
	memmove(tds->body, packet.payload.at, packet.payload.left);
	tds->body_len = packet.payload.left;
	tds->stopped = true;
	tds->at = AT_LOGIN;
	return packet.last ? login_heard(n) : neg_next();
}

/*
 * To the server.
 */

#define CASE_BIT 0x20u /* what tells a letter's cases apart in ASCII */

static bool
same_letter(char c, char lower)
{
	return c == lower ||
	    (lower >= 'a' && lower <= 'z' &&
		((uint8_t)c | CASE_BIT) == (uint8_t)lower);
}

/* `end` is in lower case. */
static bool
ends_with(const char *name, const char *end)
{
	const size_t len = strlen(name), n = strlen(end);
	size_t i;

	if (len < n)
		return false;
	for (i = 0; i < n; i++) {
		if (!same_letter(name[len - n + i], end[i]))
			return false;
	}
	return true;
}

static enum tds_rewrite
rewrite_setting(const struct negotiator *n)
{
	const struct tds_options *options = n->options;

	return options == NULL ? TDS_REWRITE_AUTO
			       : (enum tds_rewrite)options->rewrite_server_name;
}

static bool
must_rename(const struct negotiator *n)
{
	if (n->server_host == NULL)
		return false;
	switch (rewrite_setting(n)) {
	case TDS_REWRITE_AUTO:
		return ends_with(n->server_host, ROUTES_BY_NAME);
	case TDS_REWRITE_OFF:
		return false;
	case TDS_REWRITE_ON:
		return true;
	}
	return false;
}

struct verdict
tds_send_login(struct negotiator *n)
{
	struct tds *tds = n->state;
	struct wr login = { .base = tds->body,
		.len = tds->body_len,
		.cap = sizeof(tds->body) };

	if (must_rename(n) && !tds_login_rename(&login, n->server_host))
		return tds_protocol_error(n, LEG_CLIENT,
		    "client sent a LOGIN7 that is not well formed: the "
		    "server's name in it cannot be rewritten");
	if (login.len > tds->body_len)
		tds->body_len = login.len; /* all that there ever was */
	tds_write_message(&n->out[LEG_SERVER], TDS_LOGIN7, wr_written(&login));
	tds_wipe_body(tds);
	tds->at = AT_REPLY;
	return neg_next();
}

/*
 * The server's reply, and the client's turn if there is more to be said, as
 * with SSPI and tokens of federated log-in.
 */

/* The alert of one that was slow to take leave of TLS may come yet: its first
 * words are looked at. */
static struct verdict
join(struct negotiator *n)
{
	struct tds *tds = n->state;

	if (tds->stopped) {
		n->units[LEG_CLIENT] = &tds_units_after_tls;
		tds->at = AT_RELAYED;
	}
	return neg_relay();
}

static struct verdict
reply_heard(struct negotiator *n, size_t len, struct rd tokens)
{
	struct tds *tds = n->state;
	struct tds_reply reply;

	if (!tds_reply_read(tokens, tds->version, &reply))
		return tds_protocol_error(n, LEG_SERVER,
		    "server sent a reply to the log-in that cannot be followed "
		    "to its end");
	if (reply.routed)
		return neg_end(n, REASON_REDIRECT, LEG_SERVER,
		    "server sends the client on to another server, past the "
		    "proxy",
		    "let the endpoint's server be that one; at Azure SQL set "
		    "the connection policy to Proxy; with a read-only "
		    "replica do not use ApplicationIntent=ReadOnly");
	tds->version = reply.version;
	tds->decided = tds->decided || reply.accepted || reply.rejected;
	if (tds->decided && reply.done)
		return join(n); /* with the reply unread */
	neg_forward(n, LEG_SERVER, len);
	tds->at = AT_REPLIED;
	return neg_next();
}

static struct verdict
server_replies(struct negotiator *n)
{
	struct tds *tds = n->state;
	struct wr body = { .base = tds->body, .cap = sizeof(tds->body) };
	size_t len;

	switch (
	    tds_look_at_message(n->in[LEG_SERVER], TDS_REPLY, &len, &body)) {
	case TDS_PART:
		return neg_read(FROM_SERVER);
	case TDS_BAD:
		return tds_protocol_error(n, LEG_SERVER,
		    "server sent something else than a reply to the log-in");
	case TDS_WHOLE:
		break;
	}
	return reply_heard(n, len, wr_written(&body));
}

struct verdict
tds_step_reply(struct negotiator *n)
{
	const struct tds *tds = n->state;
	struct verdict v;

	if (take_alert(n))
		return neg_next();
	v = server_replies(n);
	if (v.kind == V_READ && tds->stopped)
		v = neg_read(FROM_CLIENT | FROM_SERVER);
	return v;
}

/* Whatever its message says: the server will complain if it is none. */
static struct verdict
client_goes_on(struct negotiator *n)
{
	struct tds *tds = n->state;
	struct tds_packet packet;

	if (alert_has_begun(n))
		return take_alert(n) ? neg_next() : neg_read(FROM_CLIENT);
	switch (tds_look_at_packet(n->in[LEG_CLIENT], &packet)) {
	case TDS_PART:
		return neg_read(FROM_CLIENT);
	case TDS_BAD:
		return tds_protocol_error(n, LEG_CLIENT,
		    "client sent a packet of an impossible length during "
		    "log-in");
	case TDS_WHOLE:
		break;
	}
	if (!tds_packet_is_one(packet.type))
		return tds_protocol_error(n, LEG_CLIENT,
		    "client sent something else than a packet of TDS during "
		    "log-in");
	neg_forward(n, LEG_CLIENT, packet.len);
	if (packet.last)
		tds->at = AT_REPLY;
	return neg_next();
}

/* The server may have more to say, or give up waiting. */
struct verdict
tds_step_replied(struct negotiator *n)
{
	struct verdict v = client_goes_on(n);

	if (v.kind == V_READ)
		v = server_replies(n);
	if (v.kind == V_READ)
		v = neg_read(FROM_CLIENT | FROM_SERVER);
	return v;
}

/* Only once: what follows is as in any session. */
struct verdict
tds_step_relayed(struct negotiator *n)
{
	if (alert_has_begun(n) && !take_alert(n))
		return neg_read(FROM_CLIENT);
	n->units[LEG_CLIENT] = n->leg[LEG_SERVER].tls_up ? &tds_units : NULL;
	return neg_relay();
}
