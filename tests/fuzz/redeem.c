// SPDX-License-Identifier: GPL-2.0
/*
 * The body of a redeem request: what is taken has a name that may be shown and
 * nothing behind it.
 * links: syncd/peerfile.c syncd/identity.c syncd/durable.c
 */
#include "syncd/peers.h"

#include "fuzz.h"

struct syncd_conf conf;

void logmsg(int prio, const char *fmt, ...)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *p = fuzz_copy(data, size, 1);
	struct im_wire_redeem w;
	int rc = redeem_get(p + 1, size, &w);
	size_t i;

	must(!rc || rc == -EINVAL);
	must(rc || size == sizeof(w));
	if (!rc) {
		must(!memcmp(&w, p + 1, size) && peer_name_ok(w.name));
		for (i = strlen(w.name); i < sizeof(w.name); i++)
			must(!w.name[i]);
	}
	free(p);
	return 0;
}
