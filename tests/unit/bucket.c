// SPDX-License-Identifier: GPL-2.0
/* Token buckets: exactness, sharing, parsing. links: syncd/bucket.c */
#include "tap.h"
#include "syncd/syncd.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void parse_ok(const char *text, u64 want)
{
	u64 rate = 77;
	int err = bucket_parse(text, &rate);

	if (!ok(!err && rate == want, "'%s' is %llu bytes/s", text,
		(unsigned long long)want))
		diag("error %d, rate %llu", err, (unsigned long long)rate);
}

static void parse_bad(const char *text)
{
	u64 rate = 77;

	ok(bucket_parse(text, &rate) == -EINVAL && rate == 77,
	   "'%s' is refused", text);
}

static void test_parse(void)
{
	static const char *const bad[] = {
		"", "k", "-1", "+1", " 1", "1 k", "1x", "1kk", "1b", "1Mb",
		"0.1", "0x10", "1e6", "nan", "inf", "1/s/s", "1..2", ".",
		"99999999999999999999", "1000000T", "None",
	};
	size_t i;

	parse_ok("0", 0);
	parse_ok("none", 0);
	parse_ok("1", 1);
	parse_ok("500k", 500000);
	parse_ok("500K", 500000);
	parse_ok("2M", 2000000);
	parse_ok("2MB", 2000000);
	parse_ok("2MB/s", 2000000);
	parse_ok("1.5MiB/s", 1572864);
	parse_ok("64Ki", 65536);
	parse_ok("8Mbit", 1000000);
	parse_ok("8Mbit/s", 1000000);
	parse_ok("1G", 1000000000);
	parse_ok(".5k", 500);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		parse_bad(bad[i]);
}

struct taker {
	pthread_t thread;
	struct bucket *b[3];
	double end;
	size_t piece;
	u64 taken;
	atomic_bool *stop;
};

static void *take(void *arg)
{
	struct taker *t = arg;

	while (now() < t->end) {
		if (bucket_wait(t->b, 3, t->piece, t->stop))
			break;
		t->taken += t->piece;
	}
	return NULL;
}

/* Four takers with pieces of different sizes share a rate. */
static void test_rate(u64 rate, double seconds)
{
	static const size_t pieces[4] = { 1, 1000, 7777, 30000 };
	struct bucket fast, slow;
	struct taker t[4];
	double begin, took, got;
	u64 all = 0;
	int i;

	bucket_init(&fast, rate * 3);
	bucket_init(&slow, rate);
	begin = now();
	for (i = 0; i < 4; i++) {
		t[i] = (struct taker){
			.b = { &fast, NULL, &slow },
			.end = begin + seconds,
			.piece = pieces[i],
		};
		pthread_create(&t[i].thread, NULL, take, &t[i]);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(t[i].thread, NULL);
		all += t[i].taken;
	}
	took = now() - begin;
	got = (double)all / took;
	is(slow.total, all, "the bucket counts what went through");
	/* above is our fault, below could be a busy machine's */
	if (!ok(got <= (double)rate * 1.05 && got >= (double)rate * 0.85,
		"%llu bytes/s hold", (unsigned long long)rate))
		diag("%.0f bytes/s in %.2f s", got, took);
	for (i = 1; i < 4; i++)
		ok(t[i].taken > 0, "taker %d is not starved", i);
}

/*
 * 11 s with naps, pieces of all sizes and a rate that changes in the middle: no
 * second has twice the rate, and 10 s have what they should.
 */
static void test_windows(void)
{
	enum { MS = 11000, TICKS = MS / 10 };
	static const size_t pieces[] = { 1500, 16384, 400, 40000 };
	static double seen[TICKS + 1];
	struct bucket b, *list[1] = { &b };
	double begin, last = 0, sum, worst = 0;
	int i, k = 0, at = 0;
	u64 all = 0;

	bucket_init(&b, 200000);
	begin = now();
	while (at < TICKS) {
		bucket_wait(list, 1, pieces[k++ % 4], NULL);
		all += pieces[(k - 1) % 4];
		last = now() - begin;
		if (k % 40 == 7)	/* nothing to send for a while */
			nanosleep(&(struct timespec){ 0, 150000000 }, NULL);
		while (at <= (int)(last * 100) && at <= TICKS)
			seen[at++] = (double)all;
	}
	for (i = 100; i <= TICKS; i++) {
		sum = seen[i] - seen[i - 100];
		if (sum > worst)
			worst = sum;
	}
	ok(worst <= 400000, "at most twice the rate in any second: %.0f",
	   worst);
	sum = seen[1000];
	ok(sum <= 2000000 * 1.03 && sum >= 2000000 * 0.97,
	   "within 3 %% over 10 s: %.0f", sum);
}

/* A slow one that has been idle does not make up for it at once. */
static void test_idle(void)
{
	struct bucket b;
	struct timespec nap = { 1, 500000000 };
	u64 wait;

	bucket_init(&b, 2000);
	nanosleep(&nap, NULL);
	wait = bucket_take(&b, 4000);
	ok(wait >= 1400000000, "twice the rate takes 1.5 s after a rest: %.2f",
	   (double)wait / 1e9);
	bucket_set(&b, 4000000);
	ok(bucket_take(&b, 1) <= wait + 1000000,
	   "a new rate does not make a debt worse");
	bucket_set(&b, 1000);
	ok(bucket_take(&b, 1) <= wait + 3000000, "a lower one neither");
}

static void *set_later(void *arg)
{
	struct timespec t = { 0, 200000000 };

	nanosleep(&t, NULL);
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static void test_stop(void)
{
	struct bucket b, *list[1] = { &b };
	atomic_bool stop = false;
	pthread_t thread;
	double begin = now();

	bucket_init(&b, 1000);
	pthread_create(&thread, NULL, set_later, &stop);
	is(bucket_wait(list, 1, 100000, &stop), -EINTR, "stop ends the wait");
	ok(now() - begin < 2, "and soon");
	pthread_join(thread, NULL);
}

static void test_limits(void)
{
	struct bucket b, *list[1] = { &b };
	double begin = now();

	bucket_init(&b, 0);
	is(bucket_wait(list, 1, 1ULL << 50, NULL), 0, "no rate, no wait");
	ok(now() - begin < 1, "none at all");
	ok(bucket_take(&b, 5) == 0, "take neither");
	bucket_set(&b, 1000);
	ok(bucket_take(&b, 1000) > 900000000, "a rate that is set holds");
	bucket_set(&b, 1000000);
	ok(bucket_take(&b, 1000) < 900000000, "a rate that is raised also");
	bucket_init(&b, 1);
	ok(bucket_take(&b, UINT64_MAX) > 0, "an absurd debt does not overflow");
}

int main(void)
{
	test_parse();
	test_rate(100000, 2);
	test_rate(20000000, 1);
	test_windows();
	test_idle();
	test_stop();
	test_limits();
	return tap_done();
}
