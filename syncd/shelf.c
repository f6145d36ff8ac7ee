// SPDX-License-Identifier: GPL-2.0
/*
 * States of an item: MAKING, then GOOD; or LOST (its maker failed or went
 * away), or LARGE (there is no room for it). Bytes are appended by the maker
 * alone and, once GOOD, never change: they are read without the lock.
 * Everything else is under shelf_lock. The list holds a reference to each item
 * on it, each answer one to its own; MAKING and GOOD items are on the list, the
 * one used last first, and at most one item has a given key.
 *
 * The maker's client gets nothing but ALIVE until all is made: a client that is
 * slow to take what it asked for must not be what the others wait for.
 */
#include "shelf.h"

#include <errno.h>
#include <stdlib.h>

#define SHELF_ITEM	(8U << 20)	/* larger ones are not kept */
#define SHELF_BYTES	(48U << 20)
#define SHELF_SLICE	(256U << 10)	/* of an answer at once */
#define SHELF_LOOK_MS	100		/* who waits looks at *stop so often */
#define SHELF_ALIVE	(IM_WIRE_ALIVE_S * 1000 / SHELF_LOOK_MS)

enum shelf_state { MAKING, GOOD, LOST, LARGE };

struct shelf_item {
	struct shelf_item *next;
	struct shelf_key key;
	u64 as_of;			/* the log was durable up to here when
					 * it was begun */
	enum shelf_state state;
	unsigned int refs;
	struct im_buf bytes;		/* frames, without ALIVE */
};

static pthread_mutex_t shelf_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t shelf_cond = PTHREAD_COND_INITIALIZER;
static struct shelf_item *shelf_list;
static size_t shelf_bytes;		/* of all items with a reference */
static u64 shelf_made, shelf_found;

struct taker {
	struct answer a;
	struct answer *maker;
	struct shelf_key key;
	u64 need;			/* as_of, at least */
	struct shelf_item *item;	/* NULL: not looked for, or alone */
	bool making;			/* the item is ours to make */
	bool alone;			/* the maker answers, nothing is kept */
	size_t at;			/* of the item's bytes */
};

/* Items, under the lock */

static void item_put(struct shelf_item *it)
{
	if (--it->refs)
		return;
	shelf_bytes -= it->bytes.len;
	im_buf_free(&it->bytes);
	free(it);
}

static void item_unlist(struct shelf_item *it)
{
	struct shelf_item **at;

	for (at = &shelf_list; *at; at = &(*at)->next) {
		if (*at == it) {
			*at = it->next;
			item_put(it);
			return;
		}
	}
}

static void item_end(struct shelf_item *it, enum shelf_state state)
{
	it->state = state;
	if (state != GOOD)
		item_unlist(it);
	pthread_cond_broadcast(&shelf_cond);
}

/* Room for more bytes: the GOOD items that were used longest ago go. */
static bool item_room(size_t more)
{
	struct shelf_item *it, *last;

	while (shelf_bytes + more > SHELF_BYTES) {
		last = NULL;
		for (it = shelf_list; it; it = it->next) {
			/* one that is being sent would give nothing back */
			if (it->state == GOOD && it->refs == 1)
				last = it;
		}
		if (!last)
			return false;
		item_unlist(last);
	}
	return true;
}

static void item_list(struct shelf_item *it)
{
	it->next = shelf_list;
	shelf_list = it;
	it->refs++;
}

static struct shelf_item *item_find(const struct shelf_key *key)
{
	struct shelf_item *it = shelf_list;

	while (it && memcmp(&it->key, key, sizeof(*key)))
		it = it->next;
	return it;
}

/* An item for t, which it makes if there is none that is new enough. */
static int taker_find(struct taker *t)
{
	struct shelf_item *it, *new = calloc(1, sizeof(*new));
	struct im_ioc_info info;
	int err = kml_info(t->a.f, &info);

	if (err || !new) {
		free(new);
		return err ? err : -ENOMEM;
	}
	if (!t->need)
		t->need = info.last;
	pthread_mutex_lock(&shelf_lock);
	it = item_find(&t->key);
	if (it && it->as_of >= t->need) {
		free(new);
		it->refs++;
		item_unlist(it);
		shelf_found++;
	} else {
		/* who waits for the old one keeps it */
		if (it)
			item_unlist(it);
		it = new;
		it->refs = 1;
		it->key = t->key;
		it->as_of = info.durable;
		t->making = true;
		shelf_made++;
	}
	item_list(it);
	t->item = it;
	pthread_mutex_unlock(&shelf_lock);
	return 0;
}

static void taker_leave(struct taker *t, enum shelf_state state)
{
	pthread_mutex_lock(&shelf_lock);
	if (t->making)
		item_end(t->item, state);
	item_put(t->item);
	pthread_mutex_unlock(&shelf_lock);
	t->making = false;
	t->item = NULL;
}

static int taker_alone(struct taker *t)
{
	int r;

	t->maker->level = t->a.level;
	im_buf_reset(&t->maker->out);
	t->maker->settle = false;
	r = t->maker->more(t->maker);
	memcpy(t->a.err, t->maker->err, sizeof(t->a.err));
	t->a.settle = t->maker->settle;
	im_buf_put(&t->a.out, t->maker->out.p, t->maker->out.len);
	return r < 0 ? r : t->maker->out.err ? t->maker->out.err : r;
}

