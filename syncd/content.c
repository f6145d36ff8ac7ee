// SPDX-License-Identifier: GPL-2.0
/*
 * The data of records, and objects as the server has them now.
 *
 * Small data comes for many records by one request, into memory; see
 * apply_load(). What is large goes from the wire to the file. A file that was
 * written anew, while a version of it is here or is about to be replaced by it,
 * comes by differences.
 *
 * Data is written in place. Order: owner, mode, truncation, data, size,
 * version, mtime; the close is FINAL: only then has the record been applied.
 */
#include "apply.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "basis.h"
#include "delta.h"
#include "shape.h"

#define CONTENT_SMALL	(256U << 10)	/* of one record */
#define CONTENT_LARGE	(1U << 20)	/* of one record, see content_large() */
#define CONTENT_LOAD	(8U << 20)	/* of one request */
#define CONTENT_LOAD_MIN (256U << 10)	/* the same on a slow link */
#define CONTENT_WANTS	2000
#define CONTENT_CUT	256		/* records; see apply_load() */
#define CONTENT_STATS	1000
#define CONTENT_RANGES	64

/*
 * Applied for the first time, onto the tree as it was just before. What is
 * redone, or met by a tree that is ahead, has to come as it is now: something
 * older could stay, should the log be lost before it is repaired.
 */
static bool content_news(const struct client *c, const struct fold_item *it)
{
	return !it->redo && it->recno > client_window(c);
}

static u64 content_bytes(const struct fold_item *it)
{
	u64 n = im_ranges_bytes(&it->ranges);

	return it->unknown && n < le64_to_cpu(it->rec->size) ?
		le64_to_cpu(it->rec->size) : n;
}

/* Most of it is new. */
static bool content_rewritten(const struct fold_item *it)
{
	u64 size = le64_to_cpu(it->rec->size);

	return it->unknown || content_bytes(it) >= size - size / 4;
}

/*
 * Differences may be worth a try: most is new, or so much that a list of block
 * sums weighs nothing beside it.
 */
static bool content_large(const struct fold_item *it)
{
	return content_rewritten(it) ||
	       (content_bytes(it) >= CONTENT_LARGE &&
		content_bytes(it) >= le64_to_cpu(it->rec->size) / 4);
}

static bool content_small(struct client *c, const struct fold_item *it)
{
	struct im_fid local;

	if (it->act != FOLD_APPLY || !im_op_is_data(fold_op(it)) || it->load ||
	    it->ranges.n > CONTENT_RANGES ||
	    content_bytes(it) > CONTENT_SMALL)
		return false;
	/* What may come by differences goes alone. */
	return le64_to_cpu(it->rec->size) < DELTA_MIN ||
	       !content_rewritten(it) ||
	       (im_fid_none(&it->basis) &&
		tree_find(&c->tree, &it->rec->fid, &local));
}

/* Loading */

struct content_load {
	struct fold_item **item;	/* by want */
	struct client *c;
	struct fetch_load *at;
};

static int content_load_file(void *arg, unsigned int i,
			     const struct im_wire_file *w)
{
	struct content_load *l = arg;

	l->at = l->item[i]->load;
	return 0;
}

static int content_load_gone(void *arg, unsigned int i)
{
	struct content_load *l = arg;

	((struct fetch_load *)l->item[i]->load)->gone = true;
	return 0;
}

static void content_count(struct client *c, u64 n)
{
	pthread_mutex_lock(&c->f->stat.lock);
	c->f->stat.bytes_done += n;
	pthread_mutex_unlock(&c->f->stat.lock);
}

static int content_load_data(void *arg, u64 off, const u8 *p, size_t len)
{
	struct content_load *l = arg;

	content_count(l->c, len);
	return fetch_load_add(l->at, off, len, p);
}

static int content_load_hole(void *arg, u64 off, u64 len)
{
	struct content_load *l = arg;

	return fetch_load_add(l->at, off, len, NULL);
}

static int content_load_end(void *arg, const struct im_wire_fileend *e)
{
	return 0;
}

