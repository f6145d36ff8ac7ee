// SPDX-License-Identifier: GPL-2.0
#include "http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <syslog.h>
#include <unistd.h>

#include "common/want.h"
#include "main.h"
#include "pin.h"
#include "ssh.h"

#define HTTP_CONNECT_S	20
#define HTTP_SILENCE_S	45	/* > IM_WIRE_ALIVE_S, and a slow stat of a disk */
#define HTTP_FREE_RCVBUF (4 << 20)	/* without a limit */
#define HTTP_TEXT_MAX	200	/* of an error answer */
#define HTTP_PAST_S	600	/* past a cache that gives wrong answers ... */
#define HTTP_PAST_CUT_S	30	/* ... or none that is whole */

struct http {
	CURL *easy;
	const struct remote *remote;
	struct fset *f;			/* or NULL */
	const atomic_bool *stop;
	struct im_frames frames;
	u64 epoch;			/* see http_history() */
	time_t past;			/* nothing is shared until then */
	bool cached;			/* see http_cached() */

	/* of the request under way */
	http_frame_fn fn;
	void *arg;
	const u8 *body;
	size_t body_len, body_pos;
	bool raw;			/* the answer is no frames */
	bool about;			/* it must begin with this: */
	struct im_wire_about want;
	unsigned int last;		/* type of the last frame */
	struct im_buf answer;		/* raw, or the text of an error */
	u64 rate;			/* that the request began with */
	int err;			/* of a callback; sticks */
	char error[2048];
	char curl_error[CURL_ERROR_SIZE];
};

/* URLs */

