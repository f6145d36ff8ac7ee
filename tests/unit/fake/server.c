// SPDX-License-Identifier: GPL-2.0
#include "../tap.h"
#include "server.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct syncd_conf conf;
struct fakelog fakelog = { .first = 5, .last = 20, .durable = 20, .writer = -1 };
struct fset set;
char top[] = "/tmp/im-server-XXXXXX";
struct im_buf body;

static char path[512];
static char sock[300], addr[64], *listeners[] = { addr, NULL };
static int port;

/*
 * Handles. The number that stands for the generation is an index into what the
 * kernel gave for that object.
 */

#define HANDLES	8192
struct real {
	u64 ino;
	unsigned int len;
	int type;
	u8 bytes[MAX_HANDLE_SZ];
};
static struct real reals[HANDLES];
static unsigned int real_count;
static pthread_mutex_t real_lock = PTHREAD_MUTEX_INITIALIZER;

union handle {
	struct file_handle h;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static unsigned int real_index(const union handle *u, u64 ino)
{
	unsigned int i;

	pthread_mutex_lock(&real_lock);
	for (i = 0; i < real_count; i++) {
		if (reals[i].ino == ino && reals[i].len == u->h.handle_bytes &&
		    !memcmp(reals[i].bytes, u->h.f_handle, reals[i].len))
			break;
	}
	if (i == HANDLES)
		abort();
	if (i == real_count) {
		real_count++;
		reals[i].ino = ino;
		reals[i].type = u->h.handle_type;
		reals[i].len = u->h.handle_bytes;
		memcpy(reals[i].bytes, u->h.f_handle, reals[i].len);
	}
	pthread_mutex_unlock(&real_lock);
	return i + 1;
}

int name_to_handle_at(int dfd, const char *name, struct file_handle *h,
		      int *mount_id, int flags)
{
	union handle u = { .h.handle_bytes = MAX_HANDLE_SZ };
	struct im_fh fh;
	struct stat st;

	if (syscall(SYS_name_to_handle_at, dfd, name, &u, mount_id, flags) < 0 ||
	    fstatat(dfd, name, &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	fh.ino_lo = (u32)st.st_ino;
	fh.ino_hi = (u32)((u64)st.st_ino >> 32);
	fh.gen = real_index(&u, st.st_ino);
	h->handle_type = IM_FH_FID;
	h->handle_bytes = sizeof(fh);
	memcpy(h->f_handle, &fh, sizeof(fh));
	return 0;
}

int open_by_handle_at(int mount_fd, struct file_handle *h, int flags)
{
	union handle u;
	struct im_fh fh;
	struct real *real;

	memcpy(&fh, h->f_handle, sizeof(fh));
	real = fh.gen && fh.gen <= real_count ? &reals[fh.gen - 1] : NULL;
	if ((h->handle_type != IM_FH_FID &&
	     h->handle_type != IM_FH_FID_INSIDE) ||
	    h->handle_bytes != sizeof(fh) ||
	    !real || real->ino != ((u64)fh.ino_hi << 32 | fh.ino_lo) ||
	    (h->handle_type == IM_FH_FID_INSIDE &&
	     real->ino == le64_to_cpu(fakelog.lost.ino) &&
	     fh.gen == le32_to_cpu(fakelog.lost.gen))) {
		errno = ESTALE;
		return -1;
	}
	u.h.handle_type = real->type;
	u.h.handle_bytes = real->len;
	memcpy(u.h.f_handle, real->bytes, real->len);
	return (int)syscall(SYS_open_by_handle_at, mount_fd, &u, flags);
}

static bool fake_handles(void)
{
	union handle u = { .h.handle_bytes = MAX_HANDLE_SZ };
	int mount_id, dfd, fd;

	if (syscall(SYS_name_to_handle_at, AT_FDCWD, top, &u, &mount_id, 0) < 0)
		return false;
	dfd = open(top, O_RDONLY | O_DIRECTORY);
	fd = (int)syscall(SYS_open_by_handle_at, dfd, &u, O_PATH);
	close(dfd);
	close(fd);
	return fd >= 0;
}

/* The log */

static struct im_fid root;

static int fake_info(struct im_ioc_info *info)
{
	memset(info, 0, sizeof(*info));
	info->incarnation = 9;
	info->first = fakelog.first;
	info->last = fakelog.last;
	info->durable = fakelog.durable;
	info->root_ino = le64_to_cpu(root.ino);
	info->root_gen = le32_to_cpu(root.gen);
	return 0;
}

/* Whole records per read, as the module does: a packet each. */
static int fake_kml(const struct im_ioc_kml *k)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       0, fd))
		return -1;
	pthread_mutex_lock(&lock);
	if (fakelog.writer >= 0)
		close(fakelog.writer);
	fakelog.writer = fd[1];
	fakelog.durable = fakelog.last;
	atomic_fetch_add(&fakelog.opened, 1);
	pthread_mutex_unlock(&lock);
	if (k->from == fakelog.first && fakelog.history.len &&
	    send(fd[1], fakelog.history.p, fakelog.history.len, 0) < 0)
		return -1;
	return fd[0];
}

