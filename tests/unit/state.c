// SPDX-License-Identifier: GPL-2.0
/*
 * state.json: what is saved is loaded, a failed save leaves the old, nonsense
 * is refused and left alone, one daemon at a time. And listening addresses.
 * links: syncd/state.c syncd/durable.c syncd/address.c syncd/timetable.c syncd/bucket.c
 */
#include "syncd/state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "syncd/main.h"
#include "tap.h"

#define MANY 3

static struct fset_conf loaded[MANY];
static size_t loaded_count;
static char dir[] = "/tmp/im-state-XXXXXX";
static char err[512];
static char daemon_limit[TIMETABLE_TEXT];

/* fileset.c's, without the rest of it */
void fset_conf_free(struct fset_conf *c)
{
	free(c->dir);
	free(c->url);
	c->dir = NULL;
	c->url = NULL;
}

static int take(struct fset_conf *c)
{
	if (loaded_count == MANY)
		return -EEXIST;
	loaded[loaded_count++] = *c;
	return 0;
}

static int load(void)
{
	while (loaded_count)
		fset_conf_free(&loaded[--loaded_count]);
	err[0] = '\0';
	return state_load(dir, take, daemon_limit, err, sizeof(err));
}

static void put(const char *text)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/state.json", dir);
	file = fopen(path, "w");
	if (!file || fputs(text, file) < 0 || fclose(file))
		exit(1);
}

static void test_round(void)
{
	struct fset_conf a = { .name = "a", .role = FSET_EXPORT,
			       .dir = (char *)"/srv/\xc3\xbc \"x\"" };
	struct fset_conf b = { .name = "b", .role = FSET_ATTACH,
			       .dir = (char *)"/b", .url = (char *)"host:b",
			       .bwlimit = "08:00-18:00 2M, 50M" };
	const struct fset_conf *list[] = { &a, &b };
	char path[64];
	struct stat st;

	is(load(), 0, "no file");
	is(loaded_count, 0, "no filesets");
	is(state_save(dir, list, 2, "1M", err, sizeof(err)), 0, "save");
	is(load(), 0, "load");
	is(loaded_count, 2, "both are there");
	ok(!strcmp(loaded[0].name, "a") && loaded[0].role == FSET_EXPORT &&
	   !strcmp(loaded[0].dir, a.dir) && !loaded[0].url &&
	   !*loaded[0].bwlimit, "the first");
	ok(!strcmp(loaded[1].name, "b") && loaded[1].role == FSET_ATTACH &&
	   !strcmp(loaded[1].dir, "/b") && !strcmp(loaded[1].url, "host:b") &&
	   !strcmp(loaded[1].bwlimit, b.bwlimit), "the second");
	ok(!strcmp(daemon_limit, "1M"), "the daemon's limit");
	put("{\"version\": 1, \"filesets\": [{\"name\": \"a\", \"role\": \"export\", \"dir\": \"/a\", \"bwlimit\": 500000}]}");
	ok(!load() && !strcmp(loaded[0].bwlimit, "500000") && !*daemon_limit,
	   "a number, as older daemons wrote it");
	put("{\"version\": 1, \"bwlimit\": [], \"filesets\": []}");
	ok(load() == -EINVAL && strstr(err, "bwlimit"),
	   "a limit that is none is refused");
	is(state_save(dir, list, 2, "", err, sizeof(err)), 0, "save again");
	snprintf(path, sizeof(path), "%s/state.json", dir);
	ok(!stat(path, &st) && !(st.st_mode & 077), "others may not read it");
	is(state_save(dir, list, 1, "", err, sizeof(err)), 0, "save fewer");
	is(load(), 0, "load");
	is(loaded_count, 1, "one is there");

	/* the new file cannot be made where a directory is */
	snprintf(path, sizeof(path), "%s/state.json.new", dir);
	mkdir(path, 0700);
	ok(state_save(dir, list, 2, "", err, sizeof(err)) < 0, "save that fails");
	ok(strstr(err, dir), "says where: %s", err);
	rmdir(path);
	is(load(), 0, "load");
	is(loaded_count, 1, "the old one is still there");
}

