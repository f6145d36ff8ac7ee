// SPDX-License-Identifier: GPL-2.0
#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#define SEC		1000000000LL
#define TICK_NS		(SEC / 5)
#define IDLE_MAX	(120 * SEC)	/* between requests, and for a head */
#define HELLO_MAX	(30 * SEC)	/* for the handshake and the first head */
#define ROOM_MIN	(2 * SEC)	/* a stranger that is to make room */
#define SEND_MAX	(600 * SEC)	/* for one piece of an answer */
#define BODY_GRACE	(60 * SEC)	/* then a body must have come at ... */
#define BODY_RATE	256		/* ... this many bytes/s since it began */
#define TCP_DEAD_MS	120000		/* a silent peer holds nothing longer */

static pthread_mutex_t conn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t conn_wake;	/* the keeper is to end */
static struct conn *conns;
static struct rate *rates;
static bool conn_stopping;
static pthread_t conn_thread;

static s64 conn_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (s64)t.tv_sec * SEC + t.tv_nsec;
}

static bool conn_late(const struct conn *c, s64 now)
{
	s64 t = now - c->since;

	switch (c->state) {
	case CONN_IDLE:
		return t > (c->tls && !c->trusted ? HELLO_MAX : IDLE_MAX);
	case CONN_BODY:
		return t > BODY_GRACE &&
		       c->body < (u64)(t - BODY_GRACE) / SEC * BODY_RATE;
	case CONN_WORK:
		return false;
	case CONN_SEND:
		return t > SEND_MAX;
	}
	return false;
}

/* conn_lock held: the descriptor cannot be closed and used for another. */
static void conn_kick(struct conn *c)
{
	if (!atomic_exchange(&c->stop, true))
		shutdown(c->fd, SHUT_RDWR);
}

static void *conn_keeper(void *arg)
{
	struct timespec t;
	struct conn *c;
	s64 now;

	pthread_mutex_lock(&conn_lock);
	while (!conn_stopping) {
		now = conn_now();
		for (c = conns; c; c = c->next) {
			if (conn_late(c, now) ||
			    (c->f && atomic_load(&c->f->stop)))
				conn_kick(c);
		}
		now += TICK_NS;
		t.tv_sec = now / SEC;
		t.tv_nsec = now % SEC;
		pthread_cond_timedwait(&conn_wake, &conn_lock, &t);
	}
	pthread_mutex_unlock(&conn_lock);
	return arg;
}

int conn_start(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&conn_wake, &attr);
	pthread_condattr_destroy(&attr);
	conn_stopping = false;
	return -pthread_create(&conn_thread, NULL, conn_keeper, NULL);
}

void conn_shut(void)
{
	struct conn *c;

	pthread_mutex_lock(&conn_lock);
	conn_stopping = true;
	for (c = conns; c; c = c->next)
		conn_kick(c);
	pthread_cond_signal(&conn_wake);
	pthread_mutex_unlock(&conn_lock);
}

void conn_end(void)
{
	pthread_join(conn_thread, NULL);
	pthread_cond_destroy(&conn_wake);
}

/* False: not a TCP peer. */
static bool conn_addr(const struct sockaddr *sa, u8 addr[16])
{
	static const u8 mapped[12] = { [10] = 0xff, [11] = 0xff };

	memset(addr, 0, 16);
	if (sa->sa_family == AF_INET6) {
		memcpy(addr, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
		return true;
	}
	if (sa->sa_family == AF_INET) {
		memcpy(addr, mapped, 12);
		memcpy(addr + 12, &((const struct sockaddr_in *)sa)->sin_addr,
		       4);
		return true;
	}
	return false;
}

/* How many are there like this one, and to stay: of its kind, of its address. */
static void conn_count(bool local, const u8 addr[16], unsigned int *all,
		       unsigned int *same)
{
	struct conn *c;

	*all = 0;
	*same = 0;
	for (c = conns; c; c = c->next) {
		if (c->local != local || atomic_load(&c->stop))
			continue;
		(*all)++;
		if (!local && !memcmp(c->addr, addr, 16))
			(*same)++;
	}
}

/*
 * conn_lock held. The stranger that has been silent longest goes, of this
 * address or of any. False: there is none that had its time.
 */
static bool conn_make_room(const u8 addr[16], bool any)
{
	struct conn *c, *oldest = NULL;

	for (c = conns; c; c = c->next)
		if (c->tls && !c->trusted && !atomic_load(&c->stop) &&
		    (any || !memcmp(c->addr, addr, 16)) &&
		    (!oldest || c->since < oldest->since))
			oldest = c;
	if (!oldest || conn_now() - oldest->since < ROOM_MIN)
		return false;
	conn_kick(oldest);
	return true;
}

bool conn_admit(const struct sockaddr *sa)
{
	unsigned int all, same;
	bool local, yes;
	u8 addr[16];

	pthread_mutex_lock(&conn_lock);
	local = !conn_addr(sa, addr);
	do {
		conn_count(local, addr, &all, &same);
	} while (!local && (all >= CONN_MAX || same >= CONN_MAX_ADDR) &&
		 conn_make_room(addr, same < CONN_MAX_ADDR));
	yes = !conn_stopping && all < CONN_MAX + CONN_OVER &&
	      same < CONN_MAX_ADDR + CONN_OVER;
	pthread_mutex_unlock(&conn_lock);
	return yes;
}

struct conn *conn_new(int fd, const struct sockaddr *sa, bool tls)
{
	struct conn *c = calloc(1, sizeof(*c));
	socklen_t len = sizeof(struct ucred);
	unsigned int all, same;
	int one = 1, dead = TCP_DEAD_MS;
	struct ucred cred;

	if (!c)
		return NULL;
	c->fd = fd;
	c->tls = tls;
	c->uid = (uid_t)-1;
	c->local = !conn_addr(sa, c->addr);
	if (c->local) {
		if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
			c->uid = cred.uid;
	} else {
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead,
			   sizeof(dead));
	}
	c->since = conn_now();

	pthread_mutex_lock(&conn_lock);
	conn_count(c->local, c->addr, &all, &same);
	c->over = all >= CONN_MAX || same >= CONN_MAX_ADDR;
	c->next = conns;
	c->prev = &conns;
	if (conns)
		conns->prev = &c->next;
	conns = c;
	if (conn_stopping)
		conn_kick(c);
	pthread_mutex_unlock(&conn_lock);
	return c;
}

