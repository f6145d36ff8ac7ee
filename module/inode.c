// SPDX-License-Identifier: GPL-2.0
/*
 * Upper inodes: their life, their attributes, and the operations on attributes.
 *
 * An upper inode is hashed by the address of its lower inode, which it keeps
 * alive through ii->lower until it has left the hash (destroy_inode): so the
 * address cannot come to mean another inode while somebody may look it up.
 */
#include "super.h"
#include "lower.h"
#include "vfs.h"

#include <linux/cred.h>
#include <linux/fiemap.h>
#include <linux/fs_stack.h>
#include <linux/posix_acl.h>
#include <linux/slab.h>

static struct kmem_cache *im_inode_cache;

static void im_inode_once(void *p)
{
	struct im_inode *ii = p;

	inode_init_once(&ii->vfs_inode);
}

int im_init_inode_cache(void)
{
	im_inode_cache = kmem_cache_create("intermezzo_inode",
					   sizeof(struct im_inode), 0,
					   SLAB_RECLAIM_ACCOUNT |
					   SLAB_ACCOUNT, im_inode_once);
	return im_inode_cache ? 0 : -ENOMEM;
}

void im_free_inode_cache(void)
{
	/* Inodes are freed by RCU callbacks of this module. */
	rcu_barrier();
	kmem_cache_destroy(im_inode_cache);
}

struct inode *im_alloc_inode(struct super_block *sb)
{
	struct im_inode *ii = alloc_inode_sb(sb, im_inode_cache, GFP_KERNEL);

	if (!ii)
		return NULL;
	ii->lower = NULL;
	im_dirty_init_inode(ii);
	return &ii->vfs_inode;
}

void im_destroy_inode(struct inode *inode)
{
	/* The pointer stays: a path walk under RCU may still read it. */
	dput(IM_I(inode)->lower);
}

void im_free_inode(struct inode *inode)
{
	kmem_cache_free(im_inode_cache, IM_I(inode));
}

void im_evict_inode(struct inode *inode)
{
	/* Pages are the lower's; there never are any here. */
	clear_inode(inode);
	if (IM_I(inode)->lower && S_ISREG(inode->i_mode))
		im_dirty_evict(inode);
}

#define IM_INODE_FLAGS (S_SYNC | S_APPEND | S_IMMUTABLE)

void im_copy_attrs(struct inode *inode)
{
	const struct inode *lower = im_lower_inode(inode);

	inode->i_mode = lower->i_mode;
	inode->i_uid = lower->i_uid;
	inode->i_gid = lower->i_gid;
	if (inode->i_nlink != lower->i_nlink)
		set_nlink(inode, lower->i_nlink);
	inode_set_flags(inode, lower->i_flags & IM_INODE_FLAGS, IM_INODE_FLAGS);
	im_copy_size(inode);
}

void im_copy_size(struct inode *inode)
{
	struct inode *lower = im_lower_inode(inode);

	inode_set_atime_to_ts(inode, inode_get_atime(lower));
	inode_set_mtime_to_ts(inode, inode_get_mtime(lower));
	inode_set_ctime_to_ts(inode, inode_get_ctime(lower));
	fsstack_copy_inode_size(inode, lower);
}

static int im_inode_test(struct inode *inode, void *data)
{
	return im_lower_inode(inode) == d_inode(data);
}

static int im_inode_set(struct inode *inode, void *data)
{
	IM_I(inode)->lower = dget(data);
	return 0;
}

struct inode *im_cached_inode(struct super_block *sb, struct dentry *lower)
{
	return ilookup5(sb, (unsigned long)d_inode(lower), im_inode_test,
			lower);
}

/* FIBMAP comes by the inode's own mapping, which has no pages. */
static sector_t im_bmap(struct address_space *mapping, sector_t block)
{
	return bmap(im_lower_inode(mapping->host), &block) ? 0 : block;
}

static const struct address_space_operations im_aops = {
	.bmap	= im_bmap,
};

