/*
 * notation.h - bytes as a person writes them
 *
 *	04d2162f            hexadecimal, two digits a byte
 *	"user\0alice\0"     text, with \0 \n \" \\ and \xHH
 *	be32[ ... ]         with a 32-bit length before it, which counts itself
 *	n32[ ... ]          with one that does not
 *	ln32[ ... ]         the same, the lowest byte first
 *	le32[ ... ]         the lowest byte first, and it counts itself
 *	n8[ ... ]           with a length of one byte, which does not count
 *	                    itself either
 *	n16[ ... ]          of two bytes, which do not either
 *	tns[0608 ... ]      a packet of Oracle Net's, of this type and these
 *	                    flags
 *	my[01 ... ]         a packet of MySQL's, of this id
 *	mix[Nonce ... ]     each byte by exclusive or with those of the first
 *	                    word, over and over
 *	61*9992             the byte or text before, so many times
 *	SSLRequest          what a file of names calls so
 *
 * Words stand side by side; bytes are what they amount to.
 */
#ifndef TESTS_NEGOTIATOR_NOTATION_H
#define TESTS_NEGOTIATOR_NOTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "protocols/bytes.h"

#define NOTATION_NAMES_MAX 128
#define NOTATION_BYTES_MAX 200000

struct notation_name {
	char *name;
	uint8_t *bytes;
	size_t len;
};

struct notation {
	struct notation_name names[NOTATION_NAMES_MAX];
	size_t nnames;
};

void notation_fini(struct notation *t);

/* Appends to `w` what `text` stands for; false if it is not well formed. */
bool notation_read(const struct notation *t, const char *text, struct wr *w);

/* A line `NAME = WORDS`. */
bool notation_define(struct notation *t, const char *line);

/* One way to write these bytes; the same bytes give the same text. */
void notation_write(FILE *to, const uint8_t *bytes, size_t n);

#endif /* TESTS_NEGOTIATOR_NOTATION_H */
