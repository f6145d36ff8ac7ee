// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses of servers: what each form means, and that nothing that could be
 * an option of ssh or a trick on a URL gets through.
 *
 * links: syncd/http.c syncd/address.c syncd/ssh.c syncd/bucket.c syncd/pin.c syncd/identity.c syncd/durable.c
 */
#include "syncd/http.h"

#include "tap.h"

struct syncd_conf conf;

void logmsg(int prio, const char *fmt, ...)
{
}

#define FP "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
	const char *url;
	const char *name, *base, *path, *ssh, *port;
} good[] = {
	{ "host:data", "data", "http://host:7070/im/1/data/", "", "", "" },
	{ "host:81:data", "data", "http://host:81/im/1/data/", "", "", "" },
	{ "[fe80::1]:data", "data", "http://[fe80::1]:7070/im/1/data/", "", "", "" },
	{ "[::1]:99:d", "d", "http://[::1]:99/im/1/d/", "", "", "" },
	{ "http://h.example/x", "x", "http://h.example:7070/im/1/x/", "", "", "" },
	{ "http://h:80/x/", "x", "http://h:80/im/1/x/", "", "", "" },
	{ "unix:/run/s:x.y_z-1", "x.y_z-1", "http://unix/im/1/x.y_z-1/",
	  "/run/s", "", "" },
	{ "tls://h/x#" FP, "x", "https://h:7071/im/1/x/", "", "", "" },
	{ "tls://[::1]:9/x#" FP, "x", "https://[::1]:9/im/1/x/", "", "", "" },
	{ "ssh://h/x", "x", "http://ssh/im/1/x/", "", "h", "" },
	{ "ssh://me@h:22/x", "x", "http://ssh/im/1/x/", "", "me@h", "22" },
	{ "ssh://me@[::1]:22/x", "x", "http://ssh/im/1/x/", "", "me@::1", "22" },
};

static const char *const bad[] = {
	"", "host", ":x", "host:", "host:.x", "host:a/b", "host:a b", "host:a%2f",
	"host:0:x", "host:65536:x", "host:-1:x", "host:1x:x", "-host:x",
	"ho st:x", "ho/st:x", "user@host:x", "host?:x", "host#a:x", "[::1:x",
	"[::1]x:x", "http://host", "http:///x", "http://host/", "http://h/a/b",
	"tls://h/x", "tls://h/x#", "tls://h/x#" FP "0", "tls://h/x#A" FP,
	"tls://h#" FP, "tls://h/x/#" FP "#", "tls:///x#" FP, "tls://-h/x#" FP,
	"tls://h:0/x#" FP, "tls://u@h/x#" FP, "tls://h/x y#" FP, "h:x#" FP,
	"https://host/x", "ftp://host/x", "ssh://host", "ssh://-oX/x",
	"ssh://-oX@h/x", "ssh://a@-h/x", "ssh://h:x/x", "ssh:///x", "ssh://@/x",
	"ssh://a b@h/x", "ssh://h;id/x", "ssh://$(id)/x", "unix:run/s:x",
	"unix::x", "unix:/run/s", "host:\nx", "ho\rst:x",
};

int main(void)
{
	char err[300], large[2000];
	struct remote r;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		bool same = !remote_parse(&r, good[i].url, err, sizeof(err)) &&
			    !strcmp(r.name, good[i].name) &&
			    !strcmp(r.base, good[i].base) &&
			    !strcmp(r.path, good[i].path) &&
			    !strcmp(r.ssh_host, good[i].ssh) &&
			    !strcmp(r.ssh_port, good[i].port);

		if (!ok(same, "%s", good[i].url))
			diag("%s %s %s %s %s", r.name, r.base, r.path,
			     r.ssh_host, r.ssh_port);
	}
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		err[0] = '\0';
		if (!ok(remote_parse(&r, bad[i], err, sizeof(err)) == -EINVAL &&
			err[0], "refused, and said why: %zu", i))
			diag("'%s' became %s %s", bad[i], r.base, r.ssh_host);
	}
	memset(large, 'a', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	is(remote_parse(&r, large, err, sizeof(err)), -EINVAL, "too long");
	memcpy(large + 500, ":x", 3);
	is(remote_parse(&r, large, err, sizeof(err)), -EINVAL,
	   "a host that is too long");
	return tap_done();
}
