// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of whole pages against an array of flags: what is taken is what was
 * added, no page more or less, as ranges in order.
 */
#include "common/pages.h"

#include "tap.h"

#define PAGES	(80U << 12)	/* of 80 chunks; a set holds 64 */
#define PAGE	(1ULL << IM_PAGE_SHIFT)

static u8 flag[PAGES];

/* Takes *p and compares; the ranges can hold all that was added. */
static bool same(struct im_pages **p)
{
	struct im_ranges r;
	u32 i, at = 0;
	bool good = true;

	im_ranges_init(&r, IM_RANGES_MAX);
	im_pages_take(p, &r);
	for (i = 0; i < PAGES; i++) {
		while (at < r.n && r.v[at].end <= i * PAGE)
			at++;
		good &= flag[i] == (at < r.n && r.v[at].off <= i * PAGE &&
				    r.v[at].end >= (i + 1) * PAGE);
	}
	for (i = 0; i < r.n; i++)
		good &= !((r.v[i].off | r.v[i].end) & (PAGE - 1)) &&
			r.v[i].end <= PAGES * PAGE;
	im_ranges_free(&r);
	memset(flag, 0, sizeof(flag));
	return good;
}

static bool add(struct im_pages **p, u32 page, u32 count)
{
	if (!im_pages_add(p, page * PAGE, (page + count) * PAGE))
		return false;
	memset(flag + page, 1, count);
	return true;
}

static void test_fit(void)
{
	ok(im_pages_fit(0, PAGE), "a page fits");
	ok(im_pages_fit(7 * PAGE, 23 * PAGE), "sixteen do");
	ok(!im_pages_fit(7 * PAGE, 24 * PAGE), "seventeen do not");
	ok(!im_pages_fit(1, PAGE) && !im_pages_fit(0, PAGE + 1) &&
	   !im_pages_fit(512, PAGE + 512), "nor does what is not whole pages");
}

static void test_edges(void)
{
	struct im_pages *p = NULL;

	im_pages_free(&p);
	ok(same(&p), "nothing of nothing");
	ok(add(&p, 0, 16) && add(&p, 63, 2) && add(&p, 4088, 16) &&
	   add(&p, 127, 1) && same(&p), "across words and chunks");
	ok(add(&p, 64, 16) && add(&p, 80, 16) && add(&p, 96, 16) &&
	   add(&p, 112, 16) && same(&p), "two whole words");
	ok(same(&p), "what was taken is gone");
	ok(add(&p, 4096, 16) && same(&p), "from the first page of a chunk");
	im_pages_free(&p);
	ok(!p, "freed");
}

static void test_bounds(void)
{
	struct im_pages *p = NULL;
	u32 i, n = 0;

	for (i = 0; i < 80; i++)
		n += add(&p, (79 - i) << 12, 1);
	is(n, 64, "64 chunks, then no more");
	ok(!add(&p, (16 << 12) - 8, 16) && add(&p, (17 << 12) - 8, 16),
	   "nor by halves");
	ok(same(&p), "and all of these are there");
	for (n = 0; add(&p, n * 2 % PAGES, 1); n++)
		;
	is(n, 8192, "8192 pages, then no more");
	memset(flag, 0, sizeof(flag));
	im_pages_free(&p);
}

static void test_random(void)
{
	struct im_pages *p = NULL;
	u32 round, i, bad = 0;

	for (round = 0; round < 200; round++) {
		u32 span = 1U << (6 + rnd_below(13)), count = rnd_below(3000);

		for (i = 0; i < count; i++) {
			u32 n = rnd_below(4) ? 1 : 1 + rnd_below(16);

			if (!add(&p, rnd_below(span), n))
				break;
		}
		bad += !same(&p);
	}
	is(bad, 0, "200 random sets");
	im_pages_free(&p);
}

int main(void)
{
	rnd_seed(7);
	test_fit();
	test_edges();
	test_bounds();
	test_random();
	return tap_done();
}
