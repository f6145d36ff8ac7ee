// SPDX-License-Identifier: GPL-2.0
/* 6.19: delegations of directories; one argument more to make and remove. */
#include <linux/fs.h>
#include <linux/filelock.h>

int im_probe(struct inode *dir, struct dentry *dentry,
	     struct delegated_inode *di);
int im_probe(struct inode *dir, struct dentry *dentry,
	     struct delegated_inode *di)
{
	return vfs_rmdir(&nop_mnt_idmap, dir, dentry, di);
}
