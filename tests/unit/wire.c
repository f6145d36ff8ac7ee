// SPDX-License-Identifier: GPL-2.0
/*
 * Frames, fed in pieces of any size, with bad headers, bad zstd data and
 * bombs; objects and request items, cut, flipped and hostile.
 */
#include "common/wire.h"

#include <sys/stat.h>
#include <zstd.h>

#include "samples.h"
#include "tap.h"

/* What came out of a decoder: types and payloads, one after the other. */
struct seen {
	struct im_buf all;
	unsigned int frames;
	unsigned int stop_at;	/* frame at which fn fails, from 1; 0: never */
	bool misaligned;
};

static int on_frame(void *arg, unsigned int type, const u8 *payload, size_t len)
{
	struct seen *s = arg;
	u32 head[2] = { type, len };

	im_buf_put(&s->all, head, sizeof(head));
	im_buf_put(&s->all, payload, len);
	if ((uintptr_t)payload & 7)
		s->misaligned = true;
	return ++s->frames == s->stop_at ? -ECANCELED : 0;
}

/* Feeds in pieces, each allocated to the byte. */
static int feed(struct im_frames *f, const u8 *p, size_t len, size_t piece)
{
	int err = 0;

	while (len && !err) {
		size_t n = piece < len ? piece : len;
		u8 *copy = malloc(n);

		memcpy(copy, p, n);
		err = im_frames_feed(f, copy, n);
		free(copy);
		p += n;
		len -= n;
	}
	return err;
}

static void fill(u8 *p, size_t len, bool packs)
{
	for (size_t i = 0; i < len; i++)
		p[i] = packs ? (i / 100) * 7 : rnd();
}

/* A stream of all types, sizes around the interesting ones. */
static void make_stream(struct im_buf *b, struct seen *want, bool small)
{
	static const size_t sizes[] = { 0, 1, 7, 8, 63, 64, 65, 1000, 4095,
					70000, IM_WIRE_FRAME_MAX };
	u8 *p = malloc(IM_WIRE_FRAME_MAX);

	memset(want, 0, sizeof(*want));
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int packs = 0; packs < 2; packs++) {
			unsigned int type = 1 + i % IM_FR_RIDERS;

			if (small && sizes[i] > 1000)
				continue;
			fill(p, sizes[i], packs);
			im_frame_put(b, type, p, sizes[i], packs ? 3 : i % 2);
			on_frame(want, type, p, sizes[i]);
		}
	}
	free(p);
}

static void test_pieces(void)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 8, 9, 15, 64, 255, 4096,
					 65537, 1 << 20, 1 << 30 };
	struct im_buf b = { 0 };
	struct seen want;

	rnd_seed(1);
	make_stream(&b, &want, false);
	is(b.err, 0, "a stream of %u frames", want.frames);
	ok(b.len < want.all.len - IM_WIRE_FRAME_MAX / 2, "what packs is packed");
	for (unsigned int i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct seen got = { .stop_at = 0 };
		struct im_frames f = { .fn = on_frame, .arg = &got };

		is(feed(&f, b.p, b.len, pieces[i]), 0, "pieces of %zu",
		   pieces[i]);
		ok(got.all.len == want.all.len &&
		   !memcmp(got.all.p, want.all.p, want.all.len),
		   "give the same frames");
		ok(im_frames_idle(&f) && !got.misaligned &&
		   f.wire_bytes == b.len, "nothing is left");
		ok(f.in.room <= 4 * IM_WIRE_FRAME_MAX &&
		   f.raw.room <= 4 * IM_WIRE_FRAME_MAX, "memory is bounded");
		im_frames_free(&f);
		im_buf_free(&got.all);
	}
	im_buf_free(&b);
	im_buf_free(&want.all);
}

