// SPDX-License-Identifier: GPL-2.0
#include "batch.h"

#include <stdlib.h>

#define BATCH_LOOK_MS	150		/* for the rename of a large new file */
#define BATCH_LOOK_SIZE	(256U << 10)

void batch_clear(struct batch *b)
{
	size_t i;

	for (i = 0; i < b->n; i++) {
		fold_item_free(&b->v[i]);
		fetch_load_free(b->v[i].load);
	}
	b->n = 0;
}

void batch_free(struct batch *b)
{
	batch_clear(b);
	free(b->v);
	free(b->bytes);
	memset(b, 0, sizeof(*b));
}

static int batch_add(struct batch *b, const struct im_rec *r,
		     const struct im_body *body, bool redo)
{
	if (b->n == b->room) {
		size_t room = b->room ? b->room * 2 : 64, i;
		struct fold_item *v = malloc(room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		/* Not realloc: a set of ranges may point into itself. */
		for (i = 0; i < b->n; i++) {
			v[i] = b->v[i];
			im_ranges_move(&v[i].ranges, &b->v[i].ranges);
		}
		free(b->v);
		b->v = v;
		b->room = room;
	}
	fold_item_set(&b->v[b->n++], r, body, redo);
	return 0;
}

int batch_parse(struct client *c, struct batch *b, size_t *at, u64 *next,
		u64 rcvd, u64 end)
{
	int err = 0;

	while (!err && *at < b->len && b->n < BATCH_RECORDS && *next < end) {
		const struct im_rec *r = (const void *)(b->bytes + *at);
		struct im_body body;
		size_t need;

		err = im_rec_check(r, b->len - *at, &need, &body);
		if (!err && le64_to_cpu(r->recno) != *next)
			err = -EBADMSG;
		if (!err && r->state == IM_RS_INTENT)
			err = -EPROTO;
		if (err) {
			snprintf(c->why, sizeof(c->why),
				 "record %llu of the server's log is damaged or out of order: %s",
				 (unsigned long long)*next, strerror(-err));
			return http_is_remote(err) ? err : -EPROTO;
		}
		err = batch_add(b, r, &body, *next <= rcvd);
		*at += le32_to_cpu(r->len);
		++*next;
	}
	return err;
}

/*
 * Could the last records be the first half of a save-by-rename? A guess about
 * bytes that nobody has checked yet; stream_take() has seen to the lengths.
 */
static bool batch_look_ahead(const u8 *p, size_t len)
{
	bool large = false;

	while (len >= IM_REC_HDR) {
		const struct im_rec *r = (const void *)p;
		size_t n = le32_to_cpu(r->len);
		unsigned int op = le16_to_cpu(r->op);

		if (n < IM_REC_HDR || n > len)
			return false;
		if (im_op_is_data(op))
			large = le64_to_cpu(r->size) >= BATCH_LOOK_SIZE &&
				!le64_to_cpu(r->trunc);
		else if (op == IM_OP_RENAME)
			large = false;
		p += n;
		len -= n;
	}
	return large;
}

int batch_gather(struct stream *s, struct batch *b, unsigned int ms)
{
	u8 *more, *p;
	size_t len;
	int err;

	err = stream_take(s, &b->bytes, &b->len, ms);
	if (err || !b->len || !batch_look_ahead(b->bytes, b->len))
		return err;
	/* An error comes again when this is done. */
	if (stream_take(s, &more, &len, BATCH_LOOK_MS) || !len)
		return 0;
	p = realloc(b->bytes, b->len + len);
	if (p) {
		memcpy(p + b->len, more, len);
		b->bytes = p;
		b->len += len;
	}
	free(more);
	return p ? 0 : -ENOMEM;
}
