#include "conf/certfile.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include "conf/certfile_private.h"
#include "conf/wallet.h"

#define BEGIN_MARK      "-----BEGIN "
#define END_MARK        "-----END "
#define LABEL_END       "-----"
#define KEY_LABEL       "PRIVATE KEY" /* and whatever stands before it */
#define DER_SEQUENCE    0x30
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/*
 * The blocks of a PEM file.  We look for them ourselves because OpenSSL's
 * reader passes over what it cannot read, and a block that is passed over in
 * silence is an anchor that is missing when it is needed.
 */
struct block {
	const char *label;
	size_t label_len;
	const char *text; /* from BEGIN to the end of END's line */
	size_t len;
	unsigned number; /* counts from 1 */
	unsigned line;   /* where BEGIN stands */
};

struct scan {
	const char *at;
	const char *end;
	unsigned number;
	unsigned line; /* the one that `at` begins */
};

static struct scan
scan_file(const struct filebytes *f)
{
	struct scan s;
	size_t mark = strlen(BYTE_ORDER_MARK);

	s.at = (const char *)f->bytes;
	s.end = s.at + f->len;
	s.number = 0;
	s.line = 1;
	if (f->len >= mark && memcmp(s.at, BYTE_ORDER_MARK, mark) == 0)
		s.at += mark;
	return s;
}

/* The line at s->at without its end; moves to the next.  False at the end. */
static bool
scan_line(struct scan *s, const char **line, size_t *len)
{
	const char *newline;

	if (s->at == s->end)
		return false;
	*line = s->at;
	newline = memchr(s->at, '\n', (size_t)(s->end - s->at));
	if (newline == NULL) {
		*len = (size_t)(s->end - s->at);
		s->at = s->end;
	} else {
		*len = (size_t)(newline - s->at);
		s->at = newline + 1;
	}
	s->line++;
	return true;
}

/* Blanks before the mark are looked through, so that an indented block is
 * found, and refused by the decoder, and not taken for text. */
static const char *
line_mark(const char *line, size_t *len, const char *mark)
{
	size_t n = strlen(mark);

	while (*len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		(*len)--;
	}
	if (*len < n || memcmp(line, mark, n) != 0)
		return NULL;
	*len -= n;
	return line + n;
}

static void
block_label(struct block *b, const char *label, size_t len)
{
	const char *end = memmem(label, len, LABEL_END, strlen(LABEL_END));

	b->label = label;
	b->label_len = end == NULL ? len : (size_t)(end - label);
}

/* Runs from BEGIN's line to END's.  False if another begins before, or the
 * file ends: the block is cut. */
static bool
block_end(struct scan *s, struct block *b)
{
	const char *line;
	size_t len, rest;

	while (scan_line(s, &line, &len)) {
		rest = len;
		if (line_mark(line, &rest, END_MARK) != NULL) {
			b->len = (size_t)(s->at - b->text);
			return true;
		}
		rest = len;
		if (line_mark(line, &rest, BEGIN_MARK) != NULL)
			return false;
	}
	return false;
}

/* 1: here is a block; 0: there are no more; -1: it has no end. */
static int
scan_block(struct scan *s, struct block *b)
{
	const char *line, *label;
	size_t len;

	while (scan_line(s, &line, &len)) {
		label = line_mark(line, &len, BEGIN_MARK);
		if (label == NULL)
			continue;
		b->text = line;
		b->line = s->line - 1;
		b->number = ++s->number;
		block_label(b, label, len);
		return block_end(s, b) ? 1 : -1;
	}
	return 0;
}

static bool
block_is(const struct block *b, const char *label)
{
	return b->label_len == strlen(label) &&
	    memcmp(b->label, label, b->label_len) == 0;
}

static bool
block_is_key(const struct block *b)
{
	size_t n = strlen(KEY_LABEL);

	return b->label_len >= n &&
	    memcmp(b->label + b->label_len - n, KEY_LABEL, n) == 0;
}

