// SPDX-License-Identifier: GPL-2.0
/*
 * opbench A B [ROUNDS [PROCESSES]]: how fast operations are in directory B (on
 * the mount) compared to directory A (on the plain lower filesystem). Each
 * operation is measured in A and B by turns, in an order that changes, ROUNDS
 * times; the medians and their ratio A / B are printed, tab-separated: 1.00 is
 * as fast, 0.50 takes twice as long. With several processes each works in a
 * directory of its own, on the names of one process's share, and only what
 * changes names and attributes is measured. Times are of system calls in a
 * loop, so that both sides pay the same for entering the kernel. Each round
 * makes its names in a new directory "w": in an old one the time of a name
 * depends on what the names before it have left in the directory's blocks.
 *
 * The thread is named after what it measures, "A chmod" or "B chmod", so that
 * perf report --sort comm,symbol tells the operations apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define N 1000			/* operations of one measurement */
#define FILE_SIZE (32 << 20)
#define ROUNDS_MAX 99
#define PROCESSES_MAX 16

static char buf[1 << 20] __attribute__((aligned(4096)));
static uint32_t seed;

static void die(const char *what)
{
	fprintf(stderr, "opbench: cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static uint32_t rnd(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

static const char *name(char c, int i)
{
	static char s[2][32];
	static int k;

	k ^= 1;
	snprintf(s[k], sizeof(s[k]), "%c%06d", c, i);
	return s[k];
}

static void op_create(int i)
{
	int fd = open(name('f', i), O_WRONLY | O_CREAT | O_EXCL, 0644);

	if (fd < 0)
		die("create");
	close(fd);
}

static void op_chmod(int i)
{
	if (chmod(name('f', i), i & 1 ? 0600 : 0640))
		die("chmod");
}

static void op_setxattr(int i)
{
	if (setxattr(name('f', i), "user.bench", "value", 5, 0))
		die("setxattr");
}

static void op_rename(int i)
{
	if (rename(name('f', i), name('g', i)))
		die("rename");
}

static void op_link(int i)
{
	if (link(name('g', i), name('h', i)))
		die("link");
}

static void op_unlink_link(int i)
{
	if (unlink(name('h', i)))
		die("unlink");
}

static void op_unlink(int i)
{
	if (unlink(name('g', i)))
		die("unlink");
}

static void op_mkdir(int i)
{
	if (mkdir(name('d', i), 0755))
		die("mkdir");
}

static void op_rmdir(int i)
{
	if (rmdir(name('d', i)))
		die("rmdir");
}

static void op_small(int i)
{
	int fd = open(name('s', i), O_WRONLY | O_CREAT | O_EXCL, 0644);

	if (fd < 0 || write(fd, buf, 4000) != 4000)
		die("write a small file");
	close(fd);
}

static void op_small_unlink(int i)
{
	if (unlink(name('s', i)))
		die("unlink");
}

static void op_stat(int i)
{
	struct stat st;

	if (stat("../big", &st))
		die("stat");
}

static void op_open(int i)
{
	int fd = open("../big", O_RDONLY);

	if (fd < 0)
		die("open");
	close(fd);
}

static int big, direct;

static off_t somewhere(void)
{
	return (off_t)(rnd() % (FILE_SIZE / 4096)) * 4096;
}

static void write_page(int fd)
{
	if (pwrite(fd, buf, 4096, somewhere()) != 4096)
		die("write");
}

static void read_page(int fd)
{
	if (pread(fd, buf, 4096, somewhere()) != 4096)
		die("read");
}

static void op_write_random(int i)
{
	write_page(big);
}

static void op_read_random(int i)
{
	read_page(big);
}

/* The pages are dropped before each 64. */
static void op_read_uncached(int i)
{
	if (!(i % 64) && posix_fadvise(big, 0, 0, POSIX_FADV_DONTNEED))
		die("drop pages");
	read_page(big);
}

static void op_write_direct(int i)
{
	write_page(direct);
}

static void op_read_direct(int i)
{
	read_page(direct);
}

static void op_write_sequential(int i)
{
	if (pwrite(big, buf, sizeof(buf), (off_t)(i % (FILE_SIZE >> 20)) << 20) != sizeof(buf))
		die("write");
}

static void op_read_sequential(int i)
{
	if (pread(big, buf, sizeof(buf), (off_t)(i % (FILE_SIZE >> 20)) << 20) != sizeof(buf))
		die("read");
}

static void op_mmap_read(int i)
{
	volatile char sink;
	char *p = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, big,
		       (off_t)(i % (FILE_SIZE >> 20)) << 20);
	int k;

	if (p == MAP_FAILED)
		die("map");
	for (k = 0; k < 1 << 20; k += 4096)
		sink = p[k];
	munmap(p, 1 << 20);
	(void)sink;
}

static void op_mmap_write(int i)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, big,
		       (off_t)(i % (FILE_SIZE >> 20)) << 20);
	int k;

	if (p == MAP_FAILED)
		die("map");
	for (k = 0; k < 1 << 20; k += 4096)
		p[k]++;
	munmap(p, 1 << 20);
}

