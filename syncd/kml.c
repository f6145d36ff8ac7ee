// SPDX-License-Identifier: GPL-2.0
/*
 * The log as a stream. The module hands out whole, durable, settled records;
 * they travel as they are. A reader that was slow finds that its next record
 * has left the log: it is told so and resynchronises, the log waits for nobody.
 */
#include "answer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define KML_READ	(256U << 10)	/* > IM_REC_MAX, < IM_WIRE_FRAME_MAX */
#define KML_PACK_MIN	1024		/* a record or two: in time, not small */
#define KML_SETTLE_MS	100		/* looks at *stop so often */

_Static_assert(KML_READ >= IM_REC_MAX && KML_READ <= IM_WIRE_FRAME_MAX,
	       "a frame holds a record and a read fits into a frame");

struct kml {
	struct answer a;
	int fd;
	bool begun;
	u32 riders;		/* bytes of data that may come along */
	u64 end;		/* the last record wanted */
	bool ended;		/* it has come */
	u64 epoch_next;		/* first record that wants another EPOCH */
	_Alignas(8) u8 buf[KML_READ];
};

int kml_info(struct fset *f, struct im_ioc_info *info)
{
	if (ioctl(f->fd, IM_IOC_INFO, info) < 0)
		return -errno;
	return info->flags & IM_INFO_DEAD ? -EIO : 0;
}

int kml_open(struct fset *f, u64 from)
{
	struct im_ioc_kml k = {
		.from = from,
		.flags = O_NONBLOCK | O_CLOEXEC,
	};
	int fd = ioctl(f->fd, IM_IOC_KML, &k);

	return fd < 0 ? -errno : fd;
}

int kml_lineage(struct fset *f, u64 seen, u64 epoch)
{
	struct im_ioc_epoch e = { .recno = seen };
	struct im_ioc_info info;
	int err = kml_info(f, &info);

	if (err)
		return err;
	if (seen > info.last)
		return -ESTALE;
	if (ioctl(f->fd, IM_IOC_EPOCH, &e) < 0)
		return -errno;
	return e.epoch == epoch ? 0 : -ESTALE;
}

int kml_put_epoch(struct fset *f, struct im_buf *out, u64 recno, u64 *next)
{
	struct im_ioc_epoch e = { .recno = recno };
	struct im_wire_epoch w;

	if (ioctl(f->fd, IM_IOC_EPOCH, &e) < 0)
		return -errno;
	w.epoch = cpu_to_le64(e.epoch);
	w.first = cpu_to_le64(e.first);
	w.next = cpu_to_le64(e.next);
	im_frame_put(out, IM_FR_EPOCH, &w, sizeof(w), 0);
	*next = e.next ? e.next : UINT64_MAX;
	return 0;
}

int kml_settle(struct fset *f, const atomic_bool *stop)
{
	struct im_ioc_info info;
	struct pollfd p = { .fd = -1, .events = POLLIN };
	u64 want;
	int err;

	err = kml_info(f, &info);
	want = info.last;
	/*
	 * An open descriptor is what makes the module commit early; it polls
	 * readable once `want` is durable. Should that record leave the log
	 * meanwhile it is durable all the more.
	 */
	while (!err && info.durable < want) {
		if (atomic_load(stop)) {
			err = -EINTR;
			break;
		}
		if (p.fd < 0) {
			p.fd = kml_open(f, want);
			if (p.fd < 0 && p.fd != -ESTALE) {
				err = p.fd;
				break;
			}
		}
		if (poll(&p, 1, KML_SETTLE_MS) < 0 && errno != EINTR)
			err = -errno;
		else
			err = kml_info(f, &info);
		/* readable and still not durable: an error to be read */
		if (!err && (p.revents & (POLLIN | POLLERR | POLLHUP)) &&
		    info.durable < want)
			usleep(1000);
	}
	if (p.fd >= 0)
		close(p.fd);
	return err;
}

static void kml_put_alive(struct kml *k, u64 durable)
{
	__le64 le = cpu_to_le64(durable);

	im_frame_put(&k->a.out, IM_FR_ALIVE, &le, sizeof(le), 0);
}

static void kml_put_some(struct kml *k, size_t from, size_t to)
{
	if (from < to)
		im_frame_put(&k->a.out, IM_FR_RECORDS, k->buf + from, to - from,
			     to - from >= KML_PACK_MIN ? ANSWER_LEVEL : 0);
}

