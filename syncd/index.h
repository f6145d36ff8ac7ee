/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which local object a FID of the server is: an LMDB map from the server's FID
 * to the local one. A cache: what it says is checked against the object's
 * IM_XATTR_ORIGIN at use, and it can be rebuilt from the local log or the tree.
 *
 * One thread uses an index. Changes are visible to it at once, and durable at
 * index_commit(), which also notes up to which local recno the map is complete.
 */
#ifndef _SYNCD_INDEX_H
#define _SYNCD_INDEX_H

#include "common/record.h"

struct index;

/* Whose FIDs these are; another owner empties the index. */
struct index_owner {
	u8 local[16];		/* uuid of the fileset here */
	u8 server[16];
	__le64 incarnation;
};

/* dir is made when it is not there. */
int index_open(struct index **ix, const char *dir, const struct index_owner *who);
void index_close(struct index *ix);	/* without a commit */

/* round: number of the snapshot that saw it last; -ENOENT */
int index_get(struct index *ix, const struct im_fid *fid, struct im_fid *local,
	      u32 *round);
int index_put(struct index *ix, const struct im_fid *fid,
	      const struct im_fid *local, u32 round);
int index_del(struct index *ix, const struct im_fid *fid);
int index_clear(struct index *ix);
/* Forgets what was entered in other rounds, but keep. */
int index_purge(struct index *ix, u32 round, const struct im_fid *keep);

u64 index_complete(struct index *ix);	/* 0: never; rebuild by a walk */
int index_commit(struct index *ix, u64 complete);

#endif /* _SYNCD_INDEX_H */
