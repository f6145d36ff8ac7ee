// SPDX-License-Identifier: GPL-2.0
/* KML records for people and as JSON. They were checked by im_rec_check(). */
#include "ctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#define RANGES_SHOWN 3

static const struct {
	u32 bit;
	const char *name;
} flag_names[] = {
	{ IM_RF_EXCHANGE,	"exchange" },
	{ IM_RF_WHITEOUT,	"whiteout" },
	{ IM_RF_FIRST,		"first-name" },
	{ IM_RF_LAST,		"last-name" },
	{ IM_RF_UNKNOWN,	"unknown" },
	{ IM_RF_STILL,		"still-open" },
	{ IM_RF_RECOVERED,	"recovered" },
	{ IM_RF_FINAL,		"final" },
	{ IM_RF_CLEAN,		"clean" },
	{ IM_RF_ATTRS,		"attributes" },
}, valid_names[] = {
	{ IM_AV_MODE,	"mode" },
	{ IM_AV_UID,	"uid" },
	{ IM_AV_GID,	"gid" },
	{ IM_AV_MTIME,	"mtime" },
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void print_fid(FILE *out, const struct im_fid *fid)
{
	fprintf(out, "%" PRIu64 ".%u", le64_to_cpu(fid->ino),
		le32_to_cpu(fid->gen));
}

/* "name" in 12.0 */
static void print_entry(FILE *out, const char *name, size_t len,
			const struct im_fid *dir)
{
	print_quoted(out, name, len);
	fputs(" in ", out);
	print_fid(out, dir);
}

static void print_owner(FILE *out, const struct im_rec *rec)
{
	fprintf(out, " mode %04o owner %u:%u", le32_to_cpu(rec->mode) & 07777,
		le32_to_cpu(rec->uid), le32_to_cpu(rec->gid));
}

static void print_node(FILE *out, const struct im_rec *rec)
{
	u64 rdev = le64_to_cpu(rec->rdev);

	switch (le32_to_cpu(rec->mode) & S_IFMT) {
	case S_IFCHR:
	case S_IFBLK:
		fprintf(out, " %s device %u:%u",
			S_ISCHR(le32_to_cpu(rec->mode)) ? "character" : "block",
			(u32)(rdev >> 32), (u32)rdev);
		break;
	case S_IFIFO:
		fputs(" fifo", out);
		break;
	case S_IFSOCK:
		fputs(" socket", out);
		break;
	}
}

static void print_rename(FILE *out, const struct im_rec *rec,
			 const struct im_body *body)
{
	print_entry(out, body->name, body->name_len, &rec->dir);
	fputs(le32_to_cpu(rec->flags) & IM_RF_EXCHANGE ? " <-> " : " -> ", out);
	print_entry(out, body->name2, body->name2_len, &rec->dir2);
	if (!im_fid_none(&rec->old)) {
		fputs(le32_to_cpu(rec->flags) & IM_RF_EXCHANGE ? ", which was " :
								 " over ", out);
		print_fid(out, &rec->old);
	}
}

static void print_setattr(FILE *out, const struct im_rec *rec)
{
	u32 valid = le32_to_cpu(rec->valid);

	if (valid & IM_AV_MODE)
		fprintf(out, " mode %04o", le32_to_cpu(rec->mode) & 07777);
	if (valid & IM_AV_UID)
		fprintf(out, " uid %u", le32_to_cpu(rec->uid));
	if (valid & IM_AV_GID)
		fprintf(out, " gid %u", le32_to_cpu(rec->gid));
	if (valid & IM_AV_MTIME) {
		fputs(" mtime ", out);
		print_time(out, (s64)le64_to_cpu(rec->mtime) * 1000000000 +
				le32_to_cpu(rec->mtime_ns));
	}
}

static void range_get(const struct im_body *body, size_t i,
		      struct im_range *range)
{
	/* it need not be aligned */
	memcpy(range, (const char *)body->data + i * sizeof(*range),
	       sizeof(*range));
}

static void print_data(FILE *out, const struct im_rec *rec,
		       const struct im_body *body)
{
	size_t count = body->data_len / sizeof(struct im_range);
	struct im_range range;
	u64 bytes = 0;
	size_t i;

	if (le32_to_cpu(rec->flags) & IM_RF_ATTRS)
		print_owner(out, rec);
	fprintf(out, " size %" PRIu64, le64_to_cpu(rec->size));
	if (le64_to_cpu(rec->trunc) < le64_to_cpu(rec->size))
		fprintf(out, " cut to %" PRIu64, le64_to_cpu(rec->trunc));
	if (le32_to_cpu(rec->flags) & IM_RF_UNKNOWN) {
		fputs(" changed anywhere", out);
		return;
	}
	for (i = 0; i < count; i++) {
		range_get(body, i, &range);
		bytes += le64_to_cpu(range.len);
	}
	fprintf(out, " changed %" PRIu64 " bytes", bytes);
	for (i = 0; i < count && i < RANGES_SHOWN; i++) {
		range_get(body, i, &range);
		fprintf(out, "%s%" PRIu64 "+%" PRIu64, i ? "," : " at ",
			le64_to_cpu(range.off), le64_to_cpu(range.len));
	}
	if (count > RANGES_SHOWN)
		fprintf(out, " and %zu more ranges", count - RANGES_SHOWN);
}

static void print_what(FILE *out, const struct im_rec *rec,
		       const struct im_body *body)
{
	unsigned int op = le16_to_cpu(rec->op);

	if (op == IM_OP_CHECKPOINT) {
		fprintf(out, "recovery starts at %" PRIu64,
			le64_to_cpu(rec->scan_from));
		return;
	}
	if (op == IM_OP_MARK)
		return;
	print_fid(out, &rec->fid);
	if (op != IM_OP_SETATTR && op != IM_OP_DIRTY && !im_op_is_data(op))
		fputc(' ', out);
	switch (op) {
	case IM_OP_CREATE:
	case IM_OP_MKDIR:
	case IM_OP_MKNOD:
		print_entry(out, body->name, body->name_len, &rec->dir);
		if (op == IM_OP_MKNOD)
			print_node(out, rec);
		print_owner(out, rec);
		break;
	case IM_OP_SYMLINK:
		print_entry(out, body->name, body->name_len, &rec->dir);
		fputs(" to ", out);
		print_quoted(out, body->data, body->data_len);
		break;
	case IM_OP_LINK:
	case IM_OP_UNLINK:
	case IM_OP_RMDIR:
		print_entry(out, body->name, body->name_len, &rec->dir);
		break;
	case IM_OP_RENAME:
		print_rename(out, rec, body);
		break;
	case IM_OP_SETATTR:
		print_setattr(out, rec);
		break;
	case IM_OP_SETXATTR:
		print_quoted(out, body->name, body->name_len);
		fprintf(out, " %u bytes", body->data_len);
		break;
	case IM_OP_REMOVEXATTR:
		print_quoted(out, body->name, body->name_len);
		break;
	case IM_OP_CLOSE:
	case IM_OP_SYNC:
		print_data(out, rec, body);
		break;
	}
}

void record_print(FILE *out, const struct im_rec *rec,
		  const struct im_body *body)
{
	u32 flags = le32_to_cpu(rec->flags);
	size_t i;

	fprintf(out, "%8" PRIu64 " ", le64_to_cpu(rec->recno));
	print_time(out, (s64)le64_to_cpu(rec->time));
	fprintf(out, " %-11s ", im_op_name(le16_to_cpu(rec->op)));
	print_what(out, rec, body);
	if (rec->state == IM_RS_ABORTED)
		fputs(" (aborted: it did not happen)", out);
	for (i = 0; i < COUNT(flag_names); i++)
		if (flags & flag_names[i].bit &
		    (IM_RF_LAST | IM_RF_FIRST | IM_RF_WHITEOUT | IM_RF_STILL |
		     IM_RF_RECOVERED | IM_RF_CLEAN))
			fprintf(out, " (%s)", flag_names[i].name);
	if (le64_to_cpu(rec->origin)) {
		fprintf(out, " from %016" PRIx64 ":%" PRIu64,
			le64_to_cpu(rec->origin),
			le64_to_cpu(rec->origin_recno));
		if (!(flags & IM_RF_FINAL))
			fputs(" (in part)", out);
	}
	fputc('\n', out);
}

static void put_int(json_t *o, const char *key, u64 value)
{
	json_object_set_new(o, key, json_integer((json_int_t)value));
}

static void put_fid(json_t *o, const char *key, const struct im_fid *fid)
{
	if (!im_fid_none(fid))
		json_object_set_new(o, key, json_sprintf(
			"%" PRIu64 ".%u", le64_to_cpu(fid->ino),
			le32_to_cpu(fid->gen)));
}

static void put_id(json_t *o, const char *key, u64 id)
{
	json_object_set_new(o, key, json_sprintf("%016" PRIx64, id));
}

static json_t *json_flags(u32 flags)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < COUNT(flag_names); i++)
		if (flags & flag_names[i].bit)
			json_array_append_new(array,
					      json_string(flag_names[i].name));
	return array;
}

