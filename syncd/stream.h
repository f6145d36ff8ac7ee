/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The server's log as it comes: a thread that keeps the long answer open and a
 * bounded queue of records between it and the client's thread. What is long
 * past comes in parts, which are the same for all clients (caches keep them).
 */
#ifndef _SYNCD_STREAM_H
#define _SYNCD_STREAM_H

#include "client.h"

struct stream;

/* args: of lineage.c. */
int stream_start(struct stream **s, struct client *c, u64 from,
		 const char *args);
/*
 * next: the first record that was not applied. If that one was to come in a
 * part, the next stream does without: the part may be what was wrong.
 */
void stream_stop(struct stream *s, u64 next);

/*
 * Whole records, checked by nobody yet: waits up to ms for some, then takes all
 * there are, up to about STREAM_TAKE bytes. 0: *len bytes at *p, malloced;
 * *len 0: none came. Errors as http_frames(), when all before it is taken.
 */
#define STREAM_TAKE	(8U << 20)
int stream_take(struct stream *s, u8 **p, size_t *len, unsigned int ms);
/*
 * The oldest EPOCH that was not taken yet, among those that came before what
 * stream_take() gave. false: there is none. take: it is now.
 */
bool stream_epoch(struct stream *s, struct im_wire_epoch *e, bool take);
/* The data of the item if it came along, all of it; the caller frees it. */
struct fetch_load *stream_rider(struct stream *s, const struct fold_item *it);
const char *stream_error(struct stream *s);

#endif /* _SYNCD_STREAM_H */
