#include "conf/trust.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "conf/certfile.h"

#define ANCHORS_SYSTEM  "system"
#define CHAIN_DEPTH_MAX 16  /* CAs between leaf and anchor */
#define NAME_SHORT      128 /* of a name within a sentence */
#define CARRIED_TEXT    236 /* of the names that a certificate carries */
#define WANTED_TEXT     128 /* of those asked for: a sentence holds both */
#define WEBPKI_LEVEL    2
#define HASH_NAME_LEN   8 /* of "5ed36f99.0" before the dot */

/*
 * Anchors
 */

struct anchors *
anchors_new(void)
{
	struct anchors *a;

	if ((a = OPENSSL_zalloc(sizeof(*a))) == NULL)
		return NULL;
	a->references = 1;
	if ((a->certs = sk_X509_new_null()) != NULL &&
	    (a->crls = sk_X509_CRL_new_null()) != NULL)
		return a;
	anchors_release(a);
	return NULL;
}

struct anchors *
anchors_retain(struct anchors *a)
{
	a->references++;
	return a;
}

void
anchors_release(struct anchors *a)
{
	if (a == NULL || --a->references > 0)
		return;
	sk_X509_pop_free(a->certs, X509_free);
	sk_X509_CRL_pop_free(a->crls, X509_CRL_free);
	OPENSSL_free(a);
}

/* "5ed36f99.0": the links by which OpenSSL finds a CA in its directory. */
static bool
is_hash_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == HASH_NAME_LEN &&
	    name[HASH_NAME_LEN] == '.' && name[HASH_NAME_LEN + 1] != '\0' &&
	    strspn(name + HASH_NAME_LEN + 1, "0123456789") ==
	    strlen(name + HASH_NAME_LEN + 1);
}

static int
system_add_directory(struct anchors *a, const char *path, struct err *err)
{
	char file[4096];
	struct dirent *entry;
	int rc = 0;
	DIR *dir;

	if ((dir = opendir(path)) == NULL)
		return 0;
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (!is_hash_name(entry->d_name))
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s", path,
		    entry->d_name);
		/* A link may point to a CA that was since removed. */
		if (access(file, F_OK) == 0)
			rc = certfile_read_certs(file, a->certs, err);
	}
	(void)closedir(dir);
	return rc;
}

/* The places compiled into OpenSSL, whatever SSL_CERT_FILE says: who sets the
 * environment of a service should not thereby choose whom it trusts. */
static int
system_add(struct anchors *a, struct err *err)
{
	const char *file = X509_get_default_cert_file();
	const char *dir = X509_get_default_cert_dir();
	int before = sk_X509_num(a->certs);

	if (access(file, F_OK) == 0 &&
	    certfile_read_certs(file, a->certs, err) == -1)
		return -1;
	if (system_add_directory(a, dir, err) == -1)
		return -1;
	if (sk_X509_num(a->certs) > before)
		return 0;
	return err_set(err,
	    "ca \"system\": there is no CA in %s or %s; install"
	    " ca-certificates, or name a file",
	    file, dir);
}

int
anchors_add_wallet(struct anchors *a, const char *path,
    const struct wallet_access *access, struct err *err)
{
	if (strcmp(path, ANCHORS_SYSTEM) == 0)
		return system_add(a, err);
	return certfile_read_anchors(path, access, a->certs, err);
}

int
anchors_add_file(struct anchors *a, const char *path, struct err *err)
{
	return anchors_add_wallet(a, path, NULL, err);
}

int
anchors_add_crl(struct anchors *a, const char *path, struct err *err)
{
	return certfile_read_crls(path, a->crls, err);
}

X509_STORE *
anchors_store(const struct anchors *a, struct err *err)
{
	X509_STORE *store;
	int i;

	if ((store = X509_STORE_new()) == NULL)
		goto fail;
	for (i = 0; i < sk_X509_num(a->certs); i++) {
		if (X509_STORE_add_cert(store, sk_X509_value(a->certs, i)) != 1)
			goto fail;
	}
	for (i = 0; i < sk_X509_CRL_num(a->crls); i++) {
		if (X509_STORE_add_crl(store, sk_X509_CRL_value(a->crls, i)) !=
		    1)
			goto fail;
	}
	return store;
fail:
	X509_STORE_free(store);
	ERR_clear_error();
	(void)err_set(err, "trust anchors: out of memory");
	return NULL;
}

