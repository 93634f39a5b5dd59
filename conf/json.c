#include "conf/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conf/utf8.h"

#define ESCAPE_MAX   8 /* "\u001b", or a character of four bytes */
#define INDENT       2
#define FIRST_PLAIN  0x20u /* RFC 8259, section 7: below, all is escaped */
#define DELETE       0x7fu
#define LAST_CONTROL 0x9fu /* C1: terminals act on these too */

static size_t
escape_control(uint32_t c, char out[ESCAPE_MAX])
{
	static const char from[] = "\b\f\n\r\t";
	static const char to[] = "bfnrt";
	const char *at = c == 0 ? NULL : strchr(from, (int)c);

	if (at != NULL) {
		out[0] = '\\';
		out[1] = to[at - from];
		return 2;
	}
	return (size_t)snprintf(out, ESCAPE_MAX, "\\u%04" PRIx32, c);
}

/* The first character of `bytes` as it stands in a string; *used is how many
 * bytes it took. */
static size_t
escape_next(const uint8_t *bytes, size_t len, size_t *used,
    char out[ESCAPE_MAX])
{
	static const char replacement[] = "\\ufffd";
	uint32_t c;

	*used = utf8_next(bytes, len, &c);
	if (c == UTF8_INVALID) {
		memcpy(out, replacement, sizeof(replacement));
		return sizeof(replacement) - 1;
	}
	if (c < FIRST_PLAIN || (c >= DELETE && c <= LAST_CONTROL))
		return escape_control(c, out);
	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	memcpy(out, bytes, *used);
	return *used;
}

size_t
json_escape(const void *bytes, size_t len, char *text, size_t size)
{
	const uint8_t *at = bytes;
	char piece[ESCAPE_MAX];
	size_t n, used, written = 0;

	if (size == 0)
		return 0;
	while (len > 0) {
		n = escape_next(at, len, &used, piece);
		if (n >= size - written)
			break;
		memcpy(text + written, piece, n);
		written += n;
		at += used;
		len -= used;
	}
	text[written] = '\0';
	return written;
}

static void
put_string(struct json *j, const char *s)
{
	const uint8_t *at = (const uint8_t *)s;
	size_t n, used, len = strlen(s);
	char piece[ESCAPE_MAX];

	(void)fputc('"', j->to);
	for (; len > 0; at += used, len -= used) {
		n = escape_next(at, len, &used, piece);
		(void)fwrite(piece, 1, n, j->to);
	}
	(void)fputc('"', j->to);
}

static void
new_line(struct json *j)
{
	(void)fprintf(j->to, "\n%*s", (int)(j->depth * INDENT), "");
}

/* The comma, the line and the key that stand before a value. */
static void
begin_value(struct json *j, const char *key)
{
	if (j->comma)
		(void)fputc(',', j->to);
	if (j->depth > 0)
		new_line(j);
	if (key != NULL) {
		put_string(j, key);
		(void)fputs(": ", j->to);
	}
	j->comma = true;
}

static void
open_nest(struct json *j, const char *key, char bracket)
{
	begin_value(j, key);
	(void)fputc(bracket, j->to);
	j->depth++;
	j->comma = false;
}

static void
close_nest(struct json *j, char bracket)
{
	j->depth--;
	if (j->comma)
		new_line(j);
	(void)fputc(bracket, j->to);
	j->comma = true;
}

void
json_begin(struct json *j, FILE *to)
{
	*j = (struct json){ .to = to };
}

void
json_object(struct json *j, const char *key)
{
	open_nest(j, key, '{');
}

void
json_array(struct json *j, const char *key)
{
	open_nest(j, key, '[');
}

void
json_end_object(struct json *j)
{
	close_nest(j, '}');
}

void
json_end_array(struct json *j)
{
	close_nest(j, ']');
}

void
json_string(struct json *j, const char *key, const char *value)
{
	if (value == NULL) {
		json_null(j, key);
		return;
	}
	begin_value(j, key);
	put_string(j, value);
}

void
json_int(struct json *j, const char *key, int64_t value)
{
	begin_value(j, key);
	(void)fprintf(j->to, "%" PRId64, value);
}

void
json_number(struct json *j, const char *key, double value)
{
	if (!isfinite(value)) {
		json_null(j, key);
		return;
	}
	begin_value(j, key);
	(void)fprintf(j->to, "%.15g", value);
}

void
json_bool(struct json *j, const char *key, bool value)
{
	begin_value(j, key);
	(void)fputs(value ? "true" : "false", j->to);
}

void
json_null(struct json *j, const char *key)
{
	begin_value(j, key);
	(void)fputs("null", j->to);
}

void
json_hex(struct json *j, const char *key, const uint8_t *bytes, size_t n)
{
	size_t i;

	begin_value(j, key);
	(void)fputc('"', j->to);
	for (i = 0; i < n; i++)
		(void)fprintf(j->to, "%02x", bytes[i]);
	(void)fputc('"', j->to);
}

void
json_finish(struct json *j)
{
	(void)fputc('\n', j->to);
	*j = (struct json){ .to = j->to };
}
