// SPDX-License-Identifier: GPL-2.0
/*
 * Writes the fuzzers' corpus, the files beside this one; from the top:
 *
 *   cc -D_GNU_SOURCE -I. -Iinclude -Iinclude/uapi -o /tmp/make-corpus \
 *	tests/fuzz/corpus/make.c common/{record,ranges,wire}.c \
 *	syncd/{invite,address,identity,durable,peerfile}.c \
 *	-lzstd -lxxhash -ljansson -lgnutls
 *   /tmp/make-corpus tests/fuzz/corpus
 */
#include "common/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "syncd/invite.h"
#include "tests/unit/samples.h"

struct syncd_conf conf;

void logmsg(int prio, const char *fmt, ...)
{
}

static const char *top;

__attribute__((format(printf, 4, 5)))
static void save(const char *dir, const void *p, size_t len,
		 const char *fmt, ...)
{
	char path[500];
	va_list ap;
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "%s/%s", top, dir);
	mkdir(path, 0777);
	n = snprintf(path, sizeof(path), "%s/%s/", top, dir);
	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(path) - n, fmt, ap);
	va_end(ap);
	f = fopen(path, "wb");
	if (!f || fwrite(p, 1, len, f) != len || fclose(f)) {
		perror(path);
		exit(1);
	}
}

static size_t record(u8 *buf, unsigned int op)
{
	struct sample s;

	sample_rec(&s, op);
	im_rec_encode(buf, &s.hdr, &s.body);
	return im_rec_len(&s.body);
}

static void records(void)
{
	static u8 buf[IM_REC_MAX];

	for (unsigned int op = 1; op <= IM_OP_MAX; op++)
		save("record", buf, record(buf, op), "%s", im_op_name(op));
}

static struct im_buf object(u32 mode, const char *name, const char *target)
{
	static const struct im_xattr xattrs[] = {
		{ "user.a", "value", 5 },
		{ "security.selinux", "", 0 },
	};
	struct im_wire_obj o = {
		.mode = cpu_to_le32(mode),
		.fid = sample_fid(1234, 5),
		.mtime = cpu_to_le64(1700000000),
		.size = cpu_to_le64(4096),
		.nlink = cpu_to_le32(1),
	};
	struct im_buf b = { 0 };

	im_obj_put(&b, &o, name, strlen(name), target, strlen(target), xattrs,
		   *target ? 0 : 2);
	return b;
}

static void objects(void)
{
	struct im_buf a = object(S_IFREG | 0644, "file", "");
	struct im_buf b = object(S_IFLNK | 0777, "link", "target");
	struct im_buf c = object(S_IFDIR | 0755, "", "");

	save("obj", a.p, a.len, "file");
	save("obj", b.p, b.len, "link");
	save("obj", c.p, c.len, "nameless");
	im_buf_put(&a, b.p, b.len);
	im_buf_put(&a, c.p, c.len);
	save("obj", a.p, a.len, "three");
	im_buf_free(&a);
	im_buf_free(&b);
	im_buf_free(&c);
}

static void gets(void)
{
	struct im_wire_get get = {
		.fid = sample_fid(1234, 5),
		.len = cpu_to_le64(~0ULL),
	};
	struct im_buf b = { 0 };

	im_get_put(&b, &get, "");
	save("get", b.p, b.len, "plain");
	get.dir = sample_fid(2, 0);
	get.off = cpu_to_le64(4096);
	get.len = cpu_to_le64(8192);
	get.name_len = cpu_to_le16(4);
	im_get_put(&b, &get, "name");
	save("get", b.p, b.len, "two");
	im_buf_free(&b);
}

static void asks(void)
{
	struct im_wire_ask ask = { .dir = sample_fid(1234, 5), .flags = 1 };
	struct im_buf b = { 0 };

	im_ask_put(&b, &ask, "");
	save("ask", b.p, b.len, "sum");
	ask.prefix = cpu_to_le32(0xabc);
	ask.bits = 12;
	ask.split = 8;
	im_ask_put(&b, &ask, "");
	save("ask", b.p, b.len, "split");
	memset(&ask, 0, sizeof(ask));
	ask.dir = sample_fid(2, 0);
	ask.flags = IM_ASK_LIST | IM_ASK_SETTLE;
	ask.name_len = cpu_to_le16(4);
	im_ask_put(&b, &ask, "name");
	save("ask", b.p, b.len, "name");
	im_buf_free(&b);
}

