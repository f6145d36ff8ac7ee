// SPDX-License-Identifier: GPL-2.0
#include "identity.h"

#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>
#include "durable.h"
#include "syncd.h"

#define IDENTITY_FILE	"identity.pem"
#define IDENTITY_MAX	(16U << 10)
#define SERIAL		16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Written once, under lock. */
static char *identity;
static char path[4096];
static u8 fingerprint[FINGERPRINT];

const char *identity_pem(void)
{
	return identity;
}

const char *identity_path(void)
{
	return path;
}

const u8 *identity_fingerprint(void)
{
	return fingerprint;
}

void fingerprint_text(const u8 fp[FINGERPRINT], char text[FINGERPRINT_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	int i;

	for (i = 0; i < FINGERPRINT; i++) {
		text[2 * i] = digits[fp[i] >> 4];
		text[2 * i + 1] = digits[fp[i] & 15];
	}
	text[2 * i] = '\0';
}

bool fingerprint_parse(const char *text, u8 fp[FINGERPRINT])
{
	static const char digits[] = "0123456789abcdef";
	const char *d;
	int i;

	if (strlen(text) != FINGERPRINT_TEXT - 1)
		return false;
	for (i = 0; i < 2 * FINGERPRINT; i++) {
		d = strchr(digits, text[i]);
		if (!d)
			return false;
		fp[i / 2] = (u8)(fp[i / 2] << 4 | (d - digits));
	}
	return true;
}

static int fingerprint_of(gnutls_x509_crt_t crt, u8 fp[FINGERPRINT])
{
	size_t size = FINGERPRINT;

	if (gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, fp,
				       &size) || size != FINGERPRINT)
		return -EBADMSG;
	return 0;
}

static int fingerprint_of_datum(const gnutls_datum_t *d,
				gnutls_x509_crt_fmt_t format,
				u8 fp[FINGERPRINT])
{
	gnutls_x509_crt_t crt;
	int rc = -EBADMSG;

	if (gnutls_x509_crt_init(&crt))
		return -ENOMEM;
	if (!gnutls_x509_crt_import(crt, d, format))
		rc = fingerprint_of(crt, fp);
	gnutls_x509_crt_deinit(crt);
	return rc;
}

/* The handshake has proved that the far side has the first one's key. */
int fingerprint_of_session(void *session, u8 fp[FINGERPRINT])
{
	const gnutls_datum_t *list;
	unsigned int n = 0;

	if (gnutls_certificate_type_get2(session, GNUTLS_CTYPE_PEERS) !=
	    GNUTLS_CRT_X509)
		return -ENOENT;
	list = gnutls_certificate_get_peers(session, &n);
	if (!list || !n)
		return -ENOENT;
	return fingerprint_of_datum(&list[0], GNUTLS_X509_FMT_DER, fp);
}

int fingerprint_of_pem(const char *pem, u8 fp[FINGERPRINT])
{
	const gnutls_datum_t d = { (unsigned char *)pem,
				   (unsigned int)strlen(pem) };

	return fingerprint_of_datum(&d, GNUTLS_X509_FMT_PEM, fp);
}

/*
 * Says nothing about the machine, since everybody who connects can read it.
 * Its time is that of no clock: nobody looks at it, and one that runs out would
 * only be a nuisance.
 */
static int make_certificate(gnutls_x509_privkey_t key, gnutls_x509_crt_t crt)
{
	u8 serial[SERIAL];
	int rc;

	rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 1;	/* positive */
	if (!rc)
		rc = gnutls_x509_crt_set_version(crt, 3);
	if (!rc)
		rc = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (!rc)
		rc = gnutls_x509_crt_set_activation_time(crt, 946684800);
	if (!rc)
		rc = gnutls_x509_crt_set_expiration_time(crt,
					GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION);
	if (!rc)
		rc = gnutls_x509_crt_set_dn_by_oid(crt,
					GNUTLS_OID_X520_COMMON_NAME, 0,
					"InterMezzo", 10);
	if (!rc)
		rc = gnutls_x509_crt_set_key(crt, key);
	if (!rc)
		rc = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_UNKNOWN, 0);
	return rc;
}