static void im_fill_inode(struct inode *inode)
{
	const struct inode *lower = im_lower_inode(inode);

	inode->i_ino = lower->i_ino;
	inode->i_generation = lower->i_generation;
	inode->i_blkbits = lower->i_blkbits;
	inode->i_rdev = lower->i_rdev;
	/* The lower's ACLs are asked each time, and keep times themselves. */
	cache_no_acl(inode);
	inode->i_acl = ACL_DONT_CACHE;
	inode->i_default_acl = ACL_DONT_CACHE;
	im_copy_attrs(inode);

	/* Of files and directories their own methods keep the times. */
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_flags |= S_NOATIME | S_NOCMTIME;
		if (lower->i_mapping->a_ops->bmap)
			inode->i_data.a_ops = &im_aops;
		inode->i_op = &im_file_iops;
		inode->i_fop = im_file_fops_of(lower);
		break;
	case S_IFDIR:
		inode->i_flags |= S_NOATIME | S_NOCMTIME;
		inode->i_op = &im_dir_iops;
		inode->i_fop = &im_dir_fops;
		break;
	case S_IFLNK:
		inode->i_op = &im_symlink_iops;
		break;
	default:
		inode->i_op = &im_special_iops;
		init_special_inode(inode, inode->i_mode, inode->i_rdev);
	}
}

struct inode *im_iget_new(struct inode *new, struct dentry *lower)
{
	struct inode *inode;

	inode = inode_insert5(new, (unsigned long)d_inode(lower),
			      im_inode_test, im_inode_set, lower);
	if (inode != new)
		iput(new);
	if (inode_state_read_once(inode) & I_NEW) {
		im_fill_inode(inode);
		unlock_new_inode(inode);
	}
	return inode;
}

struct inode *im_iget(struct super_block *sb, struct dentry *lower)
{
	struct inode *inode;

	inode = iget5_locked(sb, (unsigned long)d_inode(lower), im_inode_test,
			     im_inode_set, lower);
	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (inode_state_read_once(inode) & I_NEW) {
		im_fill_inode(inode);
		unlock_new_inode(inode);
	}
	return inode;
}

/* Attributes ------------------------------------------------------------- */

static int im_getattr(im_idmap *idmap, const struct path *path,
		      struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct path lower = {
		.mnt = IM_FS(inode->i_sb)->lower.mnt,
		.dentry = im_lower_dentry(inode),
	};
	int err;

	/* Security modules have been asked about the upper path. */
	err = vfs_getattr_nosec(&lower, stat, mask, flags);
	if (err)
		return err;
	stat->dev = inode->i_sb->s_dev;
	return 0;
}

/* A change that peers need not know: times other than mtime. */
static int im_setattr_plain(struct dentry *dentry, struct iattr *ia)
{
	struct inode *inode = d_inode(dentry);
	struct im_fs *fs = IM_FS(inode->i_sb);
	struct dentry *lower = im_lower_dentry(inode);
	int err;

	err = mnt_want_write(fs->lower.mnt);
	if (err)
		return err;
	inode_lock(d_inode(lower));
	err = im_do_setattr(lower, ia);
	inode_unlock(d_inode(lower));
	mnt_drop_write(fs->lower.mnt);
	im_copy_attrs(inode);
	return err;
}

/* A change that needs no record of its own. false: it needs one. */
static bool im_setattr_newborn(struct dentry *dentry, struct iattr *ia,
			       int *err)
{
	struct inode *inode = d_inode(dentry);
	struct im_fs *fs = IM_FS(inode->i_sb);
	bool begun;

	if (READ_ONCE(IM_I(inode)->newborn) == IM_NEWBORN_NO)
		return false;
	*err = mnt_want_write(fs->lower.mnt);
	if (*err)
		return true;
	begun = im_newborn_attrs_begin(inode);
	if (begun) {
		*err = im_do_setattr(im_lower_dentry(inode), ia);
		im_newborn_attrs_end(inode);
	}
	mnt_drop_write(fs->lower.mnt);
	if (begun)
		im_copy_attrs(inode);
	return begun;
}

