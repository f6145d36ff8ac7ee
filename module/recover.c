// SPDX-License-Identifier: GPL-2.0
/*
 * Recovery at mount. Reads the log from the scan_from of its last record on:
 *
 * 1. Open intents are settled by looking at the tree. An intent is open only if
 *    no later record was made under the same lock, so it is the last word on
 *    its names and one look decides. Settling ends as the operation would
 *    have: with the tag's times and origin xattr, by im_op_finish().
 * 2. Every file with a data record from there on, or made from there on, gets a
 *    CLOSE with unknown ranges: its data may have changed without a record that
 *    says where, or its last CLOSE may be on disk without its data; owner and
 *    mode may have changed without a record, too (newborn.c). If the data came
 *    from a peer, a MARK lowers that origin's last_rcvd.low, so that it comes
 *    again.
 *
 * Between reading and writing, a new epoch begins (epoch.c).
 *
 * Until all of that is in the log, floor keeps scan_from where it was: a crash
 * in the middle of recovery only makes it start again.
 */
#include "journal.h"
#include "lower.h"

#include <linux/hash.h>

#define IM_HASH_BITS	10

/* A file whose data may have changed. */
struct im_suspect {
	struct hlist_node node;
	struct im_rec rec;		/* its last data record */
	u64 low;			/* least origin_low; U64_MAX: none */
};

struct im_recovery {
	struct im_journal *j;
	struct im_tail tail;
	struct list_head open;		/* im_open.list, by recno */
	struct hlist_head suspects[1 << IM_HASH_BITS];
	u32 nsuspects;
	struct im_rcvd low[IM_PEERS_MAX];	/* of MARKs to be written */
};

static int im_note_open(struct im_recovery *r, const struct im_rec *rec,
			const struct im_place *at)
{
	size_t len = le32_to_cpu(rec->len), need;
	struct im_open *o;
	int err;

	o = kvzalloc(sizeof(*o) + len, GFP_KERNEL);
	if (!o)
		return -ENOMEM;
	memcpy(o->buf, rec, len);
	/* The body's pointers must be into the copy. */
	err = im_rec_check(o->buf, len, &need, &o->op.body);
	if (err) {
		kvfree(o);
		return err;
	}
	o->op.fs = r->j->fs;
	memcpy(&o->op.rec, o->buf, sizeof(o->op.rec));
	get_bh(at->bh);
	o->op.bh = at->bh;
	o->op.off = at->off;
	o->op.intent = true;
	list_add_tail(&o->list, &r->open);
	mutex_lock(&r->j->lock);
	list_add_tail(&o->op.open, &r->j->open);
	r->j->nopen++;
	mutex_unlock(&r->j->lock);
	return 0;
}

static int im_note_data(struct im_recovery *r, const struct im_rec *rec)
{
	struct hlist_head *head;
	struct im_suspect *s;

	head = &r->suspects[hash_64(le64_to_cpu(rec->fid.ino), IM_HASH_BITS)];
	hlist_for_each_entry(s, head, node)
		if (im_fid_eq(&s->rec.fid, &rec->fid))
			goto found;
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->low = U64_MAX;
	hlist_add_head(&s->node, head);
	r->nsuspects++;
found:
	s->rec = *rec;
	if (rec->origin)
		s->low = min(s->low, le64_to_cpu(rec->origin_low));
	return 0;
}

/* Has it happened, and is the file dirty, or not settled, because of it? */
static bool im_rec_dirties(const struct im_rec *rec)
{
	u32 op = le16_to_cpu(rec->op);

	return rec->state == IM_RS_DONE &&
	       (op == IM_OP_DIRTY || im_op_is_data(op) ||
		(op == IM_OP_CREATE && !rec->origin));
}

static int im_note(struct im_recovery *r, const struct im_rec *rec,
		   const struct im_place *at)
{
	im_rcvd_update(r->j, rec);
	if (le64_to_cpu(rec->recno) < r->tail.scan_from)
		return 0;
	if (rec->state == IM_RS_INTENT)
		return im_note_open(r, rec, at);
	return !r->tail.clean && im_rec_dirties(rec) ? im_note_data(r, rec) : 0;
}

/*
 * All records from `from` on, across segments. Damage is noted and skipped:
 * what can still be read has to be settled all the same.
 */
