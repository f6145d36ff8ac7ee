// SPDX-License-Identifier: GPL-2.0
/*
 * dataways DIR
 *
 * Each way in which a program can change a file's bytes, one after the other,
 * on a mount: the log must have DIRTY first and CLOSE last, and a replica that
 * has followed these records and fetched just their ranges must have the same
 * bytes; and the ranges must not be much larger than what was changed. TAP.
 */
#include "tests/tools/kmlread.h"
#include "tests/unit/tap.h"

#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define SIZE	(256 * 1024)
#define PAGE	4096

static char path[4096], other[4096];
static u8 *noise;		/* SIZE bytes, page-aligned, no zero among them */

static int xopen(int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		err(1, "open %s %#x", path, flags);
	return fd;
}

static void want(long long got, long long wanted, const char *what)
{
	if (got != wanted)
		err(1, "%s: %lld instead of %lld", what, got, wanted);
}

static void w_write(void)
{
	int fd = xopen(O_RDWR);

	want(write(fd, noise, 1000), 1000, "write");
	close(fd);
}

static void w_pwrite(void)
{
	int fd = xopen(O_WRONLY);

	want(pwrite(fd, noise, 10, 5000), 10, "pwrite");
	want(pwrite(fd, noise, 10, 9000), 10, "pwrite");
	want(pwrite(fd, noise, 10, 100), 10, "pwrite");
	close(fd);
}

static void w_beyond(void)
{
	int fd = xopen(O_WRONLY);

	want(pwrite(fd, noise, 10, SIZE + 100000), 10, "pwrite");
	close(fd);
}

static void w_writev(void)
{
	struct iovec v[2] = { { noise, 100 }, { noise + 5000, 200 } };
	int fd = xopen(O_WRONLY);

	want(pwritev2(fd, v, 2, 70000, RWF_DSYNC), 300, "pwritev2");
	close(fd);
}

static void w_rwf_append(void)
{
	struct iovec v = { noise, 77 };
	int fd = xopen(O_WRONLY);

	want(pwritev2(fd, &v, 1, 0, RWF_APPEND), 77, "pwritev2");
	close(fd);
}

static void w_append(void)
{
	int fd = xopen(O_WRONLY | O_APPEND);

	want(write(fd, noise, 4321), 4321, "write");
	want(write(fd, noise, 4321), 4321, "write");
	close(fd);
}

static void w_setfl_append(void)
{
	int fd = xopen(O_WRONLY);

	want(fcntl(fd, F_SETFL, O_APPEND), 0, "F_SETFL");
	want(write(fd, noise, 55), 55, "write");
	close(fd);
}

static void w_osync(void)
{
	int fd = xopen(O_WRONLY | O_SYNC);

	want(pwrite(fd, noise, 3000, 3000), 3000, "pwrite");
	close(fd);
}

static void w_direct(void)
{
	int fd = xopen(O_WRONLY | O_DIRECT);

	want(pwrite(fd, noise, 8192, 16384), 8192, "pwrite");
	want(pwrite(fd, noise, 8192, SIZE), 8192, "pwrite");
	close(fd);
}

static void w_setfl_direct(void)
{
	int fd = xopen(O_WRONLY);

	want(fcntl(fd, F_SETFL, O_DIRECT), 0, "F_SETFL");
	want(pwrite(fd, noise, 4096, 4096), 4096, "pwrite");
	close(fd);
}

static void aio(int flags, u64 off, size_t len)
{
	int fd = xopen(O_WRONLY | flags);
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = fd,
		.aio_buf = (uintptr_t)noise,
		.aio_nbytes = len,
		.aio_offset = off,
	}, *cbs = &cb;
	struct io_event ev;
	aio_context_t ctx = 0;

	want(syscall(SYS_io_setup, 4, &ctx), 0, "io_setup");
	want(syscall(SYS_io_submit, ctx, 1, &cbs), 1, "io_submit");
	close(fd);	/* the request keeps the file */
	want(syscall(SYS_io_getevents, ctx, 1, 1, &ev, NULL), 1,
	     "io_getevents");
	want(ev.res, len, "asynchronous write");
	syscall(SYS_io_destroy, ctx);
}

static void w_aio(void)
{
	aio(0, 12345, 1000);
}

