// SPDX-License-Identifier: GPL-2.0
/*
 * The log: numbers records, knows which are open, and when they are on disk.
 *
 * Condition of everything: recno and place are allocated inside the record's
 * own handle, under the lock. Handles of a newer transaction start only when
 * all of the older one have stopped, so records of increasing number never sit
 * in decreasing transactions: the log has no holes after a crash.
 *
 * A completion changes the header of its record in place. That has no handle of
 * its own as a rule: the new header waits in done[], and whoever writes to the
 * log next puts all that wait there into his own handle, before his record.
 * So a record is in the log only together with, or after, the outcome of every
 * change that had ended when it was begun, and of an open intent it still holds
 * that nothing was logged under its locks since: recovery may look at the tree.
 * What changes the tree without a record could mislead that look; the one
 * change that can be undone so, a time that a write changes again, is not left
 * waiting (op->at_once), nor is an abort, which in the tree may look like
 * success. (Attributes that change without a record, in newborn.c, are of files
 * that have had no record of attributes.) The commit work writes what nobody
 * else has.
 *
 * The block of an intent stays pinned until the completion is written: nothing
 * that a completion needs can fail for lack of memory or of room. If it fails
 * all the same, the log is dead: the tree has a change that the log does not
 * confirm, only recovery can settle it, and no further change is allowed.
 *
 * Readers see records up to `durable`. The commit work takes, under the lock,
 * the newest number below every record whose outcome is not in the log and the
 * transaction of the last change of any block; once that transaction is on disk,
 * so are all records up to that number with their completions. It asks for a
 * commit only while a KML descriptor is open, and rests three times as long as
 * the last one took.
 *
 * last_rcvd of an origin is moved by the completion of its FINAL record, in the
 * order of completions; recovery repeats that in the order of the records. They
 * are the same for one applying thread; several threads of one origin must not
 * have FINAL records under way at the same time.
 */
#include "journal.h"
#include "lower.h"

#include <linux/sched/signal.h>

#define IM_ROOM_POLL	(HZ / 50)
#define IM_ROOM_WAIT	(30 * HZ)	/* then ENOSPC */
#define IM_IDLE_CHECK	HZ		/* commit work without readers */
#define IM_EVENT_GAP	(HZ / 5)	/* between two ADVANCED */

void im_journal_die(struct im_fs *fs, const char *what, int err)
{
	struct im_journal *j = fs->journal;

	if (xchg(&fs->dead, true))
		return;
	im_err(fs, "%s failed with error %d: the log can no longer be trusted to match the tree, all changes are refused; unmount, check the lower filesystem and mount again",
	       what, err);
	wake_up_all(&j->wait);
	if (!READ_ONCE(j->closing))
		queue_work(j->wq, &j->dead_work);
}

static void im_dead_work(struct work_struct *work)
{
	struct im_journal *j = container_of(work, struct im_journal, dead_work);

	im_netlink_event(j->fs, IM_CMD_EV_DEAD);
}

/* last_rcvd -------------------------------------------------------------- */

static struct im_rcvd *im_rcvd_slot(struct im_journal *j, __le64 origin)
{
	struct im_rcvd *free = NULL;
	int i;

	for (i = 0; i < IM_PEERS_MAX; i++) {
		if (j->rcvd[i].origin == origin)
			return &j->rcvd[i];
		if (!j->rcvd[i].origin && !free)
			free = &j->rcvd[i];
	}
	return free;
}

void im_rcvd_update(struct im_journal *j, const struct im_rec *rec)
{
	struct im_rcvd *r;

	if (!rec->origin || rec->state != IM_RS_DONE)
		return;
	if (!(rec->flags & cpu_to_le32(IM_RF_FINAL)) &&
	    rec->op != cpu_to_le16(IM_OP_MARK))
		return;
	r = im_rcvd_slot(j, rec->origin);
	if (!r)		/* its slot was reserved; so the log is of others */
		return;
	r->origin = rec->origin;
	r->recno = rec->origin_recno;
	r->low = rec->origin_low;
}

