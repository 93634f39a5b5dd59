#include "proxy/tls_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/tls1.h>

#define HINT_OLD_SERVER                  \
	"an old server is admitted by: " \
	"tls = { min = \"1.0\"; seclevel = 0; };"
#define HINT_OLD_CLIENT "let the client use TLS 1.2 or later"
#define HINT_WEAK_DH    "admit it with: tls = { seclevel = 1; };"
#define HINT_LOG        "the server's own log may say more"

/* What a failure is about, where that decides more than its words. */
enum tls_cause {
	TLS_CAUSE_OTHER = 0,
	TLS_CAUSE_VERSION,  /* no version in common */
	TLS_CAUSE_IDENTITY, /* an alert about a certificate of ours */
	TLS_CAUSE_WEAK,
	TLS_CAUSE_CERTIFICATE, /* the client did not show one */
	TLS_CAUSE_MEMORY,
};

/* One way to fail.  `what` follows "the server" or "the client"; hints are
 * for the server's and for the client's leg. */
struct tls_row {
	int code;
	enum tls_cause cause;
	const char *what;
	const char *hint[LEG_COUNT];
};

/* What OpenSSL objected to. */
static const struct tls_row tls_objections[] = {
	{ SSL_R_UNSUPPORTED_PROTOCOL, TLS_CAUSE_VERSION, NULL, { NULL } },
	{ SSL_R_VERSION_TOO_LOW, TLS_CAUSE_VERSION, NULL, { NULL } },
	{ SSL_R_WRONG_SSL_VERSION, TLS_CAUSE_VERSION, NULL, { NULL } },
	{ SSL_R_NO_SHARED_CIPHER, TLS_CAUSE_OTHER,
	    "has no cipher in common with us",
	    { HINT_OLD_CLIENT, HINT_OLD_SERVER } },
	{ SSL_R_NO_SUITABLE_KEY_SHARE, TLS_CAUSE_OTHER,
	    "has no group for the key exchange in common with us",
	    { NULL, "see tls.groups" } },
	{ SSL_R_NO_SUITABLE_GROUPS, TLS_CAUSE_OTHER,
	    "has no group for the key exchange in common with us",
	    { NULL, "see tls.groups" } },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, TLS_CAUSE_OTHER,
	    "accepts no signature that our certificate can give",
	    { "use a certificate with another kind of key", NULL } },
	{ SSL_R_UNKNOWN_CIPHER_RETURNED, TLS_CAUSE_OTHER,
	    "chose a cipher that does not exist", { NULL } },
	{ SSL_R_WRONG_CIPHER_RETURNED, TLS_CAUSE_OTHER,
	    "chose a cipher that was not offered", { NULL } },
	{ SSL_R_DH_KEY_TOO_SMALL, TLS_CAUSE_WEAK,
	    "uses Diffie-Hellman parameters that are too small",
	    { NULL, HINT_WEAK_DH } },
	{ SSL_R_WRONG_CURVE, TLS_CAUSE_OTHER,
	    "uses a curve that was not offered", { NULL, "see tls.groups" } },
	{ SSL_R_WRONG_SIGNATURE_TYPE, TLS_CAUSE_WEAK,
	    "signs in a way that is not allowed, probably with SHA-1",
	    { NULL, "admit it with: tls = { seclevel = 0; };" } },
	{ SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED, TLS_CAUSE_WEAK,
	    "does not know secure renegotiation (RFC 5746)",
	    { NULL, "the server must be updated: this is never admitted" } },
	{ SSL_R_INAPPROPRIATE_FALLBACK, TLS_CAUSE_OTHER,
	    "fell back to an older TLS than it knows", { NULL } },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, TLS_CAUSE_CERTIFICATE,
	    "showed no certificate",
	    { "give the client one that the endpoint's client_tls.ca issued",
		NULL } },
	{ SSL_R_NO_APPLICATION_PROTOCOL, TLS_CAUSE_OTHER,
	    "offers only other protocols by ALPN",
	    { "is this the port that the client means?", NULL } },
	{ SSL_R_BAD_EXTENSION, TLS_CAUSE_OTHER,
	    "sent a TLS extension that is wrong or was not offered", { NULL } },
	{ SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, TLS_CAUSE_OTHER,
	    "sent a record that was damaged or forged on its way", { NULL } },
	{ SSL_R_BAD_RECORD_TYPE, TLS_CAUSE_OTHER,
	    "sent something that is no TLS record", { NULL } },
	{ SSL_R_UNEXPECTED_MESSAGE, TLS_CAUSE_OTHER,
	    "sent a TLS message that is out of place", { NULL } },
	{ SSL_R_EXCESSIVE_MESSAGE_SIZE, TLS_CAUSE_OTHER,
	    "sent a TLS message that is too long", { NULL } },
	{ SSL_R_NO_RENEGOTIATION, TLS_CAUSE_OTHER, "refused to renegotiate",
	    { NULL } },
	{ ERR_R_MALLOC_FAILURE, TLS_CAUSE_MEMORY, NULL, { NULL } },
	{ 0, TLS_CAUSE_OTHER, NULL, { NULL } },
};

