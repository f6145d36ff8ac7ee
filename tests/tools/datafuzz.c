// SPDX-License-Identifier: GPL-2.0
/*
 * datafuzz DIR SEED SECONDS [BASE]
 *
 * Random changes to one file by all interfaces at once (descriptors with and
 * without O_DIRECT and O_APPEND, mappings that stay, AIO, splice, fallocate,
 * truncation), against a copy in memory. Changes come in batches; a batch ends
 * by close of all, fsync, msync, syncfs, or by waiting for the periodic SYNC.
 * Then:
 *   - the file has the bytes of the copy;
 *   - a replica that was in step before the batch, and follows the records of
 *     the batch with just their ranges, has them too: also of pages that a
 *     mapping had made writable in an earlier batch;
 *   - after a close the last record does not say that the file is dirty.
 * At the end the expected bytes are left in BASE, for a look at the lower.
 */
#include "tests/tools/kmlread.h"

#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#define MAX	(1024 * 1024)
#define PAGE	4096
#define FDS	4

static char path[4096];
static struct image shadow;
static int fds[FDS];			/* plain, plain, O_DIRECT, O_APPEND */
static u8 *map, *map2;			/* MAX bytes, shared; second: mprotect */
static u8 *buf;				/* MAX bytes, page-aligned */
static aio_context_t aio;
static unsigned long ops;
static bool verbose;
static u64 rng;

static u32 rnd(u32 below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 16) % below;
}

static void die(const char *what, long long a, long long b)
{
	fprintf(stderr, "datafuzz: after %lu changes: %s: %lld, %lld: %s\n",
		ops, what, a, b, strerror(errno));
	exit(1);
}

static void say(const char *what, u64 off, u64 len)
{
	ops++;
	if (verbose)
		fprintf(stderr, "%lu %s %llu+%llu size %llu\n", ops, what,
			(unsigned long long)off, (unsigned long long)len,
			(unsigned long long)shadow.size);
}

static void shadow_write(u64 off, const u8 *p, u64 len)
{
	if (off + len > shadow.size)
		image_resize(&shadow, off + len);
	memcpy(shadow.data + off, p, len);
}

static u64 fill(u64 len)
{
	u64 i;

	for (i = 0; i < len; i++)
		buf[i] = rnd(256);
	return len;
}

static u64 some_len(void)
{
	switch (rnd(4)) {
	case 0: return 1 + rnd(16);
	case 1: return 1 + rnd(PAGE);
	case 2: return PAGE * (1 + rnd(4));
	default: return 1 + rnd(64 * 1024);
	}
}

static void do_write(void)
{
	u64 len = fill(some_len()), off = rnd(MAX - len);
	struct iovec v = { buf, len };
	ssize_t n;

	say("write", off, len);
	if (rnd(5))
		n = pwrite(fds[rnd(2)], buf, len, off);
	else
		n = pwritev2(fds[rnd(2)], &v, 1, off, RWF_DSYNC);
	if (n != (ssize_t)len)
		die("pwrite", n, len);
	shadow_write(off, buf, len);
}

static void do_direct(void)
{
	u64 len = fill(PAGE * (1 + rnd(8)));
	u64 off = PAGE * rnd((MAX - len) / PAGE);
	ssize_t n;

	say("direct", off, len);
	n = pwrite(fds[2], buf, len, off);
	if (n != (ssize_t)len)
		die("O_DIRECT", n, len);
	shadow_write(off, buf, len);
}

static void do_append(void)
{
	u64 len = fill(some_len());
	ssize_t n;

	if (shadow.size + len > MAX)
		return;
	say("append", shadow.size, len);
	n = write(fds[3], buf, len);
	if (n != (ssize_t)len)
		die("O_APPEND", n, len);
	shadow_write(shadow.size, buf, len);
}

/* Requests at the same time to places that do not overlap. */
static void do_aio(void)
{
	struct iocb cb[4], *cbs[4];
	struct io_event ev[4];
	u64 len = PAGE * (1 + rnd(4)), off = PAGE * rnd(MAX / PAGE - 16);
	int i, n = 1 + rnd(4), fd = fds[rnd(2) * 2];

	fill(n * len);
	memset(cb, 0, sizeof(cb));
	for (i = 0; i < n; i++) {
		cb[i].aio_lio_opcode = IOCB_CMD_PWRITE;
		cb[i].aio_fildes = fd;
		cb[i].aio_buf = (uintptr_t)(buf + i * len);
		cb[i].aio_nbytes = len;
		cb[i].aio_offset = off + i * len;
		cbs[i] = &cb[i];
	}
	say("aio", off, n * len);
	if (syscall(SYS_io_submit, aio, n, cbs) != n)
		die("io_submit", n, 0);
	if (syscall(SYS_io_getevents, aio, n, n, ev, NULL) != n)
		die("io_getevents", n, 0);
	for (i = 0; i < n; i++)
		if (ev[i].res != (s64)len)
			die("aio", ev[i].res, len);
	shadow_write(off, buf, n * len);
}

