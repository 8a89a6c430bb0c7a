/*
 * Opening models: a parser that crashes, loops or reaches for more than it has
 * costs one line; what was checked is what is mapped; sealed copies cannot be
 * changed and are those of the manifest.
 */
#include <sys/stat.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fdutil.h"
#include "inferd/model_child.h"
#include "inferd/model_load.h"
#include "tests/inferd/gguf_run.h"

static char dir[] = "/tmp/brig-model-XXXXXX";

static char *
path_of(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void
write_file(const char *name, const void *p, size_t n)
{
	cleanup_free char *path = path_of(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, p, n), 0);
	close(fd);
}

static void
write_model(const char *name, const struct pieces *s, const float *weights)
{
	struct buf b;

	pieces_write(s, &b, NULL, NULL);
	if (weights != NULL)
		memcpy(buf_head(&b) + buf_len(&b) - s->data, weights, s->data);
	write_file(name, buf_head(&b), buf_len(&b));
	buf_free(&b);
}

static struct model *
open_model(const char *name, const struct model_opts *opts, struct error *err)
{
	cleanup_free char *path = path_of(name);

	err->msg[0] = '\0';
	return model_open(path, opts, err);
}

static void
refused(const char *name, const struct model_opts *opts, const char *why)
{
	struct error err;

	assert_null(open_model(name, opts, &err));
	if (strstr(err.msg, why) == NULL || strchr(err.msg, '\n') != NULL)
		fail_msg("%s: %s", name, err.msg);
}

static void
tensors_point_at_their_bytes(void **state)
{
	struct pieces *s = xcalloc(1, sizeof(*s));
	cleanup_free float *weights = NULL;
	const struct model_opts seal = { .seal = true };

	pieces_make(s);
	weights = xcalloc(1, s->data);
	for (size_t i = 0; i < s->data / 4; i++)
		weights[i] = (float)i;
	write_model("good.gguf", s, weights);
	for (int k = 0; k < 2; k++) {
		cleanup_model struct model *m = NULL;
		const struct tensor *t;
		struct error err;
		size_t at = 0;

		m = open_model("good.gguf", k == 1 ? &seal : NULL, &err);
		if (m == NULL)
			fail_msg("%s", err.msg);
		for (size_t i = 0; i < s->ntensors; i++) {
			t = model_tensor(m, s->tensor[i].name);
			assert_non_null(t);
			assert_memory_equal(t->data, &weights[at], t->bytes);
			at += (t->bytes + 31) / 32 * 8;
		}
		assert_int_equal(model_is_sealed(m), k == 1);
		assert_int_equal(strlen(model_sha256(m, 0)), k == 1 ? 64 : 0);
		assert_int_equal(strlen(model_id(m)), 64);
		assert_null(model_tensor(m, "none.weight"));
	}
	pieces_free(s);
	free(s);
}

/* The id of good.gguf with these weights. */
static void
id_of(struct pieces *s, const float *weights, char id[65])
{
	cleanup_model struct model *m = NULL;
	struct error err;

	write_model("good.gguf", s, weights);
	m = open_model("good.gguf", NULL, &err);
	if (m == NULL)
		fail_msg("%s", err.msg);
	strlcpy(id, model_id(m), 65);
}

static void
an_id_is_of_the_weights(void **state)
{
	struct pieces *s = xcalloc(1, sizeof(*s));
	cleanup_free char *path = path_of("good.gguf");
	const struct timespec long_ago[2] = { { 1, 0 }, { 1, 0 } };
	cleanup_free float *weights = NULL;
	char first[65], other[65];
	struct error err;

	pieces_make(s);
	weights = xcalloc(1, s->data);
	for (size_t i = 0; i < s->data / 4; i++)
		weights[i] = (float)i;
	id_of(s, weights, first);
	/* A copy, with another time. */
	assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
	{
		cleanup_model struct model *m =
		    open_model("good.gguf", NULL, &err);

		assert_non_null(m);
		assert_string_equal(model_id(m), first);
	}
	/* Other weights of the same shape, in the last tensor alone. */
	weights[s->data / 4 - 4] += 1;
	id_of(s, weights, other);
	assert_string_not_equal(first, other);
	weights[s->data / 4 - 4] -= 1;
	id_of(s, weights, other);
	assert_string_equal(first, other);
	pieces_free(s);
	free(s);
}

