/* fake_dns.c - a nameserver of a few names, that misbehaves as it is told */
#include "tests/unit/fake_dns.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "protocols/bytes.h"

#define TYPES         29
#define NAME_MAX_TEXT 256
#define MESSAGE_MAX   16384
#define HEADER_LEN    12
#define FLAGS_ANSWER  0x8180u
#define FLAG_TRUNCATE 0x0200u
#define RCODE_FAIL    2u
#define RCODE_NXNAME  3u
#define CLASS_IN      1
#define CHAIN_MAX     8

struct fake_dns {
	struct event_base *base;
	struct address address;
	int udp, tcp;
	struct event *udp_event, *tcp_event;
	const struct fake_record *records;
	size_t n;
	enum fake_manner manner[TYPES];
	unsigned asked, asked_tcp;
	char last[NAME_MAX_TEXT];
};

struct question {
	uint16_t id;
	uint16_t type;
	char name[NAME_MAX_TEXT];
	struct rd raw; /* name, type and class as they came */
};

static void
read_question(struct question *q, struct rd r)
{
	struct rd start, label;
	size_t len, at = 0;

	q->id = rd_be16(&r);
	rd_skip(&r, HEADER_LEN - sizeof(uint16_t));
	start = r;
	while ((len = rd_u8(&r)) != 0 && !r.cut) {
		label = rd_take(&r, len);
		if (at > 0)
			q->name[at++] = '.';
		memcpy(q->name + at, label.at, label.left);
		at += label.left;
	}
	q->name[at] = '\0';
	q->type = rd_be16(&r);
	rd_skip(&r, sizeof(uint16_t));
	q->raw = rd_take(&start, start.left - r.left);
	if (r.cut || q->type >= TYPES)
		abort();
}

static void
write_name(struct wr *w, const char *name)
{
	size_t len;

	for (; *name != '\0'; name += len + (name[len] == '.')) {
		len = strcspn(name, ".");
		wr_u8(w, (uint8_t)len);
		wr_bytes(w, name, len);
	}
	wr_u8(w, 0);
}

static void
write_record(struct wr *w, const struct fake_record *record)
{
	uint8_t bytes[NAME_MAX_TEXT];
	struct wr data = { .base = bytes, .cap = sizeof(bytes) };

	if (record->type == FAKE_CNAME)
		write_name(&data, record->value);
	else if (inet_pton(record->type == FAKE_A ? AF_INET : AF_INET6,
		     record->value, bytes) == 1)
		data.len = record->type == FAKE_A ? 4 : 16;
	write_name(w, record->name);
	wr_be16(w, (uint16_t)record->type);
	wr_be16(w, CLASS_IN);
	wr_be32(w, record->ttl);
	wr_be16(w, (uint16_t)data.len);
	wr_bytes(w, bytes, data.len);
}

/* All records of the name, and of what its CNAMEs lead to.  False if the name
 * does not exist. */
static bool
write_records(struct fake_dns *f, const struct question *q, struct wr *w,
    uint16_t *count)
{
	const char *name = q->name, *target;
	bool exists = false;
	unsigned chain;
	size_t i;

	for (chain = 0; name != NULL && chain < CHAIN_MAX; chain++) {
		target = NULL;
		for (i = 0; i < f->n; i++) {
			if (strcasecmp(f->records[i].name, name) != 0)
				continue;
			exists = true;
			if (f->records[i].type == FAKE_CNAME)
				target = f->records[i].value;
			else if ((uint16_t)f->records[i].type != q->type)
				continue;
			write_record(w, &f->records[i]);
			(*count)++;
		}
		name = target;
	}
	return exists;
}

static void
write_answer(struct fake_dns *f, const struct question *q, struct wr *w,
    bool udp)
{
	enum fake_manner manner = f->manner[q->type];
	uint16_t count = 0, flags = FLAGS_ANSWER;
	uint8_t bytes[MESSAGE_MAX];
	struct wr records = { .base = bytes, .cap = sizeof(bytes) };

	if (manner == FAKE_FAILS)
		flags |= RCODE_FAIL;
	else if (manner == FAKE_TRUNCATES && udp)
		flags |= FLAG_TRUNCATE;
	else if (!write_records(f, q, &records, &count))
		flags |= RCODE_NXNAME;
	wr_be16(w, q->id);
	wr_be16(w, flags);
	wr_be16(w, 1);
	wr_be16(w, count);
	wr_be32(w, 0);
	wr_bytes(w, q->raw.at, q->raw.left);
	wr_bytes(w, bytes, records.len);
	if (manner == FAKE_CUTS)
		w->len--;
	if (w->full)
		abort();
}

