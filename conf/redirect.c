#include "conf/redirect.h"

#include <stdio.h>
#include <string.h>

#define WILDCARD     "*."
#define WILDCARD_LEN (sizeof(WILDCARD) - 1)

/*
 * Names, without the dot at their end that says "this name is absolute".
 */

static size_t
name_len(const char *name)
{
	size_t len = strlen(name);

	return len > 1 && name[len - 1] == '.' ? len - 1 : len;
}

/* Not strncasecmp(): names are ASCII whatever the locale. */
static unsigned
lower(char c)
{
	unsigned u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? u - 'A' + 'a' : u;
}

static bool
same_text(const char *a, const char *b, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (lower(a[i]) != lower(b[i]))
			return false;
	}
	return true;
}

static bool
same_name(const char *a, const char *b)
{
	size_t len = name_len(a);

	return len == name_len(b) && same_text(a, b, len);
}

/* The name behind the first label, which must have a dot itself: nobody owns
 * all of "com".  NULL: there is none. */
static const char *
parent_of(const char *name)
{
	const char *dot = memchr(name, '.', name_len(name));

	if (dot == NULL || memchr(dot + 1, '.', name_len(dot + 1)) == NULL)
		return NULL;
	return dot + 1;
}

/* Is it below the domain, by one label or by several? */
static bool
is_below(const char *name, const char *domain)
{
	size_t len = name_len(name), tail = name_len(domain);

	return len > tail + 1 && name[len - tail - 1] == '.' &&
	    same_text(name + len - tail, domain, tail);
}

/*
 * Entries of a list.
 */

static bool
is_wildcard(const char *text)
{
	return strncmp(text, WILDCARD, WILDCARD_LEN) == 0;
}

static int
check_wildcard(const char *text, struct err *err)
{
	const char *domain = text + WILDCARD_LEN;

	if (!host_is_name(domain) || strlen(text) >= HOST_MAX)
		return err_set(err,
		    "\"%s\" is no domain; write \"*.example.com\"", text);
	if (memchr(domain, '.', name_len(domain)) == NULL)
		return err_set(err,
		    "\"%s\" would be everybody's hosts; name a domain of "
		    "your own, as \"*.example.com\"",
		    text);
	return 0;
}

static int
check_network(const char *text, const struct cidr *c, struct err *err)
{
	if (cidr_is_everyone(c))
		return err_set(err,
		    "\"%s\" is every address there is; name the networks "
		    "that the database is in",
		    text);
	if (!cidr_is_exact(c))
		return err_set(err,
		    "\"%s\" has bits beyond its prefix; write the first "
		    "address of the network",
		    text);
	return 0;
}

int
redirect_check(const char *text, struct err *err)
{
	struct cidr c;

	if (cidr_parse(text, &c))
		return check_network(text, &c, err);
	if (is_wildcard(text))
		return check_wildcard(text, err);
	if (host_is_name(text) && strlen(text) < HOST_MAX)
		return 0;
	return err_set(err,
	    "\"%s\" is no host; write a name, \"*.example.com\", an address "
	    "or a network as \"10.1.0.0/16\", without a port",
	    text);
}

static bool
names_host(const char *entry, const char *host)
{
	if (is_wildcard(entry))
		return is_below(host, entry + WILDCARD_LEN);
	return same_name(entry, host);
}

static bool
has_address(const char *entry, const struct address *a)
{
	struct cidr c;
	struct cidr_list l = { .list = &c, .n = 1 };

	return cidr_parse(entry, &c) && cidr_list_has(&l, a);
}

/*
 * The judgement.
 */

static enum redirect_way
judge_name(const struct redirect *r, const struct neg_hosts *listed)
{
	const char *own = r->of->host, *parent, *theirs = parent_of(r->host);
	size_t i;

	if (own != NULL && host_is_name(own)) {
		parent = parent_of(own);
		if (same_name(own, r->host))
			return REDIRECT_OWN;
		if (parent != NULL && theirs != NULL &&
		    same_name(parent, theirs))
			return REDIRECT_DOMAIN;
	}
	for (i = 0; i < listed->n; i++) {
		if (names_host(listed->list[i], r->host))
			return REDIRECT_LISTED_NAME;
	}
	return REDIRECT_REFUSED;
}

