/*
 * What the parts of engine `sqlserver` promise each other, and what no
 * transcript can show: every byte of a preamble, what is left in memory, what
 * stands behind the one packet that was sealed.
 */
#include "protocols/tds_login.h"
#include "protocols/tds_packet.h"
#include "protocols/tds_prelogin.h"
#include "protocols/tds_private.h"
#include "protocols/tds_reply.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define PAYLOAD_MAX (TDS_PACKET_FIRST - TDS_HEAD)
#define FLIGHT_MAX  (3 * PAYLOAD_MAX)

/* Three letters of one, as a LOGIN7 has it. */
static const uint8_t password[] = { 0x92, 0xa5, 0x96, 0xa5, 0x93, 0xa5 };

/* VERSION and ENCRYPTION; the second has MARS in its place. */
static const uint8_t wants_none[] = { 0x12, 1, 0, 26, 0, 0, 1, 0, 0, 0, 11, 0,
	6, 1, 0, 17, 0, 1, 0xff, 9, 0, 0, 0, 0, 0, 2 };
static const uint8_t says_nothing[] = { 0x12, 1, 0, 26, 0, 0, 1, 0, 0, 0, 11, 0,
	6, 4, 0, 17, 0, 1, 0xff, 9, 0, 0, 0, 0, 0, 1 };
static const uint8_t wants_login_only[] = { 0x12, 1, 0, 26, 0, 0, 1, 0, 0, 0,
	11, 0, 6, 1, 0, 17, 0, 1, 0xff, 9, 0, 0, 0, 0, 0, 0 };
/* As a server answers, and the beginning of a handshake. */
static const uint8_t has_none[] = { 0x04, 1, 0, 26, 0, 0, 1, 0, 0, 0, 11, 0, 6,
	1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, 2 };
static const uint8_t hello[] = { 0x12, 1, 0, 9, 0, 0, 1, 0, 0x16 };

/* Where the fields are that point to letters; the fifth is the server's name.
 * Behind them: SSPI, a file and a new password. */
static const size_t letters_at[] = { 36, 40, 44, 48, 52, 60, 64, 68 };
static const size_t bytes_at[] = { 78, 82, 86 };
#define AT_VERSION   4
#define AT_FLAGS3    27
#define AT_PASSWORD  44
#define AT_SERVER    52
#define AT_EXTENSION 56
#define FIXED_LEN    94

/*
 * Packets.
 */

static void
flight_is_one_message(size_t len)
{
	static uint8_t flight[FLIGHT_MAX], room[2 * FLIGHT_MAX];
	struct wr out = { .base = room, .cap = sizeof(room) };
	struct rd r;
	size_t seen = 0, i;
	struct tds_packet p = { .last = false };

	for (i = 0; i < len; i++)
		flight[i] = (uint8_t)(i * 7);
	tds_wrap.wrap((struct rd){ .at = flight, .left = len }, &out);
	for (r = wr_written(&out); r.left > 0; rd_skip(&r, p.len)) {
		CU_ASSERT_FALSE(p.last);
		CU_ASSERT_EQUAL_FATAL(tds_look_at_packet(r, &p), TDS_WHOLE);
		CU_ASSERT_EQUAL(p.type, 0x12);
		CU_ASSERT_TRUE(p.len <= TDS_PACKET_FIRST);
		CU_ASSERT_EQUAL(tds_wrap.length(r), p.len);
		CU_ASSERT_EQUAL(
		    memcmp(p.payload.at, flight + seen, p.payload.left), 0);
		seen += p.payload.left;
	}
	CU_ASSERT_TRUE(p.last);
	CU_ASSERT_EQUAL(seen, len);
	CU_ASSERT_FALSE(out.full);
}

