#include <string.h>

#include "protocols/negotiator.h"

/* In the order of the documentation; what begins with TLS at once is the last
 * resort, and comes last. */
static const struct neg_ops *const protocols[] = {
	&neg_postgres,
	&neg_redshift,
	&neg_mysql,
	&neg_mariadb,
	&neg_mysqlx,
	&neg_sqlserver,
	&neg_oracle,
	&neg_sybase,
	&neg_mongodb,
	&neg_direct,
	NULL,
};
#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]) - 1)

static bool
has_alias(const struct neg_ops *ops, const char *name)
{
	const char *const *alias = ops->aliases;

	for (; alias != NULL && *alias != NULL; alias++) {
		if (strcmp(*alias, name) == 0)
			return true;
	}
	return false;
}

const struct neg_ops *
protocol_find(const char *name)
{
	const struct neg_ops *const *p;

	for (p = protocols; *p != NULL; p++) {
		if (strcmp((*p)->name, name) == 0 || has_alias(*p, name))
			return *p;
	}
	return NULL;
}

const struct neg_ops *
protocol_nth(size_t n)
{
	return n < PROTOCOLS ? protocols[n] : NULL;
}

const char *
protocol_group(const struct neg_ops *ops)
{
	return ops->options_group != NULL ? ops->options_group : ops->name;
}
