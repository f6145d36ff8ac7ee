/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file tree in memory: as the log says it should be, or as it is on disk.
 * Objects are known by FID, names by (directory FID, name).
 */
#ifndef IM_CRASH_TREE_H
#define IM_CRASH_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/record.h"
#include <linux/intermezzo.h>

#define TREE_BUCKETS 4096

struct fid {
	uint64_t ino;
	uint32_t gen;
};

struct xattr {
	struct xattr *next;
	char *name;
	uint64_t digest;	/* of the value */
	bool vague;		/* there, but the log does not tell its value */
};

struct node {
	struct node *next;	/* in the bucket */
	struct fid fid;
	uint32_t mode, uid, gid;
	uint64_t rdev;
	uint64_t size;		/* regular files */
	int64_t mtime;		/* regular files */
	uint32_t mtime_ns;
	char *target;		/* symbolic links */
	struct xattr *xattrs;
	uint64_t digest;	/* of the data, if data_known */
	bool data_known;
	bool dirty;		/* DIRTY without CLOSE or SYNC so far */
	bool vague_access;	/* these ACLs may have been inherited */
	bool vague_default;
	bool nameless;		/* DIRTY before it got its first name */
	uint32_t nlink;		/* on disk: st_nlink; else counted at the end */
};

struct entry {
	struct entry *next;
	struct fid dir;
	struct fid fid;		/* ino 0: a whiteout, and no record since has
				 * said which */
	uint32_t gid;		/* of that whiteout */
	char name[IM_NAME_LEN + 1];
	bool met;		/* for the comparison */
};

struct tree {
	uint64_t recno;		/* last record it includes */
	struct fid root;
	unsigned int nodes_nr, entries_nr;
	struct node *nodes[TREE_BUCKETS];
	struct entry *entries[TREE_BUCKETS];
};

static inline bool fid_eq(const struct fid *a, const struct fid *b)
{
	return a->ino == b->ino && a->gen == b->gen;
}

struct node *tree_node(const struct tree *t, const struct fid *fid);
struct node *tree_add(struct tree *t, const struct fid *fid);
struct entry *tree_entry(const struct tree *t, const struct fid *dir,
			 const char *name);
struct entry *tree_link(struct tree *t, const struct fid *dir,
			const char *name, const struct fid *fid);
void tree_unlink(struct tree *t, struct entry *e);

#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

struct xattr *node_xattr(const struct node *n, const char *name);
void node_set_xattr(struct node *n, const char *name, const void *value,
		    size_t len);
void node_del_xattr(struct node *n, const char *name);

/* A whiteout's object: the record that leaves it does not name it. */
struct node *tree_add_whiteout(struct tree *t, const struct fid *fid,
			       uint32_t gid);

/* Counts the names of each object into nlink; drops what has none. */
void tree_count_links(struct tree *t);

/* The path of a directory, for messages. */
const char *tree_path(const struct tree *t, const struct fid *dir,
		      const char *name);

/* walk.c: the tree below an open directory of an intermezzo mount. */
int tree_walk(struct tree *t, int dirfd);
/* The recnos and the identity of the mount that dirfd is in; -errno. */
int mount_info(int dirfd, struct im_ioc_info *info);

/* dump.c's file, 0 or -errno */
int tree_save(const struct tree *t, const char *path);
int tree_load(struct tree *t, const char *path);

/*
 * apply.c: one record of the log onto the tree. 0, or 1 if the record does
 * not fit the tree: a violation, told on stdout.
 */
int tree_apply(struct tree *t, const struct im_rec *rec,
	       const struct im_body *body);

/*
 * compare.c: the number of differences, each told on stdout (the first 20).
 * *slipped: files whose data changed without a record and without a new mtime:
 * a buffered overwrite in place may reach the disk before the transaction
 * that carries both. That is the one gap the design allows.
 */
unsigned int tree_compare(struct tree *want, struct tree *got,
			  unsigned int *slipped);

#endif
