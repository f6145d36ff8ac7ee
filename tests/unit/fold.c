// SPDX-License-Identifier: GPL-2.0
/*
 * Folding a batch: by cases, and by a model. The model is a tree of names and
 * objects; a random history is applied record by record and folded, and both
 * must end in the same tree, also when the folded run is cut anywhere and
 * begun again at the place that its tags say.
 *
 * links: syncd/fold.c
 */
#include "syncd/fold.h"

#include <stdlib.h>

#include "tap.h"

#define MAX	4000
#define SELF	0x77

static u8 *arena[MAX];
static struct fold_item v[MAX];
static size_t n;

static struct im_fid fid(u64 ino)
{
	return (struct im_fid){ .ino = cpu_to_le64(ino), .gen = cpu_to_le32(1) };
}

struct spec {
	unsigned int op;
	u64 fid, dir, dir2, old;
	const char *name, *name2;
	u32 flags, valid;
	u64 off, len, trunc, size;
	u32 mode;
	const char *data;
};

static void put(u64 recno, const struct spec *s)
{
	struct im_range range = { cpu_to_le64(s->off), cpu_to_le64(s->len) };
	bool data = im_op_is_data(s->op);
	struct im_body body = {
		.name = s->name, .name_len = s->name ? strlen(s->name) : 0,
		.name2 = s->name2, .name2_len = s->name2 ? strlen(s->name2) : 0,
		.data = data ? (const void *)&range : s->data,
		.data_len = data ? (s->len ? sizeof(range) : 0) :
			    s->data ? strlen(s->data) : 0,
	};
	struct im_rec h = {
		.magic = cpu_to_le32(IM_REC_MAGIC),
		.seg = cpu_to_le64(1),
		.recno = cpu_to_le64(recno),
		.op = cpu_to_le16(s->op),
		.state = IM_RS_DONE,
		.flags = cpu_to_le32(s->flags),
		.fid = fid(s->fid),
		.mode = cpu_to_le32(s->mode ? s->mode : 0100644),
		.size = cpu_to_le64(s->size),
		.trunc = cpu_to_le64(s->trunc),
		.valid = cpu_to_le32(s->valid),
		.dir_mtime = cpu_to_le64(recno),
		.dir2_mtime = cpu_to_le64(recno),
		.mtime = cpu_to_le64(recno),
	};
	size_t need;
	int err;

	if (s->dir)
		h.dir = fid(s->dir);
	if (s->dir2)
		h.dir2 = fid(s->dir2);
	if (s->old)
		h.old = fid(s->old);
	arena[n] = realloc(arena[n], im_rec_len(&body));
	im_rec_encode(arena[n], &h, &body);
	err = im_rec_check(arena[n], im_rec_len(&body), &need, &body);
	if (err) {
		diag("record %u is refused: %d", s->op, err);
		exit(1);
	}
	fold_item_set(&v[n], (void *)arena[n], &body, false);
	n++;
}

static u64 window;	/* of the batches that follow */

static void start(void)
{
	size_t i;

	for (i = 0; i < n; i++)
		fold_item_free(&v[i]);
	n = 0;
}

static void batch(const struct spec *s, size_t count)
{
	size_t i;

	start();
	for (i = 0; i < count; i++)
		put(100 + i, &s[i]);
	if (fold_run(v, n, SELF, window))
		exit(1);
}

#define BATCH(...) do {						\
	const struct spec all[] = { __VA_ARGS__ };		\
	batch(all, sizeof(all) / sizeof(*all));			\
} while (0)

#define CREATE(f, d, nm) { .op = IM_OP_CREATE, .fid = f, .dir = d, .name = nm }
#define MKDIR(f, d, nm) \
	{ .op = IM_OP_MKDIR, .fid = f, .dir = d, .name = nm, .mode = 040755 }
#define UNLINK(f, d, nm, fl) \
	{ .op = IM_OP_UNLINK, .fid = f, .dir = d, .name = nm, .flags = fl }
#define RMDIR(f, d, nm) \
	{ .op = IM_OP_RMDIR, .fid = f, .dir = d, .name = nm, .mode = 040755 }
