#include "conf/config_options.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/material.h"
#include "conf/redirect.h"
#include "conf/rsakey.h"

#define WORDS_MAX 1536 /* of what is said about a setting */

size_t
options_count(const struct neg_ops *ops)
{
	size_t n = 0;

	while (ops->options != NULL && ops->options[n].name != NULL)
		n++;
	return n;
}

size_t
options_find(const struct neg_ops *ops, const char *name)
{
	size_t i, n = options_count(ops);

	for (i = 0; i < n && strcmp(ops->options[i].name, name) != 0; i++)
		;
	return i;
}

static enum setting_type
type_of(enum neg_option_kind kind)
{
	switch (kind) {
	case NEG_OPTION_CHOICE:
		return TYPE_CHOICE;
	case NEG_OPTION_BOOL:
		return TYPE_BOOL;
	case NEG_OPTION_COUNT:
		return TYPE_COUNT;
	case NEG_OPTION_HOSTS:
		return TYPE_LIST;
	case NEG_OPTION_SECRETS:
	case NEG_OPTION_RSA_PUBLIC:
	case NEG_OPTION_RSA_PRIVATE:
		break;
	}
	return TYPE_TEXT;
}

/* What holds if nothing is written: zero, in every kind. */
static const char *
fallback_of(const struct neg_option *o)
{
	switch (o->kind) {
	case NEG_OPTION_CHOICE:
		return o->choices[0];
	case NEG_OPTION_BOOL:
		return "false";
	case NEG_OPTION_COUNT:
		return "0";
	case NEG_OPTION_HOSTS:
	case NEG_OPTION_SECRETS:
	case NEG_OPTION_RSA_PUBLIC:
	case NEG_OPTION_RSA_PRIVATE:
		break;
	}
	return NULL;
}

void
option_as_setting(const struct neg_option *o, struct setting *s)
{
	*s = (struct setting){
		.scope = SCOPE_ENDPOINT,
		.type = type_of(o->kind),
		.name = o->name,
		.max = o->max,
		.choices = o->choices,
		.check = o->kind == NEG_OPTION_HOSTS ? redirect_check : NULL,
		.fallback = fallback_of(o),
		.help = o->help,
	};
}

const struct value *
draft_option(const struct draft *d, const char *name)
{
	size_t i = options_find(d->ops, name);

	return i < d->noptions ? &d->options[i] : NULL;
}

