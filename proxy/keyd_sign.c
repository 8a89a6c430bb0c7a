/*
 * keyd towards back: keys for signatures.  A key is derived from the secret
 * for one day, region and service; the secret itself stays here.
 */
#include "proxy/keyd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "base/str.h"
#include "proxy/sign_sigv4.h"

/* A presigned URL is good for a week; clocks may be a day apart. */
#define DAYS_BACK 8
#define DAYS_AHEAD 1

struct scope {
	char date[16];
	char region[40];
	char service[40];
};

/*
 * YYYYMMDD of a day since 1970-01-01 (Gregorian, counted in years that begin
 * in March).  gmtime(3) would open files.
 */
static void
date_text(int64_t day, char *out, size_t size)
{
	int64_t d = day + 719468, era = d / 146097, of_era = d % 146097;
	int64_t year =
	    (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;
	int64_t mday = of_year - (153 * month + 2) / 5 + 1;

	month = month < 10 ? month + 3 : month - 9;
	year += era * 400 + (month <= 2);
	snprintf(out, size, "%04lld%02lld%02lld", (long long)year,
	    (long long)month, (long long)mday);
}

/* Keys of other days are no use to a back that is what it should be. */
static bool
is_near(const char *date)
{
	int64_t today = (int64_t)time(NULL) / (24 * 60 * 60);

	for (int64_t d = today - DAYS_BACK; d <= today + DAYS_AHEAD; d++) {
		char text[32];

		date_text(d, text, sizeof(text));
		if (strcmp(text, date) == 0)
			return true;
	}
	return false;
}

static const char *
judge_scope(const struct credential *c, const struct scope *s)
{
	if (c->spec.kind != CRED_SIGV4)
		return "the credential is none that AWS requests are signed "
		       "with";
	if (!sigv4_is_date(s->date) || !is_near(s->date))
		return "the signature is not of these days";
	if (!sigv4_is_word(s->region) || !sigv4_is_word(s->service))
		return "the scope of the signature is malformed";
	if (c->spec.region[0] != '\0' && !str_eq(c->spec.region, s->region))
		return "the credential is for another region";
	if (c->spec.service[0] != '\0' && !str_eq(c->spec.service, s->service))
		return "the credential is for another service";
	return NULL;
}

int
keyd_on_sign_key(struct chan *ch, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	const struct credential *c;
	uint8_t key[SIGV4_KEY_SIZE] = { 0 };
	struct keyd_request r = { 0 };
	struct decision d = { 0 };
	struct scope s = { 0 };
	const char *why;
	char text[128];

	(void)ch;
	if (keyd_request_get(&m->body, &r) == 0) {
		cur_str_into(&m->body, s.date, sizeof(s.date));
		cur_str_into(&m->body, s.region, sizeof(s.region));
		cur_str_into(&m->body, s.service, sizeof(s.service));
	}
	if (r.path == NULL || cur_end(&m->body) < 0) {
		free(r.path);
		return -1;
	}
	c = k->vault == NULL ? NULL : vault_by_id(k->vault, r.cred);
	if ((why = keyd_judge(k, p->job, &r, c, &d)) == NULL)
		why = judge_scope(c, &s);
	snprintf(text, sizeof(text), "%s/%s/%s", s.date, s.region, s.service);
	keyd_record(k, p->job, &r, c, &d, text, why);
	free(r.path);
	if (why == NULL)
		sigv4_key(c->value, s.date, s.region, s.service, key);
	keyd_answer(p, M_SIGN_KEY_IS, m->serial, key, sizeof(key), why);
	OPENSSL_cleanse(key, sizeof(key));
	return 0;
}
