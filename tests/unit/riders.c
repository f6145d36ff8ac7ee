// SPDX-License-Identifier: GPL-2.0
/*
 * Riders: when the server sends data along with the log, and what a client
 * makes of it.
 * links: syncd/server.c syncd/request.c syncd/digest.c syncd/digests.c syncd/conn.c syncd/kml.c syncd/riders.c syncd/rider.c syncd/fetch.c syncd/object.c syncd/snapshot.c syncd/export.c syncd/blocks.c syncd/shelf.c syncd/fid.c syncd/proof.c syncd/bucket.c syncd/redeem.c syncd/peers.c syncd/peerfile.c syncd/identity.c syncd/durable.c syncd/invite.c syncd/http.c syncd/pin.c syncd/address.c syncd/ssh.c tests/unit/fake/server.c
 */
#include "tap.h"
#include "fake/server.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "syncd/rider.h"

#define FIRST	21		/* fakelog's */

/* A log: records from FIRST on. */
struct log {
	struct im_buf b;
	u64 recno;
};

static void log_data(struct log *l, const char *name, u32 flags, u64 size,
		     const struct im_range *ranges, u32 n)
{
	struct im_rec rec = {
		.magic = cpu_to_le32(IM_REC_MAGIC),
		.op = cpu_to_le16(IM_OP_CLOSE),
		.state = IM_RS_DONE,
		.recno = cpu_to_le64(l->recno++),
		.flags = cpu_to_le32(flags),
		.mode = cpu_to_le32(S_IFREG | 0644),
		.size = cpu_to_le64(size),
		.trunc = cpu_to_le64(size),
	};
	struct im_body b = {
		.data = ranges, .data_len = n * sizeof(*ranges),
	};
	u8 buf[IM_REC_MAX];

	fid_at(name, &rec.fid);
	im_rec_encode(buf, &rec, &b);
	im_buf_put(&l->b, buf, le32_to_cpu(rec.len));
}

static void log_unlink(struct log *l, const char *name)
{
	struct im_rec rec = {
		.magic = cpu_to_le32(IM_REC_MAGIC),
		.op = cpu_to_le16(IM_OP_UNLINK),
		.state = IM_RS_DONE,
		.recno = cpu_to_le64(l->recno++),
		.mode = cpu_to_le32(S_IFREG | 0644),
		.nlink = cpu_to_le32(0),
	};
	struct im_body b = { .name = name, .name_len = strlen(name) };
	u8 buf[IM_REC_MAX];

	fid_at(name, &rec.fid);
	fid_at("", &rec.dir);
	im_rec_encode(buf, &rec, &b);
	im_buf_put(&l->b, buf, le32_to_cpu(rec.len));
}

static struct im_range range(u64 off, u64 len)
{
	return (struct im_range){ cpu_to_le64(off), cpu_to_le64(len) };
}

struct follower {
	pthread_t thread;
	char url[80];
	struct reply r;
};

static void *follow(void *arg)
{
	struct follower *f = arg;

	ask(&f->r, f->url, NULL);
	return NULL;
}

/*
 * What a client sees that follows from FIRST when the log comes; newest: what
 * the server has logged meanwhile.
 */
static void log_send(struct log *l, unsigned int most, u64 newest,
		     struct frames *f)
{
	static const u64 was = FIRST - 1;
	struct im_frames d = { .fn = frames_keep, .arg = f };
	int before = atomic_load(&fakelog.opened), i;
	struct follower who;

	memset(&who, 0, sizeof(who));
	memset(f, 0, sizeof(*f));
	snprintf(who.url, sizeof(who.url),
		 "/im/1/t/kml?inc=9&from=%d&riders=%u", FIRST, most);
	pthread_create(&who.thread, NULL, follow, &who);
	for (i = 0; i < 500 && atomic_load(&fakelog.opened) == before; i++)
		usleep(10000);
	usleep(100000);
	fakelog.last = newest;
	fakelog.durable = l->recno - 1;
	(void)!send(fakelog.writer, l->b.p, l->b.len, MSG_NOSIGNAL);
	usleep(300000);
	atomic_store(&set.stop, true);
	pthread_join(who.thread, NULL);
	atomic_store(&set.stop, false);
	ok(!im_frames_feed(&d, who.r.body.p, who.r.body.len) && f->n > 2,
	   "frames come");
	im_frames_free(&d);
	im_buf_free(&who.r.body);
	fakelog.last = fakelog.durable = was;
}

/* Which frame is the first of that type; -1: none. */
static int frame_of(const struct frames *f, unsigned int type)
{
	unsigned int i;

	for (i = 0; i < f->n; i++) {
		if (f->v[i].type == type)
			return (int)i;
	}
	return -1;
}

static bool none_rides(struct log *l, unsigned int most, u64 newest)
{
	struct frames *f = malloc(sizeof(*f));
	bool none;

	log_send(l, most, newest, f);
	none = frame_of(f, IM_FR_RIDERS) < 0 &&
	       frame_of(f, IM_FR_DATA) < 0 && frame_of(f, IM_FR_RECORDS) > 0;
	frames_free(f);
	free(f);
	return none;
}

static bool piece_is(const struct fetch_piece *p, u64 off, const char *text)
{
	return p && !p->hole && p->off == off && p->len == strlen(text) &&
	       !memcmp(p->data, text, p->len);
}

