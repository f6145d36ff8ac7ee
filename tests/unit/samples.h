/* SPDX-License-Identifier: GPL-2.0 */
/* One valid record of each kind, for tests and for the fuzzers' corpus. */
#ifndef TESTS_SAMPLES_H
#define TESTS_SAMPLES_H

#include <sys/stat.h>

#include "common/record.h"

struct sample {
	struct im_rec hdr;
	struct im_body body;
	struct im_range ranges[3];
};

static inline struct im_fid sample_fid(u64 ino, u32 gen)
{
	struct im_fid fid = {
		.ino = cpu_to_le64(ino),
		.gen = cpu_to_le32(gen),
	};

	return fid;
}

static inline void sample_name(struct im_body *body, const char *name)
{
	body->name = name;
	body->name_len = strlen(name);
}

static inline void sample_data(struct im_body *body, const void *p, u32 len)
{
	body->data = p;
	body->data_len = len;
}

static inline bool sample_is_file_op(unsigned int op)
{
	return op != IM_OP_CHECKPOINT && op != IM_OP_MARK;
}

static inline void sample_create(struct sample *s, u32 mode)
{
	s->hdr.mode = cpu_to_le32(mode);
	s->hdr.dir = sample_fid(2, 0);
	sample_name(&s->body, "a file of \xff odd\nname");
}

static inline void sample_ranges(struct sample *s)
{
	static const u64 off[] = { 0, 8192, 1ULL << 40 };
	static const u64 len[] = { 4096, 1, (1ULL << 62) };

	for (int i = 0; i < 3; i++) {
		s->ranges[i].off = cpu_to_le64(off[i]);
		s->ranges[i].len = cpu_to_le64(len[i]);
	}
	sample_data(&s->body, s->ranges, sizeof(s->ranges));
	s->hdr.size = cpu_to_le64(1ULL << 41);
	s->hdr.trunc = cpu_to_le64(100);
	s->hdr.mode = cpu_to_le32(S_IFREG | 0644);
}

/* A done record of op. s must stay where it is. */
static inline void sample_rec(struct sample *s, unsigned int op)
{
	static const char value[] = "value\0with a NUL";

	memset(s, 0, sizeof(*s));
	s->hdr.magic = cpu_to_le32(IM_REC_MAGIC);
	s->hdr.seg = cpu_to_le64(3);
	s->hdr.recno = cpu_to_le64(1000 + op);
	s->hdr.time = cpu_to_le64(1700000000123456789ULL);
	s->hdr.op = cpu_to_le16(op);
	s->hdr.state = IM_RS_DONE;
	s->hdr.scan_from = cpu_to_le64(900);
	s->hdr.mtime = cpu_to_le64(1700000000);
	s->hdr.mtime_ns = cpu_to_le32(999999999);
	s->hdr.uid = cpu_to_le32(1000);
	s->hdr.gid = cpu_to_le32(0xfffffffe);
	s->hdr.nlink = cpu_to_le32(1);
	if (sample_is_file_op(op))
		s->hdr.fid = sample_fid(0x123456789abcULL, 0xdeadbeef);

	switch (op) {
	case IM_OP_CREATE:
		sample_create(s, S_IFREG | 0600);
		break;
	case IM_OP_MKDIR:
		sample_create(s, S_IFDIR | 01777);
		break;
	case IM_OP_MKNOD:
		sample_create(s, S_IFCHR);
		s->hdr.rdev = cpu_to_le64(1ULL << 32 | 3);
		break;
	case IM_OP_SYMLINK:
		sample_create(s, S_IFLNK | 0777);
		sample_data(&s->body, "../somewhere/else", 17);
		break;
	case IM_OP_LINK:
		sample_create(s, S_IFREG | 0600);
		s->hdr.flags = cpu_to_le32(IM_RF_FIRST);
		break;
	case IM_OP_UNLINK:
		sample_create(s, S_IFREG | 0600);
		s->hdr.flags = cpu_to_le32(IM_RF_LAST);
		break;
	case IM_OP_RMDIR:
		sample_create(s, S_IFDIR | 0700);
		break;
	case IM_OP_RENAME:
		sample_create(s, S_IFREG | 0600);
		s->hdr.dir2 = sample_fid(77, 5);
		s->hdr.old = sample_fid(78, 6);
		s->hdr.flags = cpu_to_le32(IM_RF_LAST);
		s->body.name2 = "to";
		s->body.name2_len = 2;
		break;
	case IM_OP_SETATTR:
		s->hdr.mode = cpu_to_le32(S_IFREG | 0400);
		s->hdr.valid = cpu_to_le32(IM_AV_MODE | IM_AV_MTIME);
		break;
	case IM_OP_SETXATTR:
		sample_name(&s->body, "user.with/slash");
		sample_data(&s->body, value, sizeof(value));
		break;
	case IM_OP_REMOVEXATTR:
		sample_name(&s->body, "system.posix_acl_access");
		break;
	case IM_OP_CLOSE:
		sample_ranges(s);
		s->hdr.flags = cpu_to_le32(IM_RF_FINAL);
		s->hdr.origin = cpu_to_le64(0x1122334455667788ULL);
		s->hdr.origin_recno = cpu_to_le64(55);
		s->hdr.origin_low = cpu_to_le64(50);
		s->hdr.origin_fid = sample_fid(99, 1);
		s->hdr.origin_version = cpu_to_le64(55);
		break;
	case IM_OP_SYNC:
		sample_ranges(s);
		s->hdr.flags = cpu_to_le32(IM_RF_STILL);
		break;
	case IM_OP_CHECKPOINT:
		s->hdr.flags = cpu_to_le32(IM_RF_CLEAN);
		break;
	case IM_OP_MARK:
		s->hdr.origin = cpu_to_le64(0x1122334455667788ULL);
		s->hdr.origin_recno = cpu_to_le64(70);
		break;
	}
}

#endif /* TESTS_SAMPLES_H */
