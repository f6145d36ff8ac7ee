// SPDX-License-Identifier: GPL-2.0
#include "fetch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/want.h"

#define FETCH_ITEMS	2048		/* ranges in one request */
#define FETCH_OFF_MAX	((~(u64)0) >> 1)

struct fetch {
	const struct fetch_want *v;
	unsigned int n, i;
	const struct fetch_sink *sink;
	void *arg;
	bool in_file, ended;
	u64 at, end;			/* what may still come of this range */
	XXH3_state_t *hash;
	u64 bytes;
};

static void fetch_body(struct im_buf *b, const struct fetch_want *v,
		       unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct im_wire_get g = {
			.fid = v[i].fid,
			.dir = v[i].dir,
			.recno = cpu_to_le64(v[i].recno),
			.off = cpu_to_le64(v[i].off),
			.len = cpu_to_le64(v[i].len),
			.name_len = cpu_to_le16(v[i].name ?
						strlen(v[i].name) : 0),
		};

		im_get_put(b, &g, v[i].name);
	}
}

static int fetch_file(struct fetch *f, const u8 *p, size_t len)
{
	struct im_wire_file w;
	u64 size, off, n;

	if (f->in_file || f->ended || f->i >= f->n || len != sizeof(w))
		return -EPROTO;
	memcpy(&w, p, sizeof(w));
	size = le64_to_cpu(w.size);
	off = le64_to_cpu(w.off);
	n = le64_to_cpu(w.len);
	if (le32_to_cpu(w.index) != f->i || !im_fid_eq(&w.fid, &f->v[f->i].fid) ||
	    size > FETCH_OFF_MAX || off > size || n > size - off ||
	    (n && off < f->v[f->i].off) ||
	    (n && f->v[f->i].len != FETCH_ALL &&
	     off + n > f->v[f->i].off + f->v[f->i].len))
		return -EPROTO;
	f->in_file = true;
	f->at = off;
	f->end = off + n;
	XXH3_64bits_reset(f->hash);
	return f->sink->file(f->arg, f->i, &w);
}

/* im_get_goes_on() */
static bool fetch_goes_on(const struct fetch *f)
{
	const struct fetch_want *w = &f->v[f->i], *next = w + 1;

	return f->i + 1 < f->n && im_fid_eq(&w->fid, &next->fid) &&
	       w->recno == next->recno && !w->name && !next->name &&
	       w->len != FETCH_ALL && next->off >= w->off + w->len;
}

/* Goes on to the range of this file that [off, off + n) lies in. */
static int fetch_place(struct fetch *f, u64 off, u64 n)
{
	while (off < f->at || off > f->end || n > f->end - off) {
		if (!fetch_goes_on(f))
			return -EPROTO;
		f->i++;
		f->at = f->v[f->i].off;
		f->end = f->v[f->i].len == FETCH_ALL ? FETCH_OFF_MAX :
			 f->at + f->v[f->i].len;
	}
	return 0;
}

static int fetch_bytes(struct fetch *f, const u8 *p, size_t len)
{
	__le64 v;
	u64 off;

	if (!f->in_file || len <= 8)
		return -EPROTO;
	memcpy(&v, p, 8);
	off = le64_to_cpu(v);
	if (fetch_place(f, off, len - 8))
		return -EPROTO;
	XXH3_64bits_update(f->hash, p + 8, len - 8);
	f->at = off + len - 8;
	f->bytes += len - 8;
	return f->sink->data(f->arg, off, p + 8, len - 8);
}

static void fetch_hash_zero(XXH3_state_t *hash, u64 n)
{
	static const u8 zero[65536];

	while (n) {
		size_t k = n < sizeof(zero) ? n : sizeof(zero);

		XXH3_64bits_update(hash, zero, k);
		n -= k;
	}
}

static int fetch_hole(struct fetch *f, const u8 *p, size_t len)
{
	__le64 v[2];
	u64 off, n;

	if (!f->in_file || len != sizeof(v))
		return -EPROTO;
	memcpy(v, p, sizeof(v));
	off = le64_to_cpu(v[0]);
	n = le64_to_cpu(v[1]);
	if (!n || fetch_place(f, off, n))
		return -EPROTO;
	fetch_hash_zero(f->hash, n);
	f->at = off + n;
	return f->sink->hole(f->arg, off, n);
}

