#include "conf/config_files.h"

#include <sys/stat.h>

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MIB_MAX  16
#define FILE_SIZE_MAX ((size_t)FILE_MIB_MAX * 1024 * 1024)
#define FIRST_CHUNK   ((size_t)64 * 1024)
#define FILES_MAX     4096

/* Room for twice as much, and for the NUL. */
static int
grow(char **text, size_t *cap)
{
	size_t larger = *cap == 0 ? FIRST_CHUNK : *cap * 2;
	char *more = realloc(*text, larger + 1);

	if (more == NULL)
		return -1;
	*text = more;
	*cap = larger;
	return 0;
}

static int
read_all(FILE *from, char **text, size_t *len, struct err *err)
{
	size_t cap = 0;

	*len = 0;
	do {
		if (*len == cap && grow(text, &cap) == -1)
			return err_set(err, "out of memory");
		*len += fread(*text + *len, 1, cap - *len, from);
		if (ferror(from))
			return err_set_errno(err, "cannot be read");
		if (*len > FILE_SIZE_MAX)
			return err_set(err,
			    "is larger than %d MiB; is it a configuration?",
			    FILE_MIB_MAX);
	} while (!feof(from));
	(*text)[*len] = '\0';
	return 0;
}

static int
refuse_folder(FILE *f, struct err *err)
{
	struct stat st;

	if (fstat(fileno(f), &st) == -1)
		return err_set_errno(err, "cannot be read");
	if (S_ISDIR(st.st_mode))
		return err_set(err, "is a folder; write FOLDER/*.conf");
	return 0;
}

char *
config_file_read(const char *path, size_t *len, struct err *err)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;

	if (f == NULL) {
		(void)err_set_errno(err, "cannot be opened");
		return NULL;
	}
	if (refuse_folder(f, err) == -1 || read_all(f, &text, len, err) == -1) {
		free(text);
		text = NULL;
	}
	(void)fclose(f);
	return text;
}

char *
config_file_resolve(const char *file, const char *path)
{
	const char *slash = file == NULL ? NULL : strrchr(file, '/');
	size_t folder, len = strlen(path);
	char *resolved;

	if (path[0] == '/' || slash == NULL)
		return strdup(path);
	folder = (size_t)(slash - file) + 1;
	if ((resolved = malloc(folder + len + 1)) == NULL)
		return NULL;
	memcpy(resolved, file, folder);
	memcpy(resolved + folder, path, len + 1);
	return resolved;
}

void
file_list_fini(struct file_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->list[i]);
	free(l->list);
	*l = (struct file_list){ 0 };
}

static int
take_matches(const glob_t *g, struct file_list *found, struct err *err)
{
	size_t i;

	if (g->gl_pathc > FILES_MAX)
		return err_set(err,
		    "matches %zu files, and %d may be "
		    "included",
		    g->gl_pathc, FILES_MAX);
	found->list = calloc(g->gl_pathc, sizeof(char *));
	if (found->list == NULL)
		return err_set(err, "out of memory");
	for (i = 0; i < g->gl_pathc; i++) {
		found->list[i] = strdup(g->gl_pathv[i]);
		if (found->list[i] == NULL) {
			file_list_fini(found);
			return err_set(err, "out of memory");
		}
		found->n++;
	}
	return 0;
}

int
config_file_match(const char *pattern, struct file_list *found, struct err *err)
{
	glob_t g = { 0 };
	int outcome, result = 0;

	*found = (struct file_list){ 0 };
	errno = 0;
	outcome = glob(pattern, GLOB_ERR, NULL, &g);
	if (outcome == 0)
		result = take_matches(&g, found, err);
	else if (outcome == GLOB_NOMATCH && strpbrk(pattern, "*?[") == NULL)
		result = err_set(err, "there is no file \"%s\"", pattern);
	else if (outcome == GLOB_ABORTED)
		result = err_set_errno(err, "\"%s\" cannot be read", pattern);
	else if (outcome == GLOB_NOSPACE)
		result = err_set(err, "out of memory");
	globfree(&g);
	return result;
}
