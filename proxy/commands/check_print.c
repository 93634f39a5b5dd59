/*
 * What `dbtls check` says to people: a paragraph for each endpoint.
 */
#include <stdarg.h>
#include <string.h>

#include "conf/rsakey.h"
#include "proxy/commands/check.h"

#define LABEL_WIDTH      10
#define INDENT           (2 + LABEL_WIDTH + 1)
#define LINE_WIDTH       79
#define SETTING_TEXT_MAX 160 /* "timeouts.idle=600" */
#define SERVER_TEXT_MAX  (HOST_MAX + sizeof("[]:65535"))
/* More anchors than these are counted, and only the first of them shown. */
#define ANCHORS_ALL   20
#define ANCHORS_FIRST 3

static void row(FILE *to, const char *label, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* "  label      text": the label is "" where a row goes on. */
static void
row(FILE *to, const char *label, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(to, "  %-*s ", LABEL_WIDTH, label);
	va_start(ap, fmt);
	(void)vfprintf(to, fmt, ap);
	va_end(ap);
	(void)fputc('\n', to);
}

/* A row of words, as many on a line as there is room for. */
struct words_row {
	FILE *to;
	const char *label;
	size_t column; /* 0: nothing yet */
};

static void
words_add(struct words_row *w, const char *word, size_t len)
{
	if (w->column == 0) {
		(void)fprintf(w->to, "  %-*s ", LABEL_WIDTH, w->label);
		w->column = INDENT;
	} else if (w->column + 1 + len > LINE_WIDTH) {
		(void)fprintf(w->to, "\n%*s", INDENT, "");
		w->column = INDENT;
	} else {
		(void)fputc(' ', w->to);
		w->column++;
	}
	(void)fwrite(word, 1, len, w->to);
	w->column += len;
}

static void
words_end(struct words_row *w)
{
	if (w->column != 0)
		(void)fputc('\n', w->to);
}

/* A list such as OpenSSL writes, with ':' between. */
static void
row_list(FILE *to, const char *label, const char *list)
{
	struct words_row w = { .to = to, .label = label };
	size_t len;

	for (; *list != '\0'; list += len) {
		list += *list == ':';
		len = strcspn(list, ":");
		words_add(&w, list, len);
	}
	words_end(&w);
}

/* The first leg of those shown so far that has the same ciphers. */
static const struct checked *
same_ciphers(const struct checked *list, const struct checked *k,
    enum leg_id leg, enum leg_id *where)
{
	const char *ciphers = k->effective[leg].ciphers;
	const struct checked *at;
	size_t i;

	for (at = list; at <= k; at++) {
		for (i = 0; i < LEG_COUNT; i++) {
			*where = (enum leg_id)i;
			if (at == k && i == (size_t)leg)
				return NULL;
			if (at->tls[i] &&
			    strcmp(at->effective[i].ciphers, ciphers) == 0)
				return at;
		}
	}
	return NULL;
}

static void
print_tls(FILE *to, const struct checked *list, const struct checked *k,
    enum leg_id leg)
{
	const struct tls_effective *t = &k->effective[leg];
	const struct checked *same;
	enum leg_id where;

	row(to, "TLS", "%s, security level %d%s", t->versions, t->seclevel,
	    t->legacy ? "  LEGACY" : "");
	same = same_ciphers(list, k, leg, &where);
	if (same == NULL)
		row_list(to, "ciphers", t->ciphers);
	else
		row(to, "ciphers", "as %s %s",
		    where == LEG_CLIENT ? "for clients of"
					: "toward the server of",
		    same == k ? "this endpoint" : same->e->name);
	row_list(to, "groups", t->groups);
	row(to, "resumption", "%s",
	    t->resumes ? "while the certificate is good" : "off");
}

static void
print_fingerprint(FILE *to, const char *label, const uint8_t *digest)
{
	char hex[CERT_DIGEST_LEN * 2 + 1];
	size_t i;

	for (i = 0; i < CERT_DIGEST_LEN; i++)
		(void)snprintf(hex + i * 2, 3, "%02x", digest[i]);
	row(to, label, "%s", hex);
}

static void
print_cert(FILE *to, const char *label, X509 *cert)
{
	struct cert_facts f;

	cert_facts(cert, &f);
	row(to, label, "%s, until %s", f.subject, f.not_after);
	print_fingerprint(to, "", f.sha256);
}

static void
print_anchors(FILE *to, const char *label, const struct anchors *a)
{
	int i, n = sk_X509_num(a->certs);
	int shown = n > ANCHORS_ALL ? ANCHORS_FIRST : n;

	if (n != 1)
		row(to, label, "%d certificates", n);
	for (i = 0; i < shown; i++)
		print_cert(to, n == 1 ? label : "", sk_X509_value(a->certs, i));
	if (shown < n)
		row(to, "", "and %d more; --json shows them all", n - shown);
}

static void
print_crls(FILE *to, const struct anchors *a)
{
	char issuer[256], next[CERT_TIME_MAX];
	X509_CRL *crl;
	int i;

	for (i = 0; i < sk_X509_CRL_num(a->crls); i++) {
		crl = sk_X509_CRL_value(a->crls, i);
		cert_name_text(X509_CRL_get_issuer(crl), issuer,
		    sizeof(issuer));
		cert_time_text(X509_CRL_get0_nextUpdate(crl), next);
		row(to, i == 0 ? "CRLs" : "", "%s, next update %s", issuer,
		    next[0] == '\0' ? "never" : next);
	}
}

static void
print_target(FILE *to, const struct endpoint *e, const struct target *t)
{
	char pin[CHECK_PIN_MAX];
	size_t i;

	if (e->mode == SSL_MODE_VERIFY_FULL && t->server_dn != NULL)
		row(to, "", "subject   %s", t->server_dn);
	else if (e->mode == SSL_MODE_VERIFY_FULL)
		for (i = 0; i < t->nnames; i++)
			row(to, "", "%-9s %s", i == 0 ? "name" : "  or",
			    t->names[i]);
	for (i = 0; i < t->npins; i++) {
		check_pin_text(t->pins[i], pin);
		row(to, "", "%-9s %s", i == 0 ? "pin" : "  or", pin);
	}
}

static const char *
server_text(const struct server *s, char *text, size_t size)
{
	char network[CIDR_TEXT_MAX];

	if (s->is_network) {
		(void)snprintf(text, size,
		    cidr_is_v4(&s->network) ? "%s:%u" : "[%s]:%u",
		    cidr_format(&s->network, network, sizeof(network)),
		    s->port);
		return text;
	}
	if (s->host == NULL)
		return s->text;
	(void)snprintf(text, size, strchr(s->host, ':') ? "[%s]:%u" : "%s:%u",
	    s->host, s->port);
	return text;
}

static void
print_servers(FILE *to, const struct endpoint *e)
{
	char text[SERVER_TEXT_MAX];
	size_t i;

	for (i = 0; i < e->nservers; i++) {
		const struct server *s = &e->servers[i];

		row(to, i == 0 ? "server" : "", "%s",
		    server_text(s, text, sizeof(text)));
		if (e->mode == SSL_MODE_NONE)
			continue;
		print_target(to, e, &s->target);
		row(to, "", "%-9s %s", "SNI", s->sni != NULL ? s->sni : "none");
	}
}

static void
print_server_leg(FILE *to, const struct checked *list, const struct checked *k)
{
	const struct endpoint *e = k->e;

	row(to, "ssl_mode", "%s: %s", ssl_mode_name(e->mode),
	    check_server_leg(e));
	print_servers(to, e);
	if (!k->tls[LEG_SERVER])
		return;
	if (e->trust->anchors != NULL) {
		print_anchors(to, "anchors", e->trust->anchors);
		print_crls(to, e->trust->anchors);
	}
	if (e->trust->profile == X509_PROFILE_WEBPKI)
		row(to, "profile", "webpki");
	if (e->identity != NULL)
		print_cert(to, "identity", e->identity->leaf);
	print_tls(to, list, k, LEG_SERVER);
}

static void
print_listens(FILE *to, const struct endpoint *e)
{
	char at[ADDRESS_TEXT_MAX], text[SERVER_TEXT_MAX];
	bool pairs = endpoint_pairs(e);
	size_t i;

	for (i = 0; i < e->nlistens; i++)
		row(to, i == 0 ? "listen" : "", "%s%s%s",
		    address_format(&e->listens[i], at, sizeof(at)),
		    pairs ? ", which stands for " : "",
		    pairs ? server_text(&e->servers[i], text, sizeof(text))
			  : "");
}

static void
print_cidrs(FILE *to, const char *label, const struct cidr_list *l)
{
	struct words_row w = { .to = to, .label = label };
	char text[CIDR_TEXT_MAX];
	size_t i;

	for (i = 0; i < l->n; i++) {
		(void)cidr_format(&l->list[i], text, sizeof(text));
		words_add(&w, text, strlen(text));
	}
	words_end(&w);
}

/* What is listened for there; and that it comes is not ours to know. */
static void
print_transparent(FILE *to, const struct endpoint *e)
{
	if (e->transparent == TRANSPARENT_OFF)
		return;
	row(to, "", "for connections to its servers, by %s",
	    e->transparent == TRANSPARENT_REDIRECT ? "REDIRECT" : "TPROXY");
	row(to, "",
	    "(not known here: whether the rules of the kernel do so; "
	    "see");
	row(to, "", "`dbtls bridge rules`)");
}

static void
print_client_leg(FILE *to, const struct checked *list, const struct checked *k)
{
	const struct endpoint *e = k->e;
	struct cert_facts f;

	print_listens(to, e);
	print_transparent(to, e);
	row(to, "clients", "%s%s", endpoint_client_leg(e),
	    endpoint_is_local(e)  ? ", from this machine only"
		: e->allow.n == 0 ? ", from wherever it is reached"
				  : "");
	print_cidrs(to, "PROXY from", &e->proxy_accept);
	print_cidrs(to, "allow", &e->allow);
	print_cidrs(to, "deny", &e->deny);
	if (!k->tls[LEG_CLIENT])
		return;
	cert_facts(e->client_keypair->leaf, &f);
	print_cert(to, "shown", e->client_keypair->leaf);
	row(to, "", "%-9s %s", "names", f.names);
	row(to, "verify", "%s", check_client_verify(e));
	if (e->client_trust != NULL && e->client_trust->anchors != NULL)
		print_anchors(to, "their CAs", e->client_trust->anchors);
	print_tls(to, list, k, LEG_CLIENT);
}

/* What is shown elsewhere is not shown again. */
static bool
is_shown(const char *name)
{
	return strcmp(name, "client_tls.mode") == 0 ||
	    strcmp(name, "client_tls.verify") == 0 ||
	    strcmp(name, "transparent") == 0 ||
	    strcmp(name, "tls.seclevel") == 0;
}

static void
print_changed(const char *name, const char *value, void *arg)
{
	struct words_row *w = arg;
	char text[SETTING_TEXT_MAX];

	if (is_shown(name))
		return;
	(void)snprintf(text, sizeof(text), "%s=%s", name, value);
	words_add(w, text, strlen(text));
}

static void
print_option_file(FILE *to, const char *label, const struct neg_option *o,
    const char *at)
{
	uint8_t sha256[RSAKEY_DIGEST_LEN];
	struct neg_file f;
	struct rd pem;

	memcpy(&f, at, sizeof(f));
	pem = (struct rd){ .at = f.bytes, .left = f.len };
	if (f.path == NULL) {
		row(to, label, "%s: none", o->name);
		return;
	}
	row(to, label, "%s = \"%s\"", o->name, f.path);
	if (o->kind == NEG_OPTION_RSA_PUBLIC &&
	    rsakey_public_sha256(pem, sha256))
		print_fingerprint(to, "", sha256);
}

static void
print_option_key(FILE *to, const char *label, const struct neg_option *o,
    const char *at)
{
	struct rsakey *key;

	memcpy(&key, at, sizeof(struct rsakey *));
	if (key == NULL) {
		row(to, label,
		    "%s: none, one is made at start; the log says which",
		    o->name);
		return;
	}
	row(to, label, "%s = \"%s\"", o->name, rsakey_path(key));
	print_fingerprint(to, "", rsakey_sha256(key));
}

static void
print_option_hosts(FILE *to, const char *label, const struct neg_option *o,
    const char *at)
{
	struct neg_hosts h;
	size_t i;

	memcpy(&h, at, sizeof(h));
	if (h.n == 0)
		row(to, label, "%s: none", o->name);
	for (i = 0; i < h.n; i++)
		row(to, i == 0 ? label : "", "%s \"%s\"",
		    i == 0 ? o->name : "and", h.list[i]);
}

static void
print_engine_option(FILE *to, const char *label, const struct neg_option *o,
    const char *at)
{
	unsigned count;
	int index;
	bool is;

	switch (o->kind) {
	case NEG_OPTION_CHOICE:
		memcpy(&index, at, sizeof(index));
		row(to, label, "%s = \"%s\"", o->name, o->choices[index]);
		return;
	case NEG_OPTION_BOOL:
		memcpy(&is, at, sizeof(is));
		row(to, label, "%s = %s", o->name, is ? "true" : "false");
		return;
	case NEG_OPTION_COUNT:
		memcpy(&count, at, sizeof(count));
		row(to, label, "%s = %u", o->name, count);
		return;
	case NEG_OPTION_HOSTS:
		print_option_hosts(to, label, o, at);
		return;
	case NEG_OPTION_SECRETS:
	case NEG_OPTION_RSA_PUBLIC:
		print_option_file(to, label, o, at);
		return;
	case NEG_OPTION_RSA_PRIVATE:
		print_option_key(to, label, o, at);
		return;
	}
}

static void
print_engine_options(FILE *to, const struct endpoint *e)
{
	const struct neg_option *o;

	if (e->options == NULL)
		return;
	for (o = e->ops->options; o->name != NULL; o++)
		print_engine_option(to,
		    o == e->ops->options ? protocol_group(e->ops) : "", o,
		    (const char *)e->options + o->offset);
}

static void
print_labels(FILE *to, const struct endpoint *e)
{
	size_t i;

	for (i = 0; i < e->nlabels; i++)
		row(to, i == 0 ? "labels" : "", "%s=%s", e->labels[i].name,
		    e->labels[i].value);
}

/* Where it is asked for, and can be of any use. */
static void
print_ktls(FILE *to, const struct checked *k)
{
	char suites[KTLS_SUITES_MAX];

	if (k->ktls == NULL)
		return;
	if (k->ktls->suites == 0)
		row(to, "kernel TLS", "not used: %s", k->ktls->why);
	else
		row(to, "kernel TLS", "for TLS 1.3 with %s",
		    ktls_suites_text(k->ktls->suites, suites));
}

static void
print_dms(FILE *to, const struct endpoint *e)
{
	const struct dms_support *dms = dms_support(e->ops);

	if (dms == NULL)
		row(to, "DMS alone", "no: it has no such engine");
	else
		row(to, "DMS alone", "%s%s%s",
		    dms->modes[e->mode] ? "yes" : "no",
		    dms->note != NULL ? ": " : "",
		    dms->note != NULL ? dms->note : "");
}

static void
print_endpoint(FILE *to, const struct checked *list, const struct checked *k)
{
	struct words_row changed = { .to = to, .label = "settings" };
	char source[ADDRESS_TEXT_MAX];
	const struct endpoint *e = k->e;

	(void)fprintf(to, "\n%s (%s)%s\n", e->name, e->ops->name,
	    k->legacy ? "  LEGACY" : "");
	print_client_leg(to, list, k);
	print_server_leg(to, list, k);
	if (e->source_client)
		row(to, "source", "the client's own address");
	if (e->source.len != 0)
		row(to, "source", "%s",
		    address_format(&e->source, source, sizeof(source)));
	print_ktls(to, k);
	print_engine_options(to, e);
	endpoint_each_changed(e, print_changed, &changed);
	words_end(&changed);
	print_labels(to, e);
	print_dms(to, e);
}

static void
print_warnings(FILE *to, const struct problems *p)
{
	if (p->n == 0)
		return;
	(void)fputc('\n', to);
	problems_print(p, to);
}

static void
print_privileges(FILE *to, const struct privileges_plan *plan)
{
	if (plan->user != NULL)
		row(to, "user", "%s (uid %u), once it listens", plan->user,
		    (unsigned)plan->uid);
	else
		row(to, "user", "whoever starts it");
	row(to, "privileges",
	    "capabilities: %s%s; no new privileges, no core dumps",
	    check_capabilities(plan),
	    plan->user == NULL ? " (root keeps all)" : "");
}

void
check_print(FILE *to, const struct config *c,
    const struct privileges_plan *plan, const struct checked *list,
    const struct problems *p)
{
	size_t i;

	(void)fprintf(to,
	    "%s: good; %zu endpoint%s, %u thread%s, %zu "
	    "warning%s\n",
	    c->file, c->nendpoints, c->nendpoints == 1 ? "" : "s", c->threads,
	    c->threads == 1 ? "" : "s", p->n, p->n == 1 ? "" : "s");
	print_privileges(to, plan);
	for (i = 0; i < c->nendpoints; i++)
		print_endpoint(to, list, &list[i]);
	print_warnings(to, p);
}
