// SPDX-License-Identifier: GPL-2.0
/*
 * Nothing of a request is believed before it is checked: paths and parameters
 * by the parsers here, items by common/wire.c, signatures by blocks.c, FIDs
 * and names by fid.c. What a body needs in memory is reserved by its announced
 * length, from a sum for all connections together; so a body without a length
 * is refused. That also leaves proxies nothing to disagree about.
 */
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include "common/want.h"
#include "digest.h"
#include "peers.h"
#include "shelf.h"

#define REQUEST_BYTES	(768ULL << 20)	/* all bodies under way */
#define CTL_BODY_MAX	(1U << 20)
#define HEAD_MAX	(8U << 10)	/* fields of a head; ours have some 300 */
#define DRAIN_MAX	(1U << 20)	/* a refused body that is read to its end */

static atomic_ullong request_bytes;

struct verb {
	const char *name;
	const char *method;
	u64 body_max;			/* 0: none */
	bool fid;			/* is needed */
	bool block;
	bool from, to;
	void (*run)(struct request *r);
};

__attribute__((format(printf, 3, 4)))
static void request_fail(struct request *r, unsigned int status,
			 const char *fmt, ...)
{
	va_list ap;

	if (r->status)
		return;		/* the first error is the cause */
	r->status = status;
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
}

static void request_errno(struct request *r, int err, const char *what)
{
	if (err == -ENOMEM)
		request_fail(r, 503, "out of memory, try again later");
	else
		request_fail(r, 500, "%s of fileset '%s': %s", what,
			     r->f->name, strerror(-err));
}

/* Parameters */

