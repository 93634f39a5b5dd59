/* nsfiles.c - what the machine says about names */
#include "proxy/nsfiles.h"

#include <sys/stat.h>

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_BYTES    1024 /* of either file; more is not looked at */
#define SPACE         " \t\r\n"
#define PORT_DNS      53
#define NDOTS_DEFAULT 1
#define NDOTS_MAX     15 /* resolv.conf(5) */

struct file_stamp
file_stamp_now(const char *path)
{
	struct file_stamp stamp;
	struct stat st;

	memset(&stamp, 0, sizeof(stamp));
	if (stat(path, &st) == -1)
		return stamp;
	stamp.device = st.st_dev;
	stamp.inode = st.st_ino;
	stamp.size = st.st_size;
	stamp.modified = st.st_mtim;
	return stamp;
}

bool
file_stamp_equals(const struct file_stamp *a, const struct file_stamp *b)
{
	return a->device == b->device && a->inode == b->inode &&
	    a->size == b->size && a->modified.tv_sec == b->modified.tv_sec &&
	    a->modified.tv_nsec == b->modified.tv_nsec;
}

bool
numeric_address(const char *text, uint16_t port, struct address *a)
{
	struct addrinfo hints = { 0 }, *ai;
	char service[sizeof("65535")];

	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	hints.ai_socktype = SOCK_STREAM;
	(void)snprintf(service, sizeof(service), "%u", (unsigned)port);
	if (getaddrinfo(text, service, &hints, &ai) != 0)
		return false;
	memset(a, 0, sizeof(*a));
	memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
	a->len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return true;
}

/* The next word of a line, NULL if there is none; '#' and ';' begin
 * comments. */
static char *
next_word(char **rest)
{
	char *word;

	while ((word = strsep(rest, SPACE)) != NULL) {
		if (*word == '#' || *word == ';')
			return NULL;
		if (*word != '\0')
			return word;
	}
	return NULL;
}

static void
read_nameserver(struct resolv_conf *rc, char *rest)
{
	struct nameservers *ns = &rc->servers;
	char *word = next_word(&rest);

	if (word == NULL || ns->n == NAMESERVERS_MAX)
		return;
	if (numeric_address(word, PORT_DNS, &ns->list[ns->n]))
		ns->n++;
}

/* The last of these lines counts, as in every resolver. */
static void
read_search(struct resolv_conf *rc, char *rest)
{
	size_t len;
	char *word;

	rc->nsearch = 0;
	while ((word = next_word(&rest)) != NULL) {
		if (rc->nsearch == SEARCH_MAX)
			return;
		len = strlen(word);
		if (len >= HOST_TEXT_MAX || strcmp(word, ".") == 0)
			continue;
		memcpy(rc->search[rc->nsearch++], word, len + 1);
	}
}

/* Its timeout and attempts are not for us: dns.timeout and dns.attempts of
 * our own configuration are. */
static void
read_options(struct resolv_conf *rc, char *rest)
{
	static const char ndots[] = "ndots:";
	unsigned long n;
	char *word;

	while ((word = next_word(&rest)) != NULL) {
		if (strncmp(word, ndots, strlen(ndots)) == 0) {
			n = strtoul(word + strlen(ndots), NULL, 10);
			rc->ndots = n < NDOTS_MAX ? (unsigned)n : NDOTS_MAX;
		} else if (strcmp(word, "rotate") == 0) {
			rc->rotate = true;
		} else if (strcmp(word, "use-vc") == 0) {
			rc->servers.tcp_only = true;
		}
	}
}

static void
read_resolv_line(struct resolv_conf *rc, char *line)
{
	char *rest = line, *word = next_word(&rest);

	if (word == NULL || rest == NULL)
		return;
	if (strcmp(word, "nameserver") == 0)
		read_nameserver(rc, rest);
	else if (strcmp(word, "search") == 0 || strcmp(word, "domain") == 0)
		read_search(rc, rest);
	else if (strcmp(word, "options") == 0)
		read_options(rc, rest);
}

/* False at the end.  A longer line is cut, and what was cut is skipped. */
static bool
next_line(FILE *f, char line[LINE_BYTES])
{
	int c;

	if (fgets(line, LINE_BYTES, f) == NULL)
		return false;
	if (strchr(line, '\n') != NULL)
		return true;
	while ((c = getc(f)) != EOF && c != '\n')
		;
	return true;
}

/* What a file says does not change because it could not be opened for want of
 * something: that is another matter than a file that is not there, or not for
 * us to read. */
static int
open_file(const char *path, FILE **f)
{
	if ((*f = fopen(path, "re")) != NULL)
		return 0;
	return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -1 : 0;
}

int
resolv_conf_read(struct resolv_conf *rc, const char *path)
{
	char line[LINE_BYTES];
	FILE *f;
	int result;

	memset(rc, 0, sizeof(*rc));
	rc->ndots = NDOTS_DEFAULT;
	result = open_file(path, &f);
	if (f != NULL) {
		while (next_line(f, line))
			read_resolv_line(rc, line);
		(void)fclose(f);
	}
	if (rc->servers.n == 0 &&
	    numeric_address("127.0.0.1", PORT_DNS, &rc->servers.list[0]))
		rc->servers.n = 1;
	return result;
}

/* Is the host among the names of this line? */
static bool
line_names(char *rest, const char *host)
{
	char *word;

	while ((word = next_word(&rest)) != NULL) {
		if (strcasecmp(word, host) == 0)
			return true;
	}
	return false;
}

int
hosts_read(const char *path, const char *host, struct address *list, size_t max,
    size_t *n)
{
	char line[LINE_BYTES], *rest, *word;
	FILE *f;

	*n = 0;
	if (open_file(path, &f) == -1)
		return -1;
	if (f == NULL)
		return 0;
	while (*n < max && next_line(f, line)) {
		rest = line;
		if ((word = next_word(&rest)) == NULL || rest == NULL ||
		    !line_names(rest, host))
			continue;
		if (numeric_address(word, 0, &list[*n]))
			(*n)++;
	}
	(void)fclose(f);
	return 0;
}
