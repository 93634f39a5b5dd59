#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "conf/certfile.h"
#include "conf/trust.h"

#define IPV4_LEN     4
#define IPV6_LEN     16
#define WILDCARD_MIN 3   /* "*.x" */
#define CN_MAX       255 /* longer ones are no host names */
#define ONE_NAME     128 /* of the names listed in a message, each */
#define ATTR_MAX     64
#define RDN_MAX      32
#define VALUE_MAX    512
#define LIST_MORE    ", ..."

/*
 * Host names and addresses
 */

/* What is asked for: a host name, or an address. */
struct reference {
	const char *host;
	size_t len;
	uint8_t ip[IPV6_LEN];
	size_t ip_len; /* 0: it is a host name */
};

static size_t
ip_parse(const char *text, uint8_t ip[IPV6_LEN])
{
	if (inet_pton(AF_INET, text, ip) == 1)
		return IPV4_LEN;
	if (inet_pton(AF_INET6, text, ip) == 1)
		return IPV6_LEN;
	return 0;
}

static struct reference
reference_make(const char *name)
{
	struct reference r = { .host = name, .len = strlen(name) };

	r.ip_len = ip_parse(name, r.ip);
	/* The dot that says "this name is absolute" is no part of it. */
	if (r.len > 1 && name[r.len - 1] == '.')
		r.len--;
	return r;
}

/* Not strncasecmp(): names are ASCII whatever the locale. */
static bool
ascii_equal(const char *a, const char *b, size_t len)
{
	unsigned char x, y;
	size_t i;

	for (i = 0; i < len; i++) {
		x = (unsigned char)a[i];
		y = (unsigned char)b[i];
		if (x >= 'A' && x <= 'Z')
			x = (unsigned char)(x - 'A' + 'a');
		if (y >= 'A' && y <= 'Z')
			y = (unsigned char)(y - 'A' + 'a');
		if (x != y)
			return false;
	}
	return true;
}

/* "*.rest" stands for exactly one label more than "rest"; there is no '*' in
 * what is asked for, so none in "rest" will do.  `strict` is the rule of public
 * CAs besides: "rest" must have two labels or more. */
static bool
wildcard_matches(const char *pattern, size_t len, const struct reference *r,
    bool strict)
{
	const char *rest = pattern + 1, *tail;
	size_t rest_len = len - 1, tail_len;

	if (len < WILDCARD_MIN || pattern[1] != '.')
		return false;
	if (strict && memchr(rest + 1, '.', rest_len - 1) == NULL)
		return false;
	tail = memchr(r->host, '.', r->len);
	if (tail == NULL || tail == r->host)
		return false;
	tail_len = r->len - (size_t)(tail - r->host);
	return tail_len == rest_len && ascii_equal(tail, rest, rest_len);
}

static bool
host_matches(const char *pattern, size_t len, const struct reference *r,
    bool strict)
{
	if (len == 0 || memchr(r->host, '*', r->len) != NULL)
		return false;
	if (pattern[0] == '*')
		return wildcard_matches(pattern, len, r, strict);
	return len == r->len && ascii_equal(pattern, r->host, len);
}

/*
 * What a certificate carries
 */

struct carried {
	GENERAL_NAMES *sans; /* NULL: none, or not readable */
	bool any_san;        /* the extension is there, readable or not */
	bool unreadable;
	bool has_dns;
	bool has_nul;        /* some name has a NUL inside, as forgeries do */
	char cn[CN_MAX + 1]; /* the first one, as libpq takes it; "" if none */
};

static const char *
san_text(const GENERAL_NAME *san, size_t *len)
{
	*len = (size_t)ASN1_STRING_length(san->d.ia5);
	return (const char *)ASN1_STRING_get0_data(san->d.ia5);
}

