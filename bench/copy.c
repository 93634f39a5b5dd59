/*
 * copy.c - the least that a proxy can do: bytes in, bytes out
 *
 *	copy LISTEN PORT [burn=N] [flip=OFFSET]
 *
 * One buffer of 256 KiB, one recv and one send for what is in it, on ports of
 * 127.0.0.1.  What it takes is the part of the limit that is not AES.  To see
 * whether the measurement can tell, burn copies each byte N more times in
 * memory, and flip changes one bit of the byte at OFFSET of each direction.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER  ((size_t)256 * 1024)
#define EVENTS  64
#define DECIMAL 10

struct side {
	int fd;
	bool dead;
	struct side *other;
	size_t passed; /* bytes read here */
	uint8_t *rest; /* for this side, which took no more */
	size_t rest_len, rest_at;
	struct side *next_dead;
};

struct copy {
	int epoll, listener;
	unsigned port;
	unsigned long burn, flip;
	uint8_t *buffer, *ashes;
	struct side *dead;
};

static struct sockaddr_in
loopback(unsigned port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void
watch(const struct copy *c, struct side *s, int how, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = s };

	if (epoll_ctl(c->epoll, how, s->fd, &event) != 0)
		abort();
}

static struct side *
side_new(int fd)
{
	struct side *s = calloc(1, sizeof(*s));
	const int on = 1;

	if (s == NULL)
		abort();
	s->fd = fd;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return s;
}

static void
join(const struct copy *c, int client)
{
	struct sockaddr_in a = loopback(c->port);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct side *one, *other;

	if (server == -1 ||
	    connect(server, (struct sockaddr *)&a, sizeof(a)) != 0) {
		(void)close(client);
		if (server != -1)
			(void)close(server);
		return;
	}
	one = side_new(client);
	other = side_new(server);
	one->other = other;
	other->other = one;
	watch(c, one, EPOLL_CTL_ADD, EPOLLIN);
	watch(c, other, EPOLL_CTL_ADD, EPOLLIN);
}

static void
part(struct copy *c, struct side *s)
{
	struct side *both[2] = { s, s->other };
	unsigned i;

	for (i = 0; i < 2; i++) {
		(void)close(both[i]->fd);
		both[i]->dead = true;
		both[i]->next_dead = c->dead;
		c->dead = both[i];
	}
}

static void
bury(struct copy *c)
{
	struct side *s;

	while ((s = c->dead) != NULL) {
		c->dead = s->next_dead;
		free(s->rest);
		free(s);
	}
}

/* Those that the other side does not take now wait, and we read no more. */
static void
keep(const struct copy *c, struct side *s, const uint8_t *bytes, size_t len)
{
	s->rest = malloc(len);
	if (s->rest == NULL)
		abort();
	memcpy(s->rest, bytes, len);
	s->rest_len = len;
	s->rest_at = 0;
	watch(c, s, EPOLL_CTL_MOD, EPOLLOUT);
	watch(c, s->other, EPOLL_CTL_MOD, 0);
}

static void
meddle(const struct copy *c, const struct side *s, size_t len)
{
	unsigned long i;

	for (i = 0; i < c->burn; i++) {
		memcpy(c->ashes, c->buffer, len);
		/* Somebody may look at it. */
		__asm__ volatile("" : : "r"(c->ashes) : "memory");
	}
	if (c->flip >= s->passed && c->flip < s->passed + len)
		c->buffer[c->flip - s->passed] ^= 1;
}

static void
pass(struct copy *c, struct side *s)
{
	ssize_t n = recv(s->fd, c->buffer, BUFFER, 0), sent;

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		part(c, s);
		return;
	}
	meddle(c, s, (size_t)n);
	s->passed += (size_t)n;
	sent = send(s->other->fd, c->buffer, (size_t)n, MSG_NOSIGNAL);
	if (sent == -1 && errno != EAGAIN) {
		part(c, s);
		return;
	}
	sent = sent == -1 ? 0 : sent;
	if (sent < n)
		keep(c, s->other, c->buffer + sent, (size_t)(n - sent));
}

static void
deliver(struct copy *c, struct side *s)
{
	ssize_t n = send(s->fd, s->rest + s->rest_at, s->rest_len - s->rest_at,
	    MSG_NOSIGNAL);

	if (n == -1 && errno != EAGAIN) {
		part(c, s);
		return;
	}
	s->rest_at += n == -1 ? 0 : (size_t)n;
	if (s->rest_at < s->rest_len)
		return;
	free(s->rest);
	s->rest = NULL;
	watch(c, s, EPOLL_CTL_MOD, EPOLLIN);
	watch(c, s->other, EPOLL_CTL_MOD, EPOLLIN);
}

static void
turn(struct copy *c)
{
	struct epoll_event events[EVENTS];
	int i, fd, n = epoll_wait(c->epoll, events, EVENTS, -1);

	for (i = 0; i < n; i++) {
		struct side *s = events[i].data.ptr;

		if (s == NULL) {
			fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
			if (fd != -1)
				join(c, fd);
		} else if (!s->dead && s->rest != NULL) {
			deliver(c, s);
		} else if (!s->dead) {
			pass(c, s);
		}
	}
	bury(c);
}

static bool
begin(struct copy *c, unsigned port)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct sockaddr_in a = loopback(port);
	const int on = 1;

	c->buffer = malloc(BUFFER);
	c->ashes = malloc(BUFFER);
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->buffer == NULL || c->ashes == NULL || c->epoll == -1 ||
	    c->listener == -1)
		return false;
	(void)setsockopt(c->listener, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on));
	return bind(c->listener, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	    listen(c->listener, SOMAXCONN) == 0 &&
	    epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->listener, &event) == 0;
}

int
main(int argc, char **argv)
{
	struct copy c = { .flip = (unsigned long)-1 };
	int i;

	for (i = 3; i < argc; i++) {
		if (strncmp(argv[i], "burn=", 5) == 0)
			c.burn = strtoul(argv[i] + 5, NULL, DECIMAL);
		else if (strncmp(argv[i], "flip=", 5) == 0)
			c.flip = strtoul(argv[i] + 5, NULL, DECIMAL);
		else
			argc = 0;
	}
	if (argc < 3) {
		(void)fputs("usage: copy LISTEN PORT [burn=N] [flip=OFFSET]\n",
		    stderr);
		return 2;
	}
	c.port = (unsigned)strtoul(argv[2], NULL, DECIMAL);
	if (!begin(&c, (unsigned)strtoul(argv[1], NULL, DECIMAL))) {
		perror("copy");
		return 1;
	}
	for (;;)
		turn(&c);
}
