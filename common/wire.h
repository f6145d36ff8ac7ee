/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames and items of the wire: checked decoding and encoding. User land only.
 * Pointers that decoders return are borrowed from the buffer given.
 */
#ifndef _IM_WIRE_H
#define _IM_WIRE_H

#include "record.h"
#include <intermezzo_wire.h>

/*
 * A growing output buffer. Zeroed = empty. err sticks (-ENOMEM, -EMSGSIZE: an
 * item beyond its limit) until reset; what is put after it is dropped.
 */
struct im_buf {
	u8 *p;
	size_t len;
	size_t room;
	int err;
};
void im_buf_put(struct im_buf *b, const void *p, size_t len);
void im_buf_reset(struct im_buf *b);	/* len = 0, err = 0 */
void im_buf_free(struct im_buf *b);

/*
 * Appends one frame, packed with zstd (level) when that makes it smaller and
 * level > 0. len <= IM_WIRE_FRAME_MAX.
 */
void im_frame_put(struct im_buf *b, unsigned int type, const void *payload,
		  size_t len, int level);
/*
 * The frames in b from `from` on become one PACK, if none of them is packed,
 * they fit, and it saves a sixteenth; false: they stay as they are.
 */
bool im_frames_pack(struct im_buf *b, size_t from, int level);

/*
 * Push decoder: fed with bytes as they come, in pieces of any size, calls fn
 * for each whole frame with its raw payload, which is aligned to 8 and valid
 * until fn returns. fn's error stops and is returned, then and from then on.
 * -EPROTO: bad frame header; -EBADMSG: bad zstd data. Bounded memory. The
 * frames of a PACK are given one by one.
 */
struct im_frames {
	int (*fn)(void *arg, unsigned int type, const u8 *payload, size_t len);
	void *arg;
	struct im_buf in;
	struct im_buf raw;
	void *dctx;
	u64 wire_bytes;		/* fed so far */
};
int im_frames_feed(struct im_frames *f, const void *p, size_t len);
bool im_frames_idle(const struct im_frames *f);	/* no half frame pending */
void im_frames_free(struct im_frames *f);

/* One decoded object. */
struct im_obj {
	const struct im_wire_obj *o;
	const char *name;	/* not NUL-terminated */
	const char *target;
	u16 name_len;
	u16 target_len;
	u16 xattr_count;
	const u8 *xattrs;
	size_t xattrs_len;
};
/*
 * Decodes the object at p, which must be aligned to 8 (as payloads are, and
 * objects in them); returns its length, or -EPROTO. with_name: it must have a
 * name, and otherwise must not. Its xattrs are none of IM_XATTR_PREFIX.
 */
ssize_t im_obj_get(const u8 *p, size_t len, bool with_name, struct im_obj *obj);
/* Walks the xattrs, once get has passed: *pos starts at 0; 1: found, 0: end. */
int im_obj_xattr(const struct im_obj *obj, size_t *pos, const char **name,
		 u16 *name_len, const void **value, u32 *value_len);

struct im_xattr {
	const char *name;	/* NUL-terminated */
	const void *value;
	u32 value_len;
};
/* len, zero and the counts of o are filled in. */
void im_obj_put(struct im_buf *b, const struct im_wire_obj *o, const char *name,
		size_t name_len, const char *target, size_t target_len,
		const struct im_xattr *xattrs, unsigned int xattr_count);

/*
 * Items of a data or stat request. get: length of the item, or -EPROTO; p may
 * be unaligned. The name (get->name_len bytes, not terminated) is a hint and
 * comes only with dir. off + len does not overflow.
 */
ssize_t im_get_get(const u8 *p, size_t len, struct im_wire_get *get,
		   const char **name);
void im_get_put(struct im_buf *b, const struct im_wire_get *get,
		const char *name);
/* Is next answered together with get? */
bool im_get_goes_on(const struct im_wire_get *get,
		    const struct im_wire_get *next);

/* The same for items of a digest request. */
ssize_t im_ask_get(const u8 *p, size_t len, struct im_wire_ask *ask,
		   const char **name);
void im_ask_put(struct im_buf *b, const struct im_wire_ask *ask,
		const char *name);

#endif /* _IM_WIRE_H */
