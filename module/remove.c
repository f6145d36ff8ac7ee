// SPDX-License-Identifier: GPL-2.0
/*
 * The operations that take names away: unlink, rmdir, rename. The VFS holds the
 * i_rwsems of the upper directories and of the victims, so that their links
 * cannot change between intent and completion.
 */
#include "lower.h"
#include "vfs.h"

/*
 * The dentry that the upper inode holds is that of the name, as a rule: what is
 * in the dcache under a locked directory is what the directory says.
 */
static bool im_lower_is(const struct dentry *lower, struct dentry *lower_dir,
			const struct qstr *name)
{
	return lower->d_parent == lower_dir && !d_unhashed(lower) &&
	       !lower->d_op && lower->d_name.len == name->len &&
	       !memcmp(lower->d_name.name, name->name, name->len);
}

struct dentry *im_lower_of(struct dentry *lower_dir, struct dentry *dentry)
{
	struct dentry *lower = im_lower_dentry(d_inode(dentry));

	if (im_lower_is(lower, lower_dir, &dentry->d_name))
		return dget(lower);
	lower = im_lower_lookup(lower_dir, dentry->d_name.name,
				dentry->d_name.len);
	if (IS_ERR(lower))
		return lower;
	if (d_inode(lower) != im_lower_inode(d_inode(dentry))) {
		dput(lower);
		return ERR_PTR(-ESTALE);
	}
	return lower;
}

/*
 * The VFS makes the dentry of a removed name a negative one, which saves the
 * search when the name is used again; but not if somebody holds it, as the
 * upper inode does. Then that is done here. The directory is still locked.
 */
static void im_lower_absent(struct dentry *lower_dir, struct dentry *lower)
{
	struct dentry *absent;

	if (!d_unhashed(lower) || lower->d_op)
		return;
	absent = d_alloc(lower_dir, &lower->d_name);
	if (!absent)
		return;
	d_add(absent, NULL);
	dput(absent);
}

/* Is the lower object about to lose its last name? */
static bool im_is_last(const struct inode *lower)
{
	return S_ISDIR(lower->i_mode) || lower->i_nlink == 1;
}

static int im_remove(struct inode *dir, struct dentry *dentry, unsigned int op_)
{
	struct inode *inode = d_inode(dentry);
	struct dentry *lower_dir = im_lower_dentry(dir), *lower;
	struct im_op op;
	bool done;
	int err;

	err = im_op_start(&op, dir->i_sb, op_);
	if (err)
		return err;

	inode_lock_nested(d_inode(lower_dir), I_MUTEX_PARENT);
	lower = im_lower_of(lower_dir, dentry);
	err = PTR_ERR_OR_ZERO(lower);
	if (err)
		goto err_unlock;

	im_fid_of(d_inode(lower), &op.rec.fid);
	im_fid_of(d_inode(lower), &op.rec.old);
	im_fid_of(d_inode(lower_dir), &op.rec.dir);
	op.rec.mode = cpu_to_le32(d_inode(lower)->i_mode);
	if (im_is_last(d_inode(lower)))
		op.rec.flags |= cpu_to_le32(IM_RF_LAST);
	op.body.name = dentry->d_name.name;
	op.body.name_len = dentry->d_name.len;
	err = im_op_intent(&op);
	if (err)
		goto err_lower;
	err = op_ == IM_OP_RMDIR ? im_do_rmdir(lower_dir, lower) :
				   im_do_unlink(lower_dir, lower);
	done = !err;
	/* The name's own dentry may be negative now; the inode's is not. */
	op.obj = im_lower_dentry(inode);
	op.dirs[0] = lower_dir;
	err = im_op_finish(&op, err);
	if (done)
		im_lower_absent(lower_dir, lower);
	inode_unlock(d_inode(lower_dir));
	dput(lower);
	if (done && err)
		d_drop(dentry);
	im_copy_attrs(inode);
	im_copy_attrs(dir);
	if (!inode->i_nlink)
		im_dirty_gone(inode);
	return err;

err_lower:
	dput(lower);
err_unlock:
	inode_unlock(d_inode(lower_dir));
	im_op_cancel(&op);
	if (err == -ESTALE)
		d_drop(dentry);
	return err;
}

int im_unlink(struct inode *dir, struct dentry *dentry)
{
	return im_remove(dir, dentry, IM_OP_UNLINK);
}

