// SPDX-License-Identifier: GPL-2.0
/*
 * The record codec: every opcode there and back, every flipped bit found,
 * every cut found, and records with right CRCs that break a rule refused.
 * Buffers are allocated to the byte, so that ASan sees what reads beyond.
 */
#include "common/record.h"

#include <stddef.h>

#include "common/ranges.h"
#include "samples.h"
#include "tap.h"

static u8 *encode(struct sample *s, size_t *len)
{
	u8 *p;

	*len = im_rec_len(&s->body);
	p = malloc(*len);
	memset(p, 0xaa, *len);	/* padding must be written, too */
	im_rec_encode(p, &s->hdr, &s->body);
	return p;
}

/* Encodes and checks. */
static int verdict(struct sample *s)
{
	struct im_body body;
	size_t len, need;
	u8 *p = encode(s, &len);
	int err = im_rec_check(p, len, &need, &body);

	free(p);
	return err;
}

static bool body_is(const struct im_body *a, const struct im_body *b)
{
	return a->name_len == b->name_len && a->name2_len == b->name2_len &&
	       a->data_len == b->data_len &&
	       (!a->name_len || !memcmp(a->name, b->name, a->name_len)) &&
	       (!a->name2_len || !memcmp(a->name2, b->name2, a->name2_len)) &&
	       (!a->data_len || !memcmp(a->data, b->data, a->data_len));
}

static void test_round_trip(void)
{
	for (unsigned int op = 1; op <= IM_OP_MAX; op++) {
		struct im_body body;
		struct sample s;
		size_t len, need = 0;
		u8 *p, *odd;

		sample_rec(&s, op);
		p = encode(&s, &len);
		is(im_rec_check(p, len, &need, &body), 0, "%s is valid",
		   im_op_name(op));
		ok(need == len && body_is(&body, &s.body) &&
		   !memcmp(p, &s.hdr, IM_REC_HDR),
		   "%s comes back", im_op_name(op));

		odd = malloc(len + 3);
		memcpy(odd + 3, p, len);
		ok(!im_rec_check(odd + 3, len, &need, &body) &&
		   body_is(&body, &s.body),
		   "%s at an odd address", im_op_name(op));
		free(odd);
		free(p);
	}
}

static void test_flips(void)
{
	for (unsigned int op = 1; op <= IM_OP_MAX; op++) {
		struct im_body body;
		struct sample s;
		size_t len, need, missed = 0;
		u8 *p;

		sample_rec(&s, op);
		p = encode(&s, &len);
		for (size_t bit = 0; bit < len * 8; bit++) {
			int err, want = bit < 32 ? -ENOMSG : -EBADMSG;

			p[bit / 8] ^= 1 << bit % 8;
			err = im_rec_check(p, len, &need, &body);
			p[bit / 8] ^= 1 << bit % 8;
			if (err != want && !missed++)
				diag("bit %zu: %d", bit, err);
		}
		is(missed, 0, "%s: all %zu bit flips found", im_op_name(op),
		   len * 8);
		free(p);
	}
}

static void test_cuts(void)
{
	for (unsigned int op = 1; op <= IM_OP_MAX; op++) {
		struct im_body body;
		struct sample s;
		size_t len, wrong = 0;
		u8 *p;

		sample_rec(&s, op);
		p = encode(&s, &len);
		for (size_t n = 0; n < len; n++) {
			size_t need = 0, want = n < IM_REC_HDR ? IM_REC_HDR : len;
			u8 *part = malloc(n ? n : 1);
			int err;

			memcpy(part, p, n);
			err = im_rec_check(part, n, &need, &body);
			if ((err != -EAGAIN || need != want) && !wrong++)
				diag("%zu bytes: %d, need %zu", n, err, need);
			free(part);
		}
		is(wrong, 0, "%s: all %zu cuts found", im_op_name(op), len);
		free(p);
	}
}

