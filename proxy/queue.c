#include "proxy/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_FIRST 1024

void
queue_init(struct queue *q, size_t max)
{
	memset(q, 0, sizeof(*q));
	q->max = max;
}

void
queue_fini(struct queue *q)
{
	if (q->base != NULL)
		explicit_bzero(q->base, q->cap);
	free(q->base);
	queue_init(q, q->max);
}

/* Not realloc(): it would leave a copy of a login behind. */
static bool
queue_grow(struct queue *q, size_t need)
{
	size_t cap = q->cap > 0 ? q->cap : QUEUE_FIRST;
	uint8_t *base;

	while (cap < need)
		cap *= 2;
	if ((base = malloc(cap)) == NULL)
		return false;
	if (q->base != NULL) {
		memcpy(base, queue_data(q), q->len);
		explicit_bzero(q->base, q->cap);
		free(q->base);
	}
	q->base = base;
	q->head = 0;
	q->cap = cap;
	return true;
}

bool
queue_append(struct queue *q, const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return true;
	if (len > q->max || q->len > q->max - len)
		return false;
	if (q->head + q->len + len > q->cap) {
		if (q->len + len > q->cap) {
			if (!queue_grow(q, q->len + len))
				return false;
		} else {
			memmove(q->base, queue_data(q), q->len);
			q->head = 0;
		}
	}
	memcpy(q->base + q->head + q->len, bytes, len);
	q->len += len;
	return true;
}

void
queue_consume(struct queue *q, size_t len)
{
	assert(len <= q->len);
	q->head += len;
	q->len -= len;
	if (q->len == 0)
		queue_fini(q);
}
