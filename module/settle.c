// SPDX-License-Identifier: GPL-2.0
/*
 * The lists of dirty and unsettled inodes, and the work that empties them.
 *
 * A list is in the order of data_recno, and the lower head of the two bounds
 * scan_from: recovery reads the log from there. Inodes come to a list under
 * the journal's lock and dirty_lock and leave under dirty_lock; on a list they
 * are pinned.
 *
 * Data is settled in the order of the list: the longest beginning of it whose
 * files have no dirty page and no page under writeback is noted (settle_recno)
 * with a transaction that is no older than what their writeback has logged
 * (settle_tid: extents, sizes), after a flush of the device's cache, since that
 * transaction may have flushed already. When it is on disk, so is the data.
 *
 * The work never waits for a log_mutex: its holder may be waiting for room in
 * the log, which only the work can make. And its write access to the lower is
 * of the innermost kind, which is there until the last step of a freeze, when
 * nobody else is left who could wait for room.
 */
#include "intermezzo.h"
#include "data.h"
#include "lower.h"

#include <linux/blkdev.h>
#include <linux/pagemap.h>
#include <linux/workqueue.h>

#define IM_BATCH	32

static unsigned long im_sync_period(struct im_fs *fs)
{
	return msecs_to_jiffies(READ_ONCE(fs->sync_ms));
}

/* The lists -------------------------------------------------------------- */

void im_dirty_kick(struct im_fs *fs)
{
	struct workqueue_struct *wq = READ_ONCE(fs->wq);

	if (wq)
		queue_delayed_work(wq, &fs->sync_work, im_sync_period(fs));
}

/* The record of an inode's data has its number; journal lock held. */
void im_dirty_logged(struct im_op *op)
{
	struct im_fs *fs = op->fs;
	struct inode *inode = op->arg;
	struct im_inode *ii = IM_I(inode);
	unsigned int opcode = le16_to_cpu(op->rec.op);
	bool dirty = opcode == IM_OP_DIRTY ||
		     (op->rec.flags & cpu_to_le32(IM_RF_STILL));
	enum im_data_state old;
	unsigned long flags;

	spin_lock(&fs->dirty_lock);
	spin_lock_irqsave(&ii->lock, flags);
	old = ii->state;
	ii->data_recno = le64_to_cpu(op->rec.recno);
	if (opcode == IM_OP_DIRTY) {
		ii->data_tid = op->tid;
		ii->durable = false;
	}
	ii->state = dirty ? IM_DATA_DIRTY : IM_DATA_UNSETTLED;
	ii->newborn = IM_NEWBORN_NO;
	spin_unlock_irqrestore(&ii->lock, flags);
	if (old == IM_DATA_CLEAN)
		ihold(inode);
	list_move_tail(&ii->data_list, dirty ? &fs->dirty : &fs->unsettled);
	atomic_add(dirty - (old == IM_DATA_DIRTY || old == IM_DATA_CLOSING),
		   &fs->dirty_count);
	spin_unlock(&fs->dirty_lock);
	im_dirty_kick(fs);
}

void im_dirty_off(struct im_fs *fs, struct im_inode *ii)
{
	unsigned long flags;

	spin_lock_irqsave(&ii->lock, flags);
	if (ii->state != IM_DATA_UNSETTLED)
		atomic_dec(&fs->dirty_count);
	ii->state = IM_DATA_CLEAN;
	ii->newborn = IM_NEWBORN_NO;
	im_ranges_free(&ii->ranges);
	im_ranges_free(&ii->recent);
	im_pages_free(&ii->pages);
	ii->trunc = U64_MAX;
	spin_unlock_irqrestore(&ii->lock, flags);
	list_del_init(&ii->data_list);
	fs->settle_moved = true;
}

/*
 * While a record of it is being logged, the inode stays; the work comes back
 * to it.
 */
void im_dirty_gone(struct inode *inode)
{
	struct im_fs *fs = IM_FS(inode->i_sb);
	struct im_inode *ii = IM_I(inode);
	bool off;

	if (!S_ISREG(inode->i_mode))
		return;
	spin_lock(&fs->dirty_lock);
	off = ii->state == IM_DATA_DIRTY || ii->state == IM_DATA_UNSETTLED;
	if (off)
		im_dirty_off(fs, ii);
	spin_unlock(&fs->dirty_lock);
	if (off)
		iput(inode);
}

u64 im_dirty_low(struct im_fs *fs)
{
	struct im_inode *ii;
	u64 low;

	spin_lock(&fs->dirty_lock);
	low = fs->dirty_stuck;
	ii = list_first_entry_or_null(&fs->dirty, struct im_inode, data_list);
	if (ii)
		low = min(low, ii->data_recno);
	ii = list_first_entry_or_null(&fs->unsettled, struct im_inode,
				      data_list);
	if (ii)
		low = min(low, ii->data_recno);
	spin_unlock(&fs->dirty_lock);
	return low;
}

