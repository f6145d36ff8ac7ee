/* SPDX-License-Identifier: GPL-2.0 */
/* Small files that are replaced as a whole. */
#ifndef _SYNCD_DURABLE_H
#define _SYNCD_DURABLE_H

#include <stddef.h>

/*
 * Replaces the file dir/name, mode 0600. The new one is on disk before its name
 * replaces the old one, and the name is on disk before this returns: after a
 * power cut there is one or the other.
 */
int durable_replace(const char *dir, const char *name, const char *text,
		  size_t len);

#endif /* _SYNCD_DURABLE_H */
