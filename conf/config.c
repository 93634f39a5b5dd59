#include "conf/config.h"

#include <sys/stat.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "conf/config_cpus.h"
#include "conf/config_draft.h"
#include "conf/config_endpoint.h"
#include "conf/config_files.h"
#include "conf/config_options.h"
#include "conf/config_reader.h"
#include "conf/config_rules.h"
#include "conf/material.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

_Static_assert(CONFIG_SHA256_MAX == MATERIAL_DIGEST_MAX, "a hash is a hash");

struct read_file {
	char *path;
	struct stat st; /* all zero if it is no file */
};

/* What loading needs while it lasts. */
struct loader {
	struct builder builder;
	struct problems *problems;
	struct draft *top;
	struct config *config;
	/* Every file that was read, the main one first.  Drafts name theirs, so
	 * these stay until the end. */
	struct read_file *read;
	size_t nread;
};

static void
load_failed(struct loader *l, const char *file)
{
	problem_add(l->problems, false, file, 0, NULL, "out of memory");
}

/* Some editors begin a file of UTF-8 so. */
static void
load_text(struct loader *l, char *text, size_t len, const char *file, bool main)
{
	size_t skip = strlen(BYTE_ORDER_MARK);

	if (strncmp(text, BYTE_ORDER_MARK, skip) != 0)
		skip = 0;
	config_read_text(text + skip, len - skip, file, main, l->top,
	    l->problems);
}

static const char *
remember_file(struct loader *l, const char *path)
{
	struct read_file *read, *one;

	read = reallocarray(l->read, l->nread + 1, sizeof(*read));
	if (read == NULL)
		return NULL;
	l->read = read;
	one = &read[l->nread];
	*one = (struct read_file){ .path = strdup(path) };
	if (one->path == NULL)
		return NULL;
	if (stat(path, &one->st) == -1)
		memset(&one->st, 0, sizeof(one->st));
	l->nread++;
	return one->path;
}

static void
forget_files(struct loader *l)
{
	size_t i;

	for (i = 0; i < l->nread; i++)
		free(l->read[i].path);
	free(l->read);
}

/* By whatever name it was read. */
static bool
was_read(const struct loader *l, const char *path)
{
	struct stat st;
	size_t i;

	if (stat(path, &st) == -1)
		return false;
	for (i = 0; i < l->nread; i++) {
		if (l->read[i].st.st_dev == st.st_dev &&
		    l->read[i].st.st_ino == st.st_ino)
			return true;
	}
	return false;
}

static void
include_file(struct loader *l, const char *path, unsigned line)
{
	const char *file;
	struct err err;
	size_t len;
	char *text;

	if (was_read(l, path)) {
		problem_add(l->problems, false, l->top->file, line, "include",
		    "\"%s\" is included twice", path);
		return;
	}
	if ((file = remember_file(l, path)) == NULL) {
		load_failed(l, path);
		return;
	}
	if ((text = config_file_read(path, &len, &err)) == NULL) {
		problem_add(l->problems, false, l->top->file, line, "include",
		    "\"%s\" %s", path, err.text);
		return;
	}
	load_text(l, text, len, file, false);
	free(text);
}

static void
include_pattern(struct loader *l, const struct text *written)
{
	char *pattern = builder_path(&l->builder, l->top, written->s);
	struct file_list found;
	struct err err;
	size_t i;

	if (pattern == NULL) {
		load_failed(l, l->top->file);
		return;
	}
	if (config_file_match(pattern, &found, &err) == -1)
		problem_add(l->problems, false, l->top->file, written->line,
		    "include", "%s", err.text);
	for (i = 0; i < found.n; i++)
		include_file(l, found.list[i], written->line);
	file_list_fini(&found);
	free(pattern);
}

static void
load_includes(struct loader *l)
{
	const struct value *v = draft_value(l->top, SETTING_INCLUDE);
	size_t i;

	for (i = 0; i < v->ntexts; i++)
		include_pattern(l, &v->texts[i]);
}

static int
build_top(struct loader *l)
{
	struct config *c = l->config;
	const char *to = draft_text(l->top, SETTING_LOG_TO);

	if (draft_store(l->top, c) == -1)
		return -1;
	if (c->threads == 0)
		c->threads = config_cpus();
	c->log.to = strchr(to, '/') == NULL
	    ? strdup(to)
	    : builder_path(&l->builder, l->top, to);
	return c->log.to == NULL ? -1 : 0;
}

