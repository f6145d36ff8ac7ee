/* SPDX-License-Identifier: GPL-2.0 */
/* Mounting and unmounting filesets, and who is in the way. */
#ifndef _SYNCD_MOUNT_H
#define _SYNCD_MOUNT_H

#include "syncd.h"

struct mount_req {
	const char *name;
	const char *dir;	/* mounted over itself */
	const char *log_size;	/* NULL: the module's default; so the others */
	const char *log_keep;
	const char *log_keep_age;
	bool create;
	bool replica;
};
/* Nothing stays on failure; err gets the module's own words if it has any. */
int mount_fset(const struct mount_req *req, char *err, size_t errlen);

/*
 * Names the processes, without this one, that have something of dev beneath
 * dir open, mapped or as their directory: "bash (12), vim (34) and 2 more".
 * Returns how many.
 */
unsigned int mount_users(dev_t dev, const char *dir, char *text, size_t size);

#endif /* _SYNCD_MOUNT_H */