static const struct fetch_sink content_load_sink = {
	.gone = content_load_gone,
	.file = content_load_file,
	.data = content_load_data,
	.hole = content_load_hole,
	.end = content_load_end,
};

/* About two seconds of the link at a time, so that it is seen to move. */
static u64 content_load_size(const struct client *c)
{
	u64 rate = __atomic_load_n(&c->f->bucket.rate, __ATOMIC_RELAXED);

	if (!rate || rate > CONTENT_LOAD / 2)
		return CONTENT_LOAD;
	return rate * 2 < CONTENT_LOAD_MIN ? CONTENT_LOAD_MIN : rate * 2;
}

static void content_unload(struct fold_item *it)
{
	fetch_load_free(it->load);
	it->load = NULL;
}

/* Data of this item and of small ones behind it. */
static int apply_load(struct apply *a)
{
	u64 bytes = 0, most = content_load_size(a->c);
	struct fetch_want *v = calloc(CONTENT_WANTS, sizeof(*v));
	struct content_load l = { .c = a->c };
	unsigned int n = 0;
	size_t k;
	int err = 0;
	u32 j;

	l.item = calloc(CONTENT_WANTS, sizeof(*l.item));
	if (!v || !l.item)
		err = -ENOMEM;
	for (k = a->i; !err && k < a->n && bytes < most; k++) {
		struct fold_item *it = &a->v[k];

		if (!content_small(a->c, it))
			continue;
		if (n + it->ranges.n > CONTENT_WANTS)
			break;
		/* what others ask for, too, wherever their batches begin */
		if (n && http_cached(a->c->http) &&
		    it->recno / CONTENT_CUT != l.item[0]->recno / CONTENT_CUT)
			break;
		bytes += content_bytes(it);
		if (it->unknown)
			im_ranges_add(&it->ranges, 0, ~(u64)0);
		it->load = fetch_load_new();
		if (!it->load) {
			err = -ENOMEM;
			break;
		}
		for (j = 0; j < it->ranges.n; j++, n++) {
			v[n].fid = it->rec->fid;
			v[n].recno = it->recno;
			v[n].news = content_news(a->c, it);
			v[n].off = it->ranges.v[j].off;
			v[n].len = it->ranges.v[j].end - v[n].off;
			l.item[n] = it;
		}
	}
	if (!err)
		err = fetch_data(a->c->http, a->c->inc, v, n,
				 &content_load_sink, &l);
	/* Half an answer is none: it is asked for again. */
	for (k = a->i; err && k < a->n; k++) {
		if (im_op_is_data(fold_op(&a->v[k])))
			content_unload(&a->v[k]);
	}
	free(l.item);
	free(v);
	return err;
}

/* Writing */

static int content_store(int fd, const struct fetch_load *l, bool *wrote)
{
	const struct fetch_piece *p;
	struct stat st;
	int err = 0;

	if (fstat(fd, &st))
		return -errno;
	for (p = l->first; !err && p; p = p->next) {
		if (p->hole && p->off >= (u64)st.st_size)
			continue;
		err = fetch_write(fd, p->off, p->hole ? NULL : p->data, p->len);
		*wrote = true;
	}
	return err;
}

/* A file here that the new one may be made of; -ENOENT: none. */
static int content_basis(struct apply *a, int fd)
{
	struct fold_item *it = a->it;
	struct stat st;
	int other = -ENOENT;

	if (!im_fid_none(&it->basis))
		other = tree_get(&a->c->tree, &it->basis, O_RDONLY);
	if (other == -ENOENT || other == -EINVAL)
		other = basis_guess(a->c, fd, &it->rec->dir);
	if (other < 0)
		return other;
	if (fstat(other, &st) || !S_ISREG(st.st_mode) ||
	    !delta_wanted(le64_to_cpu(it->rec->size), st.st_size)) {
		close(other);
		return -ENOENT;
	}
	return other;
}

