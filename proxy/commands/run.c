#include <sys/resource.h>
#include <sys/stat.h>

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "conf/config.h"
#include "conf/rsakey.h"
#include "conf/trust_expiry.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/options.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/notify.h"
#include "proxy/privileges.h"
#include "proxy/secrets.h"
#include "proxy/tls.h"
#include "proxy/worker.h"

#define RUN_UMASK (S_IRWXG | S_IRWXO)
/* How often to look whether the last session has gone. */
#define IDLE_POLL_MS 20
/* How long sessions that were told to end at once may take to say so. */
#define STOP_SECONDS 2
#define DAY_SECONDS  86400
#define EXPIRY_DAYS  30
/* What the service manager gives us beyond the time that sessions have. */
#define DRAIN_MARGIN 10
#define USEC_PER_SEC 1e6

static const int run_signals[] = { SIGTERM, SIGINT, SIGUSR1 };
#define RUN_SIGNALS (sizeof(run_signals) / sizeof(run_signals[0]))

struct run {
	const struct config *config;
	struct privileges_plan plan;
	struct proxy *proxy;
	struct event_base *base;
	struct event *signals[RUN_SIGNALS];
	struct event *daily;
	struct event *idle;  /* polls, once draining */
	struct event *limit; /* of a stop */
	unsigned stops;      /* signals that asked for it */
	double started;      /* seconds_now() */
};

