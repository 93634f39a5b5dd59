/*
 * tls.h - TLS on one leg, over memory
 *
 * A struct tls never sees a socket.  The leg hands it ciphertext that arrived
 * and room for ciphertext to be sent, and it moves bytes between those and
 * plaintext; whole flights and many records at a time, so that one recv() and
 * one send() serve them all.  Everything about certificates is settled inside
 * the handshake, by trust_judge() in OpenSSL's own verify callback: when
 * tls_handshake() says TLS_DONE there is nothing left to check.
 *
 * A context is made once per endpoint, side and thread, when the thread starts;
 * no file is read after that.  OpenSSL's error queue is cleared before each
 * call into it.
 *
 * Only tls*.c, secrets.c and conf/ see OpenSSL.
 *
 * Nothing outside the endpoint's own settings has a say in how strict TLS is:
 * tls_init() keeps OpenSSL from reading openssl.cnf at all, and besides each
 * context sets versions, level, ciphers, groups, signatures, options and
 * verification itself, so that it holds even where somebody did read it.
 */
#ifndef PROXY_TLS_H
#define PROXY_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "conf/endpoint.h"
#include "conf/err.h"
#include "conf/verdict.h"
#include "protocols/negotiator.h"

/* First thing in main(), before any thread and any other use of OpenSSL. */
int tls_init(struct err *err);

struct tls;
struct tls_context;
struct tls_stores; /* a thread's X509_STOREs, shared by equal anchors */

struct tls_stores *tls_stores_new(void);
/* After every context made of it, and every connection. */
void tls_stores_free(struct tls_stores *s);

/* What openssl.cnf and the environment say never weakens a context.  Of an
 * endpoint that has no TLS on that leg there is no context to be made. */
struct tls_context *tls_context_new(const struct endpoint *e, enum leg_id leg,
    struct tls_stores *stores, struct err *err);
void tls_context_free(struct tls_context *c); /* accepts NULL */

/* For `check`: what is effective, as OpenSSL has it after all is set. */
struct tls_effective {
	char versions[64];  /* "TLSv1.2 TLSv1.3" */
	char ciphers[4096]; /* names with ':' between, in order */
	char groups[512];
	int seclevel;
	bool resumes; /* sessions of servers; of clients, who have tickets */
	bool legacy;  /* less than TLS 1.2 or level 2 is let through */
};
void tls_context_effective(const struct tls_context *c,
    struct tls_effective *out);

/* A client leg gives its clients tickets, sealed under these, which outlive it:
 * those of the endpoint, on all its threads.  Without it there are none.  False
 * if OpenSSL cannot, or memory is short. */
struct ticket_keys;
bool tls_context_tickets(struct tls_context *c, struct ticket_keys *keys)
    __attribute__((warn_unused_result));

/* From time to time: wipes what nobody has use for any more. */
void tls_context_tidy(struct tls_context *c); /* accepts NULL */

/* One connection.  `server` is the one that was dialled (its names, pins and
 * SNI), NULL on the client's leg.  NULL if memory is short. */
struct tls *tls_new(struct tls_context *c, const struct neg_tls *how,
    const struct server *server);
/* Before the handshake: this name in the place of the server's SNI, which says
 * nothing of the names that its certificate must bear.  False if it is longer
 * than an SNI can be, or memory is short. */
bool tls_set_sni(struct tls *t, const char *sni)
    __attribute__((warn_unused_result));
/* Toward a server, last before the handshake: a session may be resumed that
 * was made with the same server at this address in the same way, and whose
 * verdict holds now (tls.resume; tls_resume.h).  Without this none is. */
void tls_resume(struct tls *t, const struct address *address);
/* The peer left in the middle of the handshake, or its socket failed. */
void tls_peer_left(struct tls *t);
/* Also of a client that had a ticket. */
bool tls_resumed(const struct tls *t);
/* What the log calls it. */
void tls_of_session(struct tls *t, uint64_t session);
void tls_free(struct tls *t); /* accepts NULL; sends nothing */
const struct neg_tls *tls_how(const struct tls *t);

