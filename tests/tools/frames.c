// SPDX-License-Identifier: GPL-2.0
/*
 * The wire by hand, beside curl:
 *   frames dump         frames on stdin, a line for each frame, object, record
 *   frames cat          the bytes of DATA and HOLE (or DELTA, SIG) on stdin; checks
 *                       FILEEND
 *   frames fid PATH...  FID of each, as INO.GEN
 *   frames get ITEM...  body of a stat or data request; ITEM is
 *                       INO.GEN[,OFF,LEN[,DIR-INO.GEN,NAME]]
 * Exit status: 0, or 1 if the input ends within a frame or is no frames.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>
#include "common/wire.h"
#include <linux/intermezzo.h>

static const char *const names[IM_FR_MAX + 1] = {
	[IM_FR_RECORDS] = "RECORDS", [IM_FR_ALIVE] = "ALIVE",
	[IM_FR_BEGIN] = "BEGIN", [IM_FR_DIR] = "DIR",
	[IM_FR_ENTRY] = "ENTRY", [IM_FR_DIREND] = "DIREND",
	[IM_FR_OBJECT] = "OBJECT", [IM_FR_GONE] = "GONE",
	[IM_FR_FILE] = "FILE", [IM_FR_DATA] = "DATA", [IM_FR_HOLE] = "HOLE",
	[IM_FR_FILEEND] = "FILEEND", [IM_FR_DELTA] = "DELTA",
	[IM_FR_SUMS] = "SUMS", [IM_FR_SIG] = "SIG", [IM_FR_END] = "END",
	[IM_FR_ERROR] = "ERROR", [IM_FR_EPOCH] = "EPOCH",
	[IM_FR_DIGEST] = "DIGEST", [IM_FR_CONTENT] = "CONTENT",
	[IM_FR_RIDERS] = "RIDERS", [IM_FR_PACK] = "PACK", [IM_FR_ABOUT] = "ABOUT",
};

static XXH3_state_t *hash;
static bool data;		/* FILEEND has the sum of what we print */

static void put_fid(const char *what, const struct im_fid *fid)
{
	printf(" %s=%" PRIu64 ".%u", what, (u64)le64_to_cpu(fid->ino),
	       le32_to_cpu(fid->gen));
}

static void put_text(const char *what, const char *p, size_t len)
{
	printf(" %s=", what);
	for (; len; p++, len--) {
		if (isgraph((unsigned char)*p) && *p != '\\')
			putchar(*p);
		else
			printf("\\x%02x", (unsigned char)*p);
	}
}

static int dump_objects(unsigned int type, const u8 *p, size_t len)
{
	struct im_obj o;
	const char *name;
	const void *value;
	size_t pos;
	ssize_t n;
	u16 nlen;
	u32 vlen;

	for (; len; p += n, len -= n) {
		n = im_obj_get(p, len, type == IM_FR_ENTRY, &o);
		if (n < 0)
			return (int)n;
		printf("%s", names[type]);
		put_fid("fid", &o.o->fid);
		printf(" mode=%o uid=%u gid=%u nlink=%u size=%" PRIu64
		       " rdev=%" PRIx64 " mtime=%" PRId64 ".%09u",
		       le32_to_cpu(o.o->mode), le32_to_cpu(o.o->uid),
		       le32_to_cpu(o.o->gid), le32_to_cpu(o.o->nlink),
		       (u64)le64_to_cpu(o.o->size),
		       (u64)le64_to_cpu(o.o->rdev),
		       (s64)le64_to_cpu(o.o->mtime),
		       le32_to_cpu(o.o->mtime_ns));
		put_text("name", o.name, o.name_len);
		if (o.target_len)
			put_text("target", o.target, o.target_len);
		for (pos = 0; im_obj_xattr(&o, &pos, &name, &nlen, &value,
					   &vlen);) {
			put_text("xattr", name, nlen);
			putchar(':');
			for (u32 i = 0; i < vlen; i++)
				printf("%02x", ((const u8 *)value)[i]);
		}
		putchar('\n');
	}
	return 0;
}