static void
sealed_model_outlives_its_file(void **state)
{
	const struct model_opts seal = { .seal = true };
	cleanup_free char *path = path_of("good.gguf");
	cleanup_model struct model *m = NULL;
	const struct tensor *t;
	struct error err;
	float first;

	m = open_model("good.gguf", &seal, &err);
	assert_non_null(m);
	t = model_tensor(m, "output.weight");
	first = *(const float *)t->data;
	assert_int_equal(truncate(path, 0), 0);
	assert_true(*(const float *)t->data == first && first > 0);
}

static void
manifest_must_name_the_files_hash(void **state)
{
	struct model_opts opts = { .seal = true };
	cleanup_free char *list = path_of("SHA256SUMS"), *text = NULL;
	struct pieces *s = xcalloc(1, sizeof(*s));
	cleanup_model struct model *m = NULL, *again = NULL;
	struct error err;

	pieces_make(s);
	write_model("good.gguf", s, NULL);
	m = open_model("good.gguf", &opts, &err);
	assert_non_null(m);
	opts.manifest = list;
	refused("good.gguf", &opts, "manifest");
	text = xasprintf(
	    "%064d  other.gguf\n%s *good.gguf\n", 0, model_sha256(m, 0));
	write_file("SHA256SUMS", text, strlen(text));
	again = open_model("good.gguf", &opts, &err);
	if (again == NULL)
		fail_msg("%s", err.msg);
	assert_string_equal(model_id(m), model_id(again));
	write_file("SHA256SUMS", text, 77);
	refused("good.gguf", &opts, "does not name good.gguf");
	text[77] = text[77] == '0' ? '1' : '0';
	write_file("SHA256SUMS", text, strlen(text));
	refused("good.gguf", &opts, "not the manifest's");
	opts.seal = false;
	refused("good.gguf", &opts, "only for sealed");
	pieces_free(s);
	free(s);
}

/* NaN in norms is always found, in matrices when all is looked through. */
static void
values_that_are_not_finite_are_refused(void **state)
{
	const struct model_opts scan = { .scan = true },
				seal = { .seal = true };
	struct pieces *s = xcalloc(1, sizeof(*s));
	cleanup_free float *weights = NULL;

	pieces_make(s);
	weights = xcalloc(1, s->data);
	weights[s->data / 4 - 1] = __builtin_nanf("");
	write_model("nan.gguf", s, weights);
	refused("nan.gguf", NULL, "not finite");
	refused("nan.gguf", &scan, "not finite");
	refused("nan.gguf", &seal, "not finite");
	weights[s->data / 4 - 1] = -__builtin_inff();
	write_model("nan.gguf", s, weights);
	refused("nan.gguf", &scan, "not finite");
	pieces_free(s);
	free(s);
}

static void
damaged_files_are_refused(void **state)
{
	cleanup_free char *fifo = path_of("fifo.gguf"), *sub = path_of("sub");
	struct pieces *s = xcalloc(1, sizeof(*s));
	cleanup_free char *cut = path_of("cut.gguf");

	pieces_make(s);
	write_model("cut.gguf", s, NULL);
	assert_int_equal(truncate(cut, 5000), 0);
	refused("cut.gguf", NULL, "end");
	refused("missing.gguf", NULL, "No such file");
	write_file("empty.gguf", "", 0);
	refused("empty.gguf", NULL, "no model");
	write_file("text.gguf", "hello, this is text", 19);
	refused("text.gguf", NULL, "no GGUF file");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	refused("fifo.gguf", NULL, "no regular file");
	assert_int_equal(mkdir(sub, 0700), 0);
	refused("sub", NULL, "no regular file");
	/* Text of the file cannot play with a terminal. */
	gguf_put_str((buf_clear(&s->pair[0].b), &s->pair[0].b),
	    "general.architecture", "\033[31m\n");
	write_model("esc.gguf", s, NULL);
	refused("esc.gguf", NULL, "'\\x1b[31m\\n'");
	pieces_free(s);
	free(s);
}