/* A header that lies about lengths, sealed. */
static int lie(u32 len, u16 name_len, u16 name2_len, u32 data_len)
{
	struct im_body body;
	struct sample s;
	size_t real, need;
	struct im_rec *h;
	u8 *p;
	int err;

	sample_rec(&s, IM_OP_RENAME);
	p = encode(&s, &real);
	h = (struct im_rec *)p;
	h->len = cpu_to_le32(len);
	h->name_len = cpu_to_le16(name_len);
	h->name2_len = cpu_to_le16(name2_len);
	h->data_len = cpu_to_le32(data_len);
	im_rec_seal(h);
	err = im_rec_check(p, real, &need, &body);
	free(p);
	return err;
}

static void test_lengths(void)
{
	struct im_body body;
	struct sample s;
	size_t len, need;
	u8 *p, *big;

	sample_rec(&s, IM_OP_RENAME);
	p = encode(&s, &len);
	is(lie(0, 0, 0, 0), -EINVAL, "length 0");
	is(lie(8, 0, 0, 0), -EINVAL, "shorter than a header");
	is(lie(len - 8, s.body.name_len, 2, 0), -EINVAL, "too short for names");
	is(lie(len + 8, s.body.name_len, 2, 0), -EINVAL, "too long for names");
	is(lie(len - 1, s.body.name_len, 2, 0), -EINVAL, "not a multiple of 8");
	is(lie(~0U & ~7U, 0xffff, 0xffff, ~0U), -EINVAL, "4 GiB");
	is(lie(256 + 0xffff + 1, 0xffff, 0, 0), -EINVAL, "a name of 64 KiB");
	is(lie(256, 0, 0, 0xffffff00), -EINVAL, "a sum that wraps 32 bits");
	is(lie(256 + 65544, 0, 0, 65537), -EINVAL, "data above the limit");

	p[len - 1] = 1;		/* padding, with right CRCs */
	((struct im_rec *)p)->body_crc =
		cpu_to_le32(im_crc32c(0, p + IM_REC_HDR, len - IM_REC_HDR));
	im_rec_seal((struct im_rec *)p);
	is(im_rec_check(p, len, &need, &body), -EINVAL, "padding is zero");
	free(p);

	sample_rec(&s, IM_OP_SETXATTR);
	big = calloc(1, IM_VALUE_LEN + 1);
	sample_data(&s.body, big, IM_VALUE_LEN);
	is(verdict(&s), 0, "the largest xattr");
	ok(im_rec_len(&s.body) <= IM_REC_MAX, "fits IM_REC_MAX");
	sample_data(&s.body, big, IM_VALUE_LEN + 1);
	is(verdict(&s), -EINVAL, "a larger one");
	free(big);
	sample_data(&s.body, NULL, 0);
	is(verdict(&s), 0, "an empty xattr");

	is(im_rec_check(NULL, 0, &need, &body), -EAGAIN, "nothing");
	is(im_rec_check("IKMX", 4, &need, &body), -ENOMSG, "another magic");
}

/*
 * A record of op with a few bytes of its header overwritten, and sealed.
 * Values are little-endian, so the low bytes of v.
 */
struct twist {
	const char *what;
	u16 op;
	int want;
	u16 at;
	u16 bytes;
	u64 v;
	u8 state;	/* 0: done */
};

#define AT(f) offsetof(struct im_rec, f), sizeof(((struct im_rec *)0)->f)
#define INO(f) offsetof(struct im_rec, f), 12	/* ino and gen */
#define GEN(f) offsetof(struct im_rec, f.gen), 4
#define RESERVED(f) offsetof(struct im_rec, f.zero), 4

