#include "proxy/commands/check.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "conf/trust_expiry.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/options.h"

#define DAY_SECONDS 86400
#define EXPIRY_DAYS 30

struct check {
	const char *path;
	bool json;
	struct problems problems;
	struct config *config;
	struct privileges_plan plan;
	struct checked *list;
	struct ktls_support ktls; /* tried out if any endpoint asks for it */
	bool ktls_tried;
	time_t now;
};

const char *
check_client_verify(const struct endpoint *e)
{
	switch (e->client_verify) {
	case CLIENT_VERIFY_NONE:
		return "none";
	case CLIENT_VERIFY_OPTIONAL:
		return "optional";
	case CLIENT_VERIFY_REQUIRE:
		return "require";
	}
	return "";
}

const char *
check_server_leg(const struct endpoint *e)
{
	switch (e->mode) {
	case SSL_MODE_NONE:
		return "cleartext, and nothing is verified";
	case SSL_MODE_REQUIRE:
		return "TLS; neither chain nor name is checked";
	case SSL_MODE_VERIFY_CA:
		return "TLS; the chain is checked, the name is not";
	case SSL_MODE_VERIFY_FULL:
		return "TLS; chain and name are checked";
	}
	return "";
}

void
check_pin_text(const uint8_t digest[CERT_DIGEST_LEN], char text[CHECK_PIN_MAX])
{
	const size_t prefix = sizeof(CERT_PIN_PREFIX) - 1;

	_Static_assert(CHECK_PIN_MAX >
		sizeof(CERT_PIN_PREFIX) + (CERT_DIGEST_LEN + 2) / 3 * 4,
	    "a pin fits");
	memcpy(text, CERT_PIN_PREFIX, prefix);
	(void)EVP_EncodeBlock((unsigned char *)text + prefix, digest,
	    CERT_DIGEST_LEN);
}

/* What is wrong with ciphers and groups shows when a context is made. */
static void
check_leg(struct check *k, struct checked *one, enum leg_id leg,
    struct tls_stores *stores)
{
	const struct endpoint *e = one->e;
	struct tls_context *context;
	struct err err;

	context = tls_context_new(e, leg, stores, &err);
	if (context == NULL) {
		problem_add(&k->problems, false, e->file, e->line, NULL, "%s",
		    err.text);
		return;
	}
	one->tls[leg] = true;
	tls_context_effective(context, &one->effective[leg]);
	if (one->effective[leg].legacy)
		one->legacy = true;
	tls_context_free(context);
}

/* What only this machine's kernel can tell. */
static void
check_ktls(struct check *k, struct checked *one)
{
	const struct endpoint *e = one->e;

	if (!endpoint_may_ktls(e, NULL))
		return;
	if (!k->ktls_tried)
		ktls_probe(&k->ktls);
	k->ktls_tried = true;
	one->ktls = &k->ktls;
	if (k->ktls.suites == 0 && e->tls.ktls == KTLS_ON)
		problem_add(&k->problems, false, e->file, e->line, "tls.ktls",
		    "is \"on\", but %s; set it to \"auto\", or mend that",
		    k->ktls.why);
}

static void
check_endpoint(struct check *k, size_t i, struct tls_stores *stores)
{
	struct checked *one = &k->list[i];

	one->e = k->config->endpoints[i];
	check_ktls(k, one);
	if (one->e->client_rule != CLIENT_TLS_OFF)
		check_leg(k, one, LEG_CLIENT, stores);
	if (one->e->mode != SSL_MODE_NONE)
		check_leg(k, one, LEG_SERVER, stores);
}

