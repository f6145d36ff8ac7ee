// SPDX-License-Identifier: GPL-2.0
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const char *done(enum fset_role role)
{
	return role == FSET_ATTACH ? "attached" : "exported";
}

static const char *instead(enum fset_role role)
{
	return role == FSET_ATTACH ? "choose a directory outside of it" :
				     "export the whole of it or another directory";
}

static int check_path(const struct fset_conf *c, struct stat *st,
		      struct problem *p)
{
	char real[PATH_MAX];

	if (c->dir[0] != '/')
		return problem(p, 400, "bad-path",
			       "%s is not an absolute path", c->dir);
	if (stat(c->dir, st)) {
		if (errno == ENOENT || errno == ENOTDIR)
			return problem(p, 404, "no-such-path",
				       "there is no directory %s; make it first: mkdir -p %s",
				       c->dir, c->dir);
		return problem(p, 400, "bad-path", "cannot look at %s: %m",
			       c->dir);
	}
	if (!S_ISDIR(st->st_mode))
		return problem(p, 400, "not-a-directory",
			       "%s is not a directory; a fileset is a directory with all below it",
			       c->dir);
	if (!realpath(c->dir, real))
		return problem(p, 400, "bad-path", "cannot resolve %s: %m",
			       c->dir);
	if (strcmp(real, c->dir))
		return problem(p, 400, "bad-path",
			       "%s leads to %s; name that directory", c->dir,
			       real);
	return 0;
}

/* Against another fileset, known or mounted, that is not this very one. */
static int check_other(const struct fset_conf *c, const char *name,
		       const char *dir, const char *how, struct problem *p)
{
	if (!strcmp(c->dir, dir))
		return problem(p, 409, "dir-taken",
			       "%s is %s already, as \"%s\"; to give it another name, first undo that",
			       dir, how, name);
	if (!strcmp(c->name, name))
		return problem(p, 409, "name-taken",
			       "the name \"%s\" is taken: %s is %s under it; choose another with %s",
			       name, dir, how,
			       c->role == FSET_ATTACH ? "--as" : "--name");
	if (im_path_within(c->dir, dir))
		return problem(p, 409, "inside",
			       "%s lies inside the fileset \"%s\" (%s); %s",
			       c->dir, name, dir, instead(c->role));
	if (im_path_within(dir, c->dir))
		return problem(p, 409, "contains",
			       "%s contains the fileset \"%s\" (%s), and filesets do not nest; choose a directory beside it",
			       c->dir, name, dir);
	return 0;
}

static int check_lower(const struct fset_conf *c,
		       const struct im_mounts *mounts, struct problem *p)
{
	const struct im_mount *lower = im_mounts_of(mounts, c->dir);
	const struct im_mount *m;
	size_t i;

	if (!lower)
		return problem(p, 500, "bad-path",
			       "cannot find out which filesystem %s is on",
			       c->dir);
	if (strcmp(lower->type, "ext4"))
		return problem(p, 422, "not-ext4",
			       "%s is on %s (mounted at %s), and so far only ext4 can hold a fileset; choose a directory on an ext4 filesystem",
			       c->dir, lower->type, lower->dir);
	if (lower->read_only)
		return problem(p, 422, "read-only",
			       "%s is on %s, which is mounted read-only at %s; make that writable: mount -o remount,rw %s",
			       c->dir, lower->source, lower->dir, lower->dir);
	for (i = 0; i < mounts->n; i++) {
		m = &mounts->v[i];
		if (!m->hidden && strcmp(m->dir, c->dir) &&
		    im_path_within(m->dir, c->dir))
			return problem(p, 409, "mount-inside",
				       "%s, inside it, is a mount of its own (%s), which would no longer be seen; unmount that, or choose a directory without mounts inside",
				       m->dir, m->type);
	}
	return 0;
}

enum check_result check_new(const struct fset_conf *c,
			    const struct fset_conf *const *known, size_t n,
			    const struct im_mounts *mounts, struct stat *st,
			    struct problem *p)
{
	const struct im_mount *m;
	bool mounted = false;
	size_t i;

	if (im_fsname_check(c->name)) {
		problem(p, 400, "bad-name",
			"\"%s\" is not a name for a fileset: 1 to %d letters, digits, '.', '_' and '-', not '.' first",
			c->name, IM_FSNAME_LEN);
		return CHECK_BAD;
	}
	if (check_path(c, st, p))
		return CHECK_BAD;
	for (i = 0; i < n; i++)
		if (check_other(c, known[i]->name, known[i]->dir,
				done(known[i]->role), p))
			return CHECK_BAD;
	for (i = 0; i < mounts->n; i++) {
		m = &mounts->v[i];
		if (!m->fset || m->hidden)
			continue;
		if (!strcmp(m->fset, c->name) && !strcmp(m->dir, c->dir))
			mounted = true;
		else if (check_other(c, m->fset, m->dir, "mounted", p))
			return CHECK_BAD;
	}
	if (mounted)
		return CHECK_MOUNTED;
	return check_lower(c, mounts, p) ? CHECK_BAD : CHECK_FRESH;
}

static int is_dot(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static bool is_empty_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
					     O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool empty = true;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (empty && (entry = readdir(dir)))
		empty = is_dot(entry->d_name);
	closedir(dir);
	return empty;
}

int check_content(const char *path, bool *state)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	int found = 0;

	*state = false;
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (is_dot(entry->d_name))
			continue;
		if (!strcmp(entry->d_name, IM_STATE_DIR))
			*state = true;
		else if (strcmp(entry->d_name, "lost+found") ||
			 !is_empty_dir(dirfd(dir), entry->d_name))
			found = 1;
	}
	closedir(dir);
	return found;
}
