/*
 * config_rules.h - what settings mean together
 *
 * Each rule is a function of a draft, for what was written and where, and of
 * the endpoint that was made of it.  Rules judge sound values only: what is
 * wrong by itself has been said.
 */
#ifndef CONF_CONFIG_RULES_H
#define CONF_CONFIG_RULES_H

#include "conf/config.h"
#include "conf/config_draft.h"

void rules_check_top(const struct draft *top, struct problems *p);

/* `top` for the policy that holds for everybody. */
void rules_check_endpoint(const struct draft *top, const struct draft *d,
    const struct endpoint *e, struct problems *p);

/* Names and listen addresses that two endpoints have: `drafts` and `list` are
 * parallel. */
void rules_check_together(struct draft *const *drafts,
    struct endpoint *const *list, size_t n, struct problems *p);

#endif /* CONF_CONFIG_RULES_H */
