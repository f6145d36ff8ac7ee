/* SPDX-License-Identifier: GPL-2.0 */
/* The log of one mounted fileset: what journal.c and its neighbours share. */
#ifndef _IM_JOURNAL_H
#define _IM_JOURNAL_H

#include <linux/buffer_head.h>
#include "intermezzo.h"

#define IM_SEGS_MIN		4		/* the log never shrinks below */
#define IM_SEG_BYTES_MIN	(128U << 10)	/* holds the longest record */
#define IM_LOG_BYTES_MAX	(1ULL << 30)
#define IM_COMMIT_MS		20		/* default of im_ioc_kml */
#define IM_COMMIT_MS_MAX	10000

struct im_journal;

/*
 * How blocks of the log reach the disk: one table per kind of lower. A handle
 * groups changes; all changes of one handle have the same tid, tids are
 * comparable as signed differences, and what has a lower tid is on disk before
 * what has a higher one.
 */
struct im_log_ops {
	const char *name;		/* the guarantee, for people */
	int (*open)(struct im_journal *j);
	void (*close)(struct im_journal *j);
	void *(*begin)(struct im_journal *j, unsigned int blocks, u32 *tid);
	/* Before and after the bytes of bh are changed, inside a handle. */
	int (*get)(void *handle, struct buffer_head *bh);
	int (*dirty)(void *handle, struct buffer_head *bh);
	int (*end)(void *handle);
	bool (*committed)(struct im_journal *j, u32 tid);
	int (*force)(struct im_journal *j, u32 tid);
	/* All that was ever logged is in its place on disk. */
	int (*flush)(struct im_journal *j);
	/*
	 * Nothing that was logged of these blocks up to now reaches their
	 * places any more, by replay or by writeback, from the transaction on
	 * that is the newest on return 0.
	 */
	int (*revoke)(struct im_journal *j, const sector_t *nr, u32 n);
};

extern const struct im_log_ops im_jbd_ops;
extern const struct im_log_ops im_plain_ops;

/*
 * The outcome of a change that is not in the log yet. It is written by whoever
 * writes to the log next, in the same handle and before his own: see journal.c.
 */
struct im_done {
	struct buffer_head *bh;		/* of the intent, pinned */
	u32 off;
	struct im_rec rec;		/* sealed */
};
#define IM_DONE_MAX		8	/* each may need a block of the handle */

/* One segment file. The first four are fixed; the rest: im_journal.lock. */
struct im_segment {
	u32 n;				/* its name */
	struct dentry *file;		/* referenced: pins inode and blocks */
	sector_t *map;			/* lower block of each block */
	bool marked;			/* immutable, by this mount */
	u64 life;			/* 0: holds nothing that is needed */
	u64 first;			/* its first recno */
	u64 time;			/* no record in it is older; ns, 0: not
					 * known yet */
};

struct im_journal {
	struct im_fs *fs;
	const struct im_log_ops *ops;
	void *lower;			/* of ops; journal_t for jbd2 */
	struct super_block *lsb;	/* of the lower filesystem */
	struct dentry *logdir;		/* lower .intermezzo/log, referenced */
	bool fresh;			/* the segments were made just now */
	u32 bsize;
	u32 seg_blocks;

	/* Protects all below. Taken inside a handle; without one only when
	 * nothing is waited for and nothing allocated under it. */
	struct mutex lock;
	u64 first;			/* oldest recno; also READ_ONCE */
	u64 last;			/* newest recno */
	u64 scan_from;			/* of the newest record */
	u32 nseg;			/* only ring_work changes it */
	struct im_segment *segs[IM_SEGS_MAX];	/* by name; NULL: no such file */
	struct im_segment *lives[IM_SEGS_MAX];	/* see im_segment() */
	u64 oldest;			/* life; all from here to `life` are in
					 * the log */
	u64 life;			/* newest segment */
	u32 next_blk;			/* next unused block of it */
	struct buffer_head *tail;	/* block being filled, pinned, or NULL */
	u32 tail_off;			/* its first free byte */
	u32 tail_tid;			/* last change of the tail block */
	u32 tid;			/* last change of any block */
	struct list_head open;		/* im_op.open, by recno */
	u32 nopen;
	struct im_done done[IM_DONE_MAX];
	u32 ndone;
	u64 floor;			/* recovery is under way: scan_from stays
					 * at or below this; U64_MAX otherwise */
	struct im_rcvd rcvd[IM_PEERS_MAX];

