/*
 * Any text as a configuration: it is refused with a reason, or what comes of
 * it keeps every promise that the rest of the program relies on.
 *
 * Nothing is opened: this file has functions of the names of those in
 * conf/config_files.c and conf/material.c, which the linker takes in their
 * place.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/certfile.h"
#include "conf/config.h"
#include "conf/config_files.h"
#include "conf/material.h"
#include "conf/rsakey.h"
#include "conf/trust.h"

/* Not assert(): a fuzzer without its checks would be worse than none. */
#define MUST(condition)                                                \
	do {                                                           \
		if (!(condition)) {                                    \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, \
			    __LINE__, #condition);                     \
			abort();                                       \
		}                                                      \
	} while (0)

#define SETS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * In place of conf/config_files.c: included files have one endpoint.
 */

char *
config_file_read(const char *path, size_t *len, struct err *err)
{
	static const char text[] =
	    "endpoints = ( { name = \"included\"; engine = \"postgres\"; "
	    "listen = \"127.0.0.1:1\"; server = \"a\"; "
	    "ssl_mode = \"require\"; } );";
	char *copy;

	if (strstr(path, "no") != NULL) {
		(void)err_set(err, "cannot be opened");
		return NULL;
	}
	copy = strdup(text);
	MUST(copy != NULL);
	*len = strlen(copy);
	return copy;
}

char *
config_file_resolve(const char *file, const char *path)
{
	(void)file;
	return strdup(path);
}

int
config_file_match(const char *pattern, struct file_list *found, struct err *err)
{
	*found = (struct file_list){ 0 };
	if (strchr(pattern, '?') != NULL)
		return err_set(err, "there is no file");
	found->list = calloc(1, sizeof(char *));
	MUST(found->list != NULL);
	found->list[0] = strdup(pattern);
	found->n = 1;
	return 0;
}

void
file_list_fini(struct file_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->list[i]);
	free(l->list);
	*l = (struct file_list){ 0 };
}

/*
 * In place of conf/material.c: files with "no" in their name are bad ones,
 * others are empty.
 */

struct material {
	struct material_set sets[SETS_MAX];
	size_t n;
};

struct material *
material_new(void)
{
	return calloc(1, sizeof(struct material));
}

void
material_free(struct material *m)
{
	size_t i;

	for (i = 0; m != NULL && i < m->n; i++) {
		anchors_release(m->sets[i].anchors);
		free(m->sets[i].notes);
	}
	free(m);
}

struct material_set *
material_find(struct material *m, const char *const *ca, size_t nca,
    const char *const *crl, size_t ncrl, const struct wallet_access *access)
{
	struct material_set *set = &m->sets[m->n];

	MUST(access != NULL);
	if (m->n == SETS_MAX)
		return NULL;
	m->n++;
	set->anchors = anchors_new();
	set->notes = calloc(1, sizeof(*set->notes));
	MUST(set->anchors != NULL && set->notes != NULL);
	if (nca > 0 && strstr(ca[nca - 1], "no") != NULL) {
		set->nnotes = 1;
		set->notes[0].index = nca - 1;
	} else if (ncrl > 0 && strstr(crl[ncrl - 1], "no") != NULL) {
		set->nnotes = 1;
		set->notes[0].kind = MATERIAL_CRL;
		set->notes[0].index = ncrl - 1;
		set->notes[0].warning = true;
	}
	return set;
}

struct keypair *
material_keypair(struct material *m, const char *cert, const char *key,
    const struct wallet_access *access, struct err *warning, struct err *err)
{
	struct keypair *pair;

	(void)m;
	(void)key;
	MUST(access != NULL);
	warning->text[0] = '\0';
	if (strstr(cert, "no") != NULL) {
		(void)err_set(err, "cannot be opened");
		return NULL;
	}
	pair = calloc(1, sizeof(*pair));
	MUST(pair != NULL);
	atomic_init(&pair->references, 1);
	return pair;
}

/* One is made, and is everybody's. */
struct rsakey *
material_rsakey(struct material *m, const char *path, struct err *err)
{
	static struct rsakey *key;

	(void)m;
	if (strstr(path, "no") != NULL) {
		(void)err_set(err, "cannot be opened");
		return NULL;
	}
	if (key == NULL)
		key = rsakey_make(err);
	MUST(key != NULL);
	return rsakey_retain(key);
}

bool
material_certified(const struct material *m, const struct rsakey *k)
{
	(void)m;
	MUST(k != NULL);
	return false;
}

uint8_t *
material_secret(const char *path, size_t *len, struct err *err)
{
	if (strstr(path, "no") != NULL) {
		(void)err_set(err, "cannot be opened");
		return NULL;
	}
	*len = strlen(path);
	return (uint8_t *)strdup(path);
}

