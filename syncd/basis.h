/* SPDX-License-Identifier: GPL-2.0 */
/* Guessing which file here a new one is going to replace. */
#ifndef _SYNCD_BASIS_H
#define _SYNCD_BASIS_H

#include "client.h"

/*
 * fd: a file that was made not long ago. Opens another one of its directory
 * for reading whose name says that this may be its next version: "doc" for
 * "doc.tmp", ".doc.x7Gq", "doc~"; "doc.odt" for "doc.new". -ENOENT: none.
 */
int basis_guess(struct client *c, int fd, const struct im_fid *dir);

/* How well b would do as the old version of a; 0: not at all. */
unsigned int basis_likeness(const char *a, const char *b);

#endif /* _SYNCD_BASIS_H */