static void w_aio_direct(void)
{
	aio(O_DIRECT, 32768, 8192);
}

static void w_aio_extend(void)
{
	aio(O_DIRECT, SIZE + 4096, 4096);
}

static void w_aio_dsync(void)
{
	aio(O_DIRECT | O_DSYNC, 65536, 4096);
}

static void uring(int flags, u64 off, size_t len)
{
	struct io_uring_params p = { 0 };
	int fd = xopen(O_WRONLY | flags);
	int ring = syscall(SYS_io_uring_setup, 4, &p);
	struct io_uring_sqe *sqe;
	u8 *sq, *cq;
	u32 head;

	if (ring < 0)
		err(1, "io_uring_setup");
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4,
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes +
		  p.cq_entries * sizeof(struct io_uring_cqe),
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqe = mmap(NULL, p.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE,
		   MAP_SHARED, ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqe == MAP_FAILED)
		err(1, "mapping the ring");
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_WRITE;
	sqe->fd = fd;
	sqe->off = off;
	sqe->addr = (uintptr_t)noise;
	sqe->len = len;
	((u32 *)(sq + p.sq_off.array))[0] = 0;
	__atomic_store_n((u32 *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	want(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS,
		     NULL, 0), 1, "io_uring_enter");
	head = __atomic_load_n((u32 *)(cq + p.cq_off.tail), __ATOMIC_ACQUIRE);
	want(head, 1, "completions");
	want(((struct io_uring_cqe *)(cq + p.cq_off.cqes))[0].res, len,
	     "io_uring write");
	close(ring);
	close(fd);
	munmap(sq, p.sq_off.array + p.sq_entries * 4);
	munmap(cq, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe));
	munmap(sqe, p.sq_entries * sizeof(*sqe));
}

static void w_uring(void)
{
	uring(0, 777, 3333);
}

static void w_uring_direct(void)
{
	uring(O_DIRECT, 8192, 4096);
}

static u8 *map(int fd, int prot)
{
	u8 *m = mmap(NULL, SIZE, prot, MAP_SHARED, fd, 0);

	if (m == MAP_FAILED)
		err(1, "mmap");
	return m;
}

static void w_mmap(void)
{
	int fd = xopen(O_RDWR);
	u8 *m = map(fd, PROT_READ | PROT_WRITE);

	m[10] ^= 1;
	m[5 * PAGE + 7] ^= 1;
	munmap(m, SIZE);
	close(fd);
}

/*
 * In a file that one write has made, and by stores that no load precedes: the
 * first fault may make all of a large folio writable.
 */
static void w_mmap_whole(void)
{
	int fd = xopen(O_RDWR);
	volatile u8 *m = map(fd, PROT_READ | PROT_WRITE);

	m[10] = 0;
	m[5 * PAGE + 7] = 0;
	munmap((void *)m, SIZE);
	close(fd);
}

static void w_mmap_closed(void)
{
	int fd = xopen(O_RDWR);
	u8 *m = map(fd, PROT_READ | PROT_WRITE);

	close(fd);
	m[3 * PAGE] ^= 1;
	munmap(m, SIZE);
}

static void w_mprotect(void)
{
	int fd = xopen(O_RDWR);
	u8 *m = map(fd, PROT_READ);

	close(fd);
	want(m[7 * PAGE] != 0, 1, "read");
	want(mprotect(m, SIZE, PROT_READ | PROT_WRITE), 0, "mprotect");
	m[7 * PAGE] ^= 1;
	munmap(m, SIZE);
}

static void w_msync(void)
{
	int fd = xopen(O_RDWR);
	u8 *m = map(fd, PROT_READ | PROT_WRITE);

	m[PAGE] ^= 1;
	want(msync(m, SIZE, MS_SYNC), 0, "msync");
	m[2 * PAGE] ^= 1;
	m[PAGE + 1] ^= 1;
	munmap(m, SIZE);
	close(fd);
}

static void w_mremap(void)
{
	int fd = xopen(O_RDWR);
	u8 *m = map(fd, PROT_READ | PROT_WRITE);

	close(fd);
	m = mremap(m, SIZE, PAGE, MREMAP_MAYMOVE);
	m = mremap(m, PAGE, SIZE, MREMAP_MAYMOVE);
	if (m == MAP_FAILED)
		err(1, "mremap");
	m[9 * PAGE] ^= 1;
	munmap(m + 3 * PAGE, PAGE);
	m[4 * PAGE] ^= 1;
	munmap(m, SIZE);
}

