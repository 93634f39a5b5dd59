#include "proxy/tls_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "conf/certfile.h"

/* Below it `check` calls a context legacy. */
#define TLS_SECLEVEL_MODERN 2

/* Half of what AES-GCM allows with margin: RFC 8446, 5.5, has 2^24.5. */
#define TLS_REKEY_RECORDS ((uint64_t)1 << 23)

#define TLS_LIST_MAX 4096

/* Longer lists of acceptable issuers help no client, and each context would
 * have a copy. */
#define TLS_CA_NAMES_MAX 32

/* Each connection must be authenticated by a certificate, whatever is asked
 * for: at level 0 OpenSSL would let anonymous suites through. */
#define TLS_CIPHERS_NEVER ":!aNULL:!eNULL:!PSK:!SRP"

/* The first list that the OpenSSL at hand understands is taken: "DEFAULT" is
 * known since 3.5, where it has the hybrid post-quantum groups. */
static const char *const tls_default_groups[] = {
	"DEFAULT",
	"X25519:P-256:X448:P-384:P-521:ffdhe2048:ffdhe3072",
	"P-256:P-384:P-521", /* FIPS */
	NULL,
};

/* OpenSSL's own put AES-256 first, which takes a quarter more of the CPU for
 * the data and is no safer for it: these come first where nothing is said of
 * ciphers.  The rest are OpenSSL's, after them; of a list of suites it would
 * keep every repetition, so that is written out. */
#define TLS_SUITES                                       \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:" \
	"TLS_CHACHA20_POLY1305_SHA256"
#define TLS_CIPHERS_FIRST \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"

/* In the order of OpenSSL's own; the security level strikes out what is too
 * weak for it. */
#define TLS_SIGALGS                                                    \
	"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:"        \
	"rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"    \
	"rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:" \
	"RSA+SHA256:RSA+SHA384:RSA+SHA512:"                            \
	"ECDSA+SHA224:RSA+SHA224:ECDSA+SHA1:RSA+SHA1"
static const char *const tls_default_sigalgs[] = {
	"?mldsa65:?mldsa87:?mldsa44:" TLS_SIGALGS, /* "?" since 3.4 */
	TLS_SIGALGS,
	NULL,
};

int
tls_init(struct err *err)
{
	/* OpenSSL builds that honour it write session keys to that file. */
	if (unsetenv("SSLKEYLOGFILE") == -1)
		return err_set_errno(err, "TLS: SSLKEYLOGFILE");
	if (!tls_memory_init())
		return err_set(err, "TLS: OpenSSL has been used already");
	/* The first call decides: later ones find the matter settled. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return err_set(err, "TLS: OpenSSL cannot be initialised");
	return 0;
}

struct tls_stores *
tls_stores_new(void)
{
	struct tls_stores *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->method = tls_bio_method_new();
	s->kit = records_kit_new();
	if (s->method == NULL || s->kit == NULL) {
		tls_stores_free(s);
		return NULL;
	}
	return s;
}

void
tls_stores_free(struct tls_stores *s)
{
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < s->n; i++) {
		X509_STORE_free(s->list[i].store);
		anchors_release(s->list[i].anchors);
	}
	free(s->list);
	records_kit_free(s->kit);
	BIO_meth_free(s->method);
	free(s);
}

/* The store of these anchors, made on first demand; NULL with `err`. */
static X509_STORE *
tls_stores_find(struct tls_stores *s, struct anchors *anchors, struct err *err)
{
	struct tls_store *list;
	X509_STORE *store;
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->list[i].anchors == anchors)
			return s->list[i].store;
	list = realloc(s->list, (s->n + 1) * sizeof(*list));
	if (list == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	s->list = list;
	if ((store = anchors_store(anchors, err)) == NULL)
		return NULL;
	list[s->n++] = (struct tls_store){ .anchors = anchors_retain(anchors),
		.store = store };
	return store;
}

/* "endpoint orders: tls.ciphers: no cipher match": what OpenSSL says of it. */
static int
tls_context_error(const struct tls_context *c, const char *setting,
    struct err *err)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	return err_set(err, "endpoint %s: %s%s: %s", c->endpoint->name,
	    c->leg == LEG_CLIENT ? "client_" : "", setting,
	    why != NULL ? why : "OpenSSL does not accept it");
}

