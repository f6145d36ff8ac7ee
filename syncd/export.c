// SPDX-License-Identifier: GPL-2.0
/*
 * What is served of single objects: info, stat, data. A file may change while
 * it is read: what is sent is what was read, the record of the change follows
 * in the log and repairs it (answer.h says when FILEEND may go out).
 */
#include "answer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include "proof.h"

#define HOLE_PIECE	(1ULL << 30)	/* hashing it takes a tenth of a second */
#define HOLE_TRY	(64U << 10)	/* smaller files: no question for holes */
#define PACK_MIN	256		/* bytes; smaller data is not packed */
#define PACK_REST	32		/* frames unpacked after one did not pay */
#define PACK_FILE	(16U << 10)	/* larger ranges are packed by themselves */
#define PACK_MANY	(256U << 10)	/* bytes of small files packed together */
#define OUT_MAX		(1U << 20)	/* small files that settle together */

int export_info(struct fset *f, struct im_wire_info *w)
{
	struct im_ioc_info info;
	struct im_ioc_epoch e;
	int err = kml_info(f, &info);

	if (err)
		return err;
	e.recno = info.durable;
	if (ioctl(f->fd, IM_IOC_EPOCH, &e) < 0)
		return -errno;
	memset(w, 0, sizeof(*w));
	w->epoch = cpu_to_le64(e.epoch);
	w->magic = cpu_to_le32(IM_WIRE_MAGIC);
	w->version = cpu_to_le32(IM_WIRE_VERSION);
	memcpy(w->uuid, info.uuid, sizeof(w->uuid));
	w->incarnation = cpu_to_le64(info.incarnation);
	w->id = cpu_to_le64(info.id);
	w->first = cpu_to_le64(info.first);
	w->durable = cpu_to_le64(info.durable);
	w->root.ino = cpu_to_le64(info.root_ino);
	w->root.gen = cpu_to_le32(info.root_gen);
	return 0;
}

int answer_fid_open(struct answer *a, const struct im_fid *fid,
		    const struct hint *h, int flags)
{
	int fd = fid_open(a->f, fid, &h->dir, h->name, flags);
	int err = 0;

	if (fd != -ESTALE)
		return fd;
	err = proof_record(a->f, h->recno, fid);
	if (err < 0)
		return err;
	if (!err && !proof_fresh(a->proof)) {
		proof_free(a->proof);
		a->proof = proof_new(a->f, a->fids, a->fid_count, a->stop,
				     &err);
		if (!a->proof)
			return err;
	}
	if (!err && !proof_has(a->proof, fid))
		return -ESTALE;
	return fid_open_known(a->f, fid, flags);
}

void answer_free(struct answer *a)
{
	im_buf_free(&a->out);
	proof_free(a->proof);
	a->free(a);
}

void answer_gone(struct answer *a, const struct im_fid *fid)
{
	im_frame_put(&a->out, IM_FR_GONE, fid, sizeof(*fid), 0);
}

/* File data and deltas: packed as long as it pays. */
void answer_data(struct answer *a, unsigned int type, const void *p, size_t len)
{
	size_t before = a->out.len, sent;

	if (a->lean > 0) {
		a->lean--;
		im_frame_put(&a->out, type, p, len, 0);
		return;
	}
	im_frame_put(&a->out, type, p, len, len < PACK_MIN ? 0 : a->level);
	sent = a->out.len - before;
	if (len >= 16 * 1024 && sent > len - len / 16)
		a->lean = PACK_REST;
}

int answer_file(struct answer *a, const struct im_fid *fid,
		const struct hint *hint, u32 index, u64 off, u64 len,
		struct stat *st)
{
	struct im_wire_file w = { 0 };
	u64 size;
	int fd, err;

