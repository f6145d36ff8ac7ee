// SPDX-License-Identifier: GPL-2.0
/*
 * posix-data DIR
 *
 * Data: limits and errors of reading and writing, append, O_DIRECT, AIO and
 * io_uring, fallocate in all modes, holes and extents, copies and clones,
 * splice, mappings against truncation, descriptors reopened.
 *
 * links: tests/tools/posix/report.c tests/tools/posix/uring.c
 */
#include "tests/tools/posix/report.h"
#include "tests/tools/posix/uring.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_OFF 0x7fffffffffffffffll

static char *buf;	/* 1 MiB, page-aligned, not zero */
static int fd, fd2;
/* the compiler would know them */
static char *volatile nowhere;
static volatile int negative = -1, many = 2000;

static void fresh(const char *path, size_t size)
{
	unlink(path);
	fd = open(path, O_CREAT | O_RDWR, 0644);
	if (write(fd, buf, size) != (ssize_t)size)
		rep_say("cannot write %zu: %s", size, rep_errno(errno));
	lseek(fd, 0, SEEK_SET);
}

static void shape(void)
{
	struct stat st;

	fstat(fd, &st);
	rep_say("size %lld blocks %s", (long long)st.st_size,
		st.st_blocks ? "some" : "none");
}

/* Reading and writing ---------------------------------------------------- */

static void offsets(void)
{
	static const long long at[] = {
		-1, 0, 1, 4095, 4096, 9999, 10000, 10001, 1ll << 31,
		1ll << 40, (1ll << 44) - 4097, (1ll << 44) - 4096,
		(1ll << 44) - 1, 1ll << 44, MAX_OFF - 1, MAX_OFF,
	};
	struct iovec v[3] = { { buf, 10 }, { buf, 0 }, { buf + 20, 10 } };
	size_t i;

	rep_part("offsets");
	for (i = 0; i < N(at); i++) {
		long long o = at[i];

		fresh("f", 10000);
		rep_say("at %lld", o);
		TV(pread(fd, buf + 8192, 100, o));
		TV(pwrite(fd, buf, 100, o));
		shape();
		TV(pwrite(fd, buf, 0, o));
		TV(preadv(fd, v, 3, o));
		TV(preadv2(fd, v, 3, o, RWF_NOWAIT) >= -1);
		TV(pwritev2(fd, v, 3, o, RWF_DSYNC));
		TV(pwritev2(fd, v, 3, o, RWF_APPEND));
		TV(pwritev2(fd, v, 3, o, 0x40000000));
		shape();
		TV(lseek(fd, o, SEEK_SET));
		TV(read(fd, buf + 8192, 10));
		TV(lseek(fd, o, SEEK_CUR));
		TV(lseek(fd, o, SEEK_END));
		T(ftruncate(fd, o));
		shape();
		T(truncate("f", o));
		T(posix_fallocate(fd, o, 1));
		T(sync_file_range(fd, o, 10, SYNC_FILE_RANGE_WRITE));
		T(posix_fadvise(fd, o, 10, POSIX_FADV_WILLNEED));
		T(readahead(fd, o, 10));
		close(fd);
	}
	fresh("f", 10000);
	TV(write(fd, nowhere, 10));
	TV(write(fd, buf, 0));
	TV(read(fd, nowhere, 10));
	TV(pwritev(fd, v, negative, 0));
	TV(pwritev(fd, v, many, 0));
	v[1].iov_len = -1;
	TV(pwritev(fd, v, 3, 0));
	TV(lseek(fd, 5, 77));
	TV(ioctl(fd, FIONREAD, &(int){ 0 }));
	TV(ioctl(fd, FIGETBSZ, &(int){ 0 }));
	TV(ioctl(fd, FIBMAP, &(int){ 0 }));
	TV(ioctl(fd, FIBMAP, &(int){ 1000 }));
	TV(ioctl(fd, 0x5401, buf));
	TV(isatty(fd));
	close(fd);
}

