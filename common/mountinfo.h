/* SPDX-License-Identifier: GPL-2.0 */
/* /proc/self/mountinfo, read and understood; user land only. */
#ifndef _IM_MOUNTINFO_H
#define _IM_MOUNTINFO_H

#include "record.h"
#include <linux/intermezzo.h>

struct im_mount {
	int id;
	int parent;
	dev_t dev;
	char *dir;		/* where it is mounted */
	char *root;		/* what of the filesystem is mounted there */
	char *type;
	char *source;
	char *fset;		/* intermezzo: its fileset, else NULL */
	bool read_only;
	bool hidden;		/* another mount lies over it or over what it
				 * is mounted on */
};

/* All mounts of this process's namespace. */
struct im_mounts {
	struct im_mount *v;
	size_t n;
};

int im_mounts_read(struct im_mounts *mounts);
/* The same from text; -EINVAL if a line makes no sense. */
int im_mounts_parse(struct im_mounts *mounts, const char *text);
void im_mounts_free(struct im_mounts *mounts);

/* The visible mount of this fileset, or NULL. */
const struct im_mount *im_mounts_fset(const struct im_mounts *mounts,
				      const char *name);
/* The mount that an absolute path without "..", "." or links lies in. */
const struct im_mount *im_mounts_of(const struct im_mounts *mounts,
				    const char *path);

/* Is path dir itself or beneath it? Both absolute and clean. */
bool im_path_within(const char *path, const char *dir);

#endif /* _IM_MOUNTINFO_H */