static void test_cut_stream(void)
{
	struct im_buf b = { 0 };
	unsigned int wrong = 0;
	struct seen want;

	rnd_seed(2);
	make_stream(&b, &want, true);
	for (size_t cut = 0; cut <= b.len; cut++) {
		struct seen got = { .stop_at = 0 };
		struct im_frames f = { .fn = on_frame, .arg = &got };
		size_t at = 0;

		if (feed(&f, b.p, cut, 4096))
			wrong++;
		/* Idle just where a frame ends. */
		while (at < cut) {
			struct im_frame h;

			memcpy(&h, b.p + at, sizeof(h));
			at += sizeof(h) + le32_to_cpu(h.len);
		}
		if (im_frames_idle(&f) != (at == cut))
			wrong++;
		if (feed(&f, b.p + cut, b.len - cut, 1 << 20) ||
		    got.frames != want.frames)
			wrong++;
		im_frames_free(&f);
		im_buf_free(&got.all);
	}
	is(wrong, 0, "cut at each of %zu bytes and gone on", b.len);
	im_buf_free(&b);
	im_buf_free(&want.all);
}

static int feed_raw(u32 len, u8 type, u8 flags, u16 zero, const void *p,
		    size_t n)
{
	struct im_frame h = {
		.len = cpu_to_le32(len), .type = type, .flags = flags,
		.zero = cpu_to_le16(zero),
	};
	struct seen got = { .stop_at = 0 };
	struct im_frames f = { .fn = on_frame, .arg = &got };
	struct im_buf b = { 0 };
	int err, bytewise;

	im_buf_put(&b, &h, sizeof(h));
	im_buf_put(&b, p, n);
	err = feed(&f, b.p, b.len, b.len);
	if (err && im_frames_feed(&f, "", 1) != err)
		err = -EEXIST;	/* an error sticks */
	if (err && got.frames)
		err = -EEXIST;	/* nothing is delivered */
	if (err && im_frames_idle(&f))
		err = -EEXIST;
	im_frames_free(&f);
	bytewise = feed(&f, b.p, b.len, 1);
	if (bytewise != err)
		err = -EEXIST;	/* pieces make no difference */
	im_frames_free(&f);
	im_buf_free(&b);
	im_buf_free(&got.all);
	return err;
}

/* A PACK with that inside. */
static int feed_pack(u32 len, u8 type, u8 flags, const char *text, size_t n)
{
	struct im_frame h = {
		.len = cpu_to_le32(len), .type = type, .flags = flags,
	};
	struct im_buf b = { 0 };
	int err;

	im_buf_put(&b, &h, sizeof(h));
	im_buf_put(&b, text, n);
	err = feed_raw(b.len, IM_FR_PACK, 0, 0, b.p, b.len);
	im_buf_free(&b);
	return err;
}

static void test_pack(void)
{
	struct seen want, got = { .stop_at = 0 };
	struct im_frames f = { .fn = on_frame, .arg = &got };
	struct im_buf b = { 0 };
	char text[101];
	size_t head, raw;
	bool packed;
	int i;

	memset(&want, 0, sizeof(want));
	im_frame_put(&b, IM_FR_ALIVE, "12345678", 8, 0);
	on_frame(&want, IM_FR_ALIVE, (const u8 *)"12345678", 8);
	head = b.len;
	for (i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "%0*d", i + 1, i);
		im_frame_put(&b, IM_FR_DATA, text, i + 1, 0);
		on_frame(&want, IM_FR_DATA, (const u8 *)text, i + 1);
	}
	raw = b.len;
	packed = im_frames_pack(&b, head, 3);
	ok(packed && b.len < raw / 2,
	   "a hundred frames in one: %zu bytes, not %zu", b.len, raw);
	im_frame_put(&b, IM_FR_END, "", 0, 0);
	on_frame(&want, IM_FR_END, (const u8 *)"", 0);
	is(feed(&f, b.p, b.len, 13), 0, "come");
	ok(got.frames == want.frames && got.all.len == want.all.len &&
	   !memcmp(got.all.p, want.all.p, got.all.len) && !got.misaligned,
	   "as they were");
	im_frames_free(&f);
	raw = b.len;
	ok(!im_frames_pack(&b, head, 3) && b.len == raw,
	   "what is packed is not packed again");
	im_buf_reset(&b);
	for (i = 0; i < 20; i++) {
		fill((u8 *)text, 100, false);
		im_frame_put(&b, IM_FR_DATA, text, 100, 0);
	}
	raw = b.len;
	ok(!im_frames_pack(&b, 0, 3) && b.len == raw,
	   "nor what does not get smaller");
	im_buf_free(&b);
	im_buf_free(&want.all);
	im_buf_free(&got.all);

	is(feed_pack(3, IM_FR_DATA, 0, "abc\0\0\0\0", 8), 0, "a pack of one");
	is(feed_pack(3, IM_FR_DATA, 0, "abc", 3), -EPROTO, "not padded");
	is(feed_pack(3, IM_FR_DATA, 0, "abc\0\0\0\0x", 8), -EPROTO,
	   "padded with something");
	is(feed_pack(9, IM_FR_DATA, 0, "abc\0\0\0\0", 8), -EPROTO, "too long");
	is(feed_pack(0, IM_FR_PACK, 0, "", 0), -EPROTO, "a pack in it");
	is(feed_pack(8, IM_FR_DATA, IM_FRAME_ZSTD, "abcdefgh", 8), -EPROTO,
	   "zstd in it");
	is(feed_pack(0, 0, 0, "", 0), -EPROTO, "no type in it");
	is(feed_raw(0, IM_FR_PACK, 0, 0, "", 0), -EPROTO, "an empty one");
	is(feed_raw(4, IM_FR_PACK, 0, 0, "abcd", 4), -EPROTO, "half a head");
}

