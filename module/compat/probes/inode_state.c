// SPDX-License-Identifier: GPL-2.0
/* 6.19: accessors of i_state. */
#include <linux/fs.h>

int im_probe(struct inode *inode);
int im_probe(struct inode *inode)
{
	return inode_state_read_once(inode) & I_NEW;
}
