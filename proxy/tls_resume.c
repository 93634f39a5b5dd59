#include "proxy/tls_resume.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "proxy/times.h"
#include "proxy/tls_private.h"

/* A context remembers so many servers, the least used one goes first; and of
 * each so many sessions, be they tickets or not, the oldest goes first. */
#define RESUME_SERVERS_MAX 64
#define RESUME_TICKETS_MAX 8
/* So many connections in a row without a ticket, and none is waited for. */
#define RESUME_DRY_MAX 8
/* So many wait at a time; one that has been given something, or has waited for
 * so many seconds, makes room for another. */
#define RESUME_WAITING_MAX     32
#define RESUME_WAITING_SECONDS ((time_t)30)
/* A longer ticket is none: a hello has to carry it. */
#define RESUME_TICKET_LEN_MAX ((size_t)16384)

/* So long after its certificate was seen a server must show it once more,
 * whatever the certificate says. */
#define RESUME_TRUST_SECONDS ((time_t)24 * 60 * 60)
/* So long nothing is offered where that ended badly: by a failure, or so often
 * in a row by the server leaving; and twice as long each time that it ends so
 * again, for each costs somebody a session. */
#define RESUME_SHY_SECONDS 600.0
#define RESUME_SHY_MAX     (24 * 60 * 60.0)
#define RESUME_STRIKES     2
/* A server that has not said a word for so long is as good as gone, whoever
 * loses patience first. */
#define RESUME_PATIENCE ((time_t)5)

/* What a handshake has found out about a certificate, for those that are
 * resumed from it. */
struct resume_voucher {
	unsigned references;
	time_t since;
	time_t until;
	struct cert_verdict verdict;
};

struct resume_ticket {
	TAILQ_ENTRY(resume_ticket) link;
	SSL_SESSION *ssl;
	struct resume_voucher *voucher;
	time_t until; /* the server's own word on it */
};
TAILQ_HEAD(resume_tickets, resume_ticket);

struct resume_server {
	TAILQ_ENTRY(resume_server) link;
	struct tls_resume *home; /* NULL: it was forgotten */
	unsigned references;
	/* Its key. */
	const struct server *server;
	const struct neg_tls *how;
	struct address address;
	char *sni;

	struct resume_tickets tickets; /* newest first */
	unsigned n;
	unsigned dry; /* connections in a row that brought no ticket */
	TAILQ_HEAD(, tls) waiting; /* tls_resume_wait(), the longest first */
	unsigned nwaiting;
	unsigned strikes; /* of it in a row when it was offered a session */
	double shy_for;   /* the last time; 0: it has resumed one since */
	double shy_until; /* of times_now() */
};

struct tls_resume {
	TAILQ_HEAD(resume_servers, resume_server) servers; /* last used first */
	unsigned n;
};

static void
voucher_release(struct resume_voucher *v)
{
	if (v != NULL && --v->references == 0)
		free(v);
}

static struct resume_voucher *
voucher_retain(struct resume_voucher *v)
{
	v->references++;
	return v;
}

/* The clock may have been set back, too. */
static bool
voucher_holds(const struct resume_voucher *v, time_t now)
{
	return now >= v->since && now < v->until;
}

static void
ticket_free(struct resume_ticket *s)
{
	SSL_SESSION_free(s->ssl);
	voucher_release(s->voucher);
	free(s);
}

static void
server_drop(struct resume_server *server, struct resume_ticket *ticket)
{
	TAILQ_REMOVE(&server->tickets, ticket, link);
	server->n--;
	ticket_free(ticket);
}

/* The analyzer does not see that what is dropped or forgotten is taken off its
 * list; here and below. */
static void
server_empty(struct resume_server *server)
{
	struct resume_ticket *ticket;

	while ((ticket = TAILQ_FIRST(&server->tickets)) != NULL)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		server_drop(server, ticket);
}

static void
server_release(struct resume_server *server)
{
	if (--server->references > 0)
		return;
	server_empty(server);
	free(server->sni);
	free(server);
}

/* Connections that still have it add nothing to it any more. */
static void
server_forget(struct resume_server *server)
{
	TAILQ_REMOVE(&server->home->servers, server, link);
	server->home->n--;
	server->home = NULL;
	server_empty(server);
	server_release(server);
}

struct tls_resume *
tls_resume_new(void)
{
	struct tls_resume *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	TAILQ_INIT(&r->servers);
	return r;
}

