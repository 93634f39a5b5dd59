#include "proxy/listener.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/holder.h"
#include "proxy/limits.h"
#include "proxy/listener_route.h"
#include "proxy/log.h"

#define LISTEN_BACKLOG 4096 /* the kernel caps it at somaxconn */
#define UNIX_MODE      0660

/* So that one listener does not keep the loop from its sessions; and a stop
 * from ending, when clients come faster than they are turned away. */
#define ACCEPT_TURN_MAX 64
#define ACCEPT_STOP_MAX (2 * LISTEN_BACKLOG)

/* Accepting pauses when descriptors or memory run out. */
#define PAUSE_MIN_MS       100
#define PAUSE_MAX_MS       1000
#define PAUSE_LOG_INTERVAL 60 /* seconds */

/* How long another process may hold the folder of a unix socket. */
#define FOLDER_LOCK_TRIES   100
#define FOLDER_LOCK_WAIT_MS 10

struct listener_set {
	const struct endpoint *endpoint;
	size_t listen; /* its number among the endpoint's */
	struct address address;
	int *fds; /* -1: a listener has it */
	size_t n;
	size_t taken;
	bool file; /* a unix socket's, with this identity */
	dev_t device;
	ino_t inode;
};

struct listener {
	struct worker *worker;
	const struct endpoint *endpoint;
	size_t listen;
	struct address address;
	struct destinations *destinations; /* NULL: it is not transparent */
	int fd;                            /* -1: stopped */
	struct event *readable;
	struct event *resume;
	unsigned pause_ms;
	time_t logged; /* CLOCK_MONOTONIC; when a pause was; 0: never */
};

/*
 * Binding.
 */

static const char *
bind_remedy(int error)
{
	if (error == EACCES)
		return "ports below 1024 need CAP_NET_BIND_SERVICE, a unix "
		       "socket a folder that may be written to";
	if (error == EPERM)
		return "transparent = \"tproxy\" needs CAP_NET_ADMIN or "
		       "CAP_NET_RAW";
	if (error == EADDRNOTAVAIL)
		return "no interface of this machine has that address";
	return "check the listen address";
}

static int
fail_bind(const struct listener_set *s, int error, struct err *err)
{
	char where[ADDRESS_TEXT_MAX];

	address_format(&s->address, where, sizeof(where));
	return err_set(err, "%s: listen %s: %s; %s", s->endpoint->name, where,
	    strerror(error), bind_remedy(error));
}

static int
fail_held(const struct listener_set *s, pid_t pid, struct err *err)
{
	char where[ADDRESS_TEXT_MAX], who[ADDRESS_TEXT_MAX];

	address_format(&s->address, where, sizeof(where));
	if (pid == getpid())
		return err_set(err,
		    "%s: listen %s: another endpoint of this configuration "
		    "has it; give each an address of its own",
		    s->endpoint->name, where);
	holder_describe(pid, who, sizeof(who));
	return err_set(err,
	    "%s: listen %s: %s; stop that process, or choose another address",
	    s->endpoint->name, where, who);
}

static int
fail_listen(const struct listener_set *s, struct err *err)
{
	int error = errno;

	if (error == EADDRINUSE)
		return fail_held(s, holder_find(&s->address), err);
	return fail_bind(s, error, err);
}

static bool
set_option(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

static int
open_socket(int family)
{
	int fd;

	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || family == AF_UNIX)
		return fd;
	if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR) ||
	    (family == AF_INET6 &&
		!set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY))) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* One of a set's, ready to be bound. */
static int
open_listener(const struct listener_set *s)
{
	int family = s->address.sa.ss_family, fd = open_socket(family);

	if (fd == -1 || s->endpoint->transparent != TRANSPARENT_TPROXY ||
	    dial_allow_foreign(fd, family))
		return fd;
	(void)close(fd);
	errno = EPERM;
	return -1;
}

static bool
bind_and_listen(int fd, const struct address *a)
{
	return bind(fd, (const struct sockaddr *)&a->sa, a->len) == 0 &&
	    listen(fd, LISTEN_BACKLOG) == 0;
}

/*
 * The first socket of an address listens before it is made shareable.  Linux
 * lets nobody else listen there meanwhile, and afterwards only a socket that
 * asks for sharing before it binds, which the first one of another dbtls does
 * not: so two processes never serve one address.
 */
static int
bind_first(struct listener_set *s, bool shared, struct err *err)
{
	socklen_t len = sizeof(s->address.sa);

	if ((s->fds[0] = open_listener(s)) == -1)
		return fail_listen(s, err);
	if (!bind_and_listen(s->fds[0], &s->address))
		return fail_listen(s, err);
	if (shared && !set_option(s->fds[0], SOL_SOCKET, SO_REUSEPORT))
		return fail_listen(s, err);
	if (getsockname(s->fds[0], (struct sockaddr *)&s->address.sa, &len) ==
	    -1)
		return fail_listen(s, err);
	s->address.len = len;
	return 0;
}