static u32 im_setattr_valid(const struct iattr *ia)
{
	u32 valid = 0;

	if (ia->ia_valid & ATTR_MODE)
		valid |= IM_AV_MODE;
	if (ia->ia_valid & ATTR_UID)
		valid |= IM_AV_UID;
	if (ia->ia_valid & ATTR_GID)
		valid |= IM_AV_GID;
	if (ia->ia_valid & ATTR_MTIME)
		valid |= IM_AV_MTIME;
	return valid;
}

/*
 * Owner and mode are as they are asked to be: peers have nothing to change.
 * tar and rsync do this to each file. The caller holds the upper i_rwsem.
 */
static bool im_setattr_same(const struct inode *lower, const struct iattr *ia)
{
	if (ia->ia_valid & (ATTR_MTIME | ATTR_SIZE))
		return false;
	if ((ia->ia_valid & ATTR_MODE) &&
	    (ia->ia_mode ^ lower->i_mode) & S_IALLUGO)
		return false;
	if ((ia->ia_valid & ATTR_UID) && !uid_eq(ia->ia_uid, lower->i_uid))
		return false;
	return !(ia->ia_valid & ATTR_GID) || gid_eq(ia->ia_gid, lower->i_gid);
}

/*
 * Recovery takes the intent for done if the tree equals it, so it says what
 * will be, also for what is not changed.
 */
static void im_setattr_intent(struct im_rec *rec, const struct inode *lower,
			      const struct iattr *ia)
{
	umode_t mode = lower->i_mode;
	kuid_t uid = lower->i_uid;
	kgid_t gid = lower->i_gid;
	struct timespec64 mtime = inode_get_mtime(lower);

	if (ia->ia_valid & ATTR_MODE)
		mode = (mode & S_IFMT) | (ia->ia_mode & S_IALLUGO);
	if (ia->ia_valid & ATTR_UID)
		uid = ia->ia_uid;
	if (ia->ia_valid & ATTR_GID)
		gid = ia->ia_gid;
	if (ia->ia_valid & ATTR_MTIME)
		mtime = ia->ia_mtime;
	rec->mode = cpu_to_le32(mode);
	rec->uid = cpu_to_le32(from_kuid(&init_user_ns, uid));
	rec->gid = cpu_to_le32(from_kgid(&init_user_ns, gid));
	rec->nlink = cpu_to_le32(lower->i_nlink);
	if (S_ISREG(mode))
		rec->size = cpu_to_le64(i_size_read(lower));
	rec->mtime = cpu_to_le64(mtime.tv_sec);
	rec->mtime_ns = cpu_to_le32(mtime.tv_nsec);
	rec->valid = cpu_to_le32(im_setattr_valid(ia));
}

static int im_setattr_logged(struct dentry *dentry, struct iattr *ia)
{
	struct inode *inode = d_inode(dentry);
	struct im_fs *fs = IM_FS(inode->i_sb);
	struct dentry *lower = im_lower_dentry(inode);
	const struct cred *old = NULL;
	struct im_op op;
	int err;

	err = im_op_start(&op, inode->i_sb, IM_OP_SETATTR);
	if (err)
		return err;
	err = im_newborn_end(inode, false);
	if (err) {
		im_op_cancel(&op);
		return err;
	}

	/*
	 * "Now" was settled by the VFS, and the record says it; the lower must
	 * not take a later one. Setting a given time takes rights that setting
	 * it to now does not; those have been checked above.
	 */
	if ((ia->ia_valid & ATTR_MTIME) &&
	    !(ia->ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID))) {
		ia->ia_valid |= ATTR_MTIME_SET;
		if (ia->ia_valid & ATTR_ATIME)
			ia->ia_valid |= ATTR_ATIME_SET;
		old = override_creds(fs->cred);
	}

	/* Over all of it: see im_dirty_lock_attrs(). */
	inode_lock(d_inode(lower));
	im_fid_of(d_inode(lower), &op.rec.fid);
	im_setattr_intent(&op.rec, d_inode(lower), ia);
	op.obj = lower;
	op.obj_locked = true;
	op.keep_write = true;
	err = im_op_intent(&op);
	if (!err) {
		err = im_do_setattr(lower, ia);
		/* A write to a dirty file has no record and changes it again. */
		op.at_once = (ia->ia_valid & ATTR_MTIME) &&
			     im_dirty_still(inode);
		err = im_op_finish(&op, err);
	}
	inode_unlock(d_inode(lower));
	mnt_drop_write(fs->lower.mnt);
	if (old)
		revert_creds(old);
	im_copy_attrs(inode);
	return err;
}

