#include "proxy/tls_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "conf/certfile.h"
#include "proxy/log.h"

/* The list has one name, after its length. */
static bool
tls_offer_alpn(struct tls *t)
{
	unsigned char list[64];
	size_t len;

	if (t->how->alpn_rule == NEG_ALPN_NONE)
		return true;
	len = strlen(t->how->alpn);
	assert(len > 0 && len < sizeof(list) && len < sizeof(t->told->alpn));
	list[0] = (unsigned char)len;
	memcpy(list + 1, t->how->alpn, len);
	/* Alone among its kind, this one answers 0 when it succeeded. */
	return SSL_set_alpn_protos(t->ssl, list, (unsigned int)len + 1) == 0;
}

bool
tls_set_sni(struct tls *t, const char *sni)
{
	assert(t->context->leg == LEG_SERVER);
	if (strlen(sni) >= sizeof(t->told->sni))
		return false;
	memcpy(t->told->sni, sni, strlen(sni) + 1);
	return SSL_set_tlsext_host_name(t->ssl, tls_unconst(sni)) == 1;
}

static bool
tls_offer_sni(struct tls *t)
{
	return t->server->sni == NULL || tls_set_sni(t, t->server->sni);
}

/* A handshake in messages must end with the server's: in TLS 1.3, and where
 * 1.2 is resumed, the last is the client's.  And where each message is a record
 * of its own, the empty ones that OpenSSL puts between them in TLS 1.0 are one
 * too many: servers that are so old wait for ever for what was in them. */
static void
tls_limit_wrapped(struct tls *t)
{
	if (t->how->wrap != NULL)
		(void)SSL_set_options(t->ssl,
		    SSL_OP_NO_TICKET | SSL_OP_NO_TLSv1_3 |
			SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS);
}

static bool
tls_take_side(struct tls *t)
{
	if (t->context->leg == LEG_SERVER) {
		SSL_set_connect_state(t->ssl);
		return tls_offer_sni(t) && tls_offer_alpn(t);
	}
	SSL_set_accept_state(t->ssl);
	tls_tickets_begin(t);
	return true;
}

struct tls *
tls_new(struct tls_context *c, const struct neg_tls *how,
    const struct server *server)
{
	struct tls *t;
	BIO *bio;

	assert((c->leg == LEG_SERVER) == (server != NULL) && how != NULL);
	ERR_clear_error();
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	queue_init(&t->spill, TLS_SPILL_MAX);
	queue_init(&t->held, TLS_HELD_MAX);
	queue_init(&t->unread, RECORDS_SEALED_MAX);
	t->context = c;
	t->how = how;
	t->server = server;
	if ((t->told = calloc(1, sizeof(*t->told))) == NULL ||
	    (t->ssl = SSL_new(c->ssl)) == NULL ||
	    (bio = tls_bio_new(t)) == NULL)
		goto fail;
	SSL_set_bio(t->ssl, bio, bio);
	tls_limit_wrapped(t);
	if (SSL_set_app_data(t->ssl, t) != 1 || !tls_take_side(t))
		goto fail;
	tls_cleanse(t, true);
	return t;
fail:
	tls_free(t);
	return NULL;
}

void
tls_of_session(struct tls *t, uint64_t session)
{
	t->session = session;
}

const struct neg_tls *
tls_how(const struct tls *t)
{
	return t->how;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	tls_resume_spare(t);
	tls_take_forget(t);
	SSL_free(t->ssl);
	tls_resume_release(t);
	records_free(t->taken);
	records_free(t->teller);
	free(t->told);
	sk_X509_pop_free(t->chain, X509_free);
	queue_fini(&t->spill);
	queue_fini(&t->held);
	queue_fini(&t->unread);
	free(t->failure_text);
	free(t->failure_hint);
	free(t);
}

static enum tls_result
tls_check_server(struct tls *t)
{
	if (!tls_resume_check(t))
		return tls_fail(t, REASON_HANDSHAKE,
		    "the server resumed a session that it was not offered",
		    NULL);
	if (t->how->alpn_rule == NEG_ALPN_REQUIRED && t->told->alpn[0] == '\0')
		return tls_fail(t, REASON_HANDSHAKE,
		    "the server did not agree to the protocol by ALPN",
		    "it may be too old to begin with TLS: set "
		    "tls = { direct = false; }");
	/* OpenSSL has seen to it: a suite without certificates is not among
	 * the ciphers, and the callback refuses.  Yet all depends on it. */
	if (!t->judged || !t->told->verdict.accepted || !t->leaf_known)
		return tls_fail(t, REASON_UNTRUSTED,
		    "the server showed no certificate", NULL);
	return TLS_DONE;
}