static void modes(void)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR, O_PATH,
				     O_WRONLY | O_APPEND };
	size_t i;

	rep_part("modes of opening");
	fresh("g", 5000);
	fd2 = fd;
	fresh("f", 10000);
	close(fd);
	for (i = 0; i < N(flags); i++) {
		rep_say("flags %x", flags[i]);
		fd = open("f", flags[i]);
		TV(read(fd, buf + 8192, 3));
		TV(write(fd, buf, 3));
		TV(pwrite(fd, buf, 3, 1));
		shape();
		T(ftruncate(fd, 9000));
		T(fallocate(fd, 0, 0, 100));
		T(fsync(fd));
		T(fdatasync(fd));
		T(syncfs(fd));
		TV(lseek(fd, 0, SEEK_CUR));
		T(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
		T(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0));
		T(mmap(NULL, 4096, PROT_WRITE, MAP_PRIVATE, fd, 0));
		T(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
		/* refused before or after the descriptor is looked at */
		if ((flags[i] & O_ACCMODE) != O_WRONLY)
			T(mmap(NULL, 4096, PROT_READ,
			       MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
		T(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 100));
		T(mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0));
		TV(copy_file_range(fd, &(off_t){ 0 }, fd2, NULL, 10, 0));
		TV(copy_file_range(fd2, &(off_t){ 0 }, fd, NULL, 10, 0));
		TV(sendfile(fd2, fd, &(off_t){ 0 }, 10));
		TV(sendfile(fd, fd2, &(off_t){ 0 }, 10));
		TV(sync_file_range(fd, 0, 0, 7));
		TV(readahead(fd, 0, 10));
		TV(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
		TV(posix_fadvise(fd, 0, 0, 99));
		TV(fcntl(fd, F_GETFL) & ~O_LARGEFILE);
		TV(fcntl(fd, F_SETFL, O_DIRECT | O_APPEND | O_NONBLOCK));
		TV(fcntl(fd, F_GETFL) & ~O_LARGEFILE);
		TV(pwrite(fd, buf, 4096, 4096));
		shape();
		TV(fcntl(fd, F_SETFL, 0));
		TV(pwrite(fd, buf, 3, 0));
		T(fcntl(fd, F_SETLEASE, F_UNLCK));
		T(ioctl(fd, FICLONE, fd2));
		T(ioctl(fd2, FICLONE, fd));
		T(fchmod(fd, 0644));
		T(ioctl(fd, FS_IOC_GETFLAGS, &(int){ 0 }));
		close(fd);
	}
	close(fd2);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	TV(read(fd, buf, 10));
	TV(write(fd, buf, 10));
	T(ftruncate(fd, 0));
	T(fallocate(fd, 0, 0, 10));
	T(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	T(fsync(fd));
	T(readahead(fd, 0, 10));
	T(posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL));
	T(lseek(fd, 0, SEEK_DATA));
	T(lseek(fd, -1, SEEK_SET));
	T(ioctl(fd, FICLONE, fd));
	T(ioctl(fd, FIBMAP, &(int){ 0 }));
	T(fcntl(fd, F_SETFL, O_DIRECT));
	T(fcntl(fd, F_SETFL, O_NONBLOCK));
	close(fd);
}

/* The limit holds for nothing but the call: not for what is printed. */
static void limit(rlim_t max)
{
	struct rlimit lim = { max, RLIM_INFINITY };
	int err = errno;

	setrlimit(RLIMIT_FSIZE, &lim);
	errno = err;
}

#define LIMITED(call) ({						\
	long r_;							\
									\
	limit(5000);							\
	r_ = (call);							\
	limit(RLIM_INFINITY);						\
	r_; })

