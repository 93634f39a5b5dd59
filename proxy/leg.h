/*
 * leg.h - a socket, its TLS, and what waits in both directions
 *
 * A session has two of these, the same struct twice.  Whoever reads or writes
 * a leg deals in plaintext; turning TLS on changes nothing for them.  All I/O
 * goes through buffers that the sessions of a thread share, so a leg at rest
 * owns no buffer: bytes are copied to its own memory only while they wait,
 * for a negotiator to read them or for a peer to take them.
 *
 * A leg tells its owner what happened and does nothing about it.  It never
 * frees itself, and may be closed from within any of its callbacks.
 */
#ifndef PROXY_LEG_H
#define PROXY_LEG_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "conf/address.h"
#include "protocols/bytes.h"
#include "protocols/reason.h"
#include "proxy/queue.h"
#include "proxy/tls.h"

/* What one recv() may bring: large, because each one costs a system call, and
 * shared, because memory per session would cost more. */
#define LEG_RAW_MAX (256 * 1024)
/* The records of one recv(), and one that was begun before it. */
#define LEG_PLAIN_MAX  (LEG_RAW_MAX + 2 * TLS_RECORD_MAX)
#define LEG_SEALED_MAX (TLS_SEALED_MAX(LEG_PLAIN_MAX) + TLS_FLIGHT_MAX)

/* What leg_prepend() may put in front of what has come. */
#define LEG_HEADROOM NEG_UNIT_MAX

/* Owned by a worker, used by one leg at a time within one callback. */
struct leg_buffers {
	uint8_t raw[LEG_HEADROOM + LEG_RAW_MAX];
	uint8_t plain[LEG_HEADROOM + LEG_PLAIN_MAX];
	uint8_t sealed[LEG_SEALED_MAX];
	/* The most busy_poll_us of the legs that had news since the worker's
	 * loop, which takes it back to 0, last looked. */
	unsigned busy_poll_us;
};

struct leg;

/* Each is called from the loop, or from leg_*() where that says so. */
struct leg_events {
	void (*readable)(struct leg *leg, void *arg);
	void (
	    *flushed)(struct leg *leg, void *arg);  /* nothing waits any more */
	void (*failed)(struct leg *leg, void *arg); /* while sending */
};

enum leg_state {
	LEG_CLOSED = 0,
	LEG_PLAIN,
	LEG_SECURING, /* a TLS handshake is under way */
	LEG_SECURED,
};

struct leg {
	enum leg_state state;
	int fd;
	int error;              /* errno of what failed; 0: TLS or memory */
	uint16_t busy_poll_us;  /* of its endpoint: set once it is open */
	bool reading : 1;       /* on_readable is armed */
	bool shut : 1;          /* our direction is over once unsent is empty */
	bool finished : 1;      /* ... and now it is: FIN has been sent */
	bool ended : 1;         /* the peer's direction is over, in order */
	bool owes : 1;          /* more of ours is on its way to the socket */
	bool kernel_wanted : 1; /* as soon as it can be: `kernel` */
	struct event_base *base;
	struct leg_buffers *buffers;
	struct tls *tls;
	struct event on_readable;
	struct event *on_writable; /* NULL: not wanted */
	struct queue early;        /* ciphertext that came before its reader */
	struct queue unsent;       /* for the socket */
	/* Its records are the kernel's, and `unsent` is plaintext: ktls.h. */
	struct leg_kernel *kernel;
	const struct leg_events *events;
	void *arg;
};

void leg_init(struct leg *leg); /* closed */
void leg_open(struct leg *leg, int fd, struct event_base *base,
    struct leg_buffers *buffers, const struct leg_events *events, void *arg);
/* Closes at once what is open; what was unsent is lost.  A leg with TLS sends
 * no close_notify by this, so it is not an orderly end. */
void leg_close(struct leg *leg);
/* The same with a reset, where an orderly end would be a lie. */
void leg_reset(struct leg *leg);

/* Whether `readable` is wanted. */
void leg_want_read(struct leg *leg, bool want);
/* `readable` comes once more, from the loop, whether there is something or not;
 * unless it is no longer wanted by then. */
