// SPDX-License-Identifier: GPL-2.0
/* 6.15: ->mkdir returns the dentry that the directory got. */
#include <linux/fs.h>

static struct dentry *im_mkdir(struct mnt_idmap *idmap, struct inode *dir,
			       struct dentry *dentry, umode_t mode)
{
	return NULL;
}

extern const struct inode_operations im_probe;
const struct inode_operations im_probe = { .mkdir = im_mkdir };
