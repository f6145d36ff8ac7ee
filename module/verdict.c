// SPDX-License-Identifier: GPL-2.0
/*
 * Settling one open intent by looking at the tree.
 *
 * FIDs are resolved before directories are locked: finding a directory by its
 * handle may look up names on the way to the root. The locks are those that
 * the operation itself had on the lower.
 */
#include "journal.h"
#include "lower.h"

#include <linux/cred.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

struct im_scene {
	struct im_op *op;
	struct dentry *dir;		/* of rec.dir, rec.dir2, rec.fid: or NULL */
	struct dentry *dir2;
	struct dentry *fid;
	struct dentry *name;		/* name in dir, name2 in dir2: or NULL */
	struct dentry *name2;
};

static int im_find_fid(struct im_fs *fs, const struct im_fid *fid,
		       struct dentry **res)
{
	struct dentry *d;

	if (im_fid_none(fid))
		return 0;
	d = im_lower_by_fid(fs, fid);
	if (d == ERR_PTR(-ESTALE))
		return 0;
	if (IS_ERR(d))
		return PTR_ERR(d);
	*res = d;
	return 0;
}

static int im_find_name(struct dentry *dir, const char *name, int len,
			struct dentry **res)
{
	struct dentry *d;

	if (!dir || !d_is_dir(dir) || !len)
		return 0;
	d = im_lower_lookup(dir, name, len);
	if (IS_ERR(d))
		return PTR_ERR(d);
	*res = d;
	return 0;
}

static void im_scene_lock(struct im_scene *s)
{
	if (s->dir)
		inode_lock_nested(d_inode(s->dir), I_MUTEX_PARENT);
	if (s->dir2 && s->dir2 != s->dir)
		inode_lock_nested(d_inode(s->dir2), I_MUTEX_PARENT2);
}

static void im_scene_unlock(struct im_scene *s)
{
	if (s->dir2 && s->dir2 != s->dir)
		inode_unlock(d_inode(s->dir2));
	if (s->dir)
		inode_unlock(d_inode(s->dir));
}

static bool im_is(const struct dentry *d, const struct im_fid *fid)
{
	struct im_fid now;

	if (!d || d_is_negative(d))
		return false;
	im_fid_of(d_inode(d), &now);
	return im_fid_eq(&now, fid);
}

static bool im_made(struct im_scene *s, u32 op)
{
	umode_t mode;

	if (!s->name || d_is_negative(s->name))
		return false;
	mode = d_inode(s->name)->i_mode;
	switch (op) {
	case IM_OP_CREATE:
		return S_ISREG(mode);
	case IM_OP_MKDIR:
		return S_ISDIR(mode);
	case IM_OP_SYMLINK:
		return S_ISLNK(mode);
	default:
		return !S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode);
	}
}

static bool im_renamed(struct im_scene *s)
{
	const struct im_rec *rec = &s->op->rec;

	if (!im_is(s->name2, &rec->fid))
		return false;
	/* One link over another of the same file: nothing to be seen. */
	if (im_fid_eq(&rec->fid, &rec->old))
		return true;
	if (rec->flags & cpu_to_le32(IM_RF_EXCHANGE))
		return im_is(s->name, &rec->old);
	return true;
}

/* As the intent says, of what valid asks for? */
static bool im_attrs_equal(const struct inode *inode, const struct im_rec *rec,
			   u32 valid)
{
	struct timespec64 mtime = inode_get_mtime(inode);

	if ((valid & IM_AV_MODE) &&
	    (inode->i_mode & 07777) != (le32_to_cpu(rec->mode) & 07777))
		return false;
	if ((valid & IM_AV_UID) && i_uid_read(inode) != le32_to_cpu(rec->uid))
		return false;
	if ((valid & IM_AV_GID) && i_gid_read(inode) != le32_to_cpu(rec->gid))
		return false;
	return !(valid & IM_AV_MTIME) ||
	       (mtime.tv_sec == (s64)le64_to_cpu(rec->mtime) &&
		mtime.tv_nsec == le32_to_cpu(rec->mtime_ns));
}

/* Mode and mtime once more, with what hangs on them; the type stays. */
static int im_attrs_again(struct im_scene *s, u32 valid)
{
	const struct im_rec *rec = &s->op->rec;
	const struct inode *inode = d_inode(s->fid);
	struct iattr ia = {
		.ia_valid = (valid & IM_AV_MODE ? ATTR_MODE : 0) |
			    (valid & IM_AV_MTIME ?
			     ATTR_MTIME | ATTR_MTIME_SET : 0),
		.ia_mode = (inode->i_mode & S_IFMT) |
			   (le32_to_cpu(rec->mode) & S_IALLUGO),
		.ia_mtime = {
			.tv_sec = (s64)le64_to_cpu(rec->mtime),
			.tv_nsec = le32_to_cpu(rec->mtime_ns),
		},
	};
	const struct cred *old = override_creds(s->op->fs->cred);
	int err;

	inode_lock(d_inode(s->fid));
	err = im_do_setattr(s->fid, &ia);
	inode_unlock(d_inode(s->fid));
	revert_creds(old);
	return err;
}