static enum redirect_way
judge_address(const struct redirect *r, const struct neg_hosts *listed)
{
	const struct server *of = r->of;
	size_t i;

	/* To a kernel that is this machine, whatever was meant by it. */
	if (address_is_wildcard(&r->server.fixed))
		return REDIRECT_REFUSED;
	if (of->fixed.len > 0 && address_same_ip(&of->fixed, &r->server.fixed))
		return REDIRECT_OWN;
	for (i = 0; i < listed->n; i++) {
		if (has_address(listed->list[i], &r->server.fixed))
			return REDIRECT_LISTED_ADDRESS;
	}
	return of->fixed.len == 0 ? REDIRECT_IF_RESOLVED : REDIRECT_REFUSED;
}

/* An address alone, or in the brackets of IPv6. */
static bool
parse_address(char *host, uint16_t port, struct address *a)
{
	size_t len = strlen(host);

	if (host[0] == '[' && host[len - 1] == ']' &&
	    memchr(host, ':', len) != NULL) {
		memmove(host, host + 1, len - 2);
		host[len - 2] = '\0';
	}
	return address_parse_ip(host, port, a);
}

/* False: it is no host. */
static bool
take_host(struct redirect *r, struct rd host, uint16_t port)
{
	struct server *s = &r->server;
	bool six;

	if (host.left == 0 || host.left >= sizeof(r->host) || port == 0 ||
	    memchr(host.at, '\0', host.left) != NULL)
		return false;
	memcpy(r->host, host.at, host.left);
	r->host[host.left] = '\0';
	if (!parse_address(r->host, port, &s->fixed) && !host_is_name(r->host))
		return false;
	memcpy(r->name, r->host, name_len(r->host)); /* which ends in NULs */
	six = strchr(r->host, ':') != NULL;
	(void)snprintf(r->text, sizeof(r->text), "%s%s%s:%u", six ? "[" : "",
	    r->host, six ? "]" : "", port);
	s->host = r->host;
	s->text = r->text;
	s->port = port;
	return true;
}

/* What its certificate must say, and what it is called in the handshake. */
static void
set_target(struct redirect *r)
{
	struct server *s = &r->server;

	s->target = r->of->target;
	s->sni = r->of->sni;
	if (r->way != REDIRECT_DOMAIN && r->way != REDIRECT_LISTED_NAME)
		return;
	r->names[0] = r->name;
	s->target.names = r->names;
	s->target.nnames = 1;
	s->sni = r->name;
}

void
redirect_judge(struct redirect *r, const struct server *of,
    const struct neg_hosts *listed, struct rd host, uint16_t port)
{
	static const struct neg_hosts none = { .n = 0 };

	*r = (struct redirect){ .of = of, .way = REDIRECT_REFUSED };
	if (listed == NULL)
		listed = &none;
	if (!take_host(r, host, port))
		return;
	r->way = r->server.fixed.len > 0 ? judge_address(r, listed)
					 : judge_name(r, listed);
	set_target(r);
}

bool
redirect_is_among(const struct redirect *r, const struct address *list,
    size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (address_same_ip(&r->server.fixed, &list[i]))
			return true;
	}
	return false;
}

const char *
redirect_words(enum redirect_way way)
{
	switch (way) {
	case REDIRECT_OWN:
		return "its own host";
	case REDIRECT_DOMAIN:
		return "a host of its own domain";
	case REDIRECT_LISTED_NAME:
	case REDIRECT_LISTED_ADDRESS:
		return "which is listed";
	case REDIRECT_IF_RESOLVED:
		return "if that is an address of its own name";
	case REDIRECT_REFUSED:
		break;
	}
	return "that is neither its own host or domain, nor listed";
}

void
redirect_remedy(const struct redirect *r, const struct neg_ops *ops,
    char text[REDIRECT_REMEDY_MAX])
{
	const struct neg_option *o = ops->options;

	while (o != NULL && o->name != NULL && o->kind != NEG_OPTION_HOSTS)
		o++;
	text[0] = '\0';
	if (o != NULL && o->name != NULL)
		(void)snprintf(text, REDIRECT_REMEDY_MAX,
		    "if that server is to be believed, set %s.%s = [ \"%s\" ]",
		    protocol_group(ops), o->name, r->host);
}
