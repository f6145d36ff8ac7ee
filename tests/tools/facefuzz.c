// SPDX-License-Identifier: GPL-2.0
/*
 * facefuzz DIR SEED SECONDS [nobody]
 *
 * Random calls to all that the module offers beside the VFS: ioctls on the
 * mount, KML and replay descriptors, tagged changes, the netlink family, mount
 * options, file handles, reserved names and xattrs. Half of the arguments are
 * nearly right, the others are garbage. What the kernel makes of it is for the
 * caller to see (log, slab caches, a clean unmount); checked here is that
 * nothing reserved is ever reached and, as "nobody", that nothing is granted.
 * Status 1 and a line for each violation.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/genetlink.h>
#include <linux/intermezzo.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define FDS 8

static const char *top;
static int dir;				/* DIR itself */
static int fds[FDS];			/* of any kind, -1: none */
static int nl = -1;
static uint16_t family;
static bool nobody;
static uint64_t state;
static unsigned long calls, granted;
static unsigned int bad;
static uint8_t junk[65536];

static uint64_t rnd(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint32_t below(uint32_t n)
{
	return rnd() % n;
}

static void fill(void *p, size_t len)
{
	uint8_t *b = p;
	size_t i;

	for (i = 0; i < len; i++)
		b[i] = rnd();
}

/* Small, near a limit, or anything. */
static uint64_t number(void)
{
	static const uint64_t odd[] = {
		0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 1ULL << 32,
		INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX,
	};

	switch (below(3)) {
	case 0:
		return below(100);
	case 1:
		return odd[below(sizeof(odd) / sizeof(*odd))];
	}
	return rnd();
}

__attribute__((format(printf, 1, 2)))
static void violated(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	bad++;
}

/* The result of a call that only the privileged may make. */
static long granted_to(const char *what, long ret)
{
	calls++;
	if (ret < 0)
		return ret;
	granted++;
	if (nobody)
		violated("%s was granted to nobody", what);
	return ret;
}

static void keep(int fd)
{
	int *slot = &fds[below(FDS)];

	if (fd < 0)
		return;
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

static int any_fd(void)
{
	int fd = fds[below(FDS)];

	return fd >= 0 && below(4) ? fd : dir;
}

/* ioctls ------------------------------------------------------------------ */

static void tag_fill(struct im_ioc_tag *t)
{
	memset(t, 0, sizeof(*t));
	t->recno = number();
	t->low = below(2) ? t->recno : number();
	t->ino = number();
	t->gen = number();
	t->version = number();
	t->mtime = number();
	t->mtime_ns = below(4) ? below(1000000000) : number();
	t->dir_mtime = number();
	t->dir_mtime_ns = below(1000000000);
	t->flags = below(4) ? below(16) : number();
	t->zero = below(8) ? 0 : number();
}

static void call_ioctl(void)
{
	static const unsigned long cmds[] = {
		IM_IOC_INFO, IM_IOC_KML, IM_IOC_REPLAY, IM_IOC_TAG,
		IM_IOC_UNTAG, IM_IOC_MARK,
	};
	unsigned long cmd = cmds[below(sizeof(cmds) / sizeof(*cmds))];
	struct im_ioc_info info;
	struct im_ioc_replay replay = {
		.origin = 1 + below(20),
		.flags = below(4) ? O_CLOEXEC : number(),
		.zero = below(8) ? 0 : number(),
	};
	struct im_ioc_kml kml = {
		.from = number(),
		.commit_ms = below(3) ? below(20000) : number(),
		.flags = below(4) ? O_NONBLOCK | O_CLOEXEC : number(),
	};
	struct im_ioc_mark mark = { .recno = number(), .low = number() };
	struct im_ioc_tag tag;
	void *arg = junk;
	long ret;

	if (!below(8))
		cmd = _IOC(below(4), IM_IOC_MAGIC, below(16), below(300));
	tag_fill(&tag);
	switch (cmd) {
	case IM_IOC_INFO:
		arg = &info;
		break;
	case IM_IOC_KML:
		arg = &kml;
		break;
	case IM_IOC_REPLAY:
		arg = &replay;
		break;
	case IM_IOC_TAG:
		arg = &tag;
		break;
	case IM_IOC_MARK:
		arg = &mark;
		break;
	}
	switch (below(16)) {
	case 0:
		arg = NULL;
		break;
	case 1:
		arg = (void *)~0xfffUL;
		break;
	case 2:
		fill(junk, 512);
		arg = junk;
		break;
	}
	ret = granted_to("an ioctl", ioctl(below(4) ? dir : any_fd(), cmd, arg));
	if (cmd == IM_IOC_KML || cmd == IM_IOC_REPLAY)
		keep(ret);
}

/* Descriptors ------------------------------------------------------------- */

static void call_fd(void)
{
	struct pollfd p = { .fd = any_fd(), .events = number() };
	void *map;

	calls++;
	if (p.fd == dir)
		return;
	/* A KML descriptor may wait for records. */
	fcntl(p.fd, F_SETFL, O_NONBLOCK);
	switch (below(8)) {
	case 0:
	case 1:
		if (read(p.fd, junk, below(sizeof(junk))) < 0)
			return;
		break;
	case 2:
		if (write(p.fd, junk, below(1000)) > 0)
			violated("a write to a descriptor of the module");
		break;
	case 3:
		lseek(p.fd, number(), below(5));
		break;
	case 4:
		poll(&p, 1, 0);
		break;
	case 5:
		map = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			   below(2) ? MAP_SHARED : MAP_PRIVATE, p.fd, 0);
		if (map != MAP_FAILED)
			munmap(map, 4096);
		break;
	case 6:
		if (!fsync(p.fd) || !ftruncate(p.fd, below(9999)))
			violated("a descriptor of the module is no file");
		break;
	case 7:
		keep(dup(p.fd));
		break;
	}
}

/* Changes, tagged or not -------------------------------------------------- */

static void name_fill(char *buf)
{
	static const char *const names[] = {
		"a", "b", "c", "d", "e", "f", ".intermezzo", ".intermezzo/log",
		"a/.intermezzo", ".intermezzo-limbo-1", ".", "..", "",
	};

	strcpy(buf, names[below(4) ? below(6) :
			  below(sizeof(names) / sizeof(*names))]);
}

static void call_change(void)
{
	char from[64], to[64];
	bool state_dir;
	int fd, ret = -1;

	name_fill(from);
	name_fill(to);
	state_dir = !strncmp(from, ".intermezzo/", 12) ||
		    !strcmp(from, ".intermezzo");
	calls++;
	switch (below(10)) {
	case 0:
		fd = openat(dir, from, O_CREAT | O_RDWR, 0600);
		ret = fd;
		if (fd >= 0) {
			if (write(fd, junk, below(5000)) < 0)
				ret = 0;
			close(fd);
		}
		break;
	case 1:
		ret = unlinkat(dir, from, 0);
		break;
	case 2:
		ret = mkdirat(dir, from, 0700);
		break;
	case 3:
		ret = unlinkat(dir, from, AT_REMOVEDIR);
		break;
	case 4:
		ret = syscall(SYS_renameat2, dir, from, dir, to, below(8));
		state_dir |= !strcmp(to, ".intermezzo");
		break;
	case 5:
		ret = linkat(dir, from, dir, to, 0);
		state_dir |= !strcmp(to, ".intermezzo");
		break;
	case 6:
		ret = symlinkat("x", dir, from);
		break;
	case 7:
		ret = fchmodat(dir, from, below(01000), 0);
		break;
	case 8:
		ret = faccessat(dir, from, F_OK, 0);
		break;
	case 9:
		ret = mknodat(dir, from, S_IFIFO | 0600, 0);
		break;
	}
	if (state_dir && ret >= 0)
		violated("'%s' to '%s' was possible", from, to);
}

static void call_xattr(void)
{
	static const char *const names[] = {
		IM_XATTR_ORIGIN, IM_XATTR_PREFIX "server", IM_XATTR_PREFIX,
		IM_XATTR_PREFIX "x", "user.x", "trusted.x", "security.x",
		"system.posix_acl_access", "system.posix_acl_default", "nope",
	};
	const char *name = names[below(sizeof(names) / sizeof(*names))];
	char path[4200], file[64];
	int ret = -1;

	name_fill(file);
	snprintf(path, sizeof(path), "%s/%s", top, file);
	calls++;
	switch (below(4)) {
	case 0:
		ret = lsetxattr(path, name, junk, below(2) ? below(300) : 24,
				below(3));
		break;
	case 1:
		ret = lgetxattr(path, name, junk, below(300));
		break;
	case 2:
		ret = lremovexattr(path, name);
		break;
	case 3:
		llistxattr(path, (char *)junk, below(300));
		return;
	}
	if (ret >= 0 && nobody && !strncmp(name, "trusted.", 8))
		violated("%s was granted to nobody", name);
}

static void call_handle(void)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u;
	struct im_fh_parent fh = {
		.fh = { .ino_lo = below(2) ? below(200) : number(),
			.ino_hi = below(8) ? 0 : number(),
			.gen = number() },
		.dir = { .ino_lo = below(200) },
	};
	int mount_id, fd;
	char name[64];

	u.h.handle_bytes = below(4) ? sizeof(fh.fh) : below(MAX_HANDLE_SZ);
	u.h.handle_type = below(4) ? 0x81 + (int)below(3) : (int)number();
	memset(u.h.f_handle, 0, MAX_HANDLE_SZ);
	memcpy(u.h.f_handle, &fh, sizeof(fh));
	name_fill(name);
	if (below(2)) {
		u.h.handle_bytes = MAX_HANDLE_SZ;
		if (name_to_handle_at(dir, name, &u.h, &mount_id, 0))
			return;
		if (!below(4))
			u.h.f_handle[below(u.h.handle_bytes)] ^= 1 << below(8);
	}
	fd = granted_to("a handle", open_by_handle_at(dir, &u.h, O_PATH));
	if (fd >= 0)
		close(fd);
}

