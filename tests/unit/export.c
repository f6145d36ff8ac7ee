// SPDX-License-Identifier: GPL-2.0
/*
 * What the server says of a tree: snapshot, stat, data, sums, deltas.
 * links: syncd/server.c syncd/request.c syncd/digest.c syncd/digests.c syncd/conn.c syncd/kml.c syncd/riders.c syncd/object.c syncd/snapshot.c syncd/export.c syncd/blocks.c syncd/shelf.c syncd/fid.c syncd/proof.c syncd/bucket.c syncd/redeem.c syncd/peers.c syncd/peerfile.c syncd/identity.c syncd/durable.c tests/unit/fake/server.c
 */
#include "tap.h"
#include "fake/server.h"

#include <fcntl.h>
#include <librsync.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

struct seen {
	unsigned int objs, dirs, wrong, secret, xattrs;
	struct im_fid dir;
	bool in_dir;
};

static void see(struct seen *s, const struct im_obj *o)
{
	const struct im_wire_obj *w = o->o;
	struct im_fid fid;
	struct stat st;
	char file[600], name[256], target[4096];
	int dfd, fd;
	size_t pos = 0;
	const char *xname;
	const void *value;
	u16 xlen;
	u32 vlen;
	ssize_t n;

	memcpy(name, o->name, o->name_len);
	name[o->name_len] = '\0';
	if (!strcmp(name, ".intermezzo") || !strcmp(name, "secret"))
		s->secret++;
	dfd = s->in_dir ? fid_open(&set, &s->dir, NULL, NULL,
				   O_RDONLY | O_DIRECTORY)
			: open(at(""), O_RDONLY);
	fd = openat(dfd, *name ? name : ".", O_PATH | O_NOFOLLOW);
	if (fstat(fd, &st) || fid_of(fd, "", &fid) ||
	    !im_fid_eq(&fid, &w->fid) || st.st_mode != le32_to_cpu(w->mode) ||
	    st.st_uid != le32_to_cpu(w->uid) ||
	    st.st_nlink != le32_to_cpu(w->nlink) ||
	    st.st_mtim.tv_sec != (time_t)le64_to_cpu(w->mtime) ||
	    st.st_mtim.tv_nsec != le32_to_cpu(w->mtime_ns) ||
	    (u64)(S_ISREG(st.st_mode) ? st.st_size : 0) !=
		    le64_to_cpu(w->size)) {
		diag("'%s' is not as in the tree", name);
		s->wrong++;
	}
	n = readlinkat(fd, "", target, sizeof(target));
	if ((n > 0 ? n : 0) != o->target_len ||
	    (n > 0 && memcmp(target, o->target, n)))
		s->wrong++;
	if (S_ISCHR(st.st_mode) &&
	    le64_to_cpu(w->rdev) != ((u64)1 << 32 | 3))
		s->wrong++;
	snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	while (im_obj_xattr(o, &pos, &xname, &xlen, &value, &vlen)) {
		char x[256], v[64];

		memcpy(x, xname, xlen);
		x[xlen] = '\0';
		s->xattrs++;
		if (!strncmp(x, "trusted.intermezzo", 18))
			s->secret++;
		n = getxattr(file, x, v, sizeof(v));
		if (n != (ssize_t)vlen || memcmp(v, value, n))
			s->wrong++;
	}
	close(fd);
	close(dfd);
	s->objs++;
}

static void see_frames(struct seen *s, const struct frames *f)
{
	struct im_obj o;
	unsigned int i;
	size_t pos;
	ssize_t n;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < f->n; i++) {
		switch (f->v[i].type) {
		case IM_FR_DIR:
			memcpy(&s->dir, f->v[i].p, sizeof(s->dir));
			s->dirs++;
			s->in_dir = true;
			break;
		case IM_FR_DIREND:
			s->in_dir = false;
			break;
		case IM_FR_OBJECT:
		case IM_FR_ENTRY:
			for (pos = 0; pos < f->v[i].len; pos += n) {
				n = im_obj_get(f->v[i].p + pos,
					       f->v[i].len - pos,
					       f->v[i].type == IM_FR_ENTRY, &o);
				if (n < 0) {
					s->wrong++;
					return;
				}
				if (f->v[i].type == IM_FR_ENTRY)
					see(s, &o);
			}
			break;
		}
	}
}

