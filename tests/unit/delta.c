// SPDX-License-Identifier: GPL-2.0
/*
 * Differences: old and new files of odd lengths, patched in pieces of odd
 * sizes; deltas that are cut, flipped or too long are refused and end.
 *
 * links: syncd/delta.c syncd/fetch.c syncd/http.c syncd/address.c syncd/ssh.c syncd/bucket.c syncd/pin.c syncd/identity.c syncd/durable.c
 */
#include "syncd/delta.h"

#include <librsync.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "tap.h"

struct syncd_conf conf;

void logmsg(int prio, const char *fmt, ...)
{
}

static int temporary(const u8 *p, size_t len)
{
	char path[] = "/tmp/im-delta-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || unlink(path) ||
	    (len && write(fd, p, len) != (ssize_t)len)) {
		perror(path);
		exit(1);
	}
	return fd;
}

/* What the server does: a delta of `new` against the signature. */
static void make_delta(struct im_buf *sig, const u8 *new, size_t len,
		       struct im_buf *delta)
{
	rs_signature_t *sums = NULL;
	rs_job_t *job = rs_loadsig_begin(&sums);
	rs_buffers_t b = { .next_in = (char *)sig->p, .avail_in = sig->len,
			   .eof_in = 1 };
	char out[1000];
	rs_result rc;

	if (rs_job_iter(job, &b) != RS_DONE)
		exit(1);
	rs_job_free(job);
	rs_build_hash_table(sums);
	job = rs_delta_begin(sums);
	b = (rs_buffers_t){ .next_in = (char *)new, .avail_in = len,
			    .eof_in = 1 };
	do {
		b.next_out = out;
		b.avail_out = sizeof(out);
		rc = rs_job_iter(job, &b);
		im_buf_put(delta, out, sizeof(out) - b.avail_out);
	} while (rc == RS_BLOCKED);
	if (rc != RS_DONE)
		exit(1);
	rs_job_free(job);
	rs_free_sumset(sums);
}

static int patch(int basis, int out, const struct im_buf *delta, size_t step,
		 u64 limit, u64 *size, u64 *hash)
{
	struct delta_patch *p = delta_patch_new(basis, out, limit);
	size_t at;
	int err = 0;

	for (at = 0; !err && at < delta->len; at += step) {
		size_t n = delta->len - at < step ? delta->len - at : step;
		u8 *piece = malloc(n);	/* so that ASan sees its end */

		memcpy(piece, delta->p + at, n);
		err = delta_patch_feed(p, piece, n);
		free(piece);
	}
	*size = *hash = 0;
	if (!err)
		err = delta_patch_end(p, size, hash);
	delta_patch_free(p);
	return err;
}

static bool holds(int fd, const u8 *p, size_t len)
{
	u8 *got = malloc(len + 1);
	bool same = pread(fd, got, len + 1, 0) == (ssize_t)len &&
		    !memcmp(got, p, len);

	free(got);
	return same;
}

static void fill(u8 *p, size_t n)
{
	while (n--)
		*p++ = (u8)rnd();
}

static const size_t steps[] = { 1, 2, 3, 7, 15, 100, 4096, 100000, 1 << 20 };

static void round_trips(void)
{
	static u8 old[300000], new[310000];
	static const size_t lens[] = { 0, 1, 15, 2047, 2048, 70001, 300000 };
	unsigned int i, k, s, bad = 0, count = 0;

	rnd_seed(1);
	for (i = 0; i < 7; i++) {
		fill(old, lens[i]);
		for (k = 0; k < 5; k++) {
			struct im_buf sig = { 0 }, delta = { 0 };
			size_t n = lens[i], at = n ? rnd_below(n) : 0;
			int basis = temporary(old, lens[i]);

			memcpy(new, old, n);
			switch (k) {
			case 1:		/* inserted */
				memmove(new + at + 100, new + at, n - at);
				fill(new + at, 100);
				n += 100;
				break;
			case 2:		/* cut out */
				memmove(new + at / 2, new + at, n - at);
				n -= at - at / 2;
				break;
			case 3:		/* two halves changed places */
				memcpy(new, old + at, n - at);
				memcpy(new + n - at, old, at);
				break;
			case 4:		/* nothing in common */
				n = 1 + rnd_below(5000);
				fill(new, n);
				break;
			}
			if (delta_signature(basis, lens[i], &sig))
				exit(1);
			make_delta(&sig, new, n, &delta);
			for (s = 0; s < sizeof(steps) / sizeof(*steps); s++) {
				int out = temporary(NULL, 0);
				u64 size, hash;

				if (steps[s] < 100 && delta.len > 50000)
					goto next;
				count++;
				if (patch(basis, out, &delta, steps[s],
					  sizeof(new), &size, &hash) ||
				    size != n || !holds(out, new, n) ||
				    hash != XXH3_64bits(new, n))
					bad++;
next:
				close(out);
			}
			if (k && k < 4 && lens[i] > 100000 &&
			    delta.len > lens[i] / 10) {
				diag("a delta of %zu bytes", delta.len);
				bad++;
			}
			close(basis);
			im_buf_free(&sig);
			im_buf_free(&delta);
		}
	}
	ok(!bad, "%u patches come out right, and are small", count);
}

