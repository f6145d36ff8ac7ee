/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An answer that is made while it is sent: frames. The connection's thread
 * calls more() whenever out has been sent; more() appends at least one frame,
 * some 64 to 256 KiB of them if there is that much, and may block. It belongs
 * to one thread. A struct answer is the first member of what each kind needs.
 *
 * Settling. Nobody may be told that he has all of an object when a crash of
 * this server could still take a part of that back: the record of the change
 * would be lost with it and he would never learn. DIRTY and every intent is in
 * the log before the change can be seen, so it is enough to wait, after the
 * reading and before saying "that is all" (FILEEND, OBJECT, END of a
 * snapshot), until the log is durable up to its newest record of that moment:
 * then a change that was seen has a record that survives, and repairs.
 */
#ifndef _SYNCD_ANSWER_H
#define _SYNCD_ANSWER_H

#include <sys/stat.h>
#include "syncd.h"

struct answer {
	struct fset *f;			/* the request's reference */
	const atomic_bool *stop;	/* end soon */
	int sock;			/* of the connection: only to poll */
	int level;			/* zstd, for file data; see pack */
	struct im_buf out;
	bool settle;			/* out must wait for the log */
	u64 records;			/* in out */
	int lean;			/* see answer_data() */
	const struct im_fid *fids;	/* all that the answer is about */
	u32 fid_count;
	struct proof *proof;		/* of these, once it was needed */
	char err[160];			/* text for more()'s -errno, or empty */
	/* 1: go on; 0: out holds the last of it; -errno: ERROR frame, end */
	int (*more)(struct answer *a);
	void (*free)(struct answer *a);	/* what is behind this struct, and it */
};

#define ANSWER_FILL	(64U << 10)	/* more() returns from here on */
#define ANSWER_PIECE	(128U << 10)	/* file data in one frame */
#define ANSWER_LEVEL	1		/* zstd of records, objects, sums */

/* What a client says to prove that an object is of the fileset; see proof.c. */
struct hint {
	u64 recno;			/* 0: none */
	struct im_fid dir;		/* none: no name */
	char name[IM_NAME_LEN + 1];
};

/* Each returns NULL for want of memory, or sets *err (-errno) and text. */
struct answer *kml_answer(struct fset *f, u64 from, u32 riders, int *err);
/* -ESTALE, too: `epoch` is not of the log from record `to` on. */
struct answer *kml_part_answer(struct fset *f, u64 from, u64 to, u64 epoch,
			       int *err);
struct answer *snapshot_answer(const struct im_fid *fid);	/* NULL: all */
struct answer *stat_answer(struct im_buf *body);		/* takes body */
struct answer *data_answer(struct im_buf *body);		/* takes body */
struct answer *sums_answer(const struct im_fid *fid, const struct hint *hint,
			   u32 block);
struct answer *sig_answer(const struct im_fid *fid, const struct hint *hint,
			  u32 block);

/* A librsync signature on its way in; delta_answer() takes it. */
struct sigload;
struct sigload *sigload_new(void);
int sigload_feed(struct sigload *s, const void *p, size_t len);
int sigload_end(struct sigload *s);	/* 0: a whole, usable signature */
void sigload_hash(const struct sigload *s, u64 hash[2]);	/* XXH3-128 */
void sigload_free(struct sigload *s);
struct answer *delta_answer(const struct im_fid *fid, const struct hint *hint,
			    struct sigload *s);

#define BLOCK_MIN	256U		/* of sums, sig and delta */
#define BLOCK_MAX	(16U << 20)

/* export.c */
int export_info(struct fset *f, struct im_wire_info *w);
bool export_items_ok(const struct im_buf *body);
/* What a client asks for, with all that can prove it. -ESTALE: it is gone. */
int answer_fid_open(struct answer *a, const struct im_fid *fid,
		    const struct hint *h, int flags);
void answer_free(struct answer *a);	/* all of it */
void answer_gone(struct answer *a, const struct im_fid *fid);
/*
 * Opens a regular file and appends its FILE frame for [off, off + len) clipped
 * to the size, which *st has. -ESTALE: it is gone and out says so.
 */
int answer_file(struct answer *a, const struct im_fid *fid,
		const struct hint *hint, u32 index, u64 off, u64 len,
		struct stat *st);
void answer_fileend(struct answer *a, int fd, u64 xxh3);
void answer_data(struct answer *a, unsigned int type, const void *p,
		 size_t len);

/* snapshot.c: appends one im_wire_obj; fd is O_PATH. name may be NULL. */
int object_put(struct im_buf *b, int fd, const struct im_fid *fid,
	       const char *name);

/* kml.c */
int kml_info(struct fset *f, struct im_ioc_info *info);
int kml_open(struct fset *f, u64 from);	/* O_NONBLOCK */
/* 0: record `seen` of this log is of that epoch; -ESTALE: it is not. */
int kml_lineage(struct fset *f, u64 seen, u64 epoch);
/* Appends an EPOCH frame; *next: the first record of the next one, U64_MAX. */
int kml_put_epoch(struct fset *f, struct im_buf *out, u64 recno, u64 *next);
/* Returns when the log is durable up to its newest record of now. */
int kml_settle(struct fset *f, const atomic_bool *stop);

/* riders.c: of the records in buf, as the kernel gave them, if it can be. */
void riders_put(struct answer *a, const u8 *buf, size_t len, u32 most);

#endif /* _SYNCD_ANSWER_H */
