#include "conf/config_rules.h"

#include <string.h>

#include "conf/config_bridge.h"
#include "conf/config_dms.h"
#include "conf/config_endpoint.h"
#include "conf/config_engines.h"

#define TLS1_2 0x0303 /* as OpenSSL counts */

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

struct rules {
	const struct draft *top;
	const struct draft *d;
	const struct endpoint *e;
	struct problems *problems;
};

static const struct text *
listen_text(const struct draft *d, size_t i)
{
	return &draft_value(d, SETTING_LISTEN)->texts[i];
}

/* One sentence about each setting of a list that was written. */
static void
each_given(struct rules *r, const enum setting_id *ids, size_t n, bool warning,
    const char *sentence)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (draft_given(r->d, ids[i]))
			draft_problem(r->d, ids[i], warning, r->problems, "%s",
			    sentence);
	}
}

/* The same for the groups of `server`. */
static void
each_server_given(struct rules *r, enum setting_id id, const char *sentence)
{
	size_t i;

	for (i = 0; i < r->d->nchildren; i++) {
		if (draft_given(r->d->children[i], id))
			draft_problem(r->d->children[i], id, false, r->problems,
			    "%s", sentence);
	}
}

static void
check_mode_none(struct rules *r)
{
	static const enum setting_id refused[] = { SETTING_CA, SETTING_CRL,
		SETTING_PIN, SETTING_SERVER_DN, SETTING_IDENTITY_CERT,
		SETTING_IDENTITY_KEY, SETTING_IDENTITY_PASSWORD_FILE };
	static const enum setting_id idle[] = { SETTING_CRL_EXPIRED,
		SETTING_SERVER_NAME, SETTING_ALLOW_CN, SETTING_SNI,
		SETTING_X509_PROFILE, SETTING_TLS_MIN, SETTING_TLS_MAX,
		SETTING_TLS_CIPHERS, SETTING_TLS_CIPHERSUITES,
		SETTING_TLS_GROUPS, SETTING_TLS_SECLEVEL };
	static const char sentence[] =
	    "has no place beside ssl_mode = \"none\", under which there is no "
	    "TLS to use it; remove it, or demand more with ssl_mode";

	each_given(r, refused, COUNT_OF(refused), false, sentence);
	each_server_given(r, SETTING_SERVER_OWN_PIN, sentence);
	each_server_given(r, SETTING_SERVER_OWN_DN, sentence);
	each_given(r, idle, COUNT_OF(idle), true,
	    "has no effect with ssl_mode = \"none\"");
	if (draft_is_true(r->d, SETTING_TLS_DIRECT))
		draft_problem(r->d, SETTING_TLS_DIRECT, false, r->problems,
		    "%s", sentence);
}

static void
check_mode_require(struct rules *r)
{
	static const enum setting_id refused[] = { SETTING_CRL,
		SETTING_SERVER_DN, SETTING_ALLOW_CN };
	static const enum setting_id idle[] = { SETTING_CRL_EXPIRED,
		SETTING_X509_PROFILE };
	static const char sentence[] =
	    "has no place beside ssl_mode = \"require\", which checks neither "
	    "chain nor name; remove it, or write ssl_mode = \"verify-full\"";

	each_given(r, refused, COUNT_OF(refused), false, sentence);
	each_server_given(r, SETTING_SERVER_OWN_DN, sentence);
	each_given(r, idle, COUNT_OF(idle), true,
	    "has no effect with ssl_mode = \"require\"");
	if (draft_given(r->d, SETTING_CA))
		draft_problem(r->d, SETTING_CA, true, r->problems,
		    "is not used: ssl_mode = \"require\" never checks the "
		    "chain; write \"verify-full\" to have it checked");
}

