// SPDX-License-Identifier: GPL-2.0
/*
 * TLS between daemons: who gets in and who does not, invitations and what can
 * be wrong with them, the end of a right, limits.
 * links: syncd/server.c syncd/request.c syncd/digest.c syncd/digests.c syncd/conn.c syncd/kml.c syncd/riders.c syncd/object.c syncd/snapshot.c syncd/export.c syncd/blocks.c syncd/shelf.c syncd/fid.c syncd/proof.c syncd/bucket.c syncd/redeem.c syncd/peers.c syncd/peerfile.c syncd/identity.c syncd/durable.c syncd/invite.c syncd/http.c syncd/pin.c syncd/address.c syncd/ssh.c tests/unit/fake/server.c tests/unit/fake/tls.c
 */
#include "tap.h"
#include "fake/server.h"
#include "fake/tls.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "syncd/conn.h"
#include "syncd/http.h"
#include "syncd/invite.h"
#include "syncd/peers.h"

static char stranger[300], friend[300];	/* files with an identity */
static u8 stranger_fp[FINGERPRINT], friend_fp[FINGERPRINT];

static void test_identity(void)
{
	char dir[300], path[400], before[16], after[16] = "";
	u8 fp[FINGERPRINT];
	struct stat st;
	int fd;

	ok(!stat(friend, &st) && (st.st_mode & 07777) == 0600,
	   "the key is root's alone");
	ok(memcmp(friend_fp, stranger_fp, FINGERPRINT),
	   "two machines have two keys");
	snprintf(dir, sizeof(dir), "%s/friend", top);
	is(other(dir), 0, "a restart");
	other_fp(friend, fp);
	ok(!memcmp(fp, friend_fp, FINGERPRINT), "leaves the key as it is");

	snprintf(dir, sizeof(dir), "%s/broken", top);
	mkdir(dir, 0700);
	snprintf(path, sizeof(path), "%s/identity.pem", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	strcpy(before, "-----BEGIN CERT");
	(void)!write(fd, before, sizeof(before));
	is(other(dir), -EINVAL, "a damaged one is refused");
	(void)!pread(fd, after, sizeof(after), 0);
	ok(!memcmp(before, after, sizeof(after)), "and left alone");
	close(fd);
}

static void said(const char *url, const struct to *to, long want,
		 const char *text, const char *what)
{
	struct reply r;

	say(&r, url, to);
	if (!ok(r.status == want && (!text || strstr((char *)r.body.p, text)),
		"%s", what))
		diag("%ld, want %ld: %s", r.status, want, (char *)r.body.p);
	im_buf_free(&r.body);
}

static void test_strangers(void)
{
	static const char *const urls[] = {
		"/im/1/t/info", "/im/1/none/info", "/im/1/t/kml?inc=9&from=21",
		"/im/1/t/snapshot?inc=9", "/", "/ctl/status", "/im/1/t/",
		"/im/1/../info",
	};
	struct to to = { 0 };
	size_t i;

	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		said(urls[i], &to, 403, NULL, "without a certificate: refused");
	to.pem = stranger;
	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		said(urls[i], &to, 403, NULL, "a stranger is refused");
	said("/im/1/none/info", &to, 403, "not known here",
	     "and is not told what filesets there are");
	to.version = CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2;
	said("/im/1/t/info", &to, 0, NULL, "TLS 1.2 gets no answer");
	to.version = 0;
	to.plain = true;
	said("/im/1/t/info", &to, 0, NULL, "plain HTTP gets no answer there");
}

/* Invitations */

static struct im_wire_redeem redeem_of(const u8 secret[INVITE_SECRET],
				       const char *name)
{
	struct im_wire_redeem w = {
		.magic = cpu_to_le32(IM_WIRE_MAGIC_REDEEM),
	};

	memcpy(w.secret, secret, sizeof(w.secret));
	snprintf(w.name, sizeof(w.name), "%s", name);
	return w;
}

static long use(const char *pem, const char *fileset,
		const u8 secret[INVITE_SECRET], const char *text,
		const char *name)
{
	struct im_wire_redeem w = redeem_of(secret, name);
	struct reply r;
	char url[100];
	long status;

	snprintf(url, sizeof(url), "/im/1/%s/redeem", fileset);
	status = say(&r, url, &(struct to){ .pem = pem, .body = &w,
					    .len = sizeof(w) });
	if (text && !strstr((char *)r.body.p, text)) {
		diag("%ld: no '%s' in: %s", status, text, (char *)r.body.p);
		status = -1;
	}
	im_buf_free(&r.body);
	return status;
}

static void invite(const char *fileset, s64 seconds, u8 secret[INVITE_SECRET])
{
	char err[512];
	s64 expires;

	if (peers_invite(fileset, seconds, secret, &expires, err,
			 sizeof(err))) {
		diag("%s", err);
		abort();
	}
}

/* Waits are long for a test, so each address that is tried from is another. */
static void test_invitations(void)
{
	u8 one[INVITE_SECRET], late[INVITE_SECRET], other[INVITE_SECRET];
	u8 wrong[INVITE_SECRET] = { 1 };
	char block[300];
	struct im_wire_redeem w;
	struct peers all;
	struct reply r;
	int i;

	invite("t", 3600, one);
	invite("t", 1, late);
	invite("none", 3600, other);
	sleep(2);
	is(use(stranger, "t", late, "expired", "x"), 403, "one that expired");
	is(use(stranger, "t", other, "another fileset", "x"), 403,
	   "one for another fileset");
	is(use(stranger, "none", other, "not to be had", "x"), 503,
	   "one for a fileset that is not there just now");
	is(use(stranger, "none", wrong, "no such", "x"), 403,
	   "one that was never made, for such a fileset");
	is(status_by(stranger, "/im/1/t/info"), 403, "nobody came in by these");
	is(use(NULL, "t", one, "certificate", "x"), 400,
	   "a good one, but without a certificate");

	snprintf(block, sizeof(block), "%s/peers.json.new", top);
	mkdir(block, 0700);		/* where the file is written first */
	is(use(friend, "t", one, "cannot write", "x"), 503,
	   "a good one that cannot be written down");
	is(status_by(friend, "/im/1/t/info"), 403, "lets nobody in");
	rmdir(block);
	is(use(friend, "t", one, NULL, "host.example"), 200,
	   "and is still good");
	is(status_by(friend, "/im/1/t/info"), 200, "lets its user in");
	is(status_by(friend, "/im/1/none/info"), 403, "nowhere else");
	is(status_by(friend, "/im/1/t/nothing"), 404,
	   "who is known is told what is wrong");
	is(use(stranger, "t", one, "used already", "x"), 403,
	   "a second use by another");
	is(use(friend, "t", one, "used already", "x"), 403,
	   "a second use by the same");
	is(use(stranger, "t", wrong, "too many", "x"), 429,
	   "after five bad ones in a minute the address has to wait");
	invite("t", 3600, one);
	is(use(stranger, "t", one, "too many", "x"), 429,
	   "whatever it has then");
	is(status_by(stranger, "/im/1/t/info"), 403, "the stranger is still one");
	is(status_by(friend, "/im/1/t/info"), 200,
	   "and who is in already does not mind");
	said("/im/1/t/redeem", &(struct to){ .pem = friend }, 405, NULL,
	     "it is a POST request");
	ask(&r, "/im/1/t/redeem", &(struct ask){ .tcp = true, .body = "x",
						 .len = 1 });
	is(r.status, 400, "not over plain TCP");
	im_buf_free(&r.body);
	w = redeem_of(one, "x");
	ask(&r, "/im/1/t/redeem", &(struct ask){ .body = &w,
						 .len = sizeof(w) });
	is(r.status, 400, "nor by the unix socket");
	im_buf_free(&r.body);
	i = peers_copy(&all);
	ok(!i && all.peers == 1 && all.grants == 1 &&
	   !strcmp(all.peer[0].name, "host.example") &&
	   !memcmp(all.peer[0].fp, friend_fp, FINGERPRINT) &&
	   all.peer[0].seen, "the peer is written down, with its name");
	peers_free(&all);
}

/* Through the client's code: the identity is the server's own here. */
static void test_client(void)
{
	char url[INVITE_URL], err[900];
	struct im_wire_info info;
	struct invite v = { .port = (u16)tls_port, .name = "t",
			    .host = "127.0.0.1" };
	char fp[FINGERPRINT_TEXT];
	struct remote r;
	struct http *h;

	memcpy(v.server, identity_fingerprint(), FINGERPRINT);
	invite_url(&v, url);
	is(remote_parse(&r, url, err, sizeof(err)), 0, "its URL: %s", url);
	h = http_new(&r, NULL, NULL);
	is(http_info(h, &info), -ECONNREFUSED, "a client that may not");
	ok(strstr(http_error(h), "not known here"), "%s", http_error(h));
	http_free(h);

	memcpy(v.server, stranger_fp, FINGERPRINT);
	invite_url(&v, url);
	remote_parse(&r, url, err, sizeof(err));
	h = http_new(&r, NULL, NULL);
	is(http_info(h, &info), -ECONNREFUSED, "a server with another key");
	fingerprint_text(stranger_fp, fp);
	ok(strstr(http_error(h), fp), "the message has the one wanted: %s",
	   http_error(h));
	fingerprint_text(identity_fingerprint(), fp);
	ok(strstr(http_error(h), fp), "and the one that was shown");
	http_free(h);
}

/* The end of a right */

struct follower {
	pthread_t thread;
	struct reply r;
};

static void *follow(void *arg)
{
	struct follower *f = arg;

	say(&f->r, "/im/1/t/kml?inc=9&from=21", &(struct to){ .pem = friend });
	return NULL;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void test_revoke(void)
{
	int before = atomic_load(&fakelog.opened), i;
	struct follower who = { 0 };
	struct peer peer;
	struct to to = { .pem = friend };
	char err[300];
	double begin;

	is(peers_revoke("nobody", NULL, &peer, err, sizeof(err)), -ENOENT,
	   "revoke somebody unknown: %s", err);
	is(peers_revoke("host.example", "x", &peer, err, sizeof(err)),
	   -EALREADY, "revoke what was not given: %s", err);
	pthread_create(&who.thread, NULL, follow, &who);
	for (i = 0; i < 500 && atomic_load(&fakelog.opened) == before; i++)
		usleep(10000);
	usleep(100000);
	is(conn_count_peer(friend_fp), 1, "the peer is connected");
	begin = now();
	is(peers_revoke("host.example", "t", &peer, err, sizeof(err)), 0,
	   "revoke");
	conn_shut_peer(peer.fp, "t");
	pthread_join(who.thread, NULL);
	ok(now() - begin < 2, "its stream ends at once (%.2f s)",
	   now() - begin);
	im_buf_free(&who.r.body);
	said("/im/1/t/info", &to, 403, "access was revoked by the server",
	     "and it is told why");
	said("/im/1/none/info", &to, 403, "not known here",
	     "elsewhere it is a stranger");
	is(peers_revoke("host.example", NULL, &peer, err, sizeof(err)),
	   -EALREADY, "twice: %s", err);
}

static void test_limits(void)
{
	static char header[9000] = "X-Long: ";
	CURL *c[CONN_MAX_PEER + 4];
	struct im_buf b = { 0 };
	long status;
	int i, busy = 0, fine = 0;

	memset(header + 8, 'a', sizeof(header) - 9);
	said("/im/1/t/info", &(struct to){ .pem = friend, .header = header },
	     431, NULL, "a head that is too long");
	for (i = 0; i < CONN_MAX_PEER + 4; i++) {
		c[i] = tls_curl("/im/1/t/info", &(struct to){ .pem = friend },
				&b);
		curl_easy_perform(c[i]);
		curl_easy_getinfo(c[i], CURLINFO_RESPONSE_CODE, &status);
		fine += status == 200;
		busy += status == 503;
	}
	is(fine, CONN_MAX_PEER, "so many connections has a peer");
	is(busy, 4, "and is told that it cannot have more");
	for (i = 0; i < CONN_MAX_PEER + 4; i++)
		curl_easy_cleanup(c[i]);
	im_buf_free(&b);
}

/* Who says nothing, or half a handshake, does not keep others out. */
static void test_silent(void)
{
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00";
	int fds[CONN_MAX_ADDR + CONN_OVER], i;
	struct rusage before, after;
	double begin;

	for (i = 0; i < CONN_MAX_ADDR + CONN_OVER; i++) {
		fds[i] = tls_connect();
		if (i % 2)
			(void)!send(fds[i], hello, sizeof(hello) - 1,
				    MSG_NOSIGNAL);
	}
	usleep(500000);
	getrusage(RUSAGE_SELF, &before);
	sleep(1);
	getrusage(RUSAGE_SELF, &after);
	ok(after.ru_utime.tv_sec + after.ru_stime.tv_sec -
	   before.ru_utime.tv_sec - before.ru_stime.tv_sec <= 1 &&
	   after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw -
	   before.ru_nivcsw < 1000, "nobody is busy with them");
	begin = now();
	while (status_by(friend, "/im/1/t/info") != 200 && now() - begin < 60)
		usleep(20000);
	ok(now() - begin < 20, "a peer comes in past %d silent connections, after %.1f s",
	   CONN_MAX_ADDR + CONN_OVER, now() - begin);
	for (i = 0; i < CONN_MAX_ADDR + CONN_OVER; i++)
		close(fds[i]);
}

int main(int argc, char **argv)
{
	char err[512];

	if (argc == 2)
		return other_main(argv[1]);
	if (!tls_start())
		return 0;
	make_other("stranger", stranger, stranger_fp);
	make_other("friend", friend, friend_fp);
	test_identity();
	test_strangers();
	test_invitations();
	test_client();
	peers_close();
	is(peers_load(err, sizeof(err)), 0, "the peers' file is read again");
	is(status_by(friend, "/im/1/t/info"), 200, "and holds what was given");
	test_limits();
	test_silent();
	test_revoke();
	peers_close();
	ok(fake_stop(), "the server stops and leaves nothing behind");
	return tap_done();
}
