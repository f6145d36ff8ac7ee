/* SPDX-License-Identifier: GPL-2.0 */
/* Reading directories by descriptor, whatever happens to them meanwhile. */
#ifndef _SYNCD_WALK_H
#define _SYNCD_WALK_H

#include <sys/stat.h>

typedef int (*walk_fn)(void *arg, int dirfd, const char *name,
		       const struct stat *st);

/*
 * Calls fn for each entry of the directory; the names are read before the
 * first call, so fn may change it. fn's error ends the walk.
 */
int walk_dir(int fd, walk_fn fn, void *arg);
/* The same for all below it, a directory before its entries. */
int walk_tree(int fd, walk_fn fn, void *arg);

#endif /* _SYNCD_WALK_H */
