/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Items of a data request as a text that fits into a URL:
 *
 *   FILE[_FILE]...   FILE: INO.GEN.RECNO and -OFF.LEN for each range
 *
 * All numbers in lower-case hex without leading zeros; LEN is empty if it is up
 * to the end. There is one text for a list of items: two who ask for the same
 * ask with the same URL.
 */
#ifndef _IM_WANT_H
#define _IM_WANT_H

#include "wire.h"

/*
 * items: struct im_wire_get one after the other, as im_get_put() makes them.
 * text gets a NUL behind it. False: they have no such text (one has a name, or
 * no recno), or it is too long.
 */
bool im_want_text(const struct im_buf *items, struct im_buf *text);

/* The inverse. -EINVAL: no such text, or another one than these items have. */
int im_want_items(const char *text, struct im_buf *items);

/* For im_wire_about.asked. */
u64 im_want_hash(const char *text);

#endif /* _IM_WANT_H */
