/*
 * mysql_auth.c - authentication, in turns
 *
 * What a plugin and its client say to each other is passed on, and each
 * packet's id made right for its leg.  Two plugins are understood, because
 * what they say depends on whether a leg is secure: see mysql_bridge.c.
 *
 * Where the legs differ turns are kept to strictly.  Were the server heard
 * while the client still owes an answer, it could make us take a password,
 * given for one plugin, for the harmless answer to another, and pass it on.
 */
#include "protocols/mysql.h"

#include <string.h>

#include "protocols/mysql_proof.h"

/* caching_sha2_password's AuthMoreData. */
#define FAST_AUTH_SUCCESS 0x03u
#define FULL_AUTH         0x04u

#define ER_ACCESS_DENIED 1045u
#define SQLSTATE_LEN     5u

#define NATIVE_PLUGIN "mysql_native_password"

/* What the OK of a log-in says where MariaDB proves its certificate. */
#define PROOF_MARK 0x01u
#define PROOF_LEN  (1u + MYSQL_PROOF_DIGITS)

_Static_assert(MYSQL_PROOF_SCRAMBLE_LEN == MYSQL_NONCE_LEN, "it is the nonce");

/*
 * Ids, and packets under way.
 */

uint8_t
mysql_id_heard(struct mysql *my, enum leg_id leg, uint8_t id)
{
	uint8_t shift = (uint8_t)(id - my->last[leg]);

	my->last[leg] = id;
	return shift;
}

uint8_t
mysql_id_next(struct mysql *my, enum leg_id leg, uint8_t shift)
{
	my->last[leg] = (uint8_t)(my->last[leg] + shift);
	return my->last[leg];
}

void
mysql_forward(struct negotiator *n, enum leg_id from,
    const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	enum leg_id to = leg_other(from);
	uint8_t shift = mysql_id_heard(my, from, p->id);

	mysql_write_head(&n->out[to], p->payload.left,
	    mysql_id_next(my, to, shift));
	rd_skip(&n->in[from], MYSQL_HEAD_LEN);
	neg_forward(n, from, p->payload.left);
}

/*
 * The log-in.
 */

bool
mysql_login_held(const struct negotiator *n, struct mysql_packet *p,
    struct mysql_login *l)
{
	const struct mysql *my = n->state;

	if (!my->held ||
	    mysql_packet_look(n->in[LEG_CLIENT], p) != MYSQL_ARRIVAL_WHOLE)
		return false;
	return my->changing ? mysql_change_user_read(p->payload, my->caps, l)
			    : mysql_login_read(p->payload, my->caps, l);
}

static void
replace_le32(struct negotiator *n, uint32_t v)
{
	wr_le32(&n->out[LEG_SERVER], v);
	rd_skip(&n->in[LEG_CLIENT], sizeof(v));
}

/* Its head belongs to the leg: whether TLS was used there, and what the client
 * said to us when it asked for it. */
static void
send_head(struct negotiator *n)
{
	const struct mysql *my = n->state;
	uint32_t caps = my->caps | MYSQL_SSL;

	if (!n->leg[LEG_SERVER].tls_up)
		caps = my->caps & ~(uint32_t)(MYSQL_SSL | MYSQL_SSL_VERIFY);
	replace_le32(n, caps);
	neg_forward(n, LEG_CLIENT,
	    MYSQL_LOGIN_HEAD_LEN - sizeof(my->caps) - sizeof(my->more));
	replace_le32(n, my->more);
}

