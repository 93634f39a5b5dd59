/*
 * config_dms.h - which ssl modes AWS DMS itself has for an engine
 */
#ifndef CONF_CONFIG_DMS_H
#define CONF_CONFIG_DMS_H

#include "conf/endpoint.h"

struct dms_support {
	const char *engine;
	bool modes[SSL_MODE_VERIFY_FULL + 1];
	/* Its own connection is encrypted whatever is asked for: a policy of
	 * its modes would only weaken what an endpoint demands. */
	bool never_narrowed;
	const char *note; /* NULL: nothing to add */
};

/* NULL: DMS does not have such an engine. */
const struct dms_support *dms_support(const struct neg_ops *ops);

#endif /* CONF_CONFIG_DMS_H */
