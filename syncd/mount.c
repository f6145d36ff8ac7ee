// SPDX-License-Identifier: GPL-2.0
#include "mount.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "common/mountinfo.h"

/* The new mount is as restricted as the one that the directory lies in. */
static unsigned int mount_attrs(const char *dir)
{
	static const struct {
		unsigned long st;
		unsigned int attr;
	} map[] = {
		{ ST_RDONLY, MOUNT_ATTR_RDONLY },
		{ ST_NOSUID, MOUNT_ATTR_NOSUID },
		{ ST_NODEV, MOUNT_ATTR_NODEV },
		{ ST_NOEXEC, MOUNT_ATTR_NOEXEC },
		{ ST_NODIRATIME, MOUNT_ATTR_NODIRATIME },
		{ ST_NOATIME, MOUNT_ATTR_NOATIME },
	};
	unsigned int attrs = 0;
	struct statvfs st;
	size_t i;

	if (statvfs(dir, &st))
		return 0;
	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (st.f_flag & map[i].st)
			attrs |= map[i].attr;
	return attrs;
}

/*
 * What the kernel logged at the context: one message per read, "e text" for an
 * error. The last errors, in order, as far as there is room.
 */
static void context_errors(int fd, char *err, size_t errlen)
{
	static const char prefix[] = "intermezzo: ";
	char line[512];
	size_t used = 0;
	ssize_t n;
	char *text;

	while ((n = read(fd, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "e ", 2))
			continue;
		text = line + 2;
		if (!strncmp(text, prefix, sizeof(prefix) - 1))
			text += sizeof(prefix) - 1;
		n = snprintf(err + used, errlen - used, "%s%s",
			     used ? "; " : "", text);
		if (n < 0 || (size_t)n >= errlen - used)
			break;
		used += n;
	}
}

/* fsconfig() takes no string of more; then only the kernel's log says why. */
#define FSCONFIG_MAX	255

static int mount_long(const struct mount_req *req, char *err, size_t errlen)
{
	char options[256];
	struct statvfs st;
	unsigned long flags;
	int rc;

	/* the bits of both are the same for these */
	flags = statvfs(req->dir, &st) ? 0 :
		st.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC |
			     ST_NOATIME | ST_NODIRATIME);
	snprintf(options, sizeof(options), "fileset=%s%s%s%s%s%s%s%s%s",
		 req->name, req->log_size ? ",log_size=" : "",
		 req->log_size ? req->log_size : "",
		 req->log_keep ? ",log_keep=" : "",
		 req->log_keep ? req->log_keep : "",
		 req->log_keep_age ? ",log_keep_age=" : "",
		 req->log_keep_age ? req->log_keep_age : "",
		 req->create ? ",create" : "", req->replica ? ",replica" : "");
	if (!mount(req->dir, req->dir, IM_FS_TYPE, flags, options))
		return 0;
	rc = -errno;
	snprintf(err, errlen,
		 "cannot mount it: %s; the kernel's log says more: dmesg | tail",
		 strerror(-rc));
	return rc;
}

static int set_option(int context, const char *key, const char *value)
{
	return value ? fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) :
		       0;
}