static const struct twist twists[] = {
	{ "opcode 0", IM_OP_MARK, -EINVAL, AT(op), 0, 0 },
	{ "unknown opcode", IM_OP_MARK, -EINVAL, AT(op), IM_OP_MAX + 1, 0 },
	{ "opcode 65535", IM_OP_MARK, -EINVAL, AT(op), 65535, 0 },
	{ "recno 0", IM_OP_CREATE, -EINVAL, AT(recno), 0, 0 },
	{ "state 0", IM_OP_CREATE, -EINVAL, AT(state), 0, 0 },
	{ "state 4", IM_OP_CREATE, -EINVAL, AT(state), 4, 0 },
	{ "reserved byte", IM_OP_CREATE, -EINVAL, AT(zero), 1, 0 },
	{ "unknown flag", IM_OP_CREATE, -EINVAL, AT(flags), 1U << 10, 0 },
	{ "highest flag", IM_OP_CREATE, -EINVAL, AT(flags), 1U << 31, 0 },
	{ "mode with more bits", IM_OP_CREATE, -EINVAL, AT(mode), 0x18000, 0 },
	{ "CREATE of a directory", IM_OP_CREATE, -EINVAL, AT(mode), S_IFDIR, 0 },
	{ "CREATE without a type", IM_OP_CREATE, -EINVAL, AT(mode), 0644, 0 },
	{ "MKDIR of a link", IM_OP_MKDIR, -EINVAL, AT(mode), S_IFLNK, 0 },
	{ "MKNOD of a file", IM_OP_MKNOD, -EINVAL, AT(mode), S_IFREG, 0 },
	{ "MKNOD of a socket", IM_OP_MKNOD, 0, AT(mode), S_IFSOCK, 0 },
	{ "MKNOD of a fifo", IM_OP_MKNOD, 0, AT(mode), S_IFIFO, 0 },
	{ "MKNOD of a disk", IM_OP_MKNOD, 0, AT(mode), S_IFBLK, 0 },
	{ "size 2^63", IM_OP_CLOSE, -EINVAL, AT(size), 1ULL << 63, 0 },
	{ "size 2^63 - 1", IM_OP_CLOSE, 0, AT(size), INT64_MAX, 0 },
	{ "trunc 2^64 - 1", IM_OP_CLOSE, -EINVAL, AT(trunc), ~0ULL, 0 },
	{ "10^9 ns", IM_OP_SETATTR, -EINVAL, AT(mtime_ns), 1000000000, 0 },
	{ "UTIME_NOW", IM_OP_SETATTR, -EINVAL, AT(mtime_ns), 0x3fffffff, 0 },
	{ "UTIME_OMIT", IM_OP_LINK, -EINVAL, AT(dir_mtime_ns), 0x3ffffffe, 0 },
	{ "10^9 ns of dir", IM_OP_RENAME, -EINVAL, AT(dir_mtime_ns),
	  1000000000, 0 },
	{ "10^9 ns of dir2", IM_OP_RENAME, -EINVAL, AT(dir2_mtime_ns),
	  1000000000, 0 },
	{ "time before 1970", IM_OP_SETATTR, 0, AT(mtime), -1000ULL, 0 },
	{ "unknown valid bit", IM_OP_SETATTR, -EINVAL, AT(valid), 16, 0 },
	{ "valid of a LINK", IM_OP_LINK, -EINVAL, AT(valid), 1, 0 },

	{ "done CREATE without fid", IM_OP_CREATE, -EINVAL, INO(fid), 0, 0 },
	{ "intent CREATE without fid", IM_OP_CREATE, 0, INO(fid), 0,
	  IM_RS_INTENT },
	{ "aborted CREATE without fid", IM_OP_CREATE, 0, INO(fid), 0,
	  IM_RS_ABORTED },
	{ "intent MKDIR without fid and type", IM_OP_MKDIR, 0,
	  INO(fid), 0, IM_RS_INTENT },
	{ "intent CREATE without dir", IM_OP_CREATE, -EINVAL, INO(dir), 0,
	  IM_RS_INTENT },
	{ "intent UNLINK without fid", IM_OP_UNLINK, -EINVAL, INO(fid), 0,
	  IM_RS_INTENT },
	{ "aborted UNLINK without fid", IM_OP_UNLINK, 0, INO(fid), 0,
	  IM_RS_ABORTED },
	{ "LINK without fid", IM_OP_LINK, -EINVAL, INO(fid), 0, 0 },
	{ "RMDIR without dir", IM_OP_RMDIR, -EINVAL, INO(dir), 0, 0 },
	{ "RENAME without dir2", IM_OP_RENAME, -EINVAL, INO(dir2), 0, 0 },
	{ "RENAME without fid", IM_OP_RENAME, -EINVAL, INO(fid), 0, 0 },
	{ "RENAME that ended nothing", IM_OP_RENAME, -EINVAL, INO(old), 0, 0 },
	{ "CREATE with dir2", IM_OP_CREATE, -EINVAL, AT(dir2.ino), 7, 0 },
	{ "CREATE over something", IM_OP_CREATE, 0, AT(old.ino), 7, 0 },
	{ "SETATTR without fid", IM_OP_SETATTR, -EINVAL, INO(fid), 0, 0 },
	{ "SETATTR with a directory", IM_OP_SETATTR, 0, AT(dir.ino), 2, 0 },
	{ "SETATTR with old", IM_OP_SETATTR, -EINVAL, AT(old.ino), 2, 0 },
	{ "SETXATTR without fid", IM_OP_SETXATTR, -EINVAL, INO(fid), 0, 0 },
	{ "REMOVEXATTR without fid", IM_OP_REMOVEXATTR, -EINVAL, INO(fid), 0,
	  0 },
	{ "DIRTY without fid", IM_OP_DIRTY, -EINVAL, INO(fid), 0, 0 },
	{ "CLOSE without fid", IM_OP_CLOSE, -EINVAL, INO(fid), 0, 0 },
	{ "SYNC without fid", IM_OP_SYNC, -EINVAL, INO(fid), 0, 0 },
	{ "MARK with a fid", IM_OP_MARK, -EINVAL, AT(fid.ino), 9, 0 },
	{ "MARK without origin", IM_OP_MARK, -EINVAL, AT(origin), 0, 0 },
	{ "CHECKPOINT with a dir", IM_OP_CHECKPOINT, -EINVAL, AT(dir.ino), 9,
	  0 },
	{ "generation without inode", IM_OP_CREATE, -EINVAL, GEN(old), 9, 0 },
	{ "reserved part of fid", IM_OP_CREATE, -EINVAL, RESERVED(fid), 1, 0 },
	{ "reserved part of dir", IM_OP_CREATE, -EINVAL, RESERVED(dir), 1, 0 },
	{ "reserved part of origin_fid", IM_OP_CREATE, -EINVAL,
	  RESERVED(origin_fid), 1, 0 },

	{ "CREATE, EXCHANGE", IM_OP_CREATE, -EINVAL, AT(flags),
	  IM_RF_EXCHANGE, 0 },
	{ "UNLINK, FIRST", IM_OP_UNLINK, -EINVAL, AT(flags), IM_RF_FIRST, 0 },
	{ "CLOSE, STILL", IM_OP_CLOSE, -EINVAL, AT(flags), IM_RF_STILL, 0 },
	{ "CLOSE, ATTRS", IM_OP_CLOSE, 0, AT(flags), IM_RF_ATTRS, 0 },
	{ "SYNC, ATTRS", IM_OP_SYNC, 0, AT(flags), IM_RF_ATTRS, 0 },
	{ "SETATTR, ATTRS", IM_OP_SETATTR, -EINVAL, AT(flags), IM_RF_ATTRS, 0 },
	{ "CLOSE, UNKNOWN with ranges", IM_OP_CLOSE, -EINVAL, AT(flags),
	  IM_RF_UNKNOWN, 0 },
	{ "MARK, CLEAN", IM_OP_MARK, -EINVAL, AT(flags), IM_RF_CLEAN, 0 },
	{ "MARK, FINAL", IM_OP_MARK, 0, AT(flags), IM_RF_FINAL, 0 },
	{ "FINAL without origin", IM_OP_CREATE, -EINVAL, AT(flags),
	  IM_RF_FINAL, 0 },
	{ "RECOVERED", IM_OP_CREATE, 0, AT(flags), IM_RF_RECOVERED, 0 },
	{ "RENAME, EXCHANGE", IM_OP_RENAME, 0, AT(flags), IM_RF_EXCHANGE, 0 },
	{ "RENAME, WHITEOUT", IM_OP_RENAME, 0, AT(flags),
	  IM_RF_WHITEOUT | IM_RF_LAST, 0 },
	{ "RENAME, EXCHANGE and WHITEOUT", IM_OP_RENAME, -EINVAL, AT(flags),
	  IM_RF_EXCHANGE | IM_RF_WHITEOUT, 0 },
	{ "RENAME, EXCHANGE and LAST", IM_OP_RENAME, -EINVAL, AT(flags),
	  IM_RF_EXCHANGE | IM_RF_LAST, 0 },
};

