// SPDX-License-Identifier: GPL-2.0
/*
 * One record becomes system calls. Each record is a statement about keys:
 * (directory, name) -> FID, FID -> attributes, FID -> data. As a rule the tree
 * is exactly as it was at the server before the record, one call makes the
 * statement true, and that call, tagged FINAL, moves last_rcvd.
 *
 * Inside the window (client_window()) the tree may be ahead: a snapshot saw
 * what later records did. There the rules are:
 *  - a name that means what the record says already: nothing to do;
 *  - a name that means another object than the record knows of: a later record
 *    put it there, the statement is left out. If the object must leave its old
 *    name all the same, it goes to the limbo until a later record places it;
 *  - a file that is elsewhere gets the name as a further link; a directory that
 *    is elsewhere, but not in the limbo, is where a later record wants it;
 *  - an object that is not known is made as the server has it now. If it is
 *    gone there, a later record says so, and nothing is made.
 * Outside the window the same cases are misfits: somebody changed the tree
 * behind our back. They are logged, the directory is compared with the
 * server's, and since that moves the window, the record then passes.
 */
#include "client.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "apply.h"
#include "shape.h"

static void apply_tag_set(struct apply *a, struct im_ioc_tag *tag)
{
	const struct im_rec *r = a->it->rec;

	memset(tag, 0, sizeof(*tag));
	tag->recno = a->it->recno;
	tag->low = a->it->low;
	tag->ino = le64_to_cpu(r->fid.ino);
	tag->gen = le32_to_cpu(r->fid.gen);
	tag->version = a->it->recno;
	tag->mtime = (s64)le64_to_cpu(r->mtime);
	tag->mtime_ns = le32_to_cpu(r->mtime_ns);
	tag->dir_mtime = (s64)le64_to_cpu(r->dir_mtime);
	tag->dir_mtime_ns = le32_to_cpu(r->dir_mtime_ns);
	tag->dir2_mtime = (s64)le64_to_cpu(r->dir2_mtime);
	tag->dir2_mtime_ns = le32_to_cpu(r->dir2_mtime_ns);
}

int apply_tag(struct apply *a, u32 flags)
{
	struct im_ioc_tag tag;

	apply_tag_set(a, &tag);
	/* What is redone was completed before the restart; see design: low. */
	if (a->it->redo)
		flags &= ~IM_TAG_FINAL;
	tag.flags = flags;
	return tree_tag(a->c->tree.replay, &tag);
}

static const char *apply_text(const char *p, size_t len,
			      char buf[IM_NAME_LEN + 1])
{
	memcpy(buf, p, len);
	buf[len] = '\0';
	return buf;
}

static bool apply_in_window(const struct apply *a)
{
	return a->it->recno <= client_window(a->c);
}

/* Somebody was here. 0: the directory is as the server's now, and the window
 * has moved over the record, which may be tried again. */
static int apply_misfit(struct apply *a, const struct im_fid *dir,
			const char *what)
{
	struct client *c = a->c;
	int err;

	logmsg(LOG_WARNING,
	       "%s: record %llu (%s %s) does not fit: %s; comparing the directory with the server's",
	       c->f->name, (unsigned long long)a->it->recno,
	       im_op_name(fold_op(a->it)), a->name, what);
	if (im_fid_none(dir))
		return -EUCLEAN;
	err = graft_dir(c, dir, client_window(c));
	if (err)
		return err;
	return apply_in_window(a) ? -EAGAIN : -EUCLEAN;
}

/*
 * A rename left a whiteout under this name, whose record does not say what FID
 * it got: the first one that is asked for is the one, unless the record says
 * that it is of another type. Of what is replaced it does not say the type.
 */
