// SPDX-License-Identifier: GPL-2.0
/* 6.16: a file may have ->mmap_prepare and no ->mmap. */
#include <linux/fs.h>

int im_probe(struct file *file, struct vm_area_struct *vma);
int im_probe(struct file *file, struct vm_area_struct *vma)
{
	return file->f_op->mmap_prepare ? vfs_mmap(file, vma) : -ENODEV;
}
