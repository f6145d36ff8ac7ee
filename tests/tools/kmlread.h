/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests of the data side need of the log: records of one file since a
 * number, and whether what they say explains how its bytes have changed.
 */
#ifndef TESTS_KMLREAD_H
#define TESTS_KMLREAD_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

#include "common/record.h"
#include "common/ranges.h"
#include "linux/intermezzo.h"

struct kml {
	int dir;		/* a directory of the mount */
	int fd;
	u8 *buf;
	size_t have, at;
};

#define KML_BUF (4 * IM_REC_MAX)

static u64 kml_last(struct kml *k)
{
	struct im_ioc_info info;

	if (ioctl(k->dir, IM_IOC_INFO, &info))
		err(1, "IM_IOC_INFO");
	return info.last;
}

static void kml_open(struct kml *k, const char *dir)
{
	struct im_ioc_kml a = { .commit_ms = 1, .flags = O_CLOEXEC };

	memset(k, 0, sizeof(*k));
	k->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->dir < 0)
		err(1, "%s", dir);
	a.from = kml_last(k) + 1;
	k->fd = ioctl(k->dir, IM_IOC_KML, &a);
	if (k->fd < 0)
		err(1, "IM_IOC_KML from %llu", (unsigned long long)a.from);
	k->buf = malloc(KML_BUF);
	if (!k->buf)
		err(1, "memory");
}

/* The next record, waited for. Pointers are good until the next call. */
static struct im_rec *kml_next(struct kml *k, struct im_body *body)
{
	struct im_rec *rec;
	size_t need;
	ssize_t n;
	int rc;

	if (k->at == k->have) {
		n = read(k->fd, k->buf, KML_BUF);
		if (n <= 0)
			err(1, "reading the log: %zd", n);
		k->have = n;
		k->at = 0;
	}
	rec = (struct im_rec *)(k->buf + k->at);
	rc = im_rec_check(rec, k->have - k->at, &need, body);
	if (rc)
		errx(1, "bad record in the log: %d", rc);
	k->at += le32_to_cpu(rec->len);
	return rec;
}

/* A file's bytes at some time. */
struct image {
	u8 *data;
	u64 size;
};

static void image_read(struct image *im, int fd)
{
	struct stat st;
	u64 at = 0;

	if (fstat(fd, &st))
		err(1, "fstat");
	im->size = st.st_size;
	im->data = realloc(im->data, im->size + 1);
	while (at < im->size) {
		ssize_t n = pread(fd, im->data + at, im->size - at, at);

		if (n <= 0)
			err(1, "pread at %llu", (unsigned long long)at);
		at += n;
	}
}

__attribute__((unused))
static void image_copy(struct image *to, const struct image *from)
{
	to->size = from->size;
	to->data = realloc(to->data, to->size + 1);
	memcpy(to->data, from->data, to->size);
}

static void image_resize(struct image *im, u64 size)
{
	im->data = realloc(im->data, size + 1);
	if (size > im->size)
		memset(im->data + im->size, 0, size - im->size);
	im->size = size;
}

/* What the records of one file said in a row. */
struct story {
	u64 ino;
	u32 gen;
	unsigned int dirty, close, sync, still, other, unknown;
	unsigned int first;		/* opcode of the first record */
	unsigned int last;		/* of the last one */
	u32 last_flags;
	u64 bytes;			/* in all ranges */
	u64 size;			/* of the last data record */
	char ops[512];			/* names, in order */
};

static void story_of(struct story *s, int fd)
{
	struct stat st;
	int gen;

	memset(s, 0, sizeof(*s));
	if (fstat(fd, &st))
		err(1, "fstat");
	if (ioctl(fd, FS_IOC_GETVERSION, &gen))
		err(1, "FS_IOC_GETVERSION");
	s->ino = st.st_ino;
	s->gen = gen;
}

/*
 * A replica's view: copy, which has been in step, follows the record. Bytes
 * that it says have changed come from now, the file as it is.
 */
static void story_apply(struct story *s, const struct im_rec *rec,
			const struct im_body *body, struct image *copy,
			const struct image *now)
{
	u64 size = le64_to_cpu(rec->size), trunc = le64_to_cpu(rec->trunc);
	struct im_ranges r;
	u32 i;

	s->size = size;
	if (trunc < copy->size)
		image_resize(copy, trunc);
	image_resize(copy, size);
	im_ranges_init(&r, IM_RANGES_MAX);
	if (le32_to_cpu(rec->flags) & IM_RF_UNKNOWN) {
		s->unknown++;
		im_ranges_add(&r, 0, size);
	} else if (im_ranges_get(&r, body->data, body->data_len)) {
		errx(1, "bad ranges in record %llu",
		     (unsigned long long)le64_to_cpu(rec->recno));
	}
	for (i = 0; i < r.n; i++) {
		u64 off = r.v[i].off, end = r.v[i].end;

		if (end > size)
			errx(1, "range %llu..%llu beyond size %llu",
			     (unsigned long long)off, (unsigned long long)end,
			     (unsigned long long)size);
		s->bytes += end - off;
		if (end > now->size)
			end = now->size;
		if (off < end)
			memcpy(copy->data + off, now->data + off, end - off);
	}
	im_ranges_free(&r);
}

/* Reads the log up to number `to` and follows the file's records. */
static void story_read(struct kml *k, struct story *s, u64 to,
		       struct image *copy, const struct image *now)
{
	struct im_body body;
	struct im_rec *rec;
	unsigned int op;

	do {
		rec = kml_next(k, &body);
		op = le16_to_cpu(rec->op);
		if (le64_to_cpu(rec->fid.ino) != s->ino ||
		    le32_to_cpu(rec->fid.gen) != s->gen ||
		    rec->state != IM_RS_DONE)
			continue;
		if (strlen(s->ops) + 32 < sizeof(s->ops)) {
			strcat(s->ops, *s->ops ? " " : "");
			strcat(s->ops, im_op_name(op));
			if (le32_to_cpu(rec->flags) & IM_RF_STILL)
				strcat(s->ops, "|STILL");
			if (le32_to_cpu(rec->flags) & IM_RF_FIRST)
				strcat(s->ops, "|FIRST");
		}
		switch (op) {
		case IM_OP_DIRTY:
			s->dirty++;
			break;
		case IM_OP_CLOSE:
			s->close++;
			story_apply(s, rec, &body, copy, now);
			break;
		case IM_OP_SYNC:
			s->sync++;
			if (le32_to_cpu(rec->flags) & IM_RF_STILL)
				s->still++;
			story_apply(s, rec, &body, copy, now);
			break;
		default:
			s->other++;
			continue;
		}
		if (!s->first)
			s->first = op;
		s->last = op;
		s->last_flags = le32_to_cpu(rec->flags);
	} while (le64_to_cpu(rec->recno) < to);
}

/* Where two images differ first; -1: nowhere. */
__attribute__((unused))
static long long image_diff(const struct image *a, const struct image *b)
{
	u64 i;

	for (i = 0; i < a->size && i < b->size; i++)
		if (a->data[i] != b->data[i])
			return i;
	return a->size == b->size ? -1 : (long long)i;
}

#endif
