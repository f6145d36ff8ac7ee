// SPDX-License-Identifier: GPL-2.0
/*
 * posix-xattrs DIR
 *
 * Extended attributes by namespace, type of object, size, flags and user; ACLs:
 * what is accepted, what it makes of the mode, what chmod makes of it, who may
 * do what by it, and what is inherited.
 *
 * links: tests/tools/posix/report.c
 */
#include "tests/tools/posix/report.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define ACCESS	"system.posix_acl_access"
#define DEFAULT	"system.posix_acl_default"

static char buf[70000], long_name[300];

static const char *const objects[] = {
	"file", "dir", "link", "fifo", "chr", "sticky", "ro",
};

static void make_objects(void)
{
	rep_put("file", "text");
	rep_put("ro", "text");
	T(chmod("ro", 0444));
	T(mkdir("dir", 0755));
	T(mkdir("sticky", 0777));
	T(chmod("sticky", 01777));
	T(symlink("file", "link"));
	T(mkfifo("fifo", 0644));
	T(mknod("chr", S_IFCHR | 0666, makedev(1, 3)));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
	char *names[100], *p;
	ssize_t n = llistxattr(path, buf, sizeof(buf));
	int i, k = 0;

	rep_value("llistxattr", n);
	for (p = buf; n > 0 && p < buf + n && k < 100; p += strlen(p) + 1)
		names[k++] = p;
	qsort(names, k, sizeof(*names), by_name);
	for (i = 0; i < k; i++)
		rep_say("%s has %s of %zd", path, names[i],
			lgetxattr(path, names[i], NULL, 0));
}

static void names(void)
{
	static const char *const all[] = {
		"user.a", "user.", "user", "trusted.a", "trusted.", "trusted",
		"security.a", "security.", "security", "security.capability",
		"security.selinux", "security.ima", "security.evm",
		"system.a", "system.", ACCESS, DEFAULT,
		"system.posix_acl_access.", "system.data", "system.nfs4_acl",
		"system.richacl", "", "x", ".", "user.\xff\xfe", "user.a.b.c",
		"com.apple.a", "os2.a", "btrfs.a", "USER.a", "afs.a",
		"trusted.overlay.opaque", long_name,
	};
	static const int who[] = { 0, 4000, 4001 };
	size_t n, o, w;

	rep_part("names");
	memset(long_name, 'n', 255);
	memcpy(long_name, "user.", 5);
	for (n = 0; n < N(all); n++)
		for (o = 0; o < N(objects); o++)
			for (w = 0; w < N(who); w++) {
				const char *p = objects[o], *a = all[n];

				T(lchown(p, 4000, 4000));
				rep_say("%.20s of %s", a, p);
				AS(who[w], who[w], {
					T(lgetxattr(p, a, NULL, 0));
					TC(p, lsetxattr(p, a, "1", 1, 0));
					TV(lgetxattr(p, a, buf, 1));
					T(lsetxattr(p, a, "", 0, XATTR_CREATE));
					T(lremovexattr(p, a));
				});
			}
	for (o = 0; o < N(objects); o++)
		list(objects[o]);
}

static void sizes(void)
{
	static const size_t all[] = { 0, 1, 2, 100, 1000, 3900, 4000, 4030,
				      4096, 5000, 32768, 65535, 65536, 65537 };
	static const int flags[] = { 0, XATTR_CREATE, XATTR_REPLACE, 3, 4 };
	size_t i, f;

	rep_part("sizes");
	memset(buf, 'v', sizeof(buf));
	for (i = 0; i < N(all); i++)
		for (f = 0; f < N(flags); f++) {
			rep_say("size %zu flags %d", all[i], flags[f]);
			TV(setxattr("file", "user.s", buf, all[i], flags[f]));
			TV(getxattr("file", "user.s", NULL, 0));
			TV(getxattr("file", "user.s", buf, all[i] / 2));
			TV(getxattr("file", "user.s", buf, 70000));
			TV(setxattr("dir", "trusted.s", buf, all[i],
				    flags[f]));
			if (f % 2)
				TV(removexattr("file", "user.s"));
		}
	TV(removexattr("dir", "trusted.s"));
	TV(listxattr("file", NULL, 0));
	for (i = 0; i < 60; i++) {
		char name[32];

		snprintf(name, sizeof(name), "user.number%zu", i);
		if (setxattr("file", name, buf, 40 + i, 0)) {
			rep_say("number %zu: %s", i, rep_errno(errno));
			break;
		}
	}
	TV(listxattr("file", NULL, 0));
	TV(listxattr("file", buf, 10));
	TV(listxattr("file", buf, 70000));
	list("file");
	T(unlink("file"));
	rep_put("file", "text");
}

