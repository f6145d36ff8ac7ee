// SPDX-License-Identifier: GPL-2.0
/* Until 7.0 modules may lock_rename(). */
#include <linux/fs.h>
#include <linux/namei.h>

struct dentry *im_probe(struct dentry *a, struct dentry *b);
struct dentry *im_probe(struct dentry *a, struct dentry *b)
{
	return lock_rename(a, b);
}
