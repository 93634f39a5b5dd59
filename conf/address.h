/*
 * address.h - socket addresses and CIDRs, to and from words
 */
#ifndef CONF_ADDRESS_H
#define CONF_ADDRESS_H

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"

/* A socket address: IPv4, IPv6 or unix. */
struct address {
	struct sockaddr_storage sa;
	socklen_t len;
};
#define ADDRESS_TEXT_MAX 160
/* "127.0.0.1:5432", "[::1]:5432", "unix:/path"; at most `size` bytes. */
const char *address_format(const struct address *a, char *text, size_t size);
bool address_is_loopback(const struct address *a); /* unix counts */
bool address_is_unix(const struct address *a);
/* "0.0.0.0" or "[::]", or the first as IPv4-mapped. */
bool address_is_wildcard(const struct address *a);
bool address_is_mapped(const struct address *a); /* "[::ffff:10.0.0.1]:1" */
/* 0 for a unix socket. */
uint16_t address_port(const struct address *a);

/* Whatever their ports; an IPv4-mapped address is the IPv4 address. */
bool address_same_ip(const struct address *a, const struct address *b);
/* IPv4 or IPv6, both of them; the same holds. */
bool address_same_version(const struct address *a, const struct address *b);

/* Family, address and port; the paths of unix sockets. */
bool address_equal(const struct address *a, const struct address *b);

/* Would a listener on one be in the way of a listener on the other?  A wildcard
 * takes every address of its family; port 0 takes nothing. */
bool address_overlaps(const struct address *a, const struct address *b);

/* What address_format() writes, and nothing looser: no names, no "127.1", no
 * missing port.  0, or -1 with "WHY; REMEDY" in `err`. */
int address_parse(const char *text, struct address *a, struct err *err)
    __attribute__((warn_unused_result));

/* An IP address alone, without brackets; its port becomes `port`. */
bool address_parse_ip(const char *text, uint16_t port, struct address *a);

#define HOST_MAX 256
/* Takes "HOST:PORT", "HOST", "[V6]:PORT" or "[V6]" apart; *port stays what it
 * is where the text has none.  Says nothing of whether HOST is a good one. */
int address_split(const char *text, char host[HOST_MAX], uint16_t *port,
    struct err *err) __attribute__((warn_unused_result));

/* May this be looked up as a host name?  Letters, digits, '-', '_' and dots,
 * and no last label of digits only: such a thing is a spoilt IP address, which
 * resolvers read in ways of their own. */
bool host_is_name(const char *text);

/* A CIDR; a client on a unix socket matches none. */
struct cidr {
	uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned bits;     /* of 128 */
};
struct cidr_list {
	struct cidr *list;
	size_t n;
};
/* "10.0.0.0/8", "2001:db8::/32", or an address alone. */
bool cidr_parse(const char *text, struct cidr *out);
/* "::/0" has IPv4, too; other IPv6 networks have none of it. */
bool cidr_list_has(const struct cidr_list *l, const struct address *a);

/* Is it one of these, and of that family? */
bool cidr_has(const struct cidr *c, const struct address *a);
bool cidr_equal(const struct cidr *a, const struct cidr *b);
bool cidr_is_v4(const struct cidr *c);
/* That address alone; false for a unix socket. */
bool cidr_of_address(const struct address *a, struct cidr *out);

/* No bit is set beyond the prefix: "10.1.0.0/8" is probably a slip. */
bool cidr_is_exact(const struct cidr *c);
bool cidr_is_everyone(const struct cidr *c); /* of either family */
#define CIDR_TEXT_MAX 64
const char *cidr_format(const struct cidr *c, char *text, size_t size);

#endif /* CONF_ADDRESS_H */
