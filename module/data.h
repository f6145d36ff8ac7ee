/* SPDX-License-Identifier: GPL-2.0 */
/* Between file.c, mmap.c, dirty.c and settle.c. */
#ifndef _IM_DATA_H
#define _IM_DATA_H

#include <linux/pagemap.h>
#include "intermezzo.h"

enum im_sync {
	IM_SYNC_CLOSE,		/* the last writer has gone */
	IM_SYNC_TIMER,		/* a period has passed */
	IM_SYNC_NOW,		/* fsync, sync: all changes up to now */
	IM_SYNC_LAST,		/* unmount: as NOW, and waits for a thaw */
	IM_SYNC_PUSH,		/* the log needs room: move data_recno */
};

/* dirty.c */
int im_dirty_sync_locked(struct inode *inode, enum im_sync why);

/* settle.c */
void im_dirty_logged(struct im_op *op);
void im_dirty_kick(struct im_fs *fs);	/* sync_work within a period */

/* file.c: a file of the lower inode, with the upper's path for all to see. */
struct file *im_lower_open(struct file *file, int flags);
void im_accessed(struct file *file);

static inline struct super_block *im_lower_sb(struct im_fs *fs)
{
	return fs->lower.mnt->mnt_sb;
}

/*
 * Writes all dirty pages and waits for it: the mappings of these pages are
 * write-protected then. Of errors fsync is told, not the caller.
 */
static inline void im_data_write(struct inode *inode)
{
	struct address_space *mapping = im_lower_inode(inode)->i_mapping;

	filemap_fdatawrite(mapping);
	filemap_fdatawait_keep_errors(mapping);
}

#endif /* _IM_DATA_H */