static void test_bad(void)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{\"version\": 1}",
		"{\"version\": 2, \"filesets\": []}",
		"{\"version\": 1, \"filesets\": [1]}",
		"{\"version\": 1, \"filesets\": [{\"name\": \"a\"}]}",
		"{\"version\": 1, \"filesets\": [{\"name\": \"../a\", \"role\": \"export\", \"dir\": \"/a\"}]}",
		"{\"version\": 1, \"filesets\": [{\"name\": \"a\", \"role\": \"both\", \"dir\": \"/a\"}]}",
		"{\"version\": 1, \"filesets\": [{\"name\": \"a\", \"role\": \"export\", \"dir\": \"a\"}]}",
		"{\"version\": 1, \"filesets\": [{\"name\": \"a\", \"role\": \"attach\", \"dir\": \"/a\"}]}",
		"{\"version\": 1, \"filesets\": [{\"name\": \"a\", \"role\": \"export\", \"dir\": \"/a\", \"bwlimit\": -1}]}",
		"{\"version\": 1, \"filesets\": [{\"name\": \"a\", \"role\": \"export\", \"dir\": \"/a\", \"bwlimit\": \"x\"}]}",
		"{\"version\": 1, \"filesets\": [{\"name\": \"a\", \"name\": \"b\", \"role\": \"export\", \"dir\": \"/a\"}]}",
	};
	char path[64], text[256];
	size_t i, n;
	FILE *file;

	snprintf(path, sizeof(path), "%s/state.json", dir);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(bad[i]);
		ok(load() < 0 && strstr(err, "state.json"), "refused: %s", err);
		file = fopen(path, "r");
		n = fread(text, 1, sizeof(text) - 1, file);
		text[n] = '\0';
		fclose(file);
		ok(!strcmp(text, bad[i]), "and left as it is");
	}
}

static void test_lock(void)
{
	char pid[16];

	is(state_lock(dir, err, sizeof(err)), 0, "lock");
	is(state_lock(dir, err, sizeof(err)), -EBUSY, "lock a second time");
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	ok(strstr(err, pid) && strstr(err, dir), "says who has it: %s", err);
	is(state_lock("/proc/none", err, sizeof(err)), -ENOENT, "no directory");
}

static void test_address(void)
{
	static const struct {
		const char *text;
		int loopback;	/* -1: refused */
	} t[] = {
		{ "127.0.0.1:7070", 1 }, { "127.1.2.3:1", 1 },
		{ "[::1]:65535", 1 },	 { "0.0.0.0:7070", 0 },
		{ "[::]:7070", 0 },	 { "10.0.0.1:80", 0 },
		{ "[fe80::1]:80", 0 },	 { "", -1 },
		{ "7070", -1 },		 { ":7070", -1 },
		{ "127.0.0.1", -1 },	 { "127.0.0.1:", -1 },
		{ "127.0.0.1:0", -1 },	 { "127.0.0.1:65536", -1 },
		{ "127.0.0.1:80x", -1 }, { "127.0.0.1:+80", -1 },
		{ "::1:80", -1 },	 { "[::1:80", -1 },
		{ "localhost:80", -1 },	 { "[]:80", -1 },
		{ "127.0.0.1:99999999999999999999", -1 },
	};
	bool loopback;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		rc = address_check(t[i].text, &loopback, err, sizeof(err));
		is(rc ? -1 : loopback, t[i].loopback, "address \"%s\"",
		   t[i].text);
	}
}

int main(void)
{
	char path[64];

	if (!mkdtemp(dir))
		return 1;
	test_round();
	test_bad();
	test_lock();
	test_address();
	while (loaded_count)
		fset_conf_free(&loaded[--loaded_count]);
	snprintf(path, sizeof(path), "%s/state.json", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock", dir);
	unlink(path);
	rmdir(dir);
	return tap_done();
}
