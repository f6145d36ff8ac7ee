// SPDX-License-Identifier: GPL-2.0
/*
 * Range sets against a bitmap: no byte is ever lost, the set stays sorted,
 * disjoint, not adjacent and within its bound, and it grows too large only by
 * the smallest gaps.
 */
#include "common/ranges.h"

#include "tap.h"

#define BITS	4096		/* the oracle's file, in bytes */
#define END_MAX	((u64)INT64_MAX)

struct oracle {
	u8 bit[BITS];
};

static void oracle_add(struct oracle *o, u64 off, u64 end)
{
	for (; off < end; off++)
		o->bit[off] = 1;
}

static void oracle_from(struct oracle *o, const struct im_ranges *r)
{
	memset(o, 0, sizeof(*o));
	for (u32 i = 0; i < r->n; i++)
		oracle_add(o, r->v[i].off, r->v[i].end);
}

/* Runs of set bytes, and the smallest gap between two of them. */
static unsigned int oracle_runs(const struct oracle *o, unsigned int *gap,
				unsigned int *bytes)
{
	unsigned int runs = 0, last = 0;

	*gap = BITS;
	*bytes = 0;
	for (unsigned int i = 0; i < BITS; i++) {
		if (!o->bit[i])
			continue;
		if (!i || !o->bit[i - 1]) {
			if (runs++ && i - last < *gap)
				*gap = i - last;
		}
		last = i + 1;
		++*bytes;
	}
	return runs;
}

static bool sound(const struct im_ranges *r)
{
	if (r->n > r->max || r->n > r->room)
		return false;
	for (u32 i = 0; i < r->n; i++) {
		if (r->v[i].off >= r->v[i].end || r->v[i].end > END_MAX)
			return false;
		if (i && r->v[i - 1].end >= r->v[i].off)
			return false;
	}
	return true;
}

static bool covers(const struct im_ranges *r, const struct oracle *o)
{
	struct oracle mine;

	oracle_from(&mine, r);
	for (unsigned int i = 0; i < BITS; i++) {
		if (o->bit[i] && !mine.bit[i])
			return false;
	}
	return true;
}

static bool same(const struct im_ranges *r, const struct oracle *o)
{
	struct oracle mine;

	oracle_from(&mine, r);
	return !memcmp(&mine, o, sizeof(mine));
}

static void random_span(u64 *off, u64 *end)
{
	u64 longest = rnd_below(8) ? 4 : 200;

	*off = rnd_below(BITS);
	*end = *off + 1 + rnd_below(longest);
	if (*end > BITS)
		*end = BITS;
}

/*
 * One add to a set that may be full: what it must be, exactly. Sets of 64 and
 * more fill gaps in batches and are held to coverage only.
 */
static bool step_add(struct im_ranges *r, struct oracle *o)
{
	unsigned int runs, gap, bytes;
	struct oracle exact;
	u64 off, end;

	random_span(&off, &end);
	oracle_from(&exact, r);
	oracle_add(&exact, off, end);
	oracle_add(o, off, end);
	runs = oracle_runs(&exact, &gap, &bytes);
	im_ranges_add(r, off, end);
	if (!sound(r) || !covers(r, o) || !covers(r, &exact))
		return false;
	if (runs <= r->max)
		return r->n == runs && im_ranges_bytes(r) == bytes;
	if (r->max < 64)
		return r->n == r->max && im_ranges_bytes(r) == bytes + gap;
	return r->n >= r->max - r->max / 8;
}

static bool step_clip(struct im_ranges *r, struct oracle *o)
{
	u64 size = rnd_below(BITS + 10);
	struct oracle exact;

	oracle_from(&exact, r);
	for (u64 i = size; i < BITS; i++)
		exact.bit[i] = o->bit[i] = 0;
	im_ranges_clip(r, size);
	return sound(r) && same(r, &exact);
}

static bool step_merge(struct im_ranges *r, struct oracle *o)
{
	unsigned int n = rnd_below(20);
	struct im_ranges other;
	struct oracle exact;
	bool good, fits;
	u64 off, end;

	im_ranges_init(&other, 2 + rnd_below(IM_RANGES_MAX));
	while (n--) {
		random_span(&off, &end);
		im_ranges_add(&other, off, end);
	}
	oracle_from(&exact, r);
	for (u32 i = 0; i < other.n; i++) {
		oracle_add(&exact, other.v[i].off, other.v[i].end);
		oracle_add(o, other.v[i].off, other.v[i].end);
	}
	/* If not, it may be too full on the way even if the union is not. */
	fits = r->n + other.n <= r->max;
	im_ranges_merge(r, &other);
	im_ranges_free(&other);
	good = sound(r) && covers(r, &exact);
	return good && (!fits || same(r, &exact));
}

