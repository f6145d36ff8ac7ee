// SPDX-License-Identifier: GPL-2.0
/*
 * check [OPTIONS] DEVICE MOUNTPOINT DUMPS: is the tree on DEVICE what its log
 * says, after a crash?
 *
 * With --log, entries FROM to TO of a block log are written to DEVICE first,
 * all or, with --half, a random half; a mark "recno=N" before TO says that
 * record N was durable then, so it must be there.
 *
 * Mounts DEVICE (ext4 recovers its journal), mounts intermezzo over SUBDIR of
 * it (intents are settled), takes a dump of the tree made at rest during the
 * workload, applies every record since to it, and compares the outcome with
 * the tree: names, FIDs, types, modes, owners, devices, targets, xattrs, link
 * counts, sizes, mtimes, and the data of files that no record since names.
 *
 * A dump of recno R is a sound start when the log still has R + 1 and R was
 * durable at the cut: then all that survived up to R is in the dump. (A log
 * that merely reaches R after recovery is not enough: recovery writes records
 * of its own, under numbers that the cut took from others.) The oldest such
 * dump is taken, so that the more records count; with --newest the newest, so
 * that the more data counts.
 *
 * The last line sums up; exit status 0: agrees; 1: does not; 2: cannot tell.
 * links: tests/crash/lib/blocklog.c tests/crash/lib/tree.c tests/crash/lib/walk.c tests/crash/lib/apply.c tests/crash/lib/compare.c
 */
#include "tests/crash/lib/blocklog.h"
#include "tests/crash/lib/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUF_SIZE (1 << 20)

static struct options {
	const char *device, *mnt, *dumps;
	const char *subdir, *fileset, *options;
	const char *lower;		/* mount options of the ext4 */
	const char *fs;			/* what is mounted, if not device */
	const char *log;
	uint64_t from, to, seed;
	bool half;
	unsigned long long at_least;	/* records known to have been durable */
	bool newest, replay_only;
} opt = { .subdir = "data", .fileset = "t", .options = "" };

static struct counts {
	unsigned int bad;
	unsigned int records, aborted;
	unsigned int settled_done, settled_aborted, redirtied, slipped;
} count;

static struct tree want, got;

__attribute__((noreturn, format(printf, 1, 2)))
static void cannot(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(": %s\n", strerror(err));
	exit(2);
}

static void violation(const char *text, unsigned long long a,
		      unsigned long long b)
{
	printf("%s: %llu, %llu\n", text, a, b);
	count.bad++;
}

/* The dump to start from, or 0 with a violation told. */
static unsigned long long choose_dump(const struct im_ioc_info *info)
{
	unsigned long long recno, best = 0;
	struct dirent *de;
	DIR *d = opendir(opt.dumps);
	char *end;
	bool found = false;

	if (!d)
		cannot("cannot read %s", opt.dumps);
	while ((de = readdir(d))) {
		recno = strtoull(de->d_name, &end, 10);
		if (*end || end == de->d_name)
			continue;
		if (recno + 1 < info->first || recno > opt.at_least)
			continue;
		if (!found || (opt.newest ? recno > best : recno < best))
			best = recno;
		found = true;
	}
	closedir(d);
	if (!found) {
		violation("no dump within the log", info->first, info->last);
		return 0;
	}
	return best;
}

static void tally(const struct im_rec *rec)
{
	unsigned int op = le16_to_cpu(rec->op);

	count.records++;
	if (rec->state == IM_RS_ABORTED)
		count.aborted++;
	if (!(le32_to_cpu(rec->flags) & IM_RF_RECOVERED))
		return;
	if (op == IM_OP_CLOSE)
		count.redirtied++;
	else if (rec->state == IM_RS_ABORTED)
		count.settled_aborted++;
	else
		count.settled_done++;
}

/* One read's worth of records onto the model. */
static void apply_all(const unsigned char *buf, size_t len)
{
	struct im_body body;
	struct im_rec rec;
	size_t need, at;
	int err;

	for (at = 0; at < len; at += need) {
		err = im_rec_check(buf + at, len - at, &need, &body);
		if (err) {
			violation("a bad record after", want.recno, -err);
			return;
		}
		memcpy(&rec, buf + at, sizeof(rec));
		tally(&rec);
		count.bad += tree_apply(&want, &rec, &body);
	}
}

static void read_log(int dirfd, unsigned long long last)
{
	struct im_ioc_kml kml = {
		.from = want.recno + 1, .commit_ms = 1,
		.flags = O_NONBLOCK | O_CLOEXEC,
	};
	unsigned char *buf = malloc(BUF_SIZE);
	struct pollfd pfd = { .events = POLLIN };
	ssize_t n;

	if (want.recno == last) {
		free(buf);
		return;
	}
	pfd.fd = ioctl(dirfd, IM_IOC_KML, &kml);
	if (pfd.fd < 0 || !buf)
		cannot("cannot open the log at %llu",
		       (unsigned long long)kml.from);
	while (want.recno < last && !count.bad) {
		if (poll(&pfd, 1, 20000) == 0) {
			violation("no record within 20 s, reached",
				  want.recno, last);
			break;
		}
		n = read(pfd.fd, buf, BUF_SIZE);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0) {
			violation("reading the log failed", want.recno,
				  n ? errno : 0);
			break;
		}
		apply_all(buf, n);
	}
	close(pfd.fd);
	free(buf);
}