int im_journal_add_origin(struct im_fs *fs, u64 origin)
{
	struct im_journal *j = fs->journal;
	struct im_rcvd *r;
	int err = 0;

	if (!origin)
		return -EINVAL;
	mutex_lock(&j->lock);
	r = im_rcvd_slot(j, cpu_to_le64(origin));
	if (r)
		r->origin = cpu_to_le64(origin);
	else
		err = -ENOSPC;
	mutex_unlock(&j->lock);
	return err;
}

void im_journal_rcvd(struct im_fs *fs, struct im_rcvd rcvd[IM_PEERS_MAX])
{
	struct im_journal *j = fs->journal;

	mutex_lock(&j->lock);
	memcpy(rcvd, j->rcvd, sizeof(j->rcvd));
	mutex_unlock(&j->lock);
}

/* outcomes that wait ------------------------------------------------------ */

u64 im_journal_low(struct im_journal *j)
{
	struct im_op *op;
	u64 low = U64_MAX;
	u32 i;

	lockdep_assert_held(&j->lock);
	op = list_first_entry_or_null(&j->open, struct im_op, open);
	if (op)
		low = le64_to_cpu(op->rec.recno);
	for (i = 0; i < j->ndone; i++)
		low = min(low, le64_to_cpu(j->done[i].rec.recno));
	return low;
}

/*
 * Writes them. In a handle with room for IM_DONE_MAX blocks more than its own,
 * lock held. It may wait for a commit of such a block, and so does everybody
 * who wants the lock; who completes would have to wait for that block as well.
 */
static int im_put_done(struct im_journal *j, void *handle, u32 tid)
{
	struct im_done *d = j->done, *end = d + j->ndone;
	struct buffer_head *got = NULL;
	int err;

	for (; d < end; d++) {
		err = d->bh == got ? 0 : j->ops->get(handle, d->bh);
		if (!err) {
			got = d->bh;
			memcpy(got->b_data + d->off, &d->rec, IM_REC_HDR);
			err = j->ops->dirty(handle, got);
		}
		if (err) {
			/* They stay, so durable does not pass them. */
			im_journal_die(j->fs, "completing a record", err);
			return err;
		}
		if (got == j->tail)
			j->tail_tid = tid;
	}
	if (j->ndone)
		WRITE_ONCE(j->tid, tid);
	for (d = j->done; d < end; d++)
		brelse(d->bh);
	WRITE_ONCE(j->ndone, 0);
	return 0;
}

/* Writes them now. The caller has write access to the lower. */
static int im_write_done(struct im_journal *j)
{
	void *handle;
	int err, err2;
	u32 tid;

	handle = j->ops->begin(j, IM_DONE_MAX, &tid);
	if (IS_ERR(handle)) {
		err = PTR_ERR(handle);
		im_journal_die(j->fs, "completing a record", err);
		return err;
	}
	mutex_lock(&j->lock);
	err = READ_ONCE(j->fs->dead) ? -EIO : im_put_done(j, handle, tid);
	mutex_unlock(&j->lock);
	err2 = j->ops->end(handle);
	if (err2 && !err) {
		im_journal_die(j->fs, "the handle of a completion", err2);
		err = err2;
	}
	return err;
}

/* durability ------------------------------------------------------------- */

static void im_kick(struct im_journal *j)
{
	unsigned long delay = IM_IDLE_CHECK;

	if (READ_ONCE(j->closing))
		return;
	if (atomic_read(&j->readers))
		delay = msecs_to_jiffies(READ_ONCE(j->commit_ms));
	queue_delayed_work(j->wq, &j->commit_work, delay);
}

