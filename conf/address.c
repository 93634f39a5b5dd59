#include "conf/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIX_PREFIX     "unix:"
#define UNIX_PREFIX_LEN (sizeof(UNIX_PREFIX) - 1)
#define PORT_DIGITS     5
#define PORT_LAST       65535
#define LABEL_MAX       63  /* RFC 1035, section 2.3.4 */
#define NAME_MAX_OCTETS 253 /* the same, in text and without the root */
#define V6_BITS         128u
#define V4_BITS         32u
#define IPV4_LEN        4
#define V4_OFFSET       12 /* where IPv4 begins in an IPv4-mapped address */
#define LOOPBACK_V4     127
#define ZONE_TEXT_MAX   12 /* '%' and 32 bits */

static const uint8_t mapped_prefix[V4_OFFSET] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0xff, 0xff };

_Static_assert(sizeof(struct in6_addr) == sizeof(((struct cidr *)0)->bytes),
    "a CIDR holds an IPv6 address");
_Static_assert(ADDRESS_TEXT_MAX >
	sizeof(((struct sockaddr_un *)0)->sun_path) + UNIX_PREFIX_LEN,
    "any address fits");

/* The views of the storage: copies, so that nobody casts. */
static struct sockaddr_in
as_v4(const struct address *a)
{
	struct sockaddr_in in;

	memcpy(&in, &a->sa, sizeof(in));
	return in;
}

static struct sockaddr_in6
as_v6(const struct address *a)
{
	struct sockaddr_in6 in6;

	memcpy(&in6, &a->sa, sizeof(in6));
	return in6;
}

static struct sockaddr_un
as_unix(const struct address *a)
{
	struct sockaddr_un un;

	_Static_assert(sizeof(un) <= sizeof(a->sa), "a path fits");
	memcpy(&un, &a->sa, sizeof(un));
	return un;
}

static void
set_storage(struct address *a, const void *sa, size_t len)
{
	*a = (struct address){ .len = (socklen_t)len };
	memcpy(&a->sa, sa, len);
}

static void
format_v6(const struct address *a, char *text, size_t size)
{
	char ip[INET6_ADDRSTRLEN], zone[ZONE_TEXT_MAX] = "";
	struct sockaddr_in6 in6 = as_v6(a);

	if (inet_ntop(AF_INET6, &in6.sin6_addr, ip, sizeof(ip)) == NULL)
		ip[0] = '\0';
	if (in6.sin6_scope_id != 0)
		(void)snprintf(zone, sizeof(zone), "%%%u",
		    (unsigned)in6.sin6_scope_id);
	(void)snprintf(text, size, "[%s%s]:%u", ip, zone, ntohs(in6.sin6_port));
}

static void
format_v4(const struct address *a, char *text, size_t size)
{
	char ip[INET_ADDRSTRLEN];
	struct sockaddr_in in = as_v4(a);

	if (inet_ntop(AF_INET, &in.sin_addr, ip, sizeof(ip)) == NULL)
		ip[0] = '\0';
	(void)snprintf(text, size, "%s:%u", ip, ntohs(in.sin_port));
}

const char *
address_format(const struct address *a, char *text, size_t size)
{
	struct sockaddr_un un;

	if (a->sa.ss_family == AF_INET) {
		format_v4(a, text, size);
	} else if (a->sa.ss_family == AF_INET6) {
		format_v6(a, text, size);
	} else if (a->sa.ss_family == AF_UNIX) {
		un = as_unix(a);
		/* A client's socket has no path as a rule. */
		(void)snprintf(text, size, UNIX_PREFIX "%.*s",
		    (int)sizeof(un.sun_path), un.sun_path);
	} else {
		(void)snprintf(text, size, "unknown");
	}
	return text;
}

bool
address_is_unix(const struct address *a)
{
	return a->sa.ss_family == AF_UNIX;
}

