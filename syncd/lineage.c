// SPDX-License-Identifier: GPL-2.0
/*
 * Which history the tree here follows: the epochs of the server's records, kept
 * in the root's TREE_STATE beside the rest of the place. An epoch is there
 * before the first of its records is applied, so whatever a crash leaves, the
 * last record that the tree may have seen has its epoch in the list; or, if
 * that reaches back too short, the client does not know and compares.
 */
#include "client.h"

#include <inttypes.h>

static u64 lineage_first(const struct client *c, unsigned int i)
{
	return le64_to_cpu(c->tree.st.epochs[i].first);
}

static unsigned int lineage_count(const struct client *c)
{
	unsigned int n = le32_to_cpu(c->tree.st.epoch_count);

	return n > TREE_EPOCHS ? TREE_EPOCHS : n;
}

u64 lineage_epoch(const struct client *c, u64 recno)
{
	unsigned int i = lineage_count(c);

	while (i && lineage_first(c, i - 1) > recno)
		i--;
	return i ? le64_to_cpu(c->tree.st.epochs[i - 1].epoch) : 0;
}

int lineage_args(const struct client *c, u64 seen, char *buf, size_t size)
{
	u64 epoch = lineage_epoch(c, seen);

	buf[0] = '\0';
	if (lineage_count(c) && lineage_first(c, 0) > seen)
		return -ESTALE;
	if (epoch)
		lineage_text(seen, epoch, buf, size);
	return 0;
}

void lineage_text(u64 seen, u64 epoch, char *buf, size_t size)
{
	snprintf(buf, size, "&seen=%" PRIu64 "&epoch=%" PRIu64, seen, epoch);
}

int lineage_frame(const u8 *p, size_t len, struct im_wire_epoch *e)
{
	if (len != sizeof(*e))
		return -EPROTO;
	memcpy(e, p, sizeof(*e));
	if (e->next && le64_to_cpu(e->next) <= le64_to_cpu(e->first))
		return -EPROTO;
	return 0;
}

int lineage_set(struct client *c, const struct im_wire_epoch *e)
{
	struct im_epoch *v = c->tree.st.epochs, new[TREE_EPOCHS + 1];
	unsigned int n = lineage_count(c), i, k = 0;
	u64 first = le64_to_cpu(e->first);
	u64 next = e->next ? le64_to_cpu(e->next) : UINT64_MAX;
	bool put = false;

	for (i = 0; i <= n; i++) {
		if (!put && (i == n || lineage_first(c, i) >= first)) {
			new[k++] = (struct im_epoch){ e->first, e->epoch };
			put = true;
		}
		if (i < n && (lineage_first(c, i) < first ||
			      lineage_first(c, i) >= next))
			new[k++] = v[i];
	}
	i = k > TREE_EPOCHS;	/* the oldest goes */
	k -= i;
	if (k == n && !memcmp(v, new + i, k * sizeof(*v)))
		return 0;
	memcpy(v, new + i, k * sizeof(*v));
	c->tree.st.epoch_count = cpu_to_le32(k);
	return tree_state_save(&c->tree);
}

void lineage_forget(struct client *c)
{
	c->tree.st.epoch_count = 0;
	memset(c->tree.st.epochs, 0, sizeof(c->tree.st.epochs));
}
