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

/* caching_sha2_password's AuthMoreData. */
#define FAST_AUTH_SUCCESS 0x03u
#define FULL_AUTH         0x04u

#define NATIVE_PLUGIN "mysql_native_password"

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

/* Clients take for the name what there is, also where no NUL ends it. */
static struct rd
read_name(struct rd *r)
{
	struct rd all = *r, name = rd_cstring(r);

	return name.cut ? all : name;
}

/* A client that was not offered a database has left it out, or not; so the name
 * of a plugin that matters counts in either place. */
static struct rd
plugin_in_login(const struct mysql_login *l)
{
	struct rd r = l->rest;
	struct rd first = read_name(&r), second = read_name(&r);

	if (plugin_of(first) != MYSQL_PLUGIN_OPAQUE)
		return first;
	if (plugin_of(second) != MYSQL_PLUGIN_OPAQUE)
		return second;
	return l->plugin;
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
	plugin_begins(my, plugin_in_login(&l));
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

static struct verdict
refuse_old_password(struct negotiator *n)
{
	return neg_end(n, REASON_AUTH, LEG_SERVER,
	    "server asks for a password as before MySQL 4.1, which cannot be "
	    "passed on",
	    "give the account a password in a newer format");
}

/* AuthSwitchRequest, or AuthNextFactor. */
static struct verdict
switch_plugin(struct negotiator *n, const struct mysql_packet *p, struct rd r)
{
	struct mysql *my = n->state;
	struct rd name;

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

/* An answer that is still owed to a plugin of which we know that it may be a
 * password must not come upon an open relay. */
static struct verdict
log_in_ends(struct negotiator *n, const struct mysql_packet *p, bool ok)
{
	struct mysql *my = n->state;

	if (is_out_of_turn(n) && my->plugin != MYSQL_PLUGIN_OPAQUE)
		return out_of_turn(n);
	if (ok)
		mysql_forward_ok(n, p);
	else
		mysql_forward_error(n, p);
	if (ok || my->changing)
		return mysql_relay(n);
	my->at = MYSQL_AT_RELAYED;
	return neg_relay();
}

/* Clients take 02 for another factor also where none was agreed on.  In servers
 * that do not mark what a plugin says it may be a question of PAM's instead:
 * then what it names is a plugin that we do not know, as PAM's is. */
struct verdict
mysql_auth_hear_server(struct negotiator *n, const struct mysql_packet *p)
{
	struct rd r = p->payload;

	if (r.left == 0)
		return plugin_data(n, p, r);
	switch (rd_u8(&r)) {
	case MYSQL_OK:
		return log_in_ends(n, p, true);
	case MYSQL_ERR:
		return log_in_ends(n, p, false);
	case MYSQL_AUTH_SWITCH:
		return r.left > 0 ? switch_plugin(n, p, r)
				  : refuse_old_password(n);
	case MYSQL_AUTH_NEXT_FACTOR:
		return switch_plugin(n, p, r);
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
