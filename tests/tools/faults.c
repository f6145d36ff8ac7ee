// SPDX-License-Identifier: GPL-2.0
/*
 * faults DIR OPTIONS: every kind of operation below DIR, a mounted fileset,
 * again and again, while the kernel fails the first, the second, ... allocation
 * of memory that it makes for it (/proc/thread-self/fail-nth), until it gets
 * through without meeting the one that would fail. An operation has to succeed
 * or say ENOMEM. Mounting is one of them: DIR again, with OPTIONS.
 *
 * Prints for each how many allocations were failed and how many of these it
 * reported. 1: another error was seen, or there is no end to it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/intermezzo.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FAULTS_MAX	3000	/* of one operation */
#define OTHERS_MAX	5	/* errors shown of one operation */

static const char *dir, *options;
static char work[300];
static char data[65536] __attribute__((aligned(4096)));

/* What is there before: nothing is failed here. */

static void must(int ret, const char *what, const char *path)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "faults: cannot prepare: %s %s: %s\n", what, path,
		strerror(errno));
	exit(2);
}

static void file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	must(fd, "create", path);
	must(write(fd, data, sizeof(data)), "write", path);
	close(fd);
}

static void none(const char *a, const char *b)
{
}

static void one(const char *a, const char *b)
{
	file(a);
}

static void two(const char *a, const char *b)
{
	file(a);
	file(b);
}

static void tagged(const char *a, const char *b)
{
	file(a);
	must(setxattr(a, "user.a", data, 10, 0), "setxattr", a);
}

static void empty_dir(const char *a, const char *b)
{
	must(mkdir(a, 0755), "mkdir", a);
}

/* Nothing is known of the tree but what is on disk. */
static void forget(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	must(write(fd, "2", 1), "drop_caches", "");
	close(fd);
}

static void cold(const char *a, const char *b)
{
	file(a);
	forget();
}

static void cold_dir(const char *a, const char *b)
{
	char path[500];

	empty_dir(a, b);
	snprintf(path, sizeof(path), "%s/one", a);
	file(path);
	forget();
}

static void unmounted(const char *a, const char *b)
{
	must(umount(dir), "umount", dir);
}

/* The operations: 0 or -1 with errno. */

static int closed(int fd, int ret)
{
	int err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	return fd < 0 || ret < 0 ? -1 : 0;
}

static int do_create(const char *a, const char *b)
{
	return closed(open(a, O_WRONLY | O_CREAT | O_EXCL, 0644), 0);
}

static int do_mkdir(const char *a, const char *b)
{
	return mkdir(a, 0755);
}

static int do_mknod(const char *a, const char *b)
{
	return mknod(a, S_IFCHR | 0600, makedev(1, 3));
}

static int do_symlink(const char *a, const char *b)
{
	return symlink(b, a);
}

static int do_link(const char *a, const char *b)
{
	return link(a, b);
}

static int do_unlink(const char *a, const char *b)
{
	return unlink(a);
}

static int do_rmdir(const char *a, const char *b)
{
	return rmdir(a);
}

static int do_rename(const char *a, const char *b)
{
	return rename(a, b);
}

static int do_exchange(const char *a, const char *b)
{
	return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

static int do_chmod(const char *a, const char *b)
{
	return chmod(a, 0600);
}

static int do_chown(const char *a, const char *b)
{
	return chown(a, 1000, 1000);
}

static int do_utimens(const char *a, const char *b)
{
	const struct timespec ts[2] = { { 1000000000, 0 }, { 1000000001, 5 } };

	return utimensat(AT_FDCWD, a, ts, 0);
}

/* One in the inode, one in a block of its own. */
static int do_setxattr(const char *a, const char *b)
{
	return setxattr(a, "user.b", data, 10, 0) ?:
	       setxattr(a, "user.long", data, 500, 0);
}

static int do_removexattr(const char *a, const char *b)
{
	return removexattr(a, "user.a");
}

static int do_acl(const char *a, const char *b)
{
	/* user::rw- user:1000:r-- group::r-- mask::r-- other::--- */
	static const struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} e[5];
	} acl = { 2, { { 1, 6, -1 }, { 2, 4, 1000 }, { 4, 4, -1 },
		       { 16, 4, -1 }, { 32, 0, -1 } } };

	return setxattr(a, "system.posix_acl_access", &acl, sizeof(acl), 0);
}

static int do_write(const char *a, const char *b)
{
	int fd = open(a, O_WRONLY);

	return fd < 0 ? -1 : closed(fd, pwrite(fd, data, 10000, 3000));
}