static int dump_records(const u8 *p, size_t len)
{
	const struct im_rec *rec;
	struct im_body body;
	size_t need;
	int err;

	for (; len; p += need, len -= need) {
		err = im_rec_check(p, len, &need, &body);
		if (err)
			return err;
		rec = (const struct im_rec *)p;
		printf("RECORD recno=%" PRIu64 " op=%s state=%u",
		       (u64)le64_to_cpu(rec->recno),
		       im_op_name(le16_to_cpu(rec->op)), rec->state);
		printf(" flags=%x mode=%o", le32_to_cpu(rec->flags),
		       le32_to_cpu(rec->mode));
		put_fid("fid", &rec->fid);
		put_fid("dir", &rec->dir);
		put_fid("dir2", &rec->dir2);
		put_fid("old", &rec->old);
		put_text("name", body.name, body.name_len);
		put_text("name2", body.name2, body.name2_len);
		putchar('\n');
	}
	return 0;
}

#define HAS(T) const T *t = (const T *)p; if (len != sizeof(*t)) return -EPROTO

static int dump_file(const u8 *p, size_t len)
{
	HAS(struct im_wire_file);

	printf("FILE index=%u", le32_to_cpu(t->index));
	put_fid("fid", &t->fid);
	printf(" size=%" PRIu64 " off=%" PRIu64 " len=%" PRIu64 "\n",
	       (u64)le64_to_cpu(t->size), (u64)le64_to_cpu(t->off),
	       (u64)le64_to_cpu(t->len));
	return 0;
}

static int dump_begin(const u8 *p, size_t len)
{
	HAS(struct im_wire_begin);

	printf("BEGIN start=%" PRIu64 " incarnation=%" PRIu64,
	       (u64)le64_to_cpu(t->start), (u64)le64_to_cpu(t->incarnation));
	put_fid("root", &t->root);
	putchar('\n');
	return 0;
}

static int dump_fid(unsigned int type, const u8 *p, size_t len)
{
	HAS(struct im_fid);

	printf("%s", names[type]);
	put_fid("fid", t);
	putchar('\n');
	return 0;
}

static u64 le64_at(const u8 *p, size_t len, size_t at)
{
	__le64 v = 0;

	if (at + sizeof(v) <= len)
		memcpy(&v, p + at, sizeof(v));
	return le64_to_cpu(v);
}

static int dump(void *arg, unsigned int type, const u8 *p, size_t len)
{
	__le32 err;

	switch (type) {
	case IM_FR_ENTRY:
	case IM_FR_OBJECT:
		return dump_objects(type, p, len);
	case IM_FR_RECORDS:
		return dump_records(p, len);
	case IM_FR_FILE:
		return dump_file(p, len);
	case IM_FR_BEGIN:
		return dump_begin(p, len);
	case IM_FR_DIR:
	case IM_FR_GONE:
		return dump_fid(type, p, len);
	case IM_FR_ERROR:
		if (len < sizeof(err))
			return -EPROTO;
		memcpy(&err, p, sizeof(err));
		printf("ERROR errno=%u %.*s\n", le32_to_cpu(err),
		       (int)(len - 4), (const char *)p + 4);
		return 0;
	case IM_FR_HOLE:
		printf("HOLE off=%" PRIu64 " len=%" PRIu64 "\n",
		       le64_at(p, len, 0), le64_at(p, len, 8));
		return 0;
	case IM_FR_DATA:
		printf("DATA off=%" PRIu64 " len=%zu\n", le64_at(p, len, 0),
		       len - 8);
		return 0;
	case IM_FR_EPOCH:
		printf("EPOCH first=%" PRIu64 " next=%" PRIu64
		       " epoch=%" PRIx64 "\n", le64_at(p, len, 8),
		       le64_at(p, len, 16), le64_at(p, len, 0));
		return 0;
	case IM_FR_ALIVE:
	case IM_FR_END:
		printf("%s recno=%" PRIu64 "\n", names[type],
		       le64_at(p, len, 0));
		return 0;
	}
	printf("%s bytes=%zu\n", names[type], len);
	return 0;
}

