// SPDX-License-Identifier: GPL-2.0
/*
 * Extended attributes, ACLs among them: one handler takes all names and passes
 * them down under their full name; the lower's handlers know the rules.
 *
 * IM_XATTR_PREFIX* is the module's: it exists only for tagged threads, whose
 * writes of it are not logged.
 */
#include "lower.h"
#include "vfs.h"

#include <linux/cred.h>

static bool im_xattr_own(const char *name)
{
	return !strncmp(name, IM_XATTR_PREFIX, sizeof(IM_XATTR_PREFIX) - 1);
}

static int im_xattr_get(const struct xattr_handler *handler,
			struct dentry *dentry, struct inode *inode,
			const char *name, void *value, size_t size)
{
	name = xattr_full_name(handler, name);
	if (im_xattr_own(name) && !im_tag_current(IM_FS(inode->i_sb)))
		return -ENODATA;
	/*
	 * As it is on the disk: the VFS translates capabilities for the
	 * caller's namespace, once. Also called with an inode that has no
	 * dentry yet.
	 */
	return __vfs_getxattr(im_lower_dentry(inode), im_lower_inode(inode),
			      name, value, size);
}

/*
 * A write by somebody without rights removes a file's capabilities: the VFS
 * asks the handler to without asking whether he may, the lower would.
 */
static int im_xattr_do(struct im_fs *fs, struct dentry *lower,
		       const char *name, const void *value, size_t size,
		       int flags)
{
	int err;

	if (!value && !strcmp(name, XATTR_NAME_CAPS)) {
		const struct cred *old = override_creds(fs->cred);

		err = im_do_removexattr_locked(lower, name);
		revert_creds(old);
		return err;
	}
	if (!value)
		return im_do_removexattr_locked(lower, name);
	do
		err = im_do_setxattr_locked(lower, name, value, size, flags);
	while (im_room_again(fs, err));
	return err;
}

/* Without a record: the module's own, and objects that peers do not know. */
static int im_xattr_plain(struct inode *inode, const char *name,
			  const void *value, size_t size, int flags)
{
	struct im_fs *fs = IM_FS(inode->i_sb);
	int err = mnt_want_write(fs->lower.mnt);

	if (err)
		return err;
	inode_lock(im_lower_inode(inode));
	err = im_xattr_do(fs, im_lower_dentry(inode), name, value, size, flags);
	inode_unlock(im_lower_inode(inode));
	mnt_drop_write(fs->lower.mnt);
	im_copy_attrs(inode);
	return err;
}

/* Refuses what is sure to fail, so that it leaves no record. */
static int im_xattr_check(struct dentry *lower, const char *name,
			  const void *value, int flags)
{
	ssize_t ret;

	/* An ACL that is not there may be removed; flags do not count. */
	if (im_acl_type(name) >= 0)
		return 0;
	if (value && !(flags & (XATTR_CREATE | XATTR_REPLACE)))
		return 0;
	ret = __vfs_getxattr(lower, d_inode(lower), name, NULL, 0);
	if (ret >= 0)
		return value && (flags & XATTR_CREATE) ? -EEXIST : 0;
	if (ret == -ENODATA && value && (flags & XATTR_CREATE))
		return 0;
	return ret;
}

static int im_xattr_change(struct inode *inode, const char *name,
			   const void *value, size_t size, int flags)
{
	struct dentry *lower = im_lower_dentry(inode);
	struct im_op op;
	int err;

	if (im_xattr_own(name)) {
		if (!im_tag_current(IM_FS(inode->i_sb)))
			return value ? -EPERM : -ENODATA;
		return im_xattr_plain(inode, name, value, size, flags);
	}
	if (!d_inode(lower)->i_nlink)
		return im_xattr_plain(inode, name, value, size, flags);
	if (size > IM_VALUE_LEN)
		return -E2BIG;

	err = im_op_start(&op, inode->i_sb, value ? IM_OP_SETXATTR :
						    IM_OP_REMOVEXATTR);
	if (err)
		return err;
	err = im_xattr_check(lower, name, value, flags);
	if (err)
		goto err_cancel;
	/* New data and a new owner take capabilities away from a file. */
	err = im_newborn_end(inode, value && !strcmp(name, XATTR_NAME_CAPS));
	if (err)
		goto err_cancel;

	im_fid_of(d_inode(lower), &op.rec.fid);
	op.rec.mode = cpu_to_le32(d_inode(lower)->i_mode);
	op.body.name = name;
	op.body.name_len = strlen(name);
	if (value) {
		op.body.data = value;
		op.body.data_len = size;
	}
	op.obj = lower;
	op.obj_locked = true;
	op.keep_write = true;
	/* Over all of it, since an ACL is part of the mode: see
	 * im_dirty_lock_attrs().
	 */
	inode_lock(d_inode(lower));
	err = im_op_intent(&op);
	if (!err)
		err = im_op_finish(&op, im_xattr_do(op.fs, lower, name, value,
						    size, flags));
	inode_unlock(d_inode(lower));
	mnt_drop_write(op.fs->lower.mnt);
	/* An ACL changes the mode too. */
	im_copy_attrs(inode);
	return err;

err_cancel:
	im_op_cancel(&op);
	return err;
}

static int im_xattr_set(const struct xattr_handler *handler, im_idmap *idmap,
			struct dentry *dentry, struct inode *inode,
			const char *name, const void *value, size_t size,
			int flags)
{
	return im_xattr_change(inode, xattr_full_name(handler, name), value,
			       size, flags);
}

/* The ACL becomes what it is in records and on 6.1: an extended attribute. */
int im_set_acl(im_idmap *idmap, struct dentry *dentry, struct posix_acl *acl,
	       int type)
{
	const char *name = type == ACL_TYPE_ACCESS ?
		XATTR_NAME_POSIX_ACL_ACCESS : XATTR_NAME_POSIX_ACL_DEFAULT;
	void *value = NULL;
	size_t size = 0;
	int err;

	if (acl) {
		value = im_compat_acl_to_xattr(acl, &size);
		if (!value)
			return -ENOMEM;
	}
	err = im_xattr_change(d_inode(dentry), name, value, size, 0);
	kfree(value);
	return err;
}

ssize_t im_listxattr(struct dentry *dentry, char *list, size_t size)
{
	struct inode *inode = d_inode(dentry);
	ssize_t len = vfs_listxattr(im_lower_dentry(inode), list, size);
	char *name, *end;

	if (len <= 0 || !size || im_tag_current(IM_FS(inode->i_sb)))
		return len;
	end = list + len;
	for (name = list; name < end;) {
		size_t n = strnlen(name, end - name) + 1;

		if (!im_xattr_own(name)) {
			name += n;
			continue;
		}
		memmove(name, name + n, end - (name + n));
		end -= n;
	}
	return end - list;
}

/* The NFS server looks for this one before it offers attributes. */
static const struct xattr_handler im_xattr_user_handler = {
	.prefix	= XATTR_USER_PREFIX,
	.get	= im_xattr_get,
	.set	= im_xattr_set,
};

static const struct xattr_handler im_xattr_handler = {
	.prefix	= "",
	.get	= im_xattr_get,
	.set	= im_xattr_set,
};

const struct xattr_handler *im_xattr_handlers[] = {
	&im_xattr_user_handler,
	&im_xattr_handler,
	NULL
};
