// SPDX-License-Identifier: GPL-2.0
#include "manage.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include "common/genl.h"
#include "common/mountinfo.h"
#include "managed.h"
#include "mount.h"
#include "state.h"

#define DRAIN_MS	15000	/* for requests to end, before an unmount */
#define RETRY_S		30
#define SETTLE_MS	200	/* mounts come in bursts */

pthread_mutex_t managed_op_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct managed *managed;
static bool running;		/* clients may be started; op lock */
static char daemon_limit[TIMETABLE_TEXT];	/* that was set; op lock */
static int wake_fd = -1;
static pthread_t watcher;

/* ---- the list; callers hold the op lock ---- */

struct managed *managed_find(const char *key)
{
	struct managed *m;

	for (m = managed; m; m = m->next)
		if (!strcmp(m->conf.name, key) || !strcmp(m->conf.dir, key))
			return m;
	return NULL;
}

/* At the end, so that the order of state.json stays. */
void managed_add(struct managed *m)
{
	struct managed **at = &managed;

	pthread_mutex_lock(&list_lock);
	while (*at)
		at = &(*at)->next;
	m->next = NULL;
	*at = m;
	pthread_mutex_unlock(&list_lock);
}

void managed_del(struct managed *m)
{
	struct managed **at = &managed;

	pthread_mutex_lock(&list_lock);
	while (*at && *at != m)
		at = &(*at)->next;
	if (*at)
		*at = m->next;
	pthread_mutex_unlock(&list_lock);
}

/* An array of pointers into the list, to be freed; NULL: out of memory. */
const struct fset_conf **managed_confs(size_t *n)
{
	const struct fset_conf **confs;
	struct managed *m;

	*n = 0;
	for (m = managed; m; m = m->next)
		++*n;
	confs = calloc(*n + 1, sizeof(*confs));
	if (!confs)
		return NULL;
	*n = 0;
	for (m = managed; m; m = m->next)
		confs[(*n)++] = &m->conf;
	return confs;
}

int managed_save(char *err, size_t errlen)
{
	const struct fset_conf **confs;
	size_t n;
	int rc;

	confs = managed_confs(&n);
	if (!confs) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	rc = state_save(conf.lib_dir, confs, n, daemon_limit, err, errlen);
	free(confs);
	return rc;
}

static void set_error(struct managed *m, const char *error)
{
	bool changed;

	pthread_mutex_lock(&list_lock);
	changed = strcmp(m->error, error);
	snprintf(m->error, sizeof(m->error), "%s", error);
	pthread_mutex_unlock(&list_lock);
	if (changed && *error)
		logmsg(LOG_ERR, "%s: %s", m->conf.name, error);
}

/* ---- up and down; callers hold the op lock ---- */

/* A replica that fstab mounted without the option is one all the same. */
static int need_replica(struct fset *f, char *err, size_t errlen)
{
	struct im_genl *genl;
	int rc;

	if (f->info.flags & IM_INFO_REPLICA)
		return 0;
	rc = im_genl_open(&genl);
	if (!rc) {
		rc = im_genl_set_replica(genl, f->name, true);
		im_genl_close(genl);
	}
	if (rc)
		snprintf(err, errlen,
			 "cannot make what is mounted at %s a replica: %s; mount it with -o replica",
			 f->dir, strerror(-rc));
	else
		f->info.flags |= IM_INFO_REPLICA;
	return rc;
}

/* It is mounted; m is not up. */
int managed_open(struct managed *m, char *err, size_t errlen)
{
	struct fset *f;
	int rc;

	rc = fset_add(&m->conf, &f, err, errlen);
	if (rc)
		return rc;
	if (f->role == FSET_ATTACH) {
		rc = need_replica(f, err, errlen);
		if (rc) {
			fset_remove(f, DRAIN_MS);
			return rc;
		}
	}
	fset_phase(f, f->role == FSET_EXPORT ? "serving" : "stopped");
	pthread_mutex_lock(&list_lock);
	m->fset = f;
	m->gone = false;
	m->error[0] = '\0';
	pthread_mutex_unlock(&list_lock);
	logmsg(LOG_INFO, "%s: %s %s", m->conf.name,
	       f->role == FSET_EXPORT ? "serving" : "attached at", f->dir);
	return 0;
}

void managed_start(struct managed *m)
{
	int rc;

	if (!running || !m->fset || m->fset->role != FSET_ATTACH)
		return;
	rc = client_start(m->fset);
	if (rc)
		fset_error(m->fset, "cannot start the client: %s",
			   strerror(-rc));
	else
		m->started = true;
}

