/*
 * What `dbtls check --json` says to scripts: the same, as one document.
 */
#include <string.h>

#include "conf/json.h"
#include "conf/rsakey.h"
#include "proxy/commands/check.h"
#include "proxy/commands/facts.h"

static void
json_list(struct json *j, const char *key, const char *list, char separator)
{
	const char stop[2] = { separator, '\0' };
	char word[128];
	size_t len;

	json_array(j, key);
	for (; *list != '\0'; list += len) {
		list += *list == separator;
		len = strcspn(list, stop);
		(void)snprintf(word, sizeof(word), "%.*s", (int)len, list);
		if (len > 0)
			json_string(j, NULL, word);
	}
	json_end_array(j);
}

static void
json_tls(struct json *j, const struct tls_effective *t)
{
	json_object(j, "tls");
	json_list(j, "versions", t->versions, ' ');
	json_int(j, "seclevel", t->seclevel);
	json_bool(j, "legacy", t->legacy);
	json_list(j, "ciphers", t->ciphers, ':');
	json_list(j, "groups", t->groups, ':');
	json_bool(j, "resumption", t->resumes);
	json_end_object(j);
}

static void
json_certs(struct json *j, const char *key, const struct anchors *a)
{
	int i;

	json_array(j, key);
	for (i = 0; a != NULL && i < sk_X509_num(a->certs); i++)
		facts_json_cert(j, NULL, sk_X509_value(a->certs, i));
	json_end_array(j);
}

static void
json_crls(struct json *j, const struct anchors *a)
{
	char issuer[256], next[CERT_TIME_MAX];
	X509_CRL *crl;
	int i;

	json_array(j, "crls");
	for (i = 0; a != NULL && i < sk_X509_CRL_num(a->crls); i++) {
		crl = sk_X509_CRL_value(a->crls, i);
		cert_name_text(X509_CRL_get_issuer(crl), issuer,
		    sizeof(issuer));
		cert_time_text(X509_CRL_get0_nextUpdate(crl), next);
		json_object(j, NULL);
		json_string(j, "issuer", issuer);
		json_string(j, "next_update", next[0] == '\0' ? NULL : next);
		json_end_object(j);
	}
	json_end_array(j);
}

static void
json_server(struct json *j, const struct endpoint *e, const struct server *s)
{
	const struct target *t = &s->target;
	bool named = e->mode == SSL_MODE_VERIFY_FULL && t->server_dn == NULL;
	char pin[CHECK_PIN_MAX], text[CIDR_TEXT_MAX];
	size_t i;

	json_object(j, NULL);
	json_string(j, "address", s->text);
	json_string(j, "host", s->host);
	json_string(j, "network",
	    s->is_network ? cidr_format(&s->network, text, sizeof(text))
			  : NULL);
	json_int(j, "port", s->port);
	json_array(j, "names");
	for (i = 0; named && i < t->nnames; i++)
		json_string(j, NULL, t->names[i]);
	json_end_array(j);
	json_string(j, "server_dn", t->server_dn);
	json_array(j, "pins");
	for (i = 0; i < t->npins; i++) {
		check_pin_text(t->pins[i], pin);
		json_string(j, NULL, pin);
	}
	json_end_array(j);
	json_string(j, "sni", e->mode == SSL_MODE_NONE ? NULL : s->sni);
	json_end_object(j);
}

static void
json_cidrs(struct json *j, const char *key, const struct cidr_list *l)
{
	char text[CIDR_TEXT_MAX];
	size_t i;

	json_array(j, key);
	for (i = 0; i < l->n; i++)
		json_string(j, NULL,
		    cidr_format(&l->list[i], text, sizeof(text)));
	json_end_array(j);
}

static void
json_client_leg(struct json *j, const struct checked *k)
{
	const struct endpoint *e = k->e;
	char at[ADDRESS_TEXT_MAX];
	size_t i;

	json_array(j, "listen");
	for (i = 0; i < e->nlistens; i++)
		json_string(j, NULL,
		    address_format(&e->listens[i], at, sizeof(at)));
	json_end_array(j);
	json_cidrs(j, "proxy_protocol_accept", &e->proxy_accept);
	json_cidrs(j, "allow", &e->allow);
	json_cidrs(j, "deny", &e->deny);
	json_object(j, "client");
	json_string(j, "leg", endpoint_client_leg(e));
	json_string(j, "verify", check_client_verify(e));
	if (k->tls[LEG_CLIENT]) {
		facts_json_cert(j, "certificate", e->client_keypair->leaf);
		json_certs(j, "anchors",
		    e->client_trust == NULL ? NULL : e->client_trust->anchors);
		json_tls(j, &k->effective[LEG_CLIENT]);
	}
	json_end_object(j);
}

