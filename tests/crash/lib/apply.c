// SPDX-License-Identifier: GPL-2.0
/*
 * Records onto the model tree: the plainest reading of the log there is.
 */
#include "tests/crash/lib/tree.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

static struct fid fid_of(const struct im_fid *f)
{
	return (struct fid){ le64_to_cpu(f->ino), le32_to_cpu(f->gen) };
}

__attribute__((format(printf, 2, 3)))
static int bad(const struct im_rec *rec, const char *fmt, ...)
{
	va_list ap;

	printf("record %llu %s: ", (unsigned long long)le64_to_cpu(rec->recno),
	       im_op_name(le16_to_cpu(rec->op)));
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return 1;
}

/* ACLs follow the mode, and the mode follows ACLs. */
static void set_mode(struct node *n, uint32_t mode)
{
	struct xattr *x = node_xattr(n, ACL_ACCESS);

	if (x && (n->mode ^ mode) & 0777)
		x->vague = true;
	n->mode = mode;
}

static void set_mtime(struct node *n, const struct im_rec *rec)
{
	n->mtime = (int64_t)le64_to_cpu(rec->mtime);
	n->mtime_ns = le32_to_cpu(rec->mtime_ns);
}

static int make(struct tree *t, const struct im_rec *rec,
		const struct im_body *body, const struct fid *fid,
		const struct node *dir)
{
	struct node *n = tree_node(t, fid);
	bool nameless = n && n->nameless;
	bool link = le16_to_cpu(rec->op) == IM_OP_LINK;

	if (n && (!nameless || !link))
		return bad(rec, "the new object %llu.%u exists already",
			   (unsigned long long)fid->ino, fid->gen);
	if (!n)
		n = tree_add(t, fid);
	n->nameless = false;
	n->mode = le32_to_cpu(rec->mode);
	n->uid = le32_to_cpu(rec->uid);
	n->gid = le32_to_cpu(rec->gid);
	if (S_ISCHR(n->mode) || S_ISBLK(n->mode))
		n->rdev = le64_to_cpu(rec->rdev);
	if (S_ISLNK(n->mode)) {
		n->target = calloc(1, body->data_len + 1);
		memcpy(n->target, body->data, body->data_len);
	}
	if (S_ISREG(n->mode)) {
		n->digest = XXH3_64bits("", 0);
		n->data_known = !nameless;
		set_mtime(n, rec);
	}
	/* one that had no name has inherited elsewhere, or been given an ACL */
	if (link || node_xattr(dir, ACL_DEFAULT) || dir->vague_default)
		n->vague_access = n->vague_default = true;
	return 0;
}

/* A whiteout that is met again: now it is known which object it is. */
static void know(struct tree *t, struct entry *e, const struct fid *fid)
{
	if (!e || e->fid.ino)
		return;
	e->fid = *fid;
	if (!tree_node(t, fid))
		tree_add_whiteout(t, fid, e->gid);
}

static int apply_rename(struct tree *t, const struct im_rec *rec,
			struct entry *from, const struct fid *dir2,
			const char *name2)
{
	bool exchange = le32_to_cpu(rec->flags) & IM_RF_EXCHANGE;
	struct fid old = fid_of(&rec->old), fid = fid_of(&rec->fid);
	struct entry *to = tree_entry(t, dir2, name2), gone;
	struct node *dir;

	know(t, to, &old);
	if (!tree_node(t, dir2))
		return bad(rec, "unknown second directory");
	if (!from || !fid_eq(&from->fid, &fid))
		return bad(rec, "the name is not that of the object");
	if (to ? !fid_eq(&to->fid, &old) : old.ino)
		return bad(rec, "the target is not what the record says");
	if (exchange) {
		if (!to)
			return bad(rec, "nothing to exchange with");
		from->fid = to->fid;
		to->fid = fid;
		return 0;
	}
	if (to && fid_eq(&to->fid, &from->fid))
		return 0;	/* two names of one file: nothing happens */
	if (to)
		tree_unlink(t, to);
	gone = *from;
	tree_unlink(t, from);
	tree_link(t, dir2, name2, &fid);
	if (le32_to_cpu(rec->flags) & IM_RF_WHITEOUT) {
		dir = tree_node(t, &gone.dir);
		tree_link(t, &gone.dir, gone.name, &(struct fid){ 0 })->gid =
			dir->mode & S_ISGID ? dir->gid : 0;
	}
	return 0;
}

