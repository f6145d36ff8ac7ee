/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Riders at the client: data that came before the records that tell of it, and
 * waits for them. The stream's thread brings it, the client's takes it. What is
 * not taken by then is let go as soon as a later record takes something, or
 * when too much waits: it can always be asked for.
 */
#ifndef _SYNCD_RIDER_H
#define _SYNCD_RIDER_H

#include "fetch.h"

struct riders;

struct riders *riders_new(void);
void riders_free(struct riders *q);
/* RIDERS, and then all frames as long as riders_under_way(). -EPROTO ... */
int riders_frame(struct riders *q, unsigned int type, const u8 *p, size_t len);
bool riders_under_way(const struct riders *q);	/* the stream's thread's */
/* If it is just these ranges of that file; NULL: ask for it. */
struct fetch_load *riders_take(struct riders *q, u64 recno,
			       const struct im_fid *fid,
			       const struct im_ranges *ranges);

#endif /* _SYNCD_RIDER_H */
