/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Answers that cost a pass over a file and are the same for all who ask: block
 * sums, signatures, and deltas against equal signatures. The first who asks
 * makes it, who comes meanwhile waits for it, who comes later finds it here.
 *
 * What makes an old answer good is the log, not the file. Who asks because of
 * record N needs the content as it was when N was logged or at any time since:
 * what has changed later has, or will have, a record of its own, which he
 * applies after N. So an answer that was begun when the log was durable up to
 * R is good for every N up to R for ever, whoever writes to the file; for a
 * newer N it is made anew.
 */
#ifndef _SYNCD_SHELF_H
#define _SYNCD_SHELF_H

#include "answer.h"

struct shelf_key {
	const struct fset *f;
	struct im_fid fid;
	u32 type;			/* enum im_frame_type: what it is */
	u32 block;			/* sums, sig */
	u64 sig[2];			/* delta: hash of the client's */
};

/*
 * What maker would answer, from the shelf if it is there; takes maker. recno:
 * the record because of which it is asked for, 0: nothing may have been logged
 * since. NULL for want of memory.
 */
struct answer *shelf_answer(const struct shelf_key *key, u64 recno,
			    struct answer *maker);

/* The fileset goes away: so does what was kept of it. */
void shelf_forget(const struct fset *f);

/* For the tests: how often an answer was made, and was found. */
void shelf_counts(u64 *made, u64 *found);

#endif /* _SYNCD_SHELF_H */
