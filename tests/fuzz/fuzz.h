/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fuzzer defines LLVMFuzzerTestOneInput() and builds alone with the codecs
 * of common/. Guided by coverage, with clang:
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -DLIBFUZZER \
 *	-D_GNU_SOURCE -I. -Iinclude -Iinclude/uapi \
 *	-o NAME tests/fuzz/NAME.c common/{record,ranges,wire}.c -lzstd
 *   ./NAME -max_total_time=60 /tmp/new tests/fuzz/corpus/NAME
 *
 * With any other compiler this main() mutates the corpus blindly:
 *
 *   NAME SECONDS [SEED]   from the top of the tree; writes the input that
 *                         made it die to NAME.crash
 *   NAME FILE...          runs these inputs
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for any input. */
#define must(cond) do {							\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: does not hold: %s\n",		\
			__FILE__, __LINE__, #cond);			\
		abort();						\
	}								\
} while (0)

/* A copy that ASan guards to the byte, at a distance of `off` from 16. */
__attribute__((unused))
static uint8_t *fuzz_copy(const uint8_t *data, size_t size, size_t off)
{
	uint8_t *p = malloc(size + off + !size);

	must(p);
	if (size)
		memcpy(p + off, data, size);
	return p;
}

#ifndef LIBFUZZER

#include <dirent.h>
#include <signal.h>
#include <time.h>

#define FUZZ_FILES	256
#define FUZZ_MAX	(1 << 17)

static struct {
	uint8_t *p;
	size_t len;
} fuzz_corpus[FUZZ_FILES];
static unsigned int fuzz_files;
static const char *fuzz_name;
static uint8_t *fuzz_input;
static size_t fuzz_len;
static uint64_t fuzz_rnd_state;

static uint64_t fuzz_rnd(uint64_t below)
{
	uint64_t x = fuzz_rnd_state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	fuzz_rnd_state = x;
	return (x * 0x2545f4914f6cdd1dULL >> 11) % below;
}

/* SIGABRT: of must(), and of the sanitizers, see __asan_default_options. */
static void fuzz_died(int sig)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s.crash", fuzz_name);
	f = fopen(path, "wb");
	if (f) {
		fwrite(fuzz_input, 1, fuzz_len, f);
		fclose(f);
	}
	fprintf(stderr, "the input is in %s\n", path);
	signal(sig, SIG_DFL);
	raise(sig);
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "abort_on_error=1";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "abort_on_error=1:print_stacktrace=1";
}

static int fuzz_load(const char *path)
{
	uint8_t *p = malloc(FUZZ_MAX);
	FILE *f = fopen(path, "rb");

	if (!f || !p) {
		perror(path);
		exit(2);
	}
	fuzz_corpus[fuzz_files].len = fread(p, 1, FUZZ_MAX, f);
	fuzz_corpus[fuzz_files].p = p;
	fclose(f);
	return ++fuzz_files < FUZZ_FILES;
}

static void fuzz_load_all(void)
{
	char dir[300], path[600];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "tests/fuzz/corpus/%s", fuzz_name);
	d = opendir(dir);
	if (!d) {
		perror(dir);
		exit(2);
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (!fuzz_load(path))
			break;
	}
	closedir(d);
	if (!fuzz_files) {
		fprintf(stderr, "%s: no files\n", dir);
		exit(2);
	}
}

static void fuzz_insert(size_t at, const uint8_t *p, size_t n)
{
	if (n > FUZZ_MAX - fuzz_len)
		n = FUZZ_MAX - fuzz_len;
	memmove(fuzz_input + at + n, fuzz_input + at, fuzz_len - at);
	memmove(fuzz_input + at, p, n);
	fuzz_len += n;
}

