/*
 * utf8.h - the next character of bytes that may be no UTF-8
 */
#ifndef CONF_UTF8_H
#define CONF_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_INVALID UINT32_MAX

/* How many bytes the first character takes (at least 1); `len` is not 0.  What
 * is overlong, a surrogate, beyond U+10FFFF or cut short is one byte that is
 * UTF8_INVALID. */
size_t utf8_next(const uint8_t *bytes, size_t len, uint32_t *character);

#endif /* CONF_UTF8_H */
