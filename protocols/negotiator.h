/*
 * negotiator.h - how one database protocol agrees on TLS
 *
 * A negotiator watches the first bytes of a connection, on both of its legs,
 * until client and database may simply be joined.  It asks for TLS in the
 * words of its protocol, rewrites what must be rewritten, and then steps
 * aside.  There is one per protocol, in one file, and it is pure: no sockets,
 * no clock, no log, no memory of its own, no OpenSSL.  The session does all of
 * that; the negotiator only says what is to be done next.
 *
 * The contract:
 *
 *  1. step() reads what has arrived from in[], writes what is to be sent to
 *     out[], and returns one verdict.
 *  2. Everything in out[] is on its way before the verdict is carried out.
 *     A step that ends the session leaves nothing in out[LEG_SERVER].
 *  3. The next call of step() is the news that the verdict was carried out.
 *     Failure is never reported here: when a connect, a handshake or a check
 *     fails the session ends.  A negotiator only ever sees success.  The one
 *     exception: a client that speaks for the first time after V_CONNECT was
 *     answered and before the dial has begun.  Then step() is asked once more,
 *     with its bytes in in[] and n->connected false, and answers V_CONNECT
 *     again, or refuses the client for it.
 *  4. Bytes left unread on a leg when TLS starts there are TLS records.  They
 *     can never turn into plaintext of the protected stream, so a command
 *     injected ahead of the handshake has nowhere to go (CVE-2021-23214).
 *  5. The same bytes give the same answers, however they were sliced.  The
 *     tests play every transcript whole, by three bytes and by one.
 *  6. The end of a stream and the passing of time are the session's: when a
 *     leg that is waited for ends, or the deadline passes, the session ends.
 *  7. A relay that was asked for with n->units set may come back: step() is
 *     then called with the unit that woke it first in in[], and everything
 *     before that unit on its way.  It answers V_RELAY again in the end, with
 *     what is then unread at the beginning of a unit.  Of the other direction
 *     in[] has what comes meanwhile, from wherever its relay was.  Once one
 *     of the directions has ended a relay does not come back any more.
 *
 * Policy is not up to the protocols.  neg_step() stands between the session
 * and every negotiator and refuses what the policy forbids, whatever the
 * protocol's own code says:
 *
 *  - before V_CONNECT was carried out nothing is written to the server, read
 *    from it, or done with it;
 *  - while either leg lacks the TLS that its rule demands, out[LEG_SERVER] may
 *    hold a delivery, or what ops->preamble() recognises: before the server's
 *    TLS where it is asked for, and else once the server's own rule is met;
 *  - a relay needs both rules met; a delivery needs the server's, and the
 *    client's is waived only for what ops->unprotected() recognises;
 *  - TLS is not started on a leg whose rule says never, and is stopped on
 *    the client's only, where the rule does not demand it, and with nothing
 *    left unread.
 *
 * What breaks these is a fault of ours: the session ends with REASON_INTERNAL
 * and out[LEG_SERVER] is emptied.
 */
#ifndef PROTOCOLS_NEGOTIATOR_H
#define PROTOCOLS_NEGOTIATOR_H

#include "protocols/bytes.h"
#include "protocols/reason.h"

/* The two sides of a session.  Named for who is there, not for "up" or
 * "down", which mean opposite things to different people. */
enum leg_id {
	LEG_CLIENT = 0, /* whoever connected to us */
	LEG_SERVER,     /* the database we connect to */
};
#define LEG_COUNT 2

#define FROM_CLIENT (1u << LEG_CLIENT)
#define FROM_SERVER (1u << LEG_SERVER)

static inline enum leg_id
leg_other(enum leg_id leg)
{
	return leg == LEG_CLIENT ? LEG_SERVER : LEG_CLIENT;
}

/*
 * What the configuration demands of a leg.  A negotiator learns whether TLS
 * is wanted; how a certificate is judged (verify-ca, verify-full) it never
 * learns, so it cannot get that wrong.  No server rule means "if possible".
 */
