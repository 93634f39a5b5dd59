#include <stdio.h>
#include <string.h>

#include "proxy/commands/commands.h"
#include "proxy/commands/options.h"

/* `usage` has a line for each form; one that goes on is indented. */
static void
print_usage(const struct command *c, const char *indent)
{
	const char *line = c->usage, *end;

	for (; *line != '\0'; line = *end == '\n' ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		(void)printf("%s%s%.*s\n", indent, *line == ' ' ? "" : "dbtls ",
		    (int)(end - line), line);
	}
}

static void
print_all(void)
{
	size_t i;

	(void)printf("dbtls - TLS between database clients and servers, "
		     "verified\n\n");
	for (i = 0; commands[i] != NULL; i++) {
		print_usage(commands[i], "  ");
		(void)printf("      %s\n", commands[i]->summary);
	}
	(void)printf("  dbtls --version\n      versions of dbtls and of the "
		     "libraries it uses\n\n"
		     "Exit status: 0 success; 1 refused by a policy or a "
		     "verification; 2 wrong\nusage or configuration; 3 not "
		     "reachable; 4 internal.\n"
		     "Manual: dbtls(1), dbtls.conf(5).\n");
}

static int
print_one(const char *name)
{
	size_t i;

	for (i = 0; commands[i] != NULL; i++) {
		if (strcmp(commands[i]->name, name) != 0)
			continue;
		print_usage(commands[i], "");
		(void)printf("\n%s.\n\n%s", commands[i]->summary,
		    commands[i]->details);
		return EXIT_YES;
	}
	(void)fprintf(stderr,
	    "dbtls: help: there is no command %s; see `dbtls --help`\n", name);
	return EXIT_USAGE;
}

static int
help_run(int argc, char **argv)
{
	static const struct option none[] = { { NULL, 0, OPTION_FLAG, NULL } };
	const char *name = NULL;
	struct err err;

	if (options_parse(none, argc, argv, &name, &err) == -1) {
		error_print(&err);
		return EXIT_USAGE;
	}
	if (name != NULL)
		return print_one(name);
	print_all();
	return EXIT_YES;
}

const struct command command_help = {
	.name = "help",
	.run = help_run,
	.usage = "help [COMMAND]",
	.summary = "what there is, or the details of one command",
	.details = "",
};
