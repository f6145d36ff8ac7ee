// SPDX-License-Identifier: GPL-2.0
/*
 * Text that may be no text: UTF-8 checks against the definition over all
 * sequences of up to three bytes, and that what the log prints of a name gives
 * exactly the name back.
 * links: ctl/print.c
 */
#include "common/text.h"

#include "ctl/ctl.h"
#include "tap.h"

/* By encoding each code point and comparing: slow, and plainly right. */
static bool oracle(const u8 *p, size_t len)
{
	u8 out[4];
	size_t n;
	u32 c;

	for (c = 0; c < 0x110000; c++) {
		if (c >= 0xd800 && c < 0xe000)
			continue;
		if (c < 0x80) {
			n = 1;
			out[0] = c;
		} else if (c < 0x800) {
			n = 2;
			out[0] = 0xc0 | c >> 6;
			out[1] = 0x80 | (c & 63);
		} else if (c < 0x10000) {
			n = 3;
			out[0] = 0xe0 | c >> 12;
			out[1] = 0x80 | (c >> 6 & 63);
			out[2] = 0x80 | (c & 63);
		} else {
			return false;	/* no more than three bytes here */
		}
		if (n == len && !memcmp(out, p, n))
			return true;
	}
	return false;
}

static void test_utf8(void)
{
	static const u8 heads[] = { 0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2,
				    0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
				    0xf0, 0xf4, 0xf5, 0xff };
	static const u8 tails[] = { 0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
				    0xbf, 0xc0, 0xff };
	unsigned int wrong = 0;
	size_t i, j, k, len;
	u8 p[3];

	for (i = 0; i < sizeof(heads); i++)
		for (j = 0; j < sizeof(tails); j++)
			for (k = 0; k < sizeof(tails); k++) {
				p[0] = heads[i];
				p[1] = tails[j];
				p[2] = tails[k];
				for (len = 1; len <= 3; len++)
					if ((im_utf8_len((char *)p, len, NULL) ==
					     len) != oracle(p, len))
						wrong++;
			}
	is(wrong, 0, "sequences at the limits, against the definition");
	ok(im_utf8_ok("\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf", 8), "four bytes");
	ok(!im_utf8_ok("\xf4\x90\x80\x80", 4), "beyond the last code point");
	ok(!im_utf8_ok("\xf0\x8f\xbf\xbf", 4), "too long a form");
	ok(!im_utf8_ok("abc\xf0\x9f\x98", 6), "cut off");
	ok(im_utf8_ok("", 0), "nothing");
}

static void test_force(void)
{
	char s[] = "a\xff\xc3\xbc\xc3";

	im_utf8_force(s);
	ok(!strcmp(s, "a?\xc3\xbc?"), "bytes that are no text become '?'");
}

/* Reads "..." as the manual describes it; the length, or -1. */
static int unquote(const char *s, char *out)
{
	char *to = out;
	unsigned int byte;

	if (*s++ != '"')
		return -1;
	for (; *s && *s != '"'; s++) {
		if (*s != '\\') {
			*to++ = *s;
			continue;
		}
		switch (*++s) {
		case 'n':
			*to++ = '\n';
			break;
		case 't':
			*to++ = '\t';
			break;
		case 'x':
			if (sscanf(s + 1, "%2x", &byte) != 1)
				return -1;
			*to++ = (char)byte;
			s += 2;
			break;
		default:
			*to++ = *s;
		}
	}
	return strcmp(s, "\"") ? -1 : (int)(to - out);
}

static void test_quoted(void)
{
	unsigned int wrong = 0, unclean = 0;
	char name[64], back[64], text[512];
	size_t len, i;
	FILE *mem;
	int round;

	rnd_seed(1);
	for (round = 0; round < 20000; round++) {
		len = rnd_below(sizeof(name));
		for (i = 0; i < len; i++)
			name[i] = rnd_below(3) ? (char)(rnd_below(255) + 1) :
						 "\"\\\n\tx\xc3\xbc\xe2\x80"[rnd_below(9)];
		memset(text, 0, sizeof(text));
		mem = fmemopen(text, sizeof(text), "w");
		print_quoted(mem, name, len);
		fclose(mem);
		if (unquote(text, back) != (int)len || memcmp(back, name, len))
			wrong++;
		for (i = 0; text[i]; i++)
			if ((u8)text[i] < 0x20 || text[i] == 0x7f)
				unclean++;
		if (!im_utf8_ok(text, strlen(text)))
			unclean++;
	}
	is(wrong, 0, "what is printed gives the name back");
	is(unclean, 0, "and is text without control characters");
}

static void test_json(void)
{
	json_t *o = json_object();

	json_put_bytes(o, "a", "f\xc3\xbc", 3);
	json_put_bytes(o, "b", "f\xc3", 2);
	json_put_bytes(o, "c", "f\0g", 3);
	json_put_bytes(o, "d", "", 0);
	ok(!strcmp(json_string_value(json_object_get(o, "a")), "f\xc3\xbc"),
	   "text is text");
	ok(!json_object_get(o, "b") &&
	   !strcmp(json_string_value(json_object_get(o, "b_hex")), "66c3"),
	   "no text is hexadecimal, under another key");
	ok(!strcmp(json_string_value(json_object_get(o, "c_hex")), "660067"),
	   "so is NUL");
	ok(!strcmp(json_string_value(json_object_get(o, "d")), ""), "nothing");
	json_decref(o);
}

static void test_numbers(void)
{
	static const struct {
		u64 bytes;
		const char *text;
	} t[] = {
		{ 0, "0 bytes" },	  { 1023, "1023 bytes" },
		{ 1024, "1.0 KiB" },	  { 1048576, "1.0 MiB" },
		{ 16 << 20, "16.0 MiB" }, { UINT64_MAX, "16.0 EiB" },
	};
	char text[64];
	FILE *mem;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		memset(text, 0, sizeof(text));
		mem = fmemopen(text, sizeof(text), "w");
		print_bytes(mem, t[i].bytes);
		fclose(mem);
		ok(!strcmp(text, t[i].text), "%s", t[i].text);
	}
	setenv("TZ", "UTC", 1);
	memset(text, 0, sizeof(text));
	mem = fmemopen(text, sizeof(text), "w");
	print_time(mem, -1000000);
	fputc(' ', mem);
	print_time(mem, 1234567890123456789);
	fclose(mem);
	ok(!strcmp(text, "1969-12-31 23:59:59.999 2009-02-13 23:31:30.123"),
	   "times, also before 1970: %s", text);
}

int main(void)
{
	test_utf8();
	test_force();
	test_quoted();
	test_json();
	test_numbers();
	return tap_done();
}