#define RENAME(f, d, nm, d2, nm2, o, fl) \
	{ .op = IM_OP_RENAME, .fid = f, .dir = d, .name = nm, .dir2 = d2, \
	  .name2 = nm2, .old = o, .flags = fl }
#define CLOSED(f, o, l, t, s, fl) \
	{ .op = IM_OP_CLOSE, .fid = f, .off = o, .len = l, .trunc = t, \
	  .size = s, .flags = fl }
#define CLOSE(f, o, l, t, s) CLOSED(f, o, l, t, s, 0)
#define SETATTR(f, va) { .op = IM_OP_SETATTR, .fid = f, .valid = va }
#define SETX(f, nm, d) \
	{ .op = IM_OP_SETXATTR, .fid = f, .name = nm, .data = d }

static void acts(const char *want, const char *what)
{
	char got[64];
	size_t i;

	for (i = 0; i < n && i < sizeof(got) - 1; i++)
		got[i] = "-AT"[v[i].act];
	got[i] = '\0';
	if (!ok(!strcmp(got, want), "%s", what))
		diag("got %s, want %s", got, want);
}

static void cases(void)
{
	BATCH(CREATE(10, 1, "a"), CLOSE(10, 0, 5, 0, 5),
	      UNLINK(10, 1, "a", IM_RF_LAST));
	acts("--T", "made and removed: only the directory's time is left");
	is(v[2].times, FOLD_TIMES_DIR, "of the one directory");

	BATCH(SETX(10, "system.posix_acl_access", "v"),
	      { .op = IM_OP_REMOVEXATTR, .fid = 10,
		.name = "system.posix_acl_access" });
	acts("AA", "an ACL that goes leaves the mode that it had set");
	BATCH(SETX(10, "system.posix_acl_access", "v"),
	      SETX(10, "system.posix_acl_access", "w"));
	acts("-A", "another ACL does not");
	BATCH(SETX(10, "user.x", "v"),
	      { .op = IM_OP_REMOVEXATTR, .fid = 10, .name = "user.x" });
	acts("-A", "nor does another xattr");

	window = 100;
	BATCH(CREATE(10, 1, "a"), CLOSE(10, 0, 5, 0, 5),
	      UNLINK(10, 1, "a", IM_RF_LAST));
	acts("A-A", "a snapshot may have brought it: it is removed");
	BATCH(CLOSE(9, 0, 5, 0, 5), CREATE(10, 1, "a"),
	      UNLINK(10, 1, "a", IM_RF_LAST));
	acts("A-T", "made after the snapshot");
	window = 0;

	BATCH(CREATE(10, 1, "a"), UNLINK(10, 1, "a", IM_RF_LAST),
	      CREATE(11, 1, "b"));
	acts("--A", "a later change of the directory carries its time");

	BATCH(CREATE(10, 1, "a"), RENAME(10, 1, "a", 2, "b", 0, 0),
	      UNLINK(10, 2, "b", IM_RF_LAST));
	acts("-TT", "through a rename: the times of both directories");

	BATCH(CREATE(10, 1, "a"), RENAME(10, 1, "a", 1, "b", 9, IM_RF_LAST),
	      UNLINK(10, 1, "b", IM_RF_LAST));
	acts("AAA", "what replaced something on the way stays");

	BATCH(CREATE(10, 1, "a"), CREATE(11, 1, "b"),
	      RENAME(11, 1, "b", 1, "a", 10, IM_RF_LAST));
	acts("-AA", "made and replaced");
	ok(im_fid_none(&v[2].old), "the rename then replaces nothing");

	BATCH(MKDIR(10, 1, "d"), CREATE(11, 10, "f"),
	      UNLINK(11, 10, "f", IM_RF_LAST), RMDIR(10, 1, "d"));
	acts("---T", "a directory and what was in it");

	BATCH(MKDIR(10, 1, "d"), CREATE(11, 10, "f"),
	      RENAME(11, 10, "f", 1, "g", 0, 0), RMDIR(10, 1, "d"));
	acts("AAAA", "something came out of the directory");

	BATCH(MKDIR(10, 1, "d"), MKDIR(12, 10, "e"), CREATE(11, 12, "f"),
	      RENAME(11, 12, "f", 1, "g", 0, 0), RMDIR(12, 10, "e"),
	      RMDIR(10, 1, "d"));
	acts("AAAAAA", "out of one inside it");

	BATCH(CLOSE(10, 0, 5, 100, 100), CLOSE(10, 50, 5, 60, 80),
	      CLOSE(10, 90, 1, 80, 91));
	acts("--A", "data records become one, at the last");
	is(v[2].trunc, 60, "the least truncation");
	is(v[2].first, 100, "owed since the first");
	is(v[0].low, 100, "low stays until it is applied");
	is(v[2].low, 100, "and at it");
	ok(im_ranges_hit(&v[2].ranges, 0, 5) &&
	   im_ranges_hit(&v[2].ranges, 50, 55) &&
	   im_ranges_hit(&v[2].ranges, 90, 91) &&
	   im_ranges_bytes(&v[2].ranges) == 11, "all ranges");

	BATCH(CREATE(10, 1, "a"), CLOSED(10, 0, 5, 0, 5, IM_RF_ATTRS),
	      SETATTR(10, IM_AV_MODE), CLOSE(10, 5, 5, 5, 10));
	acts("AAAA", "attributes in a data record stay in front of a SETATTR");
	BATCH(CLOSE(10, 0, 5, 0, 5), CLOSED(10, 5, 5, 5, 10, IM_RF_ATTRS));
	acts("-A", "what is older becomes part of such a record");
	BATCH(CLOSE(10, 0, 5, 0, 5), SETX(10, "security.capability", "v"),
	      CLOSE(10, 5, 5, 5, 10));
	acts("AAA", "data does not move behind the capabilities that it would take");
	BATCH(CLOSE(10, 0, 5, 0, 5), SETX(10, "user.x", "v"),
	      CLOSE(10, 5, 5, 5, 10));
	acts("-AA", "behind other xattrs it does");

	BATCH(CLOSE(10, 50, 20, 0, 100), CLOSE(10, 0, 5, 60, 80));
	is(im_ranges_bytes(&v[1].ranges), 15,
	   "what a later truncation cut off is not fetched");

	BATCH(CREATE(10, 1, "t"), CLOSE(10, 0, 9, 0, 9),
	      RENAME(10, 1, "t", 1, "doc", 5, IM_RF_LAST),
	      CLOSE(10, 9, 1, 9, 10));
	acts("AAAA", "data does not move behind the rename that shows it");
	ok(im_fid_eq(&v[1].basis, &v[2].rec->old), "what it replaces is the basis");

	BATCH(RENAME(5, 1, "doc", 1, "doc~", 0, 0), CREATE(10, 1, "doc"),
	      CLOSE(10, 0, 9, 0, 9));
	ok(im_fid_eq(&v[2].basis, &v[0].rec->fid), "what made way is the basis");

	BATCH(CLOSE(10, 0, 5, 0, 5), SETATTR(10, IM_AV_MODE),
	      UNLINK(10, 1, "x", IM_RF_LAST));
	acts("--A", "no data for what is removed");

	BATCH(CLOSE(10, 0, 5, 0, 5), RENAME(10, 1, "t", 1, "doc", 5, IM_RF_LAST),
	      UNLINK(10, 1, "doc", IM_RF_LAST));
	acts("AAA", "but for what was shown in between");

	BATCH(SETATTR(10, IM_AV_MODE), SETATTR(10, IM_AV_MODE | IM_AV_MTIME),
	      SETATTR(10, IM_AV_UID));
	acts("-AA", "an attribute that is stated again");

	BATCH(SETATTR(10, IM_AV_MODE), CLOSE(10, 0, 5, 0, 5),
	      SETATTR(10, IM_AV_MODE));
	acts("AAA", "a mode is not late for the data it protects");

	BATCH(SETATTR(10, IM_AV_GID), CREATE(11, 10, "f"),
	      SETATTR(10, IM_AV_GID));
	acts("AAA", "what is made in a directory inherits its group of then");
	BATCH(SETX(10, "system.posix_acl_default", "1"), MKDIR(11, 10, "d"),
	      SETX(10, "system.posix_acl_default", "2"));
	acts("AAA", "and its default ACL");
	BATCH(SETATTR(10, IM_AV_GID), CREATE(11, 10, "f"),
	      RENAME(11, 10, "f", 1, "f", 0, 0), RMDIR(10, 1, "d"));
	acts("AAAA", "also when it is removed later");

	BATCH(SETX(10, "user.a", "1"), SETX(10, "user.b", "1"),
	      SETX(10, "user.a", "2"));
	acts("-AA", "the last xattr of a name");

	BATCH(SETX(10, "system.posix_acl_access", "1"),
	      SETATTR(10, IM_AV_MODE),
	      SETX(10, "system.posix_acl_access", "2"));
	acts("AAA", "ACLs and modes keep their order");
}