int im_rmdir(struct inode *dir, struct dentry *dentry)
{
	return im_remove(dir, dentry, IM_OP_RMDIR);
}

static void im_rename_intent(struct im_op *op, struct dentry *old_dir,
			     struct dentry *old, struct dentry *new_dir,
			     struct dentry *new, unsigned int flags)
{
	struct im_rec *rec = &op->rec;

	im_fid_of(d_inode(old_dir), &rec->dir);
	im_fid_of(d_inode(new_dir), &rec->dir2);
	im_fid_of(d_inode(old), &rec->fid);
	rec->mode = cpu_to_le32(d_inode(old)->i_mode);
	if (d_is_positive(new)) {
		im_fid_of(d_inode(new), &rec->old);
		if (!(flags & RENAME_EXCHANGE) && im_is_last(d_inode(new)))
			rec->flags |= cpu_to_le32(IM_RF_LAST);
	}
	if (flags & RENAME_EXCHANGE)
		rec->flags |= cpu_to_le32(IM_RF_EXCHANGE);
	if (flags & RENAME_WHITEOUT)
		rec->flags |= cpu_to_le32(IM_RF_WHITEOUT);
}

int im_rename(im_idmap *idmap, struct inode *old_dir, struct dentry *old,
	      struct inode *new_dir, struct dentry *new, unsigned int flags)
{
	struct im_fs *fs = IM_FS(old_dir->i_sb);
	struct dentry *lower_old_dir = im_lower_dentry(old_dir);
	struct dentry *lower_new_dir = im_lower_dentry(new_dir);
	struct inode *inode = d_inode(old), *victim = d_inode(new);
	struct dentry *lower_old, *lower_new, *trap;
	struct im_op op;
	bool done;
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if (im_is_state(fs, lower_new_dir, new->d_name.name, new->d_name.len))
		return -EPERM;
	err = im_op_start(&op, old_dir->i_sb, IM_OP_RENAME);
	if (err)
		return err;

	trap = im_compat_lock_rename(lower_old_dir, lower_new_dir);
	lower_old = im_lower_of(lower_old_dir, old);
	err = PTR_ERR_OR_ZERO(lower_old);
	if (err)
		goto err_unlock;
	lower_new = victim ? im_lower_of(lower_new_dir, new) :
		im_lower_lookup(lower_new_dir, new->d_name.name,
				new->d_name.len);
	err = PTR_ERR_OR_ZERO(lower_new);
	if (err)
		goto err_old;
	/* Behind our back the lower may have become another tree. */
	err = -ESTALE;
	if (lower_old == trap || lower_new == trap ||
	    lower_old->d_parent != lower_old_dir ||
	    lower_new->d_parent != lower_new_dir ||
	    (!victim && d_is_positive(lower_new)))
		goto err_new;

	im_rename_intent(&op, lower_old_dir, lower_old, lower_new_dir,
			 lower_new, flags);
	/* The upper's names: those of the lower change in the operation. */
	op.body.name = old->d_name.name;
	op.body.name_len = old->d_name.len;
	op.body.name2 = new->d_name.name;
	op.body.name2_len = new->d_name.len;
	err = im_op_intent(&op);
	if (err)
		goto err_new;
	do
		err = im_do_rename(lower_old_dir, lower_old, lower_new_dir,
				   lower_new, flags);
	while (im_room_again(fs, err));
	done = !err;
	op.obj = im_lower_dentry(inode);
	op.dirs[0] = lower_old_dir;
	op.dirs[1] = lower_new_dir;
	err = im_op_finish(&op, err);
	im_compat_unlock_rename(lower_old_dir, lower_new_dir);
	dput(lower_new);
	dput(lower_old);

	if (done && err) {
		d_drop(old);
		d_drop(new);
	}
	im_copy_attrs(inode);
	if (victim) {
		im_copy_attrs(victim);
		if (!victim->i_nlink)
			im_dirty_gone(victim);
	}
	im_copy_attrs(old_dir);
	if (new_dir != old_dir)
		im_copy_attrs(new_dir);
	return err;

err_new:
	dput(lower_new);
err_old:
	dput(lower_old);
err_unlock:
	im_compat_unlock_rename(lower_old_dir, lower_new_dir);
	im_op_cancel(&op);
	if (err == -ESTALE) {
		d_drop(old);
		d_drop(new);
	}
	return err;
}
