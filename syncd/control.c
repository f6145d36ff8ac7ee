// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of intermezzoctl: JSON in, JSON out. What it may ask for is the
 * table at the end. A refusal is {"error": {"code": WORD, "text": TEXT}}.
 */
#include "manage.h"

#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>
#include "common/text.h"
#include "trust.h"
#include "control.h"

int bad_request(struct problem *p, const json_error_t *where)
{
	return problem(p, 400, "bad-request",
		       "the request is not understood: %s; are intermezzoctl and intersyncd of the same version?",
		       where->text);
}

static json_t *answer_of(const struct fset_conf *c, const char *warning)
{
	return json_pack("{s:s, s:s, s:s*, s:s*}", "name", c->name, "dir",
			 c->dir, "url", c->url, "warning",
			 warning && *warning ? warning : NULL);
}

static int take_name(struct fset_conf *c, const char *name, struct problem *p)
{
	if (im_fsname_check(name))
		return problem(p, 400, "bad-name",
			       "\"%.80s\" is not a name for a fileset: 1 to %d letters, digits, '.', '_' and '-', not '.' first",
			       name, IM_FSNAME_LEN);
	strcpy(c->name, name);
	return 0;
}

/* It becomes part of the mount's options, and the module judges it. */
static int check_option(const char *value, struct problem *p)
{
	if (!value || (strlen(value) <= 20 &&
		       strspn(value, "0123456789kKmMgGshd") == strlen(value)))
		return 0;
	return problem(p, 400, "bad-size",
		       "\"%.40s\" is no limit for the log; say a size like 64M, an age like 7d",
		       value);
}

static int take_limit(struct fset_conf *c, const char *text, struct problem *p)
{
	struct timetable t;

	if (!text)
		return 0;
	if (timetable_parse(text, &t))
		return problem(p, 400, "bad-rate", TIMETABLE_HELP, text);
	strcpy(c->bwlimit, text);
	return 0;
}

static int ctl_export(json_t *request, json_t **answer, struct problem *p)
{
	struct fset_conf c = { .role = FSET_EXPORT };
	struct manage_opts opts = { 0 };
	json_error_t where;
	const char *name, *bwlimit = NULL;

	if (json_unpack_ex(request, &where, 0,
			   "{s:s, s:s, s?s, s?s, s?s, s?s !}",
			   "name", &name, "dir", &c.dir, "log_size",
			   &opts.log_size, "log_keep", &opts.log_keep,
			   "log_keep_age", &opts.log_keep_age, "bwlimit",
			   &bwlimit))
		return bad_request(p, &where);
	if (take_limit(&c, bwlimit, p))
		return -1;
	if (check_option(opts.log_size, p) || check_option(opts.log_keep, p) ||
	    check_option(opts.log_keep_age, p))
		return -1;
	if (take_name(&c, name, p) || manage_export(&c, &opts, p))
		return -1;
	im_utf8_force(opts.warning);
	*answer = answer_of(&c, opts.warning);
	return 0;
}

static int ctl_attach(json_t *request, json_t **answer, struct problem *p)
{
	struct fset_conf c = { .role = FSET_ATTACH };
	const char *as = NULL, *bwlimit = NULL;
	char remote[IM_FSNAME_LEN + 1], url[INVITE_URL];
	struct manage_opts opts = { 0 };
	struct im_wire_redeem redeem;
	json_error_t where;
	char err[512] = "";
	int merge = 0;

	if (json_unpack_ex(request, &where, 0, "{s:s, s:s, s?s, s?s, s?b !}",
			   "url", &c.url, "dir", &c.dir, "as", &as, "bwlimit",
			   &bwlimit, "merge", &merge))
		return bad_request(p, &where);
	opts.merge = merge;
	if (invite_is(c.url)) {
		if (trust_invitation(c.url, &redeem, url, p))
			return -1;
		c.url = url;
		opts.redeem = &redeem;
	}
	if (client_url(c.url, remote, err, sizeof(err)))
		return problem(p, 400, "bad-url", "%s",
			       err[0] ? err : "the source is not understood");
	if (take_limit(&c, bwlimit, p))
		return -1;
	if (take_name(&c, as ? as : remote, p) || manage_attach(&c, &opts, p))
		return -1;
	im_utf8_force(opts.warning);
	*answer = answer_of(&c, opts.warning);
	return 0;
}

