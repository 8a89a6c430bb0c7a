#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static char log_name[32] = "brig";
static enum log_level log_max = LOG_LEVEL_INFO;

void
log_init(const char *name, enum log_level level)
{
	strlcpy(log_name, name, sizeof(log_name));
	log_max = level;
}

void
log_set_level_name(const char *name)
{
	log_set_level(str_eq(name, "debug")  ? LOG_LEVEL_DEBUG
		      : str_eq(name, "warn") ? LOG_LEVEL_WARN
					     : LOG_LEVEL_INFO);
}

void
log_set_level(enum log_level level)
{
	log_max = level;
}

/* One write(2) a line, so that lines of several processes do not mix. */
static void attr_printf(2, 0) log_line(int code, const char *fmt, va_list ap)
{
	char line[1200];
	int saved = errno;
	int n;

	n = snprintf(line, sizeof(line), "%s: ", log_name);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	if (code != 0) {
		strlcat(line, ": ", sizeof(line));
		strlcat(line, strerror(code), sizeof(line));
	}
	if (strlcat(line, "\n", sizeof(line)) >= sizeof(line))
		line[sizeof(line) - 2] = '\n';
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		(void)0; /* nowhere left to say it */
	errno = saved;
}

#define LOG_AT(level, code)                                                    \
	do {                                                                   \
		va_list ap;                                                    \
		if (log_max < (level))                                         \
			return;                                                \
		va_start(ap, fmt);                                             \
		log_line((code), fmt, ap);                                     \
		va_end(ap);                                                    \
	} while (0)

void
log_warn(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_WARN, errno);
}

void
log_warnx(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_WARN, 0);
}

void
log_info(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_INFO, 0);
}

void
log_debug(const char *fmt, ...)
{
	LOG_AT(LOG_LEVEL_DEBUG, 0);
}

void
fatal(const char *fmt, ...)
{
	int code = errno;
	va_list ap;

	va_start(ap, fmt);
	log_line(code, fmt, ap);
	va_end(ap);
	_exit(1);
}

void
fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(0, fmt, ap);
	va_end(ap);
	_exit(1);
}
