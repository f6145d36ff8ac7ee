// SPDX-License-Identifier: GPL-2.0
/*
 * The server's manners: paths, bodies, garbage, limits, log, rates.
 * links: syncd/server.c syncd/request.c syncd/digest.c syncd/digests.c syncd/conn.c syncd/kml.c syncd/riders.c syncd/object.c syncd/snapshot.c syncd/export.c syncd/blocks.c syncd/shelf.c syncd/fid.c syncd/proof.c syncd/bucket.c syncd/redeem.c syncd/peers.c syncd/peerfile.c syncd/identity.c syncd/durable.c tests/unit/fake/server.c
 */
#include "tap.h"
#include "fake/server.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void status_is(const char *url, long want)
{
	is(ask_status(url), want, "%s gives %ld", url, want);
}

static void test_paths(void)
{
	struct reply r;
	struct im_wire_info w;

	ask(&r, "/im/1/t/info", NULL);
	ok(r.status == 200 && r.body.len == sizeof(w), "info is a struct");
	memcpy(&w, r.body.p, sizeof(w));
	ok(le32_to_cpu(w.magic) == IM_WIRE_MAGIC &&
	   le64_to_cpu(w.incarnation) == 9 && w.root.ino, "and says who we are");
	im_buf_free(&r.body);
	ask(&r, "/im/1/t/info", &(struct ask){ .tcp = true });
	is(r.status, 200, "info by TCP too");
	im_buf_free(&r.body);

	status_is("/", 404);
	status_is("/im/1/t", 404);
	status_is("/im/1/none/info", 404);
	status_is("/im/1/.t/info", 404);
	status_is("/im/1/../info", 404);
	status_is("/im/1/%2e%2e/info", 404);
	status_is("/im/1/t%00x/info", 404);
	status_is("/im/2/t/info", 404);
	status_is("/im/1/t/info/", 404);
	status_is("/im/1/t/snapshot", 400);
	status_is("/im/1/t/snapshot?inc=", 400);
	status_is("/im/1/t/snapshot?inc=9x", 400);
	status_is("/im/1/t/snapshot?inc=18446744073709551625", 400);
	status_is("/im/1/t/snapshot?inc=10", 409);
	status_is("/im/1/t/snapshot?inc=9&fid=1", 400);
	status_is("/im/1/t/snapshot?inc=9&fid=0.1", 400);
	status_is("/im/1/t/snapshot?inc=9&fid=1.4294967296", 400);
	status_is("/im/1/t/sums?inc=9&block=4096", 400);
	status_is("/im/1/t/sums?inc=9&fid=1.1", 400);
	status_is("/im/1/t/sums?inc=9&fid=1.1&block=0", 400);
	status_is("/im/1/t/sums?inc=9&fid=1.1&block=99999999", 400);
	status_is("/im/1/t/sums?inc=9&fid=1.1&block=4096&dir=1.1&name=2e2e",
		  400);
	status_is("/im/1/t/sums?inc=9&fid=1.1&block=4096&dir=1.1&name=6", 400);
	status_is("/im/1/t/sums?inc=9&fid=1.1&block=4096&recno=-1", 400);
	status_is("/im/1/t/sums?inc=9&fid=1.1&block=4096&dir=1.1&name=612f62",
		  400);
	status_is("/im/1/t/data?inc=9", 405);
	status_is("/im/1/t/kml?inc=9", 400);
	status_is("/im/1/t/kml?inc=9&from=0", 410);
	status_is("/im/1/t/kml?inc=9&from=2", 410);
	status_is("/im/1/t/kml?inc=9&from=22", 410);
	status_is("/im/1/t/kml?inc=9&from=21&seen=20&epoch=71", 410);
	status_is("/im/1/t/kml?inc=9&from=21&seen=21&epoch=70", 410);
	status_is("/im/1/t/kml?inc=9&from=21&seen=20&epoch=x", 400);
	status_is("/im/1/t/kml?inc=9&from=21&epoch=70", 400);
	status_is("/im/1/t/snapshot?inc=9&seen=20&epoch=71", 410);
	status_is("/im/1/t/snapshot?inc=9&seen=20&epoch=70", 200);
	ask(&r, "/im/1/t/info", &(struct ask){ .method = "DELETE" });
	is(r.status, 405, "DELETE is refused");
	im_buf_free(&r.body);
}

