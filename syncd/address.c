// SPDX-License-Identifier: GPL-2.0
#include "main.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_loopback(const struct sockaddr *sa)
{
	const struct sockaddr_in6 *v6 = (const void *)sa;
	const struct sockaddr_in *v4 = (const void *)sa;

	if (sa->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

int address_check(const char *text, bool *loopback, char *err, size_t errlen)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	const char *colon = strrchr(text, ':');
	struct addrinfo *found;
	char host[INET6_ADDRSTRLEN + 32];
	size_t len;
	char *end;
	long port;
	int rc;

	port = colon ? strtol(colon + 1, &end, 10) : 0;
	if (!colon || colon[1] < '0' || colon[1] > '9' || *end || port < 1 ||
	    port > 65535)
		goto invalid;
	len = colon - text;
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		goto invalid;
	}
	if (!len || len >= sizeof(host))
		goto invalid;
	memcpy(host, text, len);
	host[len] = '\0';
	rc = getaddrinfo(host, colon + 1, &hints, &found);
	if (rc) {
		snprintf(err, errlen, "%s: %s; give the address in numbers",
			 host, gai_strerror(rc));
		return -EINVAL;
	}
	*loopback = is_loopback(found->ai_addr);
	freeaddrinfo(found);
	return 0;

invalid:
	snprintf(err, errlen,
		 "it is not ADDRESS:PORT, as in 127.0.0.1:7070 or [::1]:7070");
	return -EINVAL;
}
