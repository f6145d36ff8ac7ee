// SPDX-License-Identifier: GPL-2.0
/*
 * Filesets: the registry of those mounted, and the identity of one on disk.
 *
 * The registry keeps names and uuids unique on this machine. im_fs_lock is
 * taken outside of all locks of a fileset; a fileset is on the list from the
 * end of its mount to its unmount.
 *
 * Identity is .intermezzo/fileset. Everything else under .intermezzo is made
 * and synced before it appears by rename: where it is missing, creation was
 * interrupted and starts over.
 */
#include "journal.h"
#include "lower.h"

#include <linux/file.h>
#include <linux/random.h>
#include <linux/statfs.h>

static DEFINE_MUTEX(im_fs_lock);
static LIST_HEAD(im_fs_list);

int im_fileset_add(struct im_fs *fs)
{
	struct im_fs *other;
	int err = 0;

	mutex_lock(&im_fs_lock);
	list_for_each_entry(other, &im_fs_list, list)
		if (!strcmp(other->name, fs->name) ||
		    !memcmp(other->fset.uuid, fs->fset.uuid,
			    sizeof(fs->fset.uuid)))
			err = -EEXIST;
	if (!err)
		list_add_tail(&fs->list, &im_fs_list);
	mutex_unlock(&im_fs_lock);
	return err;
}

void im_fileset_del(struct im_fs *fs)
{
	mutex_lock(&im_fs_lock);
	list_del_init(&fs->list);
	mutex_unlock(&im_fs_lock);
}

int im_fileset_each(int (*fn)(struct im_fs *fs, void *arg), void *arg)
{
	struct im_fs *fs;
	int ret = 0;

	mutex_lock(&im_fs_lock);
	list_for_each_entry(fs, &im_fs_list, list) {
		ret = fn(fs, arg);
		if (ret)
			break;
	}
	mutex_unlock(&im_fs_lock);
	return ret;
}

/* identity --------------------------------------------------------------- */

#define IM_LOG_MIN	(4ULL << 20)	/* of the default size */
#define IM_LOG_MAX	(64ULL << 20)
#define IM_LOG_PART	64		/* of the lower filesystem */
#define IM_SEG_BYTES	(512U << 10)	/* wanted, in a small log */
#define IM_SEGS_WANTED	16		/* in a large one */

/* Looks up name in dir and makes it a directory if it is not there. */
static struct dentry *im_state_mkdir(struct im_fs *fs, struct dentry *dir,
				     const char *name, bool create)
{
	struct dentry *d;
	int err;

	if (create) {
		err = mnt_want_write(fs->lower.mnt);
		if (err)
			return ERR_PTR(err);
	}
	inode_lock_nested(d_inode(dir), I_MUTEX_PARENT);
	d = im_lower_lookup(dir, name, strlen(name));
	if (IS_ERR(d))
		goto out;
	err = 0;
	if (d_is_negative(d))
		err = create ? im_do_mkdir(dir, &d, 0700) : -ENOENT;
	else if (!d_is_dir(d))
		err = -ENOTDIR;
	if (err) {
		dput(d);
		d = ERR_PTR(err);
	}
out:
	inode_unlock(d_inode(dir));
	if (create)
		mnt_drop_write(fs->lower.mnt);
	return d;
}

/* After a creation that failed; what is not empty stays. */
static void im_state_rmdir(struct im_fs *fs, struct dentry *dir,
			   const char *name)
{
	struct dentry *d;

	if (mnt_want_write(fs->lower.mnt))
		return;
	inode_lock_nested(d_inode(dir), I_MUTEX_PARENT);
	d = im_lower_lookup(dir, name, strlen(name));
	if (!IS_ERR(d)) {
		if (d_is_dir(d))
			im_do_rmdir(dir, d);
		dput(d);
	}
	inode_unlock(d_inode(dir));
	mnt_drop_write(fs->lower.mnt);
}

/*
 * Who can write to the log can make recovery act on any file of the lower
 * filesystem, so an ordinary user's directory must not pass for one.
 */
