/*
 * session_private.h - what the files of a session share, and nobody else
 *
 *	session.c             its life: birth, states, deadlines, ends
 *	session_negotiate.c   carrying out what the negotiator says
 *	session_front.c       the PROXY header, from a client and to a server
 *	session_redirect.c    whether a server may send it on, and where to
 *	session_log.c         its lines in the log
 */
#ifndef PROXY_SESSION_PRIVATE_H
#define PROXY_SESSION_PRIVATE_H

#include "proxy/dial.h"
#include "proxy/leg.h"
#include "proxy/relay.h"
#include "proxy/session.h"
#include "proxy/worker.h"

/*
 *	NEW <-> ANNOUNCING
 *	NEW -> NEGOTIATING <-> DELAYING -> CONNECTING -> (NEGOTIATING)
 *	         |  |  |  <-> SECURING
 *	         |  |  DELIVERING -> (NEGOTIATING, for the next address)
 *	         |  RELAYING -> (NEGOTIATING, when a unit wakes it)
 *	         REFUSING <-> SECURING (the client's leg)
 *	all of them -> CLOSING -> ENDED
 */
enum session_state {
	SESSION_NEW = 0,     /* nothing has come from the client */
	SESSION_ANNOUNCING,  /* until the PROXY header has come */
	SESSION_NEGOTIATING, /* the negotiator waits for bytes */
	SESSION_DELAYING, /* whether the client stays, before it is dialled */
	SESSION_CONNECTING,
	SESSION_SECURING, /* a handshake on neg->securing */
	SESSION_RELAYING,
	SESSION_DELIVERING, /* until the server ends */
	SESSION_REFUSING,   /* the negotiator tells the client */
	SESSION_CLOSING,    /* what was said last is on its way */
	SESSION_ENDED,
};
#define SESSION_STATES (SESSION_ENDED + 1)

/* A client that says nothing this long after its server has ended is gone. */
#define SESSION_LINGER_SECONDS 30.0

/* What a connection will be refused for, unless it leaves without a word. */
struct doubt {
	enum reason reason; /* REASON_NONE: there is no doubt */
	bool mute;          /* it is told nothing */
	const char *detail;
};

/* What is needed only until the relay begins; of a session that may be woken,
 * or whose units are rewritten, it is kept, without its buffers. */
struct negotiation {
	struct negotiator n;
	/* Of a client's TLS that was for its log-in only; NULL: there was none
	 * such.  Both are constants of OpenSSL's. */
	const char *login_tls;
	const char *login_cipher;
	struct neg_policy policy;
	struct queue unread[LEG_COUNT];
	bool ended[LEG_COUNT]; /* the peer's direction is over */
	unsigned waiting;      /* FROM_ mask of the last V_READ */
	unsigned unseen;       /* ... of what the last step could not see */
	enum leg_id securing;
	bool refusing;
	struct doubt doubt; /* in NEW alone */
	struct event delay; /* in DELAYING alone */
	struct dial *dial;
	/* A cancel for an unknown session goes to every address in turn. */
	bool fan_out;
	size_t nth;
	char text[NEG_TEXT_MAX + 1]; /* n.error points to these */
	char hint[NEG_TEXT_MAX + 1];
};

/* An address, in as much memory as it needs: what the longest would need was a
 * quarter of a session at rest. */
struct kept_address {
	socklen_t len;
	uint8_t bytes[];
};

#define FRONT_TEXT_MAX   32
#define FRONT_DETAIL_MAX 256

/* Of a connection that began with a PROXY header. */
struct front {
	struct address via; /* the load balancer */
	struct address
	    meant; /* where its client connected to; len 0: unknown */
	enum reason admitted;     /* before the header was read */
	const char *detail;       /* ... and more about it */
	char tls[FRONT_TEXT_MAX]; /* of the client's that ended there; or "" */
};