/* Which listen address stands for which server, where they do. */
static void
json_pairs(struct json *j, const struct endpoint *e)
{
	char at[ADDRESS_TEXT_MAX];
	size_t i;

	json_array(j, "pairs");
	for (i = 0; endpoint_pairs(e) && i < e->nlistens; i++) {
		json_object(j, NULL);
		json_string(j, "listen",
		    address_format(&e->listens[i], at, sizeof(at)));
		json_string(j, "server", e->servers[i].text);
		json_end_object(j);
	}
	json_end_array(j);
}

static void
json_server_leg(struct json *j, const struct checked *k)
{
	const struct endpoint *e = k->e;
	size_t i;

	json_array(j, "servers");
	for (i = 0; i < e->nservers; i++)
		json_server(j, e, &e->servers[i]);
	json_end_array(j);
	json_pairs(j, e);
	json_string(j, "ssl_mode", ssl_mode_name(e->mode));
	if (!k->tls[LEG_SERVER])
		return;
	json_certs(j, "anchors", e->trust->anchors);
	json_crls(j, e->trust->anchors);
	json_string(j, "x509_profile",
	    e->trust->profile == X509_PROFILE_WEBPKI ? "webpki" : "default");
	json_bool(j, "allow_cn", e->trust->allow_cn);
	if (e->identity != NULL)
		facts_json_cert(j, "identity", e->identity->leaf);
	json_tls(j, &k->effective[LEG_SERVER]);
}

static void
json_changed(const char *name, const char *value, void *arg)
{
	struct json *j = arg;
	size_t len = strlen(value);
	char word[128];

	if (value[0] != '"') {
		json_string(j, name, value);
		return;
	}
	(void)snprintf(word, sizeof(word), "%.*s", (int)len - 2, value + 1);
	json_string(j, name, word);
}

/* A file is known by its path, and a key by its fingerprint besides. */
static void
json_file(struct json *j, const char *name, const char *path,
    const uint8_t *sha256)
{
	json_object(j, name);
	json_string(j, "file", path);
	if (sha256 != NULL)
		json_hex(j, "sha256", sha256, RSAKEY_DIGEST_LEN);
	json_end_object(j);
}

static void
json_option_file(struct json *j, const struct neg_option *o, const char *at)
{
	uint8_t sha256[RSAKEY_DIGEST_LEN];
	struct neg_file f;
	struct rd pem;

	memcpy(&f, at, sizeof(f));
	pem = (struct rd){ .at = f.bytes, .left = f.len };
	if (f.path == NULL)
		json_null(j, o->name);
	else if (o->kind == NEG_OPTION_RSA_PUBLIC &&
	    rsakey_public_sha256(pem, sha256))
		json_file(j, o->name, f.path, sha256);
	else
		json_file(j, o->name, f.path, NULL);
}

static void
json_option_key(struct json *j, const struct neg_option *o, const char *at)
{
	struct rsakey *key;

	memcpy(&key, at, sizeof(struct rsakey *));
	if (key == NULL)
		json_null(j, o->name); /* one is made at start */
	else
		json_file(j, o->name, rsakey_path(key), rsakey_sha256(key));
}

static void
json_option_hosts(struct json *j, const struct neg_option *o, const char *at)
{
	struct neg_hosts h;
	size_t i;

	memcpy(&h, at, sizeof(h));
	json_array(j, o->name);
	for (i = 0; i < h.n; i++)
		json_string(j, NULL, h.list[i]);
	json_end_array(j);
}

static void
json_engine_option(struct json *j, const struct neg_option *o, const char *at)
{
	unsigned count;
	int index;
	bool is;

	switch (o->kind) {
	case NEG_OPTION_CHOICE:
		memcpy(&index, at, sizeof(index));
		json_string(j, o->name, o->choices[index]);
		return;
	case NEG_OPTION_BOOL:
		memcpy(&is, at, sizeof(is));
		json_bool(j, o->name, is);
		return;
	case NEG_OPTION_COUNT:
		memcpy(&count, at, sizeof(count));
		json_int(j, o->name, count);
		return;
	case NEG_OPTION_HOSTS:
		json_option_hosts(j, o, at);
		return;
	case NEG_OPTION_SECRETS:
	case NEG_OPTION_RSA_PUBLIC:
		json_option_file(j, o, at);
		return;
	case NEG_OPTION_RSA_PRIVATE:
		json_option_key(j, o, at);
		return;
	}
}

