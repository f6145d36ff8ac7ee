/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ssh carrier: a unix listener of our own, and for each connection to it
 * one `ssh HOST intersyncd dial-stdio` that has the connection as its standard
 * input and output.
 */
#ifndef _SYNCD_SSH_H
#define _SYNCD_SSH_H

#include <stddef.h>

struct ssh;

/* path: of the listener, removed at the end. */
int ssh_start(struct ssh **s, const char *path, const char *host,
	      const char *port);
void ssh_stop(struct ssh *s);		/* ends the processes too */
/* The last line that ssh wrote to its standard error; "" if none. */
void ssh_last_words(struct ssh *s, char *buf, size_t len);

#endif /* _SYNCD_SSH_H */