/* FAKE_EPOCH up to record FAKE_EPOCH_END, then the next one. */
static int fake_epoch(struct im_ioc_epoch *e)
{
	bool old = e->recno < FAKE_EPOCH_END;

	e->epoch = old ? FAKE_EPOCH : FAKE_EPOCH + 1;
	e->first = old ? 0 : FAKE_EPOCH_END;
	e->next = old ? FAKE_EPOCH_END : 0;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == IM_IOC_INFO)
		return fake_info(arg);
	if (request == IM_IOC_KML)
		return fake_kml(arg);
	if (request == IM_IOC_EPOCH)
		return fake_epoch(arg);
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

/* The rest of the daemon */

void logmsg(int prio, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (prio < 5)
		diag("log: %s", text);
}

struct fset *fset_find(const char *name)
{
	if (strcmp(name, set.name))
		return NULL;
	atomic_fetch_add(&set.refs, 1);
	return &set;
}

void fset_put(struct fset *f)
{
	atomic_fetch_sub(&f->refs, 1);
}

int control_handle(const char *method, const char *url, const char *data,
		   size_t len, json_t **answer)
{
	char text[512];

	snprintf(text, sizeof(text), "%s %s %.*s", method, url, (int)len, data);
	*answer = json_pack("{s:s}", "echo", text);
	return 200;
}

/* The tree */

const char *at(const char *name)
{
	snprintf(path, sizeof(path), "%s/t/%s", top, name);
	return path;
}

void put(const char *name, const void *p, size_t len, off_t off)
{
	int fd = open(at(name), O_WRONLY | O_CREAT, 0640);

	if (fd < 0 || pwrite(fd, p, len, off) != (ssize_t)len || close(fd))
		abort();
}

void fid_at(const char *name, struct im_fid *fid)
{
	if (fid_of(AT_FDCWD, at(name), fid))
		abort();
}

char *fid_text(const char *name)
{
	static char text[48];
	struct im_fid fid;

	fid_at(name, &fid);
	snprintf(text, sizeof(text), "%llu.%u",
		 (unsigned long long)le64_to_cpu(fid.ino),
		 le32_to_cpu(fid.gen));
	return text;
}

/* Start and end */

int free_port(void)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len))
		abort();
	close(fd);
	return ntohs(sa.sin_port);
}

static void make_tree(void)
{
	char name[32];
	int i;

	mkdir(at(""), 0755);
	mkdir(at(".intermezzo"), 0700);
	put(".intermezzo/secret", "x", 1, 0);
	put("plain", "hello\n", 6, 0);
	put("empty", "", 0, 0);
	put("sparse", "end", 3, 5 << 20);
	put("sparse", "begin", 5, 0);
	put("sparse", "mid", 3, 2 << 20);
	mkdir(at("dir"), 01777);
	mkdir(at("dir/sub"), 0700);
	mkdir(at("dir/sub/subsub"), 0711);
	put("dir/sub/file", "deep", 4, 0);
	(void)!symlink("dir/sub/file", at("link"));
	(void)!symlink("/etc/passwd", at("out"));
	mkfifo(at("fifo"), 0600);
	mknod(at("null"), S_IFCHR | 0666, makedev(1, 3));
	put(" odd\n\xff\xfe", "o", 1, 0);
	snprintf(path, sizeof(path), "%s/t/plain", top);
	{
		char hard[512];

		snprintf(hard, sizeof(hard), "%s/t/dir/hard", top);
		(void)!link(path, hard);
	}
	setxattr(at("plain"), "user.note", "value", 5, 0);
	setxattr(at("plain"), "trusted.other", "", 0, 0);
	setxattr(at("plain"), "trusted.intermezzo.origin", "secret", 6, 0);
	lsetxattr(at("link"), "trusted.onlink", "l", 1, 0);
	mkdir(at("many"), 0755);
	for (i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "many/file-%04d", i);
		put(name, name, strlen(name), 0);
	}
}

