/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What manage.c (keeps filesets up) and change.c (export, attach and their
 * end) share. All functions want managed_op_lock.
 */
#ifndef _SYNCD_MANAGED_H
#define _SYNCD_MANAGED_H

#include "fileset.h"

/*
 * managed_op_lock: one change of what is managed at a time; held for as long as it
 * takes. list_lock: the list and all members, for short; whoever changes them
 * holds both, in this order, so either suffices to read.
 */
struct managed {
	struct managed *next;
	struct fset_conf conf;
	struct fset *fset;	/* while up; the registry's reference */
	bool started;		/* its client runs */
	bool gone;		/* was unmounted by hand: leave it alone */
	char error[512];	/* while not up */
};

extern pthread_mutex_t managed_op_lock;

struct managed *managed_find(const char *key);	/* by name or directory */
void managed_add(struct managed *m);
void managed_del(struct managed *m);
/* An array of pointers into the list, to be freed; NULL: out of memory. */
const struct fset_conf **managed_confs(size_t *n);
int managed_save(char *err, size_t errlen);

int managed_up(struct managed *m);	/* mounts it if need be */
int managed_open(struct managed *m, char *err, size_t errlen);	/* mounted */
/* Starts the client of an attached one, once the daemon is that far. */
void managed_start(struct managed *m);
int managed_down(struct managed *m, const char *error);

#endif /* _SYNCD_MANAGED_H */