/* The DER in a block; OPENSSL_free() it.  NULL if it cannot be read. */
static uint8_t *
block_decode(const struct block *b, long *len)
{
	char *name = NULL, *header = NULL;
	uint8_t *der = NULL;
	BIO *bio;

	if (b->len > INT_MAX ||
	    (bio = BIO_new_mem_buf(b->text, (int)b->len)) == NULL)
		return NULL;
	if (PEM_read_bio(bio, &name, &header, &der, len) != 1)
		der = NULL;
	/* A header means that the block is encrypted. */
	if (der != NULL && header[0] != '\0') {
		OPENSSL_free(der);
		der = NULL;
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	BIO_free(bio);
	return der;
}

/* What is being collected from a file. */
struct reader {
	const struct filebytes *file;
	STACK_OF(X509) *certs;    /* NULL: certificates are passed over */
	STACK_OF(X509_CRL) *crls; /* NULL: there must be none */
	bool keys;                /* private keys are passed over */
	bool any;                 /* it may have none of them */
	struct err *err;
	size_t found; /* duplicates count */
};

int
certs_append(STACK_OF(X509) *to, X509 *cert)
{
	int i;

	/* Parses the extensions now, while only one thread sees it. */
	(void)X509_check_purpose(cert, -1, 0);
	for (i = 0; i < sk_X509_num(to); i++) {
		if (X509_cmp(sk_X509_value(to, i), cert) == 0) {
			X509_free(cert);
			return 0;
		}
	}
	if (sk_X509_push(to, cert) > 0)
		return 0;
	X509_free(cert);
	return -1;
}

static int
cert_append(struct reader *r, X509 *cert)
{
	r->found++;
	if (certs_append(r->certs, cert) == 0)
		return 0;
	return err_set(r->err, "%s: out of memory", r->file->path);
}

static int
crl_append(struct reader *r, X509_CRL *crl)
{
	int i;

	r->found++;
	for (i = 0; i < sk_X509_CRL_num(r->crls); i++) {
		if (X509_CRL_match(sk_X509_CRL_value(r->crls, i), crl) == 0) {
			X509_CRL_free(crl);
			return 0;
		}
	}
	if (sk_X509_CRL_push(r->crls, crl) > 0)
		return 0;
	X509_CRL_free(crl);
	return err_set(r->err, "%s: out of memory", r->file->path);
}

static int
block_bad(const struct reader *r, const struct block *b, const char *what)
{
	return err_set(r->err,
	    "%s: block %u (line %u) is not a readable %s;"
	    " remove it or copy it again",
	    r->file->path, b->number, b->line, what);
}

static int
block_cert(struct reader *r, const struct block *b, bool trusted)
{
	const uint8_t *at;
	uint8_t *der;
	X509 *cert = NULL;
	bool whole = false;
	long len = 0;

	if ((der = block_decode(b, &len)) != NULL) {
		at = der;
		cert = trusted ? d2i_X509_AUX(NULL, &at, len)
			       : d2i_X509(NULL, &at, len);
		whole = cert != NULL && at == der + len;
		OPENSSL_free(der);
	}
	if (whole)
		return cert_append(r, cert);
	X509_free(cert);
	return block_bad(r, b, "certificate");
}

static int
block_crl(struct reader *r, const struct block *b)
{
	const uint8_t *at;
	uint8_t *der;
	X509_CRL *crl = NULL;
	bool whole = false;
	long len = 0;

	if (r->crls == NULL)
		return err_set(r->err,
		    "%s: block %u (line %u) is a CRL, which"
		    " has no effect here; name the file in crl",
		    r->file->path, b->number, b->line);
	if ((der = block_decode(b, &len)) != NULL) {
		at = der;
		crl = d2i_X509_CRL(NULL, &at, len);
		whole = crl != NULL && at == der + len;
		OPENSSL_free(der);
	}
	if (whole)
		return crl_append(r, crl);
	X509_CRL_free(crl);
	return block_bad(r, b, "CRL");
}

static int
block_take(struct reader *r, const struct block *b)
{
	if (block_is_key(b) && !r->keys)
		return err_set(r->err,
		    "%s: block %u (line %u) is a private"
		    " key, in a file that others may read; remove it",
		    r->file->path, b->number, b->line);
	if (block_is(b, PEM_STRING_X509_CRL) && (r->crls != NULL || !r->keys))
		return block_crl(r, b);
	if (r->certs == NULL)
		return 0;
	if (block_is(b, PEM_STRING_X509) || block_is(b, PEM_STRING_X509_OLD))
		return block_cert(r, b, false);
	if (block_is(b, PEM_STRING_X509_TRUSTED))
		return block_cert(r, b, true);
	return 0;
}

static int
read_pem(struct reader *r)
{
	struct scan s = scan_file(r->file);
	struct block b;
	int got;

	while ((got = scan_block(&s, &b)) == 1) {
		if (block_take(r, &b) == -1)
			return -1;
	}
	if (got == -1)
		return err_set(r->err,
		    "%s: block %u (line %u) has no end; copy"
		    " the file again",
		    r->file->path, b.number, b.line);
	return 0;
}

/* DER has no blocks, but several may stand one after the other. */
static int
read_der(struct reader *r)
{
	const uint8_t *at = r->file->bytes, *end = at + r->file->len;
	X509_CRL *crl;
	X509 *cert;
	int rc = 0;

	while (rc == 0 && at < end) {
		if (r->crls != NULL) {
			crl = d2i_X509_CRL(NULL, &at, (long)(end - at));
			if (crl == NULL)
				break;
			rc = crl_append(r, crl);
		} else {
			cert = d2i_X509(NULL, &at, (long)(end - at));
			if (cert == NULL)
				break;
			rc = cert_append(r, cert);
		}
	}
	if (rc == 0 && at < end)
		return err_set(r->err,
		    "%s: block %zu (byte %zu) is not a"
		    " readable %s in DER; PEM and DER are read here",
		    r->file->path, r->found + 1, (size_t)(at - r->file->bytes),
		    r->crls != NULL ? "CRL" : "certificate");
	return rc;
}

bool
certfile_is_der(const struct filebytes *f)
{
	return f->len > 0 && f->bytes[0] == DER_SEQUENCE &&
	    memmem(f->bytes, f->len, BEGIN_MARK, strlen(BEGIN_MARK)) == NULL;
}

static int
read_blocks(struct reader *r)
{
	const struct filebytes *f = r->file;
	int rc;

	if (certfile_is_der(f))
		rc = read_der(r);
	else
		rc = read_pem(r);
	ERR_clear_error();
	if (rc == 0 && r->found == 0 && !r->any)
		return err_set(r->err,
		    "%s: there is no %s in it, neither PEM"
		    " nor DER",
		    f->path, r->crls != NULL ? "CRL" : "certificate");
	return rc;
}

int
certfile_parse_certs(const struct filebytes *f, STACK_OF(X509) *to,
    struct err *err)
{
	struct reader r = { .file = f, .certs = to, .err = err };

	return read_blocks(&r);
}

/* DER is of one kind, which only trying tells. */
int
certfile_parse_all(const struct filebytes *f, STACK_OF(X509) *certs,
    STACK_OF(X509_CRL) *crls, struct err *err)
{
	struct reader r = { .file = f,
		.certs = certs,
		.crls = crls,
		.keys = true,
		.any = true,
		.err = err };
	int rc;

	if (!certfile_is_der(f))
		return read_blocks(&r);
	r.crls = NULL;
	rc = read_blocks(&r);
	if (r.found > 0)
		return rc;
	r.crls = crls;
	rc = read_blocks(&r);
	return r.found > 0 ? rc : 0;
}

int
certfile_read_certs(const char *path, STACK_OF(X509) *to, struct err *err)
{
	struct filebytes f;
	int rc;

	if (filebytes_read(&f, path, false, CERTFILE_MIB, err) == -1)
		return -1;
	rc = certfile_parse_certs(&f, to, err);
	filebytes_fini(&f);
	return rc;
}

int
certfile_read_crls(const char *path, STACK_OF(X509_CRL) *to, struct err *err)
{
	struct filebytes f;
	struct reader r = { .file = &f, .crls = to, .err = err };
	int rc;

	if (filebytes_read(&f, path, false, CERTFILE_MIB, err) == -1)
		return -1;
	rc = read_blocks(&r);
	filebytes_fini(&f);
	return rc;
}

static int
password_answer(char *buf, int size, int writing, void *arg)
{
	struct password *p = arg;

	(void)writing;
	p->asked = true;
	if (!p->given || size < 0 || p->len > (size_t)size)
		return -1;
	memcpy(buf, p->text, p->len);
	return (int)p->len;
}

int
password_read(struct password *p, const char *path, struct err *err)
{
	const char *line;
	struct scan s;
	struct filebytes f;
	size_t len = 0;
	int rc = 0;

	if (filebytes_read(&f, path, true, CERTFILE_MIB, err) == -1)
		return -1;
	s = scan_file(&f);
	if (scan_line(&s, &line, &len) && len > 0 && line[len - 1] == '\r')
		len--;
	if (len == 0) {
		rc = err_set(err,
		    "%s: its first line, which is the password,"
		    " is empty",
		    path);
	} else if (len > PASSWORD_MAX) {
		rc = err_set(err,
		    "%s: its first line is longer than a password"
		    " may be (%d bytes)",
		    path, PASSWORD_MAX);
	} else {
		memcpy(p->text, line, len);
		p->len = len;
		p->given = true;
	}
	filebytes_fini(&f);
	return rc;
}

/* What comes of looking for a key. */
struct key_search {
	struct password password;
	bool found;
	bool unfit; /* never tried: it would take too long */
};

static EVP_PKEY *
key_from_info(struct key_search *k, PKCS8_PRIV_KEY_INFO *info)
{
	EVP_PKEY *key = NULL;

	k->unfit = !wallet_key_fits(info);
	if (!k->unfit)
		key = EVP_PKCS82PKEY(info);
	PKCS8_PRIV_KEY_INFO_free(info); /* wipes it */
	return key;
}

static EVP_PKEY *
key_from_sealed(struct key_search *k, X509_SIG *sealed)
{
	const struct password *p = &k->password;
	PKCS8_PRIV_KEY_INFO *info = NULL;
	const X509_ALGOR *how;

	k->password.asked = true;
	X509_SIG_get0(sealed, &how, NULL);
	k->unfit = wallet_rounds(how) > WALLET_ROUNDS_MAX;
	if (p->given && !k->unfit)
		info = PKCS8_decrypt(sealed, p->text, (int)p->len);
	X509_SIG_free(sealed);
	return info == NULL ? NULL : key_from_info(k, info);
}

/* PKCS #8, plain or sealed.  False for anything else. */
static bool
key_from_pkcs8(struct key_search *k, const uint8_t *der, long len,
    EVP_PKEY **key)
{
	PKCS8_PRIV_KEY_INFO *info;
	const uint8_t *at = der;
	X509_SIG *sealed;

	if ((info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, len)) != NULL) {
		*key = key_from_info(k, info);
		return true;
	}
	at = der;
	if ((sealed = d2i_X509_SIG(NULL, &at, len)) == NULL)
		return false;
	*key = key_from_sealed(k, sealed);
	return true;
}