int managed_up(struct managed *m)
{
	const struct mount_req req = {
		.name = m->conf.name,
		.dir = m->conf.dir,
		.replica = m->conf.role == FSET_ATTACH,
	};
	const struct im_mount *mount;
	struct im_mounts mounts;
	char why[384] = "";
	char error[512];
	int rc;

	rc = im_mounts_read(&mounts);
	if (rc) {
		snprintf(error, sizeof(error), "cannot read the mounts: %s",
			 strerror(-rc));
		set_error(m, error);
		return rc;
	}
	mount = im_mounts_fset(&mounts, m->conf.name);
	if (mount && strcmp(mount->dir, m->conf.dir)) {
		snprintf(why, sizeof(why), "it is mounted at %.200s",
			 mount->dir);
		rc = -EBUSY;
	} else if (!mount) {
		rc = mount_fset(&req, why, sizeof(why));
	}
	im_mounts_free(&mounts);
	if (rc) {
		snprintf(error, sizeof(error), "cannot mount %s: %s",
			 m->conf.dir, why);
		set_error(m, error);
		return rc;
	}
	rc = managed_open(m, why, sizeof(why));
	if (rc)
		set_error(m, why);
	else
		managed_start(m);
	return rc;
}

int managed_down(struct managed *m, const char *error)
{
	struct fset *f = m->fset;

	if (!f)
		return 0;
	pthread_mutex_lock(&list_lock);
	m->fset = NULL;
	snprintf(m->error, sizeof(m->error), "%s", error);
	pthread_mutex_unlock(&list_lock);
	atomic_store(&f->stop, true);
	if (m->started)
		client_stop(f);
	m->started = false;
	return fset_remove(f, DRAIN_MS);
}

/* ---- what happens behind our back ---- */

/* Is what f has open still what one finds at its directory? */
static bool still_there(const struct fset *f)
{
	struct stat st;

	return !stat(f->dir, &st) && st.st_dev == f->dev;
}

static void look_at_all(bool retry)
{
	const struct im_mount *mount;
	struct im_mounts mounts;
	struct managed *m;
	char why[256];

	pthread_mutex_lock(&managed_op_lock);
	for (m = managed; m; m = m->next) {
		if (m->fset && !still_there(m->fset)) {
			logmsg(LOG_WARNING, "%s: no longer mounted at %s",
			       m->conf.name, m->conf.dir);
			managed_down(m, "was unmounted by hand; mount it again, or restart intersyncd");
			pthread_mutex_lock(&list_lock);
			m->gone = true;
			pthread_mutex_unlock(&list_lock);
		}
		if (m->fset)
			continue;
		if (!m->gone) {
			if (retry)
				managed_up(m);
			continue;
		}
		if (im_mounts_read(&mounts))
			continue;
		mount = im_mounts_fset(&mounts, m->conf.name);
		if (mount && !strcmp(mount->dir, m->conf.dir)) {
			if (managed_open(m, why, sizeof(why)))
				set_error(m, why);
			else
				managed_start(m);
		}
		im_mounts_free(&mounts);
	}
	pthread_mutex_unlock(&managed_op_lock);
}

static void on_event(void *arg, const struct im_genl_event *event)
{
	bool *look = arg;

	switch (event->cmd) {
	case IM_CMD_EV_UP:
	case IM_CMD_EV_DOWN:
		*look = true;
		break;
	case IM_CMD_EV_DEAD:
		logmsg(LOG_CRIT,
		       "%s: the log failed, changes are refused; see the kernel's log, repair the disk, then mount again",
		       event->name);
		break;
	default:
		break;
	}
}

static time_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void *watch(void *arg)
{
	const struct timespec settle = { .tv_nsec = SETTLE_MS * 1000000L };
	struct pollfd fds[3] = {
		{ .fd = wake_fd, .events = POLLIN },
		{ .fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC),
		  .events = POLLPRI },
	};
	struct im_genl *genl = NULL;
	time_t retried = now_s();
	bool look, mounts;
	int n;

	for (;;) {
		/* the module may be loaded later than we are started */
		if (!genl && !im_genl_open(&genl) && im_genl_listen(genl)) {
			im_genl_close(genl);
			genl = NULL;
		}
		fds[2].fd = genl ? im_genl_fd(genl) : -1;
		fds[2].events = POLLIN;
		n = poll(fds, 3, RETRY_S * 1000);
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && fds[0].revents)
			break;
		mounts = n > 0 && fds[1].revents;
		look = mounts || n == 0;
		if (n > 0 && fds[2].revents &&
		    im_genl_events(genl, on_event, &look)) {
			/* lost some, or the module is gone: begin anew */
			im_genl_close(genl);
			genl = NULL;
			look = true;
		}
		if (!look)
			continue;
		nanosleep(&settle, NULL);
		mounts |= now_s() - retried >= RETRY_S;
		if (mounts)
			retried = now_s();
		look_at_all(mounts);
	}
	im_genl_close(genl);
	if (fds[1].fd >= 0)
		close(fds[1].fd);
	return NULL;
}

