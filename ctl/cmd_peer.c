// SPDX-License-Identifier: GPL-2.0
/* intermezzoctl invite, peers, revoke: other machines and what they may. */
#include "ctl.h"

#include <ctype.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "common/text.h"

#define EXPIRES_DEFAULT	3600

/* 90, 30m, 12h, 7d; 0: it is not a time. */
static json_int_t seconds_of(const char *text)
{
	static const struct {
		char unit;
		int seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	unsigned long n;
	char *end;
	size_t i;

	if (!isdigit((unsigned char)text[0]))
		return 0;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || n > 1000000000)
		return 0;
	if (!*end)
		return (json_int_t)n;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*end == units[i].unit && !end[1])
			return (json_int_t)n * units[i].seconds;
	return 0;
}

/* A usage error if one of these is not UTF-8, which JSON wants. */
static bool are_text(const char *a, const char *b)
{
	return im_utf8_ok(a, strlen(a)) && (!b || im_utf8_ok(b, strlen(b)));
}

int cmd_invite(const struct verb *verb, int argc, const char **argv)
{
	char *expires = NULL, *address = NULL;
	json_int_t seconds = EXPIRES_DEFAULT;
	int ro = 0, rw = 0;
	const struct poptOption table[] = {
		{ "ro", 0, POPT_ARG_NONE, &ro, 0,
		  "it may read (the default)", NULL },
		{ "rw", 0, POPT_ARG_NONE, &rw, 0,
		  "it may write, too: refused, since such replicas are not built yet",
		  NULL },
		{ "expires", 'e', POPT_ARG_STRING, &expires, 0,
		  "how long the invitation is good, as 30m, 12h or 7d (default 1h)",
		  "TIME" },
		{ "address", 'a', POPT_ARG_STRING, &address, 0,
		  "by which the other machine reaches this one (default: one of its own)",
		  "HOST[:PORT]" },
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, daemon_options, 0,
		  "Daemon:", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	struct reply reply;
	const char *name;
	int rc;

	if (!verb_parse(verb, argc, argv, table, 1, 1, &name))
		return EXIT_USAGE;
	if (ro && rw)
		return misused(verb, "--ro and --rw exclude each other");
	if (expires) {
		seconds = seconds_of(expires);
		if (!seconds)
			return misused(verb,
				       "--expires %s is not a time; say it like 30m, 12h or 7d",
				       expires);
	}
	if (geteuid())
		return failed("cannot invite: only root may; try sudo");
	if (!are_text(name, address))
		return failed("cannot invite: what was given is not UTF-8");
	rc = daemon_call("POST", "/ctl/invite",
			 json_pack("{s:s, s:I, s:s*, s:b}", "name", name,
				   "seconds", seconds, "address", address,
				   "rw", rw), &reply);
	if (rc) {
		rc = failed("cannot invite to \"%s\": %s", name, reply.why);
		goto out_free;
	}
	printf("%s\n", text_of(reply.json, "invitation"));
	fflush(stdout);
	fputs("Good once, until ", stderr);
	print_seconds(stderr, int_of(reply.json, "expires"));
	fprintf(stderr,
		", for whoever has it: hand it on by a way that you trust.\n"
		"On the other machine, which must reach %s, port %" JSON_INTEGER_FORMAT ": intermezzoctl attach INVITATION DIR\n",
		text_of(reply.json, "host"), int_of(reply.json, "port"));
out_free:
	reply_free(&reply);
	return rc;
}

static void print_peer(const json_t *peer)
{
	json_t *list = json_object_get(peer, "filesets"), *o;
	size_t i;

	printf("%s: %s\n    fingerprint %s\n    ", text_of(peer, "name"),
	       int_of(peer, "connections") ? "connected" : "not connected",
	       text_of(peer, "fingerprint"));
	fputs("since ", stdout);
	print_seconds(stdout, int_of(peer, "since"));
	if (int_of(peer, "seen")) {
		fputs(", last seen ", stdout);
		print_seconds(stdout, int_of(peer, "seen"));
	} else {
		fputs(", never seen", stdout);
	}
	putchar('\n');
	json_array_foreach(list, i, o) {
		printf("    %s: ", text_of(o, "name"));
		if (int_of(o, "revoked")) {
			fputs("revoked ", stdout);
			print_seconds(stdout, int_of(o, "revoked"));
			putchar('\n');
		} else {
			printf("%s\n", text_of(o, "rights"));
		}
	}
}

int cmd_peers(const struct verb *verb, int argc, const char **argv)
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
	const char *name = NULL;
	struct reply reply;
	json_t *list, *o;
	size_t i;

	if (!verb_parse(verb, argc, argv, table, 0, 1, &name))
		return EXIT_USAGE;
	if (name && im_fsname_check(name))
		return misused(verb, "\"%s\" is not the name of a fileset",
			       name);
	if (daemon_call("POST", "/ctl/peers",
			json_pack("{s:s*}", "name", name), &reply)) {
		failed("cannot show the peers: %s", reply.why);
		reply_free(&reply);
		return EXIT_FAILED;
	}
	if (json) {
		json_dumpf(reply.json, stdout, JSON_INDENT(2));
		putchar('\n');
		reply_free(&reply);
		return EXIT_OK;
	}
	printf("This machine: fingerprint %s\n",
	       text_of(reply.json, "fingerprint"));
	list = json_object_get(reply.json, "peers");
	json_array_foreach(list, i, o)
		print_peer(o);
	list = json_object_get(reply.json, "invitations");
	json_array_foreach(list, i, o) {
		printf("invitation %s: to %s, %s, good until ", text_of(o, "id"),
		       text_of(o, "fileset"), text_of(o, "rights"));
		print_seconds(stdout, int_of(o, "expires"));
		putchar('\n');
	}
	reply_free(&reply);
	return EXIT_OK;
}

int cmd_revoke(const struct verb *verb, int argc, const char **argv)
{
	const struct poptOption table[] = {
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, daemon_options, 0,
		  "Daemon:", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	const char *args[2] = { NULL };
	struct reply reply;
	int rc;

	if (!verb_parse(verb, argc, argv, table, 1, 2, args))
		return EXIT_USAGE;
	if (args[1] && im_fsname_check(args[1]))
		return misused(verb, "\"%s\" is not the name of a fileset",
			       args[1]);
	if (geteuid())
		return failed("cannot revoke: only root may; try sudo");
	if (!are_text(args[0], NULL))
		return failed("cannot revoke: what was given is not UTF-8");
	rc = daemon_call("POST", "/ctl/revoke",
			 json_pack("{s:s, s:s*}", "peer", args[0], "name",
				   args[1]), &reply);
	if (rc)
		rc = failed("cannot revoke %s: %s", args[0], reply.why);
	else if (!*text_of(reply.json, "name"))
		printf("the invitation is not good any more\n");
	else
		printf("%s (fingerprint %s) has no access to %s any more; it keeps what it has\n",
		       text_of(reply.json, "name"), text_of(reply.json, "fingerprint"),
		       args[1] ? args[1] : "anything");
	reply_free(&reply);
	return rc;
}
