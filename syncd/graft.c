// SPDX-License-Identifier: GPL-2.0
/*
 * A snapshot onto what is here. Each entry is newer than anything the tree
 * knows, so it wins: the object it names is adopted, moved, linked or made;
 * what is in its way goes to the limbo, from where it comes back when it is
 * met at another place. What a finished directory does not list goes the same
 * way. Objects are shaped while the entries stream in, data follows by the
 * pool. Nothing here completes a record: a kill in the middle means another
 * snapshot, which finds nearly everything done.
 *
 * A local object with the entry's name and type is adopted if no other FID is
 * at home in it: then only what differs is transferred. Its other names, if it
 * has any, must be names of the same FID, or they are cut off one by one.
 *
 * Size and mtime tell that data is here for two versions of one FID, and for a
 * stranger, as with an attach to a tree that was copied before. They do not for
 * the body of another FID: files made in one tick of the clock share them.
 */
#include "client.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include <xxhash.h>

#include "delta.h"
#include "fidset.h"
#include "past.h"
#include "shape.h"
#include "walk.h"

struct graft {
	struct client *c;
	struct tree *t;
	struct pool *pool;
	bool begun, gone, ended;
	struct im_fid top;		/* of the stream */
	u64 start, end;
	char args[LINEAGE_ARGS];
	__le64 newest;			/* epoch of all streams, once known */
	bool listing, skip;		/* in a DIR, of which nothing is here */
	struct im_fid dir;
	struct fidset seen;		/* hashes of names in dir, as FIDs */
	struct fidset unlisted;		/* directories without their DIREND */
	struct fidset suspects;		/* local: data in doubt after a crash */
	bool doubt;			/* they are not known: any file */
	struct fidset queued;		/* with several names: in the pool once */
	const struct graft_pick *picks;	/* single names, one listing each ... */
	unsigned int pick_count;
	unsigned int pick_at;		/* ... of which this comes next */
};

/* What one entry becomes. */
struct graft_spot {
	int dirfd;
	char name[IM_NAME_LEN + 1];
	struct im_fid fid;
	const struct im_obj *obj;
	struct shape shape;
	bool fresh;			/* made just now */
	bool ours;			/* had this FID before */
	bool other;			/* had another one of this server */
};

/* The mtime of a file whose data is not here yet: not one that is in use. */
#define GRAFT_NO_DATA		86413
#define GRAFT_NO_DATA_NS	1

static struct im_fid graft_name_key(const char *name, size_t len)
{
	XXH128_hash_t h = XXH3_128bits(name, len);

	return (struct im_fid){ .ino = cpu_to_le64(h.low64 | 1),
				.gen = cpu_to_le32((u32)h.high64) };
}

/* The one that a listing is about, when single names are asked for. */
static const struct graft_pick *graft_pick(const struct graft *g)
{
	return g->pick_at < g->pick_count ? &g->picks[g->pick_at] : NULL;
}

static bool graft_fid_ok(const struct im_fid *fid)
{
	return !im_fid_none(fid) && !im_fid_eq(fid, &TREE_LIMBO);
}