void
tls_resume_free(struct tls_resume *r)
{
	struct resume_server *server;

	if (r == NULL)
		return;
	while ((server = TAILQ_FIRST(&r->servers)) != NULL)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		server_forget(server);
	free(r);
}

static bool
server_is(const struct resume_server *server, const struct tls *t,
    const struct address *address)
{
	return server->server == t->server && server->how == t->how &&
	    server->address.len == address->len &&
	    memcmp(&server->address.sa, &address->sa, address->len) == 0 &&
	    strcmp(server->sni, t->told->sni) == 0;
}

static struct resume_server *
server_add(struct tls_resume *r, const struct tls *t,
    const struct address *address)
{
	struct resume_server *server;

	if ((server = calloc(1, sizeof(*server))) == NULL)
		return NULL;
	if ((server->sni = strdup(t->told->sni)) == NULL) {
		free(server);
		return NULL;
	}
	if (r->n == RESUME_SERVERS_MAX)
		server_forget(TAILQ_LAST(&r->servers, resume_servers));
	TAILQ_INIT(&server->tickets);
	TAILQ_INIT(&server->waiting);
	server->references = 1;
	server->home = r;
	server->server = t->server;
	server->how = t->how;
	server->address = *address;
	TAILQ_INSERT_HEAD(&r->servers, server, link);
	r->n++;
	return server;
}

/* NULL if memory is short. */
static struct resume_server *
server_find(struct tls_resume *r, const struct tls *t,
    const struct address *address)
{
	struct resume_server *server;

	TAILQ_FOREACH(server, &r->servers, link) {
		if (server_is(server, t, address))
			break;
	}
	if (server == NULL)
		return server_add(r, t, address);
	TAILQ_REMOVE(&r->servers, server, link);
	TAILQ_INSERT_HEAD(&r->servers, server, link);
	return server;
}

/* The newest, for a server that has forgotten the older ones may know it; what
 * may not be offered any more is dropped, for it never will be. */
static struct resume_ticket *
server_choose(struct resume_server *server, time_t now)
{
	struct resume_ticket *ticket;

	if (times_now() < server->shy_until)
		return NULL;
	while ((ticket = TAILQ_FIRST(&server->tickets)) != NULL) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		if (voucher_holds(ticket->voucher, now) &&
		    now < ticket->until &&
		    SSL_SESSION_is_resumable(ticket->ssl) == 1)
			return ticket;
		server_drop(server, ticket);
	}
	return NULL;
}

/*
 * A ticket of TLS 1.3 is for one connection, so that nobody who sees both can
 * tell that they are of the same client; but the last is kept until another
 * has come.  It is a copy that is used, for OpenSSL strikes out what it has
 * used.
 */
static void
resume_offer(struct tls *t, struct resume_ticket *ticket)
{
	struct resume_server *server = t->resuming.server;
	SSL_SESSION *ssl = SSL_SESSION_dup(ticket->ssl);

	if (ssl != NULL && SSL_set_session(t->ssl, ssl) == 1) {
		t->resuming.offered = true;
		t->resuming.since = time(NULL);
		t->resuming.voucher = voucher_retain(ticket->voucher);
		if (server->n > 1)
			server_drop(server, ticket);
	}
	SSL_SESSION_free(ssl);
	ERR_clear_error();
}

static bool
resume_may(const struct tls *t)
{
	const struct neg_tls *how = t->how;

	return t->context->resume != NULL && !how->no_resume &&
	    how->wrap == NULL && !how->may_stop && !how->anew;
}

void
tls_resume(struct tls *t, const struct address *address)
{
	struct resume_server *server;
	struct resume_ticket *ticket;

	if (!resume_may(t))
		return;
	server = server_find(t->context->resume, t, address);
	if (server == NULL)
		return;
	server->references++;
	t->resuming.server = server;
	(void)SSL_clear_options(t->ssl, SSL_OP_NO_TICKET);
	if ((ticket = server_choose(server, time(NULL))) != NULL)
		resume_offer(t, ticket);
}

bool
tls_resumed(const struct tls *t)
{
	return t->resuming.resumed;
}

bool
tls_resume_wants(const struct tls *t)
{
	const struct resume_server *server = t->resuming.server;

	return server != NULL && server->home != NULL && !t->received &&
	    server->n < RESUME_TICKETS_MAX && server->dry < RESUME_DRY_MAX;
}

