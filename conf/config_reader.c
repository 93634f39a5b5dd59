#include "conf/config_reader.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <libconfig.h>

#include "conf/config_options.h"
#include "conf/config_scan.h"
#include "conf/words.h"
#include "protocols/negotiator.h"

#define SHOWN_MAX     80 /* of a value in a message */
#define LABELS_MAX    16
#define LABEL_LEN_MAX 128
#define ENDPOINTS_MAX 10000
#define OPTIONS_MAX   64 /* that are listed */

struct reader {
	const char *file;
	bool main;
	struct problems *problems;
};

/* One setting as libconfig has it, and where it goes. */
struct item {
	struct reader *r;
	struct draft *draft;
	const struct setting *setting;
	struct value *value;
	char path[DRAFT_PATH_MAX];
};

static void item_problem(struct item *it, const config_setting_t *from,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The value is spoilt from then on; its default holds. */
static void
item_problem(struct item *it, const config_setting_t *from, const char *fmt,
    ...)
{
	char words[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	it->value->spoilt = true;
	problem_add(it->r->problems, false, it->r->file,
	    config_setting_source_line(from), it->path, "%s", words);
}

static void
read_failed(struct reader *r, const config_setting_t *from)
{
	problem_add(r->problems, false, r->file,
	    config_setting_source_line(from), NULL, "out of memory");
}

static const char *
type_words(const config_setting_t *from)
{
	switch (config_setting_type(from)) {
	case CONFIG_TYPE_GROUP:
		return "a group";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a whole number";
	case CONFIG_TYPE_FLOAT:
		return "a number with a fraction";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "a boolean";
	default: /* libconfig's are no enum */
		return "a list";
	}
}

static void
wrong_type(struct item *it, const config_setting_t *from)
{
	char expected[512];

	setting_expects(it->setting, expected, sizeof(expected));
	item_problem(it, from, "is %s, and must be %s", type_words(from),
	    expected);
}

static void
read_number(struct item *it, const config_setting_t *from)
{
	int type = config_setting_type(from);
	char expected[512];
	double n;

	if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)
		n = (double)config_setting_get_int64(from);
	else if (type == CONFIG_TYPE_FLOAT && it->setting->type == TYPE_SECONDS)
		n = config_setting_get_float(from);
	else {
		wrong_type(it, from);
		return;
	}
	/* Written so that what is no number at all fails too. */
	if (!(n >= it->setting->min && n <= it->setting->max)) {
		setting_expects(it->setting, expected, sizeof(expected));
		item_problem(it, from, "%.10g is out of range; it takes %s", n,
		    expected);
		return;
	}
	it->value->number = n;
}

static void
read_bool(struct item *it, const config_setting_t *from)
{
	if (config_setting_type(from) != CONFIG_TYPE_BOOL)
		wrong_type(it, from);
	else
		it->value->number = config_setting_get_bool(from) ? 1 : 0;
}

/* A string that may be stored and shown; NULL if it is not one. */
static const char *
read_string(struct item *it, const config_setting_t *from)
{
	const char *s, *at;

	if (config_setting_type(from) != CONFIG_TYPE_STRING) {
		wrong_type(it, from);
		return NULL;
	}
	s = config_setting_get_string(from);
	if (s == NULL || *s == '\0') {
		item_problem(it, from,
		    "is empty; leave the setting out if it "
		    "is not to be set");
		return NULL;
	}
	for (at = s; *at != '\0'; at++) {
		if (iscntrl((unsigned char)*at)) {
			item_problem(it, from,
			    "holds the control character "
			    "0x%02x",
			    (unsigned char)*at);
			return NULL;
		}
	}
	return s;
}

static void
read_choice(struct item *it, const config_setting_t *from)
{
	const char *const *choices = it->setting->choices;
	const char *s = read_string(it, from), *near;
	char words[512];
	int i;

	if (s == NULL)
		return;
	if ((i = choice_find(choices, s)) >= 0) {
		it->value->number = i;
		return;
	}
	choices_list(choices, words, sizeof(words));
	if ((near = word_suggest(s, choices)) != NULL)
		item_problem(it, from,
		    "\"%.*s\" is none of %s; did you mean "
		    "\"%s\"?",
		    SHOWN_MAX, s, words, near);
	else
		item_problem(it, from, "\"%.*s\" is none of %s", SHOWN_MAX, s,
		    words);
}

static void
read_text(struct item *it, const config_setting_t *from)
{
	const char *s = read_string(it, from);
	struct err err;

	if (s == NULL)
		return;
	if (it->setting->check != NULL && it->setting->check(s, &err) == -1)
		item_problem(it, from, "%s", err.text);
	else if (value_add_text(it->value, s,
		     config_setting_source_line(from)) == -1)
		read_failed(it->r, from);
}

static bool
is_sequence(const config_setting_t *from)
{
	int type = config_setting_type(from);

	return type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST;
}

static bool
is_filled(struct item *it, const config_setting_t *from)
{
	if (config_setting_length(from) > 0)
		return true;
	item_problem(it, from,
	    "is an empty list; leave the setting out if it "
	    "is not to be set");
	return false;
}

/* Steps into the nth item of a list: "listen[1]". */
static size_t
item_enter(struct item *it, int n)
{
	size_t before = strlen(it->path);

	(void)snprintf(it->path + before, sizeof(it->path) - before, "[%d]", n);
	return before;
}

static void
read_list(struct item *it, const config_setting_t *from)
{
	size_t before;
	int i;

	if (!is_sequence(from)) {
		read_text(it, from);
		return;
	}
	if (!is_filled(it, from))
		return;
	for (i = 0; i < config_setting_length(from); i++) {
		before = item_enter(it, i);
		read_text(it, config_setting_get_elem(from, (unsigned)i));
		it->path[before] = '\0';
	}
}

/* Lines of the log have these already. */
static const char *const reserved_labels[] = { "time", "event", "level",
	"generation", "endpoint", "session", "engine", "client", "server",
	"mode", "tls", "cipher", "group", "resumed", "verified", "name",
	"anchor", "leaf", "sni", "client_leg", "user", "database", "program",
	"reason", "seconds", "bytes_to_server", "bytes_to_client", "detail",
	NULL };

static bool
is_label(struct item *it, const config_setting_t *from)
{
	const char *name = config_setting_name(from);

	if (it->draft->nlabels == LABELS_MAX) {
		item_problem(it, from,
		    "is one too many; an endpoint may have "
		    "%d labels",
		    LABELS_MAX);
		return false;
	}
	if (strchr(name, '*') != NULL) {
		item_problem(it, from,
		    "has a '*' in its name, which is to "
		    "be a key in lines of the log");
		return false;
	}
	if (choice_find(reserved_labels, name) >= 0) {
		item_problem(it, from,
		    "\"%s\" is a key that lines of the log "
		    "have already; choose another",
		    name);
		return false;
	}
	if (strlen(name) > LABEL_LEN_MAX ||
	    strlen(config_setting_get_string(from)) > LABEL_LEN_MAX) {
		item_problem(it, from, "is longer than %d characters",
		    LABEL_LEN_MAX);
		return false;
	}
	return true;
}

static void
read_label(struct item *it, const config_setting_t *from)
{
	unsigned line = config_setting_source_line(from);
	struct label *labels, label = { { 0 }, { 0 } };

	if (config_setting_type(from) != CONFIG_TYPE_STRING) {
		item_problem(it, from,
		    "is %s, and a label's value must be a "
		    "string",
		    type_words(from));
		return;
	}
	if (read_string(it, from) == NULL || !is_label(it, from))
		return;
	label.name = (struct text){ strdup(config_setting_name(from)), line };
	label.value =
	    (struct text){ strdup(config_setting_get_string(from)), line };
	labels = reallocarray(it->draft->labels, it->draft->nlabels + 1,
	    sizeof(*labels));
	if (labels != NULL)
		it->draft->labels = labels;
	if (labels == NULL || label.name.s == NULL || label.value.s == NULL) {
		free(label.name.s);
		free(label.value.s);
		read_failed(it->r, from);
		return;
	}
	labels[it->draft->nlabels++] = label;
}

static void
read_labels(struct item *it, const config_setting_t *from)
{
	const config_setting_t *label;
	size_t before = strlen(it->path);
	int i;

	if (config_setting_type(from) != CONFIG_TYPE_GROUP) {
		wrong_type(it, from);
		return;
	}
	for (i = 0; i < config_setting_length(from); i++) {
		label = config_setting_get_elem(from, (unsigned)i);
		(void)snprintf(it->path + before, sizeof(it->path) - before,
		    ".%s", config_setting_name(label));
		read_label(it, label);
		it->path[before] = '\0';
	}
}

static void read_group(struct reader *r, const config_setting_t *group,
    struct draft *draft, const char *within);

static void
report_missing(struct reader *r, const struct draft *draft)
{
	char path[DRAFT_PATH_MAX], expected[512];
	size_t i;

	for (i = 0; i < SETTING_NONE; i++) {
		const struct setting *s = setting_get((enum setting_id)i);

		if (s->scope != draft->scope || !s->required ||
		    draft->values[i].line != 0)
			continue;
		setting_expects(s, expected, sizeof(expected));
		draft_path(draft, s->name, path);
		problem_add(r->problems, false, r->file, draft->line, path,
		    "is missing; it takes %s", expected);
	}
}

static struct draft *
adopt_group(struct reader *r, const config_setting_t *from,
    struct draft *parent, enum setting_scope scope, const char *path)
{
	struct draft *d =
	    draft_new(scope, r->file, config_setting_source_line(from), path);

	if (d != NULL && draft_adopt(parent, d) == 0)
		return d;
	draft_free(d);
	read_failed(r, from);
	return NULL;
}

/* One server, as "HOST:PORT" or as a group with an address. */
static void
read_server(struct item *it, const config_setting_t *from)
{
	enum setting_id id = SETTING_SERVER_ADDRESS;
	struct draft *server;
	struct item address;

	if (config_setting_type(from) != CONFIG_TYPE_STRING &&
	    config_setting_type(from) != CONFIG_TYPE_GROUP) {
		wrong_type(it, from);
		return;
	}
	server = adopt_group(it->r, from, it->draft, SCOPE_SERVER, it->path);
	if (server == NULL)
		return;
	if (config_setting_type(from) == CONFIG_TYPE_GROUP) {
		read_group(it->r, from, server, "");
		report_missing(it->r, server);
		return;
	}
	address = *it;
	address.draft = server;
	address.setting = setting_get(id);
	address.value = &server->values[id];
	address.value->line = config_setting_source_line(from);
	read_text(&address, from);
}

static void
read_servers(struct item *it, const config_setting_t *from)
{
	size_t before;
	int i;

	if (!is_sequence(from)) {
		read_server(it, from);
		return;
	}
	if (!is_filled(it, from))
		return;
	for (i = 0; i < config_setting_length(from); i++) {
		before = item_enter(it, i);
		read_server(it, config_setting_get_elem(from, (unsigned)i));
		it->path[before] = '\0';
	}
}

/* Which engine it is must be known before its group is read. */
static int
find_engine(const config_setting_t *endpoint, struct draft *d)
{
	const struct neg_ops *ops = NULL;
	const char *name;

	if (config_setting_lookup_string(endpoint, "engine", &name) ==
	    CONFIG_TRUE)
		ops = protocol_find(name);
	return ops == NULL ? 0 : draft_set_engine(d, ops);
}

static void
read_endpoint(struct item *it, const config_setting_t *from)
{
	struct draft *d;

	if (config_setting_type(from) != CONFIG_TYPE_GROUP) {
		wrong_type(it, from);
		return;
	}
	d = adopt_group(it->r, from, it->draft, SCOPE_ENDPOINT, it->path);
	if (d == NULL)
		return;
	if (find_engine(from, d) == -1) {
		read_failed(it->r, from);
		return;
	}
	read_group(it->r, from, d, "");
	report_missing(it->r, d);
}

static void
read_endpoints(struct item *it, const config_setting_t *from)
{
	size_t before;
	int i;

	if (config_setting_type(from) != CONFIG_TYPE_LIST) {
		wrong_type(it, from);
		return;
	}
	for (i = 0; i < config_setting_length(from); i++) {
		if (it->draft->nchildren == ENDPOINTS_MAX) {
			item_problem(it, from, "has more than %d endpoints",
			    ENDPOINTS_MAX);
			return;
		}
		before = item_enter(it, i);
		read_endpoint(it, config_setting_get_elem(from, (unsigned)i));
		it->path[before] = '\0';
	}
}

static void
read_value(struct item *it, const config_setting_t *from)
{
	it->value->line = config_setting_source_line(from);
	switch (it->setting->type) {
	case TYPE_BOOL:
		read_bool(it, from);
		return;
	case TYPE_COUNT:
	case TYPE_SECONDS:
		read_number(it, from);
		return;
	case TYPE_CHOICE:
		read_choice(it, from);
		return;
	case TYPE_TEXT:
		read_text(it, from);
		return;
	case TYPE_LIST:
		read_list(it, from);
		return;
	case TYPE_ENDPOINTS:
		read_endpoints(it, from);
		return;
	case TYPE_SERVERS:
		read_servers(it, from);
		return;
	case TYPE_LABELS:
		read_labels(it, from);
		return;
	}
}

/* The same sentence whether a word of the group is near or not. */
static void
unknown_option(struct item *it, const config_setting_t *from)
{
	const char *names[OPTIONS_MAX + 1] = { NULL }, *near;
	const struct neg_ops *ops = it->draft->ops;
	char all[512];
	size_t i;

	for (i = 0; i < OPTIONS_MAX && i < it->draft->noptions; i++)
		names[i] = ops->options[i].name;
	near = word_suggest(config_setting_name(from), names);
	choices_list(names, all, sizeof(all));
	if (near != NULL)
		problem_add(it->r->problems, false, it->r->file,
		    config_setting_source_line(from), it->path,
		    "is unknown; did you mean \"%s\"?", near);
	else
		problem_add(it->r->problems, false, it->r->file,
		    config_setting_source_line(from), it->path,
		    "is unknown; in this group of engine %s there may be %s",
		    ops->name, all);
}

/* As any other setting, but that its line of the table is the engine's. */
static void
read_engine_option(struct reader *r, const config_setting_t *from,
    struct draft *d)
{
	size_t i = options_find(d->ops, config_setting_name(from));
	struct item it = { .r = r, .draft = d };
	char name[DRAFT_PATH_MAX];
	struct setting setting;

	(void)snprintf(name, sizeof(name), "%s.%s", protocol_group(d->ops),
	    config_setting_name(from));
	draft_path(d, name, it.path);
	if (i == d->noptions) {
		unknown_option(&it, from);
		return;
	}
	option_as_setting(&d->ops->options[i], &setting);
	it.setting = &setting;
	it.value = &d->options[i];
	read_value(&it, from);
}

static void
read_engine_group(struct reader *r, const config_setting_t *group,
    struct draft *d)
{
	int i;

	for (i = 0; i < config_setting_length(group); i++)
		read_engine_option(r,
		    config_setting_get_elem(group, (unsigned)i), d);
}

/* "postgres = { ... }" in an endpoint.  True if it is an engine's group,
 * whether or not it may stand here. */
static bool
read_as_engine(struct reader *r, const config_setting_t *from, struct draft *d,
    const char *path)
{
	const char *name = config_setting_name(from);
	const struct neg_ops *ops = protocol_find(name);
	unsigned line = config_setting_source_line(from);
	bool own = d->ops != NULL && strcmp(name, protocol_group(d->ops)) == 0;

	if (d->scope != SCOPE_ENDPOINT || (ops == NULL && !own))
		return false;
	if (d->ops == NULL) /* what the engine is has been asked already */
		return true;
	if (ops != d->ops && !own) {
		problem_add(r->problems, false, r->file, line, path,
		    "is a group of engine %s, and this endpoint's is %s; "
		    "remove it",
		    ops->name, d->ops->name);
	} else if (d->ops->options == NULL) {
		problem_add(r->problems, false, r->file, line, path,
		    "engine %s has no settings of its own; remove it",
		    d->ops->name);
	} else if (!own) {
		problem_add(r->problems, false, r->file, line, path,
		    "the group of this engine is called \"%s\"",
		    protocol_group(d->ops));
	} else if (config_setting_type(from) != CONFIG_TYPE_GROUP) {
		problem_add(r->problems, false, r->file, line, path,
		    "is %s, and must be a group; write %s = { ... };",
		    type_words(from), name);
	} else {
		read_engine_group(r, from, d);
	}
	return true;
}

static void
report_unknown(struct reader *r, const config_setting_t *from,
    const struct draft *d, const char *within, const char *path)
{
	const char *engine = d->noptions == 0 ? NULL : protocol_group(d->ops);
	char near[256];

	setting_suggest(d->scope, within, config_setting_name(from), engine,
	    near, sizeof(near));
	problem_add(r->problems, false, r->file,
	    config_setting_source_line(from), path, "is unknown%s", near);
}

/* What is no setting of its own: a group, an engine's group, or a mistake. */
static void
read_other(struct reader *r, const config_setting_t *from, struct draft *d,
    const char *within, const char *name)
{
	char path[DRAFT_PATH_MAX];

	draft_path(d, name, path);
	if (setting_is_group(d->scope, name)) {
		if (config_setting_type(from) == CONFIG_TYPE_GROUP)
			read_group(r, from, d, name);
		else
			problem_add(r->problems, false, r->file,
			    config_setting_source_line(from), path,
			    "is %s, and must be a group; write %s = { ... };",
			    type_words(from), config_setting_name(from));
	} else if (within[0] != '\0' || !read_as_engine(r, from, d, path)) {
		report_unknown(r, from, d, within, path);
	}
}

static void
read_setting(struct reader *r, const config_setting_t *from, struct draft *d,
    const char *within, const char *name)
{
	enum setting_id id = setting_find(d->scope, name);
	struct item it = { .r = r, .draft = d };

	if (id == SETTING_NONE) {
		read_other(r, from, d, within, name);
		return;
	}
	it.setting = setting_get(id);
	it.value = &d->values[id];
	draft_path(d, name, it.path);
	read_value(&it, from);
}

/* An included file has endpoints; what is everybody's is the main file's. */
static bool
may_stand_here(struct reader *r, const config_setting_t *from,
    const struct draft *d, const char *name)
{
	if (r->main || d->scope != SCOPE_TOP || strcmp(name, "endpoints") == 0)
		return true;
	if (setting_find(SCOPE_TOP, name) == SETTING_NONE &&
	    !setting_is_group(SCOPE_TOP, name))
		return true; /* and is refused as an unknown word */
	problem_add(r->problems, false, r->file,
	    config_setting_source_line(from), name,
	    "may stand in the main file only; an included file has endpoints");
	return false;
}

/* `within` is the group's own path in its scope, "" for all of it. */
static void
read_group(struct reader *r, const config_setting_t *group, struct draft *d,
    const char *within)
{
	const config_setting_t *from;
	char name[DRAFT_PATH_MAX];
	int i;

	for (i = 0; i < config_setting_length(group); i++) {
		from = config_setting_get_elem(group, (unsigned)i);
		(void)snprintf(name, sizeof(name), "%s%s%s", within,
		    within[0] == '\0' ? "" : ".", config_setting_name(from));
		if (may_stand_here(r, from, d, name))
			read_setting(r, from, d, within, name);
	}
}

/* What config_scan() does not know of. */
static void
report_syntax(struct reader *r, const config_t *tree)
{
	const char *words = config_error_text(tree);

	problem_add(r->problems, false, r->file,
	    (unsigned)config_error_line(tree), NULL, "%s%s", words,
	    strstr(words, "mismatched") != NULL
		? "; the values within [ ] must all be of one type"
		: "");
}

void
config_read_text(char *text, size_t len, const char *file, bool main,
    struct draft *top, struct problems *problems)
{
	struct reader r = { .file = file, .main = main, .problems = problems };
	config_t tree;

	if (!config_scan(text, len, file, problems))
		return;
	config_init(&tree);
	if (config_read_string(&tree, text) == CONFIG_TRUE)
		read_group(&r, config_root_setting(&tree), top, "");
	else
		report_syntax(&r, &tree);
	config_destroy(&tree);
}