uint16_t
address_port(const struct address *a)
{
	if (a->sa.ss_family == AF_INET)
		return ntohs(as_v4(a).sin_port);
	if (a->sa.ss_family == AF_INET6)
		return ntohs(as_v6(a).sin6_port);
	return 0;
}

/* As 16 bytes, IPv4 mapped; false for a unix socket. */
static bool
address_bytes(const struct address *a, uint8_t bytes[16])
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (a->sa.ss_family == AF_INET) {
		in = as_v4(a);
		memcpy(bytes, mapped_prefix, sizeof(mapped_prefix));
		memcpy(bytes + V4_OFFSET, &in.sin_addr, sizeof(in.sin_addr));
		return true;
	}
	if (a->sa.ss_family == AF_INET6) {
		in6 = as_v6(a);
		memcpy(bytes, &in6.sin6_addr, sizeof(in6.sin6_addr));
		return true;
	}
	return false;
}

static bool
is_mapped(const uint8_t bytes[16])
{
	return memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool
address_is_mapped(const struct address *a)
{
	uint8_t bytes[16];

	return a->sa.ss_family == AF_INET6 && address_bytes(a, bytes) &&
	    is_mapped(bytes);
}

bool
address_is_loopback(const struct address *a)
{
	static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
	uint8_t bytes[16];

	if (address_is_unix(a))
		return true;
	if (!address_bytes(a, bytes))
		return false;
	if (is_mapped(bytes))
		return bytes[V4_OFFSET] == LOOPBACK_V4;
	return memcmp(bytes, &loopback, sizeof(loopback)) == 0;
}

bool
address_is_wildcard(const struct address *a)
{
	static const struct in6_addr none = IN6ADDR_ANY_INIT;
	uint8_t bytes[16], v4[IPV4_LEN] = { 0 };

	if (!address_bytes(a, bytes))
		return false;
	if (is_mapped(bytes))
		return memcmp(bytes + V4_OFFSET, v4, sizeof(v4)) == 0;
	return memcmp(bytes, &none, sizeof(none)) == 0;
}

bool
address_same_ip(const struct address *a, const struct address *b)
{
	uint8_t left[16], right[16];

	return address_bytes(a, left) && address_bytes(b, right) &&
	    memcmp(left, right, sizeof(left)) == 0;
}

bool
address_same_version(const struct address *a, const struct address *b)
{
	uint8_t left[16], right[16];

	return address_bytes(a, left) && address_bytes(b, right) &&
	    is_mapped(left) == is_mapped(right);
}

bool
address_equal(const struct address *a, const struct address *b)
{
	if (a->sa.ss_family != b->sa.ss_family)
		return false;
	if (address_is_unix(a)) {
		struct sockaddr_un left = as_unix(a), right = as_unix(b);

		return strncmp(left.sun_path, right.sun_path,
			   sizeof(left.sun_path)) == 0;
	}
	return address_same_ip(a, b) && address_port(a) == address_port(b);
}

bool
address_overlaps(const struct address *a, const struct address *b)
{
	if (a->sa.ss_family != b->sa.ss_family)
		return false;
	if (address_is_unix(a))
		return address_equal(a, b);
	if (address_port(a) == 0 || address_port(a) != address_port(b))
		return false;
	return address_is_wildcard(a) || address_is_wildcard(b) ||
	    address_same_ip(a, b);
}

static bool
parse_port(const char *text, uint16_t *port)
{
	unsigned long n;

	if (text[0] == '\0' || strlen(text) > PORT_DIGITS ||
	    strspn(text, "0123456789") != strlen(text))
		return false;
	n = strtoul(text, NULL, 10);
	if (n > PORT_LAST)
		return false;
	*port = (uint16_t)n;
	return true;
}

static bool
parse_v6(const char *text, uint16_t port, struct address *a)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port) };

	if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
		return false;
	set_storage(a, &in6, sizeof(in6));
	return true;
}

bool
address_parse_ip(const char *text, uint16_t port, struct address *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(port) };

	if (inet_pton(AF_INET, text, &in.sin_addr) != 1)
		return parse_v6(text, port, a);
	set_storage(a, &in, sizeof(in));
	return true;
}