static int fetch_fileend(struct fetch *f, const u8 *p, size_t len)
{
	struct im_wire_fileend e;

	if (!f->in_file || len != sizeof(e))
		return -EPROTO;
	memcpy(&e, p, sizeof(e));
	if (XXH3_64bits_digest(f->hash) != le64_to_cpu(e.xxh3))
		return -EBADMSG;
	f->in_file = false;
	while (fetch_goes_on(f))
		f->i++;
	f->i++;
	return f->sink->end(f->arg, &e);
}

static int fetch_gone(struct fetch *f, const u8 *p, size_t len)
{
	struct im_fid fid;
	unsigned int i;

	if (f->in_file || f->ended || f->i >= f->n || len != sizeof(fid))
		return -EPROTO;
	memcpy(&fid, p, sizeof(fid));
	if (!im_fid_eq(&fid, &f->v[f->i].fid))
		return -EPROTO;
	i = f->i;
	while (fetch_goes_on(f))
		f->i++;
	f->i++;
	return f->sink->gone(f->arg, i);
}

int fetch_frame(struct fetch *f, unsigned int type, const u8 *p, size_t len)
{
	switch (type) {
	case IM_FR_FILE:
		return fetch_file(f, p, len);
	case IM_FR_DATA:
		return fetch_bytes(f, p, len);
	case IM_FR_HOLE:
		return fetch_hole(f, p, len);
	case IM_FR_FILEEND:
		return fetch_fileend(f, p, len);
	case IM_FR_GONE:
		return fetch_gone(f, p, len);
	case IM_FR_ALIVE:
		return 0;
	case IM_FR_END:
		if (f->in_file || f->i != f->n || f->ended)
			return -EPROTO;
		f->ended = true;
		return 0;
	}
	return -EPROTO;
}

struct fetch *fetch_begin(const struct fetch_want *v, unsigned int n,
			  const struct fetch_sink *sink, void *arg)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->v = v;
	f->n = n;
	f->sink = sink;
	f->arg = arg;
	f->hash = XXH3_createState();
	if (f->hash)
		return f;
	free(f);
	return NULL;
}

bool fetch_ended(const struct fetch *f)
{
	return f->ended;
}

void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	XXH3_freeState(f->hash);
	free(f);
}

static int fetch_http_frame(void *arg, unsigned int type, const u8 *p,
			    size_t len)
{
	return fetch_frame(arg, type, p, len);
}

/*
 * The same data for the same records is asked for with the same URL by all, so
 * that a cache can give it. 1: it cannot be asked for so.
 */
static int fetch_piece(struct http *h, u64 inc, const struct im_buf *items,
		       struct fetch *f)
{
	struct http_shared s = { .inc = inc, .epoch = http_epoch(h) };
	char what[IM_WIRE_WANT_MAX + 160];
	struct im_buf text = { 0 };
	unsigned int i;
	int err = 1;

	for (i = 0; s.epoch && i < f->n; i++) {
		if (!f->v[i].news)
			return 1;
		if (f->v[i].recno > s.seen)
			s.seen = f->v[i].recno;
	}
	if (s.epoch && im_want_text(items, &text)) {
		s.asked = (char *)text.p;
		snprintf(what, sizeof(what), "piece?inc=%" PRIu64 "&seen=%"
			 PRIu64 "&epoch=%" PRIu64 "&want=%s", inc, s.seen,
			 s.epoch, s.asked);
		err = http_shared(h, what, &s, fetch_http_frame, f);
	}
	im_buf_free(&text);
	return err == -ESTALE || err == -ENOENT ? 1 : err;
}

int fetch_data(struct http *h, u64 inc, const struct fetch_want *v,
	       unsigned int n, const struct fetch_sink *sink, void *arg)
{
	struct im_buf body = { 0 };
	struct fetch *f;
	char what[64];
	int err;

	if (!n)
		return 0;
	f = fetch_begin(v, n, sink, arg);
	fetch_body(&body, v, n);
	err = f ? body.err : -ENOMEM;
	if (!err)
		err = fetch_piece(h, inc, &body, f);
	if (err == 1) {
		snprintf(what, sizeof(what), "data?inc=%" PRIu64, inc);
		err = http_frames(h, what, body.p, body.len, fetch_http_frame,
				  f);
	}
	if (!err && !fetch_ended(f))
		err = -ENOLINK;
	im_buf_free(&body);
	fetch_free(f);
	return err;
}