/* In this order: each finds what the one before has left. */
static const struct {
	const char *name;
	void (*fn)(int i);
	int n;
} ops[] = {
	{ "create", op_create, N },
	{ "chmod", op_chmod, N },
	{ "setxattr", op_setxattr, N },
	{ "rename", op_rename, N },
	{ "link", op_link, N },
	{ "unlink (not last)", op_unlink_link, N },
	{ "unlink", op_unlink, N },
	{ "mkdir", op_mkdir, N },
	{ "rmdir", op_rmdir, N },
	{ "create+write 4000+close", op_small, N },
	{ "unlink 4000", op_small_unlink, N },
#define OPS_NAMES 11		/* those above */
	{ "stat", op_stat, 4 * N },
	{ "open+close", op_open, 4 * N },
	{ "write 4 KiB random", op_write_random, 4 * N },
	{ "read 4 KiB random", op_read_random, 4 * N },
	{ "read 4 KiB random, uncached", op_read_uncached, 4 * N },
	{ "write 4 KiB random, direct", op_write_direct, 4 * N },
	{ "read 4 KiB random, direct", op_read_direct, 4 * N },
	{ "write 1 MiB sequential", op_write_sequential, 64 },
	{ "read 1 MiB sequential", op_read_sequential, 64 },
	{ "mmap read 1 MiB", op_mmap_read, 64 },
	{ "mmap write 1 MiB", op_mmap_write, 64 },
};
#define OPS (sizeof(ops) / sizeof(*ops))

static void label(int side, const char *op)
{
	char comm[16];

	snprintf(comm, sizeof(comm), "%c %s", 'A' + side, op);
	prctl(PR_SET_NAME, comm);
}

static double took[2][OPS][ROUNDS_MAX];
static int dirs[2], fds[2], dios[2];
static int processes = 1;

static void share(size_t k, int process)
{
	int i;

	for (i = 0; i < ops[k].n / processes; i++)
		ops[k].fn(process * N + i);
}

/* In the directory w/PROCESS each; they wait for the end of the pipe. */
static double measure_many(size_t k)
{
	int gate[2], p, status;
	char dir[16], c;
	pid_t pid;
	double t;

	if (pipe(gate))
		die("make a pipe");
	for (p = 0; p < processes; p++) {
		pid = fork();
		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		close(gate[1]);
		snprintf(dir, sizeof(dir), "%d", p);
		if (chdir(dir) || read(gate[0], &c, 1))
			die("enter");
		share(k, p);
		_exit(0);
	}
	t = now(CLOCK_MONOTONIC);
	close(gate[1]);
	for (p = 0; p < processes; p++)
		if (wait(&status) < 0 || status)
			die("wait for a process");
	t = now(CLOCK_MONOTONIC) - t;
	close(gate[0]);
	return t / (ops[k].n / processes * processes);
}

