/*
 * mysql.h - the inside of the engines `mysql` and `mariadb`
 *
 *	client             here                               server
 *	                    connect       ->
 *	     <- greeting, its bits about TLS ours <-           greeting
 *	 SSLRequest    ->   TLS
 *	 log-in        ->   held              -> SSLRequest, TLS
 *	                    log-in           ->
 *	      <- authentication, in turns ->
 *	                    <- OK or ERR <-
 *	                    relay
 *
 *	mysql_open.c    connecting, and the server's greeting
 *	mysql.c         the client's log-in, and the ops
 *	mysql_auth.c    authentication, in turns
 *	mysql_bridge.c  a password between legs of which one is secure
 *	mysql_end.c     the OK or the error that ends it
 *	mysql_change.c  COM_CHANGE_USER, within the relay
 *	mysql_refuse.c  how a client is told
 *	mysql_send.c    what goes from one leg to the other
 *
 * Nobody else includes this.
 */
#ifndef PROTOCOLS_MYSQL_H
#define PROTOCOLS_MYSQL_H

#include "protocols/mysql_greeting.h"
#include "protocols/mysql_login.h"
#include "protocols/mysql_packet.h"
#include "protocols/negotiator.h"

#define MYSQL_PLUGIN_MAX 64u

/* A plugin by what it means to us. */
enum mysql_plugin {
	MYSQL_PLUGIN_OPAQUE = 0,
	MYSQL_PLUGIN_CACHING, /* caching_sha2_password */
	MYSQL_PLUGIN_SHA256,  /* sha256_password */
	MYSQL_PLUGIN_CLEAR,   /* the secret itself, trusting in TLS */
};

enum mysql_at {
	MYSQL_AT_OPENING = 0,
	MYSQL_AT_CONNECTING,
	MYSQL_AT_GREETING, /* awaiting the server's */
	MYSQL_AT_FIRST,    /* the client's first packet */
	MYSQL_AT_CLIENT_TLS,
	MYSQL_AT_LOGIN, /* the client's log-in, inside TLS */
	MYSQL_AT_SERVER_TLS,
	MYSQL_AT_LOGGED_IN, /* the log-in is there, and may be sent */
	MYSQL_AT_AUTH,
	MYSQL_AT_KEY,    /* the server was asked for its key */
	MYSQL_AT_SEALED, /* the client was sent ours, and is to use it */
	MYSQL_AT_RELAYED,
	MYSQL_AT_WOKEN,   /* a client may want to be another user */
	MYSQL_AT_CHANGED, /* ... has been sent, if that is what it was */
	MYSQL_AT_GARBLED, /* the client made no sense, nor would we to it */
	MYSQL_AT_TOLD,    /* the client knows why not */
};

struct mysql {
	enum mysql_at at;
	uint8_t last[LEG_COUNT]; /* the id that was seen or sent last */
	uint32_t server_caps;    /* as the client is told them, but for TLS */
	uint32_t withheld;       /* what the client is not told of */
	uint32_t caps;           /* the client's, as it said first */
	uint32_t more;           /* MariaDB's */
	bool more_known;
	bool old_client;       /* older than 4.1: it knows no sqlstate */
	uint16_t server_error; /* said instead of a greeting */

	/* Authentication. */
	char plugin_name[MYSQL_PLUGIN_MAX + 1];
	enum mysql_plugin plugin;
	bool nonce_known;
	uint8_t nonce[MYSQL_NONCE_LEN];       /* the newest */
	uint8_t proof_nonce[MYSQL_NONCE_LEN]; /* see mysql_proof.h */
	bool changing; /* by COM_CHANGE_USER, not for the first time */
	bool held;     /* the log-in is the first thing unread */
	uint8_t held_shift;
	unsigned owed;    /* answers that the client has not given yet */
	bool password;    /* ... of which the next is its password */
	bool key_asked;   /* by the client itself, of the server */
	unsigned bridged; /* how often a password was taken over */

