/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What this machine's own log of a fileset says: for who must know what
 * happened here before.
 */
#ifndef _SYNCD_PAST_H
#define _SYNCD_PAST_H

#include "fileset.h"

/*
 * fn for each of the records from..last, checked; other than 0 it ends this and
 * is returned. Waits until they are durable.
 * -ESTALE: they have left the log. -EBADMSG: it is damaged. -ETIMEDOUT: the
 * last one does not become durable. -ECANCELED: f->stop.
 */
int past_each(struct fset *f, u64 from, u64 last,
	      int (*fn)(void *arg, const struct im_rec *r), void *arg);

#endif
