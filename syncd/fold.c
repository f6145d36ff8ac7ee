// SPDX-License-Identifier: GPL-2.0
/*
 * What is folded:
 *  - An object that is made and finally removed within the batch vanishes with
 *    all its records, unless its fate touched others on the way: it replaced
 *    something, was exchanged, left a whiteout, or is a directory of which
 *    something came out. The mtimes of the directories it was in stay behind.
 *    Not if a snapshot may have brought it: then it must be removed.
 *  - Data and attribute records of what is removed later, if no name was given
 *    to it in between.
 *  - Data records of one object become one, at the place of the last one
 *    before the object gets another name: what a save-by-rename puts in place
 *    must be whole when it gets there. Not across one that states attributes,
 *    which must not come after a SETATTR that follows it; nor across the
 *    setting of capabilities, which data that is written takes away.
 *  - Of SETATTRs, and of SETXATTRs of one name, that follow each other the
 *    last one is left, if it says all that the earlier one did, and nobody
 *    has inherited from the object in between. The removal of an access ACL
 *    does not say what mode that had set.
 */
#include "fold.h"

#include <stdlib.h>
#include <string.h>

#define FOLD_BACK	64	/* how far to look back for a basis */

/* What the batch does to one FID; indices of items, -1: none. */
struct fold_fid {
	struct im_fid fid;
	int made, gone;
	int data;		/* a data item that a later one may take in */
	int attr;		/* a SETATTR, likewise */
	int xattr;		/* last of a list of xattr items, likewise */
	bool stays;		/* must not vanish */
	bool timed;		/* its mtime is stated by a later item */
};

struct fold {
	struct fold_item *v;
	int n;
	u64 window;
	struct fold_fid *fids;	/* hash table, open addressing */
	u32 mask;
};

static struct fold_fid *fold_fid(struct fold *f, const struct im_fid *fid)
{
	u64 h = (le64_to_cpu(fid->ino) ^ (u64)le32_to_cpu(fid->gen) << 32) *
		0x9e3779b97f4a7c15ULL;
	u32 i = (u32)(h >> 32);
	struct fold_fid *e;

	for (;; i++) {
		e = &f->fids[i & f->mask];
		if (im_fid_none(&e->fid)) {
			e->fid = *fid;
			e->made = e->gone = -1;
			e->data = e->attr = e->xattr = -1;
			return e;
		}
		if (im_fid_eq(&e->fid, fid))
			return e;
	}
}

static bool fold_vanishes(struct fold *f, const struct im_fid *fid)
{
	struct fold_fid *e;

	if (im_fid_none(fid))
		return false;
	e = fold_fid(f, fid);
	return e->made >= 0 && e->gone > e->made && !e->stays;
}

bool fold_makes(const struct fold_item *it)
{
	switch (fold_op(it)) {
	case IM_OP_CREATE:
	case IM_OP_MKDIR:
	case IM_OP_MKNOD:
	case IM_OP_SYMLINK:
		return true;
	case IM_OP_LINK:
		return fold_flags(it) & IM_RF_FIRST;
	}
	return false;
}

static bool fold_is_dir(const struct fold_item *it)
{
	return (le32_to_cpu(it->rec->mode) & 0170000) == 0040000;
}

/* First pass: who is made, who goes, and who did something to others. */
static void fold_survey(struct fold *f)
{
	int i;

	for (i = 0; i < f->n; i++) {
		struct fold_item *it = &f->v[i];
		u32 flags = fold_flags(it);

		if (it->act != FOLD_APPLY)
			continue;
		if (fold_makes(it)) {
			struct fold_fid *e = fold_fid(f, &it->rec->fid);

			e->made = i;
			if (!im_fid_none(&it->rec->old) ||
			    it->recno <= f->window)
				e->stays = true;
			continue;
		}
		switch (fold_op(it)) {
		case IM_OP_RMDIR:
			fold_fid(f, &it->rec->fid)->gone = i;
			break;
		case IM_OP_UNLINK:
			if (flags & IM_RF_LAST)
				fold_fid(f, &it->rec->fid)->gone = i;
			break;
		case IM_OP_RENAME:
			if (flags & (IM_RF_EXCHANGE | IM_RF_WHITEOUT) ||
			    !im_fid_none(&it->rec->old))
				fold_fid(f, &it->rec->fid)->stays = true;
			if (im_fid_none(&it->rec->old))
				break;
			if (flags & IM_RF_EXCHANGE)
				fold_fid(f, &it->rec->old)->stays = true;
			else if (flags & IM_RF_LAST || fold_is_dir(it))
				fold_fid(f, &it->rec->old)->gone = i;
			break;
		}
	}
}

/* A directory stays if something that stays was ever put in or taken out. */
static void fold_keep_parents(struct fold *f)
{
	bool again = true;
	int i;

	while (again) {
		again = false;
		for (i = f->n - 1; i >= 0; i--) {
			struct fold_item *it = &f->v[i];
			const struct im_fid *dir[2] = {
				&it->rec->dir, &it->rec->dir2
			};
			int k;

			if (it->act != FOLD_APPLY ||
			    !im_op_is_namespace(fold_op(it)) ||
			    fold_vanishes(f, &it->rec->fid))
				continue;
			for (k = 0; k < 2; k++) {
				if (!fold_vanishes(f, dir[k]))
					continue;
				fold_fid(f, dir[k])->stays = true;
				again = true;
			}
		}
	}
}