	fd = answer_fid_open(a, fid, hint, O_RDONLY | O_NOFOLLOW | O_NOATIME);
	if (fd == -ESTALE) {
		answer_gone(a, fid);
		return fd;
	}
	if (fd < 0) {
		snprintf(a->err, sizeof(a->err),
			 fd == -EINVAL ? "%llu.%u is not a regular file" :
					 "cannot open %llu.%u",
			 (unsigned long long)le64_to_cpu(fid->ino),
			 le32_to_cpu(fid->gen));
		return fd;
	}
	if (fstat(fd, st) < 0) {
		err = -errno;
		goto out_close;
	}
	if (!S_ISREG(st->st_mode)) {
		snprintf(a->err, sizeof(a->err),
			 "%llu.%u is not a regular file",
			 (unsigned long long)le64_to_cpu(fid->ino),
			 le32_to_cpu(fid->gen));
		err = -EINVAL;
		goto out_close;
	}
	size = st->st_size;
	if (off > size)
		off = size;
	if (len > size - off)
		len = size - off;
	w.index = cpu_to_le32(index);
	w.mode = cpu_to_le32(st->st_mode);
	w.fid = *fid;
	w.size = cpu_to_le64(size);
	w.mtime = cpu_to_le64(st->st_mtim.tv_sec);
	w.mtime_ns = cpu_to_le32(st->st_mtim.tv_nsec);
	w.off = cpu_to_le64(off);
	w.len = cpu_to_le64(len);
	im_frame_put(&a->out, IM_FR_FILE, &w, sizeof(w), 0);
	return fd;

out_close:
	close(fd);
	return err;
}

void answer_fileend(struct answer *a, int fd, u64 xxh3)
{
	struct im_wire_fileend e = { .xxh3 = cpu_to_le64(xxh3) };
	struct stat st;

	/* open: it cannot fail for want of the file */
	if (!fstat(fd, &st))
		e.size = cpu_to_le64(st.st_size);
	im_frame_put(&a->out, IM_FR_FILEEND, &e, sizeof(e), 0);
	a->settle = true;
}

/* Items of a request, stat or data */

struct items {
	struct answer a;
	struct im_buf body;
	size_t at;			/* next item in body */
	u32 index;			/* of the current item */
	struct im_wire_get get;
	struct hint hint;
	/* data: the current file */
	int fd;				/* -1: none */
	bool small;			/* its range: packed with others */
	size_t packed;			/* a.out up to here is as it goes out */
	unsigned int rest;		/* packs that are not tried */
	bool seek;			/* it may have holes */
	u64 pos;
	u64 end;
	u64 data_end;			/* pos .. data_end is data */
	XXH3_state_t *hash;
	struct im_fid *fids;
	u8 buf[sizeof(__le64) + ANSWER_PIECE];
};

bool export_items_ok(const struct im_buf *body)
{
	struct im_wire_get get;
	const char *name;
	size_t at = 0, count = 0;
	ssize_t n;

	while (at < body->len) {
		n = im_get_get(body->p + at, body->len - at, &get, &name);
		if (n < 0 || ++count > IM_WIRE_GETS)
			return false;
		at += n;
	}
	return count > 0;
}

/* The next item into get and hint; false: that was the last. Checked before. */
static bool items_next(struct items *s)
{
	const char *name;
	ssize_t n;
	u16 len;

	if (s->at >= s->body.len)
		return false;
	s->index = s->at ? s->index + 1 : 0;
	n = im_get_get(s->body.p + s->at, s->body.len - s->at, &s->get, &name);
	if (n <= 0)
		return false;
	len = le16_to_cpu(s->get.name_len);
	memcpy(s->hint.name, name, len);
	s->hint.name[len] = '\0';
	s->hint.dir = s->get.dir;
	s->hint.recno = le64_to_cpu(s->get.recno);
	s->at += n;
	return true;
}

static int stat_one(struct items *s)
{
	struct im_buf obj = { 0 };
	int fd, err;

	fd = answer_fid_open(&s->a, &s->get.fid, &s->hint, O_PATH);
	if (fd == -ESTALE) {
		answer_gone(&s->a, &s->get.fid);
		return 0;
	}
	if (fd < 0)
		return fd;
	err = object_put(&obj, fd, &s->get.fid, NULL);
	close(fd);
	if (!err)
		im_frame_put(&s->a.out, IM_FR_OBJECT, obj.p, obj.len,
			     ANSWER_LEVEL);
	im_buf_free(&obj);
	return err;
}

static int stat_more(struct answer *a)
{
	struct items *s = (struct items *)a;
	int err;

	a->settle = true;
	while (a->out.len < ANSWER_FILL) {
		if (atomic_load(a->stop))
			return -ESHUTDOWN;
		if (!items_next(s)) {
			im_frame_put(&a->out, IM_FR_END, NULL, 0, 0);
			return 0;
		}
		err = stat_one(s);
		if (err)
			return err;
	}
	return 1;
}