static EVP_PKEY *
key_from_block(struct key_search *k, const struct block *b)
{
	EVP_PKEY *key = NULL;
	uint8_t *der;
	BIO *bio;
	long len = 0;

	if (block_is(b, PEM_STRING_PKCS8) || block_is(b, PEM_STRING_PKCS8INF)) {
		der = block_decode(b, &len);
		if (der != NULL)
			(void)key_from_pkcs8(k, der, len, &key);
		OPENSSL_clear_free(der, (size_t)len);
		return key;
	}
	if ((bio = BIO_new_mem_buf(b->text, (int)b->len)) == NULL)
		return NULL;
	key = PEM_read_bio_PrivateKey(bio, NULL, password_answer, &k->password);
	BIO_free(bio);
	return key;
}

static EVP_PKEY *
key_decode_pem(const struct filebytes *f, struct key_search *k)
{
	struct scan s = scan_file(f);
	struct block b;

	while (scan_block(&s, &b) == 1) {
		if (block_is_key(&b)) {
			k->found = true;
			return key_from_block(k, &b);
		}
	}
	return NULL;
}

static EVP_PKEY *
key_decode_der(const struct filebytes *f, struct key_search *k)
{
	const uint8_t *at = f->bytes;
	EVP_PKEY *key = NULL;

	k->found = key_from_pkcs8(k, at, (long)f->len, &key);
	return k->found ? key : d2i_AutoPrivateKey(NULL, &at, (long)f->len);
}

