/*
 * mysql_send.c - what goes from one leg to the other
 */
#include "protocols/mysql.h"

/*
 * Ids, and packets under way.
 */

uint8_t
mysql_id_heard(struct mysql *my, enum leg_id leg, uint8_t id)
{
	uint8_t shift = (uint8_t)(id - my->last[leg]);

	my->last[leg] = id;
	return shift;
}

uint8_t
mysql_id_next(struct mysql *my, enum leg_id leg, uint8_t shift)
{
	my->last[leg] = (uint8_t)(my->last[leg] + shift);
	return my->last[leg];
}

void
mysql_forward(struct negotiator *n, enum leg_id from,
    const struct mysql_packet *p)
{
	struct mysql *my = n->state;
	enum leg_id to = leg_other(from);
	uint8_t shift = mysql_id_heard(my, from, p->id);

	mysql_write_head(&n->out[to], p->payload.left,
	    mysql_id_next(my, to, shift));
	rd_skip(&n->in[from], MYSQL_HEAD_LEN);
	neg_forward(n, from, p->payload.left);
}

/*
 * The log-in.
 */

bool
mysql_login_held(const struct negotiator *n, struct mysql_packet *p,
    struct mysql_login *l)
{
	const struct mysql *my = n->state;

	if (!my->held ||
	    mysql_packet_look(n->in[LEG_CLIENT], p) != MYSQL_ARRIVAL_WHOLE)
		return false;
	if (my->changing)
		return mysql_change_user_read(p->payload, my->caps, l);
	return mysql_login_read(p->payload, my->caps, my->server_caps, l);
}

static void
replace_le32(struct negotiator *n, uint32_t v)
{
	wr_le32(&n->out[LEG_SERVER], v);
	rd_skip(&n->in[LEG_CLIENT], sizeof(v));
}

/* Its head belongs to the leg: whether TLS was used there, and what the client
 * said to us when it asked for it. */
static void
send_head(struct negotiator *n)
{
	const struct mysql *my = n->state;
	uint32_t caps = my->caps | MYSQL_SSL;

	if (!n->leg[LEG_SERVER].tls_up)
		caps = my->caps & ~(uint32_t)(MYSQL_SSL | MYSQL_SSL_VERIFY);
	replace_le32(n, caps);
	neg_forward(n, LEG_CLIENT,
	    MYSQL_LOGIN_HEAD_LEN - sizeof(my->caps) - sizeof(my->more));
	replace_le32(n, my->more);
}

struct verdict
mysql_login_send(struct negotiator *n, const struct rd *answer)
{
	struct mysql *my = n->state;
	struct rd *in = &n->in[LEG_CLIENT];
	struct wr *out = &n->out[LEG_SERVER];
	struct mysql_packet p;
	struct mysql_login l;
	size_t len, old, head;

	if (!mysql_login_held(n, &p, &l))
		return neg_end(n, REASON_INTERNAL, LEG_CLIENT,
		    "internal fault: no log-in is held", NULL);
	old = l.rest_at - l.answer_at;
	len = answer != NULL ? mysql_answer_len(&l, *answer) : old;
	if (len == 0)
		return mysql_protocol_error(n, LEG_CLIENT,
		    "client's password does not fit into its log-in");
	head = l.change_user ? 0 : MYSQL_LOGIN_HEAD_LEN;
	mysql_write_head(out, p.payload.left - old + len,
	    mysql_id_next(my, LEG_SERVER, my->held_shift));
	rd_skip(in, MYSQL_HEAD_LEN);
	if (!l.change_user)
		send_head(n);
	neg_forward(n, LEG_CLIENT, l.answer_at - head);
	if (answer != NULL) {
		mysql_answer_write(out, &l, *answer);
		rd_skip(in, old);
	} else {
		neg_forward(n, LEG_CLIENT, old);
	}
	neg_forward(n, LEG_CLIENT, p.payload.left - l.rest_at);
	my->held = false;
	my->at = my->changing ? MYSQL_AT_CHANGED : MYSQL_AT_AUTH;
	return neg_next();
}
