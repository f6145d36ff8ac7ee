// SPDX-License-Identifier: GPL-2.0
/*
 * posix-system DIR
 *
 * What processes see of each other through a filesystem: locks, leases,
 * notifications, execution, handles, directories that change while they are
 * read, descriptors reopened, other namespaces.
 *
 * links: tests/tools/posix/report.c
 */
#include "tests/tools/posix/report.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static char buf[65536];

/* Locks ------------------------------------------------------------------ */

static long lk(int fd, int cmd, int type, off_t at, off_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = at,
			   .l_len = len };
	long r = fcntl(fd, cmd, &l);

	if (!r && (cmd == F_GETLK || cmd == F_OFD_GETLK))
		return l.l_type * 1000 + l.l_start;
	return r;
}

static void locks(void)
{
	static const int cmds[] = { F_SETLK, F_OFD_SETLK };
	static const int types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
	static const int fl[] = { LOCK_SH, LOCK_EX, LOCK_UN };
	size_t c, t, u;
	int a, b, r;

	rep_part("locks");
	rep_put("f", "text");
	for (c = 0; c < N(cmds); c++)
		for (t = 0; t < N(types); t++)
			for (u = 0; u < N(types); u++) {
				rep_say("cmd %d held %d wanted %d", cmds[c],
					types[t], types[u]);
				a = open("f", O_RDWR);
				b = open("f", O_RDWR);
				r = open("f", O_RDONLY);
				TV(lk(a, cmds[c], types[t], 10, 10));
				TV(lk(b, cmds[c], types[u], 15, 10));
				TV(lk(r, cmds[c], types[u], 30, 1));
				TV(lk(a, cmds[c], types[t], -5, 10));
				TV(lk(a, cmds[c], types[t], 100, -10));
				if (rep_fork(4000, 4000)) {
					TV(lk(b, F_GETLK, F_WRLCK, 0, 0));
					TV(lk(b, F_OFD_GETLK, F_WRLCK, 0, 0));
					TV(lk(b, F_SETLK, types[u], 12, 1));
					TV(lk(a, F_OFD_SETLK, types[u], 12, 1));
					rep_leave();
				}
				rep_join();
				close(b);
				if (rep_fork(4000, 4000)) {
					TV(lk(a, F_GETLK, F_WRLCK, 0, 0));
					rep_leave();
				}
				rep_join();
				close(a);
				close(r);
			}
	for (t = 0; t < N(fl); t++)
		for (u = 0; u < N(fl); u++) {
			a = open("f", O_RDONLY);
			b = open("f", O_RDONLY);
			T(flock(a, fl[t] | LOCK_NB));
			T(flock(b, fl[u] | LOCK_NB));
			T(flock(dup(a), LOCK_EX | LOCK_NB));
			TV(lk(b, F_SETLK, F_RDLCK, 0, 0));
			close(a);
			close(b);
		}
	a = open(".", O_RDONLY);
	T(flock(a, LOCK_EX | LOCK_NB));
	TV(lk(a, F_SETLK, F_RDLCK, 0, 0));
	close(a);
	a = open("f", O_PATH);
	T(flock(a, LOCK_EX));
	close(a);
}

static void nothing(int sig)
{
}

static void leases(void)
{
	static const int types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR };
	static const int opens[] = { O_RDONLY, O_WRONLY, O_WRONLY | O_TRUNC };
	size_t f, t, o;
	int a, b;

	rep_part("leases");
	signal(SIGIO, nothing);
	for (f = 0; f < N(flags); f++)
		for (t = 0; t < N(types); t++) {
			rep_say("opened %d lease %d", flags[f], types[t]);
			rep_put("f", "text");
			a = open("f", flags[f]);
			T(fcntl(a, F_SETLEASE, types[t]));
			TV(fcntl(a, F_GETLEASE));
			for (o = 0; o < N(opens); o++) {
				TV(b = open("f", opens[o] | O_NONBLOCK) >= 0);
				TV(fcntl(a, F_GETLEASE));
				T(fcntl(a, F_SETLEASE, types[t]));
			}
			T(fcntl(a, F_SETLEASE, F_UNLCK));
			AS(4000, 4000, T(fcntl(a, F_SETLEASE, F_RDLCK)));
			close(a);
			unlink("f");
		}
	rep_put("f", "text");
	a = open("f", O_RDONLY);
	b = open("f", O_RDONLY);
	T(fcntl(a, F_SETLEASE, F_RDLCK));
	T(fcntl(b, F_SETLEASE, F_RDLCK));
	T(fcntl(b, F_SETLEASE, F_WRLCK));
	T(fcntl(a, F_SETSIG, SIGIO));
	T(chmod("f", 0600));
	T(rename("f", "g"));
	T(unlink("g"));
	TV(fcntl(a, F_GETLEASE));
	close(a);
	close(b);
	a = open(".", O_RDONLY);
	T(fcntl(a, F_SETLEASE, F_RDLCK));
	close(a);
}

