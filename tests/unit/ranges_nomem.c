// SPDX-License-Identifier: GPL-2.0
/*
 * Range sets when memory is short, as it is for the atomic allocations of the
 * module: nothing is lost, and the set is exact again as far as memory allows.
 * Compiles a copy of the code under other names, with an allocator that fails.
 */
#include <stdbool.h>
#include <stdlib.h>

static bool short_of_memory;
static unsigned int failures;

static void *test_malloc(size_t n)
{
	if (short_of_memory) {
		failures++;
		return NULL;
	}
	return malloc(n);
}

#define im_ranges_init	nomem_init
#define im_ranges_free	nomem_free
#define im_ranges_add	nomem_add
#define im_ranges_clip	nomem_clip
#define im_ranges_move	nomem_move
#define im_ranges_merge	nomem_merge
#define im_ranges_hit	nomem_hit
#define im_ranges_bytes	nomem_bytes
#define im_ranges_put	nomem_put
#define im_ranges_get	nomem_get
#define im_ranges_check	nomem_check
#define malloc		test_malloc
#include "common/ranges.c"
#undef malloc

#include "tap.h"

#define BITS 4096

static bool holds(const struct im_ranges *r, const u8 *bit)
{
	for (u32 i = 0; i < r->n; i++) {
		if (r->v[i].off >= r->v[i].end ||
		    (i && r->v[i - 1].end >= r->v[i].off))
			return false;
	}
	for (u64 i = 0; i < BITS; i++) {
		if (bit[i] && !im_ranges_hit(r, i, i + 1))
			return false;
	}
	return r->n <= r->room;
}

/* Memory comes and goes; `often` of 8 steps have none. */
static bool churn(unsigned int often)
{
	u8 bit[BITS] = { 0 };
	struct im_ranges r;
	bool good = true;

	im_ranges_init(&r, 1000);
	for (unsigned int i = 0; i < 2000 && good; i++) {
		u64 off = rnd_below(BITS - 4), end = off + 1 + rnd_below(4);

		short_of_memory = rnd_below(8) < often;
		im_ranges_add(&r, off, end);
		memset(bit + off, 1, end - off);
		if (!rnd_below(4)) {
			struct im_ranges two;

			im_ranges_init(&two, 8);
			for (int k = 0; k < 6; k++) {
				off = rnd_below(BITS - 1);
				im_ranges_add(&two, off, off + 1);
				bit[off] = 1;
			}
			im_ranges_merge(&r, &two);
			im_ranges_free(&two);
		}
		good = holds(&r, bit);
		if (!rnd_below(200)) {
			im_ranges_free(&r);
			memset(bit, 0, sizeof(bit));
		}
	}
	im_ranges_free(&r);
	return good;
}

static void test_get(void)
{
	struct im_range raw[100];
	struct im_ranges r;

	for (u32 i = 0; i < 100; i++) {
		raw[i].off = cpu_to_le64(i * i * 10 + 1);
		raw[i].len = cpu_to_le64(3);
	}
	short_of_memory = true;
	im_ranges_init(&r, 1000);
	is(im_ranges_get(&r, raw, sizeof(raw)), 0, "ranges without memory");
	is(r.n, IM_RANGES_INLINE, "fill what is there");
	ok(im_ranges_hit(&r, 1, 4) && im_ranges_hit(&r, 98011, 98014),
	   "from the first to the last");
	short_of_memory = false;
	im_ranges_add(&r, 1000000, 1000001);
	is(r.n, IM_RANGES_INLINE + 1, "with memory again it grows");
	im_ranges_free(&r);
}

int main(void)
{
	for (unsigned int often = 1; often <= 8; often++) {
		rnd_seed(often);
		ok(churn(often), "no memory in %u of 8 steps", often);
	}
	test_get();
	ok(failures > 100, "allocations failed (%u)", failures);
	return tap_done();
}
