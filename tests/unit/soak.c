// SPDX-License-Identifier: GPL-2.0
/*
 * What the network does to TLS: connections that say nothing, garbage, half a
 * handshake, a whole one and nothing more, transfers that are cut. All the
 * while a peer asks, and must not wait; in the end the server has no more
 * threads, descriptors and connections than before, and serves as before.
 *
 *   SOAK=2000	connections that break
 *
 * links: syncd/server.c syncd/request.c syncd/digest.c syncd/digests.c syncd/conn.c syncd/kml.c syncd/riders.c syncd/object.c syncd/snapshot.c syncd/export.c syncd/blocks.c syncd/shelf.c syncd/fid.c syncd/proof.c syncd/bucket.c syncd/redeem.c syncd/peers.c syncd/peerfile.c syncd/identity.c syncd/durable.c tests/unit/fake/server.c tests/unit/fake/tls.c
 */
#include "tap.h"
#include "fake/server.h"
#include "fake/tls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "syncd/conn.h"
#include "syncd/peers.h"

#define THREADS		4
#define LARGE		(8U << 20)

enum way { SILENT, GARBAGE, HALF_HELLO, HALF_SHAKE, SHAKEN, HALF_HEAD,
	   HALF_BODY, CUT, WAYS };
static const char *const ways[] = {
	"silent", "garbage", "half a hello", "half a handshake",
	"a handshake and no more", "half a head", "half a body",
	"a transfer that is cut",
};

static char friend[300];
static u8 friend_fp[FINGERPRINT];
static gnutls_certificate_credentials_t cred;
static struct im_buf want;		/* body of the request for the file */
static atomic_int left;			/* connections to break */
static atomic_int done[WAYS];
static atomic_bool over;
static atomic_ullong records, record_bytes;	/* of transfers that are cut */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned int entries(const char *dir)
{
	unsigned int n = 0;
	DIR *d = opendir(dir);

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static long resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		abort();
	fclose(f);
	return pages * 4;
}

/* At most `steps` answers of the other side; false: not done by then. */
static bool shake(gnutls_session_t s, int fd, int steps)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int rc;

	for (;;) {
		rc = gnutls_handshake(s);
		if (!rc)
			return true;
		if (gnutls_error_is_fatal(rc) || !steps--)
			return false;
		poll(&p, 1, 10000);
	}
}

static void send_text(gnutls_session_t s, const void *p, size_t len)
{
	while (len) {
		ssize_t n = gnutls_record_send(s, p, len);

		if (n < 0 && gnutls_error_is_fatal((int)n))
			return;
		if (n > 0) {
			p = (const char *)p + n;
			len -= n;
		}
	}
}

/* Takes a random part of the answer. */
static void cut_transfer(gnutls_session_t s, int fd, unsigned int *seed)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t some = (size_t)rand_r(seed) % (LARGE / 2), got = 0;
	char head[200], buf[16384];
	ssize_t n;

	snprintf(head, sizeof(head), "POST /im/1/t/data?inc=9 HTTP/1.1\r\n"
		 "Host: x\r\nContent-Length: %zu\r\n\r\n", want.len);
	send_text(s, head, strlen(head));
	send_text(s, want.p, want.len);
	while (got < some) {
		n = gnutls_record_recv(s, buf, sizeof(buf));
		if (n == GNUTLS_E_AGAIN && poll(&p, 1, 10000) == 1)
			continue;
		if (n <= 0 && n != GNUTLS_E_INTERRUPTED)
			break;
		got += n > 0 ? n : 0;
		atomic_fetch_add(&records, n > 0);
	}
	atomic_fetch_add(&record_bytes, got);
}

static void after_hello(enum way way, int fd, unsigned int *seed)
{
	static const char half[] = "POST /im/1/t/data?inc=9 HTTP/1.1\r\n"
				   "Host: x\r\nContent-Length: 5000\r\n\r\nabc";
	gnutls_session_t s;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	gnutls_init(&s, GNUTLS_CLIENT | GNUTLS_NONBLOCK |
			GNUTLS_FORCE_CLIENT_CERT);
	gnutls_priority_set_direct(s, TLS_PRIORITIES, NULL);
	gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, cred);
	gnutls_transport_set_int(s, fd);
	if (shake(s, fd, way == HALF_SHAKE ? rand_r(seed) % 2 : 50)) {
		if (way == HALF_HEAD)
			send_text(s, half, 1 + rand_r(seed) % 30);
		if (way == HALF_BODY)
			send_text(s, half, sizeof(half) - 1);
		if (way == CUT)
			cut_transfer(s, fd, seed);
		if (rand_r(seed) % 4 == 0)
			gnutls_bye(s, GNUTLS_SHUT_WR);
	}
	gnutls_deinit(s);
}

