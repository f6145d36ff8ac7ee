/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Folding a batch of records: what need not be done is left out, what is left
 * keeps its order. Pure: no I/O.
 *
 * Folding only deletes. A record that is left out counts as applied as soon as
 * the records around it are; but the data of a record that was merged into a
 * later one is owed until that one is applied, which is what `low` says. So a
 * crash between any two items leaves a place from where the log alone, not
 * folded or folded otherwise, leads to the same tree.
 */
#ifndef _SYNCD_FOLD_H
#define _SYNCD_FOLD_H

#include "common/ranges.h"
#include "common/record.h"

enum fold_act {
	FOLD_DROP,		/* nothing to do */
	FOLD_APPLY,
	FOLD_TIMES,		/* only the mtimes of the directories named in
				 * times: what happened in them has vanished */
};

#define FOLD_TIMES_DIR	1
#define FOLD_TIMES_DIR2	2

struct fold_item {
	const struct im_rec *rec;	/* checked, DONE or ABORTED */
	struct im_body body;
	u64 recno;
	enum fold_act act;
	u8 times;
	bool redo;		/* in: applied before a restart, data alone is
				 * in doubt */
	struct im_fid old;	/* RENAME: what is replaced, as things are now */
	u64 first;		/* data: oldest record merged into this */
	u64 low;		/* for the tag of this item */
	struct im_ranges ranges;	/* data */
	u64 trunc;
	bool unknown;
	struct im_fid basis;	/* data: of what this will take the place */
	int prev;		/* fold.c: xattr item before */
	void *load;		/* fetch.c's */
};

/*
 * v: of consecutive recnos, each from fold_item_set(). Items of `self`, the
 * origin id here, are dropped. window: a snapshot may have brought the effects
 * of records up to here. -ENOMEM.
 */
int fold_run(struct fold_item *v, size_t n, u64 self, u64 window);

void fold_item_set(struct fold_item *it, const struct im_rec *rec,
		   const struct im_body *body, bool redo);
void fold_item_free(struct fold_item *it);	/* but load */

/* Does the record bring an object into the tree? */
bool fold_makes(const struct fold_item *it);

static inline unsigned int fold_op(const struct fold_item *it)
{
	return le16_to_cpu(it->rec->op);
}

static inline u32 fold_flags(const struct fold_item *it)
{
	return le32_to_cpu(it->rec->flags);
}

#endif /* _SYNCD_FOLD_H */
