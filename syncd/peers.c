// SPDX-License-Identifier: GPL-2.0
#include "peers.h"

#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include "durable.h"

#define PEERS_FILE	"peers.json"
#define PEERS_BYTES	(16U << 20)
#define TELL_S		(30 * 86400)	/* how long an invitation that has ended
					 * is remembered */
#define KEY_MIN		8		/* digits of a fingerprint */

/*
 * change_lock: one change at a time, over the write to disk. now_lock: `now`,
 * for short; who changes it holds both, in this order.
 */
static pthread_mutex_t change_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t now_lock = PTHREAD_MUTEX_INITIALIZER;
static struct peers now;
static bool seen_since;		/* a peer, since the file was written; now_lock */

static s64 clock_s(void)
{
	return time(NULL);
}

/* Room for one more of each. */
static int copy_array(void *to, const void *from, size_t n, size_t size)
{
	void **at = to;

	*at = calloc(n + 1, size);
	if (!*at)
		return -ENOMEM;
	if (n)
		memcpy(*at, from, n * size);
	return 0;
}

int peers_copy(struct peers *to)
{
	int rc;

	memset(to, 0, sizeof(*to));
	pthread_mutex_lock(&now_lock);
	rc = copy_array(&to->peer, now.peer, now.peers, sizeof(*to->peer));
	if (!rc)
		rc = copy_array(&to->grant, now.grant, now.grants,
				sizeof(*to->grant));
	if (!rc)
		rc = copy_array(&to->invitation, now.invitation,
				now.invitations, sizeof(*to->invitation));
	if (!rc) {
		to->peers = now.peers;
		to->grants = now.grants;
		to->invitations = now.invitations;
	}
	pthread_mutex_unlock(&now_lock);
	if (rc)
		peers_free(to);
	return rc;
}

/* To disk; then, and only then, it counts. change_lock held; takes p. */
static int peers_set(struct peers *p, char *err, size_t errlen)
{
	char *text = peers_format(p);
	struct peers old;
	int rc = -ENOMEM;

	if (text)
		rc = durable_replace(conf.lib_dir, PEERS_FILE, text,
				     strlen(text));
	free(text);
	if (rc) {
		snprintf(err, errlen, "cannot write %s/%s: %s", conf.lib_dir,
			 PEERS_FILE, strerror(-rc));
		peers_free(p);
		return rc;
	}
	pthread_mutex_lock(&now_lock);
	old = now;
	now = *p;
	seen_since = false;
	pthread_mutex_unlock(&now_lock);
	peers_free(&old);
	return 0;
}

static char *read_file(const char *path, size_t *len)
{
	char *text = NULL;
	struct stat st;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	*len = 0;
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && st.st_size > PEERS_BYTES)
		errno = EFBIG;
	else
		text = malloc(st.st_size + 1);
	while (text && *len < (size_t)st.st_size) {
		n = read(fd, text + *len, st.st_size - *len);
		if (n <= 0)
			break;
		*len += n;
	}
	if (n < 0) {
		free(text);
		text = NULL;
	}
	close(fd);
	return text;
}

int peers_load(char *err, size_t errlen)
{
	char path[4096], why[256];
	struct peers p;
	char *text;
	size_t len;
	int rc;

	snprintf(path, sizeof(path), "%s/%s", conf.lib_dir, PEERS_FILE);
	text = read_file(path, &len);
	if (!text && errno == ENOENT)
		return 0;
	if (!text) {
		rc = -errno;
		snprintf(err, errlen, "cannot read %s: %s", path,
			 strerror(-rc));
		return rc;
	}
	rc = peers_parse(text, len, &p, why, sizeof(why));
	free(text);
	if (rc) {
		snprintf(err, errlen,
			 "cannot understand %s: %s; correct it, or move it away and invite all again",
			 path, why);
		return rc;
	}
	pthread_mutex_lock(&now_lock);
	peers_free(&now);
	now = p;
	pthread_mutex_unlock(&now_lock);
	return 0;
}

void peers_close(void)
{
	char err[512] = "";
	struct peers p;

	pthread_mutex_lock(&change_lock);
	if (seen_since && !peers_copy(&p) &&
	    peers_set(&p, err, sizeof(err)))
		logmsg(LOG_WARNING, "%s", err);
	pthread_mutex_lock(&now_lock);
	peers_free(&now);
	pthread_mutex_unlock(&now_lock);
	pthread_mutex_unlock(&change_lock);
}

bool peers_expected(void)
{
	bool yes = false;
	size_t i;

	pthread_mutex_lock(&now_lock);
	for (i = 0; i < now.grants && !yes; i++)
		yes = !now.grant[i].revoked;
	for (i = 0; i < now.invitations && !yes; i++)
		yes = !now.invitation[i].used &&
		      now.invitation[i].expires > clock_s();
	pthread_mutex_unlock(&now_lock);
	return yes;
}