struct verdict
mysql_login_send(struct negotiator *n, const struct rd *answer)
{
	struct mysql *my = n->state;
	struct rd *in = &n->in[LEG_CLIENT];
	struct wr *out = &n->out[LEG_SERVER];
	struct mysql_packet p;
	struct mysql_login l;
	size_t len, old, head;

	if (!mysql_login_held(n, &p, &l))
		return neg_end(n, REASON_INTERNAL, LEG_CLIENT,
		    "internal fault: no log-in is held", NULL);
	old = l.rest_at - l.answer_at;
	len = answer != NULL ? mysql_answer_len(&l, *answer) : old;
	if (len == 0)
		return mysql_protocol_error(n, LEG_CLIENT,
		    "client's password does not fit into its log-in");
	head = l.change_user ? 0 : MYSQL_LOGIN_HEAD_LEN;
	mysql_write_head(out, p.payload.left - old + len,
	    mysql_id_next(my, LEG_SERVER, my->held_shift));
	rd_skip(in, MYSQL_HEAD_LEN);
	if (!l.change_user)
		send_head(n);
	neg_forward(n, LEG_CLIENT, l.answer_at - head);
	if (answer != NULL) {
		mysql_answer_write(out, &l, *answer);
		rd_skip(in, old);
	} else {
		neg_forward(n, LEG_CLIENT, old);
	}
	neg_forward(n, LEG_CLIENT, p.payload.left - l.rest_at);
	my->held = false;
	my->at = my->changing ? MYSQL_AT_CHANGED : MYSQL_AT_AUTH;
	return neg_next();
}

/*
 * Plugins.
 */

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* Servers and some clients do not mind the case. */
static bool
same_name(struct rd name, const char *known)
{
	if (name.left != strlen(known))
		return false;
	while (name.left > 0) {
		if (lower(rd_u8(&name)) != (uint8_t)*known++)
			return false;
	}
	return true;
}

static enum mysql_plugin
plugin_of(struct rd name)
{
	/* With these a client gives away a secret because it has TLS. */
	static const char *const clear[] = { "mysql_clear_password",
		"authentication_openid_connect_client" };
	size_t i;

	if (same_name(name, "caching_sha2_password"))
		return MYSQL_PLUGIN_CACHING;
	if (same_name(name, "sha256_password"))
		return MYSQL_PLUGIN_SHA256;
	for (i = 0; i < sizeof(clear) / sizeof(clear[0]); i++) {
		if (same_name(name, clear[i]))
			return MYSQL_PLUGIN_CLEAR;
	}
	return MYSQL_PLUGIN_OPAQUE;
}

static void
plugin_begins(struct mysql *my, struct rd name)
{
	struct wr w = { .base = (uint8_t *)my->plugin_name,
		.cap = MYSQL_PLUGIN_MAX };

	my->plugin = plugin_of(name);
	my->password = false;
	my->key_asked = false;
	memset(my->plugin_name, 0, sizeof(my->plugin_name));
	wr_bytes(&w, name.at, name.left); /* or nothing, if it is too long */
}

bool
mysql_leg_secure(const struct negotiator *n, enum leg_id leg,
    enum mysql_plugin plugin)
{
	const struct neg_facts *facts = &n->leg[leg];

	return facts->tls_up ||
	    (plugin == MYSQL_PLUGIN_CACHING && facts->local);
}

bool
mysql_legs_differ(const struct negotiator *n)
{
	const struct neg_facts *c = &n->leg[LEG_CLIENT];
	const struct neg_facts *s = &n->leg[LEG_SERVER];

	return c->tls_up != s->tls_up ||
	    (c->tls_up || c->local) != (s->tls_up || s->local);
}

/* Is it left to us what becomes of a password? */
static bool
is_bridged(const struct negotiator *n)
{
	const struct mysql *my = n->state;

	switch (my->plugin) {
	case MYSQL_PLUGIN_CACHING:
	case MYSQL_PLUGIN_SHA256:
		return mysql_leg_secure(n, LEG_CLIENT, my->plugin) !=
		    mysql_leg_secure(n, LEG_SERVER, my->plugin);
	case MYSQL_PLUGIN_OPAQUE:
	case MYSQL_PLUGIN_CLEAR:
		break;
	}
	return false;
}

/* A client with TLS believes that its secret stays within. */
static bool
may_be_clear(const struct negotiator *n)
{
	return !n->leg[LEG_CLIENT].tls_up || n->leg[LEG_SERVER].tls_up ||
	    n->leg[LEG_SERVER].local;
}

static struct verdict
refuse_clear(struct negotiator *n)
{
	return neg_end(n, REASON_AUTH, LEG_SERVER,
	    "the client's secret would go to the server in clear, by a plugin "
	    "that is meant for TLS, and the server's leg has none",
	    "set an ssl_mode other than none");
}