static void test_ctl(void)
{
	struct stat st;
	struct reply r;

	ask(&r, "/ctl/echo", &(struct ask){ .body = "body", .len = 4 });
	ok(r.status == 200 && r.body.len &&
	   strstr((char *)r.body.p, "POST /ctl/echo body"),
	   "root controls the daemon by the unix socket");
	im_buf_free(&r.body);
	ask(&r, "/ctl/echo", &(struct ask){ .tcp = true });
	is(r.status, 403, "but not by TCP");
	im_buf_free(&r.body);
	ask(&r, "/ctl/echo", &(struct ask){ .tcp = true, .body = "body",
					    .len = 4 });
	is(r.status, 403, "neither with a body");
	im_buf_free(&r.body);
	ok(!stat(conf.sock, &st) && (st.st_mode & 0777) == 0600,
	   "the socket is root's alone");
}

static void test_bodies(void)
{
	static char big[2 << 20];
	struct reply r;

	ask(&r, "/im/1/t/stat?inc=9", &(struct ask){ .body = "", .len = 0,
						     .method = "POST" });
	is(r.status, 400, "no items are refused");
	im_buf_free(&r.body);
	memset(big, 0xff, sizeof(big));
	ask(&r, "/im/1/t/data?inc=9", &(struct ask){ .body = big,
						     .len = sizeof(big) });
	is(r.status, 400, "items of ones are refused");
	im_buf_free(&r.body);
	ask(&r, "/im/1/t/delta?inc=9&fid=1.1",
	    &(struct ask){ .body = big, .len = sizeof(big) });
	is(r.status, 400, "a signature of ones is refused");
	im_buf_free(&r.body);
	ask(&r, "/im/1/t/delta?inc=9&fid=1.1",
	    &(struct ask){ .body = "rs\1", .len = 3 });
	is(r.status, 400, "half a head of a signature is refused");
	im_buf_free(&r.body);
	ask(&r, "/im/1/t/data?inc=9",
	    &(struct ask){ .body = "x", .len = 1,
			   .header = "Transfer-Encoding: chunked" });
	is(r.status, 400, "a chunked body is refused");
	im_buf_free(&r.body);
	ask(&r, "/im/1/t/info", &(struct ask){ .header =
						"X-InterMezzo-Rate: fast" });
	is(r.status, 400, "a rate that is no number is refused");
	im_buf_free(&r.body);
}

/* What is sent raw gets an answer that begins with want, or the end. */
static void raw(const char *text, size_t len, const char *want,
		const char *what)
{
	char got[256] = "";
	int fd = tcp_connect();
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = 0;

	(void)!send(fd, text, len, MSG_NOSIGNAL);
	if (poll(&p, 1, 10000) == 1)
		n = recv(fd, got, sizeof(got) - 1, 0);
	if (!ok(p.revents && (n <= 0 || !strncmp(got, want, strlen(want))),
		"%s", what))
		diag("got: %.60s", got);
	close(fd);
}

#define RAW(text, want, what) raw(text, sizeof(text) - 1, want, what)

static void test_garbage(void)
{
	static char big[300000];
	int fds[40], i;

	RAW("\1\2\3\377\376 \r\n\r\n", "HTTP/1.1 4", "bytes that are no HTTP");
	RAW("GET\r\n\r\n", "HTTP/1.1 4", "half a request line");
	RAW("POST /im/1/t/data?inc=9 HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: -5\r\n\r\n", "HTTP/1.1 4", "a negative length");
	RAW("POST /im/1/t/data?inc=9 HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 99999999999\r\n\r\n", "HTTP/1.1 413",
	    "a body that is too long is refused before it is sent");
	RAW("POST /im/1/t/delta?inc=9&fid=1.1 HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 268435457\r\n\r\n", "HTTP/1.1 413",
	    "a signature too");
	RAW("POST /im/1/t/data?inc=9 HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 400",
	    "two lengths");
	RAW("POST /im/1/t/data?inc=9 HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 0\r\n\r\n", "HTTP/1.1 400", "an empty body");
	memset(big, 'a', sizeof(big));
	memcpy(big, "GET /", 5);
	raw(big, sizeof(big), "HTTP/1.1 4", "an endless path");
	for (i = 0; i < 40; i++) {
		fds[i] = tcp_connect();
		(void)!send(fds[i], "POST /im/1/t/da", rnd_below(15),
			    MSG_NOSIGNAL);
	}
	for (i = 0; i < 40; i++)
		close(fds[i]);
	is(ask_status("/im/1/t/info"), 200, "and the server is well");
}

