// SPDX-License-Identifier: GPL-2.0
/*
 * Lookup, and the operations that make names. The VFS holds the upper
 * directory's i_rwsem: shared in lookup, exclusive in all others.
 */
#include "lower.h"
#include "vfs.h"

#include <linux/file.h>
#include <linux/slab.h>

struct dentry *im_lookup(struct inode *dir, struct dentry *dentry,
			 unsigned int flags)
{
	struct im_fs *fs = IM_FS(dir->i_sb);
	struct dentry *lower_dir = im_lower_dentry(dir);
	const struct qstr *name = &dentry->d_name;
	struct inode *inode = NULL;
	struct dentry *lower;

	if (name->len > IM_NAME_LEN)
		return ERR_PTR(-ENAMETOOLONG);
	if (im_is_state(fs, lower_dir, name->name, name->len))
		return d_splice_alias(NULL, dentry);

	lower = im_compat_lookup_unlocked(name->name, lower_dir, name->len);
	if (IS_ERR(lower))
		return lower;
	if (d_is_positive(lower)) {
		/* Names in there compare by other rules than ours. */
		if (IS_CASEFOLDED(d_inode(lower)))
			inode = ERR_PTR(-EOPNOTSUPP);
		else
			inode = im_iget(dir->i_sb, lower);
	}
	dput(lower);
	return d_splice_alias(inode, dentry);
}

/* A new object: what the four operations that make one differ in. */
struct im_make {
	unsigned int op;
	umode_t mode;		/* with type */
	dev_t rdev;
	const char *target;
};

static int im_do_make(const struct im_make *m, struct dentry *dir,
		      struct dentry **dentry)
{
	switch (m->op) {
	case IM_OP_CREATE:
		return im_do_create(dir, *dentry, m->mode);
	case IM_OP_MKDIR:
		return im_do_mkdir(dir, dentry, m->mode & ~S_IFMT);
	case IM_OP_MKNOD:
		return im_do_mknod(dir, *dentry, m->mode, m->rdev);
	default:
		return im_do_symlink(dir, *dentry, m->target);
	}
}

static void im_make_intent(struct im_op *op, const struct im_make *m,
			   struct dentry *lower_dir, const struct qstr *name)
{
	op->rec.mode = cpu_to_le32(m->mode);
	op->rec.rdev = cpu_to_le64((u64)MAJOR(m->rdev) << 32 | MINOR(m->rdev));
	im_fid_of(d_inode(lower_dir), &op->rec.dir);
	op->body.name = name->name;
	op->body.name_len = name->len;
	if (m->target) {
		op->body.data = m->target;
		op->body.data_len = strlen(m->target);
	}
}

static int im_make(struct inode *dir, struct dentry *dentry,
		   const struct im_make *m)
{
	struct im_fs *fs = IM_FS(dir->i_sb);
	struct dentry *lower_dir = im_lower_dentry(dir), *lower;
	const struct qstr *name = &dentry->d_name;
	struct inode *inode;
	struct im_op op;
	int err;

	if (im_is_state(fs, lower_dir, name->name, name->len))
		return -EPERM;
	/* Before the operation, since nothing may fail after it. */
	inode = new_inode(dir->i_sb);
	if (!inode)
		return -ENOMEM;
	err = im_op_start(&op, dir->i_sb, m->op);
	if (err)
		goto err_inode;

	inode_lock_nested(d_inode(lower_dir), I_MUTEX_PARENT);
	lower = im_lower_lookup(lower_dir, name->name, name->len);
	err = PTR_ERR_OR_ZERO(lower);
	if (err)
		goto err_unlock;
	err = -EEXIST;
	if (d_is_positive(lower))
		goto err_lower;

	im_make_intent(&op, m, lower_dir, name);
	err = im_op_intent(&op);
	if (err)
		goto err_lower;
	do
		err = im_do_make(m, lower_dir, &lower);
	while (im_room_again(fs, err));
	if (!err) {
		im_fid_of(d_inode(lower), &op.rec.fid);
		op.obj = lower;
		op.created = true;
		op.dirs[0] = lower_dir;
		/* Before the completion, which makes a file dirty. */
		inode = im_iget_new(inode, lower);
		if (S_ISREG(m->mode)) {
			/* No capabilities: the first write need not look. */
			inode_has_no_xattr(inode);
			op.completed = im_newborn_created;
			op.arg = inode;
		}
	}
	err = im_op_finish(&op, err);
	if (err) {
		iput(inode);
	} else {
		if (op.tag)	/* which has set the time */
			im_copy_size(inode);
		d_instantiate(dentry, inode);
	}
	inode_unlock(d_inode(lower_dir));
	/* With an error the object may be there all the same: look again. */
	if (err)
		d_drop(dentry);
	dput(lower);
	im_copy_attrs(dir);
	return err;

err_lower:
	dput(lower);
err_unlock:
	inode_unlock(d_inode(lower_dir));
	im_op_cancel(&op);
err_inode:
	iput(inode);
	return err;
}

