// SPDX-License-Identifier: GPL-2.0
/*
 * posix-attrs DIR
 *
 * Attributes: which times each call changes, set-id bits and capabilities that
 * writes and chown take away, sticky and setgid rules, xattrs by namespace and
 * type, ACLs and what they inherit, statx, chattr.
 *
 * links: tests/tools/posix/report.c
 */
#include "tests/tools/posix/report.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static int fd, fd2, dirfd_;
static char buf[65536];

/* Times ------------------------------------------------------------------ */

static void times_of_names(void)
{
	rep_part("times of names");
	mkdir("d", 0755);
	mkdir("e", 0755);
	TC("d", fd = open("d/f", O_CREAT | O_RDWR, 0644));
	TC2("d", "d/f", open("d/f", O_CREAT | O_RDWR, 0644));
	TC2("d", "d/f", link("d/f", "e/l"));
	TC2("e", "d/f", link("d/f", "e/l"));
	TC3("d", "e", "d/f", link("d/f", "e/l2"));
	TC3("e", "d/f", "e/l2", unlink("e/l2"));
	TC3("d", "e", "d/f", rename("d/f", "e/g"));
	TC3("d", "e", "e/g", rename("e/g", "d/f"));
	TC2("d", "d/f", rename("d/f", "d/f2"));
	TC2("d", "d/f2", rename("d/f2", "d/f2"));
	TC3("d", "e", "d/f2", rename("d/f2", "e/l"));
	rename("d/f2", "d/f");
	TC2("d", "d/s", mkdir("d/s", 0755));
	TC2("d", "d/s", mkdir("d/s/t", 0755));
	TC3("d", "d/s", "e", rename("d/s/t", "e/t"));
	TC2("e", "e/t", rename("e/t", "e/t2"));
	TC3("d", "e", "e/t2", renameat2(-100, "d/s", -100, "e/t2",
					RENAME_EXCHANGE));
	TC3("d", "e", "e/l", renameat2(-100, "e/l", -100, "e/w",
				       RENAME_WHITEOUT));
	TC2("e", "e/w", renameat2(-100, "e/w", -100, "e/w2",
				  RENAME_NOREPLACE));
	rep_stat("e/l");
	TC("d", rmdir("d/s"));
	TC("e", rmdir("e"));
	TC2("d", "d/y", symlink("f", "d/y"));
	TC2("d", "d/p", mkfifo("d/p", 0644));
	TC2("d", "d/c", mknod("d/c", S_IFCHR | 0644, makedev(1, 3)));
	TC2("d", "d/r", mknod("d/r", S_IFREG | 0644, 0));
	TC3("d", "d/y", "d/p", rename("d/y", "d/p"));
	TC("d", unlink("d/p"));
	TC2("d", "d/f", (dirfd_ = open("d", O_TMPFILE | O_RDWR, 0600)));
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", dirfd_);
	TC2("d", "d/tmp", linkat(-100, buf, -100, "d/tmp",
				 AT_SYMLINK_FOLLOW));
	TC2("d", "d/tmp", linkat(-100, buf, -100, "d/tmp2",
				 AT_SYMLINK_FOLLOW));
	close(dirfd_);
	close(fd);
}

