// SPDX-License-Identifier: GPL-2.0
/*
 * The replay descriptor and its tags: which thread's changes are the replay of
 * which record of a peer.
 *
 * A tag belongs to one descriptor and is set for one thread at a time. The
 * thread itself changes it only between its system calls, so what
 * im_tag_current() returns stays as it is over an operation. If another thread
 * closes the descriptor in the middle of one, the tag is taken off the list at
 * once but freed only when its thread has ended or is seen here again: until
 * then it waits on the list of orphans.
 */
#include "intermezzo.h"

#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

struct im_replay {
	struct im_fs *fs;
	struct path root;		/* pins the mount */
	u64 origin;
	struct mutex lock;		/* protects tag */
	struct im_tag *tag;		/* NULL: none set */
};

static DEFINE_SPINLOCK(im_orphan_lock);
static LIST_HEAD(im_orphans);

const struct im_tag *im_tag_current(struct im_fs *fs)
{
	struct im_tag *tag, *found = NULL;

	if (!atomic_read(&fs->tag_count))
		return NULL;
	spin_lock(&fs->tag_lock);
	list_for_each_entry(tag, &fs->tags, list)
		if (tag->task == current) {
			found = tag;
			break;
		}
	spin_unlock(&fs->tag_lock);
	return found;
}

static void im_tag_free(struct im_tag *tag)
{
	put_task_struct(tag->task);
	kfree(tag);
}

/* Whose thread has ended, or is the one that runs here, uses it no more. */
static void im_orphans_sweep(void)
{
	struct im_tag *tag, *next;
	LIST_HEAD(done);

	spin_lock(&im_orphan_lock);
	list_for_each_entry_safe(tag, next, &im_orphans, list)
		if (tag->task == current || READ_ONCE(tag->task->exit_state))
			list_move(&tag->list, &done);
	spin_unlock(&im_orphan_lock);
	list_for_each_entry_safe(tag, next, &done, list)
		im_tag_free(tag);
}

void im_replay_exit(void)
{
	struct im_tag *tag, *next;

	/* No mount is left, so no operation either. */
	list_for_each_entry_safe(tag, next, &im_orphans, list)
		im_tag_free(tag);
}

static void im_tag_drop(struct im_replay *r)
{
	struct im_tag *tag = r->tag;

	if (!tag)
		return;
	r->tag = NULL;
	spin_lock(&r->fs->tag_lock);
	list_del(&tag->list);
	spin_unlock(&r->fs->tag_lock);
	atomic_dec(&r->fs->tag_count);
	if (tag->task == current || READ_ONCE(tag->task->exit_state)) {
		im_tag_free(tag);
		return;
	}
	spin_lock(&im_orphan_lock);
	list_add(&tag->list, &im_orphans);
	spin_unlock(&im_orphan_lock);
}

static bool im_tag_valid(const struct im_ioc_tag *a)
{
	return !(a->flags & ~IM_TAG_ALL) && !a->zero && a->recno &&
	       a->mtime_ns < NSEC_PER_SEC && a->dir_mtime_ns < NSEC_PER_SEC &&
	       a->dir2_mtime_ns < NSEC_PER_SEC && (a->ino || !a->gen);
}

static int im_replay_tag(struct im_replay *r, const void __user *arg)
{
	struct im_ioc_tag a;
	const struct im_tag *mine;
	struct im_tag *tag;
	int err = 0;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (!im_tag_valid(&a))
		return -EINVAL;

	im_orphans_sweep();
	mutex_lock(&r->lock);
	mine = im_tag_current(r->fs);
	if (mine && mine != r->tag) {
		err = -EBUSY;	/* this thread is tagged by another one */
		goto out;
	}
	if (r->tag && r->tag->task != current) {
		if (!READ_ONCE(r->tag->task->exit_state)) {
			err = -EBUSY;
			goto out;
		}
		im_tag_drop(r);
	}
	tag = r->tag;
	if (tag) {
		tag->a = a;
		goto out;
	}
	tag = kzalloc(sizeof(*tag), GFP_KERNEL);
	if (!tag) {
		err = -ENOMEM;
		goto out;
	}
	tag->task = get_task_struct(current);
	tag->origin = r->origin;
	tag->a = a;
	r->tag = tag;
	atomic_inc(&r->fs->tag_count);
	spin_lock(&r->fs->tag_lock);
	list_add(&tag->list, &r->fs->tags);
	spin_unlock(&r->fs->tag_lock);
out:
	mutex_unlock(&r->lock);
	return err;
}

static int im_replay_untag(struct im_replay *r)
{
	int err = 0;

	mutex_lock(&r->lock);
	if (r->tag && r->tag->task != current &&
	    !READ_ONCE(r->tag->task->exit_state))
		err = -EBUSY;
	else
		im_tag_drop(r);
	mutex_unlock(&r->lock);
	return err;
}

static int im_replay_mark(struct im_replay *r, const void __user *arg)
{
	struct im_ioc_mark a;
	struct im_op op;
	int err;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	err = mnt_want_write(r->fs->lower.mnt);
	if (err)
		return err;
	im_op_init(&op, r->fs, IM_OP_MARK);
	/* The mark's own position, whatever this thread is tagged with. */
	op.tag = NULL;
	op.rec.flags = 0;
	op.rec.origin = cpu_to_le64(r->origin);
	op.rec.origin_recno = cpu_to_le64(a.recno);
	op.rec.origin_low = cpu_to_le64(a.low);
	memset(&op.rec.origin_fid, 0, sizeof(op.rec.origin_fid));
	op.rec.origin_version = 0;
	err = im_op_append(&op);
	mnt_drop_write(r->fs->lower.mnt);
	return err;
}

static long im_replay_ioctl(struct file *file, unsigned int cmd,
			    unsigned long arg)
{
	struct im_replay *r = file->private_data;

	/* The descriptor may have been handed to somebody. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (cmd) {
	case IM_IOC_TAG:
		return im_replay_tag(r, (void __user *)arg);
	case IM_IOC_UNTAG:
		return im_replay_untag(r);
	case IM_IOC_MARK:
		return im_replay_mark(r, (void __user *)arg);
	}
	return -ENOTTY;
}

static int im_replay_release(struct inode *inode, struct file *file)
{
	struct im_replay *r = file->private_data;
	struct path root = r->root;

	im_tag_drop(r);
	im_orphans_sweep();
	mutex_destroy(&r->lock);
	kfree(r);
	path_put(&root);
	return 0;
}

static const struct file_operations im_replay_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= im_replay_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.release	= im_replay_release,
	.llseek		= noop_llseek,
};

int im_replay_open(struct im_fs *fs, struct path *root,
		   const struct im_ioc_replay *a)
{
	struct im_replay *r;
	int fd;

	if ((a->flags & ~O_CLOEXEC) || a->zero || !a->origin ||
	    a->origin == le64_to_cpu(fs->fset.id))
		return -EINVAL;
	r = kzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	r->fs = fs;
	r->origin = a->origin;
	mutex_init(&r->lock);
	fd = im_journal_add_origin(fs, a->origin);
	if (fd)
		goto err_free;
	r->root = *root;
	path_get(&r->root);
	fd = anon_inode_getfd("[intermezzo-replay]", &im_replay_fops, r,
			      O_RDWR | a->flags);
	if (fd >= 0)
		return fd;
	path_put(&r->root);
err_free:
	mutex_destroy(&r->lock);
	kfree(r);
	return fd;
}
