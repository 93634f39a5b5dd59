/*
 * log.h - one event a line, key=value or JSON with the same keys
 *
 * A line is composed on the stack and written by one write(), so threads do
 * not mix.  Every line has time, event, level and generation.  Values from a
 * peer go through log_peer(), which escapes and cuts them; there is no call
 * that takes a secret.  Text values are quoted when they need it.
 *
 *	struct log_line l;
 *
 *	if (log_open(&l, LEVEL_INFO, "session.close")) {
 *		log_uint(&l, "session", s->id);
 *		log_text(&l, "reason", reason_name(s->reason));
 *		log_close(&l);
 *	}
 *
 * What is written is always printable ASCII.  In text, every other byte is
 * \xNN inside quotes; in JSON, UTF-8 is \uNNNN and what is no UTF-8 is \ufffd.
 * A field that finds no room is left out whole, and the line says cut=true.
 * Writing never waits for a reader that has stopped: lines that found no room
 * are counted, and reported by event log.lost once there is room again.
 */
#ifndef PROXY_LOG_H
#define PROXY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/config.h"
#include "conf/err.h"

#define LOG_LINE_MAX 4096
#define LOG_PEER_MAX 128 /* bytes of a value that a peer sent */

struct log_line {
	char text[LOG_LINE_MAX];
	size_t len;
	size_t field; /* where the field that is being written began */
	enum log_level level;
	bool json;
	bool over; /* that field has found no room */
	bool cut;  /* some field has found none */
};

/* Where lines go from now on; stderr, text and info until it is called.  On
 * failure everything stays as it was. */
int log_setup(const struct config *c, struct err *err)
    __attribute__((warn_unused_result));
/* SIGUSR1; safe in the loop, not in the handler.  A file that cannot be opened
 * anew is logged, to the one that is open. */
void log_reopen(void);
/* The file is root's, and is to be opened anew by somebody else one day: it is
 * given to them.  What is no file, or somebody's already, stays as it is. */
void log_give(uid_t uid);
void log_generation(unsigned generation);

/* False, and nothing to close, if the level is off. */
bool log_open(struct log_line *l, enum log_level level, const char *event);
/* A value of NULL writes no field. */
void log_text(struct log_line *l, const char *key, const char *value);
void log_peer(struct log_line *l, const char *key, const void *value,
    size_t len);
void log_uint(struct log_line *l, const char *key, uint64_t value);
void log_seconds(struct log_line *l, const char *key, double seconds);
void log_hex(struct log_line *l, const char *key, const uint8_t *bytes,
    size_t n);
void log_address(struct log_line *l, const char *key, const struct address *a);
/* endpoint=NAME and its labels, each as label.NAME=VALUE. */
void log_endpoint(struct log_line *l, const struct endpoint *e);
void log_close(struct log_line *l);

/* For what is about no session: event, endpoint or NULL, and one text, which
 * becomes the field `detail`. */
void log_event(enum log_level level, const char *event,
    const struct endpoint *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif /* PROXY_LOG_H */