static void times_of_reading(void)
{
	char *map;
	DIR *d;
	int p;

	rep_part("times of reading");
	mkdir("d", 0755);
	rep_put("d/f", "some text to read");
	T(symlink("f", "d/y"));
	mkfifo("d/p", 0644);
	/* relatime: the first reading after a change counts */
#define STALE do { utimensat(-100, "d/f", (struct timespec[]){		\
		{ 1000, 0 }, { 2000, 0 } }, 0); } while (0)
	fd = open("d/f", O_RDWR);
	STALE;
	TC("d/f", open("d/f", O_RDONLY));
	TC("d/f", pread(fd, buf, 4, 0));
	TC("d/f", pread(fd, buf, 4, 0));
	STALE;
	TC("d/f", pread(fd, buf, 0, 0));
	TC("d/f", pread(fd, buf, 4, 100));
	STALE;
	TC("d/f", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
	STALE;
	TC("d/f", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	STALE;
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	STALE;
	TC("d/f", map[0] == 0);
	STALE;
	fd2 = open("/dev/null", O_WRONLY);
	TC("d/f", sendfile(fd2, fd, &(off_t){ 0 }, 5));
	STALE;
	p = open("d/p", O_RDWR | O_NONBLOCK);
	TC2("d/f", "d/p", splice(fd, &(off_t){ 0 }, p, NULL, 4, 0));
	STALE;
	TC("d/f", copy_file_range(fd, &(off_t){ 0 }, fd2, NULL, 4, 0));
	STALE;
	TC("d/f", readahead(fd, 0, 4096));
	TC("d/f", posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	TC("d/f", lseek(fd, 0, SEEK_DATA));
	close(fd2);
	fd2 = open("d/f", O_RDONLY | O_NOATIME);
	TC("d/f", read(fd2, buf, 3));
	close(fd2);
	fd2 = open("d/f", O_RDONLY);
	fcntl(fd2, F_SETFL, O_NOATIME);
	TC("d/f", read(fd2, buf, 3));
	fcntl(fd2, F_SETFL, 0);
	TC("d/f", read(fd2, buf, 3));
	close(fd2);
	fd2 = open("d/f", O_RDONLY | O_DIRECT);
	STALE;
	TC("d/f", fd2 < 0 ? 0 : read(fd2, buf + (-(long)buf & 4095), 4096));
	close(fd2);
	TC2("d", "d/y", readlink("d/y", buf, 100));
	utimensat(-100, "d/y", (struct timespec[]){ { 1000, 0 }, { 2000, 0 } },
		  AT_SYMLINK_NOFOLLOW);
	TC2("d", "d/y", readlink("d/y", buf, 100));
	TC2("d", "d/y", readlink("d/y", buf, 100));
	utimensat(-100, "d/y", (struct timespec[]){ { 1000, 0 }, { 2000, 0 } },
		  AT_SYMLINK_NOFOLLOW);
	STALE;
	TC2("d/y", "d/f", stat("d/y", (struct stat *)buf));
	utimensat(-100, "d", (struct timespec[]){ { 1000, 0 }, { 2000, 0 } },
		  0);
	TC("d", d = opendir("d"));
	TC("d", readdir(d));
	TC("d", readdir(d));
	closedir(d);
	utimensat(-100, "d", (struct timespec[]){ { 1000, 0 }, { 2000, 0 } },
		  0);
	TC2("d", "d/f", access("d/f", R_OK));
	TC2("d", "d/f", getxattr("d/f", "user.none", NULL, 0));
	/* a fifo's times are those of what goes through it */
	utimensat(-100, "d/p", (struct timespec[]){ { 1000, 0 }, { 2000, 0 } },
		  0);
	TC("d/p", write(p, "abc", 3));
	TC("d/p", read(p, buf, 2));
	TC("d/p", read(p, buf, 2));
	close(p);
	STALE;
	fd2 = open("d/f", O_RDONLY);
	TC("d/f", fgetxattr(fd2, "user.none", NULL, 0));
	TC("d/f", flock(fd2, LOCK_SH));
	close(fd2);
	close(fd);
	chmod("d/f", 0755);
	rep_put("d/x", "#!/bin/true\n");
	chmod("d/x", 0755);
	utimensat(-100, "d/x", (struct timespec[]){ { 1000, 0 }, { 2000, 0 } },
		  0);
	TC("d/x", system("d/x"));
#undef STALE
}

static void times_of_writing(void)
{
	char *map;

	rep_part("times of writing");
	mkdir("d", 0755);
	rep_put("d/f", "some text to read");
	fd = open("d/f", O_RDWR);
	TC("d/f", pwrite(fd, "x", 1, 0));
	TC("d/f", pwrite(fd, "x", 0, 0));
	TC("d/f", pwrite(fd, "x", 0, 100));
	TC("d/f", pwrite(fd, "x", 1, 100));
	TC("d/f", ftruncate(fd, 101));
	TC("d/f", ftruncate(fd, 50));
	TC("d/f", truncate("d/f", 50));
	TC("d/f", truncate("d/f", 60));
	TC("d/f", truncate("d/f", 0));
	TC("d/f", truncate("d/f", 0));
	TC("d/f", open("d/f", O_RDWR | O_TRUNC));
	T(pwrite(fd, buf, 20000, 0));
	TC("d/f", open("d/f", O_RDWR | O_TRUNC));
	T(pwrite(fd, buf, 20000, 0));
	TC("d/f", fallocate(fd, 0, 0, 4096));
	TC("d/f", fallocate(fd, 0, 16384, 16384));
	TC("d/f", fallocate(fd, FALLOC_FL_KEEP_SIZE, 65536, 4096));
	TC("d/f", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    4096, 4096));
	TC("d/f", fallocate(fd, FALLOC_FL_ZERO_RANGE, 100, 200));
	TC("d/f", fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096));
	TC("d/f", fallocate(fd, FALLOC_FL_INSERT_RANGE, 4096, 4096));
	TC("d/f", fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, 4096));
	TC("d/f", fsync(fd));
	TC("d/f", fdatasync(fd));
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TC("d/f", (map[0] = 1));
	TC("d/f", (map[1] = 1));
	TC("d/f", msync(map, 8192, MS_SYNC));
	TC("d/f", (map[0] = 2));
	TC("d/f", munmap(map, 8192));
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	TC("d/f", (map[0] = 1));
	munmap(map, 8192);
	fd2 = open("d/g", O_CREAT | O_RDWR, 0644);
	TC2("d/f", "d/g", copy_file_range(fd, &(off_t){ 0 }, fd2, NULL, 9, 0));
	TC2("d/f", "d/g", sendfile(fd2, fd, &(off_t){ 0 }, 5));
	TC2("d/f", "d/g", ioctl(fd2, FICLONE, fd));
	close(fd2);
	TC("d/f", close(fd));
}