/* Whole file, by what is like it. 1: there is nothing that would help. */
static int content_differ(struct apply *a, int fd, u64 here)
{
	struct fold_item *it = a->it;
	u64 size = le64_to_cpu(it->rec->size);
	struct fetch_want want = { .fid = it->rec->fid, .recno = it->recno,
				   .news = content_news(a->c, it),
				   .len = size };
	struct delta d = {
		.h = a->c->http, .inc = a->c->inc, .want = &want,
		.basis = fd, .out = fd, .same = true, .tmpdir = a->c->f->fd,
	};
	int err, other = -1;

	if (size < DELTA_MIN || !content_large(it))
		return 1;
	if (!content_rewritten(it) || !delta_wanted(size, here)) {
		other = content_basis(a, fd);
		if (other < 0)
			return other == -ENOENT ? 1 : other;
		d.basis = other;
		d.same = false;
	}
	/* The rest of it is here, from earlier records. */
	if (!content_rewritten(it)) {
		d.only = &it->ranges;
		if (it->trunc < here && ftruncate(fd, (off_t)it->trunc)) {
			err = -errno;
			close(other);
			return err;
		}
	}
	err = delta_fetch(&d);
	content_count(a->c, d.received);
	if (other >= 0)
		close(other);
	return err;
}

static int content_write(struct apply *a, int fd, const struct stat *st,
			 bool *wrote)
{
	struct fold_item *it = a->it;
	struct fetch_want want = { .fid = it->rec->fid, .recno = it->recno,
				   .news = content_news(a->c, it) };
	u64 received = 0;
	int err;

	if (!it->load) {
		err = content_differ(a, fd, st->st_size);
		*wrote |= err <= 0;
		if (err != 1)
			return err;
	}
	if (it->trunc < (u64)st->st_size) {
		*wrote = true;
		if (ftruncate(fd, (off_t)it->trunc))
			return -errno;
	}
	if (it->load)
		return content_store(fd, it->load, wrote);
	if (it->unknown)
		im_ranges_add(&it->ranges, 0, ~(u64)0);
	*wrote |= it->ranges.n > 0;
	err = fetch_ranges(a->c->http, a->c->inc, &want, &it->ranges, fd,
			   &received, NULL);
	content_count(a->c, received);
	return err;
}

/*
 * Owner and mode of a file that the server has just made, or found after a
 * crash, are in this record alone. Else they are SETATTR's to state, since a
 * data record may carry what they were just before a SETATTR that has an older
 * number; but that writing takes set-id bits away is in no other record.
 */
static int content_attrs(struct apply *a, int fd, const struct stat *st)
{
	const struct im_rec *r = a->it->rec;
	const mode_t setid = S_ISUID | S_ISGID;
	mode_t now = st->st_mode & 07777, mode = le32_to_cpu(r->mode) & 07777;
	const struct shape s = {
		.mode = S_IFREG | mode,
		.uid = le32_to_cpu(r->uid),
		.gid = le32_to_cpu(r->gid),
	};

	if (fold_flags(a->it) & IM_RF_ATTRS)
		return shape_attrs(fd, &s);
	if (now == mode || (now & ~setid) != (mode & ~setid) || mode & ~now)
		return 0;
	return fchmod(fd, mode) ? -errno : 0;
}

static int content_file(struct apply *a, int fd)
{
	const struct im_rec *r = a->it->rec;
	struct timespec mtime;
	bool wrote = false;
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	/* Attributes of what is redone are here; later ones may be, too. */
	if (a->it->redo) {
		mtime = st.st_mtim;
	} else {
		mtime.tv_sec = (time_t)le64_to_cpu(r->mtime);
		mtime.tv_nsec = le32_to_cpu(r->mtime_ns);
	}
	err = apply_tag(a, 0);
	if (!err && !a->it->redo)
		err = content_attrs(a, fd, &st);
	if (!err)
		err = content_write(a, fd, &st, &wrote);
	if (err)
		return err;
	if (fstat(fd, &st))
		return -errno;
	if ((u64)st.st_size != le64_to_cpu(r->size)) {
		wrote = true;
		if (ftruncate(fd, (off_t)le64_to_cpu(r->size)))
			return -errno;
	}
	err = tree_origin_set(fd, a->c->id, &r->fid, a->it->recno);
	if (!err)
		err = shape_times(fd, (u64)mtime.tv_sec, (u32)mtime.tv_nsec);
	/* Without a change the close is no record, and nothing has moved. */
	if (!err && wrote)
		err = apply_tag(a, IM_TAG_FINAL);
	return err;
}

