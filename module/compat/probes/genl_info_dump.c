// SPDX-License-Identifier: GPL-2.0
/* 6.6: a dump has a struct genl_info too. */
#include <linux/fs.h>
#include <net/genetlink.h>

struct nlattr **im_probe(struct netlink_callback *cb);
struct nlattr **im_probe(struct netlink_callback *cb)
{
	return genl_info_dump(cb)->attrs;
}