static void test_limit(void)
{
	struct reply r;
	int fds[80], i, over = 0, gone = 0;
	char got[16];

	for (i = 0; i < 80; i++)
		fds[i] = tcp_connect();
	for (i = 0; i < 80; i++) {
		static const char get[] = "GET /im/1/t/info HTTP/1.1\r\n"
					  "Host: x\r\n\r\n";

		memset(got, 0, sizeof(got));
		if (send(fds[i], get, sizeof(get) - 1, MSG_NOSIGNAL) < 0 ||
		    recv(fds[i], got, 12, MSG_WAITALL) <= 0)
			gone++;
		else if (!strncmp(got, "HTTP/1.1 503", 12))
			over++;
	}
	ok(over > 0 && over + gone >= 80 - 64,
	   "more than 64 connections of an address are refused");
	diag("%d were told so, %d ended", over, gone);
	ask(&r, "/im/1/t/info", NULL);
	is(r.status, 200, "the unix socket is not affected");
	im_buf_free(&r.body);
	for (i = 0; i < 80; i++)
		close(fds[i]);
	for (i = 0; i < 100; i++) {
		ask(&r, "/im/1/t/info", &(struct ask){ .tcp = true });
		im_buf_free(&r.body);
		if (r.status == 200)
			break;
		usleep(50000);
	}
	is(r.status, 200, "when they are gone there is room again");
}

/* The log */

struct follower {
	pthread_t thread;
	struct reply r;
};

static void *follow(void *arg)
{
	struct follower *f = arg;

	ask(&f->r, "/im/1/t/kml?inc=9&from=21", NULL);
	return NULL;
}

static bool epoch_is(unsigned int type, const u8 *p, size_t len, u64 epoch,
		     u64 first, u64 next)
{
	struct im_wire_epoch e;

	if (type != IM_FR_EPOCH || len != sizeof(e))
		return false;
	memcpy(&e, p, sizeof(e));
	return le64_to_cpu(e.epoch) == epoch && le64_to_cpu(e.first) == first &&
	       le64_to_cpu(e.next) == next;
}