static int
key_unreadable(const char *path, const struct key_search *k,
    const char *password_file, struct err *err)
{
	const struct password *p = &k->password;

	if (k->unfit)
		return err_set(err,
		    "%s: the private key is of a kind that TLS has no use for, "
		    "or derived in more rounds than any is; make it anew (RSA "
		    "or EC)",
		    path);
	if (p->asked && !p->given)
		return err_set(err,
		    "%s: the private key is encrypted; give its"
		    " password in password_file, or a key without one where"
		    " there is no such setting",
		    path);
	if (p->asked)
		return err_set(err,
		    "%s: the password in %s does not open the"
		    " private key; it must be the file's first line",
		    path, password_file);
	if (!k->found)
		return err_set(err, "%s: there is no private key in it", path);
	return err_set(err,
	    "%s: the private key in it cannot be read; copy it"
	    " again",
	    path);
}

EVP_PKEY *
certfile_parse_key(const struct filebytes *f, const char *password_file,
    enum key_found *what, struct err *err)
{
	struct key_search k = { .found = false };
	const struct password *p = &k.password;
	EVP_PKEY *key = NULL;

	*what = KEY_UNREADABLE;
	if (password_file != NULL &&
	    password_read(&k.password, password_file, err) == -1)
		goto out;
	if (f->len > 0 && f->bytes[0] == DER_SEQUENCE)
		key = key_decode_der(f, &k);
	else
		key = key_decode_pem(f, &k);
	if (key != NULL)
		*what = KEY_READ;
	else if (p->asked && !p->given && !k.unfit)
		*what = KEY_SEALED;
	else if (!k.found && !p->asked)
		*what = KEY_NONE;
	if (key == NULL)
		(void)key_unreadable(f->path, &k, password_file, err);
	ERR_clear_error();
out:
	OPENSSL_cleanse(&k, sizeof(k));
	return key;
}

