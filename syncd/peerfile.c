// SPDX-License-Identifier: GPL-2.0
/*
 * What may come from outside, and peers.json. That is ours, but it holds the
 * keys to the house: whatever is not exactly what we write is refused as a
 * whole, rather than let somebody in by a misunderstanding.
 */
#include "peers.h"

#include <stdlib.h>

#define PEERS_VERSION	1

void peers_free(struct peers *p)
{
	free(p->peer);
	free(p->grant);
	free(p->invitation);
	memset(p, 0, sizeof(*p));
}

bool peer_name_ok(const char *name)
{
	const char *s = name;

	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= '0' && *s <= '9') || strchr("._-", *s)))
			return false;
	return s != name && s - name < PEER_NAME;
}

int redeem_get(const void *body, size_t len, struct im_wire_redeem *w)
{
	size_t n;

	if (len != sizeof(*w))
		return -EINVAL;
	memcpy(w, body, sizeof(*w));
	n = strnlen(w->name, sizeof(w->name));
	if (le32_to_cpu(w->magic) != IM_WIRE_MAGIC_REDEEM || w->zero ||
	    n == sizeof(w->name) || !peer_name_ok(w->name))
		return -EINVAL;
	for (; n < sizeof(w->name); n++)
		if (w->name[n])
			return -EINVAL;
	return 0;
}

static bool time_ok(json_int_t t)
{
	return t >= 0 && t < (json_int_t)1 << 48;
}

static const char *take_peer(struct peers *to, json_t *o)
{
	struct peer *p = &to->peer[to->peers];
	const char *fp, *name;
	json_int_t since, seen;
	size_t i;

	if (json_unpack(o, "{s:s, s:s, s:I, s:I !}", "name", &name,
			"fingerprint", &fp, "since", &since, "seen", &seen))
		return "a member of a peer is missing, unknown or of a wrong type";
	if (!peer_name_ok(name) || !fingerprint_parse(fp, p->fp) ||
	    !time_ok(since) || !time_ok(seen))
		return "a peer's name, fingerprint or time makes no sense";
	for (i = 0; i < to->peers; i++)
		if (!strcmp(to->peer[i].name, name) ||
		    !memcmp(to->peer[i].fp, p->fp, FINGERPRINT))
			return "a peer is there twice";
	strcpy(p->name, name);
	p->since = since;
	p->seen = seen;
	to->peers++;
	return NULL;
}

static bool fileset_ok(const char *fileset)
{
	return !im_fsname_check(fileset);
}

static const char *take_grant(struct peers *to, json_t *o)
{
	struct grant *g = &to->grant[to->grants];
	const char *fp, *fileset, *rights;
	json_int_t since, revoked;
	bool known = false;
	size_t i;

	if (json_unpack(o, "{s:s, s:s, s:s, s:I, s:I !}", "peer", &fp,
			"fileset", &fileset, "rights", &rights, "since",
			&since, "revoked", &revoked))
		return "a member of a grant is missing, unknown or of a wrong type";
	if (!fingerprint_parse(fp, g->fp) || !fileset_ok(fileset) ||
	    strcmp(rights, "ro") || !time_ok(since) || !time_ok(revoked))
		return "a grant's peer, fileset, right or time makes no sense";
	for (i = 0; i < to->peers && !known; i++)
		known = !memcmp(to->peer[i].fp, g->fp, FINGERPRINT);
	if (!known)
		return "a grant is of a peer that is not there";
	for (i = 0; i < to->grants; i++)
		if (!strcmp(to->grant[i].fileset, fileset) &&
		    !memcmp(to->grant[i].fp, g->fp, FINGERPRINT))
			return "a grant is there twice";
	strcpy(g->fileset, fileset);
	g->since = since;
	g->revoked = revoked;
	to->grants++;
	return NULL;
}

