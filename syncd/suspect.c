// SPDX-License-Identifier: GPL-2.0
/*
 * Is what differs a difference, or a change that is on its way?
 *
 * A look at a name: note A, up to which all records and their data are applied
 * here; look at it here; let the server look at it, who logs first what open
 * files have that no record says yet, then names E, his newest record, when
 * that is durable; note B, up to which records may have left something here.
 * If no record after A and up to both E and B speaks of the name or of the
 * object, then what was seen here and there are both the state after A, and
 * they must be equal. So what differs then is a difference; what such a record
 * speaks of is looked at again, later. The records are read from the server's
 * log, where they all are: E is durable, and B came from there.
 */
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define SUSPECT_ROUNDS	8
#define SUSPECT_PAUSE	100	/* ms, grows ... */
#define SUSPECT_PAUSES	2000	/* ... up to this */

/* One side of a look. */
struct side {
	struct im_buf obj;		/* empty: there is no such name */
	struct im_wire_content content;
	bool read;			/* content is set */
};

struct look {
	struct verify *v;
	struct side here[SUSPECTS], there[SUSPECTS];
	bool nodir[SUSPECTS];		/* here */
	unsigned int at;		/* of the server's answer */
	bool listing, ended;
	u64 end;
	/* the log */
	u64 next, until;
};

struct place {
	u64 low, ahead, turns;
	bool follows;
};

int suspect_add(struct verify *v, const struct im_fid *dir,
		const struct im_fid *local, const char *name, u32 what)
{
	struct suspect *s;
	int err = v->n == SUSPECTS ? suspect_settle(v) : 0;

	if (err)
		return err;
	s = &v->v[v->n++];
	memset(s, 0, sizeof(*s));
	s->dir = *dir;
	s->local = *local;
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->what = what;
	return 0;
}

static void suspect_place(struct verify *v, struct place *p)
{
	struct fset_stat *s = &v->f->stat;

	pthread_mutex_lock(&s->lock);
	p->low = s->applied < s->low - 1 ? s->applied : s->low - 1;
	p->ahead = s->ahead;
	p->turns = s->turns;
	p->follows = !strcmp(s->phase, "following") &&
		     s->inc == le64_to_cpu(v->srv.incarnation);
	pthread_mutex_unlock(&s->lock);
}

/* Until the client follows: in a snapshot nothing here means anything. */
static int suspect_ready(struct verify *v, struct place *p)
{
	for (;;) {
		if (atomic_load(&v->stop))
			return -ECANCELED;
		suspect_place(v, p);
		if (p->follows && p->ahead != CLIENT_WINDOW_ALL)
			return 0;
		usleep(100000);
	}
}

/* Here */

static int look_here(struct look *l, unsigned int i)
{
	struct verify *v = l->v;
	struct suspect *s = &v->v[i];
	struct digest_scan d = {
		.f = v->f, .name = s->name, .identify = verify_identify,
		.arg = v, .fd = -1,
		.root = im_fid_eq(&s->dir, &v->srv.root),
		.ask = { .flags = s->what & VERIFY_DATA ? IM_ASK_DATA : 0 },
	};
	int fd = verify_open(v, &s->local, &s->dir), r;

	memset(s->fid, 0, sizeof(s->fid));
	l->nodir[i] = fd == -ENOENT;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (fid_of(fd, s->name, &s->self))
		memset(&s->self, 0, sizeof(s->self));
	r = digest_begin(&d, fd);
	while (!r && (r = digest_step(&d)) > 0) {
		r = verify_pay(v, d.read) ? -ECANCELED :
		    r == DIGEST_ENTRY ? r : 0;
		d.read = 0;
		if (r != DIGEST_ENTRY)
			continue;
		l->here[i].obj = d.obj;
		memset(&d.obj, 0, sizeof(d.obj));
		l->here[i].content = d.content;
		l->here[i].read = S_ISREG(d.st.st_mode) && d.ask.flags;
		s->fid[0] = d.fid;
		r = 0;
		break;
	}
	digest_end(&d);
	return r < 0 ? r : 0;
}

/* There */

