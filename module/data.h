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
/*
 * Logs CLOSE or SYNC with the ranges up to now. log_mutex is held, the state
 * is DIRTY, the caller has write access to the lower. push: not many ranges.
 */
int im_dirty_log(struct inode *inode, unsigned int opcode, bool still,
		 bool push);

/* There is something for a SYNC to say; ii->lock is held. */
static inline bool im_dirty_pending(const struct im_inode *ii)
{
	return ii->ranges.n || ii->trunc != U64_MAX ||
	       ii->newborn > IM_NEWBORN_SAME;
}

/* newborn.c: the file leaves its list if nothing has happened to it since its
 * CREATE; log_mutex is held, and a reference to the inode. */
bool im_newborn_drop(struct inode *inode);

/* settle.c */
void im_dirty_logged(struct im_op *op);
/* Takes an inode off its list; dirty_lock held; the caller drops the pin. */
void im_dirty_off(struct im_fs *fs, struct im_inode *ii);
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
