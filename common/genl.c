// SPDX-License-Identifier: GPL-2.0
#include "genl.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <netlink/attr.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#define IM_GENL_TIMEOUT_S 10

struct im_genl {
	struct nl_sock *sk;
	int family;
	char error[160];
};

/* One request, from sending it to its ACK, error or end of dump. */
struct im_genl_run {
	struct im_genl *genl;
	struct im_genl_fset *list;
	size_t count;
	size_t room;
	int err;
	bool done;
};

static struct nla_policy im_genl_policy[IM_A_MAX + 1] = {
	[IM_A_NAME]		= { .type = NLA_STRING,
				    .maxlen = IM_FSNAME_LEN + 1 },
	[IM_A_UUID]		= { .minlen = 16, .maxlen = 16 },
	[IM_A_INCARNATION]	= { .type = NLA_U64 },
	[IM_A_ID]		= { .type = NLA_U64 },
	[IM_A_FIRST]		= { .type = NLA_U64 },
	[IM_A_LAST]		= { .type = NLA_U64 },
	[IM_A_DURABLE]		= { .type = NLA_U64 },
	[IM_A_LOG_BYTES]	= { .type = NLA_U64 },
	[IM_A_FLAGS]		= { .type = NLA_U32 },
	[IM_A_GUARANTEE]	= { .type = NLA_STRING, .maxlen = 32 },
	[IM_A_SYNC_MS]		= { .type = NLA_U32 },
	[IM_A_REPLICA]		= { .type = NLA_U8 },
	[IM_A_OPEN_INTENTS]	= { .type = NLA_U32 },
	[IM_A_DIRTY]		= { .type = NLA_U32 },
	[IM_A_READERS]		= { .type = NLA_U32 },
	[IM_A_RECOVERED]	= { .type = NLA_U64 },
	[IM_A_REDIRTIED]	= { .type = NLA_U64 },
	[IM_A_LOG_KEEP]		= { .type = NLA_U64 },
	[IM_A_LOG_MIN]		= { .type = NLA_U64 },
	[IM_A_LOG_KEEP_AGE]	= { .type = NLA_U32 },
};

static int nl_errno(int nlerr)
{
	switch (-nlerr) {
	case NLE_OBJ_NOTFOUND:
	case NLE_NODEV:
		return -ENOENT;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_NOMEM:
		return -ENOBUFS;
	case NLE_AGAIN:
		return -EAGAIN;
	case NLE_INTR:
	case NLE_DUMP_INTR:
		return -EINTR;
	case NLE_EXIST:
		return -EEXIST;
	case NLE_BUSY:
		return -EBUSY;
	case NLE_PROTO_MISMATCH:
	case NLE_AF_NOSUPPORT:
		return -EPROTONOSUPPORT;
	default:
		return -EIO;
	}
}

static u64 attr_u64(struct nlattr **tb, int type)
{
	return tb[type] ? nla_get_u64(tb[type]) : 0;
}

static u32 attr_u32(struct nlattr **tb, int type)
{
	return tb[type] ? nla_get_u32(tb[type]) : 0;
}

static int fset_parse(struct nlmsghdr *nlh, struct im_genl_fset *fset)
{
	struct nlattr *tb[IM_A_MAX + 1];

	if (genlmsg_parse(nlh, 0, tb, IM_A_MAX, im_genl_policy) < 0)
		return -EBADMSG;
	if (!tb[IM_A_NAME])
		return -EBADMSG;
	memset(fset, 0, sizeof(*fset));
	nla_strlcpy(fset->name, tb[IM_A_NAME], sizeof(fset->name));
	if (tb[IM_A_GUARANTEE])
		nla_strlcpy(fset->guarantee, tb[IM_A_GUARANTEE],
			    sizeof(fset->guarantee));
	if (tb[IM_A_UUID])
		memcpy(fset->uuid, nla_data(tb[IM_A_UUID]), 16);
	fset->incarnation = attr_u64(tb, IM_A_INCARNATION);
	fset->id = attr_u64(tb, IM_A_ID);
	fset->first = attr_u64(tb, IM_A_FIRST);
	fset->last = attr_u64(tb, IM_A_LAST);
	fset->durable = attr_u64(tb, IM_A_DURABLE);
	fset->log_bytes = attr_u64(tb, IM_A_LOG_BYTES);
	fset->log_keep = attr_u64(tb, IM_A_LOG_KEEP);
	fset->log_min = attr_u64(tb, IM_A_LOG_MIN);
	fset->recovered = attr_u64(tb, IM_A_RECOVERED);
	fset->redirtied = attr_u64(tb, IM_A_REDIRTIED);
	fset->flags = attr_u32(tb, IM_A_FLAGS);
	fset->sync_ms = attr_u32(tb, IM_A_SYNC_MS);
	fset->open_intents = attr_u32(tb, IM_A_OPEN_INTENTS);
	fset->dirty = attr_u32(tb, IM_A_DIRTY);
	fset->readers = attr_u32(tb, IM_A_READERS);
	fset->log_keep_age = attr_u32(tb, IM_A_LOG_KEEP_AGE);
	return 0;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct im_genl_run *run = arg;
	struct im_genl_fset *grown;
	size_t room;

	if (run->err)
		return NL_SKIP;
	if (run->count == run->room) {
		room = run->room ? 2 * run->room : 4;
		grown = realloc(run->list, room * sizeof(*grown));
		if (!grown) {
			run->err = -ENOMEM;
			return NL_SKIP;
		}
		run->list = grown;
		run->room = room;
	}
	run->err = fset_parse(nlmsg_hdr(msg), &run->list[run->count]);
	if (!run->err)
		run->count++;
	return NL_OK;
}

