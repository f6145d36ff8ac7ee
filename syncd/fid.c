// SPDX-License-Identifier: GPL-2.0
/*
 * FIDs are the mount's file handles (struct im_fh). Whatever a peer sends as a
 * FID or a name, fid_open() opens only an object of this fileset: by handle the
 * module sees to it; by name one component is looked up beneath a directory that
 * was opened by handle, no link and no mount is followed, and what is found must
 * have the FID.
 *
 * Nothing but regular files and directories is ever opened other than as
 * O_PATH: opening a device or a fifo has effects.
 */
#include "syncd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

union fid_handle {
	struct file_handle h;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

int fid_of(int dirfd, const char *name, struct im_fid *fid)
{
	union fid_handle u;
	struct im_fh fh;
	int mount_id;

	u.h.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(dirfd, name, &u.h, &mount_id,
			      *name ? 0 : AT_EMPTY_PATH) < 0)
		return -errno;
	/* another filesystem mounted here, or not an intermezzo mount */
	if (u.h.handle_type != IM_FH_FID || u.h.handle_bytes != sizeof(fh))
		return -EXDEV;
	memcpy(&fh, u.h.f_handle, sizeof(fh));
	fid->ino = cpu_to_le64((u64)fh.ino_hi << 32 | fh.ino_lo);
	fid->gen = cpu_to_le32(fh.gen);
	fid->zero = 0;
	return 0;
}

static int fid_by_handle(struct fset *f, const struct im_fid *fid, int type,
			 int flags)
{
	u64 ino = le64_to_cpu(fid->ino);
	struct im_fh fh = {
		.ino_lo = (u32)ino,
		.ino_hi = (u32)(ino >> 32),
		.gen = le32_to_cpu(fid->gen),
	};
	union fid_handle u;
	int fd;

	u.h.handle_bytes = sizeof(fh);
	u.h.handle_type = type;
	memcpy(u.h.f_handle, &fh, sizeof(fh));
	fd = open_by_handle_at(f->fd, &u.h, flags);
	return fd < 0 ? -errno : fd;
}

static int fid_by_name(struct fset *f, const struct im_fid *fid,
		       const struct im_fid *dir, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_XDEV,
	};
	struct im_fid found = { 0 };
	int dfd, fd, err;

	if (!im_name_ok(name, strlen(name)))
		return -ESTALE;
	dfd = fid_by_handle(f, dir, IM_FH_FID, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dfd < 0)
		return dfd == -ENOTDIR ? -ESTALE : dfd;
	fd = (int)syscall(SYS_openat2, dfd, name, &how, sizeof(how));
	err = fd < 0 ? -errno : fid_of(fd, "", &found);
	close(dfd);
	if (!err && im_fid_eq(&found, fid))
		return fd;
	if (fd >= 0)
		close(fd);
	switch (err) {
	case 0:
	case -ENOENT:
	case -ENOTDIR:
	case -EXDEV:
	case -ENAMETOOLONG:
		return -ESTALE;
	}
	return err;
}

/* An O_PATH descriptor becomes one with flags; takes pfd. */
static int fid_reopen(int pfd, int flags)
{
	char path[32];
	struct stat st;
	int fd;

	if (fstat(pfd, &st) < 0) {
		fd = -errno;
	} else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		fd = -EINVAL;
	} else {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", pfd);
		/* the last component is a magic link, that one is followed */
		fd = open(path, (flags & ~O_NOFOLLOW) | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	close(pfd);
	return fd;
}

int fid_open(struct fset *f, const struct im_fid *fid, const struct im_fid *dir,
	     const char *name, int flags)
{
	int fd;

	if (im_fid_none(fid))
		return -ESTALE;
	fd = fid_by_handle(f, fid, IM_FH_FID_INSIDE,
			   O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -ESTALE && !im_fid_none(dir))
		fd = fid_by_name(f, fid, dir, name);
	return fd < 0 || flags & O_PATH ? fd : fid_reopen(fd, flags);
}

int fid_open_known(struct fset *f, const struct im_fid *fid, int flags)
{
	int fd;

	if (im_fid_none(fid))
		return -ESTALE;
	fd = fid_by_handle(f, fid, IM_FH_FID, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || flags & O_PATH ? fd : fid_reopen(fd, flags);
}
