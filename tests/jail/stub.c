/*
 * The deny stub, run on the machine that this is compiled for:
 *   stub run TEXT        jump into the stub, at the start of a page
 *   stub end TEXT        the same, at the end of one
 *   stub into FILE TEXT  write it over the entry point of an ELF program
 * Needs nothing but base/, so that it is easily compiled for another machine.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "sandbox/trace_stub.h"

#define STATUS 126
#define ROOM 65536u

static void
make(struct buf *b, const char *text)
{
	buf_init(b, 0);
	trace_stub_put(b, text, strlen(text), STATUS);
}

static void
jump(const struct buf *b, bool at_end)
{
	size_t from = at_end ? (ROOM - buf_len(b)) & ~(size_t)3 : 0;
	void *go;
	uint8_t *p;

	p = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		fatal("mmap");
	memcpy(p + from, buf_head(b), buf_len(b));
	if (mprotect(p, ROOM, PROT_READ | PROT_EXEC) != 0)
		fatal("mprotect");
	__builtin___clear_cache((char *)p, (char *)p + ROOM);
	go = p + from;
	__extension__((void (*)(void))go)();
	fatalx("the stub came back");
}

static void
write_entry(const struct buf *b, const char *path)
{
	cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC);
	Elf64_Ehdr e;
	Elf64_Phdr ph;

	if (fd < 0 || pread(fd, &e, sizeof(e), 0) != (ssize_t)sizeof(e))
		fatal("%s", path);
	for (unsigned int i = 0; i < e.e_phnum; i++) {
		off_t at = (off_t)(e.e_phoff + i * sizeof(ph));

		if (pread(fd, &ph, sizeof(ph), at) != (ssize_t)sizeof(ph))
			fatal("%s", path);
		if (ph.p_type != PT_LOAD || e.e_entry < ph.p_vaddr ||
		    e.e_entry - ph.p_vaddr + buf_len(b) > ph.p_filesz)
			continue;
		at = (off_t)(ph.p_offset + (e.e_entry - ph.p_vaddr));
		if (pwrite(fd, buf_head(b), buf_len(b), at) !=
		    (ssize_t)buf_len(b))
			fatal("%s", path);
		return;
	}
	fatalx("%s: no room at its entry point", path);
}

int
main(int argc, char **argv)
{
	struct buf b;

	log_init("stub", LOG_LEVEL_WARN);
	if (argc == 3 && strcmp(argv[1], "run") == 0) {
		make(&b, argv[2]);
		jump(&b, false);
	} else if (argc == 3 && strcmp(argv[1], "end") == 0) {
		make(&b, argv[2]);
		jump(&b, true);
	} else if (argc == 4 && strcmp(argv[1], "into") == 0) {
		make(&b, argv[3]);
		write_entry(&b, argv[2]);
		buf_free(&b);
		return 0;
	}
	fatalx("usage: stub run|end TEXT, stub into FILE TEXT");
}
