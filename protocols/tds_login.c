#include "protocols/tds_login.h"

#include <string.h>

/* Where things are. */
#define AT_LENGTH     0u
#define AT_VERSION    4u
#define AT_FLAGS3     27u
#define AT_USER       40u
#define AT_PROGRAM    48u
#define AT_SERVER     52u
#define AT_EXTENSION  56u
#define AT_DATABASE   68u
#define AT_SSPI       78u
#define AT_ATTACHED   82u
#define AT_CHANGE     86u /* of a password; not before 7.2 */
#define FIXED_BEFORE  86u
#define FIXED_LEN     94u
#define FLAG_EXTENDED 0x10u /* of the third: the extension is an offset */

/* All that point somewhere, in the order of the table. */
static const uint8_t pointers[] = { 36, AT_USER, 44, AT_PROGRAM, AT_SERVER,
	AT_EXTENSION, 60, 64, AT_DATABASE, AT_SSPI, AT_ATTACHED, AT_CHANGE };
#define POINTERS (sizeof(pointers) / sizeof(pointers[0]))

/* Offset and length; the length is in bytes or in letters. */
#define PAIR_LEN (2 * sizeof(uint16_t))
#define LETTER   sizeof(uint16_t)

#define VERSION_TOP(version) ((version) >> 24)
#define TOP_70               0x70u
#define TOP_71               0x71u
#define TOP_OLD_ACK          0x07u /* 7.0 and 7.1, in a LOGINACK */

static uint16_t
le16_at(struct rd r, size_t at)
{
	rd_skip(&r, at);
	return rd_le16(&r);
}

static uint32_t
le32_at(struct rd r, size_t at)
{
	rd_skip(&r, at);
	return rd_le32(&r);
}

uint32_t
tds_login_version(struct rd login)
{
	return le32_at(login, AT_VERSION);
}

bool
tds_is_before_72(uint32_t version)
{
	switch (VERSION_TOP(version)) {
	case TOP_70:
	case TOP_71:
	case TOP_OLD_ACK:
		return true;
	}
	return false;
}

/*
 * Names.
 */

/* UTF-8: six bits a byte behind the first, which says how many there are. */
#define SIX_BITS     6u
#define SIX_BITS_SET 0x3fu
#define BYTE_MORE    0x80u
#define BYTE_OF_2    0xc0u
#define BYTE_OF_3    0xe0u
#define FIRST_OF_2   0x80u
#define FIRST_OF_3   0x800u

#define IS_SURROGATE(c) ((c) >= 0xd800u && (c) <= 0xdfffu)

static void
write_letter(struct wr *w, uint16_t c)
{
	if (c < FIRST_OF_2) {
		wr_u8(w, (uint8_t)c);
		return;
	}
	if (IS_SURROGATE(c)) {
		wr_u8(w, '?');
		return;
	}
	if (c < FIRST_OF_3) {
		wr_u8(w, (uint8_t)(BYTE_OF_2 | c >> SIX_BITS));
	} else {
		wr_u8(w, (uint8_t)(BYTE_OF_3 | c >> 2 * SIX_BITS));
		wr_u8(w, (uint8_t)(BYTE_MORE | (c >> SIX_BITS & SIX_BITS_SET)));
	}
	wr_u8(w, (uint8_t)(BYTE_MORE | (c & SIX_BITS_SET)));
}

#define UTF8_MAX 3u /* bytes of a letter */

static void
set_name(char name[NEG_NAME_MAX + 1], struct rd login, size_t pair)
{
	uint8_t bytes[NEG_NAME_MAX + UTF8_MAX];
	struct wr w = { .base = bytes, .cap = sizeof(bytes) };
	struct rd text = login;
	size_t letters = le16_at(login, pair + sizeof(uint16_t));

	rd_skip(&text, le16_at(login, pair));
	text = rd_take(&text, letters * LETTER);
	while (text.left > 0 && w.len < NEG_NAME_MAX)
		write_letter(&w, rd_le16(&text));
	neg_name_set(name, wr_written(&w));
}

void
tds_login_names(struct rd login, struct neg_names *names)
{
	set_name(names->user, login, AT_USER);
	set_name(names->database, login, AT_DATABASE);
	set_name(names->program, login, AT_PROGRAM);
}

/*
 * Another server's name.
 */

/* The bytes from `start` to `end` become `len` bytes of another name. */
struct change {
	size_t start;
	size_t end;
	size_t len;
	size_t fixed; /* where what the pairs point to begins, at the least */
};

static void
patch_le16(struct wr *w, size_t at, uint16_t v)
{
	struct wr place = { .base = w->base + at, .cap = sizeof(v) };

	wr_le16(&place, v);
}

