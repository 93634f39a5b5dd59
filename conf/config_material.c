/*
 * What an endpoint has of certificates, keys and CRLs.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/certfile.h"
#include "conf/config_endpoint.h"
#include "conf/config_options.h"
#include "conf/material.h"
#include "conf/trust.h"

#define SYSTEM "system"

/* The files of one setting, as they are to be opened. */
struct paths {
	char **list;
	size_t n;
};

static void
paths_fini(struct paths *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		free(p->list[i]);
	free(p->list);
}

static int
paths_resolve(const struct builder *b, const struct draft *d,
    enum setting_id id, struct paths *p)
{
	const struct value *v = draft_value(d, id);
	size_t i;

	*p = (struct paths){ 0 };
	if (v->ntexts == 0)
		return 0;
	if ((p->list = calloc(v->ntexts, sizeof(char *))) == NULL)
		return -1;
	p->n = v->ntexts;
	for (i = 0; i < p->n; i++) {
		p->list[i] = strcmp(v->texts[i].s, SYSTEM) == 0
		    ? strdup(SYSTEM)
		    : builder_path(b, d, v->texts[i].s);
		if (p->list[i] == NULL)
			return -1;
	}
	return 0;
}

static void
out_of_memory(struct builder *b, const struct draft *d)
{
	problem_add(b->problems, false, d->file, d->line, d->path,
	    "out of memory");
}

/* What there is to say about a set: errors to every endpoint that names it,
 * warnings to the first. */
static void
tell_notes(struct builder *b, const struct draft *d, enum setting_id ca,
    enum setting_id crl, struct material_set *set)
{
	size_t i;

	for (i = 0; i < set->nnotes; i++) {
		const struct material_note *note = &set->notes[i];
		enum setting_id id = note->kind == MATERIAL_CA ? ca : crl;
		char path[DRAFT_PATH_MAX];

		if (note->warning && set->warned)
			continue;
		draft_path(d, setting_get(id)->name, path);
		problem_add(b->problems, note->warning, d->file,
		    draft_value(d, id)->texts[note->index].line, path, "%s",
		    note->why.text);
	}
	set->warned = true;
}

/* The path of a setting; NULL if it was not written. */
static char *
setting_path(struct builder *b, const struct draft *d, enum setting_id id)
{
	char *path = NULL;

	if (draft_text(d, id) != NULL &&
	    (path = builder_path(b, d, draft_text(d, id))) == NULL)
		out_of_memory(b, d);
	return path;
}

/* What opens the wallets.  The path in it is to be freed. */
struct access {
	struct wallet_access words;
	char *password_file;
};

/* `own` is a password's setting that wins, if it is written. */
static struct access
access_find(struct builder *b, const struct draft *d, enum setting_id own)
{
	bool given = own != SETTING_NONE && draft_given(d, own);
	struct access a = { .words = {
				.host = draft_text(d, SETTING_WALLET_HOST),
				.user = draft_text(d, SETTING_WALLET_USER),
			    } };

	a.password_file =
	    setting_path(b, d, given ? own : SETTING_WALLET_PASSWORD_FILE);
	a.words.password_file = a.password_file;
	return a;
}

/* `crl` may be SETTING_NONE. */
static struct anchors *
load_anchors(struct builder *b, const struct draft *d, enum setting_id ca,
    enum setting_id crl)
{
	struct access access = access_find(b, d, SETTING_NONE);
	struct paths cas = { 0 }, crls = { 0 };
	struct material_set *set = NULL;
	struct anchors *anchors = NULL;

	if (paths_resolve(b, d, ca, &cas) == 0 &&
	    (crl == SETTING_NONE || paths_resolve(b, d, crl, &crls) == 0))
		set = material_find(b->material, (const char *const *)cas.list,
		    cas.n, (const char *const *)crls.list, crls.n,
		    &access.words);
	if (set == NULL) {
		out_of_memory(b, d);
	} else {
		tell_notes(b, d, ca, crl, set);
		anchors = anchors_retain(set->anchors);
	}
	paths_fini(&cas);
	paths_fini(&crls);
	free(access.password_file);
	return anchors;
}

static void
load_trust(struct builder *b, const struct draft *d, struct endpoint *e)
{
	struct trust *t;

	if (e->mode == SSL_MODE_NONE)
		return;
	if ((t = calloc(1, sizeof(*t))) == NULL) {
		out_of_memory(b, d);
		return;
	}
	e->trust = t;
	t->mode = e->mode;
	t->profile = (enum x509_profile)draft_choice(d, SETTING_X509_PROFILE);
	t->allow_cn = draft_is_true(d, SETTING_ALLOW_CN);
	t->crl_expired_warns = draft_choice(d, SETTING_CRL_EXPIRED) != 0;
	t->seclevel = e->tls.seclevel;
	if (e->mode >= SSL_MODE_VERIFY_CA)
		t->anchors = load_anchors(b, d, SETTING_CA, SETTING_CRL);
}

static void
load_client_trust(struct builder *b, const struct draft *d, struct endpoint *e)
{
	struct trust *t;

	if (e->client_verify == CLIENT_VERIFY_NONE)
		return;
	if ((t = calloc(1, sizeof(*t))) == NULL) {
		out_of_memory(b, d);
		return;
	}
	e->client_trust = t;
	t->mode = SSL_MODE_VERIFY_CA;
	t->client = true;
	t->seclevel = e->client_tls.seclevel;
	t->anchors = load_anchors(b, d, SETTING_CLIENT_TLS_CA, SETTING_NONE);
}

static struct keypair *
load_keypair(struct builder *b, const struct draft *d, enum setting_id cert,
    enum setting_id key, enum setting_id password_file)
{
	char *cert_path = setting_path(b, d, cert);
	char *key_path = setting_path(b, d, key);
	struct access access = access_find(b, d, password_file);
	struct keypair *pair = NULL;
	struct err warning, err;

	if (cert_path != NULL) {
		pair = material_keypair(b->material, cert_path, key_path,
		    &access.words, &warning, &err);
		if (pair == NULL)
			draft_problem(d, cert, false, b->problems, "%s",
			    err.text);
		else if (warning.text[0] != '\0')
			draft_problem(d, cert, true, b->problems, "%s",
			    warning.text);
	}
	free(cert_path);
	free(key_path);
	free(access.password_file);
	return pair;
}

void
endpoint_load_files(struct builder *b, const struct draft *d,
    struct endpoint *e)
{
	load_trust(b, d, e);
	options_load_files(b, d, e);
	if (e->mode != SSL_MODE_NONE)
		e->identity = load_keypair(b, d, SETTING_IDENTITY_CERT,
		    SETTING_IDENTITY_KEY, SETTING_IDENTITY_PASSWORD_FILE);
	if (e->client_rule == CLIENT_TLS_OFF)
		return;
	e->client_keypair = load_keypair(b, d, SETTING_CLIENT_TLS_CERT,
	    SETTING_CLIENT_TLS_KEY, SETTING_NONE);
	load_client_trust(b, d, e);
}