static int on_done(struct nl_msg *msg, void *arg)
{
	struct im_genl_run *run = arg;

	(void)msg;
	run->done = true;
	return NL_STOP;
}

/* The message that the kernel sends with an error, if it sends one. */
static void extack_text(const struct nlmsgerr *nlerr, char *text, size_t size)
{
	const struct nlmsghdr *nlh =
		(const void *)((const char *)nlerr - NLMSG_HDRLEN);
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
	size_t off = sizeof(*nlerr);
	size_t len = nlh->nlmsg_len - NLMSG_HDRLEN;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		off += NLMSG_ALIGN(nlerr->msg.nlmsg_len) - NLMSG_HDRLEN;
	if (off >= len)
		return;
	if (nla_parse(tb, NLMSGERR_ATTR_MAX,
		      (void *)((char *)nlerr + off), (int)(len - off),
		      NULL) < 0)
		return;
	if (tb[NLMSGERR_ATTR_MSG])
		nla_strlcpy(text, tb[NLMSGERR_ATTR_MSG], size);
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *nlerr,
		    void *arg)
{
	struct im_genl_run *run = arg;

	(void)from;
	run->err = nlerr->error ? nlerr->error : -EIO;
	extack_text(nlerr, run->genl->error, sizeof(run->genl->error));
	run->done = true;
	return NL_STOP;
}

static struct nl_msg *request(struct im_genl *genl, int flags, u8 cmd,
			      const char *name)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (!msg)
		return NULL;
	if (!genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, genl->family, 0, flags,
			 cmd, IM_GENL_VERSION) ||
	    (name && nla_put_string(msg, IM_A_NAME, name) < 0)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* Sends msg and frees it; run->list is freed on failure. */
static int run_request(struct im_genl *genl, struct nl_msg *msg,
		       struct im_genl_run *run)
{
	struct nl_cb *cb;
	int err;

	memset(run, 0, sizeof(*run));
	run->genl = genl;
	genl->error[0] = '\0';
	cb = nl_cb_alloc(NL_CB_DEFAULT);
	if (!cb) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, run);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_done, run);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_done, run);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, run);
	err = nl_send_auto(genl->sk, msg);
	nlmsg_free(msg);
	if (err < 0)
		run->err = nl_errno(err);
	else
		while (!run->done) {
			err = nl_recvmsgs(genl->sk, cb);
			if (err < 0 && !run->done) {
				run->err = nl_errno(err);
				break;
			}
		}
	nl_cb_put(cb);
	if (run->err) {
		free(run->list);
		run->list = NULL;
	}
	return run->err;
}

int im_genl_open(struct im_genl **out)
{
	struct timeval tv = { .tv_sec = IM_GENL_TIMEOUT_S };
	struct im_genl *genl;
	int one = 1;
	int err;

	genl = calloc(1, sizeof(*genl));
	if (!genl)
		return -ENOMEM;
	genl->sk = nl_socket_alloc();
	if (!genl->sk) {
		err = -ENOMEM;
		goto err_free;
	}
	err = genl_connect(genl->sk);
	if (err < 0) {
		err = nl_errno(err);
		goto err_free_sock;
	}
	setsockopt(nl_socket_get_fd(genl->sk), SOL_SOCKET, SO_RCVTIMEO, &tv,
		   sizeof(tv));
	setsockopt(nl_socket_get_fd(genl->sk), SOL_NETLINK, NETLINK_EXT_ACK,
		   &one, sizeof(one));
	genl->family = genl_ctrl_resolve(genl->sk, IM_GENL_NAME);
	if (genl->family < 0) {
		err = nl_errno(genl->family);
		goto err_free_sock;
	}
	*out = genl;
	return 0;

err_free_sock:
	nl_socket_free(genl->sk);
err_free:
	free(genl);
	return err;
}

