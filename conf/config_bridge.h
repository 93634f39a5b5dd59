/*
 * config_bridge.h - rules for endpoints that are chosen by where a client was
 * going
 *
 * What must hold so that each destination is one endpoint's, so that none is
 * believed to be a server because of its address alone, and so that nothing is
 * reached which is not configured.
 */
#ifndef CONF_CONFIG_BRIDGE_H
#define CONF_CONFIG_BRIDGE_H

#include "conf/config_draft.h"

/* Of one endpoint, transparent or not. */
void rules_check_bridge(const struct draft *d, const struct endpoint *e,
    struct problems *p);

/* May both listen at that address? */
bool rules_may_share(const struct endpoint *a, const struct address *at,
    const struct endpoint *b, const struct address *other);

/* Destinations that two endpoints have: `d` and `e` are parallel, the earlier
 * one first. */
void rules_check_destinations(const struct draft *const d[2],
    const struct endpoint *const e[2], struct problems *p);

#endif /* CONF_CONFIG_BRIDGE_H */
