/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who this machine is to others: a key and a self-signed certificate, made on
 * first use and kept in LIB_DIR/identity.pem. Nobody vouches for certificates:
 * each side knows the other's public key by its fingerprint, the SHA-256 of
 * the key as it stands in the certificate (SubjectPublicKeyInfo), and nothing
 * else in a certificate matters.
 */
#ifndef _SYNCD_IDENTITY_H
#define _SYNCD_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include "common/user.h"

#define FINGERPRINT	32
#define FINGERPRINT_TEXT (2 * FINGERPRINT + 1)	/* lower-case hex, NUL */

/* What speaks TLS: nothing older than 1.3. */
#define TLS_PRIORITIES	"NORMAL:-VERS-ALL:+VERS-TLS1.3"

/*
 * Reads the identity, or makes it if there is none; then, and from any thread,
 * the others may be called. One that cannot be read is left alone: -errno, err
 * says why.
 */
int identity_get(char *err, size_t errlen);
const char *identity_pem(void);		/* certificate and key */
const char *identity_path(void);	/* of the file with both */
const u8 *identity_fingerprint(void);

/* The far side's of a gnutls_session_t; -ENOENT: it showed no certificate. */
int fingerprint_of_session(void *session, u8 fp[FINGERPRINT]);
int fingerprint_of_pem(const char *pem, u8 fp[FINGERPRINT]);
void fingerprint_text(const u8 fp[FINGERPRINT], char text[FINGERPRINT_TEXT]);
bool fingerprint_parse(const char *text, u8 fp[FINGERPRINT]);

#endif /* _SYNCD_IDENTITY_H */
