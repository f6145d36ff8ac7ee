// SPDX-License-Identifier: GPL-2.0
/*
 * Between calls v[0 .. n) is sorted, v[i].end < v[i + 1].off, and
 * n <= room <= max, except that few[] gives room 4 also to a smaller max.
 *
 * A full set makes room by filling gaps. A small one fills the smallest; a
 * large one fills about an eighth of them in one pass, small ones first (in
 * classes of powers of two), so that random writes to a file that has
 * overflowed its set cost a search and a memmove each and not a scan.
 */
#include "ranges.h"

#ifdef __KERNEL__
#include <asm/byteorder.h>
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/string.h>
#else
#include <stdlib.h>
#endif

#define IM_END_MAX	((~(u64)0) >> 1)	/* no file is longer */
#define IM_BATCH_MIN	64		/* smaller sets fill one gap at a time */

static struct im_span *im_spans_alloc(u32 n)
{
#ifdef __KERNEL__
	return kmalloc_array(n, sizeof(struct im_span),
			     GFP_ATOMIC | __GFP_NOWARN);
#else
	return malloc(n * sizeof(struct im_span));
#endif
}

static void im_spans_free(struct im_span *v)
{
#ifdef __KERNEL__
	kfree(v);
#else
	free(v);
#endif
}

void im_ranges_init(struct im_ranges *r, u32 max)
{
	r->v = r->few;
	r->n = 0;
	r->room = IM_RANGES_INLINE;
	r->last = 0;
	r->max = max < 2 ? 2 : max > IM_RANGES_MAX ? IM_RANGES_MAX : max;
}

void im_ranges_free(struct im_ranges *r)
{
	if (r->v != r->few)
		im_spans_free(r->v);
	im_ranges_init(r, r->max);
}

void im_ranges_move(struct im_ranges *to, struct im_ranges *from)
{
	*to = *from;
	if (from->v == from->few)
		to->v = to->few;
	im_ranges_init(from, from->max);
}

/* Room for `want` spans, want <= max; false when memory is short. */
static bool im_ranges_grow(struct im_ranges *r, u32 want)
{
	struct im_span *v;
	u32 room = r->room;

	if (want <= room)
		return true;
	while (room < want)
		room *= 4;
	if (room > r->max)
		room = r->max;
	v = im_spans_alloc(room);
	if (!v)
		return false;
	memcpy(v, r->v, r->n * sizeof(*v));
	if (r->v != r->few)
		im_spans_free(r->v);
	r->v = v;
	r->room = room;
	return true;
}

