/*
 * bytes.h - reading and writing wire formats without a bounds check in sight
 *
 * Both cursors are sticky: the first read past the end, or the first write
 * past the capacity, sets a flag and from then on every call does nothing and
 * answers zero.  A parser is therefore straight-line code that asks once, at
 * its end, whether all of it was there.
 */
#ifndef PROTOCOLS_BYTES_H
#define PROTOCOLS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that somebody else owns.  Copy the struct to look ahead; assign the
 * copy back to consume what was looked at. */
struct rd {
	const uint8_t *at;
	size_t left;
	bool cut; /* something was asked for that is not there */
};

uint8_t rd_u8(struct rd *r);
uint16_t rd_be16(struct rd *r);
uint32_t rd_be32(struct rd *r);
uint16_t rd_le16(struct rd *r);
uint32_t rd_le24(struct rd *r);
uint32_t rd_le32(struct rd *r);
void rd_skip(struct rd *r, size_t n);

/* The next n bytes as a cursor of their own; empty and cut if not there. */
struct rd rd_take(struct rd *r, size_t n);

/* Up to and without the next NUL, which is consumed too. */
struct rd rd_cstring(struct rd *r);

bool rd_equals(struct rd r, const void *bytes, size_t n);
bool rd_equals_string(struct rd r, const char *s);

/* A place to put bytes, of a size fixed by its owner. */
struct wr {
	uint8_t *base;
	size_t len;
	size_t cap;
	bool full; /* something was written that did not fit */
};

void wr_u8(struct wr *w, uint8_t v);
void wr_be16(struct wr *w, uint16_t v);
void wr_be32(struct wr *w, uint32_t v);
void wr_le16(struct wr *w, uint16_t v);
void wr_le24(struct wr *w, uint32_t v); /* its lower 24 bits */
void wr_le32(struct wr *w, uint32_t v);
void wr_bytes(struct wr *w, const void *bytes, size_t n);
void wr_string(struct wr *w, const char *s); /* without its NUL */

/* Overwrites four bytes at `at`, which were written before: for lengths that
 * are known only once what they count has been written. */
void wr_patch_be32(struct wr *w, size_t at, uint32_t v);
void wr_patch_le32(struct wr *w, size_t at, uint32_t v);

/* What has been written, to be read. */
struct rd wr_written(const struct wr *w);

#endif /* PROTOCOLS_BYTES_H */