void
trust_free(struct trust *t)
{
	if (t == NULL)
		return;
	anchors_release(t->anchors);
	free(t);
}

/*
 * The verdict in words
 */

/* One certificate being judged. */
struct judge {
	const struct trust *trust;
	const struct target *target; /* NULL: there is no name and no pin */
	struct cert_verdict *v;
	X509 *leaf;
	STACK_OF(X509) *chain; /* as built, anchor last; NULL before */
};

static void __attribute__((format(printf, 3, 4)))
text_add(char *text, size_t size, const char *fmt, ...)
{
	size_t used = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text + used, size - used, fmt, ap);
	va_end(ap);
}

static void
judge_warn(struct judge *j, const char *what)
{
	char *text = j->v->warning;

	j->v->legacy = true;
	if (strstr(text, what) != NULL)
		return;
	text_add(text, VERDICT_TEXT_MAX, "%s%s", text[0] != '\0' ? "; " : "",
	    what);
}

static bool
judge_refuse(struct judge *j, enum reason reason, int x509_error, int depth)
{
	j->v->accepted = false;
	j->v->reason = reason;
	j->v->x509_error = x509_error;
	j->v->depth = depth;
	j->v->verified = VERIFIED_NONE;
	return false;
}

static const char *
judge_whose(const struct judge *j)
{
	return j->trust->client ? "client" : "server";
}

/* What OpenSSL's sentence leaves out: which CA, since when, how weak. */
static void
explain_detail(struct judge *j, int error, X509 *cert, X509_CRL *crl)
{
	char name[NAME_SHORT], when[CERT_TIME_MAX];
	char *text = j->v->text;
	EVP_PKEY *key;

	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		cert_name_text(X509_get_issuer_name(cert), name, sizeof(name));
		text_add(text, VERDICT_TEXT_MAX, ": \"%s\"", name);
		(void)snprintf(j->v->hint, sizeof(j->v->hint),
		    "put the certificate of \"%s\" into ca", name);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		cert_time_text(X509_get0_notAfter(cert), when);
		text_add(text, VERDICT_TEXT_MAX, " at %s", when);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		cert_time_text(X509_get0_notBefore(cert), when);
		text_add(text, VERDICT_TEXT_MAX, ", but from %s", when);
		break;
	case X509_V_ERR_CRL_HAS_EXPIRED:
		if (crl != NULL) {
			cert_time_text(X509_CRL_get0_nextUpdate(crl), when);
			text_add(text, VERDICT_TEXT_MAX, " at %s", when);
		}
		break;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		cert_name_text(X509_get_issuer_name(cert), name, sizeof(name));
		text_add(text, VERDICT_TEXT_MAX, ", \"%s\"", name);
		break;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
		key = X509_get0_pubkey(cert);
		if (key != NULL)
			text_add(text, VERDICT_TEXT_MAX, " (%s, %d bits)",
			    EVP_PKEY_get0_type_name(key),
			    EVP_PKEY_get_bits(key));
		break;
	default: /* the sentence says it all; these are no enum */
		break;
	}
}

static bool
judge_refuse_x509(struct judge *j, X509_STORE_CTX *ctx)
{
	int error = X509_STORE_CTX_get_error(ctx);
	int depth = X509_STORE_CTX_get_error_depth(ctx);
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
	const struct x509_words *words = x509_words(error);
	struct cert_verdict *v = j->v;
	char name[NAME_SHORT];

	/* A refusal has a code, for the alert that follows from it. */
	(void)judge_refuse(j, words->reason,
	    error == X509_V_OK ? words->error : error, depth);
	if (cert == NULL)
		cert = j->leaf;
	if (depth > 0) {
		cert_name_text(X509_get_subject_name(cert), name, sizeof(name));
		(void)snprintf(v->text, sizeof(v->text),
		    "CA certificate \"%s\" %s", name, words->sentence);
	} else {
		(void)snprintf(v->text, sizeof(v->text), "%s certificate %s",
		    judge_whose(j), words->sentence);
	}
	(void)snprintf(v->hint, sizeof(v->hint), "%s", words->hint);
	explain_detail(j, error, cert, X509_STORE_CTX_get0_current_crl(ctx));
	return false;
}

