/*
 * mysqlx_message.h - the few messages of the X protocol that we need to know
 *
 * Frames, the protobuf in them as far as that of capabilities and errors, and
 * nothing that decides anything.  Numbers and names are those of MySQL's
 * mysqlx.proto, mysqlx_connection.proto and mysqlx_notice.proto.
 *
 * What we do not know of a message is copied as it is; what cannot be read is
 * refused by whoever asked.  Nothing here nests deeper than the messages do.
 */
#ifndef PROTOCOLS_MYSQLX_MESSAGE_H
#define PROTOCOLS_MYSQLX_MESSAGE_H

#include "protocols/bytes.h"

/* A frame: length, which counts the type but not itself, type, and body. */
#define MYSQLX_LENGTH_LEN 4u
#define MYSQLX_TYPE_LEN   1u
#define MYSQLX_HEAD_LEN   (MYSQLX_LENGTH_LEN + MYSQLX_TYPE_LEN)
#define MYSQLX_LENGTH_MAX 16384u /* that we take; before log-in all are short */
#define MYSQLX_FRAME_MAX  (MYSQLX_LENGTH_LEN + MYSQLX_LENGTH_MAX)

/* ClientMessages.Type ... */
#define MYSQLX_CAPABILITIES_GET 1
#define MYSQLX_CAPABILITIES_SET 2
/* ... and ServerMessages.Type */
#define MYSQLX_OK           0
#define MYSQLX_ERROR        1
#define MYSQLX_CAPABILITIES 2
#define MYSQLX_NOTICE       11

struct mysqlx_frame {
	uint8_t type;
	struct rd body;
	size_t len; /* of all of it */
};

enum mysqlx_arrival {
	MYSQLX_PART = 0,
	MYSQLX_HEAD, /* of it is there: enough to know the type */
	MYSQLX_WHOLE,
	MYSQLX_BAD, /* its length is impossible */
};

enum mysqlx_arrival mysqlx_look(struct rd r, struct mysqlx_frame *f);

/* A list of capabilities, as somebody sent it. */
struct mysqlx_list {
	struct rd bytes;
	bool tls;        /* is among them */
	bool tls_true;   /* and has no other value than true */
	size_t rest_len; /* of all but tls */
};

/* The body of Capabilities, or of CapabilitiesSet; false if it is none. */
bool mysqlx_read_capabilities(struct rd body, struct mysqlx_list *list);
bool mysqlx_read_set(struct rd body, struct mysqlx_list *list);

/* What a server says of TLS: nothing if it has none. */
enum mysqlx_tls {
	MYSQLX_TLS_NONE = 0,
	MYSQLX_TLS_INACTIVE,
	MYSQLX_TLS_ACTIVE,
};

/* The frame Capabilities, of this list, but for its tls. */
void mysqlx_write_capabilities(struct wr *out, const struct mysqlx_list *list,
    enum mysqlx_tls tls);

/* What a server without TLS says of how a client may log in, and no more. */
extern const struct mysqlx_list mysqlx_mechanisms;

/* The frame CapabilitiesSet, of all but tls. */
void mysqlx_write_rest(struct wr *out, const struct mysqlx_list *list);

#define MYSQLX_ERROR_PARTS 4
struct mysqlx_error {
	bool fatal; /* the connection ends with it */
	uint16_t code;
	const char *sql_state;
	const char *parts[MYSQLX_ERROR_PARTS + 1]; /* of its text, then NULL */
};
void mysqlx_write_error(struct wr *out, const struct mysqlx_error *e);

void mysqlx_write_ok(struct wr *out);

/* Whole frames.  CapabilitiesSet of tls alone, by which TLS is asked for, and
 * the notice that a server begins with, Frame.Type.SERVER_HELLO. */
extern const struct rd mysqlx_set_tls;
extern const struct rd mysqlx_server_hello;

#endif /* PROTOCOLS_MYSQLX_MESSAGE_H */
