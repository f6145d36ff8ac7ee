// SPDX-License-Identifier: GPL-2.0
/* 6.17: struct fileattr was renamed. */
#include <linux/fs.h>
#include <linux/fileattr.h>

int im_probe(struct dentry *dentry, struct file_kattr *fa);
int im_probe(struct dentry *dentry, struct file_kattr *fa)
{
	return vfs_fileattr_get(dentry, fa);
}