enum neg_client_rule {
	CLIENT_TLS_OFF = 0,
	CLIENT_TLS_ALLOW, /* if the client asks for it */
	CLIENT_TLS_REQUIRE,
};

enum neg_server_rule {
	SERVER_TLS_NEVER = 0, /* ssl mode none */
	SERVER_TLS_REQUIRED,  /* require, verify-ca and verify-full */
	SERVER_TLS_FIRST,     /* required, and a ClientHello comes before all */
};

struct neg_policy {
	enum neg_client_rule client;
	enum neg_server_rule server;
};

enum neg_alpn_rule {
	NEG_ALPN_NONE = 0,
	NEG_ALPN_IF_OFFERED, /* a peer may ignore it, but not choose another */
	NEG_ALPN_REQUIRED,   /* no handshake without it */
};

/*
 * How a protocol carries the handshake in messages of its own.  Each flight
 * goes out as one message; what comes in is unwrapped packet by packet.  Once
 * the handshake is done both directions are bare records.  At most TLS 1.2:
 * its handshake ends with the server's flight, so that both sides know which
 * is the last.  All of it pure.
 */
struct neg_wrap {
	size_t head; /* what stands before a packet's payload: 1 .. 16 bytes */
	/* Of the whole packet, head included; 0: it is none. */
	size_t (*length)(struct rd head);
	/* Writes at most twice as much as it is given. */
	void (*wrap)(struct rd flight, struct wr *out);
};

/* How TLS is to be started.  Always a constant of the protocol's file. */
struct neg_tls {
	const char *alpn; /* one protocol name; NULL if the rule is none */
	enum neg_alpn_rule alpn_rule;
	const struct neg_wrap *wrap; /* NULL: bare records from the start */
	/* V_STOP_TLS may follow: records are opened one by one, each only when
	 * all before it has been read. */
	bool may_stop;
	/* What to do about a server that answers with something else than TLS;
	 * NULL: nothing but what may be done about all. */
	const char *not_tls;
	/* It begins anew on a leg of the server's that has TLS already: that is
	 * given up without an alert, and nothing of it may be unread.  All that
	 * is demanded of the first handshake is demanded of this one, and the
	 * same certificate besides; what to do where that is another (NULL:
	 * nothing to say). */
	bool anew;
	const char *not_same;
	/* Toward a server: no session of an earlier connection is resumed.  Nor
	 * is one wherever the above says that a handshake is a special one.
	 * Toward a client: it is given nothing to resume. */
	bool no_resume;
};

enum verdict_kind {
	V_READ = 0,  /* no more can be done until a leg of `from` grows */
	V_NEXT,      /* one message dealt with, look again; see neg_step() */
	V_CONNECT,   /* connect to the server, as n->route says */
	V_START_TLS, /* on `leg`, as `tls` says */
	V_STOP_TLS,  /* on `leg`: what follows is in clear, both ways */
	V_RELAY,     /* join the legs, unread bytes first; we are done */
	V_DELIVER,   /* send out[LEG_SERVER], take nothing more from the client,
	              * and when the server ends close both in order */
	V_END,       /* n->error says why; see neg_refuse() */
};

struct verdict {
	enum verdict_kind kind;
	unsigned from;             /* V_READ: FROM_CLIENT, FROM_SERVER */
	enum leg_id leg;           /* V_START_TLS, V_STOP_TLS */
	const struct neg_tls *tls; /* V_START_TLS */
};

/*
 * Why a session is refused.  A negotiator's text and hint are literals: a
 * peer's bytes never reach the log by that road.  The session's own may name
 * what a certificate carries, escaped and in printable ASCII, and are at most
 * NEG_TEXT_MAX bytes.
 */
struct neg_error {
	enum reason reason;
	enum leg_id leg;  /* whose fault */
	const char *text; /* "server certificate has expired" */
	const char *hint; /* what to do about it; NULL: nothing to add */
};
#define NEG_TEXT_MAX 400

#define NEG_CANCEL_MAX 268 /* the longest message that asks for a cancel */

