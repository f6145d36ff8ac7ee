// SPDX-License-Identifier: GPL-2.0
/*
 * The tree itself. Every allocation that fails ends the program: a checker
 * that goes on with half a model would judge wrongly.
 */
#include "tests/crash/lib/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

static void *get(size_t size)
{
	void *p = calloc(1, size);

	if (!p) {
		fprintf(stderr, "out of memory\n");
		exit(2);
	}
	return p;
}

static char *copy(const char *s)
{
	return strcpy(get(strlen(s) + 1), s);
}

static unsigned int node_bucket(const struct fid *fid)
{
	return (fid->ino * 31 + fid->gen) % TREE_BUCKETS;
}

static unsigned int entry_bucket(const struct fid *dir, const char *name)
{
	return (XXH3_64bits(name, strlen(name)) + dir->ino) % TREE_BUCKETS;
}

struct node *tree_node(const struct tree *t, const struct fid *fid)
{
	struct node *n = t->nodes[node_bucket(fid)];

	while (n && !fid_eq(&n->fid, fid))
		n = n->next;
	return n;
}

struct node *tree_add(struct tree *t, const struct fid *fid)
{
	struct node **head = &t->nodes[node_bucket(fid)];
	struct node *n = get(sizeof(*n));

	n->fid = *fid;
	n->next = *head;
	*head = n;
	t->nodes_nr++;
	return n;
}

static void node_free(struct node *n)
{
	while (n->xattrs)
		node_del_xattr(n, n->xattrs->name);
	free(n->target);
	free(n);
}

struct entry *tree_entry(const struct tree *t, const struct fid *dir,
			 const char *name)
{
	struct entry *e = t->entries[entry_bucket(dir, name)];

	while (e && (!fid_eq(&e->dir, dir) || strcmp(e->name, name)))
		e = e->next;
	return e;
}

struct entry *tree_link(struct tree *t, const struct fid *dir,
			const char *name, const struct fid *fid)
{
	struct entry **head = &t->entries[entry_bucket(dir, name)];
	struct entry *e = get(sizeof(*e));

	e->dir = *dir;
	e->fid = *fid;
	snprintf(e->name, sizeof(e->name), "%s", name);
	e->next = *head;
	*head = e;
	t->entries_nr++;
	return e;
}

struct node *tree_add_whiteout(struct tree *t, const struct fid *fid,
			       uint32_t gid)
{
	struct node *n = tree_add(t, fid);

	n->mode = S_IFCHR;
	n->gid = gid;
	n->vague_access = true;
	return n;
}

void tree_unlink(struct tree *t, struct entry *e)
{
	struct entry **p = &t->entries[entry_bucket(&e->dir, e->name)];

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	free(e);
	t->entries_nr--;
}

struct xattr *node_xattr(const struct node *n, const char *name)
{
	struct xattr *x = n->xattrs;

	while (x && strcmp(x->name, name))
		x = x->next;
	return x;
}

void node_set_xattr(struct node *n, const char *name, const void *value,
		    size_t len)
{
	struct xattr *x = node_xattr(n, name);

	if (!x) {
		x = get(sizeof(*x));
		x->name = copy(name);
		x->next = n->xattrs;
		n->xattrs = x;
	}
	x->digest = XXH3_64bits(value, len);
	x->vague = false;
}

void node_del_xattr(struct node *n, const char *name)
{
	struct xattr **p = &n->xattrs, *x;

	while (*p && strcmp((*p)->name, name))
		p = &(*p)->next;
	x = *p;
	if (!x)
		return;
	*p = x->next;
	free(x->name);
	free(x);
}

void tree_count_links(struct tree *t)
{
	struct node **p, *n, *dir;
	unsigned int i;
	struct entry *e;

	for (i = 0; i < TREE_BUCKETS; i++)
		for (n = t->nodes[i]; n; n = n->next)
			n->nlink = 0;
	for (i = 0; i < TREE_BUCKETS; i++) {
		for (e = t->entries[i]; e; e = e->next) {
			n = tree_node(t, &e->fid);
			dir = tree_node(t, &e->dir);
			if (!n)
				continue;
			n->nlink++;
			if (S_ISDIR(n->mode)) {
				n->nlink++;	/* its own "." */
				if (dir)
					dir->nlink++;	/* its ".." */
			}
		}
	}
	for (i = 0; i < TREE_BUCKETS; i++) {
		for (p = &t->nodes[i]; (n = *p); ) {
			if (n->nlink || fid_eq(&n->fid, &t->root)) {
				p = &n->next;
				continue;
			}
			*p = n->next;
			node_free(n);
			t->nodes_nr--;
		}
	}
}