static bool im_state_safe(const struct dentry *dir)
{
	const struct inode *inode = d_inode(dir);

	return uid_eq(inode->i_uid, GLOBAL_ROOT_UID) &&
	       !(inode->i_mode & 0022);
}

int im_state_fsync_dir(struct im_fs *fs, struct dentry *dir)
{
	struct path path = { .mnt = fs->lower.mnt, .dentry = dir };
	struct file *f = dentry_open(&path, O_RDONLY | O_DIRECTORY, fs->cred);
	int err;

	if (IS_ERR(f))
		return PTR_ERR(f);
	err = vfs_fsync(f, 0);
	fput(f);
	return err;
}

static int im_state_rename(struct im_fs *fs, const char *from, const char *to)
{
	struct dentry *dir = fs->state, *old, *new;
	int err;

	err = mnt_want_write(fs->lower.mnt);
	if (err)
		return err;
	inode_lock_nested(d_inode(dir), I_MUTEX_PARENT);
	old = im_lower_lookup(dir, from, strlen(from));
	if (IS_ERR(old)) {
		err = PTR_ERR(old);
		goto unlock;
	}
	new = im_lower_lookup(dir, to, strlen(to));
	if (IS_ERR(new)) {
		err = PTR_ERR(new);
		goto put_old;
	}
	err = im_do_rename(dir, old, dir, new, 0);
	dput(new);
put_old:
	dput(old);
unlock:
	inode_unlock(d_inode(dir));
	mnt_drop_write(fs->lower.mnt);
	return err;
}

static int im_fset_write(struct im_fs *fs)
{
	struct path dir = { .mnt = fs->lower.mnt, .dentry = fs->state };
	struct file *f;
	loff_t pos = 0;
	ssize_t n;
	int err;

	f = file_open_root(&dir, "fileset.new", O_CREAT | O_TRUNC | O_WRONLY |
			   O_LARGEFILE | O_NOFOLLOW, 0600);
	if (IS_ERR(f))
		return PTR_ERR(f);
	n = kernel_write(f, &fs->fset, sizeof(fs->fset), &pos);
	err = n == sizeof(fs->fset) ? vfs_fsync(f, 0) :
	      n < 0 ? n : -ENOSPC;
	fput(f);
	if (!err)
		err = im_state_rename(fs, "fileset.new", "fileset");
	if (!err)
		err = im_state_fsync_dir(fs, fs->state);
	return err;
}

/*
 * Mount reads the header of each segment and all of the newest one, so neither
 * their number nor their size should be large; segments are larger than
 * log_size asks for only if log_keep could not be reached otherwise.
 */
static int im_fset_geometry(struct im_fs *fs, struct im_journal *j)
{
	u64 seg, bytes = fs->log_size, keep = fs->log_keep;
	struct kstatfs st;
	u32 n;
	int err;

	if (!bytes) {
		err = vfs_statfs(&fs->lower, &st);
		if (err)
			return err;
		bytes = clamp((u64)st.f_blocks * st.f_bsize / IM_LOG_PART,
			      IM_LOG_MIN, IM_LOG_MAX);
		if (keep)
			bytes = min(bytes, keep);
	}
	if (bytes < IM_SEGS_MIN * IM_SEG_BYTES_MIN ||
	    bytes > IM_LOG_BYTES_MAX) {
		im_mount_err(fs, "log_size=%llu is out of range: at least %u, at most %llu bytes",
			     bytes, IM_SEGS_MIN * IM_SEG_BYTES_MIN,
			     IM_LOG_BYTES_MAX);
		return -EINVAL;
	}
	if (keep && (keep < bytes || keep > IM_LOG_BYTES_MAX ||
		     keep > bytes * (IM_SEGS_MAX / IM_SEGS_MIN))) {
		im_mount_err(fs, "log_keep=%llu is out of range: at least log_size (%llu), at most %u times as much and %llu bytes",
			     keep, bytes, IM_SEGS_MAX / IM_SEGS_MIN,
			     IM_LOG_BYTES_MAX);
		return -EINVAL;
	}
	n = clamp_t(u64, bytes / IM_SEG_BYTES, IM_SEGS_MIN, IM_SEGS_WANTED);
	seg = max(bytes / n, keep / IM_SEGS_MAX) / j->bsize;
	n = clamp_t(u64, bytes / (seg * j->bsize), IM_SEGS_MIN, n);
	fs->fset.seg_count = cpu_to_le32(n);
	fs->fset.seg_blocks = cpu_to_le32(seg);
	fs->fset.block_size = cpu_to_le32(j->bsize);
	/* no more than 64 segments of whole blocks, no less than what is made */
	fs->log_keep = clamp(keep, n * seg * j->bsize,
			     IM_SEGS_MAX * seg * j->bsize);
	return 0;
}