static bool
judge_refuse_memory(struct judge *j)
{
	(void)snprintf(j->v->text, sizeof(j->v->text),
	    "%s certificate could not be checked: out of memory",
	    judge_whose(j));
	return judge_refuse(j, REASON_INTERNAL, X509_V_ERR_OUT_OF_MEM, 0);
}

/*
 * The chain
 */

/* May this error pass?  Only three do, and each leaves a warning or is about
 * an anchor, which the user has chosen to trust as it is. */
static bool
error_passes(struct judge *j, X509_STORE_CTX *ctx)
{
	int error = X509_STORE_CTX_get_error(ctx);
	int depth = X509_STORE_CTX_get_error_depth(ctx);
	bool anchor = depth == sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1;

	if (error == X509_V_ERR_CRL_HAS_EXPIRED &&
	    j->trust->crl_expired_warns) {
		judge_warn(j, "a CRL has expired");
		return true;
	}
	if (error == X509_V_ERR_CERT_HAS_EXPIRED && anchor && depth > 0 &&
	    j->trust->profile == X509_PROFILE_DEFAULT) {
		judge_warn(j, "the trust anchor has expired");
		return true;
	}
	/* Nobody above an anchor could revoke it: its own CRL is not missed.
	 * REASON_REVOKED is another matter. */
	return anchor && x509_words(error)->reason == REASON_CRL_EXPIRED;
}

static int
on_certificate(int ok, X509_STORE_CTX *ctx)
{
	struct judge *j = X509_STORE_CTX_get_app_data(ctx);

	if (ok == 1 || !error_passes(j, ctx))
		return ok;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

static void
chain_settings(const struct judge *j, X509_VERIFY_PARAM *param, time_t at,
    unsigned long flags)
{
	const struct trust *t = j->trust;
	int level = t->seclevel;

	if (t->profile == X509_PROFILE_WEBPKI) {
		flags |= X509_V_FLAG_X509_STRICT;
		level = level < WEBPKI_LEVEL ? WEBPKI_LEVEL : level;
	}
	if (sk_X509_CRL_num(t->anchors->crls) > 0)
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	(void)X509_VERIFY_PARAM_set_flags(param, flags);
	X509_VERIFY_PARAM_set_auth_level(param, level);
	X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH_MAX);
	if (at != 0)
		X509_VERIFY_PARAM_set_time(param, at);
}

/* One run of OpenSSL's verification.  The chain it built stays in `j`. */
static bool
chain_run(struct judge *j, X509_STORE *store, STACK_OF(X509) *sent, time_t at,
    unsigned long flags)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int purpose = j->trust->client ? X509_PURPOSE_SSL_CLIENT
				       : X509_PURPOSE_SSL_SERVER;
	bool held;

	if (ctx == NULL ||
	    X509_STORE_CTX_init(ctx, store, j->leaf, sent) != 1 ||
	    X509_STORE_CTX_set_purpose(ctx, purpose) != 1 ||
	    X509_STORE_CTX_set_app_data(ctx, j) != 1) {
		X509_STORE_CTX_free(ctx);
		return judge_refuse_memory(j);
	}
	chain_settings(j, X509_STORE_CTX_get0_param(ctx), at, flags);
	X509_STORE_CTX_set_verify_cb(ctx, on_certificate);
	j->v->legacy = false;
	j->v->warning[0] = '\0';
	held = X509_verify_cert(ctx) == 1 ? true : judge_refuse_x509(j, ctx);
	if (held) {
		sk_X509_pop_free(j->chain, X509_free);
		j->chain = X509_STORE_CTX_get1_chain(ctx);
		held = j->chain != NULL || judge_refuse_memory(j);
	}
	X509_STORE_CTX_free(ctx);
	return held;
}

