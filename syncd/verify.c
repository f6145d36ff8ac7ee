// SPDX-License-Identifier: GPL-2.0
#include "verify.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fetch.h"
#include "shape.h"

#define VERIFY_DEPTH	512	/* directories on one path */
#define VERIFY_BATCH	64	/* directories in one request */
#define VERIFY_BYTES	(32U << 20)	/* of files read here for one request */
#define VERIFY_LIST	512	/* entries that are listed at once */
#define VERIFY_LIST_MAX	8192	/* that a server may send us then */

/* What is shared with suspect.c */

int verify_pay(struct verify *v, u64 bytes)
{
	struct bucket *pace = &v->pace;

	if (bytes) {
		pthread_mutex_lock(&v->lock);
		v->bytes += bytes;
		pthread_mutex_unlock(&v->lock);
	}
	return bucket_wait(&pace, 1, bytes, &v->stop) ? -ECANCELED : 0;
}

int verify_identify(void *arg, int fd, struct im_fid *fid)
{
	struct verify *v = arg;
	struct im_origin o;
	int err = tree_origin(fd, &o);

	if (err)
		return err == -ENOTSUP ? -ENODATA : err;
	if (o.origin != v->srv.id)
		return -ENODATA;
	*fid = o.fid;
	/* what a snapshot put aside is not part of the tree */
	return im_fid_eq(fid, &TREE_LIMBO) ? -ENOENT : 0;
}

int verify_open(struct verify *v, const struct im_fid *local,
		const struct im_fid *fid)
{
	struct im_fid is;
	int fd, err;

	fd = fid_open_known(v->f, local, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd == -ESTALE || fd == -ENOTDIR ? -ENOENT : fd;
	err = verify_identify(v, fd, &is);
	if (!err && im_fid_eq(&is, fid))
		return fd;
	close(fd);
	return err && err != -ENODATA ? err : -ENOENT;
}

void verify_query(struct verify *v, char *buf, size_t size)
{
	snprintf(buf, size, "digest?inc=%" PRIu64 "&rate=%" PRIu64,
		 le64_to_cpu(v->srv.incarnation), v->rate);
}

u32 verify_differ(const struct im_obj *here, const struct im_fid *fid,
		  const struct im_obj *there)
{
	const struct im_wire_obj *a = here->o, *b = there->o;
	u32 mode = le32_to_cpu(a->mode), what = 0;
	XXH128_hash_t x, y;

	if ((mode & S_IFMT) != (le32_to_cpu(b->mode) & S_IFMT) ||
	    a->rdev != b->rdev)
		return VERIFY_TYPE;
	if (!im_fid_eq(fid, &b->fid) ||
	    (!S_ISDIR(mode) && a->nlink != b->nlink))
		what |= VERIFY_LINK;
	if (a->mode != b->mode)
		what |= VERIFY_MODE;
	if (a->uid != b->uid || a->gid != b->gid)
		what |= VERIFY_OWNER;
	if (a->mtime != b->mtime || a->mtime_ns != b->mtime_ns)
		what |= VERIFY_MTIME;
	if (a->size != b->size || here->target_len != there->target_len ||
	    memcmp(here->target, there->target, here->target_len))
		what |= VERIFY_DATA;
	x = digest_xattrs(here);
	y = digest_xattrs(there);
	if (x.low64 != y.low64 || x.high64 != y.high64)
		what |= VERIFY_XATTR;
	return what;
}

/* Nobody asks any more: whoever did was killed. */
bool verify_stopped(struct verify *v)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	pthread_mutex_lock(&v->lock);
	if (t.tv_sec - v->asked > VERIFY_ASK_S)
		atomic_store(&v->stop, true);
	pthread_mutex_unlock(&v->lock);
	return atomic_load(&v->stop);
}

/* Sums of one directory, or of a part of it */

struct part {
	struct im_fid fid, local;	/* the server's, and here */
	struct im_wire_ask ask;		/* what of it, and how */
};

static void part_scan(struct verify *v, const struct part *p,
		      struct digest_scan *d)
{
	memset(d, 0, sizeof(*d));
	d->f = v->f;
	d->fd = -1;
	d->root = im_fid_eq(&p->fid, &v->srv.root);
	d->ask = p->ask;
	d->identify = verify_identify;
	d->arg = v;
}

