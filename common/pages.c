// SPDX-License-Identifier: GPL-2.0
/*
 * Bitmaps of IM_CHUNK_PAGES pages each, at most IM_CHUNKS of them, sorted by
 * where they begin. A chunk that is not in use has no bit set and stays for the
 * next place that needs one. More pages than IM_PAGES_ALL are not taken: the
 * walk over them is under the caller's lock.
 */
#include "pages.h"

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/string.h>
#else
#include <stdlib.h>
#endif

#define IM_PAGES_ALL	8192
#define IM_CHUNKS	64
#define IM_CHUNK_SHIFT	12		/* 4096 pages, 16 MiB */
#define IM_CHUNK_PAGES	(1U << IM_CHUNK_SHIFT)
#define IM_CHUNK_WORDS	(IM_CHUNK_PAGES / 64)

struct im_chunk {
	u64 at;				/* first page >> IM_CHUNK_SHIFT */
	u64 *bits;			/* allocated, or NULL */
};

struct im_pages {
	u32 n;				/* v[0 .. n) are in use */
	u32 added;			/* pages, those added twice counted twice */
	u32 last;			/* where the last one was added: a hint */
	struct im_chunk v[IM_CHUNKS];
};

static void *im_pages_alloc(size_t size)
{
#ifdef __KERNEL__
	return kzalloc(size, GFP_ATOMIC | __GFP_NOWARN);
#else
	return calloc(1, size);
#endif
}

static void im_pages_release(void *p)
{
#ifdef __KERNEL__
	kfree(p);
#else
	free(p);
#endif
}

/* The chunk, maybe a new one; NULL: no room, or no memory. */
static u64 *im_pages_chunk(struct im_pages *p, u64 at)
{
	struct im_chunk new;
	u32 lo = 0, hi = p->n;

	if (p->last < p->n && p->v[p->last].at == at)
		return p->v[p->last].bits;
	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (p->v[mid].at < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	p->last = lo;
	if (lo < p->n && p->v[lo].at == at)
		return p->v[lo].bits;
	if (p->n == IM_CHUNKS)
		return NULL;
	new.bits = p->v[p->n].bits;
	new.at = at;
	if (!new.bits)
		new.bits = im_pages_alloc(IM_CHUNK_WORDS * sizeof(u64));
	if (!new.bits)
		return NULL;
	memmove(p->v + lo + 1, p->v + lo, (p->n - lo) * sizeof(new));
	p->v[lo] = new;
	p->n++;
	return new.bits;
}

bool im_pages_add(struct im_pages **pp, u64 off, u64 end)
{
	u64 page = off >> IM_PAGE_SHIFT, behind = end >> IM_PAGE_SHIFT;
	u64 *first, *bits;
	u32 bit;

	if (!*pp)
		*pp = im_pages_alloc(sizeof(**pp));
	if (!*pp || (*pp)->added >= IM_PAGES_ALL)
		return false;
	/* The last one before the first: nothing is added by halves. */
	first = bits = im_pages_chunk(*pp, (behind - 1) >> IM_CHUNK_SHIFT);
	if (first && page >> IM_CHUNK_SHIFT != (behind - 1) >> IM_CHUNK_SHIFT)
		first = im_pages_chunk(*pp, page >> IM_CHUNK_SHIFT);
	if (!first)
		return false;
	(*pp)->added += behind - page;
	for (; page < behind; page++) {
		bit = page & (IM_CHUNK_PAGES - 1);
		if (!bit)
			first = bits;
		first[bit / 64] |= (u64)1 << bit % 64;
	}
	return true;
}

/* Adds the runs of bits of one chunk, and clears it. */
static void im_pages_runs(const struct im_chunk *c, struct im_ranges *r)
{
	u64 start = c->at << IM_CHUNK_SHIFT;
	u32 i, from, bit;
	u64 word, rest;

	for (i = 0; i < IM_CHUNK_WORDS; i++) {
		word = c->bits[i];
		c->bits[i] = 0;
		while (word) {
			from = __builtin_ctzll(word);
			rest = ~(word >> from);
			bit = rest ? from + __builtin_ctzll(rest) : 64;
			if (bit > 64)
				bit = 64;
			im_ranges_add(r,
				      (start + i * 64 + from) << IM_PAGE_SHIFT,
				      (start + i * 64 + bit) << IM_PAGE_SHIFT);
			word = bit < 64 ? word >> bit << bit : 0;
		}
	}
}

void im_pages_take(struct im_pages **pp, struct im_ranges *r)
{
	struct im_pages *p = *pp;
	struct im_ranges all;
	u32 i;

	if (!p || !p->n)
		return;
	/* In order, so each is added at the end; then one merge. */
	im_ranges_init(&all, IM_RANGES_MAX);
	for (i = 0; i < p->n; i++)
		im_pages_runs(&p->v[i], &all);
	im_ranges_merge(r, &all);
	im_ranges_free(&all);
	p->n = p->last = p->added = 0;
}

void im_pages_free(struct im_pages **pp)
{
	u32 i;

	if (!*pp)
		return;
	for (i = 0; i < IM_CHUNKS; i++)
		im_pages_release((*pp)->v[i].bits);
	im_pages_release(*pp);
	*pp = NULL;
}
