// SPDX-License-Identifier: GPL-2.0
/*
 * treedump DIR: prints everything that two equal trees have in common, one
 * line an object, sorted by path: type, mode, owner, size, mtime, device,
 * hard-link group (its first path), link target, xattrs, digest of the
 * content. Compare two of them with cmp or diff. Not printed: inode numbers,
 * ctime, atime, directory sizes, blocks, mtime of whiteouts (which is in no
 * record: a rename leaves them).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

struct link {
	ino_t ino;
	char *path;
	struct link *next;
};

static struct link *links[65536];

static void die(const char *what, const char *path)
{
	fprintf(stderr, "treedump: cannot %s %s: %s\n", what, path,
		strerror(errno));
	exit(1);
}

static void put_escaped(const char *s)
{
	for (; *s; s++) {
		if (*s > ' ' && *s < 127 && *s != '\\')
			putchar(*s);
		else
			printf("\\x%02x", (unsigned char)*s);
	}
}

/* First path under which the inode was met; paths come in sorted order. */
static const char *link_group(ino_t ino, const char *path)
{
	struct link **head = &links[ino % 65536], *l;

	for (l = *head; l; l = l->next)
		if (l->ino == ino)
			return l->path;
	l = malloc(sizeof(*l));
	if (!l)
		die("remember", path);
	l->ino = ino;
	l->path = strdup(path);
	l->next = *head;
	*head = l;
	return path;
}

static int by_string(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_xattrs(const char *path)
{
	static char list[65536], value[65536];
	char *names[1024];
	ssize_t len = llistxattr(path, list, sizeof(list)), vlen;
	int n = 0;

	if (len < 0) {
		if (errno == ENOTSUP)
			return;
		die("list xattrs of", path);
	}
	for (char *p = list; p < list + len && n < 1024; p += strlen(p) + 1)
		names[n++] = p;
	qsort(names, n, sizeof(*names), by_string);
	for (int i = 0; i < n; i++) {
		vlen = lgetxattr(path, names[i], value, sizeof(value));
		if (vlen < 0)
			die("read an xattr of", path);
		printf(" ");
		put_escaped(names[i]);
		printf("=");
		for (ssize_t k = 0; k < vlen; k++)
			printf("%02x", (unsigned char)value[k]);
	}
}

static void put_digest(const char *path)
{
	static char buf[1 << 16];
	XXH3_state_t *st = XXH3_createState();
	XXH128_hash_t h;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		die("open", path);
	XXH3_128bits_reset(st);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		XXH3_128bits_update(st, buf, n);
	if (n < 0)
		die("read", path);
	close(fd);
	h = XXH3_128bits_digest(st);
	XXH3_freeState(st);
	printf(" data=%016" PRIx64 "%016" PRIx64, (uint64_t)h.high64,
	       (uint64_t)h.low64);
}

static void put_object(const char *path, const char *shown)
{
	static const char types[] = "?pc?d?b?-?l?s???";
	char target[4097];
	struct stat st;
	ssize_t n;

	if (lstat(path, &st))
		die("stat", path);
	printf("%c ", types[(st.st_mode >> 12) & 15]);
	put_escaped(shown);
	printf(" mode=%04o uid=%u gid=%u", st.st_mode & 07777, st.st_uid,
	       st.st_gid);
	if (!S_ISCHR(st.st_mode) || st.st_rdev)
		printf(" mtime=%" PRId64 ".%09ld", (int64_t)st.st_mtim.tv_sec,
		       st.st_mtim.tv_nsec);
	if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
		printf(" size=%" PRId64, (int64_t)st.st_size);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		printf(" dev=%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
		printf(" nlink=%u same=", (unsigned int)st.st_nlink);
		put_escaped(link_group(st.st_ino, shown));
	}
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			die("read the link", path);
		target[n] = 0;
		printf(" target=");
		put_escaped(target);
	}
	put_xattrs(path);
	if (S_ISREG(st.st_mode))
		put_digest(path);
	putchar('\n');
}

static void walk(const char *path, size_t base)
{
	char **names = NULL, *sub;
	size_t n = 0, room = 0;
	struct dirent *de;
	struct stat st;
	DIR *d;

	put_object(path, path[base] ? path + base + 1 : ".");
	d = opendir(path);
	if (!d)
		die("open", path);
	while ((errno = 0, de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (n == room) {
			room = room ? room * 2 : 64;
			names = realloc(names, room * sizeof(*names));
			if (!names)
				die("list", path);
		}
		names[n++] = strdup(de->d_name);
	}
	if (errno)
		die("list", path);
	closedir(d);
	if (n)
		qsort(names, n, sizeof(*names), by_string);
	for (size_t i = 0; i < n; i++) {
		if (asprintf(&sub, "%s/%s", path, names[i]) < 0)
			die("name", path);
		if (lstat(sub, &st))
			die("stat", sub);
		if (S_ISDIR(st.st_mode))
			walk(sub, base);
		else
			put_object(sub, sub + base + 1);
		free(sub);
		free(names[i]);
	}
	free(names);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: treedump DIR\n");
		return 2;
	}
	walk(argv[1], strlen(argv[1]));
	if (fflush(stdout) || ferror(stdout)) {
		perror("treedump: cannot write");
		return 1;
	}
	return 0;
}
