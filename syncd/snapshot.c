// SPDX-License-Identifier: GPL-2.0
/*
 * The tree as a stream, while it changes.
 *
 * BEGIN carries S, the newest durable record before the walk. All records up
 * to S are done: the walk sees their effect. A change with a later record may
 * be seen or not; the client replays the log from S + 1 on, and every record is
 * a statement about one key, so replay makes right what it touches, and what
 * it does not touch did not change. This holds:
 * - for an object that is read in the middle of a change: it is read through
 *   one descriptor, each attribute it shows was true after S;
 * - for a directory renamed in front of or behind the walk: it is met twice or
 *   never, and its RENAME is later than S. Directories are opened by FID, so
 *   one that moved is still the one that was listed;
 * - for data of files that are open: what was written before the last SYNC or
 *   CLOSE up to S was there before the client asks for the data; what comes
 *   later is in the ranges of a SYNC or CLOSE after S, since every DIRTY is
 *   followed by one, also after a crash;
 * - for changes seen that were not durable yet: END waits for the log to be
 *   durable up to its newest record after the walk (answer.h), and a client
 *   without END has no snapshot. After a crash in between he asks again and
 *   finds what survived.
 *
 * Directories that wait are a stack of {parent, fid, name}: memory grows with
 * the subdirectories of the directories on one path, not with the tree.
 */
#include "answer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SNAPSHOT_BATCH	(64U << 10)	/* objects in one ENTRY frame */

enum snapshot_state { SNAP_BEGIN, SNAP_NEXT, SNAP_DIR, SNAP_END };

struct snapshot {
	struct answer a;
	enum snapshot_state state;
	bool whole;
	struct im_fid root;		/* of the fileset */
	struct im_fid top;		/* of the walk */
	struct im_buf stack;		/* struct pending, name, NUL, le16 length */
	DIR *dir;
	struct im_fid fid;		/* of dir */
	struct im_buf objs;		/* not sent yet */
};

struct pending {
	struct im_fid fid;
	struct im_fid parent;
};

static void snapshot_push(struct snapshot *s, const struct im_fid *fid,
			  const struct im_fid *parent, const char *name)
{
	struct pending p = { .fid = *fid, .parent = *parent };
	u16 len = strlen(name) + 1;

	im_buf_put(&s->stack, &p, sizeof(p));
	im_buf_put(&s->stack, name, len);
	im_buf_put(&s->stack, &len, sizeof(len));
}

static bool snapshot_pop(struct snapshot *s, struct im_fid *fid,
			 struct hint *hint)
{
	struct pending p;
	u8 *end = s->stack.p + s->stack.len;
	u16 len;

	if (!s->stack.len)
		return false;
	memcpy(&len, end - sizeof(len), sizeof(len));
	end -= sizeof(len) + len;
	memcpy(hint->name, end, len);
	end -= sizeof(p);
	memcpy(&p, end, sizeof(p));
	*fid = p.fid;
	hint->dir = p.parent;
	s->stack.len = end - s->stack.p;
	return true;
}

static void snapshot_flush(struct snapshot *s)
{
	if (!s->objs.len)
		return;
	im_frame_put(&s->a.out, IM_FR_ENTRY, s->objs.p, s->objs.len,
		     ANSWER_LEVEL);
	im_buf_reset(&s->objs);
}

static int snapshot_begin(struct snapshot *s)
{
	struct im_wire_begin b = { 0 };
	struct hint none = { 0 };
	struct im_ioc_info info;
	struct stat st;
	u64 next;
	int fd, err;

	err = kml_info(s->a.f, &info);
	if (err)
		return err;
	s->root.ino = cpu_to_le64(info.root_ino);
	s->root.gen = cpu_to_le32(info.root_gen);
	if (s->whole)
		s->top = s->root;
	b.start = cpu_to_le64(info.durable);
	b.incarnation = cpu_to_le64(info.incarnation);
	b.root = s->root;
	im_frame_put(&s->a.out, IM_FR_BEGIN, &b, sizeof(b), 0);
	for (next = info.durable; next != UINT64_MAX;) {
		err = kml_put_epoch(s->a.f, &s->a.out, next, &next);
		if (err)
			return err;
	}

	s->state = SNAP_END;
	fd = answer_fid_open(&s->a, &s->top, &none, O_PATH);
	if (fd == -ESTALE) {
		answer_gone(&s->a, &s->top);
		return 1;
	}
	if (fd < 0)
		return fd;
	err = object_put(&s->objs, fd, &s->top, NULL);
	if (!err && fstat(fd, &st) < 0)
		err = -errno;
	close(fd);
	if (err)
		return err;
	im_frame_put(&s->a.out, IM_FR_OBJECT, s->objs.p, s->objs.len,
		     ANSWER_LEVEL);
	im_buf_reset(&s->objs);
	if (S_ISDIR(st.st_mode)) {
		snapshot_push(s, &s->top, &none.dir, "");
		s->state = SNAP_NEXT;
	}
	return 1;
}

