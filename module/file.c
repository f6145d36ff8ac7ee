// SPDX-License-Identifier: GPL-2.0
/*
 * Regular files: what reads and writes goes to a file of the lower inode, which
 * was opened by the same caller and lives as long as the upper one. There is
 * one copy of the data, in the lower's page cache; file->f_mapping is the
 * lower's, so that what works on a file's pages (sync_file_range, readahead,
 * swap, the test for O_DIRECT) finds them.
 *
 * A change of data:
 *   upper i_rwsem; set-id bits and capabilities are removed on the upper, which
 *   logs that; write access to the lower; im_dirty_begin(); the lower's
 *   operation; im_dirty_end() with what it may have changed.
 * Locks as in intermezzo.h. The lower's methods are called directly, not by
 * vfs_*(): the VFS has done the checks and the notifications on the upper file,
 * and vfs_*() would take write access a second time, which deadlocks with a
 * freeze in between.
 *
 * There is no copy_file_range: the VFS tries remap_file_range, and then copies
 * through splice_read and splice_write, all of which log.
 */
#include "intermezzo.h"
#include "data.h"
#include "lower.h"

#include <linux/compat.h>
#include <linux/fadvise.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uio.h>

/* Of the upper's flags, what concerns the lower. */
#define IM_OPEN_FLAGS (O_ACCMODE | O_APPEND | O_SYNC | O_NONBLOCK | O_DIRECT | \
		       O_LARGEFILE | __FMODE_EXEC)
/* What the lower says of its file, and is true of ours. */
#define IM_LOWER_FMODE (FMODE_NOWAIT | FMODE_CAN_ODIRECT | FMODE_CAN_ATOMIC_WRITE)
/* Of these, what fcntl(2) changes later. */
#define IM_SETFL_FLAGS (O_APPEND | O_NONBLOCK | O_DIRECT)

static struct kmem_cache *im_aio_cache;
/* im_file_fops for a lower that cannot clone: the VFS refuses in its order. */
static struct file_operations im_plain_fops __ro_after_init;

/* An asynchronous request: the lower's in the place of the upper's. */
struct im_aio {
	struct kiocb iocb;
	struct kiocb *orig;
	refcount_t ref;		/* submission, completion */
	loff_t pos;
	size_t count;
};

int __init im_file_init(void)
{
	im_plain_fops = im_file_fops;
	im_plain_fops.remap_file_range = NULL;
	im_aio_cache = kmem_cache_create("im_aio", sizeof(struct im_aio), 0, 0,
					 NULL);
	return im_aio_cache ? 0 : -ENOMEM;
}

void im_file_exit(void)
{
	kmem_cache_destroy(im_aio_cache);
	im_mmap_exit();
}

/* Open and close --------------------------------------------------------- */

/*
 * The upper has notified and asked for permission; a new file may be open for
 * more than its mode allows, so the lower is not asked again. atime: see
 * im_accessed().
 */
struct file *im_lower_open(struct file *file, int flags)
{
	struct inode *inode = file_inode(file);
	struct path lower = {
		.mnt = IM_FS(inode->i_sb)->lower.mnt,
		.dentry = im_lower_dentry(inode),
	};

	return im_compat_open(file, &lower,
			      (flags & IM_OPEN_FLAGS) | O_NOATIME,
			      file->f_cred);
}

static int im_open(struct inode *inode, struct file *file)
{
	bool write = file->f_mode & FMODE_WRITE;
	struct file *lower;
	int err;

	if (write) {
		err = im_dirty_allowed(IM_FS(inode->i_sb));
		if (err)
			return err;
	}
	lower = im_lower_open(file, file->f_flags);
	if (IS_ERR(lower))
		return PTR_ERR(lower);
	if (write)
		im_dirty_get(inode, false);
	file->private_data = lower;
	file->f_mapping = lower->f_mapping;
	file->f_wb_err = lower->f_wb_err;	/* of the mapping above */
	file->f_mode |= lower->f_mode & IM_LOWER_FMODE;
	return 0;
}

