// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family. Validation is strict for every command: unknown
 * attributes and wrong lengths are refused before a handler runs. See
 * include/uapi/linux/intermezzo.h for what it promises.
 */
#include "intermezzo.h"

#include <linux/netlink.h>
#include <net/genetlink.h>

static const struct nla_policy im_get_policy[IM_A_NAME + 1] = {
	[IM_A_NAME]	= { .type = NLA_NUL_STRING, .len = IM_FSNAME_LEN },
};

static struct netlink_range_validation im_sync_ms_range = {
	.min	= 100,
	.max	= 3600000,
};

static const struct nla_policy im_set_policy[IM_A_MAX + 1] = {
	[IM_A_NAME]	= { .type = NLA_NUL_STRING, .len = IM_FSNAME_LEN },
	[IM_A_SYNC_MS]	= NLA_POLICY_FULL_RANGE(NLA_U32, &im_sync_ms_range),
	[IM_A_REPLICA]	= NLA_POLICY_MAX(NLA_U8, 1),
	/* all others: NLA_UNSPEC, refused by strict validation */
};

enum im_genl_group {
	IM_GROUP_EVENTS,
};

static const struct genl_multicast_group im_genl_groups[] = {
	[IM_GROUP_EVENTS] = {
		.name	= IM_GENL_EVENTS,
		.flags	= GENL_MCAST_CAP_SYS_ADMIN,
	},
};

static struct genl_family im_genl;

static int im_put_fileset(struct sk_buff *skb, struct im_fs *fs)
{
	u64 durable = im_journal_durable(fs);
	struct im_log_stat st;
	u32 flags = 0;

	im_journal_stat(fs, &st);
	if (READ_ONCE(fs->replica))
		flags |= IM_INFO_REPLICA;
	if (READ_ONCE(fs->dead))
		flags |= IM_INFO_DEAD;
	if (nla_put_string(skb, IM_A_NAME, fs->name) ||
	    nla_put(skb, IM_A_UUID, sizeof(fs->fset.uuid), fs->fset.uuid) ||
	    nla_put_u64_64bit(skb, IM_A_INCARNATION,
			      le64_to_cpu(fs->fset.incarnation), IM_A_PAD) ||
	    nla_put_u64_64bit(skb, IM_A_ID, le64_to_cpu(fs->fset.id),
			      IM_A_PAD) ||
	    nla_put_u64_64bit(skb, IM_A_FIRST, st.first, IM_A_PAD) ||
	    nla_put_u64_64bit(skb, IM_A_LAST, st.last, IM_A_PAD) ||
	    nla_put_u64_64bit(skb, IM_A_DURABLE, durable, IM_A_PAD) ||
	    nla_put_u64_64bit(skb, IM_A_LOG_BYTES, st.bytes, IM_A_PAD) ||
	    nla_put_u64_64bit(skb, IM_A_LOG_KEEP, st.keep, IM_A_PAD) ||
	    nla_put_u64_64bit(skb, IM_A_LOG_MIN, st.min, IM_A_PAD) ||
	    nla_put_u32(skb, IM_A_LOG_KEEP_AGE, st.keep_age) ||
	    nla_put_u32(skb, IM_A_FLAGS, flags) ||
	    nla_put_string(skb, IM_A_GUARANTEE, im_journal_guarantee(fs)) ||
	    nla_put_u32(skb, IM_A_SYNC_MS, READ_ONCE(fs->sync_ms)) ||
	    nla_put_u8(skb, IM_A_REPLICA, READ_ONCE(fs->replica)) ||
	    nla_put_u32(skb, IM_A_OPEN_INTENTS, st.open_intents) ||
	    nla_put_u32(skb, IM_A_DIRTY, atomic_read(&fs->dirty_count)) ||
	    nla_put_u32(skb, IM_A_READERS, st.readers) ||
	    nla_put_u64_64bit(skb, IM_A_RECOVERED, fs->recovered, IM_A_PAD) ||
	    nla_put_u64_64bit(skb, IM_A_REDIRTIED, fs->redirtied, IM_A_PAD))
		return -EMSGSIZE;
	return 0;
}

static int im_put_message(struct sk_buff *skb, struct im_fs *fs, u32 portid,
			  u32 seq, int flags)
{
	void *hdr = genlmsg_put(skb, portid, seq, &im_genl, flags, IM_CMD_GET);
	int err;

	if (!hdr)
		return -EMSGSIZE;
	err = im_put_fileset(skb, fs);
	if (err)
		genlmsg_cancel(skb, hdr);
	else
		genlmsg_end(skb, hdr);
	return err;
}

struct im_genl_req {
	const char *name;
	struct genl_info *info;
	struct sk_buff *reply;
	struct netlink_callback *cb;
	long skip;
};

/* 0: not this one; > 0: done; < 0: error. */
static int im_get_one(struct im_fs *fs, void *arg)
{
	struct im_genl_req *req = arg;

	if (strcmp(fs->name, req->name))
		return 0;
	return im_put_message(req->reply, fs, req->info->snd_portid,
			      req->info->snd_seq, 0) ?: 1;
}

