/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One line for each check, the same on every filesystem that behaves the same:
 * the call as it stands in the source, and its result by name. Numbers that
 * differ between two runs (descriptors, inodes, devices, times) are not shown;
 * of times only whether they changed.
 *
 * A program prints, another run of it somewhere else prints too, and a diff
 * finds what differs. So a check has no expectation of its own.
 */
#ifndef POSIX_REPORT_H
#define POSIX_REPORT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Starts the output; chdir to dir, which is empty. */
void rep_start(const char *dir);
/* A heading; also what labels refer to. */
void rep_part(const char *name);
/* Each in a directory of its own; an exit status. */
int rep_parts(void (*const *parts)(void), size_t n);
__attribute__((format(printf, 1, 2))) void rep_say(const char *fmt, ...);
/* "label = ok" or "= ERRNO"; returns r. */
long rep_call(const char *label, long r);
/* As rep_call(), with the value if it is not an error. */
long rep_value(const char *label, long r);
/* Names an errno. */
const char *rep_errno(int err);

/* What a call changes in the attributes of up to 4 objects. */
void rep_before(const char *a, const char *b, const char *c, const char *d);
long rep_after(const char *label, long r);

/* type mode nlink uid gid size of an object */
void rep_stat(const char *path);
/* All below path, sorted: names, types, modes, link counts; as one number. */
unsigned int rep_tree(const char *path);
void rep_remove(const char *path);	/* with all below it */
void rep_put(const char *path, const char *text);
unsigned int rep_sum(const void *data, size_t len, unsigned int sum);
/* Content of a file. */
void rep_content(const char *path);

/* A child with other ids; wait by rep_join(). */
bool rep_fork(int uid, int gid);
void rep_leave(void) __attribute__((noreturn));
void rep_join(void);

/* A check by its source text. */
#define T(call) ({ errno = 0; rep_call(#call, (long)(call)); })
/* One whose value counts. */
#define TV(call) ({ errno = 0; rep_value(#call, (long)(call)); })
/* One that may change attributes of the objects named. */
#define TC4(a, b, c, d, call) ({				\
	rep_before(a, b, c, d);					\
	errno = 0;						\
	rep_after(#call, (long)(call)); })
#define TC(a, call)		TC4(a, NULL, NULL, NULL, call)
#define TC2(a, b, call)		TC4(a, b, NULL, NULL, call)
#define TC3(a, b, c, call)	TC4(a, b, c, NULL, call)
/* A block in a child as another user; its variables do not come back. */
#define AS(uid, gid, ...) do {					\
	rep_say("as %d:%d", uid, gid);				\
	if (rep_fork(uid, gid)) {				\
		__VA_ARGS__;					\
		rep_leave();					\
	}							\
	rep_join();						\
} while (0)

#endif /* POSIX_REPORT_H */
