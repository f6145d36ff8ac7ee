// SPDX-License-Identifier: GPL-2.0
/*
 * The life of one attachment: connect, find out where we are, take a snapshot
 * or follow the log, and begin again whenever something breaks.
 *
 * Where we are is in the log here (last_rcvd: recno and low) and in the root's
 * TREE_STATE, in this order of writes:
 *   snapshot begins   TREE_STATE = SNAPSHOT, the server's identity, start
 *   snapshot ends     syncfs, index, MARK(start, start + 1), then FOLLOW with
 *                     the window
 * so a cut anywhere leads to another snapshot, or to a start from `start`. An
 * interrupted snapshot keeps the start of the first one: what was fetched then
 * is made right by the log from there on. One that is taken because the listing
 * of a directory was cut starts where the log had been followed to: a snapshot
 * trusts size and mtime, and only the log says whose data the server lost in a
 * crash.
 *
 * Following starts at low: records up to recno are in the tree already, but
 * the data of those from low on may be lost, so that is fetched again.
 */
#include "client.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <librsync.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "batch.h"
#include "shape.h"
#include "verify.h"

#define CLIENT_BACKOFF_MIN	200	/* ms */
#define CLIENT_BACKOFF_MAX	30000
#define CLIENT_MARK_MS	2000		/* how often last_rcvd is made to move */
#define CLIENT_IDLE_MS	500

/* f->client of all, for who is not its own thread. */
static pthread_mutex_t client_lock = PTHREAD_MUTEX_INITIALIZER;

/* Where to follow from. */
struct client_place {
	u64 recno, low;
};

static bool client_stopped(const struct client *c)
{
	return atomic_load(&c->f->stop);
}

/* Sleeps in small steps; -ECANCELED when told to stop. */
static int client_sleep(struct fset *f, unsigned int ms)
{
	while (ms && !atomic_load(&f->stop)) {
		unsigned int k = ms < 100 ? ms : 100;
		struct timespec ts = { .tv_nsec = (long)k * 1000000 };

		nanosleep(&ts, NULL);
		ms -= k;
	}
	return atomic_load(&f->stop) ? -ECANCELED : 0;
}

int client_wait_room(struct fset *f, int err)
{
	if (err != -ENOSPC && err != -EDQUOT)
		return err;
	fset_error(f, "no space left for the replica in %s: waiting for room",
		   f->dir);
	err = client_sleep(f, 2000);
	return err;
}

/* The effects of which records may be here, for who compares. */
static void client_ahead(struct client *c)
{
	struct fset_stat *s = &c->f->stat;
	u64 window = client_window(c);

	pthread_mutex_lock(&s->lock);
	s->ahead = window > c->seen ? window : c->seen;
	s->turns += window == CLIENT_WINDOW_ALL;
	pthread_mutex_unlock(&s->lock);
}

int client_set_window(struct client *c, u64 recno)
{
	if (recno == client_window(c))
		return 0;
	c->tree.st.window = cpu_to_le64(recno);
	client_ahead(c);
	return tree_state_save(&c->tree);
}

static int client_mark(struct client *c, u64 recno, u64 low)
{
	struct im_ioc_mark m = { .recno = recno, .low = low };

	if (ioctl(c->tree.replay, IM_IOC_MARK, &m))
		return -errno;
	return 0;
}

/* Snapshot */