static void test_bad_header(void)
{
	is(feed_raw(0, IM_FR_END, 0, 0, "", 0), 0, "an empty frame");
	is(feed_raw(4, IM_FR_RIDERS, 0, 0, "abcd", 4), 0,
	   "the last type with any content");
	is(feed_raw(4, 0, 0, 0, "abcd", 4), -EPROTO, "type 0");
	is(feed_raw(4, IM_FR_MAX + 1, 0, 0, "abcd", 4), -EPROTO,
	   "unknown type");
	is(feed_raw(4, 255, 0, 0, "abcd", 4), -EPROTO, "type 255");
	is(feed_raw(4, 1, 2, 0, "abcd", 4), -EPROTO, "unknown flag");
	is(feed_raw(4, 1, 0, 1, "abcd", 4), -EPROTO, "reserved field");
	is(feed_raw(IM_WIRE_FRAME_MAX + 1, 1, 0, 0, "abcd", 4), -EPROTO,
	   "above the limit");
	is(feed_raw(~0U, 1, 0, 0, "abcd", 4), -EPROTO, "4 GiB");
	is(feed_raw(0, 1, IM_FRAME_ZSTD, 0, "", 0), -EPROTO, "packed nothing");
	is(feed_raw(4, 1, IM_FRAME_ZSTD, 0, "\1\0\0\0", 4), -EPROTO,
	   "only a raw length");
	is(feed_raw(IM_WIRE_FRAME_MAX, 1, 0, 0, "abcd", 4), 0,
	   "at the limit: waits for the rest");
}

/* A packed frame that says it is raw bytes long. */
static int feed_packed(u32 raw, const void *z, size_t n)
{
	struct im_buf b = { 0 };
	__le32 le = cpu_to_le32(raw);
	int err;

	im_buf_put(&b, &le, sizeof(le));
	im_buf_put(&b, z, n);
	err = feed_raw(b.len, IM_FR_DATA, IM_FRAME_ZSTD, 0, b.p, b.len);
	im_buf_free(&b);
	return err;
}