static void
carried_cn(struct carried *c, X509 *leaf)
{
	const X509_NAME *subject = X509_get_subject_name(leaf);
	const X509_NAME_ENTRY *entry;
	unsigned char *utf8 = NULL;
	int at, len;

	at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (at < 0)
		return;
	entry = X509_NAME_get_entry(subject, at);
	len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
	if (len > 0 && memchr(utf8, '\0', (size_t)len) != NULL)
		c->has_nul = true;
	else if (len > 0 && len <= CN_MAX)
		memcpy(c->cn, utf8, (size_t)len);
	OPENSSL_free(utf8);
}

static void
carried_init(struct carried *c, X509 *leaf)
{
	const GENERAL_NAME *san;
	const char *text;
	size_t len;
	int i, found = -1;

	*c = (struct carried){ .sans = NULL };
	c->sans = X509_get_ext_d2i(leaf, NID_subject_alt_name, &found, NULL);
	c->any_san = found != -1; /* -1 says that there is none */
	c->unreadable = c->any_san && c->sans == NULL;
	for (i = 0; i < sk_GENERAL_NAME_num(c->sans); i++) {
		san = sk_GENERAL_NAME_value(c->sans, i);
		if (san->type != GEN_DNS)
			continue;
		c->has_dns = true;
		text = san_text(san, &len);
		if (memchr(text, '\0', len) != NULL)
			c->has_nul = true;
	}
	carried_cn(c, leaf);
}

static void
carried_fini(struct carried *c)
{
	GENERAL_NAMES_free(c->sans);
}

static bool
san_format(const GENERAL_NAME *san, char *text, size_t size)
{
	const unsigned char *bytes;
	const char *name;
	size_t len;

	if (san->type == GEN_DNS) {
		name = san_text(san, &len);
		(void)cert_text_escape(name, len, text, size);
		return true;
	}
	if (san->type != GEN_IPADD)
		return false;
	bytes = ASN1_STRING_get0_data(san->d.iPAddress);
	len = (size_t)ASN1_STRING_length(san->d.iPAddress);
	return (len == IPV4_LEN || len == IPV6_LEN) &&
	    inet_ntop(len == IPV4_LEN ? AF_INET : AF_INET6, bytes, text,
		(socklen_t)size) != NULL;
}

/* Adds one name to a list; false when the list is full, and says so there. */
static bool
list_add(char *text, size_t size, const char *name)
{
	size_t used = strlen(text), need = strlen(name) + (used > 0 ? 2 : 0);

	if (used + need + strlen(LIST_MORE) >= size) {
		if (used + strlen(LIST_MORE) < size)
			memcpy(text + used, LIST_MORE, sizeof(LIST_MORE));
		return false;
	}
	(void)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "",
	    name);
	return true;
}

static void
carried_list(const struct carried *c, char *text, size_t size)
{
	char one[ONE_NAME + 8], cn[ONE_NAME];
	int i;

	text[0] = '\0';
	for (i = 0; i < sk_GENERAL_NAME_num(c->sans); i++) {
		if (san_format(sk_GENERAL_NAME_value(c->sans, i), one,
			sizeof(one)) &&
		    !list_add(text, size, one))
			return;
	}
	if (c->has_dns || c->cn[0] == '\0')
		return;
	(void)cert_text_escape(c->cn, strlen(c->cn), cn, sizeof(cn));
	(void)snprintf(one, sizeof(one), "CN=%s", cn);
	(void)list_add(text, size, one);
}

void
cert_names_text(X509 *cert, char *text, size_t size)
{
	struct carried c;

	carried_init(&c, cert);
	carried_list(&c, text, size);
	carried_fini(&c);
}

/*
 * Does one match?
 */

static bool
san_matches(const GENERAL_NAME *san, const struct reference *r, bool strict)
{
	const char *text;
	size_t len;

	if (r->ip_len != 0)
		return san->type == GEN_IPADD &&
		    ASN1_STRING_length(san->d.iPAddress) == (int)r->ip_len &&
		    memcmp(ASN1_STRING_get0_data(san->d.iPAddress), r->ip,
			r->ip_len) == 0;
	if (san->type != GEN_DNS)
		return false;
	text = san_text(san, &len);
	return host_matches(text, len, r, strict);
}

