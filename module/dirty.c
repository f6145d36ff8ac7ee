// SPDX-License-Identifier: GPL-2.0
/*
 * What of a file's data has changed: DIRTY, SYNC and CLOSE records and the
 * ranges they carry.
 *
 * States of a regular file's inode (im_data_state):
 *
 *   CLEAN      -- first change: DIRTY logged, or CREATE -->    DIRTY
 *   DIRTY      -- last writer goes, or idle: about to log -->  CLOSING
 *   CLOSING    -- CLOSE, or SYNC without STILL, logged -->     UNSETTLED
 *   CLOSING    -- could not be logged -->                      DIRTY
 *   UNSETTLED  -- next change: DIRTY logged -->                DIRTY
 *   UNSETTLED  -- its data is on disk (settle.c) -->           CLEAN
 *   DIRTY      -- nothing since CREATE (newborn.c) -->         CLEAN
 *   any        -- last name gone (im_dirty_gone()) -->         CLEAN
 *
 * A change is bracketed by im_dirty_begin() and im_dirty_end(). The range is
 * added by the end, when the data is in the page cache or on the disk: a set
 * that SYNC takes away in the meantime does not have it, but SYNC sees that
 * something is under way (inflight), stays STILL, and the next record has the
 * range. So no byte falls between two records, and a reader that fetches a
 * range after its record finds the new bytes.
 *
 * Orders that a crash can tell apart:
 * - DIRTY's handle has stopped before the lower is touched. jbd2 commits in
 *   order, so what the lower logs for this change (size, blocks, mtime) is in
 *   the same transaction or a later one.
 * - What reaches the disk by force (fsync, O_DSYNC, O_DIRECT, mapped pages,
 *   whose msync the lower may answer without a commit) waits for the commit
 *   of DIRTY: im_dirty_durable(). SYNC|STILL need not be waited for: whichever
 *   of DIRTY and the SYNCs is the last that survives, it says dirty.
 * - data_recno moves only when the new record has its number, under the
 *   journal's lock, so that scan_from of no later record can miss it.
 * - CLOSE and SYNC without STILL do not make a file safe: it stays on
 *   fs->unsettled and holds scan_from until its data is on disk.
 *
 * An inode without a name (O_TMPFILE, unlinked while open) has no records: it
 * does not outlive a crash. A name is given to it by im_dirty_link().
 */
#include "intermezzo.h"
#include "data.h"

#include <linux/delay.h>
#include <linux/slab.h>

/* More than this many ranges are not worth the log's last room. */
#define IM_PUSH_RANGES	64

/*
 * From so many ranges on, to put one more among them moves so much memory that
 * they are gathered, whole pages and others, and put there a batch at a time.
 */
#define IM_MANY_RANGES	256
#define IM_RECENT_MAX	64

void im_dirty_init_inode(struct im_inode *ii)
{
	mutex_init(&ii->log_mutex);
	spin_lock_init(&ii->lock);
	ii->state = IM_DATA_CLEAN;
	ii->newborn = IM_NEWBORN_NO;
	ii->data_recno = 0;
	ii->data_tid = 0;
	ii->durable = false;
	INIT_LIST_HEAD(&ii->data_list);
	im_ranges_init(&ii->ranges, IM_RANGES_MAX);
	im_ranges_init(&ii->recent, IM_RECENT_MAX);
	ii->pages = NULL;
	ii->trunc = U64_MAX;
	atomic_set(&ii->inflight, 0);
	ii->writers = 0;
	ii->mapped = 0;
	ii->last_write = jiffies;
}

void im_dirty_evict(struct inode *inode)
{
	struct im_inode *ii = IM_I(inode);

	WARN_ON(ii->state != IM_DATA_CLEAN ||
		atomic_read(&ii->inflight));
	im_ranges_free(&ii->ranges);
	im_ranges_free(&ii->recent);
	im_pages_free(&ii->pages);
}

/* All that has changed is in ii->ranges then; ii->lock is held. */
static void im_dirty_gather(struct im_inode *ii)
{
	im_pages_take(&ii->pages, &ii->ranges);
	im_ranges_merge(&ii->ranges, &ii->recent);
	im_ranges_clip(&ii->recent, 0);		/* keeps its memory */
}

