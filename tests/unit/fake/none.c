// SPDX-License-Identifier: GPL-2.0
/*
 * What syncd/verify.c and syncd/suspect.c call elsewhere and a fuzzer of their
 * frames never gets to: to be called is to fail.
 */
#include <stdlib.h>

#define NONE(name)	void name(void); void name(void) { abort(); }

NONE(bucket_wait)
NONE(client_run)
NONE(digest_begin)
NONE(digest_end)
NONE(digest_step)
NONE(digest_xattrs)
NONE(fetch_stat)
NONE(fid_of)
NONE(fid_open_known)
NONE(graft_picked)
NONE(http_info)
NONE(http_now)
NONE(object_put)
NONE(shape_attrs)
NONE(shape_from_obj)
NONE(shape_xattrs)
NONE(tree_find)
NONE(tree_origin)
NONE(tree_replay_open)
NONE(tree_tag_plain)
NONE(verify_report)

extern const char TREE_LIMBO[16];
const char TREE_LIMBO[16];
