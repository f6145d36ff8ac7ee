// SPDX-License-Identifier: GPL-2.0
/* intermezzoctl set: what can be changed of a fileset that is up. */
#include "ctl.h"

#include <unistd.h>
#include "common/text.h"

#define SET_BWLIMIT	"bwlimit="

int cmd_set(const struct verb *verb, int argc, const char **argv)
{
	int whole = 0;
	const struct poptOption table[] = {
		{ "daemon", 0, POPT_ARG_NONE, &whole, 0,
		  "of all filesets of this daemon together, as without NAME",
		  NULL },
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, daemon_options, 0,
		  "Daemon:", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	const char *args[2] = { NULL, NULL }, *name, *what;
	struct reply reply;
	int rc;

	if (!verb_parse(verb, argc, argv, table, 1, 2, args))
		return EXIT_USAGE;
	name = args[1] ? args[0] : NULL;
	what = args[1] ? args[1] : args[0];
	if (name && whole)
		return misused(verb, "--daemon and \"%s\": say one of them",
			       name);
	if (strncmp(what, SET_BWLIMIT, strlen(SET_BWLIMIT)))
		return misused(verb, "\"%s\" cannot be set; say it like bwlimit=2M",
			       what);
	if (geteuid())
		return failed("cannot set %s: only root may; try sudo", what);
	if (!im_utf8_ok(what, strlen(what)) ||
	    (name && !im_utf8_ok(name, strlen(name))))
		return misused(verb, "that is not UTF-8");
	rc = daemon_call("POST", "/ctl/set",
			 json_pack("{s:s*, s:s}", "key", name, "bwlimit",
				   what + strlen(SET_BWLIMIT)), &reply);
	if (rc) {
		failed("cannot set %s: %s", what, reply.why);
		rc = !strcmp(reply.code, "bad-rate") ? EXIT_USAGE : EXIT_FAILED;
	}
	reply_free(&reply);
	return rc;
}
