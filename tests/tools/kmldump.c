// SPDX-License-Identifier: GPL-2.0
/*
 * kmldump [OPTION]... DIR: prints the KML of the fileset mounted at DIR, one
 * line a record with all its fields (those that are zero left out), names
 * escaped. Every record is checked as a peer would check it, and the numbers
 * must follow each other: 1 and a message if not.
 *
 *   --from N     first record (default: the oldest in the log)
 *   --to N       last record (default: the newest durable one at the start)
 *   --follow     go on until killed, or --count records were seen
 *   --count N    stop after so many
 *   --buffer N   bytes for each read(2)
 *   --delay MS   sleep between reads: a slow reader
 *   --info       print what IM_IOC_INFO says, and nothing else
 *   --quiet      no records; the last line says how many there were
 * Exit: 0; 1 damaged or wrong; 2 usage; 3 ESTALE; 4 EBADMSG; 5 other errors.
 */
#include "common/record.h"
#include "common/ranges.h"
#include <linux/intermezzo.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static bool quiet;

static int die(const char *what)
{
	int err = errno;

	fflush(stdout);
	fprintf(stderr, "kmldump: %s: %s\n", what, strerror(err));
	exit(err == ESTALE ? 3 : err == EBADMSG ? 4 : 5);
}

static void put_text(const char *key, const char *p, size_t len)
{
	printf(" %s=", key);
	for (; len--; p++) {
		if (*p > ' ' && *p < 127 && *p != '\\')
			putchar(*p);
		else
			printf("\\%03o", (unsigned char)*p);
	}
}

static void put_fid(const char *key, const struct im_fid *fid)
{
	if (!im_fid_none(fid))
		printf(" %s=%" PRIu64 ":%u", key, le64_to_cpu(fid->ino),
		       le32_to_cpu(fid->gen));
}

static void put_time(const char *key, __le64 sec, __le32 ns)
{
	if (sec || ns)
		printf(" %s=%" PRId64 ".%09u", key, (int64_t)le64_to_cpu(sec),
		       le32_to_cpu(ns));
}

static void put_u64(const char *key, __le64 v)
{
	if (v)
		printf(" %s=%" PRIu64, key, le64_to_cpu(v));
}

static void put_u32(const char *key, __le32 v)
{
	if (v)
		printf(" %s=%u", key, le32_to_cpu(v));
}

static void put_flags(uint32_t flags)
{
	static const char *const names[] = { "EXCHANGE", "WHITEOUT", "FIRST",
		"LAST", "UNKNOWN", "STILL", "RECOVERED", "FINAL", "CLEAN",
		"ATTRS" };
	const char *sep = " flags=";
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (flags & (1U << i)) {
			printf("%s%s", sep, names[i]);
			sep = ",";
		}
	}
}

static void put_record(const struct im_rec *rec, const struct im_body *body)
{
	uint32_t op = le16_to_cpu(rec->op);
	uint32_t i;

	printf("%" PRIu64 " %s %s", le64_to_cpu(rec->recno), im_op_name(op),
	       rec->state == IM_RS_DONE ? "done" :
	       rec->state == IM_RS_ABORTED ? "aborted" : "INTENT");
	put_u64("seg", rec->seg);
	put_u64("time", rec->time);
	put_u64("scan_from", rec->scan_from);
	put_flags(le32_to_cpu(rec->flags));
	put_fid("fid", &rec->fid);
	put_fid("dir", &rec->dir);
	put_fid("dir2", &rec->dir2);
	put_fid("old", &rec->old);
	if (body->name_len)
		put_text("name", body->name, body->name_len);
	if (body->name2_len)
		put_text("name2", body->name2, body->name2_len);
	if (rec->mode)
		printf(" mode=0%o", le32_to_cpu(rec->mode));
	put_u32("uid", rec->uid);
	put_u32("gid", rec->gid);
	put_u32("nlink", rec->nlink);
	put_u64("rdev", rec->rdev);
	put_u64("size", rec->size);
	put_u64("trunc", rec->trunc);
	put_time("mtime", rec->mtime, rec->mtime_ns);
	put_time("dir_mtime", rec->dir_mtime, rec->dir_mtime_ns);
	put_time("dir2_mtime", rec->dir2_mtime, rec->dir2_mtime_ns);
	put_u32("valid", rec->valid);
	if (rec->origin)
		printf(" origin=%016" PRIx64, le64_to_cpu(rec->origin));
	put_u64("origin_recno", rec->origin_recno);
	put_u64("origin_low", rec->origin_low);
	put_fid("origin_fid", &rec->origin_fid);
	put_u64("origin_version", rec->origin_version);
	if (im_op_is_data(op)) {
		for (i = 0; i < body->data_len / sizeof(struct im_range); i++) {
			struct im_range r;

			memcpy(&r, (const char *)body->data + i * sizeof(r),
			       sizeof(r));
			printf("%s%" PRIu64 "+%" PRIu64, i ? "," : " ranges=",
			       le64_to_cpu(r.off), le64_to_cpu(r.len));
		}
	} else if (body->data_len) {
		put_text("data", body->data, body->data_len);
	}
	putchar('\n');
}