static int im_release(struct inode *inode, struct file *file)
{
	if (file->f_mode & FMODE_WRITE)
		im_dirty_put(inode, false);
	fput(im_lower_file(file));
	return 0;
}

static int im_flush(struct file *file, fl_owner_t id)
{
	struct file *lower = im_lower_file(file);

	return lower->f_op->flush ? lower->f_op->flush(lower, id) : 0;
}

/* For methods of the lower that look at its file's flags. */
static struct file *im_lower_flags(struct file *file)
{
	struct file *lower = im_lower_file(file);
	unsigned int flags = file->f_flags & IM_SETFL_FLAGS;

	if (unlikely((lower->f_flags & IM_SETFL_FLAGS) != flags)) {
		spin_lock(&lower->f_lock);
		lower->f_flags = (lower->f_flags & ~IM_SETFL_FLAGS) | flags;
		lower->f_iocb_flags = iocb_flags(lower);
		spin_unlock(&lower->f_lock);
	}
	return lower;
}

/*
 * The upper's inodes are S_NOATIME, and through the lower file the VFS would
 * only meet these: the time is kept by the lower inode, as its mount says, and
 * as this mount says. That relatime is the default cannot be told from its
 * being asked for; that it is not there can.
 */
void im_accessed(struct file *file)
{
	struct inode *inode = file_inode(file);
	struct vfsmount *mnt = file->f_path.mnt;
	struct path lower = {
		.mnt = IM_FS(inode->i_sb)->lower.mnt,
		.dentry = im_lower_dentry(inode),
	};

	if (!(file->f_flags & O_NOATIME) && !(mnt->mnt_flags & MNT_NOATIME) &&
	    !__mnt_is_readonly(mnt)) {
		if (!(mnt->mnt_flags & MNT_RELATIME))
			lower.mnt = mnt;
		touch_atime(&lower);
	}
}

/* Reading ---------------------------------------------------------------- */

static void im_aio_put(struct im_aio *aio)
{
	if (refcount_dec_and_test(&aio->ref)) {
		fput(aio->iocb.ki_filp);
		kmem_cache_free(im_aio_cache, aio);
	}
}

static struct im_aio *im_aio_get(struct kiocb *orig, struct file *lower)
{
	struct im_aio *aio = kmem_cache_zalloc(im_aio_cache, GFP_KERNEL);

	if (!aio)
		return NULL;
	aio->orig = orig;
	kiocb_clone(&aio->iocb, orig, get_file(lower));
	aio->iocb.ki_flags &= ~IOCB_DIO_CALLER_COMP;
	refcount_set(&aio->ref, 2);
	return aio;
}

static void im_aio_read_done(struct kiocb *iocb, long res)
{
	struct im_aio *aio = container_of(iocb, struct im_aio, iocb);
	struct kiocb *orig = aio->orig;

	orig->ki_pos = iocb->ki_pos;
	im_aio_put(aio);
	orig->ki_complete(orig, res);
}

static ssize_t im_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	struct file *lower = im_lower_file(file);
	ssize_t ret;

	if (!iov_iter_count(to))
		return 0;
	if ((iocb->ki_flags & IOCB_DIRECT) &&
	    !(lower->f_mode & FMODE_CAN_ODIRECT))
		return -EINVAL;

	if (is_sync_kiocb(iocb)) {
		struct kiocb kiocb;

		kiocb_clone(&kiocb, iocb, lower);
		ret = lower->f_op->read_iter(&kiocb, to);
		iocb->ki_pos = kiocb.ki_pos;
	} else {
		struct im_aio *aio = im_aio_get(iocb, lower);

		if (!aio)
			return -ENOMEM;
		aio->iocb.ki_complete = im_aio_read_done;
		ret = lower->f_op->read_iter(&aio->iocb, to);
		if (ret != -EIOCBQUEUED) {
			iocb->ki_pos = aio->iocb.ki_pos;
			im_aio_put(aio);
		}
		im_aio_put(aio);
	}
	im_accessed(file);
	return ret;
}

