/*
 * Requests against a fixed policy: lines are a method, a URL, an address, a
 * path, and the rest arguments.  Normal forms are stable, and what no rule
 * can permit stays denied.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES 40u

static const char text[] =
    "profile p {\n"
    " default exec ask; default http ask; default read allow;\n"
    " allow exec {ls,rm,git} ... without arg {-*r*,--recursive,-x};\n"
    " deny exec git {,-v} push ... with arg {-f,--force*,+*};\n"
    " allow exec workspace/** a*b*c {,d} ...;\n"
    " deny exec busybox rm ...; deny exec nc ...;\n"
    " deny read workspace/**/a*/**/.env; allow write scratch/**;\n"
    " allow http GET https://** except https://**.corp.example/*/x/**;\n"
    " deny http * https://**/secret/**;\n"
    " allow net 10.0.0.0/8; allow net 127.0.0.1:80;\n"
    "}\n";

static void
names(const char *s)
{
	char a[256], b[256], p[512], q[512];

	if (policy_host_normalise(s, a, sizeof(a)) == 0 &&
	    (policy_host_normalise(a, b, sizeof(b)) != 0 || strcmp(a, b) != 0))
		abort();
	for (unsigned int how = 0; how < READINGS; how++) {
		if (policy_path_reading(s, how, p, sizeof(p)) < 0)
			continue;
		if (strstr(p, "/../") != NULL || strstr(p, "//") != NULL)
			abort();
		if ((how & READING_SPLIT) != 0 && strstr(p, "%2F") != NULL)
			abort();
		if ((how & READING_CUT) != 0 && strchr(p, ';') != NULL)
			abort();
		if (policy_path_reading(s, 0, q, sizeof(q)) == 0 &&
		    policy_path_is_plain(q) && strcmp(p, q) != 0)
			abort();
	}
	if (policy_path_normalise(s, p, sizeof(p)) != 0)
		return;
	if (policy_path_reading(s, 0, q, sizeof(q)) != 0 || strcmp(p, q) != 0)
		abort();
	if (p[0] != '/' || strstr(p, "/../") != NULL ||
	    strstr(p, "//") != NULL || strchr(p, '?') != NULL)
		abort();
	if (policy_path_normalise(p, q, sizeof(q)) != 0 || strcmp(p, q) != 0)
		abort();
}

static void
web(const struct policy *p, const struct profile *pr, const char *method,
    const char *url)
{
	char scheme[8], host[256], target[512];
	struct error err;
	struct decision d;
	uint16_t port;

	policy_explain_http(p, pr, method, url, &d);
	if (policy_url_split(
		url, scheme, host, &port, target, sizeof(target), &err) != 0)
		return;
	if (target[0] != '/' || port == 0 || strchr(host, '@') != NULL)
		abort();
	policy_explain_http(p, pr, "GET", url, &d);
	if (d.effect == EFFECT_ALLOW && strcmp(scheme, "https") != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_source s = { "p", text, sizeof(text) - 1, true };
	struct policy_diags ds;
	struct policy *p = policy_load(&s, 1, &ds);
	const struct profile *pr;
	const char *line[LINES] = { "", "", "", "", "" };
	char *copy = xstrndup((const char *)data, size), *at = copy, *end;
	struct decision d;
	size_t n = 0;

	if (p == NULL)
		abort();
	pr = policy_profile(p, "p");
	while (n < LINES) {
		line[n++] = at;
		end = strchr(at, '\n');
		if (end == NULL)
			break;
		*end = '\0';
		at = end + 1;
	}
	names(line[0]);
	names(line[1]);
	web(p, pr, line[0], line[1]);
	policy_explain_net(p, pr, line[2], &d);
	policy_path(p, pr, POLICY_READ, line[3], &d);
	if (d.effect == EFFECT_ALLOW && strstr(line[3], "..") != NULL &&
	    strstr(line[3], "/../") != NULL)
		abort();
	if (n > 4) {
		policy_explain_exec(p, pr, line + 4, n - 4, &d);
		if (memchr(d.normal, 0, sizeof(d.normal)) == NULL)
			abort();
		if (strcmp(line[4], "nc") == 0 && d.effect != EFFECT_DENY)
			abort();
	}
	policy_free(p);
	free(copy);
	return 0;
}