	/* Held for reading while a segment is used without the lock; a segment
	 * that was taken out is freed behind a writer's turn. */
	struct rw_semaphore reading;
	struct mutex ring_mutex;	/* outside of lock: segs, nseg and their
					 * xattr, and who writes that */
	struct delayed_work ring_work;
	bool ring_on;			/* READ_ONCE */
	u64 keep;			/* log_keep, bytes; READ_ONCE */
	u32 keep_age;			/* seconds, 0: for ever; READ_ONCE */
	bool squeezed;			/* somebody has met ENOSPC; READ_ONCE */

	u64 durable;			/* only the commit work moves it; READ_ONCE */
	bool closing;			/* no more work is queued; READ_ONCE */
	atomic_t readers;		/* open KML descriptors */
	unsigned int commit_ms;		/* what the most impatient reader asked */
	wait_queue_head_t wait;		/* readers: durable, first or dead moved */
	struct workqueue_struct *wq;
	struct delayed_work commit_work;
	struct delayed_work event_work;	/* ADVANCED, rate-limited */
	struct work_struct dead_work;
	unsigned long last_event;	/* jiffies; event_work only */
	unsigned long rest_until;	/* jiffies; commit_work only */
	u64 told;			/* durable in the last event */
	u64 clean;			/* last recno, if that is CHECKPOINT|CLEAN */
	struct im_epoch *epochs;	/* fixed since recovery; ascending */
	u32 nepochs;
};

/* A place in the log. */
struct im_cursor {
	u64 life;
	u32 blk;
	u32 off;
};

/* The segment of a life; NULL: it is not in the log. Lock or `reading` held. */
static inline struct im_segment *im_segment(struct im_journal *j, u64 life)
{
	struct im_segment *s = READ_ONCE(j->lives[life % IM_SEGS_MAX]);

	return s && READ_ONCE(s->life) == life ? s : NULL;
}

static inline u64 im_seg_bytes(const struct im_journal *j)
{
	return (u64)j->seg_blocks * j->bsize;
}

/* ring.c ----------------------------------------------------------------- */

/* The segments of a new log, and which these are; on error there is none. */
int im_ring_create(struct im_fs *fs, struct dentry *logdir);
int im_ring_open(struct im_journal *j);
void im_ring_close(struct im_journal *j);
/* Between these two the ring grows and shrinks. */
void im_ring_start(struct im_journal *j);
void im_ring_stop(struct im_journal *j);
void im_ring_kick(struct im_journal *j);	/* have a look; any context */
void im_ring_work(struct work_struct *work);

/* segment.c -------------------------------------------------------------- */

void im_seg_seal(struct im_fs *fs, struct im_seg *seg, u64 life, u64 first,
		 const struct im_rcvd *rcvd);
/* The device may still have in memory what the block held for its last owner;
 * the file's zeros went to disk past that. */
void im_block_forget(struct im_journal *j, sector_t nr);
/*
 * How many segments could be begun now: they are free, or all of their records
 * lie below scan_from. Lock held.
 */
