// SPDX-License-Identifier: GPL-2.0
/*
 * 6.8: files of a lower filesystem that are shown with the upper path. The
 * first argument is the upper file since 7.1, and by backport in 6.12.
 */
#include <linux/fs.h>
#include <linux/backing-file.h>

struct file *im_probe(const struct file *user, const struct path *lower,
		      const struct cred *cred);
struct file *im_probe(const struct file *user, const struct path *lower,
		      const struct cred *cred)
{
	return backing_file_open(user, O_RDONLY, lower, cred);
}

const struct path *im_probe_path(const struct file *file);
const struct path *im_probe_path(const struct file *file)
{
	return backing_file_user_path(file);
}