static void test_snapshot(void)
{
	struct im_wire_begin b;
	struct frames *f;
	struct seen s;
	char url[128];
	int before;
	u64 end = 0;

	fakelog.durable = 15;
	before = atomic_load(&fakelog.opened);
	f = frames_ask("/im/1/t/snapshot?inc=9", NULL);
	ok(last_is(f, IM_FR_END) && f->v[0].type == IM_FR_BEGIN &&
	   f->v[1].type == IM_FR_EPOCH && f->v[2].type == IM_FR_EPOCH &&
	   f->v[3].type == IM_FR_OBJECT,
	   "a snapshot goes from BEGIN, the epochs, the root, to END");
	memcpy(&b, f->v[0].p, sizeof(b));
	is(le64_to_cpu(b.start), 15, "it begins at the durable record");
	memcpy(&end, f->v[f->n - 1].p, sizeof(end));
	is(le64_to_cpu(end), 20, "it ends with the newest");
	ok(atomic_load(&fakelog.opened) > before && fakelog.durable == 20,
	   "when that is durable too");
	see_frames(&s, f);
	is(s.wrong, 0, "all objects are as in the tree");
	is(s.objs, 2014, "all objects are there");
	is(s.dirs, 5, "all directories are there");
	is(s.secret, 0, "nothing of ours is shown");
	is(s.xattrs, 5, "xattrs are there, also of a link");

	snprintf(url, sizeof(url), "/im/1/t/snapshot?inc=9&fid=%s",
		 fid_text("dir/sub"));
	f = frames_ask(url, NULL);
	see_frames(&s, f);
	ok(last_is(f, IM_FR_END) && s.objs == 2 && s.dirs == 2 && !s.wrong,
	   "a part of the tree can be had");
	snprintf(url, sizeof(url), "/im/1/t/snapshot?inc=9&fid=%s",
		 fid_text("fifo"));
	f = frames_ask(url, NULL);
	ok(last_is(f, IM_FR_END) && f->n == 5 && f->v[3].type == IM_FR_OBJECT,
	   "an object that is no directory");
	f = frames_ask("/im/1/t/snapshot?inc=9&fid=999999999.1", NULL);
	ok(last_is(f, IM_FR_END) && f->n == 5 && f->v[3].type == IM_FR_GONE,
	   "and one that is gone");
}

static void test_stat(void)
{
	struct frames *f;
	struct seen s;

	item("plain", NULL, NULL, 0, 0);
	item(NULL, NULL, NULL, 0, 0);
	item("out", NULL, NULL, 0, 0);
	item("null", NULL, NULL, 0, 0);
	fakelog.durable = 15;
	f = post("/im/1/t/stat?inc=9");
	see_frames(&s, f);
	ok(last_is(f, IM_FR_END) && f->n == 5 && f->v[0].type == IM_FR_OBJECT &&
	   f->v[1].type == IM_FR_GONE && f->v[2].type == IM_FR_OBJECT &&
	   !s.wrong, "stat answers in order");
	is(fakelog.durable, 20, "stat waits for the log");
}