/* Mount options ----------------------------------------------------------- */

static void call_mount(void)
{
	static const char *const keys[] = {
		"fileset", "create", "log_size", "replica", "sync_ms",
		"journal", "source", "nope", "ro", "", "log_keep",
		"log_keep_age",
	};
	static const char *const values[] = {
		"a", "t", "", "64M", "1", "0", "-1", "99999999999999999999999",
		"4M", "3k", "plain", "jbd2", "/", "/dev/null", "../..", "1e3",
		"7d", "0m", "4294967295h",
	};
	int fs = granted_to("fsopen", syscall(SYS_fsopen, IM_FS_TYPE,
					      FSOPEN_CLOEXEC));
	int n = below(8);

	if (fs < 0)
		return;
	while (n--) {
		const char *key = keys[below(sizeof(keys) / sizeof(*keys))];
		const char *value = values[below(sizeof(values) /
						 sizeof(*values))];
		char text[300];

		if (!below(8)) {
			memset(text, 'x', sizeof(text) - 1);
			text[below(sizeof(text))] = '\0';
			text[sizeof(text) - 1] = '\0';
			value = text;
		}
		switch (below(8)) {
		case 0:
			syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, key, NULL,
				0);
			break;
		case 1:
			syscall(SYS_fsconfig, fs, FSCONFIG_SET_BINARY, key,
				junk, below(300));
			break;
		case 2:
			syscall(SYS_fsconfig, fs, FSCONFIG_SET_FD, key, NULL,
				dir);
			break;
		case 3:
			syscall(SYS_fsconfig, fs, FSCONFIG_SET_PATH, key,
				top, AT_FDCWD);
			break;
		default:
			syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key,
				!strcmp(key, "source") && below(2) ? top :
				value, 0);
		}
	}
	/* "create" would make filesets everywhere; the source above is DIR. */
	if (below(2))
		syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (read(fs, junk, 300) < 0)
		calls++;
	close(fs);
}

