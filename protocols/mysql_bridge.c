/*
 * mysql_bridge.c - a password between legs of which one is secure
 *
 * When caching_sha2_password does not know a user yet, and sha256_password
 * always, the client gives its password away: in clear where its leg is
 * secure, and otherwise sealed (RSA) under a key that it has or asks for.  The
 * server expects the one or the other by what its own leg is.  So where one
 * leg is secure and the other is not, neither understands the other:
 *
 *	client secure     password, \0  ->         -> asks for the key
 *	                                           <- key
 *	                                           -> sealed password
 *
 *	server secure     asks for the key ->
 *	                  <- our key
 *	                  sealed password ->       -> password, \0
 *
 * Under the seal the password is mixed with the newest nonce.  What the client
 * really sends decides what it took its leg for.
 */
#include "protocols/mysql.h"

#include <string.h>

/* What a client asks for the key with. */
#define ASKS_CACHING 0x02u
#define ASKS_SHA256  0x01u

#define PEM_BEGINS "-----BEGIN "

/* In one log-in: the plugin of the client's choice, and the account's.  More
 * would be asked for only to make us work. */
#define BRIDGES_MAX 2u

enum passage {
	PASSAGE_AS_IT_IS = 0,
	PASSAGE_OFFER_KEY, /* the client wants ours */
	PASSAGE_OPEN,      /* sealed, for a server that wants it in clear */
	PASSAGE_SEAL,      /* in clear, for a server that wants it sealed */
};

static uint8_t
key_request(enum mysql_plugin plugin)
{
	return plugin == MYSQL_PLUGIN_CACHING ? ASKS_CACHING : ASKS_SHA256;
}

/* To a server with TLS that byte would be a password of one byte, and so it is
 * if a client with TLS sends it. */
static bool
asks_for_key(const struct negotiator *n, struct rd answer)
{
	const struct mysql *my = n->state;

	return !n->leg[LEG_CLIENT].tls_up && answer.left == 1 &&
	    rd_u8(&answer) == key_request(my->plugin);
}

/* There is nothing to hide, and no exchange about it. */
static bool
is_no_password(struct rd answer)
{
	return answer.left == 0 || (answer.left == 1 && rd_u8(&answer) == '\0');
}

static enum passage
choose(const struct negotiator *n, struct rd answer)
{
	const struct mysql *my = n->state;
	bool client = mysql_leg_secure(n, LEG_CLIENT, my->plugin);
	bool server = mysql_leg_secure(n, LEG_SERVER, my->plugin);

	if (is_no_password(answer))
		return PASSAGE_AS_IT_IS;
	if (asks_for_key(n, answer))
		return server ? PASSAGE_OFFER_KEY : PASSAGE_AS_IT_IS;
	if (client == server)
		return PASSAGE_AS_IT_IS;
	return client ? PASSAGE_SEAL : PASSAGE_OPEN;
}

static void
forget(struct mysql *my)
{
	neg_wipe(my->secret, sizeof(my->secret));
	my->secret_len = 0;
}

/* Mixed and unmixed are the same. */
static bool
mix(const struct mysql *my, uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] ^= my->nonce[i % sizeof(my->nonce)];
	return my->nonce_known;
}

static struct verdict
refuse_password(struct negotiator *n, enum leg_id leg, const char *text,
    const char *hint)
{
	forget(n->state);
	return neg_end(n, REASON_AUTH, leg, text, hint);
}

static bool
is_tired(struct mysql *my)
{
	return ++my->bridged > BRIDGES_MAX;
}

static struct verdict
refuse_again(struct negotiator *n)
{
	return refuse_password(n, LEG_SERVER,
	    "server asks for a password again and again", NULL);
}

/* A packet of the client's that goes no further; what takes its place has its
 * id. */
static uint8_t
take(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	uint8_t shift = mysql_id_heard(my, LEG_CLIENT, p->id);

	my->owed = 0;
	rd_skip(&n->in[LEG_CLIENT], mysql_packet_len(p));
	return shift;
}

static void
send_to_server(struct negotiator *n, uint8_t shift, struct rd payload)
{
	struct wr *out = &n->out[LEG_SERVER];

	mysql_write_head(out, payload.left,
	    mysql_id_next(n->state, LEG_SERVER, shift));
	wr_bytes(out, payload.at, payload.left);
}

static struct verdict
answered(struct negotiator *n)
{
	struct mysql *my = n->state;

	my->owed = 0;
	my->password = false;
	my->at = MYSQL_AT_AUTH;
	return neg_next();
}

/*
 * The client's leg is not secure: our key, and what was sealed under it.
 */

/* The log-in that is held comes first, and is still unread. */
struct rd
mysql_after_held(const struct negotiator *n)
{
	const struct mysql *my = n->state;
	struct rd r = n->in[LEG_CLIENT];
	struct mysql_packet p;

	if (my->held && mysql_packet_look(r, &p) == MYSQL_ARRIVAL_WHOLE)
		rd_skip(&r, mysql_packet_len(&p));
	return r;
}

