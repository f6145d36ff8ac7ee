// SPDX-License-Identifier: GPL-2.0
/*
 * Invitations as text, and peers.json: what is written is read, every slip and
 * all that makes no sense is refused.
 * links: syncd/invite.c syncd/address.c syncd/identity.c syncd/durable.c syncd/peerfile.c
 */
#include "syncd/invite.h"

#include "tap.h"

struct syncd_conf conf;

void logmsg(int prio, const char *fmt, ...)
{
}

static void make(struct invite *v, const char *name, const char *host, u16 port)
{
	size_t i;

	memset(v, 0, sizeof(*v));
	for (i = 0; i < sizeof(v->server); i++)
		v->server[i] = rnd();
	for (i = 0; i < sizeof(v->secret); i++)
		v->secret[i] = rnd();
	v->port = port;
	strcpy(v->name, name);
	strcpy(v->host, host);
}

static void round_trip(const char *name, const char *host, u16 port)
{
	struct invite v, back;
	char text[INVITE_TEXT], url[INVITE_URL];

	make(&v, name, host, port);
	memset(&back, 0, sizeof(back));
	invite_format(&v, text);
	ok(!invite_parse(text, &back) && !memcmp(&v, &back, sizeof(v)),
	   "%s at %s:%u comes back", name, host, port);
	ok(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		  "0123456789-_") == strlen(text), "and is one word");
	invite_url(&v, url);
	ok(strchr(url, '#') && strlen(strchr(url, '#')) == FINGERPRINT_TEXT,
	   "its address has all of the fingerprint");
}

/* No text but the right one, one slip away from it. */
static void test_slips(void)
{
	static const char with[] = "AaZz09-_ =+/\n";
	char text[INVITE_TEXT], bad[INVITE_TEXT + 1];
	unsigned int tried = 0, taken = 0;
	struct invite v, back;
	size_t len, i, j;

	make(&v, "data", "server.example", 7071);
	invite_format(&v, text);
	len = strlen(text);
	for (i = 0; i < len; i++) {
		for (j = 0; j < sizeof(with) - 1; j++) {
			strcpy(bad, text);
			if (bad[i] == with[j])
				continue;
			bad[i] = with[j];
			tried++;
			taken += !invite_parse(bad, &back);
		}
		strcpy(bad, text);		/* one is missing */
		memmove(bad + i, bad + i + 1, len - i);
		tried++;
		taken += !invite_parse(bad, &back);
		strcpy(bad, text);		/* one too many */
		memmove(bad + i + 1, bad + i, len - i + 1);
		tried++;
		taken += !invite_parse(bad, &back);
		snprintf(bad, i + 1, "%s", text);	/* cut off */
		tried++;
		taken += !invite_parse(bad, &back);
	}
	is(taken, 0, "none of %u slips is taken", tried);
}

static void test_nonsense(void)
{
	static const struct {
		const char *name, *host;
		u16 port;
	} bad[] = {
		{ "", "h", 1 }, { "a", "", 1 }, { "a", "h", 0 },
		{ ".a", "h", 1 }, { "a/b", "h", 1 }, { "a", "-h", 1 },
		{ "a", "h h", 1 }, { "a", "h/", 1 }, { "a", "u@h", 1 },
		{ "a", "h#", 1 },
	};
	char text[INVITE_TEXT];
	struct invite v;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		make(&v, bad[i].name, bad[i].host, bad[i].port);
		invite_format(&v, text);
		is(invite_parse(text, &v), -EINVAL, "'%s' at '%s':%u",
		   bad[i].name, bad[i].host, bad[i].port);
	}
	is(invite_parse("", &v), -EINVAL, "nothing");
	is(invite_parse("im1-", &v), -EINVAL, "an empty one");
	is(invite_parse("im2-AAAA", &v), -EINVAL, "of another version");
}

/* peers.json */

#define FP "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PEER "{\"name\": \"h\", \"fingerprint\": \"" FP \
	     "\", \"since\": 1, \"seen\": 2}"
#define GRANT "{\"peer\": \"" FP "\", \"fileset\": \"t\", " \
	      "\"rights\": \"ro\", \"since\": 3, \"revoked\": 0}"
#define INVITATION "{\"secret_sha256\": \"" FP "\", \"fileset\": \"t\", " \
		   "\"rights\": \"ro\", \"made\": 4, \"expires\": 5, \"used\": 6}"