/* A client with TLS will give its password away, so there must be a way to
 * protect it: before it is asked. */
static bool
lacks_key(const struct negotiator *n)
{
	const struct mysql *my = n->state;

	return n->leg[LEG_CLIENT].tls_up &&
	    !mysql_leg_secure(n, LEG_SERVER, my->plugin) &&
	    !mysql_bridge_has_key(n);
}

struct verdict
mysql_auth_begin(struct negotiator *n)
{
	struct mysql *my = n->state;
	struct mysql_packet p;
	struct mysql_login l;

	if (!mysql_login_held(n, &p, &l))
		return neg_end(n, REASON_INTERNAL, LEG_CLIENT,
		    "internal fault: began without a log-in", NULL);
	plugin_begins(my, l.plugin);
	my->owed = 0;
	my->bridged = 0;
	switch (my->plugin) {
	case MYSQL_PLUGIN_SHA256:
		return mysql_bridge_password(n, NULL);
	case MYSQL_PLUGIN_CLEAR:
		if (!may_be_clear(n))
			return refuse_clear(n);
		break;
	case MYSQL_PLUGIN_CACHING:
	case MYSQL_PLUGIN_OPAQUE:
		break;
	}
	return mysql_login_send(n, NULL);
}

/*
 * The server's turn.
 */

static bool
is_out_of_turn(const struct negotiator *n)
{
	const struct mysql *my = n->state;

	return my->owed > 0 && mysql_legs_differ(n);
}

static struct verdict
out_of_turn(struct negotiator *n)
{
	return mysql_protocol_error(n, LEG_SERVER,
	    "server spoke while it was the client's turn to answer");
}

/* What it says is asked of the client, which owes one answer more. */
static struct verdict
ask_client(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;

	my->owed++;
	my->at = MYSQL_AT_AUTH;
	mysql_forward(n, LEG_SERVER, p);
	return neg_next();
}

static void
note_nonce(struct mysql *my, struct rd data)
{
	my->nonce_known = data.left >= sizeof(my->nonce);
	if (!my->nonce_known)
		return;
	memcpy(my->nonce, data.at, sizeof(my->nonce));
	if (strcmp(my->plugin_name, NATIVE_PLUGIN) == 0)
		memcpy(my->proof_nonce, data.at, sizeof(my->proof_nonce));
}

/* Clients take for the name what there is, also where no NUL ends it. */
static struct rd
read_name(struct rd *r)
{
	struct rd all = *r, name = rd_cstring(r);

	return name.cut ? all : name;
}

/* AuthSwitchRequest, or AuthNextFactor. */
static struct verdict
switch_plugin(struct negotiator *n, const struct mysql_packet *p, struct rd r)
{
	struct mysql *my = n->state;
	struct rd name;

	if (r.left == 0)
		return neg_end(n, REASON_AUTH, LEG_SERVER,
		    "server asks for a password as before MySQL 4.1, which "
		    "cannot be passed on",
		    "give the account a password in a newer format");
	if (is_out_of_turn(n))
		return out_of_turn(n);
	name = read_name(&r);
	plugin_begins(my, name);
	note_nonce(my, r);
	if (my->plugin == MYSQL_PLUGIN_CLEAR && !may_be_clear(n))
		return refuse_clear(n);
	if (my->plugin == MYSQL_PLUGIN_SHA256 && lacks_key(n))
		return mysql_bridge_refuse_keyless(n);
	my->password = my->plugin == MYSQL_PLUGIN_SHA256;
	return ask_client(n, p);
}

static struct verdict
full_auth(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;

	if (lacks_key(n))
		return mysql_bridge_refuse_keyless(n);
	my->password = true;
	return ask_client(n, p);
}

