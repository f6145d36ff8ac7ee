// SPDX-License-Identifier: GPL-2.0
/*
 * The part of a dm-log-writes log that is on the disk for certain.
 *
 *   replay LOG count          number of entries
 *   replay LOG marks          "INDEX TEXT" of each mark
 *   replay LOG flushed DEV FROM TO
 *                             writes entries onto DEV, from FROM up to and
 *                             with the last flush before TO; prints the index
 *                             after it (FROM if there is none)
 * links: tests/crash/lib/blocklog.c
 */
#include "tests/crash/lib/blocklog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool print_mark(uint64_t i, const struct log_entry *e, const char *text,
		       off_t at, void *arg)
{
	if (e->flags & ENTRY_MARK)
		printf("%llu %.*s\n", (unsigned long long)i,
		       (int)(e->data_len < 480 ? e->data_len : 480), text);
	return true;
}

static bool note_flush(uint64_t i, const struct log_entry *e, const char *text,
		       off_t at, void *arg)
{
	if (e->flags & ENTRY_FLUSH)
		*(uint64_t *)arg = i + 1;
	return true;
}

int main(int argc, char **argv)
{
	uint64_t entries, from, to, written, left_out;

	if (argc < 3)
		goto usage;
	entries = blocklog_open(argv[1]);
	if (argc == 3 && !strcmp(argv[2], "count")) {
		printf("%llu\n", (unsigned long long)entries);
	} else if (argc == 3 && !strcmp(argv[2], "marks")) {
		blocklog_walk(0, entries, print_mark, NULL);
	} else if (argc == 6 && !strcmp(argv[2], "flushed")) {
		from = to = strtoull(argv[4], NULL, 10);
		blocklog_walk(from, strtoull(argv[5], NULL, 10), note_flush,
			      &to);
		if (to > from)
			blocklog_apply(argv[3], from, to, NULL, &written,
				       &left_out);
		printf("%llu\n", (unsigned long long)to);
	} else {
		goto usage;
	}
	return 0;

usage:
	fprintf(stderr, "usage: replay LOG count | marks | flushed DEV FROM TO\n");
	return 2;
}