uint8_t *
material_rsa_public(const char *path, size_t *len, struct err *err)
{
	return material_secret(path, len, err);
}

int
material_digest(const void *bytes, size_t len, char hex[MATERIAL_DIGEST_MAX])
{
	(void)bytes;
	(void)len;
	memset(hex, '0', MATERIAL_DIGEST_MAX - 1);
	hex[MATERIAL_DIGEST_MAX - 1] = '\0';
	return 0;
}

/*
 * What is promised.
 */

static void
must_be_one_line(const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		MUST(!iscntrl((unsigned char)*text));
}

static void
check_problems(const struct problems *p)
{
	size_t i, errors = 0;

	for (i = 0; i < p->n; i++) {
		errors += !p->list[i].warning;
		must_be_one_line(p->list[i].text);
		must_be_one_line(p->list[i].path);
	}
	MUST(errors == p->errors);
}

static void
check_server(const struct endpoint *e, const struct server *s)
{
	MUST(s->text != NULL);
	MUST(s->host != NULL || address_is_unix(&s->fixed));
	MUST(s->host == NULL || s->port != 0);
	MUST(!address_is_unix(&s->fixed) || e->mode == SSL_MODE_NONE);
	MUST(s->sni == NULL || host_is_name(s->sni));
	if (e->mode == SSL_MODE_VERIFY_FULL)
		MUST(s->target.nnames > 0 || s->target.server_dn != NULL);
	if (e->mode == SSL_MODE_NONE && e->client_rule != CLIENT_TLS_OFF)
		MUST(e->cleartext_server ||
		    (s->fixed.len != 0 && address_is_loopback(&s->fixed)));
}

static void
check_listener(const struct endpoint *e, const struct address *a)
{
	if (address_is_loopback(a))
		return;
	MUST(e->client_rule == CLIENT_TLS_REQUIRE || e->allow.n > 0);
	if (e->identity != NULL)
		MUST(e->allow.n > 0 ||
		    e->client_verify == CLIENT_VERIFY_REQUIRE);
}

static void
check_trust(const struct endpoint *e)
{
	enum neg_server_rule rule = endpoint_policy(e).server;

	MUST((e->mode == SSL_MODE_NONE) == (rule == SERVER_TLS_NEVER));
	MUST((e->mode == SSL_MODE_NONE) == (e->trust == NULL));
	MUST(e->mode != SSL_MODE_NONE || e->identity == NULL);
	MUST((e->mode >= SSL_MODE_VERIFY_CA) ==
	    (e->trust != NULL && e->trust->anchors != NULL));
	MUST((e->client_rule == CLIENT_TLS_OFF) == (e->client_keypair == NULL));
	MUST((e->client_verify == CLIENT_VERIFY_NONE) ==
	    (e->client_trust == NULL));
	MUST(e->client_verify != CLIENT_VERIFY_REQUIRE ||
	    e->client_rule == CLIENT_TLS_REQUIRE);
	MUST(e->client_rule != CLIENT_TLS_ALLOW || e->ops->client_chooses);
	MUST(e->tls.min <= e->tls.max || e->mode == SSL_MODE_NONE);
}

static void
check_endpoint(const struct endpoint *e)
{
	size_t i;

	MUST(e->name != NULL && e->file != NULL && e->ops != NULL);
	MUST(e->nlistens > 0 && e->nservers > 0);
	MUST((e->ops->options == NULL) == (e->options == NULL));
	check_trust(e);
	for (i = 0; i < e->nlistens; i++)
		check_listener(e, &e->listens[i]);
	for (i = 0; i < e->nservers; i++)
		check_server(e, &e->servers[i]);
}

static void
check_config(const struct config *c)
{
	size_t i, j;

	MUST(c->nendpoints > 0 && c->threads > 0);
	MUST(c->dns.min_ttl <= c->dns.max_ttl);
	for (i = 0; i < c->nendpoints; i++) {
		check_endpoint(c->endpoints[i]);
		MUST(c->endpoints[i]->index == i);
		for (j = 0; j < i; j++)
			MUST(strcmp(c->endpoints[i]->name,
				 c->endpoints[j]->name) != 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problems p = { 0 };
	struct config *c;
	char *text = malloc(size + 1);

	MUST(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	c = config_load_text(text, "input", &p);
	MUST((c == NULL) == (p.errors > 0));
	check_problems(&p);
	if (c != NULL)
		check_config(c);
	config_release(c);
	problems_fini(&p);
	free(text);
	return 0;
}
