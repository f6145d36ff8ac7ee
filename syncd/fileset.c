// SPDX-License-Identifier: GPL-2.0
#include "fileset.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include "shelf.h"

/* registry_lock: the list, and taking a reference to what is on it. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fset *registry;

int fset_conf_copy(struct fset_conf *to, const struct fset_conf *from)
{
	*to = *from;
	to->dir = strdup(from->dir);
	to->url = from->url ? strdup(from->url) : NULL;
	if (to->dir && (to->url || !from->url))
		return 0;
	fset_conf_free(to);
	return -ENOMEM;
}

void fset_conf_free(struct fset_conf *c)
{
	free(c->dir);
	free(c->url);
	c->dir = NULL;
	c->url = NULL;
}

static void fset_free(struct fset *f)
{
	shelf_forget(f);
	close(f->fd);
	pthread_cond_destroy(&f->stat.moved);
	pthread_mutex_destroy(&f->stat.lock);
	pthread_mutex_destroy(&f->bucket.lock);
	free(f->dir);
	free(f->url);
	free(f);
}

static int fset_open(struct fset *f, char *err, size_t errlen)
{
	struct stat st;

	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->fd < 0) {
		snprintf(err, errlen, "cannot open %s: %m", f->dir);
		return -errno;
	}
	if (ioctl(f->fd, IM_IOC_INFO, &f->info)) {
		if (errno == ENOTTY)
			snprintf(err, errlen,
				 "no fileset is mounted at %s", f->dir);
		else
			snprintf(err, errlen, "cannot ask the fileset at %s who it is: %m",
				 f->dir);
		return errno == ENOTTY ? -ENOENT : -errno;
	}
	if (strncmp(f->info.name, f->name, sizeof(f->info.name))) {
		snprintf(err, errlen,
			 "what is mounted at %s is the fileset \"%.63s\"",
			 f->dir, f->info.name);
		return -ENOENT;
	}
	if (fstat(f->fd, &st)) {
		snprintf(err, errlen, "cannot stat %s: %m", f->dir);
		return -errno;
	}
	f->dev = st.st_dev;
	return 0;
}

int fset_add(const struct fset_conf *c, struct fset **out, char *err,
	     size_t errlen)
{
	struct fset *f, *other;
	pthread_condattr_t attr;
	int rc;

	f = calloc(1, sizeof(*f));
	if (!f) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	f->fd = -1;
	atomic_init(&f->refs, 1);
	atomic_init(&f->stop, false);
	strcpy(f->name, c->name);
	f->role = c->role;
	f->dir = strdup(c->dir);
	f->url = c->url ? strdup(c->url) : NULL;
	if (!f->dir || (c->url && !f->url)) {
		snprintf(err, errlen, "out of memory");
		rc = -ENOMEM;
		goto err_free_strings;
	}
	rc = fset_open(f, err, errlen);
	if (rc)
		goto err_close;
	pthread_mutex_init(&f->stat.lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->stat.moved, &attr);
	pthread_condattr_destroy(&attr);
	bucket_init(&f->bucket, 0);
	if (pace_init(&f->pace, &f->bucket, c->bwlimit))
		logmsg(LOG_ERR, "%s: the limit \"%s\" is not understood, there is none now",
		       c->name, c->bwlimit);

	pthread_mutex_lock(&registry_lock);
	for (other = registry; other; other = other->next)
		if (!strcmp(other->name, f->name))
			break;
	if (!other) {
		f->next = registry;
		registry = f;
	}
	pthread_mutex_unlock(&registry_lock);
	if (other) {
		snprintf(err, errlen, "the fileset \"%s\" is in use", f->name);
		fset_free(f);
		return -EEXIST;
	}
	*out = f;
	return 0;

err_close:
	if (f->fd >= 0)
		close(f->fd);
err_free_strings:
	free(f->dir);
	free(f->url);
	free(f);
	return rc;
}

struct fset *fset_find(const char *name)
{
	struct fset *f;

	pthread_mutex_lock(&registry_lock);
	for (f = registry; f; f = f->next)
		if (!strcmp(f->name, name)) {
			atomic_fetch_add(&f->refs, 1);
			break;
		}
	pthread_mutex_unlock(&registry_lock);
	return f;
}

struct fset *fset_each(int (*fn)(void *arg, struct fset *f), void *arg)
{
	struct fset *f;

	pthread_mutex_lock(&registry_lock);
	for (f = registry; f && !fn(arg, f); f = f->next)
		;
	if (f)
		atomic_fetch_add(&f->refs, 1);
	pthread_mutex_unlock(&registry_lock);
	return f;
}

void fset_put(struct fset *f)
{
	if (f && atomic_fetch_sub(&f->refs, 1) == 1)
		fset_free(f);
}

int fset_remove(struct fset *f, unsigned int wait_ms)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000000 };
	struct fset **at;
	bool busy;

	atomic_store(&f->stop, true);
	pthread_mutex_lock(&registry_lock);
	for (at = &registry; *at; at = &(*at)->next)
		if (*at == f) {
			*at = f->next;
			break;
		}
	pthread_mutex_unlock(&registry_lock);

	/* nobody can take a new reference, so the count only falls */
	while (atomic_load(&f->refs) > 1 && wait_ms >= 10) {
		nanosleep(&pause, NULL);
		wait_ms -= 10;
	}
	busy = atomic_load(&f->refs) > 1;
	fset_put(f);
	return busy ? -EBUSY : 0;
}

void fset_stop_all(void)
{
	struct fset *f;

	pthread_mutex_lock(&registry_lock);
	for (f = registry; f; f = f->next)
		atomic_store(&f->stop, true);
	pthread_mutex_unlock(&registry_lock);
}

void fset_error(struct fset *f, const char *fmt, ...)
{
	char text[sizeof(f->stat.error)] = "";
	bool changed;
	va_list ap;

	if (fmt) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
	}
	pthread_mutex_lock(&f->stat.lock);
	changed = strcmp(f->stat.error, text);
	strcpy(f->stat.error, text);
	pthread_mutex_unlock(&f->stat.lock);
	/* what is tried again and again fails with the same words */
	if (changed && *text)
		logmsg(LOG_WARNING, "%s: %s", f->name, text);
	else if (changed)
		logmsg(LOG_INFO, "%s: well again", f->name);
}

void fset_phase(struct fset *f, const char *phase)
{
	bool changed;

	pthread_mutex_lock(&f->stat.lock);
	changed = strncmp(f->stat.phase, phase, sizeof(f->stat.phase) - 1);
	snprintf(f->stat.phase, sizeof(f->stat.phase), "%s", phase);
	f->stat.turns += changed;
	pthread_cond_broadcast(&f->stat.moved);
	pthread_mutex_unlock(&f->stat.lock);
	if (changed)
		logmsg(LOG_DEBUG, "%s: %s", f->name, phase);
}
