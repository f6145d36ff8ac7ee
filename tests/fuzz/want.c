// SPDX-License-Identifier: GPL-2.0
/*
 * The items of a URL. What is taken must be the only text of its items, and
 * items that a body may have, too.
 */
#include "common/want.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = (char *)malloc(size + 1);
	struct im_buf items = { 0 }, again = { 0 };
	struct im_wire_get get;
	const char *name;
	size_t at;
	ssize_t n;

	must(text);
	memcpy(text, data, size);
	text[size] = 0;
	if (!im_want_items(text, &items)) {
		must(items.len && items.len / sizeof(get) <= IM_WIRE_GETS);
		for (at = 0; at < items.len; at += n) {
			n = im_get_get(items.p + at, items.len - at, &get,
				       &name);
			must(n == sizeof(get) && get.recno && !get.name_len);
		}
		must(im_want_text(&items, &again));
		must(!strcmp((char *)again.p, text));
	}
	im_buf_free(&items);
	im_buf_free(&again);
	free(text);
	return 0;
}