static struct verdict
plugin_data(struct negotiator *n, const struct mysql_packet *p, struct rd data)
{
	struct mysql *my = n->state;
	const uint8_t what = data.left == 1 ? data.at[0] : 0;

	if (my->plugin == MYSQL_PLUGIN_OPAQUE)
		return ask_client(n, p);
	if (is_out_of_turn(n))
		return out_of_turn(n);
	if (my->plugin == MYSQL_PLUGIN_CACHING && what == FULL_AUTH)
		return full_auth(n, p);
	if (my->plugin == MYSQL_PLUGIN_CACHING && what == FAST_AUTH_SUCCESS) {
		mysql_forward(n, LEG_SERVER, p);
		return neg_next();
	}
	if (is_bridged(n) && !my->key_asked)
		return mysql_protocol_error(n, LEG_SERVER,
		    "server sent what its authentication plugin never says");
	return ask_client(n, p);
}

/* The account may demand TLS, of which the client knows nothing. */
static const char access_hint[] =
    " (dbtls: towards the server no TLS is used, because ssl_mode is none; the "
    "account may demand it)";
#define ACCESS_HINT_LEN (sizeof(access_hint) - 1)

static bool
deserves_hint(const struct negotiator *n, struct rd error)
{
	const struct mysql *my = n->state;
	const struct neg_facts *server = &n->leg[LEG_SERVER];

	if (server->tls_up || server->local ||
	    (my->server_caps & MYSQL_SSL) == 0)
		return false;
	rd_skip(&error, 1);
	if (rd_le16(&error) != ER_ACCESS_DENIED)
		return false;
	rd_skip(&error, 1 + SQLSTATE_LEN);
	return !error.cut &&
	    error.left + ACCESS_HINT_LEN <= MYSQL_ERROR_TEXT_MAX;
}

static void
forward_error(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	struct wr *out = &n->out[LEG_CLIENT];

	if (!deserves_hint(n, p->payload)) {
		mysql_forward(n, LEG_SERVER, p);
		return;
	}
	mysql_write_head(out, p->payload.left + ACCESS_HINT_LEN,
	    mysql_id_next(my, LEG_CLIENT,
		mysql_id_heard(my, LEG_SERVER, p->id)));
	rd_skip(&n->in[LEG_SERVER], MYSQL_HEAD_LEN);
	neg_forward(n, LEG_SERVER, p->payload.left);
	wr_string(out, access_hint);
}

/* Where an OK has MariaDB's proof, if it has one. */
static bool
find_proof(struct rd ok, size_t *at)
{
	const uint8_t *start = ok.at;
	struct rd info;

	rd_skip(&ok, 1);
	(void)mysql_read_lenenc(&ok); /* rows affected */
	(void)mysql_read_lenenc(&ok); /* the last id inserted */
	(void)rd_le16(&ok);           /* status */
	(void)rd_le16(&ok);           /* warnings */
	info = mysql_read_counted(&ok);
	if (ok.cut || info.left != PROOF_LEN || rd_u8(&info) != PROOF_MARK)
		return false;
	*at = (size_t)(info.at - start);
	return true;
}

static bool
make_proof(const struct negotiator *n, uint8_t digits[MYSQL_PROOF_DIGITS])
{
	const struct mysql *my = n->state;
	const struct neg_file *file = &mysql_options_of(n)->certificate_proof;
	const struct neg_facts *client = &n->leg[LEG_CLIENT];
	const struct neg_facts *server = &n->leg[LEG_SERVER];
	const char *user = n->names.user;
	struct mysql_proof_of of = {
		.file = { .at = file->bytes, .left = file->len },
		.user = { (const uint8_t *)user, strlen(user), false },
		.plugin = { (const uint8_t *)my->plugin_name,
		    strlen(my->plugin_name), false },
		.scramble = my->proof_nonce,
		.server_leaf = server->tls_up ? server->leaf : NULL,
		.our_leaf = client->leaf,
	};

	/* A name of this length may have been cut. */
	if (file->len == 0 || n->services == NULL ||
	    of.user.left == NEG_NAME_MAX)
		return false;
	if (!client->tls_up || !client->leaf_known ||
	    (server->tls_up && !server->leaf_known))
		return false;
	return mysql_proof_rewrite(n->services, &of, digits);
}

