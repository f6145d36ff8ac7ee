// SPDX-License-Identifier: GPL-2.0
/*
 * What the log says against what is there.
 */
#include "tests/crash/lib/tree.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define TOLD_MAX 20

static unsigned int told, slips;

__attribute__((format(printf, 1, 2)))
static void tell(const char *fmt, ...)
{
	va_list ap;

	if (told++ >= TOLD_MAX)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* An ACL that the log does not tell? */
static bool vague_acl(const struct node *n, const char *name)
{
	return (n->vague_access && !strcmp(name, ACL_ACCESS)) ||
	       (n->vague_default && !strcmp(name, ACL_DEFAULT));
}

static void compare_xattrs(const char *path, struct node *want,
			   struct node *got)
{
	struct xattr *x, *y;

	for (x = want->xattrs; x; x = x->next) {
		y = node_xattr(got, x->name);
		if (!y && !x->vague && !vague_acl(want, x->name))
			tell("%s: xattr %s is missing", path, x->name);
		else if (y && !x->vague && y->digest != x->digest)
			tell("%s: xattr %s differs", path, x->name);
	}
	for (y = got->xattrs; y; y = y->next)
		if (!node_xattr(want, y->name) && !vague_acl(want, y->name))
			tell("%s: xattr %s is not in the log", path, y->name);
}

static void compare_node(const char *path, struct node *want, struct node *got,
			 bool root)
{
	if (want->mode != got->mode)
		tell("%s: mode %o, the log says %o", path, got->mode,
		     want->mode);
	if (want->uid != got->uid || want->gid != got->gid)
		tell("%s: owner %u:%u, the log says %u:%u", path, got->uid,
		     got->gid, want->uid, want->gid);
	if (want->rdev != got->rdev)
		tell("%s: device %llx, the log says %llx", path,
		     (unsigned long long)got->rdev,
		     (unsigned long long)want->rdev);
	/* the root's own links include our hidden directory's */
	if (!root && want->nlink != got->nlink)
		tell("%s: %u links, the log says %u", path, got->nlink,
		     want->nlink);
	if (!want->target != !got->target ||
	    (want->target && strcmp(want->target, got->target)))
		tell("%s: link to '%s', the log says '%s'", path,
		     got->target ? got->target : "",
		     want->target ? want->target : "");
	compare_xattrs(path, want, got);
	if (!S_ISREG(want->mode))
		return;
	if (want->dirty)
		tell("%s: DIRTY without CLOSE after the mount", path);
	if (want->size != got->size)
		tell("%s: %llu bytes, the log says %llu", path,
		     (unsigned long long)got->size,
		     (unsigned long long)want->size);
	if (want->mtime != got->mtime || want->mtime_ns != got->mtime_ns)
		tell("%s: mtime %lld.%09u, the log says %lld.%09u", path,
		     (long long)got->mtime, got->mtime_ns,
		     (long long)want->mtime, want->mtime_ns);
	else if (want->data_known && want->digest != got->digest)
		slips++;
}

/* Whiteouts that no record has named: any that is there will do. */
static void know_whiteouts(struct tree *want, const struct tree *got)
{
	const struct node *m;
	const struct entry *f;
	struct entry *e;
	unsigned int i;

	for (i = 0; i < TREE_BUCKETS; i++) {
		for (e = want->entries[i]; e; e = e->next) {
			f = e->fid.ino ? NULL :
			    tree_entry(got, &e->dir, e->name);
			m = f ? tree_node(got, &f->fid) : NULL;
			if (!m || !S_ISCHR(m->mode) || m->rdev)
				continue;
			e->fid = f->fid;
			if (!tree_node(want, &e->fid))
				tree_add_whiteout(want, &e->fid, e->gid);
		}
	}
}

unsigned int tree_compare(struct tree *want, struct tree *got,
			  unsigned int *slipped)
{
	struct entry *e, *f;
	struct node *n, *m;
	unsigned int i;

	told = slips = 0;
	know_whiteouts(want, got);
	tree_count_links(want);
	if (!fid_eq(&want->root, &got->root))
		tell("another root");
	for (i = 0; i < TREE_BUCKETS; i++) {
		for (e = want->entries[i]; e; e = e->next) {
			f = tree_entry(got, &e->dir, e->name);
			if (!f) {
				tell("%s: in the log, not there",
				     tree_path(want, &e->dir, e->name));
				continue;
			}
			f->met = true;
			if (!fid_eq(&e->fid, &f->fid)) {
				tell("%s: is %llu.%u, the log says %llu.%u",
				     tree_path(want, &e->dir, e->name),
				     (unsigned long long)f->fid.ino,
				     f->fid.gen,
				     (unsigned long long)e->fid.ino,
				     e->fid.gen);
				continue;
			}
			n = tree_node(want, &e->fid);
			m = tree_node(got, &f->fid);
			if (!n || !m)
				tell("%s: has no object",
				     tree_path(want, &e->dir, e->name));
			else
				compare_node(tree_path(want, &e->dir, e->name),
					     n, m, false);
		}
	}
	for (i = 0; i < TREE_BUCKETS; i++)
		for (f = got->entries[i]; f; f = f->next)
			if (!f->met)
				tell("%s: there, not in the log",
				     tree_path(got, &f->dir, f->name));
	n = tree_node(want, &want->root);
	m = tree_node(got, &got->root);
	if (n && m)
		compare_node("the root", n, m, true);
	if (told > TOLD_MAX)
		printf("and %u more\n", told - TOLD_MAX);
	*slipped = slips;
	return told;
}
