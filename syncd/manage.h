/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The filesets that this daemon is to keep up: those of state.json, each with
 * its struct fset while it is mounted. What changes behind the daemon's back
 * (mounts, the module's events) is noticed by a thread.
 */
#ifndef _SYNCD_MANAGE_H
#define _SYNCD_MANAGE_H

#include "fileset.h"
#include "problem.h"

int manage_load(void);		/* state.json; failures are logged */
void manage_up(void);		/* mounts and opens all; one that fails waits */
int manage_run(void);		/* starts clients and the watching thread */
void manage_stop(void);		/* the reverse; filesets stay mounted */

/*
 * warning gets a text if all is well but for something. Of the ones that
 * take c, its dir is absolute.
 */
struct manage_opts {
	const char *log_size;	/* NULL: default; so the others */
	const char *log_keep;
	const char *log_keep_age;
	bool merge;		/* attach: what is there may be removed */
	const struct im_wire_redeem *redeem;	/* attach: an invitation, or NULL */
	char warning[512];
};
int manage_export(const struct fset_conf *c, struct manage_opts *opts,
		  struct problem *p);
int manage_attach(const struct fset_conf *c, struct manage_opts *opts,
		  struct problem *p);
/* key: name, or directory. *gone is what it was; the caller frees it. */
int manage_forget(const char *key, enum fset_role role, bool force,
		  struct fset_conf *gone, struct problem *p);

/*
 * The limit of one fileset, or with key NULL of the daemon, from now on and
 * after restarts; text is of timetable.h.
 */
int manage_limit(const char *key, const char *text, struct problem *p);
/* What was set for the daemon; "": nothing. */
const char *manage_daemon_limit(void);

/* What status shows; f is NULL while it is not up, then error says why. */
int manage_each(int (*fn)(void *arg, const struct fset_conf *c, struct fset *f,
			  const char *error), void *arg);

#endif /* _SYNCD_MANAGE_H */
