#include "proxy/tls_private.h"

#include <assert.h>
#include <string.h>

#include "conf/certfile.h"

/* Steps of OpenSSL's over KeyUpdates and tickets, with no data in between: each
 * takes it three, or five if it is to be answered. */
#define STEPS_MAX (5 * 1024)

/* The alert that OpenSSL sends follows from the code: never let it be "ok". */
static int
tls_refuse_chain(X509_STORE_CTX *ctx, int x509_error)
{
	X509_STORE_CTX_set_error(ctx,
	    x509_error == X509_V_OK ? X509_V_ERR_CERT_REJECTED : x509_error);
	return 0;
}

static const struct target *
tls_target(const struct tls *t)
{
	return t->server == NULL ? NULL : &t->server->target;
}

/* A renegotiation is no way to become somebody else. */
static bool
tls_leaf_is_new(struct tls *t, const X509 *leaf)
{
	uint8_t digest[32];

	cert_fingerprint(leaf, digest);
	if (!t->leaf_known) {
		memcpy(t->leaf, digest, sizeof(t->leaf));
		t->leaf_known = true;
		return false;
	}
	return memcmp(t->leaf, digest, sizeof(t->leaf)) != 0;
}

/* A handshake that begins anew is told of like any other; a renegotiation has
 * no verdict of its own. */
static bool
tls_refuse_leaf(struct tls *t)
{
	struct cert_verdict *v = &t->told->verdict;

	(void)snprintf(v->text, sizeof(v->text),
	    "server showed another certificate in its second handshake than in "
	    "its first");
	(void)snprintf(v->hint, sizeof(v->hint), "%s",
	    t->how->not_same == NULL ? "" : t->how->not_same);
	v->accepted = false;
	v->reason = REASON_PIN_MISMATCH;
	v->x509_error = X509_V_ERR_APPLICATION_VERIFICATION;
	v->depth = 0;
	v->verified = VERIFIED_NONE;
	return false;
}

static bool
tls_judge(struct tls *t, STACK_OF(X509) *sent, bool same_leaf)
{
	const struct tls_context *c = t->context;

	t->judged = true;
	return trust_judge(c->trust, c->store, sent, tls_target(t), 0,
		   &t->told->verdict) &&
	    (same_leaf || tls_refuse_leaf(t));
}

static void
tls_keep_chain(struct tls *t, STACK_OF(X509) *sent)
{
	sk_X509_pop_free(t->chain, X509_free);
	t->chain = X509_chain_up_ref(sent);
}

/* In place of OpenSSL's own verification, for both legs: 1 or 0. */
static int
tls_on_chain(X509_STORE_CTX *ctx, void *arg)
{
	const struct tls_context *c = arg;
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(ctx);
	struct tls *t = ssl == NULL ? NULL : SSL_get_app_data(ssl);
	bool changed;

	if (t == NULL || c->trust == NULL || sk_X509_num(sent) < 1)
		return tls_refuse_chain(ctx, X509_V_ERR_UNSPECIFIED);
	if (c->keep_chain)
		tls_keep_chain(t, sent);
	changed =
	    c->leg == LEG_SERVER && tls_leaf_is_new(t, sk_X509_value(sent, 0));
	if (changed && !t->how->anew) {
		t->leaf_changed = true;
		return tls_refuse_chain(ctx, X509_V_ERR_CERT_REJECTED);
	}
	if (!tls_judge(t, sent, !changed))
		return tls_refuse_chain(ctx, t->told->verdict.x509_error);
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

/* Which version the peer speaks, for the sentence where it is refused. */
static void
tls_on_message(int sent, int version, int type, const void *bytes, size_t len,
    SSL *ssl, void *arg)
{
	struct rd r = { .at = bytes, .left = len };
	struct tls *t = SSL_get_app_data(ssl);
	uint8_t message = rd_u8(&r);

	(void)version;
	(void)arg;
	if (t->secrets != NULL)
		tls_take_watch(t, sent != 0, type, bytes, len);
	if (sent != 0 || type != SSL3_RT_HANDSHAKE ||
	    (message != SSL3_MT_SERVER_HELLO &&
		message != SSL3_MT_CLIENT_HELLO))
		return;
	rd_skip(&r, SSL3_HM_HEADER_LENGTH - 1);
	t->hello_version = rd_be16(&r);
}

/* The peer's next key is here. */
static bool
tls_has_key_update(const SSL *ssl)
{
	OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);

	return state == TLS_ST_CR_KEY_UPDATE || state == TLS_ST_SR_KEY_UPDATE;
}