/* Those that have expired are among the problems already. */
static void
warn_expiring(const struct expiry *x, void *arg)
{
	struct check *k = arg;
	struct tm tm = { 0 };
	char when[32];

	if (x->at <= k->now)
		return;
	(void)gmtime_r(&x->at, &tm);
	(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	problem_add(&k->problems, true, x->endpoint->file, x->endpoint->line,
	    x->what, "\"%s\" expires soon, at %s; replace it", x->subject,
	    when);
}

static int
check_contexts(struct check *k)
{
	struct tls_stores *stores = tls_stores_new();
	size_t i;

	k->list = calloc(k->config->nendpoints, sizeof(*k->list));
	if (stores == NULL || k->list == NULL) {
		tls_stores_free(stores);
		return -1;
	}
	for (i = 0; i < k->config->nendpoints; i++)
		check_endpoint(k, i, stores);
	tls_stores_free(stores);
	endpoints_each_expiry(k->config->endpoints, k->config->nendpoints,
	    k->now + EXPIRY_DAYS * DAY_SECONDS, warn_expiring, k);
	return 0;
}

const char *
check_capabilities(const struct privileges_plan *plan)
{
	return plan->foreign ? "cap_net_raw" : "none";
}

/* What the user is for is shown with the warnings; that there is none such is
 * an error, as it is for `run`. */
static void
check_privileges(struct check *k)
{
	struct err err;

	if (privileges_plan(k->config, &k->plan, &err) == -1)
		problem_add(&k->problems, false, k->config->file, 0, NULL, "%s",
		    err.text);
	else if (k->plan.user == NULL && geteuid() == 0)
		problem_add(&k->problems, true, k->config->file, 0, "user",
		    "is not set: started by root, as this was, the proxy "
		    "stays root; make a user for it, as with `useradd "
		    "--system dbtls`, and write user = \"dbtls\";");
}

static int
check_report(struct check *k)
{
	bool good = k->config != NULL && k->problems.errors == 0;

	if (k->json)
		check_print_json(stdout, k->path, good ? k->config : NULL,
		    &k->plan, k->list, &k->problems);
	else if (good)
		check_print(stdout, k->config, &k->plan, k->list, &k->problems);
	if (!good)
		problems_print(&k->problems, stderr);
	if (fflush(stdout) == EOF || ferror(stdout)) {
		(void)fputs("dbtls: check: cannot write to standard output\n",
		    stderr);
		return EXIT_INTERNAL;
	}
	return good ? EXIT_YES : EXIT_USAGE;
}

static int
check_run(int argc, char **argv)
{
	struct check k = { .path = CONFIG_DEFAULT_FILE, .now = time(NULL) };
	const char *path = NULL;
	const struct option table[] = {
		{ "config", 'c', OPTION_ONE, &path },
		{ "json", 0, OPTION_FLAG, &k.json },
		{ NULL, 0, OPTION_FLAG, NULL },
	};
	struct err err;
	int status;

	if (options_parse(table, argc, argv, NULL, &err) == -1) {
		error_print(&err);
		return EXIT_USAGE;
	}
	if (path != NULL)
		k.path = path;
	k.config = config_load(k.path, &k.problems);
	if (k.config != NULL)
		check_privileges(&k);
	if (k.config != NULL && check_contexts(&k) == -1) {
		(void)fputs("dbtls: check: out of memory\n", stderr);
		status = EXIT_INTERNAL;
	} else {
		status = check_report(&k);
	}
	free(k.list);
	config_release(k.config);
	problems_fini(&k.problems);
	return status;
}

const struct command command_check = {
	.name = "check",
	.run = check_run,
	.usage = "check [-c FILE] [--json]",
	.summary = "load a configuration, show how each endpoint will work",
	.details =
	    "Nothing is listened on, connected to or changed.  Shown are, for "
	    "each endpoint:\nits addresses, what is demanded of the server and "
	    "of clients, the TLS versions,\nciphers and groups that are "
	    "effective, the names, pins and trust anchors, who\nmay come in, "
	    "and every setting that is not at its default.  LEGACY marks an\n"
	    "endpoint that admits less than TLS 1.2 or security level 2; \"DMS "
	    "alone\" says\nwhether AWS DMS has this mode for this engine "
	    "itself.\n\n"
	    "  -c, --config FILE  the configuration; default\n"
	    "                     " CONFIG_DEFAULT_FILE "\n"
	    "      --json         one JSON document on standard output\n\n"
	    "Exit status: 0 if `dbtls run` would take it, 2 if not.\n",
};
