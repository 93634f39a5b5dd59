#include "proxy/holder.h"

#include <netinet/in.h>

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROC_LINE_MAX 512
#define PROC_NAME_MAX 64
#define STATE_LISTEN  0x0a /* TCP_LISTEN of the kernel's tcp_states.h */
#define HEX_WORD      8
#define INODE_MAX     64 /* "socket:[12345]" */

/* Of a line of /proc/net/tcp: see proc(5). */
enum field {
	FIELD_LOCAL = 1,
	FIELD_STATE = 3,
	FIELD_INODE = 9
};

/* An IP address as IPv6, and whether it stands for all of them. */
struct place {
	uint8_t bytes[16];
	bool any;
	unsigned port;
};

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static void
place_set(struct place *p, const void *bytes, size_t len, unsigned port)
{
	static const uint8_t zero[16];

	memcpy(p->bytes, mapped, sizeof(mapped));
	memcpy(p->bytes + sizeof(p->bytes) - len, bytes, len);
	p->any = memcmp(bytes, zero, len) == 0;
	p->port = port;
}

static bool
place_of_address(struct place *p, const struct address *a)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (a->sa.ss_family == AF_INET) {
		memcpy(&v4, &a->sa, sizeof(v4));
		place_set(p, &v4.sin_addr, sizeof(v4.sin_addr),
		    ntohs(v4.sin_port));
		return true;
	}
	if (a->sa.ss_family == AF_INET6) {
		memcpy(&v6, &a->sa, sizeof(v6));
		place_set(p, &v6.sin6_addr, sizeof(v6.sin6_addr),
		    ntohs(v6.sin6_port));
		return true;
	}
	return false;
}

/* Eight hexadecimal digits, as of a word of the machine's own order. */
static uint32_t
hex_word(const char *digits)
{
	char word[HEX_WORD + 1];

	memcpy(word, digits, HEX_WORD);
	word[HEX_WORD] = '\0';
	return (uint32_t)strtoul(word, NULL, 16);
}

/* "0100007F:1538", or with four such words. */
static bool
place_of_text(struct place *p, const char *text)
{
	size_t i, len = strcspn(text, ":"), words = len / HEX_WORD;
	uint32_t word[4];

	if (text[len] != ':' || len % HEX_WORD != 0 ||
	    (words != 1 && words != 4))
		return false;
	for (i = 0; i < words; i++)
		word[i] = hex_word(text + i * HEX_WORD);
	place_set(p, word, words * sizeof(word[0]),
	    (unsigned)strtoul(text + len + 1, NULL, 16));
	return true;
}

static bool
place_overlaps(const struct place *a, const struct place *b)
{
	if (a->port != b->port)
		return false;
	return a->any || b->any ||
	    memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* The inode of the socket, if this line is one that listens there; else 0. */
static unsigned long
inode_of_line(char *line, const struct place *wanted)
{
	char *field[FIELD_INODE + 1], *rest = line;
	struct place p;
	size_t i;

	for (i = 0; i <= FIELD_INODE; i++) {
		field[i] = strtok_r(rest, " ", &rest);
		if (field[i] == NULL)
			return 0;
	}
	if (strtoul(field[FIELD_STATE], NULL, 16) != STATE_LISTEN ||
	    !place_of_text(&p, field[FIELD_LOCAL]) ||
	    !place_overlaps(&p, wanted))
		return 0;
	return strtoul(field[FIELD_INODE], NULL, 10);
}

static unsigned long
inode_find(const char *table, const struct place *wanted)
{
	char line[PROC_LINE_MAX];
	unsigned long inode = 0;
	FILE *f;

	if ((f = fopen(table, "re")) == NULL)
		return 0;
	while (inode == 0 && fgets(line, sizeof(line), f) != NULL)
		inode = inode_of_line(line, wanted);
	(void)fclose(f);
	return inode;
}

static bool
process_has(const char *pid, const char *link)
{
	char path[PROC_NAME_MAX + sizeof(struct dirent)];
	char target[INODE_MAX];
	struct dirent *d;
	bool found = false;
	ssize_t n;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	if ((dir = opendir(path)) == NULL)
		return false;
	while (!found && (d = readdir(dir)) != NULL) {
		n = readlinkat(dirfd(dir), d->d_name, target, sizeof(target));
		found = n > 0 && (size_t)n == strlen(link) &&
		    memcmp(target, link, (size_t)n) == 0;
	}
	(void)closedir(dir);
	return found;
}

static pid_t
process_find(unsigned long inode)
{
	char link[INODE_MAX];
	struct dirent *d;
	pid_t pid = 0;
	DIR *dir;

	(void)snprintf(link, sizeof(link), "socket:[%lu]", inode);
	if ((dir = opendir("/proc")) == NULL)
		return 0;
	while (pid == 0 && (d = readdir(dir)) != NULL) {
		if (isdigit((unsigned char)d->d_name[0]) &&
		    process_has(d->d_name, link))
			pid = (pid_t)strtol(d->d_name, NULL, 10);
	}
	(void)closedir(dir);
	return pid;
}

pid_t
holder_find(const struct address *a)
{
	static const char tcp4[] = "/proc/self/net/tcp";
	static const char tcp6[] = "/proc/self/net/tcp6";
	bool v6 = a->sa.ss_family == AF_INET6;
	unsigned long inode;
	struct place wanted;

	if (!place_of_address(&wanted, a))
		return 0;
	inode = inode_find(v6 ? tcp6 : tcp4, &wanted);
	if (inode == 0)
		inode = inode_find(v6 ? tcp4 : tcp6, &wanted);
	return inode == 0 ? 0 : process_find(inode);
}

static bool
process_name(pid_t pid, char *name, size_t size)
{
	char path[PROC_NAME_MAX];
	bool read = false;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	if (fgets(name, (int)size, f) != NULL) {
		name[strcspn(name, "\n")] = '\0';
		read = true;
	}
	(void)fclose(f);
	return read;
}

/* A process chooses its own name: what is not printable is not printed. */
static void
make_printable(char *s)
{
	for (; *s != '\0'; s++)
		if (*s < 0x20 || *s >= 0x7f)
			*s = '?';
}

void
holder_describe(pid_t pid, char *text, size_t size)
{
	char name[PROC_NAME_MAX];

	if (pid == 0 || !process_name(pid, name, sizeof(name))) {
		(void)snprintf(text, size, "in use by another process");
		return;
	}
	make_printable(name);
	(void)snprintf(text, size, "%s by pid %ld (%s)",
	    strcmp(name, "dbtls") == 0 ? "served" : "in use", (long)pid, name);
}