static ssize_t im_splice_read(struct file *file, loff_t *ppos,
			      struct pipe_inode_info *pipe, size_t len,
			      unsigned int flags)
{
	struct file *lower = im_lower_flags(file);
	ssize_t ret;

	if (!lower->f_op->splice_read)
		return -EINVAL;
	ret = lower->f_op->splice_read(lower, ppos, pipe, len, flags);
	im_accessed(file);
	return ret;
}

static loff_t im_llseek(struct file *file, loff_t offset, int whence)
{
	struct file *lower = im_lower_file(file);
	struct inode *inode = file_inode(file);
	loff_t max = inode->i_sb->s_maxbytes;

	if (whence != SEEK_HOLE && whence != SEEK_DATA)
		return generic_file_llseek_size(file, offset, whence, max,
						i_size_read(file_inode(lower)));
	/* It moves the lower's position too, which nobody uses. */
	offset = lower->f_op->llseek(lower, offset, whence);
	return offset < 0 ? offset : vfs_setpos(file, offset, max);
}

/* Writing ---------------------------------------------------------------- */

/*
 * What a write may have changed: what it says it has written, but after an
 * error all that it was to write (part of it may be on the disk by O_DIRECT,
 * or in the page cache and only the sync of O_DSYNC failed).
 */
static void im_write_end(struct inode *inode, struct kiocb *lower, loff_t pos,
			 size_t count, ssize_t ret)
{
	if (ret > 0)
		im_dirty_end(inode, lower->ki_pos - ret, lower->ki_pos);
	else if (ret == 0 || ret == -EAGAIN)
		im_dirty_end(inode, 0, 0);
	else
		im_dirty_end(inode, pos, pos + count);
}

static ssize_t im_lower_write(struct im_fs *fs, struct kiocb *iocb,
			      struct iov_iter *from)
{
	struct file *lower = iocb->ki_filp;
	size_t count = iov_iter_count(from);
	loff_t pos = iocb->ki_pos;
	ssize_t ret;

	do {
		iocb->ki_pos = pos;
		ret = lower->f_op->write_iter(iocb, from);
	} while (iov_iter_count(from) == count &&
		 !(iocb->ki_flags & IOCB_NOWAIT) && im_room_again(fs, ret));
	return ret;
}

static void im_aio_write_done(struct kiocb *iocb, long res)
{
	struct im_aio *aio = container_of(iocb, struct im_aio, iocb);
	struct super_block *lsb = file_inode(iocb->ki_filp)->i_sb;
	struct kiocb *orig = aio->orig;

	/* The upper file is open until orig is completed. */
	im_write_end(file_inode(orig->ki_filp), iocb, aio->pos, aio->count,
		     res);
	orig->ki_pos = iocb->ki_pos;
	/* Begun in im_write_aio(), by another task maybe. */
	__sb_writers_acquired(lsb, SB_FREEZE_WRITE);
	sb_end_write(lsb);
	im_aio_put(aio);
	orig->ki_complete(orig, res);
}

static ssize_t im_write_aio(struct kiocb *iocb, struct iov_iter *from,
			    loff_t pos)
{
	struct file *lower = im_lower_file(iocb->ki_filp);
	struct inode *inode = file_inode(iocb->ki_filp);
	struct super_block *lsb = file_inode(lower)->i_sb;
	struct im_aio *aio = im_aio_get(iocb, lower);
	ssize_t ret;

	if (!aio) {
		im_dirty_end(inode, 0, 0);
		sb_end_write(lsb);
		return -ENOMEM;
	}
	aio->pos = pos;
	aio->count = iov_iter_count(from);
	aio->iocb.ki_complete = im_aio_write_done;
	__sb_writers_release(lsb, SB_FREEZE_WRITE);
	ret = im_lower_write(IM_FS(inode->i_sb), &aio->iocb, from);
	if (ret != -EIOCBQUEUED) {
		__sb_writers_acquired(lsb, SB_FREEZE_WRITE);
		im_write_end(inode, &aio->iocb, pos, aio->count, ret);
		iocb->ki_pos = aio->iocb.ki_pos;
		sb_end_write(lsb);
		im_aio_put(aio);
	}
	im_aio_put(aio);
	return ret;
}

