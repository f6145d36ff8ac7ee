// SPDX-License-Identifier: GPL-2.0
/*
 * Open directories: positions, order and content are the lower's, except that
 * the root shows no state directory and is its own parent.
 */
#include "lower.h"

#include <linux/compat.h>
#include <linux/file.h>

static void im_dir_path(struct inode *inode, struct path *path)
{
	path->mnt = IM_FS(inode->i_sb)->lower.mnt;
	path->dentry = im_lower_dentry(inode);
}

/* To security modules the lower file has the upper's path: see file.c. */
static int im_dir_open(struct inode *inode, struct file *file)
{
	struct file *lower;
	struct path path;

	im_dir_path(inode, &path);
	lower = im_compat_open(file, &path, O_RDONLY | O_DIRECTORY |
			       O_LARGEFILE | O_NOATIME, file->f_cred);
	if (IS_ERR(lower))
		return PTR_ERR(lower);
	file->private_data = lower;
	return 0;
}

/* The time is kept by the lower inode; this mount's options count as well. */
static void im_dir_accessed(struct file *file)
{
	struct vfsmount *mnt = file->f_path.mnt;
	struct path path;

	if ((file->f_flags & O_NOATIME) || __mnt_is_readonly(mnt) ||
	    (mnt->mnt_flags & (MNT_NOATIME | MNT_NODIRATIME)))
		return;
	im_dir_path(file_inode(file), &path);
	if (!(mnt->mnt_flags & MNT_RELATIME))
		path.mnt = mnt;		/* as in im_accessed() */
	touch_atime(&path);
}

static int im_dir_release(struct inode *inode, struct file *file)
{
	fput(im_lower_file(file));
	return 0;
}

struct im_root_ctx {
	struct dir_context ctx;
	struct dir_context *caller;
	u64 ino;
	bool hidden;		/* this call has skipped an entry */
	bool given;		/* and this one has been handed out */
};

static bool im_root_actor(struct dir_context *ctx, const char *name, int len,
			  loff_t off, u64 ino, unsigned int type)
{
	struct im_root_ctx *root = container_of(ctx, struct im_root_ctx, ctx);
	bool more;

	if (len == sizeof(IM_STATE_DIR) - 1 &&
	    !memcmp(name, IM_STATE_DIR, len)) {
		root->hidden = true;
		return true;
	}
	if (len == 2 && name[0] == '.' && name[1] == '.')
		ino = root->ino;
	root->caller->pos = ctx->pos;
	more = root->caller->actor(root->caller, name, len, off, ino, type);
	root->given |= more;
	return more;
}

static int im_iterate_root(struct file *lower, struct dir_context *ctx, u64 ino)
{
	struct im_root_ctx root = {
		.ctx.actor = im_root_actor,
		.caller = ctx,
		.ino = ino,
	};
	int err;

	im_compat_dir_context(&root.ctx, ctx);
	/*
	 * A round that shows nothing is the end of the directory to the
	 * caller: go on if it was only the hidden entry.
	 */
	do {
		root.hidden = false;
		lower->f_pos = ctx->pos;
		err = iterate_dir(lower, &root.ctx);
		ctx->pos = root.ctx.pos;
	} while (!err && root.hidden && !root.given);
	return err;
}

static int im_iterate(struct file *file, struct dir_context *ctx)
{
	struct inode *inode = file_inode(file);
	struct file *lower = im_lower_file(file);
	int err;

	if (inode == d_inode(inode->i_sb->s_root)) {
		err = im_iterate_root(lower, ctx, inode->i_ino);
	} else {
		lower->f_pos = ctx->pos;
		err = iterate_dir(lower, ctx);
	}
	im_dir_accessed(file);
	return err;
}

/* f_pos is protected by the upper's f_pos_lock, as in any directory. */
static loff_t im_dir_llseek(struct file *file, loff_t offset, int whence)
{
	struct file *lower = im_lower_file(file);
	loff_t pos;

	lower->f_pos = file->f_pos;
	pos = vfs_llseek(lower, offset, whence);
	if (pos >= 0)
		file->f_pos = pos;
	return pos;
}

static int im_dir_fsync(struct file *file, loff_t start, loff_t end,
			int datasync)
{
	return vfs_fsync_range(im_lower_file(file), start, end, datasync);
}

static long im_dir_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	long ret = im_ioctl(file, cmd, arg);

	if (ret != -ENOIOCTLCMD)
		return ret;
	return im_lower_ioctl(file, cmd, arg);
}

const struct file_operations im_dir_fops = {
	.open		= im_dir_open,
	.release	= im_dir_release,
	.read		= generic_read_dir,
	.iterate_shared	= im_iterate,
	.llseek		= im_dir_llseek,
	.fsync		= im_dir_fsync,
	.unlocked_ioctl	= im_dir_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.setlease	= generic_setlease,
};
