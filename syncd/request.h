/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One HTTP request: from its head to its answer. Belongs to the thread of its
 * connection. It holds a reference to its fileset.
 */
#ifndef _SYNCD_REQUEST_H
#define _SYNCD_REQUEST_H

#include <microhttpd.h>
#include "answer.h"
#include "conn.h"

struct verb;

struct request {
	struct conn *conn;
	struct MHD_Connection *mhd;
	const char *url;
	const char *method;
	struct fset *f;			/* NULL: /ctl/, or an error */
	const struct verb *verb;
	struct im_fid fid;
	bool has_fid;
	struct hint hint;
	u64 from, to;
	bool has_epoch;
	u64 seen, epoch;		/* of the client's newest record */
	u32 block;
	bool shared;			/* the answer is one for all ... */
	struct im_wire_about about;	/* ... who ask this */
	u64 length;			/* of the body, as announced */
	u64 reserved;			/* of what all bodies may take */
	struct im_buf body;
	struct sigload *sig;
	bool urgent;			/* refuse before the body */
	struct rate *rate;
	/* outcome */
	unsigned int status;		/* 0: not known yet; 200 or an error */
	char text[256];			/* body of an error */
	struct im_wire_info info;	/* body of info */
	json_t *json;			/* body of /ctl/ */
	struct answer *answer;		/* frames */
	size_t sent;			/* of answer->out */
	bool begun;			/* answer->out is not the first of it */
	bool last;			/* ... is the last of it */
};

/*
 * redeem.c: an invitation's secret of a client by TLS. Returns 200 or an error
 * with its text.
 */
unsigned int redeem(const struct conn *c, const char *fileset, bool there,
		    const void *body, size_t len, char *text, size_t size);

/* Parses the head; sets status if it can only be refused. */
struct request *request_new(struct conn *c, struct MHD_Connection *mhd,
			    const char *url, const char *method);
void request_body(struct request *r, const void *p, size_t len);
void request_done(struct request *r);	/* all is here: sets the outcome */
void request_free(struct request *r);

#endif /* _SYNCD_REQUEST_H */
