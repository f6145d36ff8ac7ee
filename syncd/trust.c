// SPDX-License-Identifier: GPL-2.0
#include "trust.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>
#include "common/text.h"
#include "conn.h"
#include "manage.h"

#define EXPIRES_MAX	(30 * 86400)
#define ID_DIGITS	12		/* of an invitation's hash: its number */

static int bad_request(struct problem *p, const json_error_t *where)
{
	return problem(p, 400, "bad-request",
		       "the request is not understood: %s; are intermezzoctl and intersyncd of the same version?",
		       where->text);
}

/* ---- invite ---- */

static int same_name(void *arg, const struct fset_conf *c, struct fset *f,
		     const char *error)
{
	return !strcmp(arg, c->name);
}

static bool usable(const struct sockaddr *sa, socklen_t len,
		   char host[ADDRESS_HOST_MAX + 1])
{
	const struct sockaddr_in6 *v6 = (const void *)sa;
	const struct sockaddr_in *v4 = (const void *)sa;

	if (sa->sa_family == AF_INET) {
		if (!v4->sin_addr.s_addr ||
		    ntohl(v4->sin_addr.s_addr) >> 24 == 127)
			return false;
	} else if (sa->sa_family != AF_INET6 ||
		   IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) ||
		   IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
		   IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) {
		return false;
	}
	return !getnameinfo(sa, len, host, ADDRESS_HOST_MAX + 1, NULL, 0,
			    NI_NUMERICHOST);
}

/*
 * What this machine would call itself to somebody far away: nothing is sent to
 * the address, which is one for documentation.
 */
static bool address_by_route(const char *far,
			     char host[ADDRESS_HOST_MAX + 1])
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST,
					.ai_socktype = SOCK_DGRAM };
	struct sockaddr_storage own;
	socklen_t len = sizeof(own);
	struct addrinfo *to;
	bool found = false;
	int fd;

	if (getaddrinfo(far, "9", &hints, &to))
		return false;
	fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, to->ai_addr, to->ai_addrlen) &&
	    !getsockname(fd, (struct sockaddr *)&own, &len))
		found = usable((struct sockaddr *)&own, len, host);
	if (fd >= 0)
		close(fd);
	freeaddrinfo(to);
	return found;
}

static bool address_of_card(char host[ADDRESS_HOST_MAX + 1])
{
	struct ifaddrs *all, *a;
	bool found = false;

	if (getifaddrs(&all))
		return false;
	for (a = all; a && !found; a = a->ifa_next)
		found = a->ifa_addr && a->ifa_flags & IFF_UP &&
			(a->ifa_addr->sa_family == AF_INET ||
			 a->ifa_addr->sa_family == AF_INET6) &&
			usable(a->ifa_addr, a->ifa_addr->sa_family == AF_INET ?
			       sizeof(struct sockaddr_in) :
			       sizeof(struct sockaddr_in6), host);
	freeifaddrs(all);
	return found;
}

/* "HOST[:PORT]", or where this daemon serves. */
static int take_address(struct invite *v, const char *text, struct problem *p)
{
	char given[ADDRESS_HOST_MAX + 16] = "", listen[256];
	char *host = NULL, *port, *at = NULL, *own_port;

	if (text && (strlen(text) >= sizeof(given) ||
		     !address_split(strcpy(given, text), &host, &port)))
		return problem(p, 400, "bad-address",
			       "\"%.80s\" is not HOST or HOST:PORT, as in www.example.org or [2001:db8::1]:7071",
			       text);
	v->port = IM_WIRE_PORT_TLS;
	if (conf.listen_tls) {
		snprintf(listen, sizeof(listen), "%s", conf.listen_tls[0]);
		if (address_split(listen, &at, &own_port) && *own_port)
			v->port = (u16)atoi(own_port);
	}
	if (host) {
		strcpy(v->host, host);
		if (*port)
			v->port = (u16)atoi(port);
		return 0;
	}
	if (at && strcmp(at, "0.0.0.0") && strcmp(at, "::")) {
		snprintf(v->host, sizeof(v->host), "%s", at);
		return 0;
	}
	if (address_by_route("192.0.2.1", v->host) ||
	    address_by_route("2001:db8::1", v->host) ||
	    address_of_card(v->host))
		return 0;
	return problem(p, 409, "no-address",
		       "this machine has no address that others could use; say --address HOST");
}