static int remote_bad(char *err, size_t errlen, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int remote_bad(char *err, size_t errlen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int remote_name(struct remote *r, const char *name, const char *url,
		       char *err, size_t errlen)
{
	size_t n = strlen(name);

	if (n && name[n - 1] == '/')
		n--;
	if (n >= sizeof(r->name))
		return remote_bad(err, errlen, "'%s': the fileset's name is too long", url);
	memcpy(r->name, name, n);
	r->name[n] = '\0';
	if (im_fsname_check(r->name))
		return remote_bad(err, errlen,
				  "'%s': '%s' is no fileset's name: letters, digits, '.', '_', '-'",
				  url, r->name);
	return 0;
}

static int remote_tcp(struct remote *r, char *hostport, const char *url,
		      char *err, size_t errlen)
{
	char *host, *port;
	bool v6;

	if (!address_split(hostport, &host, &port))
		return remote_bad(err, errlen,
				  "'%s': no host there; use HOST:NAME, HOST:PORT:NAME or http://HOST:PORT/NAME",
				  url);
	v6 = strchr(host, ':');
	snprintf(r->base, sizeof(r->base), "http://%s%.255s%s:%s" IM_WIRE_PREFIX "%s/",
		 v6 ? "[" : "", host, v6 ? "]" : "",
		 *port ? port : "7070", r->name);
	return 0;
}

/* "HOST[:PORT]" and "NAME#FINGERPRINT" */
static int remote_tls(struct remote *r, char *hostport, char *name,
		      const char *url, char *err, size_t errlen)
{
	char *host, *port, *fp = strchr(name, '#');
	bool v6;
	int rc;

	if (!fp || !fingerprint_parse(fp + 1, r->server))
		return remote_bad(err, errlen,
				  "'%s': use tls://HOST[:PORT]/NAME#FINGERPRINT, where FINGERPRINT is of the server's key, %d digits; intermezzoctl peers shows it there",
				  url, FINGERPRINT_TEXT - 1);
	*fp = '\0';
	rc = remote_name(r, name, url, err, errlen);
	if (rc)
		return rc;
	if (!address_split(hostport, &host, &port))
		return remote_bad(err, errlen, "'%s': no host there", url);
	v6 = strchr(host, ':');
	r->tls = true;
	if (*port)
		snprintf(r->base, sizeof(r->base),
			 "https://%s%.255s%s:%.5s" IM_WIRE_PREFIX "%s/",
			 v6 ? "[" : "", host, v6 ? "]" : "", port, r->name);
	else
		snprintf(r->base, sizeof(r->base),
			 "https://%s%.255s%s:%d" IM_WIRE_PREFIX "%s/",
			 v6 ? "[" : "", host, v6 ? "]" : "", IM_WIRE_PORT_TLS,
			 r->name);
	return 0;
}

static int remote_unix(struct remote *r, const char *path, const char *url,
		       char *err, size_t errlen)
{
	if (*path != '/' || strlen(path) >= sizeof(r->path))
		return remote_bad(err, errlen,
				  "'%s': a unix socket's path begins with / and has less than %zu bytes",
				  url, sizeof(r->path));
	strcpy(r->path, path);
	snprintf(r->base, sizeof(r->base), "http://unix" IM_WIRE_PREFIX "%s/",
		 r->name);
	return 0;
}

static int remote_ssh(struct remote *r, char *userhost, const char *url,
		      char *err, size_t errlen)
{
	char *at = strrchr(userhost, '@');
	char *host, *port;

	if (at)
		*at = '\0';
	if ((at && !address_host_ok(userhost)) ||
	    !address_split(at ? at + 1 : userhost, &host, &port))
		return remote_bad(err, errlen,
				  "'%s': use ssh://[USER@]HOST[:PORT]/NAME", url);
	if (snprintf(r->ssh_host, sizeof(r->ssh_host), "%s%s%s",
		     at ? userhost : "", at ? "@" : "", host) >=
	    (int)sizeof(r->ssh_host))
		return remote_bad(err, errlen, "'%s': the host is too long", url);
	snprintf(r->ssh_port, sizeof(r->ssh_port), "%s", port);
	snprintf(r->base, sizeof(r->base), "http://ssh" IM_WIRE_PREFIX "%s/",
		 r->name);
	return 0;
}

int remote_parse(struct remote *r, const char *url, char *err, size_t errlen)
{
	char buf[600], *s = buf, *name;
	int rc;

	memset(r, 0, sizeof(*r));
	if (strlen(url) >= sizeof(buf))
		return remote_bad(err, errlen, "the address is too long");
	strcpy(buf, url);
	if (strstr(buf, "://")) {
		bool ssh = !strncmp(buf, "ssh://", 6);
		bool tls = !strncmp(buf, "tls://", 6);

		if (!ssh && !tls && strncmp(buf, "http://", 7))
			return remote_bad(err, errlen,
					  "'%s': only http://, ssh:// and tls:// are known", url);
		s += ssh || tls ? 6 : 7;
		name = strchr(s, '/');
		if (!name)
			return remote_bad(err, errlen,
					  "'%s': the fileset's name is missing after the host", url);
		*name++ = '\0';
		if (tls)
			return remote_tls(r, s, name, url, err, errlen);
		rc = remote_name(r, name, url, err, errlen);
		if (rc)
			return rc;
		return ssh ? remote_ssh(r, s, url, err, errlen) :
			     remote_tcp(r, s, url, err, errlen);
	}
	name = strrchr(s, ':');
	if (!name || name == s)
		return remote_bad(err, errlen,
				  "'%s': use HOST:NAME, HOST:PORT:NAME, http://HOST:PORT/NAME, ssh://[USER@]HOST/NAME, unix:PATH:NAME, or an invitation",
				  url);
	*name++ = '\0';
	rc = remote_name(r, name, url, err, errlen);
	if (rc)
		return rc;
	if (!strncmp(s, "unix:", 5))
		return remote_unix(r, s + 5, url, err, errlen);
	return remote_tcp(r, s, url, err, errlen);
}

int remote_open(struct remote *r, const char *tag, char *err, size_t errlen)
{
	int rc = 0;

	if (r->tls)
		return identity_get(err, errlen);
	if (!r->ssh_host[0] || r->ssh)
		return 0;
	if (snprintf(r->path, sizeof(r->path), "%s/ssh-%s.sock", conf.run_dir,
		     tag) >= (int)sizeof(r->path))
		rc = -ENAMETOOLONG;
	if (!rc)
		rc = ssh_start(&r->ssh, r->path, r->ssh_host, r->ssh_port);
	if (rc)
		snprintf(err, errlen, "cannot start ssh: %s", strerror(-rc));
	return rc;
}

void remote_close(struct remote *r)
{
	ssh_stop(r->ssh);
	r->ssh = NULL;
}

/* Requests */

static u64 self;
static pthread_once_t self_once = PTHREAD_ONCE_INIT;

static void self_make(void)
{
	if (getrandom(&self, sizeof(self), 0) != sizeof(self))
		self = (u64)time(NULL);
}

/* What tells our requests from those of others behind one address. */
static u64 http_self(void)
{
	pthread_once(&self_once, self_make);
	return self;
}

static int http_stopped(const struct http *h)
{
	return h->stop && atomic_load(h->stop);
}

/* Every byte takes its tokens; the sleep is what makes the far side slow. */
static void http_pay(struct http *h, u64 in, u64 out)
{
	struct bucket *b[2] = { NULL, &bucket_daemon };

	if (h->f) {
		b[0] = &h->f->bucket;
		pthread_mutex_lock(&h->f->stat.lock);
		h->f->stat.wire_in += in;
		h->f->stat.wire_out += out;
		pthread_mutex_unlock(&h->f->stat.lock);
	}
	bucket_wait(b, 2, in + out, h->stop);
}

static int http_text(struct http *h, const char *p, size_t n)
{
	size_t room = h->raw ? 4096 : HTTP_TEXT_MAX;

	if (h->answer.len < room)
		im_buf_put(&h->answer, p, n < room - h->answer.len ?
				n : room - h->answer.len);
	return h->answer.err;
}

static u64 http_rate(const struct http *h)
{
	u64 a = h->f ? __atomic_load_n(&h->f->bucket.rate, __ATOMIC_RELAXED) : 0;
	u64 b = __atomic_load_n(&bucket_daemon.rate, __ATOMIC_RELAXED);

	return !a ? b : !b ? a : a < b ? a : b;
}

/* What the kernel takes in ahead of us is already beyond the limit. */
static int http_sockopt(void *arg, curl_socket_t fd, curlsocktype type)
{
	u64 rate = http_rate(arg);

	if (rate) {
		int bytes = rate / 20 < 4096 ? 4096 :
			    rate / 20 > (1 << 20) ? 1 << 20 : rate / 20;

		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	}
	return CURL_SOCKOPT_OK;
}

/* The limit was changed meanwhile. */
static void http_new_rate(struct http *h)
{
	int bytes = HTTP_FREE_RCVBUF;
	curl_socket_t fd;

	h->rate = http_rate(h);
	if (curl_easy_getinfo(h->easy, CURLINFO_ACTIVESOCKET, &fd) ||
	    fd == CURL_SOCKET_BAD)
		return;
	/* a size that was set once is not the kernel's to choose any more */
	if (h->rate)
		http_sockopt(h, fd, CURLSOCKTYPE_IPCXN);
	else
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
			   sizeof(bytes));
}

static size_t http_write(char *p, size_t size, size_t n, void *arg)
{
	struct http *h = arg;
	long code = 0;

	n *= size;
	http_pay(h, n, 0);
	if (http_rate(h) != h->rate)
		http_new_rate(h);
	if (http_stopped(h)) {
		h->err = -ECANCELED;
		return 0;
	}
	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &code);
	if (code != 200 || h->raw)
		h->err = http_text(h, p, n);
	else
		h->err = im_frames_feed(&h->frames, p, n);
	return h->err ? 0 : n;
}

