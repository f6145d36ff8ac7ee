/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that kernels differ in. Code outside is written in the form of the newer
 * kernels; what is missing in the one at hand is wrapped here. Differences are
 * found by probes (compat/probes), never by version numbers.
 */
#ifndef _IM_COMPAT_H
#define _IM_COMPAT_H

#include <linux/dcache.h>
#include <linux/fileattr.h>
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/posix_acl.h>
#include <linux/xattr.h>

/* The mapping of ids: a user namespace before struct mnt_idmap. */
typedef struct user_namespace im_idmap;
#define IM_NOP_IDMAP (&init_user_ns)

typedef struct fileattr im_fileattr;
typedef const struct xattr_handler *im_xattr_table;

static inline int im_compat_create(struct dentry *dir, struct dentry *dentry,
				   umode_t mode)
{
	return vfs_create(IM_NOP_IDMAP, d_inode(dir), dentry, mode, true);
}

/* Returns the dentry of the new directory, maybe another one, or an error. */
static inline struct dentry *im_compat_mkdir(struct dentry *dir,
					     struct dentry *dentry,
					     umode_t mode)
{
	int err = vfs_mkdir(IM_NOP_IDMAP, d_inode(dir), dentry, mode);

	return err ? ERR_PTR(err) : dentry;
}

static inline int im_compat_mknod(struct dentry *dir, struct dentry *dentry,
				  umode_t mode, dev_t rdev)
{
	return vfs_mknod(IM_NOP_IDMAP, d_inode(dir), dentry, mode, rdev);
}

static inline int im_compat_symlink(struct dentry *dir, struct dentry *dentry,
				    const char *target)
{
	return vfs_symlink(IM_NOP_IDMAP, d_inode(dir), dentry, target);
}

static inline int im_compat_link(struct dentry *old, struct dentry *dir,
				 struct dentry *dentry)
{
	return vfs_link(old, IM_NOP_IDMAP, d_inode(dir), dentry, NULL);
}

static inline int im_compat_unlink(struct dentry *dir, struct dentry *dentry)
{
	return vfs_unlink(IM_NOP_IDMAP, d_inode(dir), dentry, NULL);
}

static inline int im_compat_rmdir(struct dentry *dir, struct dentry *dentry)
{
	return vfs_rmdir(IM_NOP_IDMAP, d_inode(dir), dentry);
}

static inline int im_compat_rename(struct dentry *old_dir, struct dentry *old,
				   struct dentry *new_dir, struct dentry *new,
				   unsigned int flags)
{
	struct renamedata rd = {
		.old_mnt_userns = IM_NOP_IDMAP,
		.old_dir = d_inode(old_dir),
		.old_dentry = old,
		.new_mnt_userns = IM_NOP_IDMAP,
		.new_dir = d_inode(new_dir),
		.new_dentry = new,
		.flags = flags,
	};

	return vfs_rename(&rd);
}

static inline int im_compat_notify_change(struct dentry *dentry,
					  struct iattr *ia)
{
	return notify_change(IM_NOP_IDMAP, dentry, ia, NULL);
}

/* base is locked. */
static inline struct dentry *im_compat_lookup(const char *name,
					      struct dentry *base, int len)
{
	return lookup_one_len(name, base, len);
}

/* base is not locked. */
static inline struct dentry *im_compat_lookup_unlocked(const char *name,
						       struct dentry *base,
						       int len)
{
	return lookup_one_len_unlocked(name, base, len);
}

/* The ACL of a lower inode; never from a cache of ours. */
static inline struct posix_acl *im_compat_get_acl(struct inode *inode, int type)
{
	return get_acl(inode, type);
}

/*
 * Gives the unnamed dentry of a file under O_TMPFILE its name "#ino" and the
 * inode. d_tmpfile() is not it: it drops a link, which marks the inode dirty.
 */
static inline void im_compat_tmpfile(struct file *file, struct inode *inode)
{
	struct dentry *dentry = file->f_path.dentry;

	spin_lock(&dentry->d_parent->d_lock);
	spin_lock_nested(&dentry->d_lock, DENTRY_D_LOCK_NESTED);
	dentry->d_name.len = sprintf(dentry->d_iname, "#%llu",
				     (unsigned long long)inode->i_ino);
	spin_unlock(&dentry->d_lock);
	spin_unlock(&dentry->d_parent->d_lock);
	d_instantiate(dentry, inode);
}

/*
 * Opens the inode at `lower`, without notifications. What others see of the
 * file (/proc/PID/maps, messages, security modules) is the path `user`, which
 * it pins.
 */
static inline struct file *im_compat_open(const struct path *user,
					  const struct path *lower, int flags,
					  const struct cred *cred)
{
	return open_with_fake_path(user, flags | __FMODE_NONOTIFY,
				   d_inode(lower->dentry), cred);
}

/* The dentry of `user` above. */
static inline struct dentry *im_compat_user_dentry(const struct file *file)
{
	return file->f_path.dentry;
}

static inline int im_compat_freeze(struct super_block *sb)
{
	return freeze_super(sb);
}

static inline int im_compat_thaw(struct super_block *sb)
{
	return thaw_super(sb);
}

#endif /* _IM_COMPAT_H */