/* Is name, of local identity cur, a fit body for the entry's FID? */
static int graft_adoptable(struct graft *g, struct graft_spot *s,
			   const struct im_fid *cur)
{
	struct im_origin o;
	struct im_fid local;
	struct stat st;
	u32 round;
	int err;

	if (fstatat(s->dirfd, s->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if ((st.st_mode & S_IFMT) != (s->shape.mode & S_IFMT))
		return 0;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;	/* cheap to make, and cannot be changed */
	err = tree_origin_name(s->dirfd, s->name, &o);
	if (err && err != -ENODATA)
		return err;
	if (err || le64_to_cpu(o.origin) != g->c->id ||
	    index_get(g->t->ix, &o.fid, &local, &round) ||
	    !im_fid_eq(&local, cur))
		return 1;
	/* Another FID's body: free if that was not met and has no other name. */
	s->other = true;
	return S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	       round != le32_to_cpu(g->t->st.round);
}

/* The directory that lists is in the way of its own ancestor: out with it. */
static int graft_break_loop(struct graft *g, int dirfd)
{
	char path[TREE_FDPATH], at[4096], *name;
	struct im_fid self, is;
	ssize_t n;
	int up, err;

	n = readlink(tree_fdpath(path, dirfd), at, sizeof(at) - 1);
	if (n < 0)
		return -errno;
	at[n] = '\0';
	name = strrchr(at, '/');
	up = openat(dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (up < 0)
		return -errno;
	err = fid_of(dirfd, "", &self);
	if (!err)
		err = name ? tree_name(up, name + 1, &is) : -ENOENT;
	if (!err && !im_fid_eq(&self, &is))
		err = -ESTALE;
	if (!err)
		err = tree_banish(g->t, up, name + 1);
	close(up);
	return err;
}

/* Moves the directory fd, wherever it is, to the spot. */
static int graft_move_dir(struct graft *g, struct graft_spot *s, int fd)
{
	char path[TREE_FDPATH], at[4096], *name;
	struct im_fid self, is;
	ssize_t n;
	int up, err, try;

	n = readlink(tree_fdpath(path, fd), at, sizeof(at) - 1);
	if (n < 0)
		return -errno;
	at[n] = '\0';
	name = strrchr(at, '/');
	if (!name)
		return -ESTALE;
	name++;
	up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (up < 0)
		return -errno;
	err = fid_of(fd, "", &self);
	if (!err)
		err = tree_name(up, name, &is);
	if (!err && !im_fid_eq(&self, &is))
		err = -ESTALE;
	for (try = 0; !err && try < 2; try++) {
		/* The old parent may be finished: its mtime stays. */
		err = tree_tag_plain(g->t, &s->fid, up);
		if (err)
			break;
		if (!renameat2(up, name, s->dirfd, s->name, RENAME_NOREPLACE))
			break;
		err = -errno;
		if (err == -EINVAL && !try)
			err = graft_break_loop(g, s->dirfd);
	}
	close(up);
	return err;
}

/* The FID is known: its object gets this name too. -ENOENT: it is not. */
static int graft_known(struct graft *g, struct graft_spot *s)
{
	struct stat st;
	int fd = tree_get(g->t, &s->fid, O_PATH), err = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		err = -errno;
	else if ((st.st_mode & S_IFMT) != (s->shape.mode & S_IFMT))
		err = -ENOENT;
	else if (S_ISDIR(st.st_mode))
		err = graft_move_dir(g, s, fd);
	else
		err = tree_tag_plain(g->t, &s->fid, s->dirfd);
	if (!err && !S_ISDIR(st.st_mode) &&
	    linkat(fd, "", s->dirfd, s->name, AT_EMPTY_PATH))
		err = errno == ESTALE ? -ENOENT : -errno;
	close(fd);
	s->ours = !err;
	return err;
}

static int graft_make(struct graft *g, struct graft_spot *s)
{
	int err = tree_tag_plain(g->t, &s->fid, -1);

	/* what it was before may be open here, and gone */
	tree_dir_forget(g->t, &s->fid);
	if (!err)
		err = shape_make(s->dirfd, s->name, &s->shape);
	if (!err)
		err = tree_made(g->t, s->dirfd, s->name, &s->fid);
	s->fresh = true;
	return err;
}

/*
 * A name that was removed past the mount, which does not know yet: an attempt to
 * remove it makes it look.
 */
static int graft_stale(struct graft *g, struct graft_spot *s)
{
	struct stat st;
	int err;

	if (fstatat(s->dirfd, s->name, &st, AT_SYMLINK_NOFOLLOW) ||
	    st.st_nlink)
		return 0;
	err = tree_forget(g->t, &s->fid);
	if (!err)
		err = tree_tag_plain(g->t, NULL, s->dirfd);
	if (!err)
		unlinkat(s->dirfd, s->name,
			 S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
	return err;
}

/* After this, name in dirfd is the object of that FID. */
static int graft_settle(struct graft *g, struct graft_spot *s)
{
	struct im_fid cur, local;
	int err = graft_pick(g) ? graft_stale(g, s) : 0;

	if (err)
		return err;
	err = tree_name(s->dirfd, s->name, &cur);
	if (!err && !tree_find(g->t, &s->fid, &local) &&
	    im_fid_eq(&local, &cur)) {
		struct stat st;

		if (fstatat(s->dirfd, s->name, &st, AT_SYMLINK_NOFOLLOW))
			return -errno;
		s->ours = (st.st_mode & S_IFMT) == (s->shape.mode & S_IFMT);
		if (s->ours)
			return 0;
	} else if (!err) {
		err = graft_adoptable(g, s, &cur);
		if (err < 0)
			return err;
		/* A body elsewhere is better than a stranger's here. */
		if (err && tree_find(g->t, &s->fid, &local))
			return 0;
	}
	if (err != -ENOENT) {
		if (err < 0)
			return err;
		err = tree_banish(g->t, s->dirfd, s->name);
		if (err)
			return err;
	}
	s->other = false;
	err = graft_known(g, s);
	return err == -ENOENT ? graft_make(g, s) : err;
}

/* Data is here if the mtime is, since that was set last; see pool.c. */
static bool graft_complete(struct graft *g, const struct graft_spot *s,
			   const struct stat *st, const struct im_fid *local)
{
	u32 ns = le32_to_cpu(s->obj->o->mtime_ns);
	const struct graft_pick *pick = graft_pick(g);

	if (pick && pick->data && le64_to_cpu(s->obj->o->size))
		return false;
	if (!le64_to_cpu(s->obj->o->size))
		return !st->st_size;
	return !s->fresh && (u64)st->st_size == le64_to_cpu(s->obj->o->size) &&
	       st->st_mtim.tv_sec == (s64)le64_to_cpu(s->obj->o->mtime) &&
	       st->st_mtim.tv_nsec == ns && (s->ours || ns) &&
	       !g->doubt && !fidset_has(&g->suspects, local);
}

static int graft_file(struct graft *g, struct graft_spot *s, int fd)
{
	struct pool_item it = { .fid = s->fid,
				.size = le64_to_cpu(s->obj->o->size) };
	struct fset *f = g->c->f;
	struct stat st;
	bool done;
	int err = fid_of(fd, "", &it.local);

	if (err)
		return err;
	if (fstat(fd, &st))
		return -errno;
	if (st.st_nlink > 1 || le32_to_cpu(s->obj->o->nlink) > 1) {
		if (fidset_has(&g->queued, &s->fid))
			return 0;
		err = fidset_add(&g->queued, &s->fid);
		if (err)
			return err;
	}
	done = graft_complete(g, s, &st, &it.local);
	pthread_mutex_lock(&f->stat.lock);
	f->stat.files_all++;
	f->stat.files_done += done;
	pthread_mutex_unlock(&f->stat.lock);
	if (done)
		return shape_times(fd, le64_to_cpu(s->obj->o->mtime),
				   le32_to_cpu(s->obj->o->mtime_ns));
	it.differ = !s->fresh && delta_wanted(it.size, st.st_size);
	/* Not complete until the data is: no old mtime may say otherwise. */
	if (!s->fresh && (u64)st.st_size == it.size) {
		err = shape_times(fd, GRAFT_NO_DATA, GRAFT_NO_DATA_NS);
		if (err)
			return err;
	}
	it.dir = g->dir;
	it.name = strdup(s->name);
	return it.name ? pool_add(g->pool, &it) : -ENOMEM;
}

static int graft_shape(struct graft *g, struct graft_spot *s)
{
	int fd = openat(s->dirfd, s->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = tree_tag_plain(g->t, &s->fid, -1);
	/* Logged before the FID: a crash in between must not leave it ours. */
	if (!err && s->other)
		err = shape_times(fd, GRAFT_NO_DATA, GRAFT_NO_DATA_NS);
	if (!err)
		err = tree_adopt(g->t, fd, &s->fid, 0);
	if (!err)
		err = shape_attrs(fd, &s->shape);
	if (!err)
		err = shape_xattrs(fd, s->obj);
	if (!err && S_ISREG(s->shape.mode))
		err = graft_file(g, s, fd);
	else if (!err && S_ISDIR(s->shape.mode) && (s->fresh || !graft_pick(g)))
		err = fidset_add(&g->unlisted, &s->fid);
	else if (!err)
		err = shape_times(fd, le64_to_cpu(s->obj->o->mtime),
				  le32_to_cpu(s->obj->o->mtime_ns));
	close(fd);
	return err;
}

static int graft_entry(struct graft *g, const struct im_obj *obj)
{
	struct graft_spot s = { .obj = obj, .fid = obj->o->fid };
	struct im_fid key = graft_name_key(obj->name, obj->name_len);
	int err;

	if (!graft_fid_ok(&s.fid) || im_fid_eq(&s.fid, &g->c->srv.root))
		return -EPROTO;
	if (g->skip)
		return 0;
	memcpy(s.name, obj->name, obj->name_len);
	s.name[obj->name_len] = '\0';
	if (graft_pick(g) && strcmp(graft_pick(g)->name, s.name))
		return -EPROTO;
	if (im_fid_eq(&g->dir, &g->c->srv.root) &&
	    !strcmp(s.name, IM_STATE_DIR))
		return -EPROTO;
	shape_from_obj(&s.shape, obj);
	do {
		s.dirfd = tree_dir(g->t, &g->dir);
		if (s.dirfd < 0) {
			g->skip = s.dirfd == -ENOENT;
			return g->skip ? 0 : s.dirfd;
		}
		s.fresh = s.ours = s.other = false;
		err = graft_settle(g, &s);
		if (!err)
			err = graft_shape(g, &s);
		if (err == -ENOSPC || err == -EDQUOT) {
			err = client_wait_room(g->c->f, err);
			if (!err)
				err = -EAGAIN;
		}
	} while (err == -EAGAIN);
	if (client_hopeless(err)) {
		logmsg(LOG_ERR,
		       "%s: '%s' cannot be here as the server has it, left out: %s",
		       g->c->f->name, s.name, strerror(-err));
		err = 0;
	}
	if (err) {
		snprintf(g->c->why, sizeof(g->c->why),
			 "cannot make '%.100s' as the server has it: %s",
			 s.name, strerror(-err));
		return err;
	}
	return fidset_add(&g->seen, &key);
}

static int graft_entries(struct graft *g, const u8 *p, size_t len)
{
	while (len) {
		struct im_obj obj;
		ssize_t n = im_obj_get(p, len, true, &obj);
		int err;

		if (n <= 0)
			return -EPROTO;
		err = graft_entry(g, &obj);
		if (err)
			return err;
		p += n;
		len -= n;
	}
	return tree_commit(g->t, false);
}

static int graft_extra(void *arg, int dirfd, const char *name,
		       const struct stat *st)
{
	struct graft *g = arg;
	struct im_fid key = graft_name_key(name, strlen(name));
	struct im_origin o;
	struct im_fid local, cur;
	int err;

	if (fidset_has(&g->seen, &key))
		return 0;
	err = tree_name(dirfd, name, &cur);
	if (err)
		return err == -ENOENT ? 0 : err;
	if (!tree_find(g->t, &TREE_LIMBO, &local) && im_fid_eq(&local, &cur))
		return 0;
	err = tree_origin_name(dirfd, name, &o);
	if (err && err != -ENODATA)
		return err == -ENOENT ? 0 : err;
	/* It may be met again at another place; a stranger will not. */
	if (!err && le64_to_cpu(o.origin) == g->c->id &&
	    !tree_find(g->t, &o.fid, &local) && im_fid_eq(&local, &cur))
		return tree_banish(g->t, dirfd, name);
	return tree_remove(g->t, dirfd, name);
}

static int graft_dirend(struct graft *g, const u8 *p, size_t len)
{
	struct im_wire_dirend e;
	int fd, err;

	if (!g->listing || len != sizeof(e))
		return -EPROTO;
	memcpy(&e, p, sizeof(e));
	if (!im_fid_eq(&e.fid, &g->dir))
		return -EPROTO;
	g->listing = false;
	fidset_del(&g->unlisted, &g->dir);
	fd = g->skip ? -ENOENT : tree_dir(g->t, &g->dir);
	if (fd == -ENOENT)
		g->pick_at++;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	err = graft_pick(g) ? graft_extra(g, fd, graft_pick(g)->name, NULL) :
			      walk_dir(fd, graft_extra, g);
	g->pick_at++;
	if (err)
		return err;
	/* The walk may have used the handle's place in the cache. */
	fd = tree_dir(g->t, &g->dir);
	if (fd < 0)
		return fd;
	err = tree_tag_plain(g->t, &g->dir, -1);
	return err ? err : shape_times(fd, le64_to_cpu(e.mtime),
				       le32_to_cpu(e.mtime_ns));
}

static int graft_dir_begin(struct graft *g, const u8 *p, size_t len)
{
	int fd;

	if (g->listing || !g->begun || len != sizeof(g->dir))
		return -EPROTO;
	memcpy(&g->dir, p, len);
	if (!graft_fid_ok(&g->dir) ||
	    (graft_pick(g) && !im_fid_eq(&g->dir, &graft_pick(g)->dir)))
		return -EPROTO;
	g->listing = true;
	fidset_free(&g->seen);
	fd = tree_dir(g->t, &g->dir);
	g->skip = fd < 0;
	return fd < 0 && fd != -ENOENT && fd != -ENOTDIR ? fd : 0;
}

/* The top itself, which is here. */
static int graft_top(struct graft *g, const u8 *p, size_t len)
{
	struct im_obj obj;
	struct shape s;
	int fd, err;

	if (!g->begun || im_obj_get(p, len, false, &obj) != (ssize_t)len ||
	    !im_fid_eq(&obj.o->fid, &g->top) ||
	    !S_ISDIR(le32_to_cpu(obj.o->mode)))
		return -EPROTO;
	fd = tree_get(g->t, &g->top, O_PATH);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	shape_from_obj(&s, &obj);
	err = tree_tag_plain(g->t, &g->top, -1);
	if (!err)
		err = shape_attrs(fd, &s);
	if (!err)
		err = shape_xattrs(fd, &obj);
	close(fd);
	return err;
}

static int graft_begin(struct graft *g, const u8 *p, size_t len)
{
	struct im_wire_begin b;

	if (g->begun || len != sizeof(b))
		return -EPROTO;
	memcpy(&b, p, sizeof(b));
	if (le64_to_cpu(b.incarnation) != g->c->inc ||
	    !im_fid_eq(&b.root, &g->c->srv.root))
		return -ESTALE;
	/* So it is not the server that info was asked of. */
	if (im_fid_eq(&g->top, &g->c->srv.root) &&
	    le64_to_cpu(b.start) < le64_to_cpu(g->c->srv.durable))
		return -ESTALE;
	g->start = le64_to_cpu(b.start);
	g->begun = true;
	return 0;
}

/* One graft comes from one mount of the server, or begins again. */
static int graft_epoch(struct graft *g, const u8 *p, size_t len)
{
	struct im_wire_epoch e;
	int err = lineage_frame(p, len, &e);

	if (err || !g->begun)
		return -EPROTO;
	if (!e.next && g->newest && g->newest != e.epoch)
		return -ESTALE;
	if (!e.next)
		g->newest = e.epoch;
	return lineage_set(g->c, &e);
}

static int graft_frame(void *arg, unsigned int type, const u8 *p, size_t len)
{
	struct graft *g = arg;
	__le64 v;

	if (g->ended)
		return -EPROTO;
	switch (type) {
	case IM_FR_ALIVE:
		return 0;
	case IM_FR_BEGIN:
		return graft_begin(g, p, len);
	case IM_FR_EPOCH:
		return graft_epoch(g, p, len);
	case IM_FR_OBJECT:
		return graft_top(g, p, len);
	case IM_FR_GONE:
		g->gone = true;
		g->pick_at++;
		return 0;
	case IM_FR_DIR:
		return graft_dir_begin(g, p, len);
	case IM_FR_ENTRY:
		return g->listing ? graft_entries(g, p, len) : -EPROTO;
	case IM_FR_DIREND:
		return graft_dirend(g, p, len);
	case IM_FR_END:
		if (g->listing || len != sizeof(v))
			return -EPROTO;
		memcpy(&v, p, sizeof(v));
		g->end = le64_to_cpu(v);
		g->ended = true;
		return 0;
	}
	return -EPROTO;
}

/* One stream. fid none: the whole tree. */
static int graft_stream(struct graft *g, const struct im_fid *fid)
{
	struct client *c = g->c;
	char what[128 + LINEAGE_ARGS];
	int n, err;

	g->begun = g->gone = g->ended = g->listing = false;
	g->top = im_fid_none(fid) ? c->srv.root : *fid;
	n = snprintf(what, sizeof(what), "snapshot?inc=%" PRIu64 "%s", c->inc,
		     g->args);
	if (!im_fid_none(fid))
		snprintf(what + n, sizeof(what) - n, "&fid=%" PRIu64 ".%u",
			 le64_to_cpu(fid->ino), le32_to_cpu(fid->gen));
	err = http_frames(c->http, what, NULL, 0, graft_frame, g);
	if (!err && !g->ended)
		err = -ENOLINK;
	if (err && http_is_remote(err))
		snprintf(c->why, sizeof(c->why), "%.500s", http_error(c->http));
	return err;
}

/* Directories that were met but not listed, for they moved meanwhile. */
static int graft_rest(struct graft *g)
{
	struct im_fid fid;
	u64 end = g->end;
	int err = 0;

	while (!err && fidset_any(&g->unlisted, &fid)) {
		err = graft_stream(g, &fid);
		fidset_del(&g->unlisted, &fid);
		if (g->end > end)
			end = g->end;
	}
	g->end = end;
	return err;
}

static int graft_suspect(void *arg, const struct im_rec *r)
{
	struct graft *g = arg;

	return im_op_is_data(le16_to_cpu(r->op)) &&
	       le32_to_cpu(r->flags) & IM_RF_RECOVERED ?
		fidset_add(&g->suspects, &r->fid) : 0;
}

/* Files of which recovery at mount said that their data may be lost. */
static int graft_suspects(struct graft *g, const struct im_ioc_info *info)
{
	int err = past_each(g->c->f, info->first, info->last, graft_suspect, g);

	g->doubt = err == -ESTALE || err == -EBADMSG;
	return g->doubt ? 0 : err;
}

static void graft_free(struct graft *g)
{
	pool_stop(g->pool);
	fidset_free(&g->seen);
	fidset_free(&g->unlisted);
	fidset_free(&g->suspects);
	fidset_free(&g->queued);
}

static int graft_run(struct graft *g, const struct im_fid *fid)
{
	struct client *c = g->c;
	int err;

	err = pool_start(&g->pool, c, g->t->recno, g->t->low);
	if (!err)
		err = graft_stream(g, fid);
	if (!err)
		err = graft_rest(g);
	if (!err)
		err = pool_wait(g->pool);
	if (err && g->pool && pool_error(g->pool)[0])
		snprintf(c->why, sizeof(c->why), "%.500s", pool_error(g->pool));
	return err;
}

int graft_all(struct client *c, u64 *start, const char *args)
{
	struct graft g = { .c = c, .t = &c->tree };
	struct im_ioc_info info;
	struct im_fid none = { 0 };
	int err;

	snprintf(g.args, sizeof(g.args), "%s", args);
	if (ioctl(c->f->fd, IM_IOC_INFO, &info))
		return -errno;
	err = graft_suspects(&g, &info);
	/* The root is the root, whatever it was before. */
	if (!err)
		err = tree_tag_plain(g.t, &c->srv.root, -1);
	if (!err)
		err = tree_adopt(g.t, c->f->fd, &c->srv.root, 0);
	if (!err)
		err = graft_run(&g, &none);
	if (!err) {
		*start = g.start;
		err = index_purge(g.t->ix, le32_to_cpu(g.t->st.round),
				  &TREE_LIMBO);
	}
	if (!err) {
		g.t->st.window = cpu_to_le64(g.end);
		err = tree_limbo_clean(g.t, false);
	}
	graft_free(&g);
	return err;
}

int graft_dir(struct client *c, const struct im_fid *fid, u64 was)
{
	struct graft g = { .c = c, .t = &c->tree };
	int err;

	err = lineage_args(c, c->seen < was ? was : c->seen, g.args,
			   sizeof(g.args));
	if (!err)
		err = client_set_window(c, CLIENT_WINDOW_ALL);
	if (!err)
		err = graft_run(&g, fid);
	if (!err)
		err = client_set_window(c, g.end > was ? g.end : was);
	graft_free(&g);
	return err;
}

int graft_picked(struct client *c, const struct graft_pick *v, unsigned int n)
{
	struct graft g = { .c = c, .t = &c->tree, .picks = v, .pick_count = n };
	u64 was = client_window(c), end;
	char what[64 + LINEAGE_ARGS];
	struct im_buf body = { 0 };
	struct im_wire_ask ask;
	unsigned int i;
	int err;

	for (i = 0; i < n; i++) {
		memset(&ask, 0, sizeof(ask));
		ask.dir = v[i].dir;
		ask.flags = IM_ASK_LIST | IM_ASK_SETTLE;
		ask.name_len = cpu_to_le16(strlen(v[i].name));
		im_ask_put(&body, &ask, v[i].name);
	}
	err = body.err;
	if (!err)
		err = lineage_args(c, c->seen < was ? was : c->seen, g.args,
				   sizeof(g.args));
	snprintf(what, sizeof(what), "digest?inc=%" PRIu64 "%s", c->inc, g.args);
	if (!err)
		err = client_set_window(c, CLIENT_WINDOW_ALL);
	if (!err)
		err = pool_start(&g.pool, c, g.t->recno, g.t->low);
	if (!err) {
		err = http_frames(c->http, what, body.p, body.len, graft_frame,
				  &g);
		if (!err && (!g.ended || g.pick_at < n))
			err = -ENOLINK;
	}
	/* directories that were not here, with all that is in them */
	if (!err)
		err = graft_rest(&g);
	if (!err)
		err = pool_wait(g.pool);
	if (err && http_is_remote(err))
		snprintf(c->why, sizeof(c->why), "%.250s", http_error(c->http));
	end = g.end > was ? g.end : was;
	/*
	 * The data is on disk before the window says that all is whole: no
	 * record stands for it, so after a crash nothing would fetch it again.
	 */
	if (!err && syncfs(c->f->fd))
		err = -errno;
	if (!err)
		err = client_set_window(c, end);
	/* what was moved out of the way has no later record that places it */
	if (!err && c->seen >= end)
		err = tree_limbo_clean(g.t, true);
	graft_free(&g);
	im_buf_free(&body);
	return err;
}