static enum tls_result
tls_check_client(struct tls *t)
{
	const struct endpoint *e = t->context->endpoint;

	if (!tls_tickets_check(t))
		return tls_fail(t, REASON_CLIENT_TLS,
		    "the client resumed a session that it was not given", NULL);
	if (t->how->alpn_rule == NEG_ALPN_REQUIRED && t->told->alpn[0] == '\0')
		return tls_fail(t, REASON_CLIENT_TLS,
		    "the client began with TLS but did not name the protocol "
		    "by ALPN",
		    "let the client send it, or ask for TLS in the protocol");
	if (t->judged ? !t->told->verdict.accepted
		      : e->client_verify == CLIENT_VERIFY_REQUIRE)
		return tls_fail(t, REASON_CLIENT_CERTIFICATE,
		    "the client showed no certificate", NULL);
	return TLS_DONE;
}

/* What the hooks could not decide alone.  OpenSSL lets a server choose a
 * protocol that was not offered. */
static enum tls_result
tls_check_secured(struct tls *t)
{
	const unsigned char *alpn;
	unsigned int len;

	SSL_get0_alpn_selected(t->ssl, &alpn, &len);
	if (len > 0) {
		if (t->how->alpn_rule == NEG_ALPN_NONE ||
		    len != strlen(t->how->alpn) ||
		    memcmp(alpn, t->how->alpn, len) != 0)
			return tls_fail(t, REASON_HANDSHAKE,
			    "the server chose a protocol by ALPN that was not "
			    "offered",
			    NULL);
		memcpy(t->told->alpn, alpn, len);
		t->told->alpn[len] = '\0';
	}
	return t->context->leg == LEG_SERVER ? tls_check_server(t)
					     : tls_check_client(t);
}

/* Whether a call that did not succeed only waits for the peer.  One that has
 * left what there is unread does not: OpenSSL says no more than that of an
 * object that failed earlier. */
static bool
tls_waits(const struct tls *t, int returned)
{
	return SSL_get_error(t->ssl, returned) == SSL_ERROR_WANT_READ &&
	    t->io->in_len == 0;
}

enum tls_result
tls_handshake(struct tls *t, struct tls_io *io)
{
	enum tls_result result = TLS_DONE;
	int r;

	if (t->state == TLS_STATE_FAILED)
		return TLS_FAILED;
	assert(t->state == TLS_STATE_HANDSHAKE);
	tls_io_begin(t, io);
	ERR_clear_error();
	if ((r = SSL_do_handshake(t->ssl)) != 1) {
		result = tls_waits(t, r) ? TLS_MORE : tls_fail_openssl(t);
	} else if ((result = tls_check_secured(t)) == TLS_DONE) {
		t->state = TLS_STATE_SECURED;
		tls_resume_secured(t);
		tls_hooks_secured(t);
	}
	tls_io_end(t);
	return result;
}

bool
tls_holds(const struct tls *t)
{
	if (t->taken != NULL || t->state == TLS_STATE_FAILED)
		return false;
	return t->held.len > 0 ||
	    (t->close_wanted &&
		(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN) == 0);
}

/* A renegotiation began to hold it back, and its end lets it go. */
static enum tls_result
tls_send_held(struct tls *t)
{
	size_t done;
	int r;

	if (!tls_holds(t) || SSL_in_init(t->ssl))
		return TLS_DONE;
	ERR_clear_error();
	if (t->held.len > 0) {
		r = SSL_write_ex(t->ssl, queue_data(&t->held), t->held.len,
		    &done);
		if (r != 1)
			return tls_waits(t, r) ? TLS_DONE : tls_fail_openssl(t);
		assert(done == t->held.len);
		queue_consume(&t->held, done);
	}
	if (t->close_wanted && SSL_shutdown(t->ssl) < 0)
		return tls_fail_openssl(t);
	ERR_clear_error();
	return TLS_DONE;
}

static enum tls_result
tls_read_outcome(struct tls *t, int returned)
{
	if (tls_waits(t, returned))
		return TLS_MORE;
	if (SSL_get_error(t->ssl, returned) == SSL_ERROR_ZERO_RETURN)
		return TLS_ENDED;
	return tls_fail_openssl(t);
}

