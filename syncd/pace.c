// SPDX-License-Identifier: GPL-2.0
#include "pace.h"

#include <stdlib.h>
#include <syslog.h>
#include "fileset.h"
#include "http.h"

#define PACE_TELL_MS	10000

struct pace pace_daemon;

/* Order: the registry's lock, pace_lock, a bucket's. */
static pthread_mutex_t pace_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pace_wake;	/* something was set, or stop */
static bool pace_changed, pace_stopping, pace_running;
static pthread_t pace_thread;

/* pace_lock held. */
static void pace_apply(struct pace *p)
{
	time_t now = time(NULL);
	struct tm tm;
	u64 rate;

	tzset();	/* localtime_r() need not notice a new zone */
	localtime_r(&now, &tm);
	p->now = timetable_at(&p->table, &tm);
	rate = p->now ? p->now->rate : 0;
	if (rate == p->bucket->rate)
		return;
	bucket_set(p->bucket, rate);
	p->told = false;
}

int pace_init(struct pace *p, struct bucket *b, const char *text)
{
	int err;

	memset(p, 0, sizeof(*p));
	p->bucket = b;
	err = pace_set(p, text);
	p->told = true;		/* by the first request of each session */
	return err;
}

int pace_set(struct pace *p, const char *text)
{
	struct timetable t;
	int err = timetable_parse(text, &t);

	if (err)
		return err;
	pthread_mutex_lock(&pace_lock);
	strcpy(p->text, text);
	p->table = t;
	pace_apply(p);
	pace_changed = true;
	if (pace_running)
		pthread_cond_signal(&pace_wake);
	pthread_mutex_unlock(&pace_lock);
	return 0;
}

void pace_show(struct pace *p, char text[TIMETABLE_TEXT],
	       char entry[TIMETABLE_TEXT])
{
	const struct timetable_entry *e;

	pthread_mutex_lock(&pace_lock);
	e = p->now;
	strcpy(text, p->text);
	snprintf(entry, TIMETABLE_TEXT, "%.*s", e ? e->len : 0,
		 e ? p->text + e->at : "");
	pthread_mutex_unlock(&pace_lock);
}

static int pace_each(void *arg, struct fset *f)
{
	pthread_mutex_lock(&pace_lock);
	pace_apply(&f->pace);
	/* what all may use together is part of what each asks its server for */
	if (!pace_daemon.told)
		f->pace.told = false;
	pthread_mutex_unlock(&pace_lock);
	return 0;
}

/* One whose server has not been told; at most one try for each change. */
static int pace_untold(void *arg, struct fset *f)
{
	bool found;

	pthread_mutex_lock(&pace_lock);
	found = f->role == FSET_ATTACH && !f->pace.told;
	f->pace.told = true;
	pthread_mutex_unlock(&pace_lock);
	return found;
}

/* A request of any kind will do. A session that begins later says it itself. */
static void pace_tell(struct fset *f)
{
	struct im_wire_info info;
	struct remote remote;
	struct http *h;

	if (client_remote(f, &remote))
		return;
	h = http_new(&remote, f, &f->stop);
	if (!h)
		return;
	http_limit(h, PACE_TELL_MS);
	if (http_info(h, &info))
		logmsg(LOG_DEBUG, "%s: cannot tell the server the new limit: %s",
		       f->name, http_error(h));
	http_free(h);
}

static void pace_all(void)
{
	struct fset *f;

	pthread_mutex_lock(&pace_lock);
	pace_apply(&pace_daemon);
	pthread_mutex_unlock(&pace_lock);
	fset_each(pace_each, NULL);
	pthread_mutex_lock(&pace_lock);
	pace_daemon.told = true;
	pthread_mutex_unlock(&pace_lock);
	while ((f = fset_each(pace_untold, NULL))) {
		pace_tell(f);
		fset_put(f);
	}
}

/* A clock that is set is noticed a minute later at most. */
static void *pace_main(void *arg)
{
	struct timespec mono, real;

	pthread_mutex_lock(&pace_lock);
	while (!pace_stopping) {
		if (!pace_changed) {
			clock_gettime(CLOCK_REALTIME, &real);
			clock_gettime(CLOCK_MONOTONIC, &mono);
			mono.tv_sec += 60 - real.tv_sec % 60;
			pthread_cond_timedwait(&pace_wake, &pace_lock, &mono);
		}
		pace_changed = false;
		if (pace_stopping)
			break;
		pthread_mutex_unlock(&pace_lock);
		pace_all();
		pthread_mutex_lock(&pace_lock);
	}
	pthread_mutex_unlock(&pace_lock);
	return arg;
}

int pace_start(void)
{
	pthread_condattr_t attr;
	int rc;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pace_wake, &attr);
	pthread_condattr_destroy(&attr);
	pace_stopping = false;
	rc = pthread_create(&pace_thread, NULL, pace_main, NULL);
	pace_running = !rc;
	return -rc;
}

void pace_stop(void)
{
	if (!pace_running)
		return;
	pthread_mutex_lock(&pace_lock);
	pace_stopping = true;
	pthread_cond_signal(&pace_wake);
	pthread_mutex_unlock(&pace_lock);
	pthread_join(pace_thread, NULL);
	pace_running = false;
}