/* The range of the item, in a file of that size. */
static void data_range(struct items *s, const struct stat *st)
{
	u64 len = le64_to_cpu(s->get.len);

	s->pos = le64_to_cpu(s->get.off);
	if (s->pos > (u64)st->st_size)
		s->pos = st->st_size;
	s->end = st->st_size;
	if (len < s->end - s->pos)
		s->end = s->pos + len;
	s->seek = (u64)st->st_blocks * 512 < (u64)st->st_size ||
		  s->end - s->pos > HOLE_TRY;
	s->data_end = s->seek ? s->pos : s->end;
}

/* Takes the next item if its answer is a part of this one's. */
static bool data_goes_on(struct items *s)
{
	struct im_wire_get next;
	const char *name;

	return s->at < s->body.len &&
	       im_get_get(s->body.p + s->at, s->body.len - s->at, &next,
			  &name) > 0 &&
	       im_get_goes_on(&s->get, &next) && items_next(s);
}

/* Begins the next item: 1; 0: there is none. */
static int data_open(struct items *s)
{
	struct stat st;
	int fd;

	do {
		if (!items_next(s))
			return 0;
		fd = answer_file(&s->a, &s->get.fid, &s->hint, s->index,
				 le64_to_cpu(s->get.off),
				 le64_to_cpu(s->get.len), &st);
		if (fd < 0 && fd != -ESTALE)
			return fd;
		while (fd < 0 && data_goes_on(s))
			;
	} while (fd < 0 && s->a.out.len < OUT_MAX);
	if (fd < 0)
		return 1;
	s->fd = fd;
	data_range(s, &st);
	XXH3_64bits_reset(s->hash);
	return 1;
}

/* Announces [pos, to) as zeros, or a part of it. */
static void data_hole(struct items *s, u64 to)
{
	static const u8 zero[64 * 1024];
	__le64 h[2];
	u64 len = to - s->pos, n;

	if (len > HOLE_PIECE)
		len = HOLE_PIECE;
	h[0] = cpu_to_le64(s->pos);
	h[1] = cpu_to_le64(len);
	im_frame_put(&s->a.out, IM_FR_HOLE, h, sizeof(h), 0);
	s->pos += len;
	s->data_end = s->pos;		/* what follows is to be asked for */
	for (; len; len -= n) {
		n = len < sizeof(zero) ? len : sizeof(zero);
		XXH3_64bits_update(s->hash, zero, n);
	}
}

/*
 * Where the data from pos on ends, or a hole frame. Where the file cannot tell,
 * all is data.
 */
static int data_seek(struct items *s)
{
	off_t at, hole;

	at = lseek(s->fd, s->pos, SEEK_DATA);
	if (at < 0 && errno == ENXIO) {
		/* nothing but a hole, or it was cut */
		at = lseek(s->fd, 0, SEEK_END);
		if (at < 0)
			return -errno;
		if ((u64)at <= s->pos) {
			s->end = s->pos;
			return 0;
		}
		if ((u64)at > s->end)
			at = s->end;
		data_hole(s, at);
		return 0;
	}
	if (at < 0) {
		s->data_end = s->end;
		return 0;
	}
	if ((u64)at > s->pos) {
		data_hole(s, (u64)at < s->end ? (u64)at : s->end);
		return 0;
	}
	hole = lseek(s->fd, s->pos, SEEK_HOLE);
	s->data_end = hole < 0 || (u64)hole > s->end ? s->end : (u64)hole;
	if (s->data_end <= s->pos)	/* changed between the questions */
		s->data_end = s->end;
	return 0;
}