/* ii->lock is held. */
static void im_dirty_add(struct im_inode *ii, u64 off, u64 end)
{
	if (ii->ranges.n < IM_MANY_RANGES) {
		im_ranges_add(&ii->ranges, off, end);
		return;
	}
	if (im_pages_fit(off, end)) {
		if (im_pages_add(&ii->pages, off, end))
			return;
		im_dirty_gather(ii);
		if (im_pages_add(&ii->pages, off, end))
			return;
	}
	if (ii->recent.n == IM_RECENT_MAX)
		im_dirty_gather(ii);
	im_ranges_add(&ii->recent, off, end);
}

int im_dirty_allowed(struct im_fs *fs)
{
	if (READ_ONCE(fs->dead))
		return -EIO;
	if (READ_ONCE(fs->replica) && !im_tag_current(fs))
		return -EROFS;
	return 0;
}

/* One record ------------------------------------------------------------- */

/* A directory by which peers may find the file. */
static void im_dirty_hint(struct inode *inode, struct im_fid *fid)
{
	struct dentry *alias = d_find_alias(inode);
	struct dentry *dir;

	if (!alias)
		return;
	if (!IS_ROOT(alias)) {
		dir = dget_parent(alias);
		im_fid_of(im_lower_inode(d_inode(dir)), fid);
		dput(dir);
	}
	dput(alias);
}

static void im_dirty_op(struct im_op *op, struct inode *inode,
			unsigned int opcode)
{
	im_op_init(op, IM_FS(inode->i_sb), opcode);
	im_fid_of(im_lower_inode(inode), &op->rec.fid);
	im_dirty_hint(inode, &op->rec.dir);
	op->obj = im_lower_dentry(inode);
	op->logged = im_dirty_logged;
	op->arg = inode;
}

/* log_mutex is held. */
static int im_dirty_log_first(struct inode *inode)
{
	struct im_op op;

	im_dirty_op(&op, inode, IM_OP_DIRTY);
	im_op_take_attrs(&op);
	return im_op_append(&op);
}

/* As im_range; cuts what lies behind size. Returns bytes. */
static u32 im_dirty_put_ranges(const struct im_ranges *r, struct im_range *out,
			       u64 size)
{
	u32 n = im_ranges_put(r, out) / sizeof(*out);
	u64 off, end;

	while (n) {
		off = le64_to_cpu(out[n - 1].off);
		end = off + le64_to_cpu(out[n - 1].len);
		if (off < size) {
			if (end > size)
				out[n - 1].len = cpu_to_le64(size - off);
			break;
		}
		n--;
	}
	return n * sizeof(*out);
}

/*
 * A chmod between its intent and its effect would leave us with the mode of
 * before and a record newer than its own, and a peer would undo it. It holds
 * the lower's i_rwsem over both. Not waited for without end: who holds it may
 * fault, and so wait for log_mutex.
 */
static bool im_dirty_lock_attrs(struct inode *lower)
{
	unsigned long end = jiffies + HZ / 10;

	while (!inode_trylock_shared(lower)) {
		if (time_after(jiffies, end))
			return false;
		usleep_range(50, 200);
	}
	return true;
}

