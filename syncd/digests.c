// SPDX-License-Identifier: GPL-2.0
/*
 * The answer to a digest request, one directory after the other. A directory
 * that is not of this fileset is GONE, as with other requests. The work is
 * bounded by the items of a request, the number of requests at a time and the
 * rate that the client wants, and ends when the client does: ALIVE finds out.
 */
#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define DIGESTS_ALIVE_S	5	/* < IM_WIRE_ALIVE_S */
#define DIGESTS_BATCH	(64U << 10)	/* objects in one ENTRY frame */

struct digests {
	struct answer a;
	struct fset *counted;	/* the reference is the request's */
	struct im_buf body;
	size_t at;
	bool begun, settle;
	bool open;		/* a directory is being read */
	struct im_fid dir;
	struct im_fid root;
	char name[IM_NAME_LEN + 1];
	struct digest_scan scan;
	struct im_wire_sum sums[1 << IM_ASK_SPLIT];
	struct im_buf objs, contents;	/* not sent yet */
	struct bucket pace;
	u64 paid;		/* of scan.read */
	time_t said;
	struct im_fid *fids;	/* of all items */
};

static time_t digests_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

bool digests_items_ok(const struct im_buf *body)
{
	struct im_wire_ask ask;
	const char *name;
	size_t at = 0, count = 0;
	ssize_t n;

	while (at < body->len) {
		n = im_ask_get(body->p + at, body->len - at, &ask, &name);
		if (n < 0 || ++count > IM_WIRE_ASKS)
			return false;
		at += n;
	}
	return count > 0;
}

static int digests_identify(void *arg, int fd, struct im_fid *fid)
{
	return fid_of(fd, "", fid);
}

static int digests_begin(struct digests *s)
{
	struct im_wire_begin b = { 0 };
	struct im_ioc_info info;
	int err = kml_info(s->a.f, &info);

	if (err)
		return err;
	s->root.ino = cpu_to_le64(info.root_ino);
	s->root.gen = cpu_to_le32(info.root_gen);
	b.start = cpu_to_le64(info.durable);
	b.incarnation = cpu_to_le64(info.incarnation);
	b.root = s->root;
	im_frame_put(&s->a.out, IM_FR_BEGIN, &b, sizeof(b), 0);
	s->begun = true;
	return 1;
}

static int digests_finish(struct digests *s)
{
	struct im_ioc_info info;
	__le64 last;
	int err = kml_info(s->a.f, &info);

	if (err)
		return err;
	last = cpu_to_le64(info.last);
	im_frame_put(&s->a.out, IM_FR_END, &last, sizeof(last), 0);
	s->a.settle = s->settle;
	return 0;
}

static int digests_open(struct digests *s)
{
	struct hint none = { 0 };
	struct im_wire_ask *ask = &s->scan.ask;
	const char *name;
	ssize_t n;
	u16 len;
	int fd;

	if (s->at >= s->body.len)
		return digests_finish(s);
	n = im_ask_get(s->body.p + s->at, s->body.len - s->at, ask, &name);
	if (n < 0)
		return -EPROTO;		/* was checked */
	s->at += n;
	len = le16_to_cpu(ask->name_len);
	memcpy(s->name, name, len);
	s->name[len] = '\0';
	s->dir = ask->dir;
	s->settle |= ask->flags & IM_ASK_SETTLE;
	fd = answer_fid_open(&s->a, &s->dir, &none, O_RDONLY | O_DIRECTORY);
	if (fd == -ESTALE || fd == -ENOTDIR || fd == -EINVAL) {
		answer_gone(&s->a, &s->dir);
		return 1;
	}
	if (fd < 0)
		return fd;
	s->scan.f = s->a.f;
	s->scan.root = im_fid_eq(&s->dir, &s->root);
	s->scan.name = len ? s->name : NULL;
	s->scan.identify = digests_identify;
	s->scan.sums = s->sums;
	memset(s->sums, 0, sizeof(s->sums));
	fd = digest_begin(&s->scan, fd);
	if (fd)
		return fd;
	s->open = true;
	if (ask->flags & IM_ASK_LIST)
		im_frame_put(&s->a.out, IM_FR_DIR, &s->dir, sizeof(s->dir), 0);
	return 1;
}

static void digests_flush(struct digests *s, struct im_buf *b,
			  unsigned int type)
{
	if (b->len)
		im_frame_put(&s->a.out, type, b->p, b->len, ANSWER_LEVEL);
	im_buf_reset(b);
}