/* One step of the current file. */
static int data_step(struct items *s)
{
	__le64 off = cpu_to_le64(s->pos);
	size_t want = ANSWER_PIECE;
	ssize_t n;

	if (s->pos == s->data_end)
		return data_seek(s);
	if (want > s->data_end - s->pos)
		want = s->data_end - s->pos;
	do {
		n = pread(s->fd, s->buf + sizeof(off), want, s->pos);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (!n) {
		s->end = s->data_end = s->pos;	/* it was cut */
		return 0;
	}
	memcpy(s->buf, &off, sizeof(off));
	if (s->small)
		im_frame_put(&s->a.out, IM_FR_DATA, s->buf, sizeof(off) + n, 0);
	else
		answer_data(&s->a, IM_FR_DATA, s->buf, sizeof(off) + n);
	XXH3_64bits_update(s->hash, s->buf + sizeof(off), n);
	s->pos += n;
	return 0;
}

/*
 * Small ranges have much in common, their heads above all: what has come
 * together, `least` bytes of it, goes out as one pack. After one that did not
 * pay some are not tried.
 */
static void data_pack(struct items *s, size_t least)
{
	struct im_buf *out = &s->a.out;

	if (out->len - s->packed < least)
		return;
	if (s->rest)
		s->rest--;
	else if (s->a.level && !im_frames_pack(out, s->packed, s->a.level) &&
		 out->len - s->packed >= PACK_MANY)
		s->rest = PACK_REST;
	s->packed = out->len;
}

/* Between two ranges: what is large is no part of a pack. */
static void data_size(struct items *s)
{
	bool small = s->end - s->pos <= PACK_FILE;

	if (s->small)
		data_pack(s, small ? PACK_MANY : PACK_MIN);
	else
		s->packed = s->a.out.len;
	s->small = small;
}

/* Begins a file, or ends the answer: 1, 0. */
static int data_next(struct items *s)
{
	int r = data_open(s);

	if (r < 0)
		return r;
	if (!r)
		im_frame_put(&s->a.out, IM_FR_END, NULL, 0, 0);
	else if (s->fd >= 0)
		data_size(s);
	return r;
}

static int data_fill(struct items *s)
{
	struct answer *a = &s->a;
	size_t fill = ANSWER_FILL;
	struct stat st;
	int r;

	while (a->out.len < fill) {
		if (atomic_load(a->stop))
			return -ESHUTDOWN;
		if (s->fd < 0) {
			r = data_next(s);
			if (r <= 0)
				return r;
			continue;
		}
		if (s->pos < s->end) {
			r = data_step(s);
			if (r) {
				snprintf(a->err, sizeof(a->err),
					 "cannot read %llu.%u at %llu",
					 (unsigned long long)
					 le64_to_cpu(s->get.fid.ino),
					 le32_to_cpu(s->get.fid.gen),
					 (unsigned long long)s->pos);
				return r;
			}
			continue;
		}
		if (data_goes_on(s)) {
			if (fstat(s->fd, &st))
				return -errno;
			data_range(s, &st);
			data_size(s);
			continue;
		}
		answer_fileend(a, s->fd, XXH3_64bits_digest(s->hash));
		close(s->fd);
		s->fd = -1;
		/* waiting for the log is a matter of many files at once */
		fill = OUT_MAX;
	}
	return 1;
}

static int data_more(struct answer *a)
{
	struct items *s = (struct items *)a;
	int r;

	s->packed = 0;		/* out is empty */
	r = data_fill(s);
	if (r >= 0 && s->small)
		data_pack(s, PACK_MIN);
	return r;
}

static void items_free(struct answer *a)
{
	struct items *s = (struct items *)a;

	if (s->fd >= 0)
		close(s->fd);
	XXH3_freeState(s->hash);
	im_buf_free(&s->body);
	free(s->fids);
	free(s);
}

static struct items *items_new(struct im_buf *body)
{
	struct items *s = malloc(sizeof(*s));
	u32 n = 0;

	if (!s)
		return NULL;
	memset(s, 0, offsetof(struct items, buf));
	s->hash = XXH3_createState();
	s->fids = malloc((body->len / sizeof(s->get) + 1) * sizeof(s->fids[0]));
	if (!s->hash || !s->fids)
		goto err_free;
	s->fd = -1;
	s->small = true;
	s->body = *body;
	while (items_next(s))
		s->fids[n++] = s->get.fid;
	s->at = 0;
	s->a.fids = s->fids;
	s->a.fid_count = n;
	memset(body, 0, sizeof(*body));
	s->a.free = items_free;
	return s;

err_free:
	XXH3_freeState(s->hash);
	free(s->fids);
	free(s);
	return NULL;
}

struct answer *stat_answer(struct im_buf *body)
{
	struct items *s = items_new(body);

	if (!s)
		return NULL;
	s->a.more = stat_more;
	return &s->a;
}

struct answer *data_answer(struct im_buf *body)
{
	struct items *s = items_new(body);

	if (!s)
		return NULL;
	s->a.more = data_more;
	return &s->a;
}
