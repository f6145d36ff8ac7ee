// SPDX-License-Identifier: GPL-2.0
/*
 * Which epoch a client presents for its newest record, after what it was told.
 * links: syncd/lineage.c
 */
#include "syncd/client.h"

#include "tap.h"

static struct client c;
static unsigned int saved;

int tree_state_save(struct tree *t)
{
	saved++;
	return 0;
}

static void told(u64 first, u64 next, u64 epoch)
{
	struct im_wire_epoch e = { cpu_to_le64(epoch), cpu_to_le64(first),
				   cpu_to_le64(next) };

	lineage_set(&c, &e);
}

/* The epoch presented for seen; 0: none; -1: resynchronise. */
static long long shown(u64 seen)
{
	char args[LINEAGE_ARGS];
	unsigned long long s = 0, e = 0;

	if (lineage_args(&c, seen, args, sizeof(args)))
		return -1;
	if (!args[0])
		return 0;
	if (sscanf(args, "&seen=%llu&epoch=%llu", &s, &e) != 2 || s != seen)
		return -2;
	return (long long)e;
}

int main(void)
{
	struct im_wire_epoch e = { 0 };
	u64 i;

	is(shown(7), 0, "who was told nothing shows nothing");
	told(50, 0, 1);
	is(saved, 1, "what is new is saved");
	told(50, 0, 1);
	is(saved, 1, "what is known is not");
	is(shown(50), 1, "the first record of an epoch");
	is(shown(1000), 1, "and any later one");
	is(shown(49), -1, "one before all that is known: resynchronise");
	told(50, 100, 1);
	told(100, 0, 2);
	is(shown(99), 1, "the last record of an epoch");
	is(shown(100), 2, "the first of the next");
	saved = 0;
	told(50, 100, 1);
	is(shown(100), 2, "told the older one again: the newer stays");
	is(saved, 0, "and nothing is written");
	told(90, 0, 3);
	is(shown(89), 1, "an epoch that covers the place of another");
	is(shown(100), 3, "replaces it");
	told(90, 120, 3);
	told(120, 0, 5);
	told(100, 120, 4);
	is(shown(99), 3, "an epoch between two others");
	is(shown(119), 4, "is between them");
	is(shown(120), 5, "the newer one stays");
	told(130, 0, 0);
	is(shown(130), 0, "one that the server does not know is not shown");
	for (i = 0; i < 3 * TREE_EPOCHS; i++)
		told(200 + i, 0, 10 + i);
	is(shown(200 + 3 * TREE_EPOCHS - 1), 10 + 3 * TREE_EPOCHS - 1,
	   "the newest of many");
	is(shown(200 + 2 * TREE_EPOCHS), 10 + 2 * TREE_EPOCHS,
	   "the oldest that is kept");
	is(shown(200 + 2 * TREE_EPOCHS - 1), -1, "and before it");
	lineage_forget(&c);
	is(shown(7), 0, "nothing is known again");
	is(lineage_frame((u8 *)&e, sizeof(e) - 1, &e), -EPROTO, "a short frame");
	e.first = cpu_to_le64(9);
	e.next = cpu_to_le64(9);
	is(lineage_frame((u8 *)&e, sizeof(e), &e), -EPROTO, "an empty epoch");
	return tap_done();
}