/* fn (or NULL) for each entry; -ENOENT: the directory is not there. */
static int part_here(struct verify *v, const struct part *p,
		     struct im_wire_sum *sums,
		     int (*fn)(void *arg, struct digest_scan *d), void *arg)
{
	struct digest_scan d;
	int fd = verify_open(v, &p->local, &p->fid), r;
	unsigned int n = 0;

	if (fd < 0)
		return fd;
	part_scan(v, p, &d);
	d.sums = sums;
	if (sums)
		memset(sums, 0, sizeof(*sums) << p->ask.split);
	r = digest_begin(&d, fd);
	while (!r && (r = digest_step(&d)) != DIGEST_END) {
		if (r < 0)
			break;
		if (r == DIGEST_ENTRY && fn)
			r = fn(arg, &d);
		else
			r = 0;
		if (!r && (d.read || !(++n % 256)) &&
		    (verify_pay(v, d.read) || verify_stopped(v)))
			r = -ECANCELED;
		d.read = 0;
	}
	if (r < 0 && r != -ECANCELED)
		verify_fail(v, "cannot read '%.100s' here: %s", d.entry,
			    strerror(-r));
	digest_end(&d);
	return r < 0 ? r : 0;
}

/* What the server answers to some parts. */
struct there {
	struct verify *v;
	const struct part *p;
	unsigned int n, at;
	bool begun, ended, listing;
	/* sums */
	struct im_wire_sum *sums;	/* of p[at] at at * size */
	unsigned int size;
	bool *gone;
	/* a list */
	struct listed *list;
	unsigned int count, content;
};

/* One entry there; obj is malloced. */
struct listed {
	u8 *obj;
	struct im_obj o;
	struct im_wire_content content;
	bool read, met;
};

static int there_entries(struct there *t, const u8 *p, size_t len)
{
	struct im_obj obj;
	struct listed *l;
	ssize_t n;

	for (; len; p += n, len -= n) {
		n = im_obj_get(p, len, true, &obj);
		if (n <= 0)
			return -EPROTO;
		if (t->count == VERIFY_LIST_MAX)
			return -E2BIG;
		l = &t->list[t->count];
		memset(l, 0, sizeof(*l));
		l->obj = malloc(n);
		if (!l->obj)
			return -ENOMEM;
		memcpy(l->obj, p, n);
		t->count++;
		if (im_obj_get(l->obj, n, true, &l->o) < 0)
			return -EPROTO;
	}
	return 0;
}

/* In the order of the entries, regular files only. */
static int there_contents(struct there *t, const u8 *p, size_t len)
{
	struct im_wire_content c;

	if (len % sizeof(c))
		return -EPROTO;
	for (; len; p += sizeof(c), len -= sizeof(c)) {
		while (t->content < t->count &&
		       !S_ISREG(le32_to_cpu(t->list[t->content].o.o->mode)))
			t->content++;
		if (t->content == t->count)
			return -EPROTO;
		memcpy(&c, p, sizeof(c));
		t->list[t->content].content = c;
		t->list[t->content++].read = true;
	}
	return 0;
}

static int there_frame(void *arg, unsigned int type, const u8 *p, size_t len)
{
	struct there *t = arg;
	bool list = t->list;

	if (verify_stopped(t->v))
		return -ECANCELED;
	if (type == IM_FR_ALIVE)
		return 0;
	if (t->ended)
		return -EPROTO;
	if (type == IM_FR_BEGIN && !t->begun) {
		t->begun = true;
		return 0;
	}
	if (type == IM_FR_END && t->at == t->n && !t->listing) {
		t->ended = true;
		return 0;
	}
	if (!t->begun || t->at == t->n)
		return -EPROTO;
	switch (type) {
	case IM_FR_GONE:
		if (t->listing)
			return -EPROTO;
		t->gone[t->at++] = true;
		return 0;
	case IM_FR_DIGEST:
		if (list || len != t->size * sizeof(*t->sums))
			return -EPROTO;
		memcpy(t->sums + (size_t)t->at++ * t->size, p, len);
		return 0;
	case IM_FR_DIR:
		if (!list || t->listing)
			return -EPROTO;
		t->listing = true;
		return 0;
	case IM_FR_ENTRY:
		return t->listing ? there_entries(t, p, len) : -EPROTO;
	case IM_FR_CONTENT:
		return t->listing ? there_contents(t, p, len) : -EPROTO;
	case IM_FR_DIREND:
		if (!t->listing)
			return -EPROTO;
		t->listing = false;
		t->at++;
		return 0;
	}
	return -EPROTO;
}

