// SPDX-License-Identifier: GPL-2.0
/* intermezzoctl log: reads the KML of a mounted fileset, without the daemon. */
#include "ctl.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "common/mountinfo.h"

#define BUF_SIZE	(1U << 20)	/* well above IM_REC_MAX */
/* without --follow: an operation under way keeps later records back */
#define PATIENCE_MS	2000

struct log {
	const char *name;
	int json;
	int follow;
	u64 next;		/* the record that must come, 0: any */
	u64 until;		/* without --follow */
};

/* A descriptor of the fileset's root, or -1 and said why. */
static int open_fset(const char *name)
{
	const struct im_mount *mount;
	struct im_mounts mounts;
	int rc, fd = -1;

	rc = im_mounts_read(&mounts);
	if (rc) {
		failed("cannot read the log of \"%s\": cannot read the mounts: %s",
		       name, strerror(-rc));
		return -1;
	}
	mount = im_mounts_fset(&mounts, name);
	if (!mount) {
		failed("cannot read the log of \"%s\": no fileset of that name is mounted here; see: intermezzoctl status",
		       name);
	} else {
		fd = open(mount->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			failed("cannot read the log of \"%s\": cannot open %s: %m",
			       name, mount->dir);
	}
	im_mounts_free(&mounts);
	return fd;
}

/* Prints the records in buf; 0, or said what is wrong with them. */
static int show(struct log *log, const char *buf, size_t len)
{
	struct im_body body;
	const char *p = buf;
	struct im_rec rec;
	size_t need;
	json_t *o;
	int rc;

	while (len) {
		rc = im_rec_check(p, len, &need, &body);
		if (rc)
			return failed("the module handed out something that is not a record after record %" PRIu64 " of \"%s\" (%s); are intermezzoctl and the module of the same version? intermezzoctl version",
				      log->next ? log->next - 1 : 0, log->name,
				      strerror(-rc));
		memcpy(&rec, p, sizeof(rec));
		if (log->next && le64_to_cpu(rec.recno) != log->next)
			return failed("record %" PRIu64 " of \"%s\" is missing: %" PRIu64 " came instead",
				      log->next, log->name,
				      le64_to_cpu(rec.recno));
		if (log->json) {
			o = record_json(&rec, &body);
			json_dumpf(o, stdout, JSON_COMPACT);
			json_decref(o);
			putchar('\n');
		} else {
			record_print(stdout, &rec, &body);
		}
		log->next = le64_to_cpu(rec.recno) + 1;
		p += le32_to_cpu(rec.len);
		len -= le32_to_cpu(rec.len);
	}
	if (fflush(stdout))
		return failed("cannot write: %m");
	return EXIT_OK;
}

static int read_error(const struct log *log, int root, int error)
{
	struct im_ioc_info info;

	switch (error) {
	case ESTALE:
		if (!ioctl(root, IM_IOC_INFO, &info))
			return failed("record %" PRIu64 " of \"%s\" is no longer in the log, whose oldest is %" PRIu64 ": say --from %" PRIu64,
				      log->next, log->name, (u64)info.first,
				      (u64)info.first);
		return failed("record %" PRIu64 " of \"%s\" is no longer in the log",
			      log->next, log->name);
	case EBADMSG:
		return failed("the log of \"%s\" is damaged after record %" PRIu64 "; see the kernel's log: dmesg",
			      log->name, log->next ? log->next - 1 : 0);
	default:
		return failed("cannot read the log of \"%s\": %s", log->name,
			      strerror(error));
	}
}

static bool finished(const struct log *log)
{
	return !log->follow && log->next > log->until;
}

static int run(struct log *log, int root, int kml)
{
	struct pollfd pfd = { .fd = kml, .events = POLLIN };
	char *buf = malloc(BUF_SIZE);
	int rc = EXIT_OK;
	ssize_t n;

	if (!buf)
		return failed("out of memory");
	while (!rc && !finished(log)) {
		n = read(kml, buf, BUF_SIZE);
		if (n > 0) {
			rc = show(log, buf, n);
			continue;
		}
		if (n == 0)
			break;		/* it is being unmounted */
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN) {
			rc = read_error(log, root, errno);
			break;
		}
		n = poll(&pfd, 1, log->follow ? -1 : PATIENCE_MS);
		if (n < 0 && errno != EINTR)
			rc = failed("cannot wait for records: %m");
		if (n == 0)
			break;
	}
	free(buf);
	return rc;
}

int cmd_log(const struct verb *verb, int argc, const char **argv)
{
	struct im_ioc_kml open_kml = { .flags = O_NONBLOCK | O_CLOEXEC };
	struct log log = { 0 };
	char *from = NULL;
	const struct poptOption table[] = {
		{ "from", 'n', POPT_ARG_STRING, &from, 0,
		  "begin with this record (default: the oldest; with --follow the next)",
		  "RECNO" },
		{ "follow", 'f', POPT_ARG_NONE, &log.follow, 0,
		  "wait for further records and show them as they come", NULL },
		{ "json", 'j', POPT_ARG_NONE, &log.json, 0,
		  "one JSON object a line, with all fields", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	struct im_ioc_info info;
	int root, kml, rc;
	char *end;

	if (!verb_parse(verb, argc, argv, table, 1, 1, &log.name))
		return EXIT_USAGE;
	if (from) {
		errno = 0;
		log.next = strtoull(from, &end, 10);
		if (from[0] < '1' || from[0] > '9' || *end || errno)
			return misused(verb, "--from %s is not a record number",
				       from);
	}
	root = open_fset(log.name);
	if (root < 0)
		return EXIT_FAILED;
	if (ioctl(root, IM_IOC_INFO, &info)) {
		rc = failed("cannot read the log of \"%s\": %s", log.name,
			    errno == EPERM ? "it takes root" : strerror(errno));
		goto out_close;
	}
	log.until = info.last;
	if (!from && !log.follow)
		log.next = info.first;
	rc = EXIT_OK;
	if (finished(&log))
		goto out_close;
	open_kml.from = log.next;
	kml = ioctl(root, IM_IOC_KML, &open_kml);
	if (kml < 0) {
		rc = read_error(&log, root, errno);
		goto out_close;
	}
	rc = run(&log, root, kml);
	close(kml);
out_close:
	close(root);
	return rc;
}