static void test_bad_zstd(void)
{
	const size_t huge = 64U << 20;
	size_t room = ZSTD_compressBound(huge), n, wrong = 0;
	u8 *z = malloc(room), *plain = calloc(1, huge);

	n = ZSTD_compress(z, room, plain, huge, 1);
	diag("a bomb: %zu bytes make %zu", n, huge);
	is(feed_packed(huge, z, n), -EPROTO, "a bomb that says so");
	is(feed_packed(~0U, z, n), -EPROTO, "a bomb of 4 GiB");
	is(feed_packed(1000, z, n), -EBADMSG, "a bomb that says 1000 bytes");
	is(feed_packed(IM_WIRE_FRAME_MAX, z, n), -EBADMSG,
	   "a bomb that says 1 MiB");
	is(feed_packed(0, z, n), -EPROTO, "a bomb that says nothing");

	n = ZSTD_compress(z, room, plain, 5000, 1);
	is(feed_packed(5000, z, n), 0, "good data");
	is(feed_packed(4999, z, n), -EBADMSG, "raw length too small");
	is(feed_packed(5001, z, n), -EBADMSG, "raw length too large");
	is(feed_packed(5000, z, n - 1), -EBADMSG, "cut");
	z[n] = 0;
	is(feed_packed(5000, z, n + 1), -EBADMSG, "a byte behind it");
	memcpy(z + n, z, n);
	is(feed_packed(10000, z, 2 * n), -EBADMSG, "two zstd frames");
	memcpy(z + n, "\x50\x2a\x4d\x18\4\0\0\0abcd", 12);
	is(feed_packed(5000, z, n + 12), -EBADMSG, "a skippable one behind");
	is(feed_packed(4, z + n, 12), -EBADMSG, "a skippable one alone");
	is(feed_packed(100, "garbage garbage", 15), -EBADMSG, "garbage");

	/* Any one flipped bit: an error or the right length, no more. */
	for (size_t bit = 0; bit < n * 8; bit++) {
		int err;

		z[bit / 8] ^= 1 << bit % 8;
		err = feed_packed(5000, z, n);
		z[bit / 8] ^= 1 << bit % 8;
		if (err && err != -EBADMSG)
			wrong++;
	}
	is(wrong, 0, "flipped bits");
	free(z);
	free(plain);
}

static void test_put(void)
{
	struct im_buf b = { 0 };
	u8 *p = malloc(IM_WIRE_FRAME_MAX + 1);

	rnd_seed(5);
	fill(p, IM_WIRE_FRAME_MAX + 1, false);
	im_frame_put(&b, IM_FR_DATA, p, IM_WIRE_FRAME_MAX + 1, 3);
	ok(b.err == -EMSGSIZE && !b.len, "a frame above the limit is no frame");
	im_frame_put(&b, IM_FR_DATA, p, 10, 0);
	ok(b.err == -EMSGSIZE && !b.len, "the error sticks");
	im_buf_reset(&b);
	im_frame_put(&b, IM_FR_DATA, p, 1000, 3);
	is(b.len, 1008, "what does not pack is sent as it is");
	im_buf_reset(&b);
	fill(p, 100000, true);
	im_frame_put(&b, IM_FR_DATA, p, 100000, 0);
	is(b.len, 100008, "level 0 does not pack");
	im_buf_free(&b);
	ok(!b.p && !b.room, "free");
	free(p);
}

static void test_stop(void)
{
	struct seen want, got = { .stop_at = 3 };
	struct im_frames f = { .fn = on_frame, .arg = &got };
	struct im_buf b = { 0 };

	make_stream(&b, &want, true);
	is(feed(&f, b.p, b.len, 1 << 20), -ECANCELED, "fn's error is returned");
	is(got.frames, 3, "and stops");
	is(im_frames_feed(&f, b.p, 8), -ECANCELED, "for good");
	is(got.frames, 3, "nothing more is delivered");
	im_frames_free(&f);
	ok(im_frames_idle(&f), "until freed");
	im_buf_free(&b);
	im_buf_free(&want.all);
	im_buf_free(&got.all);
}

/* Objects */

static const struct im_xattr sample_xattrs[] = {
	{ "user.empty", "", 0 },
	{ "system.posix_acl_access", "\2\0\0\0acl", 7 },
	{ "user.long", "0123456789012345678901234567890123456789", 40 },
};

static struct im_wire_obj sample_obj(u32 mode)
{
	struct im_wire_obj o = {
		.mode = cpu_to_le32(mode),
		.fid = sample_fid(0x1234567890ULL, 77),
		.uid = cpu_to_le32(1000),
		.mtime = cpu_to_le64(-5LL),
		.mtime_ns = cpu_to_le32(999999999),
		.size = cpu_to_le64(INT64_MAX),
		.nlink = cpu_to_le32(1),
	};

	return o;
}

static struct im_buf make_obj(u32 mode, const char *name, size_t name_len,
			      const char *target, unsigned int xattrs)
{
	struct im_wire_obj o = sample_obj(mode);
	struct im_buf b = { 0 };

	im_obj_put(&b, &o, name, name_len, target, strlen(target),
		   sample_xattrs, xattrs);
	return b;
}