static void times_of_attributes(void)
{
	static const struct timespec both[2] = { { 5, 6 }, { 7, 8 } };
	static const struct timespec a_now[2] = { { 0, UTIME_NOW },
						  { 7, 123456789 } };
	static const struct timespec m_now[2] = { { 9, 999999999 },
						  { 0, UTIME_NOW } };
	static const struct timespec a_omit[2] = { { 0, UTIME_OMIT },
						   { 11, 1 } };
	static const struct timespec m_omit[2] = { { 12, 1 },
						   { 0, UTIME_OMIT } };
	static const struct timespec now_omit[2] = { { 0, UTIME_NOW },
						     { 0, UTIME_OMIT } };
	static const struct timespec omit_now[2] = { { 0, UTIME_OMIT },
						     { 0, UTIME_NOW } };
	static const struct timespec bad[2] = { { 0, 1000000000 }, { 0, 0 } };
	static const struct timespec neg[2] = { { -5, 3 }, { -0x80000000l, 0 } };
	static const struct timespec far[2] = { { 0x1ffffffffl, 3 },
						{ 0x3fffffffffl, 5 } };
	static const struct timespec *const all[] = {
		both, a_now, m_now, a_omit, m_omit, now_omit, omit_now, bad,
		neg, far, NULL,
	};
	struct stat st;
	size_t i;
	int who;

	rep_part("times of attributes");
	mkdir("d", 0755);
	rep_put("d/f", "text");
	T(symlink("f", "d/y"));
	TC("d/f", chmod("d/f", 0600));
	TC("d/f", chmod("d/f", 0600));
	TC("d/f", chown("d/f", 4000, 4000));
	TC("d/f", chown("d/f", 4000, 4000));
	TC("d/f", chown("d/f", -1, -1));
	TC2("d/f", "d/y", lchown("d/y", 1, 2));
	TC2("d/f", "d/y", chmod("d/y", 0640));
	TC("d/f", setxattr("d/f", "user.a", "1", 1, 0));
	TC("d/f", setxattr("d/f", "user.a", "1", 1, 0));
	TC("d/f", setxattr("d/f", "user.a", "2", 1, XATTR_CREATE));
	TC("d/f", removexattr("d/f", "user.a"));
	TC("d/f", removexattr("d/f", "user.a"));
	TC("d/f", setxattr("d/f", "trusted.a", "1", 1, 0));
	TC("d/f", setxattr("d/f", "security.a", "1", 1, 0));
	chmod("d/f", 0644);
	for (i = 0; i < N(all); i++) {
		const struct timespec *t = all[i];

		rep_say("times %zu", i);
		if (TC2("d/f", "d", utimensat(-100, "d/f", t, 0)))
			continue;
		lstat("d/f", &st);
		if (t && t->tv_nsec != UTIME_NOW && t->tv_nsec != UTIME_OMIT)
			rep_say("atime %lld.%09ld", (long long)st.st_atim.tv_sec,
				st.st_atim.tv_nsec);
		if (t && t[1].tv_nsec != UTIME_NOW &&
		    t[1].tv_nsec != UTIME_OMIT)
			rep_say("mtime %lld.%09ld", (long long)st.st_mtim.tv_sec,
				st.st_mtim.tv_nsec);
		TC2("d/f", "d/y", utimensat(-100, "d/y", t,
					    AT_SYMLINK_NOFOLLOW));
		TC("d", utimensat(-100, "d", t, 0));
		T(chown("d/f", 4000, 4000));
		for (who = 4000; who < 4002; who++)
			AS(who, who,
			   TC("d/f", utimensat(-100, "d/f", t, 0)));
		/* may write, is not the owner */
		chmod("d/f", 0666);
		AS(4001, 4001, TC("d/f", utimensat(-100, "d/f", t, 0)));
		chmod("d/f", 0644);
	}
	fd = open("d/f", O_RDONLY);
	TC("d/f", futimens(fd, both));
	TC("d/f", utimensat(fd, "", both, AT_EMPTY_PATH));
	close(fd);
	fd = open("d/f", O_PATH);
	TC("d/f", futimens(fd, both));
	TC("d/f", fchmod(fd, 0600));
	TC("d/f", fchownat(fd, "", 1, 1, AT_EMPTY_PATH));
	close(fd);
	TC("d/f", utimensat(-100, "d/f", both, 0x40000000));
}