/* The bytes of one file from frame *i on; checks sums. -1: not a whole file. */
static ssize_t content(const struct frames *f, unsigned int *i, u8 *out,
		       size_t room, struct im_wire_file *w)
{
	struct im_wire_fileend e;
	u64 pos, off, len;

	if (*i >= f->n || f->v[*i].type != IM_FR_FILE)
		return -1;
	memcpy(w, f->v[(*i)++].p, sizeof(*w));
	pos = le64_to_cpu(w->off);
	for (; *i < f->n; (*i)++) {
		const u8 *p = f->v[*i].p;

		if (f->v[*i].type == IM_FR_DATA) {
			len = f->v[*i].len - 8;
			memcpy(&off, p, 8);
			p += 8;
		} else if (f->v[*i].type == IM_FR_HOLE) {
			memcpy(&off, p, 8);
			memcpy(&len, p + 8, 8);
			p = NULL;
		} else {
			break;
		}
		if (le64_to_cpu(off) != pos ||
		    pos - le64_to_cpu(w->off) + len > room)
			return -1;
		if (p)
			memcpy(out + (pos - le64_to_cpu(w->off)), p, len);
		else
			memset(out + (pos - le64_to_cpu(w->off)), 0, len);
		pos += len;
	}
	len = pos - le64_to_cpu(w->off);
	if (*i >= f->n || f->v[*i].type != IM_FR_FILEEND ||
	    len != le64_to_cpu(w->len))
		return -1;
	memcpy(&e, f->v[(*i)++].p, sizeof(e));
	return le64_to_cpu(e.xxh3) == XXH3_64bits(out, len) ? (ssize_t)len : -1;
}

static bool data_is(const struct frames *f, unsigned int i, u64 off,
		    const char *text)
{
	u64 at;

	if (i >= f->n || f->v[i].type != IM_FR_DATA ||
	    f->v[i].len != 8 + strlen(text))
		return false;
	memcpy(&at, f->v[i].p, 8);
	return le64_to_cpu(at) == off &&
	       !memcmp(f->v[i].p + 8, text, strlen(text));
}

/* Ranges of one file that follow each other have one answer. */
static void test_ranges(void)
{
	struct im_wire_fileend e;
	struct frames *f;

	item("sparse", NULL, NULL, 1, 3);
	item("sparse", NULL, NULL, 2 << 20, 3);
	item("sparse", NULL, NULL, 5 << 20, 1000);
	item("sparse", NULL, NULL, 1ULL << 40, UINT64_MAX);
	item("sparse", NULL, NULL, 0, 5);
	item(NULL, NULL, NULL, 0, 1);
	item(NULL, NULL, NULL, 7, 1);
	item("sparse", NULL, NULL, 0, 5);
	item("sparse", NULL, NULL, 4, 1);
	f = post("/im/1/t/data?inc=9");
	is(f->n, 16, "five answers to nine items");
	ok(f->v[0].type == IM_FR_FILE && data_is(f, 1, 1, "egi") &&
	   data_is(f, 2, 2 << 20, "mid") && data_is(f, 3, 5 << 20, "end"),
	   "ranges in a row, the last of them clipped or empty");
	memcpy(&e, f->v[4].p, sizeof(e));
	ok(f->v[4].type == IM_FR_FILEEND &&
	   le64_to_cpu(e.xxh3) == XXH3_64bits("egimidend", 9),
	   "have one sum");
	ok(f->v[5].type == IM_FR_FILE && data_is(f, 6, 0, "begin") &&
	   f->v[7].type == IM_FR_FILEEND, "one before them has its own");
	ok(f->v[8].type == IM_FR_GONE, "what is gone is gone once");
	ok(f->v[9].type == IM_FR_FILE && data_is(f, 10, 0, "begin") &&
	   f->v[11].type == IM_FR_FILEEND && f->v[12].type == IM_FR_FILE &&
	   data_is(f, 13, 4, "n") && f->v[14].type == IM_FR_FILEEND &&
	   f->v[15].type == IM_FR_END, "and so has one that overlaps");
}