static struct entry *entry_of(const struct tree *t, const struct fid *fid)
{
	struct entry *e;
	unsigned int i;

	for (i = 0; i < TREE_BUCKETS; i++)
		for (e = t->entries[i]; e; e = e->next)
			if (fid_eq(&e->fid, fid))
				return e;
	return NULL;
}

const char *tree_path(const struct tree *t, const struct fid *dir,
		      const char *name)
{
	static char buf[8192];
	char rest[8192];
	struct entry *e;
	int depth;

	snprintf(buf, sizeof(buf), "%s", name ? name : "");
	for (depth = 0; depth < 64 && !fid_eq(dir, &t->root); depth++) {
		e = entry_of(t, dir);
		strcpy(rest, buf);
		if (!e) {
			snprintf(buf, sizeof(buf), "<%llu.%u>/%.7000s",
				 (unsigned long long)dir->ino, dir->gen, rest);
			return buf;
		}
		snprintf(buf, sizeof(buf), "%s/%.7000s", e->name, rest);
		dir = &e->dir;
	}
	return buf;
}

/*
 * The dump: fields in the machine's own order, since the machine that wrote
 * it reads it.
 */
static void put(FILE *f, const void *p, size_t len)
{
	fwrite(p, 1, len, f);
}

static void put_str(FILE *f, const char *s)
{
	uint32_t len = s ? strlen(s) + 1 : 0;

	put(f, &len, sizeof(len));
	put(f, s, len);
}

static int take(FILE *f, void *p, size_t len)
{
	return fread(p, 1, len, f) == len ? 0 : -EIO;
}

static int take_str(FILE *f, char **s)
{
	uint32_t len;

	*s = NULL;
	if (take(f, &len, sizeof(len)) || len > 65536)
		return -EIO;
	if (!len)
		return 0;
	*s = get(len);
	return take(f, *s, len);
}

int tree_save(const struct tree *t, const char *path)
{
	FILE *f = fopen(path, "wb");
	struct node *n;
	struct entry *e;
	struct xattr *x;
	unsigned int i;

	if (!f)
		return -errno;
	put(f, &t->recno, sizeof(t->recno));
	put(f, &t->root, sizeof(t->root));
	put(f, &t->nodes_nr, sizeof(t->nodes_nr));
	put(f, &t->entries_nr, sizeof(t->entries_nr));
	for (i = 0; i < TREE_BUCKETS; i++) {
		for (n = t->nodes[i]; n; n = n->next) {
			uint32_t xattrs = 0;

			put(f, n, sizeof(*n));
			put_str(f, n->target);
			for (x = n->xattrs; x; x = x->next)
				xattrs++;
			put(f, &xattrs, sizeof(xattrs));
			for (x = n->xattrs; x; x = x->next) {
				put_str(f, x->name);
				put(f, &x->digest, sizeof(x->digest));
			}
		}
	}
	for (i = 0; i < TREE_BUCKETS; i++)
		for (e = t->entries[i]; e; e = e->next)
			put(f, e, sizeof(*e));
	return fclose(f) ? -errno : 0;
}

static int load_node(struct tree *t, FILE *f)
{
	struct node saved, *n;
	uint32_t xattrs;
	struct xattr *x;

	if (take(f, &saved, sizeof(saved)))
		return -EIO;
	n = tree_add(t, &saved.fid);
	saved.next = n->next;
	saved.xattrs = NULL;
	*n = saved;
	if (take_str(f, &n->target) || take(f, &xattrs, sizeof(xattrs)))
		return -EIO;
	while (xattrs--) {
		x = get(sizeof(*x));
		x->next = n->xattrs;
		n->xattrs = x;
		if (take_str(f, &x->name) ||
		    take(f, &x->digest, sizeof(x->digest)))
			return -EIO;
	}
	return 0;
}

int tree_load(struct tree *t, const char *path)
{
	unsigned int nodes, entries;
	FILE *f = fopen(path, "rb");
	struct entry e;
	int err;

	if (!f)
		return -errno;
	memset(t, 0, sizeof(*t));
	err = take(f, &t->recno, sizeof(t->recno));
	if (!err)
		err = take(f, &t->root, sizeof(t->root));
	if (!err)
		err = take(f, &nodes, sizeof(nodes));
	if (!err)
		err = take(f, &entries, sizeof(entries));
	while (!err && nodes--)
		err = load_node(t, f);
	while (!err && entries--) {
		err = take(f, &e, sizeof(e));
		if (!err)
			tree_link(t, &e.dir, e.name, &e.fid);
	}
	fclose(f);
	return err;
}
