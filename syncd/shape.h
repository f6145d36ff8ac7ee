/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Making local objects and giving them their attributes. The caller has set
 * the tag; dirfd and fd are handles, fd may be O_PATH.
 */
#ifndef _SYNCD_SHAPE_H
#define _SYNCD_SHAPE_H

#include "syncd.h"

struct shape {
	u32 mode;			/* with type */
	u32 uid, gid;
	u64 rdev;			/* major << 32 | minor */
	const char *target;		/* symlink; target_len bytes */
	u32 target_len;
};

/* Once in each thread that makes objects: owners are set by fsuid and fsgid. */
int shape_thread(void);

/*
 * One system call that changes the tree, owner and mode included. -EEXIST.
 * -EPROTO: such a thing cannot be.
 */
int shape_make(int dirfd, const char *name, const struct shape *s);

/* Owner and mode where they differ. */
int shape_attrs(int fd, const struct shape *s);
int shape_times(int fd, u64 mtime, u32 mtime_ns);	/* where they differ */

/* All xattrs as the object has them: set, and those that are not there removed. */
int shape_xattrs(int fd, const struct im_obj *obj);
int shape_setxattr(int fd, const char *name, size_t name_len, const void *value,
		   size_t len);		/* value NULL: remove */

void shape_from_obj(struct shape *s, const struct im_obj *obj);

#endif /* _SYNCD_SHAPE_H */
