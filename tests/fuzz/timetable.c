// SPDX-License-Identifier: GPL-2.0
/*
 * What somebody gives as --bwlimit. What is taken has entries within the text,
 * and one of them or none for each minute of the week.
 * links: syncd/timetable.c syncd/bucket.c
 */
#include "syncd/timetable.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = (char *)malloc(size + 1);
	struct timetable t;
	unsigned int i;
	struct tm tm;

	must(text);
	memcpy(text, data, size);
	text[size] = '\0';
	if (timetable_parse(text, &t)) {
		free(text);
		return 0;
	}
	must(t.n <= TIMETABLE_MAX);
	for (i = 0; i < t.n; i++) {
		must(t.v[i].len && t.v[i].at + t.v[i].len <= strlen(text));
		must(t.v[i].days && t.v[i].from != t.v[i].to);
	}
	for (i = 0; i < 7 * 24 * 60; i += 7) {
		const struct timetable_entry *e;

		tm.tm_wday = i / (24 * 60);
		tm.tm_hour = i / 60 % 24;
		tm.tm_min = i % 60;
		e = timetable_at(&t, &tm);
		must(!e || (e >= t.v && e < t.v + t.n));
	}
	free(text);
	return 0;
}
