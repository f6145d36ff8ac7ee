// SPDX-License-Identifier: GPL-2.0
/* Who verifies for whom: life, results, requests of intermezzoctl. */
#include "verify.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/text.h"
#include "control.h"

#define VERIFY_FOUND	256	/* results that wait to be fetched */
#define VERIFY_WAIT_S	5	/* an asker waits for news so long */

/* f->verify of all. */
static pthread_mutex_t verify_lock = PTHREAD_MUTEX_INITIALIZER;

/* Results */

static json_t *verify_words(u32 what)
{
	static const char *const words[] = {
		"data", "mode", "owner", "mtime", "xattr", "missing", "extra",
		"type", "link",
	};
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (what >> i & 1)
			json_array_append_new(list, json_string(words[i]));
	}
	return list;
}

/* Below the fileset's root. */
static void verify_path(struct verify *v, const struct suspect *s,
			char path[2 * 4096])
{
	char link[TREE_FDPATH], at[4096] = "";
	int fd = fid_open_known(v->f, &s->local, O_PATH);
	size_t root = strlen(v->f->dir);
	ssize_t n = -1;

	if (fd >= 0) {
		n = readlink(tree_fdpath(link, fd), at, sizeof(at) - 1);
		close(fd);
	}
	at[n < 0 ? 0 : n] = '\0';
	if (strncmp(at, v->f->dir, root) || (at[root] && at[root] != '/'))
		at[root = 0] = '\0';
	else if (at[root] == '/')
		root++;
	snprintf(path, 2 * 4096, "%s%s%s", at + root,
		 at[root] && *s->name ? "/" : "", *s->name ? s->name : ".");
}

int verify_report(struct verify *v, const struct suspect *s, bool mended)
{
	char path[2 * 4096], hex[2 * sizeof(path) + 1];
	json_t *o;
	size_t i;

	verify_path(v, s, path);
	o = json_pack("{s:o, s:b, s:b}", "what", verify_words(s->what), "mended",
		      mended, "busy", s->busy);
	if (im_utf8_ok(path, strlen(path))) {
		json_object_set_new(o, "path", json_string(path));
	} else {
		for (i = 0; path[i]; i++)
			sprintf(hex + 2 * i, "%02x", (u8)path[i]);
		json_object_set_new(o, "path_hex", json_string(hex));
	}
	pthread_mutex_lock(&v->lock);
	while (json_array_size(v->found) >= VERIFY_FOUND &&
	       !atomic_load(&v->stop)) {
		struct timespec t;

		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_sec++;
		pthread_cond_timedwait(&v->moved, &v->lock, &t);
		if (t.tv_sec - v->asked > VERIFY_ASK_S)
			atomic_store(&v->stop, true);
	}
	if (s->busy)
		v->busy++;
	else
		v->differences++;
	v->mended += mended;
	json_array_append_new(v->found, o);
	pthread_cond_broadcast(&v->moved);
	pthread_mutex_unlock(&v->lock);
	return o ? 0 : -ENOMEM;
}

void verify_fail(struct verify *v, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&v->lock);
	if (!v->error[0]) {
		va_start(ap, fmt);
		vsnprintf(v->error, sizeof(v->error), fmt, ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&v->lock);
}

/* Life; verify_lock held */

static void verify_free(struct verify *v)
{
	http_free(v->h);
	json_decref(v->found);
	pthread_cond_destroy(&v->moved);
	pthread_mutex_destroy(&v->lock);
	pthread_mutex_destroy(&v->pace.lock);
	free(v->v);
	free(v);
}

static struct verify *verify_new(struct fset *f)
{
	struct verify *v = calloc(1, sizeof(*v));
	pthread_condattr_t attr;
	struct timespec t;

	if (!v)
		return NULL;
	clock_gettime(CLOCK_MONOTONIC, &t);
	v->asked = t.tv_sec;
	v->f = f;
	v->v = calloc(SUSPECTS, sizeof(*v->v));
	v->found = json_array();
	pthread_mutex_init(&v->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&v->moved, &attr);
	pthread_condattr_destroy(&attr);
	bucket_init(&v->pace, 0);
	if (getrandom(&v->id, sizeof(v->id), 0) != sizeof(v->id))
		v->id = (u64)t.tv_nsec;
	v->id >>= 2;		/* JSON's integers */
	if (!client_remote(f, &v->remote))
		v->h = http_new(&v->remote, f, &v->stop);
	if (v->v && v->found && v->h)
		return v;
	verify_free(v);
	return NULL;
}

/* Ends the one that there is. */
static void verify_drop(struct fset *f)
{
	struct verify *v = f->verify;

	if (!v)
		return;
	atomic_store(&v->stop, true);
	pthread_join(v->thread, NULL);
	f->verify = NULL;
	verify_free(v);
}

void verify_end(struct fset *f)
{
	pthread_mutex_lock(&verify_lock);
	verify_drop(f);
	pthread_mutex_unlock(&verify_lock);
}

/* Requests */