static double
seconds_now(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * What is told at the start.
 */

static void
log_loaded(const struct config *c, const struct problems *problems)
{
	struct log_line l;

	if (!log_open(&l, LEVEL_INFO, "config.loaded"))
		return;
	log_text(&l, "file", c->file);
	log_text(&l, "sha256", c->sha256);
	log_uint(&l, "endpoints", c->nendpoints);
	log_uint(&l, "warnings", problems->n - problems->errors);
	log_close(&l);
}

static void
log_rejected(const char *file, const struct problems *problems)
{
	struct log_line l;

	if (!log_open(&l, LEVEL_ERR, "config.rejected"))
		return;
	log_text(&l, "file", file);
	if (problems->sha256[0] != '\0')
		log_text(&l, "sha256", problems->sha256);
	log_uint(&l, "errors", problems->errors);
	log_close(&l);
}

static void
log_listener(const struct proxy *p, const struct listener_set *s,
    const struct endpoint *e)
{
	const uint8_t *rsa = secrets_rsa_sha256(p->secrets, e->index);
	struct log_line l;

	if (!log_open(&l, LEVEL_INFO, "listen"))
		return;
	log_endpoint(&l, e);
	log_text(&l, "engine", e->ops->name);
	log_address(&l, "address", listener_set_address(s));
	log_text(&l, "client_leg", endpoint_client_leg(e));
	log_text(&l, "mode", ssl_mode_name(e->mode));
	log_text(&l, "server", e->servers[0].text);
	log_uint(&l, "servers", e->nservers);
	if (e->transparent != TRANSPARENT_OFF)
		log_text(&l, "transparent",
		    e->transparent == TRANSPARENT_REDIRECT ? "redirect"
							   : "tproxy");
	if (rsa != NULL)
		log_hex(&l, "rsa_key", rsa, RSAKEY_DIGEST_LEN);
	log_close(&l);
}

/* What the kernel says, not what was meant. */
static void
log_privileges(struct log_line *l, const struct run *r)
{
	char capabilities[PRIVILEGES_TEXT_MAX];
	struct privileges p;
	struct err err;

	log_text(l, "user", r->plan.user);
	if (privileges_now(&p, &err) == -1)
		return;
	log_uint(l, "uid", p.uid);
	log_text(l, "capabilities",
	    privileges_capabilities(p.capabilities, capabilities));
	log_text(l, "no_new_privs", p.no_new_privileges ? "yes" : "no");
	log_text(l, "core_dumps", p.core_dumps ? "on" : "off");
}

/* Endpoints that are transparent share listeners. */
static bool
is_served_by(const struct endpoint *e, const struct listener_set *s)
{
	size_t i;

	if (e == listener_set_endpoint(s))
		return true;
	for (i = 0; e->transparent != TRANSPARENT_OFF && i < e->nlistens; i++) {
		if (address_equal(&e->listens[i], listener_set_address(s)))
			return true;
	}
	return false;
}

static void
log_listeners(const struct proxy *p, const struct listener_set *s)
{
	const struct config *c = p->config;
	size_t i;

	for (i = 0; i < c->nendpoints; i++) {
		if (is_served_by(c->endpoints[i], s))
			log_listener(p, s, c->endpoints[i]);
	}
}

static void
log_start(const struct run *r)
{
	struct log_line l;
	size_t i;

	if (log_open(&l, LEVEL_INFO, "start")) {
		log_text(&l, "version", DBTLS_VERSION);
		log_text(&l, "openssl", tls_library_version());
		log_uint(&l, "pid", (uint64_t)getpid());
		log_uint(&l, "threads", r->proxy->nworkers);
		log_uint(&l, "max_sessions", r->proxy->max_sessions);
		log_privileges(&l, r);
		log_close(&l);
	}
	for (i = 0; i < r->proxy->nsets; i++)
		log_listeners(r->proxy, r->proxy->sets[i]);
}

static void
log_stop(const struct run *r)
{
	struct log_line l;

	if (!log_open(&l, LEVEL_INFO, "stop"))
		return;
	log_seconds(&l, "seconds", seconds_now() - r->started);
	log_uint(&l, "sessions", atomic_load(&r->proxy->sessions));
	log_close(&l);
}

static void
log_expiry(const struct expiry *x, void *arg)
{
	const time_t *now = arg;
	struct log_line l;
	struct tm tm = { 0 };
	char when[32];

	if (!log_open(&l, LEVEL_WARN, "certificate.expiring"))
		return;
	(void)gmtime_r(&x->at, &tm);
	(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	log_endpoint(&l, x->endpoint);
	log_text(&l, "what", x->what);
	log_text(&l, "subject", x->subject);
	log_hex(&l, "sha256", x->sha256, sizeof(x->sha256));
	log_text(&l, "not_after", when);
	log_text(&l, "expired", x->at <= *now ? "yes" : "no");
	log_close(&l);
}

/* A manager that cannot be told takes us for dead in the end, and is not told
 * why: the log is where that is found. */
static void __attribute__((format(printf, 1, 2))) tell(const char *fmt, ...)
{
	char text[NOTIFY_TEXT_MAX];
	struct err err;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (notify_send(getenv(NOTIFY_VARIABLE), text, &err) == -1)
		log_event(LEVEL_WARN, "notify.failed", NULL, "%s", err.text);
}

static void
tell_ready(const struct run *r)
{
	tell("READY=1\nSTATUS=%zu endpoints on %zu addresses",
	    r->config->nendpoints, r->proxy->nsets);
}

/* The longest that any session may still take; endless is not an answer, and
 * the manager's own limit then holds. */
static void
tell_stopping(const struct run *r)
{
	double longest = 0, drain;
	size_t i;

	for (i = 0; i < r->config->nendpoints; i++) {
		drain = r->config->endpoints[i]->timeouts.drain;
		if (drain > longest)
			longest = drain;
	}
	tell("STOPPING=1\nSTATUS=waiting for %u sessions\n"
	     "EXTEND_TIMEOUT_USEC=%.0f",
	    atomic_load(&r->proxy->sessions),
	    (longest + DRAIN_MARGIN) * USEC_PER_SEC);
}

static void
on_daily(evutil_socket_t fd, short what, void *arg)
{
	const struct run *r = arg;
	time_t now = time(NULL);

	(void)fd;
	(void)what;
	endpoints_each_expiry(r->config->endpoints, r->config->nendpoints,
	    now + EXPIRY_DAYS * DAY_SECONDS, log_expiry, &now);
}

/*
 * Its end.
 */

static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	(void)fd;
	(void)what;
	if (proxy_idle(r->proxy))
		(void)event_base_loopbreak(r->base);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	(void)fd;
	(void)what;
	(void)event_base_loopbreak(r->base);
}

static void
run_drain(struct run *r)
{
	const struct timeval poll = { .tv_usec = IDLE_POLL_MS * 1000 };

	log_event(LEVEL_INFO, "drain", NULL,
	    "no more connections are accepted; sessions still open: %u",
	    atomic_load(&r->proxy->sessions));
	tell_stopping(r);
	proxy_drain(r->proxy);
	(void)event_add(r->idle, &poll);
}

/* The first signal drains, the second ends what is left now. */
static void
run_stop(struct run *r)
{
	const struct timeval limit = { .tv_sec = STOP_SECONDS };

	if (r->stops++ == 0) {
		run_drain(r);
	} else if (r->stops == 2) {
		proxy_stop(r->proxy);
		(void)event_add(r->limit, &limit);
	}
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)what;
	if (number == SIGUSR1)
		log_reopen();
	else
		run_stop(arg);
}

