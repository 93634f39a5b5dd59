#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "conf/words.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/options.h"
#include "proxy/privileges.h"
#include "proxy/tls.h"

const struct command *const commands[] = {
	&command_run,
	&command_check,
	&command_test,
	&command_verify,
	&command_cert,
	&command_bridge,
	&command_help,
	NULL,
};
#define COMMANDS_MAX (sizeof(commands) / sizeof(commands[0]))

static int
print_version(void)
{
	(void)printf("dbtls %s\n%s\nlibevent %s\n", DBTLS_VERSION,
	    tls_library_version(), event_get_version());
	return EXIT_YES;
}

static int
fail_unknown(const char *name)
{
	const char *names[COMMANDS_MAX] = { NULL };
	const char *near;
	size_t i;

	for (i = 0; commands[i] != NULL; i++)
		names[i] = commands[i]->name;
	near = word_suggest(name, names);
	if (near != NULL)
		(void)fprintf(stderr,
		    "dbtls: %s: no such command; did you mean %s?\n", name,
		    near);
	else
		(void)fprintf(stderr,
		    "dbtls: %s: no such command; see `dbtls --help`\n", name);
	return EXIT_USAGE;
}

static const struct command *
command_find(const char *name)
{
	size_t i;

	for (i = 0; commands[i] != NULL; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

static bool
is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int
run_command(int argc, char **argv)
{
	const struct command *c = command_find(argv[0]);
	char *help[] = { (char[]){ "help" }, argv[0], NULL };

	if (c == NULL)
		return fail_unknown(argv[0]);
	if (argc == 2 && is_help(argv[1]))
		return command_help.run(2, help);
	return c->run(argc, argv);
}

static int
dispatch(int argc, char **argv)
{
	char *help[] = { (char[]){ "help" }, NULL };

	if (argc < 2) {
		(void)fprintf(stderr,
		    "dbtls: no command; see `dbtls --help`\n");
		return EXIT_USAGE;
	}
	if (is_help(argv[1]))
		return command_help.run(1, help);
	if (strcmp(argv[1], "--version") == 0)
		return print_version();
	return run_command(argc - 1, argv + 1);
}

/* A descriptor that was closed when we were started would be given to the
 * first socket, and what is meant for standard error would go there. */
static void
open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd != -1 && fd <= STDERR_FILENO);
	if (fd != -1)
		(void)close(fd);
}

int
main(int argc, char **argv)
{
	struct err err;
	int status;

	open_standard();
	(void)signal(SIGPIPE, SIG_IGN);
	if (privileges_begin(&err) == -1 || tls_init(&err) == -1) {
		error_print(&err);
		return EXIT_INTERNAL;
	}
	status = dispatch(argc, argv);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	(void)fprintf(stderr,
	    "dbtls: standard output: %s; not all of it was written\n",
	    strerror(errno));
	return EXIT_INTERNAL;
}