bool fetch_history(char *query, size_t room, const struct http *h,
		   const struct fetch_want *w)
{
	size_t n = strlen(query);
	u64 epoch = http_epoch(h);

	if (!epoch || !w->news)
		return false;
	snprintf(query + n, room - n, "&seen=%" PRIu64 "&epoch=%" PRIu64,
		 w->recno, epoch);
	return true;
}

int fetch_sums(struct http *h, u64 inc, const struct fetch_want *w, u32 block,
	       http_frame_fn fn, void *arg)
{
	char what[1024], asked[80];
	const struct http_shared s = {
		.inc = inc, .seen = w->recno, .epoch = http_epoch(h),
		.asked = asked,
	};
	size_t n;
	int err = 1;

	fetch_query(what, sizeof(what), "sums", inc, w, block);
	n = strlen(what);
	snprintf(asked, sizeof(asked), "%" PRIu64 ".%u.%" PRIu64 ".%u",
		 le64_to_cpu(w->fid.ino), le32_to_cpu(w->fid.gen), w->recno,
		 block);
	if (fetch_history(what, sizeof(what), h, w))
		err = http_shared(h, what, &s, fn, arg);
	if (err == 1 || err == -ESTALE || err == -ENOENT) {
		what[n] = '\0';
		err = http_frames(h, what, NULL, 0, fn, arg);
	}
	return err;
}

struct fetch_stats {
	const struct fetch_want *v;
	unsigned int n, i;
	bool ended;
	int (*fn)(void *arg, unsigned int i, const struct im_obj *obj);
	void *arg;
};

static int fetch_stat_frame(void *arg, unsigned int type, const u8 *p,
			    size_t len)
{
	struct fetch_stats *s = arg;
	struct im_obj obj;
	struct im_fid fid;

	if (type == IM_FR_ALIVE)
		return 0;
	if (type == IM_FR_END) {
		s->ended = s->i == s->n;
		return s->ended ? 0 : -EPROTO;
	}
	if (s->ended || s->i >= s->n)
		return -EPROTO;
	if (type == IM_FR_GONE) {
		if (len != sizeof(fid))
			return -EPROTO;
		memcpy(&fid, p, sizeof(fid));
		if (!im_fid_eq(&fid, &s->v[s->i].fid))
			return -EPROTO;
		return s->fn(s->arg, s->i++, NULL);
	}
	if (type != IM_FR_OBJECT || im_obj_get(p, len, false, &obj) != (ssize_t)len ||
	    !im_fid_eq(&obj.o->fid, &s->v[s->i].fid))
		return -EPROTO;
	return s->fn(s->arg, s->i++, &obj);
}

int fetch_stat(struct http *h, u64 inc, const struct fetch_want *v,
	       unsigned int n,
	       int (*fn)(void *arg, unsigned int i, const struct im_obj *obj),
	       void *arg)
{
	struct fetch_stats s = { .v = v, .n = n, .fn = fn, .arg = arg };
	struct im_buf body = { 0 };
	char what[64];
	int err;

	if (!n)
		return 0;
	fetch_body(&body, v, n);
	err = body.err;
	if (!err) {
		snprintf(what, sizeof(what), "stat?inc=%" PRIu64, inc);
		err = http_frames(h, what, body.p, body.len, fetch_stat_frame,
				  &s);
	}
	if (!err && !s.ended)
		err = -ENOLINK;
	im_buf_free(&body);
	return err;
}

void fetch_query(char *buf, size_t room, const char *verb, u64 inc,
		 const struct fetch_want *w, u32 block)
{
	const char *p;
	size_t n;

	n = snprintf(buf, room, "%s?inc=%" PRIu64 "&fid=%" PRIu64 ".%u", verb,
		     inc, le64_to_cpu(w->fid.ino), le32_to_cpu(w->fid.gen));
	if (block)
		n += snprintf(buf + n, room - n, "&block=%u", block);
	if (w->recno)
		n += snprintf(buf + n, room - n, "&recno=%" PRIu64, w->recno);
	if (!w->name || n + 64 + 2 * strlen(w->name) >= room)
		return;
	n += snprintf(buf + n, room - n, "&dir=%" PRIu64 ".%u&name=",
		      le64_to_cpu(w->dir.ino), le32_to_cpu(w->dir.gen));
	for (p = w->name; *p; p++)
		n += snprintf(buf + n, room - n, "%02x", (u8)*p);
}