static void
a_flight_is_one_message(void)
{
	static const size_t lengths[] = { 1, PAYLOAD_MAX - 1, PAYLOAD_MAX,
		PAYLOAD_MAX + 1, 2 * PAYLOAD_MAX, FLIGHT_MAX - 1, FLIGHT_MAX };
	size_t i;

	for (i = 0; i < COUNT_OF(lengths); i++)
		flight_is_one_message(lengths[i]);
}

static uint64_t
length_of(const struct neg_units *u, const uint8_t head[TDS_HEAD])
{
	return u->length((struct rd){ .at = head, .left = TDS_HEAD });
}

static void
a_handshake_comes_in_either_type(void)
{
	uint8_t head[TDS_HEAD] = { 0, 0, 0x10, 0x01 };
	unsigned type;

	for (type = 0; type <= UINT8_MAX; type++) {
		struct rd r = { .at = head, .left = sizeof(head) };
		bool is = type == 0x12 || type == 0x04;

		head[0] = (uint8_t)type;
		CU_ASSERT_EQUAL(tds_wrap.length(r), is ? 0x1001 : 0);
	}
}

static void
units_are_packets_of_either_kind(void)
{
	uint8_t head[TDS_HEAD] = { 0, 1, 0xff, 0xff, 0, 0, 1, 0 };
	unsigned type;

	for (type = 0; type <= UINT8_MAX; type++) {
		bool is = type >= 1 && type <= 0x12;

		if (type == 0x53)
			continue;
		head[0] = (uint8_t)type;
		CU_ASSERT_EQUAL(length_of(&tds_units, head), is ? 65535 : 0);
	}
	CU_ASSERT_EQUAL(tds_units.whole_max, 65535 + 16);
}

static void
units_of_mars_say_their_length_the_other_way(void)
{
	static const uint8_t ack[] = { 0x53, 2, 1, 0, 16, 0, 0, 0 };
	static const uint8_t data[] = { 0x53, 8, 1, 0, 0x34, 0x12, 1, 0 };
	static const uint8_t bad[] = { 0x53, 8, 1, 0, 15, 0, 0, 0 };
	static const uint8_t huge[] = { 0x53, 8, 1, 0, 255, 255, 255, 255 };

	CU_ASSERT_EQUAL(length_of(&tds_units, ack), 16);
	CU_ASSERT_EQUAL(length_of(&tds_units, data), 0x11234);
	CU_ASSERT_TRUE(length_of(&tds_units, bad) < tds_units.head);
	CU_ASSERT_EQUAL(length_of(&tds_units, huge), UINT32_MAX);
}

/*
 * A whole negotiation, up to where it is looked at.
 */

struct world {
	struct neg_policy policy;
	struct negotiator n;
	struct verdict v;
};

static void
world_init(struct world *w, enum neg_client_rule client,
    enum neg_server_rule server)
{
	size_t i;

	*w = (struct world){ .policy = { client, server } };
	w->n.ops = &neg_sqlserver;
	w->n.policy = &w->policy;
	w->n.state = calloc(1, neg_sqlserver.state_size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w->n.state);
	for (i = 0; i < LEG_COUNT; i++) {
		w->n.out[i].cap = NEG_OUT_CAP(&neg_sqlserver);
		w->n.out[i].base = malloc(w->n.out[i].cap);
		CU_ASSERT_PTR_NOT_NULL_FATAL(w->n.out[i].base);
	}
}

static void
world_fini(struct world *w)
{
	free(w->n.out[LEG_CLIENT].base);
	free(w->n.out[LEG_SERVER].base);
	free(w->n.state);
}

/* A step with nothing left of what was sent before. */
static enum verdict_kind
step(struct world *w)
{
	w->n.out[LEG_CLIENT].len = 0;
	w->n.out[LEG_SERVER].len = 0;
	w->v = neg_step(&w->n);
	return w->v.kind;
}

static enum verdict_kind
hear(struct world *w, enum leg_id leg, const void *bytes, size_t len)
{
	w->n.in[leg] = (struct rd){ .at = bytes, .left = len };
	return step(w);
}

