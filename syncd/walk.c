// SPDX-License-Identifier: GPL-2.0
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct names {
	char *p;
	size_t len, room;
};

static int names_add(struct names *v, const char *name)
{
	size_t n = strlen(name) + 1;

	if (v->len + n > v->room) {
		size_t room = (v->room + n) * 2;
		char *p = realloc(v->p, room);

		if (!p)
			return -ENOMEM;
		v->p = p;
		v->room = room;
	}
	memcpy(v->p + v->len, name, n);
	v->len += n;
	return 0;
}

/* fd's own position stays where it is. */
static int names_read(struct names *v, int fd)
{
	struct dirent *e;
	DIR *d;
	int own, err = 0;

	own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (own < 0)
		return -errno;
	d = fdopendir(own);
	if (!d) {
		err = -errno;
		close(own);
		return err;
	}
	while (!err) {
		errno = 0;
		e = readdir(d);
		if (!e) {
			err = -errno;
			break;
		}
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			err = names_add(v, e->d_name);
	}
	closedir(d);
	return err;
}

int walk_dir(int fd, walk_fn fn, void *arg)
{
	struct names v = { 0 };
	struct stat st;
	size_t at;
	int err = names_read(&v, fd);

	for (at = 0; !err && at < v.len; at += strlen(v.p + at) + 1) {
		if (fstatat(fd, v.p + at, &st, AT_SYMLINK_NOFOLLOW)) {
			err = errno == ENOENT ? 0 : -errno;
			continue;
		}
		err = fn(arg, fd, v.p + at, &st);
	}
	free(v.p);
	return err;
}

struct walk {
	walk_fn fn;
	void *arg;
};

static int walk_deeper(void *arg, int dirfd, const char *name,
		       const struct stat *st)
{
	struct walk *w = arg;
	int fd, err = w->fn(w->arg, dirfd, name, st);

	if (err || !S_ISDIR(st->st_mode))
		return err;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		    O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	err = walk_dir(fd, walk_deeper, w);
	close(fd);
	return err;
}

int walk_tree(int fd, walk_fn fn, void *arg)
{
	struct walk w = { fn, arg };

	return walk_dir(fd, walk_deeper, &w);
}
