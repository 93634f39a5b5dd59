/*
 * load.c - one measurement
 *
 *	load MODE [NAME=VALUE]...
 *	load window [NAME=VALUE]... -- COMMAND...
 *
 * MODE is bulk, trips, idle, handshakes or limits; a line of names and values
 * is printed.  `window` measures while COMMAND runs, whose output is dropped;
 * `version` says which OpenSSL this is linked with.
 *
 *	port=N		of the proxy, on 127.0.0.1
 *	listen=N	ours, to which the proxy goes
 *	pid=N		of the proxy: cpu= is what it and its children took
 *	ours=N		a process whose children are all that is not "others"
 *	connections=N bytes=N record=N seconds=N
 *	tls=back|front|none	which of our ends has TLS: the database, the
 *				client (a proxy that ends TLS), or neither
 *	direction=up|down	up is from the client to the database
 *	verify=1	every byte is compared
 *	resume=1	tickets are handed out
 *	cert=FILE key=FILE ca=FILE suite=NAME limit=SECONDS
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/load.h"

#define DECIMAL 10

static unsigned long
number(const char *text)
{
	return strtoul(text, NULL, DECIMAL);
}

static bool
option_number(struct options *o, const char *name, const char *value)
{
	const struct {
		const char *name;
		size_t *to;
	} sizes[] = { { "connections", &o->connections },
		{ "bytes", &o->bytes }, { "record", &o->record } };
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (strcmp(name, sizes[i].name) == 0) {
			*sizes[i].to = number(value);
			return true;
		}
	}
	if (strcmp(name, "port") == 0)
		o->port = (unsigned)number(value);
	else if (strcmp(name, "listen") == 0)
		o->listen = (unsigned)number(value);
	else if (strcmp(name, "pid") == 0)
		o->pid = (pid_t)number(value);
	else if (strcmp(name, "ours") == 0)
		o->ours = (pid_t)number(value);
	else if (strcmp(name, "seconds") == 0)
		o->seconds = strtod(value, NULL);
	else if (strcmp(name, "verify") == 0)
		o->verify = number(value) != 0;
	else if (strcmp(name, "resume") == 0)
		o->resume = number(value) != 0;
	else if (strcmp(name, "limit") == 0)
		(void)alarm((unsigned)number(value));
	else
		return false;
	return true;
}

static bool
option_word(struct options *o, const char *name, const char *value)
{
	if (strcmp(name, "cert") == 0)
		o->cert = value;
	else if (strcmp(name, "key") == 0)
		o->key = value;
	else if (strcmp(name, "ca") == 0)
		o->ca = value;
	else if (strcmp(name, "suite") == 0)
		o->suite = value;
	else if (strcmp(name, "direction") == 0)
		o->up = strcmp(value, "up") == 0;
	else if (strcmp(name, "tls") == 0)
		o->tls = strcmp(value, "back") == 0 ? TLS_BACK
		    : strcmp(value, "front") == 0   ? TLS_FRONT
						    : TLS_NONE;
	else
		return false;
	return true;
}

/* How many words were options; -1: one of them is none that there is. */
static int
options_parse(struct options *o, char **words)
{
	char *value;
	int n;

	for (n = 0; words[n] != NULL && strcmp(words[n], "--") != 0; n++) {
		value = strchr(words[n], '=');
		if (value == NULL)
			return -1;
		*value++ = '\0';
		if (!option_number(o, words[n], value) &&
		    !option_word(o, words[n], value))
			return -1;
	}
	return n;
}

/* Both ends of thousands of connections are in one process. */
static void
raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static bool
run_window(const struct options *o, char **command)
{
	struct usage from, to;
	int status = -1;
	pid_t child;

	if (command[0] == NULL)
		return false;
	usage_read(&from, o->pid, o->ours);
	child = fork();
	if (child == 0) {
		/* What it prints is not what is measured. */
		if (freopen("/dev/null", "w", stdout) == NULL)
			_exit(127);
		(void)execvp(command[0], command);
		_exit(127);
	}
	if (child == -1 || waitpid(child, &status, 0) != child)
		return false;
	usage_read(&to, o->pid, o->ours);
	printf("status=%d", status);
	load_print(&from, &to);
	return status == 0;
}

static bool
run(const char *mode, const struct options *o, char **command)
{
	if (strcmp(mode, "bulk") == 0)
		return run_bulk(o);
	if (strcmp(mode, "trips") == 0)
		return run_trips(o);
	if (strcmp(mode, "idle") == 0)
		return run_idle(o);
	if (strcmp(mode, "handshakes") == 0)
		return run_handshakes(o);
	if (strcmp(mode, "limits") == 0)
		return run_limits(o);
	if (strcmp(mode, "version") == 0)
		return puts(OpenSSL_version(OPENSSL_VERSION)) >= 0;
	return strcmp(mode, "window") == 0 && run_window(o, command);
}

int
main(int argc, char **argv)
{
	struct options o = { .connections = 1,
		.record = 16384,
		.ours = getpid(),
		.tls = TLS_BACK,
		.up = true,
		.suite = "TLS_AES_256_GCM_SHA384" };
	int n = argc < 2 ? -1 : options_parse(&o, argv + 2);
	char **command;

	if (n == -1) {
		(void)fputs(
		    "usage: load MODE [NAME=VALUE]... [-- COMMAND...]\n",
		    stderr);
		return 2;
	}
	raise_descriptors();
	command = argv + 2 + n;
	if (*command != NULL)
		command++;
	return run(argv[1], &o, command) ? 0 : 1;
}
