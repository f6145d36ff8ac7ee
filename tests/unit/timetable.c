// SPDX-License-Identifier: GPL-2.0
/* Limits by the clock. links: syncd/timetable.c syncd/bucket.c */
#include "tap.h"
#include "syncd/syncd.h"
#include "syncd/timetable.h"

enum { SUN, MON, TUE, WED, THU, FRI, SAT };

static void at(const char *text, int day, int hour, int min, u64 want)
{
	struct tm tm = { .tm_wday = day, .tm_hour = hour, .tm_min = min };
	const struct timetable_entry *e;
	struct timetable t;
	u64 rate = 0;

	if (timetable_parse(text, &t)) {
		ok(false, "'%s' is understood", text);
		return;
	}
	e = timetable_at(&t, &tm);
	if (e)
		rate = e->rate;
	if (!ok(rate == want, "'%s', day %d %02d:%02d: %llu", text, day, hour,
		min, (unsigned long long)want))
		diag("it is %llu", (unsigned long long)rate);
}

static void test_text(void)
{
	const char *text = " 08:00-18:00  2M ,sat-sun 1M,50M ";
	struct timetable t;

	is(timetable_parse(text, &t), 0, "spaces do not matter");
	is(t.n, 3, "three entries");
	ok(!strncmp(text + t.v[0].at, "08:00-18:00  2M", t.v[0].len) &&
	   t.v[0].len == 15, "the text of the first");
	ok(!strncmp(text + t.v[2].at, "50M", t.v[2].len) && t.v[2].len == 3,
	   "the text of the last");
	is(timetable_parse("", &t), 0, "nothing is understood");
	is(t.n, 0, "and has no entry");
}

static void test_bad(void)
{
	static const char *const bad[] = {
		" ", ",", "2M,", ",2M", "2M,3M", "2M, 08:00-18:00 1M",
		"08:00-18:00", "08:00 2M", "08:00-18:00 2M 3M", "8-18 2M",
		"08:00-08:00 2M", "25:00-26:00 2M", "08:60-09:00 2M",
		"24:00-08:00 2M", "08:00-24:01 2M", "08:0-09:00 2M",
		"008:00-09:00 2M", "08:00--09:00 2M", "-08:00-09:00 2M",
		"mon", "mon 08:00-18:00", "monday 2M", "mo 2M", "mon-2M",
		"mon-fri-sat 2M", "mon,tue 2M", "mon- 2M", "fast", "-1", "Off",
		"08:00-18:00 mon 2M", "2M;", "08:00 - 18:00 2M", "2M\n",
	};
	char many[TIMETABLE_TEXT + 600] = "";
	struct timetable t;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is(timetable_parse(bad[i], &t), -EINVAL, "'%s' is refused", bad[i]);
	for (i = 0; i <= TIMETABLE_MAX; i++)
		strcat(many, i ? ",mon 1M" : "mon 1M");
	is(timetable_parse(many, &t), -EINVAL, "too many entries");
	memset(many, ' ', sizeof(many));
	strcpy(many + sizeof(many) - 3, "1M");
	is(timetable_parse(many, &t), -EINVAL, "too long a text");
}

static void test_times(void)
{
	const char *work = "mon-fri 08:00-18:00 2M, 50M";
	const char *night = "22:30-06:00 off, 1M";
	const char *friday = "fri 20:00-08:00 5M, sat-mon 3M, 1M";

	at("2M", WED, 12, 0, 2000000);
	at("off", WED, 12, 0, 0);
	at("none", WED, 12, 0, 0);
	at("0", WED, 12, 0, 0);
	at("1.5MiB/s", WED, 12, 0, 1572864);
	at("", WED, 12, 0, 0);
	at(work, MON, 7, 59, 50000000);
	at(work, MON, 8, 0, 2000000);
	at(work, FRI, 17, 59, 2000000);
	at(work, FRI, 18, 0, 50000000);
	at(work, SAT, 12, 0, 50000000);
	at(work, SUN, 12, 0, 50000000);
	at(night, TUE, 22, 29, 1000000);
	at(night, TUE, 22, 30, 0);
	at(night, WED, 0, 0, 0);
	at(night, WED, 5, 59, 0);
	at(night, WED, 6, 0, 1000000);
	/* past midnight it is still Friday's */
	at(friday, FRI, 7, 0, 1000000);
	at(friday, FRI, 20, 0, 5000000);
	at(friday, SAT, 7, 59, 5000000);
	at(friday, SAT, 8, 0, 3000000);
	at(friday, SUN, 8, 0, 3000000);
	at(friday, MON, 23, 59, 3000000);
	at(friday, TUE, 0, 0, 1000000);
	/* the week wraps, and so does Saturday's night */
	at("SAT 23:00-01:00 7k", SUN, 0, 59, 7000);
	at("SAT 23:00-01:00 7k", SUN, 1, 0, 0);
	at("SAT 23:00-01:00 7k", SAT, 0, 30, 0);
	at("00:00-24:00 9k, 1k", THU, 23, 59, 9000);
	at("8:00-9:00 9k", THU, 8, 30, 9000);
	/* the first that is true */
	at("12:00-13:00 1k, 08:00-18:00 2k, 3k", THU, 12, 30, 1000);
	at("08:00-18:00 2k, 12:00-13:00 1k, 3k", THU, 12, 30, 2000);
	/* none is true */
	at("08:00-18:00 2k", THU, 19, 0, 0);
}

int main(void)
{
	test_text();
	test_bad();
	test_times();
	return tap_done();
}
