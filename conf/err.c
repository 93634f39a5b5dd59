#include "conf/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void err_compose(struct err *err, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* Composed aside first: an argument may well be err->text itself, as when a
 * caller puts its own words before those of a callee. */
static void
err_compose(struct err *err, const char *fmt, va_list ap)
{
	char text[sizeof(err->text)];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	memcpy(err->text, text, sizeof(text));
}

int
err_set(struct err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_compose(err, fmt, ap);
	va_end(ap);
	return -1;
}

int
err_set_errno(struct err *err, const char *fmt, ...)
{
	int saved = errno;
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	err_compose(err, fmt, ap);
	va_end(ap);

	len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s",
	    strerrordesc_np(saved) != NULL ? strerrordesc_np(saved)
					   : "unknown error");
	errno = saved;
	return -1;
}
