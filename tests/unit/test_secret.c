/* Pages of secrets: whose they are, and what is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/str.h"

#define MANY 50

/* Are all of these flags set for the mapping that p is in? */
static bool
has_flags(const void *p, const char *const *flags, size_t n)
{
	unsigned long from = 0, to = 0, at = (unsigned long)(uintptr_t)p;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "re");
	bool ok = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		(void)sscanf(line, "%lx-%lx ", &from, &to);
		if (at < from || at >= to || !str_starts(line, "VmFlags:"))
			continue;
		ok = true;
		for (size_t i = 0; i < n; i++)
			ok &= strstr(line, flags[i]) != NULL;
		break;
	}
	fclose(f);
	return ok;
}

static void
page_used_again_is_empty_and_still_locked(void **state)
{
	static const char *const flags[] = { " lo", " dd", " dc" };
	struct secret *s = secret_new("hunter2", 7);
	const void *page = secret_bytes(s);

	(void)state;
	assert_true(has_flags(page, flags, nitems(flags)));
	secret_free(s);
	assert_true(has_flags(page, flags, nitems(flags)));
	s = secret_alloc(4096);
	assert_ptr_equal(secret_bytes(s), page);
	for (size_t i = 0; i < 4096; i++)
		assert_int_equal(secret_bytes(s)[i], 0);
	secret_free(s);
}

static void
each_has_a_page_of_its_own(void **state)
{
	struct secret *s[MANY];
	char text[16];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++) {
			snprintf(text, sizeof(text), "secret %d", i);
			s[i] = secret_new(text, strlen(text));
			assert_non_null(s[i]);
		}
		for (int i = 0; i < MANY; i++) {
			snprintf(text, sizeof(text), "secret %d", i);
			assert_memory_equal(
			    secret_bytes(s[i]), text, strlen(text));
			for (int k = 0; k < i; k++)
				assert_ptr_not_equal(
				    secret_bytes(s[i]), secret_bytes(s[k]));
		}
		for (int i = 0; i < MANY; i++)
			secret_free(s[i]);
	}
}

static void
child_of_a_fork_takes_no_page_that_it_does_not_have(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	secret_free(secret_new("x", 1));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct secret *s = secret_new("y", 1);

		_exit(s != NULL && secret_bytes(s)[0] == 'y' ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_used_again_is_empty_and_still_locked),
		cmocka_unit_test(each_has_a_page_of_its_own),
		cmocka_unit_test(
		    child_of_a_fork_takes_no_page_that_it_does_not_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