/* kept: the log is wanted from the record after this one; 0: from now on. */
static int client_snapshot(struct client *c, u64 kept)
{
	struct tree_state *st = &c->tree.st;
	char args[LINEAGE_ARGS];
	u64 start;
	int err;

	fset_phase(c->f, "snapshot");
	pthread_mutex_lock(&c->f->stat.lock);
	c->f->stat.files_done = c->f->stat.files_all = 0;
	pthread_mutex_unlock(&c->f->stat.lock);

	/* The window tells one that was interrupted from one that is wanted. */
	if (le32_to_cpu(st->phase) == TREE_SNAPSHOT &&
	    client_window(c) == CLIENT_WINDOW_ALL)
		kept = le64_to_cpu(st->start);
	if (kept + 1 < le64_to_cpu(c->srv.first))
		kept = 0;
	/* In another history it is a number without meaning. */
	args[0] = '\0';
	if (kept && lineage_args(c, kept, args, sizeof(args)))
		kept = 0;
	if (!kept)
		lineage_forget(c);
	start = le64_to_cpu(c->srv.durable);
	if (kept && kept < start)
		start = kept;
	st->phase = cpu_to_le32(TREE_SNAPSHOT);
	st->start = cpu_to_le64(start);
	st->window = cpu_to_le64(CLIENT_WINDOW_ALL);
	st->round = cpu_to_le32(le32_to_cpu(st->round) + 1);
	err = tree_state_save(&c->tree);
	if (err)
		return err;
	c->tree.recno = c->tree.low = start ? start : 1;
	err = graft_all(c, &start, args);
	if (err == -ESTALE && kept) {
		st->start = 0;
		tree_state_save(&c->tree);
	}
	if (err)
		return err;
	/* info was asked for before the walk began: never later than BEGIN. */
	start = le64_to_cpu(st->start);
	if (syncfs(c->f->fd))
		return -errno;
	err = tree_commit(&c->tree, true);
	if (!err)
		err = client_mark(c, start, start + 1);
	if (err)
		return err;
	st->phase = cpu_to_le32(TREE_FOLLOW);
	return tree_state_save(&c->tree);
}

/* Following */

static void client_progress(struct client *c, const struct fold_item *it,
			    u64 next)
{
	struct fset_stat *s = &c->f->stat;
	struct timespec now;
	double age;

	clock_gettime(CLOCK_REALTIME, &now);
	age = (double)now.tv_sec + (double)now.tv_nsec / 1e9 -
	      (double)le64_to_cpu(it->rec->time) / 1e9;
	pthread_mutex_lock(&s->lock);
	if (!it->redo) {
		s->applied = it->recno;
		s->records++;
		s->lag = age < 0 ? 0 : age;
	}
	if (s->server_durable < next - 1)
		s->server_durable = next - 1;
	if (s->applied >= s->server_durable)
		s->in_step = now;
	pthread_mutex_unlock(&s->lock);
}

static int client_window_end(struct client *c, u64 recno)
{
	/* What the limbo kept for records of the window is not needed now. */
	if (!client_window(c) || recno < client_window(c))
		return 0;
	return tree_limbo_clean(&c->tree, true);
}

/* Data that came along with the log need not be asked for. */
static void client_load(struct stream *s, struct batch *b)
{
	size_t i;

	for (i = 0; i < b->n; i++) {
		struct fold_item *it = &b->v[i];

		if (it->act == FOLD_APPLY && im_op_is_data(fold_op(it)) &&
		    !it->unknown)
			it->load = stream_rider(s, it);
	}
}

static int client_apply(struct client *c, struct stream *s, struct batch *b,
			u64 next)
{
	size_t i;
	int err;

	err = fold_run(b->v, b->n, c->tree.self, client_window(c));
	if (!err)
		client_load(s, b);
	for (i = 0; !err && i < b->n; i++) {
		if (client_stopped(c))
			return -ECANCELED;
		err = apply_item(c, b->v, i, b->n);
		if (err)
			break;
		client_progress(c, &b->v[i], next);
		fetch_load_free(b->v[i].load);
		b->v[i].load = NULL;
		if (b->v[i].recno == client_window(c))
			err = client_window_end(c, b->v[i].recno);
	}
	if (err)
		return err;
	/* Not before the end: what was folded into a later one came with that. */
	pthread_mutex_lock(&c->f->stat.lock);
	c->f->stat.low = next;
	pthread_cond_broadcast(&c->f->stat.moved);
	pthread_mutex_unlock(&c->f->stat.lock);
	return tree_commit(&c->tree, false);
}

/*
 * Work of others, client_lock: one at a time, taken by the client's thread and
 * given back done.
 */
struct client_job {
	int (*fn)(struct client *c, void *arg);
	void *arg;
	bool taken, done;
	int err;
};
static pthread_cond_t client_job_cond = PTHREAD_COND_INITIALIZER;

