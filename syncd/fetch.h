/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Getting file data from the server: many pieces by one request. Knows frames
 * and checks them; what the pieces are for is the caller's business.
 */
#ifndef _SYNCD_FETCH_H
#define _SYNCD_FETCH_H

#include "common/ranges.h"
#include "http.h"

#define FETCH_ALL	(~(u64)0)

struct fetch_want {
	struct im_fid fid;
	u64 recno;			/* of a record that names it, or 0 */
	struct im_fid dir;		/* where it was, or none */
	const char *name;
	u64 off, len;			/* FETCH_ALL: up to the end */
	bool news;			/* recno is applied for the first time;
					 * what was read at any time since will
					 * do, and may come from a cache */
};

/*
 * Called for each want, in order: gone(), or file(), data() and hole() in
 * ascending order within what was asked, end(). Ranges of one file in a row
 * are one want, the first. An error ends the transfer.
 */
struct fetch_sink {
	int (*gone)(void *arg, unsigned int i);
	int (*file)(void *arg, unsigned int i, const struct im_wire_file *w);
	int (*data)(void *arg, u64 off, const u8 *p, size_t len);
	int (*hole)(void *arg, u64 off, u64 len);
	int (*end)(void *arg, const struct im_wire_fileend *e);
};

/* n <= IM_WIRE_GETS. Errors as http_frames(); -EBADMSG: a checksum is wrong. */
int fetch_data(struct http *h, u64 inc, const struct fetch_want *v,
	       unsigned int n, const struct fetch_sink *sink, void *arg);

/*
 * The same for frames that come otherwise. v is borrowed until fetch_free().
 * fetch_frame(): 0, -EPROTO, -EBADMSG, or what the sink said.
 */
struct fetch;
struct fetch *fetch_begin(const struct fetch_want *v, unsigned int n,
			  const struct fetch_sink *sink, void *arg);
int fetch_frame(struct fetch *f, unsigned int type, const u8 *p, size_t len);
bool fetch_ended(const struct fetch *f);	/* all of it has come */
void fetch_free(struct fetch *f);

/* Objects: obj is NULL when it is gone; borrowed. */
int fetch_stat(struct http *h, u64 inc, const struct fetch_want *v,
	       unsigned int n,
	       int (*fn)(void *arg, unsigned int i, const struct im_obj *obj),
	       void *arg);

/* Sums of blocks: FILE, SUMS and so on to fn. */
int fetch_sums(struct http *h, u64 inc, const struct fetch_want *w, u32 block,
	       http_frame_fn fn, void *arg);

/* Query of sums, sig, delta: "sums?inc=..&fid=..[&block=..][&dir=..&name=..]" */
void fetch_query(char *buf, size_t room, const char *verb, u64 inc,
		 const struct fetch_want *w, u32 block);

/*
 * Adds the history that w's record is of, if what was read at any time since
 * will do. -ESTALE may then mean that the server does not know any more.
 */
bool fetch_history(char *query, size_t room, const struct http *h,
		   const struct fetch_want *w);

/* A piece of a file in memory. */
struct fetch_piece {
	struct fetch_piece *next;
	u64 off, len;
	bool hole;
	u8 data[];
};
/* All that came for one item, in the order of arrival. */
struct fetch_load {
	struct fetch_piece *first, **last;
	u8 *obj;			/* of a stat: an im_wire_obj */
	size_t obj_len;
	bool gone;
};
struct fetch_load *fetch_load_new(void);
void fetch_load_free(struct fetch_load *l);
int fetch_load_add(struct fetch_load *l, u64 off, u64 len, const u8 *data);

/*
 * Ranges of w's file, written to fd as they come. *received grows by the bytes
 * of content; *file (or NULL) is what the server said last. -ENXIO: it is gone.
 */
int fetch_ranges(struct http *h, u64 inc, const struct fetch_want *w,
		 const struct im_ranges *r, int fd, u64 *received,
		 struct im_wire_file *file);

/* Writes to fd; data NULL: a hole. Whole, or an error. */
int fetch_write(int fd, u64 off, const u8 *data, u64 len);

#endif /* _SYNCD_FETCH_H */
