/*
 * json.h - one JSON document, written straight to a stream
 *
 * The writer puts the commas and the lines.  Strings are escaped; bytes that
 * are no UTF-8 become U+FFFD.  `key` is NULL inside an array and at the top.
 */
#ifndef CONF_JSON_H
#define CONF_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *to;
	unsigned depth;
	bool comma; /* something stands before us at this depth */
};

void json_begin(struct json *j, FILE *to);
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_array(struct json *j);
void json_string(struct json *j, const char *key, const char *value);
void json_int(struct json *j, const char *key, int64_t value);
void json_number(struct json *j, const char *key, double value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
void json_hex(struct json *j, const char *key, const uint8_t *bytes, size_t n);
void json_finish(struct json *j); /* the final newline */

/* Escapes `len` bytes for the inside of a JSON string; at most `size` bytes
 * with the NUL are written, and never half an escape.  Returns how many,
 * without the NUL. */
size_t json_escape(const void *bytes, size_t len, char *text, size_t size);

#endif /* CONF_JSON_H */