static void test_data(void)
{
	static u8 got[8 << 20], want[8 << 20];
	unsigned int i = 0, n, good = 0, holes = 0;
	struct im_wire_file w;
	struct reply r;
	struct frames *f;
	char name[32];
	int fd;

	item("sparse", NULL, NULL, 0, UINT64_MAX);
	item(NULL, NULL, NULL, 0, UINT64_MAX);
	item("sparse", NULL, NULL, (2 << 20) - 5, 10);
	item("empty", NULL, NULL, 0, UINT64_MAX);
	item("sparse", NULL, NULL, 1ULL << 40, 10);
	fakelog.durable = 15;
	f = post("/im/1/t/data?inc=9");
	is(fakelog.durable, 20, "data waits for the log before it says FILEEND");
	for (n = 0; n < f->n; n++)
		holes += f->v[n].type == IM_FR_HOLE;
	fd = open(at("sparse"), O_RDONLY);
	n = pread(fd, want, sizeof(want), 0);
	close(fd);
	ok(content(f, &i, got, sizeof(got), &w) == (ssize_t)n &&
	   !memcmp(got, want, n), "a file with holes arrives");
	ok(holes >= 2, "and its holes as such");
	ok(f->v[i++].type == IM_FR_GONE, "a file that is gone");
	ok(content(f, &i, got, sizeof(got), &w) == 10 &&
	   !memcmp(got, "\0\0\0\0\0mid\0\0", 10), "a range");
	ok(!content(f, &i, got, sizeof(got), &w), "an empty file");
	ok(!content(f, &i, got, sizeof(got), &w) &&
	   le64_to_cpu(w.off) == (5 << 20) + 3, "a range behind the end");
	ok(i == f->n - 1 && last_is(f, IM_FR_END), "and that was all");

	for (n = 0; n < 1000; n++) {
		snprintf(name, sizeof(name), "many/file-%04d", n);
		item(name, NULL, NULL, 0, UINT64_MAX);
	}
	f = post("/im/1/t/data?inc=9");
	for (n = 0, i = 0; n < 1000; n++) {
		snprintf(name, sizeof(name), "many/file-%04d", n);
		good += content(f, &i, got, sizeof(got), &w) == 14 &&
			!memcmp(got, name, 14) && le32_to_cpu(w.index) == n;
	}
	is(good, 1000, "1000 small files arrive in one answer");
	for (n = 0; n < 1000; n++) {
		snprintf(name, sizeof(name), "many/file-%04d", n);
		item(name, NULL, NULL, 0, UINT64_MAX);
	}
	ask(&r, "/im/1/t/data?inc=9", &(struct ask){ .body = body.p,
						     .len = body.len });
	im_buf_reset(&body);
	ok(r.body.len && r.body.len < 1000 * 40,
	   "packed together: %zu bytes for each", r.body.len / 1000);
	im_buf_free(&r.body);

	item("fifo", NULL, NULL, 0, UINT64_MAX);
	ok(last_is(post("/im/1/t/data?inc=9"), IM_FR_ERROR),
	   "a fifo is not read");
	item("out", NULL, NULL, 0, UINT64_MAX);
	ok(last_is(post("/im/1/t/data?inc=9"), IM_FR_ERROR),
	   "a link is not followed");
	item("null", NULL, NULL, 0, UINT64_MAX);
	ok(last_is(post("/im/1/t/data?inc=9"), IM_FR_ERROR),
	   "a device is not opened");
}

static void test_hint(void)
{
	static const struct {
		const char *dir, *name, *what;
		unsigned int type;
	} cases[] = {
		{ "", "plain", "a right hint finds it", IM_FR_FILE },
		{ "dir", "hard", "its other name too", IM_FR_FILE },
		{ "", "empty", "a hint to another file does not", IM_FR_GONE },
		{ "", "link", "nor one to a link", IM_FR_GONE },
		{ "", "nothing", "nor one to nothing", IM_FR_GONE },
		{ "empty", "plain", "nor one beneath a file", IM_FR_GONE },
	};
	struct frames *f;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fid_at("plain", &fakelog.lost);
		item("plain", cases[i].dir, cases[i].name, 0, UINT64_MAX);
		f = post("/im/1/t/data?inc=9");
		ok(f->n && f->v[0].type == cases[i].type,
		   "unknown to the server's cache: %s", cases[i].what);
	}
	memset(&fakelog.lost, 0, sizeof(fakelog.lost));
}

