// SPDX-License-Identifier: GPL-2.0
/*
 * A file by its differences: sums of its blocks, its librsync signature, or a
 * delta against the signature that a client sent. One pass over the file,
 * bounded memory; but a signature from a client is held whole, which is why
 * the requests' bytes are limited (request.c).
 *
 * Long passes can give nothing to send for seconds (a delta of an equal file):
 * ALIVE shows that we live, and finds out if the client does.
 */
#include "answer.h"

#include <errno.h>
#include <fcntl.h>
#include <librsync.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define BLOCKS_READ	(256U << 10)
#define BLOCKS_QUIET	(64U << 20)	/* read this much: show life */
#define SIG_STRONG	16		/* bytes of BLAKE2 of each block */
#define SIG_HEAD	12		/* magic, block length, strong length */
#define SIG_SLOTS	(1U << 18)
#define SIG_CHAIN	256		/* see sig_scan() */

/* A signature from a client */

struct sig_slot {
	u32 strong;			/* a part of the last one seen */
	u32 changes;
};

struct sigload {
	rs_job_t *job;
	struct sig_slot *slots;
	u8 rec[4 + 32];			/* weak and strong sum of a block */
	size_t rec_len;
	size_t rec_at;
	u64 blocks;
	rs_signature_t *sig;
	rs_buffers_t io;
	u8 head[SIG_HEAD];
	size_t fed;
	XXH3_state_t *hash;		/* of all of it */
	bool done;
	bool bad;
};

struct sigload *sigload_new(void)
{
	struct sigload *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->slots = calloc(SIG_SLOTS, sizeof(*s->slots));
	if (!s->slots)
		goto err_free;
	s->hash = XXH3_createState();
	if (!s->hash)
		goto err_free_slots;
	XXH3_128bits_reset(s->hash);
	s->job = rs_loadsig_begin(&s->sig);
	if (!s->job)
		goto err_free_hash;
	return s;

err_free_hash:
	XXH3_freeState(s->hash);
err_free_slots:
	free(s->slots);
err_free:
	free(s);
	return NULL;
}

