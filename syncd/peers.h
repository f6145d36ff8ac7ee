/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which machines may attach what: peers, known by the fingerprint of their key
 * (identity.h), their rights, a grant for each fileset, and the invitations by
 * which they come in. All of it is one file, LIB_DIR/peers.json, replaced as a
 * whole: an invitation is used and the right is there, or neither.
 *
 * A change is made in a copy, which is on disk before it takes the place of
 * what requests are judged by. Times are seconds since 1970.
 */
#ifndef _SYNCD_PEERS_H
#define _SYNCD_PEERS_H

#include "identity.h"
#include "syncd.h"

#define PEER_NAME	64		/* with NUL */
#define PEERS_MAX	4096
#define GRANTS_MAX	16384
#define INVITATIONS_MAX	1024
#define INVITE_SECRET	16		/* bytes: 128 bits */

struct peer {
	u8 fp[FINGERPRINT];
	char name[PEER_NAME];		/* its host's; no two are the same */
	s64 since;
	s64 seen;			/* its last request, 0: never */
};

/* One that was taken back stays, so that its owner can be told. */
struct grant {
	u8 fp[FINGERPRINT];
	char fileset[IM_FSNAME_LEN + 1];
	s64 since;
	s64 revoked;			/* 0: in force */
};

/* One that was used or is too old stays for a while, for the same reason. */
struct invitation {
	u8 hash[FINGERPRINT];		/* SHA-256 of the secret */
	char fileset[IM_FSNAME_LEN + 1];
	s64 made;
	s64 expires;
	s64 used;			/* 0: not yet */
};

struct peers {
	struct peer *peer;
	struct grant *grant;
	struct invitation *invitation;
	size_t peers, grants, invitations;
};

/* peerfile.c, the file's text: *to is empty before, peers_free() after. */
int peers_parse(const char *text, size_t len, struct peers *to, char *err,
		size_t errlen);
char *peers_format(const struct peers *p);	/* malloc(); NULL: no memory */
void peers_free(struct peers *p);
/* Letters, digits, '.', '_', '-': what is shown of a peer's own name. */
bool peer_name_ok(const char *name);
/* The body of a redeem request; -EINVAL. */
int redeem_get(const void *body, size_t len, struct im_wire_redeem *w);

/* -errno: the file is not understood, and stays as it is. */
int peers_load(char *err, size_t errlen);
void peers_close(void);			/* notes when peers were last seen */
int peers_copy(struct peers *to);	/* as it is now, for peers_free() */
bool peers_expected(void);		/* somebody may come: a grant, an invitation */

/*
 * May the peer do something with that fileset ("": any)? Notes that it was
 * seen. -ENOENT: it has no right at all; -EACCES: not for this one;
 * -EKEYREVOKED: not any more.
 */
int peers_access(const u8 fp[FINGERPRINT], const char *fileset);

/* A new secret that is good once, for so many seconds. */
int peers_invite(const char *fileset, s64 seconds, u8 secret[INVITE_SECRET],
		 s64 *expires, char *err, size_t errlen);
/*
 * Makes fp a peer with the right that the secret stands for, durably. name:
 * what it calls itself. there: the fileset can be had now.
 * -EACCES: no such invitation, or no longer; -EAGAIN: not there; -errno: it
 * could not be written down. Nothing has changed then, and err says why.
 */
int peers_redeem(const u8 secret[INVITE_SECRET], const char *fileset,
		 const u8 fp[FINGERPRINT], const char *name, bool there,
		 char *err, size_t errlen);
/*
 * key: a peer's name, or the beginning of its fingerprint, at least 8 digits;
 * or that of an open invitation's number. fileset: NULL for all. *peer is whose
 * rights ended, its name "" if it was an invitation. -ENOENT, -EINVAL (several),
 * -EALREADY, other -errno: nothing has changed, err says why.
 */
int peers_revoke(const char *key, const char *fileset, struct peer *peer,
		 char *err, size_t errlen);

#endif /* _SYNCD_PEERS_H */
