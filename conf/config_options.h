/*
 * config_options.h - the settings of an engine's own group
 *
 * A struct neg_option says what there is; read and complained about it is as
 * any other setting.  What comes of it is stored as the engine wants it.
 */
#ifndef CONF_CONFIG_OPTIONS_H
#define CONF_CONFIG_OPTIONS_H

#include "conf/config_draft.h"
#include "conf/config_endpoint.h"
#include "conf/config_settings.h"

/* How many settings the engine has, and which of them is called so: that many
 * if there is none. */
size_t options_count(const struct neg_ops *ops);
size_t options_find(const struct neg_ops *ops, const char *name);

/* The same as the table of settings would have it. */
void option_as_setting(const struct neg_option *o, struct setting *s);

/* NULL if the engine has no setting of that name; what was not written has no
 * line. */
const struct value *draft_option(const struct draft *d, const char *name);
/* As draft_problem(). */
void option_problem(const struct draft *d, const char *name, bool warning,
    struct problems *p, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The endpoint's struct, with all but what is in files; -1 if memory is
 * short. */
int options_build(const struct draft *d, struct endpoint *e)
    __attribute__((warn_unused_result));
void options_load_files(struct builder *b, const struct draft *d,
    struct endpoint *e);
/* Once all certificates are loaded: their keys are not for this. */
void options_check_keys(struct builder *b, const struct draft *d,
    const struct endpoint *e);
void options_free(struct endpoint *e); /* half of them, or none at all */

#endif /* CONF_CONFIG_OPTIONS_H */