int apply_data(struct apply *a)
{
	struct fold_item *it = a->it;
	struct fetch_load *l;
	int fd, err = 0;

	fd = tree_get(&a->c->tree, &it->rec->fid, O_RDWR);
	if (fd < 0)
		return fd == -ENOENT || fd == -EINVAL ? apply_unknown(a) : fd;
	if (content_small(a->c, it))
		err = apply_load(a);
	l = it->load;
	/* Gone at the server: a later record says so, and this data is lost. */
	if (!err && !(l && l->gone))
		err = content_file(a, fd);
	close(fd);
	return err == -ENXIO ? 0 : err;
}

/* Objects */

struct content_stat {
	struct fold_item **item;
};

static int content_stat_one(void *arg, unsigned int i, const struct im_obj *obj)
{
	struct content_stat *s = arg;
	struct fetch_load *l = s->item[i]->load;

	if (!obj) {
		l->gone = true;
		return 0;
	}
	l->obj_len = le32_to_cpu(obj->o->len);
	l->obj = malloc(l->obj_len);
	if (!l->obj)
		return -ENOMEM;
	memcpy(l->obj, obj->o, l->obj_len);
	return 0;
}

/*
 * Objects as they are now may be ahead of the window. What that matters for is
 * the default ACL of a directory, which what is made in it inherits: so the
 * window moves up to the newest record that can have been seen.
 */
static int content_window(struct client *c)
{
	struct im_wire_info srv;
	int err = http_info(c->http, &srv);

	if (err)
		return err;
	if (srv.incarnation != c->srv.incarnation)
		return -ESTALE;
	/* the answer had settled, so this is not older than what it saw */
	if (le64_to_cpu(srv.durable) <= client_window(c))
		return 0;
	return client_set_window(c, le64_to_cpu(srv.durable));
}

int apply_look_at(struct apply *a, struct im_obj *obj)
{
	struct fetch_want *v = NULL;
	struct content_stat s = { 0 };
	struct fetch_load *l;
	unsigned int n = 0;
	bool dirs = false;
	size_t k;
	int err = 0;

	if (!a->it->load) {
		v = calloc(CONTENT_STATS, sizeof(*v));
		s.item = calloc(CONTENT_STATS, sizeof(*s.item));
		if (!v || !s.item)
			err = -ENOMEM;
		for (k = a->i; !err && k < a->n && n < CONTENT_STATS; k++) {
			struct fold_item *it = &a->v[k];

			if (it->act != FOLD_APPLY || it->load ||
			    !fold_makes(it) || (k != a->i &&
			    it->recno > client_window(a->c)))
				continue;
			it->load = fetch_load_new();
			if (!it->load)
				err = -ENOMEM;
			v[n].fid = it->rec->fid;
			v[n].recno = it->recno;
			s.item[n++] = it;
			dirs |= fold_op(it) == IM_OP_MKDIR;
		}
		if (!err)
			err = fetch_stat(a->c->http, a->c->inc, v, n,
					 content_stat_one, &s);
		if (!err && dirs)
			err = content_window(a->c);
		for (k = 0; err && s.item && k < n; k++)
			content_unload(s.item[k]);
		free(s.item);
		free(v);
	}
	l = a->it->load;
	if (err)
		return err;
	if (l->gone)
		return -ENXIO;
	return im_obj_get(l->obj, l->obj_len, false, obj) < 0 ? -EPROTO : 0;
}

static int content_gone_one(void *arg, unsigned int i, const struct im_obj *obj)
{
	*(bool *)arg = !obj;
	return 0;
}

