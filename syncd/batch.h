/* SPDX-License-Identifier: GPL-2.0 */
/* Records as they come from the server's log, gathered to be folded together. */
#ifndef _SYNCD_BATCH_H
#define _SYNCD_BATCH_H

#include "client.h"
#include "stream.h"

#define BATCH_RECORDS	16384		/* folded together */

struct batch {
	u8 *bytes;			/* of records; items point into them */
	size_t len;
	struct fold_item *v;
	size_t n, room;
};

/*
 * What there is, waiting up to ms for it, and what belongs to it and comes at
 * once. 0 with len 0: nothing came.
 */
int batch_gather(struct stream *s, struct batch *b, unsigned int ms);

/*
 * Items of the bytes from *at on, which moves on, as far as one batch goes.
 * *next: the recno that must come; moved on. Up to rcvd: applied already. end:
 * the first recno of another epoch.
 */
int batch_parse(struct client *c, struct batch *b, size_t *at, u64 *next,
		u64 rcvd, u64 end);

void batch_clear(struct batch *b);	/* the items */
void batch_free(struct batch *b);

#endif /* _SYNCD_BATCH_H */