static json_t *json_valid(u32 valid)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < COUNT(valid_names); i++)
		if (valid & valid_names[i].bit)
			json_array_append_new(array,
					      json_string(valid_names[i].name));
	return array;
}

static json_t *json_ranges(const struct im_body *body)
{
	size_t count = body->data_len / sizeof(struct im_range);
	json_t *array = json_array();
	struct im_range range;
	size_t i;

	for (i = 0; i < count; i++) {
		range_get(body, i, &range);
		json_array_append_new(array, json_pack(
			"[I, I]", (json_int_t)le64_to_cpu(range.off),
			(json_int_t)le64_to_cpu(range.len)));
	}
	return array;
}

json_t *record_json(const struct im_rec *rec, const struct im_body *body)
{
	static const char *const states[] = { "?", "intent", "done",
					      "aborted" };
	unsigned int op = le16_to_cpu(rec->op);
	json_t *o = json_object();

	put_int(o, "recno", le64_to_cpu(rec->recno));
	put_int(o, "time_ns", le64_to_cpu(rec->time));
	json_object_set_new(o, "op", json_string(im_op_name(op)));
	json_object_set_new(o, "state", json_string(
		rec->state < COUNT(states) ? states[rec->state] : "?"));
	json_object_set_new(o, "flags", json_flags(le32_to_cpu(rec->flags)));
	put_fid(o, "fid", &rec->fid);
	put_fid(o, "dir", &rec->dir);
	put_fid(o, "dir2", &rec->dir2);
	put_fid(o, "old", &rec->old);
	if (body->name_len)
		json_put_bytes(o, "name", body->name, body->name_len);
	if (body->name2_len)
		json_put_bytes(o, "name2", body->name2, body->name2_len);
	if (op == IM_OP_SYMLINK)
		json_put_bytes(o, "target", body->data, body->data_len);
	if (op == IM_OP_SETXATTR)
		json_put_bytes(o, "value", body->data ? body->data : "",
			       body->data_len);
	if (im_op_is_data(op))
		json_object_set_new(o, "ranges", json_ranges(body));
	put_int(o, "mode", le32_to_cpu(rec->mode));
	put_int(o, "uid", le32_to_cpu(rec->uid));
	put_int(o, "gid", le32_to_cpu(rec->gid));
	put_int(o, "nlink", le32_to_cpu(rec->nlink));
	put_int(o, "rdev_major", le64_to_cpu(rec->rdev) >> 32);
	put_int(o, "rdev_minor", le64_to_cpu(rec->rdev) & 0xffffffff);
	put_int(o, "size", le64_to_cpu(rec->size));
	put_int(o, "trunc", le64_to_cpu(rec->trunc));
	put_int(o, "mtime", le64_to_cpu(rec->mtime));
	put_int(o, "mtime_ns", le32_to_cpu(rec->mtime_ns));
	put_int(o, "dir_mtime", le64_to_cpu(rec->dir_mtime));
	put_int(o, "dir_mtime_ns", le32_to_cpu(rec->dir_mtime_ns));
	put_int(o, "dir2_mtime", le64_to_cpu(rec->dir2_mtime));
	put_int(o, "dir2_mtime_ns", le32_to_cpu(rec->dir2_mtime_ns));
	json_object_set_new(o, "valid", json_valid(le32_to_cpu(rec->valid)));
	if (le64_to_cpu(rec->origin)) {
		put_id(o, "origin", le64_to_cpu(rec->origin));
		put_int(o, "origin_recno", le64_to_cpu(rec->origin_recno));
		put_int(o, "origin_low", le64_to_cpu(rec->origin_low));
		put_fid(o, "origin_fid", &rec->origin_fid);
		put_int(o, "origin_version", le64_to_cpu(rec->origin_version));
	}
	put_int(o, "seg", le64_to_cpu(rec->seg));
	put_int(o, "scan_from", le64_to_cpu(rec->scan_from));
	put_int(o, "len", le32_to_cpu(rec->len));
	return o;
}
