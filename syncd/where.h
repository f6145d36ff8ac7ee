/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SYNCD_WHERE_H
#define _SYNCD_WHERE_H

#include "answer.h"

/* What the log knows of the places of some FIDs; NULL and *err. */
struct where *where_new(struct fset *f, const struct im_fid *fids, u32 count,
			const atomic_bool *stop, int *err);
bool where_fresh(const struct where *w);	/* w may be NULL */
bool where_get(struct where *w, const struct im_fid *fid, struct hint *h);
void where_free(struct where *w);

#endif /* _SYNCD_WHERE_H */
