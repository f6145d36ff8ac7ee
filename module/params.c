// SPDX-License-Identifier: GPL-2.0
/*
 * Mount options, and the checks that a mount has to pass. During the mount the
 * options are collected in the struct im_fs that the superblock will own.
 */
#include "super.h"

#include <linux/cred.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/slab.h>

#define IM_SYNC_MS_DEFAULT 3000
#define IM_SYNC_MS_MIN 100
#define IM_SYNC_MS_MAX 3600000
#define IM_AGE_MAX (3650 * 86400)	/* seconds */

enum im_param {
	Opt_fileset,
	Opt_create,
	Opt_log_size,
	Opt_log_keep,
	Opt_log_keep_age,
	Opt_replica,
	Opt_sync_ms,
	Opt_journal,
};

static const struct constant_table im_journals[] = {
	{ "jbd2", false },
	{ "plain", true },
	{}
};

const struct fs_parameter_spec im_params[] = {
	fsparam_string("fileset", Opt_fileset),
	fsparam_flag("create", Opt_create),
	fsparam_string("log_size", Opt_log_size),
	fsparam_string("log_keep", Opt_log_keep),
	fsparam_string("log_keep_age", Opt_log_keep_age),
	fsparam_flag("replica", Opt_replica),
	fsparam_u32("sync_ms", Opt_sync_ms),
	fsparam_enum("journal", Opt_journal, im_journals),
	{}
};

void im_mount_err(struct im_fs *fs, const char *fmt, ...)
{
	struct va_format vaf;
	va_list va;

	va_start(va, fmt);
	vaf.fmt = fmt;
	vaf.va = &va;
	pr_err("intermezzo (%s): %pV\n", fs->name[0] ? fs->name : "-", &vaf);
	/* Without a log of its own, errorf() would print it a second time. */
	if (fs->fc && fs->fc->log.log)
		errorf(fs->fc, "intermezzo: %pV", &vaf);
	va_end(va);
}

static int im_parse_size(struct im_fs *fs, const char *key, const char *s,
			 u64 *to)
{
	char *end;
	u64 size = memparse(s, &end);

	if (end == s || *end || !size) {
		im_mount_err(fs, "%s=%s: want a number of bytes, with K, M or G behind it if you like",
			     key, s);
		return -EINVAL;
	}
	*to = size;
	return 0;
}

static int im_parse_age(struct im_fs *fs, const char *s)
{
	static const char units[] = "smhd";
	static const u32 seconds[] = { 1, 60, 3600, 86400 };
	size_t len = strcspn(s, units);
	u32 unit = s[len] ? seconds[strchr(units, s[len]) - units] : 1;
	unsigned int n;
	char num[16];

	if (strscpy(num, s, sizeof(num)) < 0 || (s[len] && s[len + 1]))
		goto bad;
	num[len] = '\0';
	if (kstrtouint(num, 10, &n) || n > IM_AGE_MAX / unit)
		goto bad;
	fs->log_keep_age = n * unit;
	return 0;

bad:
	im_mount_err(fs, "log_keep_age=%s: want seconds, or a number with m, h or d behind it (0: for ever), at most ten years",
		     s);
	return -EINVAL;
}

static int im_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct im_fs *fs = fc->s_fs_info;
	struct fs_parse_result result;
	int opt;

	opt = fs_parse(fc, im_params, param, &result);
	if (opt < 0)
		return opt;

	switch (opt) {
	case Opt_fileset:
		if (im_fsname_check(param->string)) {
			im_mount_err(fs, "fileset=%s: want 1 to %d letters, digits, '.', '_' or '-', no '.' first",
				     param->string, IM_FSNAME_LEN);
			return -EINVAL;
		}
		strscpy(fs->name, param->string, sizeof(fs->name));
		return 0;
	case Opt_create:
		fs->create = true;
		return 0;
	case Opt_log_size:
		return im_parse_size(fs, param->key, param->string,
				     &fs->log_size);
	case Opt_log_keep:
		return im_parse_size(fs, param->key, param->string,
				     &fs->log_keep);
	case Opt_log_keep_age:
		return im_parse_age(fs, param->string);
	case Opt_replica:
		fs->replica = true;
		return 0;
	case Opt_sync_ms:
		if (result.uint_32 < IM_SYNC_MS_MIN ||
		    result.uint_32 > IM_SYNC_MS_MAX) {
			im_mount_err(fs, "sync_ms=%u: want %d to %d milliseconds",
				     result.uint_32, IM_SYNC_MS_MIN,
				     IM_SYNC_MS_MAX);
			return -EINVAL;
		}
		fs->sync_ms = result.uint_32;
		return 0;
	case Opt_journal:
		fs->plain = result.uint_32;
		return 0;
	}
	return -EINVAL;
}