static void
patch_le32(struct wr *w, size_t at, uint32_t v)
{
	struct wr place = { .base = w->base + at, .cap = sizeof(v) };

	wr_le32(&place, v);
}

/* A name of no length may point anywhere, and where it points to nowhere the
 * new one comes last. */
static bool
plan_change(struct rd login, size_t letters, struct change *c)
{
	const size_t old =
	    LETTER * le16_at(login, AT_SERVER + sizeof(uint16_t));

	c->fixed = tds_is_before_72(tds_login_version(login)) ? FIXED_BEFORE
							      : FIXED_LEN;
	c->start = le16_at(login, AT_SERVER);
	if (old == 0 && (c->start < c->fixed || c->start > login.left))
		c->start = login.left;
	c->end = c->start + old;
	c->len = letters * LETTER;
	return login.left >= c->fixed && c->start >= c->fixed &&
	    c->end <= login.left && c->start <= UINT16_MAX &&
	    le32_at(login, AT_LENGTH) == login.left;
}

static size_t
moved(const struct change *c, size_t at)
{
	return at >= c->end ? at - c->end + c->start + c->len : at;
}

static bool
is_extended(struct rd login, const struct change *c)
{
	rd_skip(&login, AT_FLAGS3);
	return c->fixed == FIXED_LEN && (rd_u8(&login) & FLAG_EXTENDED) != 0;
}

/* Two count bytes, the others letters. */
static size_t
bytes_of(size_t pair, size_t n)
{
	return pair == AT_EXTENSION || pair == AT_SSPI ? n : LETTER * n;
}

/* Nobody else points into the old name, and none can point so far as it would
 * have to. */
static bool
pointer_may_move(struct rd login, const struct change *c, size_t pair)
{
	const size_t at = le16_at(login, pair);
	const size_t len = bytes_of(pair, le16_at(login, pair + PAIR_LEN / 2));

	if (pair == AT_SERVER)
		return true;
	return (len == 0 || at + len <= c->start || at >= c->end) &&
	    moved(c, at) <= UINT16_MAX;
}

/* The extension is where an offset stands, of 32 bits, to more. */
static bool
extension_may_move(struct rd login, const struct change *c)
{
	const size_t at = le16_at(login, AT_EXTENSION);

	return !is_extended(login, c) ||
	    (at >= c->fixed && at + sizeof(uint32_t) <= login.left &&
		(at + sizeof(uint32_t) <= c->start || at >= c->end) &&
		le32_at(login, at) <= login.left);
}

static bool
may_change(struct rd login, const struct change *c)
{
	size_t i;

	for (i = 0; i < POINTERS && pointers[i] + PAIR_LEN <= c->fixed; i++) {
		if (!pointer_may_move(login, c, pointers[i]))
			return false;
	}
	return extension_may_move(login, c);
}

/* ... or into the middle of another. */
static bool
find_place(struct rd login, struct change *c)
{
	if (may_change(login, c))
		return true;
	if (c->start != c->end)
		return false;
	c->start = c->end = login.left;
	return c->start <= UINT16_MAX && may_change(login, c);
}

static void
move_pointers(struct wr *w, const struct change *c)
{
	const struct rd login = wr_written(w);
	const size_t ext = le16_at(login, AT_EXTENSION);
	size_t i;

	if (is_extended(login, c))
		patch_le32(w, ext, (uint32_t)moved(c, le32_at(login, ext)));
	for (i = 0; i < POINTERS && pointers[i] + PAIR_LEN <= c->fixed; i++) {
		size_t at = le16_at(login, pointers[i]);

		if (pointers[i] != AT_SERVER)
			patch_le16(w, pointers[i], (uint16_t)moved(c, at));
	}
	patch_le16(w, AT_SERVER, (uint16_t)c->start);
	patch_le16(w, AT_SERVER + sizeof(uint16_t),
	    (uint16_t)(c->len / LETTER));
	patch_le32(w, AT_LENGTH,
	    (uint32_t)(login.left - c->end + c->start + c->len));
}

static void
replace(struct wr *w, const struct change *c, const char *name)
{
	const size_t behind = w->len - c->end;
	struct wr place = { .base = w->base + c->start, .cap = c->len };

	memmove(w->base + c->start + c->len, w->base + c->end, behind);
	for (; *name != '\0'; name++)
		wr_le16(&place, (uint8_t)*name);
	w->len = c->start + c->len + behind;
}

bool
tds_login_rename(struct wr *login, const char *server)
{
	const size_t letters = strlen(server);
	struct change c;

	if (letters > TDS_SERVER_NAME_MAX ||
	    login->cap - login->len < TDS_LOGIN_GROWS ||
	    !plan_change(wr_written(login), letters, &c) ||
	    !find_place(wr_written(login), &c))
		return false;
	move_pointers(login, &c);
	replace(login, &c, server);
	return true;
}