/* A record of the log, recno 5, about a file. */
static void history(unsigned int op, unsigned int state, const char *file)
{
	struct im_rec rec = {
		.magic = cpu_to_le32(IM_REC_MAGIC),
		.op = cpu_to_le16(op),
		.state = state,
		.recno = cpu_to_le64(5),
		.mode = cpu_to_le32(S_IFREG | 0644),
	};
	struct im_body b = { .name = "x", .name_len = 1 };
	size_t at = fakelog.history.len;
	u8 buf[1024];

	fid_at(file, &rec.fid);
	fid_at("dir", &rec.dir);
	im_rec_encode(buf, &rec, &b);
	im_buf_put(&fakelog.history, buf, im_rec_len(&b));
	if (im_rec_check(fakelog.history.p + at, im_rec_len(&b), &at, &b))
		diag("bad record in the test");
}

/* The name is of another time; recno, if any, must do without the log. */
static void found(unsigned int type, u64 recno, const char *what)
{
	struct im_wire_get *g;
	struct frames *f;

	fid_at("plain", &fakelog.lost);
	item("plain", "", "nothing", 0, UINT64_MAX);
	g = (struct im_wire_get *)body.p;
	g->recno = cpu_to_le64(recno);
	f = post("/im/1/t/data?inc=9");
	ok(f->n && f->v[0].type == type, "unknown to the server's cache: %s",
	   what);
	memset(&fakelog.lost, 0, sizeof(fakelog.lost));
}

static void test_proof(void)
{
	char url[160];

	found(IM_FR_GONE, 0, "gone if the log knows nothing");
	history(IM_OP_CREATE, IM_RS_DONE, "empty");
	found(IM_FR_GONE, 0, "gone if it knows another file");
	found(IM_FR_GONE, 5, "also if that is what the client names");
	found(IM_FR_GONE, 17, "or if there is no such record");
	im_buf_reset(&fakelog.history);
	history(IM_OP_UNLINK, IM_RS_ABORTED, "plain");
	found(IM_FR_GONE, 0, "what did not happen proves nothing");
	found(IM_FR_GONE, 5, "in no way");
	im_buf_reset(&fakelog.history);
	history(IM_OP_UNLINK, IM_RS_DONE, "plain");
	found(IM_FR_FILE, 5, "found by the record that the client names");
	found(IM_FR_FILE, 0, "and by any that names it");

	fid_at("plain", &fakelog.lost);
	snprintf(url, sizeof(url), "/im/1/t/sums?inc=9&fid=%s&block=1000&recno=5",
		 fid_text("plain"));
	ok(frames_ask(url, NULL)->v[0].type == IM_FR_FILE,
	   "sums take a record too");
	memset(&fakelog.lost, 0, sizeof(fakelog.lost));
	im_buf_reset(&fakelog.history);
}

/* Differences */

static void test_sums(void)
{
	static u8 buf[300001];
	XXH128_canonical_t c;
	struct frames *f;
	char url[160];
	size_t i, n = 0, good = 0;

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = rnd();
	put("random", buf, sizeof(buf), 0);
	snprintf(url, sizeof(url), "/im/1/t/sums?inc=9&fid=%s&block=1000",
		 fid_text("random"));
	f = frames_ask(url, NULL);
	ok(last_is(f, IM_FR_END) && f->v[0].type == IM_FR_FILE,
	   "sums of blocks");
	for (i = 1; i < f->n && f->v[i].type == IM_FR_SUMS; i++) {
		size_t k;

		for (k = 0; k < f->v[i].len; k += 16, n++) {
			size_t len = sizeof(buf) - n * 1000;

			XXH128_canonicalFromHash(
				&c, XXH3_128bits(buf + n * 1000,
						 len < 1000 ? len : 1000));
			good += !memcmp(&c, f->v[i].p + k, 16);
		}
	}
	ok(n == 301 && good == 301, "are right, the short one at the end too");
	snprintf(url, sizeof(url), "/im/1/t/sums?inc=9&fid=%s&block=4096",
		 fid_text("empty"));
	f = frames_ask(url, NULL);
	ok(last_is(f, IM_FR_END) && f->n == 3, "an empty file has none");
	f = frames_ask("/im/1/t/sig?inc=9&fid=99999999.1&block=4096", NULL);
	ok(last_is(f, IM_FR_END) && f->n == 2 && f->v[0].type == IM_FR_GONE,
	   "a file that is gone has no signature");
}