static void test_twists(void)
{
	for (size_t i = 0; i < sizeof(twists) / sizeof(twists[0]); i++) {
		const struct twist *t = &twists[i];
		u8 *at, raw[16] = { 0 };
		struct sample s;

		sample_rec(&s, t->op);
		if (t->state)
			s.hdr.state = t->state;
		for (int k = 0; k < 8; k++)
			raw[k] = t->v >> k * 8;
		at = (u8 *)&s.hdr + t->at;
		memcpy(at, raw, t->bytes);
		is(verdict(&s), t->want, "%s: %s", t->what,
		   t->want ? "refused" : "taken");
	}
}

static int with_name(unsigned int op, const char *name, size_t len)
{
	struct sample s;

	sample_rec(&s, op);
	s.body.name = name;
	s.body.name_len = len;
	return verdict(&s);
}

static int with_name2(const char *name, size_t len)
{
	struct sample s;

	sample_rec(&s, IM_OP_RENAME);
	s.body.name2 = name;
	s.body.name2_len = len;
	return verdict(&s);
}

static int with_data(unsigned int op, const void *p, u32 len)
{
	struct sample s;

	sample_rec(&s, op);
	sample_data(&s.body, p, len);
	return verdict(&s);
}

static void test_body(void)
{
	static const struct {
		const char *name;
		u16 len;
	} bad[] = {
		{ "", 0 }, { ".", 1 }, { "..", 2 }, { "a/b", 3 }, { "/", 1 },
		{ "a\0b", 3 }, { "\0", 1 },
	};
	char x[5000];
	struct im_range r[2] = {
		{ cpu_to_le64(10), cpu_to_le64(5) },
		{ cpu_to_le64(12), cpu_to_le64(5) },
	};
	unsigned int op, i, wrong = 0;

	memset(x, 'x', sizeof(x));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (op = IM_OP_CREATE; op <= IM_OP_RENAME; op++)
			wrong += with_name(op, bad[i].name, bad[i].len) !=
				 -EINVAL;
		wrong += with_name2(bad[i].name, bad[i].len) != -EINVAL;
	}
	is(wrong, 0, "bad names are refused by all namespace records");
	is(with_name(IM_OP_CREATE, x, 255), 0, "a name of 255 bytes");
	is(with_name(IM_OP_CREATE, x, 256), -EINVAL, "a name of 256 bytes");
	is(with_name(IM_OP_CREATE, "...", 3), 0, "three dots are a name");
	is(with_name(IM_OP_CREATE, ".a", 2), 0, "so is a hidden one");
	is(with_name(IM_OP_SETATTR, "a", 1), -EINVAL, "SETATTR has no name");
	is(with_name(IM_OP_DIRTY, "a", 1), -EINVAL, "DIRTY has no name");
	is(with_name(IM_OP_CLOSE, "a", 1), -EINVAL, "CLOSE has no name");
	is(with_name(IM_OP_MARK, "a", 1), -EINVAL, "MARK has no name");
	is(with_name(IM_OP_SETXATTR, "", 0), -EINVAL, "an xattr has a name");
	is(with_name(IM_OP_SETXATTR, "a\0b", 3), -EINVAL, "without NUL");
	is(with_name(IM_OP_SETXATTR, "trusted.intermezzo.origin", 25), -EINVAL,
	   "our own xattrs never travel");
	is(with_name(IM_OP_REMOVEXATTR, "trusted.intermezzo.", 19), -EINVAL,
	   "nor their prefix");
	is(with_name(IM_OP_SETXATTR, "trusted.intermezz", 17), 0,
	   "others do");
	is(with_name(IM_OP_SETXATTR, x, 255), 0, "an xattr name of 255 bytes");
	is(with_name(IM_OP_SETXATTR, x, 256), -EINVAL, "not of 256");
	is(with_data(IM_OP_SYMLINK, "", 0), -EINVAL, "a link has a target");
	is(with_data(IM_OP_SYMLINK, "a\0b", 3), -EINVAL, "without NUL");
	is(with_data(IM_OP_SYMLINK, x, 4095), 0, "of at most 4095 bytes");
	is(with_data(IM_OP_SYMLINK, x, 4096), -EINVAL, "not of 4096");
	is(with_data(IM_OP_CREATE, x, 8), -EINVAL, "CREATE has no data");
	is(with_data(IM_OP_REMOVEXATTR, x, 8), -EINVAL,
	   "REMOVEXATTR has no data");
	is(with_data(IM_OP_DIRTY, x, 16), -EINVAL, "DIRTY has no ranges");
	is(with_data(IM_OP_CLOSE, x, 8), -EINVAL, "half a range");
	is(with_data(IM_OP_CLOSE, r, 32), -EINVAL, "ranges that overlap");
	is(with_data(IM_OP_CLOSE, r, 16), 0, "one range");
	is(with_data(IM_OP_CLOSE, NULL, 0), 0, "no range");
}