int im_dirty_log(struct inode *inode, unsigned int opcode, bool still,
		 bool push)
{
	struct im_inode *ii = IM_I(inode);
	struct im_range *buf = NULL;
	struct im_ranges taken;
	unsigned long flags;
	bool mapped, attrs, locked;
	u64 trunc;
	struct im_op op;
	int err = 0;

	spin_lock_irqsave(&ii->lock, flags);
	/*
	 * From here a change goes into the next record: if this one ends the
	 * dirty state, after a new DIRTY, for which it waits. A change or a
	 * writer may have come since the caller looked, though.
	 */
	if (!still) {
		WRITE_ONCE(ii->state, IM_DATA_CLOSING);
		smp_mb();	/* pairs with im_dirty_begin() */
		if (atomic_read(&ii->inflight) ||
		    (opcode == IM_OP_CLOSE && ii->writers)) {
			WRITE_ONCE(ii->state, IM_DATA_DIRTY);
			opcode = IM_OP_SYNC;
			still = true;
		}
	}
	im_dirty_gather(ii);
	im_ranges_move(&taken, &ii->ranges);
	trunc = ii->trunc;
	ii->trunc = U64_MAX;
	mapped = ii->mapped;
	attrs = ii->newborn == IM_NEWBORN_ATTRS;
	spin_unlock_irqrestore(&ii->lock, flags);

	/*
	 * A page that was made writable since the last time takes stores
	 * without a fault until it is cleaned. Cleaning after the take and
	 * before the record: stores before it are seen by whoever reads the
	 * record, stores after it fault and mark the page again.
	 */
	if (mapped)
		im_data_write(inode);

	im_dirty_op(&op, inode, opcode);
	/* The replay of the peer's record is this CLOSE. */
	if (op.tag && opcode == IM_OP_CLOSE) {
		err = im_op_apply_tag(&op);
		if (err) {
			op.rec.flags &= ~cpu_to_le32(IM_RF_FINAL);
			im_warn(op.fs, "replay of record %llu of origin %016llx: the time of the file could not be set: error %d; the record must be replayed again",
				le64_to_cpu(op.rec.origin_recno),
				le64_to_cpu(op.rec.origin), err);
		}
		im_copy_size(inode);
	}
	/* A record that is not the last word on the file may be wrong. */
	locked = !still && im_dirty_lock_attrs(im_lower_inode(inode));
	im_op_take_attrs(&op);
	/* Not cut: all up to the size, and more is not allowed. */
	op.rec.trunc = cpu_to_le64(min(trunc, le64_to_cpu(op.rec.size)));
	if (still)
		op.rec.flags |= cpu_to_le32(IM_RF_STILL);
	if (attrs)
		op.rec.flags |= cpu_to_le32(IM_RF_ATTRS);
	if (taken.n && !(push && taken.n > IM_PUSH_RANGES))
		buf = kvmalloc_array(taken.n, sizeof(*buf),
				     GFP_NOFS | __GFP_NOWARN);
	if (buf) {
		op.body.data = buf;
		op.body.data_len = im_dirty_put_ranges(&taken, buf,
						       le64_to_cpu(op.rec.size));
	} else if (taken.n) {
		op.rec.flags |= cpu_to_le32(IM_RF_UNKNOWN);
	}
	err = im_op_append(&op);
	if (locked)
		inode_unlock_shared(im_lower_inode(inode));
	kvfree(buf);

	spin_lock_irqsave(&ii->lock, flags);
	if (err && (ii->state == IM_DATA_DIRTY ||
		    ii->state == IM_DATA_CLOSING)) {
		ii->state = IM_DATA_DIRTY;
		im_ranges_merge(&ii->ranges, &taken);
		ii->trunc = min(ii->trunc, trunc);
	}
	spin_unlock_irqrestore(&ii->lock, flags);
	im_ranges_free(&taken);
	/* im_dirty_gone() does not wait for a record under way. */
	if (!im_lower_inode(inode)->i_nlink && !atomic_read(&ii->inflight))
		im_dirty_gone(inode);
	return err;
}

/* Writers ---------------------------------------------------------------- */

void im_dirty_get(struct inode *inode, bool mapping)
{
	struct im_inode *ii = IM_I(inode);
	unsigned long flags;

	spin_lock_irqsave(&ii->lock, flags);
	ii->writers++;
	ii->mapped += mapping;
	spin_unlock_irqrestore(&ii->lock, flags);
}

/* The last writer is gone, as it seems. */
static void im_dirty_close(struct inode *inode)
{
	struct im_inode *ii = IM_I(inode);
	struct im_fs *fs = IM_FS(inode->i_sb);
	struct super_block *lsb = im_lower_sb(fs);

	/*
	 * Nobody waits in close() for a frozen filesystem to thaw: the sync
	 * work does it then. But a tag ends with close().
	 */
	if (im_tag_current(fs)) {
		sb_start_intwrite(lsb);
	} else if (!sb_start_intwrite_trylock(lsb)) {
		im_dirty_kick(fs);
		return;
	}
	mutex_lock(&ii->log_mutex);
	im_dirty_sync_locked(inode, IM_SYNC_CLOSE);
	mutex_unlock(&ii->log_mutex);
	sb_end_intwrite(lsb);
}

void im_dirty_put(struct inode *inode, bool mapping)
{
	struct im_inode *ii = IM_I(inode);
	unsigned long flags;
	bool last;

	spin_lock_irqsave(&ii->lock, flags);
	ii->mapped -= mapping;
	last = !--ii->writers && (ii->state == IM_DATA_DIRTY ||
				  ii->state == IM_DATA_CLOSING);
	spin_unlock_irqrestore(&ii->lock, flags);
	if (last)
		im_dirty_close(inode);
}

