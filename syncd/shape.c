// SPDX-License-Identifier: GPL-2.0
#include "shape.h"

#include <fcntl.h>
#include <linux/securebits.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <syslog.h>
#include <unistd.h>

#include "tree.h"

#define SHAPE_LIST_MAX	65536		/* XATTR_LIST_MAX */
#define SHAPE_ROOM	(1U << 20)	/* with so much, a disk is not full */

/* Root's capabilities stay when fsuid is not 0; securebits are per thread. */
int shape_thread(void)
{
	int bits = prctl(PR_GET_SECUREBITS);

	if (bits < 0 ||
	    prctl(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP))
		return -errno;
	return 0;
}

static int shape_make_as(int dirfd, const char *name, const struct shape *s)
{
	char target[IM_TARGET_LEN + 1];
	mode_t perm = s->mode & 07777;
	int fd;

	switch (s->mode & S_IFMT) {
	case S_IFREG:
		/* mknod leaves no open file whose close would be a CLOSE */
		return mknodat(dirfd, name, S_IFREG | perm, 0) ? -errno : 0;
	case S_IFDIR:
		if (mkdirat(dirfd, name, perm))
			return -errno;
		return 0;
	case S_IFLNK:
		if (!s->target_len || s->target_len > IM_TARGET_LEN ||
		    memchr(s->target, '\0', s->target_len))
			return -EPROTO;
		memcpy(target, s->target, s->target_len);
		target[s->target_len] = '\0';
		return symlinkat(target, dirfd, name) ? -errno : 0;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		fd = mknodat(dirfd, name, s->mode,
			     makedev((u32)(s->rdev >> 32), (u32)s->rdev));
		return fd ? -errno : 0;
	}
	return -EPROTO;
}

int shape_make(int dirfd, const char *name, const struct shape *s)
{
	int err;

	if (s->uid)
		setfsuid(s->uid);
	if (s->gid)
		setfsgid(s->gid);
	err = shape_make_as(dirfd, name, s);
	if (s->uid)
		setfsuid(0);
	if (s->gid)
		setfsgid(0);
	return err;
}

int shape_attrs(int fd, const struct shape *s)
{
	char path[TREE_FDPATH];
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if ((st.st_uid != s->uid || st.st_gid != s->gid) &&
	    fchownat(fd, "", s->uid, s->gid, AT_EMPTY_PATH))
		return -errno;
	if (S_ISLNK(s->mode))
		return 0;
	/* The chown may have taken set-id bits away. */
	if (fstat(fd, &st))
		return -errno;
	if ((st.st_mode & 07777) != (s->mode & 07777) &&
	    chmod(tree_fdpath(path, fd), s->mode & 07777))
		return -errno;
	return 0;
}

int shape_times(int fd, u64 mtime, u32 mtime_ns)
{
	struct timespec ts[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = (time_t)mtime, .tv_nsec = mtime_ns },
	};
	struct stat st;

	if (mtime_ns >= 1000000000)
		return -EPROTO;
	if (fstat(fd, &st))
		return -errno;
	if (st.st_mtim.tv_sec == ts[1].tv_sec &&
	    st.st_mtim.tv_nsec == ts[1].tv_nsec)
		return 0;
	return utimensat(fd, "", ts, AT_EMPTY_PATH) ? -errno : 0;
}

/*
 * An xattr that this filesystem cannot hold (ext4 says ENOSPC when it is too
 * large for its block) must not stop all that comes after it.
 */
static int shape_set(int fd, const char *path, const char *name,
		     const void *value, size_t len)
{
	struct statvfs sv;
	int err;

	if (!setxattr(path, name, value, len, 0))
		return 0;
	err = -errno;
	if (err == -ENOSPC && (fstatvfs(fd, &sv) || !sv.f_bavail ||
			       sv.f_bavail * sv.f_frsize < SHAPE_ROOM))
		return err;
	if (err != -ENOSPC && err != -EOPNOTSUPP && err != -E2BIG &&
	    err != -ERANGE)
		return err;
	logmsg(LOG_ERR,
	       "cannot store xattr %s of %zu bytes here, going on without: %s",
	       name, len, strerror(-err));
	return 0;
}