static const char *take_invitation(struct peers *to, json_t *o)
{
	struct invitation *v = &to->invitation[to->invitations];
	const char *hash, *fileset, *rights;
	json_int_t made, expires, used;
	size_t i;

	if (json_unpack(o, "{s:s, s:s, s:s, s:I, s:I, s:I !}", "secret_sha256",
			&hash, "fileset", &fileset, "rights", &rights, "made",
			&made, "expires", &expires, "used", &used))
		return "a member of an invitation is missing, unknown or of a wrong type";
	if (!fingerprint_parse(hash, v->hash) || !fileset_ok(fileset) ||
	    strcmp(rights, "ro") || !time_ok(made) || !time_ok(expires) ||
	    !time_ok(used))
		return "an invitation's hash, fileset, right or time makes no sense";
	for (i = 0; i < to->invitations; i++)
		if (!memcmp(to->invitation[i].hash, v->hash, FINGERPRINT))
			return "an invitation is there twice";
	strcpy(v->fileset, fileset);
	v->made = made;
	v->expires = expires;
	v->used = used;
	to->invitations++;
	return NULL;
}

/* Each of the array into one more of what `take` fills. */
static const char *take_all(struct peers *to, json_t *array, size_t max,
			    size_t size, void *list,
			    const char *(*take)(struct peers *to, json_t *o))
{
	size_t n = json_array_size(array), i;
	const char *why = NULL;
	void **at = list;

	if (!json_is_array(array))
		return "peers, grants and invitations must be lists";
	if (n > max)
		return "a list is too long";
	*at = calloc(n + 1, size);
	if (!*at)
		return "out of memory";
	for (i = 0; i < n && !why; i++)
		why = take(to, json_array_get(array, i));
	return why;
}

int peers_parse(const char *text, size_t len, struct peers *to, char *err,
		size_t errlen)
{
	json_t *root, *peers, *grants, *invitations;
	const char *why = NULL;
	json_error_t where;
	int version;

	memset(to, 0, sizeof(*to));
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
	if (!root) {
		snprintf(err, errlen, "line %d: %s", where.line, where.text);
		return -EINVAL;
	}
	if (json_unpack(root, "{s:i, s:o, s:o, s:o !}", "version", &version,
			"peers", &peers, "grants", &grants, "invitations",
			&invitations) || version != PEERS_VERSION)
		why = "it is not a list of peers of version 1; it may be from a newer intersyncd";
	if (!why)
		why = take_all(to, peers, PEERS_MAX, sizeof(*to->peer),
			       &to->peer, take_peer);
	if (!why)
		why = take_all(to, grants, GRANTS_MAX, sizeof(*to->grant),
			       &to->grant, take_grant);
	if (!why)
		why = take_all(to, invitations, INVITATIONS_MAX,
			       sizeof(*to->invitation), &to->invitation,
			       take_invitation);
	json_decref(root);
	if (!why)
		return 0;
	snprintf(err, errlen, "%s", why);
	peers_free(to);
	return -EINVAL;
}

char *peers_format(const struct peers *p)
{
	json_t *peers = json_array(), *grants = json_array();
	json_t *invitations = json_array(), *root;
	char fp[FINGERPRINT_TEXT];
	char *text = NULL;
	bool bad = false;
	size_t i;

	for (i = 0; i < p->peers; i++) {
		fingerprint_text(p->peer[i].fp, fp);
		bad |= json_array_append_new(peers, json_pack(
			"{s:s, s:s, s:I, s:I}", "name", p->peer[i].name,
			"fingerprint", fp, "since",
			(json_int_t)p->peer[i].since, "seen",
			(json_int_t)p->peer[i].seen));
	}
	for (i = 0; i < p->grants; i++) {
		fingerprint_text(p->grant[i].fp, fp);
		bad |= json_array_append_new(grants, json_pack(
			"{s:s, s:s, s:s, s:I, s:I}", "peer", fp, "fileset",
			p->grant[i].fileset, "rights", "ro", "since",
			(json_int_t)p->grant[i].since, "revoked",
			(json_int_t)p->grant[i].revoked));
	}
	for (i = 0; i < p->invitations; i++) {
		const struct invitation *v = &p->invitation[i];

		fingerprint_text(v->hash, fp);
		bad |= json_array_append_new(invitations, json_pack(
			"{s:s, s:s, s:s, s:I, s:I, s:I}", "secret_sha256", fp,
			"fileset", v->fileset, "rights", "ro", "made",
			(json_int_t)v->made, "expires", (json_int_t)v->expires,
			"used", (json_int_t)v->used));
	}
	root = json_pack("{s:i, s:o, s:o, s:o}", "version", PEERS_VERSION,
			 "peers", peers, "grants", grants, "invitations",
			 invitations);
	if (root && !bad)
		text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	return text;
}
