/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What control.c calls for one request of intermezzoctl. Each sets *answer and
 * returns 0, or -1 with p. They run in the request's connection's thread.
 */
#ifndef _SYNCD_CONTROL_H
#define _SYNCD_CONTROL_H

#include "problem.h"
#include "syncd.h"

int bad_request(struct problem *p, const json_error_t *where);

/* wait.c */
int ctl_point(json_t *request, json_t **answer, struct problem *p);
int ctl_wait(json_t *request, json_t **answer, struct problem *p);
/* The attached fileset of that name, with a reference; or NULL and p. */
struct fset *wait_fset(const char *name, const char *verb, struct problem *p);

/* verify.c */
int ctl_verify(json_t *request, json_t **answer, struct problem *p);
int ctl_verify_next(json_t *request, json_t **answer, struct problem *p);

#endif /* _SYNCD_CONTROL_H */
