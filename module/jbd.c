// SPDX-License-Identifier: GPL-2.0
/*
 * The log through the jbd2 journal of the lower filesystem.
 *
 * ext4 exports nothing that leads to its journal_t. It is found as the private
 * data of /proc/fs/jbd2/<device>-8/info (external: <its device>/info), and
 * believed only when it names this superblock and this device as its own.
 *
 * A handle of ours is never nested in another: with current->journal_info set,
 * jbd2 would take that for a handle of its own journal, whatever it is. Nobody
 * who may call here has one: faults and copies from user space do not happen
 * inside handles, and reclaim inside a handle (GFP_NOFS) does not evict our
 * inodes. A filesystem that writes to files of ours from inside its own
 * transaction is refused.
 *
 * Between begin and end jbd2 has set PF_MEMALLOC_NOFS.
 */
#include "journal.h"

#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/jbd2.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>
#include <linux/namei.h>
#include <linux/proc_fs.h>

#define IM_JBD_BUFFERS_MIN	256	/* most of one transaction; 4 MiB journal */
#define IM_JBD_RETRY		(HZ / 50)
#define IM_JBD_REVOKES		1024	/* in one handle */

/* Of the superblock on disk, which no header that a module may use describes. */
#define IM_EXT4_SB_AT		1024	/* bytes; all below are in it */
#define IM_EXT4_COMPAT		0x5c	/* __le32 */
#define IM_EXT4_HAS_JOURNAL	0x4
#define IM_EXT4_INCOMPAT	0x60	/* __le32 */
#define IM_EXT4_ENCRYPT		0x10000
#define IM_EXT4_CASEFOLD	0x20000
#define IM_EXT4_JOURNAL_INUM	0xe0	/* __le32; 0: it is on a device of its own */
#define IM_EXT4_JOURNAL_DEV	0xe4	/* __le32, new_encode_dev() */

struct im_ext4_sb {
	u32 compat, incompat, journal_inum, journal_dev;
};

static int im_ext4_read(struct super_block *sb, struct im_ext4_sb *es)
{
	struct buffer_head *bh = sb_bread(sb, IM_EXT4_SB_AT / sb->s_blocksize);
	char *p;

	if (!bh)
		return -EIO;
	p = bh->b_data + IM_EXT4_SB_AT % sb->s_blocksize;
	es->compat = le32_to_cpup((__le32 *)(p + IM_EXT4_COMPAT));
	es->incompat = le32_to_cpup((__le32 *)(p + IM_EXT4_INCOMPAT));
	es->journal_inum = le32_to_cpup((__le32 *)(p + IM_EXT4_JOURNAL_INUM));
	es->journal_dev = le32_to_cpup((__le32 *)(p + IM_EXT4_JOURNAL_DEV));
	brelse(bh);
	return 0;
}

static bool im_jbd_info_file(struct file *f)
{
	struct dentry *info = f->f_path.dentry;
	struct dentry *dev = info->d_parent;
	struct dentry *jbd2 = dev->d_parent;

	/* Only a file of this very place has a journal_t behind it. */
	return f->f_path.mnt->mnt_sb->s_magic == PROC_SUPER_MAGIC &&
	       d_is_reg(info) && !strcmp(info->d_name.name, "info") &&
	       !strcmp(jbd2->d_name.name, "jbd2") &&
	       !strcmp(jbd2->d_parent->d_name.name, "fs") &&
	       IS_ROOT(jbd2->d_parent->d_parent);
}

/*
 * The directory of the journal: the filesystem's device and its inode, or, if
 * it is external, its own device, whose name sysfs knows. That one was loaded
 * by this very mount, so it stays as long as the mount.
 */
static int im_jbd_path(struct im_journal *j, const struct im_ext4_sb *es,
		       char *buf, size_t size)
{
	dev_t dev = new_decode_dev(es->journal_dev);
	struct path path;
	char *p;
	int err;

	if (es->journal_inum) {
		scnprintf(buf, size, "/proc/fs/jbd2/%pg-%u/info",
			  j->lsb->s_bdev, es->journal_inum);
	} else {
		scnprintf(buf, size, "/sys/dev/block/%u:%u", MAJOR(dev),
			  MINOR(dev));
		err = kern_path(buf, LOOKUP_FOLLOW, &path);
		if (err)
			return err;
		scnprintf(buf, size, "/proc/fs/jbd2/%pd/info", path.dentry);
		path_put(&path);
	}
	/* as jbd2 does: a device name may hold slashes */
	for (p = buf + strlen("/proc/fs/jbd2/"); strcmp(p, "/info"); p++)
		if (*p == '/')
			*p = '!';
	return 0;
}

