// SPDX-License-Identifier: GPL-2.0
/*
 * Digests of directories: the same for the same entries in any order, other
 * for any difference; parts make up the whole; links lead nowhere.
 * links: syncd/digest.c syncd/object.c
 */
#include "tap.h"
#include "syncd/digest.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

static char top[] = "/tmp/im-digest-XXXXXX";

/* FIDs by name: inode numbers differ between two copies. */
static int identify(void *arg, int fd, struct im_fid *fid)
{
	char path[64], at[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, at, sizeof(at) - 1);
	if (n < 0)
		return -errno;
	at[n] = '\0';
	fid->ino = cpu_to_le64(XXH3_64bits(strrchr(at, '/'),
					   strlen(strrchr(at, '/'))));
	fid->gen = cpu_to_le32(1);
	if (!strcmp(strrchr(at, '/'), "/stranger")) {
		memset(fid, 0, sizeof(*fid));
		return -ENODATA;
	}
	return strcmp(strrchr(at, '/'), "/hidden") ? 0 : -ENOENT;
}

static int scan(const char *dir, u32 prefix, int bits, int split, int flags,
		struct im_wire_sum *sums, u64 *read)
{
	struct digest_scan d = { .identify = identify, .fd = -1, .sums = sums };
	int n = 0, r, fd;

	d.ask.prefix = cpu_to_le32(prefix);
	d.ask.bits = bits;
	d.ask.split = split;
	d.ask.flags = flags;
	memset(sums, 0, sizeof(*sums) << split);
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	r = digest_begin(&d, fd);
	while (!r && (r = digest_step(&d)) > 0) {
		n += r == DIGEST_ENTRY;
		r = 0;
	}
	if (read)
		*read = d.read;
	digest_end(&d);
	return r < 0 ? r : n;
}

static struct im_wire_sum whole(const char *dir, int flags)
{
	struct im_wire_sum sum;

	scan(dir, 0, 0, 0, flags, &sum, NULL);
	return sum;
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		exit(1);
}

static void when(const char *dir, const char *name)
{
	struct timespec t[2] = { { 1, 2 }, { 3, 4 } };
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW);
}

#define FILES 300

static void fill(const char *dir, int step)
{
	char name[32], text[32];
	int i, k;

	mkdir(dir, 0755);
	for (i = 0; i < FILES; i++) {
		k = i * step % FILES;
		sprintf(name, "f%d", k);
		sprintf(text, "text %d", k);
		put(dir, name, text);
		when(dir, name);
	}
}

static bool same(struct im_wire_sum a, struct im_wire_sum b)
{
	return !memcmp(&a, &b, sizeof(a));
}

static void test_order(const char *a, const char *b)
{
	struct im_wire_sum x, y, part[256], sum = { 0 };
	int i, n = 0;
	u64 low = 0;

	fill(a, 1);
	fill(b, 7);
	x = whole(a, IM_ASK_DATA);
	y = whole(b, IM_ASK_DATA);
	is(le64_to_cpu(x.count), FILES, "all are counted");
	ok(same(x, y), "another order, the same sums");
	ok(x.data[0] && !same(x, whole(a, 0)) && !whole(a, 0).data[0],
	   "without data it is not read");
	is(scan(a, 0, 0, 8, IM_ASK_DATA, part, NULL), FILES, "in 256 parts");
	for (i = 0; i < 256; i++) {
		sum.count += part[i].count;
		low += le64_to_cpu(part[i].data[0]);
		n += part[i].count > 0;
	}
	is(sum.count, FILES, "which are all of it");
	ok(low == le64_to_cpu(x.data[0]) && n > 100, "and sum up to it");
	for (i = n = 0; i < 256; i++) {
		scan(b, i, 8, 0, IM_ASK_DATA, &y, NULL);
		n += same(y, part[i]);
	}
	is(n, 256, "each part by itself is the same");
}

static void test_differs(const char *a, const char *b)
{
	struct im_wire_sum x = whole(a, IM_ASK_DATA), y;
	char path[512];

	snprintf(path, sizeof(path), "%s/f5", b);
	put(b, "f5", "text 6");
	when(b, "f5");
	y = whole(b, IM_ASK_DATA);
	ok(!memcmp(x.meta, y.meta, sizeof(x.meta)) &&
	   memcmp(x.data, y.data, sizeof(x.data)),
	   "same size and mtime, other data");
	put(b, "f5", "text 5");
	when(b, "f5");
	ok(same(x, whole(b, IM_ASK_DATA)), "and back");
	chmod(path, 0600);
	ok(!same(x, whole(b, 0)), "mode");
	chmod(path, 0644);
	if (!setxattr(path, "user.a", "1", 1, 0) &&
	    !setxattr(path, "user.b", "2", 1, 0)) {
		ok(memcmp(x.meta, whole(b, 0).meta, 16), "xattrs");
		y = whole(b, 0);
		removexattr(path, "user.a");
		setxattr(path, "user.a", "1", 1, 0);
		ok(same(y, whole(b, 0)), "xattrs in another order");
		setxattr(path, "user.a", "2", 1, 0);
		setxattr(path, "user.b", "1", 1, 0);
		ok(!same(y, whole(b, 0)), "values that are exchanged");
		removexattr(path, "user.a");
		removexattr(path, "user.b");
	}
	snprintf(path, sizeof(path), "%s/f5", b);
	unlink(path);
	is(le64_to_cpu(whole(b, 0).count), FILES - 1, "one less");
}

static void test_kinds(const char *a)
{
	struct im_wire_sum sum;
	char path[512], to[512];
	u64 read;
	int fd;

	mkdir(a, 0755);
	snprintf(path, sizeof(path), "%s/sparse", a);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	if (ftruncate(fd, 1 << 30) || pwrite(fd, "x", 1, 700000000) != 1)
		exit(1);
	close(fd);
	is(scan(a, 0, 0, 0, IM_ASK_DATA, &sum, &read), 1, "a sparse file");
	ok(read < 10000000, "is read where it has data: %llu bytes",
	   (unsigned long long)read);
	unlink(path);
	snprintf(to, sizeof(to), "%s/fifo", a);
	mkfifo(to, 0644);
	symlink("/etc/passwd", path);
	is(scan(a, 0, 0, 0, IM_ASK_DATA, &sum, &read), 2, "a link and a fifo");
	is(read, 0, "of which nothing is read");
	put(a, "stranger", "x");
	is(scan(a, 0, 0, 0, IM_ASK_DATA, &sum, NULL), 3, "what is nobody's");
	put(a, "hidden", "x");
	is(scan(a, 0, 0, 0, IM_ASK_DATA, &sum, NULL), 3, "what is left out");
	is(scan("/proc/self/nothing", 0, 0, 0, 0, &sum, NULL), -EBADF,
	   "no directory");
}

int main(void)
{
	char a[64], b[64], c[64], cmd[128];

	if (!mkdtemp(top))
		return 1;
	snprintf(a, sizeof(a), "%s/a", top);
	snprintf(b, sizeof(b), "%s/b", top);
	snprintf(c, sizeof(c), "%s/c", top);
	test_order(a, b);
	test_differs(a, b);
	test_kinds(c);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return tap_done() | (system(cmd) ? 1 : 0);
}
