/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Comparing a replica with its server, while both are in use. verify.c walks
 * the replica and compares sums; suspect.c decides what of all that differs is
 * a difference and no change under way, and has it mended; verifies.c starts
 * and ends it and hands out what was found.
 *
 * One thread for each fileset at most, which owns struct verify but for what
 * `lock` protects. It reads only; what is mended is mended by the client's
 * thread. It ends with the client, and when nobody asks for results.
 */
#ifndef _SYNCD_VERIFY_H
#define _SYNCD_VERIFY_H

#include "client.h"
#include "digest.h"

/* In what two objects of one name can differ. */
enum verify_what {
	VERIFY_DATA = 1,
	VERIFY_MODE = 2,
	VERIFY_OWNER = 4,
	VERIFY_MTIME = 8,
	VERIFY_XATTR = 16,
	VERIFY_MISSING = 32,		/* here */
	VERIFY_EXTRA = 64,
	VERIFY_TYPE = 128,
	VERIFY_LINK = 256,		/* not the same file as under other names,
					 * or not the one that replay made */
};

struct suspect {
	struct im_fid dir;		/* the server's ... */
	struct im_fid local;		/* ... and the one here */
	char name[IM_NAME_LEN + 1];
	u32 what;
	bool busy;			/* changed each time it was looked at */
	/* one look at it */
	struct im_fid fid[2];		/* here, there; the server's FIDs */
	struct im_fid self;		/* here, local */
	bool touched;
};

#define SUSPECTS	128

struct verify {
	struct fset *f;
	pthread_t thread;
	atomic_bool stop;
	u64 id;
	char path[4096];		/* below the root; "": all */
	bool repair;
	u64 rate;
	struct remote remote;
	struct http *h;
	struct im_wire_info srv;
	struct bucket pace;
	struct suspect *v;		/* SUSPECTS */
	unsigned int n;
	/* lock */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	json_t *found;			/* not fetched yet */
	u64 dirs, objects, bytes, differences, mended, busy;
	bool done;
	char error[384];
	time_t asked;
};

/* "cannot ...", the first one counts. */
void verify_fail(struct verify *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A result for who asks; waits while there are many. -ECANCELED */
int verify_report(struct verify *v, const struct suspect *s, bool mended);
int verify_identify(void *arg, int fd, struct im_fid *fid);	/* arg: verify */
int verify_pay(struct verify *v, u64 bytes);
/* In what b differs from a. */
u32 verify_differ(const struct im_obj *here, const struct im_fid *fid,
		  const struct im_obj *there);
/* Opens the local directory; checks that it is the server's one. */
int verify_open(struct verify *v, const struct im_fid *local,
		const struct im_fid *fid);
/* "digest?..." with its parameters. */
void verify_query(struct verify *v, char *buf, size_t size);

/* Told to, or nobody asks for results any more: whoever did was killed. */
#define VERIFY_ASK_S	30
bool verify_stopped(struct verify *v);
void *verify_main(void *v);

/* suspect.c */
int suspect_add(struct verify *v, const struct im_fid *dir,
		const struct im_fid *local, const char *name, u32 what);
int suspect_settle(struct verify *v);	/* those that there are, and none left */

/* verifies.c; client.c calls it before the client ends. */
void verify_end(struct fset *f);

#endif /* _SYNCD_VERIFY_H */
