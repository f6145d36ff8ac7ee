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
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/security.h>
#include <linux/xattr.h>
#include "compat_probes.h"

#ifdef IM_HAVE_BACKING_FILE
#include <linux/backing-file.h>
#endif
/* Leases and locks were in fs.h before. */
#if __has_include(<linux/filelock.h>)
#include <linux/filelock.h>
#endif

/* Types ------------------------------------------------------------------ */

/* The mapping of ids: a user namespace before struct mnt_idmap. */
#ifdef IM_HAVE_MNT_IDMAP
typedef struct mnt_idmap im_idmap;
#define IM_NOP_IDMAP (&nop_mnt_idmap)
#else
typedef struct user_namespace im_idmap;
#define IM_NOP_IDMAP (&init_user_ns)
#endif

#ifdef IM_HAVE_FILE_KATTR
typedef struct file_kattr im_fileattr;
#else
typedef struct fileattr im_fileattr;
#endif

/* What ->mkdir returns: an error, or as a pointer; NULL: its own dentry. */
#ifdef IM_HAVE_MKDIR_DENTRY
typedef struct dentry *im_mkdir_ret;
#define IM_MKDIR_RET(err) ERR_PTR(err)
#else
typedef int im_mkdir_ret;
#define IM_MKDIR_RET(err) (err)
#endif

/* Since 6.11. */
#ifndef FMODE_CAN_ATOMIC_WRITE
#define FMODE_CAN_ATOMIC_WRITE 0
#endif

/* Completion of direct I/O by the submitter; it would look for the lower's. */
#ifndef IOCB_DIO_CALLER_COMP
#define IOCB_DIO_CALLER_COMP 0
#endif

/* Inodes ----------------------------------------------------------------- */

#ifndef IM_HAVE_INODE_CTIME
static inline struct timespec64 inode_get_ctime(const struct inode *inode)
{
	return inode->i_ctime;
}

static inline struct timespec64 inode_set_ctime_to_ts(struct inode *inode,
						      struct timespec64 ts)
{
	inode->i_ctime = ts;
	return ts;
}
#endif

#ifndef IM_HAVE_INODE_MTIME
static inline struct timespec64 inode_get_atime(const struct inode *inode)
{
	return inode->i_atime;
}

static inline struct timespec64 inode_get_mtime(const struct inode *inode)
{
	return inode->i_mtime;
}

static inline struct timespec64 inode_set_atime_to_ts(struct inode *inode,
						      struct timespec64 ts)
{
	inode->i_atime = ts;
	return ts;
}

static inline struct timespec64 inode_set_mtime_to_ts(struct inode *inode,
						      struct timespec64 ts)
{
	inode->i_mtime = ts;
	return ts;
}
#endif

#ifndef IM_HAVE_INODE_STATE
static inline unsigned long inode_state_read_once(const struct inode *inode)
{
	return READ_ONCE(inode->i_state);
}
#endif

/* Changes of names ------------------------------------------------------- */

/* No delegation is waited for here: the upper's caller has done that. */
#ifdef IM_HAVE_DELEGATED_INODE
#define IM_NO_DELEGATION , NULL
#else
#define IM_NO_DELEGATION
#endif

static inline int im_compat_create(struct dentry *dir, struct dentry *dentry,
				   umode_t mode)
{
#ifdef IM_HAVE_VFS_CREATE_DENTRY
	return vfs_create(IM_NOP_IDMAP, dentry, mode, NULL);
#else
	return vfs_create(IM_NOP_IDMAP, d_inode(dir), dentry, mode, true);
#endif
}

/*
 * Makes the directory *dentry, or another dentry, which then takes its place
 * with the reference. The parent remains locked and *dentry referenced.
 */
static inline int im_compat_mkdir(struct dentry *dir, struct dentry **dentry,
				  umode_t mode)
{
#ifdef IM_HAVE_MKDIR_DENTRY
	struct dentry *new;

	/* On failure it puts the dentry and unlocks the parent. */
	dget(*dentry);
	new = vfs_mkdir(IM_NOP_IDMAP, d_inode(dir), *dentry, mode
			IM_NO_DELEGATION);
	if (IS_ERR(new)) {
		inode_lock_nested(d_inode(dir), I_MUTEX_PARENT);
		return PTR_ERR(new);
	}
	dput(*dentry);
	*dentry = new;
	return 0;
#else
	return vfs_mkdir(IM_NOP_IDMAP, d_inode(dir), *dentry, mode);
#endif
}

static inline int im_compat_mknod(struct dentry *dir, struct dentry *dentry,
				  umode_t mode, dev_t rdev)
{
	return vfs_mknod(IM_NOP_IDMAP, d_inode(dir), dentry, mode, rdev
			 IM_NO_DELEGATION);
}