static void limits(void)
{
	int direct;

	rep_part("limit of file size");
	fresh("f", 4000);
	direct = open("f", O_RDWR | O_DIRECT);
	fchmod(fd, 06777);
	if (rep_fork(4000, 4000)) {
		signal(SIGXFSZ, SIG_IGN);
#define L(call) TC("f", LIMITED(call))
		L(pwrite(fd, buf, 10, 5000));
		L(fallocate(fd, 0, 0, 6000));
		L(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 6000));
		L(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 6000));
		L(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096));
		L(ftruncate(fd, 5001));
		L(pwrite(fd, buf, 0, 6000));
		L(pwrite(direct, buf, 4096, 8192));
		L(pwritev2(fd, &(struct iovec){ buf, 10 }, 1, 0, RWF_APPEND));
		L(pwrite(fd, buf, 10, 4995));
		L(pwrite(fd, buf, 2000, 4000));
		L(pwrite(direct, buf, 4096, 4096));
		L(ftruncate(fd, 5000));
		L(copy_file_range(fd, &(off_t){ 0 }, fd, &(off_t){ 4990 }, 100,
				  0));
		L(copy_file_range(fd, &(off_t){ 0 }, fd, &(off_t){ 5000 }, 100,
				  0));
#undef L
		shape();
		rep_leave();
	}
	rep_join();
	rep_stat("f");
	if (rep_fork(4000, 4000)) {
		T(LIMITED(pwrite(fd, buf, 1, 6000)));
		rep_leave();
	}
	rep_join();		/* it ends badly, by SIGXFSZ */
	rep_stat("f");
	close(direct);
	close(fd);
}

static void append(void)
{
	int a, b;

	rep_part("append");
	fresh("f", 10);
	a = open("f", O_WRONLY | O_APPEND);
	b = open("f", O_RDWR | O_APPEND | O_DIRECT);
	TV(pwrite(a, "abc", 3, 0));
	TV(lseek(a, 0, SEEK_CUR));
	TV(write(a, "abc", 3));
	TV(lseek(a, 0, SEEK_CUR));
	TV(write(b, buf, 512));
	T(ftruncate(a, 5));
	TV(write(a, "abc", 3));
	TV(splice(0, NULL, a, NULL, 1, 0));
	TV(sendfile(a, fd, &(off_t){ 0 }, 4));
	TV(copy_file_range(fd, &(off_t){ 0 }, a, NULL, 4, 0));
	T(fcntl(a, F_SETFL, 0));
	TV(pwrite(a, "zz", 2, 1));
	T(fcntl(a, F_SETFL, O_APPEND));
	TV(pwrite(a, "zz", 2, 1));
	T(fallocate(a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4));
	rep_content("f");
	close(a);
	close(b);
	close(fd);
}

static void direct(void)
{
	static const int at[] = { 0, 1, 511, 512, 4096, 8192, 12288, 12800 };
	static const int lens[] = { 0, 1, 511, 512, 1024, 4096, 5000, 65536 };
	static const int mis[] = { 0, 1, 4, 512 };
	size_t i, j, k;
	int d;

	rep_part("O_DIRECT");
	fresh("f", 12500);
	d = open("f", O_RDWR | O_DIRECT);
	for (i = 0; i < N(at); i++)
		for (j = 0; j < N(lens); j++)
			for (k = 0; k < N(mis); k++) {
				rep_say("at %d len %d mis %d", at[i], lens[j],
					mis[k]);
				TV(pread(d, buf + 131072 + mis[k], lens[j],
					 at[i]));
				TV(pwrite(d, buf + mis[k], lens[j], at[i]));
			}
	shape();
	rep_content("f");
	T(fallocate(d, 0, 1 << 20, 8192));
	TV(pwrite(d, buf, 4096, 1 << 20));
	TV(pread(d, buf + 131072, 8192, 1 << 20));
	TV(pwrite(d, buf, 4096, 4 << 20));
	TV(pread(fd, buf + 131072, 4096, 4 << 20));
	rep_content("f");
	close(d);
	close(fd);
}

/* Space ------------------------------------------------------------------ */

