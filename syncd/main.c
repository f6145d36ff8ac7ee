// SPDX-License-Identifier: GPL-2.0
/*
 * The life of the daemon. Filesets are up before the server answers, so that
 * nobody is told "no such fileset" of one that only comes later; clients start
 * last. The end goes the other way.
 */
#include "main.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <libgen.h>
#include <popt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>
#include "manage.h"
#include "peers.h"
#include "state.h"

#define DEFAULT_LISTEN	"127.0.0.1:7070"

struct syncd_conf conf = {
	.run_dir = SYNCD_RUN,
	.lib_dir = SYNCD_LIB,
	.sock = SYNCD_SOCK,
};

/* Where log lines go: once we are alone in the background, to syslog. */
static enum { TO_STDERR, TO_JOURNAL, TO_SYSLOG } log_to;

void logmsg(int prio, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int saved = errno;

	if (prio > (conf.verbose ? LOG_DEBUG : LOG_INFO))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	switch (log_to) {
	case TO_STDERR:
		fprintf(stderr, "intersyncd: %s\n", text);
		break;
	case TO_JOURNAL:
		fprintf(stderr, "<%d>%s\n", prio, text);
		break;
	case TO_SYSLOG:
		syslog(prio, "%s", text);
		break;
	}
	errno = saved;
}

/* Tells systemd, if that is who started us. */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len;
	int fd;

	if (!path || (path[0] != '/' && path[0] != '@') ||
	    strlen(path) >= sizeof(addr.sun_path))
		return;
	strcpy(addr.sun_path, path);
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	len = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		   (struct sockaddr *)&addr, len) < 0)
		logmsg(LOG_WARNING, "cannot notify systemd: %m");
	close(fd);
}

static int make_dir(const char *path, mode_t mode)
{
	struct stat st;

	if (!mkdir(path, mode) ||
	    (errno == EEXIST && !stat(path, &st) && S_ISDIR(st.st_mode)))
		return 0;
	logmsg(LOG_ERR, "cannot make the directory %s: %m", path);
	return -1;
}

/* ---- options ---- */

struct options {
	int foreground;
	int version;
	char *socket;
	char *state_dir;
};

