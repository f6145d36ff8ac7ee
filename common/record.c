// SPDX-License-Identifier: GPL-2.0
/*
 * CRCs: CRC32C as iSCSI and ext4 define it, inverted before and after, and
 * chained like zlib's: start with 0, pass the previous result on. The
 * kernel's crc32c() inverts neither, so it is wrapped.
 *
 * What a record must and must not carry is one table, im_rules[]; a record
 * that breaks it is refused even if its CRCs are right, since a peer can
 * compute CRCs too.
 */
#include "record.h"

#include "ranges.h"

#ifdef __KERNEL__
#include <linux/crc32c.h>
#include <linux/errno.h>
#include <linux/stat.h>
#else
#include <sys/stat.h>
#endif

#define IM_OFF_MAX	((~(u64)0) >> 1)	/* no file is longer */
#define IM_NSEC		1000000000U

#ifdef __KERNEL__

u32 im_crc32c(u32 crc, const void *buf, size_t len)
{
	return ~crc32c(~crc, buf, len);
}

#else

#define IM_CRC_POLY	0x82f63b78	/* reflected */

/* [k][b]: what byte b does to the CRC with k zero bytes behind it. */
static u32 im_crc_table[8][256];
static bool im_crc_by_cpu;

__attribute__((constructor)) static void im_crc_init(void)
{
	unsigned int i, k;

	for (i = 0; i < 256; i++) {
		u32 crc = i;

		for (k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (crc & 1 ? IM_CRC_POLY : 0);
		im_crc_table[0][i] = crc;
	}
	for (k = 1; k < 8; k++) {
		for (i = 0; i < 256; i++) {
			u32 crc = im_crc_table[k - 1][i];

			im_crc_table[k][i] =
				(crc >> 8) ^ im_crc_table[0][crc & 0xff];
		}
	}
#ifdef __x86_64__
	__builtin_cpu_init();
	im_crc_by_cpu = __builtin_cpu_supports("sse4.2");
#endif
}

u32 im_crc32c_table(u32 crc, const void *buf, size_t len)
{
	const u32 (*t)[256] = (const u32 (*)[256])im_crc_table;
	const u8 *p = buf;

	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		u32 a, b;

		memcpy(&a, p, 4);
		memcpy(&b, p + 4, 4);
		a = le32_to_cpu(a) ^ crc;
		b = le32_to_cpu(b);
		crc = t[7][a & 0xff] ^ t[6][a >> 8 & 0xff] ^
		      t[5][a >> 16 & 0xff] ^ t[4][a >> 24] ^
		      t[3][b & 0xff] ^ t[2][b >> 8 & 0xff] ^
		      t[1][b >> 16 & 0xff] ^ t[0][b >> 24];
	}
	while (len--)
		crc = (crc >> 8) ^ t[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static u32 im_crc32c_cpu(u32 crc,
							   const void *buf,
							   size_t len)
{
	const u8 *p = buf;
	u64 c = (u32)~crc;

	for (; len >= 8; len -= 8, p += 8) {
		u64 word;

		memcpy(&word, p, 8);
		c = __builtin_ia32_crc32di(c, word);
	}
	while (len--)
		c = __builtin_ia32_crc32qi(c, *p++);
	return ~(u32)c;
}
#else
#define im_crc32c_cpu im_crc32c_table
#endif

u32 im_crc32c(u32 crc, const void *buf, size_t len)
{
	if (im_crc_by_cpu)
		return im_crc32c_cpu(crc, buf, len);
	return im_crc32c_table(crc, buf, len);
}

#endif /* __KERNEL__ */

/* CRC of len bytes at p as if the 4 bytes at `at` were zero. */
static u32 im_crc_but(const void *p, size_t len, size_t at)
{
	static const u8 zero[4];
	u32 crc;

	crc = im_crc32c(0, p, at);
	crc = im_crc32c(crc, zero, sizeof(zero));
	return im_crc32c(crc, (const u8 *)p + at + sizeof(zero),
			 len - at - sizeof(zero));
}

u32 im_seg_crc(const struct im_seg *seg)
{
	return im_crc_but(seg, sizeof(*seg), offsetof(struct im_seg, crc));
}

u32 im_epochs_crc(const struct im_epochs *e)
{
	return im_crc_but(e, im_epochs_len(e), offsetof(struct im_epochs, crc));
}

u32 im_ring_crc(const struct im_ring *ring)
{
	return im_crc_but(ring, sizeof(*ring), offsetof(struct im_ring, crc));
}

u32 im_fset_crc(const struct im_fset *fset)
{
	return im_crc_but(fset, sizeof(*fset), offsetof(struct im_fset, crc));
}

/* Encoding */

size_t im_rec_len(const struct im_body *body)
{
	size_t len = IM_REC_HDR;

	len += body->name_len;
	len += body->name2_len;
	len += body->data_len;
	return (len + 7) & ~(size_t)7;
}

void im_rec_seal(struct im_rec *hdr)
{
	hdr->hdr_crc = 0;
	hdr->hdr_crc = cpu_to_le32(im_crc32c(0, hdr, sizeof(*hdr)));
}

static u8 *im_put(u8 *to, const void *from, size_t len)
{
	if (len)
		memcpy(to, from, len);
	return to + len;
}

void im_rec_encode(void *buf, struct im_rec *hdr, const struct im_body *body)
{
	size_t len = im_rec_len(body);
	u8 *start = (u8 *)buf + IM_REC_HDR;
	u8 *end = (u8 *)buf + len;
	u8 *p = start;

	p = im_put(p, body->name, body->name_len);
	p = im_put(p, body->name2, body->name2_len);
	p = im_put(p, body->data, body->data_len);
	memset(p, 0, end - p);

	hdr->len = cpu_to_le32(len);
	hdr->name_len = cpu_to_le16(body->name_len);
	hdr->name2_len = cpu_to_le16(body->name2_len);
	hdr->data_len = cpu_to_le32(body->data_len);
	hdr->body_crc = 0;
	if (start < end)
		hdr->body_crc = cpu_to_le32(im_crc32c(0, start, end - start));
	im_rec_seal(hdr);
	memcpy(buf, hdr, sizeof(*hdr));
}

/* Rules */

enum im_need {
	IM_NONE = 0,	/* must be zero */
	IM_MAY,
	IM_MUST,
	IM_MADE,	/* by the operation: must be there once it is done */
};

enum im_text {
	IM_T_NONE = 0,
	IM_T_ENTRY,	/* name of a directory entry */
	IM_T_XATTR,	/* name of an xattr */
	IM_T_TARGET,	/* of a symbolic link */
	IM_T_VALUE,	/* of an xattr, may be empty */
	IM_T_RANGES,
};

#define IM_K_NAMESPACE	1
#define IM_K_DATA	2

#define IM_RF_ANY	(IM_RF_RECOVERED | IM_RF_FINAL)

struct im_rule {
	const char *title;
	u8 kind;
	u8 name, name2, data;		/* enum im_text */
	u8 fid, dir, dir2, old;		/* enum im_need */
	u32 flags;			/* besides IM_RF_ANY */
	u32 types;			/* bit per S_IFMT >> 12; 0: any */
};

#define IM_TYPE(fmt)	(1U << ((fmt) >> 12))

static const struct im_rule im_rules[IM_OP_MAX + 1] = {
	[IM_OP_CREATE] = {
		.title = "CREATE", .kind = IM_K_NAMESPACE,
		.name = IM_T_ENTRY,
		.fid = IM_MADE, .dir = IM_MUST, .old = IM_MAY,
		.types = IM_TYPE(S_IFREG),
	},
	[IM_OP_MKDIR] = {
		.title = "MKDIR", .kind = IM_K_NAMESPACE,
		.name = IM_T_ENTRY,
		.fid = IM_MADE, .dir = IM_MUST, .old = IM_MAY,
		.types = IM_TYPE(S_IFDIR),
	},
	[IM_OP_MKNOD] = {
		.title = "MKNOD", .kind = IM_K_NAMESPACE,
		.name = IM_T_ENTRY,
		.fid = IM_MADE, .dir = IM_MUST, .old = IM_MAY,
		.types = IM_TYPE(S_IFCHR) | IM_TYPE(S_IFBLK) |
			 IM_TYPE(S_IFIFO) | IM_TYPE(S_IFSOCK),
	},
	[IM_OP_SYMLINK] = {
		.title = "SYMLINK", .kind = IM_K_NAMESPACE,
		.name = IM_T_ENTRY, .data = IM_T_TARGET,
		.fid = IM_MADE, .dir = IM_MUST, .old = IM_MAY,
		.types = IM_TYPE(S_IFLNK),
	},
	[IM_OP_LINK] = {
		.title = "LINK", .kind = IM_K_NAMESPACE,
		.name = IM_T_ENTRY,
		.fid = IM_MUST, .dir = IM_MUST, .old = IM_MAY,
		.flags = IM_RF_FIRST,
	},
	[IM_OP_UNLINK] = {
		.title = "UNLINK", .kind = IM_K_NAMESPACE,
		.name = IM_T_ENTRY,
		.fid = IM_MUST, .dir = IM_MUST, .old = IM_MAY,
		.flags = IM_RF_LAST,
	},
	[IM_OP_RMDIR] = {
		.title = "RMDIR", .kind = IM_K_NAMESPACE,
		.name = IM_T_ENTRY,
		.fid = IM_MUST, .dir = IM_MUST, .old = IM_MAY,
		.flags = IM_RF_LAST,
	},
	[IM_OP_RENAME] = {
		.title = "RENAME", .kind = IM_K_NAMESPACE,
		.name = IM_T_ENTRY, .name2 = IM_T_ENTRY,
		.fid = IM_MUST, .dir = IM_MUST, .dir2 = IM_MUST,
		.old = IM_MAY,
		.flags = IM_RF_EXCHANGE | IM_RF_WHITEOUT | IM_RF_LAST,
	},
	[IM_OP_SETATTR] = {
		.title = "SETATTR",
		.fid = IM_MUST, .dir = IM_MAY,
	},
	[IM_OP_SETXATTR] = {
		.title = "SETXATTR",
		.name = IM_T_XATTR, .data = IM_T_VALUE,
		.fid = IM_MUST, .dir = IM_MAY,
	},
	[IM_OP_REMOVEXATTR] = {
		.title = "REMOVEXATTR",
		.name = IM_T_XATTR,
		.fid = IM_MUST, .dir = IM_MAY,
	},
	[IM_OP_DIRTY] = {
		.title = "DIRTY",
		.fid = IM_MUST, .dir = IM_MAY,
	},
	[IM_OP_CLOSE] = {
		.title = "CLOSE", .kind = IM_K_DATA,
		.data = IM_T_RANGES,
		.fid = IM_MUST, .dir = IM_MAY,
		.flags = IM_RF_UNKNOWN | IM_RF_ATTRS,
	},
	[IM_OP_SYNC] = {
		.title = "SYNC", .kind = IM_K_DATA,
		.data = IM_T_RANGES,
		.fid = IM_MUST, .dir = IM_MAY,
		.flags = IM_RF_UNKNOWN | IM_RF_STILL | IM_RF_ATTRS,
	},
	[IM_OP_CHECKPOINT] = {
		.title = "CHECKPOINT",
		.flags = IM_RF_CLEAN,
	},
	[IM_OP_MARK] = {
		.title = "MARK",
	},
};

const char *im_op_name(unsigned int op)
{
	return op && op <= IM_OP_MAX ? im_rules[op].title : "?";
}

bool im_op_is_namespace(unsigned int op)
{
	return op <= IM_OP_MAX && im_rules[op].kind == IM_K_NAMESPACE;
}

bool im_op_is_data(unsigned int op)
{
	return op <= IM_OP_MAX && im_rules[op].kind == IM_K_DATA;
}

bool im_name_ok(const char *name, size_t len)
{
	if (!len || len > IM_NAME_LEN)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return !memchr(name, '/', len) && !memchr(name, '\0', len);
}

int im_fsname_check(const char *name)
{
	size_t i;

	if (name[0] == '.' || !name[0])
		return -EINVAL;
	for (i = 0; name[i]; i++) {
		char c = name[i];

		if (i == IM_FSNAME_LEN)
			return -EINVAL;
		if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
		    !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
			return -EINVAL;
	}
	return 0;
}

bool im_xattr_name_ok(const char *name, size_t len)
{
	static const char own[] = IM_XATTR_PREFIX;

	if (!len || len > IM_NAME_LEN || memchr(name, '\0', len))
		return false;
	return len < sizeof(own) - 1 || memcmp(name, own, sizeof(own) - 1);
}

static bool im_text_ok(enum im_text kind, const char *p, size_t len)
{
	switch (kind) {
	case IM_T_NONE:
		return !len;
	case IM_T_ENTRY:
		return im_name_ok(p, len);
	case IM_T_XATTR:
		return im_xattr_name_ok(p, len);
	case IM_T_TARGET:
		return len && len <= IM_TARGET_LEN && !memchr(p, '\0', len);
	case IM_T_VALUE:
		return len <= IM_VALUE_LEN;
	case IM_T_RANGES:
		return !im_ranges_check(p, len);
	}
	return false;
}

static bool im_fid_ok(const struct im_fid *fid, enum im_need need, u8 state)
{
	if (fid->zero || (im_fid_none(fid) && fid->gen))
		return false;
	switch (need) {
	case IM_NONE:
		return im_fid_none(fid);
	case IM_MAY:
		return true;
	case IM_MUST:
		return !im_fid_none(fid) || state == IM_RS_ABORTED;
	case IM_MADE:
		return !im_fid_none(fid) || state != IM_RS_DONE;
	}
	return false;
}

/* The fields that do not depend on the opcode. */
static bool im_rec_common_ok(const struct im_rec *h)
{
	return h->recno && h->state >= IM_RS_INTENT &&
	       h->state <= IM_RS_ABORTED && !h->zero &&
	       le32_to_cpu(h->mode) <= (S_IFMT | 07777) &&
	       le64_to_cpu(h->size) <= IM_OFF_MAX &&
	       le64_to_cpu(h->trunc) <= IM_OFF_MAX &&
	       le32_to_cpu(h->mtime_ns) < IM_NSEC &&
	       le32_to_cpu(h->dir_mtime_ns) < IM_NSEC &&
	       le32_to_cpu(h->dir2_mtime_ns) < IM_NSEC &&
	       im_fid_ok(&h->origin_fid, IM_MAY, h->state);
}

static bool im_flags_ok(const struct im_rec *h, u32 op,
			const struct im_rule *rule)
{
	u32 flags = le32_to_cpu(h->flags);
	u32 valid = le32_to_cpu(h->valid);

	if (flags & ~(rule->flags | IM_RF_ANY))
		return false;
	if ((flags & IM_RF_FINAL) && !h->origin)
		return false;
	if (valid & ~(op == IM_OP_SETATTR ? IM_AV_ALL : 0))
		return false;
	if (op == IM_OP_MARK && !h->origin)
		return false;
	/* A record without its ranges has none. */
	if ((flags & IM_RF_UNKNOWN) && h->data_len)
		return false;
	if (op == IM_OP_RENAME) {
		if ((flags & IM_RF_EXCHANGE) &&
		    (flags & (IM_RF_WHITEOUT | IM_RF_LAST)))
			return false;
		if ((flags & (IM_RF_EXCHANGE | IM_RF_LAST)) &&
		    im_fid_none(&h->old) && h->state != IM_RS_ABORTED)
			return false;
	}
	return true;
}

static bool im_rec_ok(const struct im_rec *h, const struct im_body *body)
{
	u32 op = le16_to_cpu(h->op);
	const struct im_rule *rule;

	if (!op || op > IM_OP_MAX || !im_rec_common_ok(h))
		return false;
	rule = &im_rules[op];
	if (rule->types && h->state == IM_RS_DONE &&
	    !(rule->types & IM_TYPE(le32_to_cpu(h->mode) & S_IFMT)))
		return false;
	return im_flags_ok(h, op, rule) &&
	       im_fid_ok(&h->fid, rule->fid, h->state) &&
	       im_fid_ok(&h->dir, rule->dir, h->state) &&
	       im_fid_ok(&h->dir2, rule->dir2, h->state) &&
	       im_fid_ok(&h->old, rule->old, h->state) &&
	       im_text_ok(rule->name, body->name, body->name_len) &&
	       im_text_ok(rule->name2, body->name2, body->name2_len) &&
	       im_text_ok(rule->data, body->data, body->data_len);
}

int im_rec_check(const void *buf, size_t avail, size_t *need,
		 struct im_body *body)
{
	struct im_rec h;	/* buf may be unaligned */
	const u8 *start;
	__le32 magic;
	size_t len, used;
	u32 crc;

	*need = IM_REC_HDR;
	if (avail < sizeof(magic))
		return -EAGAIN;
	memcpy(&magic, buf, sizeof(magic));
	if (le32_to_cpu(magic) != IM_REC_MAGIC)
		return -ENOMSG;
	if (avail < IM_REC_HDR)
		return -EAGAIN;
	memcpy(&h, buf, sizeof(h));
	crc = le32_to_cpu(h.hdr_crc);
	h.hdr_crc = 0;
	if (im_crc32c(0, &h, sizeof(h)) != crc)
		return -EBADMSG;

	len = le32_to_cpu(h.len);
	body->name_len = le16_to_cpu(h.name_len);
	body->name2_len = le16_to_cpu(h.name2_len);
	body->data_len = le32_to_cpu(h.data_len);
	/* Each first, so that the sum cannot overflow. */
	if (body->name_len > IM_NAME_LEN || body->name2_len > IM_NAME_LEN ||
	    body->data_len > IM_VALUE_LEN || len != im_rec_len(body))
		return -EINVAL;
	*need = len;
	if (avail < len)
		return -EAGAIN;

	start = (const u8 *)buf + IM_REC_HDR;
	crc = len > IM_REC_HDR ? im_crc32c(0, start, len - IM_REC_HDR) : 0;
	if (crc != le32_to_cpu(h.body_crc))
		return -EBADMSG;
	body->name = (const char *)start;
	body->name2 = body->name + body->name_len;
	body->data = body->name2 + body->name2_len;
	used = IM_REC_HDR + body->name_len + body->name2_len + body->data_len;
	for (; used < len; used++) {
		if (((const u8 *)buf)[used])
			return -EINVAL;
	}
	return im_rec_ok(&h, body) ? 0 : -EINVAL;
}
