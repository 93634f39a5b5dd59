/*
 * config_engines.h - rules that only some engines have
 */
#ifndef CONF_CONFIG_ENGINES_H
#define CONF_CONFIG_ENGINES_H

#include "conf/config_draft.h"

/* Of an endpoint whose engine is known. */
void rules_check_engine(const struct draft *d, const struct endpoint *e,
    struct problems *p);

#endif /* CONF_CONFIG_ENGINES_H */
