// SPDX-License-Identifier: GPL-2.0
#include "pin.h"

#include <gnutls/gnutls.h>
#include <stdio.h>

int pin_setup(CURL *c, const u8 server[FINGERPRINT])
{
	const gnutls_datum_t fp = { (unsigned char *)server, FINGERPRINT };
	gnutls_datum_t base64;
	char pin[64];

	if (gnutls_base64_encode2(&fp, &base64))
		return -ENOMEM;
	snprintf(pin, sizeof(pin), "sha256//%.*s", (int)base64.size,
		 base64.data);
	gnutls_free(base64.data);
	if (curl_easy_setopt(c, CURLOPT_PINNEDPUBLICKEY, pin) ||
	    curl_easy_setopt(c, CURLOPT_SSLVERSION,
			     (long)CURL_SSLVERSION_TLSv1_3) ||
	    curl_easy_setopt(c, CURLOPT_SSLCERT, identity_path()) ||
	    curl_easy_setopt(c, CURLOPT_SSLKEY, identity_path()))
		return -EOPNOTSUPP;
	/* the pin says more than any authority; so do not read their keys */
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(c, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(c, CURLOPT_CERTINFO, 1L);	/* for pin_error() */
	return 0;
}

static const char *shown_pem(CURL *c)
{
	struct curl_certinfo *info = NULL;
	struct curl_slist *s;

	if (curl_easy_getinfo(c, CURLINFO_CERTINFO, &info) || !info ||
	    info->num_of_certs < 1)
		return NULL;
	for (s = info->certinfo[0]; s; s = s->next)
		if (!strncmp(s->data, "Cert:", 5))
			return s->data + 5;
	return NULL;
}

void pin_error(CURL *c, const u8 server[FINGERPRINT], const char *where,
	       char *err, size_t errlen)
{
	char want[FINGERPRINT_TEXT], got[FINGERPRINT_TEXT] = "none";
	const char *pem = shown_pem(c);
	u8 fp[FINGERPRINT];

	fingerprint_text(server, want);
	if (pem && !fingerprint_of_pem(pem, fp))
		fingerprint_text(fp, got);
	snprintf(err, errlen,
		 "%s is not the server that it was: the fingerprint of its key is %s, and not %s; if it was set up anew, get a new invitation, detach and attach again; if not, somebody is in between, who was told nothing",
		 where, got, want);
}
