// SPDX-License-Identifier: GPL-2.0
/*
 * What a server answers when a directory is compared: DIGESTs of parts, or the
 * ENTRYs and CONTENTs of a list. Input: a byte that says what was asked for
 * (bit 7: a list; else bits 0-2: parts - 1, 3-6: split), then the frames.
 * links: tests/unit/fake/none.c
 */
#include "syncd/verify.c"

#include "fuzz.h"

static const uint8_t *input;
static size_t input_len;

int http_frames(struct http *h, const char *what, const void *body, size_t len,
		http_frame_fn fn, void *arg)
{
	struct im_frames f = { .fn = fn, .arg = arg };
	int err = im_frames_feed(&f, input, input_len);

	if (!err && !im_frames_idle(&f))
		err = -ENOLINK;
	im_frames_free(&f);
	return err;
}

const char *http_error(const struct http *h)
{
	return "";
}

void verify_fail(struct verify *v, const char *fmt, ...)
{
}

int suspect_add(struct verify *v, const struct im_fid *dir,
		const struct im_fid *local, const char *name, u32 what)
{
	abort();
}

int suspect_settle(struct verify *v)
{
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct verify v = { .lock = PTHREAD_MUTEX_INITIALIZER };
	static struct part parts[8];
	bool gone[8] = { false };
	struct there t = { .v = &v, .p = parts, .n = 1, .gone = gone };
	struct timespec now;
	unsigned int i;
	int err;

	if (!size)
		return 0;
	/* somebody asks */
	clock_gettime(CLOCK_MONOTONIC, &now);
	v.asked = now.tv_sec;
	if (*data & 0x80) {
		t.list = calloc(VERIFY_LIST_MAX, sizeof(*t.list));
		must(t.list);
	} else {
		t.n = 1 + (*data & 7);
		t.size = 1 << (*data >> 3) % (IM_ASK_SPLIT + 1);
		t.sums = calloc((size_t)t.n * t.size, sizeof(*t.sums));
		must(t.sums);
	}
	input = data + 1;
	input_len = size - 1;
	err = there_ask(&t);
	must(err <= 0 && t.at <= t.n && t.count <= VERIFY_LIST_MAX &&
	     t.content <= t.count);
	must(err || (t.ended && t.at == t.n && !t.listing));
	for (i = 0; i < t.count; i++) {
		const struct listed *l = &t.list[i];

		must(l->obj);
		must(err || (l->o.name_len && l->o.name_len <= IM_NAME_LEN));
		must(!l->read || err || S_ISREG(le32_to_cpu(l->o.o->mode)));
		free(l->obj);
	}
	free(t.list);
	free(t.sums);
	return 0;
}
