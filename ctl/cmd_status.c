// SPDX-License-Identifier: GPL-2.0
/*
 * intermezzoctl status, version, and attach --wait. What the module says and
 * what the daemon says are joined by name; either may be missing.
 */
#include "ctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <intermezzo_wire.h>
#include "common/genl.h"
#include "common/mountinfo.h"

static json_t *fset_json(const struct im_genl_fset *f,
			 const struct im_mounts *mounts)
{
	const struct im_mount *mount = im_mounts_fset(mounts, f->name);
	char uuid[37];
	int i, at = 0;
	json_t *o;

	for (i = 0; i < 16; i++)
		at += sprintf(uuid + at, "%s%02x",
			      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			      f->uuid[i]);
	o = json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:s, s:b, s:b}",
		      "name", f->name, "uuid", uuid,
		      "incarnation", json_sprintf("%016" PRIx64, f->incarnation),
		      "id", json_sprintf("%016" PRIx64, f->id),
		      "first", (json_int_t)f->first,
		      "last", (json_int_t)f->last,
		      "durable", (json_int_t)f->durable,
		      "log_bytes", (json_int_t)f->log_bytes,
		      "guarantee", f->guarantee,
		      "replica", !!(f->flags & IM_INFO_REPLICA),
		      "dead", !!(f->flags & IM_INFO_DEAD));
	if (!o)
		return NULL;
	json_object_update_new(o, json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"log_keep", (json_int_t)f->log_keep,
		"log_min", (json_int_t)f->log_min,
		"log_keep_age", (json_int_t)f->log_keep_age,
		"sync_ms", (json_int_t)f->sync_ms,
		"open_intents", (json_int_t)f->open_intents,
		"dirty", (json_int_t)f->dirty,
		"readers", (json_int_t)f->readers,
		"recovered", (json_int_t)f->recovered,
		"redirtied", (json_int_t)f->redirtied));
	if (mount)
		json_put_bytes(o, "dir", mount->dir, strlen(mount->dir));
	return o;
}

/* The module's filesets into list; -errno. */
static int ask_module(json_t *list)
{
	struct im_genl_fset *fsets;
	struct im_mounts mounts;
	struct im_genl *genl;
	size_t count, i;
	int rc;

	rc = im_genl_open(&genl);
	if (rc)
		return rc;
	rc = im_genl_list(genl, &fsets, &count);
	im_genl_close(genl);
	if (rc)
		return rc;
	if (im_mounts_read(&mounts))
		memset(&mounts, 0, sizeof(mounts));
	for (i = 0; i < count; i++)
		json_array_append_new(list, fset_json(&fsets[i], &mounts));
	im_mounts_free(&mounts);
	free(fsets);
	return 0;
}

static json_t *find(json_t *list, const char *name)
{
	json_t *o;
	size_t i;

	json_array_foreach(list, i, o) {
		const char *s = json_string_value(json_object_get(o, "name"));

		if (s && !strcmp(s, name))
			return o;
	}
	return NULL;
}

/* The daemon's filesets, each with the module's fields; then the others. */
static void join(json_t *list, json_t *managed)
{
	json_t *o, *kernel;
	size_t i;

	json_array_foreach(managed, i, o) {
		kernel = find(list, text_of(o, "name"));
		if (!kernel) {
			json_object_set_new(o, "mounted", json_false());
			json_array_append(list, o);
			continue;
		}
		json_object_update(kernel, o);
	}
	json_array_foreach(list, i, o)
		if (!json_object_get(o, "mounted"))
			json_object_set_new(o, "mounted", json_true());
}

static bool in_step(const json_t *o)
{
	return !strcmp(text_of(o, "phase"), "following") &&
	       json_real_value(json_object_get(o, "in_step")) > 0 &&
	       int_of(o, "applied") >= int_of(o, "server_durable");
}

static void print_progress(FILE *out, const json_t *o)
{
	const char *phase = text_of(o, "phase");

	if (!strcmp(phase, "snapshot")) {
		fprintf(out, "first copy: %" JSON_INTEGER_FORMAT,
			int_of(o, "files_done"));
		if (int_of(o, "files_all"))
			fprintf(out, " of %" JSON_INTEGER_FORMAT,
				int_of(o, "files_all"));
		fputs(" objects, ", out);
		print_bytes(out, int_of(o, "bytes_done"));
	} else if (in_step(o)) {
		fprintf(out, "in step with the server (record %" JSON_INTEGER_FORMAT ")",
			int_of(o, "applied"));
	} else if (!strcmp(phase, "following")) {
		fprintf(out, "catching up: record %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT,
			int_of(o, "applied"), int_of(o, "server_durable"));
	} else {
		fputs(*phase ? phase : "starting", out);
	}
}

