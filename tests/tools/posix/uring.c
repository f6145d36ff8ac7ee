// SPDX-License-Identifier: GPL-2.0
#include "tests/tools/posix/uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ring = -1;
static struct io_uring_params par;
static char *sq, *cq;
static struct io_uring_sqe *sqes;

static unsigned int *sq_at(unsigned int off)
{
	return (unsigned int *)(sq + off);
}

static unsigned int *cq_at(unsigned int off)
{
	return (unsigned int *)(cq + off);
}

int ring_open(void)
{
	size_t sq_len, cq_len;

	memset(&par, 0, sizeof(par));
	ring = syscall(SYS_io_uring_setup, 4, &par);
	if (ring < 0)
		return -1;
	sq_len = par.sq_off.array + par.sq_entries * sizeof(unsigned int);
	cq_len = par.cq_off.cqes + par.cq_entries * sizeof(struct io_uring_cqe);
	sq = mmap(NULL, sq_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		  IORING_OFF_SQ_RING);
	cq = mmap(NULL, cq_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		  IORING_OFF_CQ_RING);
	sqes = mmap(NULL, par.sq_entries * sizeof(*sqes),
		    PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	return sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED ?
		-1 : 0;
}

static const unsigned char codes[] = {
	[RING_READ] = IORING_OP_READ,
	[RING_WRITE] = IORING_OP_WRITE,
	[RING_FSYNC] = IORING_OP_FSYNC,
	[RING_FALLOCATE] = IORING_OP_FALLOCATE,
};

long ring_do(enum ring_op op, int fd, void *p, size_t len, long long off,
	     int rw_flags)
{
	unsigned int tail = *sq_at(par.sq_off.tail), head;
	unsigned int i = tail & *sq_at(par.sq_off.ring_mask);
	struct io_uring_cqe *cqe;

	memset(&sqes[i], 0, sizeof(sqes[i]));
	sqes[i].opcode = codes[op];
	sqes[i].fd = fd;
	sqes[i].addr = (uintptr_t)p;
	sqes[i].len = len;
	sqes[i].off = off;
	sqes[i].rw_flags = rw_flags;
	sq_at(par.sq_off.array)[i] = i;
	__atomic_store_n(sq_at(par.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) < 0)
		return -1;
	head = *cq_at(par.cq_off.head);
	if (head == __atomic_load_n(cq_at(par.cq_off.tail), __ATOMIC_ACQUIRE)) {
		errno = ENOMSG;
		return -1;
	}
	cqe = (struct io_uring_cqe *)(cq + par.cq_off.cqes) +
	      (head & *cq_at(par.cq_off.ring_mask));
	i = cqe->res;
	__atomic_store_n(cq_at(par.cq_off.head), head + 1, __ATOMIC_RELEASE);
	if ((int)i < 0) {
		errno = -(int)i;
		return -1;
	}
	return i;
}

void ring_close(void)
{
	close(ring);
}
