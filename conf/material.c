#include "conf/material.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "conf/certfile.h"
#include "conf/filebytes.h"
#include "conf/rsakey.h"
#include "conf/trust.h"

#define SYSTEM     "system"
#define SECRET_MIB 1

struct set_entry {
	char *key;
	struct material_set set;
};

struct pair_entry {
	char *key;
	struct keypair *pair;
};

struct material {
	struct set_entry **sets;
	size_t nsets;
	struct pair_entry *pairs;
	size_t npairs;
	struct rsakey **keys;
	size_t nkeys;
};

struct material *
material_new(void)
{
	return calloc(1, sizeof(struct material));
}

static void
entry_free(struct set_entry *e)
{
	if (e == NULL)
		return;
	anchors_release(e->set.anchors);
	free(e->set.notes);
	free(e->key);
	free(e);
}

void
material_free(struct material *m)
{
	size_t i;

	if (m == NULL)
		return;
	for (i = 0; i < m->nsets; i++)
		entry_free(m->sets[i]);
	for (i = 0; i < m->npairs; i++) {
		keypair_release(m->pairs[i].pair);
		free(m->pairs[i].key);
	}
	for (i = 0; i < m->nkeys; i++)
		rsakey_release(m->keys[i]);
	free(m->sets);
	free(m->pairs);
	free(m->keys);
	free(m);
}

/* What a list is found again by.  No path holds a control character. */
static void
key_write(FILE *to, const char *const *paths, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		(void)fprintf(to, "%s\n", paths[i] == NULL ? "" : paths[i]);
	(void)fputc('\f', to);
}

static char *
key_new(const char *const *first, size_t nfirst, const char *const *second,
    size_t nsecond, const struct wallet_access *access)
{
	const char *const words[] = { access->password_file, access->host,
		access->user };
	char *key = NULL;
	size_t len;
	FILE *to = open_memstream(&key, &len);

	if (to == NULL)
		return NULL;
	key_write(to, first, nfirst);
	key_write(to, second, nsecond);
	key_write(to, words, sizeof(words) / sizeof(words[0]));
	if (fclose(to) == EOF) {
		free(key);
		return NULL;
	}
	return key;
}

/* -1 if memory is short: the set is then none. */
static int
note_add(struct material_set *set, bool warning, enum material_kind kind,
    size_t index, const struct err *why)
{
	struct material_note *notes;

	notes = reallocarray(set->notes, set->nnotes + 1, sizeof(*notes));
	if (notes == NULL)
		return -1;
	set->notes = notes;
	notes[set->nnotes++] = (struct material_note){ .warning = warning,
		.kind = kind,
		.index = index,
		.why = *why };
	return 0;
}

/* The machine's own anchors are not the reader's to mend. */
static int
warn_expired_anchors(struct material_set *set, const char *path, size_t index,
    int from)
{
	char subject[256], at[CERT_TIME_MAX];
	struct err why;
	X509 *cert;
	int i;

	if (strcmp(path, SYSTEM) == 0)
		return 0;
	for (i = from; i < sk_X509_num(set->anchors->certs); i++) {
		cert = sk_X509_value(set->anchors->certs, i);
		if (X509_cmp_current_time(X509_get0_notAfter(cert)) >= 0)
			continue;
		cert_name_text(X509_get_subject_name(cert), subject,
		    sizeof(subject));
		cert_time_text(X509_get0_notAfter(cert), at);
		(void)err_set(&why,
		    "%s: the anchor \"%s\" expired at %s; "
		    "replace it",
		    path, subject, at);
		if (note_add(set, true, MATERIAL_CA, index, &why) == -1)
			return -1;
	}
	return 0;
}

static int
warn_expired_crls(struct material_set *set, const char *path, size_t index,
    int from)
{
	char issuer[256], at[CERT_TIME_MAX];
	const ASN1_TIME *next;
	struct err why;
	X509_CRL *crl;
	int i;

	for (i = from; i < sk_X509_CRL_num(set->anchors->crls); i++) {
		crl = sk_X509_CRL_value(set->anchors->crls, i);
		next = X509_CRL_get0_nextUpdate(crl);
		if (next == NULL || X509_cmp_current_time(next) >= 0)
			continue;
		cert_name_text(X509_CRL_get_issuer(crl), issuer,
		    sizeof(issuer));
		cert_time_text(next, at);
		(void)err_set(&why,
		    "%s: the list of \"%s\" was to be renewed "
		    "at %s; fetch a newer one",
		    path, issuer, at);
		if (note_add(set, true, MATERIAL_CRL, index, &why) == -1)
			return -1;
	}
	return 0;
}

static int
load_ca(struct material_set *set, const char *path, size_t index,
    const struct wallet_access *access)
{
	int from = sk_X509_num(set->anchors->certs);
	struct err why;

	if (anchors_add_wallet(set->anchors, path, access, &why) == -1)
		return note_add(set, false, MATERIAL_CA, index, &why);
	return warn_expired_anchors(set, path, index, from);
}

static int
load_crl(struct material_set *set, const char *path, size_t index)
{
	int from = sk_X509_CRL_num(set->anchors->crls);
	struct err why;

	if (anchors_add_crl(set->anchors, path, &why) == -1)
		return note_add(set, false, MATERIAL_CRL, index, &why);
	return warn_expired_crls(set, path, index, from);
}

