/*
 * Reads a secret value for `brig secret`: from a pipe, or asked for on the
 * terminal without echo.  Never from argv or the environment.
 */
#ifndef BRIG_CLI_PROMPT_H
#define BRIG_CLI_PROMPT_H

#include <stdbool.h>

#include "base/error.h"

/*
 * The value as a sealed memfd, the caller's; one trailing newline is not part
 * of it.  -1 with err: empty, too long, holds a control character (no header
 * can carry it; with lines, line breaks are fine), or the terminal failed.  in
 * is normally STDIN_FILENO; from a terminal comes one line.
 */
int cli_read_secret(int in, const char *prompt, bool lines, struct error *err);

#endif