	/* Between asking for the server's key and its coming. */
	uint8_t secret[NEG_RSA_MAX];
	size_t secret_len;
};

struct rsakey;

struct mysql_options {
	unsigned probe;
	struct rsakey *rsa_key;
	struct neg_file server_public_key;
	bool get_server_public_key;
	struct neg_file certificate_proof;
};

/* mysql_open.c */

struct verdict mysql_step_opening(struct negotiator *n);
struct verdict mysql_step_connecting(struct negotiator *n);
struct verdict mysql_step_greeting(struct negotiator *n);

/* mysql.c */

/* All that is not set is zero. */
const struct mysql_options *mysql_options_of(const struct negotiator *n);

struct verdict mysql_protocol_error(struct negotiator *n, enum leg_id leg,
    const char *text);
struct verdict mysql_too_long(struct negotiator *n, enum leg_id leg);

/* The client's first packet: it asks for TLS, or is its log-in. */
struct verdict mysql_first(struct negotiator *n, const struct mysql_packet *p);

/* mysql_auth.c */

/* The log-in, or COM_CHANGE_USER, that in[LEG_CLIENT] begins with. */
struct verdict mysql_auth_begin(struct negotiator *n);
struct verdict mysql_auth_step(struct negotiator *n);
/* A packet of the server's which is not what the bridge waited for. */
struct verdict mysql_auth_hear_server(struct negotiator *n,
    const struct mysql_packet *p);

/* Is this plugin's password safe in clear on this leg, as the peers see it? */
bool mysql_leg_secure(const struct negotiator *n, enum leg_id leg,
    enum mysql_plugin plugin);
/* Does it matter by which leg something comes? */
bool mysql_legs_differ(const struct negotiator *n);

/* mysql_send.c */

/*
 * Ids are kept for each leg, and never a difference between the two, which the
 * bridge would change.  A peer that counts wrong is passed on as wrong: so the
 * other side complains in its own words.
 */
uint8_t mysql_id_heard(struct mysql *my, enum leg_id leg, uint8_t id);
uint8_t mysql_id_next(struct mysql *my, enum leg_id leg, uint8_t shift);

void mysql_forward(struct negotiator *n, enum leg_id from,
    const struct mysql_packet *p);
/* Finds the log-in that is held, and sends it on: with another answer, or
 * (NULL) with its own. */
bool mysql_login_held(const struct negotiator *n, struct mysql_packet *p,
    struct mysql_login *l);
struct verdict mysql_login_send(struct negotiator *n, const struct rd *answer);

/* mysql_end.c */

void mysql_forward_ok(struct negotiator *n, const struct mysql_packet *p);
void mysql_forward_error(struct negotiator *n, const struct mysql_packet *p);

/* mysql_bridge.c */

/* The client's password has come: in the log-in that is held, or in `p`. */
struct verdict mysql_bridge_password(struct negotiator *n,
    const struct mysql_packet *p);
struct verdict mysql_bridge_key(struct negotiator *n);
struct verdict mysql_bridge_sealed(struct negotiator *n);

/* Could a password be sealed for the server? */
bool mysql_bridge_has_key(const struct negotiator *n);
struct verdict mysql_bridge_refuse_keyless(struct negotiator *n);
/* What the client sent after the log-in, if that is held. */
struct rd mysql_after_held(const struct negotiator *n);

/* mysql_change.c */

/* Joins the legs, and watches the client's where that may be needed. */
struct verdict mysql_relay(struct negotiator *n);
struct verdict mysql_step_relayed(struct negotiator *n);
struct verdict mysql_step_woken(struct negotiator *n);
struct verdict mysql_step_changed(struct negotiator *n);

/* mysql_refuse.c */

struct verdict mysql_refuse(struct negotiator *n);

#endif /* PROTOCOLS_MYSQL_H */
