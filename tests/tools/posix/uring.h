/* SPDX-License-Identifier: GPL-2.0 */
/* io_uring without its library: one request at a time. */
#ifndef POSIX_URING_H
#define POSIX_URING_H

#include <stddef.h>

enum ring_op { RING_READ, RING_WRITE, RING_FSYNC, RING_FALLOCATE };

int ring_open(void);
/*
 * The result as a system call gives it. RING_FALLOCATE: p is the length, len
 * the mode.
 */
long ring_do(enum ring_op op, int fd, void *p, size_t len, long long off,
	     int rw_flags);
void ring_close(void);

#endif /* POSIX_URING_H */