int client_run(struct fset *f, int (*fn)(struct client *c, void *arg),
	       void *arg, const atomic_bool *stop)
{
	struct client_job job = { .fn = fn, .arg = arg, .err = -ECANCELED };
	struct client *c = f->client;
	struct timespec t;

	pthread_mutex_lock(&client_lock);
	while (!job.done) {
		if (!c->job && !job.taken)
			c->job = &job;
		if (atomic_load(stop) && !job.taken)
			break;
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_sec++;
		pthread_cond_timedwait(&client_job_cond, &client_lock, &t);
	}
	if (c->job == &job)
		c->job = NULL;
	pthread_mutex_unlock(&client_lock);
	return job.err;
}

/* -errno: the session cannot go on. */
static int client_jobs(struct client *c)
{
	struct client_job *job;
	int err;

	pthread_mutex_lock(&client_lock);
	job = c->job;
	if (job)
		job->taken = true;
	pthread_mutex_unlock(&client_lock);
	if (!job)
		return 0;
	err = job->fn(c, job->arg);
	pthread_mutex_lock(&client_lock);
	job->err = err;
	job->done = true;
	c->job = NULL;
	pthread_cond_broadcast(&client_job_cond);
	pthread_mutex_unlock(&client_lock);
	/* something is half done that only a snapshot can end */
	return err && client_window(c) == CLIENT_WINDOW_ALL ? err : 0;
}

static u64 client_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

/* Notes the epoch of record `next`; *end: where it ends, as far as that came. */
static int client_epochs(struct client *c, struct stream *s, u64 next, u64 *end)
{
	struct im_wire_epoch e;
	int err = 0;

	*end = UINT64_MAX;
	while (!err && stream_epoch(s, &e, false)) {
		if (le64_to_cpu(e.first) > next) {
			*end = le64_to_cpu(e.first);
			break;
		}
		stream_epoch(s, &e, true);
		err = lineage_set(c, &e);
	}
	return err;
}

/* All that was gathered, in batches. */
static int client_bytes(struct client *c, struct stream *s, struct batch *b,
			u64 *next, u64 rcvd)
{
	size_t at = 0;
	u64 end;
	int err = 0;

	while (!err && at < b->len) {
		err = client_epochs(c, s, *next, &end);
		http_history(c->http, lineage_epoch(c, *next));
		if (!err)
			err = batch_parse(c, b, &at, next, rcvd, end);
		if (!err && *next - 1 > c->seen) {
			c->seen = *next - 1;
			client_ahead(c);
		}
		if (!err)
			err = client_apply(c, s, b, *next);
		batch_clear(b);
	}
	return err;
}

static int client_idle(struct client *c)
{
	struct fset_stat *s = &c->f->stat;

	pthread_mutex_lock(&s->lock);
	if (s->applied >= s->server_durable)
		clock_gettime(CLOCK_REALTIME, &s->in_step);
	pthread_mutex_unlock(&s->lock);
	return tree_commit(&c->tree, false);
}

static int client_follow(struct client *c, const struct client_place *place)
{
	struct stream *s;
	u64 next = place->low, marked_at = client_ms();
	char args[LINEAGE_ARGS];
	bool owed = false;	/* last_rcvd may be behind what is applied */
	int err;

	c->seen = place->recno;
	if (c->seen < client_window(c))
		c->seen = client_window(c);
	client_ahead(c);
	pthread_mutex_lock(&c->f->stat.lock);
	c->f->stat.applied = place->recno;
	c->f->stat.low = place->low;
	c->f->stat.inc = c->inc;
	pthread_mutex_unlock(&c->f->stat.lock);
	fset_phase(c->f, "following");
	err = client_window_end(c, place->recno);
	if (!err)
		err = lineage_args(c, c->seen, args, sizeof(args));
	if (!err)
		err = stream_start(&s, c, next, args);
	if (err)
		return err;
	while (!err) {
		struct batch b = { 0 };

		if (client_stopped(c))
			break;
		err = batch_gather(s, &b, CLIENT_IDLE_MS);
		if (err && err != -ECANCELED)
			snprintf(c->why, sizeof(c->why), "%.500s",
				 stream_error(s));
		if (!err && b.len) {
			err = client_bytes(c, s, &b, &next, place->recno);
			owed = true;
			c->good = true;
			if (!err)
				fset_error(c->f, NULL);
		}
		if (!err && owed && next > place->recno &&
		    client_ms() - marked_at >= CLIENT_MARK_MS) {
			err = client_mark(c, next - 1, next);
			marked_at = client_ms();
			owed = false;
		}
		if (!err && !b.len)
			err = client_idle(c);
		if (!err)
			err = client_jobs(c);
		batch_free(&b);
	}
	/* Stopped between two batches: the next start has nothing to redo. */
	if (!err && owed && next > place->recno)
		err = client_mark(c, next - 1, next);
	stream_stop(s, next);
	return err ? err : -ECANCELED;
}

