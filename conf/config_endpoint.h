/*
 * config_endpoint.h - from the draft of an endpoint to the endpoint
 */
#ifndef CONF_CONFIG_ENDPOINT_H
#define CONF_CONFIG_ENDPOINT_H

#include "conf/config.h"
#include "conf/config_draft.h"

struct material;

struct builder {
	struct material *material;
	struct problems *problems;
	const char *unfiled; /* the name of a text that is in no file */
};

/* Goes on after a mistake, so that all of them are found: what it returns is
 * complete only if no error was added to the problems.  NULL if memory is
 * short. */
struct endpoint *endpoint_build(struct builder *b, const struct draft *d);

/* Loads the certificates, keys and CRLs. */
void endpoint_load_files(struct builder *b, const struct draft *d,
    struct endpoint *e);

void endpoint_free(struct endpoint *e); /* accepts NULL, and half of one */

/* Copies the values of a draft that are stored as they are to `base`, the
 * struct config or struct endpoint.  -1 if memory is short. */
int draft_store(const struct draft *d, void *base)
    __attribute__((warn_unused_result));

/* "1.2" as OpenSSL counts it. */
int version_number(const struct draft *d, enum setting_id id);

/* A path of the draft's file, as it is to be opened; to be freed. */
char *builder_path(const struct builder *b, const struct draft *d,
    const char *path);

#endif /* CONF_CONFIG_ENDPOINT_H */