static inline int im_compat_symlink(struct dentry *dir, struct dentry *dentry,
				    const char *target)
{
	return vfs_symlink(IM_NOP_IDMAP, d_inode(dir), dentry, target
			   IM_NO_DELEGATION);
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
	return vfs_rmdir(IM_NOP_IDMAP, d_inode(dir), dentry IM_NO_DELEGATION);
}

static inline int im_compat_rename(struct dentry *old_dir, struct dentry *old,
				   struct dentry *new_dir, struct dentry *new,
				   unsigned int flags)
{
	struct renamedata rd = {
#ifdef IM_HAVE_RENAMEDATA_PARENTS
		.mnt_idmap = IM_NOP_IDMAP,
		.old_parent = old_dir,
		.new_parent = new_dir,
#else
#ifdef IM_HAVE_MNT_IDMAP
		.old_mnt_idmap = IM_NOP_IDMAP,
		.new_mnt_idmap = IM_NOP_IDMAP,
#else
		.old_mnt_userns = IM_NOP_IDMAP,
		.new_mnt_userns = IM_NOP_IDMAP,
#endif
		.old_dir = d_inode(old_dir),
		.new_dir = d_inode(new_dir),
#endif
		.old_dentry = old,
		.new_dentry = new,
		.flags = flags,
	};

	return vfs_rename(&rd);
}

/*
 * Locks two directories of one filesystem for a rename. Returns the child of
 * the one that leads to the other, which may not be moved there, or NULL.
 */
#ifdef IM_HAVE_LOCK_RENAME
static inline struct dentry *im_compat_lock_rename(struct dentry *a,
						   struct dentry *b)
{
	return lock_rename(a, b);
}

static inline void im_compat_unlock_rename(struct dentry *a, struct dentry *b)
{
	unlock_rename(a, b);
}
#else
/* Parents of directories are stable under s_vfs_rename_mutex. */
static inline struct dentry *im_compat_child_above(struct dentry *top,
						   struct dentry *dentry)
{
	for (; !IS_ROOT(dentry); dentry = dentry->d_parent)
		if (dentry->d_parent == top)
			return dentry;
	return NULL;
}

static inline struct dentry *im_compat_lock_rename(struct dentry *a,
						   struct dentry *b)
{
	struct dentry *trap;

	if (a == b) {
		inode_lock_nested(d_inode(a), I_MUTEX_PARENT);
		return NULL;
	}
	mutex_lock(&a->d_sb->s_vfs_rename_mutex);
	/* The upper one first. */
	trap = im_compat_child_above(b, a);
	if (trap) {
		inode_lock_nested(d_inode(b), I_MUTEX_PARENT);
		inode_lock_nested(d_inode(a), I_MUTEX_PARENT2);
		return trap;
	}
	trap = im_compat_child_above(a, b);
	inode_lock_nested(d_inode(a), I_MUTEX_PARENT);
	inode_lock_nested(d_inode(b), I_MUTEX_PARENT2);
	return trap;
}

static inline void im_compat_unlock_rename(struct dentry *a, struct dentry *b)
{
	inode_unlock(d_inode(a));
	if (a == b)
		return;
	inode_unlock(d_inode(b));
	mutex_unlock(&a->d_sb->s_vfs_rename_mutex);
}
#endif

/* The base is locked. */
static inline struct dentry *im_compat_lookup(const char *name,
					      struct dentry *base, int len)
{
#ifdef IM_HAVE_LOOKUP_NOPERM
	return lookup_noperm(&QSTR_LEN(name, len), base);
#else
	return lookup_one_len(name, base, len);
#endif
}

/* The base is not locked. */
static inline struct dentry *im_compat_lookup_unlocked(const char *name,
						       struct dentry *base,
						       int len)
{
#ifdef IM_HAVE_LOOKUP_NOPERM
	return lookup_noperm_unlocked(&QSTR_LEN(name, len), base);
#else
	return lookup_one_len_unlocked(name, base, len);
#endif
}

/* Attributes ------------------------------------------------------------- */

static inline int im_compat_notify_change(struct dentry *dentry,
					  struct iattr *ia)
{
	return notify_change(IM_NOP_IDMAP, dentry, ia, NULL);
}

/* The type of ACL that an extended attribute is, or -1. */
static inline int im_acl_type(const char *name)
{
	if (!strcmp(name, XATTR_NAME_POSIX_ACL_ACCESS))
		return ACL_TYPE_ACCESS;
	if (!strcmp(name, XATTR_NAME_POSIX_ACL_DEFAULT))
		return ACL_TYPE_DEFAULT;
	return -1;
}

/*
 * ACLs of the upper: get is called by the VFS, and set where it does not pass
 * ACLs to the xattr handlers.
 */
