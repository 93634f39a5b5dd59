/*
 * queue.h - bytes that wait: appended at one end, consumed at the other
 *
 * One contiguous buffer, grown on demand up to a maximum that is given when it
 * is made, and given back when it runs empty.  Contents are wiped before the
 * memory is freed: a login may have stood there.
 */
#ifndef PROXY_QUEUE_H
#define PROXY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What it is when nothing waits is in every session, several times over. */
struct queue {
	struct queue_block *base; /* NULL: nothing waits */
	uint32_t len;
	uint32_t max;
};

struct queue_block {
	size_t head; /* 0 .. head: consumed; head .. head + len: waiting */
	size_t cap;
	uint8_t bytes[];
};

void queue_init(struct queue *q, size_t max);
void queue_fini(struct queue *q);
/* False, and nothing appended, if it would pass the maximum or memory is
 * short. */
bool queue_append(struct queue *q, const uint8_t *bytes, size_t len)
    __attribute__((warn_unused_result));
void queue_consume(struct queue *q, size_t len);

static inline const uint8_t *
queue_data(const struct queue *q)
{
	return q->base == NULL ? NULL : q->base->bytes + q->base->head;
}

#endif /* PROXY_QUEUE_H */
