#include "conf/config_endpoint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conf/certfile.h"
#include "conf/config_checks.h"
#include "conf/config_files.h"
#include "conf/config_options.h"
#include "conf/trust.h"

/* As OpenSSL counts them; the first of the four words for versions. */
#define TLS1_0 0x0301
#define TLS1_2 0x0303

#define CLIENT_SECLEVEL 2

_Static_assert(sizeof(enum server_order) == sizeof(int) &&
	sizeof(enum neg_client_rule) == sizeof(int) &&
	sizeof(enum transparent) == sizeof(int) &&
	sizeof(enum log_level) == sizeof(int),
    "a choice is stored as an int");

static int
store_text(const struct value *v, char *at)
{
	char *copy = NULL;

	if (v->ntexts > 0 && (copy = strdup(v->texts[0].s)) == NULL)
		return -1;
	memcpy(at, &copy, sizeof(copy));
	return 0;
}

static int
store_value(const struct setting *s, const struct value *v, char *at)
{
	unsigned count = (unsigned)v->number;
	bool is = v->number > 0;
	int index = (int)v->number;

	switch (s->type) {
	case TYPE_BOOL:
		memcpy(at, &is, sizeof(is));
		return 0;
	case TYPE_COUNT:
		memcpy(at, &count, sizeof(count));
		return 0;
	case TYPE_SECONDS:
		memcpy(at, &v->number, sizeof(v->number));
		return 0;
	case TYPE_CHOICE:
		memcpy(at, &index, sizeof(index));
		return 0;
	case TYPE_TEXT:
		return store_text(v, at);
	case TYPE_LIST:
	case TYPE_ENDPOINTS:
	case TYPE_SERVERS:
	case TYPE_LABELS:
		break;
	}
	return -1; /* these are never stored as they are */
}

int
draft_store(const struct draft *d, void *base)
{
	size_t i;

	for (i = 0; i < SETTING_NONE; i++) {
		const struct setting *s = setting_get((enum setting_id)i);

		if (s->scope == d->scope && s->stored &&
		    store_value(s, &d->values[i], (char *)base + s->offset) ==
			-1)
			return -1;
	}
	return 0;
}

int
version_number(const struct draft *d, enum setting_id id)
{
	return TLS1_0 + draft_choice(d, id);
}

char *
builder_path(const struct builder *b, const struct draft *d, const char *path)
{
	bool filed = b->unfiled == NULL || strcmp(b->unfiled, d->file) != 0;

	return config_file_resolve(filed ? d->file : NULL, path);
}

/* "db.example.com." is the same name; a certificate never says it so. */
static char *
copy_name(const char *name)
{
	size_t len = strlen(name);

	if (len > 1 && name[len - 1] == '.')
		len--;
	return strndup(name, len);
}

static int
target_add_name(struct target *t, const char *name)
{
	char **names = reallocarray(t->names, t->nnames + 1, sizeof(char *));

	if (names == NULL)
		return -1;
	t->names = names;
	if ((names[t->nnames] = copy_name(name)) == NULL)
		return -1;
	t->nnames++;
	return 0;
}

static int
target_set_names(struct target *t, const struct value *v)
{
	size_t i;

	for (i = 0; i < v->ntexts; i++) {
		if (target_add_name(t, v->texts[i].s) == -1)
			return -1;
	}
	return 0;
}

static int
target_set_pins(struct target *t, const struct value *v)
{
	struct err err;
	size_t i;

	if (v->ntexts == 0)
		return 0;
	if ((t->pins = calloc(v->ntexts, sizeof(*t->pins))) == NULL)
		return -1;
	for (i = 0; i < v->ntexts; i++) {
		if (pin_parse(v->texts[i].s, t->pins[i], &err) == -1)
			return -1;
	}
	t->npins = v->ntexts;
	return 0;
}

/* The server's own setting, or the endpoint's. */
static const struct value *
nearest(const struct draft *server, enum setting_id own,
    const struct draft *endpoint, enum setting_id shared)
{
	return draft_given(server, own) ? draft_value(server, own)
					: draft_value(endpoint, shared);
}