static size_t signature(const u8 *p, size_t len, rs_magic_number magic,
			char *out, size_t room)
{
	rs_job_t *job = rs_sig_begin(2048, magic == RS_MD4_SIG_MAGIC ? 8 : 16,
				     magic);
	rs_buffers_t io = {
		.next_in = (char *)(uintptr_t)p, .avail_in = len, .eof_in = 1,
		.next_out = out, .avail_out = room,
	};

	if (rs_job_iter(job, &io) != RS_DONE)
		abort();
	rs_job_free(job);
	return room - io.avail_out;
}

struct basis {
	const u8 *p;
	size_t len;
};

static rs_result basis_read(void *arg, rs_long_t pos, size_t *len, void **buf)
{
	struct basis *b = arg;

	if (pos < 0 || (size_t)pos > b->len)
		return RS_IO_ERROR;
	if (*len > b->len - pos)
		*len = b->len - pos;
	memcpy(*buf, b->p + pos, *len);
	return RS_DONE;
}

static void test_delta_from(const u8 *old, size_t old_len, const u8 *new,
			    size_t new_len, size_t most, const char *what)
{
	static char sig[1 << 20], delta[4 << 20], out[4 << 20];
	struct im_wire_fileend e = { 0 };
	struct basis basis = { old, old_len };
	size_t len = 0, sig_len;
	struct frames *f;
	char url[160];
	unsigned int i;
	rs_job_t *job;

	/* the file was written: there is a record of that */
	fakelog.last = ++fakelog.durable;
	sig_len = signature(old, old_len, RS_RK_BLAKE2_SIG_MAGIC, sig,
			    sizeof(sig));
	snprintf(url, sizeof(url), "/im/1/t/delta?inc=9&fid=%s",
		 fid_text("random"));
	f = frames_ask(url, &(struct ask){ .body = sig, .len = sig_len });
	for (i = 0; i < f->n; i++) {
		if (f->v[i].type == IM_FR_DELTA) {
			memcpy(delta + len, f->v[i].p, f->v[i].len);
			len += f->v[i].len;
		} else if (f->v[i].type == IM_FR_FILEEND) {
			memcpy(&e, f->v[i].p, sizeof(e));
		}
	}
	job = rs_patch_begin(basis_read, &basis);
	rs_buffers_t io = {
		.next_in = delta, .avail_in = len, .eof_in = 1,
		.next_out = out, .avail_out = sizeof(out),
	};
	if (!ok(last_is(f, IM_FR_END) && rs_job_iter(job, &io) == RS_DONE &&
		sizeof(out) - io.avail_out == new_len &&
		!memcmp(out, new, new_len) &&
		le64_to_cpu(e.xxh3) == XXH3_64bits(new, new_len) &&
		len <= most, "delta: %s", what))
		diag("delta of %zu bytes, file of %zu", len,
		     sizeof(out) - io.avail_out);
	rs_job_free(job);
}