static void frames(void)
{
	static u8 buf[IM_REC_MAX], plain[20000];
	struct im_buf b = { 0 }, obj = object(S_IFREG | 0644, "file", "");
	u8 step = 5;

	im_buf_put(&b, &step, 1);
	im_frame_put(&b, IM_FR_RECORDS, buf, record(buf, IM_OP_CREATE), 0);
	im_frame_put(&b, IM_FR_ALIVE, "\1\0\0\0\0\0\0\0", 8, 0);
	save("frames", b.p, b.len, "kml");
	im_frame_put(&b, IM_FR_ENTRY, obj.p, obj.len, 3);
	im_frame_put(&b, IM_FR_DATA, plain, 1000, 3);
	im_frame_put(&b, IM_FR_END, "", 0, 3);
	save("frames", b.p, b.len, "packed");
	im_buf_reset(&b);
	im_buf_put(&b, &step, 1);
	im_frame_put(&b, IM_FR_DATA, plain, sizeof(plain), 19);
	save("frames", b.p, b.len, "zeros");
	im_buf_reset(&b);
	im_buf_put(&b, &step, 1);
	for (int i = 0; i < 20; i++)
		im_frame_put(&b, IM_FR_DATA, "some text", 9, 0);
	im_frames_pack(&b, 1, 3);
	save("frames", b.p, b.len, "pack");
	im_buf_reset(&b);
	im_buf_put(&b, &step, 1);
	im_frame_put(&b, IM_FR_PACK, "\3\0\0\0\12\0\0\0abc\0\0\0\0", 16, 0);
	save("frames", b.p, b.len, "plain-pack");
	im_buf_free(&b);
	im_buf_free(&obj);
}

/* "first" at 8 and, if there are two, "two" at 64. */
static void rider(struct im_buf *b, bool two)
{
	static const char text[] = "firsttwo";
	struct im_wire_file w = {
		.mode = cpu_to_le32(S_IFREG | 0644),
		.fid = sample_fid(1234, 5),
		.size = cpu_to_le64(100),
		.off = cpu_to_le64(8),
		.len = cpu_to_le64(5),
	};
	struct im_wire_fileend e = {
		.xxh3 = cpu_to_le64(XXH3_64bits(text, two ? 8 : 5)),
		.size = w.size,
	};

	im_frame_put(b, IM_FR_FILE, &w, sizeof(w), 0);
	im_frame_put(b, IM_FR_DATA, "\10\0\0\0\0\0\0\0first", 13, 0);
	if (two)
		im_frame_put(b, IM_FR_DATA, "\100\0\0\0\0\0\0\0two", 11, 0);
	im_frame_put(b, IM_FR_FILEEND, &e, sizeof(e), 0);
}

static void riders(void)
{
	static u8 buf[IM_REC_MAX];
	struct im_wire_get get = {
		.fid = sample_fid(1234, 5),
		.recno = cpu_to_le64(21),
		.off = cpu_to_le64(8),
		.len = cpu_to_le64(5),
	};
	struct im_buf b = { 0 }, items = { 0 };

	im_get_put(&items, &get, "");
	im_frame_put(&b, IM_FR_RIDERS, items.p, items.len, 0);
	rider(&b, false);
	im_frame_put(&b, IM_FR_END, "", 0, 0);
	im_frame_put(&b, IM_FR_RECORDS, buf, record(buf, IM_OP_CLOSE), 0);
	save("riders", b.p, b.len, "one");
	get.off = cpu_to_le64(64);
	im_get_put(&items, &get, "");
	get.recno = cpu_to_le64(22);
	get.fid = sample_fid(1235, 5);
	im_get_put(&items, &get, "");
	im_buf_reset(&b);
	im_frame_put(&b, IM_FR_RIDERS, items.p, items.len, 1);
	rider(&b, true);
	im_frame_put(&b, IM_FR_GONE, &get.fid, sizeof(get.fid), 0);
	im_frame_put(&b, IM_FR_END, "", 0, 0);
	save("riders", b.p, b.len, "three");
	im_buf_free(&items);
	im_buf_free(&b);
}

/* The text, and what is under its prefix and sum. */
static void invitations(void)
{
	static const struct invite v = {
		.server = "the server's key: 32 bytes of it",
		.secret = "the secret of 16",
		.port = 7071,
		.name = "data",
		.host = "server.example",
	};
	char text[INVITE_TEXT];
	struct im_buf b = { 0 };

	invite_format(&v, text);
	save("invite", text, strlen(text), "text");
	im_buf_put(&b, v.server, sizeof(v.server));
	im_buf_put(&b, v.secret, sizeof(v.secret));
	im_buf_put(&b, "\x1b\x9f\4data\xeserver.example", 22);
	save("invite", b.p, b.len, "content");
	im_buf_free(&b);
}