/* Connecting */

static bool client_same_server(const struct client *c,
			       const struct tree_state *st)
{
	return le32_to_cpu(st->phase) != TREE_NEW &&
	       !memcmp(st->uuid, c->srv.uuid, 16) &&
	       st->incarnation == c->srv.incarnation;
}

static void client_rcvd(const struct client *c, const struct im_ioc_info *info,
			struct client_place *place)
{
	int i;

	for (i = 0; i < IM_PEERS_MAX; i++) {
		if (le64_to_cpu(info->rcvd[i].origin) == c->id) {
			place->recno = le64_to_cpu(info->rcvd[i].recno);
			place->low = le64_to_cpu(info->rcvd[i].low);
		}
	}
	if (place->low > place->recno + 1)
		place->low = place->recno + 1;
	if (!place->low)
		place->low = 1;
}

/* snapshot: one is wanted whatever the state says. */
static int client_session(struct client *c, bool *snapshot)
{
	struct client_place place = { 0, 1 };
	struct im_ioc_info info;
	struct tree_state st;
	int err;

	fset_phase(c->f, "connecting");
	err = http_info(c->http, &c->srv);
	if (err) {
		snprintf(c->why, sizeof(c->why), "%.500s", http_error(c->http));
		return err;
	}
	c->inc = le64_to_cpu(c->srv.incarnation);
	c->id = le64_to_cpu(c->srv.id);
	pthread_mutex_lock(&c->f->stat.lock);
	c->f->stat.server_durable = le64_to_cpu(c->srv.durable);
	pthread_mutex_unlock(&c->f->stat.lock);

	if (ioctl(c->f->fd, IM_IOC_INFO, &info))
		return -errno;
	err = tree_state_load(c->f, c->id, &st);
	if (err)
		return err;
	if (!client_same_server(c, &st)) {
		if (le32_to_cpu(st.phase) != TREE_NEW)
			logmsg(LOG_NOTICE,
			       "%s: the server is another one, or began anew: comparing everything",
			       c->f->name);
		memset(&st, 0, sizeof(st));
		memcpy(st.uuid, c->srv.uuid, 16);
		st.incarnation = c->srv.incarnation;
	}
	err = tree_open(&c->tree, c->f, &info, c->id, &st);
	if (err)
		return err;
	client_rcvd(c, &info, &place);
	if (*snapshot || le32_to_cpu(st.phase) != TREE_FOLLOW) {
		err = client_snapshot(c, 0);
	} else if (client_window(c) == CLIENT_WINDOW_ALL) {
		/* A graft_dir() that was cut: the tree is ahead somewhere. */
		err = client_snapshot(c, place.low - 1);
	}
	if (!err && ioctl(c->f->fd, IM_IOC_INFO, &info))
		err = -errno;
	if (!err) {
		*snapshot = false;
		client_rcvd(c, &info, &place);
		fset_error(c->f, NULL);
		err = client_follow(c, &place);
	}
	/* What the index knows is worth keeping, whatever went wrong. */
	if (err)
		tree_commit(&c->tree, true);
	tree_close(&c->tree);
	return err;
}

static unsigned int client_jitter(unsigned int ms)
{
	unsigned int r = 0;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r = (unsigned int)client_ms();
	return ms / 2 + r % (ms / 2 + 1);
}