static void fold_vanish(struct fold *f)
{
	int i;

	for (i = 0; i < f->n; i++) {
		struct fold_item *it = &f->v[i];

		if (it->act != FOLD_APPLY)
			continue;
		if (fold_vanishes(f, &it->rec->fid)) {
			it->act = FOLD_DROP;
			if (im_op_is_namespace(fold_op(it)))
				it->times = FOLD_TIMES_DIR | FOLD_TIMES_DIR2;
		} else if (fold_vanishes(f, &it->old)) {
			memset(&it->old, 0, sizeof(it->old));
		}
	}
}

static void fold_merge_data(struct fold_item *to, struct fold_item *from)
{
	/* What `to` cut off is zero, or in its own ranges. */
	im_ranges_clip(&from->ranges, to->trunc);
	im_ranges_merge(&to->ranges, &from->ranges);
	if (from->trunc < to->trunc)
		to->trunc = from->trunc;
	to->unknown |= from->unknown;
	to->redo &= from->redo;
	if (from->first < to->first)
		to->first = from->first;
	from->act = FOLD_DROP;
}

/* X was renamed away from the name that fid was then made under: vim's way. */
static void fold_basis_back(struct fold *f, struct fold_item *it, int made)
{
	const struct fold_item *mk = &f->v[made];
	int i;

	for (i = made - 1; i >= 0 && i > made - FOLD_BACK; i--) {
		const struct fold_item *mv = &f->v[i];

		if (fold_op(mv) == IM_OP_RENAME && mv->act == FOLD_APPLY &&
		    im_fid_eq(&mv->rec->dir, &mk->rec->dir) &&
		    mv->body.name_len == mk->body.name_len &&
		    !memcmp(mv->body.name, mk->body.name, mk->body.name_len)) {
			it->basis = mv->rec->fid;
			return;
		}
	}
}

static bool fold_is_xattr(const struct fold_item *it, unsigned int op,
			  const char *name)
{
	return fold_op(it) == op && it->body.name_len == strlen(name) &&
	       !memcmp(it->body.name, name, strlen(name));
}

/* Setting an access ACL sets the mode, removing it leaves that as it is. */
static bool fold_leaves_mode(const struct fold_item *it)
{
	return fold_is_xattr(it, IM_OP_REMOVEXATTR, "system.posix_acl_access");
}

static void fold_xattr(struct fold *f, struct fold_fid *e, int i)
{
	struct fold_item *it = &f->v[i];
	int k = fold_leaves_mode(it) ? -1 : e->xattr, steps = 0;

	for (; k >= 0 && steps++ < FOLD_BACK; k = f->v[k].prev) {
		struct fold_item *was = &f->v[k];

		if (was->act == FOLD_APPLY &&
		    was->body.name_len == it->body.name_len &&
		    !memcmp(was->body.name, it->body.name, it->body.name_len))
			was->act = FOLD_DROP;
	}
	it->prev = e->xattr;
	e->xattr = i;
}

/* What lies behind a name that is given must not be changed after it. */
static void fold_barrier(struct fold_fid *e)
{
	e->data = -1;
	e->attr = -1;
}

/* What is made in a directory inherits its group and its default ACL. */
static void fold_heir(struct fold_fid *dir)
{
	dir->attr = -1;
	dir->xattr = -1;
}

static void fold_merge(struct fold *f)
{
	int i;

	for (i = 0; i < f->n; i++) {
		struct fold_item *it = &f->v[i];
		struct fold_fid *e;

		if (it->act != FOLD_APPLY)
			continue;
		e = fold_fid(f, &it->rec->fid);
		if (fold_makes(it))
			fold_heir(fold_fid(f, &it->rec->dir));
		switch (fold_op(it)) {
		case IM_OP_CLOSE:
		case IM_OP_SYNC:
			if (e->data >= 0)
				fold_merge_data(it, &f->v[e->data]);
			e->data = fold_flags(it) & IM_RF_ATTRS ? -1 : i;
			/* modes must not be late for the data they protect */
			e->attr = -1;
			if (e->made >= 0 && e->made < i)
				fold_basis_back(f, it, e->made);
			break;
		case IM_OP_SETATTR:
			if (e->attr >= 0 &&
			    !(le32_to_cpu(f->v[e->attr].rec->valid) &
			      ~le32_to_cpu(it->rec->valid)))
				f->v[e->attr].act = FOLD_DROP;
			e->attr = i;
			/* chmod and ACLs change each other */
			e->xattr = -1;
			break;
		case IM_OP_SETXATTR:
		case IM_OP_REMOVEXATTR:
			fold_xattr(f, e, i);
			e->attr = -1;
			if (fold_is_xattr(it, IM_OP_SETXATTR,
					  "security.capability"))
				e->data = -1;
			break;
		case IM_OP_RENAME:
			if (e->data >= 0 && !im_fid_none(&it->old))
				f->v[e->data].basis = it->old;
			fold_barrier(e);
			if (!im_fid_none(&it->old))
				fold_barrier(fold_fid(f, &it->old));
			break;
		case IM_OP_LINK:
			fold_barrier(e);
			break;
		}
	}
}