/* What an editor does to a large file costs both ways together. */
static void price(void)
{
	static u8 old[6 << 20], new[sizeof(old) + 20];
	struct im_buf sig = { 0 }, delta = { 0 };
	int basis;

	rnd_seed(4);
	fill(old, sizeof(old));
	memcpy(new, old, 3 << 20);
	fill(new + (3 << 20), 20);
	memcpy(new + (3 << 20) + 20, old + (3 << 20), 3 << 20);
	basis = temporary(old, sizeof(old));
	if (delta_signature(basis, sizeof(old), &sig))
		exit(1);
	make_delta(&sig, new, sizeof(new), &delta);
	ok(sig.len + delta.len < 24000,
	   "20 bytes put into 6 MiB cost %zu bytes up, %zu down", sig.len,
	   delta.len);
	close(basis);
	im_buf_free(&sig);
	im_buf_free(&delta);
}

static void hostile(void)
{
	static u8 old[50000];
	struct im_buf sig = { 0 }, delta = { 0 };
	unsigned int i, wrong = 0;
	u64 size, hash, want;
	int basis, out;

	rnd_seed(2);
	fill(old, sizeof(old));
	basis = temporary(old, sizeof(old));
	out = temporary(NULL, 0);
	old[20000] ^= 1;
	if (delta_signature(basis, sizeof(old), &sig))
		exit(1);
	make_delta(&sig, old, sizeof(old), &delta);
	want = XXH3_64bits(old, sizeof(old));

	is(patch(basis, out, &delta, 100, 49999, &size, &hash), -EBADMSG,
	   "more than there may be is refused");
	for (i = 0; i < delta.len; i += 37) {
		struct im_buf cut = { .p = delta.p, .len = i };

		wrong += !patch(basis, out, &cut, 100, 60000, &size, &hash);
	}
	is(wrong, 0, "no delta that is cut short passes");
	for (i = wrong = 0; i < 3000; i++) {
		size_t at = rnd_below(delta.len < 64 ? delta.len : 64);
		u8 was = delta.p[at];

		delta.p[at] ^= (u8)(1 << rnd_below(8));
		if (!patch(basis, out, &delta, 1000, 1 << 20, &size, &hash) &&
		    hash == want && !holds(out, old, sizeof(old)) && size == sizeof(old))
			wrong++;
		delta.p[at] = was;
	}
	is(wrong, 0, "flipped bits end, and the sum tells");
	close(basis);
	close(out);
	im_buf_free(&sig);
	im_buf_free(&delta);
}

static void copies(void)
{
	static u8 a[600000], b[600000];
	int from, to;

	rnd_seed(3);
	fill(a, sizeof(a));
	memcpy(b, a, sizeof(b));
	fill(b + 300000, 10);
	from = temporary(a, sizeof(a));
	to = temporary(b, sizeof(b));
	ok(!delta_copy_diff(from, to, sizeof(a)) && holds(to, a, sizeof(a)),
	   "what differs is copied");
	close(to);
	to = temporary(b, 1000);
	ok(!delta_copy_diff(from, to, sizeof(a)) && holds(to, a, sizeof(a)),
	   "also what was not there");
	close(to);
	close(from);
	ok(delta_wanted(100 << 20, 90 << 20) && !delta_wanted(100 << 20, 1 << 20) &&
	   !delta_wanted(1000, 1000), "when to try");
}

int main(void)
{
	rs_trace_set_level(RS_LOG_EMERG);	/* it says why on stderr */
	round_trips();
	price();
	hostile();
	copies();
	return tap_done();
}
