/*
 * transcripts - plays conversations from files and compares what happens
 *
 *	transcripts [-s] FOLDER     every .txt of a folder
 *
 * A transcript says in a comment what it promises, then who takes part:
 *
 *	engine postgres
 *	client off | allow | require
 *	server never | required | first
 *	option channel_binding strip            a choice; or a number, true,
 *	option server_public_key "PEM"          or what is in a file
 *	leaf client 11              which certificate TLS shows on a leg: its
 *	                            SHA-256, or a byte of which it consists
 *	local client                it comes over a unix socket; or server
 *	services none               nothing is lent
 *	fails connect | client tls | server tls | anew | redirect
 *	early "GET"                 what the client has said before the start
 *	host db.example             where the server is
 *	member 1.2.3.4:7 db1 27017  a listen address, the server that it stands
 *	                            for; up to four of them
 *	own 1                       which of them was connected to, from 0
 *
 * and then what is said, each followed by all that must come of it, indented
 * (twice: the line before goes on), in the words of play.h and notation.h:
 *
 *	start
 *		reads client
 *	client: SSLRequest
 *		to client "S"
 *		tls client postgresql if-offered
 *		reads client
 *	server: "N"
 *	refuse limit client: too many sessions; try again later
 *	replay
 *	user "alice"                what the log will be told; also: database,
 *	                            program, where
 *	holds "secret"              the negotiator remembers it, or
 *	forgot "secret"             has no copy of it left
 *
 * The file `names` of the folder gives names to messages.  Each transcript is
 * played whole, by three bytes and by one.  With -s, what happens is shown
 * instead, for writing a new one.
 */
#include <assert.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/negotiator/notation.h"
#include "tests/negotiator/play.h"

#define LINE_MAX_LEN 4096

static const size_t slices[] = { 0, 3, 1 };

struct transcript {
	const char *path;
	const struct notation *names;
	struct play_setup setup;
	const char *early; /* the words of that setting; NULL: none */
	char **lines;      /* continued ones joined, comments empty */
	size_t nlines;
	size_t first; /* line that is no setting */
	bool failed;
	bool show;
};

static void complain(struct transcript *t, size_t line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
complain(struct transcript *t, size_t line, const char *fmt, ...)
{
	va_list ap;

	t->failed = true;
	printf("%s:%zu: ", t->path, line + 1);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static const char *
after(const char *line, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(line, prefix, len) == 0 ? line + len : NULL;
}

/*
 * Reading.
 */

static void *
must(void *memory)
{
	assert(memory != NULL);
	return memory;
}

static void
join(char **line, const char *more)
{
	char *joined = NULL;

	if (asprintf(&joined, "%s %s", *line, more) < 0)
		abort();
	free(*line);
	*line = joined;
}

/* What a continued line holds moves to where it began, so that line numbers
 * stay those of the file. */
static bool
read_lines(struct transcript *t)
{
	char buffer[LINE_MAX_LEN];
	size_t began = 0;
	FILE *f = fopen(t->path, "r");

	if (f == NULL)
		return false;
	while (fgets(buffer, sizeof(buffer), f) != NULL) {
		const char *more = after(buffer, "\t\t");
		char **line;

		buffer[strcspn(buffer, "\n")] = '\0';
		t->lines = must(
		    realloc(t->lines, (t->nlines + 1) * sizeof(*t->lines)));
		line = &t->lines[t->nlines];
		*line = must(
		    strdup(more != NULL || buffer[0] == '#' ? "" : buffer));
		if (more != NULL)
			join(&t->lines[began], more);
		else
			began = t->nlines;
		t->nlines++;
	}
	fclose(f);
	return true;
}

/* The index of a word in a list, -1 if it is not there. */
static int
choice(const char *const *words, const char *word)
{
	int i;

	for (i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], word) == 0)
			return i;
	}
	return -1;
}

static void
put_option(struct play_setup *setup, const struct neg_option *o,
    const void *value, size_t size)
{
	assert(o->offset + size <= sizeof(setup->options));
	memcpy(setup->options.bytes + o->offset, value, size);
}

/* A file as it would have been loaded.  What has passed its check is needed
 * for as long as this runs. */
static bool
set_file(struct play_setup *setup, const struct neg_option *o,
    const struct notation *names, const char *words)
{
	struct neg_file file = { .path = must(strdup("a file")) };
	struct wr w = { .cap = NOTATION_BYTES_MAX };
	unsigned line;

	w.base = file.bytes = must(malloc(w.cap));
	if (!notation_read(names, words, &w))
		return false;
	file.len = w.len;
	put_option(setup, o, &file, sizeof(file));
	return o->check == NULL || o->check(wr_written(&w), &line) == NULL;
}