static int
tls_set_versions(struct tls_context *c, struct err *err)
{
	int min = c->settings->min;

	/* No bound below is no reason to speak what nobody should. */
	if (min == 0)
		min = TLS1_2_VERSION;
	if (SSL_CTX_set_min_proto_version(c->ssl, min) != 1)
		return tls_context_error(c, "tls.min", err);
	if (SSL_CTX_set_max_proto_version(c->ssl, c->settings->max) != 1)
		return tls_context_error(c, "tls.max", err);
	return 0;
}

static int
tls_set_ciphers(struct tls_context *c, struct err *err)
{
	const char *list = c->settings->ciphers;
	const char *suites = c->settings->ciphersuites;
	char all[TLS_LIST_MAX];
	int n;

	n = snprintf(all, sizeof(all), "%s%s" TLS_CIPHERS_NEVER,
	    list == NULL ? TLS_CIPHERS_FIRST : "",
	    list == NULL ? OSSL_default_cipher_list() : list);
	if (n < 0 || (size_t)n >= sizeof(all))
		return err_set(err, "endpoint %s: %stls.ciphers: too long",
		    c->endpoint->name, c->leg == LEG_CLIENT ? "client_" : "");
	if (SSL_CTX_set_cipher_list(c->ssl, all) != 1)
		return tls_context_error(c, "tls.ciphers", err);
	if (SSL_CTX_set_ciphersuites(c->ssl,
		suites == NULL ? TLS_SUITES : suites) != 1)
		return tls_context_error(c, "tls.ciphersuites", err);
	/* After the ciphers, which may name a level themselves. */
	SSL_CTX_set_security_level(c->ssl, c->settings->seclevel);
	return 0;
}

static int
tls_set_groups(struct tls_context *c, struct err *err)
{
	const char *const own[] = { c->settings->groups, NULL };
	const char *const *list = own[0] != NULL ? own : tls_default_groups;

	for (; *list != NULL; list++) {
		if (SSL_CTX_set1_groups_list(c->ssl, tls_unconst(*list)) != 1)
			continue;
		c->groups = *list;
		return 0;
	}
	return tls_context_error(c, "tls.groups", err);
}

static int
tls_set_sigalgs(struct tls_context *c, struct err *err)
{
	const char *const *list;

	for (list = tls_default_sigalgs; *list != NULL; list++)
		if (SSL_CTX_set1_sigalgs_list(c->ssl, tls_unconst(*list)) ==
			1 &&
		    SSL_CTX_set1_client_sigalgs_list(c->ssl,
			tls_unconst(*list)) == 1)
			return 0;
	return tls_context_error(c, "tls: signature algorithms", err);
}