static int digests_entry(struct digests *s)
{
	struct digest_scan *d = &s->scan;

	if (!(d->ask.flags & IM_ASK_LIST))
		return 1;
	/* a frame must hold them all: send those before the one too many */
	if (s->objs.len + d->obj.len > DIGESTS_BATCH)
		digests_flush(s, &s->objs, IM_FR_ENTRY);
	im_buf_put(&s->objs, d->obj.p, d->obj.len);
	if (S_ISREG(d->st.st_mode) && d->ask.flags & IM_ASK_DATA)
		im_buf_put(&s->contents, &d->content, sizeof(d->content));
	if (s->contents.len > DIGESTS_BATCH) {
		digests_flush(s, &s->objs, IM_FR_ENTRY);
		digests_flush(s, &s->contents, IM_FR_CONTENT);
	}
	return s->objs.err ? s->objs.err : s->contents.err ? s->contents.err : 1;
}

static int digests_close(struct digests *s)
{
	struct im_wire_dirend e = { .fid = s->dir };
	u32 flags = s->scan.ask.flags;
	struct stat st;
	int err = fstat(dirfd(s->scan.dir), &st) ? -errno : 0;

	closedir(s->scan.dir);
	s->scan.dir = NULL;
	s->open = false;
	if (err)
		return err;
	if (!(flags & IM_ASK_LIST)) {
		im_frame_put(&s->a.out, IM_FR_DIGEST, s->sums,
			     sizeof(s->sums[0]) << s->scan.ask.split, 0);
		return 1;
	}
	digests_flush(s, &s->objs, IM_FR_ENTRY);
	digests_flush(s, &s->contents, IM_FR_CONTENT);
	e.mtime = cpu_to_le64(st.st_mtim.tv_sec);
	e.mtime_ns = cpu_to_le32(st.st_mtim.tv_nsec);
	im_frame_put(&s->a.out, IM_FR_DIREND, &e, sizeof(e), 0);
	return 1;
}

static int digests_step(struct digests *s)
{
	struct bucket *pace = &s->pace;
	int r;

	if (!s->begun)
		return digests_begin(s);
	if (!s->open)
		return digests_open(s);
	r = digest_step(&s->scan);
	if (s->scan.read != s->paid) {
		if (bucket_wait(&pace, 1, s->scan.read - s->paid, s->a.stop))
			return -ESHUTDOWN;
		s->paid = s->scan.read;
	}
	if (r < 0) {
		snprintf(s->a.err, sizeof(s->a.err), "cannot read '%.80s'",
			 s->scan.entry);
		return r;
	}
	return r == DIGEST_END ? digests_close(s) :
	       r == DIGEST_ENTRY ? digests_entry(s) : 1;
}

static int digests_more(struct answer *a)
{
	struct digests *s = (struct digests *)a;
	__le64 zero = 0;
	int r = 1;

	while (r > 0 && a->out.len < ANSWER_FILL) {
		if (atomic_load(a->stop))
			return -ESHUTDOWN;
		r = digests_step(s);
		if (r > 0 && digests_now() - s->said >= DIGESTS_ALIVE_S) {
			im_frame_put(&a->out, IM_FR_ALIVE, &zero, sizeof(zero),
				     0);
			break;
		}
	}
	s->said = digests_now();
	return r;
}

static void digests_free(struct answer *a)
{
	struct digests *s = (struct digests *)a;

	atomic_fetch_sub(&s->counted->digests, 1);
	digest_end(&s->scan);
	pthread_mutex_destroy(&s->pace.lock);
	im_buf_free(&s->body);
	im_buf_free(&s->objs);
	im_buf_free(&s->contents);
	free(s->fids);
	free(s);
}

struct answer *digests_answer(struct fset *f, struct im_buf *body, u64 rate,
			      int *err)
{
	struct digests *s;
	struct im_wire_ask ask;
	const char *name;
	size_t at = 0;
	ssize_t n;

	*err = 0;
	if (atomic_fetch_add(&f->digests, 1) >= IM_WIRE_DIGESTS) {
		atomic_fetch_sub(&f->digests, 1);
		*err = -EBUSY;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (s)
		s->fids = calloc(IM_WIRE_ASKS, sizeof(*s->fids));
	if (!s || !s->fids) {
		atomic_fetch_sub(&f->digests, 1);
		free(s);
		return NULL;
	}
	s->counted = f;
	s->scan.fd = -1;
	s->body = *body;
	memset(body, 0, sizeof(*body));
	while (at < s->body.len && s->a.fid_count < IM_WIRE_ASKS) {
		n = im_ask_get(s->body.p + at, s->body.len - at, &ask, &name);
		if (n < 0)
			break;
		s->fids[s->a.fid_count++] = ask.dir;
		at += n;
	}
	s->a.fids = s->fids;
	bucket_init(&s->pace, rate);
	s->said = digests_now();
	s->a.more = digests_more;
	s->a.free = digests_free;
	return &s->a;
}