/* In memory */

struct fetch_load *fetch_load_new(void)
{
	struct fetch_load *l = calloc(1, sizeof(*l));

	if (l)
		l->last = &l->first;
	return l;
}

void fetch_load_free(struct fetch_load *l)
{
	struct fetch_piece *p, *next;

	if (!l)
		return;
	for (p = l->first; p; p = next) {
		next = p->next;
		free(p);
	}
	free(l->obj);
	free(l);
}

int fetch_load_add(struct fetch_load *l, u64 off, u64 len, const u8 *data)
{
	struct fetch_piece *p = malloc(sizeof(*p) + (data ? len : 0));

	if (!p)
		return -ENOMEM;
	p->next = NULL;
	p->off = off;
	p->len = len;
	p->hole = !data;
	if (data)
		memcpy(p->data, data, len);
	*l->last = p;
	l->last = &p->next;
	return 0;
}

static int fetch_pwrite(int fd, u64 off, const u8 *data, u64 len)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		data += n;
		off += n;
		len -= n;
	}
	return 0;
}

/* A hole where holes cannot be punched. What is zero already is left alone. */
static int fetch_zero(int fd, u64 off, u64 len)
{
	static const u8 zero[65536];
	u8 buf[sizeof(zero)];
	int err;

	while (len) {
		size_t k = len < sizeof(zero) ? len : sizeof(zero);
		ssize_t n = pread(fd, buf, k, (off_t)off);

		if (n <= 0)
			return n ? -errno : 0;	/* the end: sparse anyway */
		if (memcmp(buf, zero, n)) {
			err = fetch_pwrite(fd, off, zero, n);
			if (err)
				return err;
		}
		off += n;
		len -= n;
	}
	return 0;
}

int fetch_write(int fd, u64 off, const u8 *data, u64 len)
{
	if (data)
		return fetch_pwrite(fd, off, data, len);
	if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       (off_t)off, (off_t)len))
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	return fetch_zero(fd, off, len);
}

/* Straight to a file */

struct fetch_to {
	int fd;
	u64 *received;
	struct im_wire_file *file;	/* or NULL */
};

static int fetch_to_gone(void *arg, unsigned int i)
{
	return -ENXIO;
}

static int fetch_to_file(void *arg, unsigned int i,
			 const struct im_wire_file *w)
{
	struct fetch_to *to = arg;

	if (to->file)
		*to->file = *w;
	return 0;
}

static int fetch_to_data(void *arg, u64 off, const u8 *p, size_t len)
{
	struct fetch_to *to = arg;

	*to->received += len;
	return fetch_write(to->fd, off, p, len);
}

static int fetch_to_hole(void *arg, u64 off, u64 len)
{
	struct fetch_to *to = arg;

	return fetch_write(to->fd, off, NULL, len);
}

static int fetch_to_end(void *arg, const struct im_wire_fileend *e)
{
	return 0;
}

static const struct fetch_sink fetch_to_sink = {
	.gone = fetch_to_gone,
	.file = fetch_to_file,
	.data = fetch_to_data,
	.hole = fetch_to_hole,
	.end = fetch_to_end,
};

int fetch_ranges(struct http *h, u64 inc, const struct fetch_want *w,
		 const struct im_ranges *r, int fd, u64 *received,
		 struct im_wire_file *file)
{
	struct fetch_want *v = calloc(FETCH_ITEMS, sizeof(*v));
	struct fetch_to to = { .fd = fd, .received = received, .file = file };
	unsigned int n = 0;
	u32 i;
	int err = v ? 0 : -ENOMEM;

	for (i = 0; !err && i < r->n; i++) {
		v[n] = *w;
		v[n].off = r->v[i].off;
		v[n++].len = r->v[i].end - r->v[i].off;
		if (n < FETCH_ITEMS && i + 1 < r->n)
			continue;
		err = fetch_data(h, inc, v, n, &fetch_to_sink, &to);
		n = 0;
	}
	free(v);
	return err;
}
