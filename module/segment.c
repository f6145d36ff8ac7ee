// SPDX-License-Identifier: GPL-2.0
/*
 * Segments: the preallocated files .intermezzo/log/00000000 ... that hold the
 * log, used as a ring for ever.
 *
 * They are written with zeros and synced when the fileset is created; from then
 * on their blocks are changed through buffers of the block device only, inside
 * handles, and read the same way: the page cache of the files is stale. While
 * mounted the inodes are pinned and marked immutable and "swapfile", so that
 * nobody writes, truncates, punches, defragments or removes them.
 *
 * The blocks are never freed while the fileset exists. ext4 would not revoke
 * them: replay of the lower's journal could write a freed log block over the
 * data of its next owner. Whoever removes .intermezzo by hand must do so after
 * a clean unmount of the lower filesystem (or a flush of its journal), which
 * is also done here before a log is created anew.
 *
 * Life n of the log is in file n % nseg. A segment is begun anew when no
 * record in it is needed for recovery (all are below scan_from); readers that
 * still wanted them are told so. The header is written in the handle of the
 * segment's first record, so both are there after a crash or neither.
 *
 * A change of transaction begins a new block if the old one is still on its
 * way to the lower's journal: to change a block that is being committed means
 * to wait for that.
 */
#include "journal.h"
#include "lower.h"

#include <linux/falloc.h>
#include <linux/file.h>

#define IM_READAHEAD	32		/* blocks */

static void im_seg_seal(struct im_fs *fs, struct im_seg *seg, u64 life,
			u64 first, const struct im_rcvd *rcvd)
{
	memset(seg, 0, sizeof(*seg));
	seg->magic = cpu_to_le32(IM_SEG_MAGIC);
	seg->format = cpu_to_le32(IM_FORMAT);
	memcpy(seg->uuid, fs->fset.uuid, sizeof(seg->uuid));
	seg->incarnation = fs->fset.incarnation;
	seg->seg = cpu_to_le64(life);
	seg->first = cpu_to_le64(first);
	if (rcvd)
		memcpy(seg->rcvd, rcvd, sizeof(seg->rcvd));
	seg->crc = cpu_to_le32(im_seg_crc(seg));
}

/* creation --------------------------------------------------------------- */

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

static void im_segment_remove(struct im_fs *fs, struct dentry *logdir, u32 n)
{
	char name[16];
	struct dentry *d;

	snprintf(name, sizeof(name), "%08u", n);
	inode_lock_nested(d_inode(logdir), I_MUTEX_PARENT);
	d = im_lower_lookup(logdir, name, strlen(name));
	if (!IS_ERR(d)) {
		if (d_is_positive(d))
			im_do_unlink(logdir, d);
		dput(d);
	}
	inode_unlock(d_inode(logdir));
}

/*
 * Makes and zeroes all segment files; fs->fset says how many and how large.
 * On error none is left.
 */
int im_segments_create(struct im_fs *fs, struct dentry *logdir)
{
	struct path dir = { .mnt = fs->lower.mnt, .dentry = logdir };
	u32 i, nseg = le32_to_cpu(fs->fset.seg_count);
	char name[16];
	int err = 0;

	for (i = 0; i < IM_SEGS_MAX; i++)
		im_segment_remove(fs, logdir, i);
	for (i = 0; i < nseg && !err; i++) {
		struct file *f;

		snprintf(name, sizeof(name), "%08u", i);
		f = file_open_root(&dir, name, O_CREAT | O_EXCL | O_WRONLY |
				   O_LARGEFILE | O_NOFOLLOW, 0600);
		if (IS_ERR(f)) {
			err = PTR_ERR(f);
			break;
		}
		err = im_segment_fill(fs, f, i == 1);
		fput(f);
	}
	if (err) {
		im_mount_err(fs, "cannot write segment %s of the log (%u of %u bytes): error %d%s",
		       name, nseg, le32_to_cpu(fs->fset.seg_blocks) *
		       le32_to_cpu(fs->fset.block_size), err,
		       err == -ENOSPC ? "; make room or give a smaller log_size" :
		       "");
		for (i = 0; i < nseg; i++)
			im_segment_remove(fs, logdir, i);
	}
	return err;
}

/* open and close --------------------------------------------------------- */

/*
 * The device may still have in memory what the block held for its last owner;
 * the file's zeros went to disk past that.
 */
static void im_block_forget(struct im_journal *j, sector_t nr)
{
	struct buffer_head *bh;

	clean_bdev_aliases(j->lsb->s_bdev, nr, 1);
	bh = sb_find_get_block(j->lsb, nr);
	if (!bh)
		return;
	lock_buffer(bh);
	clear_buffer_uptodate(bh);
	unlock_buffer(bh);
	brelse(bh);
}

static int im_segment_map(struct im_journal *j, struct im_segment *s)
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
		if (j->fresh)
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