static void test_unknown(void)
{
	struct sample s;

	sample_rec(&s, IM_OP_CLOSE);
	s.hdr.flags |= cpu_to_le32(IM_RF_UNKNOWN);
	sample_data(&s.body, NULL, 0);
	is(verdict(&s), 0, "CLOSE, UNKNOWN without ranges");
}

/* A completed header is resealed in place; the body stays as it is. */
static void test_completion(void)
{
	struct im_body body;
	struct sample s;
	size_t len, need;
	struct im_rec *h;
	u8 *p;

	sample_rec(&s, IM_OP_CREATE);
	s.hdr.state = IM_RS_INTENT;
	s.hdr.fid = sample_fid(0, 0);
	p = encode(&s, &len);
	is(im_rec_check(p, len, &need, &body), 0, "an intent is valid");
	h = (struct im_rec *)p;
	h->state = IM_RS_DONE;
	h->fid = sample_fid(5, 6);
	is(im_rec_check(p, len, &need, &body), -EBADMSG, "not sealed yet");
	im_rec_seal(h);
	is(im_rec_check(p, len, &need, &body), 0, "sealed");
	free(p);
}

static void test_crc(void)
{
	u8 buf[300];
	unsigned int wrong = 0, off, len;
	u32 all;

	is(im_crc32c(0, "123456789", 9), 0xe3069283, "the check value");
	is(im_crc32c_table(0, "123456789", 9), 0xe3069283, "without the CPU");
	memset(buf, 0, 32);
	is(im_crc32c(0, buf, 32), 0x8a9136aa, "32 zeros, as in RFC 3720");
	memset(buf, 0xff, 32);
	is(im_crc32c(0, buf, 32), 0x62a8ab43, "32 ones, as in RFC 3720");
	is(im_crc32c(0, NULL, 0), 0, "nothing");
	rnd_seed(3);
	for (off = 0; off < sizeof(buf); off++)
		buf[off] = rnd();
	all = im_crc32c(0, buf, sizeof(buf));
	for (off = 0; off < sizeof(buf); off++) {
		u32 crc = im_crc32c(0, buf, off);

		crc = im_crc32c_table(crc, buf + off, sizeof(buf) - off);
		wrong += crc != all;
	}
	is(wrong, 0, "chains at any point, both ways agree");
	for (off = 0; off < 16; off++) {
		for (len = 0; len < 200; len++)
			wrong += im_crc32c(0, buf + off, len) !=
				 im_crc32c_table(0, buf + off, len);
	}
	is(wrong, 0, "both ways agree at any alignment and length");
}

