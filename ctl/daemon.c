// SPDX-License-Identifier: GPL-2.0
/* Talks to intersyncd: HTTP with JSON over its unix socket. */
#include "ctl.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdlib.h>
#include "common/paths.h"

#define ANSWER_MAX	(64U << 20)

char *daemon_sock;

struct body {
	char *p;
	size_t len;
};

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct body *body = arg;
	size_t len = size * n;
	char *grown;

	if (body->len + len > ANSWER_MAX)
		return 0;
	grown = realloc(body->p, body->len + len + 1);
	if (!grown)
		return 0;
	memcpy(grown + body->len, data, len);
	body->p = grown;
	body->len += len;
	return len;
}

static void refuse(struct reply *reply, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void refuse(struct reply *reply, const char *code, const char *fmt, ...)
{
	va_list ap;

	snprintf(reply->code, sizeof(reply->code), "%s", code);
	va_start(ap, fmt);
	vsnprintf(reply->why, sizeof(reply->why), fmt, ap);
	va_end(ap);
}

/* What the connection's failure means to a person. */
static void no_answer(struct reply *reply, CURLcode code, long error,
		      const char *sock)
{
	if (error == EACCES || error == EPERM)
		refuse(reply, "access",
		       "no permission to use %s; run intermezzoctl as root",
		       sock);
	else if (code == CURLE_COULDNT_CONNECT)
		refuse(reply, "down",
		       "intersyncd is not running (nothing answers at %s); start it: systemctl start intersyncd",
		       sock);
	else
		refuse(reply, "broken",
		       "the answer of intersyncd at %s was cut off (%s); see its log: journalctl -u intersyncd",
		       sock, curl_easy_strerror(code));
}

static void take_error(struct reply *reply, long status)
{
	const char *code, *text;

	if (reply->json && !json_unpack(reply->json, "{s:{s:s, s:s}}", "error",
					"code", &code, "text", &text))
		refuse(reply, code, "%s", text);
	else if (status == 403)
		refuse(reply, "access",
		       "intersyncd takes such requests from root only");
	else
		refuse(reply, "broken",
		       "intersyncd gave an answer that makes no sense (HTTP %ld); are both of the same version? intermezzoctl version",
		       status);
}

int daemon_call(const char *method, const char *path, json_t *request,
		struct reply *reply)
{
	const char *sock = daemon_sock ? daemon_sock : SYNCD_SOCK;
	struct curl_slist *headers = NULL;
	struct body body = { 0 };
	long status = 0, error = 0;
	char *text = NULL;
	char url[128];
	CURLcode code;
	CURL *curl;

	memset(reply, 0, sizeof(*reply));
	if (request) {
		text = json_dumps(request, JSON_COMPACT);
		json_decref(request);
	}
	curl = curl_easy_init();
	if (!curl || (request && !text)) {
		refuse(reply, "memory", "out of memory");
		goto out_cleanup;
	}
	snprintf(url, sizeof(url), "http://localhost%s", path);
	headers = curl_slist_append(headers, "Content-Type: application/json");
	/* curl would wait a second for "100 Continue" */
	headers = curl_slist_append(headers, "Expect:");
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, sock);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	if (!strcmp(method, "POST")) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text ? text : "");
	}
	code = curl_easy_perform(curl);
	if (code) {
		curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
		no_answer(reply, code, error, sock);
		goto out_cleanup;
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	reply->json = json_loadb(body.p ? body.p : "", body.len, 0, NULL);
	if (status != 200 || !reply->json)
		take_error(reply, status);
out_cleanup:
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	free(body.p);
	free(text);
	return reply->code[0] ? -1 : 0;
}

void reply_free(struct reply *reply)
{
	json_decref(reply->json);
	reply->json = NULL;
}

const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

json_int_t int_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}
