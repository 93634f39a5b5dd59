#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "conf/certfile.h"
#include "conf/wallet.h"
#include "proxy/commands/cert.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/options.h"

#define WALLET_NAME "cwallet.sso"
#define MODE_SECRET (S_IRUSR | S_IWUSR)

struct request {
	const char *cert;
	const char *key;
	const char *out;
	struct words ca;
	struct wallet_access access;
	bool force;
};

/* What goes into it. */
struct parts {
	STACK_OF(X509) *certs;
	struct keypair *pair; /* NULL: certificates alone */
};

static int
request_parse(struct request *r, int argc, char **argv, struct err *err)
{
	const struct option table[] = {
		{ "ca", 0, OPTION_MANY, &r->ca },
		{ "cert", 0, OPTION_ONE, &r->cert },
		{ "key", 0, OPTION_ONE, &r->key },
		{ "out", 0, OPTION_ONE, &r->out },
		{ "force", 0, OPTION_FLAG, &r->force },
		{ "password-file", 0, OPTION_ONE, &r->access.password_file },
		{ "wallet-host", 0, OPTION_ONE, &r->access.host },
		{ "wallet-user", 0, OPTION_ONE, &r->access.user },
		{ NULL, 0, OPTION_FLAG, NULL },
	};

	if (options_parse(table, argc, argv, NULL, err) == -1)
		return -1;
	if (r->out == NULL)
		return err_set(err,
		    "cert wallet: where to? give --out FILE, or a folder");
	if (r->ca.n == 0 && r->cert == NULL)
		return err_set(err,
		    "cert wallet: of what? give --ca FILE, or --cert and "
		    "--key");
	if (r->key != NULL && r->cert == NULL)
		return err_set(err,
		    "--key: has no certificate; give it with --cert");
	return 0;
}

/* Each file that is read is there. */
static int
request_files(const struct request *r, struct err *err)
{
	const char *const others[] = { r->cert, r->key,
		r->access.password_file };
	const size_t n = sizeof(others) / sizeof(others[0]);
	size_t i;

	for (i = 0; i < n + r->ca.n; i++) {
		const char *path = i < n ? others[i] : r->ca.list[i - n];

		if (path != NULL && access(path, R_OK) == -1)
			return err_set_errno(err, "%s", path);
	}
	return 0;
}

static int
add_own(struct parts *p, const struct request *r, struct err *err)
{
	p->pair = keypair_load(r->cert, r->key, &r->access, err);
	if (p->pair == NULL)
		return -1;
	if (X509_add_cert(p->certs, p->pair->leaf, X509_ADD_FLAG_UP_REF) == 1 &&
	    X509_add_certs(p->certs, p->pair->chain,
		X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) == 1)
		return 0;
	return err_set(err, "%s: out of memory", r->cert);
}

/* One's own certificate stands first, and once. */
static int
parts_read(struct parts *p, const struct request *r, struct err *err)
{
	size_t i;

	if ((p->certs = sk_X509_new_null()) == NULL)
		return err_set(err, "--ca: out of memory");
	if (r->cert != NULL && add_own(p, r, err) == -1)
		return -1;
	for (i = 0; i < r->ca.n; i++) {
		if (certfile_read_anchors(r->ca.list[i], &r->access, p->certs,
			err) == -1)
			return -1;
	}
	return 0;
}

static char *
path_of(const char *out)
{
	const char *slash = out[strlen(out) - 1] == '/' ? "" : "/";
	struct stat st;
	char *path;

	if (stat(out, &st) == -1 || !S_ISDIR(st.st_mode))
		return strdup(out);
	return asprintf(&path, "%s%s" WALLET_NAME, out, slash) == -1 ? NULL
								     : path;
}

static int
make(const struct parts *p, const char *path, bool force, struct err *err)
{
	uint8_t *bytes;
	size_t len;
	int rc;

	if (cert_check_free(path, force, err) == -1)
		return -1;
	bytes = wallet_make(p->certs, p->pair == NULL ? NULL : p->pair->key,
	    &len, err);
	if (bytes == NULL)
		return -1;
	rc = cert_save(path, bytes, len, MODE_SECRET, force, err);
	OPENSSL_clear_free(bytes, len);
	return rc;
}

int
cert_wallet(int argc, char **argv)
{
	struct request r = { .out = NULL };
	struct parts p = { .certs = NULL };
	int status = EXIT_USAGE;
	char *path = NULL;
	struct err err;

	if (request_parse(&r, argc, argv, &err) == 0 &&
	    request_files(&r, &err) == 0) {
		status = EXIT_REFUSED;
		if ((path = path_of(r.out)) == NULL)
			(void)err_set(&err, "%s: out of memory", r.out);
		else if (parts_read(&p, &r, &err) == 0 &&
		    make(&p, path, r.force, &err) == 0)
			status = EXIT_YES;
	}
	if (status == EXIT_YES)
		(void)printf("%s: an auto-login wallet of %d certificate%s, "
			     "%s private key\n",
		    path, sk_X509_num(p.certs),
		    sk_X509_num(p.certs) == 1 ? "" : "s",
		    p.pair == NULL ? "no" : "and a");
	else
		error_print(&err);
	free(path);
	keypair_release(p.pair);
	sk_X509_pop_free(p.certs, X509_free);
	words_fini(&r.ca);
	return status;
}