static size_t
held_len(const struct negotiator *n)
{
	return n->in[LEG_CLIENT].left - mysql_after_held(n).left;
}

/* What was sealed has to be seen together with it. */
static bool
has_room_after_held(const struct negotiator *n)
{
	return held_len(n) + MYSQL_HEAD_LEN + NEG_RSA_MAX <= n->ops->window;
}

static bool
has_own_key(const struct negotiator *n)
{
	return n->services != NULL && n->services->rsa_public.left > 0;
}

static struct verdict
offer_key(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	struct wr *out = &n->out[LEG_CLIENT];
	struct rd key;

	if (!has_own_key(n))
		return refuse_password(n, LEG_CLIENT,
		    "client asks for a key to encrypt its password under, and "
		    "there is none",
		    "connect with TLS");
	if (is_tired(my))
		return refuse_again(n);
	if (!has_room_after_held(n))
		return mysql_too_long(n, LEG_CLIENT);
	if (p != NULL)
		(void)take(n, p);
	key = n->services->rsa_public;
	mysql_write_head(out, 1 + key.left, mysql_id_next(my, LEG_CLIENT, 1));
	wr_u8(out, MYSQL_AUTH_MORE_DATA);
	wr_bytes(out, key.at, key.left);
	my->at = MYSQL_AT_SEALED;
	return neg_next();
}

static bool
unseal(const struct negotiator *n, struct rd sealed, struct wr *plain)
{
	const struct neg_services *s = n->services;

	if (!has_own_key(n) || sealed.left > NEG_RSA_MAX)
		return false;
	if (!s->rsa_open(s, sealed, plain) || plain->full || plain->len == 0)
		return false;
	/* It ends with a NUL, unless it was mixed with something else. */
	return mix(n->state, plain->base, plain->len) &&
	    plain->base[plain->len - 1] == '\0';
}

static struct verdict
refuse_sealed(struct negotiator *n)
{
	return refuse_password(n, LEG_CLIENT,
	    "client encrypted its password under a key that is not ours; here "
	    "the server's own is of no use",
	    "let the client ask for the key (--get-server-public-key, "
	    "allowPublicKeyRetrieval=true), give it ours instead of the "
	    "server's, or connect with TLS");
}

/* `p` is what the sealed password came in, NULL: the log-in itself. */
static struct verdict
open_sealed(struct negotiator *n, struct rd sealed,
    const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	uint8_t room[NEG_RSA_MAX];
	struct wr plain = { .base = room, .cap = sizeof(room) };
	struct rd password;
	struct verdict v;

	if (!unseal(n, sealed, &plain)) {
		neg_wipe(room, sizeof(room));
		return refuse_sealed(n);
	}
	password = wr_written(&plain);
	if (my->held || p == NULL) {
		v = mysql_login_send(n, &password);
		if (p != NULL && v.kind == V_NEXT)
			(void)take(n, p);
	} else {
		send_to_server(n, take(n, p), password);
		v = answered(n);
	}
	neg_wipe(room, sizeof(room));
	return v;
}

struct verdict
mysql_bridge_sealed(struct negotiator *n)
{
	const struct rd r = mysql_after_held(n);
	struct mysql_packet p;
	struct rd head = r;

	/* No key makes more: it is not waited for. */
	if (rd_le24(&head) > NEG_RSA_MAX && head.left > 0)
		return mysql_too_long(n, LEG_CLIENT);
	switch (mysql_packet_look(r, &p)) {
	case MYSQL_ARRIVAL_PART:
		if (n->in[LEG_SERVER].left > 0)
			return mysql_protocol_error(n, LEG_SERVER,
			    "server spoke while it was the client's turn to "
			    "answer");
		return neg_read(FROM_CLIENT | FROM_SERVER);
	case MYSQL_ARRIVAL_TOO_LONG:
		return mysql_too_long(n, LEG_CLIENT);
	case MYSQL_ARRIVAL_WHOLE:
		break;
	}
	return open_sealed(n, p.payload, &p);
}

/*
 * The server's leg is not secure: its key, and what we seal under it.
 */

bool
mysql_bridge_has_key(const struct negotiator *n)
{
	const struct mysql_options *o = mysql_options_of(n);

	return n->services != NULL &&
	    (o->server_public_key.len > 0 || o->get_server_public_key);
}

struct verdict
mysql_bridge_refuse_keyless(struct negotiator *n)
{
	return refuse_password(n, LEG_SERVER,
	    "the server's leg has no TLS, so the server wants the password "
	    "encrypted under its key, which is not configured",
	    "set mysql.server_public_key to a file with that key, or "
	    "mysql.get_server_public_key = true to believe the one it sends");
}

static bool
keep(struct mysql *my, struct rd password)
{
	struct wr w = { .base = my->secret, .cap = sizeof(my->secret) };

	wr_bytes(&w, password.at, password.left);
	my->secret_len = w.len;
	return !w.full;
}

