/*
 * config_scan.h - what libconfig would pass over, or explain badly
 *
 * A first look at the text, before libconfig parses it: numbers that would
 * wrap, strings that would be joined or cut, commas too many, names used
 * twice, what is never closed, @include.  Each has its sentence, line and path.
 */
#ifndef CONF_CONFIG_SCAN_H
#define CONF_CONFIG_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/config.h"

/* False if libconfig would fail, or be misled.  Otherwise it may be given the
 * text even if there were errors, so that all the others are found too: what
 * was at fault has been overwritten by something harmless. */
bool config_scan(char *text, size_t len, const char *file,
    struct problems *problems);

#endif /* CONF_CONFIG_SCAN_H */