/* One change of two ranges and one of one, taken as the records say. */
static void test_ride(void)
{
	const struct im_range two[] = { range(0, 5), range(8, 4) };
	const struct im_range one[] = { range(0, 3) };
	struct log l = { .recno = FIRST };
	struct frames *f = malloc(sizeof(*f));
	struct im_ranges r2, r1;
	struct im_fid a, b;
	struct fetch_load *load;
	struct riders *q = riders_new();
	int begin, end, i, err = 0;

	put("a", "first...last", 12, 0);
	put("b", "one", 3, 0);
	fid_at("a", &a);
	fid_at("b", &b);
	log_data(&l, "a", 0, 12, two, 2);
	log_data(&l, "b", 0, 3, one, 1);
	log_send(&l, 1000, l.recno - 1, f);
	begin = frame_of(f, IM_FR_RIDERS);
	end = frame_of(f, IM_FR_END);
	ok(begin > 0 && begin < end && end < frame_of(f, IM_FR_RECORDS),
	   "data comes before the records");
	for (i = begin; !err && begin > 0 && i <= end; i++) {
		err = riders_frame(q, f->v[i].type, f->v[i].p, f->v[i].len);
		if (riders_under_way(q) != (i < end))
			err = 1;
	}
	is(err, 0, "the client takes it, to its end");

	im_ranges_init(&r2, 8);
	im_ranges_init(&r1, 8);
	im_ranges_get(&r2, two, sizeof(two));
	im_ranges_get(&r1, one, sizeof(one));
	ok(!riders_take(q, FIRST, &b, &r2), "not for another file");
	ok(!riders_take(q, FIRST, &a, &r1), "nor for other ranges");
	im_ranges_add(&r2, 100, 101);
	ok(!riders_take(q, FIRST, &a, &r2), "nor for more of them");
	im_ranges_free(&r2);
	im_ranges_init(&r2, 8);
	im_ranges_get(&r2, two, 16);
	ok(!riders_take(q, FIRST, &a, &r2), "nor for less");
	im_ranges_free(&r2);
	im_ranges_init(&r2, 8);
	im_ranges_get(&r2, two, sizeof(two));
	load = riders_take(q, FIRST, &a, &r2);
	ok(load && piece_is(load->first, 0, "first") &&
	   piece_is(load->first->next, 8, "last") &&
	   !load->first->next->next, "for the change that it is of");
	ok(!riders_take(q, FIRST, &a, &r2), "once");
	fetch_load_free(load);
	load = riders_take(q, FIRST + 1, &b, &r1);
	ok(load && piece_is(load->first, 0, "one"), "and the next one");
	fetch_load_free(load);
	ok(!riders_take(q, FIRST + 2, &b, &r1), "then there is no more");
	im_ranges_free(&r2);
	im_ranges_free(&r1);

	/* half of it, then the log */
	for (i = begin, err = 0; !err && i < end; i++)
		err = riders_frame(q, f->v[i].type, f->v[i].p, f->v[i].len);
	is(err, 0, "begun again");
	is(riders_frame(q, IM_FR_RECORDS, l.b.p, l.b.len), -EPROTO,
	   "no record within");
	riders_free(q);
	q = riders_new();
	is(riders_frame(q, IM_FR_RIDERS, NULL, 0), -EPROTO, "none at all");
	is(riders_frame(q, IM_FR_RIDERS, f->v[begin].p, 40), -EPROTO,
	   "half an item");
	is(riders_frame(q, IM_FR_DATA, (u8 *)"12345678x", 9), -EPROTO,
	   "data of nothing");
	riders_free(q);
	frames_free(f);
	free(f);
	im_buf_free(&l.b);
}

static void test_stay(void)
{
	const struct im_range one[] = { range(0, 3) };
	struct log l = { .recno = FIRST };

	log_data(&l, "b", 0, 3, one, 1);
	ok(none_rides(&l, 0, FIRST), "none when none is wanted");
	ok(none_rides(&l, 2, FIRST), "none that is too much");
	ok(none_rides(&l, 1000, FIRST + 1), "none when there is a newer change");
	log_data(&l, "b", 0, 3, one, 1);
	log_unlink(&l, "b");
	ok(none_rides(&l, 1000, FIRST + 2),
	   "none that is changed again, or removed");
	im_buf_reset(&l.b);
	l.recno = FIRST;
	log_data(&l, "b", IM_RF_UNKNOWN, 3, NULL, 0);
	ok(none_rides(&l, 1000, FIRST), "none of what is not known");
	im_buf_free(&l.b);
	is(ask_status("/im/1/t/kml?inc=9&from=21&riders=x"), 400, "no number");
	is(ask_status("/im/1/t/kml?inc=9&from=21&riders=131073"), 400,
	   "too large a number");
}

/* Gone when it is read: the client learns it the same way. */
static void test_gone(void)
{
	const struct im_range one[] = { range(0, 3) };
	struct log l = { .recno = FIRST };
	struct frames *f = malloc(sizeof(*f));
	struct riders *q = riders_new();
	struct fetch_load *load;
	struct im_ranges r;
	struct im_fid fid;
	int begin, i, err = 0;

	put("gone", "abc", 3, 0);
	fid_at("gone", &fid);
	log_data(&l, "gone", 0, 3, one, 1);
	unlink(at("gone"));
	log_send(&l, 1000, FIRST, f);
	begin = frame_of(f, IM_FR_RIDERS);
	for (i = begin; !err && begin > 0 && i <= frame_of(f, IM_FR_END); i++)
		err = riders_frame(q, f->v[i].type, f->v[i].p, f->v[i].len);
	im_ranges_init(&r, 8);
	im_ranges_get(&r, one, sizeof(one));
	load = riders_take(q, FIRST, &fid, &r);
	ok(!err && load && load->gone && !load->first, "what is gone is gone");
	fetch_load_free(load);
	im_ranges_free(&r);
	riders_free(q);
	frames_free(f);
	free(f);
	im_buf_free(&l.b);
}

int main(void)
{
	if (!fake_start())
		return 0;
	test_ride();
	test_stay();
	test_gone();
	ok(fake_stop(), "the server stops and leaves nothing behind");
	return tap_done();
}
