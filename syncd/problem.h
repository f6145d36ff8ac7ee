/* SPDX-License-Identifier: GPL-2.0 */
/* Why a request of intermezzoctl was refused, for a person and for a script. */
#ifndef _SYNCD_PROBLEM_H
#define _SYNCD_PROBLEM_H

#include <stdarg.h>
#include <stdio.h>

struct problem {
	int status;		/* HTTP */
	const char *code;	/* one word, never changed once it is there */
	char text[1024];	/* why, and what to do; no full stop */
};

/* Returns -1, to be passed on. */
static inline int __attribute__((format(printf, 4, 5)))
problem(struct problem *p, int status, const char *code, const char *fmt, ...)
{
	va_list ap;

	p->status = status;
	p->code = code;
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
	return -1;
}

#endif /* _SYNCD_PROBLEM_H */