/* Nanoseconds of one operation. */
static double measure(int side, size_t k, int round)
{
	clockid_t clock = CLOCK_MONOTONIC;
	double t;

	big = fds[side];
	direct = dios[side];
	seed = round;
	label(side, ops[k].name);
	if (processes > 1)
		return measure_many(k);
	/* What waits for the disk: the processor's time counts. */
	if (ops[k].fn == op_read_uncached || ops[k].fn == op_write_direct ||
	    ops[k].fn == op_read_direct)
		clock = CLOCK_PROCESS_CPUTIME_ID;
	t = now(clock);
	share(k, 0);
	return (now(clock) - t) / ops[k].n;
}

static void each_share(int dir, int (*fn)(int dir, const char *name))
{
	char path[16];
	int p;

	for (p = 0; p < processes; p++) {
		snprintf(path, sizeof(path), "w/%d", p);
		if (fn(dir, path))
			die("make or remove a directory");
	}
}

static int make_dir(int dir, const char *path)
{
	return mkdirat(dir, path, 0755);
}

static int remove_dir(int dir, const char *path)
{
	return unlinkat(dir, path, AT_REMOVEDIR);
}

static int by_size(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

static double median(double *v, int n)
{
	qsort(v, n, sizeof(*v), by_size);
	return n & 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

int main(int argc, char **argv)
{
	int rounds = argc > 3 ? atoi(argv[3]) : 5, r, side, i;
	size_t k, nops = OPS;
	double a, b;

	if (argc > 4) {
		processes = atoi(argv[4]);
		nops = OPS_NAMES;
	}
	if (argc < 3 || argc > 5 || rounds < 1 || rounds > ROUNDS_MAX ||
	    processes < 1 || processes > PROCESSES_MAX) {
		fprintf(stderr, "usage: opbench A B [ROUNDS 1..%d [PROCESSES 1..%d]]\n",
			ROUNDS_MAX, PROCESSES_MAX);
		return 2;
	}
	memset(buf, 'x', sizeof(buf));
	for (side = 0; side < 2; side++) {
		dirs[side] = open(argv[1 + side], O_RDONLY | O_DIRECTORY);
		if (dirs[side] < 0 || fchdir(dirs[side]))
			die(argv[1 + side]);
		fds[side] = open("big", O_RDWR | O_CREAT | O_TRUNC, 0644);
		if (fds[side] < 0)
			die("create the big file");
		for (i = 0; i < FILE_SIZE >> 20; i++)
			if (write(fds[side], buf, sizeof(buf)) != sizeof(buf))
				die("fill the big file");
		fsync(fds[side]);
		dios[side] = open("big", O_RDWR | O_DIRECT);
		if (dios[side] < 0)
			die("open the big file for direct access");
	}
	for (r = 0; r < rounds; r++) {
		for (side = 0; side < 2; side++) {
			if (mkdirat(dirs[side], "w", 0755))
				die("make the directory w");
			if (processes > 1)
				each_share(dirs[side], make_dir);
		}
		for (k = 0; k < nops; k++)
			for (side = 0; side < 2; side++) {
				int s = side ^ (r & 1);

				if (fchdir(dirs[s]) || chdir("w"))
					die("enter");
				took[s][k][r] = measure(s, k, r);
			}
		for (side = 0; side < 2; side++) {
			if (processes > 1)
				each_share(dirs[side], remove_dir);
			if (unlinkat(dirs[side], "w", AT_REMOVEDIR))
				die("remove the directory w");
		}
	}
	printf("operation\tA us\tB us\tA/B\n");
	for (k = 0; k < nops; k++) {
		a = median(took[0][k], rounds);
		b = median(took[1][k], rounds);
		printf("%s", ops[k].name);
		if (processes > 1)
			printf(", %d processes", processes);
		printf("\t%.1f\t%.1f\t%.2f\n", a / 1e3, b / 1e3, a / b);
	}
	for (side = 0; side < 2; side++)
		if (unlinkat(dirs[side], "big", 0))
			die("remove the big file");
	return 0;
}
