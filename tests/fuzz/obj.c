// SPDX-License-Identifier: GPL-2.0
/*
 * Objects of a snapshot or a stat answer, one after the other as in an ENTRY
 * frame. What is taken must encode to the same bytes.
 */
#include "common/wire.h"

#include "fuzz.h"

static void check(const struct im_obj *obj, const u8 *p, size_t len)
{
	struct im_xattr *x = calloc(obj->xattr_count + 1, sizeof(*x));
	struct im_buf b = { 0 };
	unsigned int n = 0;
	size_t pos = 0;
	const char *name;
	u16 name_len;

	must(x);
	while (im_obj_xattr(obj, &pos, &name, &name_len, &x[n].value,
			    &x[n].value_len)) {
		must(n < obj->xattr_count);
		must(im_xattr_name_ok(name, name_len));
		x[n].name = strndup(name, name_len);
		must(x[n++].name);
	}
	must(n == obj->xattr_count);
	im_obj_put(&b, obj->o, obj->name, obj->name_len, obj->target,
		   obj->target_len, x, n);
	must(!b.err && b.len == len && !memcmp(b.p, p, len));
	im_buf_free(&b);
	while (n)
		free((char *)x[--n].name);
	free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 *p = fuzz_copy(data, size, 0);
	size_t at = 0;

	if (size > IM_WIRE_FRAME_MAX)
		size = IM_WIRE_FRAME_MAX;
	while (at < size) {
		struct im_obj obj;
		ssize_t n = im_obj_get(p + at, size - at, true, &obj);

		if (n < 0)
			n = im_obj_get(p + at, size - at, false, &obj);
		must(n == -EPROTO || (n > 0 && n % 8 == 0));
		if (n < 0)
			break;
		must((size_t)n <= size - at);
		check(&obj, p + at, n);
		at += n;
	}
	free(p);
	return 0;
}
