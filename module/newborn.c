// SPDX-License-Identifier: GPL-2.0
/*
 * Newborn files: those whose last record is the CREATE by which a program has
 * made them. Programs make files in order to fill them, and then give them an
 * owner, a mode, times (tar, cp, rsync, install, mail). So a CREATE is a DIRTY
 * as well, and what happens to attributes while the file is open for writing is
 * left to the SYNC or CLOSE that is bound to come: it says them all, with
 * IM_RF_ATTRS. The SYNC of a period bounds how long peers wait.
 *
 *   NO    -- CREATE has happened, not by replay -->           SAME
 *   SAME  -- a change of data has ended -->                   DATA
 *   SAME, DATA -- attributes changed, while there are writers --> ATTRS
 *   SAME  -- no writers, idle, or the log needs room: CLEAN
 *            without a record -->                             NO
 *   any   -- SYNC, CLOSE; or a record of its attributes -->   NO
 *
 * Orders:
 * - The inode is on fs->dirty before the completion of the CREATE is in the
 *   log, and until then the CREATE itself holds scan_from. So recovery meets
 *   the CREATE, open or done, of every file that may have changed since.
 * - Attributes change without a record only under log_mutex, while the file is
 *   dirty and somebody has it open for writing: he, or the timer, logs them
 *   later. No record of data is made meanwhile, so none says half of them.
 * - A record of attributes (SETATTR, xattrs and so ACLs) ends it, after a SYNC
 *   if some have changed: peers get all in the order in which it was done. And
 *   recovery judges an intent by the tree, so while one may be open nothing of
 *   what it speaks of may change without a record.
 * - LINK, RENAME and UNLINK do not end it. They do not depend on attributes,
 *   nor does recovery's verdict about them, and peers get data behind a new
 *   name too, as long as the file is open.
 */
#include "intermezzo.h"
#include "data.h"

void im_newborn_created(struct im_op *op)
{
	struct im_fs *fs = op->fs;
	struct inode *inode = op->arg;
	struct im_inode *ii = IM_I(inode);
	u64 recno = le64_to_cpu(op->rec.recno);
	struct list_head *at;
	unsigned long flags;
	bool born;

	if (op->tag)
		return;
	spin_lock(&fs->dirty_lock);
	spin_lock_irqsave(&ii->lock, flags);
	/* By its handle somebody else may have got hold of it, and written. */
	born = ii->state == IM_DATA_CLEAN;
	if (born) {
		ii->state = IM_DATA_DIRTY;
		ii->newborn = IM_NEWBORN_SAME;
		ii->data_recno = recno;
		ii->data_tid = op->tid;
		ii->durable = false;
		ii->last_write = jiffies;
	}
	spin_unlock_irqrestore(&ii->lock, flags);
	if (born) {
		ihold(inode);
		/* Others have got numbers since the intent, but not many. */
		list_for_each_prev(at, &fs->dirty)
			if (list_entry(at, struct im_inode,
				       data_list)->data_recno < recno)
				break;
		list_add(&ii->data_list, at);
		atomic_inc(&fs->dirty_count);
	}
	spin_unlock(&fs->dirty_lock);
	if (born)
		im_dirty_kick(fs);
}

bool im_newborn_drop(struct inode *inode)
{
	struct im_fs *fs = IM_FS(inode->i_sb);
	struct im_inode *ii = IM_I(inode);
	unsigned long flags;
	bool same;

	if (READ_ONCE(ii->newborn) != IM_NEWBORN_SAME)
		return false;
	spin_lock(&fs->dirty_lock);
	spin_lock_irqsave(&ii->lock, flags);
	same = ii->newborn == IM_NEWBORN_SAME;
	if (same) {
		WRITE_ONCE(ii->state, IM_DATA_CLOSING);
		smp_mb();	/* pairs with im_dirty_begin() */
		same = !atomic_read(&ii->inflight);
		if (!same)
			WRITE_ONCE(ii->state, IM_DATA_DIRTY);
	}
	spin_unlock_irqrestore(&ii->lock, flags);
	if (same)
		im_dirty_off(fs, ii);
	spin_unlock(&fs->dirty_lock);
	if (same)
		iput(inode);
	return same;
}

bool im_newborn_attrs_begin(struct inode *inode)
{
	struct im_inode *ii = IM_I(inode);
	unsigned long flags;
	bool may;

	mutex_lock(&ii->log_mutex);
	spin_lock_irqsave(&ii->lock, flags);
	may = ii->newborn != IM_NEWBORN_NO && ii->writers;
	spin_unlock_irqrestore(&ii->lock, flags);
	/* Not waited for: who holds it may fault, and so wait for log_mutex. */
	if (may && inode_trylock(im_lower_inode(inode)))
		return true;
	mutex_unlock(&ii->log_mutex);
	return false;
}

void im_newborn_attrs_end(struct inode *inode)
{
	struct im_inode *ii = IM_I(inode);
	unsigned long flags;

	inode_unlock(im_lower_inode(inode));
	spin_lock_irqsave(&ii->lock, flags);
	ii->newborn = IM_NEWBORN_ATTRS;
	spin_unlock_irqrestore(&ii->lock, flags);
	mutex_unlock(&ii->log_mutex);
}

int im_newborn_end(struct inode *inode, bool data)
{
	struct im_inode *ii = IM_I(inode);
	unsigned long flags;
	bool tell;
	int err = 0;

	if (READ_ONCE(ii->newborn) == IM_NEWBORN_NO && !data)
		return 0;
	mutex_lock(&ii->log_mutex);
	if (im_newborn_drop(inode))
		goto unlock;
	spin_lock_irqsave(&ii->lock, flags);
	tell = ii->newborn == IM_NEWBORN_ATTRS ||
	       (data && ii->state == IM_DATA_DIRTY && im_dirty_pending(ii));
	if (!tell)
		ii->newborn = IM_NEWBORN_NO;
	spin_unlock_irqrestore(&ii->lock, flags);
	if (tell)
		err = im_dirty_log(inode, IM_OP_SYNC, true, false);
unlock:
	mutex_unlock(&ii->log_mutex);
	return err;
}