static int do_scattered(const char *a, const char *b)
{
	int fd = open(a, O_WRONLY), i, ret = 0;

	if (fd < 0)
		return -1;
	for (i = 0; i < 40 && ret >= 0; i++)
		ret = pwrite(fd, data, 1, i * 9000);
	return closed(fd, ret);
}

static int do_direct(const char *a, const char *b)
{
	int fd = open(a, O_WRONLY | O_DIRECT);

	return fd < 0 ? -1 : closed(fd, pwrite(fd, data, 8192, 4096));
}

static int do_fsync(const char *a, const char *b)
{
	int fd = open(a, O_WRONLY);

	if (fd < 0)
		return -1;
	return closed(fd, pwrite(fd, data, 10, 0) < 0 ? -1 : fsync(fd));
}

static int do_mmap(const char *a, const char *b)
{
	int fd = open(a, O_RDWR), ret;
	char *map;

	if (fd < 0)
		return -1;
	map = mmap(NULL, sizeof(data), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	if (map == MAP_FAILED)
		return closed(fd, -1);
	ret = madvise(map, sizeof(data), MADV_POPULATE_WRITE);
	if (!ret)
		map[100] = 'x';
	if (munmap(map, sizeof(data))) {
		/* By that fault; and the mount is to be left again. */
		must(munmap(map, sizeof(data)), "munmap", a);
		errno = ENOMEM;
		ret = -1;
	}
	return closed(fd, ret);
}

static int do_truncate(const char *a, const char *b)
{
	return truncate(a, 5000) ?: truncate(a, 100000);
}

static int do_fallocate(const char *a, const char *b)
{
	int fd = open(a, O_WRONLY);

	if (fd < 0)
		return -1;
	return closed(fd, fallocate(fd, 0, 100000, 50000) ?:
		      fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				4096, 8192));
}

static int do_copy(const char *a, const char *b)
{
	int in = open(a, O_RDONLY), out;

	if (in < 0)
		return -1;
	out = open(b, O_WRONLY);
	if (out < 0)
		return closed(in, -1);
	return closed(in, closed(out, copy_file_range(in, NULL, out, NULL,
						      sizeof(data), 0)));
}

static int do_tmpfile(const char *a, const char *b)
{
	int fd = open(work, O_TMPFILE | O_WRONLY, 0644);

	if (fd < 0)
		return -1;
	return closed(fd, write(fd, data, 10000) < 0 ? -1 :
		      linkat(fd, "", AT_FDCWD, a, AT_EMPTY_PATH));
}

static int do_stat(const char *a, const char *b)
{
	struct stat st;

	return stat(a, &st);
}

static int do_read(const char *a, const char *b)
{
	char buf[100];
	int fd = open(a, O_RDONLY);

	return fd < 0 ? -1 : closed(fd, pread(fd, buf, sizeof(buf), 20000));
}

static int do_list(const char *a, const char *b)
{
	DIR *d = opendir(a);
	int err;

	if (!d)
		return -1;
	do
		errno = 0;
	while (readdir(d));
	err = errno;
	closedir(d);
	errno = err;
	return err ? -1 : 0;
}

static int do_handle(const char *a, const char *b)
{
	struct {
		struct file_handle h;
		char bytes[MAX_HANDLE_SZ];
	} h = { .h.handle_bytes = MAX_HANDLE_SZ };
	int id, top;

	if (name_to_handle_at(AT_FDCWD, a, &h.h, &id, 0))
		return -1;
	top = open(dir, O_RDONLY);
	if (top < 0)
		return -1;
	return closed(top, closed(open_by_handle_at(top, &h.h, O_RDWR), 0));
}

static int do_kml(const char *a, const char *b)
{
	struct im_ioc_kml arg = { .flags = O_NONBLOCK | O_CLOEXEC, .from = 1 };
	int top = open(dir, O_RDONLY), fd, ret;

	if (top < 0)
		return -1;
	fd = ioctl(top, IM_IOC_KML, &arg);
	ret = fd < 0 ? fd : read(fd, data, sizeof(data));
	if (ret < 0 && errno == EAGAIN)		/* none is durable yet */
		ret = 0;
	return closed(top, closed(fd, ret));
}

static int do_replay(const char *a, const char *b)
{
	struct im_ioc_replay arg = { .origin = 77 };
	struct im_ioc_tag tag = { .recno = 5, .ino = 5, .gen = 5,
				  .flags = IM_TAG_FINAL | IM_TAG_MTIME,
				  .mtime = 1000000000 };
	int top = open(dir, O_RDONLY), fd, ret;

	if (top < 0)
		return -1;
	fd = ioctl(top, IM_IOC_REPLAY, &arg);
	ret = fd < 0 ? fd : ioctl(fd, IM_IOC_TAG, &tag);
	if (!ret)
		ret = mkdir(a, 0755);
	return closed(top, closed(fd, ret));
}

