// SPDX-License-Identifier: GPL-2.0
#include "past.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/record.h"
#include "linux/intermezzo.h"

#define PAST_WAIT_S	30

struct past {
	int (*fn)(void *arg, const struct im_rec *r);
	void *arg;
	u64 recno;		/* of the last one that was seen */
};

static int past_some(struct past *s, const u8 *p, size_t n)
{
	while (n) {
		const struct im_rec *r = (const void *)p;
		struct im_body body;
		size_t need;
		int err;

		if (im_rec_check(p, n, &need, &body))
			return -EBADMSG;
		s->recno = le64_to_cpu(r->recno);
		err = s->fn(s->arg, r);
		if (err)
			return err;
		p += le32_to_cpu(r->len);
		n -= le32_to_cpu(r->len);
	}
	return 0;
}

int past_each(struct fset *f, u64 from, u64 last,
	      int (*fn)(void *arg, const struct im_rec *r), void *arg)
{
	struct im_ioc_kml k = { .from = from, .flags = O_NONBLOCK | O_CLOEXEC };
	struct past s = { .fn = fn, .arg = arg, .recno = from - 1 };
	struct pollfd p = { .events = POLLIN };
	size_t room = 1 << 20;
	int err = 0, waited = 0;
	u8 *buf;

	if (from > last)
		return 0;
	p.fd = ioctl(f->fd, IM_IOC_KML, &k);
	if (p.fd < 0)
		return -errno;
	buf = malloc(room);
	if (!buf)
		err = -ENOMEM;
	while (!err && s.recno < last) {
		ssize_t n = read(p.fd, buf, room);

		if (n > 0)
			err = past_some(&s, buf, n);
		else if (!n)
			err = -EIO;
		else if (errno != EAGAIN && errno != EINTR)
			err = -errno;
		else if (atomic_load(&f->stop))
			err = -ECANCELED;
		else if (poll(&p, 1, 1000) <= 0 && ++waited > PAST_WAIT_S)
			err = -ETIMEDOUT;
	}
	free(buf);
	close(p.fd);
	return err;
}