static void
json_engine_options(struct json *j, const struct endpoint *e)
{
	const struct neg_option *o;

	json_object(j, "options");
	for (o = e->ops->options; o != NULL && o->name != NULL; o++)
		json_engine_option(j, o, (const char *)e->options + o->offset);
	json_end_object(j);
}

static void
json_ktls(struct json *j, const struct ktls_support *ktls)
{
	char suites[KTLS_SUITES_MAX];

	if (ktls == NULL)
		return;
	json_object(j, "ktls");
	json_string(j, "suites",
	    ktls->suites == 0 ? NULL : ktls_suites_text(ktls->suites, suites));
	json_string(j, "why_not", ktls->suites == 0 ? ktls->why : NULL);
	json_end_object(j);
}

static void
json_dms(struct json *j, const struct endpoint *e)
{
	const struct dms_support *dms = dms_support(e->ops);

	json_bool(j, "dms_alone", dms != NULL && dms->modes[e->mode]);
	json_string(j, "dms_note",
	    dms == NULL ? "it has no such engine" : dms->note);
}

static void
json_endpoint(struct json *j, const struct checked *k)
{
	const struct endpoint *e = k->e;
	char source[ADDRESS_TEXT_MAX];
	size_t i;

	json_object(j, NULL);
	json_string(j, "name", e->name);
	json_string(j, "engine", e->ops->name);
	json_string(j, "file", e->file);
	json_int(j, "line", e->line);
	json_bool(j, "legacy", k->legacy);
	json_client_leg(j, k);
	json_server_leg(j, k);
	json_string(j, "source",
	    e->source_client ? "client"
		: e->source.len == 0
		? NULL
		: address_format(&e->source, source, sizeof(source)));
	json_ktls(j, k->ktls);
	json_engine_options(j, e);
	json_object(j, "settings");
	endpoint_each_changed(e, json_changed, j);
	json_end_object(j);
	json_object(j, "labels");
	for (i = 0; i < e->nlabels; i++)
		json_string(j, e->labels[i].name, e->labels[i].value);
	json_end_object(j);
	json_dms(j, e);
	json_end_object(j);
}

static void
json_problems(struct json *j, const char *key, const struct problems *p,
    bool warnings)
{
	size_t i;

	json_array(j, key);
	for (i = 0; i < p->n; i++) {
		if (p->list[i].warning != warnings)
			continue;
		json_object(j, NULL);
		json_string(j, "file", p->list[i].file);
		json_int(j, "line", p->list[i].line);
		json_string(j, "path", p->list[i].path);
		json_string(j, "text", p->list[i].text);
		json_end_object(j);
	}
	json_end_array(j);
}

static void
json_privileges(struct json *j, const struct privileges_plan *plan)
{
	json_object(j, "privileges");
	json_string(j, "user", plan->user);
	if (plan->user != NULL)
		json_int(j, "uid", plan->uid);
	json_string(j, "capabilities", check_capabilities(plan));
	json_bool(j, "no_new_privileges", true);
	json_bool(j, "core_dumps", false);
	json_end_object(j);
}

void
check_print_json(FILE *to, const char *file, const struct config *c,
    const struct privileges_plan *plan, const struct checked *list,
    const struct problems *p)
{
	struct json j;
	size_t i;

	json_begin(&j, to);
	json_object(&j, NULL);
	json_string(&j, "file", file);
	json_bool(&j, "good", c != NULL);
	json_problems(&j, "errors", p, false);
	json_problems(&j, "warnings", p, true);
	if (c != NULL) {
		json_string(&j, "sha256", c->sha256);
		json_int(&j, "threads", c->threads);
		json_privileges(&j, plan);
		json_array(&j, "endpoints");
		for (i = 0; i < c->nendpoints; i++)
			json_endpoint(&j, &list[i]);
		json_end_array(&j);
	}
	json_end_object(&j);
	json_finish(&j);
}
