// SPDX-License-Identifier: GPL-2.0
#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIGEST_PIECE	(256U << 10)	/* of a file, in one step */
#define DIGEST_ZEROS	(8U << 20)	/* of a hole */

/* Digests */

u64 digest_name(const char *name, size_t len)
{
	return XXH3_64bits(name, len);
}

bool digest_in(const struct im_wire_ask *ask, u64 hash)
{
	return !ask->bits || hash >> (64 - ask->bits) == le32_to_cpu(ask->prefix);
}

/* Security modules of each machine have their own; see shape.c. */
static bool digest_xattr_counts(const char *name, size_t len)
{
	static const char *const theirs[] = {
		"security.selinux", "security.apparmor", "security.ima",
		"security.evm",
	};
	size_t i;

	for (i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
		if (len == strlen(theirs[i]) && !memcmp(name, theirs[i], len))
			return false;
	}
	return len < 16 || memcmp(name, "security.SMACK64", 16);
}

static XXH128_hash_t digest_add(XXH128_hash_t a, XXH128_hash_t b)
{
	XXH128_hash_t sum = { .low64 = a.low64 + b.low64 };

	sum.high64 = a.high64 + b.high64 + (sum.low64 < a.low64);
	return sum;
}

static void digest_sum(__le64 sum[2], XXH128_hash_t h)
{
	XXH128_hash_t now = {
		.low64 = le64_to_cpu(sum[0]), .high64 = le64_to_cpu(sum[1]),
	};

	now = digest_add(now, h);
	sum[0] = cpu_to_le64(now.low64);
	sum[1] = cpu_to_le64(now.high64);
}

/* They are listed in any order, so this is a sum, too. */
XXH128_hash_t digest_xattrs(const struct im_obj *obj)
{
	XXH128_hash_t sum = { 0 }, one;
	const char *name;
	const void *value;
	size_t pos = 0;
	u16 name_len;
	u32 len;

	while (im_obj_xattr(obj, &pos, &name, &name_len, &value, &len) == 1) {
		if (!digest_xattr_counts(name, name_len))
			continue;
		one = XXH3_128bits_withSeed(value, len,
					    XXH3_64bits(name, name_len));
		sum = digest_add(sum, one);
	}
	return sum;
}

XXH128_hash_t digest_meta(const struct im_obj *obj, const struct im_fid *fid)
{
	struct im_wire_obj o = *obj->o;
	XXH128_hash_t part[4] = { 0 };

	o.fid = *fid;
	o.len = 0;
	o.blocks = 0;		/* where the holes are is nobody's promise */
	o.xattr_count = 0;
	if (S_ISDIR(le32_to_cpu(o.mode)))
		o.nlink = 0;
	part[0] = XXH3_128bits(&o, sizeof(o));
	part[1] = XXH3_128bits(obj->name, obj->name_len);
	part[2] = XXH3_128bits(obj->target, obj->target_len);
	part[3] = digest_xattrs(obj);
	return XXH3_128bits(part, sizeof(part));
}

/* Scanning */

int digest_begin(struct digest_scan *d, int fd)
{
	d->fd = -1;
	d->named = false;
	d->dir = fdopendir(fd);
	if (!d->dir) {
		fd = errno;
		close(fd);
		return -fd;
	}
	/* the descriptor may be one that somebody has read before */
	rewinddir(d->dir);
	if (!d->hash)
		d->hash = XXH3_createState();
	if (!d->buf)
		d->buf = malloc(DIGEST_PIECE);
	return d->hash && d->buf ? 0 : -ENOMEM;
}

void digest_end(struct digest_scan *d)
{
	if (d->dir)
		closedir(d->dir);
	if (d->fd >= 0)
		close(d->fd);
	XXH3_freeState(d->hash);
	free(d->buf);
	im_buf_free(&d->obj);
	d->dir = NULL;
	d->hash = NULL;
	d->buf = NULL;
	d->fd = -1;
}

