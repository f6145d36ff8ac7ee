// SPDX-License-Identifier: GPL-2.0
/*
 * Frames of a server that sends data along with the log, and a client that
 * takes what waits. What it gets is of the file and the ranges it asked for.
 * links: syncd/rider.c syncd/fetch.c
 */
#include "syncd/rider.h"

#include "fuzz.h"

struct feed {
	struct riders *q;
	struct im_wire_get first;	/* of the last RIDERS */
	u64 bytes;
};

/* Not asked for here. */
int http_frames(struct http *h, const char *what, const void *body, size_t len,
		int (*fn)(void *arg, unsigned int type, const u8 *p, size_t len),
		void *arg)
{
	return -ENOSYS;
}

int http_shared(struct http *h, const char *what, const struct http_shared *s,
		http_frame_fn fn, void *arg)
{
	return -ENOSYS;
}

u64 http_epoch(const struct http *h)
{
	return 0;
}

static int on_frame(void *arg, unsigned int type, const u8 *p, size_t len)
{
	struct feed *f = arg;
	bool was = riders_under_way(f->q);
	int err;

	f->bytes += len;
	if (f->bytes > (16U << 20))
		return -EFBIG;
	if (type != IM_FR_RIDERS && !was)
		return 0;
	if (!was && len >= sizeof(f->first))
		memcpy(&f->first, p, sizeof(f->first));
	err = riders_frame(f->q, type, p, len);
	must(err <= 0);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = { .q = riders_new() };
	struct im_frames f = { .fn = on_frame, .arg = &feed };
	const struct fetch_piece *piece;
	struct fetch_load *load;
	struct im_ranges r;
	u64 off, len;

	must(feed.q);
	im_frames_feed(&f, data, size);
	im_frames_free(&f);
	off = le64_to_cpu(feed.first.off);
	len = le64_to_cpu(feed.first.len);
	if (len && off <= INT64_MAX && len <= INT64_MAX - off) {
		im_ranges_init(&r, 4);
		im_ranges_add(&r, off, off + len);
		load = riders_take(feed.q, le64_to_cpu(feed.first.recno),
				   &feed.first.fid, &r);
		for (piece = load ? load->first : NULL; piece;
		     piece = piece->next) {
			must(piece->off >= off &&
			     piece->off + piece->len <= off + len);
		}
		fetch_load_free(load);
		im_ranges_free(&r);
	}
	riders_free(feed.q);
	return 0;
}
