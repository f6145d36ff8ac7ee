/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The replica's tree by the server's FIDs: which local object is which, and
 * handles to them. Everything goes by handles and single names; no path is ever
 * walked. A struct tree belongs to the client's thread.
 *
 * Changes are tagged (IM_IOC_TAG). A tree always has some tag set while it is
 * open, since only a tagged thread sees IM_XATTR_ORIGIN.
 *
 * The limbo is a directory at the root of the replica that exists only while
 * something is out of place: it holds what a snapshot found in the way, until
 * it is met at its new place or known to be gone. Its FID, as far as this
 * client is concerned, is one that no server has (TREE_LIMBO), so the index
 * finds it again after a crash, and whoever opens the tree removes it when
 * nothing can need it any more.
 */
#ifndef _SYNCD_TREE_H
#define _SYNCD_TREE_H

#include "index.h"
#include "syncd.h"

#define TREE_DIRS	64		/* open directories kept */
#define TREE_STATE	IM_XATTR_PREFIX "server"

#define TREE_EPOCHS	16

/* Where this client is with its server; an xattr of the replica's root. */
struct tree_state {
	__le32 version;			/* TREE_STATE_VERSION */
	__le32 phase;			/* enum tree_phase */
	u8 uuid[16];			/* of the server's fileset */
	__le64 incarnation;
	__le64 start;			/* of the snapshot: log before its walk */
	__le64 window;			/* records up to here may find that the
					 * tree is ahead of them already */
	__le32 round;			/* counts snapshots */
	__le32 epoch_count;
	struct im_epoch epochs[TREE_EPOCHS];	/* of the server, see lineage.c */
};
#define TREE_STATE_VERSION	2
enum tree_phase { TREE_NEW, TREE_SNAPSHOT, TREE_FOLLOW };

struct tree_dir {
	struct im_fid fid;		/* the server's; none: free */
	int fd;
	u64 used;
};

struct tree {
	struct fset *f;
	struct index *ix;
	int replay;			/* descriptor for tags */
	u64 recno, low;			/* of the tags that are not FINAL */
	u64 server;			/* origin id of the server */
	u64 self;			/* and of the fileset here */
	struct im_fid root;		/* local */
	struct tree_state st;
	struct tree_dir dirs[TREE_DIRS];
	u64 tick;
	struct timespec committed;
	u64 serial;			/* of names in the limbo */
};

extern const struct im_fid TREE_LIMBO;

/* The state alone; TREE_NEW when there is none. origin: id of the server. */
int tree_state_load(struct fset *f, u64 origin, struct tree_state *st);

/*
 * Opens or rebuilds the index. st: as it is to be; the index is emptied when it
 * is of another server or incarnation. info: of now.
 */
int tree_open(struct tree *t, struct fset *f, const struct im_ioc_info *info,
	      u64 server, const struct tree_state *st);
void tree_close(struct tree *t);
int tree_state_save(struct tree *t);

/* Commits the index when the last time was long ago, or force. */
int tree_commit(struct tree *t, bool force);

/* Opens a replay descriptor and gives this thread the tag `recno`. */
int tree_replay_open(struct fset *f, u64 origin, u64 recno);
int tree_tag(int replay, const struct im_ioc_tag *tag);
/* A tag for a change that completes nothing; dirfd (or -1) keeps its mtime. */
int tree_tag_plain(struct tree *t, const struct im_fid *fid, int dirfd);

/* The local FID of fid as far as the index knows; -ENOENT. */
int tree_find(struct tree *t, const struct im_fid *fid, struct im_fid *local);
/*
 * Opens the object that fid is, with its identity checked. -ENOENT: not here
 * (and the index is told). flags: O_PATH, or O_RDONLY, O_RDWR.
 */
int tree_get(struct tree *t, const struct im_fid *fid, int flags);
/* The same for a directory; the descriptor belongs to the tree. */
int tree_dir(struct tree *t, const struct im_fid *fid);
void tree_dir_forget(struct tree *t, const struct im_fid *fid);

/* Which local object name in dirfd is; -ENOENT. */
int tree_name(int dirfd, const char *name, struct im_fid *local);
/* What an object claims to be; fd may be O_PATH. -ENODATA. */
int tree_origin(int fd, struct im_origin *o);
int tree_origin_name(int dirfd, const char *name, struct im_origin *o);
/* Claims it: xattr and index; fd may be O_PATH. */
int tree_adopt(struct tree *t, int fd, const struct im_fid *fid, u64 version);
int tree_origin_set(int fd, u64 server, const struct im_fid *fid, u64 version);
/* Enters what was just made as name in dirfd. */
int tree_made(struct tree *t, int dirfd, const char *name,
	      const struct im_fid *fid);
int tree_forget(struct tree *t, const struct im_fid *fid);

/* Moves name in dirfd into the limbo. dir keeps its mtime. */
int tree_banish(struct tree *t, int dirfd, const char *name);
/* True if the directory fd lies in the limbo itself. */
bool tree_in_limbo(struct tree *t, int fd);
/* Removes from the limbo what the index does not know, and it, if then empty. */
int tree_limbo_clean(struct tree *t, bool all);
/* Removes name in dirfd and all below it. */
int tree_remove(struct tree *t, int dirfd, const char *name);

#define TREE_FDPATH	32
const char *tree_fdpath(char buf[TREE_FDPATH], int fd);

#endif /* _SYNCD_TREE_H */
