// SPDX-License-Identifier: GPL-2.0
/* 7.0: readers of directories say which high bits of d_type they know. */
#include <linux/fs.h>

void im_probe(struct dir_context *a, const struct dir_context *b);
void im_probe(struct dir_context *a, const struct dir_context *b)
{
	a->dt_flags_mask = b->dt_flags_mask;
}
