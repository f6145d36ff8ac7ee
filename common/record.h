/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Encoding, decoding and validation of KML records. Pure C without I/O or
 * allocation; built into the module, intermezzoctl, intersyncd and the tests.
 */
#ifndef _IM_RECORD_H
#define _IM_RECORD_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/string.h>
#include <asm/byteorder.h>
#else
#include "user.h"
#endif
#include <linux/intermezzo_record.h>

/*
 * The body of a record. Pointers are borrowed; names are not terminated, data
 * has any alignment.
 */
struct im_body {
	const char *name;
	const char *name2;
	const void *data;
	u16 name_len;
	u16 name2_len;
	u32 data_len;
};

/*
 * CRC32C with the customary inversions ("123456789" gives 0xe3069283). To
 * chain: start with 0, then pass the last result.
 */
u32 im_crc32c(u32 crc, const void *buf, size_t len);
#ifndef __KERNEL__
/* The same without the processor's help, for its test. */
u32 im_crc32c_table(u32 crc, const void *buf, size_t len);
#endif

static inline bool im_fid_eq(const struct im_fid *a, const struct im_fid *b)
{
	return a->ino == b->ino && a->gen == b->gen;
}

static inline bool im_fid_none(const struct im_fid *a)
{
	return !a->ino;
}

/* Length of the whole record, padding included. */
size_t im_rec_len(const struct im_body *body);

/*
 * Fills in len, the body's lengths and CRC and, last, the header's CRC, and
 * writes header and body to buf, which holds im_rec_len() bytes. The caller
 * has set all other fields of hdr.
 */
void im_rec_encode(void *buf, struct im_rec *hdr, const struct im_body *body);

/* Seals a header in place after its fields were changed (completion). */
void im_rec_seal(struct im_rec *hdr);

/*
 * What is wrong with the record at buf of which avail bytes are there. 0 if
 * it is whole and valid: then *body points into buf, and *need is its length.
 * buf may be unaligned. An INTENT is valid: a reader of a peer's log refuses
 * it itself.
 *   -EAGAIN   not enough bytes to tell; *need says how many are wanted
 *   -ENOMSG   no record begins here (magic)
 *   -EBADMSG  a CRC is wrong
 *   -EINVAL   the CRCs are right but the content breaks a rule: unknown
 *             opcode, state or flag; names empty, too long, "." or "..", with
 *             '/' or NUL; xattrs of IM_XATTR_PREFIX; lengths that do not add
 *             up; FIDs, names or data missing, or there where the opcode has
 *             none; times with 10^9 ns or more; sizes from 2^63 on; ranges
 *             out of order or overflowing
 */
int im_rec_check(const void *buf, size_t avail, size_t *need,
		 struct im_body *body);

const char *im_op_name(unsigned int op);	/* "CREATE" ..., "?" */
bool im_op_is_namespace(unsigned int op);	/* CREATE .. RENAME */
bool im_op_is_data(unsigned int op);		/* CLOSE, SYNC */

/* CRC of the other sealed structures (struct with its own crc field zeroed). */
u32 im_seg_crc(const struct im_seg *seg);
u32 im_ring_crc(const struct im_ring *ring);
u32 im_fset_crc(const struct im_fset *fset);
/* count is in range; the entries follow. */
u32 im_epochs_crc(const struct im_epochs *e);
static inline size_t im_epochs_len(const struct im_epochs *e)
{
	return sizeof(*e) + le32_to_cpu(e->count) * sizeof(struct im_epoch);
}

/* Name of an entry: 1..255 bytes, no '/', no NUL, not "." or "..". */
bool im_name_ok(const char *name, size_t len);

/* Name of an xattr that may travel: 1..255 bytes, no NUL, not one of ours. */
bool im_xattr_name_ok(const char *name, size_t len);

/*
 * Name of a fileset. 0, or -EINVAL: empty, too long, a character outside
 * [A-Za-z0-9._-], '.' first.
 */
int im_fsname_check(const char *name);

#endif /* _IM_RECORD_H */