static void im_commit_work(struct work_struct *work)
{
	struct im_journal *j = container_of(to_delayed_work(work),
					    struct im_journal, commit_work);
	unsigned long start = jiffies;
	bool more;
	u64 cand;
	u32 tid;
	int err;

	/* If the lower is frozen, or read-only for now, they wait. */
	if (READ_ONCE(j->ndone) && !READ_ONCE(j->fs->dead) &&
	    !sb_rdonly(j->lsb) && sb_start_intwrite_trylock(j->lsb)) {
		im_write_done(j);
		sb_end_intwrite(j->lsb);
	}
	mutex_lock(&j->lock);
	cand = min(im_journal_low(j) - 1, j->last);
	tid = j->tid;
	mutex_unlock(&j->lock);

	if (READ_ONCE(j->fs->dead))
		return;
	if (atomic_read(&j->readers) && time_before(start, j->rest_until)) {
		if (!READ_ONCE(j->closing))
			queue_delayed_work(j->wq, &j->commit_work,
					   j->rest_until - start);
		return;
	}
	if (cand > j->durable) {
		if (atomic_read(&j->readers)) {
			err = j->ops->force(j, tid);
			if (err) {
				im_journal_die(j->fs, "commit of the lower filesystem's journal",
					       err);
				return;
			}
			j->rest_until = jiffies + 3 * (jiffies - start);
		}
		if (j->ops->committed(j, tid)) {
			WRITE_ONCE(j->durable, cand);
			wake_up_all(&j->wait);
			if (!READ_ONCE(j->closing))
				queue_delayed_work(j->wq, &j->event_work, 0);
		}
	}

	/* An open intent's completion kicks again. */
	mutex_lock(&j->lock);
	more = !j->nopen && j->last > j->durable;
	mutex_unlock(&j->lock);
	if (more)
		im_kick(j);
}

static void im_event_work(struct work_struct *work)
{
	struct im_journal *j = container_of(to_delayed_work(work),
					    struct im_journal, event_work);
	unsigned long next = j->last_event + IM_EVENT_GAP;

	if (time_before(jiffies, next)) {
		if (!READ_ONCE(j->closing))
			queue_delayed_work(j->wq, &j->event_work,
					   next - jiffies);
		return;
	}
	if (j->told == READ_ONCE(j->durable))
		return;
	j->told = READ_ONCE(j->durable);
	j->last_event = jiffies;
	im_netlink_event(j->fs, IM_CMD_EV_ADVANCED);
}

bool im_journal_committed(struct im_fs *fs, u32 tid)
{
	return fs->journal->ops->committed(fs->journal, tid);
}

int im_journal_force(struct im_fs *fs, u32 tid)
{
	struct im_journal *j = fs->journal;
	int err;

	if (j->ops->committed(j, tid))
		return 0;
	err = j->ops->force(j, tid);
	if (err)
		im_journal_die(fs, "commit of the lower filesystem's journal",
			       err);
	return err;
}

u32 im_journal_tid(struct im_fs *fs)
{
	return READ_ONCE(fs->journal->tid);
}

int im_journal_now(struct im_fs *fs, u32 *tid)
{
	struct im_journal *j = fs->journal;
	void *handle = j->ops->begin(j, 1, tid);

	return IS_ERR(handle) ? PTR_ERR(handle) : j->ops->end(handle);
}

u64 im_journal_durable(struct im_fs *fs)
{
	return READ_ONCE(fs->journal->durable);
}

void im_reader_add(struct im_journal *j, unsigned int commit_ms)
{
	mutex_lock(&j->lock);
	if (!atomic_read(&j->readers) || commit_ms < j->commit_ms)
		WRITE_ONCE(j->commit_ms, commit_ms);
	atomic_inc(&j->readers);
	mutex_unlock(&j->lock);
	/* what waited for an ordinary commit need not wait any longer */
	mod_delayed_work(j->wq, &j->commit_work, 0);
}

void im_reader_del(struct im_journal *j)
{
	mutex_lock(&j->lock);
	atomic_dec(&j->readers);
	mutex_unlock(&j->lock);
}

void im_journal_stat(struct im_fs *fs, struct im_log_stat *st)
{
	struct im_journal *j = fs->journal;

	mutex_lock(&j->lock);
	st->first = j->first;
	st->last = j->last;
	st->bytes = j->nseg * im_seg_bytes(j);
	st->min = IM_SEGS_MIN * im_seg_bytes(j);
	st->keep = READ_ONCE(j->keep);
	st->keep_age = READ_ONCE(j->keep_age);
	st->open_intents = j->nopen;
	st->readers = atomic_read(&j->readers);
	mutex_unlock(&j->lock);
}