static void test_delta(void)
{
	static u8 old[2000000], new[2000000];
	struct reply r;
	static char hostile[12 + 20 * 400];
	char sig[4096], url[160];
	size_t i, len;

	for (i = 0; i < sizeof(old); i++)
		old[i] = new[i] = rnd();
	for (i = 0; i < 20; i++)
		new[rnd_below(sizeof(new))] ^= 1;
	memmove(new + 1000100, new + 1000000, sizeof(new) - 1000100);
	put("random", new, sizeof(new), 0);
	test_delta_from(old, sizeof(old), new, sizeof(new), 60000,
			"edits and an insert");
	test_delta_from(new, sizeof(new), new, sizeof(new), 100, "equal files");
	test_delta_from(old, 0, new, sizeof(new), sizeof(new) + 1000,
			"against nothing");
	(void)!truncate(at("random"), 0);
	test_delta_from(old, sizeof(old), new, 0, 100, "to nothing");

	len = signature(old, 10000, RS_MD4_SIG_MAGIC, sig, sizeof(sig));
	snprintf(url, sizeof(url), "/im/1/t/delta?inc=9&fid=%s",
		 fid_text("random"));
	ask(&r, url, &(struct ask){ .body = sig, .len = len });
	is(r.status, 400, "a signature with MD4 is refused");
	im_buf_free(&r.body);
	len = signature(old, 10000, RS_RK_BLAKE2_SIG_MAGIC, sig, sizeof(sig));
	ask(&r, url, &(struct ask){ .body = sig, .len = len - 3 });
	is(r.status, 400, "a signature that ends early is refused");
	im_buf_free(&r.body);
	for (i = 0; i < 400; i++)	/* one weak sum, many strong ones */
		memcpy(hostile + 12 + 20 * i + 4, &i, sizeof(i));
	memcpy(hostile, sig, 12);
	ask(&r, url, &(struct ask){ .body = hostile, .len = 12 + 20 * 400 });
	is(r.status, 400, "a signature that would take forever is refused");
	im_buf_free(&r.body);
	memset(hostile + 12, 7, 20 * 400);
	ask(&r, url, &(struct ask){ .body = hostile, .len = 12 + 20 * 400 });
	is(r.status, 200, "one with many equal blocks is not");
	im_buf_free(&r.body);
	for (i = 0; i < 200; i++) {	/* under sanitizers */
		char bad[4096];
		size_t k;

		memcpy(bad, sig, len);
		for (k = rnd_below(8) + 1; k; k--)
			bad[rnd_below(len)] = rnd();
		ask(&r, url, &(struct ask){ .body = bad, .len = len });
		im_buf_free(&r.body);
		if (r.status != 200 && r.status != 400)
			break;
	}
	is(i, 200, "signatures with wrong bytes do no harm");
}

static void ask_item(struct im_fid dir, const char *name, int bits, int split,
		     int flags)
{
	struct im_wire_ask a = {
		.dir = dir, .bits = bits, .split = split, .flags = flags,
		.name_len = cpu_to_le16(strlen(name)),
	};

	im_ask_put(&body, &a, name);
}