static u32 sig_be32(const u8 *p)
{
	return (u32)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* librsync takes MD4 and any lengths; a server does not. */
static bool sig_head_ok(const u8 *head)
{
	u32 magic = sig_be32(head);
	u32 block = sig_be32(head + 4);
	u32 strong = sig_be32(head + 8);

	return (magic == RS_RK_BLAKE2_SIG_MAGIC ||
		magic == RS_BLAKE2_SIG_MAGIC) &&
	       block >= BLOCK_MIN && block <= BLOCK_MAX &&
	       strong >= 8 && strong <= 32;
}

/*
 * librsync compares a block with all blocks of its weak sum, when it builds its
 * table and at each byte of the file. A signature with a million blocks of one
 * weak sum and different strong sums, made on purpose, would keep it busy for
 * days in one call. Counted here are changes of the strong sum between blocks
 * whose weak sums fall into one slot: a bound for the distinct ones. Chance
 * brings a few beyond the average; equal blocks, as of zeros, bring none.
 */
static bool sig_scan(struct sigload *s, const u8 *p, size_t len)
{
	struct sig_slot *slot;
	u32 weak, strong;
	size_t n;

	while (len) {
		n = s->rec_len - s->rec_at < len ? s->rec_len - s->rec_at : len;
		memcpy(s->rec + s->rec_at, p, n);
		s->rec_at += n;
		p += n;
		len -= n;
		if (s->rec_at < s->rec_len)
			break;
		s->rec_at = 0;
		s->blocks++;
		weak = sig_be32(s->rec) * 0x9e3779b1U;
		memcpy(&strong, s->rec + 4, sizeof(strong));
		slot = &s->slots[weak / (UINT32_MAX / SIG_SLOTS + 1)];
		if (slot->strong == strong)
			continue;
		slot->strong = strong;
		if (++slot->changes > SIG_CHAIN + 4 * s->blocks / SIG_SLOTS)
			return false;
	}
	return true;
}

static int sigload_iter(struct sigload *s, const void *p, size_t len, bool eof)
{
	rs_result r;

	if (s->bad || (s->done && len))
		return -EINVAL;
	s->io.next_in = (char *)(uintptr_t)p;
	s->io.avail_in = len;
	s->io.eof_in = eof;
	while (!s->done && (s->io.avail_in || eof)) {
		r = rs_job_iter(s->job, &s->io);
		if (r == RS_DONE) {
			s->done = true;
		} else if (r != RS_BLOCKED) {
			s->bad = true;
			return r == RS_MEM_ERROR ? -ENOMEM : -EINVAL;
		} else if (eof) {
			s->bad = true;	/* it ends in the middle */
			return -EINVAL;
		}
	}
	return s->io.avail_in ? -EINVAL : 0;
}

int sigload_feed(struct sigload *s, const void *p, size_t len)
{
	const u8 *at = p;
	size_t n;
	int err;

	XXH3_128bits_update(s->hash, p, len);
	if (s->fed < SIG_HEAD) {
		n = SIG_HEAD - s->fed < len ? SIG_HEAD - s->fed : len;
		memcpy(s->head + s->fed, at, n);
		s->fed += n;
		at += n;
		len -= n;
		if (s->fed < SIG_HEAD)
			return 0;
		if (!sig_head_ok(s->head)) {
			s->bad = true;
			return -EINVAL;
		}
		s->rec_len = 4 + sig_be32(s->head + 8);
		err = sigload_iter(s, s->head, SIG_HEAD, false);
		if (err)
			return err;
	}
	if (!len)
		return 0;
	if (!sig_scan(s, at, len)) {
		s->bad = true;
		return -EINVAL;
	}
	return sigload_iter(s, at, len, false);
}

int sigload_end(struct sigload *s)
{
	int err;

	if (s->fed < SIG_HEAD)
		return -EINVAL;
	err = sigload_iter(s, NULL, 0, true);
	if (!err && !s->done)
		err = -EINVAL;
	rs_job_free(s->job);
	s->job = NULL;
	free(s->slots);
	s->slots = NULL;
	return err;
}

void sigload_hash(const struct sigload *s, u64 hash[2])
{
	XXH128_hash_t h = XXH3_128bits_digest(s->hash);

	hash[0] = h.low64;
	hash[1] = h.high64;
}

void sigload_free(struct sigload *s)
{
	if (!s)
		return;
	if (s->job)
		rs_job_free(s->job);
	if (s->sig)
		rs_free_sumset(s->sig);
	XXH3_freeState(s->hash);
	free(s->slots);
	free(s);
}

/* One pass over a file */

struct blocks {
	struct answer a;
	struct im_fid fid;
	struct hint hint;
	int (*step)(struct blocks *b);	/* as answer.more, of an open file */
	int fd;				/* -1: not open yet */
	u64 pos;
	bool eof;			/* in holds the last of it */
	u64 quiet;			/* pos when something was sent last */
	u32 block;			/* sums: block length */
	u64 sum_left;			/* sums: to the end of the block */
	XXH3_state_t *hash;		/* of the block, or of the file */
	struct im_buf sums;
	rs_job_t *job;			/* sig, delta */
	struct sigload *sig;		/* delta */
	rs_buffers_t io;
	u8 in[BLOCKS_READ];
	u8 outbuf[ANSWER_PIECE];
};

/* Fills in[] behind what the job left there: bytes that are new, or -errno. */
static ssize_t blocks_read(struct blocks *b, size_t have)
{
	ssize_t n;

	do {
		n = pread(b->fd, b->in + have, sizeof(b->in) - have, b->pos);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		n = -errno;
		snprintf(b->a.err, sizeof(b->a.err), "cannot read %llu.%u",
			 (unsigned long long)le64_to_cpu(b->fid.ino),
			 le32_to_cpu(b->fid.gen));
		return n;
	}
	b->pos += n;
	if (!n)
		b->eof = true;
	return n;
}

static void blocks_put_sums(struct blocks *b)
{
	if (!b->sums.len)
		return;
	im_frame_put(&b->a.out, IM_FR_SUMS, b->sums.p, b->sums.len, 0);
	im_buf_reset(&b->sums);
	b->quiet = b->pos;
}

static void blocks_sum_done(struct blocks *b)
{
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, XXH3_128bits_digest(b->hash));
	im_buf_put(&b->sums, &c, sizeof(c));
	XXH3_128bits_reset(b->hash);
	b->sum_left = b->block;
}

static int sums_step(struct blocks *b)
{
	const u8 *p = b->in;
	ssize_t n = blocks_read(b, 0);
	size_t part;

	if (n < 0)
		return n;
	while (n) {
		part = (u64)n < b->sum_left ? (size_t)n : b->sum_left;
		XXH3_128bits_update(b->hash, p, part);
		p += part;
		n -= part;
		b->sum_left -= part;
		if (!b->sum_left)
			blocks_sum_done(b);
	}
	if (b->eof && b->sum_left < b->block)
		blocks_sum_done(b);
	if (b->sums.err)
		return b->sums.err;
	if (b->eof || b->sums.len >= ANSWER_FILL)
		blocks_put_sums(b);
	return !b->eof;
}