static int do_sync(const char *a, const char *b)
{
	int fd = open(a, O_WRONLY);

	if (fd < 0)
		return -1;
	return closed(fd, pwrite(fd, data, 10, 0) < 0 ? -1 : syncfs(fd));
}

static int do_mount(const char *a, const char *b)
{
	return mount(dir, dir, "intermezzo", 0, options);
}

static const struct op {
	const char *name;
	void (*before)(const char *a, const char *b);
	int (*run)(const char *a, const char *b);
} ops[] = {
	{ "create", none, do_create },
	{ "mkdir", none, do_mkdir },
	{ "mknod", none, do_mknod },
	{ "symlink", none, do_symlink },
	{ "link", one, do_link },
	{ "unlink", one, do_unlink },
	{ "rmdir", empty_dir, do_rmdir },
	{ "rename", one, do_rename },
	{ "rename over", two, do_rename },
	{ "exchange", two, do_exchange },
	{ "chmod", one, do_chmod },
	{ "chown", one, do_chown },
	{ "utimens", one, do_utimens },
	{ "setxattr", one, do_setxattr },
	{ "removexattr", tagged, do_removexattr },
	{ "setfacl", one, do_acl },
	{ "write", one, do_write },
	{ "scattered writes", one, do_scattered },
	{ "direct write", one, do_direct },
	{ "fsync", one, do_fsync },
	{ "mmap", one, do_mmap },
	{ "truncate", one, do_truncate },
	{ "fallocate", one, do_fallocate },
	{ "copy_file_range", two, do_copy },
	{ "O_TMPFILE and link", none, do_tmpfile },
	{ "stat", cold, do_stat },
	{ "read", cold, do_read },
	{ "unlink, cold", cold, do_unlink },
	{ "list", cold_dir, do_list },
	{ "handle", cold, do_handle },
	{ "KML", none, do_kml },
	{ "replay", none, do_replay },
	{ "sync", one, do_sync },
	{ "mount", unmounted, do_mount },
};

static int nth;		/* /proc/thread-self/fail-nth */

static void fail_nth(unsigned int n)
{
	char text[20];

	must(pwrite(nth, text, snprintf(text, sizeof(text), "%u", n), 0),
	     "fail-nth", "");
}

/* Was there no such allocation? And none fails from here on. */
static int not_met(void)
{
	char text[20] = "";

	must(pread(nth, text, sizeof(text) - 1, 0), "fail-nth", "");
	fail_nth(0);
	return atoi(text) > 0;
}

/* 0: all as it has to be. */
static int each_fault(const struct op *op, unsigned int step)
{
	unsigned int n, faults = 0, failed = 0, others = 0;
	char a[400], b[410];
	int ret, err, end = 0;

	for (n = 1; n < FAULTS_MAX && !end; n += step ?: 1 + n / 20) {
		snprintf(a, sizeof(a), "%s/%zd-%u", work, op - ops, n);
		snprintf(b, sizeof(b), "%s.b", a);
		op->before(a, b);
		fail_nth(n);
		ret = op->run(a, b);
		err = errno;
		end = not_met();
		faults += !end;
		if (ret >= 0)
			continue;
		failed++;
		if ((end || err != ENOMEM) && others++ < OTHERS_MAX)
			printf("%s, allocation %u: %s\n", op->name, n,
			       strerror(err));
		if (op->run == do_mount)
			must(mount(dir, dir, "intermezzo", 0, options),
			     "mount", dir);
	}
	printf("%s: %u faults, %u failures\n", op->name, faults, failed);
	if (!end)
		printf("%s: no end\n", op->name);
	fflush(stdout);
	return others || !end;
}

int main(int argc, char **argv)
{
	int bad = 0;
	size_t i;

	if (argc != 3) {
		fprintf(stderr, "usage: faults DIR OPTIONS\n");
		return 2;
	}
	dir = argv[1];
	options = argv[2];
	snprintf(work, sizeof(work), "%s/faults", dir);
	memset(data, 'd', sizeof(data));
	nth = open("/proc/thread-self/fail-nth", O_RDWR);
	must(nth, "open", "/proc/thread-self/fail-nth");
	must(mkdir(work, 0755), "mkdir", work);
	for (i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		bad |= each_fault(&ops[i], ops[i].run != do_mount);
	return bad;
}
