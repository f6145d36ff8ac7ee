// SPDX-License-Identifier: GPL-2.0
/*
 * Finding the end of the log at mount: which segments are alive, which is the
 * newest, where its last record is and what that says.
 *
 * An empty block is not the end: the newest segment is read to its own end, so
 * that a block that was lost shows as a gap in the numbers. Behind a gap the
 * log begins anew: readers that want older records get ESTALE and
 * resynchronise. Damage behind the last good record may have held numbers that
 * readers have seen; as many as can have been there are left out.
 */
#include "journal.h"

static bool im_seg_valid(struct im_journal *j, const struct im_seg *seg)
{
	const struct im_fset *fset = &j->fs->fset;

	return seg->magic == cpu_to_le32(IM_SEG_MAGIC) &&
	       seg->format == cpu_to_le32(IM_FORMAT) &&
	       seg->crc == cpu_to_le32(im_seg_crc(seg)) &&
	       !memcmp(seg->uuid, fset->uuid, sizeof(seg->uuid)) &&
	       seg->incarnation == fset->incarnation &&
	       seg->seg && seg->first;
}

/* Without a header: the newest life of which a record is found in it. */
static void im_seg_salvage(struct im_journal *j, struct im_segment *s, void *buf)
{
	u64 best = 0, first = 0;
	u32 blk;

	for (blk = 1; blk < j->seg_blocks; blk++) {
		struct buffer_head *bh = sb_bread(j->lsb, s->map[blk]);
		struct im_cursor c = { .blk = blk };
		struct im_rec *rec = buf;

		if (!bh)
			continue;
		memcpy(rec, bh->b_data, IM_REC_HDR);
		brelse(bh);
		c.life = le64_to_cpu(rec->seg);
		if (rec->magic != cpu_to_le32(IM_REC_MAGIC) ||
		    c.life <= best || im_seg_read(j, s, &c, buf, NULL))
			continue;
		best = c.life;
		first = le64_to_cpu(rec->recno);
		/* what follows in a long record is somebody's data */
		blk = c.off ? c.blk : c.blk - 1;
	}
	s->life = best;
	s->first = first;
}

/* Reads all headers. Returns the newest life, 0: there is none. */
static u64 im_seg_headers(struct im_journal *j, void *buf, struct im_tail *t)
{
	u64 newest = 0;
	u32 i;

	for (i = 0; i < IM_SEGS_MAX; i++)
		if (j->segs[i])
			sb_breadahead(j->lsb, j->segs[i]->map[0]);
	for (i = 0; i < IM_SEGS_MAX; i++) {
		struct im_segment *s = j->segs[i];
		struct buffer_head *bh;
		struct im_seg *seg;

		if (!s)
			continue;
		bh = sb_bread(j->lsb, s->map[0]);
		seg = bh ? (struct im_seg *)bh->b_data : NULL;
		if (seg && im_seg_valid(j, seg)) {
			s->life = le64_to_cpu(seg->seg);
			s->first = le64_to_cpu(seg->first);
			if (s->life > t->rcvd_life) {
				t->rcvd_life = s->life;
				memcpy(j->rcvd, seg->rcvd, sizeof(j->rcvd));
			}
		} else if (!seg || memchr_inv(seg, 0, sizeof(*seg))) {
			im_seg_salvage(j, s, buf);
			t->damaged = true;
			im_warn(j->fs, "the header of log segment %08u is damaged; %s",
				i, s->life ? "its records were found" :
				"its records are lost");
		}
		brelse(bh);
		newest = max(newest, s->life);
	}
	return newest;
}

static struct im_segment *im_seg_of_life(struct im_journal *j, u64 life)
{
	u32 i;

	for (i = 0; i < IM_SEGS_MAX; i++)
		if (j->segs[i] && j->segs[i]->life == life)
			return j->segs[i];
	return NULL;
}

/*
 * The lives from j->life down to the first that is missing are the log. What
 * lies before is out of reach, and its segments are free; so is what an
 * interrupted giving back has left.
 */
static void im_seg_line_up(struct im_journal *j)
{
	struct im_segment *s = im_seg_of_life(j, j->life);
	u32 i;

	for (j->oldest = j->life + 1; s; s = im_seg_of_life(j, j->oldest - 1)) {
		if (j->oldest <= j->life && s->first > j->first)
			break;
		j->oldest = s->life;
		j->first = s->first;
		j->lives[s->life % IM_SEGS_MAX] = s;
		if (s->life == 1)
			break;
	}
	for (i = 0; i < IM_SEGS_MAX; i++)
		if (j->segs[i] &&
		    j->segs[i] != im_segment(j, j->segs[i]->life))
			j->segs[i]->life = 0;
}

int im_log_find(struct im_journal *j, struct im_tail *t)
{
	struct im_cursor c = { .blk = 1 };
	struct im_rec *rec;
	u32 lost = 0;		/* blocks, since the last good record */
	bool gap = false;
	void *buf;
	int i, err;

	memset(t, 0, sizeof(*t));
	buf = kvmalloc(IM_REC_MAX, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	rec = buf;
	j->life = im_seg_headers(j, buf, t);
	if (!j->life) {
		im_mount_err(j->fs, "no segment of the log has a valid header or record: the log is destroyed; after removing " IM_STATE_DIR " the fileset can be created anew (-o create), all clients will resynchronise");
		err = -EUCLEAN;
		goto out;
	}
	im_seg_line_up(j);
	c.life = j->life;
	j->last = im_segment(j, j->life)->first - 1;
	j->next_blk = 1;
	t->scan_from = j->oldest == j->life ? j->first : 0;

	/* Slots that were reserved and never used are free again. */
	for (i = 0; i < IM_PEERS_MAX; i++)
		if (!j->rcvd[i].recno && !j->rcvd[i].low)
			j->rcvd[i].origin = 0;

	while ((err = im_log_read(j, &c, buf, NULL)) != -ENODATA) {
		u64 recno = le64_to_cpu(rec->recno);

		j->next_blk = c.off ? c.blk + 1 : c.blk;
		if (err) {
			lost++;
			continue;
		}
		if (recno <= j->last)	/* no life writes that */
			continue;
		if (recno != j->last + 1) {
			gap = true;
			j->first = recno;
		}
		j->last = recno;
		lost = 0;
		t->scan_from = le64_to_cpu(rec->scan_from);
		t->clean = rec->op == cpu_to_le16(IM_OP_CHECKPOINT) &&
			   (rec->flags & cpu_to_le32(IM_RF_CLEAN));
	}
	/* The first record comes with the header. */
	if (j->last < im_segment(j, j->life)->first && j->life > 1)
		lost++;
	if (lost) {
		j->last += (u64)lost * (j->bsize / IM_REC_HDR);
		j->first = j->last + 1;
		t->clean = false;
	}
	t->damaged |= gap || lost;
	if (!t->scan_from || t->scan_from > j->last + 1) {
		t->scan_from = im_segment(j, j->oldest)->first;
		t->damaged |= j->last >= t->scan_from;
	}
	err = 0;
out:
	kvfree(buf);
	return err;
}
