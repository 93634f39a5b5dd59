#include "protocols/mysql_proof.h"

#include <string.h>

/* What a server feeds to SHA-256 besides the scramble and the fingerprint. */
#define NATIVE_LEN  20u /* SHA1(SHA1(password)) */
#define ED25519_LEN 32u /* the public key that the password makes */
#define SALT_LEN    18u
#define PARSEC_LEN  (2u + SALT_LEN + ED25519_LEN)

/* How mysql.global_priv has it. */
#define NATIVE_MARK     '*'
#define PARSEC_MARK     'P' /* PBKDF2 */
#define PARSEC_ROUNDS_0 '0' /* 1024 rounds; twice as many for each more */
#define PARSEC_ROUNDS_3 '3'
#define PARSEC_COLON    ':'
#define BASE64_LEN(n)   (((n)*4u + 2u) / 3u) /* without padding */

/* Digits of either kind. */
#define HEX_BITS    4u
#define HEX_MASK    0xfu
#define BASE64_BITS 6u
#define BYTE_BITS   8u

enum kind {
	KIND_NATIVE = 0,
	KIND_ED25519,
	KIND_PARSEC,
};

static const char *const plugins[] = {
	[KIND_NATIVE] = "mysql_native_password",
	[KIND_ED25519] = "client_ed25519",
	[KIND_PARSEC] = "parsec",
};

struct hash {
	enum kind kind;
	size_t len;
	uint8_t bytes[PARSEC_LEN]; /* the longest */
};

/*
 * Digits.
 */

/* The place of a byte in an alphabet; its length if it has none. */
static size_t
place(const char *alphabet, uint8_t byte)
{
	const char *at = byte == '\0' ? NULL : strchr(alphabet, byte);

	return at == NULL ? strlen(alphabet) : (size_t)(at - alphabet);
}

static bool
read_hex_digit(struct rd *text, unsigned *value)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const size_t at = place(digits, rd_u8(text));

	*value = at & HEX_MASK;
	return at < sizeof(digits) - 1;
}

/* `n` bytes, and nothing else. */
static bool
read_hex(struct rd text, uint8_t *bytes, size_t n)
{
	unsigned high, low;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!read_hex_digit(&text, &high) ||
		    !read_hex_digit(&text, &low))
			return false;
		bytes[i] = (uint8_t)(high << HEX_BITS | low);
	}
	return !text.cut && text.left == 0;
}

static void
write_hex(const uint8_t *bytes, size_t n, uint8_t *digits)
{
	static const char upper[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < n; i++) {
		*digits++ = (uint8_t)upper[bytes[i] >> HEX_BITS];
		*digits++ = (uint8_t)upper[bytes[i] & HEX_MASK];
	}
}

/* `n` bytes, and nothing else; bits that are left over must be zero, so that
 * there is one way to write them, and a slip of the pen is noticed. */
static bool
read_base64(struct rd text, uint8_t *bytes, size_t n)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	unsigned bits = 0, nbits = 0;
	size_t i = 0, at;

	if (text.cut || text.left != BASE64_LEN(n))
		return false;
	while (text.left > 0) {
		at = place(alphabet, rd_u8(&text));
		if (at == sizeof(alphabet) - 1)
			return false;
		bits = bits << BASE64_BITS | (unsigned)at;
		nbits += BASE64_BITS;
		if (nbits < BYTE_BITS)
			continue;
		nbits -= BYTE_BITS;
		bytes[i++] = (uint8_t)(bits >> nbits);
		bits &= (1u << nbits) - 1;
	}
	return bits == 0;
}

/*
 * Hashes.
 */

static bool
read_native(struct rd text, struct hash *h)
{
	h->kind = KIND_NATIVE;
	h->len = NATIVE_LEN;
	return rd_u8(&text) == NATIVE_MARK &&
	    read_hex(text, h->bytes, NATIVE_LEN);
}