static void w_fork_mmap(void)
{
	int fd = xopen(O_RDWR), status;
	u8 *m = map(fd, PROT_READ | PROT_WRITE);

	close(fd);
	if (!fork()) {
		m[11 * PAGE] ^= 1;
		_exit(0);
	}
	munmap(m, SIZE);
	wait(&status);
	want(status, 0, "child");
}

static void w_remove(void)
{
	int fd = xopen(O_RDWR);
	u8 *m = map(fd, PROT_READ | PROT_WRITE);

	want(madvise(m + 4 * PAGE, 2 * PAGE, MADV_REMOVE), 0, "MADV_REMOVE");
	munmap(m, SIZE);
	close(fd);
}

static void w_mmap_cut(void)
{
	int fd = xopen(O_RDWR);
	u8 *m = map(fd, PROT_READ | PROT_WRITE);

	/* the page that holds the end stays writable over all of this */
	m[100] ^= 1;
	want(ftruncate(fd, 50), 0, "ftruncate");
	want(ftruncate(fd, 3000), 0, "ftruncate");
	m[2000] = 7;
	munmap(m, SIZE);
	close(fd);
}

static void w_truncate(void)
{
	want(truncate(path, 1000), 0, "truncate");
}

static void w_ftruncate(void)
{
	int fd = xopen(O_RDWR);

	want(pwrite(fd, noise, 5000, 1000), 5000, "pwrite");
	want(ftruncate(fd, 2000), 0, "ftruncate");
	want(ftruncate(fd, 50000), 0, "ftruncate");
	want(pwrite(fd, noise, 10, 40000), 10, "pwrite");
	close(fd);
}

static void w_grow(void)
{
	want(truncate(path, SIZE * 3), 0, "truncate");
}

static void w_otrunc(void)
{
	int fd = xopen(O_WRONLY | O_TRUNC);

	close(fd);
}

static void w_rewrite(void)
{
	int fd = xopen(O_WRONLY | O_TRUNC);

	want(write(fd, noise + 100, 300), 300, "write");
	close(fd);
}

static void falloc(int mode, off_t off, off_t len)
{
	int fd = xopen(O_RDWR);

	want(fallocate(fd, mode, off, len), 0, "fallocate");
	close(fd);
}

static void w_allocate(void)
{
	falloc(0, SIZE, 100000);
}

static void w_keep(void)
{
	falloc(FALLOC_FL_KEEP_SIZE, SIZE, 100000);
}

static void w_punch(void)
{
	falloc(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10000, 20000);
}

static void w_zero(void)
{
	falloc(FALLOC_FL_ZERO_RANGE, 10001, 20000);
}

static void w_zero_grow(void)
{
	falloc(FALLOC_FL_ZERO_RANGE, SIZE - 10, 20000);
}

static void w_collapse(void)
{
	falloc(FALLOC_FL_COLLAPSE_RANGE, 8192, 16384);
}

static void w_insert(void)
{
	falloc(FALLOC_FL_INSERT_RANGE, 8192, 16384);
}

static void w_copy(void)
{
	int fd = xopen(O_RDWR), in = open(other, O_RDONLY);
	loff_t from = 100, to = 60000;

	want(copy_file_range(in, &from, fd, &to, 3000, 0), 3000,
	     "copy_file_range");
	from = 0;
	to = 200000;
	want(copy_file_range(fd, &from, fd, &to, 3000, 0), 3000,
	     "copy_file_range");
	close(in);
	close(fd);
}

static void w_sendfile(void)
{
	int fd = xopen(O_RDWR), in = open(other, O_RDONLY);

	want(lseek(fd, 3333, SEEK_SET), 3333, "lseek");
	want(sendfile(fd, in, NULL, 5000), 5000, "sendfile");
	close(in);
	close(fd);
}

static void w_splice(void)
{
	int fd = xopen(O_RDWR), p[2];
	loff_t off = 77777;

	want(pipe(p), 0, "pipe");
	want(write(p[1], noise, 6000), 6000, "pipe");
	want(splice(p[0], NULL, fd, &off, 1 << 20, 0), 6000, "splice");
	close(p[0]);
	close(p[1]);
	close(fd);
}

