/*
 * filebytes.h - a file in memory: bounded, and wiped when it is let go
 *
 * One cannot know what is in a file before it was read, so all of them are
 * wiped.  Shows no OpenSSL.
 */
#ifndef CONF_FILEBYTES_H
#define CONF_FILEBYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"

struct filebytes {
	const char *path; /* the caller's */
	uint8_t *bytes;
	size_t len;
	size_t room;
	unsigned mode; /* who may read it, and write */
};

/* At most `mib` MiB.  `secret`: refused if others may read it (links are
 * followed).  -1 with `err`, which names the file, and nothing to be freed. */
int filebytes_read(struct filebytes *f, const char *path, bool secret,
    unsigned mib, struct err *err) __attribute__((warn_unused_result));
/* For a file that turned out to hold a secret: -1 if others may read it. */
int filebytes_check_secret(const struct filebytes *f, struct err *err)
    __attribute__((warn_unused_result));
void filebytes_fini(struct filebytes *f);

#endif /* CONF_FILEBYTES_H */
