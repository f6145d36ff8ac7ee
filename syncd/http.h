/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A server as seen from a client: where it is (struct remote), and requests to
 * it, one at a time per struct http, which keeps its connection. A struct http
 * belongs to one thread; a remote is read by all.
 */
#ifndef _SYNCD_HTTP_H
#define _SYNCD_HTTP_H

#include "identity.h"
#include "syncd.h"

struct remote {
	char name[IM_FSNAME_LEN + 1];	/* of the fileset at the server */
	char base[512];			/* "http://HOST:PORT/im/1/NAME/" */
	bool tls;			/* then base is https:// ... */
	u8 server[FINGERPRINT];		/* ... and this is who answers there */
	char path[108];			/* unix socket, or "" */
	char ssh_host[256];		/* [USER@]HOST, or "" */
	char ssh_port[8];		/* or "" */
	struct ssh *ssh;		/* once remote_open() was called */
};

/* -EINVAL with a message in err. */
int remote_parse(struct remote *r, const char *url, char *err, size_t errlen);
/*
 * Starts the carrier that ssh:// needs; tag tells its socket from others. For
 * tls:// there is an identity of ours then. err says why not.
 */
int remote_open(struct remote *r, const char *tag, char *err, size_t errlen);
void remote_close(struct remote *r);

struct http;

/* f: whose buckets and counters bytes go through; NULL for none. */
struct http *http_new(const struct remote *r, struct fset *f,
		      const atomic_bool *stop);
void http_free(struct http *h);

typedef int (*http_frame_fn)(void *arg, unsigned int type, const u8 *payload,
			     size_t len);

/*
 * One request below the fileset's URL: GET, or POST of body if that is not
 * NULL. Calls fn for each frame of the answer; its error ends the transfer and
 * is returned. ERROR frames are turned into an error here.
 *   -ECANCELED  stop was set          -ENOLINK    no connection, or it broke
 *   -ESTALE     410, 409              -ENOENT     404
 *   -ECONNREFUSED  403, or not the server that it should be
 *   -EPROTO     anything else unexpected
 * Errors of the far side's files come back as -EREMOTEIO.
 */
int http_frames(struct http *h, const char *what, const void *body, size_t len,
		http_frame_fn fn, void *arg);
/*
 * An answer that a cache on the way may give ("what may be cached" in
 * intermezzo_wire.h). what names all of s; asked: what ABOUT must repeat. After
 * an error what has come is to be thrown away, and for some time http_epoch()
 * is 0, so that the next try goes past the cache. -EBADMSG: it is the answer to
 * something else, or half of one. -ESTALE, -ENOENT: nothing has come; the
 * server may not know any more what epoch a record was of, and have its file.
 */
struct http_shared {
	u64 inc, seen, epoch;
	const char *asked;
};
int http_shared(struct http *h, const char *what, const struct http_shared *s,
		http_frame_fn fn, void *arg);
/* The epoch of the records that are applied from now on; 0: not known. */
void http_history(struct http *h, u64 epoch);
/* The same for http_shared(); 0: ask in another way. */
u64 http_epoch(const struct http *h);
/* A cache has said that it is there. */
bool http_cached(const struct http *h);
int http_info(struct http *h, struct im_wire_info *info);
int http_redeem(struct http *h, const struct im_wire_redeem *redeem,
		struct im_wire_info *info);
/*
 * The same once all that is logged at the server by now is durable there; args:
 * of lineage.c, or "".
 */
int http_now(struct http *h, u64 inc, const char *args,
	     struct im_wire_info *info);
/* Requests from now on may take so long in all; 0: as long as they move. */
void http_limit(struct http *h, unsigned int ms);

/* What went wrong with the last request; never NULL. */
const char *http_error(const struct http *h);

/* True if the error is of the connection or the server, not of this machine. */
bool http_is_remote(int err);

#endif /* _SYNCD_HTTP_H */