static size_t http_header(char *p, size_t size, size_t n, void *arg)
{
	const size_t len = strlen(IM_WIRE_CACHE ":");
	struct http *h = arg;

	if (n * size > len && !strncasecmp(p, IM_WIRE_CACHE ":", len))
		h->cached = true;
	http_pay(h, n * size, 0);
	return n * size;
}

static size_t http_read(char *p, size_t size, size_t n, void *arg)
{
	struct http *h = arg;
	size_t left = h->body_len - h->body_pos;

	n *= size;
	if (n > left)
		n = left;
	if (http_stopped(h)) {
		h->err = -ECANCELED;
		return CURL_READFUNC_ABORT;
	}
	memcpy(p, h->body + h->body_pos, n);
	h->body_pos += n;
	http_pay(h, 0, n);
	return n;
}

/* A body goes out again when a kept connection turns out to be dead. */
static int http_seek(void *arg, curl_off_t off, int origin)
{
	struct http *h = arg;

	if (origin != SEEK_SET || off < 0 || (size_t)off > h->body_len)
		return CURL_SEEKFUNC_FAIL;
	h->body_pos = off;
	return CURL_SEEKFUNC_OK;
}

static int http_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c,
			 curl_off_t d)
{
	struct http *h = arg;

	if (!http_stopped(h))
		return 0;
	h->err = -ECANCELED;
	return 1;
}

