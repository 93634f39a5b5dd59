/*
 * privileges.h - what the process may do, and how it gives that up
 *
 * Everything that needs root is done first: files are read, the log is opened,
 * sockets listen.  Then, before there are threads, the process becomes `user`
 * for good, and keeps one capability at most: the one by which a connection is
 * made from its client's address.
 *
 * Whoever runs it, no core is ever dumped, no debugger of the same user may
 * look in, and nothing that is executed could gain a privilege.
 */
#ifndef PROXY_PRIVILEGES_H
#define PROXY_PRIVILEGES_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/config.h"
#include "conf/err.h"

/* First thing in main(), before there is a secret to keep. */
int privileges_begin(struct err *err) __attribute__((warn_unused_result));

/* What a configuration asks for. */
struct privileges_plan {
	const char *user; /* of the configuration; NULL: whoever it is */
	uid_t uid;
	gid_t gid;
	bool changes; /* from whoever the process is now */
	bool foreign; /* sockets are bound to addresses of clients */
};

/* -1 with `err` if there is no such user. */
int privileges_plan(const struct config *c, struct privileges_plan *plan,
    struct err *err) __attribute__((warn_unused_result));

/* May this process carry it out?  -1 with `err`. */
int privileges_possible(const struct privileges_plan *plan, struct err *err)
    __attribute__((warn_unused_result));

/* Gives up what is not planned, for good; of a process with one thread.  What
 * is given up is tried afterwards: 0 means that it is gone. */
int privileges_drop(const struct privileges_plan *plan, struct err *err)
    __attribute__((warn_unused_result));

/* What the kernel says of the process as it is. */
struct privileges {
	uid_t uid;
	gid_t gid;
	uint64_t capabilities; /* effective or permitted, as bits */
	bool no_new_privileges;
	bool core_dumps; /* might there be one? */
};
int privileges_now(struct privileges *p, struct err *err)
    __attribute__((warn_unused_result));

/* "none", "cap_net_raw", or all of them in hexadecimal. */
#define PRIVILEGES_TEXT_MAX 64
const char *privileges_capabilities(uint64_t capabilities,
    char text[PRIVILEGES_TEXT_MAX]);

#endif /* PROXY_PRIVILEGES_H */
