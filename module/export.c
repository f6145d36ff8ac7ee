// SPDX-License-Identifier: GPL-2.0
/*
 * File handles of the mount: the FID, with or without that of a directory it
 * was reached by.
 *
 * A handle must not lead into the state, nor, for a directory, out of the
 * fileset: the path to the lower root decides. A file of the lower knows its
 * directories only through the dentries in memory, so a handle that must stay
 * valid over a remount cannot prove where the file is; nobody else's can. Who
 * wants proof asks with IM_FH_FID_INSIDE. It is given if a dentry leads into
 * the fileset, or the upper inode is in use (open, maybe without a name), or
 * the fileset is the whole of the lower filesystem.
 */
#include "lower.h"
#include "vfs.h"

#include <linux/exportfs.h>
#include <linux/slab.h>

#define IM_FH_WORDS (sizeof(struct im_fh) / 4)
#define IM_FH_PARENT_WORDS (sizeof(struct im_fh_parent) / 4)

static void im_fh_of(struct im_fh *fh, const struct inode *inode)
{
	u64 ino = inode->i_ino;

	fh->ino_lo = lower_32_bits(ino);
	fh->ino_hi = upper_32_bits(ino);
	fh->gen = inode->i_generation;
}

static void im_fh_fid(const struct im_fh *fh, struct im_fid *fid)
{
	fid->ino = cpu_to_le64((u64)fh->ino_hi << 32 | fh->ino_lo);
	fid->gen = cpu_to_le32(fh->gen);
	fid->zero = 0;
}

static int im_encode_fh(struct inode *inode, __u32 *raw, int *max_len,
			struct inode *parent)
{
	struct im_fh_parent *fh = (void *)raw;
	int words = parent ? IM_FH_PARENT_WORDS : IM_FH_WORDS;

	if (*max_len < words) {
		*max_len = words;
		return FILEID_INVALID;
	}
	*max_len = words;
	im_fh_of(&fh->fh, inode);
	if (!parent)
		return IM_FH_FID;
	im_fh_of(&fh->dir, parent);
	return IM_FH_FID_PARENT;
}

static bool im_inside(struct im_fs *fs, struct dentry *lower)
{
	return is_subdir(lower, fs->lower.dentry) &&
	       !is_subdir(lower, fs->state);
}

static int im_inside_alias(void *arg, struct dentry *lower)
{
	return im_inside(arg, lower);
}

struct im_find {
	u64 ino;
	char name[IM_NAME_LEN + 1];
	int len;
};

static int im_find_ino(void *arg, const char *name, int len, u64 ino)
{
	struct im_find *find = arg;

	if (ino != find->ino || len > IM_NAME_LEN)
		return 0;
	memcpy(find->name, name, len);
	find->len = len;
	return 1;
}

/* The file of this number in the directory; lower dentry, or NULL, or error. */
static struct dentry *im_find_in(struct im_fs *fs, struct dentry *dir, u64 ino)
{
	struct im_find *find = kmalloc(sizeof(*find), GFP_KERNEL);
	struct dentry *lower = NULL;
	int ret;

	if (!find)
		return ERR_PTR(-ENOMEM);
	find->ino = ino;
	ret = im_lower_each(fs, dir, im_find_ino, find);
	if (ret < 0)
		lower = ERR_PTR(ret);
	if (ret <= 0)
		goto out;
	lower = im_compat_lookup_unlocked(find->name, dir, find->len);
	if (!IS_ERR(lower) && d_is_negative(lower)) {
		dput(lower);
		lower = NULL;
	}
out:
	kfree(find);
	return lower;
}

static bool im_is_in(struct im_fs *fs, struct dentry *dir, u64 ino)
{
	struct dentry *lower = im_find_in(fs, dir, ino);

	if (IS_ERR(lower))
		return true;	/* not known to be outside */
	dput(lower);
	return lower;
}

/* Is this one of the module's own files? The state is two levels deep. */
static bool im_in_state(struct im_fs *fs, u64 ino)
{
	struct dentry *log;
	bool in;

	if (im_is_in(fs, fs->state, ino))
		return true;
	log = im_compat_lookup_unlocked("log", fs->state, 3);
	if (IS_ERR(log))
		return true;
	in = d_is_dir(log) && im_is_in(fs, log, ino);
	dput(log);
	return in;
}

static bool im_proven(struct im_fs *fs, struct dentry *lower)
{
	struct inode *inode = im_cached_inode(fs->sb, lower);

	iput(inode);
	return inode || fs->lower.dentry == fs->lower.dentry->d_sb->s_root;
}

/* The lower dentry of an object; inside: only if it is proven to be here. */
static struct dentry *im_fh_lower(struct im_fs *fs, const struct im_fid *fid,
				  bool inside)
{
	struct dentry *lower = im_lower_decode(fs, fid, im_inside_alias);

	if (!IS_ERR(lower))
		return lower;
	lower = im_lower_by_fid(fs, fid);
	if (IS_ERR(lower))
		return lower;
	if (d_is_dir(lower) || (inside && !im_proven(fs, lower)) ||
	    im_in_state(fs, d_inode(lower)->i_ino)) {
		dput(lower);
		return ERR_PTR(-ESTALE);
	}
	return lower;
}

static struct dentry *im_fh_dentry(struct super_block *sb,
				   const struct im_fh *fh, bool inside)
{
	struct dentry *lower;
	struct inode *inode;
	struct im_fid fid;

	im_fh_fid(fh, &fid);
	lower = im_fh_lower(IM_FS(sb), &fid, inside);

	if (IS_ERR(lower))
		return lower;
	inode = im_iget(sb, lower);
	dput(lower);
	return d_obtain_alias(inode);
}

static struct dentry *im_fh_to_dentry(struct super_block *sb, struct fid *fh,
				      int words, int type)
{
	const struct im_fh_parent *p = (const void *)fh;

	switch (type) {
	case IM_FH_FID:
	case IM_FH_FID_INSIDE:
		if (words == IM_FH_WORDS)
			return im_fh_dentry(sb, &p->fh,
					    type == IM_FH_FID_INSIDE);
		break;
	case IM_FH_FID_PARENT:
		if (words == IM_FH_PARENT_WORDS)
			return im_fh_dentry(sb, &p->fh, false);
		break;
	}
	return ERR_PTR(-ESTALE);
}

static struct dentry *im_fh_to_parent(struct super_block *sb, struct fid *fh,
				      int words, int type)
{
	const struct im_fh_parent *p = (const void *)fh;

	if (type != IM_FH_FID_PARENT || words != IM_FH_PARENT_WORDS)
		return ERR_PTR(-ESTALE);
	return im_fh_dentry(sb, &p->dir, false);
}

static struct dentry *im_get_parent(struct dentry *child)
{
	struct super_block *sb = child->d_sb;
	struct im_fs *fs = IM_FS(sb);
	struct dentry *lower = im_lower_dentry(d_inode(child)), *parent;
	struct inode *inode;

	if (lower == fs->lower.dentry)
		return ERR_PTR(-ESTALE);
	parent = dget_parent(lower);
	inode = im_inside(fs, parent) ? im_iget(sb, parent) : ERR_PTR(-ESTALE);
	dput(parent);
	return d_obtain_alias(inode);
}

const struct export_operations im_export_ops = {
	.encode_fh	= im_encode_fh,
	.fh_to_dentry	= im_fh_to_dentry,
	.fh_to_parent	= im_fh_to_parent,
	.get_parent	= im_get_parent,
};
