#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/config.h"
#include "conf/json.h"
#include "conf/words.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/options.h"
#include "proxy/commands/test_place.h"
#include "proxy/commands/test_probe.h"

#define TIMEOUT_MAX 3600.0 /* seconds */
#define NAMES_MAX   64     /* endpoints that may be suggested */
/* A configuration needs one; nobody is ever told to listen there, and it is no
 * server's. */
#define NO_LISTENER "127.0.0.1:0"

struct request {
	const char *name; /* of an endpoint; NULL: it is given by flags */
	const char *config;
	const char *save_ca;
	const char *timeout;
	const char *to; /* an address of a transparent endpoint's */
	struct probe_service wanted;
	struct endpoint_flags flags;
	bool json;
};

/* A test as it is carried out. */
struct test {
	const struct config *config;
	struct endpoint endpoint; /* with the timeouts of this test */
	struct place place;
	struct probe *probes; /* by server */
	FILE *saved;          /* NULL: nothing is to be */
	const char *saved_path;
	size_t nsaved;
};

static int
request_check(struct request *r, struct err *err)
{
	struct endpoint_flags *f = &r->flags;

	if (!endpoint_flags_given(f)) {
		if (r->name != NULL)
			return 0;
		return err_set(err,
		    "test: what is to be tested? give the name of an endpoint, "
		    "or --engine and --server");
	}
	if (r->name != NULL || r->config != NULL)
		return err_set(err,
		    "test: an endpoint of a file and one by flags exclude each "
		    "other; leave out --engine and the like, or %s",
		    r->name != NULL ? r->name : "-c");
	if (f->engine == NULL || f->server == NULL)
		return err_set(err,
		    "test: an endpoint by flags needs --engine and --server; "
		    "see `dbtls help test`");
	f->listen = NO_LISTENER;
	return 0;
}

static int
request_check_service(const struct request *r, struct err *err)
{
	if (r->wanted.service != NULL && r->wanted.sid != NULL)
		return err_set(err,
		    "test: --service and --sid exclude each other, as a client "
		    "asks for one; leave out one of them");
	return 0;
}

static int
request_parse(struct request *r, int argc, char **argv, struct err *err)
{
	struct endpoint_flags *f = &r->flags;
	const struct option table[] = {
		{ "config", 'c', OPTION_ONE, &r->config },
		{ "engine", 0, OPTION_ONE, &f->engine },
		{ "server", 0, OPTION_ONE, &f->server },
		{ "ssl-mode", 0, OPTION_ONE, &f->ssl_mode },
		{ "ca", 0, OPTION_MANY, &f->ca },
		{ "crl", 0, OPTION_MANY, &f->crl },
		{ "pin", 0, OPTION_MANY, &f->pin },
		{ "server-name", 0, OPTION_MANY, &f->server_name },
		{ "save-ca", 0, OPTION_ONE, &r->save_ca },
		{ "timeout", 0, OPTION_ONE, &r->timeout },
		{ "to", 0, OPTION_ONE, &r->to },
		{ "service", 0, OPTION_ONE, &r->wanted.service },
		{ "sid", 0, OPTION_ONE, &r->wanted.sid },
		{ "json", 0, OPTION_FLAG, &r->json },
		{ NULL, 0, OPTION_FLAG, NULL },
	};

	if (options_parse(table, argc, argv, &r->name, err) == -1 ||
	    request_check_service(r, err) == -1)
		return -1;
	return request_check(r, err);
}

static const struct config *
load(const struct request *r)
{
	struct problems problems = { 0 };
	const struct config *c = NULL;
	char *text;

	if (!endpoint_flags_given(&r->flags)) {
		c = config_load(r->config != NULL ? r->config
						  : CONFIG_DEFAULT_FILE,
		    &problems);
	} else if ((text = endpoint_flags_text(&r->flags)) != NULL) {
		c = config_load_text(text, FLAGS_FILE, &problems);
		free(text);
	} else {
		problem_add(&problems, false, NULL, 0, NULL, "out of memory");
	}
	problems_print(&problems, stderr);
	problems_fini(&problems);
	return c;
}

static int
fail_unknown(const struct config *c, const char *name, struct err *err)
{
	const char *names[NAMES_MAX + 1] = { NULL };
	const char *near;
	size_t i;

	for (i = 0; i < NAMES_MAX && i < c->nendpoints; i++)
		names[i] = c->endpoints[i]->name;
	if ((near = word_suggest(name, names)) != NULL)
		return err_set(err,
		    "%s: no endpoint of that name in %s; did you mean %s?",
		    name, c->file, near);
	return err_set(err,
	    "%s: no endpoint of that name in %s; `dbtls check` lists them",
	    name, c->file);
}

static int
take_timeout(const char *text, struct endpoint *e, struct err *err)
{
	double seconds;
	char *end;

	if (text == NULL)
		return 0;
	seconds = strtod(text, &end);
	if (*end != '\0' || end == text || !isfinite(seconds) || seconds <= 0 ||
	    seconds > TIMEOUT_MAX)
		return err_set(err,
		    "--timeout: \"%s\" is no number of seconds; give one above "
		    "0 and up to %.0f",
		    text, TIMEOUT_MAX);
	e->timeouts.connect = seconds;
	e->timeouts.handshake = seconds;
	return 0;
}

