// SPDX-License-Identifier: GPL-2.0
#include "tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <syslog.h>
#include <unistd.h>

#include "past.h"
#include "walk.h"

#define TREE_COMMIT_S	2

/* A hint for people; what makes it the limbo is its FID. */
#define TREE_LIMBO_NAME	".intermezzo-limbo-"

const struct im_fid TREE_LIMBO = {
	.ino = (__le64)~0ULL, .gen = (__le32)~0U,
};

const char *tree_fdpath(char buf[TREE_FDPATH], int fd)
{
	snprintf(buf, TREE_FDPATH, "/proc/self/fd/%d", fd);
	return buf;
}

/* Tags */

int tree_tag(int replay, const struct im_ioc_tag *tag)
{
	return ioctl(replay, IM_IOC_TAG, tag) ? -errno : 0;
}

int tree_replay_open(struct fset *f, u64 origin, u64 recno)
{
	struct im_ioc_replay r = { .origin = origin, .flags = O_CLOEXEC };
	struct im_ioc_tag tag = { .recno = recno, .low = recno };
	int fd, err;

	fd = ioctl(f->fd, IM_IOC_REPLAY, &r);
	if (fd < 0)
		return -errno;
	err = tree_tag(fd, &tag);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int tree_tag_plain(struct tree *t, const struct im_fid *fid, int dirfd)
{
	struct im_ioc_tag tag = { .recno = t->recno, .low = t->low };
	struct stat st;

	if (fid) {
		tag.ino = le64_to_cpu(fid->ino);
		tag.gen = le32_to_cpu(fid->gen);
	}
	if (dirfd >= 0) {
		if (fstat(dirfd, &st))
			return -errno;
		tag.flags = IM_TAG_DIR_MTIME;
		tag.dir_mtime = st.st_mtim.tv_sec;
		tag.dir_mtime_ns = st.st_mtim.tv_nsec;
	}
	return tree_tag(t->replay, &tag);
}

/* Identity */

int tree_origin(int fd, struct im_origin *o)
{
	char path[TREE_FDPATH];
	ssize_t n = getxattr(tree_fdpath(path, fd), IM_XATTR_ORIGIN, o,
			     sizeof(*o));

	if (n < 0)
		return -errno;
	return n == sizeof(*o) ? 0 : -ENODATA;
}

int tree_origin_name(int dirfd, const char *name, struct im_origin *o)
{
	int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = tree_origin(fd, o);
	close(fd);
	return err;
}

int tree_origin_set(int fd, u64 server, const struct im_fid *fid, u64 version)
{
	struct im_origin o = {
		.origin = cpu_to_le64(server),
		.fid = *fid,
		.version = cpu_to_le64(version),
	};
	char path[TREE_FDPATH];

	return setxattr(tree_fdpath(path, fd), IM_XATTR_ORIGIN, &o, sizeof(o),
			0) ? -errno : 0;
}

int tree_name(int dirfd, const char *name, struct im_fid *local)
{
	return fid_of(dirfd, name, local);
}

int tree_find(struct tree *t, const struct im_fid *fid, struct im_fid *local)
{
	return index_get(t->ix, fid, local, NULL);
}

int tree_get(struct tree *t, const struct im_fid *fid, int flags)
{
	struct im_origin o;
	struct im_fid local;
	int fd, err;

	err = index_get(t->ix, fid, &local, NULL);
	if (err)
		return err;
	fd = fid_open_known(t->f, &local, flags | O_CLOEXEC);
	if (fd >= 0) {
		err = tree_origin(fd, &o);
		if (!err && le64_to_cpu(o.origin) == t->server &&
		    im_fid_eq(&o.fid, fid))
			return fd;
		close(fd);
		if (err && err != -ENODATA)
			return err;
	} else if (fd != -ESTALE && fd != -ENOENT) {
		return fd;
	}
	/* The index was wrong: the object is gone, or is another one now. */
	err = index_del(t->ix, fid);
	return err ? err : -ENOENT;
}

int tree_dir(struct tree *t, const struct im_fid *fid)
{
	struct tree_dir *d, *old = t->dirs;
	int i, fd;

	for (i = 0; i < TREE_DIRS; i++) {
		d = &t->dirs[i];
		if (!im_fid_none(&d->fid) && im_fid_eq(&d->fid, fid)) {
			d->used = ++t->tick;
			return d->fd;
		}
		if (d->used < old->used)
			old = d;
	}
	fd = tree_get(t, fid, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd == -EINVAL ? -ENOTDIR : fd;
	if (!im_fid_none(&old->fid))
		close(old->fd);
	old->fid = *fid;
	old->fd = fd;
	old->used = ++t->tick;
	return fd;
}

void tree_dir_forget(struct tree *t, const struct im_fid *fid)
{
	int i;

	for (i = 0; i < TREE_DIRS; i++) {
		struct tree_dir *d = &t->dirs[i];

		if (im_fid_none(&d->fid) || (fid && !im_fid_eq(&d->fid, fid)))
			continue;
		close(d->fd);
		memset(d, 0, sizeof(*d));
	}
}

static u32 tree_round(const struct tree *t)
{
	return le32_to_cpu(t->st.round);
}

int tree_adopt(struct tree *t, int fd, const struct im_fid *fid, u64 version)
{
	struct im_origin o;
	struct im_fid local;
	bool mine;
	int err;

	err = fid_of(fd, "", &local);
	if (err)
		return err;
	mine = !tree_origin(fd, &o) && le64_to_cpu(o.origin) == t->server;
	if (!mine || !im_fid_eq(&o.fid, fid)) {
		err = tree_origin_set(fd, t->server, fid, version);
		if (!err && mine)
			err = tree_forget(t, &o.fid);
		if (err)
			return err;
	}
	return index_put(t->ix, fid, &local, tree_round(t));
}

int tree_made(struct tree *t, int dirfd, const char *name,
	      const struct im_fid *fid)
{
	struct im_fid local;
	int err = fid_of(dirfd, name, &local);

	return err ? err : index_put(t->ix, fid, &local, tree_round(t));
}

int tree_forget(struct tree *t, const struct im_fid *fid)
{
	tree_dir_forget(t, fid);
	return index_del(t->ix, fid);
}

/* State */

int tree_state_load(struct fset *f, u64 origin, struct tree_state *st)
{
	int replay = tree_replay_open(f, origin, 1);
	ssize_t n;

	if (replay < 0)
		return replay;
	n = fgetxattr(f->fd, TREE_STATE, st, sizeof(*st));
	if (n != sizeof(*st) ||
	    le32_to_cpu(st->version) != TREE_STATE_VERSION)
		memset(st, 0, sizeof(*st));
	n = n < 0 && errno != ENODATA && errno != ERANGE ? -errno : 0;
	close(replay);
	return (int)n;
}

int tree_state_save(struct tree *t)
{
	t->st.version = cpu_to_le32(TREE_STATE_VERSION);
	return fsetxattr(t->f->fd, TREE_STATE, &t->st, sizeof(t->st), 0) ?
		-errno : 0;
}

/* Rebuilding the index */

/* What one record of the local log says about which FID is which. */
static int tree_learn(void *arg, const struct im_rec *r)
{
	struct tree *t = arg;
	u32 flags = le32_to_cpu(r->flags);

	if (r->state != IM_RS_DONE)
		return 0;
	switch (le16_to_cpu(r->op)) {
	case IM_OP_LINK:
		if (!(flags & IM_RF_FIRST))
			return 0;
		/* fall through */
	case IM_OP_CREATE:
	case IM_OP_MKDIR:
	case IM_OP_MKNOD:
	case IM_OP_SYMLINK:
		if (le64_to_cpu(r->origin) != t->server ||
		    im_fid_none(&r->origin_fid))
			return 0;
		return index_put(t->ix, &r->origin_fid, &r->fid, tree_round(t));
	}
	return 0;
}

/* From the local log: what happened since the index was complete. */
static int tree_complete(struct tree *t, u64 from, u64 last)
{
	if (from > last + 1)
		return -ESTALE;
	return past_each(t->f, from, last, tree_learn, t);
}

/* One object of the walk that rebuilds. */
static int tree_meet(void *arg, int dirfd, const char *name,
		     const struct stat *st)
{
	struct tree *t = arg;
	struct im_origin o;
	int err = tree_origin_name(dirfd, name, &o);

	if (err == -ENODATA || err == -ENOENT)
		return 0;
	if (err)
		return err;
	if (le64_to_cpu(o.origin) != t->server || im_fid_none(&o.fid))
		return 0;
	if (atomic_load(&t->f->stop))
		return -ECANCELED;
	return tree_made(t, dirfd, name, &o.fid);
}

static int tree_rebuild(struct tree *t)
{
	struct im_origin o;
	int err = index_clear(t->ix);

	if (!err && !tree_origin(t->f->fd, &o) &&
	    le64_to_cpu(o.origin) == t->server)
		err = tree_made(t, t->f->fd, "", &o.fid);
	if (!err)
		err = walk_tree(t->f->fd, tree_meet, t);
	return err;
}

static int tree_index(struct tree *t, const struct im_ioc_info *info)
{
	char dir[4096];
	struct index_owner who = { .incarnation = t->st.incarnation };
	u64 done;
	int err;

	memcpy(who.local, info->uuid, 16);
	memcpy(who.server, t->st.uuid, 16);
	if (snprintf(dir, sizeof(dir), "%s/%s", conf.lib_dir, t->f->name) >=
	    (int)sizeof(dir) - 8)
		return -ENAMETOOLONG;
	if (mkdir(conf.lib_dir, 0700) && errno != EEXIST)
		return -errno;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	strcat(dir, "/index");
	err = index_open(&t->ix, dir, &who);
	if (err)
		return err;
	/* A snapshot from the start meets everything anyway. */
	if (le32_to_cpu(t->st.phase) == TREE_NEW)
		return 0;
	done = index_complete(t->ix);
	err = done ? tree_complete(t, done + 1, info->last) : -ESTALE;
	if (err && err != -ECANCELED) {
		logmsg(LOG_INFO, "%s: index is not complete (%s), reading the tree",
		       t->f->name, strerror(-err));
		err = tree_rebuild(t);
	}
	return err ? err : tree_commit(t, true);
}

int tree_open(struct tree *t, struct fset *f, const struct im_ioc_info *info,
	      u64 server, const struct tree_state *st)
{
	int err;

	memset(t, 0, sizeof(*t));
	t->f = f;
	t->server = server;
	t->self = info->id;
	t->st = *st;
	t->recno = t->low = 1;
	t->replay = tree_replay_open(f, server, 1);
	if (t->replay < 0)
		return t->replay;
	err = fid_of(f->fd, "", &t->root);
	if (!err)
		err = tree_index(t, info);
	if (err)
		tree_close(t);
	return err;
}

void tree_close(struct tree *t)
{
	if (t->replay < 0)
		return;
	tree_dir_forget(t, NULL);
	index_close(t->ix);
	close(t->replay);
	memset(t, 0, sizeof(*t));
	t->replay = -1;
}

int tree_commit(struct tree *t, bool force)
{
	struct im_ioc_info info;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!force && now.tv_sec - t->committed.tv_sec < TREE_COMMIT_S)
		return 0;
	t->committed = now;
	/* Nobody else makes objects here: all up to the last record is in. */
	if (ioctl(t->f->fd, IM_IOC_INFO, &info))
		return -errno;
	return index_commit(t->ix, info.last);
}

/* Limbo */

/* Descriptor of the limbo, made if it is not there; belongs to the tree. */
static int tree_limbo(struct tree *t)
{
	char name[64];
	u64 r;
	int fd, err;

	fd = tree_dir(t, &TREE_LIMBO);
	if (fd != -ENOENT)
		return fd;
	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return -EIO;
	snprintf(name, sizeof(name), TREE_LIMBO_NAME "%016llx",
		 (unsigned long long)r);
	err = tree_tag_plain(t, &TREE_LIMBO, t->f->fd);
	if (err)
		return err;
	if (mkdirat(t->f->fd, name, 0700))
		return -errno;
	err = tree_made(t, t->f->fd, name, &TREE_LIMBO);
	if (err)
		return err;
	return tree_dir(t, &TREE_LIMBO);
}

int tree_banish(struct tree *t, int dirfd, const char *name)
{
	char to[32];
	int limbo = tree_limbo(t), err;

	if (limbo < 0)
		return limbo;
	err = tree_tag_plain(t, NULL, dirfd);
	if (err)
		return err;
	do {
		snprintf(to, sizeof(to), "%llu",
			 (unsigned long long)t->serial++);
		err = renameat2(dirfd, name, limbo, to, RENAME_NOREPLACE) ?
			-errno : 0;
	} while (err == -EEXIST);
	return err;
}

bool tree_in_limbo(struct tree *t, int fd)
{
	struct im_fid parent, limbo;

	return !tree_find(t, &TREE_LIMBO, &limbo) &&
	       !tree_name(fd, "..", &parent) && im_fid_eq(&parent, &limbo);
}

struct tree_sweep {
	struct tree *t;
	bool all;
	unsigned int kept;
};

static int tree_sweep_one(void *arg, int dirfd, const char *name,
			  const struct stat *st)
{
	struct tree_sweep *s = arg;
	struct im_origin o;
	struct im_fid local, is;

	/* A directory that the index knows waits for the record that places
	 * it; files are linked to where they belong, never moved. */
	if (!s->all && S_ISDIR(st->st_mode) &&
	    !tree_origin_name(dirfd, name, &o) &&
	    !tree_find(s->t, &o.fid, &local) && !tree_name(dirfd, name, &is) &&
	    im_fid_eq(&local, &is)) {
		s->kept++;
		return 0;
	}
	return tree_remove(s->t, dirfd, name);
}

/* Its name at the root; it has no other parent. */
static int tree_limbo_remove(struct tree *t)
{
	char path[TREE_FDPATH], at[4096], *name;
	struct im_fid is, limbo;
	ssize_t n;
	int fd = tree_dir(t, &TREE_LIMBO), err;

	if (fd < 0)
		return fd;
	n = readlink(tree_fdpath(path, fd), at, sizeof(at) - 1);
	if (n < 0)
		return -errno;
	at[n] = '\0';
	name = strrchr(at, '/');
	if (!name++ || tree_find(t, &TREE_LIMBO, &limbo) ||
	    tree_name(t->f->fd, name, &is) || !im_fid_eq(&is, &limbo))
		return -ENOENT;
	err = tree_tag_plain(t, NULL, t->f->fd);
	if (err)
		return err;
	if (unlinkat(t->f->fd, name, AT_REMOVEDIR))
		return -errno;
	return tree_forget(t, &TREE_LIMBO);
}

int tree_limbo_clean(struct tree *t, bool all)
{
	struct tree_sweep s = { .t = t, .all = all };
	int fd = tree_dir(t, &TREE_LIMBO), err;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	err = walk_dir(fd, tree_sweep_one, &s);
	if (err || s.kept)
		return err;
	return tree_limbo_remove(t);
}

static int tree_remove_one(void *arg, int dirfd, const char *name,
			   const struct stat *st)
{
	return tree_remove(arg, dirfd, name);
}

int tree_remove(struct tree *t, int dirfd, const char *name)
{
	struct im_origin o;
	struct im_fid local, is;
	bool known;
	int fd, err;

	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		    O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		err = walk_dir(fd, tree_remove_one, t);
		close(fd);
		if (err)
			return err;
	} else if (errno != ENOTDIR && errno != ELOOP && errno != ENXIO) {
		return errno == ENOENT ? 0 : -errno;
	}
	known = !tree_origin_name(dirfd, name, &o) &&
		!tree_find(t, &o.fid, &local) &&
		!tree_name(dirfd, name, &is) && im_fid_eq(&local, &is);
	err = tree_tag_plain(t, NULL, dirfd);
	if (err)
		return err;
	if (unlinkat(dirfd, name, fd >= 0 ? AT_REMOVEDIR : 0))
		return errno == ENOENT ? 0 : -errno;
	/* A file may have other names: then the index finds it again. */
	if (known && fd >= 0)
		return tree_forget(t, &o.fid);
	return 0;
}
