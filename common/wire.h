/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames and items of the wire: checked decoding and encoding. User land only.
 * Pointers that decoders return are borrowed from the buffer given.
 */
#ifndef _IM_WIRE_H
#define _IM_WIRE_H

#include "record.h"
#include <intermezzo_wire.h>

/* A growing output buffer. Zeroed = empty. err sticks (-ENOMEM). */
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
 * Push decoder: fed with bytes as they come, in pieces of any size, calls fn
 * for each whole frame with its raw payload. fn's error stops and is returned.
 * -EPROTO: bad frame header; -EBADMSG: bad zstd data. Bounded memory.
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
/* Decodes the object at p; returns its length, or -EPROTO. with_name: it must have one. */
ssize_t im_obj_get(const u8 *p, size_t len, bool with_name, struct im_obj *obj);
/* Walks the xattrs: *pos starts at 0; 1 = one found, 0 = end. (validated by im_obj_get) */
int im_obj_xattr(const struct im_obj *obj, size_t *pos, const char **name,
		 u16 *name_len, const void **value, u32 *value_len);

struct im_xattr {
	const char *name;	/* NUL-terminated */
	const void *value;
	u32 value_len;
};
void im_obj_put(struct im_buf *b, const struct im_wire_obj *o, const char *name,
		size_t name_len, const char *target, size_t target_len,
		const struct im_xattr *xattrs, unsigned int xattr_count);

/* Items of a data or stat request. get: length of the item, or -EPROTO. */
ssize_t im_get_get(const u8 *p, size_t len, struct im_wire_get *get,
		   const char **name);
void im_get_put(struct im_buf *b, const struct im_wire_get *get,
		const char *name);

#endif /* _IM_WIRE_H */