int im_segments_open(struct im_journal *j, struct dentry *logdir)
{
	char name[16];
	u32 i;
	int err = 0;

	j->segs = kcalloc(j->nseg, sizeof(*j->segs), GFP_KERNEL);
	if (!j->segs)
		return -ENOMEM;
	for (i = 0; i < j->nseg && !err; i++) {
		struct dentry *d;

		snprintf(name, sizeof(name), "%08u", i);
		inode_lock_nested(d_inode(logdir), I_MUTEX_PARENT);
		d = im_lower_lookup(logdir, name, strlen(name));
		inode_unlock(d_inode(logdir));
		if (IS_ERR(d)) {
			err = PTR_ERR(d);
			break;
		}
		if (d_is_negative(d)) {
			dput(d);
			err = -EUCLEAN;
			break;
		}
		j->segs[i].file = d;
		err = im_segment_map(j, &j->segs[i]);
	}
	if (err == -EBUSY)
		im_mount_err(j->fs, "the log in %s is in use: this fileset is being unmounted or mounted by somebody else",
			     IM_STATE_DIR);
	else if (err == -ENOMEM || err == -EIO)
		im_mount_err(j->fs, "cannot read segment %s/log/%s: error %d; the log is as it was, mount again once memory or disk are well",
			     IM_STATE_DIR, name, err);
	else if (err)
		im_mount_err(j->fs, "segment %s/log/%s is not as it was made (size, links or blocks): error %d; mount with -o create after removing %s to begin anew",
		       IM_STATE_DIR, name, err, IM_STATE_DIR);
	return err;
}

void im_segments_close(struct im_journal *j)
{
	u32 i;

	brelse(j->tail);
	j->tail = NULL;
	for (i = 0; j->segs && i < j->nseg; i++) {
		struct im_segment *s = &j->segs[i];

		if (s->file) {
			struct inode *inode = d_inode(s->file);

			if (s->marked) {
				inode_lock(inode);
				inode->i_flags &= ~(S_IMMUTABLE | S_SWAPFILE);
				inode_unlock(inode);
			}
			dput(s->file);
		}
		kvfree(s->map);
	}
	kfree(j->segs);
	j->segs = NULL;
}

/* appending -------------------------------------------------------------- */

static u32 im_blocks(struct im_journal *j, size_t len)
{
	return DIV_ROUND_UP(len, j->bsize);
}

unsigned int im_segment_credits(struct im_journal *j, size_t len)
{
	return im_blocks(j, len) + 1;
}

u64 im_scan_from(struct im_journal *j)
{
	u64 low = min3(j->floor, j->last + 1, im_journal_low(j));

	return min(low, im_dirty_low(j->fs));
}

/* Nothing that life `life` would overwrite is needed any more. */
static bool im_segment_free(struct im_journal *j, u64 life, u64 scan_from)
{
	struct im_segment *s = im_segment(j, life);
	u64 next;

	if (!s->life)
		return true;
	/* It ends where the next one that is left begins. */
	for (next = s->life + 1; next <= j->life; next++)
		if (im_segment(j, next)->life == next)
			return im_segment(j, next)->first <= scan_from;
	return false;
}

bool im_segment_short(struct im_journal *j)
{
	return !im_segment_free(j, j->life + j->nseg / 2, im_scan_from(j));
}

/* A block whose whole content is about to be replaced. */
static struct buffer_head *im_block_new(struct im_journal *j, void *handle,
					sector_t nr)
{
	struct buffer_head *bh = sb_getblk(j->lsb, nr);
	bool used;
	int err;

	if (!bh)
		return ERR_PTR(-ENOMEM);
	used = buffer_uptodate(bh);
	if (!used) {
		/* in no transaction, and not worth reading */
		lock_buffer(bh);
		memset(bh->b_data, 0, j->bsize);
		set_buffer_uptodate(bh);
		unlock_buffer(bh);
	}
	err = j->ops->get(handle, bh);
	if (err) {
		brelse(bh);
		return ERR_PTR(err);
	}
	if (used)
		memset(bh->b_data, 0, j->bsize);
	return bh;
}

static int im_segment_begin(struct im_journal *j, void *handle, u32 tid)
{
	u64 life = j->life + 1;
	struct im_segment *s = im_segment(j, life);
	u64 old = s->life;
	struct buffer_head *bh;
	int err;

	/* Readers first: they look at j->first after each record. */
	if (old && im_segment(j, old + 1)->life == old + 1)
		WRITE_ONCE(j->first, max(j->first,
					 im_segment(j, old + 1)->first));
	s->life = 0;
	smp_wmb();	/* pairs with im_kml_next() */
	bh = im_block_new(j, handle, s->map[0]);
	if (IS_ERR(bh))
		return PTR_ERR(bh);
	im_seg_seal(j->fs, (struct im_seg *)bh->b_data, life, j->last + 1,
		    j->rcvd);
	err = j->ops->dirty(handle, bh);
	brelse(bh);
	if (err)
		return err;
	s->first = j->last + 1;
	s->life = life;
	j->life = life;
	j->next_blk = 1;
	j->tid = tid;
	brelse(j->tail);
	j->tail = NULL;
	wake_up_all(&j->wait);
	return 0;
}