static void do_map(void)
{
	u64 len = fill(some_len()), off;
	u8 *m = rnd(2) ? map : map2;

	if (!shadow.size)
		return;
	/* often the pages that were written to a while ago */
	off = rnd(rnd(2) && shadow.size > 8 * PAGE ? 8 * PAGE : shadow.size);
	if (len > shadow.size - off)
		len = shadow.size - off;
	say("map", off, len);
	memcpy(m + off, buf, len);
	memcpy(shadow.data + off, buf, len);
}

static void do_truncate(void)
{
	u64 size = rnd(3) ? rnd(MAX) : rnd(2) ? 0 : rnd(MAX / PAGE) * PAGE;
	int rc;

	say("truncate", size, 0);
	rc = rnd(2) ? truncate(path, size) : ftruncate(fds[rnd(2)], size);
	if (rc)
		die("truncate", size, rc);
	image_resize(&shadow, size);
}

static void do_fallocate(void)
{
	u64 off = rnd(MAX / 2), len = 1 + rnd(MAX / 4), end;
	int mode, rc;

	switch (rnd(5)) {
	case 0:
		mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		break;
	case 1:
		mode = FALLOC_FL_ZERO_RANGE;
		break;
	case 2:
		mode = FALLOC_FL_COLLAPSE_RANGE;
		break;
	case 3:
		mode = FALLOC_FL_INSERT_RANGE;
		break;
	default:
		mode = rnd(2) ? FALLOC_FL_KEEP_SIZE : 0;
	}
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) {
		off &= ~(u64)(PAGE - 1);
		len = (len + PAGE) & ~(u64)(PAGE - 1);
		if (mode == FALLOC_FL_COLLAPSE_RANGE ?
		    off + len >= shadow.size :
		    off >= shadow.size || shadow.size + len > MAX)
			return;
	}
	say(mode & FALLOC_FL_PUNCH_HOLE ? "punch" :
	    mode & FALLOC_FL_ZERO_RANGE ? "zero" :
	    mode & FALLOC_FL_COLLAPSE_RANGE ? "collapse" :
	    mode & FALLOC_FL_INSERT_RANGE ? "insert" : "allocate", off, len);
	rc = fallocate(fds[rnd(2)], mode, off, len);
	if (rc)
		die("fallocate", mode, off);
	end = off + len;
	switch (mode) {
	case FALLOC_FL_COLLAPSE_RANGE:
		memmove(shadow.data + off, shadow.data + end,
			shadow.size - end);
		image_resize(&shadow, shadow.size - len);
		return;
	case FALLOC_FL_INSERT_RANGE:
		image_resize(&shadow, shadow.size + len);
		memmove(shadow.data + end, shadow.data + off,
			shadow.size - end);
		memset(shadow.data + off, 0, len);
		return;
	case 0:
	case FALLOC_FL_ZERO_RANGE:
		if (end > shadow.size)
			image_resize(&shadow, end);
	}
	if (end > shadow.size)
		end = shadow.size;
	if (off < end && (mode & (FALLOC_FL_ZERO_RANGE | FALLOC_FL_PUNCH_HOLE)))
		memset(shadow.data + off, 0, end - off);
}

static void do_copy(void)
{
	u64 len = some_len(), from, to;
	loff_t a, b;
	ssize_t n;

	if (shadow.size < 2 * len + 2)
		return;
	from = rnd(shadow.size - len);
	to = rnd(MAX - len);
	if (from + len > to && to + len > from)
		return;
	say("copy", to, len);
	a = from;
	b = to;
	n = copy_file_range(fds[0], &a, fds[1], &b, len, 0);
	if (n <= 0)
		die("copy_file_range", n, len);
	memcpy(buf, shadow.data + from, n);
	shadow_write(to, buf, n);
}

static void do_splice(void)
{
	u64 len = fill(1 + rnd(16 * PAGE)), off = rnd(MAX - len);
	loff_t to = off;
	int p[2];

	say("splice", off, len);
	if (pipe(p) || fcntl(p[1], F_SETPIPE_SZ, 1 << 17) < 0)
		die("pipe", 0, 0);
	if (write(p[1], buf, len) != (ssize_t)len)
		die("filling a pipe", len, 0);
	close(p[1]);
	if (splice(p[0], NULL, fds[rnd(2)], &to, len, 0) != (ssize_t)len)
		die("splice", len, 0);
	close(p[0]);
	shadow_write(off, buf, len);
}

static void do_misc(void)
{
	u64 off = rnd(MAX / PAGE - 8) * PAGE, len = PAGE * (1 + rnd(8));

	switch (rnd(5)) {
	case 0:
		if (msync(map + off, len, MS_SYNC))
			die("msync", off, len);
		break;
	case 1:
		if (fdatasync(fds[rnd(4)]))
			die("fdatasync", 0, 0);
		break;
	case 2:
		if (sync_file_range(fds[0], off, len, SYNC_FILE_RANGE_WRITE))
			die("sync_file_range", off, len);
		break;
	case 3:
		say("remove", off, len);
		if (madvise(map + off, len, MADV_REMOVE))
			die("MADV_REMOVE", off, len);
		if (off + len > shadow.size)
			len = off < shadow.size ? shadow.size - off : 0;
		memset(shadow.data + off, 0, len);
		break;
	default:
		if (posix_fadvise(fds[0], 0, 0, POSIX_FADV_DONTNEED))
			die("fadvise", 0, 0);
	}
}