/* ", limited to 2.0 MB/s (by 08:00-18:00 2M)", if anything was asked for. */
static void print_limit(const json_t *o)
{
	const char *set = text_of(o, "bwlimit_set");
	const char *entry = text_of(o, "bwlimit_entry");

	if (int_of(o, "bwlimit")) {
		fputs(", limited to ", stdout);
		print_bytes(stdout, int_of(o, "bwlimit"));
		fputs("/s", stdout);
	} else if (strchr(set, ',') || strchr(set, ':')) {
		fputs(", no limit now", stdout);
	} else {
		return;
	}
	if (strcmp(set, entry))
		printf(" (%s%s)", *entry ? "by " : "by no entry of ",
		       *entry ? entry : set);
}

static void print_attached(const json_t *o)
{
	double lag = json_real_value(json_object_get(o, "lag"));
	double when = json_real_value(json_object_get(o, "in_step"));

	fputs("    ", stdout);
	print_progress(stdout, o);
	if (!strcmp(text_of(o, "phase"), "following") && lag > 0)
		printf(", lag %.2f s", lag);
	putchar('\n');
	if (!in_step(o) && when > 0) {
		fputs("    last in step ", stdout);
		print_time(stdout, (s64)(when * 1e9));
		putchar('\n');
	}
	fputs("    received ", stdout);
	print_bytes(stdout, int_of(o, "wire_in"));
	fputs(", sent ", stdout);
	print_bytes(stdout, int_of(o, "wire_out"));
	printf(", %" JSON_INTEGER_FORMAT " records applied",
	       int_of(o, "records"));
	print_limit(o);
	putchar('\n');
}

static void print_exported(const json_t *o)
{
	printf("    %s: %" JSON_INTEGER_FORMAT " records sent, ",
	       text_of(o, "phase"), int_of(o, "records"));
	print_bytes(stdout, int_of(o, "wire_out"));
	print_limit(o);
	putchar('\n');
}

