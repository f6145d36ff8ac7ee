// SPDX-License-Identifier: GPL-2.0
#include "wire.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <zstd.h>

#define IM_OFF_MAX	((~(u64)0) >> 1)
#define IM_PACK_MIN	64	/* smaller payloads are not worth a try */

static size_t im_pad(size_t len)
{
	return -len & 7;
}

static bool im_all_zero(const u8 *p, size_t len)
{
	while (len--) {
		if (*p++)
			return false;
	}
	return true;
}

/* Buffers */

/* Room for `more` bytes behind len; false and err set if there is none. */
static bool im_buf_room(struct im_buf *b, size_t more)
{
	size_t room = b->room ? b->room : 256;
	u8 *p;

	if (b->err)
		return false;
	if (more <= b->room - b->len)
		return true;
	if (more > SIZE_MAX / 4 - b->len)
		goto err_nomem;
	while (room - b->len < more)
		room *= 2;
	p = realloc(b->p, room);
	if (!p)
		goto err_nomem;
	b->p = p;
	b->room = room;
	return true;

err_nomem:
	b->err = -ENOMEM;
	return false;
}

void im_buf_put(struct im_buf *b, const void *p, size_t len)
{
	if (!len || !im_buf_room(b, len))
		return;
	memcpy(b->p + b->len, p, len);
	b->len += len;
}

static void im_buf_pad(struct im_buf *b, size_t len)
{
	static const u8 zero[8];

	im_buf_put(b, zero, im_pad(len));
}

void im_buf_reset(struct im_buf *b)
{
	b->len = 0;
	b->err = 0;
}

void im_buf_free(struct im_buf *b)
{
	free(b->p);
	memset(b, 0, sizeof(*b));
}

/* Frames */

/* Packed payload into b, which has room for len bytes: its length, or 0. */
static size_t im_frame_pack(struct im_buf *b, const void *payload, size_t len,
			    int level)
{
	__le32 raw = cpu_to_le32(len);
	u8 *to = b->p + b->len;
	size_t n;

	/* No room for what would not be smaller: zstd then gives up early. */
	n = ZSTD_compress(to + sizeof(raw), len - sizeof(raw) - 1, payload,
			  len, level);
	if (ZSTD_isError(n))
		return 0;
	memcpy(to, &raw, sizeof(raw));
	return sizeof(raw) + n;
}

void im_frame_put(struct im_buf *b, unsigned int type, const void *payload,
		  size_t len, int level)
{
	struct im_frame h = { .type = type };
	size_t packed = 0;
	size_t at = b->len;

	if (len > IM_WIRE_FRAME_MAX) {
		if (!b->err)
			b->err = -EMSGSIZE;
		return;
	}
	if (!im_buf_room(b, sizeof(h) + len))
		return;
	b->len += sizeof(h);
	if (level > 0 && len >= IM_PACK_MIN)
		packed = im_frame_pack(b, payload, len, level);
	if (packed) {
		h.flags = IM_FRAME_ZSTD;
		h.len = cpu_to_le32(packed);
		b->len += packed;
	} else {
		h.len = cpu_to_le32(len);
		im_buf_put(b, payload, len);
	}
	memcpy(b->p + at, &h, sizeof(h));
}

bool im_frames_pack(struct im_buf *b, size_t from, int level)
{
	struct im_buf all = { 0 };
	struct im_frame h;
	size_t at, n, was = b->len;
	bool packed = false;

	for (at = from; at < was; at += n) {
		memcpy(&h, b->p + at, sizeof(h));
		if (h.flags)
			break;
		n = sizeof(h) + le32_to_cpu(h.len);
		im_buf_put(&all, b->p + at, n);
		im_buf_pad(&all, n);
	}
	if (at == was && !all.err && all.len >= IM_PACK_MIN &&
	    all.len <= IM_WIRE_FRAME_MAX) {
		im_frame_put(b, IM_FR_PACK, all.p, all.len, level);
		n = b->len - was;
		packed = !b->err && n <= was - from - (was - from) / 16;
		if (packed)
			memmove(b->p + from, b->p + was, n);
		b->len = packed ? from + n : was;
	}
	im_buf_free(&all);
	return packed;
}

static int im_frame_check(const struct im_frame *h)
{
	u32 len = le32_to_cpu(h->len);

	if (!h->type || h->type > IM_FR_MAX || (h->flags & ~IM_FRAME_ALL) ||
	    h->zero || len > IM_WIRE_FRAME_MAX)
		return -EPROTO;
	if ((h->flags & IM_FRAME_ZSTD) && len <= sizeof(__le32))
		return -EPROTO;
	return 0;
}