static void *client_main(void *arg)
{
	struct client *c = arg;
	unsigned int pause = CLIENT_BACKOFF_MIN;
	bool snapshot = false;
	int err = shape_thread();

	while (!err && !client_stopped(c)) {
		c->why[0] = '\0';
		c->good = false;
		err = client_session(c, &snapshot);
		if (client_stopped(c))
			break;
		if (err == -ESTALE || err == -EUCLEAN) {
			snapshot = true;
			logmsg(LOG_NOTICE, "%s: %s: taking a snapshot",
			       c->f->name, err == -EUCLEAN ?
			       "the tree differs from the log" :
			       c->why[0] ? c->why :
			       "the server's log does not reach back to here");
		} else {
			fset_error(c->f, "%s", c->why[0] ? c->why :
				   strerror(-err));
			fset_phase(c->f, "connecting");
		}
		if (c->good)
			pause = CLIENT_BACKOFF_MIN;
		err = client_sleep(c->f, client_jitter(pause)) ? -ECANCELED : 0;
		pause = pause * 2 > CLIENT_BACKOFF_MAX ? CLIENT_BACKOFF_MAX :
			pause * 2;
	}
	if (err && !client_stopped(c))
		fset_error(c->f, "the client cannot run: %s", strerror(-err));
	fset_phase(c->f, "stopped");
	return NULL;
}

/* Outside */

int client_url(const char *url, char name[IM_FSNAME_LEN + 1], char *err,
	       size_t errlen)
{
	struct remote r;
	int rc = remote_parse(&r, url, err, errlen);

	if (!rc)
		memcpy(name, r.name, IM_FSNAME_LEN + 1);
	return rc;
}

int client_probe(const char *url, const struct im_wire_redeem *redeem,
		 struct im_wire_info *info, char *err, size_t errlen)
{
	struct remote r;
	struct http *h;
	char tag[64];
	u64 n = 0;
	int rc = remote_parse(&r, url, err, errlen);

	if (rc)
		return rc;
	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		n = client_ms();
	snprintf(tag, sizeof(tag), "probe-%016llx", (unsigned long long)n);
	rc = remote_open(&r, tag, err, errlen);
	if (rc)
		return rc;
	h = http_new(&r, NULL, NULL);
	rc = !h ? -ENOMEM : redeem ? http_redeem(h, redeem, info) :
				     http_info(h, info);
	if (rc)
		snprintf(err, errlen, "%s", h ? http_error(h) : strerror(ENOMEM));
	/* used by us, maybe, and the answer was lost: then say how to go on */
	if (rc == -ECONNREFUSED && redeem && !http_info(h, info)) {
		n = strlen(err);
		snprintf(err + n, errlen - n,
			 "; but this machine has access already: intermezzoctl attach '%s' DIR",
			 url);
	}
	http_free(h);
	remote_close(&r);
	return rc;
}

int client_remote(struct fset *f, struct remote *r)
{
	int err = -ENOENT;

	pthread_mutex_lock(&client_lock);
	if (f->client) {
		*r = f->client->remote;
		r->ssh = NULL;	/* its own; the socket is enough */
		err = 0;
	}
	pthread_mutex_unlock(&client_lock);
	return err;
}

static void client_publish(struct fset *f, struct client *c)
{
	pthread_mutex_lock(&client_lock);
	f->client = c;
	pthread_mutex_unlock(&client_lock);
}

int client_start(struct fset *f)
{
	struct client *c = calloc(1, sizeof(*c));
	char err[512];
	int rc;

	if (!c)
		return -ENOMEM;
	/* Modes come from the server as they are. */
	umask(0);
	/* What a peer sends wrong is reported by us. */
	rs_trace_set_level(RS_LOG_EMERG);
	c->f = f;
	c->tree.replay = -1;
	rc = remote_parse(&c->remote, f->url, err, sizeof(err));
	if (!rc)
		rc = remote_open(&c->remote, f->name, err, sizeof(err));
	if (rc) {
		fset_error(f, "%s", err);
		goto err_free;
	}
	rc = -ENOMEM;
	c->http = http_new(&c->remote, f, &f->stop);
	if (!c->http)
		goto err_remote;
	rc = -pthread_create(&c->thread, NULL, client_main, c);
	if (rc)
		goto err_http;
	client_publish(f, c);
	return 0;

err_http:
	http_free(c->http);
err_remote:
	remote_close(&c->remote);
err_free:
	free(c);
	return rc;
}

void client_stop(struct fset *f)
{
	struct client *c = f->client;

	if (!c)
		return;
	atomic_store(&f->stop, true);
	verify_end(f);
	pthread_join(c->thread, NULL);
	client_publish(f, NULL);
	http_free(c->http);
	remote_close(&c->remote);
	free(c);
}