#ifdef IM_HAVE_INODE_ACL
#define IM_ACL_IOPS(get, set) .get_inode_acl = (get), .set_acl = (set)
#else
#define IM_ACL_IOPS(get, set) .get_acl = (get)
#endif

/* The ACL of a lower inode; never from a cache of ours. */
static inline struct posix_acl *im_compat_get_acl(struct inode *inode, int type)
{
#ifdef IM_HAVE_INODE_ACL
	return get_inode_acl(inode, type);
#else
	return get_acl(inode, type);
#endif
}

/* Sets an ACL that is given as an extended attribute, NULL: removes it. */
#ifdef IM_HAVE_INODE_ACL
static inline int im_compat_set_acl_locked(struct dentry *dentry, int type,
					   const void *value, size_t size)
{
	struct posix_acl *acl = NULL;
	int err;

	if (value) {
		acl = posix_acl_from_xattr(&init_user_ns, value, size);
		if (IS_ERR(acl))
			return PTR_ERR(acl);
	}
	err = set_posix_acl(IM_NOP_IDMAP, dentry, type, acl);
	posix_acl_release(acl);
	return err;
}
#endif

/* The dentry's i_rwsem is held; ACLs too, on all kernels. */
static inline int im_compat_setxattr_locked(struct dentry *dentry,
					    const char *name, const void *value,
					    size_t size, int flags)
{
#ifdef IM_HAVE_INODE_ACL
	int type = im_acl_type(name);

	if (type >= 0)
		return im_compat_set_acl_locked(dentry, type, value, size);
#endif
	return __vfs_setxattr_locked(IM_NOP_IDMAP, dentry, name, value, size,
				     flags, NULL);
}

static inline int im_compat_removexattr_locked(struct dentry *dentry,
					       const char *name)
{
#ifdef IM_HAVE_INODE_ACL
	int type = im_acl_type(name);

	if (type >= 0)
		return im_compat_set_acl_locked(dentry, type, NULL, 0);
#endif
	return __vfs_removexattr_locked(IM_NOP_IDMAP, dentry, name, NULL);
}

/* The ACL as an extended attribute, to be freed; NULL: no memory. */
static inline void *im_compat_acl_to_xattr(const struct posix_acl *acl,
					   size_t *size)
{
#ifdef IM_HAVE_ACL_TO_XATTR_ALLOC
	return posix_acl_to_xattr(&init_user_ns, acl, size, GFP_KERNEL);
#else
	char *value;

	*size = posix_acl_xattr_size(acl->a_count);
	value = kmalloc(*size, GFP_KERNEL);
	if (value)
		posix_acl_to_xattr(&init_user_ns, acl, value, *size);
	return value;
#endif
}

/* Files ------------------------------------------------------------------ */

static inline struct file *im_compat_tmpfile_open(const struct path *dir,
						  umode_t mode, int flags,
						  const struct cred *cred)
{
#ifdef IM_HAVE_KERNEL_TMPFILE_OPEN
	return kernel_tmpfile_open(IM_NOP_IDMAP, dir, mode, flags, cred);
#else
	return vfs_tmpfile_open(IM_NOP_IDMAP, dir, mode, flags, cred);
#endif
}

/*
 * Gives the unnamed dentry of a file under O_TMPFILE its name "#ino" and the
 * inode. d_tmpfile() is not it: it drops a link, which marks the inode dirty.
 */
static inline void im_compat_tmpfile(struct file *file, struct inode *inode)
{
	struct dentry *dentry = file->f_path.dentry;

#ifdef IM_HAVE_D_MARK_TMPFILE
	d_mark_tmpfile(file, inode);
#else
	spin_lock(&dentry->d_parent->d_lock);
	spin_lock_nested(&dentry->d_lock, DENTRY_D_LOCK_NESTED);
	dentry->d_name.len = sprintf(dentry->d_iname, "#%llu",
				     (unsigned long long)inode->i_ino);
	spin_unlock(&dentry->d_lock);
	spin_unlock(&dentry->d_parent->d_lock);
#endif
	d_instantiate(dentry, inode);
}

/*
 * Opens the inode at `lower`, without notifications. What others see of the
 * file (/proc/PID/maps, messages, security modules) is the path of `user`,
 * which it pins.
 */
static inline struct file *im_compat_open(const struct file *user,
					  const struct path *lower, int flags,
					  const struct cred *cred)
{
#ifdef IM_HAVE_FSNOTIFY_MODE
	struct file *file = backing_file_open(user, flags, lower, cred);

	/* Who watches the lower inode itself still learns that it is open. */
	if (!IS_ERR(file))
		file_set_fsnotify_mode(file, FMODE_NONOTIFY);
	return file;
#elif defined(IM_HAVE_BACKING_FILE)
	return backing_file_open(user, flags | __FMODE_NONOTIFY, lower, cred);
#else
	/* An overlay opens its upper's inode under a dentry of its own. */
	struct path path = {
		.mnt = user->f_path.mnt,
		.dentry = file_dentry(user),
	};

	return open_with_fake_path(&path, flags | __FMODE_NONOTIFY,
				   d_inode(lower->dentry), cred);
#endif
}

