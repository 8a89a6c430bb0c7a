#include "inferd/gguf_write.h"

#include <string.h>

void
gguf_put_text(struct buf *b, const void *p, size_t n)
{
	buf_put_u64(b, n);
	buf_put(b, p, n);
}

void
gguf_put_head(struct buf *b, uint64_t ntensors, uint64_t npairs)
{
	buf_put(b, "GGUF", 4);
	buf_put_u32(b, GGUF_VERSION);
	buf_put_u64(b, ntensors);
	buf_put_u64(b, npairs);
}

static void
put_key(struct buf *b, const char *key, enum gguf_type type)
{
	gguf_put_text(b, key, strlen(key));
	buf_put_u32(b, type);
}

void
gguf_put_u32(struct buf *b, const char *key, uint32_t v)
{
	put_key(b, key, GGUF_U32);
	buf_put_u32(b, v);
}

void
gguf_put_real(struct buf *b, float v)
{
	uint32_t u;

	memcpy(&u, &v, sizeof(u));
	buf_put_u32(b, u);
}

void
gguf_put_f32(struct buf *b, const char *key, float v)
{
	put_key(b, key, GGUF_F32);
	gguf_put_real(b, v);
}

void
gguf_put_bool(struct buf *b, const char *key, bool v)
{
	put_key(b, key, GGUF_BOOL);
	buf_put_u8(b, v);
}

void
gguf_put_str(struct buf *b, const char *key, const char *v)
{
	put_key(b, key, GGUF_STRING);
	gguf_put_text(b, v, strlen(v));
}

void
gguf_put_array(
    struct buf *b, const char *key, enum gguf_type of, uint64_t count)
{
	put_key(b, key, GGUF_ARRAY);
	buf_put_u32(b, of);
	buf_put_u64(b, count);
}

void
gguf_put_tensor(struct buf *b, const char *name, uint32_t type, uint32_t ndims,
    const uint64_t *dims, uint64_t offset)
{
	gguf_put_text(b, name, strlen(name));
	buf_put_u32(b, ndims);
	for (uint32_t i = 0; i < ndims; i++)
		buf_put_u64(b, dims[i]);
	buf_put_u32(b, type);
	buf_put_u64(b, offset);
}

void
gguf_put_padding(struct buf *b, size_t alignment)
{
	while (buf_len(b) % alignment != 0)
		buf_put_u8(b, 0);
}