static bool param_u64(const char *text, u64 *value)
{
	u64 v = 0;

	if (!text || !*text)
		return false;
	for (; *text; text++) {
		unsigned int digit = (unsigned int)(*text - '0');

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}

static bool param_fid(const char *text, struct im_fid *fid)
{
	char buf[40];
	u64 ino, gen;
	char *dot;

	if (!text || strlen(text) >= sizeof(buf))
		return false;
	strcpy(buf, text);
	dot = strchr(buf, '.');
	if (!dot)
		return false;
	*dot = '\0';
	if (!param_u64(buf, &ino) || !param_u64(dot + 1, &gen) || !ino ||
	    gen > UINT32_MAX)
		return false;
	fid->ino = cpu_to_le64(ino);
	fid->gen = cpu_to_le32(gen);
	fid->zero = 0;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* 16 digits, not all 0. */
static bool param_client(const char *text, u64 *client)
{
	int digit, n;

	*client = 0;
	for (n = 0; text[n]; n++) {
		digit = hex_digit(text[n]);
		if (digit < 0 || n == 16)
			return false;
		*client = *client << 4 | (unsigned int)digit;
	}
	return n == 16 && *client;
}

static bool param_name(const char *text, char name[IM_NAME_LEN + 1])
{
	size_t len = text ? strlen(text) : 0, i;
	int hi, lo;

	if (len % 2 || len / 2 > IM_NAME_LEN)
		return false;
	for (i = 0; i < len / 2; i++) {
		hi = hex_digit(text[2 * i]);
		lo = hex_digit(text[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		name[i] = (char)(hi << 4 | lo);
	}
	name[i] = '\0';
	return im_name_ok(name, i);
}

static const char *param(struct request *r, const char *name)
{
	return MHD_lookup_connection_value(r->mhd, MHD_GET_ARGUMENT_KIND, name);
}

static void request_params(struct request *r)
{
	const char *text;
	u64 n;

	if (!param_u64(param(r, "inc"), &n)) {
		request_fail(r, 400, "inc must be the fileset's incarnation");
		return;
	}
	if (n != r->f->info.incarnation) {
		request_fail(r, 409, "fileset '%s' has incarnation %llu now; resynchronise",
			     r->f->name,
			     (unsigned long long)r->f->info.incarnation);
		return;
	}
	if (r->verb->from && !param_u64(param(r, "from"), &r->from))
		request_fail(r, 400, "from must be a record number");
	if (r->verb->to && !param_u64(param(r, "to"), &r->to))
		request_fail(r, 400, "to must be a record number");
	text = param(r, "fid");
	r->has_fid = text;
	if (text ? !param_fid(text, &r->fid) : r->verb->fid)
		request_fail(r, 400, "fid must be INO.GEN");
	text = param(r, "epoch");
	r->has_epoch = text;
	if (text && (!param_u64(text, &r->epoch) ||
		     (!r->verb->to && !param_u64(param(r, "seen"), &r->seen))))
		request_fail(r, 400, "seen must be a record number, epoch a number");
	text = param(r, "recno");
	if (text && !param_u64(text, &r->hint.recno))
		request_fail(r, 400, "recno must be a record number");
	if (r->verb->fid && r->has_epoch && r->seen != r->hint.recno)
		request_fail(r, 400, "seen must be recno");
	text = param(r, "dir");
	if (text && (!param_fid(text, &r->hint.dir) ||
		     !param_name(param(r, "name"), r->hint.name)))
		request_fail(r, 400,
			     "dir and name must be INO.GEN and a name in lower-case hex");
	if (r->verb->block) {
		if (!param_u64(param(r, "block"), &n) || n < BLOCK_MIN ||
		    n > BLOCK_MAX)
			request_fail(r, 400, "block must be from %u to %u",
				     BLOCK_MIN, BLOCK_MAX);
		else
			r->block = n;
	}
}

/* Verbs */

static void run_answer(struct request *r, struct answer *a)
{
	if (!a) {
		request_fail(r, 503, "out of memory, try again later");
		return;
	}
	r->answer = a;
	r->status = 200;
}

static void run_info(struct request *r)
{
	int err = export_info(r->f, &r->info);

	if (err)
		request_errno(r, err, "cannot ask the log");
	else
		r->status = 200;
}

/* Is this log the one that the client's records came from? */
static bool run_lineage_ok(struct request *r)
{
	int err = r->has_epoch ? kml_lineage(r->f, r->seen, r->epoch) : 0;

	if (err == -ESTALE)
		request_fail(r, 410, "record %llu of '%s' is not the one that you have: this is a copy, or was restored from a backup; resynchronise",
			     (unsigned long long)r->seen, r->f->name);
	else if (err)
		request_errno(r, err, "cannot ask the log");
	return !err;
}

/* One answer for all who ask `asked` because of record `seen`. */
static void run_shared(struct request *r, u64 seen, const char *asked)
{
	r->shared = true;
	r->about.incarnation = cpu_to_le64(r->f->info.incarnation);
	r->about.seen = cpu_to_le64(seen);
	r->about.epoch = cpu_to_le64(r->epoch);
	r->about.asked = cpu_to_le64(im_want_hash(asked));
}

/* The same when all that is logged by now is durable. */
static void run_now(struct request *r)
{
	int err;

	if (!run_lineage_ok(r))
		return;
	err = kml_settle(r->f, &r->conn->stop);
	if (err)
		request_errno(r, err, "cannot settle the log");
	else
		run_info(r);
}

static void run_kml(struct request *r)
{
	const char *text = param(r, "riders");
	struct answer *a;
	u64 riders = 0;
	int err = 0;

	if (text && (!param_u64(text, &riders) || riders > IM_WIRE_RIDERS)) {
		request_fail(r, 400, "riders must be at most %u bytes",
			     IM_WIRE_RIDERS);
		return;
	}
	if (!run_lineage_ok(r))
		return;
	a = kml_answer(r->f, r->from, riders, &err);
	if (a)
		run_answer(r, a);
	else if (err == -ESTALE || err == -EBADMSG || err == -EINVAL)
		request_fail(r, 410, "record %llu is not in the log of '%s'; resynchronise",
			     (unsigned long long)r->from, r->f->name);
	else
		request_errno(r, err, "cannot open the log");
}

static void run_part(struct request *r)
{
	struct answer *a;
	char asked[48];
	int err;

	a = kml_part_answer(r->f, r->from, r->to, r->epoch, &err);
	if (!a && err == -ESTALE) {
		request_fail(r, 410, "no such part of the log of '%s'",
			     r->f->name);
		return;
	}
	if (!a) {
		request_errno(r, err, "cannot open the log");
		return;
	}
	snprintf(asked, sizeof(asked), "%llu-%llu", (unsigned long long)r->from,
		 (unsigned long long)r->to);
	run_shared(r, r->to, asked);
	run_answer(r, a);
}

static void run_snapshot(struct request *r)
{
	if (run_lineage_ok(r))
		run_answer(r, snapshot_answer(r->has_fid ? &r->fid : NULL));
}

static bool run_items_ok(struct request *r)
{
	if (export_items_ok(&r->body))
		return true;
	request_fail(r, 400, "the body must be 1 to %d valid items",
		     IM_WIRE_GETS);
	return false;
}

static void run_stat(struct request *r)
{
	if (run_items_ok(r))
		run_answer(r, stat_answer(&r->body));
}

static void run_data(struct request *r)
{
	if (run_items_ok(r))
		run_answer(r, data_answer(&r->body));
}

/* The highest record of the items. */
static u64 run_newest(const struct im_buf *items)
{
	struct im_wire_get get;
	const char *name;
	u64 newest = 0;
	ssize_t n;
	size_t at;

	for (at = 0; at < items->len; at += n) {
		n = im_get_get(items->p + at, items->len - at, &get, &name);
		if (n < 0)
			break;
		if (le64_to_cpu(get.recno) > newest)
			newest = le64_to_cpu(get.recno);
	}
	return newest;
}

static void run_piece(struct request *r)
{
	const char *want = param(r, "want");

	if (!want || im_want_items(want, &r->body)) {
		request_fail(r, 400, "want must be 1 to %d items in their shortest form",
			     IM_WIRE_GETS);
		return;
	}
	if (!r->has_epoch || r->seen != run_newest(&r->body)) {
		request_fail(r, 400, "seen must be the newest record of want, with its epoch");
		return;
	}
	if (!run_lineage_ok(r))
		return;
	run_shared(r, r->seen, want);
	run_answer(r, data_answer(&r->body));
}

static void run_digest(struct request *r)
{
	const char *text = param(r, "rate");
	struct answer *a;
	u64 rate = 0;
	int err;

	if (!run_lineage_ok(r))
		return;
	if (text && !param_u64(text, &rate)) {
		request_fail(r, 400, "rate must be bytes per second");
		return;
	}
	if (!digests_items_ok(&r->body)) {
		request_fail(r, 400, "the body must be 1 to %d valid items",
			     IM_WIRE_ASKS);
		return;
	}
	a = digests_answer(r->f, &r->body, rate, &err);
	if (!a && err)
		request_fail(r, 503, "%d others compare with '%s' just now, try again later",
			     IM_WIRE_DIGESTS, r->f->name);
	else
		run_answer(r, a);
}

/*
 * From the shelf. Who does not say which history his record is of gets it as it
 * is now: for him the log may not be what repairs it.
 */
static void run_shelf(struct request *r, u32 type, const u64 *sig,
		      struct answer *maker)
{
	const struct shelf_key key = {
		.f = r->f,
		.fid = r->fid,
		.type = type,
		.block = r->block,
		.sig = { sig ? sig[0] : 0, sig ? sig[1] : 0 },
	};

	run_answer(r, shelf_answer(&key, r->has_epoch ? r->hint.recno : 0,
				   maker));
}

static void run_sums(struct request *r)
{
	char asked[80];

	if (!run_lineage_ok(r))
		return;
	if (r->has_epoch) {
		snprintf(asked, sizeof(asked), "%s.%llu.%u", param(r, "fid"),
			 (unsigned long long)r->seen, r->block);
		run_shared(r, r->seen, asked);
	}
	run_shelf(r, IM_FR_SUMS, NULL,
		  sums_answer(&r->fid, &r->hint, r->block));
}

static void run_sig(struct request *r)
{
	if (run_lineage_ok(r))
		run_shelf(r, IM_FR_SIG, NULL,
			  sig_answer(&r->fid, &r->hint, r->block));
}

static void run_delta(struct request *r)
{
	struct answer *a;
	u64 hash[2];

	if (!r->sig || sigload_end(r->sig)) {
		request_fail(r, 400, "the body must be a whole librsync signature (BLAKE2)");
		return;
	}
	if (!run_lineage_ok(r))
		return;
	sigload_hash(r->sig, hash);
	a = delta_answer(&r->fid, &r->hint, r->sig);
	if (a)
		r->sig = NULL;
	run_shelf(r, IM_FR_DELTA, hash, a);
}

/* Runs without a fileset, too: whether there is one is a secret until then. */
static void run_redeem(struct request *r)
{
	char name[IM_FSNAME_LEN + 1];
	const char *p = r->url + strlen(IM_WIRE_PREFIX);
	unsigned int status;
	char text[sizeof(r->text)];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, "/"), p);
	status = redeem(r->conn, name, r->f, r->body.p, r->body.len, text,
			sizeof(text));
	if (status != 200) {
		request_fail(r, status, "%s", text);
		return;
	}
	conn_trust(r->conn, true);
	run_info(r);
}

static const struct verb verbs[] = {
	{ .name = "redeem", .method = "POST", .run = run_redeem,
	  .body_max = sizeof(struct im_wire_redeem) },
	{ .name = "info", .method = "GET", .run = run_info },
	{ .name = "now", .method = "GET", .run = run_now },
	{ .name = "kml", .method = "GET", .run = run_kml, .from = true },
	{ .name = "part", .method = "GET", .run = run_part, .from = true,
	  .to = true },
	{ .name = "snapshot", .method = "GET", .run = run_snapshot },
	{ .name = "stat", .method = "POST", .run = run_stat,
	  .body_max = IM_WIRE_BODY_MAX },
	{ .name = "data", .method = "POST", .run = run_data,
	  .body_max = IM_WIRE_BODY_MAX },
	{ .name = "piece", .method = "GET", .run = run_piece },
	{ .name = "digest", .method = "POST", .run = run_digest,
	  .body_max = IM_WIRE_BODY_MAX },
	{ .name = "delta", .method = "POST", .run = run_delta, .fid = true,
	  .body_max = IM_WIRE_SIG_MAX },
	{ .name = "sums", .method = "GET", .run = run_sums, .fid = true,
	  .block = true },
	{ .name = "sig", .method = "GET", .run = run_sig, .fid = true,
	  .block = true },
};

/* Head */

static bool request_is_ctl(const struct request *r)
{
	return !strncmp(r->url, "/ctl/", 5);
}

/* "/im/1/NAME/VERB"; name is "" if it is not one. */
static void request_path(struct request *r, char name[IM_FSNAME_LEN + 1])
{
	const char *p = r->url, *slash;
	size_t i;

	name[0] = '\0';
	if (strncmp(p, IM_WIRE_PREFIX, strlen(IM_WIRE_PREFIX))) {
		request_fail(r, 404, "no such path; this is intersyncd, wire version %d",
			     IM_WIRE_VERSION);
		return;
	}
	p += strlen(IM_WIRE_PREFIX);
	slash = strchr(p, '/');
	if (!slash || slash - p > IM_FSNAME_LEN) {
		request_fail(r, 404, "no such path");
		return;
	}
	memcpy(name, p, slash - p);
	name[slash - p] = '\0';
	if (im_fsname_check(name)) {
		name[0] = '\0';
		request_fail(r, 404, "not the name of a fileset");
		return;
	}
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!strcmp(slash + 1, verbs[i].name))
			r->verb = &verbs[i];
	}
	if (!r->verb)
		request_fail(r, 404, "no such request");
	else if (strcmp(r->method, r->verb->method))
		request_fail(r, 405, "'%s' is a %s request", r->verb->name,
			     r->verb->method);
}