static void
check_mode_verify(struct rules *r)
{
	static const char sentence[] =
	    "needs ssl_mode = \"verify-full\"; \"verify-ca\" checks the chain "
	    "and no name";

	if (!draft_given(r->d, SETTING_CA))
		draft_problem(r->d, SETTING_CA, false, r->problems,
		    "is missing; ssl_mode = \"%s\" needs to know whom to "
		    "trust: write ca = [ \"FILE\" ]; or ca = \"system\";",
		    ssl_mode_name(r->e->mode));
	if (draft_given(r->d, SETTING_CRL_EXPIRED) &&
	    !draft_given(r->d, SETTING_CRL))
		draft_problem(r->d, SETTING_CRL_EXPIRED, true, r->problems,
		    "has no effect without crl");
	if (r->e->mode != SSL_MODE_VERIFY_CA)
		return;
	if (draft_given(r->d, SETTING_SERVER_DN))
		draft_problem(r->d, SETTING_SERVER_DN, false, r->problems, "%s",
		    sentence);
	each_server_given(r, SETTING_SERVER_OWN_DN, sentence);
	if (draft_given(r->d, SETTING_ALLOW_CN))
		draft_problem(r->d, SETTING_ALLOW_CN, true, r->problems,
		    "has no effect with ssl_mode = \"verify-ca\", which "
		    "checks no name");
}

static void
check_mode_words(struct rules *r)
{
	if (draft_value(r->d, SETTING_SSL_MODE)->spoilt)
		return;
	switch (r->e->mode) {
	case SSL_MODE_NONE:
		check_mode_none(r);
		return;
	case SSL_MODE_REQUIRE:
		check_mode_require(r);
		return;
	case SSL_MODE_VERIFY_CA:
	case SSL_MODE_VERIFY_FULL:
		check_mode_verify(r);
		return;
	}
}

/* On this machine, or nowhere yet: what is no address may be anybody's, even
 * "localhost". */
static bool
server_is_here(const struct server *s)
{
	return s->text == NULL ||
	    (s->fixed.len != 0 && address_is_loopback(&s->fixed));
}

/* A client that uses TLS must not lose it unawares. */
static void
check_cleartext_server(struct rules *r)
{
	const struct endpoint *e = r->e;
	size_t i;

	if (e->mode != SSL_MODE_NONE) {
		if (e->cleartext_server)
			draft_problem(r->d, SETTING_CLEARTEXT_SERVER, true,
			    r->problems,
			    "has no effect: ssl_mode = \"%s\" "
			    "sends nothing in clear",
			    ssl_mode_name(e->mode));
		return;
	}
	if (e->client_rule == CLIENT_TLS_OFF || e->cleartext_server)
		return;
	for (i = 0; i < e->nservers; i++) {
		if (server_is_here(&e->servers[i]))
			continue;
		draft_problem(r->d, SETTING_SSL_MODE, false, r->problems,
		    "\"none\" would send to \"%s\" in clear what clients "
		    "send in TLS; demand TLS of the server too, or write "
		    "cleartext_server = true if this is meant",
		    e->servers[i].text);
		return;
	}
}

static void
check_client_verify(struct rules *r)
{
	const struct endpoint *e = r->e;
	bool ca = draft_given(r->d, SETTING_CLIENT_TLS_CA);

	if (ca && e->client_verify == CLIENT_VERIFY_NONE)
		draft_problem(r->d, SETTING_CLIENT_TLS_CA, false, r->problems,
		    "would never be used; write client_tls.verify = "
		    "\"require\" (or \"optional\") beside it");
	if (!ca && e->client_verify != CLIENT_VERIFY_NONE)
		draft_problem(r->d, SETTING_CLIENT_TLS_VERIFY, false,
		    r->problems,
		    "needs client_tls.ca, to judge clients' "
		    "certificates by");
	if (e->client_verify == CLIENT_VERIFY_REQUIRE &&
	    e->client_rule != CLIENT_TLS_REQUIRE)
		draft_problem(r->d, SETTING_CLIENT_TLS_VERIFY, false,
		    r->problems,
		    "\"require\" needs client_tls.mode = "
		    "\"require\"; a client without TLS shows no certificate");
	if (e->client_verify == CLIENT_VERIFY_OPTIONAL &&
	    e->client_rule == CLIENT_TLS_OFF)
		draft_problem(r->d, SETTING_CLIENT_TLS_VERIFY, false,
		    r->problems,
		    "needs client_tls.mode = \"allow\" or "
		    "\"require\"");
}

/* A certificate without a mode was surely meant to be used. */
static void
check_client_off(struct rules *r)
{
	static const enum setting_id idle[] = { SETTING_CLIENT_TLS_CERT,
		SETTING_CLIENT_TLS_KEY, SETTING_CLIENT_TLS_MIN,
		SETTING_CLIENT_TLS_MAX, SETTING_CLIENT_TLS_CIPHERS };

	if (draft_given(r->d, SETTING_CLIENT_TLS_MODE))
		each_given(r, idle, COUNT_OF(idle), true,
		    "has no effect with client_tls.mode = \"off\"");
	else
		each_given(r, idle, COUNT_OF(idle), false,
		    "has no effect without client_tls.mode; write "
		    "client_tls.mode = \"require\", \"allow\" or \"off\"");
}