static void peers(void)
{
	struct peer peer[2] = { { .name = "one", .since = 1, .seen = 2 },
				{ .fp = { 255 }, .name = "two.example" } };
	struct grant grant[3] = { { .fileset = "t", .since = 3 },
				  { .fileset = "u", .since = 4, .revoked = 5 },
				  { .fp = { 255 }, .fileset = "t" } };
	struct invitation invitation[2] = {
		{ .fileset = "t", .made = 6, .expires = 7 },
		{ .hash = { 1 }, .fileset = "u", .made = 8, .expires = 9,
		  .used = 8 } };
	const struct peers p = { peer, grant, invitation, 2, 3, 2 };
	char *text = peers_format(&p);

	save("peers", text, strlen(text), "some");
	free(text);
	text = peers_format(&(struct peers){ 0 });
	save("peers", text, strlen(text), "none");
	free(text);
}

static void redeems(void)
{
	struct im_wire_redeem w = {
		.magic = cpu_to_le32(IM_WIRE_MAGIC_REDEEM),
		.name = "host.example",
	};

	save("redeem", &w, sizeof(w), "plain");
	memset(w.name, 'x', sizeof(w.name) - 1);
	save("redeem", &w, sizeof(w), "long");
}

static void wants(void)
{
	static const char *const texts[] = {
		"1234.7.5-0.-1000.a_1234.7.6-1000.a_3.7.6-0.1", "1.0.1-0.",
		"ffffffffffffffff.ffffffff.ffffffffffffffff-7fffffffffffffff.",
	};
	static const char *const names[] = { "several", "whole", "largest" };

	for (unsigned int i = 0; i < 3; i++)
		save("want", texts[i], strlen(texts[i]), "%s", names[i]);
}

/* The first byte says what was asked for; see the fuzzers. */
static void begin(struct im_buf *b, u8 asked)
{
	const struct im_wire_begin w = { 0 };

	im_buf_reset(b);
	im_buf_put(b, &asked, 1);
	im_frame_put(b, IM_FR_BEGIN, &w, sizeof(w), 0);
}

static void list(struct im_buf *b, const char *name)
{
	const struct im_wire_content c = { .fid = sample_fid(1234, 5) };
	const struct im_fid dir = sample_fid(2, 0);
	const struct im_wire_dirend e = { .fid = dir };
	struct im_buf obj = object(S_IFREG | 0644, name, "");

	im_frame_put(b, IM_FR_DIR, &dir, sizeof(dir), 0);
	im_frame_put(b, IM_FR_ENTRY, obj.p, obj.len, 0);
	im_frame_put(b, IM_FR_CONTENT, &c, sizeof(c), 0);
	im_frame_put(b, IM_FR_DIREND, &e, sizeof(e), 0);
	im_buf_free(&obj);
}

static void comparisons(void)
{
	const struct im_wire_sum sums[4] = { { .count = cpu_to_le64(3) } };
	const struct im_fid gone = sample_fid(7, 0);
	static u8 rec[2 * IM_REC_MAX];
	struct im_buf b = { 0 };
	size_t len;

	begin(&b, 2 << 3 | 2);		/* 3 parts, 4 sums each */
	im_frame_put(&b, IM_FR_DIGEST, sums, sizeof(sums), 0);
	im_frame_put(&b, IM_FR_GONE, &gone, sizeof(gone), 0);
	im_frame_put(&b, IM_FR_DIGEST, sums, sizeof(sums), 0);
	im_frame_put(&b, IM_FR_END, "\7\0\0\0\0\0\0\0", 8, 0);
	save("verify", b.p, b.len, "sums");
	begin(&b, 0x80);
	list(&b, "file");
	im_frame_put(&b, IM_FR_END, "\7\0\0\0\0\0\0\0", 8, 0);
	save("verify", b.p, b.len, "list");

	begin(&b, 1);			/* two names */
	list(&b, "name");
	im_frame_put(&b, IM_FR_GONE, &gone, sizeof(gone), 0);
	im_frame_put(&b, IM_FR_END, "\7\0\0\0\0\0\0\0", 8, 0);
	save("suspect", b.p, b.len, "names");
	im_buf_reset(&b);
	im_buf_put(&b, "\x80", 1);
	len = record(rec, IM_OP_CREATE);
	len += record(rec + len, IM_OP_MKDIR);
	im_frame_put(&b, IM_FR_RECORDS, rec, len, 0);
	save("suspect", b.p, b.len, "log");
	im_buf_free(&b);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	top = argv[1];
	records();
	objects();
	gets();
	asks();
	frames();
	riders();
	invitations();
	peers();
	redeems();
	wants();
	comparisons();
	return 0;
}
