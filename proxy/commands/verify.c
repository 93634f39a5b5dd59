#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/x509.h>

#include "conf/certfile.h"
#include "conf/config_checks.h"
#include "conf/json.h"
#include "conf/trust.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/facts.h"
#include "proxy/commands/options.h"

#define SECLEVEL 2 /* the default of `tls.seclevel` */

/* What was asked, as it stands in argv. */
struct request {
	const char *ssl_mode;
	const char *profile;
	const char *at;
	const char *server_dn;
	const char *chain; /* the file */
	struct wallet_access access;
	struct words ca;
	struct words crl;
	struct words server_name;
	struct words pin;
	bool no_cn;
	bool json;
};

/* The same, ready to be judged. */
struct question {
	struct trust trust;
	struct target target;
	X509_STORE *store;
	STACK_OF(X509) *chain;
	time_t at;
};

static void
request_fini(struct request *r)
{
	words_fini(&r->ca);
	words_fini(&r->crl);
	words_fini(&r->server_name);
	words_fini(&r->pin);
}

static int
request_parse(struct request *r, int argc, char **argv, struct err *err)
{
	const struct option table[] = {
		{ "ssl-mode", 0, OPTION_ONE, &r->ssl_mode },
		{ "ca", 0, OPTION_MANY, &r->ca },
		{ "password-file", 0, OPTION_ONE, &r->access.password_file },
		{ "crl", 0, OPTION_MANY, &r->crl },
		{ "server-name", 0, OPTION_MANY, &r->server_name },
		{ "server-dn", 0, OPTION_ONE, &r->server_dn },
		{ "pin", 0, OPTION_MANY, &r->pin },
		{ "profile", 0, OPTION_ONE, &r->profile },
		{ "at", 0, OPTION_ONE, &r->at },
		{ "no-cn", 0, OPTION_FLAG, &r->no_cn },
		{ "json", 0, OPTION_FLAG, &r->json },
		{ NULL, 0, OPTION_FLAG, NULL },
	};

	if (options_parse(table, argc, argv, &r->chain, err) == -1)
		return -1;
	if (r->chain == NULL)
		return err_set(err,
		    "verify: no chain; give the file that holds"
		    " it, leaf first");
	return 0;
}

/*
 * From the request to the question
 */

static int
parse_mode(const struct request *r, enum ssl_mode *mode, struct err *err)
{
	const char *word = r->ssl_mode, *why;

	*mode = SSL_MODE_VERIFY_FULL;
	if (word == NULL)
		return 0;
	if (!ssl_mode_parse(word, mode, &why))
		return err_set(err, "--ssl-mode: \"%s\" %s%s", word,
		    why != NULL ? "is refused: "
				: "is no mode; use require,"
				  " verify-ca or verify-full",
		    why != NULL ? why : "");
	if (*mode == SSL_MODE_NONE)
		return err_set(err,
		    "--ssl-mode: none checks no certificate;"
		    " use require, verify-ca or verify-full");
	return 0;
}

static int
parse_profile(const char *word, enum x509_profile *profile, struct err *err)
{
	*profile = X509_PROFILE_DEFAULT;
	if (word == NULL || strcmp(word, "default") == 0)
		return 0;
	*profile = X509_PROFILE_WEBPKI;
	if (strcmp(word, "webpki") == 0)
		return 0;
	return err_set(err,
	    "--profile: \"%s\" is no profile; use default or"
	    " webpki",
	    word);
}

/* "2026-01-31T12:00:00Z", "+02:00" in place of the Z, or seconds. */
static bool
read_time(const char *text, time_t *at)
{
	struct tm tm = { .tm_mday = 0 };
	const char *rest;
	char *end;
	long offset;

	errno = 0;
	*at = (time_t)strtoll(text, &end, 10);
	if (isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0)
		return *at > 0;
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S%z", &tm);
	if (rest == NULL || *rest != '\0')
		return false;
	offset = tm.tm_gmtoff;
	*at = timegm(&tm) - offset;
	return *at > 0;
}

static int
parse_time(const char *text, time_t *at, struct err *err)
{
	*at = 0;
	if (text == NULL || read_time(text, at))
		return 0;
	return err_set(err,
	    "--at: \"%s\" is no time after 1970; write"
	    " 2026-01-31T12:00:00Z, or seconds",
	    text);
}

static int
check_names(const struct request *r, enum ssl_mode mode, struct err *err)
{
	struct err why;
	size_t i;

	if (r->server_dn != NULL) {
		if (mode != SSL_MODE_VERIFY_FULL)
			return err_set(err,
			    "--server-dn: needs --ssl-mode"
			    " verify-full");
		if (!trust_dn_valid(r->server_dn))
			return err_set(err,
			    "--server-dn: \"%s\" is no subject;"
			    " write CN=x,O=y,C=z, or CN=x",
			    r->server_dn);
	}
	for (i = 0; i < r->server_name.n; i++) {
		if (check_server_name(r->server_name.list[i], &why) == -1)
			return err_set(err, "--server-name: %s", why.text);
	}
	if (mode == SSL_MODE_VERIFY_FULL && r->server_dn == NULL &&
	    r->server_name.n == 0)
		return err_set(err,
		    "verify: verify-full needs a name; give"
		    " --server-name, or use --ssl-mode verify-ca");
	return 0;
}