/* The tensors from number i on into a second file. */
static void
split(struct pieces *s, struct pieces *rest, size_t i)
{
	memset(rest, 0, sizeof(*rest));
	for (size_t k = i; k < s->ntensors; k++) {
		struct piece *p = &rest->tensor[rest->ntensors++];
		uint64_t data = rest->data;
		size_t n;

		*p = s->tensor[k];
		memset(&s->tensor[k], 0, sizeof(s->tensor[k]));
		n = buf_len(&p->b);
		buf_patch_u32(&p->b, n - 8, (uint32_t)data);
		rest->data += 4096;
	}
	s->ntensors = i;
	pieces_u32(s, "split.no", 0);
	pieces_u32(s, "split.count", 2);
	pieces_u32(rest, "split.no", 1);
	pieces_u32(rest, "split.count", 2);
}

static void
split_model_is_one(void **state)
{
	struct pieces *s = xcalloc(1, sizeof(*s)),
		      *rest = xcalloc(1, sizeof(*s));
	cleanup_model struct model *m = NULL;
	struct error err;
	uint32_t all;

	pieces_make(s);
	all = (uint32_t)s->ntensors;
	pieces_u32(s, "split.tensors.count", all);
	split(s, rest, 7);
	write_model("two-00001-of-00002.gguf", s, NULL);
	refused("two-00001-of-00002.gguf", NULL, "two-00002-of-00002.gguf");
	write_model("two-00002-of-00002.gguf", rest, NULL);
	m = open_model("two-00001-of-00002.gguf", NULL, &err);
	if (m == NULL)
		fail_msg("%s", err.msg);
	assert_int_equal(model_table(m)->nfiles, 2);
	assert_int_equal(model_table(m)->ntensors, all);
	assert_int_equal(model_tensor(m, "output.weight")->file, 0);
	assert_int_equal(model_tensor(m, "blk.1.ffn_norm.weight")->file, 1);
	refused("two-00002-of-00002.gguf", NULL, "give the one ending in");
	/* The same part twice. */
	write_model("two-00002-of-00002.gguf", s, NULL);
	refused("two-00001-of-00002.gguf", NULL, "file 2 of 2");
	write_model("alone.gguf", s, NULL);
	refused("alone.gguf", NULL, "one of 2 files");
	pieces_free(s);
	pieces_free(rest);
	free(s);
	free(rest);
}

static struct model_table *
crashes(const struct model_bytes *f, uint32_t n, bool v, struct error *err)
{
	raise(SIGSEGV);
	abort();
}

static struct model_table *
exits(const struct model_bytes *f, uint32_t n, bool v, struct error *err)
{
	_exit(7);
}

static struct model_table *
exits_well(const struct model_bytes *f, uint32_t n, bool v, struct error *err)
{
	_exit(0);
}

static struct model_table *
loops(const struct model_bytes *f, uint32_t n, bool v, struct error *err)
{
	for (volatile unsigned on = 1; on != 0;)
		;
	return NULL;
}

static struct model_table *
says_nothing_of_tensors(
    const struct model_bytes *f, uint32_t n, bool v, struct error *err)
{
	static struct model_table table = { .nfiles = 1 };
	static char title[] = "";

	table.name = title;
	table.vocab.bos = table.vocab.eos = table.vocab.eot = MODEL_NO_TOKEN;
	table.vocab.pad = table.vocab.unk = MODEL_NO_TOKEN;
	return &table;
}

static struct model_table *
lies(const struct model_bytes *f, uint32_t n, bool v, struct error *err)
{
	static struct tensor t = { .type = TT_F32,
		.ndims = 1,
		.dims = { 1u << 30, 1, 1, 1 },
		.offset = 1ull << 40,
		.bytes = 4ull << 30 };
	struct model_table *table = says_nothing_of_tensors(f, n, v, err);
	static char name[] = "output.weight";

	t.name = name;
	table->tensors = &t;
	table->ntensors = 1;
	return table;
}

#ifndef BRIG_SANITIZE
static struct model_table *
opens(const struct model_bytes *f, uint32_t n, bool v, struct error *err)
{
	(void)open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	_exit(0);
}

static struct model_table *
connects(const struct model_bytes *f, uint32_t n, bool v, struct error *err)
{
	(void)socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_exit(0);
}

static struct model_table *
forks(const struct model_bytes *f, uint32_t n, bool v, struct error *err)
{
	(void)fork();
	_exit(0);
}

