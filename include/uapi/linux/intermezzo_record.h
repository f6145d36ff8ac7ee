/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The kernel modification log (KML): its records, segments and identity, as
 * they are on disk, as the KML descriptor hands them out and as they travel
 * between daemons. This is the only definition of the layout; common/record.c
 * is the only code that knows offsets.
 *
 * All integers are little-endian. A record is a header of fixed size and a
 * body: name, name2, data, without separators, then zero bytes up to a
 * multiple of 8.
 *
 * Everything that is known only after the operation is in the header, so that
 * completing a record rewrites its header alone. The header has its own CRC,
 * and a header never crosses a block of the log.
 *
 * Records lie in blocks of the lower filesystem's block size. A record that
 * fits into one block lies within one block; a longer one begins at the start
 * of a block and fills consecutive blocks of the same segment. The rest of a
 * block is zero. A block that does not begin with a record of this segment's
 * life (magic, seg, recno >= the segment's first) is unused.
 */
#ifndef _UAPI_LINUX_INTERMEZZO_RECORD_H
#define _UAPI_LINUX_INTERMEZZO_RECORD_H

#include <linux/types.h>

#define IM_REC_MAGIC	0x4c4d4b49	/* "IKML" */
#define IM_SEG_MAGIC	0x47455349	/* "ISEG" */
#define IM_FSET_MAGIC	0x54455346	/* "FSET" */
#define IM_EPOCHS_MAGIC	0x434f5045	/* "EPOC" */
#define IM_RING_MAGIC	0x474e4952	/* "RING" */
#define IM_FORMAT	1		/* of the five above, together */

#define IM_NAME_LEN	255		/* longest name of an entry or xattr */
#define IM_TARGET_LEN	4095		/* longest symbolic link target */
#define IM_VALUE_LEN	65536		/* longest xattr value */
#define IM_RANGES_MAX	4096		/* most ranges of one CLOSE or SYNC */
#define IM_FSNAME_LEN	63		/* fileset: [A-Za-z0-9._-], not "." first */
#define IM_PEERS_MAX	32		/* origins with a last_rcvd in a log */

/* Identity of a file on its server. gen tells re-uses of an ino apart. */
struct im_fid {
	__le64 ino;		/* 0: no object */
	__le32 gen;
	__le32 zero;
};

/* Half-open byte range [off, off + len), len > 0, within 0 .. 2^63 - 1. */
struct im_range {
	__le64 off;
	__le64 len;
};

/* Numbers are only ever appended. */
enum im_opcode {
	IM_OP_CREATE = 1,	/* regular file name in dir. Without an origin
				 * it is a DIRTY as well; a file to which
				 * nothing happens gets no CLOSE, though */
	IM_OP_MKDIR,
	IM_OP_MKNOD,		/* device, fifo or socket: mode and rdev */
	IM_OP_SYMLINK,		/* data: target */
	IM_OP_LINK,		/* fid becomes name in dir; IM_RF_FIRST: it had
				 * no name before (O_TMPFILE), peers do not
				 * know it yet */
	IM_OP_UNLINK,
	IM_OP_RMDIR,
	IM_OP_RENAME,		/* fid: name in dir -> name2 in dir2; old: what
				 * name2 meant before; IM_RF_EXCHANGE: old is
				 * then name in dir; IM_RF_WHITEOUT: a whiteout
				 * is left at name */
	IM_OP_SETATTR,		/* valid says which of mode, uid, gid, mtime;
				 * or see IM_RF_ATTRS */
	IM_OP_SETXATTR,		/* name: xattr name, data: value; ACLs too */
	IM_OP_REMOVEXATTR,	/* name: xattr name */
	IM_OP_DIRTY,		/* data of fid is about to change */
	IM_OP_CLOSE,		/* data of fid has changed: data is an array of
				 * im_range, or IM_RF_UNKNOWN: anywhere. trunc,
				 * size, mtime as they are now; so are mode, uid,
				 * gid with IM_RF_ATTRS, else these may be those
				 * of before a SETATTR with an older number */
	IM_OP_SYNC,		/* as CLOSE, but the file is still open.
				 * IM_RF_STILL: and still dirty, no new DIRTY
				 * will come before the next SYNC or CLOSE */
	IM_OP_CHECKPOINT,	/* nothing happened; carries scan_from */
	IM_OP_MARK,		/* nothing happened; carries an origin */
	__IM_OP_LAST,
	IM_OP_MAX = __IM_OP_LAST - 1,
};

enum im_rec_state {
	IM_RS_INTENT = 1,	/* the operation may or may not have happened */
	IM_RS_DONE,
	IM_RS_ABORTED,		/* it has not happened; keeps its number */
};

#define IM_RF_EXCHANGE	(1U << 0)	/* RENAME */
#define IM_RF_WHITEOUT	(1U << 1)	/* RENAME */
#define IM_RF_FIRST	(1U << 2)	/* LINK */
#define IM_RF_LAST	(1U << 3)	/* UNLINK, RENAME: the victim lost its
					 * last name */
#define IM_RF_UNKNOWN	(1U << 4)	/* CLOSE, SYNC: ranges not known */
#define IM_RF_STILL	(1U << 5)	/* SYNC */
#define IM_RF_RECOVERED	(1U << 6)	/* settled or written by recovery */
#define IM_RF_FINAL	(1U << 7)	/* this completes the origin's record */
#define IM_RF_CLEAN	(1U << 8)	/* CHECKPOINT: clean unmount, all data
					 * is on disk */
#define IM_RF_ATTRS	(1U << 9)	/* CLOSE, SYNC: mode, uid, gid may have
					 * changed without a SETATTR */
#define IM_RF_ALL	((1U << 10) - 1)

#define IM_AV_MODE	(1U << 0)
#define IM_AV_UID	(1U << 1)
#define IM_AV_GID	(1U << 2)
#define IM_AV_MTIME	(1U << 3)
#define IM_AV_ALL	((1U << 4) - 1)

struct im_rec {
	__le32 magic;		/* IM_REC_MAGIC */
	__le32 len;		/* header + body + padding, multiple of 8 */
	__le32 hdr_crc;		/* CRC32C of the header, this field being 0 */
	__le32 body_crc;	/* CRC32C of the body and its padding; 0 if none */
	__le64 seg;		/* number of the segment's life it is part of */
	__le64 recno;		/* from 1, without gaps, never used again */
	__le64 time;		/* ns since the epoch, at the intent */
	__le16 op;		/* enum im_opcode */
	__u8 state;		/* enum im_rec_state */
	__u8 zero;
	__le32 flags;		/* IM_RF_* */
	__le64 scan_from;	/* recovery from a log that ends here starts at
				 * this recno: no older record is open, dirty
				 * or has data that may not be on disk */
	struct im_fid fid;	/* the object */
	struct im_fid dir;	/* directory of name; of data and attribute
				 * records: a directory it was reached by, a
				 * hint, may be zero */
	struct im_fid dir2;	/* RENAME: directory of name2 */
	struct im_fid old;	/* what name (RENAME: name2) meant before */
	__le32 mode;		/* with type; after the operation */
	__le32 uid;
	__le32 gid;
	__le32 nlink;
	__le64 rdev;		/* major << 32 | minor */
	__le64 size;		/* regular files */
	__le64 trunc;		/* CLOSE, SYNC: least size since the last such
				 * record; what lies beyond and in no range is
				 * a hole or zero */
	__le64 mtime;		/* of fid; seconds, signed */
	__le64 dir_mtime;	/* of dir after a namespace operation */
	__le64 dir2_mtime;
	__le32 mtime_ns;
	__le32 dir_mtime_ns;
	__le32 dir2_mtime_ns;
	__le32 valid;		/* SETATTR: IM_AV_* */
	__le64 origin;		/* 0, or the id of the fileset this came from */
	__le64 origin_recno;	/* its number there */
	__le64 origin_low;	/* every older record of the origin is applied
				 * with its data */
	struct im_fid origin_fid;	/* fid at the origin */
	__le64 origin_version;
	__le16 name_len;
	__le16 name2_len;
	__le32 data_len;	/* bytes */
};

#define IM_REC_HDR	256
#define IM_REC_MAX	(IM_REC_HDR + 2 * 256 + IM_VALUE_LEN)

/* last_rcvd: what of one origin's log is applied here. */
struct im_rcvd {
	__le64 origin;		/* 0: unused slot */
	__le64 recno;		/* last record applied */
	__le64 low;		/* data of records >= low may still be missing */
};

/* First block of a segment, at its start; zero up to the block's end. */
struct im_seg {
	__le32 magic;		/* IM_SEG_MAGIC */
	__le32 format;
	__le32 crc;		/* CRC32C of this struct, this field being 0 */
	__le32 zero;
	__u8 uuid[16];		/* of the fileset */
	__le64 incarnation;
	__le64 seg;		/* life: grows by one whenever a segment is begun */
	__le64 first;		/* recno of its first record */
	struct im_rcvd rcvd[IM_PEERS_MAX];	/* as of its beginning */
};

/*
 * .intermezzo/fileset: who this is. Replaced as a whole (new file, fsync,
 * rename), at creation and when the incarnation changes.
 */
struct im_fset {
	__le32 magic;		/* IM_FSET_MAGIC */
	__le32 format;
	__le32 crc;		/* as above */
	__le32 seg_blocks;	/* blocks per segment, header block included */
	__le32 seg_count;	/* when it was made; which are there now: im_ring */
	__le32 block_size;
	__u8 uuid[16];
	__le64 incarnation;
	__le64 id;		/* origin id of this fileset: first half of uuid */
	__u8 lower_uuid[16];	/* of the lower superblock */
	struct im_fid root;
	char name[64];		/* NUL-terminated */
};

/*
 * The xattr IM_XATTR_RING of .intermezzo/log: which files the log is made of,
 * and what it may grow to. A file is there, zeroed and on disk, before its bit
 * is set; its bit is cleared before it goes. A file without its bit is none of
 * the log's.
 */
#define IM_XATTR_RING	"trusted.intermezzo.ring"
#define IM_SEGS_MAX	64		/* in one log */
struct im_ring {
	__le32 magic;		/* IM_RING_MAGIC */
	__le32 format;
	__le32 crc;		/* as above */
	__le32 keep_age;	/* log_keep_age, seconds; 0: no bound */
	__le64 incarnation;
	__le64 files;		/* bit n: the file log/n, as %08u */
	__le64 keep;		/* log_keep, bytes */
};

/*
 * .intermezzo/epochs: two slots of IM_EPOCHS_SLOT bytes, written in turn; the
 * good one with the higher serial counts. After this header come `count`
 * entries, ascending: the records from `first` up to the next entry's are of
 * that epoch (a random number, not 0), the mount that has written them.
 */
struct im_epoch {
	__le64 first;
	__le64 epoch;
};
struct im_epochs {
	__le32 magic;		/* IM_EPOCHS_MAGIC */
	__le32 format;
	__le32 crc;		/* as above, of this and the entries */
	__le32 count;		/* of entries, at least one */
	__u8 uuid[16];		/* of the fileset */
	__le64 incarnation;
	__le64 serial;
};
#define IM_EPOCHS_SLOT	32768

/* trusted.intermezzo.origin of an object that was made or adopted by replay. */
#define IM_XATTR_PREFIX	"trusted.intermezzo."
#define IM_XATTR_ORIGIN	IM_XATTR_PREFIX "origin"
struct im_origin {
	__le64 origin;
	struct im_fid fid;
	__le64 version;		/* recno of the origin's last data record here */
};

/* Where the fileset's own state is kept, at the root of the lower tree. */
#define IM_STATE_DIR	".intermezzo"

#define IM_STATIC_ASSERT(c) _Static_assert(c, #c)
IM_STATIC_ASSERT(sizeof(struct im_fid) == 16);
IM_STATIC_ASSERT(sizeof(struct im_range) == 16);
IM_STATIC_ASSERT(sizeof(struct im_rec) == IM_REC_HDR);
IM_STATIC_ASSERT(sizeof(struct im_seg) == 56 + 24 * IM_PEERS_MAX);
IM_STATIC_ASSERT(sizeof(struct im_fset) == 152);
IM_STATIC_ASSERT(sizeof(struct im_ring) == 40);
IM_STATIC_ASSERT(sizeof(struct im_epoch) == 16);
IM_STATIC_ASSERT(sizeof(struct im_epochs) == 48);
IM_STATIC_ASSERT(sizeof(struct im_origin) == 32);

#endif /* _UAPI_LINUX_INTERMEZZO_RECORD_H */
