// SPDX-License-Identifier: GPL-2.0
/*
 * An object as it travels. All of it is read through one O_PATH descriptor, so
 * that FID, attributes and xattrs are of one object, whatever happens to the
 * name: attributes of one file under the FID of another would be an error that
 * no later record repairs.
 */
#include "answer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OBJECT_XATTRS	(IM_WIRE_FRAME_MAX - (64U << 10))	/* all values */

struct xattrs {
	struct im_xattr *v;
	unsigned int n;
	char *list;
	char *values;
	size_t used;			/* of values */
	size_t room;
};

/* The names that travel, NUL after each; their total length. */
static ssize_t object_list(const char *path, char **list)
{
	ssize_t len;
	char *p = NULL, *more;

	*list = NULL;
	for (;;) {
		len = listxattr(path, NULL, 0);
		if (len <= 0)
			break;
		more = realloc(p, len + 1);
		if (!more) {
			free(p);
			return -ENOMEM;
		}
		p = more;
		len = listxattr(path, p, len);
		if (len >= 0 || errno != ERANGE)
			break;
	}
	if (len <= 0) {
		free(p);
		return !len || errno == ENOTSUP ? 0 : -errno;
	}
	p[len] = '\0';
	*list = p;
	return len;
}

/* Value of x->v[i], by its offset at first: values may move. */
static int object_value(struct xattrs *x, const char *path, const char *name)
{
	size_t room;
	ssize_t len;
	char *p;

	for (;;) {
		len = getxattr(path, name, x->values + x->used,
			       x->room - x->used);
		/* room 0 asks for the length */
		if (len >= 0 && (x->room > x->used || !len))
			break;
		if (len < 0 && errno == ENODATA)
			return 0;	/* removed meanwhile */
		if (len < 0 && errno != ERANGE)
			return -errno;
		if (x->room > OBJECT_XATTRS)
			return -E2BIG;
		room = x->room ? x->room * 4 : 4096;
		p = realloc(x->values, room);
		if (!p)
			return -ENOMEM;
		x->values = p;
		x->room = room;
	}
	x->v[x->n].name = name;
	x->v[x->n].value = NULL;
	x->v[x->n].value_len = len;
	x->n++;
	x->used += len;
	return 0;
}

static int object_xattrs(struct xattrs *x, int fd)
{
	char path[32], *name, *end;
	unsigned int count = 0, i;
	size_t at = 0;
	ssize_t len;
	int err;

	/* A magic link leads to the object itself, to a symlink's also. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = object_list(path, &x->list);
	if (len <= 0)
		return len;
	end = x->list + len;
	for (name = x->list; name < end; name += strlen(name) + 1)
		count++;
	x->v = malloc(count * sizeof(*x->v));
	if (!x->v)
		return -ENOMEM;
	for (name = x->list; name < end; name += strlen(name) + 1) {
		if (!im_xattr_name_ok(name, strlen(name)))
			continue;
		err = object_value(x, path, name);
		if (err)
			return err;
	}
	for (i = 0; i < x->n; at += x->v[i++].value_len)
		x->v[i].value = x->values + at;
	return 0;
}

int object_put(struct im_buf *b, int fd, const struct im_fid *fid,
	       const char *name)
{
	struct xattrs x = { 0 };
	struct im_wire_obj o = { .fid = *fid };
	char target[IM_TARGET_LEN + 1];
	ssize_t target_len = 0;
	struct stat st;
	int err = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	o.mode = cpu_to_le32(st.st_mode);
	o.uid = cpu_to_le32(st.st_uid);
	o.gid = cpu_to_le32(st.st_gid);
	o.nlink = cpu_to_le32(st.st_nlink);
	o.mtime = cpu_to_le64(st.st_mtim.tv_sec);
	o.mtime_ns = cpu_to_le32(st.st_mtim.tv_nsec);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		o.size = cpu_to_le64(st.st_size);
		o.blocks = cpu_to_le64(st.st_blocks);
		break;
	case S_IFCHR:
	case S_IFBLK:
		o.rdev = cpu_to_le64((u64)major(st.st_rdev) << 32 |
				     minor(st.st_rdev));
		break;
	case S_IFLNK:
		target_len = readlinkat(fd, "", target, sizeof(target));
		if (target_len < 0)
			return -errno;
		if (target_len > IM_TARGET_LEN)
			return -ENAMETOOLONG;
		break;
	}
	err = object_xattrs(&x, fd);
	if (!err)
		im_obj_put(b, &o, name, name ? strlen(name) : 0, target,
			   target_len, x.v, x.n);
	if (!err)
		err = b->err;
	free(x.v);
	free(x.values);
	free(x.list);
	return err;
}
