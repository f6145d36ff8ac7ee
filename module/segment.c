// SPDX-License-Identifier: GPL-2.0
/*
 * Segments: the blocks of the log's files, through buffers of the block device
 * and inside handles. The files themselves, and which there are: ring.c.
 *
 * Each life of the log is in one segment; the lives from j->oldest to j->life
 * are in the log, the other segments are free. A life is begun in a free
 * segment, or in that of the oldest life if no record of that is needed for
 * recovery (all are below scan_from); readers that still wanted them are told
 * so. The header is written in the handle of the segment's first record, so
 * both are there after a crash or neither.
 *
 * A change of transaction begins a new block if the old one is still on its
 * way to the lower's journal: to change a block that is being committed means
 * to wait for that.
 */
#include "journal.h"

#define IM_READAHEAD	32		/* blocks */
#define IM_SCAN_BYTES	(32ULL << 20)	/* recovery should not read more */

void im_seg_seal(struct im_fs *fs, struct im_seg *seg, u64 life, u64 first,
		 const struct im_rcvd *rcvd)
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

void im_block_forget(struct im_journal *j, sector_t nr)
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

/* It ends where the next one begins. */
bool im_life_over(struct im_journal *j, u64 life, u64 scan_from)
{
	return life < j->life && im_segment(j, life + 1)->first <= scan_from;
}

u32 im_segments_ready(struct im_journal *j, u64 scan_from)
{
	u32 n = j->nseg - (j->life - j->oldest + 1);
	u64 life;

	for (life = j->oldest; im_life_over(j, life, scan_from); life++)
		n++;
	return n;
}

bool im_segment_short(struct im_journal *j)
{
	u32 many = max_t(u32, 2, IM_SCAN_BYTES / im_seg_bytes(j));

	return j->nseg - im_segments_ready(j, im_scan_from(j)) >
	       min(many, j->nseg - j->nseg / 2);
}

void im_segment_retire(struct im_journal *j)
{
	struct im_segment *s = im_segment(j, j->oldest);

	/* Readers first: they look at j->first after each record. */
	WRITE_ONCE(j->first, max(j->first, im_segment(j, j->oldest + 1)->first));
	WRITE_ONCE(s->life, 0);
	WRITE_ONCE(j->lives[j->oldest % IM_SEGS_MAX], NULL);
	smp_wmb();	/* pairs with im_kml_next() */
	j->oldest++;
	wake_up_all(&j->wait);
}

struct im_segment *im_segment_unused(struct im_journal *j)
{
	u32 i;

	for (i = 0; i < IM_SEGS_MAX; i++)
		if (j->segs[i] && !j->segs[i]->life)
			return j->segs[i];
	return NULL;
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

/* One is ready. */
static int im_segment_begin(struct im_journal *j, void *handle, u32 tid)
{
	struct im_segment *s = im_segment_unused(j);
	u64 life = j->life + 1;
	struct buffer_head *bh;
	int err;

	if (!s) {
		s = im_segment(j, j->oldest);
		im_segment_retire(j);
	}
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
	s->time = ktime_get_real_ns();
	WRITE_ONCE(s->life, life);
	WRITE_ONCE(j->lives[life % IM_SEGS_MAX], s);
	j->life = life;
	j->next_blk = 1;
	j->tid = tid;
	brelse(j->tail);
	j->tail = NULL;
	im_ring_kick(j);
	return 0;
}

int im_segment_alloc(struct im_journal *j, void *handle, u32 tid, size_t len,
		     bool reserve, struct buffer_head **bh, u32 *off)
{
	u32 n = im_blocks(j, len);
	u32 ready = im_segments_ready(j, im_scan_from(j));
	struct im_segment *s;
	bool begin;
	u32 i;
	int err;

	lockdep_assert_held(&j->lock);
	if (n == 1 && j->tail && j->tail_off + len <= j->bsize &&
	    (j->tail_tid == tid || j->ops->committed(j, j->tail_tid))) {
		if (!reserve && !ready)
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
	if (ready < begin + !reserve)
		return -EAGAIN;
	if (begin) {
		err = im_segment_begin(j, handle, tid);
		if (err)
			return err;
	}
	s = im_segment(j, j->life);
	for (i = 0; i < n; i++) {
		bh[i] = im_block_new(j, handle, s->map[j->next_blk + i]);
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

static struct buffer_head *im_block_read(struct im_journal *j,
					 const sector_t *map, u32 blk)
{
	u32 i;

	if (blk % IM_READAHEAD == 1)
		for (i = blk + 1; i < blk + IM_READAHEAD &&
		     i < j->seg_blocks; i++)
			sb_breadahead(j->lsb, map[i]);
	return sb_bread(j->lsb, map[blk]);
}

/* Gathers a record of len bytes that begins at c in bh. */
static int im_log_gather(struct im_journal *j, const struct im_segment *s,
			 const struct im_cursor *c, struct buffer_head *bh,
			 void *buf, u32 len)
{
	u32 done = min(len, j->bsize - c->off);
	u32 blk = c->blk;

	memcpy(buf, bh->b_data + c->off, done);
	while (done < len) {
		u32 n = min(len - done, j->bsize);

		bh = im_block_read(j, s->map, ++blk);
		if (!bh)
			return -EIO;
		memcpy(buf + done, bh->b_data, n);
		brelse(bh);
		done += n;
	}
	return 0;
}

int im_seg_read(struct im_journal *j, const struct im_segment *s,
		struct im_cursor *c, void *buf, struct im_place *at)
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
		bh = im_block_read(j, s->map, c->blk);
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
		err = im_log_gather(j, s, c, bh, buf, len);
		if (err)
			goto put;
		err = im_rec_check(buf, len, &need, &body);
		if (err || le64_to_cpu(rec->seg) != c->life ||
		    le64_to_cpu(rec->recno) < READ_ONCE(s->first)) {
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

int im_log_read(struct im_journal *j, struct im_cursor *c, void *buf,
		struct im_place *at)
{
	const struct im_segment *s;
	int err = -ENODATA;

	down_read(&j->reading);
	s = im_segment(j, c->life);
	if (s)
		err = im_seg_read(j, s, c, buf, at);
	up_read(&j->reading);
	return err;
}