static int kml_put_records(struct kml *k, size_t len)
{
	const struct im_rec *rec;
	size_t at, n, from = 0;
	int err;

	/* The kernel's own, but a peer would have to take the blame. */
	for (at = 0; at < len && !k->ended; at += n) {
		rec = (const struct im_rec *)(k->buf + at);
		if (len - at < sizeof(*rec) ||
		    rec->magic != cpu_to_le32(IM_REC_MAGIC))
			return -EBADMSG;
		n = le32_to_cpu(rec->len);
		if (n < sizeof(*rec) || n % 8 || n > len - at)
			return -EBADMSG;
		if (le64_to_cpu(rec->recno) >= k->epoch_next) {
			kml_put_some(k, from, at);
			from = at;
			err = kml_put_epoch(k->a.f, &k->a.out,
					    le64_to_cpu(rec->recno),
					    &k->epoch_next);
			if (err)
				return err;
		}
		k->a.records++;
		k->ended = le64_to_cpu(rec->recno) >= k->end;
	}
	kml_put_some(k, from, at);
	if (k->ended)
		im_frame_put(&k->a.out, IM_FR_END, NULL, 0, 0);
	return !k->ended;
}

/* Waits for records: 1 there are some, 0 there were none for ms. */
static int kml_wait(struct kml *k, int ms)
{
	struct pollfd p[2] = {
		{ .fd = k->fd, .events = POLLIN },
		/* the client is gone, or the server shuts the connection */
		{ .fd = k->a.sock, .events = POLLRDHUP },
	};
	int n;

	do {
		n = poll(p, 2, ms);
	} while (n < 0 && errno == EINTR && !atomic_load(k->a.stop));
	if (atomic_load(k->a.stop))
		return -ESHUTDOWN;
	if (n < 0)
		return -errno;
	if (p[1].revents & (POLLRDHUP | POLLHUP | POLLERR))
		return -EPIPE;
	return n > 0;
}

static int kml_more(struct answer *a)
{
	struct kml *k = (struct kml *)a;
	struct im_ioc_info info;
	ssize_t n;
	int err;

	for (;;) {
		n = read(k->fd, k->buf, sizeof(k->buf));
		if (n > 0) {
			k->begun = true;
			if (k->riders)
				riders_put(a, k->buf, n, k->riders);
			return kml_put_records(k, n);
		}
		if (!n)
			return 0;	/* the mount is going away */
		switch (errno) {
		case EAGAIN:
		case EINTR:
			break;
		case ESTALE:
			snprintf(a->err, sizeof(a->err),
				 "the next record has left the log; resynchronise");
			return -ESTALE;
		case EBADMSG:
			snprintf(a->err, sizeof(a->err),
				 "the log is damaged here; resynchronise");
			return -EBADMSG;
		default:
			err = -errno;
			snprintf(a->err, sizeof(a->err), "cannot read the log");
			return err;
		}
		if (k->end != UINT64_MAX)
			return -EAGAIN;	/* all of a part is durable */
		/* At the start too, so that a client knows if it is in step. */
		err = k->begun ? kml_wait(k, IM_WIRE_ALIVE_S * 1000) : 0;
		if (err < 0)
			return err;
		if (err)
			continue;
		k->begun = true;
		err = kml_info(a->f, &info);
		if (err)
			return err;
		kml_put_alive(k, info.durable);
		return 1;
	}
}

static void kml_free(struct answer *a)
{
	struct kml *k = (struct kml *)a;

	close(k->fd);
	free(k);
}

static struct answer *kml_new(struct fset *f, u64 from, u64 end, int *err)
{
	struct kml *k;
	int fd = kml_open(f, from);

	if (fd < 0) {
		*err = fd;
		return NULL;
	}
	k = malloc(sizeof(*k));
	if (!k) {
		close(fd);
		*err = -ENOMEM;
		return NULL;
	}
	memset(k, 0, offsetof(struct kml, buf));
	k->fd = fd;
	k->end = end;
	k->a.more = kml_more;
	k->a.free = kml_free;
	return &k->a;
}

struct answer *kml_answer(struct fset *f, u64 from, u32 riders, int *err)
{
	struct im_ioc_info info;
	struct answer *a;

	*err = kml_info(f, &info);
	if (*err)
		return NULL;
	if (!from || from < info.first || from > info.last + 1) {
		*err = -ESTALE;
		return NULL;
	}
	a = kml_new(f, from, UINT64_MAX, err);
	if (a)
		((struct kml *)a)->riders = riders;
	return a;
}

/*
 * Any epoch from `to` on will do: two logs that have it are the same up to
 * there.
 */
static int kml_epoch_from(struct fset *f, u64 to, u64 last, u64 epoch)
{
	struct im_ioc_epoch e = { .recno = to };

	while (e.recno && e.recno <= last) {
		if (ioctl(f->fd, IM_IOC_EPOCH, &e) < 0)
			return -errno;
		if (e.epoch && e.epoch == epoch)
			return 0;
		e.recno = e.next;
	}
	return -ESTALE;
}

struct answer *kml_part_answer(struct fset *f, u64 from, u64 to, u64 epoch,
			       int *err)
{
	struct im_ioc_info info;

	*err = kml_info(f, &info);
	if (*err)
		return NULL;
	if (!from || from < info.first || to < from || to > info.durable ||
	    to - from >= IM_WIRE_PART)
		*err = -ESTALE;
	else
		*err = kml_epoch_from(f, to, info.last, epoch);
	return *err ? NULL : kml_new(f, from, to, err);
}