/* What the peer objected to; without words, OpenSSL's are used. */
static const struct tls_row tls_alerts[] = {
	{ TLS1_AD_PROTOCOL_VERSION, TLS_CAUSE_VERSION, NULL, { NULL } },
	{ SSL3_AD_HANDSHAKE_FAILURE, TLS_CAUSE_IDENTITY,
	    "accepts none of the versions, ciphers and groups offered",
	    { NULL, HINT_OLD_SERVER } },
	{ TLS1_AD_INSUFFICIENT_SECURITY, TLS_CAUSE_OTHER,
	    "wants stronger ciphers than were offered",
	    { NULL, "see tls.ciphers and tls.ciphersuites" } },
	{ TLS1_AD_UNRECOGNIZED_NAME, TLS_CAUSE_OTHER,
	    "does not know the name that was asked for (SNI)",
	    { NULL, "set sni to a name that it knows" } },
	{ TLS1_AD_NO_APPLICATION_PROTOCOL, TLS_CAUSE_OTHER,
	    "does not speak this protocol, it says by ALPN",
	    { NULL, "is this the port of the database?" } },
	{ SSL3_AD_BAD_CERTIFICATE, TLS_CAUSE_IDENTITY, NULL, { NULL } },
	{ SSL3_AD_UNSUPPORTED_CERTIFICATE, TLS_CAUSE_IDENTITY, NULL, { NULL } },
	{ SSL3_AD_CERTIFICATE_REVOKED, TLS_CAUSE_IDENTITY, NULL, { NULL } },
	{ SSL3_AD_CERTIFICATE_EXPIRED, TLS_CAUSE_IDENTITY, NULL, { NULL } },
	{ SSL3_AD_CERTIFICATE_UNKNOWN, TLS_CAUSE_IDENTITY, NULL, { NULL } },
	{ TLS1_AD_UNKNOWN_CA, TLS_CAUSE_IDENTITY, NULL, { NULL } },
	{ TLS1_AD_ACCESS_DENIED, TLS_CAUSE_IDENTITY, NULL, { NULL } },
	{ TLS1_AD_DECRYPT_ERROR, TLS_CAUSE_IDENTITY, NULL, { NULL } },
	{ TLS13_AD_CERTIFICATE_REQUIRED, TLS_CAUSE_IDENTITY, NULL, { NULL } },
	{ 0, TLS_CAUSE_OTHER, NULL, { NULL } },
};

static const struct tls_row *
tls_row_find(const struct tls_row *row, int code)
{
	while (row->code != 0 && row->code != code)
		row++;
	return row;
}

static enum reason
tls_reason(const struct tls *t)
{
	return t->context->leg == LEG_SERVER ? REASON_HANDSHAKE
					     : REASON_CLIENT_TLS;
}

static const char *
tls_party(const struct tls *t)
{
	return t->context->leg == LEG_SERVER ? "server" : "client";
}

enum tls_result
tls_fail(struct tls *t, enum reason reason, const char *text, const char *hint)
{
	if (t->state == TLS_STATE_FAILED)
		return TLS_FAILED;
	/* A session that has begun is not refused any more, but for what the
	 * server had still to say of the handshake. */
	if (t->state == TLS_STATE_SECURED && reason != REASON_IDENTITY &&
	    reason != REASON_INTERNAL)
		reason = REASON_TLS_ERROR;
	t->state = TLS_STATE_FAILED;
	t->failure = (struct tls_failure){ .reason = reason,
		.text = text,
		.hint = hint };
	return TLS_FAILED;
}

/* The same with words that had to be put together. */
static enum tls_result __attribute__((format(printf, 4, 5))) tls_fail_format(
    struct tls *t, enum reason reason, const char *hint, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&t->failure_text, fmt, ap);
	va_end(ap);
	if (n == -1)
		t->failure_text = NULL;
	return tls_fail(t, reason, n == -1 ? "TLS failed" : t->failure_text,
	    hint);
}

/* OpenSSL's list of words lacks what TLS 1.3 brought. */
static const char *
tls_alert_word(int alert)
{
	switch (alert) {
	case TLS13_AD_MISSING_EXTENSION:
		return "missing extension";
	case TLS13_AD_CERTIFICATE_REQUIRED:
		return "certificate required";
	case TLS1_AD_NO_APPLICATION_PROTOCOL:
		return "no application protocol";
	}
	return SSL_alert_desc_string_long(alert);
}

