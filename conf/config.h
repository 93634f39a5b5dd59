/*
 * config.h - from a file to one immutable object
 *
 * config_load() reads everything the proxy will ever need: the file, those it
 * includes, and every certificate, key and CRL they name.  All that is wrong
 * is reported, not only the first; a configuration with an error does not
 * exist.  What comes out is counted and never changes.
 */
#ifndef CONF_CONFIG_H
#define CONF_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "conf/endpoint.h"

#define CONFIG_DEFAULT_FILE "/etc/dbtls/dbtls.conf"
#define CONFIG_SHA256_MAX   65 /* 32 bytes in hexadecimal, and a NUL */

enum log_level {
	LEVEL_DEBUG = 0,
	LEVEL_INFO,
	LEVEL_NOTICE,
	LEVEL_WARN,
	LEVEL_ERR
};
enum log_format {
	LOG_TEXT = 0,
	LOG_JSON
};

struct config {
	unsigned generation;            /* counts from 1 */
	char sha256[CONFIG_SHA256_MAX]; /* of the main file, hexadecimal */
	char *file;                     /* "command line" if there is none */

	unsigned threads;      /* never 0: resolved when loaded */
	unsigned max_sessions; /* of all; 0: by the descriptor limit */
	char *user;            /* to become; NULL: whoever started us */
	struct {
		enum log_level level;
		enum log_format format;
		char *to;      /* "stderr", "syslog" or a path */
		bool identity; /* log user, database and program */
	} log;
	struct {
		double min_ttl, max_ttl, negative_ttl, timeout;
		unsigned attempts;
	} dns;

	struct endpoint **endpoints;
	size_t nendpoints;

	atomic_uint *references; /* config_retain(), config_release() */
};

/* Something about a configuration that the user must be told. */
struct problem {
	bool warning; /* else an error */
	char *file;   /* NULL: about no place in a file */
	unsigned line;
	char *path; /* "endpoints[0].tls.min"; NULL: none */
	char *text; /* "WHY; REMEDY" */
};

struct problems {
	struct problem *list;
	size_t n;
	size_t errors;                  /* how many of them are */
	char sha256[CONFIG_SHA256_MAX]; /* the same; empty if it was not read */
};

void problem_add(struct problems *p, bool warning, const char *file,
    unsigned line, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* Those in a row that are about one file, by line. */
void problems_sort(struct problems *p);
void problems_fini(struct problems *p);
/* One line each: "dbtls: FILE:LINE: PATH: WHY; REMEDY". */
void problems_print(const struct problems *p, FILE *to);

/*
 * NULL if there is any error; `problems` then holds at least one.  Warnings
 * may be there in either case.  The caller releases what is returned.
 */
struct config *config_load(const char *path, struct problems *problems);

/* The same from text that stands for a file, as `run --engine ...` and
 * `test --engine ...` compose it; `name` is used in messages. */
struct config *config_load_text(const char *text, const char *name,
    struct problems *problems);

const struct config *config_retain(const struct config *c);
void config_release(const struct config *c); /* accepts NULL */

/* NULL if there is none of that name. */
const struct endpoint *config_endpoint(const struct config *c,
    const char *name);

/* Every number, word and switch of an endpoint that is not at its default, by
 * its path and as it would be written: "timeouts.idle", "600". */
void endpoint_each_changed(const struct endpoint *e,
    void (*tell)(const char *name, const char *value, void *arg), void *arg);

/* Every setting there is, as path, type, default and help with tabs between
 * (for the documentation, and for the test that compares it with
 * conf/examples/dbtls.conf). */
void config_print_options(FILE *to);

#endif /* CONF_CONFIG_H */