u32 im_segments_ready(struct im_journal *j, u64 scan_from);
/* A free one, or NULL; lock held. */
struct im_segment *im_segment_unused(struct im_journal *j);
/* No record of it is needed any more; lock held. */
bool im_life_over(struct im_journal *j, u64 life, u64 scan_from);
/* The oldest life leaves the log; lock held. Its blocks stay as they are. */
void im_segment_retire(struct im_journal *j);
/*
 * Room for a record of len bytes, in a handle, lock held. Returns the buffers
 * that hold it, referenced and with write access, in bh[], their number, and
 * the offset in the first one; -EAGAIN: the segment that would be begun is
 * still needed (reserve: of the last one too).
 */
int im_segment_alloc(struct im_journal *j, void *handle, u32 tid, size_t len,
		     bool reserve, struct buffer_head **bh, u32 *off);
/* Most blocks that one record may change, segment header included. */
unsigned int im_segment_credits(struct im_journal *j, size_t len);
/* Recovery would have much to read; lock held. */
bool im_segment_short(struct im_journal *j);
u64 im_scan_from(struct im_journal *j);		/* lock held */
/*
 * Reads the record at or after c into buf (IM_REC_MAX bytes) and moves c past
 * it. *at, if not NULL: where its header is, for a change in place (the caller
 * drops at->bh). -ENODATA: no further record in this segment's life; -EBADMSG:
 * damage, c is at the next block; -EIO: cannot be read, likewise.
 */
struct im_place {
	struct buffer_head *bh;
	u32 off;
};
int im_log_read(struct im_journal *j, struct im_cursor *c, void *buf,
		struct im_place *at);
/* The same in a segment that is known, and stays. */
int im_seg_read(struct im_journal *j, const struct im_segment *s,
		struct im_cursor *c, void *buf, struct im_place *at);

/* tail.c ----------------------------------------------------------------- */

/* What the end of the log says. */
struct im_tail {
	u64 scan_from;			/* of the last record; >= 1 */
	u64 rcvd_life;			/* whose header gave rcvd; 0: none */
	bool clean;			/* the last record is CHECKPOINT|CLEAN */
	bool damaged;			/* records are missing; j->first has moved */
};

/* Fills lives, oldest, life, first, last, next_blk, and rcvd from the newest
 * header. */
int im_log_find(struct im_journal *j, struct im_tail *t);

/* verdict.c -------------------------------------------------------------- */

/* An intent that recovery has found open. */
struct im_open {
	struct list_head list;
	struct im_op op;		/* on im_journal.open, block pinned */
	u8 buf[];			/* the record; op.body points into it */
};

/*
 * Looks at the tree, finishes what has happened as the operation would have,
 * completes the record. An error: the tree could not be looked at, or the
 * record could not be written; it is still an intent then.
 */
int im_settle(struct im_open *o);

/* epoch.c ---------------------------------------------------------------- */

/*
 * A new epoch, on disk on return 0, answers for `first` and all that follows.
 * In recovery: the log has been read, and nothing written to it.
 */
int im_epoch_begin(struct im_journal *j, u64 first);

/* journal.c -------------------------------------------------------------- */

/* The record (complete, with a final state) moves last_rcvd; lock held. */
void im_rcvd_update(struct im_journal *j, const struct im_rec *rec);
/* The lowest recno whose outcome is not in the log; U64_MAX: none; lock held. */
u64 im_journal_low(struct im_journal *j);
/* The log starts after its newest record; a number is left out, so that no
 * reader ever passes. For damage that recovery cannot mend. */
void im_journal_break(struct im_journal *j);
/* Records before `first` cannot be read: they are out of reach from now on. */
void im_journal_lose(struct im_journal *j, u64 first);
void im_reader_add(struct im_journal *j, unsigned int commit_ms);
void im_reader_del(struct im_journal *j);

/* fileset.c -------------------------------------------------------------- */

/* Reads or creates .intermezzo: sets fs->state, fs->fset; *logdir referenced. */
int im_fset_open(struct im_fs *fs, struct im_journal *j, struct dentry **logdir);
int im_state_fsync_dir(struct im_fs *fs, struct dentry *dir);

#endif /* _IM_JOURNAL_H */
