// SPDX-License-Identifier: GPL-2.0
#include "invite.h"

#include <stdio.h>
#include <xxhash.h>

#define FIXED	(FINGERPRINT + INVITE_SECRET + 2)
#define SUM	4
#define BYTES	(FIXED + 1 + IM_FSNAME_LEN + 1 + ADDRESS_HOST_MAX + SUM)

_Static_assert(INVITE_TEXT > sizeof(INVITE_PREFIX) + (BYTES + 2) / 3 * 4,
	       "no room for the longest");
_Static_assert(INVITE_URL > 6 + 2 + ADDRESS_HOST_MAX + 6 + 1 + IM_FSNAME_LEN +
			    1 + FINGERPRINT_TEXT, "no room for the longest");

static const char digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void sum_put(const u8 *p, size_t len, u8 sum[SUM])
{
	XXH32_canonical_t c;

	XXH32_canonicalFromHash(&c, XXH32(p, len, 0));
	memcpy(sum, c.digest, SUM);
}

/* Number of bytes; -1: not the only text for them, or too many. */
static int decode(const char *s, u8 *p, size_t room)
{
	u32 bits = 0;
	int have = 0;
	size_t n = 0;
	const char *d;

	for (; *s; s++) {
		d = strchr(digits, *s);
		if (!d)
			return -1;
		bits = bits << 6 | (u32)(d - digits);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (n == room)
			return -1;
		p[n++] = (u8)(bits >> have);
		bits &= (1U << have) - 1;
	}
	return have >= 6 || bits ? -1 : (int)n;
}

static void encode(const u8 *p, size_t len, char *s)
{
	u32 bits = 0;
	int have = 0;

	for (; len; len--) {
		bits = bits << 8 | *p++;
		have += 8;
		while (have >= 6) {
			have -= 6;
			*s++ = digits[bits >> have & 63];
		}
		bits &= (1U << have) - 1;
	}
	if (have)
		*s++ = digits[bits << (6 - have) & 63];
	*s = '\0';
}

/* A length and so many bytes without NUL; NULL: they do not end before end. */
static const u8 *get_text(const u8 *p, const u8 *end, char *to, size_t room)
{
	size_t len;

	if (p == end)
		return NULL;
	len = *p++;
	if (len >= room || len > (size_t)(end - p) || memchr(p, 0, len))
		return NULL;
	memcpy(to, p, len);
	to[len] = '\0';
	return p + len;
}

int invite_parse(const char *text, struct invite *v)
{
	u8 bytes[BYTES], sum[SUM];
	const u8 *p = bytes, *end;
	int n;

	if (!invite_is(text))
		return -EINVAL;
	n = decode(text + strlen(INVITE_PREFIX), bytes, sizeof(bytes));
	if (n < FIXED + 2 + SUM)
		return -EINVAL;
	end = bytes + n - SUM;
	sum_put(bytes, n - SUM, sum);
	if (memcmp(sum, end, SUM))
		return -EINVAL;
	memcpy(v->server, p, FINGERPRINT);
	p += FINGERPRINT;
	memcpy(v->secret, p, INVITE_SECRET);
	p += INVITE_SECRET;
	v->port = (u16)(p[0] << 8 | p[1]);
	p += 2;
	p = get_text(p, end, v->name, sizeof(v->name));
	if (p)
		p = get_text(p, end, v->host, sizeof(v->host));
	if (p != end || !v->port || im_fsname_check(v->name) ||
	    !address_host_ok(v->host))
		return -EINVAL;
	return 0;
}

static u8 *put_text(u8 *p, const char *text)
{
	size_t len = strlen(text);

	*p++ = (u8)len;
	memcpy(p, text, len);
	return p + len;
}

bool invite_seal(const void *content, size_t len, char text[INVITE_TEXT])
{
	u8 bytes[BYTES];

	if (len > sizeof(bytes) - SUM)
		return false;
	memcpy(bytes, content, len);
	sum_put(bytes, len, bytes + len);
	strcpy(text, INVITE_PREFIX);
	encode(bytes, len + SUM, text + strlen(INVITE_PREFIX));
	return true;
}

void invite_format(const struct invite *v, char text[INVITE_TEXT])
{
	u8 bytes[BYTES], *p = bytes;

	memcpy(p, v->server, FINGERPRINT);
	p += FINGERPRINT;
	memcpy(p, v->secret, INVITE_SECRET);
	p += INVITE_SECRET;
	*p++ = (u8)(v->port >> 8);
	*p++ = (u8)v->port;
	p = put_text(p, v->name);
	p = put_text(p, v->host);
	invite_seal(bytes, p - bytes, text);
}

void invite_url(const struct invite *v, char url[INVITE_URL])
{
	bool v6 = strchr(v->host, ':');
	char fp[FINGERPRINT_TEXT];

	fingerprint_text(v->server, fp);
	snprintf(url, INVITE_URL, "tls://%s%s%s:%u/%s#%s", v6 ? "[" : "",
		 v->host, v6 ? "]" : "", v->port, v->name, fp);
}