static int http_about(struct http *h, unsigned int type, const u8 *p,
		      size_t len)
{
	if (type == IM_FR_ABOUT && len == sizeof(h->want) &&
	    !memcmp(p, &h->want, len)) {
		h->about = false;
		return 0;
	}
	snprintf(h->error, sizeof(h->error), "%s gives the answer to another request",
		 h->remote->base);
	return -EBADMSG;
}

static int http_frame(void *arg, unsigned int type, const u8 *p, size_t len)
{
	struct http *h = arg;

	h->last = type;
	if (h->about)
		return http_about(h, type, p, len);
	if (type == IM_FR_ERROR) {
		int e = 0;

		if (len >= 4) {
			__le32 v;

			memcpy(&v, p, 4);
			e = le32_to_cpu(v);
		}
		snprintf(h->error, sizeof(h->error), "the server failed: %.*s (%s)",
			 len > 4 ? (int)(len - 4 > 200 ? 200 : len - 4) : 0,
			 (const char *)p + 4, strerror(e));
		return -EREMOTEIO;
	}
	return h->fn(h->arg, type, p, len);
}

struct http *http_new(const struct remote *r, struct fset *f,
		      const atomic_bool *stop)
{
	struct http *h = calloc(1, sizeof(*h));
	CURL *c;

	if (!h)
		return NULL;
	c = curl_easy_init();
	if (!c || (r->tls && pin_setup(c, r->server))) {
		curl_easy_cleanup(c);
		free(h);
		return NULL;
	}
	h->easy = c;
	h->remote = r;
	h->f = f;
	h->stop = stop;
	h->frames.fn = http_frame;
	h->frames.arg = h;
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->curl_error);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, r->tls ? "https" : "http");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)HTTP_CONNECT_S);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)HTTP_SILENCE_S);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, http_write);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, http_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
	curl_easy_setopt(c, CURLOPT_READFUNCTION, http_read);
	curl_easy_setopt(c, CURLOPT_READDATA, h);
	curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, http_seek);
	curl_easy_setopt(c, CURLOPT_SEEKDATA, h);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, http_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, h);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_SOCKOPTFUNCTION, http_sockopt);
	curl_easy_setopt(c, CURLOPT_SOCKOPTDATA, h);
	/* No proxy from the environment for a socket of this machine. */
	if (r->path[0]) {
		curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, r->path);
		curl_easy_setopt(c, CURLOPT_PROXY, "");
	}
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->easy);
	im_frames_free(&h->frames);
	im_buf_free(&h->answer);
	free(h);
}

/* What the far end said, as one clean line. */
static void http_status(struct http *h, const char *what, long code)
{
	char text[HTTP_TEXT_MAX + 1];
	size_t i, n = h->answer.len < HTTP_TEXT_MAX ? h->answer.len : HTTP_TEXT_MAX;

	if (n)
		memcpy(text, h->answer.p, n);
	for (i = 0; i < n && text[i] != '\n' && text[i] != '\r'; i++) {
		if ((unsigned char)text[i] < ' ')
			text[i] = '?';
	}
	text[i] = '\0';
	if (code == 403)
		snprintf(h->error, sizeof(h->error), "%s (%s)", text,
			 h->remote->base);
	else
		snprintf(h->error, sizeof(h->error), "%s%.200s: HTTP %ld: %s",
			 h->remote->base, what, code, text);
}

