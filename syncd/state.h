/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What outlives the daemon: LIB_DIR/state.json, and the lock that keeps a
 * second daemon off the same directory.
 */
#ifndef _SYNCD_STATE_H
#define _SYNCD_STATE_H

#include "fileset.h"

/* Held until the process ends. -EBUSY: another daemon has it. */
int state_lock(const char *dir, char *err, size_t errlen);

/*
 * add takes the content of each. No file: nothing. A file that is not
 * understood is an error and stays as it is. bwlimit: of the daemon, "" if
 * none was ever set.
 */
int state_load(const char *dir, int (*add)(struct fset_conf *c),
	       char bwlimit[TIMETABLE_TEXT], char *err, size_t errlen);
/* All or nothing, also through a crash. */
int state_save(const char *dir, const struct fset_conf *const *list, size_t n,
	       const char *bwlimit, char *err, size_t errlen);

#endif /* _SYNCD_STATE_H */