static int
build_endpoints(struct loader *l)
{
	struct config *c = l->config;
	size_t i, n = l->top->nchildren;

	if (n == 0)
		return 0;
	if ((c->endpoints = calloc(n, sizeof(struct endpoint *))) == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		c->endpoints[i] =
		    endpoint_build(&l->builder, l->top->children[i]);
		if (c->endpoints[i] == NULL)
			return -1;
		c->endpoints[i]->index = i;
		c->nendpoints++;
	}
	return 0;
}

static void
check_all(struct loader *l)
{
	struct config *c = l->config;
	size_t i;

	rules_check_top(l->top, l->problems);
	if (c->nendpoints == 0 && l->problems->errors == 0)
		problem_add(l->problems, false, l->top->file, 0, "endpoints",
		    "there is none; write endpoints = ( { ... } );");
	for (i = 0; i < c->nendpoints; i++) {
		rules_check_endpoint(l->top, l->top->children[i],
		    c->endpoints[i], l->problems);
		endpoint_load_files(&l->builder, l->top->children[i],
		    c->endpoints[i]);
	}
	for (i = 0; i < c->nendpoints; i++)
		options_check_keys(&l->builder, l->top->children[i],
		    c->endpoints[i]);
	rules_check_together(l->top->children, c->endpoints, c->nendpoints,
	    l->problems);
}

/* From drafts to the configuration; NULL if there is anything wrong. */
static struct config *
build_config(struct loader *l)
{
	if (build_top(l) == -1 || build_endpoints(l) == -1)
		load_failed(l, l->top->file);
	else
		check_all(l);
	if (l->problems->errors == 0)
		return l->config;
	config_release(l->config);
	return NULL;
}

static void
config_free(struct config *c)
{
	size_t i;

	for (i = 0; i < c->nendpoints; i++)
		endpoint_free(c->endpoints[i]);
	free(c->endpoints);
	free(c->user);
	free(c->log.to);
	free(c->file);
	free(c->references);
	free(c);
}

static struct config *
config_new(const char *file, const char *text, size_t len)
{
	struct config *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->generation = 1;
	c->references = malloc(sizeof(*c->references));
	c->file = strdup(file);
	if (c->references == NULL || c->file == NULL ||
	    material_digest(text, len, c->sha256) == -1) {
		config_free(c);
		return NULL;
	}
	atomic_init(c->references, 1);
	return c;
}

/* `text` may be changed. */
static struct config *
load_main(const char *file, bool filed, char *text, size_t len,
    struct problems *problems)
{
	struct loader l = { .problems = problems,
		.builder = { .problems = problems } };
	const char *name = remember_file(&l, file);
	struct config *made = NULL;

	l.builder.unfiled = filed ? NULL : name;
	if (name == NULL || (l.config = config_new(file, text, len)) == NULL ||
	    (l.top = draft_new(SCOPE_TOP, name, 0, "")) == NULL ||
	    (l.builder.material = material_new()) == NULL) {
		load_failed(&l, file);
		config_release(l.config);
	} else {
		memcpy(problems->sha256, l.config->sha256,
		    sizeof(problems->sha256));
		load_text(&l, text, len, name, true);
		load_includes(&l);
		made = build_config(&l);
	}
	problems_sort(problems);
	draft_free(l.top);
	material_free(l.builder.material);
	forget_files(&l);
	return made;
}

struct config *
config_load(const char *path, struct problems *problems)
{
	struct config *c;
	struct err err;
	size_t len;
	char *text;

	if ((text = config_file_read(path, &len, &err)) == NULL) {
		problem_add(problems, false, path, 0, NULL, "%s", err.text);
		return NULL;
	}
	c = load_main(path, true, text, len, problems);
	free(text);
	return c;
}

struct config *
config_load_text(const char *text, const char *name, struct problems *problems)
{
	struct config *c;
	char *copy;

	if ((copy = strdup(text)) == NULL) {
		problem_add(problems, false, name, 0, NULL, "out of memory");
		return NULL;
	}
	c = load_main(name, false, copy, strlen(copy), problems);
	free(copy);
	return c;
}

const struct config *
config_retain(const struct config *c)
{
	(void)atomic_fetch_add(c->references, 1);
	return c;
}

void
config_release(const struct config *c)
{
	if (c == NULL || atomic_fetch_sub(c->references, 1) != 1)
		return;
	/* Nobody else has it: what was shared as const is ours again. */
	config_free((struct config *)(uintptr_t)c);
}

const struct endpoint *
config_endpoint(const struct config *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->nendpoints; i++) {
		if (strcmp(c->endpoints[i]->name, name) == 0)
			return c->endpoints[i];
	}
	return NULL;
}
