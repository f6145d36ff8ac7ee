// SPDX-License-Identifier: GPL-2.0
/* Export, attach, and the end of them. */
#include "manage.h"

#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "check.h"
#include "common/genl.h"
#include "managed.h"
#include "mount.h"
#include "tree.h"

static int need_module(struct problem *p)
{
	struct im_genl *genl;
	int rc;

	rc = im_genl_open_load(&genl);
	if (!rc) {
		im_genl_close(genl);
		return 0;
	}
	if (rc == -ENOENT)
		return problem(p, 503, "no-module",
			       "the kernel module intermezzo is not loaded and modprobe cannot load it; is it built for this kernel? dkms status intermezzo");
	return problem(p, 503, "no-module",
		       "the kernel module does not answer: %s", strerror(-rc));
}

/* The bad luck of a mount that the checks did not foresee. */
static int mount_problem(struct problem *p, int rc, const char *why)
{
	if (rc == -ENOSPC)
		return problem(p, 507, "no-space",
			       "there is no space left on its filesystem: %s",
			       why);
	return problem(p, 500, "mount", "%s", why);
}

/* c, ready to be listed; NULL: p says why not. */
static struct managed *managed_new(const struct fset_conf *c, struct problem *p)
{
	struct managed *m = calloc(1, sizeof(*m));

	if (m && !fset_conf_copy(&m->conf, c))
		return m;
	free(m);
	problem(p, 500, "memory", "intersyncd is out of memory");
	return NULL;
}

static void managed_free(struct managed *m)
{
	fset_conf_free(&m->conf);
	free(m);
}

static enum check_result check(const struct fset_conf *c, struct stat *st,
			       struct problem *p)
{
	const struct fset_conf **confs;
	enum check_result result;
	struct im_mounts mounts;
	size_t n;
	int rc;

	confs = managed_confs(&n);
	rc = im_mounts_read(&mounts);
	if (!confs || rc) {
		problem(p, 500, "internal", "cannot read the mounts: %s",
			strerror(confs ? -rc : ENOMEM));
		if (!rc)
			im_mounts_free(&mounts);
		free(confs);
		return CHECK_BAD;
	}
	result = check_new(c, confs, n, &mounts, st, p);
	im_mounts_free(&mounts);
	free(confs);
	return result;
}

static int save_new(struct managed *m, struct problem *p)
{
	char err[512];
	int rc;

	managed_add(m);
	rc = managed_save(err, sizeof(err));
	if (!rc)
		return 0;
	managed_del(m);
	return problem(p, rc == -ENOSPC ? 507 : 500,
		       rc == -ENOSPC ? "no-space" : "state",
		       "%s, so it would be forgotten at the next start", err);
}

/*
 * The common part: checked, m is not yet listed. mounted: by somebody else,
 * so it is not ours to unmount on failure.
 */
static int bring_new(struct managed *m, const struct manage_opts *opts,
		     bool mounted, struct problem *p)
{
	const struct mount_req req = {
		.name = m->conf.name,
		.dir = m->conf.dir,
		.log_size = opts->log_size,
		.log_keep = opts->log_keep,
		.log_keep_age = opts->log_keep_age,
		.create = true,
		.replica = m->conf.role == FSET_ATTACH,
	};
	char err[512];
	int rc;

	if (!mounted) {
		rc = mount_fset(&req, err, sizeof(err));
		if (rc)
			return mount_problem(p, rc, err);
	}
	rc = managed_open(m, err, sizeof(err));
	if (!rc)
		return 0;
	if (!mounted)
		umount2(m->conf.dir, UMOUNT_NOFOLLOW);
	return problem(p, 500, "open", "%s", err);
}

static void take_back(struct managed *m, bool mounted)
{
	managed_down(m, "");
	if (!mounted)
		umount2(m->conf.dir, UMOUNT_NOFOLLOW);
}

static void warn_users(const struct fset_conf *c, const struct stat *st,
		       struct manage_opts *opts)
{
	char users[256];

	if (mount_users(st->st_dev, c->dir, users, sizeof(users)))
		snprintf(opts->warning, sizeof(opts->warning),
			 "these processes have something in %s open from before, and what they change by that is not seen; restart them: %s",
			 c->dir, users);
}

int manage_export(const struct fset_conf *c, struct manage_opts *opts,
		  struct problem *p)
{
	enum check_result result;
	struct managed *m = NULL;
	struct stat st;
	int rc = -1;

	pthread_mutex_lock(&managed_op_lock);
	result = check(c, &st, p);
	if (result == CHECK_BAD || need_module(p))
		goto out_unlock;
	m = managed_new(c, p);
	if (!m)
		goto out_unlock;
	if (bring_new(m, opts, result == CHECK_MOUNTED, p))
		goto err_free;
	if (save_new(m, p)) {
		take_back(m, result == CHECK_MOUNTED);
		goto err_free;
	}
	if (result == CHECK_FRESH)
		warn_users(c, &st, opts);
	rc = 0;
	goto out_unlock;

err_free:
	managed_free(m);
out_unlock:
	pthread_mutex_unlock(&managed_op_lock);
	return rc;
}

