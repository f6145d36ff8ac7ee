// SPDX-License-Identifier: GPL-2.0
/*
 * `intersyncd dial-stdio`: the far end of ssh. Bytes go both ways as they
 * come, the end of one direction is passed on and the other goes on.
 */
#include "main.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct pipe_end {
	int from;
	int to;
	size_t len;		/* in buf from off on */
	size_t off;
	bool eof;		/* nothing more comes from `from` */
	bool closed;		/* and `to` was told */
	char buf[64 << 10];
};

/* 1 while there is more to do, 0 at the end, -errno. */
static int pump(struct pipe_end *p, short readable, short writable)
{
	ssize_t n;

	if (readable && !p->eof && !p->len) {
		n = read(p->from, p->buf, sizeof(p->buf));
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		p->eof = n == 0;
		p->off = 0;
		p->len = n > 0 ? n : 0;
	}
	if (writable && p->len) {
		n = write(p->to, p->buf + p->off, p->len);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n > 0) {
			p->off += n;
			p->len -= n;
		}
	}
	if (p->eof && !p->len && !p->closed) {
		p->closed = true;
		if (shutdown(p->to, SHUT_WR))
			close(p->to);
	}
	return !p->closed;
}

static int join(int sock)
{
	static struct pipe_end up, down;
	struct pollfd fds[4];
	int rc;

	up.from = STDIN_FILENO;
	up.to = sock;
	down.from = sock;
	down.to = STDOUT_FILENO;
	/* the answer's end is the end of all: nobody reads what is sent after */
	while (!down.closed) {
		fds[0] = (struct pollfd){ up.eof || up.len ? -1 : up.from,
					  POLLIN, 0 };
		fds[1] = (struct pollfd){ up.len ? up.to : -1, POLLOUT, 0 };
		fds[2] = (struct pollfd){ down.eof || down.len ? -1 : down.from,
					  POLLIN, 0 };
		fds[3] = (struct pollfd){ down.len ? down.to : -1, POLLOUT, 0 };
		if (poll(fds, 4, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		rc = pump(&up, fds[0].revents, fds[1].revents);
		if (rc < 0 && rc != -EPIPE)
			return rc;
		rc = pump(&down, fds[2].revents, fds[3].revents);
		if (rc < 0)
			return rc == -EPIPE ? 0 : rc;
	}
	return 0;
}

int dial_stdio(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock, rc;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		fprintf(stderr, "intersyncd: the socket's path %s is too long\n",
			path);
		return 1;
	}
	strcpy(addr.sun_path, path);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof(addr))) {
		fprintf(stderr,
			"intersyncd: cannot reach the daemon at %s: %s; %s\n",
			path, strerror(errno),
			errno == EACCES || errno == EPERM ?
			"this user may not use it" :
			"is it running? start it: systemctl start intersyncd");
		return 1;
	}
	rc = join(sock);
	if (rc) {
		fprintf(stderr, "intersyncd: connection lost: %s\n",
			strerror(-rc));
		return 1;
	}
	return 0;
}
