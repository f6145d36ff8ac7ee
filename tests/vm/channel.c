// SPDX-License-Identifier: GPL-2.0
/*
 * Commands from the host into a virtual machine, over virtio-serial ports.
 *
 *   channel serve PORTS           in the guest: one server per port, for ever
 *   channel exec DIR [-i] CMD...  on the host: run CMD in the guest behind the
 *                                 unix sockets DIR/cmd.0 ... and pass on its
 *                                 output and exit status
 *   channel line DIR TEXT         on the host: one line to qemu's monitor
 *
 * Rules:
 * - One port carries one command at a time. The host takes a port by flock on
 *   DIR/cmd.N.lock; when all are taken it waits. A port starts with a request
 *   and is idle again after the exit status.
 * - A port has no connection of its own that both sides see begin and end in
 *   step: the host may be killed in mid-command and its successor may be
 *   connected before the guest noticed. So each request carries a random id,
 *   the answer starts with MAGIC and that id, and the host throws away what
 *   comes before. A request that meets a running command ends that command.
 * - A host that goes away takes its command along (SIGKILL to the group).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x696d7663u
#define MAX_PORTS 8
#define MAX_PAYLOAD 65536

enum frame_type {
	FRAME_REQUEST = 1,	/* host: cwd, NUL, then argv, each with NUL */
	FRAME_STDIN,		/* host: bytes; none = end of file */
	FRAME_HELLO,		/* guest: nothing; first frame of an answer */
	FRAME_STDOUT,
	FRAME_STDERR,
	FRAME_EXIT,		/* guest: one byte, the exit status */
};

struct frame {
	uint32_t magic;
	uint32_t type;
	uint64_t id;
	uint32_t len;
	uint32_t pad;
};

/* What has come in and is not yet a whole frame. */
struct inbuf {
	size_t len;
	unsigned char data[sizeof(struct frame) + MAX_PAYLOAD];
};

static void die(const char *what, const char *object)
{
	fprintf(stderr, "channel: %s %s: %s\n", what, object, strerror(errno));
	exit(125);
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	while (len) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = fd, .events = POLLOUT };

			poll(&pfd, 1, 1000);
			if (pfd.revents & POLLHUP)
				return -EPIPE;
			continue;
		}
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		p += n;
		len -= n;
	}
	return 0;
}

static int send_frame(int fd, uint32_t type, uint64_t id, const void *data,
		      uint32_t len)
{
	static unsigned char buf[sizeof(struct frame) + MAX_PAYLOAD];
	struct frame f = {
		.magic = MAGIC, .type = type, .id = id, .len = len,
	};

	memcpy(buf, &f, sizeof(f));
	if (len)
		memcpy(buf + sizeof(f), data, len);
	return write_all(fd, buf, sizeof(f) + len);
}

/*
 * The next whole frame in @in, resynchronising on MAGIC. Returns its size in
 * the buffer, 0 when more bytes are needed.
 */
static size_t next_frame(struct inbuf *in, struct frame *f)
{
	const uint32_t magic = MAGIC;
	size_t skip = 0;

	for (;;) {
		if (in->len - skip < sizeof(*f))
			break;
		memcpy(f, in->data + skip, sizeof(*f));
		if (f->magic == magic && f->type >= FRAME_REQUEST &&
		    f->type <= FRAME_EXIT && f->len <= MAX_PAYLOAD)
			break;
		skip++;
	}
	if (skip) {
		in->len -= skip;
		memmove(in->data, in->data + skip, in->len);
	}
	if (in->len < sizeof(*f) || in->len < sizeof(*f) + f->len)
		return 0;
	return sizeof(*f) + f->len;
}

static void drop_frame(struct inbuf *in, size_t size)
{
	in->len -= size;
	memmove(in->data, in->data + size, in->len);
}

/* ---- guest ---- */

struct server {
	int port;
	struct inbuf in;
	uint64_t id;
	pid_t child;
	int in_fd, out_fd, err_fd;	/* pipes of the child; -1: closed */
	/*
	 * The first frame in @in is standard input that the child does not
	 * take yet, @taken bytes of it are gone. Nothing is read from the
	 * port meanwhile, but output goes on: a blocking write here and a
	 * child that waits for its output to be read would stop each other.
	 */
	int stalled;
	size_t taken;
	int host;			/* somebody is connected */
};