/* Modes and owners ------------------------------------------------------- */

static const struct vfs_cap_data cap = {
	.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
	.data[0] = { .permitted = 1 << 10 },
};

static void privileged(int mode, int owner)
{
	unlink("p");
	rep_put("p", "some text");
	T(chown("p", owner, owner));
	chmod("p", mode);
	setxattr("p", "security.capability", &cap, sizeof(cap), 0);
}

#define PRIV(...) do {							\
	privileged(mode, 4000);						\
	__VA_ARGS__;							\
	T(getxattr("p", "security.capability", NULL, 0));		\
} while (0)
#define OPENED(call) do {						\
	int f = open("p", O_RDWR);					\
	if (f < 0)							\
		rep_say("cannot open p: %s", rep_errno(errno));		\
	else								\
		TC("p", call);						\
	close(f);							\
} while (0)

static void set_ids(void)
{
	static const int modes[] = { 06755, 06777, 02777, 02767, 04777, 06666,
				     01777 };
	static const int who[] = { 0, 4000, 4001 };
	size_t i, w;

	rep_part("set-id bits");
	for (i = 0; i < N(modes); i++) {
		int mode = modes[i];

		rep_say("mode %o", mode);
		for (w = 0; w < N(who); w++) {
			int u = who[w];

			PRIV(AS(u, u, OPENED(pwrite(f, "x", 1, 0))));
			PRIV(AS(u, u, OPENED(pwrite(f, "x", 0, 0))));
			PRIV(AS(u, u, OPENED(ftruncate(f, 3))));
			PRIV(AS(u, u, OPENED(ftruncate(f, 9))));
			PRIV(AS(u, u, TC("p", truncate("p", 100))));
			PRIV(AS(u, u, TC("p", open("p", O_WRONLY | O_TRUNC))));
			PRIV(AS(u, u, OPENED(fallocate(f, 0, 0, 10000))));
			PRIV(AS(u, u, OPENED(fallocate(f,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				0, 4096))));
			PRIV(AS(u, u, OPENED(fallocate(f,
				FALLOC_FL_COLLAPSE_RANGE, 1, 1))));
			PRIV(AS(u, u, OPENED(fallocate(f,
				FALLOC_FL_UNSHARE_RANGE, 0, 1))));
			PRIV(AS(u, u, OPENED(*(volatile char *)mmap(NULL, 4096,
				PROT_READ | PROT_WRITE, MAP_SHARED, f, 0) = 1)));
			PRIV(AS(u, u, TC("p", chown("p", u, u))));
			PRIV(AS(u, u, TC("p", chown("p", -1, -1))));
			PRIV(AS(u, u, TC("p", chown("p", -1, 4002))));
			PRIV(AS(u, u, TC("p", chown("p", -1, u))));
			PRIV(AS(u, u, TC("p", chmod("p", 06755))));
			PRIV(AS(u, u, TC("p", chmod("p", 0700))));
			PRIV(AS(u, u, TC("p", utimensat(-100, "p", NULL, 0))));
			PRIV(AS(u, u, TC("p", setxattr("p", "user.a", "1", 1,
						       0))));
		}
	}
	mkdir("sg", 0755);
	for (i = 0; i < N(modes); i++) {
		T(chown("sg", 4000, 5000));
		chmod("sg", modes[i]);
		TC("sg", chown("sg", 4001, 5001));
		AS(4001, 4001, TC("sg", chown("sg", -1, 4001)));
		AS(4001, 4001, TC("sg", chmod("sg", 02777)));
		AS(4001, 5001, TC("sg", chmod("sg", 02777)));
	}
}

