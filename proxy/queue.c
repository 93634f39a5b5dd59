#include "proxy/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_FIRST 1024

void
queue_init(struct queue *q, size_t max)
{
	assert(max <= UINT32_MAX);
	*q = (struct queue){ .max = (uint32_t)max };
}

static void
block_free(struct queue_block *b)
{
	if (b != NULL)
		explicit_bzero(b->bytes, b->cap);
	free(b);
}

void
queue_fini(struct queue *q)
{
	block_free(q->base);
	queue_init(q, q->max);
}

/* Not realloc(): it would leave a copy of a login behind. */
static bool
queue_grow(struct queue *q, size_t need)
{
	size_t cap = q->base != NULL ? q->base->cap : QUEUE_FIRST;
	struct queue_block *b;

	while (cap < need)
		cap *= 2;
	if ((b = malloc(sizeof(*b) + cap)) == NULL)
		return false;
	if (q->base != NULL)
		memcpy(b->bytes, queue_data(q), q->len);
	block_free(q->base);
	b->head = 0;
	b->cap = cap;
	q->base = b;
	return true;
}

/* Room for so many bytes more, behind those that wait. */
static bool
queue_make_room(struct queue *q, size_t len)
{
	struct queue_block *b = q->base;

	if (b == NULL || q->len + len > b->cap)
		return queue_grow(q, q->len + len);
	if (b->head + q->len + len > b->cap) {
		memmove(b->bytes, queue_data(q), q->len);
		b->head = 0;
	}
	return true;
}

bool
queue_append(struct queue *q, const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return true;
	if (len > q->max || q->len > q->max - len || !queue_make_room(q, len))
		return false;
	memcpy(q->base->bytes + q->base->head + q->len, bytes, len);
	q->len += (uint32_t)len;
	return true;
}

void
queue_consume(struct queue *q, size_t len)
{
	assert(len <= q->len);
	if (q->base == NULL)
		return;
	q->base->head += len;
	q->len -= (uint32_t)len;
	if (q->len == 0)
		queue_fini(q);
}
