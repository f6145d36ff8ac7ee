// SPDX-License-Identifier: GPL-2.0
/* The body of a digest request. What is taken must encode to the same bytes. */
#include "common/wire.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 *p = fuzz_copy(data, size, 1);
	struct im_buf b = { 0 };
	size_t at = 0;

	while (at < size) {
		struct im_wire_ask ask;
		const char *name;
		ssize_t n = im_ask_get(p + 1 + at, size - at, &ask, &name);

		must(n == -EPROTO || (n > 0 && n % 8 == 0));
		if (n < 0)
			break;
		must(ask.bits <= IM_ASK_BITS && ask.split <= IM_ASK_SPLIT);
		must(le32_to_cpu(ask.prefix) >> ask.bits == 0);
		must(!ask.name_len || ask.flags & IM_ASK_LIST);
		im_ask_put(&b, &ask, name);
		at += n;
		must(at <= size && b.len == at);
	}
	must(!b.err && (!b.len || !memcmp(b.p, p + 1, b.len)));
	im_buf_free(&b);
	free(p);
	return 0;
}
