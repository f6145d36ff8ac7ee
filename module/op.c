// SPDX-License-Identifier: GPL-2.0
/*
 * The recipe that every change follows: intent, operation, completion.
 *
 * Between im_op_start() and im_op_finish() or im_op_cancel() the caller has
 * write access to the lower mount, so that the lower can neither be frozen nor
 * become read-only between a record and its operation.
 *
 * Under a tag, its times and the origin xattr are set between the operation
 * and the completion, with the mounter's credentials: to the peer's user it
 * may be forbidden. The intent carries them too, so recovery can finish them.
 */
#include "lower.h"

#include <linux/cred.h>

void im_op_init(struct im_op *op, struct im_fs *fs, unsigned int opcode)
{
	const struct im_tag *tag = im_tag_current(fs);
	struct im_rec *rec = &op->rec;

	memset(op, 0, sizeof(*op));
	INIT_LIST_HEAD(&op->open);
	op->fs = fs;
	op->tag = tag;
	rec->op = cpu_to_le16(opcode);
	if (!tag)
		return;

	rec->origin = cpu_to_le64(tag->origin);
	rec->origin_recno = cpu_to_le64(tag->a.recno);
	rec->origin_low = cpu_to_le64(tag->a.low);
	rec->origin_fid.ino = cpu_to_le64(tag->a.ino);
	rec->origin_fid.gen = cpu_to_le32(tag->a.gen);
	rec->origin_version = cpu_to_le64(tag->a.version);
	/* Data is applied when its file is closed, not at its first write. */
	if ((tag->a.flags & IM_TAG_FINAL) && opcode != IM_OP_DIRTY &&
	    opcode != IM_OP_SYNC && opcode != IM_OP_CHECKPOINT)
		rec->flags |= cpu_to_le32(IM_RF_FINAL);
}

int im_op_start(struct im_op *op, struct super_block *sb, unsigned int opcode)
{
	struct im_fs *fs = IM_FS(sb);

	im_op_init(op, fs, opcode);
	if (READ_ONCE(fs->dead))
		return -EIO;
	if (READ_ONCE(fs->replica) && !op->tag)
		return -EROFS;
	return mnt_want_write(fs->lower.mnt);
}

static void im_op_put_time(s64 sec, u32 ns, __le64 *rsec, __le32 *rns)
{
	*rsec = cpu_to_le64(sec);
	*rns = cpu_to_le32(ns);
}

static void im_op_put_mtime(const struct inode *inode, __le64 *rsec,
			    __le32 *rns)
{
	struct timespec64 ts = inode_get_mtime(inode);

	im_op_put_time(ts.tv_sec, ts.tv_nsec, rsec, rns);
}

int im_op_intent(struct im_op *op)
{
	struct im_rec *rec = &op->rec;
	int err;

	if (op->tag) {
		const struct im_ioc_tag *a = &op->tag->a;

		if (a->flags & IM_TAG_MTIME)
			im_op_put_time(a->mtime, a->mtime_ns, &rec->mtime,
				       &rec->mtime_ns);
		if (a->flags & IM_TAG_DIR_MTIME)
			im_op_put_time(a->dir_mtime, a->dir_mtime_ns,
				       &rec->dir_mtime, &rec->dir_mtime_ns);
		if (a->flags & IM_TAG_DIR2_MTIME)
			im_op_put_time(a->dir2_mtime, a->dir2_mtime_ns,
				       &rec->dir2_mtime, &rec->dir2_mtime_ns);
	}
	rec->time = cpu_to_le64(ktime_get_real_ns());
	err = im_journal_intent(op);
	if (!err)
		op->intent = true;
	return err;
}

