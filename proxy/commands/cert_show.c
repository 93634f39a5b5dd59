#include <stdio.h>

#include "conf/json.h"
#include "proxy/commands/cert.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/facts.h"
#include "proxy/commands/options.h"

/* For JSON, and for people. */
struct kind_words {
	const char *word;
	const char *text;
};

static struct kind_words
kind_of(const struct contents *c)
{
	static const struct kind_words pem = { "pem", "PEM" },
				       der = { "der", "DER" },
				       p12 = { "pkcs12",
					       "PKCS#12, opened by a "
					       "password" },
				       sso = { "auto_login",
					       "an auto-login wallet" },
				       local = { "auto_login_local",
					       "an auto_login_local wallet, of "
					       "one user on one host" };

	if (c->kind == CONTENTS_PEM)
		return pem;
	if (c->kind == CONTENTS_DER)
		return der;
	switch (c->wallet_kind) {
	case WALLET_P12:
		break;
	case WALLET_SSO:
		return sso;
	case WALLET_SSO_LOCAL:
		return local;
	}
	return p12;
}

static void
print_key(const struct contents *c)
{
	char kind[CERT_KEY_MAX];
	int leaf = contents_leaf(c);

	if (c->sealed_key) {
		(void)printf("  private key: one under a password; "
			     "--password-file opens it\n");
		return;
	}
	if (c->key == NULL) {
		(void)printf("  private key: none\n");
		return;
	}
	cert_key_text(c->key, kind);
	if (leaf == -1)
		(void)printf("  private key: %s, of none of the certificates\n",
		    kind);
	else
		(void)printf("  private key: %s, of certificate %d\n", kind,
		    leaf);
}

static void
crl_words(const X509_CRL *crl, char *issuer, size_t size,
    char next[CERT_TIME_MAX])
{
	cert_name_text(X509_CRL_get_issuer(crl), issuer, size);
	cert_time_text(X509_CRL_get0_nextUpdate(crl), next);
}

static void
print_crls(const struct contents *c)
{
	char issuer[256], next[CERT_TIME_MAX];
	int i;

	for (i = 0; i < sk_X509_CRL_num(c->crls); i++) {
		crl_words(sk_X509_CRL_value(c->crls, i), issuer, sizeof(issuer),
		    next);
		(void)printf("CRL %d: %s\n  next update: %s\n", i, issuer,
		    next[0] == '\0' ? "never" : next);
	}
}

static void
print_text(const struct contents *c)
{
	int i;

	(void)printf("%s: %s\n", c->path, kind_of(c).text);
	if (c->seal[0] != '\0')
		(void)printf("  header: sealed with %s\n", c->seal);
	if (c->ciphers[0] != '\0')
		(void)printf("  ciphers: %s\n", c->ciphers);
	print_key(c);
	if (c->passed_over > 0)
		(void)printf("  passed over: %u of another kind (secrets, "
			     "requests)\n",
		    c->passed_over);
	for (i = 0; i < sk_X509_num(c->certs); i++)
		facts_print(i, sk_X509_value(c->certs, i));
	print_crls(c);
}

static void
json_key(struct json *j, const struct contents *c)
{
	char kind[CERT_KEY_MAX];
	int leaf = contents_leaf(c);

	if (c->key == NULL && !c->sealed_key) {
		json_null(j, "key");
		return;
	}
	json_object(j, "key");
	json_bool(j, "sealed", c->sealed_key);
	if (c->key != NULL) {
		cert_key_text(c->key, kind);
		json_string(j, "key", kind);
	}
	if (leaf != -1)
		json_int(j, "certificate", leaf);
	else
		json_null(j, "certificate");
	json_end_object(j);
}

static void
json_crls(struct json *j, const struct contents *c)
{
	char issuer[256], next[CERT_TIME_MAX];
	int i;

	json_array(j, "crls");
	for (i = 0; i < sk_X509_CRL_num(c->crls); i++) {
		crl_words(sk_X509_CRL_value(c->crls, i), issuer, sizeof(issuer),
		    next);
		json_object(j, NULL);
		json_string(j, "issuer", issuer);
		json_string(j, "next_update", next);
		json_end_object(j);
	}
	json_end_array(j);
}

static void
print_json(const struct contents *c)
{
	struct json j;
	int i;

	json_begin(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "file", c->path);
	json_string(&j, "kind", kind_of(c).word);
	json_string(&j, "header", c->seal);
	json_string(&j, "ciphers", c->ciphers);
	json_key(&j, c);
	json_int(&j, "passed_over", (int)c->passed_over);
	json_array(&j, "certificates");
	for (i = 0; i < sk_X509_num(c->certs); i++)
		facts_json_cert(&j, NULL, sk_X509_value(c->certs, i));
	json_end_array(&j);
	json_crls(&j, c);
	json_end_object(&j);
	json_finish(&j);
}

int
cert_show(int argc, char **argv)
{
	struct wallet_access access = { .password_file = NULL };
	const char *path = NULL;
	struct contents c;
	bool json = false;
	const struct option table[] = {
		{ "password-file", 0, OPTION_ONE, &access.password_file },
		{ "wallet-host", 0, OPTION_ONE, &access.host },
		{ "wallet-user", 0, OPTION_ONE, &access.user },
		{ "json", 0, OPTION_FLAG, &json },
		{ NULL, 0, OPTION_FLAG, NULL },
	};
	int status = EXIT_USAGE;
	struct err err;

	if (options_parse(table, argc, argv, &path, &err) == 0) {
		if (path == NULL)
			(void)err_set(&err,
			    "cert show: of which file? see `dbtls help cert`");
		else
			status = cert_open(&c, path, &access, &err);
	}
	if (status != EXIT_YES) {
		error_print(&err);
		return status;
	}
	if (json)
		print_json(&c);
	else
		print_text(&c);
	contents_fini(&c);
	return EXIT_YES;
}