/* Where ciphertext comes from and goes to during one call. */
struct tls_io {
	const uint8_t *in; /* what arrived and was not read yet: moved along */
	size_t in_len;
	uint8_t *out; /* written at out + out_len */
	size_t out_len;
	size_t out_cap;
};

enum tls_result {
	TLS_DONE = 0, /* did all that was asked */
	TLS_MORE,     /* io->in is used up, and more is needed */
	TLS_ENDED,    /* the peer sent close_notify: its direction is over */
	TLS_FAILED,   /* tls_error() says why; io->out may hold an alert */
};

/*
 * TLS_DONE: the connection is secured, verified, and the ALPN rule kept.
 * What is left of io->in belongs to tls_read().
 */
enum tls_result tls_handshake(struct tls *t, struct tls_io *io);

/* Decrypts all of io->in that `cap` has room for; *len is what was written,
 * also when the result is not TLS_DONE.  TLS_DONE: `plain` is full.  TLS_MORE:
 * all has been read.
 * May write to io->out (KeyUpdate, a renegotiation): give it TLS_REPLY_MAX of
 * room.  What does not fit waits inside for the next call of any kind, so if
 * io->out comes back full, send it and call again. */
#define TLS_REPLY_MAX 16384
enum tls_result tls_read(struct tls *t, struct tls_io *io, uint8_t *plain,
    size_t cap, size_t *len);

/* Whether OpenSSL's own copy of what was read is wiped at once: on at first,
 * for a password may come; off for a relay, where it would cost as much as a
 * good part of decrypting. */
void tls_cleanse(struct tls *t, bool on);

/* The protocol has no more to change in this connection's TLS: where the
 * endpoint wants it (tls.records, or tls.ktls if `kernel`) and its version and
 * suite allow it, our own record layer takes over, as soon as it rests between
 * two records.  What the handshake has brought to light may be gone then:
 * verdict, SNI and ALPN are asked for before. */
void tls_settle(struct tls *t, bool kernel);

/* Between records, with nothing of one taken in or decrypted already: what
 * comes next on the socket begins anew. */
bool tls_rests(const struct tls *t);

/* Does tls_read() want one record at a time, and no byte of what stands behind
 * it?  Where TLS may stop. */
bool tls_by_record(const struct tls *t);

/* Encrypts all of `plain` into full records.  io->out must have room for
 * TLS_SEALED_MAX(len). */
enum tls_result tls_write(struct tls *t, struct tls_io *io,
    const uint8_t *plain, size_t len);
#define TLS_RECORD_MAX      16384
#define TLS_RECORD_OVERHEAD 256 /* of any version and cipher */
#define TLS_SEALED_MAX(len) \
	((len) + ((len) / TLS_RECORD_MAX + 1) * TLS_RECORD_OVERHEAD)
/* The most that one handshake call may write: our flight, with its chain. */
#define TLS_FLIGHT_MAX (128 * 1024)

/* close_notify into io->out, once; TLS_SEALED_MAX(0) of room. */
void tls_close(struct tls *t, struct tls_io *io);

/* While a server renegotiates nothing can be sent: what tls_write() took waits
 * inside, a close_notify too, until a tls_read() that comes to the end of it
 * writes them to io->out.  No FIN before that. */
bool tls_holds(const struct tls *t);

/*
 * Kernel TLS (ktls.h): the kernel seals and opens in our place, from then on
 * when the records were our own, between two of them, and none of the peer's
 * ciphertext is in user space.  What is no application data comes here still.
 */
#define TLS_KERNEL(suite) (1u << ((suite)&0xf)) /* TLS 1.3's 0x1301 to 0x1303 */
/* The connections of these suites are to be given to it. */
void tls_context_kernel(struct tls_context *c, unsigned suites);