static int add_string(char ***list, const char *text)
{
	size_t n = 0;
	char **grown;

	while (*list && (*list)[n])
		n++;
	grown = realloc(*list, (n + 2) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[n] = strdup(text);
	grown[n + 1] = NULL;
	*list = grown;
	return grown[n] ? 0 : -ENOMEM;
}

/* The working directory changes later. Lives as long as the process. */
static char *absolute(const char *path)
{
	char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
	char *full;

	if (asprintf(&full, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "",
		     path) < 0) {
		fprintf(stderr, "intersyncd: out of memory\n");
		exit(1);
	}
	free(cwd);
	return full;
}

enum { OPT_LISTEN = 1, OPT_LISTEN_INSECURE, OPT_LISTEN_TLS, OPT_VERBOSE };

static int take_listen(int opt, const char *text)
{
	char ***list = opt == OPT_LISTEN_TLS ? &conf.listen_tls :
		       opt == OPT_LISTEN_INSECURE ? &conf.listen_insecure :
						    &conf.listen;
	bool loopback;
	char err[256];

	if (opt == OPT_LISTEN_TLS && !strcmp(text, "none")) {
		conf.no_tls = true;
		return 0;
	}
	if (address_check(text, &loopback, err, sizeof(err))) {
		fprintf(stderr, "intersyncd: cannot listen on %s: %s\n", text,
			err);
		return -1;
	}
	if (opt == OPT_LISTEN && !loopback) {
		fprintf(stderr,
			"intersyncd: refusing to --listen on %s: it is not a loopback address, and what is served is neither encrypted nor protected by a password: everybody who can reach the port could read every exported fileset.\n"
			"Leave it, and invite other machines, which are then served over TLS (intermezzoctl invite; --listen-tls says where), or let them attach through ssh; on a network that you trust altogether say --listen-insecure %s\n",
			text, text);
		return -1;
	}
	if (add_string(list, text)) {
		fprintf(stderr, "intersyncd: out of memory\n");
		return -1;
	}
	return 0;
}

/* 0, or an exit status + 1. */
static int parse(int argc, const char **argv, struct options *o)
{
	char *text = NULL;
	const struct poptOption table[] = {
		{ "foreground", 'f', POPT_ARG_NONE, &o->foreground, 0,
		  "stay in the foreground, log to standard error", NULL },
		{ "listen", 'l', POPT_ARG_STRING, &text, OPT_LISTEN,
		  "serve on this loopback address (default " DEFAULT_LISTEN ")",
		  "ADDR:PORT" },
		{ "listen-insecure", 0, POPT_ARG_STRING, &text,
		  OPT_LISTEN_INSECURE,
		  "serve on any address: not encrypted, to everybody who can reach it",
		  "ADDR:PORT" },
		{ "listen-tls", 0, POPT_ARG_STRING, &text, OPT_LISTEN_TLS,
		  "serve invited machines, over TLS, on this address (default: port 7071 of all, from the first invitation on); \"none\": on none",
		  "ADDR:PORT" },
		{ "bwlimit", 'b', POPT_ARG_STRING, &conf.bwlimit, 0,
		  "limit of all filesets together, both directions: 2M, 8Mbit, or by the clock",
		  "RATE" },
		{ "socket", 0, POPT_ARG_STRING, &o->socket, 0,
		  "unix socket for intermezzoctl and ssh (" SYNCD_SOCK ")",
		  "PATH" },
		{ "state-dir", 0, POPT_ARG_STRING, &o->state_dir, 0,
		  "where to remember filesets (" SYNCD_LIB ")", "DIR" },
		{ "verbose", 'v', POPT_ARG_NONE, NULL, OPT_VERBOSE,
		  "say more", NULL },
		{ "version", 'V', POPT_ARG_NONE, &o->version, 0,
		  "print the version", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	poptContext context;
	struct timetable t;
	const char *verb;
	int rc, bad = 0;

	context = poptGetContext("intersyncd", argc, argv, table, 0);
	poptSetOtherOptionHelp(context, "[OPTION...] [dial-stdio]");
	while (!bad && (rc = poptGetNextOpt(context)) > 0) {
		if (rc == OPT_VERBOSE)
			conf.verbose++;
		else if (take_listen(rc, text))
			bad = 3;
		free(text);
		text = NULL;
	}
	if (!bad && rc < -1) {
		fprintf(stderr, "intersyncd: %s: %s; see intersyncd --help\n",
			poptBadOption(context, 0), poptStrerror(rc));
		bad = 3;
	}
	verb = bad ? NULL : poptGetArg(context);
	if (o->socket) {
		conf.sock = absolute(o->socket);
		/* what else we put there does not meet another daemon's */
		conf.run_dir = dirname(absolute(o->socket));
	}
	if (o->state_dir)
		conf.lib_dir = absolute(o->state_dir);
	if (!bad && conf.bwlimit && timetable_parse(conf.bwlimit, &t)) {
		fprintf(stderr, "intersyncd: --bwlimit " TIMETABLE_HELP "\n",
			conf.bwlimit);
		bad = 3;
	}
	if (verb && !strcmp(verb, "dial-stdio")) {
		signal(SIGPIPE, SIG_IGN);
		bad = 1 + dial_stdio(conf.sock);
	} else if (verb) {
		fprintf(stderr, "intersyncd: what is \"%s\"? see intersyncd --help\n",
			verb);
		bad = 3;
	} else if (!bad && o->version) {
		printf("intersyncd %s\n", INTERMEZZO_VERSION);
		bad = 1;
	}
	poptFreeContext(context);
	return bad;
}

/* ---- background ---- */

/*
 * The parent waits until the child is ready and ends with its verdict. The
 * child's end of the pipe, or -1 in an error.
 */
static int go_background(void)
{
	int ends[2];
	char verdict;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC)) {
		logmsg(LOG_ERR, "cannot go into the background: %m");
		return -1;
	}
	pid = fork();
	if (pid < 0) {
		logmsg(LOG_ERR, "cannot go into the background: %m");
		return -1;
	}
	if (pid) {
		close(ends[1]);
		_exit(read(ends[0], &verdict, 1) == 1 ? 0 : 1);
	}
	close(ends[0]);
	setsid();
	/* nobody is to be kept from unmounting where we were started */
	if (chdir("/"))
		logmsg(LOG_WARNING, "cannot go to /: %m");
	return ends[1];
}

static void background_ready(int ready)
{
	int null;

	openlog("intersyncd", LOG_PID, LOG_DAEMON);
	log_to = TO_SYSLOG;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (null > 2)
			close(null);
	}
	if (write(ready, "", 1) != 1)
		logmsg(LOG_WARNING, "cannot tell the starting process: %m");
	close(ready);
}