static int im_scan(struct im_recovery *r, u64 from)
{
	struct im_journal *j = r->j;
	u64 life = j->oldest, want = 0;
	struct im_cursor c;
	struct im_place at;
	struct im_rec *rec;
	int err = 0;

	rec = kvmalloc(IM_REC_MAX, GFP_KERNEL);
	if (!rec)
		return -ENOMEM;
	while (life < j->life && im_segment(j, life + 1)->first <= from)
		life++;
	for (; life <= j->life && !err; life++) {
		c = (struct im_cursor){ .life = life, .blk = 1 };
		while ((err = im_log_read(j, &c, rec, &at)) != -ENODATA) {
			u64 recno = le64_to_cpu(rec->recno);

			if (err) {
				r->tail.damaged = true;
				continue;
			}
			err = 0;
			if (recno >= from && recno <= j->last) {
				if (want && recno != want) {
					r->tail.damaged = true;
					j->first = max(j->first, recno);
				}
				want = recno + 1;
				err = im_note(r, rec, &at);
			}
			brelse(at.bh);
			if (err)
				break;
		}
		if (err == -ENODATA)
			err = 0;
	}
	kvfree(rec);
	return err;
}

static int im_settle_all(struct im_recovery *r)
{
	struct im_fs *fs = r->j->fs;
	struct im_open *o, *next;
	int err;

	list_for_each_entry_safe(o, next, &r->open, list) {
		err = im_settle(o);
		if (err) {
			im_mount_err(fs, "cannot settle record %llu (%s) by looking at the tree: error %d",
				     le64_to_cpu(o->op.rec.recno),
				     im_op_name(le16_to_cpu(o->op.rec.op)),
				     err);
			return err;
		}
		if (im_rec_dirties(&o->op.rec))
			err = im_note_data(r, &o->op.rec);
		if (err)
			return err;
		fs->recovered++;
		list_del(&o->list);
		kvfree(o);
	}
	return 0;
}

/* Remembers that data from low on must come again. */
static void im_note_low(struct im_recovery *r, __le64 origin, u64 low)
{
	int i;

	for (i = 0; i < IM_PEERS_MAX; i++) {
		struct im_rcvd *m = &r->low[i];

		if (!m->origin) {
			m->origin = origin;
			m->low = cpu_to_le64(U64_MAX);
		}
		if (m->origin == origin) {
			m->low = cpu_to_le64(min(low, le64_to_cpu(m->low)));
			return;
		}
	}
}

static int im_close_suspect(struct im_recovery *r, struct im_suspect *s)
{
	struct im_fs *fs = r->j->fs;
	struct dentry *d = im_lower_by_fid(fs, &s->rec.fid);
	struct inode *inode;
	struct im_op op;
	int err = 0;

	if (d == ERR_PTR(-ESTALE))
		return 0;	/* its data went with it */
	if (IS_ERR(d))
		return PTR_ERR(d);
	inode = d_inode(d);
	if (!S_ISREG(inode->i_mode) || !inode->i_nlink)
		goto out;
	im_op_init(&op, fs, IM_OP_CLOSE);
	op.rec.time = cpu_to_le64(ktime_get_real_ns());
	op.rec.flags = cpu_to_le32(IM_RF_UNKNOWN | IM_RF_RECOVERED |
				   IM_RF_ATTRS);
	op.rec.fid = s->rec.fid;
	op.rec.dir = s->rec.dir;
	op.rec.origin = s->rec.origin;
	op.rec.origin_recno = s->rec.origin_recno;
	op.rec.origin_low = s->rec.origin_low;
	op.rec.origin_fid = s->rec.origin_fid;
	op.rec.origin_version = s->rec.origin_version;
	op.obj = d;
	im_op_take_attrs(&op);
	err = im_journal_append(&op);
	if (!err) {
		fs->redirtied++;
		if (s->rec.origin)
			im_note_low(r, s->rec.origin, s->low);
	}
out:
	dput(d);
	return err;
}

