/* SPDX-License-Identifier: GPL-2.0 */
/*
 * intermezzoctl: a table of verbs, each a function with its own options. Only
 * verbs print; what they ask the daemon goes through daemon.c, what they ask
 * the module through common/genl.c.
 */
#ifndef _CTL_H
#define _CTL_H

#include <jansson.h>
#include <popt.h>
#include <stdbool.h>
#include <stdio.h>
#include "common/record.h"

/* Exit statuses, promised in the manual. */
enum {
	EXIT_OK,
	EXIT_FAILED,
	EXIT_USAGE,
	EXIT_NOT_YET,		/* wait: the time is over */
	EXIT_DIFFERS,		/* verify: it is not as the server's */
};

struct verb {
	const char *name;
	int (*fn)(const struct verb *verb, int argc, const char **argv);
	const char *args;	/* as the usage line shows them */
	const char *what;	/* one line, lower case */
};

int cmd_export(const struct verb *verb, int argc, const char **argv);
int cmd_unexport(const struct verb *verb, int argc, const char **argv);
int cmd_attach(const struct verb *verb, int argc, const char **argv);
int cmd_detach(const struct verb *verb, int argc, const char **argv);
int cmd_invite(const struct verb *verb, int argc, const char **argv);
int cmd_peers(const struct verb *verb, int argc, const char **argv);
int cmd_revoke(const struct verb *verb, int argc, const char **argv);
int cmd_status(const struct verb *verb, int argc, const char **argv);
int cmd_log(const struct verb *verb, int argc, const char **argv);
int cmd_set(const struct verb *verb, int argc, const char **argv);
int cmd_verify(const struct verb *verb, int argc, const char **argv);
int cmd_wait(const struct verb *verb, int argc, const char **argv);
int cmd_version(const struct verb *verb, int argc, const char **argv);

/* main.c: "intermezzoctl: ...", always returns EXIT_FAILED. */
int failed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same for a wrong command line, with a hint at the help. */
int misused(const struct verb *verb, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * Parses a verb's command line: options by the table (POPT_ARG_* into
 * variables; val 0), then between min and max arguments into args. The strings
 * live until the process ends. False: usage error, already told.
 */
bool verb_parse(const struct verb *verb, int argc, const char **argv,
		const struct poptOption *table, int min, int max,
		const char **args);
/* Options that verbs which talk to the daemon have in common. */
extern struct poptOption daemon_options[];

/* status.c: shows progress until the fileset is in step with its server. */
int wait_in_step(const char *name);

/* daemon.c */
struct reply {
	json_t *json;		/* what it answered, or NULL */
	char code[32];		/* its word for the failure; "down": none */
	char why[1536];		/* why it failed, and what to do */
};
extern char *daemon_sock;	/* NULL: the usual one */
/* 0, or -1 and why. Frees request. */
int daemon_call(const char *method, const char *path, json_t *request,
		struct reply *reply);
void reply_free(struct reply *reply);
/* Of an object in its answer; "" and 0 if there is no such thing. */
const char *text_of(const json_t *o, const char *key);
json_int_t int_of(const json_t *o, const char *key);

/* print.c */
/* "name" with what cannot be shown as \n, \t, \\, \", \xHH; reversible. */
void print_quoted(FILE *out, const char *s, size_t len);
/* key: text, or if that is not UTF-8 (or has NUL) key_hex: its bytes. */
void json_put_bytes(json_t *object, const char *key, const void *p, size_t len);
void print_bytes(FILE *out, u64 bytes);		/* 12.3 MiB */
/* Since 1970, as local time. */
void print_seconds(FILE *out, s64 s);
void print_time(FILE *out, s64 ns);		/* with ms */

/* record.c */
void record_print(FILE *out, const struct im_rec *rec,
		  const struct im_body *body);
json_t *record_json(const struct im_rec *rec, const struct im_body *body);

#endif /* _CTL_H */
