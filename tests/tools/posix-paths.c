// SPDX-License-Identifier: GPL-2.0
/*
 * posix-paths DIR
 *
 * Every call that takes a path, with every kind of path: as root, as somebody
 * who may not, in directories of all modes, and through a read-only bind mount.
 * Shows which error comes first where several would be right.
 *
 * links: tests/tools/posix/report.c
 */
#include "tests/tools/posix/report.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The scene -------------------------------------------------------------- */

static void make_socket(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sa.sun_path, path);
	if (bind(s, (void *)&sa, sizeof(sa)))
		rep_say("cannot bind %s: %s", path, rep_errno(errno));
	close(s);
}

static void scene(void)
{
	rep_remove("s");
	if (mkdir("s", 0777) || mkdir("s/dir", 0755) ||
	    mkdir("s/full", 0755) || mkdir("s/full/sub", 0755) ||
	    symlink("file", "s/link") || symlink("dir", "s/dirlink") ||
	    symlink("nowhere", "s/dangling") || symlink("loop", "s/loop") ||
	    symlink("loopb", "s/loopa") || symlink("loopa", "s/loopb") ||
	    mkfifo("s/fifo", 0644) || mknod("s/chr", S_IFCHR | 0644,
					    makedev(1, 3)) ||
	    mkdir("s/sticky", 0777) || mkdir("s/locked", 0755) ||
	    chmod("s", 0777) || chmod("s/sticky", 01777))
		rep_say("cannot make the scene: %s", rep_errno(errno));
	rep_put("s/file", "text");
	rep_put("s/full/file", "inner");
	rep_put("s/sticky/file", "sticky");
	rep_put("s/locked/file", "locked");
	make_socket("s/sock");
	if (link("s/file", "s/hard") || chown("s/sticky/file", 4001, 4001) ||
	    chmod("s/locked", 0))
		rep_say("cannot make the scene: %s", rep_errno(errno));
}

static char name255[300], name256[300], deep[5000], almost[4200];

static const char *paths[] = {
	"file", "dir", "full", "link", "dirlink", "dangling", "loop", "loopa",
	"fifo", "chr", "sock", "none", "", ".", "..", "/",
	"file/", "file/x", "file/.", "file/..", "dir/", "dir/.", "dir/..",
	"dir//", "dir/new", "dir/new/", "full/file", "none/x", "none/",
	"link/", "link/x", "dirlink/", "dirlink/new", "dangling/",
	"dangling/x", "loop/x", "loop/", "fifo/x", "chr/x", "sock/x",
	"sticky/file", "locked/file", "locked/new", "hard",
	name255, name256, deep, almost,
};

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void long_paths(void)
{
	size_t i;

	memset(name255, 'n', 255);
	memset(name256, 'n', 256);
	for (i = 0; i + 2 < 4999; i += 2)
		memcpy(deep + i, "./", 2);
	for (i = 0; i + 2 < 4090; i += 2)
		memcpy(almost + i, "./", 2);
	strcat(almost, "file");
}

static const char *shown(const char *path)
{
	static char text[64];

	if (strlen(path) < 60)
		return path;
	snprintf(text, sizeof(text), "%.4s...(%zu)", path, strlen(path));
	return text;
}

/* The calls -------------------------------------------------------------- */

static long shut(int fd)
{
	int err = errno;

	if (fd < 0)
		return fd;
	close(fd);
	errno = err;
	return 0;
}

#define OPEN(name, flags) \
	static long name(const char *p) { return shut(open(p, flags, 0640)); }
