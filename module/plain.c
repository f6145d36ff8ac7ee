// SPDX-License-Identifier: GPL-2.0
/*
 * journal=plain: the log's blocks are written without the lower's journal,
 * whenever the kernel writes back dirty buffers. Gives no guarantee: a change
 * survives a crash without its record and the other way round. It exists so
 * that the crash test can show that its checker sees exactly that.
 *
 * Everything is one endless handle with tid 1, "committed" when the device
 * was synced.
 */
#include "journal.h"

#include <linux/blkdev.h>

static int im_plain_open(struct im_journal *j)
{
	if (!j->lsb->s_bdev) {
		im_mount_err(j->fs, "the lower filesystem (%s) is not on a block device",
		       j->lsb->s_type->name);
		return -EOPNOTSUPP;
	}
	im_warn(j->fs, "journal=plain: after a crash, tree and log will differ");
	return 0;
}

static void im_plain_close(struct im_journal *j)
{
}

static void *im_plain_begin(struct im_journal *j, unsigned int blocks, u32 *tid)
{
	*tid = 1;
	return j;
}

static int im_plain_get(void *handle, struct buffer_head *bh)
{
	return 0;
}

static int im_plain_dirty(void *handle, struct buffer_head *bh)
{
	mark_buffer_dirty(bh);
	return 0;
}

static int im_plain_end(void *handle)
{
	return 0;
}

static bool im_plain_committed(struct im_journal *j, u32 tid)
{
	return true;
}

static int im_plain_force(struct im_journal *j, u32 tid)
{
	return 0;
}

static int im_plain_flush(struct im_journal *j)
{
	return sync_blockdev(j->lsb->s_bdev);
}

static int im_plain_revoke(struct im_journal *j, const sector_t *nr, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		clean_bdev_aliases(j->lsb->s_bdev, nr[i], 1);
	return 0;
}

const struct im_log_ops im_plain_ops = {
	.name		= "plain",
	.open		= im_plain_open,
	.close		= im_plain_close,
	.begin		= im_plain_begin,
	.get		= im_plain_get,
	.dirty		= im_plain_dirty,
	.end		= im_plain_end,
	.committed	= im_plain_committed,
	.force		= im_plain_force,
	.flush		= im_plain_flush,
	.revoke		= im_plain_revoke,
};