static bool step_move(struct im_ranges *r)
{
	struct im_ranges other;
	struct oracle exact;
	bool good;

	oracle_from(&exact, r);
	im_ranges_move(&other, r);
	good = !r->n && sound(r) && sound(&other) && same(&other, &exact) &&
	       r->max == other.max;
	im_ranges_add(r, 1, 2);	/* usable, and not the other's memory */
	good = good && same(&other, &exact);
	im_ranges_free(r);
	im_ranges_move(r, &other);
	return good && same(r, &exact);
}

static bool step_codec(struct im_ranges *r)
{
	u32 len = r->n * sizeof(struct im_range);
	u8 *raw = malloc(len + 1);
	struct im_range *out = malloc(len ? len : 1);
	struct im_ranges back;
	struct oracle exact;
	bool good;

	oracle_from(&exact, r);
	good = im_ranges_put(r, out) == len;
	memcpy(raw + 1, out, len);	/* get takes any alignment */
	im_ranges_init(&back, r->max);
	good = good && !im_ranges_get(&back, raw + 1, len) && sound(&back) &&
	       same(&back, &exact) && back.n == r->n;
	im_ranges_free(&back);
	free(raw);
	free(out);
	return good;
}

static bool step_hit(const struct im_ranges *r)
{
	struct oracle mine;
	bool want = false;
	u64 off, end;

	oracle_from(&mine, r);
	off = rnd_below(BITS);
	end = off + rnd_below(20);
	for (u64 i = off; i < end && i < BITS; i++)
		want = want || mine.bit[i];
	return im_ranges_hit(r, off, end) == want;
}

static bool churn(u32 max, unsigned int steps)
{
	struct oracle o = { { 0 } };
	struct im_ranges r;
	bool good = true;
	unsigned int i;

	im_ranges_init(&r, max);
	for (i = 0; i < steps && good; i++) {
		switch (rnd_below(16)) {
		case 0:
			good = step_clip(&r, &o);
			break;
		case 1:
			good = step_merge(&r, &o);
			break;
		case 2:
			good = step_move(&r);
			break;
		case 3:
			good = step_codec(&r);
			break;
		case 4:
			good = step_hit(&r);
			break;
		case 5:
			if (rnd_below(20))
				break;
			im_ranges_free(&r);
			memset(&o, 0, sizeof(o));
			break;
		default:
			good = step_add(&r, &o);
		}
		good = good && sound(&r) && covers(&r, &o);
	}
	if (!good)
		diag("step %u, %u ranges", i, r.n);
	im_ranges_free(&r);
	return good;
}

static void test_churn(void)
{
	static const u32 max[] = { 2, 3, 4, 5, 7, 16, 63, 64, 65, 100, 300,
				   IM_RANGES_MAX };

	for (unsigned int i = 0; i < sizeof(max) / sizeof(max[0]); i++) {
		for (unsigned int seed = 0; seed < 3; seed++) {
			rnd_seed(max[i] * 100 + seed);
			ok(churn(max[i], 6000), "max %u, seed %u agree with the bitmap",
			   max[i], seed);
		}
	}
}

/* A full set of 4096 with random gaps: which of them does one more fill? */
static void test_batch(void)
{
	struct im_ranges r, full;
	u64 at = 0, filled = 0, left = ~0ULL;
	u32 i, j = 0;

	rnd_seed(7);
	im_ranges_init(&r, IM_RANGES_MAX);
	im_ranges_init(&full, IM_RANGES_MAX);
	for (i = 0; i < IM_RANGES_MAX; i++) {
		at += 1 + rnd_below(100000);
		im_ranges_add(&r, at, at + 10);
		im_ranges_add(&full, at, at + 10);
		at += 10;
	}
	is(r.n, IM_RANGES_MAX, "4096 ranges fit");
	im_ranges_add(&r, at + 500000, at + 500001);
	is(r.n, IM_RANGES_MAX - IM_RANGES_MAX / 8 + 1,
	   "one more fills an eighth of the gaps");
	for (i = 0; i + 1 < full.n; i++) {
		u64 gap = full.v[i + 1].off - full.v[i].end;

		while (r.v[j].end < full.v[i].end)
			j++;
		if (r.v[j].end > full.v[i].end)
			filled = gap > filled ? gap : filled;
		else
			left = gap < left ? gap : left;
	}
	ok(filled < 2 * left, "no filled gap is twice one that is left");
	diag("largest filled %llu, smallest left %llu",
	     (unsigned long long)filled, (unsigned long long)left);
	im_ranges_free(&r);
	im_ranges_free(&full);
}

