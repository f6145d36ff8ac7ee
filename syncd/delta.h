/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Making the server's file out of one that is here and little else: equal
 * blocks at equal offsets first (XXH3-128, cheap), then, if too little was
 * equal, or can be since the size is another, what has moved (librsync). What
 * comes out is checked.
 */
#ifndef _SYNCD_DELTA_H
#define _SYNCD_DELTA_H

#include "common/ranges.h"
#include "fetch.h"

#define DELTA_MIN	(64U << 10)	/* smaller files go whole */

struct delta {
	struct http *h;
	u64 inc;
	const struct fetch_want *want;	/* whose file */
	int basis;			/* open for reading */
	int out;			/* open for reading and writing */
	bool same;			/* out is basis */
	const struct im_ranges *only;	/* the rest is here; NULL: nothing is */
	int tmpdir;			/* for a temporary file when same */
	u64 received;			/* bytes of file content that came */
	struct im_wire_file file;	/* the server's, as it was */
};

/* True if trying is worth its price. */
bool delta_wanted(u64 size, u64 basis_size);

/*
 * 0: out has the server's content (with only: in these ranges). 1: not worth it, or it did not come out
 * right: fetch the whole file; out has anything in it. -ENXIO: gone.
 */
int delta_fetch(struct delta *d);

/* Parts, for the tests. */

/* Signature of fd for a file of about that size. */
int delta_signature(int fd, u64 size, struct im_buf *sig);

struct delta_patch;
/* Applies a librsync delta, as it comes, to basis and writes to out. */
struct delta_patch *delta_patch_new(int basis, int out, u64 limit);
int delta_patch_feed(struct delta_patch *p, const u8 *data, size_t len);
/* *size, *xxh3: of what was written. -EBADMSG: the delta is not whole. */
int delta_patch_end(struct delta_patch *p, u64 *size, u64 *xxh3);
void delta_patch_free(struct delta_patch *p);

/* Makes out equal to from by writing only blocks that differ. */
int delta_copy_diff(int from, int out, u64 size);

#endif /* _SYNCD_DELTA_H */
