// SPDX-License-Identifier: GPL-2.0
#include "intermezzo.h"

#include <linux/capability.h>
#include <linux/uaccess.h>

static int im_ioctl_info(struct im_fs *fs, void __user *arg)
{
	struct im_ioc_info *info;
	struct im_log_stat st;
	u32 flags = 0;
	int err = 0;

	info = kzalloc(sizeof(*info), GFP_KERNEL);
	if (!info)
		return -ENOMEM;
	memcpy(info->uuid, fs->fset.uuid, sizeof(info->uuid));
	info->incarnation = le64_to_cpu(fs->fset.incarnation);
	info->id = le64_to_cpu(fs->fset.id);
	/* before last: it never looks beyond it */
	info->durable = im_journal_durable(fs);
	im_journal_stat(fs, &st);
	info->first = st.first;
	info->last = st.last;
	info->log_bytes = st.bytes;
	info->root_ino = le64_to_cpu(fs->fset.root.ino);
	info->root_gen = le32_to_cpu(fs->fset.root.gen);
	if (READ_ONCE(fs->replica))
		flags |= IM_INFO_REPLICA;
	if (READ_ONCE(fs->dead))
		flags |= IM_INFO_DEAD;
	info->flags = flags;
	strscpy(info->name, fs->name, sizeof(info->name));
	strscpy(info->guarantee, im_journal_guarantee(fs),
		sizeof(info->guarantee));
	im_journal_rcvd(fs, info->rcvd);
	if (copy_to_user(arg, info, sizeof(*info)))
		err = -EFAULT;
	kfree(info);
	return err;
}

static int im_ioctl_kml(struct im_fs *fs, struct path *root, void __user *arg)
{
	struct im_ioc_kml a;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	return im_kml_open(fs, root, &a);
}

static int im_ioctl_replay(struct im_fs *fs, struct path *root,
			   void __user *arg)
{
	struct im_ioc_replay a;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	return im_replay_open(fs, root, &a);
}

static int im_ioctl_epoch(struct im_fs *fs, void __user *arg)
{
	struct im_ioc_epoch a;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	im_epoch_at(fs, &a);
	return copy_to_user(arg, &a, sizeof(a)) ? -EFAULT : 0;
}

long im_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct super_block *sb = file_inode(file)->i_sb;
	struct path root = { .mnt = file->f_path.mnt, .dentry = sb->s_root };
	void __user *p = (void __user *)arg;
	struct im_fs *fs = IM_FS(sb);

	switch (cmd) {
	case IM_IOC_INFO:
	case IM_IOC_KML:
	case IM_IOC_REPLAY:
	case IM_IOC_EPOCH:
		if (!capable(CAP_SYS_ADMIN))
			return -EPERM;
		break;
	default:
		return -ENOIOCTLCMD;
	}
	if (cmd == IM_IOC_INFO)
		return im_ioctl_info(fs, p);
	if (cmd == IM_IOC_EPOCH)
		return im_ioctl_epoch(fs, p);
	if (cmd == IM_IOC_KML)
		return im_ioctl_kml(fs, &root, p);
	return im_ioctl_replay(fs, &root, p);
}

/* As XFS, ext4 and f2fs have it. */
#define IM_IOC_SHUTDOWN _IOR('X', 125, __u32)

long im_lower_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct file *lower = im_lower_file(file);
	long ret;

	if (cmd == FS_IOC32_GETVERSION)
		cmd = FS_IOC_GETVERSION;
	switch (cmd) {
	case FITRIM:
	case FS_IOC_GETVERSION:
	case FS_IOC_GETFSLABEL:
	case IM_IOC_SHUTDOWN:
		break;
	default:
		return -ENOTTY;
	}
	if (!lower->f_op->unlocked_ioctl)
		return -ENOTTY;
	ret = lower->f_op->unlocked_ioctl(lower, cmd, arg);
	return ret == -ENOIOCTLCMD ? -ENOTTY : ret;
}
