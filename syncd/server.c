// SPDX-License-Identifier: GPL-2.0
/*
 * The HTTP face: libmicrohttpd with a thread per connection, each listening
 * socket its own instance. All waiting (records, rate, log) is done in the
 * callbacks, in the connection's thread. The library's own timeouts are off:
 * they count from the last byte moved, so they would end an answer that waits
 * for its rate and never a client that drips; conn.c keeps the deadlines.
 *
 * A response that is queued in the handler's first call closes the connection
 * (0.9.75): only what must end there is answered there.
 */
#include "answer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <librsync.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>
#include "conn.h"
#include "identity.h"
#include "peers.h"
#include "request.h"

#define SERVER_SOCKS	34		/* listening */
#define SERVER_MEMORY	(96U << 10)	/* head and chunk of a connection */
#define SERVER_STACK	(512U << 10)
#define SERVER_BACKLOG	64
#define SERVER_FILES	8192
#define SLICE_MAX	(64U << 10)	/* answer bytes at once */
#define SLICE_MIN	1024
#define HEAD_OUT	180		/* bytes of an answer's head, about */
#define HEAD_SHARED	110		/* more of it; see response_caching() */
#define HEAD_IN		40		/* of a request's, besides its fields */
#define LEVEL_LIMITED	3		/* zstd when bytes are dear ... */
#define LEVEL_FREE	1		/* ... and when they are not */

struct listener {
	struct MHD_Daemon *mhd;
	int fd;
	bool tls;
};

/* listeners_lock: of the start of more, later (server_tls()). */
static pthread_mutex_t listeners_lock = PTHREAD_MUTEX_INITIALIZER;
static struct listener listeners[SERVER_SOCKS];
static unsigned int listener_count;
static bool server_running;
static bool server_has_tls;
static bool server_sock;		/* conf.sock is ours */

/* Bytes and rates */

static int server_buckets(struct request *r, struct bucket *b[3])
{
	b[0] = r->f ? &r->f->bucket : NULL;
	b[1] = r->rate ? &r->rate->bucket : NULL;
	b[2] = &bucket_daemon;
	return 3;
}

static void server_count(struct request *r, u64 in, u64 out)
{
	if (!r->f)
		return;
	pthread_mutex_lock(&r->f->stat.lock);
	r->f->stat.wire_in += in;
	r->f->stat.wire_out += out;
	if (r->f->role == FSET_EXPORT && r->answer) {
		r->f->stat.records += r->answer->records;
		r->answer->records = 0;
	}
	pthread_mutex_unlock(&r->f->stat.lock);
}

/* The administrator's requests neither wait nor count. */
static int server_pay(struct request *r, u64 in, u64 out)
{
	struct bucket *b[3];
	int n = server_buckets(r, b);

	if (!r->f)
		return 0;
	server_count(r, in, out);
	return bucket_wait(b, n, in + out, &r->conn->stop);
}

/* The slowest rate that applies; 0: none. */
static u64 server_rate(struct request *r)
{
	struct bucket *b[3];
	int n = server_buckets(r, b), i;
	u64 rate = 0;

	for (i = 0; i < n; i++) {
		u64 one = b[i] ? __atomic_load_n(&b[i]->rate, __ATOMIC_RELAXED)
			       : 0;

		if (one && (!rate || one < rate))
			rate = one;
	}
	return rate;
}

/* Pieces of 50 ms: several connections take turns, and stop is heard. */
static size_t server_slice(struct request *r)
{
	u64 rate = server_rate(r);

	if (!rate || rate / 20 > SLICE_MAX)
		return SLICE_MAX;
	return rate / 20 < SLICE_MIN ? SLICE_MIN : rate / 20;
}

/* Answers */

static void answer_error(struct request *r, int err)
{
	struct answer *a = r->answer;
	struct {
		__le32 err;
		char text[240];
	} e = { .err = cpu_to_le32(-err) };

	snprintf(e.text, sizeof(e.text), "%s%s%s", a->err, *a->err ? ": " : "",
		 strerror(-err));
	im_frame_put(&a->out, IM_FR_ERROR, &e, sizeof(e.err) + strlen(e.text),
		     0);
	r->last = true;
	/* no cache may keep it: then the connection ends without an end */
	if (r->shared)
		im_buf_reset(&a->out);
	/* a connection that ended is no error of ours */
	if (err != -EPIPE && err != -ESHUTDOWN && err != -EINTR)
		logmsg(LOG_WARNING, "%s: answer to '%s' ends early: %s",
		       r->f->name, r->url, e.text);
}

