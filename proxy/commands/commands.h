/*
 * commands.h - the subcommands of the program, one file each
 *
 * Each takes its own argv (argv[0] is the subcommand's name) and returns the
 * exit status.  Errors go to standard error as `dbtls: WHAT: WHY; REMEDY`.
 */
#ifndef PROXY_COMMANDS_COMMANDS_H
#define PROXY_COMMANDS_COMMANDS_H

enum exit_status {
	EXIT_YES = 0,
	EXIT_REFUSED = 1, /* a policy or a verification said no */
	EXIT_USAGE = 2,   /* wrong usage or configuration */
	EXIT_UNREACHABLE = 3,
	EXIT_INTERNAL = 4,
};

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;   /* lines after "usage: dbtls " */
	const char *summary; /* one line */
	const char *details; /* for `dbtls help NAME` */
};

extern const struct command command_bridge;
extern const struct command command_cert;
extern const struct command command_check;
extern const struct command command_help;
extern const struct command command_run;
extern const struct command command_test;
extern const struct command command_verify;

/* All of them in the order of the help text, NULL after the last. */
extern const struct command *const commands[];

#endif /* PROXY_COMMANDS_COMMANDS_H */