static void spaces(void)
{
	static const int m[] = {
		0, 1, 2, 3, 4, 8, 9, 0x10, 0x11, 0x18, 0x20, 0x21, 0x28, 0x40,
		0x41, 0x80,
	};
	static const struct { long long off, len; } r[] = {
		{ 0, 0 }, { -1, 10 }, { 0, -1 }, { 0, 1 }, { 100, 5000 },
		{ 4096, 4096 }, { 0, 8192 }, { 8192, 40960 }, { 40960, 4096 },
		{ 12288, 65536 }, { 65536, 4096 }, { MAX_OFF, 1 },
		{ MAX_OFF - 1, 1 }, { 1ll << 44, 4096 }, { (1ll << 44) - 8192,
		4096 }, { 4096, 1ll << 45 },
	};
	size_t i, j;

	rep_part("fallocate");
	for (i = 0; i < N(m); i++)
		for (j = 0; j < N(r); j++) {
			/* 16 TiB need not be mapped, nor waited for */
			if (!(m[i] & ~3) && r[j].len > 1 << 30)
				continue;
			fresh("f", 50000);
			rep_say("mode %x %lld+%lld", m[i], r[j].off, r[j].len);
			T(fallocate(fd, m[i], r[j].off, r[j].len));
			shape();
			if (lseek(fd, 0, SEEK_END) < 1 << 20)
				rep_content("f");
			close(fd);
		}
}

static void holes(void)
{
	static const long long at[] = { -1, 0, 5, 4096, 65535, 65536, 70000,
					131072, 300000, 1 << 20, 2 << 20 };
	union {
		struct fiemap fm;
		char room[4096];
	} u;
	size_t i;

	rep_part("holes");
	fresh("f", 0);
	TV(pwrite(fd, buf, 4096, 65536));
	TV(pwrite(fd, buf, 10, 262144));
	T(ftruncate(fd, 1 << 20));
	for (i = 0; i < N(at); i++) {
		rep_say("from %lld", at[i]);
		TV(lseek(fd, at[i], SEEK_DATA));
		TV(lseek(fd, 0, SEEK_CUR));
		TV(lseek(fd, at[i], SEEK_HOLE));
		TV(lseek(fd, 0, SEEK_CUR));
	}
	T(fallocate(fd, FALLOC_FL_KEEP_SIZE, 524288, 65536));
	TV(lseek(fd, 300000, SEEK_DATA));
	T(fsync(fd));
	for (i = 0; i < 3; i++) {
		unsigned int e;

		memset(&u, 0, sizeof(u));
		u.fm.fm_length = i == 2 ? 70000 : ~0ull;
		u.fm.fm_flags = i ? FIEMAP_FLAG_SYNC : 0x1000;
		u.fm.fm_extent_count = 20;
		T(ioctl(fd, FS_IOC_FIEMAP, &u.fm));
		rep_say("flags %x, %u extents", u.fm.fm_flags,
			u.fm.fm_mapped_extents);
		for (e = 0; e < u.fm.fm_mapped_extents; e++)
			rep_say("%llu+%llu %x",
				u.fm.fm_extents[e].fe_logical,
				u.fm.fm_extents[e].fe_length,
				u.fm.fm_extents[e].fe_flags);
	}
	memset(&u, 0, sizeof(u));
	u.fm.fm_length = ~0ull;
	u.fm.fm_flags = FIEMAP_FLAG_XATTR;
	T(ioctl(fd, FS_IOC_FIEMAP, &u.fm));
	close(fd);
	fd = open(".", O_RDONLY);
	memset(&u, 0, sizeof(u));
	u.fm.fm_length = ~0ull;
	u.fm.fm_extent_count = 20;
	T(ioctl(fd, FS_IOC_FIEMAP, &u.fm));
	rep_say("%u extents", u.fm.fm_mapped_extents);
	close(fd);
}

