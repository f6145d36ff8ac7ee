// SPDX-License-Identifier: GPL-2.0
/*
 * mountinfo: escapes, options, and which mounts are seen. The order of the
 * lines misled once: on a usual machine the root is mounted after /proc.
 */
#include "common/mountinfo.h"

#include "tap.h"

static const char usual[] =
"22 27 0:21 / /sys rw,nosuid - sysfs sysfs rw\n"
"23 27 0:22 / /proc rw - proc proc rw\n"
"27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"
"40 27 254:2 / /srv ro,relatime shared:2 master:3 - ext4 /dev/vda2 rw\n"
"41 40 0:50 / /srv/a\\040b rw - intermezzo /srv/a\\040b rw,fileset=odd,sync_ms=9\n"
"42 40 0:51 / /srv/x rw - intermezzo /srv/x rw,fileset=x\n"
"43 42 0:52 / /srv/x rw - tmpfs cover rw\n"
"44 40 0:53 / /srv/deep/y rw - intermezzo /srv/deep/y ro,fileset=y\n"
"45 40 0:54 / /srv/deep rw - tmpfs above rw\n"
"46 27 0:55 / /fake rw - tmpfs x rw,fileset=fake\n"
"47 27 0:56 /part /bind rw - ext4 /dev/vdb rw,prefix_fileset=no\n";

static void test_usual(void)
{
	const struct im_mount *m;
	struct im_mounts mounts;

	if (!is(im_mounts_parse(&mounts, usual), 0, "usual lines"))
		return;
	is(mounts.n, 11, "all lines are there");
	ok(!mounts.v[1].hidden, "a root that is mounted later hides nothing");
	m = im_mounts_fset(&mounts, "odd");
	ok(m && !strcmp(m->dir, "/srv/a b"), "escapes in the directory");
	ok(m && !strcmp(m->fset, "odd"), "a fileset's name ends at the comma");
	is(m->dev, 50, "device number");
	ok(!im_mounts_fset(&mounts, "x"), "one that is mounted over is hidden");
	ok(!im_mounts_fset(&mounts, "y"),
	   "one below a mount that came in between is hidden");
	ok(!im_mounts_fset(&mounts, "fake"),
	   "another filesystem's option is no fileset");
	ok(!im_mounts_fset(&mounts, ""), "no name");
	m = im_mounts_of(&mounts, "/srv/a b/file");
	ok(m && !strcmp(m->type, "intermezzo"), "the mount of a path");
	m = im_mounts_of(&mounts, "/srv/a bc");
	ok(m && m->id == 40 && m->read_only, "not of one that begins alike");
	m = im_mounts_of(&mounts, "/srv/x/y");
	ok(m && !strcmp(m->source, "cover"), "the upper one of two");
	m = im_mounts_of(&mounts, "/srv/deep/y/z");
	ok(m && !strcmp(m->source, "above"), "never a hidden one");
	m = im_mounts_of(&mounts, "/");
	ok(m && m->id == 27 && !m->read_only, "the root");
	m = im_mounts_of(&mounts, "/bind/f");
	ok(m && !strcmp(m->root, "/part") && !m->fset, "a part of a filesystem");
	im_mounts_free(&mounts);
	is(mounts.n, 0, "freed");
}

static void test_bad(void)
{
	static const char *const bad[] = {
		"22",
		"22 27 0:21 / /sys rw,nosuid sysfs sysfs rw",
		"22 27 0:21 / /sys rw,nosuid - sysfs",
		"22 27 021 / /sys rw - sysfs sysfs rw",
		"22 27 0:21 / sys rw - sysfs sysfs rw",
		"22 27 0:21 / /sys rw shared:1 -",
	};
	struct im_mounts mounts;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		is(im_mounts_parse(&mounts, bad[i]), -EINVAL, "bad line %zu",
		   i);
		is(mounts.n, 0, "and nothing is there");
	}
	is(im_mounts_parse(&mounts, ""), 0, "no line");
	im_mounts_free(&mounts);
	/* parents in a circle must not hang us */
	is(im_mounts_parse(&mounts,
			   "1 2 0:1 / /a rw - t s rw\n2 1 0:2 / /b rw - t s rw\n"),
	   0, "a circle");
	im_mounts_free(&mounts);
}

static void test_within(void)
{
	static const struct {
		const char *path, *dir;
		bool within;
	} t[] = {
		{ "/a", "/a", true },	  { "/a/b", "/a", true },
		{ "/ab", "/a", false },	  { "/a", "/a/b", false },
		{ "/", "/", true },	  { "/a", "/", true },
		{ "/b/a", "/a", false },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		is(im_path_within(t[i].path, t[i].dir), t[i].within,
		   "%s within %s", t[i].path, t[i].dir);
}

int main(void)
{
	struct im_mounts mounts;

	test_usual();
	test_bad();
	test_within();
	is(im_mounts_read(&mounts), 0, "this machine's own");
	ok(im_mounts_of(&mounts, "/proc/self"), "which has a mount of /proc");
	im_mounts_free(&mounts);
	return tap_done();
}
