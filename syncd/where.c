// SPDX-License-Identifier: GPL-2.0
/*
 * Where is an object now? A FID that has left the caches can be opened by name
 * only (on a lower filesystem of which the fileset is a part, nothing else
 * proves that it lies within). A client's hint is true as of the record that
 * he has reached; if the object was moved since, the log, which he has not yet
 * read to the end, says where to. So hint and log together find all that is
 * there, and GONE is the truth, which matters: a client drops what is gone.
 *
 * (Not found is a file of several names whose hinted one is gone, when the
 * other is older than the log.)
 */
#include "where.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define WHERE_READ	(256U << 10)
#define WHERE_FRESH	1	/* seconds that an answer of ours is good for */

struct place {
	struct im_fid fid;
	struct im_fid dir;	/* none: the log does not say */
	char *name;
};

struct where {
	time_t made;
	u32 count;
	struct place v[];	/* by FID */
};

static int place_cmp(const void *a, const void *b)
{
	const struct im_fid *x = &((const struct place *)a)->fid;
	const struct im_fid *y = &((const struct place *)b)->fid;

	/* any order will do */
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->gen < y->gen ? -1 : x->gen > y->gen;
}

static struct place *place_of(struct where *w, const struct im_fid *fid)
{
	struct place key = { .fid = *fid };

	if (im_fid_none(fid))
		return NULL;
	return bsearch(&key, w->v, w->count, sizeof(key), place_cmp);
}

static int place_set(struct where *w, const struct im_fid *fid,
		     const struct im_fid *dir, const char *name, size_t len)
{
	struct place *p = place_of(w, fid);

	if (!p)
		return 0;
	free(p->name);
	p->dir = *dir;
	p->name = strndup(name, len);
	return p->name ? 0 : -ENOMEM;
}

/* It has lost this name; maybe it has another one that we saw it get later. */
static void place_lost(struct where *w, const struct im_fid *fid,
		       const struct im_fid *dir, const char *name, size_t len)
{
	struct place *p = place_of(w, fid);

	if (!p || !p->name || !im_fid_eq(&p->dir, dir) ||
	    strlen(p->name) != len || memcmp(p->name, name, len))
		return;
	free(p->name);
	p->name = NULL;
	memset(&p->dir, 0, sizeof(p->dir));
}

static int where_record(struct where *w, const struct im_rec *rec,
			const struct im_body *b)
{
	if (rec->state != IM_RS_DONE)
		return 0;
	switch (le16_to_cpu(rec->op)) {
	case IM_OP_CREATE:
	case IM_OP_MKDIR:
	case IM_OP_MKNOD:
	case IM_OP_SYMLINK:
	case IM_OP_LINK:
		return place_set(w, &rec->fid, &rec->dir, b->name, b->name_len);
	case IM_OP_UNLINK:
	case IM_OP_RMDIR:
		place_lost(w, &rec->fid, &rec->dir, b->name, b->name_len);
		return 0;
	case IM_OP_RENAME:
		place_lost(w, &rec->old, &rec->dir2, b->name2, b->name2_len);
		if (le32_to_cpu(rec->flags) & IM_RF_EXCHANGE &&
		    place_set(w, &rec->old, &rec->dir, b->name, b->name_len))
			return -ENOMEM;
		return place_set(w, &rec->fid, &rec->dir2, b->name2,
				 b->name2_len);
	}
	return 0;
}

/* All of the log that is durable, from its oldest record on. */
static int where_read(struct where *w, struct fset *f, const atomic_bool *stop)
{
	struct im_ioc_info info;
	struct im_body body;
	size_t need, at;
	ssize_t n = 0;
	int fd, err;
	u8 *buf;

	err = kml_info(f, &info);
	if (err)
		return err;
	fd = kml_open(f, info.first);
	if (fd < 0)
		return fd;
	buf = malloc(WHERE_READ);
	if (!buf)
		err = -ENOMEM;
	while (!err && (n = read(fd, buf, WHERE_READ)) > 0) {
		for (at = 0; !err && at < (size_t)n; at += need) {
			err = im_rec_check(buf + at, n - at, &need, &body);
			if (!err)
				err = where_record(w, (struct im_rec *)
						   (buf + at), &body);
		}
		if (atomic_load(stop))
			err = -EINTR;
	}
	if (!err && n < 0 && errno != EAGAIN)
		err = -errno;
	free(buf);
	close(fd);
	return err;
}

static time_t where_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

struct where *where_new(struct fset *f, const struct im_fid *fids, u32 count,
			const atomic_bool *stop, int *err)
{
	struct where *w = calloc(1, sizeof(*w) + count * sizeof(w->v[0]));
	int tries = 3;
	u32 i;

	if (!w) {
		*err = -ENOMEM;
		return NULL;
	}
	w->count = count;
	for (i = 0; i < count; i++)
		w->v[i].fid = fids[i];
	qsort(w->v, count, sizeof(w->v[0]), place_cmp);
	/* what was moved before now is durable after this */
	*err = kml_settle(f, stop);
	while (!*err) {
		*err = where_read(w, f, stop);
		/* the oldest records can leave while we come */
		if (*err != -ESTALE || !--tries)
			break;
		*err = 0;
	}
	w->made = where_now();
	if (!*err)
		return w;
	/* not the ESTALE of an object */
	if (*err == -ESTALE)
		*err = -EAGAIN;
	where_free(w);
	return NULL;
}

bool where_fresh(const struct where *w)
{
	return w && where_now() - w->made <= WHERE_FRESH;
}

bool where_get(struct where *w, const struct im_fid *fid, struct hint *h)
{
	const struct place *p = place_of(w, fid);

	if (!p || !p->name)
		return false;
	h->dir = p->dir;
	strcpy(h->name, p->name);
	return true;
}

void where_free(struct where *w)
{
	u32 i;

	for (i = 0; w && i < w->count; i++)
		free(w->v[i].name);
	free(w);
}
