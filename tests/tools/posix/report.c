// SPDX-License-Identifier: GPL-2.0
#include "tests/tools/posix/report.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Returns when what changes from now on gets another time: after a tick. */
static void next_tick(void)
{
	struct timespec a, b;

	clock_gettime(CLOCK_REALTIME_COARSE, &a);
	do {
		usleep(500);
		clock_gettime(CLOCK_REALTIME_COARSE, &b);
	} while (a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec);
}

static const char *part = "";
static unsigned int lines;
static pid_t child;

void rep_start(const char *dir)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	umask(022);
	if (chdir(dir)) {
		fprintf(stderr, "cannot enter %s: %s\n", dir, strerror(errno));
		exit(2);
	}
}

void rep_part(const char *name)
{
	part = name;
	printf("# %s\n", name);
	fflush(stdout);
}

void rep_say(const char *fmt, ...)
{
	va_list ap;

	printf("%s: ", part);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	lines++;
}

const char *rep_errno(int err)
{
	const char *name = strerrorname_np(err);

	return name ? name : "unknown errno";
}

long rep_call(const char *label, long r)
{
	int err = errno;

	rep_say("%s = %s", label, r == -1 ? rep_errno(err) : "ok");
	errno = err;
	return r;
}

long rep_value(const char *label, long r)
{
	int err = errno;

	if (r == -1)
		rep_say("%s = %s", label, rep_errno(err));
	else
		rep_say("%s = %ld", label, r);
	errno = err;
	return r;
}

/* Changes of attributes -------------------------------------------------- */

#define WATCHED 4

static struct watched {
	const char *path;
	struct stat st;
	int err;
} watched[WATCHED];

void rep_before(const char *a, const char *b, const char *c, const char *d)
{
	const char *paths[WATCHED] = { a, b, c, d };
	int i;

	next_tick();
	for (i = 0; i < WATCHED; i++) {
		watched[i].path = paths[i];
		if (paths[i])
			watched[i].err = lstat(paths[i], &watched[i].st) ?
				errno : 0;
	}
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec || a.tv_nsec != b.tv_nsec;
}

static void changes(const struct watched *w)
{
	const struct stat *a = &w->st;
	struct stat b;
	int err = lstat(w->path, &b) ? errno : 0;

	printf("; %s:", w->path);
	if (err || w->err) {
		printf(" %s to %s", w->err ? rep_errno(w->err) : "there",
		       err ? rep_errno(err) : "there");
		return;
	}
	if (a->st_ino != b.st_ino)
		printf(" other");
	if (a->st_mode != b.st_mode)
		printf(" mode %o", b.st_mode);
	if (a->st_nlink != b.st_nlink)
		printf(" nlink %+ld", (long)b.st_nlink - (long)a->st_nlink);
	if (a->st_uid != b.st_uid)
		printf(" uid %u", b.st_uid);
	if (a->st_gid != b.st_gid)
		printf(" gid %u", b.st_gid);
	if (a->st_size != b.st_size && !S_ISDIR(b.st_mode))
		printf(" size %lld", (long long)b.st_size);
	if (later(a->st_atim, b.st_atim))
		printf(" atime");
	if (later(a->st_mtim, b.st_mtim))
		printf(" mtime");
	if (later(a->st_ctim, b.st_ctim))
		printf(" ctime");
}

long rep_after(const char *label, long r)
{
	int err = errno, i;

	printf("%s: %s = %s", part, label, r == -1 ? rep_errno(err) : "ok");
	for (i = 0; i < WATCHED; i++)
		if (watched[i].path)
			changes(&watched[i]);
	putchar('\n');
	lines++;
	errno = err;
	return r;
}

void rep_stat(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		rep_say("stat %s = %s", path, rep_errno(errno));
	else
		rep_say("stat %s = mode %o nlink %lu uid %u gid %u size %lld rdev %lx",
			path, st.st_mode, (unsigned long)st.st_nlink,
			st.st_uid, st.st_gid,
			S_ISDIR(st.st_mode) ? 0 : (long long)st.st_size,
			(unsigned long)st.st_rdev);
}

/* Trees ------------------------------------------------------------------ */

unsigned int rep_sum(const void *data, size_t len, unsigned int sum)
{
	const unsigned char *p = data;

	while (len--)
		sum = (sum ^ *p++) * 16777619u;
	return sum;
}

static int no_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static unsigned int tree_at(const char *path, unsigned int sum)
{
	struct dirent **list;
	char *name, text[64];
	struct stat st;
	int n, i;

	if (lstat(path, &st))
		return sum;
	sum = rep_sum(path, strlen(path), sum);
	sum = rep_sum(text, snprintf(text, sizeof(text), "%o %lu %u %lld",
				     st.st_mode, (unsigned long)st.st_nlink,
				     st.st_uid, S_ISDIR(st.st_mode) ? 0 :
				     (long long)st.st_size), sum);
	if (!S_ISDIR(st.st_mode))
		return sum;
	n = scandir(path, &list, no_dots, by_bytes);
	for (i = 0; i < n; i++) {
		if (asprintf(&name, "%s/%s", path, list[i]->d_name) < 0)
			abort();
		sum = tree_at(name, sum);
		free(name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return sum;
}

unsigned int rep_tree(const char *path)
{
	return tree_at(path, 2166136261u);
}

void rep_remove(const char *path)
{
	struct dirent **list;
	char *name;
	int n, i;

	if (!unlink(path) || errno == ENOENT)
		return;
	n = scandir(path, &list, no_dots, NULL);
	for (i = 0; i < n; i++) {
		if (asprintf(&name, "%s/%s", path, list[i]->d_name) < 0)
			abort();
		rep_remove(name);
		free(name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	if (rmdir(path))
		rep_say("cannot remove %s: %s", path, rep_errno(errno));
}

void rep_put(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		rep_say("cannot write %s: %s", path, rep_errno(errno));
	close(fd);
}

void rep_content(const char *path)
{
	unsigned int sum = 2166136261u;
	char buf[4096];
	long size = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		rep_say("content of %s = %s", path, rep_errno(errno));
		return;
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		sum = rep_sum(buf, n, sum);
		size += n;
	}
	rep_say("content of %s = %ld bytes, sum %08x%s", path, size, sum,
		n < 0 ? ", then an error" : "");
	close(fd);
}

/* Other users ------------------------------------------------------------ */

bool rep_fork(int uid, int gid)
{
	fflush(stdout);
	child = fork();
	if (child)
		return false;
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) ||
	    setresuid(uid, uid, uid))
		rep_say("cannot become %d:%d: %s", uid, gid, rep_errno(errno));
	return true;
}

void rep_leave(void)
{
	fflush(stdout);
	_exit(0);
}

void rep_join(void)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || status)
		rep_say("the child ended badly");
}

int rep_parts(void (*const *parts)(void), size_t n)
{
	char name[32];
	size_t i;

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "part%zu", i);
		if (mkdir(name, 0777) || chmod(name, 0777) || chdir(name)) {
			fprintf(stderr, "cannot enter %s\n", name);
			return 2;
		}
		parts[i]();
		if (chdir(".."))
			return 2;
	}
	return 0;
}
