/*
 * mysql_login.h - what a MySQL client says of itself
 *
 *	SSLRequest            capabilities[4] max[4] charset[1] zero[19] more[4]
 *	HandshakeResponse41   the same, then user\0 answer database\0 plugin\0
 *	                      attributes, and whatever comes later
 *	COM_CHANGE_USER       11 user\0 answer database\0 charset[2] plugin\0
 *	                      attributes
 *
 * The answer is the first that the client gives to the server's nonce; it is
 * all that may ever have to be changed, so these are split into what stands
 * before it, the answer, and the rest, which is not looked at but for names.
 */
#ifndef PROTOCOLS_MYSQL_LOGIN_H
#define PROTOCOLS_MYSQL_LOGIN_H

#include "protocols/mysql_packet.h"

#define MYSQL_LOGIN_HEAD_LEN  32u
#define MYSQL_SSL_REQUEST_LEN (MYSQL_HEAD_LEN + MYSQL_LOGIN_HEAD_LEN)
#define MYSQL_SSL_REQUEST_MIN 4u /* MySQL takes the capabilities alone */

#define MYSQL_COM_CHANGE_USER 0x11u

struct mysql_head {
	uint32_t caps;
	uint32_t max_packet;
	uint8_t charset;
	uint32_t more; /* MariaDB's; filler otherwise */
};

/* Cut if it is shorter: then what is there has been read. */
void mysql_head_read(struct rd *r, struct mysql_head *h);

/* A whole packet.  `more` is for MariaDB only. */
void mysql_ssl_request_write(struct wr *w, uint8_t id,
    const struct mysql_head *h);

/* Is it such a packet, and nothing that could be more than that? */
bool mysql_ssl_request_is(struct rd packet, bool mariadb);

/* How the length of the answer is told. */
enum mysql_answer_form {
	MYSQL_ANSWER_NUL = 0,
	MYSQL_ANSWER_BYTE,
	MYSQL_ANSWER_LENENC,
};

struct mysql_login {
	bool change_user;
	enum mysql_answer_form form;
	struct rd user;
	struct rd answer;
	struct rd database; /* empty, as what follows, if it is not there */
	struct rd plugin;
	struct rd attributes; /* pairs */
	struct rd rest;       /* all that comes after the answer */

	size_t answer_at; /* in the payload, with what tells its length */
	size_t rest_at;
};

/*
 * False if it does not come as far as its answer, or that cannot be told.
 *
 * What a client announced and the server did not offer some clients leave out,
 * and some do not; where the server's leg is in clear its offer may be that of
 * anyone.  So of the fields that may be missing each may be another.
 */
bool mysql_login_read(struct rd payload, uint32_t caps, uint32_t server_caps,
    struct mysql_login *l);
bool mysql_change_user_read(struct rd payload, uint32_t caps,
    struct mysql_login *l);

/* The value of an attribute, empty if there is none of that name. */
struct rd mysql_attribute(struct rd attributes, const char *name);

/* An answer in the form of this log-in; 0: it does not fit that. */
size_t mysql_answer_len(const struct mysql_login *l, struct rd answer);
void mysql_answer_write(struct wr *w, const struct mysql_login *l,
    struct rd answer);

#endif /* PROTOCOLS_MYSQL_LOGIN_H */