static void check(int dirfd)
{
	struct im_ioc_info info;
	unsigned long long recno;
	char path[4096];

	if (mount_info(dirfd, &info))
		cannot("IM_IOC_INFO");
	if (info.flags & IM_INFO_DEAD)
		violation("the log is dead", info.first, info.last);
	if (info.last < opt.at_least)
		violation("durable records are lost: last, known durable",
			  info.last, opt.at_least);
	recno = choose_dump(&info);
	if (count.bad)
		return;
	snprintf(path, sizeof(path), "%s/%llu", opt.dumps, recno);
	if (tree_load(&want, path))
		cannot("cannot load %s", path);
	read_log(dirfd, info.last);
	if (tree_walk(&got, dirfd)) {
		violation("cannot walk the tree", 0, 0);
		return;
	}
	count.bad += tree_compare(&want, &got, &count.slipped);
	printf("log %llu..%llu from %llu\n", (unsigned long long)info.first,
	       (unsigned long long)info.last, recno);
}

/* The last close of a file is over only after close(2) has returned. */
static void unmount(const char *path)
{
	struct timespec nap = { .tv_nsec = 20 * 1000 * 1000 };
	int i;

	for (i = 0; i < 250; i++) {
		if (!umount2(path, 0))
			return;
		if (errno != EBUSY)
			break;
		nanosleep(&nap, NULL);
	}
	cannot("cannot unmount %s", path);
}

static bool note_mark(uint64_t i, const struct log_entry *e, const char *text,
		      off_t at, void *arg)
{
	if (e->flags & ENTRY_MARK)
		sscanf(text, "recno=%llu", &opt.at_least);
	return true;
}

static void replay(void)
{
	uint64_t written, left_out;

	blocklog_open(opt.log);
	blocklog_walk(0, opt.to, note_mark, NULL);
	blocklog_apply(opt.device, opt.from, opt.to,
		       opt.half ? &opt.seed : NULL, &written, &left_out);
	printf("after the flush: %llu written, %llu left out\n",
	       (unsigned long long)written, (unsigned long long)left_out);
}

static int usage(void)
{
	fprintf(stderr, "usage: check [OPTIONS] DEVICE MOUNTPOINT DUMPS\n"
		"  --fileset NAME   (t)\n  --subdir DIR     (data)\n"
		"  --options OPTS   more mount options\n"
		"  --lower OPTS     mount options of the ext4\n"
		"  --fs DEV         is on this part of DEVICE\n"
		"  --at-least RECNO was durable (or by the marks of --log)\n"
		"  --newest\n  --replay-only\n  --log LOG --from N --to N [--half SEED]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "fileset", 1, NULL, 'f' }, { "subdir", 1, NULL, 's' },
		{ "options", 1, NULL, 'o' }, { "log", 1, NULL, 'l' },
		{ "from", 1, NULL, 'F' }, { "to", 1, NULL, 'T' },
		{ "half", 1, NULL, 'h' }, { "newest", 0, NULL, 'n' },
		{ "replay-only", 0, NULL, 'r' }, { "lower", 1, NULL, 'L' },
		{ "fs", 1, NULL, 'D' }, { "at-least", 1, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	char dir[4096], data[512];
	int c, fd;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case 'f': opt.fileset = optarg; break;
		case 's': opt.subdir = optarg; break;
		case 'o': opt.options = optarg; break;
		case 'L': opt.lower = optarg; break;
		case 'D': opt.fs = optarg; break;
		case 'a': opt.at_least = strtoull(optarg, NULL, 10); break;
		case 'l': opt.log = optarg; break;
		case 'F': opt.from = strtoull(optarg, NULL, 10); break;
		case 'T': opt.to = strtoull(optarg, NULL, 10); break;
		case 'h':
			opt.half = true;
			opt.seed = strtoull(optarg, NULL, 10);
			break;
		case 'n': opt.newest = true; break;
		case 'r': opt.replay_only = true; break;
		default: return usage();
		}
	}
	if (argc - optind != 3)
		return usage();
	opt.device = argv[optind];
	opt.mnt = argv[optind + 1];
	opt.dumps = argv[optind + 2];

	if (opt.log)
		replay();
	if (opt.replay_only)
		return 0;
	if (!opt.fs)
		opt.fs = opt.device;
	if (mount(opt.fs, opt.mnt, "ext4", 0, opt.lower))
		cannot("cannot mount %s as ext4", opt.fs);
	snprintf(dir, sizeof(dir), "%s/%s", opt.mnt, opt.subdir);
	snprintf(data, sizeof(data), "fileset=%s%s%s", opt.fileset,
		 *opt.options ? "," : "", opt.options);
	if (mount(dir, dir, "intermezzo", 0, data)) {
		violation("cannot mount intermezzo", errno, 0);
	} else {
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			cannot("cannot open %s", dir);
		check(fd);
		close(fd);
		unmount(dir);
	}
	unmount(opt.mnt);
	printf("%s records %u aborted %u settled-done %u settled-aborted %u redirtied %u slipped %u objects %u names %u differences %u\n",
	       count.bad ? "BAD" : "good", count.records, count.aborted,
	       count.settled_done, count.settled_aborted, count.redirtied, count.slipped,
	       got.nodes_nr, got.entries_nr, count.bad);
	return !!count.bad;
}