/* Is this one of them, and its records our own by now? */
bool tls_kernel_wanted(const struct tls *t);
/* What the record that has begun lacks, as far as is known; 0 between records.
 * Only of a connection whose records are our own. */
size_t tls_lacks(const struct tls *t);

struct records_kernel_key; /* tls_records.h */
struct records_orders;
bool tls_kernel_key(const struct tls *t, bool sending,
    struct records_kernel_key *key) __attribute__((warn_unused_result));
/* At rest: from here on none of tls_read(), tls_write() and tls_close(). */
void tls_kernel(struct tls *t);
/* A record of another type than application data, opened.  TLS_DONE, TLS_ENDED
 * or TLS_FAILED; `orders` are to be carried out whichever it is. */
enum tls_result tls_kernel_control(struct tls *t, uint8_t type,
    const uint8_t *bytes, size_t len, struct records_orders *orders);
/* So many more were sealed: TLS_DONE, or TLS_FAILED. */
enum tls_result tls_kernel_sealed(struct tls *t, uint64_t records,
    struct records_orders *orders);
/* close_notify, once: `orders` are empty the second time. */
void tls_kernel_close(struct tls *t, struct records_orders *orders);
/* The kernel could not go on: errno.  Always TLS_FAILED; `orders` as above. */
enum tls_result tls_kernel_failed(struct tls *t, int error,
    struct records_orders *orders);

/* Why TLS_FAILED: a reason of the vocabulary, a sentence and a remedy (hint
 * may be NULL).  For a certificate that was refused these are the verdict's. */
struct tls_failure {
	enum reason reason;
	const char *text;
	const char *hint;
};
struct tls_failure tls_error(const struct tls *t);

/* The peer's certificate as judged; accepted false and reason none if there
 * was none to judge. */
const struct cert_verdict *tls_verdict(const struct tls *t);
const char *tls_version(const struct tls *t); /* "TLSv1.3" */
const char *tls_cipher(const struct tls *t);
const char *tls_group(const struct tls *t); /* "X25519"; "" if not known */
const char *tls_sni(const struct tls *t);   /* sent or received; "" if none */
const char *tls_alpn(const struct tls *t);  /* selected; "" if none */
/* SHA-256 of the leaf of this leg: the peer's toward a server, our own toward
 * a client.  False if there is none. */
bool tls_leaf(const struct tls *t, uint8_t digest[32]);
/* Before its handshake: the server has to show the certificate that it showed
 * on `first`, of the same socket, besides all that is demanded anyhow. */
void tls_same_leaf(struct tls *t, const struct tls *first);

/* Has the server asked for a certificate of ours? */
bool tls_identity_asked(const struct tls *t);

/*
 * Evidence for `dbtls test`, also of a handshake that failed.  There is none
 * unless tls_context_keep_chain() was called on the context.
 */
struct cert_facts; /* certfile.h */
void tls_context_keep_chain(struct tls_context *c);

/* The chain as the peer sent it, in PEM, malloc'ed; NULL if it sent none. */
char *tls_chain_pem(const struct tls *t);
/* The same in words, leaf first. */
void tls_chain_each(const struct tls *t,
    void (*tell)(const struct cert_facts *f, void *arg), void *arg);
/* The trust anchor of a verdict; false if it has none. */
bool tls_anchor(const struct tls *t, const struct cert_verdict *v,
    struct cert_facts *f);
/* Another verdict on the same chain, as of another time; false if there is
 * none to judge. */
bool tls_judge_at(const struct tls *t, time_t at, struct cert_verdict *v);
/* Does the leaf bear the name that is wanted, whatever else is wrong with it?
 * `text` is that name, or those it does carry. */
bool tls_name_fits(const struct tls *t, char *text, size_t size);

/* "OpenSSL 3.0.19 27 Jan 2026": the library that runs, not the one we were
 * compiled with. */
const char *tls_library_version(void);

#endif /* PROXY_TLS_H */