static int there_ask(struct there *t)
{
	struct verify *v = t->v;
	struct im_buf body = { 0 };
	char what[128];
	unsigned int i;
	int err;

	for (i = 0; i < t->n; i++) {
		struct im_wire_ask ask = t->p[i].ask;

		ask.dir = t->p[i].fid;
		im_ask_put(&body, &ask, "");
	}
	verify_query(v, what, sizeof(what));
	err = body.err;
	if (!err)
		err = http_frames(v->h, what, body.p, body.len, there_frame, t);
	if (!err && !t->ended)
		err = -ENOLINK;
	if (err && err != -ECANCELED && err != -E2BIG)
		verify_fail(v, "cannot ask the server: %s", http_error(v->h));
	im_buf_free(&body);
	return err;
}

/* Where sums differ */

struct compare {
	struct verify *v;
	const struct part *p;
	struct there *t;
};

/* Many names come in another order: a search each is fast enough for so few. */
static int compare_entry(void *arg, struct digest_scan *d)
{
	struct compare *c = arg;
	size_t len = strlen(d->entry);
	struct listed *l = NULL;
	struct im_obj here;
	unsigned int i;
	u32 what;

	if (im_obj_get(d->obj.p, d->obj.len, true, &here) < 0)
		return -EPROTO;
	for (i = 0; i < c->t->count; i++) {
		l = &c->t->list[i];
		if (!l->met && l->o.name_len == len &&
		    !memcmp(l->o.name, d->entry, len))
			break;
	}
	if (i == c->t->count)
		return suspect_add(c->v, &c->p->fid, &c->p->local, d->entry,
				   VERIFY_EXTRA);
	l->met = true;
	what = verify_differ(&here, &d->fid, &l->o);
	if (l->read && S_ISREG(d->st.st_mode) &&
	    (l->content.size != d->content.size ||
	     memcmp(l->content.xxh3, d->content.xxh3, sizeof(l->content.xxh3))))
		what |= VERIFY_DATA;
	return what ? suspect_add(c->v, &c->p->fid, &c->p->local, d->entry,
				  what) : 0;
}

static int compare_list(struct verify *v, struct part *p, bool data)
{
	bool gone = false;
	struct there t = { .v = v, .p = p, .n = 1, .gone = &gone };
	struct compare c = { v, p, &t };
	char name[IM_NAME_LEN + 1];
	unsigned int i;
	int err = 0;

	p->ask.split = 0;
	p->ask.flags = IM_ASK_LIST | (data ? IM_ASK_DATA : 0);
	t.list = calloc(VERIFY_LIST_MAX, sizeof(*t.list));
	if (!t.list)
		return -ENOMEM;
	err = there_ask(&t);
	if (!err && !gone)
		err = part_here(v, p, NULL, compare_entry, &c);
	for (i = 0; !err && i < t.count; i++) {
		const struct im_obj *o = &t.list[i].o;

		if (t.list[i].met)
			continue;
		memcpy(name, o->name, o->name_len);
		name[o->name_len] = '\0';
		err = suspect_add(v, &p->fid, &p->local, name, VERIFY_MISSING);
	}
	for (i = 0; i < t.count; i++)
		free(t.list[i].obj);
	free(t.list);
	return err == -ENOENT ? 0 : err;
}

static bool sums_differ(const struct im_wire_sum *a,
			const struct im_wire_sum *b, bool *data)
{
	*data = memcmp(a->data, b->data, sizeof(a->data));
	return *data || a->count != b->count ||
	       memcmp(a->meta, b->meta, sizeof(a->meta));
}

static int compare_part(struct verify *v, struct part *p, u64 count, bool data);

