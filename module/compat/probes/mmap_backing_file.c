// SPDX-License-Identifier: GPL-2.0
/* 7.1, and by backport: security modules are asked about stacked mappings. */
#include <linux/fs.h>
#include <linux/security.h>

int im_probe(struct vm_area_struct *vma, struct file *lower, struct file *user);
int im_probe(struct vm_area_struct *vma, struct file *lower, struct file *user)
{
	return security_mmap_backing_file(vma, lower, user);
}