EVP_PKEY *
certfile_read_key(const char *path, const char *password_file, struct err *err)
{
	struct filebytes f;
	EVP_PKEY *key;
	enum key_found what;

	if (filebytes_read(&f, path, true, CERTFILE_MIB, err) == -1)
		return NULL;
	key = certfile_parse_key(&f, password_file, &what, err);
	filebytes_fini(&f);
	return key;
}

/* Moves the issuer of `child` from one stack to the end of another. */
static X509 *
chain_move_issuer(STACK_OF(X509) *from, STACK_OF(X509) *to, X509 *child)
{
	X509 *cert;
	int i;

	if (X509_self_signed(child, 0) == 1)
		return NULL;
	for (i = 0; i < sk_X509_num(from); i++) {
		cert = sk_X509_value(from, i);
		if (X509_check_issued(cert, child) != X509_V_OK)
			continue;
		if (sk_X509_push(to, cert) <= 0)
			return NULL;
		(void)sk_X509_delete(from, i);
		return cert;
	}
	return NULL;
}

/* The leaf is whichever certificate the key belongs to, and what is sent is
 * put in order: TLS 1.2 demands it, and files are in any order. */
static int
keypair_arrange(struct keypair *k, STACK_OF(X509) *certs, const char *path,
    struct err *err)
{
	X509 *cert;
	int i;