static bool
set_value(struct play_setup *setup, const struct neg_option *o,
    const struct notation *names, const char *value)
{
	int i;
	unsigned count;
	bool yes = strcmp(value, "true") == 0;

	switch (o->kind) {
	case NEG_OPTION_CHOICE:
		i = choice(o->choices, value);
		put_option(setup, o, &i, sizeof(i));
		return i >= 0;
	case NEG_OPTION_BOOL:
		put_option(setup, o, &yes, sizeof(yes));
		return yes;
	case NEG_OPTION_COUNT:
		count = (unsigned)strtoul(value, NULL, 10);
		put_option(setup, o, &count, sizeof(count));
		return count > 0 && count <= o->max;
	case NEG_OPTION_SECRETS:
	case NEG_OPTION_RSA_PUBLIC:
		return set_file(setup, o, names, value);
	case NEG_OPTION_HOSTS:
	case NEG_OPTION_RSA_PRIVATE:
		break;
	}
	return false;
}

static bool
set_option(struct play_setup *setup, const struct notation *names,
    const char *text)
{
	const struct neg_option *o = setup->ops->options;
	size_t len = strcspn(text, " ");

	for (; o != NULL && o->name != NULL; o++) {
		if (strlen(o->name) == len &&
		    strncmp(o->name, text, len) == 0 && text[len] != '\0')
			return set_value(setup, o, names, text + len + 1);
	}
	return false;
}

static void
free_options(struct play_setup *setup)
{
	const struct neg_option *o =
	    setup->ops != NULL ? setup->ops->options : NULL;
	struct neg_file file;

	for (; o != NULL && o->name != NULL; o++) {
		if (o->kind != NEG_OPTION_SECRETS &&
		    o->kind != NEG_OPTION_RSA_PUBLIC)
			continue;
		memcpy(&file, setup->options.bytes + o->offset, sizeof(file));
		free(file.path);
		free(file.bytes);
	}
}

static bool
set_local(struct play_setup *setup, const char *leg)
{
	static const char *const legs[] = { "client", "server", NULL };
	int i = choice(legs, leg);

	if (i >= 0)
		setup->local[i] = true;
	return i >= 0;
}

/* A byte over and over, or all of them. */
static bool
set_leaf(struct play_setup *setup, const struct notation *names,
    const char *text)
{
	bool client = strncmp(text, "client ", 7) == 0;
	uint8_t *leaf = setup->leaf[client ? LEG_CLIENT : LEG_SERVER];
	struct wr w = { .base = leaf, .cap = NEG_DIGEST_LEN };

	if (!client && strncmp(text, "server ", 7) != 0)
		return false;
	if (!notation_read(names, text + 7, &w))
		return false;
	if (w.len == 1)
		memset(leaf, *leaf, NEG_DIGEST_LEN);
	return w.len == 1 || w.len == NEG_DIGEST_LEN;
}

static bool
set_member(struct play_setup *setup, const char *text)
{
	struct play_member *m = &setup->members[setup->nmembers];

	if (setup->nmembers == PLAY_MEMBERS_MAX ||
	    sscanf(text, "%63s %63s %hu", m->listen, m->host, &m->port) != 3)
		return false;
	setup->nmembers++;
	return true;
}

static bool
set(struct play_setup *setup, const struct notation *names, const char *line)
{
	static const char *const client[] = { "off", "allow", "require", NULL };
	static const char *const server[] = { "never", "required", "first",
		NULL };
	static const char *const fails[] = { "", "connect", "client tls",
		"server tls", "anew", "redirect", NULL };
	const char *value;
	int i = 0;

	if ((value = after(line, "engine ")) != NULL)
		return (setup->ops = protocol_find(value)) != NULL;
	if ((value = after(line, "client ")) != NULL)
		setup->policy.client =
		    (enum neg_client_rule)(i = choice(client, value));
	else if ((value = after(line, "server ")) != NULL)
		setup->policy.server =
		    (enum neg_server_rule)(i = choice(server, value));
	else if ((value = after(line, "fails ")) != NULL)
		setup->fails = (enum play_failure)(i = choice(fails, value));
	else if ((value = after(line, "host ")) != NULL)
		return snprintf(setup->host, sizeof(setup->host), "%s", value) <
		    (int)sizeof(setup->host);
	else if ((value = after(line, "option ")) != NULL)
		return setup->ops != NULL && set_option(setup, names, value);
	else if ((value = after(line, "local ")) != NULL)
		return set_local(setup, value);
	else if ((value = after(line, "member ")) != NULL)
		return set_member(setup, value);
	else if ((value = after(line, "own ")) != NULL)
		return (setup->own = strtoul(value, NULL, 10)) <
		    setup->nmembers;
	else if ((value = after(line, "services ")) != NULL)
		setup->no_services = strcmp(value, "none") == 0;
	else if ((value = after(line, "leaf ")) != NULL)
		return set_leaf(setup, names, value);
	return value != NULL && i >= 0;
}

