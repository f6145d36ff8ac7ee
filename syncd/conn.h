/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections to the server: who is there, limits, deadlines.
 *
 * A connection is used by its own thread; `stop` is set by others (its fileset
 * stops, the server stops, a deadline passed), who also shut the socket down,
 * so that whatever the thread waits in ends. The socket is closed by the HTTP
 * library after conn_del().
 */
#ifndef _SYNCD_CONN_H
#define _SYNCD_CONN_H

#include <sys/socket.h>
#include "identity.h"
#include "syncd.h"

/*
 * Connections over the limits get a 503 as long as there are few of those, and
 * are closed at once from then on. The unix socket counts apart: whoever
 * floods the network does not lock out the administrator. Nor do strangers
 * lock out peers: the TLS connection of no known peer that has been silent
 * longest is shut to make room for a new one.
 */
#define CONN_MAX	256
#define CONN_MAX_ADDR	64		/* of one address */
#define CONN_MAX_PEER	32		/* of one key; a client has up to 6 */
#define CONN_PEER_BYTES	(512ULL << 20)	/* its request bodies together */
#define CONN_OVER	16		/* more, to be told */

enum conn_state {
	CONN_IDLE,		/* no whole request head yet */
	CONN_BODY,		/* request body under way */
	CONN_WORK,		/* we are busy */
	CONN_SEND,		/* a piece of the answer waits to be taken */
};

struct conn {
	struct conn *next;		/* conn_lock */
	struct conn **prev;
	int fd;
	bool local;			/* unix socket */
	bool over;			/* beyond the limits: 503 */
	uid_t uid;			/* local: who is there */
	bool tls;
	bool named;			/* tls: fp is there */
	u8 fp[FINGERPRINT];
	u8 addr[16];			/* else: IPv6, IPv4 mapped */
	atomic_bool stop;
	/* conn_lock */
	enum conn_state state;
	s64 since;			/* ns; when it began */
	u64 body;			/* bytes that came in CONN_BODY */
	u64 reserved;			/* for the body under way */
	bool trusted;			/* fp was found to have a right */
	struct fset *f;			/* borrowed from the request */
};

int conn_start(void);		/* the thread that keeps the deadlines */
void conn_shut(void);		/* all connections end; no new ones */
void conn_end(void);		/* after the last conn_del() */
bool conn_admit(const struct sockaddr *sa);
struct conn *conn_new(int fd, const struct sockaddr *sa, bool tls);
void conn_del(struct conn *c);
void conn_set(struct conn *c, enum conn_state state);
void conn_body(struct conn *c, size_t len);
void conn_fset(struct conn *c, struct fset *f);	/* NULL: none */
/* Whose key it is; sets `over` if the peer has too many connections. */
void conn_name(struct conn *c, const u8 fp[FINGERPRINT]);
void conn_trust(struct conn *c, bool trusted);
/* Room for a body; false: the peer has too much under way. */
bool conn_reserve(struct conn *c, u64 bytes);
/* Connections of a peer that has a right. */
unsigned int conn_count_peer(const u8 fp[FINGERPRINT]);
/* Shuts what that peer does with the fileset now; NULL: all it does. */
void conn_shut_peer(const u8 fp[FINGERPRINT], const char *fileset);

/*
 * X-InterMezzo-Rate: one bucket for all connections of a client to a fileset.
 * Who gives no id is told by his address, a unix connection is alone.
 */
struct rate {
	struct rate *next;		/* conn_lock, as are refs and key */
	int refs;
	const struct fset *f;
	u64 client;			/* id, or 0: local and addr tell */
	const struct conn *local;
	u8 addr[16];
	struct bucket bucket;
};
struct rate *rate_get(struct conn *c, struct fset *f, u64 rate, u64 client);
void rate_put(struct rate *r);

#endif /* _SYNCD_CONN_H */