static void make_all(const char *in)
{
	static const char *const kinds[] = { "f", "d", "p", "y", "c", "r", "t" };
	char a[64], b[64];
	size_t i;
	int f;

	for (i = 0; i < N(kinds); i++) {
		snprintf(a, sizeof(a), "%s/%s%d", in, kinds[i], geteuid());
		switch (*kinds[i]) {
		case 'f':
			T(close(open(a, O_CREAT | O_RDWR, 07777)));
			break;
		case 'd': T(mkdir(a, 07777)); break;
		case 'p': T(mkfifo(a, 07777)); break;
		case 'y': T(symlink("x", a)); break;
		case 'c': T(mknod(a, S_IFCHR | 07777, 0)); break;
		case 'r': T(mknod(a, S_IFREG | 02775, 0)); break;
		case 't':
			T(f = open(in, O_TMPFILE | O_RDWR, 02777));
			snprintf(b, sizeof(b), "/proc/self/fd/%d", f);
			T(linkat(-100, b, -100, a, AT_SYMLINK_FOLLOW));
			close(f);
			break;
		}
		rep_stat(a);
	}
}

static void inherit(void)
{
	static const int modes[] = { 0777, 02777, 01777, 03777, 02755 };
	static const int masks[] = { 0, 022, 077, 0777 };
	size_t i, m;

	rep_part("inherited");
	for (i = 0; i < N(modes); i++) {
		for (m = 0; m < N(masks); m++) {
			rep_say("in %o with umask %o", modes[i], masks[m]);
			mkdir("in", 0);
			T(chown("in", 4003, 5000));
			chmod("in", modes[i]);
			umask(masks[m]);
			make_all("in");
			AS(4000, 4000, make_all("in"));
			AS(4001, 5000, make_all("in"));
			umask(022);
			rep_remove("in");
		}
	}
}