/* Changes ---------------------------------------------------------------- */

static int im_dirty_first(struct inode *inode)
{
	struct im_inode *ii = IM_I(inode);
	const struct inode *lower = im_lower_inode(inode);
	int err = 0;

	/* An inode that is getting its first name has been marked before. */
	if (READ_ONCE(ii->state) == IM_DATA_CLEAN && !lower->i_nlink) {
		atomic_inc(&ii->inflight);
		return 0;
	}
	if (mutex_lock_killable(&ii->log_mutex))
		return -EINTR;
	if (ii->state != IM_DATA_DIRTY && lower->i_nlink)
		err = im_dirty_log_first(inode);
	/* Under log_mutex: nothing has ended the dirty state yet. */
	if (!err)
		atomic_inc(&ii->inflight);
	mutex_unlock(&ii->log_mutex);
	return err;
}

/*
 * Called for every write, so the usual case takes no lock: either it sees that
 * the dirty state is ending, or who ends it sees the change under way.
 */
int im_dirty_begin(struct inode *inode)
{
	struct im_inode *ii = IM_I(inode);
	struct im_fs *fs = IM_FS(inode->i_sb);
	int err;

	if (unlikely(READ_ONCE(fs->dead) || READ_ONCE(fs->replica))) {
		err = im_dirty_allowed(fs);
		if (err)
			return err;
	}
	atomic_inc(&ii->inflight);
	smp_mb__after_atomic();		/* pairs with im_dirty_log() */
	if (likely(READ_ONCE(ii->state) == IM_DATA_DIRTY))
		return 0;
	atomic_dec(&ii->inflight);
	return im_dirty_first(inode);
}

bool im_dirty_ready(struct inode *inode, bool durable)
{
	struct im_inode *ii = IM_I(inode);

	return READ_ONCE(ii->state) == IM_DATA_DIRTY &&
	       (!durable || READ_ONCE(ii->durable));
}

int im_dirty_durable(struct inode *inode)
{
	struct im_inode *ii = IM_I(inode);
	unsigned long flags;
	bool done;
	u32 tid;
	int err;

	spin_lock_irqsave(&ii->lock, flags);
	done = ii->durable || ii->state == IM_DATA_CLEAN;
	tid = ii->data_tid;
	spin_unlock_irqrestore(&ii->lock, flags);
	if (done)
		return 0;
	err = im_journal_force(IM_FS(inode->i_sb), tid);
	if (err)
		return err;
	spin_lock_irqsave(&ii->lock, flags);
	if (ii->data_tid == tid)	/* and not of a later DIRTY */
		ii->durable = true;
	spin_unlock_irqrestore(&ii->lock, flags);
	return 0;
}

void im_dirty_end(struct inode *inode, u64 off, u64 end)
{
	struct im_inode *ii = IM_I(inode);
	unsigned long flags;

	spin_lock_irqsave(&ii->lock, flags);
	if (ii->state == IM_DATA_DIRTY && off < end)
		im_dirty_add(ii, off, end);
	if (ii->newborn == IM_NEWBORN_SAME)
		ii->newborn = IM_NEWBORN_DATA;
	atomic_dec(&ii->inflight);
	ii->last_write = jiffies;
	/* Under the lock: the last one to copy has looked last. Times alone
	 * are nobody's business: getattr asks the lower.
	 */
	if (i_size_read(inode) != i_size_read(im_lower_inode(inode)))
		im_copy_size(inode);
	spin_unlock_irqrestore(&ii->lock, flags);
}

/*
 * A mapped page that holds the new end of the file stays writable, and once
 * the file has grown again its tail is data, without another fault: the range
 * of such a page is kept whole. Records are cut to the size anyway.
 */
void im_dirty_cut(struct inode *inode, u64 size)
{
	struct im_inode *ii = IM_I(inode);
	unsigned long flags;

	spin_lock_irqsave(&ii->lock, flags);
	if (ii->state == IM_DATA_DIRTY) {
		ii->trunc = min(ii->trunc, size);
		im_dirty_gather(ii);
		im_ranges_clip(&ii->ranges, ii->mapped ?
			       round_up(size, PAGE_SIZE) : size);
	}
	spin_unlock_irqrestore(&ii->lock, flags);
}

