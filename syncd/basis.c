// SPDX-License-Identifier: GPL-2.0
/*
 * A record that replaces one file by another comes after the data of the other,
 * and when the client is quick, long after: then looking ahead in the log shows
 * nothing. Names do. A wrong guess costs a list of block sums, 0.4 % of the
 * file, and no more: what is not equal is not taken.
 */
#include "basis.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delta.h"

#define BASIS_ENTRIES	4096	/* looked at; large directories are no homes */

/* Without a leading dot, up to the first dot after that. */
static size_t basis_stem(const char *s, const char **stem)
{
	*stem = s + (*s == '.');
	return strcspn(*stem, ".~#");
}

unsigned int basis_likeness(const char *a, const char *b)
{
	const char *sa, *sb;
	size_t la, lb;

	if (!strcmp(a, b))
		return 0;
	if (strlen(b) >= 3 && strstr(a, b))
		return 1000 + (unsigned int)strlen(b);
	la = basis_stem(a, &sa);
	lb = basis_stem(b, &sb);
	if (la >= 3 && la == lb && !memcmp(sa, sb, la))
		return (unsigned int)la;
	return 0;
}

static int basis_search(int dirfd, const char *name, char *best)
{
	unsigned int like, most = 0, n = 0;
	struct dirent *e;
	DIR *d;
	int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (own < 0)
		return -errno;
	d = fdopendir(own);
	if (!d) {
		close(own);
		return -ENOMEM;
	}
	while (n++ < BASIS_ENTRIES && (e = readdir(d))) {
		if (e->d_type != DT_REG && e->d_type != DT_UNKNOWN)
			continue;
		like = basis_likeness(name, e->d_name);
		if (like > most) {
			most = like;
			strcpy(best, e->d_name);
		}
	}
	closedir(d);
	return most ? 0 : -ENOENT;
}

int basis_guess(struct client *c, int fd, const struct im_fid *dir)
{
	char path[TREE_FDPATH], at[4096], best[NAME_MAX + 1], *name;
	struct im_fid self, is;
	struct stat st;
	ssize_t n;
	int dirfd, err;

	if (im_fid_none(dir))
		return -ENOENT;
	dirfd = tree_dir(&c->tree, dir);
	n = readlink(tree_fdpath(path, fd), at, sizeof(at) - 1);
	if (dirfd < 0 || n < 0)
		return -ENOENT;
	at[n] = '\0';
	name = strrchr(at, '/');
	/* The hint may be of another time, the path of another name. */
	if (!name || fid_of(fd, "", &self) || tree_name(dirfd, ++name, &is) ||
	    !im_fid_eq(&self, &is))
		return -ENOENT;
	err = basis_search(dirfd, name, best);
	if (err)
		return err;
	fd = openat(dirfd, best, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < DELTA_MIN) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}