static struct peer *find_peer(const struct peers *p, const u8 fp[FINGERPRINT])
{
	size_t i;

	for (i = 0; i < p->peers; i++)
		if (!memcmp(p->peer[i].fp, fp, FINGERPRINT))
			return &p->peer[i];
	return NULL;
}

static struct grant *find_grant(const struct peers *p, const u8 fp[FINGERPRINT],
				const char *fileset)
{
	size_t i;

	for (i = 0; i < p->grants; i++)
		if (!memcmp(p->grant[i].fp, fp, FINGERPRINT) &&
		    !strcmp(p->grant[i].fileset, fileset))
			return &p->grant[i];
	return NULL;
}

static bool has_any(const struct peers *p, const u8 fp[FINGERPRINT])
{
	size_t i;

	for (i = 0; i < p->grants; i++)
		if (!p->grant[i].revoked &&
		    !memcmp(p->grant[i].fp, fp, FINGERPRINT))
			return true;
	return false;
}

int peers_access(const u8 fp[FINGERPRINT], const char *fileset)
{
	struct grant *g;
	struct peer *p;
	bool any;
	int rc = 0;

	pthread_mutex_lock(&now_lock);
	any = has_any(&now, fp);
	g = find_grant(&now, fp, fileset);
	if (g ? g->revoked : (*fileset || !any))
		rc = g ? -EKEYREVOKED : any ? -EACCES : -ENOENT;
	p = any ? find_peer(&now, fp) : NULL;
	if (p) {
		p->seen = clock_s();
		seen_since = true;
	}
	pthread_mutex_unlock(&now_lock);
	return rc;
}

static int secret_hash(const u8 secret[INVITE_SECRET], u8 hash[FINGERPRINT])
{
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, secret, INVITE_SECRET,
				hash) ? -EIO : 0;
}

/* What nobody will ask about any more. */
static void forget_old(struct peers *p)
{
	s64 before = clock_s() - TELL_S, end;
	size_t i, n = 0;

	for (i = 0; i < p->invitations; i++) {
		end = p->invitation[i].used ? p->invitation[i].used :
					      p->invitation[i].expires;
		if (end >= before)
			p->invitation[n++] = p->invitation[i];
	}
	p->invitations = n;
}

int peers_invite(const char *fileset, s64 seconds, u8 secret[INVITE_SECRET],
		 s64 *expires, char *err, size_t errlen)
{
	struct invitation *v;
	struct peers p;
	int rc;

	pthread_mutex_lock(&change_lock);
	rc = peers_copy(&p);
	if (rc) {
		snprintf(err, errlen, "out of memory");
		goto out_unlock;
	}
	forget_old(&p);
	if (p.invitations == INVITATIONS_MAX) {
		snprintf(err, errlen, "there are %d invitations already; revoke some, or wait until they expire",
			 INVITATIONS_MAX);
		rc = -E2BIG;
		goto err_free;
	}
	v = &p.invitation[p.invitations++];
	memset(v, 0, sizeof(*v));
	if (gnutls_rnd(GNUTLS_RND_KEY, secret, INVITE_SECRET) ||
	    secret_hash(secret, v->hash)) {
		snprintf(err, errlen, "cannot make a secret");
		rc = -EIO;
		goto err_free;
	}
	strcpy(v->fileset, fileset);
	v->made = clock_s();
	v->expires = *expires = v->made + seconds;
	rc = peers_set(&p, err, errlen);
	goto out_unlock;

err_free:
	peers_free(&p);
out_unlock:
	pthread_mutex_unlock(&change_lock);
	return rc;
}

/* All are looked at, and each takes the same time, whatever they hold. */
static struct invitation *find_invitation(const struct peers *p,
					  const u8 hash[FINGERPRINT])
{
	struct invitation *found = NULL;
	size_t i;

	for (i = 0; i < p->invitations; i++)
		if (!gnutls_memcmp(p->invitation[i].hash, hash, FINGERPRINT))
			found = &p->invitation[i];
	return found;
}

/* Why it is not good; NULL if it is. */
static const char *invitation_bad(const struct invitation *v,
				  const char *fileset)
{
	if (!v)
		return "no such invitation was ever made here, or it was revoked";
	if (strcmp(v->fileset, fileset))
		return "this invitation is for another fileset";
	if (v->used)
		return "this invitation has been used already";
	if (v->expires <= clock_s())
		return "this invitation has expired";
	return NULL;
}

static bool name_taken(const struct peers *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->peers; i++)
		if (!strcmp(p->peer[i].name, name))
			return true;
	return false;
}

/* Nobody can go by another's name: the second is NAME-2. */
static void take_name(const struct peers *p, struct peer *peer,
		      const char *name)
{
	int n = 1;

	if (!peer_name_ok(name))
		name = "unnamed";
	snprintf(peer->name, sizeof(peer->name), "%s", name);
	while (name_taken(p, peer->name))
		snprintf(peer->name, sizeof(peer->name), "%.50s-%d", name, ++n);
}