const char *im_journal_guarantee(struct im_fs *fs)
{
	return fs->journal->ops->name;
}

/* writing ---------------------------------------------------------------- */

/* What a record needs besides the stack, when it is longer than a block. */
struct im_long {
	struct buffer_head *bh[DIV_ROUND_UP(IM_REC_MAX, 1024)];
	u8 buf[IM_REC_MAX];
};

static bool im_may_reserve(const struct im_op *op)
{
	switch (le16_to_cpu(op->rec.op)) {
	case IM_OP_SYNC:
	case IM_OP_CLOSE:
	case IM_OP_CHECKPOINT:
		return true;	/* these make room */
	default:
		return READ_ONCE(op->fs->journal->floor) != U64_MAX;
	}
}

/*
 * Copies the sealed record into its blocks. Inside the handle, lock held; an
 * error leaves the log in an unknown state.
 */
static int im_put_record(struct im_journal *j, void *handle, struct im_op *op,
			 struct buffer_head **bh, int n, u32 off, void *buf,
			 size_t len)
{
	int i, err = 0;

	if (n == 1)
		im_rec_encode(bh[0]->b_data + off, &op->rec, &op->body);
	else
		im_rec_encode(buf, &op->rec, &op->body);
	for (i = 0; i < n; i++) {
		if (n > 1)
			memcpy(bh[i]->b_data, buf + (size_t)i * j->bsize,
			       min_t(size_t, j->bsize,
				     len - (size_t)i * j->bsize));
		if (!err)
			err = j->ops->dirty(handle, bh[i]);
	}
	return err;
}

/* One attempt; -EAGAIN: no room now. */
static int im_try_write(struct im_journal *j, struct im_op *op, u8 state,
			size_t len, struct im_long *lng)
{
	struct buffer_head *one, **bh = lng ? lng->bh : &one;
	bool reserve = im_may_reserve(op), shrt = false;
	u64 life, scan_from;
	void *handle;
	int n, i, err, err2;
	u32 tid, off;

	handle = j->ops->begin(j, im_segment_credits(j, len) + IM_DONE_MAX,
			       &tid);
	if (IS_ERR(handle))
		return PTR_ERR(handle);

	mutex_lock(&j->lock);
	err = READ_ONCE(j->fs->dead) ? -EIO : im_put_done(j, handle, tid);
	if (err)
		goto unlock;
	scan_from = im_scan_from(j);
	life = j->life;
	n = im_segment_alloc(j, handle, tid, len, reserve, bh, &off);
	if (n < 0) {
		err = n;
		if (err != -EAGAIN)
			im_journal_die(j->fs, "getting a block of the log", err);
		goto unlock;
	}

	op->rec.magic = cpu_to_le32(IM_REC_MAGIC);
	op->rec.seg = cpu_to_le64(j->life);
	op->rec.recno = cpu_to_le64(j->last + 1);
	op->rec.scan_from = cpu_to_le64(scan_from);
	op->rec.state = state;
	err = im_put_record(j, handle, op, bh, n, off, lng ? lng->buf : NULL,
			    len);
	if (err) {
		im_journal_die(j->fs, "writing a record", err);
		goto release;
	}
	WRITE_ONCE(j->last, j->last + 1);
	WRITE_ONCE(j->tid, tid);
	j->scan_from = scan_from;
	op->tid = tid;
	if (state == IM_RS_INTENT) {
		get_bh(bh[0]);
		op->bh = bh[0];
		op->off = off;
		list_add_tail(&op->open, &j->open);
		j->nopen++;
	} else {
		im_rcvd_update(j, &op->rec);
	}
	if (op->logged)
		op->logged(op);
	shrt = j->life != life && im_segment_short(j);
release:
	for (i = 0; i < n; i++)
		brelse(bh[i]);
unlock:
	mutex_unlock(&j->lock);
	err2 = j->ops->end(handle);
	if (err2 && !err) {
		im_journal_die(j->fs, "the handle of a record", err2);
		err = err2;
		if (state == IM_RS_INTENT) {
			mutex_lock(&j->lock);
			list_del_init(&op->open);
			j->nopen--;
			mutex_unlock(&j->lock);
			brelse(op->bh);
			op->bh = NULL;
		}
	}
	if (shrt)
		im_dirty_push(j->fs);
	return err;
}