static int open_port(int nr)
{
	char path[128], name[64], want[32];
	int i, fd;
	FILE *f;

	snprintf(want, sizeof(want), "cmd.%d\n", nr);
	for (i = 0; i < 64; i++) {
		snprintf(path, sizeof(path),
			 "/sys/class/virtio-ports/vport%dp%d/name",
			 i / 32, i % 32);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (!fgets(name, sizeof(name), f))
			name[0] = 0;
		fclose(f);
		if (strcmp(name, want))
			continue;
		snprintf(path, sizeof(path), "/dev/vport%dp%d", i / 32, i % 32);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			die("cannot open", path);
		return fd;
	}
	errno = ENODEV;
	die("no virtio port named", want);
	return -1;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void end_child(struct server *s)
{
	if (s->child > 0) {
		kill(-s->child, SIGKILL);
		while (waitpid(s->child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	s->child = 0;
	close_fd(&s->in_fd);
	close_fd(&s->out_fd);
	close_fd(&s->err_fd);
	s->stalled = 0;
	s->taken = 0;
}

static void start_child(struct server *s, const struct frame *f,
			const char *payload)
{
	int in[2], out[2], err[2], n = 0;
	const char *p = payload, *end = payload + f->len;
	char *argv[256];

	if (f->len < 2 || end[-1])
		return;
	for (; p < end && n < 255; p += strlen(p) + 1)
		argv[n++] = strdup(p);
	argv[n] = NULL;
	if (n < 2)
		return;
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) ||
	    pipe2(err, O_CLOEXEC))
		die("cannot make", "pipe");
	s->child = fork();
	if (s->child < 0)
		die("cannot", "fork");
	if (!s->child) {
		setsid();
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		if (chdir(argv[0]) && chdir("/"))
			_exit(127);
		signal(SIGPIPE, SIG_DFL);
		execvp(argv[1], argv + 1);
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	s->in_fd = in[1];
	s->out_fd = out[0];
	s->err_fd = err[0];
	fcntl(s->in_fd, F_SETFL, O_NONBLOCK);
	fcntl(s->out_fd, F_SETFL, O_NONBLOCK);
	fcntl(s->err_fd, F_SETFL, O_NONBLOCK);
	s->id = f->id;
	while (n)
		free(argv[--n]);
	send_frame(s->port, FRAME_HELLO, s->id, NULL, 0);
}

/* False: the child does not take it now. */
static int feed_child(struct server *s, const char *data, size_t len)
{
	ssize_t n;

	if (!len)
		close_fd(&s->in_fd);
	while (s->in_fd >= 0 && s->taken < len) {
		n = write(s->in_fd, data + s->taken, len - s->taken);
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != EINTR)
			close_fd(&s->in_fd);
		else if (n > 0)
			s->taken += n;
	}
	s->taken = 0;
	return 1;
}

static void host_frames(struct server *s)
{
	struct frame f;
	size_t size;

	s->stalled = 0;
	while ((size = next_frame(&s->in, &f))) {
		char *payload = (char *)s->in.data + sizeof(f);

		if (f.type == FRAME_REQUEST) {
			end_child(s);
			start_child(s, &f, payload);
		} else if (f.type == FRAME_STDIN && s->child &&
			   f.id == s->id) {
			if (!feed_child(s, payload, f.len)) {
				s->stalled = 1;
				return;
			}
		}
		drop_frame(&s->in, size);
	}
}

/* Pass on what a pipe has; closes it at its end. True while it gave bytes. */
static int pump(struct server *s, int *fd, uint32_t type)
{
	static char buf[16384];
	ssize_t n;

	if (*fd < 0)
		return 0;
	n = read(*fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		close_fd(fd);
		return 0;
	}
	if (send_frame(s->port, type, s->id, buf, n))
		end_child(s);
	return 1;
}

/*
 * The command is over when its first process is: a daemon it left behind may
 * keep the pipes open for ever.
 */
static void reap(struct server *s)
{
	unsigned char code;
	int status;

	if (!s->child || waitpid(s->child, &status, WNOHANG) != s->child)
		return;
	s->child = -1;
	while (pump(s, &s->out_fd, FRAME_STDOUT) ||
	       pump(s, &s->err_fd, FRAME_STDERR))
		;
	code = WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
	send_frame(s->port, FRAME_EXIT, s->id, &code, 1);
	end_child(s);
}

/*
 * A request can be read before the driver has heard, on its control queue,
 * that there is a host; until then a write fails and a read says "gone".
 */
static int host_is_there(struct server *s)
{
	struct timespec nap = { .tv_nsec = 5 * 1000 * 1000 };
	struct pollfd pfd = { .fd = s->port, .events = POLLIN };
	int i;

	for (i = 0; i < 400 && !s->host; i++) {
		pfd.revents = 0;
		if (poll(&pfd, 1, 0) >= 0 && !(pfd.revents & POLLHUP))
			s->host = 1;
		else
			nanosleep(&nap, NULL);
	}
	return s->host;
}

/*
 * SIGIO tells of a host that connects or leaves, SIGCHLD of the command's
 * end; both are blocked except in ppoll. Without a host, poll would report
 * POLLHUP at once for ever, so then only the signals are waited for.
 */
static void serve_port(int nr)
{
	static struct server s;
	sigset_t none;
	ssize_t n;

	memset(&s, 0, sizeof(s));
	s.in_fd = s.out_fd = s.err_fd = -1;
	s.port = open_port(nr);
	fcntl(s.port, F_SETOWN, getpid());
	fcntl(s.port, F_SETFL, O_NONBLOCK | O_ASYNC);
	sigemptyset(&none);
	for (;;) {
		struct timespec slow = { .tv_sec = 5 };
		struct pollfd pfd[4];
		int nfds = 0;

		n = -1;
		if (s.stalled)
			host_frames(&s);
		while (!s.stalled) {
			n = read(s.port, s.in.data + s.in.len,
				 sizeof(s.in.data) - s.in.len);
			if (n <= 0)
				break;
			s.in.len += n;
			if (host_is_there(&s))
				host_frames(&s);
		}
		if (!n) {
			end_child(&s);
			s.in.len = 0;
			s.host = 0;
		}
		pump(&s, &s.out_fd, FRAME_STDOUT);
		pump(&s, &s.err_fd, FRAME_STDERR);
		reap(&s);
		if (n)
			pfd[nfds++] = (struct pollfd){
				s.port, s.stalled ? 0 : POLLIN, 0 };
		if (s.out_fd >= 0)
			pfd[nfds++] = (struct pollfd){ s.out_fd, POLLIN, 0 };
		if (s.err_fd >= 0)
			pfd[nfds++] = (struct pollfd){ s.err_fd, POLLIN, 0 };
		if (s.stalled && s.in_fd >= 0)
			pfd[nfds++] = (struct pollfd){ s.in_fd, POLLOUT, 0 };
		if (ppoll(pfd, nfds, &slow, &none) > 0 && s.stalled && n &&
		    (pfd[0].revents & POLLHUP)) {
			end_child(&s);
			s.in.len = 0;
		}
	}
}

static void on_signal(int sig)
{
	(void)sig;
}

static int serve(int ports)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t block;
	int i;

	sigaction(SIGIO, &sa, NULL);
	sigaction(SIGCHLD, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&block);
	sigaddset(&block, SIGIO);
	sigaddset(&block, SIGCHLD);
	for (i = 0; i < ports; i++) {
		if (fork())
			continue;
		sigprocmask(SIG_BLOCK, &block, NULL);
		serve_port(i);
	}
	for (;;)
		pause();
	return 0;
}

/* ---- host ---- */

static int take_port(const char *dir)
{
	struct timespec nap = { .tv_nsec = 50 * 1000 * 1000 };
	char path[512];
	int i, fd;

	for (;;) {
		for (i = 0; i < MAX_PORTS; i++) {
			snprintf(path, sizeof(path), "%s/cmd.%d.lock", dir, i);
			fd = open(path, O_RDWR);
			if (fd < 0 && !i)
				die("no virtual machine in", dir);
			if (fd < 0)
				break;
			if (!flock(fd, LOCK_EX | LOCK_NB)) {
				fcntl(fd, F_SETFD, FD_CLOEXEC);
				return i;
			}
			close(fd);
		}
		nanosleep(&nap, NULL);
	}
}

/* By way of the directory's descriptor: sun_path is shorter than paths are. */
static int connect_unix(const char *dir, const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || dirfd < 0)
		die("no virtual machine in", dir);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s",
		 dirfd, name);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("cannot reach the virtual machine in", dir);
	close(dirfd);
	return fd;
}

