/*
 * options.h - arguments of the subcommands, and an endpoint made of flags
 *
 * A command describes its options in a table and parses once.  An endpoint by
 * flags becomes the text of a configuration, with every value quoted, so what
 * is checked is checked where files are checked.
 *
 *	struct endpoint_flags flags = { 0 };
 *	const char *path = NULL;
 *	const struct option table[] = {
 *		{ "config", 'c', OPTION_ONE, &path },
 *		{ "engine", 0, OPTION_ONE, &flags.engine },
 *		{ "ca", 0, OPTION_MANY, &flags.ca },
 *		{ NULL, 0, OPTION_FLAG, NULL },
 *	};
 *
 *	if (options_parse(table, argc, argv, NULL, &err) == -1)
 *		...
 *	endpoint_flags_fini(&flags);
 */
#ifndef PROXY_COMMANDS_OPTIONS_H
#define PROXY_COMMANDS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/err.h"

/* The values of an option that may be given several times; they point into
 * argv. */
struct words {
	const char **list;
	size_t n;
};
void words_fini(struct words *w);

enum option_kind {
	OPTION_FLAG = 0, /* bool */
	OPTION_ONE,      /* const char *: a value, once */
	OPTION_MANY,     /* struct words: a value, any number of times */
};

struct option {
	const char *name; /* without "--"; NULL ends a table */
	char letter;      /* 0: none */
	enum option_kind kind;
	void *into; /* as its kind says; zero before parsing */
};

/* Takes "--name value", "--name=value", "-c value" and "-cvalue"; "--" ends
 * the options.  The one operand goes to `operand`; NULL: none is allowed.
 * -1 with `err`, whose remedy names argv[0], the command. */
int options_parse(const struct option *table, int argc, char **argv,
    const char **operand, struct err *err) __attribute__((warn_unused_result));

/* Prints err as an error of this program. */
void error_print(const struct err *err);

/* One endpoint, as `run --engine ...` and `test --engine ...` have it. */
struct endpoint_flags {
	const char *engine;
	const char *listen;
	const char *server;
	const char *ssl_mode; /* NULL: the default */
	struct words ca;
	struct words crl;
	struct words pin;
	struct words server_name;
	struct words allow;
};
#define FLAGS_ENDPOINT "default" /* what such an endpoint is called */
#define FLAGS_FILE     "command line"

bool endpoint_flags_given(const struct endpoint_flags *f);
/* For config_load_text(); to be freed.  NULL if memory is short. */
char *endpoint_flags_text(const struct endpoint_flags *f);
void endpoint_flags_fini(struct endpoint_flags *f);

#endif /* PROXY_COMMANDS_OPTIONS_H */