static int look_entry(struct look *l, const u8 *p, size_t len)
{
	struct suspect *s = &l->v->v[l->at];
	struct im_obj obj;

	if (!l->listing || l->there[l->at].obj.len ||
	    im_obj_get(p, len, true, &obj) != (ssize_t)len ||
	    strlen(s->name) != obj.name_len ||
	    memcmp(s->name, obj.name, obj.name_len))
		return -EPROTO;
	s->fid[1] = obj.o->fid;
	im_buf_put(&l->there[l->at].obj, p, len);
	return l->there[l->at].obj.err;
}

static int look_frame(void *arg, unsigned int type, const u8 *p, size_t len)
{
	struct look *l = arg;
	__le64 end;

	if (type == IM_FR_ALIVE)
		return atomic_load(&l->v->stop) ? -ECANCELED : 0;
	if (l->ended)
		return -EPROTO;
	if (type == IM_FR_END && len == sizeof(end) && l->at == l->v->n &&
	    !l->listing) {
		memcpy(&end, p, sizeof(end));
		l->end = le64_to_cpu(end);
		l->ended = true;
		return 0;
	}
	if (type == IM_FR_BEGIN && !l->at && !l->listing)
		return 0;
	if (l->at >= l->v->n)
		return -EPROTO;
	switch (type) {
	case IM_FR_GONE:
		l->at++;
		return l->listing ? -EPROTO : 0;
	case IM_FR_DIR:
		if (l->listing)
			return -EPROTO;
		l->listing = true;
		return 0;
	case IM_FR_ENTRY:
		return look_entry(l, p, len);
	case IM_FR_CONTENT:
		if (!l->listing || len != sizeof(l->there[0].content))
			return -EPROTO;
		memcpy(&l->there[l->at].content, p, len);
		l->there[l->at].read = true;
		return 0;
	case IM_FR_DIREND:
		if (!l->listing)
			return -EPROTO;
		l->listing = false;
		l->at++;
		return 0;
	}
	return -EPROTO;
}

static int look_there(struct look *l)
{
	struct verify *v = l->v;
	struct im_buf body = { 0 };
	struct im_wire_ask ask;
	char what[128];
	unsigned int i;
	int err;

	for (i = 0; i < v->n; i++) {
		memset(&ask, 0, sizeof(ask));
		ask.dir = v->v[i].dir;
		ask.flags = IM_ASK_LIST | IM_ASK_SETTLE |
			    (v->v[i].what & VERIFY_DATA ? IM_ASK_DATA : 0);
		ask.name_len = cpu_to_le16(strlen(v->v[i].name));
		im_ask_put(&body, &ask, v->v[i].name);
	}
	verify_query(v, what, sizeof(what));
	err = body.err;
	if (!err)
		err = http_frames(v->h, what, body.p, body.len, look_frame, l);
	if (!err && !l->ended)
		err = -ENOLINK;
	if (err && err != -ECANCELED)
		verify_fail(v, "cannot ask the server: %s", http_error(v->h));
	im_buf_free(&body);
	return err;
}

/* The log between */

static bool look_names(const struct suspect *s, const struct im_rec *r,
		       const struct im_body *b)
{
	size_t len = strlen(s->name);

	return (im_fid_eq(&r->dir, &s->dir) || im_fid_eq(&r->dir2, &s->dir)) &&
	       ((b->name_len == len && !memcmp(b->name, s->name, len)) ||
		(b->name2_len == len && !memcmp(b->name2, s->name, len)));
}

static bool look_is(const struct suspect *s, const struct im_fid *fid)
{
	return !im_fid_none(fid) && (im_fid_eq(fid, &s->fid[0]) ||
				     im_fid_eq(fid, &s->fid[1]));
}

static void look_record(struct look *l, const struct im_rec *r,
			const struct im_body *b)
{
	unsigned int i;

	for (i = 0; i < l->v->n; i++) {
		struct suspect *s = &l->v->v[i];

		s->touched |= look_is(s, &r->fid) || look_is(s, &r->old) ||
			      look_is(s, &r->dir) || look_is(s, &r->dir2) ||
			      look_names(s, r, b);
	}
}

