/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A limit of bandwidth as people write it: "2M", "off", or a timetable,
 *
 *   [DAYS] [HH:MM-HH:MM] RATE, ...
 *
 * of which the first entry that is true of the local time counts; DAYS as mon
 * or mon-fri; the last may have neither days nor time and is for all the rest,
 * which without it has no limit. A range that passes midnight belongs to the
 * day that it begins on. No state, no clock of its own.
 */
#ifndef _SYNCD_TIMETABLE_H
#define _SYNCD_TIMETABLE_H

#include <time.h>
#include "common/user.h"

/* What is wrong with one, for people; %s: the text. */
#define TIMETABLE_HELP	"\"%.80s\" is no limit of bandwidth; say it like 500k, 2M or 8Mbit, off, or by the clock: \"mon-fri 08:00-18:00 2M, 50M\""

#define TIMETABLE_MAX	24
#define TIMETABLE_TEXT	512		/* with its NUL */

struct timetable_entry {
	u8 days;			/* bit 0: Sunday, as tm_wday */
	u16 from, to;			/* minutes of the day; from > to: past
					 * midnight; to may be 24 * 60 */
	u64 rate;			/* bytes/s, 0: no limit */
	u16 at, len;			/* of its text */
};

struct timetable {
	unsigned int n;
	struct timetable_entry v[TIMETABLE_MAX];
};

/* -EINVAL, and *t is undefined; an empty text has no entries. */
int timetable_parse(const char *text, struct timetable *t);
/* The entry that counts at that time; NULL: none, so no limit. */
const struct timetable_entry *timetable_at(const struct timetable *t,
					   const struct tm *tm);

#endif /* _SYNCD_TIMETABLE_H */