static void
tls_set_options(struct tls_context *c)
{
	uint64_t options = SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
	    SSL_OP_ENABLE_MIDDLEBOX_COMPAT | SSL_OP_CIPHER_SERVER_PREFERENCE;

	/* The one exception must show the same leaf again: tls_on_chain(). */
	if (c->leg == LEG_CLIENT || !c->endpoint->ops->renegotiates)
		options |= SSL_OP_NO_RENEGOTIATION;
	(void)SSL_CTX_clear_options(c->ssl, ~(uint64_t)0);
	(void)SSL_CTX_set_options(c->ssl, options);
	(void)SSL_CTX_set_mode(c->ssl,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_read_ahead(c->ssl, 0);
	(void)SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(c->ssl, 0);
	(void)SSL_CTX_set_max_early_data(c->ssl, 0);
	(void)SSL_CTX_set_recv_max_early_data(c->ssl, 0);
	(void)SSL_CTX_set_block_padding(c->ssl, 0);
	(void)SSL_CTX_set_dh_auto(c->ssl, 1);
	SSL_CTX_set_keylog_callback(c->ssl, NULL);
}

/* A server that renegotiates must show the certificate that it showed first,
 * and of a session that was resumed there is none to compare. */
static int
tls_set_resumption(struct tls_context *c, struct err *err)
{
	if (c->leg != LEG_SERVER || !c->settings->resume ||
	    c->endpoint->ops->renegotiates)
		return 0;
	if ((c->resume = tls_resume_new()) == NULL)
		return err_set(err, "endpoint %s: out of memory",
		    c->endpoint->name);
	tls_resume_install(c->ssl);
	return 0;
}

static int
tls_set_own(struct tls_context *c, struct err *err)
{
	const char *setting =
	    c->leg == LEG_CLIENT ? "tls.cert" : "identity.cert";

	if (c->own == NULL)
		return 0;
	/* By reference: all threads share the certificates and the key. */
	if (SSL_CTX_use_cert_and_key(c->ssl, c->own->leaf, c->own->key,
		c->own->chain, 1) == 1)
		return 0;
	if (c->leg == LEG_CLIENT)
		return tls_context_error(c, setting, err);
	return err_set(err, "endpoint %s: %s: %s", c->endpoint->name, setting,
	    ERR_reason_error_string(ERR_peek_last_error()));
}

/* The issuers that a client may choose its certificate by. */
static int
tls_set_ca_names(struct tls_context *c, struct err *err)
{
	STACK_OF(X509_NAME) *names;
	const X509_NAME *name;
	X509_NAME *copy;
	int i, n;

	if (c->leg != LEG_CLIENT || c->trust == NULL ||
	    c->trust->anchors == NULL)
		return 0;
	n = sk_X509_num(c->trust->anchors->certs);
	if (n > TLS_CA_NAMES_MAX)
		return 0;
	if ((names = sk_X509_NAME_new_null()) == NULL)
		goto fail;
	for (i = 0; i < n; i++) {
		name = X509_get_subject_name(
		    sk_X509_value(c->trust->anchors->certs, i));
		if ((copy = X509_NAME_dup(name)) == NULL)
			goto fail;
		if (sk_X509_NAME_push(names, copy) == 0) {
			X509_NAME_free(copy);
			goto fail;
		}
	}
	SSL_CTX_set_client_CA_list(c->ssl, names);
	return 0;
fail:
	sk_X509_NAME_pop_free(names, X509_NAME_free);
	return err_set(err, "endpoint %s: out of memory", c->endpoint->name);
}

static void
tls_context_take_side(struct tls_context *c, const struct endpoint *e,
    enum leg_id leg)
{
	c->endpoint = e;
	c->leg = leg;
	c->rekey_records =
	    e->rekey_records > 0 ? e->rekey_records : TLS_REKEY_RECORDS;
	c->direct = e->tls.records == RECORDS_DIRECT;
	if (leg == LEG_SERVER) {
		c->settings = &e->tls;
		c->own = e->identity;
		c->trust = e->trust;
	} else {
		c->settings = &e->client_tls;
		c->own = e->client_keypair;
		c->trust = e->client_trust;
	}
}

struct tls_context *
tls_context_new(const struct endpoint *e, enum leg_id leg,
    struct tls_stores *stores, struct err *err)
{
	struct tls_context *c;

	assert(leg == LEG_SERVER ? e->mode != SSL_MODE_NONE
				 : e->client_rule != CLIENT_TLS_OFF);
	ERR_clear_error();
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		(void)err_set(err, "endpoint %s: out of memory", e->name);
		return NULL;
	}
	tls_context_take_side(c, e, leg);
	assert(leg == LEG_SERVER || c->own != NULL);
	c->method = stores->method;
	c->kit = stores->kit;
	c->ssl = SSL_CTX_new(
	    leg == LEG_SERVER ? TLS_client_method() : TLS_server_method());
	if (c->ssl == NULL) {
		(void)tls_context_error(c, "tls", err);
		goto fail;
	}
	tls_set_options(c);
	tls_hooks_install(c);
	tls_take_install(c);
	if (tls_set_versions(c, err) == -1 || tls_set_ciphers(c, err) == -1 ||
	    tls_set_groups(c, err) == -1 || tls_set_sigalgs(c, err) == -1 ||
	    tls_set_own(c, err) == -1 || tls_set_ca_names(c, err) == -1 ||
	    tls_set_resumption(c, err) == -1)
		goto fail;
	if (c->trust != NULL && c->trust->anchors != NULL &&
	    (c->store = tls_stores_find(stores, c->trust->anchors, err)) ==
		NULL)
		goto fail;
	ERR_clear_error();
	return c;
fail:
	ERR_clear_error();
	tls_context_free(c);
	return NULL;
}