static void send_request(int fd, uint64_t id, char **argv)
{
	char buf[MAX_PAYLOAD];
	size_t len;

	if (!getcwd(buf, sizeof(buf)))
		strcpy(buf, "/");
	len = strlen(buf) + 1;
	for (; *argv; argv++) {
		size_t l = strlen(*argv) + 1;

		if (len + l > sizeof(buf)) {
			errno = E2BIG;
			die("cannot send", *argv);
		}
		memcpy(buf + len, *argv, l);
		len += l;
	}
	if (send_frame(fd, FRAME_REQUEST, id, buf, len))
		die("cannot send", "request");
}

static int exec_cmd(const char *dir, int with_stdin, char **argv)
{
	static struct inbuf in;
	static unsigned char out[sizeof(struct frame) + 16384];
	size_t out_len = 0, out_off = 0;
	int fd, started = 0, nr = take_port(dir);
	char name[16];
	struct frame f;
	uint64_t id;
	size_t size;
	ssize_t n;

	snprintf(name, sizeof(name), "cmd.%d", nr);
	fd = connect_unix(dir, name);
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		die("cannot get", "random bytes");
	send_request(fd, id, argv);
	if (!with_stdin)
		send_frame(fd, FRAME_STDIN, id, NULL, 0);
	for (;;) {
		/* one frame under way; never a write that blocks: see server */
		struct pollfd pfd[2] = {
			{ .fd = fd, .events = POLLIN | (out_len ? POLLOUT : 0) },
			{ .fd = with_stdin && !out_len ? 0 : -1,
			  .events = POLLIN },
		};

		if (poll(pfd, 2, -1) < 0 && errno != EINTR)
			die("cannot poll", name);
		if (pfd[1].revents) {
			n = read(0, out + sizeof(f), sizeof(out) - sizeof(f));
			if (n <= 0)
				with_stdin = n = 0;
			f = (struct frame){ .magic = MAGIC, .id = id,
					    .type = FRAME_STDIN, .len = n };
			memcpy(out, &f, sizeof(f));
			out_len = sizeof(f) + n;
			out_off = 0;
		}
		if (out_len) {
			n = send(fd, out + out_off, out_len - out_off,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n > 0)
				out_off += n;
			if (out_off == out_len)
				out_len = 0;
		}
		if (!(pfd[0].revents & ~POLLOUT))
			continue;
		n = read(fd, in.data + in.len, sizeof(in.data) - in.len);
		if (n <= 0)
			break;
		in.len += n;
		while ((size = next_frame(&in, &f))) {
			unsigned char *payload = in.data + sizeof(f);

			if (f.id == id && f.type == FRAME_HELLO)
				started = 1;
			if (f.id == id && started) {
				if (f.type == FRAME_STDOUT)
					write_all(1, payload, f.len);
				if (f.type == FRAME_STDERR)
					write_all(2, payload, f.len);
				if (f.type == FRAME_EXIT && f.len == 1)
					return payload[0];
			}
			drop_frame(&in, size);
		}
	}
	fprintf(stderr, "channel: the virtual machine %s ended\n", dir);
	return 125;
}