void leg_remind(struct leg *leg);
/* Whether `flushed` is wanted although nothing waits here (a pipe does).  False
 * if memory is short: then it will not come. */
bool leg_want_write(struct leg *leg, bool want);

/* From now on the stream is TLS; `unread` came in the clear by mistake or
 * ahead of time, and is ciphertext.  Takes `tls`.  False if memory is short. */
bool leg_start_tls(struct leg *leg, struct tls *tls, struct rd unread)
    __attribute__((warn_unused_result));
/* TLS begins anew on a leg that has it: what there was is given up without an
 * alert, as if it had never been; but the server has to show the certificate
 * that it showed then.  Takes `tls`.  False if some of it has come and was not
 * read: that would be lost, or taken for the new handshake's. */
bool leg_renew_tls(struct leg *leg, struct tls *tls)
    __attribute__((warn_unused_result));
/* From now on it is in clear again, without an alert to say so: for a leg
 * whose TLS was begun with may_stop.  What came behind the last record that
 * was opened is what comes next. */
void leg_stop_tls(struct leg *leg);

/* The protocol has no more to change in its TLS: tls_settle().  What that takes
 * over may be given to the kernel besides, unless it matters where records
 * begin. */
void leg_settle(struct leg *leg, bool kernel);

enum leg_result {
	LEG_OK = 0,
	LEG_WAIT,      /* nothing now; `readable` will come */
	LEG_ENDED,     /* the peer ended its direction in order */
	LEG_TRUNCATED, /* it stopped without TLS's close_notify */
	LEG_FAILED,    /* leg_failure() says why */
};

/* Goes on with the handshake; LEG_OK: the leg is secured. */
enum leg_result leg_handshake(struct leg *leg);

/*
 * One recv() of at most `max` bytes, decrypted.  LEG_OK: `*out` is what came,
 * in the shared buffers: to be used before the next call on any leg.  It may
 * be empty (half a record).  `*more` says that the socket had at least as much
 * as was asked for.  With LEG_ENDED and LEG_TRUNCATED *out is what came before.
 */
enum leg_result leg_receive(struct leg *leg, size_t max, struct rd *out,
    bool *more);

/* What leg_receive() just gave, behind at most LEG_HEADROOM bytes that came
 * earlier: in one piece, and the many are not copied. */
struct rd leg_prepend(struct leg *leg, const uint8_t *bytes, size_t len,
    struct rd received);

/* Overwrites what leg_receive() gave, or leg_prepend(): a login may be there,
 * and the shared buffers outlive its session. */
void leg_forget(struct leg *leg, struct rd received);

/* Sends, after what waits already; what the socket does not take waits.
 * False: the leg failed. */
bool leg_send(struct leg *leg, const uint8_t *bytes, size_t len)
    __attribute__((warn_unused_result));
/* The same of whole units, each sealed as a record of its own (or as few as
 * hold it), and all sent together. */
bool leg_send_units(struct leg *leg, const struct neg_units *units,
    struct rd bytes) __attribute__((warn_unused_result));

/* Are its records the kernel's? */
static inline bool
leg_in_kernel(const struct leg *leg)
{
	return leg->kernel != NULL;
}

/* Ends our direction in order, once all has been sent: close_notify, FIN. */
bool leg_shutdown(struct leg *leg) __attribute__((warn_unused_result));

/* Does the peer owe us reading? */
static inline bool
leg_blocked(const struct leg *leg)
{
	return leg->unsent.len > 0 || leg->owes;
}

/* Bytes handed to the kernel that the peer has not acknowledged, and may
 * yet. */
size_t leg_in_flight(const struct leg *leg);

/* Our own address, which its peer has connected to; false: not known. */
bool leg_local_address(const struct leg *leg, struct address *local)
    __attribute__((warn_unused_result));

/* Why LEG_FAILED, or why `failed` came.  Text and hint live as long as the
 * leg; a reset and a keepalive that gave up are told by errno. */
struct leg_failure {
	int error; /* errno; 0: TLS failed, as `tls` says */
	struct tls_failure tls;
};
struct leg_failure leg_failure(const struct leg *leg);

#endif /* PROXY_LEG_H */
