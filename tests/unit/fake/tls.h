/* SPDX-License-Identifier: GPL-2.0 */
/* The server of server.h with TLS, and clients of it with keys of their own. */
#ifndef TESTS_UNIT_FAKE_TLS_H
#define TESTS_UNIT_FAKE_TLS_H

#include <curl/curl.h>
#include "server.h"
#include "syncd/identity.h"

extern int tls_port;
bool tls_start(void);		/* fake_start(), with TLS on tls_port */
int tls_connect(void);		/* a socket, no handshake yet */

/*
 * A daemon has one identity for its life, so others are made by the program
 * started anew with a directory as its argument, which it passes to
 * other_main(): other() is what identity_get() said there.
 */
int other_main(const char *dir);
int other(const char *dir);
/* An identity in top/name; file is its path. */
void make_other(const char *name, char file[300], u8 fp[FINGERPRINT]);
void other_fp(const char *file, u8 fp[FINGERPRINT]);

struct to {
	const char *pem;		/* NULL: no certificate */
	long version;			/* 0: what is to be used */
	const void *body;
	size_t len;
	const char *header;
	bool plain;			/* http:// to that port */
};
CURL *tls_curl(const char *url, const struct to *to, struct im_buf *b);
long say(struct reply *r, const char *url, const struct to *to);	/* NUL behind */
long status_by(const char *pem, const char *url);

#endif /* TESTS_UNIT_FAKE_TLS_H */
