/*
 * What a wrong word was perhaps meant to be, and what was expected instead.
 */
#include "conf/config_settings.h"

#include <stdio.h>
#include <string.h>

#include "conf/config.h"
#include "conf/config_options.h"
#include "conf/words.h"
#include "protocols/negotiator.h"

/* The last word of a path, with the group that it is in. */
static const char *
last_word(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot == NULL ? path : dot + 1;
}

static size_t
group_len(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot == NULL ? 0 : (size_t)(dot - path);
}

/* The words that may stand in a group, groups among them: "tls" of "tls.min".
 * Answers the length of the word, 0 if it is none of the group's. */
static size_t
member_of(const char *name, const char *group, const char **word)
{
	size_t len = strlen(group);

	if (len > 0 && (strncmp(name, group, len) != 0 || name[len] != '.'))
		return 0;
	*word = len == 0 ? name : name + len + 1;
	return strcspn(*word, ".");
}

static bool
suggest_member(enum setting_scope scope, const char *group, const char *wrong,
    char found[WORD_MAX + 1])
{
	size_t i, len, best = WORD_MAX;
	const char *word;
	char known[WORD_MAX + 1];

	for (i = 0; i < SETTING_NONE; i++) {
		const struct setting *s = setting_get((enum setting_id)i);

		if (s->scope != scope ||
		    (len = member_of(s->name, group, &word)) == 0 ||
		    len > WORD_MAX)
			continue;
		(void)snprintf(known, sizeof(known), "%.*s", (int)len, word);
		if (word_is_near(wrong, known, &best))
			memcpy(found, known, sizeof(known));
	}
	return best < WORD_MAX;
}

static const char *const scope_places[] = {
	[SCOPE_TOP] = "the top level of the main file",
	[SCOPE_ENDPOINT] = "an endpoint",
	[SCOPE_SERVER] = "a server",
};

/* The word itself as a setting, or as a group, of some scope. */
static bool
is_called(const struct setting *s, const char *word)
{
	size_t group = group_len(s->name);

	return strcmp(last_word(s->name), word) == 0 ||
	    (group > 0 && strlen(word) == group &&
		strncmp(s->name, word, group) == 0);
}

static const struct setting *
find_called(enum setting_scope scope, const char *word)
{
	const struct setting *s, *found = NULL;
	size_t i;

	for (i = 0; i < SETTING_NONE; i++) {
		s = setting_get((enum setting_id)i);
		if (!is_called(s, word))
			continue;
		if (s->scope == scope)
			return s;
		if (found == NULL)
			found = s;
	}
	return found;
}

/* The same word, but somewhere else. */
static void
suggest_place(enum setting_scope scope, const char *word, char *text,
    size_t size)
{
	const struct setting *s = find_called(scope, word);
	size_t group;

	if (s == NULL)
		return;
	group = group_len(s->name);
	if (group == 0 || strcmp(last_word(s->name), word) != 0)
		(void)snprintf(text, size, "; it belongs in %s",
		    scope_places[s->scope]);
	else
		(void)snprintf(text, size,
		    "; it belongs in the group \"%.*s\" of %s", (int)group,
		    s->name, scope_places[s->scope]);
}

void
setting_suggest(enum setting_scope scope, const char *group, const char *word,
    const char *engine, char *text, size_t size)
{
	size_t best = WORD_MAX;
	char found[WORD_MAX + 1];

	text[0] = '\0';
	if (suggest_member(scope, group, word, found))
		(void)snprintf(text, size, "; did you mean \"%s\"?", found);
	else if (scope == SCOPE_ENDPOINT && engine != NULL &&
	    group[0] == '\0' && word_is_near(word, engine, &best))
		(void)snprintf(text, size, "; did you mean \"%s\"?", engine);
	else
		suggest_place(scope, word, text, size);
}

