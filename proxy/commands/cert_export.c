#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "proxy/commands/cert.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/options.h"

#define MODE_SECRET (S_IRUSR | S_IWUSR)
#define MODE_PUBLIC (MODE_SECRET | S_IRGRP | S_IROTH)

struct request {
	const char *path;
	const char *out; /* NULL: standard output */
	const char *key_out;
	struct wallet_access access;
	bool force;
};

static int
request_parse(struct request *r, int argc, char **argv, struct err *err)
{
	const struct option table[] = {
		{ "out", 0, OPTION_ONE, &r->out },
		{ "key-out", 0, OPTION_ONE, &r->key_out },
		{ "force", 0, OPTION_FLAG, &r->force },
		{ "password-file", 0, OPTION_ONE, &r->access.password_file },
		{ "wallet-host", 0, OPTION_ONE, &r->access.host },
		{ "wallet-user", 0, OPTION_ONE, &r->access.user },
		{ NULL, 0, OPTION_FLAG, NULL },
	};

	if (options_parse(table, argc, argv, &r->path, err) == -1)
		return -1;
	if (r->path == NULL)
		return err_set(err,
		    "cert export: of which file? see `dbtls help cert`");
	if (r->key_out == NULL)
		return 0;
	if (strcmp(r->key_out, "-") == 0)
		return err_set(err,
		    "--key-out: a private key goes to a file only; name one");
	if (r->out != NULL && strcmp(r->out, r->key_out) == 0)
		return err_set(err,
		    "--key-out: %s is for the certificates, which others may "
		    "read; name another file",
		    r->key_out);
	return 0;
}

static int
save(const char *path, BIO *from, mode_t mode, bool force, struct err *err)
{
	char *bytes;
	long len = BIO_get_mem_data(from, &bytes);

	if (path != NULL)
		return cert_save(path, bytes, (size_t)len, mode, force, err);
	if (fwrite(bytes, 1, (size_t)len, stdout) == (size_t)len &&
	    fflush(stdout) == 0)
		return 0;
	return err_set_errno(err, "standard output");
}

/* That of the key first, as whoever reads it as a chain expects. */
static int
export_certs(const struct request *r, const struct contents *c, struct err *err)
{
	BIO *to = BIO_new(BIO_s_mem());
	int i, leaf = contents_leaf(c);
	bool ok = to != NULL;
	int rc = -1;

	if (ok && leaf != -1)
		ok = PEM_write_bio_X509(to, sk_X509_value(c->certs, leaf)) == 1;
	for (i = 0; ok && i < sk_X509_num(c->certs); i++) {
		if (i != leaf)
			ok = PEM_write_bio_X509(to,
				 sk_X509_value(c->certs, i)) == 1;
	}
	if (ok)
		rc = save(r->out, to, MODE_PUBLIC, r->force, err);
	else
		(void)err_set(err, "%s: out of memory", c->path);
	BIO_free(to);
	return rc;
}

static int
export_key(const struct request *r, const struct contents *c, struct err *err)
{
	BIO *to = BIO_new(BIO_s_mem()); /* wiped when it is freed */
	int rc = -1;

	if (to != NULL &&
	    PEM_write_bio_PKCS8PrivateKey(to, c->key, NULL, NULL, 0, NULL,
		NULL) == 1)
		rc = save(r->key_out, to, MODE_SECRET, r->force, err);
	else
		(void)err_set(err, "%s: its private key cannot be written",
		    c->path);
	ERR_clear_error();
	BIO_free(to);
	return rc;
}

static int
check_fit(const struct request *r, const struct contents *c, struct err *err)
{
	if (r->key_out != NULL && c->sealed_key)
		return err_set(err,
		    "%s: its private key needs a password; name a file that "
		    "has it with --password-file",
		    c->path);
	if (r->key_out != NULL && c->key == NULL)
		return err_set(err,
		    "%s: has no private key in it; leave --key-out out",
		    c->path);
	if (r->key_out == NULL && sk_X509_num(c->certs) == 0)
		return err_set(err, "%s: has no certificate in it", c->path);
	if (r->out != NULL && cert_check_free(r->out, r->force, err) == -1)
		return -1;
	return r->key_out == NULL ? 0
				  : cert_check_free(r->key_out, r->force, err);
}

/* Two names may be of one file, in which --force would let the certificates
 * take the key's place. */
static int
check_apart(const struct request *r, struct err *err)
{
	struct stat key, out;

	if (r->out == NULL || stat(r->key_out, &key) == -1 ||
	    stat(r->out, &out) == -1 || key.st_dev != out.st_dev ||
	    key.st_ino != out.st_ino)
		return 0;
	return err_set(err,
	    "--out: %s is the file that the key was written to; name another",
	    r->out);
}

int
cert_export(int argc, char **argv)
{
	struct request r = { .path = NULL };
	struct contents c;
	int status = EXIT_USAGE;
	struct err err;

	if (request_parse(&r, argc, argv, &err) == 0)
		status = cert_open(&c, r.path, &r.access, &err);
	if (status == EXIT_YES) {
		if (check_fit(&r, &c, &err) == -1 ||
		    (r.key_out != NULL &&
			(export_key(&r, &c, &err) == -1 ||
			    check_apart(&r, &err) == -1)) ||
		    export_certs(&r, &c, &err) == -1)
			status = EXIT_REFUSED;
		contents_fini(&c);
	}
	if (status != EXIT_YES)
		error_print(&err);
	return status;
}
