// SPDX-License-Identifier: GPL-2.0
/*
 * The index of FIDs: what is committed survives, what is not does not, another
 * owner and a damaged file mean an empty one; and the set of FIDs, against a
 * bitmap.
 *
 * links: syncd/index.c syncd/fidset.c
 */
#include "syncd/index.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "syncd/fidset.h"
#include "tap.h"

static struct im_fid fid(u64 n)
{
	return (struct im_fid){ .ino = cpu_to_le64(n + 1),
				.gen = cpu_to_le32((u32)n * 7) };
}

static bool has(struct index *ix, u64 n, u64 local, u32 round)
{
	struct im_fid f = fid(n), want = fid(local), got;
	u32 r;

	return !index_get(ix, &f, &got, &r) && im_fid_eq(&got, &want) &&
	       r == round;
}

static bool lacks(struct index *ix, u64 n)
{
	struct im_fid f = fid(n), got;

	return index_get(ix, &f, &got, NULL) == -ENOENT;
}

static int put(struct index *ix, u64 n, u64 local, u32 round)
{
	struct im_fid f = fid(n), l = fid(local);

	return index_put(ix, &f, &l, round);
}

static void keeping(const char *dir)
{
	struct index_owner me = { .local = "here", .server = "there",
				  .incarnation = cpu_to_le64(1) };
	struct im_fid f;
	struct index *ix;
	char path[300];
	u64 i;
	int fd, bad = 0;

	is(index_open(&ix, dir, &me), 0, "an index is made");
	is(index_complete(ix), 0, "it is complete up to nothing");
	for (i = 0; i < 20000; i++)
		bad += put(ix, i, i + 5, 1) != 0;
	is(bad, 0, "entries go in");
	ok(has(ix, 77, 82, 1), "and are seen at once");
	is(index_commit(ix, 4711), 0, "commit");
	put(ix, 77, 1, 2);
	put(ix, 50000, 1, 2);
	index_close(ix);

	is(index_open(&ix, dir, &me), 0, "it opens again");
	is(index_complete(ix), 4711, "complete up to where it was committed");
	ok(has(ix, 77, 82, 1) && lacks(ix, 50000),
	   "without what was not committed");
	f = fid(78);
	is(index_del(ix, &f), 0, "delete");
	is(index_del(ix, &f), 0, "also what is not there");
	ok(lacks(ix, 78), "it is gone");
	for (i = 0; i < 20000; i += 2)
		put(ix, i, i + 9, 2);
	f = fid(501);
	is(index_purge(ix, 2, &f), 0, "purge");
	for (i = bad = 0; i < 20000; i++) {
		bool stays = !(i & 1) || i == 501;

		bad += stays == lacks(ix, i);
	}
	is(bad, 0, "only what another round saw is gone, but for one");
	index_commit(ix, 5000);
	index_close(ix);

	me.incarnation = cpu_to_le64(2);
	is(index_open(&ix, dir, &me), 0, "opened for another incarnation");
	ok(lacks(ix, 0) && !index_complete(ix), "it is empty");
	put(ix, 1, 1, 1);
	index_commit(ix, 1);
	index_close(ix);

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	fd = open(path, O_WRONLY);
	for (i = 0; fd >= 0 && i < 64; i++) {
		if (pwrite(fd, "garbage!", 8, (off_t)i * 128) != 8)
			bad++;
	}
	close(fd);
	is(index_open(&ix, dir, &me), 0, "a damaged file is thrown away");
	ok(lacks(ix, 1) && !index_complete(ix), "and the index empty");
	index_close(ix);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock.mdb", dir);
	unlink(path);
	rmdir(dir);
}

#define SET	3000

static void sets(void)
{
	struct fidset s = { 0 };
	static bool in[SET];
	unsigned int i, bad = 0, n = 0;
	struct im_fid f;

	ok(!fidset_any(&s, &f), "an empty set has no member");
	for (i = 0; i < 200000; i++) {
		u64 k = rnd_below(SET);

		f = fid(k);
		if (rnd_below(2)) {
			if (fidset_add(&s, &f))
				exit(1);
			n += !in[k];
			in[k] = true;
		} else {
			fidset_del(&s, &f);
			n -= in[k];
			in[k] = false;
		}
		k = rnd_below(SET);
		f = fid(k);
		bad += fidset_has(&s, &f) != in[k] || s.n != n;
	}
	is(bad, 0, "a set agrees with a bitmap");
	while (fidset_any(&s, &f)) {
		fidset_del(&s, &f);
		bad += !in[le64_to_cpu(f.ino) - 1];
		n--;
	}
	ok(!bad && !n, "and can be emptied one by one");
	fidset_free(&s);
}

int main(void)
{
	char dir[] = "/tmp/im-index-XXXXXX";

	if (!mkdtemp(dir))
		return 1;
	keeping(dir);
	sets();
	return tap_done();
}
