// SPDX-License-Identifier: GPL-2.0
/*
 * Sums, signatures and deltas are made once for all who ask: who waits, who
 * gets an old one, who makes a new one, what is not kept.
 * links: syncd/server.c syncd/request.c syncd/digest.c syncd/digests.c syncd/conn.c syncd/kml.c syncd/riders.c syncd/object.c syncd/snapshot.c syncd/export.c syncd/blocks.c syncd/shelf.c syncd/fid.c syncd/proof.c syncd/bucket.c syncd/redeem.c syncd/peers.c syncd/peerfile.c syncd/identity.c syncd/durable.c tests/unit/fake/server.c
 */
#include "tap.h"
#include "fake/server.h"
#include "syncd/shelf.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define SIZE	(48 << 20)	/* takes a moment to read */
#define CLIENTS	20

static u8 data[1 << 20];
static u64 made, found;

static void count(void)
{
	u64 m, f;

	shelf_counts(&m, &f);
	made = m;
	found = f;
}

/* What has been made and found since the last count(). */
static bool counted(u64 more_made, u64 more_found)
{
	u64 m = made, f = found;

	count();
	if (made - m == more_made && found - f == more_found)
		return true;
	diag("made %llu, found %llu", (unsigned long long)(made - m),
	     (unsigned long long)(found - f));
	return false;
}

static const char *url(const char *verb, const char *file, const char *rest)
{
	static char text[400];

	snprintf(text, sizeof(text), "/im/1/t/%s?inc=9&fid=%s%s", verb,
		 fid_text(file), rest);
	return text;
}

/* All payloads of a type together; 0: not a whole answer. */
static u64 hash_of(const struct reply *r, u8 type)
{
	struct im_buf all = { 0 };
	struct im_frame h;
	size_t at = 0, len;
	bool ended = false;
	u64 hash;

	while (r->status == 200 && at + sizeof(h) <= r->body.len && !ended) {
		memcpy(&h, r->body.p + at, sizeof(h));
		len = le32_to_cpu(h.len);
		if (h.type == type)
			im_buf_put(&all, r->body.p + at + sizeof(h), len);
		ended = h.type == IM_FR_END;
		at += sizeof(h) + len;
	}
	hash = ended && at == r->body.len ? XXH3_64bits(all.p, all.len) : 0;
	im_buf_free(&all);
	return hash;
}

static u64 sums_now(const char *file, const char *rest)
{
	struct reply r;
	u64 hash;

	ask(&r, url("sums", file, rest), NULL);
	hash = hash_of(&r, IM_FR_SUMS);
	im_buf_free(&r.body);
	return hash;
}

struct asker {
	pthread_t thread;
	struct reply r;
	struct ask how;
	char url[400];
};

static void *asker_main(void *arg)
{
	struct asker *c = arg;

	ask(&c->r, c->url, &c->how);
	return NULL;
}

static void asker_start(struct asker *c, const char *what,
			 const struct ask *how)
{
	memset(c, 0, sizeof(*c));
	snprintf(c->url, sizeof(c->url), "%s", what);
	c->how = *how;
	pthread_create(&c->thread, NULL, asker_main, c);
}

static void test_once(void)
{
	static struct asker v[CLIENTS];
	u64 first = 0;
	int i, same = 0;

	for (i = 0; i < SIZE; i += sizeof(data))
		put("big", data, sizeof(data), i);
	count();
	for (i = 0; i < CLIENTS; i++)
		asker_start(&v[i], url("sums", "big", "&block=4096"),
			     &(struct ask){ 0 });
	for (i = 0; i < CLIENTS; i++) {
		pthread_join(v[i].thread, NULL);
		if (!i)
			first = hash_of(&v[i].r, IM_FR_SUMS);
		same += hash_of(&v[i].r, IM_FR_SUMS) == first;
		im_buf_free(&v[i].r.body);
	}
	ok(first && same == CLIENTS, "%d clients have the same sums", CLIENTS);
	ok(counted(1, CLIENTS - 1), "which were made once");
	ok(sums_now("big", "&block=4096") == first, "who comes later, too");
	ok(counted(0, 1), "without another look at the file");
	ok(sums_now("big", "&block=8192") != first && counted(1, 0),
	   "other blocks are another answer");
	ok(sums_now("plain", "&block=4096") && counted(1, 0),
	   "so is another file");
}

