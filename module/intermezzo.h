/* SPDX-License-Identifier: GPL-2.0 */
/*
 * InterMezzo's kernel module: what its files share.
 *
 * A record's way: syscall -> namei/inode/xattr/file -> op.c -> journal.c ->
 * segment.c -> jbd.c; the operation itself: op's caller -> lower.c. Nobody but
 * lower.c calls the lower filesystem, nobody but common/record.c knows offsets.
 *
 * Upper objects. One upper inode for each lower inode, found by the lower inode
 * (iget5). It holds one reference to one lower dentry of that inode, any alias;
 * upper dentries hold nothing. A name in a lower directory is looked up under
 * the lower directory's lock each time it is changed. i_ino and generation are
 * the lower's; mode, owner, size, times, nlink are copied after each change.
 *
 * Every change: the VFS holds the upper i_rwsems; im_op_start(); lower locks
 * and lookups; pre-state into op->rec; im_op_intent(); the vfs_* call on the
 * lower; new state into op->rec; im_op_finish(); lower unlock; then the upper
 * dentry becomes visible (d_instantiate, d_move by the VFS) before the VFS
 * unlocks.
 *
 * Lock order:
 *   upper i_rwsem(s)
 *     sb_writers of the lower (mnt_want_write, sb_start_write)
 *       im_inode.log_mutex             one record of an open file's data
 *         lower i_rwsem(s)
 *           jbd2 handle                never taken while another is held
 *             im_journal.lock          recno and slot; only inside a handle
 *               im_fs.dirty_lock, im_inode.lock      spinlocks
 * page_mkwrite runs below mmap_lock and takes log_mutex and a handle, but no
 * i_rwsem.
 */
#ifndef _INTERMEZZO_H
#define _INTERMEZZO_H

#include <linux/fs.h>
#include <linux/dcache.h>
#include <linux/list.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/path.h>
#include <linux/spinlock.h>
#include <linux/uuid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xattr.h>
#include <linux/intermezzo.h>
#include "compat.h"
#include "record.h"
#include "pages.h"
#include "ranges.h"

struct im_journal;
struct im_tag;

#define IM_AGE_UNSET	U32_MAX

/* One mounted fileset: s_fs_info of its superblock. */
struct im_fs {
	struct super_block *sb;		/* upper */
	struct path lower;		/* root of the lower tree on a private
					 * clone of its mount */
	struct dentry *state;		/* lower .intermezzo, referenced */
	struct im_fset fset;		/* as on disk; fixed while mounted */
	char name[64];
	bool replica;			/* only tagged changes; READ_ONCE */
	bool dead;			/* the log failed: no changes; only set */
	bool plain;			/* journal=plain */
	bool create;			/* mount options */
	u64 log_size;
	u64 log_keep;			/* as asked for; 0: as before */
	u32 log_keep_age;		/* likewise, seconds; IM_AGE_UNSET */
	unsigned int sync_ms;
	const struct cred *cred;	/* of who mounted, for the module's own
					 * reads and writes in the lower */
	struct fs_context *fc;		/* while mounting, for im_mount_err() */

	struct im_journal *journal;	/* journal.c */

	/* fileset.c: registry; im_fs_lock */
	struct list_head list;

	/* replay.c */
	spinlock_t tag_lock;
	struct list_head tags;
	atomic_t tag_count;

	/* dirty.c, settle.c: inodes in the order of their recno. Put on a list
	 * under im_journal.lock and dirty_lock both, so that scan_from of the
	 * next record knows them; taken off under dirty_lock. On a list an
	 * inode is pinned. */
	spinlock_t dirty_lock;
	struct list_head dirty;		/* DIRTY or SYNC|STILL logged */
	struct list_head unsettled;	/* CLOSE logged, data maybe not on disk */
	u64 dirty_stuck;		/* im_dirty_low() stays at or below: data
					 * that could not be settled; U64_MAX */
	atomic_t dirty_count;
	bool dirty_push;
	struct delayed_work sync_work;
	struct workqueue_struct *wq;	/* sync_work; WQ_MEM_RECLAIM */
	bool settle_moved;		/* im_dirty_low() moved since CHECKPOINT;
					 * dirty_lock */
	/* sync_work only */
	u64 settle_recno;		/* data of the unsettled up to this one is */
	u32 settle_tid;			/* on disk when this is; 0: none known */
	u64 settle_last;		/* newest record, one round ago */