static int monitor_line(const char *dir, const char *text)
{
	struct pollfd pfd = { .events = POLLIN };
	char buf[4096];
	ssize_t n;

	pfd.fd = connect_unix(dir, "monitor");
	if (write_all(pfd.fd, text, strlen(text)) || write_all(pfd.fd, "\n", 1))
		die("cannot write to the monitor in", dir);
	while (poll(&pfd, 1, 200) > 0) {
		n = read(pfd.fd, buf, sizeof(buf));
		if (n <= 0)
			break;
		write_all(1, buf, n);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve")) {
		int ports = atoi(argv[2]);

		if (ports >= 1 && ports <= MAX_PORTS)
			return serve(ports);
	}
	if (argc == 4 && !strcmp(argv[1], "line"))
		return monitor_line(argv[2], argv[3]);
	if (argc >= 4 && !strcmp(argv[1], "exec")) {
		int with_stdin = !strcmp(argv[3], "-i");

		if (argc >= 4 + with_stdin)
			return exec_cmd(argv[2], with_stdin,
					argv + 3 + with_stdin);
	}
	fprintf(stderr, "usage: channel serve PORTS\n"
			"       channel exec DIR [-i] CMD [ARG...]\n"
			"       channel line DIR TEXT\n");
	return 2;
}
