/*
 * leg_kernel.h - a leg whose socket seals and opens by itself (ktls.h)
 *
 * Part of the leg, and for leg.c alone.  A leg that has been told to,
 * by leg_settle(), gives its records to the kernel as soon as none is half
 * read, none waits to be sent and struct tls is at rest.  From then on `unsent`
 * holds plaintext; what is no application data comes out of the socket with
 * its type, and goes to struct tls, whose orders are carried out here.
 */
#ifndef PROXY_LEG_KERNEL_H
#define PROXY_LEG_KERNEL_H

#include "proxy/leg.h"

struct leg_kernel;

/* Gives the records to the kernel, if it is time.  Where that fails before
 * anything is changed, the leg goes on as before and does not try again. */
void leg_kernel_try(struct leg *leg);
/* How much may be received at once, so that it will be time. */
size_t leg_kernel_appetite(const struct leg *leg, size_t max);
void leg_kernel_free(struct leg *leg);

/* The rest is for a leg that has `kernel`. */

/* As leg_receive() has it. */
enum leg_result leg_kernel_receive(struct leg *leg, size_t max, struct rd *out,
    bool *more);
/* As send() has it. */
ssize_t leg_kernel_send(struct leg *leg, const uint8_t *bytes, size_t len);
/* After each of those that are one message: it may be time for a new key.
 * False: the leg failed. */
bool leg_kernel_sent(struct leg *leg) __attribute__((warn_unused_result));
/* The records that wait, of another type; they go ahead of `unsent`.  False:
 * the leg failed; true: if `owes` is set, it is to be tried once more when the
 * socket is writable. */
bool leg_kernel_flush(struct leg *leg) __attribute__((warn_unused_result));
/* close_notify, once `unsent` is empty: may FIN follow?  If later, leg_finish()
 * is called once more. */
enum leg_kernel_end {
	LEG_KERNEL_CLOSED = 0, /* it is with TCP, and all before it */
	LEG_KERNEL_LATER,
	LEG_KERNEL_FAILED, /* the leg has */
};
enum leg_kernel_end leg_kernel_close(struct leg *leg);
/* Has the kernel something that TCP has not? */
bool leg_kernel_holds(const struct leg *leg);

/* leg.c's, for here. */
bool leg_fail(struct leg *leg, int error);
bool leg_finish(struct leg *leg); /* false: the leg failed */
bool leg_is_dead(const struct leg *leg);

#endif /* PROXY_LEG_KERNEL_H */
