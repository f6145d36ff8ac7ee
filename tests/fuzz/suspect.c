// SPDX-License-Identifier: GPL-2.0
/*
 * What a server answers about single names, and the part of its log between two
 * looks. Input: a byte (bit 7: the log; else the number of names, of 1 to 8),
 * then the frames.
 * links: tests/unit/fake/none.c
 */
#include "syncd/suspect.c"

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

int verify_identify(void *arg, int fd, struct im_fid *fid)
{
	abort();
}

int verify_open(struct verify *v, const struct im_fid *local,
		const struct im_fid *fid)
{
	abort();
}

int verify_pay(struct verify *v, u64 bytes)
{
	abort();
}

u32 verify_differ(const struct im_obj *here, const struct im_fid *fid,
		  const struct im_obj *there)
{
	abort();
}

void verify_query(struct verify *v, char *buf, size_t size)
{
	*buf = '\0';
}

static void fuzz_names(struct look *l)
{
	struct im_obj obj;
	unsigned int i;
	int err = look_there(l);

	must(err <= 0 && l->at <= l->v->n);
	must(err || (l->ended && l->at == l->v->n && !l->listing));
	for (i = 0; i < l->v->n; i++) {
		struct im_buf *b = &l->there[i].obj;

		must(err || !b->len ||
		     im_obj_get(b->p, b->len, true, &obj) == (ssize_t)b->len);
		im_buf_free(b);
	}
}

static void fuzz_log(struct look *l)
{
	const struct place a = { .low = 1000, .follows = true };
	const struct place b = { .low = 1000, .ahead = 1002, .follows = true };
	int err = look_log(l, &a, &b);

	must(err <= 0 && l->next <= l->until + 1);
	must(err || l->next == l->until + 1 || l->v->v[0].touched);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct suspect names[8];
	static struct verify v = { .v = names };
	static struct look l;
	unsigned int i;

	if (!size)
		return 0;
	memset(&l, 0, sizeof(l));
	l.v = &v;
	v.n = 1 + (*data & 7);
	for (i = 0; i < v.n; i++) {
		memset(&names[i], 0, sizeof(names[i]));
		names[i].dir.ino = cpu_to_le64(2);
		strcpy(names[i].name, "name");
	}
	input = data + 1;
	input_len = size - 1;
	if (*data & 0x80)
		fuzz_log(&l);
	else
		fuzz_names(&l);
	return 0;
}