/* Makes the next part of the answer, ready to go out. */
static void answer_fill(struct request *r)
{
	struct answer *a = r->answer;
	int err;

	im_buf_reset(&a->out);
	r->sent = 0;
	a->settle = false;
	if (r->shared && !r->begun) {
		r->begun = true;
		im_frame_put(&a->out, IM_FR_ABOUT, &r->about, sizeof(r->about),
			     0);
		return;
	}
	err = atomic_load(a->stop) ? -ESHUTDOWN : a->more(a);
	if (!err)
		r->last = true;
	if (err >= 0 && a->out.err)
		err = a->out.err;
	if (err >= 0 && a->settle)
		err = kml_settle(r->f, a->stop);
	if (err >= 0)
		return;
	/*
	 * What came before the error is valid, but what had to settle and did
	 * not; a buffer that failed is not whole.
	 */
	if (a->settle || a->out.err)
		im_buf_reset(&a->out);
	answer_error(r, err);
}

static ssize_t answer_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct request *r = cls;
	struct answer *a = r->answer;
	size_t n = server_slice(r), chunk = 4, left;

	conn_set(r->conn, CONN_WORK);
	while (r->sent == a->out.len) {
		if (r->last)
			return MHD_CONTENT_READER_END_OF_STREAM;
		answer_fill(r);
		if (a->out.err || (r->last && !a->out.len))
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	left = a->out.len - r->sent;
	if (n > left)
		n = left;
	if (n > max)
		n = max;
	for (left = n; left; left >>= 4)
		chunk++;	/* its length in hex, CRLF twice */
	if (server_pay(r, 0, n + chunk))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	memcpy(buf, a->out.p + r->sent, n);
	r->sent += n;
	conn_set(r->conn, CONN_SEND);
	return n;
}

static enum MHD_Result header_bytes(void *cls, enum MHD_ValueKind kind,
				    const char *key, const char *value)
{
	u64 *n = cls;

	*n += strlen(key) + (value ? strlen(value) : 0) + 4;
	return MHD_YES;
}

static struct MHD_Response *response_of(struct request *r)
{
	char *text;
	struct MHD_Response *resp;

	if (r->answer)
		return MHD_create_response_from_callback(
			MHD_SIZE_UNKNOWN, SERVER_MEMORY / 2, answer_read, r,
			NULL);
	if (r->json || r->status == 204) {
		text = r->json ? json_dumps(r->json, JSON_COMPACT) : NULL;
		resp = MHD_create_response_from_buffer(
			text ? strlen(text) : 0, text ? text : r->text,
			text ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_MUST_COPY);
		if (!resp)
			free(text);
		return resp;
	}
	if (r->status == 200 && r->f)
		return MHD_create_response_from_buffer(sizeof(r->info),
						       &r->info,
						       MHD_RESPMEM_MUST_COPY);
	if (r->status != 200 && strlen(r->text) < sizeof(r->text) - 1)
		strcat(r->text, "\n");
	return MHD_create_response_from_buffer(strlen(r->text), r->text,
					       MHD_RESPMEM_MUST_COPY);
}

/*
 * What is one for all may be cached for ever; by caches in front of a local
 * port for all whom they let in, never by those of others. The bytes of the
 * same answer may differ when it is made again, so each has an ETag of its own.
 */
static void response_caching(const struct request *r, struct MHD_Response *resp)
{
	static atomic_ullong number;
	struct timespec t;
	char etag[64];

	if (!r->shared || r->status != 200) {
		MHD_add_response_header(resp, MHD_HTTP_HEADER_CACHE_CONTROL,
					"no-store");
		return;
	}
	clock_gettime(CLOCK_REALTIME, &t);
	snprintf(etag, sizeof(etag), "\"%llx-%lx-%llx\"",
		 (unsigned long long)t.tv_sec, t.tv_nsec,
		 atomic_fetch_add(&number, 1));
	MHD_add_response_header(resp, MHD_HTTP_HEADER_ETAG, etag);
	MHD_add_response_header(resp, MHD_HTTP_HEADER_CACHE_CONTROL,
				r->conn->tls ?
				"private, max-age=31536000, immutable" :
				"public, max-age=31536000, immutable");
}

