// SPDX-License-Identifier: GPL-2.0
/*
 * Is a FID that a peer asks for one of this fileset? On a lower filesystem of
 * which the fileset is a part, only a name proves it, and a name that is in
 * nobody's cache has to be known. A client knows a record that names the FID,
 * or, from a snapshot, a directory and a name. If the object has lost that name
 * since, the log, from which nothing was lost meanwhile, has a record of it. A
 * record of ours that names a FID proves as much as a name does.
 *
 * So what is found by none of these is not there, and GONE is the truth, which
 * matters: a client drops what is gone.
 */
#include "answer.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "proof.h"

#define PROOF_READ	(256U << 10)
#define PROOF_FRESH	1	/* seconds that a reading of the log is good for */

struct proof_fid {
	struct im_fid fid;
	bool named;
};

struct proof {
	time_t made;
	u32 count;
	struct proof_fid v[];	/* by FID */
};

static bool proof_names(const struct im_rec *r, const struct im_fid *fid)
{
	return r->state == IM_RS_DONE &&
	       (im_fid_eq(&r->fid, fid) || im_fid_eq(&r->old, fid) ||
		im_fid_eq(&r->dir, fid) || im_fid_eq(&r->dir2, fid));
}

int proof_record(struct fset *f, u64 recno, const struct im_fid *fid)
{
	u8 *buf = malloc(IM_REC_MAX);
	struct im_body body;
	size_t need;
	ssize_t n;
	int fd = -1, ret = 0;

	if (!buf)
		return -ENOMEM;
	/* one that has left the log, or is not durable yet, proves nothing */
	if (recno)
		fd = kml_open(f, recno);
	if (fd >= 0) {
		n = read(fd, buf, IM_REC_MAX);
		if (n > 0 && !im_rec_check(buf, n, &need, &body))
			ret = proof_names((const struct im_rec *)buf, fid);
		close(fd);
	}
	free(buf);
	return ret;
}

static int proof_cmp(const void *a, const void *b)
{
	const struct im_fid *x = &((const struct proof_fid *)a)->fid;
	const struct im_fid *y = &((const struct proof_fid *)b)->fid;

	/* any order will do */
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->gen < y->gen ? -1 : x->gen > y->gen;
}

static struct proof_fid *proof_find(const struct proof *p,
				    const struct im_fid *fid)
{
	struct proof_fid key = { .fid = *fid };

	if (im_fid_none(fid))
		return NULL;
	return bsearch(&key, p->v, p->count, sizeof(key), proof_cmp);
}

static void proof_note(struct proof *p, const struct im_rec *r)
{
	const struct im_fid *fid[] = { &r->fid, &r->old, &r->dir, &r->dir2 };
	struct proof_fid *v;
	size_t i;

	if (r->state != IM_RS_DONE)
		return;
	for (i = 0; i < sizeof(fid) / sizeof(fid[0]); i++) {
		v = proof_find(p, fid[i]);
		if (v)
			v->named = true;
	}
}

/* All of the log that is durable, from its oldest record on. */
static int proof_read(struct proof *p, struct fset *f, const atomic_bool *stop)
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
	buf = malloc(PROOF_READ);
	if (!buf)
		err = -ENOMEM;
	while (!err && (n = read(fd, buf, PROOF_READ)) > 0) {
		for (at = 0; !err && at < (size_t)n; at += need) {
			err = im_rec_check(buf + at, n - at, &need, &body);
			if (!err)
				proof_note(p, (struct im_rec *)(buf + at));
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

static time_t proof_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

struct proof *proof_new(struct fset *f, const struct im_fid *fids, u32 count,
			const atomic_bool *stop, int *err)
{
	struct proof *p = calloc(1, sizeof(*p) + count * sizeof(p->v[0]));
	int tries = 3;
	u32 i;

	if (!p) {
		*err = -ENOMEM;
		return NULL;
	}
	p->count = count;
	for (i = 0; i < count; i++)
		p->v[i].fid = fids[i];
	qsort(p->v, count, sizeof(p->v[0]), proof_cmp);
	/* what lost its name before now is durable after this */
	*err = kml_settle(f, stop);
	while (!*err) {
		*err = proof_read(p, f, stop);
		/* the oldest records can leave while we come */
		if (*err != -ESTALE || !--tries)
			break;
		*err = 0;
	}
	p->made = proof_now();
	if (!*err)
		return p;
	/* not the ESTALE of an object */
	if (*err == -ESTALE)
		*err = -EAGAIN;
	proof_free(p);
	return NULL;
}

bool proof_fresh(const struct proof *p)
{
	return p && proof_now() - p->made <= PROOF_FRESH;
}

bool proof_has(const struct proof *p, const struct im_fid *fid)
{
	const struct proof_fid *v = proof_find(p, fid);

	return v && v->named;
}

void proof_free(struct proof *p)
{
	free(p);
}