/* Over TLS: may this client? It learns nothing else here if it may not. */
static bool request_access(struct request *r, const char *name)
{
	int err = r->conn->named ? peers_access(r->conn->fp, name) : -ENOKEY;

	conn_trust(r->conn, !err);
	if (!err)
		return true;
	r->status = 0;
	switch (err) {
	case -ENOKEY:
		request_fail(r, 403, "a client must show a certificate here");
		break;
	case -EKEYREVOKED:
		request_fail(r, 403, "access was revoked by the server");
		break;
	case -EACCES:
		request_fail(r, 403, "this machine has no access to fileset '%s'; ask for an invitation",
			     name);
		break;
	default:
		request_fail(r, 403, "this machine is not known here; ask for an invitation");
	}
	return false;
}

static void request_route(struct request *r)
{
	char name[IM_FSNAME_LEN + 1];
	bool stranger;

	request_path(r, name);
	if (*name)
		r->f = fset_find(name);
	/*
	 * First the fileset, then the right to it: who takes that away does it
	 * first and then looks for connections that use the fileset.
	 */
	if (r->f)
		conn_fset(r->conn, r->f);
	stranger = r->verb && r->verb->run == run_redeem;
	if (r->conn->tls && !stranger && !request_access(r, name)) {
		conn_fset(r->conn, NULL);
		if (r->f)
			fset_put(r->f);
		r->f = NULL;
		return;
	}
	if (r->status || (stranger && !r->f))
		return;
	if (!r->f) {
		request_fail(r, 404, "no fileset '%s' here", name);
		return;
	}
	if (atomic_load(&r->f->stop)) {
		request_fail(r, 503, "fileset '%s' is being taken down", name);
		return;
	}
	if (r->verb->run != run_info && !stranger)
		request_params(r);
}

