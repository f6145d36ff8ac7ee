// SPDX-License-Identifier: GPL-2.0
/*
 * Records as they come from a peer or a disk: as they are, and with their CRCs
 * made right, so that what lies behind the CRCs is reached. What is taken must
 * encode to the same bytes, and its ranges must be a set.
 */
#include "common/record.h"

#include "common/ranges.h"
#include "fuzz.h"

static void check_ranges(const struct im_body *body)
{
	static struct im_range out[IM_RANGES_MAX];
	struct im_ranges r;
	u32 len;

	im_ranges_init(&r, 1 + body->data_len % 100);
	must(!im_ranges_get(&r, body->data, body->data_len));
	len = im_ranges_put(&r, out);
	must(!im_ranges_check(out, len));
	must(len <= body->data_len);
	im_ranges_free(&r);

	im_ranges_init(&r, IM_RANGES_MAX);
	must(!im_ranges_get(&r, body->data, body->data_len));
	must(im_ranges_put(&r, out) == body->data_len);
	must(!memcmp(out, body->data, body->data_len));
	im_ranges_free(&r);
}

static int check(const uint8_t *p, size_t size)
{
	static uint8_t again[IM_REC_MAX];
	struct im_body body;
	struct im_rec h;
	size_t need = 0;
	int err = im_rec_check(p, size, &need, &body);

	must(err <= 0);
	must(err != -EAGAIN || (need > size && need <= IM_REC_MAX));
	if (err)
		return err;
	must(need <= size && need <= IM_REC_MAX && need % 8 == 0);
	memcpy(&h, p, sizeof(h));
	im_rec_encode(again, &h, &body);
	must(!memcmp(again, p, need));
	if (im_op_is_data(le16_to_cpu(h.op)) && body.data_len)
		check_ranges(&body);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *p;
	struct im_rec h;
	size_t len;

	check(data, size);
	if (size < IM_REC_HDR)
		return 0;
	p = fuzz_copy(data, size, 1);
	memcpy(&h, p + 1, sizeof(h));
	h.magic = cpu_to_le32(IM_REC_MAGIC);
	len = le32_to_cpu(h.len);
	h.body_crc = 0;
	if (len > IM_REC_HDR && len <= size)
		h.body_crc = cpu_to_le32(im_crc32c(0, p + 1 + IM_REC_HDR,
						   len - IM_REC_HDR));
	im_rec_seal(&h);
	memcpy(p + 1, &h, sizeof(h));
	must(check(p + 1, size) != -EBADMSG);
	free(p);
	return 0;
}
