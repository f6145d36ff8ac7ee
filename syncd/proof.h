/* SPDX-License-Identifier: GPL-2.0 */
/* Which of some FIDs the log proves to be of the fileset; see proof.c. */
#ifndef _SYNCD_PROOF_H
#define _SYNCD_PROOF_H

#include "syncd.h"

struct proof;

/* Does this record name the FID? -errno: the log cannot be read. */
int proof_record(struct fset *f, u64 recno, const struct im_fid *fid);

/* Reads the whole log. NULL: *err says why; -EINTR when *stop is set. */
struct proof *proof_new(struct fset *f, const struct im_fid *fids, u32 count,
			const atomic_bool *stop, int *err);
bool proof_fresh(const struct proof *p);	/* p may be NULL */
bool proof_has(const struct proof *p, const struct im_fid *fid);
void proof_free(struct proof *p);

#endif /* _SYNCD_PROOF_H */
