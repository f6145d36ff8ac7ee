// SPDX-License-Identifier: GPL-2.0
#include "state.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>
#include "durable.h"

#define STATE_FILE	"state.json"
#define STATE_VERSION	1

int state_lock(const char *dir, char *err, size_t errlen)
{
	char path[4096];
	char pid[16];
	int fd, n;
	int rc;

	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = -errno;
		snprintf(err, errlen, "cannot open %s: %m", path);
		return rc;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
		n = (int)read(fd, pid, sizeof(pid) - 1);
		pid[n > 0 ? n : 0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		if (rc == -EBUSY)
			snprintf(err, errlen,
				 "another intersyncd%s%s%s uses %s; stop it first, or give this one --state-dir and --socket of its own",
				 *pid ? " (process " : "", pid, *pid ? ")" : "",
				 dir);
		else
			snprintf(err, errlen, "cannot lock %s: %m", path);
		close(fd);
		return rc;
	}
	/* for people only: the lock is what counts */
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) || write(fd, pid, n) != n) {
		rc = errno ? -errno : -EIO;
		snprintf(err, errlen, "cannot write %s: %s", path,
			 strerror(-rc));
		close(fd);
		return rc;
	}
	return 0;
}

static const char *role_name(enum fset_role role)
{
	return role == FSET_ATTACH ? "attach" : "export";
}

/* As text; an older daemon wrote bytes per second, 0 for none. */
static int bwlimit_get(const json_t *entry, char bwlimit[TIMETABLE_TEXT])
{
	const json_t *v = json_object_get(entry, "bwlimit");
	struct timetable t;
	int n = 0;

	bwlimit[0] = '\0';
	if (!v)
		return 0;
	if (json_is_string(v))
		n = snprintf(bwlimit, TIMETABLE_TEXT, "%s",
			     json_string_value(v));
	else if (!json_is_integer(v))
		return -EINVAL;
	else if (json_integer_value(v))
		n = snprintf(bwlimit, TIMETABLE_TEXT, "%lld",
			     (long long)json_integer_value(v));
	return n < TIMETABLE_TEXT ? timetable_parse(bwlimit, &t) : -EINVAL;
}

/* One fileset; why is set if it makes no sense. */
static int conf_get(json_t *entry, struct fset_conf *c, const char **why)
{
	const char *name, *role, *dir, *url = NULL;

	*why = NULL;
	memset(c, 0, sizeof(*c));
	if (json_unpack(entry, "{s:s, s:s, s:s, s?s}", "name", &name, "role",
			&role, "dir", &dir, "url", &url))
		*why = "name, role or dir is missing or of a wrong type";
	else if (im_fsname_check(name))
		*why = "the name is not a fileset name";
	else if (strcmp(role, "export") && strcmp(role, "attach"))
		*why = "the role is neither export nor attach";
	else if (dir[0] != '/')
		*why = "the directory is not an absolute path";
	else if (!strcmp(role, "attach") && !url)
		*why = "it is attached, but there is no url";
	else if (bwlimit_get(entry, c->bwlimit))
		*why = "bwlimit is no limit of bandwidth";
	if (*why)
		return -EINVAL;
	strcpy(c->name, name);
	c->role = strcmp(role, "attach") ? FSET_EXPORT : FSET_ATTACH;
	c->dir = strdup(dir);
	c->url = url ? strdup(url) : NULL;
	if (!c->dir || (url && !c->url)) {
		fset_conf_free(c);
		return -ENOMEM;
	}
	return 0;
}

int state_load(const char *dir, int (*add)(struct fset_conf *c),
	       char bwlimit[TIMETABLE_TEXT], char *err, size_t errlen)
{
	struct fset_conf c;
	json_error_t where;
	json_t *root, *list, *entry;
	char path[4096];
	const char *why;
	size_t i;
	int rc = 0;

	bwlimit[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dir, STATE_FILE);
	if (access(path, F_OK) && errno == ENOENT)
		return 0;
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	if (!root) {
		snprintf(err, errlen,
			 "cannot understand %s, line %d: %s; correct it, or move it away and export and attach again",
			 path, where.line, where.text);
		return -EINVAL;
	}
	list = json_object_get(root, "filesets");
	if (json_integer_value(json_object_get(root, "version")) !=
		    STATE_VERSION || !json_is_array(list)) {
		snprintf(err, errlen,
			 "%s is not a state of version %d; it may be from a newer intersyncd",
			 path, STATE_VERSION);
		rc = -EINVAL;
	}
	if (!rc && bwlimit_get(root, bwlimit)) {
		snprintf(err, errlen, "%s: bwlimit is no limit of bandwidth",
			 path);
		rc = -EINVAL;
	}
	json_array_foreach(list, i, entry) {
		if (rc)
			break;
		rc = conf_get(entry, &c, &why);
		if (rc) {
			snprintf(err, errlen, "%s, fileset %zu: %s", path,
				 i + 1, why ? why : strerror(-rc));
			break;
		}
		rc = add(&c);
		if (rc) {
			snprintf(err, errlen, "%s, fileset %zu: %s", path,
				 i + 1, rc == -EEXIST ?
				 "the name is there already" : strerror(-rc));
			fset_conf_free(&c);
		}
	}
	json_decref(root);
	return rc;
}

static json_t *conf_put(const struct fset_conf *c)
{
	return json_pack("{s:s, s:s, s:s, s:s*, s:s}", "name", c->name, "role",
			 role_name(c->role), "dir", c->dir, "url", c->url,
			 "bwlimit", c->bwlimit);
}

int state_save(const char *dir, const struct fset_conf *const *list, size_t n,
	       const char *bwlimit, char *err, size_t errlen)
{
	json_t *filesets = json_array();
	json_t *root = NULL;
	char *text = NULL;
	int rc = -ENOMEM;
	size_t i;

	for (i = 0; i < n; i++)
		if (json_array_append_new(filesets, conf_put(list[i])))
			goto out;
	root = json_pack("{s:i, s:s*, s:O}", "version", STATE_VERSION,
			 "bwlimit", *bwlimit ? bwlimit : NULL, "filesets",
			 filesets);
	text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
	if (!text)
		goto out;
	rc = durable_replace(dir, STATE_FILE, text, strlen(text));
out:
	if (rc)
		snprintf(err, errlen, "cannot write %s/%s: %s", dir, STATE_FILE,
			 strerror(-rc));
	free(text);
	json_decref(root);
	json_decref(filesets);
	return rc;
}
