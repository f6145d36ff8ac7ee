/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bounded set of byte ranges: sorted, disjoint, not adjacent. When it is
 * full, or memory is short, neighbours with the smallest gaps are merged: a
 * set never loses a byte, it only grows too large.
 *
 * No locks of its own. im_ranges_add() may allocate; in the kernel it does so
 * with GFP_ATOMIC, since it is called under a spinlock.
 */
#ifndef _IM_RANGES_H
#define _IM_RANGES_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include "user.h"
#endif
#include <linux/intermezzo_record.h>

#define IM_RANGES_INLINE 4

struct im_span {
	u64 off;
	u64 end;		/* exclusive, > off */
};

struct im_ranges {
	struct im_span *v;	/* few, or allocated */
	u32 n;
	u32 room;
	u32 last;		/* where the last one was added: a hint */
	u32 max;		/* <= IM_RANGES_MAX, > 1 */
	struct im_span few[IM_RANGES_INLINE];
};

void im_ranges_init(struct im_ranges *r, u32 max);
void im_ranges_free(struct im_ranges *r);	/* and empty; usable again */
void im_ranges_add(struct im_ranges *r, u64 off, u64 end);
void im_ranges_clip(struct im_ranges *r, u64 size);	/* forget [size, ..) */
/* to: uninitialised; from: empty after. */
void im_ranges_move(struct im_ranges *to, struct im_ranges *from);
void im_ranges_merge(struct im_ranges *to, const struct im_ranges *from);
bool im_ranges_hit(const struct im_ranges *r, u64 off, u64 end); /* any byte */
u64 im_ranges_bytes(const struct im_ranges *r);

/* To the body of a CLOSE, and back. put: bytes written (n * 16). */
u32 im_ranges_put(const struct im_ranges *r, struct im_range *out);
/*
 * get adds to r, which is initialised, all or nothing. -EINVAL: not sorted and
 * apart, empty, beyond 2^63 - 1, too many. data may be unaligned.
 */
int im_ranges_get(struct im_ranges *r, const void *data, u32 len);
int im_ranges_check(const void *data, u32 len);	/* the same, and no more */

#endif /* _IM_RANGES_H */