/*
 * A new log. `known`: fs->fset holds the identity of a fileset that was copied
 * or moved here; it stays the same fileset with a new history.
 */
static int im_fset_create(struct im_fs *fs, struct im_journal *j, bool known)
{
	struct im_fset *fset = &fs->fset;
	struct dentry *log;
	u64 now = ktime_get_real_ns();
	int err;

	if (!known) {
		memset(fset, 0, sizeof(*fset));
		generate_random_uuid(fset->uuid);
		memcpy(&fset->id, fset->uuid, sizeof(fset->id));
		strscpy(fset->name, fs->name, sizeof(fset->name));
	}
	fset->magic = cpu_to_le32(IM_FSET_MAGIC);
	fset->format = cpu_to_le32(IM_FORMAT);
	fset->incarnation = cpu_to_le64(max(now,
					le64_to_cpu(fset->incarnation) + 1));
	memcpy(fset->lower_uuid, &j->lsb->s_uuid, sizeof(fset->lower_uuid));
	im_fid_of(d_inode(fs->lower.dentry), &fset->root);
	err = im_fset_geometry(fs, j);
	if (err)
		return err;
	fset->crc = cpu_to_le32(im_fset_crc(fset));

	/* If segments are there, their blocks are about to be freed. */
	err = j->ops->flush(j);
	if (err)
		return err;
	log = im_state_mkdir(fs, fs->state, "log", true);
	if (IS_ERR(log))
		return PTR_ERR(log);
	err = im_ring_create(fs, log);
	if (!err)
		err = im_state_fsync_dir(fs, log);
	dput(log);
	if (!err)
		err = im_state_fsync_dir(fs, fs->state);
	if (!err)
		err = im_state_fsync_dir(fs, fs->lower.dentry);
	/* With data=journal the zeros are in the journal as well: they must
	 * not be replayed over records.
	 */
	if (!err)
		err = j->ops->flush(j);
	if (!err)
		err = im_fset_write(fs);
	j->fresh = true;
	if (!err)
		im_info(fs, "created; the log has %u segments of %u blocks",
			le32_to_cpu(fset->seg_count),
			le32_to_cpu(fset->seg_blocks));
	return err;
}

/* 0, -ENOENT, or what is wrong. */
static int im_fset_read(struct im_fs *fs, struct im_journal *j)
{
	struct path dir = { .mnt = fs->lower.mnt, .dentry = fs->state };
	struct im_fset *fset = &fs->fset;
	struct file *f;
	loff_t pos = 0;
	ssize_t n;
	u32 segs, blocks;

	f = file_open_root(&dir, "fileset", O_RDONLY | O_LARGEFILE | O_NOFOLLOW,
			   0);
	if (IS_ERR(f))
		return PTR_ERR(f);
	n = kernel_read(f, fset, sizeof(*fset), &pos);
	fput(f);
	if (n < 0)
		return n;
	if (n != sizeof(*fset) || fset->magic != cpu_to_le32(IM_FSET_MAGIC) ||
	    fset->crc != cpu_to_le32(im_fset_crc(fset))) {
		im_mount_err(fs, IM_STATE_DIR "/fileset is damaged; after removing " IM_STATE_DIR " the fileset can be created anew (-o create), all clients will resynchronise");
		return -EUCLEAN;
	}
	if (fset->format != cpu_to_le32(IM_FORMAT)) {
		im_mount_err(fs, IM_STATE_DIR " has format %u, this module knows %u; use a newer module",
			     le32_to_cpu(fset->format), IM_FORMAT);
		return -EOPNOTSUPP;
	}
	segs = le32_to_cpu(fset->seg_count);
	blocks = le32_to_cpu(fset->seg_blocks);
	if (segs < IM_SEGS_MIN || segs > IM_SEGS_MAX ||
	    le32_to_cpu(fset->block_size) < 1024 ||
	    (u64)blocks * le32_to_cpu(fset->block_size) < IM_SEG_BYTES_MIN ||
	    (u64)segs * blocks * le32_to_cpu(fset->block_size) >
	    IM_LOG_BYTES_MAX || fset->name[sizeof(fset->name) - 1] ||
	    im_fsname_check(fset->name) || !fset->id) {
		im_mount_err(fs, IM_STATE_DIR "/fileset makes no sense (%u segments of %u blocks of %u bytes)",
			     segs, blocks, le32_to_cpu(fset->block_size));
		return -EUCLEAN;
	}
	if (strcmp(fset->name, fs->name)) {
		im_mount_err(fs, "the fileset in this directory is named %s, not %s; mount with -o fileset=%s",
			     fset->name, fs->name, fset->name);
		return -EINVAL;
	}
	return 0;
}