/* Unpacks into f->raw, which never grows beyond one frame. */
static int im_frame_unpack(struct im_frames *f, const u8 *p, size_t len)
{
	__le32 raw;
	size_t want, n;

	memcpy(&raw, p, sizeof(raw));
	p += sizeof(raw);
	len -= sizeof(raw);
	want = le32_to_cpu(raw);
	if (!want || want > IM_WIRE_FRAME_MAX)
		return -EPROTO;
	/* One frame and nothing behind it. */
	if (ZSTD_findFrameCompressedSize(p, len) != len)
		return -EBADMSG;
	im_buf_reset(&f->raw);
	if (!im_buf_room(&f->raw, want))
		return f->raw.err;
	if (!f->dctx) {
		f->dctx = ZSTD_createDCtx();
		if (!f->dctx)
			return -ENOMEM;
	}
	n = ZSTD_decompressDCtx(f->dctx, f->raw.p, want, p, len);
	if (ZSTD_isError(n) || n != want)
		return -EBADMSG;
	f->raw.len = want;
	return 0;
}

/* The frames in a PACK. */
static int im_pack_deliver(struct im_frames *f, const u8 *p, size_t len)
{
	struct im_frame h;
	size_t whole, n;
	int err = len ? 0 : -EPROTO;

	for (; !err && len; p += whole, len -= whole) {
		if (len < sizeof(h))
			return -EPROTO;
		memcpy(&h, p, sizeof(h));
		if (im_frame_check(&h) || h.flags || h.type == IM_FR_PACK)
			return -EPROTO;
		n = sizeof(h) + le32_to_cpu(h.len);
		whole = n + im_pad(n);
		if (whole > len || !im_all_zero(p + n, whole - n))
			return -EPROTO;
		err = f->fn(f->arg, h.type, p + sizeof(h), n - sizeof(h));
	}
	return err;
}

/* p: a whole frame, header first, aligned to 8. */
static int im_frame_deliver(struct im_frames *f, const u8 *p)
{
	struct im_frame h;
	size_t len;
	int err;

	memcpy(&h, p, sizeof(h));
	p += sizeof(h);
	len = le32_to_cpu(h.len);
	if (h.flags & IM_FRAME_ZSTD) {
		err = im_frame_unpack(f, p, len);
		if (err)
			return err;
		p = f->raw.p;
		len = f->raw.len;
	}
	return h.type == IM_FR_PACK ? im_pack_deliver(f, p, len) :
				      f->fn(f->arg, h.type, p, len);
}

/*
 * Takes up to *len bytes at *pp into f->in, but not more than `want` are there
 * in all.
 */
static int im_frames_take(struct im_frames *f, const u8 **pp, size_t *len,
			  size_t want)
{
	size_t n = want - f->in.len;

	if (n > *len)
		n = *len;
	im_buf_put(&f->in, *pp, n);
	*pp += n;
	*len -= n;
	return f->in.err;
}

static int im_frames_step(struct im_frames *f, const u8 **pp, size_t *len)
{
	struct im_frame h;
	const u8 *p = *pp;
	size_t whole;
	int err;

	/* A whole frame that need not be copied. */
	if (!f->in.len && *len >= sizeof(h) && !((uintptr_t)p & 7)) {
		memcpy(&h, p, sizeof(h));
		err = im_frame_check(&h);
		if (err)
			return err;
		whole = sizeof(h) + le32_to_cpu(h.len);
		if (whole <= *len) {
			*pp += whole;
			*len -= whole;
			return im_frame_deliver(f, p);
		}
	}

	if (f->in.len < sizeof(h)) {
		err = im_frames_take(f, pp, len, sizeof(h));
		if (err || f->in.len < sizeof(h))
			return err;
	}
	memcpy(&h, f->in.p, sizeof(h));
	err = im_frame_check(&h);
	if (err)
		return err;
	whole = sizeof(h) + le32_to_cpu(h.len);
	err = im_frames_take(f, pp, len, whole);
	if (err || f->in.len < whole)
		return err;
	f->in.len = 0;
	return im_frame_deliver(f, f->in.p);
}

int im_frames_feed(struct im_frames *f, const void *p, size_t len)
{
	const u8 *at = p;

	f->wire_bytes += len;
	while (len && !f->in.err)
		f->in.err = im_frames_step(f, &at, &len);
	return f->in.err;
}

bool im_frames_idle(const struct im_frames *f)
{
	return !f->in.len && !f->in.err;
}