static bool verify_runs(struct verify *v)
{
	bool runs;

	pthread_mutex_lock(&v->lock);
	runs = !v->done && !atomic_load(&v->stop);
	pthread_mutex_unlock(&v->lock);
	return runs;
}

static int verify_start(struct fset *f, const char *path, bool repair,
			u64 rate, u64 *id, struct problem *p)
{
	struct verify *v;
	int rc = 0;

	pthread_mutex_lock(&verify_lock);
	if (f->verify && verify_runs(f->verify)) {
		rc = problem(p, 409, "busy",
			     "\"%s\" is being verified already; wait for that, or end it",
			     f->name);
		goto out_unlock;
	}
	verify_drop(f);
	v = atomic_load(&f->stop) ? NULL : verify_new(f);
	if (!v) {
		rc = problem(p, 503, "unreachable",
			     "the client of \"%s\" does not run; why is in: intermezzoctl status",
			     f->name);
		goto out_unlock;
	}
	strcpy(v->path, path);
	v->repair = repair;
	v->rate = rate;
	bucket_set(&v->pace, rate);
	rc = -pthread_create(&v->thread, NULL, verify_main, v);
	if (rc) {
		verify_free(v);
		rc = problem(p, 500, "internal", "cannot start a thread");
	} else {
		f->verify = v;
		*id = v->id;
	}
out_unlock:
	pthread_mutex_unlock(&verify_lock);
	return rc;
}

/* Relative to the root; "/..." is below the mount. -1: neither. */
static int verify_relative(const struct fset *f, const char *path,
			   char out[4096])
{
	size_t n = strlen(f->dir);

	if (path[0] == '/') {
		if (strncmp(path, f->dir, n) || (path[n] && path[n] != '/'))
			return -1;
		path += n;
	}
	while (*path == '/')
		path++;
	n = strlen(path);
	if (n >= 4096)
		return -1;
	memcpy(out, path, n + 1);
	while (n && out[n - 1] == '/')
		out[--n] = '\0';
	if (!strcmp(out, "."))
		out[0] = '\0';
	return 0;
}

int ctl_verify(json_t *request, json_t **answer, struct problem *p)
{
	const char *name, *path = "", *rate_text = "32M";
	char below[4096];
	json_error_t where;
	struct fset *f;
	int repair = 0, rc = -1;
	u64 rate, id = 0;

	if (json_unpack_ex(request, &where, 0, "{s:s, s?s, s?b, s?s !}", "name",
			   &name, "path", &path, "repair", &repair, "rate",
			   &rate_text))
		return bad_request(p, &where);
	if (!strcmp(rate_text, "off"))
		rate = 0;
	else if (bucket_parse(rate_text, &rate) || (rate && rate < 100000))
		return problem(p, 400, "bad-rate",
			       "\"%.40s\" is not a rate; say it like 500k (100k at least) or 32M, or off",
			       rate_text);
	f = wait_fset(name, "verify", p);
	if (!f)
		return -1;
	if (verify_relative(f, path, below))
		problem(p, 400, "bad-path", "%.200s is not below %s", path,
			f->dir);
	else
		rc = verify_start(f, below, repair, rate, &id, p);
	if (!rc)
		*answer = json_pack("{s:I}", "id", (json_int_t)id);
	fset_put(f);
	return rc;
}

/* v->lock held. */
static json_t *verify_news(struct verify *v)
{
	json_t *found = v->found;

	v->found = json_array();
	im_utf8_force(v->error);
	pthread_cond_broadcast(&v->moved);
	return json_pack("{s:o, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "found", found, "done", v->done, "error", v->error,
			 "directories", (json_int_t)v->dirs, "objects",
			 (json_int_t)v->objects, "bytes", (json_int_t)v->bytes,
			 "differences", (json_int_t)v->differences, "mended",
			 (json_int_t)v->mended, "busy", (json_int_t)v->busy);
}

/* verify_lock is held only to find it: it may be ended meanwhile. */
int ctl_verify_next(json_t *request, json_t **answer, struct problem *p)
{
	struct timespec now, end;
	const char *name;
	json_error_t where;
	struct verify *v;
	struct fset *f;
	json_int_t id;
	bool there;

	if (json_unpack_ex(request, &where, 0, "{s:s, s:I !}", "name", &name,
			   "id", &id))
		return bad_request(p, &where);
	f = wait_fset(name, "verify", p);
	if (!f)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += VERIFY_WAIT_S;
	do {
		pthread_mutex_lock(&verify_lock);
		v = f->verify;
		there = v && v->id == (u64)id;
		if (there) {
			clock_gettime(CLOCK_MONOTONIC, &now);
			pthread_mutex_lock(&v->lock);
			v->asked = now.tv_sec;
			if (v->done || json_array_size(v->found) ||
			    now.tv_sec >= end.tv_sec)
				*answer = verify_news(v);
			pthread_mutex_unlock(&v->lock);
		}
		pthread_mutex_unlock(&verify_lock);
		if (there && !*answer)
			usleep(100000);
	} while (there && !*answer);
	fset_put(f);
	return there ? 0 : problem(p, 404, "ended",
				   "the verification of \"%s\" was ended", name);
}