void im_dirty_push(struct im_fs *fs)
{
	struct workqueue_struct *wq = READ_ONCE(fs->wq);

	WRITE_ONCE(fs->dirty_push, true);
	if (wq)
		mod_delayed_work(wq, &fs->sync_work, 0);
}

/*
 * The next inodes of a list with *cursor < data_recno <= limit, referenced,
 * at most IM_BATCH; moves *cursor to the last one.
 */
static int im_dirty_batch(struct im_fs *fs, struct list_head *list, u64 *cursor,
			  u64 limit, struct inode **v)
{
	struct im_inode *ii;
	int n = 0;

	spin_lock(&fs->dirty_lock);
	list_for_each_entry(ii, list, data_list) {
		if (ii->data_recno > limit || n == IM_BATCH)
			break;
		if (ii->data_recno <= *cursor)
			continue;
		ihold(&ii->vfs_inode);
		v[n++] = &ii->vfs_inode;
	}
	if (n)
		*cursor = IM_I(v[n - 1])->data_recno;
	spin_unlock(&fs->dirty_lock);
	return n;
}

static u64 im_dirty_last(struct im_fs *fs, struct list_head *list)
{
	u64 last = 0;

	spin_lock(&fs->dirty_lock);
	if (!list_empty(list))
		last = list_last_entry(list, struct im_inode,
				       data_list)->data_recno;
	spin_unlock(&fs->dirty_lock);
	return last;
}

/* Records of the inodes that are dirty now ------------------------------- */

static int im_dirty_visit(struct im_fs *fs, struct inode *inode,
			  enum im_sync why)
{
	struct im_inode *ii = IM_I(inode);
	struct super_block *lsb = im_lower_sb(fs);
	int err;

	/* Most of a mapping's pages, so that little is left to be cleaned
	 * while changes wait for log_mutex.
	 */
	if (READ_ONCE(ii->mapped) && READ_ONCE(ii->ranges.n))
		im_data_write(inode);

	if (why == IM_SYNC_LAST)
		sb_start_intwrite(lsb);
	else if (!sb_start_intwrite_trylock(lsb))
		return 0;	/* frozen: nothing is pending, or after the thaw */
	err = 0;
	if (why == IM_SYNC_NOW || why == IM_SYNC_LAST)
		mutex_lock(&ii->log_mutex);
	else if (!mutex_trylock(&ii->log_mutex))
		goto out;
	err = im_dirty_sync_locked(inode, why);
	mutex_unlock(&ii->log_mutex);
out:
	sb_end_intwrite(lsb);
	return err;
}

static int im_dirty_pass(struct im_fs *fs, enum im_sync why)
{
	u64 cursor = 0, limit = im_dirty_last(fs, &fs->dirty);
	struct inode *v[IM_BATCH];
	int i, n, err, ret = 0;

	while ((n = im_dirty_batch(fs, &fs->dirty, &cursor, limit, v))) {
		for (i = 0; i < n; i++) {
			err = im_dirty_visit(fs, v[i], why);
			if (err)
				ret = err;
			iput(v[i]);
		}
		cond_resched();
	}
	return ret;
}

int im_dirty_sync_all(struct im_fs *fs, bool wait)
{
	int err = im_dirty_pass(fs, IM_SYNC_NOW);

	if (!err && wait && !READ_ONCE(fs->dead))
		err = im_journal_force(fs, im_journal_tid(fs));
	return err;
}

/* Data on disk ----------------------------------------------------------- */

static bool im_data_written(struct inode *inode)
{
	struct address_space *mapping = im_lower_inode(inode)->i_mapping;

	/* In this order: a page goes from the one to the other. */
	return !mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) &&
	       !mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK);
}

/*
 * How far the data of the list is written: data_recno of the last one of its
 * longest written beginning; 0: none. push: writes it.
 */
static u64 im_settle_scan(struct im_fs *fs, bool push)
{
	u64 cursor = 0, mark = 0, limit = im_dirty_last(fs, &fs->unsettled);
	struct inode *v[IM_BATCH];
	u64 recno[IM_BATCH];
	bool stop = false;
	int i, n;

	while (!stop &&
	       (n = im_dirty_batch(fs, &fs->unsettled, &cursor, limit, v))) {
		for (i = 0; i < n; i++) {
			recno[i] = READ_ONCE(IM_I(v[i])->data_recno);
			if (push)
				filemap_fdatawrite(im_lower_inode(v[i])->i_mapping);
		}
		for (i = 0; i < n; i++) {
			if (push)
				im_data_write(v[i]);
			/* Changed again: it is on the other list, or behind. */
			if (recno[i] > cursor)
				goto next;
			if (!im_lower_inode(v[i])->i_nlink)
				im_dirty_gone(v[i]);
			else if (!im_data_written(v[i]))
				stop = true;
			else if (!stop)
				mark = recno[i];
next:
			iput(v[i]);
		}
		cond_resched();
	}
	return mark;
}

