// SPDX-License-Identifier: GPL-2.0
/*
 * churn DIR SEED PROCESSES OPS [all|attrs]: changes a tree at random in every
 * way that a program can, from several processes that get into each other's
 * way. The operations follow from SEED; how the processes interleave does not.
 * Names come from a small pool shared by files and directories, so that they
 * are renamed over and under each other. What fails because another process was
 * faster is part of the game; an errno that no such race explains ends the
 * program with status 1. all: files without a name that get one later, and
 * whiteouts, are among it; attrs: four of five operations change attributes.
 * With CHURN_NOMEM in the environment ENOMEM does not end it either; with
 * CHURN_PAGES only whole pages are punched and zeroed: under data=journal ext4
 * warns (ext4_journalled_invalidate_folio) when it punches a part of a page
 * that is in a commit.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH 4
#define FILE_MAX (1 << 20)

static uint64_t state;
static bool all, attrs;

static uint64_t rnd(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static unsigned int below(unsigned int n)
{
	return rnd() % n;
}

static char names[48][256];
#define NAMES (sizeof(names) / sizeof(*names))

static void make_names(void)
{
	static const char *const odd[] = {
		"with space", " lead", "trail ", "new\nline", "tab\tname",
		"\xff\xfe" "bad utf8", "\xc3(", "-dash", "*", "?", "\\", "'\"",
		".hidden", "...", "%41", "a:b", "\x01\x02", "caf\xc3\xa9",
	};
	size_t i;

	for (i = 0; i < NAMES; i++)
		snprintf(names[i], sizeof(names[i]), "n%zu", i);
	for (i = 0; i < sizeof(odd) / sizeof(*odd); i++)
		strcpy(names[NAMES - 1 - i], odd[i]);
	memset(names[3], 'L', 255);
	names[3][255] = 0;
	memset(names[4], 0xe9, 255);
	names[4][255] = 0;
}

/* The working directory is the tree. Shallow paths are likelier. */
static const char *path(char *buf)
{
	int depth = below(DEPTH), i;

	strcpy(buf, ".");
	for (i = 0; i < depth; i++) {
		strcat(buf, "/");
		strcat(buf, names[below(6)]);
	}
	strcat(buf, "/");
	strcat(buf, names[below(3) ? below(NAMES) : below(8)]);
	return buf;
}

/* Errors that a race or a full pool of names explains. */
static int check(const char *what, const char *p, int ret)
{
	static const int fine[] = {
		ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, ENODATA, ELOOP,
		EINVAL, ETXTBSY, ENXIO, EMLINK, EPERM, ENOTSUP, EXDEV, EBUSY,
		ENOSPC, EADDRINUSE, ENAMETOOLONG, EFBIG, EACCES,
	};
	size_t i;

	if (ret >= 0)
		return ret;
	for (i = 0; i < sizeof(fine) / sizeof(*fine); i++)
		if (errno == fine[i])
			return ret;
	if (errno == ENOMEM && getenv("CHURN_NOMEM"))
		return ret;
	fprintf(stderr, "churn: %s %s: %s\n", what, p, strerror(errno));
	exit(1);
}

static void fill(char *buf, size_t len)
{
	uint64_t v = rnd();
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = 'a' + (v + i * (1 + v % 7)) % 26;
}

static void change_data(const char *p)
{
	static char buf[65536];
	struct stat st;
	size_t len = 1 + below(below(4) ? 2000 : sizeof(buf)), hole_len;
	off_t off, hole;
	char *map;
	int fd, flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, i, n;

	switch (below(4)) {
	case 0: flags |= O_CREAT; break;
	case 1: flags |= O_CREAT | O_TRUNC; break;
	case 2: flags |= O_APPEND; break;
	}
	fd = check("open", p, open(p, flags, 0600 | below(0100)));
	if (fd < 0)
		return;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return;
	}
	n = 1 + below(4);
	for (i = 0; i < n; i++) {
		off = below(st.st_size > FILE_MAX ? FILE_MAX : st.st_size + 1000);
		fill(buf, len);
		hole = off;
		hole_len = len;
		if (getenv("CHURN_PAGES")) {
			hole -= off % 4096;
			hole_len += 4095 - (len + 4095) % 4096;
		}
		switch (below(9)) {
		case 0:
		case 1:
		case 2:
			check("write", p, pwrite(fd, buf, len, off));
			break;
		case 3:
			check("append", p, write(fd, buf, len));
			break;
		case 4:
			check("truncate", p, ftruncate(fd, off));
			break;
		case 5:
			if (fstat(fd, &st) || st.st_size < 1)
				break;
			map = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE,
				   MAP_SHARED, fd, 0);
			if (map == MAP_FAILED)
				break;
			/* msync in front: no page beyond a size that another
			 * process cuts; SIGBUS is handled by the parent loop */
			off = below(st.st_size);
			if (len > (size_t)(st.st_size - off))
				len = st.st_size - off;
			memcpy(map + off, buf, len);
			munmap(map, st.st_size);
			break;
		case 6:
			check("punch", p, fallocate(fd, FALLOC_FL_PUNCH_HOLE |
						    FALLOC_FL_KEEP_SIZE,
						    hole, hole_len));
			break;
		case 7:
			check("allocate", p, fallocate(fd, below(2) ?
						       FALLOC_FL_ZERO_RANGE : 0,
						       hole, hole_len));
			break;
		case 8:
			check("fsync", p, fsync(fd));
			break;
		}
		if (!below(8))
			usleep(below(20000));
	}
	if (!below(20)) {	/* go on writing when the name is gone */
		check("unlink", p, unlink(p));
		check("write", p, write(fd, buf, len));
	}
	close(fd);
}