static void test_kml(void)
{
	static struct frames f;
	struct im_frames d = { .fn = frames_keep, .arg = &f };
	struct im_rec rec = {
		.magic = cpu_to_le32(IM_REC_MAGIC),
		.op = cpu_to_le16(IM_OP_CHECKPOINT),
		.state = IM_RS_DONE,
		.recno = cpu_to_le64(21),
	};
	u8 two[2 * sizeof(rec)];
	struct follower who = { 0 };
	struct timespec begin, end;
	int before = atomic_load(&fakelog.opened), i;
	u64 records = set.stat.records;

	im_rec_encode(two, &rec, &(struct im_body){ 0 });
	rec.recno = cpu_to_le64(FAKE_EPOCH_END);
	im_rec_encode(two + sizeof(rec), &rec, &(struct im_body){ 0 });
	pthread_create(&who.thread, NULL, follow, &who);
	for (i = 0; i < 500 && atomic_load(&fakelog.opened) == before; i++)
		usleep(10000);
	usleep(100000);
	(void)!send(fakelog.writer, two, sizeof(two), MSG_NOSIGNAL);
	usleep(100000);
	(void)!send(fakelog.writer, two, sizeof(rec), MSG_NOSIGNAL);
	usleep(300000);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	atomic_store(&set.stop, true);
	pthread_join(who.thread, NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	atomic_store(&set.stop, false);
	ok(end.tv_sec - begin.tv_sec < 3,
	   "the stream ends soon when the fileset stops");
	ok(!im_frames_feed(&d, who.r.body.p, who.r.body.len),
	   "what came before are frames");
	ok(f.n >= 6 && f.v[0].type == IM_FR_ALIVE &&
	   f.v[2].type == IM_FR_RECORDS && f.v[2].len == sizeof(rec) &&
	   !memcmp(f.v[2].p, two, sizeof(rec)) &&
	   f.v[4].type == IM_FR_RECORDS && f.v[4].len == sizeof(rec) &&
	   !memcmp(f.v[4].p, two + sizeof(rec), sizeof(rec)) &&
	   f.v[5].type == IM_FR_RECORDS,
	   "a sign of life, then the records as they are");
	ok(f.n >= 6 && epoch_is(f.v[1].type, f.v[1].p, f.v[1].len, FAKE_EPOCH,
				0, FAKE_EPOCH_END) &&
	   epoch_is(f.v[3].type, f.v[3].p, f.v[3].len, FAKE_EPOCH + 1,
		    FAKE_EPOCH_END, 0),
	   "before the first, and before another mount's, their epoch");
	is(set.stat.records - records, 3, "records are counted");
	im_frames_free(&d);
	im_buf_free(&who.r.body);
	frames_free(&f);
	status_is("/im/1/t/info", 200);
}

/* A record must not wait in the kernel for more to come (TCP_CORK: 200 ms). */
static void test_latency(void)
{
	static const char get[] = "GET /im/1/t/kml?inc=9&from=21 HTTP/1.1\r\n"
				  "Host: x\r\n\r\n";
	struct im_rec rec = {
		.magic = cpu_to_le32(IM_REC_MAGIC),
		.op = cpu_to_le16(IM_OP_CHECKPOINT),
		.state = IM_RS_DONE,
		.recno = cpu_to_le64(21),
	};
	u8 one[sizeof(rec)];
	char buf[4096];
	int before = atomic_load(&fakelog.opened), i, quick = 0;
	int fd = tcp_connect();
	struct pollfd p = { .fd = fd, .events = POLLIN };

	im_rec_encode(one, &rec, &(struct im_body){ 0 });
	(void)!send(fd, get, sizeof(get) - 1, MSG_NOSIGNAL);
	for (i = 0; i < 500 && atomic_load(&fakelog.opened) == before; i++)
		usleep(10000);
	while (poll(&p, 1, 500) == 1)
		(void)!recv(fd, buf, sizeof(buf), 0);
	for (i = 0; i < 10; i++) {
		(void)!send(fakelog.writer, one, sizeof(one), MSG_NOSIGNAL);
		quick += poll(&p, 1, 150) == 1;
		usleep(20000);
		if (poll(&p, 1, 1000) == 1)
			(void)!recv(fd, buf, sizeof(buf), 0);
	}
	ok(quick >= 8, "a record is on its way at once");
	diag("%d of 10 came within 150 ms", quick);
	close(fd);
}

/* Rates */

struct load {
	pthread_t thread;
	struct reply r;
	u64 rate;
};

static void *load(void *arg)
{
	struct load *l = arg;

	ask(&l->r, "/im/1/t/data?inc=9",
	    &(struct ask){ .body = body.p, .len = body.len, .rate = l->rate,
			   .tcp = true });
	return NULL;
}

static void rate_is(u64 header, u64 fileset, u64 all, u64 want,
		    const char *what)
{
	struct load l[2] = { { .rate = header }, { .rate = header } };
	double seconds = 0, rate;
	u64 before = set.stat.wire_out, bytes = 0;
	int i;

	bucket_set(&set.bucket, fileset);
	bucket_set(&bucket_daemon, all);
	for (i = 0; i < 2; i++)
		pthread_create(&l[i].thread, NULL, load, &l[i]);
	for (i = 0; i < 2; i++) {
		pthread_join(l[i].thread, NULL);
		if (l[i].r.seconds > seconds)
			seconds = l[i].r.seconds;
		bytes += l[i].r.body.len;
		im_buf_free(&l[i].r.body);
	}
	bucket_set(&set.bucket, 0);
	bucket_set(&bucket_daemon, 0);
	rate = (double)(set.stat.wire_out - before) / seconds;
	if (!ok(rate < (double)want * 1.05 && rate > (double)want * 0.85, "%s",
		what))
		diag("%.0f bytes/s, want %llu", rate, (unsigned long long)want);
	ok(set.stat.wire_out - before >= bytes &&
	   set.stat.wire_out - before < bytes + bytes / 50 + 1000,
	   "and what went out was counted, heads too");
}

#define SELF	"X-InterMezzo-Rate: %d 00c0ffee00c0ffee"

static void *slow_load(void *arg)
{
	struct reply *r = arg;
	char self[64];

	snprintf(self, sizeof(self), SELF, 100000);
	ask(r, "/im/1/t/data?inc=9",
	    &(struct ask){ .body = body.p, .len = body.len, .header = self });
	return NULL;
}

/* A client that wants more, or less, says so in another request. */
static void test_new_rate(void)
{
	static const char *const bad[] = {
		"X-InterMezzo-Rate: 1 xyz", "X-InterMezzo-Rate: 1 ",
		"X-InterMezzo-Rate: 1 00c0ffee00c0ffe",
		"X-InterMezzo-Rate: 1 00c0ffee00c0ffee0",
		"X-InterMezzo-Rate: 1 0000000000000000",
		"X-InterMezzo-Rate: 11111111111111111111111 00c0ffee00c0ffee",
	};
	struct reply slow, r;
	pthread_t thread;
	char self[64];
	size_t i;

	pthread_create(&thread, NULL, slow_load, &slow);
	usleep(500000);
	snprintf(self, sizeof(self), SELF, 0);
	ask(&r, "/im/1/t/info", &(struct ask){ .header = self });
	is(r.status, 200, "no limit any more");
	im_buf_free(&r.body);
	pthread_join(thread, NULL);
	ok(slow.status == 200 && slow.body.len >= 1000000,
	   "what was under way comes whole");
	ok(slow.seconds < 4, "and in %.2f s instead of 10", slow.seconds);
	im_buf_free(&slow.body);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ask(&r, "/im/1/t/info", &(struct ask){ .header = bad[i] });
		is(r.status, 400, "'%s' is refused", bad[i]);
		im_buf_free(&r.body);
	}
}

