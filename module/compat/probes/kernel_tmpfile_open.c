// SPDX-License-Identifier: GPL-2.0
/* 6.3: vfs_tmpfile_open() was renamed. */
#include <linux/fs.h>

struct file *im_probe(const struct path *dir, const struct cred *cred);
struct file *im_probe(const struct path *dir, const struct cred *cred)
{
	return kernel_tmpfile_open(&nop_mnt_idmap, dir, 0600, O_RDWR, cred);
}
