// SPDX-License-Identifier: GPL-2.0
#include "main.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool address_host_ok(const char *s)
{
	if (!*s || *s == '-' || strlen(s) > ADDRESS_HOST_MAX)
		return false;
	for (; *s; s++) {
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= '0' && *s <= '9') || strchr(".-_:%", *s)))
			return false;
	}
	return true;
}

bool address_port_ok(const char *s)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	return *s >= '0' && *s <= '9' && !*end && n > 0 && n < 65536;
}

/* In place. */
bool address_split(char *s, char **host, char **port)
{
	static char none[1];
	char *p;

	*port = none;
	if (*s == '[') {
		p = strchr(++s, ']');
		if (!p)
			return false;
		*p++ = '\0';
		if (*p == ':')
			*port = p + 1;
		else if (*p)
			return false;
	} else {
		p = strchr(s, ':');
		if (p) {
			*p = '\0';
			*port = p + 1;
		}
	}
	*host = s;
	return address_host_ok(s) && (!**port || address_port_ok(*port));
}

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