OPEN(c_open_r, O_RDONLY | O_NONBLOCK)
OPEN(c_open_w, O_WRONLY | O_NONBLOCK)
OPEN(c_open_rw, O_RDWR | O_NONBLOCK)
OPEN(c_open_creat, O_RDWR | O_CREAT | O_NONBLOCK)
OPEN(c_open_excl, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK)
OPEN(c_open_trunc, O_WRONLY | O_TRUNC | O_NONBLOCK)
OPEN(c_open_rtrunc, O_RDONLY | O_TRUNC | O_NONBLOCK)
OPEN(c_open_append, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK)
OPEN(c_open_dir, O_RDONLY | O_DIRECTORY | O_NONBLOCK)
OPEN(c_open_dircreat, O_RDONLY | O_DIRECTORY | O_CREAT | O_NONBLOCK)
OPEN(c_open_nofollow, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
OPEN(c_open_nofcreat, O_RDWR | O_NOFOLLOW | O_CREAT | O_NONBLOCK)
OPEN(c_open_path, O_PATH)
OPEN(c_open_pathno, O_PATH | O_NOFOLLOW)
OPEN(c_open_tmp, O_TMPFILE | O_RDWR)
OPEN(c_open_tmpr, O_TMPFILE | O_RDONLY)
OPEN(c_open_noatime, O_RDONLY | O_NOATIME | O_NONBLOCK)
OPEN(c_open_direct, O_RDONLY | O_DIRECT | O_NONBLOCK)
OPEN(c_open_sync, O_WRONLY | O_SYNC | O_NONBLOCK)

static long c_mkdir(const char *p) { return mkdir(p, 0755); }
static long c_rmdir(const char *p) { return rmdir(p); }
static long c_unlink(const char *p) { return unlink(p); }
static long c_symlink(const char *p) { return symlink("target", p); }
static long c_symlink_empty(const char *p) { return symlink("", p); }
static long c_link_from(const char *p) { return link(p, "made"); }
static long c_link_follow(const char *p)
{
	return linkat(AT_FDCWD, p, AT_FDCWD, "made", AT_SYMLINK_FOLLOW);
}
static long c_link_to(const char *p) { return link("hard", p); }
static long c_link_none(const char *p) { return link("none2", p); }
static long c_link_dir(const char *p) { return link("full", p); }
static long c_mv_from(const char *p) { return rename(p, "made"); }
static long c_mv_file(const char *p) { return rename("hard", p); }
static long c_mv_dir(const char *p) { return rename("full", p); }
static long c_mv_none(const char *p) { return rename("none2", p); }
static long c_mv_into(const char *p) { return rename(p, "full"); }
static long c_mv_over(const char *p) { return rename(p, "hard"); }
static long c_mv_below(const char *p) { return rename(p, "full/sub"); }

static long mv2(const char *a, const char *b, unsigned int flags)
{
	return renameat2(AT_FDCWD, a, AT_FDCWD, b, flags);
}

static long c_noreplace(const char *p)
{
	return mv2("hard", p, RENAME_NOREPLACE);
}
static long c_exchange(const char *p)
{
	return mv2("hard", p, RENAME_EXCHANGE);
}
static long c_exchange_dir(const char *p)
{
	return mv2("full", p, RENAME_EXCHANGE);
}
static long c_whiteout(const char *p)
{
	return mv2(p, "made", RENAME_WHITEOUT);
}
static long c_badflags(const char *p) { return mv2("hard", p, 0x80); }

static long c_stat(const char *p)
{
	struct stat st;

	return stat(p, &st);
}
static long c_lstat(const char *p)
{
	struct stat st;

	return lstat(p, &st);
}
static long c_statx(const char *p)
{
	struct statx st;

	return statx(AT_FDCWD, p, AT_STATX_FORCE_SYNC, STATX_ALL, &st);
}
static long c_statfs(const char *p)
{
	struct statfs st;

	return statfs(p, &st);
}
static long c_access(const char *p) { return access(p, R_OK | W_OK); }
static long c_access_x(const char *p) { return access(p, X_OK); }
static long c_chmod(const char *p) { return chmod(p, 0711); }
static long c_chown(const char *p) { return chown(p, 4000, 4000); }
static long c_lchown(const char *p) { return lchown(p, 4000, 4000); }
static long c_chown_same(const char *p) { return chown(p, -1, -1); }
static long c_truncate(const char *p) { return truncate(p, 2); }
static long c_truncate_neg(const char *p) { return truncate(p, -1); }
static long c_utime_now(const char *p)
{
	return utimensat(AT_FDCWD, p, NULL, 0);
}
static long c_utime_set(const char *p)
{
	struct timespec t[2] = { { 1, 2 }, { 3, 4 } };

	return utimensat(AT_FDCWD, p, t, AT_SYMLINK_NOFOLLOW);
}
static long c_utime_omit(const char *p)
{
	struct timespec t[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };

	return utimensat(AT_FDCWD, p, t, 0);
}
static long c_readlink(const char *p)
{
	char buf[100];

	return readlink(p, buf, sizeof(buf));
}
static long c_chdir(const char *p)
{
	long r = chdir(p);
	int err = errno;

	/* with a path of its own: "." may not be searchable */
	if (!r && chdir(getenv("POSIX_HERE")))
		abort();
	errno = err;
	return r;
}
static long c_mkfifo(const char *p) { return mkfifo(p, 0600); }
static long c_mknod(const char *p) { return mknod(p, S_IFREG | 0600, 0); }
static long c_mkchr(const char *p)
{
	return mknod(p, S_IFCHR | 0600, makedev(1, 5));
}
static long c_mknod_dir(const char *p) { return mknod(p, S_IFDIR | 0600, 0); }
static long c_bind(const char *p)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0), err;
	long r = -1;

	errno = E2BIG;
	if (strlen(p) && strlen(p) < sizeof(sa.sun_path)) {
		strcpy(sa.sun_path, p);
		r = bind(s, (void *)&sa, sizeof(sa));
	}
	err = errno;
	close(s);
	errno = err;
	return r;
}
static long c_setxattr(const char *p)
{
	return setxattr(p, "user.a", "1", 1, 0);
}
static long c_lsetxattr(const char *p)
{
	return lsetxattr(p, "trusted.a", "1", 1, 0);
}
static long c_getxattr(const char *p)
{
	return getxattr(p, "user.none", NULL, 0);
}
static long c_listxattr(const char *p) { return listxattr(p, NULL, 0); }
static long c_removexattr(const char *p)
{
	return removexattr(p, "user.none");
}
static long c_handle(const char *p)
{
	union {
		struct file_handle fh;
		char room[sizeof(struct file_handle) + 128];
	} h = { .fh.handle_bytes = 128 };
	int mnt;

	return name_to_handle_at(AT_FDCWD, p, &h.fh, &mnt, 0);
}
static long c_opendir(const char *p)
{
	DIR *d = opendir(p);

	return d ? closedir(d) : -1;
}

