/* SPDX-License-Identifier: GPL-2.0 */
/* May this directory become this fileset? Changes nothing. */
#ifndef _SYNCD_CHECK_H
#define _SYNCD_CHECK_H

#include <sys/stat.h>
#include "common/mountinfo.h"
#include "fileset.h"
#include "problem.h"

enum check_result {
	CHECK_BAD = -1,		/* p says why */
	CHECK_FRESH,		/* not mounted yet */
	CHECK_MOUNTED,		/* mounted as this fileset, by fstab say */
};

/*
 * known: the filesets that the daemon knows, mounted or not.
 * st: of c->dir before anything is mounted over it.
 */
enum check_result check_new(const struct fset_conf *c,
			    const struct fset_conf *const *known, size_t n,
			    const struct im_mounts *mounts, struct stat *st,
			    struct problem *p);

/*
 * 1: dir has entries other than our own state and an empty lost+found, 0: it
 * has none, -errno. *state: .intermezzo is there.
 */
int check_content(const char *dir, bool *state);

#endif /* _SYNCD_CHECK_H */