/* What editors do: a new file beside the old one, then over it. */
static void save_by_rename(const char *p)
{
	char tmp[DEPTH * 260 + 64], buf[3000];
	struct stat st;
	int fd;

	if (strlen(strrchr(p, '/')) > 240)
		return;
	if (!lstat(p, &st) && !S_ISREG(st.st_mode))
		return;
	snprintf(tmp, sizeof(tmp), "%s~%d", p, (int)getpid());
	fd = check("open", tmp, open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0644));
	if (fd < 0)
		return;
	fill(buf, sizeof(buf));
	check("write", tmp, write(fd, buf, 1 + below(sizeof(buf))));
	if (below(2))
		check("fsync", tmp, fsync(fd));
	close(fd);
	if (check("rename", p, rename(tmp, p)) < 0)
		unlink(tmp);
}

/*
 * What tar, cp and install do: a new file gets data, owner, mode and times
 * before it is closed, in any order, and some of it not at all.
 */
static void unpack(const char *p, const char *other)
{
	char buf[3000];
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT } };
	int n = below(7), fd;

	fd = check("unpack", p, open(p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				     0600));
	if (fd < 0)
		return;
	fill(buf, sizeof(buf));
	while (n--) {
		switch (below(9)) {
		case 0:
		case 1:
			check("write", p, write(fd, buf, 1 + below(sizeof(buf))));
			break;
		case 2:
			check("fchown", p, fchown(fd, below(3000), below(3000)));
			break;
		case 3:
		case 4:
			check("fchmod", p, fchmod(fd, 0400 | below(010000)));
			break;
		case 5:
			ts[1].tv_sec = 1000000000 + below(1000000000);
			ts[1].tv_nsec = below(1000000000);
			check("futimens", p, futimens(fd, ts));
			break;
		case 6:
			check("fsync", p, fsync(fd));
			break;
		case 7:
			if (below(2))
				check("fsetxattr", p, fsetxattr(fd, "user.a",
								buf, 5, 0));
			else
				usleep(below(20000));
			break;
		case 8:
			if (below(2))
				check("link", p, link(p, other));
			else
				check("rename", p, rename(p, other));
			break;
		}
	}
	close(fd);
}

/* A file that has no name, may have data, and gets a name while it is open. */
static void name_a_file(const char *dir, const char *p)
{
	char proc[64], buf[3000];
	int fd;

	fd = check("tmpfile", dir, open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC,
					0600 | below(0100)));
	if (fd < 0)
		return;
	fill(buf, sizeof(buf));
	if (below(3))
		check("write", dir, write(fd, buf, 1 + below(sizeof(buf))));
	if (!below(3))
		check("fsync", dir, fsync(fd));
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	check("linkat", p, linkat(AT_FDCWD, proc, AT_FDCWD, p,
				  AT_SYMLINK_FOLLOW));
	if (!below(4))
		check("write", p, write(fd, buf, sizeof(buf)));
	close(fd);
}

static void change_acl(const char *p)
{
	/* version 2; user::rw- user:N:r-- group::r-- mask::r-x other::--- */
	struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} e[5];
	} acl = { 2, { { 1, 6, -1 }, { 2, 4, 1000 + below(3) }, { 4, 4, -1 },
		       { 16, below(8), -1 }, { 32, below(8), -1 } } };
	const char *name = below(2) ? "system.posix_acl_access" :
				      "system.posix_acl_default";

	if (below(4))
		check("setfacl", p, setxattr(p, name, &acl, sizeof(acl), 0));
	else
		check("setfacl", p, removexattr(p, name));
}

static void change_xattr(const char *p)
{
	static const char *const keys[] = { "user.a", "user.b", "trusted.t",
					    "user.long", "security.x" };
	const char *key = keys[below(5)];
	char value[300];
	size_t len = below(key[5] == 'l' ? sizeof(value) : 20);

	fill(value, sizeof(value));
	if (below(3))
		check("setxattr", p, lsetxattr(p, key, value, len, 0));
	else
		check("removexattr", p, lremovexattr(p, key));
}