void im_frames_free(struct im_frames *f)
{
	im_buf_free(&f->in);
	im_buf_free(&f->raw);
	ZSTD_freeDCtx(f->dctx);
	f->dctx = NULL;
	f->wire_bytes = 0;
}

/* Objects */

struct im_wire_xattr {
	__le16 name_len;
	__le16 zero;
	__le32 value_len;
};

/* The xattr at p: its length, 0 if it is none. */
static size_t im_xattr_at(const u8 *p, size_t len, const char **name,
			  u16 *name_len, const void **value, u32 *value_len)
{
	struct im_wire_xattr x;

	if (len < sizeof(x))
		return 0;
	memcpy(&x, p, sizeof(x));
	*name_len = le16_to_cpu(x.name_len);
	*value_len = le32_to_cpu(x.value_len);
	if (x.zero || *value_len > IM_VALUE_LEN ||
	    len - sizeof(x) < *name_len + *value_len)
		return 0;
	*name = (const char *)p + sizeof(x);
	*value = *name + *name_len;
	if (!im_xattr_name_ok(*name, *name_len))
		return 0;
	return sizeof(x) + *name_len + *value_len;
}

static bool im_obj_type_ok(u32 mode, size_t target_len)
{
	if (mode & ~(u32)(S_IFMT | 07777))
		return false;
	switch (mode & S_IFMT) {
	case S_IFLNK:
		return target_len && target_len <= IM_TARGET_LEN;
	case S_IFREG:
	case S_IFDIR:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return !target_len;
	}
	return false;
}

ssize_t im_obj_get(const u8 *p, size_t len, bool with_name, struct im_obj *obj)
{
	const struct im_wire_obj *o = (const struct im_wire_obj *)p;
	const u8 *at = p + sizeof(*o);
	size_t left;
	u16 i;

	if (len < sizeof(*o) || ((uintptr_t)p & 7))
		return -EPROTO;
	left = le32_to_cpu(o->len);
	if (left < sizeof(*o) || left > len || left % 8)
		return -EPROTO;
	len = left;
	left -= sizeof(*o);
	if (o->zero || o->fid.zero || im_fid_none(&o->fid) ||
	    le32_to_cpu(o->mtime_ns) >= 1000000000U ||
	    le64_to_cpu(o->size) > IM_OFF_MAX)
		return -EPROTO;

	obj->o = o;
	obj->name_len = le16_to_cpu(o->name_len);
	obj->target_len = le16_to_cpu(o->target_len);
	obj->xattr_count = le16_to_cpu(o->xattr_count);
	if (left < (size_t)obj->name_len + obj->target_len)
		return -EPROTO;
	obj->name = (const char *)at;
	obj->target = obj->name + obj->name_len;
	at += obj->name_len + obj->target_len;
	left -= obj->name_len + obj->target_len;
	if (with_name ? !im_name_ok(obj->name, obj->name_len) : obj->name_len)
		return -EPROTO;
	if (!im_obj_type_ok(le32_to_cpu(o->mode), obj->target_len) ||
	    memchr(obj->target, '\0', obj->target_len))
		return -EPROTO;

	obj->xattrs = at;
	for (i = 0; i < obj->xattr_count; i++) {
		const char *name;
		const void *value;
		u16 name_len;
		u32 value_len;
		size_t n = im_xattr_at(at, left, &name, &name_len, &value,
				       &value_len);

		if (!n)
			return -EPROTO;
		at += n;
		left -= n;
	}
	obj->xattrs_len = at - obj->xattrs;
	if (left >= 8 || !im_all_zero(at, left))
		return -EPROTO;
	return len;
}

int im_obj_xattr(const struct im_obj *obj, size_t *pos, const char **name,
		 u16 *name_len, const void **value, u32 *value_len)
{
	size_t n = im_xattr_at(obj->xattrs + *pos, obj->xattrs_len - *pos,
			       name, name_len, value, value_len);

	*pos += n;
	return n > 0;
}