/* ACLs ------------------------------------------------------------------- */

struct entry {
	uint16_t tag, perm;
	uint32_t id;
};

struct acl {
	uint32_t version;
	struct entry e[10];
};

enum { U = 1, USER = 2, G = 4, GROUP = 8, MASK = 16, O = 32 };
#define NOID 0xffffffff
#define ACL(...) { 2, { __VA_ARGS__ } }

static const struct acl acls[] = {
	ACL({ U, 6, NOID }, { G, 4, NOID }, { O, 4, NOID }),
	ACL({ U, 7, NOID }, { G, 7, NOID }, { O, 7, NOID }),
	ACL({ U, 0, NOID }, { G, 0, NOID }, { O, 0, NOID }),
	ACL({ U, 6, NOID }, { USER, 7, 4001 }, { G, 4, NOID },
	    { MASK, 7, NOID }, { O, 0, NOID }),
	ACL({ U, 6, NOID }, { USER, 7, 4001 }, { G, 4, NOID },
	    { MASK, 1, NOID }, { O, 4, NOID }),
	ACL({ U, 7, NOID }, { USER, 0, 4001 }, { G, 5, NOID },
	    { GROUP, 6, 4001 }, { MASK, 7, NOID }, { O, 7, NOID }),
	ACL({ U, 4, NOID }, { G, 5, NOID }, { GROUP, 6, 4001 },
	    { GROUP, 3, 4002 }, { MASK, 7, NOID }, { O, 0, NOID }),
	/* refused, it is to be hoped */
	ACL({ U, 6, NOID }, { USER, 7, 4001 }, { G, 4, NOID },
	    { O, 0, NOID }),
	ACL({ U, 6, NOID }, { G, 4, NOID }),
	ACL({ G, 6, NOID }, { U, 4, NOID }, { O, 4, NOID }),
	ACL({ U, 15, NOID }, { G, 4, NOID }, { O, 4, NOID }),
	ACL({ U, 6, NOID }, { USER, 7, 4001 }, { USER, 5, 4001 },
	    { G, 4, NOID }, { MASK, 7, NOID }, { O, 0, NOID }),
	ACL({ U, 6, NOID }, { USER, 7, NOID }, { G, 4, NOID },
	    { MASK, 7, NOID }, { O, 0, NOID }),
	ACL({ 64, 6, NOID }, { G, 4, NOID }, { O, 4, NOID }),
	{ 3, { { U, 6, NOID }, { G, 4, NOID }, { O, 4, NOID } } },
};

static size_t acl_size(const struct acl *a)
{
	size_t n;

	for (n = 0; n < N(a->e) && a->e[n].tag; n++)
		;
	return 4 + n * sizeof(struct entry);
}

static void show(const char *path, const char *name)
{
	struct acl a;
	ssize_t n = lgetxattr(path, name, &a, sizeof(a)), i;

	if (n < 0) {
		rep_say("%s of %s = %s", name + 17, path, rep_errno(errno));
		return;
	}
	for (i = 0; i * 8 + 4 < n; i++)
		rep_say("%s of %s: %x:%o:%d", name + 17, path, a.e[i].tag,
			a.e[i].perm, (int)a.e[i].id);
}

static void rights(const char *p)
{
	static const int who[][2] = { { 4000, 4000 }, { 4001, 4009 },
				      { 4009, 4001 }, { 4009, 4002 },
				      { 4009, 4000 }, { 4009, 4009 } };
	size_t w;

	for (w = 0; w < N(who); w++)
		AS(who[w][0], who[w][1], {
			T(open(p, O_RDONLY));
			T(open(p, O_WRONLY));
			T(access(p, X_OK));
			T(faccessat(AT_FDCWD, p, R_OK | W_OK, AT_EACCESS));
			T(utimensat(AT_FDCWD, p, NULL, 0));
			T(chmod(p, 0777));
			T(removexattr(p, ACCESS));
		});
}

