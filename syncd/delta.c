// SPDX-License-Identifier: GPL-2.0
#include "delta.h"

#include <fcntl.h>
#include <librsync.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/ranges.h"

#define DELTA_BUF	(256U << 10)
#define DELTA_STRONG	12		/* bytes of BLAKE2 per block */
#define DELTA_SHIFT_MAX	(256U << 20)	/* see delta_shifted() */

bool delta_wanted(u64 size, u64 basis_size)
{
	return size >= DELTA_MIN && basis_size >= size / 16;
}

static ssize_t delta_pread(int fd, void *buf, size_t len, u64 off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (u8 *)buf + done, len - done,
				  (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += n;
	}
	return (ssize_t)done;
}

int delta_copy_diff(int from, int out, u64 size)
{
	u8 *a = malloc(2 * DELTA_BUF), *b = a + DELTA_BUF;
	u64 off;
	int err = a ? 0 : -ENOMEM;

	for (off = 0; !err && off < size; off += DELTA_BUF) {
		size_t want = size - off < DELTA_BUF ? size - off : DELTA_BUF;
		ssize_t n = delta_pread(from, a, want, off);
		ssize_t m = delta_pread(out, b, want, off);

		if (n != (ssize_t)want || m < 0)
			err = n < 0 ? (int)n : m < 0 ? (int)m : -EIO;
		else if (m != n || memcmp(a, b, n))
			err = fetch_write(out, off, a, n);
	}
	free(a);
	return err;
}

