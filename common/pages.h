/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A set of whole 4 KiB pages of a file, where scattered pages are cheap to add:
 * what a set of ranges with thousands of them is not. Exact, but bounded; who
 * meets the bound moves all of it to a set of ranges and begins anew.
 *
 * No locks of its own. In the kernel memory is allocated with GFP_ATOMIC.
 */
#ifndef _IM_PAGES_H
#define _IM_PAGES_H

#include "ranges.h"

#define IM_PAGE_SHIFT	12
#define IM_PAGES_MOST	16	/* pages of one im_pages_add() */

struct im_pages;

/* [off, end) is whole pages, not too many: worth im_pages_add(). */
static inline bool im_pages_fit(u64 off, u64 end)
{
	return !((off | end) & ((1U << IM_PAGE_SHIFT) - 1)) &&
	       end - off <= (u64)IM_PAGES_MOST << IM_PAGE_SHIFT;
}

/*
 * *p: NULL for an empty set, allocated here. off < end fit. False: the bound
 * is met or memory short, and nothing was added.
 */
bool im_pages_add(struct im_pages **p, u64 off, u64 end);
/* Moves all to r; *p is empty then, but keeps some memory. */
void im_pages_take(struct im_pages **p, struct im_ranges *r);
void im_pages_free(struct im_pages **p);

#endif /* _IM_PAGES_H */