void im_obj_put(struct im_buf *b, const struct im_wire_obj *o, const char *name,
		size_t name_len, const char *target, size_t target_len,
		const struct im_xattr *xattrs, unsigned int xattr_count)
{
	struct im_wire_obj h = *o;
	size_t at = b->len, len;
	unsigned int i;

	if (name_len > IM_NAME_LEN || target_len > IM_TARGET_LEN ||
	    xattr_count > UINT16_MAX) {
		if (!b->err)
			b->err = -EMSGSIZE;
		return;
	}
	h.name_len = cpu_to_le16(name_len);
	h.target_len = cpu_to_le16(target_len);
	h.xattr_count = cpu_to_le16(xattr_count);
	h.zero = 0;
	im_buf_put(b, &h, sizeof(h));
	im_buf_put(b, name, name_len);
	im_buf_put(b, target, target_len);
	for (i = 0; i < xattr_count; i++) {
		size_t n = strlen(xattrs[i].name);
		struct im_wire_xattr x = {
			.name_len = cpu_to_le16(n),
			.value_len = cpu_to_le32(xattrs[i].value_len),
		};

		if (n > IM_NAME_LEN || xattrs[i].value_len > IM_VALUE_LEN) {
			if (!b->err)
				b->err = -EMSGSIZE;
			return;
		}
		im_buf_put(b, &x, sizeof(x));
		im_buf_put(b, xattrs[i].name, n);
		im_buf_put(b, xattrs[i].value, xattrs[i].value_len);
	}
	im_buf_pad(b, b->len - at);
	if (b->err)
		return;
	len = b->len - at;
	if (len > IM_WIRE_FRAME_MAX) {
		b->len = at;
		b->err = -EMSGSIZE;
		return;
	}
	h.len = cpu_to_le32(len);
	memcpy(b->p + at, &h, sizeof(h));
}

/* Items of requests: a head, a name that may be empty, zeros up to 8 bytes */

static ssize_t wire_named(const u8 *p, size_t len, size_t head,
			  size_t name_len, const char **name)
{
	size_t whole = head + name_len;

	whole += im_pad(whole);
	if (whole > len)
		return -EPROTO;
	*name = (const char *)p + head;
	if ((name_len && !im_name_ok(*name, name_len)) ||
	    !im_all_zero(p + head + name_len, whole - head - name_len))
		return -EPROTO;
	return whole;
}

static void wire_put_named(struct im_buf *b, const void *item, size_t head,
			   const char *name, size_t name_len)
{
	im_buf_put(b, item, head);
	im_buf_put(b, name, name_len);
	im_buf_pad(b, head + name_len);
}

ssize_t im_get_get(const u8 *p, size_t len, struct im_wire_get *get,
		   const char **name)
{
	u64 off, count;

	if (len < sizeof(*get))
		return -EPROTO;
	memcpy(get, p, sizeof(*get));
	if (get->zero[0] || get->zero[1] || get->zero[2] || get->fid.zero ||
	    get->dir.zero || im_fid_none(&get->fid))
		return -EPROTO;
	off = le64_to_cpu(get->off);
	count = le64_to_cpu(get->len);
	if (off > IM_OFF_MAX || (~count && count > IM_OFF_MAX - off))
		return -EPROTO;
	if (get->name_len && im_fid_none(&get->dir))
		return -EPROTO;
	return wire_named(p, len, sizeof(*get), le16_to_cpu(get->name_len),
			  name);
}

bool im_get_goes_on(const struct im_wire_get *get,
		    const struct im_wire_get *next)
{
	u64 off = le64_to_cpu(get->off), len = le64_to_cpu(get->len);

	return im_fid_eq(&get->fid, &next->fid) && get->recno == next->recno &&
	       !get->name_len && !next->name_len && ~len &&
	       le64_to_cpu(next->off) >= off + len;
}

void im_get_put(struct im_buf *b, const struct im_wire_get *get,
		const char *name)
{
	wire_put_named(b, get, sizeof(*get), name, le16_to_cpu(get->name_len));
}

ssize_t im_ask_get(const u8 *p, size_t len, struct im_wire_ask *ask,
		   const char **name)
{
	size_t name_len;
	bool list;
	u64 end;

	if (len < sizeof(*ask))
		return -EPROTO;
	memcpy(ask, p, sizeof(*ask));
	list = ask->flags & IM_ASK_LIST;
	name_len = le16_to_cpu(ask->name_len);
	if (!im_all_zero(ask->zero, sizeof(ask->zero)) || ask->zero2 ||
	    ask->dir.zero || im_fid_none(&ask->dir) ||
	    ask->flags & ~IM_ASK_ALL || ask->bits > IM_ASK_BITS ||
	    ask->split > IM_ASK_SPLIT || (list && ask->split) ||
	    (name_len && (!list || ask->bits)))
		return -EPROTO;
	end = 1ULL << ask->bits;
	if (le32_to_cpu(ask->prefix) >= end)
		return -EPROTO;
	return wire_named(p, len, sizeof(*ask), name_len, name);
}

void im_ask_put(struct im_buf *b, const struct im_wire_ask *ask,
		const char *name)
{
	wire_put_named(b, ask, sizeof(*ask), name, le16_to_cpu(ask->name_len));
}