/* The model */

#define M_OBJ	400
#define M_NAMES	12		/* per directory */
#define M_DIRS	6		/* FIDs 1 .. are directories that stay */

struct m_obj {
	bool live, dir;
	u32 links;
	u64 mtime, mode;	/* recno of what stated it last */
	u64 data[16];		/* recno of each block's content; 0: hole */
	u64 size;
};

struct model {
	struct m_obj o[M_OBJ];
	u64 name[M_OBJ][M_NAMES];
};

static const char *const names[M_NAMES] = {
	"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"
};

static int name_of(const char *p, size_t len)
{
	return len == 1 ? p[0] - 'a' : -1;
}

/*
 * What the client does with one item, tolerant as it is after a restart.
 * srv: where data comes from, as of the end of the history.
 */
static void m_apply(struct model *m, const struct fold_item *it,
		    const struct model *srv, bool folded)
{
	const struct im_rec *r = it->rec;
	u64 f = le64_to_cpu(r->fid.ino), d = le64_to_cpu(r->dir.ino);
	u64 d2 = le64_to_cpu(r->dir2.ino), old = le64_to_cpu(it->old.ino);
	u64 recno = it->recno;
	struct m_obj *o = &m->o[f];
	int a = name_of(it->body.name, it->body.name_len);
	int b = name_of(it->body.name2, it->body.name2_len);
	u32 i;

	if (it->act == FOLD_TIMES) {
		if (it->times & FOLD_TIMES_DIR)
			m->o[d].mtime = recno;
		if (it->times & FOLD_TIMES_DIR2)
			m->o[d2].mtime = recno;
		return;
	}
	if (it->act != FOLD_APPLY)
		return;
	switch (fold_op(it)) {
	case IM_OP_CREATE:
	case IM_OP_MKDIR:
		memset(o, 0, sizeof(*o));
		o->mode = recno;
		o->live = true;
		o->dir = fold_op(it) == IM_OP_MKDIR;
		o->links = 1;
		m->name[d][a] = f;
		m->o[d].mtime = recno;
		o->mtime = recno;
		break;
	case IM_OP_LINK:
		if (o->live) {
			m->name[d][a] = f;
			o->links++;
		}
		m->o[d].mtime = recno;
		break;
	case IM_OP_UNLINK:
	case IM_OP_RMDIR:
		if (m->name[d][a] == f) {
			m->name[d][a] = 0;
			if (!--o->links)
				o->live = false;
		}
		m->o[d].mtime = recno;
		break;
	case IM_OP_RENAME:
		m->o[d].mtime = m->o[d2].mtime = recno;
		if (m->name[d][a] != f)
			break;	/* gone at the server: vanished before a cut */
		if (fold_flags(it) & IM_RF_EXCHANGE) {
			m->name[d][a] = m->name[d2][b];
			m->name[d2][b] = f;
			break;
		}
		if (m->name[d2][b]) {
			struct m_obj *x = &m->o[m->name[d2][b]];

			if (m->name[d2][b] != old && folded)
				m->o[0].live = true;	/* misfit */
			if (!--x->links)
				x->live = false;
		}
		m->name[d][a] = 0;
		m->name[d2][b] = f;
		break;
	case IM_OP_SETATTR:
		if (o->live && le32_to_cpu(r->valid) & IM_AV_MTIME)
			o->mtime = recno;
		if (o->live && le32_to_cpu(r->valid) & IM_AV_MODE)
			o->mode = recno;
		break;
	case IM_OP_CLOSE:
		if (!o->live)
			break;
		if (!it->redo && fold_flags(it) & IM_RF_ATTRS)
			o->mode = recno;
		for (i = 0; i < 16; i++) {
			if (i >= it->trunc)
				o->data[i] = 0;
			if (im_ranges_hit(&it->ranges, i, i + 1))
				o->data[i] = srv->o[f].data[i];
		}
		o->size = le64_to_cpu(r->size);
		/* what is redone is data alone: see content.c */
		if (!it->redo)
			o->mtime = recno;
		for (i = o->size; i < 16; i++)
			o->data[i] = 0;
		break;
	}
}