/* As it was given, or could have been: 7d, 36h. */
static void print_age(FILE *out, json_int_t seconds)
{
	static const struct {
		int seconds;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	int i = 0;

	while (seconds % units[i].seconds)
		i++;
	fprintf(out, "%" JSON_INTEGER_FORMAT "%c", seconds / units[i].seconds,
		units[i].unit);
}

static void print_kernel(const json_t *o)
{
	printf("    log: records %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
	       int_of(o, "first"), int_of(o, "last"));
	if (int_of(o, "durable") < int_of(o, "last"))
		printf(" (on disk to %" JSON_INTEGER_FORMAT ")",
		       int_of(o, "durable"));
	fputs(", room for ", stdout);
	print_bytes(stdout, int_of(o, "log_bytes"));
	if (int_of(o, "log_bytes") != int_of(o, "log_keep")) {
		fputs(" of ", stdout);
		print_bytes(stdout, int_of(o, "log_keep"));
	}
	if (int_of(o, "log_keep_age")) {
		fputs(", for ", stdout);
		print_age(stdout, int_of(o, "log_keep_age"));
	}
	printf("; guarantee %s\n", text_of(o, "guarantee"));
	if (int_of(o, "dirty") || int_of(o, "open_intents"))
		printf("    under way: %" JSON_INTEGER_FORMAT " changes, %" JSON_INTEGER_FORMAT " files open with changes\n",
		       int_of(o, "open_intents"), int_of(o, "dirty"));
	if (int_of(o, "recovered") || int_of(o, "redirtied"))
		printf("    after a crash: %" JSON_INTEGER_FORMAT " changes settled, %" JSON_INTEGER_FORMAT " files marked changed\n",
		       int_of(o, "recovered"), int_of(o, "redirtied"));
	if (json_is_true(json_object_get(o, "dead")))
		printf("    THE LOG FAILED and changes are refused: see dmesg, repair the disk, mount again\n");
}

static void print_fset(const json_t *o, bool daemon)
{
	const char *role = text_of(o, "role");
	const char *dir = text_of(o, "dir");

	printf("%s: ", text_of(o, "name"));
	if (!strcmp(role, "attach"))
		printf("%.*s attached at %s\n",	/* without a fingerprint */
		       (int)strcspn(text_of(o, "url"), "#"), text_of(o, "url"),
		       dir);
	else if (!strcmp(role, "export"))
		printf("%s exported\n", dir);
	else
		printf("%s mounted%s\n", *dir ? dir : "(out of sight)",
		       daemon ? ", neither exported nor attached here" : "");
	if (*text_of(o, "error"))
		printf("    ERROR: %s\n", text_of(o, "error"));
	if (!strcmp(role, "attach"))
		print_attached(o);
	else if (!strcmp(role, "export"))
		print_exported(o);
	if (json_is_true(json_object_get(o, "mounted")))
		print_kernel(o);
	else
		printf("    not mounted\n");
}

static int no_daemon(int module, const char *why)
{
	if (module == -ENOENT)
		printf("The kernel module intermezzo is not loaded: modprobe intermezzo\n");
	else if (module)
		printf("The kernel module does not answer: %s\n",
		       module == -EPERM ? "it takes root" : strerror(-module));
	if (why)
		printf("The daemon does not answer: %s.\nWithout it nothing is served or fetched; changes are still logged.\n",
		       why);
	return EXIT_OK;
}

int cmd_status(const struct verb *verb, int argc, const char **argv)
{
	int json = 0;
	const struct poptOption table[] = {
		{ "json", 'j', POPT_ARG_NONE, &json, 0,
		  "one JSON object with all that is known", NULL },
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, daemon_options, 0,
		  "Daemon:", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	json_t *list, *o, *out;
	const char *name = NULL;
	struct reply reply;
	bool daemon;
	int module;
	size_t i;

	if (!verb_parse(verb, argc, argv, table, 0, 1, &name))
		return EXIT_USAGE;
	list = json_array();
	module = ask_module(list);
	daemon = !daemon_call("GET", "/ctl/status", NULL, &reply);
	join(list, daemon ? json_object_get(reply.json, "filesets") : NULL);
	if (name) {
		o = find(list, name);
		if (!o)
			return failed("no fileset \"%s\" is %s here; see: intermezzoctl status",
				      name, daemon ? "known" : "mounted");
		out = json_pack("[O]", o);
		json_decref(list);
		list = out;
	}
	if (json) {
		out = json_pack("{s:b, s:b, s:o}", "module", !module, "daemon",
				daemon, "filesets", list);
		if (daemon) {
			json_object_del(reply.json, "filesets");
			json_object_set(out, "intersyncd", reply.json);
		}
		json_dumpf(out, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(out);
		return EXIT_OK;
	}
	json_array_foreach(list, i, o)
		print_fset(o, daemon);
	if (daemon && *text_of(reply.json, "bwlimit_set")) {
		fputs("all filesets together", stdout);
		print_limit(reply.json);
		putchar('\n');
	}
	if (!json_array_size(list) && !module && daemon)
		printf("No fileset yet: intermezzoctl export DIR --name NAME, or attach INVITATION DIR\n");
	no_daemon(module, daemon ? NULL : reply.why);
	json_decref(list);
	reply_free(&reply);
	return EXIT_OK;
}

/* A line that is overwritten on a terminal, written once a change elsewhere. */
static void show_progress(const json_t *o, char *last, size_t size)
{
	char *text = NULL;
	size_t len = 0;
	FILE *mem = open_memstream(&text, &len);

	if (!mem)
		return;
	print_progress(mem, o);
	fclose(mem);
	if (strcmp(text, last)) {
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\r\033[K%s", text);
		else
			fprintf(stderr, "%s\n", text);
		snprintf(last, size, "%s", text);
	}
	free(text);
}

int wait_in_step(const char *name)
{
	const struct timespec pause = { .tv_nsec = 250000000 };
	char line[128] = "", error[300] = "";
	struct reply reply;
	json_t *o;
	int rc = -1;

	while (rc < 0) {
		if (daemon_call("GET", "/ctl/status", NULL, &reply)) {
			rc = failed("cannot wait for \"%s\": %s", name,
				    reply.why);
			reply_free(&reply);
			break;
		}
		o = find(json_object_get(reply.json, "filesets"), name);
		if (!o) {
			rc = failed("\"%s\" was detached meanwhile", name);
		} else {
			show_progress(o, line, sizeof(line));
			if (*text_of(o, "error") &&
			    strcmp(error, text_of(o, "error"))) {
				snprintf(error, sizeof(error), "%s",
					 text_of(o, "error"));
				fprintf(stderr, "%sintermezzoctl: %s: %s\n",
					isatty(STDERR_FILENO) ? "\n" : "", name,
					error);
			}
			if (in_step(o))
				rc = EXIT_OK;
			else if (!strcmp(text_of(o, "phase"), "stopped") &&
				 *error)
				rc = EXIT_FAILED;
		}
		reply_free(&reply);
		if (rc < 0)
			nanosleep(&pause, NULL);
	}
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	return rc;
}

int cmd_version(const struct verb *verb, int argc, const char **argv)
{
	const struct poptOption table[] = {
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, daemon_options, 0,
		  "Daemon:", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	char module[64] = "";
	struct reply reply;
	FILE *file;

	if (!verb_parse(verb, argc, argv, table, 0, 0, NULL))
		return EXIT_USAGE;
	printf("intermezzoctl %s\n", INTERMEZZO_VERSION);
	if (daemon_call("GET", "/ctl/version", NULL, &reply))
		printf("intersyncd    %s\n",
		       !strcmp(reply.code, "down") ? "not running" : "no answer");
	else
		printf("intersyncd    %s (wire %" JSON_INTEGER_FORMAT ")\n",
		       text_of(reply.json, "version"),
		       int_of(reply.json, "wire"));
	reply_free(&reply);
	file = fopen("/sys/module/intermezzo/version", "re");
	if (file) {
		if (fgets(module, sizeof(module), file))
			module[strcspn(module, "\n")] = '\0';
		fclose(file);
	}
	printf("module        %s\n", *module ? module :
	       access("/sys/module/intermezzo", F_OK) ? "not loaded" :
							"loaded, version unknown");
	return EXIT_OK;
}