/* The same rules as for an endpoint of a configuration. */
static int
check_together(const struct request *r, enum ssl_mode mode, struct err *err)
{
	if (mode != SSL_MODE_REQUIRE) {
		if (r->ca.n > 0)
			return 0;
		return err_set(err,
		    "--ca: %s needs one; give a file, or"
		    " \"system\"",
		    ssl_mode_name(mode));
	}
	if (r->crl.n > 0)
		return err_set(err,
		    "--crl: require checks no chain; use"
		    " verify-ca or verify-full");
	if (r->no_cn)
		return err_set(err,
		    "--no-cn: require checks no name; use"
		    " verify-full");
	if (r->ca.n > 0)
		(void)fprintf(stderr,
		    "dbtls: --ca: has no effect, require"
		    " checks no chain; use verify-ca or verify-full\n");
	return 0;
}

static int
load_pins(const struct request *r, struct target *target, struct err *err)
{
	struct err why;
	size_t i;

	if (r->pin.n == 0)
		return 0;
	target->pins = calloc(r->pin.n, sizeof(*target->pins));
	if (target->pins == NULL)
		return err_set(err, "--pin: out of memory");
	for (i = 0; i < r->pin.n; i++) {
		if (pin_parse(r->pin.list[i], target->pins[i], &why) == -1)
			return err_set(err, "--pin: %s", why.text);
		target->npins++;
	}
	return 0;
}

static int
load_names(const struct request *r, struct target *target, struct err *err)
{
	size_t i;

	if (r->server_dn != NULL &&
	    (target->server_dn = strdup(r->server_dn)) == NULL)
		goto fail;
	if (r->server_name.n == 0)
		return 0;
	target->names = calloc(r->server_name.n, sizeof(*target->names));
	if (target->names == NULL)
		goto fail;
	for (i = 0; i < r->server_name.n; i++) {
		target->names[i] = strdup(r->server_name.list[i]);
		if (target->names[i] == NULL)
			goto fail;
		target->nnames++;
	}
	return 0;
fail:
	return err_set(err, "--server-name: out of memory");
}

static int
load_anchors(const struct request *r, struct question *q, struct err *err)
{
	struct anchors *a;
	size_t i;

	if (q->trust.mode == SSL_MODE_REQUIRE)
		return 0;
	if ((a = q->trust.anchors = anchors_new()) == NULL)
		return err_set(err, "--ca: out of memory");
	for (i = 0; i < r->ca.n; i++) {
		if (anchors_add_wallet(a, r->ca.list[i], &r->access, err) == -1)
			return -1;
	}
	for (i = 0; i < r->crl.n; i++) {
		if (anchors_add_crl(a, r->crl.list[i], err) == -1)
			return -1;
	}
	q->store = anchors_store(a, err);
	return q->store == NULL ? -1 : 0;
}

static int
load_chain(const struct request *r, struct question *q, struct err *err)
{
	const char *path = strcmp(r->chain, "-") == 0 ? "/dev/stdin" : r->chain;

	if ((q->chain = sk_X509_new_null()) == NULL)
		return err_set(err, "%s: out of memory", path);
	return certfile_read_certs(path, q->chain, err);
}

static int
question_make(struct question *q, const struct request *r, struct err *err)
{
	struct trust *t = &q->trust;

	t->seclevel = SECLEVEL;
	t->allow_cn = !r->no_cn;
	if (parse_mode(r, &t->mode, err) == -1 ||
	    parse_profile(r->profile, &t->profile, err) == -1 ||
	    parse_time(r->at, &q->at, err) == -1 ||
	    check_names(r, t->mode, err) == -1 ||
	    check_together(r, t->mode, err) == -1 ||
	    load_pins(r, &q->target, err) == -1 ||
	    load_names(r, &q->target, err) == -1 ||
	    load_anchors(r, q, err) == -1)
		return -1;
	return load_chain(r, q, err);
}

static void
question_fini(struct question *q)
{
	size_t i;

	for (i = 0; i < q->target.nnames; i++)
		free(q->target.names[i]);
	free(q->target.names);
	free(q->target.server_dn);
	free(q->target.pins);
	X509_STORE_free(q->store);
	anchors_release(q->trust.anchors);
	sk_X509_pop_free(q->chain, X509_free);
}

/*
 * The answer
 */

static X509 *
anchor_of(const struct question *q, const struct cert_verdict *v)
{
	static const uint8_t none[CERT_DIGEST_LEN];
	uint8_t digest[CERT_DIGEST_LEN];
	X509 *cert;
	int i;

	if (q->trust.anchors == NULL ||
	    memcmp(v->anchor, none, sizeof(none)) == 0)
		return NULL;
	for (i = 0; i < sk_X509_num(q->trust.anchors->certs); i++) {
		cert = sk_X509_value(q->trust.anchors->certs, i);
		if (cert_fingerprint(cert, digest) &&
		    memcmp(digest, v->anchor, sizeof(digest)) == 0)
			return cert;
	}
	return NULL;
}