struct lengths {
	const char *value;
	unsigned int count;
	size_t bytes;			/* of all fields */
};

static enum MHD_Result request_length(void *cls, enum MHD_ValueKind kind,
				      const char *key, const char *value)
{
	struct lengths *l = cls;

	l->bytes += strlen(key) + (value ? strlen(value) : 0);
	if (!strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
		l->value = value;
		l->count++;
	}
	return MHD_YES;
}

static void request_announced(struct request *r)
{
	struct lengths l = { 0 };
	u64 max = r->verb ? r->verb->body_max : 0;

	if (request_is_ctl(r))
		max = CTL_BODY_MAX;
	if (MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND,
					MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
		request_fail(r, 400, "a request body needs a Content-Length");
		r->urgent = true;
		return;
	}
	MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, request_length, &l);
	if (l.bytes + strlen(r->url) > HEAD_MAX) {
		request_fail(r, 431, "at most %u bytes of head are taken here",
			     HEAD_MAX);
		r->urgent = true;
		return;
	}
	if (!l.count)
		return;
	if (l.count > 1 || !param_u64(l.value, &r->length)) {
		request_fail(r, 400, "bad Content-Length");
		r->urgent = true;
		return;
	}
	if (r->status) {	/* refused already */
		r->urgent = r->length > DRAIN_MAX;
		return;
	}
	if (r->length > max) {
		request_fail(r, 413, "at most %llu bytes of body are taken here",
			     (unsigned long long)max);
		r->urgent = r->length > DRAIN_MAX;
		return;
	}
	r->reserved = r->length;
	if (atomic_fetch_add(&request_bytes, r->length) + r->length >
	    REQUEST_BYTES || !conn_reserve(r->conn, r->length)) {
		request_fail(r, 503, "too many large requests, try again later");
		r->urgent = r->length > DRAIN_MAX;
	}
}