static struct spec hist[MAX];

/* A random history, and the server's tree at its end. */
static size_t m_history(struct model *srv, size_t want)
{
	size_t len = 0;
	u64 next = M_DIRS + 1;
	int i;

	memset(srv, 0, sizeof(*srv));
	for (i = 1; i <= M_DIRS; i++)
		srv->o[i] = (struct m_obj){ .live = true, .dir = true, .links = 1 };
	while (len < want && next < M_OBJ - 2) {
		struct spec *s = &hist[len];
		u64 d = 1 + rnd_below(next - 1), d2 = 1 + rnd_below(next - 1), f, x;
		int a = rnd_below(M_NAMES), b = rnd_below(M_NAMES);
		struct m_obj *o;

		memset(s, 0, sizeof(*s));
		if (!srv->o[d].live || !srv->o[d].dir || !srv->o[d2].live ||
		    !srv->o[d2].dir)
			continue;
		f = srv->name[d][a];
		o = &srv->o[f];
		*s = (struct spec){ .dir = d, .name = names[a], .fid = f };
		if (!f) {
			s->op = rnd_below(4) ? IM_OP_CREATE : IM_OP_MKDIR;
			s->fid = next++;
			s->mode = s->op == IM_OP_CREATE ? 0100644 : 040755;
			o = &srv->o[s->fid];
			*o = (struct m_obj){ .live = true, .links = 1,
				.dir = s->op == IM_OP_MKDIR };
			srv->name[d][a] = s->fid;
			len++;
			continue;
		}
		switch (rnd_below(8)) {
		case 0:
		case 1:
			for (i = 0; o->dir && i < M_NAMES; i++) {
				if (srv->name[f][i])
					break;
			}
			if (o->dir && i < M_NAMES)
				continue;
			s->op = o->dir ? IM_OP_RMDIR : IM_OP_UNLINK;
			s->mode = o->dir ? 040755 : 0100644;
			srv->name[d][a] = 0;
			if (!--o->links) {
				o->live = false;
				s->flags = IM_RF_LAST;
			}
			break;
		case 2:
		case 3:
			x = srv->name[d2][b];
			/* files replace files, directories take free names */
			if (x == f || (o->dir && (x || d2 != d)) ||
			    (x && srv->o[x].dir))
				continue;
			s->op = IM_OP_RENAME;
			s->mode = o->dir ? 040755 : 0100644;
			s->dir2 = d2;
			s->name2 = names[b];
			s->old = x;
			if (x && !rnd_below(4)) {
				s->flags = IM_RF_EXCHANGE;
				srv->name[d][a] = x;
				srv->name[d2][b] = f;
				break;
			}
			if (x && !--srv->o[x].links) {
				srv->o[x].live = false;
				s->flags = IM_RF_LAST;
			}
			srv->name[d][a] = 0;
			srv->name[d2][b] = f;
			break;
		case 4:
			if (o->dir || srv->name[d2][b])
				continue;
			s->op = IM_OP_LINK;
			s->dir = d2;
			s->name = names[b];
			srv->name[d2][b] = f;
			o->links++;
			break;
		case 5:
			s->op = IM_OP_SETATTR;
			s->name = NULL;
			s->valid = 1 + rnd_below(15);
			break;
		default:
			if (o->dir)
				continue;
			s->op = IM_OP_CLOSE;
			s->name = NULL;
			s->flags = rnd_below(4) ? 0 : IM_RF_ATTRS;
			s->trunc = rnd_below(3) ? o->size :
				   rnd_below(o->size + 1);
			s->off = rnd_below(14);
			s->len = rnd_below(16 - s->off);
			s->size = s->trunc;
			if (s->len && s->off + s->len > s->size)
				s->size = s->off + s->len;
			for (i = 0; i < 16; i++) {
				if ((u64)i >= s->trunc)
					o->data[i] = 0;
				if ((u64)i >= s->off &&
				    (u64)i < s->off + s->len)
					o->data[i] = 100 + len;
			}
			o->size = s->size;
		}
		len++;
	}
	return len;
}