/* One whose waiting is of no more use than another's; NULL: none. */
static struct tls *
server_waits_enough(const struct resume_server *server)
{
	time_t since = time(NULL) - RESUME_WAITING_SECONDS;
	struct tls *t;

	TAILQ_FOREACH(t, &server->waiting, resuming.waiting) {
		if (t->resuming.given || t->resuming.since <= since)
			return t;
	}
	return NULL;
}

bool
tls_resume_wait(struct tls *t)
{
	struct resume_server *server = t->resuming.server;
	struct tls *other;

	if (!tls_resume_wants(t))
		return false;
	if (server->nwaiting == RESUME_WAITING_MAX) {
		if ((other = server_waits_enough(server)) == NULL)
			return false;
		tls_take_release(other);
	}
	TAILQ_INSERT_TAIL(&server->waiting, t, resuming.waiting);
	server->nwaiting++;
	t->resuming.waits = true;
	return true;
}

void
tls_resume_wait_over(struct tls *t)
{
	struct resume_server *server = t->resuming.server;

	if (!t->resuming.waits)
		return;
	TAILQ_REMOVE(&server->waiting, t, resuming.waiting);
	server->nwaiting--;
	t->resuming.waits = false;
}

void
tls_resume_saw_ticket(struct tls *t)
{
	t->resuming.given = true;
	if (t->resuming.server != NULL)
		t->resuming.server->dry = 0;
}

void
tls_resume_saw_data(struct tls *t)
{
	struct resume_server *server = t->resuming.server;

	if (server != NULL && !t->resuming.given &&
	    server->dry < RESUME_DRY_MAX)
		server->dry++;
}

/*
 * What comes to be kept.
 */

/* Of this connection's certificate: what it was resumed from has one already,
 * and it is no longer for that.  NULL if memory is short. */
static struct resume_voucher *
resume_voucher(struct tls *t)
{
	struct resume_voucher *v = t->resuming.voucher;
	time_t end;

	if (v != NULL)
		return v;
	if ((v = calloc(1, sizeof(*v))) == NULL)
		return NULL;
	v->references = 1;
	v->verdict = t->told->verdict;
	v->since = t->resuming.since;
	end = v->since + RESUME_TRUST_SECONDS;
	v->until = t->told->verdict.until != 0 && t->told->verdict.until < end
	    ? t->told->verdict.until
	    : end;
	t->resuming.voucher = v;
	return v;
}

/* May it be kept at all?  In TLS 1.3 a server that says 0 seconds means that;
 * before, that it does not say. */
static bool
ticket_is_good(const SSL_SESSION *ssl)
{
	const unsigned char *ticket;
	size_t len;

	SSL_SESSION_get0_ticket(ssl, &ticket, &len);
	return SSL_SESSION_is_resumable(ssl) == 1 &&
	    len <= RESUME_TICKET_LEN_MAX &&
	    (SSL_SESSION_get_protocol_version(ssl) < TLS1_3_VERSION ||
		SSL_SESSION_get_ticket_lifetime_hint(ssl) > 0);
}

/* What the server says of how long it will know it; if it says nothing, that is
 * for the verdict. */
static time_t
ticket_end(const SSL_SESSION *ssl, const struct resume_voucher *voucher)
{
	unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(ssl);
	time_t end;

	if (hint == 0 || hint > (unsigned long)RESUME_TRUST_SECONDS)
		return voucher->until;
	end = (time_t)SSL_SESSION_get_time(ssl) + (time_t)hint;
	return end < voucher->until ? end : voucher->until;
}

/* Takes `ssl` if it is true. */
static bool
resume_keep(struct tls *t, SSL_SESSION *ssl)
{
	struct resume_server *server = t->resuming.server;
	struct resume_voucher *voucher;
	struct resume_ticket *ticket;

	if (server->home == NULL || !ticket_is_good(ssl) ||
	    (voucher = resume_voucher(t)) == NULL ||
	    (ticket = calloc(1, sizeof(*ticket))) == NULL)
		return false;
	if (server->n == RESUME_TICKETS_MAX)
		server_drop(server,
		    TAILQ_LAST(&server->tickets, resume_tickets));
	ticket->ssl = ssl;
	ticket->voucher = voucher_retain(voucher);
	ticket->until = ticket_end(ssl, voucher);
	TAILQ_INSERT_HEAD(&server->tickets, ticket, link);
	server->n++;
	return true;
}

