// SPDX-License-Identifier: GPL-2.0
/*
 * The listener's thread accepts, spawns and reaps. A connected socket is handed
 * to ssh whole, so no byte passes through this process twice. What ssh says on
 * standard error goes to a file beside the socket, which is emptied by each
 * new connection: there is one server, so one complaint is enough.
 */
#include "ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SSH_MAX	32		/* processes at a time */

struct ssh {
	pthread_t thread;
	int listener;
	int wake[2];		/* closing wake[1] ends the thread */
	char path[108];
	char words[128];	/* file with the standard error */
	char host[256];
	char port[8];
	pid_t pid[SSH_MAX];
	int count;
};

static void ssh_reap(struct ssh *s, int options)
{
	int i;

	for (i = 0; i < s->count;) {
		if (waitpid(s->pid[i], NULL, options) == 0)
			i++;
		else
			s->pid[i] = s->pid[--s->count];
	}
}

static void ssh_spawn(struct ssh *s, int conn)
{
	const char *argv[16];
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int n = 0, err;

	argv[n++] = "ssh";
	argv[n++] = "-T";
	argv[n++] = "-oBatchMode=yes";
	argv[n++] = "-oServerAliveInterval=15";
	argv[n++] = "-oConnectTimeout=30";
	if (s->port[0]) {
		argv[n++] = "-p";
		argv[n++] = s->port;
	}
	argv[n++] = "--";
	argv[n++] = s->host;
	argv[n++] = "intersyncd";
	argv[n++] = "dial-stdio";
	argv[n] = NULL;

	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&fa, conn, 0);
	posix_spawn_file_actions_adddup2(&fa, conn, 1);
	posix_spawn_file_actions_addopen(&fa, 2, s->words,
					 O_WRONLY | O_CREAT | O_TRUNC, 0600);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
				 POSIX_SPAWN_SETPGROUP);
	err = posix_spawnp(&pid, "ssh", &fa, &attr, (char **)argv, environ);
	if (!err) {
		s->pid[s->count++] = pid;
	} else {
		FILE *f = fopen(s->words, "w");

		if (f) {
			fprintf(f, "cannot run ssh: %s; install openssh-client\n",
				strerror(err));
			fclose(f);
		}
	}
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
}

static void *ssh_main(void *arg)
{
	struct ssh *s = arg;
	struct pollfd p[2] = {
		{ .fd = s->listener, .events = POLLIN },
		{ .fd = s->wake[0], .events = POLLIN },
	};
	int i;

	while (!p[1].revents) {
		if (poll(p, 2, s->count ? 1000 : -1) < 0 && errno != EINTR)
			break;
		ssh_reap(s, WNOHANG);
		if (p[0].revents & POLLIN) {
			int conn = accept4(s->listener, NULL, NULL,
					   SOCK_CLOEXEC);

			if (conn < 0)
				continue;
			if (s->count < SSH_MAX)
				ssh_spawn(s, conn);
			close(conn);
		}
	}
	for (i = 0; i < s->count; i++)
		kill(s->pid[i], SIGTERM);
	ssh_reap(s, 0);
	return NULL;
}

int ssh_start(struct ssh **out, const char *path, const char *host,
	      const char *port)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct ssh *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	err = -ENAMETOOLONG;
	if (snprintf(s->path, sizeof(s->path), "%s", path) >= (int)sizeof(s->path) ||
	    snprintf(s->words, sizeof(s->words), "%s.err", path) >= (int)sizeof(s->words) ||
	    snprintf(s->host, sizeof(s->host), "%s", host) >= (int)sizeof(s->host) ||
	    snprintf(s->port, sizeof(s->port), "%s", port) >= (int)sizeof(s->port))
		goto err_free;
	if (pipe2(s->wake, O_CLOEXEC)) {
		err = -errno;
		goto err_free;
	}
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listener < 0) {
		err = -errno;
		goto err_wake;
	}
	memcpy(sa.sun_path, s->path, sizeof(sa.sun_path));
	unlink(s->path);
	unlink(s->words);
	if (bind(s->listener, (struct sockaddr *)&sa, sizeof(sa))) {
		err = -errno;
		goto err_listener;
	}
	/* Root alone may connect, and nobody can before listen(). */
	if (chmod(s->path, 0600) || listen(s->listener, SSH_MAX)) {
		err = -errno;
		goto err_path;
	}
	err = -pthread_create(&s->thread, NULL, ssh_main, s);
	if (err)
		goto err_path;
	*out = s;
	return 0;

err_path:
	unlink(s->path);
err_listener:
	close(s->listener);
err_wake:
	close(s->wake[0]);
	close(s->wake[1]);
err_free:
	free(s);
	return err;
}

void ssh_stop(struct ssh *s)
{
	if (!s)
		return;
	close(s->wake[1]);
	pthread_join(s->thread, NULL);
	unlink(s->path);
	unlink(s->words);
	close(s->listener);
	close(s->wake[0]);
	free(s);
}

void ssh_last_words(struct ssh *s, char *buf, size_t len)
{
	char line[256];
	FILE *f = fopen(s->words, "re");

	buf[0] = '\0';
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0])
			snprintf(buf, len, "%s", line);
	}
	fclose(f);
}