static void m_start(struct model *m)
{
	u64 i;

	memset(m, 0, sizeof(*m));
	for (i = 1; i <= M_DIRS; i++)
		m->o[i] = (struct m_obj){ .live = true, .dir = true, .links = 1 };
}

static bool m_same(const struct model *a, const struct model *b)
{
	u64 i;
	int k;

	if (a->o[0].live || b->o[0].live)
		return false;
	for (i = 1; i < M_OBJ; i++) {
		const struct m_obj *x = &a->o[i], *y = &b->o[i];

		if (x->live != y->live) {
			diag("object %llu", (unsigned long long)i);
			return false;
		}
		if (!x->live)
			continue;
		if (x->dir != y->dir || x->links != y->links ||
		    x->mtime != y->mtime || x->mode != y->mode ||
		    x->size != y->size ||
		    memcmp(x->data, y->data, sizeof(x->data))) {
			diag("content of %llu", (unsigned long long)i);
			return false;
		}
		for (k = 0; k < M_NAMES; k++) {
			if (x->dir && a->name[i][k] != b->name[i][k]) {
				diag("name %s in %llu", names[k],
				     (unsigned long long)i);
				return false;
			}
		}
	}
	return true;
}

/* Applies hist[from ..] in batches; stops behind item `cut` in all. */
static void m_run(struct model *m, const struct model *srv, size_t from,
		  size_t len, size_t rcvd, size_t size, bool fold, size_t cut,
		  size_t *recno, size_t *low)
{
	size_t at = from, done = 0, i;

	while (at < len) {
		start();
		for (i = at; i < len && i - at < size; i++) {
			put(100 + i, &hist[i]);
			v[n - 1].redo = i < rcvd;
		}
		at = i;
		if (fold) {
			if (fold_run(v, n, SELF, window))
				exit(1);
		} else {
			for (i = 0; i < n; i++)
				v[i].act = FOLD_APPLY;
		}
		for (i = 0; i < n; i++) {
			m_apply(m, &v[i], srv, fold);
			if (!v[i].redo) {
				*recno = v[i].recno - 100 + 1;
				*low = v[i].low - 100;
			}
			if (++done == cut)
				return;
		}
		*low = at;
	}
}

