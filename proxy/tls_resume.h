/*
 * tls_resume.h - sessions of servers, kept to be resumed
 *
 * A context keeps what its servers hand out, by server, the address that was
 * dialled, SNI, and how TLS is begun; endpoint, identity, thread and
 * configuration are the context's own.  With each session is the verdict of
 * the handshake that verified the certificate behind it, and until when that
 * holds: outside of that time it is not offered, so a resumed connection is
 * never one whose certificate would be refused now.  What was resumed hands
 * on that verdict, and its end, to what it is given itself.
 *
 * Nothing is resumed unless tls_resume() was called, and never where a
 * handshake is carried in messages, begins anew, or may stop, nor of an engine
 * whose servers renegotiate.  A server that fails a handshake in which a
 * session was offered, or leaves it, or says nothing, is not offered another
 * one for a while; what clients do has no part in that.
 */
#ifndef PROXY_TLS_RESUME_H
#define PROXY_TLS_RESUME_H

#include <sys/queue.h>

#include <stdbool.h>
#include <time.h>

#include <openssl/ssl.h>

struct resume_server;
struct resume_voucher;
struct tls;
struct tls_context;
struct tls_resume; /* of a context */

/* What a connection has of it; all zero: nothing. */
struct tls_resuming {
	struct resume_server *server;   /* counted; NULL: not to be resumed */
	struct resume_voucher *voucher; /* counted; of what was offered, or
	                                 * found out by now */
	time_t since;                   /* when one was offered; then, when the
	               * handshake was through */
	bool given;                     /* a ticket has come */
	bool offered;
	bool resumed;
	bool secured; /* the handshake has been through */
	bool left;    /* by the peer, before that */
	bool waits;   /* tls_resume_wait() */
	TAILQ_ENTRY(tls) waiting;
};

struct tls_resume *tls_resume_new(void);
void tls_resume_free(struct tls_resume *r); /* accepts NULL */
void tls_resume_install(SSL_CTX *ssl);

/* Would a ticket that came now on this connection be kept for use?  It needs
 * its SSL object for that; once the server has sent data without one before,
 * none is to be expected. */
bool tls_resume_wants(const struct tls *t);
/* The same for one that keeps its SSL object for nothing else, until
 * tls_resume_wait_over() or the release.  False also if so many of its server
 * wait that theirs will be enough: else a thousand that are opened at once are
 * a thousand SSL objects, and what they leave is a heap full of holes.  One
 * that has waited enough may give its place up: tls_take_release(). */
bool tls_resume_wait(struct tls *t);
void tls_resume_wait_over(struct tls *t);
/* A ticket has come; or data, with or without one before.  Of a server that
 * hands out none, connection after connection, none is wanted any more. */
void tls_resume_saw_ticket(struct tls *t);
void tls_resume_saw_data(struct tls *t);

/* When OpenSSL has done the handshake.  The first takes the verdict over if it
 * was a resumption; false if it was of nothing that we had offered.  The
 * second comes once all else was found good. */
bool tls_resume_check(struct tls *t) __attribute__((warn_unused_result));
void tls_resume_secured(struct tls *t);

/* Before an SSL object is freed, at whatever point: OpenSSL would take the
 * session for spoilt by a connection that did not end by close_notify. */
void tls_resume_spare(const struct tls *t);
/* The last call; what became of the connection decides what is kept. */
void tls_resume_release(struct tls *t);

#endif /* PROXY_TLS_RESUME_H */
