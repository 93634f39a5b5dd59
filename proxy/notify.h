/*
 * notify.h - telling the service manager how we are
 *
 * What sd_notify(3) does, without its library: one datagram of text to the
 * socket that $NOTIFY_SOCKET names.  A manager that waits for it starts what
 * depends on us when we listen, and not before.
 *
 *	if (notify_send(getenv(NOTIFY_VARIABLE), "READY=1", &err) == -1)
 *		...
 *
 * It never carries what a peer said.
 */
#ifndef PROXY_NOTIFY_H
#define PROXY_NOTIFY_H

#include "conf/err.h"

#define NOTIFY_VARIABLE "NOTIFY_SOCKET"
#define NOTIFY_TEXT_MAX 512

/* `socket_name` is a path, or "@" and an abstract name; NULL or empty: nobody
 * wants to know, which is a success.  `text` is lines of NAME=VALUE.  Waits for
 * at most NOTIFY_SECONDS for a manager that does not read. */
int notify_send(const char *socket_name, const char *text, struct err *err)
    __attribute__((warn_unused_result));
#define NOTIFY_SECONDS 2

#endif /* PROXY_NOTIFY_H */
