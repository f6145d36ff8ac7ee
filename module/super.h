/* SPDX-License-Identifier: GPL-2.0 */
/* The life of a mount: between params.c, super.c and main.c. */
#ifndef _IM_SUPER_H
#define _IM_SUPER_H

#include "intermezzo.h"

#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/seq_file.h>

extern const struct fs_parameter_spec im_params[];
extern const struct fs_context_operations im_context_ops;

int im_init_fs_context(struct fs_context *fc);
int im_fill_super(struct super_block *sb, struct fs_context *fc);
/* Frees what a mount that was never begun, or has ended, holds. */
void im_free_fs(struct im_fs *fs);
int im_show_options(struct seq_file *m, struct dentry *root);

int im_init_inode_cache(void);
void im_free_inode_cache(void);
struct inode *im_alloc_inode(struct super_block *sb);
void im_destroy_inode(struct inode *inode);
void im_free_inode(struct inode *inode);
void im_evict_inode(struct inode *inode);

#endif /* _IM_SUPER_H */
