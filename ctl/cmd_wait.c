// SPDX-License-Identifier: GPL-2.0
/*
 * intermezzoctl wait: the daemon asks the server how far it is, then is asked
 * itself, a few seconds at a time, whether that has been reached.
 */
#include "ctl.h"

#include <ctype.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WAIT_ASK_MS	5000	/* of one request */

/* "90", "1.5s", "250ms", "5m", "2h": ms, at least 1; or -1. */
static long long wait_time(const char *text)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {
		{ "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 },
		{ "h", 3600000 },
	};
	double value;
	char *end;
	size_t i;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	value = strtod(text, &end);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!strcmp(end, units[i].unit) &&
		    value * units[i].ms < 1e12)
			return value * units[i].ms < 1 ? 1 :
				(long long)(value * units[i].ms);
	}
	return -1;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct waiting {
	const char *name, *url, *incarnation;
	json_int_t recno;
	char last[512];
	bool reached;
	json_int_t applied, low;
	const char *phase, *error;
};

/* What it waits for, in words; the same again is not said. */
static void wait_say(struct waiting *w)
{
	char text[512];

	if (strcmp(w->phase, "following"))
		snprintf(text, sizeof(text), "%.32s%s%.300s", w->phase,
			 *w->error ? ": " : "", w->error);
	else if (w->applied < w->recno)
		snprintf(text, sizeof(text), "applying");
	else
		snprintf(text, sizeof(text), "fetching data of record %" JSON_INTEGER_FORMAT " again, a crash may have taken it",
			 w->low);
	if (!strcmp(text, w->last))
		return;
	strcpy(w->last, text);
	fprintf(stderr, "%s: waiting for record %" JSON_INTEGER_FORMAT " of %s, here is %" JSON_INTEGER_FORMAT " (%s)\n",
		w->name, w->recno, w->url, w->applied, text);
}

/* One request; *reply holds what w points to. */
static int wait_ask(struct waiting *w, int ms, struct reply *reply)
{
	int reached = 0;

	if (daemon_call("POST", "/ctl/wait",
			json_pack("{s:s, s:s, s:I, s:i}", "name", w->name,
				  "incarnation", w->incarnation, "recno",
				  w->recno, "ms", ms), reply))
		return failed("cannot wait for \"%s\": %s", w->name,
			      reply->why);
	if (json_unpack(reply->json, "{s:b, s:I, s:I, s:s, s:s}", "reached",
			&reached, "applied", &w->applied, "low", &w->low,
			"phase", &w->phase, "error", &w->error))
		return failed("cannot wait for \"%s\": intersyncd is of another version",
			      w->name);
	w->reached = reached;
	return EXIT_OK;
}

static int wait_loop(struct waiting *w, long long end, const char *timeout)
{
	struct reply reply;
	long long left;
	bool first = true;
	int rc, ms;

	for (;;) {
		left = end ? end - now_ms() : WAIT_ASK_MS;
		ms = first ? 0 : left < 0 ? 0 :
		     left < WAIT_ASK_MS ? (int)left : WAIT_ASK_MS;
		rc = wait_ask(w, ms, &reply);
		if (!rc && w->reached)
			printf("%s: in step with %s: all up to record %" JSON_INTEGER_FORMAT " is here\n",
			       w->name, w->url, w->recno);
		else if (!rc && end && left <= 0)
			rc = failed("\"%s\" is not in step after %s: record %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " is applied, %s%s%s",
				    w->name, timeout, w->applied, w->recno,
				    w->phase, *w->error ? ": " : "",
				    w->error) ? EXIT_NOT_YET : 0;
		else if (!rc)
			wait_say(w);
		reply_free(&reply);
		if (rc || w->reached)
			return rc;
		first = false;
	}
}

int cmd_wait(const struct verb *verb, int argc, const char **argv)
{
	char *timeout = NULL;
	const struct poptOption table[] = {
		{ "timeout", 't', POPT_ARG_STRING, &timeout, 0,
		  "give up, with exit status 3, after this, as 30s, 5m (default: never)",
		  "TIME" },
		{ NULL, 0, POPT_ARG_INCLUDE_TABLE, daemon_options, 0,
		  "Daemon:", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	struct waiting w = { 0 };
	long long ms = 0, end;
	struct reply reply;
	int rc;

	if (!verb_parse(verb, argc, argv, table, 1, 1, &w.name))
		return EXIT_USAGE;
	if (timeout) {
		ms = wait_time(timeout);
		if (ms < 0)
			return misused(verb, "--timeout %s is not a time; say it like 30s or 5m",
				       timeout);
	}
	if (im_fsname_check(w.name))
		return misused(verb, "\"%s\" is not a name for a fileset",
			       w.name);
	if (geteuid())
		return failed("cannot wait: only root may; try sudo");
	end = timeout ? now_ms() + ms : 0;
	rc = daemon_call("POST", "/ctl/point",
			 json_pack("{s:s, s:i}", "name", w.name, "ms",
				   ms > 3600000 ? 3600000 : (int)ms), &reply);
	if (rc)
		rc = failed("cannot wait for \"%s\": %s", w.name, reply.why);
	else if (json_unpack(reply.json, "{s:s, s:s, s:I}", "url", &w.url,
			     "incarnation", &w.incarnation, "recno", &w.recno))
		rc = failed("cannot wait for \"%s\": intersyncd is of another version",
			    w.name);
	else
		rc = wait_loop(&w, end, timeout);
	reply_free(&reply);
	return rc;
}