static bool
read_settings(struct transcript *t)
{
	for (t->first = 0; t->first < t->nlines; t->first++) {
		const char *line = t->lines[t->first], *value;

		if (strcmp(line, "start") == 0)
			return t->setup.ops != NULL;
		if ((value = after(line, "early ")) != NULL) {
			t->early = value;
			continue;
		}
		if (*line != '\0' && !set(&t->setup, t->names, line)) {
			complain(t, t->first, "no such setting: %s", line);
			return false;
		}
	}
	return false;
}

/*
 * Playing.
 */

static bool
read_bytes(const struct transcript *t, const char *text, struct wr *w)
{
	w->len = 0;
	w->full = false;
	return notation_read(t->names, text, w);
}

static bool
play_refusal(struct play *p, const char *text)
{
	char reason[32], leg[8], why[300], hint[300] = "";
	struct neg_error error = { .text = why };
	int i;

	if (sscanf(text, "%31s %7[^:]: %299[^;]; %299[^\n]", reason, leg, why,
		hint) < 3)
		return false;
	for (i = 0; i < REASON_COUNT; i++) {
		if (strcmp(reason_name((enum reason)i), reason) == 0)
			error.reason = (enum reason)i;
	}
	error.leg = strcmp(leg, "client") == 0 ? LEG_CLIENT : LEG_SERVER;
	error.hint = *hint != '\0' ? hint : NULL;
	play_refuse(p, &error);
	return error.reason != REASON_NONE;
}

static bool
is_name(const char *name, const struct wr *expected)
{
	return rd_equals_string(wr_written(expected), name);
}

/* True if there is such an action, and it went well. */
static bool
act(struct transcript *t, struct play *p, const char *line, struct wr *w)
{
	const struct neg_names *names = play_names(p);
	const char *text;

	if (strcmp(line, "start") == 0) {
		if (t->early != NULL && !read_bytes(t, t->early, w))
			return false;
		if (t->early != NULL)
			play_early(p, w->base, w->len);
		play_start(p);
		return true;
	}
	if (strcmp(line, "replay") == 0) {
		play_replay(p);
		return true;
	}
	if ((text = after(line, "refuse ")) != NULL)
		return play_refusal(p, text);
	if ((text = strchr(line, ' ')) == NULL || !read_bytes(t, text, w))
		return false;
	if (after(line, "user ") != NULL)
		return is_name(names->user, w);
	if (after(line, "database ") != NULL)
		return is_name(names->database, w);
	if (after(line, "program ") != NULL)
		return is_name(names->program, w);
	if (after(line, "where ") != NULL)
		return is_name(play_where(p), w);
	if (after(line, "holds ") != NULL)
		return play_holds(p, wr_written(w));
	if (after(line, "forgot ") != NULL)
		return !play_holds(p, wr_written(w));
	if (after(line, "client: ") == NULL && after(line, "server: ") == NULL)
		return false;
	play_bytes(p, *line == 'c' ? LEG_CLIENT : LEG_SERVER, w->base, w->len);
	return true;
}

/* An expected event as play.c would have written it. */
static void
write_expected(struct transcript *t, size_t line, struct wr *w, FILE *to)
{
	static const char *const with_bytes[] = { "to client ", "to server ",
		"connect for ", "relay, key ", NULL };
	const char *text = t->lines[line] + 1, *words;
	size_t i;

	for (i = 0; with_bytes[i] != NULL; i++) {
		if ((words = after(text, with_bytes[i])) == NULL)
			continue;
		if (!read_bytes(t, words, w))
			complain(t, line, "cannot be read: %s", words);
		fputs(with_bytes[i], to);
		notation_write(to, w->base, w->len);
		fputc('\n', to);
		return;
	}
	fprintf(to, "%s\n", text);
}

