// SPDX-License-Identifier: GPL-2.0
/*
 * Epochs: which mount has written which records.
 *
 * A filesystem that is restored from a backup, or of which a copy takes its
 * place, goes on under numbers that the other one has used as well. So every
 * mount draws a random number, and notes it together with the first record that
 * it answers for before it writes one. Two logs that have the same epoch at
 * some number are the same up to there.
 *
 * The first record of a mount is the oldest intent that it found open, or else
 * the next one: what is older was complete on disk, so both sides of a copy
 * that is made now agree on it; an open intent each side settles by itself.
 * Readers have never seen an open intent or what follows it. An earlier epoch
 * that begins there or later has nothing left, and goes.
 *
 * .intermezzo/epochs has two slots of fixed size that are written in turn, in
 * place: no room is needed at mount, and a slot that a crash has torn leaves
 * the other. If none is good, the older records are of an unknown epoch, and
 * readers who know theirs resynchronise.
 */
#include "journal.h"

#include <linux/file.h>
#include <linux/random.h>

#define IM_EPOCHS_FILE	"epochs"
#define IM_EPOCHS_MAX	((IM_EPOCHS_SLOT - sizeof(struct im_epochs)) / \
			 sizeof(struct im_epoch))

static const struct im_epoch *im_epoch_list(const struct im_epochs *h)
{
	return (const struct im_epoch *)(h + 1);
}

static bool im_epochs_valid(struct im_fs *fs, const struct im_epochs *h)
{
	const struct im_epoch *e = im_epoch_list(h);
	u32 i, n = le32_to_cpu(h->count);

	if (h->magic != cpu_to_le32(IM_EPOCHS_MAGIC) ||
	    h->format != cpu_to_le32(IM_FORMAT) || !n || n > IM_EPOCHS_MAX ||
	    h->crc != cpu_to_le32(im_epochs_crc(h)) ||
	    memcmp(h->uuid, fs->fset.uuid, sizeof(h->uuid)) ||
	    h->incarnation != fs->fset.incarnation)
		return false;
	for (i = 1; i < n; i++)
		if (le64_to_cpu(e[i - 1].first) >= le64_to_cpu(e[i].first))
			return false;
	return true;
}

static int im_epochs_write(struct file *f, u32 slot, const void *buf,
			   size_t len)
{
	loff_t pos = (loff_t)slot * IM_EPOCHS_SLOT;
	ssize_t n = kernel_write(f, buf, len, &pos);

	if (n != len)
		return n < 0 ? n : -ENOSPC;
	return vfs_fsync(f, 0);
}

/* All that a slot will ever need is allocated now. */
static int im_epochs_make(struct im_fs *fs, struct file *f, void *zeros)
{
	u32 slot;
	int err = 0;

	for (slot = 0; slot < 2 && !err; slot++)
		err = im_epochs_write(f, slot, zeros, IM_EPOCHS_SLOT);
	return err ?: im_state_fsync_dir(fs, fs->state);
}

/* Opens the file, reads both slots into buf; *fresh: it was made just now. */
static struct file *im_epochs_open(struct im_fs *fs, void *buf, bool *fresh)
{
	struct path dir = { .mnt = fs->lower.mnt, .dentry = fs->state };
	loff_t pos = 0;
	struct file *f;
	ssize_t n;
	int err;

	f = file_open_root(&dir, IM_EPOCHS_FILE, O_CREAT | O_RDWR |
			   O_LARGEFILE | O_NOFOLLOW, 0600);
	if (IS_ERR(f))
		return f;
	n = kernel_read(f, buf, 2 * IM_EPOCHS_SLOT, &pos);
	if (n == 2 * IM_EPOCHS_SLOT)
		return f;
	*fresh = true;
	err = n;
	if (n >= 0) {
		memset(buf, 0, 2 * IM_EPOCHS_SLOT);
		err = im_epochs_make(fs, f, buf);
	}
	if (err) {
		fput(f);
		return ERR_PTR(err);
	}
	return f;
}