/* Notifications ---------------------------------------------------------- */

/* All that is done to be noticed. */
static void motion(void)
{
	int fd, fd2;
	char *map;

	fd = open("w/a", O_CREAT | O_RDWR, 0644);
	T(write(fd, "text", 4));
	T(pread(fd, buf, 4, 0));
	T(ftruncate(fd, 2));
	T(fallocate(fd, 0, 0, 10000));
	T(fchmod(fd, 0600));
	T(fchown(fd, 1, 1));
	T(futimens(fd, NULL));
	T(fsetxattr(fd, "user.a", "1", 1, 0));
	T(fsetxattr(fd, "user.a", "1", 1, XATTR_CREATE));
	T(fremovexattr(fd, "user.a"));
	fd2 = open("w/b", O_CREAT | O_RDWR, 0644);
	T(copy_file_range(fd, &(off_t){ 0 }, fd2, NULL, 10, 0));
	T(fsync(fd2));
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	map[0] = 'x';
	munmap(map, 4096);
	close(fd2);
	close(fd);
	fd = open("w/b", O_RDONLY);
	T(read(fd, buf, 10));
	T(read(fd, buf, 0));
	close(fd);
	T(link("w/a", "w/l"));
	T(rename("w/a", "w/c"));
	T(rename("w/c", "o/c"));
	T(rename("o/c", "w/d"));
	T(rename("w/b", "w/d"));
	T(renameat2(-100, "w/l", -100, "w/d", RENAME_EXCHANGE));
	T(symlink("x", "w/s"));
	T(readlink("w/s", buf, 10));
	T(mkfifo("w/p", 0644));
	T(mkdir("w/sub", 0755));
	T(rmdir("w/sub"));
	T(unlink("w/none"));
	T(unlink("w/l"));
	T(truncate("w/d", 1));
	T(chmod("w", 0777));
	fd = open("w", O_RDONLY);
	T(syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0);
	close(fd);
	fd = open("w", O_TMPFILE | O_RDWR, 0644);
	T(write(fd, "t", 1));
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
	T(linkat(-100, buf, -100, "w/t", AT_SYMLINK_FOLLOW));
	close(fd);
	T(unlink("w/t"));
	T(unlink("w/d"));
	T(unlink("w/p"));
	T(unlink("w/s"));
	T(rmdir("w"));
}

/* A file without a name is called by its inode number. */
static const char *without_number(const char *name)
{
	return *name == '#' ? "#" : name;
}

static void inotify_events(int fd, const char *who)
{
	const struct inotify_event *e;
	ssize_t n = read(fd, buf, sizeof(buf));
	char *p;

	for (p = buf; n > 0 && p < buf + n; p += sizeof(*e) + e->len) {
		e = (void *)p;
		rep_say("%s %x %s%s", who, e->mask,
			e->len ? without_number(e->name) : "",
			e->cookie ? " moved" : "");
	}
}

static void inotify(void)
{
	int dir, file;

	rep_part("inotify");
	mkdir("w", 0755);
	mkdir("o", 0755);
	dir = inotify_init1(IN_NONBLOCK);
	T(inotify_add_watch(dir, "w", IN_ALL_EVENTS));
	T(inotify_add_watch(dir, "o", IN_ALL_EVENTS));
	T(inotify_add_watch(dir, "w/none", IN_ALL_EVENTS));
	rep_put("w/f", "x");
	file = inotify_init1(IN_NONBLOCK);
	T(inotify_add_watch(file, "w/f", IN_ALL_EVENTS));
	T(inotify_add_watch(file, "w/f", IN_ALL_EVENTS | IN_ONLYDIR));
	T(rename("w/f", "w/g"));
	T(link("w/g", "w/h"));
	T(unlink("w/g"));
	T(chmod("w/h", 0600));
	T(unlink("w/h"));
	inotify_events(file, "file");
	motion();
	inotify_events(dir, "dir");
	close(dir);
	close(file);
}