static int im_write_record(struct im_op *op, u8 state)
{
	struct im_journal *j = op->fs->journal;
	size_t len = im_rec_len(&op->body);
	unsigned long end = jiffies + IM_ROOM_WAIT;
	struct im_long *lng = NULL;
	int err;

	if (READ_ONCE(op->fs->dead))
		return -EIO;
	if (len > IM_REC_MAX)
		return -E2BIG;
	if (len > j->bsize) {
		lng = kvmalloc(sizeof(*lng), GFP_NOFS);
		if (!lng)
			return -ENOMEM;
	}
	while ((err = im_try_write(j, op, state, len, lng)) == -EAGAIN) {
		/* Who holds write access to the lower keeps a freeze from
		 * completing, so this must come to an end.
		 */
		im_dirty_push(op->fs);
		if (im_may_reserve(op) || time_after(jiffies, end)) {
			pr_warn_ratelimited("intermezzo (%s): the log is full and what it is needed for does not reach the disk; change refused\n",
					    op->fs->name);
			err = -ENOSPC;
			break;
		}
		schedule_timeout_killable(IM_ROOM_POLL);
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
	}
	kvfree(lng);
	if (!err && state != IM_RS_INTENT)
		im_kick(j);
	return err;
}

int im_journal_intent(struct im_op *op)
{
	return im_write_record(op, IM_RS_INTENT);
}

int im_journal_append(struct im_op *op)
{
	return im_write_record(op, IM_RS_DONE);
}

int im_journal_complete(struct im_op *op, bool done)
{
	struct im_journal *j = op->fs->journal;
	struct im_done *d;
	bool full;
	int err = 0;

	op->rec.state = done ? IM_RS_DONE : IM_RS_ABORTED;
	im_rec_seal(&op->rec);

	mutex_lock(&j->lock);
	while (j->ndone == IM_DONE_MAX && !READ_ONCE(j->fs->dead)) {
		mutex_unlock(&j->lock);
		im_write_done(j);
		mutex_lock(&j->lock);
	}
	if (READ_ONCE(j->fs->dead)) {
		/* durable does not move any more */
		brelse(op->bh);
		err = -EIO;
	} else {
		d = &j->done[j->ndone];
		d->bh = op->bh;
		d->off = op->off;
		d->rec = op->rec;
		WRITE_ONCE(j->ndone, j->ndone + 1);
		im_rcvd_update(j, &op->rec);
		if (done && op->completed)
			op->completed(op);
	}
	op->bh = NULL;
	full = j->ndone == IM_DONE_MAX;
	list_del_init(&op->open);
	j->nopen--;
	mutex_unlock(&j->lock);

	if (!err && (full || !done || op->at_once))
		err = im_write_done(j);
	im_kick(j);
	return err;
}

void im_journal_break(struct im_journal *j)
{
	mutex_lock(&j->lock);
	j->last++;
	WRITE_ONCE(j->first, j->last + 1);
	WRITE_ONCE(j->durable, j->last);
	mutex_unlock(&j->lock);
	wake_up_all(&j->wait);
}

void im_journal_lose(struct im_journal *j, u64 first)
{
	mutex_lock(&j->lock);
	WRITE_ONCE(j->first, max(j->first, first));
	mutex_unlock(&j->lock);
	wake_up_all(&j->wait);
}

/* life ------------------------------------------------------------------- */

/* What an earlier mount has left in the lower's journal is on disk, too. */
static int im_commit_all(struct im_journal *j)
{
	u32 tid;
	void *handle = j->ops->begin(j, 1, &tid);
	int err;

	if (IS_ERR(handle))
		return PTR_ERR(handle);
	WRITE_ONCE(j->tid, tid);
	err = j->ops->end(handle);
	return err ?: j->ops->force(j, tid);
}

