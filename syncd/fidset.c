// SPDX-License-Identifier: GPL-2.0
#include "fidset.h"

#include <stdlib.h>

static size_t fidset_slot(const struct fidset *s, const struct im_fid *fid)
{
	u64 h = (le64_to_cpu(fid->ino) ^ (u64)le32_to_cpu(fid->gen) << 32) *
		0x9e3779b97f4a7c15ULL;
	size_t i = (h >> 20) & (s->room - 1);

	while (!im_fid_none(&s->v[i]) && !im_fid_eq(&s->v[i], fid))
		i = (i + 1) & (s->room - 1);
	return i;
}

static int fidset_grow(struct fidset *s)
{
	struct fidset big = { .room = s->room ? s->room * 2 : 64 };
	size_t i;

	big.v = calloc(big.room, sizeof(*big.v));
	if (!big.v)
		return -ENOMEM;
	for (i = 0; i < s->room; i++) {
		if (!im_fid_none(&s->v[i]))
			big.v[fidset_slot(&big, &s->v[i])] = s->v[i];
	}
	big.n = s->n;
	free(s->v);
	*s = big;
	return 0;
}

int fidset_add(struct fidset *s, const struct im_fid *fid)
{
	size_t i;
	int err;

	if (s->n * 2 >= s->room) {
		err = fidset_grow(s);
		if (err)
			return err;
	}
	i = fidset_slot(s, fid);
	s->n += im_fid_none(&s->v[i]);
	s->v[i] = *fid;
	return 0;
}

bool fidset_has(const struct fidset *s, const struct im_fid *fid)
{
	return s->n && !im_fid_none(&s->v[fidset_slot(s, fid)]);
}

void fidset_del(struct fidset *s, const struct im_fid *fid)
{
	size_t i, next;

	if (!fidset_has(s, fid))
		return;
	i = fidset_slot(s, fid);
	memset(&s->v[i], 0, sizeof(s->v[i]));
	s->n--;
	/* What was pushed on by the one that is gone finds its place again. */
	for (next = (i + 1) & (s->room - 1); !im_fid_none(&s->v[next]);
	     next = (next + 1) & (s->room - 1)) {
		struct im_fid f = s->v[next];

		memset(&s->v[next], 0, sizeof(f));
		s->v[fidset_slot(s, &f)] = f;
	}
}

bool fidset_any(const struct fidset *s, struct im_fid *fid)
{
	size_t i;

	for (i = 0; s->n && i < s->room; i++) {
		if (!im_fid_none(&s->v[i])) {
			*fid = s->v[i];
			return true;
		}
	}
	return false;
}

void fidset_free(struct fidset *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}