/*
 * Direct writes into the file run side by side if there is nothing to do on
 * the upper but to log them; the lower has its own rules.
 */
static bool im_write_shared(struct kiocb *iocb, size_t count)
{
	struct inode *inode = file_inode(iocb->ki_filp);

	return (iocb->ki_flags & IOCB_DIRECT) &&
	       !(iocb->ki_flags & IOCB_APPEND) && IS_NOSEC(inode) &&
	       iocb->ki_pos + count <= i_size_read(im_lower_inode(inode));
}

static bool im_write_lock(struct inode *inode, bool shared, bool nowait)
{
	if (nowait)
		return shared ? inode_trylock_shared(inode) :
				inode_trylock(inode);
	if (shared)
		inode_lock_shared(inode);
	else
		inode_lock(inode);
	return true;
}

static ssize_t im_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct file *file = iocb->ki_filp;
	struct file *lower = im_lower_file(file);
	struct inode *inode = file_inode(file);
	struct super_block *lsb = file_inode(lower)->i_sb;
	/* What reaches the disk at once; DIRTY must be there before. */
	bool durable = (iocb->ki_flags & (IOCB_DIRECT | IOCB_DSYNC)) ||
		       IS_SYNC(file_inode(lower));
	bool nowait = iocb->ki_flags & IOCB_NOWAIT;
	size_t count = iov_iter_count(from);
	bool shared = im_write_shared(iocb, count);
	struct kiocb kiocb;
	ssize_t ret;
	loff_t pos;

	if (nowait && !(iocb->ki_flags & IOCB_DIRECT))
		return -EOPNOTSUPP;
	if (!count)
		return 0;
	if ((iocb->ki_flags & IOCB_DIRECT) &&
	    !(lower->f_mode & FMODE_CAN_ODIRECT))
		return -EINVAL;
	if (nowait && (!IS_NOSEC(inode) || !im_dirty_ready(inode, durable)))
		return -EAGAIN;
	if (!im_write_lock(inode, shared, nowait))
		return -EAGAIN;

	if (!IS_NOSEC(inode)) {		/* then it is not shared either */
		/* The lower checks, too, but what fails takes no set-id bits. */
		ret = generic_write_checks(iocb, from);
		if (ret <= 0)
			goto unlock;
		count = ret;
		ret = file_remove_privs(file);
		if (ret)
			goto unlock;
	}
	if (!nowait) {
		sb_start_write(lsb);
	} else if (!sb_start_write_trylock(lsb)) {
		ret = -EAGAIN;
		goto unlock;
	}
	ret = im_dirty_begin(inode);
	if (ret)
		goto end_write;
	if (durable) {
		ret = im_dirty_durable(inode);
		if (ret) {
			im_dirty_end(inode, 0, 0);
			goto end_write;
		}
	}

	pos = iocb->ki_flags & IOCB_APPEND ? i_size_read(file_inode(lower)) :
					     iocb->ki_pos;
	if (!is_sync_kiocb(iocb)) {
		ret = im_write_aio(iocb, from, pos);
		goto unlock;
	}
	kiocb_clone(&kiocb, iocb, lower);
	ret = im_lower_write(IM_FS(inode->i_sb), &kiocb, from);
	im_write_end(inode, &kiocb, pos, count, ret);
	iocb->ki_pos = kiocb.ki_pos;
end_write:
	sb_end_write(lsb);