/* Frames to the item, ALIVE to the client. -EFBIG: it becomes too large. */
static int taker_keep(struct taker *t)
{
	const struct im_buf *out = &t->maker->out;
	struct shelf_item *it = t->item;
	size_t at, len, before = it->bytes.len;
	struct im_frame head;
	int err = 0;

	pthread_mutex_lock(&shelf_lock);
	if (before + out->len > SHELF_ITEM || !item_room(out->len))
		err = -EFBIG;
	for (at = 0; !err && at < out->len; at += len) {
		memcpy(&head, out->p + at, sizeof(head));
		len = sizeof(head) + le32_to_cpu(head.len);
		im_buf_put(head.type == IM_FR_ALIVE ? &t->a.out : &it->bytes,
			   out->p + at, len);
		err = it->bytes.err;
	}
	shelf_bytes += it->bytes.len - before;
	pthread_mutex_unlock(&shelf_lock);
	return err;
}

/*
 * All of the answer, or as much as there is to read between two ALIVEs. What
 * others find on the shelf has settled.
 */
static int taker_make(struct taker *t)
{
	struct answer *m = t->maker;
	int r = 1, err;

	while (r > 0 && !t->a.out.len) {
		if (atomic_load(t->a.stop))
			return -ESHUTDOWN;
		im_buf_reset(&m->out);
		r = m->more(m);
		if (r < 0 || m->out.err) {
			memcpy(t->a.err, m->err, sizeof(t->a.err));
			return r < 0 ? r : m->out.err;
		}
		err = taker_keep(t);
		if (!err)
			continue;
		if (err != -EFBIG)
			return err;
		/* as from the beginning, without the shelf */
		im_buf_put(&t->a.out, t->item->bytes.p, t->item->bytes.len);
		im_buf_put(&t->a.out, m->out.p, m->out.len);
		t->a.settle = true;
		taker_leave(t, LARGE);
		t->alone = true;
		return r;
	}
	if (r)
		return 1;
	r = kml_settle(t->a.f, t->a.stop);
	if (r)
		return r;
	pthread_mutex_lock(&shelf_lock);
	item_end(t->item, GOOD);
	pthread_mutex_unlock(&shelf_lock);
	t->making = false;
	return 1;
}

/* Until the item is made; 1: not yet, and the client wants to hear of us. */
static int taker_wait(struct taker *t)
{
	struct im_ioc_info info;
	struct timespec until;
	unsigned int looks = 0;
	enum shelf_state state;
	__le64 durable;
	int err;

	pthread_mutex_lock(&shelf_lock);
	while (t->item->state == MAKING && looks++ < SHELF_ALIVE &&
	       !atomic_load(t->a.stop)) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += SHELF_LOOK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&shelf_cond, &shelf_lock, &until);
	}
	state = t->item->state;
	pthread_mutex_unlock(&shelf_lock);
	if (atomic_load(t->a.stop))
		return -ESHUTDOWN;
	if (state != MAKING)
		return 0;
	err = kml_info(t->a.f, &info);
	if (err)
		return err;
	durable = cpu_to_le64(info.durable);
	im_frame_put(&t->a.out, IM_FR_ALIVE, &durable, sizeof(durable), 0);
	return 1;
}

static int taker_more(struct answer *a)
{
	struct taker *t = (struct taker *)a;
	size_t n;
	int r;

	t->maker->f = a->f;
	t->maker->stop = a->stop;
	t->maker->sock = a->sock;
	t->maker->level = a->level;
	for (;;) {
		if (t->alone)
			return taker_alone(t);
		if (!t->item) {
			r = taker_find(t);
			if (r)
				return r;
		}
		r = t->making ? taker_make(t) : taker_wait(t);
		if (r < 0 || t->alone || a->out.len)
			return r;
		if (t->making || t->item->state == GOOD)
			break;
		/* its maker is gone, and maybe we are the next */
		t->alone = t->item->state == LARGE;
		taker_leave(t, LOST);
	}
	n = t->item->bytes.len - t->at;
	if (n > SHELF_SLICE)
		n = SHELF_SLICE;
	im_buf_put(&a->out, t->item->bytes.p + t->at, n);
	t->at += n;
	return t->at < t->item->bytes.len;
}

static void taker_free(struct answer *a)
{
	struct taker *t = (struct taker *)a;

	if (t->item)
		taker_leave(t, LOST);
	answer_free(t->maker);
	free(t);
}

struct answer *shelf_answer(const struct shelf_key *key, u64 recno,
			    struct answer *maker)
{
	struct taker *t;

	if (!maker)
		return NULL;
	t = calloc(1, sizeof(*t));
	if (!t) {
		answer_free(maker);
		return NULL;
	}
	t->maker = maker;
	t->key = *key;
	t->need = recno;
	t->a.more = taker_more;
	t->a.free = taker_free;
	return &t->a;
}

void shelf_forget(const struct fset *f)
{
	struct shelf_item *it, *next;

	pthread_mutex_lock(&shelf_lock);
	for (it = shelf_list; it; it = next) {
		next = it->next;
		if (it->key.f == f)
			item_unlist(it);
	}
	pthread_mutex_unlock(&shelf_lock);
}

void shelf_counts(u64 *made, u64 *found)
{
	pthread_mutex_lock(&shelf_lock);
	*made = shelf_made;
	*found = shelf_found;
	pthread_mutex_unlock(&shelf_lock);
}
