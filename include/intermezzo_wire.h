/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Daemon to daemon: HTTP/1.1 over TLS 1.3, TCP, a unix socket or the pipe of an
 * ssh session. This is the only definition of paths, frames and limits.
 *
 * Over TLS both sides show a certificate, and each knows the other by the
 * SHA-256 of its public key. A client that has no right to a fileset gets 403
 * for all requests but `redeem`.
 *
 * Requests (NAME: the fileset; N, I: decimal; FID: INO.GEN in decimal):
 *
 *   GET  /im/1/NAME/info
 *        200: struct im_wire_info.
 *   POST /im/1/NAME/redeem
 *        Only over TLS. body: struct im_wire_redeem; 200: struct im_wire_info;
 *        this client's key has the right that the invitation stands for, on
 *        disk, and the invitation is used. 403: it is not good (text says
 *        why); 429: too many that were not good came from this address; 503:
 *        not now. Nothing has changed then.
 *   GET  /im/1/NAME/now?inc=I[&seen=M&epoch=E]
 *        200: struct im_wire_info, sent when all that was logged here before
 *        the request came is durable: it is at or below `durable`. 410: as of
 *        kml.
 *   GET  /im/1/NAME/kml?inc=I&from=N[&seen=M&epoch=E][&riders=BYTES]
 *        200: frames, without end while both sides live: RECORDS with whole
 *        consecutive records from N on as soon as they are durable, EPOCH
 *        before the first and before each that begins another epoch, ALIVE
 *        when there was none for IM_WIRE_ALIVE_S seconds. 410: N has left the
 *        log, or lies beyond its end; or record M, the newest that the client
 *        may have seen, is not of epoch E here: this server is a copy of the
 *        one that it came from, or was restored from a backup; resynchronise.
 *        409: another incarnation. riders: the data of small changes that are
 *        news may come before the RECORDS that tell of them, at most so many
 *        bytes each time: RIDERS, then what a data request for its items would
 *        be answered, END included.
 *   GET  /im/1/NAME/part?inc=I&from=N&to=M&epoch=E
 *        200: frames: ABOUT (seen: M); EPOCHs and RECORDS, as of kml, of the
 *        records N to M, at most IM_WIRE_PART of them; END. 410: they are not
 *        in the log, or not durable yet; or E is not the epoch of M, nor of a
 *        later record.
 *   GET  /im/1/NAME/snapshot?inc=I[&fid=FID][&seen=M&epoch=E]
 *        200: frames: BEGIN; EPOCH of its start, and of each later epoch, the
 *        last is of now; OBJECT of the root or of fid, or GONE; then, if it
 *        is a directory, for each directory, parents first: DIR, its ENTRYs,
 *        DIREND; then END, sent when all that was seen is durable: without
 *        END, what came may describe changes that a crash took back. The tree
 *        may change meanwhile: replay the log from BEGIN's recno + 1 on. A
 *        directory may come twice, or not at all (it is gone, or has moved).
 *   POST /im/1/NAME/stat?inc=I
 *        body: im_wire_get items (off, len ignored); 200: one OBJECT or GONE
 *        frame per item, in order, then END.
 *   POST /im/1/NAME/data?inc=I
 *        body: im_wire_get items, at most IM_WIRE_GETS; 200: per item, in
 *        order: FILE, then DATA and HOLE, then FILEEND; or GONE. Then END.
 *        Several ranges of one file are several items; those in a row with
 *        the same fid and recno, without a name, each with an end and followed
 *        by one that lies behind it, have one answer: FILE (off, len: of the
 *        first), all DATA and HOLE, FILEEND.
 *   GET  /im/1/NAME/piece?inc=I&seen=M&epoch=E&want=WANT
 *        The same for items in a text (common/want.h) of at most
 *        IM_WIRE_WANT_MAX characters, after ABOUT. Of each item there is a
 *        recno; M is the highest of them. 410: as of kml.
 *   POST /im/1/NAME/delta?inc=I&fid=FID[&recno=N][&dir=FID&name=HEX]
 *        [&seen=N&epoch=E]
 *        body: a librsync signature (BLAKE2) of what the client has, at most
 *        IM_WIRE_SIG_MAX; 200: FILE, DELTA frames (a librsync delta),
 *        FILEEND, END; or GONE, END. With seen, which is recno again, what was
 *        read for others since that record will do. 410: as of kml.
 *   POST /im/1/NAME/digest?inc=I[&rate=BYTES_PER_SECOND][&seen=M&epoch=E]
 *        body: im_wire_ask items, at most IM_WIRE_ASKS; 200: BEGIN, then per
 *        item, in order, what it asks for; or GONE. Then END, as of a snapshot;
 *        durable and to be relied on if an item said IM_ASK_SETTLE. Files are
 *        read no faster than rate. 503: IM_WIRE_DIGESTS others are under way.
 *   GET  /im/1/NAME/sums?inc=I&fid=FID&block=BYTES[&recno=N][&dir=FID&name=HEX]
 *        [&seen=N&epoch=E]
 *        200: FILE, SUMS frames: XXH3-128 of each block of the file (the last
 *        may be short), FILEEND, END; or GONE, END. With seen, which is recno
 *        again, ABOUT comes first. 410: as of kml.
 *   GET  /im/1/NAME/sig?inc=I&fid=FID&block=BYTES[&recno=N][&dir=FID&name=HEX]
 *        200: FILE, SIG frames (a librsync signature of the server's file),
 *        FILEEND, END; or GONE, END.
 *
 * What may be cached. part, piece, and sums with seen are good for whoever
 * applies record `seen` of that history, for ever, whoever was answered: what
 * they say of files was so when that record was logged or at some time since,
 * and what has changed later has a record of its own. So they say "immutable",
 * have an ETag of their own, and break off instead of sending ERROR, so that
 * no cache takes a half for the whole. ABOUT repeats what was asked: a cache
 * that mixes answers up is noticed. All other answers are no-store. From a
 * cache that adds X-InterMezzo-Cache to its answers, pieces of small files are
 * asked for by fixed cuts of the log, so that all clients ask for the same
 * ones; that costs round trips.
 *
 * A FID may be out of the server's cache; then he wants proof that it is of the
 * fileset: recno, a record that names it, or dir and name (hex), where it was.
 *
 * Other answers: 400 malformed (text says what), 403, 404 no such fileset,
 * 405, 413, 431, 503 shutting down or too many connections. Their body is one
 * line of text. A request may carry "X-InterMezzo-Rate: BYTES_PER_SECOND
 * [CLIENT]" (CLIENT: 16 hex digits of its choice): the server then sends this
 * client no faster, in requests that are under way, too; 0: as fast as it can. Without
 * CLIENT, who comes from one address is one client.
 *
 * ALIVE can stand between the frames of sums, sig, delta and digest too: a long
 * file may give nothing to send for some time.
 *
 * A failure in the middle of an answer is an ERROR frame, or the connection
 * ends before END: what came before is valid.
 */
#ifndef _INTERMEZZO_WIRE_H
#define _INTERMEZZO_WIRE_H

#include <linux/intermezzo_record.h>

#define IM_WIRE_PREFIX		"/im/1/"
#define IM_WIRE_VERSION		1
#define IM_WIRE_PORT		7070
#define IM_WIRE_PORT_TLS	7071
#define IM_WIRE_ALIVE_S		10	/* ALIVE interval of the kml stream */
#define IM_WIRE_FRAME_MAX	(1U << 20)	/* payload, packed and raw */
#define IM_WIRE_GETS		8192	/* items in one request */
#define IM_WIRE_BODY_MAX	(8U << 20)	/* request body other than delta */
#define IM_WIRE_ASKS	256		/* items in one digest request */
#define IM_WIRE_RIDERS	(128U << 10)	/* content of riders at a time */
#define IM_WIRE_DIGESTS	4		/* such requests to one fileset at a time */
#define IM_WIRE_SIG_MAX		(256U << 20)
#define IM_WIRE_WANT_MAX	7400	/* proxies take a request line of 8 KiB */
#define IM_WIRE_CACHE	"X-InterMezzo-Cache"	/* any value */
#define IM_WIRE_PART		8192	/* records; parts begin at multiples */

/* 200 body of info. */
struct im_wire_info {
	__le32 magic;		/* IM_WIRE_MAGIC */
	__le32 version;		/* IM_WIRE_VERSION */
	__u8 uuid[16];
	__le64 incarnation;
	__le64 id;
	__le64 first;		/* oldest recno in the log */
	__le64 durable;		/* newest recno that is sent */
	__le64 epoch;		/* of that record; 0: not known */
	struct im_fid root;
};
#define IM_WIRE_MAGIC	0x31574d49	/* "IMW1" */

/* Body of redeem. */
struct im_wire_redeem {
	__le32 magic;		/* IM_WIRE_MAGIC_REDEEM */
	__le32 zero;
	__u8 secret[16];
	char name[64];		/* what the client's host calls itself: letters,
				 * digits, '.', '_', '-'; then NULs, one at least */
};
#define IM_WIRE_MAGIC_REDEEM	0x52574d49	/* "IMWR" */

/* Every frame: this, then len bytes. */
struct im_frame {
	__le32 len;		/* payload on the wire, <= IM_WIRE_FRAME_MAX */
	__u8 type;		/* enum im_frame_type */
	__u8 flags;		/* IM_FRAME_* */
	__le16 zero;
};
#define IM_FRAME_ZSTD	1	/* payload: le32 raw length, then one zstd frame */
#define IM_FRAME_ALL	1

enum im_frame_type {
	IM_FR_RECORDS = 1,	/* whole records */
	IM_FR_ALIVE,		/* le64 durable */
	IM_FR_BEGIN,		/* struct im_wire_begin */
	IM_FR_DIR,		/* struct im_fid of the directory */
	IM_FR_ENTRY,		/* one or more im_wire_obj, in the last DIR */
	IM_FR_DIREND,		/* struct im_wire_dirend */
	IM_FR_OBJECT,		/* one im_wire_obj, without name */
	IM_FR_GONE,		/* struct im_fid: not there any more */
	IM_FR_FILE,		/* struct im_wire_file */
	IM_FR_DATA,		/* le64 offset, then bytes */
	IM_FR_HOLE,		/* le64 offset, le64 length: zero bytes */
	IM_FR_FILEEND,		/* struct im_wire_fileend */
	IM_FR_DELTA,		/* part of a librsync delta */
	IM_FR_SUMS,		/* array of 16-byte XXH3-128, canonical form */
	IM_FR_SIG,		/* part of a librsync signature */
	IM_FR_END,		/* empty; of a snapshot: le64 newest recno */
	IM_FR_ERROR,		/* le32 errno, then text */
	IM_FR_EPOCH,		/* struct im_wire_epoch */
	IM_FR_DIGEST,		/* array of struct im_wire_sum */
	IM_FR_CONTENT,		/* one or more im_wire_content, in the last DIR */
	IM_FR_RIDERS,		/* im_wire_get items, each with a recno to come */
	IM_FR_ABOUT,		/* struct im_wire_about */
	IM_FR_PACK,		/* frames, each with zeros behind it up to a
				 * multiple of 8; none has flags or is a PACK */
	__IM_FR_LAST,
	IM_FR_MAX = __IM_FR_LAST - 1,
};

struct im_wire_begin {
	__le64 start;		/* newest recno before the walk began */
	__le64 incarnation;
	struct im_fid root;
};

/*
 * What the answer is to. asked: XXH3-64 of "FROM-TO" (part), of WANT (piece),
 * of "FID.RECNO.BLOCK" (sums), numbers as in the request.
 */
struct im_wire_about {
	__le64 incarnation;
	__le64 seen;
	__le64 epoch;
	__le64 asked;
};

/* See struct im_ioc_epoch. */
struct im_wire_epoch {
	__le64 epoch;		/* 0: not known */
	__le64 first;		/* of these records */
	__le64 next;		/* first that is not of it; 0: none yet */
};

struct im_wire_dirend {
	struct im_fid fid;
	__le64 mtime;
	__le32 mtime_ns;
	__le32 zero;
};

/*
 * An object. Then: name, target, then xattr_count times {le16 name length,
 * le16 zero, le32 value length, name, value}; zero bytes up to len, a multiple
 * of 8.
 */
struct im_wire_obj {
	__le32 len;
	__le32 mode;
	struct im_fid fid;
	__le32 uid;
	__le32 gid;
	__le32 nlink;
	__le32 mtime_ns;
	__le64 mtime;
	__le64 rdev;		/* major << 32 | minor */
	__le64 size;
	__le64 blocks;		/* 512-byte blocks in use */
	__le16 name_len;	/* 0 in OBJECT */
	__le16 target_len;
	__le16 xattr_count;
	__le16 zero;
};

/* Then name_len bytes of name, zero bytes up to a multiple of 8. */
struct im_wire_get {
	struct im_fid fid;
	struct im_fid dir;	/* of name, or zero */
	__le64 recno;		/* of a record that names fid, or zero */
	__le64 off;
	__le64 len;		/* all ones: up to the end */
	__le16 name_len;
	__le16 zero[3];
};

/*
 * About the entries of a directory: those whose names' hashes (XXH3-64) begin
 * with the `bits` bits of prefix, or the one that has the name.
 *
 * Without IM_ASK_LIST the answer is a DIGEST: 2^split sums over the entries by
 * the next `split` bits. With it: DIR, ENTRYs, with IM_ASK_DATA CONTENTs of
 * the regular files among them, DIREND.
 * Then name_len bytes of name, zero bytes up to a multiple of 8.
 */
struct im_wire_ask {
	struct im_fid dir;
	__le32 prefix;
	__u8 bits;		/* 0 .. IM_ASK_BITS, with a name 0 */
	__u8 split;		/* 0 .. IM_ASK_SPLIT; with IM_ASK_LIST 0 */
	__u8 flags;		/* IM_ASK_* */
	__u8 zero[5];
	__le16 name_len;	/* only with IM_ASK_LIST; 0: none */
	__le16 zero2;
};
#define IM_ASK_DATA	1	/* read the files, too */
#define IM_ASK_LIST	2	/* the entries, not their sums */
#define IM_ASK_SETTLE	4	/* log what open files have that no record says;
				 * END waits until that is durable */
#define IM_ASK_ALL	7
#define IM_ASK_BITS	24
#define IM_ASK_SPLIT	8

/*
 * Sums mod 2^128 (low half first) of the digests of entries. meta: XXH3-128
 * over FID, name, type and mode, owner, link count (not of directories),
 * mtime, size (regular files), device number, target, and the sum of the
 * XXH3-128 of the xattrs, without those that security modules of a machine
 * give to every file; see syncd/digest.c. data: over the FID and the
 * XXH3-128 of the content of each regular file; 0 without IM_ASK_DATA.
 */
struct im_wire_sum {
	__le64 count;
	__le64 meta[2];
	__le64 data[2];
};

struct im_wire_content {
	struct im_fid fid;
	__le64 size;		/* bytes that were read */
	__le64 xxh3[2];		/* XXH3-128 of them, low half first */
};

struct im_wire_file {
	__le32 index;		/* item of the request */
	__le32 mode;
	struct im_fid fid;
	__le64 size;		/* of the file now */
	__le64 mtime;
	__le32 mtime_ns;
	__le32 zero;
	__le64 off;		/* what is sent, clipped to the size */
	__le64 len;
};

struct im_wire_fileend {
	__le64 xxh3;		/* XXH3-64 of the bytes of DATA and HOLE (data),
				 * or of the new file (delta); 0 for sums, sig */
	__le64 size;		/* of the file, again: it may have moved on */
};

IM_STATIC_ASSERT(sizeof(struct im_wire_info) == 80);
IM_STATIC_ASSERT(sizeof(struct im_wire_about) == 32);
IM_STATIC_ASSERT(sizeof(struct im_wire_redeem) == 88);
IM_STATIC_ASSERT(sizeof(struct im_frame) == 8);
IM_STATIC_ASSERT(sizeof(struct im_wire_begin) == 32);
IM_STATIC_ASSERT(sizeof(struct im_wire_epoch) == 24);
IM_STATIC_ASSERT(sizeof(struct im_wire_dirend) == 32);
IM_STATIC_ASSERT(sizeof(struct im_wire_obj) == 80);
IM_STATIC_ASSERT(sizeof(struct im_wire_get) == 64);
IM_STATIC_ASSERT(sizeof(struct im_wire_ask) == 32);
IM_STATIC_ASSERT(sizeof(struct im_wire_sum) == 40);
IM_STATIC_ASSERT(sizeof(struct im_wire_content) == 40);
IM_STATIC_ASSERT(sizeof(struct im_wire_file) == 64);
IM_STATIC_ASSERT(sizeof(struct im_wire_fileend) == 16);

#endif /* _INTERMEZZO_WIRE_H */