static void copies(void)
{
	struct {
		struct file_dedupe_range r;
		struct file_dedupe_range_info i;
	} dd;
	struct file_clone_range cr;
	static const long long at[] = { -1, 0, 100, 4096, 50000, 60000,
					MAX_OFF };
	size_t i, j;
	int p[2], ro, ap;

	rep_part("copies");
	for (i = 0; i < N(at); i++)
		for (j = 0; j < N(at); j++) {
			off_t from = at[i], to = at[j];

			fresh("g", 20000);
			fd2 = fd;
			fresh("f", 50000);
			rep_say("from %lld to %lld", at[i], at[j]);
			TV(copy_file_range(fd, &from, fd2, &to, 3000, 0));
			rep_say("then %lld %lld", (long long)from,
				(long long)to);
			TV(copy_file_range(fd, &from, fd, &to, 3000, 0));
			TV(sendfile(fd2, fd, &from, 100));
			memset(&cr, 0, sizeof(cr));
			cr.src_fd = fd;
			cr.src_offset = at[i];
			cr.src_length = 4096;
			cr.dest_offset = at[j];
			T(ioctl(fd2, FICLONERANGE, &cr));
			memset(&dd, 0, sizeof(dd));
			dd.r.src_offset = at[i];
			dd.r.src_length = 4096;
			dd.r.dest_count = 1;
			dd.i.dest_fd = fd2;
			dd.i.dest_offset = at[j];
			T(ioctl(fd, FIDEDUPERANGE, &dd));
			rep_say("status %d %llu", dd.i.status,
				dd.i.bytes_deduped);
			rep_content("g");
			close(fd);
			close(fd2);
		}
	fresh("f", 50000);
	ro = open("f", O_RDONLY);
	ap = open("g", O_WRONLY | O_APPEND);
	fd2 = open("h", O_CREAT | O_RDWR, 0644);
	T(pipe(p));
	TV(copy_file_range(ro, NULL, fd2, NULL, 20, 1));
	TV(copy_file_range(ro, NULL, fd2, NULL, 0, 0));
	TV(copy_file_range(ro, NULL, p[1], NULL, 20, 0));
	TV(copy_file_range(fd2, NULL, ro, NULL, 20, 0));
	TV(copy_file_range(ro, NULL, ap, NULL, 20, 0));
	TV(copy_file_range(ro, NULL, fd2, NULL, 1 << 20, 0));
	TV(splice(ro, NULL, p[1], NULL, 5000, 0));
	TV(splice(p[0], NULL, fd2, NULL, 3000,
		  SPLICE_F_NONBLOCK));
	TV(splice(p[0], NULL, fd2, &(off_t){ 100000 }, 3000,
		  SPLICE_F_NONBLOCK));
	TV(splice(ro, &(off_t){ -1 }, p[1], NULL, 50, 0));
	TV(splice(ro, &(off_t){ 60000 }, p[1], NULL, 50, 0));
	TV(splice(ro, NULL, fd2, NULL, 50, 0));
	TV(write(p[1], "abcdef", 6));
	TV(splice(p[0], NULL, ap, NULL, 6,
		  SPLICE_F_NONBLOCK));
	TV(splice(p[0], NULL, ro, NULL, 6,
		  SPLICE_F_NONBLOCK));
	TV(splice(p[0], NULL, fd2, &(off_t){ MAX_OFF }, 6,
		  SPLICE_F_NONBLOCK));
	TV(splice(p[0], NULL, fd2, NULL, 6,
		  SPLICE_F_NONBLOCK));
	rep_content("h");
	TV(vmsplice(p[1], &(struct iovec){ buf, 4096 }, 1, 0));
	fcntl(fd2, F_SETFL, O_DIRECT);
	TV(splice(p[0], NULL, fd2, &(off_t){ 8192 }, 4096,
		  SPLICE_F_NONBLOCK));
	rep_content("h");
	close(ro);
	close(ap);
	close(fd);
	close(fd2);
}

/* Mappings --------------------------------------------------------------- */

static sigjmp_buf jump;

static void bus(int sig)
{
	siglongjmp(jump, sig);
}