static void
tls_log_worn(struct tls *t)
{
	struct log_line l;

	if (t->worn)
		return;
	t->worn = true;
	if (!log_open(&l, LEVEL_NOTICE, "tls.key_limit"))
		return;
	log_uint(&l, "session", t->session);
	log_endpoint(&l, t->context->endpoint);
	log_text(&l, "leg",
	    t->context->leg == LEG_SERVER ? "server" : "client");
	log_text(&l, "tls", SSL_get_version(t->ssl));
	log_uint(&l, "rekey_records", t->context->rekey_records);
	log_text(&l, "detail",
	    "one key has sealed as many records as it should, and only TLS 1.3 "
	    "can change it");
	log_close(&l);
}

/* The next key; false: OpenSSL failed. */
static bool
tls_next_key(struct tls *t, int asking)
{
	if (SSL_version(t->ssl) == TLS1_3_VERSION)
		return SSL_key_update(t->ssl, asking) == 1;
	tls_log_worn(t);
	return true;
}

/* OpenSSL does not change its key by itself, and the peer may be another:
 * asked, it will; once until it has answered, as RECORDS_GRACE has it.  The
 * question goes with the next read or write. */
static bool
tls_ask_key(struct tls *t)
{
	if (++t->opened < t->context->rekey_records || t->asked ||
	    t->close_wanted)
		return true;
	t->opened = 0;
	t->asked = SSL_version(t->ssl) == TLS1_3_VERSION;
	return tls_next_key(t, SSL_KEY_UPDATE_REQUESTED);
}

static enum tls_result
tls_read_openssl(struct tls *t, uint8_t *plain, size_t cap, size_t *len)
{
	size_t n;
	int r;

	while (*len < cap && t->taken == NULL) {
		/* Clearing goes through all that an error could be. */
		if (ERR_peek_error() != 0)
			ERR_clear_error();
		r = SSL_read_ex(t->ssl, plain + *len, cap - *len, &n);
		if (r != 1)
			return tls_read_outcome(t, r);
		t->received = true;
		t->messages = 0;
		*len += n;
		if (!tls_ask_key(t))
			return tls_fail_openssl(t);
		(void)tls_take(t);
	}
	return TLS_DONE;
}

/* As long as they are OpenSSL's, which may end in the midst of it. */
static enum tls_result
tls_read_records(struct tls *t, uint8_t *plain, size_t cap, size_t *len)
{
	enum tls_result result = TLS_DONE;

	if (t->taken == NULL) {
		result = tls_read_openssl(t, plain, cap, len);
		if (result == TLS_MORE)
			(void)tls_take(t);
	}
	if (t->taken != NULL && result == TLS_DONE)
		return tls_direct_read(t, plain, cap, len);
	return result;
}

enum tls_result
tls_read(struct tls *t, struct tls_io *io, uint8_t *plain, size_t cap,
    size_t *len)
{
	enum tls_result result;

	*len = 0;
	if (t->state == TLS_STATE_FAILED)
		return TLS_FAILED;
	assert(t->state == TLS_STATE_SECURED);
	tls_io_begin(t, io);
	result = tls_read_records(t, plain, cap, len);
	if (result != TLS_FAILED && tls_send_held(t) == TLS_FAILED)
		result = TLS_FAILED;
	tls_io_end(t);
	return result;
}

/* What it has of a record does not count as pending when it is the head, and
 * nothing else. */
static bool
tls_is_between_records(const struct tls *t)
{
	return SSL_has_pending(t->ssl) == 0 &&
	    strcmp(SSL_rstate_string(t->ssl), "RH") == 0;
}

bool
tls_rests(const struct tls *t)
{
	if (t->taken != NULL)
		return t->state == TLS_STATE_SECURED && t->unread.len == 0 &&
		    records_rest(t->taken);
	return t->state == TLS_STATE_SECURED && tls_is_between_records(t) &&
	    !SSL_in_init(t->ssl) && !tls_holds(t);
}

bool
tls_by_record(const struct tls *t)
{
	return t->how->may_stop || t->secrets != NULL;
}

void
tls_cleanse(struct tls *t, bool on)
{
	if (t->ssl == NULL)
		return; /* there is no copy then */
	if (on)
		(void)SSL_set_options(t->ssl, SSL_OP_CLEANSE_PLAINTEXT);
	else
		(void)SSL_clear_options(t->ssl, SSL_OP_CLEANSE_PLAINTEXT);
}

