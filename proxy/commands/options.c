#include "proxy/commands/options.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/words.h"

#define OPTIONS_MAX 32

void
error_print(const struct err *err)
{
	(void)fprintf(stderr, "dbtls: %s\n", err->text);
}

void
words_fini(struct words *w)
{
	free(w->list);
	w->list = NULL;
	w->n = 0;
}

static int
words_add(struct words *w, const char *word, struct err *err)
{
	const char **list;

	list = realloc(w->list, (w->n + 1) * sizeof(*list));
	if (list == NULL)
		return err_set(err, "arguments: out of memory");
	w->list = list;
	w->list[w->n++] = word;
	return 0;
}

static int
fail_unknown(const struct option *table, const char *command,
    const char *argument, const char *name, struct err *err)
{
	const char *names[OPTIONS_MAX + 1] = { NULL };
	const char *near;
	size_t i;

	for (i = 0; i < OPTIONS_MAX && table[i].name != NULL; i++)
		names[i] = table[i].name;
	if (name != NULL && (near = word_suggest(name, names)) != NULL)
		return err_set(err, "%s: unknown option; did you mean --%s?",
		    argument, near);
	return err_set(err, "%s: unknown option; see `dbtls help %s`", argument,
	    command);
}

/* What an argument says: an option, and its value if it is attached. */
struct parsed {
	const struct option *option;
	const char *value; /* NULL: the next argument */
};

static int
parse_long(const struct option *table, const char *command,
    const char *argument, struct parsed *p, struct err *err)
{
	const char *name = argument + strlen("--");
	size_t len = strcspn(name, "=");
	char word[WORD_MAX];

	for (p->option = table; p->option->name != NULL; p->option++) {
		if (strlen(p->option->name) == len &&
		    strncmp(p->option->name, name, len) == 0)
			break;
	}
	p->value = name[len] == '=' ? name + len + 1 : NULL;
	if (p->option->name != NULL)
		return 0;
	(void)snprintf(word, sizeof(word), "%.*s", (int)len, name);
	return fail_unknown(table, command, argument, word, err);
}

static int
parse_short(const struct option *table, const char *command,
    const char *argument, struct parsed *p, struct err *err)
{
	for (p->option = table; p->option->name != NULL; p->option++) {
		if (p->option->letter == argument[1])
			break;
	}
	p->value = argument[2] != '\0' ? argument + 2 : NULL;
	if (p->option->name != NULL)
		return 0;
	return fail_unknown(table, command, argument, NULL, err);
}

static int
store_one(const struct parsed *p, struct err *err)
{
	const char **into = p->option->into;

	if (*into != NULL)
		return err_set(err, "--%s: given twice; give it once",
		    p->option->name);
	*into = p->value;
	return 0;
}

static int
store(const struct parsed *p, struct err *err)
{
	switch (p->option->kind) {
	case OPTION_FLAG:
		*(bool *)p->option->into = true;
		return 0;
	case OPTION_ONE:
		return store_one(p, err);
	case OPTION_MANY:
		return words_add(p->option->into, p->value, err);
	}
	return -1;
}

static int
check_value(const struct parsed *p, const char *command, struct err *err)
{
	const char *name = p->option->name;

	if (p->option->kind == OPTION_FLAG) {
		if (p->value == NULL)
			return 0;
		return err_set(err, "--%s: takes no value; leave it out", name);
	}
	if (p->value != NULL && p->value[0] != '\0')
		return 0;
	return err_set(err, "--%s: needs a value; see `dbtls help %s`", name,
	    command);
}

static int
take_operand(const char *argument, const char *command, const char **operand,
    struct err *err)
{
	if (operand == NULL)
		return err_set(err,
		    "%s: %s takes options only; see `dbtls help %s`", argument,
		    command, command);
	if (*operand != NULL)
		return err_set(err,
		    "%s: one too many, after %s; see `dbtls help %s`", argument,
		    *operand, command);
	*operand = argument;
	return 0;
}

