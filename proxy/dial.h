/*
 * dial.h - reaching a server: names, addresses, and the next one
 *
 * A dialer belongs to a worker and runs on its loop; nothing in it blocks.
 * Names are resolved for every session through a cache that keeps answers for
 * their TTL (within the configuration's bounds), one query per name in
 * flight; /etc/hosts and resolv.conf are re-read when they change.  All
 * addresses of a name are tried (at most 5 s each), then the next server; a
 * server that failed is skipped for retry_after seconds, unless there is no
 * other for this session.  Only a failure to resolve or to connect moves on;
 * what comes after is the session's affair.
 */
#ifndef PROXY_DIAL_H
#define PROXY_DIAL_H

#include <event2/event.h>

#include "conf/config.h"
#include "conf/endpoint.h"
#include "conf/err.h"
#include "conf/redirect.h"
#include "proxy/outgoing.h"

struct dialer;
struct dial;
struct resolver;

/* Which servers are down, shared by the threads: atomics, one per server of
 * one endpoint.  The thread that changes one logs server.down or server.up. */
struct server_health;
struct server_health *server_health_new(const struct endpoint *e);
void server_health_free(struct server_health *h);

struct dialer *dialer_new(struct event_base *base, const struct config *c,
    struct err *err);
/* For tests: other files and nameservers, another clock, less patience. */
struct dialer_settings {
	const struct resolver_settings *names; /* resolve.h; NULL: the usual */
	double attempt_seconds; /* that one address may take; 0: the usual */
};
struct dialer *dialer_new_with(struct event_base *base, const struct config *c,
    const struct dialer_settings *settings, struct err *err);
void dialer_free(struct dialer *d); /* after every dial has ended */

/* Every connection is entered there from now on; NULL: nowhere. */
void dialer_share(struct dialer *d, struct outgoing *o);
/* Its own, for what else is to be asked on this thread. */
struct resolver *dialer_resolver(struct dialer *d);

/* Where to: any server in the configured order, one server, or one address
 * alone. */
enum dial_where {
	DIAL_ANY = 0,
	DIAL_SERVER,   /* any address of the server with index `server` */
	DIAL_EXACT,    /* `address`, of the server with index `server` */
	DIAL_NTH,      /* the nth of all current addresses of all servers */
	DIAL_REDIRECT, /* `redirect`, which is none of the endpoint's own, and
	                * no listener of ours: the endpoint's timeouts and its
	                * source hold for it too */
};
struct dial_choice {
	enum dial_where where;
	struct address address;
	size_t server;
	size_t nth;
	const struct redirect *redirect; /* must outlive the dial */
	/* Whose address it is dialled from where the endpoint's source is its
	 * client; len 0: there is no client. */
	struct address client;
};

#define DIAL_TEXT_MAX 400
struct dial_result {
	int fd; /* connected, non-blocking, close-on-exec; the callback's to
	         * close.  -1 if the dial failed: */
	/* resolve, connect or timeout; redirect: an address that the
	 * configured server's name does not have. */
	enum reason reason;
	bool exhausted;           /* DIAL_NTH: there is no such address */
	char text[DIAL_TEXT_MAX]; /* printable; names and errors of each
	                           * attempt */

	const struct server *server;
	struct address address;
	struct outgoing_entry *outgoing; /* the callback's to remove; or NULL */
	double resolve_seconds;
	double connect_seconds;
};

/* The callback comes exactly once, from the loop and never from within
 * dial_start(), unless dial_cancel() comes first.  The endpoint must live
 * until then.  NULL if memory is short. */
typedef void (*dial_cb)(const struct dial_result *r, void *arg);
struct dial *dial_start(struct dialer *d, const struct endpoint *e,
    struct server_health *h, const struct dial_choice *choice, dial_cb cb,
    void *arg);
void dial_cancel(struct dial *dial); /* accepts NULL, and does nothing from
                                      * within the dial's own callback */

/* TCP_NODELAY and keepalive, as the endpoint has them, for either leg. */
void dial_tune_socket(int fd, const struct endpoint *e);

/* For addresses that are not this machine's: lets a socket listen for them, or
 * be bound to one.  False, with errno: EPERM without CAP_NET_ADMIN or
 * CAP_NET_RAW. */
bool dial_allow_foreign(int fd, int family) __attribute__((warn_unused_result));
/* May this process do so for an endpoint with source = "client"?  -1 with
 * `err`. */
int dial_check_source(const struct endpoint *e, struct err *err)
    __attribute__((warn_unused_result));

#endif /* PROXY_DIAL_H */