/* Where V_CONNECT goes: anywhere the configuration says, or, if `cancel` is
 * not empty, to where the session with that key is.  `cancel` is the whole
 * message that asked for it and must stay readable until the session ends
 * (keep it in n->state).  If that session is not known, and the server has
 * several addresses, the session plays the message to each of them in turn:
 * to a negotiator that starts anew, with the client's TLS as it is now. */
struct neg_route {
	struct rd cancel;
	/* How long a client that has said nothing is to have stayed before
	 * anything is dialled, in milliseconds; one that leaves meanwhile was
	 * never there.  0: it is only looked whether it has left already. */
	unsigned delay_ms;
	/* Not empty: the server sends us on to this one, in its own words (at
	 * most NEG_HOST_MAX bytes, printable), and V_CONNECT comes a second
	 * time.  The leg of the first is given up, and its in[] is empty; what
	 * is in its out[] is still said to it.  Where the endpoint does not
	 * allow that place the session ends (REASON_REDIRECT); where it does,
	 * that server must satisfy all that is demanded of the first.  Readable
	 * until the next step. */
	struct rd redirect_host;
	uint16_t redirect_port;
};
#define NEG_HOST_MAX 253
/* A server that is sent to sends on itself, at most so often in all. */
#define NEG_REDIRECTS_MAX 3u

/* What a later cancel will name this session by: the message of
 * neg_route.cancel, to the letter.  Empty if the protocol has none. */
struct neg_key {
	uint8_t bytes[NEG_CANCEL_MAX];
	size_t len;
};

/* Who the client says it is, as far as it said so in clear to us, NUL-ended
 * and cut at NEG_NAME_MAX bytes.  A peer's bytes: escape before logging. */
#define NEG_NAME_MAX 128
struct neg_names {
	char user[NEG_NAME_MAX + 1];
	char database[NEG_NAME_MAX + 1];
	char program[NEG_NAME_MAX + 1];
};

/* Copies a peer's bytes into one of these; stops at a NUL. */
void neg_name_set(char name[NEG_NAME_MAX + 1], struct rd from);

/* What the session learned about a leg and a protocol may need to know. */
#define NEG_DIGEST_LEN 32
struct neg_facts {
	bool tls_up;
	bool local;                   /* over a unix socket */
	bool leaf_known;              /* a certificate was shown on this leg: */
	uint8_t leaf[NEG_DIGEST_LEN]; /* SHA-256 of its DER */
};

/*
 * What a protocol still wants to see of a direction that is being relayed: its
 * units (packets, messages), one after the other.  The relay finds out where
 * they begin and shows the beginning of each; whatever is passed was not
 * looked at beyond that, and nothing is held back but a head that has not
 * arrived whole.  Always a constant of the protocol's file; all of it pure.
 */
enum unit_act {
	UNIT_PASS = 0,
	UNIT_WAKE, /* end the relay, and step() again: this unit is unread */
	UNIT_TAKE, /* hold it until it is whole; rewrite() says what goes on */
};

#define NEG_HEAD_MAX 16
#define NEG_UNIT_MAX (64 * 1024 + 16) /* of those that are held back */

struct negotiator;

struct neg_units {
	size_t head; /* bytes that length() must see; 1 .. NEG_HEAD_MAX */
	size_t peek; /* bytes that judge() must see; head .. NEG_HEAD_MAX */
	/* Not 0: no unit is longer, and each is sealed as a record of its own
	 * if the leg it goes to has TLS: it is held back until it is whole. */
	size_t whole_max;
	/* Of the whole unit, head included; less than `head` is a fault of the
	 * peer, and the session ends (REASON_PROTOCOL). */
	uint64_t (*length)(struct rd head);
	/* `peek` bytes from its start, or the whole of a shorter unit; and the
	 * head of the unit before it, empty if it is the relay's first.  NULL,
	 * where they are only held until they are whole: all pass. */
	enum unit_act (*judge)(struct rd before, struct rd peek);
	/* What goes on in the place of a unit that was taken, which is never
	 * longer than NEG_UNIT_MAX; judge() must not take a longer one.  `out`
	 * holds NEG_REWRITE_MAX bytes; false: the unit goes on as it is, and
	 * what is in `out` does not count.  NULL if judge() takes none. */
	bool (*rewrite)(const struct negotiator *n, struct rd unit,
	    struct wr *out);
};
#define NEG_REWRITE_MAX (2 * NEG_UNIT_MAX)