static void break_one(enum way way, unsigned int *seed)
{
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03";
	struct linger reset = { 1, 0 };
	char junk[600];
	int fd = tls_connect();
	size_t i;

	switch (way) {
	case SILENT:
		break;
	case GARBAGE:
		for (i = 0; i < sizeof(junk); i++)
			junk[i] = (char)rand_r(seed);
		(void)!send(fd, junk, 1 + rand_r(seed) % sizeof(junk),
			    MSG_NOSIGNAL);
		break;
	case HALF_HELLO:
		(void)!send(fd, hello, 1 + rand_r(seed) % (sizeof(hello) - 1),
			    MSG_NOSIGNAL);
		break;
	default:
		after_hello(way, fd, seed);
	}
	if (rand_r(seed) % 2)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	atomic_fetch_add(&done[way], 1);
}

static void *break_all(void *arg)
{
	unsigned int seed = (unsigned int)(size_t)arg;

	while (atomic_fetch_sub(&left, 1) > 0)
		break_one(rand_r(&seed) % WAYS, &seed);
	return NULL;
}

/* The peer: one connection that it keeps, and a new one each time. */
struct patient {
	pthread_t thread;
	double longest;
	unsigned int asked, failed;
};

static void *ask_on(void *arg)
{
	struct patient *p = arg;
	struct im_buf b = { 0 };
	CURL *kept = tls_curl("/im/1/t/info", &(struct to){ .pem = friend },
			      &b), *c;
	double begin;
	long status;

	while (!atomic_load(&over)) {
		c = p->asked % 2 ? kept :
		    tls_curl("/im/1/t/info", &(struct to){ .pem = friend }, &b);
		begin = now();
		curl_easy_perform(c);
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
		if (now() - begin > p->longest)
			p->longest = now() - begin;
		p->asked++;
		p->failed += status != 200;
		if (c != kept)
			curl_easy_cleanup(c);
		im_buf_reset(&b);
		usleep(20000);
	}
	curl_easy_cleanup(kept);
	im_buf_free(&b);
	return NULL;
}

static bool transfer(void)
{
	struct reply r;
	bool good = say(&r, "/im/1/t/data?inc=9",
			&(struct to){ .pem = friend, .body = want.p,
				      .len = want.len }) == 200 &&
		    r.body.len > LARGE;

	im_buf_free(&r.body);
	return good;
}

static void let_in(void)
{
	u8 secret[INVITE_SECRET];
	char err[300];
	s64 expires;

	if (peers_invite("t", 60, secret, &expires, err, sizeof(err)) ||
	    peers_redeem(secret, "t", friend_fp, "friend", true, err,
			 sizeof(err)))
		abort();
}

int main(int argc, char **argv)
{
	const char *env = getenv("SOAK");
	int count = env ? atoi(env) : 2000, i;
	unsigned int threads, fds;
	struct patient peer = { 0 };
	pthread_t t[THREADS];
	double begin, took;
	long memory;
	u8 *large;

	if (argc == 2)
		return other_main(argv[1]);
	if (!tls_start())
		return 0;
	make_other("friend", friend, friend_fp);
	let_in();
	if (gnutls_certificate_allocate_credentials(&cred) ||
	    gnutls_certificate_set_x509_key_file(cred, friend, friend,
						 GNUTLS_X509_FMT_PEM) < 0)
		abort();
	large = malloc(LARGE);
	rnd_seed(1);
	for (i = 0; i < (int)LARGE; i++)
		large[i] = (u8)rnd();
	put("large", large, LARGE, 0);
	item("large", NULL, NULL, 0, UINT64_MAX);
	im_buf_put(&want, body.p, body.len);
	ok(transfer(), "a peer has what it asks for");
	usleep(300000);
	threads = entries("/proc/self/task");
	fds = entries("/proc/self/fd");
	memory = resident();

	atomic_store(&left, count);
	begin = now();
	pthread_create(&peer.thread, NULL, ask_on, &peer);
	for (i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, break_all,
			       (void *)(size_t)(i + 1));
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	took = now() - begin;
	atomic_store(&over, true);
	pthread_join(peer.thread, NULL);
	for (i = 0; i < WAYS; i++)
		diag("%d times %s", atomic_load(&done[i]), ways[i]);
	diag("%d connections broke in %.1f s; the peer asked %u times meanwhile and waited %.2f s at most",
	     count, took, peer.asked, peer.longest);
	if (records)
		diag("%llu bytes in a TLS record on average",
		     record_bytes / records);
	ok(record_bytes / (records ? records : 1) > 8192,
	   "data travels in large TLS records");
	is(peer.failed, 0, "a peer has an answer to each of its questions");
	ok(peer.longest < 15, "and soon");

	begin = now();
	while ((entries("/proc/self/task") > threads ||
		entries("/proc/self/fd") > fds) && now() - begin < 60)
		usleep(50000);
	is(entries("/proc/self/task"), threads, "no thread is left (%.1f s after)",
	   now() - begin);
	is(entries("/proc/self/fd"), fds, "no descriptor is left");
	is(conn_count_peer(friend_fp), 0, "no connection is left");
	diag("resident: %ld KiB before, %ld KiB after", memory, resident());
	begin = now();
	ok(transfer(), "it serves as before");
	ok(now() - begin < 15, "and at once (%.2f s)", now() - begin);
	gnutls_certificate_free_credentials(cred);
	im_buf_free(&want);
	free(large);
	peers_close();
	ok(fake_stop(), "the server stops and leaves nothing behind");
	return tap_done();
}