static int apply_name(struct tree *t, const struct im_rec *rec,
		      const struct im_body *body)
{
	struct fid fid = fid_of(&rec->fid), dir = fid_of(&rec->dir);
	struct fid dir2 = fid_of(&rec->dir2);
	char name[IM_NAME_LEN + 1], name2[IM_NAME_LEN + 1];
	struct node *d = tree_node(t, &dir);
	struct entry *e;

	snprintf(name, sizeof(name), "%.*s", body->name_len, body->name);
	snprintf(name2, sizeof(name2), "%.*s", body->name2_len,
		 body->name2 ? body->name2 : "");
	if (!d)
		return bad(rec, "unknown directory %llu.%u",
			   (unsigned long long)dir.ino, dir.gen);
	e = tree_entry(t, &dir, name);
	know(t, e, &fid);
	switch (le16_to_cpu(rec->op)) {
	case IM_OP_RENAME:
		return apply_rename(t, rec, e, &dir2, name2);
	case IM_OP_UNLINK:
	case IM_OP_RMDIR:
		if (!e || !fid_eq(&e->fid, &fid))
			return bad(rec, "'%s' is not that object", name);
		tree_unlink(t, e);
		return 0;
	}
	if (e)
		return bad(rec, "'%s' exists already", name);
	if (!fid.ino)
		return bad(rec, "done, but without its FID");
	if (le16_to_cpu(rec->op) != IM_OP_LINK ||
	    le32_to_cpu(rec->flags) & IM_RF_FIRST) {
		if (make(t, rec, body, &fid, d))
			return 1;
	} else if (!tree_node(t, &fid)) {
		if (le32_to_cpu(rec->mode) != S_IFCHR || rec->rdev)
			return bad(rec, "link to an unknown object");
		tree_add_whiteout(t, &fid, le32_to_cpu(rec->gid));
	}
	tree_link(t, &dir, name, &fid);
	return 0;
}

static int apply_attr(const struct im_rec *rec, const struct im_body *body,
		      struct node *n)
{
	unsigned int valid = le32_to_cpu(rec->valid);
	unsigned int flags = le32_to_cpu(rec->flags);
	char name[IM_NAME_LEN + 1];

	snprintf(name, sizeof(name), "%.*s", body->name_len,
		 body->name ? body->name : "");
	switch (le16_to_cpu(rec->op)) {
	case IM_OP_SETATTR:
		if (valid & IM_AV_MODE)
			set_mode(n, le32_to_cpu(rec->mode));
		if (valid & IM_AV_UID)
			n->uid = le32_to_cpu(rec->uid);
		if (valid & IM_AV_GID)
			n->gid = le32_to_cpu(rec->gid);
		if (valid & IM_AV_MTIME)
			set_mtime(n, rec);
		return 0;
	case IM_OP_SETXATTR:
		node_set_xattr(n, name, body->data, body->data_len);
		if (!strcmp(name, ACL_ACCESS)) {
			/* the kernel normalises it, or drops it as the mode */
			node_xattr(n, name)->vague = true;
			n->vague_access = true;
			n->mode = le32_to_cpu(rec->mode);
		}
		if (!strcmp(name, ACL_DEFAULT))
			n->vague_default = false;
		return 0;
	case IM_OP_REMOVEXATTR:
		if (!node_xattr(n, name) && strncmp(name, "system.", 7))
			return bad(rec, "%s was not there", name);
		node_del_xattr(n, name);
		if (!strcmp(name, ACL_ACCESS))
			n->vague_access = false;
		if (!strcmp(name, ACL_DEFAULT))
			n->vague_default = false;
		return 0;
	case IM_OP_DIRTY:
		n->dirty = true;
		n->data_known = false;
		return 0;
	case IM_OP_CLOSE:
	case IM_OP_SYNC:
		n->dirty = flags & IM_RF_STILL;
		n->data_known = false;
		n->size = le64_to_cpu(rec->size);
		set_mtime(n, rec);
		if (!(flags & IM_RF_ATTRS))
			return 0;	/* no more is said: so do peers read it */
		set_mode(n, le32_to_cpu(rec->mode));
		n->uid = le32_to_cpu(rec->uid);
		n->gid = le32_to_cpu(rec->gid);
		return 0;
	}
	return bad(rec, "unknown");
}

int tree_apply(struct tree *t, const struct im_rec *rec,
	       const struct im_body *body)
{
	unsigned int op = le16_to_cpu(rec->op);
	struct fid fid = fid_of(&rec->fid);
	struct node *n;

	if (le64_to_cpu(rec->recno) != t->recno + 1)
		return bad(rec, "does not follow %llu",
			   (unsigned long long)t->recno);
	t->recno++;
	if (rec->state == IM_RS_ABORTED)
		return 0;
	if (rec->state != IM_RS_DONE)
		return bad(rec, "is an open intent");
	if (op == IM_OP_CHECKPOINT || op == IM_OP_MARK)
		return 0;
	if (im_op_is_namespace(op))
		return apply_name(t, rec, body);
	n = tree_node(t, &fid);
	/* One that gets its name by the next record of it; a whiteout that was
	 * reached by its name: it is compared with what is there in the end.
	 */
	if (!n && op == IM_OP_DIRTY) {
		n = tree_add(t, &fid);
		n->nameless = true;
	} else if (!n && S_ISCHR(le32_to_cpu(rec->mode)) && !rec->rdev) {
		n = tree_add_whiteout(t, &fid, le32_to_cpu(rec->gid));
	}
	if (!n)
		return bad(rec, "unknown object %llu.%u",
			   (unsigned long long)fid.ino, fid.gen);
	return apply_attr(rec, body, n);
}