void
option_problem(const struct draft *d, const char *name, bool warning,
    struct problems *p, const char *fmt, ...)
{
	const struct value *v = draft_option(d, name);
	char words[WORDS_MAX], own[DRAFT_PATH_MAX], path[DRAFT_PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	(void)snprintf(own, sizeof(own), "%s.%s", protocol_group(d->ops), name);
	draft_path(d, own, path);
	problem_add(p, warning, d->file,
	    v == NULL || v->line == 0 ? d->line : v->line, path, "%s", words);
}

/* What was added before memory was short is freed with the endpoint. */
static int
store_hosts(const struct value *v, char *at)
{
	struct neg_hosts h = { 0 };

	if (v->ntexts > 0 &&
	    (h.list = calloc(v->ntexts, sizeof(*h.list))) == NULL)
		return -1;
	while (
	    h.n < v->ntexts && (h.list[h.n] = strdup(v->texts[h.n].s)) != NULL)
		h.n++;
	memcpy(at, &h, sizeof(h));
	return h.n == v->ntexts ? 0 : -1;
}

static int
store(const struct neg_option *o, const struct value *v, char *at)
{
	unsigned count = (unsigned)v->number;
	bool is = v->number > 0;
	int index = (int)v->number;

	switch (o->kind) {
	case NEG_OPTION_CHOICE:
		memcpy(at, &index, sizeof(index));
		return 0;
	case NEG_OPTION_BOOL:
		memcpy(at, &is, sizeof(is));
		return 0;
	case NEG_OPTION_COUNT:
		memcpy(at, &count, sizeof(count));
		return 0;
	case NEG_OPTION_HOSTS:
		return store_hosts(v, at);
	case NEG_OPTION_SECRETS:
	case NEG_OPTION_RSA_PUBLIC:
	case NEG_OPTION_RSA_PRIVATE:
		break;
	}
	return 0;
}

int
options_build(const struct draft *d, struct endpoint *e)
{
	size_t i;

	if (d->noptions == 0)
		return 0;
	if ((e->options = calloc(1, d->ops->options_size)) == NULL)
		return -1;
	for (i = 0; i < d->noptions; i++) {
		if (store(&d->ops->options[i], &d->options[i],
			(char *)e->options + d->ops->options[i].offset) == -1)
			return -1;
	}
	return 0;
}

/*
 * Files.  What was read is kept even if something is wrong with it: it is
 * freed with the endpoint.
 */

/* One setting, as it is loaded. */
struct loading {
	struct builder *b;
	const struct draft *d;
	const struct neg_option *option;
	char *at; /* in the endpoint's struct */
	char *path;
};

static void
refuse(const struct loading *l, const struct err *err)
{
	option_problem(l->d, l->option->name, false, l->b->problems, "%s",
	    err->text);
}

static void
check_content(const struct loading *l, const struct neg_file *f)
{
	const struct rd content = { .at = f->bytes, .left = f->len };
	const char *why;
	unsigned line = 0;

	if (l->option->check == NULL ||
	    (why = l->option->check(content, &line)) == NULL)
		return;
	option_problem(l->d, l->option->name, false, l->b->problems,
	    "%s:%u: %s", f->path, line, why);
}

/* Both ways of reading one give memory that is ours. */
static void
load_file(const struct loading *l,
    uint8_t *(*read)(const char *path, size_t *len, struct err *err))
{
	struct neg_file f = { 0 };
	struct err err;

	if ((f.bytes = read(l->path, &f.len, &err)) == NULL) {
		refuse(l, &err);
		return;
	}
	f.path = strdup(l->path);
	memcpy(l->at, &f, sizeof(f));
	if (f.path == NULL) {
		(void)err_set(&err, "out of memory");
		refuse(l, &err);
		return;
	}
	check_content(l, &f);
}

static void
load_private(const struct loading *l)
{
	struct rsakey *key;
	struct err err;

	key = material_rsakey(l->b->material, l->path, &err);
	memcpy(l->at, &key, sizeof(struct rsakey *));
	if (key == NULL)
		refuse(l, &err);
}

static void
load(const struct loading *l)
{
	switch (l->option->kind) {
	case NEG_OPTION_SECRETS:
		load_file(l, material_secret);
		return;
	case NEG_OPTION_RSA_PUBLIC:
		load_file(l, material_rsa_public);
		return;
	case NEG_OPTION_RSA_PRIVATE:
		load_private(l);
		return;
	case NEG_OPTION_CHOICE:
	case NEG_OPTION_BOOL:
	case NEG_OPTION_COUNT:
	case NEG_OPTION_HOSTS:
		break;
	}
}

void
options_load_files(struct builder *b, const struct draft *d, struct endpoint *e)
{
	struct loading l = { .b = b, .d = d };
	struct err err;
	size_t i;

	for (i = 0; i < d->noptions; i++) {
		l.option = &d->ops->options[i];
		if (d->options[i].ntexts == 0 ||
		    l.option->kind == NEG_OPTION_HOSTS)
			continue;
		l.at = (char *)e->options + l.option->offset;
		l.path = builder_path(b, d, d->options[i].texts[0].s);
		if (l.path == NULL) {
			(void)err_set(&err, "out of memory");
			refuse(&l, &err);
		} else {
			load(&l);
		}
		free(l.path);
	}
}

void
options_check_keys(struct builder *b, const struct draft *d,
    const struct endpoint *e)
{
	const struct neg_option *o;
	struct rsakey *key;
	size_t i;

	for (i = 0; i < d->noptions; i++) {
		o = &d->ops->options[i];
		if (o->kind != NEG_OPTION_RSA_PRIVATE)
			continue;
		memcpy(&key, (const char *)e->options + o->offset,
		    sizeof(struct rsakey *));
		if (key != NULL && material_certified(b->material, key))
			option_problem(d, o->name, false, b->problems,
			    "%s: is the key of a certificate too, and what "
			    "opens passwords must not sign handshakes; make "
			    "another with `openssl genrsa -out FILE %d`",
			    rsakey_path(key), RSAKEY_BITS_MIN);
	}
}

static void
file_fini(const char *at)
{
	struct neg_file f;

	memcpy(&f, at, sizeof(f));
	free(f.path);
	if (f.bytes != NULL)
		neg_wipe(f.bytes, f.len);
	free(f.bytes);
}

static void
hosts_fini(const char *at)
{
	struct neg_hosts h;

	memcpy(&h, at, sizeof(h));
	while (h.n > 0)
		free(h.list[--h.n]);
	free(h.list);
}

static void
option_free(const struct neg_option *o, const char *at)
{
	struct rsakey *key;

	switch (o->kind) {
	case NEG_OPTION_SECRETS:
	case NEG_OPTION_RSA_PUBLIC:
		file_fini(at);
		return;
	case NEG_OPTION_RSA_PRIVATE:
		memcpy(&key, at, sizeof(struct rsakey *));
		rsakey_release(key);
		return;
	case NEG_OPTION_HOSTS:
		hosts_fini(at);
		return;
	case NEG_OPTION_CHOICE:
	case NEG_OPTION_BOOL:
	case NEG_OPTION_COUNT:
		break;
	}
}

void
options_free(struct endpoint *e)
{
	size_t i;

	if (e->options == NULL)
		return;
	for (i = 0; i < options_count(e->ops); i++)
		option_free(&e->ops->options[i],
		    (const char *)e->options + e->ops->options[i].offset);
	free(e->options);
}
