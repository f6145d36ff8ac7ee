// SPDX-License-Identifier: GPL-2.0
/*
 * dump MOUNT DIR: writes the tree of a mount at rest to DIR/RECNO, for check.
 * Prints the recno. The caller has seen to it that nothing changes meanwhile;
 * should something change all the same, dump says so and fails.
 * links: tests/crash/lib/tree.c tests/crash/lib/walk.c
 */
#include "tests/crash/lib/tree.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static struct tree tree;
	struct im_ioc_info before, after;
	char path[4096];
	int fd, err;

	if (argc != 3) {
		fprintf(stderr, "usage: dump MOUNT DIR\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || mount_info(fd, &before)) {
		perror(argv[1]);
		return 1;
	}
	if (tree_walk(&tree, fd) || mount_info(fd, &after))
		return 1;
	if (before.last != after.last) {
		fprintf(stderr, "dump: %s changes: record %llu, then %llu\n",
			argv[1], (unsigned long long)before.last,
			(unsigned long long)after.last);
		return 1;
	}
	tree.recno = before.last;
	snprintf(path, sizeof(path), "%s/%llu", argv[2],
		 (unsigned long long)tree.recno);
	err = tree_save(&tree, path);
	if (err) {
		fprintf(stderr, "dump: cannot write %s: %s\n", path,
			strerror(-err));
		return 1;
	}
	printf("%llu\n", (unsigned long long)tree.recno);
	return 0;
}