static void sticky(void)
{
	static const int who[] = { 4000, 4001, 4002 };
	size_t i;

	rep_part("sticky");
	for (i = 0; i < N(who); i++) {
		int u = who[i];

		rep_remove("st");
		mkdir("st", 0777);
		chmod("st", 01777);
		T(chown("st", 4000, 4000));
		mkdir("st/d", 0777);
		mkdir("st/e", 0777);
		rep_put("st/f", "x");
		rep_put("st/g", "x");
		rep_put("st/mine", "x");
		mkdir("free", 0777);
		chmod("free", 0777);
		T(chown("st/f", 4001, 4001));
		T(chown("st/d", 4001, 4001));
		T(chown("st/mine", u, u));
		AS(u, u, {
			T(rename("st/f", "st/f2"));
			T(rename("st/f2", "st/f"));
			T(rename("st/d", "st/d2"));
			T(rename("st/d2", "st/d"));
			T(rename("st/d", "free/d"));
			T(rename("st/mine", "st/g"));
			T(rename("st/mine", "st/f"));
			T(link("st/f", "free/l"));
			T(link("st/g", "free/l2"));
			T(renameat2(-100, "st/mine", -100, "st/f",
				    RENAME_EXCHANGE));
			T(renameat2(-100, "st/f", -100, "free/w",
				    RENAME_WHITEOUT));
			T(unlink("st/f"));
			T(unlink("st/g"));
			T(rmdir("st/d"));
			T(rmdir("st/e"));
			T(unlink("st/mine"));
			T(open("st/g", O_CREAT | O_RDWR, 0600));
			T(chmod("st", 0777));
		});
		rep_remove("free");
	}
	rep_remove("st");
}

/* chattr and statx ------------------------------------------------------- */

static void show_statx(const char *path)
{
	struct statx st;

	memset(&st, 0, sizeof(st));
	T(statx(-100, path, AT_SYMLINK_NOFOLLOW, STATX_ALL, &st));
	rep_say("mask %x attributes %llx of %llx blksize %u btime %s",
		st.stx_mask & ~0x3000u,	/* the mount's id, direct I/O: newer */
		(unsigned long long)st.stx_attributes,
		(unsigned long long)st.stx_attributes_mask, st.stx_blksize,
		st.stx_btime.tv_sec > 1000000 ? "set" : "none");
}