/* The part is too large to be listed: in 256 parts of its own. */
static int compare_split(struct verify *v, struct part *p, bool data)
{
	const unsigned int size = 1U << IM_ASK_SPLIT;
	struct im_wire_sum *here = calloc(2 * size, sizeof(*here));
	bool gone = false, d;
	struct there t = { .v = v, .p = p, .n = 1, .sums = here + size,
			   .size = size, .gone = &gone };
	struct part q = *p;
	unsigned int i;
	u64 count;
	int err;

	if (!here)
		return -ENOMEM;
	p->ask.split = IM_ASK_SPLIT;
	p->ask.flags = data ? IM_ASK_DATA : 0;
	err = part_here(v, p, here, NULL, NULL);
	if (!err)
		err = there_ask(&t);
	for (i = 0; !err && !gone && i < size; i++) {
		if (!sums_differ(&here[i], &t.sums[i], &d))
			continue;
		q.ask.bits = p->ask.bits + IM_ASK_SPLIT;
		q.ask.prefix = cpu_to_le32(le32_to_cpu(p->ask.prefix) <<
					   IM_ASK_SPLIT | i);
		count = le64_to_cpu(here[i].count);
		if (count < le64_to_cpu(t.sums[i].count))
			count = le64_to_cpu(t.sums[i].count);
		err = compare_part(v, &q, count, d);
	}
	free(here);
	return err == -ENOENT ? 0 : err;
}

static int compare_part(struct verify *v, struct part *p, u64 count, bool data)
{
	int err = -E2BIG;

	if (count <= VERIFY_LIST || p->ask.bits == IM_ASK_BITS)
		err = compare_list(v, p, data);
	if (err == -E2BIG && p->ask.bits < IM_ASK_BITS)
		err = compare_split(v, p, data);
	return err;
}

/* The walk */

struct walked {
	struct part p[VERIFY_BATCH];
	struct im_wire_sum here[VERIFY_BATCH], there[VERIFY_BATCH];
	bool gone[VERIFY_BATCH];
	unsigned int n;
	u64 bytes;			/* v->bytes when it began */
};

static int walked_flush(struct verify *v, struct walked *w)
{
	struct there t = { .v = v, .p = w->p, .n = w->n, .sums = w->there,
			   .size = 1, .gone = w->gone };
	unsigned int i;
	u64 count;
	bool data;
	int err;

	if (!w->n)
		return 0;
	memset(w->gone, 0, sizeof(w->gone));
	err = there_ask(&t);
	for (i = 0; !err && i < w->n; i++) {
		/* gone there: its name in its parent says so */
		if (w->gone[i] ||
		    !sums_differ(&w->here[i], &w->there[i], &data))
			continue;
		count = le64_to_cpu(w->here[i].count);
		if (count < le64_to_cpu(w->there[i].count))
			count = le64_to_cpu(w->there[i].count);
		err = compare_part(v, &w->p[i], count, data);
	}
	w->n = 0;
	w->bytes = v->bytes;
	return err;
}

static int walked_add(struct verify *v, struct walked *w,
		      const struct im_fid *fid, const struct im_fid *local)
{
	struct part *p = &w->p[w->n];
	int err;

	memset(p, 0, sizeof(*p));
	p->fid = *fid;
	p->local = *local;
	p->ask.flags = IM_ASK_DATA;
	err = part_here(v, p, &w->here[w->n], NULL, NULL);
	if (err)
		return err == -ENOENT ? 0 : err;
	pthread_mutex_lock(&v->lock);
	v->dirs++;
	v->objects += le64_to_cpu(w->here[w->n].count);
	pthread_mutex_unlock(&v->lock);
	w->n++;
	if (w->n == VERIFY_BATCH || v->bytes - w->bytes > VERIFY_BYTES)
		return walked_flush(v, w);
	return 0;
}

/* The next directory in dir that is the server's; its descriptor, or 0. */
static int walk_next(struct verify *v, DIR *dir, bool root,
		     struct im_fid *fid, struct im_fid *local)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_XDEV,
	};
	const struct dirent *e;
	int fd;

	while ((e = readdir(dir))) {
		if ((e->d_type != DT_DIR && e->d_type != DT_UNKNOWN) ||
		    !im_name_ok(e->d_name, strlen(e->d_name)) ||
		    (root && !strcmp(e->d_name, IM_STATE_DIR)))
			continue;
		fd = (int)syscall(SYS_openat2, dirfd(dir), e->d_name, &how,
				  sizeof(how));
		if (fd < 0)
			continue;
		if (!verify_identify(v, fd, fid) && !fid_of(fd, "", local))
			return fd;
		close(fd);
	}
	return 0;
}