/*
 * ext4 sets the owner in one handle, then mode and times in another, then the
 * ACL that follows the mode in a third: a crash may come in between. What the
 * tree shows to have begun is ended; 1: it has happened.
 */
static int im_attrs_settle(struct im_scene *s)
{
	const struct im_rec *rec = &s->op->rec;
	u32 valid = le32_to_cpu(rec->valid), owner, rest;
	const struct inode *inode;
	int err = 0;

	if (!s->fid)
		return 0;
	inode = d_inode(s->fid);
	owner = valid & (IM_AV_UID | IM_AV_GID);
	rest = valid & (IM_AV_MODE | IM_AV_MTIME);
	if (!im_attrs_equal(inode, rec, owner))
		return 0;
	if (!im_attrs_equal(inode, rec, rest)) {
		if (!owner)
			return 0;
		err = im_attrs_again(s, rest);
	} else if (valid & IM_AV_MODE) {
		/* For the ACL; a file that is immutable by now had its own. */
		im_attrs_again(s, IM_AV_MODE);
	}
	return err ? err : 1;
}

static bool im_acl_same(const struct posix_acl *a, const struct posix_acl *b)
{
	const struct posix_acl_entry *x, *y;
	int i;

	if (!a || !b || a->a_count != b->a_count)
		return a == b;
	for (i = 0; i < a->a_count; i++) {
		x = &a->a_entries[i];
		y = &b->a_entries[i];
		if (x->e_tag != y->e_tag || x->e_perm != y->e_perm ||
		    (x->e_tag == ACL_USER && !uid_eq(x->e_uid, y->e_uid)) ||
		    (x->e_tag == ACL_GROUP && !gid_eq(x->e_gid, y->e_gid)))
			return false;
	}
	return true;
}

/*
 * An ACL is stored in another form than it was given: an access ACL that says
 * no more than the mode is kept in the mode alone. 1: as in the record.
 */
static int im_acl_equal(struct inode *inode, int type, const void *value,
			size_t len)
{
	struct posix_acl *want, *have;
	umode_t mode = inode->i_mode;
	int ret = 0;

	want = value ? posix_acl_from_xattr(&init_user_ns, value, len) : NULL;
	if (want == ERR_PTR(-ENOMEM))
		return -ENOMEM;
	if (IS_ERR(want))
		return 0;	/* the lower has refused it as well */
	have = im_compat_get_acl(inode, type);
	if (IS_ERR(have)) {
		ret = PTR_ERR(have);
		if (ret == -EOPNOTSUPP)
			ret = 0;
		goto out;
	}
	if (want && type == ACL_TYPE_ACCESS &&
	    posix_acl_equiv_mode(want, &mode) == 0)
		ret = !have && mode == inode->i_mode;
	else
		ret = im_acl_same(want, have);
	posix_acl_release(have);
out:
	posix_acl_release(want);
	return ret;
}

/* Is the xattr as the record says, or gone? 1: yes. */
static int im_xattr_equal(struct im_scene *s)
{
	const struct im_body *body = &s->op->body;
	bool set = s->op->rec.op == cpu_to_le16(IM_OP_SETXATTR);
	char name[IM_NAME_LEN + 1];
	const struct cred *old;
	void *value;
	ssize_t n;
	int type, ret;

	if (!s->fid)
		return 0;
	memcpy(name, body->name, body->name_len);
	name[body->name_len] = 0;
	type = im_acl_type(name);
	if (type >= 0)
		return im_acl_equal(d_inode(s->fid), type,
				    set ? body->data : NULL, body->data_len);

	value = kvmalloc(body->data_len + 1, GFP_KERNEL);
	if (!value)
		return -ENOMEM;
	old = override_creds(s->op->fs->cred);
	n = vfs_getxattr(IM_NOP_IDMAP, s->fid, name, value,
			 body->data_len + 1);
	revert_creds(old);
	if (n == -ENODATA || n == -EOPNOTSUPP)
		ret = !set;
	else if (n == -ERANGE)
		ret = 0;	/* longer than what the record would have set */
	else if (n < 0)
		ret = n;
	else
		ret = set && n == body->data_len &&
		      !memcmp(value, body->data, n);
	kvfree(value);
	return ret;
}