static int cat(void *arg, unsigned int type, const u8 *p, size_t len)
{
	static const u8 zero[4096];
	u64 left, n;

	switch (type) {
	case IM_FR_FILE:
		XXH3_64bits_reset(hash);
		data = true;
		return 0;
	case IM_FR_DATA:
		XXH3_64bits_update(hash, p + 8, len - 8);
		fwrite(p + 8, 1, len - 8, stdout);
		return 0;
	case IM_FR_HOLE:
		for (left = le64_at(p, len, 8); left; left -= n) {
			n = left < sizeof(zero) ? left : sizeof(zero);
			XXH3_64bits_update(hash, zero, n);
			fwrite(zero, 1, n, stdout);
		}
		return 0;
	case IM_FR_DELTA:
	case IM_FR_SIG:
		fwrite(p, 1, len, stdout);
		data = false;
		return 0;
	case IM_FR_FILEEND:
		return !data || le64_at(p, len, 0) == XXH3_64bits_digest(hash) ?
			       0 : -EBADMSG;
	case IM_FR_ERROR:
		return -EIO;
	}
	return 0;
}

static int read_frames(int (*fn)(void *, unsigned int, const u8 *, size_t))
{
	static u8 buf[65536];
	struct im_frames f = { .fn = fn };
	ssize_t n;
	int err = 0;

	while (!err && (n = read(0, buf, sizeof(buf))) > 0) {
		err = im_frames_feed(&f, buf, n);
		fflush(stdout);
	}
	if (err)
		fprintf(stderr, "frames: not frames: %s\n", strerror(-err));
	else if (!im_frames_idle(&f))
		fprintf(stderr, "frames: the last frame is not whole\n");
	else
		return 0;
	return 1;
}

static int show_fid(const char *path)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .h.handle_bytes = MAX_HANDLE_SZ };
	struct im_fh fh;
	int mount_id;

	if (name_to_handle_at(AT_FDCWD, path, &u.h, &mount_id, 0) < 0 ||
	    u.h.handle_type != IM_FH_FID || u.h.handle_bytes != sizeof(fh)) {
		fprintf(stderr, "frames: no FID of %s\n", path);
		return 1;
	}
	memcpy(&fh, u.h.f_handle, sizeof(fh));
	printf("%" PRIu64 ".%u\n", (u64)fh.ino_hi << 32 | fh.ino_lo, fh.gen);
	return 0;
}

static int make_get(const char *text)
{
	struct im_wire_get g = { .len = cpu_to_le64(UINT64_MAX) };
	unsigned long long ino, off = 0, len = UINT64_MAX, dir = 0;
	unsigned int gen, dir_gen = 0;
	struct im_buf b = { 0 };
	char name[256] = "";

	if (sscanf(text, "%llu.%u,%llu,%llu,%llu.%u,%255[^\n]", &ino, &gen,
		   &off, &len, &dir, &dir_gen, name) < 2) {
		fprintf(stderr, "frames: bad item %s\n", text);
		return 1;
	}
	g.fid.ino = cpu_to_le64(ino);
	g.fid.gen = cpu_to_le32(gen);
	g.off = cpu_to_le64(off);
	g.len = cpu_to_le64(len);
	g.dir.ino = cpu_to_le64(dir);
	g.dir.gen = cpu_to_le32(dir_gen);
	g.name_len = cpu_to_le16(strlen(name));
	im_get_put(&b, &g, name);
	fwrite(b.p, 1, b.len, stdout);
	im_buf_free(&b);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	int i, rc = 0;

	hash = XXH3_createState();
	if (!strcmp(verb, "dump"))
		return read_frames(dump);
	if (!strcmp(verb, "cat"))
		return read_frames(cat);
	for (i = 2; i < argc && !rc; i++) {
		if (!strcmp(verb, "fid"))
			rc = show_fid(argv[i]);
		else if (!strcmp(verb, "get"))
			rc = make_get(argv[i]);
		else
			rc = 2;
	}
	if (argc < 3 || rc == 2)
		fprintf(stderr, "usage: frames dump|cat|fid PATH...|get ITEM...\n");
	return rc;
}