static void w_two(void)
{
	int a = xopen(O_RDWR), b = xopen(O_WRONLY);

	want(pwrite(a, noise, 10, 0), 10, "pwrite");
	close(a);
	want(pwrite(b, noise, 10, 100), 10, "pwrite");
	close(b);
}

static void w_exit(void)
{
	int status;

	if (!fork()) {
		int fd = xopen(O_RDWR);
		u8 *m = map(fd, PROT_READ | PROT_WRITE);

		m[0] ^= 1;
		want(pwrite(fd, noise, 10, 100000), 10, "pwrite");
		kill(getpid(), 9);
	}
	wait(&status);
}

static void w_many(void)
{
	int fd = xopen(O_RDWR), i;

	for (i = 0; i < 6000; i++)
		want(pwrite(fd, noise, 1, i * 40), 1, "pwrite");
	close(fd);
}

static void w_efault(void)
{
	u8 *m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = xopen(O_RDWR);

	memset(m, 7, PAGE);
	munmap(m + PAGE, PAGE);
	if (pwrite(fd, m + PAGE - 100, 200, 50) == 200)
		errx(1, "a write from nowhere");
	munmap(m, PAGE);
	close(fd);
}

static void w_reader(void)
{
	/* a mapping of a reader and a private one are no writers */
	int fd = xopen(O_RDONLY), rw = xopen(O_RDWR);
	u8 *m = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	u8 *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, rw, 0);

	want(m != MAP_FAILED && p != MAP_FAILED, 1, "mmap");
	p[0] ^= 1;
	want(pwrite(rw, noise, 1, 5), 1, "pwrite");
	want(m[5], noise[0], "a mapping sees a write");
	close(rw);
	munmap(p, SIZE);
	close(fd);
	munmap(m, SIZE);
}

static const struct way {
	const char *name;
	void (*fn)(void);
	u64 bytes;		/* at most in ranges */
	const char *ops;	/* if fixed */
} ways[] = {
	{ "write", w_write, 1000, "DIRTY CLOSE" },
	{ "pwrite, not in order", w_pwrite, 30, "DIRTY CLOSE" },
	{ "pwrite beyond the end", w_beyond, 10, "DIRTY CLOSE" },
	{ "pwritev2 with RWF_DSYNC", w_writev, 300, "DIRTY CLOSE" },
	{ "pwritev2 with RWF_APPEND", w_rwf_append, 77, "DIRTY CLOSE" },
	{ "O_APPEND", w_append, 8642, "DIRTY CLOSE" },
	{ "O_APPEND by fcntl", w_setfl_append, 55, "DIRTY CLOSE" },
	{ "O_SYNC", w_osync, 3000, "DIRTY CLOSE" },
	{ "O_DIRECT", w_direct, 16384, "DIRTY CLOSE" },
	{ "O_DIRECT by fcntl", w_setfl_direct, 4096, "DIRTY CLOSE" },
	{ "aio", w_aio, 1000, "DIRTY CLOSE" },
	{ "aio, O_DIRECT", w_aio_direct, 8192, "DIRTY CLOSE" },
	{ "aio, O_DIRECT, beyond the end", w_aio_extend, 4096, "DIRTY CLOSE" },
	{ "aio, O_DSYNC", w_aio_dsync, 4096, "DIRTY CLOSE" },
	{ "io_uring", w_uring, 3333, "DIRTY CLOSE" },
	{ "io_uring, O_DIRECT", w_uring_direct, 4096, "DIRTY CLOSE" },
	{ "mmap", w_mmap, 2 * PAGE, "DIRTY CLOSE" },
	{ "mmap of what was written at once", w_mmap_whole, SIZE, "DIRTY CLOSE" },
	{ "mmap, file closed", w_mmap_closed, PAGE, "DIRTY CLOSE" },
	{ "mmap, mprotect", w_mprotect, PAGE, "DIRTY CLOSE" },
	{ "mmap, msync", w_msync, 4 * PAGE, "DIRTY SYNC|STILL CLOSE" },
	{ "mmap, mremap, split", w_mremap, 2 * PAGE, "DIRTY CLOSE" },
	{ "mmap, fork", w_fork_mmap, PAGE, "DIRTY CLOSE" },
	{ "madvise MADV_REMOVE", w_remove, 2 * PAGE, "DIRTY CLOSE" },
	{ "mmap around truncation", w_mmap_cut, PAGE, "DIRTY CLOSE" },
	{ "truncate", w_truncate, 0, "DIRTY CLOSE" },
	{ "truncate to grow", w_grow, 0, "DIRTY CLOSE" },
	{ "ftruncate among writes", w_ftruncate, 1010, "DIRTY CLOSE" },
	{ "O_TRUNC", w_otrunc, 0, "DIRTY CLOSE" },
	{ "O_TRUNC and write", w_rewrite, 300, "DIRTY CLOSE" },
	{ "fallocate", w_allocate, 0, "DIRTY CLOSE" },
	{ "fallocate, size kept", w_keep, 0, "DIRTY CLOSE" },
	{ "punch hole", w_punch, 20000, "DIRTY CLOSE" },
	{ "zero range", w_zero, 20000, "DIRTY CLOSE" },
	{ "zero range, growing", w_zero_grow, 20000, "DIRTY CLOSE" },
	{ "collapse range", w_collapse, SIZE, "DIRTY CLOSE" },
	{ "insert range", w_insert, SIZE + 16384, "DIRTY CLOSE" },
	{ "copy_file_range", w_copy, 6000, "DIRTY CLOSE" },
	{ "sendfile", w_sendfile, 5000, "DIRTY CLOSE" },
	{ "splice", w_splice, 6000, "DIRTY CLOSE" },
	{ "two writers", w_two, 20, "DIRTY CLOSE" },
	{ "a killed process", w_exit, PAGE + 10, "DIRTY CLOSE" },
	{ "more ranges than there is room", w_many, SIZE, "DIRTY CLOSE" },
	{ "a write that fails in the middle", w_efault, 200, "DIRTY CLOSE" },
	{ "beside readers' mappings", w_reader, 1, "DIRTY CLOSE" },
};