/* The CN stands in for a host name where there is no dNSName, and for an
 * address only where there is no SAN at all. */
static bool
cn_matches(const struct carried *c, const struct reference *r, bool strict)
{
	uint8_t ip[IPV6_LEN];

	if (c->cn[0] == '\0' || c->unreadable)
		return false;
	if (r->ip_len != 0)
		return !c->any_san && ip_parse(c->cn, ip) == r->ip_len &&
		    memcmp(ip, r->ip, r->ip_len) == 0;
	return !c->has_dns && ip_parse(c->cn, ip) == 0 &&
	    host_matches(c->cn, strlen(c->cn), r, strict);
}

static enum name_source
reference_find(const struct carried *c, const struct reference *r,
    const struct name_rules *rules, char *matched, size_t size)
{
	const GENERAL_NAME *san;
	int i;

	for (i = 0; i < sk_GENERAL_NAME_num(c->sans); i++) {
		san = sk_GENERAL_NAME_value(c->sans, i);
		if (san_matches(san, r, rules->strict) &&
		    san_format(san, matched, size))
			return NAME_FROM_SAN;
	}
	if (!rules->allow_cn || !cn_matches(c, r, rules->strict))
		return NAME_FROM_NOTHING;
	(void)cert_text_escape(c->cn, strlen(c->cn), matched, size);
	return r->ip_len != 0 ? NAME_FROM_CN_ADDRESS : NAME_FROM_CN;
}

static enum name_source
names_find(X509 *leaf, const struct target *target,
    const struct name_rules *rules, char *matched, size_t size)
{
	enum name_source source = NAME_FROM_NOTHING;
	struct reference r;
	struct carried c;
	size_t i;

	carried_init(&c, leaf);
	for (i = 0; i < target->nnames && source == NAME_FROM_NOTHING; i++) {
		/* Whoever puts a NUL into a name means to deceive. */
		if (c.has_nul)
			break;
		r = reference_make(target->names[i]);
		source = reference_find(&c, &r, rules, matched, size);
	}
	if (source == NAME_FROM_NOTHING)
		carried_list(&c, matched, size);
	carried_fini(&c);
	return source;
}

/*
 * Distinguished names
 */

/* The types whose names people write in more ways than OpenSSL knows. */
static const struct {
	const char *word;
	int nid;
} dn_words[] = {
	{ "CN", NID_commonName },
	{ "C", NID_countryName },
	{ "ST", NID_stateOrProvinceName },
	{ "S", NID_stateOrProvinceName },
	{ "L", NID_localityName },
	{ "O", NID_organizationName },
	{ "OU", NID_organizationalUnitName },
	{ "DC", NID_domainComponent },
	{ "UID", NID_userId },
	{ "STREET", NID_streetAddress },
	{ "E", NID_pkcs9_emailAddress },
	{ "EMAIL", NID_pkcs9_emailAddress },
	{ "EMAILADDRESS", NID_pkcs9_emailAddress },
	{ "SERIALNUMBER", NID_serialNumber },
};

static ASN1_OBJECT *
dn_type(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(dn_words) / sizeof(dn_words[0]); i++) {
		if (strcasecmp(word, dn_words[i].word) == 0)
			return OBJ_nid2obj(dn_words[i].nid);
	}
	if (strncasecmp(word, "OID.", 4) == 0)
		word += 4;
	return OBJ_txt2obj(word, 0);
}

