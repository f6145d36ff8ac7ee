// SPDX-License-Identifier: GPL-2.0
#include "../tap.h"
#include "tls.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char where[64], *listeners[] = { where, NULL };
int tls_port;

int tls_connect(void)
{
	return port_connect(tls_port);
}

bool tls_start(void)
{
	tls_port = free_port();
	snprintf(where, sizeof(where), "127.0.0.1:%d", tls_port);
	conf.listen_tls = listeners;
	return fake_start();
}

int other_main(const char *dir)
{
	char err[512];

	conf.lib_dir = dir;
	return -identity_get(err, sizeof(err));
}

int other(const char *dir)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execl("/proc/self/exe", "other", dir, NULL);
		_exit(99);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		abort();
	return -WEXITSTATUS(status);
}

void other_fp(const char *file, u8 fp[FINGERPRINT])
{
	char text[8192] = "";
	int fd = open(file, O_RDONLY);

	if (read(fd, text, sizeof(text) - 1) < 0 ||
	    fingerprint_of_pem(text, fp))
		abort();
	close(fd);
}

void make_other(const char *name, char file[300], u8 fp[FINGERPRINT])
{
	snprintf(file, 300, "%s/%s", top, name);
	mkdir(file, 0700);
	if (other(file))
		abort();
	strcat(file, "/identity.pem");
	other_fp(file, fp);
}

static size_t take(char *p, size_t size, size_t n, void *arg)
{
	im_buf_put(arg, p, size * n);
	return size * n;
}

CURL *tls_curl(const char *url, const struct to *to, struct im_buf *b)
{
	CURL *c = curl_easy_init();
	char whole[600];

	snprintf(whole, sizeof(whole), "%s://127.0.0.1:%d%s",
		 to->plain ? "http" : "https", tls_port,
		 url);
	curl_easy_setopt(c, CURLOPT_URL, whole);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
	if (to->version)
		curl_easy_setopt(c, CURLOPT_SSLVERSION, to->version);
	if (to->pem) {
		curl_easy_setopt(c, CURLOPT_SSLCERT, to->pem);
		curl_easy_setopt(c, CURLOPT_SSLKEY, to->pem);
	}
	if (to->body) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)to->len);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, to->body);
	}
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, b);
	return c;
}

long say(struct reply *r, const char *url, const struct to *to)
{
	struct curl_slist *list = NULL;
	CURL *c;

	memset(r, 0, sizeof(*r));
	c = tls_curl(url, to, &r->body);
	if (to->header)
		list = curl_slist_append(list, to->header);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
	curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r->status);
	curl_easy_cleanup(c);
	curl_slist_free_all(list);
	im_buf_put(&r->body, "", 1);
	return r->status;
}

long status_by(const char *pem, const char *url)
{
	struct reply r;
	long status = say(&r, url, &(struct to){ .pem = pem });

	im_buf_free(&r.body);
	return status;
}
