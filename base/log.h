/*
 * Process log: one line per event on stderr ("brigd[keyd]: ..."), untrusted
 * text escaped by the caller with str_escape().  Not the audit log.
 * fatal() ends this process: start-up, peer channels, out of memory and
 * "cannot happen" only; never for bytes of a jail, a network or a client.
 */
#ifndef BRIG_LOG_H
#define BRIG_LOG_H

#include "base/compat.h"

enum log_level {
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* name is copied (<= 31 bytes); lines go to stderr. */
void log_init(const char *name, enum log_level level);
void log_set_level(enum log_level level);
/* "warn", "info", "debug", as in M_CONFIG; anything else is "info". */
void log_set_level_name(const char *name);

void log_warn(const char *fmt, ...) attr_printf(1, 2); /* + strerror(errno) */
void log_warnx(const char *fmt, ...) attr_printf(1, 2);
void log_info(const char *fmt, ...) attr_printf(1, 2);
void log_debug(const char *fmt, ...) attr_printf(1, 2);

/* Exit status 1 after the line. */
void fatal(const char *fmt, ...) attr_printf(1, 2)
    __attribute__((noreturn)); /* + strerror(errno) */
void fatalx(const char *fmt, ...) attr_printf(1, 2) __attribute__((noreturn));

#endif
