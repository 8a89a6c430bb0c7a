/*
 * Inside kvdisk: the index of what is there (kvdisk_index.c) and the files
 * (kvdisk.c).
 */
#ifndef BRIG_INFERD_KVDISK_INT_H
#define BRIG_INFERD_KVDISK_INT_H

#include <time.h>

#include "inferd/kvdisk.h"

#define KVDISK_DIRS_MAX 8192u
#define KVDISK_FILES_MAX (1u << 20)
#define KVDISK_FILE_MAX (UINT64_C(1) << 34) /* of whatever model */
#define FILE_NAME_SIZE 16u                  /* bytes; twice as many digits */
#define AGENT_TAG_SIZE 16u
#define MODEL_TAG_SIZE 8u
#define FILE_TEXT (2 * FILE_NAME_SIZE + 1)
#define DIR_TEXT (2 * (AGENT_TAG_SIZE + MODEL_TAG_SIZE) + 2)

struct kvfile {
	uint8_t name[FILE_NAME_SIZE]; /* where a page's name begins */
	uint64_t bytes;
	uint64_t used; /* larger: later */
};

/* A folder. */
struct kvdisk_space {
	struct kvdisk *d;
	char dir[DIR_TEXT];
	bool foreign; /* of another model */
	char *agent;  /* once somebody has come for it, with its keys */
	struct kvseal *seal;
	uint8_t salt[KVSEAL_SALT_SIZE];
	bool salted;          /* the salt is in its file */
	struct kvfile *files; /* by name */
	uint32_t nfiles, cap;
	uint64_t bytes;
};

struct kvdisk {
	int fd;
	struct kvseal_master *master;
	uint8_t model[MODEL_TAG_SIZE];
	uint32_t page_tokens;
	size_t page_bytes, state_bytes;
	uint64_t budget, bytes;
	uint64_t room;     /* the budget, or what the disk had room for */
	uint64_t retry_ms; /* when there may be more; 0: nothing has failed */
	bool broken;       /* until then nothing is written at all */
	uint64_t clock;    /* of `used` */
	uint32_t nfiles;
	struct kvdisk_space **space;
	uint32_t nspaces;
};

/* Room for so much is looked for again after a while. */
#define KVDISK_RETRY_MS 60000u

/* Of a file with so many bytes beside its tokens. */
uint64_t kvdisk_file_bytes(const struct kvdisk *d, size_t n);

void kvdisk_hex(const uint8_t *p, size_t n, char *out /* 2 * n + 1 */);
/* 0, or -1 unless text is exactly that. */
int kvdisk_unhex(const char *text, uint8_t *out, size_t n);

/* Read the directory: what is no file of ours in a folder of ours goes. */
int kvindex_read(struct kvdisk *d, struct error *err);
void kvindex_free(struct kvdisk *d);
struct kvdisk_space *kvindex_space(
    struct kvdisk *d, const char *dir, bool foreign);
/* It has no files; it is freed. */
void kvindex_drop(struct kvdisk_space *s);
/* The folder, opened; -1: it is not there, or not a folder. */
int kvindex_open(const struct kvdisk_space *s);
struct kvfile *kvindex_find(
    const struct kvdisk_space *s, const uint8_t name[FILE_NAME_SIZE]);
void kvindex_add(struct kvdisk_space *s, const uint8_t name[FILE_NAME_SIZE],
    uint64_t bytes, uint64_t used);
/* And the file with it. */
void kvindex_remove(struct kvdisk_space *s, struct kvfile *f);
/* Remove files until there is room for that many bytes of s. */
bool kvindex_make_room(
    struct kvdisk *d, struct kvdisk_space *s, uint64_t bytes);

#endif