static void request_rate(struct request *r)
{
	const char *text = MHD_lookup_connection_value(
		r->mhd, MHD_HEADER_KIND, "X-InterMezzo-Rate");
	char number[24];
	u64 rate, client = 0;
	size_t n;

	if (!text || !r->f || r->status)
		return;
	n = strcspn(text, " ");
	snprintf(number, sizeof(number), "%.*s", (int)n, text);
	if (n >= sizeof(number) || !param_u64(number, &rate) ||
	    (text[n] && !param_client(text + n + 1, &client))) {
		request_fail(r, 400, "X-InterMezzo-Rate must be bytes per second, and 16 hex digits that tell who you are");
		return;
	}
	r->rate = rate_get(r->conn, r->f, rate, client);
}

struct request *request_new(struct conn *c, struct MHD_Connection *mhd,
			    const char *url, const char *method)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->conn = c;
	r->mhd = mhd;
	r->url = url;
	r->method = method;
	if (c->over)
		request_fail(r, 503, "too many connections, try again later");
	else if (!request_is_ctl(r))
		request_route(r);
	else if (!c->local || c->uid)
		request_fail(r, 403, "only root may do this, on the unix socket");
	request_announced(r);
	request_rate(r);
	if (!r->status && r->verb && r->verb->fid && r->verb->body_max) {
		r->sig = sigload_new();
		if (!r->sig)
			request_fail(r, 503, "out of memory, try again later");
	}
	return r;
}

void request_body(struct request *r, const void *p, size_t len)
{
	int err;

	if (r->status)
		return;		/* refused: only read on to its end */
	if (r->sig) {
		err = sigload_feed(r->sig, p, len);
		if (err == -ENOMEM)
			request_fail(r, 503, "out of memory, try again later");
		else if (err)
			request_fail(r, 400, "the body is not a librsync signature (BLAKE2) with sane lengths");
		return;
	}
	if (r->body.len + len > r->length) {
		request_fail(r, 400, "the body is longer than announced");
		return;
	}
	im_buf_put(&r->body, p, len);
	if (r->body.err)
		request_fail(r, 503, "out of memory, try again later");
}

void request_done(struct request *r)
{
	if (r->status)
		return;
	if (request_is_ctl(r)) {
		im_buf_put(&r->body, "", 1);
		if (r->body.err)
			request_fail(r, 503, "out of memory, try again later");
		else
			r->status = control_handle(r->method, r->url,
						   (char *)r->body.p,
						   r->body.len - 1, &r->json);
		return;
	}
	r->verb->run(r);
}

void request_free(struct request *r)
{
	if (r->answer)
		answer_free(r->answer);
	sigload_free(r->sig);
	im_buf_free(&r->body);
	if (r->reserved) {
		conn_reserve(r->conn, 0);
		atomic_fetch_sub(&request_bytes, r->reserved);
	}
	json_decref(r->json);
	rate_put(r->rate);
	if (r->f) {
		conn_fset(r->conn, NULL);
		fset_put(r->f);
	}
	free(r);
}
