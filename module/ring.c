// SPDX-License-Identifier: GPL-2.0
/*
 * The ring: the files .intermezzo/log/00000000 ... that hold the log, and how
 * many there are.
 *
 * They are written with zeros and synced when they are made; from then on their
 * blocks are changed through buffers of the block device only, inside handles,
 * and read the same way: the page cache of the files is stale. While mounted
 * the inodes are pinned and marked immutable and "swapfile", so that nobody
 * writes, truncates, punches, defragments or removes them.
 *
 * Which files belong to the ring is in an xattr of the directory (struct
 * im_ring), so that one that is missing is noticed: were it the newest, its
 * numbers would be used again.
 *
 * Growing: make the file; its zeros are in their place, past the lower's
 * journal too, before it is mapped; then its bit; only then is it used. What a
 * crash leaves without its bit is removed at the next mount.
 *
 * Giving back: ext4 does not know that the file's blocks are in its journal and
 * would not revoke them; replay could write a log block over the data of its
 * next owner. So, in this order, which is that of the transactions:
 *   1. the life in it, if any, leaves the log. It is the oldest one, and the
 *      newest record that is written says that recovery needs nothing of it;
 *   2. its bit is cleared: whatever its blocks hold from now on, nobody reads
 *      it as log;
 *   3. each of its blocks is revoked. From this transaction on replay writes no
 *      copy of them, and no buffer of them that is dirty is written back. No
 *      copy can follow: nobody changes them by a handle any more;
 *   4. its name is removed; we hold the inode, so its blocks stay its own;
 *   5. all of this is on disk;
 *   6. the inode is let go and ext4 frees the blocks.
 * A crash before 2 is durable finds the log as it was, before 4 a file that is
 * none of the log's, before 6 an inode without a name, which ext4 itself frees,
 * after replay. Whoever owns one of the blocks after any crash got it after 5,
 * so the revoke is in the journal as long as an older copy of the block is. (In
 * data=writeback a freed block can be written by its next owner before the
 * transaction that frees it is on disk; so 5 is not left to that.) What fails
 * before 4 leaves a file without its bit, whose blocks are not free.
 *
 * The ring wants to be as large as `keep` allows, and grows when its last free
 * segment has been begun. It takes no more than what the lower's users have
 * left: below that it shrinks, down to IM_SEGS_MIN segments, also at once when
 * somebody meets ENOSPC (im_journal_squeeze()). With keep_age, the oldest life
 * goes, with its file, when all of its records are older.
 */
#include "journal.h"
#include "lower.h"

#include <linux/cred.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/statfs.h>

#define IM_RING_POLL	HZ		/* looks at the room on the lower */
#define IM_RING_NEAR	(HZ / 10)	/* the same when there is little */
#define IM_RING_RETRY	(HZ / 50)	/* while somebody waits for room */
#define IM_RING_WAIT	(2 * HZ)	/* then he gets his ENOSPC */

typedef char im_seg_name[16];

static const char *im_seg_name_of(im_seg_name name, u32 n)
{
	snprintf(name, sizeof(im_seg_name), "%08u", n);
	return name;
}

/* which files ------------------------------------------------------------ */

static int im_ring_store(struct im_fs *fs, struct dentry *logdir, u64 files,
			 u64 keep, u32 keep_age)
{
	struct im_ring ring = {
		.magic = cpu_to_le32(IM_RING_MAGIC),
		.format = cpu_to_le32(IM_FORMAT),
		.keep_age = cpu_to_le32(keep_age),
		.incarnation = fs->fset.incarnation,
		.files = cpu_to_le64(files),
		.keep = cpu_to_le64(keep),
	};

	ring.crc = cpu_to_le32(im_ring_crc(&ring));
	return im_do_setxattr(logdir, IM_XATTR_RING, &ring, sizeof(ring), 0);
}

/* As they are now; s joins them, or NULL. Write access to the lower held. */
static int im_ring_save(struct im_journal *j, struct im_segment *s)
{
	u64 files = s ? BIT_ULL(s->n) : 0;
	int err;
	u32 i;

	mutex_lock(&j->ring_mutex);
	for (i = 0; i < IM_SEGS_MAX; i++)
		if (j->segs[i])
			files |= BIT_ULL(i);
	err = im_ring_store(j->fs, j->logdir, files, j->keep, j->keep_age);
	if (!err && s) {
		mutex_lock(&j->lock);
		j->segs[s->n] = s;
		j->nseg++;
		mutex_unlock(&j->lock);
	}
	mutex_unlock(&j->ring_mutex);
	return err;
}