static bool has_origin(const struct fset *f, u64 id)
{
	size_t i;

	for (i = 0; i < IM_PEERS_MAX; i++)
		if (le64_to_cpu(f->info.rcvd[i].origin) == id)
			return true;
	return false;
}

static int not_without_merge(const struct fset_conf *c, struct problem *p)
{
	return problem(p, 409, "not-empty",
		       "%s has files of its own, and those that are not at the server would be removed; if that is meant, say --merge (only differences are then transferred), else choose an empty directory",
		       c->dir);
}

/* May the directory be attached as it is? *content: it has files. */
static enum check_result check_attach(const struct fset_conf *c,
				      const struct manage_opts *opts,
				      struct stat *st, bool *content,
				      struct problem *p)
{
	enum check_result result = check(c, st, p);
	bool state;
	int found;

	if (result == CHECK_BAD)
		return result;
	found = check_content(c->dir, &state);
	if (found < 0) {
		problem(p, 400, "bad-path", "cannot read %s: %s", c->dir,
			strerror(-found));
		return CHECK_BAD;
	}
	*content = found;
	/* with state, its mount will tell whose files they are */
	if (result == CHECK_FRESH && *content && !state && !opts->merge) {
		not_without_merge(c, p);
		return CHECK_BAD;
	}
	return result;
}

/* m is open: is what is there this server's, or may it become so? */
static int check_merge(const struct managed *m, const struct im_wire_info *info,
		       bool content, const struct manage_opts *opts,
		       struct problem *p)
{
	if (!memcmp(m->fset->info.uuid, info->uuid, sizeof(info->uuid)))
		return problem(p, 409, "itself", "%s is that very fileset",
			       m->conf.dir);
	if (content && !opts->merge &&
	    !has_origin(m->fset, le64_to_cpu(info->id)))
		return not_without_merge(&m->conf, p);
	return 0;
}

/*
 * It was attached before, and changed meanwhile for all we know: the client
 * must not go on from where it was, but compare everything first.
 */
static int compare_anew(struct managed *m, u64 server, struct problem *p)
{
	struct tree_state st;
	int replay;
	int rc;

	rc = tree_state_load(m->fset, server, &st);
	if (!rc && le32_to_cpu(st.phase) != TREE_FOLLOW)
		return 0;
	/* the tag lets us write the xattr; it ends with the descriptor */
	replay = rc ? rc : tree_replay_open(m->fset, server, 1);
	if (replay >= 0) {
		st.phase = cpu_to_le32(TREE_SNAPSHOT);
		if (fsetxattr(m->fset->fd, TREE_STATE, &st, sizeof(st),
			      XATTR_REPLACE))
			rc = -errno;
		close(replay);
	} else {
		rc = replay;
	}
	if (!rc)
		return 0;
	return problem(p, 500, "state", "cannot note in %s that it is to be compared: %s",
		       m->conf.dir, strerror(-rc));
}

static int server_problem(const char *url, int rc, const char *err,
			  struct problem *p)
{
	char name[IM_FSNAME_LEN + 1] = "";
	char ignored[256];

	if (rc == -ENOENT && !client_url(url, name, ignored, sizeof(ignored)))
		return problem(p, 502, "unknown-fileset",
			       "the server answers, but does not know a fileset \"%s\"; see what it has, there: intermezzoctl status",
			       name);
	if (!strncmp(url, "tls:", 4))
		return problem(p, 502, rc == -ECONNREFUSED ? "refused" : "server",
			       rc == -ENOLINK ?
			       "%s; is intersyncd running there, and does this machine reach that address and port? if the server has other addresses: intermezzoctl invite --address" :
			       "%s", *err ? err : strerror(-rc));
	if (!strncmp(url, "ssh:", 4))
		return problem(p, 502, "server",
			       "%s; try on this machine, as root: ssh HOST intersyncd dial-stdio, which must not ask for a password, nor end at once",
			       *err ? err : strerror(-rc));
	return problem(p, 502, "server",
		       "%s; is intersyncd running there, and does it --listen-insecure on an address that this machine reaches? if it must not, attach by an invitation, or ssh://HOST/NAME",
		       *err ? err : strerror(-rc));
}

/* The server has done its part; what went wrong was here. */
static void still_invited(const struct fset_conf *c, struct problem *p)
{
	size_t len = strlen(p->text);

	snprintf(p->text + len, sizeof(p->text) - len,
		 "; the invitation is used now, but this machine may attach what it is for, by: intermezzoctl attach '%s' DIR",
		 c->url);
}

int manage_attach(const struct fset_conf *c, struct manage_opts *opts,
		  struct problem *p)
{
	enum check_result result;
	struct im_wire_info info;
	struct managed *m = NULL;
	char err[900] = "";
	struct stat st;
	bool content;
	int rc;

	pthread_mutex_lock(&managed_op_lock);
	result = check_attach(c, opts, &st, &content, p);
	rc = result == CHECK_BAD ? -1 : need_module(p);
	pthread_mutex_unlock(&managed_op_lock);
	if (rc)
		return rc;
	/* it can take its time to fail, so not under the lock */
	rc = client_probe(c->url, opts->redeem, &info, err, sizeof(err));
	if (rc)
		return server_problem(c->url, rc, err, p);

