// SPDX-License-Identifier: GPL-2.0
/*
 * The pool: files wait in jobs, many small ones or one large one each. A thread
 * takes a job, asks for all its files at once and writes them in place. A
 * file's mtime is set last: a file that has its size and mtime has its data,
 * which is how a snapshot that was interrupted knows what is left to do.
 *
 * A link that breaks is retried here, from the byte where it broke, so that a
 * long transfer does not begin anew. What needs another snapshot ends the pool.
 */
#include "client.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delta.h"
#include "shape.h"

#define POOL_THREADS	3
#define POOL_ITEMS	2000			/* of one job */
#define POOL_BYTES	(8ULL << 20)
#define POOL_JOBS	128			/* waiting; then pool_add() blocks */

struct pool_job {
	struct pool_job *next;
	u64 bytes;
	unsigned int n;
	bool differ;
	struct pool_item v[POOL_ITEMS];
	u64 at[POOL_ITEMS];			/* bytes of it that are here */
	bool done[POOL_ITEMS];
};

struct pool {
	struct client *c;
	u64 version, low;
	pthread_mutex_t lock;			/* all below */
	pthread_cond_t cond;
	struct pool_job *first, **last;
	unsigned int waiting, busy;
	bool closing;
	int err;
	char why[512];
	struct pool_job *filling;		/* pool_add()'s alone */
	atomic_bool quit;			/* ends transfers under way */
	pthread_t thread[POOL_THREADS];
	unsigned int threads;
};

/* One job in the hands of a thread. */
struct pool_work {
	struct pool *p;
	struct pool_job *job;
	struct http *h;
	int replay;
	unsigned int index[POOL_ITEMS];		/* want -> item */
	unsigned int i;				/* the item under way */
	int fd;					/* -1: nothing to write to */
	u64 here;				/* size it had */
	struct im_wire_file file;
};

static void pool_tag(struct pool_work *w, const struct im_fid *fid,
		     struct im_ioc_tag *tag)
{
	memset(tag, 0, sizeof(*tag));
	tag->recno = w->p->version;
	tag->low = w->p->low;
	tag->version = w->p->version;
	tag->ino = le64_to_cpu(fid->ino);
	tag->gen = le32_to_cpu(fid->gen);
}

/* -1 in w->fd and 0: it went away here, then a record will say so. */
static int pool_open(struct pool_work *w)
{
	const struct pool_item *it = &w->job->v[w->i];
	struct im_origin o;
	struct im_ioc_tag tag;
	struct stat st;
	int fd, err;

	w->fd = -1;
	pool_tag(w, &it->fid, &tag);
	err = tree_tag(w->replay, &tag);
	if (err)
		return err;
	fd = fid_open_known(w->p->c->f, &it->local, O_RDWR | O_CLOEXEC);
	if (fd == -ESTALE || fd == -ENOENT || fd == -EINVAL)
		return 0;
	if (fd < 0)
		return fd;
	err = tree_origin(fd, &o);
	if (!err && fstat(fd, &st))
		err = -errno;
	if (err || !im_fid_eq(&o.fid, &it->fid)) {
		close(fd);
		return err == -ENODATA ? 0 : err;
	}
	w->fd = fd;
	w->here = st.st_size;
	return 0;
}