/*
 * Its life.
 */

static int
make_events(struct run *r, struct err *err)
{
	const struct timeval day = { .tv_sec = DAY_SECONDS };
	size_t i;

	if ((r->base = event_base_new()) == NULL)
		goto fail;
	r->daily = event_new(r->base, -1, EV_PERSIST, on_daily, r);
	r->idle = event_new(r->base, -1, EV_PERSIST, on_idle, r);
	r->limit = event_new(r->base, -1, 0, on_limit, r);
	if (r->daily == NULL || r->idle == NULL || r->limit == NULL ||
	    event_add(r->daily, &day) == -1)
		goto fail;
	for (i = 0; i < RUN_SIGNALS; i++) {
		r->signals[i] =
		    evsignal_new(r->base, run_signals[i], on_signal, r);
		if (r->signals[i] == NULL ||
		    event_add(r->signals[i], NULL) == -1)
			goto fail;
	}
	return 0;
fail:
	return err_set(err, "run: cannot make an event loop");
}

static void
free_events(struct run *r)
{
	size_t i;

	for (i = 0; i < RUN_SIGNALS; i++) {
		if (r->signals[i] != NULL)
			event_free(r->signals[i]);
	}
	if (r->daily != NULL)
		event_free(r->daily);
	if (r->idle != NULL)
		event_free(r->idle);
	if (r->limit != NULL)
		event_free(r->limit);
	if (r->base != NULL)
		event_base_free(r->base);
}

/* A session has two descriptors: what the system allows is not too many. */
static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int
fail(const struct err *err, enum exit_status status)
{
	error_print(err);
	return (int)status;
}

static int
run_loop(struct run *r, struct err *err)
{
	if (proxy_start(r->proxy, err) == -1)
		return fail(err, EXIT_INTERNAL);
	r->started = seconds_now();
	log_start(r);
	tell_ready(r);
	on_daily(-1, 0, r);
	if (event_base_dispatch(r->base) == -1) {
		(void)err_set(err, "run: the event loop has failed");
		return fail(err, EXIT_INTERNAL);
	}
	log_stop(r);
	return EXIT_YES;
}

/* All that needs root has been done, and there is one thread still. */
static int
give_up_root(const struct run *r, struct err *err)
{
	const struct privileges_plan *plan = &r->plan;
	size_t i;

	if (plan->changes) {
		log_give(plan->uid);
		for (i = 0; i < r->proxy->nsets; i++) {
			if (listener_set_give(r->proxy->sets[i], plan->uid,
				plan->gid, err) == -1)
				return -1;
		}
	}
	if (privileges_drop(plan, err) == -1)
		return -1;
	if (geteuid() == 0)
		log_event(LEVEL_WARN, "privileges", NULL,
		    "the proxy runs as root; name a user of its own with "
		    "`user`");
	return 0;
}

static int
run_config(const struct config *c, const struct problems *problems)
{
	struct run r = { .config = c };
	struct err err;
	int status;

	if (privileges_plan(c, &r.plan, &err) == -1 ||
	    privileges_possible(&r.plan, &err) == -1 ||
	    log_setup(c, &err) == -1)
		return fail(&err, EXIT_USAGE);
	log_generation(c->generation);
	log_loaded(c, problems);
	if (make_events(&r, &err) == -1)
		status = fail(&err, EXIT_INTERNAL);
	else if ((r.proxy = proxy_new(c, &err)) == NULL)
		status = fail(&err, EXIT_USAGE);
	else if (give_up_root(&r, &err) == -1)
		status = fail(&err, EXIT_USAGE);
	else
		status = run_loop(&r, &err);
	proxy_free(r.proxy);
	free_events(&r);
	return status;
}

static const struct config *
load(const char *path, const struct endpoint_flags *flags,
    struct problems *problems)
{
	const struct config *c;
	char *text;