/* The server is there, and has just been asked. */
static void
ask(struct world *w, enum neg_server_rule server, const uint8_t *prelogin,
    size_t len)
{
	world_init(w, CLIENT_TLS_ALLOW, server);
	CU_ASSERT_EQUAL(hear(w, LEG_CLIENT, prelogin, len), V_CONNECT);
	w->n.connected = true;
	CU_ASSERT_EQUAL(step(w), V_READ);
	CU_ASSERT_EQUAL(w->v.from, FROM_SERVER);
}

/*
 * The preamble.
 */

static bool
is_preamble(const struct world *w, const uint8_t *bytes, size_t len)
{
	return neg_sqlserver.preamble(&w->n,
	    (struct rd){ .at = bytes, .left = len });
}

static void
no_other_byte_is_a_preamble(const uint8_t *prelogin, size_t len)
{
	uint8_t copy[64];
	struct world w;
	struct rd out;
	size_t i;
	unsigned bit;

	ask(&w, SERVER_TLS_REQUIRED, prelogin, len);
	out = wr_written(&w.n.out[LEG_SERVER]);
	CU_ASSERT_FATAL(out.left < sizeof(copy));
	memcpy(copy, out.at, out.left);
	CU_ASSERT_TRUE(is_preamble(&w, copy, out.left));
	CU_ASSERT_FALSE(is_preamble(&w, copy, out.left - 1));
	copy[out.left] = 0;
	CU_ASSERT_FALSE(is_preamble(&w, copy, out.left + 1));
	CU_ASSERT_FALSE(is_preamble(&w, copy, 0));
	for (i = 0; i < out.left; i++) {
		for (bit = 1; bit <= UINT8_MAX; bit <<= 1) {
			copy[i] ^= (uint8_t)bit;
			CU_ASSERT_FALSE(is_preamble(&w, copy, out.left));
			copy[i] ^= (uint8_t)bit;
		}
	}
	world_fini(&w);
}

static void
a_preamble_is_the_clients_to_the_byte(void)
{
	no_other_byte_is_a_preamble(wants_none, sizeof(wants_none));
	no_other_byte_is_a_preamble(says_nothing, sizeof(says_nothing));
}

static void
a_preamble_is_not_what_the_client_said_itself(void)
{
	struct world w;

	ask(&w, SERVER_TLS_REQUIRED, wants_none, sizeof(wants_none));
	CU_ASSERT_FALSE(is_preamble(&w, wants_none, sizeof(wants_none)));
	world_fini(&w);
	ask(&w, SERVER_TLS_NEVER, wants_none, sizeof(wants_none));
	CU_ASSERT_TRUE(is_preamble(&w, wants_none, sizeof(wants_none)));
	world_fini(&w);
}

/*
 * LOGIN7.
 */

static void
put_le16(uint8_t *at, size_t v)
{
	at[0] = (uint8_t)v;
	at[1] = (uint8_t)(v >> 8);
}

static size_t
get_le16(const uint8_t *at)
{
	return at[0] | (size_t)at[1] << 8;
}

static size_t
get_le32(const uint8_t *at)
{
	return get_le16(at) | get_le16(at + 2) << 16;
}

/* Field i has i letters, each its own; behind them an extension of features,
 * and a blob of SSPI. */
