// SPDX-License-Identifier: GPL-2.0
/*
 * The body of a data or stat request. What is taken must encode to the same
 * bytes.
 */
#include "common/wire.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 *p = fuzz_copy(data, size, 1);
	struct im_buf b = { 0 };
	size_t at = 0;

	while (at < size) {
		struct im_wire_get get;
		const char *name;
		ssize_t n = im_get_get(p + 1 + at, size - at, &get, &name);
		u64 len;

		must(n == -EPROTO || (n > 0 && n % 8 == 0));
		if (n < 0)
			break;
		len = le64_to_cpu(get.len);
		must(!~len || le64_to_cpu(get.off) + len <= INT64_MAX);
		im_get_put(&b, &get, name);
		at += n;
		must(at <= size && b.len == at);
	}
	must(!b.err && (!b.len || !memcmp(b.p, p + 1, b.len)));
	im_buf_free(&b);
	free(p);
	return 0;
}
