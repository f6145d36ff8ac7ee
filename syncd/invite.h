/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An invitation as it is handed on: one word of letters, digits, '-' and '_',
 * "im1-" and base64url of
 *
 *   fingerprint of the server [32]
 *   secret [16]
 *   port [2], big-endian
 *   length of the fileset's name [1], the name
 *   length of the host [1], the host
 *   XXH32 of all before, big-endian [4]
 *
 * The sum is there to tell a slip in copying from a server that is another one;
 * the secret is what nobody can make up.
 */
#ifndef _SYNCD_INVITE_H
#define _SYNCD_INVITE_H

#include "main.h"
#include "peers.h"

#define INVITE_PREFIX	"im1-"
#define INVITE_TEXT	512		/* a buffer for any, with NUL */

struct invite {
	u8 server[FINGERPRINT];
	u8 secret[INVITE_SECRET];
	u16 port;
	char name[IM_FSNAME_LEN + 1];
	char host[ADDRESS_HOST_MAX + 1];
};

/* Is it meant to be one? */
static inline bool invite_is(const char *text)
{
	return !strncmp(text, INVITE_PREFIX, strlen(INVITE_PREFIX));
}

/* There is one text for each invitation; all others are -EINVAL. */
int invite_parse(const char *text, struct invite *v);
/* The text of these bytes, sum added; false: too many. Fuzzers use it, too. */
bool invite_seal(const void *content, size_t len, char text[INVITE_TEXT]);
void invite_format(const struct invite *v, char text[INVITE_TEXT]);
/* The address to remember once it is redeemed: "tls://HOST:PORT/NAME#FP". */
#define INVITE_URL	480
void invite_url(const struct invite *v, char url[INVITE_URL]);

#endif /* _SYNCD_INVITE_H */