static int
bind_next(struct listener_set *s, size_t i, struct err *err)
{
	if ((s->fds[i] = open_listener(s)) == -1)
		return fail_listen(s, err);
	if (!set_option(s->fds[i], SOL_SOCKET, SO_REUSEPORT) ||
	    !bind_and_listen(s->fds[i], &s->address))
		return fail_listen(s, err);
	return 0;
}

static int
bind_tcp(struct listener_set *s, struct err *err)
{
	size_t i;

	if (bind_first(s, s->n > 1, err) == -1)
		return -1;
	for (i = 1; i < s->n; i++) {
		if (bind_next(s, i, err) == -1)
			return -1;
	}
	return 0;
}

static void
unix_path(const struct address *a, char path[sizeof(struct sockaddr_un)])
{
	struct sockaddr_un sun;

	memcpy(&sun, &a->sa, sizeof(sun));
	(void)snprintf(path, sizeof(sun), "%.*s", (int)sizeof(sun.sun_path),
	    sun.sun_path);
}

/* Who answers there; 0: somebody whose pid is not known; -1: nobody. */
static pid_t
unix_holder(const struct address *a)
{
	struct ucred peer = { .pid = -1 };
	socklen_t len = sizeof(peer);
	int fd, result;

	if ((fd = open_socket(AF_UNIX)) == -1)
		return 0;
	result = connect(fd, (const struct sockaddr *)&a->sa, a->len);
	if (result == -1)
		peer.pid = errno == ECONNREFUSED ? -1 : 0;
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
		peer.pid = 0;
	(void)close(fd);
	return peer.pid;
}

/* Removes the file of a socket that nobody serves any more. */
static int
unix_clear(struct listener_set *s, const char *path, struct err *err)
{
	struct stat st;
	pid_t pid;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : fail_bind(s, errno, err);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err,
		    "%s: listen unix:%s: there is a file that is no socket; "
		    "remove it, or choose another path",
		    s->endpoint->name, path);
	if ((pid = unix_holder(&s->address)) != -1)
		return fail_held(s, pid, err);
	return unlink(path) == 0 ? 0 : fail_bind(s, errno, err);
}

/* The file has its mode from the beginning, and no chmod() can be led astray.
 * umask belongs to the whole process, which has one thread at this time. */
static bool
bind_with_mode(int fd, const struct address *a)
{
	mode_t before = umask(ACCESSPERMS & ~UNIX_MODE);
	bool bound = bind_and_listen(fd, a);

	(void)umask(before);
	return bound;
}

static int
unix_bind(struct listener_set *s, const char *path, struct err *err)
{
	struct stat st;

	if (unix_clear(s, path, err) == -1)
		return -1;
	if ((s->fds[0] = open_socket(AF_UNIX)) == -1 ||
	    !bind_with_mode(s->fds[0], &s->address) || lstat(path, &st) == -1)
		return fail_bind(s, errno, err);
	s->file = true;
	s->device = st.st_dev;
	s->inode = st.st_ino;
	return 0;
}

/* Its folder, locked; -1 with errno. */
static int
folder_lock(const char *path)
{
	char folder[sizeof(struct sockaddr_un)];
	char *slash;
	int fd, i;

	(void)snprintf(folder, sizeof(folder), "%s", path);
	if ((slash = strrchr(folder, '/')) == NULL)
		(void)snprintf(folder, sizeof(folder), ".");
	else
		slash[slash == folder ? 1 : 0] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; fd != -1 && i < FOLDER_LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		(void)poll(NULL, 0, FOLDER_LOCK_WAIT_MS);
	}
	if (fd != -1)
		(void)close(fd);
	return -1;
}

/* Under a lock, because between finding a file stale and listening on a new
 * one, another dbtls could do the same. */
static int
bind_unix(struct listener_set *s, struct err *err)
{
	char path[sizeof(struct sockaddr_un)];
	int lock, result;

	unix_path(&s->address, path);
	if ((lock = folder_lock(path)) == -1)
		return fail_bind(s, errno, err);
	result = unix_bind(s, path, err);
	(void)close(lock);
	return result;
}