struct session {
	TAILQ_ENTRY(session) link;
	struct worker *worker;
	const struct endpoint *endpoint;
	uint64_t id;
	enum session_state state;
	enum reason reason;
	unsigned server;   /* its index in the endpoint */
	bool counted;      /* by limits_enter() */
	bool named;        /* ... and its client, too */
	bool heard;        /* something has come from the client */
	bool opened;       /* it has come to its relay, once at least */
	bool draining;     /* the deadline is that of the drain */
	bool aborting;     /* CLOSING ends by a reset */
	bool late;         /* its deadline could not be set: it has passed */
	bool astray;       /* its endpoint lends it the protocol, and no more */
	uint8_t redirects; /* how often a server has sent us on */
	struct kept_address *client;
	struct front *front; /* NULL: it came without a PROXY header */
	/* Of the server; NULL: not connected, nor was it the client's to say
	 * where it is going. */
	struct kept_address *address;
	/* While the server has not said anything; NULL: nobody asks. */
	struct outgoing_entry *outgoing;
	/* That one has sent us on to this one; NULL: nobody has. */
	struct redirect *redirect;
	struct leg leg[LEG_COUNT];
	struct event *deadline;  /* NULL: none */
	double started;          /* in seconds, as times_now() has it */
	int64_t give_up_ms;      /* when CLOSING has had its time */
	struct negotiation *neg; /* NULL once nothing can need it any more */
	struct relay relay;
	uint64_t bytes[LEG_COUNT]; /* to each, before this relay, once opened */
	struct neg_key *key;       /* in the table of cancels; NULL: none */
};

/* Moves the state; the only place that does. */
void session_enter(struct session *s, enum session_state state);
/* (Re)starts the one deadline; 0 seconds: none.  If memory for it is short, it
 * passes at once. */
void session_set_deadline(struct session *s, double seconds);

/* In the place of what was kept, nothing in that of one of len 0; false if
 * memory is short. */
bool session_keep_address(struct kept_address **kept, const struct address *a)
    __attribute__((warn_unused_result));
/* len 0: none is kept. */
struct address session_address(const struct kept_address *kept);

/* Whether it is admitted is known by now. */
void session_begin(struct session *s, enum reason admitted, const char *detail);
/* Its client has spoken, or stayed: it is no probe, and is refused.  False if
 * there was no doubt about it. */
bool session_doubt_over(struct session *s);

/* The relay did not come about, or not again: logs, and tells the client if its
 * protocol has a way.  `text` goes to the log and to the client; `detail`
 * replaces it in the log if it is not NULL.  Nothing if the session has a
 * reason already. */
void session_refuse(struct session *s, enum reason reason, enum leg_id leg,
    const char *text, const char *hint, const char *detail);
/* Why a leg failed before the relay began. */
void session_leg_failed(struct session *s, enum leg_id leg);
/* It is over, in order: what waits is sent, the client's leg ended properly. */
void session_close(struct session *s, enum reason reason, const char *detail);
/* It is over at once, and its client is told nothing. */
void session_drop(struct session *s, enum reason reason, const char *detail);
/* It is over, and must not look complete to whoever is left. */
void session_abort(struct session *s, enum reason reason, const char *detail);

/* session_negotiate.c */
/* The server has said something, or is given up. */
static inline void
session_answered(struct session *s)
{
	outgoing_remove(s->outgoing);
	s->outgoing = NULL;
}

struct negotiation *negotiation_new(const struct proxy *p,
    const struct arrival *a);
void negotiation_free(struct negotiation *neg);
extern const struct leg_events session_negotiating;
/* Steps the negotiator until something must be waited for. */
void session_advance(struct session *s);
const char *session_where(const struct session *s);

/* session_front.c.  The header comes before all else; session_begin() follows.
 * False if memory is short. */
bool session_announce(struct session *s, const struct arrival *a)
    __attribute__((warn_unused_result));
/* The first thing that a server is sent, where the endpoint has it so.  False:
 * its leg has failed. */
bool session_send_header(struct session *s) __attribute__((warn_unused_result));

/* session_redirect.c.  What the server said is in the negotiator's route: true
 * if it may be followed, and s->redirect is then where it leads.  If not, the
 * session is refused. */
bool session_follow(struct session *s);
/* The same, found out by a dial: `why` is what that found. */
void session_refuse_redirect(struct session *s, const char *why);

/* session_log.c */
void session_log_open(struct session *s, const struct neg_names *names);
void session_log_end(const struct session *s, const char *detail);

static inline enum leg_id
session_leg_id(const struct session *s, const struct leg *leg)
{
	return leg == &s->leg[LEG_CLIENT] ? LEG_CLIENT : LEG_SERVER;
}

#endif /* PROXY_SESSION_PRIVATE_H */