static void test_digest(void)
{
	struct im_fid dir, other = { .ino = cpu_to_le64(99999999),
				     .gen = cpu_to_le32(1) };
	struct im_wire_content c;
	struct im_wire_sum sum;
	struct im_obj obj;
	struct frames *f;
	int i;

	mkdir(at("digests"), 0755);
	put("digests/one", "1", 1, 0);
	put("digests/two", "22", 2, 0);
	fid_at("digests", &dir);
	ask_item(dir, "", 0, 0, IM_ASK_DATA);
	ask_item(other, "", 0, 0, 0);
	ask_item(dir, "", 0, 8, 0);
	f = post("/im/1/t/digest?inc=9");
	ok(last_is(f, IM_FR_END) && f->n == 5 && f->v[0].type == IM_FR_BEGIN &&
	   f->v[1].type == IM_FR_DIGEST && f->v[2].type == IM_FR_GONE &&
	   f->v[3].type == IM_FR_DIGEST, "sums, or gone, in order");
	memcpy(&sum, f->v[1].p, sizeof(sum));
	ok(f->v[1].len == sizeof(sum) && le64_to_cpu(sum.count) == 2 &&
	   sum.data[0], "of both files");
	is(f->v[3].len, 256 * sizeof(sum), "in parts");

	ask_item(dir, "two", 0, 0, IM_ASK_LIST | IM_ASK_DATA | IM_ASK_SETTLE);
	ask_item(dir, "three", 0, 0, IM_ASK_LIST);
	f = post("/im/1/t/digest?inc=9&rate=1000000");
	ok(last_is(f, IM_FR_END) && f->n == 8 && f->v[1].type == IM_FR_DIR &&
	   f->v[2].type == IM_FR_ENTRY && f->v[3].type == IM_FR_CONTENT &&
	   f->v[4].type == IM_FR_DIREND && f->v[5].type == IM_FR_DIR &&
	   f->v[6].type == IM_FR_DIREND, "one name, and one that is not there");
	memcpy(&c, f->v[3].p, sizeof(c));
	ok(im_obj_get(f->v[2].p, f->v[2].len, true, &obj) > 0 &&
	   obj.name_len == 3 && le64_to_cpu(c.size) == 2 &&
	   le64_to_cpu(c.xxh3[0]) == XXH3_128bits("22", 2).low64,
	   "what it is, and a digest of its content");

	fid_at("", &dir);
	ask_item(dir, "", 0, 0, IM_ASK_LIST);
	f = post("/im/1/t/digest?inc=9");
	for (i = 0; f->n && i < (int)f->n - 1; i++) {
		const u8 *p = f->v[i].p;
		ssize_t n;

		if (f->v[i].type != IM_FR_ENTRY)
			continue;
		for (; p < f->v[i].p + f->v[i].len; p += n) {
			n = im_obj_get(p, f->v[i].p + f->v[i].len - p, true,
				       &obj);
			if (n <= 0 || (obj.name_len == 11 &&
			    !memcmp(obj.name, ".intermezzo", 11)))
				break;
		}
		if (p < f->v[i].p + f->v[i].len)
			break;
	}
	ok(last_is(f, IM_FR_END) && i == (int)f->n - 1,
	   "our own state is no part of a listing");

	ask_item(dir, "..", 0, 0, IM_ASK_LIST);
	is(post("/im/1/t/digest?inc=9")->err != 0, 1, "a name that is none");
	ask_item(dir, "a/b", 0, 0, IM_ASK_LIST);
	is(post("/im/1/t/digest?inc=9")->err != 0, 1, "a path for a name");
	ask_item(dir, "", 25, 0, 0);
	is(post("/im/1/t/digest?inc=9")->err != 0, 1, "too many bits");
	ask_item(dir, "", 0, 0, 8);
	is(post("/im/1/t/digest?inc=9")->err != 0, 1, "an unknown flag");
	for (i = 0; i <= IM_WIRE_ASKS; i++)
		ask_item(other, "", 0, 0, 0);
	is(post("/im/1/t/digest?inc=9")->err != 0, 1, "too many items");
	ask_item(dir, "", 0, 0, 0);
	is(post("/im/1/t/digest?inc=9&rate=fast")->err != 0, 1, "no rate");
	ask_item(dir, "", 0, 0, 0);
	is(post("/im/1/t/digest?inc=8")->err != 0, 1, "another incarnation");
	is(atomic_load(&set.digests), 0, "none is under way now");
	atomic_store(&set.digests, IM_WIRE_DIGESTS);
	ask_item(dir, "", 0, 0, 0);
	is(post("/im/1/t/digest?inc=9")->err != 0, 1, "too many at a time");
	atomic_store(&set.digests, 0);
}

int main(void)
{
	if (!fake_start())
		return 0;
	test_snapshot();
	test_stat();
	test_data();
	test_ranges();
	test_hint();
	test_proof();
	test_sums();
	test_delta();
	test_digest();
	ok(fake_stop(), "the server stops and leaves nothing behind");
	return tap_done();
}
