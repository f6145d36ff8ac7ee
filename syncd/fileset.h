/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The registry of filesets that are mounted and in use; see struct fset in
 * syncd.h. The registry holds one reference to each.
 */
#ifndef _SYNCD_FILESET_H
#define _SYNCD_FILESET_H

#include "syncd.h"

/* What is remembered of a fileset over restarts. */
struct fset_conf {
	char name[IM_FSNAME_LEN + 1];
	enum fset_role role;
	char *dir;
	char *url;		/* attach */
	char bwlimit[TIMETABLE_TEXT];	/* "": none */
};
int fset_conf_copy(struct fset_conf *to, const struct fset_conf *from);
void fset_conf_free(struct fset_conf *c);

/*
 * Opens what is mounted at c->dir, checks that it is this fileset, enters it.
 * On failure *out is unchanged and err says why. -EEXIST: the name is there.
 */
int fset_add(const struct fset_conf *c, struct fset **out, char *err,
	     size_t errlen);

/*
 * Takes f out of the registry, tells its users to stop and waits for them.
 * The caller's own reference is the one of the registry, which is dropped in
 * any case. -EBUSY: requests still use it; the mount stays pinned until they
 * end.
 */
int fset_remove(struct fset *f, unsigned int wait_ms);

/*
 * Calls fn for each, under the registry's lock, until one returns other than 0;
 * that one, with a reference, or NULL.
 */
struct fset *fset_each(int (*fn)(void *arg, struct fset *f), void *arg);

/* Sets stop of all, so that requests end; for shutdown. */
void fset_stop_all(void);

#endif /* _SYNCD_FILESET_H */
