// SPDX-License-Identifier: GPL-2.0
#include "rider.h"

#include <stdlib.h>

#define RIDERS_WAITING	(4U << 20)	/* bytes of content */

/* What one RIDERS frame brought, or brings. */
struct rider {
	struct rider *next;
	unsigned int n;
	struct fetch_want *want;	/* those of one record in a row */
	struct fetch_load **load;	/* of a record's first want; then NULL */
	struct fetch_load *at;
	u64 bytes;
	struct fetch *fetch;		/* the rest is still to come */
};

struct riders {
	struct rider *coming;		/* the stream's thread's alone */
	pthread_mutex_t lock;		/* all below */
	struct rider *first, **last;
	u64 bytes;
};

static void rider_free(struct rider *r)
{
	unsigned int i;

	if (!r)
		return;
	for (i = 0; r->load && i < r->n; i++)
		fetch_load_free(r->load[i]);
	fetch_free(r->fetch);
	free(r->load);
	free(r->want);
	free(r);
}

struct riders *riders_new(void)
{
	struct riders *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	pthread_mutex_init(&q->lock, NULL);
	q->last = &q->first;
	return q;
}

/* lock held. */
static void riders_drop_first(struct riders *q)
{
	struct rider *r = q->first;

	q->first = r->next;
	if (!q->first)
		q->last = &q->first;
	q->bytes -= r->bytes;
	rider_free(r);
}

void riders_free(struct riders *q)
{
	if (!q)
		return;
	while (q->first)
		riders_drop_first(q);
	rider_free(q->coming);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

bool riders_under_way(const struct riders *q)
{
	return q->coming;
}

/* Coming */

static int rider_file(void *arg, unsigned int i, const struct im_wire_file *w)
{
	struct rider *r = arg;

	if (r->load[i])
		r->at = r->load[i];
	return 0;
}

static int rider_gone(void *arg, unsigned int i)
{
	rider_file(arg, i, NULL);
	((struct rider *)arg)->at->gone = true;
	return 0;
}

static int rider_data(void *arg, u64 off, const u8 *p, size_t len)
{
	struct rider *r = arg;

	r->bytes += len;
	if (r->bytes > IM_WIRE_RIDERS)
		return -EPROTO;
	return fetch_load_add(r->at, off, len, p);
}

static int rider_hole(void *arg, u64 off, u64 len)
{
	return fetch_load_add(((struct rider *)arg)->at, off, len, NULL);
}

static int rider_end(void *arg, const struct im_wire_fileend *e)
{
	return 0;
}

static const struct fetch_sink rider_sink = {
	.gone = rider_gone,
	.file = rider_file,
	.data = rider_data,
	.hole = rider_hole,
	.end = rider_end,
};

/* Wants and, for the first of each record, a load. */
static int rider_items(struct rider *r, const u8 *p, size_t len)
{
	struct im_wire_get get;
	const char *name;
	size_t at = 0;
	ssize_t n;

	/* no more than that fit: none is smaller */
	r->want = calloc(len / sizeof(get) + 1, sizeof(*r->want));
	r->load = calloc(len / sizeof(get) + 1, sizeof(*r->load));
	if (!r->want || !r->load)
		return -ENOMEM;
	for (; at < len; at += n, r->n++) {
		struct fetch_want *w = &r->want[r->n];

		n = im_get_get(p + at, len - at, &get, &name);
		if (n < 0 || get.name_len || !get.recno)
			return -EPROTO;
		w->fid = get.fid;
		w->recno = le64_to_cpu(get.recno);
		w->off = le64_to_cpu(get.off);
		w->len = le64_to_cpu(get.len);
		if (r->n && w[-1].recno == w->recno &&
		    im_fid_eq(&w[-1].fid, &w->fid))
			continue;
		r->load[r->n] = fetch_load_new();
		if (!r->load[r->n])
			return -ENOMEM;
	}
	return r->n ? 0 : -EPROTO;
}

static int rider_begin(struct riders *q, const u8 *p, size_t len)
{
	struct rider *r = calloc(1, sizeof(*r));
	int err = r ? rider_items(r, p, len) : -ENOMEM;

	if (!err) {
		r->fetch = fetch_begin(r->want, r->n, &rider_sink, r);
		err = r->fetch ? 0 : -ENOMEM;
	}
	if (err)
		rider_free(r);
	else
		q->coming = r;
	return err;
}

int riders_frame(struct riders *q, unsigned int type, const u8 *p, size_t len)
{
	struct rider *r = q->coming;
	int err;

	if (!r)
		return type == IM_FR_RIDERS ? rider_begin(q, p, len) : -EPROTO;
	err = fetch_frame(r->fetch, type, p, len);
	if (err || !fetch_ended(r->fetch))
		return err;
	q->coming = NULL;
	pthread_mutex_lock(&q->lock);
	*q->last = r;
	q->last = &r->next;
	q->bytes += r->bytes;
	while (q->bytes > RIDERS_WAITING)
		riders_drop_first(q);
	pthread_mutex_unlock(&q->lock);
	return 0;
}

/* Taking */

static struct fetch_load *rider_take(struct rider *r, u64 recno,
				     const struct im_fid *fid,
				     const struct im_ranges *ranges)
{
	struct fetch_load *load;
	unsigned int i, k;

	for (i = 0; i < r->n; i++) {
		if (r->load[i] && r->want[i].recno == recno &&
		    im_fid_eq(&r->want[i].fid, fid))
			break;
	}
	if (i == r->n || r->n - i < ranges->n)
		return NULL;
	for (k = 0; k < ranges->n; k++) {
		const struct fetch_want *w = &r->want[i + k];

		if ((k && r->load[i + k]) || w->off != ranges->v[k].off ||
		    w->len != ranges->v[k].end - ranges->v[k].off)
			return NULL;
	}
	/* more of it than that is another change's */
	if (i + k < r->n && !r->load[i + k])
		return NULL;
	load = r->load[i];
	r->load[i] = NULL;
	return load;
}

struct fetch_load *riders_take(struct riders *q, u64 recno,
			       const struct im_fid *fid,
			       const struct im_ranges *ranges)
{
	struct fetch_load *load = NULL;

	pthread_mutex_lock(&q->lock);
	while (q->first && q->first->want[q->first->n - 1].recno < recno)
		riders_drop_first(q);
	if (q->first && ranges->n)
		load = rider_take(q->first, recno, fid, ranges);
	pthread_mutex_unlock(&q->lock);
	return load;
}