static int forget(json_t *request, enum fset_role role, json_t **answer,
		  struct problem *p)
{
	struct fset_conf gone;
	json_error_t where;
	const char *key;
	int force = 0;

	if (json_unpack_ex(request, &where, 0, "{s:s, s?b !}", "key", &key,
			   "force", &force))
		return bad_request(p, &where);
	if (manage_forget(key, role, force, &gone, p))
		return -1;
	*answer = answer_of(&gone, NULL);
	fset_conf_free(&gone);
	return 0;
}

static int ctl_unexport(json_t *request, json_t **answer, struct problem *p)
{
	return forget(request, FSET_EXPORT, answer, p);
}

static int ctl_detach(json_t *request, json_t **answer, struct problem *p)
{
	return forget(request, FSET_ATTACH, answer, p);
}

static double seconds(const struct timespec *ts)
{
	return (double)ts->tv_sec + (double)ts->tv_nsec / 1e9;
}

static json_t *stat_json(struct fset *f)
{
	struct fset_stat *s = &f->stat;
	json_t *o;

	pthread_mutex_lock(&s->lock);
	im_utf8_force(s->error);
	o = json_pack("{s:s, s:s, s:I, s:I, s:I}", "phase", s->phase, "error",
		      s->error, "wire_in", (json_int_t)s->wire_in, "wire_out",
		      (json_int_t)s->wire_out, "records",
		      (json_int_t)s->records);
	if (o && f->role == FSET_ATTACH)
		json_object_update_new(o, json_pack(
			"{s:I, s:I, s:I, s:I, s:I, s:f, s:f}",
			"server_durable", (json_int_t)s->server_durable,
			"applied", (json_int_t)s->applied,
			"files_done", (json_int_t)s->files_done,
			"files_all", (json_int_t)s->files_all,
			"bytes_done", (json_int_t)s->bytes_done,
			"lag", s->lag, "in_step", seconds(&s->in_step)));
	pthread_mutex_unlock(&s->lock);
	return o;
}

/* The rate in force, and why. */
static int limit_json(json_t *o, struct pace *pace)
{
	char text[TIMETABLE_TEXT], entry[TIMETABLE_TEXT];

	pace_show(pace, text, entry);
	return json_object_update_new(o, json_pack(
		"{s:I, s:s, s:s}", "bwlimit",
		(json_int_t)__atomic_load_n(&pace->bucket->rate,
					    __ATOMIC_RELAXED),
		"bwlimit_set", text, "bwlimit_entry", entry));
}

static int ctl_set(json_t *request, json_t **answer, struct problem *p)
{
	const char *key = NULL, *bwlimit;
	json_error_t where;

	if (json_unpack_ex(request, &where, 0, "{s?s, s:s !}", "key", &key,
			   "bwlimit", &bwlimit))
		return bad_request(p, &where);
	if (manage_limit(key, bwlimit, p))
		return -1;
	*answer = json_object();
	return 0;
}

static int status_one(void *arg, const struct fset_conf *c, struct fset *f,
		      const char *error)
{
	json_t *list = arg;
	json_t *o;

	o = json_pack("{s:s, s:s, s:s, s:s*, s:b}", "name", c->name,
		      "role", c->role == FSET_EXPORT ? "export" : "attach",
		      "dir", c->dir, "url", c->url, "up", f != NULL);
	if (!o)
		return -ENOMEM;
	if (f)
		limit_json(o, &f->pace);
	json_object_update_new(o, f ? stat_json(f) :
			       json_pack("{s:s, s:s}", "phase", "stopped",
					 "error", error));
	return json_array_append_new(list, o) ? -ENOMEM : 0;
}