int mount_fset(const struct mount_req *req, char *err, size_t errlen)
{
	const char *what;
	int context, mnt;
	int rc = 0;

	err[0] = '\0';
	if (strlen(req->dir) > FSCONFIG_MAX)
		return mount_long(req, err, errlen);
	what = "set up the mount";
	context = fsopen(IM_FS_TYPE, FSOPEN_CLOEXEC);
	if (context < 0) {
		rc = -errno;
		if (rc == -ENODEV)
			snprintf(err, errlen,
				 "the kernel does not know the filesystem type intermezzo; load the module: modprobe intermezzo");
		else
			snprintf(err, errlen, "cannot %s: %m", what);
		return rc;
	}
	if (fsconfig(context, FSCONFIG_SET_STRING, "source", req->dir, 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "fileset", req->name, 0) ||
	    set_option(context, "log_size", req->log_size) ||
	    set_option(context, "log_keep", req->log_keep) ||
	    set_option(context, "log_keep_age", req->log_keep_age) ||
	    (req->create &&
	     fsconfig(context, FSCONFIG_SET_FLAG, "create", NULL, 0)) ||
	    (req->replica &&
	     fsconfig(context, FSCONFIG_SET_FLAG, "replica", NULL, 0))) {
		rc = -errno;
		goto out_close_context;
	}
	what = "mount it";
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) {
		rc = -errno;
		goto out_close_context;
	}
	mnt = fsmount(context, FSMOUNT_CLOEXEC, mount_attrs(req->dir));
	if (mnt < 0) {
		rc = -errno;
		goto out_close_context;
	}
	if (move_mount(mnt, "", AT_FDCWD, req->dir, MOVE_MOUNT_F_EMPTY_PATH))
		rc = -errno;
	close(mnt);
out_close_context:
	if (rc)
		context_errors(context, err, errlen);
	if (rc && !err[0])
		snprintf(err, errlen, "cannot %s: %s%s", what, strerror(-rc),
			 rc == -ENOSPC ? "; free some space there" :
					 "; the kernel's log may say more: dmesg | tail");
	close(context);
	return rc;
}

struct scan {
	dev_t dev;
	const char *dir;
};

static bool link_hits(const struct scan *scan, const char *path)
{
	char target[4096];
	struct stat st;
	ssize_t n;

	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	/* the name first: stat could wait for a server that is down */
	return im_path_within(target, scan->dir) && !stat(path, &st) &&
	       st.st_dev == scan->dev;
}

static bool maps_hit(const struct scan *scan, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[4352];
	char *name;
	bool hit = false;

	if (!file)
		return false;
	while (!hit && fgets(line, sizeof(line), file)) {
		name = strchr(line, '/');
		if (!name)
			continue;
		name[strcspn(name, "\n")] = '\0';
		hit = im_path_within(name, scan->dir);
	}
	fclose(file);
	return hit;
}

static bool process_hits(const struct scan *scan, int pid)
{
	static const char *const links[] = { "cwd", "root", "exe" };
	struct dirent *entry;
	char path[320];
	bool hit = false;
	size_t i;
	DIR *fds;

	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, links[i]);
		if (link_hits(scan, path))
			return true;
	}
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	fds = opendir(path);
	while (fds && !hit && (entry = readdir(fds))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid,
			 entry->d_name);
		hit = link_hits(scan, path);
	}
	if (fds)
		closedir(fds);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	return hit || maps_hit(scan, path);
}

static void process_name(int pid, char *name, size_t size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file || !fgets(name, (int)size, file))
		snprintf(name, size, "?");
	if (file)
		fclose(file);
	name[strcspn(name, "\n")] = '\0';
}

unsigned int mount_users(dev_t dev, const char *dir, char *text, size_t size)
{
	const struct scan scan = { .dev = dev, .dir = dir };
	const unsigned int shown = 5;
	unsigned int count = 0;
	struct dirent *entry;
	size_t used = 0;
	char name[64];
	DIR *proc;
	int pid;

	text[0] = '\0';
	proc = opendir("/proc");
	if (!proc)
		return 0;
	while ((entry = readdir(proc))) {
		pid = atoi(entry->d_name);
		if (pid <= 0 || pid == getpid() || !process_hits(&scan, pid))
			continue;
		if (++count > shown)
			continue;
		process_name(pid, name, sizeof(name));
		if (used < size)
			used += snprintf(text + used, size - used, "%s%s (%d)",
					 used ? ", " : "", name, pid);
	}
	closedir(proc);
	if (count > shown && used < size)
		snprintf(text + used, size - used, " and %u more",
			 count - shown);
	return count;
}
