/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The module's interface to user space: mount options, ioctls, the KML and
 * replay descriptors, the generic netlink family. Everything here needs
 * CAP_SYS_ADMIN in the initial user namespace. Unknown flags, attributes and
 * non-zero reserved fields are refused with EINVAL.
 *
 * Mount: mount -t intermezzo -o OPTIONS LOWERDIR MOUNTPOINT
 *   fileset=NAME    required; must agree with the name stored in the lower
 *   create          make .intermezzo/ if it is not there (else: ENOENT)
 *   log_size=BYTES  with create: size of the log (K, M, G suffix), at least
 *                   four segments; default 1/64 of the lower filesystem,
 *                   between 4 MiB and 64 MiB
 *   log_keep=BYTES  the log may grow to this, and shrinks to it; from a quarter
 *                   of log_size (four segments) to four times of it, or to what
 *                   it was created with. Remembered; default log_size
 *   log_keep_age=TIME  records older than this leave the log, a segment at a
 *                   time, down to four; seconds, or with m, h, d behind it, 0:
 *                   never. Remembered; default 0
 *   replica         changes only by tagged replay, others get EROFS
 *   sync_ms=MS      SYNC record for changed files that stay open (default 3000)
 *   journal=plain   for the crash test's control only: records are written to
 *                   the log files without the lower's journal
 *
 * File handles (name_to_handle_at, open_by_handle_at) of the mount have type
 * IM_FH_FID and hold the FID: struct im_fh, 12 bytes, host endian; for NFS with
 * subtree_check IM_FH_FID_PARENT, struct im_fh_parent, which adds a directory
 * that the file is in. A directory outside the fileset and all of .intermezzo/
 * are ESTALE. A file is opened wherever it is on the lower filesystem, as with
 * a handle of a bind mount: FIDs of files are not secret, so who passes on
 * those that a stranger gave must know better. For him is IM_FH_FID_INSIDE,
 * struct im_fh, which the module never makes: it gives ESTALE also for a file
 * that nobody has reached by name since the mount and that is not in use,
 * unless the fileset is the whole lower filesystem.
 */
#ifndef _UAPI_LINUX_INTERMEZZO_H
#define _UAPI_LINUX_INTERMEZZO_H

#include <linux/types.h>
#include <linux/ioctl.h>
#include <linux/intermezzo_record.h>

#define IM_FS_TYPE	"intermezzo"

#define IM_FH_FID	0x81		/* FILEID_INO64_GEN */
struct im_fh {
	__u32 ino_lo;
	__u32 ino_hi;
	__u32 gen;
};
#define IM_FH_FID_INSIDE 0x83
#define IM_FH_FID_PARENT 0x82	/* FILEID_INO64_GEN_PARENT */
struct im_fh_parent {
	struct im_fh fh;
	struct im_fh dir;
};

/*
 * ioctls on any directory of the mount. Integers are host endian.
 */
#define IM_IOC_MAGIC	0xf3

/* Who is mounted here. */
struct im_ioc_info {
	__u8 uuid[16];
	__u64 incarnation;
	__u64 id;			/* origin id of this fileset */
	__u64 first;			/* oldest recno still in the log */
	__u64 last;			/* newest recno */
	__u64 durable;			/* newest recno that readers may see */
	__u64 log_bytes;		/* size of the log on disk */
	__u64 root_ino;
	__u32 root_gen;
	__u32 flags;			/* IM_INFO_* */
	char name[64];
	char guarantee[32];		/* "jbd2", "plain" */
	struct im_rcvd rcvd[IM_PEERS_MAX];	/* little-endian */
};
#define IM_INFO_REPLICA	(1U << 0)
#define IM_INFO_DEAD	(1U << 1)	/* the log failed; changes are refused */
#define IM_INFO_ALL	((1U << 2) - 1)
#define IM_IOC_INFO	_IOR(IM_IOC_MAGIC, 1, struct im_ioc_info)

/*
 * Opens the KML from record `from` on (0: the next one to be written) and
 * returns a descriptor. ESTALE: that record has left the log; EINVAL: it is
 * beyond the next one to be written.
 *   read()  whole records, as many as fit, in order, durable and settled
 *           (never an INTENT). Blocks while there is none, or EAGAIN with
 *           O_NONBLOCK. EMSGSIZE: the next record does not fit; use a buffer
 *           of at least IM_REC_MAX. ESTALE: the next record has left the log
 *           (slow reader): resynchronise. EBADMSG: the log is damaged there:
 *           resynchronise. EIO: the log failed. 0: the mount is going away.
 *   poll()  POLLIN when read() would not block.
 * While a descriptor is open, records are made durable early: within about
 * commit_ms (0: default, 20; at most 10000) plus the time of a commit of the
 * lower's journal.
 * The descriptor pins the mount.
 */
struct im_ioc_kml {
	__u64 from;
	__u32 commit_ms;
	__u32 flags;			/* O_NONBLOCK and O_CLOEXEC only */
};
#define IM_IOC_KML	_IOW(IM_IOC_MAGIC, 2, struct im_ioc_kml)

/*
 * Which mount has written record `recno`: its epoch, 0 if that is not known
 * any more, the first record of this epoch, and the first of the following one
 * (0: there is none, recno may be still to come). Two logs of one fileset and
 * incarnation that have the same epoch at a number are the same up to there; if
 * not, one of the two is a copy, or was restored from a backup. Fixed while
 * mounted.
 */
struct im_ioc_epoch {
	__u64 recno;			/* in */
	__u64 epoch;
	__u64 first;
	__u64 next;
};
#define IM_IOC_EPOCH	_IOWR(IM_IOC_MAGIC, 7, struct im_ioc_epoch)