static struct set_entry *
entry_load(char *key, const char *const *ca, size_t nca, const char *const *crl,
    size_t ncrl, const struct wallet_access *access)
{
	struct set_entry *e;
	size_t i;

	if ((e = calloc(1, sizeof(*e))) == NULL) {
		free(key);
		return NULL;
	}
	e->key = key;
	if ((e->set.anchors = anchors_new()) == NULL)
		goto fail;
	for (i = 0; i < nca; i++) {
		if (load_ca(&e->set, ca[i], i, access) == -1)
			goto fail;
	}
	for (i = 0; i < ncrl; i++) {
		if (load_crl(&e->set, crl[i], i) == -1)
			goto fail;
	}
	return e;
fail:
	entry_free(e);
	return NULL;
}

struct material_set *
material_find(struct material *m, const char *const *ca, size_t nca,
    const char *const *crl, size_t ncrl, const struct wallet_access *access)
{
	struct set_entry **sets, *e;
	size_t i;
	char *key;

	if ((key = key_new(ca, nca, crl, ncrl, access)) == NULL)
		return NULL;
	for (i = 0; i < m->nsets; i++) {
		if (strcmp(m->sets[i]->key, key) == 0) {
			free(key);
			return &m->sets[i]->set;
		}
	}
	if ((e = entry_load(key, ca, nca, crl, ncrl, access)) == NULL)
		return NULL;
	sets = reallocarray(m->sets, m->nsets + 1, sizeof(struct set_entry *));
	if (sets == NULL) {
		entry_free(e);
		return NULL;
	}
	m->sets = sets;
	sets[m->nsets++] = e;
	return &e->set;
}

static void
warn_validity(const char *path, X509 *leaf, struct err *warning)
{
	char at[CERT_TIME_MAX];

	warning->text[0] = '\0';
	if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0) {
		cert_time_text(X509_get0_notAfter(leaf), at);
		(void)err_set(warning,
		    "%s: the certificate expired at %s; "
		    "replace it",
		    path, at);
	} else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0) {
		cert_time_text(X509_get0_notBefore(leaf), at);
		(void)err_set(warning,
		    "%s: the certificate is not valid "
		    "before %s; is the clock right?",
		    path, at);
	}
}

static struct keypair *
pair_load(struct material *m, char *key, const char *const paths[2],
    const struct wallet_access *access, struct err *err)
{
	struct pair_entry *pairs;
	struct keypair *pair;

	pair = keypair_load(paths[0], paths[1], access, err);
	if (pair == NULL)
		goto fail;
	pairs = reallocarray(m->pairs, m->npairs + 1, sizeof(*pairs));
	if (pairs == NULL) {
		(void)err_set(err, "out of memory");
		goto fail;
	}
	m->pairs = pairs;
	pairs[m->npairs++] = (struct pair_entry){ .key = key, .pair = pair };
	return pair;
fail:
	keypair_release(pair);
	free(key);
	return NULL;
}

struct keypair *
material_keypair(struct material *m, const char *cert, const char *key_path,
    const struct wallet_access *access, struct err *warning, struct err *err)
{
	const char *const paths[2] = { cert, key_path };
	struct keypair *pair = NULL;
	char *key = key_new(paths, 2, NULL, 0, access);
	size_t i;

	if (key == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	for (i = 0; i < m->npairs && pair == NULL; i++) {
		if (strcmp(m->pairs[i].key, key) == 0)
			pair = m->pairs[i].pair;
	}
	if (pair != NULL)
		free(key);
	else if ((pair = pair_load(m, key, paths, access, err)) == NULL)
		return NULL;
	warn_validity(cert, pair->leaf, warning);
	return keypair_retain(pair);
}

/* Takes the key over. */
static struct rsakey *
keep_key(struct material *m, struct rsakey *k, struct err *err)
{
	struct rsakey **keys;

	keys = reallocarray(m->keys, m->nkeys + 1, sizeof(struct rsakey *));
	if (keys == NULL) {
		rsakey_release(k);
		(void)err_set(err, "out of memory");
		return NULL;
	}
	m->keys = keys;
	keys[m->nkeys++] = k;
	return k;
}

struct rsakey *
material_rsakey(struct material *m, const char *path, struct err *err)
{
	struct rsakey *k;
	size_t i;

	for (i = 0; i < m->nkeys; i++) {
		if (strcmp(rsakey_path(m->keys[i]), path) == 0)
			return rsakey_retain(m->keys[i]);
	}
	if ((k = rsakey_load(path, err)) == NULL ||
	    (k = keep_key(m, k, err)) == NULL)
		return NULL;
	return rsakey_retain(k);
}

bool
material_certified(const struct material *m, const struct rsakey *k)
{
	size_t i;

	for (i = 0; i < m->npairs; i++) {
		if (rsakey_is_of(k, m->pairs[i].pair))
			return true;
	}
	return false;
}

uint8_t *
material_secret(const char *path, size_t *len, struct err *err)
{
	struct filebytes f;
	uint8_t *copy = NULL;

	if (filebytes_read(&f, path, true, SECRET_MIB, err) == -1)
		return NULL;
	if (f.len == 0)
		(void)err_set(err, "%s: is empty", path);
	else if ((copy = malloc(f.len)) == NULL)
		(void)err_set(err, "%s: out of memory", path);
	else
		memcpy(copy, f.bytes, f.len);
	*len = f.len;
	filebytes_fini(&f);
	return copy;
}

uint8_t *
material_rsa_public(const char *path, size_t *len, struct err *err)
{
	return (uint8_t *)rsakey_read_public(path, len, err);
}

int
material_digest(const void *bytes, size_t len, char hex[MATERIAL_DIGEST_MAX])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n, i;

	if (EVP_Digest(bytes, len, digest, &n, EVP_sha256(), NULL) != 1 ||
	    n * 2 + 1 > MATERIAL_DIGEST_MAX)
		return -1;
	for (i = 0; i < n; i++)
		(void)snprintf(hex + (size_t)i * 2, 3, "%02x", digest[i]);
	return 0;
}
