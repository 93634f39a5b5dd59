/*
 * cert.h - what the words of `dbtls cert` share
 */
#ifndef PROXY_COMMANDS_CERT_H
#define PROXY_COMMANDS_CERT_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#include "conf/certfile_contents.h"
#include "conf/err.h"

/* Each takes its own argv, whose first word is "cert" for the remedies, and
 * returns the exit status. */
int cert_show(int argc, char **argv);
int cert_export(int argc, char **argv);
int cert_wallet(int argc, char **argv);

/* EXIT_YES with `c`; EXIT_USAGE where there is no such file, EXIT_REFUSED for
 * what it is, with `err`. */
int cert_open(struct contents *c, const char *path,
    const struct wallet_access *access, struct err *err);

/* All of it or nothing, in a new file of that mode; one that is there is
 * refused, or replaced by `force`. */
int cert_save(const char *path, const void *bytes, size_t len, mode_t mode,
    bool force, struct err *err) __attribute__((warn_unused_result));
/* Would it be refused for being there? */
int cert_check_free(const char *path, bool force, struct err *err)
    __attribute__((warn_unused_result));

#endif /* PROXY_COMMANDS_CERT_H */
