#include "proxy/tls_tickets.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "proxy/ticket_keys.h"
#include "proxy/tls_private.h"

/* Of TLS 1.3; a client that connects again gets another. */
#define TICKETS_A_HANDSHAKE 1
/* Each resumption hands on the verdict, which is found anew after so long. */
#define TICKET_TRUST_SECONDS ((time_t)24 * 60 * 60)

struct tls_tickets {
	struct ticket_keys *keys; /* the endpoint's */
	struct ticket_key_ring ring;
	EVP_CIPHER *cipher;
};

/* What a ticket carries of ours besides the session: a client's verdict is no
 * more than that, and when it was found. */
#define TICKET_VERSION 1
struct ticket_note {
	bool judged; /* it has shown a certificate, and that was accepted */
	int64_t since;
	int64_t until; /* 0: for ever, as far as that goes */
};
#define TICKET_NOTE_LEN (2 + 2 * sizeof(uint64_t))

static void
write_time(struct wr *w, int64_t t)
{
	wr_be32(w, (uint32_t)((uint64_t)t >> 32));
	wr_be32(w, (uint32_t)t);
}

static int64_t
read_time(struct rd *r)
{
	uint64_t high = rd_be32(r);

	return (int64_t)(high << 32 | rd_be32(r));
}

static bool
note_write(const struct ticket_note *n, SSL_SESSION *session)
{
	uint8_t bytes[TICKET_NOTE_LEN];
	struct wr w = { .base = bytes, .cap = sizeof(bytes) };

	wr_u8(&w, TICKET_VERSION);
	wr_u8(&w, n->judged ? 1 : 0);
	write_time(&w, n->since);
	write_time(&w, n->until);
	return SSL_SESSION_set1_ticket_appdata(session, bytes, sizeof(bytes)) ==
	    1;
}

static bool
note_read(SSL_SESSION *session, struct ticket_note *n)
{
	struct rd r = { .left = 0 };
	void *data = NULL;
	uint8_t version;

	if (SSL_SESSION_get0_ticket_appdata(session, &data, &r.left) != 1 ||
	    data == NULL)
		return false;
	r.at = data;
	version = rd_u8(&r);
	n->judged = rd_u8(&r) != 0;
	n->since = read_time(&r);
	n->until = read_time(&r);
	return !r.cut && r.left == 0 && version == TICKET_VERSION;
}

/* The clock may have been set back, too. */
static bool
note_holds(const struct ticket_note *n, time_t now)
{
	return now >= n->since && now - n->since < TICKET_TRUST_SECONDS &&
	    (n->until == 0 || now < n->until);
}

/*
 * Sealing and opening.
 */

static bool
tickets_init(struct tls_tickets *k, const struct ticket_key *key,
    const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
    bool seal)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
		    0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_init(mac, key->mac, sizeof(key->mac), params) == 1 &&
	    EVP_CipherInit_ex2(cipher, k->cipher, key->cipher, iv, seal,
		NULL) == 1;
}

/* A ticket's key by its name; NULL if it is none of ours, or no more. */
static const struct ticket_key *
tickets_key(const struct tls_tickets *k, const unsigned char *name)
{
	const struct ticket_key_ring *r = &k->ring;

	if (memcmp(name, r->now.name, sizeof(r->now.name)) == 0)
		return &r->now;
	if (r->over != 0 &&
	    memcmp(name, r->before.name, sizeof(r->before.name)) == 0)
		return &r->before;
	return NULL;
}

/* OpenSSL's: 1 is well, 0 no ticket, or not this one, 2 well, but give it a new
 * one, -1 a failure, which ends the handshake. */