static void fanotify_events(int fd)
{
	const struct fanotify_event_metadata *m;
	ssize_t n = read(fd, buf, sizeof(buf));

	for (m = (void *)buf; FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n)) {
		const struct fanotify_event_info_fid *f = (void *)(m + 1);
		const struct file_handle *h = (void *)f->handle;

		if (m->event_len > sizeof(*m) &&
		    (f->hdr.info_type == FAN_EVENT_INFO_TYPE_DFID_NAME ||
		     f->hdr.info_type >= 10))
			rep_say("event %llx info %d name %s",
				(unsigned long long)m->mask, f->hdr.info_type,
				without_number((const char *)h->f_handle +
					       h->handle_bytes));
		else
			rep_say("event %llx%s", (unsigned long long)m->mask,
				m->fd >= 0 ? " with a file" : "");
		if (m->fd >= 0)
			close(m->fd);
	}
}

static void fanotify(void)
{
	static const struct {
		unsigned int init, mark;
		unsigned long long mask;
		const char *path;
	} m[] = {
		{ FAN_CLASS_NOTIF, FAN_MARK_ADD, FAN_OPEN | FAN_MODIFY |
		  FAN_CLOSE | FAN_ACCESS | FAN_EVENT_ON_CHILD, "w" },
		{ FAN_CLASS_NOTIF, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN |
		  FAN_MODIFY | FAN_CLOSE | FAN_ACCESS, "bound/w" },
		{ FAN_REPORT_FID, FAN_MARK_ADD, FAN_CREATE | FAN_DELETE |
		  FAN_MOVE | FAN_ATTRIB | FAN_DELETE_SELF | FAN_MOVE_SELF |
		  FAN_ONDIR | FAN_EVENT_ON_CHILD, "w" },
		{ FAN_REPORT_DFID_NAME, FAN_MARK_ADD, FAN_CREATE | FAN_DELETE |
		  FAN_MOVE | FAN_ATTRIB | FAN_MODIFY | FAN_DELETE_SELF |
		  FAN_ONDIR | FAN_EVENT_ON_CHILD, "w" },
		{ FAN_REPORT_DFID_NAME, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
		  FAN_MOVE_SELF | FAN_ONDIR, "w" },
		{ FAN_REPORT_DFID_NAME_TARGET, FAN_MARK_ADD, FAN_RENAME |
		  FAN_ONDIR, "w" },
		{ FAN_CLASS_NOTIF, FAN_MARK_ADD, FAN_CREATE, "w" },
		{ FAN_REPORT_FID, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_CREATE,
		  "w" },
	};
	size_t i;
	int fd, p;

	rep_part("fanotify");
	mkdir("o", 0755);
	mkdir("bound", 0755);
	T(mount(".", "bound", NULL, MS_BIND, NULL));
	for (i = 0; i < N(m); i++) {
		rep_say("mark %zu", i);
		mkdir("w", 0755);
		T(fd = fanotify_init(m[i].init | FAN_NONBLOCK, O_RDONLY));
		T(fanotify_mark(fd, m[i].mark, m[i].mask, -100, m[i].path));
		motion();
		fanotify_events(fd);
		close(fd);
	}
	T(umount("bound"));
	/* permission: the parent decides */
	rep_put("f", "text");
	T(fd = fanotify_init(FAN_CLASS_CONTENT, O_RDONLY));
	T(fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN_PERM, -100, "f"));
	for (i = 0; i < 2; i++) {
		struct fanotify_event_metadata ev;
		struct fanotify_response resp;

		fflush(stdout);
		p = fork();
		if (!p) {
			int f = open("f", O_RDONLY);

			_exit(f < 0 ? errno : 0);
		}
		if (read(fd, &ev, sizeof(ev)) < (ssize_t)sizeof(ev))
			rep_say("no event");
		resp.fd = ev.fd;
		resp.response = i ? FAN_DENY : FAN_ALLOW;
		T(write(fd, &resp, sizeof(resp)));
		TV(read(ev.fd, buf, 10));
		close(ev.fd);
		if (waitpid(p, &p, 0) > 0)
			rep_say("open: %s", rep_errno(WEXITSTATUS(p)));
	}
	close(fd);
}

