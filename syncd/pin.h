/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TLS as a client: a transfer shows our certificate and goes to the server with
 * that fingerprint or to nobody. No authority is asked; nothing is sent before
 * the server has proved that it has the key.
 */
#ifndef _SYNCD_PIN_H
#define _SYNCD_PIN_H

#include <curl/curl.h>
#include "identity.h"

/* After identity_get(). */
int pin_setup(CURL *c, const u8 server[FINGERPRINT]);
/* The transfer ended with CURLE_SSL_PINNEDPUBKEYNOTMATCH: who was that? */
void pin_error(CURL *c, const u8 server[FINGERPRINT], const char *where,
	       char *err, size_t errlen);

#endif /* _SYNCD_PIN_H */