int apply_gone(struct apply *a, const struct im_fid *fid)
{
	struct fetch_want w = { .fid = *fid, .recno = a->it->recno };
	bool gone = false;
	int err = fetch_stat(a->c->http, a->c->inc, &w, 1, content_gone_one,
			     &gone);

	return err ? err : gone;
}

int apply_unknown(struct apply *a)
{
	int gone;

	if (a->it->redo || a->it->recno <= client_window(a->c))
		return 0;
	/* Made and removed in one batch that a restart has cut? */
	gone = apply_gone(a, &a->it->rec->fid);
	if (gone < 0)
		return gone;
	if (gone)
		return 0;
	logmsg(LOG_WARNING,
	       "%s: record %llu (%s) is about an object that the server has and this side has not; comparing all with the server",
	       a->c->f->name, (unsigned long long)a->it->recno,
	       im_op_name(fold_op(a->it)));
	return -EUCLEAN;
}

struct content_object {
	u8 *p;
	size_t len;
};

static int content_object_one(void *arg, unsigned int i,
			      const struct im_obj *obj)
{
	struct content_object *o = arg;

	if (!obj)
		return 0;
	o->len = le32_to_cpu(obj->o->len);
	o->p = malloc(o->len);
	if (!o->p)
		return -ENOMEM;
	memcpy(o->p, obj->o, o->len);
	return 0;
}

/* All of a file that was just made. */
static int content_whole(struct client *c, const struct im_fid *fid)
{
	struct fetch_want want = { .fid = *fid, .recno = c->tree.recno };
	struct im_wire_file file;
	struct im_ranges all;
	u64 received = 0;
	int fd = tree_get(&c->tree, fid, O_RDWR), err;

	if (fd < 0)
		return fd;
	im_ranges_init(&all, 2);
	im_ranges_add(&all, 0, ~(u64)0);
	err = fetch_ranges(c->http, c->inc, &want, &all, fd, &received, &file);
	content_count(c, received);
	if (!err && ftruncate(fd, (off_t)le64_to_cpu(file.size)))
		err = -errno;
	if (!err)
		err = shape_times(fd, le64_to_cpu(file.mtime),
				  le32_to_cpu(file.mtime_ns));
	close(fd);
	im_ranges_free(&all);
	return err == -ENXIO ? 0 : err;
}

int apply_fetch_object(struct client *c, int dirfd, const char *name,
		       const struct im_fid *fid)
{
	struct fetch_want w = { .fid = *fid, .recno = c->tree.recno };
	struct content_object o = { 0 };
	u64 window = client_window(c);
	struct im_obj obj;
	struct shape s;
	int fd = -1, err;

	err = fetch_stat(c->http, c->inc, &w, 1, content_object_one, &o);
	if (err || !o.p)
		return err;
	if (im_obj_get(o.p, o.len, false, &obj) < 0) {
		err = -EPROTO;
		goto out;
	}
	shape_from_obj(&s, &obj);
	/* An empty directory that a crash leaves here would pass for all of it. */
	err = S_ISDIR(s.mode) ? client_set_window(c, CLIENT_WINDOW_ALL) : 0;
	if (!err)
		err = tree_tag_plain(&c->tree, fid, -1);
	if (!err)
		err = shape_make(dirfd, name, &s);
	if (err) {
		/* nothing was made; the error that counts is the first */
		client_set_window(c, window);
		goto out;
	}
	err = tree_made(&c->tree, dirfd, name, fid);
	if (err)
		goto out;
	fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	err = fd < 0 ? -errno : shape_attrs(fd, &s);
	if (!err)
		err = shape_xattrs(fd, &obj);
	if (!err && S_ISREG(s.mode) && le64_to_cpu(obj.o->size))
		err = content_whole(c, fid);
	else if (!err && S_ISDIR(s.mode))
		err = graft_dir(c, fid, window);
	else if (!err)
		err = shape_times(fd, le64_to_cpu(obj.o->mtime),
				  le32_to_cpu(obj.o->mtime_ns));
out:
	if (fd >= 0)
		close(fd);
	free(o.p);
	return err;
}