/* Takes all up to recno off a list. */
static void im_settle_off(struct im_fs *fs, struct list_head *list, u64 recno)
{
	struct inode *v[IM_BATCH];
	struct im_inode *ii;
	int i, n;

	do {
		n = 0;
		spin_lock(&fs->dirty_lock);
		while (n < IM_BATCH && !list_empty(list)) {
			ii = list_first_entry(list, struct im_inode, data_list);
			if (ii->data_recno > recno)
				break;
			im_dirty_off(fs, ii);
			v[n++] = &ii->vfs_inode;
		}
		spin_unlock(&fs->dirty_lock);
		for (i = 0; i < n; i++)
			iput(v[i]);
		cond_resched();
	} while (n == IM_BATCH);
}

/*
 * After it, what is written is on disk when settle_tid is. Nothing is begun
 * while the lower is frozen: jbd2 would write even an empty transaction.
 */
static int im_settle_begin(struct im_fs *fs)
{
	struct super_block *lsb = im_lower_sb(fs);
	int err;

	if (!sb_start_intwrite_trylock(lsb))
		return -EBUSY;
	err = blkdev_issue_flush(lsb->s_bdev);
	if (!err)
		err = im_journal_now(fs, &fs->settle_tid);
	sb_end_intwrite(lsb);
	return err;
}

static void im_settle(struct im_fs *fs, bool push)
{
	if (!fs->settle_recno || push) {
		u64 mark = im_settle_scan(fs, push);

		if (mark) {
			if (im_settle_begin(fs))
				return;
			fs->settle_recno = mark;
		}
	}
	if (!fs->settle_recno)
		return;
	if (push && im_journal_force(fs, fs->settle_tid))
		return;
	if (im_journal_committed(fs, fs->settle_tid)) {
		im_settle_off(fs, &fs->unsettled, fs->settle_recno);
		fs->settle_recno = 0;
	}
}

/*
 * After a quiet period the newest record may carry an old scan_from, and the
 * next mount would read, and call unknown, more than it need.
 */
static void im_checkpoint(struct im_fs *fs)
{
	struct super_block *lsb = im_lower_sb(fs);
	struct im_log_stat st;
	struct im_op op;

	im_journal_stat(fs, &st);
	if (st.last == fs->settle_last && !st.open_intents &&
	    sb_start_intwrite_trylock(lsb)) {
		spin_lock(&fs->dirty_lock);
		fs->settle_moved = false;
		spin_unlock(&fs->dirty_lock);
		im_op_init(&op, fs, IM_OP_CHECKPOINT);
		if (!im_op_append(&op))
			st.last++;
		sb_end_intwrite(lsb);
	}
	fs->settle_last = st.last;
}

static void im_sync_work(struct work_struct *work)
{
	struct im_fs *fs = container_of(to_delayed_work(work), struct im_fs,
					sync_work);
	bool push = xchg(&fs->dirty_push, false);
	bool more;

	if (!READ_ONCE(fs->dead)) {
		im_dirty_pass(fs, push ? IM_SYNC_PUSH : IM_SYNC_TIMER);
		im_settle(fs, push);
		if (READ_ONCE(fs->settle_moved))
			im_checkpoint(fs);
	}
	spin_lock(&fs->dirty_lock);
	more = !list_empty(&fs->dirty) || !list_empty(&fs->unsettled) ||
	       fs->settle_moved;
	spin_unlock(&fs->dirty_lock);
	if (more && !READ_ONCE(fs->dead))
		im_dirty_kick(fs);
}

/* Life ------------------------------------------------------------------- */

void im_dirty_init_fs(struct im_fs *fs)
{
	spin_lock_init(&fs->dirty_lock);
	INIT_LIST_HEAD(&fs->dirty);
	INIT_LIST_HEAD(&fs->unsettled);
	fs->dirty_stuck = U64_MAX;
	atomic_set(&fs->dirty_count, 0);
	INIT_DELAYED_WORK(&fs->sync_work, im_sync_work);
}

int im_dirty_start(struct im_fs *fs)
{
	fs->wq = alloc_workqueue("im_sync/%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 1,
				 fs->name);
	return fs->wq ? 0 : -ENOMEM;
}

void im_dirty_stop(struct im_fs *fs)
{
	struct workqueue_struct *wq = fs->wq;
	int err;

	/* Nobody has a file open any more: nothing queues it again. */
	WRITE_ONCE(fs->wq, NULL);
	cancel_delayed_work_sync(&fs->sync_work);
	destroy_workqueue(wq);

	err = im_dirty_pass(fs, IM_SYNC_LAST);
	if (!err)
		err = im_lower_sync(fs);
	if (err || atomic_read(&fs->dirty_count)) {
		fs->dirty_stuck = im_dirty_low(fs);
		im_warn(fs, "data could not be written back: error %d; the next mount reports these files as changed",
			err);
	}
	im_settle_off(fs, &fs->dirty, U64_MAX);
	im_settle_off(fs, &fs->unsettled, U64_MAX);
}
