/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only door to the lower filesystem: one line for each change, with its
 * trace (pr_debug). The caller holds write access to the lower mount and the
 * lower directories' i_rwsems, and has checked the names.
 */
#ifndef _IM_LOWER_H
#define _IM_LOWER_H

#include "intermezzo.h"

static inline int im_do_create(struct dentry *dir, struct dentry *dentry,
			       umode_t mode)
{
	int err = im_compat_create(dir, dentry, mode);

	pr_debug("im: create %pd2 0%o = %d\n", dentry, mode, err);
	return err;
}

/* May replace *dentry by another one, references follow. */
static inline int im_do_mkdir(struct dentry *dir, struct dentry **dentry,
			      umode_t mode)
{
	int err = im_compat_mkdir(dir, dentry, mode);

	pr_debug("im: mkdir %pd2 0%o = %d\n", *dentry, mode, err);
	return err;
}

static inline int im_do_mknod(struct dentry *dir, struct dentry *dentry,
			      umode_t mode, dev_t rdev)
{
	int err = im_compat_mknod(dir, dentry, mode, rdev);

	pr_debug("im: mknod %pd2 0%o = %d\n", dentry, mode, err);
	return err;
}

static inline int im_do_symlink(struct dentry *dir, struct dentry *dentry,
				const char *target)
{
	int err = im_compat_symlink(dir, dentry, target);

	pr_debug("im: symlink %pd2 = %d\n", dentry, err);
	return err;
}

static inline int im_do_link(struct dentry *old, struct dentry *dir,
			     struct dentry *dentry)
{
	int err = im_compat_link(old, dir, dentry);

	pr_debug("im: link %pd2 = %d\n", dentry, err);
	return err;
}

static inline int im_do_unlink(struct dentry *dir, struct dentry *dentry)
{
	int err = im_compat_unlink(dir, dentry);

	pr_debug("im: unlink %pd2 = %d\n", dentry, err);
	return err;
}

static inline int im_do_rmdir(struct dentry *dir, struct dentry *dentry)
{
	int err = im_compat_rmdir(dir, dentry);

	pr_debug("im: rmdir %pd2 = %d\n", dentry, err);
	return err;
}

static inline int im_do_rename(struct dentry *old_dir, struct dentry *old,
			       struct dentry *new_dir, struct dentry *new,
			       unsigned int flags)
{
	int err = im_compat_rename(old_dir, old, new_dir, new, flags);

	pr_debug("im: rename %pd2 -> %pd2 0x%x = %d\n", old, new, flags, err);
	return err;
}

/* The dentry's i_rwsem is held. */
static inline int im_do_setattr(struct dentry *dentry, struct iattr *ia)
{
	int err = im_compat_notify_change(dentry, ia);

	pr_debug("im: setattr %pd2 0x%x = %d\n", dentry, ia->ia_valid, err);
	return err;
}

/* The dentry's i_rwsem is held. */
static inline int im_do_setxattr_locked(struct dentry *dentry, const char *name,
					const void *value, size_t size,
					int flags)
{
	int err = im_compat_setxattr_locked(dentry, name, value, size, flags);

	pr_debug("im: setxattr %pd2 %s %zu = %d\n", dentry, name, size, err);
	return err;
}

static inline int im_do_removexattr_locked(struct dentry *dentry,
					   const char *name)
{
	int err = im_compat_removexattr_locked(dentry, name);

	pr_debug("im: removexattr %pd2 %s = %d\n", dentry, name, err);
	return err;
}

/* Takes the dentry's i_rwsem. */
static inline int im_do_setxattr(struct dentry *dentry, const char *name,
				 const void *value, size_t size, int flags)
{
	int err = vfs_setxattr(IM_NOP_IDMAP, dentry, name, value, size, flags);

	pr_debug("im: setxattr %pd2 %s %zu = %d\n", dentry, name, size, err);
	return err;
}

/* An open file without a name in the directory dir. */
struct file *im_do_tmpfile(struct im_fs *fs, struct dentry *dir, umode_t mode,
			   int flags);
/* A directory for the module's own use, with the current credentials. */
struct file *im_lower_open_dir(struct im_fs *fs, struct dentry *dir, int flags);

/*
 * As im_lower_by_fid(), but only an alias which ok() accepts; -EACCES or
 * -ESTALE: there is none.
 */
struct dentry *im_lower_decode(struct im_fs *fs, const struct im_fid *fid,
			       int (*ok)(void *arg, struct dentry *dentry));
/* Writes back the whole lower filesystem and commits its journal. */
int im_lower_sync(struct im_fs *fs);
/*
 * Calls fn for each entry of a lower directory except "." and ".." until it
 * returns non-zero, and returns that, or an error. With the mounter's
 * credentials; the directory is not locked by the caller.
 */
int im_lower_each(struct im_fs *fs, struct dentry *dir,
		  int (*fn)(void *arg, const char *name, int len, u64 ino),
		  void *arg);

#endif /* _IM_LOWER_H */
