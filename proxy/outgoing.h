/*
 * outgoing.h - connections of our own that nobody has answered yet
 *
 * A rule of the kernel that catches what the proxy itself sends brings our own
 * connections back to a transparent listener, each of which would make the
 * next.  So a listener asks here whether a client's address is that of a socket
 * of ours.  A mark on our packets would not do: what is accepted does not show
 * it.  A socket is entered while it connects, before anybody can have accepted
 * it, and leaves when its server has said something: whoever has come back to
 * us is found out before that, and later only a chance would bring a client
 * with the same address and port.  Shared by the threads, under one mutex;
 * where no listener is transparent there is none of these.
 */
#ifndef PROXY_OUTGOING_H
#define PROXY_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/address.h"

struct outgoing;
struct outgoing_entry;

struct outgoing *outgoing_new(size_t expected);
void outgoing_free(struct outgoing *o); /* accepts NULL */

/* Around connect(): nobody looks meanwhile.  `from` is what the socket is bound
 * to by then, and `to` where it goes; with `borrowed` the address is a client's
 * own, who may use it for other destinations.  NULL if memory is short, or if
 * `from` is NULL. */
void outgoing_begin(struct outgoing *o);
struct outgoing_entry *outgoing_end(struct outgoing *o,
    const struct address *from, const struct address *to, bool borrowed);

void outgoing_remove(struct outgoing_entry *e); /* accepts NULL */

/* Is that client one of our own sockets, on its way to there? */
bool outgoing_has(struct outgoing *o, const struct address *client,
    const struct address *to);

#endif /* PROXY_OUTGOING_H */
