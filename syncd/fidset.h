/* SPDX-License-Identifier: GPL-2.0 */
/* A set of FIDs in memory. Zeroed = empty. */
#ifndef _SYNCD_FIDSET_H
#define _SYNCD_FIDSET_H

#include "common/record.h"

struct fidset {
	struct im_fid *v;	/* open addressing; none: free */
	size_t n, room;
};

int fidset_add(struct fidset *s, const struct im_fid *fid);
bool fidset_has(const struct fidset *s, const struct im_fid *fid);
void fidset_del(struct fidset *s, const struct im_fid *fid);
bool fidset_any(const struct fidset *s, struct im_fid *fid);	/* some member */
void fidset_free(struct fidset *s);

#endif /* _SYNCD_FIDSET_H */
