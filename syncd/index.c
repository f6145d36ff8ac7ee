// SPDX-License-Identifier: GPL-2.0
#include "index.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Address space, not memory or disk: about 100 million objects. */
#define INDEX_MAP	(16ULL << 30)

struct index {
	MDB_env *env;
	MDB_txn *txn;		/* open from index_open() to index_close() */
	MDB_dbi fids, meta;
	struct index_owner who;
	u64 complete;
};

struct index_value {
	struct im_fid local;
	__le32 round;
	__le32 zero;
};

/* LMDB's own codes are negative, system errors positive. */
static int index_err(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
		return -ENOSPC;
	default:
		return rc > 0 ? -rc : -EIO;
	}
}

static int index_begin(struct index *ix)
{
	return index_err(mdb_txn_begin(ix->env, NULL, 0, &ix->txn));
}

static int index_meta_get(struct index *ix, const char *name, void *p, size_t n)
{
	MDB_val key = { strlen(name), (void *)name }, val;
	int rc = mdb_get(ix->txn, ix->meta, &key, &val);

	if (rc)
		return index_err(rc);
	if (val.mv_size != n)
		return -ENOENT;
	memcpy(p, val.mv_data, n);
	return 0;
}

static int index_meta_put(struct index *ix, const char *name, const void *p,
			  size_t n)
{
	MDB_val key = { strlen(name), (void *)name }, val = { n, (void *)p };

	return index_err(mdb_put(ix->txn, ix->meta, &key, &val, 0));
}

static int index_load(struct index *ix, const struct index_owner *who)
{
	struct index_owner was;
	__le64 complete;
	int err;

	err = index_begin(ix);
	if (err)
		return err;
	err = index_err(mdb_dbi_open(ix->txn, "fids", MDB_CREATE, &ix->fids));
	if (!err)
		err = index_err(mdb_dbi_open(ix->txn, "meta", MDB_CREATE,
					     &ix->meta));
	if (err)
		return err;
	ix->who = *who;
	if (!index_meta_get(ix, "owner", &was, sizeof(was)) &&
	    !memcmp(&was, who, sizeof(was))) {
		if (!index_meta_get(ix, "complete", &complete, 8))
			ix->complete = le64_to_cpu(complete);
		return 0;
	}
	err = index_clear(ix);
	return err ? err : index_commit(ix, 0);
}

static int index_env(struct index *ix, const char *dir)
{
	int rc = mdb_env_create(&ix->env);

	if (rc)
		return index_err(rc);
	rc = mdb_env_set_maxdbs(ix->env, 2);
	if (!rc)
		rc = mdb_env_set_mapsize(ix->env, INDEX_MAP);
	if (!rc)
		rc = mdb_env_open(ix->env, dir, MDB_NOTLS, 0600);
	return index_err(rc);
}

int index_open(struct index **out, const char *dir, const struct index_owner *who)
{
	struct index *ix = calloc(1, sizeof(*ix));
	int err, try;

	*out = NULL;
	if (!ix)
		return -ENOMEM;
	/* A damaged file is only a lost cache: throw it away, once. */
	for (try = 0; try < 2; try++) {
		char path[4096];

		if (mkdir(dir, 0700) && errno != EEXIST) {
			err = -errno;
			break;
		}
		err = index_env(ix, dir);
		if (!err)
			err = index_load(ix, who);
		if (!err) {
			*out = ix;
			return 0;
		}
		if (ix->txn)
			mdb_txn_abort(ix->txn);
		mdb_env_close(ix->env);
		memset(ix, 0, sizeof(*ix));
		if (err == -ENOSPC || err == -ENOMEM)
			break;
		snprintf(path, sizeof(path), "%s/data.mdb", dir);
		if (unlink(path) && errno != ENOENT)
			break;
	}
	free(ix);
	return err;
}

void index_close(struct index *ix)
{
	if (!ix)
		return;
	if (ix->txn)
		mdb_txn_abort(ix->txn);
	mdb_env_close(ix->env);
	free(ix);
}

int index_get(struct index *ix, const struct im_fid *fid, struct im_fid *local,
	      u32 *round)
{
	MDB_val key = { sizeof(*fid), (void *)fid }, val;
	struct index_value v;
	int rc;

	if (!ix->txn)
		return -EIO;
	rc = mdb_get(ix->txn, ix->fids, &key, &val);
	if (rc)
		return index_err(rc);
	if (val.mv_size != sizeof(v))
		return -ENOENT;
	memcpy(&v, val.mv_data, sizeof(v));
	*local = v.local;
	if (round)
		*round = le32_to_cpu(v.round);
	return 0;
}

int index_put(struct index *ix, const struct im_fid *fid,
	      const struct im_fid *local, u32 round)
{
	struct index_value v = { .local = *local, .round = cpu_to_le32(round) };
	MDB_val key = { sizeof(*fid), (void *)fid }, val = { sizeof(v), &v };

	if (!ix->txn)
		return -EIO;
	return index_err(mdb_put(ix->txn, ix->fids, &key, &val, 0));
}

int index_del(struct index *ix, const struct im_fid *fid)
{
	MDB_val key = { sizeof(*fid), (void *)fid };
	int err;

	if (!ix->txn)
		return -EIO;
	err = index_err(mdb_del(ix->txn, ix->fids, &key, NULL));
	return err == -ENOENT ? 0 : err;
}

int index_clear(struct index *ix)
{
	int err;

	if (!ix->txn)
		return -EIO;
	err = index_err(mdb_drop(ix->txn, ix->fids, 0));
	if (!err)
		err = index_err(mdb_drop(ix->txn, ix->meta, 0));
	if (!err)
		err = index_meta_put(ix, "owner", &ix->who, sizeof(ix->who));
	ix->complete = 0;
	return err;
}

int index_purge(struct index *ix, u32 round, const struct im_fid *keep)
{
	MDB_cursor *cur;
	MDB_val key, val;
	struct index_value v;
	int rc;

	if (!ix->txn)
		return -EIO;
	rc = mdb_cursor_open(ix->txn, ix->fids, &cur);
	if (rc)
		return index_err(rc);
	while (!(rc = mdb_cursor_get(cur, &key, &val, MDB_NEXT))) {
		if (key.mv_size == sizeof(*keep) &&
		    !memcmp(key.mv_data, keep, sizeof(*keep)))
			continue;
		if (val.mv_size == sizeof(v)) {
			memcpy(&v, val.mv_data, sizeof(v));
			if (le32_to_cpu(v.round) == round)
				continue;
		}
		rc = mdb_cursor_del(cur, 0);
		if (rc)
			break;
	}
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? 0 : index_err(rc);
}

u64 index_complete(struct index *ix)
{
	return ix->complete;
}

int index_commit(struct index *ix, u64 complete)
{
	__le64 v = cpu_to_le64(complete);
	int err;

	if (!ix->txn)
		return -EIO;
	err = index_meta_put(ix, "complete", &v, sizeof(v));
	if (err)
		return err;
	/* Frees the transaction also when it fails. */
	err = index_err(mdb_txn_commit(ix->txn));
	ix->txn = NULL;
	if (err)
		return err;
	ix->complete = complete;
	return index_begin(ix);
}
