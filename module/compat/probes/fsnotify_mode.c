// SPDX-License-Identifier: GPL-2.0
/* 6.14: an open flag is no way any more to a file without notifications. */
#include <linux/fs.h>

void im_probe(struct file *file);
void im_probe(struct file *file)
{
	file_set_fsnotify_mode(file, FMODE_NONOTIFY);
}