static int
tickets_on_key(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	struct tls *t = SSL_get_app_data(ssl);
	struct tls_tickets *k = t->context->tickets;
	const struct ticket_key *key;

	if (!ticket_keys_copy(k->keys, &k->ring, time(NULL)))
		return -1;
	if (seal == 0) {
		if ((key = tickets_key(k, name)) == NULL)
			return 0;
		if (!tickets_init(k, key, iv, cipher, mac, false))
			return -1;
		return key == &k->ring.now ? 1 : 2;
	}
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(k->cipher)) != 1)
		return -1;
	memcpy(name, k->ring.now.name, sizeof(k->ring.now.name));
	return tickets_init(k, &k->ring.now, iv, cipher, mac, true) ? 1 : -1;
}

/* What was resumed hands on what it had: OpenSSL has copied that already. */
static int
tickets_on_give(SSL *ssl, void *arg)
{
	const struct tls *t = SSL_get_app_data(ssl);
	const struct ticket_note note = { .judged = t->judged,
		.since = time(NULL),
		.until = t->told->verdict.until };

	(void)arg;
	if (SSL_session_reused(ssl) == 1)
		return 1;
	return note_write(&note, SSL_get_session(ssl)) ? 1 : 0;
}

static SSL_TICKET_RETURN
tickets_on_take(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
    size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
	struct ticket_note note;

	(void)ssl;
	(void)name;
	(void)name_len;
	(void)arg;
	if ((status != SSL_TICKET_SUCCESS &&
		status != SSL_TICKET_SUCCESS_RENEW) ||
	    !note_read(session, &note) || !note_holds(&note, time(NULL)))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
					    : SSL_TICKET_RETURN_USE_RENEW;
}

/*
 * A context's, and a connection's.
 */

static bool
tickets_install(struct tls_context *c)
{
	/* OpenSSL wants a word for whose sessions these are before it resumes
	 * any of clients with certificates; the keys say more than that. */
	static const unsigned char whose[] = "dbtls";

	if (SSL_CTX_set_session_id_context(c->ssl, whose, sizeof(whose) - 1) !=
		1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(c->ssl, tickets_on_key) != 1 ||
	    SSL_CTX_set_session_ticket_cb(c->ssl, tickets_on_give,
		tickets_on_take, NULL) != 1)
		return false;
	(void)SSL_CTX_set_timeout(c->ssl, TICKET_KEY_SECONDS);
	return true;
}

bool
tls_context_tickets(struct tls_context *c, struct ticket_keys *keys)
{
	struct tls_tickets *k;

	if (c->leg != LEG_CLIENT || (k = calloc(1, sizeof(*k))) == NULL)
		return false;
	ERR_clear_error();
	k->keys = keys;
	k->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (k->cipher != NULL && tickets_install(c)) {
		c->tickets = k;
		return true;
	}
	tls_tickets_free(k);
	ERR_clear_error();
	return false;
}

void
tls_context_tidy(struct tls_context *c)
{
	if (c != NULL && c->tickets != NULL)
		ticket_keys_tidy(c->tickets->keys, &c->tickets->ring,
		    time(NULL));
}

void
tls_tickets_free(struct tls_tickets *k)
{
	if (k == NULL)
		return;
	EVP_CIPHER_free(k->cipher);
	explicit_bzero(k, sizeof(*k));
	free(k);
}

void
tls_tickets_begin(struct tls *t)
{
	const struct neg_tls *how = t->how;

	if (t->context->tickets == NULL || how->no_resume ||
	    how->wrap != NULL || how->may_stop)
		return;
	(void)SSL_clear_options(t->ssl, SSL_OP_NO_TICKET);
	(void)SSL_set_num_tickets(t->ssl, TICKETS_A_HANDSHAKE);
}

bool
tls_tickets_check(struct tls *t)
{
	struct ticket_note note;

	if (SSL_session_reused(t->ssl) == 0)
		return true;
	/* OpenSSL has asked us, and yet all depends on it. */
	if (t->context->tickets == NULL ||
	    !note_read(SSL_get_session(t->ssl), &note))
		return false;
	t->resuming.resumed = true;
	t->judged = note.judged;
	t->told->verdict.accepted = note.judged;
	if (note.judged)
		t->told->verdict.verified = VERIFIED_CA;
	t->told->verdict.until = note.until;
	return true;
}