static struct verdict
refuse_long(struct negotiator *n)
{
	return refuse_password(n, LEG_CLIENT,
	    "client's password is too long to be encrypted under the server's "
	    "key",
	    NULL);
}

/* Sends what was kept, under this key. */
static struct verdict
seal(struct negotiator *n, uint8_t shift, struct rd pem)
{
	const struct neg_services *s = n->services;
	struct mysql *my = n->state;
	uint8_t room[NEG_RSA_MAX];
	struct wr sealed = { .base = room, .cap = sizeof(room) };
	struct rd secret = { my->secret, my->secret_len, false };
	bool ok = mix(my, my->secret, my->secret_len) && s != NULL &&
	    s->rsa_seal(s, pem, secret, &sealed) && !sealed.full;

	forget(my);
	if (!ok)
		return refuse_password(n, LEG_SERVER,
		    "the password could not be encrypted under the server's "
		    "key: that is none, or the password is too long for it",
		    "compare mysql.server_public_key with the server's");
	send_to_server(n, shift, wr_written(&sealed));
	return answered(n);
}

static struct rd
pinned_key(const struct negotiator *n)
{
	const struct neg_file *f = &mysql_options_of(n)->server_public_key;

	return (struct rd){ .at = f->bytes, .left = f->len };
}

static struct verdict
ask_server(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	const uint8_t request = key_request(my->plugin);
	const struct rd payload = { &request, 1, false };
	struct verdict v;

	if (p == NULL) {
		v = mysql_login_send(n, &payload);
		if (v.kind != V_NEXT)
			return v;
	} else {
		send_to_server(n, take(n, p), payload);
		v = answered(n);
	}
	my->at = MYSQL_AT_KEY;
	return v;
}

/* In a log-in there may be no room for what was sealed, and the server may
 * switch to another plugin anyway: there it is always asked. */
static struct verdict
seal_password(struct negotiator *n, struct rd password,
    const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	struct rd pinned = pinned_key(n);

	if (p != NULL && !mysql_bridge_has_key(n))
		return mysql_bridge_refuse_keyless(n);
	if (is_tired(my))
		return refuse_again(n);
	if (!keep(my, password))
		return refuse_long(n);
	if (p != NULL && pinned.left > 0)
		return seal(n, take(n, p), pinned);
	return ask_server(n, p);
}

static bool
is_pem(struct rd r)
{
	return rd_equals_string(rd_take(&r, strlen(PEM_BEGINS)), PEM_BEGINS);
}

/* MySQL 8 marks it as AuthMoreData, which older servers do not. */
static struct rd
key_in(struct rd payload)
{
	struct rd r = payload;

	return rd_u8(&r) == MYSQL_AUTH_MORE_DATA ? r : payload;
}

/* Instead of its key a server may have an error, or name another plugin: that
 * of the account, where the client had guessed wrong. */
struct verdict
mysql_bridge_key(struct negotiator *n)
{
	struct mysql *my = n->state;
	struct mysql_packet p;
	struct rd pem, pinned = pinned_key(n);

	switch (mysql_packet_look(n->in[LEG_SERVER], &p)) {
	case MYSQL_ARRIVAL_PART:
		return neg_read(FROM_SERVER);
	case MYSQL_ARRIVAL_TOO_LONG:
		return mysql_too_long(n, LEG_SERVER);
	case MYSQL_ARRIVAL_WHOLE:
		break;
	}
	pem = key_in(p.payload);
	if (!is_pem(pem)) {
		forget(my);
		my->at = MYSQL_AT_AUTH;
		return mysql_auth_hear_server(n, &p);
	}
	if (!mysql_bridge_has_key(n))
		return mysql_bridge_refuse_keyless(n);
	(void)mysql_id_heard(my, LEG_SERVER, p.id);
	rd_skip(&n->in[LEG_SERVER], mysql_packet_len(&p));
	return seal(n, 1, pinned.left > 0 ? pinned : pem);
}

/*
 * The client's password.
 */

struct verdict
mysql_bridge_password(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	struct mysql_packet held;
	struct mysql_login l;
	struct rd answer;

	if (p == NULL && !mysql_login_held(n, &held, &l))
		return neg_end(n, REASON_INTERNAL, LEG_CLIENT,
		    "internal fault: a password without a log-in", NULL);
	answer = p != NULL ? p->payload : l.answer;
	switch (choose(n, answer)) {
	case PASSAGE_OFFER_KEY:
		return offer_key(n, p);
	case PASSAGE_OPEN:
		return open_sealed(n, answer, p);
	case PASSAGE_SEAL:
		return seal_password(n, answer, p);
	case PASSAGE_AS_IT_IS:
		break;
	}
	my->key_asked = asks_for_key(n, answer);
	if (p == NULL)
		return mysql_login_send(n, NULL);
	mysql_forward(n, LEG_CLIENT, p);
	return answered(n);
}
