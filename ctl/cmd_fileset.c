// SPDX-License-Identifier: GPL-2.0
/* intermezzoctl export, unexport, attach, detach: the daemon does the work. */
#include "ctl.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/genl.h"
#include "common/text.h"

/*
 * The directory as the daemon, with another working directory, will find it.
 * One that is not there is passed on too: it says so in its own words.
 */
static char *full_path(const char *dir)
{
	char *path = realpath(dir, NULL);
	char *cwd;

	if (path || dir[0] == '/')
		return path ? path : strdup(dir);
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&path, "%s/%s", cwd, dir) < 0)
		path = NULL;
	free(cwd);
	return path;
}

/* As root, who may load it; the daemon may be too confined for that. */
static int need_module(char *why, size_t size)
{
	struct im_genl *genl;
	int rc;

	rc = im_genl_open_load(&genl);
	if (!rc) {
		im_genl_close(genl);
		return 0;
	}
	if (rc == -ENOENT)
		snprintf(why, size,
			 "the kernel module intermezzo is not loaded and `modprobe intermezzo` does not load it; build it for this kernel: dkms autoinstall");
	else
		snprintf(why, size, "the kernel module does not answer: %s",
			 strerror(-rc));
	return -1;
}

static void warn(const json_t *answer)
{
	const char *text = json_string_value(json_object_get(answer, "warning"));

	if (text) {
		fflush(stdout);
		fprintf(stderr, "intermezzoctl: warning: %s\n", text);
	}
}

static int not_root(const char *what)
{
	return failed("cannot %s: only root may; try sudo", what);
}

/* 1234, 64M, 1G */
static bool is_size(const char *text)
{
	char *end;

	if (text[0] < '1' || text[0] > '9')
		return false;
	strtoull(text, &end, 10);
	return !*end || (strchr("kKmMgG", *end) && !end[1]);
}

/* 0, 90, 30m, 12h, 7d */
static bool is_age(const char *text)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	strtoull(text, &end, 10);
	return !*end || (strchr("smhd", *end) && !end[1]);
}

int cmd_export(const struct verb *verb, int argc, const char **argv)
{
	char *name = NULL, *log_size = NULL, *path;
	char *log_keep = NULL, *log_keep_age = NULL, *bwlimit = NULL;
	const struct poptOption table[] = {
		{ "name", 'n', POPT_ARG_STRING, &name, 0,
		  "what others attach it by: letters, digits, '.', '_', '-'",
		  "NAME" },
		{ "log-size", 0, POPT_ARG_STRING, &log_size, 0,
		  "room for the log of changes, when it is made (default 1/64 of the filesystem, 4M to 64M)",
		  "SIZE" },
		{ "log-keep", 0, POPT_ARG_STRING, &log_keep, 0,
		  "what the log may grow to, as long as there is room (default: as it was made)",
		  "SIZE" },
		{ "log-keep-age", 0, POPT_ARG_STRING, &log_keep_age, 0,
		  "for how long, as 12h or 30d, records are kept at most; 0: as long as the log holds them (default)",
		  "TIME" },
		{ "bwlimit", 'b', POPT_ARG_STRING, &bwlimit, 0,
		  "send and receive no faster than this, all clients together, as 500k or 2M, or by the clock",
		  "RATE" },
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, daemon_options, 0,
		  "Daemon:", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	struct reply reply;
	const char *dir;
	int rc;

	if (!verb_parse(verb, argc, argv, table, 1, 1, &dir))
		return EXIT_USAGE;
	if (!name)
		return misused(verb, "export wants a name for %s: --name NAME",
			       dir);
	if (im_fsname_check(name))
		return misused(verb,
			       "\"%s\" is not a name for a fileset: 1 to %d letters, digits, '.', '_' and '-', not '.' first",
			       name, IM_FSNAME_LEN);
	if (log_size && !is_size(log_size))
		return misused(verb,
			       "--log-size %s is not a size; say it like 64M",
			       log_size);
	if (log_keep && !is_size(log_keep))
		return misused(verb,
			       "--log-keep %s is not a size; say it like 256M",
			       log_keep);
	if (log_keep_age && !is_age(log_keep_age))
		return misused(verb,
			       "--log-keep-age %s is not a time; say it like 12h or 30d, or 0",
			       log_keep_age);
	if (geteuid())
		return not_root("export");
	path = full_path(dir);
	if (!path || !im_utf8_ok(path, strlen(path)))
		return failed("cannot export %s as \"%s\": the path is not UTF-8",
			      dir, name);
	if (need_module(reply.why, sizeof(reply.why)))
		return failed("cannot export %s as \"%s\": %s", path, name,
			      reply.why);
	rc = daemon_call("POST", "/ctl/export",
			 json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s*}",
				   "name", name, "dir", path, "log_size",
				   log_size, "log_keep", log_keep,
				   "log_keep_age", log_keep_age, "bwlimit",
				   bwlimit), &reply);
	if (rc) {
		failed("cannot export %s as \"%s\": %s", path, name,
		       reply.why);
		rc = !strcmp(reply.code, "bad-rate") ? EXIT_USAGE : EXIT_FAILED;
	} else {
		printf("exported %s as \"%s\"; to have it elsewhere: intermezzoctl invite %s\n",
		       path, name, name);
		warn(reply.json);
	}
	reply_free(&reply);
	free(path);
	return rc;
}