static bool delta_zero(const u8 *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

/* Equal blocks */

struct delta_sums {
	struct delta *d;
	u32 block;
	u8 *buf;
	u64 at;			/* of the next block */
	u64 size;
	u64 out_size;
	u64 wanted;		/* bytes of the blocks that are looked for */
	struct im_ranges differ;
	bool file, done, gone, ended;
};

/* The next block of the server's file has this sum. */
static int delta_block(struct delta_sums *s, const u8 *sum)
{
	struct delta *d = s->d;
	size_t want = s->size - s->at < s->block ? s->size - s->at : s->block;
	XXH128_canonical_t c;
	ssize_t n;

	if (d->only && !im_ranges_hit(d->only, s->at, s->at + want))
		return 0;
	s->wanted += want;
	n = delta_pread(d->basis, s->buf, want, s->at);
	if (n < 0)
		return (int)n;
	XXH128_canonicalFromHash(&c, XXH3_128bits(s->buf, n));
	if (n != (ssize_t)want || memcmp(&c, sum, 16)) {
		im_ranges_add(&s->differ, s->at, s->at + want);
		return 0;
	}
	/* Holes stay holes where nothing was. */
	if (d->same || (s->at >= s->out_size && delta_zero(s->buf, n)))
		return 0;
	return fetch_write(d->out, s->at, s->buf, n);
}

static int delta_sums_frame(void *arg, unsigned int type, const u8 *p,
			    size_t len)
{
	struct delta_sums *s = arg;
	int err = 0;

	switch (type) {
	case IM_FR_ALIVE:
		return 0;
	case IM_FR_GONE:
		s->gone = true;
		return s->file ? -EPROTO : 0;
	case IM_FR_FILE:
		if (s->file || len != sizeof(s->d->file))
			return -EPROTO;
		memcpy(&s->d->file, p, len);
		if (!im_fid_eq(&s->d->file.fid, &s->d->want->fid))
			return -EPROTO;
		s->size = le64_to_cpu(s->d->file.size);
		s->file = true;
		return s->size >> 63 ? -EPROTO : 0;
	case IM_FR_FILEEND:
		s->done = true;
		return 0;
	case IM_FR_END:
		s->ended = true;
		return 0;
	case IM_FR_SUMS:
		break;
	default:
		return -EPROTO;
	}
	if (!s->file || len % 16)
		return -EPROTO;
	for (; !err && len; p += 16, len -= 16, s->at += s->block)
		err = s->at < s->size ? delta_block(s, p) : -EPROTO;
	return err;
}

/* 1: too little is equal */
static int delta_blocks(struct delta *d)
{
	struct delta_sums s = { .d = d };
	struct stat st;
	u64 hint = d->want->len;	/* the size, as far as it is known */
	int err;

	s.block = hint != FETCH_ALL && hint > (64U << 20) ? 16384 : 4096;
	if (fstat(d->out, &st))
		return -errno;
	s.out_size = st.st_size;
	s.buf = malloc(s.block);
	if (!s.buf)
		return -ENOMEM;
	im_ranges_init(&s.differ, IM_RANGES_MAX);
	err = fetch_sums(d->h, d->inc, d->want, s.block, delta_sums_frame, &s);
	if (!err && s.gone)
		err = -ENXIO;
	if (!err && !s.ended)
		err = -ENOLINK;
	/* Shorter than it was at first: what is missing does not match. */
	if (!err && s.at < s.size) {
		im_ranges_add(&s.differ, s.at, s.size);
		s.wanted += s.size - s.at;
	}
	if (!err && !d->only && im_ranges_bytes(&s.differ) > s.wanted / 2)
		err = 1;
	if (!err)
		err = fetch_ranges(d->h, d->inc, d->want, &s.differ, d->out,
				   &d->received, NULL);
	if (!err && ftruncate(d->out, (off_t)s.size))
		err = -errno;
	im_ranges_free(&s.differ);
	free(s.buf);
	return err;
}

/* What has moved */

/*
 * A file that was written anew has few places that are new, more often than
 * not. With n of them and blocks of c times the root of the size s, signature
 * and blocks that are sent are (16 / c + n * c) times the root of s bytes: for
 * 1 to 10 places 3 is right. Below that librsync's own choice is better: the
 * root itself, and no less than 256.
 */
static size_t delta_block_len(u64 size, size_t root)
{
	return size < DELTA_MIN ? root : 3 * root;
}

int delta_signature(int fd, u64 size, struct im_buf *sig)
{
	rs_magic_number magic = RS_BLAKE2_SIG_MAGIC;
	size_t block = 0, strong = 0;
	rs_buffers_t b = { 0 };
	rs_result rc;
	rs_job_t *job;
	u8 *in, *out;
	u64 off = 0;
	int err = 0;

	if (rs_sig_args((rs_long_t)size, &magic, &block, &strong) != RS_DONE)
		return -EINVAL;
	in = malloc(2 * DELTA_BUF);
	if (!in)
		return -ENOMEM;
	out = in + DELTA_BUF;
	job = rs_sig_begin(delta_block_len(size, block), DELTA_STRONG, magic);
	do {
		if (!b.avail_in && !b.eof_in) {
			ssize_t n = delta_pread(fd, in, DELTA_BUF, off);

			if (n < 0) {
				err = (int)n;
				break;
			}
			off += n;
			b.next_in = (char *)in;
			b.avail_in = n;
			b.eof_in = n < (ssize_t)DELTA_BUF;
		}
		b.next_out = (char *)out;
		b.avail_out = DELTA_BUF;
		rc = rs_job_iter(job, &b);
		im_buf_put(sig, out, DELTA_BUF - b.avail_out);
		if (rc != RS_DONE && rc != RS_BLOCKED)
			err = -EIO;
		else
			err = sig->err;
	} while (!err && rc == RS_BLOCKED);
	rs_job_free(job);
	free(in);
	return err;
}

struct delta_patch {
	rs_job_t *job;
	int basis, out;
	u64 at, limit;
	XXH3_state_t *hash;
	u8 *buf;
	bool done;
};

static rs_result delta_patch_basis(void *arg, rs_long_t pos, size_t *len,
				   void **buf)
{
	struct delta_patch *p = arg;
	ssize_t n;

	if (pos < 0)
		return RS_CORRUPT;
	n = delta_pread(p->basis, *buf, *len, pos);
	if (n <= 0)
		return n ? RS_IO_ERROR : RS_CORRUPT;
	*len = n;
	return RS_DONE;
}

struct delta_patch *delta_patch_new(int basis, int out, u64 limit)
{
	struct delta_patch *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->basis = basis;
	p->out = out;
	p->limit = limit;
	p->buf = malloc(DELTA_BUF);
	p->hash = XXH3_createState();
	p->job = rs_patch_begin(delta_patch_basis, p);
	if (!p->buf || !p->hash || !p->job) {
		delta_patch_free(p);
		return NULL;
	}
	XXH3_64bits_reset(p->hash);
	return p;
}

static int delta_patch_run(struct delta_patch *p, rs_buffers_t *b)
{
	while (!p->done) {
		size_t in = b->avail_in, n;
		rs_result rc;
		int err;

		b->next_out = (char *)p->buf;
		b->avail_out = DELTA_BUF;
		rc = rs_job_iter(p->job, b);
		n = DELTA_BUF - b->avail_out;
		if (n > p->limit - p->at)
			return -EBADMSG;
		XXH3_64bits_update(p->hash, p->buf, n);
		err = n ? fetch_write(p->out, p->at, p->buf, n) : 0;
		if (err)
			return err;
		p->at += n;
		if (rc == RS_DONE)
			p->done = true;
		else if (rc != RS_BLOCKED)
			return rc == RS_IO_ERROR ? -EIO : -EBADMSG;
		else if (!n && in == b->avail_in)
			return b->eof_in ? -EBADMSG : 0;
	}
	return 0;
}

int delta_patch_feed(struct delta_patch *p, const u8 *data, size_t len)
{
	rs_buffers_t b = { .next_in = (char *)data, .avail_in = len };
	int err = delta_patch_run(p, &b);

	/* librsync keeps what it could not use yet */
	return !err && b.avail_in ? -EBADMSG : err;
}

int delta_patch_end(struct delta_patch *p, u64 *size, u64 *xxh3)
{
	rs_buffers_t b = { .eof_in = 1 };
	int err = delta_patch_run(p, &b);

	*size = p->at;
	*xxh3 = XXH3_64bits_digest(p->hash);
	return err ? err : p->done ? 0 : -EBADMSG;
}

void delta_patch_free(struct delta_patch *p)
{
	if (!p)
		return;
	if (p->job)
		rs_job_free(p->job);
	XXH3_freeState(p->hash);
	free(p->buf);
	free(p);
}

struct delta_moved {
	struct delta *d;
	struct delta_patch *patch;
	int out;
	u64 size;
	bool gone, ended, bad;
};

static int delta_moved_frame(void *arg, unsigned int type, const u8 *p,
			     size_t len)
{
	struct delta_moved *m = arg;
	struct im_wire_fileend e;
	u64 size, xxh3;
	int err;

	switch (type) {
	case IM_FR_ALIVE:
		return 0;
	case IM_FR_GONE:
		m->gone = true;
		return 0;
	case IM_FR_END:
		m->ended = true;
		return 0;
	case IM_FR_FILE:
		if (m->patch || len != sizeof(m->d->file))
			return -EPROTO;
		memcpy(&m->d->file, p, len);
		/* It may grow while it is read; not without end. */
		size = le64_to_cpu(m->d->file.size);
		m->patch = delta_patch_new(m->d->basis, m->out,
					   size + (size >> 2) + (1 << 20));
		return m->patch ? 0 : -ENOMEM;
	case IM_FR_DELTA:
		if (!m->patch)
			return -EPROTO;
		m->d->received += len;
		err = delta_patch_feed(m->patch, p, len);
		break;
	case IM_FR_FILEEND:
		if (!m->patch || len != sizeof(e))
			return -EPROTO;
		memcpy(&e, p, sizeof(e));
		err = delta_patch_end(m->patch, &size, &xxh3);
		m->size = size;
		if (!err && xxh3 != le64_to_cpu(e.xxh3))
			err = -EBADMSG;
		break;
	default:
		return -EPROTO;
	}
	/* A wrong delta is no reason to stop: the whole file still comes. */
	if (err == -EBADMSG) {
		m->bad = true;
		return 0;
	}
	return err;
}

static int delta_moved(struct delta *d)
{
	struct delta_moved m = { .d = d, .out = d->out };
	struct im_buf sig = { 0 };
	struct stat st;
	char what[1024];
	bool history = false;
	int err;

	if (fstat(d->basis, &st))
		return -errno;
	if (d->same) {
		m.out = openat(d->tmpdir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC,
			       0600);
		if (m.out < 0)
			return 1;
	}
	err = delta_signature(d->basis, st.st_size, &sig);
	if (!err && sig.len > IM_WIRE_SIG_MAX)
		err = 1;
	if (!err) {
		fetch_query(what, sizeof(what), "delta", d->inc, d->want, 0);
		history = fetch_history(what, sizeof(what), d->h, d->want);
		err = http_frames(d->h, what, sig.p, sig.len,
				  delta_moved_frame, &m);
	}
	if (history && err == -ESTALE)
		err = 1;
	else if (!err && m.gone)
		err = -ENXIO;
	else if (!err && !m.ended)
		err = -ENOLINK;
	else if (!err && (m.bad || !m.patch))
		err = 1;
	if (!err && d->same)
		err = delta_copy_diff(m.out, d->out, m.size);
	if (!err && ftruncate(d->out, (off_t)m.size))
		err = -errno;
	delta_patch_free(m.patch);
	if (d->same)
		close(m.out);
	im_buf_free(&sig);
	return err;
}

/*
 * Something was put in or left out, so behind that no block is equal at its
 * place, and librsync finds those before it as well. Its price is time on both
 * sides, so large files try what is cheap first.
 */
static bool delta_shifted(const struct delta *d)
{
	u64 size = d->want->len;
	struct stat st;

	return !d->only && size <= DELTA_SHIFT_MAX && !fstat(d->basis, &st) &&
	       (u64)st.st_size != size;
}

int delta_fetch(struct delta *d)
{
	int err = delta_shifted(d) ? 1 : delta_blocks(d);

	return err == 1 ? delta_moved(d) : err;
}