int im_create(im_idmap *idmap, struct inode *dir, struct dentry *dentry,
	      umode_t mode, bool excl)
{
	struct im_make m = {
		.op = IM_OP_CREATE,
		.mode = (mode & ~S_IFMT) | S_IFREG,
	};

	return im_make(dir, dentry, &m);
}

im_mkdir_ret im_mkdir(im_idmap *idmap, struct inode *dir, struct dentry *dentry,
		      umode_t mode)
{
	struct im_make m = {
		.op = IM_OP_MKDIR,
		.mode = (mode & ~S_IFMT) | S_IFDIR,
	};

	return IM_MKDIR_RET(im_make(dir, dentry, &m));
}

int im_mknod(im_idmap *idmap, struct inode *dir, struct dentry *dentry,
	     umode_t mode, dev_t rdev)
{
	struct im_make m = {
		.op = S_ISREG(mode) ? IM_OP_CREATE : IM_OP_MKNOD,
		.mode = mode,
		.rdev = S_ISREG(mode) ? 0 : rdev,
	};

	return im_make(dir, dentry, &m);
}

int im_symlink(im_idmap *idmap, struct inode *dir, struct dentry *dentry,
	       const char *target)
{
	struct im_make m = {
		.op = IM_OP_SYMLINK,
		.mode = S_IFLNK | 0777,
		.target = target,
	};

	if (strlen(target) > IM_TARGET_LEN)
		return -ENAMETOOLONG;
	return im_make(dir, dentry, &m);
}

/*
 * A file without a name is nobody's business but its opener's: no record until
 * it is linked.
 */
int im_tmpfile(im_idmap *idmap, struct inode *dir, struct file *file,
	       umode_t mode)
{
	struct im_fs *fs = IM_FS(dir->i_sb);
	struct inode *inode;
	struct file *lower;
	int err;

	if (READ_ONCE(fs->dead))
		return -EIO;
	if (READ_ONCE(fs->replica) && !im_tag_current(fs))
		return -EROFS;
	err = mnt_want_write(fs->lower.mnt);
	if (err)
		return err;
	/* O_EXCL, which forbids a later link, is the lower's to know as well. */
	do
		lower = im_do_tmpfile(fs, im_lower_dentry(dir), mode,
				      O_RDWR | O_LARGEFILE |
				      (file->f_flags & O_EXCL));
	while (im_room_again(fs, PTR_ERR_OR_ZERO(lower)));
	mnt_drop_write(fs->lower.mnt);
	if (IS_ERR(lower))
		return PTR_ERR(lower);

	inode = im_iget(dir->i_sb, lower->f_path.dentry);
	err = PTR_ERR_OR_ZERO(inode);
	if (err)
		goto out_lower;
	im_compat_tmpfile(file, inode);
	err = finish_open_simple(file, 0);
out_lower:
	fput(lower);
	return err;
}

int im_link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(old);
	struct im_fs *fs = IM_FS(dir->i_sb);
	struct dentry *lower_dir = im_lower_dentry(dir), *lower;
	struct dentry *lower_old = im_lower_dentry(inode);
	const struct qstr *name = &dentry->d_name;
	struct im_op op;
	bool first;
	int err;

	if (im_is_state(fs, lower_dir, name->name, name->len))
		return -EPERM;
	err = im_op_start(&op, dir->i_sb, IM_OP_LINK);
	if (err)
		return err;
	/* Its data is news to peers too; logged with write access held. */
	first = !d_inode(lower_old)->i_nlink;
	if (first) {
		op.keep_write = true;
		err = im_dirty_link(inode);
		if (err)
			goto err_cancel;
	}

	inode_lock_nested(d_inode(lower_dir), I_MUTEX_PARENT);
	lower = im_lower_lookup(lower_dir, name->name, name->len);
	err = PTR_ERR_OR_ZERO(lower);
	if (err)
		goto err_unlock;
	err = -EEXIST;
	if (d_is_positive(lower))
		goto err_lower;

	if (first)
		op.rec.flags |= cpu_to_le32(IM_RF_FIRST);
	op.rec.mode = cpu_to_le32(d_inode(lower_old)->i_mode);
	im_fid_of(d_inode(lower_old), &op.rec.fid);
	im_fid_of(d_inode(lower_dir), &op.rec.dir);
	op.body.name = name->name;
	op.body.name_len = name->len;
	err = im_op_intent(&op);
	if (err)
		goto err_lower;
	do
		err = im_do_link(lower_old, lower_dir, lower);
	while (im_room_again(fs, err));
	if (!err) {
		op.obj = lower;
		op.created = first;
		op.dirs[0] = lower_dir;
	}
	err = im_op_finish(&op, err);
	im_copy_attrs(inode);
	if (err) {
		d_drop(dentry);
	} else {
		ihold(inode);
		d_instantiate(dentry, inode);
	}
	inode_unlock(d_inode(lower_dir));
	dput(lower);
	im_copy_attrs(dir);
	if (first) {
		im_dirty_linked(inode);
		mnt_drop_write(fs->lower.mnt);
	}
	return err;

err_lower:
	dput(lower);
err_unlock:
	inode_unlock(d_inode(lower_dir));
	if (first)
		im_dirty_linked(inode);
err_cancel:
	im_op_cancel(&op);
	return err;
}