void
choices_list(const char *const *choices, char *text, size_t size)
{
	size_t i, len = 0;

	text[0] = '\0';
	for (i = 0; choices[i] != NULL && len < size; i++) {
		const char *before = i == 0  ? ""
		    : choices[i + 1] == NULL ? " or "
					     : ", ";

		len += (size_t)snprintf(text + len, size - len, "%s\"%s\"",
		    before, choices[i]);
	}
}

int
choice_find(const char *const *choices, const char *word)
{
	int i;

	for (i = 0; choices[i] != NULL; i++) {
		if (strcmp(choices[i], word) == 0)
			return i;
	}
	return -1;
}

static void
expects_number(const struct setting *s, char *text, size_t size)
{
	(void)snprintf(text, size, "%s from %.10g to %.10g",
	    s->type == TYPE_COUNT ? "a whole number" : "a number of seconds",
	    s->min, s->max);
}

static void
expects_choice(const struct setting *s, char *text, size_t size)
{
	char words[256];

	choices_list(s->choices, words, sizeof(words));
	(void)snprintf(text, size, "%s", words);
}

void
setting_expects(const struct setting *s, char *text, size_t size)
{
	static const char *const plain[] = {
		[TYPE_BOOL] = "true or false, without quotes",
		[TYPE_TEXT] = "one string in double quotes",
		[TYPE_LIST] = "a string, or several in brackets: [ \"a\", "
			      "\"b\" ]",
		[TYPE_ENDPOINTS] = "a list of groups: ( { ... }, { ... } )",
		[TYPE_SERVERS] = "a string, or a list of strings and groups: "
				 "( \"a:1\", { address = \"b:1\"; } )",
		[TYPE_LABELS] = "a group of strings: { team = \"orders\"; }",
	};

	if (s->type == TYPE_COUNT || s->type == TYPE_SECONDS)
		expects_number(s, text, size);
	else if (s->type == TYPE_CHOICE)
		expects_choice(s, text, size);
	else
		(void)snprintf(text, size, "%s", plain[s->type]);
}

/* "endpoints[].server[].address". */
static const char *const scope_prefixes[] = {
	[SCOPE_TOP] = "",
	[SCOPE_ENDPOINT] = "endpoints[].",
	[SCOPE_SERVER] = "endpoints[].server[].",
};

static void
print_setting(FILE *to, const struct setting *s)
{
	static const char *const types[] = {
		[TYPE_BOOL] = "boolean",
		[TYPE_COUNT] = "count",
		[TYPE_SECONDS] = "seconds",
		[TYPE_CHOICE] = "choice",
		[TYPE_TEXT] = "string",
		[TYPE_LIST] = "list",
		[TYPE_ENDPOINTS] = "groups",
		[TYPE_SERVERS] = "servers",
		[TYPE_LABELS] = "labels",
	};

	(void)fprintf(to, "%s%s\t%s\t%s\t%s", scope_prefixes[s->scope], s->name,
	    types[s->type],
	    s->required               ? "(required)"
		: s->fallback != NULL ? s->fallback
				      : "(none)",
	    s->help);
	if (s->type == TYPE_COUNT || s->type == TYPE_SECONDS)
		(void)fprintf(to, " (%.10g to %.10g)", s->min, s->max);
	(void)fputc('\n', to);
}

/* A group that several engines have is printed with the one it is named
 * after. */
static void
print_engine(FILE *to, const struct neg_ops *ops)
{
	char path[WORD_MAX * 2];
	struct setting s;
	size_t i;

	if (strcmp(protocol_group(ops), ops->name) != 0)
		return;
	for (i = 0; i < options_count(ops); i++) {
		option_as_setting(&ops->options[i], &s);
		(void)snprintf(path, sizeof(path), "%s.%s", ops->name, s.name);
		s.name = path;
		print_setting(to, &s);
	}
}

void
config_print_options(FILE *to)
{
	const struct neg_ops *ops;
	size_t i;

	for (i = 0; i < SETTING_NONE; i++)
		print_setting(to, setting_get((enum setting_id)i));
	for (i = 0; (ops = protocol_nth(i)) != NULL; i++)
		print_engine(to, ops);
}
