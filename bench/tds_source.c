/*
 * tds_source.c - logs in to a SQL Server, and sends it megabytes
 *
 *	tds_source PORT MEGABYTES PACKET PID
 *
 * What listens on PORT of 127.0.0.1 gets a PRELOGIN, a LOGIN7 and one message
 * in packets of PACKET bytes.  Then this end is over, and what is answered is
 * read.  Prints
 *
 *	SECONDS CPU-SECONDS ANSWER
 *
 * from the message's first byte to the answer, and what the process PID, which
 * is the proxy, has used up of the processors meanwhile.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/sockets.h"

/* MS-TDS 2.2.3.1: type, status, length with these bytes, and four more. */
#define HEAD       8u
#define BULK       0x07u
#define LOGIN7     0x10u
#define NORMAL     0x00u
#define EOM        0x01u
#define PACKET_MIN 512u
#define PACKET_MAX 32767u

/* What is written at once: as much as a socket may take. */
#define CHUNK    (1024u * 1024)
#define MEGABYTE (1024u * 1024)
#define SAID_MAX 4096u
#define NANO     1e-9
#define DECIMAL  10

enum {
	ARG_PORT = 1,
	ARG_MEGABYTES,
	ARG_PACKET,
	ARG_PID,
	ARGS
};

struct source {
	int fd;
	size_t bytes; /* of the message, heads included */
	size_t packet;
	clockid_t proxy; /* its time, on all processors */
};

static const uint8_t prelogin[] = { 0x12, EOM, 0, 26, 0, 0, 1, 0, 0, 0, 11, 0,
	6, 1, 0, 17, 0, 1, 0xff, 9, 0, 0, 0, 0, 0, 2 };

/* Of version 7.4, and nothing in it but what is fixed. */
#define LOGIN_FIXED 94u
static const uint8_t login[HEAD + LOGIN_FIXED] = { LOGIN7, EOM, 0,
	HEAD + LOGIN_FIXED, 0, 0, 1, 0, LOGIN_FIXED, 0, 0, 0, 4, 0, 0, 0x74 };

static double
seconds_of(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) == -1)
		return 0;
	return (double)t.tv_sec + (double)t.tv_nsec * NANO;
}

/* A packet of the server's, which is of no interest. */
static bool
skip_packet(int fd)
{
	uint8_t said[SAID_MAX];
	size_t len;

	if (recv(fd, said, HEAD, MSG_WAITALL) != (ssize_t)HEAD)
		return false;
	len = (size_t)said[2] << 8 | said[3];
	if (len <= HEAD || len > sizeof(said))
		return false;
	len -= HEAD;
	return recv(fd, said, len, MSG_WAITALL) == (ssize_t)len;
}

static void
write_head(uint8_t *at, size_t len, uint8_t status)
{
	at[0] = BULK;
	at[1] = status;
	at[2] = (uint8_t)(len >> 8);
	at[3] = (uint8_t)len;
}

/* As many whole packets as a chunk has room for, over and over; the last is an
 * empty one that ends the message. */
static bool
send_message(const struct source *s)
{
	static uint8_t chunk[CHUNK];
	const size_t room = CHUNK / s->packet * s->packet;
	size_t at, left;
	bool ok = true;

	memset(chunk, 'x', sizeof(chunk));
	for (at = 0; at < room; at += s->packet)
		write_head(chunk + at, s->packet, NORMAL);
	for (left = s->bytes / s->packet * s->packet; ok && left > 0;
	     left -= at) {
		at = left < room ? left : room;
		ok = send_all(s->fd, chunk, at);
	}
	write_head(chunk, HEAD, EOM);
	return ok && send_all(s->fd, chunk, HEAD) &&
	    shutdown(s->fd, SHUT_WR) == 0;
}

static bool
receive_answer(int fd, char *answer, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, answer + len, size - 1 - len, 0)) > 0)
		len += (size_t)n;
	answer[len] = '\0';
	return n == 0 && len > 0;
}

static bool
measure(const struct source *s)
{
	char answer[SAID_MAX];
	double began, cpu;

	if (!send_all(s->fd, prelogin, sizeof(prelogin)) ||
	    !skip_packet(s->fd) || !send_all(s->fd, login, sizeof(login)) ||
	    !skip_packet(s->fd))
		return false;
	began = seconds_of(CLOCK_MONOTONIC);
	cpu = seconds_of(s->proxy);
	if (!send_message(s) || !receive_answer(s->fd, answer, sizeof(answer)))
		return false;
	printf("%.6f %.6f %s\n", seconds_of(CLOCK_MONOTONIC) - began,
	    seconds_of(s->proxy) - cpu, answer);
	return true;
}

static bool
connect_to(struct source *s, unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int on = 1;

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd == -1)
		return false;
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return connect(s->fd, (const struct sockaddr *)&a, sizeof(a)) == 0;
}

int
main(int argc, char **argv)
{
	struct source s = { .fd = -1 };
	bool ok;

	if (argc != ARGS) {
		(void)fputs("usage: tds_source PORT MEGABYTES PACKET PID\n",
		    stderr);
		return 2;
	}
	s.bytes =
	    (size_t)strtoul(argv[ARG_MEGABYTES], NULL, DECIMAL) * MEGABYTE;
	s.packet = (size_t)strtoul(argv[ARG_PACKET], NULL, DECIMAL);
	if (s.packet < PACKET_MIN || s.packet > PACKET_MAX ||
	    clock_getcpuclockid((pid_t)strtol(argv[ARG_PID], NULL, DECIMAL),
		&s.proxy) != 0) {
		(void)fputs("tds_source: no such packet, or no such process\n",
		    stderr);
		return 2;
	}
	ok = connect_to(&s, (unsigned)strtoul(argv[ARG_PORT], NULL, DECIMAL)) &&
	    measure(&s);
	if (s.fd != -1)
		(void)close(s.fd);
	if (!ok)
		(void)fputs("tds_source: the session was cut short\n", stderr);
	return ok ? 0 : 1;
}