/* Before anything is asked of the server: a file that is there already is
 * nobody's to overwrite. */
static int
open_saved(struct test *t, const char *path, struct err *err)
{
	int fd;

	if (path == NULL)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    S_IRUSR | S_IWUSR);
	if (fd == -1 && errno == EEXIST)
		return err_set(err,
		    "--save-ca: %s is there already; name another file", path);
	if (fd == -1)
		return err_set_errno(err, "--save-ca: %s", path);
	if ((t->saved = fdopen(fd, "w")) == NULL) {
		(void)close(fd);
		return err_set_errno(err, "--save-ca: %s", path);
	}
	t->saved_path = path;
	return 0;
}

/* Of each server, before the first is asked anything. */
static int
ask_for_service(struct test *t, const struct probe_service *wanted,
    struct err *err)
{
	size_t i;

	if (wanted->service == NULL && wanted->sid == NULL)
		return 0;
	for (i = 0; i < t->endpoint.nservers; i++) {
		if (probe_ask(&t->probes[i], wanted, &t->endpoint, i, err) ==
		    -1)
			return -1;
	}
	return 0;
}

static int
test_make(struct test *t, const struct request *r, struct err *err)
{
	const char *name = r->name != NULL ? r->name : FLAGS_ENDPOINT;
	const struct endpoint *e = config_endpoint(t->config, name);

	if (e == NULL) {
		(void)fail_unknown(t->config, name, err);
		return -1;
	}
	t->endpoint = *e;
	if (take_timeout(r->timeout, &t->endpoint, err) == -1 ||
	    place_choose(&t->place, e, r->to, err) == -1)
		return -1;
	if (t->place.chosen) {
		t->endpoint.servers = &t->place.server;
		t->endpoint.nservers = 1;
	}
	t->probes = calloc(t->endpoint.nservers, sizeof(*t->probes));
	if (t->probes == NULL)
		return err_set(err, "test: out of memory");
	if (ask_for_service(t, &r->wanted, err) == -1)
		return -1;
	return open_saved(t, r->save_ca, err);
}

static void
test_fini(struct test *t)
{
	size_t i;

	for (i = 0; t->probes != NULL && i < t->endpoint.nservers; i++)
		probe_fini(&t->probes[i]);
	free(t->probes);
	if (t->saved == NULL)
		return;
	(void)fclose(t->saved);
	(void)unlink(t->saved_path);
}

/* What makes the file readable, and its reader careful. */
static void
save_head(FILE *to, const struct probe *p)
{
	size_t i, k;

	(void)fprintf(to,
	    "# Shown by %s (%s).\n"
	    "# Whoever answers there can show anything: compare a fingerprint "
	    "with one that\n"
	    "# came another way before you trust these.\n",
	    p->server->text, p->address);
	for (i = 0; i < p->ncerts; i++) {
		(void)fprintf(to, "# %s\n#   sha256 ", p->certs[i].subject);
		for (k = 0; k < sizeof(p->certs[i].sha256); k++)
			(void)fprintf(to, "%02x", p->certs[i].sha256[k]);
		(void)fprintf(to, "\n");
	}
}

static void
save(struct test *t, const struct probe *p)
{
	if (t->saved == NULL || p->pem == NULL)
		return;
	save_head(t->saved, p);
	(void)fputs(p->pem, t->saved);
	t->nsaved += p->ncerts + p->ncerts_left_out;
}

/* 0, or -1 with `err`. */
static int
save_end(struct test *t, struct err *err)
{
	bool bad;

	if (t->saved == NULL)
		return 0;
	if (t->nsaved == 0) {
		(void)fprintf(stderr,
		    "dbtls: --save-ca: no certificate was shown; %s was not "
		    "written\n",
		    t->saved_path);
		return 0; /* test_fini() removes it */
	}
	bad = fflush(t->saved) != 0 || ferror(t->saved);
	if (fclose(t->saved) != 0 || bad) {
		(void)err_set_errno(err, "--save-ca: %s", t->saved_path);
		(void)unlink(t->saved_path);
		t->saved = NULL;
		return -1;
	}
	t->saved = NULL;
	(void)fprintf(stderr,
	    "dbtls: --save-ca: %zu certificates are in %s; they prove nothing "
	    "before a fingerprint was compared with one that came another "
	    "way\n",
	    t->nsaved, t->saved_path);
	return 0;
}

static void
print_json(const struct test *t)
{
	const struct endpoint *e = &t->endpoint;
	struct json j;
	size_t i;

	json_begin(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "endpoint", e->name);
	json_string(&j, "engine", e->ops->name);
	json_string(&j, "mode", ssl_mode_name(e->mode));
	json_array(&j, "servers");
	for (i = 0; i < e->nservers; i++)
		probe_print_json(&t->probes[i], &j);
	json_end_array(&j);
	json_string(&j, "login", "not tried");
	json_end_object(&j);
	json_finish(&j);
}

