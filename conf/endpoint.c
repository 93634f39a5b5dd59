#include "conf/endpoint.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

static const char *const mode_names[] = {
	[SSL_MODE_NONE] = "none",
	[SSL_MODE_REQUIRE] = "require",
	[SSL_MODE_VERIFY_CA] = "verify-ca",
	[SSL_MODE_VERIFY_FULL] = "verify-full",
};
#define NMODES (sizeof(mode_names) / sizeof(mode_names[0]))

/* As libpq, MySQL and the consoles of the cloud spell them. */
static const struct {
	const char *word;
	enum ssl_mode mode;
} mode_aliases[] = {
	{ "disable", SSL_MODE_NONE },
	{ "disabled", SSL_MODE_NONE },
	{ "required", SSL_MODE_REQUIRE },
	{ "verify-identity", SSL_MODE_VERIFY_FULL },
};
#define NALIASES (sizeof(mode_aliases) / sizeof(mode_aliases[0]))

static const char *const fallback_words[] = { "allow", "prefer", "preferred" };
#define NFALLBACKS (sizeof(fallback_words) / sizeof(fallback_words[0]))

const char *
ssl_mode_name(enum ssl_mode mode)
{
	assert((size_t)mode < NMODES);
	return mode_names[mode];
}

/* VERIFY_CA and verify-ca are one word. */
static bool
same_word(const char *a, const char *b)
{
	for (; *a != '\0' || *b != '\0'; a++, b++) {
		int left = *a == '_' ? '-' : tolower((unsigned char)*a);

		if (left != *b)
			return false;
	}
	return true;
}

bool
ssl_mode_parse(const char *word, enum ssl_mode *mode, const char **why)
{
	size_t i;

	*why = NULL;
	for (i = 0; i < NMODES; i++) {
		if (same_word(word, mode_names[i])) {
			*mode = (enum ssl_mode)i;
			return true;
		}
	}
	for (i = 0; i < NALIASES; i++) {
		if (same_word(word, mode_aliases[i].word)) {
			*mode = mode_aliases[i].mode;
			return true;
		}
	}
	for (i = 0; i < NFALLBACKS; i++) {
		if (same_word(word, fallback_words[i]))
			*why = "it would go on in plaintext where TLS fails, "
			       "and nobody would notice; write \"require\", "
			       "or better \"verify-full\"";
	}
	return false;
}

/* A listener on all addresses is on those of this machine, of its own version
 * of IP: a connection to another leaves from an address that is not its own. */
static bool
is_reached_by(const struct address *listen, const struct address *from,
    const struct address *to)
{
	if (address_is_unix(listen) || address_is_unix(to))
		return address_equal(listen, to);
	if (address_port(listen) != address_port(to))
		return false;
	if (address_is_wildcard(listen))
		return address_same_version(listen, to) &&
		    (address_is_loopback(to) || address_same_ip(from, to));
	return address_same_ip(listen, to);
}

bool
endpoint_listens_at(const struct endpoint *e, const struct address *from,
    const struct address *to)
{
	size_t i;

	for (i = 0; i < e->nlistens; i++) {
		if (is_reached_by(&e->listens[i], from, to))
			return true;
	}
	return false;
}

bool
endpoint_may_ktls(const struct endpoint *e, const char **why)
{
	const char *because = NULL;

	if (e->tls.ktls == KTLS_OFF)
		because = "tls.ktls is \"off\"";
	else if (e->ops->renegotiates)
		because = "servers of this engine renegotiate";
	else if (e->mode == SSL_MODE_NONE && e->client_rule == CLIENT_TLS_OFF)
		because = "neither leg has TLS";
	if (why != NULL)
		*why = because;
	return because == NULL;
}

struct neg_policy
endpoint_policy(const struct endpoint *e)
{
	struct neg_policy policy = { .client = e->client_rule,
		.server = SERVER_TLS_REQUIRED };

	if (e->mode == SSL_MODE_NONE)
		policy.server = SERVER_TLS_NEVER;
	else if (e->tls.direct || e->ops->server_start == NEG_START_FIRST)
		policy.server = SERVER_TLS_FIRST;
	return policy;
}

bool
endpoint_pairs(const struct endpoint *e)
{
	return e->ops != NULL && e->ops->pairs != NULL &&
	    e->ops->pairs(e->options);
}

bool
endpoint_is_local(const struct endpoint *e)
{
	size_t i;

	for (i = 0; i < e->nlistens; i++) {
		if (!address_is_loopback(&e->listens[i]))
			return false;
	}
	return e->transparent == TRANSPARENT_OFF;
}

bool
server_has_address(const struct server *s, const struct address *to)
{
	if (s->port != address_port(to))
		return false;
	if (s->is_network)
		return cidr_has(&s->network, to);
	return s->fixed.len != 0 && address_same_ip(&s->fixed, to);
}

const char *
endpoint_client_leg(const struct endpoint *e)
{
	switch (e->client_rule) {
	case CLIENT_TLS_OFF:
		return "cleartext";
	case CLIENT_TLS_ALLOW:
		return "cleartext or TLS";
	case CLIENT_TLS_REQUIRE:
		return "TLS";
	}
	return "";
}

const char *
server_called(const struct server *s)
{
	return s->target.nnames == 1 ? s->target.names[0] : s->host;
}