static void
check_client_tls(struct rules *r)
{
	const struct endpoint *e = r->e;

	if (draft_value(r->d, SETTING_CLIENT_TLS_MODE)->spoilt ||
	    draft_value(r->d, SETTING_CLIENT_TLS_VERIFY)->spoilt)
		return;
	check_client_verify(r);
	if (e->client_rule == CLIENT_TLS_OFF) {
		check_client_off(r);
		return;
	}
	if (!draft_given(r->d, SETTING_CLIENT_TLS_CERT))
		draft_problem(r->d, SETTING_CLIENT_TLS_CERT, false, r->problems,
		    "is missing; clients that use TLS must be "
		    "shown a certificate");
	if (e->client_rule == CLIENT_TLS_ALLOW && e->ops != NULL &&
	    !e->ops->client_chooses)
		draft_problem(r->d, SETTING_CLIENT_TLS_MODE, false, r->problems,
		    "\"allow\" cannot be kept with engine %s: a "
		    "client that waits for the server to speak looks like one "
		    "about to begin TLS; write \"require\" or \"off\"",
		    e->ops->name);
	if (e->client_tls.min > e->client_tls.max)
		draft_problem(r->d, SETTING_CLIENT_TLS_MIN, false, r->problems,
		    "is above client_tls.max");
	if (e->client_tls.min < TLS1_2)
		draft_problem(r->d, SETTING_CLIENT_TLS_MIN, true, r->problems,
		    "lets clients use what is no longer safe, "
		    "and sets this leg to security level 0");
}

/* They open nothing where nothing is named. */
static void
check_wallet(struct rules *r)
{
	static const enum setting_id idle[] = { SETTING_WALLET_PASSWORD_FILE,
		SETTING_WALLET_HOST, SETTING_WALLET_USER };
	static const enum setting_id used[] = { SETTING_CA,
		SETTING_IDENTITY_CERT, SETTING_CLIENT_TLS_CERT,
		SETTING_CLIENT_TLS_CA };
	size_t i;

	for (i = 0; i < COUNT_OF(used); i++) {
		if (draft_given(r->d, used[i]))
			return;
	}
	each_given(r, idle, COUNT_OF(idle), false,
	    "has no effect: neither ca nor identity nor client_tls names a "
	    "wallet");
}

static bool
allows_everyone(const struct cidr_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (cidr_is_everyone(&l->list[i]))
			return true;
	}
	return false;
}

/* The first listener that others than this machine's can reach. */
static const struct address *
open_listener(const struct endpoint *e)
{
	size_t i;

	for (i = 0; i < e->nlistens; i++) {
		if (!address_is_loopback(&e->listens[i]))
			return &e->listens[i];
	}
	return endpoint_is_local(e) || e->nlistens == 0 ? NULL : e->listens;
}

static void
check_open_listener(struct rules *r)
{
	const struct address *open = open_listener(r->e);
	char at[ADDRESS_TEXT_MAX];

	if (open == NULL || draft_value(r->d, SETTING_ALLOW)->spoilt ||
	    draft_value(r->d, SETTING_CLIENT_TLS_MODE)->spoilt)
		return;
	(void)address_format(open, at, sizeof(at));
	if (r->e->client_rule != CLIENT_TLS_REQUIRE &&
	    (r->e->allow.n == 0 || !draft_given(r->d, SETTING_CLIENT_TLS_MODE)))
		draft_problem(r->d, SETTING_LISTEN, false, r->problems,
		    "\"%s\" can be reached from other machines; write "
		    "client_tls = { mode = \"require\"; ... }; or write out "
		    "both client_tls.mode and an allow list",
		    at);
	if (allows_everyone(&r->e->allow))
		draft_problem(r->d, SETTING_ALLOW, true, r->problems,
		    "lets everyone in, and \"%s\" can be reached from other "
		    "machines",
		    at);
}

