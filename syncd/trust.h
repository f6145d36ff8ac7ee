/* SPDX-License-Identifier: GPL-2.0 */
/* What intermezzoctl asks about other machines: invite, peers, revoke. */
#ifndef _SYNCD_TRUST_H
#define _SYNCD_TRUST_H

#include "invite.h"
#include "problem.h"

int ctl_invite(json_t *request, json_t **answer, struct problem *p);
int ctl_peers(json_t *request, json_t **answer, struct problem *p);
int ctl_revoke(json_t *request, json_t **answer, struct problem *p);

/* An invitation that was received: how to redeem it, and what to remember. */
int trust_invitation(const char *text, struct im_wire_redeem *redeem,
		     char url[INVITE_URL], struct problem *p);

#endif /* _SYNCD_TRUST_H */