static int im_jbd_find(struct im_journal *j, const struct im_ext4_sb *es)
{
	struct super_block *sb = j->lsb;
	char path[64 + NAME_MAX];
	struct file *f;
	journal_t *journal;
	int err;

	err = im_jbd_path(j, es, path, sizeof(path));
	f = err ? ERR_PTR(err) : filp_open(path, O_RDONLY, 0);
	if (IS_ERR(f)) {
		im_mount_err(j->fs, "cannot find the journal of the lower filesystem: open %s: error %ld; is it mounted without its journal (noload), or is /proc%s not mounted?",
			     path, PTR_ERR(f),
			     es->journal_inum ? "" : " or /sys");
		return PTR_ERR(f) == -ENOENT ? -EOPNOTSUPP : PTR_ERR(f);
	}
	journal = im_jbd_info_file(f) ? pde_data(file_inode(f)) : NULL;
	if (!journal || journal->j_private != sb ||
	    journal->j_fs_dev != sb->s_bdev) {
		im_mount_err(j->fs, "%s is not the journal of the lower filesystem",
			     path);
		err = -EOPNOTSUPP;
	}
	fput(f);
	if (!err)
		j->lower = journal;	/* lives as long as the lower mount */
	return err;
}

/* What the log cannot live with, known before its journal is. */
static int im_jbd_refuse(struct im_journal *j, const struct im_ext4_sb *es)
{
	if (!(es->compat & IM_EXT4_HAS_JOURNAL)) {
		im_mount_err(j->fs, "the lower filesystem has no journal, so after a crash tree and log would differ; unmount it and give it one (tune2fs -O has_journal)");
		return -EOPNOTSUPP;
	}
	if (es->incompat & IM_EXT4_CASEFOLD) {
		im_mount_err(j->fs, "the lower filesystem can fold the case of names (casefold), which is not supported; use one made without -O casefold");
		return -EOPNOTSUPP;
	}
	if (es->incompat & IM_EXT4_ENCRYPT) {
		im_mount_err(j->fs, "the lower filesystem can encrypt directories (encrypt), but the log and the peers would hold their names and data in clear; use one made without -O encrypt");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int im_jbd_open(struct im_journal *j)
{
	struct super_block *sb = j->lsb;
	struct im_ext4_sb es;
	journal_t *journal;
	int err;

	if ((strcmp(sb->s_type->name, "ext4") &&
	     strcmp(sb->s_type->name, "ext3")) || !sb->s_bdev ||
	    sb->s_magic != EXT4_SUPER_MAGIC) {
		im_mount_err(j->fs, "the lower filesystem is %s; the log needs ext4 with a journal: put the fileset on one",
			     sb->s_type->name);
		return -EOPNOTSUPP;
	}
	err = im_ext4_read(sb, &es);
	if (err) {
		im_mount_err(j->fs, "cannot read the superblock of the lower filesystem: error %d",
			     err);
		return err;
	}
	err = im_jbd_refuse(j, &es);
	if (!err)
		err = im_jbd_find(j, &es);
	if (err)
		return err;
	journal = j->lower;
	if (jbd2_has_feature_fast_commit(journal)) {
		im_mount_err(j->fs, "the lower filesystem uses fast_commit, which can save a change without its record; unmount it and switch that off (tune2fs -O ^fast_commit)");
		return -EOPNOTSUPP;
	}
	/* Of a commit that was cut off, recovery may take a part for the whole:
	 * the operation without its record.
	 */
	if (jbd2_has_feature_async_commit(journal)) {
		im_mount_err(j->fs, "the lower filesystem is mounted with journal_async_commit: a commit that a power cut interrupts could save a change without its record; mount it without");
		return -EOPNOTSUPP;
	}
	if (is_journal_aborted(journal)) {
		im_mount_err(j->fs, "the journal of the lower filesystem is aborted; unmount it and run e2fsck");
		return -EIO;
	}
	if (journal->j_max_transaction_buffers < IM_JBD_BUFFERS_MIN ||
	    journal->j_max_transaction_buffers <
	    4 * (im_segment_credits(j, IM_REC_MAX) + IM_DONE_MAX)) {
		im_mount_err(j->fs, "the journal of the lower filesystem is too small (%d blocks for one transaction); unmount it and make it larger (tune2fs -O ^has_journal, then tune2fs -J size=MEGABYTES)",
			     journal->j_max_transaction_buffers);
		return -EOPNOTSUPP;
	}
	if (!(journal->j_flags & JBD2_BARRIER) &&
	    (bdev_write_cache(journal->j_dev) ||
	     bdev_write_cache(journal->j_fs_dev)))
		im_warn(j->fs, "the lower filesystem is mounted with nobarrier, but its device has a write cache: unless a battery keeps that, a power cut may make tree and log differ, and the tree itself inconsistent");
	return 0;
}

static void im_jbd_close(struct im_journal *j)
{
	j->lower = NULL;
}

/*
 * The handle is the one thing that jbd2 does not insist on having memory for,
 * and a completion cannot be given up.
 */
static handle_t *im_jbd_start(journal_t *journal, unsigned int blocks,
			      unsigned int revokes)
{
	handle_t *handle;

	while ((handle = jbd2__journal_start(journal, blocks, 0, revokes,
					     GFP_NOFS, 0, __LINE__)) ==
	       ERR_PTR(-ENOMEM))
		schedule_timeout_uninterruptible(IM_JBD_RETRY);
	return handle;
}

static void *im_jbd_begin(struct im_journal *j, unsigned int blocks, u32 *tid)
{
	handle_t *handle;

	if (current->journal_info) {
		pr_warn_ratelimited("intermezzo (%s): %s changes files from inside a transaction of another filesystem; refused\n",
				    j->fs->name, current->comm);
		return ERR_PTR(-EIO);
	}
	handle = im_jbd_start(j->lower, blocks, 0);
	if (!IS_ERR(handle)) {
		*tid = handle->h_transaction->t_tid;
	} else if (PTR_ERR(handle) == -EROFS) {
		/* it was aborted; whoever comes later gets EIO too */
		im_journal_die(j->fs, "the lower filesystem's journal", -EROFS);
		return ERR_PTR(-EIO);
	}
	return handle;
}

static int im_jbd_get(void *handle, struct buffer_head *bh)
{
	return jbd2_journal_get_write_access(handle, bh);
}

static int im_jbd_dirty(void *handle, struct buffer_head *bh)
{
	return jbd2_journal_dirty_metadata(handle, bh);
}

static int im_jbd_end(void *handle)
{
	return jbd2_journal_stop(handle);
}

static bool im_jbd_committed(struct im_journal *j, u32 tid)
{
	journal_t *journal = j->lower;
	bool yes;

	/* The lock orders the abort of a failed commit before its number. */
	read_lock(&journal->j_state_lock);
	yes = tid_geq(journal->j_commit_sequence, tid) &&
	      !is_journal_aborted(journal);
	read_unlock(&journal->j_state_lock);
	return yes;
}

static int im_jbd_force(struct im_journal *j, u32 tid)
{
	int err = jbd2_complete_transaction(j->lower, tid);

	if (!err && is_journal_aborted((journal_t *)j->lower))
		err = -EIO;
	return err;
}

/*
 * jbd2_journal_flush() alone may meet a reserved handle of a writeback that is
 * just ending, and assert; a freeze waits for those first. EBUSY: it is frozen,
 * hence flushed.
 */
static int im_jbd_flush(struct im_journal *j)
{
	int err = im_compat_freeze(j->lsb);

	if (!err)
		err = im_compat_thaw(j->lsb);
	return err == -EBUSY ? 0 : err;
}

/*
 * As ext4 does for the blocks of its directories: a revoke record says that
 * replay leaves out all copies of the block in transactions up to this one, and
 * jbd2_journal_forget() in it, that its buffer is not written back.
 */
static int im_jbd_revoke(struct im_journal *j, const sector_t *nr, u32 n)
{
	int err = 0, err2;
	handle_t *handle;
	u32 i, end;

	for (i = 0; i < n && !err; i = end) {
		end = min(n, i + IM_JBD_REVOKES);
		handle = im_jbd_start(j->lower, 1, end - i);
		if (IS_ERR(handle))
			return PTR_ERR(handle);
		for (; i < end && !err; i++)
			err = jbd2_journal_revoke(handle, nr[i],
						  sb_find_get_block(j->lsb,
								    nr[i]));
		err2 = jbd2_journal_stop(handle);
		err = err ?: err2;
		cond_resched();
	}
	return err;
}

const struct im_log_ops im_jbd_ops = {
	.name		= "jbd2",
	.open		= im_jbd_open,
	.close		= im_jbd_close,
	.begin		= im_jbd_begin,
	.get		= im_jbd_get,
	.dirty		= im_jbd_dirty,
	.end		= im_jbd_end,
	.committed	= im_jbd_committed,
	.force		= im_jbd_force,
	.flush		= im_jbd_flush,
	.revoke		= im_jbd_revoke,
};