/* -EINTR: that was the last that matters. */
static int look_log_frame(void *arg, unsigned int type, const u8 *p, size_t len)
{
	struct look *l = arg;
	struct im_body body;
	size_t at, need;
	int err;

	if (atomic_load(&l->v->stop))
		return -ECANCELED;
	if (type != IM_FR_RECORDS)
		return type == IM_FR_ALIVE || type == IM_FR_EPOCH ? 0 : -EPROTO;
	for (at = 0; at < len && l->next <= l->until; l->next++) {
		const struct im_rec *r = (const void *)(p + at);

		err = im_rec_check(r, len - at, &need, &body);
		if (err || le64_to_cpu(r->recno) != l->next)
			return -EPROTO;
		look_record(l, r, &body);
		at += le32_to_cpu(r->len);
	}
	return l->next > l->until ? -EINTR : 0;
}

static void look_all_touched(struct verify *v)
{
	unsigned int i;

	for (i = 0; i < v->n; i++)
		v->v[i].touched = true;
}

static int look_log(struct look *l, const struct place *a,
		    const struct place *b)
{
	struct verify *v = l->v;
	char what[96];
	unsigned int i;
	int err;

	for (i = 0; i < v->n; i++)
		v->v[i].touched = false;
	if (!b->follows || b->turns != a->turns ||
	    b->ahead == CLIENT_WINDOW_ALL) {
		look_all_touched(v);
		return 0;
	}
	l->next = a->low + 1;
	l->until = l->end > b->ahead ? l->end : b->ahead;
	if (l->next > l->until)
		return 0;
	snprintf(what, sizeof(what), "kml?inc=%" PRIu64 "&from=%" PRIu64,
		 le64_to_cpu(v->srv.incarnation), l->next);
	err = http_frames(v->h, what, NULL, 0, look_log_frame, l);
	if (err == -EINTR)
		return 0;
	if (err == -ESTALE || err == -EREMOTEIO) {
		look_all_touched(v);	/* it has left the log */
		return 0;
	}
	if (err != -ECANCELED)
		verify_fail(v, "cannot read the server's log: %s",
			    http_error(v->h));
	return err ? err : -ENOLINK;
}

/* Judgement */

static u32 look_judge(struct look *l, unsigned int i)
{
	struct side *a = &l->here[i], *b = &l->there[i];
	struct suspect *s = &l->v->v[i];
	struct im_obj here, there;
	u32 what;

	if (!a->obj.len || !b->obj.len)
		return a->obj.len ? VERIFY_EXTRA :
		       b->obj.len ? VERIFY_MISSING : 0;
	im_obj_get(a->obj.p, a->obj.len, true, &here);
	im_obj_get(b->obj.p, b->obj.len, true, &there);
	what = verify_differ(&here, &s->fid[0], &there);
	if (what & VERIFY_TYPE)
		return what;
	if (a->read && b->read && (a->content.size != b->content.size ||
	    memcmp(a->content.xxh3, b->content.xxh3, sizeof(a->content.xxh3))))
		what |= VERIFY_DATA;
	return what;
}

struct links {
	struct verify *v;
	u32 *what;
};

/*
 * In the client's thread: is the object here the one that its FID stands for?
 * A count of links alone may differ for names that lie outside of the server's
 * fileset.
 */
static int suspect_links(struct client *c, void *arg)
{
	struct links *k = arg;
	struct im_fid local;
	unsigned int i;

	for (i = 0; i < k->v->n; i++) {
		struct suspect *s = &k->v->v[i];

		if (k->what[i] & VERIFY_LINK &&
		    im_fid_eq(&s->fid[0], &s->fid[1]) &&
		    !tree_find(&c->tree, &s->fid[0], &local) &&
		    im_fid_eq(&local, &s->self))
			k->what[i] &= ~(u32)VERIFY_LINK;
	}
	return 0;
}

static int suspect_check_links(struct verify *v, u32 *what)
{
	struct links k = { v, what };
	unsigned int i;

	for (i = 0; i < v->n; i++) {
		if (what[i] & VERIFY_LINK && !v->v[i].touched &&
		    im_fid_eq(&v->v[i].fid[0], &v->v[i].fid[1]))
			return client_run(v->f, suspect_links, &k, &v->stop);
	}
	return 0;
}