/*
 * The nameless get a name. DIRTY is logged before the name exists: a crash
 * finds neither, or DIRTY alone (whose FID does not exist then), or both.
 * inflight keeps the inode dirty, although it has no name, until the end.
 */
int im_dirty_link(struct inode *inode)
{
	struct im_inode *ii = IM_I(inode);
	unsigned long flags;
	int err = 0;

	if (mutex_lock_killable(&ii->log_mutex))
		return -EINTR;
	atomic_inc(&ii->inflight);
	if (i_size_read(im_lower_inode(inode)) || READ_ONCE(ii->writers))
		err = im_dirty_log_first(inode);
	spin_lock_irqsave(&ii->lock, flags);
	if (err) {
		atomic_dec(&ii->inflight);
	} else if (ii->state == IM_DATA_DIRTY) {
		ii->trunc = 0;
		im_dirty_gather(ii);
		im_ranges_add(&ii->ranges, 0, U64_MAX);
	}
	spin_unlock_irqrestore(&ii->lock, flags);
	mutex_unlock(&ii->log_mutex);
	return err;
}

void im_dirty_linked(struct inode *inode)
{
	struct im_inode *ii = IM_I(inode);

	im_dirty_end(inode, 0, 0);
	if (!READ_ONCE(ii->writers) && READ_ONCE(ii->state) != IM_DATA_CLEAN)
		im_dirty_close(inode);
}

/* SYNC and CLOSE --------------------------------------------------------- */

/*
 * Logs what the inode needs now, if it is dirty. log_mutex is held, the caller
 * has write access to the lower.
 */
int im_dirty_sync_locked(struct inode *inode, enum im_sync why)
{
	struct im_inode *ii = IM_I(inode);
	struct im_fs *fs = IM_FS(inode->i_sb);
	unsigned long flags, period;
	bool dirty, busy, pending, recent;
	u32 writers;

	period = msecs_to_jiffies(READ_ONCE(fs->sync_ms));
	spin_lock_irqsave(&ii->lock, flags);
	dirty = ii->state == IM_DATA_DIRTY;
	busy = atomic_read(&ii->inflight);
	writers = ii->writers;
	pending = im_dirty_pending(ii);
	recent = busy || time_before(jiffies, ii->last_write + period);
	spin_unlock_irqrestore(&ii->lock, flags);

	if (!busy && !im_lower_inode(inode)->i_nlink) {
		im_dirty_gone(inode);
		return 0;
	}
	if (!dirty)
		return 0;
	if ((!writers || !recent || why == IM_SYNC_PUSH) &&
	    im_newborn_drop(inode))
		return 0;
	if (!writers)
		return busy ? 0 : im_dirty_log(inode, IM_OP_CLOSE, false,
					       why == IM_SYNC_PUSH);
	switch (why) {
	case IM_SYNC_CLOSE:
		return 0;
	case IM_SYNC_TIMER:
		if (!pending && recent)
			return 0;
		return im_dirty_log(inode, IM_OP_SYNC, recent, false);
	case IM_SYNC_PUSH:
		return im_dirty_log(inode, IM_OP_SYNC, recent, true);
	case IM_SYNC_NOW:
	case IM_SYNC_LAST:
		break;
	}
	return pending ? im_dirty_log(inode, IM_OP_SYNC, true, false) : 0;
}

int im_dirty_fsync(struct inode *inode)
{
	struct im_inode *ii = IM_I(inode);
	struct super_block *lsb = im_lower_sb(IM_FS(inode->i_sb));
	unsigned long flags;
	bool pending;
	int err;

	err = im_dirty_durable(inode);
	if (err)
		return err;
	spin_lock_irqsave(&ii->lock, flags);
	pending = ii->state != IM_DATA_CLEAN && im_dirty_pending(ii);
	spin_unlock_irqrestore(&ii->lock, flags);
	if (!pending)
		return 0;
	sb_start_intwrite(lsb);
	mutex_lock(&ii->log_mutex);
	err = im_dirty_sync_locked(inode, IM_SYNC_NOW);
	mutex_unlock(&ii->log_mutex);
	sb_end_intwrite(lsb);
	/* The caller asks for its data. With DIRTY on the disk that is safe;
	 * the ranges were put back and come with the next record.
	 */
	return err == -ENOSPC || err == -ENOMEM ? 0 : err;
}
