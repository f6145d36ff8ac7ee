// SPDX-License-Identifier: GPL-2.0
/*
 * peers.json: what is taken is sane, and written and read again the same.
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
	uint8_t *in = fuzz_copy(data, size, 0);
	struct peers p, again;
	char err[256];
	char *text;
	size_t i;

	if (peers_parse((char *)in, size, &p, err, sizeof(err))) {
		must(!p.peer && !p.grant && !p.invitation);
		free(in);
		return 0;
	}
	must(p.peers <= PEERS_MAX && p.grants <= GRANTS_MAX &&
	     p.invitations <= INVITATIONS_MAX);
	for (i = 0; i < p.peers; i++)
		must(peer_name_ok(p.peer[i].name));
	for (i = 0; i < p.grants; i++)
		must(!im_fsname_check(p.grant[i].fileset));
	text = peers_format(&p);
	must(text && !peers_parse(text, strlen(text), &again, err,
				  sizeof(err)));
	must(p.peers == again.peers && p.grants == again.grants &&
	     p.invitations == again.invitations);
	must(!memcmp(p.peer, again.peer, p.peers * sizeof(*p.peer)) &&
	     !memcmp(p.grant, again.grant, p.grants * sizeof(*p.grant)) &&
	     !memcmp(p.invitation, again.invitation,
		     p.invitations * sizeof(*p.invitation)));
	free(text);
	peers_free(&p);
	peers_free(&again);
	free(in);
	return 0;
}