static int im_write_marks(struct im_recovery *r)
{
	struct im_journal *j = r->j;
	struct im_op op;
	int i, k, err = 0;

	for (i = 0; i < IM_PEERS_MAX && !err; i++) {
		const struct im_rcvd *m = &r->low[i];

		for (k = 0; m->origin && k < IM_PEERS_MAX; k++)
			if (j->rcvd[k].origin == m->origin)
				break;
		if (!m->origin || k == IM_PEERS_MAX ||
		    le64_to_cpu(j->rcvd[k].low) <= le64_to_cpu(m->low))
			continue;
		im_op_init(&op, j->fs, IM_OP_MARK);
		op.rec.time = cpu_to_le64(ktime_get_real_ns());
		op.rec.flags = cpu_to_le32(IM_RF_RECOVERED);
		op.rec.origin = m->origin;
		op.rec.origin_recno = j->rcvd[k].recno;
		op.rec.origin_low = m->low;
		err = im_journal_append(&op);
	}
	return err;
}

static int im_close_all(struct im_recovery *r)
{
	struct im_suspect *s;
	u32 i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(r->suspects) && !err; i++)
		hlist_for_each_entry(s, &r->suspects[i], node) {
			err = im_close_suspect(r, s);
			if (err)
				break;
		}
	if (!err)
		err = im_write_marks(r);
	return err;
}

static void im_recovery_free(struct im_recovery *r)
{
	struct im_suspect *s;
	struct hlist_node *tmp;
	struct im_open *o, *next;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(r->suspects); i++)
		hlist_for_each_entry_safe(s, tmp, &r->suspects[i], node)
			kfree(s);
	/* On error: they stay intents on disk. */
	mutex_lock(&r->j->lock);
	list_for_each_entry_safe(o, next, &r->open, list) {
		if (!list_empty(&o->op.open)) {
			list_del(&o->op.open);
			r->j->nopen--;
		}
		brelse(o->op.bh);
		kvfree(o);
	}
	mutex_unlock(&r->j->lock);
	kvfree(r);
}

static int im_redo(struct im_recovery *r)
{
	struct im_fs *fs = r->j->fs;
	struct im_op op;
	int err;

	r->j->floor = r->tail.scan_from;
	err = im_settle_all(r);
	if (!err)
		err = mnt_want_write(fs->lower.mnt);
	if (err)
		return err;
	err = im_close_all(r);
	if (err == -ENOSPC) {
		im_warn(fs, "more files were being changed than the log has room for: clients will resynchronise");
		im_journal_break(r->j);
		err = 0;
	}
	/* What the CLOSEs speak of is on disk before scan_from passes them. */
	if (!err)
		err = im_lower_sync(fs);
	r->j->floor = U64_MAX;
	if (!err) {
		im_op_init(&op, fs, IM_OP_CHECKPOINT);
		op.rec.time = cpu_to_le64(ktime_get_real_ns());
		err = im_journal_append(&op);
	}
	mnt_drop_write(fs->lower.mnt);
	return err;
}

/* What is older stays as it is, whatever recovery does. */
static u64 im_first_open(struct im_recovery *r)
{
	struct im_open *o = list_first_entry_or_null(&r->open, struct im_open,
						     list);

	return o ? le64_to_cpu(o->op.rec.recno) : r->j->last + 1;
}

int im_recover(struct im_fs *fs)
{
	struct im_journal *j = fs->journal;
	struct im_recovery *r;
	u64 from;
	int err;

	r = kvzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	r->j = j;
	INIT_LIST_HEAD(&r->open);
	err = im_log_find(j, &r->tail);
	if (err)
		goto out;
	if (r->tail.scan_from < im_segment(j, j->oldest)->first) {
		r->tail.scan_from = im_segment(j, j->oldest)->first;
		r->tail.damaged = true;
	}
	from = r->tail.scan_from;
	if (r->tail.rcvd_life < j->oldest)
		from = im_segment(j, j->oldest)->first;
	else
		from = min(from, im_segment(j, r->tail.rcvd_life)->first);
	err = im_scan(r, from);
	if (!err)
		err = im_epoch_begin(j, im_first_open(r));
	if (err)
		goto out;
	if (r->tail.damaged)
		im_warn(fs, "the log is damaged, records before %llu are lost: clients that have not read them yet will resynchronise",
			j->first);
	if (list_empty(&r->open) && !r->nsuspects) {
		if (r->tail.clean && !r->tail.damaged)
			j->clean = j->last;
		goto out;
	}
	err = im_redo(r);
	if (!err)
		im_info(fs, "recovered: %llu open changes settled, %llu files with unknown changes",
			fs->recovered, fs->redirtied);
out:
	im_recovery_free(r);
	return err;
}