#define IM_ATTR_SIZE (ATTR_SIZE | ATTR_ATIME | ATTR_MTIME | ATTR_CTIME | \
		      ATTR_FORCE | ATTR_FILE | ATTR_OPEN)

static int im_setattr(im_idmap *idmap, struct dentry *dentry, struct iattr *ia)
{
	struct inode *inode = d_inode(dentry);
	struct im_fs *fs = IM_FS(inode->i_sb);
	struct iattr rest;
	int err;

	err = setattr_prepare(idmap, dentry, ia);
	if (err)
		return err;

	/*
	 * The VFS has turned ATTR_KILL_S*ID into ia_mode and removed the
	 * capabilities; the lower must not do so again.
	 */
	rest = *ia;
	rest.ia_valid &= ~(ATTR_KILL_SUID | ATTR_KILL_SGID | ATTR_KILL_PRIV |
			   ATTR_FILE | ATTR_OPEN);

	if (ia->ia_valid & ATTR_SIZE) {
		struct iattr size = *ia;

		size.ia_valid &= IM_ATTR_SIZE;
		if (ia->ia_valid & ATTR_MTIME_SET)
			size.ia_valid &= ~ATTR_MTIME;
		if (ia->ia_valid & ATTR_ATIME_SET)
			size.ia_valid &= ~ATTR_ATIME;
		err = im_truncate(dentry, &size);
		if (err)
			return err;
		/* What remains are times that were given, and owner, mode. */
		rest.ia_valid &= ~ATTR_SIZE;
		if (!(ia->ia_valid & ATTR_MTIME_SET))
			rest.ia_valid &= ~ATTR_MTIME;
		if (!(ia->ia_valid & ATTR_ATIME_SET))
			rest.ia_valid &= ~ATTR_ATIME;
		if (!(rest.ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID |
				       ATTR_MTIME | ATTR_ATIME)))
			return 0;
	}

	/* What has no name is not known to peers; LINK tells them all. */
	if (!im_setattr_valid(&rest) || !im_lower_inode(inode)->i_nlink)
		return im_setattr_plain(dentry, &rest);
	/* A tag is for the record that it stands in, whatever that changes. */
	if (!im_dirty_allowed(fs) && !im_tag_current(fs)) {
		if (im_setattr_same(im_lower_inode(inode), &rest))
			return im_setattr_plain(dentry, &rest);
		if (im_setattr_newborn(dentry, &rest, &err))
			return err;
	}
	return im_setattr_logged(dentry, &rest);
}

/*
 * Called without a reference under RCU: then the lower dentry may be on its
 * way to being freed, but its memory, and its inode's, are there.
 */
static struct posix_acl *im_get_acl(struct inode *inode, int type, bool rcu)
{
	if (rcu) {
		struct inode *lower = d_inode_rcu(IM_I(inode)->lower);

		if (!lower)
			return ERR_PTR(-ECHILD);
		if (!IS_POSIXACL(lower))
			return NULL;
		return get_cached_acl_rcu(lower, type);
	}
	if (!IS_POSIXACL(im_lower_inode(inode)))
		return NULL;
	return im_compat_get_acl(im_lower_inode(inode), type);
}

static int im_fileattr_get(struct dentry *dentry, im_fileattr *fa)
{
	return vfs_fileattr_get(im_lower_dentry(d_inode(dentry)), fa);
}

/*
 * The flags of chattr(1) are the machine's own and not logged. Two of them
 * would make names of a directory compare by other rules than the dcache's.
 */