	u64 recovered;			/* intents settled at mount */
	u64 redirtied;			/* CLOSEs written at mount */
};

/* newborn.c: what has happened to a file since its CREATE without a record. */
enum im_newborn {
	IM_NEWBORN_NO,			/* it has had others; or is none of ours */
	IM_NEWBORN_SAME,		/* nothing: no CLOSE is needed */
	IM_NEWBORN_DATA,		/* to its data */
	IM_NEWBORN_ATTRS,		/* to mode, owner or times, and its data
					 * maybe */
};

enum im_data_state {
	IM_DATA_CLEAN,			/* on no list */
	IM_DATA_DIRTY,			/* on fs->dirty */
	IM_DATA_CLOSING,		/* on fs->dirty; what ends that is being
					 * logged, a change waits for it */
	IM_DATA_UNSETTLED,		/* on fs->unsettled */
};

struct im_inode {
	struct inode vfs_inode;
	struct dentry *lower;		/* fixed from iget to eviction */

	/* dirty.c, regular files only */
	struct mutex log_mutex;		/* serialises DIRTY, SYNC, CLOSE; and
					 * protects data_tid */
	spinlock_t lock;		/* protects all below; irqs off */
	enum im_data_state state;	/* changes under dirty_lock too if on or
					 * off a list; so do recno and list */
	enum im_newborn newborn;	/* not NO only while DIRTY or CLOSING;
					 * from and to ATTRS under log_mutex */
	u64 data_recno;			/* of the record that put it on the list */
	u32 data_tid;			/* transaction of the last DIRTY, or of
					 * the intent of the CREATE */
	bool durable;			/* that is on disk */
	struct list_head data_list;
	struct im_ranges ranges;	/* changed since the last SYNC or CLOSE */
	struct im_ranges recent;	/* the same, not in ranges yet; only if
					 * these are many */
	struct im_pages *pages;		/* likewise, whole pages */
	u64 trunc;			/* least size since then; U64_MAX: not cut */
	atomic_t inflight;		/* data changes begun and not ended; goes
					 * up without the lock */
	u32 writers;			/* open for writing, and shared writable
					 * mappings */
	u32 mapped;			/* of these, mappings */
	unsigned long last_write;	/* jiffies */
};