static const char *
tls_version_word(int version)
{
	switch (version) {
	case SSL3_VERSION:
		return "SSL 3.0";
	case TLS1_VERSION:
		return "TLS 1.0";
	case TLS1_1_VERSION:
		return "TLS 1.1";
	case TLS1_2_VERSION:
		return "TLS 1.2";
	case TLS1_3_VERSION:
		return "TLS 1.3";
	}
	return "another version";
}

/* Is there a newer version that the settings keep from being offered? */
static bool
tls_max_bounds(const struct tls *t)
{
	int max = t->context->settings->max;

	return max != 0 && max < TLS1_3_VERSION;
}

/* How to meet a server whose versions are not ours. */
static const char *
tls_version_hint(const struct tls *t)
{
	const struct tls_settings *s = t->context->settings;

	if (t->context->leg == LEG_CLIENT)
		return HINT_OLD_CLIENT;
	if (t->hello_version == SSL3_VERSION)
		return "no setting admits SSL 3.0: the server must be updated";
	if (t->hello_version == TLS1_1_VERSION)
		return "an old server is admitted by: "
		       "tls = { min = \"1.1\"; seclevel = 0; };";
	if (t->hello_version == 0 && tls_max_bounds(t))
		return "tls.max keeps newer versions from being offered: "
		       "remove it";
	if (s->min != 0 && s->min <= TLS1_VERSION && s->seclevel == 0)
		return HINT_LOG;
	return HINT_OLD_SERVER;
}

static enum tls_result
tls_fail_version(struct tls *t)
{
	const struct tls_settings *s = t->context->settings;
	enum reason reason = tls_reason(t);
	const char *hint = tls_version_hint(t);
	const char *min =
	    tls_version_word(s->min == 0 ? TLS1_2_VERSION : s->min);

	/* Old, unless it may be that it is too new for our settings. */
	if (t->context->leg == LEG_SERVER &&
	    (t->hello_version != 0 || !tls_max_bounds(t)))
		reason = REASON_WEAK;
	if (t->hello_version != 0 && t->hello_version < TLS1_2_VERSION)
		return tls_fail_format(t, reason, hint,
		    "the %s speaks only %s and at least %s is demanded",
		    tls_party(t), tls_version_word(t->hello_version), min);
	return tls_fail_format(t, reason, hint,
	    "the %s speaks no version of TLS that is allowed (%s and later%s)",
	    tls_party(t), min,
	    tls_max_bounds(t) ? ", up to the endpoint's tls.max" : "");
}

/* The server asked for a certificate and then turned us away. */
static enum tls_result
tls_fail_identity(struct tls *t, int alert)
{
	const char *why = tls_alert_word(alert);

	if (t->context->own == NULL)
		return tls_fail_format(t, REASON_IDENTITY,
		    "configure one: identity = { cert = ...; key = ...; };",
		    "the server demands a client certificate and there is none "
		    "to show (alert: %s)",
		    why);
	return tls_fail_format(t, REASON_IDENTITY,
	    "the server must trust the CA that issued the endpoint's identity",
	    "the server rejected our client certificate (alert: %s)", why);
}

/* A client that does not like our certificate has its own word for it. */
static const char *
tls_alert_hint(const struct tls *t, int alert)
{
	if (t->context->leg == LEG_SERVER)
		return HINT_LOG;
	if (alert == TLS1_AD_UNKNOWN_CA)
		return "give the client the CA that issued client_tls.cert";
	return "see the client's own message";
}

static enum tls_result
tls_fail_alert(struct tls *t, int alert)
{
	const struct tls_row *row = tls_row_find(tls_alerts, alert);
	const char *hint = row->hint[t->context->leg];

	if (row->cause == TLS_CAUSE_VERSION)
		return tls_fail_version(t);
	if (row->cause == TLS_CAUSE_IDENTITY && t->asked_identity &&
	    !t->received)
		return tls_fail_identity(t, alert);
	if (row->what != NULL && t->state == TLS_STATE_HANDSHAKE &&
	    t->context->leg == LEG_SERVER)
		return tls_fail_format(t, tls_reason(t), hint,
		    "the server %s (alert: %s)", row->what,
		    tls_alert_word(alert));
	return tls_fail_format(t, tls_reason(t), tls_alert_hint(t, alert),
	    "the %s ended TLS with the alert: %s", tls_party(t),
	    tls_alert_word(alert));
}

