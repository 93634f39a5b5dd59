#include "proxy/commands/bridge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/commands/commands.h"

#define BRIDGE_NUMBER     219 /* 0xdb: of the mark, the table and the rule */
#define BRIDGE_TABLE_LAST 252 /* 253 to 255 are the kernel's */
#define INTERFACE_MAX     15  /* bytes of a name */
#define USER_MAX          32

struct bridge_run {
	const char *path;
	const char *what; /* "rules" */
	const char *mark;
	const char *table;
	struct bridge_options options;
	bool down;
	bool names;
};

static int
parse_number(const char *option, const char *text, uint32_t most,
    uint32_t *into, struct err *err)
{
	unsigned long value;
	char *end;

	if (text == NULL)
		return 0;
	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' ||
	    value == 0 || value > most)
		return err_set(err,
		    "bridge: --%s: \"%s\" is no number from 1 to %lu", option,
		    text, (unsigned long)most);
	*into = (uint32_t)value;
	return 0;
}

/* What may stand in the rules of nft without being quoted, or in a shell's. */
static bool
is_word(const char *text, size_t most)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-.";
	size_t len = strlen(text);

	return len > 0 && len <= most && text[0] != '-' && text[0] != '.' &&
	    strspn(text, letters) == len;
}

static int
check_words(const struct bridge_options *o, struct err *err)
{
	struct cidr cidr;
	size_t i;

	for (i = 0; i < o->interfaces.n; i++) {
		if (!is_word(o->interfaces.list[i], INTERFACE_MAX))
			return err_set(err,
			    "bridge: --interface: \"%s\" is no name of an "
			    "interface",
			    o->interfaces.list[i]);
	}
	for (i = 0; i < o->pass.n; i++) {
		if (!cidr_parse(o->pass.list[i], &cidr) ||
		    cidr_is_everyone(&cidr))
			return err_set(err,
			    "bridge: --pass: \"%s\" is no network that could "
			    "be let pass; write 10.9.0.0/16",
			    o->pass.list[i]);
	}
	if (o->local != NULL && !is_word(o->local, USER_MAX))
		return err_set(err, "bridge: --local: \"%s\" is no user",
		    o->local);
	return 0;
}

static int
parse(struct bridge_run *r, int argc, char **argv, struct err *err)
{
	const struct option table[] = {
		{ "config", 'c', OPTION_ONE, &r->path },
		{ "down", 0, OPTION_FLAG, &r->down },
		{ "names", 0, OPTION_FLAG, &r->names },
		{ "interface", 'i', OPTION_MANY, &r->options.interfaces },
		{ "pass", 0, OPTION_MANY, &r->options.pass },
		{ "local", 0, OPTION_ONE, &r->options.local },
		{ "mark", 0, OPTION_ONE, &r->mark },
		{ "table", 0, OPTION_ONE, &r->table },
		{ NULL, 0, OPTION_FLAG, NULL },
	};

	if (options_parse(table, argc, argv, &r->what, err) == -1)
		return -1;
	if (r->what == NULL || strcmp(r->what, "rules") != 0)
		return err_set(err,
		    "bridge: it takes the word rules; see `dbtls help bridge`");
	if (r->down && r->names)
		return err_set(err,
		    "bridge: --down and --names exclude each other; --down "
		    "takes the names down as well");
	if (parse_number("mark", r->mark, UINT32_MAX, &r->options.mark, err) ==
		-1 ||
	    parse_number("table", r->table, BRIDGE_TABLE_LAST,
		&r->options.table, err) == -1)
		return -1;
	return check_words(&r->options, err);
}

static int
fail(const struct err *err, enum exit_status status)
{
	error_print(err);
	return (int)status;
}

static int
print(const struct bridge_run *r, const struct config *c)
{
	struct bridge b;
	size_t missing = 0;
	struct err err;
	int status = EXIT_YES;

	if (bridge_init(&b, c, &r->options, &err) == -1)
		return fail(&err, EXIT_USAGE);
	if (!r->names)
		bridge_print_up(&b, stdout);
	else if (bridge_print_names(&b, stdout, &missing, &err) == -1)
		status = fail(&err, EXIT_INTERNAL);
	else if (missing > 0)
		status = EXIT_UNREACHABLE;
	bridge_fini(&b);
	return status;
}

static int
load_and_print(const struct bridge_run *r)
{
	struct problems problems = { 0 };
	struct config *c = config_load(r->path, &problems);
	int status = EXIT_USAGE;

	/* Warnings are for `dbtls check`: this is run each minute. */
	if (c != NULL)
		status = print(r, c);
	else
		problems_print(&problems, stderr);
	config_release(c);
	problems_fini(&problems);
	return status;
}

static int
bridge_run(int argc, char **argv)
{
	struct bridge_run r = {
		.path = NULL,
		.options = { .mark = BRIDGE_NUMBER, .table = BRIDGE_NUMBER },
	};
	struct err err;
	int status = EXIT_YES;

	if (parse(&r, argc, argv, &err) == -1) {
		status = fail(&err, EXIT_USAGE);
	} else if (r.down) {
		bridge_print_down(&r.options, stdout);
	} else {
		if (r.path == NULL)
			r.path = CONFIG_DEFAULT_FILE;
		status = load_and_print(&r);
	}
	words_fini(&r.options.interfaces);
	words_fini(&r.options.pass);
	return status;
}

const struct command command_bridge = {
	.name = "bridge",
	.run = bridge_run,
	.usage = "bridge rules [-c FILE] [--down | --names] "
		 "[--interface I]...\n"
		 "    [--pass CIDR]... [--local USER] [--mark N] [--table N]",
	.summary = "nftables rules and routes for transparent endpoints",
	.details =
	    "Prints a script for a shell: what brings connections to databases "
	    "to the\nlisteners of transparent endpoints, and nothing else to "
	    "them.  Changes nothing.\n\n"
	    "  -c, --config FILE  the configuration; default:\n"
	    "                     " CONFIG_DEFAULT_FILE "\n"
	    "      --down         what takes it all away; needs no "
	    "configuration\n"
	    "      --names        resolve the servers' names now, and put the "
	    "answers into\n"
	    "                     the sets of rules that are in force; to be "
	    "run each minute\n"
	    "  -i, --interface I  only what comes in by it; may be repeated\n"
	    "      --pass CIDR    destinations that are let pass by; may be "
	    "repeated\n"
	    "      --local USER   programs on this host as well, but for those "
	    "of USER,\n"
	    "                     as whom dbtls runs\n"
	    "      --mark N       of packets that are delivered here; default "
	    "219\n"
	    "      --table N      of routes; default 219\n\n"
	    "  dbtls bridge rules | sh         puts them in force\n"
	    "  dbtls bridge rules --down | sh  and takes them away\n\n"
	    "Exit status: 0, 2 if the configuration is refused or has nothing "
	    "for a bridge,\n3 if a name was not resolved.\n",
};
