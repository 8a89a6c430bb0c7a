/* What was seen in the world of back_world.h: of answers, events, asks. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fdutil.h"
#include "tests/proxy/back_world.h"

static bool
holds(const struct buf *b, const char *text)
{
	return buf_len(b) > 0 &&
	       memmem(buf_head(b), buf_len(b), text, strlen(text)) != NULL;
}

bool
world_saw(struct world *w, const char *text)
{
	return holds(&w->a.body, text);
}

bool
world_logged(struct world *w, const char *text)
{
	return holds(&w->events, text) || holds(&w->codes, text);
}

bool
world_asked(struct world *w, const char *text)
{
	return holds(&w->ask, text);
}

void
world_record(struct world *w, char *path, size_t size)
{
	snprintf(path, size, "%s/record", w->dir);
}

bool
world_origin_saw(struct world *w, const char *text)
{
	cleanup_buf struct buf b = { 0 };
	char path[128];

	world_record(w, path, sizeof(path));
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fd_read_all(fd, &b, 1u << 24) < 0)
		return false;
	return holds(&b, text);
}
