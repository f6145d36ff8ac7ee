// SPDX-License-Identifier: GPL-2.0
/*
 * The KML descriptor: durable records to user space, whole and in order.
 *
 * A reader never holds anything up. It copies a record out of the log, checks
 * it, and then looks whether the log's beginning has moved past it meanwhile:
 * a segment is taken out of the log before its blocks are written again.
 */
#include "journal.h"

#include <linux/anon_inodes.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

struct im_kml {
	struct im_fs *fs;
	struct path root;		/* pins the mount */
	struct mutex lock;		/* protects all below; one read at a time */
	u64 next;			/* recno that is read next */
	struct im_cursor at;		/* where it is; life 0: not known yet */
	struct im_rec *rec;		/* IM_REC_MAX bytes; holds `next` */
	u32 have;			/* if not 0: its length */
	int damaged;			/* -EBADMSG: met, for ever */
};

/* The segment that recno is in, or 0. */
static u64 im_kml_find_life(struct im_journal *j, u64 recno)
{
	u64 life;

	mutex_lock(&j->lock);
	for (life = j->life; life >= j->oldest; life--)
		if (im_segment(j, life)->first <= recno)
			break;
	if (life < j->oldest)
		life = 0;
	mutex_unlock(&j->lock);
	return life;
}

/* The first recno of a life, or 0: it is not in the log. */
static u64 im_kml_life(struct im_journal *j, u64 life)
{
	struct im_segment *s;
	u64 first = 0;

	mutex_lock(&j->lock);
	s = im_segment(j, life);
	if (s)
		first = s->first;
	mutex_unlock(&j->lock);
	return first;
}

/*
 * Reads record k->next, which is durable, into k->rec. Damage before it is
 * passed over. -EBADMSG: it is not there; *found: the oldest one behind it.
 */
static int im_kml_load(struct im_kml *k, u64 *found)
{
	struct im_journal *j = k->fs->journal;
	u64 recno;
	int err;

	*found = k->next + 1;
	if (!k->at.life) {
		k->at.life = im_kml_find_life(j, k->next);
		if (!k->at.life)
			return -EBADMSG;
		k->at.blk = 1;
		k->at.off = 0;
	}
	for (;;) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		err = im_log_read(j, &k->at, k->rec, NULL);
		if (err == -ENODATA) {
			recno = im_kml_life(j, k->at.life + 1);
			if (!recno)
				return -EBADMSG;
			k->at.life++;
			k->at.blk = 1;
			k->at.off = 0;
			if (recno > k->next) {
				*found = recno;
				return -EBADMSG;
			}
			continue;
		}
		if (err)
			continue;
		recno = le64_to_cpu(k->rec->recno);
		if (recno < k->next)
			continue;	/* on the way there */
		if (recno > k->next) {
			*found = recno;
			return -EBADMSG;
		}
		if (k->rec->state == IM_RS_INTENT)
			return -EBADMSG;
		k->have = le32_to_cpu(k->rec->len);
		return 0;
	}
}

static int im_kml_next(struct im_kml *k)
{
	struct im_journal *j = k->fs->journal;
	u64 found;
	int err = 0;

	if (k->damaged)
		return k->damaged;
	if (!k->have && k->next >= READ_ONCE(j->first))
		err = im_kml_load(k, &found);
	/* Only now: the blocks may have been written anew while being read. */
	smp_rmb();
	if (k->next < READ_ONCE(j->first)) {
		k->have = 0;
		return -ESTALE;
	}
	if (err && err != -EINTR) {
		k->damaged = err;
		im_journal_lose(j, found);
		im_err(k->fs, "the log is damaged, records %llu to %llu cannot be read: readers must resynchronise",
		       k->next, found - 1);
	}
	return err;
}

static bool im_kml_ready(struct im_kml *k)
{
	struct im_journal *j = k->fs->journal;
	u64 next = READ_ONCE(k->next);

	return next <= READ_ONCE(j->durable) || next < READ_ONCE(j->first) ||
	       READ_ONCE(k->fs->dead);
}

static ssize_t im_kml_read(struct file *file, char __user *buf, size_t size,
			   loff_t *pos)
{
	struct im_kml *k = file->private_data;
	struct im_journal *j = k->fs->journal;
	ssize_t done = 0;
	int err;

	if (!size)
		return 0;
	err = mutex_lock_interruptible(&k->lock);
	if (err)
		return err;
	while (!im_kml_ready(k)) {
		mutex_unlock(&k->lock);
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(j->wait, im_kml_ready(k));
		if (!err)
			err = mutex_lock_interruptible(&k->lock);
		if (err)
			return err;
	}

	while (k->next <= READ_ONCE(j->durable) ||
	       k->next < READ_ONCE(j->first)) {
		err = im_kml_next(k);
		if (!err && k->have > size - done)
			err = -EMSGSIZE;
		if (err)
			break;
		if (copy_to_user(buf + done, k->rec, k->have)) {
			err = -EFAULT;
			break;
		}
		done += k->have;
		k->have = 0;
		WRITE_ONCE(k->next, k->next + 1);
		if (size - done < IM_REC_HDR)
			break;
	}
	/* What is durable can be read although the log is dead. */
	if (!done && !err)
		err = -EIO;
	mutex_unlock(&k->lock);
	return done ? done : err;
}

static __poll_t im_kml_poll(struct file *file, poll_table *wait)
{
	struct im_kml *k = file->private_data;

	poll_wait(file, &k->fs->journal->wait, wait);
	return im_kml_ready(k) ? EPOLLIN | EPOLLRDNORM : 0;
}

static void im_kml_free(struct im_kml *k)
{
	mutex_destroy(&k->lock);
	kvfree(k->rec);
	kfree(k);
}

static int im_kml_release(struct inode *inode, struct file *file)
{
	struct im_kml *k = file->private_data;
	struct path root = k->root;

	im_reader_del(k->fs->journal);
	im_kml_free(k);
	path_put(&root);
	return 0;
}

static const struct file_operations im_kml_fops = {
	.owner		= THIS_MODULE,
	.read		= im_kml_read,
	.poll		= im_kml_poll,
	.release	= im_kml_release,
	.llseek		= noop_llseek,
};

int im_kml_open(struct im_fs *fs, struct path *root, const struct im_ioc_kml *a)
{
	struct im_journal *j = fs->journal;
	u32 ms = a->commit_ms ?: IM_COMMIT_MS;
	struct im_kml *k;
	int fd;

	if ((a->flags & ~(O_NONBLOCK | O_CLOEXEC)) || ms > IM_COMMIT_MS_MAX)
		return -EINVAL;
	k = kzalloc(sizeof(*k), GFP_KERNEL);
	if (!k)
		return -ENOMEM;
	k->fs = fs;
	mutex_init(&k->lock);
	k->rec = kvmalloc(IM_REC_MAX, GFP_KERNEL);
	if (!k->rec) {
		fd = -ENOMEM;
		goto err_free;
	}
	mutex_lock(&j->lock);
	k->next = a->from ?: j->last + 1;
	fd = k->next < j->first ? -ESTALE :
	     k->next > j->last + 1 ? -EINVAL : 0;
	mutex_unlock(&j->lock);
	if (fd)
		goto err_free;
	k->root = *root;
	path_get(&k->root);
	im_reader_add(j, ms);
	fd = anon_inode_getfd("[intermezzo-kml]", &im_kml_fops, k,
			      O_RDONLY | a->flags);
	if (fd < 0)
		goto err_reader;
	return fd;

err_reader:
	im_reader_del(j);
	path_put(&k->root);
err_free:
	im_kml_free(k);
	return fd;
}
