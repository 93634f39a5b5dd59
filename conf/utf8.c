#include "conf/utf8.h"

#include <stdbool.h>

#define ASCII_END       0x80u
#define CONTINUATION    0x80u /* 10xxxxxx */
#define CONTINUATION_OF 0xc0u
#define PAYLOAD_BITS    6
#define PAYLOAD         0x3fu
#define SURROGATE_FIRST 0xd800u
#define SURROGATE_LAST  0xdfffu
#define LAST_CHARACTER  0x10ffffu

/* RFC 3629, section 3: by the first byte, how long, what it carries, and the
 * least character that needs so much. */
static const struct {
	uint8_t mask, lead;
	size_t len;
	uint32_t least;
} forms[] = {
	{ 0xe0, 0xc0, 2, 0x80 },
	{ 0xf0, 0xe0, 3, 0x800 },
	{ 0xf8, 0xf0, 4, 0x10000 },
};

static bool
is_character(uint32_t c, uint32_t least)
{
	return c >= least && c <= LAST_CHARACTER &&
	    (c < SURROGATE_FIRST || c > SURROGATE_LAST);
}

static size_t
decode(const uint8_t *bytes, size_t len, size_t form, uint32_t *character)
{
	uint32_t c = bytes[0] & (uint8_t)~forms[form].mask;
	size_t i;

	if (forms[form].len > len)
		return 1;
	for (i = 1; i < forms[form].len; i++) {
		if ((bytes[i] & CONTINUATION_OF) != CONTINUATION)
			return 1;
		c = (c << PAYLOAD_BITS) | (bytes[i] & PAYLOAD);
	}
	if (!is_character(c, forms[form].least))
		return 1;
	*character = c;
	return forms[form].len;
}

size_t
utf8_next(const uint8_t *bytes, size_t len, uint32_t *character)
{
	size_t i;

	if (bytes[0] < ASCII_END) {
		*character = bytes[0];
		return 1;
	}
	*character = UTF8_INVALID;
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if ((bytes[0] & forms[i].mask) == forms[i].lead)
			return decode(bytes, len, i, character);
	}
	return 1;
}
