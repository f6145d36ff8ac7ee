/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Limits that depend on the clock or are changed while bytes flow: a thread
 * gives each bucket the rate of its timetable when a minute begins, and tells
 * the servers of attached filesets, which send no faster than was asked for
 * when a request began.
 *
 * A struct pace lives in its fileset; pace_lock protects all of them.
 */
#ifndef _SYNCD_PACE_H
#define _SYNCD_PACE_H

#include "timetable.h"

struct bucket;

struct pace {
	struct bucket *bucket;
	char text[TIMETABLE_TEXT];	/* "": no limit was asked for */
	struct timetable table;
	const struct timetable_entry *now;	/* that counts; in table */
	bool told;			/* the server knows the rate */
};
extern struct pace pace_daemon;		/* of all filesets together */

int pace_init(struct pace *p, struct bucket *b, const char *text); /* -EINVAL */
int pace_set(struct pace *p, const char *text);		/* -EINVAL */
/* Texts for status: as given, and the entry that counts ("" if there is none). */
void pace_show(struct pace *p, char text[TIMETABLE_TEXT],
	       char entry[TIMETABLE_TEXT]);

int pace_start(void);
void pace_stop(void);

#endif /* _SYNCD_PACE_H */
