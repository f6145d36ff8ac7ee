/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One attached fileset, as the parts of the client share it: client.c (life and
 * order) calls graft.c (a snapshot onto what is here) and apply.c (one record),
 * both call tree.c; pool.c fetches what the graft wants. All but the pool's own
 * threads is the client's thread, which alone changes this struct.
 */
#ifndef _SYNCD_CLIENT_H
#define _SYNCD_CLIENT_H

#include "fetch.h"
#include "fold.h"
#include "http.h"
#include "tree.h"

struct client {
	struct fset *f;
	pthread_t thread;
	struct remote remote;
	struct http *http;
	struct im_wire_info srv;
	u64 inc;		/* incarnation of the server */
	u64 id;			/* its origin id */
	struct tree tree;
	bool good;		/* this session has got something done */
	u64 seen;		/* newest record that was given to apply.c */
	bool no_parts;		/* see stream_stop() */
	char why[512];		/* the last error, in words */
	struct client_job *job;	/* of client_run() */
};

/*
 * Records up to here may find that the tree is ahead of them. All, while a
 * snapshot comes in: where it ends is known when it does.
 */
#define CLIENT_WINDOW_ALL	(~(u64)0)
static inline u64 client_window(const struct client *c)
{
	return le64_to_cpu(c->tree.st.window);
}
int client_set_window(struct client *c, u64 recno);

/*
 * Runs fn in the client's thread between two batches, while it follows, and
 * returns what fn did; -ECANCELED: *stop was set before it began. Who calls it
 * sees to it that the client is there.
 */
int client_run(struct fset *f, int (*fn)(struct client *c, void *arg),
	       void *arg, const atomic_bool *stop);

/*
 * A full disk is not the end: says so in status, waits a little; then the
 * caller tries again. Other errors, or stop: returned.
 */
int client_wait_room(struct fset *f, int err);

/* This machine can never do it; one object stays behind, not the queue. */
static inline bool client_hopeless(int err)
{
	return err == -EFBIG || err == -EMLINK || err == -ENAMETOOLONG ||
	       err == -EOPNOTSUPP || err == -EPERM || err == -E2BIG ||
	       err == -EOVERFLOW;
}

/* lineage.c */
/*
 * "&seen=N&epoch=E" for a request: the server refuses if its log is not the one
 * that record `seen` came from. Empty: nothing is known. -ESTALE: too much is.
 */
#define LINEAGE_ARGS	64
int lineage_args(const struct client *c, u64 seen, char *buf, size_t size);
void lineage_text(u64 seen, u64 epoch, char *buf, size_t size);
u64 lineage_epoch(const struct client *c, u64 recno);	/* 0: not known */
int lineage_frame(const u8 *p, size_t len, struct im_wire_epoch *e);
/* Saves it if it is news. */
int lineage_set(struct client *c, const struct im_wire_epoch *e);
void lineage_forget(struct client *c);	/* not saved yet */

/* graft.c */
/*
 * The whole tree as the server has it. *start: replay from the next record on.
 * args: of lineage.c, the server must agree to them.
 * Its data is here when this returns, maybe not yet on disk.
 */
int graft_all(struct client *c, u64 *start, const char *args);
/*
 * The directory fid, which is here, and all below it; moves the window. was:
 * the window as it was before the caller began.
 */
int graft_dir(struct client *c, const struct im_fid *fid, u64 was);

/*
 * Single names as the server has them now, and if data is set their files'
 * data, whatever size and mtime say; moves the window.
 */
struct graft_pick {
	struct im_fid dir;
	char name[IM_NAME_LEN + 1];
	bool data;
};
int graft_picked(struct client *c, const struct graft_pick *v, unsigned int n);

/* apply.c */
/*
 * Item i of n, folded; later ones are looked at to fetch data for many at once.
 * -EUCLEAN: the tree is not what the log says, a snapshot must mend it.
 */
int apply_item(struct client *c, struct fold_item *v, size_t i, size_t n);
/* The object at the server becomes name, which is free, in dirfd. */
int apply_fetch_object(struct client *c, int dirfd, const char *name,
		       const struct im_fid *fid);

/* pool.c: threads that fetch the data of files. */
struct pool_item {
	struct im_fid fid, local;
	struct im_fid dir;	/* where it was at the server ... */
	char *name;		/* ... of malloc(); pool_add() takes it */
	u64 size;		/* as far as it is known */
	bool differ;		/* what is here may be much the same */
};
struct pool;
/* version: of the data; low: for the tags. */
int pool_start(struct pool **p, struct client *c, u64 version, u64 low);
int pool_add(struct pool *p, const struct pool_item *it);
int pool_wait(struct pool *p);		/* until all is done */
void pool_stop(struct pool *p);
const char *pool_error(struct pool *p);	/* "" when all is well */

#endif /* _SYNCD_CLIENT_H */