/* Where each listen address stands for one server: that of the same place in
 * the endpoint's list. */
struct neg_member {
	const char *host; /* of the server, as the configuration has it */
	/* Its one server_name, where it is dialled by another; or else NULL, or
	 * the same. */
	const char *called;
	uint16_t port;
	const char *listen; /* "127.0.0.1:27017", "[::1]:27017" */
};
struct neg_members {
	const struct neg_member *list;
	size_t n;
};

/*
 * What needs cryptography or a key, which a negotiator has not: the session
 * lends these.  Each is pure as seen from here.
 */
struct neg_services {
	/* Our own RSA key, for a client to seal something under: PEM, "BEGIN
	 * PUBLIC KEY".  Never that of a certificate.  Empty if this engine has
	 * no use for one. */
	struct rd rsa_public;

	/* RSA-OAEP (SHA-1, MGF1-SHA-1, no label), as MySQL has it.  Opens what
	 * was sealed under rsa_public; seals under somebody else's PEM.  False,
	 * and nothing written, if it cannot be done. */
	bool (*rsa_open)(const struct neg_services *s, struct rd sealed,
	    struct wr *plain);
	bool (*rsa_seal)(const struct neg_services *s, struct rd pem,
	    struct rd plain, struct wr *sealed);

	/* SHA-256 of the parts, one after the other. */
	bool (*sha256)(const struct neg_services *s, const struct rd *parts,
	    size_t nparts, uint8_t digest[NEG_DIGEST_LEN]);
};
#define NEG_RSA_MAX 1024 /* the longest sealed message, in bytes */

/*
 * One setting of a protocol's own group in an endpoint, so that conf/ reads,
 * checks and documents it without knowing the protocol.  The value is stored
 * at `offset` of the options struct, which is all zero at first.
 */
enum neg_option_kind {
	NEG_OPTION_CHOICE = 0, /* int: the index of the choice */
	NEG_OPTION_BOOL,       /* bool */
	NEG_OPTION_COUNT,      /* unsigned, at most `max` */
	NEG_OPTION_SECRETS,    /* struct neg_file; refused if others read it */
	NEG_OPTION_RSA_PUBLIC, /* struct neg_file: one PEM, "PUBLIC KEY" */
	/* struct neg_hosts: where a server may send us on to.  A name, all
	 * names of a domain as "*.example.com", an address, a network as
	 * CIDR. */
	NEG_OPTION_HOSTS,
	/* struct rsakey *, for the services; nothing a negotiator looks at */
	NEG_OPTION_RSA_PRIVATE,
};

/* A file as it was when the configuration was loaded. */
struct neg_file {
	char *path; /* NULL: not set */
	uint8_t *bytes;
	size_t len;
};

struct neg_hosts {
	char **list;
	size_t n;
};

struct neg_option {
	const char *name; /* NULL ends a table */
	enum neg_option_kind kind;
	size_t offset;
	const char *const *choices; /* NULL-terminated; the default first */
	unsigned max;
	/* SECRETS: NULL if all is well, or what is wrong in line *line. */
	const char *(*check)(struct rd content, unsigned *line);
	const char *help;
};

/* How a client may begin TLS with us, and we with a server. */
enum neg_start {
	NEG_START_ASKED = 0, /* a message of the protocol asks for it */
	NEG_START_EITHER,    /* that, or at once, if the endpoint says direct */
	NEG_START_FIRST,     /* always at once */
};

/* Who asks for a service, of whom. */
struct neg_ask {
	const char *service; /* one of these two; the other is NULL */
	const char *sid;
	const char *host; /* of the server; NULL: it has none */
	uint16_t port;
	bool tls;            /* is it reached in TLS? */
	const char *machine; /* of him who asks */
	const char *user;
};
#define NEG_HELLO_MAX 1536u