static void flags_of(void)
{
	static const int flags[] = {
		FS_IMMUTABLE_FL, FS_APPEND_FL, FS_NODUMP_FL, FS_NOATIME_FL,
		FS_SYNC_FL, FS_DIRSYNC_FL, FS_SECRM_FL, FS_UNRM_FL, FS_COMPR_FL,
		FS_JOURNAL_DATA_FL, FS_NOTAIL_FL, FS_TOPDIR_FL, FS_EXTENT_FL,
		FS_PROJINHERIT_FL, FS_ENCRYPT_FL, FS_VERITY_FL, FS_NOCOW_FL,
		FS_DAX_FL, FS_INDEX_FL, 0x80000000,
	};
	static const char *const objects[] = { "a/f", "a/d" };
	struct fsxattr fx;
	size_t i, o;
	int old, fl, f;

	rep_part("flags");
	mkdir("a", 0777);
	mkdir("a/d", 0777);
	rep_put("a/f", "text");
	mkfifo("a/p", 0644);
	T(symlink("f", "a/y"));
	show_statx("a/f");
	show_statx("a/d");
	show_statx("a/p");
	show_statx("a/y");
	show_statx(".");
	for (o = 0; o < N(objects); o++) {
		f = open(objects[o], O_RDONLY);
		old = 0;
		TV(ioctl(f, FS_IOC_GETFLAGS, &old));
		rep_say("%s has %x", objects[o], old);
		for (i = 0; i < N(flags); i++) {
			fl = old | flags[i];
			rep_say("flag %x", flags[i]);
			TC(objects[o], ioctl(f, FS_IOC_SETFLAGS, &fl));
			T(ioctl(f, FS_IOC_GETFLAGS, &fl));
			rep_say("now %x", fl);
			show_statx(objects[o]);
			if (!o) {
				TC("a/f", pwrite(f, "x", 1, 0));
				T(open("a/f", O_RDWR));
				T(open("a/f", O_WRONLY | O_APPEND));
				T(open("a/f", O_WRONLY | O_APPEND | O_TRUNC));
				T(truncate("a/f", 1));
				T(link("a/f", "a/l"));
				T(unlink("a/l"));
				T(rename("a/f", "a/g"));
				T(rename("a/g", "a/f"));
			} else {
				T(close(open("a/d/n", O_CREAT | O_RDWR, 0644)));
				T(unlink("a/d/n"));
				T(mkdir("a/d/m", 0755));
				T(rmdir("a/d/m"));
			}
			TC(objects[o], chmod(objects[o], 0777));
			TC(objects[o], chown(objects[o], 1, 1));
			TC(objects[o], utimensat(-100, objects[o], NULL, 0));
			TC(objects[o], setxattr(objects[o], "user.a", "1", 1, 0));
			T(removexattr(objects[o], "user.a"));
			AS(1, 1, T(ioctl(f, FS_IOC_SETFLAGS, &old)));
			T(ioctl(f, FS_IOC_SETFLAGS, &old));
			unlink("a/d/n");
			rmdir("a/d/m");
		}
		T(ioctl(f, FS_IOC_FSGETXATTR, &fx));
		rep_say("xflags %x projid %u", fx.fsx_xflags, fx.fsx_projid);
		fx.fsx_projid = 77;
		T(ioctl(f, FS_IOC_FSSETXATTR, &fx));
		fx.fsx_projid = 0;
		T(ioctl(f, FS_IOC_FSSETXATTR, &fx));
		fx.fsx_extsize = 4096;
		fx.fsx_xflags |= FS_XFLAG_EXTSIZE;
		T(ioctl(f, FS_IOC_FSSETXATTR, &fx));
		close(f);
	}
}

static void room(void)
{
	struct statvfs v;
	struct statfs f;

	rep_part("statvfs");
	T(statvfs(".", &v));
	rep_say("bsize %lu frsize %lu namemax %lu flag %lx", v.f_bsize,
		v.f_frsize, v.f_namemax, v.f_flag);
	T(statfs(".", &f));
	rep_say("type %lx flags %lx", (long)f.f_type, (long)f.f_flags);
	/*
	 * Not _PC_LINK_MAX: for the type that the ext filesystems share, glibc
	 * searches the list of mounts for "ext4" and takes ext2's limit else.
	 */
	rep_say("pathconf %ld %ld %ld", pathconf(".", _PC_NAME_MAX),
		pathconf(".", _PC_2_SYMLINKS), pathconf(".", _PC_FILESIZEBITS));
}

int main(int argc, char **argv)
{
	static void (*const parts[])(void) = {
		times_of_names, times_of_reading, times_of_writing,
		times_of_attributes, set_ids, inherit, sticky, flags_of, room,
	};

	if (argc != 2) {
		fprintf(stderr, "usage: posix-attrs DIR\n");
		return 2;
	}
	rep_start(argv[1]);
	return rep_parts(parts, N(parts));
}
