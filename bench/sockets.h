/* sockets.h - blocking sockets on loopback, as the measuring programs use them
 */
#ifndef BENCH_SOCKETS_H
#define BENCH_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A listener on a port that was free, which is printed; -1: there is none. */
int listen_anywhere(void);

/* All of it, however often it takes; false: the peer is gone. */
bool send_all(int fd, const uint8_t *bytes, size_t len);

#endif /* BENCH_SOCKETS_H */
