#include "conf/config_scan.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 16 /* groups within groups */
#define SETTINGS_MAX \
	4096 /* in one group: duplicates are looked for one by one */
#define PATH_MAX_LEN 256
#define SHOWN_MAX    40 /* of a word in a message */

enum token_kind {
	TOKEN_END = 0,
	TOKEN_NAME, /* true and false too */
	TOKEN_STRING,
	TOKEN_NUMBER,
	TOKEN_MARK,  /* one character: = : , ; and brackets */
	TOKEN_WRONG, /* said already, and nothing after it can be trusted */
};

struct token {
	enum token_kind kind;
	char *at;
	size_t len;
	unsigned line;
};

struct seen {
	const char *at;
	size_t len;
	unsigned line;
};

struct scan {
	const char *file;
	struct problems *problems;
	char *at, *end;
	unsigned line;
	struct token token; /* the one being looked at */

	char path[PATH_MAX_LEN];
	unsigned depth;
	struct seen *seen; /* names of the groups that are open */
	size_t nseen, cap;
	bool fatal;
};

static void scan_problem(struct scan *s, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static bool scan_value(struct scan *s);

static void
scan_problem(struct scan *s, unsigned line, const char *fmt, ...)
{
	char words[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	problem_add(s->problems, false, s->file, line, s->path, "%s", words);
}

/* What nothing after it can be understood without. */
static bool
scan_fail(struct scan *s)
{
	s->fatal = true;
	s->token.kind = TOKEN_WRONG;
	return false;
}

static int
shown_len(size_t len)
{
	return len > SHOWN_MAX ? SHOWN_MAX : (int)len;
}

static int
shown(const struct token *t)
{
	return shown_len(t->len);
}

static bool
is_mark(const struct scan *s, char c)
{
	return s->token.kind == TOKEN_MARK && *s->token.at == c;
}

/* Up to the end of the line, or of the comment. */
static bool
skip_comment(struct scan *s)
{
	unsigned line = s->line;
	char *from = s->at;

	if (*s->at == '#' || s->at[1] == '/') {
		while (s->at < s->end && *s->at != '\n')
			s->at++;
		/* In the last line libconfig wants it to end in a newline. */
		if (s->at == s->end)
			memset(from, ' ', (size_t)(s->at - from));
		return true;
	}
	for (s->at += 2; s->at + 1 < s->end; s->at++) {
		if (s->at[0] == '*' && s->at[1] == '/') {
			s->at += 2;
			return true;
		}
		if (*s->at == '\n')
			s->line++;
	}
	scan_problem(s, line, "the comment that begins here never ends");
	return scan_fail(s);
}

static bool
at_comment(const struct scan *s)
{
	return *s->at == '#' ||
	    (*s->at == '/' && s->at + 1 < s->end &&
		(s->at[1] == '/' || s->at[1] == '*'));
}

static bool
skip_blanks(struct scan *s)
{
	while (s->at < s->end) {
		if (at_comment(s)) {
			if (!skip_comment(s))
				return false;
		} else if (strchr(" \t\r\n\f\v", *s->at) != NULL) {
			if (*s->at == '\n')
				s->line++;
			s->at++;
		} else {
			return true;
		}
	}
	return true;
}

static bool
is_hex(const char *at, const char *end)
{
	return end - at > 3 && isxdigit((unsigned char)at[2]) &&
	    isxdigit((unsigned char)at[3]);
}

/* A backslash in a string; libconfig keeps those that it does not know. */
static void
scan_escape(struct scan *s)
{
	char c = '\0';

	if (s->at + 1 < s->end)
		c = s->at[1];
	if (c == 'x' && is_hex(s->at, s->end)) {
		if (s->at[2] == '0' && s->at[3] == '0') {
			scan_problem(s, s->line,
			    "\"\\x00\" would end the string here");
			s->at[2] = '4';
		}
		s->at += 4;
		return;
	}
	if (c == '\0' || strchr("\\\"nrtf", c) == NULL)
		scan_problem(s, s->line,
		    "a backslash stands before what it cannot escape; write "
		    "\"\\\\\" for a backslash");
	s->at += c == '\0' || c == '\n' ? 1 : 2;
}

static bool
scan_string(struct scan *s)
{
	unsigned line = s->line;

	for (s->at++; s->at < s->end && *s->at != '\n';) {
		if (*s->at == '"') {
			s->at++;
			return true;
		}
		if (*s->at == '\\')
			scan_escape(s);
		else
			s->at++;
	}
	scan_problem(s, line,
	    "the string is not closed on its line; is a \" missing?");
	return scan_fail(s);
}

static bool
is_word_character(char c)
{
	return isalnum((unsigned char)c) || strchr("_.*+-", c) != NULL;
}

static bool
begins_number(const char *at)
{
	return isdigit((unsigned char)*at) || strchr("+-.", *at) != NULL;
}

static bool
scan_wrong_byte(struct scan *s)
{
	unsigned char c = (unsigned char)*s->at;

	if (c == '@')
		scan_problem(s, s->line,
		    "@include is not taken; write include = [ \"FILE\" ]; at "
		    "the top level of the main file");
	else if (c == '\'')
		scan_problem(s, s->line,
		    "strings stand in double quotes, not in single ones");
	else if (isprint(c))
		scan_problem(s, s->line, "'%c' has no meaning here", c);
	else
		scan_problem(s, s->line,
		    "the byte 0x%02x stands outside of any string or comment",
		    c);
	return scan_fail(s);
}

/* Looks at the next token; false if there can be none. */
static bool
scan_next(struct scan *s)
{
	char *from;

	if (s->token.kind == TOKEN_WRONG || !skip_blanks(s))
		return false;
	from = s->at;
	s->token = (struct token){ .at = from, .line = s->line };
	if (s->at == s->end)
		return true;
	if (*s->at == '"') {
		s->token.kind = TOKEN_STRING;
		if (!scan_string(s))
			return false;
	} else if (strchr("=:,;(){}[]", *s->at) != NULL) {
		s->token.kind = TOKEN_MARK;
		s->at++;
	} else if (is_word_character(*s->at)) {
		s->token.kind =
		    begins_number(s->at) ? TOKEN_NUMBER : TOKEN_NAME;
		while (s->at < s->end && is_word_character(*s->at))
			s->at++;
	} else {
		return scan_wrong_byte(s);
	}
	s->token.len = (size_t)(s->at - from);
	return true;
}

static size_t
path_push(struct scan *s, const char *name, size_t len)
{
	size_t before = strlen(s->path);

	(void)snprintf(s->path + before, sizeof(s->path) - before, "%s%.*s",
	    before == 0 ? "" : ".", (int)len, name);
	return before;
}

static size_t
path_push_index(struct scan *s, size_t i)
{
	size_t before = strlen(s->path);

	(void)snprintf(s->path + before, sizeof(s->path) - before, "[%zu]", i);
	return before;
}

/* Remembers a name of the group whose names begin at `first`. */
static bool
scan_unique(struct scan *s, size_t first)
{
	const struct token *t = &s->token;
	struct seen *seen;
	size_t i;

	for (i = first; i < s->nseen; i++) {
		if (s->seen[i].len == t->len &&
		    memcmp(s->seen[i].at, t->at, t->len) == 0) {
			scan_problem(s, t->line,
			    "is set twice; the first time in line %u",
			    s->seen[i].line);
			s->fatal = true;
			return true;
		}
	}
	if (s->nseen - first >= SETTINGS_MAX) {
		scan_problem(s, t->line,
		    "is one too many; a group may have %d settings",
		    SETTINGS_MAX);
		return scan_fail(s);
	}
	if (s->nseen == s->cap) {
		s->cap = s->cap == 0 ? 64 : s->cap * 2;
		seen = reallocarray(s->seen, s->cap, sizeof(*seen));
		if (seen == NULL) {
			scan_problem(s, t->line, "out of memory");
			return scan_fail(s);
		}
		s->seen = seen;
	}
	s->seen[s->nseen++] = (struct seen){ t->at, t->len, t->line };
	return true;
}

/* An integer as libconfig has it; "L" says that it may be long. */
static bool
is_integer(const char *word, int *base)
{
	size_t digits;

	*base = 10;
	if (word[0] == '0' && (word[1] == 'x' || word[1] == 'X')) {
		*base = 16;
		word += 2;
		digits = strspn(word, "0123456789abcdefABCDEF");
	} else {
		word += *word == '+' || *word == '-';
		digits = strspn(word, "0123456789");
	}
	if (digits == 0)
		return false;
	word += digits;
	return *word == '\0' || strcmp(word, "L") == 0 ||
	    strcmp(word, "LL") == 0;
}

static bool
fits_int(const char *word, int base)
{
	long long n;

	errno = 0;
	n = strtoll(word, NULL, base);
	return errno == 0 && n >= INT_MIN && n <= INT_MAX;
}

#define NUMBER_MAX 64

static bool
scan_number(struct scan *s)
{
	struct token t = s->token;
	char word[NUMBER_MAX + 1], *end = word;
	int base;

	if (t.len <= NUMBER_MAX) {
		memcpy(word, t.at, t.len);
		word[t.len] = '\0';
		if (is_integer(word, &base)) {
			if (fits_int(word, base))
				return scan_next(s);
			/* libconfig would take it modulo 2^32. */
			scan_problem(s, t.line,
			    "%s is out of range; no "
			    "setting takes a whole number beyond %d",
			    word, INT_MAX);
			*t.at = '1';
			memset(t.at + 1, ' ', t.len - 1);
			return scan_next(s);
		}
		if (strspn(word, "0123456789.eE+-") == t.len)
			(void)strtod(word, &end);
	} else {
		word[0] = '!';
	}
	if (end != word && *end == '\0')
		return scan_next(s);
	scan_problem(s, t.line,
	    "\"%.*s\" is no number; a duration is in "
	    "seconds and without its unit, and all else stands in quotes",
	    shown(&t), t.at);
	return scan_fail(s);
}

static bool
is_boolean(const struct token *t)
{
	return (t->len == strlen("true") &&
		   strncasecmp(t->at, "true", t->len) == 0) ||
	    (t->len == strlen("false") &&
		strncasecmp(t->at, "false", t->len) == 0);
}

static bool
scan_word(struct scan *s)
{
	if (is_boolean(&s->token))
		return scan_next(s);
	scan_problem(s, s->token.line,
	    "%.*s stands without quotes; write "
	    "\"%.*s\"",
	    shown(&s->token), s->token.at, shown(&s->token), s->token.at);
	return scan_fail(s);
}

/* Two strings in a row would become one. */
static bool
scan_strings(struct scan *s)
{
	if (!scan_next(s))
		return false;
	if (s->token.kind != TOKEN_STRING)
		return true;
	scan_problem(s, s->token.line,
	    "a second string follows the first; is a comma missing?");
	return scan_fail(s);
}

/* libconfig's names, of which "tls.min" is none. */
static bool
scan_name(struct scan *s)
{
	const struct token *t = &s->token;
	size_t i, group = 0;

	for (i = 0; i < t->len; i++) {
		if (t->at[i] == '.' && group == 0)
			group = i;
	}
	if (group > 0) {
		scan_problem(s, t->line,
		    "a dot is no part of a name; write %.*s = { %.*s = VALUE; "
		    "};",
		    shown_len(group), t->at, shown_len(t->len - group - 1),
		    t->at + group + 1);
		return scan_fail(s);
	}
	if ((isalpha((unsigned char)*t->at) || *t->at == '*') &&
	    memchr(t->at, '+', t->len) == NULL && !is_boolean(t))
		return true;
	scan_problem(s, t->line,
	    "\"%.*s\" is no name; a name has letters, digits, '_' and '-', "
	    "and begins with a letter",
	    shown(t), t->at);
	return scan_fail(s);
}

static bool
scan_setting(struct scan *s, size_t first)
{
	size_t before;
	bool good;

	if (s->token.kind != TOKEN_NAME) {
		if (s->token.kind == TOKEN_STRING)
			scan_problem(s, s->token.line,
			    "the name of a setting "
			    "stands without quotes");
		else
			scan_problem(s, s->token.line,
			    "expected the name of "
			    "a setting, and found \"%.*s\"",
			    shown(&s->token), s->token.at);
		return scan_fail(s);
	}
	if (!scan_name(s))
		return false;
	before = path_push(s, s->token.at, s->token.len);
	good = scan_unique(s, first) && scan_next(s);
	if (good && !is_mark(s, '=') && !is_mark(s, ':')) {
		scan_problem(s, s->token.line,
		    "has no value; write NAME = "
		    "VALUE;");
		good = scan_fail(s);
	}
	good = good && scan_next(s) && scan_value(s);
	s->path[before] = '\0';
	if (good && (is_mark(s, ';') || is_mark(s, ',')))
		return scan_next(s);
	return good;
}

static bool
scan_unclosed(struct scan *s, char open, unsigned line)
{
	scan_problem(s, line, "the \"%c\" that stands here is never closed",
	    open);
	return scan_fail(s);
}

/* From "{" to "}"; the whole file has neither. */
static bool
scan_group(struct scan *s, bool whole)
{
	unsigned line = s->token.line;
	size_t first = s->nseen;

	if (!whole && !scan_next(s))
		return false;
	for (;;) {
		if (s->token.kind == TOKEN_END) {
			if (whole)
				return true;
			return scan_unclosed(s, '{', line);
		}
		if (!whole && is_mark(s, '}'))
			break;
		if (!scan_setting(s, first))
			return false;
	}
	s->nseen = first;
	return scan_next(s);
}

/* After an item: a comma and another, or the end. */
static bool
scan_comma(struct scan *s, char close)
{
	struct token comma = s->token;

	if (is_mark(s, close))
		return true;
	if (!is_mark(s, ',')) {
		if (s->token.kind == TOKEN_END)
			return true;
		scan_problem(s, s->token.line,
		    "expected a comma or \"%c\", "
		    "and found \"%.*s\"",
		    close, shown(&s->token), s->token.at);
		return scan_fail(s);
	}
	if (!scan_next(s))
		return false;
	if (is_mark(s, close)) {
		scan_problem(s, comma.line,
		    "a trailing comma; remove the "
		    "comma before \"%c\"",
		    close);
		*comma.at = ' ';
	}
	return true;
}

/* From "[" to "]", or from "(" to ")". */
static bool
scan_items(struct scan *s, char close)
{
	unsigned line = s->token.line;
	char open = *s->token.at;
	size_t before, i;
	bool good;

	if (!scan_next(s))
		return false;
	for (i = 0; !is_mark(s, close); i++) {
		if (s->token.kind == TOKEN_END)
			return scan_unclosed(s, open, line);
		before = path_push_index(s, i);
		if (close == ']' && s->token.kind == TOKEN_MARK &&
		    strchr("{[(", *s->token.at) != NULL) {
			scan_problem(s, s->token.line,
			    "only plain values "
			    "stand in [ ]; write ( ) around groups");
			return scan_fail(s);
		}
		good = scan_value(s) && scan_comma(s, close);
		s->path[before] = '\0';
		if (!good)
			return false;
	}
	return scan_next(s);
}

static bool
scan_nested(struct scan *s)
{
	bool good = false;

	if (s->depth == DEPTH_MAX) {
		scan_problem(s, s->token.line,
		    "more than %d groups and lists within each other",
		    DEPTH_MAX);
		return scan_fail(s);
	}
	s->depth++;
	if (is_mark(s, '{'))
		good = scan_group(s, false);
	else if (is_mark(s, '['))
		good = scan_items(s, ']');
	else
		good = scan_items(s, ')');
	s->depth--;
	return good;
}

static bool
scan_value(struct scan *s)
{
	switch (s->token.kind) {
	case TOKEN_STRING:
		return scan_strings(s);
	case TOKEN_NUMBER:
		return scan_number(s);
	case TOKEN_NAME:
		return scan_word(s);
	case TOKEN_MARK:
		if (strchr("{[(", *s->token.at) != NULL)
			return scan_nested(s);
		scan_problem(s, s->token.line,
		    "expected a value, and found \"%c\"", *s->token.at);
		return scan_fail(s);
	case TOKEN_END:
		scan_problem(s, s->token.line,
		    "expected a value, and found the end of the file");
		return scan_fail(s);
	case TOKEN_WRONG:
		break;
	}
	return false;
}

static unsigned
count_lines(const char *from, const char *to)
{
	unsigned n = 1;

	for (; from < to; from++)
		n += *from == '\n';
	return n;
}

bool
config_scan(char *text, size_t len, const char *file, struct problems *problems)
{
	struct scan s = { .file = file,
		.problems = problems,
		.at = text,
		.end = text + len,
		.line = 1 };
	const char *nul = memchr(text, '\0', len);

	if (nul != NULL) {
		scan_problem(&s, count_lines(text, nul),
		    "holds a NUL byte; "
		    "is it text, and not UTF-16?");
		return false;
	}
	if (!scan_next(&s) || !scan_group(&s, true))
		s.fatal = true;
	free(s.seen);
	return !s.fatal;
}