/* 1: it has happened; 0: it has not. */
static int im_verdict(struct im_scene *s)
{
	const struct im_rec *rec = &s->op->rec;
	u32 op = le16_to_cpu(rec->op);

	switch (op) {
	case IM_OP_CREATE:
	case IM_OP_MKDIR:
	case IM_OP_MKNOD:
	case IM_OP_SYMLINK:
		return im_made(s, op);
	case IM_OP_LINK:
		return im_is(s->name, &rec->fid);
	case IM_OP_UNLINK:
	case IM_OP_RMDIR:
		return !im_is(s->name, &rec->fid);
	case IM_OP_RENAME:
		return im_renamed(s);
	case IM_OP_SETATTR:
		return im_attrs_settle(s);
	case IM_OP_SETXATTR:
	case IM_OP_REMOVEXATTR:
		return im_xattr_equal(s);
	}
	return 0;
}

/* The tag that the operation had, from what the intent carries of it. */
static void im_tag_of(const struct im_rec *rec, struct im_tag *tag)
{
	memset(tag, 0, sizeof(*tag));
	tag->origin = le64_to_cpu(rec->origin);
	tag->a.recno = le64_to_cpu(rec->origin_recno);
	tag->a.low = le64_to_cpu(rec->origin_low);
	tag->a.ino = le64_to_cpu(rec->origin_fid.ino);
	tag->a.gen = le32_to_cpu(rec->origin_fid.gen);
	tag->a.version = le64_to_cpu(rec->origin_version);
	/* Times that were not asked for are zero in an intent. */
	if (rec->mtime || rec->mtime_ns)
		tag->a.flags |= IM_TAG_MTIME;
	if (rec->dir_mtime || rec->dir_mtime_ns)
		tag->a.flags |= IM_TAG_DIR_MTIME;
	if (rec->dir2_mtime || rec->dir2_mtime_ns)
		tag->a.flags |= IM_TAG_DIR2_MTIME;
	tag->a.mtime = le64_to_cpu(rec->mtime);
	tag->a.mtime_ns = le32_to_cpu(rec->mtime_ns);
	tag->a.dir_mtime = le64_to_cpu(rec->dir_mtime);
	tag->a.dir_mtime_ns = le32_to_cpu(rec->dir_mtime_ns);
	tag->a.dir2_mtime = le64_to_cpu(rec->dir2_mtime);
	tag->a.dir2_mtime_ns = le32_to_cpu(rec->dir2_mtime_ns);
}

/* Says what the record could not say before the operation. */
static void im_scene_done(struct im_scene *s)
{
	struct im_op *op = s->op;

	op->dirs[0] = s->dir;
	op->dirs[1] = s->dir2;
	switch (le16_to_cpu(op->rec.op)) {
	case IM_OP_CREATE:
	case IM_OP_MKDIR:
	case IM_OP_MKNOD:
	case IM_OP_SYMLINK:
		im_fid_of(d_inode(s->name), &op->rec.fid);
		op->obj = s->name;
		op->created = true;
		break;
	case IM_OP_LINK:
		op->obj = s->name;
		op->created = op->rec.flags & cpu_to_le32(IM_RF_FIRST);
		break;
	case IM_OP_RENAME:
		op->obj = s->name2;
		break;
	default:
		op->obj = s->fid;
	}
}

int im_settle(struct im_open *o)
{
	struct im_op *op = &o->op;
	struct im_rec *rec = &op->rec;
	struct im_scene s = { .op = op };
	struct im_tag tag;
	u32 name_op = im_op_is_namespace(le16_to_cpu(rec->op));
	int ret;

	ret = mnt_want_write(op->fs->lower.mnt);
	if (ret)
		return ret;
	if (name_op) {
		ret = im_find_fid(op->fs, &rec->dir, &s.dir);
		if (!ret)
			ret = im_find_fid(op->fs, &rec->dir2, &s.dir2);
	}
	if (!ret)
		ret = im_find_fid(op->fs, &rec->fid, &s.fid);
	im_scene_lock(&s);
	if (!ret && name_op)
		ret = im_find_name(s.dir, op->body.name, op->body.name_len,
				   &s.name);
	if (!ret && name_op)
		ret = im_find_name(s.dir2, op->body.name2, op->body.name2_len,
				   &s.name2);
	if (!ret)
		ret = im_verdict(&s);
	if (ret < 0) {
		mnt_drop_write(op->fs->lower.mnt);
		goto out;
	}

	rec->flags |= cpu_to_le32(IM_RF_RECOVERED);
	if (ret) {
		im_scene_done(&s);
		if (rec->origin) {
			im_tag_of(rec, &tag);
			op->tag = &tag;
		}
		im_op_finish(op, 0);
	} else {
		im_op_finish(op, -ECANCELED);
	}
	/* A tag's times that could not be set were reported; the record is
	 * complete all the same.
	 */
	ret = READ_ONCE(op->fs->dead) ? -EIO : 0;
out:
	im_scene_unlock(&s);
	dput(s.name2);
	dput(s.name);
	dput(s.fid);
	dput(s.dir2);
	dput(s.dir);
	return ret;
}