static void fuzz_mutate(void)
{
	static const uint64_t odd[] = { 0, 1, 7, 8, 255, 256, 0x7f, 0x8000,
		0xffff, 0x10000, 1U << 20, 0x7fffffff, 0x80000000, 0xffffffff,
		INT64_MAX, 1ULL << 63, ~0ULL };
	size_t at = fuzz_len ? fuzz_rnd(fuzz_len) : 0;
	size_t n = fuzz_len ? 1 + fuzz_rnd(fuzz_len - at) : 0;
	unsigned int other = fuzz_rnd(fuzz_files), bytes = 1 << fuzz_rnd(4);
	uint64_t v = odd[fuzz_rnd(sizeof(odd) / sizeof(odd[0]))];
	uint8_t chunk[64];

	if (n > sizeof(chunk) && fuzz_rnd(4))
		n = 1 + fuzz_rnd(16);
	switch (fuzz_rnd(8)) {
	case 0:
		if (fuzz_len)
			fuzz_input[at] ^= 1 << fuzz_rnd(8);
		break;
	case 1:
		if (fuzz_len)
			fuzz_input[at] = fuzz_rnd(256);
		break;
	case 2:
	case 3:
		at &= ~(size_t)(bytes - 1);
		if (fuzz_len - at >= bytes)
			memcpy(fuzz_input + at, &v, bytes);
		break;
	case 4:
		memmove(fuzz_input + at, fuzz_input + at + n,
			fuzz_len - at - n);
		fuzz_len -= n;
		break;
	case 5:
		n = n < sizeof(chunk) ? n : sizeof(chunk);
		memcpy(chunk, fuzz_input + at, n);
		fuzz_insert(fuzz_rnd(fuzz_len + 1), chunk, n);
		break;
	case 6:
		n = fuzz_corpus[other].len;
		at = n ? fuzz_rnd(n) : 0;
		n = n ? 1 + fuzz_rnd(n - at) : 0;
		fuzz_insert(fuzz_rnd(fuzz_len + 1), fuzz_corpus[other].p + at,
			    n);
		break;
	case 7:
		fuzz_len = at;
		break;
	}
}

static void fuzz_once(void)
{
	uint8_t *p = fuzz_copy(fuzz_input, fuzz_len, 0);

	LLVMFuzzerTestOneInput(p, fuzz_len);
	free(p);
}

static void fuzz_pick(unsigned int i)
{
	fuzz_len = fuzz_corpus[i].len;
	memcpy(fuzz_input, fuzz_corpus[i].p, fuzz_len);
}

int main(int argc, char **argv)
{
	unsigned long runs = 0, seconds;
	struct timespec start, now;
	char *end;

	fuzz_name = strrchr(argv[0], '/');
	fuzz_name = fuzz_name ? fuzz_name + 1 : argv[0];
	if (argc < 2) {
		fprintf(stderr, "usage: %s SECONDS [SEED] | FILE...\n", argv[0]);
		return 2;
	}
	fuzz_input = malloc(FUZZ_MAX);
	must(fuzz_input);
	signal(SIGABRT, fuzz_died);
	seconds = strtoul(argv[1], &end, 10);
	if (*end) {
		for (int i = 1; i < argc && fuzz_load(argv[i]); i++)
			;
	} else {
		fuzz_load_all();
	}
	for (unsigned int i = 0; i < fuzz_files; i++) {
		fuzz_pick(i);
		fuzz_once();
	}
	if (*end)
		return 0;

	clock_gettime(CLOCK_REALTIME, &now);
	fuzz_rnd_state = argc > 2 ? strtoul(argv[2], NULL, 0) :
			 (unsigned long)now.tv_nsec;
	printf("%s: seed %lu\n", fuzz_name, (unsigned long)fuzz_rnd_state);
	fflush(stdout);
	fuzz_rnd_state = fuzz_rnd_state * 0x9e3779b97f4a7c15ULL + 1;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		fuzz_pick(fuzz_rnd(fuzz_files));
		for (uint64_t n = 1 + fuzz_rnd(6); n; n--)
			fuzz_mutate();
		fuzz_once();
		runs++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((unsigned long)(now.tv_sec - start.tv_sec) < seconds);
	printf("%s: %lu inputs, none did harm\n", fuzz_name, runs);
	return 0;
}

#endif /* LIBFUZZER */
#endif /* TESTS_FUZZ_H */