int cmd_attach(const struct verb *verb, int argc, const char **argv)
{
	char *as = NULL, *bwlimit = NULL, *path;
	int wait = 0, merge = 0;
	const struct poptOption table[] = {
		{ "as", 0, POPT_ARG_STRING, &as, 0,
		  "its name here (default: as at the server)", "NAME" },
		{ "bwlimit", 'b', POPT_ARG_STRING, &bwlimit, 0,
		  "use no more of the line than this, both directions, as 500k, 2M or 8Mbit, or by the clock",
		  "RATE" },
		{ "merge", 0, POPT_ARG_NONE, &merge, 0,
		  "DIR has files: transfer only differences, and remove what the server does not have",
		  NULL },
		{ "wait", 'w', POPT_ARG_NONE, &wait, 0,
		  "show progress and return when it is in step with the server",
		  NULL },
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, daemon_options, 0,
		  "Daemon:", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	struct reply reply;
	const char *args[2], *source;
	int rc;

	if (!verb_parse(verb, argc, argv, table, 2, 2, args))
		return EXIT_USAGE;
	/* its secret is not for terminals and logs */
	source = strncmp(args[0], "im1-", 4) ? args[0] : "by the invitation";
	if (as && im_fsname_check(as))
		return misused(verb,
			       "--as \"%s\" is not a name for a fileset: 1 to %d letters, digits, '.', '_' and '-', not '.' first",
			       as, IM_FSNAME_LEN);
	if (geteuid())
		return not_root("attach");
	path = full_path(args[1]);
	if (!path || !im_utf8_ok(path, strlen(path)) ||
	    !im_utf8_ok(args[0], strlen(args[0])))
		return failed("cannot attach %s at %s: that is not UTF-8",
			      source, args[1]);
	if (need_module(reply.why, sizeof(reply.why)))
		return failed("cannot attach %s at %s: %s", source, path,
			      reply.why);
	rc = daemon_call("POST", "/ctl/attach",
			 json_pack("{s:s, s:s, s:s*, s:s*, s:b}", "url",
				   args[0], "dir", path, "as", as, "bwlimit",
				   bwlimit, "merge", merge), &reply);
	if (rc) {
		failed("cannot attach %s at %s: %s", source, path, reply.why);
		rc = !strcmp(reply.code, "bad-url") ||
		     !strcmp(reply.code, "bad-invitation") ||
		     !strcmp(reply.code, "bad-rate") ? EXIT_USAGE : EXIT_FAILED;
	} else {
		source = text_of(reply.json, "url");
		printf("attached %.*s at %s as \"%s\"\n",
		       (int)strcspn(source, "#"), source, path,
		       text_of(reply.json, "name"));
		warn(reply.json);
		if (wait)
			rc = wait_in_step(text_of(reply.json, "name"));
	}
	reply_free(&reply);
	free(path);
	return rc;
}

/* A name or a directory; a name cannot have '/', nor begin with '.'. */
static int call_by_key(const char *path, const char *key, int force,
		       struct reply *reply)
{
	char *dir = im_fsname_check(key) ? full_path(key) : NULL;
	int rc;

	rc = daemon_call("POST", path, json_pack("{s:s, s:b}", "key",
						 dir ? dir : key, "force",
						 force), reply);
	free(dir);
	if (!rc || im_fsname_check(key) || strcmp(reply->code, "unknown"))
		return rc;
	dir = realpath(key, NULL);
	if (!dir)
		return rc;
	reply_free(reply);
	rc = daemon_call("POST", path, json_pack("{s:s, s:b}", "key", dir,
						 "force", force), reply);
	free(dir);
	return rc;
}

static int end(const struct verb *verb, int argc, const char **argv,
	       const char *path, const char *done)
{
	int force = 0;
	const struct poptOption table[] = {
		{ "force", 'f', POPT_ARG_NONE, &force, 0,
		  "also when it is in use: it leaves the tree at once, and ends when its users do",
		  NULL },
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, daemon_options, 0,
		  "Daemon:", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	struct reply reply;
	const char *key;
	int rc;

	if (!verb_parse(verb, argc, argv, table, 1, 1, &key))
		return EXIT_USAGE;
	if (geteuid())
		return not_root(verb->name);
	if (!im_utf8_ok(key, strlen(key)))
		return failed("cannot %s %s: that is not UTF-8", verb->name,
			      key);
	rc = call_by_key(path, key, force, &reply);
	if (rc) {
		rc = failed("cannot %s %s: %s", verb->name, key, reply.why);
	} else {
		printf("%s \"%s\"; %s is an ordinary directory again\n", done,
		       text_of(reply.json, "name"), text_of(reply.json, "dir"));
		printf("Its log stays in %s/%s, to go on from should you %s it again; if you will not, remove that.\n",
		       text_of(reply.json, "dir"), IM_STATE_DIR,
		       !strcmp(verb->name, "detach") ? "attach" : "export");
	}
	reply_free(&reply);
	return rc;
}

int cmd_unexport(const struct verb *verb, int argc, const char **argv)
{
	return end(verb, argc, argv, "/ctl/unexport", "unexported");
}

int cmd_detach(const struct verb *verb, int argc, const char **argv)
{
	return end(verb, argc, argv, "/ctl/detach", "detached");
}