/* The dentry of `user` above. */
static inline struct dentry *im_compat_user_dentry(const struct file *file)
{
#ifdef IM_HAVE_BACKING_FILE
	return backing_file_user_path(file)->dentry;
#else
	return file->f_path.dentry;
#endif
}

static inline bool im_compat_can_mmap(const struct file *file)
{
#ifdef IM_HAVE_VFS_MMAP
	if (file->f_op->mmap_prepare)
		return true;
#endif
	return file->f_op->mmap;
}

/* Maps `lower` in the place of vm_file, whose mapping has been asked for. */
static inline int im_compat_mmap(struct file *lower, struct vm_area_struct *vma)
{
#ifdef IM_HAVE_MMAP_BACKING_FILE
	struct file *user = vma->vm_file;	/* the caller has a reference */
	int err;
#endif

	/* On failure the VFS drops what vm_file is then. */
	vma_set_file(vma, lower);
#ifdef IM_HAVE_MMAP_BACKING_FILE
	err = security_mmap_backing_file(vma, lower, user);
	if (err)
		return err;
#endif
#ifdef IM_HAVE_VFS_MMAP
	return vfs_mmap(lower, vma);
#else
	return call_mmap(lower, vma);
#endif
}

/* For a dir_context that stands before another one. */
static inline void im_compat_dir_context(struct dir_context *ctx,
					 const struct dir_context *caller)
{
#ifdef IM_HAVE_DT_FLAGS_MASK
	ctx->dt_flags_mask = caller->dt_flags_mask;
#endif
}

/*
 * After splice_write: nobody has heard of it, since the lower file is silent.
 * From 6.8 on, with which backing files came, splice(2) notifies, not we.
 */
static inline void im_compat_spliced(struct file *file)
{
#ifndef IM_HAVE_BACKING_FILE
	fsnotify_modify(file);
#endif
}

/* A newer kind of fallocate(2). */
#ifndef FALLOC_FL_WRITE_ZEROES
#define FALLOC_FL_WRITE_ZEROES 0
#endif

/* Times ------------------------------------------------------------------ */

/*
 * Defines the method update_time, which says what is to be set in its own way
 * on each kernel: fn(inode, atime alone), which may sleep.
 */
#if defined(IM_HAVE_UPDATE_TIME_TYPE)
#define IM_COMPAT_UPDATE_TIME(name, fn)					\
static int name(struct inode *inode, enum fs_update_time type,		\
		unsigned int flags)					\
{									\
	if (flags & IOCB_NOWAIT)					\
		return -EAGAIN;						\
	fn(inode, type == FS_UPD_ATIME);				\
	return 0;							\
}
#elif defined(IM_HAVE_UPDATE_TIME_FLAGS)
#define IM_COMPAT_UPDATE_TIME(name, fn)					\
static int name(struct inode *inode, int flags)				\
{									\
	fn(inode, flags == S_ATIME);					\
	return 0;							\
}
#else
#define IM_COMPAT_UPDATE_TIME(name, fn)					\
static int name(struct inode *inode, struct timespec64 *now, int flags)	\
{									\
	fn(inode, flags == S_ATIME);					\
	return 0;							\
}
#endif

/* Superblocks ------------------------------------------------------------ */

/*
 * Where the kernel tells them apart, this freeze is its own: not undone by
 * who thaws the lower, and counted. Else -EBUSY: somebody has frozen it.
 */
#if defined(IM_HAVE_FREEZE_OWNER)
#define IM_FREEZER , FREEZE_HOLDER_KERNEL | FREEZE_MAY_NEST, NULL
#elif defined(IM_HAVE_FREEZE_HOLDER)
#define IM_FREEZER , FREEZE_HOLDER_KERNEL | FREEZE_MAY_NEST
#else
#define IM_FREEZER
#endif

static inline int im_compat_freeze(struct super_block *sb)
{
	return freeze_super(sb IM_FREEZER);
}

static inline int im_compat_thaw(struct super_block *sb)
{
	return thaw_super(sb IM_FREEZER);
}

/* Generic netlink -------------------------------------------------------- */

/* The attributes of a dump's request; for those who include genetlink.h. */
#ifdef IM_HAVE_GENL_INFO_DUMP
#define im_compat_dump_attrs(cb) (genl_info_dump(cb)->attrs)
#else
#define im_compat_dump_attrs(cb) (genl_dumpit_info(cb)->attrs)
#endif

#endif /* _IM_COMPAT_H */