/* Decodes from memory that is allocated to the byte. */
static ssize_t obj_verdict(const u8 *p, size_t len, bool with_name)
{
	u8 *copy = malloc(len ? len : 1);
	struct im_obj obj;
	ssize_t n;

	memcpy(copy, p, len);
	n = im_obj_get(copy, len, with_name, &obj);
	if (n >= 0) {
		unsigned int found = 0;
		size_t pos = 0;
		const void *value;
		const char *name;
		u32 value_len;
		u16 name_len;

		while (im_obj_xattr(&obj, &pos, &name, &name_len, &value,
				    &value_len))
			found++;
		if (found != obj.xattr_count || pos != obj.xattrs_len)
			n = -EEXIST;
	}
	free(copy);
	return n;
}

static void test_obj(void)
{
	static const u32 modes[] = { S_IFREG | 0644, S_IFDIR | 0755,
				     S_IFLNK | 0777, S_IFIFO | 0600,
				     S_IFSOCK | 0600, S_IFCHR | 0600,
				     S_IFBLK | 0600 };

	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		bool link = S_ISLNK(modes[i]);

		for (unsigned int xattrs = 0; xattrs <= 3; xattrs++) {
			struct im_buf b = make_obj(modes[i], "some name", 9,
						   link ? "a/target" : "",
						   xattrs);
			const void *value;
			const char *name;
			struct im_obj obj;
			size_t pos = 0;
			u32 value_len;
			u16 name_len;
			bool good;

			good = im_obj_get(b.p, b.len, true, &obj) ==
				       (ssize_t)b.len &&
			       obj.name_len == 9 &&
			       !memcmp(obj.name, "some name", 9) &&
			       obj.target_len == (link ? 8 : 0) &&
			       !memcmp(obj.target, "a/target", obj.target_len) &&
			       obj.o->mode == cpu_to_le32(modes[i]) &&
			       obj.xattr_count == xattrs && b.len % 8 == 0;
			for (unsigned int k = 0; k < xattrs && good; k++) {
				const struct im_xattr *x = &sample_xattrs[k];

				good = im_obj_xattr(&obj, &pos, &name, &name_len,
						    &value, &value_len) == 1 &&
				       name_len == strlen(x->name) &&
				       !memcmp(name, x->name, name_len) &&
				       value_len == x->value_len &&
				       !memcmp(value, x->value, value_len);
			}
			good = good && !im_obj_xattr(&obj, &pos, &name,
						     &name_len, &value,
						     &value_len);
			ok(good, "mode %06o with %u xattrs comes back", modes[i],
			   xattrs);
			im_buf_free(&b);
		}
	}
}

static void test_obj_cuts(void)
{
	struct im_buf b = make_obj(S_IFLNK | 0777, "name", 4, "target", 3);
	unsigned int wrong = 0;

	for (size_t n = 0; n < b.len; n++)
		wrong += obj_verdict(b.p, n, true) != -EPROTO;
	is(wrong, 0, "an object cut anywhere is refused");
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		ssize_t n;

		/* What is no rule may change; nothing is read beyond. */
		b.p[bit / 8] ^= 1 << bit % 8;
		n = obj_verdict(b.p, b.len, true);
		b.p[bit / 8] ^= 1 << bit % 8;
		if (n != -EPROTO && (n <= 0 || (size_t)n > b.len))
			wrong++;
	}
	is(wrong, 0, "an object with any bit flipped stays within bounds");
	im_buf_put(&b, "12345678", 8);
	is(obj_verdict(b.p, b.len, true), b.len - 8,
	   "an object ends where it says");
	im_buf_free(&b);
}

/* One field overwritten. */
static ssize_t obj_twist(u32 mode, const char *target, size_t at, size_t bytes,
			 u64 v)
{
	struct im_buf b = make_obj(mode, "name", 4, target, 2);
	ssize_t n;

	for (size_t i = 0; i < bytes; i++)
		b.p[at + i] = v >> i * 8;
	n = obj_verdict(b.p, b.len, true);
	im_buf_free(&b);
	return n;
}

