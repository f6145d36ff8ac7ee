// SPDX-License-Identifier: GPL-2.0
/*
 * Token buckets by debt: a taker always gets its tokens at once and then waits
 * until the bucket is back at zero. So takers are served in the order in which
 * they came, nobody needs a queue, and the rate holds exactly however large
 * the pieces are. A new bucket is empty: no burst at the start.
 *
 * lock protects all members. Nobody sleeps under it.
 */
#include "syncd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET_DEPTH_S		0.2	/* late wake-ups of a busy machine */
#define BUCKET_DEPTH_MIN	16384.0
#define BUCKET_DEPTH_MAX_S	0.5	/* also of a slow one: never twice its rate
					 * within a second */
#define BUCKET_RATE_MAX		1000000000000000ULL	/* bytes/s */
#define BUCKET_NAP_NS		100000000L	/* *stop is looked at so often */

struct bucket bucket_daemon = { .lock = PTHREAD_MUTEX_INITIALIZER };

void bucket_init(struct bucket *b, u64 rate)
{
	memset(b, 0, sizeof(*b));
	pthread_mutex_init(&b->lock, NULL);
	b->rate = rate;
	atomic_init(&b->limited, rate);
	clock_gettime(CLOCK_MONOTONIC, &b->last);
}

/* Tokens for the time since the last call. Lock held. */
static void bucket_refill(struct bucket *b)
{
	struct timespec now;
	double depth = (double)b->rate * BUCKET_DEPTH_S;
	double s;

	clock_gettime(CLOCK_MONOTONIC, &now);
	s = (double)(now.tv_sec - b->last.tv_sec) +
	    (double)(now.tv_nsec - b->last.tv_nsec) / 1e9;
	b->last = now;
	if (depth < BUCKET_DEPTH_MIN)
		depth = BUCKET_DEPTH_MIN;
	if (depth > (double)b->rate * BUCKET_DEPTH_MAX_S)
		depth = (double)b->rate * BUCKET_DEPTH_MAX_S;
	b->tokens += s * (double)b->rate;
	if (b->tokens > depth)
		b->tokens = depth;
}

void bucket_set(struct bucket *b, u64 rate)
{
	pthread_mutex_lock(&b->lock);
	if (b->rate)
		bucket_refill(b);
	/* who waits for his debt waits no longer than before */
	if (!b->rate)
		b->tokens = 0;
	else if (rate < b->rate)
		b->tokens *= (double)rate / (double)b->rate;
	if (rate)
		atomic_store(&b->limited, true);
	clock_gettime(CLOCK_MONOTONIC, &b->last);
	/* who only wants a size for his pieces reads it without the lock */
	__atomic_store_n(&b->rate, rate, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&b->lock);
}

u64 bucket_take(struct bucket *b, u64 n)
{
	double wait = 0;

	pthread_mutex_lock(&b->lock);
	b->total += n;
	if (b->rate) {
		bucket_refill(b);
		b->tokens -= (double)n;
		if (b->tokens < 0)
			wait = -b->tokens / (double)b->rate * 1e9;
	}
	pthread_mutex_unlock(&b->lock);
	return wait < 1e18 ? (u64)wait : (u64)1e18;
}

static s64 bucket_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (s64)t.tv_sec * 1000000000 + t.tv_nsec;
}

int bucket_wait(struct bucket *const *b, int count, u64 n,
		const atomic_bool *stop)
{
	u64 wait = 0, one;
	s64 end, left;
	int i;

	/* The waits run side by side: each bucket's debt is paid by time. */
	for (i = 0; i < count; i++) {
		if (!b[i])
			continue;
		one = bucket_take(b[i], n);
		if (one > wait)
			wait = one;
	}
	if (wait) {
		end = bucket_now() + (s64)wait;
		while ((left = end - bucket_now()) > 0) {
			struct timespec nap = { 0, BUCKET_NAP_NS };

			if (stop && atomic_load(stop))
				break;
			if (left < BUCKET_NAP_NS)
				nap.tv_nsec = left;
			nanosleep(&nap, NULL);
		}
	}
	return stop && atomic_load(stop) ? -EINTR : 0;
}

/* "k" "M" "Gi" "T": the factor, *text behind it. */
static double bucket_factor(const char **text)
{
	static const char units[] = "kmgt";
	const char *p = *text, *unit;
	double base = 1000, factor = 1;
	int power;

	if (!*p)
		return 1;
	unit = strchr(units, *p == 'K' || *p == 'M' || *p == 'G' || *p == 'T' ?
			     *p + 'a' - 'A' : *p);
	if (!unit)
		return 1;
	p++;
	if (*p == 'i') {
		base = 1024;
		p++;
	}
	for (power = (int)(unit - units) + 1; power; power--)
		factor *= base;
	*text = p;
	return factor;
}

int bucket_parse(const char *text, u64 *rate)
{
	const char *p = text;
	double value = 0, place = 0.1;
	bool digits = false;

	if (!strcmp(text, "none")) {
		*rate = 0;
		return 0;
	}
	for (; *p >= '0' && *p <= '9'; p++, digits = true)
		value = value * 10 + (*p - '0');
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9'; p++, digits = true) {
			value += place * (*p - '0');
			place /= 10;
		}
	}
	if (!digits)
		return -EINVAL;
	value *= bucket_factor(&p);
	/* B or bit; a lone b is either to somebody, so it is neither */
	if (!strncmp(p, "bit", 3)) {
		value /= 8;
		p += 3;
	} else if (*p == 'B') {
		p++;
	}
	if (!strcmp(p, "/s"))
		p += 2;
	if (*p || value > (double)BUCKET_RATE_MAX)
		return -EINVAL;
	/* a limit that was asked for must not round to "none" */
	if (value > 0 && value < 1)
		return -EINVAL;
	*rate = (u64)value;
	return 0;
}