static bool
ends_without_root(int error)
{
	return error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	    error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	    error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
	    error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

/*
 * A chain is followed to a root if `ca` has one, so that the constraints and
 * the CRLs of all CAs above count.  Only where there is none may a CA in the
 * middle be the anchor.
 */
static bool
chain_build(struct judge *j, X509_STORE *store, STACK_OF(X509) *sent, time_t at)
{
	if (chain_run(j, store, sent, at, 0))
		return true;
	if (!ends_without_root(j->v->x509_error))
		return false;
	return chain_run(j, store, sent, at, X509_V_FLAG_PARTIAL_CHAIN);
}

/* OpenSSL cannot use a CRL about an anchor whose own issuer is not there; that
 * the user gave us one which names it is enough for us. */
static bool
chain_anchor_stands(struct judge *j)
{
	int i, depth = sk_X509_num(j->chain) - 1;
	X509 *anchor = sk_X509_value(j->chain, depth);
	STACK_OF(X509_CRL) *crls = j->trust->anchors->crls;
	X509_REVOKED *entry;
	char name[NAME_SHORT];

	for (i = 0; i < sk_X509_CRL_num(crls); i++) {
		if (X509_CRL_get0_by_cert(sk_X509_CRL_value(crls, i), &entry,
			anchor) != 1)
			continue;
		cert_name_text(X509_get_subject_name(anchor), name,
		    sizeof(name));
		(void)snprintf(j->v->text, sizeof(j->v->text),
		    "CA certificate \"%s\", the trust anchor, was revoked",
		    name);
		(void)snprintf(j->v->hint, sizeof(j->v->hint),
		    "take it out of ca");
		return judge_refuse(j, REASON_REVOKED, X509_V_ERR_CERT_REVOKED,
		    depth);
	}
	return true;
}

/* What is accepted, but would not be by a stricter eye. */
static void
chain_warn(struct judge *j)
{
	char name[NAME_SHORT], text[VERDICT_TEXT_MAX];
	X509 *cert;
	int i;

	if (X509_get_version(j->leaf) < X509_VERSION_3)
		judge_warn(j, "the certificate is of version 1");
	for (i = 1; i < sk_X509_num(j->chain); i++) {
		cert = sk_X509_value(j->chain, i);
		if ((X509_get_extension_flags(cert) & EXFLAG_KUSAGE) != 0)
			continue;
		cert_name_text(X509_get_subject_name(cert), name, sizeof(name));
		(void)snprintf(text, sizeof(text),
		    "CA certificate \"%s\" has no keyUsage", name);
		judge_warn(j, text);
	}
}

/*
 * Profile webpki, as far as OpenSSL's strict flag does not go
 */

static bool
curve_is_sound(EVP_PKEY *key)
{
	static const char *const sound[] = { "prime256v1", "P-256", "secp384r1",
		"P-384", "secp521r1", "P-521" };
	char group[64];
	size_t i, len;

	if (EVP_PKEY_is_a(key, "EC") == 0)
		return true; /* sizes are up to the security level */
	if (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1)
		return false;
	for (i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		if (strcmp(group, sound[i]) == 0)
			return true;
	}
	return false;
}

static bool
webpki_refuse(struct judge *j, enum reason reason, int x509_error,
    const char *text, const char *hint)
{
	(void)snprintf(j->v->text, sizeof(j->v->text), "%s certificate %s",
	    judge_whose(j), text);
	(void)snprintf(j->v->hint, sizeof(j->v->hint), "%s", hint);
	return judge_refuse(j, reason, x509_error, 0);
}

static bool
webpki_holds(struct judge *j)
{
	EVP_PKEY *key;
	int i;

	for (i = 0; i < sk_X509_num(j->chain); i++) {
		key = X509_get0_pubkey(sk_X509_value(j->chain, i));
		if (key == NULL || !curve_is_sound(key))
			return webpki_refuse(j, REASON_WEAK,
			    X509_V_ERR_EE_KEY_TOO_SMALL,
			    "has a curve in its chain that webpki does not"
			    " allow",
			    "use P-256, P-384 or P-521");
	}
	if (!j->trust->client &&
	    X509_get_ext_by_NID(j->leaf, NID_subject_alt_name, -1) < 0)
		return webpki_refuse(j, REASON_NAME_MISMATCH,
		    X509_V_ERR_HOSTNAME_MISMATCH,
		    "has no subjectAltName, which webpki demands",
		    "issue it with one, or use x509_profile = \"default\"");
	if ((X509_get_extension_flags(j->leaf) & EXFLAG_XKUSAGE) == 0)
		return webpki_refuse(j, REASON_WRONG_USAGE,
		    X509_V_ERR_INVALID_PURPOSE,
		    "has no extendedKeyUsage, which webpki demands",
		    "issue it with one, or use x509_profile = \"default\"");
	return true;
}

static bool
judge_chain(struct judge *j, X509_STORE *store, STACK_OF(X509) *sent, time_t at)
{
	X509 *anchor;

	if (j->trust->anchors == NULL || store == NULL) {
		(void)snprintf(j->v->text, sizeof(j->v->text),
		    "%s certificate cannot be trusted: there are no anchors",
		    judge_whose(j));
		return judge_refuse(j, REASON_UNTRUSTED,
		    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 0);
	}
	if (!chain_build(j, store, sent, at) || !chain_anchor_stands(j))
		return false;
	anchor = sk_X509_value(j->chain, sk_X509_num(j->chain) - 1);
	if (!cert_fingerprint(anchor, j->v->anchor))
		return judge_refuse_memory(j);
	if (j->trust->profile == X509_PROFILE_WEBPKI && !webpki_holds(j))
		return false;
	chain_warn(j);
	j->v->until = trust_until(j->chain, j->trust->anchors->crls,
	    at == 0 ? time(NULL) : at);
	j->v->verified = VERIFIED_CA;
	return true;
}

/*
 * Name and pins
 */

/* OpenSSL applies constraints to a CN that could be a host name, never to one
 * that is an address: then the CN does not count. */
static bool
address_is_constrained(const struct judge *j)
{
	int i;

	for (i = 1; i < sk_X509_num(j->chain); i++) {
		if (X509_get_ext_by_NID(sk_X509_value(j->chain, i),
			NID_name_constraints, -1) >= 0)
			return true;
	}
	return false;
}

static void
target_text(const struct target *target, char *text, size_t size)
{
	char all[WANTED_TEXT] = "";
	size_t i;

	if (target->server_dn != NULL)
		text_add(all, sizeof(all), "%s", target->server_dn);
	for (i = 0; target->server_dn == NULL && i < target->nnames; i++)
		text_add(all, sizeof(all), "%s%s", i > 0 ? " or " : "",
		    target->names[i]);
	(void)cert_text_escape(all, strlen(all), text, size);
}

static struct name_rules
judge_rules(const struct judge *j)
{
	const struct trust *t = j->trust;
	bool strict = t->profile == X509_PROFILE_WEBPKI;

	return (struct name_rules){ .allow_cn = t->allow_cn && !strict,
		.strict = strict };
}

/* Would this name, had it been asked for, have matched? */
static bool
name_would_do(const struct judge *j, const char *name, bool allow_cn)
{
	struct name_rules rules = judge_rules(j);
	char copy[NAME_SHORT], matched[CARRIED_TEXT], *names[] = { copy };
	const struct target target = { .names = names, .nnames = 1 };

	(void)snprintf(copy, sizeof(copy), "%s", name);
	rules.allow_cn = rules.allow_cn || allow_cn;
	return trust_name_find(j->leaf, &target, &rules, matched,
		   sizeof(matched)) != NAME_FROM_NOTHING;
}

/* Is the name that was asked for in the CN, and does not count there? */
static bool
cn_would_do(const struct judge *j)
{
	size_t i;

	for (i = 0; i < j->target->nnames; i++) {
		if (name_would_do(j, j->target->names[i], true))
			return true;
	}
	return false;
}

static void
name_hint(struct judge *j, const char *carried)
{
	char first[NAME_SHORT], *hint = j->v->hint;
	size_t size = sizeof(j->v->hint);

	if (j->target->server_dn != NULL) {
		(void)snprintf(hint, size,
		    "if that is the server you mean,"
		    " write its subject in server_dn");
		return;
	}
	(void)snprintf(first, sizeof(first), "%.*s", (int)strcspn(carried, ","),
	    carried);
	if (name_would_do(j, first, false))
		(void)snprintf(hint, size,
		    "if that is the server you mean,"
		    " set server_name = \"%s\"",
		    first);
	else if (cn_would_do(j))
		(void)snprintf(hint, size,
		    "a CN does not count here; have the"
		    " certificate issued with a subjectAltName");
	else
		(void)snprintf(hint, size,
		    "set server_name to a name that the"
		    " certificate bears, or have it issued with this one");
}

_Static_assert(sizeof("server certificate is for , not ") + CARRIED_TEXT +
	    WANTED_TEXT <=
	VERDICT_TEXT_MAX,
    "both lists of names are in the sentence whole");
_Static_assert(CARRIED_TEXT <= sizeof(((struct cert_verdict *)NULL)->name),
    "the name that matched fits");

static bool
judge_refuse_name(struct judge *j, const char *carried)
{
	char wanted[WANTED_TEXT];

	target_text(j->target, wanted, sizeof(wanted));
	(void)snprintf(j->v->text, sizeof(j->v->text),
	    "%s certificate is for %s, not %s", judge_whose(j),
	    carried[0] != '\0' ? carried : "no name at all", wanted);
	name_hint(j, carried);
	return judge_refuse(j, REASON_NAME_MISMATCH,
	    X509_V_ERR_HOSTNAME_MISMATCH, 0);
}

static bool
judge_name(struct judge *j)
{
	const struct name_rules rules = judge_rules(j);
	char matched[CARRIED_TEXT];
	enum name_source source;

	source = trust_name_find(j->leaf, j->target, &rules, matched,
	    sizeof(matched));
	if (source == NAME_FROM_CN_ADDRESS && address_is_constrained(j)) {
		cert_names_text(j->leaf, matched, sizeof(matched));
		source = NAME_FROM_NOTHING;
	}
	if (source == NAME_FROM_NOTHING)
		return judge_refuse_name(j, matched);
	memcpy(j->v->name, matched, sizeof(matched));
	if (source == NAME_FROM_CN || source == NAME_FROM_CN_ADDRESS)
		judge_warn(j, "the name is only in the CN, not in a SAN");
	j->v->verified = VERIFIED_FULL;
	return true;
}

static bool
judge_pins(struct judge *j)
{
	uint8_t digest[CERT_DIGEST_LEN];
	char pin[CERT_PIN_MAX];
	size_t i;

	if (!cert_spki_digest(j->leaf, digest))
		return judge_refuse_memory(j);
	for (i = 0; i < j->target->npins; i++) {
		if (memcmp(j->target->pins[i], digest, sizeof(digest)) == 0)
			return true;
	}
	cert_pin_text(j->leaf, pin);
	(void)snprintf(j->v->text, sizeof(j->v->text),
	    "%s certificate has the key %s, which is not pinned",
	    judge_whose(j), pin);
	(void)snprintf(j->v->hint, sizeof(j->v->hint),
	    "if the key was changed on purpose, set pin = \"%s\"", pin);
	return judge_refuse(j, REASON_PIN_MISMATCH,
	    X509_V_ERR_APPLICATION_VERIFICATION, 0);
}

static bool
judge_all(struct judge *j, X509_STORE *store, STACK_OF(X509) *sent, time_t at)
{
	enum ssl_mode mode = j->trust->mode;
	bool pinned = j->target != NULL && j->target->npins > 0;

	if (mode >= SSL_MODE_VERIFY_CA && !judge_chain(j, store, sent, at))
		return false;
	/* Clients have no name that they must bear. */
	if (mode == SSL_MODE_VERIFY_FULL && !j->trust->client && !judge_name(j))
		return false;
	if (!pinned)
		return true;
	if (!judge_pins(j))
		return false;
	if (j->v->verified == VERIFIED_NONE)
		j->v->verified = VERIFIED_PIN;
	return true;
}

bool
trust_judge(const struct trust *t, X509_STORE *store, STACK_OF(X509) *sent,
    const struct target *target, time_t at, struct cert_verdict *v)
{
	static const struct target nobody = { .names = NULL };
	struct judge j = { .trust = t, .v = v };

	memset(v, 0, sizeof(*v));
	j.target = target != NULL ? target : &nobody;
	if (sk_X509_num(sent) < 1) {
		(void)snprintf(v->text, sizeof(v->text),
		    "the %s showed no certificate", judge_whose(&j));
		return judge_refuse(&j, REASON_UNTRUSTED,
		    X509_V_ERR_UNSPECIFIED, 0);
	}
	j.leaf = sk_X509_value(sent, 0);
	if (!cert_fingerprint(j.leaf, v->leaf))
		return judge_refuse_memory(&j);
	if (judge_all(&j, store, sent, at)) {
		v->accepted = true;
		v->reason = REASON_NONE;
		v->x509_error = X509_V_OK;
		v->depth = 0;
		v->text[0] = '\0';
		v->hint[0] = '\0';
	}
	sk_X509_pop_free(j.chain, X509_free);
	ERR_clear_error();
	return v->accepted;
}