/* ---- life ---- */

static int load_one(struct fset_conf *c)
{
	struct managed *m;

	if (managed_find(c->name) || managed_find(c->dir))
		return -EEXIST;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->conf = *c;
	managed_add(m);
	return 0;
}

int manage_load(void)
{
	char err[512];
	int rc;

	pthread_mutex_lock(&managed_op_lock);
	rc = state_load(conf.lib_dir, load_one, daemon_limit, err,
			sizeof(err));
	pthread_mutex_unlock(&managed_op_lock);
	if (rc)
		logmsg(LOG_ERR, "%s", err);
	return rc;
}

void manage_up(void)
{
	struct im_genl *genl;
	struct managed *m;

	pthread_mutex_lock(&managed_op_lock);
	if (managed && !im_genl_open_load(&genl))
		im_genl_close(genl);
	for (m = managed; m; m = m->next)
		managed_up(m);
	pthread_mutex_unlock(&managed_op_lock);
}

int manage_run(void)
{
	struct managed *m;
	int rc;

	wake_fd = eventfd(0, EFD_CLOEXEC);
	if (wake_fd < 0)
		return -errno;
	rc = pthread_create(&watcher, NULL, watch, NULL);
	if (rc) {
		close(wake_fd);
		wake_fd = -1;
		return -rc;
	}
	pthread_mutex_lock(&managed_op_lock);
	running = true;
	for (m = managed; m; m = m->next)
		managed_start(m);
	pthread_mutex_unlock(&managed_op_lock);
	return 0;
}

void manage_stop(void)
{
	const u64 one = 1;
	struct managed *m;

	if (wake_fd >= 0) {
		if (write(wake_fd, &one, sizeof(one)) != sizeof(one))
			logmsg(LOG_ERR, "cannot wake the watcher: %m");
		pthread_join(watcher, NULL);
		close(wake_fd);
		wake_fd = -1;
	}
	pthread_mutex_lock(&managed_op_lock);
	while ((m = managed)) {
		managed_down(m, "");
		managed_del(m);
		fset_conf_free(&m->conf);
		free(m);
	}
	running = false;
	pthread_mutex_unlock(&managed_op_lock);
}

const char *manage_daemon_limit(void)
{
	return daemon_limit;
}

/* Saved before it is in force: what a restart would forget is refused. */
static int limit_save(char *at, const char *text, struct problem *p)
{
	char old[TIMETABLE_TEXT], err[512];

	pthread_mutex_lock(&list_lock);
	strcpy(old, at);
	strcpy(at, text);
	pthread_mutex_unlock(&list_lock);
	if (!managed_save(err, sizeof(err)))
		return 0;
	pthread_mutex_lock(&list_lock);
	strcpy(at, old);
	pthread_mutex_unlock(&list_lock);
	return problem(p, 500, "state",
		       "%s, so it would be forgotten at the next start", err);
}

int manage_limit(const char *key, const char *text, struct problem *p)
{
	struct timetable t;
	struct managed *m;
	int rc = 0;

	if (timetable_parse(text, &t))
		return problem(p, 400, "bad-rate", TIMETABLE_HELP, text);
	pthread_mutex_lock(&managed_op_lock);
	m = key ? managed_find(key) : NULL;
	if (key && !m)
		rc = problem(p, 404, "unknown",
			     "no fileset \"%.64s\" is exported or attached here",
			     key);
	else
		rc = limit_save(m ? m->conf.bwlimit : daemon_limit, text, p);
	if (!rc && !m)
		pace_set(&pace_daemon, text);
	else if (!rc && m->fset)
		pace_set(&m->fset->pace, text);
	pthread_mutex_unlock(&managed_op_lock);
	return rc;
}

int manage_each(int (*fn)(void *arg, const struct fset_conf *c, struct fset *f,
			  const char *error), void *arg)
{
	struct managed *m;
	int rc = 0;

	pthread_mutex_lock(&list_lock);
	for (m = managed; m && !rc; m = m->next)
		rc = fn(arg, &m->conf, m->fset, m->error);
	pthread_mutex_unlock(&list_lock);
	return rc;
}
