/*
 * config_draft.h - a group as it was written, before anything is made of it
 *
 * The main file, each endpoint and each server of one is a draft: a value for
 * every setting, what was written or the default, with the line it stands on.
 * Rules and error messages need to know what was written and where.
 */
#ifndef CONF_CONFIG_DRAFT_H
#define CONF_CONFIG_DRAFT_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/config.h"
#include "conf/config_settings.h"

struct text {
	char *s;
	unsigned line;
};

struct value {
	unsigned line;      /* 0: not written; the default holds */
	bool spoilt;        /* written and wrong: that has been said */
	double number;      /* of a boolean 0 or 1, of a choice its index */
	struct text *texts; /* TYPE_TEXT has one; NULL: no default */
	size_t ntexts;
};

struct label {
	struct text name, value;
};

struct draft {
	enum setting_scope scope;
	const char *file; /* lives as long as the draft of the main file */
	unsigned line;
	char *path; /* "" at the top level, "endpoints[3]" */
	struct value values[SETTING_NONE];

	/* SCOPE_TOP: endpoints; SCOPE_ENDPOINT: servers. */
	struct draft **children;
	size_t nchildren;

	/* SCOPE_ENDPOINT. */
	const struct neg_ops *ops; /* NULL: none that we know */
	struct value *options;     /* as many as ops->options has */
	size_t noptions;
	struct label *labels;
	size_t nlabels;
};

/* With every default in place; NULL if memory is short. */
struct draft *draft_new(enum setting_scope scope, const char *file,
    unsigned line, const char *path);
void draft_free(struct draft *d); /* and its children; accepts NULL */
/* -1 if memory is short. */
int draft_set_engine(struct draft *d, const struct neg_ops *ops)
    __attribute__((warn_unused_result));
int draft_adopt(struct draft *parent, struct draft *child);

/* Written in the file. */
bool draft_given(const struct draft *d, enum setting_id id);
/* Written there, and right. */
bool draft_sound(const struct draft *d, enum setting_id id);
double draft_number(const struct draft *d, enum setting_id id);
bool draft_is_true(const struct draft *d, enum setting_id id);
int draft_choice(const struct draft *d, enum setting_id id);
/* NULL if there is neither value nor default. */
const char *draft_text(const struct draft *d, enum setting_id id);
const struct value *draft_value(const struct draft *d, enum setting_id id);
int value_add_text(struct value *v, const char *s, unsigned line);

/* About one setting of a draft: with its line, or the draft's if it was not
 * written, and its path. */
void draft_problem(const struct draft *d, enum setting_id id, bool warning,
    struct problems *p, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
unsigned draft_line(const struct draft *d, enum setting_id id);

#define DRAFT_PATH_MAX 256
void draft_path(const struct draft *d, const char *name,
    char path[DRAFT_PATH_MAX]);

#endif /* CONF_CONFIG_DRAFT_H */