static inline struct im_fs *IM_FS(struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct im_inode *IM_I(struct inode *inode)
{
	return container_of(inode, struct im_inode, vfs_inode);
}

static inline struct dentry *im_lower_dentry(struct inode *inode)
{
	return IM_I(inode)->lower;
}

static inline struct inode *im_lower_inode(struct inode *inode)
{
	return d_inode(IM_I(inode)->lower);
}

static inline struct file *im_lower_file(struct file *file)
{
	return file->private_data;
}

/* op.c ------------------------------------------------------------------- */

/*
 * One change on its way through intent, operation, completion. On the stack.
 * op.c and journal.c fill what is marked so; the caller the rest of rec, body.
 */
struct im_op {
	struct im_fs *fs;
	struct im_rec rec;		/* recno etc.: journal; origin: op.c */
	struct im_body body;
	const struct im_tag *tag;	/* op.c: of current, or NULL */
	struct dentry *dirs[2];		/* lower dir and dir2, i_rwsems held, or
					 * NULL */
	struct dentry *obj;		/* lower object after the operation, or
					 * NULL; may be an unhashed alias */
	bool obj_locked;		/* obj's i_rwsem is held by the caller */
	bool keep_write;		/* im_op_finish() leaves write access to
					 * the caller */
	bool at_once;			/* the completion does not wait for the
					 * next record */
	bool created;			/* obj is new to peers: gets the tag's
					 * origin xattr */
	u32 tid;			/* journal: transaction of the last write */
	void (*logged)(struct im_op *op);	/* called under im_journal.lock when
					 * the number is known, or NULL */
	void (*completed)(struct im_op *op);	/* likewise, when the operation
					 * has happened and is to be told */
	void *arg;			/* for both */
	/* journal.c's own */
	struct list_head open;
	struct buffer_head *bh;
	u32 off;
	bool intent;			/* intent is in the log */
};

/*
 * Begins a change: -EROFS on a replica without tag, -EIO if the log is dead;
 * takes write access to the lower mount. After success im_op_finish() or
 * im_op_cancel() must follow.
 */
int im_op_start(struct im_op *op, struct super_block *sb, unsigned int opcode);
/* Writes the intent; -ENOSPC, -EIO: nothing happened, cancel. */
int im_op_intent(struct im_op *op);
/*
 * After the operation with its result: err == 0: sets the tag's times and
 * origin xattr, takes mode, owner, nlink, size and times from op->obj and
 * op->dirs into the record, completes it as done; else as aborted. Drops write
 * access. Returns err, or the error of the completion (the log is then dead).
 */
int im_op_finish(struct im_op *op, int err);
void im_op_cancel(struct im_op *op);
/*
 * Appends one record that needs no intent (DIRTY, SYNC, CLOSE, MARK,
 * CHECKPOINT). The caller holds write access to the lower.
 */
int im_op_append(struct im_op *op);
/* For records that are appended: the tag's times and attributes of op->obj. */
int im_op_apply_tag(struct im_op *op);
void im_op_take_attrs(struct im_op *op);
/* Zeroes op and sets fs, opcode and the current thread's tag. */
void im_op_init(struct im_op *op, struct im_fs *fs, unsigned int opcode);

/* journal.c -------------------------------------------------------------- */

int im_journal_open(struct im_fs *fs);		/* also creates and recovers */
void im_journal_close(struct im_fs *fs);	/* CHECKPOINT|CLEAN, then free */
int im_journal_intent(struct im_op *op);
int im_journal_complete(struct im_op *op, bool done);
int im_journal_append(struct im_op *op);
void im_journal_die(struct im_fs *fs, const char *what, int err);
/* Returns when the transaction is on disk; no handle may be held. */
int im_journal_force(struct im_fs *fs, u32 tid);
bool im_journal_committed(struct im_fs *fs, u32 tid);
u32 im_journal_tid(struct im_fs *fs);		/* of the newest record */
/* When this transaction is on disk, all that the lower has changed by now is
 * (by a handle, empty maybe); sleeps. */
int im_journal_now(struct im_fs *fs, u32 *tid);
/* Readers see records up to here: durable and without an open one below. */
u64 im_journal_durable(struct im_fs *fs);
struct im_log_stat {
	u64 first, last;
	u64 bytes, keep, min;		/* of the log: size, limits */
	u32 keep_age;			/* seconds; 0: none */
	u32 open_intents, readers;
};
void im_journal_stat(struct im_fs *fs, struct im_log_stat *st);
/* ring.c: the limits that a remount asks for. */
int im_journal_keep(struct im_fs *fs, struct im_fs *new);
/* The lower is full: true: the log has given room back, try again. */
bool im_journal_squeeze(struct im_fs *fs);

/* The same, for who has met err: before a user meets ENOSPC the log gives way. */
static inline bool im_room_again(struct im_fs *fs, int err)
{
	return unlikely(err == -ENOSPC) && im_journal_squeeze(fs);
}
void im_journal_rcvd(struct im_fs *fs, struct im_rcvd rcvd[IM_PEERS_MAX]);
const char *im_journal_guarantee(struct im_fs *fs);	/* for people */
/* Reserves a last_rcvd slot for an origin; -ENOSPC. */
int im_journal_add_origin(struct im_fs *fs, u64 origin);

/* kmlfd.c, replay.c, ioctl.c, netlink.c, fileset.c ------------------------ */

int im_kml_open(struct im_fs *fs, struct path *root, const struct im_ioc_kml *a);
int im_replay_open(struct im_fs *fs, struct path *root,
		   const struct im_ioc_replay *a);
/* The calling thread's tag or NULL; stays valid until that thread untags. */
const struct im_tag *im_tag_current(struct im_fs *fs);

void im_replay_exit(void);	/* the module goes */

struct im_tag {
	struct list_head list;		/* fs->tags */
	struct task_struct *task;	/* referenced */
	u64 origin;
	struct im_ioc_tag a;
};

/* -ENOIOCTLCMD if cmd is not one of ours. */
long im_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
/* The lower's own commands, of these what changes nothing that is logged. */
long im_lower_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

int im_netlink_init(void);
void im_netlink_exit(void);
void im_netlink_event(struct im_fs *fs, unsigned int cmd);	/* may sleep */

int im_fileset_add(struct im_fs *fs);	/* -EEXIST: name or uuid is mounted */
void im_fileset_del(struct im_fs *fs);
/* Calls fn under im_fs_lock for each fileset until it returns non-zero. */
int im_fileset_each(int (*fn)(struct im_fs *fs, void *arg), void *arg);

/* epoch.c: which epoch a->recno is of. */
void im_epoch_at(struct im_fs *fs, struct im_ioc_epoch *a);

/* recover.c: settles intents, writes CLOSEs for dirty files. At mount. */
int im_recover(struct im_fs *fs);

/* newborn.c -------------------------------------------------------------- */

/* op->completed of a CREATE, op->arg: the inode. */
void im_newborn_created(struct im_op *op);
/*
 * Attributes of the lower inode may be changed without a record, until
 * im_newborn_attrs_end(): its lock is held and the next SYNC or CLOSE will say
 * them. false: not so, a record is needed. The caller holds the upper i_rwsem
 * and write access to the lower.
 */
bool im_newborn_attrs_begin(struct inode *inode);
void im_newborn_attrs_end(struct inode *inode);
/*
 * A record of the inode's attributes is about to be logged: what has happened
 * without one is in the log on return 0. data: also to its data, whether it is
 * newborn or not. Locks as above, sleeps.
 */
int im_newborn_end(struct inode *inode, bool data);

/* dirty.c, settle.c ------------------------------------------------------- */

void im_dirty_init_fs(struct im_fs *fs);	/* before the journal is opened */
void im_dirty_init_inode(struct im_inode *ii);
int im_dirty_start(struct im_fs *fs);		/* after the journal is open */
/*
 * Logs all CLOSEs, syncs the lower and lets go of all inodes; before the
 * superblock evicts its inodes and before the journal closes. If that failed,
 * im_dirty_low() is not U64_MAX afterwards, and the unmount is not a clean one.
 */
void im_dirty_stop(struct im_fs *fs);
/* -EROFS, -EIO: the current thread may not change data of this fileset. */
int im_dirty_allowed(struct im_fs *fs);
/* A writer: open for writing, or a shared writable mapping, begins / ends. */
void im_dirty_get(struct inode *inode, bool mapping);
void im_dirty_put(struct inode *inode, bool mapping);	/* the last logs CLOSE */
/*
 * Data is about to change: DIRTY is in the log on return 0. -EROFS, -EIO,
 * -ENOSPC, -EINTR: do not change it. The caller holds write access to the
 * lower (or that of a page fault). Sleeps.
 */
int im_dirty_begin(struct inode *inode);
/* im_dirty_begin() would not sleep (durable: nor im_dirty_durable()). */
bool im_dirty_ready(struct inode *inode, bool durable);
/* The next change of data may need no record of its own. */
static inline bool im_dirty_still(struct inode *inode)
{
	enum im_data_state state = READ_ONCE(IM_I(inode)->state);

	return state == IM_DATA_DIRTY || state == IM_DATA_CLOSING;
}

/* The DIRTY of the inode is on disk on return 0. No handle may be held. */
int im_dirty_durable(struct inode *inode);
/*
 * The change has ended, well or not; bytes of [off, end) may differ now (none
 * if off == end; U64_MAX: to the end). Copies size and times. Any context.
 */
void im_dirty_end(struct inode *inode, u64 off, u64 end);
/*
 * The size was cut to size, or by truncation grew from it; between begin and
 * end, upper i_rwsem held.
 */
void im_dirty_cut(struct inode *inode, u64 size);
/*
 * LINK of an inode without a name (O_TMPFILE), with write access to the lower:
 * before the intent (DIRTY, if it has data or writers), and, after return 0,
 * behind the operation, failed or not (CLOSE, if there is no writer).
 */
int im_dirty_link(struct inode *inode);
void im_dirty_linked(struct inode *inode);
/* The inode lost its last name (nlink of the lower is 0): nothing is logged
 * any more, nothing pins it. */
void im_dirty_gone(struct inode *inode);
/* Before fsync: DIRTY durable and, if something changed, SYNC logged. */
int im_dirty_fsync(struct inode *inode);
/* Logs what is pending of all inodes; wait: and makes that durable. The caller
 * syncs the lower after it. sync_fs, freeze. */
int im_dirty_sync_all(struct im_fs *fs, bool wait);
/* Lowest recno that recovery needs for data; U64_MAX: none. Journal lock held. */
u64 im_dirty_low(struct im_fs *fs);
/* The log is running full: move im_dirty_low() forward soon. Any context. */
void im_dirty_push(struct im_fs *fs);
/* Eviction of an upper inode. */
void im_dirty_evict(struct inode *inode);

/* VFS: super.c params.c namei.c inode.c xattr.c file.c mmap.c export.c ----- */

/* Upper inode for a lower dentry (positive, reference not consumed). */
struct inode *im_iget(struct super_block *sb, struct dentry *lower);
/*
 * Copies all attributes from the lower; i_nlink is among them, so i_rwsem is
 * held or nobody else knows the inode.
 */
void im_copy_attrs(struct inode *inode);
void im_copy_size(struct inode *inode);		/* size, times, blocks; any lock */

int im_file_init(void);			/* module: caches and tables */
void im_file_exit(void);
int im_mmap(struct file *file, struct vm_area_struct *vma);
void im_mmap_exit(void);
/*
 * setattr with ATTR_SIZE; upper i_rwsem held, permissions checked. ia_valid
 * holds no more than SIZE, ATIME, MTIME, CTIME, FORCE, FILE (ia_file is upper)
 * and OPEN. Takes write access to the lower itself.
 */
int im_truncate(struct dentry *dentry, struct iattr *ia);

extern const struct inode_operations im_dir_iops;
extern const struct inode_operations im_file_iops;
extern const struct inode_operations im_symlink_iops;
extern const struct inode_operations im_special_iops;
extern const struct file_operations im_dir_fops;
extern const struct file_operations im_file_fops;
const struct file_operations *im_file_fops_of(const struct inode *lower);
extern const struct super_operations im_super_ops;
extern const struct export_operations im_export_ops;
extern const struct xattr_handler *im_xattr_handlers[];
extern struct file_system_type im_fs_type;

/* lower.c ---------------------------------------------------------------- */

void im_fid_of(const struct inode *lower, struct im_fid *fid);
/*
 * Lower dentry of a FID, referenced; ERR_PTR(-ESTALE) if there is none. Not
 * checked to lie within the fileset.
 */
struct dentry *im_lower_by_fid(struct im_fs *fs, const struct im_fid *fid);
/* Lower dentry of a name, referenced, maybe negative; lower dir locked. */
struct dentry *im_lower_lookup(struct dentry *dir, const char *name, int len);
bool im_is_state(struct im_fs *fs, const struct dentry *lower_dir,
		 const char *name, int len);
/* Further im_do_* one-liners are declared in lower.h. */

/* Why a mount fails: into the kernel's log and the mounter's fs_context. */
__printf(2, 3) void im_mount_err(struct im_fs *fs, const char *fmt, ...);

#define im_err(fs, fmt, ...) \
	pr_err("intermezzo (%s): " fmt "\n", (fs)->name, ##__VA_ARGS__)
#define im_warn(fs, fmt, ...) \
	pr_warn("intermezzo (%s): " fmt "\n", (fs)->name, ##__VA_ARGS__)
#define im_info(fs, fmt, ...) \
	pr_info("intermezzo (%s): " fmt "\n", (fs)->name, ##__VA_ARGS__)

#endif /* _INTERMEZZO_H */
