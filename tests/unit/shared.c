// SPDX-License-Identifier: GPL-2.0
/*
 * What a cache may keep: pieces of data, sums, parts of the log. Their heads,
 * what they say they are about, and who is refused; texts of wants.
 * links: syncd/server.c syncd/request.c syncd/digest.c syncd/digests.c syncd/conn.c syncd/kml.c syncd/riders.c syncd/object.c syncd/snapshot.c syncd/export.c syncd/blocks.c syncd/shelf.c syncd/fid.c syncd/proof.c syncd/bucket.c syncd/redeem.c syncd/peers.c syncd/peerfile.c syncd/identity.c syncd/durable.c tests/unit/fake/server.c
 */
#include "tap.h"
#include "fake/server.h"
#include "common/want.h"

#include <inttypes.h>
#include <sys/socket.h>
#include <unistd.h>

static void get_put(struct im_buf *b, u64 ino, u64 recno, u64 off, u64 len)
{
	struct im_wire_get g = {
		.fid = { cpu_to_le64(ino), cpu_to_le32(7), 0 },
		.recno = cpu_to_le64(recno),
		.off = cpu_to_le64(off),
		.len = cpu_to_le64(len),
	};

	im_get_put(b, &g, NULL);
}

static void test_text(void)
{
	static const char *const bad[] = {
		"", "-", "1", "1.7", "1.7.5", "1.7.5-", "1.7.5-0", "1.7.5-0.1_",
		"_1.7.5-0.1", "1.7.5-0.1-", "01.7.5-0.1", "1.7.5-00.1",
		"1.7.5-0.01", "A.7.5-0.1", "1.7.5-0.1 ", "1.7.5-0.1,", "0.7.5-0.",
		"1.7.0-0.1", "1.100000000.5-0.", "1.7.5-0.ffffffffffffffff",
		"1.7.5-8000000000000000.", "11111111111111111.7.5-0.",
		"1.7.5-0.1_1.7.5-4.1", "1.7.5--0.1", "1.7.5-0.1.", "1..5-0.1",
	};
	struct im_buf items = { 0 }, text = { 0 }, back = { 0 };
	unsigned int i, taken = 0;

	get_put(&items, 0x1234, 5, 0, UINT64_MAX);
	get_put(&items, 0x1234, 5, 4096, 10);
	get_put(&items, 0x1234, 6, 4096, 10);
	get_put(&items, 3, 6, 0, 1);
	ok(im_want_text(&items, &text) &&
	   !strcmp((char *)text.p, "1234.7.5-0.-1000.a_1234.7.6-1000.a_3.7.6-0.1"),
	   "items as a text");
	ok(!im_want_items((char *)text.p, &back) && back.len == items.len &&
	   !memcmp(back.p, items.p, items.len), "and back");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		im_buf_reset(&back);
		if (im_want_items(bad[i], &back) != -EINVAL) {
			diag("taken: '%s'", bad[i]);
			taken++;
		}
	}
	is(taken, 0, "bad texts are refused");
	im_buf_reset(&items);
	im_buf_reset(&text);
	get_put(&items, 1, 0, 0, 1);
	ok(!im_want_text(&items, &text), "no text without a record");
	im_buf_reset(&items);
	im_buf_reset(&text);
	for (i = 0; i < 1000; i++)
		get_put(&items, 1, 5, 10000 * i, 10);
	ok(!im_want_text(&items, &text), "nor of what is too much for a URL");
	im_buf_free(&items);
	im_buf_free(&text);
	im_buf_free(&back);
}

/* "/im/1/t/piece?..." for all of a file because of a record. */
static const char *piece(const char *file, u64 recno, u64 seen, u64 epoch)
{
	struct im_buf items = { 0 }, text = { 0 };
	struct im_wire_get g = {
		.recno = cpu_to_le64(recno),
		.len = cpu_to_le64(UINT64_MAX),
	};
	static char url[400];

	fid_at(file, &g.fid);
	im_get_put(&items, &g, NULL);
	if (!im_want_text(&items, &text))
		abort();
	snprintf(url, sizeof(url), "/im/1/t/piece?inc=9&seen=%" PRIu64
		 "&epoch=%" PRIu64 "&want=%s", seen, epoch, text.p);
	im_buf_free(&items);
	im_buf_free(&text);
	return url;
}

static bool about_is(const struct frames *f, u64 seen, u64 epoch,
		     const char *asked)
{
	struct im_wire_about a;

	if (!f->n || f->v[0].type != IM_FR_ABOUT || f->v[0].len != sizeof(a))
		return false;
	memcpy(&a, f->v[0].p, sizeof(a));
	return le64_to_cpu(a.incarnation) == 9 && le64_to_cpu(a.seen) == seen &&
	       le64_to_cpu(a.epoch) == epoch &&
	       le64_to_cpu(a.asked) == im_want_hash(asked);
}

