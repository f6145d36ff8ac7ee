/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The log of dm-log-writes. What cannot be read ends the program.
 */
#ifndef IM_CRASH_BLOCKLOG_H
#define IM_CRASH_BLOCKLOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ENTRY_FLUSH (1 << 0)
#define ENTRY_FUA (1 << 1)
#define ENTRY_DISCARD (1 << 2)
#define ENTRY_MARK (1 << 3)

struct log_entry {
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t flags;
	uint64_t data_len;
};

/* Returns the number of entries. */
uint64_t blocklog_open(const char *path);

/*
 * Calls fn for each entry of [from, to); text: that of a mark, at: where the
 * data begins. fn returns false to stop. Where entry N lies is known only from
 * those before it.
 */
typedef bool (*blocklog_fn)(uint64_t i, const struct log_entry *e,
			    const char *text, off_t at, void *arg);
void blocklog_walk(uint64_t from, uint64_t to, blocklog_fn fn, void *arg);

/*
 * Writes entries [from, to) onto dev. With a seed only a random half: what a
 * cache that was never flushed might have written. Writes with FUA are not in
 * doubt.
 */
void blocklog_apply(const char *dev, uint64_t from, uint64_t to,
		    const uint64_t *seed, uint64_t *written,
		    uint64_t *left_out);

#endif
