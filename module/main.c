// SPDX-License-Identifier: GPL-2.0
#include "super.h"

#include <linux/module.h>

static int __init im_init(void)
{
	int err;

	err = im_init_inode_cache();
	if (err)
		return err;
	err = im_file_init();
	if (err)
		goto err_inode_cache;
	err = im_netlink_init();
	if (err)
		goto err_file;
	err = register_filesystem(&im_fs_type);
	if (err)
		goto err_netlink;
	return 0;

err_netlink:
	im_netlink_exit();
err_file:
	im_file_exit();
err_inode_cache:
	im_free_inode_cache();
	return err;
}

static void __exit im_exit(void)
{
	unregister_filesystem(&im_fs_type);
	im_netlink_exit();
	im_file_exit();
	im_replay_exit();
	im_free_inode_cache();
}

module_init(im_init);
module_exit(im_exit);
MODULE_DESCRIPTION("InterMezzo: a filesystem that writes down every change");
MODULE_LICENSE("GPL");
