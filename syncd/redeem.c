// SPDX-License-Identifier: GPL-2.0
/*
 * Invitations that are redeemed. Guessing a secret of 128 bits is hopeless at
 * any rate; that few guesses of an address are answered a minute is so that
 * trying costs the server nothing, its disk least of all.
 */
#include "request.h"

#include <syslog.h>
#include "peers.h"

#define TRIES		5		/* bad ones of an address ... */
#define TRIES_S		60		/* ... in this time */
#define ADDRS		256		/* the address longest silent is forgotten */

static struct {
	u8 addr[16];
	time_t since;			/* of the first bad one; 0: free */
	time_t last;
	unsigned int bad;
} tries[ADDRS];
static pthread_mutex_t tries_lock = PTHREAD_MUTEX_INITIALIZER;

static time_t clock_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + 1;
}

/* A host has as many IPv6 addresses as it likes in its /64. */
static void addr_of(const struct conn *c, u8 addr[16])
{
	static const u8 mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(addr, c->addr, 16);
	if (memcmp(addr, mapped, 12))
		memset(addr + 8, 0, 8);
}

/* Seconds to wait; 0: go on. bad: one more. */
static unsigned int tries_of(const struct conn *c, bool bad)
{
	time_t now = clock_s();
	unsigned int wait = 0;
	u8 addr[16];
	int i, at = 0;

	addr_of(c, addr);
	pthread_mutex_lock(&tries_lock);
	for (i = 0; i < ADDRS; i++) {
		if (tries[i].since && !memcmp(tries[i].addr, addr, 16)) {
			at = i;
			break;
		}
		if (tries[i].last < tries[at].last)
			at = i;
	}
	if (i < ADDRS && now - tries[at].since >= TRIES_S)
		tries[at].since = tries[at].last = tries[at].bad = 0;
	if (i < ADDRS && tries[at].bad >= TRIES)
		wait = (unsigned int)(tries[at].since + TRIES_S - now);
	if (bad) {
		if (i == ADDRS || !tries[at].since) {
			memcpy(tries[at].addr, addr, 16);
			tries[at].since = now;
			tries[at].bad = 0;
		}
		tries[at].bad++;
		tries[at].last = now;
	}
	pthread_mutex_unlock(&tries_lock);
	return wait;
}

unsigned int redeem(const struct conn *c, const char *fileset, bool there,
		    const void *body, size_t len, char *text, size_t size)
{
	char fp[FINGERPRINT_TEXT];
	struct im_wire_redeem w;
	unsigned int wait;
	int rc;

	if (!c->named) {
		snprintf(text, size, "an invitation is redeemed over TLS, by a client with a certificate");
		return 400;
	}
	wait = tries_of(c, false);
	if (wait) {
		snprintf(text, size, "too many invitations from this address were not good; try again in %u seconds",
			 wait);
		return 429;
	}
	if (redeem_get(body, len, &w)) {
		tries_of(c, true);
		snprintf(text, size, "this is not how an invitation is redeemed");
		return 400;
	}
	rc = peers_redeem(w.secret, fileset, c->fp, w.name, there, text, size);
	memset(&w.secret, 0, sizeof(w.secret));
	if (!rc) {
		fingerprint_text(c->fp, fp);
		logmsg(LOG_NOTICE, "%s: %s, fingerprint %s, may attach it now",
		       fileset, w.name, fp);
		return 200;
	}
	logmsg(LOG_NOTICE, "%s: an invitation was refused: %s", fileset, text);
	if (rc == -EACCES)
		tries_of(c, true);
	return rc == -EACCES ? 403 : 503;
}
