#include "proxy/notify.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* Where to; an abstract name begins with a NUL and ends where its length says,
 * a path with its own NUL. */
static int
notify_address(const char *name, struct sockaddr_un *to, socklen_t *len,
    struct err *err)
{
	size_t n = strlen(name);

	if (name[0] != '/' && name[0] != '@')
		return err_set(err,
		    NOTIFY_VARIABLE ": it is neither a path nor an abstract "
				    "name; it has to begin with / or @");
	if (n < 2 || n >= sizeof(to->sun_path))
		return err_set(err,
		    NOTIFY_VARIABLE ": a name of %zu bytes is no socket's; it "
				    "has from 2 to %zu",
		    n, sizeof(to->sun_path) - 1);
	memset(to, 0, sizeof(*to));
	to->sun_family = AF_UNIX;
	memcpy(to->sun_path, name, n);
	if (name[0] == '@')
		to->sun_path[0] = '\0';
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n +
	    (name[0] == '/'));
	return 0;
}

static int
notify_datagram(int fd, const struct sockaddr_un *to, socklen_t len,
    const char *text, struct err *err)
{
	const struct timeval limit = { .tv_sec = NOTIFY_SECONDS };
	ssize_t sent;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	do
		sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL,
		    (const struct sockaddr *)to, len);
	while (sent == -1 && errno == EINTR);
	if (sent == -1)
		return err_set_errno(err, NOTIFY_VARIABLE ": cannot be told");
	return 0;
}

int
notify_send(const char *socket_name, const char *text, struct err *err)
{
	struct sockaddr_un to;
	socklen_t len = 0;
	int fd, status;

	if (socket_name == NULL || socket_name[0] == '\0')
		return 0;
	if (strlen(text) > NOTIFY_TEXT_MAX)
		return err_set(err,
		    NOTIFY_VARIABLE ": what is to be said is too long");
	if (notify_address(socket_name, &to, &len, err) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_set_errno(err, NOTIFY_VARIABLE ": no socket");
	status = notify_datagram(fd, &to, len, text, err);
	(void)close(fd);
	return status;
}