/* One look at all; what[i] is what differs. */
static int suspect_look(struct verify *v, u32 *what)
{
	struct look *l = calloc(1, sizeof(*l));
	struct place a, b;
	unsigned int i;
	int err;

	if (!l)
		return -ENOMEM;
	l->v = v;
	err = suspect_ready(v, &a);
	for (i = 0; !err && i < v->n; i++)
		err = look_here(l, i);
	if (!err)
		err = look_there(l);
	suspect_place(v, &b);
	if (!err)
		err = look_log(l, &a, &b);
	for (i = 0; !err && i < v->n; i++) {
		what[i] = look_judge(l, i);
		/* the directory's own absence is its parent's matter */
		if (l->nodir[i])
			v->v[i].touched = what[i];
	}
	if (!err)
		err = suspect_check_links(v, what);
	for (i = 0; i < v->n; i++) {
		im_buf_free(&l->here[i].obj);
		im_buf_free(&l->there[i].obj);
	}
	free(l);
	return err;
}

static int suspect_pause(struct verify *v, unsigned int ms)
{
	for (; ms; ms -= ms < 100 ? ms : 100) {
		if (atomic_load(&v->stop))
			return -ECANCELED;
		usleep((ms < 100 ? ms : 100) * 1000);
	}
	return 0;
}

/* Moves what differs for sure to `sure`, and what never holds still. */
static int suspect_sort(struct verify *v, struct suspect *sure,
			unsigned int *n)
{
	unsigned int ms = SUSPECT_PAUSE, round, i, left;
	u32 what[SUSPECTS] = { 0 };
	int err = 0;

	*n = 0;
	for (round = 0; !err && v->n && round < SUSPECT_ROUNDS; round++) {
		if (round) {
			err = suspect_pause(v, ms);
			ms = ms * 2 > SUSPECT_PAUSES ? SUSPECT_PAUSES : ms * 2;
		}
		if (!err)
			err = suspect_look(v, what);
		if (err)
			break;
		for (i = left = 0; i < v->n; i++) {
			struct suspect *s = &v->v[i];

			if (what[i] && !s->touched) {
				s->what = what[i];
				sure[(*n)++] = *s;
			} else if (what[i]) {
				v->v[left++] = *s;
			}
		}
		v->n = left;
	}
	for (i = 0; !err && i < v->n; i++) {
		v->v[i].busy = true;
		sure[(*n)++] = v->v[i];
	}
	v->n = 0;
	return err;
}

struct mend {
	struct graft_pick *v;
	unsigned int n;
};

static int suspect_graft(struct client *c, void *arg)
{
	struct mend *m = arg;

	return graft_picked(c, m->v, m->n);
}

/* Mends them, and looks again: *left of them differ still, now in v->v. */
static int suspect_mend(struct verify *v, const struct suspect *sure,
			unsigned int n, struct suspect *still,
			unsigned int *left)
{
	struct mend m = { .v = calloc(n, sizeof(*m.v)) };
	unsigned int i;
	int err;

	*left = 0;
	if (!m.v)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (sure[i].busy)
			continue;
		m.v[m.n].dir = sure[i].dir;
		strcpy(m.v[m.n].name, sure[i].name);
		m.v[m.n++].data = sure[i].what & VERIFY_DATA;
		v->v[v->n++] = sure[i];
	}
	err = m.n ? client_run(v->f, suspect_graft, &m, &v->stop) : 0;
	if (err && err != -ECANCELED)
		verify_fail(v, "cannot mend what differs: %s", strerror(-err));
	free(m.v);
	if (err)
		v->n = 0;
	return err ? err : suspect_sort(v, still, left);
}

static bool suspect_in(const struct suspect *s, const struct suspect *v,
		       unsigned int n)
{
	while (n--) {
		if (im_fid_eq(&v[n].dir, &s->dir) && !strcmp(v[n].name, s->name))
			return true;
	}
	return false;
}

int suspect_settle(struct verify *v)
{
	struct suspect *sure = calloc(2 * SUSPECTS, sizeof(*sure));
	struct suspect *still = sure + SUSPECTS;
	unsigned int n = 0, left = 0, i;
	int err;

	if (!sure)
		return -ENOMEM;
	err = suspect_sort(v, sure, &n);
	if (!err && v->repair)
		err = suspect_mend(v, sure, n, still, &left);
	for (i = 0; !err && i < n; i++)
		err = verify_report(v, &sure[i], v->repair && !sure[i].busy &&
				    !suspect_in(&sure[i], still, left));
	free(sure);
	return err;
}
