/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs the daemon's server side on a plain directory, without the module:
 * the handles and the log of a mount are made up here, by functions that stand
 * in front of the C library's. FIDs are inode number and a number for the real
 * handle; the log says what struct fakelog holds.
 */
#ifndef TESTS_UNIT_FAKE_SERVER_H
#define TESTS_UNIT_FAKE_SERVER_H

#include "syncd/syncd.h"

struct fakelog {
	u64 first;
	u64 last;
	u64 durable;			/* an open descriptor makes it last */
	atomic_int opened;		/* how often a descriptor was asked for */
	int writer;			/* of the descriptor last opened */
	struct im_buf history;		/* records that a reader finds */
	struct im_fid lost;		/* no IM_FH_FID_INSIDE handle finds it */
};
extern struct fakelog fakelog;
#define FAKE_EPOCH	70
#define FAKE_EPOCH_END	22

/*
 * Begins the test: a directory of its own, the tree in it, the server on it as
 * fileset "t". False: no handles here, the test was skipped.
 */
bool fake_start(void);
bool fake_stop(void);			/* true: it ended well */
extern struct fset set;			/* "t" */
extern char top[];			/* top/t: the tree; top/sock: the socket */

const char *at(const char *name);	/* path in the tree, one at a time */
void put(const char *name, const void *p, size_t len, off_t off);
void fid_at(const char *name, struct im_fid *fid);
char *fid_text(const char *name);

/* A request. url: behind "http://x". method NULL: GET, or POST with body. */
struct reply {
	long status;			/* 0: the connection ended */
	struct im_buf body;		/* NUL behind it */
	double seconds;
};
struct ask {
	const char *method;
	const void *body;
	size_t len;
	u64 rate;			/* X-InterMezzo-Rate */
	const char *header;
	bool tcp;			/* not the unix socket */
};
void ask(struct reply *r, const char *url, const struct ask *how);
long ask_status(const char *url);
int tcp_connect(void);
int port_connect(int to);	/* of 127.0.0.1, as this: */
int free_port(void);

/* All frames of an answer. */
#define FRAMES 4096
struct frames {
	struct { unsigned int type; u8 *p; size_t len; } v[FRAMES];
	unsigned int n;
	int err;			/* not 200, broken, or half a frame */
};
int frames_keep(void *arg, unsigned int type, const u8 *p, size_t len);
void frames_free(struct frames *f);
struct frames *frames_ask(const char *url, const struct ask *how);
bool last_is(const struct frames *f, unsigned int type);

/* The body of a stat or data request. */
extern struct im_buf body;
void item(const char *name, const char *dir, const char *hint, u64 off,
	  u64 len);
struct frames *post(const char *url);	/* and empties it */

#endif /* TESTS_UNIT_FAKE_SERVER_H */