/* "[V6]" or "[V6]:PORT". */
static int
split_bracketed(const char *text, char host[HOST_MAX], uint16_t *port,
    struct err *err)
{
	const char *end = strchr(text, ']');
	size_t len;

	if (end == NULL)
		return err_set(err, "\"%s\" has no closing bracket", text);
	len = (size_t)(end - text) - 1;
	if (len >= HOST_MAX)
		return err_set(err, "the address is too long");
	memcpy(host, text + 1, len);
	host[len] = '\0';
	if (strchr(host, ':') == NULL)
		return err_set(err,
		    "\"[%s]\" is no IPv6 address; brackets are for those only",
		    host);
	if (end[1] == '\0')
		return 0;
	if (end[1] != ':' || !parse_port(end + 2, port))
		return err_set(err,
		    "\"%s\" does not end in a port; a port is a number from "
		    "0 to 65535",
		    text);
	return 0;
}

int
address_split(const char *text, char host[HOST_MAX], uint16_t *port,
    struct err *err)
{
	const char *colon = strchr(text, ':');
	size_t len = colon == NULL ? strlen(text) : (size_t)(colon - text);

	if (text[0] == '[')
		return split_bracketed(text, host, port, err);
	if (colon != NULL && strchr(colon + 1, ':') != NULL)
		return err_set(err,
		    "\"%s\" has several colons; write an IPv6 address in "
		    "brackets, as in \"[::1]:5432\"",
		    text);
	if (len == 0)
		return err_set(err, "\"%s\" has no host before its port", text);
	if (len >= HOST_MAX)
		return err_set(err, "the host is longer than any name can be");
	if (colon != NULL && !parse_port(colon + 1, port))
		return err_set(err,
		    "\"%s\" does not end in a port; a port is a number from "
		    "0 to 65535",
		    text);
	memcpy(host, text, len);
	host[len] = '\0';
	return 0;
}

static int
parse_unix(const char *text, struct address *a, struct err *err)
{
	const char *path = text + UNIX_PREFIX_LEN;
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (path[0] != '/')
		return err_set(err,
		    "\"%s\" is no absolute path; write "
		    "\"unix:/FOLDER/NAME\"",
		    text);
	if (strlen(path) >= sizeof(un.sun_path))
		return err_set(err,
		    "the path has %zu bytes, and a unix socket's may have %zu",
		    strlen(path), sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path, strlen(path) + 1);
	set_storage(a, &un, sizeof(un));
	return 0;
}

int
address_parse(const char *text, struct address *a, struct err *err)
{
	char host[HOST_MAX];
	uint16_t port = 0;

	if (strncmp(text, UNIX_PREFIX, UNIX_PREFIX_LEN) == 0)
		return parse_unix(text, a, err);
	if (address_parse_ip(text, 0, a))
		return err_set(err, "\"%s\" has no port; write \"%s%s%s:PORT\"",
		    text, strchr(text, ':') ? "[" : "", text,
		    strchr(text, ':') ? "]" : "");
	if (address_split(text, host, &port, err) == -1)
		return -1;
	if (!address_parse_ip(host, port, a))
		return err_set(err,
		    "\"%s\" is no IP address; write \"127.0.0.1:PORT\", "
		    "\"[::1]:PORT\" or \"unix:/PATH\"",
		    host);
	if (strrchr(text, ':') == NULL || text[strlen(text) - 1] == ']')
		return err_set(err, "\"%s\" has no port; write \"%s:PORT\"",
		    text, text);
	return 0;
}

static bool
is_label(const char *label, size_t len)
{
	size_t i;

	if (len == 0 || len > LABEL_MAX || label[0] == '-' ||
	    label[len - 1] == '-')
		return false;
	for (i = 0; i < len; i++) {
		if (!isalnum((unsigned char)label[i]) && label[i] != '-' &&
		    label[i] != '_')
			return false;
	}
	return true;
}