static int http_code(long code)
{
	switch (code) {
	case 410:
	case 409:
		return -ESTALE;
	case 404:
		return -ENOENT;
	case 403:
		return -ECONNREFUSED;
	case 503:
		return -ENOLINK;
	default:
		return -EPROTO;
	}
}

static int http_failed(struct http *h, const char *what, CURLcode rc)
{
	char words[256] = "";

	if (h->err) {
		if (!h->error[0])
			snprintf(h->error, sizeof(h->error), "%s%.200s: %s",
				 h->remote->base, what, strerror(-h->err));
		return h->err;
	}
	if (rc == CURLE_SSL_PINNEDPUBKEYNOTMATCH) {
		pin_error(h->easy, h->remote->server, h->remote->base, h->error,
			  sizeof(h->error));
		return -ECONNREFUSED;
	}
	if (h->remote->ssh)
		ssh_last_words(h->remote->ssh, words, sizeof(words));
	snprintf(h->error, sizeof(h->error), "cannot reach %s%s%s: %s%s%s",
		 h->remote->ssh_host[0] ? "ssh://" : "",
		 h->remote->ssh_host[0] ? h->remote->ssh_host : h->remote->base,
		 h->remote->ssh_host[0] || !h->remote->path[0] ? "" : h->remote->path,
		 h->curl_error[0] ? h->curl_error : curl_easy_strerror(rc),
		 words[0] ? ": " : "", words);
	return -ENOLINK;
}

static int http_do(struct http *h, const char *what, const void *body,
		   size_t len)
{
	struct curl_slist *headers = NULL;
	char url[sizeof(h->remote->base) + IM_WIRE_WANT_MAX + 256], rate[64];
	CURLcode rc;
	long code = 0;

	h->err = 0;
	h->error[0] = h->curl_error[0] = '\0';
	im_buf_reset(&h->answer);
	im_frames_free(&h->frames);
	h->frames.fn = http_frame;
	h->frames.arg = h;
	h->body = body;
	h->body_len = len;
	h->body_pos = 0;

	snprintf(url, sizeof(url), "%s%s", h->remote->base, what);
	curl_easy_setopt(h->easy, CURLOPT_URL, url);
	headers = curl_slist_append(NULL, "Expect:");
	h->rate = http_rate(h);
	/* none is said where there was one: other requests are under way */
	if (atomic_load(&bucket_daemon.limited) ||
	    (h->f && atomic_load(&h->f->bucket.limited))) {
		snprintf(rate, sizeof(rate), "X-InterMezzo-Rate: %llu %016llx",
			 (unsigned long long)h->rate,
			 (unsigned long long)http_self());
		headers = curl_slist_append(headers, rate);
	}
	if (body) {
		headers = curl_slist_append(headers,
			"Content-Type: application/octet-stream");
		curl_easy_setopt(h->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)len);
	} else {
		curl_easy_setopt(h->easy, CURLOPT_HTTPGET, 1L);
	}
	curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h->easy, CURLOPT_BUFFERSIZE,
			 h->rate ? 16384L : 262144L);
	http_pay(h, 0, strlen(url) + 100);
	rc = curl_easy_perform(h->easy);
	curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	if (rc != CURLE_OK)
		return http_failed(h, what, rc);
	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &code);
	if (code != 200) {
		http_status(h, what, code);
		return http_code(code);
	}
	return 0;
}

static int http_ask(struct http *h, const char *what, const void *body,
		    size_t len, http_frame_fn fn, void *arg)
{
	int err;

	h->fn = fn;
	h->arg = arg;
	h->raw = false;
	h->last = 0;
	err = http_do(h, what, body, len);
	if (!err && !im_frames_idle(&h->frames)) {
		snprintf(h->error, sizeof(h->error),
			 "%s%.200s: the answer ends inside a frame",
			 h->remote->base, what);
		err = -ENOLINK;
	}
	return err;
}