static enum MHD_Result respond(struct request *r)
{
	struct MHD_Response *resp;
	enum MHD_Result ret;
	u64 in = HEAD_IN + strlen(r->url);

	if (r->answer) {
		r->answer->f = r->f;
		r->answer->stop = &r->conn->stop;
		r->answer->sock = r->conn->fd;
		r->answer->level = server_rate(r) ? LEVEL_LIMITED : LEVEL_FREE;
	}
	MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, header_bytes, &in);
	MHD_get_connection_values(r->mhd, MHD_GET_ARGUMENT_KIND, header_bytes,
				  &in);
	if (server_pay(r, in, HEAD_OUT + (r->shared ? HEAD_SHARED : 0) +
		       (r->answer ? 0 : sizeof(r->info))))
		return MHD_NO;
	resp = response_of(r);
	if (!resp)
		return MHD_NO;
	MHD_add_response_header(resp, MHD_HTTP_HEADER_CONTENT_TYPE,
				r->json ? "application/json" :
				r->status == 200 ? "application/octet-stream" :
						   "text/plain");
	response_caching(r, resp);
	/* who may not stay does not stay */
	if (r->conn->over || (r->conn->tls && !r->conn->trusted))
		MHD_add_response_header(resp, MHD_HTTP_HEADER_CONNECTION,
					"close");
	conn_set(r->conn, CONN_SEND);
	ret = MHD_queue_response(r->mhd, r->status, resp);
	MHD_destroy_response(resp);
	return ret;
}

/* Callbacks of the library */

static struct conn *conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(
		mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i ? i->socket_context : NULL;
}

/* Once a connection: whose key was it that the handshake was done with? */
static void conn_ask_name(struct conn *c, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(
		mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	u8 fp[FINGERPRINT];

	if (i && i->tls_session && !fingerprint_of_session(i->tls_session, fp))
		conn_name(c, fp);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *size, void **con_cls)
{
	struct request *r = *con_cls;
	struct conn *c = conn_of(mhd);

	if (!c)
		return MHD_NO;
	if (!r) {
		if (c->tls && !c->named)
			conn_ask_name(c, mhd);
		r = request_new(c, mhd, url, method);
		if (!r)
			return MHD_NO;
		*con_cls = r;
		if (r->urgent)
			return respond(r);
		conn_set(c, r->length ? CONN_BODY : CONN_WORK);
		return MHD_YES;
	}
	if (*size) {
		conn_body(c, *size);
		request_body(r, data, *size);
		if (server_pay(r, *size, 0))
			return MHD_NO;
		*size = 0;
		return MHD_YES;
	}
	conn_set(c, CONN_WORK);
	request_done(r);
	return respond(r);
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
			 enum MHD_RequestTerminationCode why)
{
	struct request *r = *con_cls;

	if (!r)
		return;
	*con_cls = NULL;
	conn_set(r->conn, CONN_IDLE);
	request_free(r);
}

static void on_connection(void *cls, struct MHD_Connection *mhd,
			  void **socket_context,
			  enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *fd, *addr;
	const struct listener *l = cls;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*socket_context)
			conn_del(*socket_context);
		*socket_context = NULL;
		return;
	}
	fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	addr = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (fd && addr && addr->client_addr)
		*socket_context = conn_new(fd->connect_fd, addr->client_addr,
					   l->tls);
}

static enum MHD_Result on_accept(void *cls, const struct sockaddr *addr,
				 socklen_t len)
{
	return conn_admit(addr) ? MHD_YES : MHD_NO;
}

__attribute__((format(printf, 2, 0)))
static void on_log(void *cls, const char *fmt, va_list ap)
{
	char text[200];
	size_t len;

	vsnprintf(text, sizeof(text), fmt, ap);
	len = strlen(text);
	while (len && text[len - 1] == '\n')
		text[--len] = '\0';
	logmsg(LOG_DEBUG, "http: %s", text);
}

