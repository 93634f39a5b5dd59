/* dbtls.conf(5) has every setting that the program takes, with its default,
 * and no other. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>

#include "conf/config.h"

#define PAGE_MAX (256 * 1024)
#define TAG      "\n.B "

static char page[PAGE_MAX];
static char
    *options; /* lines of name, type, default, help, with tabs between */

static bool
page_has(const char *tag)
{
	const char *at = strstr(page, tag);

	for (; at != NULL; at = strstr(at + 1, tag)) {
		if (at[strlen(tag)] == '\n')
			return true;
	}
	return false;
}

static bool
is_default(const char *word)
{
	return strcmp(word, "(none)") != 0 && strcmp(word, "(required)") != 0;
}

/* As it stands before its paragraph. */
static void
tag_of(char *line, char *tag, size_t size)
{
	static const char prefix[] = "endpoints[].";
	const char *name = strsep(&line, "\t"), *value;

	(void)strsep(&line, "\t");
	value = strsep(&line, "\t");
	if (strncmp(name, prefix, strlen(prefix)) == 0)
		name += strlen(prefix);
	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	if (is_default(value))
		(void)snprintf(tag, size, TAG "%s = %s", name, value);
	else
		(void)snprintf(tag, size, TAG "%s", name);
}

static void
every_setting_is_described(void)
{
	char *copy = strdup(options), *rest = copy, *line, tag[256];
	size_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		tag_of(line, tag, sizeof(tag));
		if (!page_has(tag))
			(void)printf("not in dbtls.conf(5):%s\n", tag);
		CU_ASSERT_TRUE(page_has(tag));
		n++;
	}
	CU_ASSERT_TRUE(n > 0);
	free(copy);
}

/* Is there an option so called, of the whole or of an endpoint? */
static bool
is_option(const char *name, size_t len)
{
	const char *at = strstr(options, name);

	for (; at != NULL; at = strstr(at + 1, name)) {
		if (at[len] == '\t' &&
		    (at == options || at[-1] == '\n' || at[-1] == '.'))
			return true;
	}
	return false;
}

static void
every_default_that_is_described_is_one(void)
{
	char name[128];
	const char *at = page;
	size_t n = 0, len;

	while ((at = strstr(at, TAG)) != NULL) {
		at += strlen(TAG);
		len = strcspn(at, " \n");
		if (strncmp(at + len, " = ", 3) != 0)
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)len, at);
		if (!is_option(name, len))
			(void)printf("no such setting: %s\n", name);
		CU_ASSERT_TRUE(is_option(name, len));
		n++;
	}
	CU_ASSERT_TRUE(n > 0);
}

static CU_TestInfo tests[] = {
	{ "every_setting_is_described", every_setting_is_described },
	{ "every_default_that_is_described_is_one",
	    every_default_that_is_described_is_one },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "manual", NULL, NULL, NULL, NULL, tests },
	CU_SUITE_INFO_NULL,
};

static bool
read_all(void)
{
	FILE *f = fopen(MANUAL, "re");
	size_t len;

	if (f == NULL)
		return false;
	len = fread(page, 1, sizeof(page) - 1, f);
	page[len] = '\0';
	(void)fclose(f);
	if ((f = open_memstream(&options, &len)) == NULL)
		return false;
	config_print_options(f);
	return fclose(f) == 0;
}

int
main(void)
{
	unsigned failed;

	if (!read_all() || CU_initialize_registry() != CUE_SUCCESS ||
	    CU_register_suites(suites) != CUE_SUCCESS)
		return EXIT_FAILURE;
	CU_basic_set_mode(CU_BRM_NORMAL);
	(void)CU_basic_run_tests();
	failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	free(options);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
