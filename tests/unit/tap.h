/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A test program: calls of ok() and is(), then `return tap_done();`. The plan
 * comes last, so nobody counts; a program that dies has no plan and fails.
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned int tap_tests;
static unsigned int tap_failed;

__attribute__((format(printf, 1, 2), unused))
static void diag(const char *fmt, ...)
{
	va_list ap;

	fputs("# ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

__attribute__((format(printf, 4, 5), unused))
static bool tap_ok(bool good, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %u - ", good ? "" : "not ", ++tap_tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (!good) {
		tap_failed++;
		diag("failed at %s:%d", file, line);
	}
	fflush(stdout);
	return good;
}

#define ok(cond, ...) tap_ok(!!(cond), __FILE__, __LINE__, __VA_ARGS__)

/* Two integers are equal. */
#define is(got, want, ...) ({						\
	long long tap_got = (got), tap_want = (want);			\
	if (!ok(tap_got == tap_want, __VA_ARGS__))			\
		diag("got %lld, want %lld", tap_got, tap_want);		\
	tap_got == tap_want;						\
})

__attribute__((unused)) static int tap_done(void)
{
	printf("1..%u\n", tap_tests);
	if (tap_failed)
		diag("%u of %u failed", tap_failed, tap_tests);
	return tap_failed || !tap_tests;
}

/* Random numbers that depend on the seed alone (xorshift64*). */
static uint64_t tap_rnd_state = 1;

__attribute__((unused)) static void rnd_seed(uint64_t seed)
{
	tap_rnd_state = seed * 0x9e3779b97f4a7c15ULL + 1;
}

__attribute__((unused)) static uint64_t rnd(void)
{
	uint64_t x = tap_rnd_state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	tap_rnd_state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

/* 0 .. n - 1 */
__attribute__((unused)) static uint64_t rnd_below(uint64_t n)
{
	return rnd() % n;
}

#endif /* TESTS_TAP_H */
