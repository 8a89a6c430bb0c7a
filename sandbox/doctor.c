#include "sandbox/doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "sandbox/doctor_part.h"

void
doctor_say(const struct doctor *d, const char *id, const char *protection,
    const char *mechanism, enum doctor_state state, const char *fmt, ...)
{
	struct doctor_row row = { .id = id,
		.protection = protection,
		.mechanism = mechanism,
		.state = state };
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	row.detail = text;
	d->report(d->arg, &row);
}

const char *
doctor_state_name(enum doctor_state s)
{
	static const char *const names[] = {
		[DOCTOR_FATAL] = "no jobs",
		[DOCTOR_MISSING] = "missing",
		[DOCTOR_FALLBACK] = "fallback",
		[DOCTOR_UNTRIED] = "untried",
		[DOCTOR_IN_FORCE] = "in force",
		[DOCTOR_NOTE] = "note",
	};

	return names[s];
}

void
doctor_run(const struct doctor *d)
{
	doctor_kernel(d);
	doctor_cgroup(d);
	doctor_files(d);
	doctor_host(d);
}
