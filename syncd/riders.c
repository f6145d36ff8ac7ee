// SPDX-License-Identifier: GPL-2.0
/*
 * Riders: the data of small changes travels before the records that tell of
 * them, so that a change is whole at the other side after half a round trip.
 *
 * Only for who is in step: the records in hand are the newest there are, and
 * durable. When much goes on, one request for the data of many changes costs
 * less than data that is out of date when its record comes to be applied. What
 * was read has settled if there is still no newer record after the reading
 * (answer.h); if there is, it is thrown away, since nobody waits here.
 */
#include "answer.h"

#include "common/ranges.h"

#define RIDERS_RANGES	64	/* of one change; more are another matter */

/* Will the client do without the data of that file, or need more? */
static bool riders_stale(const u8 *buf, size_t at, size_t len,
			 const struct im_fid *fid)
{
	const struct im_rec *r;
	unsigned int op;

	for (; at < len; at += le32_to_cpu(r->len)) {
		r = (const void *)(buf + at);
		op = le16_to_cpu(r->op);
		if ((im_fid_eq(&r->fid, fid) &&
		     (im_op_is_data(op) || op == IM_OP_UNLINK)) ||
		    im_fid_eq(&r->old, fid))
			return true;
	}
	return false;
}

/* As if the client had asked for it. */
static void riders_ask(struct im_buf *body, const struct im_rec *r,
		       const struct im_ranges *ranges)
{
	u32 i;

	for (i = 0; i < ranges->n; i++) {
		const struct im_wire_get get = {
			.fid = r->fid,
			.recno = r->recno,
			.off = cpu_to_le64(ranges->v[i].off),
			.len = cpu_to_le64(ranges->v[i].end -
					   ranges->v[i].off),
		};

		im_get_put(body, &get, NULL);
	}
}

/* What is worth it, into body. *newest: the last record. False: damaged. */
static bool riders_pick(const u8 *buf, size_t len, u64 most,
			struct im_buf *body, u64 *newest)
{
	struct im_ranges ranges;
	struct im_body b;
	size_t at, need;
	u64 bytes;

	for (at = 0; at < len; at += le32_to_cpu(((struct im_rec *)(buf + at))->len)) {
		const struct im_rec *r = (const void *)(buf + at);

		if (im_rec_check(r, len - at, &need, &b))
			return false;
		*newest = le64_to_cpu(r->recno);
	}
	for (at = 0; at < len && !body->err;) {
		const struct im_rec *r = (const void *)(buf + at);

		im_rec_check(r, len - at, &need, &b);
		at += le32_to_cpu(r->len);
		if (!im_op_is_data(le16_to_cpu(r->op)) ||
		    r->state != IM_RS_DONE ||
		    le32_to_cpu(r->flags) & IM_RF_UNKNOWN)
			continue;
		im_ranges_init(&ranges, IM_RANGES_MAX);
		im_ranges_get(&ranges, b.data, b.data_len);
		bytes = im_ranges_bytes(&ranges);
		if (bytes <= most && ranges.n <= RIDERS_RANGES &&
		    !riders_stale(buf, at, len, &r->fid)) {
			riders_ask(body, r, &ranges);
			most -= bytes;
		}
		im_ranges_free(&ranges);
	}
	return !body->err;
}

/* Nothing but `newest` is in the log, and that is on disk. */
static bool riders_settled(struct fset *f, u64 newest)
{
	struct im_ioc_info info;

	return !kml_info(f, &info) && info.last == newest &&
	       info.durable == newest;
}

void riders_put(struct answer *a, const u8 *buf, size_t len, u32 most)
{
	struct im_buf body = { 0 }, items = { 0 };
	struct answer *d = NULL;
	u64 newest = 0;
	int r = 1;

	if (!riders_pick(buf, len, most, &body, &newest) || !body.len ||
	    !riders_settled(a->f, newest))
		goto out_free;
	im_buf_put(&items, body.p, body.len);
	d = items.err ? NULL : data_answer(&body);
	if (!d)
		goto out_free;
	d->f = a->f;
	d->stop = a->stop;
	d->level = a->level;
	while (r > 0)
		r = d->more(d);
	if (r || d->out.err || !riders_settled(a->f, newest))
		goto out_free;
	im_frame_put(&a->out, IM_FR_RIDERS, items.p, items.len, ANSWER_LEVEL);
	im_buf_put(&a->out, d->out.p, d->out.len);
out_free:
	if (d)
		answer_free(d);
	im_buf_free(&items);
	im_buf_free(&body);
}
