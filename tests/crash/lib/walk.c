// SPDX-License-Identifier: GPL-2.0
/*
 * The tree as it is, seen through the mount, which must be at rest.
 */
#include "tests/crash/lib/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

int mount_info(int dirfd, struct im_ioc_info *info)
{
	return ioctl(dirfd, IM_IOC_INFO, info) ? -errno : 0;
}

static int complain(const char *what, const char *name)
{
	int err = errno;

	printf("cannot %s '%s': %s\n", what, name, strerror(err));
	return err ? -err : -EIO;
}

static int get_fid(int dirfd, const char *name, struct fid *fid)
{
	union {
		struct file_handle h;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .h.handle_bytes = MAX_HANDLE_SZ };
	struct im_fh fh;
	int mount_id;

	if (name_to_handle_at(dirfd, name, &u.h, &mount_id,
			      *name ? 0 : AT_EMPTY_PATH))
		return complain("get the FID of", name);
	if (u.h.handle_type != IM_FH_FID || u.h.handle_bytes != sizeof(fh)) {
		errno = EPROTO;
		return complain("understand the handle of", name);
	}
	memcpy(&fh, u.space + offsetof(struct file_handle, f_handle),
	       sizeof(fh));
	fid->ino = fh.ino_lo | (uint64_t)fh.ino_hi << 32;
	fid->gen = fh.gen;
	return 0;
}

/* By /proc/self/fd/N/name: there is no lgetxattrat. */
static int get_xattrs(struct node *n, const char *path)
{
	char names[8192], value[65536];
	ssize_t len, vlen;
	char *name;

	len = llistxattr(path, names, sizeof(names));
	if (len < 0)
		return complain("list xattrs of", path);
	for (name = names; name < names + len; name += strlen(name) + 1) {
		vlen = lgetxattr(path, name, value, sizeof(value));
		if (vlen < 0)
			return complain("read an xattr of", path);
		node_set_xattr(n, name, value, vlen);
	}
	return 0;
}

static int get_data(struct node *n, int dirfd, const char *name)
{
	static char buf[1 << 16];
	XXH3_state_t *x = XXH3_createState();
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int err = 0;
	ssize_t len;

	if (fd < 0 || !x) {
		XXH3_freeState(x);
		return complain("open", name);
	}
	XXH3_64bits_reset(x);
	while ((len = read(fd, buf, sizeof(buf))) > 0)
		XXH3_64bits_update(x, buf, len);
	if (len < 0)
		err = complain("read", name);
	n->digest = XXH3_64bits_digest(x);
	n->data_known = true;
	XXH3_freeState(x);
	close(fd);
	return err;
}

static int get_node(struct tree *t, const struct fid *fid, int dirfd,
		    const char *name, const struct stat *st)
{
	struct node *n = tree_add(t, fid);
	char path[IM_NAME_LEN + 64], target[IM_TARGET_LEN + 1];
	ssize_t len;
	int err;

	n->mode = st->st_mode;
	n->uid = st->st_uid;
	n->gid = st->st_gid;
	n->nlink = st->st_nlink;
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		n->rdev = (uint64_t)major(st->st_rdev) << 32 |
			  minor(st->st_rdev);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
	err = get_xattrs(n, path);
	if (err)
		return err;
	if (S_ISLNK(st->st_mode)) {
		len = readlinkat(dirfd, name, target, sizeof(target) - 1);
		if (len < 0)
			return complain("read the link", name);
		target[len] = 0;
		n->target = strdup(target);
	} else if (S_ISREG(st->st_mode)) {
		n->size = st->st_size;
		n->mtime = st->st_mtim.tv_sec;
		n->mtime_ns = st->st_mtim.tv_nsec;
		return get_data(n, dirfd, name);
	}
	return 0;
}

static int walk(struct tree *t, const struct fid *dir, int dirfd)
{
	struct fid fid;
	struct dirent *de;
	struct stat st;
	int err = 0, fd;
	DIR *d;

	fd = dup(dirfd);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return complain("read", tree_path(t, dir, NULL));
	while (!err && (de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (fstatat(dirfd, de->d_name, &st, AT_SYMLINK_NOFOLLOW)) {
			err = complain("stat", tree_path(t, dir, de->d_name));
			break;
		}
		err = get_fid(dirfd, de->d_name, &fid);
		if (err)
			break;
		tree_link(t, dir, de->d_name, &fid);
		if (tree_node(t, &fid))
			continue;
		err = get_node(t, &fid, dirfd, de->d_name, &st);
		if (err || !S_ISDIR(st.st_mode))
			continue;
		fd = openat(dirfd, de->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0) {
			err = complain("open", tree_path(t, dir, de->d_name));
			break;
		}
		err = walk(t, &fid, fd);
		close(fd);
	}
	closedir(d);
	return err;
}

int tree_walk(struct tree *t, int dirfd)
{
	struct stat st;
	int err;

	memset(t, 0, sizeof(*t));
	if (fstat(dirfd, &st))
		return complain("stat", "the root");
	err = get_fid(dirfd, "", &t->root);
	if (!err)
		err = get_node(t, &t->root, dirfd, ".", &st);
	return err ? err : walk(t, &t->root, dirfd);
}
