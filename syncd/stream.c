// SPDX-License-Identifier: GPL-2.0
#include "stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include "rider.h"

#define STREAM_EPOCHS	(1U << 20)	/* bytes: more than records can have */
#define STREAM_ROOM	(16U << 20)	/* then the server has to wait */

struct stream {
	struct client *c;
	pthread_t thread;
	struct http *h;
	u64 from;			/* the next record that is asked for */
	u64 parts;			/* to be asked for up to here; 0: none */
	u64 part_end;			/* of the last that was asked for */
	u64 epoch;			/* of the records that come now */
	char args[LINEAGE_ARGS];
	struct riders *riders;
	u32 along;			/* bytes of these at a time; 0: none */
	atomic_bool quit;
	pthread_mutex_t lock;		/* all below */
	pthread_cond_t cond;
	struct im_buf q;
	struct im_buf epochs;		/* struct im_wire_epoch */
	int err;			/* why it ended */
	bool ended;
};

static int stream_records(struct stream *s, const u8 *p, size_t len)
{
	int err;

	pthread_mutex_lock(&s->lock);
	while (s->q.len >= STREAM_ROOM && !atomic_load(&s->quit))
		pthread_cond_wait(&s->cond, &s->lock);
	im_buf_put(&s->q, p, len);
	err = atomic_load(&s->quit) ? -ECANCELED : s->q.err;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
	return err;
}

static int stream_epochs(struct stream *s, const u8 *p, size_t len)
{
	struct im_wire_epoch e;
	int err = lineage_frame(p, len, &e);

	if (err)
		return err;
	s->epoch = le64_to_cpu(e.epoch);
	pthread_mutex_lock(&s->lock);
	im_buf_put(&s->epochs, &e, sizeof(e));
	err = s->epochs.len > STREAM_EPOCHS ? -EPROTO : s->epochs.err;
	pthread_mutex_unlock(&s->lock);
	return err;
}

bool stream_epoch(struct stream *s, struct im_wire_epoch *e, bool take)
{
	bool any;

	pthread_mutex_lock(&s->lock);
	any = s->epochs.len >= sizeof(*e);
	if (any)
		memcpy(e, s->epochs.p, sizeof(*e));
	if (any && take) {
		s->epochs.len -= sizeof(*e);
		memmove(s->epochs.p, s->epochs.p + sizeof(*e), s->epochs.len);
	}
	pthread_mutex_unlock(&s->lock);
	return any;
}

static int stream_frame(void *arg, unsigned int type, const u8 *p, size_t len)
{
	struct stream *s = arg;
	struct fset *f = s->c->f;
	__le64 durable;

	if (type == IM_FR_RIDERS || riders_under_way(s->riders))
		return riders_frame(s->riders, type, p, len);
	switch (type) {
	case IM_FR_RECORDS:
		return len ? stream_records(s, p, len) : -EPROTO;
	case IM_FR_EPOCH:
		return stream_epochs(s, p, len);
	case IM_FR_ALIVE:
		if (len != sizeof(durable))
			return -EPROTO;
		memcpy(&durable, p, sizeof(durable));
		pthread_mutex_lock(&f->stat.lock);
		f->stat.server_durable = le64_to_cpu(durable);
		pthread_mutex_unlock(&f->stat.lock);
		return 0;
	case IM_FR_END:
		return 0;
	}
	return -EPROTO;
}

/*
 * A quarter of a second of the link: records do not wait longer for them. What
 * a cache can give to all need not come along for each.
 */
static u32 stream_riders(const struct client *c)
{
	u64 rate = __atomic_load_n(&c->f->bucket.rate, __ATOMIC_RELAXED);

	if (http_cached(c->http))
		return 0;
	return rate && rate / 4 < IM_WIRE_RIDERS ? rate / 4 : IM_WIRE_RIDERS;
}

/* Records from s->from to `to`. */
static int stream_part(struct stream *s, u64 to, u64 epoch)
{
	char what[160], asked[48];
	const struct http_shared sh = {
		.inc = s->c->inc, .seen = to, .epoch = epoch, .asked = asked,
	};
	int err;

	snprintf(asked, sizeof(asked), "%" PRIu64 "-%" PRIu64, s->from, to);
	snprintf(what, sizeof(what), "part?inc=%" PRIu64 "&from=%" PRIu64
		 "&to=%" PRIu64 "&epoch=%" PRIu64, s->c->inc, s->from, to,
		 epoch);
	s->epoch = 0;
	s->part_end = to;
	err = http_shared(s->h, what, &sh, stream_frame, s);
	if (err)
		return err;
	/* what the long answer must continue */
	s->from = to + 1;
	s->args[0] = '\0';
	if (s->epoch)
		lineage_text(to, s->epoch, s->args, sizeof(s->args));
	return 0;
}

