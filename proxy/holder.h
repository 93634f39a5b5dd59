/*
 * holder.h - which process serves an address already
 *
 * For the error of a listen that failed: read from /proc, as far as this
 * process may see it.  Nothing is decided by what is found here.
 */
#ifndef PROXY_HOLDER_H
#define PROXY_HOLDER_H

#include <sys/types.h>

#include <stddef.h>

#include "conf/endpoint.h"

/* Of a TCP address; 0 if it cannot be told. */
pid_t holder_find(const struct address *a);

/* "served by pid 7 (dbtls)", "in use by pid 7 (nginx)", or less if less is
 * known; pid 0 means unknown. */
void holder_describe(pid_t pid, char *text, size_t size);

#endif /* PROXY_HOLDER_H */
