// SPDX-License-Identifier: GPL-2.0
/*
 * intermezzoctl verify: the daemon compares, this asks for what it found. An
 * end of this is noticed by the daemon, which then ends, too.
 */
#include "ctl.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/text.h"

static int hex_value(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void verify_print_path(const json_t *o)
{
	const char *path = json_string_value(json_object_get(o, "path"));
	const char *hex = json_string_value(json_object_get(o, "path_hex"));
	size_t n = hex ? strlen(hex) / 2 : 0, i;
	char *bytes;

	if (path) {
		print_quoted(stdout, path, strlen(path));
		return;
	}
	bytes = malloc(n + 1);
	if (!bytes)
		return;
	for (i = 0; i < n; i++)
		bytes[i] = (char)(hex_value(hex[2 * i]) << 4 |
				  hex_value(hex[2 * i + 1]));
	print_quoted(stdout, bytes, n);
	free(bytes);
}

static void verify_print(const json_t *o, int json)
{
	const json_t *word;
	const char *sep = ": ";
	size_t i;

	if (json) {
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	verify_print_path(o);
	if (json_is_true(json_object_get(o, "busy"))) {
		fputs(": not compared, it changed each time it was looked at\n",
		      stdout);
		return;
	}
	json_array_foreach(json_object_get(o, "what"), i, word) {
		printf("%s%s", sep, json_string_value(word));
		sep = ", ";
	}
	puts(json_is_true(json_object_get(o, "mended")) ? "; mended" : "");
}

static int verify_sum(const char *name, const json_t *o, int json)
{
	json_int_t differences = int_of(o, "differences");
	json_int_t mended = int_of(o, "mended"), busy = int_of(o, "busy");
	const char *error = json_string_value(json_object_get(o, "error"));

	if (json) {
		json_t *sum = json_deep_copy(o);

		json_object_del(sum, "found");
		json_dumpf(sum, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(sum);
	} else {
		printf("%s: %" JSON_INTEGER_FORMAT " objects in %" JSON_INTEGER_FORMAT " directories, ",
		       name, int_of(o, "objects"),
		       int_of(o, "directories"));
		print_bytes(stdout, int_of(o, "bytes"));
		printf(" read here: %" JSON_INTEGER_FORMAT " differ%s", differences,
		       differences == 1 ? "s" : "");
		if (mended)
			printf(", %" JSON_INTEGER_FORMAT " mended", mended);
		if (busy)
			printf(", %" JSON_INTEGER_FORMAT " not compared", busy);
		putchar('\n');
	}
	if (error && *error)
		return failed("cannot verify \"%s\" to the end: %s", name,
			      error);
	return differences > mended || busy ? EXIT_DIFFERS : EXIT_OK;
}

static int verify_loop(const char *name, json_int_t id, int json)
{
	struct reply reply;
	const json_t *o;
	int rc = -1;
	size_t i;

	while (rc < 0) {
		if (daemon_call("POST", "/ctl/verify-next",
				json_pack("{s:s, s:I}", "name", name, "id", id),
				&reply)) {
			rc = failed("cannot verify \"%s\" to the end: %s", name,
				    reply.why);
		} else {
			json_array_foreach(json_object_get(reply.json, "found"),
					   i, o)
				verify_print(o, json);
			fflush(stdout);
			if (json_is_true(json_object_get(reply.json, "done")))
				rc = verify_sum(name, reply.json, json);
		}
		reply_free(&reply);
	}
	return rc;
}

int cmd_verify(const struct verb *verb, int argc, const char **argv)
{
	int repair = 0, json = 0;
	char *rate = NULL;
	const struct poptOption table[] = {
		{ "repair", 0, POPT_ARG_NONE, &repair, 0,
		  "make what differs as the server has it", NULL },
		{ "rate", 0, POPT_ARG_STRING, &rate, 0,
		  "read files no faster than this, on either side, as 10M, or off (default 32M)",
		  "RATE" },
		{ "json", 'j', POPT_ARG_NONE, &json, 0,
		  "a JSON object a line, the last one is the sum", NULL },
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, daemon_options, 0,
		  "Daemon:", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	const char *args[2] = { NULL, NULL };
	struct reply reply;
	int rc;

	if (!verb_parse(verb, argc, argv, table, 1, 2, args))
		return EXIT_USAGE;
	if (im_fsname_check(args[0]))
		return misused(verb, "\"%s\" is not a name for a fileset",
			       args[0]);
	if (args[1] && !im_utf8_ok(args[1], strlen(args[1])))
		return failed("cannot verify \"%s\": the path is not UTF-8; verify the directory above it",
			      args[0]);
	if (geteuid())
		return failed("cannot verify: only root may; try sudo");
	rc = daemon_call("POST", "/ctl/verify",
			 json_pack("{s:s, s:s*, s:b, s:s*}", "name", args[0],
				   "path", args[1], "repair", repair, "rate",
				   rate), &reply);
	if (rc) {
		failed("cannot verify \"%s\": %s", args[0], reply.why);
		rc = !strcmp(reply.code, "bad-rate") ? EXIT_USAGE : EXIT_FAILED;
	} else {
		rc = verify_loop(args[0], (json_int_t)int_of(reply.json,
								 "id"), json);
	}
	reply_free(&reply);
	return rc;
}