/* Each takes longer than a good many records of data, and OpenSSL would go
 * through all that there are in one call. */
static void
tls_on_step(const SSL *ssl, int where, int value)
{
	struct tls *t = SSL_get_app_data(ssl);

	(void)value;
	if ((where & SSL_CB_LOOP) == 0 || t == NULL ||
	    t->state != TLS_STATE_SECURED)
		return;
	if (tls_has_key_update(ssl)) {
		t->asked = false;
		t->opened = 0;
	}
	if (++t->messages <= STEPS_MAX)
		return;
	(void)tls_fail(t, REASON_TLS_ERROR,
	    t->context->leg == LEG_SERVER
		? "the server sent too many KeyUpdates or tickets for no data"
		: "the client sent too many KeyUpdates for no data",
	    NULL);
}

/* The server asks for a certificate of ours; what there is has been set. */
static int
tls_on_identity(SSL *ssl, void *arg)
{
	struct tls *t = SSL_get_app_data(ssl);

	(void)arg;
	t->asked_identity = true;
	return 1;
}

/* Any name is accepted: which server it is depends on the listener alone. */
static int
tls_on_sni(SSL *ssl, int *alert, void *arg)
{
	struct tls *t = SSL_get_app_data(ssl);
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	(void)arg;
	if (name == NULL || strlen(name) >= sizeof(t->told->sni))
		return SSL_TLSEXT_ERR_NOACK;
	memcpy(t->told->sni, name, strlen(name) + 1);
	return SSL_TLSEXT_ERR_OK;
}

/* Called only where the client has sent a list. */
static int
tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned int in_len, void *arg)
{
	const struct tls *t = SSL_get_app_data(ssl);
	size_t want_len, at, len;

	(void)arg;
	if (t->how->alpn_rule == NEG_ALPN_NONE)
		return SSL_TLSEXT_ERR_NOACK;
	want_len = strlen(t->how->alpn);
	for (at = 0; at < in_len; at += 1 + len) {
		len = in[at];
		if (len > in_len - at - 1)
			break;
		if (len != want_len ||
		    memcmp(in + at + 1, t->how->alpn, len) != 0)
			continue;
		*out = in + at + 1;
		*out_len = (unsigned char)len;
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int
tls_verify_mode(const struct tls_context *c)
{
	if (c->leg == LEG_SERVER)
		return SSL_VERIFY_PEER;
	switch (c->endpoint->client_verify) {
	case CLIENT_VERIFY_NONE:
		return SSL_VERIFY_NONE;
	case CLIENT_VERIFY_OPTIONAL:
		return SSL_VERIFY_PEER;
	case CLIENT_VERIFY_REQUIRE:
		break;
	}
	return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

void
tls_hooks_install(struct tls_context *c)
{
	SSL_CTX_set_verify(c->ssl, tls_verify_mode(c), NULL);
	SSL_CTX_set_cert_verify_callback(c->ssl, tls_on_chain, c);
	SSL_CTX_set_msg_callback(c->ssl, tls_on_message);
	SSL_CTX_set_info_callback(c->ssl, tls_on_step);
	if (c->leg == LEG_SERVER) {
		SSL_CTX_set_cert_cb(c->ssl, tls_on_identity, NULL);
		return;
	}
	SSL_CTX_set_tlsext_servername_callback(c->ssl, tls_on_sni);
	SSL_CTX_set_alpn_select_cb(c->ssl, tls_on_alpn, NULL);
}

void
tls_hooks_secured(struct tls *t)
{
	if (t->secrets == NULL)
		SSL_set_msg_callback(t->ssl, NULL);
}
