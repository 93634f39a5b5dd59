#include "conf/config_engines.h"

#include <string.h>

#include "conf/config_options.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

struct rules {
	const struct draft *d;
	const struct endpoint *e;
	struct problems *problems;
};

/*
 * MySQL and MariaDB.
 */

#define SERVER_KEY "server_public_key"
#define ANY_KEY    "get_server_public_key"
#define OWN_KEY    "rsa_key"
#define PROOF      "certificate_proof"

static bool
is_given(const struct rules *r, const char *option)
{
	const struct value *v = draft_option(r->d, option);

	return v != NULL && v->line != 0;
}

static bool
is_on(const struct rules *r, const char *option)
{
	const struct value *v = draft_option(r->d, option);

	return v != NULL && v->number > 0;
}

/* The first server that is reached without TLS and not through a unix socket,
 * which passes for as good; NULL: none. */
static const struct server *
server_in_clear(const struct endpoint *e)
{
	size_t i;

	for (i = 0; e->mode == SSL_MODE_NONE && i < e->nservers; i++) {
		if (!address_is_unix(&e->servers[i].fixed))
			return &e->servers[i];
	}
	return NULL;
}

static bool
any_unix_server(const struct endpoint *e)
{
	size_t i;

	for (i = 0; i < e->nservers; i++) {
		if (address_is_unix(&e->servers[i].fixed))
			return true;
	}
	return false;
}

/* An address of this machine; a name may be anybody's. */
static bool
is_here(const struct server *s)
{
	return s->fixed.len != 0 && address_is_loopback(&s->fixed);
}

/* Of a transparent endpoint each server is one that its clients go to. */
static void
check_position(struct rules *r)
{
	if (r->e->nservers > 1 && r->e->transparent == TRANSPARENT_OFF)
		draft_problem(r->d, SETTING_SERVER, true, r->problems,
		    "lists %zu servers, and a position in a binary log is "
		    "one server's; give a reader that keeps one an endpoint "
		    "with one server (GTIDs mean the same on all)",
		    r->e->nservers);
}

/* The full exchange of caching_sha2_password, toward a server in clear. */
static void
check_server_key(struct rules *r)
{
	const struct server *s = server_in_clear(r->e);

	if (r->e->client_rule == CLIENT_TLS_OFF || s == NULL)
		return;
	if (!is_given(r, SERVER_KEY) && !is_on(r, ANY_KEY))
		option_problem(r->d, SERVER_KEY, true, r->problems,
		    "is not set, and \"%s\" is reached without TLS: a client "
		    "with TLS is refused whenever the server has to see its "
		    "password (caching_sha2_password after a restart, "
		    "sha256_password always); name the server's "
		    "public_key.pem here",
		    s->text);
	if (!is_given(r, SERVER_KEY) && is_on(r, ANY_KEY) && !is_here(s))
		option_problem(r->d, ANY_KEY, true, r->problems,
		    "takes whatever key comes from \"%s\" in clear: whoever "
		    "is between can read passwords; set " SERVER_KEY " instead",
		    s->text);
}

static void
check_idle_server_key(struct rules *r)
{
	static const char *const keys[] = { SERVER_KEY, ANY_KEY };
	size_t i;

	for (i = 0; i < COUNT_OF(keys); i++) {
		if (is_given(r, keys[i]) &&
		    (r->e->mode != SSL_MODE_NONE ||
			r->e->client_rule == CLIENT_TLS_OFF))
			option_problem(r->d, keys[i], true, r->problems,
			    "has no effect; it is for clients with TLS of a "
			    "server without (ssl_mode = \"none\")");
	}
	if (is_given(r, SERVER_KEY) && is_on(r, ANY_KEY))
		option_problem(r->d, ANY_KEY, true, r->problems,
		    "has no effect beside " SERVER_KEY);
}

static void
check_own_key(struct rules *r)
{
	const struct endpoint *e = r->e;
	bool clear_to_secure = e->client_rule != CLIENT_TLS_REQUIRE &&
	    (e->mode != SSL_MODE_NONE || any_unix_server(e));

	if (is_given(r, OWN_KEY) && !clear_to_secure)
		option_problem(r->d, OWN_KEY, true, r->problems,
		    "has no effect; it is for clients without TLS of a server "
		    "with (or behind a unix socket)");
}

static void
check_proof(struct rules *r)
{
	if (is_given(r, PROOF) && r->e->client_rule == CLIENT_TLS_OFF)
		option_problem(r->d, PROOF, true, r->problems,
		    "has no effect without client_tls: only a client that "
		    "sees our certificate looks for proof of it");
}

/*
 * X protocol.
 */

static void
check_plain(struct rules *r)
{
	const struct server *s = server_in_clear(r->e);

	if (r->e->client_rule != CLIENT_TLS_OFF && s != NULL)
		draft_problem(r->d, SETTING_SSL_MODE, true, r->problems,
		    "\"none\": a client with TLS logs in by PLAIN, which "
		    "\"%s\" does not take without; demand TLS of the server "
		    "too, or have clients choose SHA256_MEMORY (or, before "
		    "MySQL 9, MYSQL41)",
		    s->text);
}

void
rules_check_engine(const struct draft *d, const struct endpoint *e,
    struct problems *p)
{
	static const struct {
		const char *engine;
		void (*check)(struct rules *);
	} all[] = {
		{ "mysql", check_position },
		{ "mysql", check_server_key },
		{ "mysql", check_idle_server_key },
		{ "mysql", check_own_key },
		{ "mysql", check_proof },
		{ "mariadb", check_position },
		{ "mariadb", check_idle_server_key },
		{ "mariadb", check_own_key },
		{ "mariadb", check_proof },
		{ "mysqlx", check_plain },
	};
	struct rules r = { .d = d, .e = e, .problems = p };
	size_t i;

	if (draft_value(d, SETTING_SSL_MODE)->spoilt ||
	    draft_value(d, SETTING_CLIENT_TLS_MODE)->spoilt)
		return;
	for (i = 0; i < COUNT_OF(all); i++) {
		if (strcmp(e->ops->name, all[i].engine) == 0)
			all[i].check(&r);
	}
}