/* Depth first; memory and descriptors grow with the depth alone. Takes fd. */
static int walk_all(struct verify *v, int fd, const struct im_fid *top)
{
	struct walked *w = calloc(1, sizeof(*w));
	DIR **at = calloc(VERIFY_DEPTH, sizeof(DIR *));
	struct im_fid fid = *top, local;
	int depth = 0, err;

	err = w && at ? fid_of(fd, "", &local) : -ENOMEM;
	if (!err)
		err = walked_add(v, w, &fid, &local);
	while (!err) {
		if (fd > 0 && depth == VERIFY_DEPTH) {
			verify_fail(v, "directories are nested deeper than %d; verify the path below that",
				    VERIFY_DEPTH);
			err = -ELOOP;
			break;
		}
		if (fd > 0) {
			at[depth] = fdopendir(fd);
			if (!at[depth]) {
				err = -errno;
				break;
			}
			depth++;
		}
		fd = walk_next(v, at[depth - 1],
			       depth == 1 && im_fid_eq(top, &v->srv.root),
			       &fid, &local);
		if (fd > 0) {
			err = walked_add(v, w, &fid, &local);
			continue;
		}
		closedir(at[--depth]);
		if (!depth)
			break;
	}
	if (err && fd > 0)
		close(fd);
	while (err && depth)
		closedir(at[--depth]);
	if (!err)
		err = walked_flush(v, w);
	free(at);
	free(w);
	return err;
}

/* The name itself, in its directory. *fd: of it, if it is a directory. */
static int walk_top(struct verify *v, int *fd, struct im_fid *fid)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_XDEV,
	};
	char *slash = strrchr(v->path, '/'), *name = v->path;
	struct im_fid up_fid, up_local;
	int up, err;

	*fd = -1;
	if (slash) {
		*slash = '\0';
		name = slash + 1;
	}
	up = (int)syscall(SYS_openat2, v->f->fd, slash ? v->path : ".", &how,
			  sizeof(how));
	err = up < 0 ? -errno : verify_identify(v, up, &up_fid);
	if (!err)
		err = fid_of(up, "", &up_local);
	if (!err && !im_name_ok(name, strlen(name)))
		err = -EINVAL;
	if (!err)
		err = suspect_add(v, &up_fid, &up_local, name,
				  VERIFY_DATA | VERIFY_MODE);
	if (!err) {
		how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
		*fd = (int)syscall(SYS_openat2, up, name, &how, sizeof(how));
		if (*fd >= 0 && verify_identify(v, *fd, fid)) {
			close(*fd);
			*fd = -1;
		}
	} else if (err != -ECANCELED) {
		verify_fail(v, "there is no directory '%.200s' of the server here: %s",
			    slash ? v->path : "/", strerror(-err));
	}
	if (up >= 0)
		close(up);
	return err;
}

/* The root has no name that it could be a suspect by */

struct root {
	struct verify *v;
	struct im_buf here, there;
	bool gone;
};

static int root_there(void *arg, unsigned int i, const struct im_obj *obj)
{
	struct root *r = arg;

	im_buf_reset(&r->there);
	r->gone = !obj;
	if (obj)
		im_buf_put(&r->there, obj->o, le32_to_cpu(obj->o->len));
	return r->there.err;
}

/* What differs; mtime is a matter of each entry that comes or goes. */
static int root_look(struct root *r, u32 *what)
{
	struct verify *v = r->v;
	struct fetch_want w = { .fid = v->srv.root };
	struct im_obj here, there;
	int err;

	im_buf_reset(&r->here);
	err = object_put(&r->here, v->f->fd, &v->srv.root, NULL);
	if (!err)
		err = fetch_stat(v->h, le64_to_cpu(v->srv.incarnation), &w, 1,
				 root_there, r);
	if (!err && r->gone)
		err = -ENOENT;
	if (!err && (im_obj_get(r->here.p, r->here.len, false, &here) < 0 ||
		     im_obj_get(r->there.p, r->there.len, false, &there) < 0))
		err = -EPROTO;
	if (!err)
		*what = verify_differ(&here, &v->srv.root, &there) &
			(VERIFY_MODE | VERIFY_OWNER | VERIFY_XATTR);
	return err;
}