static void (*const changes[])(void) = {
	do_write, do_write, do_map, do_map, do_map, do_direct, do_append,
	do_aio, do_truncate, do_fallocate, do_copy, do_splice, do_misc,
};

static void open_all(void)
{
	static const int flags[FDS] = { 0, 0, O_DIRECT, O_APPEND };
	int i;

	for (i = 0; i < FDS; i++) {
		fds[i] = open(path, O_RDWR | O_CLOEXEC | flags[i]);
		if (fds[i] < 0)
			die("open", flags[i], 0);
	}
	map = mmap(NULL, MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
	map2 = mmap(NULL, MAX, PROT_READ, MAP_SHARED, fds[1], 0);
	if (map == MAP_FAILED || map2 == MAP_FAILED ||
	    mprotect(map2, MAX, PROT_READ | PROT_WRITE))
		die("mmap", 0, 0);
}

static void close_all(void)
{
	int i;

	munmap(map, MAX);
	for (i = 0; i < FDS; i++)
		close(fds[i]);
	munmap(map2, MAX);
}

static void check(struct kml *k, struct image *copy, u64 from, int how)
{
	struct image now = { 0 };
	u64 to = kml_last(k);
	struct story s;
	long long at;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("open", 0, 0);
	image_read(&now, fd);
	story_of(&s, fd);
	close(fd);
	at = image_diff(&now, &shadow);
	if (at >= 0)
		die("the file is not what was written", at, shadow.size);
	if (to > from)
		story_read(k, &s, to, copy, &now);
	at = image_diff(copy, &now);
	if (at >= 0) {
		fprintf(stderr, "records: %s; end of batch %d\n", s.ops, how);
		die("a byte has changed and no record says so", at, now.size);
	}
	if (s.unknown)
		die("unknown ranges", s.unknown, 0);
	/* After a SYNC that ended the dirty state there was nothing to close. */
	if (!how && s.last && s.last != IM_OP_CLOSE &&
	    (s.last_flags & IM_RF_STILL)) {
		fprintf(stderr, "records: %s\n", s.ops);
		die("no CLOSE at the end", s.last, 0);
	}
	free(now.data);
}

/* Until the periodic SYNC of the last change must have come. */
static void wait_sync(struct kml *k)
{
	u64 last = kml_last(k), next;
	int quiet = 0;

	while (quiet < 8) {	/* 400 ms; sync_ms is 100 */
		usleep(50 * 1000);
		next = kml_last(k);
		quiet = next == last ? quiet + 1 : 0;
		last = next;
	}
}

int main(int argc, char **argv)
{
	struct image copy = { 0 };
	struct kml k;
	time_t end;
	u64 from;
	int i, n, how, fd, batches = 0;

	if (argc < 4)
		errx(2, "usage: datafuzz DIR SEED SECONDS [BASE]");
	verbose = getenv("VERBOSE");
	snprintf(path, sizeof(path), "%s/fuzz.%s", argv[1], argv[2]);
	rng = strtoull(argv[2], NULL, 0) * 0x9e3779b97f4a7c15ULL + 1;
	end = time(NULL) + atoi(argv[3]);
	buf = aligned_alloc(PAGE, MAX);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || syscall(SYS_io_setup, 16, &aio))
		err(1, "%s", path);
	close(fd);
	image_resize(&shadow, 0);
	image_resize(&copy, 0);
	kml_open(&k, argv[1]);
	from = kml_last(&k);
	open_all();
	do {
		n = 1 + rnd(batches % 2 ? 30 : 6);
		for (i = 0; i < n; i++)
			changes[rnd(sizeof(changes) / sizeof(*changes))]();
		how = rnd(8);
		switch (how) {
		case 0:
			close_all();
			break;
		case 1:
		case 2:
		case 3:
			wait_sync(&k);
			break;
		case 4:
			if (msync(map, MAX, MS_SYNC))
				die("msync", 0, 0);
			break;
		case 5:
			if (syncfs(k.dir))
				die("syncfs", 0, 0);
			break;
		default:
			if (fsync(fds[rnd(FDS)]))
				die("fsync", 0, 0);
		}
		check(&k, &copy, from, how);
		from = kml_last(&k);
		if (!how)
			open_all();
		batches++;
	} while (time(NULL) < end);
	close_all();
	check(&k, &copy, from, 0);
	printf("%lu changes in %d batches\n", ops, batches);
	if (argc > 4) {
		fd = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			  0644);
		if (fd < 0 || write(fd, shadow.data, shadow.size) !=
		    (ssize_t)shadow.size)
			err(1, "%s", argv[4]);
	}
	return 0;
}