/* The first span that ends at or behind off; n if there is none. */
static u32 im_ranges_find(const struct im_ranges *r, u64 off)
{
	const struct im_span *v = r->v;
	u32 lo = 0, hi = r->n, i = r->last;

	/* The common ones: the same place again, or the next in a row. */
	if (i < hi) {
		if (v[i].end < off) {
			lo = i + 1;
			if (lo == hi || v[lo].end >= off)
				return lo;
		} else {
			if (!i || v[i - 1].end < off)
				return i;
			hi = i;
		}
	}
	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (v[mid].end < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void im_ranges_cut(struct im_ranges *r, u32 from, u32 to)
{
	memmove(r->v + from, r->v + to, (r->n - to) * sizeof(*r->v));
	r->n -= to - from;
}

/* Index i of the smallest gap, the one between v[i] and v[i + 1]; n >= 2. */
static u32 im_ranges_closest(const struct im_ranges *r)
{
	u32 i, best = 0;
	u64 least = ~(u64)0;

	for (i = 0; i + 1 < r->n; i++) {
		u64 gap = r->v[i + 1].off - r->v[i].end;

		if (gap < least) {
			least = gap;
			best = i;
		}
	}
	return best;
}

static void im_ranges_fill(struct im_ranges *r, u32 i)
{
	r->v[i].end = r->v[i + 1].end;
	im_ranges_cut(r, i + 1, i + 2);
}

/* 0 .. 63 for gaps of 1 and more. */
static unsigned int im_gap_class(const struct im_span *s)
{
	return 63 - __builtin_clzll(s[1].off - s[0].end);
}

/* Fills `count` gaps, 0 < count < n, none twice as large as one it leaves. */
static void im_ranges_squeeze(struct im_ranges *r, u32 count)
{
	u32 in_class[64] = { 0 };
	struct im_span *v = r->v;
	unsigned int c, last = 0;
	u32 i, to = 0, left = count;

	for (i = 0; i + 1 < r->n; i++)
		in_class[im_gap_class(v + i)]++;
	/* All of the classes below `last`, and `left` gaps of that one. */
	while (in_class[last] <= left && last < 63)
		left -= in_class[last++];

	for (i = 1; i < r->n; i++) {
		/* v[i - 1] may be overwritten, its end is that of v[to] */
		struct im_span s[2] = { v[to], v[i] };

		c = im_gap_class(s);
		if (c < last || (c == last && left)) {
			left -= c == last;
			v[to].end = v[i].end;
		} else {
			v[++to] = v[i];
		}
	}
	r->n = to + 1;
}

/*
 * No span can be added and [off, end) touches none; it would come before
 * v[i]. True when it found its place, false when there is room for it now,
 * which may also mean that it lies in a gap just filled.
 */
static bool im_ranges_full(struct im_ranges *r, u32 i, u64 off, u64 end)
{
	u64 before, behind, least;
	u32 k;

	if (r->n >= IM_BATCH_MIN) {
		im_ranges_squeeze(r, r->n / 8);
		return false;
	}
	k = im_ranges_closest(r);
	least = r->v[k + 1].off - r->v[k].end;
	before = i ? off - r->v[i - 1].end : ~(u64)0;
	behind = i < r->n ? r->v[i].off - end : ~(u64)0;
	if (before < least && before <= behind) {
		r->v[i - 1].end = end;
		r->last = i - 1;
	} else if (behind < least) {
		r->v[i].off = off;
		r->last = i;
	} else {
		im_ranges_fill(r, k);
		return false;
	}
	return true;
}

void im_ranges_add(struct im_ranges *r, u64 off, u64 end)
{
	struct im_span *v;
	u32 i, j;

	if (end > IM_END_MAX)
		end = IM_END_MAX;
	if (off >= end)
		return;
again:
	i = im_ranges_find(r, off);
	v = r->v;
	if (i < r->n && v[i].off <= end) {
		if (off < v[i].off)
			v[i].off = off;
		if (end > v[i].end) {
			for (j = i + 1; j < r->n && v[j].off <= end; j++)
				;
			v[i].end = v[j - 1].end > end ? v[j - 1].end : end;
			if (j > i + 1)
				im_ranges_cut(r, i + 1, j);
		}
		r->last = i;
		return;
	}
	if (r->n == r->max || !im_ranges_grow(r, r->n + 1)) {
		if (im_ranges_full(r, i, off, end))
			return;
		goto again;
	}
	v = r->v;
	memmove(v + i + 1, v + i, (r->n - i) * sizeof(*v));
	v[i].off = off;
	v[i].end = end;
	r->n++;
	r->last = i;
}

void im_ranges_clip(struct im_ranges *r, u64 size)
{
	u32 i = im_ranges_find(r, size);

	if (i < r->n && r->v[i].off < size)
		r->v[i++].end = size;
	r->n = i;
	r->last = i ? i - 1 : 0;
}

/* The first span among the lowest n that begins behind end; n: none. */
static u32 im_ranges_behind(const struct im_ranges *r, u32 n, u64 end)
{
	u32 lo = 0;

	while (lo < n) {
		u32 mid = lo + (n - lo) / 2;

		if (r->v[mid].off > end)
			n = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

void im_ranges_merge(struct im_ranges *to, const struct im_ranges *from)
{
	u32 i = to->n, j = from->n, sum = i + j, w = sum, k;
	struct im_span *v, s;

	if (!j)
		return;
	if (sum > to->max || !im_ranges_grow(to, sum)) {
		for (i = 0; i < j; i++)
			im_ranges_add(to, from->v[i].off, from->v[i].end);
		return;
	}
	/*
	 * From the end, v[w .. sum) is the result and v[0 .. i) is not looked
	 * at yet and does not touch it. w - i >= j: what is written has been
	 * read.
	 */
	v = to->v;
	while (j--) {
		s = from->v[j];
		k = im_ranges_behind(to, i, s.end);
		w -= i - k;
		memmove(v + w, v + k, (i - k) * sizeof(*v));
		for (i = k; i && v[i - 1].end >= s.off; i--) {
			if (v[i - 1].off < s.off)
				s.off = v[i - 1].off;
			if (v[i - 1].end > s.end)
				s.end = v[i - 1].end;
		}
		/* the one written last may have grown down to here */
		if (w < sum && s.end >= v[w].off) {
			if (v[w].off < s.off)
				s.off = v[w].off;
			s.end = v[w++].end;
		}
		v[--w] = s;
	}
	to->n = sum;
	if (i < w)
		im_ranges_cut(to, i, w);
	to->last = to->n - 1;
}

bool im_ranges_hit(const struct im_ranges *r, u64 off, u64 end)
{
	u32 i;

	if (off >= end)
		return false;
	i = im_ranges_find(r, off + 1);
	return i < r->n && r->v[i].off < end;
}

u64 im_ranges_bytes(const struct im_ranges *r)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < r->n; i++)
		sum += r->v[i].end - r->v[i].off;
	return sum;
}

u32 im_ranges_put(const struct im_ranges *r, struct im_range *out)
{
	u32 i;

	for (i = 0; i < r->n; i++) {
		out[i].off = cpu_to_le64(r->v[i].off);
		out[i].len = cpu_to_le64(r->v[i].end - r->v[i].off);
	}
	return r->n * sizeof(*out);
}

static struct im_span im_span_at(const u8 *p)
{
	struct im_range range;
	struct im_span s;

	memcpy(&range, p, sizeof(range));
	s.off = le64_to_cpu(range.off);
	s.end = s.off + le64_to_cpu(range.len);
	return s;
}

int im_ranges_check(const void *data, u32 len)
{
	const u8 *p = data;
	u64 least = 0;
	u32 at;

	if (len % sizeof(struct im_range) ||
	    len / sizeof(struct im_range) > IM_RANGES_MAX)
		return -EINVAL;
	for (at = 0; at < len; at += sizeof(struct im_range)) {
		struct im_span s = im_span_at(p + at);

		/* Both below 2^63 or the sum has wrapped or is too large. */
		if (s.off < least || s.off > IM_END_MAX || s.end <= s.off ||
		    s.end > IM_END_MAX)
			return -EINVAL;
		least = s.end + 1;
	}
	return 0;
}

int im_ranges_get(struct im_ranges *r, const void *data, u32 len)
{
	u32 at, n = len / sizeof(struct im_range);
	const u8 *p = data;
	int err = im_ranges_check(data, len);

	if (err)
		return err;
	if (r->n + n <= r->max)
		im_ranges_grow(r, r->n + n);	/* or merges one by one */
	for (at = 0; at < len; at += sizeof(struct im_range)) {
		struct im_span s = im_span_at(p + at);

		im_ranges_add(r, s.off, s.end);
	}
	return 0;
}