/* The peer and its right. */
static int let_in(struct peers *p, const u8 fp[FINGERPRINT], const char *name,
		  const char *fileset)
{
	struct grant *g = find_grant(p, fp, fileset);
	struct peer peer = { .since = clock_s() };

	if (!find_peer(p, fp)) {
		if (p->peers == PEERS_MAX)
			return -E2BIG;
		memcpy(peer.fp, fp, FINGERPRINT);
		take_name(p, &peer, name);
		p->peer[p->peers++] = peer;
	}
	if (!g) {
		if (p->grants == GRANTS_MAX)
			return -E2BIG;
		g = &p->grant[p->grants++];
		memcpy(g->fp, fp, FINGERPRINT);
		strcpy(g->fileset, fileset);
	}
	g->since = clock_s();
	g->revoked = 0;
	return 0;
}

int peers_redeem(const u8 secret[INVITE_SECRET], const char *fileset,
		 const u8 fp[FINGERPRINT], const char *name, bool there,
		 char *err, size_t errlen)
{
	u8 hash[FINGERPRINT];
	struct invitation *v;
	struct peers p;
	const char *bad;
	int rc = secret_hash(secret, hash);

	if (rc)
		return rc;
	pthread_mutex_lock(&change_lock);
	rc = peers_copy(&p);
	if (rc) {
		snprintf(err, errlen, "out of memory, try again later");
		goto out_unlock;
	}
	v = find_invitation(&p, hash);
	bad = invitation_bad(v, fileset);
	if (bad) {
		snprintf(err, errlen, "%s", bad);
		rc = -EACCES;
	} else if (!there) {
		snprintf(err, errlen, "fileset '%s' is not to be had at the moment; the invitation stays good, try again later",
			 fileset);
		rc = -EAGAIN;
	} else {
		v->used = clock_s();
		rc = let_in(&p, fp, name, fileset);
		if (rc)
			snprintf(err, errlen, "there are too many peers");
	}
	if (rc)
		peers_free(&p);
	else
		rc = peers_set(&p, err, errlen);
out_unlock:
	pthread_mutex_unlock(&change_lock);
	return rc;
}

static bool key_is(const char *key, const u8 fp[FINGERPRINT])
{
	char text[FINGERPRINT_TEXT];
	size_t len = strlen(key);

	fingerprint_text(fp, text);
	return len >= KEY_MIN && len < sizeof(text) && !memcmp(key, text, len);
}

/*
 * A peer chooses its name, so a name that could also be meant as another's
 * fingerprint means nobody.
 */
static int find_key(const struct peers *p, const char *key, struct peer **peer,
		    struct invitation **v)
{
	int found = 0;
	size_t i;

	*peer = NULL;
	*v = NULL;
	for (i = 0; i < p->peers; i++) {
		if (strcmp(p->peer[i].name, key) && !key_is(key, p->peer[i].fp))
			continue;
		*peer = &p->peer[i];
		found++;
	}
	for (i = 0; i < p->invitations; i++) {
		if (p->invitation[i].used || !key_is(key, p->invitation[i].hash))
			continue;
		*v = &p->invitation[i];
		found++;
	}
	return found;
}

int peers_revoke(const char *key, const char *fileset, struct peer *peer,
		 char *err, size_t errlen)
{
	struct invitation *v;
	struct peers p;
	struct peer *who;
	size_t i, n = 0;
	int rc, found;

	memset(peer, 0, sizeof(*peer));
	pthread_mutex_lock(&change_lock);
	rc = peers_copy(&p);
	if (rc) {
		snprintf(err, errlen, "out of memory");
		goto out_unlock;
	}
	found = find_key(&p, key, &who, &v);
	if (found != 1) {
		snprintf(err, errlen, found ?
			 "\"%.80s\" can mean %d peers; give more of the fingerprint" :
			 "there is no peer \"%.80s\"; see: intermezzoctl peers",
			 key, found);
		rc = found ? -EINVAL : -ENOENT;
		goto err_free;
	}
	for (i = 0; who && i < p.grants; i++) {
		if (memcmp(p.grant[i].fp, who->fp, FINGERPRINT) ||
		    p.grant[i].revoked ||
		    (fileset && strcmp(p.grant[i].fileset, fileset)))
			continue;
		p.grant[i].revoked = clock_s();
		n++;
	}
	if (who && !n) {
		snprintf(err, errlen, "\"%s\" has no access to %s%s", who->name,
			 fileset ? fileset : "anything",
			 fileset ? "" : ", so there is nothing to revoke");
		rc = -EALREADY;
		goto err_free;
	}
	if (who)
		*peer = *who;
	else
		*v = p.invitation[--p.invitations];
	rc = peers_set(&p, err, errlen);
	goto out_unlock;

err_free:
	peers_free(&p);
out_unlock:
	pthread_mutex_unlock(&change_lock);
	return rc;
}
