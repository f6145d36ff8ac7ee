/* SPDX-License-Identifier: GPL-2.0 */
/* Bytes that should be text; user land only. */
#ifndef _IM_TEXT_H
#define _IM_TEXT_H

#include "user.h"

/*
 * Length of the well-formed UTF-8 sequence at p, 0 if there is none: no
 * overlong forms, no surrogates, nothing beyond U+10FFFF. *code may be NULL.
 */
size_t im_utf8_len(const char *p, size_t len, u32 *code);
bool im_utf8_ok(const char *p, size_t len);

/* Makes s valid UTF-8: each byte that is not part of it becomes '?'. */
void im_utf8_force(char *s);

#endif /* _IM_TEXT_H */