static enum exit_status
status_of(enum reason reason)
{
	if (reason == REASON_NONE)
		return EXIT_YES;
	if (reason == REASON_INTERNAL)
		return EXIT_INTERNAL;
	if (reason == REASON_RESOLVE || reason == REASON_CONNECT ||
	    reason == REASON_TIMEOUT)
		return EXIT_UNREACHABLE;
	return EXIT_REFUSED;
}

/* Of several servers: our own fault first, then a refusal, which is worse
 * than a server that is merely down. */
static int
test_status(const struct test *t)
{
	static const enum exit_status order[] = { EXIT_INTERNAL, EXIT_REFUSED,
		EXIT_UNREACHABLE };
	size_t i, k;

	for (k = 0; k < sizeof(order) / sizeof(order[0]); k++)
		for (i = 0; i < t->endpoint.nservers; i++)
			if (status_of(t->probes[i].reason) == order[k])
				return (int)order[k];
	return EXIT_YES;
}

static int
test_run(struct test *t, bool json, struct err *err)
{
	size_t i;

	for (i = 0; i < t->endpoint.nservers; i++) {
		probe_run(&t->probes[i], t->config, &t->endpoint, i);
		if (!json)
			probe_print(&t->probes[i]);
		save(t, &t->probes[i]);
	}
	if (json)
		print_json(t);
	return save_end(t, err);
}

static int
fail(const struct err *err, enum exit_status status)
{
	error_print(err);
	return (int)status;
}

static int
test_command(int argc, char **argv)
{
	struct request r = { .name = NULL };
	struct test t = { .config = NULL };
	struct err err;
	int status = EXIT_USAGE;

	if (request_parse(&r, argc, argv, &err) == -1)
		status = fail(&err, EXIT_USAGE);
	else if ((t.config = load(&r)) == NULL)
		status = EXIT_USAGE;
	else if (test_make(&t, &r, &err) == -1)
		status = fail(&err, EXIT_USAGE);
	else if (test_run(&t, r.json, &err) == -1)
		status = fail(&err, EXIT_INTERNAL);
	else
		status = test_status(&t);
	test_fini(&t);
	config_release(t.config);
	endpoint_flags_fini(&r.flags);
	return status;
}

const struct command command_test = {
	.name = "test",
	.run = test_command,
	.usage =
	    "test NAME [-c FILE] [--to A] [--service N | --sid N] "
	    "[--timeout S]\n"
	    "    [--save-ca FILE] [--json]\n"
	    "test --engine E --server H:P [--ssl-mode M] [--ca F]... "
	    "[--crl F]... [--pin P]...\n"
	    "    [--server-name N]... [--service N | --sid N] [--timeout S]\n"
	    "    [--save-ca FILE] [--json]",
	.summary = "reach a server and examine its TLS, step by step, without "
		   "a login",
	.details =
	    "Resolves, connects, negotiates, does the handshake and judges the "
	    "certificate as\na session of the endpoint would, and tells what "
	    "it saw at each step and, where it\nfailed, what to do about it.  "
	    "Of several servers each is tested.  It does not log\nin: user, "
	    "password and database stay untested.\n\n"
	    "  NAME               an endpoint of the configuration\n"
	    "  -c FILE            the configuration; if not given,\n"
	    "                     " CONFIG_DEFAULT_FILE "\n"
	    "  --to A             where a client would be going: an address of "
	    "a transparent\n"
	    "                     endpoint, which may be a network\n\n"
	    "Without a file:\n"
	    "  --engine E         postgres, redshift, mysql, mariadb, mysqlx, "
	    "sqlserver,\n"
	    "                     oracle, sybase, mongodb, tls\n"
	    "  --server H:P       the database\n"
	    "  --ssl-mode M       none, require, verify-ca, verify-full (the "
	    "default)\n"
	    "  --ca F             a file of CA certificates, or \"system\"; "
	    "may be repeated\n"
	    "  --crl F            CRLs; every CA of the chain then needs one\n"
	    "  --pin P            the key that it must have, as "
	    "sha256//BASE64; may be repeated\n"
	    "  --server-name N    the name its certificate must bear, if not "
	    "the host's\n\n"
	    "Either way:\n"
	    "  --service N        engine oracle: ask for the service N, as a "
	    "client does, and\n"
	    "                     follow the listener to where it is accepted "
	    "or refused; if\n"
	    "                     not given, a ping, which a listener answers "
	    "by itself:\n"
	    "                     whether the service is known, and what its "
	    "server process\n"
	    "                     shows, no ping can tell\n"
	    "  --sid N            the same by a SID\n"
	    "  --timeout S        seconds for connecting, and for all that "
	    "follows\n"
	    "  --save-ca FILE     keep the certificates that the server "
	    "showed, also if they\n"
	    "                     were refused; to trust them, compare a "
	    "fingerprint first\n"
	    "  --json             one JSON document in place of text\n\n"
	    "To see only what a server shows: --ssl-mode require.\n"
	    "Exit status: 0 yes; 1 refused; 2 wrong usage or configuration; 3 "
	    "not reachable;\n4 internal.\n",
};
