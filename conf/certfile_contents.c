#include "conf/certfile_contents.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "conf/certfile_private.h"

#define WALLET_PEM "ewallet.pem"

static const struct wallet_access nothing;

/* --- where it is ---------------------------------------------------------- */

char *
certfile_locate(const char *path, struct err *err)
{
	/* The first opens by itself; the last is for drivers without C. */
	static const char *const names[] = { "cwallet.sso", "ewallet.p12",
		WALLET_PEM };
	char *found = NULL;
	struct stat st;
	size_t i;

	/* What is not there is told by whoever opens it. */
	if (stat(path, &st) == -1 || !S_ISDIR(st.st_mode)) {
		if ((found = strdup(path)) == NULL)
			(void)err_set(err, "%s: out of memory", path);
		return found;
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (asprintf(&found, "%s/%s", path, names[i]) == -1) {
			(void)err_set(err, "%s: out of memory", path);
			return NULL;
		}
		/* A link to nowhere is told, too, and not passed over. */
		if (lstat(found, &st) == 0 || errno != ENOENT)
			return found;
		free(found);
	}
	(void)err_set(err,
	    "%s: is a folder without a wallet (cwallet.sso, ewallet.p12 or "
	    "ewallet.pem); name a file, or the folder of one",
	    path);
	return NULL;
}

/* PEM is a wallet by its name alone. */
static bool
is_wallet(const struct filebytes *f)
{
	const char *slash = strrchr(f->path, '/');

	return wallet_recognise(f->bytes, f->len) ||
	    strcmp(slash == NULL ? f->path : slash + 1, WALLET_PEM) == 0;
}

/* --- what it holds -------------------------------------------------------- */

/* The wallet's parts become the contents'. */
static int
take_wallet(struct contents *c, struct wallet *w)
{
	X509 *cert;
	int rc = 0;

	c->kind = CONTENTS_WALLET;
	c->wallet_kind = w->kind;
	c->seal = w->seal;
	memcpy(c->ciphers, w->ciphers, sizeof(c->ciphers));
	c->passed_over = w->passed_over;
	c->key = w->key;
	w->key = NULL;
	while (rc == 0 && (cert = sk_X509_shift(w->certs)) != NULL)
		rc = certs_append(c->certs, cert);
	return rc;
}

static int
parse_wallet(struct contents *c, const struct filebytes *f,
    const struct wallet_access *a, struct err *err)
{
	struct wallet_words words = { .host = a->host, .user = a->user };
	struct password p = { .given = false };
	struct wallet w;
	int rc;

	if (a->password_file != NULL &&
	    wallet_wants_password(f->bytes, f->len)) {
		if (password_read(&p, a->password_file, err) == -1)
			return -1;
		words.password = p.text;
		words.password_len = p.len;
		words.password_file = a->password_file;
	}
	rc = wallet_read(&w, f->path, f->bytes, f->len, &words, err);
	OPENSSL_cleanse(&p, sizeof(p));
	if (rc == -1)
		return -1;
	if (take_wallet(c, &w) == -1)
		rc = err_set(err, "%s: out of memory", f->path);
	wallet_fini(&w);
	return rc;
}

static int
parse_key(struct contents *c, const struct filebytes *f,
    const struct wallet_access *a, struct err *err)
{
	enum key_found what;

	c->key = certfile_parse_key(f, a->password_file, &what, err);
	c->sealed_key = what == KEY_SEALED;
	return what == KEY_UNREADABLE ? -1 : 0;
}

static int
parse_blocks(struct contents *c, const struct filebytes *f,
    const struct wallet_access *a, struct err *err)
{
	struct err why = { .text = "" };

	c->kind = certfile_is_der(f) ? CONTENTS_DER : CONTENTS_PEM;
	if (certfile_parse_all(f, c->certs, c->crls, err) == -1 ||
	    parse_key(c, f, a, &why) == -1) {
		if (why.text[0] != '\0')
			*err = why;
		return -1;
	}
	if (sk_X509_num(c->certs) + sk_X509_CRL_num(c->crls) > 0 ||
	    c->key != NULL || c->sealed_key)
		return 0;
	return err_set(err,
	    "%s: there is nothing in it that could be read: no PEM, no DER, "
	    "no wallet",
	    f->path);
}