/* What an answer means which goes to the client with V_RELAY. */
struct neg_told {
	struct wr words;
	const char *remedy; /* NULL: none that would be known */
	bool refused;       /* what was asked for is not to be had */
};

/* What a server means that wants to be asked more than once: each in words of
 * ours, for people. */
struct neg_words {
	const char *again; /* the same is to be said again */
	const char *anew;  /* ... in TLS that begins anew */
	const char *moved; /* ... to another server */
	void (*answer)(struct rd answer, struct neg_told *told);
};

struct neg_ops {
	const char *name;           /* as in the configuration: "postgres" */
	const char *const *aliases; /* NULL-terminated; NULL: none */
	uint16_t default_port;
	size_t window;     /* the longest message it must see whole, in bytes */
	size_t state_size; /* of the memory behind n->state */

	const struct neg_option *options; /* NULL: none */
	size_t options_size;              /* of the struct they are stored in */
	/* What their group in an endpoint is called; NULL: as the engine.  One
	 * may have the group of another, and then has its table and struct. */
	const char *options_group;

	enum neg_start server_start;
	bool client_first;   /* the client speaks first */
	bool client_chooses; /* a client can be told apart that wants no TLS */
	bool renegotiates;   /* TLS 1.2 servers of this engine renegotiate */
	bool asked_is_1_2;   /* TLS that is asked for is 1.2 at most */
	/* Its peers end TLS without close_notify, and that is no sign of an
	 * attack: its messages tell their own length, so that neither side
	 * takes a stream that was cut for a whole one. */
	bool no_close_notify;
	/* Does each listen address stand for one server, as `options` are?
	 * Then a session goes to none but that of the address it came in by,
	 * and n->members is set.  NULL: never. */
	bool (*pairs)(const void *options);
	/* Where its servers may send us on to besides the places that are
	 * theirs by name: hosts in the configured server's own domain, and the
	 * addresses of its name.  NULL: this protocol follows nobody. */
	const struct neg_hosts *(*redirects)(const void *options);

	/* What the shortest client would say to get a connection going, for
	 * `dbtls test`, which never logs in. */
	struct rd hello;

	/* For `dbtls test` too: the same of a client that wants one service,
	 * of at most NEG_HELLO_MAX bytes.  NULL if that could be asked, or what
	 * is wrong with the name, as "WHY; REMEDY".  NULL in its place: clients
	 * of this engine name none before they log in. */
	const char *(*ask)(const struct neg_ask *a, struct wr *hello);

	/* And what its servers mean.  NULL: no more than anybody sees. */
	const struct neg_words *words;

	/* Deals with one message, at most.  V_READ promises that it has looked:
	 * what is there already will not wake it again. */
	struct verdict (*step)(struct negotiator *n);

	/* Turns the client away in its own protocol: called like step(), in its
	 * place, on the client's leg only, until it answers V_END.  It may read
	 * from the client, start its TLS and write to it, or end at once if the
	 * client could not understand anything at this point.  The verdicts
	 * V_CONNECT, V_RELAY, V_DELIVER and anything of the server's are
	 * forbidden.  n->error says why. */
	struct verdict (*refuse)(struct negotiator *n);

	/* May these bytes go to a server although a leg lacks the TLS that is
	 * required of it?  Pure.  NULL: none may. */
	bool (*preamble)(const struct negotiator *n, struct rd out);

	/* May this message be delivered for a client without TLS where TLS is
	 * required of it?  Pure.  NULL: none may. */
	bool (*unprotected)(struct rd out);

	/* What it is at, for logs: "awaiting the server's answer". */
	const char *(*where)(const struct negotiator *n);
};

struct negotiator {
	/* Set up by the session. */
	const struct neg_ops *ops;
	const struct neg_policy *policy;
	const void *options; /* as ops->options describes; NULL if none */
	const struct neg_services *services;
	void *state; /* ops->state_size bytes, all zero at first */