static const char *touch(volatile char *at, bool write)
{
	int sig = sigsetjmp(jump, 1);

	if (!sig) {
		if (write)
			*at = 7;
		else
			(void)*at;
	}
	return sig == SIGBUS ? "SIGBUS" : sig ? "SIGSEGV" : "ok";
}

static void mappings(void)
{
	static const int kinds[] = { MAP_SHARED, MAP_PRIVATE };
	size_t i, j;
	char *map;

	rep_part("mappings");
	signal(SIGBUS, bus);
	signal(SIGSEGV, bus);
	for (i = 0; i < N(kinds); i++) {
		fresh("f", 10000);
		map = mmap(NULL, 32768, PROT_READ | PROT_WRITE, kinds[i], fd, 0);
		for (j = 0; j < 5; j++) {
			static const int sizes[] = { 10000, 4096, 0, 5000,
						     20000 };
			int o;

			T(ftruncate(fd, sizes[j]));
			for (o = 0; o < 32768; o += 4096) {
				rep_say("size %d at %d: read %s", sizes[j], o,
					touch(map + o, false));
				rep_say("write %s", touch(map + o + 1, true));
			}
			T(msync(map, 32768, MS_SYNC));
			T(msync(map, 32768, MS_ASYNC | MS_INVALIDATE));
			rep_content("f");
		}
		T(madvise(map, 4096, MADV_DONTNEED));
		T(madvise(map, 4096, MADV_REMOVE));
		T(madvise(map, 4096, MADV_POPULATE_WRITE));
		T(mprotect(map, 4096, PROT_READ));
		rep_say("write %s", touch(map, true));
		T(mremap(map, 32768, 65536, MREMAP_MAYMOVE) != MAP_FAILED);
		rep_content("f");
		T(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			    4096));
		rep_content("f");
		close(fd);
	}
	fresh("f", 10000);
	close(fd);
	fd = open("f", O_RDONLY);
	map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	T(mprotect(map, 4096, PROT_READ | PROT_WRITE));
	T(madvise(map, 4096, MADV_REMOVE));
	close(fd);
	fd = open("f", O_RDWR);
	map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	T(mprotect(map, 4096, PROT_READ | PROT_WRITE));
	rep_say("write %s", touch(map, true));
	T(unlink("f"));
	rep_say("write %s", touch(map + 1, true));
	T(msync(map, 8192, MS_SYNC));
	T(munmap(map, 8192));
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
}

/* AIO -------------------------------------------------------------------- */

static long aio(aio_context_t ctx, int op, int f, void *p, size_t len,
		long long off, int rw_flags)
{
	struct iovec v = { p, len };
	bool vec = op == IOCB_CMD_PREADV || op == IOCB_CMD_PWRITEV;
	struct iocb cb = {
		.aio_lio_opcode = op,
		.aio_fildes = f,
		.aio_buf = (uintptr_t)(vec ? (void *)&v : p),
		.aio_nbytes = vec ? 1 : len,
		.aio_offset = off,
		.aio_rw_flags = rw_flags,
	}, *list = &cb;
	struct io_event ev;
	long r = syscall(SYS_io_submit, ctx, 1, &list);

	if (r != 1)
		return r;
	if (syscall(SYS_io_getevents, ctx, 1, 1, &ev, NULL) != 1)
		return -1;
	if ((long long)ev.res < 0) {
		errno = -ev.res;
		return -1;
	}
	return ev.res;
}