static void im_journal_free(struct im_journal *j)
{
	if (j->wq)
		destroy_workqueue(j->wq);
	/* On error: they stay intents on disk. */
	while (j->ndone)
		brelse(j->done[--j->ndone].bh);
	im_ring_close(j);
	if (j->lower)
		j->ops->close(j);
	mutex_destroy(&j->lock);
	mutex_destroy(&j->ring_mutex);
	kvfree(j->epochs);
	j->fs->journal = NULL;
	kfree(j);
}

int im_journal_open(struct im_fs *fs)
{
	struct im_journal *j = kzalloc(sizeof(*j), GFP_KERNEL);
	int err;

	if (!j)
		return -ENOMEM;
	j->fs = fs;
	j->ops = fs->plain ? &im_plain_ops : &im_jbd_ops;
	j->lsb = fs->lower.mnt->mnt_sb;
	j->bsize = j->lsb->s_blocksize;
	j->floor = U64_MAX;
	j->commit_ms = IM_COMMIT_MS;
	j->last_event = jiffies - IM_EVENT_GAP;
	j->rest_until = jiffies;
	mutex_init(&j->lock);
	mutex_init(&j->ring_mutex);
	init_rwsem(&j->reading);
	INIT_LIST_HEAD(&j->open);
	init_waitqueue_head(&j->wait);
	INIT_DELAYED_WORK(&j->commit_work, im_commit_work);
	INIT_DELAYED_WORK(&j->event_work, im_event_work);
	INIT_WORK(&j->dead_work, im_dead_work);
	INIT_DELAYED_WORK(&j->ring_work, im_ring_work);
	fs->journal = j;

	err = -ENOMEM;
	j->wq = alloc_workqueue("im_log/%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 0,
				fs->name);
	if (!j->wq)
		goto err_free;
	err = j->ops->open(j);
	if (err)
		goto err_free;
	err = im_fset_open(fs, j, &j->logdir);
	if (err)
		goto err_free;
	j->seg_blocks = le32_to_cpu(fs->fset.seg_blocks);
	err = im_ring_open(j);
	if (err)
		goto err_free;
	err = im_recover(fs);
	if (!err)
		err = im_commit_all(j);
	if (err)
		goto err_free;
	WRITE_ONCE(j->durable, j->last);
	j->told = j->last;
	im_ring_start(j);
	return 0;

err_free:
	WRITE_ONCE(j->closing, true);
	if (j->wq) {
		cancel_delayed_work_sync(&j->commit_work);
		cancel_delayed_work_sync(&j->event_work);
	}
	im_journal_free(j);
	return err;
}

/* Nothing changes the tree any more, all data is on disk. */
static void im_journal_clean(struct im_fs *fs)
{
	struct im_journal *j = fs->journal;
	struct im_op op;
	bool clean;
	int err;

	if (j->clean == j->last)
		return;
	if (mnt_want_write(fs->lower.mnt))
		return;		/* then recovery does it */
	im_write_done(j);
	mutex_lock(&j->lock);
	clean = im_scan_from(j) > j->last;
	mutex_unlock(&j->lock);
	im_op_init(&op, fs, IM_OP_CHECKPOINT);
	op.rec.time = cpu_to_le64(ktime_get_real_ns());
	op.rec.flags = clean ? cpu_to_le32(IM_RF_CLEAN) : 0;
	err = im_journal_append(&op);
	if (!err)
		err = j->ops->force(j, op.tid);
	if (err)
		im_warn(fs, "cannot write the last record of the log: error %d; the next mount will recover",
			err);
	mnt_drop_write(fs->lower.mnt);
}

void im_journal_close(struct im_fs *fs)
{
	struct im_journal *j = fs->journal;

	im_ring_stop(j);
	if (!READ_ONCE(fs->dead))
		im_journal_clean(fs);
	WRITE_ONCE(j->closing, true);
	cancel_delayed_work_sync(&j->commit_work);
	cancel_delayed_work_sync(&j->event_work);
	flush_work(&j->dead_work);
	/* From here on anybody may remove the log's files: see ring.c. */
	if (!READ_ONCE(fs->dead))
		j->ops->flush(j);
	im_journal_free(j);
}