static const char *
skip_blanks(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* One character of a value, as RFC 4514 escapes it: "\," or "\2c". */
static const char *
dn_unescape(const char *at, char *out)
{
	int high, low;

	if (*at != '\\') {
		*out = *at;
		return at + 1;
	}
	high = OPENSSL_hexchar2int((unsigned char)at[1]);
	low = high < 0 ? -1 : OPENSSL_hexchar2int((unsigned char)at[2]);
	if (low >= 0) {
		*out = (char)(high * 16 + low);
		return at + 3;
	}
	if (at[1] == '\0')
		return NULL;
	*out = at[1];
	return at + 2;
}

/* "TYPE =", with blanks around; returns what follows, NULL if it is none. */
static const char *
dn_read_type(const char *at, char word[ATTR_MAX])
{
	size_t len;

	at = skip_blanks(at);
	len = strcspn(at, "=,+ \t");
	if (len == 0 || len >= ATTR_MAX)
		return NULL;
	memcpy(word, at, len);
	word[len] = '\0';
	at = skip_blanks(at + len);
	return *at == '=' ? skip_blanks(at + 1) : NULL;
}

/* A value, quoted or not, up to the ',' or '+' behind it, or the end. */
static const char *
dn_read_value(const char *at, char value[VALUE_MAX], size_t *len)
{
	bool quoted = *at == '"', escaped;
	size_t n = 0, keep = 0;

	if (quoted)
		at++;
	while (
	    *at != '\0' && (quoted ? *at != '"' : *at != ',' && *at != '+')) {
		escaped = *at == '\\';
		if (n == VALUE_MAX - 1 ||
		    (at = dn_unescape(at, &value[n])) == NULL)
			return NULL;
		n++;
		/* Blanks at the end count only where they are meant. */
		if (escaped || quoted || value[n - 1] != ' ')
			keep = n;
	}
	if (quoted && *at++ != '"')
		return NULL;
	value[keep] = '\0';
	*len = keep;
	return skip_blanks(at);
}

/* One RDN, which '+' may give several values.  Returns what follows it. */
static const char *
dn_read_rdn(const char *at, X509_NAME *rdn)
{
	char word[ATTR_MAX], value[VALUE_MAX];
	ASN1_OBJECT *type;
	size_t len;
	int ok;

	for (;;) {
		if ((at = dn_read_type(at, word)) == NULL ||
		    (at = dn_read_value(at, value, &len)) == NULL || len == 0 ||
		    (type = dn_type(word)) == NULL)
			return NULL;
		ok = X509_NAME_add_entry_by_OBJ(rdn, type, MBSTRING_UTF8,
		    (unsigned char *)value, (int)len, -1,
		    X509_NAME_entry_count(rdn) == 0 ? 0 : -1);
		ASN1_OBJECT_free(type);
		if (ok != 1)
			return NULL;
		if (*at != '+')
			return at;
		at++;
	}
}

static void
rdns_free(STACK_OF(X509_NAME) *rdns)
{
	sk_X509_NAME_pop_free(rdns, X509_NAME_free);
}

/* A new RDN at the end of the list, owned by it. */
static X509_NAME *
rdns_add(STACK_OF(X509_NAME) *rdns)
{
	X509_NAME *rdn;

	if (sk_X509_NAME_num(rdns) >= RDN_MAX ||
	    (rdn = X509_NAME_new()) == NULL)
		return NULL;
	if (sk_X509_NAME_push(rdns, rdn) > 0)
		return rdn;
	X509_NAME_free(rdn);
	return NULL;
}

static STACK_OF(X509_NAME) *
dn_parse(const char *at)
{
	STACK_OF(X509_NAME) *rdns = sk_X509_NAME_new_null();
	X509_NAME *rdn;

	if (rdns == NULL)
		return NULL;
	do {
		if ((rdn = rdns_add(rdns)) == NULL ||
		    (at = dn_read_rdn(at, rdn)) == NULL)
			goto fail;
	} while (*at++ == ',');
	if (at[-1] == '\0')
		return rdns;
fail:
	rdns_free(rdns);
	return NULL;
}

/* The RDNs of a subject, each as a name of its own. */
static STACK_OF(X509_NAME) *
dn_split(const X509_NAME *subject)
{
	STACK_OF(X509_NAME) *rdns = sk_X509_NAME_new_null();
	const X509_NAME_ENTRY *entry;
	X509_NAME *rdn = NULL;
	int i, set = -1;

	for (i = 0; rdns != NULL && i < X509_NAME_entry_count(subject); i++) {
		entry = X509_NAME_get_entry(subject, i);
		if (rdn == NULL || X509_NAME_ENTRY_set(entry) != set)
			rdn = rdns_add(rdns);
		set = X509_NAME_ENTRY_set(entry);
		if (rdn == NULL ||
		    X509_NAME_add_entry(rdn, entry, -1,
			X509_NAME_entry_count(rdn) == 0 ? 0 : -1) != 1) {
			rdns_free(rdns);
			return NULL;
		}
	}
	return rdns;
}

/* Removes an RDN of the list that equals this one; false if none does.  Case
 * and repeated blanks do not matter, as X.500 has it. */
static bool
rdns_take(STACK_OF(X509_NAME) *rdns, const X509_NAME *rdn)
{
	int i;

	for (i = 0; i < sk_X509_NAME_num(rdns); i++) {
		if (X509_NAME_cmp(sk_X509_NAME_value(rdns, i), rdn) != 0)
			continue;
		X509_NAME_free(sk_X509_NAME_delete(rdns, i));
		return true;
	}
	return false;
}

static bool
rdns_equal(STACK_OF(X509_NAME) *want, STACK_OF(X509_NAME) *have)
{
	int i;

	if (sk_X509_NAME_num(want) != sk_X509_NAME_num(have))
		return false;
	for (i = 0; i < sk_X509_NAME_num(want); i++) {
		if (!rdns_take(have, sk_X509_NAME_value(want, i)))
			return false;
	}
	return true;
}

/* "CN=x" and nothing else: then the rest of the subject does not matter. */
static bool
rdns_is_cn(STACK_OF(X509_NAME) *want)
{
	const X509_NAME *rdn = sk_X509_NAME_value(want, 0);

	return sk_X509_NAME_num(want) == 1 && X509_NAME_entry_count(rdn) == 1 &&
	    X509_NAME_get_index_by_NID(rdn, NID_commonName, -1) == 0;
}

/* Reduces the subject to its CNs; of several CNs none is the one meant. */
static void
rdns_keep_cn(STACK_OF(X509_NAME) *have)
{
	X509_NAME *rdn;
	int i = 0;

	while (i < sk_X509_NAME_num(have)) {
		rdn = sk_X509_NAME_value(have, i);
		if (X509_NAME_get_index_by_NID(rdn, NID_commonName, -1) >= 0)
			i++;
		else
			X509_NAME_free(sk_X509_NAME_delete(have, i));
	}
}

static bool
dn_matches(X509 *leaf, const char *server_dn, char *matched, size_t size)
{
	const X509_NAME *subject = X509_get_subject_name(leaf);
	STACK_OF(X509_NAME) *want = dn_parse(server_dn);
	STACK_OF(X509_NAME) *have = dn_split(subject);
	bool equal = false;

	if (want != NULL && have != NULL) {
		if (rdns_is_cn(want))
			rdns_keep_cn(have);
		equal = rdns_equal(want, have);
	}
	rdns_free(want);
	rdns_free(have);
	cert_name_text(subject, matched, size);
	return equal;
}

bool
trust_dn_valid(const char *server_dn)
{
	STACK_OF(X509_NAME) *rdns = dn_parse(server_dn);

	rdns_free(rdns);
	return rdns != NULL;
}

enum name_source
trust_name_find(X509 *leaf, const struct target *target,
    const struct name_rules *rules, char *matched, size_t size)
{
	if (target->server_dn == NULL)
		return names_find(leaf, target, rules, matched, size);
	return dn_matches(leaf, target->server_dn, matched, size)
	    ? NAME_FROM_DN
	    : NAME_FROM_NOTHING;
}

bool
trust_name_matches(X509 *leaf, const struct target *target, bool allow_cn,
    char *matched, size_t size)
{
	const struct name_rules rules = { .allow_cn = allow_cn };

	return trust_name_find(leaf, target, &rules, matched, size) !=
	    NAME_FROM_NOTHING;
}