/* Whoever reaches the port becomes that user. */
static void
check_identity(struct rules *r)
{
	const struct endpoint *e = r->e;
	const struct address *open = open_listener(e);
	char at[ADDRESS_TEXT_MAX];

	if (!draft_given(r->d, SETTING_IDENTITY_CERT)) {
		static const enum setting_id idle[] = { SETTING_IDENTITY_KEY,
			SETTING_IDENTITY_PASSWORD_FILE };

		if (e->mode != SSL_MODE_NONE)
			each_given(r, idle, COUNT_OF(idle), false,
			    "has no effect without identity.cert");
		return;
	}
	if (open == NULL || draft_value(r->d, SETTING_ALLOW)->spoilt ||
	    e->client_verify == CLIENT_VERIFY_REQUIRE ||
	    (e->allow.n > 0 && !allows_everyone(&e->allow)))
		return;
	draft_problem(r->d, SETTING_IDENTITY_CERT, false, r->problems,
	    "is a credential, and whoever reaches \"%s\" would have its use; "
	    "write an allow list, or client_tls.verify = \"require\", or "
	    "listen on loopback or a unix socket only",
	    address_format(open, at, sizeof(at)));
}

/* One name for several servers would let one of them pass for another.  Those
 * of a transparent endpoint are places where one may be, as a network is. */
static void
check_shared_name(struct rules *r, enum setting_id shared, enum setting_id own,
    const char *remedy)
{
	size_t i, without = 0;

	if (r->e->transparent != TRANSPARENT_OFF)
		return;
	for (i = 0; i < r->d->nchildren; i++)
		without += !draft_given(r->d->children[i], own);
	if (r->d->nchildren < 2 || without == 0 || !draft_sound(r->d, shared) ||
	    draft_value(r->d, shared)->ntexts != 1)
		return;
	draft_problem(r->d, shared, false, r->problems,
	    "is one, and there are %zu servers without one of their own; %s",
	    without, remedy);
}

