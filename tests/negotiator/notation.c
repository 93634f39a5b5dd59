#include "tests/negotiator/notation.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define RUN_MIN 16 /* equal bytes that are worth a `*` */

static bool read_words(const struct notation *t, const char **at, struct wr *w,
    bool nested);

static void
skip_space(const char **at)
{
	while (isspace((unsigned char)**at))
		(*at)++;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool
read_hex_byte(const char **at, struct wr *w)
{
	int high = hex_digit((*at)[0]);
	int low = high < 0 ? -1 : hex_digit((*at)[1]);

	if (low < 0)
		return false;
	wr_u8(w, (uint8_t)(high << 4 | low));
	*at += 2;
	return true;
}

static bool
read_escape(const char **at, struct wr *w)
{
	char c = *(*at)++;

	switch (c) {
	case '0':
		wr_u8(w, '\0');
		return true;
	case 'n':
		wr_u8(w, '\n');
		return true;
	case '"':
	case '\\':
		wr_u8(w, (uint8_t)c);
		return true;
	case 'x':
		return read_hex_byte(at, w);
	}
	return false;
}

static bool
read_string(const char **at, struct wr *w)
{
	for (;;) {
		char c = *(*at)++;

		if (c == '"')
			return true;
		if (c == '\0')
			return false;
		if (c != '\\')
			wr_u8(w, (uint8_t)c);
		else if (!read_escape(at, w))
			return false;
	}
}

/* How a length is written that has what it counts in brackets after it. */
static const struct length {
	const char *word;
	size_t size;
	bool little_endian;
	bool counts_itself;
} lengths[] = {
	{ "be32[", 4, false, true },
	{ "n32[", 4, false, false },
	{ "ln32[", 4, true, false },
	{ "le32[", 4, true, true },
	{ "n8[", 1, false, false },
	{ "n16[", 2, false, false },
};
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static bool
put_length(const struct length *l, struct wr *w, size_t start)
{
	size_t n = w->len - start - (l->counts_itself ? 0 : l->size), i;

	if (w->full)
		return false;
	for (i = 0; i < l->size; i++, n >>= 8)
		w->base[start + (l->little_endian ? i : l->size - 1 - i)] =
		    (uint8_t)n;
	return n == 0;
}

static bool
read_counted(const struct notation *t, const char **at, struct wr *w,
    const struct length *l)
{
	size_t start = w->len;

	wr_bytes(w, (const uint8_t[4]){ 0 }, l->size);
	return read_words(t, at, w, true) && put_length(l, w, start);
}

static const struct notation_name *
find_name(const struct notation *t, const char *at, size_t len)
{
	size_t i;

	for (i = 0; i < t->nnames; i++) {
		if (strlen(t->names[i].name) == len &&
		    strncmp(t->names[i].name, at, len) == 0)
			return &t->names[i];
	}
	return NULL;
}

static bool
read_hex(const char **at, struct wr *w)
{
	if (!read_hex_byte(at, w))
		return false;
	while (isalnum((unsigned char)**at)) {
		if (!read_hex_byte(at, w))
			return false;
	}
	return true;
}

/* A name begins with a capital letter, and hexadecimal never does. */
static bool
read_name(const struct notation *t, const char **at, struct wr *w)
{
	const struct notation_name *name;
	size_t len = 0;

	while (isalnum((unsigned char)(*at)[len]))
		len++;
	if ((name = find_name(t, *at, len)) == NULL)
		return false;
	*at += len;
	wr_bytes(w, name->bytes, name->len);
	return true;
}

static bool
skip_word(const char **at, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*at, word, len) != 0)
		return false;
	*at += len;
	return true;
}

static bool read_word(const struct notation *t, const char **at, struct wr *w);

static bool
read_packet(const struct notation *t, const char **at, struct wr *w)
{
	const size_t start = w->len;
	size_t len;

	wr_le24(w, 0);
	if (!read_hex_byte(at, w) || !read_words(t, at, w, true) || w->full)
		return false;
	len = w->len - start - 4;
	w->base[start] = (uint8_t)len;
	w->base[start + 1] = (uint8_t)(len >> 8);
	w->base[start + 2] = (uint8_t)(len >> 16);
	return true;
}

static bool
read_tns(const struct notation *t, const char **at, struct wr *w)
{
	const size_t start = w->len;
	size_t len, i;

	wr_be32(w, 0); /* length, checksum */
	for (i = 0; i < 2; i++) {
		if (!read_hex_byte(at, w))
			return false;
	}
	wr_be16(w, 0);
	if (!read_words(t, at, w, true) || w->full)
		return false;
	len = w->len - start;
	w->base[start] = (uint8_t)(len >> 8);
	w->base[start + 1] = (uint8_t)len;
	return len <= UINT16_MAX;
}

