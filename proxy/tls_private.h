/*
 * tls_private.h - what tls*.c share, and nobody else sees
 *
 * tls.c is the connection, tls_context.c what connections are made of,
 * tls_hooks.c what OpenSSL asks us during a handshake, tls_bio.c how it reads
 * and writes memory, tls_take.c takes records over from it, tls_direct.c reads
 * and writes those that were, tls_kernel.c what remains here of one whose
 * records the kernel seals and opens, tls_resume.c what is kept of servers to
 * be resumed, tls_tickets.c what clients are given for it, tls_error.c how its
 * failures are put in words, tls_evidence.c what `dbtls test` shows of a peer.
 */
#ifndef PROXY_TLS_PRIVATE_H
#define PROXY_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "conf/trust.h"
#include "proxy/queue.h"
#include "proxy/tls.h"
#include "proxy/tls_records.h"
#include "proxy/tls_resume.h"
#include "proxy/tls_tickets.h"

/* What may wait inside when io->out lacks room: the answers that one read can
 * provoke, and what was held back during a renegotiation. */
#define TLS_SPILL_MAX (1024 * 1024)
/* What may be held back while a renegotiation goes on. */
#define TLS_HELD_MAX (384 * 1024)

struct tls_store {
	struct anchors *anchors;
	X509_STORE *store;
};

struct tls_stores {
	BIO_METHOD *method; /* of every connection of the thread */
	struct records_kit *kit;
	struct tls_store *list;
	size_t n;
};

struct tls_context {
	SSL_CTX *ssl;
	const struct endpoint *endpoint;
	enum leg_id leg;
	const struct tls_settings *settings;
	const struct keypair *own; /* shown to the peer; NULL: none */
	const struct trust *trust; /* judges the peer; NULL: nothing does */
	X509_STORE *store;         /* of its anchors, the thread's */
	const BIO_METHOD *method;
	const char *groups; /* the list that OpenSSL took */
	uint64_t rekey_records;
	const struct records_kit *kit; /* of the thread */
	bool direct;                   /* records are to be taken over */
	struct tls_resume *resume;     /* NULL: no server session is */
	struct tls_tickets *tickets;   /* NULL: clients are given none */
	unsigned kernel_suites;        /* TLS_KERNEL() of each; 0: none */
	bool keep_chain;
};

enum tls_state {
	TLS_STATE_HANDSHAKE = 0,
	TLS_STATE_SECURED,
	TLS_STATE_FAILED,
};

/* What the handshake has brought to light, for those who log it. */
struct tls_told {
	char sni[256];
	char alpn[64];
	struct cert_verdict verdict;
};

struct tls_secrets; /* tls_take.c */

struct tls {
	SSL *ssl; /* NULL once it is not needed any more */
	const struct tls_context *context;
	const struct neg_tls *how;
	const struct server *server;
	enum tls_state state;

	struct tls_io *io;  /* the call's; NULL between calls */
	struct queue spill; /* ciphertext that io->out had no room for */
	struct queue held;  /* plaintext, during a renegotiation */
	bool close_wanted;  /* once nothing is held any more */
	uint64_t records;   /* sealed with the present key */
	uint64_t opened;    /* ... of the peer's, or since it was asked */
	uint64_t session;   /* for the log */
	bool worn;          /* that key cannot be changed, and it was logged */
	bool asked;         /* the peer owes its next key */

	/* In the place of `ssl` once the records are our own; NULL before. */
	struct records *taken;
	struct tls_secrets *secrets; /* for that; NULL: there is none */
	struct records *teller; /* tells `ssl` of tickets that come later */
	struct queue unread;    /* opened, and there was no room for it */
	bool settled;           /* from now on it may be taken over, */
	bool for_kernel;        /* ... and given to the kernel */
	const char *version;    /* constants of OpenSSL's, from then on */
	const char *cipher;
	const char *group;

	/* What the failure of a handshake may be explained by. */
	bool heard;          /* the peer has sent something: */
	uint8_t first_byte;  /* of it */
	int hello_version;   /* of the peer's hello; 0: none came */
	bool asked_identity; /* the server wants a certificate of ours */
	bool received;       /* plaintext has come */
	uint16_t messages;   /* of the handshake's kind, since the last of it */
	bool leaf_changed;   /* in a renegotiation */

	struct tls_resuming resuming;

	bool judged;
	bool leaf_known;       /* of the peer: */
	uint8_t leaf[32];      /* SHA-256 */
	STACK_OF(X509) *chain; /* kept for its evidence only */
	struct tls_told *told; /* NULL once nobody asks any more */
	struct tls_failure failure;
	char *failure_text; /* what failure.text points to, if composed */
	char *failure_hint;
};

/* OpenSSL's macros cast `const` away, which the compiler minds more than
 * OpenSSL's functions behind them would write there: they never do. */
static inline void *
tls_unconst(const void *p)
{
	union {
		const void *in;
		void *out;
	} u = { .in = p };

	return u.out;
}

/* tls_bio.c.  tls_io_begin() comes first in each call: it moves what is
 * waiting to io->out. */
BIO_METHOD *tls_bio_method_new(void);
BIO *tls_bio_new(struct tls *t);
void tls_io_begin(struct tls *t, struct tls_io *io);
void tls_io_end(struct tls *t);
void tls_spill_drain(struct tls *t); /* during a call */

/* tls_memory.c.  False: OpenSSL has been used before. */
bool tls_memory_init(void) __attribute__((warn_unused_result));

/* tls_hooks.c */
void tls_hooks_install(struct tls_context *c);
void tls_hooks_secured(struct tls *t); /* drops what was for the handshake */

/* tls_error.c: both answer TLS_FAILED, and the first failure counts. */
enum tls_result tls_fail_openssl(struct tls *t); /* by OpenSSL's queue */
enum tls_result tls_fail(struct tls *t, enum reason reason, const char *text,
    const char *hint);

/* tls_take.c: secrets are kept of connections that may be taken over. */
void tls_take_install(struct tls_context *c);
void tls_take_watch(struct tls *t, bool sent, int type, const uint8_t *bytes,
    size_t len);
/* Once it is settled, at rest and known whole; true: `taken` is set. */
bool tls_take(struct tls *t);
void tls_take_forget(struct tls *t); /* the secrets */
/* A NewSessionTicket, with its head: the SSL object is told if it is kept. */
void tls_take_ticket(struct tls *t, const uint8_t *message, size_t len);
/* The SSL object of a connection that was taken over goes: in any case, or if
 * tickets were all that it was kept for and none is wanted any more. */
void tls_take_release(struct tls *t);
void tls_take_spare(struct tls *t);

/* tls_direct.c: as tls.h has them, of a connection that was taken over. */
enum tls_result tls_direct_read(struct tls *t, uint8_t *plain, size_t cap,
    size_t *len);
enum tls_result tls_direct_write(struct tls *t, const uint8_t *plain,
    size_t len);
void tls_direct_close(struct tls *t);

/* What records_*() have said: why they failed. */
enum tls_result tls_fail_records(struct tls *t);

#endif /* PROXY_TLS_PRIVATE_H */