#define OBJ(f) offsetof(struct im_wire_obj, f), \
	       sizeof(((struct im_wire_obj *)0)->f)
/* where the first xattr begins: name is 4 bytes */
#define X_AT (sizeof(struct im_wire_obj) + 4)

static void test_obj_hostile(void)
{
	const u32 reg = S_IFREG | 0644, lnk = S_IFLNK | 0777;
	static const char *const names[] = { "", ".", "..", "a/b", "/" };
	char x[300];
	struct im_buf b;

	ok(obj_twist(reg, "", OBJ(uid), 5) > 0, "nothing wrong");
	is(obj_twist(reg, "", OBJ(len), 0), -EPROTO, "length 0");
	is(obj_twist(reg, "", OBJ(len), 80), -EPROTO, "a header alone");
	is(obj_twist(reg, "", OBJ(len), 1 << 20), -EPROTO, "too long");
	is(obj_twist(reg, "", OBJ(len), ~0U), -EPROTO, "4 GiB");
	is(obj_twist(reg, "", OBJ(mode), 0644), -EPROTO, "no type");
	is(obj_twist(reg, "", OBJ(mode), 0x18000), -EPROTO, "more mode");
	is(obj_twist(reg, "", OBJ(mode), 0170000), -EPROTO, "all types");
	is(obj_twist(reg, "", OBJ(mode), lnk), -EPROTO, "a link to nothing");
	is(obj_twist(lnk, "to", OBJ(mode), reg), -EPROTO, "a file's target");
	is(obj_twist(reg, "", OBJ(fid.ino), 0), -EPROTO, "no FID");
	is(obj_twist(reg, "", OBJ(fid.zero), 1), -EPROTO, "reserved in FID");
	is(obj_twist(reg, "", OBJ(mtime_ns), 1000000000), -EPROTO, "10^9 ns");
	is(obj_twist(reg, "", OBJ(size), 1ULL << 63), -EPROTO, "size 2^63");
	is(obj_twist(reg, "", OBJ(zero), 1), -EPROTO, "reserved");
	is(obj_twist(reg, "", OBJ(name_len), 65535), -EPROTO, "long name");
	is(obj_twist(reg, "", OBJ(target_len), 65535), -EPROTO, "long target");
	is(obj_twist(reg, "", OBJ(xattr_count), 1), -EPROTO,
	   "fewer xattrs than there are");
	is(obj_twist(reg, "", OBJ(xattr_count), 3), -EPROTO, "more xattrs");
	is(obj_twist(reg, "", OBJ(xattr_count), 65535), -EPROTO,
	   "65535 xattrs");
	is(obj_twist(reg, "", X_AT, 2, 0), -EPROTO, "an xattr without name");
	is(obj_twist(reg, "", X_AT, 2, 0xffff), -EPROTO, "a long xattr name");
	is(obj_twist(reg, "", X_AT + 2, 2, 1), -EPROTO, "reserved in xattr");
	is(obj_twist(reg, "", X_AT + 4, 4, ~0U), -EPROTO, "value of 4 GiB");
	is(obj_twist(reg, "", X_AT + 4, 4, IM_VALUE_LEN + 1), -EPROTO,
	   "value above the limit");
	is(obj_twist(reg, "", X_AT + 8, 1, 0), -EPROTO, "NUL in xattr name");
	is(obj_twist(lnk, "to", sizeof(struct im_wire_obj) + 4, 1, 0), -EPROTO,
	   "NUL in target");

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		b = make_obj(reg, names[i], strlen(names[i]), "", 0);
		is(obj_verdict(b.p, b.len, true), -EPROTO, "name \"%s\"",
		   names[i]);
		im_buf_free(&b);
	}
	b = make_obj(reg, "a\0b", 3, "", 0);
	is(obj_verdict(b.p, b.len, true), -EPROTO, "name with NUL");
	b.p[b.len - 1] = 1;
	b.p[sizeof(struct im_wire_obj) + 1] = 'x';
	is(obj_verdict(b.p, b.len, true), -EPROTO, "padding is zero");
	b.p[b.len - 1] = 0;
	ok(obj_verdict(b.p, b.len, true) > 0, "and then it is right");
	is(obj_verdict(b.p, b.len, false), -EPROTO, "a name where none is");
	im_buf_free(&b);
	b = make_obj(reg, NULL, 0, "", 1);
	ok(obj_verdict(b.p, b.len, false) > 0, "an object without name");
	im_buf_free(&b);

	memset(x, 'x', sizeof(x));
	b = make_obj(reg, x, 255, "", 0);
	ok(obj_verdict(b.p, b.len, true) > 0, "a name of 255 bytes");
	im_buf_free(&b);
	b = make_obj(reg, "8 bytes.", 8, "", 0);
	is(obj_verdict(b.p, b.len, true), sizeof(struct im_wire_obj) + 8,
	   "a name that needs no padding");
	im_buf_free(&b);
	b = make_obj(reg, x, 256, "", 0);
	ok(b.err == -EMSGSIZE && !b.len, "256 are not sent");
	im_buf_free(&b);
}

