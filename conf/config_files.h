/*
 * config_files.h - the files that a configuration is written in
 */
#ifndef CONF_CONFIG_FILES_H
#define CONF_CONFIG_FILES_H

#include <stddef.h>

#include "conf/err.h"

/* All of a file, with a NUL after it; NULL with "WHY; REMEDY". */
char *config_file_read(const char *path, size_t *len, struct err *err);

/* `path` as it is to be opened: relative to the folder that `file` is in,
 * NULL meaning the current one.  To be freed; NULL if memory is short. */
char *config_file_resolve(const char *file, const char *path);

struct file_list {
	char **list; /* in the order of their names */
	size_t n;
};
/* What a pattern matches: nothing is no error if it has wildcards. */
int config_file_match(const char *pattern, struct file_list *found,
    struct err *err) __attribute__((warn_unused_result));
void file_list_fini(struct file_list *l);

#endif /* CONF_CONFIG_FILES_H */
