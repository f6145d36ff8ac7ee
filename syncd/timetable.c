// SPDX-License-Identifier: GPL-2.0
#include "timetable.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include "syncd.h"

#define TIMETABLE_DAY	(24 * 60)
#define TIMETABLE_WEEK	0x7f
#define TIMETABLE_WORD	64

/* The next word of *p, up to a space, a comma or the end; false: none. */
static bool table_word(const char **p, char word[TIMETABLE_WORD])
{
	size_t n;

	*p += strspn(*p, " \t");
	n = strcspn(*p, " \t,");
	if (!n || n >= TIMETABLE_WORD)
		return false;
	memcpy(word, *p, n);
	word[n] = '\0';
	*p += n;
	return true;
}

static int table_day(const char *s)
{
	static const char names[] = "sunmontuewedthufrisat";
	int i, k;

	for (i = 0; i < 7; i++) {
		for (k = 0; k < 3; k++) {
			if (tolower((unsigned char)s[k]) != names[3 * i + k])
				break;
		}
		if (k == 3)
			return i;
	}
	return -1;
}

/* "mon", "mon-fri", "sat-mon" */
static bool table_days(const char *word, u8 *days)
{
	int from, to;

	from = table_day(word);
	if (from < 0)
		return false;
	to = word[3] == '-' ? table_day(word + 4) : from;
	if (to < 0 || word[word[3] == '-' ? 7 : 3])
		return false;
	for (*days = 1 << to; from != to; from = (from + 1) % 7)
		*days |= 1 << from;
	return true;
}

/* "8:00", "08:00", "24:00"; *p goes behind it. -1: it is none. */
static int table_minute(const char **p)
{
	const char *s = *p;
	int h = 0, m = 0, digits = 0;

	for (; isdigit((unsigned char)*s) && digits < 2; digits++)
		h = h * 10 + *s++ - '0';
	if (!digits || *s++ != ':')
		return -1;
	for (digits = 0; isdigit((unsigned char)*s) && digits < 2; digits++)
		m = m * 10 + *s++ - '0';
	if (digits != 2 || m > 59 || h * 60 + m > TIMETABLE_DAY)
		return -1;
	*p = s;
	return h * 60 + m;
}

/* A range of no length is neither nothing nor a day to everybody: refused. */
static bool table_range(const char *word, struct timetable_entry *e)
{
	int from, to;

	from = table_minute(&word);
	if (from < 0 || *word++ != '-')
		return false;
	to = table_minute(&word);
	if (to < 0 || *word || from == to || from == TIMETABLE_DAY)
		return false;
	e->from = from;
	e->to = to;
	return true;
}

static bool table_rate(const char *word, u64 *rate)
{
	if (strcmp(word, "off"))
		return !bucket_parse(word, rate);
	*rate = 0;
	return true;
}

/* One entry at *p. *always: it has neither days nor a time. */
static bool table_entry(const char **p, struct timetable_entry *e, bool *always)
{
	char word[TIMETABLE_WORD];

	e->days = TIMETABLE_WEEK;
	e->from = 0;
	e->to = TIMETABLE_DAY;
	*always = true;
	if (!table_word(p, word))
		return false;
	if (table_days(word, &e->days)) {
		*always = false;
		if (!table_word(p, word))
			return false;
	}
	if (table_range(word, e)) {
		*always = false;
		if (!table_word(p, word))
			return false;
	}
	return table_rate(word, &e->rate);
}

int timetable_parse(const char *text, struct timetable *t)
{
	const char *p = text, *begin;
	struct timetable_entry *e;
	bool always = false;

	t->n = 0;
	if (strlen(text) >= TIMETABLE_TEXT)
		return -EINVAL;
	if (!*text)
		return 0;
	do {
		/* what comes after "always" could never count */
		if (t->n == TIMETABLE_MAX || always)
			return -EINVAL;
		p += strspn(p, " \t");
		begin = p;
		e = &t->v[t->n++];
		if (!table_entry(&p, e, &always))
			return -EINVAL;
		e->at = begin - text;
		e->len = p - begin;
		p += strspn(p, " \t");
	} while (*p++ == ',');
	return p[-1] ? -EINVAL : 0;
}

static bool table_counts(const struct timetable_entry *e, int day, int minute)
{
	if (e->from < e->to)
		return e->days >> day & 1 && minute >= e->from &&
		       minute < e->to;
	return (e->days >> day & 1 && minute >= e->from) ||
	       (e->days >> (day + 6) % 7 & 1 && minute < e->to);
}

const struct timetable_entry *timetable_at(const struct timetable *t,
					   const struct tm *tm)
{
	unsigned int i;

	for (i = 0; i < t->n; i++) {
		if (table_counts(&t->v[i], tm->tm_wday,
				 tm->tm_hour * 60 + tm->tm_min))
			return &t->v[i];
	}
	return NULL;
}