unlock:
	if (shared)
		inode_unlock_shared(inode);
	else
		inode_unlock(inode);
	return ret;
}

/*
 * Begins a change that is not a write: upper i_rwsem, write access to the
 * lower, DIRTY. im_change_end() undoes it.
 */
static int im_change_begin(struct file *file)
{
	struct inode *inode = file_inode(file);
	struct super_block *lsb = im_lower_inode(inode)->i_sb;
	int err;

	inode_lock(inode);
	err = file_remove_privs(file);
	if (err)
		goto err_unlock;
	sb_start_write(lsb);
	err = im_dirty_begin(inode);
	if (err)
		goto err_write;
	return 0;

err_write:
	sb_end_write(lsb);
err_unlock:
	inode_unlock(inode);
	return err;
}

static void im_change_end(struct file *file, u64 off, u64 end)
{
	struct inode *inode = file_inode(file);

	im_dirty_end(inode, off, end);
	sb_end_write(im_lower_inode(inode)->i_sb);
	inode_unlock(inode);
}

/* The lower's own, on the lower file: it writes by the lower's write_iter. */
static ssize_t im_splice_write(struct pipe_inode_info *pipe, struct file *file,
			       loff_t *ppos, size_t len, unsigned int flags)
{
	struct file *lower = im_lower_flags(file);
	bool durable = lower->f_flags & (O_DIRECT | O_DSYNC);
	loff_t pos = *ppos;
	ssize_t ret;

	if (!lower->f_op->splice_write)
		return -EINVAL;
	ret = im_change_begin(file);
	if (ret)
		return ret;
	if (durable || IS_SYNC(file_inode(lower)))
		ret = im_dirty_durable(file_inode(file));
	if (ret) {
		im_change_end(file, 0, 0);
		return ret;
	}
	ret = lower->f_op->splice_write(pipe, lower, ppos, len, flags);
	if (ret > 0)
		im_compat_spliced(file);
	/* A part that failed is not counted, and may be on the disk. */
	if (ret < 0 || durable)
		im_change_end(file, pos, pos + len);
	else
		im_change_end(file, pos, pos + ret);
	return ret;
}

/*
 * What the lower will refuse for its arguments is refused here, in its order,
 * before set-id bits go.
 */
static int im_fallocate_check(struct inode *inode, int mode, loff_t off,
			      loff_t len)
{
	loff_t size = i_size_read(inode);

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE |
		     FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE |
		     FALLOC_FL_INSERT_RANGE | FALLOC_FL_WRITE_ZEROES))
		return -EOPNOTSUPP;
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) {
		if ((off | len) & (i_blocksize(inode) - 1))
			return -EINVAL;
		if (mode & FALLOC_FL_COLLAPSE_RANGE)
			return off + len >= size ? -EINVAL : 0;
		if (len > inode->i_sb->s_maxbytes - size)
			return -EFBIG;
		return off >= size ? -EINVAL : 0;
	}
	if (!(mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) &&
	    off + len > size)
		return inode_newsize_ok(inode, off + len);
	return 0;
}

static long im_fallocate(struct file *file, int mode, loff_t off, loff_t len)
{
	struct file *lower = im_lower_file(file);
	struct inode *inode = file_inode(file);
	loff_t old;
	long ret;

	if (!lower->f_op->fallocate)
		return -EOPNOTSUPP;
	ret = im_fallocate_check(file_inode(lower), mode, off, len);
	if (ret)
		return ret;
	ret = im_change_begin(file);
	if (ret)
		return ret;
	old = i_size_read(file_inode(lower));
	do {
		ret = lower->f_op->fallocate(lower, mode, off, len);
	} while (!(mode & ~FALLOC_FL_KEEP_SIZE) &&
		 im_room_again(IM_FS(inode->i_sb), ret));
	if (i_size_read(file_inode(lower)) != old && !(mode & FALLOC_FL_INSERT_RANGE))
		im_dirty_cut(inode, min(old, i_size_read(file_inode(lower))));
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		im_change_end(file, off, U64_MAX);
	else if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		im_change_end(file, off, off + len);
	else
		im_change_end(file, 0, 0);	/* no byte reads differently */
	return ret;
}