/* Execution -------------------------------------------------------------- */

static void copy_program(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_CREAT | O_WRONLY |
						  O_TRUNC, 0755);

	while (sendfile(out, in, NULL, 1 << 20) > 0)
		;
	close(in);
	close(out);
}

static long run(const char *path, int uid)
{
	int p, status;

	fflush(stdout);
	p = fork();
	if (!p) {
		if (uid && (setresgid(uid, uid, uid) ||
			    setresuid(uid, uid, uid)))
			_exit(99);
		execl(path, path, "-c", "exit 7", NULL);
		_exit(errno);
	}
	if (waitpid(p, &status, 0) != p)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

static void execution(void)
{
	int fd, p, go[2];

	rep_part("execution");
	copy_program("/bin/sh", "sh");
	TV(run("./sh", 0));
	TV(run("./sh", 4000));
	T(chmod("sh", 0744));
	TV(run("./sh", 4000));
	T(chmod("sh", 0711));
	TV(run("./sh", 4000));
	T(chmod("sh", 0644));
	TV(run("./sh", 0));
	TV(run(".", 0));
	TV(run("./none", 0));
	rep_put("script", "#!./sh\nexit 8\n");
	T(chmod("script", 0755));
	TV(run("./script", 0));
	T(chmod("sh", 0755));
	TV(run("./script", 0));
	rep_put("junk", "\1\2\3");
	T(chmod("junk", 0755));
	TV(run("./junk", 0));
	fd = open("sh", O_WRONLY);
	TV(run("./sh", 0));
	close(fd);
	TV(run("./sh", 0));

	T(pipe(go));
	fflush(stdout);
	p = fork();
	if (!p) {
		dup2(go[0], 0);
		close(go[1]);
		execl("./sh", "./sh", "-c", "read x", NULL);
		_exit(1);
	}
	/* it runs when its name is the program's */
	do {
		snprintf(buf, 64, "/proc/%d/exe", p);
		usleep(1000);
		memset(buf + 100, 0, 200);
	} while (readlink(buf, buf + 100, 200) < 3 ||
		 strcmp(buf + 100 + strlen(buf + 100) - 3, "/sh") ||
		 !strcmp(buf + 100, "/bin/sh") || !strcmp(buf + 100, "/usr/bin/sh"));
	T(open("sh", O_WRONLY));
	T(open("sh", O_RDWR | O_TRUNC));
	T(truncate("sh", 10));
	T(open("sh", O_RDONLY));
	T(rename("sh", "sh2"));
	T(unlink("sh2"));
	close(go[0]);
	close(go[1]);
	waitpid(p, NULL, 0);

	/* set-id and memory of files */
	copy_program("/usr/bin/id", "id");
	T(chown("id", 4001, 4001));
	T(chmod("id", 06755));
	fflush(stdout);
	p = fork();
	if (!p) {
		if (setresgid(4000, 4000, 4000) || setresuid(4000, 4000, 4000))
			_exit(99);
		execl("./id", "./id", NULL);
		_exit(errno);
	}
	waitpid(p, NULL, 0);
	T(mkdir("noexec", 0755));
	T(mount(".", "noexec", NULL, MS_BIND, NULL));
	T(mount(NULL, "noexec", NULL, MS_REMOUNT | MS_BIND | MS_NOEXEC |
		MS_NODEV | MS_NOSUID, NULL));
	TV(run("noexec/id", 0));
	T(mknod("null", S_IFCHR | 0666, 0x103));
	TV(open("null", O_RDONLY) >= 0);
	TV(open("noexec/null", O_RDONLY) >= 0);
	fd = open("noexec/id", O_RDONLY);
	T(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
	close(fd);
	T(umount("noexec"));
}

/* Descriptors ------------------------------------------------------------ */

static void handles(void)
{
	static const char *const objs[] = { "h/f", "h/d", "h/y", "h/p", "h/c" };
	struct room {
		struct file_handle fh;
		char room[128];
	} h;
	int mnt, dir, fd;
	struct stat a, b;
	size_t i;

	rep_part("handles");
	mkdir("h", 0755);
	mkdir("h/d", 0755);
	rep_put("h/f", "text");
	T(symlink("f", "h/y"));
	mkfifo("h/p", 0644);
	mknod("h/c", S_IFCHR | 0644, 0x103);
	dir = open(".", O_RDONLY);
	for (i = 0; i < N(objs); i++) {
		memset(&h, 0, sizeof(h));
		h.fh.handle_bytes = 0;
		T(name_to_handle_at(-100, objs[i], &h.fh, &mnt, 0));
		h.fh.handle_bytes = 128;
		T(name_to_handle_at(-100, objs[i], &h.fh, &mnt, 0));
		T(fd = open_by_handle_at(dir, &h.fh, O_PATH));
		lstat(objs[i], &a);
		fstat(fd, &b);
		rep_say("same %d", a.st_ino == b.st_ino && a.st_dev == b.st_dev);
		close(fd);
		T(fd = open_by_handle_at(dir, &h.fh, O_RDWR | O_NONBLOCK));
		TV(read(fd, buf, 10));
		close(fd);
		AS(4000, 4000, T(open_by_handle_at(dir, &h.fh, O_RDONLY)));
		rep_remove(objs[i]);
		T(fd = open_by_handle_at(dir, &h.fh, O_PATH));
		h.fh.handle_type ^= 0x40;
		T(fd = open_by_handle_at(dir, &h.fh, O_PATH));
	}
	close(dir);
}

static void reopen(void)
{
	int fd, fd2;

	rep_part("reopened");
	rep_put("f", "text");
	fd = open("f", O_RDONLY);
#define SELF(fd) (snprintf(buf, 64, "/proc/self/fd/%d", fd), buf)
	T(fd2 = open(SELF(fd), O_RDWR));
	T(write(fd2, "TEXT2", 5));
	close(fd2);
	T(unlink("f"));
	T(fd2 = open(SELF(fd), O_RDWR | O_TRUNC));
	T(write(fd2, "more", 4));
	TV(pread(fd, buf + 100, 10, 0));
	T(linkat(-100, SELF(fd), -100, "f2", AT_SYMLINK_FOLLOW));
	T(linkat(fd, "", -100, "f2", AT_EMPTY_PATH));
	T(chmod(SELF(fd), 0600));
	T(truncate(SELF(fd), 1));
	T(utimensat(-100, SELF(fd), NULL, 0));
	T(setxattr(SELF(fd), "user.a", "1", 1, 0));
	TV(fgetxattr(fd, "user.a", buf + 100, 10));
	TC2(SELF(fd2), ".", fsync(fd));
	close(fd2);
	close(fd);
	T(fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
	T(linkat(-100, SELF(fd), -100, "f3", AT_SYMLINK_FOLLOW));
	close(fd);
	T(fd = open(".", O_TMPFILE | O_WRONLY, 0));
	T(write(fd, "x", 1));
	T(fd2 = open(SELF(fd), O_RDONLY));
	AS(4000, 4000, T(open(SELF(fd), O_RDONLY)));
	T(linkat(fd, "", -100, "f4", AT_EMPTY_PATH));
	AS(4000, 4000, T(linkat(fd, "", -100, "f5", AT_EMPTY_PATH)));
	rep_stat("f4");
	close(fd);
	T(mkdir("gone", 0755));
	T(fd = open("gone", O_RDONLY));
	T(rmdir("gone"));
	T(openat(fd, "x", O_CREAT | O_RDWR, 0644));
	T(mkdirat(fd, "x", 0755));
	T(faccessat(fd, ".", R_OK, 0));
	T(faccessat(fd, "..", R_OK, 0));
	TV(syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	T(fchmod(fd, 0700));
	T(fsync(fd));
	T(openat(fd, ".", O_TMPFILE | O_RDWR, 0600));
	T(renameat(fd, "x", -100, "y"));
	T(symlinkat("a", fd, "b"));
	close(fd);
	T(fd = open("f4", O_RDONLY | O_CLOEXEC));
	TV(fcntl(fd, F_GETFD));
	close(fd);
}

static void directories(void)
{
	static unsigned char seen[2000];
	int i, n = 0, twice = 0, other = 0, types[128] = { 0 };
	long at[64];
	struct dirent *e;
	DIR *d;

	rep_part("directories");
	mkdir("many", 0755);
	for (i = 0; i < 1000; i++) {
		snprintf(buf, 64, "many/%d", i);
		close(open(buf, O_CREAT | O_WRONLY, 0644));
	}
	T(mkdir("many/d", 0755));
	T(symlink("x", "many/y"));
	T(mkfifo("many/p", 0644));
	T(mknod("many/c", S_IFCHR | 0644, 0));
	T(mknod("many/b", S_IFBLK | 0644, 0x700));
	d = opendir("many");
	memset(at, 0, sizeof(at));
	for (i = 0; (e = readdir(d)); i++) {
		int k = atoi(e->d_name);

		if (i % 20 == 0 && i / 20 < 64)
			at[i / 20] = telldir(d);
		/* the order is by a hash of the name, with a seed */
		if (e->d_type != DT_REG)
			types[e->d_name[0] & 127] = e->d_type;
		else if (k >= 0 && k < 2000)
			twice += seen[k]++;
		/* what is gone or new may be seen or not, the rest once */
		snprintf(buf, 64, "many/%d", (k + 500) % 1000);
		if (k < 1000 && k % 3 == 0 && e->d_type == DT_REG)
			unlink(buf);
		snprintf(buf, 64, "many/%d", k + 1000);
		if (k < 1000 && k % 7 == 0 && e->d_type == DT_REG)
			close(open(buf, O_CREAT | O_WRONLY, 0644));
	}
	for (i = 0; i < 1000; i++) {
		snprintf(buf, 64, "many/%d", i);
		if (!access(buf, F_OK) && !seen[i])
			n++;
	}
	rep_say("missed %d, twice %d", n, twice);
	for (i = 0; i < 128; i++)
		if (types[i])
			rep_say("type of %c: %d", i, types[i]);
	/* a position leads back to the same name, or behind it if it is gone */
	for (i = 0; i < 40; i++) {
		char name[300];

		if (!at[i])
			continue;
		seekdir(d, at[i]);
		e = readdir(d);
		snprintf(name, sizeof(name), "%s", e ? e->d_name : "");
		seekdir(d, at[i]);
		e = readdir(d);
		other += strcmp(name, e ? e->d_name : "") != 0;
	}
	rep_say("positions that lead elsewhere: %d", other);
	rewinddir(d);
	for (n = 0; readdir(d); n++)
		;
	closedir(d);
	d = opendir("many");
	for (; readdir(d); n--)
		;
	rep_say("difference after rewind: %d", n);
	closedir(d);
	T(open("many", O_RDONLY | O_DIRECTORY | O_CREAT, 0644));
}

static void namespaces(void)
{
	int p, fd;

	rep_part("namespaces");
	mkdir("u", 0777);
	chmod("u", 0777);
	T(chown("u", 4000, 4000));
	rep_put("u/root", "x");
	rep_put("u/mine", "x");
	T(chown("u/mine", 4000, 4000));
	copy_program("/bin/sh", "u/sh");
	T(chown("u/sh", 4000, 4000));
	fflush(stdout);
	p = fork();
	if (!p) {
		unsigned char cap[20] = { 1, 0, 0, 2, 0, 4, 0, 0 };

		if (setresgid(4000, 4000, 4000) || setresuid(4000, 4000, 4000))
			_exit(99);
		prctl(PR_SET_DUMPABLE, 1);	/* /proc/self is ours */
		T(unshare(CLONE_NEWUSER | CLONE_NEWNS));
		fd = open("/proc/self/setgroups", O_WRONLY);
		T(write(fd, "deny", 4));
		close(fd);
		fd = open("/proc/self/uid_map", O_WRONLY);
		T(write(fd, "0 4000 1", 8));
		close(fd);
		fd = open("/proc/self/gid_map", O_WRONLY);
		T(write(fd, "0 4000 1", 8));
		close(fd);
		rep_stat("u/root");
		rep_stat("u/mine");
		T(chown("u/mine", 0, 0));
		T(chown("u/mine", 1, 1));
		T(chmod("u/mine", 06755));
		T(chmod("u/root", 0600));
		T(unlink("u/root"));
		T(mknod("u/c", S_IFCHR | 0600, 0x103));
		T(mknod("u/w", S_IFCHR | 0600, 0));
		T(mkfifo("u/p", 0600));
		T(setxattr("u/mine", "trusted.a", "1", 1, 0));
		T(setxattr("u/mine", "user.a", "1", 1, 0));
		T(setxattr("u/mine", "security.a", "1", 1, 0));
		T(setxattr("u/sh", "security.capability", cap, 20, 0));
		TV(getxattr("u/sh", "security.capability", buf, 100));
		TV(run("u/sh", 0));
		T(mkdir("u/m", 0755));
		T(mount("u", "u/m", NULL, MS_BIND, NULL));
		T(mount("none", "u/m", "tmpfs", 0, NULL));
		T(renameat2(-100, "u/mine", -100, "u/mine2", RENAME_WHITEOUT));
		T(open_by_handle_at(-100, (void *)buf, O_RDONLY));
		rep_leave();
	}
	waitpid(p, NULL, 0);
	TV(getxattr("u/sh", "security.capability", buf, 100));
	rep_say("revision %x", ((unsigned char *)buf)[3]);
	rep_stat("u/mine");
	rep_stat("u/p");
}

static void edges(void)
{
	int i, fd;

	rep_part("edges");
	rep_put("f", "x");
	T(link("/proc/self/exe", "exe"));
	T(linkat(-100, "/proc/self/exe", -100, "exe", AT_SYMLINK_FOLLOW));
	T(rename("f", "/dev/shm/f"));
	T(link("f", "/dev/shm/f"));
	T(renameat2(-100, "f", -100, "/dev/null", RENAME_EXCHANGE));
	T(mkdir("m", 0755));
	T(mount("none", "m", "tmpfs", 0, NULL));
	T(rename("f", "m/f"));
	T(rmdir("m"));
	T(rename("m", "m2"));
	T(unlink("m"));
	T(umount("m"));
	T(rmdir("m"));
	fd = open("f", O_RDWR);
	T(ioctl(fd, FICLONE, 0));
	T(ioctl(fd, FS_IOC_GETVERSION, &i));
	T(ioctl(fd, FS_IOC_SETVERSION, &i) == 0 || errno == ENOTTY);
	T(ioctl(fd, 0x12345678, &i));
	T(ioctl(fd, FIOQSIZE, buf));
	T(ioctl(fd, FIONBIO, &i));
	T(ioctl(fd, FIOASYNC, &i));
	T(ioctl(fd, FITHAW, &i));
	close(fd);
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	T(bind(fd, (void *)&(struct sockaddr_un){ AF_UNIX, "sock" }, 110));
	T(bind(socket(AF_UNIX, SOCK_DGRAM, 0),
	       (void *)&(struct sockaddr_un){ AF_UNIX, "sock" }, 110));
	T(connect(socket(AF_UNIX, SOCK_DGRAM, 0),
		  (void *)&(struct sockaddr_un){ AF_UNIX, "sock" }, 110));
	T(rename("sock", "sock2"));
	T(connect(socket(AF_UNIX, SOCK_DGRAM, 0),
		  (void *)&(struct sockaddr_un){ AF_UNIX, "sock2" }, 110));
	T(link("sock2", "sock3"));
	T(connect(socket(AF_UNIX, SOCK_DGRAM, 0),
		  (void *)&(struct sockaddr_un){ AF_UNIX, "sock3" }, 110));
	T(open("sock2", O_RDWR));
	T(connect(socket(AF_UNIX, SOCK_DGRAM, 0),
		  (void *)&(struct sockaddr_un){ AF_UNIX, "f" }, 110));
	close(fd);
	T(connect(socket(AF_UNIX, SOCK_DGRAM, 0),
		  (void *)&(struct sockaddr_un){ AF_UNIX, "sock3" }, 110));
}

int main(int argc, char **argv)
{
	static void (*const parts[])(void) = {
		locks, leases, inotify, fanotify, execution, handles, reopen,
		directories, namespaces, edges,
	};

	if (argc != 2) {
		fprintf(stderr, "usage: posix-system DIR\n");
		return 2;
	}
	rep_start(argv[1]);
	return rep_parts(parts, N(parts));
}
