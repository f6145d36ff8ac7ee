/* SPDX-License-Identifier: GPL-2.0 */
/* What apply.c (names and attributes) and content.c (data, and objects as the
 * server has them now) share: one record on its way into the tree. */
#ifndef _SYNCD_APPLY_H
#define _SYNCD_APPLY_H

#include "client.h"

struct apply {
	struct client *c;
	struct fold_item *v;		/* the batch */
	size_t i, n;
	struct fold_item *it;		/* &v[i] */
	char name[IM_NAME_LEN + 1];	/* namespace records; else "" */
	char name2[IM_NAME_LEN + 1];
};

/* A name in a directory that is here. */
struct apply_name {
	const struct im_fid *fid;	/* of the directory */
	int dirfd;			/* the tree's */
	const char *name;
	bool there;
	struct im_fid local;		/* what it means, if there */
};

int apply_tag(struct apply *a, u32 flags);	/* IM_TAG_* */
int apply_times(struct apply *a, unsigned int which);	/* FOLD_TIMES_* */

/* content.c */
int apply_data(struct apply *a);
/* The record's object at the server, asked for with those of later records.
 * -ENXIO: it is gone. *obj lives as long as the item. */
int apply_look_at(struct apply *a, struct im_obj *obj);
/* 1: the server has no such object any more; 0: it has. */
int apply_gone(struct apply *a, const struct im_fid *fid);
/* A record about an object that is not here. */
int apply_unknown(struct apply *a);

#endif /* _SYNCD_APPLY_H */