int http_frames(struct http *h, const char *what, const void *body, size_t len,
		http_frame_fn fn, void *arg)
{
	h->about = false;
	return http_ask(h, what, body, len, fn, arg);
}

static time_t http_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

void http_history(struct http *h, u64 epoch)
{
	h->epoch = epoch;
}

u64 http_epoch(const struct http *h)
{
	return h->past && http_seconds() < h->past ? 0 : h->epoch;
}

bool http_cached(const struct http *h)
{
	return h->cached;
}

int http_shared(struct http *h, const char *what, const struct http_shared *s,
		http_frame_fn fn, void *arg)
{
	int err;

	h->about = true;
	h->want.incarnation = cpu_to_le64(s->inc);
	h->want.seen = cpu_to_le64(s->seen);
	h->want.epoch = cpu_to_le64(s->epoch);
	h->want.asked = cpu_to_le64(im_want_hash(s->asked));
	err = http_ask(h, what, NULL, 0, fn, arg);
	/* one that ends well ends with END, so this is nobody's broken link */
	if (!err && h->last != IM_FR_END) {
		snprintf(h->error, sizeof(h->error), "%s gives half an answer",
			 h->remote->base);
		err = -EBADMSG;
	}
	if (err == -EPROTO || err == -EBADMSG) {
		logmsg(LOG_WARNING,
		       "what %s answers to '%.100s' does not check out (%s); asking past any cache for %d minutes",
		       h->remote->base, what,
		       h->error[0] ? h->error : strerror(-err),
		       HTTP_PAST_S / 60);
		h->past = http_seconds() + HTTP_PAST_S;
	} else if (err == -ENOLINK || err == -ENOENT || err == -ESTALE) {
		h->past = http_seconds() + HTTP_PAST_CUT_S;
	}
	return err;
}

/* Is the answer the info of a server that we can talk to? */
static int http_take_info(struct http *h, struct im_wire_info *info)
{
	if (h->answer.len != sizeof(*info))
		goto bad;
	memcpy(info, h->answer.p, sizeof(*info));
	if (le32_to_cpu(info->magic) != IM_WIRE_MAGIC)
		goto bad;
	if (le32_to_cpu(info->version) != IM_WIRE_VERSION) {
		snprintf(h->error, sizeof(h->error),
			 "%s speaks protocol version %u, this is version %u: update the older side",
			 h->remote->base, le32_to_cpu(info->version),
			 IM_WIRE_VERSION);
		return -EPROTO;
	}
	if (!info->id || im_fid_none(&info->root))
		goto bad;
	return 0;

bad:
	snprintf(h->error, sizeof(h->error),
		 "what answers at %s is not intersyncd", h->remote->base);
	return -EPROTO;
}

int http_info(struct http *h, struct im_wire_info *info)
{
	int err;

	h->raw = true;
	err = http_do(h, "info", NULL, 0);
	return err ? err : http_take_info(h, info);
}

int http_now(struct http *h, u64 inc, const char *args,
	     struct im_wire_info *info)
{
	char what[128];
	int err;

	snprintf(what, sizeof(what), "now?inc=%llu%s", (unsigned long long)inc,
		 args);
	h->raw = true;
	err = http_do(h, what, NULL, 0);
	return err ? err : http_take_info(h, info);
}

void http_limit(struct http *h, unsigned int ms)
{
	curl_easy_setopt(h->easy, CURLOPT_TIMEOUT_MS, (long)ms);
}

int http_redeem(struct http *h, const struct im_wire_redeem *redeem,
		struct im_wire_info *info)
{
	int err;

	h->raw = true;
	err = http_do(h, "redeem", redeem, sizeof(*redeem));
	return err ? err : http_take_info(h, info);
}

const char *http_error(const struct http *h)
{
	return h->error[0] ? h->error : "no error";
}

bool http_is_remote(int err)
{
	return err == -ENOLINK || err == -EPROTO || err == -EREMOTEIO ||
	       err == -EBADMSG || err == -ECONNREFUSED;
}
