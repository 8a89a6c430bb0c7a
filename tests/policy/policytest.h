/*
 * What the policy tests share: load a text, decide, compare.
 */
#ifndef POLICYTEST_H
#define POLICYTEST_H

#include "policy/policy.h"

/* Load one text as "t.policy"; fails the test, showing the mistakes, if it
 * does not load. */
struct policy *must_load(const char *text);
/* The first mistake of a text that must not load, as "line:col: text". */
const char *first_mistake(const char *text);

/* Decisions of profile "p". */
enum effect on_exec(const struct policy *p, ...); /* argv, ends with NULL */
enum effect on_http(
    const struct policy *p, const char *method, const char *url);
enum effect on_path(
    const struct policy *p, enum policy_class c, const char *path);
enum effect on_net(const struct policy *p, const char *addr);
/* The whole of the last decision made by these. */
extern struct decision last;

/* The file at BRIG_SRCDIR/path; the caller frees. */
char *slurp(const char *path, size_t *len);

#endif
