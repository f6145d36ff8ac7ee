// SPDX-License-Identifier: GPL-2.0
/*
 * "Is all that was logged at the server by now here?" in two requests, so that
 * nothing waits for an intermezzoctl that was killed, or not for long: point
 * asks the server for its newest record, once that is durable; wait returns
 * when that record and the data of all up to it are here, or after some
 * seconds, and is then asked again.
 */
#include "control.h"

#include <stdlib.h>
#include "http.h"

#define WAIT_MS		5000	/* of one request */
#define POINT_MS	20000

struct fset *wait_fset(const char *name, const char *verb, struct problem *p)
{
	struct fset *f = fset_find(name);

	if (!f) {
		problem(p, 404, "unknown",
			"no fileset \"%.64s\" is up here; see: intermezzoctl status",
			name);
	} else if (f->role != FSET_ATTACH) {
		problem(p, 409, "is-server",
			"\"%s\" is exported here: this is the server itself, there is nothing it could be behind; say %s on a machine that has it attached",
			name, verb);
		fset_put(f);
		f = NULL;
	}
	return f;
}

/* 0, or p. */
static int point_ask(struct fset *f, unsigned int ms, struct im_wire_info *info,
		     struct problem *p)
{
	struct remote remote;
	struct http *h;
	int err;

	if (client_remote(f, &remote))
		return problem(p, 503, "unreachable",
			       "the client of \"%s\" does not run; why is in: intermezzoctl status",
			       f->name);
	h = http_new(&remote, f, &f->stop);
	if (!h)
		return problem(p, 500, "memory", "intersyncd is out of memory");
	http_limit(h, ms && ms < POINT_MS ? ms : POINT_MS);
	err = http_info(h, info);
	if (!err)
		err = http_now(h, le64_to_cpu(info->incarnation), "", info);
	if (err)
		problem(p, 503, "unreachable",
			"cannot ask the server of \"%s\" for its newest record: %s",
			f->name, http_error(h));
	http_free(h);
	return err;
}

int ctl_point(json_t *request, json_t **answer, struct problem *p)
{
	struct im_wire_info info;
	json_error_t where;
	const char *name;
	struct fset *f;
	int ms = 0, rc;

	if (json_unpack_ex(request, &where, 0, "{s:s, s?i !}", "name", &name,
			   "ms", &ms))
		return bad_request(p, &where);
	f = wait_fset(name, "wait", p);
	if (!f)
		return -1;
	rc = point_ask(f, ms > 0 ? ms : 0, &info, p) ? -1 : 0;
	/* as text: JSON's integers end at 63 bits */
	if (!rc)
		*answer = json_pack("{s:s, s:I, s:o}", "url", f->url, "recno",
				    (json_int_t)le64_to_cpu(info.durable),
				    "incarnation", json_sprintf("%llu",
				    (unsigned long long)
				    le64_to_cpu(info.incarnation)));
	fset_put(f);
	return rc;
}

static bool wait_reached(const struct fset_stat *s, u64 recno)
{
	return !strcmp(s->phase, "following") && s->applied >= recno &&
	       s->low > recno;
}

static void wait_deadline(struct timespec *t, unsigned int ms)
{
	clock_gettime(CLOCK_MONOTONIC, t);
	t->tv_sec += ms / 1000;
	t->tv_nsec += (long)(ms % 1000) * 1000000;
	if (t->tv_nsec >= 1000000000) {
		t->tv_sec++;
		t->tv_nsec -= 1000000000;
	}
}

int ctl_wait(json_t *request, json_t **answer, struct problem *p)
{
	const char *name, *inc_text;
	struct fset_stat *s;
	struct timespec end;
	json_error_t where;
	json_int_t recno;
	struct fset *f;
	bool other, over;
	int ms;
	u64 inc;

	if (json_unpack_ex(request, &where, 0, "{s:s, s:s, s:I, s:i !}", "name",
			   &name, "incarnation", &inc_text, "recno", &recno,
			   "ms", &ms))
		return bad_request(p, &where);
	f = wait_fset(name, "wait", p);
	if (!f)
		return -1;
	inc = strtoull(inc_text, NULL, 10);
	s = &f->stat;
	wait_deadline(&end, ms < 0 ? 0 : ms < WAIT_MS ? ms : WAIT_MS);
	pthread_mutex_lock(&s->lock);
	while (!wait_reached(s, recno) && !atomic_load(&f->stop)) {
		if (pthread_cond_timedwait(&s->moved, &s->lock, &end))
			break;
	}
	over = atomic_load(&f->stop);
	other = !strcmp(s->phase, "following") && s->inc != inc;
	*answer = json_pack("{s:b, s:I, s:I, s:s, s:s}", "reached",
			    wait_reached(s, recno), "applied",
			    (json_int_t)s->applied, "low", (json_int_t)s->low,
			    "phase", s->phase, "error", s->error);
	pthread_mutex_unlock(&s->lock);
	if (over || other) {
		json_decref(*answer);
		*answer = NULL;
	}
	if (over)
		problem(p, 404, "unknown", "\"%s\" is being taken down", name);
	else if (other)
		problem(p, 409, "other-history",
			"the fileset at the server of \"%s\" was made anew meanwhile, record %lld of before does not come; wait again",
			name, (long long)recno);
	fset_put(f);
	return over || other ? -1 : 0;
}