/* From O_PATH to what can be read. */
static int digest_reopen(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* the last component is a magic link; regular files only */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int digest_done(struct digest_scan *d)
{
	struct im_obj obj;
	struct im_wire_sum *sum = d->sums;
	u8 *p = d->obj.p;
	u64 hash;

	if (im_obj_get(p, d->obj.len, true, &obj) < 0)
		return -EPROTO;	/* not what object_put() writes */
	if (!sum)
		return DIGEST_ENTRY;
	hash = digest_name(d->entry, strlen(d->entry));
	if (d->ask.split)
		sum += hash << d->ask.bits >> (64 - d->ask.split);
	sum->count = cpu_to_le64(le64_to_cpu(sum->count) + 1);
	digest_sum(sum->meta, digest_meta(&obj, &d->fid));
	if (S_ISREG(d->st.st_mode) && d->ask.flags & IM_ASK_DATA) {
		struct im_wire_content c = d->content;

		c.fid = d->fid;
		digest_sum(sum->data, XXH3_128bits(&c, sizeof(c)));
	}
	return DIGEST_ENTRY;
}

static int digest_file_end(struct digest_scan *d)
{
	XXH128_hash_t h = XXH3_128bits_digest(d->hash);
	int err = 0;

	/* What was read, and the size and mtime, are then in some record. */
	if (d->ask.flags & IM_ASK_SETTLE && fsync(d->fd))
		err = -errno;
	close(d->fd);
	d->fd = -1;
	d->content.fid = d->fid;
	d->content.size = cpu_to_le64(d->pos);
	d->content.xxh3[0] = cpu_to_le64(h.low64);
	d->content.xxh3[1] = cpu_to_le64(h.high64);
	return err ? err : digest_done(d);
}

/* What is known of the file from pos on: zeros that are digested, or data. */
static void digest_seek(struct digest_scan *d, u64 size)
{
	static const u8 zero[64 << 10];
	off_t at = lseek(d->fd, (off_t)d->pos, SEEK_DATA);
	u64 end = at >= 0 ? (u64)at : errno == ENXIO ? size : d->pos, n;

	if (end > size)
		end = size;
	if (end == d->pos) {
		at = lseek(d->fd, (off_t)d->pos, SEEK_HOLE);
		d->data_end = at > (off_t)d->pos ? (u64)at : size;
		return;
	}
	/* a little at a time; the rest is asked for again */
	if (end > d->pos + DIGEST_ZEROS)
		end = d->pos + DIGEST_ZEROS;
	for (; d->pos < end; d->pos += n) {
		n = end - d->pos < sizeof(zero) ? end - d->pos : sizeof(zero);
		XXH3_128bits_update(d->hash, zero, n);
	}
}

/* The next piece of the file. */
static int digest_file(struct digest_scan *d)
{
	u64 size = d->st.st_size;
	ssize_t got;

	if (!(d->ask.flags & IM_ASK_DATA))
		return digest_file_end(d);
	if (d->pos >= d->data_end && d->pos < size) {
		digest_seek(d, size);
		return DIGEST_MORE;
	}
	/* to its end, also if that has moved: it is digested as it is read */
	got = pread(d->fd, d->buf, d->pos < d->data_end &&
		    d->data_end - d->pos < DIGEST_PIECE ?
		    d->data_end - d->pos : DIGEST_PIECE, (off_t)d->pos);
	if (got < 0)
		return errno == EINTR ? DIGEST_MORE : -errno;
	if (!got)
		return digest_file_end(d);
	XXH3_128bits_update(d->hash, d->buf, got);
	d->pos += got;
	d->read += got;
	return DIGEST_MORE;
}

static bool digest_skips(int err)
{
	return err == -ENOENT || err == -ESTALE || err == -EXDEV ||
	       err == -ELOOP || err == -ENOTDIR;
}

static int digest_look(struct digest_scan *d)
{
	/* an object that goes to nobody needs some FID all the same */
	static const struct im_fid nobody = { .ino = (__le64)1 };

	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_XDEV,
	};
	int fd, err;

	fd = (int)syscall(SYS_openat2, dirfd(d->dir), d->entry, &how,
			  sizeof(how));
	if (fd < 0)
		return digest_skips(-errno) ? DIGEST_MORE : -errno;
	im_buf_reset(&d->obj);
	memset(&d->fid, 0, sizeof(d->fid));
	memset(&d->content, 0, sizeof(d->content));
	err = fstat(fd, &d->st) ? -errno : 0;
	/* Somebody had removed it past the mount, which does not know yet. */
	if (!err && !d->st.st_nlink)
		err = -ENOENT;
	if (!err)
		err = d->identify(d->arg, fd, &d->fid);
	if (!err || err == -ENODATA)
		err = object_put(&d->obj, fd, err ? &nobody : &d->fid,
				 d->entry);
	if (!err && S_ISREG(d->st.st_mode) &&
	    d->ask.flags & (IM_ASK_DATA | IM_ASK_SETTLE)) {
		d->fd = digest_reopen(fd);
		if (d->fd < 0)
			err = d->fd;
		d->pos = d->data_end = 0;
		XXH3_128bits_reset(d->hash);
	}
	close(fd);
	if (err)
		return digest_skips(err) ? DIGEST_MORE : err;
	return d->fd >= 0 ? DIGEST_MORE : digest_done(d);
}

int digest_step(struct digest_scan *d)
{
	const struct dirent *e;
	size_t len;

	if (d->fd >= 0)
		return digest_file(d);
	if (d->name) {
		if (d->named)
			return DIGEST_END;
		d->named = true;
		snprintf(d->entry, sizeof(d->entry), "%s", d->name);
	} else {
		errno = 0;
		e = readdir(d->dir);
		if (!e)
			return errno && errno != ENOENT ? -errno : DIGEST_END;
		len = strlen(e->d_name);
		if (!im_name_ok(e->d_name, len) ||
		    (d->dirs_only && e->d_type != DT_DIR &&
		     e->d_type != DT_UNKNOWN) ||
		    !digest_in(&d->ask, digest_name(e->d_name, len)))
			return DIGEST_MORE;
		memcpy(d->entry, e->d_name, len + 1);
	}
	if (d->root && !strcmp(d->entry, IM_STATE_DIR))
		return DIGEST_MORE;
	return digest_look(d);
}