static int
server_set_target(struct server *s, const struct draft *from,
    const struct draft *d)
{
	const struct value *names, *dn, *pins;

	names = nearest(from, SETTING_SERVER_OWN_NAME, d, SETTING_SERVER_NAME);
	dn = nearest(from, SETTING_SERVER_OWN_DN, d, SETTING_SERVER_DN);
	pins = nearest(from, SETTING_SERVER_OWN_PIN, d, SETTING_PIN);
	if (target_set_names(&s->target, names) == -1 ||
	    target_set_pins(&s->target, pins) == -1)
		return -1;
	if (names->ntexts == 0 && s->host != NULL &&
	    target_add_name(&s->target, s->host) == -1)
		return -1;
	if (dn->ntexts > 0 &&
	    (s->target.server_dn = strdup(dn->texts[0].s)) == NULL)
		return -1;
	return 0;
}

/* The first that is a host name: what was written, then what is expected,
 * then what is dialled. */
static int
server_set_sni(struct server *s, const struct draft *d)
{
	const char *name = draft_text(d, SETTING_SNI);
	size_t i;

	for (i = 0; name == NULL && i < s->target.nnames; i++) {
		if (host_is_name(s->target.names[i]))
			name = s->target.names[i];
	}
	if (name == NULL && s->host != NULL && host_is_name(s->host))
		name = s->host;
	if (name != NULL && (s->sni = copy_name(name)) == NULL)
		return -1;
	return 0;
}

static int
server_build(struct builder *b, const struct draft *d, const struct draft *from,
    struct server *s)
{
	const char *words = draft_text(from, SETTING_SERVER_ADDRESS);
	uint16_t port = d->ops == NULL ? 1 : d->ops->default_port;
	char host[HOST_MAX];
	struct err err;

	if (words == NULL) /* that has been said */
		return 0;
	host[0] = '\0';
	s->is_network = network_is_meant(words);
	if ((s->is_network
		    ? network_parse(words, &s->network, &port, &err)
		    : server_parse(words, host, &port, &s->fixed, &err)) == -1)
		return -1;
	if (port == 0 && d->ops != NULL && !address_is_unix(&s->fixed))
		draft_problem(from, SETTING_SERVER_ADDRESS, false, b->problems,
		    "\"%s\" has no port, and engine %s has no "
		    "usual one; write \"HOST:PORT\"",
		    words, d->ops->name);
	s->port = address_is_unix(&s->fixed) ? 0 : port;
	if ((s->text = strdup(words)) == NULL)
		return -1;
	if (host[0] != '\0' && (s->host = strdup(host)) == NULL)
		return -1;
	if (server_set_target(s, from, d) == -1)
		return -1;
	return server_set_sni(s, d);
}

static int
build_servers(struct builder *b, const struct draft *d, struct endpoint *e)
{
	size_t i;

	if (d->nchildren == 0)
		return 0;
	if ((e->servers = calloc(d->nchildren, sizeof(*e->servers))) == NULL)
		return -1;
	e->nservers = d->nchildren;
	for (i = 0; i < d->nchildren; i++) {
		if (server_build(b, d, d->children[i], &e->servers[i]) == -1)
			return -1;
	}
	return 0;
}

static int
build_listens(const struct draft *d, struct endpoint *e)
{
	const struct value *v = draft_value(d, SETTING_LISTEN);
	struct err err;
	size_t i;

	if (v->ntexts == 0)
		return 0;
	if ((e->listens = calloc(v->ntexts, sizeof(*e->listens))) == NULL)
		return -1;
	e->nlistens = v->ntexts;
	for (i = 0; i < v->ntexts; i++) {
		if (address_parse(v->texts[i].s, &e->listens[i], &err) == -1)
			return -1;
	}
	return 0;
}

static int
build_cidrs(const struct value *v, struct cidr_list *l)
{
	size_t i;

	if (v->ntexts == 0)
		return 0;
	if ((l->list = calloc(v->ntexts, sizeof(*l->list))) == NULL)
		return -1;
	l->n = v->ntexts;
	for (i = 0; i < v->ntexts; i++) {
		if (!cidr_parse(v->texts[i].s, &l->list[i]))
			return -1;
	}
	return 0;
}

