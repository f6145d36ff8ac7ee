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

#endif /* _SYNCD_MAIN_H */
