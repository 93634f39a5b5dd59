#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/config.h"

#define PROBLEM_TEXT_MAX 1536

/* Words may quote what stands in a file, and names of files are anything: a
 * problem is one line all the same, and does nothing to a terminal. */
static char *
copy_printable(const char *s)
{
	char *copy = s == NULL ? NULL : strdup(s), *at;

	for (at = copy; at != NULL && *at != '\0'; at++) {
		if (iscntrl((unsigned char)*at))
			*at = '?';
	}
	return copy;
}

static struct problem *
problems_grow(struct problems *p)
{
	struct problem *list;

	list = reallocarray(p->list, p->n + 1, sizeof(*list));
	if (list == NULL)
		return NULL;
	p->list = list;
	list[p->n] = (struct problem){ 0 };
	return &list[p->n++];
}

void
problem_add(struct problems *p, bool warning, const char *file, unsigned line,
    const char *path, const char *fmt, ...)
{
	char text[PROBLEM_TEXT_MAX];
	struct problem *one;
	va_list ap;

	/* Counted even if memory is too short to say what it is: a
	 * configuration with an error does not exist. */
	if (!warning)
		p->errors++;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if ((one = problems_grow(p)) == NULL)
		return;
	one->warning = warning;
	one->line = line;
	one->file = copy_printable(file);
	one->path =
	    path == NULL || path[0] == '\0' ? NULL : copy_printable(path);
	one->text = copy_printable(text);
}

static bool
same_file(const struct problem *a, const struct problem *b)
{
	if (a->file == NULL || b->file == NULL)
		return a->file == b->file;
	return strcmp(a->file, b->file) == 0;
}

/* By insertion: they come nearly in order. */
void
problems_sort(struct problems *p)
{
	struct problem moving;
	size_t i, j;

	for (i = 1; i < p->n; i++) {
		moving = p->list[i];
		for (j = i; j > 0 && same_file(&p->list[j - 1], &moving) &&
		     p->list[j - 1].line > moving.line;
		     j--)
			p->list[j] = p->list[j - 1];
		p->list[j] = moving;
	}
}

void
problems_fini(struct problems *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		free(p->list[i].file);
		free(p->list[i].path);
		free(p->list[i].text);
	}
	free(p->list);
	*p = (struct problems){ 0 };
}

static void
print_one(const struct problem *p, FILE *to)
{
	(void)fputs("dbtls: ", to);
	if (p->file != NULL && p->line != 0)
		(void)fprintf(to, "%s:%u: ", p->file, p->line);
	else if (p->file != NULL)
		(void)fprintf(to, "%s: ", p->file);
	if (p->warning)
		(void)fputs("warning: ", to);
	if (p->path != NULL)
		(void)fprintf(to, "%s: ", p->path);
	(void)fprintf(to, "%s\n", p->text != NULL ? p->text : "out of memory");
}

void
problems_print(const struct problems *p, FILE *to)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		print_one(&p->list[i], to);
	if (p->errors > p->n)
		(void)fputs("dbtls: out of memory\n", to);
}