/* Netlink ----------------------------------------------------------------- */

static size_t put_attr(uint8_t *p)
{
	static const uint16_t lens[] = { 0, 1, 2, 4, 8, 16, 65, 300 };
	struct nlattr a = { .nla_type = below(24) };
	size_t len = lens[below(sizeof(lens) / sizeof(*lens))];

	if (!below(8))
		a.nla_type |= NLA_F_NESTED;
	if (!below(16))
		a.nla_type = rnd();
	fill(p + NLA_HDRLEN, len);
	if (a.nla_type == IM_A_NAME && below(4)) {
		len = 1 + below(4);
		memset(p + NLA_HDRLEN, 't', len);
		p[NLA_HDRLEN + len - 1] = '\0';
	}
	a.nla_len = below(16) ? NLA_HDRLEN + len : rnd();
	memcpy(p, &a, sizeof(a));
	return NLA_ALIGN(NLA_HDRLEN + len);
}

static bool nl_open(void)
{
	uint8_t msg[256] = { 0 }, *p = msg + NLMSG_HDRLEN + GENL_HDRLEN;
	struct nlmsghdr *h = (void *)msg;
	struct genlmsghdr *g = NLMSG_DATA(h);
	struct nlattr a = { .nla_len = NLA_HDRLEN + sizeof(IM_GENL_NAME),
			    .nla_type = CTRL_ATTR_FAMILY_NAME };
	ssize_t n;

	nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	h->nlmsg_type = GENL_ID_CTRL;
	h->nlmsg_flags = NLM_F_REQUEST;
	g->cmd = CTRL_CMD_GETFAMILY;
	g->version = 1;
	memcpy(p, &a, sizeof(a));
	memcpy(p + NLA_HDRLEN, IM_GENL_NAME, sizeof(IM_GENL_NAME));
	h->nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN + NLA_ALIGN(a.nla_len);
	if (nl < 0 || send(nl, msg, h->nlmsg_len, 0) < 0)
		return false;
	n = recv(nl, junk, sizeof(junk), 0);
	p = junk + NLMSG_HDRLEN + GENL_HDRLEN;
	while (p + NLA_HDRLEN <= junk + n) {
		memcpy(&a, p, sizeof(a));
		if (a.nla_type == CTRL_ATTR_FAMILY_ID)
			memcpy(&family, p + NLA_HDRLEN, 2);
		if (a.nla_len < NLA_HDRLEN)
			break;
		p += NLA_ALIGN(a.nla_len);
	}
	return family;
}