static bool
read_ed25519(struct rd text, struct hash *h)
{
	h->kind = KIND_ED25519;
	h->len = ED25519_LEN;
	return read_base64(text, h->bytes, ED25519_LEN);
}

static bool
read_parsec(struct rd text, struct hash *h)
{
	const uint8_t mark = rd_u8(&text), rounds = rd_u8(&text);
	struct rd salt;

	h->kind = KIND_PARSEC;
	h->len = PARSEC_LEN;
	if (mark != PARSEC_MARK || rounds < PARSEC_ROUNDS_0 ||
	    rounds > PARSEC_ROUNDS_3 || rd_u8(&text) != PARSEC_COLON)
		return false;
	salt = rd_take(&text, BASE64_LEN(SALT_LEN));
	if (rd_u8(&text) != PARSEC_COLON)
		return false;
	h->bytes[0] = mark;
	h->bytes[1] = rounds - PARSEC_ROUNDS_0;
	return read_base64(salt, h->bytes + 2, SALT_LEN) &&
	    read_base64(text, h->bytes + 2 + SALT_LEN, ED25519_LEN);
}

/* No text is a hash of two kinds: their lengths differ. */
static bool
read_hash(struct rd text, struct hash *h)
{
	return read_native(text, h) || read_ed25519(text, h) ||
	    read_parsec(text, h);
}

/*
 * The file.
 */

static bool
is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

static void
skip_blanks(struct rd *r)
{
	while (r->left > 0 && is_blank(*r->at))
		rd_skip(r, 1);
}

/* Up to and without `end`, or all there is; `end` is not consumed. */
static struct rd
take_until(struct rd *r, bool (*is_end)(uint8_t byte))
{
	size_t n = 0;

	while (n < r->left && !is_end(r->at[n]))
		n++;
	return rd_take(r, n);
}

static bool
is_newline(uint8_t byte)
{
	return byte == '\n';
}

static bool
is_quote(uint8_t byte)
{
	return byte == '"';
}

/* Windows ends a line with two bytes. */
static bool
ends_line(uint8_t byte)
{
	return is_blank(byte) || byte == '\r';
}

/* The next line without its end and the blanks around it. */
static struct rd
take_line(struct rd *file)
{
	struct rd line = take_until(file, is_newline);

	if (file->left > 0)
		rd_skip(file, 1);
	while (line.left > 0 && ends_line(line.at[line.left - 1]))
		line.left--;
	skip_blanks(&line);
	return line;
}

static bool
is_comment(struct rd line)
{
	return line.left == 0 || rd_u8(&line) == '#';
}

static struct rd
take_user(struct rd *line)
{
	struct rd user;

	if (!is_quote(*line->at))
		return take_until(line, is_blank);
	rd_skip(line, 1);
	user = take_until(line, is_quote);
	rd_skip(line, 1); /* cut if there is none */
	return user;
}

/* What is wrong with a line that is no comment; NULL if nothing is. */
static const char *
read_line(struct rd line, struct rd *user, struct hash *h)
{
	*user = take_user(&line);
	if (line.cut)
		return "a quoted user has no closing quote";
	if (memchr(user->at, '\0', user->left) != NULL)
		return "a user has a NUL in it";
	if (line.left == 0)
		return "there is no hash after the user";
	if (!is_blank(*line.at))
		return "there is no blank after a quoted user";
	skip_blanks(&line);
	if (memchr(line.at, ' ', line.left) || memchr(line.at, '\t', line.left))
		return "there is more than a user and a hash; a user with a "
		       "blank in it must be in double quotes";
	if (!read_hash(line, h))
		return "the hash is none of mysql_native_password (*, 40 "
		       "hexadecimal digits), ed25519 (43 characters) or "
		       "parsec (P0:...)";
	return NULL;
}

/* Some editors of Windows write one, which would be part of a name. */
static bool
has_byte_order_mark(struct rd content)
{
	static const uint8_t mark[] = { 0xef, 0xbb, 0xbf };

	return rd_equals(rd_take(&content, sizeof(mark)), mark, sizeof(mark));
}