bool fake_start(void)
{
	if (!mkdtemp(top))
		abort();
	if (!fake_handles()) {
		rmdir(top);
		printf("1..0 # SKIP no file handles in /tmp, or not root\n");
		return false;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	make_tree();
	strcpy(set.name, "t");
	set.role = FSET_EXPORT;
	set.fd = open(at(""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	atomic_init(&set.refs, 1);
	fid_at("", &root);
	fake_info(&set.info);
	bucket_init(&set.bucket, 0);
	pthread_mutex_init(&set.stat.lock, NULL);

	port = free_port();
	snprintf(sock, sizeof(sock), "%s/sock", top);
	snprintf(addr, sizeof(addr), "127.0.0.1:%d", port);
	conf.sock = sock;
	conf.lib_dir = top;
	conf.listen = listeners;
	if (server_start()) {
		printf("Bail out! the server does not start\n");
		exit(1);
	}
	return true;
}

bool fake_stop(void)
{
	bool good = true;
	char cmd[300];
	int i;

	/* a client has its answer before the server has tidied up */
	for (i = 0; i < 100 && atomic_load(&set.refs) > 1; i++)
		usleep(20000);
	if (atomic_load(&set.refs) != 1) {
		diag("%d requests keep the fileset", atomic_load(&set.refs) - 1);
		good = false;
	}
	server_stop();
	if (!access(sock, F_OK)) {
		diag("the socket is still there");
		good = false;
	}
	frames_free(frames_ask(NULL, NULL));
	im_buf_free(&body);
	im_buf_free(&fakelog.history);
	close(set.fd);
	if (fakelog.writer >= 0)
		close(fakelog.writer);
	curl_global_cleanup();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return !system(cmd) && good;
}

/* Requests */

int port_connect(int to)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(to),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		diag("connect: %m");
	return fd;
}

int tcp_connect(void)
{
	return port_connect(port);
}

static size_t take(char *p, size_t size, size_t n, void *arg)
{
	im_buf_put(arg, p, size * n);
	return size * n;
}

void ask(struct reply *r, const char *url, const struct ask *how)
{
	static const struct ask plain;
	struct curl_slist *list = NULL;
	struct timespec begin, end;
	CURL *c = curl_easy_init();
	char whole[600];

	if (!how)
		how = &plain;
	memset(r, 0, sizeof(*r));
	snprintf(whole, sizeof(whole), "http://127.0.0.1:%d%s", port, url);
	if (how->rate) {
		char text[64];

		snprintf(text, sizeof(text), "X-InterMezzo-Rate: %llu",
			 (unsigned long long)how->rate);
		list = curl_slist_append(list, text);
	}
	if (how->header)
		list = curl_slist_append(list, how->header);
	curl_easy_setopt(c, CURLOPT_URL, whole);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 120L);
	if (!how->tcp)
		curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, sock);
	if (how->body) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)how->len);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, how->body);
	}
	if (how->method)
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, how->method);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &r->body);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	curl_easy_perform(c);
	clock_gettime(CLOCK_MONOTONIC, &end);
	r->seconds = (double)(end.tv_sec - begin.tv_sec) +
		     (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r->status);
	curl_easy_cleanup(c);
	curl_slist_free_all(list);
	im_buf_put(&r->body, "", 1);
	r->body.len--;
}

long ask_status(const char *url)
{
	struct reply r;

	ask(&r, url, NULL);
	im_buf_free(&r.body);
	return r.status;
}

/* Frames of an answer, kept whole */

int frames_keep(void *arg, unsigned int type, const u8 *p, size_t len)
{
	struct frames *f = arg;

	if (f->n == FRAMES)
		return -E2BIG;
	f->v[f->n].type = type;
	f->v[f->n].len = len;
	f->v[f->n].p = malloc(len + 8);
	memcpy(f->v[f->n].p, p, len);
	f->n++;
	return 0;
}

void frames_free(struct frames *f)
{
	while (f->n)
		free(f->v[--f->n].p);
}

struct frames *frames_ask(const char *url, const struct ask *how)
{
	static struct frames f;
	struct im_frames d = { .fn = frames_keep, .arg = &f };
	struct reply r;

	frames_free(&f);
	if (!url)
		return &f;
	ask(&r, url, how);
	f.err = r.status == 200 ? im_frames_feed(&d, r.body.p, r.body.len)
				: -(int)r.status;
	if (!f.err && !im_frames_idle(&d))
		f.err = -EPIPE;
	if (f.err)
		diag("%s: status %ld, error %d: %s", url, r.status, f.err,
		     (char *)r.body.p);
	im_frames_free(&d);
	im_buf_free(&r.body);
	return &f;
}

bool last_is(const struct frames *f, unsigned int type)
{
	return !f->err && f->n && f->v[f->n - 1].type == type;
}

void item(const char *name, const char *dir, const char *hint, u64 off,
		 u64 len)
{
	struct im_wire_get g = {
		.off = cpu_to_le64(off),
		.len = cpu_to_le64(len),
	};

	if (name)
		fid_at(name, &g.fid);
	else
		g.fid.ino = cpu_to_le64(999999999);
	if (dir) {
		fid_at(dir, &g.dir);
		g.name_len = cpu_to_le16(strlen(hint));
	}
	im_get_put(&body, &g, hint ? hint : "");
}

struct frames *post(const char *url)
{
	struct frames *f = frames_ask(url, &(struct ask){ .body = body.p,
							  .len = body.len });

	im_buf_reset(&body);
	return f;
}
