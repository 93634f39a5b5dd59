/*
 * config_reader.h - from the text of one file to drafts
 *
 * The only module that sees libconfig.  Types, ranges, choices and unknown
 * words are settled here; what settings mean together is not.
 */
#ifndef CONF_CONFIG_READER_H
#define CONF_CONFIG_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/config.h"
#include "conf/config_draft.h"

/*
 * Reads `text`, which may be changed and has a NUL after its `len` bytes.  The
 * main file's settings go to `top`, the endpoints of every file to its
 * children.  An included file (`main` false) has endpoints and nothing else.
 * All errors are in `problems`; `file` must live as long as `top`.
 */
void config_read_text(char *text, size_t len, const char *file, bool main,
    struct draft *top, struct problems *problems);

#endif /* CONF_CONFIG_READER_H */
