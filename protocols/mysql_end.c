/*
 * mysql_end.c - the OK or the error that ends a log-in
 *
 * Both pass, with what only we can add: to an error that the server's leg has
 * no TLS, and to an OK the proof that our certificate may be trusted.
 */
#include "protocols/mysql.h"

#include <string.h>

#include "protocols/mysql_proof.h"

#define ER_ACCESS_DENIED 1045u
#define SQLSTATE_LEN     5u

/* What the OK of a log-in says where MariaDB proves its certificate. */
#define PROOF_MARK 0x01u
#define PROOF_LEN  (1u + MYSQL_PROOF_DIGITS)

_Static_assert(MYSQL_PROOF_SCRAMBLE_LEN == MYSQL_NONCE_LEN, "it is the nonce");

/* The account may demand TLS, of which the client knows nothing. */
static const char access_hint[] =
    " (dbtls: towards the server no TLS is used, because ssl_mode is none; the "
    "account may demand it)";
#define ACCESS_HINT_LEN (sizeof(access_hint) - 1)

static bool
deserves_hint(const struct negotiator *n, struct rd error)
{
	const struct mysql *my = n->state;
	const struct neg_facts *server = &n->leg[LEG_SERVER];

	if (server->tls_up || server->local ||
	    (my->server_caps & MYSQL_SSL) == 0)
		return false;
	rd_skip(&error, 1);
	if (rd_le16(&error) != ER_ACCESS_DENIED)
		return false;
	rd_skip(&error, 1 + SQLSTATE_LEN);
	return !error.cut &&
	    error.left + ACCESS_HINT_LEN <= MYSQL_ERROR_TEXT_MAX;
}

void
mysql_forward_error(struct negotiator *n, const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	struct wr *out = &n->out[LEG_CLIENT];

	if (!deserves_hint(n, p->payload)) {
		mysql_forward(n, LEG_SERVER, p);
		return;
	}
	mysql_write_head(out, p->payload.left + ACCESS_HINT_LEN,
	    mysql_id_next(my, LEG_CLIENT,
		mysql_id_heard(my, LEG_SERVER, p->id)));
	rd_skip(&n->in[LEG_SERVER], MYSQL_HEAD_LEN);
	neg_forward(n, LEG_SERVER, p->payload.left);
	wr_string(out, access_hint);
}

/* Where an OK has MariaDB's proof, if it has one. */
static bool
find_proof(struct rd ok, size_t *at)
{
	const uint8_t *start = ok.at;
	struct rd info;

	rd_skip(&ok, 1);
	(void)mysql_read_lenenc(&ok); /* rows affected */
	(void)mysql_read_lenenc(&ok); /* the last id inserted */
	(void)rd_le16(&ok);           /* status */
	(void)rd_le16(&ok);           /* warnings */
	info = mysql_read_counted(&ok);
	if (ok.cut || info.left != PROOF_LEN || rd_u8(&info) != PROOF_MARK)
		return false;
	*at = (size_t)(info.at - start);
	return true;
}

static bool
make_proof(const struct negotiator *n, uint8_t digits[MYSQL_PROOF_DIGITS])
{
	const struct mysql *my = n->state;
	const struct neg_file *file = &mysql_options_of(n)->certificate_proof;
	const struct neg_facts *client = &n->leg[LEG_CLIENT];
	const struct neg_facts *server = &n->leg[LEG_SERVER];
	const char *user = n->names.user;
	struct mysql_proof_of of = {
		.file = { .at = file->bytes, .left = file->len },
		.user = { (const uint8_t *)user, strlen(user), false },
		.plugin = { (const uint8_t *)my->plugin_name,
		    strlen(my->plugin_name), false },
		.scramble = my->proof_nonce,
		.server_leaf = server->tls_up ? server->leaf : NULL,
		.our_leaf = client->leaf,
	};

	/* A name of this length may have been cut. */
	if (file->len == 0 || n->services == NULL ||
	    of.user.left == NEG_NAME_MAX)
		return false;
	if (!client->tls_up || !client->leaf_known ||
	    (server->tls_up && !server->leaf_known))
		return false;
	return mysql_proof_rewrite(n->services, &of, digits);
}

static void
forward_with_proof(struct negotiator *n, const struct mysql_packet *p,
    size_t at, const uint8_t digits[MYSQL_PROOF_DIGITS])
{
	struct mysql *my = n->state;
	struct wr *out = &n->out[LEG_CLIENT];
	uint8_t shift = mysql_id_heard(my, LEG_SERVER, p->id);

	mysql_write_head(out, p->payload.left,
	    mysql_id_next(my, LEG_CLIENT, shift));
	rd_skip(&n->in[LEG_SERVER], MYSQL_HEAD_LEN);
	neg_forward(n, LEG_SERVER, at);
	wr_bytes(out, digits, MYSQL_PROOF_DIGITS);
	rd_skip(&n->in[LEG_SERVER], MYSQL_PROOF_DIGITS);
	neg_forward(n, LEG_SERVER, p->payload.left - at - MYSQL_PROOF_DIGITS);
}

/* Once, and not when the user is changed: a server proves itself only then. */
void
mysql_forward_ok(struct negotiator *n, const struct mysql_packet *p)
{
	const struct mysql *my = n->state;
	uint8_t digits[MYSQL_PROOF_DIGITS];
	size_t at;

	if (my->changing || !find_proof(p->payload, &at)) {
		mysql_forward(n, LEG_SERVER, p);
		return;
	}
	memcpy(digits, p->payload.at + at, sizeof(digits));
	if (make_proof(n, digits))
		forward_with_proof(n, p, at, digits);
	else
		mysql_forward(n, LEG_SERVER, p);
}