static int im_fileattr_set(im_idmap *idmap, struct dentry *dentry,
			   im_fileattr *fa)
{
	struct inode *inode = d_inode(dentry);
	struct im_fs *fs = IM_FS(inode->i_sb);
	int err;

	if (fa->flags_valid && (fa->flags & FS_CASEFOLD_FL))
		return -EOPNOTSUPP;
	if (READ_ONCE(fs->dead))
		return -EIO;
	if (READ_ONCE(fs->replica) && !im_tag_current(fs))
		return -EROFS;
	err = mnt_want_write(fs->lower.mnt);
	if (err)
		return err;
	err = vfs_fileattr_set(IM_NOP_IDMAP, im_lower_dentry(inode), fa);
	mnt_drop_write(fs->lower.mnt);
	im_copy_attrs(inode);
	return err;
}

static int im_fiemap(struct inode *inode, struct fiemap_extent_info *info,
		     u64 start, u64 len)
{
	struct inode *lower = im_lower_inode(inode);

	if (!lower->i_op->fiemap)
		return -EOPNOTSUPP;
	return lower->i_op->fiemap(lower, info, start, len);
}

static const char *im_get_link(struct dentry *dentry, struct inode *inode,
			       struct delayed_call *done)
{
	if (!dentry)
		return ERR_PTR(-ECHILD);
	return vfs_get_link(im_lower_dentry(inode), done);
}

/*
 * Of symlinks and special files the VFS keeps the times, and does not come to
 * a file of the lower: who follows a symlink, or reads and writes a fifo, is
 * to leave them there. Not logged: what goes through a fifo is the machine's.
 */
static void im_touch(struct inode *inode, bool atime)
{
	struct im_fs *fs = IM_FS(inode->i_sb);
	struct path lower = {
		.mnt = fs->lower.mnt,
		.dentry = im_lower_dentry(inode),
	};
	struct inode *linode = d_inode(lower.dentry);
	struct iattr ia = { .ia_valid = ATTR_MTIME | ATTR_CTIME };
	const struct cred *old;

	if (atime) {
		touch_atime(&lower);
	} else if (!sb_rdonly(linode->i_sb) &&
		   sb_start_write_trylock(linode->i_sb)) {
		old = override_creds(fs->cred);
		inode_lock(linode);
		im_do_setattr(lower.dentry, &ia);
		inode_unlock(linode);
		revert_creds(old);
		sb_end_write(linode->i_sb);
	}
	im_copy_size(inode);
}

IM_COMPAT_UPDATE_TIME(im_update_time, im_touch)

const struct inode_operations im_file_iops = {
	.setattr	= im_setattr,
	.getattr	= im_getattr,
	.listxattr	= im_listxattr,
	IM_ACL_IOPS(im_get_acl, im_set_acl),
	.fileattr_get	= im_fileattr_get,
	.fileattr_set	= im_fileattr_set,
	.fiemap		= im_fiemap,
};

const struct inode_operations im_symlink_iops = {
	.get_link	= im_get_link,
	.update_time	= im_update_time,
	.setattr	= im_setattr,
	.getattr	= im_getattr,
	.listxattr	= im_listxattr,
};

const struct inode_operations im_special_iops = {
	.update_time	= im_update_time,
	.setattr	= im_setattr,
	.getattr	= im_getattr,
	.listxattr	= im_listxattr,
	IM_ACL_IOPS(im_get_acl, im_set_acl),
};

const struct inode_operations im_dir_iops = {
	.lookup		= im_lookup,
	.create		= im_create,
	.mkdir		= im_mkdir,
	.mknod		= im_mknod,
	.symlink	= im_symlink,
	.link		= im_link,
	.unlink		= im_unlink,
	.rmdir		= im_rmdir,
	.rename		= im_rename,
	.tmpfile	= im_tmpfile,
	.setattr	= im_setattr,
	.getattr	= im_getattr,
	.listxattr	= im_listxattr,
	IM_ACL_IOPS(im_get_acl, im_set_acl),
	.fileattr_get	= im_fileattr_get,
	.fileattr_set	= im_fileattr_set,
	.fiemap		= im_fiemap,
};
