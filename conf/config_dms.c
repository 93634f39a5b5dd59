#include "conf/config_dms.h"

#include <string.h>

static const struct dms_support supported[] = {
	{ "postgres", { true, true, true, true }, false, NULL },
	{ "mysql", { true, false, true, true }, false, NULL },
	{ "mariadb", { true, false, true, true }, false, NULL },
	{ "redshift", { true, false, false, false }, true,
	    "its own connection is already TLS, unverified" },
	{ "sqlserver", { true, true, false, true }, false, NULL },
	{ "oracle", { true, false, true, false }, false, NULL },
	{ "mongodb", { true, true, false, true }, false, NULL },
	{ "sybase", { true, false, false, true }, false, NULL },
};

const struct dms_support *
dms_support(const struct neg_ops *ops)
{
	size_t i;

	for (i = 0; i < sizeof(supported) / sizeof(supported[0]); i++) {
		if (strcmp(supported[i].engine, ops->name) == 0)
			return &supported[i];
	}
	return NULL;
}
