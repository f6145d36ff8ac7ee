// SPDX-License-Identifier: GPL-2.0
#include "want.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

u64 im_want_hash(const char *text)
{
	return XXH3_64bits(text, strlen(text));
}

static void want_put(struct im_buf *b, const char *sep, u64 n)
{
	char text[24];

	im_buf_put(b, text, snprintf(text, sizeof(text), "%s%" PRIx64, sep, n));
}

bool im_want_text(const struct im_buf *items, struct im_buf *text)
{
	struct im_wire_get get, last = { 0 };
	const char *name;
	ssize_t n;
	size_t at;

	for (at = 0; at < items->len; at += n) {
		n = im_get_get(items->p + at, items->len - at, &get, &name);
		if (n < 0 || !im_fid_none(&get.dir) || !get.recno ||
		    text->len > IM_WIRE_WANT_MAX)
			return false;
		if (!at || !im_fid_eq(&get.fid, &last.fid) ||
		    get.recno != last.recno) {
			want_put(text, at ? "_" : "", le64_to_cpu(get.fid.ino));
			want_put(text, ".", le32_to_cpu(get.fid.gen));
			want_put(text, ".", le64_to_cpu(get.recno));
		}
		want_put(text, "-", le64_to_cpu(get.off));
		if (get.len == cpu_to_le64(UINT64_MAX))
			im_buf_put(text, ".", 1);
		else
			want_put(text, ".", le64_to_cpu(get.len));
		last = get;
	}
	if (!text->len || text->len > IM_WIRE_WANT_MAX)
		return false;
	im_buf_put(text, "", 1);
	text->len -= !text->err;
	return !text->err;
}

/* False: no number there, or none of 64 bits. */
static bool want_number(const char **text, u64 *n)
{
	const char *p = *text;

	for (*n = 0; p - *text <= 16; p++) {
		if (*p >= '0' && *p <= '9')
			*n = *n << 4 | (u64)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			*n = *n << 4 | (u64)(*p - 'a' + 10);
		else
			break;
	}
	if (p == *text || p - *text > 16)
		return false;
	*text = p;
	return true;
}

static bool want_char(const char **text, char c)
{
	if (**text != c)
		return false;
	++*text;
	return true;
}

static bool want_file(const char **p, struct im_wire_get *get)
{
	u64 ino, gen, recno;

	if (!want_number(p, &ino) || !want_char(p, '.') ||
	    !want_number(p, &gen) || !want_char(p, '.') ||
	    !want_number(p, &recno) || gen > UINT32_MAX)
		return false;
	memset(get, 0, sizeof(*get));
	get->fid.ino = cpu_to_le64(ino);
	get->fid.gen = cpu_to_le32((u32)gen);
	get->recno = cpu_to_le64(recno);
	return true;
}

static bool want_range(const char **p, struct im_wire_get *get)
{
	u64 off, len = UINT64_MAX;

	if (!want_char(p, '-') || !want_number(p, &off) || !want_char(p, '.'))
		return false;
	if (**p && **p != '-' && **p != '_' && !want_number(p, &len))
		return false;
	get->off = cpu_to_le64(off);
	get->len = cpu_to_le64(len);
	return true;
}

static bool want_parse(const char *p, struct im_buf *items)
{
	struct im_wire_get get;
	unsigned int n = 0;

	do {
		if (!want_file(&p, &get))
			return false;
		do {
			if (!want_range(&p, &get) || ++n > IM_WIRE_GETS)
				return false;
			im_get_put(items, &get, NULL);
		} while (*p == '-');
	} while (want_char(&p, '_'));
	return !*p;
}

/* The numbers are checked with the items, the form against their text. */
int im_want_items(const char *text, struct im_buf *items)
{
	struct im_buf again = { 0 };
	int err = 0;

	if (strlen(text) > IM_WIRE_WANT_MAX || !want_parse(text, items))
		err = -EINVAL;
	else if (!im_want_text(items, &again) || strcmp((char *)again.p, text))
		err = again.err || items->err ? -ENOMEM : -EINVAL;
	im_buf_free(&again);
	return err;
}