static void test_piece(void)
{
	struct frames *f = frames_ask(piece("plain", 20, 20, 70), NULL);

	ok(about_is(f, 20, 70, strstr(piece("plain", 20, 20, 70), "want=") + 5),
	   "a piece says what it is about");
	ok(last_is(f, IM_FR_END) && f->n == 5 && f->v[1].type == IM_FR_FILE &&
	   f->v[2].type == IM_FR_DATA && f->v[2].len == 8 + 6 &&
	   !memcmp(f->v[2].p + 8, "hello\n", 6), "and has the data");
	is(ask_status(piece("plain", 20, 20, 71)), 410, "not of another history");
	is(ask_status(piece("plain", 21, 21, 70)), 410,
	   "nor of a record that is still to come");
	is(ask_status(piece("plain", 19, 20, 70)), 400,
	   "seen is the newest record");
	is(ask_status("/im/1/t/piece?inc=9&seen=5&epoch=70"), 400, "no want");
	is(ask_status("/im/1/t/piece?inc=9&seen=5&epoch=70&want=1.1.5-0"), 400,
	   "half a want");
	is(ask_status("/im/1/t/piece?inc=9&want=1.1.5-0."), 400, "no history");
	is(ask_status("/im/1/t/piece?inc=8&seen=5&epoch=70&want=1.1.5-0."), 409,
	   "another incarnation");
}

static void test_sums(void)
{
	char url[300], asked[100];
	struct frames *f;

	snprintf(url, sizeof(url), "/im/1/t/sums?inc=9&fid=%s&block=4096&recno=20&seen=20&epoch=70",
		 fid_text("plain"));
	snprintf(asked, sizeof(asked), "%s.20.4096", fid_text("plain"));
	f = frames_ask(url, NULL);
	ok(about_is(f, 20, 70, asked) && last_is(f, IM_FR_END),
	   "sums say what they are about");
	snprintf(url, sizeof(url), "/im/1/t/sums?inc=9&fid=%s&block=4096&recno=20&seen=19&epoch=70",
		 fid_text("plain"));
	is(ask_status(url), 400, "of one record");
}

static void record_put(u64 recno)
{
	struct im_rec rec = {
		.magic = cpu_to_le32(IM_REC_MAGIC),
		.op = cpu_to_le16(IM_OP_CHECKPOINT),
		.state = IM_RS_DONE,
		.recno = cpu_to_le64(recno),
	};
	u8 buf[sizeof(rec)];

	im_rec_encode(buf, &rec, &(struct im_body){ 0 });
	im_buf_put(&fakelog.history, buf, sizeof(buf));
}

static void test_part(void)
{
	struct frames *f;
	u64 n;

	for (n = 5; n <= 20; n++)
		record_put(n);
	f = frames_ask("/im/1/t/part?inc=9&from=5&to=12&epoch=70", NULL);
	ok(about_is(f, 12, 70, "5-12") && last_is(f, IM_FR_END) && f->n == 4 &&
	   f->v[1].type == IM_FR_EPOCH && f->v[2].type == IM_FR_RECORDS,
	   "a part of the log");
	is(f->v[2].len, 8 * IM_REC_HDR, "has the records that it is of");
	im_buf_reset(&fakelog.history);
	is(ask_status("/im/1/t/part?inc=9&from=5&to=12&epoch=71"), 410,
	   "an epoch that is not there yet");
	is(ask_status("/im/1/t/part?inc=9&from=5&to=12"), 410, "no epoch");
	is(ask_status("/im/1/t/part?inc=9&from=4&to=12&epoch=70"), 410,
	   "from what has left the log");
	is(ask_status("/im/1/t/part?inc=9&from=5&to=21&epoch=70"), 410,
	   "to what is not there yet");
	is(ask_status("/im/1/t/part?inc=9&from=12&to=5&epoch=70"), 410,
	   "backwards");
	is(ask_status("/im/1/t/part?inc=9&from=5&epoch=70"), 400, "to nowhere");
	fakelog.durable = 15;
	is(ask_status("/im/1/t/part?inc=9&from=5&to=16&epoch=70"), 410,
	   "to what is not durable");
	fakelog.durable = 20;
}

/* The head of an answer, and whether it ended as it should. */
static bool raw(const char *url, char *buf, size_t size)
{
	char text[600];
	int fd = tcp_connect();
	size_t len = 0;
	ssize_t n;

	snprintf(text, sizeof(text),
		 "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", url);
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
	while (len < size - 1 && (n = recv(fd, buf + len, size - 1 - len, 0)) > 0)
		len += n;
	buf[len] = '\0';
	close(fd);
	return len > 5 && !memcmp(buf + len - 5, "0\r\n\r\n", 5);
}

static void test_head(void)
{
	static char buf[65536], tag[65536];
	char *p, *q;

	ok(raw(piece("plain", 20, 20, 70), buf, sizeof(buf)) &&
	   strstr(buf, "Cache-Control: public, max-age=31536000, immutable\r\n"),
	   "a piece may be kept by all");
	p = strstr(buf, "ETag: \"");
	raw(piece("plain", 20, 20, 70), tag, sizeof(tag));
	q = strstr(tag, "ETag: \"");
	ok(p && q && strncmp(p, q, 40),
	   "one that was read at another time has another ETag");
	raw(piece("plain", 20, 20, 71), buf, sizeof(buf));
	ok(strstr(buf, "Cache-Control: no-store\r\n") && !strstr(buf, "ETag"),
	   "a refusal may not");
	raw("/im/1/t/info", buf, sizeof(buf));
	ok(strstr(buf, "Cache-Control: no-store\r\n"), "nor may info");
	ok(!raw(piece("dir", 20, 20, 70), buf, sizeof(buf)) &&
	   strstr(buf, "immutable"),
	   "an error in the middle cuts the answer, so that no cache keeps it");
}

int main(void)
{
	if (!fake_start())
		return 0;
	test_text();
	test_piece();
	test_sums();
	test_part();
	test_head();
	ok(fake_stop(), "the server ends");
	return tap_done();
}