static int snapshot_next(struct snapshot *s)
{
	struct hint hint;
	int fd;

	if (!snapshot_pop(s, &s->fid, &hint)) {
		s->state = SNAP_END;
		return 1;
	}
	/* a directory is found wherever it is, no name is needed */
	fd = fid_open(s->a.f, &s->fid, &hint.dir, hint.name,
		      O_RDONLY | O_DIRECTORY);
	if (fd == -ESTALE)
		return 1;	/* removed: its RMDIR is in the log */
	if (fd < 0)
		return fd;
	s->dir = fdopendir(fd);
	if (!s->dir) {
		fd = -errno;
		return fd;
	}
	im_frame_put(&s->a.out, IM_FR_DIR, &s->fid, sizeof(s->fid), 0);
	s->state = SNAP_DIR;
	return 1;
}

static int snapshot_dirend(struct snapshot *s)
{
	struct im_wire_dirend e = { .fid = s->fid };
	struct stat st;

	snapshot_flush(s);
	if (fstat(dirfd(s->dir), &st) < 0)
		return -errno;
	e.mtime = cpu_to_le64(st.st_mtim.tv_sec);
	e.mtime_ns = cpu_to_le32(st.st_mtim.tv_nsec);
	im_frame_put(&s->a.out, IM_FR_DIREND, &e, sizeof(e), 0);
	closedir(s->dir);
	s->dir = NULL;
	s->state = SNAP_NEXT;
	return 1;
}

/* 0, or -errno; an entry that went meanwhile is none. */
static int snapshot_entry(struct snapshot *s, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_XDEV,
	};
	size_t before = s->objs.len;
	struct im_fid fid;
	struct stat st;
	int fd, err;

	fd = (int)syscall(SYS_openat2, dirfd(s->dir), name, &how, sizeof(how));
	if (fd < 0) {
		if (errno == ENOENT || errno == ESTALE)
			return 0;
		if (errno == EXDEV) {
			logmsg(4, "%s: '%s' is a mount point, what is below it is not replicated",
			       s->a.f->name, name);
			return 0;
		}
		return -errno;
	}
	err = fid_of(fd, "", &fid);
	if (!err && fstat(fd, &st) < 0)
		err = -errno;
	if (!err)
		err = object_put(&s->objs, fd, &fid, name);
	close(fd);
	if (err == -ESTALE || err == -ENOENT) {
		s->objs.len = before;
		return 0;
	}
	if (err) {
		snprintf(s->a.err, sizeof(s->a.err), "cannot describe '%.80s'",
			 name);
		return err;
	}
	if (S_ISDIR(st.st_mode))
		snapshot_push(s, &fid, &s->fid, name);
	/* a frame must hold them all: send those before the one too many */
	if (before && s->objs.len > SNAPSHOT_BATCH) {
		im_frame_put(&s->a.out, IM_FR_ENTRY, s->objs.p, before,
			     ANSWER_LEVEL);
		memmove(s->objs.p, s->objs.p + before, s->objs.len - before);
		s->objs.len -= before;
	}
	return s->stack.err;
}

static int snapshot_dir(struct snapshot *s)
{
	const struct dirent *d;
	int err;

	while (s->a.out.len < ANSWER_FILL) {
		if (atomic_load(s->a.stop))
			return -ESHUTDOWN;
		errno = 0;
		d = readdir(s->dir);
		if (!d) {
			/* -ENOENT: removed while it was read */
			if (errno && errno != ENOENT)
				return -errno;
			return snapshot_dirend(s);
		}
		if (!im_name_ok(d->d_name, strlen(d->d_name)))
			continue;
		if (im_fid_eq(&s->fid, &s->root) &&
		    !strcmp(d->d_name, IM_STATE_DIR))
			continue;
		err = snapshot_entry(s, d->d_name);
		if (err)
			return err;
	}
	return 1;
}

static int snapshot_end(struct snapshot *s)
{
	struct im_ioc_info info;
	__le64 last;
	int err;

	err = kml_info(s->a.f, &info);
	if (err)
		return err;
	last = cpu_to_le64(info.last);
	im_frame_put(&s->a.out, IM_FR_END, &last, sizeof(last), 0);
	s->a.settle = true;
	return 0;
}

static int snapshot_more(struct answer *a)
{
	struct snapshot *s = (struct snapshot *)a;
	int r = 1;

	while (r > 0 && a->out.len < ANSWER_FILL) {
		switch (s->state) {
		case SNAP_BEGIN:
			r = snapshot_begin(s);
			break;
		case SNAP_NEXT:
			r = snapshot_next(s);
			break;
		case SNAP_DIR:
			r = snapshot_dir(s);
			break;
		case SNAP_END:
			r = snapshot_end(s);
			break;
		}
	}
	return r;
}

static void snapshot_free(struct answer *a)
{
	struct snapshot *s = (struct snapshot *)a;

	if (s->dir)
		closedir(s->dir);
	im_buf_free(&s->stack);
	im_buf_free(&s->objs);
	free(s);
}

struct answer *snapshot_answer(const struct im_fid *fid)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->whole = !fid;
	if (fid)
		s->top = *fid;
	s->a.fids = &s->top;
	s->a.fid_count = 1;
	s->a.more = snapshot_more;
	s->a.free = snapshot_free;
	return &s->a;
}