	if (!endpoint_flags_given(flags))
		return config_load(path, problems);
	if ((text = endpoint_flags_text(flags)) == NULL) {
		problem_add(problems, false, NULL, 0, NULL, "out of memory");
		return NULL;
	}
	c = config_load_text(text, FLAGS_FILE, problems);
	free(text);
	return c;
}

static int
load_and_run(const char *path, const struct endpoint_flags *flags)
{
	struct problems problems = { 0 };
	const struct config *c = load(path, flags, &problems);
	int status = EXIT_USAGE;

	problems_print(&problems, stderr);
	if (c != NULL)
		status = run_config(c, &problems);
	else
		log_rejected(endpoint_flags_given(flags) ? FLAGS_FILE : path,
		    &problems);
	config_release(c);
	problems_fini(&problems);
	return status;
}

static int
parse(int argc, char **argv, const char **path, struct endpoint_flags *flags,
    struct err *err)
{
	const struct option table[] = {
		{ "config", 'c', OPTION_ONE, path },
		{ "engine", 0, OPTION_ONE, &flags->engine },
		{ "listen", 0, OPTION_ONE, &flags->listen },
		{ "server", 0, OPTION_ONE, &flags->server },
		{ "ssl-mode", 0, OPTION_ONE, &flags->ssl_mode },
		{ "ca", 0, OPTION_MANY, &flags->ca },
		{ "server-name", 0, OPTION_MANY, &flags->server_name },
		{ "allow", 0, OPTION_MANY, &flags->allow },
		{ NULL, 0, OPTION_FLAG, NULL },
	};

	if (options_parse(table, argc, argv, NULL, err) == -1)
		return -1;
	if (!endpoint_flags_given(flags))
		return 0;
	if (*path != NULL)
		return err_set(err,
		    "run: -c and an endpoint by flags exclude each other; "
		    "write the endpoint into the file");
	if (flags->engine == NULL || flags->listen == NULL ||
	    flags->server == NULL)
		return err_set(err,
		    "run: an endpoint by flags needs --engine, --listen and "
		    "--server; see `dbtls help run`");
	return 0;
}

static int
run_run(int argc, char **argv)
{
	struct endpoint_flags flags = { 0 };
	const char *path = NULL;
	struct err err;
	int status;

	(void)umask(RUN_UMASK);
	(void)signal(SIGUSR1, SIG_IGN); /* until there is a log to reopen */
	raise_descriptors();
	if (parse(argc, argv, &path, &flags, &err) == -1)
		status = fail(&err, EXIT_USAGE);
	else
		status = load_and_run(path != NULL ? path : CONFIG_DEFAULT_FILE,
		    &flags);
	endpoint_flags_fini(&flags);
	return status;
}

const struct command command_run = {
	.name = "run",
	.run = run_run,
	.usage = "run [-c FILE]\n"
		 "run --engine E --listen A:P --server H:P [--ssl-mode M] "
		 "[--ca F]...\n"
		 "    [--server-name N]... [--allow CIDR]...",
	.summary = "the proxy, in the foreground, until SIGTERM or SIGINT",
	.details =
	    "  -c FILE            the configuration; default:\n"
	    "                     " CONFIG_DEFAULT_FILE "\n\n"
	    "One endpoint without a file:\n"
	    "  --engine E         postgres, redshift, mysql, mariadb, mysqlx, "
	    "sqlserver,\n"
	    "                     oracle, sybase, mongodb, tls\n"
	    "  --listen A:P       where clients connect: 127.0.0.1:5432, "
	    "[::1]:5432, unix:/path\n"
	    "  --server H:P       the database\n"
	    "  --ssl-mode M       none, require, verify-ca, verify-full (the "
	    "default)\n"
	    "  --ca F             a file of CA certificates, or \"system\"; "
	    "may be repeated\n"
	    "  --server-name N    the name its certificate must bear, if not "
	    "the host's;\n"
	    "                     may be repeated\n"
	    "  --allow CIDR       who may connect, in clear; may be repeated; "
	    "needed beyond\n"
	    "                     loopback\n\n"
	    "SIGTERM, SIGINT: no more connections; sessions have `drain` "
	    "seconds to end;\na second one ends them now.  SIGUSR1 reopens "
	    "the log.  Exit status 0 after a\nsignal, 2 if it could not "
	    "start as configured.\n",
};