/* inet_aton() would take "127.1", "0x7f000001" and their like. */
static bool
is_numeric_label(const char *label, size_t len)
{
	if (len > 1 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
		return strspn(label + 2, "0123456789abcdefABCDEF") >= len - 2;
	return strspn(label, "0123456789") >= len;
}

bool
host_is_name(const char *text)
{
	size_t len, total = strlen(text);
	bool numeric;

	if (total > 1 && text[total - 1] == '.')
		total--;
	if (total == 0 || total > NAME_MAX_OCTETS)
		return false;
	for (;; text += len + 1, total -= len + 1) {
		len = strcspn(text, ".");
		if (len > total)
			len = total;
		if (!is_label(text, len))
			return false;
		numeric = is_numeric_label(text, len);
		if (len == total)
			return !numeric;
	}
}

bool
cidr_parse(const char *text, struct cidr *out)
{
	const char *slash = strchr(text, '/');
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	struct address a;
	unsigned most;
	uint16_t bits;
	char ip[INET6_ADDRSTRLEN];

	if (len >= sizeof(ip))
		return false;
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (!address_parse_ip(ip, 0, &a) || !address_bytes(&a, out->bytes))
		return false;
	most = a.sa.ss_family == AF_INET ? V4_BITS : V6_BITS;
	bits = (uint16_t)most;
	if (slash != NULL && (!parse_port(slash + 1, &bits) || bits > most))
		return false;
	out->bits = V6_BITS - most + bits;
	return true;
}

/* Are the first `bits` bits alike? */
static bool
prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	uint8_t mask = (uint8_t) ~(UINT8_MAX >> rest);

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) & mask) == 0;
}

/* An IPv4 network is one of the mapped addresses, and no shorter than them. */
bool
cidr_is_v4(const struct cidr *c)
{
	return c->bits >= V6_BITS - V4_BITS && is_mapped(c->bytes);
}

bool
cidr_has(const struct cidr *c, const struct address *a)
{
	uint8_t bytes[16];

	return address_bytes(a, bytes) && is_mapped(bytes) == cidr_is_v4(c) &&
	    prefix_equal(bytes, c->bytes, c->bits);
}

bool
cidr_equal(const struct cidr *a, const struct cidr *b)
{
	return a->bits == b->bits && prefix_equal(a->bytes, b->bytes, a->bits);
}

bool
cidr_of_address(const struct address *a, struct cidr *out)
{
	out->bits = V6_BITS;
	return address_bytes(a, out->bytes);
}

bool
cidr_list_has(const struct cidr_list *l, const struct address *a)
{
	size_t i;

	/* "::/0" is everyone; any longer prefix is of one family only. */
	for (i = 0; i < l->n; i++) {
		if (cidr_has(&l->list[i], a) ||
		    (l->list[i].bits == 0 && !address_is_unix(a)))
			return true;
	}
	return false;
}

bool
cidr_is_exact(const struct cidr *c)
{
	unsigned bit;

	for (bit = c->bits; bit < V6_BITS; bit++) {
		if ((c->bytes[bit / 8] & (0x80u >> bit % 8)) != 0)
			return false;
	}
	return true;
}

bool
cidr_is_everyone(const struct cidr *c)
{
	return c->bits == 0 || (cidr_is_v4(c) && c->bits == V6_BITS - V4_BITS);
}

const char *
cidr_format(const struct cidr *c, char *text, size_t size)
{
	bool v4 = cidr_is_v4(c);
	char ip[INET6_ADDRSTRLEN];

	if (inet_ntop(v4 ? AF_INET : AF_INET6, c->bytes + (v4 ? V4_OFFSET : 0),
		ip, sizeof(ip)) == NULL)
		ip[0] = '\0';
	(void)snprintf(text, size, "%s/%u", ip,
	    v4 ? c->bits - (V6_BITS - V4_BITS) : c->bits);
	return text;
}