/*
 * A new key and its certificate as one text of malloc(); NULL: err has why.
 * P-256, since libcurl 7.88 cannot tell of an Ed25519 certificate (pin_error()).
 */
static char *make_pem(char *err, size_t errlen)
{
	gnutls_datum_t cert = { 0 }, secret = { 0 };
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	char *pem = NULL;
	int rc;

	rc = gnutls_x509_privkey_init(&key);
	if (rc)
		goto out;
	rc = gnutls_x509_crt_init(&crt);
	if (rc)
		goto out_key;
	rc = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
		GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (!rc)
		rc = make_certificate(key, crt);
	if (!rc)
		rc = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &cert);
	if (!rc)
		rc = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM,
						       NULL,
						       GNUTLS_PKCS_PLAIN,
						       &secret);
	if (!rc && asprintf(&pem, "%.*s%.*s", (int)cert.size, cert.data,
			    (int)secret.size, secret.data) < 0)
		pem = NULL;
	if (secret.data)
		gnutls_memset(secret.data, 0, secret.size);
	gnutls_free(secret.data);
	gnutls_free(cert.data);
	gnutls_x509_crt_deinit(crt);
out_key:
	gnutls_x509_privkey_deinit(key);
out:
	if (!pem)
		snprintf(err, errlen, "cannot make a key for TLS: %s",
			 rc ? gnutls_strerror(rc) : "out of memory");
	return pem;
}

/* Has it a certificate, and the key that belongs to it? */
static bool pem_ok(const char *pem)
{
	const gnutls_datum_t d = { (unsigned char *)pem,
				   (unsigned int)strlen(pem) };
	gnutls_certificate_credentials_t cred;
	int rc;

	if (gnutls_certificate_allocate_credentials(&cred))
		return false;
	rc = gnutls_certificate_set_x509_key_mem2(cred, &d, &d,
						  GNUTLS_X509_FMT_PEM, NULL, 0);
	gnutls_certificate_free_credentials(cred);
	return rc >= 0;
}

/* *pem stays NULL if there is none. */
static int read_pem(char **pem, char *err, size_t errlen)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;
	int rc;

	if (fd < 0 && errno == ENOENT)
		return 0;
	*pem = fd < 0 ? NULL : calloc(1, IDENTITY_MAX);
	n = *pem ? read(fd, *pem, IDENTITY_MAX - 1) : -1;
	rc = n < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (rc)
		snprintf(err, errlen, "cannot read %s: %s", path,
			 strerror(-rc));
	else if (!pem_ok(*pem) || fingerprint_of_pem(*pem, fingerprint))
		rc = -EINVAL;
	if (rc == -EINVAL)
		snprintf(err, errlen,
			 "%s is not a certificate with its key; restore it from a backup, or remove it: a new one is made then, and every machine that knew this one by the old one must be invited, or must attach, again",
			 path);
	return rc;
}

int identity_get(char *err, size_t errlen)
{
	char *pem = NULL;
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (identity)
		goto out_unlock;
	snprintf(path, sizeof(path), "%s/%s", conf.lib_dir, IDENTITY_FILE);
	rc = read_pem(&pem, err, errlen);
	if (rc)
		goto err_free;
	if (!pem) {
		pem = make_pem(err, errlen);
		rc = pem ? fingerprint_of_pem(pem, fingerprint) : -EIO;
		if (rc)
			goto err_free;
		/* nobody may see it before it is certain to come back */
		rc = durable_replace(conf.lib_dir, IDENTITY_FILE, pem,
				     strlen(pem));
		if (rc) {
			snprintf(err, errlen, "cannot write %s: %s", path,
				 strerror(-rc));
			goto err_free;
		}
		logmsg(LOG_NOTICE, "made a key for TLS: %s", path);
	}
	identity = pem;
	goto out_unlock;

err_free:
	free(pem);
out_unlock:
	pthread_mutex_unlock(&lock);
	return rc;
}