static void test_rate(void)
{
	static u8 buf[1000000];
	size_t i;

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = rnd();
	put("random", buf, sizeof(buf), 0);
	item("random", NULL, NULL, 0, UINT64_MAX);
	rate_is(1000000, 0, 0, 1000000,
		"a client's rate holds for both its connections");
	rate_is(0, 1000000, 0, 1000000, "a fileset's rate holds");
	rate_is(0, 0, 1000000, 1000000, "the daemon's rate holds");
	test_new_rate();
	im_buf_reset(&body);
}

/* The server stops at once, whatever its connections are at. */
static void test_stop(void)
{
	static const char *const states[] = {
		"", "GET /im/1/t/in",
		"POST /im/1/t/data?inc=9 HTTP/1.1\r\nHost: x\r\n"
		"Content-Length: 100\r\n\r\nabc",
		"GET /im/1/t/info HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /im/1/t/kml?inc=9&from=21 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /im/1/t/snapshot?inc=9 HTTP/1.1\r\nHost: x\r\n"
		"X-InterMezzo-Rate: 2000\r\n\r\n",
		"POST /im/1/t/delta?inc=9&fid=1.1 HTTP/1.1\r\nHost: x\r\n"
		"Content-Length: 9999999\r\n\r\nrs\1G",
	};
	enum { N = sizeof(states) / sizeof(states[0]) };
	struct timespec begin, end;
	double longest = 0, took;
	int fds[3 * N], round, i;

	for (round = 0; round < 10; round++) {
		for (i = 0; i < 3 * N; i++) {
			fds[i] = tcp_connect();
			(void)!send(fds[i], states[i % N],
				    strlen(states[i % N]), MSG_NOSIGNAL);
		}
		usleep(rnd_below(100000));
		clock_gettime(CLOCK_MONOTONIC, &begin);
		server_stop();
		clock_gettime(CLOCK_MONOTONIC, &end);
		took = (double)(end.tv_sec - begin.tv_sec) +
		       (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
		if (took > longest)
			longest = took;
		for (i = 0; i < 3 * N; i++)
			close(fds[i]);
		if (server_start())
			break;
	}
	is(round, 10, "the server stops and starts again");
	if (!ok(longest < 5, "and at once"))
		diag("%.1f s", longest);
}

int main(void)
{
	if (!fake_start())
		return 0;
	test_paths();
	test_ctl();
	test_bodies();
	test_garbage();
	test_kml();
	test_latency();
	test_rate();
	test_limit();
	test_stop();
	ok(fake_stop(), "the server stops and leaves nothing behind");
	return tap_done();
}