static long how(const char *p, unsigned long long flags,
		unsigned long long resolve)
{
	struct open_how h = { .flags = flags, .resolve = resolve };

	return shut(syscall(SYS_openat2, AT_FDCWD, p, &h, sizeof(h)));
}
static long c_beneath(const char *p)
{
	return how(p, O_RDONLY | O_NONBLOCK, RESOLVE_BENEATH);
}
static long c_in_root(const char *p)
{
	return how(p, O_RDONLY | O_NONBLOCK, RESOLVE_IN_ROOT);
}
static long c_no_links(const char *p)
{
	return how(p, O_PATH, RESOLVE_NO_SYMLINKS);
}
static long c_no_xdev(const char *p)
{
	return how(p, O_PATH, RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
}
/* Without RESOLVE_CACHED: what is cached is nobody's contract. */

#define CALL(f) { #f, f }
static const struct {
	const char *name;
	long (*fn)(const char *path);
} calls[] = {
	CALL(c_open_r), CALL(c_open_w), CALL(c_open_rw), CALL(c_open_creat),
	CALL(c_open_excl), CALL(c_open_trunc), CALL(c_open_rtrunc),
	CALL(c_open_append), CALL(c_open_dir), CALL(c_open_dircreat),
	CALL(c_open_nofollow), CALL(c_open_nofcreat), CALL(c_open_path),
	CALL(c_open_pathno), CALL(c_open_tmp), CALL(c_open_tmpr),
	CALL(c_open_noatime), CALL(c_open_direct), CALL(c_open_sync),
	CALL(c_mkdir), CALL(c_rmdir), CALL(c_unlink), CALL(c_symlink),
	CALL(c_symlink_empty), CALL(c_link_from), CALL(c_link_follow),
	CALL(c_link_to), CALL(c_link_none), CALL(c_link_dir),
	CALL(c_mv_from), CALL(c_mv_file), CALL(c_mv_dir), CALL(c_mv_none),
	CALL(c_mv_into), CALL(c_mv_over), CALL(c_mv_below), CALL(c_noreplace),
	CALL(c_exchange), CALL(c_exchange_dir), CALL(c_whiteout),
	CALL(c_badflags), CALL(c_stat), CALL(c_lstat), CALL(c_statx),
	CALL(c_statfs), CALL(c_access), CALL(c_access_x), CALL(c_chmod),
	CALL(c_chown), CALL(c_lchown), CALL(c_chown_same), CALL(c_truncate),
	CALL(c_truncate_neg), CALL(c_utime_now), CALL(c_utime_set),
	CALL(c_utime_omit), CALL(c_readlink), CALL(c_chdir), CALL(c_mkfifo),
	CALL(c_mknod), CALL(c_mkchr), CALL(c_mknod_dir), CALL(c_bind),
	CALL(c_setxattr), CALL(c_lsetxattr), CALL(c_getxattr),
	CALL(c_listxattr), CALL(c_removexattr), CALL(c_handle),
	CALL(c_opendir), CALL(c_beneath), CALL(c_in_root), CALL(c_no_links),
	CALL(c_no_xdev),
};

static bool outside(const char *path)
{
	return !strcmp(path, "/") || !strcmp(path, "..") ||
	       !strcmp(path, "dir/..") || !strcmp(path, ".");
}

/* Calls that would change what lies outside of the scene, or its top. */
static bool spares(const char *path, const char *call)
{
	static const char *const change[] = {
		"c_ch", "c_lch", "c_ut", "c_set", "c_lset", "c_mv", "c_exch",
		"c_open_tmp", "c_whiteout", "c_link", "c_rmdir",
	};
	size_t i;

	if (!outside(path))
		return false;
	for (i = 0; i < N(change); i++)
		if (!strncmp(call, change[i], strlen(change[i])))
			return true;
	/* of another filesystem, whatever that is */
	return !strcmp(path, "/");
}


/* Where the scene is made, where the calls run; and who calls. */
struct set {
	const char *name;
	const char *top, *in;
	int uid;
};

static long call(const struct set *set, size_t c, const char *path, int *err)
{
	long r;

	if (chdir(set->in))
		abort();
	setenv("POSIX_HERE", set->in, 1);
	/* as the filesystem sees it: root comes back */
	setfsgid(set->uid);
	setfsuid(set->uid);
	errno = 0;
	r = calls[c].fn(path);
	*err = errno;
	setfsuid(0);
	setfsgid(0);
	if (chdir(set->top))
		abort();
	return r;
}

/* All calls with all paths given; `again` makes what they may change. */
static void matrix(const struct set *set, const char **list, size_t n,
		   void (*again)(void))
{
	unsigned int fresh, now;
	size_t c, p;
	int err;
	long r;

	again();
	fresh = rep_tree("s");
	for (c = 0; c < N(calls); c++) {
		for (p = 0; p < n; p++) {
			if (spares(list[p], calls[c].name))
				continue;
			r = call(set, c, list[p], &err);
			rep_say("%s %s(%s) = %s", set->name, calls[c].name,
				shown(list[p]), r < 0 ? rep_errno(err) : "ok");
			if (r < 0)
				continue;
			now = rep_tree("s");
			if (now == fresh)
				continue;
			rep_say("then the tree is %08x", now);
			again();
			fresh = rep_tree("s");
		}
		now = rep_tree("s");
		if (now == fresh)
			continue;
		rep_say("a failed %s has changed the tree", calls[c].name);
		again();
		fresh = rep_tree("s");
	}
}

/* Modes of a directory and of what is in it, to somebody else. */
static int dir_mode, file_mode;

static void perm_scene(void)
{
	rep_remove("s");
	if (mkdir("s", 0777) || chmod("s", 0777) || mkdir("s/p", 0755) ||
	    mkdir("s/full", 0777) || chmod("s/full", 0777) ||
	    mkdir("s/p/sub", 0755) || chmod("s/p/sub", file_mode))
		rep_say("cannot make the scene: %s", rep_errno(errno));
	rep_put("s/p/file", "text");
	rep_put("s/hard", "mine");
	if (chown("s/hard", 4000, 4000) || chown("s/full", 4000, 4000) ||
	    chmod("s/p/file", file_mode) || chmod("s/p", dir_mode))
		rep_say("cannot make the scene: %s", rep_errno(errno));
}

static void permissions(const char *top, const char *in)
{
	static const char *list[] = { "p/file", "p/new", "p/sub" };
	struct set set = { .top = top, .in = in, .uid = 4000 };
	char name[32];

	set.name = name;
	for (dir_mode = 0; dir_mode < 8; dir_mode++) {
		file_mode = dir_mode ^ 6;
		snprintf(name, sizeof(name), "%o/%o", dir_mode, file_mode);
		matrix(&set, list, N(list), perm_scene);
	}
	dir_mode = 01777;
	file_mode = 0666;
	set.name = "sticky";
	matrix(&set, list, N(list), perm_scene);
}

static const char *user_paths[] = {
	"file", "dir", "full", "link", "dangling", "fifo", "sock", "none",
	"file/x", "dir/", "dir/new", "full/file", "locked/file", "locked/new",
	"sticky/file", "locked", "hard", name256,
};

static const char *ro_paths[] = {
	"file", "dir", "full", "link", "dirlink", "dangling", "fifo", "chr",
	"none", "file/x", "dir/", "dir/new", "none/x", "hard", name256,
};

int main(int argc, char **argv)
{
	char top[4096], in[4200], ro[4096];
	struct set set = { .top = top, .in = in };

	if (argc != 2) {
		fprintf(stderr, "usage: posix-paths DIR\n");
		return 2;
	}
	rep_start(argv[1]);
	long_paths();
	if (mkdir("rw", 0777) || mkdir("ro", 0777) || chdir("rw") ||
	    !getcwd(top, sizeof(top))) {
		fprintf(stderr, "cannot begin in %s\n", argv[1]);
		return 2;
	}
	snprintf(in, sizeof(in), "%s/s", top);
	snprintf(ro, sizeof(ro), "%.*sro", (int)strlen(top) - 2, top);

	rep_part("root");
	set.name = "root";
	matrix(&set, paths, N(paths), scene);

	rep_part("user");
	set.name = "user";
	set.uid = 4000;
	matrix(&set, user_paths, N(user_paths), scene);

	rep_part("modes");
	permissions(top, in);

	rep_part("read-only");
	set.name = "ro";
	if (mount(top, ro, NULL, MS_BIND, NULL) ||
	    mount(NULL, ro, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
		rep_say("cannot bind: %s", rep_errno(errno));
	snprintf(in, sizeof(in), "%s/s", ro);
	set.uid = 0;
	matrix(&set, ro_paths, N(ro_paths), scene);
	set.name = "ro user";
	set.uid = 4000;
	matrix(&set, ro_paths, N(ro_paths), scene);
	if (umount(ro))
		rep_say("cannot unmount: %s", rep_errno(errno));
	return 0;
}