static int im_genl_get(struct sk_buff *skb, struct genl_info *info)
{
	struct im_genl_req req = { .info = info };
	int ret;

	if (!netlink_capable(skb, CAP_SYS_ADMIN)) {
		GENL_SET_ERR_MSG(info, "needs CAP_SYS_ADMIN");
		return -EPERM;
	}
	if (!info->attrs[IM_A_NAME]) {
		GENL_SET_ERR_MSG(info, "which fileset? IM_A_NAME is missing");
		return -EINVAL;
	}
	req.name = nla_data(info->attrs[IM_A_NAME]);
	req.reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!req.reply)
		return -ENOMEM;
	ret = im_fileset_each(im_get_one, &req);
	if (ret > 0)
		return genlmsg_reply(req.reply, info);
	nlmsg_free(req.reply);
	if (!ret) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[IM_A_NAME],
				    "no fileset of this name is mounted");
		ret = -ENOENT;
	}
	return ret;
}

static int im_dump_one(struct im_fs *fs, void *arg)
{
	struct im_genl_req *req = arg;

	if (req->skip) {
		req->skip--;
		return 0;
	}
	if (im_put_message(req->reply, fs, NETLINK_CB(req->cb->skb).portid,
			   req->cb->nlh->nlmsg_seq, NLM_F_MULTI))
		return 1;	/* full: the next round goes on here */
	req->cb->args[0]++;
	return 0;
}

static int im_genl_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct im_genl_req req = {
		.reply = skb,
		.cb = cb,
		.skip = cb->args[0],
	};

	if (!netlink_capable(cb->skb, CAP_SYS_ADMIN)) {
		NL_SET_ERR_MSG(cb->extack, "needs CAP_SYS_ADMIN");
		return -EPERM;
	}
	if (im_compat_dump_attrs(cb)[IM_A_NAME]) {
		NL_SET_ERR_MSG(cb->extack, "a dump is of all filesets: no IM_A_NAME");
		return -EINVAL;
	}
	im_fileset_each(im_dump_one, &req);
	return skb->len;
}

static int im_set_one(struct im_fs *fs, void *arg)
{
	struct im_genl_req *req = arg;
	struct nlattr **attrs = req->info->attrs;

	if (strcmp(fs->name, req->name))
		return 0;
	if (attrs[IM_A_SYNC_MS])
		WRITE_ONCE(fs->sync_ms, nla_get_u32(attrs[IM_A_SYNC_MS]));
	if (attrs[IM_A_REPLICA])
		WRITE_ONCE(fs->replica, nla_get_u8(attrs[IM_A_REPLICA]));
	return 1;
}

static int im_genl_set(struct sk_buff *skb, struct genl_info *info)
{
	struct im_genl_req req = { .info = info };

	if (!netlink_capable(skb, CAP_SYS_ADMIN)) {
		GENL_SET_ERR_MSG(info, "needs CAP_SYS_ADMIN");
		return -EPERM;
	}
	if (!info->attrs[IM_A_NAME]) {
		GENL_SET_ERR_MSG(info, "which fileset? IM_A_NAME is missing");
		return -EINVAL;
	}
	if (!info->attrs[IM_A_SYNC_MS] && !info->attrs[IM_A_REPLICA]) {
		GENL_SET_ERR_MSG(info, "nothing to set: give IM_A_SYNC_MS or IM_A_REPLICA");
		return -EINVAL;
	}
	req.name = nla_data(info->attrs[IM_A_NAME]);
	if (im_fileset_each(im_set_one, &req))
		return 0;
	NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[IM_A_NAME],
			    "no fileset of this name is mounted");
	return -ENOENT;
}

/* A doorbell: it carries what is true now, and may be lost. */
void im_netlink_event(struct im_fs *fs, unsigned int cmd)
{
	struct sk_buff *skb;
	void *hdr;

	if (!genl_has_listeners(&im_genl, &init_net, IM_GROUP_EVENTS))
		return;
	skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	if (!skb)
		return;
	hdr = genlmsg_put(skb, 0, 0, &im_genl, 0, cmd);
	if (!hdr)
		goto err_free;
	if (nla_put_string(skb, IM_A_NAME, fs->name) ||
	    nla_put(skb, IM_A_UUID, sizeof(fs->fset.uuid), fs->fset.uuid))
		goto err_free;
	if (cmd == IM_CMD_EV_ADVANCED &&
	    nla_put_u64_64bit(skb, IM_A_DURABLE, im_journal_durable(fs),
			      IM_A_PAD))
		goto err_free;
	genlmsg_end(skb, hdr);
	genlmsg_multicast(&im_genl, skb, 0, IM_GROUP_EVENTS, GFP_KERNEL);
	return;

err_free:
	nlmsg_free(skb);
}

static const struct genl_ops im_genl_ops[] = {
	{
		.cmd		= IM_CMD_GET,
		.doit		= im_genl_get,
		.dumpit		= im_genl_dump,
		.policy		= im_get_policy,
		.maxattr	= IM_A_NAME,
	},
	{
		.cmd		= IM_CMD_SET,
		.doit		= im_genl_set,
		.policy		= im_set_policy,
		.maxattr	= IM_A_MAX,
	},
};

static struct genl_family im_genl __ro_after_init = {
	.name		= IM_GENL_NAME,
	.version	= IM_GENL_VERSION,
	.module		= THIS_MODULE,
	.ops		= im_genl_ops,
	.n_ops		= ARRAY_SIZE(im_genl_ops),
	.mcgrps		= im_genl_groups,
	.n_mcgrps	= ARRAY_SIZE(im_genl_groups),
};

int __init im_netlink_init(void)
{
	return genl_register_family(&im_genl);
}

void im_netlink_exit(void)
{
	genl_unregister_family(&im_genl);
}
