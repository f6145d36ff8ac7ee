/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one client of the module's netlink family; user land only. Nothing here
 * prints: failures are -errno, im_genl_error() has the module's own words.
 *
 * A handle is used by one thread at a time.
 */
#ifndef _IM_GENL_H
#define _IM_GENL_H

#include "record.h"
#include <linux/intermezzo.h>

/* What the module says about one mounted fileset. */
struct im_genl_fset {
	char name[IM_FSNAME_LEN + 1];
	char guarantee[32];
	u8 uuid[16];
	u64 incarnation;
	u64 id;
	u64 first;
	u64 last;
	u64 durable;
	u64 log_bytes;
	u64 log_keep;		/* it may grow to this, bytes */
	u64 log_min;		/* and shrink to this */
	u64 recovered;
	u64 redirtied;
	u32 flags;		/* IM_INFO_* */
	u32 sync_ms;
	u32 open_intents;
	u32 dirty;
	u32 readers;
	u32 log_keep_age;	/* seconds; 0: for ever */
};

struct im_genl;

/* -ENOENT: the family is not there, so the module is not loaded. */
int im_genl_open(struct im_genl **genl);
/* The same, but tries modprobe before it gives up. */
int im_genl_open_load(struct im_genl **genl);
void im_genl_close(struct im_genl *genl);
/* What the module said about the last failure; "" if it said nothing. */
const char *im_genl_error(const struct im_genl *genl);

int im_genl_get(struct im_genl *genl, const char *name,
		struct im_genl_fset *fset);
/* *list is an array of *count, to be freed by the caller. */
int im_genl_list(struct im_genl *genl, struct im_genl_fset **list,
		 size_t *count);
int im_genl_set_replica(struct im_genl *genl, const char *name, bool replica);

/*
 * Events, on a handle that is used for nothing else after im_genl_listen().
 * im_genl_events() never blocks; it calls fn for each event that waits at
 * im_genl_fd(). -ENOBUFS: some were lost, so look at everything.
 */
struct im_genl_event {
	enum im_genl_cmd cmd;	/* IM_CMD_EV_* */
	char name[IM_FSNAME_LEN + 1];
	u64 durable;		/* ADVANCED */
};
int im_genl_listen(struct im_genl *genl);
int im_genl_fd(const struct im_genl *genl);
int im_genl_events(struct im_genl *genl,
		   void (*fn)(void *arg, const struct im_genl_event *event),
		   void *arg);

#endif /* _IM_GENL_H */