	for (i = 0; i < sk_X509_num(certs) && k->leaf == NULL; i++) {
		if (X509_check_private_key(sk_X509_value(certs, i), k->key) ==
		    1)
			k->leaf = sk_X509_delete(certs, i);
	}
	ERR_clear_error();
	if (k->leaf == NULL)
		return err_set(err,
		    "%s: the private key does not belong to"
		    " the certificate; give the pair that was made together",
		    path);
	for (cert = k->leaf; cert != NULL;)
		cert = chain_move_issuer(certs, k->chain, cert);
	return 0;
}

static int
keypair_from_pem(struct keypair *k, const struct filebytes *f,
    STACK_OF(X509) *certs, const char *key_path,
    const struct wallet_access *access, struct err *err)
{
	struct reader r = { .file = f,
		.certs = certs,
		.keys = true,
		.err = err };
	const char *path = key_path == NULL ? f->path : key_path;

	if (read_blocks(&r) == -1)
		return -1;
	k->key = certfile_read_key(path,
	    access == NULL ? NULL : access->password_file, err);
	return k->key == NULL ? -1 : keypair_arrange(k, certs, path, err);
}

/* Its key is in it. */
static int
keypair_from_wallet(struct keypair *k, const struct filebytes *f,
    STACK_OF(X509) *certs, const char *key_path,
    const struct wallet_access *access, struct err *err)
{
	struct contents c;
	int rc = -1;

	if (key_path != NULL)
		return err_set(err,
		    "%s: a wallet has its key inside; name no other file for "
		    "it",
		    f->path);
	if (contents_parse(&c, f, access, err) == -1)
		return -1;
	if (c.key == NULL)
		(void)err_set(err,
		    "%s: has no private key in it; a wallet that proves who "
		    "one is needs one (one of trusted certificates goes into "
		    "ca)",
		    f->path);
	else if (contents_leaf(&c) == -1)
		(void)err_set(err,
		    "%s: has a private key, but no certificate that belongs to "
		    "it; import the one that was issued for it",
		    f->path);
	else if (contents_move_certs(&c, true, certs) == -1)
		(void)err_set(err, "%s: out of memory", f->path);
	else
		rc = 0;
	k->key = c.key;
	c.key = NULL;
	contents_fini(&c);
	return rc == 0 ? keypair_arrange(k, certs, f->path, err) : -1;
}

static struct keypair *
keypair_new(void)
{
	struct keypair *k = OPENSSL_zalloc(sizeof(*k));

	if (k == NULL)
		return NULL;
	k->references = 1;
	k->chain = sk_X509_new_null();
	if (k->chain != NULL)
		return k;
	keypair_release(k);
	return NULL;
}

struct keypair *
keypair_load(const char *cert_path, const char *key_path,
    const struct wallet_access *access, struct err *err)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	struct keypair *k = keypair_new();
	char *path = NULL;
	struct filebytes f = { .path = cert_path };
	int rc = -1;

	if (certs == NULL || k == NULL)
		(void)err_set(err, "%s: out of memory", cert_path);
	else if ((path = certfile_locate(cert_path, err)) != NULL &&
	    filebytes_read(&f, path, false, CERTFILE_MIB, err) == 0) {
		rc = wallet_recognise(f.bytes, f.len)
		    ? keypair_from_wallet(k, &f, certs, key_path, access, err)
		    : keypair_from_pem(k, &f, certs, key_path, access, err);
		filebytes_fini(&f);
	}
	free(path);
	sk_X509_pop_free(certs, X509_free);
	if (rc == 0)
		return k;
	keypair_release(k);
	return NULL;
}

struct keypair *
keypair_retain(struct keypair *k)
{
	k->references++;
	return k;
}

void
keypair_release(struct keypair *k)
{
	if (k == NULL || (k->references > 0 && --k->references > 0))
		return;
	X509_free(k->leaf);
	sk_X509_pop_free(k->chain, X509_free);
	EVP_PKEY_free(k->key);
	OPENSSL_free(k);
}
