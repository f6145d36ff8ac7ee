// SPDX-License-Identifier: GPL-2.0
#include "ctl.h"

#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include "common/paths.h"

static const struct verb verbs[] = {
	{ "export", cmd_export, "DIR --name NAME",
	  "make a directory a fileset that others can attach" },
	{ "unexport", cmd_unexport, "NAME|DIR",
	  "end that; the files stay" },
	{ "invite", cmd_invite, "NAME",
	  "print a word by which one other machine can attach it" },
	{ "peers", cmd_peers, "[NAME]",
	  "show which machines may attach what, and who is there" },
	{ "revoke", cmd_revoke, "PEER [NAME]",
	  "end a machine's access, at once" },
	{ "attach", cmd_attach, "INVITATION DIR",
	  "make a directory a live copy of another machine's fileset" },
	{ "detach", cmd_detach, "NAME|DIR",
	  "end that; the files stay" },
	{ "status", cmd_status, "[NAME]",
	  "show filesets, how far they are, and what is wrong" },
	{ "set", cmd_set, "[NAME] bwlimit=RATE",
	  "change the limit of bandwidth at once and for later" },
	{ "wait", cmd_wait, "NAME",
	  "return when all that the server has by now is here" },
	{ "verify", cmd_verify, "NAME [PATH]",
	  "compare with the server, while both are in use, and mend" },
	{ "log", cmd_log, "NAME",
	  "show the log of changes, one record a line" },
	{ "version", cmd_version, "",
	  "show the versions of the tool, the daemon and the module" },
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

struct poptOption daemon_options[] = {
	{ "socket", 0, POPT_ARG_STRING, &daemon_sock, 0,
	  "the daemon's socket (" SYNCD_SOCK ")", "PATH" },
	POPT_TABLEEND
};

int failed(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("intermezzoctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_FAILED;
}

int misused(const struct verb *verb, const char *fmt, ...)
{
	va_list ap;

	fputs("intermezzoctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (verb)
		fprintf(stderr, "; see: intermezzoctl %s --help\n", verb->name);
	else
		fputs("; see: intermezzoctl --help\n", stderr);
	return EXIT_USAGE;
}

bool verb_parse(const struct verb *verb, int argc, const char **argv,
		const struct poptOption *table, int min, int max,
		const char **args)
{
	static char title[64];
	poptContext context;
	const char *arg;
	int n = 0;
	int rc;

	/* what the usage line begins with */
	snprintf(title, sizeof(title), "intermezzoctl %s", verb->name);
	argv[0] = title;
	context = poptGetContext("intermezzoctl", argc, argv, table, 0);
	poptSetOtherOptionHelp(context, verb->args);
	rc = poptGetNextOpt(context);
	if (rc < -1) {
		misused(verb, "%s: %s", poptBadOption(context, 0),
			poptStrerror(rc));
		goto err_free;
	}
	while ((arg = poptGetArg(context))) {
		if (n == max) {
			misused(verb, "%s: one argument too many: %s",
				verb->name, arg);
			goto err_free;
		}
		args[n++] = strdup(arg);
	}
	if (n < min) {
		misused(verb, "%s wants %s", verb->name, verb->args);
		goto err_free;
	}
	poptFreeContext(context);
	return true;

err_free:
	poptFreeContext(context);
	return false;
}

static void usage(FILE *out)
{
	size_t i;

	fputs("usage: intermezzoctl VERB [OPTION...] [ARGUMENT...]\n\n", out);
	for (i = 0; i < VERBS; i++)
		fprintf(out, "  %-9s %-19s %s\n", verbs[i].name, verbs[i].args,
			verbs[i].what);
	fputs("\nOptions of a verb: intermezzoctl VERB --help. Exit status: 0 done, 1 failed, 2 wrong usage, 3 not in step in time (wait), 4 differs (verify).\n",
	      out);
}

static const struct verb *find(const char *name)
{
	size_t i;

	for (i = 0; i < VERBS; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

int main(int argc, const char **argv)
{
	static const char *help[] = { "", "--help", NULL };
	const struct verb *verb;

	setlocale(LC_CTYPE, "");
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("intermezzoctl %s\n", INTERMEZZO_VERSION);
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?") ||
	    !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		verb = argc > 2 ? find(argv[2]) : NULL;
		if (verb)
			return verb->fn(verb, 2, help);
		usage(stdout);
		return EXIT_OK;
	}
	verb = find(argv[1]);
	if (!verb)
		return misused(NULL, "there is no verb \"%s\"", argv[1]);
	return verb->fn(verb, argc - 1, argv + 1);
}