static enum tls_result
tls_fail_objection(struct tls *t, int code)
{
	const struct tls_row *row = tls_row_find(tls_objections, code);
	const char *what = row->what, *words;
	enum reason reason = tls_reason(t);

	switch (row->cause) {
	case TLS_CAUSE_VERSION:
		return tls_fail_version(t);
	case TLS_CAUSE_MEMORY:
		return tls_fail(t, REASON_INTERNAL, "out of memory", NULL);
	case TLS_CAUSE_WEAK:
		reason = REASON_WEAK;
		break;
	case TLS_CAUSE_CERTIFICATE:
		reason = REASON_CLIENT_CERTIFICATE;
		break;
	case TLS_CAUSE_OTHER:
	case TLS_CAUSE_IDENTITY:
		break;
	}
	if (what != NULL)
		return tls_fail_format(t, reason, row->hint[t->context->leg],
		    "the %s %s", tls_party(t), what);
	words = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, code));
	return tls_fail_format(t, reason, NULL, "TLS with the %s failed: %s",
	    tls_party(t), words == NULL ? "no reason is known" : words);
}

static bool
tls_peer_speaks_tls(const struct tls *t)
{
	return !t->heard ||
	    (t->first_byte >= SSL3_RT_CHANGE_CIPHER_SPEC &&
		t->first_byte <= SSL3_RT_APPLICATION_DATA);
}

static enum tls_result
tls_fail_no_tls(struct tls *t)
{
	if (t->context->leg == LEG_CLIENT)
		return tls_fail(t, REASON_CLIENT_TLS,
		    "the client sent something that is not TLS", NULL);
	return tls_fail(t, REASON_HANDSHAKE,
	    "the server answered with something that is not TLS",
	    t->how->not_tls != NULL
		? t->how->not_tls
		: "is this the port of the database, and its engine the right "
		  "one?");
}

static enum tls_result
tls_fail_verdict(struct tls *t)
{
	const struct cert_verdict *v = &t->told->verdict;
	enum reason reason = t->context->leg == LEG_CLIENT
	    ? REASON_CLIENT_CERTIFICATE
	    : v->reason;

	return tls_fail(t, reason, v->text,
	    v->hint[0] == '\0' ? NULL : v->hint);
}

/* The cause is the first that libssl has to say: what comes before is from
 * depths that know less of it, what comes after from its callers. */
static unsigned long
tls_first_error(void)
{
	unsigned long first = ERR_peek_error(), e;

	while ((e = ERR_get_error()) != 0)
		if (ERR_GET_LIB(e) == ERR_LIB_SSL)
			return e;
	return first;
}

/* Such a code is an alert's number, of one byte, above this; OpenSSL's own
 * common reasons are larger still. */
static bool
tls_is_alert(unsigned long e)
{
	int code = ERR_GET_REASON(e);

	return ERR_GET_LIB(e) == ERR_LIB_SSL && code >= SSL_AD_REASON_OFFSET &&
	    code <= SSL_AD_REASON_OFFSET + UINT8_MAX;
}

enum tls_result
tls_fail_openssl(struct tls *t)
{
	unsigned long e = tls_first_error();
	int code = ERR_GET_REASON(e);

	if (t->leaf_changed)
		return tls_fail(t, REASON_TLS_ERROR,
		    "the server showed another certificate when it "
		    "renegotiated",
		    NULL);
	if (t->judged && !t->told->verdict.accepted)
		return tls_fail_verdict(t);
	if (t->state == TLS_STATE_HANDSHAKE && !tls_peer_speaks_tls(t))
		return tls_fail_no_tls(t);
	if (e == 0)
		return tls_fail_format(t, tls_reason(t), NULL,
		    "the %s ended TLS in the midst of it", tls_party(t));
	if (tls_is_alert(e))
		return tls_fail_alert(t, code - SSL_AD_REASON_OFFSET);
	if (ERR_GET_LIB(e) == ERR_LIB_SSL || code == ERR_R_MALLOC_FAILURE)
		return tls_fail_objection(t, code);
	return tls_fail_format(t, tls_reason(t), NULL,
	    "TLS with the %s failed: %s", tls_party(t),
	    ERR_reason_error_string(e) == NULL ? "no reason is known"
					       : ERR_reason_error_string(e));
}

enum tls_result
tls_fail_records(struct tls *t)
{
	struct records_failure f = records_failure(t->taken);

	if (f.alert_received >= 0)
		return tls_fail_alert(t, f.alert_received);
	if (f.text == NULL)
		return tls_fail(t, REASON_INTERNAL, "out of memory", NULL);
	return tls_fail_format(t, tls_reason(t), NULL, "the %s %s",
	    tls_party(t), f.text);
}

struct tls_failure
tls_error(const struct tls *t)
{
	return t->failure;
}