static void pool_close(struct pool_work *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

static int pool_done(struct pool_work *w, const struct im_wire_file *file)
{
	u64 size = le64_to_cpu(file->size);
	struct fset *f = w->p->c->f;
	int err = 0;

	if (w->fd >= 0) {
		if (ftruncate(w->fd, (off_t)size))
			err = -errno;
		if (!err)
			err = tree_origin_set(w->fd, w->p->c->id,
					      &w->job->v[w->i].fid,
					      w->p->version);
		if (!err)
			err = shape_times(w->fd, le64_to_cpu(file->mtime),
					  le32_to_cpu(file->mtime_ns));
	}
	pool_close(w);
	if (err)
		return err;
	w->job->done[w->i] = true;
	pthread_mutex_lock(&f->stat.lock);
	f->stat.files_done++;
	pthread_mutex_unlock(&f->stat.lock);
	return 0;
}

static int pool_gone(void *arg, unsigned int i)
{
	struct pool_work *w = arg;

	w->job->done[w->index[i]] = true;
	return 0;
}

static int pool_file(void *arg, unsigned int i, const struct im_wire_file *file)
{
	struct pool_work *w = arg;

	w->i = w->index[i];
	w->file = *file;
	return pool_open(w);
}

static int pool_data(void *arg, u64 off, const u8 *p, size_t len)
{
	struct pool_work *w = arg;
	struct fset *f = w->p->c->f;
	int err = 0;

	if (w->fd >= 0)
		err = fetch_write(w->fd, off, p, len);
	if (err)
		return err;
	w->job->at[w->i] = off + len;
	pthread_mutex_lock(&f->stat.lock);
	f->stat.bytes_done += len;
	pthread_mutex_unlock(&f->stat.lock);
	return 0;
}

static int pool_hole(void *arg, u64 off, u64 len)
{
	struct pool_work *w = arg;
	int err = 0;

	if (w->fd >= 0 && off < w->here)
		err = fetch_write(w->fd, off, NULL, len);
	if (!err)
		w->job->at[w->i] = off + len;
	return err;
}

static int pool_end(void *arg, const struct im_wire_fileend *e)
{
	struct pool_work *w = arg;

	return pool_done(w, &w->file);
}

static const struct fetch_sink pool_sink = {
	.gone = pool_gone,
	.file = pool_file,
	.data = pool_data,
	.hole = pool_hole,
	.end = pool_end,
};

/* 1: go on with the whole file. */
static int pool_differ(struct pool_work *w)
{
	struct pool_item *it = &w->job->v[0];
	struct fetch_want want = { .fid = it->fid, .dir = it->dir,
				   .name = it->name, .len = it->size };
	struct delta d = {
		.h = w->h, .inc = w->p->c->inc, .want = &want, .same = true,
		.tmpdir = w->p->c->f->fd,
	};
	int err;

	w->i = 0;
	err = pool_open(w);
	if (err || w->fd < 0)
		return err;
	d.basis = d.out = w->fd;
	err = delta_fetch(&d);
	if (!err)
		return pool_done(w, &d.file);
	pool_close(w);
	if (err == -ENXIO) {
		w->job->done[0] = true;
		return 0;
	}
	return err;
}

static int pool_try(struct pool_work *w)
{
	struct pool_job *job = w->job;
	struct fetch_want *v;
	unsigned int i, n = 0;
	int err;

	if (job->differ && !job->at[0] && !job->done[0]) {
		err = pool_differ(w);
		if (err != 1)
			return err;
		job->differ = false;
	}
	v = calloc(job->n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (i = 0; i < job->n; i++) {
		if (job->done[i])
			continue;
		v[n].fid = job->v[i].fid;
		v[n].dir = job->v[i].dir;
		v[n].name = job->v[i].name;
		v[n].off = job->at[i];
		v[n].len = FETCH_ALL;
		w->index[n++] = i;
	}
	err = fetch_data(w->h, w->p->c->inc, v, n, &pool_sink, w);
	pool_close(w);
	free(v);
	return err;
}

/* Sleeps, with an eye on the end; -ECANCELED. */
static int pool_pause(struct pool *p, unsigned int ms)
{
	struct timespec ts = { .tv_nsec = 100000000 };
	unsigned int t;

	for (t = 0; t < ms; t += 100) {
		bool closing;

		pthread_mutex_lock(&p->lock);
		closing = p->closing;
		pthread_mutex_unlock(&p->lock);
		if (closing || atomic_load(&p->c->f->stop))
			return -ECANCELED;
		nanosleep(&ts, NULL);
	}
	return 0;
}

static int pool_do(struct pool_work *w)
{
	unsigned int pause = 200;
	int err;

	for (;;) {
		err = pool_try(w);
		if (!err || err == -ECANCELED)
			return err;
		if (err == -ENOSPC || err == -EDQUOT) {
			err = client_wait_room(w->p->c->f, err);
		} else if (err == -ENOLINK || err == -EBADMSG) {
			fset_error(w->p->c->f, "%s", http_error(w->h));
			err = pool_pause(w->p, pause);
			pause = pause < 10000 ? pause * 2 : pause;
		}
		if (err)
			return err;
	}
}

static void pool_job_free(struct pool_job *job)
{
	unsigned int i;

	for (i = 0; job && i < job->n; i++)
		free(job->v[i].name);
	free(job);
}

static struct pool_job *pool_take(struct pool *p)
{
	struct pool_job *job;

	pthread_mutex_lock(&p->lock);
	while (!p->first && !p->closing && !p->err)
		pthread_cond_wait(&p->cond, &p->lock);
	job = p->closing || p->err ? NULL : p->first;
	if (job) {
		p->first = job->next;
		if (!p->first)
			p->last = &p->first;
		p->waiting--;
		p->busy++;
		pthread_cond_broadcast(&p->cond);
	}
	pthread_mutex_unlock(&p->lock);
	return job;
}

static void pool_finish(struct pool *p, int err, const char *why)
{
	pthread_mutex_lock(&p->lock);
	p->busy--;
	if (err && !p->err) {
		p->err = err;
		snprintf(p->why, sizeof(p->why), "%s", why);
	}
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
}

static void *pool_main(void *arg)
{
	struct pool *p = arg;
	struct client *c = p->c;
	struct pool_work *w = calloc(1, sizeof(*w));
	struct pool_job *job;
	int err = w ? 0 : -ENOMEM;

	if (w) {
		w->p = p;
		w->fd = -1;
		w->h = http_new(&c->remote, c->f, &p->quit);
		w->replay = tree_replay_open(c->f, c->id, p->version);
		err = !w->h ? -ENOMEM : w->replay < 0 ? w->replay : 0;
	}
	while ((job = pool_take(p))) {
		if (!err) {
			w->job = job;
			err = pool_do(w);
		}
		pool_finish(p, err, err && http_is_remote(err) ?
			    http_error(w->h) : strerror(-err));
		pool_job_free(job);
	}
	if (w) {
		if (w->replay >= 0)
			close(w->replay);
		http_free(w->h);
		free(w);
	}
	return NULL;
}

int pool_start(struct pool **out, struct client *c, u64 version, u64 low)
{
	struct pool *p = calloc(1, sizeof(*p));
	int err = 0;

	if (!p)
		return -ENOMEM;
	p->c = c;
	p->version = version;
	p->low = low;
	p->last = &p->first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->cond, NULL);
	while (!err && p->threads < POOL_THREADS) {
		err = -pthread_create(&p->thread[p->threads], NULL, pool_main,
				      p);
		if (!err)
			p->threads++;
	}
	if (!p->threads) {
		pool_stop(p);
		return err;
	}
	*out = p;
	return 0;
}

static int pool_push(struct pool *p)
{
	struct pool_job *job = p->filling;
	int err;

	p->filling = NULL;
	if (!job)
		return 0;
	pthread_mutex_lock(&p->lock);
	while (p->waiting >= POOL_JOBS && !p->err &&
	       !atomic_load(&p->c->f->stop)) {
		struct timespec ts;

		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_sec++;
		pthread_cond_timedwait(&p->cond, &p->lock, &ts);
	}
	err = p->err;
	if (!err && atomic_load(&p->c->f->stop))
		err = -ECANCELED;
	if (!err) {
		*p->last = job;
		p->last = &job->next;
		p->waiting++;
		pthread_cond_broadcast(&p->cond);
	}
	pthread_mutex_unlock(&p->lock);
	if (err)
		pool_job_free(job);
	return err;
}

int pool_add(struct pool *p, const struct pool_item *it)
{
	struct pool_job *job = p->filling;
	int err = 0;

	if (job && (it->differ || job->n == POOL_ITEMS ||
		    job->bytes + it->size > POOL_BYTES)) {
		err = pool_push(p);
		job = NULL;
	}
	if (!err && !job) {
		job = calloc(1, sizeof(*job));
		if (!job)
			err = -ENOMEM;
		p->filling = job;
	}
	if (err) {
		free(it->name);
		return err;
	}
	job->v[job->n++] = *it;
	job->bytes += it->size;
	job->differ = it->differ;
	return it->differ || job->bytes >= POOL_BYTES ? pool_push(p) : 0;
}

int pool_wait(struct pool *p)
{
	int err = pool_push(p);

	pthread_mutex_lock(&p->lock);
	while (!err && !p->err && (p->first || p->busy)) {
		struct timespec ts;

		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_sec++;
		pthread_cond_timedwait(&p->cond, &p->lock, &ts);
		if (atomic_load(&p->c->f->stop))
			err = -ECANCELED;
	}
	if (!err)
		err = p->err;
	pthread_mutex_unlock(&p->lock);
	return err;
}

void pool_stop(struct pool *p)
{
	unsigned int i;

	if (!p)
		return;
	atomic_store(&p->quit, true);
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);
	while (p->first) {
		struct pool_job *job = p->first;

		p->first = job->next;
		pool_job_free(job);
	}
	pool_job_free(p->filling);
	pthread_cond_destroy(&p->cond);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

const char *pool_error(struct pool *p)
{
	return p->why;
}
