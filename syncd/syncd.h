/* SPDX-License-Identifier: GPL-2.0 */
/*
 * intersyncd: what its parts share. The server side (server.c and what it
 * calls) runs in libmicrohttpd's threads, one per connection, plain blocking
 * code. The client side has one thread per attached fileset that owns the
 * order, and a pool that fetches. The control side (control.c) is reached over
 * the unix socket by root only.
 *
 * struct fset is shared by all: immutable after fset_add(), but for `stat`
 * (stat.lock), bucket, pace and refs. It lives until fset_put() drops the last reference;
 * requests hold one each.
 */
#ifndef _SYNCD_H
#define _SYNCD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <jansson.h>
#include "common/paths.h"
#include "common/record.h"
#include "common/wire.h"
#include "pace.h"
#include <linux/intermezzo.h>

/* Settings of the whole daemon, from the command line; fixed after start. */
struct syncd_conf {
	const char *run_dir;		/* SYNCD_RUN */
	const char *lib_dir;		/* SYNCD_LIB */
	const char *sock;		/* unix socket */
	char **listen;			/* NULL-terminated ADDR:PORT, loopback */
	char **listen_insecure;		/* ADDR:PORT, any address, plain TCP */
	char **listen_tls;		/* ADDR:PORT, any address; NULL: the usual */
	bool no_tls;
	const char *bwlimit;		/* in total, see timetable.h */
	int verbose;
};
extern struct syncd_conf conf;

/*
 * bucket.c: token bucket. Every byte sent or received (payload of the
 * connection: headers and bodies) goes through the fileset's and then the
 * daemon's bucket. The depth is 200 ms of the rate, of a slow one up to 16 KiB
 * or 500 ms.
 */
struct bucket {
	pthread_mutex_t lock;
	u64 rate;			/* bytes/s, 0: no limit */
	double tokens;			/* may go below zero */
	struct timespec last;		/* CLOCK_MONOTONIC */
	u64 total;			/* bytes that went through */
	atomic_bool limited;		/* now, or at some time before */
};
void bucket_init(struct bucket *b, u64 rate);
void bucket_set(struct bucket *b, u64 rate);
/* Takes n tokens; returns the ns that the caller must wait before it goes on. */
u64 bucket_take(struct bucket *b, u64 n);
/* Takes from each non-NULL bucket and sleeps; returns -EINTR when *stop is set. */
int bucket_wait(struct bucket *const *b, int count, u64 n, const atomic_bool *stop);
/* "500k", "2M", "1.5MiB/s", "8Mbit": bytes per second; -EINVAL. 0/"none": none */
int bucket_parse(const char *text, u64 *rate);
extern struct bucket bucket_daemon;

enum fset_role { FSET_EXPORT, FSET_ATTACH };

/* What status shows; written by the client or server side, under lock. */
struct fset_stat {
	pthread_mutex_t lock;
	char phase[32];			/* "serving"; "connecting", "snapshot",
					 * "following", "waiting", "stopped" */
	char error[512];		/* last error, empty when all is well */
	u64 server_durable;		/* attach: newest recno known at the server */
	u64 applied;			/* attach: last origin record applied */
	u64 low;			/* attach: all before is here, with its
					 * data, however it was folded */
	u64 ahead;			/* attach: newest record of which anything
					 * may be here; all ones: nobody knows */
	u64 inc;			/* attach: the server's incarnation */
	u64 turns;			/* changes of phase, and of the window to
					 * "nobody knows" */
	pthread_cond_t moved;		/* applied, low, phase */
	u64 files_done, files_all;	/* snapshot progress, all: 0 unknown */
	u64 bytes_done;			/* file data received */
	u64 wire_in, wire_out;		/* bytes on the wire */
	u64 records;			/* records applied or served */
	double lag;			/* seconds: age of the last applied record
					 * at the time it was applied */
	struct timespec in_step;	/* CLOCK_REALTIME of the last moment when
					 * applied == server_durable */
};

struct fset {
	struct fset *next;
	atomic_int refs;
	char name[IM_FSNAME_LEN + 1];	/* local name */
	enum fset_role role;
	char *dir;			/* mount point */
	char *url;			/* attach: where from, see client_url() */
	int fd;				/* mount root, O_RDONLY|O_DIRECTORY */
	dev_t dev;
	struct im_ioc_info info;	/* at mount */
	struct bucket bucket;
	struct pace pace;		/* the bucket's rate */
	struct fset_stat stat;
	atomic_bool stop;		/* detach, unexport, shutdown */
	atomic_int digests;		/* such requests under way */
	struct verify *verify;		/* attach, verify.c */
	struct client *client;		/* attach, client.c */
};

/* fileset.c: the registry, mounting. fset_find() returns a reference. */
struct fset *fset_find(const char *name);
void fset_put(struct fset *f);
void fset_error(struct fset *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));	/* into stat.error and the log; NULL fmt clears */
void fset_phase(struct fset *f, const char *phase);

/* fid.c: file handles. */
/* Opens the object by FID with flags (O_PATH for other than file, directory);
 * dir (or none) and name: where it may be. -ESTALE: gone, or not known to be in
 * this fileset. */
int fid_open(struct fset *f, const struct im_fid *fid, const struct im_fid *dir,
	     const char *name, int flags);
/* The same for one that is known to be in this fileset. -ESTALE: gone. */
int fid_open_known(struct fset *f, const struct im_fid *fid, int flags);
int fid_of(int dirfd, const char *name, struct im_fid *fid);	/* name "": dirfd itself */

/* server.c */
int server_start(void);
void server_stop(void);
/* Serves TLS too, if it does not yet. err says why not. */
int server_tls(char *err, size_t errlen);

/* control.c: requests under /ctl/ on the unix socket, by uid 0. Returns an
 * HTTP status, *answer is the JSON to send (owned by the caller). */
int control_handle(const char *method, const char *path, const char *body,
		   size_t len, json_t **answer);

/* client.c */
/* Checks a URL (HOST:NAME, HOST:PORT:NAME, http://HOST:PORT/NAME,
 * ssh://[USER@]HOST/NAME, tls://HOST[:PORT]/NAME#FINGERPRINT, unix:PATH:NAME)
 * and finds the server's name for the fileset; err gets a message. */
int client_url(const char *url, char name[IM_FSNAME_LEN + 1], char *err, size_t errlen);
/* Asks the server for its info, or redeems an invitation and has it by that;
 * used by attach before anything is made. redeem may be NULL. */
int client_probe(const char *url, const struct im_wire_redeem *redeem,
		 struct im_wire_info *info, char *err, size_t errlen);
int client_start(struct fset *f);	/* thread; errors go to stat */
void client_stop(struct fset *f);	/* joins */

struct remote;
/* Its server, for requests on the side. -ENOENT: its client does not run. */
int client_remote(struct fset *f, struct remote *r);

/* main.c */
void logmsg(int prio, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif /* _SYNCD_H */