/* A ticket of TLS 1.3, after the handshake.  What OpenSSL has of older versions
 * comes too early for us to know that the connection is good. */
static int
resume_on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = SSL_get_app_data(ssl);

	if (t == NULL || t->resuming.server == NULL)
		return 0;
	tls_resume_saw_ticket(t);
	return t->state == TLS_STATE_SECURED && resume_keep(t, session);
}

void
tls_resume_install(SSL_CTX *ssl)
{
	(void)SSL_CTX_set_session_cache_mode(ssl,
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL |
		SSL_SESS_CACHE_NO_AUTO_CLEAR);
	SSL_CTX_sess_set_new_cb(ssl, resume_on_session);
}

/*
 * What becomes of a connection.
 */

/* A server that does not know what it gave us has begun anew, or is another:
 * the rest is no better. */
static void
resume_refused(struct tls_resuming *mine)
{
	if (mine->offered)
		server_empty(mine->server);
	voucher_release(mine->voucher);
	mine->voucher = NULL;
}

bool
tls_resume_check(struct tls *t)
{
	struct tls_resuming *mine = &t->resuming;

	if (SSL_session_reused(t->ssl) == 0) {
		resume_refused(mine);
		return true;
	}
	/* OpenSSL has seen to it, and yet all depends on it. */
	if (!mine->offered || mine->voucher == NULL || t->judged)
		return false;
	mine->resumed = true;
	t->told->verdict = mine->voucher->verdict;
	memcpy(t->leaf, t->told->verdict.leaf, sizeof(t->leaf));
	t->leaf_known = true;
	t->judged = true;
	return true;
}

/* The session of TLS 1.2 serves any number of connections: one is enough, and
 * the newest.  Where one was resumed and the server gave no other, it is what
 * there is already. */
void
tls_resume_secured(struct tls *t)
{
	struct resume_server *server = t->resuming.server;
	SSL_SESSION *ssl;

	t->resuming.secured = true;
	if (server == NULL)
		return;
	t->resuming.since = time(NULL);
	if (t->resuming.offered)
		server->strikes = 0;
	if (t->resuming.resumed)
		server->shy_for = 0;
	if (SSL_version(t->ssl) >= TLS1_3_VERSION)
		return;
	if ((ssl = SSL_get1_session(t->ssl)) == NULL)
		return;
	server_empty(server);
	if (!resume_keep(t, ssl))
		SSL_SESSION_free(ssl);
}

void
tls_resume_spare(const struct tls *t)
{
	if (t->ssl != NULL && t->state == TLS_STATE_SECURED)
		SSL_set_shutdown(t->ssl,
		    SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

void
tls_peer_left(struct tls *t)
{
	t->resuming.left = true;
}

/* One that was offered a session and came to no end: it may be for that, or it
 * may be that the client was gone, or too slow to leave any time for it. */
static bool
resume_blames(const struct tls *t)
{
	const struct tls_resuming *mine = &t->resuming;

	return t->state == TLS_STATE_FAILED || mine->left ||
	    (!t->heard && time(NULL) - mine->since >= RESUME_PATIENCE);
}

static void
resume_strike(struct resume_server *server, bool failed)
{
	/* It was offered before, and is of the same event as the others. */
	if (times_now() < server->shy_until)
		return;
	server->strikes++;
	if (!failed && server->strikes < RESUME_STRIKES)
		return;
	server->strikes = 0;
	server->shy_for =
	    server->shy_for > 0 ? 2 * server->shy_for : RESUME_SHY_SECONDS;
	if (server->shy_for > RESUME_SHY_MAX)
		server->shy_for = RESUME_SHY_MAX;
	server->shy_until = times_now() + server->shy_for;
}

/* A failure, before or after, is reason enough to begin anew with that
 * server. */
void
tls_resume_release(struct tls *t)
{
	struct tls_resuming *mine = &t->resuming;
	bool failed = t->state == TLS_STATE_FAILED;

	if (mine->server == NULL)
		return;
	tls_resume_wait_over(t);
	if (failed)
		server_empty(mine->server);
	if (mine->offered && !mine->secured && resume_blames(t))
		resume_strike(mine->server, failed);
	server_release(mine->server);
	voucher_release(mine->voucher);
	*mine = (struct tls_resuming){ .server = NULL };
}