void
tls_context_free(struct tls_context *c)
{
	if (c == NULL)
		return;
	tls_resume_free(c->resume);
	tls_tickets_free(c->tickets);
	SSL_CTX_free(c->ssl);
	free(c);
}

/* Appends `word` with a separator if anything came before. */
static void
tls_list_add(char *list, size_t size, const char *separator, const char *word)
{
	size_t len = strlen(list);

	(void)snprintf(list + len, size - len, "%s%s",
	    len == 0 ? "" : separator, word);
}

/* Whether OpenSSL would use this version: by what its ciphers and its level
 * leave of it, not by what was asked for. */
static bool
tls_version_usable(const struct tls_context *c, int version)
{
	SSL *ssl = SSL_new(c->ssl);
	STACK_OF(SSL_CIPHER) *ciphers = NULL;
	bool usable = false;
	long max = SSL_CTX_get_max_proto_version(c->ssl);

	if (ssl != NULL && version >= SSL_CTX_get_min_proto_version(c->ssl) &&
	    (max == 0 || version <= max) &&
	    SSL_set_min_proto_version(ssl, version) == 1 &&
	    SSL_set_max_proto_version(ssl, version) == 1)
		ciphers = SSL_get1_supported_ciphers(ssl);
	usable = ciphers != NULL && sk_SSL_CIPHER_num(ciphers) > 0;
	sk_SSL_CIPHER_free(ciphers);
	SSL_free(ssl);
	return usable;
}

static void
tls_effective_versions(const struct tls_context *c, struct tls_effective *out)
{
	static const struct {
		int version;
		const char *name;
	} all[] = {
		{ TLS1_VERSION, "TLSv1" },
		{ TLS1_1_VERSION, "TLSv1.1" },
		{ TLS1_2_VERSION, "TLSv1.2" },
		{ TLS1_3_VERSION, "TLSv1.3" },
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!tls_version_usable(c, all[i].version))
			continue;
		tls_list_add(out->versions, sizeof(out->versions), " ",
		    all[i].name);
		if (all[i].version < TLS1_2_VERSION)
			out->legacy = true;
	}
}

static void
tls_effective_ciphers(const struct tls_context *c, struct tls_effective *out)
{
	SSL *ssl = SSL_new(c->ssl);
	STACK_OF(SSL_CIPHER) *ciphers;
	int i;

	ciphers = ssl == NULL ? NULL : SSL_get1_supported_ciphers(ssl);
	for (i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
		tls_list_add(out->ciphers, sizeof(out->ciphers), ":",
		    SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i)));
	sk_SSL_CIPHER_free(ciphers);
	SSL_free(ssl);
}

void
tls_context_effective(const struct tls_context *c, struct tls_effective *out)
{
	memset(out, 0, sizeof(*out));
	ERR_clear_error();
	tls_effective_versions(c, out);
	tls_effective_ciphers(c, out);
	(void)snprintf(out->groups, sizeof(out->groups), "%s", c->groups);
	out->seclevel = SSL_CTX_get_security_level(c->ssl);
	out->resumes = c->leg == LEG_CLIENT || c->resume != NULL;
	if (out->seclevel < TLS_SECLEVEL_MODERN)
		out->legacy = true;
	ERR_clear_error();
}