int im_genl_open_load(struct im_genl **genl)
{
	static char *const env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
				     NULL };
	char *const argv[] = { (char *)"modprobe", (char *)"-q",
			       (char *)IM_GENL_NAME, NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int err;

	err = im_genl_open(genl);
	if (err != -ENOENT)
		return err;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (!posix_spawn(&pid, "/sbin/modprobe", &actions, NULL, argv, env))
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	posix_spawn_file_actions_destroy(&actions);
	return im_genl_open(genl);
}

void im_genl_close(struct im_genl *genl)
{
	if (!genl)
		return;
	nl_socket_free(genl->sk);
	free(genl);
}

const char *im_genl_error(const struct im_genl *genl)
{
	return genl->error;
}

int im_genl_get(struct im_genl *genl, const char *name,
		struct im_genl_fset *fset)
{
	struct im_genl_run run;
	struct nl_msg *msg;
	int err;

	msg = request(genl, 0, IM_CMD_GET, name);
	if (!msg)
		return -ENOMEM;
	err = run_request(genl, msg, &run);
	if (err)
		return err;
	if (run.count)
		*fset = run.list[0];
	else
		err = -EBADMSG;
	free(run.list);
	return err;
}

int im_genl_list(struct im_genl *genl, struct im_genl_fset **list,
		 size_t *count)
{
	struct im_genl_run run;
	struct nl_msg *msg;
	int tries = 3;
	int err;

	/* a dump during which a fileset came or went is not consistent */
	do {
		msg = request(genl, NLM_F_DUMP, IM_CMD_GET, NULL);
		if (!msg)
			return -ENOMEM;
		err = run_request(genl, msg, &run);
	} while (err == -EINTR && --tries);
	if (err)
		return err;
	*list = run.list;
	*count = run.count;
	return 0;
}

int im_genl_set_replica(struct im_genl *genl, const char *name, bool replica)
{
	struct im_genl_run run;
	struct nl_msg *msg;
	int err;

	msg = request(genl, 0, IM_CMD_SET, name);
	if (!msg)
		return -ENOMEM;
	if (nla_put_u8(msg, IM_A_REPLICA, replica) < 0) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	err = run_request(genl, msg, &run);
	if (!err)
		free(run.list);
	return err;
}

struct im_genl_listener {
	void (*fn)(void *arg, const struct im_genl_event *event);
	void *arg;
};

static int on_event(struct nl_msg *msg, void *arg)
{
	const struct im_genl_listener *listener = arg;
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct nlattr *tb[IM_A_MAX + 1];
	struct im_genl_event event = { 0 };

	if (!genlmsg_valid_hdr(nlh, 0) ||
	    genlmsg_parse(nlh, 0, tb, IM_A_MAX, im_genl_policy) < 0)
		return NL_SKIP;
	event.cmd = genlmsg_hdr(nlh)->cmd;
	if (tb[IM_A_NAME])
		nla_strlcpy(event.name, tb[IM_A_NAME], sizeof(event.name));
	event.durable = attr_u64(tb, IM_A_DURABLE);
	listener->fn(listener->arg, &event);
	return NL_OK;
}

/* events answer no request */
static int any_sequence(struct nl_msg *msg, void *arg)
{
	(void)msg;
	(void)arg;
	return NL_OK;
}

int im_genl_listen(struct im_genl *genl)
{
	int group = genl_ctrl_resolve_grp(genl->sk, IM_GENL_NAME,
					  IM_GENL_EVENTS);
	int err;

	if (group < 0)
		return nl_errno(group);
	nl_socket_disable_seq_check(genl->sk);
	err = nl_socket_add_membership(genl->sk, group);
	if (!err)
		err = nl_socket_set_nonblocking(genl->sk);
	return err ? nl_errno(err) : 0;
}

int im_genl_fd(const struct im_genl *genl)
{
	return nl_socket_get_fd(genl->sk);
}

int im_genl_events(struct im_genl *genl,
		   void (*fn)(void *arg, const struct im_genl_event *event),
		   void *arg)
{
	struct im_genl_listener listener = { .fn = fn, .arg = arg };
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int err;

	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_event, &listener);
	nl_cb_set(cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, any_sequence, NULL);
	do
		err = nl_recvmsgs(genl->sk, cb);
	while (err >= 0);
	nl_cb_put(cb);
	err = nl_errno(err);
	return err == -EAGAIN ? 0 : err;
}