struct listener_set *
listener_set_new(const struct endpoint *e, size_t listen, size_t nworkers,
    struct err *err)
{
	bool is_unix = address_is_unix(&e->listens[listen]);
	struct listener_set *s;
	size_t i;

	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->fds = calloc(nworkers, sizeof(*s->fds))) == NULL) {
		(void)err_set(err, "%s: listen: out of memory", e->name);
		goto fail;
	}
	s->endpoint = e;
	s->listen = listen;
	s->address = e->listens[listen];
	s->n = is_unix ? 1 : nworkers;
	for (i = 0; i < s->n; i++)
		s->fds[i] = -1;
	if ((is_unix ? bind_unix(s, err) : bind_tcp(s, err)) == -1)
		goto fail;
	return s;
fail:
	listener_set_free(s);
	return NULL;
}

static void
unix_unlink(const struct listener_set *s)
{
	char path[sizeof(struct sockaddr_un)];
	struct stat st;

	unix_path(&s->address, path);
	if (lstat(path, &st) == 0 && st.st_dev == s->device &&
	    st.st_ino == s->inode)
		(void)unlink(path);
}

void
listener_set_free(struct listener_set *s)
{
	size_t i;

	if (s == NULL)
		return;
	if (s->file)
		unix_unlink(s);
	for (i = 0; i < s->n; i++) {
		if (s->fds[i] != -1)
			(void)close(s->fds[i]);
	}
	free(s->fds);
	free(s);
}

/* That one, whatever stands at its path by now. */
static bool
unix_give(const struct listener_set *s, int fd, uid_t uid, gid_t gid)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return false;
	if (st.st_dev != s->device || st.st_ino != s->inode) {
		errno = ENOENT;
		return false;
	}
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0;
}

int
listener_set_give(const struct listener_set *s, uid_t uid, gid_t gid,
    struct err *err)
{
	char path[sizeof(struct sockaddr_un)];
	bool given;
	int fd;

	if (!s->file)
		return 0;
	unix_path(&s->address, path);
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	given = fd != -1 && unix_give(s, fd, uid, gid);
	if (!given)
		(void)err_set_errno(err,
		    "%s: listen unix:%s: cannot be given to the user that the "
		    "proxy becomes",
		    s->endpoint->name, path);
	if (fd != -1)
		(void)close(fd);
	return given ? 0 : -1;
}

size_t
listener_set_sockets(const struct listener_set *s)
{
	return s->n;
}

const struct endpoint *
listener_set_endpoint(const struct listener_set *s)
{
	return s->endpoint;
}

const struct address *
listener_set_address(const struct listener_set *s)
{
	return &s->address;
}

/*
 * Accepting.
 */

static void
log_refused(const struct arrival *a, const char *detail)
{
	struct log_line line;

	if (!log_open(&line, LEVEL_NOTICE, "session.refused"))
		return;
	if (!a->astray)
		log_endpoint(&line, a->endpoint);
	log_address(&line, "client", &a->client);
	if (a->destination.len > 0)
		log_address(&line, "server", &a->destination);
	log_text(&line, "reason", reason_name(a->admitted));
	log_text(&line, "detail", detail);
	log_close(&line);
}

/* One that came after the drain began is turned away, if it may come at all. */
static enum reason
admit(const struct listener *l, struct arrival *a)
{
	struct proxy *p = l->worker->proxy;
	enum reason reason;

	reason = limits_enter(p->limits, a->endpoint, &a->client, &a->detail);
	if (reason != REASON_LIMIT && reason != REASON_OVERLOAD)
		a->detail = NULL;
	if (reason != REASON_NONE || !atomic_load(&p->draining))
		return reason;
	limits_turn_back(p->limits, a->endpoint, &a->client);
	return REASON_DRAINING;
}

/* Is there room for one more that is only told why it may not stay? */
static bool
may_be_told(const struct listener *l)
{
	const struct proxy *p = l->worker->proxy;

	return atomic_load(&p->sessions) < p->max_sessions + PROXY_REFUSALS_MAX;
}

/* Why it is closed without a word; NULL: it is not. */
static const char *
why_closed(const struct listener *l, const struct arrival *a)
{
	if (a->admitted == REASON_NONE)
		return NULL;
	if (a->astray && a->endpoint == NULL)
		return a->detail;
	if (a->admitted == REASON_NOT_ALLOWED)
		return a->endpoint->proxy_accept.n > 0
		    ? "the address is not in proxy_protocol.accept"
		    : "the address is denied, or not allowed";
	if (!may_be_told(l))
		return "closed without a word: too many are turned away";
	return NULL;
}

