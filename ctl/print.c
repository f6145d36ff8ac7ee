// SPDX-License-Identifier: GPL-2.0
#include "ctl.h"

#include <stdlib.h>
#include <time.h>
#include "common/text.h"

/* C0 and C1 controls, and what reverses or hides text in a terminal */
static bool is_shown(u32 code)
{
	if (code < 0x20 || (code >= 0x7f && code < 0xa0))
		return false;
	return !(code >= 0x200b && code <= 0x200f) &&
	       !(code >= 0x2028 && code <= 0x202e) &&
	       !(code >= 0x2066 && code <= 0x2069) && code != 0xfeff;
}

void print_quoted(FILE *out, const char *s, size_t len)
{
	size_t n, i;
	u32 code;

	fputc('"', out);
	while (len) {
		n = im_utf8_len(s, len, &code);
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", out);
		else if (*s == '\t')
			fputs("\\t", out);
		else if (n && is_shown(code))
			fwrite(s, 1, n, out);
		else
			for (i = 0; i < (n ? n : 1); i++)
				fprintf(out, "\\x%02x", (u8)s[i]);
		s += n ? n : 1;
		len -= n ? n : 1;
	}
	fputc('"', out);
}

void json_put_bytes(json_t *object, const char *key, const void *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const u8 *b = p;
	char name[64];
	char *hex;
	size_t i;

	if (im_utf8_ok(p, len) && !memchr(p, 0, len)) {
		json_object_set_new(object, key, json_stringn(p, len));
		return;
	}
	hex = malloc(2 * len);
	if (!hex)
		return;
	for (i = 0; i < len; i++) {
		hex[2 * i] = digits[b[i] >> 4];
		hex[2 * i + 1] = digits[b[i] & 15];
	}
	snprintf(name, sizeof(name), "%s_hex", key);
	json_object_set_new(object, name, json_stringn(hex, 2 * len));
	free(hex);
}

void print_bytes(FILE *out, u64 bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB",
					     "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		fprintf(out, "%u bytes", (unsigned int)bytes);
		return;
	}
	for (value /= 1024; value >= 1024; value /= 1024)
		unit++;
	fprintf(out, "%.1f %s", value, units[unit]);
}

void print_seconds(FILE *out, s64 s)
{
	time_t t = s;
	char text[32];
	struct tm tm;

	if (!localtime_r(&t, &tm) ||
	    !strftime(text, sizeof(text), "%F %T", &tm))
		snprintf(text, sizeof(text), "%lld", (long long)s);
	fputs(text, out);
}

void print_time(FILE *out, s64 ns)
{
	s64 s = ns / 1000000000;

	if (ns % 1000000000 < 0)
		s--;
	print_seconds(out, s);
	fprintf(out, ".%03d", (int)((ns - s * 1000000000) / 1000000));
}