/* All that counts of what the server has. */
static XXH128_hash_t root_key(const struct root *r)
{
	struct im_obj obj;
	XXH128_hash_t h;
	__le32 own[3];

	im_obj_get(r->there.p, r->there.len, false, &obj);
	own[0] = obj.o->mode;
	own[1] = obj.o->uid;
	own[2] = obj.o->gid;
	h = digest_xattrs(&obj);
	h.low64 += XXH3_64bits(own, sizeof(own));
	return h;
}

/* Until all is here that the server has logged by now. */
static int root_pass(struct verify *v)
{
	struct fset_stat *s = &v->f->stat;
	struct im_wire_info now;
	bool here = false;
	int err = http_now(v->h, le64_to_cpu(v->srv.incarnation), "", &now);

	while (!err && !here) {
		pthread_mutex_lock(&s->lock);
		here = !strcmp(s->phase, "following") &&
		       s->low > le64_to_cpu(now.durable);
		pthread_mutex_unlock(&s->lock);
		if (verify_stopped(v))
			err = -ECANCELED;
		else if (!here)
			usleep(100000);
	}
	return err;
}

static int root_mend(struct client *c, void *arg)
{
	struct root *r = arg;
	struct im_obj obj;
	struct shape s;
	int err;

	if (im_obj_get(r->there.p, r->there.len, false, &obj) < 0)
		return -EPROTO;
	shape_from_obj(&s, &obj);
	err = tree_tag_plain(&c->tree, &c->srv.root, -1);
	if (!err)
		err = shape_attrs(c->f->fd, &s);
	return err ? err : shape_xattrs(c->f->fd, &obj);
}

/* What differs also after all that was under way is here, differs. */
static int verify_root(struct verify *v)
{
	struct root r = { .v = v };
	struct suspect s = { .dir = v->srv.root };
	XXH128_hash_t before;
	int err = root_look(&r, &s.what);

	while (!err && s.what) {
		before = root_key(&r);
		err = root_pass(v);
		if (!err)
			err = root_look(&r, &s.what);
		if (err || XXH128_isEqual(before, root_key(&r)))
			break;
	}
	if (!err && s.what && v->repair)
		err = client_run(v->f, root_mend, &r, &v->stop);
	if (!err && s.what)
		err = fid_of(v->f->fd, "", &s.local);
	if (!err && s.what)
		err = verify_report(v, &s, v->repair);
	im_buf_free(&r.here);
	im_buf_free(&r.there);
	return err;
}

static int verify_all(struct verify *v)
{
	struct im_fid fid = v->srv.root;
	int fd = -1, err;

	if (v->path[0]) {
		err = walk_top(v, &fd, &fid);
	} else {
		err = verify_root(v);
		fd = err ? -1 : openat(v->f->fd, ".", O_RDONLY | O_DIRECTORY |
				       O_CLOEXEC);
	}
	if (!err && fd >= 0)
		err = walk_all(v, fd, &fid);
	return err ? err : suspect_settle(v);
}

void *verify_main(void *arg)
{
	struct verify *v = arg;
	int replay = -1, err;

	err = http_info(v->h, &v->srv);
	if (err)
		verify_fail(v, "cannot ask the server: %s", http_error(v->h));
	else
		replay = tree_replay_open(v->f, le64_to_cpu(v->srv.id), 1);
	if (!err && replay < 0)
		err = replay;
	if (!err)
		err = verify_all(v);
	if (err == -ECANCELED)
		verify_fail(v, "it was stopped");
	else if (err)
		verify_fail(v, "%s", strerror(-err));
	if (replay >= 0)
		close(replay);
	pthread_mutex_lock(&v->lock);
	v->done = true;
	pthread_cond_broadcast(&v->moved);
	pthread_mutex_unlock(&v->lock);
	return NULL;
}