/* Listening */

/* Takes fd. */
static int listener_add(int fd, bool tls)
{
	struct listener *l = &listeners[listener_count];
	const char *pem = tls ? identity_pem() : NULL;
	/*
	 * That there is something to trust makes the library ask clients for a
	 * certificate; whether it is a peer's is our business.
	 */
	const struct MHD_OptionItem with_tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)pem },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)pem },
		{ MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)pem },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL },
	};
	const struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };

	if (listener_count == SERVER_SOCKS) {
		close(fd);
		return -EMFILE;
	}
	l->fd = fd;
	l->tls = tls;
	l->mhd = MHD_start_daemon(
		MHD_USE_THREAD_PER_CONNECTION |
			MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
			MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0),
		0, on_accept, NULL, on_request, NULL,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, l,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_MEMORY,
		MHD_OPTION_CONNECTION_LIMIT, CONN_MAX + CONN_OVER,
		MHD_OPTION_CONNECTION_TIMEOUT, 0U,
		MHD_OPTION_THREAD_STACK_SIZE, (size_t)SERVER_STACK,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_ARRAY, tls ? with_tls : none, MHD_OPTION_END);
	if (!l->mhd) {
		close(fd);
		return -ENOMEM;
	}
	listener_count++;
	return 0;
}

static int listen_unix(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, err;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		logmsg(LOG_ERR, "path of the socket is too long: '%s'", path);
		return -ENAMETOOLONG;
	}
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!lstat(path, &st)) {
		if (!S_ISSOCK(st.st_mode)) {
			err = -EEXIST;
			goto err_close;
		}
		if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
			logmsg(LOG_ERR, "another intersyncd is using %s", path);
			err = -EADDRINUSE;
			goto err_close;
		}
		if (errno == ECONNREFUSED)
			unlink(path);	/* left behind by one that is gone */
	}
	/* on Linux the socket's mode is that of the name bind() makes */
	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, SERVER_BACKLOG) < 0) {
		err = -errno;
		goto err_close;
	}
	server_sock = true;
	return listener_add(fd, false);

err_close:
	if (err != -EADDRINUSE)
		logmsg(LOG_ERR, "cannot listen on %s: %s", path,
		       strerror(-err));
	close(fd);
	return err;
}

static bool addr_is_loopback(const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

	if (sa->sa_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return sa->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static int listen_addr(const struct addrinfo *ai, bool tls)
{
	int one = 1, err;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 ||
	    listen(fd, SERVER_BACKLOG) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return listener_add(fd, tls);
}

enum listen_how { LISTEN_LOOPBACK, LISTEN_INSECURE, LISTEN_TLS };

/* "HOST:PORT", "[::1]:PORT", "HOST", "*:PORT" for all addresses */
static int listen_tcp(const char *text, enum listen_how how)
{
	const bool loopback = how == LISTEN_LOOPBACK;
	struct addrinfo hint = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE,
	};
	struct addrinfo *list, *ai;
	char host[256], port[8] = "";
	const char *colon = strrchr(text, ':'), *name = host;
	size_t len;
	int err;

	if (colon && (strchr(text, ':') == colon || colon[-1] == ']')) {
		snprintf(port, sizeof(port), "%s", colon + 1);
		len = colon - text;
	} else {
		len = strlen(text);
	}
	if (!*port)
		snprintf(port, sizeof(port), "%d", how == LISTEN_TLS ?
			 IM_WIRE_PORT_TLS : IM_WIRE_PORT);
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (*host == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		name = host + 1;
	}
	err = getaddrinfo(!*name || !strcmp(name, "*") ? NULL : name, port,
			  &hint, &list);
	if (err) {
		logmsg(LOG_ERR, "cannot listen on '%s': %s", text,
		       gai_strerror(err));
		return -EINVAL;
	}
	for (ai = list; ai && !err; ai = ai->ai_next) {
		if (loopback && !addr_is_loopback(ai->ai_addr)) {
			logmsg(LOG_ERR, "cannot listen on '%s': it is reachable from outside, and nothing would be encrypted; use --listen-tls, or --listen-insecure if the network is trusted altogether",
			       text);
			err = -EPERM;
			break;
		}
		err = listen_addr(ai, how == LISTEN_TLS);
		/* a host without IPv6 still has its other address */
		if (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL) {
			if (ai->ai_next || ai != list ||
			    (loopback && ai->ai_family == AF_INET6)) {
				logmsg(LOG_INFO, "not listening on %s: %s",
				       text, strerror(-err));
				err = 0;
			}
		}
	}
	if (err && err != -EPERM)
		logmsg(LOG_ERR, "cannot listen on '%s': %s", text,
		       strerror(-err));
	freeaddrinfo(list);
	return err;
}

static int listen_all(char *const *list, enum listen_how how)
{
	int err = 0;

	for (; list && *list && !err; list++)
		err = listen_tcp(*list, how);
	return err;
}

/* A connection needs up to four descriptors, a client some of its own. */
static void server_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur >= SERVER_FILES)
		return;
	l.rlim_cur = l.rlim_max < SERVER_FILES ? l.rlim_max : SERVER_FILES;
	if (setrlimit(RLIMIT_NOFILE, &l))
		logmsg(LOG_WARNING, "cannot raise the limit of open files: %m");
}