/* ---- life ---- */

static int life(int ready)
{
	char err[512];
	sigset_t ends;
	int sig, rc;

	/* before any thread: all inherit the mask, sigwait() below takes them */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);
	umask(022);

	if (make_dir(conf.run_dir, 0755) || make_dir(conf.lib_dir, 0700))
		return 1;
	if (state_lock(conf.lib_dir, err, sizeof(err))) {
		logmsg(LOG_ERR, "%s", err);
		return 1;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (peers_load(err, sizeof(err))) {
		logmsg(LOG_ERR, "%s", err);
		return 1;
	}
	if (manage_load())
		return 1;
	/* what was set by hand counts more than how the daemon is started */
	pace_init(&pace_daemon, &bucket_daemon, *manage_daemon_limit() ?
		  manage_daemon_limit() : conf.bwlimit ? conf.bwlimit : "");
	rc = pace_start();
	if (rc) {
		logmsg(LOG_ERR, "cannot start a thread: %s", strerror(-rc));
		return 1;
	}
	manage_up();
	rc = server_start();
	if (rc) {
		logmsg(LOG_ERR, "cannot serve: %s", strerror(-rc));
		pace_stop();
		manage_stop();
		return 1;
	}
	rc = manage_run();
	if (rc) {
		logmsg(LOG_ERR, "cannot watch the filesets: %s", strerror(-rc));
		fset_stop_all();
		server_stop();
		pace_stop();
		manage_stop();
		return 1;
	}
	logmsg(LOG_INFO, "ready, version %s", INTERMEZZO_VERSION);
	notify("READY=1");
	if (ready >= 0)
		background_ready(ready);

	do
		sigwait(&ends, &sig);
	while (sig == SIGHUP);
	logmsg(LOG_INFO, "stopping");
	notify("STOPPING=1");
	fset_stop_all();
	server_stop();
	pace_stop();
	manage_stop();
	peers_close();
	curl_global_cleanup();
	return 0;
}

int main(int argc, const char **argv)
{
	static char *default_listen[] = { (char *)DEFAULT_LISTEN, NULL };
	struct options o = { 0 };
	int ready = -1;
	int rc;

	rc = parse(argc, argv, &o);
	if (rc)
		return rc - 1;
	if (geteuid()) {
		fprintf(stderr, "intersyncd: it must be started by root\n");
		return 1;
	}
	if (!conf.listen && !conf.listen_insecure)
		conf.listen = default_listen;
	if (getenv("JOURNAL_STREAM"))
		log_to = TO_JOURNAL;
	if (!o.foreground) {
		ready = go_background();
		if (ready < 0)
			return 1;
	}
	rc = life(ready);
	if (rc)
		notify("STATUS=failed to start, see the log");
	return rc;
}