	/* Kept up to date by the session. */
	struct rd in[LEG_COUNT];  /* unread, decrypted; at most ops->window */
	struct wr out[LEG_COUNT]; /* empty at every call; NEG_OUT_CAP() bytes */
	struct neg_facts leg[LEG_COUNT];
	bool connected; /* V_CONNECT has been carried out */
	/* What the server that was dialled is called: its one server_name, or
	 * else its host; NULL before that, and over a unix socket. */
	const char *server_host;
	/* Where ops->pairs() says so: all of them, and which is this session's;
	 * else NULL. */
	const struct neg_members *members;
	size_t member;

	/* Set by the negotiator. */
	struct neg_route route; /* with V_CONNECT */
	/* With V_START_TLS on the server's leg: the SNI that is sent instead of
	 * the configured one; a NUL-ended string in n->state, or NULL. */
	const char *sni;
	struct neg_key key; /* with V_RELAY */
	/* With V_RELAY: by whose bytes they are; NULL: none.  Where whole_max
	 * is set it holds before the relay too: what a step writes to the other
	 * leg's TLS is whole units, and each is a record of its own. */
	const struct neg_units *units[LEG_COUNT];
	struct neg_names names;

	/* Set by neg_end(), and by the session before neg_refuse(). */
	struct neg_error error;
};

/* How much each out[] must hold: a whole window, and something of ours. */
#define NEG_OUT_CAP(ops) ((ops)->window + 2048)

/* The session's way in: calls ops->step() until it is no longer V_NEXT, and
 * enforces the policy.  Nobody else calls ops->step(). */
struct verdict neg_step(struct negotiator *n);

/* The same for ops->refuse(): answers V_READ from the client, V_START_TLS on
 * the client's leg, or V_END.  Set n->error first. */
struct verdict neg_refuse(struct negotiator *n);

/* Does the policy have on this leg what it demands? */
bool neg_rule_met(const struct negotiator *n, enum leg_id leg);

/*
 * For negotiators.
 *
 * Two ways to send, because they differ in what they may reveal: what we
 * compose ourselves goes through wr_*(), what a peer said goes through
 * neg_forward(), which passes nothing of the client's on while either leg
 * still lacks the TLS its policy requires.
 */
void neg_forward(struct negotiator *n, enum leg_id from, size_t len);

/* Does this begin with a record of TLS of that type, in any version?  *part: it
 * may yet turn out to, and something of it is there. */
#define NEG_RECORD_ALERT     0x15u
#define NEG_RECORD_HANDSHAKE 0x16u
bool neg_begins_record(struct rd r, uint8_t type, bool *part);

/* Overwrites a secret, and is not optimised away. */
void neg_wipe(void *bytes, size_t n);

struct verdict neg_read(unsigned from);
struct verdict neg_next(void);
struct verdict neg_connect(void);
struct verdict neg_start_tls(enum leg_id leg, const struct neg_tls *tls);
struct verdict neg_stop_tls(enum leg_id leg);
struct verdict neg_relay(void);
struct verdict neg_deliver(void);
struct verdict neg_end(struct negotiator *n, enum reason reason,
    enum leg_id leg, const char *text, const char *hint);
/* The end of a refusal: n->error stays as it is. */
struct verdict neg_refused(void);
/* Asked for a step where there is none any more: a fault of ours. */
struct verdict neg_past_end(struct negotiator *n);

/* registry.c: by name or alias, NULL if there is no such protocol; and all
 * of them in the order of the documentation, NULL after the last. */
const struct neg_ops *protocol_find(const char *name);
const struct neg_ops *protocol_nth(size_t n);
/* What the group of its settings is called in an endpoint. */
const char *protocol_group(const struct neg_ops *ops);

extern const struct neg_ops neg_postgres;
extern const struct neg_ops neg_redshift;
extern const struct neg_ops neg_mysql;
extern const struct neg_ops neg_mariadb;
extern const struct neg_ops neg_mysqlx;
extern const struct neg_ops neg_sqlserver;
extern const struct neg_ops neg_sybase;
extern const struct neg_ops neg_mongodb;
extern const struct neg_ops neg_oracle;
extern const struct neg_ops neg_direct; /* engine `tls` */

#endif /* PROTOCOLS_NEGOTIATOR_H */
