#include "inferd/steer.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "inferd/gguf.h"
#include "inferd/kern.h"

struct vector {
	float *v;  /* [layers][embd] */
	bool *has; /* [layers] */
	float strength;
	bool project;
};

struct steer {
	char *class;
	size_t embd;
	struct vector vector[STEER_VECTORS_MAX];
	size_t n;
};

struct steers {
	uint32_t layers;
	size_t embd;
	bool streams; /* several, of which none is what a vector is for */
	struct steer *class[STEER_CLASSES_MAX];
	size_t n;
};

struct steers *
steers_new(const struct hparams *hp)
{
	struct steers *s = xcalloc(1, sizeof(*s));

	s->layers = hp->layers;
	s->embd = hp->embd;
	s->streams = hp->streams.n > 0;
	return s;
}

static void
vector_free(struct vector *v)
{
	free(v->v);
	free(v->has);
}

void
steers_free(struct steers *s)
{
	size_t i, k;

	if (s == NULL)
		return;
	for (i = 0; i < s->n; i++) {
		for (k = 0; k < s->class[i] -> n; k++)
			vector_free(&s->class[i] -> vector[k]);
		free(s->class[i] -> class);
		free(s->class[i]);
	}
	free(s);
}

const struct steer *
steers_find(const struct steers *s, const char *class)
{
	size_t i;

	for (i = 0; s != NULL && i < s->n; i++)
		if (str_eq(s->class[i] -> class, class))
			return s->class[i];
	return NULL;
}

/* N of direction.N; -1: it is none. */
static int
layer_of(const struct gguf_str *name, uint32_t layers, uint32_t *layer)
{
	static const char prefix[] = "direction.";
	size_t n = strlen(prefix);
	char digits[8] = "";
	uint64_t v;

	if (name->n <= n || name->n - n >= sizeof(digits) ||
	    memcmp(name->p, prefix, n) != 0)
		return -1;
	memcpy(digits, name->p + n, name->n - n);
	if (str_to_u64(digits, 0, layers - 1, &v) < 0)
		return -1;
	*layer = (uint32_t)v;
	return 0;
}

/* True: all are numbers, and for a projection one long from here on. */
static bool
prepare(float *v, size_t n, bool project)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += (double)v[i] * (double)v[i];
	if (!isfinite(sum) || (project && !(sum > 0)))
		return false;
	for (i = 0; i < n && project; i++)
		v[i] = (float)((double)v[i] / sqrt(sum));
	return true;
}

static int
take_tensor(const struct steers *s, struct vector *v,
    const struct gguf_tensor *t, const char *name, const uint8_t *p,
    struct error *err)
{
	cleanup_free char *shown = str_escape(t->name.p, t->name.n);
	uint32_t layer;

	if (layer_of(&t->name, s->layers, &layer) < 0 || v->has[layer])
		return error_set(err, 0,
		    "steering %s: tensor %.64s is no direction of the model's "
		    "%u layers",
		    name, shown, s->layers);
	if (t->type != TT_F32 || t->ndims != 1 || t->dims[0] != s->embd)
		return error_set(err, 0,
		    "steering %s: tensor %.64s is not %zu numbers of type F32",
		    name, shown, s->embd);
	memcpy(&v->v[layer * s->embd], p + t->offset, s->embd * sizeof(float));
	if (!prepare(&v->v[layer * s->embd], s->embd, v->project))
		return error_set(err, 0,
		    "steering %s: tensor %.64s has no length that is a number",
		    name, shown);
	v->has[layer] = true;
	return 0;
}