/* Prints the records of one read, up to `left` of them. Returns the next. */
static uint64_t take(const char *buf, size_t n, uint64_t next, uint64_t left)
{
	struct im_body body;
	struct im_rec rec;
	size_t need, off;
	int err;

	for (off = 0; off < n && left; off += le32_to_cpu(rec.len), left--) {
		err = im_rec_check(buf + off, n - off, &need, &body);
		if (err) {
			fprintf(stderr, "kmldump: after record %" PRIu64 ": not a whole valid record: %s\n",
				next - 1, strerror(-err));
			exit(1);
		}
		memcpy(&rec, buf + off, sizeof(rec));
		if (le64_to_cpu(rec.recno) != next) {
			fprintf(stderr, "kmldump: record %" PRIu64 " where %" PRIu64 " was to come\n",
				le64_to_cpu(rec.recno), next);
			exit(1);
		}
		if (rec.state == IM_RS_INTENT) {
			fprintf(stderr, "kmldump: record %" PRIu64 " is an open intent\n",
				next);
			exit(1);
		}
		if (le64_to_cpu(rec.scan_from) > next) {
			fprintf(stderr, "kmldump: record %" PRIu64 ": scan_from is later\n",
				next);
			exit(1);
		}
		if (!quiet)
			put_record(&rec, &body);
		next++;
	}
	return next;
}

static void put_info(const struct im_ioc_info *info)
{
	int i;

	printf("name=%s guarantee=%s incarnation=%" PRIu64 " id=%016" PRIx64
	       " first=%" PRIu64 " last=%" PRIu64 " durable=%" PRIu64
	       " log_bytes=%" PRIu64 " root=%" PRIu64 ":%u flags=%u\n",
	       info->name, info->guarantee, (uint64_t)info->incarnation,
	       (uint64_t)info->id, (uint64_t)info->first,
	       (uint64_t)info->last, (uint64_t)info->durable,
	       (uint64_t)info->log_bytes, (uint64_t)info->root_ino,
	       info->root_gen, info->flags);
	for (i = 0; i < IM_PEERS_MAX; i++)
		if (info->rcvd[i].origin)
			printf("rcvd origin=%016" PRIx64 " recno=%" PRIu64
			       " low=%" PRIu64 "\n",
			       le64_to_cpu(info->rcvd[i].origin),
			       le64_to_cpu(info->rcvd[i].recno),
			       le64_to_cpu(info->rcvd[i].low));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "from", required_argument, NULL, 'f' },
		{ "to", required_argument, NULL, 't' },
		{ "follow", no_argument, NULL, 'F' },
		{ "count", required_argument, NULL, 'c' },
		{ "buffer", required_argument, NULL, 'b' },
		{ "delay", required_argument, NULL, 'd' },
		{ "info", no_argument, NULL, 'i' },
		{ "quiet", no_argument, NULL, 'q' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t from = 0, to = 0, count = UINT64_MAX, seen = 0, left, start;
	struct im_ioc_kml kml = { .flags = O_CLOEXEC };
	bool follow = false, info_only = false;
	size_t size = IM_REC_MAX;
	struct im_ioc_info info;
	long delay = 0;
	int c, dir, fd;
	ssize_t n;
	char *buf;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'f': from = strtoull(optarg, NULL, 0); break;
		case 't': to = strtoull(optarg, NULL, 0); break;
		case 'F': follow = true; break;
		case 'c': count = strtoull(optarg, NULL, 0); break;
		case 'b': size = strtoul(optarg, NULL, 0); break;
		case 'd': delay = strtol(optarg, NULL, 0); break;
		case 'i': info_only = true; break;
		case 'q': quiet = true; break;
		default: return 2;
		}
	}
	if (optind != argc - 1 || !size) {
		fprintf(stderr, "usage: kmldump [--from N] [--to N] [--follow] [--count N] [--buffer N] [--delay MS] [--info] [--quiet] DIR\n");
		return 2;
	}
	dir = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		die(argv[optind]);
	if (ioctl(dir, IM_IOC_INFO, &info))
		die("IM_IOC_INFO");
	if (info_only) {
		put_info(&info);
		return 0;
	}
	if (!from)
		from = info.first;
	if (!to)
		to = follow ? UINT64_MAX : info.durable;
	if (from > to)
		return 0;
	buf = malloc(size);
	if (!buf)
		die("malloc");
	kml.from = from;
	fd = ioctl(dir, IM_IOC_KML, &kml);
	if (fd < 0)
		die("IM_IOC_KML");
	close(dir);
	while (from <= to && seen < count) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, -1) < 0)
			die("poll");
		n = read(fd, buf, size);
		if (n < 0)
			die("read");
		if (!n)
			break;
		left = count - seen;
		if (left > to - from)
			left = to - from + 1 ? to - from + 1 : left;
		start = from;
		from = take(buf, n, from, left);
		seen += from - start;
		fflush(stdout);
		if (delay) {
			struct timespec ts = { delay / 1000,
					       delay % 1000 * 1000000 };

			nanosleep(&ts, NULL);
		}
	}
	if (quiet)
		printf("%" PRIu64 " records, next is %" PRIu64 "\n", seen, from);
	free(buf);
	return 0;
}