static void
hand_on(struct listener *l, int fd, const struct address *client)
{
	struct arrival a = { .endpoint = l->endpoint,
		.listen = l->listen,
		.fd = fd,
		.client = *client };
	const char *detail;
	struct worker *w = l->worker;

	if (l->destinations != NULL)
		listener_route(l->destinations, w->proxy, &a);
	if (!a.astray)
		a.admitted = admit(l, &a);
	if ((detail = why_closed(l, &a)) != NULL) {
		log_refused(&a, detail);
		(void)close(fd);
		return;
	}
	if (a.endpoint->accept == ACCEPT_BALANCE)
		w = worker_least_loaded(w);
	worker_adopt(w, &a);
}

static bool
is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	    error == ENOMEM;
}

/* 0: one was accepted, or one has gone before it was; else an errno. */
static int
accept_one(struct listener *l)
{
	struct address client = { .len = sizeof(client.sa) };
	int fd;

	fd = accept4(l->fd, (struct sockaddr *)&client.sa, &client.len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1) {
		l->pause_ms = PAUSE_MIN_MS;
		hand_on(l, fd, &client);
		return 0;
	}
	/* The rest is the news of a connection that failed in the queue. */
	return errno == EAGAIN || is_shortage(errno) ? errno : 0;
}

static void
log_pause(struct listener *l, int error)
{
	struct timespec now = { 0 };
	char where[ADDRESS_TEXT_MAX];

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if (l->logged != 0 && now.tv_sec - l->logged < PAUSE_LOG_INTERVAL)
		return;
	l->logged = now.tv_sec;
	log_event(LEVEL_ERR, "listener.paused", l->endpoint,
	    "%s: %s; clients wait: raise the limit of open files, or lower "
	    "max_sessions",
	    address_format(&l->address, where, sizeof(where)), strerror(error));
}

static void
listener_pause(struct listener *l, int error)
{
	struct timeval wait = {
		.tv_sec = l->pause_ms / 1000,
		.tv_usec = l->pause_ms % 1000 * 1000,
	};

	log_pause(l, error);
	(void)event_del(l->readable);
	(void)event_add(l->resume, &wait);
	if ((l->pause_ms *= 2) > PAUSE_MAX_MS)
		l->pause_ms = PAUSE_MAX_MS;
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd;
	(void)what;
	(void)event_add(l->readable, NULL);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	int i, error = 0;

	(void)fd;
	(void)what;
	for (i = 0; i < ACCEPT_TURN_MAX && error == 0; i++)
		error = accept_one(l);
	if (is_shortage(error))
		listener_pause(l, error);
}

static void
on_ready(void *arg)
{
	struct listener *l = arg;

	if (l->readable != NULL)
		(void)event_add(l->readable, NULL);
}

/* Whoever connects before its names are known waits in the queue. */
static bool
begin_accepting(struct listener *l, const struct listener_set *s)
{
	struct destinations_how how = { .listen = &l->address,
		.tells = s->taken == 0,
		.ready = on_ready,
		.arg = l };
	struct worker *w = l->worker;

	if (l->endpoint->transparent != TRANSPARENT_OFF) {
		l->destinations = destinations_new(w->base, w->proxy->config,
		    w->dialer, &how);
		if (l->destinations == NULL)
			return false;
		if (!destinations_ready(l->destinations))
			return true;
	}
	return event_add(l->readable, NULL) == 0;
}

struct listener *
listener_new(struct worker *w, struct listener_set *s, struct err *err)
{
	struct listener *l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		goto fail;
	l->worker = w;
	l->endpoint = s->endpoint;
	l->listen = s->listen;
	l->address = s->address;
	l->pause_ms = PAUSE_MIN_MS;
	l->fd = s->fds[s->taken];
	l->readable =
	    event_new(w->base, l->fd, EV_READ | EV_PERSIST, on_readable, l);
	l->resume = evtimer_new(w->base, on_resume, l);
	if (l->readable == NULL || l->resume == NULL || !begin_accepting(l, s))
		goto fail;
	s->fds[s->taken++] = -1;
	return l;
fail:
	if (l != NULL)
		l->fd = -1; /* still the set's */
	listener_free(l);
	(void)err_set(err, "%s: listen: out of memory", s->endpoint->name);
	return NULL;
}

static void
listener_close(struct listener *l)
{
	if (l->readable != NULL)
		event_free(l->readable);
	if (l->resume != NULL)
		event_free(l->resume);
	l->readable = l->resume = NULL;
	if (l->fd != -1)
		(void)close(l->fd);
	l->fd = -1;
}

/* What is left in the queue when a socket closes is reset by the kernel. */
void
listener_stop(struct listener *l)
{
	int i, error = 0;

	if (l->fd == -1)
		return;
	for (i = 0; i < ACCEPT_STOP_MAX && error == 0; i++)
		error = accept_one(l);
	listener_close(l);
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	listener_close(l);
	destinations_free(l->destinations);
	free(l);
}