static size_t
make_login(uint8_t *login, size_t server_letters)
{
	size_t at = FIXED_LEN, i, j;

	memset(login, 0, FIXED_LEN);
	memcpy(login + AT_VERSION, "\x04\x00\x00\x74", 4);
	login[AT_FLAGS3] = 0x10;
	for (i = 0; i < COUNT_OF(letters_at); i++) {
		size_t n = letters_at[i] == AT_SERVER ? server_letters : i + 1;

		put_le16(login + letters_at[i], at);
		put_le16(login + letters_at[i] + 2, n);
		for (j = 0; j < n; j++, at += 2)
			put_le16(login + at, 'a' + i);
	}
	put_le16(login + AT_EXTENSION, at);
	put_le16(login + AT_EXTENSION + 2, 4);
	at += 4;
	put_le16(login + bytes_at[0], at);
	put_le16(login + bytes_at[0] + 2, 3);
	memcpy(login + at, "SSP", 3);
	at += 3;
	put_le16(login + bytes_at[1], at);
	put_le16(login + bytes_at[2], at);
	put_le16(login + at - 3 - 4, at); /* of the features */
	put_le16(login + at - 3 - 2, 0);
	login[at++] = 0xff;
	put_le16(login, at);
	return at;
}

static bool
has_letters(const uint8_t *login, size_t field, char letter, size_t n)
{
	size_t at = get_le16(login + letters_at[field]), i;

	if (get_le16(login + letters_at[field] + 2) != n)
		return false;
	for (i = 0; i < n; i++) {
		if (get_le16(login + at + 2 * i) != (uint8_t)letter)
			return false;
	}
	return true;
}

static void
rename_and_look(size_t old, const char *name)
{
	static uint8_t login[4096];
	struct wr w = { .base = login, .cap = sizeof(login) };
	const size_t letters = strlen(name);
	size_t i, features;

	w.len = make_login(login, old);
	features = w.len - 1;
	CU_ASSERT_TRUE(tds_login_rename(&w, name));
	CU_ASSERT_EQUAL(w.len, features + 1 + 2 * letters - 2 * old);
	CU_ASSERT_EQUAL(get_le32(login), w.len);
	for (i = 0; i < COUNT_OF(letters_at); i++) {
		if (letters_at[i] == AT_SERVER)
			CU_ASSERT_TRUE(has_letters(login, i, 'x', letters))
		else
			CU_ASSERT_TRUE(
			    has_letters(login, i, (char)('a' + i), i + 1))
	}
	CU_ASSERT_EQUAL(memcmp(login + get_le16(login + bytes_at[0]), "SSP", 3),
	    0);
	features = get_le32(login + get_le16(login + AT_EXTENSION));
	CU_ASSERT_EQUAL(features, w.len - 1);
	CU_ASSERT_EQUAL(login[features], 0xff);
}

static void
a_new_name_leaves_the_others(void)
{
	char name[TDS_SERVER_NAME_MAX + 1];
	size_t old, len;

	for (len = 0; len <= TDS_SERVER_NAME_MAX; len += 5) {
		memset(name, 'x', len);
		name[len] = '\0';
		for (old = 0; old < 40; old += 13)
			rename_and_look(old, name);
	}
}