static void test_own_xattr(void)
{
	struct im_xattr own = { IM_XATTR_ORIGIN, "x", 1 };
	struct im_wire_obj o = sample_obj(S_IFREG | 0644);
	struct im_buf b = { 0 };

	im_obj_put(&b, &o, "name", 4, NULL, 0, &own, 1);
	is(obj_verdict(b.p, b.len, true), -EPROTO,
	   "our own xattrs never travel");
	im_buf_free(&b);
}

/* Everything as long as it may be, and one byte longer. */
static void test_long_obj(void)
{
	char text[IM_TARGET_LEN + 2], name[IM_NAME_LEN + 2];
	struct im_xattr x = { name, "v", 1 };
	struct im_wire_obj o = sample_obj(S_IFLNK | 0777);
	struct im_buf b = { 0 };

	memset(text, 't', sizeof(text));
	memset(name, 'n', sizeof(name));
	name[IM_NAME_LEN] = 0;
	im_obj_put(&b, &o, "n", 1, text, IM_TARGET_LEN, &x, 1);
	ok(!b.err && obj_verdict(b.p, b.len, true) == (ssize_t)b.len,
	   "the longest target and xattr name");
	im_buf_reset(&b);
	im_obj_put(&b, &o, "n", 1, text, IM_TARGET_LEN + 1, &x, 1);
	is(b.err, -EMSGSIZE, "a longer target is not sent");
	im_buf_reset(&b);
	name[IM_NAME_LEN] = 'n';
	name[IM_NAME_LEN + 1] = 0;
	im_obj_put(&b, &o, "n", 1, text, IM_TARGET_LEN, &x, 1);
	is(b.err, -EMSGSIZE, "nor a longer xattr name");
	im_buf_free(&b);
}

static void test_large_obj(void)
{
	struct im_wire_obj o = sample_obj(S_IFREG | 0644);
	u8 *value = calloc(1, IM_VALUE_LEN + 1);
	struct im_xattr x[17];
	struct im_buf b = { 0 };

	for (int i = 0; i < 17; i++) {
		x[i].name = "user.big";
		x[i].value = value;
		x[i].value_len = IM_VALUE_LEN;
	}
	im_obj_put(&b, &o, "n", 1, NULL, 0, x, 15);
	ok(!b.err && obj_verdict(b.p, b.len, true) == (ssize_t)b.len,
	   "15 xattrs of 64 KiB");
	im_buf_reset(&b);
	im_obj_put(&b, &o, "n", 1, NULL, 0, x, 17);
	ok(b.err == -EMSGSIZE && !b.len, "more than a frame is not sent");
	im_buf_reset(&b);
	x[0].value_len++;
	im_obj_put(&b, &o, "n", 1, NULL, 0, x, 1);
	is(b.err, -EMSGSIZE, "nor is a value above the limit");
	im_buf_free(&b);
	free(value);
}

/* Request items */

static struct im_wire_get sample_get(u16 name_len)
{
	struct im_wire_get get = {
		.fid = sample_fid(5, 6),
		.off = cpu_to_le64(4096),
		.len = cpu_to_le64(~0ULL),
		.name_len = cpu_to_le16(name_len),
	};

	if (name_len)
		get.dir = sample_fid(2, 0);
	return get;
}