/* Once, and not when the user is changed: a server proves itself only then. */
static void
forward_ok(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	uint8_t digits[MYSQL_PROOF_DIGITS];
	size_t at;

	if (!my->changing && find_proof(p->payload, &at)) {
		memcpy(digits, p->payload.at + at, sizeof(digits));
		if (make_proof(n, digits)) {
			mysql_write_head(&n->out[LEG_CLIENT], p->payload.left,
			    mysql_id_next(my, LEG_CLIENT,
				mysql_id_heard(my, LEG_SERVER, p->id)));
			rd_skip(&n->in[LEG_SERVER], MYSQL_HEAD_LEN);
			neg_forward(n, LEG_SERVER, at);
			wr_bytes(&n->out[LEG_CLIENT], digits, sizeof(digits));
			rd_skip(&n->in[LEG_SERVER], sizeof(digits));
			neg_forward(n, LEG_SERVER,
			    p->payload.left - at - sizeof(digits));
			return;
		}
	}
	mysql_forward(n, LEG_SERVER, p);
}

/* An answer that is still owed to a plugin of which we know that it may be a
 * password must not come upon an open relay. */
static struct verdict
log_in_ends(struct negotiator *n, const struct mysql_packet *p, bool ok)
{
	struct mysql *my = n->state;

	if (is_out_of_turn(n) && my->plugin != MYSQL_PLUGIN_OPAQUE)
		return out_of_turn(n);
	my->owed = 0;
	if (ok)
		forward_ok(n, p);
	else
		forward_error(n, p);
	if (ok || my->changing)
		return mysql_relay(n);
	my->at = MYSQL_AT_RELAYED;
	return neg_relay();
}

struct verdict
mysql_auth_hear_server(struct negotiator *n, const struct mysql_packet *p)
{
	const struct mysql *my = n->state;
	struct rd r = p->payload;
	bool factors = (my->caps & my->server_caps & MYSQL_MULTI_FACTOR) != 0;

	if (r.left == 0)
		return plugin_data(n, p, r);
	switch (rd_u8(&r)) {
	case MYSQL_OK:
		return log_in_ends(n, p, true);
	case MYSQL_ERR:
		return log_in_ends(n, p, false);
	case MYSQL_AUTH_SWITCH:
		return switch_plugin(n, p, r);
	case MYSQL_AUTH_NEXT_FACTOR:
		if (factors)
			return switch_plugin(n, p, r);
		break;
	case MYSQL_AUTH_MORE_DATA:
		return plugin_data(n, p, r);
	}
	/* Old servers mark it only where it could be mistaken. */
	return plugin_data(n, p, p->payload);
}

/*
 * Turns.
 */

static struct verdict
hear_server(struct negotiator *n)
{
	struct mysql_packet p;

	switch (mysql_packet_look(n->in[LEG_SERVER], &p)) {
	case MYSQL_ARRIVAL_PART:
		return neg_read(FROM_SERVER);
	case MYSQL_ARRIVAL_TOO_LONG:
		return mysql_too_long(n, LEG_SERVER);
	case MYSQL_ARRIVAL_WHOLE:
		break;
	}
	return mysql_auth_hear_server(n, &p);
}

static struct verdict
hear_client(struct negotiator *n)
{
	struct mysql *my = n->state;
	struct mysql_packet p;

	switch (mysql_packet_look(n->in[LEG_CLIENT], &p)) {
	case MYSQL_ARRIVAL_PART:
		return neg_read(FROM_CLIENT);
	case MYSQL_ARRIVAL_TOO_LONG:
		return mysql_too_long(n, LEG_CLIENT);
	case MYSQL_ARRIVAL_WHOLE:
		break;
	}
	if (my->password)
		return mysql_bridge_password(n, &p);
	if (my->owed > 0)
		my->owed--;
	mysql_forward(n, LEG_CLIENT, &p);
	return neg_next();
}

/* The client first: otherwise it would depend on how much of the server's has
 * come whether a client that has spoken early is heard. */
struct verdict
mysql_auth_step(struct negotiator *n)
{
	const struct mysql *my = n->state;
	unsigned from = FROM_SERVER;
	struct verdict v = neg_read(FROM_SERVER);

	if (my->owed > 0 || !mysql_legs_differ(n)) {
		from |= FROM_CLIENT;
		v = hear_client(n);
	}
	if (v.kind == V_READ)
		v = hear_server(n);
	return v.kind == V_READ ? neg_read(from) : v;
}
