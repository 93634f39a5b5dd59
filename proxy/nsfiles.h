/*
 * nsfiles.h - what the machine says about names: resolv.conf and hosts
 *
 * Read by the resolver when they have changed, never per connection.
 */
#ifndef PROXY_NSFILES_H
#define PROXY_NSFILES_H

#include <sys/types.h>

#include <time.h>

#include "proxy/query.h"

/* Which edition of a file was read; all zero: none was there. */
struct file_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified;
};
struct file_stamp file_stamp_now(const char *path);
bool file_stamp_equals(const struct file_stamp *a, const struct file_stamp *b);

#define SEARCH_MAX    16
#define HOST_TEXT_MAX 256
struct resolv_conf {
	struct nameservers servers; /* the local one if the file names none */
	char search[SEARCH_MAX][HOST_TEXT_MAX];
	size_t nsearch;
	unsigned ndots; /* fewer dots than that: the search list comes first */
	bool rotate;
};
/* -1 if there is a file, but no descriptor or memory to read it with now. */
int resolv_conf_read(struct resolv_conf *rc, const char *path)
    __attribute__((warn_unused_result));

/* The addresses (without ports) that the file has for this name, in its
 * order; 0 if it has none.  -1 as above. */
int hosts_read(const char *path, const char *host, struct address *list,
    size_t max, size_t *n) __attribute__((warn_unused_result));

/* "10.0.0.1" or "fe80::1%eth0", with that port; false if it is a name. */
bool numeric_address(const char *text, uint16_t port, struct address *a);

#endif /* PROXY_NSFILES_H */
