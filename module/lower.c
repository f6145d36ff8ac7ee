// SPDX-License-Identifier: GPL-2.0
#include "lower.h"

#include <linux/cred.h>
#include <linux/exportfs.h>
#include <linux/file.h>

void im_fid_of(const struct inode *lower, struct im_fid *fid)
{
	fid->ino = cpu_to_le64(lower->i_ino);
	fid->gen = cpu_to_le32(lower->i_generation);
	fid->zero = 0;
}

static int im_any_alias(void *arg, struct dentry *dentry)
{
	return 1;
}

struct dentry *im_lower_decode(struct im_fs *fs, const struct im_fid *fid,
			       int (*ok)(void *arg, struct dentry *dentry))
{
	u64 ino = le64_to_cpu(fid->ino);
	struct fid fh = {
		.i32.ino = ino,
		.i32.gen = le32_to_cpu(fid->gen),
	};
	const struct cred *old;
	struct dentry *dentry;

	/* The lower's plain handle has 32 bits for the inode number. */
	if (!ino || ino > U32_MAX)
		return ERR_PTR(-ESTALE);

	/* Directories get connected up to the root, which needs lookups that
	 * the caller may not be allowed to do.
	 */
	old = override_creds(fs->cred);
	dentry = exportfs_decode_fh(fs->lower.mnt, &fh, 2, FILEID_INO32_GEN,
				    ok, fs);
	revert_creds(old);

	if (!dentry)
		return ERR_PTR(-ESTALE);
	if (IS_ERR(dentry))
		return dentry;
	/* A generation of 0 matches any in ext4; not here. */
	if (d_is_negative(dentry) || d_inode(dentry)->i_ino != ino ||
	    d_inode(dentry)->i_generation != le32_to_cpu(fid->gen)) {
		dput(dentry);
		return ERR_PTR(-ESTALE);
	}
	return dentry;
}

struct dentry *im_lower_by_fid(struct im_fs *fs, const struct im_fid *fid)
{
	return im_lower_decode(fs, fid, im_any_alias);
}

struct dentry *im_lower_lookup(struct dentry *dir, const char *name, int len)
{
	return im_compat_lookup(name, dir, len);
}

bool im_is_state(struct im_fs *fs, const struct dentry *lower_dir,
		 const char *name, int len)
{
	return lower_dir == fs->lower.dentry &&
	       len == sizeof(IM_STATE_DIR) - 1 &&
	       !memcmp(name, IM_STATE_DIR, len);
}

struct file *im_do_tmpfile(struct im_fs *fs, struct dentry *dir, umode_t mode,
			   int flags)
{
	struct path path = { .mnt = fs->lower.mnt, .dentry = dir };
	struct file *file = im_compat_tmpfile_open(&path, mode, flags,
						   current_cred());

	pr_debug("im: tmpfile %pd2 0%o = %d\n", dir, mode,
		 PTR_ERR_OR_ZERO(file));
	return file;
}

struct file *im_lower_open_dir(struct im_fs *fs, struct dentry *dir, int flags)
{
	struct path path = { .mnt = fs->lower.mnt, .dentry = dir };

	return dentry_open(&path, flags | O_DIRECTORY, current_cred());
}

int im_lower_sync(struct im_fs *fs)
{
	struct super_block *sb = fs->lower.mnt->mnt_sb;
	int err;

	down_read(&sb->s_umount);
	err = sync_filesystem(sb);
	up_read(&sb->s_umount);
	return err;
}

struct im_each {
	struct dir_context ctx;
	int (*fn)(void *arg, const char *name, int len, u64 ino);
	void *arg;
	int ret;
	bool any;		/* this round has met an entry */
};

static bool im_each_actor(struct dir_context *ctx, const char *name, int len,
			  loff_t off, u64 ino, unsigned int type)
{
	struct im_each *each = container_of(ctx, struct im_each, ctx);

	each->any = true;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return true;
	each->ret = each->fn(each->arg, name, len, ino);
	return !each->ret;
}

int im_lower_each(struct im_fs *fs, struct dentry *dir,
		  int (*fn)(void *arg, const char *name, int len, u64 ino),
		  void *arg)
{
	struct im_each each = {
		.ctx.actor = im_each_actor,
		.fn = fn,
		.arg = arg,
	};
	const struct cred *old = override_creds(fs->cred);
	struct file *file;
	int err;

	file = im_lower_open_dir(fs, dir, O_RDONLY | O_LARGEFILE | O_NOATIME);
	err = PTR_ERR_OR_ZERO(file);
	if (err)
		goto out_creds;

	/* A round may end before the directory does. */
	do {
		each.any = false;
		err = iterate_dir(file, &each.ctx);
	} while (!err && !each.ret && each.any);
	fput(file);
out_creds:
	revert_creds(old);
	return err ? err : each.ret;
}