/* sig and delta: the job turns the file into frames of type. */
static int job_step(struct blocks *b, unsigned int type)
{
	size_t n;
	ssize_t got;
	rs_result r;

	if (!b->eof && b->io.avail_in < sizeof(b->in) / 2) {
		memmove(b->in, b->io.next_in, b->io.avail_in);
		b->io.next_in = (char *)b->in;
		got = blocks_read(b, b->io.avail_in);
		if (got < 0)
			return got;
		if (type == IM_FR_DELTA)
			XXH3_64bits_update(b->hash, b->in + b->io.avail_in,
					   got);
		b->io.avail_in += got;
		b->io.eof_in = b->eof;
	}
	b->io.next_out = (char *)b->outbuf;
	b->io.avail_out = sizeof(b->outbuf);
	r = rs_job_iter(b->job, &b->io);
	n = sizeof(b->outbuf) - b->io.avail_out;
	if (r != RS_DONE && r != RS_BLOCKED) {
		snprintf(b->a.err, sizeof(b->a.err), "librsync: %s",
			 rs_strerror(r));
		return r == RS_MEM_ERROR ? -ENOMEM : -EIO;
	}
	if (n) {
		if (type == IM_FR_DELTA)
			answer_data(&b->a, type, b->outbuf, n);
		else	/* hashes do not pack */
			im_frame_put(&b->a.out, type, b->outbuf, n, 0);
		b->quiet = b->pos;
	}
	return r != RS_DONE;
}

static int sig_step(struct blocks *b)
{
	return job_step(b, IM_FR_SIG);
}

/* The table is made when it is needed: others may have made the answer. */
static int delta_step(struct blocks *b)
{
	if (!b->job) {
		if (rs_build_hash_table(b->sig->sig) != RS_DONE)
			return -ENOMEM;
		b->job = rs_delta_begin(b->sig->sig);
		if (!b->job)
			return -ENOMEM;
	}
	return job_step(b, IM_FR_DELTA);
}

static int blocks_alive(struct blocks *b)
{
	struct im_ioc_info info;
	__le64 durable;
	int err = kml_info(b->a.f, &info);

	if (err)
		return err;
	durable = cpu_to_le64(info.durable);
	im_frame_put(&b->a.out, IM_FR_ALIVE, &durable, sizeof(durable), 0);
	b->quiet = b->pos;
	return 1;
}

static int blocks_more(struct answer *a)
{
	struct blocks *b = (struct blocks *)a;
	struct stat st;
	int r = 1;

	if (b->fd < 0) {
		b->fd = answer_file(a, &b->fid, &b->hint, 0, 0, UINT64_MAX,
				    &st);
		if (b->fd == -ESTALE) {
			im_frame_put(&a->out, IM_FR_END, NULL, 0, 0);
			a->settle = true;
			return 0;
		}
		if (b->fd < 0)
			return b->fd;
		posix_fadvise(b->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	}
	while (r > 0 && a->out.len < ANSWER_FILL) {
		if (atomic_load(a->stop))
			return -ESHUTDOWN;
		r = b->step(b);
		if (r > 0 && b->pos - b->quiet >= BLOCKS_QUIET) {
			r = blocks_alive(b);
			break;
		}
	}
	if (r)
		return r;
	answer_fileend(a, b->fd, b->sig ? XXH3_64bits_digest(b->hash) : 0);
	im_frame_put(&a->out, IM_FR_END, NULL, 0, 0);
	return 0;
}

static void blocks_free(struct answer *a)
{
	struct blocks *b = (struct blocks *)a;

	if (b->fd >= 0)
		close(b->fd);
	if (b->job)
		rs_job_free(b->job);
	sigload_free(b->sig);
	XXH3_freeState(b->hash);
	im_buf_free(&b->sums);
	free(b);
}

static struct blocks *blocks_new(const struct im_fid *fid,
				 const struct hint *hint)
{
	struct blocks *b = malloc(sizeof(*b));

	if (!b)
		return NULL;
	memset(b, 0, offsetof(struct blocks, in));
	b->hash = XXH3_createState();
	if (!b->hash) {
		free(b);
		return NULL;
	}
	b->fid = *fid;
	b->hint = *hint;
	b->a.fids = &b->fid;
	b->a.fid_count = 1;
	b->fd = -1;
	b->io.next_in = (char *)b->in;
	b->a.more = blocks_more;
	b->a.free = blocks_free;
	return b;
}

struct answer *sums_answer(const struct im_fid *fid, const struct hint *hint,
			   u32 block)
{
	struct blocks *b = blocks_new(fid, hint);

	if (!b)
		return NULL;
	b->step = sums_step;
	b->block = block;
	b->sum_left = block;
	XXH3_128bits_reset(b->hash);
	return &b->a;
}

struct answer *sig_answer(const struct im_fid *fid, const struct hint *hint,
			  u32 block)
{
	struct blocks *b = blocks_new(fid, hint);

	if (!b)
		return NULL;
	b->step = sig_step;
	b->job = rs_sig_begin(block, SIG_STRONG, RS_RK_BLAKE2_SIG_MAGIC);
	if (!b->job) {
		blocks_free(&b->a);
		return NULL;
	}
	return &b->a;
}

struct answer *delta_answer(const struct im_fid *fid, const struct hint *hint,
			    struct sigload *s)
{
	struct blocks *b = blocks_new(fid, hint);

	if (!b)
		return NULL;
	b->step = delta_step;
	b->sig = s;
	XXH3_64bits_reset(b->hash);
	return &b->a;
}
