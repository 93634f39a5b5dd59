#include "protocols/bytes.h"

#include <string.h>

/* Are there n more bytes?  If not, there never will be. */
static bool
rd_has(struct rd *r, size_t n)
{
	if (n > r->left)
		r->cut = true;
	return !r->cut;
}

static void
rd_advance(struct rd *r, size_t n)
{
	if (n == 0)
		return; /* an empty cursor may point nowhere */
	r->at += n;
	r->left -= n;
}

uint8_t
rd_u8(struct rd *r)
{
	uint8_t v;

	if (!rd_has(r, 1))
		return 0;
	v = r->at[0];
	rd_advance(r, 1);
	return v;
}

uint16_t
rd_be16(struct rd *r)
{
	uint16_t v;

	if (!rd_has(r, sizeof(v)))
		return 0;
	v = (uint16_t)(r->at[0] << 8 | r->at[1]);
	rd_advance(r, sizeof(v));
	return v;
}

uint32_t
rd_be32(struct rd *r)
{
	uint32_t v;

	if (!rd_has(r, sizeof(v)))
		return 0;
	v = (uint32_t)r->at[0] << 24 | (uint32_t)r->at[1] << 16 |
	    (uint32_t)r->at[2] << 8 | (uint32_t)r->at[3];
	rd_advance(r, sizeof(v));
	return v;
}

/* The next n bytes, 4 at most, the lowest first. */
static uint32_t
take_le(struct rd *r, size_t n)
{
	uint32_t v = 0;
	size_t i;

	if (!rd_has(r, n))
		return 0;
	for (i = 0; i < n; i++)
		v |= (uint32_t)r->at[i] << (8 * i);
	rd_advance(r, n);
	return v;
}

uint16_t
rd_le16(struct rd *r)
{
	return (uint16_t)take_le(r, 2);
}

uint32_t
rd_le24(struct rd *r)
{
	return take_le(r, 3);
}

uint32_t
rd_le32(struct rd *r)
{
	return take_le(r, 4);
}

void
rd_skip(struct rd *r, size_t n)
{
	if (rd_has(r, n))
		rd_advance(r, n);
}

struct rd
rd_take(struct rd *r, size_t n)
{
	struct rd taken = { .at = r->at, .left = n };

	if (!rd_has(r, n))
		return (struct rd){ .cut = true };
	rd_advance(r, n);
	return taken;
}

struct rd
rd_cstring(struct rd *r)
{
	const uint8_t *nul = NULL;
	struct rd s;

	if (rd_has(r, 1))
		nul = memchr(r->at, '\0', r->left);
	if (nul == NULL) {
		r->cut = true;
		return (struct rd){ .cut = true };
	}
	s = rd_take(r, (size_t)(nul - r->at));
	rd_skip(r, 1);
	return s;
}

bool
rd_equals(struct rd r, const void *bytes, size_t n)
{
	if (r.cut || r.left != n)
		return false;
	return n == 0 || memcmp(r.at, bytes, n) == 0;
}

bool
rd_equals_string(struct rd r, const char *s)
{
	return rd_equals(r, s, strlen(s));
}

/* Is there room for n more bytes?  If not, nothing more is written. */
static bool
wr_has(struct wr *w, size_t n)
{
	if (n > w->cap - w->len)
		w->full = true;
	return !w->full;
}

static void
put_be32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 24);
	at[1] = (uint8_t)(v >> 16);
	at[2] = (uint8_t)(v >> 8);
	at[3] = (uint8_t)v;
}

void
wr_u8(struct wr *w, uint8_t v)
{
	if (!wr_has(w, 1))
		return;
	w->base[w->len++] = v;
}

void
wr_be16(struct wr *w, uint16_t v)
{
	if (!wr_has(w, sizeof(v)))
		return;
	w->base[w->len++] = (uint8_t)(v >> 8);
	w->base[w->len++] = (uint8_t)v;
}

void
wr_be32(struct wr *w, uint32_t v)
{
	if (!wr_has(w, sizeof(v)))
		return;
	put_be32(w->base + w->len, v);
	w->len += sizeof(v);
}

static void
put_le(struct wr *w, uint32_t v, size_t n)
{
	size_t i;

	if (!wr_has(w, n))
		return;
	for (i = 0; i < n; i++)
		w->base[w->len++] = (uint8_t)(v >> (8 * i));
}

void
wr_le16(struct wr *w, uint16_t v)
{
	put_le(w, v, 2);
}

void
wr_le24(struct wr *w, uint32_t v)
{
	put_le(w, v, 3);
}

void
wr_le32(struct wr *w, uint32_t v)
{
	put_le(w, v, 4);
}

void
wr_bytes(struct wr *w, const void *bytes, size_t n)
{
	if (n == 0 || !wr_has(w, n))
		return;
	memcpy(w->base + w->len, bytes, n);
	w->len += n;
}

void
wr_string(struct wr *w, const char *s)
{
	wr_bytes(w, s, strlen(s));
}

/* Were four bytes written there? */
static bool
wr_may_patch(struct wr *w, size_t at)
{
	if (at > w->len || w->len - at < sizeof(uint32_t))
		w->full = true;
	return !w->full;
}

void
wr_patch_be32(struct wr *w, size_t at, uint32_t v)
{
	if (wr_may_patch(w, at))
		put_be32(w->base + at, v);
}

void
wr_patch_le32(struct wr *w, size_t at, uint32_t v)
{
	struct wr patch;

	if (!wr_may_patch(w, at))
		return;
	patch = (struct wr){ .base = w->base + at, .cap = sizeof(v) };
	wr_le32(&patch, v);
}

struct rd
wr_written(const struct wr *w)
{
	return (struct rd){ .at = w->base, .left = w->len };
}