/* Before this key has sealed more than it should. */
static bool
tls_rekey(struct tls *t, size_t len)
{
	uint64_t grace;

	t->records += len / TLS_RECORD_MAX + 1;
	grace = t->asked ? t->records / RECORDS_GRACE : 0;
	if (t->records - grace < t->context->rekey_records)
		return true;
	t->records = 0;
	t->messages = 0; /* OpenSSL's steps over ours are counted with them */
	return tls_next_key(t, SSL_KEY_UPDATE_NOT_REQUESTED);
}

static enum tls_result
tls_hold(struct tls *t, const uint8_t *plain, size_t len)
{
	if (queue_append(&t->held, plain, len))
		return TLS_DONE;
	return tls_fail(t, REASON_TLS_ERROR,
	    "the server takes too long to renegotiate", NULL);
}

static enum tls_result
tls_write_records(struct tls *t, const uint8_t *plain, size_t len)
{
	size_t done;
	int r;

	if (len == 0)
		return TLS_DONE;
	if (t->taken != NULL)
		return tls_direct_write(t, plain, len);
	if (t->held.len > 0)
		return tls_hold(t, plain, len);
	/* It goes through all that an error could be, for every record. */
	if (ERR_peek_error() != 0)
		ERR_clear_error();
	if (!tls_rekey(t, len))
		return tls_fail_openssl(t);
	if ((r = SSL_write_ex(t->ssl, plain, len, &done)) == 1) {
		assert(done == len);
		return TLS_DONE;
	}
	return tls_waits(t, r) ? tls_hold(t, plain, len) : tls_fail_openssl(t);
}

enum tls_result
tls_write(struct tls *t, struct tls_io *io, const uint8_t *plain, size_t len)
{
	enum tls_result result;

	if (t->state == TLS_STATE_FAILED)
		return TLS_FAILED;
	assert(t->state == TLS_STATE_SECURED && !t->close_wanted);
	assert(io->out_cap - io->out_len >= TLS_SEALED_MAX(len));
	tls_io_begin(t, io);
	result = tls_write_records(t, plain, len);
	tls_io_end(t);
	return result;
}

void
tls_close(struct tls *t, struct tls_io *io)
{
	if (t->state != TLS_STATE_SECURED || t->close_wanted)
		return;
	t->close_wanted = true;
	tls_io_begin(t, io);
	if (t->taken != NULL)
		tls_direct_close(t);
	else
		(void)tls_send_held(t);
	tls_io_end(t);
}

const struct cert_verdict *
tls_verdict(const struct tls *t)
{
	static const struct cert_verdict none = { .accepted = false };

	return t->told == NULL ? &none : &t->told->verdict;
}

const char *
tls_version(const struct tls *t)
{
	return t->taken != NULL ? t->version : SSL_get_version(t->ssl);
}

const char *
tls_cipher(const struct tls *t)
{
	const char *name;

	if (t->taken != NULL)
		return t->cipher;
	name = SSL_get_cipher_name(t->ssl);
	return name == NULL ? "" : name;
}

const char *
tls_group(const struct tls *t)
{
	const char *name = NULL;
	long id = 0;

	if (t->taken != NULL)
		return t->group;
	/* It asks the session, without looking whether there is one. */
	if (SSL_get_session(t->ssl) != NULL)
		id = SSL_get_negotiated_group(t->ssl);
	if (id > 0)
		name = SSL_group_to_name(t->ssl, (int)id);
	return name == NULL ? "" : name;
}

const char *
tls_sni(const struct tls *t)
{
	return t->told == NULL ? "" : t->told->sni;
}

const char *
tls_alpn(const struct tls *t)
{
	return t->told == NULL ? "" : t->told->alpn;
}

bool
tls_leaf(const struct tls *t, uint8_t digest[32])
{
	if (t->context->leg == LEG_CLIENT) {
		cert_fingerprint(t->context->own->leaf, digest);
		return true;
	}
	if (t->leaf_known)
		memcpy(digest, t->leaf, sizeof(t->leaf));
	return t->leaf_known;
}

void
tls_same_leaf(struct tls *t, const struct tls *first)
{
	t->leaf_known = tls_leaf(first, t->leaf);
}

bool
tls_identity_asked(const struct tls *t)
{
	return t->asked_identity;
}

const char *
tls_library_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}
