// SPDX-License-Identifier: GPL-2.0
/*
 * A mount: a superblock over a directory of a lower filesystem, on a private
 * clone of that filesystem's mount. It begins by refusing what cannot work,
 * then the log is opened (and recovered), then the data side starts; it ends
 * in the reverse order, the log last, so that its CHECKPOINT|CLEAN speaks of
 * data that is on disk.
 */
#include "super.h"
#include "lower.h"
#include "vfs.h"

#include <linux/cred.h>
#include <linux/exportfs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/statfs.h>

/*
 * Held from the check for overlaps until the fileset is registered, and from
 * its removal from the registry until its log is closed: the same lower is
 * never opened twice. Taken under s_umount.
 */
static DEFINE_MUTEX(im_mount_lock);

void im_free_fs(struct im_fs *fs)
{
	dput(fs->state);
	dput(fs->lower.dentry);
	if (fs->lower.mnt)
		kern_unmount(fs->lower.mnt);
	put_cred(fs->cred);
	kfree(fs);
}

/* Is there a fileset's state in dir? 1: yes. */
static int im_has_state(struct dentry *dir)
{
	struct dentry *state;
	int ret;

	state = im_compat_lookup_unlocked(IM_STATE_DIR, dir,
					  sizeof(IM_STATE_DIR) - 1);
	if (IS_ERR(state))
		return PTR_ERR(state);
	ret = d_is_positive(state);
	dput(state);
	return ret;
}

/* Another fileset must not be found above; mounted or not. */
static int im_check_above(struct im_fs *fs, struct path *path)
{
	struct dentry *dir = dget(path->dentry), *parent;
	int err = 0;

	while (!IS_ROOT(dir)) {
		parent = dget_parent(dir);
		dput(dir);
		dir = parent;
		err = im_has_state(dir);
		if (err > 0) {
			im_mount_err(fs, "%s lies inside another fileset, whose root is '%pd': filesets cannot be nested; take a directory outside of it, or remove its "
				     IM_STATE_DIR " if it is not used any more",
				     fs->fc->source, dir);
			err = -EBUSY;
		}
		if (err)
			break;
	}
	dput(dir);
	return err;
}

struct im_overlap {
	struct im_fs *fs;
	struct dentry *dir;
};

static int im_overlaps(struct im_fs *other, void *arg)
{
	struct im_overlap *o = arg;

	if (!strcmp(other->name, o->fs->name)) {
		im_mount_err(o->fs, "a fileset named %s is mounted already: two of one name cannot be mounted on one machine",
			     other->name);
		return -EEXIST;
	}
	if (other->lower.dentry->d_sb != o->dir->d_sb)
		return 0;
	if (!is_subdir(o->dir, other->lower.dentry) &&
	    !is_subdir(other->lower.dentry, o->dir))
		return 0;
	im_mount_err(o->fs, "%s %s fileset %s, which is mounted: filesets cannot overlap",
		     o->fs->fc->source,
		     o->dir == other->lower.dentry ? "is already" :
		     is_subdir(o->dir, other->lower.dentry) ? "lies inside" :
		     "contains", other->name);
	return -EBUSY;
}

static int im_check_lower(struct im_fs *fs, struct path *path)
{
	struct super_block *sb = path->mnt->mnt_sb;
	struct im_overlap overlap = { .fs = fs, .dir = path->dentry };
	const char *source = fs->fc->source;
	int err;

	if (sb->s_type == &im_fs_type) {
		im_mount_err(fs, "%s is already on the mounted fileset %s: unmount that first",
			     source, IM_FS(sb)->name);
		return -EBUSY;
	}
	if (__mnt_is_readonly(path->mnt)) {
		im_mount_err(fs, "%s is on a read-only filesystem; the log has to be written there: remount it read-write",
			     source);
		return -EROFS;
	}
	if (is_idmapped_mnt(path->mnt)) {
		im_mount_err(fs, "%s is on an id-mapped mount, which is not supported: use the original one",
			     source);
		return -EOPNOTSUPP;
	}
	if (!sb->s_export_op || !sb->s_export_op->fh_to_dentry) {
		im_mount_err(fs, "%s: its filesystem %s has no file handles, by which files are found again; use ext4 with a journal",
			     source, sb->s_type->name);
		return -EOPNOTSUPP;
	}
	/* Names that compare by other rules than bytes. */
	if (path->dentry->d_flags & (DCACHE_OP_HASH | DCACHE_OP_COMPARE)) {
		im_mount_err(fs, "%s: its filesystem can fold the case of names (casefold), which is not supported; use one made without -O casefold",
			     source);
		return -EOPNOTSUPP;
	}
	if (sb->s_stack_depth >= FILESYSTEM_MAX_STACK_DEPTH) {
		im_mount_err(fs, "%s: its filesystem is stacked too deep already",
			     source);
		return -EINVAL;
	}
	if (d_unlinked(path->dentry)) {
		im_mount_err(fs, "%s has been removed", source);
		return -ENOENT;
	}
	err = im_fileset_each(im_overlaps, &overlap);
	if (err)
		return err;
	return im_check_above(fs, path);
}

static int im_open_lower(struct im_fs *fs)
{
	struct vfsmount *mnt;
	struct path path;
	int err;

	err = kern_path(fs->fc->source, LOOKUP_FOLLOW | LOOKUP_DIRECTORY,
			&path);
	if (err) {
		im_mount_err(fs, "cannot open the lower directory %s: error %d%s",
			     fs->fc->source, err,
			     err == -ENOTDIR ? ", it is not a directory" :
			     err == -ENOENT ? ", it does not exist" : "");
		return err;
	}
	err = im_check_lower(fs, &path);
	if (err)
		goto out_path;

	mnt = clone_private_mount(&path);
	err = PTR_ERR_OR_ZERO(mnt);
	if (err) {
		im_mount_err(fs, "cannot clone the mount of %s: error %d; is it unbindable, or of another mount namespace?",
			     fs->fc->source, err);
		goto out_path;
	}
	fs->lower.mnt = mnt;
	fs->lower.dentry = dget(path.dentry);
out_path:
	path_put(&path);
	return err;
}