static int im_get_tree(struct fs_context *fc)
{
	struct im_fs *fs = fc->s_fs_info;

	if (!fs->name[0]) {
		im_mount_err(fs, "no fileset named: mount with -o fileset=NAME");
		return -EINVAL;
	}
	if (!fc->source) {
		im_mount_err(fs, "no lower directory given: mount -t intermezzo -o fileset=%s LOWERDIR MOUNTPOINT",
			     fs->name);
		return -EINVAL;
	}
	if (!fs->sync_ms)
		fs->sync_ms = IM_SYNC_MS_DEFAULT;
	return get_tree_nodev(fc, im_fill_super);
}

/*
 * A remount repeats the options it was mounted with, or some of them; only
 * sync_ms, log_keep, log_keep_age, ro and replica (towards on) can change.
 */
static int im_reconfigure(struct fs_context *fc)
{
	struct super_block *sb = fc->root->d_sb;
	struct im_fs *new = fc->s_fs_info;
	struct im_fs *fs = IM_FS(sb);
	int err;

	if (new->name[0] && strcmp(new->name, fs->name)) {
		im_mount_err(new, "this is fileset %s; a remount cannot rename it",
			     fs->name);
		return -EINVAL;
	}
	if (new->plain && !fs->plain) {
		im_mount_err(new, "journal=plain cannot be set by a remount: unmount first");
		return -EINVAL;
	}
	err = im_journal_keep(fs, new);
	if (err)
		return err;
	if (new->sync_ms)
		WRITE_ONCE(fs->sync_ms, new->sync_ms);
	if (new->replica)
		WRITE_ONCE(fs->replica, true);
	if ((fc->sb_flags & SB_RDONLY) && !sb_rdonly(sb))
		return sync_filesystem(sb);
	return 0;
}

static void im_free_fc(struct fs_context *fc)
{
	if (fc->s_fs_info)
		im_free_fs(fc->s_fs_info);
}

const struct fs_context_operations im_context_ops = {
	.parse_param	= im_parse_param,
	.get_tree	= im_get_tree,
	.reconfigure	= im_reconfigure,
	.free		= im_free_fc,
};

int im_init_fs_context(struct fs_context *fc)
{
	struct im_fs *fs = kzalloc(sizeof(*fs), GFP_KERNEL);

	if (!fs)
		return -ENOMEM;
	INIT_LIST_HEAD(&fs->list);
	spin_lock_init(&fs->tag_lock);
	INIT_LIST_HEAD(&fs->tags);
	spin_lock_init(&fs->dirty_lock);
	INIT_LIST_HEAD(&fs->dirty);
	INIT_LIST_HEAD(&fs->unsettled);
	fs->log_keep_age = IM_AGE_UNSET;
	fs->cred = get_cred(current_cred());
	fs->fc = fc;
	fc->s_fs_info = fs;
	fc->ops = &im_context_ops;
	return 0;
}

int im_show_options(struct seq_file *m, struct dentry *root)
{
	struct im_fs *fs = IM_FS(root->d_sb);
	unsigned int sync_ms = READ_ONCE(fs->sync_ms);

	seq_printf(m, ",fileset=%s", fs->name);
	if (READ_ONCE(fs->replica))
		seq_puts(m, ",replica");
	if (sync_ms != IM_SYNC_MS_DEFAULT)
		seq_printf(m, ",sync_ms=%u", sync_ms);
	if (fs->plain)
		seq_puts(m, ",journal=plain");
	return 0;
}
