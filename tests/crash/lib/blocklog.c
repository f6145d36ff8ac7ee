// SPDX-License-Identifier: GPL-2.0
/*
 * The log holds writes in the order in which they completed, those without
 * FUA only from the flush on that made them durable: entries after the last
 * flush are in doubt, all before it are on the disk.
 *
 * Format (drivers/md/dm-log-writes.c): a super block in sector 0, then entries
 * of one sector each, followed by their data, except for discards and marks
 * (a mark's text is in its own sector).
 */
#include "tests/crash/lib/blocklog.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MAGIC 0x6a736677736872ull
#define LOG_VERSION 1

#define DATA_MAX (64u << 20)

struct log_super {
	uint64_t magic;
	uint64_t version;
	uint64_t nr_entries;
	uint32_t sectorsize;
};

static int log_fd;
static uint64_t nr_entries, sector_size;

static void fail(const char *what, unsigned long long where)
{
	fprintf(stderr, "block log: %s at %llu: %s\n", what, where,
		errno ? strerror(errno) : "not a log");
	exit(2);
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

uint64_t blocklog_open(const char *path)
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
	return nr_entries;
}

void blocklog_walk(uint64_t from, uint64_t to, blocklog_fn fn, void *arg)
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

void blocklog_apply(const char *dev, uint64_t from, uint64_t to,
		    const uint64_t *seed, uint64_t *written, uint64_t *left_out)
{
	struct target t = { .half = !!seed, .random = seed ? *seed : 0 };

	/* past the page cache: dm-snapshot reads its origin below it */
	t.fd = open(dev, O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (t.fd < 0)
		fail(dev, from);
	blocklog_walk(from, to, apply, &t);
	close(t.fd);
	*written = t.written;
	*left_out = t.left_out;
}
