/* What the service manager hears: all of it, or we say why not. */
#include "proxy/notify.h"
#include "tests/unit/unit.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#define READY    "READY=1\nSTATUS=serving"
#define TOO_LONG 110 /* more than sun_path has */

/* A manager's socket, `name` being as $NOTIFY_SOCKET would say it. */
static int
manager_new(const char *name)
{
	const struct timeval limit = { .tv_sec = 5 };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path, name, len);
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	else
		len++;
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ==
		-1 ||
	    bind(fd, (struct sockaddr *)&at,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) ==
		-1)
		abort();
	return fd;
}

static void
hears(int manager, const char *what)
{
	char text[NOTIFY_TEXT_MAX + 1];
	ssize_t n = recv(manager, text, sizeof(text), 0);

	CU_ASSERT_EQUAL_FATAL(n, (ssize_t)strlen(what));
	CU_ASSERT_EQUAL(memcmp(text, what, strlen(what)), 0);
}

static void
nobody_wants_to_know(void)
{
	struct err err;

	CU_ASSERT_EQUAL(notify_send(NULL, READY, &err), 0);
	CU_ASSERT_EQUAL(notify_send("", READY, &err), 0);
}

static void
path_is_told(void)
{
	char folder[] = "/tmp/dbtls-notify.XXXXXX", path[64];
	struct err err;
	int manager;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/socket", folder);
	manager = manager_new(path);
	CU_ASSERT_EQUAL(notify_send(path, READY, &err), 0);
	hears(manager, READY);
	CU_ASSERT_EQUAL(notify_send(path, "STOPPING=1", &err), 0);
	hears(manager, "STOPPING=1");
	(void)close(manager);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(notify_send(path, READY, &err), -1);
	CU_ASSERT_STRING_EQUAL(err.text,
	    "NOTIFY_SOCKET: cannot be told: No such file or directory");
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static void
abstract_name_is_told(void)
{
	char name[64];
	struct err err;
	int manager;

	(void)snprintf(name, sizeof(name), "@dbtls-notify-%d", (int)getpid());
	manager = manager_new(name);
	CU_ASSERT_EQUAL(notify_send(name, READY, &err), 0);
	hears(manager, READY);
	(void)close(manager);
	CU_ASSERT_EQUAL(notify_send(name, READY, &err), -1);
}

static void
what_is_no_socket_is_refused(void)
{
	char longest[TOO_LONG], text[NOTIFY_TEXT_MAX + 2];
	struct err err;

	CU_ASSERT_EQUAL(notify_send("run/notify", READY, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "neither a path nor"));
	CU_ASSERT_EQUAL(notify_send("vsock:2:1234", READY, &err), -1);
	CU_ASSERT_EQUAL(notify_send("/", READY, &err), -1);
	CU_ASSERT_EQUAL(notify_send("@", READY, &err), -1);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	CU_ASSERT_EQUAL(notify_send(longest, READY, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "109 bytes"));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_EQUAL(notify_send("/run/notify", text, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "too long"));
}

/* A path may fill all of sun_path but its NUL, an abstract name as well. */
static void
longest_name_is_told(void)
{
	char name[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct err err;
	int manager, n;

	n = snprintf(name, sizeof(name), "@dbtls-notify-%d-", (int)getpid());
	memset(name + n, 'x', sizeof(name) - (size_t)n - 1);
	name[sizeof(name) - 1] = '\0';
	manager = manager_new(name);
	CU_ASSERT_EQUAL(notify_send(name, READY, &err), 0);
	hears(manager, READY);
	(void)close(manager);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		{ "nobody_wants_to_know", nobody_wants_to_know },
		{ "path_is_told", path_is_told },
		{ "abstract_name_is_told", abstract_name_is_told },
		{ "what_is_no_socket_is_refused",
		    what_is_no_socket_is_refused },
		{ "longest_name_is_told", longest_name_is_told },
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {
		{ "notify", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
