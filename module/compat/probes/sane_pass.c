// SPDX-License-Identifier: GPL-2.0
/* Must compile, or the answers of the others mean nothing. */
#include <linux/fs.h>

struct inode *im_probe(struct dentry *dentry);
struct inode *im_probe(struct dentry *dentry)
{
	return d_inode(dentry);
}