static int im_ring_load(struct im_journal *j, u64 *files)
{
	struct im_ring ring;
	ssize_t n;

	n = vfs_getxattr(IM_NOP_IDMAP, j->logdir, IM_XATTR_RING, &ring,
			 sizeof(ring));
	if (n < 0 && n != -ENODATA && n != -ERANGE)
		return n;
	if (n != sizeof(ring) || ring.magic != cpu_to_le32(IM_RING_MAGIC) ||
	    ring.format != cpu_to_le32(IM_FORMAT) ||
	    ring.crc != cpu_to_le32(im_ring_crc(&ring)) ||
	    ring.incarnation != j->fs->fset.incarnation)
		return -EUCLEAN;
	*files = le64_to_cpu(ring.files);
	j->keep = le64_to_cpu(ring.keep);
	j->keep_age = le32_to_cpu(ring.keep_age);
	return 0;
}

/* making files ----------------------------------------------------------- */

static int im_segment_fill(struct im_fs *fs, struct file *f, bool first)
{
	u32 bsize = le32_to_cpu(fs->fset.block_size);
	u64 bytes = (u64)le32_to_cpu(fs->fset.seg_blocks) * bsize;
	size_t chunk = IM_SEG_BYTES_MIN;
	loff_t pos = 0;
	void *buf;
	int err;

	/* In one piece if possible. What is not written stays unmapped. */
	err = vfs_fallocate(f, 0, 0, bytes);
	if (err && err != -EOPNOTSUPP)
		return err;
	buf = kvzalloc(chunk, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	if (first)
		im_seg_seal(fs, buf, 1, 1, NULL);
	while (pos < bytes) {
		ssize_t n = kernel_write(f, buf, min_t(u64, chunk, bytes - pos),
					 &pos);

		if (n <= 0) {
			err = n ?: -EIO;
			goto out;
		}
		if (pos >= bsize)
			memset(buf, 0, sizeof(struct im_seg));
	}
	err = vfs_fsync(f, 0);
out:
	kvfree(buf);
	return err;
}

/* Write access to the lower is held. */
static int im_segment_unlink(struct dentry *logdir, u32 n)
{
	im_seg_name name;
	struct dentry *d;
	int err;

	im_seg_name_of(name, n);
	inode_lock_nested(d_inode(logdir), I_MUTEX_PARENT);
	d = im_lower_lookup(logdir, name, strlen(name));
	err = PTR_ERR_OR_ZERO(d);
	if (!err) {
		if (d_is_positive(d))
			err = im_do_unlink(logdir, d);
		dput(d);
	}
	inode_unlock(d_inode(logdir));
	return err;
}

static void im_segment_remove(struct im_fs *fs, struct dentry *logdir, u32 n)
{
	if (mnt_want_write(fs->lower.mnt))
		return;
	im_segment_unlink(logdir, n);
	mnt_drop_write(fs->lower.mnt);
}

/* -EEXIST: there is one; else on error there is none. */
static int im_segment_make(struct im_fs *fs, struct dentry *logdir, u32 n,
			   bool first)
{
	struct path dir = { .mnt = fs->lower.mnt, .dentry = logdir };
	im_seg_name name;
	struct file *f;
	int err;

	f = file_open_root(&dir, im_seg_name_of(name, n), O_CREAT | O_EXCL |
			   O_WRONLY | O_LARGEFILE | O_NOFOLLOW, 0600);
	if (IS_ERR(f))
		return PTR_ERR(f);
	err = im_segment_fill(fs, f, first);
	/* A kernel thread's would be put later, after an unmount maybe. */
	if (current->flags & PF_KTHREAD)
		__fput_sync(f);
	else
		fput(f);
	if (err)
		im_segment_remove(fs, logdir, n);
	return err;
}

int im_ring_create(struct im_fs *fs, struct dentry *logdir)
{
	u32 i, nseg = le32_to_cpu(fs->fset.seg_count);
	u32 age = fs->log_keep_age;
	int err = 0;

	for (i = 0; i < IM_SEGS_MAX; i++)
		im_segment_remove(fs, logdir, i);
	for (i = 0; i < nseg && !err; i++)
		err = im_segment_make(fs, logdir, i, i == 0);
	if (!err)
		err = mnt_want_write(fs->lower.mnt);
	if (!err) {
		err = im_ring_store(fs, logdir, BIT_ULL(nseg) - 1,
				    fs->log_keep, age == IM_AGE_UNSET ? 0 : age);
		mnt_drop_write(fs->lower.mnt);
	}
	if (!err)
		return 0;
	im_mount_err(fs, "cannot write the log (%u files of %u bytes): error %d%s",
		     nseg, le32_to_cpu(fs->fset.seg_blocks) *
		     le32_to_cpu(fs->fset.block_size), err,
		     err == -ENOSPC ? "; make room or give a smaller log_size" :
		     "");
	for (i = 0; i < nseg; i++)
		im_segment_remove(fs, logdir, i);
	return err;
}

/* open and close --------------------------------------------------------- */

static int im_segment_map(struct im_journal *j, struct im_segment *s,
			  bool fresh)
{
	struct inode *inode = d_inode(s->file);
	sector_t blk;
	u32 i;
	int err;

	if (!d_is_reg(s->file) || inode->i_nlink != 1 ||
	    inode->i_sb != j->lsb ||
	    i_size_read(inode) != (u64)j->seg_blocks * j->bsize)
		return -EUCLEAN;
	/* bmap() needs what the page cache holds to be on its way */
	err = filemap_write_and_wait(inode->i_mapping);
	if (err)
		return err;
	s->map = kvmalloc_array(j->seg_blocks, sizeof(*s->map), GFP_KERNEL);
	if (!s->map)
		return -ENOMEM;
	for (i = 0; i < j->seg_blocks; i++) {
		blk = i;
		err = bmap(inode, &blk);
		if (err)
			return err;
		if (!blk)
			return -EUCLEAN;
		s->map[i] = blk;
		if (fresh)
			im_block_forget(j, blk);
	}
	/* The flag is the lock, too: another mount may not have let go yet. */
	inode_lock(inode);
	if (IS_SWAPFILE(inode))
		err = -EBUSY;
	else
		inode->i_flags |= S_IMMUTABLE | S_SWAPFILE;
	inode_unlock(inode);
	if (err)
		return err;
	s->marked = true;
	/* never used again, and never to be taken for the log's content */
	invalidate_mapping_pages(inode->i_mapping, 0, -1);
	return 0;
}

static void im_segment_unmark(struct im_segment *s)
{
	struct inode *inode = d_inode(s->file);

	if (!s->marked)
		return;
	inode_lock(inode);
	inode->i_flags &= ~(S_IMMUTABLE | S_SWAPFILE);
	inode_unlock(inode);
	s->marked = false;
}

static void im_segment_put(struct im_segment *s)
{
	im_segment_unmark(s);
	dput(s->file);
	kvfree(s->map);
	kfree(s);
}

static struct im_segment *im_segment_open(struct im_journal *j, u32 n,
					  bool fresh)
{
	struct dentry *d, *logdir = j->logdir;
	struct im_segment *s;
	im_seg_name name;
	int err;

	im_seg_name_of(name, n);
	inode_lock_nested(d_inode(logdir), I_MUTEX_PARENT);
	d = im_lower_lookup(logdir, name, strlen(name));
	inode_unlock(d_inode(logdir));
	if (IS_ERR(d))
		return ERR_CAST(d);
	err = -EUCLEAN;
	if (d_is_negative(d))
		goto err_dput;
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	err = -ENOMEM;
	if (!s)
		goto err_dput;
	s->n = n;
	s->file = d;
	err = im_segment_map(j, s, fresh);
	if (err) {
		im_segment_put(s);
		return ERR_PTR(err);
	}
	return s;

err_dput:
	dput(d);
	return ERR_PTR(err);
}

/* What the mount asks for; else it stays as it was. */
static int im_ring_limits(struct im_fs *fs, struct im_journal *j, u64 keep,
			  u32 keep_age)
{
	u64 min = IM_SEGS_MIN * im_seg_bytes(j);
	u64 max = IM_SEGS_MAX * im_seg_bytes(j);

	if (keep && (keep < min || keep > max)) {
		im_mount_err(fs, "log_keep=%llu: this log was made for %llu to %llu bytes%s",
			     keep, min, max, keep > max ?
			     "; for more, give log_keep when it is created" :
			     "");
		return -EINVAL;
	}
	if (keep)
		WRITE_ONCE(j->keep, keep);
	if (keep_age != IM_AGE_UNSET)
		WRITE_ONCE(j->keep_age, keep_age);
	return 0;
}

int im_ring_open(struct im_journal *j)
{
	struct im_fs *fs = j->fs;
	im_seg_name name = "";
	u64 files;
	int err;
	u32 i;

	err = im_ring_load(j, &files);
	if (err) {
		im_mount_err(fs, IM_STATE_DIR "/log does not say which files it has (xattr " IM_XATTR_RING ": error %d); after removing " IM_STATE_DIR " the fileset can be created anew (-o create), all clients will resynchronise",
			     err);
		return err;
	}
	for (i = 0; i < IM_SEGS_MAX && !err; i++) {
		if (!(files & BIT_ULL(i)))
			continue;
		im_seg_name_of(name, i);
		j->segs[i] = im_segment_open(j, i, j->fresh);
		err = PTR_ERR_OR_ZERO(j->segs[i]);
		if (err)
			j->segs[i] = NULL;
		else
			j->nseg++;
	}
	if (!err && j->nseg < IM_SEGS_MIN)
		err = -EUCLEAN;
	if (err == -EBUSY)
		im_mount_err(fs, "the log in %s is in use: this fileset is being unmounted or mounted by somebody else",
			     IM_STATE_DIR);
	else if (err == -ENOMEM || err == -EIO)
		im_mount_err(fs, "cannot read segment %s/log/%s: error %d; the log is as it was, mount again once memory or disk are well",
			     IM_STATE_DIR, name, err);
	else if (err)
		im_mount_err(fs, "segment %s/log/%s is not as it was made (size, links or blocks): error %d; mount with -o create after removing %s to begin anew",
			     IM_STATE_DIR, name, err, IM_STATE_DIR);
	return err ?: im_ring_limits(fs, j, fs->log_keep, fs->log_keep_age);
}

void im_ring_close(struct im_journal *j)
{
	u32 i;

	brelse(j->tail);
	j->tail = NULL;
	for (i = 0; i < IM_SEGS_MAX; i++)
		if (j->segs[i])
			im_segment_put(j->segs[i]);
	dput(j->logdir);
}

/* growing and shrinking -------------------------------------------------- */

static int im_ring_grow(struct im_journal *j)
{
	struct vfsmount *mnt = j->fs->lower.mnt;
	struct im_segment *s;
	int err = -EEXIST;
	u32 n;

	/* A name that is there is of one that could not be given back. */
	for (n = 0; n < IM_SEGS_MAX; n++) {
		if (j->segs[n])
			continue;
		err = im_segment_make(j->fs, j->logdir, n, false);
		if (err != -EEXIST)
			break;
	}
	if (err)
		return err;
	s = im_segment_open(j, n, true);
	err = PTR_ERR_OR_ZERO(s);
	if (err)
		goto err_remove;
	err = mnt_want_write(mnt);
	if (err)
		goto err_put;
	err = im_ring_save(j, s);
	mnt_drop_write(mnt);
	if (err)
		goto err_put;
	return 0;

err_put:
	im_segment_put(s);
err_remove:
	im_segment_remove(j->fs, j->logdir, n);
	return err;
}

/* Steps 2 to 6; write access to the lower held. s is freed. */
static int im_ring_drop(struct im_journal *j, struct im_segment *s)
{
	u32 n = s->n, tid;
	int err;

	/* Nobody finds it any more; who has, has done with it. */
	down_write(&j->reading);
	up_write(&j->reading);

	err = im_ring_save(j, NULL);
	if (!err)
		err = j->ops->revoke(j, s->map, j->seg_blocks);
	if (!err) {
		im_segment_unmark(s);
		err = im_segment_unlink(j->logdir, n);
	}
	if (!err)
		err = im_journal_now(j->fs, &tid);
	if (!err)
		err = im_journal_force(j->fs, tid);
	im_segment_put(s);
	return err;
}

/*
 * Step 1: takes a segment out of the ring; aged: the oldest life, else a free
 * one if there is one. Enough for writers must be left. NULL: not now;
 * -EAGAIN: the newest record must say first that the oldest is not needed.
 */
static struct im_segment *im_ring_take(struct im_journal *j, bool aged)
{
	struct im_segment *s = NULL;
	u64 scan_from;

	mutex_lock(&j->lock);
	scan_from = im_scan_from(j);
	if (im_segments_ready(j, scan_from) < 3)
		goto out;
	if (!aged)
		s = im_segment_unused(j);
	if (!s && im_life_over(j, j->oldest, j->scan_from)) {
		s = im_segment(j, j->oldest);
		im_segment_retire(j);
	}
	if (s) {
		j->segs[s->n] = NULL;
		j->nseg--;
	} else if (im_life_over(j, j->oldest, scan_from)) {
		s = ERR_PTR(-EAGAIN);
	}
out:
	mutex_unlock(&j->lock);
	return s;
}

/* 0: given back; -EAGAIN: not now. */
static int im_ring_give(struct im_journal *j, bool aged)
{
	struct super_block *lsb = j->lsb;
	struct im_segment *s;
	struct im_op op;
	int err;

	if (sb_rdonly(lsb))
		return -EROFS;
	/* Who waits for room may be in the way of a freeze. */
	if (!sb_start_write_trylock(lsb))
		return -EAGAIN;
	err = -EAGAIN;
	s = im_ring_take(j, aged);
	if (IS_ERR(s)) {
		im_op_init(&op, j->fs, IM_OP_CHECKPOINT);
		op.rec.time = cpu_to_le64(ktime_get_real_ns());
		err = im_journal_append(&op);
		s = err ? NULL : im_ring_take(j, aged);
		if (IS_ERR(s))
			s = NULL;
	}
	if (s)
		err = im_ring_drop(j, s);
	sb_end_write(lsb);
	return err;
}

/* When a life was begun, ns; by its first record if an earlier mount did. */
static u64 im_ring_begun(struct im_journal *j, u64 life)
{
	struct im_cursor c = { .life = life, .blk = 1 };
	struct im_segment *s;
	struct im_rec *rec;
	u64 time = 0;

	mutex_lock(&j->lock);
	s = im_segment(j, life);
	if (s)
		time = s->time;
	mutex_unlock(&j->lock);
	if (time || !s)
		return time;
	rec = kvmalloc(IM_REC_MAX, GFP_KERNEL);
	if (rec && !im_log_read(j, &c, rec, NULL))
		time = le64_to_cpu(rec->time);
	kvfree(rec);
	mutex_lock(&j->lock);
	s = im_segment(j, life);
	if (s)
		s->time = time;
	mutex_unlock(&j->lock);
	return time;
}

/* All records of the oldest life are older than keep_age. */
static bool im_ring_aged(struct im_journal *j)
{
	u64 age = (u64)READ_ONCE(j->keep_age) * NSEC_PER_SEC, begun;

	begun = age ? im_ring_begun(j, READ_ONCE(j->oldest) + 1) : 0;
	return begun && begun + age < ktime_get_real_ns();
}

/* 0: one step was made; -EAGAIN: nothing to do, or not now. */
static int im_ring_step(struct im_journal *j, unsigned long *next)
{
	u64 seg = im_seg_bytes(j), bytes = j->nseg * seg;
	bool squeezed = READ_ONCE(j->squeezed), aged;
	u64 room, keep = READ_ONCE(j->keep);
	struct kstatfs st;
	int err;

	*next = IM_RING_POLL;
	err = vfs_statfs(&j->fs->lower, &st);
	if (err)
		return err;
	room = st.f_bavail * st.f_bsize;
	if (room < 4 * bytes)
		*next = IM_RING_NEAR;
	if (j->nseg > IM_SEGS_MIN) {
		aged = im_ring_aged(j);
		if (bytes > keep || room < bytes || squeezed || aged) {
			err = im_ring_give(j, aged);
			if (err == -EAGAIN && (squeezed || room < bytes))
				im_dirty_push(j->fs);
			if (squeezed)
				*next = IM_RING_RETRY;
			return err;
		}
	}
	/* With room for more than one, or it would be given back soon. */
	if (bytes + seg <= keep && room > bytes + 4 * seg &&
	    j->nseg == READ_ONCE(j->life) - READ_ONCE(j->oldest) + 1)
		return im_ring_grow(j);
	return -EAGAIN;
}

void im_ring_work(struct work_struct *work)
{
	struct im_journal *j = container_of(to_delayed_work(work),
					    struct im_journal, ring_work);
	const struct cred *old = override_creds(j->fs->cred);
	unsigned long next;
	int err;

	do {
		err = READ_ONCE(j->fs->dead) ? -EIO : im_ring_step(j, &next);
		if (!err || j->nseg == IM_SEGS_MIN) {
			WRITE_ONCE(j->squeezed, false);
			wake_up_all(&j->wait);
		}
		cond_resched();
	} while (!err && READ_ONCE(j->ring_on));
	revert_creds(old);

	if (err && err != -EAGAIN && err != -ENOSPC && err != -ENOMEM) {
		if (!READ_ONCE(j->fs->dead) && err != -EROFS)
			im_warn(j->fs, "cannot change the number of the log's files: error %d; it stays at %u files of %llu bytes until the next mount",
				err, j->nseg, im_seg_bytes(j));
		return;
	}
	if (READ_ONCE(j->ring_on))
		queue_delayed_work(j->wq, &j->ring_work, next);
}

void im_ring_kick(struct im_journal *j)
{
	if (READ_ONCE(j->ring_on))
		mod_delayed_work(j->wq, &j->ring_work, 0);
}

bool im_journal_squeeze(struct im_fs *fs)
{
	struct im_journal *j = fs->journal;
	u32 nseg = READ_ONCE(j->nseg);
	struct kstatfs st;

	if (nseg == IM_SEGS_MIN || READ_ONCE(fs->dead))
		return false;
	/* ENOSPC is also said of inodes, xattrs, directories. */
	if (vfs_statfs(&fs->lower, &st) ||
	    st.f_bavail * st.f_bsize >= nseg * im_seg_bytes(j))
		return false;
	WRITE_ONCE(j->squeezed, true);
	im_ring_kick(j);
	/* Not for ever: the work may wait for a freeze, and that for us. */
	if (!wait_event_timeout(j->wait, !READ_ONCE(j->squeezed), IM_RING_WAIT))
		WRITE_ONCE(j->squeezed, false);
	return READ_ONCE(j->nseg) < nseg;
}

/* What a crash has left of a file that was made or given back. */
static void im_ring_sweep(struct im_journal *j)
{
	struct im_segment *s;
	int err;
	u32 n;

	for (n = 0; n < IM_SEGS_MAX; n++) {
		if (j->segs[n])
			continue;
		s = im_segment_open(j, n, false);
		err = PTR_ERR_OR_ZERO(s);
		if (!err)
			err = im_ring_drop(j, s);
		else if (err == -EUCLEAN)	/* it was never used */
			err = im_segment_unlink(j->logdir, n);
		if (err)
			im_warn(j->fs, "cannot remove " IM_STATE_DIR "/log/%08u, which is not part of the log: error %d",
				n, err);
	}
}

void im_ring_start(struct im_journal *j)
{
	struct im_fs *fs = j->fs;
	int err = mnt_want_write(fs->lower.mnt);

	if (err)
		return;		/* nor will it be written to */
	if (fs->log_keep || fs->log_keep_age != IM_AGE_UNSET)
		err = im_ring_save(j, NULL);
	if (err)
		im_warn(fs, "cannot note the limits of the log: error %d; they are forgotten at the next mount",
			err);
	im_ring_sweep(j);
	mnt_drop_write(fs->lower.mnt);
	WRITE_ONCE(j->ring_on, true);
	im_ring_kick(j);
}

void im_ring_stop(struct im_journal *j)
{
	WRITE_ONCE(j->ring_on, false);
	cancel_delayed_work_sync(&j->ring_work);
}

int im_journal_keep(struct im_fs *fs, struct im_fs *new)
{
	struct im_journal *j = fs->journal;
	u32 keep_age = j->keep_age;
	u64 keep = j->keep;
	int err;

	if (!new->log_keep && new->log_keep_age == IM_AGE_UNSET)
		return 0;
	err = mnt_want_write(fs->lower.mnt);
	if (err)
		return err;
	err = im_ring_limits(new, j, new->log_keep, new->log_keep_age);
	if (!err)
		err = im_ring_save(j, NULL);
	if (err) {
		WRITE_ONCE(j->keep, keep);
		WRITE_ONCE(j->keep_age, keep_age);
	}
	mnt_drop_write(fs->lower.mnt);
	im_ring_kick(j);
	return err;
}
