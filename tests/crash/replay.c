// SPDX-License-Identifier: GPL-2.0
/*
 * What a device holds after a power cut, from a dm-log-writes log.
 *
 *   replay LOG count            number of entries
 *   replay LOG marks            "INDEX TEXT" of each mark
 *   replay LOG flush N          index after the last flush among the first N
 *   replay LOG apply DEV A B    the writes of entries [A, B) onto DEV
 *   replay LOG apply DEV A B SEED
 *                               a random half of them: what a cache that was
 *                               never flushed might have written. Writes with
 *                               FUA are not in doubt.
 *
 * The log holds writes in the order in which they completed, those without
 * FUA only from the flush on that made them durable: entries after the last
 * flush are in doubt, all before it are on the disk.
 *
 * Format (drivers/md/dm-log-writes.c): a super block in sector 0, then entries
 * of one sector each, followed by their data, except for discards and marks
 * (a mark's text is in its own sector).
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LOG_MAGIC 0x6a736677736872ull
#define LOG_VERSION 1

#define ENTRY_FLUSH (1 << 0)
#define ENTRY_FUA (1 << 1)
#define ENTRY_DISCARD (1 << 2)
#define ENTRY_MARK (1 << 3)

#define DATA_MAX (64u << 20)

struct log_super {
	uint64_t magic;
	uint64_t version;
	uint64_t nr_entries;
	uint32_t sectorsize;
};

struct log_entry {
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t flags;
	uint64_t data_len;
};

static int log_fd;
static uint64_t nr_entries, sector_size;

static void fail(const char *what, unsigned long long where)
{
	fprintf(stderr, "replay: %s at %llu: %s\n", what, where,
		errno ? strerror(errno) : "not a log");
	exit(1);
}

static void read_at(void *buf, size_t len, off_t at)
{
	ssize_t n;

	while (len) {
		n = pread(log_fd, buf, len, at);
		if (n <= 0)
			fail("cannot read the log", at);
		buf = (char *)buf + n;
		len -= n;
		at += n;
	}
}

static void open_log(const char *path)
{
	struct log_super s;

	log_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (log_fd < 0)
		fail("cannot open the log", 0);
	read_at(&s, sizeof(s), 0);
	errno = 0;
	sector_size = le32toh(s.sectorsize);
	nr_entries = le64toh(s.nr_entries);
	if (le64toh(s.magic) != LOG_MAGIC ||
	    le64toh(s.version) != LOG_VERSION ||
	    sector_size < 512 || sector_size > 65536)
		fail("no log", 0);
}

/*
 * Calls fn for each entry of [from, to). at: where its data begins. fn returns
 * false to stop. Where entry N lies is known only from those before it.
 */
static void for_entries(uint64_t from, uint64_t to,
			bool (*fn)(uint64_t i, const struct log_entry *e,
				   const char *text, off_t at, void *arg),
			void *arg)
{
	static char sector[65536 + 1];
	struct log_entry e;
	off_t at = sector_size;
	uint64_t i;

	if (to > nr_entries)
		to = nr_entries;
	for (i = 0; i < to; i++) {
		read_at(sector, i < from ? sizeof(e) : sector_size, at);
		memcpy(&e, sector, sizeof(e));
		e.sector = le64toh(e.sector);
		e.nr_sectors = le64toh(e.nr_sectors);
		e.flags = le64toh(e.flags);
		e.data_len = le64toh(e.data_len);
		at += sector_size;
		if (i >= from && !fn(i, &e, sector + sizeof(e), at, arg))
			return;
		if (!(e.flags & ENTRY_DISCARD))
			at += e.nr_sectors * sector_size;
	}
}

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

struct target {
	int fd;
	bool half;
	uint64_t random;
	uint64_t written, left_out;
};

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static bool apply(uint64_t i, const struct log_entry *e, const char *text,
		  off_t at, void *arg)
{
	static char *buf;
	struct target *t = arg;
	size_t len = e->nr_sectors * sector_size;

	if (e->flags & ENTRY_MARK || !e->nr_sectors)
		return true;
	errno = 0;
	if (e->nr_sectors > DATA_MAX / sector_size)
		fail("an entry is too long", i);
	if (t->half && !(e->flags & (ENTRY_FUA | ENTRY_FLUSH)) &&
	    next_random(&t->random) & 1) {
		t->left_out++;
		return true;
	}
	if (!buf && posix_memalign((void **)&buf, 4096, DATA_MAX))
		fail("no memory", i);
	/* A discarded range reads as anything; zeroes are the least kind. */
	if (e->flags & ENTRY_DISCARD)
		memset(buf, 0, len);
	else
		read_at(buf, len, at);
	if (pwrite(t->fd, buf, len, e->sector * sector_size) != (ssize_t)len)
		fail("cannot write entry", i);
	t->written++;
	return true;
}

static int usage(void)
{
	fprintf(stderr, "usage: replay LOG count | marks | flush N | apply DEVICE FROM TO [SEED]\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct target t = { 0 };
	uint64_t found = 0;

	if (argc < 3)
		return usage();
	open_log(argv[1]);
	if (argc == 3 && !strcmp(argv[2], "count")) {
		printf("%llu\n", (unsigned long long)nr_entries);
	} else if (argc == 3 && !strcmp(argv[2], "marks")) {
		for_entries(0, nr_entries, print_mark, NULL);
	} else if (argc == 4 && !strcmp(argv[2], "flush")) {
		for_entries(0, strtoull(argv[3], NULL, 10), note_flush, &found);
		printf("%llu\n", (unsigned long long)found);
	} else if ((argc == 6 || argc == 7) && !strcmp(argv[2], "apply")) {
		/* past the page cache: dm-snapshot reads below it */
		t.fd = open(argv[3], O_WRONLY | O_DIRECT | O_CLOEXEC);
		if (t.fd < 0)
			fail(argv[3], 0);
		t.half = argc == 7;
		if (t.half)
			t.random = strtoull(argv[6], NULL, 0);
		for_entries(strtoull(argv[4], NULL, 10),
			    strtoull(argv[5], NULL, 10), apply, &t);
		printf("written %llu left-out %llu\n",
		       (unsigned long long)t.written,
		       (unsigned long long)t.left_out);
	} else {
		return usage();
	}
	return 0;
}