static void call_netlink(void)
{
	uint8_t msg[4096] = { 0 };
	struct nlmsghdr *h = (void *)msg;
	struct genlmsghdr *g = NLMSG_DATA(h);
	uint32_t cmd = below(8) ? below(IM_CMD_MAX + 2) : below(256);
	size_t len = NLMSG_HDRLEN + GENL_HDRLEN;
	int n = below(6);
	ssize_t got;

	h->nlmsg_type = family;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK |
			 (below(4) ? 0 : NLM_F_DUMP);
	g->cmd = cmd;
	g->version = below(8) ? IM_GENL_VERSION : below(256);
	g->reserved = below(8) ? 0 : rnd();
	while (n--)
		len += put_attr(msg + len);
	h->nlmsg_len = below(16) ? len : len + below(8) - 4;
	if (send(nl, msg, len, 0) < 0)
		return;
	calls++;
	while ((got = recv(nl, junk, sizeof(junk), MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *r = (void *)junk;

		if (got < NLMSG_HDRLEN || r->nlmsg_type != family)
			continue;
		granted++;
		if (nobody)
			violated("netlink command %u was answered to nobody",
				 cmd);
	}
}

static void (*const kinds[])(void) = {
	call_ioctl, call_ioctl, call_fd, call_change, call_change, call_xattr,
	call_handle, call_mount, call_netlink, call_netlink,
};

int main(int argc, char **argv)
{
	time_t end;
	int i;

	if (argc < 4 || argc > 5 || (argc == 5 && strcmp(argv[4], "nobody"))) {
		fprintf(stderr, "usage: facefuzz DIR SEED SECONDS [nobody]\n");
		return 2;
	}
	top = argv[1];
	state = strtoull(argv[2], NULL, 0);
	nobody = argc == 5;
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < FDS; i++)
		fds[i] = -1;
	if (dir < 0 || !nl_open()) {
		perror(top);
		return 2;
	}
	if (nobody && (setgroups(0, NULL) || setgid(65534) || setuid(65534))) {
		perror("setuid");
		return 2;
	}
	end = time(NULL) + strtol(argv[3], NULL, 0);
	while (time(NULL) < end)
		for (i = 0; i < 50; i++)
			kinds[below(sizeof(kinds) / sizeof(*kinds))]();
	printf("facefuzz: %lu calls, %lu granted, %u violations\n", calls,
	       granted, bad);
	return bad ? 1 : 0;
}