const char *
mysql_proof_check(struct rd content, unsigned *line)
{
	const char *fault = NULL;
	bool found = false;
	struct rd text, user;
	struct hash h;

	*line = 1;
	if (has_byte_order_mark(content))
		return "it begins with a byte order mark; save it without one";
	*line = 0;
	while (content.left > 0 && fault == NULL) {
		(*line)++;
		text = take_line(&content);
		if (is_comment(text))
			continue;
		fault = read_line(text, &user, &h);
		found = true;
	}
	neg_wipe(&h, sizeof(h));
	if (found)
		return fault;
	*line = 1;
	return "there is no user in it";
}

/*
 * The proof.
 */

static bool
prove(const struct neg_services *s, const struct hash *h,
    const uint8_t *scramble, const uint8_t *leaf, uint8_t proof[NEG_DIGEST_LEN])
{
	const struct rd parts[] = {
		{ .at = h->bytes, .left = h->len },
		{ .at = scramble, .left = MYSQL_PROOF_SCRAMBLE_LEN },
		{ .at = leaf, .left = NEG_DIGEST_LEN },
	};

	return s->sha256(s, parts, sizeof(parts) / sizeof(parts[0]), proof);
}

/* In a time that does not tell where they differ. */
static bool
same_digest(const uint8_t *a, const uint8_t *b)
{
	unsigned differs = 0;
	size_t i;

	for (i = 0; i < NEG_DIGEST_LEN; i++)
		differs |= (unsigned)(a[i] ^ b[i]);
	return differs == 0;
}

/* Did the server make these digits of this hash? */
static bool
is_proven(const struct neg_services *s, const struct mysql_proof_of *of,
    const struct hash *h, const uint8_t *told)
{
	static const uint8_t none[NEG_DIGEST_LEN] = { 0 };
	const uint8_t *leaf = of->server_leaf != NULL ? of->server_leaf : none;
	uint8_t proof[NEG_DIGEST_LEN];

	return prove(s, h, of->scramble, leaf, proof) &&
	    same_digest(proof, told);
}

/* The next hash of this user, if there is one. */
static bool
next_hash(struct rd *file, struct rd user, struct hash *h)
{
	struct rd line, of;

	while (file->left > 0) {
		line = take_line(file);
		if (!is_comment(line) && read_line(line, &of, h) == NULL &&
		    rd_equals(of, user.at, user.left))
			return true;
	}
	return false;
}

static bool
find_proven(const struct neg_services *s, const struct mysql_proof_of *of,
    const uint8_t *told, struct hash *h)
{
	struct rd file = of->file;

	while (next_hash(&file, of->user, h)) {
		if (is_proven(s, of, h, told))
			return true;
	}
	return false;
}

static bool
find_fitting(const struct mysql_proof_of *of, struct hash *h)
{
	struct rd file = of->file;

	while (next_hash(&file, of->user, h)) {
		if (rd_equals_string(of->plugin, plugins[h->kind]))
			return true;
	}
	return false;
}

bool
mysql_proof_rewrite(const struct neg_services *s,
    const struct mysql_proof_of *of, uint8_t digits[MYSQL_PROOF_DIGITS])
{
	const struct rd text = { .at = digits, .left = MYSQL_PROOF_DIGITS };
	uint8_t told[NEG_DIGEST_LEN], ours[NEG_DIGEST_LEN];
	struct hash h;
	bool done;

	done = read_hex(text, told, sizeof(told)) &&
	    (find_proven(s, of, told, &h) ||
		(of->server_leaf == NULL && find_fitting(of, &h))) &&
	    prove(s, &h, of->scramble, of->our_leaf, ours);
	if (done)
		write_hex(ours, sizeof(ours), digits);
	neg_wipe(&h, sizeof(h));
	return done;
}