static bool apply_whiteout(struct apply *a, const struct apply_name *n,
			   const struct im_fid *fid)
{
	const struct im_rec *r = a->it->rec;
	struct tree *t = &a->c->tree;
	struct im_origin o;
	struct stat st;
	bool is;
	int fd;

	if (im_fid_eq(fid, &r->fid) && !S_ISCHR(le32_to_cpu(r->mode)))
		return false;
	if (fstatat(n->dirfd, n->name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISCHR(st.st_mode) || st.st_rdev)
		return false;
	fd = openat(n->dirfd, n->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	is = tree_origin(fd, &o) == -ENODATA && !tree_tag_plain(t, fid, -1) &&
	     !tree_adopt(t, fd, fid, 0);
	close(fd);
	return is;
}

/* Is the local object of this name that of the FID? */
static bool apply_is(struct apply *a, const struct apply_name *n,
		     const struct im_fid *fid)
{
	struct im_fid local;

	if (!n->there || im_fid_none(fid))
		return false;
	if (tree_find(&a->c->tree, fid, &local))
		return apply_whiteout(a, n, fid);
	return im_fid_eq(&local, &n->local);
}

/* -ENOENT: the directory is not here. */
static int apply_look(struct apply *a, const struct im_fid *dir,
		      const char *name, struct apply_name *n)
{
	int err;

	n->fid = dir;
	n->name = name;
	n->dirfd = tree_dir(&a->c->tree, dir);
	n->there = false;
	if (n->dirfd < 0)
		return n->dirfd == -ENOTDIR ? -ENOENT : n->dirfd;
	err = tree_name(n->dirfd, name, &n->local);
	n->there = !err;
	return err == -ENOENT ? 0 : err;
}

static int apply_time(struct apply *a, const struct im_fid *dir, u64 mtime,
		      u32 ns)
{
	int err, fd = tree_dir(&a->c->tree, dir);

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	err = tree_tag_plain(&a->c->tree, dir, -1);
	return err ? err : shape_times(fd, mtime, ns);
}

/* The directories' times, when no call has set them on the way. */
int apply_times(struct apply *a, unsigned int which)
{
	const struct im_rec *r = a->it->rec;
	int err = 0;

	if (which & FOLD_TIMES_DIR)
		err = apply_time(a, &r->dir, le64_to_cpu(r->dir_mtime),
				 le32_to_cpu(r->dir_mtime_ns));
	if (!err && which & FOLD_TIMES_DIR2 && fold_op(a->it) == IM_OP_RENAME)
		err = apply_time(a, &r->dir2, le64_to_cpu(r->dir2_mtime),
				 le32_to_cpu(r->dir2_mtime_ns));
	return err;
}

static int apply_skip(struct apply *a)
{
	return apply_times(a, FOLD_TIMES_DIR | FOLD_TIMES_DIR2);
}

/* An unknown directory: its later record, or nobody, will bring it. */
static int apply_no_dir(struct apply *a)
{
	struct im_fid none = { 0 };

	if (apply_in_window(a))
		return apply_skip(a);
	if (apply_gone(a, &a->it->rec->dir) == 1 ||
	    (fold_op(a->it) == IM_OP_RENAME &&
	     apply_gone(a, &a->it->rec->dir2) == 1))
		return apply_skip(a);
	return apply_misfit(a, &none, "its directory is not here");
}

/* Gives the free name n the object fid, wherever that is or was. */
static int apply_place(struct apply *a, struct apply_name *n,
		       const struct im_fid *fid)
{
	struct tree *t = &a->c->tree;
	char path[TREE_FDPATH], at[4096], *name;
	struct stat st;
	ssize_t k;
	int fd = tree_get(t, fid, O_PATH), limbo, err;

	if (fd == -ENOENT)
		return apply_fetch_object(a->c, n->dirfd, n->name, fid);
	if (fd < 0)
		return fd;
	err = tree_tag_plain(t, fid, -1);
	if (!err && fstat(fd, &st))
		err = -errno;
	if (!err && !S_ISDIR(st.st_mode)) {
		if (linkat(fd, "", n->dirfd, n->name, AT_EMPTY_PATH))
			err = -errno;
	} else if (!err && tree_in_limbo(t, fd)) {
		k = readlink(tree_fdpath(path, fd), at, sizeof(at) - 1);
		limbo = tree_dir(t, &TREE_LIMBO);
		at[k < 0 ? 0 : k] = '\0';
		name = strrchr(at, '/');
		if (k < 0 || !name || limbo < 0)
			err = -EUCLEAN;
		else if (renameat2(limbo, name + 1, n->dirfd, n->name,
				   RENAME_NOREPLACE))
			err = errno == EINVAL ? 0 : -errno;
	}
	close(fd);
	/* It was open-unlinked: its last name is gone for good. */
	if (err == -ENOENT || err == -ESTALE) {
		err = tree_forget(t, fid);
		if (!err)
			err = apply_fetch_object(a->c, n->dirfd, n->name, fid);
	}
	return err;
}

/* Takes the name away from what it means, with all that is below it. */
static int apply_clear(struct apply *a, struct apply_name *n)
{
	struct stat st;
	int err;

	if (fstatat(n->dirfd, n->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode)) {
		err = tree_banish(&a->c->tree, n->dirfd, n->name);
	} else {
		err = tree_tag_plain(&a->c->tree, NULL, -1);
		if (!err && unlinkat(n->dirfd, n->name, 0))
			err = errno == ENOENT ? 0 : -errno;
	}
	n->there = false;
	return err;
}

static int apply_make(struct apply *a)
{
	const struct im_rec *r = a->it->rec;
	struct im_obj obj;
	struct apply_name n;
	struct im_fid local;
	bool window = apply_in_window(a);
	bool first = fold_op(a->it) == IM_OP_LINK;
	struct shape s = {
		.mode = le32_to_cpu(r->mode),
		.uid = le32_to_cpu(r->uid),
		.gid = le32_to_cpu(r->gid),
		.rdev = le64_to_cpu(r->rdev),
		.target = a->it->body.data,
		.target_len = a->it->body.data_len,
	};
	int err, fd;

	err = apply_look(a, &r->dir, a->name, &n);
	if (err)
		return err == -ENOENT ? apply_no_dir(a) : err;
	if (n.there && !apply_is(a, &n, &r->fid)) {
		if (apply_is(a, &n, &r->old))
			err = apply_clear(a, &n);
		else if (window)
			return apply_skip(a);
		else
			return apply_misfit(a, &r->dir, "the name is taken");
		if (err)
			return err;
	}
	if (!n.there && !tree_find(&a->c->tree, &r->fid, &local)) {
		err = apply_place(a, &n, &r->fid);
		return err ? err : apply_skip(a);
	}
	/* ACLs were inherited at another moment, or given without a record. */
	if (window || first) {
		err = apply_look_at(a, &obj);
		if (err)
			return err == -ENXIO ? apply_skip(a) : err;
	}
	if (!n.there) {
		err = apply_tag(a, IM_TAG_MTIME | IM_TAG_DIR_MTIME |
				(window || first ? 0 : IM_TAG_FINAL));
		if (!err)
			err = shape_make(n.dirfd, a->name, &s);
		if (!err)
			err = tree_made(&a->c->tree, n.dirfd, a->name, &r->fid);
		if (err)
			return err;
	}
	if (!window && !first)
		return n.there ? apply_skip(a) : 0;
	fd = openat(n.dirfd, a->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = tree_tag_plain(&a->c->tree, &r->fid, -1);
	if (!err)
		err = shape_xattrs(fd, &obj);
	if (!err)
		err = shape_attrs(fd, &s);
	close(fd);
	return err ? err : apply_skip(a);
}

static int apply_link(struct apply *a)
{
	const struct im_rec *r = a->it->rec;
	struct apply_name n;
	int err, fd;

	if (fold_flags(a->it) & IM_RF_FIRST)
		return apply_make(a);
	err = apply_look(a, &r->dir, a->name, &n);
	if (err)
		return err == -ENOENT ? apply_no_dir(a) : err;
	if (apply_is(a, &n, &r->fid))
		return apply_skip(a);
	if (n.there && apply_is(a, &n, &r->old)) {
		err = apply_clear(a, &n);
		if (err)
			return err;
	} else if (n.there) {
		return apply_in_window(a) ? apply_skip(a) :
		       apply_misfit(a, &r->dir, "the name is taken");
	}
	fd = tree_get(&a->c->tree, &r->fid, O_PATH);
	if (fd >= 0) {
		err = apply_tag(a, IM_TAG_DIR_MTIME | IM_TAG_FINAL);
		if (!err && linkat(fd, "", n.dirfd, a->name, AT_EMPTY_PATH))
			err = -errno;
		close(fd);
		if (!err)
			return 0;
		if (err != -ENOENT && err != -ESTALE)
			return err;
	} else if (fd != -ENOENT) {
		return fd;
	}
	err = apply_place(a, &n, &r->fid);
	return err ? err : apply_skip(a);
}

/* What the limbo still holds of an object that is gone now. */
static int apply_forget(struct apply *a, const struct im_fid *fid)
{
	struct tree *t = &a->c->tree;
	char path[TREE_FDPATH], at[4096], *name;
	ssize_t k;
	int fd = tree_get(t, fid, O_PATH), err = 0;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	if (tree_in_limbo(t, fd)) {
		int limbo = tree_dir(t, &TREE_LIMBO);

		k = readlink(tree_fdpath(path, fd), at, sizeof(at) - 1);
		at[k < 0 ? 0 : k] = '\0';
		name = strrchr(at, '/');
		if (limbo >= 0 && name)
			err = tree_remove(t, limbo, name + 1);
	}
	close(fd);
	return err;
}

static int apply_remove(struct apply *a)
{
	const struct im_rec *r = a->it->rec;
	bool dir = fold_op(a->it) == IM_OP_RMDIR;
	bool last = dir || fold_flags(a->it) & IM_RF_LAST;
	struct apply_name n;
	int err;

	err = apply_look(a, &r->dir, a->name, &n);
	if (err && err != -ENOENT)
		return err;
	if (err || !apply_is(a, &n, &r->fid)) {
		if (!err && n.there && !apply_in_window(a))
			return apply_misfit(a, &r->dir,
					    "the name means another object");
		if (dir) {
			err = apply_forget(a, &r->fid);
			if (err)
				return err;
		}
		return apply_skip(a);
	}
	if (dir)
		tree_dir_forget(&a->c->tree, &r->fid);
	err = apply_tag(a, IM_TAG_DIR_MTIME | IM_TAG_FINAL);
	if (err)
		return err;
	if (unlinkat(n.dirfd, a->name, dir ? AT_REMOVEDIR : 0)) {
		err = -errno;
		if (err != -ENOTEMPTY && err != -EEXIST)
			return err;
		if (!apply_in_window(a))
			logmsg(LOG_WARNING,
			       "%s: directory '%s' was not empty when the server removed it",
			       a->c->f->name, a->name);
		err = tree_banish(&a->c->tree, n.dirfd, a->name);
		if (!err)
			err = tree_forget(&a->c->tree, &r->fid);
		return err ? err : apply_skip(a);
	}
	return last ? tree_forget(&a->c->tree, &r->fid) : 0;
}

static u32 apply_rename_times(const struct im_rec *r)
{
	return IM_TAG_DIR_MTIME |
	       (im_fid_eq(&r->dir, &r->dir2) ? 0 : IM_TAG_DIR2_MTIME);
}

/* The simple case: all is as it was at the server. 1: it is not. */
static int apply_rename_plain(struct apply *a, struct apply_name *from,
			      struct apply_name *to)
{
	const struct im_rec *r = a->it->rec;
	u32 flags = fold_flags(a->it);
	unsigned int how = 0;
	int err;

	if (!apply_is(a, from, &r->fid))
		return 1;
	if (flags & IM_RF_EXCHANGE) {
		if (!apply_is(a, to, &a->it->old))
			return 1;
		how = RENAME_EXCHANGE;
	} else {
		if (to->there && !apply_is(a, to, &a->it->old))
			return 1;
		if (flags & IM_RF_WHITEOUT)
			how |= RENAME_WHITEOUT;
		if (!to->there)
			how |= RENAME_NOREPLACE;
	}
	if (to->there && !(flags & IM_RF_EXCHANGE) && !im_fid_none(&a->it->old))
		tree_dir_forget(&a->c->tree, &a->it->old);
	err = apply_tag(a, apply_rename_times(r) | IM_TAG_FINAL);
	if (err)
		return err;
	if (renameat2(from->dirfd, from->name, to->dirfd, to->name, how)) {
		switch (errno) {
		case ENOTEMPTY:
		case EEXIST:
		case EINVAL:
		case ENOTDIR:
		case EISDIR:
			return 1;
		}
		return -errno;
	}
	if (flags & IM_RF_LAST && !(flags & IM_RF_EXCHANGE) &&
	    !im_fid_none(&r->old))
		return tree_forget(&a->c->tree, &r->old);
	return 0;
}

static int apply_exchange_late(struct apply *a, struct apply_name *from,
			       struct apply_name *to)
{
	const struct im_rec *r = a->it->rec;
	int err = 0;

	if (apply_is(a, to, &r->fid) && apply_is(a, from, &r->old))
		return apply_skip(a);
	if (apply_is(a, from, &r->fid)) {
		err = tree_banish(&a->c->tree, from->dirfd, from->name);
		from->there = false;
	}
	if (!err && apply_is(a, to, &r->old)) {
		err = tree_banish(&a->c->tree, to->dirfd, to->name);
		to->there = false;
	}
	if (!err && !to->there)
		err = apply_place(a, to, &r->fid);
	if (!err && !from->there) {
		/* much may have happened to the cache of handles */
		from->dirfd = tree_dir(&a->c->tree, from->fid);
		err = from->dirfd < 0 ? from->dirfd :
		      apply_place(a, from, &r->old);
	}
	return err ? err : apply_skip(a);
}

/* Inside the window: see the rules at the top. */
static int apply_rename_late(struct apply *a, struct apply_name *from,
			     struct apply_name *to)
{
	const struct im_rec *r = a->it->rec;
	int err = 0;

	if (apply_is(a, to, &r->fid)) {
		/* Both names are of one file: rename(2) would do nothing. */
		if (apply_is(a, from, &r->fid))
			err = apply_clear(a, from);
		return err ? err : apply_skip(a);
	}
	if (to->there && apply_is(a, to, &a->it->old)) {
		err = apply_clear(a, to);
		if (err)
			return err;
	}
	if (apply_is(a, from, &r->fid)) {
		err = tree_banish(&a->c->tree, from->dirfd, from->name);
		from->there = false;
	}
	if (!err && !to->there)
		err = apply_place(a, to, &r->fid);
	return err ? err : apply_skip(a);
}

static int apply_rename(struct apply *a)
{
	const struct im_rec *r = a->it->rec;
	struct apply_name from, to;
	int err, err2;

	err = apply_look(a, &r->dir, a->name, &from);
	err2 = apply_look(a, &r->dir2, a->name2, &to);
	if (!err2 && !err) {
		/* The second look may have used the first one's handle. */
		err = apply_look(a, &r->dir, a->name, &from);
	}
	if (err && err != -ENOENT)
		return err;
	if (err2 && err2 != -ENOENT)
		return err2;
	if (err && err2)
		return apply_no_dir(a);
	if (!err && !err2) {
		err = apply_rename_plain(a, &from, &to);
		if (err != 1)
			return err;
	} else if (!apply_in_window(a)) {
		return apply_no_dir(a);
	} else if (err) {
		/* out of a directory that is gone by now */
		from.there = false;
		if (fold_flags(a->it) & IM_RF_EXCHANGE)
			return apply_skip(a);
		return apply_rename_late(a, &from, &to);
	} else {
		/* into one that is not here yet, or no more */
		if (apply_is(a, &from, &r->fid))
			err = tree_banish(&a->c->tree, from.dirfd, from.name);
		return err < 0 && err != -ENOENT ? err : apply_skip(a);
	}
	if (!apply_in_window(a) && !apply_is(a, &to, &r->fid)) {
		/* Folded away before a restart, or a stranger's doing? */
		if (!from.there && !to.there)
			return apply_rename_late(a, &from, &to);
		err = apply_misfit(a, &r->dir, "source or target is another object");
		if (err != -EAGAIN || im_fid_eq(&r->dir, &r->dir2))
			return err;
		err = graft_dir(a->c, &r->dir2, client_window(a->c));
		return err ? err : -EAGAIN;
	}
	if (fold_flags(a->it) & IM_RF_EXCHANGE)
		return apply_exchange_late(a, &from, &to);
	return apply_rename_late(a, &from, &to);
}

static int apply_setattr(struct apply *a)
{
	const struct im_rec *r = a->it->rec;
	u32 valid = le32_to_cpu(r->valid);
	struct timespec ts[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = (time_t)le64_to_cpu(r->mtime),
		  .tv_nsec = le32_to_cpu(r->mtime_ns) },
	};
	char path[TREE_FDPATH];
	struct stat st;
	int fd = tree_get(&a->c->tree, &r->fid, O_PATH), err = 0;

	if (fd < 0)
		return fd == -ENOENT ? apply_unknown(a) : fd;
	if (fstat(fd, &st)) {
		close(fd);
		return -errno;
	}
	if (S_ISLNK(st.st_mode))
		valid &= ~IM_AV_MODE;
	if (!err && valid & (IM_AV_UID | IM_AV_GID)) {
		err = apply_tag(a, valid & (IM_AV_MODE | IM_AV_MTIME) ?
				0 : IM_TAG_FINAL);
		if (!err && fchownat(fd, "",
				     valid & IM_AV_UID ?
					le32_to_cpu(r->uid) : (uid_t)-1,
				     valid & IM_AV_GID ?
					le32_to_cpu(r->gid) : (gid_t)-1,
				     AT_EMPTY_PATH))
			err = -errno;
	}
	if (!err && valid & IM_AV_MODE) {
		err = apply_tag(a, valid & IM_AV_MTIME ? 0 : IM_TAG_FINAL);
		if (!err && chmod(tree_fdpath(path, fd),
				  le32_to_cpu(r->mode) & 07777))
			err = -errno;
	}
	if (!err && valid & IM_AV_MTIME) {
		err = apply_tag(a, IM_TAG_FINAL);
		if (!err && utimensat(fd, "", ts, AT_EMPTY_PATH))
			err = -errno;
	}
	close(fd);
	return err;
}

static int apply_xattr(struct apply *a)
{
	const struct im_rec *r = a->it->rec;
	const struct im_body *b = &a->it->body;
	bool set = fold_op(a->it) == IM_OP_SETXATTR;
	int fd = tree_get(&a->c->tree, &r->fid, O_PATH), err;

	if (fd < 0)
		return fd == -ENOENT ? apply_unknown(a) : fd;
	err = apply_tag(a, IM_TAG_FINAL);
	if (!err)
		err = shape_setxattr(fd, b->name, b->name_len,
				     set ? (b->data ? b->data : "") : NULL,
				     b->data_len);
	close(fd);
	return err;
}

static int apply_record(struct apply *a)
{
	switch (fold_op(a->it)) {
	case IM_OP_CREATE:
	case IM_OP_MKDIR:
	case IM_OP_MKNOD:
	case IM_OP_SYMLINK:
		return apply_make(a);
	case IM_OP_LINK:
		return apply_link(a);
	case IM_OP_UNLINK:
	case IM_OP_RMDIR:
		return apply_remove(a);
	case IM_OP_RENAME:
		return apply_rename(a);
	case IM_OP_SETATTR:
		return apply_setattr(a);
	case IM_OP_SETXATTR:
	case IM_OP_REMOVEXATTR:
		return apply_xattr(a);
	case IM_OP_CLOSE:
	case IM_OP_SYNC:
		return apply_data(a);
	}
	return 0;
}

/* Only this client may use the number of the limbo. */
static bool apply_fids_ok(const struct im_rec *r)
{
	return !im_fid_eq(&r->fid, &TREE_LIMBO) &&
	       !im_fid_eq(&r->dir, &TREE_LIMBO) &&
	       !im_fid_eq(&r->dir2, &TREE_LIMBO) &&
	       !im_fid_eq(&r->old, &TREE_LIMBO);
}

int apply_item(struct client *c, struct fold_item *v, size_t i, size_t n)
{
	struct apply a = { .c = c, .v = v, .i = i, .n = n, .it = &v[i] };
	const struct im_body *b = &v[i].body;
	int err, tries = 0;

	if (v[i].act == FOLD_DROP)
		return 0;
	if (!apply_fids_ok(v[i].rec))
		return -EPROTO;
	if (im_op_is_namespace(fold_op(&v[i]))) {
		apply_text(b->name, b->name_len, a.name);
		apply_text(b->name2, b->name2_len, a.name2);
	}
	c->tree.recno = v[i].recno;
	c->tree.low = v[i].low;
	do {
		err = v[i].act == FOLD_TIMES ? apply_times(&a, v[i].times) :
		      apply_record(&a);
		if (err == -ENOSPC || err == -EDQUOT) {
			err = client_wait_room(c->f, err);
			if (!err)
				err = -EAGAIN;
		} else if (err == -EAGAIN && ++tries > 3) {
			err = -EUCLEAN;
		}
	} while (err == -EAGAIN);
	if (client_hopeless(err)) {
		logmsg(LOG_ERR,
		       "%s: record %llu (%s %s) cannot be applied here and is left out: %s",
		       c->f->name, (unsigned long long)v[i].recno,
		       im_op_name(fold_op(&v[i])), a.name, strerror(-err));
		err = 0;
	}
	if (err && !http_is_remote(err))
		snprintf(c->why, sizeof(c->why), "record %llu (%s %.60s): %s",
			 (unsigned long long)v[i].recno,
			 im_op_name(fold_op(&v[i])), a.name, strerror(-err));
	else if (err && !c->why[0])
		snprintf(c->why, sizeof(c->why), "%.500s", http_error(c->http));
	return err;
}