/* What it is mixed with does not stay. */
static bool
read_mixed(const struct notation *t, const char **at, struct wr *w)
{
	const size_t start = w->len;
	size_t key, i;

	if (!read_word(t, at, w) || w->len == start)
		return false;
	key = w->len - start;
	if (!read_words(t, at, w, true) || w->full)
		return false;
	for (i = start + key; i < w->len; i++)
		w->base[i] ^= w->base[start + (i - start) % key];
	w->len -= key;
	memmove(w->base + start, w->base + start + key, w->len - start);
	return true;
}

static bool
read_word(const struct notation *t, const char **at, struct wr *w)
{
	size_t i;

	if (skip_word(at, "\""))
		return read_string(at, w);
	for (i = 0; i < LENGTHS; i++) {
		if (skip_word(at, lengths[i].word))
			return read_counted(t, at, w, &lengths[i]);
	}
	if (skip_word(at, "my["))
		return read_packet(t, at, w);
	if (skip_word(at, "tns["))
		return read_tns(t, at, w);
	if (skip_word(at, "mix["))
		return read_mixed(t, at, w);
	if (isupper((unsigned char)**at))
		return read_name(t, at, w);
	return read_hex(at, w);
}

static bool
read_times(const char **at, struct wr *w, size_t start)
{
	size_t len = w->len - start, i;
	char *end;
	unsigned long times;

	if (**at != '*')
		return true;
	times = strtoul(*at + 1, &end, 10);
	if (times == 0 || end == *at + 1)
		return false;
	*at = end;
	for (i = 1; i < times && !w->full; i++)
		wr_bytes(w, w->base + start, len);
	return true;
}

static bool
read_words(const struct notation *t, const char **at, struct wr *w, bool nested)
{
	for (;;) {
		size_t start = w->len;

		skip_space(at);
		if (**at == '\0')
			return !nested;
		if (**at == ']') {
			(*at)++;
			return nested;
		}
		if (!read_word(t, at, w) || !read_times(at, w, start))
			return false;
	}
}

bool
notation_read(const struct notation *t, const char *text, struct wr *w)
{
	return read_words(t, &text, w, false) && !w->full;
}

bool
notation_define(struct notation *t, const char *line)
{
	struct notation_name *name = &t->names[t->nnames];
	struct wr w = { .cap = NOTATION_BYTES_MAX };
	size_t len = strcspn(line, " =");
	const char *equals = strchr(line, '=');

	if (t->nnames == NOTATION_NAMES_MAX || equals == NULL ||
	    !isupper((unsigned char)*line))
		return false;
	if ((w.base = malloc(w.cap)) == NULL)
		return false;
	if (!notation_read(t, equals + 1, &w) ||
	    (name->name = strndup(line, len)) == NULL) {
		free(w.base);
		return false;
	}
	name->bytes = w.base;
	name->len = w.len;
	t->nnames++;
	return true;
}

void
notation_fini(struct notation *t)
{
	size_t i;

	for (i = 0; i < t->nnames; i++) {
		free(t->names[i].name);
		free(t->names[i].bytes);
	}
	t->nnames = 0;
}

static size_t
run_length(const uint8_t *bytes, size_t n)
{
	size_t run = 1;

	while (run < n && bytes[run] == bytes[0])
		run++;
	return run;
}

static bool
is_text(const uint8_t *bytes, size_t n)
{
	return n > 0 && bytes[0] >= ' ' && bytes[0] <= '~' &&
	    run_length(bytes, n) < RUN_MIN;
}

/* Letters, and the NULs that end them. */
static size_t
write_string(FILE *to, const uint8_t *bytes, size_t n)
{
	size_t i;

	fputc('"', to);
	for (i = 0; i < n; i++) {
		if (bytes[i] == '\0' && i > 0 && bytes[i - 1] != '\0')
			fputs("\\0", to);
		else if (!is_text(bytes + i, n - i))
			break;
		else if (bytes[i] == '"' || bytes[i] == '\\')
			fprintf(to, "\\%c", bytes[i]);
		else
			fputc(bytes[i], to);
	}
	fputc('"', to);
	return i;
}

static size_t
write_hex(FILE *to, const uint8_t *bytes, size_t n)
{
	size_t i, run = run_length(bytes, n);

	if (run >= RUN_MIN) {
		fprintf(to, "%02x*%zu", bytes[0], run);
		return run;
	}
	for (i = 0; i < n && !is_text(bytes + i, n - i) &&
	     run_length(bytes + i, n - i) < RUN_MIN;
	     i++)
		fprintf(to, "%02x", bytes[i]);
	return i;
}

void
notation_write(FILE *to, const uint8_t *bytes, size_t n)
{
	size_t done = 0;

	while (done < n) {
		if (done > 0)
			fputc(' ', to);
		done += is_text(bytes + done, n - done)
		    ? write_string(to, bytes + done, n - done)
		    : write_hex(to, bytes + done, n - done);
	}
}
