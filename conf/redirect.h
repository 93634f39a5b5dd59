/*
 * redirect.h - where a server may send a session on to
 *
 * A server that says "go there instead" is believed no further than the
 * endpoint allows: its own name and the hosts of its own domain, the addresses
 * of its name, and what the configuration lists.  What is reached so must
 * satisfy all that is demanded of the first, and its certificate must bear its
 * own name where that is why it was allowed, else the names that the first's
 * must.  Nothing is looked up here.
 */
#ifndef CONF_REDIRECT_H
#define CONF_REDIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/address.h"
#include "conf/endpoint.h"
#include "conf/err.h"

/* One entry of a list of hosts: a name, "*.example.com" (every name below that
 * domain, by whole labels), an address, or a network as CIDR.  0, or -1 with
 * "WHY; REMEDY". */
int redirect_check(const char *text, struct err *err);

enum redirect_way {
	REDIRECT_REFUSED = 0,
	REDIRECT_OWN,            /* the configured host itself */
	REDIRECT_DOMAIN,         /* a host of the configured host's domain */
	REDIRECT_LISTED_NAME,    /* by a name, or a "*.domain" */
	REDIRECT_LISTED_ADDRESS, /* by an address, or a network */
	/* An address: only if the configured host has it at this moment. */
	REDIRECT_IF_RESOLVED,
};

/* Where a redirect leads: a struct server as if it had been configured, that
 * points to itself and to `of`, so it must not be moved. */
struct redirect {
	const struct server *of; /* the configured one */
	enum redirect_way way;
	struct server server;
	char host[HOST_MAX];
	char name[HOST_MAX]; /* the same without the dot at its end */
	char text[HOST_MAX + sizeof("[]:65535")];
	char *names[1];
};

/* Judges `host` and `port`, which are a peer's words.  REDIRECT_REFUSED also
 * for what is no host at all: r->text is then "", and else printable. */
void redirect_judge(struct redirect *r, const struct server *of,
    const struct neg_hosts *listed, struct rd host, uint16_t port);

/* REDIRECT_IF_RESOLVED: is it one of these, whatever their port? */
bool redirect_is_among(const struct redirect *r, const struct address *list,
    size_t n);

/* "a host of its own domain"; of what was refused, what it is not. */
const char *redirect_words(enum redirect_way way);
/* What to set where it was refused and should not have been. */
#define REDIRECT_REMEDY_MAX (HOST_MAX + 128)
void redirect_remedy(const struct redirect *r, const struct neg_ops *ops,
    char text[REDIRECT_REMEDY_MAX]);

#endif /* CONF_REDIRECT_H */