int ctl_invite(json_t *request, json_t **answer, struct problem *p)
{
	char text[INVITE_TEXT], err[768], name[IM_FSNAME_LEN + 1];
	const char *fileset, *address = NULL;
	json_int_t seconds;
	struct invite v;
	json_error_t where;
	s64 expires;
	int rw = 0;

	if (json_unpack_ex(request, &where, 0, "{s:s, s:I, s?s, s?b !}",
			   "name", &fileset, "seconds", &seconds, "address",
			   &address, "rw", &rw))
		return bad_request(p, &where);
	if (rw)
		return problem(p, 400, "not-built",
			       "other machines can only read as yet: replicas that may be written to are not built; say --ro");
	if (seconds < 1 || seconds > EXPIRES_MAX)
		return problem(p, 400, "bad-time",
			       "an invitation is good for 1 second to 30 days");
	if (im_fsname_check(fileset) ||
	    !manage_each(same_name, strcpy(name, fileset)))
		return problem(p, 404, "unknown",
			       "nothing of that name is exported; see: intermezzoctl status");
	memset(&v, 0, sizeof(v));
	if (take_address(&v, address, p))
		return -1;
	if (server_tls(err, sizeof(err)))
		return problem(p, 409, "no-tls", "%s", err);
	memcpy(v.server, identity_fingerprint(), FINGERPRINT);
	strcpy(v.name, fileset);
	if (peers_invite(fileset, seconds, v.secret, &expires, err,
			 sizeof(err)))
		return problem(p, 500, "state", "%s", err);
	invite_format(&v, text);
	memset(v.secret, 0, sizeof(v.secret));
	logmsg(LOG_NOTICE, "%s: an invitation was made", fileset);
	*answer = json_pack("{s:s, s:s, s:i, s:I}", "invitation", text, "host",
			    v.host, "port", v.port, "expires",
			    (json_int_t)expires);
	return 0;
}

/* ---- peers ---- */

static json_t *grants_of(const struct peers *all, const struct peer *peer,
			 const char *fileset)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < all->grants; i++) {
		const struct grant *g = &all->grant[i];

		if (memcmp(g->fp, peer->fp, FINGERPRINT) ||
		    (fileset && strcmp(g->fileset, fileset)))
			continue;
		json_array_append_new(list, json_pack(
			"{s:s, s:s, s:I, s:I}", "name", g->fileset, "rights",
			g->revoked ? "none" : "ro", "since",
			(json_int_t)g->since, "revoked",
			(json_int_t)g->revoked));
	}
	return list;
}

static json_t *peers_json(const struct peers *all, const char *fileset)
{
	json_t *list = json_array(), *grants;
	char fp[FINGERPRINT_TEXT];
	size_t i;

	for (i = 0; i < all->peers; i++) {
		const struct peer *peer = &all->peer[i];

		grants = grants_of(all, peer, fileset);
		if (fileset && !json_array_size(grants)) {
			json_decref(grants);
			continue;
		}
		fingerprint_text(peer->fp, fp);
		json_array_append_new(list, json_pack(
			"{s:s, s:s, s:I, s:I, s:i, s:o}", "name", peer->name,
			"fingerprint", fp, "since", (json_int_t)peer->since,
			"seen", (json_int_t)peer->seen, "connections",
			(int)conn_count_peer(peer->fp), "filesets", grants));
	}
	return list;
}