static int
contents_init(struct contents *c, const char *path)
{
	*c = (struct contents){ .seal = "" };
	c->path = strdup(path);
	c->certs = sk_X509_new_null();
	c->crls = sk_X509_CRL_new_null();
	return c->path == NULL || c->certs == NULL || c->crls == NULL ? -1 : 0;
}

int
contents_parse(struct contents *c, const struct filebytes *f,
    const struct wallet_access *access, struct err *err)
{
	const struct wallet_access *a = access == NULL ? &nothing : access;
	int rc;

	if (contents_init(c, f->path) == -1)
		rc = err_set(err, "%s: out of memory", f->path);
	else if (wallet_recognise(f->bytes, f->len))
		rc = parse_wallet(c, f, a, err);
	else
		rc = parse_blocks(c, f, a, err);
	if (rc == 0 && (c->key != NULL || c->sealed_key))
		rc = filebytes_check_secret(f, err);
	if (rc == -1)
		contents_fini(c);
	return rc;
}

int
contents_read(struct contents *c, const char *path,
    const struct wallet_access *access, struct err *err)
{
	char *at = certfile_locate(path, err);
	struct filebytes f;
	int rc = -1;

	if (at != NULL &&
	    filebytes_read(&f, at, false, CERTFILE_MIB, err) == 0) {
		rc = contents_parse(c, &f, access, err);
		filebytes_fini(&f);
	}
	free(at);
	return rc;
}

void
contents_fini(struct contents *c)
{
	free(c->path);
	sk_X509_pop_free(c->certs, X509_free);
	sk_X509_CRL_pop_free(c->crls, X509_CRL_free);
	EVP_PKEY_free(c->key);
	*c = (struct contents){ .seal = "" };
}

static bool
is_own(const struct contents *c, X509 *cert)
{
	bool own = c->key != NULL && X509_check_private_key(cert, c->key) == 1;

	ERR_clear_error();
	return own;
}

int
contents_leaf(const struct contents *c)
{
	int i;

	for (i = 0; i < sk_X509_num(c->certs); i++) {
		if (is_own(c, sk_X509_value(c->certs, i)))
			return i;
	}
	return -1;
}

int
contents_move_certs(struct contents *c, bool own, STACK_OF(X509) *to)
{
	X509 *cert;

	while ((cert = sk_X509_shift(c->certs)) != NULL) {
		if (!own && is_own(c, cert))
			X509_free(cert);
		else if (certs_append(to, cert) == -1)
			return -1;
	}
	return 0;
}

static bool
all_own(const struct contents *c)
{
	int i;

	for (i = 0; i < sk_X509_num(c->certs); i++) {
		if (!is_own(c, sk_X509_value(c->certs, i)))
			return false;
	}
	return true;
}

/* --- anchors -------------------------------------------------------------- */

/* Its own certificate says who we are, not whom to believe; a certificate
 * could sign as itself otherwise. */
static int
anchors_of_wallet(const struct filebytes *f, const struct wallet_access *access,
    STACK_OF(X509) *to, struct err *err)
{
	struct contents c;
	int rc;

	if (contents_parse(&c, f, access, err) == -1)
		return -1;
	if (c.sealed_key)
		rc = err_set(err,
		    "%s: its private key needs a password, and only the key "
		    "tells which certificate is its own; name a file that has "
		    "it as its first line (wallet_password_file)",
		    f->path);
	else if (sk_X509_num(c.certs) == 0)
		rc = err_set(err, "%s: is a wallet without a certificate",
		    f->path);
	else if (all_own(&c))
		rc = err_set(err,
		    "%s: has no certificate but that of its own key, which "
		    "tells nothing about others; add those that are trusted",
		    f->path);
	else if ((rc = contents_move_certs(&c, false, to)) == -1)
		(void)err_set(err, "%s: out of memory", f->path);
	contents_fini(&c);
	return rc;
}

int
certfile_read_anchors(const char *path, const struct wallet_access *access,
    STACK_OF(X509) *to, struct err *err)
{
	char *at = certfile_locate(path, err);
	struct filebytes f;
	int rc = -1;

	if (at != NULL &&
	    filebytes_read(&f, at, false, CERTFILE_MIB, err) == 0) {
		rc = is_wallet(&f) ? anchors_of_wallet(&f, access, to, err)
				   : certfile_parse_certs(&f, to, err);
		filebytes_fini(&f);
	}
	free(at);
	return rc;
}