static int
build_labels(const struct draft *d, struct endpoint *e)
{
	size_t i;

	if (d->nlabels == 0)
		return 0;
	if ((e->labels = calloc(d->nlabels, sizeof(*e->labels))) == NULL)
		return -1;
	e->nlabels = d->nlabels;
	for (i = 0; i < d->nlabels; i++) {
		e->labels[i].name = strdup(d->labels[i].name.s);
		e->labels[i].value = strdup(d->labels[i].value.s);
		if (e->labels[i].name == NULL || e->labels[i].value == NULL)
			return -1;
	}
	return 0;
}

static void
build_tls(const struct draft *d, struct endpoint *e)
{
	e->tls.min = version_number(d, SETTING_TLS_MIN);
	e->tls.max = version_number(d, SETTING_TLS_MAX);
	e->client_tls.min = version_number(d, SETTING_CLIENT_TLS_MIN);
	e->client_tls.max = version_number(d, SETTING_CLIENT_TLS_MAX);
	/* OpenSSL has no TLS 1.1 at any other level, and whoever asks for it
	 * on this leg has no setting to ask for the level with. */
	e->client_tls.seclevel =
	    e->client_tls.min < TLS1_2 ? 0 : CLIENT_SECLEVEL;
}

static void
build_words(const struct draft *d, struct endpoint *e)
{
	const char *source = draft_text(d, SETTING_SOURCE), *why;

	(void)ssl_mode_parse(draft_text(d, SETTING_SSL_MODE), &e->mode, &why);
	e->source_client = source != NULL && strcmp(source, SOURCE_CLIENT) == 0;
	if (source != NULL && !e->source_client)
		(void)address_parse_ip(source, 0, &e->source);
	e->mode_policy_dms =
	    draft_choice(d, SETTING_MODE_POLICY) == MODE_POLICY_DMS;
}

struct endpoint *
endpoint_build(struct builder *b, const struct draft *d)
{
	struct endpoint *e;

	if ((e = calloc(1, sizeof(*e))) == NULL)
		return NULL;
	e->line = d->line;
	e->ops = d->ops;
	build_words(d, e);
	if ((e->file = strdup(d->file)) == NULL || draft_store(d, e) == -1 ||
	    build_listens(d, e) == -1 || build_servers(b, d, e) == -1 ||
	    build_cidrs(draft_value(d, SETTING_ALLOW), &e->allow) == -1 ||
	    build_cidrs(draft_value(d, SETTING_DENY), &e->deny) == -1 ||
	    build_cidrs(draft_value(d, SETTING_PROXY_ACCEPT),
		&e->proxy_accept) == -1 ||
	    build_labels(d, e) == -1 || options_build(d, e) == -1)
		goto fail;
	build_tls(d, e);
	return e;
fail:
	endpoint_free(e);
	return NULL;
}

static void
target_fini(struct target *t)
{
	size_t i;

	for (i = 0; i < t->nnames; i++)
		free(t->names[i]);
	free(t->names);
	free(t->server_dn);
	free(t->pins);
}

static void
servers_free(struct server *servers, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		free(servers[i].text);
		free(servers[i].host);
		free(servers[i].sni);
		target_fini(&servers[i].target);
	}
	free(servers);
}

static void
tls_settings_fini(struct tls_settings *t)
{
	free(t->ciphers);
	free(t->ciphersuites);
	free(t->groups);
}

void
endpoint_free(struct endpoint *e)
{
	size_t i;

	if (e == NULL)
		return;
	servers_free(e->servers, e->nservers);
	for (i = 0; i < e->nlabels; i++) {
		free(e->labels[i].name);
		free(e->labels[i].value);
	}
	free(e->labels);
	trust_free(e->trust);
	trust_free(e->client_trust);
	keypair_release(e->identity);
	keypair_release(e->client_keypair);
	tls_settings_fini(&e->tls);
	tls_settings_fini(&e->client_tls);
	free(e->allow.list);
	free(e->deny.list);
	free(e->proxy_accept.list);
	free(e->listens);
	options_free(e);
	free(e->name);
	free(e->file);
	free(e);
}