static bool
same_server(const struct server *a, const struct server *b)
{
	if (a->text == NULL || b->text == NULL)
		return false;
	if (a->host == NULL || b->host == NULL)
		return strcmp(a->text, b->text) == 0;
	return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static void
check_server(struct rules *r, size_t n)
{
	const struct endpoint *e = r->e;
	const struct server *s = &e->servers[n];
	const struct draft *d = r->d->children[n];
	size_t i;

	for (i = 0; i < n && e->transparent == TRANSPARENT_OFF; i++) {
		if (same_server(&e->servers[i], s))
			draft_problem(d, SETTING_SERVER_ADDRESS,
			    !endpoint_pairs(e), r->problems,
			    "\"%s\" is listed twice", s->text);
	}
	if (s->fixed.len == 0)
		return;
	if (address_is_unix(&s->fixed)) {
		if (e->mode != SSL_MODE_NONE &&
		    e->transparent == TRANSPARENT_OFF)
			draft_problem(d, SETTING_SERVER_ADDRESS, false,
			    r->problems,
			    "is a unix socket, which has no "
			    "TLS; write ssl_mode = \"none\"");
		return;
	}
	if (e->source.len != 0 &&
	    e->source.sa.ss_family != s->fixed.sa.ss_family)
		draft_problem(r->d, SETTING_SOURCE, false, r->problems,
		    "is of another family than the server \"%s\"", s->text);
}

static void
check_servers(struct rules *r)
{
	size_t i;

	check_shared_name(r, SETTING_SERVER_NAME, SETTING_SERVER_OWN_NAME,
	    "give each server its own, as { address = \"...\"; server_name = "
	    "\"...\"; }, or list all that any of them may have");
	check_shared_name(r, SETTING_SERVER_DN, SETTING_SERVER_OWN_DN,
	    "give each server its own, as { address = \"...\"; server_dn = "
	    "\"...\"; }");
	for (i = 0; i < r->e->nservers; i++)
		check_server(r, i);
}

static void
pair_problem(struct rules *r, const struct text *listen, const char *why)
{
	char path[DRAFT_PATH_MAX];

	draft_path(r->d, "listen", path);
	problem_add(r->problems, false, r->d->file, listen->line, path,
	    "\"%s\" %s: as the settings in %s are, clients are told it in the "
	    "place of a server; write the address and the port that they "
	    "reach",
	    listen->s, why, protocol_group(r->e->ops));
}

static void
check_pair_listen(struct rules *r, size_t i)
{
	const struct text *text = listen_text(r->d, i);
	const struct address *a = &r->e->listens[i];

	if (address_is_unix(a))
		pair_problem(r, text, "is a unix socket");
	else if (address_is_wildcard(a))
		pair_problem(r, text, "is every address of this machine");
	else if (address_port(a) == 0)
		pair_problem(r, text, "has no port of its own");
}

static void
check_pair_server(struct rules *r, size_t i)
{
	const struct server *s = &r->e->servers[i];

	if (s->text != NULL && s->host == NULL)
		draft_problem(r->d->children[i], SETTING_SERVER_ADDRESS, false,
		    r->problems,
		    "\"%s\" is a unix socket: as the settings in %s are, a "
		    "listen address stands for each server, which is known by "
		    "its host and port; write \"HOST:PORT\"",
		    s->text, protocol_group(r->e->ops));
}

/* Where listen addresses stand for servers clients must be able to go there,
 * and each to one server. */
static void
check_pairs(struct rules *r)
{
	const struct endpoint *e = r->e;
	size_t i;

	if (!endpoint_pairs(e) || !draft_sound(r->d, SETTING_LISTEN) ||
	    !draft_sound(r->d, SETTING_SERVER))
		return;
	if (e->nlistens != e->nservers)
		draft_problem(r->d, SETTING_LISTEN, false, r->problems,
		    "has %zu address%s, and there %s %zu server%s: as the "
		    "settings in %s are, each stands for the server of the "
		    "same place in its list; write as many of the one as of "
		    "the other",
		    e->nlistens, e->nlistens == 1 ? "" : "es",
		    e->nservers == 1 ? "is" : "are", e->nservers,
		    e->nservers == 1 ? "" : "s", protocol_group(e->ops));
	for (i = 0; i < e->nlistens; i++)
		check_pair_listen(r, i);
	for (i = 0; i < e->nservers; i++)
		check_pair_server(r, i);
	if (e->server_order != SERVER_ORDER_FIRST)
		draft_problem(r->d, SETTING_SERVER_ORDER, true, r->problems,
		    "has no effect: as the settings in %s are, the address "
		    "that a client comes by decides the server",
		    protocol_group(e->ops));
}

static void
check_server_tls(struct rules *r)
{
	const struct endpoint *e = r->e;

	if (e->mode == SSL_MODE_NONE)
		return;
	if (e->tls.min > e->tls.max)
		draft_problem(r->d, SETTING_TLS_MIN, false, r->problems,
		    "is above tls.max");
	if (e->tls.min < TLS1_2 && e->tls.seclevel > 0)
		draft_problem(r->d, SETTING_TLS_MIN, true, r->problems,
		    "has no effect at tls.seclevel = %d: OpenSSL speaks TLS "
		    "1.1 and below at level 0 only",
		    e->tls.seclevel);
	if (e->ops == NULL)
		return;
	if (e->tls.min > TLS1_2 && e->ops->asked_is_1_2 && !e->tls.direct)
		draft_problem(r->d, SETTING_TLS_MIN, false, r->problems,
		    "is more than engine %s has where TLS is asked for, which "
		    "is 1.2; lower it, or set tls.direct for a server that "
		    "begins with TLS",
		    e->ops->name);
	if (!draft_given(r->d, SETTING_TLS_DIRECT))
		return;
	if (e->tls.direct && e->ops->server_start == NEG_START_ASKED)
		draft_problem(r->d, SETTING_TLS_DIRECT, false, r->problems,
		    "engine %s has no direct TLS; remove it", e->ops->name);
	if (!e->tls.direct && e->ops->server_start == NEG_START_FIRST)
		draft_problem(r->d, SETTING_TLS_DIRECT, false, r->problems,
		    "engine %s always begins with TLS; remove it",
		    e->ops->name);
}

static void
check_ktls(struct rules *r)
{
	const struct endpoint *e = r->e;
	const char *why;

	if (e->ops == NULL || !draft_given(r->d, SETTING_TLS_KTLS) ||
	    e->tls.ktls == KTLS_OFF || endpoint_may_ktls(e, &why))
		return;
	draft_problem(r->d, SETTING_TLS_KTLS, e->tls.ktls != KTLS_ON,
	    r->problems, "has no effect: %s; remove it", why);
}

static void
check_policy_mode(struct rules *r)
{
	const struct draft *top = r->top;
	enum ssl_mode floor;
	const char *why;

	if (!draft_sound(top, SETTING_POLICY_MIN_MODE) ||
	    !ssl_mode_parse(draft_text(top, SETTING_POLICY_MIN_MODE), &floor,
		&why) ||
	    r->e->mode >= floor || draft_value(r->d, SETTING_SSL_MODE)->spoilt)
		return;
	draft_problem(r->d, SETTING_SSL_MODE, false, r->problems,
	    "\"%s\" is weaker than policy.min_mode = \"%s\" of %s:%u",
	    ssl_mode_name(r->e->mode), ssl_mode_name(floor), top->file,
	    draft_line(top, SETTING_POLICY_MIN_MODE));
}

static void
check_policy_client(struct rules *r)
{
	const struct draft *top = r->top;
	int floor = draft_choice(top, SETTING_POLICY_CLIENT_TLS);
	const char *const *words =
	    setting_get(SETTING_POLICY_CLIENT_TLS)->choices;

	if ((int)r->e->client_rule >= floor ||
	    draft_value(r->d, SETTING_CLIENT_TLS_MODE)->spoilt)
		return;
	draft_problem(r->d, SETTING_CLIENT_TLS_MODE, false, r->problems,
	    "\"%s\" is weaker than policy.client_tls = \"%s\" of %s:%u",
	    words[r->e->client_rule], words[floor], top->file,
	    draft_line(top, SETTING_POLICY_CLIENT_TLS));
}

static void
check_policy_version(struct rules *r, enum setting_id id)
{
	const struct draft *top = r->top;
	int floor = draft_choice(top, SETTING_POLICY_MIN_TLS);
	const char *const *words = setting_get(id)->choices;

	if (draft_choice(r->d, id) >= floor)
		return;
	draft_problem(r->d, id, false, r->problems,
	    "\"%s\" is weaker than policy.min_tls = \"%s\" of %s:%u",
	    words[draft_choice(r->d, id)], words[floor], top->file,
	    draft_line(top, SETTING_POLICY_MIN_TLS));
}

static void
check_policy(struct rules *r)
{
	check_policy_mode(r);
	check_policy_client(r);
	if (r->e->mode != SSL_MODE_NONE)
		check_policy_version(r, SETTING_TLS_MIN);
	if (r->e->client_rule != CLIENT_TLS_OFF)
		check_policy_version(r, SETTING_CLIENT_TLS_MIN);
}

static void
check_mode_policy(struct rules *r)
{
	const struct endpoint *e = r->e;
	const struct dms_support *dms;

	if (!e->mode_policy_dms || e->ops == NULL)
		return;
	if ((dms = dms_support(e->ops)) == NULL)
		draft_problem(r->d, SETTING_MODE_POLICY, false, r->problems,
		    "DMS has nothing of the kind of engine %s; remove it",
		    e->ops->name);
	else if (!dms->never_narrowed && !dms->modes[e->mode])
		draft_problem(r->d, SETTING_SSL_MODE, false, r->problems,
		    "\"%s\" is no mode that DMS has for engine %s, and "
		    "mode_policy = \"dms\" stands in line %u",
		    ssl_mode_name(e->mode), e->ops->name,
		    draft_line(r->d, SETTING_MODE_POLICY));
}

static void
check_user_timeout(struct rules *r)
{
	if (r->e->user_timeout > 0)
		draft_problem(r->d, SETTING_USER_TIMEOUT, true, r->problems,
		    "a reader that pauses longer than %g s is cut, as change "
		    "data readers may",
		    r->e->user_timeout);
}

void
rules_check_endpoint(const struct draft *top, const struct draft *d,
    const struct endpoint *e, struct problems *p)
{
	static void (*const all[])(struct rules *) = {
		check_mode_words,
		check_cleartext_server,
		check_client_tls,
		check_open_listener,
		check_identity,
		check_wallet,
		check_servers,
		check_pairs,
		check_server_tls,
		check_ktls,
		check_policy,
		check_mode_policy,
		check_user_timeout,
	};
	struct rules r = { .top = top, .d = d, .e = e, .problems = p };
	size_t i;

	for (i = 0; i < COUNT_OF(all); i++)
		all[i](&r);
	rules_check_bridge(d, e, p);
	if (e->ops != NULL)
		rules_check_engine(d, e, p);
}

void
rules_check_top(const struct draft *top, struct problems *p)
{
	if (draft_number(top, SETTING_DNS_MIN_TTL) >
	    draft_number(top, SETTING_DNS_MAX_TTL))
		draft_problem(top, SETTING_DNS_MIN_TTL, false, p,
		    "is above dns.max_ttl");
}

static bool
check_names(const struct draft *first, const struct draft *d,
    struct problems *p)
{
	const char *name = draft_text(d, SETTING_NAME);
	const char *other = draft_text(first, SETTING_NAME);

	if (name == NULL || other == NULL || strcmp(name, other) != 0)
		return false;
	draft_problem(d, SETTING_NAME, false, p,
	    "\"%s\" is used twice; the first time in %s:%u", name, first->file,
	    draft_line(first, SETTING_NAME));
	return true;
}

/* One against those of an endpoint that come before it. */
static bool
check_listen(const struct draft *const d[2], const struct endpoint *const e[2],
    size_t mine, struct problems *p)
{
	size_t i, n = e[0] == e[1] ? mine : e[0]->nlistens;
	const struct text *at = listen_text(d[1], mine), *other;
	char path[DRAFT_PATH_MAX];

	for (i = 0; i < n; i++) {
		if (!address_overlaps(&e[0]->listens[i],
			&e[1]->listens[mine]) ||
		    rules_may_share(e[0], &e[0]->listens[i], e[1],
			&e[1]->listens[mine]))
			continue;
		other = listen_text(d[0], i);
		draft_path(d[1], "listen", path);
		if (strcmp(at->s, other->s) == 0)
			problem_add(p, false, d[1]->file, at->line, path,
			    "\"%s\" is used twice; the first time in %s:%u%s",
			    at->s, d[0]->file, other->line,
			    e[0] != e[1] &&
				    (e[0]->transparent || e[1]->transparent)
				? "; endpoints share an address only if all "
				  "of them are transparent, in the same way"
				: "");
		else
			problem_add(p, false, d[1]->file, at->line, path,
			    "\"%s\" overlaps with \"%s\" of %s:%u", at->s,
			    other->s, d[0]->file, other->line);
		return true;
	}
	return false;
}

static void
check_listens(const struct draft *const d[2], const struct endpoint *const e[2],
    struct problems *p)
{
	size_t i;

	for (i = 0; i < e[1]->nlistens; i++)
		(void)check_listen(d, e, i, p);
}

/* The first of its servers that is a listener of the other; SIZE_MAX: none.
 * What is transparent goes where its client went. */
static size_t
server_at(const struct endpoint *e, const struct endpoint *other)
{
	static const struct address unknown = { .len = 0 };
	size_t i;

	for (i = 0; e->transparent == TRANSPARENT_OFF && i < e->nservers; i++) {
		if (e->servers[i].fixed.len != 0 &&
		    endpoint_listens_at(other, &unknown, &e->servers[i].fixed))
			return i;
	}
	return SIZE_MAX;
}

/* One against itself, or against one that comes before it.  A name is found
 * out when it is dialled. */
static void
check_round(const struct draft *const d[2], const struct endpoint *const e[2],
    struct problems *p)
{
	size_t to = server_at(e[1], e[0]);

	if (to == SIZE_MAX || server_at(e[0], e[1]) == SIZE_MAX)
		return;
	draft_problem(d[1]->children[to], SETTING_SERVER_ADDRESS, false, p,
	    "\"%s\" is where endpoint %s listens%s: each connection would make "
	    "another, without end",
	    e[1]->servers[to].text, e[0]->name,
	    e[0] == e[1] ? "" : ", whose server is this endpoint");
}

void
rules_check_together(struct draft *const *drafts, struct endpoint *const *list,
    size_t n, struct problems *p)
{
	size_t i, j;

	for (i = 0; i < n; i++) {
		for (j = 0; j < i; j++) {
			if (check_names(drafts[j], drafts[i], p))
				break;
		}
		for (j = 0; j <= i; j++) {
			const struct draft *d[2] = { drafts[j], drafts[i] };
			const struct endpoint *e[2] = { list[j], list[i] };

			check_listens(d, e, p);
			check_round(d, e, p);
			if (i != j)
				rules_check_destinations(d, e, p);
		}
	}
}