/* Takes the option at argv[*i], and moves *i to the last word of it. */
static int
take_option(const struct option *table, char **argv, int *i, struct err *err)
{
	const char *argument = argv[*i];
	struct parsed p;
	int result;

	if (strncmp(argument, "--", strlen("--")) == 0)
		result = parse_long(table, argv[0], argument, &p, err);
	else
		result = parse_short(table, argv[0], argument, &p, err);
	if (result == -1)
		return -1;
	if (p.value == NULL && p.option->kind != OPTION_FLAG &&
	    argv[*i + 1] != NULL)
		p.value = argv[++*i];
	if (check_value(&p, argv[0], err) == -1)
		return -1;
	return store(&p, err);
}

int
options_parse(const struct option *table, int argc, char **argv,
    const char **operand, struct err *err)
{
	bool over = false;
	int i, result;

	for (i = 1; i < argc; i++) {
		if (!over && strcmp(argv[i], "--") == 0) {
			over = true;
			continue;
		}
		if (over || argv[i][0] != '-' || argv[i][1] == '\0')
			result = take_operand(argv[i], argv[0], operand, err);
		else
			result = take_option(table, argv, &i, err);
		if (result == -1)
			return -1;
	}
	return 0;
}

bool
endpoint_flags_given(const struct endpoint_flags *f)
{
	return f->engine != NULL || f->listen != NULL || f->server != NULL ||
	    f->ssl_mode != NULL || f->ca.n + f->crl.n + f->pin.n > 0 ||
	    f->server_name.n + f->allow.n > 0;
}

void
endpoint_flags_fini(struct endpoint_flags *f)
{
	words_fini(&f->ca);
	words_fini(&f->crl);
	words_fini(&f->pin);
	words_fini(&f->server_name);
	words_fini(&f->allow);
}

/* As a string of libconfig: what could end it, or begin an escape, or break
 * the line, is an escape itself. */
static void
write_string(FILE *to, const char *s)
{
	(void)fputc('"', to);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			(void)fprintf(to, "\\%c", *s);
		else if (*s < 0x20 || *s >= 0x7f)
			(void)fprintf(to, "\\x%02x", (unsigned char)*s);
		else
			(void)fputc(*s, to);
	}
	(void)fputc('"', to);
}

static void
write_setting(FILE *to, const char *name, const char *value)
{
	if (value == NULL)
		return;
	(void)fprintf(to, "%s = ", name);
	write_string(to, value);
	(void)fputs("; ", to);
}

static void
write_list(FILE *to, const char *name, const struct words *w)
{
	size_t i;

	if (w->n == 0)
		return;
	(void)fprintf(to, "%s = [ ", name);
	for (i = 0; i < w->n; i++) {
		(void)fputs(i > 0 ? ", " : "", to);
		write_string(to, w->list[i]);
	}
	(void)fputs(" ]; ", to);
}

/* Whoever says who may come in has seen that the client leg is in clear, so
 * that is written out, as a listener beyond loopback needs it. */
static void
write_endpoint(FILE *to, const struct endpoint_flags *f)
{
	write_setting(to, "name", FLAGS_ENDPOINT);
	write_setting(to, "engine", f->engine);
	write_setting(to, "listen", f->listen);
	write_setting(to, "server", f->server);
	write_setting(to, "ssl_mode", f->ssl_mode);
	write_list(to, "ca", &f->ca);
	write_list(to, "crl", &f->crl);
	write_list(to, "pin", &f->pin);
	write_list(to, "server_name", &f->server_name);
	write_list(to, "allow", &f->allow);
	if (f->allow.n > 0)
		(void)fputs("client_tls = { mode = \"off\"; }; ", to);
}

char *
endpoint_flags_text(const struct endpoint_flags *f)
{
	char *text = NULL;
	size_t len;
	FILE *to;

	if ((to = open_memstream(&text, &len)) == NULL)
		return NULL;
	(void)fputs("endpoints = ( { ", to);
	write_endpoint(to, f);
	(void)fputs("} );\n", to);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}
