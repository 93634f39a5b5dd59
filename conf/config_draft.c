#include "conf/config_draft.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/config_options.h"

#define WORDS_MAX 1536 /* of what is said about a setting */

static int
set_fallback(struct value *v, const struct setting *s)
{
	if (s->fallback == NULL)
		return 0;
	switch (s->type) {
	case TYPE_BOOL:
		v->number = strcmp(s->fallback, "true") == 0 ? 1 : 0;
		return 0;
	case TYPE_COUNT:
	case TYPE_SECONDS:
		v->number = strtod(s->fallback, NULL);
		return 0;
	case TYPE_CHOICE:
		v->number = choice_find(s->choices, s->fallback);
		assert(v->number >= 0);
		return 0;
	case TYPE_TEXT:
	case TYPE_LIST:
		return value_add_text(v, s->fallback, 0);
	case TYPE_ENDPOINTS:
	case TYPE_SERVERS:
	case TYPE_LABELS:
		break;
	}
	/* These can have none: whoever writes one sees every load fail. */
	return -1;
}

struct draft *
draft_new(enum setting_scope scope, const char *file, unsigned line,
    const char *path)
{
	struct draft *d;
	size_t i;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	d->scope = scope;
	d->file = file;
	d->line = line;
	if ((d->path = strdup(path)) == NULL)
		goto fail;
	for (i = 0; i < SETTING_NONE; i++) {
		const struct setting *s = setting_get((enum setting_id)i);

		if (s->scope == scope && set_fallback(&d->values[i], s) == -1)
			goto fail;
	}
	return d;
fail:
	draft_free(d);
	return NULL;
}

static void
value_free_texts(struct value *v)
{
	size_t i;

	for (i = 0; i < v->ntexts; i++)
		free(v->texts[i].s);
	free(v->texts);
	v->texts = NULL;
	v->ntexts = 0;
}

void
draft_free(struct draft *d)
{
	size_t i;

	if (d == NULL)
		return;
	for (i = 0; i < SETTING_NONE; i++)
		value_free_texts(&d->values[i]);
	for (i = 0; i < d->nchildren; i++)
		draft_free(d->children[i]);
	for (i = 0; i < d->nlabels; i++) {
		free(d->labels[i].name.s);
		free(d->labels[i].value.s);
	}
	free(d->children);
	free(d->labels);
	for (i = 0; i < d->noptions; i++)
		value_free_texts(&d->options[i]);
	free(d->options);
	free(d->path);
	free(d);
}

/* What holds for an engine's setting that is not written is zero. */
int
draft_set_engine(struct draft *d, const struct neg_ops *ops)
{
	size_t n = options_count(ops);

	d->ops = ops;
	if (n == 0)
		return 0;
	if ((d->options = calloc(n, sizeof(*d->options))) == NULL)
		return -1;
	d->noptions = n;
	return 0;
}

int
draft_adopt(struct draft *parent, struct draft *child)
{
	struct draft **children;

	children = reallocarray(parent->children, parent->nchildren + 1,
	    sizeof(struct draft *));
	if (children == NULL)
		return -1;
	parent->children = children;
	children[parent->nchildren++] = child;
	return 0;
}

/* What was written takes the place of a default. */
int
value_add_text(struct value *v, const char *s, unsigned line)
{
	struct text *texts;

	if (v->ntexts == 1 && v->texts[0].line == 0 && line != 0)
		value_free_texts(v);
	texts = reallocarray(v->texts, v->ntexts + 1, sizeof(*texts));
	if (texts == NULL)
		return -1;
	v->texts = texts;
	if ((texts[v->ntexts].s = strdup(s)) == NULL)
		return -1;
	texts[v->ntexts++].line = line;
	return 0;
}

const struct value *
draft_value(const struct draft *d, enum setting_id id)
{
	assert(setting_get(id)->scope == d->scope);
	return &d->values[id];
}

bool
draft_given(const struct draft *d, enum setting_id id)
{
	return draft_value(d, id)->line != 0;
}

bool
draft_sound(const struct draft *d, enum setting_id id)
{
	return draft_given(d, id) && !draft_value(d, id)->spoilt;
}

double
draft_number(const struct draft *d, enum setting_id id)
{
	return draft_value(d, id)->number;
}

bool
draft_is_true(const struct draft *d, enum setting_id id)
{
	return draft_value(d, id)->number > 0;
}

int
draft_choice(const struct draft *d, enum setting_id id)
{
	assert(setting_get(id)->type == TYPE_CHOICE);
	return (int)draft_value(d, id)->number;
}

const char *
draft_text(const struct draft *d, enum setting_id id)
{
	const struct value *v = draft_value(d, id);

	return v->ntexts == 0 ? NULL : v->texts[0].s;
}

unsigned
draft_line(const struct draft *d, enum setting_id id)
{
	return draft_given(d, id) ? draft_value(d, id)->line : d->line;
}

void
draft_path(const struct draft *d, const char *name, char path[DRAFT_PATH_MAX])
{
	(void)snprintf(path, DRAFT_PATH_MAX, "%s%s%s", d->path,
	    d->path[0] == '\0' || name[0] == '\0' ? "" : ".", name);
}

void
draft_problem(const struct draft *d, enum setting_id id, bool warning,
    struct problems *p, const char *fmt, ...)
{
	char words[WORDS_MAX], path[DRAFT_PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	draft_path(d, setting_get(id)->name, path);
	problem_add(p, warning, d->file, draft_line(d, id), path, "%s", words);
}