static void libaio(void)
{
	aio_context_t ctx = 0;
	int f[3], i;

	rep_part("aio");
	fresh("f", 20000);
	f[0] = fd;
	f[1] = open("f", O_RDWR | O_DIRECT);
	f[2] = open("f", O_RDONLY);
	T(syscall(SYS_io_setup, 8, &ctx));
	for (i = 0; i < 3; i++) {
		rep_say("file %d", i);
		TV(aio(ctx, IOCB_CMD_PREAD, f[i], buf + 131072, 4096, 4096, 0));
		TV(aio(ctx, IOCB_CMD_PREAD, f[i], buf + 131072, 4096, 19000, 0));
		TV(aio(ctx, IOCB_CMD_PREAD, f[i], buf + 131072, 4096, -1, 0));
		TV(aio(ctx, IOCB_CMD_PREAD, f[i], NULL, 4096, 0, 0));
		TV(aio(ctx, IOCB_CMD_PWRITE, f[i], buf, 4096, 8192, 0));
		TV(aio(ctx, IOCB_CMD_PWRITE, f[i], buf, 4096, 65536, 0));
		TV(aio(ctx, IOCB_CMD_PWRITE, f[i], buf, 100, 1, 0));
		TV(aio(ctx, IOCB_CMD_PWRITE, f[i], buf, 4096, 0, RWF_DSYNC));
		TV(aio(ctx, IOCB_CMD_PWRITE, f[i], buf, 4096, 0, RWF_APPEND));
		TV(aio(ctx, IOCB_CMD_PWRITEV, f[i], buf, 8192, 4096, 0));
		TV(aio(ctx, IOCB_CMD_PREADV, f[i], buf + 131072, 8192, 0, 0));
		TV(aio(ctx, IOCB_CMD_FSYNC, f[i], NULL, 0, 0, 0));
		TV(aio(ctx, IOCB_CMD_FDSYNC, f[i], NULL, 0, 0, 0));
		TV(aio(ctx, 77, f[i], NULL, 0, 0, 0));
		rep_content("f");
	}
	syscall(SYS_io_destroy, ctx);
	for (i = 0; i < 3; i++)
		close(f[i]);
}

static void io_uring(void)
{
	int f[3], i;

	rep_part("io_uring");
	if (ring_open() < 0) {
		rep_say("none: %s", rep_errno(errno));
		return;
	}
	fresh("f", 20000);
	f[0] = fd;
	f[1] = open("f", O_RDWR | O_DIRECT);
	f[2] = open("f", O_RDONLY);
	for (i = 0; i < 3; i++) {
		rep_say("file %d", i);
		TV(ring_do(RING_READ, f[i], buf + 131072, 4096, 4096, 0));
		TV(ring_do(RING_READ, f[i], buf + 131072, 4096, 19000, 0));
		TV(ring_do(RING_READ, f[i], buf + 131072, 4096, 1 << 20, 0));
		TV(ring_do(RING_READ, f[i], NULL, 4096, 0, 0));
		TV(ring_do(RING_WRITE, f[i], buf, 4096, 8192, 0));
		TV(ring_do(RING_WRITE, f[i], buf, 4096, 65536, 0));
		TV(ring_do(RING_WRITE, f[i], buf, 100, 1, 0));
		TV(ring_do(RING_WRITE, f[i], buf, 4096, 0, RWF_DSYNC));
		TV(ring_do(RING_WRITE, f[i], buf, 4096, 0, RWF_APPEND));
		TV(ring_do(RING_WRITE, f[i], buf, 4096, MAX_OFF, 0));
		TV(ring_do(RING_FSYNC, f[i], NULL, 0, 0, 0));
		TV(ring_do(RING_FALLOCATE, f[i], (void *)8192, 0, 100000, 0));
		rep_content("f");
	}
	ring_close();
	for (i = 0; i < 3; i++)
		close(f[i]);
}

int main(int argc, char **argv)
{
	static void (*const parts[])(void) = {
		offsets, modes, limits, append, direct, spaces, holes, copies,
		mappings, libaio, io_uring,
	};
	size_t i;

	if (argc != 2) {
		fprintf(stderr, "usage: posix-data DIR\n");
		return 2;
	}
	buf = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < 1 << 20; i++)
		buf[i] = 'a' + i * 7 % 23 + i / 4096 % 3;
	rep_start(argv[1]);
	for (i = 0; i < N(parts); i++)
		parts[i]();
	return 0;
}
