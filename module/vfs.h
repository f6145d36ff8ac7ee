/* SPDX-License-Identifier: GPL-2.0 */
/* The VFS operations, between the files that hold them and their tables. */
#ifndef _IM_VFS_H
#define _IM_VFS_H

#include "intermezzo.h"

/* namei.c */
struct dentry *im_lookup(struct inode *dir, struct dentry *dentry,
			 unsigned int flags);
int im_create(im_idmap *idmap, struct inode *dir, struct dentry *dentry,
	      umode_t mode, bool excl);
im_mkdir_ret im_mkdir(im_idmap *idmap, struct inode *dir, struct dentry *dentry,
		      umode_t mode);
int im_mknod(im_idmap *idmap, struct inode *dir, struct dentry *dentry,
	     umode_t mode, dev_t rdev);
int im_symlink(im_idmap *idmap, struct inode *dir, struct dentry *dentry,
	       const char *target);
int im_tmpfile(im_idmap *idmap, struct inode *dir, struct file *file,
	       umode_t mode);
int im_link(struct dentry *old, struct inode *dir, struct dentry *dentry);

/* remove.c */
int im_unlink(struct inode *dir, struct dentry *dentry);
int im_rmdir(struct inode *dir, struct dentry *dentry);
int im_rename(im_idmap *idmap, struct inode *old_dir, struct dentry *old,
	      struct inode *new_dir, struct dentry *new, unsigned int flags);
/*
 * Lower dentry of a name, referenced, positive, and still the lower of inode;
 * -ESTALE: the lower was changed behind our back. The lower dir is locked.
 */
struct dentry *im_lower_of(struct dentry *lower_dir, struct dentry *dentry);

/* xattr.c */
ssize_t im_listxattr(struct dentry *dentry, char *list, size_t size);
int im_set_acl(im_idmap *idmap, struct dentry *dentry, struct posix_acl *acl,
	       int type);

/* inode.c */
/* The upper inode if there is one in memory, referenced; or NULL. */
struct inode *im_cached_inode(struct super_block *sb, struct dentry *lower);
/* As im_iget(), with an inode from new_inode(), which is consumed: no error. */
struct inode *im_iget_new(struct inode *new, struct dentry *lower);

#endif /* _IM_VFS_H */
