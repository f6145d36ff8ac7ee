/* SPDX-License-Identifier: GPL-2.0 */
/* Parts of the program around the daemon. */
#ifndef _SYNCD_MAIN_H
#define _SYNCD_MAIN_H

#include <stdbool.h>
#include <stddef.h>

/* dial.c: joins stdin and stdout to the socket; an exit status. */
int dial_stdio(const char *sock);

/*
 * address.c: ADDR:PORT, [ADDR]:PORT; numbers only. -EINVAL: it is not one, err
 * says why.
 */
int address_check(const char *text, bool *loopback, char *err, size_t errlen);

/* What may stand for a host or a port, and is no option or trick on a URL. */
#define ADDRESS_HOST_MAX	253	/* longest name in the DNS */
bool address_host_ok(const char *s);
bool address_port_ok(const char *s);
/* "HOST", "HOST:PORT", "[V6]", "[V6]:PORT", in place; *port is "" if none. */
bool address_split(char *s, char **host, char **port);

#endif /* _SYNCD_MAIN_H */