static void test_sealed(void)
{
	struct im_seg seg = { .magic = cpu_to_le32(IM_SEG_MAGIC) };
	struct im_fset fset = { .magic = cpu_to_le32(IM_FSET_MAGIC) };
	struct im_ring ring = { .magic = cpu_to_le32(IM_RING_MAGIC) };
	u32 crc = im_seg_crc(&seg);

	is(crc, im_crc32c(0, &seg, sizeof(seg)), "CRC of a segment");
	seg.crc = cpu_to_le32(crc);
	is(im_seg_crc(&seg), crc, "does not depend on its own field");
	seg.rcvd[IM_PEERS_MAX - 1].low = 1;
	ok(im_seg_crc(&seg) != crc, "but on the last one");
	crc = im_fset_crc(&fset);
	is(crc, im_crc32c(0, &fset, sizeof(fset)), "CRC of a fileset");
	fset.crc = cpu_to_le32(crc);
	is(im_fset_crc(&fset), crc, "does not depend on its own field");
	fset.name[63] = 1;
	ok(im_fset_crc(&fset) != crc, "but on the last one");
	crc = im_ring_crc(&ring);
	is(crc, im_crc32c(0, &ring, sizeof(ring)), "CRC of a ring");
	ring.crc = cpu_to_le32(crc);
	is(im_ring_crc(&ring), crc, "does not depend on its own field");
	ring.keep = cpu_to_le64(1ULL << 63);
	ok(im_ring_crc(&ring) != crc, "but on the last one");
}