static void
print_text(const struct question *q, const struct cert_verdict *v)
{
	X509 *anchor = anchor_of(q, v);
	struct cert_facts f;
	int i;

	if (v->accepted)
		(void)printf("accepted: %s, verified %s\n",
		    ssl_mode_name(q->trust.mode), verified_name(v->verified));
	else
		(void)printf("refused: %s: %s\n", reason_name(v->reason),
		    v->text);
	if (v->hint[0] != '\0')
		(void)printf("remedy: %s\n", v->hint);
	if (v->name[0] != '\0')
		(void)printf("name: %s\n", v->name);
	if (v->warning[0] != '\0')
		(void)printf("warning: %s\n", v->warning);
	for (i = 0; i < sk_X509_num(q->chain); i++)
		facts_print(i, sk_X509_value(q->chain, i));
	if (anchor == NULL)
		return;
	cert_facts(anchor, &f);
	(void)printf("anchor: %s\n", f.subject);
	facts_print_digest(f.sha256);
}

static void
json_text_or_null(struct json *j, const char *key, const char *text)
{
	if (text[0] != '\0')
		json_string(j, key, text);
	else
		json_null(j, key);
}

static void
print_json(const struct question *q, const struct cert_verdict *v)
{
	X509 *anchor = anchor_of(q, v);
	struct json j;
	int i;

	json_begin(&j, stdout);
	json_object(&j, NULL);
	json_bool(&j, "accepted", v->accepted);
	json_string(&j, "mode", ssl_mode_name(q->trust.mode));
	json_string(&j, "verified", verified_name(v->verified));
	json_text_or_null(&j, "reason",
	    v->accepted ? "" : reason_name(v->reason));
	json_text_or_null(&j, "detail", v->text);
	json_text_or_null(&j, "remedy", v->hint);
	json_text_or_null(&j, "name", v->name);
	json_text_or_null(&j, "warning", v->warning);
	json_int(&j, "depth", v->depth);
	json_int(&j, "x509_error", v->x509_error);
	json_array(&j, "chain");
	for (i = 0; i < sk_X509_num(q->chain); i++)
		facts_json_cert(&j, NULL, sk_X509_value(q->chain, i));
	json_end_array(&j);
	if (anchor != NULL)
		facts_json_cert(&j, "anchor", anchor);
	else
		json_null(&j, "anchor");
	json_end_object(&j);
	json_finish(&j);
}

static int
answer(const struct request *r, const struct question *q)
{
	struct cert_verdict v;

	(void)trust_judge(&q->trust, q->store, q->chain, &q->target, q->at, &v);
	if (r->json)
		print_json(q, &v);
	else
		print_text(q, &v);
	if (v.accepted)
		return EXIT_YES;
	return v.reason == REASON_INTERNAL ? EXIT_INTERNAL : EXIT_REFUSED;
}

static int
verify_run(int argc, char **argv)
{
	struct request r = { .ssl_mode = NULL };
	struct question q = { .at = 0 };
	int status = EXIT_USAGE;
	struct err err;

	if (request_parse(&r, argc, argv, &err) == -1 ||
	    question_make(&q, &r, &err) == -1)
		error_print(&err);
	else
		status = answer(&r, &q);
	question_fini(&q);
	request_fini(&r);
	return status;
}

const struct command command_verify = {
	.name = "verify",
	.run = verify_run,
	.usage =
	    "verify --ssl-mode M [--ca F]... [--password-file F] [--crl F]..."
	    "\n    [--server-name N]... [--server-dn DN] [--pin P]... [--no-cn]"
	    "\n    [--profile P] [--at TIME] [--json] CHAIN",
	.summary = "the verdict on a chain of certificates, without a server",
	.details =
	    "CHAIN is a file as a server would send it, leaf first; - is"
	    " standard input.\n"
	    "It is judged exactly as in a handshake of an endpoint so set up.\n"
	    "\n"
	    "  --ssl-mode M     require, verify-ca or verify-full (the"
	    " default)\n"
	    "  --ca F           trust anchors: PEM, DER, a wallet, or"
	    " \"system\"\n"
	    "  --password-file F  its first line opens a wallet among them\n"
	    "  --crl F          CRLs; every CA of the chain then needs one\n"
	    "  --server-name N  the name or address that it must be for; of"
	    " several, any\n"
	    "  --server-dn DN   the whole subject that it must have instead,"
	    " or CN=x\n"
	    "  --pin P          the key that it must have, as sha256//BASE64;"
	    " of several, any\n"
	    "  --no-cn          a name in the CN does not count\n"
	    "  --profile P      default, or webpki, which is strict\n"
	    "  --at TIME        judge as of then: 2026-01-31T12:00:00Z, or"
	    " seconds\n"
	    "  --json           one JSON document in place of text\n"
	    "\n"
	    "Exit status: 0 accepted; 1 refused; 2 wrong usage or an"
	    " unreadable file.\n",
};
