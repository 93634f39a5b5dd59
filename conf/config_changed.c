/*
 * Which settings of an endpoint are not at their default.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/config.h"
#include "conf/config_settings.h"

#define VALUE_MAX 64

/* As it would be written; false if it is the default, or no plain value. */
static bool
changed_count(const struct setting *s, const char *at, char value[VALUE_MAX])
{
	unsigned n;

	memcpy(&n, at, sizeof(n));
	(void)snprintf(value, VALUE_MAX, "%u", n);
	return n != (unsigned)strtoul(s->fallback, NULL, 10);
}

static bool
changed_seconds(const struct setting *s, const char *at, char value[VALUE_MAX])
{
	double n, usual = strtod(s->fallback, NULL);

	memcpy(&n, at, sizeof(n));
	(void)snprintf(value, VALUE_MAX, "%.10g", n);
	return n < usual || n > usual;
}

static bool
changed_choice(const struct setting *s, const char *at, char value[VALUE_MAX])
{
	int i;

	memcpy(&i, at, sizeof(i));
	(void)snprintf(value, VALUE_MAX, "\"%s\"", s->choices[i]);
	return i != choice_find(s->choices, s->fallback);
}

static bool
changed_bool(const struct setting *s, const char *at, char value[VALUE_MAX])
{
	const char *word;
	bool is;

	memcpy(&is, at, sizeof(is));
	word = is ? "true" : "false";
	(void)snprintf(value, VALUE_MAX, "%s", word);
	return strcmp(word, s->fallback) != 0;
}

static bool
is_changed(const struct setting *s, const char *at, char value[VALUE_MAX])
{
	switch (s->type) {
	case TYPE_COUNT:
		return changed_count(s, at, value);
	case TYPE_SECONDS:
		return changed_seconds(s, at, value);
	case TYPE_CHOICE:
		return changed_choice(s, at, value);
	case TYPE_BOOL:
		return changed_bool(s, at, value);
	case TYPE_TEXT:
	case TYPE_LIST:
	case TYPE_ENDPOINTS:
	case TYPE_SERVERS:
	case TYPE_LABELS:
		break;
	}
	return false;
}

void
endpoint_each_changed(const struct endpoint *e,
    void (*tell)(const char *name, const char *value, void *arg), void *arg)
{
	char value[VALUE_MAX];
	size_t i;

	for (i = 0; i < SETTING_NONE; i++) {
		const struct setting *s = setting_get((enum setting_id)i);

		if (s->scope == SCOPE_ENDPOINT && s->stored &&
		    is_changed(s, (const char *)e + s->offset, value))
			tell(s->name, value, arg);
	}
}