static json_t *invitations_json(const struct peers *all, const char *fileset)
{
	json_t *list = json_array();
	char hash[FINGERPRINT_TEXT];
	size_t i;

	for (i = 0; i < all->invitations; i++) {
		const struct invitation *v = &all->invitation[i];

		if (v->used || v->expires <= time(NULL) ||
		    (fileset && strcmp(v->fileset, fileset)))
			continue;
		fingerprint_text(v->hash, hash);
		hash[ID_DIGITS] = '\0';
		json_array_append_new(list, json_pack(
			"{s:s, s:s, s:s, s:I, s:I}", "id", hash, "fileset",
			v->fileset, "rights", "ro", "made",
			(json_int_t)v->made, "expires",
			(json_int_t)v->expires));
	}
	return list;
}

int ctl_peers(json_t *request, json_t **answer, struct problem *p)
{
	const char *fileset = NULL;
	char fp[FINGERPRINT_TEXT], err[512];
	json_error_t where;
	struct peers all;

	if (json_unpack_ex(request, &where, 0, "{s?s !}", "name", &fileset))
		return bad_request(p, &where);
	if (identity_get(err, sizeof(err)))
		return problem(p, 500, "identity", "%s", err);
	if (peers_copy(&all))
		return problem(p, 500, "memory", "intersyncd is out of memory");
	fingerprint_text(identity_fingerprint(), fp);
	*answer = json_pack("{s:s, s:o, s:o}", "fingerprint", fp, "peers",
			    peers_json(&all, fileset), "invitations",
			    invitations_json(&all, fileset));
	peers_free(&all);
	return 0;
}

int ctl_revoke(json_t *request, json_t **answer, struct problem *p)
{
	const char *key, *fileset = NULL;
	char fp[FINGERPRINT_TEXT], err[512];
	json_error_t where;
	struct peer peer;
	int rc;

	if (json_unpack_ex(request, &where, 0, "{s:s, s?s !}", "peer", &key,
			   "name", &fileset))
		return bad_request(p, &where);
	rc = peers_revoke(key, fileset, &peer, err, sizeof(err));
	if (rc)
		return problem(p, rc == -ENOENT ? 404 : rc == -EINVAL ||
				  rc == -EALREADY ? 409 : 500,
			       rc == -ENOENT ? "unknown" : rc == -EINVAL ?
			       "ambiguous" : rc == -EALREADY ? "no-access" :
			       "state", "%s", err);
	/* the right is gone; now what was begun by it */
	if (peer.name[0])
		conn_shut_peer(peer.fp, fileset);
	fingerprint_text(peer.fp, fp);
	logmsg(LOG_NOTICE, "revoked: %s", peer.name[0] ? fp : key);
	*answer = json_pack("{s:s, s:s}", "name", peer.name, "fingerprint",
			    peer.name[0] ? fp : "");
	return 0;
}

/* ---- attach ---- */

int trust_invitation(const char *text, struct im_wire_redeem *redeem,
		     char url[INVITE_URL], struct problem *p)
{
	char host[sizeof(redeem->name)];
	struct invite v;
	size_t i;

	if (invite_parse(text, &v))
		return problem(p, 400, "bad-invitation",
			       "this invitation is damaged or incomplete; copy it anew, whole, as `intermezzoctl invite` printed it");
	memset(redeem, 0, sizeof(*redeem));
	redeem->magic = cpu_to_le32(IM_WIRE_MAGIC_REDEEM);
	memcpy(redeem->secret, v.secret, sizeof(redeem->secret));
	if (gethostname(host, sizeof(host)) || !host[0])
		strcpy(host, "unnamed");
	host[sizeof(host) - 1] = '\0';
	for (i = 0; host[i]; i++) {
		redeem->name[i] = host[i];
		redeem->name[i + 1] = '\0';
		if (!peer_name_ok(redeem->name + i))
			redeem->name[i] = '-';
	}
	invite_url(&v, url);
	return 0;
}
