/*
 * Requests for tests: JSON written with ' for ", and what was read as one
 * line.
 */
#ifndef BRIG_TESTS_API_RUN_H
#define BRIG_TESTS_API_RUN_H

#include "inferd/api.h"

/* Reads it; the line, malloc'ed:
 *   S, U, A, T for each message, with "?thoughts", "text", "(id name args)"
 *   and "<id" for what a result answers; then, behind " # ", tools.
 * If it is refused "STATUS PARAM: MESSAGE". */
char *api_run(enum api_kind kind, const char *json);
/* The request itself; it has to be one that is read. */
void api_run_request(
    enum api_kind kind, const char *json, struct api_request *out);

#define assert_api(kind, json, want)                                           \
	do {                                                                   \
		char *got_ = api_run(kind, json);                              \
		assert_string_equal(got_, want);                               \
		free(got_);                                                    \
	} while (0)

#endif