	pthread_mutex_lock(&managed_op_lock);
	rc = -1;
	result = check_attach(c, opts, &st, &content, p);
	if (result == CHECK_BAD)
		goto out_unlock;
	m = managed_new(c, p);
	if (!m)
		goto out_unlock;
	if (bring_new(m, opts, result == CHECK_MOUNTED, p))
		goto err_free;
	if (check_merge(m, &info, content, opts, p) ||
	    compare_anew(m, le64_to_cpu(info.id), p) || save_new(m, p)) {
		take_back(m, result == CHECK_MOUNTED);
		goto err_free;
	}
	if (result == CHECK_FRESH)
		warn_users(c, &st, opts);
	managed_start(m);
	rc = 0;
	goto out_unlock;

err_free:
	managed_free(m);
out_unlock:
	pthread_mutex_unlock(&managed_op_lock);
	if (rc && opts->redeem)
		still_invited(c, p);
	return rc;
}

static int unknown(const char *key, enum fset_role role, struct problem *p)
{
	const struct im_mount *mount = NULL;
	struct im_mounts mounts;
	size_t i;

	if (!im_mounts_read(&mounts)) {
		for (i = 0; i < mounts.n; i++)
			if (mounts.v[i].fset && !mounts.v[i].hidden &&
			    (!strcmp(mounts.v[i].fset, key) ||
			     !strcmp(mounts.v[i].dir, key)))
				mount = &mounts.v[i];
		if (mount)
			problem(p, 404, "unknown",
				"it is mounted at %s, but was not %s here; umount %s",
				mount->dir,
				role == FSET_ATTACH ? "attached" : "exported",
				mount->dir);
		im_mounts_free(&mounts);
		if (mount)
			return -1;
	}
	return problem(p, 404, "unknown",
		       "nothing of that name is %s; see: intermezzoctl status",
		       role == FSET_ATTACH ? "attached" : "exported");
}

static bool is_mounted(const struct fset_conf *c)
{
	const struct im_mount *mount;
	struct im_mounts mounts;
	bool found;

	if (im_mounts_read(&mounts))
		return true;	/* better to try in vain */
	mount = im_mounts_fset(&mounts, c->name);
	found = mount && !strcmp(mount->dir, c->dir);
	im_mounts_free(&mounts);
	return found;
}

/* Somebody may just be looking: a stat() is enough to make it busy. */
static int umount_patiently(const char *dir, int flags)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000000 };
	int tries = 20;

	while (umount2(dir, flags)) {
		if (errno == EINVAL || errno == ENOENT)
			return 0;	/* it is not mounted any more */
		if (errno != EBUSY || !--tries)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* Takes m's mount away, or leaves all as it was. */
static int unmount(struct managed *m, bool force, struct problem *p)
{
	const int flags = UMOUNT_NOFOLLOW | (force ? MNT_DETACH : 0);
	char users[256];
	bool requests;
	struct stat st;
	int rc;

	if (!is_mounted(&m->conf)) {
		managed_down(m, "");
		return 0;
	}
	requests = managed_down(m, "");
	rc = umount_patiently(m->conf.dir, flags);
	if (!rc)
		return 0;
	managed_up(m);
	if (rc != -EBUSY)
		return problem(p, 500, "unmount", "cannot unmount %s: %s",
			       m->conf.dir, strerror(-rc));
	if (!stat(m->conf.dir, &st) &&
	    mount_users(st.st_dev, m->conf.dir, users, sizeof(users)))
		return problem(p, 409, "busy",
			       "%s is in use by %s; end these first, or say --force: it then disappears from the tree at once and ends when they do",
			       m->conf.dir, users);
	return problem(p, 409, "busy", "%s is in use%s; try again, or say --force",
		       m->conf.dir, requests ?
		       " by requests of other machines that do not end" :
		       " (by a mount, an NFS export or a program that could not be found)");
}

int manage_forget(const char *key, enum fset_role role, bool force,
		  struct fset_conf *gone, struct problem *p)
{
	struct managed *m;
	char err[512];
	int rc = -1;

	pthread_mutex_lock(&managed_op_lock);
	m = managed_find(key);
	if (!m) {
		unknown(key, role, p);
		goto out_unlock;
	}
	if (m->conf.role != role) {
		problem(p, 409, "role", "%s is %s; say: intermezzoctl %s %s",
			m->conf.dir,
			role == FSET_ATTACH ? "exported, not attached" :
					      "attached, not exported",
			role == FSET_ATTACH ? "unexport" : "detach",
			m->conf.name);
		goto out_unlock;
	}
	if (unmount(m, force, p))
		goto out_unlock;
	managed_del(m);
	*gone = m->conf;
	free(m);
	rc = 0;
	if (managed_save(err, sizeof(err)))
		rc = problem(p, 500, "state",
			     "it is unmounted, but %s, so it comes back at the next start",
			     err);
	if (rc)
		fset_conf_free(gone);
out_unlock:
	pthread_mutex_unlock(&managed_op_lock);
	return rc;
}