static int im_op_set_mtime(struct dentry *dentry, bool locked, s64 sec, u32 ns)
{
	struct inode *inode = d_inode(dentry);
	struct iattr ia = {
		.ia_valid = ATTR_MTIME | ATTR_MTIME_SET,
		.ia_mtime = { .tv_sec = sec, .tv_nsec = ns },
	};
	int err;

	if (!locked)
		inode_lock_nested(inode, I_MUTEX_CHILD);
	err = im_do_setattr(dentry, &ia);
	if (!locked)
		inode_unlock(inode);
	return err;
}

int im_op_apply_tag(struct im_op *op)
{
	const struct im_ioc_tag *a = &op->tag->a;
	const struct cred *old = override_creds(op->fs->cred);
	int err = 0;

	if (op->created && op->obj) {
		struct im_origin origin = {
			.origin = op->rec.origin,
			.fid = op->rec.origin_fid,
			.version = op->rec.origin_version,
		};

		err = im_do_setxattr(op->obj, IM_XATTR_ORIGIN, &origin,
				     sizeof(origin), 0);
	}
	if (!err && (a->flags & IM_TAG_MTIME) && op->obj)
		err = im_op_set_mtime(op->obj, op->obj_locked, a->mtime,
				      a->mtime_ns);
	if (!err && (a->flags & IM_TAG_DIR_MTIME) && op->dirs[0])
		err = im_op_set_mtime(op->dirs[0], true, a->dir_mtime,
				      a->dir_mtime_ns);
	if (!err && (a->flags & IM_TAG_DIR2_MTIME) && op->dirs[1])
		err = im_op_set_mtime(op->dirs[1], true, a->dir2_mtime,
				      a->dir2_mtime_ns);
	revert_creds(old);
	return err;
}

void im_op_take_attrs(struct im_op *op)
{
	struct im_rec *rec = &op->rec;
	struct inode *inode;

	if (op->obj) {
		inode = d_inode(op->obj);
		rec->mode = cpu_to_le32(inode->i_mode);
		rec->uid = cpu_to_le32(i_uid_read(inode));
		rec->gid = cpu_to_le32(i_gid_read(inode));
		rec->nlink = cpu_to_le32(inode->i_nlink);
		rec->rdev = cpu_to_le64((u64)MAJOR(inode->i_rdev) << 32 |
					MINOR(inode->i_rdev));
		if (S_ISREG(inode->i_mode))
			rec->size = cpu_to_le64(i_size_read(inode));
		im_op_put_mtime(inode, &rec->mtime, &rec->mtime_ns);
	}
	if (op->dirs[0]) {
		inode = d_inode(op->dirs[0]);
		im_op_put_mtime(inode, &rec->dir_mtime, &rec->dir_mtime_ns);
	}
	if (op->dirs[1]) {
		inode = d_inode(op->dirs[1]);
		im_op_put_mtime(inode, &rec->dir2_mtime, &rec->dir2_mtime_ns);
	}
}

int im_op_finish(struct im_op *op, int err)
{
	int err2 = 0;

	if (!err) {
		if (op->tag)
			err = im_op_apply_tag(op);
		if (err) {
			/* The operation has happened, so its record is done;
			 * the origin's is not, and will come again.
			 */
			op->rec.flags &= ~cpu_to_le32(IM_RF_FINAL);
			im_warn(op->fs, "replay of record %llu of origin %016llx is done, but its times or origin could not be set: error %d; the record must be replayed again",
				le64_to_cpu(op->rec.origin_recno),
				le64_to_cpu(op->rec.origin), err);
		}
		im_op_take_attrs(op);
		err2 = im_journal_complete(op, true);
	} else {
		err2 = im_journal_complete(op, false);
	}
	if (!op->keep_write)
		mnt_drop_write(op->fs->lower.mnt);
	return err ? err : err2;
}

void im_op_cancel(struct im_op *op)
{
	mnt_drop_write(op->fs->lower.mnt);
}

int im_op_append(struct im_op *op)
{
	if (READ_ONCE(op->fs->dead))
		return -EIO;
	op->rec.time = cpu_to_le64(ktime_get_real_ns());
	return im_journal_append(op);
}