void conn_del(struct conn *c)
{
	pthread_mutex_lock(&conn_lock);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	pthread_mutex_unlock(&conn_lock);
	free(c);
}

void conn_set(struct conn *c, enum conn_state state)
{
	pthread_mutex_lock(&conn_lock);
	c->state = state;
	c->since = conn_now();
	c->body = 0;
	pthread_mutex_unlock(&conn_lock);
}

void conn_body(struct conn *c, size_t len)
{
	pthread_mutex_lock(&conn_lock);
	c->body += len;
	pthread_mutex_unlock(&conn_lock);
}

void conn_fset(struct conn *c, struct fset *f)
{
	pthread_mutex_lock(&conn_lock);
	c->f = f;
	pthread_mutex_unlock(&conn_lock);
}

/* conn_lock held. */
static bool conn_is(const struct conn *c, const u8 fp[FINGERPRINT])
{
	return c->named && !atomic_load(&c->stop) &&
	       !memcmp(c->fp, fp, FINGERPRINT);
}

void conn_name(struct conn *c, const u8 fp[FINGERPRINT])
{
	struct conn *other;
	unsigned int n = 0;

	pthread_mutex_lock(&conn_lock);
	for (other = conns; other; other = other->next)
		n += conn_is(other, fp);
	memcpy(c->fp, fp, FINGERPRINT);
	c->named = true;
	if (n >= CONN_MAX_PEER)
		c->over = true;
	pthread_mutex_unlock(&conn_lock);
}

void conn_trust(struct conn *c, bool trusted)
{
	pthread_mutex_lock(&conn_lock);
	c->trusted = trusted;
	pthread_mutex_unlock(&conn_lock);
}

bool conn_reserve(struct conn *c, u64 bytes)
{
	struct conn *other;
	u64 sum = bytes;
	bool yes;

	pthread_mutex_lock(&conn_lock);
	for (other = conns; c->named && other; other = other->next)
		if (other != c && conn_is(other, c->fp))
			sum += other->reserved;
	yes = !c->named || !bytes || sum <= CONN_PEER_BYTES;
	c->reserved = yes ? bytes : 0;
	pthread_mutex_unlock(&conn_lock);
	return yes;
}

unsigned int conn_count_peer(const u8 fp[FINGERPRINT])
{
	unsigned int n = 0;
	struct conn *c;

	pthread_mutex_lock(&conn_lock);
	for (c = conns; c; c = c->next)
		n += c->trusted && conn_is(c, fp);
	pthread_mutex_unlock(&conn_lock);
	return n;
}

void conn_shut_peer(const u8 fp[FINGERPRINT], const char *fileset)
{
	struct conn *c;

	pthread_mutex_lock(&conn_lock);
	for (c = conns; c; c = c->next)
		if (conn_is(c, fp) &&
		    (!fileset || (c->f && !strcmp(c->f->name, fileset))))
			conn_kick(c);
	pthread_mutex_unlock(&conn_lock);
}

struct rate *rate_get(struct conn *c, struct fset *f, u64 rate, u64 client)
{
	const struct conn *local = c->local ? c : NULL;
	struct rate *r;

	pthread_mutex_lock(&conn_lock);
	for (r = rates; r; r = r->next) {
		if (r->f != f || r->client != client)
			continue;
		if (client || (r->local == local &&
			       !memcmp(r->addr, c->addr, sizeof(r->addr))))
			break;
	}
	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			goto out_unlock;
		bucket_init(&r->bucket, rate);
		r->f = f;
		r->client = client;
		r->local = local;
		memcpy(r->addr, c->addr, sizeof(r->addr));
		r->next = rates;
		rates = r;
	} else if (r->bucket.rate != rate) {
		bucket_set(&r->bucket, rate);	/* the newest wish counts */
	}
	r->refs++;
out_unlock:
	pthread_mutex_unlock(&conn_lock);
	return r;
}

void rate_put(struct rate *r)
{
	struct rate **at;

	if (!r)
		return;
	pthread_mutex_lock(&conn_lock);
	if (--r->refs) {
		pthread_mutex_unlock(&conn_lock);
		return;
	}
	for (at = &rates; *at != r; at = &(*at)->next)
		;
	*at = r->next;
	pthread_mutex_unlock(&conn_lock);
	pthread_mutex_destroy(&r->bucket.lock);
	free(r);
}