static void im_setup_super(struct super_block *sb, struct im_fs *fs)
{
	struct super_block *lower = fs->lower.mnt->mnt_sb;

	sb->s_magic = 0x494d5a4f;	/* "IMZO"; only the kernel sees it */
	sb->s_op = &im_super_ops;
	sb->s_xattr = (void *)im_xattr_handlers;
	sb->s_export_op = &im_export_ops;
	sb->s_blocksize = lower->s_blocksize;
	sb->s_blocksize_bits = lower->s_blocksize_bits;
	sb->s_maxbytes = lower->s_maxbytes;
	sb->s_time_gran = lower->s_time_gran;
	sb->s_time_min = lower->s_time_min;
	sb->s_time_max = lower->s_time_max;
	sb->s_stack_depth = lower->s_stack_depth + 1;
	/* Without it the VFS applies the umask, as it has to then. */
	sb->s_flags |= lower->s_flags & SB_POSIXACL;
	/* The VFS tells the upper inode when S_NOSEC must go. */
	sb->s_flags |= SB_NOSEC;
}

int im_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct im_fs *fs = IM_FS(sb);
	struct inode *root;
	int err;

	fs->sb = sb;
	mutex_lock(&im_mount_lock);
	err = im_open_lower(fs);
	if (err)
		goto out;
	im_setup_super(sb, fs);

	im_dirty_init_fs(fs);
	err = im_journal_open(fs);
	if (err)
		goto out;
	uuid_copy(&sb->s_uuid, (uuid_t *)fs->fset.uuid);

	err = im_dirty_start(fs);
	if (err)
		goto err_journal;

	root = im_iget(sb, fs->lower.dentry);
	err = PTR_ERR_OR_ZERO(root);
	if (err)
		goto err_dirty;
	sb->s_root = d_make_root(root);
	if (!sb->s_root) {
		err = -ENOMEM;
		goto err_dirty;
	}

	/* From here on im_kill_super() undoes all. */
	err = im_fileset_add(fs);
	if (err) {
		im_mount_err(fs, "a copy of fileset %s, with the same uuid, is mounted already: two copies of one fileset cannot be mounted on one machine",
			     fs->name);
		dput(sb->s_root);
		sb->s_root = NULL;
		goto err_dirty;
	}
	im_netlink_event(fs, IM_CMD_EV_UP);
	goto out;

err_dirty:
	im_dirty_stop(fs);
err_journal:
	im_journal_close(fs);
out:
	mutex_unlock(&im_mount_lock);
	fs->fc = NULL;
	return err;
}

static void im_kill_super(struct super_block *sb)
{
	struct im_fs *fs = IM_FS(sb);
	bool live = sb->s_root;

	if (live) {
		im_netlink_event(fs, IM_CMD_EV_DOWN);
		/* Syncs the lower, frees the inodes that it has pinned. */
		im_dirty_stop(fs);
	}
	kill_anon_super(sb);
	if (live) {
		mutex_lock(&im_mount_lock);
		im_fileset_del(fs);
		im_journal_close(fs);
		mutex_unlock(&im_mount_lock);
	}
	if (fs)
		im_free_fs(fs);
}

static int im_sync_fs(struct super_block *sb, int wait)
{
	struct im_fs *fs = IM_FS(sb);
	int err;

	err = im_dirty_sync_all(fs, wait);
	if (!err && wait)
		err = im_lower_sync(fs);
	return err;
}

/*
 * The lower is frozen with the upper, so that its device can be copied. Here
 * no writer is left above and all is synced.
 */
static int im_freeze_fs(struct super_block *sb)
{
	return im_compat_freeze(IM_FS(sb)->lower.mnt->mnt_sb);
}

static int im_unfreeze_fs(struct super_block *sb)
{
	int err = im_compat_thaw(IM_FS(sb)->lower.mnt->mnt_sb);

	/* Somebody has thawed it already: the upper must not stay frozen. */
	return err == -EINVAL ? 0 : err;
}

/*
 * f_type stays the lower's: programs choose by it how they watch and lock files
 * and what they expect of links and sizes, and all that is as there. That this
 * is InterMezzo says the type in the list of mounts.
 */
static int im_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct im_fs *fs = IM_FS(dentry->d_sb);
	int err = vfs_statfs(&fs->lower, buf);

	if (err)
		return err;
	buf->f_fsid = uuid_to_fsid(fs->fset.uuid);
	return 0;
}

const struct super_operations im_super_ops = {
	.alloc_inode	= im_alloc_inode,
	.destroy_inode	= im_destroy_inode,
	.free_inode	= im_free_inode,
	.evict_inode	= im_evict_inode,
	.sync_fs	= im_sync_fs,
	.freeze_fs	= im_freeze_fs,
	.unfreeze_fs	= im_unfreeze_fs,
	.statfs		= im_statfs,
	.show_options	= im_show_options,
};

struct file_system_type im_fs_type = {
	.owner			= THIS_MODULE,
	.name			= IM_FS_TYPE,
	.init_fs_context	= im_init_fs_context,
	.parameters		= im_params,
	.kill_sb		= im_kill_super,
};
MODULE_ALIAS_FS(IM_FS_TYPE);