static void test_limits(void)
{
	struct im_ranges r;

	im_ranges_init(&r, 0);
	is(r.max, 2, "max is at least 2");
	im_ranges_init(&r, 1U << 30);
	is(r.max, IM_RANGES_MAX, "max is at most what a record holds");
	im_ranges_add(&r, 5, 5);
	im_ranges_add(&r, 6, 5);
	im_ranges_add(&r, ~0ULL, ~0ULL);
	is(r.n, 0, "an empty range adds nothing");
	im_ranges_add(&r, END_MAX - 1, ~0ULL);
	ok(r.n == 1 && r.v[0].end == END_MAX, "the end is the largest offset");
	im_ranges_add(&r, 0, ~0ULL);
	ok(r.n == 1 && im_ranges_bytes(&r) == END_MAX, "everything is one");
	ok(im_ranges_hit(&r, END_MAX - 1, ~0ULL), "hit at the end");
	ok(!im_ranges_hit(&r, END_MAX, ~0ULL), "no hit behind the end");
	im_ranges_clip(&r, ~0ULL);
	is(im_ranges_bytes(&r), END_MAX, "clip at the largest size keeps all");
	im_ranges_clip(&r, 0);
	is(r.n, 0, "clip to nothing");
	for (u64 i = 0; i < 100000; i++)
		im_ranges_add(&r, i * 4096, (i + 1) * 4096);
	ok(r.n == 1 && r.v == r.few, "appends are one range");
	for (u64 i = 0; i < 1000; i++)
		im_ranges_add(&r, (2000 - i) * 1000000, (2000 - i) * 1000000 + 1);
	is(r.n, 1001, "downwards");
	im_ranges_free(&r);
	ok(!r.n && r.v == r.few, "free empties");
}

struct bad {
	const char *what;
	u64 v[4];
	u32 len;
};

static void test_refused(void)
{
	static const struct bad bad[] = {
		{ "an empty range", { 5, 0 }, 16 },
		{ "a range beyond 2^63 - 1", { END_MAX, 1 }, 16 },
		{ "an offset of 2^63", { END_MAX + 1, 1 }, 16 },
		{ "a sum that wraps", { 16, ~0ULL - 8 }, 16 },
		{ "a sum that wraps to 0", { 16, ~0ULL - 15 }, 16 },
		{ "a length of all ones", { 0, ~0ULL }, 16 },
		{ "ranges out of order", { 100, 5, 10, 5 }, 32 },
		{ "ranges that overlap", { 100, 5, 104, 5 }, 32 },
		{ "ranges that touch", { 100, 5, 105, 5 }, 32 },
		{ "the same range twice", { 100, 5, 100, 5 }, 32 },
		{ "half a range", { 100, 5, 200, 5 }, 24 },
		{ "one byte", { 100, 5 }, 1 },
	};
	struct im_range *many;
	struct im_ranges r;
	u32 len = (IM_RANGES_MAX + 1) * sizeof(*many);

	im_ranges_init(&r, 100);
	im_ranges_add(&r, 7, 9);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct im_range raw[2] = {
			{ cpu_to_le64(bad[i].v[0]), cpu_to_le64(bad[i].v[1]) },
			{ cpu_to_le64(bad[i].v[2]), cpu_to_le64(bad[i].v[3]) },
		};

		is(im_ranges_get(&r, raw, bad[i].len), -EINVAL, "%s is refused",
		   bad[i].what);
	}
	many = malloc(len);
	for (u32 i = 0; i <= IM_RANGES_MAX; i++) {
		many[i].off = cpu_to_le64(i * 3);
		many[i].len = cpu_to_le64(2);
	}
	is(im_ranges_get(&r, many, len), -EINVAL, "4097 ranges are refused");
	ok(r.n == 1 && im_ranges_bytes(&r) == 2, "what is refused adds nothing");
	is(im_ranges_get(&r, many, len - sizeof(*many)), 0,
	   "4096 ranges are taken");
	ok(sound(&r) && r.n <= 100 && im_ranges_hit(&r, 3 * 4095, 3 * 4096),
	   "by a smaller set as well");
	is(im_ranges_get(&r, NULL, 0), 0, "none are fine");
	im_ranges_free(&r);
	free(many);
}

int main(void)
{
	test_limits();
	test_churn();
	test_batch();
	test_refused();
	return tap_done();
}