/* All that the transcript expects after an action. */
static char *
expected_after(struct transcript *t, size_t action, struct wr *w)
{
	char *text = NULL;
	size_t len, i;
	FILE *to = must(open_memstream(&text, &len));

	for (i = action + 1; i < t->nlines; i++) {
		if (*t->lines[i] == '\t')
			write_expected(t, i, w, to);
		else if (*t->lines[i] != '\0')
			break;
	}
	fclose(to);
	return text;
}

static void
compare(struct transcript *t, size_t line, const char *events, struct wr *w)
{
	char *expected = expected_after(t, line, w);

	if (strcmp(events, expected) != 0)
		complain(t, line, "%s\n  by %zu bytes, expected:\n%s  got:\n%s",
		    t->lines[line], t->setup.slice, expected, events);
	free(expected);
}

/* What happened since the last action, of all that is written to `log`. */
struct events {
	FILE *log;
	char *text;
	size_t len;
	size_t seen;
};

static void
play_line(struct transcript *t, size_t line, struct play *p, struct events *e,
    struct wr *w)
{
	const char *news;

	if (!act(t, p, t->lines[line], w))
		complain(t, line, "cannot be done: %s", t->lines[line]);
	fflush(e->log);
	news = e->text + e->seen;
	e->seen = e->len;
	if (!t->show)
		compare(t, line, news, w);
	else if (t->setup.slice == 0)
		printf("%s\n%s", t->lines[line], news);
}

static void
play_sliced(struct transcript *t, size_t slice)
{
	struct wr w = { .cap = NOTATION_BYTES_MAX };
	struct events e = { .seen = 0 };
	struct play *p;
	size_t i;

	e.log = must(open_memstream(&e.text, &e.len));
	w.base = must(malloc(w.cap));
	t->setup.slice = slice;
	p = must(play_new(&t->setup, e.log));
	for (i = t->first; i < t->nlines && !t->failed; i++) {
		if (*t->lines[i] != '\t' && *t->lines[i] != '\0')
			play_line(t, i, p, &e, &w);
	}
	play_free(p);
	fclose(e.log);
	free(e.text);
	free(w.base);
}

static bool
run(const char *path, const struct notation *names, bool show)
{
	struct transcript t = { .path = path, .names = names, .show = show };
	size_t i;

	if (!read_lines(&t) || !read_settings(&t))
		complain(&t, t.first, "is no transcript");
	if (show)
		printf("== %s\n", path);
	for (i = 0; i < sizeof(slices) / sizeof(slices[0]) && !t.failed; i++)
		play_sliced(&t, slices[i]);
	for (i = 0; i < t.nlines; i++)
		free(t.lines[i]);
	free(t.lines);
	free_options(&t.setup);
	return !t.failed;
}

static bool
read_names(const char *folder, struct notation *names)
{
	char path[LINE_MAX_LEN];
	struct transcript t = { .path = path };
	size_t i;

	snprintf(path, sizeof(path), "%s/names", folder);
	if (!read_lines(&t))
		return true; /* it needs none */
	for (i = 0; i < t.nlines; i++) {
		if (*t.lines[i] != '\0' && !notation_define(names, t.lines[i]))
			complain(&t, i, "defines nothing: %s", t.lines[i]);
		free(t.lines[i]);
	}
	free(t.lines);
	return !t.failed;
}

static int
is_transcript(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot != NULL && strcmp(dot, ".txt") == 0;
}

static int
run_folder(const char *folder, bool show)
{
	struct notation names = { .nnames = 0 };
	struct dirent **entries;
	int i, failed = 0,
	       n = scandir(folder, &entries, is_transcript, alphasort);

	if (n <= 0 || !read_names(folder, &names)) {
		printf("%s: no transcripts\n", folder);
		return EXIT_FAILURE;
	}
	for (i = 0; i < n; i++) {
		char path[LINE_MAX_LEN];

		snprintf(path, sizeof(path), "%s/%s", folder,
		    entries[i]->d_name);
		if (!run(path, &names, show))
			failed++;
		free(entries[i]);
	}
	free(entries);
	notation_fini(&names);
	printf("%s: %d transcripts, %d failed\n", folder, n, failed);
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	bool show = argc == 3 && strcmp(argv[1], "-s") == 0;

	if (argc != 2 && !show) {
		fputs("usage: transcripts [-s] FOLDER\n", stderr);
		return EXIT_FAILURE;
	}
	return run_folder(argv[argc - 1], show);
}