static void test_names(void)
{
	char x[66];

	memset(x, 'x', sizeof(x));
	x[64] = 0;
	is(im_fsname_check(x), -EINVAL, "64 characters are too many");
	x[63] = 0;
	is(im_fsname_check(x), 0, "63 are not");
	is(im_fsname_check("home-2.old_AZaz09"), 0, "all sorts of characters");
	is(im_fsname_check(""), -EINVAL, "an empty fileset name");
	is(im_fsname_check(".x"), -EINVAL, "a dot first");
	is(im_fsname_check("a/b"), -EINVAL, "a slash");
	is(im_fsname_check("a b"), -EINVAL, "a space");
	is(im_fsname_check("\xc3\xa4"), -EINVAL, "no ASCII");
	ok(!strcmp(im_op_name(IM_OP_RENAME), "RENAME") &&
	   !strcmp(im_op_name(IM_OP_MAX), "MARK") &&
	   !strcmp(im_op_name(0), "?") && !strcmp(im_op_name(IM_OP_MAX + 1), "?"),
	   "names of opcodes");
	for (unsigned int op = 0; op <= IM_OP_MAX + 1; op++) {
		bool ns = op >= IM_OP_CREATE && op <= IM_OP_RENAME;
		bool data = op == IM_OP_CLOSE || op == IM_OP_SYNC;

		ok(im_op_is_namespace(op) == ns && im_op_is_data(op) == data,
		   "kind of %s", im_op_name(op));
	}
}

int main(void)
{
	test_crc();
	test_round_trip();
	test_flips();
	test_cuts();
	test_lengths();
	test_twists();
	test_body();
	test_unknown();
	test_completion();
	test_sealed();
	test_names();
	return tap_done();
}