/* The list in old, without what is over, and the new one, into new. */
static void im_epochs_next(struct im_journal *j, struct im_epochs *new,
			   const struct im_epochs *old, u64 first)
{
	struct im_epoch *to = (struct im_epoch *)(new + 1);
	const struct im_epoch *e = old ? im_epoch_list(old) : NULL;
	u32 n = old ? le32_to_cpu(old->count) : 0, skip = 0;
	u64 epoch;

	while (n && le64_to_cpu(e[n - 1].first) >= first)
		n--;
	/* A reader's last record may be the one before the oldest. */
	while (skip + 1 < n && le64_to_cpu(e[skip + 1].first) < j->first)
		skip++;
	if (n - skip == IM_EPOCHS_MAX)
		skip++;
	/* Before the first record of all there is nothing to differ in. */
	if (!old && !j->last)
		first = 0;

	memset(new, 0, sizeof(*new));
	memcpy(to, e + skip, (n - skip) * sizeof(*e));
	to[n - skip].first = cpu_to_le64(first);
	do {
		epoch = get_random_u64();
	} while (!epoch);
	to[n - skip].epoch = cpu_to_le64(epoch);
	new->magic = cpu_to_le32(IM_EPOCHS_MAGIC);
	new->format = cpu_to_le32(IM_FORMAT);
	new->count = cpu_to_le32(n - skip + 1);
	memcpy(new->uuid, j->fs->fset.uuid, sizeof(new->uuid));
	new->incarnation = j->fs->fset.incarnation;
	new->serial = cpu_to_le64(old ? le64_to_cpu(old->serial) + 1 : 1);
	new->crc = cpu_to_le32(im_epochs_crc(new));
}

int im_epoch_begin(struct im_journal *j, u64 first)
{
	struct im_fs *fs = j->fs;
	struct im_epochs *slot[2], *best = NULL, *new;
	bool fresh = false;
	struct file *f;
	u32 i, to = 0;
	void *buf;
	int err;

	buf = kvzalloc(3 * IM_EPOCHS_SLOT, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	f = im_epochs_open(fs, buf, &fresh);
	err = PTR_ERR_OR_ZERO(f);
	if (err)
		goto out;
	for (i = 0; i < 2; i++) {
		slot[i] = buf + (size_t)i * IM_EPOCHS_SLOT;
		if (im_epochs_valid(fs, slot[i]) &&
		    (!best || le64_to_cpu(slot[i]->serial) >
			      le64_to_cpu(best->serial))) {
			best = slot[i];
			to = 1 - i;
		}
	}
	if (!best && j->last)
		im_warn(fs, IM_STATE_DIR "/" IM_EPOCHS_FILE " %s: clients will resynchronise",
			fresh ? "was not there" : "is damaged");
	new = buf + 2 * IM_EPOCHS_SLOT;
	im_epochs_next(j, new, best, first);
	err = im_epochs_write(f, to, new, im_epochs_len(new));
	fput(f);
	if (err)
		goto out;
	j->nepochs = le32_to_cpu(new->count);
	j->epochs = kvmalloc_array(j->nepochs, sizeof(*j->epochs), GFP_KERNEL);
	if (j->epochs)
		memcpy(j->epochs, new + 1, j->nepochs * sizeof(*j->epochs));
	else
		err = -ENOMEM;
out:
	if (err)
		im_mount_err(fs, "cannot write " IM_STATE_DIR "/" IM_EPOCHS_FILE ", which says what mount made which record: error %d%s",
			     err, err == -ENOSPC ? "; make room" : "");
	kvfree(buf);
	return err;
}

void im_epoch_at(struct im_fs *fs, struct im_ioc_epoch *a)
{
	const struct im_journal *j = fs->journal;
	u32 i;

	a->epoch = a->first = a->next = 0;
	for (i = 0; i < j->nepochs; i++) {
		u64 first = le64_to_cpu(j->epochs[i].first);

		if (first > a->recno) {
			a->next = first;
			return;
		}
		a->first = first;
		a->epoch = le64_to_cpu(j->epochs[i].epoch);
	}
}