/*
 * Nothing listens for other machines before there is one to come: by default
 * this begins when the first is invited.
 */
int server_tls(char *err, size_t errlen)
{
	static char all[] = "*";
	char *const usual[] = { all, NULL };
	unsigned int before;
	int rc = 0;

	if (conf.no_tls) {
		snprintf(err, errlen, "this intersyncd was told not to serve other machines over TLS (--listen-tls none)");
		return -EOPNOTSUPP;
	}
	pthread_mutex_lock(&listeners_lock);
	before = listener_count;
	if (!server_has_tls) {
		rc = server_running ? identity_get(err, errlen) : -ESHUTDOWN;
		if (!rc) {
			rc = listen_all(conf.listen_tls ? conf.listen_tls :
				       usual, LISTEN_TLS);
			if (rc)
				snprintf(err, errlen, "cannot listen on %s, port %d: %s; see its log, and --listen-tls",
					 conf.listen_tls ? conf.listen_tls[0] :
					 "all addresses", IM_WIRE_PORT_TLS,
					 strerror(-rc));
		}
		server_has_tls = !rc;
	}
	while (rc && listener_count > before)
		MHD_stop_daemon(listeners[--listener_count].mhd);
	pthread_mutex_unlock(&listeners_lock);
	return rc;
}

int server_start(void)
{
	static char v4[] = "127.0.0.1:7070", v6[] = "[::1]:7070";
	char *const usual[] = { v4, v6, NULL };
	char why[512] = "";
	int err;

	/* it would tell stderr about every bad signature */
	rs_trace_set_level(RS_LOG_EMERG);
	server_files();
	err = conn_start();
	if (err)
		return err;
	server_running = true;
	err = listen_unix(conf.sock);
	/* an address given may be the wildcard, which includes loopback */
	if (!err && (conf.listen || !conf.listen_insecure))
		err = listen_all(conf.listen ? conf.listen : usual,
				 LISTEN_LOOPBACK);
	if (!err)
		err = listen_all(conf.listen_insecure, LISTEN_INSECURE);
	if (!err && !conf.no_tls && (conf.listen_tls || peers_expected())) {
		err = server_tls(why, sizeof(why));
		if (err)
			logmsg(LOG_ERR, "%s", why);
		/* what nobody asked for does not keep the rest from running */
		if (!conf.listen_tls)
			err = 0;
	}
	if (err)
		server_stop();
	return err;
}

void server_stop(void)
{
	pthread_mutex_lock(&listeners_lock);
	if (!server_running) {
		pthread_mutex_unlock(&listeners_lock);
		return;
	}
	server_running = false;
	server_has_tls = false;
	pthread_mutex_unlock(&listeners_lock);
	/* first the connections, so that no thread is left waiting for them */
	conn_shut();
	while (listener_count)
		MHD_stop_daemon(listeners[--listener_count].mhd);
	conn_end();
	if (server_sock)
		unlink(conf.sock);
	server_sock = false;
}