static void
a_name_too_many_is_not_written(void)
{
	static uint8_t login[4096];
	struct wr w = { .base = login, .cap = sizeof(login) };
	char name[TDS_SERVER_NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	w.len = make_login(login, 1);
	CU_ASSERT_FALSE(tds_login_rename(&w, name));
	w.cap = w.len + TDS_LOGIN_GROWS - 1;
	CU_ASSERT_FALSE(tds_login_rename(&w, "x"));
	w.cap++;
	CU_ASSERT_TRUE(tds_login_rename(&w, "x"));
}

static bool
renames_with(size_t field, size_t value)
{
	static uint8_t login[4096];
	struct wr w = { .base = login, .cap = sizeof(login) };

	w.len = make_login(login, 3);
	put_le16(login + field, value);
	return tds_login_rename(&w, "another.example");
}

static void
what_cannot_move_is_refused(void)
{
	static uint8_t login[4096];
	const size_t len = make_login(login, 3);
	const size_t name = get_le16(login + AT_SERVER);

	/* Behind it, by as much as there is to move, and by one too many. */
	CU_ASSERT_TRUE(renames_with(bytes_at[1], 0xffff - 24));
	CU_ASSERT_FALSE(renames_with(bytes_at[1], 0xffff - 23));
	/* The extension is an offset: it has to be there, and apart. */
	CU_ASSERT_FALSE(renames_with(AT_EXTENSION, len - 3));
	CU_ASSERT_FALSE(renames_with(AT_EXTENSION, FIXED_LEN - 1));
	CU_ASSERT_FALSE(renames_with(AT_EXTENSION, name - 3));
	CU_ASSERT_FALSE(renames_with(AT_EXTENSION, name + 5));
	/* Others stand apart from the old name. */
	CU_ASSERT_TRUE(renames_with(letters_at[0], name - 2));
	CU_ASSERT_FALSE(renames_with(letters_at[0], name));
	CU_ASSERT_FALSE(renames_with(letters_at[0], name + 4));
	CU_ASSERT_TRUE(renames_with(letters_at[0], name + 6));
	CU_ASSERT_FALSE(renames_with(AT_SERVER, FIXED_LEN - 2));
	CU_ASSERT_FALSE(renames_with(AT_SERVER, len - 5));
}

/* Whatever it is cut to, and whatever points where: nothing is read or written
 * outside, which a sanitizer would see. */
static void
no_login_leads_astray(void)
{
	static uint8_t whole[4096];
	const size_t len = make_login(whole, 3);
	size_t cut, i;

	for (cut = 0; cut <= len; cut++) {
		for (i = 0; i < FIXED_LEN; i += 2) {
			uint8_t *login = malloc(cut + TDS_LOGIN_GROWS);
			struct neg_names names = { .user = "" };
			struct wr w = { .base = login,
				.len = cut,
				.cap = cut + TDS_LOGIN_GROWS };

			CU_ASSERT_PTR_NOT_NULL_FATAL(login);
			memcpy(login, whole, cut);
			if (cut >= FIXED_LEN) {
				put_le16(login + i, 0xfff0 + i % 16);
				put_le16(login, cut);
			}
			tds_login_names(wr_written(&w), &names);
			if (tds_login_rename(&w, "another.example"))
				CU_ASSERT_EQUAL(get_le32(login), w.len)
			free(login);
		}
	}
}

/* A LOGIN7 in a packet, with something in the password's place that can be
 * found again. */
static size_t
make_login_packet(uint8_t *packet)
{
	size_t len = make_login(packet + TDS_HEAD, 3);
	uint8_t *login = packet + TDS_HEAD;

	memcpy(login + get_le16(login + AT_PASSWORD), password,
	    sizeof(password));
	len += TDS_HEAD;
	memcpy(packet, "\x10\x01\x00\x00\x00\x00\x01\x00", TDS_HEAD);
	packet[2] = (uint8_t)(len >> 8);
	packet[3] = (uint8_t)len;
	return len;
}

static bool
is_kept(const struct world *w)
{
	return memmem(w->n.state, neg_sqlserver.state_size, password,
		   sizeof(password)) != NULL;
}

static void
no_password_is_kept_once_it_is_passed_on(void)
{
	static uint8_t packet[4096];
	size_t len = make_login_packet(packet);
	struct world w;

	ask(&w, SERVER_TLS_NEVER, wants_none, sizeof(wants_none));
	(void)hear(&w, LEG_SERVER, has_none, sizeof(has_none));
	CU_ASSERT_EQUAL(hear(&w, LEG_CLIENT, packet, len), V_READ);
	CU_ASSERT_EQUAL(w.n.out[LEG_SERVER].len, len);
	CU_ASSERT_FALSE(is_kept(&w));
	world_fini(&w);
}

static void
no_password_is_kept_once_it_is_refused(void)
{
	static uint8_t packet[4096];
	size_t len = make_login_packet(packet);
	struct world w;

	world_init(&w, CLIENT_TLS_OFF, SERVER_TLS_NEVER);
	CU_ASSERT_EQUAL(hear(&w, LEG_CLIENT, packet, len), V_CONNECT);
	CU_ASSERT_TRUE(is_kept(&w)); /* for the server */
	w.n.error = (struct neg_error){ .reason = REASON_CONNECT,
		.text = "there is none" };
	CU_ASSERT_EQUAL(neg_refuse(&w.n).kind, V_END);
	CU_ASSERT_FALSE(is_kept(&w));
	world_fini(&w);
}

/* Up to where the first packet of a LOGIN7 comes in TLS. */
static void
seal(struct world *w)
{
	ask(w, SERVER_TLS_NEVER, wants_login_only, sizeof(wants_login_only));
	(void)hear(w, LEG_SERVER, has_none, sizeof(has_none));
	CU_ASSERT_EQUAL(hear(w, LEG_CLIENT, hello, sizeof(hello)), V_START_TLS);
	CU_ASSERT_TRUE(w->v.tls->may_stop);
	w->n.in[LEG_CLIENT] = (struct rd){ .at = NULL };
	w->n.leg[LEG_CLIENT].tls_up = true;
	CU_ASSERT_EQUAL(step(w), V_READ);
}

static void
one_packet_is_sealed(void)
{
	static uint8_t packet[4096];
	size_t len = make_login_packet(packet), half = len / 2;
	struct world w;

	seal(&w);
	CU_ASSERT_EQUAL(hear(&w, LEG_CLIENT, packet, half), V_READ);
	CU_ASSERT_EQUAL(w.n.in[LEG_CLIENT].left, 0);
	CU_ASSERT_EQUAL(hear(&w, LEG_CLIENT, packet + half, len - half),
	    V_STOP_TLS);
	CU_ASSERT_EQUAL(w.n.in[LEG_CLIENT].left, 0);
	CU_ASSERT_EQUAL(w.n.out[LEG_SERVER].len, 0);
	w.n.leg[LEG_CLIENT].tls_up = false;
	CU_ASSERT_EQUAL(step(&w), V_READ);
	CU_ASSERT_EQUAL(w.n.out[LEG_SERVER].len, len);
	CU_ASSERT_FALSE(is_kept(&w));
	world_fini(&w);
}

static void
no_more_is_sealed_than_one_packet(void)
{
	static uint8_t packet[4096];
	size_t len = make_login_packet(packet);
	struct world w;

	seal(&w);
	packet[len] = 0x01;
	CU_ASSERT_EQUAL(hear(&w, LEG_CLIENT, packet, len + 1), V_END);
	CU_ASSERT_EQUAL(w.n.error.reason, REASON_PROTOCOL);
	CU_ASSERT_EQUAL(w.n.error.leg, LEG_CLIENT);
	CU_ASSERT_EQUAL(neg_refuse(&w.n).kind, V_END);
	CU_ASSERT_EQUAL(w.n.out[LEG_CLIENT].len, 0);
	world_fini(&w);
}

/* What is written to the server before the relay is cut into records too. */
static void
records_hold_units_from_the_first(void)
{
	static const uint8_t agrees[] = { 0x04, 1, 0, 26, 0, 0, 1, 0, 0, 0, 11,
		0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, 1 };
	struct world w;

	ask(&w, SERVER_TLS_REQUIRED, wants_none, sizeof(wants_none));
	CU_ASSERT_PTR_NULL(w.n.units[LEG_CLIENT]);
	CU_ASSERT_EQUAL(hear(&w, LEG_SERVER, agrees, sizeof(agrees)),
	    V_START_TLS);
	CU_ASSERT_PTR_EQUAL(w.n.units[LEG_CLIENT], &tds_units);
	CU_ASSERT_PTR_NULL(w.n.units[LEG_SERVER]);
	world_fini(&w);
}

/*
 * What a server replies.
 */

static void
no_prefix_of_a_reply_hides_where_it_leads(void)
{
	static const uint8_t routed[] = { 0xad, 10, 0, 1, 0x74, 0, 0, 4, 0, 1,
		2, 3, 4, 0xe3, 5, 0, 20, 2, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0 };
	struct tds_reply reply;
	size_t len;

	CU_ASSERT_TRUE(
	    tds_reply_read((struct rd){ .at = routed, .left = sizeof(routed) },
		0x74000004, &reply));
	CU_ASSERT_TRUE(reply.routed);
	CU_ASSERT_TRUE(reply.accepted);
	/* Whole up to a token's end, and cut everywhere else. */
	for (len = 1; len < sizeof(routed); len++) {
		bool whole =
		    tds_reply_read((struct rd){ .at = routed, .left = len },
			0x74000004, &reply);

		CU_ASSERT_EQUAL(whole, len == 13 || len == 21);
	}
}

static size_t
text_len(size_t text, size_t hint)
{
	static const char prefix[] = "dbtls: ";

	return sizeof(prefix) - 1 + text + (hint > 0 ? 2 + hint : 0);
}

static void
error_is_well_formed(uint32_t version, size_t text, size_t hint)
{
	static uint8_t room[4096];
	struct wr out = { .base = room, .cap = sizeof(room) };
	char texts[2][2 * NEG_TEXT_MAX + 1];
	struct neg_error why = { .reason = REASON_LIMIT, .text = texts[0] };
	struct tds_packet p;
	struct tds_reply reply;
	size_t letters;

	memset(texts[0], 't', text);
	texts[0][text] = '\0';
	memset(texts[1], 'h', hint);
	texts[1][hint] = '\0';
	why.hint = hint > 0 ? texts[1] : NULL;
	tds_write_error(&out, version, &why);
	CU_ASSERT_EQUAL(tds_look_at_packet(wr_written(&out), &p), TDS_WHOLE);
	CU_ASSERT_EQUAL(p.len, out.len);
	CU_ASSERT_TRUE(p.last);
	CU_ASSERT_TRUE(tds_reply_read(p.payload, version, &reply));
	CU_ASSERT_TRUE(reply.rejected);
	CU_ASSERT_EQUAL(get_le32(room + TDS_HEAD + 3), 10928);
	letters = get_le16(room + TDS_HEAD + 9);
	if (text > NEG_TEXT_MAX)
		text = NEG_TEXT_MAX;
	if (hint > NEG_TEXT_MAX)
		hint = NEG_TEXT_MAX;
	CU_ASSERT_EQUAL(letters, text_len(text, hint));
}

static void
an_error_is_well_formed_whatever_it_says(void)
{
	static const size_t lengths[] = { 0, 1, NEG_TEXT_MAX,
		2 * NEG_TEXT_MAX };
	static const uint32_t versions[] = { 0x70000000, 0x71000001, 0x72090002,
		0x74000004, 0x08000000 };
	size_t i, j, k;

	for (i = 0; i < COUNT_OF(lengths); i++)
		for (j = 0; j < COUNT_OF(lengths); j++)
			for (k = 0; k < COUNT_OF(versions); k++)
				error_is_well_formed(versions[k], lengths[i],
				    lengths[j]);
}

static void
versions_before_72_are_known_by_any_name(void)
{
	CU_ASSERT_TRUE(tds_is_before_72(0x70000000));
	CU_ASSERT_TRUE(tds_is_before_72(0x71000000));
	CU_ASSERT_TRUE(tds_is_before_72(0x71000001));
	CU_ASSERT_TRUE(tds_is_before_72(0x07000000)); /* in a LOGINACK */
	CU_ASSERT_TRUE(tds_is_before_72(0x07010000));
	CU_ASSERT_FALSE(tds_is_before_72(0x72090002));
	CU_ASSERT_FALSE(tds_is_before_72(0x730b0003));
	CU_ASSERT_FALSE(tds_is_before_72(0x74000004));
	CU_ASSERT_FALSE(tds_is_before_72(0x08000000));
}

/* Two that overlap: the user's last letter is the name's first. */
static void
no_other_field_is_changed_by_an_overlap(void)
{
	static uint8_t login[4096];
	size_t name;

	(void)make_login(login, 3);
	name = get_le16(login + AT_SERVER);
	/* letters_at[1] has two letters */
	CU_ASSERT_FALSE(renames_with(letters_at[1], name - 2));
}

/* A name of no length may point anywhere, and here into the password. */
static void
no_other_field_is_changed_by_an_empty_name(void)
{
	static uint8_t login[4096];
	struct wr w = { .base = login, .cap = sizeof(login) };

	w.len = make_login(login, 0);
	put_le16(login + AT_SERVER, get_le16(login + AT_PASSWORD) + 2);
	CU_ASSERT_TRUE(tds_login_rename(&w, "db"));
	CU_ASSERT_TRUE(has_letters(login, 2, 'c', 3));
}

/* The name of 1000 letters becomes "db", and the password stood behind it. */
static void
no_password_is_kept_where_a_long_name_was(void)
{
	static uint8_t packet[4096], *login = packet + TDS_HEAD;
	static const struct tds_options options = { TDS_REWRITE_ON };
	size_t len, i;
	struct world w;

	memset(packet, 0, sizeof(packet));
	memcpy(login + AT_VERSION, "\x04\x00\x00\x74", 4);
	put_le16(login + AT_SERVER, FIXED_LEN);
	put_le16(login + AT_SERVER + 2, 1000);
	for (i = 0; i < 1000; i++)
		put_le16(login + FIXED_LEN + 2 * i, 'x');
	put_le16(login + AT_PASSWORD, FIXED_LEN + 2000);
	put_le16(login + AT_PASSWORD + 2, 3);
	memcpy(login + FIXED_LEN + 2000, password, sizeof(password));
	len = FIXED_LEN + 2000 + sizeof(password);
	put_le16(login, len);
	len += TDS_HEAD;
	memcpy(packet, "\x10\x01\x00\x00\x00\x00\x01\x00", TDS_HEAD);
	packet[2] = (uint8_t)(len >> 8);
	packet[3] = (uint8_t)len;
	ask(&w, SERVER_TLS_NEVER, wants_none, sizeof(wants_none));
	w.n.options = &options;
	w.n.server_host = "db";
	(void)hear(&w, LEG_SERVER, has_none, sizeof(has_none));
	CU_ASSERT_EQUAL(hear(&w, LEG_CLIENT, packet, len), V_READ);
	CU_ASSERT_FALSE(is_kept(&w));
	world_fini(&w);
}

#define TEST(name)          \
	{                   \
#name, name \
	}

int
main(void)
{
	static CU_TestInfo tests[] = {
		TEST(a_flight_is_one_message),
		TEST(a_handshake_comes_in_either_type),
		TEST(units_are_packets_of_either_kind),
		TEST(units_of_mars_say_their_length_the_other_way),
		TEST(a_preamble_is_the_clients_to_the_byte),
		TEST(a_preamble_is_not_what_the_client_said_itself),
		TEST(a_new_name_leaves_the_others),
		TEST(a_name_too_many_is_not_written),
		TEST(what_cannot_move_is_refused),
		TEST(no_login_leads_astray),
		TEST(no_password_is_kept_once_it_is_passed_on),
		TEST(no_password_is_kept_once_it_is_refused),
		TEST(one_packet_is_sealed),
		TEST(no_more_is_sealed_than_one_packet),
		TEST(records_hold_units_from_the_first),
		TEST(no_prefix_of_a_reply_hides_where_it_leads),
		TEST(an_error_is_well_formed_whatever_it_says),
		TEST(versions_before_72_are_known_by_any_name),
		TEST(no_other_field_is_changed_by_an_overlap),
		TEST(no_other_field_is_changed_by_an_empty_name),
		TEST(no_password_is_kept_where_a_long_name_was),
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{ "tds", NULL, NULL, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return unit_run(suites);
}