static void fill(const char *name, int shift)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		err(1, "create %s", name);
	want(pwrite(fd, noise + shift, SIZE - shift, 0), SIZE - shift, "write");
	want(pwrite(fd, noise, shift, SIZE - shift), shift, "write");
	close(fd);
}

static void way(struct kml *k, const struct way *w)
{
	struct image copy = { 0 }, now = { 0 };
	struct story s;
	u64 from, to;
	long long at;
	int fd;

	unlink(path);
	fill(path, w->fn == w_mmap_whole ? 0 : 1111);
	fd = xopen(O_RDONLY);
	story_of(&s, fd);
	image_read(&copy, fd);
	from = kml_last(k);
	story_read(k, &s, from, &copy, &copy);
	story_of(&s, fd);

	w->fn();
	to = kml_last(k);
	image_read(&now, fd);
	if (to > from)
		story_read(k, &s, to, &copy, &now);
	at = image_diff(&copy, &now);
	ok(at < 0 && !strcmp(s.ops, w->ops) && s.bytes <= w->bytes &&
	   s.size == now.size && !s.unknown, "%s", w->name);
	if (at >= 0)
		diag("byte %lld has changed and no record says so", at);
	if (strcmp(s.ops, w->ops))
		diag("records: %s; wanted: %s", s.ops, w->ops);
	if (s.bytes > w->bytes)
		diag("%llu bytes in ranges, at most %llu were changed",
		     (unsigned long long)s.bytes,
		     (unsigned long long)w->bytes);
	close(fd);
	free(copy.data);
	free(now.data);
}

int main(int argc, char **argv)
{
	struct kml k;
	size_t i;

	if (argc != 2)
		errx(2, "usage: dataways DIR");
	setvbuf(stdout, NULL, _IOLBF, 0);
	noise = aligned_alloc(PAGE, SIZE);
	srand(1);
	for (i = 0; i < SIZE; i++)
		noise[i] = 1 + rand() % 255;
	snprintf(path, sizeof(path), "%s/file", argv[1]);
	snprintf(other, sizeof(other), "%s/other", argv[1]);
	fill(other, 333);
	kml_open(&k, argv[1]);
	for (i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		way(&k, &ways[i]);
	return tap_done();
}