static json_t *strings(char *const *list)
{
	json_t *array = json_array();

	for (; list && *list; list++)
		json_array_append_new(array, json_string(*list));
	return array;
}

static int ctl_status(json_t *request, json_t **answer, struct problem *p)
{
	json_t *list = json_array();

	if (!list || manage_each(status_one, list)) {
		json_decref(list);
		return problem(p, 500, "memory", "intersyncd is out of memory");
	}
	*answer = json_pack("{s:s, s:i, s:o, s:o, s:o}", "version",
			    INTERMEZZO_VERSION, "pid", (int)getpid(), "listen",
			    strings(conf.listen), "listen_insecure",
			    strings(conf.listen_insecure), "filesets", list);
	if (*answer)
		limit_json(*answer, &pace_daemon);
	return 0;
}

static int ctl_version(json_t *request, json_t **answer, struct problem *p)
{
	*answer = json_pack("{s:s, s:i}", "version", INTERMEZZO_VERSION, "wire",
			    IM_WIRE_VERSION);
	return 0;
}

static const struct {
	const char *method;
	const char *path;
	int (*fn)(json_t *request, json_t **answer, struct problem *p);
} requests[] = {
	{ "GET",  "/ctl/status",	ctl_status },
	{ "GET",  "/ctl/version",	ctl_version },
	{ "POST", "/ctl/export",	ctl_export },
	{ "POST", "/ctl/unexport",	ctl_unexport },
	{ "POST", "/ctl/attach",	ctl_attach },
	{ "POST", "/ctl/detach",	ctl_detach },
	{ "POST", "/ctl/invite",	ctl_invite },
	{ "POST", "/ctl/peers",		ctl_peers },
	{ "POST", "/ctl/revoke",	ctl_revoke },
	{ "POST", "/ctl/set",		ctl_set },
	{ "POST", "/ctl/point",		ctl_point },
	{ "POST", "/ctl/wait",		ctl_wait },
	{ "POST", "/ctl/verify",	ctl_verify },
	{ "POST", "/ctl/verify-next",	ctl_verify_next },
};

static int dispatch(const char *method, const char *path, const char *body,
		    size_t len, json_t **answer, struct problem *p)
{
	json_error_t where;
	json_t *request;
	bool known = false;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (strcmp(path, requests[i].path))
			continue;
		known = true;
		if (!strcmp(method, requests[i].method))
			break;
	}
	if (i == sizeof(requests) / sizeof(requests[0]))
		return problem(p, known ? 405 : 404, "bad-request",
			       "intersyncd %s does not know %s %.80s",
			       INTERMEZZO_VERSION, method, path);
	if (!strcmp(method, "GET"))
		return requests[i].fn(NULL, answer, p);
	request = json_loadb(body ? body : "", len, JSON_REJECT_DUPLICATES,
			     &where);
	if (!request)
		return bad_request(p, &where);
	rc = requests[i].fn(request, answer, p);
	json_decref(request);
	return rc;
}

int control_handle(const char *method, const char *path, const char *body,
		   size_t len, json_t **answer)
{
	struct problem p = { .status = 200 };

	*answer = NULL;
	if (dispatch(method, path, body, len, answer, &p)) {
		im_utf8_force(p.text);
		logmsg(LOG_INFO, "%s %s: refused: %s", method, path, p.text);
		*answer = json_pack("{s:{s:s, s:s}}", "error", "code", p.code,
				    "text", p.text);
	}
	if (!*answer) {
		p.status = 500;
		*answer = json_pack("{s:{s:s, s:s}}", "error", "code", "memory",
				    "text", "no answer could be made");
	}
	return p.status;
}