static loff_t im_remap_file_range(struct file *in, loff_t pos_in,
				  struct file *file, loff_t pos, loff_t len,
				  unsigned int flags)
{
	struct file *lower = im_lower_file(file);
	struct file *lower_in = im_lower_file(in);
	loff_t ret;

	if (in->f_op != file->f_op)
		return -EXDEV;
	ret = im_change_begin(file);
	if (ret)
		return ret;
	ret = lower->f_op->remap_file_range(lower_in, pos_in, lower, pos, len,
					    flags);
	/* len 0: to the end of the other one. Deduplication changes nothing. */
	if (flags & REMAP_FILE_DEDUP)
		im_change_end(file, 0, 0);
	else
		im_change_end(file, pos, len ? pos + len : U64_MAX);
	return ret;
}

int im_truncate(struct dentry *dentry, struct iattr *ia)
{
	struct inode *inode = d_inode(dentry);
	struct im_fs *fs = IM_FS(inode->i_sb);
	struct dentry *lower = im_lower_dentry(inode);
	struct inode *linode = d_inode(lower);
	/* The lower file is not open here. */
	struct iattr size = {
		.ia_valid = ia->ia_valid & ~ATTR_FILE,
		.ia_size = ia->ia_size,
		.ia_atime = ia->ia_atime,
		.ia_mtime = ia->ia_mtime,
		.ia_ctime = ia->ia_ctime,
	};
	loff_t old;
	int err;

	/* A writer for as long as it takes: the last one logs CLOSE. */
	im_dirty_get(inode, false);
	err = mnt_want_write(fs->lower.mnt);
	if (err)
		goto out_put;
	err = im_dirty_begin(inode);
	if (err)
		goto out_write;
	inode_lock(linode);
	old = i_size_read(linode);
	err = im_do_setattr(lower, &size);
	if (!err || i_size_read(linode) != old)
		im_dirty_cut(inode, min(old, ia->ia_size));
	inode_unlock(linode);
	im_dirty_end(inode, 0, 0);
out_write:
	mnt_drop_write(fs->lower.mnt);
out_put:
	im_dirty_put(inode, false);
	return err;
}

/* The rest --------------------------------------------------------------- */

static int im_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct file *lower = im_lower_file(file);
	int err = im_dirty_fsync(file_inode(file));

	return err ? err : vfs_fsync_range(lower, start, end, datasync);
}

static int im_fadvise(struct file *file, loff_t off, loff_t len, int advice)
{
	return vfs_fadvise(im_lower_file(file), off, len, advice);
}

/*
 * Attributes, FIEMAP, FICLONE and preallocation come by way of the VFS. Most
 * of the lower's own commands could change data behind our back.
 */
static long im_file_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	return im_lower_ioctl(file, cmd, arg);
}

const struct file_operations im_file_fops = {
	.owner			= THIS_MODULE,
	.open			= im_open,
	.release		= im_release,
	.flush			= im_flush,
	.llseek			= im_llseek,
	.read_iter		= im_read_iter,
	.write_iter		= im_write_iter,
	.splice_read		= im_splice_read,
	.splice_write		= im_splice_write,
	.mmap			= im_mmap,
	.fsync			= im_fsync,
	.fallocate		= im_fallocate,
	.remap_file_range	= im_remap_file_range,
	.fadvise		= im_fadvise,
	.unlocked_ioctl		= im_file_ioctl,
	.compat_ioctl		= compat_ptr_ioctl,
	.setlease		= generic_setlease,
};

const struct file_operations *im_file_fops_of(const struct inode *lower)
{
	return lower->i_fop->remap_file_range ? &im_file_fops : &im_plain_fops;
}