/*
 * Opens a replay descriptor for records of `origin`. ENOSPC: IM_PEERS_MAX
 * origins are known already.
 */
struct im_ioc_replay {
	__u64 origin;
	__u32 flags;			/* O_CLOEXEC only */
	__u32 zero;
};
#define IM_IOC_REPLAY	_IOW(IM_IOC_MAGIC, 3, struct im_ioc_replay)

/*
 * On a replay descriptor: tags the calling thread. Until IM_IOC_UNTAG, the
 * next TAG, or the close of the descriptor, every change that this thread
 * makes below the mount by ordinary system calls is a replay: it is allowed on
 * a replica and its record carries origin, recno, low and fid. A descriptor
 * has one tagged thread at a time (EBUSY).
 *
 * IM_TAG_FINAL: a change made under this tag completes the origin's record
 * (or a CLOSE does: the tag must stay until close(2) of the file has
 * returned); last_rcvd of the origin moves to (recno, low) in the same step.
 * An object that is created gets IM_XATTR_ORIGIN = {origin, fid, version} in
 * the same step, also through a crash.
 * IM_TAG_MTIME and the others: after the change, mtime of the object, of the
 * directory (of name), of the second directory (of name2 in rename) are set to
 * the times given, in the same step, without a record of their own.
 * While tagged, a thread may read and write IM_XATTR_PREFIX* xattrs; writes
 * of them are not logged. For all others they do not exist.
 */
struct im_ioc_tag {
	__u64 recno;
	__u64 low;
	__u64 ino;			/* the origin's FID of the object */
	__u32 gen;
	__u32 flags;			/* IM_TAG_* */
	__u64 version;
	__s64 mtime;
	__s64 dir_mtime;
	__s64 dir2_mtime;
	__u32 mtime_ns;
	__u32 dir_mtime_ns;
	__u32 dir2_mtime_ns;
	__u32 zero;
};
#define IM_TAG_FINAL		(1U << 0)
#define IM_TAG_MTIME		(1U << 1)
#define IM_TAG_DIR_MTIME	(1U << 2)
#define IM_TAG_DIR2_MTIME	(1U << 3)
#define IM_TAG_ALL		((1U << 4) - 1)
#define IM_IOC_TAG	_IOW(IM_IOC_MAGIC, 4, struct im_ioc_tag)
#define IM_IOC_UNTAG	_IO(IM_IOC_MAGIC, 5)

/* Logs a MARK: last_rcvd becomes (recno, low) without any other change. */
struct im_ioc_mark {
	__u64 recno;
	__u64 low;
};
#define IM_IOC_MARK	_IOW(IM_IOC_MAGIC, 6, struct im_ioc_mark)

/*
 * Generic netlink. GET without IM_A_NAME is a dump. A reply holds all
 * attributes of the fileset. SET changes IM_A_SYNC_MS or IM_A_REPLICA of
 * IM_A_NAME. Errors: ENOENT no such fileset, EPERM, EINVAL with extack text.
 *
 * Events (multicast group IM_GENL_EVENTS) are doorbells: they carry
 * IM_A_NAME, IM_A_UUID and, for ADVANCED, IM_A_DURABLE. Losing one loses
 * nothing.
 */
#define IM_GENL_NAME	"intermezzo"
#define IM_GENL_VERSION	1
#define IM_GENL_EVENTS	"events"

enum im_genl_cmd {
	IM_CMD_UNSPEC,
	IM_CMD_GET,
	IM_CMD_SET,
	IM_CMD_EV_UP,		/* event: fileset mounted */
	IM_CMD_EV_DOWN,		/* event: fileset unmounted */
	IM_CMD_EV_ADVANCED,	/* event: the KML is durable up to IM_A_DURABLE */
	IM_CMD_EV_DEAD,		/* event: the log failed */
	__IM_CMD_LAST,
	IM_CMD_MAX = __IM_CMD_LAST - 1,
};

enum im_genl_attr {
	IM_A_UNSPEC,
	IM_A_NAME,		/* NUL-terminated string */
	IM_A_UUID,		/* 16 bytes */
	IM_A_INCARNATION,	/* u64 */
	IM_A_ID,		/* u64 */
	IM_A_FIRST,		/* u64 */
	IM_A_LAST,		/* u64 */
	IM_A_DURABLE,		/* u64 */
	IM_A_LOG_BYTES,		/* u64: what it takes now */
	IM_A_FLAGS,		/* u32, IM_INFO_* */
	IM_A_GUARANTEE,		/* string */
	IM_A_SYNC_MS,		/* u32, 100 .. 3600000 */
	IM_A_REPLICA,		/* u8, 0 or 1 */
	IM_A_OPEN_INTENTS,	/* u32: changes under way */
	IM_A_DIRTY,		/* u32: files with changes not yet in a CLOSE */
	IM_A_READERS,		/* u32: open KML descriptors */
	IM_A_RECOVERED,		/* u64: intents settled at mount */
	IM_A_REDIRTIED,		/* u64: CLOSEs written by recovery at mount */
	IM_A_PAD,
	IM_A_LOG_KEEP,		/* u64: the log may grow to this, bytes */
	IM_A_LOG_MIN,		/* u64: it never shrinks below this, bytes */
	IM_A_LOG_KEEP_AGE,	/* u32: older records leave, seconds; 0: never */
	__IM_A_LAST,
	IM_A_MAX = __IM_A_LAST - 1,
};

#endif /* _UAPI_LINUX_INTERMEZZO_H */
