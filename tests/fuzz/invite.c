// SPDX-License-Identifier: GPL-2.0
/*
 * An invitation's text. Blind changes hardly ever get past its sum, so the same
 * bytes are also taken for what is under it: whatever is read, from either,
 * must be sane and make the same text again.
 * links: syncd/invite.c syncd/address.c syncd/identity.c syncd/durable.c syncd/peerfile.c
 */
#include "syncd/invite.h"

#include "fuzz.h"

struct syncd_conf conf;

void logmsg(int prio, const char *fmt, ...)
{
}

static void check(const char *text)
{
	char again[INVITE_TEXT], url[INVITE_URL];
	struct invite v;
	int rc = invite_parse(text, &v);

	must(!rc || rc == -EINVAL);
	if (rc)
		return;
	must(v.port && !im_fsname_check(v.name) && address_host_ok(v.host));
	invite_format(&v, again);
	must(!strcmp(text, again));
	invite_url(&v, url);
	must(strlen(url) < INVITE_URL - 1);
}

/* size bytes and their sum, as text: the length bytes may say anything. */
static void check_sealed(const uint8_t *data, size_t size)
{
	char text[INVITE_TEXT];

	if (invite_seal(data, size, text))
		check(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	must(text);
	memcpy(text, data, size);
	text[size] = '\0';
	check(text);
	free(text);
	check_sealed(data, size);
	return 0;
}