static int
take_file(const struct steers *s, struct vector *v, const char *name,
    const void *p, size_t n, struct error *err)
{
	cleanup_gguf struct gguf *g = NULL;
	struct gguf_str arch = { "", 0 };
	struct error why = { 0 };
	uint32_t i;

	g = gguf_parse(p, n, n, &why);
	if (g == NULL ||
	    gguf_get_str(g, "general.architecture", &arch, &why) < 0) {
		cleanup_free char *shown = str_escape(why.msg, strlen(why.msg));

		return error_set(err, 0, "steering %s: %s", name, shown);
	}
	if (!gguf_str_eq(arch, "controlvector") || g->ntensors == 0)
		return error_set(
		    err, 0, "steering %s: not a file of control vectors", name);
	for (i = 0; i < g->ntensors; i++)
		if (take_tensor(s, v, &g->tensors[i], name, p, err) < 0)
			return -1;
	return 0;
}

int
steers_add_bytes(struct steers *s, const char *class, const char *name,
    const void *p, size_t n, float strength, bool project, struct error *err)
{
	struct vector v = { .strength = strength, .project = project };
	struct steer *c = NULL;
	size_t i;

	for (i = 0; i < s->n; i++)
		if (str_eq(s->class[i] -> class, class))
			c = s->class[i];
	if ((c == NULL && s->n == STEER_CLASSES_MAX) ||
	    (c != NULL && c->n == STEER_VECTORS_MAX))
		return error_set(err, 0,
		    "steering %s: more than %u classes, or %u files of one",
		    name, STEER_CLASSES_MAX, STEER_VECTORS_MAX);
	if (s->streams)
		return error_set(err, 0,
		    "steering %s: the model has several residual streams, "
		    "which are not steered",
		    name);
	v.v = xcalloc(s->layers * s->embd, sizeof(*v.v));
	v.has = xcalloc(s->layers, sizeof(*v.has));
	if (take_file(s, &v, name, p, n, err) < 0) {
		vector_free(&v);
		return -1;
	}
	if (c == NULL) {
		c = s->class[s->n++] = xcalloc(1, sizeof(*c));
		c->class = xstrdup(class);
		c->embd = s->embd;
	}
	c->vector[c->n++] = v;
	return 0;
}

static int
add_file(struct steers *s, const char *class, const char *path, float strength,
    bool project, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	cleanup_free uint8_t *p = NULL;
	struct stat st;
	size_t n = 0;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "steering: open %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > STEER_FILE_MAX)
		return error_set(err, 0,
		    "steering %s: not a file of at most %u bytes", path,
		    STEER_FILE_MAX);
	p = xmalloc((size_t)st.st_size + 1);
	while (n < (size_t)st.st_size) {
		got = read(fd, p + n, (size_t)st.st_size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_set(
			    err, got < 0 ? errno : 0, "read %s", path);
		n += (size_t)got;
	}
	return steers_add_bytes(s, class, path, p, n, strength, project, err);
}

int
steers_add(struct steers *s, const char *spec, struct error *err)
{
	cleanup_free char *class = xstrdup(spec);
	char *path = strchr(class, '='), *last, *end;
	float strength = 1;
	bool project = false;

	if (path != NULL)
		*path++ = '\0';
	if (path == NULL || !str_is_name(class, 64))
		return error_set(err, 0,
		    "steering: \"%s\" is not CLASS=FILE[:STRENGTH][:project]",
		    spec);
	if (str_ends(path, ":project")) {
		project = true;
		path[strlen(path) - strlen(":project")] = '\0';
	}
	last = strrchr(path, ':');
	if (last != NULL && last[1] != '\0') {
		strength = strtof(last + 1, &end);
		if (*end == '\0' && isfinite(strength))
			*last = '\0';
		else
			strength = 1;
	}
	return add_file(s, class, path, strength, project, err);
}

void
steer_apply(const struct steer *s, uint32_t layer, float *h)
{
	size_t i;
	float by;

	for (i = 0; i < s->n; i++) {
		const struct vector *v = &s->vector[i];
		const float *d = &v->v[layer * s->embd];

		if (!v->has[layer])
			continue;
		by = v->strength;
		if (v->project)
			by *= -kern_dot_f32(h, d, s->embd);
		kern_axpy_f32(by, d, s->embd, h);
	}
}
