// SPDX-License-Identifier: GPL-2.0
#include "text.h"

size_t im_utf8_len(const char *p, size_t len, u32 *code)
{
	static const u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const u8 *b = (const u8 *)p;
	size_t want, i;
	u32 c;

	if (!len)
		return 0;
	if (b[0] < 0x80) {
		want = 1;
		c = b[0];
	} else if (b[0] >= 0xc2 && b[0] < 0xe0) {
		want = 2;
		c = b[0] & 0x1f;
	} else if (b[0] >= 0xe0 && b[0] < 0xf0) {
		want = 3;
		c = b[0] & 0x0f;
	} else if (b[0] >= 0xf0 && b[0] < 0xf5) {
		want = 4;
		c = b[0] & 0x07;
	} else {
		return 0;
	}
	if (want > len)
		return 0;
	for (i = 1; i < want; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (b[i] & 0x3f);
	}
	if (c < least[want] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	if (code)
		*code = c;
	return want;
}

bool im_utf8_ok(const char *p, size_t len)
{
	size_t n;

	while (len) {
		n = im_utf8_len(p, len, NULL);
		if (!n)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

void im_utf8_force(char *s)
{
	size_t len = strlen(s);
	size_t n;

	while (len) {
		n = im_utf8_len(s, len, NULL);
		if (!n) {
			*s = '?';
			n = 1;
		}
		s += n;
		len -= n;
	}
}