/*
 * The parts of the log that lie whole between here and the server's end of it.
 * Their URLs name an epoch of the end, which stands for all of the history; but
 * that ours is a part of that one must be asked first, and of nobody but him.
 */
static int stream_parts(struct stream *s)
{
	struct im_wire_info srv;
	u64 to;
	int err;

	if (s->parts < s->from || s->parts - s->from < IM_WIRE_PART)
		return 0;
	err = http_now(s->h, s->c->inc, s->args, &srv);
	while (!err && srv.epoch) {
		to = (s->from / IM_WIRE_PART + 1) * IM_WIRE_PART - 1;
		if (to > le64_to_cpu(srv.durable))
			break;
		err = stream_part(s, to, le64_to_cpu(srv.epoch));
		/* it has left the log, or so: the long answer will tell */
		if (err == -ESTALE)
			return 0;
	}
	return err;
}

static void *stream_main(void *arg)
{
	struct stream *s = arg;
	char what[128 + LINEAGE_ARGS];
	int err = stream_parts(s);

	if (err)
		goto out;
	snprintf(what, sizeof(what),
		 "kml?inc=%" PRIu64 "&from=%" PRIu64 "%s&riders=%u", s->c->inc,
		 s->from, s->args, s->along);
	err = http_frames(s->h, what, NULL, 0, stream_frame, s);
out:
	pthread_mutex_lock(&s->lock);
	s->err = err ? err : -ENOLINK;
	s->ended = true;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int stream_start(struct stream **out, struct client *c, u64 from,
		 const char *args)
{
	struct stream *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (!s)
		return -ENOMEM;
	s->c = c;
	s->from = from;
	if (!c->no_parts)
		s->parts = le64_to_cpu(c->srv.durable);
	c->no_parts = false;
	snprintf(s->args, sizeof(s->args), "%s", args);
	s->along = stream_riders(c);
	s->riders = riders_new();
	if (!s->riders)
		goto err_free;
	s->h = http_new(&c->remote, c->f, &s->quit);
	if (!s->h)
		goto err_riders;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->cond, NULL);
	err = -pthread_create(&s->thread, NULL, stream_main, s);
	if (err)
		goto err_http;
	*out = s;
	return 0;

err_http:
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
	http_free(s->h);
err_riders:
	riders_free(s->riders);
err_free:
	free(s);
	return err;
}

void stream_stop(struct stream *s, u64 next)
{
	s->c->no_parts = s->part_end >= next;
	pthread_mutex_lock(&s->lock);
	atomic_store(&s->quit, true);
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
	http_free(s->h);
	im_buf_free(&s->q);
	im_buf_free(&s->epochs);
	riders_free(s->riders);
	free(s);
}

/* How many whole records fit; the rest stays in the queue. */
static size_t stream_cut(const struct im_buf *q)
{
	size_t at = 0;

	while (q->len - at >= IM_REC_HDR) {
		const struct im_rec *r = (const void *)(q->p + at);
		size_t len = le32_to_cpu(r->len);

		if (len < IM_REC_HDR || len % 8 || len > q->len - at ||
		    (at && at + len > STREAM_TAKE))
			break;
		at += len;
	}
	return at;
}

int stream_take(struct stream *s, u8 **p, size_t *len, unsigned int ms)
{
	struct timespec until;
	size_t n;
	int err = 0;

	*p = NULL;
	*len = 0;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;

	pthread_mutex_lock(&s->lock);
	while (!s->q.len && !s->ended && !err)
		err = pthread_cond_timedwait(&s->cond, &s->lock, &until);
	err = 0;
	if (s->q.len) {
		/* A frame holds whole records; if not, it is no record. */
		n = stream_cut(&s->q);
		*p = n ? malloc(n) : NULL;
		if (!n) {
			err = -EPROTO;
		} else if (!*p) {
			err = -ENOMEM;
		} else {
			memcpy(*p, s->q.p, n);
			memmove(s->q.p, s->q.p + n, s->q.len - n);
			s->q.len -= n;
			*len = n;
			pthread_cond_broadcast(&s->cond);
		}
	} else if (s->ended) {
		err = s->err;
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

struct fetch_load *stream_rider(struct stream *s, const struct fold_item *it)
{
	return riders_take(s->riders, it->recno, &it->rec->fid, &it->ranges);
}

/* Only once stream_take() has failed: then the thread has ended. */
const char *stream_error(struct stream *s)
{
	return http_error(s->h);
}
