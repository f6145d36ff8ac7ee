// SPDX-License-Identifier: GPL-2.0
/* 7.0: ->update_time() is told which times, and flags of the I/O. */
#include <linux/fs.h>

int im_probe(const struct inode_operations *ops, struct inode *inode);
int im_probe(const struct inode_operations *ops, struct inode *inode)
{
	return ops->update_time(inode, FS_UPD_ATIME, IOCB_NOWAIT);
}