static void make_special(const char *p)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	switch (below(4)) {
	case 0:
		check("mkfifo", p, mkfifo(p, 0644));
		break;
	case 1:
		check("mknod", p, mknod(p, S_IFCHR | 0600,
					makedev(1, 3 + below(4))));
		break;
	case 2:
		check("mknod", p, mknod(p, S_IFBLK | 0640,
					makedev(7, below(300))));
		break;
	case 3:
		if (strlen(p) >= sizeof(sa.sun_path))
			break;
		strcpy(sa.sun_path, p);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		check("bind", p, bind(fd, (void *)&sa, sizeof(sa)));
		close(fd);
		break;
	}
}

static void step(void)
{
	char a[DEPTH * 260 + 8], b[DEPTH * 260 + 8];
	struct timespec ts[2];
	unsigned int k = below(100);
	int fd;

	if (attrs && below(5))
		k = 71 + below(18);
	path(a);
	path(b);
	if (all && !below(12)) {
		if (below(2)) {
			check("whiteout", a, renameat2(AT_FDCWD, a, AT_FDCWD, b,
						       RENAME_WHITEOUT));
		} else {
			strcpy(b, a);
			*strrchr(b, '/') = '\0';
			name_a_file(b, a);
		}
	} else if (k < 24) {
		change_data(a);
	} else if (k < 29) {
		unpack(a, b);
	} else if (k < 34) {
		fd = check("create", a, open(a, O_WRONLY | O_CREAT | O_EXCL |
					     O_CLOEXEC, 0666));
		if (fd >= 0)
			close(fd);
	} else if (k < 42) {
		check("mkdir", a, mkdir(a, 0700 | below(0100)));
	} else if (k < 52) {
		check("rename", a, rename(a, b));
	} else if (k < 55) {
		check("exchange", a, renameat2(AT_FDCWD, a, AT_FDCWD, b,
					       RENAME_EXCHANGE));
	} else if (k < 57) {
		check("rename", a, renameat2(AT_FDCWD, a, AT_FDCWD, b,
					     RENAME_NOREPLACE));
	} else if (k < 62) {
		check("link", a, link(a, b));
	} else if (k < 68) {
		check("unlink", a, unlink(a));
	} else if (k < 71) {
		check("rmdir", a, rmdir(a));
	} else if (k < 75) {
		check("chmod", a, fchmodat(AT_FDCWD, a, 0400 | below(010000), 0));
	} else if (k < 79) {
		check("chown", a, lchown(a, below(3000), below(3000)));
	} else if (k < 82) {
		ts[0].tv_sec = ts[1].tv_sec = 1000000000 + below(1000000000);
		ts[0].tv_nsec = 0;
		ts[1].tv_nsec = below(1000000000);
		check("utimens", a, utimensat(AT_FDCWD, a, ts,
					      AT_SYMLINK_NOFOLLOW));
	} else if (k < 86) {
		change_xattr(a);
	} else if (k < 89) {
		change_acl(a);
	} else if (k < 92) {
		check("symlink", a, symlink(b, a));
	} else if (k < 94) {
		make_special(a);
	} else if (k < 96) {
		check("truncate", a, truncate(a, below(100000)));
	} else {
		save_by_rename(a);
	}
}

int main(int argc, char **argv)
{
	unsigned long seed, procs, ops, i, k;
	int status, bad = 0;
	pid_t pid;

	all = argc == 6 && !strcmp(argv[5], "all");
	attrs = argc == 6 && !strcmp(argv[5], "attrs");
	if (argc != 5 + (all || attrs)) {
		fprintf(stderr, "usage: churn DIR SEED PROCESSES OPS [all|attrs]\n");
		return 2;
	}
	seed = strtoul(argv[2], NULL, 0);
	procs = strtoul(argv[3], NULL, 0);
	ops = strtoul(argv[4], NULL, 0);
	if (chdir(argv[1])) {
		fprintf(stderr, "churn: cannot enter %s: %s\n", argv[1],
			strerror(errno));
		return 1;
	}
	umask(0);
	make_names();
	for (i = 0; i < procs; i++) {
		pid = fork();
		if (pid < 0) {
			perror("churn: fork");
			return 1;
		}
		if (pid)
			continue;
		for (k = 0; k < ops; ) {
			/* A store to a page that another process cut off ends
			 * the child of a batch by SIGBUS; the next batch goes
			 * on with the numbers that follow. */
			unsigned long batch = k + 200 < ops ? k + 200 : ops;

			pid = fork();
			if (!pid) {
				state = seed * 1000003 + i * 7919 + k;
				for (; k < batch; k++)
					step();
				exit(0);
			}
			if (pid < 0 || waitpid(pid, &status, 0) < 0)
				exit(1);
			if (WIFEXITED(status) && WEXITSTATUS(status))
				exit(1);
			if (WIFSIGNALED(status) && WTERMSIG(status) != SIGBUS)
				exit(1);
			k = batch;
		}
		exit(0);
	}
	while ((pid = wait(&status)) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			bad = 1;
	return bad;
}