/*
 * Backwards: data and attributes of what is removed later on are not worth
 * the way, unless a name came in between; and which mtimes of directories
 * remain to be stated for records that vanished. In this pass e->data >= 0
 * means: it will be removed, and no name is given to it before.
 */
static void fold_backwards(struct fold *f)
{
	int i;

	for (i = 0; i <= (int)f->mask; i++)
		f->fids[i].data = -1;
	for (i = f->n - 1; i >= 0; i--) {
		struct fold_item *it = &f->v[i];
		struct fold_fid *e, *dir[2] = { NULL, NULL };
		bool ns = im_op_is_namespace(fold_op(it));
		int k;

		if (it->act != FOLD_APPLY && !it->times)
			continue;
		e = fold_fid(f, &it->rec->fid);
		if (it->act == FOLD_APPLY) {
			if (e->gone == i) {
				e->data = i;
				e->timed = true;
			} else if (ns) {
				e->data = -1;
			} else if (e->data >= 0) {
				it->act = FOLD_DROP;
				continue;
			}
			if (!im_fid_none(&it->rec->old)) {
				struct fold_fid *o = fold_fid(f, &it->rec->old);

				o->data = o->gone == i ? i : -1;
				o->timed |= o->gone == i;
			}
			if (fold_op(it) == IM_OP_SETATTR &&
			    le32_to_cpu(it->rec->valid) & IM_AV_MTIME)
				e->timed = true;
		}
		if (!ns)
			continue;
		dir[0] = fold_fid(f, &it->rec->dir);
		if (it->act == FOLD_APPLY && fold_makes(it))
			dir[0]->data = -1;
		if (fold_op(it) == IM_OP_RENAME)
			dir[1] = fold_fid(f, &it->rec->dir2);
		for (k = 0; k < 2; k++) {
			u8 bit = k ? FOLD_TIMES_DIR2 : FOLD_TIMES_DIR;

			if (!dir[k] || dir[k]->timed ||
			    fold_vanishes(f, &dir[k]->fid))
				it->times &= ~bit;
		}
		for (k = 0; k < 2; k++) {
			if (dir[k])
				dir[k]->timed = true;
		}
		if (it->act == FOLD_DROP && it->times)
			it->act = FOLD_TIMES;
	}
}

static void fold_lows(struct fold *f)
{
	u64 owed = ~(u64)0;
	int i;

	for (i = f->n - 1; i >= 0; i--) {
		struct fold_item *it = &f->v[i];

		if (it->act == FOLD_APPLY && im_op_is_data(fold_op(it)) &&
		    it->first < owed)
			owed = it->first;
		it->low = owed < it->recno ? owed : it->recno;
	}
}

static void fold_start(struct fold *f, u64 self)
{
	int i;

	for (i = 0; i < f->n; i++) {
		struct fold_item *it = &f->v[i];
		unsigned int op = fold_op(it);

		it->act = FOLD_APPLY;
		if (it->rec->state != IM_RS_DONE || op == IM_OP_DIRTY ||
		    op == IM_OP_CHECKPOINT || op == IM_OP_MARK ||
		    (it->rec->origin && le64_to_cpu(it->rec->origin) == self) ||
		    (it->redo && !im_op_is_data(op)))
			it->act = FOLD_DROP;
	}
}

int fold_run(struct fold_item *v, size_t n, u64 self, u64 window)
{
	struct fold f = { .v = v, .n = (int)n, .window = window };
	u32 size = 64;

	/* At most four FIDs a record, and the table never more than half full. */
	while (size < n * 8)
		size *= 2;
	f.mask = size - 1;
	f.fids = calloc(size, sizeof(*f.fids));
	if (!f.fids)
		return -ENOMEM;
	fold_start(&f, self);
	fold_survey(&f);
	fold_keep_parents(&f);
	fold_vanish(&f);
	fold_merge(&f);
	fold_backwards(&f);
	fold_lows(&f);
	free(f.fids);
	return 0;
}

void fold_item_set(struct fold_item *it, const struct im_rec *rec,
		   const struct im_body *body, bool redo)
{
	memset(it, 0, sizeof(*it));
	it->rec = rec;
	it->body = *body;
	it->recno = it->first = it->low = le64_to_cpu(rec->recno);
	it->redo = redo;
	it->old = rec->old;
	it->prev = -1;
	im_ranges_init(&it->ranges, IM_RANGES_MAX);
	if (!im_op_is_data(le16_to_cpu(rec->op)))
		return;
	it->trunc = le64_to_cpu(rec->trunc);
	it->unknown = le32_to_cpu(rec->flags) & IM_RF_UNKNOWN;
	/* im_rec_check() has seen them */
	im_ranges_get(&it->ranges, body->data, body->data_len);
}

void fold_item_free(struct fold_item *it)
{
	im_ranges_free(&it->ranges);
}