#define FILE_OF(p, g, i) "{\"version\": 1, \"peers\": [" p "], \"grants\": [" \
			 g "], \"invitations\": [" i "]}"

static void test_file(void)
{
	static const char good[] = FILE_OF(PEER, GRANT, INVITATION);
	struct peers p, again;
	char err[256] = "";
	char *text;

	is(peers_parse(good, strlen(good), &p, err, sizeof(err)), 0,
	   "a file is read %s", err);
	ok(p.peers == 1 && p.grants == 1 && p.invitations == 1 &&
	   !strcmp(p.peer[0].name, "h") && p.peer[0].since == 1 &&
	   p.peer[0].seen == 2 && !strcmp(p.grant[0].fileset, "t") &&
	   p.grant[0].since == 3 && !p.grant[0].revoked &&
	   p.invitation[0].made == 4 && p.invitation[0].expires == 5 &&
	   p.invitation[0].used == 6, "with all that is in it");
	text = peers_format(&p);
	is(peers_parse(text, strlen(text), &again, err, sizeof(err)), 0,
	   "and written, and read again");
	ok(!memcmp(p.peer, again.peer, sizeof(*p.peer)) &&
	   !memcmp(p.grant, again.grant, sizeof(*p.grant)) &&
	   !memcmp(p.invitation, again.invitation, sizeof(*p.invitation)),
	   "the same");
	free(text);
	peers_free(&p);
	peers_free(&again);
}

static void test_bad_files(void)
{
	static const char *const bad[] = {
		"", "{", "[]", "{}", "{\"version\": 1}",
		"{\"version\": 1, \"peers\": {}, \"grants\": [], \"invitations\": []}",
		"{\"version\": 2, \"peers\": [], \"grants\": [], \"invitations\": []}",
		"{\"version\": 1, \"peers\": [], \"grants\": [], \"invitations\": [], \"x\": 1}",
		FILE_OF(PEER ", " PEER, "", ""),
		FILE_OF("", GRANT, ""),
		FILE_OF(PEER, GRANT ", " GRANT, ""),
		FILE_OF("", "", INVITATION ", " INVITATION),
		FILE_OF("1", "", ""), FILE_OF("", "null", ""),
		FILE_OF("{\"name\": \"h/x\", \"fingerprint\": \"" FP "\", \"since\": 1, \"seen\": 2}", "", ""),
		FILE_OF("{\"name\": \"\", \"fingerprint\": \"" FP "\", \"since\": 1, \"seen\": 2}", "", ""),
		FILE_OF("{\"name\": \"h\", \"fingerprint\": \"" FP "0\", \"since\": 1, \"seen\": 2}", "", ""),
		FILE_OF("{\"name\": \"h\", \"fingerprint\": \"0\", \"since\": 1, \"seen\": 2}", "", ""),
		FILE_OF("{\"name\": \"h\", \"fingerprint\": \"" FP "\", \"since\": -1, \"seen\": 2}", "", ""),
		FILE_OF("{\"name\": \"h\", \"fingerprint\": \"" FP "\", \"since\": 1}", "", ""),
		FILE_OF(PEER, "{\"peer\": \"" FP "\", \"fileset\": \"../t\", \"rights\": \"ro\", \"since\": 3, \"revoked\": 0}", ""),
		FILE_OF(PEER, "{\"peer\": \"" FP "\", \"fileset\": \"t\", \"rights\": \"rw\", \"since\": 3, \"revoked\": 0}", ""),
		FILE_OF("", "", "{\"secret_sha256\": \"" FP "\", \"fileset\": \"t\", \"rights\": \"ro\", \"made\": 4, \"expires\": \"never\", \"used\": 6}"),
	};
	char err[256];
	struct peers p;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err[0] = '\0';
		is(peers_parse(bad[i], strlen(bad[i]), &p, err, sizeof(err)),
		   -EINVAL, "refused: %s", err);
		ok(err[0] && !p.peer && !p.grant && !p.invitation,
		   "with a reason, and nothing of it is taken");
	}
}

int main(void)
{
	char host[ADDRESS_HOST_MAX + 1], name[IM_FSNAME_LEN + 1];

	rnd_seed(1);
	round_trip("data", "server.example", 7071);
	round_trip("d", "h", 1);
	round_trip("a.b_c-d", "2001:db8::1", 65535);
	memset(host, 'h', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	round_trip(name, host, 7071);
	test_slips();
	test_nonsense();
	test_file();
	test_bad_files();
	return tap_done();
}
