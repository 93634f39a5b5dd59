/*
 * load_bulk.c - as much as goes through, in one direction
 *
 * What is sent is a table of random bytes, over and over, from a place that
 * depends on who sends.  Where bytes are verified the first of each stream say
 * who that is, so that no two streams can be taken for one another, and all
 * the others are compared.
 */
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "bench/load.h"

#define PERIOD     ((size_t)1 << 20) /* of the table */
#define CHUNK      ((size_t)256 * 1024)
#define SEED       7919u
#define HEAD       8u  /* bytes that say who sends */
#define OVERHEAD   64u /* more than a record's head, tag and type take */
#define RECORD_MAX 16384u

struct bulk {
	uint8_t *table;  /* PERIOD, and CHUNK more of the same */
	uint8_t *buffer; /* CHUNK */
	size_t share;    /* of one sender */
	size_t received;
};

static bool
sends(const struct load *l, const struct end *e)
{
	return e->front == l->o->up;
}

/* --- the bytes ----------------------------------------------------------- */

/* Both sides know the table: the proxy is between two ends of one process. */
static const uint8_t *
pattern(const struct bulk *b, size_t sender, size_t offset)
{
	return b->table + (offset + sender * SEED) % PERIOD;
}

static void
fill(const struct bulk *b, size_t sender, size_t offset, uint8_t *to,
    size_t len)
{
	size_t i;

	memcpy(to, pattern(b, sender, offset), len);
	for (i = offset; i < HEAD && i - offset < len; i++)
		to[i - offset] = (uint8_t)(sender >> (8 * i));
}

static bool
compare(struct load *l, struct end *e, const uint8_t *got, size_t len)
{
	const struct bulk *b = l->of_mode;
	size_t skip = 0;

	for (; e->done + skip < HEAD && skip < len; skip++)
		e->sender |= (size_t)got[skip] << (8 * (e->done + skip));
	if (e->sender >= l->o->connections || e->done + len > b->share ||
	    memcmp(got + skip, pattern(b, e->sender, e->done + skip),
		len - skip) != 0)
		return load_fail(l, "the bytes are not those that were sent");
	return true;
}

/* --- before the clock starts --------------------------------------------- */

/* OpenSSL writes into memory, from where each record is collected. */
static bool
seal(struct load *l, struct end *e)
{
	const struct bulk *b = l->of_mode;
	size_t record = l->o->record, done, n;
	BIO *memory = BIO_new(BIO_s_mem());
	size_t room = b->share + (b->share / record + 1) * OVERHEAD;

	e->sealed = aligned_alloc(CHUNK, (room / CHUNK + 1) * CHUNK);
	if (memory == NULL || e->sealed == NULL) {
		BIO_free(memory);
		return load_fail(l, "no memory");
	}
	(void)madvise(e->sealed, (room / CHUNK + 1) * CHUNK, MADV_HUGEPAGE);
	SSL_set0_wbio(e->ssl, memory);
	for (done = 0; done < b->share; done += record) {
		if (SSL_write_ex(e->ssl, pattern(b, e->number, done), record,
			&n) != 1 ||
		    BIO_read_ex(memory, e->sealed + e->sealed_len,
			room - e->sealed_len, &n) != 1)
			return load_fail(l, "cannot encrypt");
		e->sealed_len += n;
	}
	return true;
}

static bool
bulk_secured(struct load *l, struct end *e)
{
	if (sends(l, e) && e->ssl != NULL && !l->o->verify)
		return seal(l, e);
	return true;
}

/* --- while it runs -------------------------------------------------------- */

static ssize_t
send_some(struct load *l, struct end *e, size_t *total)
{
	const struct bulk *b = l->of_mode;
	size_t len;

	*total = e->sealed != NULL ? e->sealed_len : b->share;
	len = *total - e->done < CHUNK ? *total - e->done : CHUNK;
	if (e->sealed != NULL)
		return send(e->fd, e->sealed + e->done, len, MSG_NOSIGNAL);
	if (!l->o->verify)
		return send(e->fd, pattern(b, e->number, e->done), len,
		    MSG_NOSIGNAL);
	len = e->ssl != NULL && len > l->o->record ? l->o->record : len;
	fill(b, e->number, e->done, b->buffer, len);
	return end_write(e, b->buffer, len);
}

static bool
keep_sending(struct load *l, struct end *e)
{
	size_t total;
	ssize_t n = send_some(l, e, &total);

	if (n == -1 && errno != EAGAIN)
		return load_fail(l, "the proxy takes no more");
	if (n > 0)
		e->done += (size_t)n;
	return e->done < total || load_want(l, e, 0);
}

/* As many as there are, unseen. */
static bool
drop(struct load *l, struct end *e)
{
	struct bulk *b = l->of_mode;
	ssize_t n = recv(e->fd, NULL, PERIOD, MSG_TRUNC);

	if (n == 0 || (n == -1 && errno != EAGAIN))
		return load_fail(l, "the proxy closes");
	if (n > 0)
		b->received += (size_t)n;
	return true;
}

static bool
look_at(struct load *l, struct end *e)
{
	struct bulk *b = l->of_mode;
	ssize_t n;

	while ((n = end_read(e, b->buffer, CHUNK)) > 0) {
		if (!compare(l, e, b->buffer, (size_t)n))
			return false;
		e->done += (size_t)n;
		b->received += (size_t)n;
	}
	return n == 0 || load_fail(l, "the proxy closes");
}

static bool
bulk_ready(struct load *l, struct end *e, uint32_t events)
{
	if (!sends(l, e))
		return l->o->verify ? look_at(l, e) : drop(l, e);
	if ((events & EPOLLOUT) != 0)
		return keep_sending(l, e);
	/* Tickets, for a client; it need not read them. */
	if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		return load_fail(l, "the proxy closes");
	return load_want(l, e, 0);
}

static const struct mode bulk_mode = { bulk_secured, bulk_ready };

static bool
bulk_measure(struct load *l, struct bulk *b)
{
	size_t all = b->share * l->o->connections;
	struct usage from, to;
	struct end *e;

	usage_read(&from, l->o->pid, l->o->ours);
	for (e = l->ends; e != NULL; e = e->next) {
		if (sends(l, e) && !load_want(l, e, EPOLLOUT))
			return false;
	}
	while (b->received < all) {
		if (!load_turn(l, 0))
			return false;
	}
	usage_read(&to, l->o->pid, l->o->ours);
	printf("bytes=%zu", all);
	load_print(&from, &to);
	return true;
}

static bool
bulk_begin(struct bulk *b, const struct options *o)
{
	size_t records = o->bytes / o->connections / o->record + 1;

	b->share = records * o->record;
	b->table = malloc(PERIOD + CHUNK);
	b->buffer = malloc(CHUNK);
	if (b->table == NULL || b->buffer == NULL ||
	    RAND_bytes(b->table, (int)PERIOD) != 1)
		return false;
	memcpy(b->table + PERIOD, b->table, CHUNK);
	return true;
}

bool
run_bulk(const struct options *o)
{
	struct bulk b = { .share = 0 };
	struct load l;
	bool ok;

	ok = load_begin(&l, o, &bulk_mode);
	l.of_mode = &b;
	ok = ok && o->connections > 0 && o->record > 0 &&
	    o->record <= RECORD_MAX && bulk_begin(&b, o) &&
	    load_open_all(&l, o->connections) && bulk_measure(&l, &b);
	load_end(&l);
	free(b.table);
	free(b.buffer);
	return ok;
}