static void
babble(int fd, struct wr w, const struct address *to)
{
	const struct sockaddr *sa = (const struct sockaddr *)&to->sa;
	uint8_t wrong[MESSAGE_MAX];
	size_t i;

	(void)sendto(fd, "", 0, 0, sa, to->len);
	(void)sendto(fd, "no DNS at all", 13, 0, sa, to->len);
	/* The id, the bit that says "answer", the name and the type. */
	for (i = 0; i < w.len && i < HEADER_LEN + 2; i++) {
		memcpy(wrong, w.base, w.len);
		wrong[i] ^= 0x80;
		if (i < 2 || i == 2 || i == HEADER_LEN + 1)
			(void)sendto(fd, wrong, w.len, 0, sa, to->len);
	}
}

static void
udp_readable(evutil_socket_t fd, short what, void *arg)
{
	struct address from = { .len = sizeof(from.sa) };
	uint8_t in[512], out[MESSAGE_MAX];
	struct wr w = { .base = out, .cap = sizeof(out) };
	struct fake_dns *f = arg;
	struct question q;
	ssize_t n;

	(void)what;
	n = recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&from.sa,
	    &from.len);
	if (n < 0)
		return;
	read_question(&q, (struct rd){ .at = in, .left = (size_t)n });
	f->asked++;
	memcpy(f->last, q.name, sizeof(f->last));
	if (f->manner[q.type] == FAKE_SILENT)
		return;
	write_answer(f, &q, &w, true);
	if (f->manner[q.type] == FAKE_BABBLES)
		babble(fd, w, &from);
	(void)sendto(fd, out, w.len, 0, (struct sockaddr *)&from.sa, from.len);
}

/* The question follows a connection at once and is small: read as one. */
static void
tcp_readable(evutil_socket_t fd, short what, void *arg)
{
	uint8_t in[512], out[MESSAGE_MAX];
	struct wr w = { .base = out, .cap = sizeof(out) };
	struct fake_dns *f = arg;
	struct question q;
	ssize_t n;

	(void)what;
	if ((n = recv(fd, in, sizeof(in), 0)) > 2) {
		read_question(&q,
		    (struct rd){ .at = in + 2, .left = (size_t)n - 2 });
		f->asked_tcp++;
		wr_be16(&w, 0);
		write_answer(f, &q, &w, false);
		out[0] = (uint8_t)((w.len - 2) >> 8);
		out[1] = (uint8_t)(w.len - 2);
		(void)send(fd, out, w.len, MSG_NOSIGNAL);
	}
	(void)close(fd);
}

static void
tcp_accepted(evutil_socket_t fd, short what, void *arg)
{
	struct fake_dns *f = arg;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)what;
	if (client != -1)
		event_base_once(f->base, client, EV_READ, tcp_readable, f,
		    NULL);
}

static int
bound_socket(int type, struct sockaddr_in *sin)
{
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*sin);

	if (fd == -1 || bind(fd, (struct sockaddr *)sin, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)sin, &len) == -1)
		abort();
	return fd;
}

struct fake_dns *
fake_dns_new(struct event_base *base)
{
	struct fake_dns *f = calloc(1, sizeof(*f));
	struct sockaddr_in sin = { .sin_family = AF_INET };

	if (f == NULL)
		abort();
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->base = base;
	f->tcp = bound_socket(SOCK_STREAM, &sin);
	f->udp = bound_socket(SOCK_DGRAM, &sin);
	if (listen(f->tcp, SOMAXCONN) == -1)
		abort();
	memcpy(&f->address.sa, &sin, sizeof(sin));
	f->address.len = sizeof(sin);
	f->udp_event =
	    event_new(base, f->udp, EV_READ | EV_PERSIST, udp_readable, f);
	f->tcp_event =
	    event_new(base, f->tcp, EV_READ | EV_PERSIST, tcp_accepted, f);
	event_add(f->udp_event, NULL);
	event_add(f->tcp_event, NULL);
	return f;
}

void
fake_dns_free(struct fake_dns *f)
{
	event_free(f->udp_event);
	event_free(f->tcp_event);
	(void)close(f->udp);
	(void)close(f->tcp);
	free(f);
}

const struct address *
fake_dns_address(const struct fake_dns *f)
{
	return &f->address;
}

void
fake_dns_set(struct fake_dns *f, const struct fake_record *list, size_t n)
{
	f->records = list;
	f->n = n;
}

void
fake_dns_behave(struct fake_dns *f, enum fake_type type,
    enum fake_manner manner)
{
	f->manner[type] = manner;
}

unsigned
fake_dns_asked(const struct fake_dns *f)
{
	return f->asked;
}

unsigned
fake_dns_asked_tcp(const struct fake_dns *f)
{
	return f->asked_tcp;
}

const char *
fake_dns_last(const struct fake_dns *f)
{
	return f->last;
}