/* From an odd address, allocated to the byte. */
static ssize_t get_verdict(const u8 *p, size_t len)
{
	struct im_wire_get get;
	u8 *copy = malloc(len + 1);
	const char *name;
	ssize_t n;

	memcpy(copy + 1, p, len);
	n = im_get_get(copy + 1, len, &get, &name);
	free(copy);
	return n;
}

static ssize_t get_twist(size_t at, size_t bytes, u64 v, const char *text)
{
	struct im_wire_get get = sample_get(strlen(text));
	struct im_buf b = { 0 };
	ssize_t n;

	im_get_put(&b, &get, text);
	for (size_t i = 0; i < bytes; i++)
		b.p[at + i] = v >> i * 8;
	n = get_verdict(b.p, b.len);
	im_buf_free(&b);
	return n;
}

#define GET(f) offsetof(struct im_wire_get, f), \
	       sizeof(((struct im_wire_get *)0)->f)

static void test_get(void)
{
	struct im_buf b = { 0 };
	unsigned int wrong = 0;
	size_t at = 0;
	char x[256];

	memset(x, 'x', sizeof(x));
	for (unsigned int n = 0; n <= 255; n++) {
		struct im_wire_get get = sample_get(n);

		im_get_put(&b, &get, x);
		wrong += b.len % 8 != 0;
	}
	for (unsigned int i = 0; i <= 255; i++) {
		struct im_wire_get get, want = sample_get(i);
		const char *name;
		ssize_t n = im_get_get(b.p + at, b.len - at, &get, &name);

		if (n <= 0 || memcmp(&get, &want, sizeof(get)) ||
		    memcmp(name, x, i)) {
			wrong++;
			break;
		}
		at += n;
	}
	ok(!wrong && at == b.len, "items with names of 0 to 255 bytes");
	im_buf_reset(&b);
	{
		struct im_wire_get get = sample_get(5);

		im_get_put(&b, &get, "hello");
	}
	for (size_t n = 0; n < b.len; n++)
		wrong += get_verdict(b.p, n) != -EPROTO;
	is(wrong, 0, "cut anywhere: refused");
	b.p[b.len - 1] = 1;
	is(get_verdict(b.p, b.len), -EPROTO, "padding is zero");
	im_buf_free(&b);

	is(get_twist(GET(off), 0, "n"), 72, "nothing wrong");
	is(get_twist(GET(fid.ino), 0, "n"), -EPROTO, "no FID");
	is(get_twist(GET(fid.zero), 1, "n"), -EPROTO, "reserved in FID");
	is(get_twist(GET(dir.zero), 1, "n"), -EPROTO, "reserved in dir");
	is(get_twist(GET(dir.ino), 0, "n"), -EPROTO, "a name in no directory");
	is(get_twist(GET(dir.ino), 7, ""), 64, "a directory without name");
	is(get_twist(GET(zero), 1ULL << 40, "n"), -EPROTO, "reserved");
	is(get_twist(GET(name_len), 9, "n"), -EPROTO, "name beyond the end");
	is(get_twist(GET(name_len), 0xffff, "n"), -EPROTO, "name of 64 KiB");
	is(get_twist(GET(off), 1ULL << 63, "n"), -EPROTO, "offset 2^63");
	is(get_twist(GET(len), 1ULL << 63, "n"), -EPROTO, "length 2^63");
	is(get_twist(GET(len), INT64_MAX, "n"), -EPROTO, "a sum of 2^63");
	is(get_twist(GET(len), INT64_MAX - 4096, "n"), 72, "2^63 - 1");
	is(get_twist(GET(len), ~0ULL - 1, "n"), -EPROTO, "a sum that wraps");
	is(get_twist(GET(off), 0, "a/b"), -EPROTO, "a path");
	is(get_twist(GET(off), 0, ".."), -EPROTO, "dot dot");
}

int main(void)
{
	test_pieces();
	test_cut_stream();
	test_pack();
	test_bad_header();
	test_bad_zstd();
	test_put();
	test_stop();
	test_obj();
	test_obj_cuts();
	test_obj_hostile();
	test_own_xattr();
	test_long_obj();
	test_large_obj();
	test_get();
	return tap_done();
}