static struct model_table *
allocates(const struct model_bytes *f, uint32_t n, bool v, struct error *err)
{
	size_t step = (size_t)64 << 20;

	for (size_t i = 0; i < 2 * MODEL_CHILD_MEMORY; i += step)
		memset(xmalloc(step), 1, step);
	_exit(0);
}
#endif

static void
ends_with(model_parse_fn *fn, const char *why)
{
	cleanup_free char *path = path_of("good.gguf");
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t size = 4096;
	struct error err = { 0 };

	assert_true(fd >= 0);
	assert_null(model_child_run(fn, &fd, &size, 1, false, 1, &err));
	if (strstr(err.msg, why) == NULL || strchr(err.msg, '\n') != NULL)
		fail_msg("%s", err.msg);
}

static void
crash_of_the_parser_costs_one_line(void **state)
{
	ends_with(exits, "status 7");
	ends_with(exits_well, "said nothing");
	ends_with(loops, "more than 1 s");
	ends_with(lies, "end of its file");
	ends_with(says_nothing_of_tensors, "left out the model");
#ifdef BRIG_SANITIZE
	ends_with(crashes, "its parser");
#else
	ends_with(crashes, "died of signal");
#endif
}

static void
parser_can_reach_nothing(void **state)
{
#ifdef BRIG_SANITIZE
	print_message("# no filter in a sanitizer build\n");
	skip();
#else
	ends_with(opens, "Bad system call");
	ends_with(connects, "Bad system call");
	ends_with(forks, "Bad system call");
	ends_with(allocates, "its parser");
#endif
}

static void
models_of_others_load(void **state)
{
	static const char *const names[] = { "arch/gpt-oss", "arch/llama",
		"arch/olmoe", "arch/qwen3moe", "quant/qwen3moe-MXFP4",
		"quant/qwen3moe-Q2_K", "quant/qwen3moe-Q4_K",
		"quant/qwen3moe-Q6_K", "quant/qwen3moe-Q8_0",
		"real/stories260K-moe8", "real/stories260K-moe8-q8",
		"vocab/ggml-vocab-deepseek-llm", "vocab/ggml-vocab-gpt-2",
		"vocab/ggml-vocab-llama-spm", "vocab/ggml-vocab-qwen2" };
	const char *set = getenv("BRIG_MODELS"), *src = getenv("BRIG_SRCDIR");
	cleanup_free char *at = set != NULL ? xstrdup(set)
					    : xasprintf("%s/../shared/models",
						  src == NULL ? "." : src);

	if (access(at, R_OK) != 0) {
		print_message("# no models at %s\n", at);
		skip();
	}
	for (size_t i = 0; i < nitems(names); i++) {
		cleanup_free char *path = xasprintf("%s/%s.gguf", at, names[i]);
		const struct model_opts opts = { .scan = true,
			.vocab_only = str_starts(names[i], "vocab/") };
		cleanup_model struct model *m = NULL;
		struct error err;

		m = model_open(path, &opts, &err);
		if (m == NULL)
			fail_msg("%s", err.msg);
		assert_true(model_table(m)->hp.vocab > 0);
		assert_true(opts.vocab_only ||
			    model_tensor(m, "token_embd.weight") != NULL);
	}
}

static int
begin(void **state)
{
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
end(void **state)
{
	static const char *const names[] = { "good.gguf", "SHA256SUMS",
		"nan.gguf", "cut.gguf", "empty.gguf", "text.gguf", "fifo.gguf",
		"esc.gguf", "two-00001-of-00002.gguf", "alone.gguf",
		"two-00002-of-00002.gguf" };
	cleanup_free char *sub = path_of("sub");

	for (size_t i = 0; i < nitems(names); i++) {
		cleanup_free char *path = path_of(names[i]);

		unlink(path);
	}
	rmdir(sub);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tensors_point_at_their_bytes),
		cmocka_unit_test(an_id_is_of_the_weights),
		cmocka_unit_test(sealed_model_outlives_its_file),
		cmocka_unit_test(manifest_must_name_the_files_hash),
		cmocka_unit_test(values_that_are_not_finite_are_refused),
		cmocka_unit_test(damaged_files_are_refused),
		cmocka_unit_test(split_model_is_one),
		cmocka_unit_test(crash_of_the_parser_costs_one_line),
		cmocka_unit_test(parser_can_reach_nothing),
		cmocka_unit_test(models_of_others_load),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
