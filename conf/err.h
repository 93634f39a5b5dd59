/*
 * err.h - why something could not be set up, in words
 *
 * Set-up code fills one of these and returns failure; nobody returns errno.
 * A sentence reads "WHAT: WHY" or "WHAT: WHY; REMEDY", without a final stop.
 */
#ifndef CONF_ERR_H
#define CONF_ERR_H

struct err {
	char text[1024];
};

/* Both return -1, so that a caller may say `return err_set(...)`. */
int err_set(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends ": " and the words for errno. */
int err_set_errno(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif /* CONF_ERR_H */
