/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Directories as digests, the same at server and replica: the sums are over
 * entries in any order, so two directories that list differently agree, and a
 * directory of any size is digested in constant memory. Parts of a directory
 * are told by the first bits of the hash of the name.
 *
 * The scanner does a little at a time, so that a server can say that it lives
 * and a client can stop. What it finds is read beneath the directory, without
 * following links or mounts; an entry that goes meanwhile is none.
 */
#ifndef _SYNCD_DIGEST_H
#define _SYNCD_DIGEST_H

#include <dirent.h>
#include <sys/stat.h>
#include <xxhash.h>
#include "answer.h"

struct digest_scan {
	/* to be set */
	struct fset *f;
	bool root;			/* the fileset's: our state is not of it */
	bool dirs_only;
	struct im_wire_ask ask;		/* bits, prefix, split, flags */
	const char *name;		/* only this; NULL: all */
	/* 0; -ENODATA: it is nobody's, its FID is none; -ENOENT: not there */
	int (*identify)(void *arg, int fd, struct im_fid *fid);
	void *arg;

	/* the entry that is ready */
	char entry[IM_NAME_LEN + 1];
	struct im_buf obj;		/* one im_wire_obj, with name */
	struct im_fid fid;
	struct stat st;
	bool whole;			/* content is of all of it */
	struct im_wire_content content;	/* regular, with IM_ASK_DATA */

	struct im_wire_sum *sums;	/* 2^split of them */
	u64 read;			/* bytes of files, ever */

	/* own */
	DIR *dir;
	bool named;
	int fd;				/* of the file that is read, or -1 */
	u64 pos, data_end;
	XXH3_state_t *hash;
	u8 *buf;
};

enum digest_step {
	DIGEST_END,			/* no more entries */
	DIGEST_MORE,			/* has worked, call again */
	DIGEST_ENTRY,			/* one is ready, and in the sums */
};

/* Takes fd, of a directory to be read. -errno. */
int digest_begin(struct digest_scan *d, int fd);
int digest_step(struct digest_scan *d);	/* enum digest_step, or -errno */
void digest_end(struct digest_scan *d);	/* all but sums */

u64 digest_name(const char *name, size_t len);
bool digest_in(const struct im_wire_ask *ask, u64 hash);
/* Of one object with fid in place of its own; its xattrs alone. */
XXH128_hash_t digest_meta(const struct im_obj *obj, const struct im_fid *fid);
XXH128_hash_t digest_xattrs(const struct im_obj *obj);

/* digests.c: the answer to a digest request; takes body. rate: 0: none. */
struct answer *digests_answer(struct fset *f, struct im_buf *body, u64 rate,
			      int *err);
bool digests_items_ok(const struct im_buf *body);

#endif /* _SYNCD_DIGEST_H */