int shape_setxattr(int fd, const char *name, size_t name_len, const void *value,
		   size_t len)
{
	char path[TREE_FDPATH], n[IM_NAME_LEN + 1];

	if (!im_xattr_name_ok(name, name_len))
		return -EPROTO;
	memcpy(n, name, name_len);
	n[name_len] = '\0';
	tree_fdpath(path, fd);
	if (value)
		return shape_set(fd, path, n, value, len);
	if (removexattr(path, n) && errno != ENODATA)
		return -errno;
	return 0;
}

/*
 * Only what a server sends can be missing from what it sends. What security
 * modules of this machine give to every file is theirs.
 */
static bool shape_removable(const char *name)
{
	static const char *const theirs[] = {
		"security.selinux", "security.apparmor", "security.ima",
		"security.evm",
	};
	size_t i;

	for (i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
		if (!strcmp(name, theirs[i]))
			return false;
	}
	/* SMACK64EXEC and others, too */
	if (!strncmp(name, "security.SMACK64", 16))
		return false;
	return !strncmp(name, "security.", 9) || !strncmp(name, "user.", 5) ||
	       (!strncmp(name, "trusted.", 8) &&
		strncmp(name, IM_XATTR_PREFIX, sizeof(IM_XATTR_PREFIX) - 1)) ||
	       !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

static bool shape_has(const struct im_obj *obj, const char *name)
{
	const char *n;
	const void *v;
	size_t pos = 0;
	u16 nl;
	u32 vl;

	while (im_obj_xattr(obj, &pos, &n, &nl, &v, &vl) == 1) {
		if (nl == strlen(name) && !memcmp(n, name, nl))
			return true;
	}
	return false;
}

static int shape_remove_others(const char *path, const struct im_obj *obj)
{
	ssize_t n = listxattr(path, NULL, 0), at;
	char *list;
	int err = 0;

	if (n <= 0)
		return n < 0 && errno != EOPNOTSUPP ? -errno : 0;
	list = malloc(SHAPE_LIST_MAX);
	if (!list)
		return -ENOMEM;
	n = listxattr(path, list, SHAPE_LIST_MAX);
	for (at = 0; !err && at < n; at += (ssize_t)strlen(list + at) + 1) {
		if (shape_removable(list + at) && !shape_has(obj, list + at) &&
		    removexattr(path, list + at) && errno != ENODATA)
			err = -errno;
	}
	free(list);
	return err;
}

static bool shape_same(const char *path, const char *name, const void *value,
		       u32 len, u8 *buf)
{
	return getxattr(path, name, buf, IM_VALUE_LEN) == (ssize_t)len &&
	       !memcmp(buf, value, len);
}

int shape_xattrs(int fd, const struct im_obj *obj)
{
	char path[TREE_FDPATH], name[IM_NAME_LEN + 1];
	const char *n;
	const void *v;
	size_t pos = 0;
	u16 nl;
	u32 vl;
	u8 *buf = NULL;
	int err;

	tree_fdpath(path, fd);
	err = shape_remove_others(path, obj);
	while (!err && im_obj_xattr(obj, &pos, &n, &nl, &v, &vl) == 1) {
		if (!im_xattr_name_ok(n, nl)) {
			err = -EPROTO;
			break;
		}
		memcpy(name, n, nl);
		name[nl] = '\0';
		if (!buf)
			buf = malloc(IM_VALUE_LEN);
		if (!buf)
			err = -ENOMEM;
		else if (!shape_same(path, name, v, vl, buf))
			err = shape_set(fd, path, name, v, vl);
	}
	free(buf);
	return err;
}

void shape_from_obj(struct shape *s, const struct im_obj *obj)
{
	s->mode = le32_to_cpu(obj->o->mode);
	s->uid = le32_to_cpu(obj->o->uid);
	s->gid = le32_to_cpu(obj->o->gid);
	s->rdev = le64_to_cpu(obj->o->rdev);
	s->target = obj->target;
	s->target_len = obj->target_len;
}