/* Is this the very tree that the log speaks of, not a copy of it? */
static bool im_fset_at_home(struct im_fs *fs, struct im_journal *j)
{
	struct im_fid root;

	im_fid_of(d_inode(fs->lower.dentry), &root);
	return im_fid_eq(&root, &fs->fset.root) &&
	       le32_to_cpu(fs->fset.block_size) == j->bsize &&
	       !memcmp(fs->fset.lower_uuid, &j->lsb->s_uuid,
		       sizeof(fs->fset.lower_uuid));
}

int im_fset_open(struct im_fs *fs, struct im_journal *j, struct dentry **logdir)
{
	struct dentry *state, *log;
	int err;

	state = im_state_mkdir(fs, fs->lower.dentry, IM_STATE_DIR, fs->create);
	if (IS_ERR(state)) {
		err = PTR_ERR(state);
		if (err == -ENOENT)
			im_mount_err(fs, "this directory is no fileset: there is no " IM_STATE_DIR " in it; to make it one mount with -o create");
		else
			im_mount_err(fs, "cannot open " IM_STATE_DIR ": error %d",
				     err);
		return err;
	}
	fs->state = state;

	if (!im_state_safe(state)) {
		im_mount_err(fs, IM_STATE_DIR " is not owned by root, or others can write to it: it is not used; remove it, or chown and chmod it if it is known to be right");
		return -EPERM;
	}

	err = im_fset_read(fs, j);
	if (err == -ENOENT && fs->create) {
		err = im_fset_create(fs, j, false);
		if (err) {
			im_state_rmdir(fs, fs->state, "log");
			im_state_rmdir(fs, fs->lower.dentry, IM_STATE_DIR);
		}
	} else if (err == -ENOENT) {
		im_mount_err(fs, "creation of the fileset was interrupted; mount with -o create to start over");
	} else if (!err && !im_fset_at_home(fs, j)) {
		if (fs->create) {
			im_warn(fs, "the tree was copied or restored: a new log is begun, clients will resynchronise");
			err = im_fset_create(fs, j, true);
		} else {
			im_mount_err(fs, "the log in " IM_STATE_DIR " was made for another copy of this tree; mount with -o create to begin a new log, clients will then resynchronise");
			err = -ESTALE;
		}
	}
	if (err)
		return err;

	log = im_state_mkdir(fs, fs->state, "log", false);
	if (IS_ERR(log)) {
		im_mount_err(fs, "cannot open " IM_STATE_DIR "/log: error %ld; after removing " IM_STATE_DIR " the fileset can be created anew (-o create)",
			     PTR_ERR(log));
		return PTR_ERR(log) == -ENOENT ? -EUCLEAN : PTR_ERR(log);
	}
	if (!im_state_safe(log)) {
		im_mount_err(fs, IM_STATE_DIR "/log is not owned by root, or others can write to it");
		dput(log);
		return -EPERM;
	}
	*logdir = log;
	return 0;
}