static void acl_access(void)
{
	static const int modes[] = { 0600, 0777, 0070, 0, 06755 };
	size_t i, m;

	rep_part("acls");
	for (i = 0; i < N(acls); i++) {
		rep_say("acl %zu", i);
		rep_put("a", "text");
		T(chmod("a", 02644));
		T(chown("a", 4000, 4000));
		TC("a", setxattr("a", ACCESS, &acls[i], acl_size(&acls[i]), 0));
		show("a", ACCESS);
		rights("a");
		TC("a", setxattr("a", ACCESS, &acls[i], acl_size(&acls[i]),
				 XATTR_CREATE));
		TC("a", setxattr("a", ACCESS, &acls[i], acl_size(&acls[i]),
				 XATTR_REPLACE));
		for (m = 0; m < N(modes); m++) {
			TC("a", chmod("a", modes[m]));
			show("a", ACCESS);
		}
		TC("a", setxattr("a", ACCESS, &acls[i], acl_size(&acls[i]), 0));
		TC("a", chown("a", 4003, 4003));
		TC("a", setxattr("a", DEFAULT, &acls[i], acl_size(&acls[i]),
				 0));
		TC("a", removexattr("a", DEFAULT));
		TC("a", removexattr("a", ACCESS));
		TC("a", removexattr("a", ACCESS));
		show("a", ACCESS);
		T(unlink("a"));
	}
	T(setxattr("file", ACCESS, buf, 3, 0));
	T(setxattr("file", ACCESS, buf, 5, 0));
	T(setxattr("file", ACCESS, acls, 4, 0));
	T(setxattr("file", ACCESS, NULL, 0, 0));
	T(lsetxattr("link", ACCESS, acls, acl_size(acls), 0));
	T(lgetxattr("link", ACCESS, buf, 100));
	T(setxattr("fifo", ACCESS, &acls[3], acl_size(&acls[3]), 0));
	show("fifo", ACCESS);
	T(setxattr("chr", ACCESS, &acls[4], acl_size(&acls[4]), 0));
	show("chr", ACCESS);
	TV(getxattr("fifo", ACCESS, buf, 10));
	TV(getxattr("fifo", ACCESS, NULL, 0));
	list("fifo");
}

static void inherited(const char *p)
{
	rep_stat(p);
	show(p, ACCESS);
	show(p, DEFAULT);
}

static void acl_default(void)
{
	static const int masks[] = { 0, 077 };
	char link_[64];
	size_t i, m;
	int fd;

	rep_part("inherited acls");
	for (i = 0; i < N(acls); i++)
		for (m = 0; m < N(masks); m++) {
			rep_say("default %zu umask %o", i, masks[m]);
			T(mkdir("d", 02777));
			T(chown("d", 4000, 5000));
			T(chmod("d", 02777));
			umask(masks[m]);
			TC("d", setxattr("d", DEFAULT, &acls[i],
					 acl_size(&acls[i]), 0));
			show("d", DEFAULT);
			T(open("d/f", O_CREAT | O_RDWR, 0666));
			inherited("d/f");
			T(open("d/x", O_CREAT | O_RDWR, 0710));
			inherited("d/x");
			T(mkdir("d/d", 0777));
			inherited("d/d");
			T(mkdir("d/d/e", 0700));
			inherited("d/d/e");
			T(mknod("d/n", S_IFREG | 0666, 0));
			inherited("d/n");
			T(mkfifo("d/p", 0666));
			inherited("d/p");
			T(symlink("x", "d/y"));
			inherited("d/y");
			T(fd = open("d", O_TMPFILE | O_RDWR, 0666));
			snprintf(link_, sizeof(link_), "/proc/self/fd/%d", fd);
			T(linkat(AT_FDCWD, link_, AT_FDCWD, "d/t",
				 AT_SYMLINK_FOLLOW));
			close(fd);
			inherited("d/t");
			T(rename("d/f", "moved"));
			inherited("moved");
			T(unlink("moved"));
			AS(4001, 4001, T(open("d/u", O_CREAT | O_RDWR, 0666)));
			inherited("d/u");
			T(chmod("d/d", 0700));
			inherited("d/d");
			T(removexattr("d", DEFAULT));
			umask(022);
			rep_remove("d");
		}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: posix-xattrs DIR\n");
		return 2;
	}
	rep_start(argv[1]);
	rep_part("objects");
	make_objects();
	names();
	sizes();
	acl_access();
	acl_default();
	return 0;
}