int im_segment_alloc(struct im_journal *j, void *handle, u32 tid, size_t len,
		     bool reserve, struct buffer_head **bh, u32 *off)
{
	u32 n = im_blocks(j, len);
	u64 scan_from = im_scan_from(j);
	bool begin;
	u32 i;
	int err;

	lockdep_assert_held(&j->lock);
	if (n == 1 && j->tail && j->tail_off + len <= j->bsize &&
	    (j->tail_tid == tid || j->ops->committed(j, j->tail_tid))) {
		if (!reserve && !im_segment_free(j, j->life + 1, scan_from))
			return -EAGAIN;
		err = j->ops->get(handle, j->tail);
		if (err)
			return err;
		get_bh(j->tail);
		bh[0] = j->tail;
		*off = j->tail_off;
		j->tail_off += len;
		j->tail_tid = tid;
		return 1;
	}
	begin = j->next_blk + n > j->seg_blocks;
	if (begin || !reserve)
		if (!im_segment_free(j, j->life + 1 + (begin && !reserve),
				     scan_from))
			return -EAGAIN;
	if (begin) {
		err = im_segment_begin(j, handle, tid);
		if (err)
			return err;
	}
	for (i = 0; i < n; i++) {
		bh[i] = im_block_new(j, handle, im_segment(j, j->life)->map
				     [j->next_blk + i]);
		if (IS_ERR(bh[i])) {
			err = PTR_ERR(bh[i]);
			while (i--)
				brelse(bh[i]);
			return err;
		}
	}
	j->next_blk += n;
	brelse(j->tail);
	j->tail = NULL;
	if (n == 1) {
		get_bh(bh[0]);
		j->tail = bh[0];
		j->tail_off = len;
		j->tail_tid = tid;
	}
	*off = 0;
	return n;
}

/* reading ---------------------------------------------------------------- */

static struct buffer_head *im_block_read(struct im_journal *j, u64 life,
					 u32 blk)
{
	const sector_t *map = im_segment(j, life)->map;
	u32 i;

	if (blk % IM_READAHEAD == 1)
		for (i = blk + 1; i < blk + IM_READAHEAD &&
		     i < j->seg_blocks; i++)
			sb_breadahead(j->lsb, map[i]);
	return sb_bread(j->lsb, map[blk]);
}

/* Gathers a record of len bytes that begins at c in bh. */
static int im_log_gather(struct im_journal *j, const struct im_cursor *c,
			 struct buffer_head *bh, void *buf, u32 len)
{
	u32 done = min(len, j->bsize - c->off);
	u32 blk = c->blk;

	memcpy(buf, bh->b_data + c->off, done);
	while (done < len) {
		u32 n = min(len - done, j->bsize);

		bh = im_block_read(j, c->life, ++blk);
		if (!bh)
			return -EIO;
		memcpy(buf + done, bh->b_data, n);
		brelse(bh);
		done += n;
	}
	return 0;
}

int im_log_read(struct im_journal *j, struct im_cursor *c, void *buf,
		struct im_place *at)
{
	struct im_body body;
	struct im_rec *rec = buf;
	struct buffer_head *bh;
	size_t need;
	u32 len;
	int err;

	for (; c->blk < j->seg_blocks; c->blk++, c->off = 0) {
		if (c->off + IM_REC_HDR > j->bsize)
			continue;
		bh = im_block_read(j, c->life, c->blk);
		if (!bh) {
			err = -EIO;
			goto skip;
		}
		/* The header is copied before it is looked at: a new life may
		 * begin here at any moment.
		 */
		memcpy(rec, bh->b_data + c->off, IM_REC_HDR);
		if (rec->magic != cpu_to_le32(IM_REC_MAGIC) ||
		    le64_to_cpu(rec->seg) != c->life) {
			bool hole = !c->off || !memchr_inv(rec, 0, IM_REC_HDR);

			brelse(bh);
			if (hole)
				continue;
			err = -EBADMSG;
			goto skip;
		}
		len = le32_to_cpu(rec->len);
		err = -EBADMSG;
		if (len < IM_REC_HDR || len > IM_REC_MAX || len % 8 ||
		    (len <= j->bsize && c->off + len > j->bsize) ||
		    (len > j->bsize &&
		     (c->off || c->blk + im_blocks(j, len) > j->seg_blocks)))
			goto put;
		err = im_log_gather(j, c, bh, buf, len);
		if (err)
			goto put;
		err = im_rec_check(buf, len, &need, &body);
		if (err || le64_to_cpu(rec->seg) != c->life ||
		    le64_to_cpu(rec->recno) < im_segment(j, c->life)->first) {
			pr_debug("im: log %llu block %u+%u: bad record %llu op %u len %u: %d\n",
				 c->life, c->blk, c->off,
				 le64_to_cpu(rec->recno), le16_to_cpu(rec->op),
				 len, err);
			err = -EBADMSG;
			goto put;
		}
		if (at) {
			at->bh = bh;
			at->off = c->off;
		} else {
			brelse(bh);
		}
		if (len > j->bsize) {
			c->blk += im_blocks(j, len);
			c->off = 0;
		} else {
			c->off += len;
		}
		return 0;
	}
	return -ENODATA;
put:
	brelse(bh);
skip:
	c->blk++;
	c->off = 0;
	return err;
}