static void models(void)
{
	static struct model srv, plain, once, again;
	unsigned int round, bad = 0, cuts = 0;

	for (round = 0; round < 300 && !bad; round++) {
		size_t len, recno = 0, low = 0, cut, r2, l2;

		rnd_seed(round);
		len = m_history(&srv, 20 + rnd_below(400));
		m_start(&plain);
		m_run(&plain, &srv, 0, len, 0, MAX, false, 0, &recno, &low);
		m_start(&once);
		m_run(&once, &srv, 0, len, 0, 1 + rnd_below(len), true, 0,
		      &recno, &low);
		if (!m_same(&plain, &once)) {
			diag("seed %u: folded differs", round);
			bad++;
		}
		for (cut = 1; cut < len && !bad; cut += 1 + rnd_below(9)) {
			m_start(&again);
			recno = low = 0;
			m_run(&again, &srv, 0, len, 0, 1 + rnd_below(len), true,
			      cut, &recno, &low);
			m_run(&again, &srv, low, len, recno,
			      1 + rnd_below(len), true, 0, &r2, &l2);
			cuts++;
			if (!m_same(&plain, &again)) {
				diag("seed %u: cut behind item %zu differs",
				     round, cut);
				bad++;
			}
		}
	}
	ok(!bad, "300 random histories folded, %u of them cut in the middle",
	   cuts);
}

int main(void)
{
	size_t i;

	cases();
	models();
	start();
	for (i = 0; i < MAX; i++)
		free(arena[i]);
	return tap_done();
}
