// SPDX-License-Identifier: GPL-2.0
/*
 * A stream of frames, fed whole and in pieces whose sizes the first byte
 * decides: both must give the same frames and the same error.
 */
#include "common/wire.h"

#include "fuzz.h"

struct seen {
	u32 crc;
	unsigned int frames;
	size_t raw;
};

static int on_frame(void *arg, unsigned int type, const u8 *payload, size_t len)
{
	struct seen *s = arg;
	u32 head[2] = { type, len };

	must(type && type <= IM_FR_MAX && len <= IM_WIRE_FRAME_MAX);
	must(!((uintptr_t)payload & 7));
	s->crc = im_crc32c(s->crc, head, sizeof(head));
	s->crc = im_crc32c(s->crc, payload, len);
	s->frames++;
	s->raw += len;
	/* Enough of a cheap bomb: many small frames that unpack to 1 MiB. */
	return s->raw > (64U << 20) ? -EFBIG : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen one = { 0 }, two = { 0 };
	struct im_frames f = { .fn = on_frame, .arg = &one };
	struct im_frames g = { .fn = on_frame, .arg = &two };
	size_t at, n, step;
	int err, err2 = 0;

	if (!size)
		return 0;
	step = *data++;
	size--;
	err = im_frames_feed(&f, data, size);
	must(err <= 0);
	for (at = 0; at < size && !err2; at += n, step = step * 5 + 1) {
		uint8_t *p;

		n = 1 + step % 97;
		if (n > size - at)
			n = size - at;
		p = fuzz_copy(data + at, n, step % 2);
		err2 = im_frames_feed(&g, p + step % 2, n);
		free(p);
	}
	must(err == err2);
	must(one.frames == two.frames && one.crc == two.crc);
	must(im_frames_idle(&f) == im_frames_idle(&g));
	im_frames_free(&f);
	im_frames_free(&g);
	return 0;
}