/* The log decides. */
static void test_news(void)
{
	u64 old = sums_now("big", "&block=4096"), new;

	put("big", "changed", 7, 4711);
	count();
	ok(sums_now("big", "&block=4096&recno=20&seen=20&epoch=70") == old &&
	   counted(0, 1), "for record 20 what was made after it is good");
	fakelog.last = fakelog.durable = 21;
	new = sums_now("big", "&block=4096&recno=21&seen=21&epoch=70");
	ok(new && new != old && counted(1, 0), "for record 21 it is not");
	ok(sums_now("big", "&block=4096&recno=20&seen=20&epoch=70") == new &&
	   counted(0, 1), "the new one is good for both");
	is(ask_status(url("sums", "big", "&block=4096&recno=21&seen=21&epoch=71")),
	   410, "not for another history");
	fakelog.last = fakelog.durable = 22;
	ok(sums_now("big", "&block=4096&recno=20") == new && counted(1, 0),
	   "who tells no history has it as it is now");
}

static void test_slow(void)
{
	struct asker slow, fast;

	put("big", "again", 5, 99);
	fakelog.last = fakelog.durable = 23;
	count();
	asker_start(&slow, url("sums", "big", "&block=256"),
		     &(struct ask){ .rate = 400000 });
	usleep(20000);
	asker_start(&fast, url("sums", "big", "&block=256"),
		     &(struct ask){ 0 });
	pthread_join(fast.thread, NULL);
	ok(hash_of(&fast.r, IM_FR_SUMS) && fast.r.seconds < 3,
	   "who waits for one that a slow client asked for is not slow (%.1f s)",
	   fast.r.seconds);
	pthread_join(slow.thread, NULL);
	ok(slow.r.seconds > 4 &&
	   hash_of(&slow.r, IM_FR_SUMS) == hash_of(&fast.r, IM_FR_SUMS),
	   "though the slow one is (%.0f s)", slow.r.seconds);
	ok(counted(1, 1), "one was made for both");
	im_buf_free(&slow.r.body);
	im_buf_free(&fast.r.body);
}

static void test_gone(void)
{
	struct asker after;
	char text[600];
	int fd = tcp_connect();

	put("big", "third", 5, 7);
	fakelog.last = fakelog.durable = 24;
	count();
	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n",
		 url("sums", "big", "&block=300"));
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		diag("send: %m");
	usleep(10000);
	asker_start(&after, url("sums", "big", "&block=300"),
		     &(struct ask){ 0 });
	usleep(10000);
	close(fd);
	pthread_join(after.thread, NULL);
	ok(hash_of(&after.r, IM_FR_SUMS),
	   "the client that it is made for goes away: the next one has it");
	im_buf_free(&after.r.body);
}

static void test_large(void)
{
	u64 one;

	put("huge", "end", 3, 200 << 20);	/* 12 MiB of sums */
	count();
	one = sums_now("huge", "&block=256");
	ok(one && sums_now("huge", "&block=256") == one && counted(2, 0),
	   "what is too large is not kept, and whole all the same");
}

/* More than there is room for: what was used last stays. */
static void test_room(void)
{
	char rest[40];
	int i, bad = 0;

	put("wide", "end", 3, 100 << 20);
	count();
	for (i = 0; i < 10; i++) {
		snprintf(rest, sizeof(rest), "&block=%d", 260 + i);
		bad += !sums_now("wide", rest);
		bad += !sums_now("big", "&block=4096");
	}
	is(bad, 0, "answers come whatever there is room for");
	/* the first "big" is made, for the log has moved */
	ok(counted(11, 9), "what is used stays");
	ok(sums_now("wide", "&block=260") && counted(1, 0),
	   "what was used longest ago has gone");
	ok(sums_now("wide", "&block=269") && counted(0, 1),
	   "what is new is there");
	shelf_forget(&set);
	ok(sums_now("wide", "&block=269") && counted(1, 0),
	   "nothing is left of a fileset that went");
}

static void test_failure(void)
{
	count();
	is(ask_status(url("sums", "dir", "&block=4096")), 200,
	   "the answer about a directory begins");
	ok(!sums_now("dir", "&block=4096") && counted(2, 0),
	   "ends with an error, and is not kept");
}

int main(void)
{
	size_t i;

	if (!fake_start())
		return 0;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 2654435761U >> 13);
	test_once();
	test_news();
	test_slow();
	test_gone();
	test_large();
	test_room();
	test_failure();
	ok(fake_stop(), "the server ends");
	return tap_done();
}
